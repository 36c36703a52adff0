//! The command-line formats against a real POSIX shell: what the program would be given.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

use std::process::Command;

use berth_core::{
    connection::{Parts, Tls, format},
    secret::ExposeSecret,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

/// Stands for the program: prints its password and its arguments, each ended by NUL.
const STAND_IN: &str = r#"sqlcmd() { printf '%s\0' "$SQLCMDPASSWORD" "$@"; printf 'END\0'; }
tsql() { printf '%s\0' "" "$@"; printf 'END\0'; }
"#;

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "'", "''", "'\\''", "\"", "\\", "`id`", "$(id)", "${HOME}", "$HOME", "!", "!!", "~", "*",
        "?", "[a]", "{a,b}", "#", "&", ";", "|", "<", ">", "(", ")", " ", "\t", "\n", "\r", "%s",
        "=", "a", "B", "7", "\u{e9}", "\u{4e2d}", "\u{a0}", "\u{1}", "\u{7f}",
    ]);
    // A first letter, as a leading `-` is refused; the formats' own tests hold that.
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("x{}", pieces.concat()))
}

#[test]
fn a_shell_hands_over_what_was_meant() {
    let mut runner = TestRunner::default();
    let strategy = (hostile(), hostile(), hostile(), hostile());
    let all: Vec<_> = (0..500)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect();
    // In parts: one argument of a program holds 128 KiB at most.
    for (id, some) in ["sqlcmd", "freetds"]
        .into_iter()
        .flat_map(|id| all.chunks(100).map(move |some| (id, some)))
    {
        let mut script = STAND_IN.to_owned();
        let mut meant = Vec::new();
        for (user, password, database, app) in some {
            let parts = Parts {
                host: "127.0.0.1".into(),
                port: 14330,
                database: Some(database.clone()),
                user: user.clone(),
                password: password.as_str().into(),
                tls: Tls::Unverified,
                app: Some(app.clone()),
                options: Vec::new(),
            };
            // A line break in a password is what tsql cannot read.
            let Ok(text) = format(id).unwrap().write(&parts) else {
                continue;
            };
            script.push_str(text.reveal().expose_secret());
            script.push('\n');
            let words = if id == "sqlcmd" {
                vec![
                    password,
                    "-S",
                    "tcp:127.0.0.1,14330",
                    "-U",
                    user,
                    "-d",
                    database,
                    "-N",
                    "-C",
                    "END",
                ]
            } else {
                vec![
                    "",
                    "-H",
                    "127.0.0.1",
                    "-p",
                    "14330",
                    "-U",
                    user,
                    "-P",
                    "-",
                    "-J",
                    "UTF-8",
                    "-D",
                    database,
                    "-a",
                    app,
                    "END",
                ]
            };
            meant.extend(words.into_iter().map(str::to_owned));
        }
        assert!(meant.len() > 200, "most of them can be said");
        let out = Command::new("sh")
            .args(["-c", &script])
            .env_clear()
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let words: Vec<&str> = text.split_terminator('\0').collect();
        assert_eq!(
            words,
            meant,
            "{id}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}
