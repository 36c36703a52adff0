//! A bare Windows Server becomes a container host by `berth host prepare`, whatever breaks on the way.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use berth_tests::rig::{Home, PracticeHost};
use serde_json::Value;

fn add(home: &Home, host: &PracticeHost) {
    let added = home
        .berth(&[
            "host",
            "add",
            "win",
            &host.address(),
            "--identity",
            &host.client_key().display().to_string(),
            "--trust-host-key",
            &host.fingerprint(),
        ])
        .ok();
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
