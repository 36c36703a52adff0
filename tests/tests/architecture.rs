//! The laws of the house, each as a test whose message says why the law is there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use berth_tests::rig::programs;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, TargetKind};

/// Which of our crates each of our crates may use. Everything points down; what shares a line in the
/// house's plan knows nothing of its neighbours.
const ARROWS: &[(&str, &[&str])] = &[
    ("berth-core", &[]),
    ("berth-remote", &["berth-core"]),
    ("berth-engine", &["berth-core"]),
    ("berth-sql", &["berth-core"]),
    ("berth-store", &["berth-core"]),
    ("berth-practice", &["berth-core"]),
    (
        "berth-api",
        &[
            "berth-core",
            "berth-engine",
            "berth-practice",
            "berth-remote",
            "berth-sql",
            "berth-store",
        ],
    ),
    ("berth-agent", &["berth-api", "berth-core"]),
    ("berth-devhost", &["berth-agent", "berth-core"]),
    // The command serves the practice host alone, for which no agent is needed.
    (
        "berth-cli",
        &["berth-agent", "berth-api", "berth-core", "berth-practice"],
    ),
    ("berth-devhost", &["berth-agent", "berth-api", "berth-core"]),
    (
        "berth-app",
        &["berth-agent", "berth-api", "berth-cli", "berth-core"],
    ),
];

/// Outside libraries that only their owner may use, so that replacing one is a change in one crate.
/// `deny.toml` says the same to `cargo deny`, which also sees what comes in by the back door.
const OWNERS: &[(&str, &[&str])] = &[
    ("arboard", &["berth-agent"]),
    ("axum", &["berth-devhost"]),
    ("bollard", &["berth-engine"]),
    ("clap", &["berth-cli"]),
    ("clap_complete", &["berth-cli"]),
    ("keyring-core", &["berth-store"]),
    ("apple-native-keyring-store", &["berth-store"]),
    ("zbus-secret-service-keyring-store", &["berth-store"]),
    ("rcgen", &["berth-practice", "berth-remote"]),
    ("rusqlite", &["berth-practice"]),
    ("russh", &["berth-practice", "berth-remote"]),
    ("russh-sftp", &["berth-practice", "berth-remote"]),
    ("tauri", &["berth-app"]),
    ("tiberius", &["berth-sql"]),
    ("tower-http", &["berth-devhost"]),
    ("zeroizing-alloc", &["berth-agent"]),
];

fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        MetadataCommand::new()
            .manifest_path(programs::root().join("Cargo.toml"))
            .other_options(["--locked".to_owned(), "--offline".to_owned()])
            .exec()
            .expect("`cargo metadata` describes the workspace")
    })
}

fn ours() -> Vec<&'static Package> {
    metadata().workspace_packages()
}

/// The files that Git knows or would take, as paths below the root.
fn tree() -> &'static [PathBuf] {
    static TREE: OnceLock<Vec<PathBuf>> = OnceLock::new();
    TREE.get_or_init(|| {
        let list = programs::run(
            Command::new("git")
                // A clone may belong to another user than the one who runs the tests.
                .args([
                    "-c",
                    "safe.directory=*",
                    "ls-files",
                    "--cached",
                    "--others",
                    "--exclude-standard",
                ])
                .current_dir(programs::root()),
        );
        list.lines()
            .map(PathBuf::from)
            .filter(|path| programs::root().join(path).is_file())
            .collect()
    })
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(programs::root().join(path)).unwrap_or_default()).into_owned()
}

fn sources(folder: &str) -> impl Iterator<Item = (&'static Path, String)> {
    tree()
        .iter()
        .filter(move |path| {
            path.starts_with(folder) && path.extension().is_some_and(|kind| kind == "rs")
        })
        .map(|path| (path.as_path(), text(path)))
}

/// Lines with code in them, numbered from 1; a comment may name what code may not use.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn none(broken: &[String], why: &str) {
    assert!(broken.is_empty(), "{why}\n  {}", broken.join("\n  "));
}

