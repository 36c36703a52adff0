#!/usr/bin/env bash
# `make bench`: Berth beside the peers, release builds, in one run on the rig. It prints; it never fails on a number.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
if ! tests/in-namespace.sh true 2>/dev/null; then
  echo 'SKIPPED: the benchmarks need namespaces and a Docker engine of their own (that takes Linux and root)'
  exit 0
fi
tests/prepare/machine.sh
cargo build --quiet --release --locked --package berth-cli --package berth-practice --bins
triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export "CARGO_TARGET_${triple}_RUNNER=$PWD/tests/in-namespace.sh"
cargo bench --quiet --locked --package berth-tests --bench list
