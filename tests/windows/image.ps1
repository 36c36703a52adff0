# A container of Windows Server Core while an image is built in it, as far as install.ps1 calls it.
# IMAGE_FAULT: download, signature, setup.
foreach ($key in 'HKLM:\SYSTEM\CurrentControlSet\Control', 'HKLM:\SYSTEM\CurrentControlSet\Services\cexecsvc') {
  if (-not (Test-Path -Path $key)) { [void](New-Item -Path $key -Force) }
}
$global:Services = @{ SQLWriter = 'Running'; SQLBrowser = 'Stopped' }
$global:WorldLacks = @()

function curl.exe {
  if ($env:IMAGE_FAULT -eq 'download') { $global:LASTEXITCODE = 6; return }
  [IO.File]::WriteAllText($args[[array]::IndexOf($args, '-o') + 1], 'an installer')
  $global:LASTEXITCODE = 0
}
function On.Get-AuthenticodeSignature($given) {
  if ($env:IMAGE_FAULT -eq 'signature') { return [pscustomobject]@{ Status = 'NotSigned'; SignerCertificate = $null } }
  [pscustomobject]@{ Status = 'Valid'; SignerCertificate = [pscustomobject]@{ Subject = 'CN=Microsoft Corporation, O=Microsoft Corporation, L=Redmond, S=Washington, C=US' } }
}
function On.Start-Process($given) {
  if ("$($given.FilePath)" -notlike '*setup.exe') {
    [IO.File]::WriteAllText('C:\t\m\setup.exe', '')
    return [pscustomobject]@{ ExitCode = 0 }
  }
  [IO.File]::WriteAllText('C:\arguments.txt', (@($given.ArgumentList) -join "`n"))
  if ($env:IMAGE_FAULT -eq 'setup') {
    $log = "C:\Program Files\Microsoft SQL Server\$($env:SQL_MAJOR)0\Setup Bootstrap\Log\20260101_000000"
    [void](New-Item -ItemType Directory -Path $log -Force)
    [IO.File]::WriteAllText("$log\Summary_1_20260101_000000.txt", "Overall summary:`r`n  Final result:                  Failed: see details below`r`n  Exit message:                  Wait on the Database Engine recovery handle failed.`r`n")
    return [pscustomobject]@{ ExitCode = -2061893607 }
  }
  $name = "MSSQL$env:SQL_MAJOR.MSSQLSERVER"
  $data = "C:\data\$name\MSSQL\DATA"
  $program = "C:\Program Files\Microsoft SQL Server\$name\MSSQL\Binn"
  foreach ($folder in $data, $program) { [void](New-Item -ItemType Directory -Path $folder -Force) }
  [IO.File]::WriteAllText("$data\master.mdf", 'master')
  [IO.File]::WriteAllText("$program\sqlservr.exe", '')
  $key = "HKLM:\SOFTWARE\Microsoft\Microsoft SQL Server\$name\MSSQLServer"
  foreach ($part in "$key\SuperSocketNetLib\Tcp\IPAll", "$key\Parameters") { [void](New-Item -Path $part -Force) }
  [void](New-ItemProperty -Path "$key\Parameters" -Name SQLArg0 -Value "-d$data\master.mdf" -Force)
  [void](New-ItemProperty -Path "$key\Parameters" -Name SQLArg1 -Value '-eC:\data\ERRORLOG' -Force)
  $global:Services['MSSQLSERVER'] = 'Running'
  $global:Services['SQLTELEMETRY'] = 'Running'
  [pscustomobject]@{ ExitCode = 0 }
}
function On.Get-Service($given) {
  $name = "$($given.Name)"
  if (-not $global:Services.ContainsKey($name)) { throw "Cannot find any service with service name '$name'." }
  [pscustomobject]@{ Name = $name; Status = $global:Services[$name]; StartType = 'Manual' }
}
function On.Stop-Service($given) { $global:Services["$($given.Name)"] = 'Stopped' }
function On.Set-Service($given) { }
function robocopy.exe {
  Move-Item -LiteralPath $args[0] -Destination $args[1]
  # One: files were copied.
  $global:LASTEXITCODE = 1
}
