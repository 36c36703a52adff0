#!/usr/bin/env bash
# What takes too long for `make test`: every test that says so (`#[ignore = "soak: …"]`), then the end-to-end
# suites again and again until one fails. The argument is how often.
set -euo pipefail
cd "$(dirname "$0")/.."
passwords='binary(hostile_passwords) | binary(carriers)'
tests/suite.sh --workspace --profile soak --run-ignored ignored-only -E "not ($passwords)"
# Ten thousand for each format: what the optimizer takes it gives back many times.
tests/suite.sh -p berth-tests --test hostile_passwords --test carriers --cargo-profile soak --profile soak --run-ignored ignored-only
# New cases for every property each time: `make test` always draws the same.
tests/suite.sh --workspace --profile soak -E 'kind(lib)' --stress-count "${1:-10}"
BERTH_FUZZ_CASES=200000 tests/suite.sh --workspace --profile soak -E 'test(a_changed_file_never_makes_a_reader_fall_over)'
tests/suite.sh --workspace -E 'package(berth-tests)' --stress-count "${1:-10}"
