#!/bin/sh
# Builds the source again, from another path into another target directory, and compares the program byte for byte with one
# that deploy/release.sh has built.
#
#   tests/e2e/reproducible.sh PROGRAM [PROFILE]      default profile: e2e, as tests/e2e/pod.sh builds
#
# Ends with "1 passed, 0 failed" if both are the same.
set -eu
cd "$(dirname "$0")/../.."
first=${1:?usage: tests/e2e/reproducible.sh PROGRAM [PROFILE]} profile=${2:-e2e}

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --null --create --files-from - | tar --extract --directory "$copy"
second=$(CARGO_TARGET_DIR="$copy/elsewhere" "$copy/deploy/release.sh" --profile "$profile" wonder-signer)
sha256sum "$first" "$second"
if cmp "$first" "$second"; then echo "1 passed, 0 failed"; else echo "0 passed, 1 failed"; exit 1; fi
