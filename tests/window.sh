#!/usr/bin/env bash
# Builds the window and serves it to a browser on this machine; prints the address.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/prepare/ui.sh
tests/prepare/window.sh
cargo build --quiet --locked -p berth-cli -p berth-devhost
echo 'The window is at the address below. Ctrl-C ends it; instances and their ports stay with the agent.' >&2
exec target/debug/berth-devhost
