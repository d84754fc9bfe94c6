"""The faults: how each is caused and removed, and the alerts that it must raise. Each has a namespace of its own."""

import signal
import threading
import time

from pretenders import OddUpstream, Player
from programs import Load, P, Sidecar, free_port
from relay import Relay

# Shortened along with the rules.
PACE = """
[timeouts]
connect = "2s"
tls_handshake = "2s"
{timeouts}
[limits]
body = "64KiB"
{limits}
[shutdown]
drain_delay = "0s"
grace = "6s"
"""


def settings(timeouts="", limits=""):
    return PACE.format(timeouts=timeouts, limits=limits)


class Fault:
    """`expected`: the alerts that must fire and clear. `also`: alerts that may fire too."""

    kind = "real"

    def __init__(self, name, what, expected, also=()):
        self.name, self.what, self.expected, self.also = name, what, expected, set(also)
        self.targets = []

    def target(self, port, pod=None, job="shop/wonder-signer"):
        self.targets.append((job, port, {"namespace": self.name, "pod": pod or f"{self.name}-0"}))


class OnSidecar(Fault):
    """A fault at one real instance, under load."""

    def __init__(self, stage, name, what, expected, inject, remove, also=(), origin=None, config=None, load=None):
        super().__init__(name, what, expected, also)
        self.relay = Relay(free_port(), stage.simulator) if origin is None else None
        self.sidecar = Sidecar(stage, name, origin or f"https://127.0.0.1:{self.relay.port}", config or settings())
        self.load_options = load or {}
        self.load = None
        self.sidecars = [self.sidecar]
        self.target(self.sidecar.admin)
        self.inject = lambda: inject(self)
        self.remove = lambda: remove(self)

    def second(self, stage):
        """A further pod of the same workload."""
        self.other = Sidecar(stage, f"{self.name}-1", self.sidecar.origin, settings())
        self.sidecars.append(self.other)
        self.target(self.other.admin, f"{self.name}-1")
        return self

    def begin(self):
        self.load = Load(self.sidecar.listen, **self.load_options)


class Played(Fault):
    """A fault that only shows in metrics: lines of a real scrape are replaced."""

    kind = "played"

    def __init__(self, name, what, expected, lines, source, also=(), others=(), elsewhere=None):
        """`others`: the lines of further pods. `elsewhere`: lines of kube-state-metrics, about this one's pod."""
        super().__init__(name, what, expected, also)
        self.players = []
        for place, played in enumerate([lines, *others]):
            port = free_port()
            self.players.append(Player(port, source, played))
            self.target(port, f"{name}-{place}")
        if elsewhere:
            port = free_port()
            self.players.append(Player(port, None, elsewhere))
            self.targets.append(("kube-state-metrics", port, {"prober": name}))

    def begin(self):
        pass

    def inject(self):
        for player in self.players:
            player.play()

    def remove(self):
        for player in self.players:
            player.stop()


def mode(value):
    return lambda fault: fault.relay.set(value)


def throttle(fault):
    """Limits the processor as a container's quota does, to 5 ms of every 60 ms."""
    fault.throttled = True
    process = fault.sidecar.process

    def work():
        while fault.throttled and process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.055)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.005)

    threading.Thread(target=work, daemon=True).start()


def unthrottle(fault):
    fault.throttled = False


def restart_often(fault):
    fault.restarting = True

    def work():
        # The start time has a resolution of one second.
        while fault.restarting:
            fault.sidecar.start_again()
            time.sleep(2.5)

    fault.restarter = threading.Thread(target=work, daemon=True)
    fault.restarter.start()


def restart_no_more(fault):
    fault.restarting = False
    fault.restarter.join()


def drain(fault):
    """The instance receives SIGTERM while unanswered requests are in flight."""
    fault.relay.set("hang")
    time.sleep(1.5)
    fault.sidecar.signal(signal.SIGTERM)


def undrain(fault):
    fault.relay.set("pass")
    fault.sidecar.start_again()


def service_faults(fault):
    fault.load.requests = [
        ("POST", f"{P}/customers", b"x" * 100_000), ("GET", "/healthz", None), ("GET", f"{P}/customers", None),
        ("POST", f"{P}/echo", b"  "),
    ]


def service_recovers(fault):
    fault.load.requests = [("GET", f"{P}/customers", None)]


def mix(fault):
    fault.other.settings = settings(limits="connections = 99")
    fault.other.start_again("wrong")


def unmix(fault):
    fault.other.settings = settings()
    fault.other.start_again("right")


def odd(attribute, value):
    return lambda fault: setattr(fault.upstream, attribute, value)


