#!/usr/bin/env bash
# Checks every crate of the lock file against a local database of advisories; fetches nothing.
#
#   tests/e2e/advisories.sh DIR      DIR is a clone of https://github.com/rustsec/advisory-db, bare or not
#
# It prints the date of the database's last commit and does not check its age.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The name that cargo-deny expects: the last part of the address and a hash of it.
database=$work/databases/advisory-db-3157b0e258782691
git clone --quiet "$1" "$database"
# cargo-deny checks the time of the last fetch.
git -C "$database" fetch --quiet origin HEAD
echo "database of $(git -C "$database" log -1 --format=%cs)"
sed "s|^\[advisories\]|&\ndb-path = \"$work/databases\"|" deny.toml >"$work/deny.toml"
cargo deny --all-features --offline --config "$work/deny.toml" check --hide-inclusion-graph advisories
