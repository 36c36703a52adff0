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
# One build for the programs and the benchmark: with one set of features, nothing is compiled twice.
echo 'building everything for release; the first time takes some minutes'
benches=$(cargo build --quiet --release --locked --message-format=json-render-diagnostics \
  --package berth-cli --package berth-practice --package berth-tests --bins --bench list --bench connections --bench strings --bench instances --bench practice |
  sed -n 's/.*"kind":\["bench"\].*"executable":"\([^"]*\)".*/\1/p')
# A thousand instances have some thousand files open.
ulimit -n "$(ulimit -Hn)"
for bench in $benches; do
  tests/in-namespace.sh "$bench"
done
# The app, as it is packaged: around the window's files, and beside an empty window of the same frame.
tests/prepare/ui.sh
tests/prepare/window.sh
cargo build --quiet --release --locked --package berth-app --features berth-app/empty-window --example empty
# As it is packaged (installers/macos): optimized across all crates at once, which takes minutes and saves a tenth.
cargo rustc --quiet --release --locked --package berth-app --bin berth-app -- -C lto=fat
(cd ui && CARGO_TARGET_DIR=$(cd .. && pwd)/target NO_COLOR=1 BERTH_BENCH=1 ../tests/in-namespace.sh \
  node_modules/.bin/vitest run --config vitest.e2e.config.ts --silent=false --reporter default --disable-console-intercept)
