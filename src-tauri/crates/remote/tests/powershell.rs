//! The envelope and the probe through OpenSSH and PowerShell's own engine on a played Windows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own functions may fail loudly"
)]

mod support;

use std::{fs, path::PathBuf, time::Duration};

use berth_core::powershell;
use berth_remote::{ExecLimits, Lane};
use serde_json::json;
use support::{Sshd, skipped};

/// A machine as a Windows Server 2022 with a stopped docker.
const WORLD: &str = r#"
function On.Get-CimInstance($given) {
  switch ($given.ClassName) {
    'Win32_OperatingSystem' { [pscustomobject]@{ LastBootUpTime = [DateTime]'2026-11-01T08:00:00Z'; TotalVisibleMemorySize = 8388608; FreePhysicalMemory = 4194304 } }
    'Win32_LogicalDisk' { [pscustomobject]@{ DeviceID = 'C:'; FileSystem = 'NTFS'; Size = 107374182400; FreeSpace = 53687091200 } }
  }
}
function On.Get-ItemProperty($given) {
  if ("$($given.Path)" -like '*CurrentVersion') { [pscustomobject]@{ ProductName = 'Windows Server 2022 Datacenter'; CurrentBuildNumber = '20348'; UBR = 2966; InstallationType = 'Server Core' } }
  else { throw 'no such key' }
}
function On.Get-Service($given) {
  if ($given.Name -eq 'sshd') { [pscustomobject]@{ Status = 'Running'; StartType = 'Automatic' } } else { throw 'no such service' }
}
function whoami.exe { if ($args) { '"Mandatory Label\High Mandatory Level","Label","S-1-16-12288",""' } else { 'winhost\administrator' } }
"#;

fn tools() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../../shared/tools/dotnet"
    ));
    let folder = std::env::var_os("BERTH_TOOLS").map_or(beside, PathBuf::from);
    if folder.join("powershell").exists() {
        return folder.canonicalize().ok();
    }
    skipped("PowerShell's engine is not here (BERTH_TOOLS)");
    None
}

fn played() -> Option<Sshd> {
    let tools = tools()?;
    let sshd = Sshd::with_environment(&format!(
        "PATH={}:/usr/bin:/bin PRACTICE_ROOT={{folder}}/windows PRACTICE_WORLD={{folder}}/world.ps1 NUMBER_OF_PROCESSORS=4 PROCESSOR_ARCHITECTURE=AMD64",
        tools.display(),
    ))?;
    fs::create_dir_all(sshd.at("windows/C")).unwrap();
    fs::write(sshd.at("world.ps1"), WORLD).unwrap();
    Some(sshd)
}

fn limits() -> ExecLimits {
    ExecLimits {
        timeout: Duration::from_secs(60),
        ..ExecLimits::default()
    }
}

#[tokio::test]
async fn the_probe_answers_and_leaves_out_what_it_cannot_read() {
    let Some(sshd) = played() else { return };
    let session = sshd.session(Lane::Control).await;
    let answer = session
        .powershell(powershell::PROBE, None, limits())
        .await
        .unwrap();
    assert_eq!(answer["build"], json!(20348), "{answer}");
    assert_eq!(answer["product"], json!("Windows Server 2022 Datacenter"));
    assert_eq!(answer["installationType"], json!("Server Core"));
    assert_eq!(
        (&answer["ramMB"], &answer["freeRamMB"]),
        (&json!(8192), &json!(4096))
    );
    assert_eq!(
        answer["disks"],
        json!([{ "drive": "C:", "fs": "NTFS", "sizeMB": 102_400, "freeMB": 51_200 }]),
        "one disk is a list of one"
    );
    assert_eq!(answer["services"]["sshd"]["status"], json!("Running"));
    assert_eq!(
        answer["services"]["docker"],
        json!(null),
        "a service that is not there hides nothing else"
    );
    assert_eq!(answer["admin"], json!(true));
    assert_eq!(answer["user"], json!("winhost\\administrator"));
    assert_eq!(
        (&answer["dockerd"], &answer["defaultShell"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(answer["boot"], json!("2026-11-01T08:00:00.0000000Z"));
}

#[tokio::test]
async fn answers_failures_and_input_travel_whole() {
    let Some(sshd) = played() else { return };
    let session = sshd.session(Lane::Control).await;
    let given = json!({ "text": "ü€😀 \"quoted\" $env:PATH `n %OS%", "n": 7 });
    let answer = session
        .powershell("\"noise\" | Out-Host\n[pscustomobject]@{ text = $given.text; n = $given.n; list = @(1, 2) }", Some(&given), limits())
        .await
        .unwrap();
    assert_eq!(
        answer,
        json!({ "text": given["text"], "n": 7, "list": [1, 2] })
    );

    let e = session
        .powershell("1\nthrow 'it went wrong: ü'", None, limits())
        .await
        .unwrap_err();
    assert_eq!(e.causes(), ["it went wrong: ü"]);
    let e = session
        .powershell("Get-Item -LiteralPath C:\\nothing", None, limits())
        .await
        .unwrap_err();
    assert!(
        e.get_detail("id").unwrap().starts_with("PathNotFound"),
        "{e:?}"
    );
    let e = session
        .powershell("if (", None, limits())
        .await
        .unwrap_err();
    assert!(
        e.message().contains("no answer"),
        "a syntax error is told by PowerShell itself: {e:?}"
    );
    assert_eq!(
        session.powershell("", None, limits()).await.unwrap(),
        json!(null)
    );
}

#[tokio::test]
async fn a_host_without_powershell_says_so() {
    let Some(sshd) = Sshd::with_environment("PATH=/nowhere") else {
        return;
    };
    let session = sshd.session(Lane::Control).await;
    let e = session.powershell("1", None, limits()).await.unwrap_err();
    assert!(
        e.to_string().contains("powershell: not found")
            || e.to_string().contains("command not found"),
        "{e}"
    );
}
