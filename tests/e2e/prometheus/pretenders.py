"""Small HTTP servers that pretend: an upstream that answers as it is told, and an instance whose metrics are played."""

import email.utils
import http.server
import re
import threading
import time
import urllib.request


def serve(port, handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    # Whoever asked and went away again is no news.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class OddUpstream:
    """Answers every request with `status` and a Date that is `clock` seconds off."""

    def __init__(self, port):
        odd = self
        self.status = 200
        self.clock = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b'{"code":200,"message":"success","data":{}}'
                self.send_response_only(odd.status)
                self.send_header("Date", email.utils.formatdate(time.time() + odd.clock, usegmt=True))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        serve(port, Handler)


RECENT = {}
FETCHING = threading.Lock()


def shared(source):
    """The metrics of `source`, at most a second old: one fetch serves all players."""
    with FETCHING:
        when, text = RECENT.get(source, (0, ""))
        if time.monotonic() - when > 1:
            with urllib.request.urlopen(source, timeout=2) as answer:
                text = answer.read().decode()
            RECENT[source] = (time.monotonic(), text)
        return text


class Player:
    """Passes on the metrics of a real instance, some lines replaced while `playing`: what cannot be brought about in a real one.

    `lines` gives for a series as it is written the function from seconds played to its value. A series that the real one does not
    have is added. Without a `source` only the played lines are there.
    """

    def __init__(self, port, source, lines):
        player = self
        self.source = source
        self.lines = lines
        self.since = None

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    body = player.text().encode()
                except OSError:
                    self.send_error(502)
                    return
                self.send_response_only(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = serve(port, Handler)

    def play(self):
        self.since = time.monotonic()

    def stop(self):
        self.since = None

    def text(self):
        real = shared(self.source) if self.source else ""
        if self.since is None:
            return real
        played = time.monotonic() - self.since
        families = {re.match(r"\w+", series)[0] for series in self.lines if "_info{" in series or "_timestamp_" in series}
        kept = [
            line
            for line in real.splitlines()
            if line.rsplit(" ", 1)[0] not in self.lines and re.match(r"\w*", line)[0] not in families
        ]
        return "\n".join(kept + [f"{series} {value(played)}" for series, value in self.lines.items()]) + "\n"
