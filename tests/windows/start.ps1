# A container of Windows Server Core while SQL Server starts, runs and ends in it, as far as start.ps1 and health.ps1 call it.
# What happens meanwhile is in C:\play.txt, a line for each time that the script sleeps: log TEXT, anew TEXT, dies, stop, cut.
# START_FAULT: seed (robocopy cannot write), cut (the container ends while it copies), service (it does not come up).
# HEALTH: refused, offline; anything else is healthy.
$global:WorldLacks = @()
$global:Service = 'Stopped'
$global:Plays = @(if (Test-Path -LiteralPath C:\play.txt) { [IO.File]::ReadAllText('C:\play.txt') -split "`n" | Where-Object { $_ } })
$global:At = 0
class PlayedStop {
  static [bool]$Stopping = $false
  static [string]$Name = ''
  static [void] Install([string]$Service) { [PlayedStop]::Name = $Service }
}
class PlayedCommand {
  [string]$CommandText
  [object] ExecuteScalar() { if ($env:HEALTH -eq 'offline') { return 1 }; return 0 }
}
class PlayedConnection {
  PlayedConnection([string]$Text) { if ($Text -notmatch 'Integrated Security=SSPI') { throw 'no password may be in a check of health' } }
  [void] Open() { if ($env:HEALTH -eq 'refused') { throw 'Login failed' } }
  [object] CreateCommand() { return [PlayedCommand]::new() }
  [void] Dispose() { }
}
$names = [psobject].Assembly.GetType('System.Management.Automation.TypeAccelerators')
$names::Add('BerthStop', [PlayedStop])
$names::Add('System.Data.SqlClient.SqlConnection', [PlayedConnection])
# Its source is C#, which this engine does not compile; what it says is played above.
function On.Add-Type($given) { }

function Add-Log([string]$Text) {
  $file = New-Object -TypeName IO.FileStream -ArgumentList 'C:\data\ERRORLOG', 'Append', 'Write', 'ReadWrite, Delete'
  $bytes = [Text.Encoding]::Unicode.GetBytes("$Text`r`n")
  $file.Write($bytes, 0, $bytes.Length)
  $file.Dispose()
}
function Set-Log([string]$Text) {
  [IO.File]::WriteAllText('C:\data\ERRORLOG', "$Text`r`n", (New-Object -TypeName Text.UnicodeEncoding))
}
function Stop-Process-Hard { [Diagnostics.Process]::GetCurrentProcess().Kill(); [Threading.Thread]::Sleep(5000) }

function On.Get-Service($given) { [pscustomobject]@{ Name = "$($given.Name)"; Status = $global:Service; StartType = 'Manual' } }
function On.Start-Service($given) {
  Set-Log 'SQL Server is starting at normal priority base'
  if ($env:START_FAULT -eq 'service') { throw "Failed to start service 'SQL Server (MSSQLSERVER)'." }
  $global:Service = 'Running'
}
function On.Start-Sleep($given) {
  if ($global:At -ge $global:Plays.Count) { [Environment]::Exit(99) }
  $what, $text = $global:Plays[$global:At] -split ' ', 2
  $global:At++
  switch ($what) {
    'log' { Add-Log $text }
    'anew' { Set-Log $text }
    'dies' { $global:Service = 'Stopped' }
    # What the handler of the console's events does when the engine shuts the container down.
    'stop' { [PlayedStop]::Stopping = $true; $global:Service = 'Stopped' }
    'marked' { [IO.File]::WriteAllText('C:\berth\stopping', '1'); $global:Service = 'Stopped' }
    'look' { [Console]::Out.WriteLine("PLAYED ready=$(Test-Path -LiteralPath C:\berth\ready) service=$([PlayedStop]::Name)") }
  }
}
function robocopy.exe {
  [Console]::Out.WriteLine("PLAYED copying $($args[0]) to $($args[1])")
  if ($env:START_FAULT -eq 'seed') { $global:LASTEXITCODE = 16; return }
  $first = $true
  foreach ($file in Get-ChildItem -LiteralPath $args[0] -Recurse) {
    if ($file.PSIsContainer) { continue }
    $name = "$($file.FullName)".Replace('/', '\')
    $name = $name.Substring($name.IndexOf('\berth\seed') + 11)
    $to = "C:\data$name"
    $folder = $to.Substring(0, $to.LastIndexOf('\'))
    if (-not (Test-Path -LiteralPath $folder)) { [void](New-Item -ItemType Directory -Path $folder -Force) }
    [IO.File]::WriteAllText($to, [IO.File]::ReadAllText("C:\berth\seed$name"))
    if ($first -and $env:START_FAULT -eq 'cut') { Stop-Process-Hard }
    $first = $false
  }
  # One: files were copied.
  $global:LASTEXITCODE = 1
}
