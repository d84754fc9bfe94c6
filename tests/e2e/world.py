"""The shared parts of the checks: the images, the keys, the simulator's pod, and functions that make more pods."""

import functools
import json
import os
import pathlib
import re

import images
import manifests
from machine import Failed, Pod, Relay, expect, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
KUBECTL = os.environ["KUBECTL"]
# The sidecar as it is shipped, and the program of the simulator's image.
BINARY, SIMULATOR = (pathlib.Path(os.environ[name]).resolve() for name in ("BINARY", "SIMULATOR"))
CUSTOMERS = "/svc/payment/api/v1/openapi/customers"
MIB = 1024 * 1024
# The pods have loopback only; the other values are those of a real overlay with its own origin.
TO_SIMULATOR = {
    "WONDER_SIGNER_ADMIN__ADDRESS": "127.0.0.1:9090",
    "WONDER_SIGNER_UPSTREAM__ENVIRONMENT": "custom",
    "WONDER_SIGNER_UPSTREAM__ORIGIN": "https://localhost:4443",
    "WONDER_SIGNER_UPSTREAM__CA_FILE": "/shared/ca.pem",
    "WONDER_SIGNER_UPSTREAM__CA_MODE": "replace",
    # Checks hold the peer's bytes back, including those of a handshake, so no time-out may end first.
    "WONDER_SIGNER_TIMEOUTS__TLS_HANDSHAKE": "60s",
}


class World:
    """Starts the simulator's pod, and records every started pod and relay, to end them."""

    def __init__(self, work, figures=False):
        self.work = work
        # Whether figures that depend on a quiet machine are compared with their limits, or only printed.
        self.figures = figures
        self.things = []
        self.image_size = images.program(ROOT, BINARY, images.SIGNER, "prebuilt")
        self.simulator_size = images.program(ROOT, SIMULATOR, images.SIMULATOR, "prebuilt-simulator")
        images.app(ROOT, work)
        self.old, self.old_id = images.keys(BINARY, work, "old")
        self.new, self.new_id = images.keys(BINARY, work, "new")
        self.shared = work / "shared"
        self.shared.mkdir(exist_ok=True)
        (self.shared / "ca.pem").unlink(missing_ok=True)
        os.chmod(self.shared, 0o777)
        apps = [(self.old_id, "old.pem"), (self.new_id, "new.pem")]
        public = self.work / "keys"
        self.simulator = self.keep(Pod("simulator", manifests.simulator("simulator", public, self.shared, apps)))
        until("the simulator has written its certificate", (self.shared / "ca.pem").exists)

    def keep(self, pod):
        self.things.append(pod)
        return pod

    def drop(self, *things):
        """Ends pods and relays after a check."""
        for thing in things:
            self.things.remove(thing)
            thing.remove() if isinstance(thing, Pod) else thing.close()

    def service(
        self, name, overlay="staging", objects=None, key=None, cpu=None, app=None, kinds=("Deployment", "Job"), more=None
    ):
        """A pod from a shipped overlay, or from these objects, and the relay between it and the simulator."""
        objects = objects or manifests.render(KUBECTL, KUBERNETES / "example-app" / overlay)
        environment = {**TO_SIMULATOR, **(more or {})}
        app = {"LISTEN": "127.0.0.1:8000", **(app or {})}
        secrets = {"wonder-signer-key": key or self.old}
        made = manifests.pod(objects, name, secrets, self.shared, environment, app, cpu, kinds)
        pod = self.keep(Pod(name, made))
        relay = Relay(pod.namespace, self.simulator.namespace, 4443)
        self.things.append(relay)
        return pod, relay

    def templates(self):
        """The pod template of every shipped workload, with its directory and its kind."""
        for place in ("example-app/staging", "example-app/production", "example-app/jobs", "example-app/jobs-plain", "gateway"):
            for thing in manifests.render(KUBECTL, KUBERNETES / place):
                if thing["kind"] in manifests.WORKLOADS:
                    yield place, thing["kind"], manifests.template(thing)

    def template(self, overlay):
        """The pod template of the service in an overlay."""
        return next(template for place, _, template in self.templates() if place == f"example-app/{overlay}")

    @functools.cached_property
    def app(self):
        """The service with its sidecar, for checks that do not break it."""
        pod, _ = self.service("app")
        self.ready(pod)
        return pod

    def ready(self, pod):
        until("the sidecar is ready", lambda: pod.namespace.answers(9090, "/readyz"))
        until("the service is ready", lambda: pod.namespace.answers(8000, "/healthz"))

    def arrived(self, status=200):
        """How many customer requests the simulator has logged."""
        lines = (json.loads(line) for line in self.simulator.logs("simulator").splitlines() if line.startswith("{"))
        return sum(
            line.get("method") == "POST" and line.get("route") == CUSTOMERS and line.get("status") == status
            for line in lines
        )

    def arrives(self, count):
        """Waits for `count` customer requests, because the simulator may log after it answers."""
        until(f"{count} customer requests arrived", lambda: self.arrived() >= count)
        expect("customer requests", self.arrived(), count)

    def references(self, pod, prefix):
        """The references of the simulator's customers, listed through a sidecar."""
        found = []
        while True:
            status, _, text = pod.namespace.ask(8080, "GET", f"{CUSTOMERS}?limit=1000&offset={len(found)}")
            answer = json.loads(text)
            if status != 200:
                raise Failed(f"customers cannot be listed: {status} {answer.get('message')}")
            rows = answer["data"]["customers"]
            found += [row["reference_number"] for row in rows]
            if not rows:
                return sorted(reference for reference in found if reference.startswith(prefix))

    def close(self):
        for thing in reversed(self.things):
            thing.remove() if isinstance(thing, Pod) else thing.close()


def sign_up(pod, reference):
    body = json.dumps({"name": "Kestrel Tea Room", "phone": "55501234", "reference": reference})
    status, _, text = pod.namespace.ask(8000, "POST", "/signup", body, {"Content-Type": "application/json"})
    return status, json.loads(text)


def customer(reference):
    return json.dumps({"customer": {"name": "Direct", "phone": "55501234", "reference_number": reference}})


def in_flight(pod):
    text = pod.namespace.ask(9090, "GET", "/metrics")[2].decode()
    found = re.search(r"^wonder_signer_\w*in_flight\w*(?:\{[^}]*\})? (\d+)", text, re.M)
    return int(found[1]) if found else None
