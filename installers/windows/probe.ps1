# What Berth asks a Windows host before it uses it: one object, nothing is changed.
# Windows PowerShell 5.1. Travels in an encoded command of at most about 3,000 characters,
# so it asks only for what a host check shows; comments and indentation stay behind.
# What cannot be read is null, so that one locked-down corner never hides the rest.
function Ask([scriptblock]$Question) { try { & $Question } catch { $null } }
function Read-Service([string]$Name) {
  Ask { $s = Get-Service -Name $Name -ErrorAction Stop; @{ status = "$($s.Status)"; start = "$($s.StartType)" } }
}
$version = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
$os = Ask { Get-CimInstance -ClassName Win32_OperatingSystem }
$groups = Ask { whoami.exe /groups /fo csv /nh }
$file = "$env:ProgramFiles\docker\dockerd.exe"
$dockerd = Ask { (Get-Command -Name dockerd.exe -CommandType Application -ErrorAction Stop)[0].Source }
if (-not $dockerd -and (Test-Path -LiteralPath $file)) { $dockerd = $file }
[pscustomobject]@{
  v = 1
  product = $version.ProductName
  build = [int]$version.CurrentBuildNumber
  ubr = [int]$version.UBR
  installationType = $version.InstallationType
  arch = $env:PROCESSOR_ARCHITECTURE
  boot = Ask { $os.LastBootUpTime.ToUniversalTime().ToString('o') }
  now = [DateTime]::UtcNow.ToString('o')
  ramMB = [int]($os.TotalVisibleMemorySize / 1KB)
  freeRamMB = [int]($os.FreePhysicalMemory / 1KB)
  cpus = [int]$env:NUMBER_OF_PROCESSORS
  disks = @(Ask { Get-CimInstance -ClassName Win32_LogicalDisk -Filter 'DriveType=3' } | Where-Object { $_ } | ForEach-Object {
    @{ drive = $_.DeviceID; fs = $_.FileSystem; sizeMB = [int]($_.Size / 1MB); freeMB = [int]($_.FreeSpace / 1MB) }
  })
  # The integrity level, not the group's name, which is translated: high or system.
  admin = "$groups" -match 'S-1-16-(12288|16384)'
  user = Ask { "$(whoami.exe)" }
  services = @{ docker = Read-Service docker; sshd = Read-Service sshd }
  dockerd = $dockerd
  defaultShell = Ask { (Get-ItemProperty -Path HKLM:\SOFTWARE\OpenSSH -Name DefaultShell -ErrorAction Stop).DefaultShell }
  ps = "$($PSVersionTable.PSVersion)"
  languageMode = "$($ExecutionContext.SessionState.LanguageMode)"
}
