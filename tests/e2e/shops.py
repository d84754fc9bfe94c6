#!/usr/bin/env python3
"""A shop in Node, PHP and Python, each against `dev`: an order with a link, a payment on the page in Chromium, verified webhooks, a partial
and a full refund. Every state is checked at the shop and at the simulator, both through the sidecar.

    tests/e2e/shops.py PROGRAM [SHOP...]

Needs chromium and chromedriver, node, php."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "prometheus")]
from browser import Browser
from programs import P, free_port, wait_for

SHOPS = {
    "node": lambda port: ["node", HERE / "shops/shop.mjs"],
    "php": lambda port: ["php", "-q", "-S", f"127.0.0.1:{port}", HERE / "shops/shop.php"],
    "python": lambda port: [sys.executable, HERE / "shops/shop.py"],
}


def ask(url, body=None):
    """Status and JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Case:
    """One shop with its sidecar and simulator."""

    def __init__(self, name, program, directory, ends):
        self.name = name
        port = free_port()
        self.shop = f"http://127.0.0.1:{port}"
        ready = directory / "ready.json"
        dev = [program, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--simulator", "127.0.0.1:0",
               "--ready-file", ready, "--webhook-to", f"{self.shop}/webhooks"]
        self.start(dev, directory / "dev.log", {}, ends)
        wait_for(ready.exists, 20, f"{name}: dev is ready")
        addresses = json.loads(ready.read_text())
        self.wonder, self.webhooks = f"http://{addresses['listen']}", addresses.get("webhook")
        environment = {"WONDER": self.wonder, "PORT": str(port), "ORDERS": str(directory / "orders.json"), "PHP_CLI_SERVER_WORKERS": "4"}
        self.start(SHOPS[name](port), directory / "shop.log", environment, ends)
        wait_for(self.is_up, 20, f"{name}: the shop answers")

    def start(self, command, log, environment, ends):
        with open(log, "wb") as log:
            # A process group of its own, because PHP's server has workers.
            process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                       env={**os.environ, **environment}, start_new_session=True)
        ends.callback(process.wait)
        ends.callback(os.killpg, process.pid, 15)

    def is_up(self):
        try:
            return ask(f"{self.shop}/orders/none")[0] == 200
        except OSError:
            return False

    def check(self, what, holds):
        if not holds:
            sys.exit(f"shops: {self.name}: {what}")

    def order(self, reference):
        """The order at the simulator."""
        status, answer = ask(f"{self.wonder}{P}/orders/check", {"order": {"reference_number": reference}})
        self.check(f"orders/check of {reference}: {status} {answer}", status == 200 and answer["code"] == 200)
        return answer["data"]["order"]

    def at_shop(self, reference):
        return ask(f"{self.shop}/orders/{reference}")[1]

    def await_shop(self, reference, status):
        wait_for(lambda: self.at_shop(reference)["status"] == status, 30, f"{self.name}: {reference} is {status} at the shop: {self.at_shop(reference)}")

    def await_event(self, reference, event):
        wait_for(lambda: event in self.at_shop(reference)["events"], 30, f"{self.name}: the shop has {event} of {reference}: {self.at_shop(reference)}")

    def expect(self, reference, state, correspondence, paid, unpaid):
        order = self.order(reference)
        found = (order["state"], order["correspondence_state"], order["paid_total"], order["unpaid_total"])
        self.check(f"{reference} is {found}", found == (state, correspondence, paid, unpaid))
        return order

    def buy(self, reference, amount="120.00"):
        status, answer = ask(f"{self.shop}/orders", {"reference": reference, "amount": amount})
        self.check(f"no order: {status} {answer}", status == 201)
        self.await_event(reference, "order.created")
        self.expect(reference, "invoiced", "unpaid", "0.00", amount)
        return answer["payment_link"]

    def press(self, browser, link, outcome, method="fps"):
        """Chooses on the payment page, and returns to the shop without another click."""
        browser.open(link)
        browser.press(f"label:has(input[value={method}])")
        browser.press(f"button[value={outcome}]")
        wait_for(lambda: browser.url().startswith(f"{self.shop}/thanks?reference="), 20, f"{self.name}: back at the shop after {outcome}")

    def run(self, browser):
        # Declined at first, then paid.
        link = self.buy("PAID-1")
        self.press(browser, link, "failure")
        self.await_event("PAID-1", "order.payment_failure")
        self.expect("PAID-1", "invoiced", "unpaid", "0.00", "120.00")
        self.check("a declined order is new", self.at_shop("PAID-1")["status"] == "new")
        self.press(browser, link, "success")
        self.await_shop("PAID-1", "paid")
        order = self.expect("PAID-1", "completed", "paid", "120.00", "0.00")
        sale = [found for found in order["transactions"] if found["success"]][0]
        self.check(f"the sale is {sale}", (sale["type"], sale["amount"], sale["payment_method"]) == ("Sales", 120, "fps"))

        # Refunded in part, then wholly.
        self.refund("PAID-1", "20.00")
        self.await_shop("PAID-1", "partly refunded")
        self.expect("PAID-1", "in_completed", "partial_paid", *self.totals("PAID-1"))
        self.refund("PAID-1", "100.00")
        self.await_shop("PAID-1", "refunded")
        order = self.order("PAID-1")
        self.check(f"refunded order is {order['state']}", (order["state"], order["correspondence_state"]) == ("completed", "refunded"))
        refunds = [found["amount"] for found in order["transactions"] if found["type"] == "Refund"]
        self.check(f"refunds are {refunds}", sorted(map(abs, refunds)) == [20, 100])
        status, answer = ask(f"{self.shop}/refunds", {"reference": "PAID-1", "amount": "1.00"})
        self.check(f"more was refunded than paid: {status} {answer}", status == 500)
        known = self.at_shop("PAID-1")
        self.check(f"shop has {known}", known["fulfilled"] == 1 and known["refunded"] == 12000)
        events = ["order.created", "order.payment_failure", "order.paid", "order.refunded", "order.refunded"]
        self.check(f"events are {known['events']}", sorted(known["events"]) == sorted(events))

        # Left pending: the shop delivers nothing.
        self.press(browser, self.buy("PENDING-1"), "pending")
        self.check("a pending order is new", self.at_shop("PENDING-1")["status"] == "new")
        pending = self.order("PENDING-1")["transactions"]
        self.check(f"pending is {pending}", [found["is_pending"] for found in pending] == [True])
        self.forge()
        print(f"shops: {self.name}: order, payment, webhooks and refunds passed")

    def totals(self, reference):
        order = self.order(reference)
        return order["paid_total"], order["unpaid_total"]

    def refund(self, reference, amount):
        status, answer = ask(f"{self.shop}/refunds", {"reference": reference, "amount": amount})
        self.check(f"no refund: {status} {answer}", status == 200)

    def forge(self):
        """A forged webhook does not reach the shop."""
        self.check("dev names no webhook listener", self.webhooks)
        body = {"reference_number": "PENDING-1", "state": "completed", "correspondence_state": "paid", "currency": "HKD", "initial_total": 120}
        status, _ = ask(f"http://{self.webhooks}/webhooks", body)
        self.check(f"a forged webhook got {status}", status == 401)
        self.check("a forged webhook reached the shop", self.at_shop("PENDING-1")["status"] == "new")


def main(program, names):
    for name in names or SHOPS:
        if not shutil.which({"python": sys.executable}.get(name, name)):
            sys.exit(f"shops: {name} is missing")
        with contextlib.ExitStack() as ends:
            directory = pathlib.Path(ends.enter_context(tempfile.TemporaryDirectory()))
            browser = ends.enter_context(Browser())
            case = Case(name, program, directory, ends)
            try:
                case.run(browser)
            except BaseException:
                for log in ("dev.log", "shop.log"):
                    print(f"-- {log}\n" + "\n".join((directory / log).read_text(errors="replace").splitlines()[-30:]), file=sys.stderr)
                raise


main(os.path.realpath(sys.argv[1]), sys.argv[2:])
