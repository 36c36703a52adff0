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

use std::{fmt::Write as _, fs};

use berth_tests::rig::programs;

use fault::Fault;
use world::World;

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

/// Every cell of one host, and what failed.
fn matrix(table: &mut String, failed: &mut Vec<String>, world: impl Fn() -> Option<World>) {
    let Some(mut now) = world() else {
        return;
    };
    table.push_str(
        "| operation | phase | fault | the command | then listed | done again |\n|---|---|---|---|---|---|\n",
    );
    for operation in operation::ALL {
        let all = operation
            .phases
            .iter()
            .flat_map(|phase| Fault::ALL.map(|fault| (*phase, fault)))
            .chain(Fault::ONCE.map(|fault| (operation.middle, fault)));
        for (phase, fault) in all {
            if !now.knows(fault) {
                continue;
            }
            // One cell that fails leaves the others told, each in a world that is whole.
            let line = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                now.cell(operation, phase, fault)
            })) {
                Ok(line) => line,
                Err(_) => {
                    let what = format!("{} / {phase} / {}", operation.name, fault.words());
                    drop(now);
                    now = world().expect("it came up before");
                    failed.push(what);
                    continue;
                }
            };
            eprintln!("{line}");
            writeln!(table, "{line}").unwrap();
            fs::write(programs::root().join("docs/faults.md"), &*table).unwrap();
        }
    }
}

#[test]
#[ignore = "soak: every operation, phase and fault, some forty minutes"]
fn every_fault_leaves_nothing_and_loses_nothing() {
    let mut table = String::from(
        "# Faults\n\nWritten by `make soak` (`tests/tests/faults`). Each line was run: the operation, the phase in which the fault \
         came, what the command ended with, the state that the next `berth list` named, and the same operation done again. After each, \
         no container, volume, keychain item, local port, process or temporary file was left, and no data was lost.\n\n\
         ## Docker's engine\n\n",
    );
    let mut failed = Vec::new();
    matrix(&mut table, &mut failed, World::with_engine);
    table.push_str("\n## A Windows machine behind SSH (the practice host)\n\nHere the engine restarts with its machine.\n\n");
    matrix(&mut table, &mut failed, World::with_windows);
    assert!(failed.is_empty(), "these cells failed: {failed:#?}");
}
