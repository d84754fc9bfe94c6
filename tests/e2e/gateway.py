"""The checks of the shared gateway: a pod from its own manifests, and callers with certificates."""

import concurrent.futures
import functools
import json
import os
import shutil
import ssl

import caller
import images
import manifests
import usage
from authority import Authority
from machine import Failed, Pod, Relay, expect, podman, until
from world import KUBECTL, KUBERNETES, MIB, ROOT, TO_SIMULATOR, in_flight

PORT, ADMIN = 8443, 9090
ECHO = "/svc/payment/api/v1/openapi/echo"
# Values of the manifest: the pod's fsGroup, and the limits of the container and of gateway.toml.
GROUP, MEMORY, CONNECTIONS, BUFFERED = 65532, 192 * MIB, 512, 32


class Secret:
    """A directory in the form of a mounted Secret: files behind links, which all change at once in a renewal."""

    def __init__(self, directory, files):
        self.directory = directory
        self.versions = 0
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.put(files)
        for name in files:
            (directory / name).symlink_to(f"..data/{name}")

    def put(self, files):
        self.versions += 1
        version = self.directory / f"..version-{self.versions}"
        version.mkdir()
        for name, source in files.items():
            shutil.copyfile(source, version / name)
            os.chown(version / name, 0, GROUP)
            os.chmod(version / name, 0o440)
        (self.directory / "..data_new").symlink_to(version.name)
        os.replace(self.directory / "..data_new", self.directory / "..data")


class Gateway:
    """One replica with its mounts, and callers in the pod of the example's service."""

    def __init__(self, world):
        work = world.work / "gateway"
        shutil.rmtree(work, ignore_errors=True)
        # Two authorities, so that neither side accepts the other's certificates.
        self.servers, self.callers = Authority(work / "servers", "gateway-ca"), Authority(work / "callers", "caller-ca")
        self.tls = Secret(work / "tls-secret", self.files("first"))
        key = Secret(work / "key-secret", {name: world.old / name for name in ("app_id", "private_key.pem")})
        secrets = {"wonder-signer-key": key.directory, "wonder-gateway-tls": self.tls.directory}
        environment = {**TO_SIMULATOR, "WONDER_SIGNER_LISTEN__ADDRESS": f"127.0.0.1:{PORT}"}
        objects = manifests.render(KUBECTL, KUBERNETES / "gateway")
        self.pod = world.keep(Pod("gateway", manifests.pod(objects, "gateway", secrets, world.shared, environment)))
        self.upstream = world.keep(Relay(self.pod.namespace, world.simulator.namespace, 4443))
        world.keep(Relay(world.app.namespace, self.pod.namespace, PORT))
        self.place = f"ns:/proc/{world.app.pid('wonder-signer')}/ns/net"
        until("the gateway is ready", lambda: self.pod.namespace.answers(ADMIN, "/readyz"))

    def files(self, name):
        """A new certificate for the gateway, of the most expensive kind, and the authority that the gateway trusts."""
        certificate, key = self.servers.issue(name, caller.NAME, algorithm="rsa")
        return {"tls.crt": certificate, "tls.key": key, "ca.crt": self.callers.certificate}

    def call(self, reference, identity=None):
        """The answer to a container with this certificate and key, or with none."""
        mounts = {self.servers.certificate: "gateway-ca.crt"}
        if identity:
            mounts |= {identity[0]: "me.crt", identity[1]: "me.key"}
            os.chmod(identity[1], 0o444)
        words = ["run", "--rm", "--network", self.place, "--read-only", "--cap-drop", "all", "--entrypoint", "python3"]
        words += ["--volume", f"{ROOT}/tests/e2e/caller.py:/caller.py:ro"]
        words += [word for file, name in mounts.items() for word in ("--volume", f"{file}:/tls/{name}:ro")]
        words += [images.APP, "/caller.py", reference, *(["me"] if identity else [])]
        return json.loads(podman(*words).stdout)

    def connect(self, identity):
        return caller.connect(self.pod.namespace.connect(PORT), self.servers.certificate, identity)

    def metric(self, series):
        text = self.pod.namespace.ask(ADMIN, "GET", "/metrics")[2].decode()
        return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(f"{series} ")))

    def requests(self):
        lines = (json.loads(line) for line in self.pod.logs("wonder-signer").splitlines())
        return [line for line in lines if line["message"] == "request"]


@functools.cache
def gateway(world):
    return Gateway(world)


