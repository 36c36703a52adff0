#!/usr/bin/env bash
# What reads back what connection strings travel in: python-dotenv, PyYAML, Node's dotenv, dotenv-expand, Next.js' reader, yaml.
# (Shells, Ruby and jq come with the machine, PowerShell with the tools beside the repository.)
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/prepare/python.sh readers tests/readers/requirements.txt
lock=tests/readers/node/package-lock.json
if ! cmp -s "$lock" .cache/readers-node/.stamp; then
  mkdir -p .cache/readers-node
  cp tests/readers/node/{package.json,package-lock.json,.npmrc} .cache/readers-node/
  npm ci --prefix .cache/readers-node --silent --no-fund --no-audit --ignore-scripts
  cp "$lock" .cache/readers-node/.stamp
fi
