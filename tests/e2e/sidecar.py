"""A sidecar as a process of its own, and an origin that answers every POST with `{}`."""

import http.server
import json
import pathlib
import subprocess
import tempfile
import threading
import time

APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"


class Sidecar:
    """Runs `run` on free ports, in front of `origin`, with a new key. `settings` has keys of the configuration with their values.

    `listen` and `admin` are its addresses, as `host:port`.
    """

    def __init__(self, program, origin, settings=(), config=None):
        self.directory = tempfile.TemporaryDirectory()
        here = pathlib.Path(self.directory.name)
        subprocess.run([program, "keygen", "--out", here / "keys"], check=True, capture_output=True)
        environment = {f"WONDER_SIGNER_{key.replace('.', '__').upper()}": str(value) for key, value in dict(settings).items()}
        words = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--environment", "custom", "--origin", origin]
        words += ["--app-id", APP_ID, "--private-key-file", here / "keys/private_key.pem", "--ready-file", here / "ready.json"]
        words += ["--config", config] if config else []
        with open(here / "log", "wb") as log:
            self.process = subprocess.Popen([program, "run", *words], env=environment, stderr=log)
        while not (here / "ready.json").exists():
            if self.process.poll() is not None:
                raise SystemExit(f"the sidecar ended: {(here / 'log').read_text()}")
            time.sleep(0.01)
        bound = json.loads((here / "ready.json").read_text())
        self.listen, self.admin = bound["listen"], bound["admin"]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            # The sidecar was killed while its connection was open.
            pass


def serve(server):
    """Serves in a thread of its own until the program ends."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
