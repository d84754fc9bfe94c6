"""A small service: takes a sign-up and creates the customer at Wonder, through the sidecar, unsigned and in plain HTTP.

    POST /signup {"name": "Kestrel Tea Room", "phone": "55501234", "reference": "KTR-0042"}
    POST 127.0.0.1:8001/wonder/webhooks          Wonder's webhooks, which the sidecar has verified

It has no key and no Wonder library. It uses one URL of the sidecar and the two headers of the error contract.
"""

import http.client
import http.server
import json
import os
import signal
import sys
import threading
import urllib.parse

WONDER = urllib.parse.urlsplit(os.environ.get("WONDER_URL", "http://127.0.0.1:8080"))
CUSTOMERS = "/svc/payment/api/v1/openapi/customers"
# Longer than the sidecar's own timeouts.request (28 s), so that the sidecar's error, which names the cause, arrives first.
PATIENCE = 30


class Outcome(Exception):
    """The answer for the caller of this service: status and JSON."""

    def __init__(self, status, **body):
        super().__init__(status)
        self.status, self.body = status, body


def create_customer(name, phone, reference):
    connection = http.client.HTTPConnection(WONDER.hostname, WONDER.port, timeout=PATIENCE)
    body = json.dumps({"customer": {"name": name, "phone": phone, "reference_number": reference}})
    try:
        connection.request("POST", CUSTOMERS, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    except ConnectionRefusedError:
        raise Outcome(503, error="sidecar_absent", sent="no") from None
    except (OSError, http.client.HTTPException):
        # The answer broke off, so the outcome is unknown. Look the customer up before trying again.
        raise Outcome(502, error="broken_off", sent="maybe") from None
    finally:
        connection.close()
    error = answer.getheader("X-Wonder-Signer-Error")
    if error:
        raise Outcome(503, error=error, sent=answer.getheader("X-Wonder-Signer-Sent"))
    if answer.status != 200:
        raise Outcome(502, error="refused_by_wonder", status=answer.status)
    return json.loads(text)


class Signup(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(*((200, {"ok": True}) if self.path == "/healthz" else (404, {"error": "not_found"})))

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if self.path != "/signup":
                raise Outcome(404, error="not_found")
            try:
                given = json.loads(text)
                fields = given["name"], given["phone"], given["reference"]
            except (ValueError, KeyError, TypeError):
                raise Outcome(400, error="name, phone and reference are needed") from None
            create_customer(*fields)
            self.answer(200, {"created": fields[2]})
        except Outcome as outcome:
            self.answer(outcome.status, outcome.body)

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Logs nothing, because names and telephone numbers must not be in the log."""


class Webhooks(Signup):
    """Webhooks have a port on loopback, so that only the sidecar can send one: it has verified them."""

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/wonder/webhooks":
            return self.answer(404, {"error": "not_found"})
        try:
            reference = json.loads(text)["reference_number"]
        except (ValueError, KeyError, TypeError):
            # Not an event about an order.
            reference = None
        # A service would store the order's state here, before it answers: after a 200 Wonder does not send the webhook again.
        print(json.dumps({"webhook": self.headers["X-Action"], "reference": reference}), flush=True)
        self.answer(200, {})


class Server(http.server.ThreadingHTTPServer):
    # Requests under way are waited for at the end.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128


def main():
    host, port = os.environ.get("LISTEN", "0.0.0.0:8000").rsplit(":", 1)
    server = Server((host, int(port)), Signup)
    host, port = os.environ.get("WEBHOOKS", "127.0.0.1:8001").rsplit(":", 1)
    webhooks = Server((host, int(port)), Webhooks)
    thread = threading.Thread(target=webhooks.serve_forever)
    thread.start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    server.server_close()
    webhooks.shutdown()
    thread.join()
    webhooks.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
