#!/usr/bin/env bash
# The OpenAPI document: valid, and true of what the simulator answers. schemathesis makes requests of it, right and wrong ones, and judges each
# answer: no 500, the status and shape that the document names, right requests accepted and wrong ones refused.
#
#   tests/e2e/openapi.sh                          builds the program
#   WONDER_SIGNER=path tests/e2e/openapi.sh       takes that one
#
# Calls under /svc/ go through the sidecar, which signs them; the simulator's own go to the simulator. EXAMPLES (20) is the number of requests
# a call gets beyond the systematic ones, SEED (1) makes the run repeatable. Needs python3 with venv; the tools are pinned in .ci/openapi.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/e2e/dev.sh

tools="$(realpath "${CARGO_TARGET_DIR:-target}")/openapi-tools"
if ! cmp -s .ci/openapi.txt "$tools/installed"; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement .ci/openapi.txt
    cp .ci/openapi.txt "$tools/installed"
fi
"$tools/bin/openapi-spec-validator" deploy/openapi/wonder.yaml

start_dev
# The sidecar rejects TRACE itself, because its answer would contain the signature.
cat >"$work/schemathesis.toml" <<'END'
suppress-health-check = ["all"]
[checks]
ignored_auth.enabled = false
[phases.coverage]
unexpected-methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
END
# A rule of these calls names two fields or the day, which no schema can: the sum of the line items must be above zero, a card must not have
# expired, and the action of a fault is for faults of webhooks. So not every request that the schema allows is accepted; all else is judged.
cat >>"$work/schemathesis.toml" <<'END'
[[operations]]
include-operation-id = ["orders.create", "open_payments.create", "payment_tokens.create", "simulator.faults.add"]
checks = { positive_data_acceptance = { enabled = false } }
END

document=$(readlink -f deploy/openapi/wonder.yaml)
judge() { # what, base URL, paths, more options
    echo "== $1"
    # In $work, because schemathesis keeps what it found in the current directory.
    if ! (cd "$work" && "$tools/bin/st" --config-file schemathesis.toml run "$document" --url "$2" --include-path-regex "$3" \
        --seed "${SEED:-1}" --no-shrink --continue-on-failure --no-color "${@:4}") >"$work/report" 2>&1; then
        cat "$work/report"
        exit 1
    fi
    sed -n '/^Test cases:/,/^$/p' "$work/report" | sed '/^$/d'
}
judge 'signed calls' "$origin" '^/svc/' --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-20}"
judge 'signed calls that go on with what others returned' "$origin" '^/svc/' --phases stateful --max-examples "${CHAINS:-5}"
judge "the simulator's own calls" "$simulator" '^/simulator/' --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-20}" --tls-verify false
echo 'openapi: the document is valid and true'
