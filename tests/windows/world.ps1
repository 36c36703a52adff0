# A Windows Server that PowerShell's own engine plays on: what the cmdlets and programs that Berth's scripts call
# do to it. Its state is world.json beside the played disks, in the shape of the practice host's own world.
# WORLD_CUT=N ends the process at the N-th passage through a cmdlet (each has one before and one after),
# WORLD_FAIL=N lets the N-th one fail. How many there were is in passages.txt.
$global:W = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText("$env:PRACTICE_ROOT/world.json"))
$global:Passages = 0
$global:WorldLacks = @()

function Keep { [IO.File]::WriteAllText("$env:PRACTICE_ROOT/world.json", (ConvertTo-Json -InputObject $global:W -Depth 8)) }
function Pass([string]$Name) {
  $global:Passages++
  [IO.File]::WriteAllText("$env:PRACTICE_ROOT/passages.txt", "$global:Passages")
  if ("$global:Passages" -eq $env:WORLD_CUT) { [Diagnostics.Process]::GetCurrentProcess().Kill(); [Threading.Thread]::Sleep(5000) }
  if ("$global:Passages" -eq $env:WORLD_FAIL) { throw "$Name fails in this world" }
}
# Changes the world between two passages.
function Act([string]$Name, [scriptblock]$Change) { Pass $Name; & $Change; Keep; Pass $Name }
function Has($Object, [string]$Name) { @($Object.PSObject.Properties | ForEach-Object { $_.Name }) -contains $Name }
function Set-Member($Object, [string]$Name, $Value) {
  if (Has $Object $Name) { $Object.PSObject.Members.Remove($Name) }
  $Object.PSObject.Members.Add([Management.Automation.PSNoteProperty]::new($Name, $Value))
}

# The registry of a fresh installation, written once.
$cv = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
if (-not (Test-Path -Path $cv)) {
  [void](New-Item -Path $cv -Force)
  foreach ($pair in @(@('ProductName', $W.product), @('CurrentBuildNumber', "$($W.build)"), @('InstallationType', $W.installation_type))) {
    [void](New-ItemProperty -Path $cv -Name $pair[0] -Value $pair[1] -Force)
  }
  [void](New-ItemProperty -Path $cv -Name UBR -PropertyType DWord -Value $W.ubr -Force)
  if ($null -ne $W.ipv6) {
    $tcpip = 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters'
    [void](New-Item -Path $tcpip -Force)
    [void](New-ItemProperty -Path $tcpip -Name DisabledComponents -PropertyType DWord -Value $W.ipv6 -Force)
  }
}

function On.Get-CimInstance($given) {
  switch ($given.ClassName) {
    'Win32_OperatingSystem' { [pscustomobject]@{ LastBootUpTime = [DateTime]::Parse($W.boot).ToUniversalTime(); TotalVisibleMemorySize = $W.ram_mb * 1024; FreePhysicalMemory = 11906 * 1024 } }
    'Win32_LogicalDisk' { [pscustomobject]@{ DeviceID = 'C:'; FileSystem = $W.fs; Size = 129434MB; FreeSpace = $W.free_mb * 1MB } }
  }
}

