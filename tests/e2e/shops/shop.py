"""A shop that sells through Wonder: an order with a payment link, the webhooks that say what became of it, refunds. The standard library suffices.

    WONDER=http://127.0.0.1:8080 PORT=3000 python3 shop.py

WONDER is the signing listener of the sidecar: the shop has no key. Webhooks arrive through the sidecar's webhook listener, which verifies
them first; so this port is for the sidecar alone, and not for the internet."""

import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WONDER, PORT = os.environ["WONDER"], int(os.environ["PORT"])
SELF = f"http://127.0.0.1:{PORT}"
orders, lock = {}, threading.Lock()


def cents(amount):
    return int(Decimal(str(amount)) * 100)


def wonder(path, body):
    """One call to Wonder. HTTP 200 is not success yet: Wonder reports business errors as HTTP 200 with another `code`."""
    request = urllib.request.Request(
        f"{WONDER}/svc/payment/api/v1/openapi/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        found = json.load(answer)
    if found["code"] != 200:
        raise RuntimeError(f"Wonder: {found['code']} {found['message']}")
    return found["data"]


def buy(reference, amount):
    order = {
        "reference_number": reference, "charge_fee": amount, "currency": "HKD",
        "redirect_url": f"{SELF}/thanks?{urllib.parse.urlencode({'reference': reference})}",
    }
    with lock:
        orders[reference] = {"amount": amount, "status": "new", "fulfilled": 0, "refunded": 0, "events": []}
    return {"payment_link": wonder("orders?with_payment_link=true", {"order": order})["payment_link"]}


def webhook(action, order):
    """A webhook may be repeated, and a later one may overtake an earlier one. So the shop takes its state from the order in the body, and not
    from the name of the event. "paid" is `correspondence_state`; `state` is `completed` for refunded orders too."""
    with lock:
        known = orders.get(order["reference_number"])
        if known is None:
            return  # of another system with the same AppID; Wonder need not send it again
        refunds = [t for t in order.get("transactions") or [] if t["type"] == "Refund" and t["success"]]
        known["events"].append(action)
        known["refunded"] = max(known["refunded"], sum(cents(refund["amount"]) for refund in refunds))
        if known["refunded"] >= cents(known["amount"]):
            known["status"] = "refunded"
        elif known["refunded"] > 0:
            known["status"] = "partly refunded"
        elif (order["correspondence_state"], order["currency"], cents(order["initial_total"])) == ("paid", "HKD", cents(known["amount"])):
            known["status"] = "paid"
            known["fulfilled"] = 1  # the goods leave once


def refund(reference, amount):
    order = {"reference_number": reference}
    found = wonder("orders/check", {"order": order})["order"]
    sale = next(t for t in found["transactions"] if t["type"] == "Sales" and t["success"])
    wonder("orders/refund", {"order": order, "transaction": {"uuid": sale["uuid"]}, "refund": {"amount": amount, "note": "customer"}})
    return {}


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status, text, kind="application/json"):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        try:
            match self.path:
                case "/orders":
                    self.answer(201, json.dumps(buy(**self.body())))
                case "/refunds":
                    self.answer(200, json.dumps(refund(**self.body())))
                case "/webhooks":
                    webhook(self.headers["X-Action"], self.body())
                    self.answer(200, "{}")
                case _:
                    self.answer(404, "{}")
        except Exception as error:
            # For a webhook, 500 means: send it again.
            self.answer(500, json.dumps({"error": str(error)}))

    def do_GET(self):
        if self.path.startswith("/orders/"):
            with lock:
                self.answer(200, json.dumps(orders.get(urllib.parse.unquote(self.path.removeprefix("/orders/")))))
        elif self.path.startswith("/thanks"):
            self.answer(200, "Thank you\n", "text/plain")
        else:
            self.answer(404, "{}")

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Shop).serve_forever()
