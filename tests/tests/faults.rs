//! Every operation, cut off by every fault: afterwards nothing is lost, nothing leaks, the next command names what there is, and
//! the same operation done again ends well. A few of them here, all of them in `make soak`, which writes `docs/faults.md`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{fmt::Write as _, fs, net::TcpListener, time::Duration};

use berth_tests::rig::{self, Dockerd, Home, SecretService, programs};
use support::{Background, keychain_items, pid_of, signal, status};

const SOON: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Command,
    Agent,
    Both,
    Engine,
    Container,
    Twice,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::Command,
        Self::Agent,
        Self::Both,
        Self::Engine,
        Self::Container,
        Self::Twice,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::Command => "the command is killed",
            Self::Agent => "the agent is killed",
            Self::Both => "command and agent are killed",
            Self::Engine => "the engine restarts",
            Self::Container => "the container is killed from outside",
            Self::Twice => "the same is asked for twice at once",
        }
    }
}

/// An operation, how it is brought about, and after which words of its own the fault comes.
struct Operation {
    name: &'static str,
    line: &'static [&'static str],
    /// The instance that has to be there: none, running, stopped.
    before: Before,
    phases: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Running,
    Stopped,
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "up",
        line: &["-v", "up", "shop", "--accept-eula", "--database", "shop"],
        before: Before::Nothing,
        phases: &["image", "credentials", "container", "ready", "password"],
    },
    Operation {
        name: "start",
        line: &["-v", "start", "shop"],
        before: Before::Stopped,
        phases: &["plan", "container", "ready"],
    },
    Operation {
        name: "stop",
        line: &["-v", "stop", "shop"],
        before: Before::Running,
        phases: &["plan", "checkpoint", "stop"],
    },
    Operation {
        name: "remove",
        line: &["-v", "remove", "shop"],
        before: Before::Running,
        phases: &["plan", "checkpoint", "remove"],
    },
    Operation {
        name: "set",
        line: &["-v", "set", "shop", "--memory", "3g"],
        before: Before::Running,
        phases: &["checkpoint", "stop", "container", "ready"],
    },
    Operation {
        name: "query",
        line: &["-v", "query", "shop", "WAITFOR DELAY '00:00:02'; SELECT 1"],
        before: Before::Running,
        phases: &[""],
    },
    Operation {
        name: "logs",
        line: &["-v", "logs", "shop", "--follow"],
        before: Before::Running,
        phases: &[""],
    },
    Operation {
        name: "run",
        line: &["-v", "run", "--accept-eula", "--", "sleep", "3"],
        before: Before::Nothing,
        phases: &["container", "ready", "endpoint"],
    },
];

struct World {
    // In this order: the agent ends before its engine.
    home: Home,
    secrets: SecretService,
    dockerd: Dockerd,
}

impl World {
    fn new() -> Option<Self> {
        let dockerd = Dockerd::with_sql_image()?;
        let secrets = SecretService::start()?;
        let home = Home::with_secrets(&secrets);
        let _ = home
            .berth(&["host", "add", "here", &dockerd.address()])
            .ok();
        Some(Self {
            home,
            secrets,
            dockerd,
        })
    }

