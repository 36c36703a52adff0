//! One program: called as `berth`, or with a command's words, it is the command; otherwise it is the app.
//!
//! One signed program, so that a Mac's keychain asks once, and so that the app can start its own agent.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod app;
mod link;
mod live;
mod menu;
mod pages;
mod panel;
mod seen;
mod tray;

use std::{ffi::OsStr, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let called = words.next().unwrap_or_default();
    if is_command(&called, words.next().as_deref()) {
        return berth_cli::main();
    }
    app::run()
}

/// Whether these are words for the command. The system starts an app with none, or with an address of ours; the agent is
/// started as `agent serve`.
fn is_command(called: &OsStr, first: Option<&OsStr>) -> bool {
    let name = Path::new(called).file_name();
    let ours = |word: &OsStr| {
        let word = word.to_string_lossy();
        // What old macOS adds when the Finder opens an app.
        word.starts_with(link::SCHEME) || word.starts_with("-psn_")
    };
    name == Some(OsStr::new("berth")) || first.is_some_and(|word| !ours(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_or_the_words_decide() {
        let command = |called: &str, first: Option<&str>| {
            is_command(OsStr::new(called), first.map(OsStr::new))
        };
        assert!(
            command("/opt/homebrew/bin/berth", None),
            "the link that the command is called by"
        );
        assert!(command("berth", Some("list")));
        assert!(
            command(
                "/Applications/Berth.app/Contents/MacOS/Berth",
                Some("agent")
            ),
            "the app starts its agent so"
        );
        assert!(!command(
            "/Applications/Berth.app/Contents/MacOS/Berth",
            None
        ));
        assert!(
            !command("Berth", Some("berth://instance/1")),
            "Linux hands a link over as a word"
        );
        assert!(!command("Berth", Some("-psn_0_12345")));
    }
}
