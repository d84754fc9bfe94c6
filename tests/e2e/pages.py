#!/usr/bin/env python3
"""The pages for people, as a browser shows them: the status page in its four states, and the simulator's 3-D Secure page. What they say,
that they fit a phone, that nothing of them is refused by their own security policy, and that a reader of the screen gets charts in words.

    WONDER_SIGNER=target/debug/wonder-signer tests/e2e/pages.py [--pictures DIRECTORY]

Needs chromium and chromedriver (Debian: chromium-driver). Pictures are for people to look at; nothing compares them."""

import contextlib
import json
import os
import pathlib
import signal
import sys
import tempfile
import time
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
    """Opens the page in every size and scheme, and checks what holds for all of them."""
    for look, width, height in LOOKS:
        for scheme in SCHEMES:
            browser.look(width, height, scheme)
            browser.open(url)
            text = browser.text()
            for words in says:
                check(f"{state}: does not say {words!r}, but {text!r}", words in text)
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
    # Two samples, so that the charts have something to draw.
    time.sleep(21)
    for load in loads:
        load.stop()
    judge(browser, "ready", page(good), ["ready last success 200 from 127.0.0.1", "2xx ", "last error none"], ["problem"])
    drawn = browser.script("return document.querySelector('svg .requests').getAttribute('d').length")
    check("ready: no bar in the chart of requests", drawn > 0)
    judge(browser, "problem", page(wrong), [
        "problem: no request gets through", "Wonder rejected the authentication of", "runbook: WonderSignerAuthRejected",
        "401 from 127.0.0.1", "key, AppID, clock or address",
    ])
    judge(browser, "unreachable", page(nowhere), [
        "problem: no request gets through", "found no connection to 127.0.0.1", "upstream_connect", "network",
    ], ["failed in wonder-signer itself"])

    # The link works where there is no other network, and leads to the entry.
    browser.press("#problems a")
    wait_for(lambda: browser.shows("## WonderSignerUpstreamUnreachable (page)"), 10, "the runbook's entry is shown")

    secure(browser, stage, good)

    # A page that is open renews itself, and says so when nobody answers any more.
    browser.open(page(good))
    good.signal(signal.SIGTERM)
    wait_for(lambda: browser.shows("not ready: draining", "#headline"), 10, "the open page shows the drain")
    judge(browser, "draining", page(good), ["not ready: draining", "rejects new ones", "runbook: WonderSignerDrainSlow"])
    browser.open(page(new))
    new.kill()
    wait_for(lambda: browser.shows("no answer", "#headline"), 10, "the open page says that it is old")


def secure(browser, stage, sidecar):
    """A card is stored: the payer approves, and is back at the shop without another click."""
    shop = f"http://127.0.0.1:{sidecar.admin}/livez"

    def ask(target, body):
        request = urllib.request.Request(f"http://127.0.0.1:{sidecar.listen}{target}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]

    made = ask(f"{P}/customers", {"customer": {"name": "K", "phone": "55501234", "reference_number": "secure"}})
    card = {
        "number": "4111111111111111", "exp_month": "08", "exp_year": "31", "holder_name": "K TEA",
        "3ds": {"success_return_url": shop, "fail_return_url": shop}, "transaction_type": "recurring_payment",
    }
    token = ask(f"{P}/customers/{made['customer']['uuid']}/payment_tokens", {"card": card})["payment_token"]
    says = [f"Merchant 127.0.0.1:{sidecar.admin}", "Amount no charge", "Visa 411111******1111", "Approve Decline", "Simulation"]
    judge(browser, "secure", token["verify_url"], says, charts=0)
    browser.press("button.act")
    wait_for(lambda: browser.shows("Approved. The payment token is ready"), 10, "the result is shown")
    if pictures:
        browser.picture(pictures / "secure-approved.png")
    wait_for(lambda: browser.url() == shop, 20, "the payer is back at the shop")


pictures = pathlib.Path(sys.argv[2]) if sys.argv[1:2] == ["--pictures"] else None
with contextlib.ExitStack() as ends:
    stage = Stage(os.environ["WONDER_SIGNER"], ends.enter_context(tempfile.TemporaryDirectory()))
    ends.callback(stage.end)
    run(ends.enter_context(Browser()), stage)
print("pages: all as it should be")
