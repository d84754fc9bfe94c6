"""The kubelet's hooks and probes, which podman does not support, applied to real pods from their manifests."""

from machine import Failed, podman

# The kubelet's defaults.
TIMEOUT, THRESHOLD, PERIOD = 1, 3, 10


def container(template, name):
    spec = template["spec"]
    return next(one for one in spec["containers"] + spec.get("initContainers", []) if one["name"] == name)


def terminate(pod, template, name, meanwhile):
    """Stops a container as for a deleted pod. `meanwhile` runs until every node has the new endpoints.

    A preStop sleep comes before SIGTERM, and the container still serves during it.
    """
    sleep = container(template, name).get("lifecycle", {}).get("preStop", {}).get("sleep")
    if sleep:
        meanwhile()
    pod.signal(name)
    if not sleep:
        meanwhile()


def restart_when_dead(pod, template, name):
    """Probes a container until it is considered dead, and restarts it, without the pauses between probes.

    Returns the longest time, in seconds, that this takes in a cluster.
    """
    probe = container(template, name)["livenessProbe"]
    timeout, threshold = probe.get("timeoutSeconds", TIMEOUT), probe.get("failureThreshold", THRESHOLD)
    for _ in range(threshold):
        if _alive(pod, probe["httpGet"], timeout):
            raise Failed(f"{name} answers its liveness probe")
    # The pod's period applies if the probe has none.
    grace = probe.get("terminationGracePeriodSeconds", template["spec"].get("terminationGracePeriodSeconds", 30))
    podman("stop", "--time", grace, pod.container(name))
    podman("start", pod.container(name))
    return probe.get("periodSeconds", PERIOD) * threshold + timeout + grace


def _alive(pod, action, timeout):
    client = None
    try:
        client = pod.namespace.client(action["port"], timeout)
        client.request("GET", action["path"])
        return client.getresponse().status < 400
    except OSError:
        return False
    finally:
        if client:
            client.close()
