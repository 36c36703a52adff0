//! `berth run`: a private instance for one command. Whatever way the command goes, nothing of it is left.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use berth_tests::rig::{self, Dockerd, Home, PracticeHost, drivers, programs};
use serde_json::json;
use support::{Background, pid_of, signal, status, text};

const SOON: Duration = Duration::from_secs(60);

/// A user without any keychain, who knows a Windows host.
struct World {
    // In this order: the agent ends before its host.
    home: Home,
    _host: PracticeHost,
    files: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let (home, host) = (Home::new(), PracticeHost::start());
        let _ = home.add("win", &host);
        Self {
            home,
            _host: host,
            files: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// A run that writes its environment to a file, and ends when it is told to.
    fn start(&self, name: &str) -> Background {
        let script = format!(
            "env > '{0}/{name}.part' && mv '{0}/{name}.part' '{0}/{name}.env'; while [ ! -e '{0}/{name}.go' ]; do sleep 0.05; done; exit 3",
            self.files.path().display()
        );
        let run = ["run", "--accept-eula", "--database", "app", "--lease", "1h"];
        Background::start(
            &self.home,
            &[&run[..], &["--", "sh", "-c", &script]].concat(),
        )
    }

    /// What the command of a run found, once it runs.
    fn environment(&self, name: &str, run: &mut Background) -> BTreeMap<String, String> {
        let file = self.file(&format!("{name}.env"));
        rig::wait_for("the command to run", SOON, || {
            assert!(run.ended().is_none(), "it ended early: {}", run.stderr());
            file.exists().then_some(())
        });
        fs::read_to_string(file)
            .unwrap()
            .lines()
            .filter_map(|l| l.split_once('='))
            .filter(|(k, _)| k.starts_with("BERTH_"))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    }

    fn go(&self, name: &str) {
        fs::write(self.file(&format!("{name}.go")), "").unwrap();
    }

    fn instances(&self) -> usize {
        let all = self.home.berth(&["list", "--json"]).ok().json();
        all["instances"].as_array().unwrap().len()
    }

    fn nothing_is_left(&self, after: &str) {
        rig::wait_for(&format!("nothing to be left after {after}"), SOON, || {
            (self.instances() == 0).then_some(())
        });
    }
}

fn opens(string: &str) -> bool {
    drivers::tiberius(string, "SELECT 40 + 2") == Ok(vec![vec![json!(42)]])
}

fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path)
            .is_ok_and(|b| b.windows(text.len()).any(|part| part == text.as_bytes()))
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_command_finds_its_own_server_and_leaves_nothing() {
    let world = World::new();
    let mut run = world.start("one");
    let found = world.environment("one", &mut run);
    assert!(
        opens(&found["BERTH_CONNECTION_STRING"]),
        "the string must work as soon as the command has it"
    );
    assert_eq!(found["BERTH_HOST"], "127.0.0.1");
    assert_eq!(found["BERTH_USER"], "app_app");
    for (variable, part) in [
        ("BERTH_CONNECTION_STRING", &found["BERTH_PASSWORD"]),
        ("BERTH_ODBC", &found["BERTH_PASSWORD"]),
        ("BERTH_JDBC_URL", &found["BERTH_PORT"]),
    ] {
        assert!(found[variable].contains(part.as_str()), "{variable}");
    }
    assert_eq!(
        files_with(&world.home.berth_home(), &found["BERTH_PASSWORD"]),
        Vec::<PathBuf>::new(),
        "this password is in memory only"
    );
    world.go("one");
    assert_eq!(run.code(SOON), 3, "the command's code is passed through");
    assert_eq!((run.stdout().as_str(), run.stderr().as_str()), ("", ""));
    assert_eq!(
        world.instances(),
        0,
        "when the command has ended its instance is gone already: a CI system kills what stays behind"
    );
}

#[test]
fn a_run_that_is_killed_leaves_nothing() {
    let world = World::new();
    let mut run = world.start("killed");
    let _ = world.environment("killed", &mut run);
    signal("KILL", run.child.id());
    world.nothing_is_left("the end of its process");
    world.go("killed");
}

#[test]
fn a_run_outlives_its_agent() {
    let world = World::new();
    let mut run = world.start("agent");
    let found = world.environment("agent", &mut run);
    signal("KILL", pid_of(&status(&world.home).unwrap()));
    rig::wait_for("the string to work again", SOON, || {
        opens(&found["BERTH_CONNECTION_STRING"]).then_some(())
    });
    world.go("agent");
    assert_eq!(run.code(SOON), 3);
    assert_eq!(world.instances(), 0, "the new agent removes it");
}

