#!/bin/sh
# Builds the program that is shipped: static, with the export of traces, and optimized with a profile of itself at work. A
# first build counts what it does while it signs for a simulated Wonder; the second puts what runs often, and what runs at
# the start, together. That takes 2 to 3 % of the processor time of a request away, and 2 MiB of memory
# (tests/bench/README.md).
#
#   deploy/release.sh                     the program's path is the last line, and the only one on standard output
#   deploy/release.sh --profile e2e       with another of Cargo.toml's profiles
#   deploy/release.sh --target TRIPLE     for another machine, which cannot be tried here: optimized without a profile
#
# Needs curl, and llvm-profdata of the compiler's own LLVM: `rustup component add llvm-tools`, or Debian's llvm-NN.
# LLVM_PROFDATA names another one. What cargo says goes to standard error; MESSAGES=FILE keeps its JSON messages.
#
# No two profiles are the same, so no two such builds are, byte for byte. Who needs that takes `cargo build --release`.
set -eu
cd "$(dirname "$0")/.."

say() { echo "release.sh: $*" >&2; }
die() { say "$*"; exit 1; }
usage() { say "$1; usage: deploy/release.sh [--profile NAME] [--target TRIPLE]"; exit 64; }

host=$(rustc -vV | sed -n 's/^host: //p')
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
profile=release target=$host
while [ $# -gt 0 ]; do
    case "$1" in
        --profile) profile=${2:-} ;;
        --target) target=${2:-} ;;
        *) usage "unknown argument $1" ;;
    esac
    [ -n "${2:-}" ] || usage "$1 needs a value"
    shift 2
done

# The names of functions depend on what cargo is told, so both builds are told the same but for the profile.
build() {
    RUSTFLAGS="-C target-feature=+crt-static $1" cargo build --locked --features otel --bin wonder-signer \
        --profile "$profile" --target "$target" --message-format json-render-diagnostics >"$2" || die "it does not build"
}
directory=${CARGO_TARGET_DIR:-target}
program=$directory/$target/$profile/wonder-signer
messages=${MESSAGES:-/dev/null}

if [ "$target" != "$host" ]; then
    say "this machine, $host, cannot try a program for $target: built without a profile"
    build "" "$messages"
    echo "$program"
    exit
fi

profdata=${LLVM_PROFDATA:-}
for candidate in "$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata" "llvm-profdata-$llvm" llvm-profdata; do
    [ -n "$profdata" ] || profdata=$(command -v "$candidate" || true)
done
[ -n "$profdata" ] || die "llvm-profdata is missing: rustup component add llvm-tools, or apt-get install llvm-$llvm"
"$profdata" --version 2>/dev/null | grep -q "LLVM version $llvm\." || die "$profdata is not of LLVM $llvm, which the compiler uses"
command -v curl >/dev/null || die "curl is missing, which makes the requests for the profile"

mkdir -p "$directory"
work=$(mktemp -d "$(cd "$directory" && pwd)/profile.XXXXXX")
simulator='' sidecar=''
stop() {
    for pid in $simulator $sidecar; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

say "1 of 3: the program that counts"
# `temporal`: not only how often, but in which order.
build "-C profile-generate=$work/counts -C llvm-args=-pgo-temporal-instrumentation" /dev/null
cp "$program" "$work/counting"

say "2 of 3: at work"
app=1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11
# Only the sidecar's own counts are kept.
aside=$work/aside/%p
address() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$2"; }
ready() {
    for _ in $(seq 200); do
        [ ! -s "$1" ] || return 0
        sleep 0.1
    done
    cat "$2" >&2
    die "did not start"
}
LLVM_PROFILE_FILE=$aside "$work/counting" keygen --out "$work/keys" >/dev/null
LLVM_PROFILE_FILE=$aside "$work/counting" simulate --listen 127.0.0.1:0 --app-id $app --public-key-file "$work/keys/public_key.pem" \
    --ca-out "$work/ca.pem" --ready-file "$work/simulator.json" >"$work/simulator.log" 2>&1 &
simulator=$!
ready "$work/simulator.json" "$work/simulator.log"
# On a busy machine too, every request is to be signed.
env -i LLVM_PROFILE_FILE="$work/counts/%p" \
    WONDER_SIGNER_TIMEOUTS__SIGN=1m \
    WONDER_SIGNER_LISTEN__ADDRESS=127.0.0.1:0 \
    WONDER_SIGNER_ADMIN__ADDRESS=127.0.0.1:0 \
    WONDER_SIGNER_UPSTREAM__ENVIRONMENT=custom \
    WONDER_SIGNER_UPSTREAM__ORIGIN="https://$(address listen "$work/simulator.json")" \
    WONDER_SIGNER_UPSTREAM__CA_FILE="$work/ca.pem" \
    WONDER_SIGNER_UPSTREAM__CA_MODE=replace \
    WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID=$app \
    WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_FILE="$work/keys/private_key.pem" \
    "$work/counting" run --ready-file "$work/sidecar.json" >"$work/sidecar.log" 2>&1 &
sidecar=$!
ready "$work/sidecar.json" "$work/sidecar.log"

listen=http://$(address listen "$work/sidecar.json")/svc/payment/api/v1/openapi
admin=http://$(address admin "$work/sidecar.json")
calls() { curl --no-progress-meter --fail --output /dev/null "$@" || { tail -5 "$work/sidecar.log" >&2; die "a request failed"; }; }
posts() {
    size=$1
    shift
    calls --header 'Content-Type: application/json' --header 'Expect:' --data-binary "@$work/body.$size" "$@"
}
for size in 500 16000 256000; do printf '{"message":"%*s"}' $size '' >"$work/body.$size"; done
posts 500 --parallel --parallel-max 16 "$listen/echo?[1-6000]"
posts 500 --header 'X-Request-ID: 3f1d0a52-4c1e-4c7d-9f63-0f0a4a6e7c11' "$listen/echo?[1-1000]"
posts 16000 --parallel --parallel-max 4 "$listen/echo?[1-500]"
posts 256000 --parallel --parallel-max 4 "$listen/echo?[1-50]"
calls --parallel --parallel-max 16 "$listen/customers?limit=1&offset=[0-1999]"
calls "$admin/readyz?[1-50]"
calls "$admin/metrics?[1-20]"
ended=$sidecar sidecar=''
kill "$ended"
wait "$ended" || { cat "$work/sidecar.log" >&2; die "the sidecar did not end as it should"; }

"$profdata" merge --output "$work/profile" "$work/counts"/*
flags="-C profile-use=$work/profile"
# Rust brings a linker that knows these two for this target alone; the second packs relocations tightly.
if [ "$host" = x86_64-unknown-linux-gnu ]; then
    "$profdata" order "$work/profile" --output "$work/order"
    flags="$flags -C link-arg=-Wl,--symbol-ordering-file=$work/order -C link-arg=-Wl,--no-warn-symbol-ordering"
    flags="$flags -C link-arg=-Wl,-z,pack-relative-relocs"
fi

say "3 of 3: the program itself"
build "$flags" "$messages"
echo "$program"
