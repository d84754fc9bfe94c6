"""Values for the Helm charts: every value that an operator can set, and values that Helm must reject."""

CALLERS = {"callers": ["example-app"]}
TOLERATION = {"key": "payments", "operator": "Exists", "effect": "NoSchedule"}
PAYS = {"namespaceSelector": {"matchLabels": {"pays": "yes"}}}
EXTRA = {"name": "extra-ca", "configMap": {"name": "extra-ca"}}
EXTRA_MOUNT = {"name": "extra-ca", "mountPath": "/etc/ssl/extra", "readOnly": True}
VARIABLE = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}
IMAGE = {
    "repository": "registry.example:5000/payments/wonder-signer",
    "tag": "9.9.9",
    "digest": "sha256:" + "a" * 64,
    "pullPolicy": "Always",
}
FULL_NAME = "registry.example:5000/payments/wonder-signer:9.9.9@sha256:" + "a" * 64
CUSTOM = {"environment": "custom", "origin": "https://wonder.test:4443"}
CREDENTIALS = {"secretName": "wonder-signer-key-2", "appIdKey": "APP_ID", "privateKeyKey": "key.pem"}
MORE = '[log]\nlevel = "debug"\n'
SIDECAR = {**CUSTOM, "image": IMAGE, "credentials": CREDENTIALS, "config": MORE, "env": [VARIABLE], "volumeMounts": [EXTRA_MOUNT]}
# Every value that an operator can set, different from its default.
GATEWAY = {
    **SIDECAR,
    "anyCaller": True,
    "volumes": [EXTRA],
    "imagePullSecrets": [{"name": "registry"}],
    "tls": {"secretName": "other-tls"},
    "extraHosts": ["payments.example"],
    "clusterDomain": "cluster.example",
    "shutdown": {"drainDelay": 20, "grace": 60},
    "limits": {"connections": 100, "buffered": "16MiB"},
    "resources": {"requests": {"cpu": "1"}},
    "replicas": 5,
    "autoscaling": {"enabled": False},
    "podDisruptionBudget": {"enabled": True, "maxUnavailable": "25%"},
    "networkPolicy": {"callers": [PAYS], "metrics": [PAYS], "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]},
    "podMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}},
    "service": {"port": 8443, "annotations": {"a": "b"}},
    "serviceAccount": {"create": True, "annotations": {"a": "b"}},
    "podLabels": {"team": "payments"},
    "priorityClassName": "payments",
    "nodeSelector": {"payments": "yes"},
    "tolerations": [TOLERATION],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}],
    "fullnameOverride": "pay",
}
# Rejected values, and a part of Helm's error, which begins with the key.
BAD_SIDECAR = [
    ({"environment": "prod"}, "at '/environment': value must be one of 'staging', 'production', 'custom'"),
    ({"enviroment": "production"}, "additional properties 'enviroment' not allowed"),
    ({"environment": "custom"}, "at '/origin': minLength"),
    ({"origin": "https://wonder.test"}, "at '/origin': maxLength"),
    (
        {"environment": "custom", "origin": "https://wonder.test/base"},
        "at '/origin': 'https://wonder.test/base' does not match pattern",
    ),
    ({"environment": "custom", "origin": "http://wonder.test"}, "at '/origin': 'http://wonder.test' does not match pattern"),
    ({"image": {"tag": 1.5}}, "at '/image/tag': got number, want string"),
    ({"image": {"repository": "wonder-signer:1"}}, "at '/image/repository': 'wonder-signer:1' does not match pattern"),
    ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
    ({"image": {"pullPolicy": "always"}}, "at '/image/pullPolicy': value must be one of"),
    ({"credentials": {"secretName": "Upper"}}, "at '/credentials/secretName': 'Upper' does not match pattern"),
    ({"credentials": {"secretName": None}}, "at '/credentials': missing property 'secretName'"),
    ({"credentials": {"privateKey": "-----BEGIN"}}, "at '/credentials': additional properties 'privateKey' not allowed"),
    ({"env": {"A": "b"}}, "at '/env': got object, want array"),
    ({"env": [{"name": "A", "value": 1}]}, "at '/env/0/value': got number, want string"),
    ({"resources": "small"}, "at '/resources': got string, want object"),
    ({"config": {"log": {}}}, "at '/config': got object, want string"),
]
BAD_GATEWAY = BAD_SIDECAR + [
    ({"callers": []}, "callers: name one caller at least"),
    ({"anyCaller": True}, "anyCaller: true admits every caller, so callers must be empty"),
    ({"callers": "example-app"}, "at '/callers': got string, want array"),
    ({"callers": ["a,b"]}, "at '/callers/0': 'a,b' does not match pattern"),
    ({"callers": ["Other"]}, "at '/callers/0': 'not' failed"),
    ({"shutdown": {"grace": "25s"}}, "at '/shutdown/grace': got string, want integer"),
    ({"limits": {"buffered": "32MB"}}, "at '/limits/buffered': '32MB' does not match pattern"),
    ({"autoscaling": {"minReplicas": 20}}, "autoscaling.minReplicas must not be larger than autoscaling.maxReplicas"),
    ({"networkPolicy": {"callers": []}}, "at '/networkPolicy/callers': minItems"),
    ({"service": {"port": 0}}, "at '/service/port': minimum"),
    ({"tolerations": {}}, "at '/tolerations': got object, want array"),
]