    /// Runs one cell of the matrix and says how it went.
    fn cell(&mut self, operation: &Operation, phase: &str, fault: Fault) -> String {
        let what = format!("{} / {phase} / {}", operation.name, fault.words());
        self.prepare(operation.before);
        let mut run = Background::start(&self.home, operation.line);
        rig::wait_for(&format!("{what}: the phase"), SOON, || {
            let there = run.stderr().lines().any(|l| {
                phase.is_empty() && l.contains("agent") || l.trim_start().starts_with(phase)
            });
            (there || run.ended().is_some()).then_some(())
        });
        let in_time = run.ended().is_none();
        self.inject(fault, &run, operation);
        if operation.name == "logs" {
            run.interrupt();
        }
        let code = run.code(SOON);

        // The next command finds a state that it can name.
        let listed = self
            .home
            .berth_with(&["list", "--json"], "", SOON)
            .ok()
            .json();
        let state = listed["instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["state"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(", ");
        self.again(operation, &what);
        self.nothing_is_left(&what);
        format!(
            "| {} | {} | {} | {} | {} | ended well |",
            operation.name,
            if phase.is_empty() { "under way" } else { phase },
            fault.words(),
            match (in_time, code) {
                (true, 0) => "ended well".to_owned(),
                (true, code) => format!("code {code}"),
                (false, _) => "it was over by then".to_owned(),
            },
            if state.is_empty() { "nothing" } else { &state },
        )
    }

    fn prepare(&self, before: Before) {
        if before == Before::Nothing {
            return;
        }
        let up = ["up", "shop", "--accept-eula", "--database", "shop"];
        let _ = self.home.berth_with(&up, "", SOON).ok();
        let sql = "CREATE TABLE kept (n int); INSERT kept VALUES (1)";
        let _ = self.home.berth(&["query", "shop", sql]).ok();
        if before == Before::Stopped {
            let _ = self.home.berth_with(&["stop", "shop"], "", SOON).ok();
        }
    }

    fn inject(&mut self, fault: Fault, run: &Background, operation: &Operation) {
        let agent = || status(&self.home).map(|s| pid_of(&s));
        match fault {
            Fault::Command => signal("KILL", run.child.id()),
            Fault::Agent => {
                if let Some(agent) = agent() {
                    signal("KILL", agent);
                }
            }
            Fault::Both => {
                let agent = agent();
                signal("KILL", run.child.id());
                if let Some(agent) = agent {
                    signal("KILL", agent);
                }
            }
            Fault::Engine => self.dockerd.restart(),
            Fault::Container => {
                let running = self.dockerd.docker(&["ps", "-q"]);
                for id in running.lines().filter(|l| !l.is_empty()) {
                    let mut kill = self.dockerd.command();
                    // It may be gone by now.
                    let _ = kill.args(["kill", id]).output();
                }
            }
            Fault::Twice => {
                if operation.name != "logs" {
                    let second = self.home.berth_with(operation.line, "", SOON);
                    assert!(
                        [0, 3, 4].contains(&second.code),
                        "the second is told, or does the same: {}",
                        second.stderr
                    );
                }
            }
        }
    }

    /// The same operation once more, to its end.
    fn again(&self, operation: &Operation, what: &str) {
        let line: Vec<&str> = operation
            .line
            .iter()
            .copied()
            .filter(|w| *w != "--follow")
            .collect();
        if matches!(operation.name, "query" | "logs" | "stop" | "set" | "start") {
            // The fault may have stopped or cut off what it works on, and its data must be there.
            let up = ["up", "shop", "--accept-eula"];
            let _ = self.home.berth_with(&up, "", SOON).ok();
            let rows = ["query", "shop", "SELECT n FROM kept", "--csv"];
            let kept = self.home.berth_with(&rows, "", SOON).ok();
            assert_eq!(kept.stdout, "n\n1\n", "{what}: data is lost");
        }
        let ran = self.home.berth_with(&line, "", SOON);
        let gone = operation.name == "remove" && ran.code == 3;
        assert!(
            ran.code == 0 || gone,
            "{what}: done again it ends with {}\n{}",
            ran.code,
            ran.stderr
        );
    }

    fn nothing_is_left(&self, what: &str) {
        let removed = self
            .home
            .berth_with(&["remove", "shop", "--data", "delete"], "", SOON);
        assert!([0, 3].contains(&removed.code), "{what}: {}", removed.stderr);
        let kept = self.home.berth(&["data", "list", "--json"]).ok().json();
        for data in kept["data"].as_array().unwrap() {
            let id = data["id"].as_str().unwrap();
            let _ = self.home.berth(&["data", "delete", id]).ok();
        }
        rig::wait_for(
            &format!("{what}: no container, volume or password to be left"),
            SOON,
            || {
                let _ = self.home.berth(&["list"]);
                let clean = self.dockerd.docker(&["ps", "-aq"]).trim().is_empty()
                    && self
                        .dockerd
                        .docker(&["volume", "ls", "-q"])
                        .trim()
                        .is_empty()
                    && keychain_items(&self.secrets) == 0
                    && TcpListener::bind(("127.0.0.1", 14330)).is_ok();
                clean.then_some(())
            },
        );
    }
}

#[test]
fn a_few_faults_leave_nothing_and_lose_nothing() {
    let Some(mut world) = World::new() else {
        return;
    };
    for (name, phase, fault) in [
        ("up", "container", Fault::Both),
        ("up", "ready", Fault::Agent),
        ("set", "container", Fault::Both),
        ("remove", "checkpoint", Fault::Agent),
        ("stop", "stop", Fault::Both),
        ("run", "endpoint", Fault::Container),
    ] {
        let operation = OPERATIONS.iter().find(|o| o.name == name).unwrap();
        eprintln!("{}", world.cell(operation, phase, fault));
    }
}

#[test]
#[ignore = "soak: every operation, phase and fault, some twenty minutes"]
fn every_fault_leaves_nothing_and_loses_nothing() {
    let Some(mut world) = World::new() else {
        return;
    };
    let mut table = String::from(
        "# Faults\n\nWritten by `make soak` (`tests/tests/faults.rs`). Each line was run: the operation, the phase in which the fault \
         came, what the command ended with, the state that the next `berth list` named, and the same operation done again. After each, \
         no container, volume, keychain item or local port was left, and no data was lost.\n\n\
         | operation | phase | fault | the command | then listed | done again |\n|---|---|---|---|---|---|\n",
    );
    for operation in OPERATIONS {
        for phase in operation.phases {
            for fault in Fault::ALL {
                let line = world.cell(operation, phase, fault);
                eprintln!("{line}");
                writeln!(table, "{line}").unwrap();
                // Written line by line: a cell that fails leaves the others told.
                fs::write(programs::root().join("docs/faults.md"), &table).unwrap();
            }
        }
    }
}
