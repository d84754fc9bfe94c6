"""A service behind a webhook listener, which prints each request but that of the readiness probe, and answers 200.

    webhook_handler.py PORT...
"""

import http.server
import json
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path != "/healthz":
            headers = [[name.lower(), value] for name, value in self.headers.items()]
            print(json.dumps({"port": self.server.server_port, "method": self.command, "target": self.path, "headers": headers, "body": body}), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_):
        pass


for port in sys.argv[1:]:
    threading.Thread(target=http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever).start()
