//! `berth host check` on hosts that are broken in one way each: it must name the cause that a good administrator would.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use berth_tests::rig::{Dockerd, Home, Sshd, accounts, programs};
use serde_json::Value;
use support::{Answer, FakeEngine, text};

fn add(home: &Home, sshd: &Sshd, address: &str) {
    let _ = home
        .berth(&[
            "host",
            "add",
            "lin",
            address,
            "--identity",
            &text(&sshd.client_key()),
            "--trust-host-key",
            &sshd.fingerprint(),
        ])
        .ok();
}

/// What `check --json` says, after its exit code was seen to agree with it.
fn check(home: &Home) -> Value {
    let ran = home.berth(&["host", "check", "lin", "--json"]);
    let said = ran.json();
    assert_eq!(
        ran.code == 0,
        said["works"] == true,
        "a script goes by the exit code: {} {said}",
        ran.code
    );
    said
}

fn ids(said: &Value) -> Vec<&str> {
    said["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["id"].as_str().unwrap())
        .collect()
}

/// The finding of that id, whole.
fn finding(said: &Value, id: &str) -> String {
    let all = said["findings"].as_array().unwrap();
    let found = all.iter().find(|f| f["id"] == id);
    found
        .unwrap_or_else(|| panic!("`{id}` is what is wrong, and it says {said}"))
        .to_string()
}

#[test]
fn a_linux_host_is_told_of_and_each_way_it_breaks_is_named() {
    let (Some(mut dockerd), Some(mut sshd)) = (Dockerd::start(), Sshd::start()) else {
        return;
    };
    let home = Home::new();
    add(&home, &sshd, &sshd.address());
    let well = check(&home);
    assert_eq!(well["works"], true, "{well}");
    let facts: Vec<_> = well["facts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["id"].as_str().unwrap())
        .collect();
    for id in [
        "connect_ms",
        "call_ms",
        "system",
        "engine",
        "kernel",
        "cores",
        "memory",
        "route",
        "clock",
        "ssh",
        "sign_in",
        "host_key",
        "user",
        "free_memory",
        "disk",
    ] {
        assert!(facts.contains(&id), "`{id}` is told of a host: {facts:?}");
    }

    dockerd.stop();
    let stopped = finding(&check(&home), "engine_stopped");
    assert!(stopped.contains("systemctl start docker"), "{stopped}");
    let shown = home.berth(&["host", "check", "lin"]).code(1);
    assert!(
        shown.stdout.contains("[engine_stopped]") && shown.stdout.contains("hint: "),
        "{}",
        shown.stdout
    );
    dockerd.start_again();

    sshd.stop();
    let gone = finding(&check(&home), "unreachable");
    assert!(gone.contains("connection refused"), "{gone}");
    sshd.start_again();
    assert_eq!(check(&home)["works"], true, "and it is well again");
}

#[test]
fn a_key_that_is_known_no_more_is_told_of_and_let_in_by_its_fingerprint_alone() {
    let (Some(_dockerd), Some(sshd)) = (Dockerd::start(), Sshd::start()) else {
        return;
    };
    let home = Home::new();
    add(&home, &sshd, &sshd.address());
    let known = home.berth_home().join("known_hosts");
    std::fs::remove_file(&known).unwrap();
    let unknown = check(&home);
    let key = &unknown["unknown_key"];
    assert_eq!(
        (key["host"].as_str(), key["fingerprint"].as_str()),
        (
            Some(format!("[127.0.0.1]:{}", sshd.port()).as_str()),
            Some(sshd.fingerprint().as_str())
        ),
        "whoever asked can decide upon it: {unknown}"
    );
    assert!(
        finding(&unknown, "host_key").contains("--trust-host-key"),
        "{unknown}"
    );
    let wrong = ["--trust-host-key", "SHA256:AAAA"];
    let refused = home.berth(&[&["host", "check", "lin"], &wrong[..]].concat());
    assert!(
        refused.code(1).stdout.contains("[host_key]") && !known.exists(),
        "another fingerprint is no consent"
    );
    let right = ["--trust-host-key", &sshd.fingerprint()];
    let _ = home
        .berth(&[&["host", "check", "lin"], &right[..]].concat())
        .ok();
    let again = check(&home);
    assert_eq!(
        (&again["works"], &again["unknown_key"]),
        (&Value::Bool(true), &Value::Null),
        "it is recorded: {again}"
    );
}

#[test]
fn a_login_that_may_not_use_the_engine_is_told_of_the_group() {
    let (Some(dockerd), Some(sshd)) = (Dockerd::start(), Sshd::start()) else {
        return;
    };
    let Some(accounts) = accounts::accounts() else {
        return;
    };
    let home = Home::new();
    let name = accounts.developer.name;
    add(
        &home,
        &sshd,
        &format!("ssh://{name}@127.0.0.1:{}", sshd.port()),
    );
    assert_eq!(check(&home)["works"], true);
    programs::run(Command::new("chmod").arg("0600").arg(dockerd.socket()));
    let denied = finding(&check(&home), "engine_denied");
    assert!(
        denied.contains(&format!("usermod -aG docker {name}")),
        "{denied}"
    );
}

#[test]
fn a_server_that_forbids_forwarding_is_told_of_its_setting() {
    let Some(_dockerd) = Dockerd::start() else {
        return;
    };
    for (line, id, setting, works) in [
        (
            "AllowTcpForwarding no",
            "tcp_forwarding_off",
            "AllowTcpForwarding yes",
            false,
        ),
        (
            "AllowStreamLocalForwarding no",
            "socket_forwarding_off",
            "AllowStreamLocalForwarding yes",
            true,
        ),
    ] {
        let Some(sshd) = Sshd::with(line) else { return };
        let home = Home::new();
        add(&home, &sshd, &sshd.address());
        let said = check(&home);
        let found = finding(&said, id);
        assert!(found.contains(setting), "{found}");
        assert_eq!(said["works"], works, "{said}");
    }
}

#[test]
fn an_engine_that_is_old_or_poor_or_late_is_told_of() {
    // 0: as it should be; 1: an old API; 2: little memory, a wrong clock, no limits; 3: an answer that is none.
    let mood = Arc::new(AtomicU8::new(0));
    let told = Arc::clone(&mood);
    let engine = FakeEngine::start(move |_, path| {
        match (told.load(Ordering::Relaxed), path) {
        (1, "/version") => Some(Answer::Json(
            200,
            r#"{"Version":"19.03.5","ApiVersion":"1.40","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#.into(),
        )),
        (3, "/version") => Some(Answer::Json(404, r#"{"message":"page not found"}"#.into())),
        (mood, "/info") => Some(Answer::Json(
            200,
            if mood == 2 {
                r#"{"OSType":"linux","Architecture":"aarch64","NCPU":2,"MemTotal":1073741824,"SystemTime":"2020-01-01T00:00:00Z","Warnings":["WARNING: No memory limit support"]}"#.into()
            } else {
                r#"{"OSType":"linux","Architecture":"x86_64","NCPU":8,"MemTotal":34359738368}"#.into()
            },
        )),
        _ => None,
    }
    });
    let home = Home::new();
    let _ = home.berth(&["host", "add", "lin", &engine.address()]).ok();
    assert_eq!(
        ids(&check(&home)),
        Vec::<&str>::new(),
        "nothing is wrong with it"
    );
    mood.store(1, Ordering::Relaxed);
    let old = finding(&check(&home), "engine_too_old");
    assert!(old.contains("19.03.5") && old.contains("20.10"), "{old}");
    mood.store(2, Ordering::Relaxed);
    let said = check(&home);
    assert_eq!(
        ids(&said),
        [
            "memory_too_little",
            "processor",
            "no_memory_limit",
            "clock_skew"
        ],
        "the weightiest first: {said}"
    );
    mood.store(3, Ordering::Relaxed);
    let _ = finding(&check(&home), "no_engine");
    drop(engine);
    let _ = finding(&check(&home), "engine_stopped");
}

#[test]
fn the_practice_host_is_checked_like_any_other() {
    let home = Home::new();
    let ran = home.berth(&["host", "check", "practice", "--json"]).ok();
    let said = ran.json();
    let has = |id: &str| {
        said["facts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|f| f["id"] == id)
    };
    assert!(
        has("build") && has("isolation") && has("disk_c"),
        "Windows tells more: {said}"
    );
}
