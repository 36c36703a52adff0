//! `berth connection` without an instance: lists, parts, carriers, reading back. None of it needs an agent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{net::Ipv4Addr, time::Duration};

use berth_core::Secret;
use berth_practice::sql::{Options, SqlServer};
use berth_tests::rig::{
    home::{Home, Ran, run},
    programs, skip,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const CANARY: &str = "Zq7'canary;\"x";

fn parts(password: &str) -> String {
    json!({"host": "db.example", "port": 14330, "database": "orders", "user": "sa", "password": password, "tls": "unverified"})
        .to_string()
}

fn connection(home: &Home, arguments: &[&str], input: &str) -> Ran {
    let mut all = vec!["connection"];
    all.extend(arguments);
    home.berth_with(&all, input, Duration::from_secs(30))
}

#[test]
fn lists_parts_and_readings_need_no_agent() {
    let home = Home::new();
    let formats = connection(&home, &["--formats", "--json"], "").ok().json();
    let ids: Vec<&str> = formats
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            for field in ["id", "name", "family", "about"] {
                assert!(!f[field].as_str().unwrap().is_empty(), "{f}");
            }
            assert!(f["limits"].is_array(), "what each cannot say: {f}");
            f["id"].as_str().unwrap()
        })
        .collect();
    let list = connection(&home, &["--formats"], "").ok().stdout;
    for id in &ids {
        assert!(
            list.lines()
                .any(|line| line.split_whitespace().next() == Some(id)),
            "{id}"
        );
    }
    let carriers = connection(&home, &["--carriers", "--json"], "").ok().json();
    assert!(
        carriers
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["id"] == "dotenv-python")
    );

    let string = connection(
        &home,
        &["--parts", "-", "--format", "adonet"],
        &parts(CANARY),
    )
    .ok();
    assert!(
        string.line().contains("Password=\"Zq7'canary;\"\"x\""),
        "{}",
        string.stdout
    );
    let reading = connection(&home, &["--read", "-", "--json"], &string.stdout).ok();
    assert!(!reading.stdout.contains("canary"), "{}", reading.stdout);
    let reading = reading.json();
    assert_eq!(reading["server"], "db.example");
    assert_eq!(reading["port"], 14330);
    assert_eq!(reading["user"], "sa");
    assert_eq!(reading["ok"], true, "{reading}");

    let explained = connection(&home, &["--parts", "-", "--explain"], &parts(CANARY)).ok();
    assert!(!explained.stdout.contains("canary"), "{}", explained.stdout);
    assert!(explained.stdout.contains("login"), "{}", explained.stdout);

    assert!(
        !home.berth_home().exists(),
        "nothing was started and nothing kept"
    );
}

#[test]
fn a_string_goes_through_a_carrier_and_a_shell() {
    let home = Home::new();
    let plain = connection(&home, &["--parts", "-", "--format", "go"], &parts(CANARY)).ok();
    let carried = connection(
        &home,
        &[
            "--parts",
            "-",
            "--format",
            "adonet",
            "--carrier",
            "sh",
            "--variable",
            "CS",
        ],
        &parts(CANARY),
    )
    .ok();
    let mut shell = home.command(std::path::Path::new("/bin/sh"));
    shell.args(["-c", "eval \"$(cat)\"; printf %s \"$CS\""]);
    let ran = run(&mut shell, &carried.stdout, Duration::from_secs(10)).ok();
    let whole = connection(
        &home,
        &["--parts", "-", "--format", "adonet"],
        &parts(CANARY),
    )
    .ok();
    assert_eq!(ran.stdout, whole.line());
    assert!(plain.line().starts_with("sqlserver://"));
}

