//! Two hundred passwords that attack every grammar, through the real clients, against a server that
//! compares what arrived: a string is right when the login works, and only then.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{net::Ipv4Addr, time::Duration};

use berth_core::{
    Secret,
    connection::{self, Parts, Tls},
    password,
};
use berth_practice::sql::{Options, SqlServer};
use berth_tests::rig::drivers::{self, Case, Opened};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};

const HOW_MANY: usize = 200;

/// What the grammars quote by, separate by, escape by and expand, and what they trim.
const PIECES: &[&str] = &[
    ";",
    "=",
    "==",
    "'",
    "''",
    "\"",
    "\"\"",
    "{",
    "}",
    "}}",
    "{{",
    "};",
    "@",
    ":",
    "/",
    "//",
    "?",
    "#",
    "&",
    "%",
    "%41",
    "%%",
    "+",
    "\\",
    "\\\\",
    " ",
    "  ",
    "\u{a0}",
    "$",
    "${HOME}",
    "$(id)",
    "`",
    "!",
    "|",
    "<",
    ">",
    "~",
    "^",
    "*",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "-",
    "_",
    "ü",
    "ß",
    "é",
    "e\u{301}",
    "漢",
    "\u{feff}",
    "\u{2028}",
    "\t",
    "A",
    "b",
    "7",
    "x1",
    "0xDE",
    "+1.2E+3",
    ";Encrypt=no",
    ";TrustServerCertificate=no",
    "Server=",
    "{{env}}",
    "<%=1%>",
    "{%if%}",
    "%s",
];

/// The same numbers in every run, so that a failure can be looked at again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

fn hostile_passwords() -> Vec<String> {
    let mut numbers = Numbers(20_261_122);
    let mut all: Vec<String> = PIECES
        .iter()
        .flat_map(|p| {
            [
                format!("{p}Aa1bcdef"),
                format!("Aa1bcdef{p}"),
                format!("Aa1{p}bcdef"),
            ]
        })
        .filter(|p| password::check(p).is_ok())
        .collect();
    // Half of them are built at random, up to the longest that SQL Server takes.
    all.truncate(HOW_MANY / 2);
    all.push(format!("Aa1{}", "}".repeat(125)));
    all.push(format!("Aa1{}", "\"".repeat(125)));
    while all.len() < HOW_MANY {
        let mut text = String::new();
        for _ in 0..=numbers.below(24) {
            text.push_str(PIECES[numbers.below(PIECES.len())]);
        }
        if password::check(&text).is_ok() && !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// A server on 127.0.0.1 with a login for each password, `u0`, `u1`, …
fn server(runtime: &Runtime, folder: &std::path::Path, passwords: &[String]) -> u16 {
    let sa = Secret::from("Sa-of-this-test-1".to_owned());
    let options = Options {
        server_name: "HOSTILE".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: None,
    };
    let server = SqlServer::open(folder, options).expect("the engine opens its folder");
    server
        .set_sa_password(&sa)
        .expect("the password meets the policy");
    let listener = runtime
        .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { server.serve(Box::new(stream)).await });
        }
    });
    let logins: String = passwords
        .iter()
        .enumerate()
        .map(|(n, p)| {
            format!(
                "CREATE LOGIN [u{n}] WITH PASSWORD = N'{}';\n",
                p.replace('\'', "''")
            )
        })
        .collect();
    let string = text("tiberius", port, "sa", &sa);
    drivers::tiberius(&string, &format!("{logins} SELECT 1")).expect("the logins are made");
    port
}

fn text(format: &str, port: u16, user: &str, password: &Secret) -> String {
    use berth_core::secret::ExposeSecret;
    let parts = Parts {
        host: "127.0.0.1".into(),
        port,
        database: Some("master".into()),
        user: user.into(),
        password: password.clone(),
        tls: Tls::Unverified,
        app: None,
        options: Vec::new(),
    };
    connection::format(format)
        .and_then(|f| f.write(&parts))
        .unwrap_or_else(|e| panic!("`{format}` can write every password of this test, but: {e}"))
        .reveal()
        .expose_secret()
        .to_owned()
}

fn every_login_works(format: &str, open: impl FnOnce(&[Case<'_>]) -> Option<Vec<Opened>>) {
    let passwords = hostile_passwords();
    assert_eq!(
        passwords.len(),
        HOW_MANY,
        "the generator makes as many as it is asked for"
    );
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let port = server(&runtime, folder.path(), &passwords);
    let strings: Vec<String> = passwords
        .iter()
        .enumerate()
        .map(|(n, p)| text(format, port, &format!("u{n}"), &Secret::from(p.clone())))
        .collect();
    let cases: Vec<Case<'_>> = strings
        .iter()
        .map(|s| (s.as_str(), "SELECT SUSER_SNAME()"))
        .collect();
    let opened = open(&cases);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let Some(opened) = opened else { return };
    assert_eq!(opened.len(), HOW_MANY, "each string was opened");
    let wrong: Vec<String> = opened
        .iter()
        .enumerate()
        .filter(|(n, rows)| rows.as_ref().ok() != Some(&vec![vec![json!(format!("u{n}"))]]))
        .map(|(n, rows)| format!("{:?}: {rows:?}", passwords[n]))
        .collect();
    assert!(
        wrong.is_empty(),
        "`{format}` must carry any legal password whole; {} of {HOW_MANY} did not arrive:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn sqlclient_sends_every_password_whole() {
    every_login_works("adonet", drivers::sqlclient_all);
}

#[test]
fn the_odbc_driver_sends_every_password_whole() {
    every_login_works("odbc", drivers::odbc_all);
}

#[test]
fn tedious_sends_every_password_whole() {
    every_login_works("tedious", drivers::tedious_all);
}

#[test]
fn a_wrong_password_is_refused() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let passwords = vec!["Aa1bcdef;".to_owned()];
    let port = server(&runtime, folder.path(), &passwords);
    let string = text("tiberius", port, "u0", &Secret::from("Aa1bcdef".to_owned()));
    let refused = drivers::tiberius(&string, "SELECT 1");
    runtime.shutdown_timeout(Duration::from_secs(1));
    let error = refused.expect_err("a server that lets everyone in would prove nothing");
    assert!(error.contains("Login failed"), "{error}");
}
