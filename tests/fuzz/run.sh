#!/usr/bin/env bash
# Runs each fuzz target for some seconds and prints the number of its executions. A finding ends the run and is kept in artifacts/.
#
#   tests/fuzz/run.sh [SECONDS EACH] [TARGET...]      default 60, all targets
#
# Needs the nightly toolchain and cargo-fuzz (cargo install cargo-fuzz). Inputs that reach new code are kept in target/corpus, outside
# the repository; corpus/ has the seeds. This script makes one more seed: every configuration key with its default.
set -euo pipefail
cd "$(dirname "$0")"
seconds="${1:-60}"
shift || true
if [ $# -eq 0 ]; then set -- $(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | grep -v wonder-signer); fi

cargo +nightly fuzz build --fuzz-dir . --sanitizer "${SANITIZER:-address}" >&2
mkdir -p target/corpus/configuration
# Without the comments, which would exceed the maximum length of an input.
grep -v '^#' ../../config/default.toml >target/corpus/configuration/default.toml
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
printf '| target | seconds | executions | executions/s | edges |\n|---|---|---|---|---|\n'
for target in "$@"; do
  mkdir -p "target/corpus/$target" "artifacts/$target"
  if ! cargo +nightly fuzz run --fuzz-dir . --sanitizer "${SANITIZER:-address}" "$target" \
    "target/corpus/$target" "corpus/$target" -- \
    -max_total_time="$seconds" -print_final_stats=1 -timeout=20 -rss_limit_mb=4096 -max_len=8192 >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    exit 1
  fi
  executions="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  rate="$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")"
  edges="$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d ' ' -f 2)"
  printf '| %s | %s | %s | %s | %s |\n' "$target" "$seconds" "$executions" "$rate" "$edges"
done
