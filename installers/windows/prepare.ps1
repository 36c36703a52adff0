# Makes a Windows machine a container host, one step at a time, and looks at how far it is.
# Windows PowerShell 5.1; ASCII only, since it is also read as a file without a byte order mark.
#
# Berth sends this text and finds in $given what is asked:
#   do    look     everything that a plan needs, nothing is changed
#         apply    one step, here and now
#         start    one step, as SYSTEM in a scheduled task: it outlives the connection and a restart
#         restart  the machine
#         undo     takes back what a step changed, and only that
#         task     what that scheduled task does
#   step  the step's name
#   want  what it needs: key, engine, daemon, tls
# $itself is this text, for the scheduled task.
# What a step changes is written down in changes.json before it is changed.
$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'
$berth = "$env:ProgramData\Berth"
$engine = "$env:ProgramFiles\docker"
$daemonFile = "$env:ProgramData\docker\config\daemon.json"
$keyFile = "$env:ProgramData\ssh\administrators_authorized_keys"
$sshdFile = "$env:ProgramData\ssh\sshd_config"
$sectorKey = 'HKLM:\SYSTEM\CurrentControlSet\Services\stornvme\Parameters\Device'
# The certificates of the engine's own listener. ca.pem is written last and removed first: without it none counts.
$tls = "$berth\tls"
$taskName = 'BerthWork'
$rule = 'OpenSSH-Server-In-TCP'

# Null where there is no answer. Said outright: nothing at all would become {} in the JSON.
function Ask([scriptblock]$Question) {
  try { $answer = & $Question } catch { $answer = $null }
  if ($null -eq $answer) { $null } else { $answer }
}
function Read-Text([string]$Path) { if (Test-Path -LiteralPath $Path -PathType Leaf) { [IO.File]::ReadAllText($Path) } else { $null } }
# Whole or not at all, UTF-8 without a byte order mark.
function Save-Text([string]$Path, [string]$Text) {
  $new = "$Path.new"
  [IO.File]::WriteAllText($new, $Text, (New-Object -TypeName Text.UTF8Encoding -ArgumentList $false))
  Move-Item -LiteralPath $new -Destination $Path -Force
}
function Read-Json([string]$Path) { Ask { $text = Read-Text $Path; if ($text) { ConvertFrom-Json -InputObject $text } } }
function Read-Service([string]$Name) {
  Ask { $s = Get-Service -Name $Name -ErrorAction Stop; @{ status = "$($s.Status)"; start = "$($s.StartType)" } }
}
# A program's exit code and what it said. Its errors are text here, not failures of this script.
function Invoke-Program([string]$File, [string[]]$With) {
  $ErrorActionPreference = 'Continue'
  $global:LASTEXITCODE = 0
  $said = @(& $File @With 2>&1 | ForEach-Object { "$_" })
  @{ code = $LASTEXITCODE; text = ($said -join "`n") }
}
function Assert-Program([string]$What, [string]$File, [string[]]$With) {
  $ran = Invoke-Program $File $With
  if ($ran.code -ne 0) { throw "$What ended with $($ran.code): $($ran.text)" }
  $ran.text
}
# Owner, and whether anybody but Administrators and SYSTEM may do anything with it.
function Read-Owner([string]$Path) {
  $sddl = (Get-Acl -LiteralPath $Path).Sddl
  $who = @([regex]::Matches($sddl, '\(A;[^;]*;[^;]*;[^;]*;[^;]*;([^;)]+)') | ForEach-Object { $_.Groups[1].Value } | Where-Object { 'SY', 'BA', 'S-1-5-18', 'S-1-5-32-544' -notcontains $_ })
  @{ owner = [regex]::Match($sddl, '^O:(.+?)(?=G:|D:|S:|$)').Groups[1].Value; private = ($who.Count -eq 0 -and $sddl -match 'D:P') }
}
function Set-Private([string]$Path, [string]$Flags) {
  $acl = Get-Acl -LiteralPath $Path
  $acl.SetSecurityDescriptorSddlForm("O:BAD:P(A;$Flags;FA;;;SY)(A;$Flags;FA;;;BA)")
  Set-Acl -LiteralPath $Path -AclObject $acl
}
# sshd reads neither UTF-16 nor a byte order mark: a file that begins with one holds no key for it.
function Test-Mark([string]$Path) {
  $bytes = Ask { if (Test-Path -LiteralPath $Path -PathType Leaf) { [IO.File]::ReadAllBytes($Path) } }
  [bool]($bytes -and @($bytes).Count -ge 2 -and (0xEF, 0xFE, 0xFF) -contains @($bytes)[0])
}
# What was there before a step changed it. The first word stays: a second try must not take our own change for the user's.
function Save-Before([string]$Step, $Before) {
  $all = @{}
  $now = Read-Json "$berth\changes.json"
  if ($now) { $now.PSObject.Properties | ForEach-Object { $all[$_.Name] = $_.Value } }
  if (-not $all.ContainsKey($Step)) {
    $all[$Step] = $Before
    Save-Text "$berth\changes.json" (ConvertTo-Json -InputObject $all -Depth 6 -Compress)
  }
}
# The same where our own change follows an earlier one of ours.
function Save-Again([string]$Step, $Before) {
  $all = @{}
  (Read-Json "$berth\changes.json").PSObject.Properties | ForEach-Object { $all[$_.Name] = $_.Value }
  $all[$Step] = $Before
  Save-Text "$berth\changes.json" (ConvertTo-Json -InputObject $all -Depth 6 -Compress)
}
function Remove-Before([string]$Step) {
  $all = @{}
  $now = Read-Json "$berth\changes.json"
  if ($now) { $now.PSObject.Properties | Where-Object { $_.Name -ne $Step } | ForEach-Object { $all[$_.Name] = $_.Value } }
  Save-Text "$berth\changes.json" (ConvertTo-Json -InputObject $all -Depth 6 -Compress)
}
function Read-Before([string]$Step) {
  $now = Read-Json "$berth\changes.json"
  if ($now -and @($now.PSObject.Properties | ForEach-Object { $_.Name }) -contains $Step) { $now.$Step }
}

