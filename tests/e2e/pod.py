"""The checks of pod.sh. Each is a function; its docstring is the claim that it proves.

    pod.py WORK [--figures] [CHECK...]
"""

import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from datetime import datetime

import bill
import charts
import gateway
import guard
import images
import injection
import kubelet
import manifests
import overlays
import schema
import sidecar_webhooks
import startup
import usage
from machine import Failed, Namespace, expect, favoured, podman, run, sweep, until
from world import BINARY, CUSTOMERS, KUBECTL, KUBERNETES, MIB, ROOT, SIMULATOR, TO_SIMULATOR, World, customer, in_flight, sign_up


def image_is_small(world):
    """the image is smaller than 15 MiB and contains only the program, without symbols"""
    if world.image_size >= 15 * MIB:
        raise Failed(f"{world.image_size / MIB:.1f} MiB")
    # A setting for one package can silently undo the `strip` of its profile.
    if ".symtab" in run("readelf", "--sections", "--wide", BINARY).stdout:
        raise Failed(f"{BINARY} has a table of symbols")
    archive = world.work / "image.tar"
    archive.unlink(missing_ok=True)
    made = podman("create", images.SIGNER).stdout.strip()
    try:
        podman("export", "--output", archive, made)
    finally:
        podman("rm", made)
    files = [name for name in run("tar", "--list", "--file", archive).stdout.split() if not name.endswith("/")]
    archive.unlink()
    # podman adds empty mount points when it creates a container.
    own = [name for name in files if name.split("/")[0] not in ("dev", "etc", "proc", "run", "sys")]
    expect("files in the image", own, ["wonder-signer"])
    return f"{world.image_size / MIB:.2f} MiB, and {world.simulator_size / MIB:.2f} MiB with the simulator"


def simulator_has_an_image_of_its_own(world):
    """the sidecar's image is smaller than the simulator's, rejects `dev` and `simulate` and names that image, which runs them"""
    if world.image_size >= world.simulator_size:
        raise Failed(f"{world.image_size} bytes, and {world.simulator_size} with the simulator")
    for command in ("dev", "simulate"):
        done = podman("run", "--rm", "--network=none", images.SIGNER, command, check=False)
        line = (
            f"wonder-signer: usage: {command} is not in this program, which is built without the simulator; use the image "
            "wonder-simulator, or a build with the cargo feature simulator; try --help\n"
        )
        expect(f"{command} in the sidecar's image", (done.returncode, done.stdout, done.stderr), (64, "", line))
    # The image's defaults, with the restrictions of a careful cluster.
    made = podman("run", "--detach", "--network=none", "--read-only", "--cap-drop=ALL", images.SIMULATOR).stdout.strip()
    try:
        until("dev prints its curl line", lambda: "Ctrl-C stops both" in podman("logs", made).stdout)
        # Published ports arrive at this address; `Host` has the published port.
        pid = podman("inspect", "--format", "{{.State.Pid}}", made).stdout.strip()
        headers = {"Content-Type": "application/json", "Host": "localhost:18080"}
        status, _, text = Namespace(pid).ask(8080, "POST", CUSTOMERS, customer("image-1"), headers)
        expect("a customer by dev", (status, json.loads(text)["code"]), (200, 200))
    finally:
        podman("rm", "--force", "--time=0", made)


def bill_names_the_crates_of_the_program(world):
    """deploy/sbom.py writes a valid CycloneDX 1.6 document that lists exactly the program's crates"""
    return bill.check(ROOT, world.work / "build.json")


def overlays_are_valid(world):
    """every kustomization renders and is strictly valid for the three newest Kubernetes versions"""
    versions = overlays.newest_versions()
    seen = []
    for directory in overlays.kustomizations(KUBERNETES):
        if (KUBERNETES / "example-app" / "base") == directory or directory.name.endswith("-base"):
            # The overlays include it.
            continue
        seen.append(f"{directory.relative_to(KUBERNETES)} ({overlays.validate(KUBECTL, directory, versions)})")
    for component in ("sidecar", "sidecar-plain"):
        overlays.same_in_both_places(KUBERNETES / component)
    return f"{', '.join(versions)}: " + "; ".join(seen)


