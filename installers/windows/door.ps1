# Opens the SSH door of a Windows machine that is reached by its screen or its cloud's console alone.
# Paste it into PowerShell as administrator, with your public key in the next line. Windows PowerShell 5.1.
$key = 'ssh-ed25519 AAAA... you@your-mac'
$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'
if ($key -notmatch '^(ssh|ecdsa|sk)-\S+ \S{60,}') { throw 'Put your public key into the first line: cat ~/.ssh/id_ed25519.pub' }
if (-not (Get-Service -Name sshd -ErrorAction SilentlyContinue)) {
  [void](Add-WindowsCapability -Online -Name 'OpenSSH.Server~~~~0.0.1.0')
}
Set-Service -Name sshd -StartupType Automatic
# The first start makes the folder and the host keys.
Start-Service -Name sshd
if (-not (Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -ErrorAction SilentlyContinue)) {
  [void](New-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -DisplayName 'OpenSSH Server (sshd)' -Group 'Berth' -Enabled True -Direction Inbound -Protocol TCP -Action Allow -LocalPort 22 -Profile Any)
} else {
  Set-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -Enabled True -Profile Any
}
$file = "$env:ProgramData\ssh\administrators_authorized_keys"
$text = ''
if (Test-Path -LiteralPath $file) { $text = [IO.File]::ReadAllText($file) }
if (@($text -split "`r?`n") -notcontains $key) {
  if ($text -and -not $text.EndsWith("`n")) { $text += "`n" }
  # Without a byte order mark: sshd ignores a file that begins with one.
  [IO.File]::WriteAllText($file, "$text$key`n", (New-Object -TypeName Text.UTF8Encoding -ArgumentList $false))
}
# sshd ignores a file that others than Administrators and SYSTEM may change.
[void](icacls.exe $file /inheritance:r /grant '*S-1-5-32-544:F' /grant '*S-1-5-18:F')
if ($LASTEXITCODE) { throw "icacls ended with $LASTEXITCODE" }
$public = [IO.File]::ReadAllText("$env:ProgramData\ssh\ssh_host_ed25519_key.pub").Split(' ')[1]
$hash = [Security.Cryptography.SHA256]::Create().ComputeHash([Convert]::FromBase64String($public))
"The host key is SHA256:$([Convert]::ToBase64String($hash).TrimEnd('='))"
'On your Mac: berth host add NAME ssh://' + $env:USERNAME + '@ADDRESS --trust-host-key SHA256:...'
