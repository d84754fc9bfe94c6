"""A name with several addresses, some of them dead, in a network of its own: how long the sidecar's first and second call take.

    unshare --net --mount python3 tests/e2e/addresses.py PROGRAM [--curl]

Needs root, iptables and openssl; with --curl also curl, whose time is then shown beside (90 s more). Each case must be answered within
seconds the first time, and at once the second time.
"""

import http.client
import http.server
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

PORT, NAME = 8443, "gateway.test"
APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"
work = pathlib.Path(tempfile.mkdtemp())


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET


class Server6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve(address):
    server = (Server6 if ":" in address else Server)((address, PORT), Origin)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work / "cert.pem", work / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def hang(address):
    """Accepts TCP and never says anything."""
    listener = socket.create_server((address, PORT))
    threading.Thread(target=lambda: [kept.append(listener.accept()) for _ in iter(int, 1)], daemon=True).start()


kept = []


def drop(address):
    tables = "ip6tables" if ":" in address else "iptables"
    run(tables, "-A", "INPUT", "-d", address, "-p", "tcp", "--dport", str(PORT), "-j", "DROP")


class Resolver:
    """Answers A queries with one address, AAAA queries never, and nothing once it is dead."""

    def __init__(self, address):
        self.address, self.dead = address, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self):
        while True:
            query, client = self.socket.recvfrom(512)
            end = query.index(b"\0", 12) + 1
            kind = struct.unpack(">H", query[end : end + 2])[0]
            if self.dead or kind != 1:
                continue
            head = query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12 : end + 4]
            record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(self.address)
            self.socket.sendto(head + record, client)


class Sidecar:
    def __init__(self, program, **more):
        ready = work / f"ready-{time.monotonic_ns()}"
        environment = {
            "WONDER_SIGNER_UPSTREAM__ENVIRONMENT": "custom",
            "WONDER_SIGNER_UPSTREAM__ORIGIN": f"https://{NAME}:{PORT}",
            "WONDER_SIGNER_UPSTREAM__CA_FILE": str(work / "cert.pem"),
            "WONDER_SIGNER_UPSTREAM__POOL_IDLE": "1ms",
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID": APP_ID,
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_FILE": str(work / "signer.pem"),
            **more,
        }
        words = [program, "run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ready-file", str(ready)]
        self.process = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
        while not ready.exists():
            time.sleep(0.01)
        time.sleep(0.1)
        listen = json.loads(ready.read_text())["listen"]
        self.listen = listen[0] if isinstance(listen, list) else listen

    def call(self):
        """What comes back, and after how many seconds."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection(self.listen, timeout=60)
        connection.request("POST", "/svc/a", b"{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        what = answer.getheader("x-wonder-signer-error") or str(answer.status)
        return what, time.monotonic() - begun

    def stop(self):
        self.process.kill()
        self.process.wait()


def curl():
    begun = time.monotonic()
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(work / "cert.pem"), "-m", "30", "-d", "{}"]
    done = subprocess.run([*words, f"https://{NAME}:{PORT}/svc/a"], capture_output=True, text=True)
    return done.stdout, time.monotonic() - begun


def hosts(*addresses):
    (work / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{address} {NAME}\n" for address in addresses))


def show(case, program):
    sidecar = Sidecar(program)
    calls = [sidecar.call(), sidecar.call()]
    sidecar.stop()
    if "--curl" in sys.argv:
        calls.append(curl())
    print(f"{case:44} " + "   ".join(f"{what:>16} {took:6.2f} s" for what, took in calls), flush=True)
    return calls[:2]


def main(program):
    extension = f"subjectAltName=DNS:{NAME}"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", work / "key.pem", "-out", work / "cert.pem", "-days", "2",
        "-subj", "/CN=origin", "-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE")
    run("openssl", "genrsa", "-out", work / "signer.pem", "2048")
    (work / "signer.pem").chmod(0o600)
    run("ip", "link", "set", "lo", "up")
    dead = ["10.9.0.1", "10.9.0.2"]
    refusing, hanging, good, dead6, good6 = "10.9.0.3", "10.9.0.4", "10.9.0.9", "fd09::1", "fd09::9"
    for address in [*dead, refusing, hanging, good]:
        run("ip", "address", "add", f"{address}/32", "dev", "lo")
    for address in [dead6, good6]:
        run("ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")
    for address in [*dead, dead6]:
        drop(address)
    for address in [good, good6]:
        serve(address)
    hang(hanging)
    hosts()
    (work / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    run("mount", "--bind", work / "hosts", "/etc/hosts")
    run("mount", "--bind", work / "resolv.conf", os.path.realpath("/etc/resolv.conf"))

    print(f"{'':44} {'first call':>25}   {'second call':>25}")
    failed = []
    for case, addresses, limit in [
        ("one address", [good], 1), ("the first is dead", [dead[0], good], 2), ("two of three are dead", [*dead, good], 3),
        ("the first refuses", [refusing, good], 1), ("TLS hangs on the first", [hanging, good], 3),
        ("dead IPv6, good IPv4", [dead6, good], 2), ("dead IPv4, good IPv6", [dead[0], good6], 2),
    ]:
        hosts(*addresses)
        first, second = show(case, program)
        if (first[0], second[0]) != ("200", "200") or first[1] > limit or second[1] > 1:
            failed.append(case)

    hosts()
    resolver = Resolver(good)
    first, second = show("AAAA is never answered", program)
    if (first[0], second[0]) != ("200", "200"):
        failed.append("AAAA")
    sidecar = Sidecar(program)
    before = sidecar.call()
    resolver.dead = True
    # The pool evicts the first connection, and no request joins the first look-up any more.
    time.sleep(1)
    after = sidecar.call()
    sidecar.stop()
    print(f"{'the resolver dies after a first call':44} {before[0]:>16} {before[1]:6.2f} s   {after[0]:>16} {after[1]:6.2f} s")
    if (before[0], after[0]) != ("200", "200"):
        failed.append("resolver dies")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


main(sys.argv[1])