def grace_periods_add_up(world):
    """the grace periods of the manifests are the sums of the configured times, and the native sidecar has no drain delay"""
    return overlays.grace_periods(ROOT, KUBECTL)


def components_change_labelled_workloads(world):
    """a component changes only workloads with its label, of every kind, or all with inject-all, and leaves their own parts unchanged"""
    return f"{injection.check(KUBECTL, KUBERNETES)} workloads compared"


def examples_end(world):
    """every shipped Job has a deadline, and the example's service accepts calls until every node has removed its endpoint"""
    for overlay in ("jobs", "jobs-plain"):
        jobs = [thing for thing in manifests.render(KUBECTL, KUBERNETES / "example-app" / overlay) if "Job" in thing["kind"]]
        expect(f"jobs of {overlay}", sorted(thing["kind"] for thing in jobs), ["CronJob", "Job"])
        for thing in jobs:
            spec = thing["spec"].get("jobTemplate", thing)["spec"]
            expect(f"a deadline for {overlay}/{thing['kind']}", spec.get("activeDeadlineSeconds"), 600)
    for overlay in ("staging", "production"):
        hook = kubelet.container(world.template(overlay), "app")["lifecycle"]["preStop"]
        expect(f"preStop of {overlay}", hook, {"sleep": {"seconds": 5}})


def sidecar_is_the_first_container(world):
    """the sidecar is the first container of every kind of workload, native or not"""
    for overlay in ("staging", "production", "jobs", "jobs-plain"):
        for thing in manifests.render(KUBECTL, KUBERNETES / "example-app" / overlay):
            if thing["kind"] in manifests.WORKLOADS:
                spec = manifests.template(thing)["spec"]
                first = spec.get("initContainers", spec["containers"])[0]
                expect(f"first of {overlay}/{thing['kind']}", first["name"], "wonder-signer")


def guard_keeps_the_key(world):
    """the admission policy admits every shipped workload and debugging, and rejects every way by which another program gets the key"""
    policy = manifests.render(KUBECTL, KUBERNETES / "key-guard")[0]
    expect("the first object", policy["kind"], "ValidatingAdmissionPolicy")
    homes = [KUBERNETES / "example-app" / name for name in ("staging", "production", "jobs", "jobs-plain")]
    workloads = [thing for home in homes for thing in manifests.render(KUBECTL, home) if thing["kind"] in manifests.WORKLOADS]
    gateways = [thing for thing in manifests.render(KUBECTL, KUBERNETES / "gateway") if thing["kind"] in manifests.WORKLOADS]
    return guard.check(policy, workloads, gateways)


def charts_are_the_kustomizations(world):
    """the Helm charts render the pods of the kustomizations, are valid for the same versions, and reject bad values by name"""
    return charts.check(ROOT, KUBECTL, world.work)


def app_pays_through_the_sidecar(world):
    """a service in Python without a key creates a customer through localhost; TLS ends at the simulator in another pod"""
    pod = world.app
    before = world.arrived()
    expect("answer", sign_up(pod, "first-1"), (200, {"created": "first-1"}))
    expect("customers", world.references(pod, "first-"), ["first-1"])
    world.arrives(before + 1)
    status, headers, _ = pod.namespace.ask(8080, "POST", "/elsewhere", "{}")
    expect("a target outside /svc/", (status, headers["X-Wonder-Signer-Error"]), (404, "not_wonder"))


def chart_pays_through_the_sidecar(world):
    """the service of the example chart creates a customer through its sidecar, which has the configuration of the chart's values"""
    values = {"wonder-signer": {"config": '[limits]\nbody = "3MiB"\n'}}
    objects = charts.Charts(ROOT / "deploy/helm", world.work).render("example-app", values)
    pod, relay = world.service("chart", objects=objects)
    world.ready(pod)
    expect("answer", sign_up(pod, "chart-1"), (200, {"created": "chart-1"}))
    # The container's own arguments with another command.
    words = ["/wonder-signer", "check", "--print-config", *charts.signer(objects)["args"][1:]]
    said = pod.execute("wonder-signer", *words, check=True)
    line = next(line for line in said.stdout.splitlines() if line.startswith("limits.body "))
    expect("limits.body from more.toml", ("3MiB" in line, "more.toml" in line), (True, True))
    world.drop(relay, pod)


