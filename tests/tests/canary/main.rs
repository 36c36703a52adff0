//! A password goes through every operation; afterwards it is looked for wherever it must not be: logs, events, history, settings,
//! the command line and environment of every process, what the engine shows, sockets, core files, and the agent's memory.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;
mod wire;

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use berth_tests::rig::{self, Dockerd, Home, SecretService};
use support::{agent, berth_in};
use wire::{Packets, Tap, in_a_login};

const LONG: Duration = Duration::from_secs(120);

/// Files below a folder that hold a text, as UTF-8 or as UTF-16.
fn files_with(folder: &Path, texts: &[Vec<u8>], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = fs::symlink_metadata(&path) else {
            continue;
        };
        if about.is_dir() {
            files_with(&path, texts, found);
        } else if about.is_file() && fs::read(&path).is_ok_and(|bytes| holds(&bytes, texts)) {
            found.push(path);
        }
    }
}

fn holds(bytes: &[u8], texts: &[Vec<u8>]) -> bool {
    texts
        .iter()
        .any(|text| bytes.windows(text.len()).any(|part| part == text))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// What every process of this test's world shows of itself: command line and environment.
fn processes_with(texts: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        for part in ["cmdline", "environ"] {
            if fs::read(entry.path().join(part)).is_ok_and(|bytes| holds(&bytes, texts)) {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                found.push(format!("{} of {}", part, name.trim()));
            }
        }
    }
    found
}

/// Where in the memory of a process a text is: how often, and the first places.
fn memory_with(pid: u32, texts: &[Vec<u8>]) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (
            u64::from_str_radix(from, 16).unwrap(),
            u64::from_str_radix(to, 16).unwrap(),
        );
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.seek(SeekFrom::Start(from)).is_err() || memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        for text in texts {
            let mut at = 0;
            while let Some(next) = bytes[at..].windows(text.len()).position(|w| w == text) {
                found.push(format!("{:x} ({})", from + (at + next) as u64, line));
                at += next + text.len();
            }
        }
    }
    found
}

/// The password of `sa` or of the database's login, as the string has it.
fn password(home: &Home, name: &str, login: &str) -> String {
    let line = ["connection", name, "--password", "--login", login];
    home.berth(&line).ok().line().to_owned()
}

