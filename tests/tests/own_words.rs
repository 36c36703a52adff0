//! Small things that a user trips over: each is said in a word, and nothing of Berth's own stays behind.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{fs, process::Command, time::Duration};

use berth_tests::rig::{Home, drivers, programs};
use serde_json::json;
use support::text;

const LONG: Duration = Duration::from_secs(120);

/// The password files that Berth made itself.
fn own_files(home: &Home) -> usize {
    fs::read_dir(home.berth_home().join("passwords")).map_or(0, Iterator::count)
}

#[test]
fn on_the_practice_host_without_a_keychain_nothing_surprises_and_nothing_stays() {
    let home = Home::new();
    let berth = |line: &[&str]| home.berth_with(line, "", LONG);
    let _ = berth(&["demo", "--keep"]).ok();
    assert_eq!(own_files(&home), 1, "no keychain answers here");
    let there = berth(&["up", "sql2022", "--host", "practice"]).ok();
    assert!(
        there.stderr.contains("practice host"),
        "what is not SQL Server is said to be none, also when it was there: {}",
        there.stderr
    );

    // What is asked of it.
    let _ = berth(&[
        "query",
        "sql2022",
        "CREATE TABLE kept (n int); INSERT kept VALUES (7)",
    ])
    .ok();
    let piped = ["query", "sql2022", "-f", "-", "--csv"];
    let piped = home.berth_with(&piped, "SELECT n FROM kept", LONG).ok();
    assert_eq!(piped.stdout, "n\n7\n", "a dash is standard input");
    let empty = berth(&["query", "sql2022", ""]).code(2);
    assert!(empty.stderr.contains("no T-SQL"), "{}", empty.stderr);
    let nowhere = berth(&["connection", "sql2022", "--database", "nodb"]).ok();
    assert!(
        nowhere.stderr.contains("no database `nodb`") && nowhere.stdout.contains("nodb"),
        "a client may make its own, and is told: {}",
        nowhere.stderr
    );
    let nobody = berth(&["connection", "sql2022", "--login", "nobody"]).ok();
    assert!(
        nobody.stderr.contains("no login `nobody`"),
        "{}",
        nobody.stderr
    );
    let _ = berth(&["stop", "sql2022"]).ok();
    let stopped = berth(&["query", "sql2022", "SELECT 1"]).code(1);
    assert!(
        stopped
            .stderr
            .starts_with("error: `sql2022` is not running")
            && stopped.stderr.contains("berth start sql2022"),
        "nobody was refused: {}",
        stopped.stderr
    );
    let _ = berth(&["start", "sql2022"]).ok();

    // A change of the password that was cut off when the server had the new one: it is found beside the old one.
    let file = fs::read_dir(home.berth_home().join("passwords"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let cut = "ALTER LOGIN sa WITH PASSWORD = N'Cut-off-7x'";
    let _ = berth(&["query", "sql2022", "--login", "sa", cut]).ok();
    fs::write(text(&file) + ".next", "Cut-off-7x").unwrap();
    let _ = berth(&["reset-password", "sql2022"]).ok();
    let _ = berth(&["query", "sql2022", "--login", "sa", "SELECT 1"]).ok();
    assert_eq!(own_files(&home), 1, "the next one is the one now");

    // Renamed, removed, taken up by the name that it had last, with the file that is its only key.
    let _ = berth(&["set", "sql2022", "--name", "shop"]).ok();
    let gone = berth(&["remove", "shop"]).ok();
    assert!(gone.stderr.contains("berth up shop"), "{}", gone.stderr);
    let again = berth(&["up", "shop", "--host", "practice"]).ok();
    assert_eq!(
        drivers::tiberius(
            berth(&["connection", "shop", "--format", "tiberius"])
                .ok()
                .line(),
            "SELECT n FROM kept"
        ),
        Ok(vec![vec![json!(7)]]),
        "{}",
        again.stderr
    );
    assert_eq!(own_files(&home), 1);
    let _ = berth(&["remove", "shop"]).ok();
    let kept = berth(&["data", "list", "--json"]).ok().json();
    let id = kept["data"][0]["id"].as_str().unwrap().to_owned();
    let _ = berth(&["data", "delete", &id]).ok();
    assert_eq!(
        own_files(&home),
        0,
        "a password that opens nothing is taken away"
    );
}

#[test]
fn the_right_password_file_counts_after_a_wrong_one_and_an_open_one_is_named() {
    let home = Home::new();
    let berth = |line: &[&str]| home.berth_with(line, "", LONG);
    let right = home.write("right", "R1ght-Passw0rd-of-mine");
    let wrong = text(&home.write("wrong", "Wr0ng-Passw0rd-of-mine"));
    programs::run(Command::new("chmod").arg("0644").arg(&right));
    let right = text(&right);
    let up = [
        "up",
        "shop",
        "--host",
        "practice",
        "--timeout",
        "30s",
        "--password-file",
    ];
    let made = berth(&[&up[..], &[&right]].concat()).ok();
    assert!(
        made.stderr.contains(&format!("chmod 600 {right}")),
        "a file that others can read is no secret: {}",
        made.stderr
    );
    let _ = berth(&["remove", "shop"]).ok();
    let refused = berth(&[&up[..], &[&wrong]].concat()).code(1);
    assert!(refused.stderr.contains("18456"), "{}", refused.stderr);
    let opened = berth(&[&up[..], &[&right]].concat()).ok();
    assert_eq!(
        drivers::tiberius(
            berth(&["connection", "shop", "--format", "tiberius"])
                .ok()
                .line(),
            "SELECT 1"
        ),
        Ok(vec![vec![json!(1)]]),
        "{}",
        opened.stderr
    );
    let _ = berth(&["remove", "shop", "--data", "delete"]).ok();
}
