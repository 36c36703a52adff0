#!/usr/bin/env bash
# The window's files, built where what they are made from is newer. The app holds them: it is compiled after this.
set -euo pipefail
cd "$(dirname "$0")/../../ui"
if [ -f dist/index.html ] && [ -z "$(find src index.html vite.config.ts svelte.config.js package-lock.json -newer dist/index.html -print -quit)" ]; then exit 0; fi
node_modules/.bin/vite build --logLevel error
