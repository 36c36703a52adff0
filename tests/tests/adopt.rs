//! Containers that Berth did not make: listed as found, taken up when somebody says so, and never harmed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use berth_tests::rig::{Dockerd, Home, LinuxHost, SecretService, drivers, sql_image::OFFICIAL};
use serde_json::{Value, json};
use support::{keychain_items, text};

const LONG: Duration = Duration::from_secs(120);
const PASSWORD: &str = "Their-own-Passw0rd";

/// Somebody's container, made without Berth.
fn theirs(dockerd: &Dockerd, name: &str, more: &[&str]) -> String {
    let told = format!("MSSQL_SA_PASSWORD={PASSWORD}");
    let run = [
        "run",
        "-d",
        "--name",
        name,
        "-e",
        "ACCEPT_EULA=Y",
        "-e",
        &told,
    ];
    let id = dockerd.docker(&[&run[..], more, &[OFFICIAL]].concat());
    id.trim().to_owned()
}

fn listed(home: &Home) -> Value {
    home.berth(&["list", "--json"]).ok().json()
}

/// Tries until SQL Server in it is up: nobody waits for a container that is not Berth's.
fn adopt(home: &Home, more: &[&str]) -> String {
    let mut said = None;
    berth_tests::rig::wait_for(
        "the container to be adopted with its password",
        LONG,
        || {
            let ran = home.berth_with(&[&["adopt"], more].concat(), "", LONG);
            let starting = ran.code == 1 && ran.stderr.contains("may still be starting");
            let known = !starting && !ran.stderr.contains("is not known here");
            assert!(starting || ran.code == 0, "{}", ran.stderr);
            said = Some(ran.stderr);
            known.then_some(())
        },
    );
    said.unwrap()
}

fn one(home: &Home, name: &str, sql: &str) -> Result<Vec<Vec<Value>>, String> {
    let string = home
        .berth(&["connection", name, "--format", "tiberius"])
        .ok();
    drivers::tiberius(string.line(), sql).map_err(|e| e.to_string())
}

#[test]
fn over_ssh_a_container_that_berth_did_not_make_is_found_adopted_and_let_go_unharmed() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let Some(host) = LinuxHost::start() else {
        return;
    };
    let (home, other) = (Home::with_secrets(&secrets), Home::new());
    for home in [&home, &other] {
        let _ = home.add("far", &host.sshd);
    }
    let id = theirs(&host.dockerd, "their.sql", &["-v", "theirs:/var/opt/mssql"]);
    let _ = theirs(&host.dockerd, "another", &[]);

    let all = listed(&home);
    assert_eq!(
        all["instances"],
        json!([]),
        "what Berth did not make is no instance"
    );
    assert_eq!(
        (&all["found"][1]["name"], &all["found"][1]["container"]),
        (&json!("their.sql"), &json!(id)),
        "{all}"
    );
    let plain = home.berth(&["list"]).ok();
    assert!(plain.stdout.contains("running (found)"), "{}", plain.stdout);
    assert!(plain.stderr.contains("berth adopt"), "{}", plain.stderr);

    let nobody = home.berth(&["adopt", "nobody"]).code(3);
    assert!(
        nobody.stderr.contains("`their.sql`"),
        "it names what is there: {}",
        nobody.stderr
    );

    let said = adopt(&home, &["their.sql", "--name", "theirs"]);
    assert!(
        said.contains("docker inspect") && said.contains("reset-password"),
        "a password that everybody on the host can read is said to be one: {said}"
    );
    let there = home.berth(&["show", "theirs", "--json"]).ok().json();
    assert_eq!(
        (
            &there["adopted"],
            &there["version"],
            &there["credentials"],
            &there["data"]
        ),
        (&json!(true), &json!("2022"), &json!(true), &json!("keep")),
        "{there}"
    );
    assert_eq!(one(&home, "theirs", "SELECT 1").unwrap(), [[json!(1)]]);
    assert_eq!(listed(&home)["found"].as_array().unwrap().len(), 1);
    assert_eq!(
        listed(&other)["found"].as_array().unwrap().len(),
        2,
        "another machine cannot know that it was adopted here"
    );

    // Its life goes as any instance's, and its password can be made another.
    let port = there["port"].clone();
    let _ = home.berth_with(&["stop", "theirs"], "", LONG).ok();
    let _ = home.berth_with(&["up", "theirs"], "", LONG).ok();
    let _ = home
        .berth_with(&["reset-password", "theirs"], "", LONG)
        .ok();
    assert_eq!(one(&home, "theirs", "SELECT 2").unwrap(), [[json!(2)]]);
    let now = home.berth(&["show", "theirs", "--json"]).ok().json();
    assert_eq!(now["port"], port, "strings are pasted somewhere");
    let set = home.berth(&["set", "theirs", "--memory", "3g"]).code(1 + 3);
    assert!(set.stderr.contains("did not make it"), "{}", set.stderr);
    let logs = home.berth(&["logs", "theirs", "--tail", "2"]).ok();
    assert!(!logs.stdout.is_empty());

    // It is let go, and nothing of it is harmed.
    let refused = home
        .berth(&["remove", "theirs", "--data", "delete"])
        .code(4);
    assert!(refused.stderr.contains("not Berth's"), "{}", refused.stderr);
    let gone = home.berth(&["remove", "theirs"]).ok();
    assert!(gone.stdout.contains("is let go"), "{}", gone.stdout);
    assert_eq!(listed(&home)["found"].as_array().unwrap().len(), 2);
    assert_eq!(
        keychain_items(&secrets),
        0,
        "its password is nobody's any more"
    );
    let running = host.dockerd.docker(&["ps", "-q", "--no-trunc"]);
    assert!(
        running.contains(&id),
        "its container is not Berth's to end: {running}"
    );
}

#[test]
fn on_a_local_engine_it_is_adopted_with_a_password_file_or_without_any_password() {
    let Some(dockerd) = Dockerd::with_sql_image() else {
        return;
    };
    let home = Home::new();
    let _ = home
        .berth(&["host", "add", "here", &dockerd.address()])
        .ok();
    let _ = theirs(&dockerd, "hidden", &[]);
    let refused = home.berth(&["adopt", "hidden"]).code(4);
    assert!(
        refused.stderr.contains("published on no port") && refused.stderr.contains("-p 127.0.0.1"),
        "what cannot be reached is not said to be an instance: {}",
        refused.stderr
    );
    let _ = theirs(&dockerd, "shop", &["-p", "127.0.0.1:15399:1433"]);
    let right = text(&home.write("right", PASSWORD));
    let wrong = text(&home.write("wrong", "Wr0ng-Passw0rd-of-mine"));
    let _ = adopt(&home, &["shop", "--password-file", &right]);
    let there = home.berth(&["show", "shop", "--json"]).ok().json();
    assert_eq!(
        (&there["port"], &there["data"]),
        (&json!(15399), &json!("throwaway")),
        "what is not mounted is inside its container: {there}"
    );
    assert_eq!(one(&home, "shop", "SELECT 1").unwrap(), [[json!(1)]]);
    let refused = home
        .berth(&["adopt", "shop", "--password-file", &wrong])
        .code(1);
    assert!(
        refused.stderr.contains("did not let us in"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        one(&home, "shop", "SELECT 1").unwrap(),
        [[json!(1)]],
        "a wrong password does not take the place of the right one"
    );

    // Removed by whoever made it: then it is gone here too.
    let _ = dockerd.docker(&["rm", "-f", "shop"]);
    assert_eq!(listed(&home)["instances"], json!([]));
    let _ = home.berth(&["show", "shop"]).code(3);
}
