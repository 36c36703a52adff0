#!/usr/bin/env bash
# Berth against the Mac's own keychain, in a keychain made for this and removed afterwards: a secret is kept
# and found, a locked keychain is named, and nothing prints what was kept. For the public workflow, where
# nobody can answer a dialogue; it changes the default keychain while it runs, so it refuses a person's Mac.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Darwin ] || { echo 'this needs a Mac' >&2; exit 2; }
[ "${CI:-}" = true ] || { echo 'this changes the default keychain, so it runs on build machines only (CI=true)' >&2; exit 2; }

folder=$(mktemp -d)
export BERTH_HOME=$folder/berth
keychain=$folder/berth-tests.keychain-db
before=$(security default-keychain -d user | tr -d ' "')
berth=target/debug/berth
trap '"$berth" agent stop >/dev/null 2>&1 || true; security default-keychain -d user -s "$before"; security delete-keychain "$keychain" 2>/dev/null || true; rm -rf "$folder"' EXIT

security create-keychain -p open-sesame "$keychain"
security set-keychain-settings "$keychain"
security unlock-keychain -p open-sesame "$keychain"
security default-keychain -d user -s "$keychain"
security list-keychains -d user -s "$keychain" "$before"

fail() { echo "FAILED: $*" >&2; exit 1; }

"$berth" up kept --host practice --accept-eula >"$folder/string" || fail 'an instance on the practice host, its password in the keychain'
password=$("$berth" connection kept --password) || fail 'the password cannot be read back'
# One item holds all passwords of one instance.
security find-generic-password -s dev.berth -w "$keychain" | grep -qF "$password" || fail 'the password is not in the keychain under `dev.berth`'
grep -qF "$password" "$folder/string" || fail 'the string that was printed does not hold the password that was kept'
! grep -rqF "$password" "$BERTH_HOME" || fail 'the password is in a file'

security lock-keychain "$keychain"
"$berth" agent stop
if "$berth" connection kept >"$folder/out" 2>"$folder/err" </dev/null; then
  fail 'a locked keychain gave the password away'
fi
grep -qi 'locked' "$folder/err" || fail "the error does not say that the keychain is locked: $(cat "$folder/err")"
security unlock-keychain -p open-sesame "$keychain"
"$berth" connection kept >"$folder/out" || fail 'the unlocked keychain was not asked again'
echo 'the keychain keeps, locks and gives back'