function Find-Dockerd {
  if (Test-Path -LiteralPath "$engine\dockerd.exe") { return "$engine\dockerd.exe" }
  Ask { @(Get-Command -Name dockerd.exe -CommandType Application -ErrorAction Stop)[0].Source }
}
# The client beside the engine; a machine that Berth did not prepare may have it elsewhere.
function Find-Docker {
  foreach ($file in "$engine\docker.exe", "$berth\docker.exe") { if (Test-Path -LiteralPath $file) { return $file } }
  Ask { @(Get-Command -Name docker.exe -CommandType Application -ErrorAction Stop)[0].Source }
}
function Read-EngineVersion {
  $file = Find-Docker
  $ran = Ask { if ($file) { Invoke-Program $file @('version', '--format', '{{.Server.Version}}') } }
  if ($ran -and $ran.code -eq 0) { $ran.text.Trim() } else { $null }
}
function Read-Rule {
  Ask { $r = Get-NetFirewallRule -Name $rule -ErrorAction Stop; @{ enabled = "$($r.Enabled)"; profile = "$($r.Profile)"; group = "$($r.Group)" } }
}
function Read-Forced {
  Ask { @((Get-ItemProperty -Path $sectorKey -Name ForcedPhysicalSectorSizeInBytes -ErrorAction Stop).ForcedPhysicalSectorSizeInBytes) }
}
function Read-Pending {
  $servicing = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending'
  $update = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired'
  $all = @()
  if (Test-Path -Path $servicing) { $all += 'features or updates' }
  if (Test-Path -Path $update) { $all += 'Windows Update' }
  ,$all
}

