"""Small HTTP servers: an upstream with set answers, and an instance with replaced metrics."""

import email.utils
import http.server
import re
import threading
import time
import urllib.request


def serve(port, handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    # A client that disconnects is no error.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class OddUpstream:
    """Answers every request with `status` and a Date that is off by `clock` seconds."""

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
    """The metrics of `source`, at most a second old; all users share one fetch."""
    with FETCHING:
        when, text = RECENT.get(source, (0, ""))
        if time.monotonic() - when > 1:
            with urllib.request.urlopen(source, timeout=2) as answer:
                text = answer.read().decode()
            RECENT[source] = (time.monotonic(), text)
        return text


class Player:
    """Serves the metrics of a real instance, with some lines replaced while `playing`, for faults that cannot be caused in a real one.

    `lines` maps a series, as it is written, to a function from seconds to its value. A series that the real instance does not have is
    added. Without a `source` only these lines are served.
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