#[test]
fn where_command_and_agent_are_killed_the_next_agent_removes_the_instance() {
    let world = World::new();
    let mut run = world.start("both");
    let _ = world.environment("both", &mut run);
    signal("KILL", pid_of(&status(&world.home).unwrap()));
    signal("KILL", run.child.id());
    assert_eq!(
        world.instances(),
        1,
        "its command may come back, so it is not removed at once"
    );
    world.nothing_is_left("command and agent were killed");
    world.go("both");
}

#[test]
fn ten_at_once_do_not_disturb_each_other() {
    let world = World::new();
    let names: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    let mut runs: Vec<_> = names.iter().map(|n| world.start(n)).collect();
    let mut ports = Vec::new();
    for (name, run) in names.iter().zip(&mut runs) {
        let found = world.environment(name, run);
        assert!(opens(&found["BERTH_CONNECTION_STRING"]), "{name}");
        ports.push(found["BERTH_PORT"].clone());
    }
    ports.sort();
    ports.dedup();
    assert_eq!(ports.len(), 10, "each has a server of its own");
    for name in &names {
        world.go(name);
    }
    for run in &mut runs {
        assert_eq!(run.code(SOON), 3, "{}", run.stderr());
    }
    assert_eq!(world.instances(), 0);
}

#[test]
fn own_failures_are_not_taken_for_the_commands() {
    let home = Home::new();
    let there = tempfile::tempdir().unwrap();
    let file = there.path().join("plain");
    fs::write(&file, "x").unwrap();
    let file = text(&file);
    for (arguments, code) in [
        (vec!["run", "--", "no-such-command-here"], 127),
        (vec!["run", "--", &file], 126),
        (vec!["run", "--", "/"], 126),
        (vec!["run"], 125),
        (vec!["run", "--lease", "soon", "--", "true"], 125),
        (vec!["run", "--host", "nowhere", "--", "true"], 125),
        (vec!["run", "--json-events", "77", "--", "true"], 125),
    ] {
        let ran = home.berth(&arguments).code(code);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    let listed = home.berth(&["list", "--json"]).ok().json();
    assert_eq!(listed["instances"], json!([]));
}

#[test]
fn signals_input_and_output_are_the_commands() {
    let home = Home::new();
    fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["run", "--host", "practice"], more].concat()
    }
    let piped = home.berth_with(&run(&["--", "cat"]), "one\ntwo", SOON).ok();
    assert_eq!(
        (piped.stdout.as_str(), piped.stderr.as_str()),
        ("one\ntwo", ""),
        "not a byte more or less"
    );

    let script = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut waits = Background::start(&home, &run(&["--", "sh", "-c", script]));
    rig::wait_for("the command to run", SOON, || {
        (waits.stdout() == "ready\n").then_some(())
    });
    signal("TERM", waits.child.id());
    assert_eq!(waits.code(SOON), 5, "{}", waits.stderr());
    assert_eq!(waits.stdout(), "ready\ngot\n");

    let killed = home.berth_with(&run(&["--", "sh", "-c", "kill -KILL $$"]), "", SOON);
    assert_eq!(killed.code, 137, "as a shell tells it");
    let listed = home.berth(&["list", "--json"]).ok().json();
    assert_eq!(listed["instances"], json!([]));
}

#[test]
fn a_command_on_a_terminal_has_the_terminal() {
    let Some(script) = programs::find("script") else {
        rig::skip("a terminal needs `script` of util-linux");
        return;
    };
    let home = Home::new();
    let line = format!(
        "'{}' run --host practice -- sh -c 'test -t 0 && test -t 1 && test -t 2 && echo on a terminal'",
        text(&programs::built("berth"))
    );
    let mut command = home.command(&script);
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let ran = rig::home::run(&mut command, "", SOON).ok();
    assert!(ran.stdout.contains("on a terminal"), "{}", ran.stdout);
}

