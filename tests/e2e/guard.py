"""The admission policy's own expressions, evaluated on pods as shipped and on pods that try to get the key.

As the API server does, this evaluates the match conditions, the variables and the validations, with another implementation of
CEL. `ALLOWED` and `REFUSED` are the threat model: one entry for each way to use or to steal the key.
"""

import copy

import manifests
from machine import Failed, expect


class Policy:
    """A ValidatingAdmissionPolicy: returns the messages for a request for a pod."""

    def __init__(self, policy):
        import celpy

        environment = celpy.Environment()
        program = lambda text: environment.program(environment.compile(text))
        spec = policy["spec"]
        self.rules = spec["matchConstraints"]["resourceRules"]
        self.conditions = [program(condition["expression"]) for condition in spec["matchConditions"]]
        self.variables = [(variable["name"], program(variable["expression"])) for variable in spec["variables"]]
        for rule in spec["validations"]:
            # The API server rejects a policy with line breaks in a message.
            expect(f"line breaks in the message {rule['message']!r}", "\n" in rule["message"], False)
        self.validations = [(rule["message"], program(rule["expression"])) for rule in spec["validations"]]

    def watches(self, operation, resource):
        return any(operation in rule["operations"] and resource in rule["resources"] for rule in self.rules)

    def verdict(self, pod, before=None):
        """The messages of the failed validations, when `pod` is created or replaces `before`."""
        import celpy

        variables = {}
        known = {
            "object": celpy.json_to_cel(pod),
            "oldObject": celpy.json_to_cel(before),
            "request": celpy.json_to_cel({"operation": "UPDATE" if before else "CREATE"}),
        }
        if not all(condition.evaluate(known) for condition in self.conditions):
            return []
        for name, program in self.variables:
            variables[celpy.celtypes.StringType(name)] = program.evaluate(
                known | {"variables": celpy.celtypes.MapType(variables)}
            )
        known["variables"] = celpy.celtypes.MapType(variables)
        return [message for message, program in self.validations if not program.evaluate(known)]


def check(document, workloads, gateways):
    """The policy admits the shipped workloads and harmless changes of them, and rejects every way to the key."""
    policy = Policy(document)
    for operation, resource in (("CREATE", "pods"), ("UPDATE", "pods"), ("UPDATE", "pods/ephemeralcontainers")):
        expect(f"the policy sees {operation} of {resource}", policy.watches(operation, resource), True)
    for gateway in gateways:
        expect("the gateway as shipped", policy.verdict({"spec": manifests.template(gateway)["spec"]}), [])
    for number, workload in enumerate(workloads):
        shipped = {"spec": manifests.template(workload)["spec"]}
        # A new pod, and for one workload the change of a running pod, because the expressions are the same.
        befores = [None] if number else [None, shipped]
        expect(f"{workload['kind']} as shipped", policy.verdict(shipped), [])
        for before in befores:
            for what, change in ALLOWED:
                expect(f"{what}, in a {workload['kind']}", policy.verdict(_changed(shipped, change), before), [])
            for what, wanted, change in REFUSED:
                seen = policy.verdict(_changed(shipped, change), before)
                if not any(wanted in message for message in seen):
                    raise Failed(f"{what}, in a {workload['kind']}, is not refused with {wanted!r}: {seen}")
    old = {"spec": {**shipped["spec"], "hostPID": True}}
    expect(
        "a new label of a pod that is older than the policy", policy.verdict(old | {"metadata": {"labels": {"a": "b"}}}, old), []
    )
    return f"{len(workloads + gateways)} workloads; {len(ALLOWED)} harmless changes admitted, {len(REFUSED)} ways to the key rejected"


def _changed(pod, change):
    changed = copy.deepcopy(pod)
    change(changed["spec"])
    return changed


def _named(spec, name):
    return next(container for container in spec["containers"] + spec.get("initContainers", []) if container["name"] == name)


def _mount(container, volume="wonder-signer-key", **more):
    container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": "/key", **more})


def _volume(kind, source, container="app"):
    """Another volume, mounted by the service."""

    def change(spec):
        spec["volumes"].append({"name": "again", kind: source})
        _mount(_named(spec, container), "again")

    return change


def _more(kind, **container):
    """Another container."""
    return lambda spec: spec.setdefault(kind, []).append({"name": "thief", "image": "thief:1", **container})


def _app(**fields):
    return lambda spec: _named(spec, "app").update(fields)


def _signer(**fields):
    return lambda spec: _named(spec, "wonder-signer").update(fields)


def _pod(**fields):
    return lambda spec: spec.update(fields)


def _all(*changes):
    return lambda spec: [change(spec) for change in changes]


def _signer_mounts(path, volume=None):
    def change(spec):
        spec["volumes"].append({"name": "more", **(volume or {"configMap": {"name": "more", "defaultMode": 0o555}})})
        _named(spec, "wonder-signer").setdefault("volumeMounts", []).append({"name": "more", "mountPath": path})

    return change


def _unmounted(spec):
    """A pod in which no container mounts the key's volume."""
    spec["containers"] = [{"name": "app", "image": "app:1"}]
    spec.pop("initContainers", None)


