#!/usr/bin/env bash
# The window: types, lints, components; then built and driven in Chromium against the devhost and the practice host.
# Wants `cargo build` and tests/prepare/{machine,ui}.sh before it. Arguments are Vitest's, for the driven part.
set -euo pipefail
cd "$(dirname "$0")/../ui"
export PATH="$PWD/node_modules/.bin:$PATH" NO_COLOR=1
if [ $# -eq 0 ]; then
  said=$(svelte-check --tsconfig ./tsconfig.json --fail-on-warnings 2>&1) || { echo "$said" >&2; exit 1; }
  eslint . --max-warnings 0
  vitest run --reporter dot
fi
../tests/prepare/window.sh
# The app holds the window's files: one that is older would be driven around another page.
[ -n "${BERTH_SHOTS:-}" ] || [ ../target/debug/berth-app -nt dist/index.html ] || cargo build --quiet --locked --workspace --all-targets
runner=../tests/in-namespace.sh
[ "$(uname -s)" = Linux ] && $runner true 2>/dev/null || runner=env
if ! command -v chromium chromium-browser google-chrome >/dev/null 2>&1; then
  echo 'SKIPPED: the window in a browser (no Chromium)' >&2
  if [ "${BERTH_REQUIRE_RIG:-0}" = 1 ]; then exit 1; fi
  exit 0
fi
CARGO_TARGET_DIR=$(cd .. && pwd)/target $runner vitest run --config vitest.e2e.config.ts "$@"
