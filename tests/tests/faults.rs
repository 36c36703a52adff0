//! Every operation, cut off by every fault: afterwards nothing is lost, nothing leaks, the next command names what there is, and
//! the same operation done again ends well. A few of them here, all of them in `make soak`, which writes `docs/faults.md`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use berth_tests::rig::{self, Dockerd, Home, Ran, SecretService, programs, sql_image::OFFICIAL};
use support::{Background, keychain_items, pid_of, signal, status};

const SOON: Duration = Duration::from_secs(90);
/// Until a command gives up whose host is gone.
const LONG: Duration = Duration::from_secs(150);
const HUNDRED: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Command,
    Agent,
    Both,
    Engine,
    Container,
    Twice,
    Host,
    Image,
    FullHost,
    FullHere,
    Keychain,
    Hundred,
}

impl Fault {
    /// In every phase.
    const ALL: [Self; 6] = [
        Self::Command,
        Self::Agent,
        Self::Both,
        Self::Engine,
        Self::Container,
        Self::Twice,
    ];
    /// In one phase of each operation.
    const ONCE: [Self; 6] = [
        Self::Host,
        Self::Image,
        Self::FullHost,
        Self::FullHere,
        Self::Keychain,
        Self::Hundred,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::Command => "the command is killed",
            Self::Agent => "the agent is killed",
            Self::Both => "command and agent are killed",
            Self::Engine => "the engine restarts",
            Self::Container => "the container is killed from outside",
            Self::Twice => "the same is asked for twice at once",
            Self::Host => "the host is gone, and comes back when the command has ended",
            Self::Image => "the image is removed meanwhile",
            Self::FullHost => "the host's disk is full",
            Self::FullHere => "the disk here is full",
            Self::Keychain => "the keychain is locked meanwhile",
            Self::Hundred => "the same is asked for a hundred times at once",
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
    /// The phase in which the faults come that come only once.
    middle: &'static str,
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
        line: &[
            "-v",
            "up",
            "shop",
            "--accept-eula",
            "--database",
            "shop",
            "--timeout",
            "90s",
        ],
        before: Before::Nothing,
        phases: &["image", "credentials", "container", "ready", "password"],
        middle: "container",
    },
    Operation {
        name: "start",
        line: &["-v", "start", "shop", "--timeout", "90s"],
        before: Before::Stopped,
        phases: &["plan", "container", "ready"],
        middle: "container",
    },
    Operation {
        name: "stop",
        line: &["-v", "stop", "shop"],
        before: Before::Running,
        phases: &["plan", "checkpoint", "stop"],
        middle: "checkpoint",
    },
    Operation {
        name: "remove",
        line: &["-v", "remove", "shop"],
        before: Before::Running,
        phases: &["plan", "checkpoint", "remove"],
        middle: "checkpoint",
    },
    Operation {
        name: "set",
        line: &["-v", "set", "shop", "--memory", "3g", "--timeout", "90s"],
        before: Before::Running,
        phases: &["checkpoint", "stop", "container", "ready"],
        middle: "container",
    },
    Operation {
        name: "reset-password",
        line: &["-v", "reset-password", "shop"],
        before: Before::Running,
        phases: &["password", "login"],
        middle: "password",
    },
    Operation {
        name: "query",
        line: &["-v", "query", "shop", "WAITFOR DELAY '00:00:02'; SELECT 1"],
        before: Before::Running,
        phases: &[""],
        middle: "",
    },
    Operation {
        name: "logs",
        line: &["-v", "logs", "shop", "--follow"],
        before: Before::Running,
        phases: &[""],
        middle: "",
    },
    Operation {
        name: "run",
        line: &["-v", "run", "--accept-eula", "--", "sleep", "3"],
        before: Before::Nothing,
        phases: &["container", "ready", "endpoint"],
        middle: "ready",
    },
];

struct World {
    // In this order: the agent ends before its engine.
    home: Home,
    secrets: SecretService,
    dockerd: Dockerd,
    /// The user's disk: small enough to fill.
    disk: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.home.berth(&["agent", "stop", "--force"]);
        let _ = Command::new("umount").arg("-l").arg(&self.disk).status();
    }
}

/// Takes what is left of a disk.
fn fill(folder: &Path) -> PathBuf {
    let filler = folder.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    filler
}