def _no_key(spec):
    """A pod that has nothing to do with the key."""
    _unmounted(spec)
    del spec["volumes"]


KEY_MOUNT = [{"name": "wonder-signer-key", "mountPath": "/key"}]
SUBPATH_MOUNT = [{"name": "wonder-signer-key", "mountPath": "/key.pem", "subPath": "private_key.pem"}]
EXPRESSION_MOUNT = [{"name": "wonder-signer-key", "mountPath": "/key", "subPathExpr": "$(NAME)"}]
DEVICE = [{"name": "wonder-signer-key", "devicePath": "/dev/key"}]
SECRET = {"secretName": "wonder-signer-key"}
VARIABLE = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "wonder-signer-key", "key": "private_key.pem"}}}]
VARIABLES = [{"secretRef": {"name": "wonder-signer-key"}}]
SAME_USER = {"runAsUser": 65532, "runAsGroup": 0, "runAsNonRoot": True}
THIEF = {"exec": {"command": ["/etc/thief/thief"]}}
OTHERS = {"projected": {"sources": [{"configMap": {"name": "x"}}, {"secret": {"name": "other"}}]}}

# Changes without access to the key, and changes for debugging.
ALLOWED = [
    ("debugging the service's container", _more("ephemeralContainers", targetContainerName="app")),
    ("debugging as the sidecar's user", _more("ephemeralContainers", targetContainerName="app", securityContext=SAME_USER)),
    ("debugging with processes of its own", _more("ephemeralContainers")),
    ("a copy for debugging that shares no processes", _all(_more("containers"), _pod(shareProcessNamespace=False))),
    ("host namespaces that are explicitly off", _pod(hostPID=False, hostNetwork=False)),
    ("the service as the sidecar's user", _app(securityContext=SAME_USER)),
    ("another init container", _more("initContainers", env=[{"name": "A", "value": "b"}])),
    (
        "another Secret, in every way",
        _all(
            _volume("secret", {"secretName": "other"}),
            _app(envFrom=[{"secretRef": {"name": "other"}}, {"configMapRef": {"name": "x"}}]),
        ),
    ),
    ("another Secret in a projected volume", _volume("projected", OTHERS["projected"])),
    ("another CSI volume", _volume("csi", {"driver": "x", "nodePublishSecretRef": {"name": "other"}})),
    ("the image by its full name", _signer(image="registry.example:5000/payments/wonder-signer:0.1.0")),
    ("the image by its digest", _signer(image="registry.example/wonder-signer@sha256:" + "0" * 64)),
    ("the image by tag and digest", _signer(image="registry.example/wonder-signer:0.1.0@sha256:" + "0" * 64)),
    ("another command of the program", _signer(command=["/wonder-signer"], args=["check", "--echo"])),
    ("a probe by the program itself", _signer(readinessProbe={"exec": {"command": ["/wonder-signer", "wait", "--once"]}})),
    ("a sleep before the sidecar's end", _signer(lifecycle={"preStop": {"sleep": {"seconds": 5}}})),
    ("a certificate authority for the sidecar", _signer_mounts("/etc/ssl/extra")),
    ("a directory for the sidecar's socket", _signer_mounts("/run/wonder-signer/", {"emptyDir": {}})),
    ("the node's files, which pod security has to stop", _volume("hostPath", {"path": "/var/lib/kubelet"})),
    (
        "a pod without the key that shares processes",
        _all(_no_key, _pod(shareProcessNamespace=True, hostPID=True, hostNetwork=True)),
    ),
    ("a pod without the key, debugged", _all(_no_key, _more("ephemeralContainers", targetContainerName="wonder-signer"))),
    (
        "a pod without the key that has another image under the name",
        _all(_no_key, _pod(containers=[{"name": "wonder-signer", "image": "x"}])),
    ),
]

