// Java's HttpClient with its defaults: it prefers HTTP/2 and so offers an upgrade (h2c) on every plain request.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;

class JavaClient {
    public static void main(String[] words) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(words[0] + words[2])).header("Content-Type", "application/json");
        if (words[1].equals("POST")) {
            request.POST(HttpRequest.BodyPublishers.ofFile(Path.of(words[3])));
        }
        var response = HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofByteArray());
        System.out.println(response.statusCode() + " " + response.version());
        System.out.flush();
        System.out.write(response.body());
        System.out.flush();
    }
}
