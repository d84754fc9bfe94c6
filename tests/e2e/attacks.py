"""The browser guard: pages in Chromium cannot have a request signed, programs in five languages can.

    attacks.py PROGRAM       the built wonder-signer; needs chromium, node, php, java, curl

A page of another origin sends requests in every way that a page can. It runs twice: with the guard, where nothing may reach the
upstream, and without it, which shows that the page works.
"""

import http.server
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request

import sidecar

CHROMIUM = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-popup-blocking",
]  # fmt: skip

PAGE = """<!doctype html><meta charset="utf-8"><body><script>
const all = [], json = JSON.stringify({amount: 1});
const to = (kind) => `BASE/svc/payment/api/v1/openapi/${kind}`;
const attack = (kind, act) => { try { const done = act(to(kind)); if (done && done.then) all.push(done.catch(() => {})); } catch (e) {} };
const element = (name, properties) => document.body.append(Object.assign(document.createElement(name), properties));
const loaded = (name, properties) => new Promise((done) => element(name, {...properties, onload: done, onerror: done}));
const frame = (html, sandbox) => loaded('iframe', {srcdoc: html, ...(sandbox ? {sandbox} : {})});
const form = (url, more = '') => `<form id=f method=post action="${url}" ${more}><input name=a value=b></form><script>f.submit()</scr` + 'ipt>';
attack('fetch-no-cors', (url) => fetch(url, {method: 'POST', mode: 'no-cors', body: json}));
attack('fetch-untyped', (url) => fetch(url, {method: 'POST', mode: 'no-cors', body: new Blob([json])}));
attack('fetch-no-referrer', (url) => fetch(url, {method: 'POST', mode: 'no-cors', body: json, referrerPolicy: 'no-referrer'}));
attack('fetch-get-no-referrer', (url) => fetch(url, {mode: 'no-cors', referrerPolicy: 'no-referrer'}));
attack('fetch-keepalive', (url) => fetch(url, {method: 'POST', mode: 'no-cors', body: json, keepalive: true}));
attack('fetch-cors', (url) => fetch(url, {method: 'POST', body: json}));
attack('fetch-preflight', (url) => fetch(url, {method: 'PUT', headers: {'Content-Type': 'application/json'}, body: json}));
attack('xhr', (url) => new Promise((done) => { const x = new XMLHttpRequest(); x.onloadend = done; x.open('POST', url); x.send(json); }));
attack('beacon', (url) => { navigator.sendBeacon(url, json); });
attack('image', (url) => loaded('img', {src: url}));
attack('image-no-referrer', (url) => loaded('img', {referrerPolicy: 'no-referrer', src: url}));
attack('script', (url) => loaded('script', {src: url}));
attack('module', (url) => loaded('script', {type: 'module', src: url}));
attack('style', (url) => loaded('link', {rel: 'stylesheet', href: url}));
attack('prefetch', (url) => loaded('link', {rel: 'prefetch', href: url}));
attack('preload', (url) => loaded('link', {rel: 'preload', as: 'fetch', href: url}));
attack('font', (url) => new FontFace('f', `url(${url})`).load());
attack('video', (url) => { element('video', {src: url}); });
attack('object', (url) => { element('object', {data: url}); });
attack('iframe', (url) => loaded('iframe', {src: url}));
attack('form', (url) => frame(form(url)));
attack('form-plain', (url) => frame(form(url, 'enctype=text/plain')));
attack('form-no-referrer', (url) => frame('<meta name=referrer content=no-referrer>' + form(url)));
attack('form-sandbox', (url) => frame(form(url), 'allow-scripts allow-forms'));
attack('fetch-sandbox', (url) => frame(`<script>fetch("${url}", {method: "POST", mode: "no-cors", body: "{}"})</scr` + 'ipt>', 'allow-scripts'));
attack('websocket', (url) => new Promise((done) => { new WebSocket(url.replace('http', 'ws')).onclose = done; }));
attack('event-source', (url) => new Promise((done) => { const s = new EventSource(url); s.onerror = () => { s.close(); done(); }; }));
attack('worker', (url) => new Promise((done) => {
  const text = `fetch(${JSON.stringify(url)}, {method: 'POST', mode: 'no-cors', body: '{}'}).finally(() => postMessage(1))`;
  new Worker(URL.createObjectURL(new Blob([text]))).onmessage = done; }));
attack('window', (url) => { window.open(url, '_blank', 'noreferrer'); });
attack('ping', (url) => { const a = Object.assign(document.createElement('a'), {href: '#x', ping: url}); document.body.append(a); a.click(); });
const patience = new Promise((done) => setTimeout(done, 4000));
Promise.race([Promise.all(all).then(() => new Promise((done) => setTimeout(done, 1500))), patience]).then(() => fetch('/done'));
</script>"""

# A request that a page can send without the guard, and that must be detected with it.
MUST_WORK = {"fetch-no-cors", "fetch-untyped", "beacon", "image", "form", "iframe", "script", "style", "worker", "form-sandbox"}