function On.Get-Service($given) {
  $name = "$($given.Name)"
  World.Registered
  if (-not (Has $W.services $name)) { throw "Cannot find any service with service name '$name'." }
  [pscustomobject]@{ Name = $name; Status = $W.services.$name.status; StartType = $W.services.$name.start }
}
function Start-Played([string]$Name) {
  if (-not (Has $W.services $Name)) { throw "Cannot find any service with service name '$Name'." }
  if ($Name -eq 'docker') {
    $file = 'C:\ProgramData\docker\config\daemon.json'
    $shown = $null
    # Failing to start is how dockerd answers settings that it cannot read, a byte order mark among them.
    if (Test-Path -LiteralPath $file) {
      $bytes = [IO.File]::ReadAllBytes($file)
      if ($bytes.Length -gt 0 -and $bytes[0] -ne 0x7B) { throw "Failed to start service 'Docker Engine (docker)'." }
      $settings = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($file))
      # It listens only with an authority, a certificate and a key, and reads them now.
      if ($settings.tlsverify) {
        foreach ($file in 'tlscacert', 'tlscert', 'tlskey') { if (-not (Test-Path -LiteralPath $settings.$file)) { throw "Failed to start service 'Docker Engine (docker)'." } }
        $shown = [pscustomobject]@{ ca = [IO.File]::ReadAllText($settings.tlscacert); cert = [IO.File]::ReadAllText($settings.tlscert); key = [IO.File]::ReadAllText($settings.tlskey) }
      }
    }
    Set-Member $W 'engine_tls' $shown
    if (-not (Has $W.services 'hns')) { throw "Failed to start service 'Docker Engine (docker)'." }
    Set-Member $W 'nat' $true
    [IO.File]::WriteAllText("$env:PRACTICE_ROOT/engine-runs", '')
  }
  $W.services.$Name.status = 'Running'
}
function Stop-Played([string]$Name) {
  if ($Name -eq 'docker') { Remove-Item -LiteralPath "$env:PRACTICE_ROOT/engine-runs" -ErrorAction SilentlyContinue }
  $W.services.$Name.status = 'Stopped'
}
function On.Start-Service($given) { Act 'Start-Service' { World.Registered; Start-Played "$($given.Name)" } }
function On.Stop-Service($given) { Act 'Stop-Service' { World.Registered; Stop-Played "$($given.Name)" } }
function On.Restart-Service($given) { Act 'Restart-Service' { World.Registered; Stop-Played "$($given.Name)"; Start-Played "$($given.Name)" } }
function On.Set-Service($given) { Act 'Set-Service' { World.Registered; $W.services."$($given.Name)".start = "$($given.StartupType)" } }

function On.Get-NetFirewallRule($given) {
  if (-not $W.rule) { throw 'No MSFT_NetFirewallRule objects found' }
  [pscustomobject]@{ Name = 'OpenSSH-Server-In-TCP'; Enabled = $W.rule.enabled; Profile = $W.rule.profile; Group = $W.rule.group }
}
function On.Set-NetFirewallRule($given) { Act 'Set-NetFirewallRule' { $W.rule.enabled = "$($given.Enabled)"; $W.rule.profile = "$($given.Profile)" } }
function On.New-NetFirewallRule($given) { Act 'New-NetFirewallRule' { Set-Member $W 'rule' ([pscustomobject]@{ enabled = "$($given.Enabled)"; profile = "$($given.Profile)"; group = "$($given.Group)" }) } }
function On.Remove-NetFirewallRule($given) { Act 'Remove-NetFirewallRule' { Set-Member $W 'rule' $null } }

function On.Get-Acl($given) {
  $path = "$($given.LiteralPath)"
  if (-not (Test-Path -LiteralPath $path)) { throw "Cannot find path '$path' because it does not exist." }
  $sddl = if (Has $W.acl $path) { $W.acl.$path } else { 'O:BAG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)' }
  $acl = [pscustomobject]@{ Sddl = $sddl }
  $acl.PSObject.Members.Add([Management.Automation.PSScriptMethod]::new('SetSecurityDescriptorSddlForm', { param($Sddl) $this.Sddl = $Sddl }))
  $acl
}
function On.Set-Acl($given) { Act 'Set-Acl' { Set-Member $W.acl "$($given.LiteralPath)" $given.AclObject.Sddl } }

$pending = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending'
function On.Get-WindowsOptionalFeature($given) {
  if (-not $W.feature) { throw 'Feature name Containers is unknown.' }
  [pscustomobject]@{ FeatureName = 'Containers'; State = $W.feature }
}
function On.Enable-WindowsOptionalFeature($given) {
  Act 'Enable-WindowsOptionalFeature' {
    if ($W.feature -ne 'Enabled') { Set-Member $W 'feature' 'EnablePending'; [void](New-Item -Path $pending -Force) }
  }
  [pscustomobject]@{ Online = $true; RestartNeeded = $true }
}
function On.Disable-WindowsOptionalFeature($given) {
  Act 'Disable-WindowsOptionalFeature' { Set-Member $W 'feature' 'DisablePending'; [void](New-Item -Path $pending -Force) }
  [pscustomobject]@{ Online = $true; RestartNeeded = $true }
}

