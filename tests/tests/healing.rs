//! Connections that never let go: a host that falls silent, restarts, moves, comes back. Noticed, told, healed; what
//! streams goes on where it was; what tunnels keeps its port.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use berth_agent::{Client, Paths, client::Start};
use berth_api::{
    dto,
    table::{HostEvents, HostShow, InstanceList, InstanceLogs},
};
use berth_tests::rig::{
    self, Dockerd, Home, LinuxHost, Sshd,
    network::{Air, Neighbour, Silence},
    programs, wait_for,
};
use support::text;
use tokio::runtime::Runtime;

/// What is used is noticed in 10 s and idle connections in 45 s; then a busy machine gets as much again.
const NOTICED: Duration = Duration::from_secs(60);
const HEALED: Duration = Duration::from_secs(90);

/// A host that was added, an agent that knows it.
struct World {
    // In this order: the agent ends before its host.
    client: Client,
    runtime: Runtime,
    home: Home,
    host: LinuxHost,
}

fn add(home: &Home, sshd: &Sshd) {
    let _ = home.add("lin", sshd);
}

impl World {
    fn new() -> Option<Self> {
        Self::of(LinuxHost {
            dockerd: Dockerd::start()?,
            sshd: Sshd::start()?,
        })
    }

    fn of(host: LinuxHost) -> Option<Self> {
        let home = Home::new();
        add(&home, &host.sshd);
        let runtime = Runtime::new().unwrap();
        let client = runtime
            .block_on(Client::connect(&Paths::at(home.berth_home()), Start::Never))
            .unwrap();
        Some(Self {
            client,
            runtime,
            home,
            host,
        })
    }

    fn state(&self) -> (String, String) {
        let name = dto::HostName {
            name: "lin".into(),
            ssh_agent: None,
        };
        let view = self
            .runtime
            .block_on(self.client.call::<HostShow>(&name, BTreeMap::new()))
            .unwrap()
            .body;
        (view.reach, view.reach_cause.unwrap_or_default())
    }

    fn list(&self) -> dto::Instances {
        let all = dto::InstanceList::default();
        self.runtime
            .block_on(self.client.call::<InstanceList>(&all, BTreeMap::new()))
            .unwrap()
            .body
    }

    fn becomes(&self, state: &str, limit: Duration) -> String {
        wait_for(&format!("the host to be {state}"), limit, || {
            let (now, why) = self.state();
            (now == state).then_some(why)
        })
    }

    /// A container that Berth takes for an instance and that writes numbered lines: `lines` in all, with so many
    /// microseconds between them.
    fn talker(&self, name: &str, lines: usize, pause: usize) -> String {
        load_talker(&self.host.dockerd);
        let id = format!("00000000-0000-4000-8000-{:012}", name.len());
        self.host.dockerd.docker(&[
            "run",
            "-d",
            "--name",
            &format!("berth-{name}"),
            "--label",
            &format!("dev.berth.id={id}"),
            "--label",
            &format!("dev.berth.name={name}"),
            "--label",
            "dev.berth.port=14999",
            "--label",
            "dev.berth.recipe=linux",
            "rig/talker:1",
            &lines.to_string(),
            &pause.to_string(),
        ])
    }
}

/// An image with one program: it writes numbered lines, then waits.
fn load_talker(dockerd: &Dockerd) {
    let folder = tempfile::tempdir().unwrap();
    let (source, program, archive) = (
        folder.path().join("talker.c"),
        folder.path().join("talker"),
        folder.path().join("image.tar"),
    );
    fs::write(
        &source,
        r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        int main(int n, char **words) {
            int lines = atoi(words[1]), wait = atoi(words[2]);
            for (int i = 0; i < lines; i++) { printf("%d\n", i); fflush(stdout); if (wait) usleep(wait); }
            for (;;) pause();
        }"#,
    )
    .unwrap();
    programs::run(
        Command::new("cc")
            .args(["-static", "-O1", "-o"])
            .arg(&program)
            .arg(&source),
    );
    programs::run(
        Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(folder.path())
            .arg("talker"),
    );
    programs::run(
        dockerd
            .command()
            .args(["import", "--change", "ENTRYPOINT [\"/talker\"]"])
            .arg(&archive)
            .arg("rig/talker:1"),
    );
}

#[test]
fn a_host_that_hangs_is_noticed_and_found_again() {
    let Some(world) = World::new() else { return };
    assert_eq!(world.state().0, "connected", "adding a host connects to it");
    world.host.sshd.freeze();
    let list = world.list();
    assert_eq!(list.unreached.len(), 1, "a list must not pretend: {list:?}");
    let why = world.becomes("unreachable", NOTICED);
    assert!(
        why.contains("stopped answering") || why.contains("did not answer"),
        "the reason is the silence: {why}"
    );
    world.host.sshd.thaw();
    world.becomes("connected", HEALED);
    assert!(world.list().unreached.is_empty());
}

