//! Every fault of the practice host as a user of `berth` meets it: what is wrong is said, and when it is right again the same
//! command ends well.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::time::Duration;

use berth_tests::rig::{Home, PracticeHost, SecretService};

const SOON: Duration = Duration::from_secs(120);

/// Asks the running machine for these faults.
fn play(host: &PracticeHost, faults: &[&str]) {
    let asked = faults.iter().map(|f| f.parse().unwrap()).collect();
    host.running().model().faults().set(asked);
}

#[test]
fn a_machine_whose_default_shell_is_powershell_is_a_host_like_any_other() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::with(&["default-shell=powershell"]);
    let home = Home::with_secrets(&secrets);
    let _ = home.add("win", &host);
    let checked = home.berth(&["host", "check", "win", "--json"]).ok().json();
    assert_eq!(
        checked["host"]["os"], "windows",
        "PowerShell reads the line that tells shells apart in its own way"
    );
    let _ = home
        .berth_with(&["up", "orders", "--accept-eula"], "", SOON)
        .ok();
    let rows = home.berth(&["query", "orders", "SELECT 6 * 7"]).ok();
    assert!(rows.stdout.contains("42"), "{}", rows.stdout);
}

#[test]
fn what_keeps_an_instance_from_starting_is_named() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::start();
    let home = Home::with_secrets(&secrets);
    let _ = home.add("win", &host);
    for (cause, words) in [
        ("os-mismatch", "another Windows version"),
        ("network", "HNS"),
        ("sector-size", "sectors"),
        ("memory", "memory"),
        ("seeding", "seed"),
        ("data-in-use", "another"),
        ("system-database", "system"),
    ] {
        play(&host, &[&format!("start-fails={cause}")]);
        let name = format!("x-{cause}");
        let up = home.berth_with(&["up", &name, "--accept-eula"], "", SOON);
        assert_eq!(up.code, 1, "{cause}:\n{}", up.stderr);
        assert!(
            up.stderr.to_lowercase().contains(&words.to_lowercase()),
            "whoever has to mend `{cause}` must be told so:\n{}",
            up.stderr
        );
        play(&host, &[]);
        let up = home
            .berth_with(&["up", &name, "--accept-eula"], "", SOON)
            .ok();
        assert!(up.line().contains("127.0.0.1"), "{cause}: {}", up.stdout);
        let _ = home
            .berth_with(&["remove", &name, "--data", "delete"], "", SOON)
            .ok();
    }
}

#[test]
fn a_start_that_is_slow_in_any_state_is_waited_for() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::with(&["slow-start=1", "slow-login=2", "slow-databases=2"]);
    let home = Home::with_secrets(&secrets);
    let _ = home.add("win", &host);
    let up = home
        .berth_with(
            &["up", "slow", "--accept-eula", "--database", "shop"],
            "",
            SOON,
        )
        .ok();
    assert!(up.line().contains("127.0.0.1"), "{}", up.stdout);
    let rows = home
        .berth(&[
            "query",
            "slow",
            "SELECT state_desc FROM sys.databases WHERE name = 'shop'",
        ])
        .ok();
    assert!(rows.stdout.contains("ONLINE"), "{}", rows.stdout);
}

#[test]
fn a_bad_way_to_the_host_is_named_and_healed() {
    let host = PracticeHost::start();
    let port = host.port();
    let home = Home::new();
    let _ = home.add("win", &host);
    let mut host = host;
    for (faults, code, words) in [
        (&["wrong-host-key"][..], 1, "another host key"),
        (&["refuse-login"][..], 1, "sign"),
        (&["drop-at=3000"][..], 1, ""),
        (&["engine-dies"][..], 1, "engine"),
    ] {
        host.reboot(faults);
        assert_eq!(host.port(), port);
        let check = home.berth_with(&["host", "check", "win"], "", SOON);
        assert_eq!(
            check.code, code,
            "{faults:?}:\n{}{}",
            check.stdout, check.stderr
        );
        let said = (check.stdout + &check.stderr).to_lowercase();
        assert!(said.contains(words), "{faults:?}:\n{said}");
        host.reboot(&[]);
        let _ = home.berth_with(&["host", "check", "win"], "", SOON).ok();
    }
    // Bad, but a way: everything works.
    host.reboot(&["latency=50", "bandwidth=200000", "clock-skew=-3600"]);
    let _ = home.berth_with(&["list", "--host", "win"], "", SOON).ok();
}
