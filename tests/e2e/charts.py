"""The Helm charts, with Helm's own engine.

They pass lint, render valid objects equal to the kustomizations, and reject bad values.
"""

import contextlib
import copy
import os
import shutil
import textwrap
import tomllib

import guard
import helm_python as helm
import manifests
import overlays
import yaml
from chart_values import BAD_GATEWAY, BAD_SIDECAR, CALLERS, CREDENTIALS, CUSTOM, EXTRA, EXTRA_MOUNT, FULL_NAME
from chart_values import GATEWAY, PAYS, SIDECAR, VARIABLE
from machine import Failed, expect

# The severity of a `helm lint` finding, as the engine numbers it.
WARNING = 2


class Charts:
    """Helm's own engine on a copy of the charts that includes the example's dependency."""

    def __init__(self, charts, work):
        self.home = work / "charts"
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(charts, self.home)
        helm.dependency_build(self.home / "example-app")

    def lint(self, chart, values=None):
        report = helm.lint(self.home / chart, values, strict=True, with_subcharts=True)
        worst = [message for message in report["messages"] if message["severity"] >= WARNING]
        expect(f"helm lint --strict {chart}", worst + report["errors"], [])

    def files(self, chart, values):
        """The rendered text of each template, in the namespaces of the kustomizations."""
        namespace = "wonder-gateway" if chart == "wonder-gateway" else "example-staging"
        with helm.Chart.load(self.home / chart) as loaded:
            return loaded.render(values, name=chart, namespace=namespace)

    def render(self, chart, values):
        files = self.files(chart, values)
        texts = (text for name, text in sorted(files.items()) if name.endswith(".yaml"))
        return [thing for text in texts for thing in yaml.safe_load_all(text) if thing]

    def documented(self, chart):
        """The example values of the chart's README."""
        text = (self.home / chart / "README.md").read_text()
        return yaml.safe_load(textwrap.dedent(text.split("```yaml\n")[1].split("```")[0]).removesuffix("\n"))

    def refusal(self, chart, values):
        """Helm's error for rejected values."""
        try:
            with _quiet():
                self.files(chart, values)
        except helm.HelmError as error:
            return str(error)
        raise Failed(f"{chart} takes {values}")


