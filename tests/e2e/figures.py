"""The measuring part of figures.sh, which starts the programs."""

import http.client
import json
import os
import signal
import ssl
import statistics
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

WORK, APP = Path(os.environ["FIGURES_WORK"]), os.environ["FIGURES_APP"]
PROGRAM = os.environ["WONDER_SIGNER"]
SIMULATOR = json.loads((WORK / "simulator.json").read_text())["listen"]
ECHO = "/svc/payment/api/v1/openapi/echo"
BODY = json.dumps({"message": "x" * 400}).encode()
REQUESTS, WARM_UP = 500, 50


def start_run(name):
    """Starts `run`; returns the process, its addresses, and the milliseconds to the ready file and to readiness."""
    ready, log = WORK / f"{name}.json", (WORK / f"{name}.log").open("wb")
    words = [PROGRAM, "run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--app-id", APP]
    words += ["--private-key-file", WORK / "keys/private_key.pem", "--environment", "custom"]
    words += ["--origin", f"https://{SIMULATOR}", "--ca-file", WORK / "ca.pem", "--ready-file", ready]
    began = time.monotonic()
    process = subprocess.Popen(words, stderr=log)
    while not ready.exists():
        if process.poll() is not None:
            raise SystemExit(f"it ended: {(WORK / f'{name}.log').read_text()}")
        time.sleep(0.0002)
    written = time.monotonic() - began
    addresses = json.loads(ready.read_text())
    while status(addresses["admin"]) != 200:
        pass
    return process, addresses, written * 1e3, (time.monotonic() - began) * 1e3


def status(admin):
    connection = http.client.HTTPConnection(admin)
    connection.request("GET", "/readyz")
    code = connection.getresponse().status
    connection.close()
    return code


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait()


def memory(process):
    """VmRSS in MiB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def signed_headers():
    (WORK / "body").write_bytes(BODY)
    words = [PROGRAM, "sign", "--app-id", APP, "--private-key-file", WORK / "keys/private_key.pem"]
    words += ["--method", "POST", "--target", ECHO, "--body-file", WORK / "body"]
    return json.loads(subprocess.check_output(words))


def measure(connection, headers):
    """Milliseconds of each request after the warm-up."""
    times = []
    for number in range(WARM_UP + REQUESTS):
        more = {name.capitalize(): value for name, value in headers[number].items()} if headers else {}
        more |= {"Content-Type": "application/json", "X-Request-ID": f"figure-{number}"}
        began = time.perf_counter()
        connection.request("POST", ECHO, BODY, more)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1e3)
        assert answer.status == 200, answer.status
    return times[WARM_UP:]


def logged(path, field):
    """Values of a field in the log lines of the measured requests."""
    found = {}
    for line in path.read_text().splitlines():
        line = json.loads(line)
        number = line.get("request_id", "").removeprefix("figure-")
        if number.isdigit() and field in line:
            found[int(number)] = line[field]
    assert len(found) == WARM_UP + REQUESTS, len(found)
    return [value for number, value in found.items() if number >= WARM_UP]


starts = []
for _ in range(20):
    process, _, *times = start_run("start")
    starts.append(times)
    stop(process)
    (WORK / "start.json").unlink()
file_ms, ready_ms = (statistics.median(column) for column in zip(*starts))
print(f"start to ready file      {file_ms:8.1f} ms   (median of 20)")
print(f"start to /readyz 200     {ready_ms:8.1f} ms   (median of 20)")

process, addresses, *_ = start_run("run")
time.sleep(1)
print(f"idle memory of run       {memory(process):8.1f} MiB")

presigned = [signed_headers() for _ in range(WARM_UP + REQUESTS)]
trust = ssl.create_default_context(cafile=str(WORK / "ca.pem"))
straight = measure(http.client.HTTPSConnection(SIMULATOR, context=trust), presigned)
through = measure(http.client.HTTPConnection(addresses["listen"]), None)
dev = measure(http.client.HTTPConnection(urlsplit(os.environ["FIGURES_ORIGIN"]).netloc), None)
print(f"memory after {REQUESTS} requests{memory(process):8.1f} MiB")
stop(process)

base = statistics.median(straight)
print(f"straight, presigned      {base:8.3f} ms   (median of {REQUESTS}, one at a time)")
for name, times, log in [("run", through, WORK / "run.log"), ("dev", dev, WORK / "dev.log")]:
    whole, sign = statistics.median(times), statistics.median(logged(log, "sign_ms"))
    total, upstream = statistics.median(logged(log, "total_ms")), statistics.median(logged(log, "upstream_ms"))
    print(f"through {name}              {whole:8.3f} ms")
    print(f"  added                  {whole - base:8.3f} ms, of which the signature {sign:.3f} ms: "
          f"{whole - base - sign:.3f} ms beyond it")
    print(f"  by its own log         {total:8.3f} ms in all, {upstream:.3f} ms of it upstream, {sign:.3f} ms signing")