PROGRAMS = {
    "curl": ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--json", "{}", "URL"],
    "curl, an upload": ["sh", "-c", "echo '{}' | curl -sS -o /dev/null -w '%{http_code}' -T - URL"],
    "node, fetch": ["node", "-e", "fetch('URL', {method: 'POST', body: '{}'}).then(r => console.log(r.status))"],
    "node, http": ["node", "-e", "require('http').request('URL', {method: 'POST'}, r => { console.log(r.statusCode); r.resume() }).end('{}')"],
    "python, urllib": ["python3", "-c", "import urllib.request as u; print(u.urlopen('URL', b'{}').status)"],
    "python, http.client": [
        "python3", "-c",
        "import http.client as h; c = h.HTTPConnection('HOST'); c.request('POST', '/svc/a', '{}'); print(c.getresponse().status)",
    ],
    "php, streams": [
        "php", "-r",
        "file_get_contents('URL', false, stream_context_create(['http' => ['method' => 'POST', 'content' => '{}']]));"
        " echo explode(' ', $http_response_header[0])[1];",
    ],
    "java, HttpClient": ["java", "JAVA", "URL"],
}  # fmt: skip
JAVA = """
import java.net.URI; import java.net.http.*;
public class Call { public static void main(String[] a) throws Exception {
  var request = HttpRequest.newBuilder(URI.create(a[0])).version(HttpClient.Version.HTTP_1_1)
      .POST(HttpRequest.BodyPublishers.ofString("{}")).build();
  System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
} }
"""


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body=b"{}", kind="application/json"):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Upstream:
    """Records the requests that reach it."""

    def __init__(self):
        seen = self.seen = []

        class Handler(Quiet):
            def do_POST(self):
                seen.append((self.path.rsplit("/", 1)[-1], self.headers.get("Signature")))
                self.answer()

            do_GET = do_PUT = do_OPTIONS = do_HEAD = do_POST

        self.port = serve(Handler)


class Signer(sidecar.Sidecar):
    def __init__(self, program, upstream, guard=True):
        settings = {} if guard else {"listen.browser_guard": "false"}
        super().__init__(program, f"http://127.0.0.1:{upstream.port}", settings)

    def denied(self):
        text = urllib.request.urlopen(f"http://{self.admin}/metrics").read().decode()
        return int(float(re.search(r'proxy_errors_total\{reason="browser_denied",sent="no"\} (\S+)', text)[1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def browse(work, base):
    """Opens the page that attacks `base` in Chromium, and waits until the page has sent every request."""
    done = threading.Event()

    class Page(Quiet):
        def do_GET(self):
            if self.path == "/done":
                done.set()
            self.answer(PAGE.replace("BASE", base).encode(), "text/html; charset=utf-8")

    profile = tempfile.mkdtemp(dir=work)
    words = [*CHROMIUM, f"--user-data-dir={profile}", "--remote-debugging-port=0", f"http://127.0.0.1:{serve(Page)}/"]
    chromium = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not done.wait(60):
            raise SystemExit("the page has not finished in 60 s")
    finally:
        chromium.terminate()
        chromium.wait()


def main(program):
    work = pathlib.Path(tempfile.mkdtemp())
    failed = []
    try:
        (work / "Call.java").write_text(JAVA)
        upstream = Upstream()
        # A page of 127.0.0.1 on another port is same-site; a page of another name is cross-site.
        for name in ["localhost", "127.0.0.1"]:
            with Signer(program, upstream) as signer:
                browse(work, f"http://{name}:{signer.listen.rsplit(':', 1)[1]}")
                reached, denied = sorted({kind for kind, _ in upstream.seen}), signer.denied()
                print(f"with the guard, {name}: {len(reached)} kinds of request reached the upstream, {denied} were denied")
                if reached or denied < len(MUST_WORK):
                    failed.append(f"{name}: reached {reached}, {denied} denied")
            upstream.seen.clear()
        with Signer(program, upstream, guard=False) as signer:
            browse(work, f"http://localhost:{signer.listen.rsplit(':', 1)[1]}")
            signed = sorted({kind for kind, signature in upstream.seen if signature})
            print(f"without it: {len(signed)} kinds were signed: {' '.join(signed)}")
            if missing := MUST_WORK - set(signed):
                failed.append(f"without the guard the page should get through: {missing}")
        upstream.seen.clear()
        with Signer(program, upstream) as signer:
            for name, words in PROGRAMS.items():
                replaced = {"URL": f"http://{signer.listen}/svc/a", "HOST": signer.listen, "JAVA": str(work / "Call.java")}
                for old, new in replaced.items():
                    words = [word.replace(old, new) for word in words]
                env = {**os.environ, "no_proxy": "*", "HTTP_PROXY": "", "http_proxy": ""}
                done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=env)
                signed = len([signature for _, signature in upstream.seen if signature])
                upstream.seen.clear()
                print(f"{name}: {done.stdout.strip()}, {signed} signed")
                if (done.stdout.strip(), signed) != ("200", 1):
                    failed.append(f"{name}: {done.stdout} {done.stderr}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("failed: " + "; ".join(failed) if failed else "passed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
