//! Cut off in the middle: by Ctrl-C, by the death of the command, of the agent, of both. Whatever it was doing,
//! nothing is lost, nothing stays that `berth list` does not show, and what stays can be finished or removed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{net::TcpListener, time::Duration};

use berth_tests::rig::{self, Dockerd, Home, PracticeHost, SecretService};
use serde_json::Value;
use support::{Background, HeldEngine, Stand, gone, keychain_items, pid_of, signal, status};

const SOON: Duration = Duration::from_secs(30);

/// Every request of `up` that changes something, and those that stand for the phases around them.
const POINTS: &[(&str, &str, Stand)] = &[
    ("GET", "/containers/json", Stand::Before),
    ("GET", "/images/", Stand::Before),
    ("POST", "/volumes/create", Stand::Before),
    ("POST", "/volumes/create", Stand::After),
    ("POST", "/containers/create", Stand::Before),
    ("POST", "/containers/create", Stand::After),
    ("POST", "/start", Stand::Before),
    ("POST", "/start", Stand::After),
];

/// A container host, a user with a keychain, and a door between them that can be held shut.
struct World {
    // In this order: the agent ends before its engine.
    home: Home,
    held: HeldEngine,
    secrets: SecretService,
    dockerd: Dockerd,
}

impl World {
    fn new() -> Option<Self> {
        let dockerd = Dockerd::with_sql_image()?;
        let secrets = SecretService::start()?;
        let home = Home::with_secrets(&secrets);
        let held = HeldEngine::before(dockerd.socket());
        let _ = home.berth(&["host", "add", "mac", &held.address()]).ok();
        Some(Self {
            home,
            held,
            secrets,
            dockerd,
        })
    }

    /// Starts `up orders` and waits until it stands still at this request.
    fn up_to(&self, method: &str, path: &str, stand: Stand) -> Option<Background> {
        self.held.hold(method, path, stand);
        let mut up = Background::start(
            &self.home,
            &["-v", "up", "orders", "--accept-eula", "--timeout", "60s"],
        );
        rig::wait_for(&format!("{method} {path} to stand still"), SOON, || {
            (self.held.holds() || up.ended().is_some()).then_some(())
        });
        self.held.holds().then_some(up)
    }

    fn containers(&self) -> Vec<String> {
        lines(&self.dockerd.docker(&["ps", "-a", "--format", "{{.Names}}"]))
    }

    fn volumes(&self) -> Vec<String> {
        lines(&self.dockerd.docker(&["volume", "ls", "-q"]))
    }

    fn listed(&self) -> Vec<Value> {
        let all = self.home.berth(&["list", "--json"]).ok().json();
        all["instances"].as_array().unwrap().clone()
    }

