#!/usr/bin/env bash
# Alert rules, dashboard and runbook against a real Prometheus that scrapes real sidecars.
#
#   tests/e2e/prometheus.sh            injects every fault and shows which alerts fire and clear; under 6 minutes
#   tests/e2e/prometheus.sh --quick    no faults; under a minute, the build apart
#
# Installs Debian's prometheus (which brings promtool) and faketime if they are missing. SIGNER_BINARY names a built binary; without it one is built.
# Every program listens on a free port of 127.0.0.1 and is stopped at the end. The last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    # The package would start a service that listens on every address.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get -o Acquire::Retries=3 update -qq && DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install -y -qq --no-install-recommends prometheus
fi

command -v faketime >/dev/null || apt-get -o Acquire::Retries=3 install -y -qq --no-install-recommends faketime

if [ -z "${SIGNER_BINARY:-}" ]; then
    cargo build --locked --quiet
    SIGNER_BINARY=${CARGO_TARGET_DIR:-target}/debug/wonder-signer
fi

python3 -B tests/e2e/prometheus "$SIGNER_BINARY" "$@"
