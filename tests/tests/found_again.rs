//! Whatever this machine loses, its instances are found again on their hosts: the same instance, on the same port, by
//! the same connection string. And the password in that string is in the keychain, and in no file and no log.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{fs, net::TcpStream, path::Path, time::Duration};

use berth_tests::rig::{self, Home, LinuxHost, PracticeHost, SecretService};
use support::{agent, berth_in, gone, keychain_items, pid_of, signal, status, text};

const SOON: Duration = Duration::from_secs(30);

/// A Linux host that is added, and an instance on it.
struct World {
    // In this order: the agent ends before its host.
    home: Home,
    secrets: SecretService,
    host: LinuxHost,
}

impl World {
    fn new() -> Option<Self> {
        let host = LinuxHost::start()?;
        let secrets = SecretService::start()?;
        let home = Home::with_secrets(&secrets);
        let world = Self {
            home,
            secrets,
            host,
        };
        world.add();
        Some(world)
    }

    fn add(&self) {
        let sshd = &self.host.sshd;
        let _ = self.home.add("lin", sshd);
    }

    fn up(&self) -> String {
        let up = self
            .home
            .berth(&["up", "orders", "--accept-eula", "--database", "shop"])
            .ok();
        works(up.line());
        up.line().to_owned()
    }

    fn port(&self) -> u16 {
        let shown = self.home.berth(&["show", "orders", "--json"]).ok().json();
        u16::try_from(shown["port"].as_u64().unwrap()).unwrap()
    }
}

fn works(string: &str) {
    assert_eq!(
        rig::drivers::tiberius(string, "SELECT 41 + 1"),
        Ok(vec![vec![42.into()]]),
        "a string that Berth printed must open"
    );
}

#[test]
fn after_the_agents_death_the_same_string_works_again() {
    let Some(world) = World::new() else { return };
    let string = world.up();
    let pid = agent(&world.home);
    signal("KILL", pid);
    gone("the agent", pid, SOON);
    assert!(
        rig::drivers::tiberius(&string, "SELECT 1").is_err(),
        "nothing holds the port now"
    );
    // Any command brings it back, also one that asks nothing of the host.
    let _ = world.home.berth(&["host", "list"]).ok();
    works(&string);
    let again = world.home.berth(&["connection", "orders"]).ok();
    assert_eq!(
        again.line(),
        string,
        "same instance, same port, same password"
    );
}

#[test]
fn with_every_file_lost_the_instance_is_found_by_its_labels() {
    let Some(world) = World::new() else { return };
    let string = world.up();
    let port = world.port();
    let _ = world.home.berth(&["agent", "stop"]).ok();
    fs::remove_dir_all(world.home.berth_home()).unwrap();

    world.add();
    let listed = world.home.berth(&["list", "--json"]).ok().json();
    let one = &listed["instances"][0];
    assert_eq!(
        (
            one["name"].as_str(),
            one["port"].as_u64(),
            one["state"].as_str()
        ),
        (Some("orders"), Some(u64::from(port)), Some("running")),
        "{listed}"
    );
    assert_eq!(
        one["credentials"], true,
        "its password is still in this machine's keychain: {one}"
    );
    works(&string);
    let again = world.home.berth(&["connection", "orders"]).ok();
    assert_eq!(again.line(), string);
    let _ = world
        .home
        .berth(&["remove", "orders", "--data", "delete"])
        .ok();
    assert_eq!(
        keychain_items(&world.secrets),
        0,
        "with the data its password goes too"
    );
}

#[test]
fn a_port_listens_while_its_host_is_away_and_works_when_it_is_back() {
    let Some(mut world) = World::new() else {
        return;
    };
    let string = world.up();
    let port = world.port();
    let _ = world.home.berth(&["agent", "stop"]).ok();
    world.host.dockerd.restart();
    world.host.sshd.stop();

    let listed = world.home.berth(&["list", "--json"]).code(1).json();
    assert_eq!(
        listed["instances"][0]["state"], "unknown",
        "nothing is shown as running that was not just checked"
    );
    assert_eq!(listed["instances"][0]["fresh"], false);
    assert_eq!(listed["unreached"][0]["host"], "lin");
    TcpStream::connect(("127.0.0.1", port)).expect("the port listens without its host");
    assert!(
        rig::drivers::tiberius(&string, "SELECT 1").is_err(),
        "and leads nowhere while the host is away"
    );
    assert_eq!(status(&world.home).unwrap()["endpoints"][0]["port"], port);
}

#[test]
fn an_engine_that_comes_back_is_found_by_the_open_port() {
    let Some(mut world) = World::new() else {
        return;
    };
    let string = world.up();
    world.host.dockerd.restart();
    world.host.sshd.cut_connections();
    // `unless-stopped`: the engine brings the container up by itself, at another address as a rule.
    rig::wait_for(
        "the string to work again, with no command in between",
        SOON,
        || rig::drivers::tiberius(&string, "SELECT 41 + 1").ok(),
    );
}

#[test]
fn passwords_are_in_the_keychain_and_in_no_file_or_log() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let home = Home::with_secrets(&secrets);
    let host = PracticeHost::start();
    let talk = [("BERTH_LOG", "trace")];
    let run = |arguments: &[&str]| berth_in(&home, &talk, arguments).ok();
    let _ = run(&[
        "host",
        "add",
        "win",
        &host.address(),
        "--identity",
        &text(&host.client_key()),
        "--trust-host-key",
        &host.fingerprint(),
    ]);
    let string = run(&["-v", "up", "orders", "--accept-eula", "--database", "shop"]);
    let app = run(&["connection", "orders", "--password"]);
    let sa = run(&["connection", "orders", "--login", "sa", "--password"]);
    assert_ne!(
        app.line(),
        sa.line(),
        "the application's login has a password of its own"
    );
    assert!(string.line().contains(app.line()) && !string.line().contains(sa.line()));
    let all = [
        string.stderr.clone(),
        run(&["list"]).stdout,
        run(&["show", "orders"]).stdout,
        run(&["-v", "query", "orders", "SELECT 1"]).stdout,
        run(&["agent", "status"]).stdout,
        run(&["-v", "stop", "orders"]).stderr,
        run(&["-v", "start", "orders"]).stderr,
    ];
    let pid = pid_of(&status(&home).unwrap());
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    for password in [app.line(), sa.line()] {
        assert!(password.len() >= 20, "{password}");
        for text in &all {
            assert!(
                !text.contains(password),
                "a password is shown where it was not asked for:\n{text}"
            );
        }
        assert!(!String::from_utf8_lossy(&environment).contains(password));
        let mut files = 0;
        nowhere_below(&home.berth_home(), password, &mut files);
        assert!(files > 3, "Berth's files were looked through");
    }
    let log = fs::read_to_string(home.berth_home().join("agent.log")).unwrap();
    assert!(
        log.contains("TRACE") || log.contains("DEBUG"),
        "BERTH_LOG reached the agent, or this says nothing"
    );
}

fn nowhere_below(folder: &Path, secret: &str, files: &mut usize) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            nowhere_below(&path, secret, files);
        } else if let Ok(bytes) = fs::read(&path) {
            *files += 1;
            let there = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!there, "a password is in {}", path.display());
        }
    }
}
