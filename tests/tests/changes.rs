//! What becomes of an instance after it was made: other memory, port and name, more databases, new passwords, and data that
//! stays until somebody deletes it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use berth_tests::rig::{self, Dockerd, Home, PracticeHost, SecretService, drivers};
use serde_json::{Value, json};
use support::{Background, keychain_items, text};

const LONG: Duration = Duration::from_secs(120);

fn string(home: &Home, name: &str, more: &[&str]) -> String {
    let arguments = [&["connection", name, "--format", "tiberius"], more].concat();
    home.berth(&arguments).ok().line().to_owned()
}

fn asked(string: &str, sql: &str) -> Result<Vec<Vec<Value>>, String> {
    drivers::tiberius(string, sql).map_err(|e| e.to_string())
}

fn shown(home: &Home, name: &str) -> Value {
    home.berth(&["show", name, "--json"]).ok().json()
}

fn an_instance_changes_and_its_data_stays(home: &Home, secrets: &SecretService) {
    let up = ["up", "shop", "--database", "shop", "--accept-eula"];
    let _ = home.berth_with(&up, "", LONG).ok();
    let first = string(home, "shop", &[]);
    asked(
        &first,
        "CREATE TABLE things (n int); INSERT things VALUES (7)",
    )
    .unwrap();

    // Memory, port and name at once; the data, the password and the id stay.
    let id = shown(home, "shop")["id"].clone();
    let set = [
        "set", "shop", "--memory", "4g", "--port", "15377", "--name", "store",
    ];
    let _ = home.berth_with(&set, "", LONG).ok();
    let now = shown(home, "store");
    assert_eq!(
        (&now["id"], &now["port"], &now["memory"], &now["state"]),
        (&id, &json!(15377), &json!(4_u64 << 30), &json!("running"))
    );
    let _ = home.berth(&["show", "shop"]).code(3);
    let second = string(home, "store", &[]);
    let things = asked(&second, "SELECT n FROM things").unwrap();
    assert_eq!(things, [[json!(7)]], "nothing may be lost by a change");
    assert!(
        asked(&first, "SELECT 1").is_err(),
        "the old port is given up"
    );
    let same = home.berth(&["set", "store", "--port", "15377"]).ok();
    assert!(same.stdout.contains("stays as it is"), "{}", same.stdout);
    let _ = home.berth(&["set", "store"]).code(2);

    // A database more, with a login of its own.
    let _ = home.berth(&["database", "create", "store", "extra"]).ok();
    let _ = home
        .berth(&["database", "create", "store", "extra"])
        .code(4);
    let _ = home
        .berth(&["database", "create", "store", "master"])
        .code(2);
    let extra = string(
        home,
        "store",
        &["--database", "extra", "--login", "extra_app"],
    );
    asked(&extra, "CREATE TABLE t (n int)").unwrap();
    let listed = home.berth(&["database", "list", "store", "--json"]).ok();
    assert!(listed.stdout.contains("\"extra\""), "{}", listed.stdout);
    let _ = home.berth(&["database", "drop", "store", "extra"]).ok();
    let _ = home.berth(&["database", "drop", "store", "extra"]).code(3);
    assert!(asked(&extra, "SELECT 1").is_err(), "its login went with it");

    // New passwords: the old ones open nothing.
    let _ = home.berth(&["reset-password", "store"]).ok();
    assert!(asked(&second, "SELECT 1").is_err());
    let third = string(home, "store", &[]);
    assert_eq!(asked(&third, "SELECT n FROM things").unwrap(), [[json!(7)]]);
    assert!(asked(&string(home, "store", &["--login", "sa"]), "SELECT 1").is_ok());

    // Without an instance the data is listed, taken up again, and deleted when that is said.
    let _ = home
        .berth(&["data", "delete", id.as_str().unwrap()])
        .code(4);
    let removed = home.berth(&["remove", "store"]).ok();
    assert!(
        removed.stderr.contains("`berth up shop`"),
        "the name by which the data is found: {}",
        removed.stderr
    );
    let kept = home.berth(&["data", "list", "--json"]).ok().json();
    assert_eq!(kept["data"][0]["id"], id, "{kept}");
    let again = ["up", "shop", "--accept-eula"];
    let _ = home.berth_with(&again, "", LONG).ok();
    let fourth = string(home, "shop", &[]);
    assert_eq!(
        asked(&fourth, "SELECT n FROM things").unwrap(),
        [[json!(7)]]
    );
    let none = home.berth(&["data", "list", "--json"]).ok().json();
    assert_eq!(none["data"], json!([]), "it has an instance again");
    let _ = home.berth(&["remove", "shop"]).ok();
    let _ = home.berth(&["data", "delete", "no-such-data"]).code(3);
    let _ = home.berth(&["data", "delete", id.as_str().unwrap()]).ok();
    let none = home.berth(&["data", "list", "--json"]).ok().json();
    assert_eq!(none["data"], json!([]));
    assert_eq!(keychain_items(secrets), 0, "a password that opens nothing");

    // What a private instance holds cannot be kept, and so not be carried over.
    let throwaway = ["up", "short", "--data", "throwaway", "--accept-eula"];
    let _ = home.berth_with(&throwaway, "", LONG).ok();
    let refused = home.berth(&["set", "short", "--memory", "4g"]).code(4);
    assert!(refused.stderr.contains("inside its container"));
    let _ = home.berth(&["remove", "short"]).ok();
}

