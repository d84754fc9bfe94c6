"""A shop that sells through Wonder: an order with a payment link, and the webhooks that report its payment. The standard library suffices.

    POST :3000/orders {"reference", "amount"}   creates an order, and returns its payment link
    GET  :3000/orders/<reference>               returns its status
    POST 127.0.0.1:8000/webhooks                receives webhooks from the sidecar, which has verified them

The shop has no key: the sidecar on loopback signs its calls. Webhooks have a port on loopback, so that nothing but the sidecar can send one."""

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIDECAR = "http://127.0.0.1:8080/svc/payment/api/v1/openapi"
orders, lock = {}, threading.Lock()


def wonder(path, body):
    """One call to Wonder. HTTP 200 is not success yet: Wonder reports business errors as HTTP 200 with another `code`."""
    request = urllib.request.Request(f"{SIDECAR}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        found = json.load(answer)
    if found["code"] != 200:
        raise RuntimeError(f"Wonder: {found['code']} {found['message']}")
    return found["data"]


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        try:
            self.reply(*self.post(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        except Exception as error:
            # For a webhook, 500 means: send it again.
            self.reply(500, {"error": str(error)})


class Shop(Server):
    def post(self, body):
        if self.path != "/orders":
            return 404, {}
        order = {"reference_number": body["reference"], "charge_fee": body["amount"], "currency": "HKD"}
        with lock:
            orders[body["reference"]] = {"amount": body["amount"], "status": "new"}
        link = wonder("orders?with_payment_link=true", {"order": order})["payment_link"]
        return 201, {"payment_link": link}

    def do_GET(self):
        known = orders.get(urllib.parse.unquote(self.path.removeprefix("/orders/")))
        self.reply(200 if known else 404, known or {})


class Webhooks(Server):
    def post(self, order):
        # A webhook may be repeated, and a later one may overtake an earlier one: the state is in the order, not in the event's name.
        with lock:
            known = orders.get(order["reference_number"])
            if known is not None:
                known["status"] = order["correspondence_state"]
                known["verified_at"] = self.headers["X-Wonder-Signer-Webhook-Time"]
        return 200, {}


threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", 8000), Webhooks).serve_forever, daemon=True).start()
ThreadingHTTPServer(("0.0.0.0", 3000), Shop).serve_forever()
