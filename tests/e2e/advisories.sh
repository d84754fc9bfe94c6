#!/usr/bin/env bash
# Holds every crate of the lock file against a database of advisories that is at hand; fetches nothing.
#
#   tests/e2e/advisories.sh DIR      DIR is a clone of https://github.com/rustsec/advisory-db, bare or not
#
# The age of the database is not judged: it prints the date of its last commit.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The name that cargo-deny looks for: the last part of the address and a hash of it.
database=$work/databases/advisory-db-3157b0e258782691
git clone --quiet "$1" "$database"
# cargo-deny judges by the last fetch.
git -C "$database" fetch --quiet origin HEAD
echo "database of $(git -C "$database" log -1 --format=%cs)"
sed "s|^\[advisories\]|&\ndb-path = \"$work/databases\"|" deny.toml >"$work/deny.toml"
cargo deny --all-features --offline --config "$work/deny.toml" check --hide-inclusion-graph advisories