MOUNT, ENVIRONMENT, IMAGE, PROGRAM = "may mount", "into its environment", "must run the image", "may run no program"
PROCESSES, TARGET, NETWORK, DRIVER, REPLACED = (
    "shareProcessNamespace",
    "--target",
    "hostNetwork",
    "CSI driver",
    "replace the program",
)
REFUSED = [
    # Another container mounts it.
    ("the service mounting the key's volume", MOUNT, _app(volumeMounts=KEY_MOUNT)),
    ("one file of it by subPath", MOUNT, _app(volumeMounts=SUBPATH_MOUNT)),
    ("one file of it by subPathExpr", MOUNT, _app(volumeMounts=EXPRESSION_MOUNT)),
    ("the key's volume as a device", MOUNT, _app(volumeDevices=DEVICE)),
    ("the same Secret under another volume's name", MOUNT, _volume("secret", SECRET)),
    ("the Secret of another key", MOUNT, _volume("secret", {"secretName": "wonder-signer-key-next"})),
    (
        "a projected volume",
        MOUNT,
        _volume("projected", {"sources": [*OTHERS["projected"]["sources"], {"secret": {"name": "wonder-signer-key"}}]}),
    ),
    (
        "the key's volume from a CSI driver",
        MOUNT,
        lambda spec: (
            next(volume for volume in spec["volumes"] if volume["name"] == "wonder-signer-key").pop("secret"),
            next(volume for volume in spec["volumes"] if volume["name"] == "wonder-signer-key").update(csi={"driver": "x"}),
            _mount(_named(spec, "app")),
        ),
    ),
    ("an init container", MOUNT, _more("initContainers", volumeMounts=KEY_MOUNT)),
    ("a native sidecar", MOUNT, _more("initContainers", volumeMounts=KEY_MOUNT, restartPolicy="Always")),
    ("an init container with a similar name", MOUNT, _more("initContainers", name="wonder-signer-2", volumeMounts=KEY_MOUNT)),
    ("an ephemeral container", MOUNT, _more("ephemeralContainers", volumeMounts=KEY_MOUNT)),
    (
        "an ephemeral container named as the sidecar, where no container mounts the key",
        MOUNT,
        _all(
            _unmounted,
            _more("ephemeralContainers", name="wonder-signer", volumeMounts=KEY_MOUNT),
        ),
    ),
    (
        "an ephemeral container named as the sidecar with its image",
        MOUNT,
        _all(
            _unmounted,
            _more("ephemeralContainers", name="wonder-signer", image="wonder-signer:0.1.0", volumeMounts=KEY_MOUNT),
        ),
    ),
    # The environment of any container.
    ("a variable from the Secret", ENVIRONMENT, _app(env=VARIABLE)),
    ("all variables from the Secret", ENVIRONMENT, _app(envFrom=VARIABLES)),
    ("a variable of an init container", ENVIRONMENT, _more("initContainers", env=VARIABLE)),
    ("a variable of an ephemeral container", ENVIRONMENT, _more("ephemeralContainers", env=VARIABLE)),
    ("all variables of an ephemeral container", ENVIRONMENT, _more("ephemeralContainers", envFrom=VARIABLES)),
    ("a variable of the sidecar", ENVIRONMENT, _signer(env=VARIABLE)),
    ("a variable in a pod without the volume", ENVIRONMENT, _all(_no_key, _app(env=VARIABLE))),
    # The kubelet hands the Secret to a driver.
    (
        "a CSI driver that gets the Secret",
        DRIVER,
        _volume("csi", {"driver": "x", "nodePublishSecretRef": {"name": "wonder-signer-key"}}),
    ),
    # The sidecar's processes, and through /proc/PID/root its files.
    ("kubectl debug --target=wonder-signer", TARGET, _more("ephemeralContainers", targetContainerName="wonder-signer")),
    (
        "the same as the sidecar's user",
        TARGET,
        _more("ephemeralContainers", targetContainerName="wonder-signer", securityContext=SAME_USER),
    ),
    (
        "the second of two ephemeral containers",
        TARGET,
        _all(
            _more("ephemeralContainers", targetContainerName="app"),
            _more("ephemeralContainers", name="thief-2", targetContainerName="wonder-signer"),
        ),
    ),
    ("shared processes", PROCESSES, _all(_pod(shareProcessNamespace=True), _app(securityContext=SAME_USER))),
    ("kubectl debug --copy-to", PROCESSES, _all(_more("containers"), _pod(shareProcessNamespace=True))),
    ("the node's processes", PROCESSES, _pod(hostPID=True)),
    (
        "shared processes where no container mounts the key yet",
        PROCESSES,
        _all(_unmounted, _pod(shareProcessNamespace=True)),
    ),
    # The signing listener on the node's loopback.
    ("the node's network", NETWORK, _pod(hostNetwork=True)),
    # Another program under the sidecar's name.
    ("another image", IMAGE, _signer(image="thief:1")),
    ("an image with a similar name", IMAGE, _signer(image="registry.example/not-wonder-signer:1")),
    ("a registry named as the image", IMAGE, _signer(image="wonder-signer:5000/thief:1")),
    ("a directory named as the image", IMAGE, _signer(image="registry.example/wonder-signer/thief:1")),
    ("a program of a mounted volume", PROGRAM, _signer(command=["/etc/thief/thief"])),
    ("such a program as a start-up probe", PROGRAM, _signer(startupProbe=THIEF)),
    ("such a program as a readiness probe", PROGRAM, _signer(readinessProbe=THIEF)),
    ("such a program as a liveness probe", PROGRAM, _signer(livenessProbe=THIEF)),
    ("such a program after the start", PROGRAM, _signer(lifecycle={"postStart": THIEF})),
    ("such a program before the end", PROGRAM, _signer(lifecycle={"preStop": THIEF})),
    ("a volume over the program", REPLACED, _signer_mounts("/wonder-signer")),
    ("a volume over the program, written otherwise", REPLACED, _signer_mounts("/etc/../wonder-signer")),
    ("a volume over the program, with more slashes", REPLACED, _signer_mounts("//wonder-signer")),
    ("a volume over the program, as a relative path", REPLACED, _signer_mounts("wonder-signer")),
    ("a volume over everything", REPLACED, _signer_mounts("/")),
]