def serves_named_callers_alone(world):
    """the gateway, from its own manifests, signs only for a caller whose certificate is named"""
    ours, before = gateway(world), world.arrived()
    named = ours.callers.issue("named", "example-app", "something else")
    expect("a named caller", ours.call("gateway-1", named), {"status": 200})
    expect("customers that arrived", world.references(world.app, "gateway-"), ["gateway-1"])
    world.arrives(before + 1)
    unnamed = ours.callers.issue("unnamed", "stranger", "example-app")
    denied = {"status": 403, "error": "policy_denied", "sent": "no"}
    expect("a caller that is not named", ours.call("gateway-2", unnamed), denied)
    for what, identity in [
        ("a caller without a certificate", None),
        ("a certificate of another authority", ours.servers.issue("foreign", "example-app")),
    ]:
        seen = ours.call("gateway-3", identity)
        if "refused" not in seen:
            raise Failed(f"{what} got {seen}")
    expect("handshakes that failed", ours.metric("wonder_signer_listener_handshakes_failed_total"), 2.0)
    count = lambda name: ours.metric(f'wonder_signer_caller_requests_total{{caller="{name}"}}')
    expect("requests by caller", (count("example-app"), count("other")), (1.0, 1.0))
    until("both are logged", lambda: len(ours.requests()) >= 2)
    logged = [(line["caller"], line["status"]) for line in ours.requests()]
    expect("logged", logged, [("example-app", 200), ("stranger", 403)])
    world.arrives(before + 1)
    pid = ours.pod.pid("wonder-signer")
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
    expect("Uid", status["Uid"].split(), ["65532"] * 4)
    expect("Gid", status["Gid"].split(), ["65532"] * 4)
    expect("memory limit", ours.pod.inspect("wonder-signer")["HostConfig"]["Memory"], MEMORY)
    return "1 served; not named: 403; without a certificate, or with another authority's: no handshake"


def renews_without_a_restart(world):
    """a renewed certificate of the gateway is served without a restart, and open connections stay open"""
    ours = gateway(world)
    named = ours.callers.issue("renewing", "example-app")
    pid, kept = ours.pod.pid("wonder-signer"), ours.connect(named)
    shown = lambda client: client.sock.getpeercert(binary_form=True)
    renewed = ours.files("second")
    ours.tls.put(renewed)

    def is_renewed():
        client = ours.connect(named)
        try:
            return shown(client) == ssl.PEM_cert_to_DER_cert(renewed["tls.crt"].read_text())
        finally:
            client.close()

    until("the renewed certificate is served", is_renewed)
    expect("an open connection", (shown(kept) == shown(ours.connect(named)), caller.ask(kept, ECHO, {"message": "still"})), (False, {"status": 200}))
    expect("the process", ours.pod.pid("wonder-signer"), pid)


def stays_within_its_limits(world):
    """the gateway stays within its memory limit with the maximum of connections and buffered bodies"""
    ours = gateway(world)
    named = ours.callers.issue("busy", "example-app")
    pid = ours.pod.pid("wonder-signer")
    rest = usage.resident(pid)
    # Some connections are for probes, and some of earlier checks may not be closed yet.
    count = CONNECTIONS - 16
    cpu = usage.cpu_seconds(pid)
    # Each sends a request at once, because the gateway keeps only a quarter of those without one.
    message = {"message": "x" * 400}
    clients, answers = [], []
    for _ in range(count):
        clients.append(ours.connect(named))
        answers.append(caller.ask(clients[-1], ECHO, message))
    first = (usage.cpu_seconds(pid) - cpu) / count
    connected = usage.resident(pid)
    calls = 1000
    cpu = usage.cpu_seconds(pid)
    answers += [caller.ask(clients[number % count], ECHO, message) for number in range(calls)]
    request = (usage.cpu_seconds(pid) - cpu) / calls
    handshake = first - request
    expect("answers", [answer for answer in answers if answer != {"status": 200}], [])
    ours.upstream.hold()
    body = {"message": "x" * (MIB - 100)}
    with concurrent.futures.ThreadPoolExecutor(BUFFERED) as pool:
        waiting = [pool.submit(caller.ask, client, ECHO, body) for client in clients[:BUFFERED]]
        until("all bodies are in flight", lambda: in_flight(ours.pod) == BUFFERED)
        until("the bodies are buffered", lambda: usage.resident(pid) > connected + (BUFFERED - 4) * MIB)
        ours.upstream.release()
        answers = [call.result(60) for call in waiting]
    expect("answers to large bodies", [answer for answer in answers if answer != {"status": 200}], [])
    for client in clients:
        client.close()
    peak = usage.peak_memory(pid)
    expect("out of memory", ours.pod.inspect("wonder-signer")["State"]["OOMKilled"], False)
    seen = (
        f"memory {rest / MIB:.1f} MiB at rest, {connected / MIB:.1f} with {count} connections, {peak / MIB:.1f} at the most, "
        f"with {BUFFERED} MiB of bodies; CPU {request * 1000:.2f} ms a request, {handshake * 1000:.2f} ms a new connection"
    )
    if peak >= MEMORY:
        raise Failed(seen)
    return seen


CHECKS = [serves_named_callers_alone, renews_without_a_restart, stays_within_its_limits]
