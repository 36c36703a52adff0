#!/usr/bin/env bash
# The drivers that Berth's connection strings are opened with: Microsoft's ODBC driver, tedious and mssql.
# (SqlClient comes with the tools beside the repository, FreeTDS with Debian, tiberius with Cargo.)
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/prepare/python.sh drivers tests/drivers/requirements.txt
# unixODBC finds a driver by its name, in this file; strings say `Driver={ODBC Driver 18 for SQL Server}`.
driver=$(find "$PWD/.cache/drivers" -name 'libmsodbcsql*' -path "*$(uname -m | sed 's/aarch64/arm64/')*" -type f | sort | head -n 1)
[ -n "$driver" ] || driver=$(find "$PWD/.cache/drivers" -name 'libmsodbcsql*' -type f | sort | head -n 1)
mkdir -p .cache/odbc
printf '[ODBC Driver 18 for SQL Server]\nDescription=Microsoft ODBC Driver 18 for SQL Server\nDriver=%s\n' "$driver" >.cache/odbc/odbcinst.ini

lock=tests/drivers/node/package-lock.json
if ! cmp -s "$lock" .cache/node/.stamp; then
  mkdir -p .cache/node
  cp tests/drivers/node/{package.json,package-lock.json,.npmrc} .cache/node/
  npm ci --prefix .cache/node --silent --no-fund --no-audit --ignore-scripts
  cp "$lock" .cache/node/.stamp
fi
