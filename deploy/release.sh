#!/bin/sh
# Builds the released programs: static, with the export of traces. The same source gives the same bytes, in any directory.
#
#   deploy/release.sh                     wonder-signer, the sidecar, without the simulator; and wonder-simulator, the same with it
#   deploy/release.sh wonder-signer       one of them
#   deploy/release.sh --profile e2e       with another of Cargo.toml's profiles
#   deploy/release.sh --target TRIPLE     for another machine
#
# Standard output has the paths of the programs, one per line; standard error has cargo's output. MESSAGES=FILE keeps the JSON
# messages of the last build: that of wonder-signer if both are built.
set -eu
cd "$(dirname "$0")/.."

usage() {
    echo "release.sh: $1; usage: deploy/release.sh [--profile NAME] [--target TRIPLE] [wonder-signer|wonder-simulator]" >&2
    exit 64
}

profile=release target=$(rustc -vV | sed -n 's/^host: //p') programs=''
while [ $# -gt 0 ]; do
    case "$1" in
        --profile) profile=${2:-} ;;
        --target) target=${2:-} ;;
        wonder-signer | wonder-simulator) programs=$1; shift; continue ;;
        *) usage "unknown argument $1" ;;
    esac
    [ -n "${2:-}" ] || usage "$1 needs a value"
    shift 2
done

# Replaces the paths of this machine, which would be part of panic messages and of aws-lc's assertions.
directory=${CARGO_TARGET_DIR:-target}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
source=$(pwd) registry=${CARGO_HOME:-$HOME/.cargo}
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$directory=/target -ffile-prefix-map=$source=/source -ffile-prefix-map=$registry=/cargo"
# Packed relocations (DT_RELR) take 7 KB in place of 310 KB. The C library, which is linked in, reads them from glibc 2.36 on.
packed='' glibc=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)
[ "$(printf '%s\n' 2.36 "$glibc" | sort -V | head -n1)" != 2.36 ] || packed=' -C link-arg=-Wl,-z,pack-relative-relocs'
export RUSTFLAGS="-C target-feature=+crt-static$packed --remap-path-prefix=$directory=/target --remap-path-prefix=$source=/source --remap-path-prefix=$registry=/cargo"

for program in ${programs:-wonder-simulator wonder-signer}; do
    case "$program" in
        wonder-signer) features=otel ;;
        wonder-simulator) features=otel,simulator ;;
    esac
    cargo build --locked --no-default-features --features "$features" --bin wonder-signer --profile "$profile" --target "$target" \
        --message-format json-render-diagnostics >"${MESSAGES:-/dev/null}" ||
        { echo "release.sh: $program does not build" >&2; exit 1; }
    built=$directory/$target/$profile
    # Cargo gives both programs one name, so the sidecar's build would replace the simulator's.
    # If nothing was compiled, both names may be links to one file, which mv rejects.
    [ "$program" = wonder-signer ] || { rm -f "$built/$program"; mv "$built/wonder-signer" "$built/$program"; }
    echo "$built/$program"
done
