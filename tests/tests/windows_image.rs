//! The script that installs SQL Server into an image, really run by PowerShell's own engine in a played container
//! (`tests/windows/image.ps1`): what it says, what it leaves, and that Berth understands its failures.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use berth_core::image::{self, Kit, STEP};
use serde_json::Value;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
/// SHA-256 of what the played download gives.
const HASH: &str = "B70DAC43A0E9CC8DA3A3F0C4D2A3CEEF3F9E7C9FAF3EE7C2A1E5B3C8F6B8D1A0";

struct Container {
    folder: tempfile::TempDir,
    output: Output,
}

/// Builds as the classic builder does: the context at `C:\berth`, the arguments as variables.
fn built(kit: &Kit, fault: &str) -> Option<Container> {
    let Some(tools) = berth_tests::rig::programs::tools() else {
        berth_tests::rig::skip("PowerShell's engine is not here (BERTH_TOOLS)");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let berth = folder.path().join("C/berth");
    fs::create_dir_all(&berth).unwrap();
    fs::create_dir_all(folder.path().join("C/Windows/Temp")).unwrap();
    for (name, text) in &kit.files {
        fs::write(berth.join(name), text).unwrap();
    }
    let output = Command::new(tools.join("powershell"))
        .env("PRACTICE_ROOT", folder.path())
        .env("PRACTICE_WORLD", Path::new(HERE).join("windows/image.ps1"))
        .env("IMAGE_FAULT", fault)
        .envs(&kit.arguments)
        .args([
            "-NoProfile",
            "-NonInteractive",
            "-ExecutionPolicy",
            "Bypass",
            "-File",
        ])
        .arg(berth.join("install.ps1"))
        .output()
        .unwrap();
    Some(Container { folder, output })
}

impl Container {
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn file(&self, path: &str) -> Vec<u8> {
        let said = String::from_utf8_lossy(&self.output.stderr);
        fs::read(self.folder.path().join("C").join(path))
            .unwrap_or_else(|e| panic!("{path}: {e}\n{}\n{said}", self.said()))
    }
}

#[test]
fn every_version_is_installed_and_its_data_set_aside() {
    for name in [
        "2014-express",
        "2017-developer",
        "2022-express",
        "2025-developer",
    ] {
        let mut kit = image::kit(name, 20348, None, &[]).unwrap();
        kit.arguments.insert("MEDIA_SHA256".into(), "-".into());
        let Some(done) = built(&kit, "") else { return };
        let said = done.said();
        assert!(
            done.output.status.success() && said.contains("BERTH-STEP: done"),
            "{name}: {said}{}",
            String::from_utf8_lossy(&done.output.stderr)
        );
        let about = done.file("berth/image.json");
        assert_ne!(
            about.first(),
            Some(&0xEF),
            "{name}: it is read by others than PowerShell"
        );
        let about: Value = serde_json::from_slice(&about).unwrap();
        let major = &kit.arguments["SQL_MAJOR"];
        assert_eq!(about["service"], "MSSQLSERVER");
        assert_eq!(
            about["master"],
            format!("C:\\data\\MSSQL{major}.MSSQLSERVER\\MSSQL\\DATA\\master.mdf"),
            "{name}: where the first start has to put it"
        );
        let seed = format!("berth/seed/MSSQL{major}.MSSQLSERVER/MSSQL/DATA/master.mdf");
        assert_eq!(done.file(&seed), b"master");
        assert!(
            !done.folder.path().join("C/data").exists(),
            "{name}: a volume is mounted only where nothing is"
        );
        assert!(
            !done.folder.path().join("C/t").exists(),
            "{name}: the installer does not stay in the image"
        );
        let with = String::from_utf8(done.file("arguments.txt")).unwrap();
        assert!(
            with.contains("/IACCEPTSQLSERVERLICENSETERMS")
                && !with.to_ascii_uppercase().contains("SAPWD")
                && !with.to_ascii_uppercase().contains("SECURITYMODE"),
            "{name}: no password goes in: {with}"
        );
        assert_eq!(
            with.contains("/PID="),
            name.starts_with("2025"),
            "{name}: 2025's media holds every edition: {with}"
        );
    }
}

#[test]
fn what_fails_is_told_in_lines_that_berth_understands() {
    for (fault, hash, cause, help) in [
        ("download", "-", "The download ended with 6", "DNS"),
        ("", HASH, "has the SHA-256", "proxy"),
        ("signature", "-", "is not signed by Microsoft", "proxy"),
        ("setup", "-", "Setup ended with 0x851A0019", "sectors"),
    ] {
        let mut kit = image::kit("2022-express", 20348, None, &[]).unwrap();
        kit.arguments.insert("MEDIA_SHA256".into(), hash.into());
        let Some(failed) = built(&kit, fault) else {
            return;
        };
        assert!(
            !failed.output.status.success(),
            "{fault}: a build must not go on over it: {}",
            failed.said()
        );
        let said = failed.said();
        let causes = image::causes(said.lines());
        assert!(
            causes.iter().any(|c| c.contains(cause)),
            "{fault}: {causes:?} of {said}"
        );
        let known = causes.iter().find_map(|c| image::explain(c));
        assert!(
            known.is_some_and(|h| h.contains(help)),
            "{fault}: what helps is known: {known:?}"
        );
        assert!(
            said.lines().any(|l| l.starts_with(STEP)),
            "{fault}: its steps are told: {said}"
        );
    }
}