#[test]
fn what_makes_no_sense_is_usage() {
    let home = Home::new();
    for (arguments, says) in [
        (&["--parts", "-", "--format", "jbdc"][..], "`jdbc`"),
        (&["--parts", "-", "--carrier", "dotenv"], "dotenv-python"),
        (
            &["--parts", "-", "--carrier", "sh", "--variable", "a b"],
            "name of a variable",
        ),
        (&["--parts", "-", "--variable", "A"], "--carrier"),
        (&["--read", "-", "--format", "nonesuch"], "nonesuch"),
        (&["nobody", "--format", "nonesuch"], "nonesuch"),
        (&["--read", "-", "--explain"], "cannot be used"),
        (&["nobody", "--mended"], "cannot be used"),
        (&["--parts", "-", "--mended"], "cannot be used"),
        (&[], "required"),
    ] {
        let ran = connection(&home, arguments, &parts(CANARY)).code(2);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
    }
    for input in ["", "Zq7canary", "{\"host\": \"Zq7canary\""] {
        for arguments in [&["--read", "-"][..], &["--parts", "-"]] {
            let ran = connection(&home, arguments, input).code(2);
            assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
        }
    }
    let long = "x".repeat(70_000);
    let _ = connection(&home, &["--read", "-"], &long).code(2);
    assert!(!home.berth_home().exists(), "a usage error starts nothing");
}

#[test]
fn a_broken_string_is_told_and_mended() {
    let home = Home::new();
    let broken = "Server=db.example,14330;Database=orders;User ID=sa;Password=Zq7;canary=x;Encrypt=True;TrustServerCertificate=True";
    let told = connection(&home, &["--read", "-"], broken).ok();
    assert!(!told.stdout.contains("canary"), "{}", told.stdout);
    assert!(
        told.stdout.contains("wrong: The password holds a `;`"),
        "{}",
        told.stdout
    );
    let mended = connection(&home, &["--read", "-", "--mended"], broken).ok();
    assert!(
        mended.line().contains("Password=\"Zq7;canary=x\""),
        "{}",
        mended.stdout
    );
    let document = connection(&home, &["--read", "-", "--mended", "--json"], broken).ok();
    let document = document.json();
    assert_eq!(
        document["connection_string"],
        mended.line(),
        "a script reads it from JSON"
    );
    assert!(
        !document["masked"].as_str().unwrap().contains("canary"),
        "{document}"
    );
}

#[test]
fn an_installed_driver_opens_the_string() {
    let (Some(drivers), Some(odbc)) = (programs::fetched("drivers/bin"), programs::fetched("odbc"))
    else {
        return skip("Microsoft's ODBC driver was not fetched: `tests/prepare/drivers.sh` does it");
    };
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        server_name: "TRIED".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: None,
        disk: None,
    };
    let server = SqlServer::open(folder.path(), options).unwrap();
    let password = "Zq7'canary;}\"x";
    server
        .set_sa_password(&Secret::from(password.to_owned()))
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { server.serve(Box::new(stream)).await });
        }
    });
    let open = |password: &str| {
        let parts = json!({"host": "127.0.0.1", "port": port, "database": "master", "user": "sa", "password": password, "tls": "unverified"});
        let mut command = home.command(&programs::built("berth"));
        command
            .args([
                "connection",
                "--parts",
                "-",
                "--test",
                "--format",
                "odbc",
                "--json",
            ])
            .env("ODBCSYSINI", &odbc)
            .env("PATH", format!("{}:/usr/bin:/bin", drivers.display()));
        run(&mut command, &parts.to_string(), Duration::from_secs(60))
    };
    let ran = open(password).ok();
    let opened: Value = ran.json();
    assert_eq!(opened[0]["opened"], true, "{opened}");
    assert_eq!(opened[0]["driver"], "pyodbc");
    assert!(
        opened[0]["version"].as_str().unwrap().contains("msodbcsql"),
        "{opened}"
    );
    assert!(
        opened[0]["said"].as_str().unwrap().contains("practice"),
        "what the server calls itself: {opened}"
    );
    let ran = open("Zq7canary-wrong").code(1);
    let refused: Value = ran.json();
    assert_eq!(refused[0]["opened"], false, "{refused}");
    assert!(
        refused[0]["said"].as_str().unwrap().contains("18456"),
        "the driver's own words: {refused}"
    );
    assert!(
        !ran.stdout.contains("canary") && !ran.stderr.contains("canary"),
        "{}",
        ran.stdout
    );
}