#[test]
fn what_happens_is_told_to_a_descriptor_of_the_callers() {
    let home = Home::new();
    let there = tempfile::tempdir().unwrap();
    let file = there.path().join("events");
    let script = format!(
        "'{}' run --host practice --json-events 3 -- sh -c 'echo $BERTH_PASSWORD; exit 4' 3>'{}'",
        text(&programs::built("berth")),
        file.display()
    );
    let mut command: Command = home.command(Path::new("/bin/sh"));
    command.args(["-c", &script]);
    let ran = rig::home::run(&mut command, "", SOON).code(4);
    let told = fs::read_to_string(file).unwrap();
    let events: Vec<String> = told
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap())
        .map(|e| e["event"].as_str().unwrap().to_owned())
        .filter(|e| e != "operation")
        .collect();
    assert_eq!(events, ["ready", "started", "ended", "removed"]);
    assert!(
        !told.contains(ran.line()) && ran.line().len() > 20,
        "the password is the command's alone"
    );
}

#[test]
fn what_is_over_by_its_label_is_removed_by_any_berth_and_nothing_else_is() {
    let Some(dockerd) = Dockerd::with_sql_image() else {
        return;
    };
    let home = Home::new();
    let _ = home
        .berth(&["host", "add", "here", &dockerd.address()])
        .ok();
    let make = |name: &str, lease: &str, data: &str| {
        let labels = [
            format!("dev.berth.id=id-{name}"),
            format!("dev.berth.name={name}"),
            "dev.berth.port=15000".to_owned(),
            "dev.berth.owner=somebody@else".to_owned(),
            format!("dev.berth.lease={lease}"),
            format!("dev.berth.data={data}"),
        ];
        let container = format!("berth-{name}");
        let mut line = vec!["create", "--name", &container];
        for label in &labels {
            line.extend(["--label", label]);
        }
        line.push(rig::sql_image::OFFICIAL);
        let _ = dockerd.docker(&line);
    };
    make("over", "1000000000", "throwaway");
    make("later", "9000000000", "throwaway");
    make("kept", "1000000000", "keep");
    rig::wait_for("what is over to be gone", SOON, || {
        let _ = home.berth(&["list"]).ok();
        (!dockerd
            .docker(&["ps", "-aq", "-f", "name=berth-over"])
            .contains(char::is_alphanumeric))
        .then_some(())
    });
    let mut left: Vec<String> = dockerd
        .docker(&["ps", "-a", "--format", "{{.Names}}"])
        .lines()
        .map(str::to_owned)
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["berth-kept", "berth-later"],
        "a clock takes away what was promised to end, and never kept data"
    );
}

/// The code of a block of `docs/automation.md` that begins with this comment.
fn example(first_line: &str) -> String {
    let text = fs::read_to_string(programs::root().join("docs/automation.md")).unwrap();
    let start = text.find(first_line).unwrap();
    let end = text[start..].find("```").unwrap();
    text[start..start + end].to_owned()
}

