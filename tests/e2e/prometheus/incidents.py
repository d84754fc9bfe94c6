"""Causes twelve incidents, and compares their symptoms with the table of deploy/runbook.md for the person on call.

    incidents.py PROGRAM            compares the table with the symptoms; prometheus.sh does the same
    incidents.py PROGRAM --write    writes the table anew
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

from programs import APP_ID, P, Sidecar, Stage, free_port, wait_for
from tally import Tally

RUNBOOK = pathlib.Path("deploy/runbook.md")
RULES = pathlib.Path("deploy/prometheus/rules.yaml")
BEGIN, END = "<!-- incidents: begin, written by tests/e2e/prometheus/incidents.py -->", "<!-- incidents: end -->"
HEAD = "| What happens | Log line | Metric | The service gets | What to do |\n|---|---|---|---|---|"
CREATE = ("POST", f"{P}/customers", b'{"customer":{"name":"Kestrel Tea Room","phone":"55501234","reference_number":"KTR-0042"}}')
LIST = ("GET", f"{P}/customers?limit=20", None)


class Seen:
    """The symptoms of one incident: log lines, a scrape after it, and the answer."""

    def __init__(self, lines, scrape, answer):
        self.lines, self.scrape, self.answer = lines, scrape, answer


class Silent:
    """An origin that accepts connections and requests, and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = []
        self.asked = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            self.connections.append(connection)
            threading.Thread(target=self.read, args=(connection,), daemon=True).start()

    def read(self, connection):
        while connection.recv(65536):
            self.asked.set()


def ask(sidecar, request):
    """The answer as text: its origin, its status and, if it is the sidecar's own, code, `sent` and message."""
    method, path, body = request
    url = f"http://127.0.0.1:{sidecar.listen}{path}"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    if not answer.headers["X-Wonder-Signer-Error"]:
        return f"{answer.status} of Wonder"
    envelope = json.loads(answer.read())
    return f"{answer.status} `{envelope['code']}`, sent `{envelope['sent']}`: {envelope['message']}"


