"""The workloads that the components change, and their changes: each kind, with the relevant labels and annotations.

The workloads have init containers, annotations and a grace period of their own, which a component could damage.
"""

import copy
import os
import tempfile

import manifests
import yaml
from machine import expect

LABEL, ANNOTATION = {"wonder-signer.io/inject": "true"}, {"wonder-signer": "off"}
# Name, metadata, and whether the workload gets a sidecar: by its label, and with `inject-all`.
CASES = [
    ("labelled", {"labels": LABEL}, True, True),
    ("silent", {}, False, True),
    ("other", {"labels": {"app": "redis"}}, False, True),
    ("refusing", {"labels": {"wonder-signer.io/inject": "false"}}, False, False),
    ("annotated", {"annotations": ANNOTATION}, False, False),
]


def workloads():
    for kind in manifests.WORKLOADS:
        for name, metadata, *_ in CASES:
            labels = {"app": f"{name}-{kind.lower()}"}
            spec = {
                "terminationGracePeriodSeconds": 300,
                "securityContext": {"fsGroup": 1000},
                "initContainers": [{"name": "migrate", "image": "app:1"}],
                "containers": [{"name": "app", "image": "app:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
                "volumes": [{"name": "data", "emptyDir": {}}],
            }
            # The workload's own metrics: a Prometheus that uses annotations must still find them.
            pod = {"metadata": {"labels": labels, "annotations": {"prometheus.io/port": "8000"}}, "spec": spec}
            batch = kind in ("Job", "CronJob")
            if batch:
                spec["restartPolicy"] = "Never"
            outer = {"template": pod} if batch else {"selector": {"matchLabels": labels}, "template": pod}
            if kind == "StatefulSet":
                outer["serviceName"] = name
            if kind == "CronJob":
                outer = {"schedule": "@daily", "jobTemplate": {"spec": outer}}
            metadata = {"name": f"{name}-{kind.lower()}", **copy.deepcopy(metadata)}
            yield {"apiVersion": "batch/v1" if batch else "apps/v1", "kind": kind, "metadata": metadata, "spec": outer}


def check(kubectl, components):
    """Renders the workloads with each component, by label and with `inject-all`; returns the number of comparisons."""
    compared = 0
    with tempfile.TemporaryDirectory() as home:
        with open(f"{home}/workloads.yaml", "w") as file:
            yaml.safe_dump_all(workloads(), file)
        for component in ("sidecar", "sidecar-plain"):
            for everything in (False, True):
                used = [*(["inject-all"] if everything else []), component]
                kustomization = {
                    "apiVersion": "kustomize.config.k8s.io/v1beta1",
                    "kind": "Kustomization",
                    "resources": ["workloads.yaml"],
                    "components": [os.path.relpath(components / name, os.path.realpath(home)) for name in used],
                }
                with open(f"{home}/kustomization.yaml", "w") as file:
                    yaml.safe_dump(kustomization, file)
                rendered = {thing["metadata"]["name"]: thing for thing in manifests.render(kubectl, home)}
                for before in workloads():
                    name = before["metadata"]["name"]
                    by_label, by_default = next(case[2:] for case in CASES if name.startswith(f"{case[0]}-"))
                    what = f"{name} with {' and '.join(used)}"
                    if by_default if everything else by_label:
                        _only_the_sidecar(what, before, rendered[name], native=component == "sidecar")
                    else:
                        expect(what, rendered[name], before)
                    compared += 1
    return compared


def _only_the_sidecar(what, before, after, native):
    """The workload has a sidecar in the right place, and its own parts are unchanged."""
    expect(f"{what}: its own spec", *({**thing["spec"], "template": 0, "jobTemplate": 0} for thing in (after, before)))
    old, new = copy.deepcopy(manifests.template(before)), copy.deepcopy(manifests.template(after))
    expect(f"{what}: the pod's label", new["metadata"]["labels"].pop("wonder-signer", None), "sidecar")
    expect(f"{what}: the pod's metadata", new["metadata"], old["metadata"])
    sidecar = new["spec"]["initContainers" if native else "containers"].pop(0)
    expect(f"{what}: the first container", sidecar["name"], "wonder-signer")
    expect(f"{what}: a native sidecar", sidecar.get("restartPolicy"), "Always" if native else None)
    added = [volume["name"] for volume in new["spec"]["volumes"] if volume not in old["spec"]["volumes"]]
    expect(f"{what}: volumes", sorted(added), ["wonder-signer-config", "wonder-signer-key", "wonder-signer-no-token"])
    new["spec"]["volumes"] = [volume for volume in new["spec"]["volumes"] if volume["name"] not in added]
    expect(f"{what}: the pod's own", new["spec"], old["spec"])
