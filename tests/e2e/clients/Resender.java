import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;

/** Calls ORIGIN/svc/ok and then ORIGIN TARGET on the kept connection, once for each ID, and prints "STATUS BYTES" or "FAILED". */
public class Resender {
    static String post(String url, String id) {
        try {
            HttpURLConnection call = (HttpURLConnection) URI.create(url).toURL().openConnection();
            call.setRequestMethod("POST");
            call.setDoOutput(true);
            call.setReadTimeout(20_000);
            call.setRequestProperty("Content-Type", "application/json");
            call.setRequestProperty("X-Request-ID", id);
            call.getOutputStream().write("{\"amount\":1}".getBytes());
            int status = call.getResponseCode();
            try (InputStream body = status < 400 ? call.getInputStream() : call.getErrorStream()) {
                return status + " " + body.readAllBytes().length;
            }
        } catch (IOException error) {
            return "FAILED";
        }
    }

    public static void main(String[] words) {
        for (int at = 2; at < words.length; at++) {
            post(words[0] + "/svc/ok", words[at] + "-ok");
            System.out.println(post(words[0] + words[1], words[at]));
        }
    }
}
