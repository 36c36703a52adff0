//! One stream tells of everything that changes, whoever changed it: what a window lives on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use berth_agent::{Client, Paths, client::Start};
use berth_api::{
    dto::{Change, HostLive, InstanceName, InstanceView, Nothing, OperationView},
    table::{BerthWatch, InstanceStats},
};
use berth_tests::rig::{Dockerd, Home, PracticeHost, programs};

const SOON: Duration = Duration::from_secs(60);

fn paths(home: &Home) -> Paths {
    Paths::at(home.berth_home()).served_by(programs::built("berth"))
}

/// Somebody who listens from another program than the one that changes things.
struct Ear(Receiver<Change>);

impl Ear {
    fn open(home: &Home) -> Self {
        let (tell, told) = channel();
        let paths = paths(home);
        thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let client = Client::connect(&paths, Start::IfNeeded).await.unwrap();
                let mut changes = client
                    .stream::<BerthWatch>(&Nothing {}, BTreeMap::new())
                    .await
                    .unwrap();
                while let Ok(Some(change)) = changes.next().await {
                    if tell.send(change).is_err() {
                        break;
                    }
                }
            });
        });
        Self(told)
    }

    /// The first change that `what` finds something in.
    fn until<T>(&self, what: &str, mut find: impl FnMut(Change) -> Option<T>) -> T {
        let end = Instant::now() + SOON;
        let mut heard = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let change = self
                .0
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{what} was not told; heard was {heard:#?}"));
            heard.push(format!("{change:?}"));
            if let Some(found) = find(change) {
                return found;
            }
        }
    }

    fn instance(&self, what: &str, fits: impl Fn(&InstanceView) -> bool) -> InstanceView {
        self.until(what, |change| match change {
            Change::Instances { instances } => instances.into_iter().find(&fits),
            _ => None,
        })
    }

    fn host(&self, what: &str, fits: impl Fn(&HostLive) -> bool) -> HostLive {
        self.until(what, |change| match change {
            Change::Host { host } => Some(host).filter(&fits),
            _ => None,
        })
    }

    fn operation(&self, what: &str, fits: impl Fn(&OperationView) -> bool) -> OperationView {
        self.until(what, |change| match change {
            Change::Operation { operation } => Some(operation).filter(&fits),
            _ => None,
        })
    }
}

fn password_file(home: &Home) -> String {
    let file = home.berth_home().join("../password");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "Canary-4711-watch").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.display().to_string()
}

#[test]
fn what_somebody_else_does_to_a_container_is_told() {
    let Some(docker) = Dockerd::with_sql_image() else {
        return;
    };
    let home = Home::new();
    let file = password_file(&home);
    let _ = home
        .berth(&["host", "add", "local", &docker.address()])
        .ok();
    let ear = Ear::open(&home);
    let first = ear.until("what is there", Some);
    assert!(
        matches!(&first, Change::Snapshot { hosts, .. } if hosts.iter().any(|h| h.host.name == "local")),
        "a window shows something at once, before any host has answered: {first:?}"
    );
    ear.host("that the host answers", |h| {
        h.host.name == "local" && h.state == "connected"
    });

    let up = [
        "up",
        "orders",
        "--host",
        "local",
        "--accept-eula",
        "--password-file",
        &file,
    ];
    let _ = home.berth(&up).ok();
    let began = ear.operation("that an instance is being made", |o| o.kind == "up");
    assert_eq!(
        began.subject, "local/orders",
        "a window shows it where the instance will be"
    );
    let made = ear.instance("that it runs", |i| i.state == "running" && !i.unfinished);
    assert!(
        made.fresh && made.created_at.is_some(),
        "it was seen just now: {made:?}"
    );

    let _ = docker.docker(&["kill", "berth-orders"]);
    ear.instance("that somebody killed it", |i| {
        i.id == made.id && i.state == "stopped"
    });
    let _ = docker.docker(&["start", "berth-orders"]);
    ear.instance("that somebody started it", |i| {
        i.id == made.id && i.state == "running"
    });

    let stopping = home.berth(&["stop", "orders"]).ok();
    let ended = ear.operation("that the stop ended", |o| {
        o.kind == "stop" && o.ended_at.is_some()
    });
    assert_eq!(
        (ended.state.as_str(), ended.error.is_none()),
        ("done", true),
        "{}",
        stopping.line
    );

    let _ = docker.docker(&["rm", "--force", "berth-orders"]);
    ear.until("that it is gone", |change| match change {
        Change::InstancesGone { ids } => ids.contains(&made.id).then_some(()),
        _ => None,
    });
    let _ = home.berth(&["host", "remove", "local", "--forget"]).ok();
    ear.until("that its host is gone", |change| match change {
        Change::HostGone { name } => (name == "local").then_some(()),
        _ => None,
    });
}

#[test]
fn a_host_that_goes_says_since_when_and_comes_back_by_itself() {
    let mut machine = PracticeHost::start();
    let home = Home::new();
    let _ = home.add("win", &machine);
    let ear = Ear::open(&home);
    ear.host("that the host answers", |h| {
        h.host.name == "win" && h.state == "connected"
    });
    machine.shut_down();
    let lost = ear.host("that the host went away", |h| {
        h.host.name == "win" && h.state == "unreachable"
    });
    assert!(
        lost.seen_at.is_some() && lost.error.is_some() && lost.retry_at.is_some(),
        "what is old says how old, why, and when it is tried again: {lost:?}"
    );
    machine.reboot(&[]);
    let back = ear.host("that the host is back", |h| {
        h.host.name == "win" && h.state == "connected"
    });
    assert!(back.error.is_none(), "an error that is over is not shown");
}

#[test]
fn what_an_instance_uses_is_told_while_it_runs() {
    let home = Home::new();
    let file = password_file(&home);
    let up = [
        "up",
        "small",
        "--host",
        "practice",
        "--password-file",
        &file,
    ];
    let _ = home.berth(&up).ok();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let told = runtime.block_on(async {
        let client = Client::connect(&paths(&home), Start::IfNeeded).await?;
        let wish = InstanceName {
            name: "small".into(),
        };
        let mut items = client
            .stream::<InstanceStats>(&wish, BTreeMap::new())
            .await?;
        let mut told = Vec::new();
        while told.len() < 2
            && let Some(item) = items.next().await?
        {
            told.push(item);
        }
        Ok::<_, berth_core::Error>(told)
    });
    let told = told.unwrap();
    assert!(
        told[0].memory > 0 && told[0].memory_limit.is_some(),
        "a chart without its limit says nothing: {told:?}"
    );
    assert!(
        told[1].cpu_percent.is_some(),
        "the second item has something to compare with: {told:?}"
    );
    let _ = home.berth(&["stop", "small"]).ok();
    let refused = runtime.block_on(async {
        let client = Client::connect(&paths(&home), Start::IfNeeded).await?;
        let wish = InstanceName {
            name: "small".into(),
        };
        client
            .stream::<InstanceStats>(&wish, BTreeMap::new())
            .await?
            .finish()
            .await
    });
    assert!(
        refused.is_err(),
        "what does not run must not be drawn as a flat line of zeros"
    );
}
