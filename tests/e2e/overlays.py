"""Every shipped kustomization, rendered and strictly validated against the schemas of the newest Kubernetes versions."""

import pathlib
import tomllib

import manifests
from machine import Failed, expect

# Kinds of the Prometheus operator, which the schemas of Kubernetes do not include. Ours was compared by hand with the
# definition of version 0.91.
ELSEWHERE = {"PodMonitor", "ServiceMonitor"}


def newest_versions(count=3):
    import kubernetes_validate

    home = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    found = {tuple(int(n) for n in path.name.split("-")[0].lstrip("v").split(".")) for path in home.glob("v*-strict")}
    return [".".join(map(str, version)) for version in sorted(found)[-count:]]


def kustomizations(root):
    """Directories that can be applied directly; they include the components."""
    files = sorted(root.rglob("kustomization.yaml"))
    return [file.parent for file in files if "kind: Kustomization" in file.read_text()]


def validate(kubectl, directory, versions):
    """Validates one kustomization and returns its kinds."""
    return valid(manifests.render(kubectl, directory), versions)


def valid(things, versions):
    """Validates objects and returns their kinds."""
    import kubernetes_validate

    for thing in things:
        if thing["kind"] in ELSEWHERE:
            continue
        for version in versions:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                name = f"{thing['kind']} {thing['metadata']['name']}"
                raise Failed(f"{name} is not valid for {version}: {error.message}") from None
    return ", ".join(sorted(thing["kind"] for thing in things))


def grace_periods(root, kubectl):
    """Each grace period of a manifest is the sum of drain delay and grace in its configuration, plus 5 s. Returns the sums."""
    sums = []
    for place, file, kind in (
        ("gateway", "gateway/gateway.toml", "Deployment"),
        ("example-app/jobs-plain", "sidecar-plain/sidecar.toml", "StatefulSet"),
    ):
        delay, grace = _shutdown(root, file)
        workload = next(thing for thing in manifests.render(kubectl, root / "deploy/kubernetes" / place) if thing["kind"] == kind)
        period = manifests.template(workload)["spec"]["terminationGracePeriodSeconds"]
        expect(f"terminationGracePeriodSeconds of {place}", period, delay + grace + 5)
        sums.append(f"{place}: {delay} + {grace} + 5 = {period}")
    parts = f"{delay} s shutdown.drain_delay + {grace} s shutdown.grace + 5 s to spare"
    advice = f"terminationGracePeriodSeconds: {period}     # {parts}"
    if advice not in (root / "deploy/kubernetes/sidecar-plain/kustomization.yaml").read_text():
        raise Failed(f"sidecar-plain/kustomization.yaml does not say {advice!r}")
    # The kubelet stops a native sidecar after the service has ended, so no request can follow.
    expect("the native sidecar's drain_delay", _shutdown(root, "sidecar/sidecar.toml")[0], 0)
    return "; ".join(sums)


def _shutdown(root, file):
    """drain_delay and grace in seconds, with the program's defaults where the file sets none."""
    files = [root / "config/default.toml", root / "deploy/kubernetes" / file]
    sections = [tomllib.loads(file.read_text()).get("shutdown", {}) for file in files]
    return [int((sections[0] | sections[1])[key].removesuffix("s")) for key in ("drain_delay", "grace")]


def same_in_both_places(directory):
    """A CronJob's patch must equal the pod template's patch, because kustomize cannot share them."""
    import yaml

    one, other = (yaml.safe_load((directory / file).read_text()) for file in ("pod-template.yaml", "cron-job.yaml"))
    if manifests.template(one) != manifests.template(other):
        raise Failed(f"{directory.name}/cron-job.yaml differs from pod-template.yaml")
