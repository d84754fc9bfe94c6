#!/usr/bin/env bash
# Slow heads and stuck uploads against the release build; prints the latency of other callers. Needs a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked
export SIGNER_BINARY="$PWD/target/release/wonder-signer"
exec cargo test --locked --test it -- --ignored --exact --nocapture \
  endurance::slowness::stuck_callers_do_not_delay_others
