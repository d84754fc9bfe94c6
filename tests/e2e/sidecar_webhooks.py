"""The checks of the sidecar's webhook variant: its manifests agree, and its pods forward verified webhooks alone.

The kustomization example-app/webhooks and the example's chart each give a pod. The first runs the example's service, the second
webhook_handler.py, which shows whole requests.
"""

import json
import os
import re
import shutil
import tomllib

import charts
import images
import kubelet
import manifests
import yaml
from machine import Pod, Relay, expect, until
from world import BINARY, KUBECTL, KUBERNETES, ROOT, TO_SIMULATOR

OVERLAY = KUBERNETES / "example-app/webhooks"
PATH = "/wonder/webhooks"
CHART = {"webhook": {"enabled": True, "forwardTo": "http://127.0.0.1:8001"}, "resources": {"limits": {"memory": "56Mi"}}}
TAMPERS = ("target", "body", "time", "nonce", "app-id", "key")


def webhook_manifests_agree(world):
    """Service, NetworkPolicy, Ingress and HTTPRoute for webhooks lead to the listener's port, and the chart makes the same pod"""
    objects = manifests.render(KUBECTL, OVERLAY)
    service, ingress = (_named(objects, kind, "wonder-webhook") for kind in ("Service", "Ingress"))
    labels, port = charts.template(objects)["metadata"]["labels"], _webhook_port(objects)
    expect("the Service's port", service["spec"]["ports"], [{"name": "webhook", "port": 80, "targetPort": "webhook"}])
    address = next(one["value"] for one in charts.signer(objects)["env"] if one["name"] == "WONDER_SIGNER_WEBHOOK__ADDRESS")
    expect("WONDER_SIGNER_WEBHOOK__ADDRESS", address, f"0.0.0.0:{port}")
    expect("the Service selects the pod", service["spec"]["selector"].items() <= labels.items(), True)
    policy = _named(objects, "NetworkPolicy", "wonder-webhook")["spec"]
    expect("the NetworkPolicy selects the pod", policy["podSelector"]["matchLabels"].items() <= labels.items(), True)
    expect("ports that it opens", [rule["ports"] for rule in policy["ingress"]], [[{"protocol": "TCP", "port": port}]])
    [admitted] = [one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in policy["ingress"][0]["from"]]
    [rule] = ingress["spec"]["rules"]
    [path] = rule["http"]["paths"]
    expect("the Ingress's path", (path["path"], path["pathType"]), (PATH, "Prefix"))
    expect("the Ingress's Service", path["backend"]["service"], {"name": "wonder-webhook", "port": {"name": "webhook"}})
    expect("annotations of the Ingress", ingress["metadata"].get("annotations", {}), {})
    _route(service["spec"]["ports"], admitted, rule["host"])

    chart, env = _chart(world), lambda things: {one["name"]: one["value"] for one in charts.signer(things)["env"]}
    expect("the chart's variables", env(chart), env(objects))
    ports = lambda things: sorted(charts.signer(things)["ports"], key=lambda port: port["name"])
    expect("ports of the chart's sidecar", ports(chart), ports(objects))
    for field in ("resources", "securityContext", "volumeMounts"):
        expect(f"{field} of the chart's sidecar", charts.signer(chart)[field], charts.signer(objects)[field])
    expect("the chart's Secret", _secret(chart), _secret(objects))
    return f"Ingress and HTTPRoute {rule['host']}{PATH} -> Service port {service['spec']['ports'][0]['port']} -> container port {port}"


def _route(ports, namespace, host):
    """The HTTPRoute has known fields alone, and the Ingress's route. The schemas of Kubernetes do not include its kind."""
    route = yaml.safe_load((OVERLAY / "gateway-api.yaml").read_text())
    head = (route["apiVersion"], route["kind"], route["metadata"]["name"])
    expect("the HTTPRoute's head", head, ("gateway.networking.k8s.io/v1", "HTTPRoute", "wonder-webhook"))
    expect("the HTTPRoute's fields", (set(route), set(route["spec"])), (
        {"apiVersion", "kind", "metadata", "spec"}, {"parentRefs", "hostnames", "rules"}))
    [gateway] = route["spec"]["parentRefs"]
    expect("the Gateway", (set(gateway), gateway["namespace"]), ({"name", "namespace"}, namespace))
    expect("hostnames", route["spec"]["hostnames"], [host])
    [rule] = route["spec"]["rules"]
    # A filter could rewrite the path that Wonder signed.
    expect("fields of the rule", set(rule) - {"timeouts"}, {"matches", "backendRefs"})
    expect("the match", rule["matches"], [{"path": {"type": "PathPrefix", "value": PATH}}])
    expect("backendRefs", rule["backendRefs"], [{"name": "wonder-webhook", "port": ports[0]["port"]}])
    # A shorter one would answer Wonder while the service still works on the webhook.
    for what, period in rule.get("timeouts", {}).items():
        expect(f"timeouts.{what} is longer than webhook.forward_timeout", _seconds(period) > _forward_timeout(), True)


def _seconds(period):
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)(ms|s|m|h)", period))


def _forward_timeout():
    files = (ROOT / "config/default.toml", KUBERNETES / "sidecar/sidecar.toml")
    sections = [tomllib.loads(file.read_text()).get("webhook", {}) for file in files]
    return _seconds((sections[0] | sections[1])["forward_timeout"])


