//! The script that every container of an image begins with, and the one that says whether it is healthy, really run by
//! PowerShell's own engine in a played container (`tests/windows/start.ps1`): first start, later ones, interrupted ones,
//! data of another version, a clean stop, an end by itself.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use berth_core::image;
use serde_json::{Value, json};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const MASTER: &str = "data/MSSQL16.MSSQLSERVER/MSSQL/DATA/master.mdf";
/// What the script ends with when the played time is over: it never ends by itself while its service is well.
const OVER: i32 = 99;

struct Container {
    tools: PathBuf,
    folder: tempfile::TempDir,
}

impl Container {
    /// One of an image of SQL Server 2022 as `install.ps1` leaves it.
    fn new() -> Option<Self> {
        let Some(tools) = berth_tests::rig::programs::tools() else {
            berth_tests::rig::skip("PowerShell's engine is not here (BERTH_TOOLS)");
            return None;
        };
        let one = Self {
            tools,
            folder: tempfile::tempdir().unwrap(),
        };
        for name in ["start.ps1", "health.ps1"] {
            one.write(&format!("berth/{name}"), image::file(name).unwrap());
        }
        let about = json!({
            "major": 16,
            "service": "MSSQLSERVER",
            "master": r"C:\data\MSSQL16.MSSQLSERVER\MSSQL\DATA\master.mdf",
            "errorlog": r"C:\data\ERRORLOG",
            "build": "16.0.4185.3",
        });
        one.write("berth/image.json", &about.to_string());
        for name in ["master.mdf", "model.mdf"] {
            one.write(
                &format!("berth/seed/MSSQL16.MSSQLSERVER/MSSQL/DATA/{name}"),
                &format!("{name} of the seed"),
            );
        }
        Some(one)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("C").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.at(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }

    fn run(&self, script: &str, env: &[(&str, &str)]) -> Output {
        Command::new(self.tools.join("powershell"))
            .env("PRACTICE_ROOT", self.folder.path())
            .env("PRACTICE_WORLD", Path::new(HERE).join("windows/start.ps1"))
            .env_remove("START_FAULT")
            .env_remove("HEALTH")
            .env("ACCEPT_EULA", "Y")
            .envs(env.iter().copied())
            .args([
                "-NoProfile",
                "-NonInteractive",
                "-ExecutionPolicy",
                "Bypass",
                "-File",
            ])
            .arg(self.at(script))
            .output()
            .unwrap()
    }

    /// Starts it, and lets this happen while it runs.
    fn start(&self, plays: &[&str], fault: &str) -> Ended {
        self.write("play.txt", &plays.join("\n"));
        let output = self.run("berth/start.ps1", &[("START_FAULT", fault)]);
        Ended {
            code: output.status.code(),
            said: format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }
}

#[derive(Debug)]
struct Ended {
    /// `None` where it was killed.
    code: Option<i32>,
    said: String,
}

impl Ended {
    #[track_caller]
    fn with(self, code: i32, words: &[&str]) -> String {
        assert_eq!(self.code, Some(code), "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "`{word}`: {}", self.said);
        }
        self.said
    }
}

#[test]
fn the_first_start_puts_the_data_in_place_and_later_ones_leave_it_alone() {
    let Some(one) = Container::new() else { return };
    let said = one.start(&["log Recovery is complete", "look"], "").with(
        OVER,
        &[
            "putting the system databases in place",
            "SQL Server is starting",
            "Recovery is complete",
            "PLAYED ready=True service=MSSQLSERVER",
        ],
    );
    assert!(
        !said.contains('\u{feff}') && !said.contains('\0'),
        "its log is text, not UTF-16: {said}"
    );
    assert_eq!(one.read(MASTER).unwrap(), "master.mdf of the seed");
    for folder in ["data/user", "data/backup"] {
        assert!(one.at(folder).is_dir(), "{folder} is there for databases");
    }
    assert!(!one.at("data/.berth-seeding").exists(), "nothing is half");
    let mark: Value = serde_json::from_str(&one.read("data/.berth.json").unwrap()).unwrap();
    assert_eq!(
        (&mark["major"], &mark["build"]),
        (&json!(16), &json!("16.0.4185.3"))
    );

    one.write(MASTER, "master.mdf that was used");
    let said = one.start(&["look"], "").with(OVER, &["the service runs"]);
    assert!(
        !said.contains("PLAYED copying"),
        "data is never written over: {said}"
    );
    assert_eq!(one.read(MASTER).unwrap(), "master.mdf that was used");
}

#[test]
fn a_first_start_that_is_interrupted_is_done_again() {
    let Some(one) = Container::new() else { return };
    let cut = one.start(&[], "cut");
    assert_eq!(
        cut.code, None,
        "it was killed while it copied: {}",
        cut.said
    );
    assert!(one.at("data/.berth-seeding").exists(), "the marker says so");
    assert!(!one.at("data/.berth.json").exists());
    let _ = one
        .start(&["look"], "")
        .with(OVER, &["PLAYED copying", "ready=True"]);
    for name in ["master.mdf", "model.mdf"] {
        let file = MASTER.replace("master.mdf", name);
        assert_eq!(one.read(&file).unwrap(), format!("{name} of the seed"));
    }
    assert!(!one.at("data/.berth-seeding").exists());

    let Some(full) = Container::new() else { return };
    let _ = full
        .start(&[], "seed")
        .with(65, &["could not be copied (16)"]);
    let _ = full.start(&["look"], "").with(OVER, &["ready=True"]);
}

#[test]
fn data_that_is_not_this_images_is_refused_and_not_touched() {
    for (mark, code, word) in [
        (
            json!({ "major": 15, "build": "15.0.4430.1" }),
            66,
            "major version 15",
        ),
        (
            json!({ "major": 16, "build": "16.0.9999.0" }),
            66,
            "newer build",
        ),
        // Its master is gone: a new one would hide every database that is there.
        (
            json!({ "major": 16, "build": "16.0.4185.3" }),
            65,
            "master database is gone",
        ),
    ] {
        let Some(one) = Container::new() else { return };
        one.write("data/.berth.json", &mark.to_string());
        one.write("data/user/mine.mdf", "mine");
        let said = one.start(&["look"], "").with(code, &[word]);
        assert!(!said.contains("PLAYED copying"), "{mark}: {said}");
        assert_eq!(one.read("data/user/mine.mdf").unwrap(), "mine");
        assert!(!one.at(MASTER).exists() && !one.at("berth/ready").exists());
    }
    let Some(older) = Container::new() else {
        return;
    };
    older.write(MASTER, "older");
    older.write(
        "data/.berth.json",
        &json!({ "major": 16, "build": "16.0.1000.6" }).to_string(),
    );
    let _ = older.start(&["look"], "").with(OVER, &["the service runs"]);
    let mark = older.read("data/.berth.json").unwrap();
    assert!(
        mark.contains("16.0.4185.3"),
        "an update is written down: {mark}"
    );
}

#[test]
fn nothing_starts_before_the_licence_is_accepted() {
    let Some(one) = Container::new() else { return };
    let output = one.run("berth/start.ps1", &[("ACCEPT_EULA", "no")]);
    assert_eq!(output.status.code(), Some(64));
    assert!(!one.at("data").exists());
}

#[test]
fn a_service_that_does_not_come_up_or_ends_by_itself_ends_the_container_with_its_reason() {
    let Some(one) = Container::new() else { return };
    let _ = one.start(&[], "service").with(
        67,
        &[
            "SQL Server did not start",
            "SQL Server is starting at normal",
        ],
    );
    assert!(!one.at("berth/ready").exists());
    let _ = one
        .start(&["log bye", "dies"], "")
        .with(70, &["bye", "the service ended by itself"]);
    assert!(
        !one.at("berth/ready").exists(),
        "nobody takes it for healthy"
    );
}

#[test]
fn a_stop_that_was_asked_for_is_no_end_by_itself() {
    for how in ["stop", "marked"] {
        let Some(one) = Container::new() else { return };
        let said = one
            .start(&["look", how, "look"], "")
            .with(OVER, &["ready=True", "ready=False"]);
        assert!(!said.contains("ERROR"), "{how}: {said}");
        // What an earlier stop left behind does not hide an end by itself.
        let _ = one.start(&["dies"], "").with(70, &[]);
    }
}

#[test]
fn a_service_whose_container_nobody_stops_starts_again() {
    let Some(one) = Container::new() else { return };
    let mut plays = vec!["look", "marked"];
    // Half a minute, five seconds each, and then once more.
    plays.extend(["look"; 7]);
    let said = one.start(&plays, "").with(
        OVER,
        &["nobody stopped the container: the service starts again"],
    );
    let looks: Vec<_> = said
        .lines()
        .filter(|l| l.contains("PLAYED ready"))
        .map(|l| l.contains("ready=True"))
        .collect();
    assert_eq!(
        looks,
        [true, false, false, false, false, false, false, true],
        "who stopped the service had its time, and a container that answers nobody is no end: {said}"
    );
    // The mark is gone, so a later end by itself is one.
    assert!(!one.at("berth/stopping").exists());
}

#[test]
fn a_log_that_begins_anew_is_told_from_its_beginning() {
    let Some(one) = Container::new() else { return };
    let said = one
        .start(
            &[
                "log a long line of the first log, so that the next is shorter than this one was",
                "anew second log",
                "log with a second line",
                "look",
            ],
            "",
        )
        .with(OVER, &["second log", "with a second line"]);
    assert_eq!(said.matches("second log").count(), 1, "once: {said}");
}

#[test]
fn healthy_is_who_signs_in_and_has_its_system_databases() {
    let Some(one) = Container::new() else { return };
    let code = |health: &str| {
        let output = one.run("berth/health.ps1", &[("HEALTH", health)]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(code("").0, Some(1), "not before the service runs");
    one.write("berth/ready", "1");
    let fine = code("");
    assert_eq!(fine.0, Some(0), "{}", fine.1);
    assert_eq!(code("refused").0, Some(1));
    assert_eq!(code("offline").0, Some(1));
}
