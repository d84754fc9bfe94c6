"""An origin with several addresses, some of them dead, in a network namespace: the duration of the sidecar's first and second call.

    unshare --net --mount python3 tests/e2e/addresses.py PROGRAM [--curl]

Needs root, iptables and openssl. With --curl it also measures curl (90 s more). In each case both calls must be answered
before timeouts.connect, and the second must not wait for a dead address again.
"""

import http.client
import http.server
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

import sidecar

PORT, NAME = 8443, "gateway.test"
# A moment less than timeouts.connect, in seconds: no call may wait for it.
CONNECT = 4.5
work = pathlib.Path(tempfile.mkdtemp())


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET


class Server6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve(address):
    server = (Server6 if ":" in address else Server)((address, PORT), sidecar.Origin)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work / "cert.pem", work / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    sidecar.serve(server)


def hang(address):
    """Accepts connections and never sends a byte."""
    listener = socket.create_server((address, PORT))
    threading.Thread(target=lambda: [kept.append(listener.accept()) for _ in iter(int, 1)], daemon=True).start()


kept = []


def drop(address):
    tables = "ip6tables" if ":" in address else "iptables"
    run(tables, "-A", "INPUT", "-d", address, "-p", "tcp", "--dport", str(PORT), "-j", "DROP")


class Resolver:
    """Answers A queries with one address and AAAA queries never; answers nothing once it is dead."""

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


class Sidecar(sidecar.Sidecar):
    def __init__(self, program):
        # Idle connections are not kept, so each call connects.
        settings = {"upstream.ca_file": work / "cert.pem", "upstream.pool_idle": "1ms"}
        super().__init__(program, f"https://{NAME}:{PORT}", settings)

    def call(self):
        """The outcome, and its duration in seconds."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection(self.listen, timeout=60)
        connection.request("POST", "/svc/a", b"{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        what = answer.getheader("x-wonder-signer-error") or str(answer.status)
        return what, time.monotonic() - begun


def curl():
    begun = time.monotonic()
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(work / "cert.pem"), "-m", "30", "-d", "{}"]
    done = subprocess.run([*words, f"https://{NAME}:{PORT}/svc/a"], capture_output=True, text=True)
    return done.stdout, time.monotonic() - begun


def hosts(*addresses):
    (work / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{address} {NAME}\n" for address in addresses))


def show(case, program):
    signer = Sidecar(program)
    calls = [signer.call(), signer.call()]
    signer.stop()
    if "--curl" in sys.argv:
        calls.append(curl())
    print(f"{case:44} " + "   ".join(f"{what:>16} {took:6.2f} s" for what, took in calls), flush=True)
    return calls[:2]


def main(program):
    extension = f"subjectAltName=DNS:{NAME}"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", work / "key.pem", "-out", work / "cert.pem", "-days", "2",
        "-subj", "/CN=origin", "-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE")
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
    for case, addresses, waits in [
        ("one address", [good], False), ("the first is dead", [dead[0], good], True), ("two of three are dead", [*dead, good], True),
        ("the first refuses", [refusing, good], False), ("TLS hangs on the first", [hanging, good], True),
        ("dead IPv6, good IPv4", [dead6, good], True), ("dead IPv4, good IPv6", [dead[0], good6], False),
    ]:
        hosts(*addresses)
        first, second = show(case, program)
        # The second call starts with the address that answered. Of two families, the first call may start with the good one.
        remembered = second[1] < first[1] or not waits
        if (first[0], second[0]) != ("200", "200") or max(first[1], second[1]) > CONNECT or not remembered:
            failed.append(case)

    hosts()
    resolver = Resolver(good)
    first, second = show("AAAA is never answered", program)
    if (first[0], second[0]) != ("200", "200"):
        failed.append("AAAA")
    signer = Sidecar(program)
    before = signer.call()
    resolver.dead = True
    # Until the pool has evicted the first connection and the first look-up is no longer shared.
    time.sleep(1)
    after = signer.call()
    signer.stop()
    print(f"{'the resolver dies after a first call':44} {before[0]:>16} {before[1]:6.2f} s   {after[0]:>16} {after[1]:6.2f} s")
    if (before[0], after[0]) != ("200", "200"):
        failed.append("resolver dies")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


main(sys.argv[1])
