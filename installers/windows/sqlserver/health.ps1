# Healthy is who lets Windows' own administrator sign in and answers. Windows PowerShell 5.1.
$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'
if (-not (Test-Path -LiteralPath C:\berth\ready)) { exit 1 }
Add-Type -AssemblyName System.Data
$connection = New-Object -TypeName System.Data.SqlClient.SqlConnection -ArgumentList 'Server=lpc:(local);Integrated Security=SSPI;Connect Timeout=5;Application Name=Berth health'
try {
  $connection.Open()
  $command = $connection.CreateCommand()
  $command.CommandText = 'SELECT COUNT(*) FROM sys.databases WHERE database_id <= 4 AND state <> 0'
  if ([int]$command.ExecuteScalar() -ne 0) { exit 1 }
} catch { exit 1 } finally { $connection.Dispose() }
exit 0