@contextlib.contextmanager
def _quiet():
    """The engine also writes warnings of its own to standard error."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def check(root, kubectl, work):
    charts = Charts(root / "deploy/helm", work)
    kustomizations = root / "deploy/kubernetes"
    version = tomllib.loads((root / "Cargo.toml").read_text())["package"]["version"]
    for chart in ("wonder-signer", "wonder-gateway"):
        about = yaml.safe_load((charts.home / chart / "Chart.yaml").read_text())
        expect(f"versions of {chart}", (about["version"], about["appVersion"]), (version, version))
    # Helm reads no file outside a chart.
    ours, theirs = (
        (root / file).read_text()
        for file in ("deploy/helm/wonder-signer/files/sidecar.toml", "deploy/kubernetes/sidecar/sidecar.toml")
    )
    expect("helm/wonder-signer/files/sidecar.toml, a copy of kubernetes/sidecar/sidecar.toml", ours, theirs)
    for chart, values in (
        ("wonder-signer", None),
        ("wonder-gateway", CALLERS),
        ("wonder-gateway", GATEWAY),
        ("example-app", None),
    ):
        charts.lint(chart, values)

    rendered = {
        "the gateway": charts.render("wonder-gateway", CALLERS),
        "the gateway with everything set": charts.render("wonder-gateway", GATEWAY),
        "the example": charts.render("example-app", {}),
        "the example in production": charts.render("example-app", {"wonder-signer": {"environment": "production"}}),
        "the example with everything set": charts.render("example-app", {"wonder-signer": SIDECAR}),
        "the gateway of its README": charts.render("wonder-gateway", charts.documented("wonder-gateway")),
        "the sidecar of its README": charts.render("example-app", charts.documented("wonder-signer")),
    }
    is_same_as_kustomize(rendered["the gateway"], manifests.render(kubectl, kustomizations / "gateway"))
    staging, production = (manifests.render(kubectl, kustomizations / "example-app" / name) for name in ("staging", "production"))
    expect("the example's pod", *map(pod, (rendered["the example"], staging)))
    expect("the example's configuration", *map(configuration, (rendered["the example"], staging)))
    expect("the sidecar in production", *map(signer, (rendered["the example in production"], production)))
    sets_what_is_set(rendered["the gateway with everything set"], rendered["the example with everything set"])

    notes = charts.files("wonder-gateway", {**CALLERS, "credentials": {"secretName": "other"}})[
        "wonder-gateway/templates/NOTES.txt"
    ]
    for wanted in (
        "https://wonder-gateway.wonder-gateway.svc/svc/",
        "first URI: example-app",
        "key-guard does not guard the Secret other",
    ):
        says("NOTES.txt", notes, wanted)

    policy = guard.Policy(manifests.render(kubectl, kustomizations / "key-guard")[0])
    versions = overlays.newest_versions()
    for what, things in rendered.items():
        overlays.valid(things, versions)
        expect(f"key-guard on {what}", policy.verdict({"spec": template(things)["spec"]}), [])

    refused = 0
    for values, wanted in BAD_GATEWAY:
        refused += 1
        says(f"the gateway with {values}", charts.refusal("wonder-gateway", {**CALLERS, **values}), wanted)
    for values, wanted in BAD_SIDECAR:
        refused += 1
        says(f"the example with {values}", charts.refusal("example-app", {"wonder-signer": values}), wanted)
    return f"{sum(map(len, rendered.values()))} objects valid for {', '.join(versions)}; {refused} bad values rejected"


def says(what, text, wanted):
    if wanted not in text:
        raise Failed(f"{what}: {wanted!r} is not in {text.strip()!r}")


def only(things, kind):
    found = [thing for thing in things if thing["kind"] == kind]
    expect(f"{kind} objects", len(found), 1)
    return found[0]


def template(things):
    return manifests.template(only(things, "Deployment"))


def configuration(things):
    """The files of the ConfigMap, parsed."""
    return {name: tomllib.loads(text) for name, text in only(things, "ConfigMap")["data"].items()}


def pod(things):
    """The pod's spec without the hash in the ConfigMap's name, because the texts may differ in comments."""
    spec = copy.deepcopy(template(things)["spec"])
    name = only(things, "ConfigMap")["metadata"]["name"]
    next(volume for volume in spec["volumes"] if volume.get("configMap") == {"name": name})["configMap"] = "ours"
    return spec


def signer(things):
    spec = template(things)["spec"]
    return next(one for one in spec["containers"] + spec.get("initContainers", []) if one["name"] == "wonder-signer")


def is_same_as_kustomize(chart, kustomization):
    """Compares pod, configuration and every other object's spec; the chart's selectors also have the release's name."""
    chart = _without_instance(chart)
    ours, theirs = ({thing["kind"]: thing for thing in things} for things in (chart, kustomization))
    # `helm install --create-namespace` makes the namespace; the README has the command that labels it.
    del theirs["Namespace"]
    expect("kinds", sorted(ours), sorted(theirs))
    expect("the gateway's pod", *map(pod, (chart, kustomization)))
    expect("the gateway's configuration", *map(configuration, (chart, kustomization)))
    expect("annotations of the pod", *(template(things)["metadata"]["annotations"] for things in (chart, kustomization)))
    for label, value in template(kustomization)["metadata"]["labels"].items():
        expect(f"label {label} of the pod", template(chart)["metadata"]["labels"].get(label), value)
    for kind in sorted(set(ours) - {"ConfigMap"}):
        one, other = ({**thing[kind]["spec"], "template": 0} for thing in (ours, theirs))
        expect(f"spec of {kind}", one, other)
        expect(f"name of {kind}", ours[kind]["metadata"]["name"], theirs[kind]["metadata"]["name"])


def _without_instance(thing):
    if isinstance(thing, list):
        return [_without_instance(item) for item in thing]
    if isinstance(thing, dict):
        return {key: _without_instance(value) for key, value in thing.items() if key != "app.kubernetes.io/instance"}
    return thing