def log_lines(sidecar, message):
    lines = [json.loads(line) for line in sidecar.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"].startswith(message)]


def request_line(line):
    """The relevant fields, in the order of the log."""
    fields = [line["level"], line["message"]]
    for name in ("operation", "path", "status", "origin", "sent", "error", "cause"):
        if name in line:
            fields.append(f"{name}={json.dumps(line[name])}" if name == "cause" else f"{name}={line[name]}")
    return " ".join(fields)


class Incidents:
    def __init__(self, stage):
        self.stage = stage
        self.wonder = "https://{}:{}".format(*stage.simulator)
        self.number = 0

    def sidecar(self, origin, settings="", key="right"):
        self.number += 1
        sidecar = Sidecar(self.stage, f"incident-{self.number}", origin, settings, key)
        wait_for(sidecar.ready, 20, f"{sidecar.name} is ready")
        return sidecar

    def one(self, request, origin=None, settings="", key="right"):
        """Sends one request to a new instance."""
        sidecar = self.sidecar(origin or self.wonder, settings, key)
        answer = ask(sidecar, request)
        wait_for(lambda: log_lines(sidecar, "request"), 10, "the request has its line")
        seen = Seen([request_line(line) for line in log_lines(sidecar, "request")], sidecar.metrics(), answer)
        sidecar.kill()
        return seen

    def clock(self):
        """A host whose clock is 40 minutes ahead."""
        program, self.stage.binary = self.stage.binary, self.stage.directory / "ahead"
        # faketime itself would stay the parent of the program, which would outlive it.
        words = ["faketime", "-f", "+40m", "printenv", "LD_PRELOAD"]
        library = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
        faked = f"DONT_FAKE_MONOTONIC=1 FAKETIME=+40m LD_PRELOAD='{library}'"
        self.stage.binary.write_text(f'#!/bin/sh\nexec env {faked} "{program}" "$@"\n')
        self.stage.binary.chmod(0o755)
        try:
            return self.one(LIST)
        finally:
            self.stage.binary = program

    def tls(self):
        """The configured authority did not issue the origin's certificate."""
        ours, self.stage.ca = self.stage.ca, self.stage.directory / "another-ca.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Another Authority", "-days", "2",
             "-keyout", self.stage.directory / "another.key", "-out", self.stage.ca], check=True, capture_output=True,
        )
        try:
            return self.one(CREATE)
        finally:
            self.stage.ca = ours

    def drain(self):
        """SIGTERM while a request waits for its answer for longer than the grace period."""
        silent = Silent()
        sidecar = self.sidecar(silent.origin, '[shutdown]\ndrain_delay = "0s"\ngrace = "3s"\n')
        answers = []
        caller = threading.Thread(target=lambda: answers.append(ask(sidecar, CREATE)))
        caller.start()
        silent.asked.wait(20)
        sidecar.signal(signal.SIGTERM)
        scrapes = []
        wait_for(lambda: scrapes.append(sidecar.metrics()) or "\nwonder_signer_draining 1\n" in scrapes[-1], 3, "a scrape in the drain")
        caller.join()
        sidecar.process.wait(20)
        lines = [request_line(line) for line in log_lines(sidecar, "request")]
        for line in log_lines(sidecar, "stopped"):
            names = ("finished", "cut", "maybe_sent", "maybe_sent_request_ids")
            lines.append(" ".join([line["level"], line["message"], *(f"{name}={line[name]}" for name in names)]))
        return Seen(lines, scrapes[-1], answers[0])

    def no_start(self, key, listen="127.0.0.1:0", **options):
        """The program fails to start: one line of its own, and no metrics."""
        arguments = ["run", "--app-id", APP_ID, "--private-key-file", key, "--listen", listen, "--admin", "127.0.0.1:0"]
        done = subprocess.run([self.stage.binary, *arguments], capture_output=True, text=True, timeout=30, **options)
        line = next(line for line in done.stderr.splitlines() if line.startswith("wonder-signer:"))
        return Seen([line], "up 0\n", f"no connection; the process ends with exit code {done.returncode}")

    def port_taken(self):
        with socket.create_server(("127.0.0.1", free_port())) as other:
            return self.no_start(self.stage.directory / "right" / "private_key.pem", f"127.0.0.1:{other.getsockname()[1]}")

    def unreadable_key(self):
        """Root can read every file, so another user runs the program, from a directory that it can reach."""
        as_root = os.getuid() == 0
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o755)
            program = shutil.copy(self.stage.binary, place)
            key = pathlib.Path(place) / "private_key.pem"
            shutil.copy(self.stage.directory / "right" / "private_key.pem", key)
            key.chmod(0o600 if as_root else 0)
            listen, admin = free_port(), free_port()
            arguments = ["run", "--app-id", APP_ID, "--private-key-file", "private_key.pem"]
            arguments += ["--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}"]
            other = {"user": 65532, "group": 65532} if as_root else {}
            process = subprocess.Popen([program, *arguments], cwd=place, stderr=subprocess.PIPE, text=True, **other)
            try:
                lines = [json.loads(process.stderr.readline()) for _ in range(2)]
                asked = type("Sidecar", (), {"listen": listen})
                wait_for(lambda: answers(listen) and answers(admin), 10, "it listens")
                answer = ask(asked, LIST)
                scrape = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10).read().decode()
                lines.append(json.loads(process.stderr.readline()))
            finally:
                process.kill()
                process.wait()
        seen = ["{level} {message} credential={credential} error={quoted}".format(**lines[0], quoted=json.dumps(lines[0]["error"]))]
        return Seen([*seen, request_line(lines[2])], scrape, answer)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def incidents(stage):
    """Rows: the incident, its symptoms, its series, its alert if any, and what to do."""
    cause = Incidents(stage)
    failed = "wonder_signer_proxy_errors_total"
    rejected = 'wonder_signer_upstream_responses_total{auth="rejected",code_class="4xx"}'
    refused, network = "WonderSignerRefusesRequests", "WonderSignerUpstreamUnreachable"

    def error(code, sent="no"):
        return f'{failed}{{reason="{code}",sent="{sent}"}}'

    small = '[limits]\nbody = "1KiB"\n'
    short = '[timeouts]\nresponse_head = "1s"\n'
    return [
        ("the key is not the one that Wonder has for the AppID", cause.one(LIST, key="wrong"), rejected, "WonderSignerAuthRejected",
         "run `check --echo`; mount the private key that belongs to the public key in the portal"),
        ("the host's clock is 40 minutes ahead", cause.clock(), "wonder_signer_clock_skew_seconds", "WonderSignerClockSkewCritical",
         "move the pods off the node, repair its time synchronisation"),
        ("nothing listens at Wonder's address", cause.one(CREATE, f"https://127.0.0.1:{free_port()}"), error("upstream_connect"), network,
         "check egress policy, firewall and NAT, then Wonder's status. Nothing was sent"),
        ("Wonder takes the request and does not answer", cause.one(CREATE, Silent().origin, short), error("upstream_timeout", "maybe"),
         "WonderSignerUnknownOutcome", "[settle](#how-to-settle-an-unknown-outcome) it; tell Wonder, with request ids"),
        ("Wonder's name cannot be resolved", cause.one(CREATE, "https://no-such-host.invalid"), error("upstream_dns"), network,
         "repair the cluster's resolver, or egress to port 53. Nothing was sent"),
        ("Wonder's certificate is not trusted", cause.tls(), error("upstream_tls"), network,
         "`cause` names the issuer. If that is your egress proxy, exempt Wonder from inspection or set `upstream.ca_file`. Nothing was sent"),
        ("a body is larger than `limits.body`", cause.one(("POST", CREATE[1], b"x" * 2000), settings=small), error("body_too_large"), refused,
         "raise `limits.body` if the body is right, see [`body_too_large`](errors.md#body_too_large); else correct the service. `peer` is its address"),
        ("SIGTERM while a request waits for Wonder", cause.drain(), "wonder_signer_draining", "WonderSignerDrainSlow",
         "[settle](#how-to-settle-an-unknown-outcome) the ids of the last line, then as [WonderSignerDrainCut](#wondersignerdraincut)"),
        ("the port is taken", cause.port_taken(), "up", "WonderSignerDown",
         "the line names the address: stop the other program, or change `listen.address`"),
        ("the key file cannot be read", cause.unreadable_key(), error("no_key"), "WonderSignerNoKey",
         "the first line names the file: in Kubernetes `defaultMode: 0440`, elsewhere change the owner. It is read again when that is done"),
        ("the path is not under `/svc/`", cause.one(("GET", "/healthz", None)), error("not_wonder"), refused,
         "correct the caller, whose address is `peer`; probes go to the admin listener, see [`not_wonder`](errors.md#not_wonder)"),
        ("the path is under `/svc/`, but Wonder does not have it", cause.one(("GET", f"{P}/custmers/42", None)),
         'wonder_signer_requests_total{code_class="4xx",method="GET",operation="other",origin="upstream"}', None,
         "correct the caller, whose address is `peer`: `{}` stands for a segment that no path of Wonder has"),
        ("the body is only white space", cause.one(("POST", f"{P}/echo", b" \n")), error("ambiguous_body"), refused,
         "correct the service: no body, or JSON, see [`ambiguous_body`](errors.md#ambiguous_body). `peer` is its address"),
    ]