def documented_check_works_in_the_image(world):
    """the line of deploy/README.md that proves the key, run in the sidecar's container, receives its message back from the upstream"""
    page = (ROOT / "deploy/README.md").read_text()
    line = re.search(r"^ +kubectl .* -c wonder-signer -- (/wonder-signer check .*--echo)$", page, re.M)[1]
    said = world.app.execute("wonder-signer", *line.split(), check=True).stdout
    expect("echo", "ok: echo with credential default at " in said and "Wonder returned the message" in said, True)


def container_is_confined(world):
    """the sidecar runs as 65532 without capabilities, new privileges or a writable root file system"""
    pod = world.app
    status = pathlib.Path(f"/proc/{pod.pid('wonder-signer')}/status").read_text()
    field = lambda name: re.search(rf"^{name}:\s*(.*)$", status, re.M)[1].split()
    expect("Uid", field("Uid"), ["65532"] * 4)
    expect("capabilities", field("CapEff") + field("CapBnd"), ["0" * 16] * 2)
    expect("NoNewPrivs, Seccomp", field("NoNewPrivs") + field("Seccomp"), ["1", "2"])
    expect("read-only root", pod.inspect("wonder-signer")["HostConfig"]["ReadonlyRootfs"], True)
    expect("memory limit", pod.inspect("wonder-signer")["HostConfig"]["Memory"], 40 * MIB)


def app_cannot_read_the_key(world):
    """the service's container cannot read the key: no readable file contains one, and the sidecar's processes are hidden"""
    search = """
import os
found, seen = [], 0
for home, directories, files in os.walk("/"):
    if home == "/": directories[:] = [d for d in directories if d not in ("proc", "sys", "dev")]
    for file in files:
        try:
            seen += 1
            if b"PRIVATE KEY-----\\n" in open(os.path.join(home, file), "rb").read(): found.append(os.path.join(home, file))
        except OSError: pass
for pid in filter(str.isdigit, os.listdir("/proc")):
    if open(f"/proc/{pid}/cmdline", "rb").read().startswith(b"/wonder-signer"): found.append(pid)
try: open("/var/run/secrets/wonder-signer/private_key.pem").close(); found.append("opened")
except FileNotFoundError: pass
print(len(found), seen > 100)
"""
    done = world.app.execute("app", "/usr/bin/python3", "-c", search, check=True)
    expect("keys and files searched", done.stdout.split(), ["0", "True"])
    key = (world.old / "private_key.pem").read_text().splitlines()[1]
    everything = world.app.logs("wonder-signer") + world.app.logs("app") + json.dumps(world.app.inspect("app"))
    expect("key in logs or environment", key in everything, False)


def exports_traces(world):
    """the image exports a request's trace to the collector that the standard variables name"""
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    pod, relay = world.service("traced", more=more)
    collector = pod.namespace.socket()
    collector.bind(("127.0.0.1", 4318))
    collector.listen()
    collector.settimeout(20)
    world.ready(pod)
    expect("answer", sign_up(pod, "traced-1"), (200, {"created": "traced-1"}))
    link, _ = collector.accept()
    with collector, link, link.makefile("rb") as stream:
        request = stream.readline().split()
        length = next(int(line.split(b":")[1]) for line in stream if line.lower().startswith(b"content-length:"))
        while stream.readline().strip():
            pass
        sent = json.loads(stream.read(length))
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")
    expect("request", request[:2], [b"POST", b"/v1/traces"])
    names = [span["name"] for part in sent["resourceSpans"] for scope in part["scopeSpans"] for span in scope["spans"]]
    world.drop(relay, pod)
    return f"spans: {', '.join(names)}"