def kustomized_pod_forwards_verified_webhooks(world):
    """a pod of the webhook component forwards Wonder's webhook to its service, and answers 401 to all else on that port"""
    return _forwards_verified_webhooks(world, "hooks", manifests.render(KUBECTL, OVERLAY), _served)


def charted_pod_forwards_verified_webhooks(world):
    """a pod of the chart with webhook.enabled forwards Wonder's webhook to its service, and answers 401 to all else on that port"""
    return _forwards_verified_webhooks(world, "hooks-chart", _chart(world), _handled, handler=True)


def _served(world, one, reference):
    expect("what the service printed", one, {"webhook": "order.paid", "reference": reference})


def _handled(world, one, reference):
    headers = dict(one["headers"])
    expect("port and request line", (one["port"], one["method"], one["target"]), (8001, "POST", PATH))
    expect("verified, AppID", [headers.get(f"x-wonder-signer-{key}") for key in ("verified", "app-id")], ["default", world.old_id])
    expect("action", headers.get("x-action"), "order.paid")
    expect("headers of the signature", {"credential", "nonce", "signature"} & set(headers), set())
    expect("the reference number in the body", reference in one["body"], True)


def _forwards_verified_webhooks(world, name, objects, judge, handler=False):
    port = _webhook_port(objects)
    images.keys(BINARY, world.work, "wonder")
    secrets = {"wonder-signer-key": _mounted(world, name, objects)}
    made = manifests.pod(objects, name, secrets, world.shared, TO_SIMULATOR)
    app = kubelet.container(made[-1], "app")
    if handler:
        app["command"] = ["/usr/bin/python3", "/handler.py", "8000", "8001"]
        app["volumeMounts"] = [{"name": "handler", "mountPath": "/handler.py", "readOnly": True}]
        file = {"path": str(ROOT / "tests/e2e/webhook_handler.py"), "type": "File"}
        made[-1]["spec"]["volumes"].append({"name": "handler", "hostPath": file})
    pod = world.keep(Pod(name, made))
    # The simulator's pod sends, as Wonder does through the cluster's Ingress.
    relay = world.keep(Relay(world.simulator.namespace, pod.namespace, port))
    try:
        return _judge(world, pod, name, port, judge)
    finally:
        # The next pod needs the same port.
        world.drop(relay, pod)


def _judge(world, pod, name, port, judge):
    world.ready(pod)
    seen = lambda: [json.loads(line) for line in pod.logs("app").splitlines()]

    def send(*more):
        """The status of a webhook from the simulator, signed with Wonder's key unless `more` has another."""
        words = ["send-webhook", "--to", f"http://127.0.0.1:{port}{PATH}", "--app-id", world.old_id, *more]
        done = world.simulator.execute("simulator", "/wonder-signer", *words, "--key", "/keys/wonder/private_key.pem")
        found = re.search(r"^(\d{3})\b.* in \d+ ms$", done.stdout, re.M)
        return found and int(found[1]), done.returncode, done.stdout, done.stderr

    for tamper in TAMPERS:
        status, code, *text = send("--tamper", tamper)
        expect(f"a webhook with a forged {tamper}: {text}", (status, code), (401, 0))
    # Unsigned requests, one with the sidecar's own header: neither the handler nor another path of the service answers.
    verified = {"X-Wonder-Signer-Verified": "default"}
    for target in (PATH, "/", "/signup", "/healthz"):
        status, headers, _ = pod.namespace.ask(port, "POST", target, "{}", verified)
        expect(f"POST {target} without a signature", (status, headers["X-Wonder-Signer-Error"]), (401, "webhook_rejected"))
    status = pod.namespace.ask(port, "GET", "/healthz")[0]
    expect("GET /healthz on the webhook port", status, 401)
    expect("requests that reached the service", seen(), [])

    reference = f"{name}-7781"
    status, code, *text = send("--reference-number", reference)
    expect(f"a webhook that Wonder signed: {text}", (status, code), (200, 0))
    [one] = until("the webhook reached the service", seen)
    judge(world, one, reference)
    return f"1 of 1 forwarded, {len(TAMPERS)} forged and 5 unsigned ones rejected"


def _mounted(world, name, objects):
    """A directory as the kubelet mounts the Secret: the manifest's items alone, as files of root with mode 0440."""
    public = world.work / "keys/wonder.pem"
    content = {"app_id": world.old / "app_id", "private_key.pem": world.old / "private_key.pem", "webhook_public_key.pem": public}
    directory = world.work / f"{name}-secret"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for item in _secret(objects)["items"]:
        shutil.copyfile(content[item["key"]], directory / item["path"])
        os.chmod(directory / item["path"], 0o440)
    return directory


def _chart(world):
    return charts.Charts(ROOT / "deploy/helm", world.work).render("example-app", {"wonder-signer": CHART})


def _named(objects, kind, name):
    [one] = [thing for thing in objects if (thing["kind"], thing["metadata"]["name"]) == (kind, name)]
    return one


def _secret(objects):
    volumes = charts.template(objects)["spec"]["volumes"]
    return next(volume["secret"] for volume in volumes if volume["name"] == "wonder-signer-key")


def _webhook_port(objects):
    """The container port that the Service's `targetPort` names."""
    [port] = [port["containerPort"] for port in charts.signer(objects)["ports"] if port["name"] == "webhook"]
    return port


CHECKS = [webhook_manifests_agree, kustomized_pod_forwards_verified_webhooks, charted_pod_forwards_verified_webhooks]
