#!/usr/bin/env bash
# Some tests, in namespaces of their own where that works. Arguments are nextest's.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.cache/tools/bin:$PATH:/usr/sbin:/sbin"
command -v cargo-nextest >/dev/null 2>&1 || tests/prepare/tools.sh
if [ "$(uname -s)" = Linux ] && tests/in-namespace.sh true 2>/dev/null; then
  triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
  export "CARGO_TARGET_${triple}_RUNNER=$PWD/tests/in-namespace.sh"
fi
# The suites run the programs of this tree, which Cargo does not build for another package's tests: all of them, as another selection has other features.
case " $* " in
  *berth-tests* | *--workspace*) cargo build --quiet --workspace --bins ;;
esac
exec cargo nextest run "$@"