def verbs_replace_a_shell(world):
    """`wait` works as an exec probe in an image without a shell, and `shutdown` is rejected unless it is allowed"""
    expect("wait --once", world.app.execute("wonder-signer", "/wonder-signer", "wait", "--once").returncode, 0)
    done = world.app.execute("wonder-signer", "/wonder-signer", "shutdown")
    expect("shutdown", (done.returncode, "set admin.shutdown = true" in done.stderr), (1, True))
    expect("a shell", world.app.execute("wonder-signer", "/bin/sh").returncode != 0, True)
    expect("still ready", world.app.namespace.answers(9090, "/readyz"), True)


def starts_at_once(world):
    """a stopped and restarted container is ready again; with --figures within 150 ms, podman's own work included"""
    pod, relay = world.service("start")
    world.ready(pod)
    container = pod.container("wonder-signer")
    took = []
    # The quickest of five, because other work on the machine may delay the rest.
    for _ in range(5):
        podman("stop", "--time", "5", container)
        podman("init", container)
        count = len(ready_times(pod))
        began = time.time()
        with favoured():
            podman("start", container)
        took.append(until("it is ready again", lambda: ready_times(pod)[count:])[0] - began)
    world.drop(relay, pod)
    seen = "from `podman start` to ready: " + ", ".join(f"{seconds * 1000:.0f}" for seconds in took) + " ms"
    if world.figures and min(took) >= 0.150:
        raise Failed(seen)
    return seen