#[test]
fn our_crates_point_down_only() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut broken = Vec::new();
    for package in ours() {
        if package.name.as_str() == "berth-tests" {
            continue;
        }
        let Some(allowed) = arrows.get(package.name.as_str()) else {
            broken.push(format!(
                "{} has no place in the table of arrows",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if name.starts_with("berth-") && !allowed.contains(&name) {
                broken.push(format!("{} -> {name}", package.name));
            }
        }
    }
    none(
        &broken,
        "Every part can be read, tested and replaced alone because nothing points back up or sideways:",
    );
}

#[test]
fn every_outside_library_has_one_owner() {
    let mut broken = Vec::new();
    for package in ours() {
        for dependency in &package.dependencies {
            let Some((_, owners)) = OWNERS
                .iter()
                .find(|(library, _)| *library == dependency.name)
            else {
                continue;
            };
            // Suites look at the same thing with the same client, from outside.
            let looks_on = package.name.as_str() == "berth-tests"
                || dependency.kind == DependencyKind::Development;
            if !looks_on && !owners.contains(&package.name.as_str()) {
                broken.push(format!(
                    "{} uses {}, which belongs to {}",
                    package.name,
                    dependency.name,
                    owners.join(", ")
                ));
            }
        }
    }
    none(
        &broken,
        "A library that leaks out of its owner can no longer be replaced:",
    );
}

#[test]
fn there_is_one_tls_stack() {
    let broken: Vec<_> = metadata()
        .packages
        .iter()
        .filter(|package| {
            [
                "openssl",
                "openssl-sys",
                "native-tls",
                "security-framework-sys-tls",
            ]
            .contains(&package.name.as_str())
        })
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    none(
        &broken,
        "Certificates must be checked in one way on every machine, by rustls with aws-lc-rs:",
    );
}

#[test]
fn core_does_no_io_and_reads_no_clock_and_no_environment() {
    let words = [
        "std::env",
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "ToSocketAddrs",
        "std::process",
        "SystemTime::now",
        "Instant::now",
        "tokio::net",
        "tokio::fs",
        "tokio::process",
        "tokio::time",
        "tokio::spawn",
        "thread::sleep",
        "include_str!(env",
    ];
    let mut broken = Vec::new();
    for (path, text) in sources("src-tauri/crates/core/src") {
        for (line, code) in code(&text) {
            for word in words.iter().filter(|word| code.contains(*word)) {
                broken.push(format!("{}:{line}: {word}", path.display()));
            }
        }
    }
    none(
        &broken,
        "Rules that touch a machine cannot be tested without one; it comes in through a port:",
    );
}

#[test]
fn libraries_cannot_panic() {
    let lints = [
        "clippy::unwrap_used",
        "clippy::expect_used",
        "clippy::panic",
        "clippy::indexing_slicing",
    ];
    let mut broken = Vec::new();
    for package in ours()
        .into_iter()
        .filter(|package| package.name.as_str() != "berth-tests")
    {
        for target in &package.targets {
            if !target
                .kind
                .iter()
                .any(|kind| matches!(kind, TargetKind::Lib | TargetKind::Bin))
            {
                continue;
            }
            let root = fs::read_to_string(&target.src_path).unwrap();
            let denied = root
                .split("#![")
                .filter_map(|rest| rest.split(")]").next())
                .filter(|attribute| attribute.contains("deny(") || attribute.contains("forbid("))
                .collect::<String>();
            for lint in lints.iter().filter(|lint| !denied.contains(*lint)) {
                broken.push(format!("{}: `{lint}` is not denied", target.src_path));
            }
        }
    }
    none(
        &broken,
        "A panic in the agent takes every open connection with it, so each crate's root denies:",
    );
}

#[test]
fn every_crate_takes_the_workspace_s_lints_and_versions() {
    let mut broken = Vec::new();
    for package in ours() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        if !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!(
                "{} has lints of its own, so `unsafe` may not be forbidden in it",
                package.name
            ));
        }
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            } else if section.contains("dependencies")
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains("workspace = true")
            {
                broken.push(format!("{}: `{line}` says its own version", package.name));
            }
        }
    }
    none(
        &broken,
        "One place says what is used and how strict we are, the root's Cargo.toml:",
    );
}

#[test]
fn no_test_is_switched_off() {
    let mut broken = Vec::new();
    for (path, text) in sources("src-tauri").chain(sources("tests")) {
        for (line, code) in code(&text) {
            // What takes long is run by `make soak`, and says so.
            let left_out = code.contains("#[ignore") && !code.contains("#[ignore = \"soak: ");
            if left_out || code.contains(concat!("assert!(", "true")) {
                broken.push(format!("{}:{line}", path.display()));
            }
        }
    }
    // This file names what it looks for.
    broken.retain(|at| !at.starts_with("tests/tests/architecture.rs"));
    none(
        &broken,
        "A test that never runs promises what nobody checks; `rig::skip` says loudly what cannot run:",
    );
}