function On.New-ScheduledTaskAction($given) { [pscustomobject]@{ Execute = $given.Execute; Arguments = $given.Argument } }
function On.New-ScheduledTaskTrigger($given) { [pscustomobject]@{ AtStartup = [bool]$given.AtStartup } }
function On.New-ScheduledTaskPrincipal($given) { [pscustomobject]@{ UserId = $given.UserId } }
function On.New-ScheduledTaskSettingsSet($given) { [pscustomobject]@{ ExecutionTimeLimit = $given.ExecutionTimeLimit } }
function On.Register-ScheduledTask($given) {
  Act 'Register-ScheduledTask' {
    if ($given.Principal.UserId -ne 'S-1-5-18' -or -not $given.Trigger.AtStartup) { throw 'the task has to be of SYSTEM and begin again with Windows' }
    Set-Member $W 'played_task' ([pscustomobject]@{ state = 'Ready'; arguments = $given.Action.Arguments })
  }
}
function On.Start-ScheduledTask($given) { Act 'Start-ScheduledTask' { $W.played_task.state = 'Running' } }
function On.Unregister-ScheduledTask($given) { Act 'Unregister-ScheduledTask' { Set-Member $W 'played_task' $null } }
function On.Get-ScheduledTask($given) {
  if (-not $W.played_task) { throw 'No MSFT_ScheduledTask objects found' }
  [pscustomobject]@{ TaskName = $given.TaskName; State = $W.played_task.state }
}

function On.Expand-Archive($given) {
  Act 'Expand-Archive' {
    $folder = "$($given.DestinationPath)\docker"
    [void](New-Item -ItemType Directory -Path $folder -Force)
    foreach ($name in 'docker.exe', 'dockerd.exe') { Copy-Item -LiteralPath "$env:PRACTICE_ROOT/programs/$name" -Destination "$folder\$name" }
  }
}
function On.Get-AuthenticodeSignature($given) {
  if ($W.unsigned) { return [pscustomobject]@{ Status = 'NotSigned'; SignerCertificate = $null } }
  [pscustomobject]@{ Status = 'Valid'; SignerCertificate = [pscustomobject]@{ Subject = 'CN="Docker Inc", O="Docker Inc", L=Palo Alto, S=California, C=US' } }
}
function On.Get-WinEvent($given) {
  if (-not @($W.engine_said).Count) { throw 'No events were found that match the specified selection criteria.' }
  $W.engine_said | ForEach-Object { [pscustomobject]@{ Message = $_ } }
}
function On.Start-Sleep($given) { }

function whoami.exe {
  $global:LASTEXITCODE = 0
  if ($args) { if ($W.admin) { '"Mandatory Label\High Mandatory Level","Label","S-1-16-12288",""' } else { '"Mandatory Label\Medium Mandatory Level","Label","S-1-16-8192",""' } } else { $W.user }
}
function fsutil.exe {
  $global:LASTEXITCODE = 0
  $s = if (@($W.forced) -contains '* 4095' -and $W.forced_read) { 4096 } else { $W.sector }
  'LogicalBytesPerSector :                                 512'
  "PhysicalBytesPerSectorForAtomicity :                    $s"
  "PhysicalBytesPerSectorForPerformance :                  $s"
  'Device Alignment :                                      Aligned (0x000)'
}
function curl.exe {
  Pass 'curl.exe'
  $file = $args[[array]::IndexOf($args, '-o') + 1]
  if ($W.offline) { $global:LASTEXITCODE = 6; 'curl: (6) Could not resolve host'; return }
  [IO.File]::WriteAllText($file, 'a zip')
  $global:LASTEXITCODE = 0
  Pass 'curl.exe'
}
function shutdown.exe { Act 'shutdown.exe' { Set-Member $W 'restarting' $true }; $global:LASTEXITCODE = 0 }
# Registering is done by a program on the played disk; the services follow it.
function World.Registered {
  $is = Test-Path -LiteralPath "$env:PRACTICE_ROOT/registered"
  $key = 'HKLM:\SYSTEM\CurrentControlSet\Services\docker'
  if ($is -and -not (Has $W.services 'docker')) {
    Set-Member $W.services 'docker' ([pscustomobject]@{ status = 'Stopped'; start = 'Automatic' })
    Keep
  }
  if ($is -and -not (Test-Path -Path $key)) {
    [void](New-Item -Path $key -Force)
    [void](New-ItemProperty -Path $key -Name ImagePath -Value '"C:\Program Files\docker\dockerd.exe" --run-service' -Force)
  }
  if (-not $is -and (Has $W.services 'docker')) {
    $W.services.PSObject.Properties.Remove('docker')
    Remove-Item -Path $key -Recurse -Force
    Keep
  }
}