def ready_times(pod):
    """The times of the `ready` lines in the sidecar's log."""
    lines = [json.loads(line) for line in pod.logs("wonder-signer").splitlines() if '"message":"ready"' in line]
    return [datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")).timestamp() for line in lines]


def carries_the_load(world):
    """50 requests a second within 40 MiB and 100m CPU; with --figures less than 10 ms are added at the 99th percentile"""
    pod, relay = world.service("load", cpu="100m")
    world.ready(pod)
    pid = pod.pid("wonder-signer")
    if usage.throttled(pid) is not None:
        # A single worker runs on the program's first thread.
        expect("further workers under a limit of less than one processor", usage.threads(pid, "tokio-rt-worker"), 0)
    seconds, rate = 20, 50
    seen = []
    # Three tries with --figures, because other work on the machine may delay a run.
    for attempt in range(3 if world.figures else 1):
        cpu, stalls = usage.cpu_seconds(pid), usage.throttled(pid)
        words = [pid, seconds, rate, world.shared / "ca.pem", f"load{attempt}"]
        with favoured():
            result = json.loads(run(sys.executable, ROOT / "tests/e2e/load.py", *words, timeout=600).stdout)
        # The share of the planned time, so that a late machine does not make it smaller.
        cpu = (usage.cpu_seconds(pid) - cpu) / seconds
        peak = usage.peak_memory(pid)
        stalls = "no CPU limit here" if stalls is None else f"{usage.throttled(pid) - stalls} times throttled"
        seen.append(
            f"{result['rate']:.0f}/s, added p50 {result['added_p50']:.2f} ms p99 {result['added_p99']:.2f} ms "
            f"(whole call p50 {result['total_p50']:.2f} ms p99 {result['total_p99']:.2f} ms, "
            f"direct p50 {result['direct_p50']:.2f} ms p99 {result['direct_p99']:.2f} ms), "
            f"CPU {cpu * 1000:.0f}m, memory {peak / MIB:.1f} MiB, {stalls}"
        )
        expect("statuses", result["statuses"], {"200": seconds * rate})
        expect("out of memory", pod.inspect("wonder-signer")["State"]["OOMKilled"], False)
        if cpu >= 0.1 or peak >= 40 * MIB:
            raise Failed(seen[-1])
        if result["added_p99"] < 10 and result["rate"] > 45:
            break
    else:
        if world.figures:
            raise Failed(" | ".join(seen))
    world.drop(relay, pod)
    return " | ".join(seen)


def sigterm_lets_requests_finish(world):
    """SIGTERM with requests in flight: new ones are rejected, those in flight are answered, the exit code is 0"""
    pod, relay = world.service("term")
    world.ready(pod)
    before = world.arrived()
    relay.hold()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        headers = {"Content-Type": "application/json"}
        calls = [pool.submit(pod.namespace.ask, 8080, "POST", CUSTOMERS, customer(f"term-{n}"), headers) for n in range(8)]
        # The handshake's answer is held too, so the number in flight is read from the sidecar.
        until("eight requests are in flight", lambda: in_flight(pod) == 8)
        began = time.monotonic()
        pod.signal("wonder-signer")
        until("it is draining", lambda: pod.namespace.ask(9090, "GET", "/readyz")[0] == 503)
        # With drain_delay = 0 the listener closes soon after readiness ends, and not at the same instant.
        until("no new connection is accepted", lambda: not pod.namespace.listens(8080))
        relay.release()
        statuses = [call.result(30)[0] for call in calls]
    expect("statuses", statuses, [200] * 8)
    expect("exit code", pod.ended("wonder-signer"), 0)
    took = time.monotonic() - began
    world.arrives(before + 8)
    world.drop(relay, pod)
    return f"8 of 8 answered, ended {took:.1f} s after SIGTERM"


def rolling_restart_loses_nothing(world):
    """a rolling restart with a new key while callers still reach the old pod: no customer is lost or created twice"""
    old, old_relay = world.service("roll-old", key=world.old)
    world.ready(old)
    before = world.arrived()
    current, stop = [old], threading.Event()
    taken, failed, lock = [], [], threading.Lock()

    def keep_calling(caller):
        number = 0
        while not stop.is_set():
            reference = f"roll-{caller}-{number}"
            number += 1
            pod = current[0]
            try:
                status, body = sign_up(pod, reference)
            except OSError as error:
                status, body = type(error).__name__, {}
            with lock:
                (taken if status == 200 else failed).append((reference, pod.name, status, body))

    callers = [threading.Thread(target=keep_calling, args=(n,)) for n in range(6)]
    for caller in callers:
        caller.start()
    until("calls through the old pod", lambda: len(taken) > 60)
    # The old pod runs until the new one is ready: maxUnavailable 0, maxSurge 1.
    new, new_relay = world.service("roll-new", key=world.new)
    world.ready(new)
    late = []

    def endpoints_follow():
        """Nodes send new connections to the old pod until they have removed its endpoint."""
        begin = len(taken) + len(failed)
        until("calls through the terminating pod", lambda: len(taken) + len(failed) > begin + 60)
        late.append(len(taken) + len(failed) - begin)
        # The last calls are in flight when the service receives SIGTERM.
        old_relay.hold()
        until("every caller waits for the old pod", lambda: in_flight(old) == 6)
        current[0] = new

    kubelet.terminate(old, world.template("staging"), "app", endpoints_follow)
    old_relay.release()
    expect("the old service's exit code", old.ended("app"), 0)
    old.signal("wonder-signer")
    expect("the old sidecar's exit code", old.ended("wonder-signer"), 0)
    through_old = sum(pod == old.name for _, pod, _, _ in taken)
    until("calls through the new pod", lambda: len(taken) > through_old + 60)
    stop.set()
    for caller in callers:
        caller.join()
    expect("failed calls", failed, [])
    # Each AppID has its own customers, and the old pod has ended.
    same, same_relay = world.service("roll-same", key=world.old)
    world.ready(same)
    customers = sorted(world.references(new, "roll-") + world.references(same, "roll-"))
    expect("customers", customers, sorted(reference for reference, _, _, _ in taken))
    world.arrives(before + len(taken))
    world.drop(old_relay, old, new_relay, new, same_relay, same)
    return (
        f"{len(taken)} calls ({through_old} through the old pod, {late[0]} of them after its end had begun), "
        "0 failed, 0 lost, 0 twice"
    )


def hung_sidecar_is_restarted(world):
    """a sidecar that no longer answers is killed 5 s after its liveness probe failed, not after the pod's own period"""
    pod, relay = world.service("hung")
    world.ready(pod)
    os.kill(pod.pid("wonder-signer"), signal.SIGSTOP)
    began = time.monotonic()
    longest = kubelet.restart_when_dead(pod, world.template("staging"), "wonder-signer")
    took = time.monotonic() - began
    world.ready(pod)
    expect("answer", sign_up(pod, "hung-1"), (200, {"created": "hung-1"}))
    for what, template in [(f"{what}/{kind}", template) for what, kind, template in world.templates()]:
        probe = kubelet.container(template, "wonder-signer")["livenessProbe"]
        numbers = [probe[key] for key in ("periodSeconds", "failureThreshold", "terminationGracePeriodSeconds")]
        expect(f"liveness of {what}", numbers, [10, 3, 5])
    world.drop(relay, pod)
    return f"killed and restarted {took:.0f} s after the first probe; in a cluster {longest} s at the most"


def job_finishes(world):
    """a Job's pod finishes: its program ends, then the sidecar receives SIGTERM, as in Kubernetes"""
    pod, relay = world.service("job", overlay="jobs", kinds=("Job",))
    expect("the program's exit code", pod.ended("app"), 0)
    began = time.monotonic()
    pod.signal("wonder-signer")
    expect("the sidecar's exit code", pod.ended("wonder-signer"), 0)
    took = time.monotonic() - began
    expect("customers", world.references(world.app, "IMPORT-"), ["IMPORT-1", "IMPORT-2", "IMPORT-3"])
    world.drop(relay, pod)
    return f"sidecar ended {took * 1000:.0f} ms after SIGTERM"


def plain_job_finishes(world):
    """a Job's pod finishes by itself without native sidecars: the program requests the sidecar's shutdown"""
    pod, relay = world.service("job-plain", overlay="jobs-plain", kinds=("Job",))
    expect("the program's exit code", pod.ended("app"), 0)
    expect("the sidecar's exit code", pod.ended("wonder-signer"), 0)
    expect("asked", "shutdown requested" in pod.logs("wonder-signer"), True)
    world.drop(relay, pod)


def killed_job_needs_its_deadline(world):
    """without native sidecars a Job's sidecar outlives a killed program, and ends when the deadline stops the pod"""
    pod, relay = world.service("job-killed", overlay="jobs-plain", kinds=("Job",))
    relay.hold()
    until("the program calls", lambda: in_flight(pod) == 1)
    pod.signal("app", "KILL")
    expect("the program's exit code", pod.ended("app"), 137)
    until("its call is cancelled", lambda: in_flight(pod) == 0)
    expect("the sidecar is ready", pod.namespace.answers(9090, "/readyz"), True)
    # As Kubernetes does after activeDeadlineSeconds.
    pod.signal("wonder-signer")
    expect("the sidecar's exit code", pod.ended("wonder-signer"), 0)
    world.drop(relay, pod)


def names_come_from_dns(world):
    """the static program resolves names by DNS and from the hosts file"""
    pod = world.app
    words = ["nsenter", "--net", "--target", pod.pid("wonder-signer"), "dnsmasq", "--keep-in-foreground", "--no-resolv"]
    words += ["--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--listen-address=127.0.0.1", "--bind-interfaces"]
    words += ["--host-record=gateway.wonder.test,127.0.0.1", "--user=root"]
    world.shared.joinpath("resolv.conf").write_text("nameserver 127.0.0.1\n")
    server = subprocess.Popen([str(word) for word in words], stderr=subprocess.DEVNULL)
    try:

        def check(host):
            """The output of `check --echo` for an origin with that name, in a container within the pod's network."""
            settings = {
                **TO_SIMULATOR,
                "WONDER_SIGNER_UPSTREAM__ORIGIN": f"https://{host}:4443",
                "WONDER_SIGNER_TIMEOUTS__CONNECT": "2s",
                "WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID_FILE": "/key/app_id",
                "WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_FILE": "/key/private_key.pem",
            }
            words = ["run", "--rm", "--network", f"ns:/proc/{pod.pid('wonder-signer')}/ns/net", "--read-only"]
            words += ["--user", "65532:0", "--volume", f"{world.shared}:/shared:ro", "--volume", f"{world.old}:/key:ro"]
            words += ["--volume", f"{world.shared}/resolv.conf:/etc/resolv.conf:ro"]
            words += [word for key, value in settings.items() for word in ("--env", f"{key}={value}")]
            done = podman(*words, images.SIGNER, "check", "--echo", check=False)
            return done.stdout + done.stderr

        # The DNS server needs a moment before it answers.
        until("the DNS server answers", lambda: "cannot be resolved" not in check("gateway.wonder.test"))
        # The simulator's certificate is for localhost only, so the name resolves, the connection opens, and TLS fails.
        refused = "the certificate of the origin is not for gateway.wonder.test"
        expect("a name in DNS", refused in check("gateway.wonder.test"), True)
        expect("a name in the hosts file", "ok: echo" in check("localhost"), True)
        expect("an unknown name", "cannot be resolved" in check("nowhere.wonder.test"), True)
        server.send_signal(signal.SIGSTOP)
        silent = "the name of the origin cannot be resolved: gateway.wonder.test: not done within 2s (timeouts.connect)"
        expect("a silent server", silent in check("gateway.wonder.test"), True)
    finally:
        server.send_signal(signal.SIGCONT)
        server.terminate()
        server.wait()
    return "gateway.wonder.test found by DNS (its certificate is rejected), localhost by the hosts file"


def unit_is_hardened(world):
    """the systemd unit is valid and its exposure is low"""
    unit = ROOT / "deploy/systemd/wonder-signer.service"
    if not unit.exists():
        raise Failed("there is no unit")
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit, check=False)
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if not score or float(score[1]) > 2.0:
        raise Failed(f"exposure {score and score[1]}: {done.stderr.strip()}")
    return f"systemd-analyze security: {score[1]} of 10"


