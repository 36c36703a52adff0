#!/usr/bin/env bash
# What takes too long for `make test`: every test that says so (`#[ignore = "soak: …"]`), then the end-to-end
# suites again and again until one fails. The argument is how often.
set -euo pipefail
cd "$(dirname "$0")/.."
# Each fuzz target takes so many cases instead of its few.
export BERTH_FUZZ_CASES=200000
tests/suite.sh --workspace --profile soak --run-ignored ignored-only
tests/suite.sh -p berth-tests --stress-count "${1:-10}"
