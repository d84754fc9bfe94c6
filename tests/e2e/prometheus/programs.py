"""The programs under test: keys, the simulator, sidecars, and the load on them. It ends only programs that it started."""

import http.client
import itertools
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.request

APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"
P = "/svc/payment/api/v1/openapi"


# Below the ports of outgoing connections (32768 and up), which may take a port while a program starts.
PORTS = itertools.count(random.randrange(20000, 30000))


def free_port():
    """A free port, a different one at every call."""
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_for(true, seconds, what):
    """Calls `true` until it returns true; returns the time on the monotonic clock."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return time.monotonic()
        time.sleep(0.25)
    raise TimeoutError(what)


def fetch(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


class Stage:
    """A directory, two key pairs, and a simulator with the first key registered."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = pathlib.Path(directory)
        self.processes = []
        for name in ("right", "wrong"):
            subprocess.run([binary, "keygen", "--out", self.directory / name], check=True, capture_output=True)
        self.ca = self.directory / "ca.pem"
        ready = self.directory / "simulator.json"
        self.start(
            "simulator", ["simulate", "--listen", "127.0.0.1:0", "--app-id", APP_ID, "--ca-out", self.ca,
                          "--public-key-file", self.directory / "right" / "public_key.pem", "--ready-file", ready],
        )
        wait_for(ready.exists, 20, "the simulator is ready")
        host, port = json.loads(ready.read_text())["listen"].rsplit(":", 1)
        self.simulator = (host, int(port))

    def start(self, name, arguments):
        log = open(self.directory / f"{name}.log", "ab")
        process = subprocess.Popen([self.binary, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
            process.wait()


class Sidecar:
    """One instance with its own upstream, settings and ports, which it keeps over restarts."""

    def __init__(self, stage, name, origin, settings="", key="right"):
        self.stage, self.name, self.origin, self.settings, self.key = stage, name, origin, settings, key
        self.listen, self.admin = free_port(), free_port()
        self.process = None
        self.run()

    def run(self):
        config = self.stage.directory / f"{self.name}.toml"
        config.write_text(self.settings)
        arguments = [
            "run", "--config", config, "--environment", "custom", "--origin", self.origin, "--app-id", APP_ID,
            "--private-key-file", self.stage.directory / self.key / "private_key.pem",
            "--listen", f"127.0.0.1:{self.listen}", "--admin", f"127.0.0.1:{self.admin}",
        ]
        if self.origin.startswith("https"):
            arguments += ["--ca-file", self.stage.ca]
        self.process = self.stage.start(self.name, arguments)

    def ready(self):
        try:
            return fetch(f"http://127.0.0.1:{self.admin}/readyz", 2) == "ready\n"
        except OSError:
            return False

    def metrics(self):
        return fetch(f"http://127.0.0.1:{self.admin}/metrics")

    def log(self):
        return (self.stage.directory / f"{self.name}.log").read_text()

    def signal(self, which):
        self.process.send_signal(which)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def start_again(self, key=None):
        if self.process.poll() is None:
            self.kill()
        self.key = key or self.key
        self.run()


ORDINARY = [
    ("POST", f"{P}/customers", b'{"customer":{"name":"Kestrel Tea Room","phone":"55501234","reference_number":"KTR-0042"}}'),
    ("GET", f"{P}/customers?limit=20&offset=0", None),
    ("GET", f"{P}/customers/ref/KTR-0042", None),
    ("POST", f"{P}/echo", b'{"message":"hello"}'),
]


class Load:
    """A steady rate of requests from several workers, each on a connection of its own, until stopped."""

    def __init__(self, port, workers=2, each_per_second=3):
        self.port = port
        self.patience = 8.0
        self.requests = ORDINARY
        self.answers = 0
        self.going = True
        self.pause = 1 / each_per_second
        for worker in range(workers):
            threading.Thread(target=self.work, args=(worker,), daemon=True).start()

    def work(self, worker):
        connection = None
        for turn in itertools.count(worker):
            if not self.going:
                return
            # Uneven pauses, so that the workers do not send in lockstep.
            time.sleep(self.pause * random.uniform(0.5, 1.5))
            method, target, body = self.requests[turn % len(self.requests)]
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port)
                connection.timeout = self.patience
                if connection.sock:
                    connection.sock.settimeout(self.patience)
                connection.request(method, target, body, {"Content-Type": "application/json"} if body else {})
                connection.getresponse().read()
                self.answers += 1
            except (OSError, http.client.HTTPException):
                if connection:
                    connection.close()
                connection = None

    def stop(self):
        self.going = False
