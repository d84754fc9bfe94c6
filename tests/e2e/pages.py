#!/usr/bin/env python3
"""The pages for people in a browser: the status page in its four states, and the simulator's payment page, 3-D Secure page and console.
Checks their texts, that they fit a phone, that their own security policy blocks nothing, and that charts have names for screen readers.

    WONDER_SIGNER=target/debug/wonder-signer tests/e2e/pages.py [--pictures DIRECTORY]

Needs chromium and chromedriver (Debian: chromium-driver). The pictures are for people; no test compares them."""

import contextlib
import json
import os
import pathlib
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "prometheus")]
from browser import Browser
from programs import P, Load, Sidecar, Stage, free_port, wait_for

LOOKS = [("desktop", 1280, 900), ("phone", 390, 844)]
SCHEMES = ["light", "dark"]
LINGERS = '[shutdown]\ndrain_delay = "60s"\n'


def check(what, holds):
    if not holds:
        sys.exit(f"pages: {what}")


def judge(browser, state, url, says, says_not=(), charts=4):
    """Opens the page in every size and colour scheme, and checks the rules for all of them."""
    for look, width, height in LOOKS:
        for scheme in SCHEMES:
            browser.look(width, height, scheme)
            browser.open(url)
            text = browser.text()
            for words in says:
                check(f"{state}: {words!r} is missing in {text!r}", words in text)
            for words in says_not:
                check(f"{state}: says {words!r}", words not in text)
            wide = browser.script("return document.documentElement.scrollWidth")
            check(f"{state}, {look}: {wide} px wide", wide <= width)
            if pictures:
                browser.picture(pictures / f"{state}-{look}-{scheme}.png")
    complaints = browser.complaints()
    check(f"{state}: {complaints}", not complaints)
    named = [name for role, name in browser.names() if role in ("image", "img")]
    check(f"{state}: charts are named {named}", len(named) == charts and all(named))


def run(browser, stage):
    origin = "https://%s:%d" % stage.simulator
    good = Sidecar(stage, "good", origin, LINGERS)
    new = Sidecar(stage, "new", origin)
    wrong = Sidecar(stage, "wrong", origin, key="wrong")
    nowhere = Sidecar(stage, "nowhere", f"http://127.0.0.1:{free_port()}")
    for sidecar in (good, new, wrong, nowhere):
        wait_for(sidecar.ready, 20, f"{sidecar.name} is ready")
    page = lambda sidecar: f"http://127.0.0.1:{sidecar.admin}/"

    judge(browser, "idle", page(new), ["ready; no request yet", "last success none yet", "custom", os.uname().nodename])

    loads = [Load(sidecar.listen) for sidecar in (good, wrong, nowhere)]
    # Two samples, so that the charts have data.
    time.sleep(21)
    for load in loads:
        load.stop()
    judge(browser, "ready", page(good), ["ready last success 200 from 127.0.0.1", "2xx ", "last error none"], ["problem"])
    drawn = browser.script("return document.querySelector('svg .requests').getAttribute('d').length")
    check("ready: no bar in the chart of requests", drawn > 0)
    judge(browser, "problem", page(wrong), [
        "problem: no request succeeds", "Wonder rejected the authentication of", "runbook: WonderSignerAuthRejected",
        "401 from 127.0.0.1", "key, AppID, clock or address",
    ])
    judge(browser, "unreachable", page(nowhere), [
        "problem: no request succeeds", "found no connection to 127.0.0.1", "upstream_connect", "network",
    ], ["failed in wonder-signer itself"])

    # The link works without any other network, and leads to the entry.
    browser.press("#problems a")
    wait_for(lambda: browser.shows("## WonderSignerUpstreamUnreachable (page)"), 10, "the runbook's entry is shown")

    secure(browser, stage, good)
    pay(browser, good)
    watch(browser, stage, good)

    # An open page refreshes itself, and reports when the sidecar no longer answers.
    browser.open(page(good))
    good.signal(signal.SIGTERM)
    wait_for(lambda: browser.shows("not ready: draining", "#headline"), 10, "the open page shows the drain")
    judge(browser, "draining", page(good), ["not ready: draining", "rejects new ones", "runbook: WonderSignerDrainSlow"])
    browser.open(page(new))
    new.kill()
    wait_for(lambda: browser.shows("no answer", "#headline"), 10, "the open page reports that it is stale")


