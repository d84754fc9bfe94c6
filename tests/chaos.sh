#!/usr/bin/env bash
# The storm: the release build in front of an upstream that breaks connections at random; prints the callers' outcomes. The first callers
# classify each answer; the second are curl processes, which may retry by themselves.
#
#   tests/chaos.sh [REQUESTS] [SEED] [CALLS OF CURL]      default 100000 20261120 20000
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked
export SIGNER_BINARY="$PWD/target/release/wonder-signer" CHAOS_REQUESTS="${1:-100000}" CHAOS_SEED="${2:-20261120}" CHAOS_CURLS="${3:-20000}"
exec cargo test --locked --test it -- --ignored --exact --nocapture \
  --test-threads 1 endurance::chaos::every_answer_and_its_sent_are_true_in_a_long_storm \
  endurance::curls::no_call_of_curl_arrives_twice_in_a_storm
