# Sourced: a temporary directory ($work), and start_dev, which starts `wonder-signer dev` on free ports and sets $origin (the
# signing listener), $admin and $simulator. Everything stops when the script ends.

work=$(mktemp -d)
pids=()
stop() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap stop EXIT

# The program under test, built if WONDER_SIGNER is not set.
if [ -z "${WONDER_SIGNER:-}" ]; then
    cargo build --release --locked --quiet
    WONDER_SIGNER=${CARGO_TARGET_DIR:-target}/release/wonder-signer
fi
echo "program: $WONDER_SIGNER ($("$WONDER_SIGNER" --version))"

# Waits until a command succeeds, for up to 20 seconds.
await() {
    for _ in $(seq 400); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.05
    done
    echo "gave up waiting for: $*" >&2
    exit 1
}

start_dev() {
    "$WONDER_SIGNER" dev --listen 127.0.0.1:0 --admin 127.0.0.1:0 --simulator 127.0.0.1:0 \
        >"$work/dev.out" 2>"$work/dev.log" &
    pids+=($!)
    await grep -q 'Ctrl-C' "$work/dev.out"
    bound() { grep -E "^ *$1 " "$work/dev.out" | grep -oE 'https?://[0-9.:]+'; }
    origin=$(bound 'signing listener') admin=$(bound 'admin listener') simulator=$(bound 'simulated Wonder')
    "$WONDER_SIGNER" wait --admin "${admin#http://}" --timeout 20s >/dev/null
}
