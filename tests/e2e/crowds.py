#!/usr/bin/env python3
"""The cost of hostile peers with the limits of the manifests: the wait of a paying caller, and the peak memory.

    BINARY=target/release/wonder-signer tests/e2e/crowds.py

Each row is a new process. Each peer sends the bytes of its row on its own connection and then falls silent. Then a paying caller sends
one request. The output is the table of deploy/README.md.
"""

import http.server
import json
import os
import pathlib
import socket
import ssl
import sys
import tempfile
import time
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sidecar  # noqa: E402
import usage  # noqa: E402
from authority import Authority  # noqa: E402

MANIFESTS = pathlib.Path(__file__).parents[2] / "deploy/kubernetes"
HOST = b"Host: localhost\r\n"
PAYS = b"POST /svc/a HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}"
ELSEWHERE = b"GET /elsewhere HTTP/1.1\r\n" + HOST + b"\r\n"
HEAD = b"POST /svc/a HTTP/1.1\r\n" + HOST + b"X-A: "
MIB = 1 << 20


class Sidecar(sidecar.Sidecar):
    """A sidecar with the limits of a manifest, over TLS for the gateway."""

    def __init__(self, kind, directory):
        manifest = tomllib.loads((MANIFESTS / kind / f"{kind}.toml").read_text())
        self.limits = manifest["limits"]
        self.upstream = sidecar.serve(http.server.ThreadingHTTPServer(("127.0.0.1", 0), sidecar.Origin))
        lines = ["[limits]", *(f"{name} = {json.dumps(value)}" for name, value in self.limits.items())]
        self.tls = None
        if kind == "gateway":
            ours = Authority(directory / "ca", "ours")
            server, caller = ours.issue("server", "localhost", algorithm="rsa"), ours.issue("caller", "shop")
            names = zip(("certificate_file", "key_file"), server)
            lines += ["[listen.tls]", *(f'{name} = "{path}"' for name, path in names), f'client_ca_file = "{ours.certificate}"']
            self.tls = ssl.create_default_context(cafile=str(ours.certificate))
            self.tls.load_cert_chain(*map(str, caller))
        config = directory / "signer.toml"
        config.write_text("\n".join(lines))
        super().__init__(os.environ["BINARY"], f"http://127.0.0.1:{self.upstream.server_port}", config=config)

    def connect(self, tls=True):
        host, port = self.listen.rsplit(":", 1)
        stream = socket.create_connection((host, int(port)), timeout=20)
        return self.tls.wrap_socket(stream, server_hostname="localhost") if self.tls and tls else stream

    def pays(self):
        """Seconds until a request is answered 200; None after 20 s."""
        began = time.monotonic()
        while time.monotonic() - began < 20:
            try:
                with self.connect() as stream:
                    stream.sendall(PAYS)
                    if stream.recv(4096).startswith(b"HTTP/1.1 200"):
                        return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.05)
        return None

    def stop(self):
        super().stop()
        self.upstream.shutdown()


def attacks(signer):
    """Name, bytes, responses to read, connections, and whether they use TLS if the listener has it."""
    many = 2 * signer.limits["connections"]
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
    yield "no bytes", b"", 0, max(many, 512), False
    if not signer.tls:
        yield "one byte", b"G", 0, many, True
    yield "one CRLF", b"\r\n", 0, many, True
    yield "an HTTP/2 preface", preface, 0, many, True
    yield "one answered 404", ELSEWHERE, 1, many, True
    yield "60 KiB of a head", HEAD + b"a" * 60_000, 0, many, True
    yield "404s that are not read", ELSEWHERE * 200, 0, many, True
    yield "a head, and 1 MiB of a body less one byte", HEAD + b"a\r\nContent-Length: 1048576\r\n\r\n" + b"b" * (MIB - 1), 0, many, True


def attack(signer, sends, answers, count, tls):
    held = []
    for _ in range(count):
        try:
            stream = signer.connect(tls)
            held.append(stream)
            stream.settimeout(0.5)
            stream.sendall(sends)
            for _ in range(answers):
                stream.recv(4096)
        except OSError:
            # The sidecar evicted or rejected the connection.
            pass
    return held


def main():
    print("| limits of | what all the peers send | connections | the paying caller waits | most memory |\n|---|---|---|---|---|")
    for kind in ("sidecar", "gateway"):
        with tempfile.TemporaryDirectory() as directory:
            signer = Sidecar(kind, pathlib.Path(directory))
            rows = [(), *attacks(signer)]
            signer.stop()
        for row in rows:
            with tempfile.TemporaryDirectory() as directory:
                signer = Sidecar(kind, pathlib.Path(directory))
                held = attack(signer, *row[1:]) if row else []
                wait = signer.pays()
                peak = usage.peak_resident(signer.process.pid) / MIB
                took = "more than 20 s" if wait is None else f"{wait * 1000:.0f} ms"
                name, count = (row[0], len(held)) if row else ("no other peer", 0)
                print(f"| {kind} | {name} | {count} | {took} | {peak:.1f} MiB |", flush=True)
                signer.stop()


if __name__ == "__main__":
    main()
