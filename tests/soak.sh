#!/usr/bin/env bash
# The soak: the release build under steady traffic while connections open and close; prints its memory, descriptors and threads every 10 s.
#
#   tests/soak.sh [SECONDS] [REQUESTS PER SECOND]      default 1800 100
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked
export SIGNER_BINARY="$PWD/target/release/wonder-signer" SOAK_SECONDS="${1:-1800}" SOAK_RATE="${2:-100}"
exec cargo test --locked --test it -- --ignored --exact --nocapture \
  endurance::soak::memory_descriptors_and_threads_do_not_grow_over_time
