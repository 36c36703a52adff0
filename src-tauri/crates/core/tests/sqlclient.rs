//! The `adonet` format against Microsoft.Data.SqlClient's own parser.
//!
//! The tool is looked for in the folder `BERTH_TOOLS`, else beside the repository.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects by failing, and what it skips on stderr"
)]

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use berth_core::{
    connection::{Parts, Tls, format},
    secret::ExposeSecret,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::Value;

const CASES: usize = 5000;

fn tool() -> Option<PathBuf> {
    let folder = env::var_os("BERTH_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/tools/dotnet"),
        PathBuf::from,
    );
    let tool = folder.join("sqlclient");
    if tool.is_file() {
        return Some(tool);
    }
    eprintln!(
        "SKIPPED: the adonet format was not held against SqlClient, {} is missing",
        tool.display()
    );
    None
}

/// Parses every string in one run of the tool; the answers in the same order.
fn parse(tool: &Path, strings: &[String]) -> Vec<Value> {
    let mut child = Command::new(tool)
        .args(["parse", "--lines"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input: String = strings
        .iter()
        .map(|s| format!("{}\n", Value::from(s.as_str())))
        .collect();
    // Both pipes at once: either would fill up.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers: Vec<Value> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), strings.len(), "one answer for each string");
    answers
}

/// Text of the characters that the grammar, .NET's blanks and injections are made of.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => prop::sample::select(vec![
            ";", "=", "==", "'", "\"", "\"\"", "''", "{", "}", ",", "\\", "%", "|", " ", "\t", "\n", "\r\n", "\u{1}", "\u{7f}",
            "\u{85}", "\u{a0}", "\u{2028}", "\u{3000}", "\u{feff}", "\u{200b}", "\";Encrypt=False;X=\"", ";Password=x",
            "';Server=evil;'", "tcp:", "|DataDirectory|", "(local)", "a", "Z", "7", "\u{e9}", "e\u{301}", "\u{4e2d}", "\u{1f600}",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| {
        let mut units = 0;
        let mut text: String = pieces.concat();
        text.retain(|c| {
            units += c.len_utf16();
            c != '\0' && units <= 128
        });
        if text.is_empty() {
            "x".to_owned()
        } else {
            text
        }
    })
}

fn any_parts() -> impl Strategy<Value = Parts> {
    let host = prop_oneof![
        Just("127.0.0.1"),
        Just("localhost"),
        Just("db-1.example.com"),
        Just("::1"),
        Just("fe80::1")
    ];
    let tls = prop_oneof![
        2 => Just(Tls::Unverified),
        1 => Just(Tls::Verified { ca_file: None }),
        1 => hostile().prop_filter("a file name", |f| !f.chars().any(char::is_control))
            .prop_map(|certificate_file| Tls::Pinned { certificate_file }),
    ];
    (
        host,
        1..=u16::MAX,
        prop::option::of(hostile()),
        hostile(),
        hostile(),
        tls,
        prop::option::of(hostile()),
    )
        .prop_map(|(host, port, database, user, password, tls, app)| Parts {
            host: host.to_owned(),
            port,
            database,
            user,
            password: password.into(),
            tls,
            app,
            options: Vec::new(),
        })
}

#[test]
fn sqlclient_reads_what_was_meant() {
    let Some(tool) = tool() else { return };
    let adonet = format("adonet").unwrap();
    let mut runner = TestRunner::default();
    let strategy = any_parts();
    let all: Vec<Parts> = (0..CASES)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        // A line feed at the end may be refused: .NET's builder of strings loses it.
        .filter(|parts| {
            [
                Some(&parts.user),
                parts.database.as_ref(),
                parts.app.as_ref(),
            ]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .chain([parts.password.expose_secret()])
            .all(|value| !value.ends_with('\n'))
        })
        .collect();
    let strings: Vec<String> = all
        .iter()
        .map(|parts| {
            adonet
                .write(parts)
                .unwrap()
                .reveal()
                .expose_secret()
                .to_owned()
        })
        .collect();
    for ((parts, string), said) in all.iter().zip(&strings).zip(parse(&tool, &strings)) {
        let host = if parts.host.contains(':') {
            format!("[{}]", parts.host)
        } else {
            parts.host.clone()
        };
        let (trust, pin) = match &parts.tls {
            Tls::Unverified => ("True", ""),
            Tls::Verified { .. } => ("False", ""),
            Tls::Pinned { certificate_file } => ("False", certificate_file.as_str()),
        };
        for (key, meant) in [
            ("Data Source", format!("tcp:{host},{}", parts.port).as_str()),
            (
                "Initial Catalog",
                parts.database.as_deref().unwrap_or_default(),
            ),
            ("User ID", &parts.user),
            ("Password", parts.password.expose_secret()),
            // The driver's own word for mandatory, written back.
            ("Encrypt", "True"),
            ("Trust Server Certificate", trust),
            ("Server Certificate", pin),
            ("Connect Timeout", "30"),
        ] {
            assert_eq!(
                said[key], meant,
                "SqlClient reads another {key} in {string:?}: {said}"
            );
        }
        if let Some(app) = &parts.app {
            assert_eq!(said["Application Name"], app.as_str(), "{string:?}");
        }
    }
}

#[test]
fn sqlclient_would_have_shown_a_wrong_string() {
    let Some(tool) = tool() else { return };
    let said = parse(
        &tool,
        &[
            "Server=a;Password=x;y".into(),
            "Server=a;Password=x;Encrypt=no".into(),
        ],
    );
    assert!(
        said[0]["error"].is_object(),
        "a raw `;` has to be seen, or the test above proves nothing"
    );
    assert_eq!(said[1]["Encrypt"], "False");
}
