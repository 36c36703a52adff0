# Installs SQL Server into an image. Windows PowerShell 5.1; runs once, while the image is built.
$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
# Lines that Berth reads from the builder's stream.
function Say([string]$What) { [Console]::Out.WriteLine("BERTH-STEP: $What") }
# An error is told in lines as wide as a console; the cause has one line of its own.
function Stop-Build([string]$Why) { [Console]::Out.WriteLine("BERTH-CAUSE: $Why"); throw $Why }
$major = [int]$env:SQL_MAJOR
$instance = 'MSSQLSERVER'
$work = 'C:\t'
$media = 'C:\t\m'
$setupLogs = "C:\Program Files\Microsoft SQL Server\${major}0\Setup Bootstrap\Log"
[void](New-Item -ItemType Directory -Force -Path $media)

Say 'preparing Windows'
if ([Environment]::OSVersion.Version.Build -eq 17763) {
  # Later base images of Server 2019 come with an access list here that lets installers hang.
  $key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\AppModel\StateRepository\Cache'
  if (Test-Path -Path $key) {
    $acl = Get-Acl -Path $key
    if ($acl.Sddl -notmatch ';;;BA\)') {
      $acl.SetSecurityDescriptorSddlForm('D:(A;;KR;;;IU)(A;;KR;;;SU)(A;OICIIO;GA;;;SY)(A;;KA;;;SY)(A;;KR;;;BA)(A;;KR;;;BU)(A;;KA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)(A;;KR;;;AC)')
      Set-Acl -Path $key -AclObject $acl
    }
  }
}
$control = 'HKLM:\SYSTEM\CurrentControlSet\Control'
Set-ItemProperty -Path $control -Name ServicesPipeTimeout -Value 300000 -Type DWord -Force
# Without these two a stopping container has a few seconds for SQL Server's checkpoint.
Set-ItemProperty -Path $control -Name WaitToKillServiceTimeout -Value '120000' -Type String -Force
Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\cexecsvc' -Name ProcessShutdownTimeoutSeconds -Value 120 -Type DWord -Force

$urls = @("$env:MEDIA_URLS" -split '\s+' | Where-Object { $_ })
$hashes = @("$env:MEDIA_SHA256" -split '\s+' | Where-Object { $_ })
$files = @()
for ($n = 0; $n -lt $urls.Count; $n++) {
  $url = $urls[$n]
  if ($url -like 'media/*') {
    # It came along with this script.
    $file = Join-Path -Path 'C:\berth' -ChildPath $url
    Say "taking $url"
  } else {
    $file = Join-Path -Path $work -ChildPath ([IO.Path]::GetFileName(([Uri]$url).AbsolutePath))
    Say "downloading $url"
    & curl.exe -fsSL --retry 5 --retry-delay 5 -o $file $url
    if ($LASTEXITCODE) { Stop-Build "The download ended with $LASTEXITCODE`: $url" }
  }
  $is = (Get-FileHash -LiteralPath $file -Algorithm SHA256).Hash
  Say "sha256 $is"
  if ($n -lt $hashes.Count -and $hashes[$n] -ne '-' -and $is -ne $hashes[$n]) { Stop-Build "$url has the SHA-256 $is, not $($hashes[$n])" }
  # What was hashed before may be old; what Microsoft signed is Microsoft's in any case.
  if ($file -like '*.exe') {
    $signed = Get-AuthenticodeSignature -FilePath $file
    if ("$($signed.Status)" -ne 'Valid' -or "$($signed.SignerCertificate.Subject)" -notmatch 'O=Microsoft Corporation') { Stop-Build "$url is not signed by Microsoft ($($signed.Status))" }
  }
  $files += $file
}
Say 'unpacking'
$exe = @($files | Where-Object { $_ -like '*.exe' })[0]
$unpacked = Start-Process -FilePath $exe -ArgumentList '/q', "/x:$media" -Wait -PassThru
if ($unpacked.ExitCode) { Stop-Build "Unpacking the installer ended with $($unpacked.ExitCode)" }

if ($major -eq 13 -or $major -eq 14) {
  # Server Core lacks three assemblies that the support files of these versions expect (error 1935).
  $from = "$media\1033_ENU_LP\x64\Setup\sql2008support\windows\gac"
  $names = @{ 'q2bdsrkb.dll' = 'Microsoft.NetEnterpriseServers.ExceptionMessageBox'; '-kku9gg-.dll' = 'Microsoft.SqlServer.CustomControls'; 'yo4jf9kp.dll' = 'Microsoft.SqlServer.WizardFrameworkLite' }
  foreach ($file in $names.Keys) {
    if (Test-Path -LiteralPath "$from\$file") {
      $to = "C:\Windows\assembly\GAC_MSIL\$($names[$file])\10.0.0.0__89845dcd8080cc91"
      [void](New-Item -ItemType Directory -Force -Path $to)
      Copy-Item -LiteralPath "$from\$file" -Destination "$to\$($names[$file]).dll" -Force
    }
  }
}