def all_faults(stage, source):
    """Every fault, with its programs started and healthy. `source`: metrics of a healthy instance, for faults in metrics only."""
    down = "WonderSignerDown"

    def on(*arguments, **options):
        return OnSidecar(stage, *arguments, **options)

    faults = [
        on("wrong-key", "the key is not the one registered at Wonder", ["WonderSignerAuthRejected"],
           lambda fault: fault.sidecar.start_again("wrong"), lambda fault: fault.sidecar.start_again("right"), also=[down]),
        on("network", "nothing listens at the origin", ["WonderSignerUpstreamUnreachable", "WonderSignerUpstreamErrors"],
           mode("refuse"), mode("pass"),
           also=["WonderSignerUnknownOutcome"]),
        on("lost", "connections break with requests on them",
           ["WonderSignerUnknownOutcome", "WonderSignerUnknownOutcomeMany", "WonderSignerUpstreamErrors"],
           mode("break"), mode("pass"), load={"workers": 6}, also=["WonderSignerUpstreamUnreachable"]),
        on("slots", "Wonder hangs and all 4 slots are taken", ["WonderSignerSaturated", "WonderSignerOverloaded"],
           mode("hang"), mode("pass"), config=settings('queue = "300ms"', "requests_in_flight = 4"), load={"workers": 8, "each_per_second": 2},
           also=["WonderSignerCallersGiveUp", "WonderSignerUnknownOutcome", "WonderSignerUnknownOutcomeMany",
                 "WonderSignerUpstreamErrors"]),
        on("impatient", "the service waits 0.2 s, Wonder takes 0.4 s", ["WonderSignerCallersGiveUp"],
           lambda fault: (setattr(fault.load, "patience", 0.2), fault.relay.set("delay")),
           lambda fault: (setattr(fault.load, "patience", 8), fault.relay.set("pass")),
           also=["WonderSignerUnknownOutcome", "WonderSignerUnknownOutcomeMany", "WonderSignerUpstreamErrors"]),
        on("drain", "SIGTERM with requests in flight that hang", ["WonderSignerDrainSlow", down],
           drain, undrain, load={"workers": 4},
           also=["WonderSignerDrainCut", "WonderSignerDrainRefused", "WonderSignerUnknownOutcome", "WonderSignerUnknownOutcomeMany",
                 "WonderSignerCallersGiveUp", "WonderSignerUpstreamErrors"]),
        on("killed", "SIGKILL", [down], lambda fault: fault.sidecar.kill(), lambda fault: fault.sidecar.start_again()),
        on("restarts", "killed and started every 2.5 s", ["WonderSignerRestarting"], restart_often, restart_no_more, also=[down]),
        on("service", "the service sends bodies too large, blank or not for Wonder", ["WonderSignerRefusesRequests"],
           service_faults, service_recovers),
        on("throttled", "the process gets 5 ms of every 60 ms", ["WonderSignerSigningSlow"], throttle, unthrottle,
           load={"workers": 6, "each_per_second": 6}, also=["WonderSignerAddedLatencyHigh", "WonderSignerCallersGiveUp", down]),
    ]

    def before_odd(name, what, expected, attribute, wrong, right):
        port = free_port()
        fault = on(name, what, expected, odd(attribute, wrong), odd(attribute, right), origin=f"http://127.0.0.1:{port}")
        fault.upstream = OddUpstream(port)
        return fault

    skew, critical = "WonderSignerClockSkew", "WonderSignerClockSkewCritical"
    faults += [
        before_odd("wonder-fails", "the origin answers 503", ["WonderSignerUpstreamFails"], "status", 503, 200),
        before_odd("skew-ahead", "the origin's Date is 400 s behind", [skew], "clock", -400, 0),
        before_odd("skew-behind", "the origin's Date is 1300 s ahead", [skew, critical], "clock", 1300, 0),
        on("mixed", "two pods have different keys and settings", ["WonderSignerMixedKeys", "WonderSignerMixedConfiguration"],
           mix, unmix, also=[down]).second(stage),
    ]

    def played(*arguments, **options):
        return Played(*arguments, source=source, **options)

    own = 'wonder_signer_proxy_errors_total{reason="internal",sent="no"}'
    added = "wonder_signer_added_duration_seconds"
    limit = 'kube_pod_init_container_resource_limits{{namespace="{0}",pod="{0}-0",container="wonder-signer",resource="memory"}}'
    faults += [
        played("own-errors", "one error of our own every second",
               ["WonderSignerErrorBudgetBurnsFast", "WonderSignerErrorBudgetBurnsSlowly"], {own: int}),
        played("drain-seen", "a shutdown refuses and cuts requests, and a scrape comes in time",
               ["WonderSignerDrainRefused", "WonderSignerDrainCut"],
               {'wonder_signer_drain_cut_requests_total{sent="maybe"}': int,
                'wonder_signer_proxy_errors_total{reason="draining",sent="no"}': int}),
        played("sign-failed", "one signature fails every second", ["WonderSignerCannotSign"],
               {'wonder_signer_signatures_total{result="failed"}': int}),
        played("handshakes", "a TLS handshake with a caller fails every second", ["WonderSignerHandshakesFail"],
               {"wonder_signer_listener_handshakes_failed_total": int}),
        played("log-stuck", "a log line finds no room every second", ["WonderSignerLogLinesLost"],
               {"wonder_signer_log_lines_lost_total": int}),
        played("versions", "two pods have different versions", ["WonderSignerMixedVersions"],
               {'wonder_signer_build_info{version="1",revision="x",rustc="y"}': lambda _: 1},
               others=[{'wonder_signer_build_info{version="2",revision="x",rustc="y"}': lambda _: 1}]),
        played("added", "every request spends 20 ms to 50 ms here", ["WonderSignerAddedLatencyHigh"],
               {f'{added}_bucket{{le="{le}"}}': (lambda t, slow=slow: int(t * 50) if slow else 0)
                for le, slow in [("0.00005", 0), ("0.0001", 0), ("0.0002", 0), ("0.0003", 0), ("0.0005", 0), ("0.001", 0), ("0.002", 0),
                                 ("0.005", 0), ("0.01", 0), ("0.02", 0), ("0.05", 1), ("+Inf", 1)]}),
        played("memory", "95 % of a limit of 40 MiB", ["WonderSignerMemoryNearLimit"],
               {"process_resident_memory_bytes": lambda _: 0.95 * 40 * 2**20}, elsewhere={limit.format("memory"): lambda _: 40 * 2**20}),
        played("no-limit", "300 MiB, and no limit is known", ["WonderSignerMemoryHigh"],
               {"process_resident_memory_bytes": lambda _: 300 * 2**20}),
    ]
    return faults
