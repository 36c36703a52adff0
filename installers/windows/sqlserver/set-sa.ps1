# Gives sa the password that comes on the standard input, signed in as Windows. Windows PowerShell 5.1.
# It is in no argument, variable, file or log, and no start of the container touches it again.
$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'
Add-Type -AssemblyName System.Data
try {
  $given = [Console]::In.ReadLine()
  if (-not $given -or $given.Length -gt 128) { throw 'no password of 1 to 128 characters came on the standard input' }
  $connection = New-Object -TypeName System.Data.SqlClient.SqlConnection -ArgumentList 'Server=lpc:(local);Integrated Security=SSPI;Connect Timeout=15;Application Name=Berth'
  try {
    $connection.Open()
    $command = $connection.CreateCommand()
    $command.CommandText = "DECLARE @s nvarchar(max) = N'ALTER LOGIN [sa] WITH PASSWORD = ' + QUOTENAME(@p, '''') + N', CHECK_POLICY = OFF; ALTER LOGIN [sa] ENABLE'; EXEC (@s)"
    $command.CommandTimeout = 60
    [void]$command.Parameters.AddWithValue('@p', $given)
    [void]$command.ExecuteNonQuery()
  } finally { $connection.Dispose() }
  [Console]::Out.WriteLine('BERTH-JSON:{"ok":true}')
  exit 0
} catch {
  [Console]::Out.WriteLine('BERTH-ERR:' + (ConvertTo-Json -Compress -InputObject @{ m = "$($_.Exception.Message)" }))
  exit 1
}