$with = @('/Q', '/ACTION=Install', '/FEATURES=SQLENGINE', "/INSTANCENAME=$instance", '/IACCEPTSQLSERVERLICENSETERMS',
  '/SQLSVCACCOUNT="NT AUTHORITY\SYSTEM"', '/SQLSVCSTARTUPTYPE=Manual', '/BROWSERSVCSTARTUPTYPE=Disabled',
  '/SQLSYSADMINACCOUNTS="BUILTIN\Administrators"', '/TCPENABLED=1', '/NPENABLED=0', '/UPDATEENABLED=0',
  '/INSTALLSQLDATADIR="C:\data"', "/SQLCOLLATION=$env:SQL_COLLATION", '/INDICATEPROGRESS')
if ($major -ge 13) { $with += '/SQLTELSVCSTARTUPTYPE=Disabled' }
if ($major -ge 14) { $with += '/SUPPRESSPRIVACYSTATEMENTNOTICE' }
if ($env:SQL_EDITION -eq 'express') { $with += '/ADDCURRENTUSERASSQLADMIN=False' }
if ($env:SQL_PID) { $with += "/PID=$env:SQL_PID" }
Say 'installing SQL Server'
$setup = Start-Process -FilePath "$media\setup.exe" -ArgumentList $with -Wait -PassThru -NoNewWindow
if (@(0, 3010) -notcontains $setup.ExitCode) {
  Say 'summary of the setup'
  Get-ChildItem -Path $setupLogs -Filter 'Summary*.txt' -Recurse -ErrorAction SilentlyContinue | Select-Object -First 1 | ForEach-Object { Get-Content -LiteralPath $_.FullName | Out-Host }
  Get-ChildItem -Path 'C:\data' -Filter ERRORLOG -Recurse -ErrorAction SilentlyContinue | Select-Object -First 1 | ForEach-Object { Get-Content -LiteralPath $_.FullName -Encoding Unicode -Tail 60 | Out-Host }
  Stop-Build ('Setup ended with 0x{0:X8}' -f $setup.ExitCode)
}

Say 'configuring'
Stop-Service -Name $instance -Force
foreach ($name in 'SQLTELEMETRY', 'SQLWriter', 'SQLBrowser') {
  if (Get-Service -Name $name -ErrorAction SilentlyContinue) { Stop-Service -Name $name -Force; Set-Service -Name $name -StartupType Disabled }
}
$key = "HKLM:\SOFTWARE\Microsoft\Microsoft SQL Server\MSSQL$major.$instance\MSSQLServer"
Set-ItemProperty -Path "$key\SuperSocketNetLib\Tcp\IPAll" -Name TcpDynamicPorts -Value ''
Set-ItemProperty -Path "$key\SuperSocketNetLib\Tcp\IPAll" -Name TcpPort -Value '1433'
# SQL logins are allowed, and there is none: sa is disabled until a password comes in by an exec.
Set-ItemProperty -Path $key -Name LoginMode -Value 2
Set-ItemProperty -Path $key -Name DefaultData -Value 'C:\data\user'
Set-ItemProperty -Path $key -Name DefaultLog -Value 'C:\data\user'
Set-ItemProperty -Path $key -Name BackupDirectory -Value 'C:\data\backup'
$start = Get-ItemProperty -Path "$key\Parameters"
$engine = Get-Item -LiteralPath "C:\Program Files\Microsoft SQL Server\MSSQL$major.$instance\MSSQL\Binn\sqlservr.exe"
$image = @{
  major = $major; service = $instance; edition = $env:SQL_EDITION; build = $engine.VersionInfo.ProductVersion
  master = "$($start.SQLArg0)" -replace '^-d', ''; errorlog = "$($start.SQLArg1)" -replace '^-e', ''
}
[IO.File]::WriteAllText('C:\berth\image.json', (ConvertTo-Json -InputObject $image), (New-Object -TypeName Text.UTF8Encoding -ArgumentList $false))

Say 'setting the data aside'
robocopy.exe C:\data C:\berth\seed /E /MOVE /R:3 /W:2 /NFL /NDL /NJH /NJS | Out-Null
if ($LASTEXITCODE -ge 8) { Stop-Build "Setting the data aside ended with $LASTEXITCODE" }
# A volume is mounted at C:\data only where that is not there or empty.
if (Test-Path -LiteralPath C:\data) { Remove-Item -LiteralPath C:\data -Recurse -Force }
Get-ChildItem -Path C:\berth\seed -Filter 'ERRORLOG*' -Recurse -ErrorAction SilentlyContinue | Remove-Item -Force
Remove-Item -Path $work, 'C:\berth\media', 'C:\Windows\Temp\*', "$env:TEMP\*" -Recurse -Force -ErrorAction SilentlyContinue
Say 'done'
exit 0
