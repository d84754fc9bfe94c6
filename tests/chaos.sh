#!/usr/bin/env bash
# The storm: the release build before an upstream that keeps killing connections; prints who was told what.
#
#   tests/chaos.sh [REQUESTS] [SEED]      default 100000 20261120
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked
export SIGNER_BINARY="$PWD/target/release/wonder-signer" CHAOS_REQUESTS="${1:-100000}" CHAOS_SEED="${2:-20261120}"
exec cargo test --locked --test it -- --ignored --exact --nocapture \
  endurance::chaos::tells_the_truth_of_every_request_in_a_long_storm
