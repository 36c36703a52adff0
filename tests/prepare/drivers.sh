#!/usr/bin/env bash
# The drivers that Berth's connection strings are opened with: ODBC, Python's, Node's and Java's.
# (SqlClient comes with the tools beside the repository, FreeTDS with Debian, tiberius with Cargo.)
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/prepare/python.sh drivers tests/drivers/requirements.txt
# unixODBC finds a driver by its name, in this file; strings say `Driver={ODBC Driver 18 for SQL Server}`.
driver=$(find "$PWD/.cache/drivers" -name 'libmsodbcsql*' -path "*$(uname -m | sed 's/aarch64/arm64/')*" -type f | sort | head -n 1)
[ -n "$driver" ] || driver=$(find "$PWD/.cache/drivers" -name 'libmsodbcsql*' -type f | sort | head -n 1)
mkdir -p .cache/odbc
printf '[ODBC Driver 18 for SQL Server]\nDescription=Microsoft ODBC Driver 18 for SQL Server\nDriver=%s\n' "$driver" >.cache/odbc/odbcinst.ini
# FreeTDS' driver under the name that its packages suggest.
freetds=$(find /usr/lib /opt/homebrew/lib /usr/local/lib -name 'libtdsodbc.so' 2>/dev/null | head -n 1 || true)
[ -z "$freetds" ] || printf '\n[FreeTDS]\nDescription=FreeTDS\nDriver=%s\n' "$freetds" >>.cache/odbc/odbcinst.ini

# Microsoft's JDBC driver 13.2.1 is published with Java's tools only, and inside of this package (without what that one wants).
jdbc=atoti-server-directquery-mssql==0.9.16
if [ "$(cat .cache/jdbc/.stamp 2>/dev/null)" != "$jdbc" ]; then
  rm -rf .cache/jdbc
  .cache/drivers/bin/python3 -m pip install --quiet --disable-pip-version-check --no-input --no-deps --target .cache/jdbc "$jdbc"
  cp .cache/jdbc/_atoti_server_directquery_mssql/__resources__/plugin.jar .cache/jdbc/mssql-jdbc.jar
  echo "$jdbc" >.cache/jdbc/.stamp
fi

lock=tests/drivers/node/package-lock.json
if ! cmp -s "$lock" .cache/node/.stamp; then
  mkdir -p .cache/node
  cp tests/drivers/node/{package.json,package-lock.json,.npmrc} .cache/node/
  npm ci --prefix .cache/node --silent --no-fund --no-audit --ignore-scripts
  cp "$lock" .cache/node/.stamp
fi
