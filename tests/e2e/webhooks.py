#!/usr/bin/env python3
"""Webhooks with real programs: replicas that share a Redis, with and without TLS, a Redis that answers with errors or late, a Prometheus with
the alert on that Redis, an nginx that rewrites the path, and the simulator with an unreachable application.

    tests/e2e/webhooks.py PROGRAM

Needs redis-server, nginx, openssl and prometheus."""

import base64
import collections
import concurrent.futures
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import pathlib
import secrets
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "prometheus"))
import server  # noqa: E402
from authority import Authority  # noqa: E402
from programs import free_port  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERT = "WonderSignerWebhookStoreFails"
# In bodies of webhooks, which no output may have.
SECRET = "body-marker-5d1c"
APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"
DUPLICATES = 1000


def wait_for(holds, seconds, what):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"webhooks: timed out: {what}")
        time.sleep(0.02)


def check(holds, what, found=""):
    if not holds:
        sys.exit(f"webhooks: {what} {found}")
    print(f"ok: {what}")


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Application:
    """Counts the deliveries of each order number, and answers 200 when `open` is set."""

    def __init__(self, port=0):
        self.counts, self.targets, lock = collections.Counter(), [], threading.Lock()
        self.open = threading.Event()
        self.open.set()
        counts, targets, gate = self.counts, self.targets, self.open

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["X-Wonder-Signer-Verified"] == "default" and self.headers["Signature"] is None
                # Long enough for other copies to arrive.
                time.sleep(0.02)
                with lock:
                    counts[body["reference_number"], self.headers["X-Action"]] += 1
                    targets.append(self.path)
                gate.wait(30)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size, allow_reuse_address = True, 256, True

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def signed(key, reference, target="/hooks/wonder?src=w"):
    """Headers and body of a delivery, as Wonder makes them."""
    body = json.dumps({"reference_number": reference, "correspondence_state": "paid", "otp": SECRET}).encode()
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    nonce = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))
    chained = hmac.digest(hmac.digest(nonce.encode(), stamp.encode(), "sha256"), b"Wonder-RSA-SHA256", "sha256")
    message = hmac.new(chained, f"POST\n{target}\n".encode() + body, hashlib.sha256).hexdigest().encode()
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=message, capture_output=True, check=True)
    headers = {"Content-Type": "application/json", "Credential": f"{APP_ID}/{stamp}/Wonder-RSA-SHA256", "Nonce": nonce,
               "Signature": base64.b64encode(made.stdout).decode(), "X-Action": "order.paid"}
    return headers, body


def post(port, delivery, target="/hooks/wonder?src=w", timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request("POST", target, delivery[1], delivery[0])
    status = connection.getresponse().status
    connection.close()
    return status


class Stage:
    def __init__(self, program, directory, ends):
        self.program, self.directory, self.ends = program, pathlib.Path(directory), ends
        for name in ("merchant", "wonder"):
            subprocess.run([program, "keygen", "--out", self.directory / name], check=True, capture_output=True)

    def start(self, name, command, environment=None):
        with open(self.directory / f"{name}.log", "ab") as log:
            process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        self.ends.callback(process.wait)
        self.ends.callback(process.kill)
        return process

    def sidecar(self, name, application, webhook_key=None, origin="http://127.0.0.1:9", port=0, arguments=(), **settings):
        ready = self.directory / f"{name}.json"
        key = webhook_key or self.directory / "wonder/public_key.pem"
        settings = {"webhook__address": f"127.0.0.1:{port}", "webhook__forward_to": application, "log__level": "trace",
                    "credentials__default__webhook_public_key_file": key, "limits__requests_in_flight": 2000, **settings}
        environment = {f"WONDER_SIGNER_{name.upper()}": str(value) for name, value in settings.items()}
        self.start(name, [self.program, "run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--environment", "custom",
                          "--origin", origin, "--app-id", APP_ID, "--private-key-file", self.directory / "merchant/private_key.pem",
                          "--ready-file", ready, *arguments], environment)
        wait_for(lambda: ready.exists() and ready.read_text(), 20, f"{name} is ready")
        bound = json.loads(ready.read_text())
        return {which: int(bound[which].rsplit(":", 1)[1]) for which in ("listen", "admin", "webhook")}

    def log(self, name):
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def assert_absent(self, secret, sidecars):
        """No log, metric or page has the secret, the content of a webhook, or a line of Wonder's key."""
        key = (self.directory / "wonder/public_key.pem").read_text().splitlines()[2]
        texts = {path.name: path.read_text(errors="replace") for path in self.directory.glob("*.log")}
        for sidecar in sidecars:
            for page in ("/metrics", "/config", "/status.json", "/"):
                connection = http.client.HTTPConnection("127.0.0.1", sidecar["admin"], timeout=10)
                connection.request("GET", page)
                texts[f"{sidecar['admin']}{page}"] = connection.getresponse().read().decode()
                connection.close()
        found = [where for where, text in texts.items() if any(marker in text for marker in (secret, SECRET, key))]
        check(not found and texts, f"no secret is in {len(texts)} logs and pages", found)

    def key(self):
        return self.directory / "wonder/private_key.pem"


def metric(sidecar, start):
    connection = http.client.HTTPConnection("127.0.0.1", sidecar["admin"])
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))


