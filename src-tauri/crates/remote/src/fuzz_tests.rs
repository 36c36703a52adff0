//! Arbitrary files for every reader of somebody else's text: what is kept in `tests/corpora`, changed at random.
//! Short in `make test`, long in `make soak`.

use std::path::Path;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{Jump, key_file, known_hosts, ssh_config::Resolved, tokens::Tokens};

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../tests/corpora")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there is nothing to begin with");
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// One change: at which part of the text (of 65,536), how many bytes go, what comes.
type Change = (u16, u8, Vec<u8>);

fn changed(text: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut text = text.to_vec();
    for (at, gone, new) in changes {
        let at = text.len() * usize::from(*at) / 65_536;
        let end = text.len().min(at + usize::from(*gone));
        text.splice(at..end, new.iter().copied());
    }
    text
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let telling = prop::sample::select(vec![
        "\n",
        " ",
        "\t",
        "=",
        "|1|",
        "@",
        "*",
        "!",
        ",",
        "%",
        "${",
        "~",
        "-----BEGIN ",
        "AAAA",
        ":",
        "[",
        "]",
        "\0",
        "é",
    ])
    .prop_map(|s| s.as_bytes().to_vec());
    let any_bytes = prop::collection::vec(any::<u8>(), 0..12);
    prop::collection::vec(
        (any::<u16>(), 0u8..40, prop_oneof![telling, any_bytes]),
        0..6,
    )
}

/// Feeds `cases` changed files of a corpus to a reader.
fn feed(name: &str, cases: u32, read: impl Fn(&str)) {
    let files = corpus(name);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&(0..files.len(), changes()), |(file, changes)| {
            read(&String::from_utf8_lossy(&changed(&files[file], &changes)));
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{name}: {e}"));
}

fn all(cases: u32) {
    feed("known_hosts", cases, |text| {
        for name in ["winhost", "[winhost]:2222", "a.example.com"] {
            let found = known_hosts::lookup(text, Path::new("f"), name);
            if let Some(first) = found.first() {
                let _ = known_hosts::judge(&found, &first.key);
            }
        }
    });
    feed("ssh_g", cases, |text| {
        let config = Resolved::parse(text);
        let tokens = Tokens {
            home: Some("/home/me".into()),
            ..Tokens::default()
        };
        let _ = (config.methods(), config.settings(), config.strict());
        let _ = config.not_honoured();
        let _ = config.files("userknownhostsfile", &tokens);
        for key in ["identityfile", "proxycommand", "identityagent"] {
            for value in config.all(key) {
                let _ = tokens.path(key, value);
            }
        }
        if let Some(chain) = config.get("proxyjump") {
            let _ = Jump::chain(chain);
        }
    });
    feed("keys", cases, key_file::read_anything);
}

#[test]
fn a_changed_file_never_makes_a_reader_fall_over() {
    // `make soak` sets it: BERTH_FUZZ_CASES=200000.
    let cases = std::env::var("BERTH_FUZZ_CASES").ok();
    all(cases.and_then(|n| n.parse().ok()).unwrap_or(1_000));
}
