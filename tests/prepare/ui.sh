#!/usr/bin/env bash
# What the window is built and checked with, from its lock file.
set -euo pipefail
cd "$(dirname "$0")/../../ui"
if cmp -s package-lock.json node_modules/.stamp; then exit 0; fi
npm ci --silent --no-fund --no-audit --ignore-scripts
cp package-lock.json node_modules/.stamp
