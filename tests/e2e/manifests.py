"""Rendered manifests, and their changes for podman 4.3, which supports less than Kubernetes.

Everything else runs as shipped: arguments, ConfigMap, users, capabilities, seccomp, read-only root, mounts, memory limit.
"""

import copy

import images
from machine import PREFIX, run

# The workload kinds into which the component can inject the sidecar.
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")


def render(kubectl, directory):
    import yaml

    words = [kubectl, "build", directory] if kubectl.endswith("kustomize") else [kubectl, "kustomize", directory]
    return [thing for thing in yaml.safe_load_all(run(*words).stdout) if thing]


def template(workload):
    """The pod template of a workload of any kind."""
    spec = workload["spec"]
    return spec["jobTemplate"]["spec"]["template"] if workload["kind"] == "CronJob" else spec["template"]


def pod(objects, name, secrets, shared, environment, app_environment=None, cpu=None, kinds=("Deployment", "Job")):
    """The objects for `Pod`: the one workload as a pod, and its ConfigMaps.

    `secrets` has a directory with the content of each Secret; `shared` is a directory for the simulator's certificate.
    """
    workload = next(thing for thing in objects if thing["kind"] in kinds)
    made = copy.deepcopy(template(workload))
    spec = made["spec"]
    # podman would wait for the end of native sidecars. The test stops them itself, in Kubernetes's order.
    spec["containers"] = spec.pop("initContainers", []) + spec["containers"]
    spec["restartPolicy"] = "Never"
    spec.pop("topologySpreadConstraints", None)
    for container in spec["containers"]:
        # podman does not support native sidecars or lifecycle hooks, and runs probes with a curl that the image does not have.
        for word in ("restartPolicy", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"):
            container.pop(word, None)
        container["image"] = f"localhost/{container['image']}"
        more = environment if container["name"] == "wonder-signer" else (app_environment or {})
        container["env"] = container.get("env", []) + [{"name": key, "value": value} for key, value in more.items()]
        if container["name"] == "wonder-signer":
            container["volumeMounts"].append({"name": "shared", "mountPath": "/shared", "readOnly": True})
            if cpu:
                container["resources"]["limits"]["cpu"] = cpu
    for volume in spec["volumes"]:
        if "secret" in volume:
            # podman would mount the key in base64. A file of root with mode 0440, as the kubelet makes it.
            volume["hostPath"] = {"path": str(secrets[volume.pop("secret")["secretName"]]), "type": "Directory"}
        if "emptyDir" in volume:
            volume["emptyDir"] = {}
    spec["volumes"].append({"name": "shared", "hostPath": {"path": str(shared), "type": "Directory"}})
    head = {"name": PREFIX + name, "labels": made["metadata"].get("labels", {})}
    maps = [copy.deepcopy(thing) for thing in objects if thing["kind"] == "ConfigMap"]
    for thing in maps:
        thing["metadata"].pop("namespace", None)
    return [*maps, {"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": spec}]


def simulator(name, keys, shared, apps):
    """A pod with the simulator. `apps`: (AppID, name of the public key's file in `keys`)."""
    words = ["simulate", "--listen", "127.0.0.1:4443", "--ca-out", "/shared/ca.pem"]
    for app_id, file in apps:
        words += ["--app-id", app_id, "--public-key-file", f"/keys/{file}"]
    container = {
        "name": "simulator",
        "image": images.SIMULATOR,
        "args": words,
        "securityContext": {"runAsUser": 65532, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "keys", "mountPath": "/keys", "readOnly": True},
            {"name": "shared", "mountPath": "/shared"},
        ],
    }
    volumes = [
        {"name": "keys", "hostPath": {"path": str(keys), "type": "Directory"}},
        {"name": "shared", "hostPath": {"path": str(shared), "type": "Directory"}},
    ]
    spec = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    return [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": PREFIX + name}, "spec": spec}]