    /// Nothing is left of `orders`, here or there.
    fn is_clean(&self, after: &str) {
        assert_eq!(
            self.containers(),
            [""; 0],
            "after {after}: a container is left"
        );
        assert_eq!(self.volumes(), [""; 0], "after {after}: a volume is left");
        assert!(
            self.listed().is_empty(),
            "after {after}: {:?}",
            self.listed()
        );
        rig::wait_for(
            &format!("no password that opens nothing, after {after}"),
            SOON,
            || (keychain_items(&self.secrets) == 0).then_some(()),
        );
        assert!(
            TcpListener::bind(("127.0.0.1", 14330)).is_ok(),
            "after {after}: its port is still held"
        );
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn ctrl_c_takes_away_what_was_made_so_far_wherever_it_comes() {
    let Some(world) = World::new() else { return };
    let mut reached = 0;
    for (method, path, stand) in POINTS {
        let what = format!("Ctrl-C {stand:?} {method} {path}");
        let Some(mut up) = world.up_to(method, path, *stand) else {
            continue;
        };
        reached += 1;
        up.interrupt();
        if (*path, *stand) != ("/containers/create", Stand::After) {
            rig::wait_for("the cancel to be taken", SOON, || {
                up.stderr().contains("Cancelling").then_some(())
            });
            world.held.release();
        }
        // Else the engine never answers again: nobody waits for it without a limit.
        let code = up.code(SOON);
        world.held.release();
        assert_eq!(
            (code, up.stdout().as_str()),
            (1, ""),
            "{what}: {}",
            up.stderr()
        );
        assert!(
            up.stderr().trim_end().ends_with("Cancelled"),
            "{what}: {}",
            up.stderr()
        );
        world.is_clean(&what);
        assert_eq!(status(&world.home).unwrap()["operations"], 0, "{what}");
    }
    assert!(
        reached == POINTS.len(),
        "every point must be reached, or this says little: {reached}"
    );
}

#[test]
fn an_agent_that_dies_anywhere_leaves_only_what_is_listed_and_can_be_removed() {
    let Some(world) = World::new() else { return };
    for (method, path, stand) in POINTS {
        let what = format!("SIGKILL {stand:?} {method} {path}");
        let Some(mut up) = world.up_to(method, path, *stand) else {
            continue;
        };
        let agent = pid_of(&status(&world.home).unwrap());
        signal("KILL", agent);
        gone("the agent", agent, SOON);
        world.held.release();
        assert_eq!(up.code(SOON), 1, "{what}");
        assert!(
            up.stderr().contains("agent"),
            "{what}: who waits is told: {}",
            up.stderr()
        );

        let listed = world.listed();
        let containers = world.containers();
        assert_eq!(
            listed.len(),
            containers.len(),
            "{what}: {listed:?} {containers:?}"
        );
        if let Some(one) = listed.first() {
            assert_eq!(one["name"], "orders");
            assert_eq!(
                one["unfinished"], true,
                "{what}: it must not be shown as if it were done: {one}"
            );
            let _ = world.home.berth(&["remove", "orders"]).ok();
        } else if world.volumes().is_empty() {
            // Nothing was made on the host: at most a password that opens nothing.
            assert!(keychain_items(&world.secrets) <= 1, "{what}");
        }
        assert!(world.containers().is_empty(), "{what}");
        // What cannot be listed, a volume without a container, is taken up by the next `up` of that name, or goes here.
        for volume in world.volumes() {
            assert_eq!(volume, "berth-orders", "{what}");
            let _ = world.dockerd.docker(&["volume", "rm", &volume]);
        }
    }
}

#[test]
fn up_again_finishes_what_was_cut_off_anywhere() {
    let Some(world) = World::new() else { return };
    for (method, path, stand) in POINTS {
        let what = format!("up again after SIGKILL {stand:?} {method} {path}");
        let Some(mut up) = world.up_to(method, path, *stand) else {
            continue;
        };
        let agent = pid_of(&status(&world.home).unwrap());
        // The command and the agent at once, as when a session ends.
        signal("KILL", up.child.id());
        signal("KILL", agent);
        gone("the agent", agent, SOON);
        let _ = up.code(SOON);
        world.held.release();
        let again = world.home.berth(&["-v", "up", "orders", "--accept-eula"]);
        assert_eq!(again.code, 0, "{what}: {}", again.stderr);
        let rows = rig::drivers::tiberius(again.line(), "SELECT 41 + 1");
        assert_eq!(rows, Ok(vec![vec![42.into()]]), "{what}: the string works");
        let listed = world.listed();
        assert_eq!(
            (listed.len(), &listed[0]["unfinished"]),
            (1, &Value::Bool(false)),
            "{what}: {listed:?}"
        );
        assert_eq!(keychain_items(&world.secrets), 1, "{what}");
        let _ = world
            .home
            .berth(&["remove", "orders", "--data", "delete"])
            .ok();
        world.is_clean(&what);
    }
}

/// `up` on a Windows host whose SQL Server is slow to start, stopped while it is waited for.
struct Slow {
    home: Home,
    secrets: SecretService,
    host: PracticeHost,
}

impl Slow {
    fn new(faults: &[&str]) -> Option<Self> {
        let secrets = SecretService::start()?;
        let home = Home::with_secrets(&secrets);
        let host = PracticeHost::with(faults);
        let _ = home.add("win", &host);
        Some(Self {
            home,
            secrets,
            host,
        })
    }

    fn waiting(&self) -> Background {
        let mut up = Background::start(&self.home, &["-v", "up", "orders", "--accept-eula"]);
        rig::wait_for("the wait for SQL Server", SOON, || {
            assert_eq!(up.ended(), None, "{}", up.stderr());
            up.stderr().contains("Waiting for SQL Server").then_some(())
        });
        up
    }

    fn one(&self) -> Value {
        let all = self.home.berth(&["list", "--json"]).ok().json();
        let all = all["instances"].as_array().unwrap().clone();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }
}

#[test]
fn while_sql_server_starts_a_dead_command_is_finished_by_the_agent() {
    let Some(slow) = Slow::new(&["slow-start=2"]) else {
        return;
    };
    let mut up = slow.waiting();
    signal("KILL", up.child.id());
    assert_eq!(up.code(SOON), 128 + 9);
    rig::wait_for("the instance to be finished", SOON, || {
        (slow.one()["unfinished"] == false).then_some(())
    });
    let string = slow.home.berth(&["connection", "orders"]).ok();
    assert_eq!(
        rig::drivers::tiberius(string.line(), "SELECT 41 + 1"),
        Ok(vec![vec![42.into()]])
    );
}

#[test]
fn while_sql_server_starts_ctrl_c_takes_everything_away() {
    let Some(slow) = Slow::new(&["slow-start=60"]) else {
        return;
    };
    let mut up = slow.waiting();
    up.interrupt();
    assert_eq!(up.code(SOON), 1, "{}", up.stderr());
    let all = slow.home.berth(&["list", "--json"]).ok().json();
    assert_eq!(all["instances"], serde_json::json!([]), "{all}");
    assert_eq!(keychain_items(&slow.secrets), 0);
    assert!(TcpListener::bind(("127.0.0.1", 14330)).is_ok());
}

#[test]
fn while_sql_server_starts_the_death_of_agent_and_command_leaves_an_instance_to_finish() {
    let Some(slow) = Slow::new(&["slow-start=3"]) else {
        return;
    };
    let mut up = slow.waiting();
    let agent = pid_of(&status(&slow.home).unwrap());
    signal("KILL", agent);
    signal("KILL", up.child.id());
    let _ = up.code(SOON);
    gone("the agent", agent, SOON);
    let one = slow.one();
    assert_eq!(one["unfinished"], true, "{one}");
    let shown = slow.home.berth(&["show", "orders"]).ok();
    assert!(
        shown.stdout.contains("berth up orders") && shown.stdout.contains("berth remove orders"),
        "it says what can be done: {}",
        shown.stdout
    );
    let port = one["port"].clone();
    let again = slow.home.berth(&["up", "orders"]).ok();
    assert_eq!(
        rig::drivers::tiberius(again.line(), "SELECT 41 + 1"),
        Ok(vec![vec![42.into()]])
    );
    assert_eq!(
        (&slow.one()["port"], &slow.one()["unfinished"]),
        (&port, &Value::Bool(false))
    );
    let _ = slow.host.port();
}

/// Moments in the whole of an `up`, as parts of the time that an undisturbed one takes.
const MOMENTS: [f64; 8] = [0.02, 0.15, 0.3, 0.45, 0.6, 0.75, 0.88, 0.97];

#[test]
fn ctrl_c_at_any_moment_leaves_all_or_nothing() {
    let Some(world) = World::new() else { return };
    let whole = world
        .home
        .berth(&["up", "orders", "--accept-eula"])
        .ok()
        .took;
    let _ = world
        .home
        .berth(&["remove", "orders", "--data", "delete"])
        .ok();
    for part in MOMENTS {
        let what = format!("Ctrl-C at {part} of {whole:?}");
        let mut up = Background::start(&world.home, &["up", "orders"]);
        std::thread::sleep(whole.mul_f64(part));
        up.interrupt();
        let code = up.code(SOON);
        let what = format!("{what}, which ended with {code}, {}", up.stderr());
        if code == 0 {
            // It came too late: then all of it is there.
            assert_eq!(
                rig::drivers::tiberius(up.stdout().trim(), "SELECT 41 + 1"),
                Ok(vec![vec![42.into()]]),
                "{what}"
            );
            let _ = world
                .home
                .berth(&["remove", "orders", "--data", "delete"])
                .ok();
        } else {
            assert_eq!(up.stdout(), "", "{what}");
            if !world.listed().is_empty() {
                // Only the string was cut off, after the instance was ready.
                assert_eq!(world.listed()[0]["unfinished"], false, "{what}");
                let _ = world
                    .home
                    .berth(&["remove", "orders", "--data", "delete"])
                    .ok();
            }
        }
        world.is_clean(&what);
    }
}

#[test]
fn the_death_of_agent_and_command_at_any_moment_leaves_what_up_finishes() {
    let Some(world) = World::new() else { return };
    let whole = world
        .home
        .berth(&["up", "orders", "--accept-eula"])
        .ok()
        .took;
    let _ = world
        .home
        .berth(&["remove", "orders", "--data", "delete"])
        .ok();
    for part in MOMENTS {
        let what = format!("SIGKILL at {part} of {whole:?}");
        let agent = support::agent(&world.home);
        let mut up = Background::start(&world.home, &["up", "orders"]);
        std::thread::sleep(whole.mul_f64(part));
        signal("KILL", agent);
        signal("KILL", up.child.id());
        let _ = up.code(SOON);
        gone("the agent", agent, SOON);
        assert_eq!(
            world.listed().len(),
            world.containers().len(),
            "{what}: all that is there is listed"
        );
        let again = world.home.berth(&["-v", "up", "orders"]);
        assert_eq!(again.code, 0, "{what}: {}", again.stderr);
        assert_eq!(
            rig::drivers::tiberius(again.line(), "SELECT 41 + 1"),
            Ok(vec![vec![42.into()]]),
            "{what}: {}",
            again.stderr
        );
        assert_eq!(
            (world.containers().len(), world.volumes().len()),
            (1, 1),
            "{what}"
        );
        let _ = world
            .home
            .berth(&["remove", "orders", "--data", "delete"])
            .ok();
        world.is_clean(&what);
    }
}

#[test]
fn of_two_users_who_make_one_name_at_once_one_is_refused_and_harms_nothing() {
    let Some(world) = World::new() else { return };
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let other = Home::with_secrets(&secrets);
    let _ = other
        .berth(&["host", "add", "mac", &world.dockerd.address()])
        .ok();
    for round in 0..3 {
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(|| world.home.berth(&["up", "orders", "--accept-eula"]));
            let two =
                scope.spawn(|| other.berth(&["up", "orders", "--accept-eula", "--port", "14777"]));
            (one.join().unwrap(), two.join().unwrap())
        });
        let winners: Vec<_> = [&one, &two].into_iter().filter(|r| r.code == 0).collect();
        assert_eq!(
            winners.len(),
            1,
            "round {round}:\n{}\n{}",
            one.stderr,
            two.stderr
        );
        assert_eq!(
            rig::drivers::tiberius(winners[0].line(), "SELECT 41 + 1"),
            Ok(vec![vec![42.into()]]),
            "round {round}: who was first keeps a working instance and its data"
        );
        assert_eq!(
            (world.containers().len(), world.volumes().len()),
            (1, 1),
            "round {round}"
        );
        let winner = if one.code == 0 { &world.home } else { &other };
        let _ = winner.berth(&["remove", "orders", "--data", "delete"]).ok();
        assert!(
            world.volumes().is_empty() && world.containers().is_empty(),
            "round {round}"
        );
        for keys in [&world.secrets, &secrets] {
            rig::wait_for("no password that opens nothing", SOON, || {
                (keychain_items(keys) == 0).then_some(())
            });
        }
    }
}