def sets_what_is_set(gateway, example):
    """Each value is in its place in the objects."""
    for what, things in (("gateway", gateway), ("example", example)):
        spec, container = template(things)["spec"], signer(things)
        expect(f"image of the {what}", (container["image"], container["imagePullPolicy"]), (FULL_NAME, "Always"))
        variables = {
            "WONDER_SIGNER_UPSTREAM__ENVIRONMENT": "custom",
            "WONDER_SIGNER_UPSTREAM__ORIGIN": CUSTOM["origin"],
            VARIABLE["name"]: VARIABLE["value"],
        }
        expect(f"variables of the {what}", {one["name"]: one["value"] for one in container["env"]}, variables)
        expect(f"the last file of the {what}", container["args"][-1], "/etc/wonder-signer/more.toml")
        expect(f"more configuration of the {what}", configuration(things)["more.toml"], {"log": {"level": "debug"}})
        expect(f"the last mount of the {what}", container["volumeMounts"][-1], EXTRA_MOUNT)
        secret = next(volume["secret"] for volume in spec["volumes"] if volume["name"] == "wonder-signer-key")
        expect(f"Secret of the {what}", secret["secretName"], CREDENTIALS["secretName"])
        items = [{"key": "APP_ID", "path": "app_id"}, {"key": "key.pem", "path": "private_key.pem"}]
        expect(f"items of the {what}'s Secret", secret["items"], items)
    deployment, made = only(gateway, "Deployment"), template(gateway)
    expect("names", {thing["metadata"]["name"] for thing in gateway if thing["kind"] != "ConfigMap"}, {"pay"})
    expect("replicas", deployment["spec"]["replicas"], 5)
    expect("no autoscaler", [thing for thing in gateway if thing["kind"] == "HorizontalPodAutoscaler"], [])
    expect("grace period", made["spec"]["terminationGracePeriodSeconds"], 20 + 60 + 5)
    for field in (
        "tolerations",
        "nodeSelector",
        "affinity",
        "priorityClassName",
        "imagePullSecrets",
        "topologySpreadConstraints",
    ):
        expect(field, made["spec"][field], GATEWAY[field])
    expect("service account", made["spec"]["serviceAccountName"], only(gateway, "ServiceAccount")["metadata"]["name"])
    expect("resources", signer(gateway)["resources"]["requests"]["cpu"], "1")
    expect("a pod's label", made["metadata"]["labels"]["team"], "payments")
    expect(
        "the certificate's Secret",
        [v for v in made["spec"]["volumes"] if v.get("secret", {}).get("secretName") == "other-tls"] != [],
        True,
    )
    expect("the last volume", made["spec"]["volumes"][-1], EXTRA)
    toml = configuration(gateway)["gateway.toml"]
    hosts = ["pay", "pay.wonder-gateway", "pay.wonder-gateway.svc", "pay.wonder-gateway.svc.cluster.example", "payments.example"]
    expect("hosts and callers", (toml["listen"]["allowed_hosts"], toml["listen"]["tls"]["callers"]), (hosts, []))
    expect("limits", toml["limits"], {"connections": 100, "buffered": "16MiB"})
    expect("shutdown", toml["shutdown"], {"drain_delay": "20s", "grace": "60s"})
    expect("port", only(gateway, "Service")["spec"]["ports"][0]["port"], 8443)
    expect("budget", only(gateway, "PodDisruptionBudget")["spec"]["maxUnavailable"], "25%")
    rules = only(gateway, "NetworkPolicy")["spec"]
    expect("where connections come from", [rule["from"] for rule in rules["ingress"]], [[PAYS], [PAYS]])
    expect("more egress", rules["egress"][-1], GATEWAY["networkPolicy"]["egress"][0])
    monitor = only(gateway, "PodMonitor")
    expect(
        "PodMonitor",
        (monitor["metadata"]["labels"]["release"], monitor["spec"]["podMetricsEndpoints"][0]["interval"]),
        ("prometheus", "15s"),
    )
    chosen = monitor["spec"]["selector"]["matchLabels"].items() <= made["metadata"]["labels"].items()
    expect("the PodMonitor selects the pods", chosen, True)