#[test]
fn silence_on_a_connection_that_nobody_uses_is_noticed_too() {
    let Some(world) = World::new() else { return };
    let silence = Silence::of(world.host.sshd.port());
    // Nothing is asked of the host: `host.show` tells what is known.
    let why = world.becomes("unreachable", NOTICED);
    assert!(why.contains("stopped answering"), "{why}");
    drop(silence);
    world.becomes("connected", HEALED);
}

#[test]
fn a_server_that_restarts_and_an_engine_that_restarts_are_met_again() {
    let Some(mut world) = World::new() else {
        return;
    };
    world.host.sshd.stop();
    world.becomes("unreachable", NOTICED);
    world.host.sshd.start_again();
    world.becomes("connected", HEALED);
    assert!(world.list().unreached.is_empty());

    world.host.dockerd.stop();
    let list = world.list();
    let why = format!("{:?}", list.unreached[0].error);
    assert!(
        why.contains("docker.sock"),
        "the engine is at fault, not the network: {why}"
    );
    assert_eq!(
        world.state().0,
        "unreachable",
        "a host without its engine is of no use"
    );
    world.host.dockerd.start_again();
    wait_for("the engine to be met again", HEALED, || {
        world.list().unreached.is_empty().then_some(())
    });
    assert_eq!(world.state().0, "connected");
}

#[test]
fn a_machine_that_moves_to_another_network_reconnects_by_itself() {
    let Some(neighbour) = Neighbour::start() else {
        return;
    };
    let (Some(dockerd), Some(sshd)) = (Dockerd::start(), Sshd::at(&neighbour)) else {
        return;
    };
    let Some(world) = World::of(LinuxHost { sshd, dockerd }) else {
        return;
    };
    assert!(world.list().unreached.is_empty());
    neighbour.move_us();
    // The old connection is dead without a word, and nobody uses it: the new address is what tells.
    wait_for("a connection from the new address", HEALED, || {
        world
            .host
            .sshd
            .log()
            .contains("from 10.77.0.3")
            .then_some(())
    });
    world.becomes("connected", HEALED);
    assert!(world.list().unreached.is_empty());

    neighbour.cable(false);
    world.becomes("unreachable", NOTICED);
    neighbour.cable(true);
    world.becomes("connected", HEALED);
}

#[test]
fn a_client_of_a_tunnel_waits_for_its_host_and_its_port_stays() {
    let Some(host) = LinuxHost::start() else {
        return;
    };
    let Some(mut world) = World::of(host) else {
        return;
    };
    let password = world.home.write("password", "Heal-Passw0rd-24-letters");
    let up = world
        .home
        .berth(&[
            "up",
            "orders",
            "--accept-eula",
            "--password-file",
            &text(&password),
        ])
        .ok();
    let string = up.line().to_owned();
    let query = |sql: &str| rig::drivers::tiberius(&string, sql);
    assert_eq!(query("SELECT 1"), Ok(vec![vec![1.into()]]));

    world.host.sshd.stop();
    world.becomes("unreachable", NOTICED);
    // It comes while nothing is there, and is served once the host is back.
    let waiting = {
        let string = string.clone();
        thread::spawn(move || rig::drivers::tiberius(&string, "SELECT 2"))
    };
    let port: u16 = string
        .split(['=', ';', ':', ','])
        .filter_map(|part| part.parse().ok())
        .next()
        .unwrap();
    wait_for("the client to be taken in", NOTICED, || {
        let status = support::status(&world.home)?;
        (status["endpoints"][0]["clients"].as_u64() == Some(1)).then_some(())
    });
    world.host.sshd.start_again();
    assert_eq!(
        waiting.join().unwrap(),
        Ok(vec![vec![2.into()]]),
        "the client that waited"
    );
    assert_eq!(
        query("SELECT 3"),
        Ok(vec![vec![3.into()]]),
        "the same string, the same port"
    );

    // And one that waits in vain is let go.
    world.host.sshd.stop();
    world.becomes("unreachable", NOTICED);
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut byte = [0];
    let ended = std::io::Read::read(&mut client, &mut byte);
    assert!(
        matches!(&ended, Ok(0))
            || ended
                .as_ref()
                .is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset),
        "a client must not wait for ever: {ended:?}"
    );
    world.host.sshd.start_again();
    world.becomes("connected", HEALED);
}

#[test]
fn a_log_that_is_followed_goes_on_without_a_gap_or_a_repeat() {
    let Some(world) = World::new() else { return };
    let cuts = follow_across_cuts(&world, 1500, 250);
    assert!(cuts >= 3, "the connection was cut under way: {cuts} times");
}

