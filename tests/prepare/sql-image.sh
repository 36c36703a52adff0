#!/usr/bin/env bash
# Links the practice SQL engine statically, for an image `FROM scratch`: its libraries are compiled already, so only
# the program is linked again. Beside the other one, which Cargo replaces whenever it builds.
set -euo pipefail
cd "$(dirname "$0")/../.."
built=target/debug/practice-sqlservr fixed=target/debug/rig/sqlservr
if [ -e "$fixed" ] && [ ! "$built" -nt "$fixed" ]; then exit 0; fi
mkdir -p target/debug/rig
cargo rustc --quiet --locked --package berth-practice --bin practice-sqlservr -- -C target-feature=+crt-static
cp "$built" "$fixed.new"
if ldd "$fixed.new" 2>/dev/null | grep -q '=>'; then
  echo "$built needs libraries still, so it cannot run in an empty image" >&2
  exit 1
fi
touch "$fixed.new"
mv "$fixed.new" "$fixed"