#[test]
fn the_example_for_pytest_passes() {
    let (Some(python), Some(odbc)) = (
        programs::fetched("drivers/bin/python3"),
        programs::fetched("odbc"),
    ) else {
        rig::skip("pytest was not fetched: `tests/prepare/drivers.sh` does it");
        return;
    };
    let home = Home::new();
    fs::write(
        home.path().join("test_orders.py"),
        example("# test_orders.py"),
    )
    .unwrap();
    let mut command = home.command(&programs::built("berth"));
    command
        .env("ODBCSYSINI", odbc)
        .args(["run", "--host", "practice", "--database", "app", "--"])
        .arg(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    let ran = rig::home::run(&mut command, "", SOON).ok();
    assert!(ran.stdout.contains("1 passed"), "{}", ran.stdout);
}

/// Runs the example for Node by `program` with `arguments`, which report on standard output or standard error.
fn example_for_node(program: &str, arguments: &[&str], passed: &str) {
    let (Some(node), Some(packages)) = (programs::find("node"), programs::fetched("node")) else {
        rig::skip("Node's drivers were not fetched: `tests/prepare/drivers.sh` does it");
        return;
    };
    let home = Home::new();
    fs::write(
        home.path().join("orders.test.js"),
        example("// orders.test.js"),
    )
    .unwrap();
    fs::write(home.path().join("package.json"), "{}").unwrap();
    let modules = packages.join("node_modules");
    let mut command = home.command(&programs::built("berth"));
    command
        .env("NODE_PATH", &modules)
        .args(["run", "--host", "practice", "--database", "app", "--"])
        .arg(node);
    if !program.is_empty() {
        command.arg(modules.join(program));
    }
    let ran = rig::home::run(command.args(arguments), "", SOON).ok();
    assert!(
        format!("{}{}", ran.stdout, ran.stderr).contains(passed),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn the_example_for_node_passes() {
    example_for_node("", &["--test", "orders.test.js"], "# pass 1");
}

#[test]
fn the_example_for_jest_passes() {
    example_for_node(
        "jest/bin/jest.js",
        &["--cacheDirectory", "jest"],
        "Tests:       1 passed, 1 total",
    );
}

#[test]
fn a_script_fills_a_new_server_before_its_command_sees_it() {
    let home = Home::new();
    let folder = home.path();
    fs::write(
        folder.join("good.sql"),
        "CREATE TABLE t (n int)\nGO\nINSERT t VALUES (5)\nGO\n",
    )
    .unwrap();
    fs::write(
        folder.join("bad.sql"),
        "SELECT 1\nGO\nSELECT * FROM nowhere\n",
    )
    .unwrap();
    let good = text(&folder.join("good.sql"));
    let bad = text(&folder.join("bad.sql"));
    let line = [
        "run",
        "--host",
        "practice",
        "--database",
        "app",
        "--init",
        &good,
    ];
    let berth = text(&programs::built("berth"));
    let script = format!(
        "name=$('{berth}' list --json | sed -n 's/.*\"name\": \"\\(.*\\)\",/\\1/p'); '{berth}' query $name 'SELECT n FROM t' --csv"
    );
    let ran = home
        .berth_with(
            &[&line[..], &["--", "sh", "-c", &script]].concat(),
            "",
            SOON,
        )
        .ok();
    assert_eq!(ran.stdout, "n\n5\n", "{}", ran.stderr);
    let line = [
        "run",
        "--host",
        "practice",
        "--database",
        "app",
        "--init",
        &bad,
    ];
    let refused = home
        .berth_with(&[&line[..], &["--", "echo", "seen"]].concat(), "", SOON)
        .code(125);
    assert!(
        refused.stdout.is_empty() && refused.stderr.contains("nowhere"),
        "the command must not see a server that is half filled: {}",
        refused.stderr
    );
    let listed = home.berth(&["list", "--json"]).ok().json();
    assert_eq!(listed["instances"], json!([]));
}

/// Kills `berth run`, and sometimes its agent too, `times` times at moments spread over its whole life.
fn killed_at_random(times: u32) {
    let Some(dockerd) = Dockerd::with_sql_image() else {
        return;
    };
    let home = Home::new();
    let _ = home
        .berth(&["host", "add", "here", &dockerd.address()])
        .ok();
    // How long one takes here and now, so that the moments meet every phase on any machine.
    let line = [
        "run",
        "--accept-eula",
        "--database",
        "app",
        "--",
        "sleep",
        "0.3",
    ];
    let whole = home.berth_with(&line, "", SOON).ok().took;
    // A fixed sequence: what fails once fails again.
    let mut dice: u32 = 0x2026_1122;
    for n in 0..times {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = whole.mul_f64(f64::from(dice >> 8) / f64::from(1 << 24));
        let mut run = Background::start(&home, &line);
        std::thread::sleep(at);
        let both = n % 10 == 4;
        if both && let Some(agent) = status(&home).map(|s| pid_of(&s)) {
            signal("KILL", agent);
        }
        signal("KILL", run.child.id());
        let _ = run.code(SOON);
        rig::wait_for(
            &format!("nothing to be left, {n}: {at:?} of {whole:?}, the agent too: {both}"),
            SOON,
            || {
                let _ = home.berth(&["list"]);
                let there =
                    dockerd.docker(&["ps", "-aq"]) + &dockerd.docker(&["volume", "ls", "-q"]);
                there.is_empty().then_some(())
            },
        );
    }
    let held = home.berth(&["agent", "status", "--json"]).ok().json();
    assert_eq!(
        held["endpoints"],
        json!([]),
        "no port is held for what is gone"
    );
    assert_eq!(
        fs::read_dir(home.berth_home().join("passwords")).map_or(0, Iterator::count),
        0
    );
}

#[test]
fn killed_at_a_few_moments_a_run_leaves_nothing() {
    killed_at_random(5);
}

#[test]
#[ignore = "soak: a hundred runs, each killed at another moment"]
fn killed_at_a_hundred_moments_a_run_leaves_nothing() {
    killed_at_random(100);
}
