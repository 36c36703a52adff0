//! The scripts for Windows, checked by PowerShell's own parser against Microsoft's reference of cmdlets, and really
//! run by its engine on a played Windows Server (`tests/windows/world.ps1`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use berth_core::{
    powershell,
    prepare::{self, How, Id, Look, Pair, Wish},
};
use berth_practice::{
    door,
    machine::{
        Machine, Model,
        fault::Faults,
        windows::{World, script},
    },
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const KEY: &str = "ssh-ed25519 AAAAC3Nza somebody";
/// The certificates of the engine's listener; no script looks into them.
const CA: &str = "-----BEGIN CERTIFICATE-----\nauthority\n";
const CERT: &str = "-----BEGIN CERTIFICATE-----\nengine\n";
const TLS_KEY: &str = "-----BEGIN PRIVATE KEY-----\nengine\n";

fn tools() -> Option<PathBuf> {
    let beside = Path::new(HERE).join("../../shared/tools/dotnet");
    let folder = std::env::var_os("BERTH_TOOLS").map_or(beside, PathBuf::from);
    if folder.join("powershell").exists() {
        return folder.canonicalize().ok();
    }
    berth_tests::rig::skip("PowerShell's engine is not here (BERTH_TOOLS)");
    None
}

#[test]
fn every_script_is_valid_on_every_windows_server() {
    let Some(tools) = tools() else { return };
    // What the code builds travels inside its envelope; the loader is the only one that no file holds.
    let folder = tempfile::tempdir().unwrap();
    let loader = powershell::command_with_input(powershell::LOADER).unwrap();
    let text = powershell::decode(loader.rsplit(' ').next().unwrap()).unwrap();
    fs::write(folder.path().join("loader.ps1"), text).unwrap();
    let scripts = Path::new(HERE).join("../installers/windows");
    for server in ["2019", "2022", "2025"] {
        let checked = Command::new(tools.join("pwsh"))
            .arg("--check")
            .arg(&scripts)
            .arg(Path::new(HERE).join("windows"))
            .arg(folder.path())
            .args(["--server", server])
            .output()
            .unwrap();
        assert!(
            checked.status.success(),
            "Windows Server {server}: {}{}",
            String::from_utf8_lossy(&checked.stdout),
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}

/// A played Windows for the real scripts.
struct Played {
    tools: PathBuf,
    folder: tempfile::TempDir,
}

/// How a run of a script is disturbed: at the N-th passage through a played cmdlet.
#[derive(Clone, Copy, Default)]
struct Disturbed {
    cut: Option<usize>,
    fail: Option<usize>,
}

impl Played {
    fn new(tools: &Path, world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["C/ProgramData/ssh", "C/Program Files", "programs"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for name in ["docker.exe", "dockerd.exe"] {
            let file = at("programs").join(name);
            fs::copy(Path::new(HERE).join("windows/programs.sh"), &file).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(at("engine-version"), "29.7.2").unwrap();
        let mut shape = serde_json::to_value(world).unwrap();
        shape["acl"] = json!({});
        shape["played_task"] = Value::Null;
        if world.services.contains_key("docker") {
            fs::write(at("registered"), "").unwrap();
        }
        if world.engine_runs() {
            fs::write(at("engine-runs"), "").unwrap();
        }
        if world.engine.is_some() {
            let folder = at("C/Program Files/docker");
            fs::create_dir_all(&folder).unwrap();
            for name in ["docker.exe", "dockerd.exe"] {
                fs::copy(at("programs").join(name), folder.join(name)).unwrap();
            }
        }
        fs::write(at("world.json"), shape.to_string()).unwrap();
        for (path, text) in &world.files {
            let file = at(&path.replace(":\\", "/").replace('\\', "/"));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self {
            tools: tools.to_owned(),
            folder,
        }
    }

    fn command(&self, disturbed: Disturbed) -> Command {
        let mut command = Command::new(self.tools.join("powershell"));
        command
            .env("PRACTICE_ROOT", self.folder.path())
            .env("PRACTICE_WORLD", Path::new(HERE).join("windows/world.ps1"))
            .env("PROCESSOR_ARCHITECTURE", "AMD64")
            .env_remove("WORLD_CUT")
            .env_remove("WORLD_FAIL")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(n) = disturbed.cut {
            command.env("WORLD_CUT", n.to_string());
        }
        if let Some(n) = disturbed.fail {
            command.env("WORLD_FAIL", n.to_string());
        }
        command
    }

    /// Runs the script as it travels; `None` where it was cut off.
    fn run(&self, given: &Value, disturbed: Disturbed) -> Option<Result<Value, String>> {
        let line = powershell::command_with_input(powershell::LOADER).unwrap();
        let mut child = self
            .command(disturbed)
            .args(line.split(' ').skip(1))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let input = powershell::input_line(&powershell::loaded(powershell::PREPARE, given));
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let status = output.status.code()?;
        Some(
            powershell::answer(&output.stdout, &output.stderr, u32::try_from(status).ok())
                .map_err(|e| format!("{e:?}")),
        )
    }

    /// What Berth asks a machine before it uses it.
    fn probe(&self) -> Value {
        let line = powershell::command(powershell::PROBE).unwrap();
        let output = self
            .command(Disturbed::default())
            .env("NUMBER_OF_PROCESSORS", "4")
            .args(line.split(' ').skip(1))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        powershell::answer(&output.stdout, &output.stderr, Some(0)).unwrap()
    }

    /// What Windows does when the scheduled task was started.
    fn task(&self, disturbed: Disturbed) {
        let file = self.folder.path().join("C/ProgramData/Berth/work.ps1");
        let output = self
            .command(disturbed)
            .args([
                "-NoProfile",
                "-NonInteractive",
                "-ExecutionPolicy",
                "Bypass",
                "-File",
            ])
            .arg(file)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        drop(output);
    }

    fn world(&self) -> Value {
        serde_json::from_slice(&fs::read(self.folder.path().join("world.json")).unwrap()).unwrap()
    }

    fn task_runs(&self) -> bool {
        self.world()["played_task"]["state"] == "Running"
    }

    fn restart(&self, now: DateTime<Utc>) {
        let mut world = self.world();
        world["boot"] = json!(now);
        if world["feature"] == "EnablePending" {
            world["feature"] = json!("Enabled");
            for name in ["hns", "vmcompute"] {
                world["services"][name] = json!({ "status": "Running", "start": "Manual" });
            }
        }
        fs::write(self.folder.path().join("world.json"), world.to_string()).unwrap();
        let file = self.folder.path().join("registry.json");
        let mut registry: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        registry
            .as_object_mut()
            .unwrap()
            .retain(|key, _| !key.contains("RebootPending"));
        fs::write(file, registry.to_string()).unwrap();
    }

    fn passages(&self) -> usize {
        fs::read_to_string(self.folder.path().join("passages.txt"))
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    }

    fn look(&self) -> (Value, Look) {
        let said = self
            .run(
                &json!({ "do": "look", "want": { "key": KEY } }),
                Disturbed::default(),
            )
            .unwrap()
            .unwrap();
        let look = Look::parse(&said).unwrap();
        (said, look)
    }

    /// Takes one step as Berth does, disturbed or not.
    fn take(
        &self,
        id: Id,
        look: &Look,
        wish: &Wish,
        disturbed: Disturbed,
    ) -> Option<Result<Value, String>> {
        let given = |what: &str| json!({ "do": what, "step": id.as_str(), "id": "1", "want": wanted(id, look, wish) });
        match id.how() {
            How::Now => self.run(&given("apply"), disturbed),
            How::Task => {
                let started = self.run(&given("start"), Disturbed::default());
                self.task(disturbed);
                started
            }
            How::Restart => {
                let told = self.run(&json!({ "do": "restart" }), Disturbed::default());
                self.restart(Utc::now());
                told
            }
        }
    }
}

fn wish() -> Wish {
    Wish {
        key: Some(KEY.to_owned()),
        pair: Some(Pair {
            ca: Some(CA.to_owned()),
            server: Some(CERT.to_owned()),
            ending: None,
        }),
        ..Wish::default()
    }
}

/// What a step is given: the certificates that one alone.
fn wanted(id: Id, look: &Look, wish: &Wish) -> Value {
    let mut want = prepare::want(look, wish);
    if id == Id::Tls {
        want["tls"] = json!({ "ca": CA, "cert": CERT, "key": TLS_KEY });
    }
    want
}

/// What differs between two machines by their nature: clocks, and what a test machine's PowerShell calls itself.
fn comparable(mut said: Value) -> Value {
    for name in ["boot", "ps", "work"] {
        said.as_object_mut().unwrap().remove(name);
    }
    said
}

#[test]
fn the_probe_and_the_practice_host_say_the_same() {
    let Some(tools) = tools() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for machine in [Machine::Ready, Machine::Bare2019, Machine::Bare2025] {
        let folder = tempfile::tempdir().unwrap();
        let boot = Model::boot(folder.path(), machine, Vec::new());
        let model = runtime.block_on(boot).unwrap();
        let asked = powershell::compact(powershell::PROBE);
        let (printed, _) = door::powershell::answer(&model, &asked, b"").unwrap();
        let mut said = powershell::answer(printed.as_bytes(), b"", Some(0)).unwrap();
        let mut real = Played::new(&tools, &model.windows().read(Clone::clone)).probe();
        // Clocks, and what a test machine's PowerShell calls itself.
        for name in ["boot", "now", "ps"] {
            for one in [&mut said, &mut real] {
                assert!(
                    one.as_object_mut().unwrap().remove(name).is_some(),
                    "{name}"
                );
            }
        }
        assert_eq!(real, said, "{machine:?}: one world, two answers");
        runtime.block_on(model.shut_down());
    }
}

#[test]
#[ignore = "soak: PowerShell starts some sixty times"]
fn the_real_script_and_the_practice_host_say_the_same_all_the_way() {
    let Some(tools) = tools() else { return };
    for world in [
        World::bare(17763, "Windows Server 2019 Datacenter"),
        World::bare(26100, "Windows Server 2025 Datacenter"),
    ] {
        let played = Played::new(&tools, &world);
        let mut practice = world;
        let faults = Faults::new(Vec::new());
        // A task is over by the time that anybody asks again.
        let ask = |practice: &mut World, given: &Value| {
            script::run(practice, given, Utc::now(), &faults).unwrap()
        };
        for _ in 0..12 {
            let (real, look) = played.look();
            let said = ask(
                &mut practice,
                &json!({ "do": "look", "want": { "key": KEY } }),
            );
            assert_eq!(comparable(real), comparable(said), "one world, two answers");
            let plan = prepare::plan(&look, &wish());
            assert_eq!(plan.refusals, []);
            let Some(step) = plan.next() else { break };
            let id = step.id;
            played
                .take(id, &look, &wish(), Disturbed::default())
                .unwrap()
                .unwrap();
            let want = wanted(id, &look, &wish());
            if id == Id::Restart {
                ask(&mut practice, &json!({ "do": "restart" }));
                practice.restarted(Utc::now());
            } else if id.how() == How::Task {
                let given = json!({ "do": "start", "step": id.as_str(), "id": "1", "want": want });
                let (then, now) = (Utc::now() - chrono::Duration::seconds(5), Utc::now());
                script::run(&mut practice, &given, then, &faults).unwrap();
                let poll = json!({ "do": "poll" });
                let said = script::run(&mut practice, &poll, now, &faults).unwrap();
                let real = played.run(&poll, Disturbed::default()).unwrap().unwrap();
                assert_eq!(real["task"], said["task"], "the task is gone");
                for part in ["id", "step", "phase", "message"] {
                    assert_eq!(real["work"][part], said["work"][part], "{id:?}: {part}");
                }
            } else {
                ask(
                    &mut practice,
                    &json!({ "do": "apply", "step": id.as_str(), "want": want }),
                );
            }
        }
        let (_, look) = played.look();
        assert!(prepare::plan(&look, &wish()).is_done(), "{look:?}");
        assert_eq!(
            played.world()["engine_tls"],
            serde_json::to_value(&practice.engine_tls).unwrap(),
            "both engines listen with the same certificates"
        );
        for step in prepare::undo(&look) {
            let (_, look) = played.look();
            let given = json!({ "do": "undo", "step": step, "want": prepare::want_back(&look) });
            let real = played.run(&given, Disturbed::default()).unwrap().unwrap();
            assert_eq!(
                real,
                ask(&mut practice, &given),
                "{step}: one world, two answers"
            );
            let (real, _) = played.look();
            let said = ask(
                &mut practice,
                &json!({ "do": "look", "want": { "key": KEY } }),
            );
            assert_eq!(
                comparable(real),
                comparable(said),
                "after {step} is taken back"
            );
        }
    }
}

/// Prepares a played machine, each step disturbed once at a passage of its own, then goes on undisturbed.
fn prepared_in_spite_of(tools: &Path, disturb: impl Fn(usize) -> Disturbed, every: usize) {
    let played = Played::new(tools, &World::default());
    let mut steps = 0;
    while steps < 30 {
        steps += 1;
        let (_, look) = played.look();
        if played.task_runs() {
            // The machine restarts, and the task begins again with Windows.
            played.task(Disturbed::default());
            continue;
        }
        let plan = prepare::plan(&look, &wish());
        let Some(step) = plan.next() else { break };
        if steps % every == 0 {
            played.take(step.id, &look, &wish(), disturb(steps));
            if played.task_runs() {
                continue;
            }
            let (_, look) = played.look();
            let again = prepare::plan(&look, &wish());
            if let Some(next) = again.next() {
                played.take(next.id, &look, &wish(), Disturbed::default());
            }
        } else {
            played.take(step.id, &look, &wish(), Disturbed::default());
        }
    }
    let (said, look) = played.look();
    let plan = prepare::plan(&look, &wish());
    assert!(plan.is_done(), "it always ends prepared: {plan:?} {said}");
    let keys = fs::read_to_string(
        played
            .folder
            .path()
            .join("C/ProgramData/ssh/administrators_authorized_keys"),
    )
    .unwrap();
    assert_eq!(keys, format!("{KEY}\n"), "once, however often it was tried");
}

#[test]
#[ignore = "soak: PowerShell starts some sixty times"]
fn cut_off_or_failing_it_ends_prepared() {
    let Some(tools) = tools() else { return };
    prepared_in_spite_of(
        &tools,
        |_| Disturbed {
            cut: Some(2),
            fail: None,
        },
        1,
    );
    prepared_in_spite_of(
        &tools,
        |_| Disturbed {
            cut: None,
            fail: Some(1),
        },
        1,
    );
}

#[test]
#[ignore = "soak: each step of a preparation is cut off and fails at every passage through Windows"]
fn cut_off_or_failing_anywhere_it_ends_prepared() {
    let Some(tools) = tools() else { return };
    for n in 1..=8 {
        prepared_in_spite_of(
            &tools,
            |_| Disturbed {
                cut: Some(n),
                fail: None,
            },
            1,
        );
        prepared_in_spite_of(
            &tools,
            |_| Disturbed {
                cut: None,
                fail: Some(n),
            },
            1,
        );
    }
}

#[test]
fn a_users_own_settings_come_through_prepare_and_unprepare() {
    let Some(tools) = tools() else { return };
    let mut world = World::default();
    let settings = "{\n  \"data-root\": \"D:\\\\docker\",\n  \"debug\": true\n}\n";
    world.files.insert(script::DAEMON.into(), settings.into());
    world
        .files
        .insert(script::KEYS.into(), "ssh-rsa AAAAB3 a colleague".into());
    let before = world.clone();
    let played = Played::new(&tools, &world);
    for _ in 0..12 {
        let (_, look) = played.look();
        let plan = prepare::plan(&look, &wish());
        let Some(step) = plan.next() else { break };
        played
            .take(step.id, &look, &wish(), Disturbed::default())
            .unwrap()
            .unwrap();
    }
    let (_, look) = played.look();
    assert!(prepare::plan(&look, &wish()).is_done(), "{look:?}");
    let read = |path: &str| fs::read(played.folder.path().join(path)).unwrap();
    let daemon = read("C/ProgramData/docker/config/daemon.json");
    assert_ne!(
        daemon.first(),
        Some(&0xEF),
        "dockerd does not read over a byte order mark"
    );
    let daemon: Value = serde_json::from_slice(&daemon).unwrap();
    assert_eq!(daemon["data-root"], "D:\\docker", "a user's own key stays");
    assert_eq!(daemon["shutdown-timeout"], 120);
    assert_eq!(daemon["tlsverify"], true);
    let about = |name: &str| read(&format!("C/ProgramData/Berth/tls/{name}.pem"));
    assert_eq!(about("key"), TLS_KEY.as_bytes());
    let closed = played.world()["acl"][r"C:\ProgramData\Berth\tls"].to_string();
    assert!(
        closed.contains("D:P") && !closed.contains("BU"),
        "its key is its own: {closed}"
    );
    for step in prepare::undo(&look) {
        let given = json!({ "do": "undo", "step": step, "want": prepare::want_back(&look) });
        played.run(&given, Disturbed::default()).unwrap().unwrap();
    }
    assert_eq!(
        String::from_utf8(read("C/ProgramData/docker/config/daemon.json")).unwrap(),
        settings
    );
    assert_eq!(
        String::from_utf8(read("C/ProgramData/ssh/administrators_authorized_keys")).unwrap(),
        "ssh-rsa AAAAB3 a colleague\n"
    );
    assert_eq!(
        played.world()["rule"],
        serde_json::to_value(&before.rule).unwrap()
    );
    assert!(played.passages() > 0, "the played cmdlets were called");
}

#[test]
fn settings_that_were_changed_since_lose_our_listener_and_nothing_else() {
    let Some(tools) = tools() else { return };
    let mut world = World::prepared(20348, "Windows Server 2022 Datacenter", "29.7.2");
    world.files.insert(script::DAEMON.into(), "{}\n".into());
    world.services.get_mut("docker").unwrap().status = "Stopped".into();
    let played = Played::new(&tools, &world);
    for _ in 0..9 {
        let (_, look) = played.look();
        let plan = prepare::plan(&look, &wish());
        let Some(step) = plan.next() else { break };
        played
            .take(step.id, &look, &wish(), Disturbed::default())
            .unwrap()
            .unwrap();
    }
    let (_, look) = played.look();
    assert!(prepare::is_ready(&look, &wish()), "{look:?}");
    assert!(!look.tls.fresh, "the engine has read them");
    let file = played
        .folder
        .path()
        .join("C/ProgramData/docker/config/daemon.json");
    let mut settings: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    settings["mine"] = json!(true);
    fs::write(&file, settings.to_string()).unwrap();
    let (_, look) = played.look();
    for step in ["daemon", "tls"] {
        let given = json!({ "do": "undo", "step": step, "want": prepare::want_back(&look) });
        played.run(&given, Disturbed::default()).unwrap().unwrap();
    }
    let settings: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        settings,
        json!({ "mine": true, "shutdown-timeout": 120 }),
        "a file that names certificates which are gone would keep the engine from starting"
    );
    assert_eq!(
        played.world()["services"]["docker"]["status"],
        "Running",
        "it restarted without its listener"
    );
}

#[test]
fn broken_machines_are_recognised_by_name_and_the_practice_host_says_the_same() {
    let Some(tools) = tools() else { return };
    let broken = |change: &dyn Fn(&mut World)| {
        let mut world = World::prepared(20348, "Windows Server 2022 Datacenter", "29.7.2");
        // The engine does not run, and of what Berth did nothing is known.
        world.services.get_mut("docker").unwrap().status = "Stopped".into();
        world.engine = None;
        world.nat = false;
        change(&mut world);
        world
    };
    let mark = '\u{feff}';
    let cases: [(&str, World); 6] = [
        (
            "daemon-mark",
            broken(&|w| {
                w.files
                    .insert(script::DAEMON.into(), format!("{mark}{{\"debug\": true}}"));
            }),
        ),
        (
            "engine-group",
            broken(&|w| {
                w.engine_said = vec![
                    "failed to load listeners: unable to resolve group docker-users".into(),
                    "another line".into(),
                ];
            }),
        ),
        (
            "sshd-no-forwarding",
            broken(&|w| {
                w.files.insert(
                    script::SSHD.into(),
                    "AllowTcpForwarding no\nMatch Group administrators\n  AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys\n".into(),
                );
            }),
        ),
        (
            "sshd-keys-elsewhere",
            broken(&|w| {
                w.files.insert(
                    script::SSHD.into(),
                    "#Match Group administrators\nAuthorizedKeysFile .ssh/authorized_keys\n".into(),
                );
            }),
        ),
        (
            "key",
            broken(&|w| {
                w.files
                    .insert(script::KEYS.into(), format!("{mark}{KEY}\n"));
            }),
        ),
        ("ipv6-off", broken(&|w| w.ipv6 = Some(255))),
    ];
    for (name, mut world) in cases {
        let played = Played::new(&tools, &world);
        let (real, look) = played.look();
        let said = script::run(
            &mut world,
            &json!({ "do": "look", "want": { "key": KEY } }),
            Utc::now(),
            &Faults::new(Vec::new()),
        )
        .unwrap();
        for part in ["sshdConfig", "key", "daemon", "daemonMark"] {
            assert_eq!(real[part], said[part], "{name}: one world, two answers");
        }
        assert_eq!(
            real["engine"]["said"], said["engine"]["said"],
            "{name}: what the engine said last"
        );
        let ills = prepare::ills(&look, &wish());
        assert!(
            ills.iter()
                .any(|ill| ill.id == name && !ill.repair.is_empty()),
            "{name} is recognised: {ills:?}"
        );
    }
}