function Get-Look {
  $version = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
  $os = Ask { Get-CimInstance -ClassName Win32_OperatingSystem }
  $disk = Ask { Get-CimInstance -ClassName Win32_LogicalDisk -Filter 'DriveType=3' | Where-Object { $_.DeviceID -eq $env:SystemDrive } }
  $groups = Ask { whoami.exe /groups /fo csv /nh }
  $sectors = Ask { [regex]::Matches(((Invoke-Program 'fsutil.exe' @('fsinfo', 'sectorinfo', 'C:')).text), '(?m):\s+(\d+)\s*$') | ForEach-Object { [int]$_.Groups[1].Value } | Sort-Object -Descending | Select-Object -First 1 }
  $folder = Ask { if (Test-Path -LiteralPath $berth) { Read-Owner $berth } }
  $keys = @(Ask { @("$(Read-Text $keyFile)" -split "`r?`n") })
  $ipv6 = Ask { (Get-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters' -Name DisabledComponents -ErrorAction Stop).DisabledComponents }
  $dockerd = Find-Dockerd
  $answers = Read-EngineVersion
  $bytes = Ask { if (Test-Path -LiteralPath $daemonFile) { [IO.File]::ReadAllBytes($daemonFile) } }
  @{
    v = 1
    product = $version.ProductName
    build = [int]$version.CurrentBuildNumber
    ubr = [int]$version.UBR
    installationType = $version.InstallationType
    arch = $env:PROCESSOR_ARCHITECTURE
    ps = "$($PSVersionTable.PSVersion)"
    languageMode = "$($ExecutionContext.SessionState.LanguageMode)"
    admin = "$groups" -match 'S-1-16-(12288|16384)'
    user = Ask { "$(whoami.exe)" }
    boot = Ask { $os.LastBootUpTime.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ') }
    ramMB = [int]($os.TotalVisibleMemorySize / 1KB)
    freeMB = [int]($disk.FreeSpace / 1MB)
    fs = $disk.FileSystem
    folder = $folder
    sshd = Read-Service sshd
    firewall = Read-Rule
    key = @{ there = [bool]($given.want.key -and $keys -contains $given.want.key); private = [bool](Ask { (Read-Owner $keyFile).private }); mark = (Test-Mark $keyFile) }
    sshdConfig = Read-Text $sshdFile
    sector = @{ largest = $sectors; forced = ((Read-Forced) -contains '* 4095') }
    feature = Ask { "$((Get-WindowsOptionalFeature -Online -FeatureName Containers -ErrorAction Stop).State)" }
    pending = Read-Pending
    engine = @{
      service = Read-Service docker
      path = Ask { (Get-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\docker' -Name ImagePath -ErrorAction Stop).ImagePath }
      dockerd = $dockerd
      version = Ask { if ($dockerd) { (Invoke-Program $dockerd @('--version')).text.Trim() } }
      answers = $answers
      ours = [bool](Read-Before 'engine')
      installed = Read-Text "$berth\engine.txt"
      said = @(Ask { if (-not $answers -and (Read-Service docker)) { Get-WinEvent -FilterHashtable @{ LogName = 'Application'; ProviderName = 'docker'; Level = 1, 2 } -MaxEvents 5 -ErrorAction Stop | ForEach-Object { $_.Message } } } | Where-Object { $_ })
    }
    tls = @{
      folder = $tls
      ca = Read-Text "$tls\ca.pem"
      cert = Read-Text "$tls\cert.pem"
      private = [bool](Ask { (Read-Owner $tls).private })
      fresh = (Test-Path -LiteralPath "$tls\fresh.txt")
    }
    daemon = Read-Text $daemonFile
    daemonMark = ($bytes -and $bytes.Length -ge 3 -and $bytes[0] -eq 0xEF -and $bytes[1] -eq 0xBB -and $bytes[2] -eq 0xBF) -eq $true
    network = @{
      hns = Read-Service hns
      vmcompute = Read-Service vmcompute
      ipv6off = ($ipv6 -eq 255)
      nat = Ask { if ($answers) { (Invoke-Program (Find-Docker) @('network', 'ls', '--filter', 'driver=nat', '--format', '{{.Name}}')).text.Trim() -ne '' } }
    }
    changes = @(Ask { (Read-Json "$berth\changes.json").PSObject.Properties | ForEach-Object { $_.Name } } | Where-Object { $_ } | Sort-Object)
    work = Read-Json "$berth\state.json"
    task = Ask { "$((Get-ScheduledTask -TaskName $taskName -ErrorAction Stop).State)" }
  }
}

function Install-Engine {
  $want = $given.want.engine
  $new = "$berth\engine"
  $zip = "$berth\docker-$($want.version).zip"
  Save-Before 'engine' @{ made = $true }
  if (-not (Test-Path -LiteralPath $zip)) {
    Write-State 'running' "Downloading $($want.url)"
    [void](Assert-Program 'The download' 'curl.exe' @('-fsSL', '--retry', '5', '--retry-delay', '3', '-o', "$zip.part", $want.url))
    Move-Item -LiteralPath "$zip.part" -Destination $zip -Force
  }
  if ($want.sha256) {
    $is = (Get-FileHash -LiteralPath $zip -Algorithm SHA256).Hash
    if ($is -ne $want.sha256) {
      Remove-Item -LiteralPath $zip -Force
      throw "hash: the downloaded engine has the SHA-256 $is, not $($want.sha256)"
    }
  }
  Write-State 'running' 'Unpacking the engine'
  if (Test-Path -LiteralPath $new) { Remove-Item -LiteralPath $new -Recurse -Force }
  Expand-Archive -Path $zip -DestinationPath $new -Force
  # Nothing is run, and nothing is put in its place, before its publisher is known.
  foreach ($name in 'docker.exe', 'dockerd.exe') {
    $signed = Get-AuthenticodeSignature -FilePath "$new\docker\$name"
    if ("$($signed.Status)" -ne 'Valid' -or "$($signed.SignerCertificate.Subject)" -notmatch 'O="?Docker,? Inc') {
      Remove-Item -LiteralPath $zip -Force
      throw "signature: $name is not signed by Docker Inc ($($signed.Status), $($signed.SignerCertificate.Subject))"
    }
  }
  Write-State 'running' 'Putting the engine in its place'
  if (-not (Test-Path -LiteralPath $engine)) { [void](New-Item -ItemType Directory -Path $engine -Force) }
  foreach ($name in 'docker.exe', 'dockerd.exe') { Copy-Item -LiteralPath "$new\docker\$name" -Destination "$engine\$name" -Force }
  Copy-Item -LiteralPath "$new\docker\docker.exe" -Destination "$berth\docker.exe" -Force
  $path = [Environment]::GetEnvironmentVariable('Path', 'Machine')
  if (($path -split ';') -notcontains $engine) { [Environment]::SetEnvironmentVariable('Path', "$path;$engine", 'Machine') }
  # Last: what is not all there is put there again.
  Save-Text "$berth\engine.txt" $want.version
  Remove-Item -LiteralPath $new -Recurse -Force
  Remove-Item -LiteralPath $zip -Force
}

function Start-Engine {
  $want = $given.want.daemon
  if ($want) {
    # Only over what the plan saw: a change made meanwhile is the user's.
    if ((Read-Text $daemonFile) -ne $want.was) { throw "daemon: $daemonFile was changed after the plan was made" }
    # A second change of ours follows the first: what the user had is still what it was before that.
    $before = Read-Before 'daemon'
    if ($before -and (Read-Text $daemonFile) -eq $before.wrote) { Save-Again 'daemon' @{ text = $before.text; wrote = $want.text } }
    else { Save-Before 'daemon' @{ text = $want.was; wrote = $want.text } }
    if (-not (Test-Path -LiteralPath "$env:ProgramData\docker\config")) { [void](New-Item -ItemType Directory -Path "$env:ProgramData\docker\config" -Force) }
    Save-Text $daemonFile $want.text
  }
  # Settings and certificates are read when the engine starts.
  $again = $want -or (Test-Path -LiteralPath "$tls\fresh.txt")
  if (-not (Read-Service docker)) {
    Save-Before 'service' @{ made = $true }
    [void](Assert-Program 'dockerd --register-service' (Find-Dockerd) @('--register-service'))
  } elseif ($again -and (Read-Service docker).status -eq 'Running') {
    Restart-Service -Name docker -Force
  }
  Set-Service -Name docker -StartupType Automatic
  if ((Read-Service docker).status -ne 'Running') { Start-Service -Name docker }
  foreach ($n in 1..60) {
    if (Read-EngineVersion) {
      if (Test-Path -LiteralPath "$tls\fresh.txt") { Remove-Item -LiteralPath "$tls\fresh.txt" -Force }
      return
    }
    Start-Sleep -Seconds 2
  }
  $log = Ask { @(Get-WinEvent -FilterHashtable @{ LogName = 'Application'; ProviderName = 'docker' } -MaxEvents 5 -ErrorAction Stop | ForEach-Object { $_.Message }) -join ' / ' }
  throw "engine: the service docker is $((Read-Service docker).status) and does not answer. $log"
}

# Each file closed before it holds anything: its folder is. Fresh until the engine was started with them.
function Save-Certificates($Want) {
  Save-Before 'tls' @{ made = $true }
  if (-not (Test-Path -LiteralPath $tls)) { [void](New-Item -ItemType Directory -Path $tls -Force) }
  Set-Private $tls 'OICI'
  Save-Text "$tls\fresh.txt" ''
  if (Test-Path -LiteralPath "$tls\ca.pem") { Remove-Item -LiteralPath "$tls\ca.pem" -Force }
  Save-Text "$tls\key.pem" $Want.key
  Save-Text "$tls\cert.pem" $Want.cert
  Save-Text "$tls\ca.pem" $Want.ca
}

function Invoke-Step([string]$Step) {
  switch ($Step) {
    'folder' {
      if (-not (Test-Path -LiteralPath $berth)) { [void](New-Item -ItemType Directory -Path $berth -Force) }
      Set-Private $berth 'OICI'
      if (-not (Test-Path -LiteralPath "$berth\changes.json")) { Save-Text "$berth\changes.json" '{}' }
    }
    'sshd' {
      Save-Before 'sshd' @{ start = (Read-Service sshd).start }
      Set-Service -Name sshd -StartupType Automatic
    }
    'firewall' {
      $now = Read-Rule
      Save-Before 'firewall' @{ was = $now }
      if ($now) { Set-NetFirewallRule -Name $rule -Enabled True -Profile Any }
      else { [void](New-NetFirewallRule -Name $rule -DisplayName 'OpenSSH Server (sshd)' -Group 'Berth' -Enabled True -Direction Inbound -Protocol TCP -Action Allow -LocalPort 22 -Profile Any) }
    }
    'key' {
      $line = $given.want.key
      $text = "$(Read-Text $keyFile)"
      if (@($text -split "`r?`n") -notcontains $line) {
        Save-Before 'key' @{ line = $line }
        if ($text -and -not $text.EndsWith("`n")) { $text += "`n" }
        Save-Text $keyFile "$text$line`n"
      } elseif (Test-Mark $keyFile) { Save-Text $keyFile $text }
      Set-Private $keyFile ''
    }
    'sector' {
      Save-Before 'sector' @{ was = Read-Forced }
      if (-not (Test-Path -Path $sectorKey)) { [void](New-Item -Path $sectorKey -Force) }
      [void](New-ItemProperty -Path $sectorKey -Name ForcedPhysicalSectorSizeInBytes -PropertyType MultiString -Force -Value '* 4095')
    }
    'feature' {
      Save-Before 'feature' @{ was = "$((Get-WindowsOptionalFeature -Online -FeatureName Containers).State)" }
      Write-State 'running' 'Windows is adding its Containers feature'
      [void](Enable-WindowsOptionalFeature -Online -FeatureName Containers -All -NoRestart -WarningAction SilentlyContinue)
    }
    'engine' { Install-Engine }
    'tls' { Save-Certificates $given.want.tls }
    'daemon' { Start-Engine }
    'network' {
      if ((Read-Service hns).status -ne 'Running') { Start-Service -Name hns } else { Restart-Service -Name hns -Force }
      Restart-Service -Name docker -Force
    }
    default { throw "There is no step $Step" }
  }
}

function Undo-Step([string]$Step) {
  $before = Read-Before $Step
  if ($null -eq $before -and $Step -ne 'folder') { return }
  switch ($Step) {
    'sshd' { if ($before.start -eq 'Manual' -or $before.start -eq 'Disabled') { Set-Service -Name sshd -StartupType Manual } }
    'firewall' {
      if (-not $before.was) { Get-NetFirewallRule -Name $rule -ErrorAction SilentlyContinue | Where-Object { $_.Group -eq 'Berth' } | Remove-NetFirewallRule }
      else { Set-NetFirewallRule -Name $rule -Enabled $before.was.enabled -Profile $before.was.profile }
    }
    'key' {
      $kept = @("$(Read-Text $keyFile)" -split "`r?`n" | Where-Object { $_ -and $_ -ne $before.line })
      Save-Text $keyFile (($kept | ForEach-Object { "$_`n" }) -join '')
      Set-Private $keyFile ''
    }
    'sector' {
      if ($before.was) { Set-ItemProperty -Path $sectorKey -Name ForcedPhysicalSectorSizeInBytes -Value @($before.was) }
      else { Ask { Remove-ItemProperty -Path $sectorKey -Name ForcedPhysicalSectorSizeInBytes -Force } }
    }
    'feature' { if ($before.was -ne 'Enabled') { [void](Disable-WindowsOptionalFeature -Online -FeatureName Containers -NoRestart -WarningAction SilentlyContinue) } }
    'service' {
      if (Read-Service docker) {
        Stop-Service -Name docker -Force
        [void](Assert-Program 'dockerd --unregister-service' (Find-Dockerd) @('--unregister-service'))
      }
    }
    'daemon' {
      # What somebody wrote there since is theirs; of that only our listener goes, whose certificates go too.
      $now = Read-Text $daemonFile
      $less = $given.want.daemon
      if ($now -eq $before.wrote) {
        if ($null -eq $before.text) { Remove-Item -LiteralPath $daemonFile -Force } else { Save-Text $daemonFile $before.text }
        if ((Read-Service docker).status -eq 'Running') { Restart-Service -Name docker -Force }
      } elseif ($less) {
        if ($now -ne $less.was) { throw "daemon: $daemonFile was changed meanwhile" }
        Save-Text $daemonFile $less.text
        if ((Read-Service docker).status -eq 'Running') { Restart-Service -Name docker -Force }
      }
    }
    'tls' { if (Test-Path -LiteralPath $tls) { Remove-Item -LiteralPath $tls -Recurse -Force } }
    'engine' {
      foreach ($file in "$engine\docker.exe", "$engine\dockerd.exe", "$berth\docker.exe") { if (Test-Path -LiteralPath $file) { Remove-Item -LiteralPath $file -Force } }
      if ((Test-Path -LiteralPath $engine) -and @(Get-ChildItem -LiteralPath $engine).Count -eq 0) { Remove-Item -LiteralPath $engine -Force }
      $path = [Environment]::GetEnvironmentVariable('Path', 'Machine')
      [Environment]::SetEnvironmentVariable('Path', (@($path -split ';' | Where-Object { $_ -and $_ -ne $engine }) -join ';'), 'Machine')
    }
    'folder' { if (Test-Path -LiteralPath $berth) { Remove-Item -LiteralPath $berth -Recurse -Force }; return }
    default { throw "There is no step $Step" }
  }
  Remove-Before $Step
}

# How far the scheduled task is; outside of it there is nobody to tell.
$script:state = $null
function Write-State([string]$Phase, [string]$Message) {
  if (-not $script:state) { return }
  $script:state.phase = $Phase
  $script:state.message = $Message
  $script:state.at = [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ')
  [IO.File]::AppendAllText("$berth\work.log", "$($script:state.at) $($script:state.step) ${Phase}: $Message`r`n")
  Save-Text "$berth\state.json" (ConvertTo-Json -InputObject $script:state -Compress)
}

function Start-Work {
  # A task that is still at work is left alone: whoever asks again wants to watch it.
  if ((Ask { "$((Get-ScheduledTask -TaskName $taskName -ErrorAction Stop).State)" }) -eq 'Running') { return }
  $script:state = @{ id = $given.id; step = $given.step; phase = ''; message = ''; at = '' }
  Save-Text "$berth\work.json" (ConvertTo-Json -InputObject @{ do = 'task'; id = $given.id; step = $given.step; want = $given.want } -Depth 6)
  Save-Text "$berth\work.ps1" ("`$given = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText(`"`$env:ProgramData\Berth\work.json`"))`r`n" + $itself)
  Write-State 'waiting' 'Waiting for Windows to begin'
  $action = New-ScheduledTaskAction -Execute "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe" -Argument "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$berth\work.ps1`""
  $trigger = New-ScheduledTaskTrigger -AtStartup
  $principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
  $settings = New-ScheduledTaskSettingsSet -ExecutionTimeLimit (New-TimeSpan -Hours 4) -MultipleInstances IgnoreNew -StartWhenAvailable
  [void](Register-ScheduledTask -TaskName $taskName -Action $action -Trigger $trigger -Principal $principal -Settings $settings -Force)
  Start-ScheduledTask -TaskName $taskName
}

function Invoke-Task {
  $script:state = @{ id = $given.id; step = $given.step; phase = ''; message = ''; at = '' }
  try {
    Write-State 'running' 'Begun'
    Invoke-Step $given.step
    Write-State 'done' 'Done'
  } catch {
    Write-State 'failed' "$($_.Exception.Message)"
  }
  Unregister-ScheduledTask -TaskName $taskName -Confirm:$false
}

switch ($given.do) {
  'look' { Get-Look }
  'apply' { Invoke-Step $given.step; @{ done = $given.step } }
  'start' { Start-Work; @{ started = $given.step } }
  'poll' { @{ work = Read-Json "$berth\state.json"; task = Ask { "$((Get-ScheduledTask -TaskName $taskName -ErrorAction Stop).State)" }; log = @(Ask { @("$(Read-Text "$berth\work.log")" -split "`r?`n" | Where-Object { $_ } | Select-Object -Last 20) }) } }
  'restart' { [void](Assert-Program 'shutdown' 'shutdown.exe' @('/r', '/t', '3', '/d', 'p:4:1', '/c', 'Berth prepares this machine')); @{ restarting = $true } }
  'undo' { Undo-Step $given.step; @{ undone = $given.step } }
  'task' { Invoke-Task }
  default { throw "There is nothing to do called $($given.do)" }
}
