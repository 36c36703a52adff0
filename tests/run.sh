#!/usr/bin/env bash
# `make test`: everything that can be checked on this machine, in one run, on a machine that has only
# git, make, Cargo and Node. What is missing is fetched while Cargo compiles.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache target
export PATH="$PWD/.cache/tools/bin:$PATH:/usr/sbin:/sbin"
export CARGO_TERM_PROGRESS_WHEN=never
# A property's cases are the same in every run, so that what this says depends on the tree alone; `make soak` draws new ones.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-20260101}

step() { # what it is, the command
  local what=$1 began=$SECONDS
  shift
  if ! "$@"; then
    echo "FAILED: $what (\`$*\`)" >&2
    exit 1
  fi
  echo "ok: $what ($((SECONDS - began)) s)"
}

step 'what the compiler needs' tests/prepare/machine.sh compile
# Before the first compile: the app holds the window's files, and asks to be compiled anew when they change.
window_files() { tests/prepare/ui.sh && tests/prepare/window.sh; }
step 'the files of the window' window_files
prepare() {
  tests/prepare/machine.sh && tests/prepare/tools.sh && tests/prepare/drivers.sh && tests/prepare/readers.sh
}
prepare >.cache/prepare.log 2>&1 &
preparing=$!
trap 'kill $preparing 2>/dev/null || true' EXIT
prepared() {
  wait $preparing || { cat .cache/prepare.log >&2; return 1; }
  cat .cache/prepare.log
}

# Not `cargo fmt`, which does not see modules that a macro declares.
formatted() { git ls-files -z '*.rs' | xargs -0 rustfmt --edition 2024 --check; }
step 'format' formatted
step 'clippy' cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
# Libraries, programs and tests in one build: with one set of features, nothing is compiled twice.
step 'build' cargo build --quiet --workspace --all-targets --locked
step 'programs and drivers for the tests' prepared
if [ "$(uname -s)" = Linux ]; then step 'the image of the SQL engine' tests/prepare/sql-image.sh; fi
step 'dependencies' cargo deny --log-level error check bans licenses sources

runner=tests/in-namespace.sh
if [ "$(uname -s)" = Linux ] && $runner true 2>/dev/null; then
  triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
  export "CARGO_TARGET_${triple}_RUNNER=$PWD/$runner"
else
  echo 'SKIPPED: every test that needs namespaces or a Docker engine of its own (that takes Linux and root)'
fi
step 'examples in the documentation' cargo test --quiet --workspace --doc --locked

# Beside the suites: both wait more than they work, each in its own namespaces.
tests/ui.sh >.cache/ui.log 2>&1 &
window=$!

failed=0
cargo nextest run --workspace --locked --profile ci || failed=$?
if wait $window; then
  echo "ok: the window ($(grep -E '^ +Tests ' .cache/ui.log | tr -s ' ' | paste -sd, -))"
  grep -E 'instances: .* frames|^heap:|^first page:|SKIPPED' .cache/ui.log || true
else
  cat .cache/ui.log >&2
  echo 'FAILED: the window (`tests/ui.sh`)' >&2
  failed=1
fi

# A passing test's output is only in the report: what was skipped is read from there.
report=target/nextest/ci/junit.xml
grep -ho 'SKIPPED: [^<]*' "$report" 2>/dev/null | sort | uniq -c | sort -rn >target/skipped.log || true
skipped=$(awk '{ n += $1 } END { print n + 0 }' target/skipped.log)
# A killed engine leaves its empty control groups; nothing else of a test survives its namespaces.
find /sys/fs/cgroup -depth -type d -path '*/berth-tests/*' -exec rmdir {} + 2>/dev/null || true
if [ "$skipped" -gt 0 ]; then
  echo
  cat target/skipped.log
fi
echo "skipped parts: $skipped"
if [ "$failed" -ne 0 ]; then exit "$failed"; fi
if [ "$skipped" -gt 0 ] && [ "${BERTH_REQUIRE_RIG:-0}" = 1 ]; then
  echo 'here everything must run, so a skipped part is a failure' >&2
  exit 1
fi