/// Data that was made and not finished has its first password, which only the keychain still knows.
#[test]
fn up_again_opens_data_whose_making_was_cut_off_while_it_was_taken_away() {
    let Some(world) = World::new() else { return };
    let mut up = world
        .up_to("POST", "/start", Stand::After)
        .expect("the start stands still");
    let agent = pid_of(&status(&world.home).unwrap());
    rig::wait_for("SQL Server to have its first password", SOON, || {
        let id = world.dockerd.docker(&["ps", "-q"]);
        let log = world.dockerd.command().args(["logs", id.trim()]).output();
        let log = String::from_utf8_lossy(&log.unwrap().stdout).into_owned();
        log.contains("ready for client connections").then_some(())
    });
    world.held.hold("DELETE", "/volumes/", Stand::Before);
    up.interrupt();
    rig::wait_for("the removal of its data to stand still", SOON, || {
        world.held.holds().then_some(())
    });
    signal("KILL", up.child.id());
    signal("KILL", agent);
    gone("the agent", agent, SOON);
    let _ = up.code(SOON);
    world.held.release();
    assert_eq!(
        (world.containers().len(), world.volumes().len()),
        (0, 1),
        "its container is gone, and its data is not"
    );
    let again = world.home.berth(&["-v", "up", "orders", "--accept-eula"]);
    assert_eq!(
        again.code, 0,
        "the retry knows which password the server has: {}",
        again.stderr
    );
    let rows = rig::drivers::tiberius(again.line(), "SELECT 41 + 1");
    assert_eq!(rows, Ok(vec![vec![42.into()]]));
    let removed = ["remove", "orders", "--data", "delete"];
    let _ = world.home.berth(&removed).ok();
    world.is_clean("up again");
}
