#!/usr/bin/env bash
# A virtual environment under .cache from one list of pinned packages; nothing happens when it is fresh.
# usage: python.sh NAME LIST
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=.cache/$1 list=$2
stamp=$venv/.stamp
if [ -x "$venv/bin/python3" ] && cmp -s "$list" "$stamp"; then exit 0; fi
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python3" -m pip install --quiet --disable-pip-version-check --no-input -r "$list"
cp "$list" "$stamp"
