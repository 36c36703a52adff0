//! The main way as a user goes it, with nothing but the `berth` command: from a host to a connection string
//! that the user's own client opens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{fs, path::Path, time::Duration};

use berth_tests::rig::{Dockerd, Home, LinuxHost, PracticeHost, SecretService, drivers, programs};
use serde_json::{Value, json};

/// Every file below `folder` that holds `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).is_ok_and(|bytes| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        }) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Opens the instance's strings with the clients that they are for.
fn every_client_opens(home: &Home, name: &str) {
    let string = |format: &str| {
        home.berth(&["connection", name, "--format", format])
            .ok()
            .line()
            .to_owned()
    };
    let password = home
        .berth(&["connection", name, "--password"])
        .ok()
        .line()
        .to_owned();
    let sql = "SELECT 40 + 2";
    let opened = [
        ("adonet", drivers::sqlclient(&string("adonet"), sql)),
        ("odbc", drivers::odbc(&string("odbc"), sql)),
        ("tedious", drivers::tedious(&string("tedious"), sql)),
        ("mssql", drivers::mssql(&string("mssql"), sql)),
        (
            "tiberius",
            Some(drivers::tiberius(&string("tiberius"), sql)),
        ),
        ("freetds", drivers::tsql(&string("freetds"), &password, sql)),
    ];
    for (format, rows) in opened {
        let Some(rows) = rows else { continue };
        let rows = rows
            .unwrap_or_else(|error| panic!("the client of `{format}` refused its string: {error}"));
        assert!(
            rows == [[json!(42)]] || rows == [[json!("42")]],
            "the client of `{format}` got {rows:?}"
        );
    }
}

/// The string in a carrier, in words, in pieces, and opened by what is installed.
fn the_string_travels(home: &Home, name: &str, password: &str) {
    let carried = home
        .berth(&["connection", name, "--carrier", "json"])
        .ok()
        .json();
    let plain = home.berth(&["connection", name]).ok();
    assert_eq!(carried, json!(plain.line()), "what a reader of JSON gets");
    let alone = home
        .berth(&["connection", name, "--password", "--carrier", "dotenv-node"])
        .ok();
    assert_eq!(alone.line(), format!("MSSQL_PASSWORD='{password}'"));

    let explained = home.berth(&["connection", name, "--explain"]).ok().stdout;
    assert!(
        explained.contains("login") && !explained.contains(password),
        "in words, and without the password:\n{explained}"
    );
    let shown = home.berth(&["connection", name, "--json"]).ok().json();
    let pieces = shown["pieces"].as_array().expect("the string in pieces");
    let text: String = pieces.iter().filter_map(|p| p["text"].as_str()).collect();
    assert_eq!(json!(text), shown["masked"]);
    assert!(
        pieces
            .iter()
            .any(|p| p["secret"] == true && p["part"] == "password"),
        "the secret is a hole, which only a copy fills: {pieces:?}"
    );
    assert!(!text.contains(password));

    let tried = home
        .berth_with(
            &["connection", name, "--test", "--format", "tiberius"],
            "",
            Duration::from_secs(60),
        )
        .ok();
    assert!(
        tried
            .stderr
            .contains("no driver for `tiberius` is installed here")
            && tried.stdout.contains("Berth's own"),
        "without a client's driver Berth's own opens the string, and it is said:\n{}{}",
        tried.stdout,
        tried.stderr
    );
    if programs::find("tsql").is_some() {
        let tried = home
            .berth_with(
                &["connection", name, "--test", "--format", "freetds"],
                "",
                Duration::from_secs(60),
            )
            .ok();
        assert!(tried.stdout.contains("tsql"), "{}", tried.stdout);
    }
}

