#!/usr/bin/env bash
# Common HTTP clients, through the sidecar to the strict simulator: each creates a customer with non-ASCII text and lists
# customers with a query in literal and in encoded spelling. A 200 from the simulator means that the signature over exactly
# the sent bytes was right.
#
#   tests/e2e/clients.sh                 builds the program
#   WONDER_SIGNER=path tests/e2e/clients.sh   uses that program
#
# Installs missing packages (apt-get; pip into a temporary directory). Exit code 0 when all passed.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/e2e
source "$here/dev.sh"

need() { # command, package
    command -v "$1" >/dev/null || { echo "installing $2"; apt-get update -qq && apt-get install -y -qq "$2" >/dev/null; }
}
need curl curl
need python3 python3
need node nodejs
need javac default-jdk-headless
need perl perl
perl -MHTTP::Tiny -e 1 2>/dev/null || { apt-get update -qq && apt-get install -y -qq perl-modules >/dev/null; }
python3 -m venv "$work/venv" 2>/dev/null || { need pip3 python3-venv; python3 -m venv "$work/venv"; }
"$work/venv/bin/pip" install --quiet --disable-pip-version-check requests
javac -d "$work/java" "$here/clients/JavaClient.java"

start_dev
P=/svc/payment/api/v1/openapi

# Each client takes ORIGIN METHOD TARGET [FILE] and prints "STATUS VERSION", a line end, and the answer's body.
curl_with() { # options... -- ORIGIN METHOD TARGET [FILE]
    local options=() body=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    [ $# -lt 5 ] || body=(--data-binary "@$5")
    curl -sS -g --max-time 20 -D "$work/head" -o "$work/answer" -w '%{http_code} HTTP/%{http_version}\n' \
        -X "$3" -H 'Content-Type: application/json' "${options[@]}" "${body[@]}" "$2$4"
    cat "$work/answer"
}
curl_1_1() { curl_with --http1.1 -- "$@"; }
curl_1_0() { curl_with --http1.0 -- "$@"; }
curl_expect() { # passes only with the interim answer
    curl_with --http1.1 -H 'Expect: 100-continue' --expect100-timeout 20 -- "$@"
    grep -q '^HTTP/1.1 100' "$work/head" || echo 'no 100 Continue was seen'
}
curl_chunked() { curl -sS --max-time 20 -o "$work/answer" -w '%{http_code} HTTP/%{http_version}\n' \
    -X "$2" -H 'Content-Type: application/json' -T - "$1$3" <"$4"; cat "$work/answer"; }
python_stdlib() { python3 "$here/clients/stdlib.py" "$@"; }
python_requests() { "$work/venv/bin/python" "$here/clients/package.py" "$@"; }
node_fetch() { node "$here/clients/fetch.mjs" "$@"; }
node_stream() { node "$here/clients/fetch.mjs" "$@" stream; }
java_client() { java -cp "$work/java" JavaClient "$@"; }
perl_tiny() { perl "$here/clients/tiny.pl" "$@"; }

passed=0 failed=0
try() { # client, name of the call, METHOD, TARGET, [FILE]; $expected is the required content of the body
    local output line verdict
    output=$("$1" "$origin" "${@:3}" 2>&1) || true
    line=${output%%$'\n'*}
    if [ "${line%% *}" = 200 ] && python3 -c '
import json, sys
name, body = sys.argv[1], json.loads(sys.stdin.read().split("\n", 1)[1])
data = body["data"]
customers = data["customers"] if "customers" in data else [data["customer"]]
assert body["code"] == 200 and any(customer["name"] == name for customer in customers)' "$expected" \
        <<<"$output" 2>/dev/null; then
        verdict=ok passed=$((passed + 1))
    else
        verdict="FAILED: $(head -c 300 <<<"$output" | tr '\n' ' ')" failed=$((failed + 1))
    fi
    printf '%-18s %-26s %-14s %s\n' "$1" "$2" "$line" "$verdict"
}

post() { # client, what it shows, length of padding
    expected="茶室 Ünïcødé 🍵 $1"
    python3 -c 'import json, sys
print(json.dumps({"customer": {"name": sys.argv[1], "phone": "55501234", "email": "x" * 200,
    "reference_number": "client " + sys.argv[1], "padding": "漢" * int(sys.argv[2])}}, ensure_ascii=False))' \
        "$expected" "$3" >"$work/body.json"
    try "$1" "$2" POST "$P/customers" "$work/body.json"
}

printf '%-18s %-26s %-14s %s\n' CLIENT CALL ANSWER RESULT
for client in curl_1_1 curl_1_0 python_stdlib python_requests node_fetch java_client perl_tiny; do
    post "$client" 'POST non-ASCII' 0
    try "$client" 'GET literal query' GET "$P/customers?limit=1000&tag[a][_in]=x,y:z&t=+08:00"
    try "$client" 'GET encoded query' GET "$P/customers?limit=1000&tag%5Ba%5D=%E6%B1%89%2f%2F%20+&empty="
done
post curl_expect 'POST Expect, 3 KB' 1000
post curl_chunked 'POST chunked, 60 KB' 20000
post node_stream 'POST stream, 60 KB' 20000

printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
