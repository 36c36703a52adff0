//! The machine's model: what it promises after any sequence of requests, and after a crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use berth_practice::{
    Machine, Practice, Settings,
    machine::{
        Model,
        config::{Config, HostConfig, RestartPolicy},
        refusal::Kind,
        state::Status,
    },
};
use proptest::prelude::*;
use support::until;

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Start(u8),
    Stop(u8),
    Kill(u8),
    Remove(u8, bool),
    Rename(u8, u8),
    Reboot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..3_u8;
    let step = prop_oneof![
        3 => name.clone().prop_map(Step::Create),
        3 => name.clone().prop_map(Step::Start),
        2 => name.clone().prop_map(Step::Stop),
        1 => name.clone().prop_map(Step::Kill),
        1 => (name.clone(), any::<bool>()).prop_map(|(n, force)| Step::Remove(n, force)),
        1 => (name.clone(), name).prop_map(|(a, b)| Step::Rename(a, b)),
        1 => Just(Step::Reboot),
    ];
    proptest::collection::vec(step, 1..14)
}

/// No name that could be the beginning of an id: an engine takes those for each other.
fn called(n: u8) -> String {
    format!("sql{n}")
}

fn config() -> (Config, HostConfig) {
    let config = Config {
        image: "berth/sql:2022-express-ltsc2022".into(),
        env: vec!["ACCEPT_EULA=Y".into()],
        ..Config::default()
    };
    let policy = RestartPolicy {
        name: "unless-stopped".into(),
        maximum_retry_count: 0,
    };
    (
        config,
        HostConfig {
            restart_policy: policy,
            ..HostConfig::default()
        },
    )
}

/// What must hold at any moment.
fn check(model: &Model, expected: &BTreeMap<String, bool>) {
    let all = model.containers();
    let seen: BTreeMap<String, bool> = all
        .iter()
        .map(|c| (c.name.clone(), c.status == Status::Running))
        .collect();
    assert_eq!(&seen, expected, "names, and which of them run");
    let addresses: HashSet<_> = all.iter().filter_map(|c| c.address).collect();
    let running = all.iter().filter(|c| c.status == Status::Running).count();
    assert_eq!(
        addresses.len(),
        running,
        "each that runs has an address of its own, and no other has one"
    );
}

async fn play(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let boot = async || {
        Model::boot(dir.path(), Machine::Ready, Vec::new())
            .await
            .unwrap()
    };
    let mut model = boot().await;
    // Name → whether it runs: all there is to know about a machine without faults.
    let mut expected = BTreeMap::<String, bool>::new();
    let grace = Duration::from_secs(20);
    for step in steps {
        let kind = |result: Result<(), berth_practice::machine::refusal::Refusal>| {
            result.err().map(|r| r.kind)
        };
        let (got, wanted) = match step.clone() {
            Step::Create(n) => {
                let (config, host) = config();
                let taken = expected.contains_key(&called(n));
                let got = model
                    .create_container(Some(&called(n)), config, host)
                    .await
                    .map(drop);
                expected.entry(called(n)).or_insert(false);
                (kind(got), taken.then_some(Kind::Conflict))
            }
            Step::Start(n) => {
                let before = expected.get(&called(n)).copied();
                let got = kind(model.start_container(&called(n)).await);
                if let Some(runs) = expected.get_mut(&called(n)) {
                    *runs = true;
                }
                (
                    got,
                    match before {
                        None => Some(Kind::NotFound),
                        Some(runs) => runs.then_some(Kind::Unchanged),
                    },
                )
            }
            Step::Stop(n) => {
                let before = expected.get(&called(n)).copied();
                let got = kind(model.stop_container(&called(n), grace).await);
                if let Some(runs) = expected.get_mut(&called(n)) {
                    *runs = false;
                }
                (
                    got,
                    match before {
                        None => Some(Kind::NotFound),
                        Some(runs) => (!runs).then_some(Kind::Unchanged),
                    },
                )
            }
            Step::Kill(n) => {
                let before = expected.get(&called(n)).copied();
                let got = kind(model.kill_container(&called(n)).await);
                if let Some(runs) = expected.get_mut(&called(n)) {
                    *runs = false;
                }
                (
                    got,
                    match before {
                        None => Some(Kind::NotFound),
                        Some(runs) => (!runs).then_some(Kind::Conflict),
                    },
                )
            }
            Step::Remove(n, force) => {
                let before = expected.get(&called(n)).copied();
                let got = kind(model.remove_container(&called(n), force, true).await);
                if before == Some(false) || force {
                    expected.remove(&called(n));
                }
                (
                    got,
                    match before {
                        None => Some(Kind::NotFound),
                        Some(runs) => (runs && !force).then_some(Kind::Conflict),
                    },
                )
            }
            Step::Rename(a, b) => {
                let got = kind(model.rename_container(&called(a), &called(b)).await);
                let wanted = if !expected.contains_key(&called(a)) {
                    Some(Kind::NotFound)
                } else if expected.contains_key(&called(b)) {
                    Some(Kind::Conflict)
                } else {
                    None
                };
                if wanted.is_none()
                    && let Some(runs) = expected.remove(&called(a))
                {
                    expected.insert(called(b), runs);
                }
                (got, wanted)
            }
            Step::Reboot => {
                model.shut_down().await;
                model = boot().await;
                (None, None)
            }
        };
        assert_eq!(got, wanted, "{step:?}");
        check(&model, &expected);
    }
    model.shut_down().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_requests_ends_as_expected(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}

#[test]
fn a_crash_in_the_middle_leaves_a_machine_that_boots() {
    let dir = tempfile::tempdir().unwrap();
    let settings = || Settings {
        dir: dir.path().into(),
        ..Settings::default()
    };
    let (config, host) = config();
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let practice = first.block_on(async {
        let practice = Practice::start(settings()).await.unwrap();
        practice
            .model()
            .create_container(Some("survivor"), config, host)
            .await
            .unwrap();
        practice.model().start_container("survivor").await.unwrap();
        practice
    });
    // Everything that ran is dropped where it stood, as at a kill.
    first.shutdown_timeout(Duration::from_secs(10));
    drop(practice);
    runtime().block_on(async {
        let practice = Practice::start(settings()).await.unwrap();
        let model = Arc::clone(practice.model());
        until("the container to be up again", async || {
            model.live("survivor").ok()?.run()?.sql().map(drop)
        })
        .await;
        assert_eq!(model.container("survivor").unwrap().status, Status::Running);
        practice.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_state_file_is_told_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let settings = || Settings {
        dir: dir.path().into(),
        ..Settings::default()
    };
    Practice::start(settings()).await.unwrap().stop().await;
    let file = dir.path().join("machine.json");
    let whole = std::fs::read(&file).unwrap();
    for length in (0..whole.len() - 1).step_by(97) {
        std::fs::write(&file, &whole[..length]).unwrap();
        let error = Practice::start(settings())
            .await
            .err()
            .expect("half a file must not pass for a machine");
        assert!(
            error.message().contains("machine.json"),
            "the error names the file: {error}"
        );
        assert_eq!(
            std::fs::read(&file).unwrap(),
            &whole[..length],
            "what is left of it is kept"
        );
    }
    std::fs::write(&file, &whole).unwrap();
    Practice::start(settings()).await.unwrap().stop().await;
}