/// What must hold on every host, once an instance is up.
fn the_instance_serves_and_goes(home: &Home, name: &str) {
    let listed = home.berth(&["list", "--json"]).ok().json();
    assert!(
        listed.to_string().contains(name),
        "`list` shows what `up` made: {listed}"
    );
    every_client_opens(home, name);

    let password = home
        .berth(&["connection", name, "--password"])
        .ok()
        .line()
        .to_owned();
    assert!(password.len() >= 20, "the password is a generated one");
    the_string_travels(home, name, &password);
    assert_eq!(
        files_with(&home.berth_home(), &password),
        Vec::<String>::new(),
        "a password is in the keychain, never in a file"
    );

    // The string outlives the command, and an agent that dies: the next one finds the instance by its labels.
    let before = home.berth(&["connection", name]).ok();
    let _ = home.berth(&["agent", "stop", "--force"]).ok();
    let after = home.berth(&["connection", name]).ok();
    assert_eq!(
        before.line(),
        after.line(),
        "a string that was pasted somewhere must stay true"
    );
    every_client_opens(home, name);

    let _ = home.berth(&["stop", name]).ok();
    let _ = home.berth(&["start", name]).ok();
    every_client_opens(home, name);

    let _ = home.berth(&["remove", name, "--data", "delete"]).ok();
    let listed = home.berth(&["list", "--json"]).ok().json();
    let instances = listed.get("instances").unwrap_or(&listed);
    assert_eq!(
        instances,
        &Value::Array(Vec::new()),
        "what was removed is gone"
    );
}

#[test]
fn a_windows_host_gives_a_string_that_every_client_opens() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::start();
    let home = Home::with_secrets(&secrets);
    let key = host.client_key().display().to_string();
    let unknown = home
        .berth(&["host", "add", "win", &host.address(), "--identity", &key])
        .code(4);
    assert!(
        unknown.stderr.contains(&host.fingerprint()),
        "whoever must decide about a host key needs to see its fingerprint:\n{}",
        unknown.stderr
    );
    let _ = home.add("win", &host);
    let up = home
        .berth_with(
            &["up", "shop", "--database", "shop", "--accept-eula"],
            "",
            Duration::from_secs(90),
        )
        .ok();
    assert!(
        up.stdout.contains("127.0.0.1"),
        "an instance is reached on this machine:\n{}",
        up.stdout
    );
    the_instance_serves_and_goes(&home, "shop");
}

#[test]
fn a_linux_host_gives_a_string_that_every_client_opens() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let Some(host) = LinuxHost::start() else {
        return;
    };
    let home = Home::with_secrets(&secrets);
    let _ = home.add("box", &host.sshd);
    let _ = home
        .berth_with(
            &["up", "shop", "--database", "shop", "--accept-eula"],
            "",
            Duration::from_secs(90),
        )
        .ok();

    // What `docker inspect` shows must open nothing.
    let environment = host.dockerd.docker(&[
        "inspect",
        "-f",
        "{{json .Config.Env}}",
        &host.dockerd.docker(&["ps", "-q"]),
    ]);
    let now = home
        .berth(&["connection", "shop", "--login", "sa", "--password"])
        .ok()
        .line()
        .to_owned();
    assert!(
        !environment.contains(&now),
        "the password of the environment is a throw-away"
    );
    the_instance_serves_and_goes(&home, "shop");
    assert_eq!(
        host.dockerd.docker(&["ps", "-aq"]),
        "",
        "nothing is left on the host"
    );
}

#[test]
fn an_engine_on_this_machine_needs_no_tunnel() {
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
    let _ = home
        .berth_with(
            &["up", "shop", "--accept-eula"],
            "",
            Duration::from_secs(90),
        )
        .ok();
    let string = home.berth(&["connection", "shop"]).ok();
    let _ = home.berth(&["agent", "stop"]).ok();
    let rows = drivers::tiberius(string.line(), "SELECT 40 + 2");
    assert_eq!(
        rows.as_deref(),
        Ok([vec![json!(42)]].as_slice()),
        "the engine publishes the port on this machine, so no agent is needed"
    );
    let ports = dockerd.docker(&["ps", "--format", "{{.Ports}}"]);
    assert!(
        ports.starts_with("127.0.0.1:"),
        "a password must not be asked for by the whole network: {ports}"
    );
    the_instance_serves_and_goes(&home, "shop");
    assert_eq!(
        dockerd.docker(&["ps", "-aq"]),
        "",
        "nothing is left on the host"
    );
}
