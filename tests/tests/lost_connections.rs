//! The connection is lost at every boundary of a preparation and of a build: before a step is asked for, after it was done
//! and before that was told, in the middle of what a build says. It always ends prepared and built, or with a cause and
//! what to do, and the same command then goes on from there.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use berth_tests::rig::{Home, PracticeHost, Ran, SecretService};

const IMAGE: &str = "berth/sql:2022-express-ltsc2022";
const PREPARE: [&str; 4] = ["host", "prepare", "win", "--yes"];
const BUILD: [&str; 6] = [
    "image",
    "build",
    "2022-express",
    "--host",
    "win",
    "--accept-eula",
];

fn add(home: &Home, host: &PracticeHost) {
    let _ = home.add("win", host);
}

fn cut_at(host: &PracticeHost, place: u64) {
    let fault = format!("cut-once={place}").parse().unwrap();
    host.running().model().faults().set(vec![fault]);
}

/// A failure has a cause and says what to do, and the same again works.
fn works_now_or_then(home: &Home, command: &[&str], what: &str) -> Ran {
    let ran = home.berth(command);
    if ran.code == 0 {
        return ran;
    }
    assert!(
        ran.stderr.contains("because:") && ran.stderr.contains("hint:"),
        "{what}: a cause, and what to do: {}",
        ran.stderr
    );
    home.berth(command).ok()
}

fn prepared(home: &Home) -> bool {
    let plan = home
        .berth(&["host", "prepare", "win", "--plan", "--json"])
        .json();
    plan["done"] == true
}

/// A preparation cut at each of these places, or at every one that an undisturbed one has; with a keychain, as the step that makes
/// certificates is left out without one.
fn prepare_walks(cuts: Option<&[u64]>) {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let cuts = match cuts {
        Some(some) => some.to_vec(),
        None => (1..=places("bare-2022", &PREPARE, &Home::with_secrets(&secrets))).collect(),
    };
    for place in cuts {
        let what = format!("prepare, cut at {place}");
        let host = PracticeHost::playing("bare-2022", &[]);
        let home = Home::with_secrets(&secrets);
        add(&home, &host);
        cut_at(&host, place);
        let _ = works_now_or_then(&home, &PREPARE, &what);
        host.running().model().faults().set(Vec::new());
        assert!(prepared(&home), "{what}");
        let changes = host
            .running()
            .model()
            .windows()
            .read(|w| w.files.keys().filter(|f| f.ends_with(".new")).count());
        assert_eq!(changes, 0, "{what}: nothing half stays");
    }
}

fn build_walks(places: impl Iterator<Item = u64>) {
    for place in places {
        let what = format!("build, cut at {place}");
        let host = PracticeHost::playing("ready", &[]);
        let home = Home::new();
        add(&home, &host);
        cut_at(&host, place);
        let _ = works_now_or_then(&home, &BUILD, &what);
        host.running().model().faults().set(Vec::new());
        let all = home
            .berth(&["image", "list", "--host", "win", "--json"])
            .json();
        let ours: Vec<_> = all
            .as_array()
            .unwrap()
            .iter()
            .filter(|i| i["recipe"] == "2022-express")
            .collect();
        assert!(
            ours.len() == 1 && ours[0]["reference"] == IMAGE,
            "{what}: one image, with its name: {all}"
        );
    }
}

/// How many places there are where an undisturbed run could be cut.
fn places(machine: &str, command: &[&str], home: &Home) -> u64 {
    let host = PracticeHost::playing(machine, &[]);
    add(home, &host);
    host.running().model().faults().set(Vec::new());
    let _ = home.berth(command).ok();
    let all = host.running().model().faults().passages();
    assert!(all > 10, "a run has many: {all}");
    all
}

#[test]
fn a_preparation_that_loses_its_connection_is_finished() {
    // A look that was asked for, its answer, the answers of the first changes, and the start of a task.
    prepare_walks(Some(&[2, 7, 12]));
}

#[test]
fn a_build_that_loses_its_connection_is_finished() {
    build_walks([1, 4, 9, 25, 40].into_iter());
}

#[test]
#[ignore = "soak: one preparation for each place where it can be cut"]
fn wherever_a_preparation_loses_its_connection_it_is_finished() {
    prepare_walks(None);
}

#[test]
#[ignore = "soak: one build for each place where it can be cut"]
fn wherever_a_build_loses_its_connection_it_is_finished() {
    build_walks(1..=places("ready", &BUILD, &Home::new()));
}