def send_copies(stage, sidecars, reference, copies):
    """Sends copies of one delivery in turns to the sidecars; returns how often each status was the answer."""
    delivery = signed(stage.key(), reference)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        return collections.Counter(pool.map(lambda turn: post(sidecars[turn % len(sidecars)]["webhook"], delivery), range(copies)))


def replicas(stage):
    """Two replicas and a Redis that stops and restarts during the test."""
    port, password = free_port(), stage.directory / "redis-password"
    password.write_text(secrets.token_hex(8) + "\n")

    def redis():
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--requirepass", password.read_text().strip()]
        process = stage.start("redis", command)
        wait_for(lambda: answers(port), 20, "Redis answers")
        return process

    process, application = redis(), Application()
    settings = {"webhook__redis__url": f"redis://127.0.0.1:{port}", "webhook__redis__password_file": password,
                # A busy machine may take longer than the default.
                "webhook__redis__timeout": "5s"}
    both = [stage.sidecar(f"replica-{index}", application.url, **settings) for index in (1, 2)]
    targets = [("shop/wonder-signer", sidecar["admin"], {"namespace": "shop", "pod": f"shop-{index}"}) for index, sidecar in enumerate(both)]
    prometheus = server.Prometheus(stage, targets, server.shortened((ROOT / server.RULES).read_text()))
    stage.ends.callback(prometheus.end)
    fires = lambda: (ALERT, "shop") in prometheus.firing()

    statuses = send_copies(stage, both, "many", DUPLICATES)
    check(statuses == {200: DUPLICATES}, f"{DUPLICATES} copies at two replicas get 200", statuses)
    check(application.counts["many", "order.paid"] == 1, "one of them is delivered", application.counts)
    # The text of /metrics may be a second old.
    duplicates = lambda: sum(metric(sidecar, "wonder_signer_webhook_duplicates_total") for sidecar in both)
    wait_for(lambda: duplicates() == DUPLICATES - 1, 20, "the others are counted as duplicates")
    check(not fires(), f"{ALERT} does not fire while Redis answers")

    # Redis ends while the application works on a delivery that is claimed there.
    failures = lambda operation: sum(
        metric(sidecar, f'wonder_signer_webhook_store_failures_total{{operation="{operation}"}}') for sidecar in both)
    application.open.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        middle = pool.submit(post, both[0]["webhook"], signed(stage.key(), "middle"))
        wait_for(lambda: application.counts["middle", "order.paid"], 20, "the delivery is at the application")
        process.kill()
        process.wait()
        application.open.set()
        check(middle.result() == 200, "a delivery in flight when Redis ends is acknowledged", middle.result())
    wait_for(lambda: failures("acknowledge") > 0, 20, "its acknowledgement that Redis lost is counted")

    references = [f"away-{number}" for number in range(20)]
    for reference in references:
        statuses = send_copies(stage, both, reference, 2)
        check(statuses == {200: 2}, f"without Redis {reference} is acknowledged", statuses)
    check(all(application.counts[reference, "order.paid"] in (1, 2) for reference in references), "without Redis nothing is lost")
    wait_for(lambda: failures("claim") > 0, 20, "the failed claims are counted")

    def keep_failing():
        send_copies(stage, both, f"outage-{secrets.token_hex(4)}", 2)
        return fires()

    wait_for(keep_failing, 60, f"{ALERT} fires in Prometheus")
    print(f"ok: {ALERT} fires in Prometheus")

    redis()
    # A replica tries again a second after its last failure.
    wait_for(lambda: (send_copies(stage, both, f"probe-{secrets.token_hex(4)}", 2), ours(application))[1], 30, "both replicas use Redis again")
    statuses = send_copies(stage, both, "back", 100)
    check(statuses == {200: 100} and application.counts["back", "order.paid"] == 1, "with Redis back, one of 100 copies is delivered")
    wait_for(lambda: not fires(), 60, f"{ALERT} ends")
    print(f"ok: {ALERT} ends when Redis is back")
    stage.assert_absent(password.read_text().strip(), both)


