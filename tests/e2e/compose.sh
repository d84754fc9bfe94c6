#!/usr/bin/env bash
# deploy/compose as it is, with podman-compose and images that are built here: the first order is paid, timed; the webhook was verified, a
# forged one does not reach the shop, Prometheus has loaded the rules and scrapes the sidecar, and nothing but the published ports is open.
#
#   tests/e2e/compose.sh
#
# Uses the images wonder-signer:0.1.0, wonder-simulator:0.1.0 and python-base that tests/e2e/pod.sh builds. Needs root and Debian.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/e2e/podman.sh

missing=$(package_of podman:podman runc:runc prometheus:prometheus curl:curl ip:iproute2 iptables:iptables)
# Names of containers in a network.
[ -e /usr/lib/cni/dnsname ] || missing="$missing golang-github-containernetworking-plugin-dnsname"
# shellcheck disable=SC2086
[ -z "$missing" ] || install_packages $missing

tools="$(realpath "${CARGO_TARGET_DIR:-target}")/compose-tools"
[ -x "$tools/bin/podman-compose" ] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet --disable-pip-version-check podman-compose==1.6.0; }
export PATH="$tools/bin:$PATH"

# A network of its own, because the ports are those of the file.
[ "${1:-}" = inside ] || exec unshare --net "$0" inside
ip link set lo up

one_at_a_time

work=$(mktemp -d)
limit_containers "$work"
export SIGNER_IMAGE=${SIGNER_IMAGE:-localhost/wonder-signer:0.1.0} SIMULATOR_IMAGE=${SIMULATOR_IMAGE:-localhost/wonder-simulator:0.1.0}
export PYTHON_IMAGE=localhost/python-base:latest PROMETHEUS_IMAGE=localhost/prometheus:latest

compose() { podman-compose -p "wonder-$$" -f deploy/compose/compose.yaml "$@"; }
finish() {
    compose down -v -t 1 >"$work/down" 2>&1 || cat "$work/down"
    rm -rf "$work"
}
fail() {
    echo "compose: $1" >&2
    compose logs 2>&1 | tail -40 >&2
    exit 1
}
trap finish EXIT

# Debian's Prometheus with the libraries it needs, in an image of its own.
if ! podman image exists "$PROMETHEUS_IMAGE"; then
    mkdir -p "$work/root/bin" "$work/root/etc/prometheus" "$work/root/prometheus"
    cp "$(command -v prometheus)" "$work/root/bin/"
    ldd "$(command -v prometheus)" | grep -o '/[^ ]*' | while read -r library; do install -D "$library" "$work/root$library"; done
    printf 'FROM scratch\nCOPY . /\nENTRYPOINT ["/bin/prometheus"]\n' >"$work/Containerfile"
    podman build --quiet --tag "$PROMETHEUS_IMAGE" --file "$work/Containerfile" "$work/root" >/dev/null
fi

await() { # what, command: until it succeeds, up to 60 s
    local what=$1
    shift
    for _ in $(seq 240); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.25
    done
    fail "$what: gave up waiting"
}
order() { curl -sS --max-time 20 -f http://127.0.0.1:3000/orders -d '{"reference":"T-1","amount":"120.00"}'; }
status() { curl -sS --max-time 5 http://127.0.0.1:3000/orders/T-1; }
# Reads to the end: with `grep -q` the other command could fail because its reader is gone.
has() { "${@:2}" | grep -- "$1" >/dev/null; }
query() { curl -sSG --max-time 5 http://127.0.0.1:9095/api/v1/query --data-urlencode "query=$1"; }

started=$(date +%s%N)
compose up -d >"$work/up" 2>&1 || { cat "$work/up"; fail 'up fails'; }
up=$(date +%s%N)
await 'the sidecar is ready' curl -sS -f http://127.0.0.1:9090/readyz
ready=$(date +%s%N)
link=$(order | grep -o 'http://127.0.0.1:4443/l/[0-9]*') || fail 'no payment link'
# As the page's button does.
curl -sS -f -o /dev/null --max-time 10 "$link" -H 'Origin: http://127.0.0.1:4443' -d 'method=credit_card&outcome=success' || fail 'the page does not pay'
await 'the shop has the webhook' has '"status": "paid"' status
paid=$(date +%s%N)
ms() { echo $((($2 - $1) / 1000000)); }
echo "compose: up after $(ms "$started" "$up") ms, sidecar ready after $(ms "$started" "$ready") ms, first order paid after $(ms "$started" "$paid") ms"
has '"verified_at": "[0-9]' status || fail 'the webhook was not verified by the sidecar'

# A forged webhook, from another container of the network.
forge='import urllib.request, urllib.error, sys
try:
    urllib.request.urlopen(urllib.request.Request("http://shop:8081/webhooks", b"{}", {"Credential": "x", "Nonce": "x", "Signature": "x"}))
except urllib.error.HTTPError as error: sys.exit(0 if error.code == 401 else 1)
sys.exit(1)'
network=$(podman network ls --format '{{.Name}}' | grep "wonder-$$")
podman run --rm --network "$network" "$PYTHON_IMAGE" python3 -c "$forge" || fail 'a forged webhook is not rejected'
for port in 8000 8080; do
    podman run --rm --network "$network" "$PYTHON_IMAGE" python3 -c "import socket; socket.create_connection(('shop', $port), 3)" 2>/dev/null &&
        fail "port $port of the shop is open to the network"
done

await 'Prometheus scrapes the sidecar' has '"value":\[[0-9.]*,"1"\]' query 'up{job="wonder-signer"}'
await 'Prometheus has the request' has '"value":' query 'wonder_signer_requests_total > 0'
has WonderSignerAuthRejected curl -sS http://127.0.0.1:9095/api/v1/rules || fail 'Prometheus has no rules'
has 'console' curl -sS http://127.0.0.1:4443/console || fail 'no console'

# A second start changes nothing: the key stays, and the order too.
compose stop -t 2 >"$work/stop" 2>&1
compose up -d >"$work/up" 2>&1 || { cat "$work/up"; fail 'the second start fails'; }
await 'the sidecar is ready again' curl -sS -f http://127.0.0.1:9090/readyz
await 'an order is taken again' order
echo 'compose: all as it should be'
