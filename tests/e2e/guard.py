"""The admission policy's own expressions, evaluated on pods as shipped and on pods that reach for the key."""

import copy

import manifests
from machine import Failed


def verdict(policy, pod):
    """The messages of the validations that do not hold."""
    import celpy

    environment = celpy.Environment()
    value = lambda text, known: environment.program(environment.compile(text)).evaluate(known)
    known = {"object": celpy.json_to_cel(pod)}
    variables = {}
    for variable in policy["spec"]["variables"]:
        variables[variable["name"]] = value(variable["expression"], {**known, "variables": _struct(variables)})
    known["variables"] = _struct(variables)
    return [rule["message"] for rule in policy["spec"]["validations"] if not value(rule["expression"], known)]


def _struct(variables):
    import celpy

    return celpy.celtypes.MapType({celpy.celtypes.StringType(name): value for name, value in variables.items()})


def check(policy, workloads):
    """Every shipped workload may run; every variation that reaches for the key is refused."""
    refused = 0
    for workload in workloads:
        spec = manifests.template(workload)["spec"]
        if seen := verdict(policy, {"spec": spec}):
            raise Failed(f"{workload['kind']} as shipped is refused: {seen}")
        for what, wanted, change in REACHING:
            bad = copy.deepcopy(spec)
            change(bad)
            seen = verdict(policy, {"spec": bad})
            if not any(wanted in message for message in seen):
                raise Failed(f"{what} in a {workload['kind']} is not refused: {seen}")
            refused += 1
    return refused


def _app(spec):
    return next(container for container in spec["containers"] if container["name"] == "app")


def _mount(container, volume="wonder-signer-key"):
    container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": "/key"})


def _another_volume(spec):
    spec["volumes"].append({"name": "again", "secret": {"secretName": "wonder-signer-key"}})
    _mount(_app(spec), "again")


def _projected(spec):
    sources = [{"configMap": {"name": "x"}}, {"secret": {"name": "wonder-signer-key"}}]
    spec["volumes"].append({"name": "mixed", "projected": {"sources": sources}})
    _mount(_app(spec), "mixed")


def _init(spec):
    spec.setdefault("initContainers", []).append({"name": "thief", "image": "x"})
    _mount(spec["initContainers"][-1])


def _ephemeral(spec):
    spec["ephemeralContainers"] = [{"name": "thief", "image": "x"}]
    _mount(spec["ephemeralContainers"][0])


def _variable(spec):
    reference = {"secretKeyRef": {"name": "wonder-signer-key", "key": "private_key.pem"}}
    _app(spec).setdefault("env", []).append({"name": "KEY", "valueFrom": reference})


def _environment(spec):
    _app(spec)["envFrom"] = [{"secretRef": {"name": "wonder-signer-key"}}]


def _image(spec):
    for container in spec["containers"] + spec.get("initContainers", []):
        if container["name"] == "wonder-signer":
            container["image"] = "thief:1"


MOUNT, ENVIRONMENT, IMAGE = "may mount", "into its environment", "must run the image"
REACHING = [
    ("the service mounting the key's volume", MOUNT, lambda spec: _mount(_app(spec))),
    ("a volume of the service's own", MOUNT, _another_volume),
    ("a projected volume", MOUNT, _projected),
    ("an init container", MOUNT, _init),
    ("an ephemeral container", MOUNT, _ephemeral),
    ("a variable from the Secret", ENVIRONMENT, _variable),
    ("all variables from the Secret", ENVIRONMENT, _environment),
    ("another image under the sidecar's name", IMAGE, _image),
]
