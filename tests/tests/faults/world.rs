//! One user with one host, and one cell of the matrix after another.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use berth_tests::rig::{self, Clock, Dockerd, Home, PracticeHost, Ran, SecretService, programs};

use crate::{
    fault::Fault,
    operation::{Before, Operation},
    place::{Full, Place, small_disk},
    support::{Background, keychain_items, pid_of, signal, status},
};

const SOON: Duration = Duration::from_secs(90);
/// Until a command gives up whose host is gone.
const LONG: Duration = Duration::from_secs(150);
const HUNDRED: usize = 100;

pub(crate) struct World {
    // In this order: the agent ends before its host.
    home: Home,
    secrets: SecretService,
    place: Place,
    clock: Clock,
    /// The user's disk: small enough to fill.
    disk: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.home.berth(&["agent", "stop", "--force"]);
        let _ = Command::new("umount").arg("-l").arg(&self.disk).status();
    }
}

impl World {
    /// A user with Docker's engine on this machine.
    pub(crate) fn with_engine() -> Option<Self> {
        Self::at(Place::Engine(Dockerd::on_a_disk_of(700)?))
    }

    /// A user with a Windows machine behind SSH.
    pub(crate) fn with_windows() -> Option<Self> {
        Self::at(Place::Windows(PracticeHost::start()))
    }

    fn at(place: Place) -> Option<Self> {
        let secrets = SecretService::start()?;
        let clock = Clock::right()?;
        let home = Home::with_secrets(&secrets);
        let disk = home.berth_home();
        small_disk(&disk, 16);
        place.add_to(&home);
        Some(Self {
            home,
            secrets,
            place,
            clock,
            disk,
        })
    }

    pub(crate) fn knows(&self, fault: Fault) -> bool {
        self.place.knows(fault)
    }

    /// Runs one cell of the matrix and says how it went.
    pub(crate) fn cell(&mut self, operation: &Operation, phase: &str, fault: Fault) -> String {
        let what = format!("{} / {phase} / {}", operation.name, fault.words());
        if fault.is_of_the_clock() {
            // The agent that runs goes by the machine's.
            let _ = self.home.berth(&["agent", "stop", "--force"]).ok();
            self.home.set_clock(Some(&self.clock));
        }
        self.prepare(operation.before);
        let mut run = Background::start(&self.home, operation.line);
        rig::wait_for(&format!("{what}: the phase"), SOON, || {
            let there = run.stderr().lines().any(|l| {
                phase.is_empty() && l.contains("agent") || l.trim_start().starts_with(phase)
            });
            (there || run.ended().is_some()).then_some(())
        });
        let in_time = run.ended().is_none();
        let full = self.inject(fault, &run, operation);
        if operation.name == "logs" {
            run.interrupt();
        }
        let code = run.code(LONG);
        self.mend(fault, full);
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
        if fault.is_of_the_clock() {
            let _ = self.home.berth(&["agent", "stop", "--force"]).ok();
            self.clock.set("+0");
            self.home.set_clock(None);
        }
        format!(
            "{} {} | {} | ended well |",
            line(operation, phase, fault),
            match (in_time, code) {
                (true, 0) => "ended well".to_owned(),
                (true, code) => format!("code {code}"),
                (false, _) => "it was over by then".to_owned(),
            },
            if state.is_empty() { "nothing" } else { &state },
        )
    }

    /// An engine that ended while it prepared the volume of a first start: what SQL Server writes to is root's still.
    pub(crate) fn cut_off_in_the_engine(&mut self) {
        let Place::Engine(dockerd) = &self.place else {
            panic!("only an engine here can be looked into");
        };
        let line = ["-v", "up", "shop", "--accept-eula"];
        let run = Background::start(&self.home, &line);
        rig::wait_for("the container to be made", SOON, || {
            run.stderr()
                .lines()
                .any(|l| l.trim_start().starts_with("container"))
                .then_some(())
        });
        let agent = status(&self.home).map(|s| pid_of(&s)).unwrap();
        signal("KILL", run.child.id());
        signal("KILL", agent);
        let volume = rig::wait_for("its volume", SOON, || {
            let folder = dockerd.data().join("volumes/berth-shop/_data");
            folder.is_dir().then_some(folder)
        });
        let stop = ["stop", "-t", "0", "berth-shop"];
        let _ = dockerd.command().args(stop).output();
        for (program, to) in [("chown", "root:root"), ("chmod", "0700")] {
            programs::run(Command::new(program).args(["-R", to]).arg(&volume));
        }
        let up = self.patiently(&line).ok();
        assert!(
            up.stderr.contains("made anew"),
            "nobody was ever let in, so nothing is lost: {}",
            up.stderr
        );
        let rows = self.home.berth(&["query", "shop", "SELECT 6 * 7"]).ok();
        assert!(rows.stdout.contains("42"), "{}", rows.stdout);
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

    fn inject(&mut self, fault: Fault, run: &Background, operation: &Operation) -> Option<Full> {
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
            Fault::Engine => self.place.restart(),
            Fault::Container => self.place.kill_containers(),
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
            Fault::Host => self.place.crash(),
            Fault::Image => self.place.remove_image(),
            Fault::FullHost => return Some(self.place.fill()),
            Fault::FullHere => return Some(Full::of(&self.disk)),
            Fault::Keychain => self.secrets.lock(),
            Fault::Ahead => self.clock.set("+1d"),
            Fault::Back => self.clock.set("-1d"),
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
    fn mend(&mut self, fault: Fault, full: Option<Full>) {
        if let Some(full) = full {
            full.make_room();
        }
        match fault {
            Fault::Host => self.place.come_back(),
            Fault::Image => self.place.bring_image(),
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
                let clean = self.place.is_empty()
                    && keychain_items(&self.secrets) == 0
                    && TcpListener::bind(("127.0.0.1", 14330)).is_ok();
                clean.then_some(())
            },
        );
        let left: Vec<_> = fs::read_dir(self.home.temporary())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            left.is_empty(),
            "{what}: temporary files are left: {left:?}"
        );
        rig::wait_for(
            &format!("{what}: no process but the agent to be left"),
            SOON,
            || {
                let agent = status(&self.home).map(|s| pid_of(&s));
                self.home
                    .processes()
                    .into_iter()
                    .all(|pid| Some(pid) == agent)
                    .then_some(())
            },
        );
    }
}

/// How the line of a cell begins.
pub(crate) fn line(operation: &Operation, phase: &str, fault: Fault) -> String {
    format!(
        "| {} | {} | {} |",
        operation.name,
        if phase.is_empty() { "under way" } else { phase },
        fault.words()
    )
}
