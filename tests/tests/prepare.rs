//! A bare Windows Server becomes a container host by `berth host prepare`, whatever breaks on the way.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use berth_tests::rig::{Home, PracticeHost, SecretService};
use serde_json::Value;

fn add(home: &Home, host: &PracticeHost) {
    let added = home.add("win", host);
    assert!(
        added.stderr.contains("berth host prepare win"),
        "what comes next is said: {}",
        added.stderr
    );
}

fn plan(home: &Home) -> Value {
    home.berth(&["host", "prepare", "win", "--plan", "--json"])
        .json()
}

fn to_do(plan: &Value) -> Vec<String> {
    plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["to_do"] == true)
        .map(|s| s["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn bare_machines_become_container_hosts() {
    for machine in ["bare-2019", "bare-2022", "bare-2025"] {
        let host = PracticeHost::playing(machine, &[]);
        let home = Home::new();
        add(&home, &host);

        let first = plan(&home);
        assert_eq!(
            to_do(&first),
            [
                "folder", "sshd", "firewall", "feature", "restart", "engine", "daemon"
            ],
            "{machine}: {first}"
        );
        let before = host.running().model().windows().read(Clone::clone);
        let refused = home.berth(&["host", "prepare", "win"]).code(4);
        assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
        assert_eq!(
            host.running().model().windows().read(Clone::clone),
            before,
            "nothing is changed before somebody agrees"
        );

        let _ = home.berth(&["host", "prepare", "win", "--yes"]).ok();
        let after = plan(&home);
        assert_eq!(after["done"], true, "{machine}: {after}");
        let shown = home.berth(&["host", "show", "win", "--json"]).json();
        assert!(shown["route"].is_string(), "the engine is reached: {shown}");
        // Once more is nothing more.
        let world = host.running().model().windows().read(Clone::clone);
        let _ = home.berth(&["host", "prepare", "win", "--yes"]).ok();
        assert_eq!(
            host.running().model().windows().read(Clone::clone),
            world,
            "a machine that is prepared is left alone"
        );

        let _ = home.berth(&["host", "unprepare", "win", "--yes"]).ok();
        let undone = host.running().model().windows().read(Clone::clone);
        assert_eq!(undone.engine, None);
        assert!(!undone.services.contains_key("docker"));
        assert_eq!(undone.rule, before.rule, "the user's own rule is back");
        assert_eq!(undone.services["sshd"], before.services["sshd"]);
        assert_eq!(undone.files, before.files, "no file of ours stays");
    }
}

/// How Berth reaches the engine, in words.
fn route(home: &Home) -> String {
    let shown = home.berth(&["host", "show", "win", "--json"]).json();
    shown["route"].as_str().unwrap_or_default().to_owned()
}

fn ills(home: &Home) -> Vec<String> {
    let ran = home.berth(&["host", "doctor", "win", "--json"]);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    let all = said["ills"].as_array().unwrap();
    all.iter()
        .map(|ill| ill["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The way that needs no certificate.
const SLOW: &str = "dial-stdio";
const LISTENER: &str = "127.0.0.1:2376";

#[test]
fn an_engine_listens_for_the_computer_that_prepared_it_and_for_no_other() {
    let Some(keychain) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::playing("bare-2022", &[]);
    let home = Home::with_secrets(&keychain);
    add(&home, &host);
    let before = host.running().model().windows().read(Clone::clone);
    let first = plan(&home);
    assert!(to_do(&first).contains(&"tls".to_owned()), "{first}");
    let _ = home.berth(&["host", "prepare", "win", "--yes"]).ok();
    assert!(route(&home).contains(LISTENER), "{}", route(&home));
    assert_eq!(ills(&home), Vec::<String>::new());
    let images = || home.berth(&["image", "list", "--host", "win"]).ok();
    let _ = images();

    // Nothing of a key lies in a file of this computer.
    let files = std::process::Command::new("grep")
        .args(["-rl", "PRIVATE KEY"])
        .arg(home.berth_home())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&files.stdout),
        "",
        "keys are in the keychain alone"
    );

    // Another computer, with a keychain of its own.
    let Some(others) = SecretService::start() else {
        return;
    };
    let other = Home::with_secrets(&others);
    let _ = other.add("win", &host);
    assert!(route(&other).contains(SLOW), "{}", route(&other));
    assert_eq!(
        plan(&other)["done"],
        true,
        "the first one's way is not taken away"
    );
    assert_eq!(ills(&other), ["tls-foreign"]);
    let take = ["host", "prepare", "win", "--new-certificates", "--yes"];
    let _ = other.berth(&take).ok();
    assert!(route(&other).contains(LISTENER), "{}", route(&other));

    // The first one goes the slower way, and is told.
    let _ = images();
    assert_eq!(ills(&home), ["tls-foreign"]);
    let _ = home.berth(&["agent", "stop"]).ok();
    let _ = images();
    assert!(route(&home).contains(SLOW), "{}", route(&home));

    let _ = other.berth(&["host", "unprepare", "win", "--yes"]).ok();
    let undone = host.running().model().windows().read(Clone::clone);
    assert_eq!(undone.files, before.files, "no certificate stays");
    assert_eq!(undone.engine_tls, None);
}

#[test]
fn a_listener_that_is_silent_is_told_and_the_engine_is_reached_all_the_same() {
    let Some(keychain) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::playing("bare-2022", &[]);
    let home = Home::with_secrets(&keychain);
    add(&home, &host);
    let _ = home.berth(&["host", "prepare", "win", "--yes"]).ok();
    let world = host.running();
    world.model().windows().change(|w| w.engine_tls = None);
    assert_eq!(ills(&home), ["tls-silent"]);
    let _ = home.berth(&["agent", "stop"]).ok();
    let _ = home.berth(&["image", "list", "--host", "win"]).ok();
    assert!(route(&home).contains(SLOW), "{}", route(&home));

    // Certificates that are gone are made anew, and the engine restarts with them.
    world.model().windows().change(|w| {
        w.files.retain(|path, _| !path.ends_with("ca.pem"));
    });
    assert!(ills(&home).contains(&"tls-missing".to_owned()));
    let _ = home.berth(&["host", "prepare", "win", "--yes"]).ok();
    assert!(route(&home).contains(LISTENER), "{}", route(&home));
    assert_eq!(ills(&home), Vec::<String>::new());
}

#[test]
fn a_step_that_fails_says_why_and_the_next_try_goes_on() {
    for (fault, cause, step) in [
        ("feature-fails", "0x800f081f", "feature"),
        ("wrong-signature", "not signed by Docker Inc", "engine"),
        ("disk-full", "curl: (23)", "engine"),
        ("no-network", "HNS failed with error", "network"),
    ] {
        let mut host = PracticeHost::playing("bare-2022", &[fault]);
        let home = Home::new();
        add(&home, &host);
        let failed = home.berth(&["host", "prepare", "win", "--yes"]).code(1);
        assert!(
            failed.stderr.contains(cause) && failed.stderr.contains("goes on from here"),
            "{fault}: {}",
            failed.stderr
        );
        let ills = home.berth(&["host", "doctor", "win", "--json"]).json();
        assert!(
            ills["ills"]
                .as_array()
                .unwrap()
                .iter()
                .any(|ill| ill["id"] == step && ill["by_prepare"] == true),
            "{fault}: the doctor finds it too: {ills}"
        );
        host.reboot(&[]);
        let _ = home.berth(&["host", "prepare", "win", "--yes"]).ok();
        assert_eq!(plan(&home)["done"], true, "{fault}");
    }
}

#[test]
fn machines_that_cannot_are_refused_before_anything_is_changed() {
    let host = PracticeHost::playing("bare-2022", &[]);
    let home = Home::new();
    add(&home, &host);
    host.running().model().windows().change(|w| w.admin = false);
    let refused = home.berth(&["host", "prepare", "win", "--yes"]).code(4);
    assert!(
        refused.stderr.contains("not an administrator"),
        "{}",
        refused.stderr
    );
    assert!(
        host.running()
            .model()
            .windows()
            .read(|w| w.files.is_empty() && w.private.is_empty()),
        "nothing was touched"
    );
}
