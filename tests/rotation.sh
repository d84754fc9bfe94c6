#!/usr/bin/env bash
# Rotation under load: a mounted Secret is swapped three times, once for a bad unit; prints how many requests each unit has signed.
#
#   tests/rotation.sh [SECONDS] [REQUESTS PER SECOND]      default 60 500
set -euo pipefail
cd "$(dirname "$0")/.."
export CREDENTIAL_SECONDS="${1:-60}" CREDENTIAL_RATE="${2:-500}"
exec cargo test --locked --test it -- --exact --nocapture \
  credentials::load::no_request_fails_while_units_are_swapped_one_of_them_bad