#[test]
fn on_windows_an_instance_changes_and_its_data_stays() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::start();
    let home = Home::with_secrets(&secrets);
    let key = text(&host.client_key());
    let (address, print) = (host.address(), host.fingerprint());
    let mut add = vec!["host", "add", "win", &address, "--identity", &key];
    add.extend(["--trust-host-key", &print]);
    let _ = home.berth(&add).ok();
    an_instance_changes_and_its_data_stays(&home, &secrets);
}

#[test]
fn on_linux_an_instance_changes_and_its_data_stays() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let Some(dockerd) = Dockerd::with_sql_image() else {
        return;
    };
    let home = Home::with_secrets(&secrets);
    let _ = home
        .berth(&["host", "add", "here", &dockerd.address()])
        .ok();
    an_instance_changes_and_its_data_stays(&home, &secrets);
    assert_eq!(dockerd.docker(&["ps", "-aq"]), "");
    assert_eq!(dockerd.docker(&["volume", "ls", "-q"]), "");
}

#[test]
fn what_was_cut_off_is_in_the_history_and_goes_on_when_asked() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::with(&["slow-start=3"]);
    let home = Home::with_secrets(&secrets);
    let key = text(&host.client_key());
    let (address, print) = (host.address(), host.fingerprint());
    let mut add = vec!["host", "add", "win", &address, "--identity", &key];
    add.extend(["--trust-host-key", &print]);
    let _ = home.berth(&add).ok();
    let mut up = Background::start(&home, &["-v", "up", "shop", "--accept-eula"]);
    rig::wait_for("SQL Server to be waited for", LONG, || {
        up.stderr().contains("Waiting for SQL Server").then_some(())
    });
    up.interrupt();
    assert_ne!(up.code(LONG), 0);

    let past = home.berth(&["history", "shop", "--json"]).ok().json();
    let last = &past["operations"][0];
    assert_eq!(last["outcome"], "cancelled", "{past}");
    let phases: Vec<&str> = last["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["kind"] == "done")
        .map(|s| s["phase"].as_str().unwrap())
        .collect();
    assert!(
        phases.starts_with(&["plan", "image", "credentials", "container"]),
        "its log says how far it came: {phases:?}"
    );
    let id = last["id"].as_str().unwrap();
    let _ = home.berth_with(&["retry", id], "", LONG).ok();
    assert_eq!(shown(&home, "shop")["state"], "running");
    assert!(asked(&string(&home, "shop", &[]), "SELECT 1").is_ok());

    let _ = home.berth(&["agent", "stop"]).ok();
    let past = home.berth(&["history", "--json"]).ok().json();
    assert_eq!(
        past["operations"].as_array().unwrap().len(),
        2,
        "the history outlives the agent: {past}"
    );
    let _ = home.berth(&["retry", id]).code(3);
}

/// Data that was there before is nobody's to throw away, however little came of taking it up.
#[test]
fn data_taken_up_with_a_wrong_password_outlives_the_removal_of_what_failed() {
    let host = PracticeHost::start();
    let home = Home::new();
    let (right, wrong) = (
        home.write("right", "R1ght-Passw0rd-of-mine"),
        home.write("wrong", "Wr0ng-Passw0rd-of-mine"),
    );
    let up = |password: &std::path::Path| {
        let password = password.display().to_string();
        home.berth_with(
            &[
                "up",
                "shop",
                "--accept-eula",
                "--timeout",
                "30s",
                "--password-file",
                &password,
            ],
            "",
            LONG,
        )
    };
    let (address, key, trust) = (
        host.address(),
        host.client_key().display().to_string(),
        host.fingerprint(),
    );
    let _ = home
        .berth(&[
            "host",
            "add",
            "win",
            &address,
            "--identity",
            &key,
            "--trust-host-key",
            &trust,
        ])
        .ok();
    let _ = up(&right).ok();
    let first = string(&home, "shop", &[]);
    asked(
        &first,
        "CREATE TABLE things (n int); INSERT things VALUES (7)",
    )
    .unwrap();
    let _ = home.berth(&["remove", "shop"]).ok();

    let _ = up(&wrong).code(1);
    let _ = home.berth(&["remove", "shop"]).ok();
    let kept = home.berth(&["data", "list", "--json"]).ok().json();
    assert_eq!(
        kept["data"].as_array().map(Vec::len),
        Some(1),
        "data goes only when somebody says so: {kept}"
    );
    let _ = up(&right).ok();
    let things = asked(&string(&home, "shop", &[]), "SELECT n FROM things").unwrap();
    assert_eq!(things, [[json!(7)]]);

    // And what is written of it is whole, or is no success.
    let full = std::process::Command::new("sh")
        .args([
            "-c",
            "exec \"$0\" query shop \"SELECT n FROM things\" --csv >/dev/full",
        ])
        .arg(rig::programs::built("berth"))
        .env("BERTH_HOME", home.berth_home())
        .output()
        .unwrap();
    assert_eq!(
        full.status.code(),
        Some(1),
        "half a file must not look like a whole one: {full:?}"
    );
}
