#!/usr/bin/env bash
# The example for xUnit of docs/automation.md, as a reader would try it: needs the .NET SDK and its packages, so the public workflow runs it.
# usage: xunit.sh BERTH    the built command
set -euo pipefail
berth=$(realpath "$1")
page=$(realpath "$(dirname "$0")/../docs/automation.md")
folder=$(mktemp -d)
export BERTH_HOME="$folder/berth" DBUS_SESSION_BUS_ADDRESS="unix:path=$folder/no-bus" DOTNET_CLI_TELEMETRY_OPTOUT=1
trap '"$berth" agent stop --force >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
mkdir "$folder/tests"
cd "$folder/tests"
dotnet new xunit --output . >/dev/null
rm -f UnitTest1.cs
dotnet add package Microsoft.Data.SqlClient >/dev/null
{
  echo 'using Microsoft.Data.SqlClient;'
  sed -n '/^```csharp$/,/^```$/{//!p}' "$page"
} >Orders.cs
grep -q AnOrderIsKept Orders.cs
"$berth" run --host practice --database app -- dotnet test | tee said
grep -Eq 'Passed: +1' said