#[test]
fn a_password_is_nowhere_but_where_it_belongs_after_every_operation() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let Some(dockerd) = Dockerd::with_sql_image() else {
        return;
    };
    let Some(packets) = Packets::record() else {
        return;
    };
    let home = Home::with_secrets(&secrets);
    let engine_tap = Tap::before(dockerd.socket());
    let bus = &secrets.environment()[0].1;
    let bus_tap = Tap::before(Path::new(bus.trim_start_matches("unix:path=")));
    let loud = |line: &[&str]| {
        berth_in(
            &home,
            &[("BERTH_LOG", "trace"), ("RUST_LOG", "trace")],
            line,
        )
    };
    let _ = loud(&["host", "add", "here", &dockerd.address()]).ok();
    let agent_tap = Tap::before(&home.berth_home().join("agent.sock"));
    let mut said_to_the_agent: Vec<(String, Vec<u8>)> = Vec::new();
    // It prints the string, which is what it is asked for; what it says on the way is not.
    let up = ["-v", "up", "shop", "--accept-eula", "--database", "shop"];
    let mut said = loud(&up).ok().stderr;
    let mut canaries = Vec::new();
    let mut run = |line: &[&str], code: i32| {
        let ran = loud(line).code(code);
        said_to_the_agent.push((line.join(" "), agent_tap.take()));
        said.push_str(&ran.stdout);
        said.push_str(&ran.stderr);
    };
    // Its reply carries the string, which is what it was asked for.
    drop(agent_tap.take());
    for login in ["sa", "shop_app"] {
        canaries.push(password(&home, "shop", login));
    }
    assert!(
        holds(&agent_tap.take(), &[canaries[0].clone().into_bytes()]),
        "the reply that carries a password goes over the tapped socket"
    );
    run(
        &["-v", "query", "shop", "SELECT 1; RAISERROR('no', 16, 1)"],
        1,
    );
    run(&["-v", "database", "create", "shop", "more"], 0);
    run(&["-v", "stop", "shop"], 0);
    run(&["-v", "start", "shop"], 0);
    run(&["-v", "set", "shop", "--memory", "3g"], 0);
    run(&["-v", "connection", "shop", "--explain"], 0);
    run(&["-v", "reset-password", "shop"], 0);
    for login in ["sa", "shop_app", "more_app"] {
        canaries.push(password(&home, "shop", login));
    }
    drop(agent_tap.take());
    run(&["-v", "show", "shop", "--json"], 0);
    run(&["-v", "logs", "shop"], 0);
    run(&["-v", "restart", "shop"], 0);
    run(&["history", "--json"], 0);
    run(
        &[
            "-v",
            "up",
            "bad",
            "--accept-eula",
            "--timeout",
            "1s",
            "--image",
            "scratch-of-nobody",
        ],
        1,
    );
    canaries.sort();
    canaries.dedup();
    assert_eq!(
        canaries.len(),
        5,
        "two logins, one more, two of them made anew"
    );
    let texts: Vec<Vec<u8>> = canaries
        .iter()
        .flat_map(|c| [c.clone().into_bytes(), utf16(c)])
        .collect();

    let carriers: Vec<_> = said_to_the_agent
        .iter()
        .filter(|(_, bytes)| holds(bytes, &texts))
        .map(|(line, _)| line.as_str())
        .collect();
    assert_eq!(
        carriers,
        Vec::<&str>::new(),
        "between command and agent a password is only in the reply that was asked for it"
    );
    let logins: Vec<_> = canaries.iter().map(|c| in_a_login(c)).collect();
    for (what, bytes, sign) in [
        (
            "the engine's socket",
            engine_tap.take(),
            &b"/containers/create"[..],
        ),
        (
            "the keychain's bus",
            bus_tap.take(),
            b"org.freedesktop.Secret.Item",
        ),
        // TLS is agreed on inside of TDS' first packets.
        ("the network", packets.end(), b"\x12\x01\x00"),
    ] {
        assert!(holds(&bytes, &[sign.to_vec()]), "{what} was listened to");
        assert!(
            !holds(&bytes, &texts) && !holds(&bytes, &logins),
            "{what} carries a password"
        );
    }
    assert!(
        !holds(said.as_bytes(), &texts),
        "no command says a password unasked"
    );
    let mut found = Vec::new();
    files_with(&home.path(), &texts, &mut found);
    files_with(&home.berth_home(), &texts, &mut found);
    assert_eq!(
        found,
        Vec::<PathBuf>::new(),
        "settings, history, logs, core files"
    );
    assert_eq!(
        processes_with(&texts),
        Vec::<String>::new(),
        "command lines and environments"
    );
    for what in [
        &["ps", "-aq"][..],
        &["volume", "ls", "-q"],
        &["image", "ls", "-q"],
    ] {
        for id in dockerd.docker(what).lines() {
            let shown = dockerd.docker(&["inspect", id]);
            assert!(
                !holds(shown.as_bytes(), &texts),
                "`docker inspect` shows a password: {id}"
            );
            if what[0] == "ps" {
                let log = dockerd.command().args(["logs", id]).output().unwrap();
                assert!(!holds(&log.stdout, &texts) && !holds(&log.stderr, &texts));
            }
        }
    }

    // What the agent no longer needs is overwritten. An allocator's reuse takes a moment and a few calls.
    let pid = agent(&home);
    let mut left = Vec::new();
    let clean = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        rig::wait_for(
            "no password in the agent's memory",
            Duration::from_secs(20),
            || {
                let _ = home.berth(&["list"]);
                left = memory_with(pid, &texts);
                left.is_empty().then_some(())
            },
        );
    }));
    assert!(
        clean.is_ok(),
        "the agent's memory keeps passwords:\n{}",
        left.join("\n")
    );
    let _ = home
        .berth_with(&["remove", "shop", "--data", "delete"], "", LONG)
        .ok();
}