#[test]
fn a_bad_network_costs_time_and_nothing_else() {
    let air = Air {
        delay: 30,
        jitter: 15,
        lost: 20,
        seed: 7,
    };
    let Some(neighbour) = Neighbour::through(air) else {
        return;
    };
    let (Some(dockerd), Some(sshd)) = (Dockerd::start(), Sshd::at(&neighbour)) else {
        return;
    };
    let Some(world) = World::of(LinuxHost { sshd, dockerd }) else {
        return;
    };
    let asked = Instant::now();
    assert!(world.list().unreached.is_empty());
    assert!(
        asked.elapsed() >= Duration::from_millis(30),
        "what is asked and answered goes through the air twice"
    );
    let cuts = follow_across_cuts(&world, 600, 250);
    assert!(cuts >= 1, "the connection was cut under way: {cuts} times");
    events_across_cuts(&world, 4, 2);
    neighbour.cable(false);
    world.becomes("unreachable", NOTICED);
    neighbour.cable(true);
    world.becomes("connected", HEALED);
    assert!(world.list().unreached.is_empty());
}

/// Follows the log of a container that counts up to `count`, while the connection is cut every so many lines. Returns how
/// often it was.
fn follow_across_cuts(world: &World, count: usize, cut_every: usize) -> usize {
    let _ = world.talker("talker", count, 4000);
    let request = dto::Logs {
        name: "talker".into(),
        follow: true,
        since: None,
        tail: None,
    };
    let seen = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let sshd = &world.host.sshd;
    thread::scope(|scope| {
        let cutter = scope.spawn(|| {
            let (mut cuts, mut at) = (0, cut_every);
            while !over.load(Ordering::Relaxed) {
                if seen.load(Ordering::Relaxed) >= at {
                    sshd.cut_connections();
                    cuts += 1;
                    at += cut_every;
                }
                thread::sleep(Duration::from_millis(5));
            }
            cuts
        });
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            world.runtime.block_on(async {
                let mut lines = world
                    .client
                    .stream::<InstanceLogs>(&request, BTreeMap::new())
                    .await
                    .unwrap();
                for expected in 0..count {
                    let line = tokio::time::timeout(Duration::from_secs(120), lines.next())
                        .await
                        .unwrap_or_else(|_| panic!("line {expected} never came"))
                        .unwrap()
                        .unwrap_or_else(|| panic!("the log ended before line {expected}"));
                    assert_eq!(
                        line.text,
                        expected.to_string(),
                        "a cut must neither lose a line nor repeat one"
                    );
                    seen.store(expected, Ordering::Relaxed);
                }
            });
        }));
        over.store(true, Ordering::Relaxed);
        let cuts = cutter.join().unwrap();
        if let Err(failure) = read {
            std::panic::resume_unwind(failure);
        }
        cuts
    })
}

#[test]
fn one_stream_that_nobody_reads_holds_up_nothing_else() {
    let Some(world) = World::new() else { return };
    // 40 MB that nobody takes: more than every buffer on the way together.
    let _ = world.talker("flood", 6_000_000, 0);
    let request = dto::Logs {
        name: "flood".into(),
        follow: true,
        since: None,
        tail: None,
    };
    world.runtime.block_on(async {
        let mut stuck = world
            .client
            .stream::<InstanceLogs>(&request, BTreeMap::new())
            .await
            .unwrap();
        assert!(stuck.next().await.unwrap().is_some(), "it flows");
        let other = Client::connect(&Paths::at(world.home.berth_home()), Start::Never)
            .await
            .unwrap();
        for _ in 0..20 {
            let all = dto::InstanceList::default();
            let list = tokio::time::timeout(
                Duration::from_secs(10),
                other.call::<InstanceList>(&all, BTreeMap::new()),
            )
            .await
            .unwrap_or_else(|_| panic!("a list waits behind a stream that nobody reads"))
            .unwrap();
            assert!(list.body.unreached.is_empty(), "{:?}", list.body.unreached);
        }
        drop(stuck);
    });
}

