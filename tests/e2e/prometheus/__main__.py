"""Alert rules, dashboard and runbook against a real Prometheus; see ../prometheus.sh."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import documents
import incidents
from faults import Fault, all_faults, settings
from programs import Load, Sidecar, Stage, wait_for
from server import RULES, Prometheus, shortened
from tally import Tally

HEALTHY_FOR = 15
FIRES_WITHIN = 75
CLEARS_WITHIN = 120
QUIET_FOR = 5
# Alerts about too little processor time. This machine may have too little, so they are printed and do not fail.
BUSY = {"WonderSignerAddedLatencyHigh", "WonderSignerSigningSlow"}


def promtool(tally, *arguments, text=None):
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True)
    tally.check(done.returncode == 0, f"promtool {' '.join(arguments)}", (done.stdout + done.stderr).strip())


def check_scrape(tally, sidecar):
    scrape = sidecar.metrics()
    promtool(tally, "check", "metrics", text=scrape)
    series = sum(1 for line in scrape.splitlines() if line and not line.startswith("#"))
    tally.check(series < 1000, "a scrape has fewer than 1,000 series", str(series))
    there = set(re.findall(r"(?m)^# TYPE (\S+)", scrape))
    unset = documents.declared() - there
    tally.check(not unset, "the scrape has every declared metric", str(unset))
    print(f"a scrape has {series} series")
    return scrape


def receiving(stage):
    """Settings of an instance with a webhook listener, which gets no webhooks."""
    return (
        'webhook.address = "127.0.0.1:0"\nwebhook.forward_to = "http://127.0.0.1:9"\n'
        f'credentials.default.webhook_public_key_file = "{stage.directory}/wrong/public_key.pem"\n'
    )


def quick(tally, stage):
    """Without faults: every check of one healthy instance."""
    host, port = stage.simulator
    sidecar = Sidecar(stage, "steady", f"https://{host}:{port}", receiving(stage) + settings())
    wait_for(sidecar.ready, 20, "the sidecar is ready")
    load = Load(sidecar.listen)
    prometheus = Prometheus(
        stage, [("shop/wonder-signer", sidecar.admin, {"namespace": "shop", "pod": "steady-0"})], pathlib.Path(RULES).read_text()
    )
    try:
        some = "sum(rate(wonder_signer_signatures_total[20s])) > 0"
        wait_for(lambda: load.answers > 20 and prometheus.query(some)[0], 20, "requests are answered, and that was scraped")
        examine(tally, prometheus, sidecar)
    finally:
        load.stop()
        prometheus.end()


def examine(tally, prometheus, sidecar):
    scrape = check_scrape(tally, sidecar)
    rules = prometheus.rules()
    recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
    number, silent = documents.check_expressions(tally, prometheus, scrape, recorded)
    print(f"{number} expressions evaluated; {len(silent)} panels' are empty at the moment: {', '.join(silent) or 'none'}")
    documents.check_runbook(tally, rules)
    documents.check_codes_watched(tally, rules)


def full(tally, stage):
    host, port = stage.simulator
    steady = Sidecar(stage, "steady", f"https://{host}:{port}", receiving(stage) + settings())
    faults = all_faults(stage, f"http://127.0.0.1:{steady.admin}/metrics")
    real = [fault for fault in faults if fault.kind == "real"]
    sidecars = [sidecar for fault in real for sidecar in fault.sidecars]
    for sidecar in [steady, *sidecars]:
        wait_for(sidecar.ready, 30, f"{sidecar.name} is ready")
    load = Load(steady.listen)
    for fault in faults:
        fault.begin()
    targets = [("shop/wonder-signer", steady.admin, {"namespace": "steady", "pod": "steady-0"})]
    targets += [target for fault in faults for target in fault.targets]
    prometheus = Prometheus(stage, targets, shortened(pathlib.Path(RULES).read_text()))
    try:
        time.sleep(HEALTHY_FOR)
        tally.check(load.answers > 20, "requests are answered", str(load.answers))
        before = sorted(which for which in prometheus.firing() if which[0] not in BUSY)
        tally.check(not before, "nothing fires without a fault", str(before))
        examine(tally, prometheus, steady)
        show(tally, prometheus, faults)
        absent = Fault("", "every instance is gone", ["WonderSignerAbsent"])
        vanish(tally, prometheus, absent, [steady, *sidecars], faults)
    finally:
        load.stop()
        prometheus.end()


def show(tally, prometheus, faults):
    """Injects all faults at once, waits for their alerts, removes the faults, waits until the alerts clear, and prints the times."""
    wanted = {(alert, fault.name) for fault in faults for alert in fault.expected}
    allowed = wanted | {(alert, fault.name) for fault in faults for alert in fault.also}
    fired, cleared, texts, seen = {}, {}, {}, set()
    began = {}
    for fault in faults:
        began[fault.name] = time.monotonic()
        fault.inject()

    def look():
        firing = prometheus.firing()
        seen.update(firing)
        texts.update({which: alert["annotations"] for which, alert in firing.items()})
        return firing

    def all_fired():
        for which in look():
            if which in wanted:
                fired.setdefault(which, time.monotonic() - began[which[1]])
        return wanted <= fired.keys()

    def all_cleared():
        firing = look()
        for which in wanted:
            if which in firing:
                cleared.pop(which, None)
            else:
                cleared.setdefault(which, time.monotonic() - began[which[1]])
        # An alert that fires again, as a restart may cause, has not cleared: all must stay quiet for a while.
        return wanted <= cleared.keys() and time.monotonic() - max(began[n] + t for (_, n), t in cleared.items()) > QUIET_FOR

    try:
        wait_for(all_fired, FIRES_WITHIN, "all have fired")
    except TimeoutError:
        pass
    for fault in faults:
        began[fault.name] = time.monotonic()
        fault.remove()
    try:
        wait_for(all_cleared, CLEARS_WITHIN, "all have cleared")
    except TimeoutError:
        pass
    table(tally, faults, fired, cleared)
    check_receipt(tally, next(fault for fault in faults if fault.name == "drain"))
    surplus = sorted(which for which in seen - allowed if which[0] not in BUSY)
    tally.check(not surplus, "no other alert fires, and none at the healthy instance", str(surplus))
    busy = sorted(namespace for name, namespace in seen - allowed if name in BUSY)
    if busy:
        print(f"this machine was short of processor time, so {' and '.join(sorted(BUSY))} fired at: {', '.join(busy)}")
    check_texts(tally, texts)


def table(tally, faults, fired, cleared):
    print("\n| Alert | Fault | How | Fired after | Cleared after |\n|---|---|---|---|---|")
    for fault in faults:
        for alert in fault.expected:
            which = (alert, fault.name)
            up, down = ("no" if which not in times else f"{times[which]:.0f} s" for times in (fired, cleared))
            print(f"| {alert} | {fault.what} | {fault.kind} | {up} | {down} |")
            tally.check(which in fired, f"{alert} fires: {fault.what}")
            tally.check(which in cleared, f"{alert} clears: {fault.what}")
    print()


def check_receipt(tally, drain):
    """The last log line has the facts that the metrics of an ended process can no longer give."""
    lines = [json.loads(line) for line in drain.sidecar.log().splitlines() if line.startswith("{")]
    receipts = [line for line in lines if line["message"].startswith("stopped") and line.get("cut")]
    holds = receipts and receipts[0]["maybe_sent"] == len(receipts[0]["maybe_sent_request_ids"].split(","))
    tally.check(holds, "the last line of a shutdown names the cut requests", str(receipts))
    if receipts:
        print(f"the drain cut {receipts[0]['cut']} requests, {receipts[0]['maybe_sent']} of them maybe sent, all named in the log")


def check_texts(tally, texts):
    for (alert, namespace), annotations in sorted(texts.items()):
        text = " ".join(annotations.values())
        spoilt = [word for word in ("<error", "<no value>", "NaN", "+Inf", "%!") if word in text]
        tally.check(not spoilt, f"the texts of {alert} ({namespace}) are whole", text)
    for alert in ("WonderSignerAuthRejected", "WonderSignerUnknownOutcomeMany", "WonderSignerClockSkewCritical"):
        for (name, _), annotations in texts.items():
            if name == alert:
                print(f"{alert}: {annotations['summary']}")
                break


def vanish(tally, prometheus, fault, sidecars, faults):
    for other in faults:
        for player in getattr(other, "players", []):
            player.server.shutdown()
            player.server.server_close()
    began = time.monotonic()
    for sidecar in sidecars:
        sidecar.kill()
    which = ("WonderSignerAbsent", "")
    fired, cleared = {}, {}
    try:
        fired[which] = wait_for(lambda: which in prometheus.firing(), 30, "absent") - began
        began = time.monotonic()
        sidecars[0].run()
        cleared[which] = wait_for(lambda: which not in prometheus.firing(), 30, "present") - began
    except TimeoutError:
        pass
    table(tally, [fault], fired, cleared)


def main():
    binary, options = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2:]
    if options not in ([], ["--quick"]):
        sys.exit("usage: prometheus.sh [--quick]")
    began = time.monotonic()
    # SIGTERM ends this program like an error, so that it stops every program it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tally = Tally()
    promtool(tally, "check", "rules", RULES)
    promtool(tally, "test", "rules", "deploy/prometheus/tests.yaml")
    documents.check_dashboard(tally)
    documents.check_errors(tally)
    documents.check_logs(tally)
    documents.check_messages(tally)
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(binary, directory)
        try:
            incidents.check(tally, stage)
            (quick if options else full)(tally, stage)
        finally:
            stage.end()
    print(f"took {time.monotonic() - began:.0f} s")
    return tally.end()


sys.exit(main())
