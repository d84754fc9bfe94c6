"""Answers that break off, with real callers that may retry by themselves: curl and Java's HttpURLConnection on a kept connection, and
nginx with the defaults of proxy_pass (HTTP/1.0).

    python3 tests/e2e/breaks.py PROGRAM [TRIES]

Needs curl, java (a JDK), nginx and openssl. No call may arrive upstream twice, and half an answer must not look whole. Prints one line for
each caller and each break.
"""

import collections
import concurrent.futures
import pathlib
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time

import sidecar

sys.path.append(str(pathlib.Path(__file__).parent / "prometheus"))
from programs import free_port  # noqa: E402

HERE = pathlib.Path(__file__).parent
program, tries = sys.argv[1], int((sys.argv[2:] or ["10"])[0])
work = pathlib.Path(tempfile.mkdtemp())
work.chmod(0o755)

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSED = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
OK = LENGTH % 2 + b"{}"
LARGE = b"x" * 100_000
# The bytes before the connection ends, and whether it ends in a reset. Each answer is incomplete.
BREAKS = {
    "close-in-head": (LENGTH[:30], False),
    "close-after-head": (LENGTH % 42, False),
    "reset-after-head": (LENGTH % 42, True),
    "junk-after-head": (CHUNKED + b"zz\r\n", False),
    "half-a-body": (LENGTH % 42 + b'{"paid":true,"o', False),
    "half-the-chunks": (CHUNKED + b'f\r\n{"paid":true,"o\r\n', False),
    "reset-before-close": (CLOSED + b'{"paid":true,"o', True),
    "large-close-after-head": (LENGTH % 200_000, False),
    "large-half-a-body": (LENGTH % 200_000 + LARGE, False),
    "large-half-the-chunks": (CHUNKED + b"186a0\r\n" + LARGE + b"\r\n", False),
    "large-junk": (CHUNKED + b"186a0\r\n" + LARGE + b"\r\nzz\r\n", False),
    "large-reset-before-close": (CLOSED + LARGE, True),
}
arrived = collections.Counter()


class Upstream(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            headers = {}
            while (field := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = field.decode().partition(":")
                headers[name.lower()] = value.strip()
            self.rfile.read(int(headers.get("content-length", 0)))
            arrived[headers["x-request-id"]] += 1
            name = line.split()[1].decode().removeprefix("/svc/")
            if name == "ok":
                self.wfile.write(OK)
                continue
            written, resets = BREAKS[name]
            self.wfile.write(written)
            if resets:
                # Waits until the peer has read the bytes, because a reset discards them.
                time.sleep(0.02)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.rfile.close()
                self.connection.close()
            return


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def shutdown_request(self, request):
        # Without shutdown(2), which would send a FIN before the reset.
        self.close_request(request)

    def handle_error(self, request, client_address):
        pass


def curl(origin, target, ids):
    """Each call follows another one on the same connection."""
    outcomes = []
    for request_id in ids:
        options = ["-s", "--http1.1", "--max-time", "20", "-H", "Content-Type: application/json", "-d", '{"amount":1}']
        first = [*options, "-H", f"X-Request-ID: {request_id}-ok", "-o", "/dev/null", f"{origin}/svc/ok"]
        second = [*options, "-H", f"X-Request-ID: {request_id}", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", origin + target]
        done = subprocess.run(["curl", *first, "--next", *second], capture_output=True, text=True)
        outcomes.append("FAILED" if done.returncode else done.stdout)
    return outcomes


def java(origin, target, ids):
    words = ["java", "-XX:TieredStopAtLevel=1", "-cp", str(work), "Resender", origin, target, *ids]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


def through_nginx(_, target, ids):
    return curl(f"http://127.0.0.1:{front}", target, ids)


CALLERS = {"curl": curl, "java": java, "nginx": through_nginx}


def show(case):
    caller, name = case
    ids = [f"{caller}-{name}-{number}" for number in range(tries)]
    outcomes = CALLERS[caller](f"http://{listen}", f"/svc/{name}", ids)
    statuses = collections.Counter(outcome.split()[0] for outcome in outcomes)
    twice = sum(arrived[request_id] > 1 for request_id in ids)
    lost = sum(arrived[request_id] == 0 for request_id in ids)
    # No answer here is whole, so each 200 without an error counts as a half that looks whole.
    whole = statuses["200"]
    print(f"{caller:6} {name:26} {dict(statuses)}; {twice} arrived twice, {lost} never; {whole} halves looked whole", flush=True)
    return twice, lost, whole


upstream = Server(("127.0.0.1", 0), Upstream)
threading.Thread(target=upstream.serve_forever, daemon=True).start()
subprocess.run(["javac", "-d", str(work), str(HERE / "clients/Resender.java")], check=True)
signer = sidecar.Sidecar(program, f"http://127.0.0.1:{upstream.server_address[1]}", {"log.level": "off"})
listen = signer.listen
front = free_port()
(work / "nginx.conf").write_text(f"""
daemon off; pid {work}/pid; error_log {work}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {work}/a; proxy_temp_path {work}/b; fastcgi_temp_path {work}/c; uwsgi_temp_path {work}/d; scgi_temp_path {work}/e;
    server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://{listen}; }} }}
}}""")
nginx = subprocess.Popen(["nginx", "-p", str(work), "-c", f"{work}/nginx.conf"], stderr=subprocess.DEVNULL)
while not (work / "pid").exists():
    time.sleep(0.02)
began = time.monotonic()
try:
    cases = [(caller, name) for caller in CALLERS for name in BREAKS]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(show, cases))
finally:
    signer.stop()
    nginx.terminate()
    nginx.wait()
twice, lost, whole = map(sum, zip(*results))
print(f"{len(cases) * tries} calls in {time.monotonic() - began:.0f} s: {twice} arrived twice, {lost} never; {whole} half answers looked whole")
if twice or lost or whole:
    sys.exit("failed")
