"""Every kustomization that ships, rendered and held against the schemas of the newest Kubernetes versions, strictly."""

import pathlib
import tomllib

import manifests
from machine import Failed, expect

# Definitions that come with the Prometheus operator; the schemas of Kubernetes do not know them. What ours says was held
# against the definition of version 0.91 by hand.
ELSEWHERE = {"PodMonitor", "ServiceMonitor"}


def newest_versions(count=3):
    import kubernetes_validate

    home = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    found = {tuple(int(n) for n in path.name.split("-")[0].lstrip("v").split(".")) for path in home.glob("v*-strict")}
    return [".".join(map(str, version)) for version in sorted(found)[-count:]]


def kustomizations(root):
    """Directories that can be applied as they are; components are seen through them."""
    files = sorted(root.rglob("kustomization.yaml"))
    return [file.parent for file in files if "kind: Kustomization" in file.read_text()]


def validate(kubectl, directory, versions):
    """Validates one kustomization and says what it holds."""
    return valid(manifests.render(kubectl, directory), versions)


def valid(things, versions):
    """Validates objects and says their kinds."""
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
    """Each period that a manifest sets is the sum of what the configuration next to it allows, and 5 s. Gives the sums."""
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
    # The kubelet stops a native sidecar when the service has ended: nothing is to come.
    expect("the native sidecar's drain_delay", _shutdown(root, "sidecar/sidecar.toml")[0], 0)
    return "; ".join(sums)


def _shutdown(root, file):
    """drain_delay and grace in seconds, where the file does not say those of the program."""
    files = [root / "config/default.toml", root / "deploy/kubernetes" / file]
    sections = [tomllib.loads(file.read_text()).get("shutdown", {}) for file in files]
    return [int((sections[0] | sections[1])[key].removesuffix("s")) for key in ("drain_delay", "grace")]


def same_in_both_places(directory):
    """A CronJob's patch must be the pod template's: there is no way to share them but to compare them."""
    import yaml

    one, other = (yaml.safe_load((directory / file).read_text()) for file in ("pod-template.yaml", "cron-job.yaml"))
    if manifests.template(one) != manifests.template(other):
        raise Failed(f"{directory.name}/cron-job.yaml differs from pod-template.yaml")