def constant(text):
    """Replaces the parts that differ from run to run."""
    text = re.sub(r"\b127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}", "REQUEST-ID", text)
    text = re.sub(r"\b(2399|2401) s\b", "2400 s", text)
    text = re.sub(r"\b[01] s (ahead of|behind)", "0 s ahead of", text)
    # The error differs on a machine without a resolver.
    return text.replace("Temporary failure in name resolution", "Name or service not known")


def value(scrape, series):
    found = re.search(rf"(?m)^{re.escape(series)} (\S+)$", scrape)
    return float(found[1]) if found else None


def watches(alert, series):
    """Whether the rule of the alert selects this series."""
    rule = re.search(rf"- alert: {alert}\n\s+expr: (.*?)\n\s+(?:for|labels):", RULES.read_text(), re.S)[1]
    name, _, labels = series.partition("{")
    labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
    for matchers in re.findall(rf"\b{name}\b(?:\{{([^}}]*)\}})?", rule):
        pairs = re.findall(r'(\w+)=~?"([^"]*)"', matchers)
        if all(key not in labels or re.fullmatch(pattern, labels[key]) for key, pattern in pairs):
            return True
    return False


def check(tally, stage, write=False):
    rows = []
    for what, seen, series, alert, remedy in incidents(stage):
        number = value(seen.scrape, series)
        shows = number == 0 if series == "up" else number and number >= 1
        tally.check(shows, f"{what}: the metric shows it", f"{series} is {number}")
        tally.check(alert is None or watches(alert, series), f"{what}: {alert} reads the metric", series)
        tally.check(seen.lines, f"{what}: a log line is written")
        lines = "<br>".join(f"``{constant(line)}``" for line in seen.lines)
        entry = f"[{alert}](#{alert.lower()}): " if alert else ""
        rows.append(f"| {what} | {lines} | `{series}` | {constant(seen.answer)} | {entry}{remedy} |")
    tally.check(len(rows) > 11, "the table has twelve incidents", str(len(rows)))
    table = "\n".join([HEAD, *rows])
    before, rest = RUNBOOK.read_text().split(BEGIN)
    written, after = rest.split(END)
    if write:
        RUNBOOK.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
    else:
        new = [line for line in table.splitlines() if line not in written]
        tally.check(written.strip() == table, "the runbook's table agrees with the symptoms (incidents.py --write)", "\n".join(new))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tally = Tally()
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(str(pathlib.Path(sys.argv[1]).resolve()), directory)
        try:
            check(tally, stage, "--write" in sys.argv)
        finally:
            stage.end()
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