def encrypted(stage):
    """Redis with TLS, a certificate of our own authority, and a user that may do no more than is needed."""
    authority, port, password = Authority(stage.directory / "redis-tls", "redis-authority"), free_port(), secrets.token_hex(12)
    certificate, key = authority.issue("redis", "localhost")
    password_file = stage.directory / "redis-user-password"
    password_file.write_text(password)
    stage.start("redis-tls", [
        "redis-server", "--port", 0, "--tls-port", port, "--bind", "127.0.0.1", "--save", "", "--tls-cert-file", certificate,
        "--tls-key-file", key, "--tls-ca-cert-file", authority.certificate, "--tls-auth-clients", "no", "--user", "default", "off",
        "--user", "hooks", "on", f">{password}", "~wonder-signer:webhook:*", "+set", "+get", "+del", "+eval"])
    wait_for(lambda: answers(port), 20, "Redis with TLS answers")
    application = Application()
    settings = {"webhook__redis__url": f"rediss://hooks@localhost:{port}", "webhook__redis__password_file": password_file,
                "webhook__redis__timeout": "5s"}
    trusting = [stage.sidecar(f"tls-{index}", application.url, webhook__redis__ca_file=authority.certificate, **settings) for index in (1, 2)]
    failures = lambda sidecar: metric(sidecar, "wonder_signer_webhook_store_failures_total")
    statuses = send_copies(stage, trusting, "encrypted", 100)
    check(statuses == {200: 100}, "100 copies at two replicas with a Redis over TLS get 200", statuses)
    check(application.counts["encrypted", "order.paid"] == 1, "one of them is delivered", application.counts)
    shared = lambda: sum(metric(sidecar, 'wonder_signer_webhook_duplicates_total{store="redis"}') for sidecar in trusting)
    wait_for(lambda: shared() > 0, 20, "a duplicate is recognised through the Redis")
    check(sum(map(failures, trusting)) == 0, "no command fails")

    other = Authority(stage.directory / "other-tls", "other-authority").certificate
    plain = f"redis://hooks@localhost:{port}"
    wrong_password = stage.directory / "redis-wrong-password"
    wrong_password.write_text("wrong-" + password)
    for name, changed, reason in [
        ("no-roots", {}, "invalid peer certificate: UnknownIssuer"),
        ("other-roots", {"webhook__redis__ca_file": other}, "invalid peer certificate: UnknownIssuer"),
        ("other-name", {"webhook__redis__ca_file": authority.certificate, "webhook__redis__url": f"rediss://hooks@127.0.0.1:{port}"}, "not valid for name"),
        ("no-tls", {"webhook__redis__url": plain}, "cannot be connected to"),
        ("wrong-password", {"webhook__redis__ca_file": authority.certificate, "webhook__redis__password_file": wrong_password}, "authentication failed"),
    ]:
        sidecar = stage.sidecar(name, application.url, **{**settings, **changed})
        statuses = send_copies(stage, [sidecar], name, 2)
        check(statuses == {200: 2} and application.counts[name, "order.paid"] == 1, f"{name}: delivered without Redis, once", statuses)
        wait_for(lambda: failures(sidecar) > 0, 20, f"{name}: the failure is counted")
        check(reason in stage.log(name), f"{name}: the log has the reason ({reason})", stage.log(name)[-2000:])
        stage.assert_absent(password, [sidecar])
    # A password that changes is used without a restart.
    wrong_password.write_text(password)
    delivery = signed(stage.key(), "corrected")

    def corrected():
        post(sidecar["webhook"], signed(stage.key(), f"try-{secrets.token_hex(4)}"))
        before = failures(sidecar)
        status = post(sidecar["webhook"], delivery)
        time.sleep(1.1)
        return status == 200 and failures(sidecar) == before

    wait_for(corrected, 30, "a corrected password file is used without a restart")
    print("ok: a corrected password file is used without a restart")
    stage.assert_absent(password, trusting)