def ask(sidecar, target, body):
    request = urllib.request.Request(f"http://127.0.0.1:{sidecar.listen}{target}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["data"]


def secure(browser, stage, sidecar):
    """Stores a card: the payer approves and returns to the shop without another click."""
    shop = f"http://127.0.0.1:{sidecar.admin}/livez"
    made = ask(sidecar, f"{P}/customers", {"customer": {"name": "K", "phone": "55501234", "reference_number": "secure"}})
    card = {
        "number": "4111111111111111", "exp_month": "08", "exp_year": "31", "holder_name": "K TEA",
        "3ds": {"success_return_url": shop, "fail_return_url": shop}, "transaction_type": "recurring_payment",
    }
    token = ask(sidecar, f"{P}/customers/{made['customer']['uuid']}/payment_tokens", {"card": card})["payment_token"]
    says = [f"Merchant 127.0.0.1:{sidecar.admin}", "Amount no charge", "Visa 411111******1111", "Approve Decline", "Simulation"]
    judge(browser, "secure", token["verify_url"], says, charts=0)
    browser.press("button.act")
    wait_for(lambda: browser.shows("Approved. The payment token is ready"), 10, "the result is shown")
    if pictures:
        browser.picture(pictures / "secure-approved.png")
    wait_for(lambda: browser.url() == shop, 20, "the payer is back at the shop")


def pay(browser, sidecar):
    """An order is declined, left pending and paid; checks the page in each state."""
    shop = f"http://127.0.0.1:{sidecar.admin}/livez"

    def order(**more):
        order = {"reference_number": "INV-7781", "charge_fee": "120.00", "currency": "HKD", "redirect_url": shop, **more}
        data = ask(sidecar, f"{P}/orders?with_payment_link=true", {"order": order})
        return data["order"]["number"], data["payment_link"]

    def state(number):
        found = ask(sidecar, f"{P}/orders/check", {"order": {"number": number}})["order"]
        return found["state"], found["correspondence_state"]

    number, link = order()
    says = ["Simulation", "Amount due HKD 120.00", "Merchant Simulated Merchant", "Reference INV-7781", f"Order {number}",
            "Pay with Card Apple Pay UnionPay WeChat Pay AlipayHK Alipay FPS Octopus PayMe", "Pay HKD 120.00 Decline Leave pending"]
    judge(browser, "payment", link, says, charts=0)
    radios = [name for role, name in browser.names() if role == "radio"]
    check(f"payment: the methods are named {radios}", len(radios) == 9 and all(radios))
    # With the keyboard only: the methods are one tab stop, the arrows choose, then comes the button.
    browser.keys("\ue004\ue014\ue004\ue007")
    wait_for(lambda: browser.shows("Payment received"), 10, "the payment is received")
    check(f"payment: {state(number)}", state(number) == ("completed", "paid"))
    paid_with = ask(sidecar, f"{P}/orders/check", {"order": {"number": number}})["order"]["transactions"][0]["payment_method"]
    check(f"payment: paid with {paid_with}", paid_with == "apple_pay")
    if pictures:
        browser.picture(pictures / "payment-received.png")
    wait_for(lambda: browser.url() == shop, 20, "the payer is back at the shop")
    judge(browser, "payment-paid", link, ["Paid already", "Nothing is due", "Back to the merchant"], ["Decline"], charts=0)

    number, link = order()
    for outcome, says in (("failure", "Payment declined"), ("pending", "Payment pending")):
        browser.open(link)
        browser.press(f"button[value={outcome}]")
        wait_for(lambda: browser.shows(says), 10, says)
        wait_for(lambda: browser.url() == shop, 20, f"the payer is back at the shop after {outcome}")
        check(f"payment: {state(number)}", state(number) == ("invoiced", "unpaid"))
    judge(browser, "payment-pending", link, ["Payment pending", "Let it succeed Let it fail"], ["Apple Pay"], charts=0)
    browser.press("button[value=success]")
    wait_for(lambda: browser.shows("Payment received"), 10, "the pending payment succeeded")

    number, link = order()
    ask(sidecar, f"{P}/orders/void", {"order": {"number": number}})
    judge(browser, "payment-voided", link, ["Order voided"], ["Pay HKD"], charts=0)
    unknown = link.rsplit("/", 1)[0] + "/93999999999"
    for look, width, height in LOOKS:
        browser.look(width, height, "light")
        browser.open(unknown)
        check("payment: an unknown order is not named so", browser.shows("There is no such order"))
    # The console has the page's own status 404.
    check("payment: other complaints", all("404" in said for said in browser.complaints()))


def reverse(browser, sidecar, console):
    """An order is voided, one expires, and a payment is voided with the keyboard alone; a webhook that nothing receives is sent again."""

    def order(reference):
        body = {"reference_number": reference, "charge_fee": "80.00", "currency": "HKD", "callback_url": "http://127.0.0.1:9/hook"}
        return ask(sidecar, f"{P}/orders", {"order": body})["order"]["number"]

    for action, says in (("void", "The order was voided."), ("expire", "expired")):
        browser.open(f"{console}/orders/{order(f'CONSOLE-{action}')}")
        browser.press(f"button[value={action}]")
        wait_for(lambda: browser.shows(says), 10, says)
        check(f"console: {action} left the order unpaid", browser.shows("voided", "main"))
    browser.open(f"{console}/orders/{order('CONSOLE-KEYS')}")
    for value, says in (("success", "The order was paid."), ("void-transaction", "voided")):
        # Tab after Tab, until the button has the focus.
        for _ in range(40):
            browser.keys("\ue004")
            if browser.script("return document.activeElement.value") == value:
                break
        check(f"console: Tab does not reach {value}", browser.script("return document.activeElement.value") == value)
        browser.keys("\ue007")
        wait_for(lambda: browser.shows(says), 10, says)
    for role, name in browser.names():
        check(f"console: a {role} without a name", name or role not in ("button", "link", "textbox", "combobox", "table", "navigation"))
    browser.open(f"{console}/webhooks")
    before = browser.script("return document.querySelectorAll('#webhooks tbody tr').length")
    check("console: no delivery is listed", before)
    browser.press("#webhooks tbody button")
    wait_for(lambda: browser.shows("on its way again"), 10, "the webhook is sent again")
    judge(browser, "console-deliveries", f"{console}/webhooks", ["order.created", "order.voided", "Send again"], charts=0)


def watch(browser, stage, sidecar):
    """A developer opens the console, sees calls arrive, and reads why one was rejected."""
    console = "http://%s:%d/console" % stage.simulator
    browser.look(1280, 900, "light")
    browser.open(console)
    before = browser.script("return document.querySelector('#count').innerText")
    ask(sidecar, f"{P}/echo", {"message": "watched"})
    wait_for(lambda: not browser.shows(before, "#count"), 10, "the open list shows the call")
    judge(browser, "console", console, ["local Wonder", "echo", "right", "signature"], charts=0)
    browser.open(f"{console}?only=unverified")
    browser.press("#calls tbody a")
    wait_for(lambda: browser.shows("Likely cause"), 10, "the call is shown in full")
    wrong = browser.url()
    judge(browser, "console-call", wrong, ["the signature fits request and key", "Pre-sign string", "HMAC values", "another private key"], charts=0)
    for name in ("curl", "php", "node", "python"):
        check(f"console: no {name}", browser.script(f"return !!document.querySelector('pre.{name}')"))

    # The order is paid, refunded and found in the list.
    order = {"reference_number": "CONSOLE-1", "charge_fee": "80.00", "currency": "HKD"}
    number = ask(sidecar, f"{P}/orders", {"order": order})["order"]["number"]
    browser.open(f"{console}/orders")
    browser.press("#orders tbody a")
    wait_for(lambda: browser.url().endswith(number), 10, "the newest order is opened")
    browser.press("button[value=success]")
    wait_for(lambda: browser.shows("The order was paid."), 10, "the order is paid")
    judge(browser, "console-order", browser.url(), ["CONSOLE-1", "paid", "Sales", "Refund"], charts=0)
    browser.press("button[value=refund]")
    wait_for(lambda: browser.shows("The payment was refunded."), 10, "the order is refunded")
    judge(browser, "console-orders", f"{console}/orders", ["CONSOLE-1", "refunded"], charts=0)
    reverse(browser, sidecar, console)
    judge(browser, "console-customers", f"{console}/customers", ["secure", "Visa 411111******1111"], charts=0)
    judge(browser, "console-webhooks", f"{console}/webhooks", ["Send again"], charts=0)

    # A fault is switched on, shown at the top of each page, and switched off.
    browser.open(f"{console}/faults")
    browser.script("document.querySelector('input[name=fault]').value = 'status=500'")
    browser.press("form:has(datalist) button")
    wait_for(lambda: browser.shows("Switched on: status=500 for every call", "#faults"), 10, "the fault is on")
    judge(browser, "console-faults", f"{console}/faults", ["Switched on", "What they do"], charts=0)
    try:
        ask(sidecar, f"{P}/echo", {"message": "failing"})
        check("console: the fault has no effect", False)
    except urllib.error.HTTPError as error:
        check(f"console: the fault gave {error.code}", error.code == 500)
    browser.press("#rules button")
    wait_for(lambda: browser.shows("Nothing is switched on."), 10, "the fault is off")
    ask(sidecar, f"{P}/echo", {"message": "again"})
    browser.open(console)
    browser.press("form[action='/console/reset'] button")
    wait_for(lambda: browser.shows("are forgotten"), 10, "everything is forgotten")


pictures = pathlib.Path(sys.argv[2]) if sys.argv[1:2] == ["--pictures"] else None
with contextlib.ExitStack() as ends:
    stage = Stage(os.environ["WONDER_SIGNER"], ends.enter_context(tempfile.TemporaryDirectory()))
    ends.callback(stage.end)
    run(ends.enter_context(Browser()), stage)
print("pages: passed")
