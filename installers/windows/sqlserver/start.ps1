# Starts SQL Server in its container, and ends with it. Windows PowerShell 5.1.
# Exit codes: 64 licence not accepted, 65 data could not be put in place, 66 data of another version,
# 67 the service does not come up, 70 the service ended by itself.
$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'
function Log([string]$What) { [Console]::Out.WriteLine(('{0} berth: {1}' -f [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ'), $What)) }
function Read-Json([string]$Path) { ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($Path)) }
function Save-Text([string]$Path, [string]$Text) { [IO.File]::WriteAllText($Path, $Text, (New-Object -TypeName Text.UTF8Encoding -ArgumentList $false)) }
function Read-Build([string]$Text) { [version]($Text -replace '[^\d\.].*$', '') }
if ("$env:ACCEPT_EULA" -notmatch '^(?i:y|yes|1)$') { Log 'ERROR the licence terms are not accepted: set ACCEPT_EULA=Y'; exit 64 }
Remove-Item -Path C:\berth\ready, C:\berth\stopping -Force -ErrorAction SilentlyContinue
$image = Read-Json C:\berth\image.json
$mark = 'C:\data\.berth.json'
$busy = 'C:\data\.berth-seeding'
if (Test-Path -LiteralPath $mark) {
  $old = Read-Json $mark
  if ($old.major -ne $image.major) { Log "ERROR the data is of SQL Server major version $($old.major), and this is $($image.major)"; exit 66 }
  if ((Read-Build $old.build) -gt (Read-Build $image.build)) { Log "ERROR the data was last used by the newer build $($old.build)"; exit 66 }
}
# The marker is there for as long as the copy is not whole: a container that ended in the middle begins it again.
if ((Test-Path -LiteralPath $busy) -or -not (Test-Path -LiteralPath $image.master)) {
  if ((Test-Path -LiteralPath $mark) -and -not (Test-Path -LiteralPath $busy)) { Log 'ERROR the data was used before and its master database is gone'; exit 65 }
  [void](New-Item -ItemType Directory -Force -Path C:\data)
  Save-Text $busy '1'
  Log 'putting the system databases in place'
  robocopy.exe C:\berth\seed C:\data /E /COPY:DAT /R:3 /W:2 /NFL /NDL /NJH /NJS | Out-Null
  if ($LASTEXITCODE -ge 8) { Log "ERROR the system databases could not be copied ($LASTEXITCODE)"; exit 65 }
  Remove-Item -LiteralPath $busy -Force
}
[void](New-Item -ItemType Directory -Force -Path C:\data\user, C:\data\backup)
Add-Type -ReferencedAssemblies System.ServiceProcess -TypeDefinition @'
using System;
using System.Runtime.InteropServices;
using System.ServiceProcess;
public static class BerthStop {
  public delegate bool Handler(uint kind);
  [DllImport("kernel32.dll")] static extern bool SetConsoleCtrlHandler(Handler handler, bool add);
  static Handler keep;
  static string name;
  public static volatile bool Stopping;
  public static void Install(string service) { name = service; keep = new Handler(On); SetConsoleCtrlHandler(keep, true); }
  static bool On(uint kind) {
    Stopping = true;
    try {
      var service = new ServiceController(name);
      if (service.Status != ServiceControllerStatus.Stopped) { service.Stop(); service.WaitForStatus(ServiceControllerStatus.Stopped, TimeSpan.FromSeconds(110)); }
      Console.Out.WriteLine("berth: stopped");
    } catch (Exception e) { Console.Out.WriteLine("berth: the service could not be stopped: " + e.Message); }
    Console.Out.Flush();
    return true;
  }
}
'@
[BerthStop]::Install($image.service)
Log "starting SQL Server $($image.build)"
try { Start-Service -Name $image.service } catch {
  Log "ERROR SQL Server did not start: $($_.Exception.Message)"
  if (Test-Path -LiteralPath $image.errorlog) { Get-Content -LiteralPath $image.errorlog -Encoding Unicode -Tail 80 | ForEach-Object { [Console]::Out.WriteLine($_) } }
  exit 67
}
Save-Text $mark (ConvertTo-Json -InputObject @{ major = $image.major; build = $image.build })
Save-Text C:\berth\ready '1'
Log 'the service runs'
# SQL Server's own log, UTF-16, to the container's; it may begin anew.
$position = 0L
$alone = 0
while ($true) {
  if ("$((Get-Service -Name $image.service).Status)" -eq 'Stopped') {
    Remove-Item -Path C:\berth\ready -Force -ErrorAction SilentlyContinue
    # Whoever stops the container ends this process: an end by itself would be started again.
    if ([BerthStop]::Stopping) { Start-Sleep -Seconds 5; continue }
    if (Test-Path -LiteralPath C:\berth\stopping) {
      $alone += 1
      if ($alone -le 6) { Start-Sleep -Seconds 5; continue }
      # Nobody did, in 30 s: who stopped the service is gone, and without it the container would run and answer nobody, for ever.
      Log 'nobody stopped the container: the service starts again'
      $alone = 0
      Remove-Item -Path C:\berth\stopping -Force
      Start-Service -Name $image.service
      Save-Text C:\berth\ready '1'
      continue
    }
    Log 'ERROR the service ended by itself'
    exit 70
  }
  try {
    $file = New-Object -TypeName IO.FileStream -ArgumentList $image.errorlog, 'Open', 'Read', 'ReadWrite, Delete'
    try {
      if ($file.Length -lt $position) { $position = 0L }
      $length = [int][Math]::Min(1MB, $file.Length - $position)
      $length -= $length % 2
      if ($length -gt 0) {
        [void]$file.Seek($position, 'Begin')
        $bytes = New-Object -TypeName byte[] -ArgumentList $length
        $read = $file.Read($bytes, 0, $length)
        $read -= $read % 2
        $position += $read
        [Console]::Out.Write([Text.Encoding]::Unicode.GetString($bytes, 0, $read).TrimStart([char]0xFEFF))
      }
    } finally { $file.Dispose() }
  } catch { [void]$_ }
  Start-Sleep -Milliseconds 1000
}