def troubled(stage):
    """A Redis that answers with errors, or late: each webhook is delivered, once where one replica can tell."""
    def redis(name, *arguments):
        port = free_port()
        stage.start(name, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", stage.directory, "--enable-debug-command", "yes",
                           *arguments])
        wait_for(lambda: answers(port), 20, f"{name} answers")
        return port

    def cli(port, *arguments):
        command = ["redis-cli", "-p", port, *arguments]
        return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout.strip()

    def cluster(name):
        return redis(name, "--save", "", "--cluster-enabled", "yes", "--cluster-config-file", f"{name}.conf")

    first, slotless, elsewhere, paused, loaded = (
        redis("first", "--save", ""), cluster("slotless"), cluster("elsewhere"), redis("paused", "--save", ""), redis("loaded", "--dbfilename", "slow.rdb"))
    readonly = redis("readonly", "--save", "", "--replicaof", "127.0.0.1", first)
    full = redis("full", "--save", "", "--maxmemory", "1", "--maxmemory-policy", "noeviction")
    moved = cluster("moved")
    cli(elsewhere, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    cli(moved, "CLUSTER", "MEET", "127.0.0.1", elsewhere)
    wait_for(lambda: "MOVED" in cli(moved, "GET", "x"), 60, "the cluster knows where the slots are")
    # Each of many keys takes a while to load.
    cli(loaded, "DEBUG", "POPULATE", 1000000)
    cli(loaded, "SAVE")
    cli(loaded, "SHUTDOWN", "NOSAVE")
    loading = redis("loading", "--dbfilename", "slow.rdb", "--key-load-delay", 1000, "--loading-process-events-interval-bytes", 1024)
    wait_for(lambda: "LOADING" in cli(loading, "GET", "x"), 20, "Redis is loading")
    cli(paused, "CLIENT", "PAUSE", 600000)

    application = Application()
    failures = lambda sidecar: metric(sidecar, "wonder_signer_webhook_store_failures_total")
    for name, port, reason in [
        ("slotless", slotless, "error CLUSTERDOWN"),
        ("moved", moved, "MOVED"),
        ("readonly", readonly, "READONLY"),
        ("full", full, "error OOM"),
        ("loading", loading, "LOADING"),
        ("paused", paused, "no answer within 300ms"),
    ]:
        sidecar = stage.sidecar(f"with-{name}", application.url, webhook__redis__url=f"redis://127.0.0.1:{port}", webhook__redis__timeout="300ms")
        began = time.monotonic()
        for number in range(10):
            statuses = send_copies(stage, [sidecar], f"{name}-{number}", 2)
            check(statuses == {200: 2} and application.counts[f"{name}-{number}", "order.paid"] == 1, f"{name}: delivered once", statuses)
        took = time.monotonic() - began
        # A server that does not answer is left alone for a second, so that not each webhook waits.
        check(took < 20, f"{name}: 20 webhooks take less than 20 s", took)
        wait_for(lambda: failures(sidecar) > 0, 20, f"{name}: the failure is counted")
        check(reason in stage.log(f"with-{name}"), f"{name}: the log has the reason ({reason})", stage.log(f"with-{name}")[-3000:])

    # A key of ours that another program has written as a list.
    usual = redis("usual", "--save", "")
    sidecars = [stage.sidecar(f"typed-{index}", application.url, webhook__redis__url=f"redis://127.0.0.1:{usual}", webhook__remember=0) for index in (1, 2)]
    delivery = signed(stage.key(), "typed")
    check(post(sidecars[0]["webhook"], delivery) == 200, "a delivery is acknowledged and its key is in Redis")
    (key,) = cli(usual, "KEYS", "wonder-signer:webhook:*").splitlines()
    check(post(sidecars[1]["webhook"], delivery) == 200 and application.counts["typed", "order.paid"] == 1, "the other replica does not forward it")
    cli(usual, "DEL", key)
    cli(usual, "LPUSH", key, "x")
    check(post(sidecars[1]["webhook"], delivery) == 200 and application.counts["typed", "order.paid"] == 2, "behind a key of another type it is forwarded")
    check("error WRONGTYPE" in stage.log("typed-2"), "the log has the reason (WRONGTYPE)", stage.log("typed-2")[-3000:])


def ours(application):
    """Whether the last probe was delivered once."""
    probes = [reference for reference, _ in application.counts if reference.startswith("probe-")]
    return application.counts[probes[-1], "order.paid"] == 1


def rewritten(stage):
    """Behind an nginx that removes `/payments` from the path."""
    application = Application()
    by_header = stage.sidecar("by-header", application.url, webhook__original_target_header="X-Original-URI", webhook__path_prefixes="/payments")
    by_prefix = stage.sidecar("by-prefix", application.url, webhook__original_target_prefix="/payments")
    unaware = stage.sidecar("unaware", application.url)
    ports = [free_port() for _ in range(3)]
    servers = "".join(
        f"server {{ listen 127.0.0.1:{port}; location /payments/ {{ proxy_pass http://127.0.0.1:{sidecar['webhook']}/; {header} }} }}\n"
        for port, sidecar, header in zip(ports, (by_header, by_prefix, unaware), ("proxy_set_header X-Original-URI $request_uri;", "", ""))
    )
    configuration = stage.directory / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {stage.directory}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {stage.directory}; proxy_temp_path {stage.directory};\n"
        f"fastcgi_temp_path {stage.directory}; uwsgi_temp_path {stage.directory}; scgi_temp_path {stage.directory};\n{servers}}}\n"
    )
    stage.start("nginx", ["nginx", "-c", configuration])
    wait_for(lambda: all(answers(port) for port in ports), 20, "nginx answers")
    target = "/payments/hook?src=w&x=%2f"
    for port, expected, what in zip(ports, (200, 200, 401), ("the original target from a header", "the prefix put back", "no rule")):
        status = post(port, signed(stage.key(), f"rewritten-{port}", target), target)
        check(status == expected, f"behind a rewriting nginx, {what}: {expected}", status)
    check(application.targets == [target, target], "the application gets the signed target", application.targets)
    direct = post(by_header["webhook"], signed(stage.key(), "direct", target), target)
    check(direct == 401, "a sender that bypasses the proxy is rejected", direct)


