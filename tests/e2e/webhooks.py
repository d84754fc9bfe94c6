#!/usr/bin/env python3
"""Webhooks with real programs: two replicas that share a Redis, an nginx that rewrites the path, and the simulator with an unreachable application.

    tests/e2e/webhooks.py PROGRAM

Needs redis-server, nginx and openssl."""

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

APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"
DUPLICATES = 1000


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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
    """Counts the deliveries of each order number, and answers 200."""

    def __init__(self, port=0):
        self.counts, self.targets, lock = collections.Counter(), [], threading.Lock()
        counts, targets = self.counts, self.targets

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
    body = json.dumps({"reference_number": reference, "correspondence_state": "paid"}).encode()
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    nonce = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))
    chained = hmac.digest(hmac.digest(nonce.encode(), stamp.encode(), "sha256"), b"Wonder-RSA-SHA256", "sha256")
    message = hmac.new(chained, f"POST\n{target}\n".encode() + body, hashlib.sha256).hexdigest().encode()
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=message, capture_output=True, check=True)
    headers = {"Content-Type": "application/json", "Credential": f"{APP_ID}/{stamp}/Wonder-RSA-SHA256", "Nonce": nonce,
               "Signature": base64.b64encode(made.stdout).decode(), "X-Action": "order.paid"}
    return headers, body


def post(port, delivery, target="/hooks/wonder?src=w"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
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
        settings = {"webhook__address": f"127.0.0.1:{port}", "webhook__forward_to": application,
                    "credentials__default__webhook_public_key_file": key, "limits__requests_in_flight": 2000, **settings}
        environment = {f"WONDER_SIGNER_{name.upper()}": str(value) for name, value in settings.items()}
        self.start(name, [self.program, "run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--environment", "custom",
                          "--origin", origin, "--app-id", APP_ID, "--private-key-file", self.directory / "merchant/private_key.pem",
                          "--ready-file", ready, *arguments], environment)
        wait_for(lambda: ready.exists() and ready.read_text(), 20, f"{name} is ready")
        bound = json.loads(ready.read_text())
        return {which: int(bound[which].rsplit(":", 1)[1]) for which in ("listen", "admin", "webhook")}

    def key(self):
        return self.directory / "wonder/private_key.pem"


def metric(sidecar, start):
    connection = http.client.HTTPConnection("127.0.0.1", sidecar["admin"])
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))


def replicas(stage):
    """Two replicas and a Redis that stops and restarts during the test."""
    port, password = free_port(), stage.directory / "redis-password"
    password.write_text(secrets.token_hex(8) + "\n")

    def redis():
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--requirepass", password.read_text().strip()]
        process = stage.start("redis", command)
        wait_for(lambda: answers(port), 20, "Redis answers")
        return process

    server, application = redis(), Application()
    settings = {"webhook__redis__url": f"redis://127.0.0.1:{port}", "webhook__redis__password_file": password,
                # A busy machine may take longer than the default.
                "webhook__redis__timeout": "5s"}
    both = [stage.sidecar(f"replica-{index}", application.url, **settings) for index in (1, 2)]

    def send_copies(reference, copies):
        delivery = signed(stage.key(), reference)
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            return collections.Counter(pool.map(lambda turn: post(both[turn % 2]["webhook"], delivery), range(copies)))

    statuses = send_copies("many", DUPLICATES)
    check(statuses == {200: DUPLICATES}, f"{DUPLICATES} copies at two replicas get 200", statuses)
    check(application.counts["many", "order.paid"] == 1, "one of them is delivered", application.counts)
    # The text of /metrics may be a second old.
    duplicates = lambda: sum(metric(sidecar, "wonder_signer_webhook_duplicates_total") for sidecar in both)
    wait_for(lambda: duplicates() == DUPLICATES - 1, 20, "the others are counted as duplicates")

    server.kill()
    server.wait()
    references = [f"away-{number}" for number in range(20)]
    for reference in references:
        statuses = send_copies(reference, 2)
        check(statuses == {200: 2}, f"without Redis {reference} is acknowledged", statuses)
    check(all(application.counts[reference, "order.paid"] in (1, 2) for reference in references), "without Redis nothing is lost")
    failures = lambda: sum(metric(sidecar, "wonder_signer_webhook_store_failures_total") for sidecar in both)
    wait_for(lambda: failures() > 0, 20, "the metric of WonderSignerWebhookStoreFails rises")

    redis()
    # A replica tries again a second after its last failure.
    wait_for(lambda: (send_copies(f"probe-{secrets.token_hex(4)}", 2), ours(application))[1], 30, "both replicas use Redis again")
    statuses = send_copies("back", 100)
    check(statuses == {200: 100} and application.counts["back", "order.paid"] == 1, "with Redis back, one of 100 copies is delivered")


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
        rewritten(stage)
        for credential in ("first", "fresh"):
            away(stage, credential)
    print("webhooks: passed")


main()
