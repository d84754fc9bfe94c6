#!/bin/sh
# Builds the program that is shipped: static, with the export of traces. The same source gives the same bytes, on any path.
#
#   deploy/release.sh                     the program's path is the last line, and the only one on standard output
#   deploy/release.sh --profile e2e       with another of Cargo.toml's profiles
#   deploy/release.sh --target TRIPLE     for another machine
#
# What cargo says goes to standard error. MESSAGES=FILE keeps its JSON messages.
set -eu
cd "$(dirname "$0")/.."

usage() { echo "release.sh: $1; usage: deploy/release.sh [--profile NAME] [--target TRIPLE]" >&2; exit 64; }

profile=release target=$(rustc -vV | sed -n 's/^host: //p')
while [ $# -gt 0 ]; do
    case "$1" in
        --profile) profile=${2:-} ;;
        --target) target=${2:-} ;;
        *) usage "unknown argument $1" ;;
    esac
    [ -n "${2:-}" ] || usage "$1 needs a value"
    shift 2
done

# The paths of this machine would be part of panic messages and of aws-lc's assertions, so they are replaced.
directory=${CARGO_TARGET_DIR:-target}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
source=$(pwd) registry=${CARGO_HOME:-$HOME/.cargo}
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$directory=/target -ffile-prefix-map=$source=/source -ffile-prefix-map=$registry=/cargo"
export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$directory=/target --remap-path-prefix=$source=/source --remap-path-prefix=$registry=/cargo"
cargo build --locked --features otel --bin wonder-signer --profile "$profile" --target "$target" \
    --message-format json-render-diagnostics >"${MESSAGES:-/dev/null}" ||
    { echo "release.sh: the program does not build" >&2; exit 1; }
echo "$directory/$target/$profile/wonder-signer"