def away(stage, credential):
    """The application is unreachable while Wonder sends events, and returns."""
    port, listener, ready = free_port(), free_port(), stage.directory / f"simulator-{credential}.json"
    key, ca = stage.directory / f"webhook-{credential}.pem", stage.directory / f"ca-{credential}.pem"
    stage.start(f"simulator-{credential}", [
        stage.program, "simulate", "--listen", "127.0.0.1:0", "--app-id", APP_ID, "--public-key-file", stage.directory / "merchant/public_key.pem",
        "--ca-out", ca, "--webhook-public-key-out", key, "--webhook-url", f"http://127.0.0.1:{listener}/hooks", "--time-scale", "60",
        "--webhook-retry-credential", credential, "--ready-file", ready])
    wait_for(lambda: ready.exists() and ready.read_text(), 20, "the simulator is ready")
    origin = f"https://{json.loads(ready.read_text())['listen']}"
    sidecar = stage.sidecar(f"away-{credential}", f"http://127.0.0.1:{port}", webhook_key=key, origin=origin, port=listener, arguments=["--ca-file", ca])
    references = [f"INV-{credential}-{number}" for number in range(5)]
    for reference in references:
        order = json.dumps({"order": {"reference_number": reference, "charge_fee": "120.00", "currency": "HKD"}}).encode()
        headers = {"Content-Type": "application/json"}
        status = post(sidecar["listen"], (headers, order), "/svc/payment/api/v1/openapi/orders?with_payment_link=true")
        check(status == 200, f"{reference} is created", status)
    failing = 'wonder_signer_webhooks_total{action="order.created",credential="default",outcome="unreachable"}'
    wait_for(lambda: metric(sidecar, failing) >= len(references), 30, "every event has failed once")
    time.sleep(1)
    application = Application(port)
    wait_for(lambda: all(application.counts[reference, "order.created"] for reference in references), 60, "every event is delivered")
    acknowledged = 'wonder_signer_webhooks_total{action="order.created",credential="default",outcome="acknowledged"}'
    wait_for(lambda: metric(sidecar, acknowledged) >= len(references), 20, "every event is acknowledged")
    counts = [application.counts[reference, "order.created"] for reference in references]
    if credential == "first":
        check(counts == [1] * len(references), "with the first credential, exactly one delivery for each event", counts)
    else:
        check(min(counts) >= 1, "with a fresh credential, at least one delivery for each event", counts)


def main():
    (program,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as ends:
        stage = Stage(program, directory, ends)
        replicas(stage)
        encrypted(stage)
        troubled(stage)
        rewritten(stage)
        for credential in ("first", "fresh"):
            away(stage, credential)
    print("webhooks: passed")


main()