#[test]
fn a_secret_cannot_be_serialised() {
    let mut broken = Vec::new();
    for package in &metadata().resolve.as_ref().unwrap().nodes {
        if package.id.repr.contains("#secrecy@")
            && package
                .features
                .iter()
                .any(|feature| feature.as_str() == "serde")
        {
            broken.push("secrecy is built with its feature `serde`".to_owned());
        }
    }
    for (path, text) in sources("src-tauri") {
        // Written by hand over a secret: only where the agent's socket carries one, beside a body, to a peer
        // whose user was checked.
        let by_hand = code(&text)
            .any(|(_, line)| line.contains("Serialize for ") || line.contains("serialize_with"));
        let holds_secret = code(&text).any(|(_, line)| line.contains("expose_secret"));
        if text.contains("SerializableSecret")
            || (by_hand && holds_secret && path != Path::new("src-tauri/crates/agent/src/wire.rs"))
        {
            broken.push(format!("{}: serialises a secret by hand", path.display()));
        }
        for (at, _) in text.match_indices("Serialize") {
            // The derive's item: up to its closing brace at the start of a line, or a semicolon.
            if !text[..at]
                .lines()
                .next_back()
                .is_some_and(|line| line.trim_start().starts_with("#[derive("))
            {
                continue;
            }
            let item = &text[at..];
            let end = ["\n}", "\n    }", ");\n"]
                .iter()
                .filter_map(|end| item.find(end))
                .min()
                .unwrap_or(item.len());
            if item[..end].lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && line
                        .split(|c: char| !c.is_alphanumeric())
                        .any(|word| word == "Secret" || word == "SecretString")
            }) {
                let line = text[..at].lines().count();
                broken.push(format!(
                    "{}:{line}: derives Serialize over a secret",
                    path.display()
                ));
            }
        }
    }
    none(
        &broken,
        "What can be serialised ends up in a log, a file or the page one day:",
    );
}

#[test]
fn the_tree_names_no_machine_and_no_registry() {
    // Spelled in pieces, so that this file does not find itself.
    let machine: Vec<String> = ["work", "farm", "root", "tmp"]
        .iter()
        .map(|name| format!("/{name}/"))
        .collect();
    let registries = [
        concat!("registry.npm", "js.org"),
        concat!("registry.yarn", "pkg.com"),
        concat!("pypi", ".org"),
        concat!("files.python", "hosted.org"),
        concat!("deb.deb", "ian.org"),
        concat!("index.crates", ".io"),
        concat!("static.crates", ".io"),
    ];
    let mut broken = Vec::new();
    for path in tree() {
        // Cargo writes its index into its lock.
        if path == Path::new("Cargo.lock")
            || fs::metadata(programs::root().join(path)).is_ok_and(|about| about.len() > 4 << 20)
        {
            continue;
        }
        for (at, line) in text(path).lines().enumerate() {
            let is_path = |prefix: &String| {
                line.match_indices(prefix.as_str()).any(|(at, found)| {
                    let before = line[..at].chars().next_back();
                    let after = line[at + found.len()..].chars().next();
                    // `a/work/b` is a part of some path, `/work/` alone is prose.
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-}~/*".contains(c))
                        && after.is_some_and(|c| c.is_ascii_alphabetic())
                })
            };
            if machine.iter().any(is_path) || registries.iter().any(|host| line.contains(host)) {
                broken.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
    none(
        &broken,
        "What holds on one machine only is broken on every other, and a mirror is chosen by its user:",
    );
}

#[test]
fn the_top_level_stays_what_it_is() {
    let folders = ["src-tauri", "ui", "icons", "installers", "tests", "docs"];
    let files = [
        "Cargo.toml",
        "Cargo.lock",
        "Makefile",
        "deny.toml",
        "clippy.toml",
        "rustfmt.toml",
    ];
    let mut broken: Vec<_> = tree()
        .iter()
        .filter(|path| {
            let first = path.iter().next().unwrap().to_string_lossy();
            if path.components().count() > 1 {
                !first.starts_with('.') && !folders.contains(&&*first)
            } else {
                let document = first.ends_with(".md") || first.starts_with("LICENSE");
                !first.starts_with('.') && !document && !files.contains(&&*first)
            }
        })
        .map(|path| path.display().to_string())
        .collect();
    broken.dedup();
    none(
        &broken,
        "A newcomer finds every part by its folder; beside the parts lie documents and what tools demand there:",
    );
}

#[test]
fn the_laws_that_the_documents_name_exist() {
    let laws = text(Path::new("tests/tests/architecture.rs"));
    let broken: Vec<_> = tree()
        .iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
        .flat_map(|path| {
            let text = text(path);
            text.split("`architecture::")
                .skip(1)
                .filter_map(|rest| rest.split('`').next())
                .filter(|law| !laws.contains(&format!("fn {law}()")))
                .map(|law| format!("{}: architecture::{law}", path.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    none(
        &broken,
        "A rule that names a test which is not there is held by nothing:",
    );
}
