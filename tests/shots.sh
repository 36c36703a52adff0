#!/usr/bin/env bash
# A picture of each screen, in light and dark, into target/shots.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/prepare/machine.sh >&2
tests/prepare/ui.sh
cargo build --quiet --locked -p berth-cli -p berth-devhost
BERTH_SHOTS=1 exec tests/ui.sh --silent=false