def schema_agrees_with_the_program(world):
    """config/schema.json accepts every configuration that ships, rejects a misspelt key, and judges values as the program does"""
    return schema.check(BINARY, SIMULATOR)


def failures_are_as_documented(world):
    """every failure at start-up prints the documented line"""
    return startup.compare(BINARY, ROOT / "deploy/README.md", world.work / "startup")


CHECKS = [
    image_is_small,
    simulator_has_an_image_of_its_own,
    bill_names_the_crates_of_the_program,
    overlays_are_valid,
    grace_periods_add_up,
    components_change_labelled_workloads,
    examples_end,
    sidecar_is_the_first_container,
    guard_keeps_the_key,
    charts_are_the_kustomizations,
    app_pays_through_the_sidecar,
    chart_pays_through_the_sidecar,
    documented_check_works_in_the_image,
    container_is_confined,
    app_cannot_read_the_key,
    verbs_replace_a_shell,
    exports_traces,
    names_come_from_dns,
    starts_at_once,
    carries_the_load,
    sigterm_lets_requests_finish,
    rolling_restart_loses_nothing,
    hung_sidecar_is_restarted,
    job_finishes,
    plain_job_finishes,
    killed_job_needs_its_deadline,
    *gateway.CHECKS,
    *sidecar_webhooks.CHECKS,
    unit_is_hardened,
    schema_agrees_with_the_program,
    failures_are_as_documented,
]


def main():
    work, *names = sys.argv[1:]
    figures = "--figures" in names
    names = [name for name in names if name != "--figures"]
    if unknown := set(names) - {check.__name__ for check in CHECKS}:
        sys.exit(f"no such check: {' '.join(sorted(unknown))}")
    chosen = [check for check in CHECKS if not names or check.__name__ in names]
    began = time.monotonic()
    passed = failed = 0
    world = None
    sweep()
    try:
        world = World(pathlib.Path(work).resolve(), figures)
        for check in chosen:
            try:
                seen = check(world)
                passed += 1
                print(f"ok      {check.__doc__}" + (f"\n        {seen}" if seen else ""), flush=True)
            except Exception as error:
                failed += 1
                text = str(error) if isinstance(error, Failed) else traceback.format_exc()
                print(f"FAILED  {check.__doc__}\n        {text}", flush=True)
    except Exception as error:
        failed += 1
        print(f"FAILED  the pods can be started\n        {error if isinstance(error, Failed) else traceback.format_exc()}")
    finally:
        if world:
            world.close()
        sweep()
    print(f"took {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
