//! Every operation, cut off by every fault: afterwards nothing is lost, nothing leaks, the next command names what there is, and
//! the same operation done again ends well. A few of them here, all of them in `make soak`, which writes `docs/faults.md`.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod fault;
mod operation;
mod place;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::{fmt::Write as _, fs, time::Duration};

use berth_tests::rig::{Dockerd, Home, SecretService, Sshd, programs};

use fault::Fault;
use place::Full;
use world::World;

const SOON: Duration = Duration::from_secs(90);

type Cell = (&'static str, &'static str, Fault);

fn play(mut world: World, cells: &[Cell]) {
    for (name, phase, fault) in cells {
        let operation = operation::ALL.iter().find(|o| o.name == *name).unwrap();
        eprintln!("{}", world.cell(operation, phase, *fault));
    }
}

#[test]
fn a_few_faults_leave_nothing_and_lose_nothing() {
    let Some(world) = World::with_engine() else {
        return;
    };
    play(
        world,
        &[
            ("up", "container", Fault::Both),
            ("up", "ready", Fault::Agent),
            ("set", "container", Fault::Both),
            ("remove", "checkpoint", Fault::Agent),
            ("stop", "stop", Fault::Both),
            ("run", "endpoint", Fault::Container),
            ("run", "endpoint", Fault::Ahead),
        ],
    );
}

#[test]
fn a_few_faults_of_a_windows_machine_leave_nothing_and_lose_nothing() {
    let Some(world) = World::with_windows() else {
        return;
    };
    play(
        world,
        &[
            ("up", "container", Fault::Agent),
            ("set", "container", Fault::Engine),
            ("stop", "checkpoint", Fault::Host),
            ("run", "ready", Fault::Both),
        ],
    );
}

#[test]
fn a_first_start_that_was_cut_off_in_the_engine_is_made_anew() {
    if let Some(mut world) = World::with_engine() {
        world.cut_off_in_the_engine();
    }
}

#[test]
fn a_full_disk_is_named_where_the_server_could_not_write_its_last_words() {
    let (Some(dockerd), Some(sshd)) = (Dockerd::on_a_disk_of(700), Sshd::start()) else {
        return;
    };
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let home = Home::with_secrets(&secrets);
    let key = sshd.client_key().display().to_string();
    let (address, print) = (sshd.address(), sshd.fingerprint());
    let add = ["host", "add", "rig", &address, "--identity", &key];
    let _ = home
        .berth(&[&add[..], &["--trust-host-key", &print]].concat())
        .ok();
    // Enough for a container, and not for system databases.
    let full = Full::but_for(&dockerd.data(), 256 << 10);
    let up = home.berth_with(&["-v", "up", "shop", "--accept-eula"], "", SOON);
    let said = up.stderr;
    full.make_room();
    assert_eq!(up.code, 1, "{said}");
    assert!(
        said.contains("the host's disk is full") && said.contains("Free some space"),
        "its log lies on the same disk, so the host has to be asked: {said}"
    );
    let again = home.berth_with(&["up", "shop", "--accept-eula"], "", SOON);
    let _ = again.ok();
}

/// A host, how its part of the page begins, and a world with it.
type Host = (&'static str, &'static str, fn() -> Option<World>);

const HOSTS: [Host; 2] = [
    ("engine", "## Docker's engine\n\n", World::with_engine),
    (
        "windows",
        "## A Windows machine behind SSH (the practice host)\n\nHere the engine restarts with its machine.\n\n",
        World::with_windows,
    ),
];

/// `BERTH_FAULTS` picks the cells whose words have this part (`windows / stop / plan`): of the others the page keeps what an earlier
/// run has found.
#[test]
#[ignore = "soak: every operation, phase and fault, some forty minutes"]
fn every_fault_leaves_nothing_and_loses_nothing() {
    let only = std::env::var("BERTH_FAULTS").ok();
    let file = programs::root().join("docs/faults.md");
    let before = fs::read_to_string(&file).unwrap_or_default();
    let mut page = String::from(
        "# Faults\n\nWritten by `make soak` (`tests/tests/faults`). Each line was run: the operation, the phase in which the fault \
         came, what the command ended with, the state that the next `berth list` named, and the same operation done again. After each, \
         no container, volume, keychain item, local port, process or temporary file was left, and no data was lost.\n",
    );
    let mut failed = Vec::new();
    for (host, heading, world) in HOSTS {
        let known = before.split("\n## ").find(|part| {
            heading.contains(part.lines().next().unwrap_or_default()) && part.contains('|')
        });
        let Some(mut now) = world() else { return };
        write!(
            page,
            "\n{heading}| operation | phase | fault | the command | then listed | done again |\n|---|---|---|---|---|---|\n"
        )
        .unwrap();
        for (operation, phase, fault) in operation::cells() {
            let what = format!("{host} / {} / {phase} / {}", operation.name, fault.words());
            if !now.knows(fault) {
                continue;
            }
            if only.as_ref().is_some_and(|part| !what.contains(part)) {
                let line = world::line(operation, phase, fault);
                if let Some(old) = known.and_then(|k| k.lines().find(|l| l.starts_with(&line))) {
                    writeln!(page, "{old}").unwrap();
                }
                continue;
            }
            // One cell that fails leaves the others told, each in a world that is whole.
            let cell = std::panic::AssertUnwindSafe(|| now.cell(operation, phase, fault));
            match std::panic::catch_unwind(cell) {
                Ok(line) => {
                    eprintln!("{line}");
                    writeln!(page, "{line}").unwrap();
                }
                Err(_) => {
                    drop(now);
                    now = world().expect("it came up before");
                    failed.push(what);
                }
            }
            if only.is_none() {
                fs::write(&file, &page).unwrap();
            }
        }
    }
    fs::write(&file, &page).unwrap();
    assert!(failed.is_empty(), "these cells failed: {failed:#?}");
}
