#!/usr/bin/env bash
# Measures the release build on this machine and prints the figures. It asserts nothing, because a busy machine distorts them.
# Needs python3.
#
#   tests/e2e/figures.sh                 builds the program
#   WONDER_SIGNER=path tests/e2e/figures.sh   uses that program
#
# * start: from exec to the ready file, and to the first 200 of /readyz, of `run`; median of 20
# * memory: VmRSS of `run`, ready and idle, and again after 500 requests
# * latency: the same POST (echo), one at a time over a kept connection: straight to a simulator over TLS, signed
#   beforehand with `sign`; through `run` to the same simulator; through `dev`, where both share a process. The signature's
#   share is `sign_ms` in the log lines of the measured requests.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/e2e/dev.sh
app=1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11
"$WONDER_SIGNER" keygen --out "$work/keys" >/dev/null
"$WONDER_SIGNER" simulate --listen 127.0.0.1:0 --app-id $app --public-key-file "$work/keys/public_key.pem" \
    --ca-out "$work/ca.pem" --ready-file "$work/simulator.json" 2>"$work/simulator.log" &
pids+=($!)
await test -s "$work/simulator.json"
start_dev
export WONDER_SIGNER
FIGURES_WORK=$work FIGURES_APP=$app FIGURES_ORIGIN=$origin python3 -u tests/e2e/figures.py