impl World {
    fn new() -> Option<Self> {
        let dockerd = Dockerd::on_a_disk_of(700)?;
        let secrets = SecretService::start()?;
        let home = Home::with_secrets(&secrets);
        let disk = home.berth_home();
        fs::create_dir_all(&disk).unwrap();
        programs::run(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"])
                .arg(&disk),
        );
        let _ = home
            .berth(&["host", "add", "here", &dockerd.address()])
            .ok();
        Some(Self {
            home,
            secrets,
            dockerd,
            disk,
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
        let filler = self.inject(fault, &run, operation);
        if operation.name == "logs" {
            run.interrupt();
        }
        let code = run.code(LONG);
        self.mend(fault, filler);
        let said = run.stderr();
        let told = code == 0
            || code > 128
            || operation.name == "run"
            || said.contains("error:") && !said.contains("panicked");
        assert!(told, "{what}: a failure says what it is: {said}");

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

    fn inject(&mut self, fault: Fault, run: &Background, operation: &Operation) -> Option<PathBuf> {
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
            Fault::Host => self.dockerd.crash(),
            Fault::Image => {
                let mut remove = self.dockerd.command();
                let _ = remove.args(["rmi", "-f", OFFICIAL]).output();
            }
            Fault::FullHost => return Some(fill(&self.dockerd.data())),
            Fault::FullHere => return Some(fill(&self.disk)),
            Fault::Keychain => self.secrets.lock(),
            Fault::Hundred => {
                let mut all: Vec<_> = (0..HUNDRED)
                    .map(|_| Background::start(&self.home, operation.line))
                    .collect();
                for (n, one) in all.iter_mut().enumerate() {
                    if operation.name == "logs" {
                        one.interrupt();
                    }
                    let code = one.code(LONG * 4);
                    assert!(
                        [0, 3, 4].contains(&code) || operation.name == "logs",
                        "number {n} is told, or does the same: {code} {}",
                        one.stderr()
                    );
                }
            }
        }
        None
    }

    /// What the fault took comes back.
    fn mend(&mut self, fault: Fault, filler: Option<PathBuf>) {
        if let Some(filler) = filler {
            fs::remove_file(filler).unwrap();
        }
        match fault {
            Fault::Host => self.dockerd.start_again(),
            Fault::Image => self.dockerd.load_sql_image(),
            Fault::Keychain => {
                // It began anew, and the agent's session with it is gone.
                self.secrets.unlock();
            }
            _ => {}
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
        if matches!(
            operation.name,
            "query" | "logs" | "stop" | "set" | "start" | "reset-password"
        ) {
            // The fault may have stopped or cut off what it works on, and its data must be there.
            let _ = self.patiently(&["up", "shop", "--accept-eula"]).ok();
            let rows = ["query", "shop", "SELECT n FROM kept", "--csv"];
            let kept = self.home.berth_with(&rows, "", SOON).ok();
            assert_eq!(kept.stdout, "n\n1\n", "{what}: data is lost");
        }
        let ran = self.patiently(&line);
        let gone = operation.name == "remove" && ran.code == 3;
        assert!(
            ran.code == 0 || gone,
            "{what}: done again it ends with {}\n{}",
            ran.code,
            ran.stderr
        );
    }

    /// A dead command's operation goes on with the agent; whoever asks is told so, and waits.
    fn patiently(&self, line: &[&str]) -> Ran {
        let began = Instant::now();
        loop {
            let ran = self.home.berth_with(line, "", LONG);
            let busy = ran.code == 4 && ran.stderr.contains("being worked on");
            if !busy || began.elapsed() > SOON {
                return ran;
            }
        }
    }

    fn nothing_is_left(&self, what: &str) {
        let removed = self.patiently(&["remove", "shop", "--data", "delete"]);
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
    let mut failed = Vec::new();
    for operation in OPERATIONS {
        let all = operation
            .phases
            .iter()
            .flat_map(|phase| Fault::ALL.map(|fault| (*phase, fault)))
            .chain(Fault::ONCE.map(|fault| (operation.middle, fault)));
        for (phase, fault) in all {
            // One cell that fails leaves the others told, each in a world that is whole.
            let line = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                world.cell(operation, phase, fault)
            })) {
                Ok(line) => line,
                Err(_) => {
                    let what = format!("{} / {phase} / {}", operation.name, fault.words());
                    drop(world);
                    world = World::new().expect("it came up before");
                    failed.push(what);
                    continue;
                }
            };
            eprintln!("{line}");
            writeln!(table, "{line}").unwrap();
            fs::write(programs::root().join("docs/faults.md"), &table).unwrap();
        }
    }
    assert!(failed.is_empty(), "these cells failed: {failed:#?}");
}