#[test]
fn a_server_that_allows_one_session_is_enough() {
    let (Some(dockerd), Some(sshd)) = (
        Dockerd::start(),
        Sshd::with("MaxSessions 1\nMaxStartups 1\n"),
    ) else {
        return;
    };
    let Some(world) = World::of(LinuxHost { sshd, dockerd }) else {
        return;
    };
    let _ = world.talker("talker", 100_000, 1000);
    let request = dto::Logs {
        name: "talker".into(),
        follow: true,
        since: None,
        tail: None,
    };
    world.runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..4 {
            // Each with a client of its own: what one of them leaves unread holds up the others of the same client.
            let client = Client::connect(&Paths::at(world.home.berth_home()), Start::Never)
                .await
                .unwrap();
            let mut lines = client
                .stream::<InstanceLogs>(&request, BTreeMap::new())
                .await
                .unwrap();
            let first = tokio::time::timeout(Duration::from_secs(60), lines.next()).await;
            let first = first.unwrap_or_else(|_| panic!("a stream waits for a session"));
            assert!(first.unwrap().is_some(), "forwards are no sessions");
            streams.push((client, lines));
        }
    });
    assert!(world.list().unreached.is_empty());
}

/// Every event that the engine tells of between two moments, as its own client hears them.
#[test]
fn events_are_told_across_cuts_once_and_in_order() {
    let Some(world) = World::new() else { return };
    events_across_cuts(&world, 12, 3);
}

fn events_across_cuts(world: &World, containers: usize, cut_every: usize) {
    load_talker(&world.host.dockerd);
    let request = dto::HostEvents {
        name: "lin".into(),
        since: Some("1".into()),
    };
    let dockerd = &world.host.dockerd;
    let sshd = &world.host.sshd;
    // The engine remembers earlier rounds, and `since` asks for all that it does.
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let ours = format!("made-{}-", ROUND.fetch_add(1, Ordering::Relaxed));
    let wanted: Vec<String> = (0..containers).map(|n| format!("{ours}{n}")).collect();
    thread::scope(|scope| {
        let maker = scope.spawn(|| {
            for (n, name) in wanted.iter().enumerate() {
                let _ = dockerd.docker(&["create", "--name", name, "rig/talker:1", "0", "0"]);
                let _ = dockerd.docker(&["rm", name]);
                if n % cut_every == cut_every - 1 {
                    sshd.cut_connections();
                }
            }
        });
        let told = world.runtime.block_on(async {
            let mut events = world
                .client
                .stream::<HostEvents>(&request, BTreeMap::new())
                .await
                .unwrap();
            let mut told = Vec::new();
            let last = wanted.last().unwrap();
            loop {
                let event = tokio::time::timeout(Duration::from_secs(120), events.next())
                    .await
                    .unwrap_or_else(|_| panic!("events stopped after {told:?}"))
                    .unwrap()
                    .unwrap();
                let Some(name) = event.name.clone().filter(|n| n.starts_with(&ours)) else {
                    continue;
                };
                told.push((name.clone(), event.action.clone()));
                if name == *last && event.action == "destroy" {
                    return told;
                }
            }
        });
        maker.join().unwrap();
        let expected: Vec<_> = wanted
            .iter()
            .flat_map(|name| ["create", "destroy"].map(|a| (name.clone(), a.to_owned())))
            .collect();
        assert_eq!(told, expected, "no event is lost and none comes twice");
    });
}

/// What the agent holds: open files, and resident memory in KiB.
fn held(pid: u32) -> (usize, usize) {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let memory = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .and_then(|l| l.split_whitespace().next())
        .unwrap()
        .parse()
        .unwrap();
    (files, memory)
}

/// A day of cuts: a laptop loses its connection some ten times an hour at worst, which makes 240 a day. Minutes here, since
/// nothing waits between them.
#[test]
#[ignore = "soak: a day of cuts in some minutes"]
fn a_day_of_cuts_loses_no_event_and_leaks_nothing() {
    let Some(world) = World::new() else { return };
    let cuts: usize = std::env::var("BERTH_SOAK_CUTS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(240);
    // Warm: pools, threads and allocators have taken what they take.
    events_across_cuts(&world, 30, 1);
    let pid = support::agent(&world.home);
    let settled = || {
        wait_for("the agent to let go of old connections", HEALED, || {
            let (files, memory) = held(pid);
            (world.host.sshd.connections() <= 2).then_some((files, memory))
        })
    };
    let _ = world.list();
    let (files, memory) = settled();
    // In rounds: the engine remembers its last 256 events only, so one that is asked for later would be lost by the engine.
    let mut done = 0;
    let began = Instant::now();
    while done < cuts {
        events_across_cuts(&world, 30, 1);
        done += 30;
        let (now_files, now_memory) = held(pid);
        eprintln!(
            "{done} cuts, {} s: {now_files} open files, {now_memory} KiB",
            began.elapsed().as_secs()
        );
    }
    let _ = world.list();
    let (after_files, after_memory) = settled();
    assert!(
        after_files <= files + 4,
        "open files grew from {files} to {after_files} over {done} cuts"
    );
    assert!(
        after_memory < memory + 8 * 1024,
        "memory grew from {memory} to {after_memory} KiB over {done} cuts"
    );
}
