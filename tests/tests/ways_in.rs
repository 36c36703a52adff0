//! Hosts as `~/.ssh/config` names them, with nothing but the `berth` command: through another machine, by a name,
//! with what is not honoured said.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::fs;

use berth_tests::rig::{Home, PracticeHost, Sshd};
use support::text;

/// A configuration with a Windows container host behind a jump host, and the jump host's name in errors.
fn behind_a_jump_host(home: &Home, jump: &Sshd, windows: &PracticeHost, more: &str) -> String {
    let file = home.write(
        ".ssh/other-config",
        &format!(
            "Host bastion\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n\
             Host win\n  HostName 127.0.0.1\n  Port {}\n  User Administrator\n  IdentityFile {}\n{more}\
             Host *\n  IdentitiesOnly yes\n  UserKnownHostsFile /dev/null\n  GlobalKnownHostsFile /dev/null\n",
            jump.port(),
            jump.user(),
            jump.client_key().display(),
            windows.port(),
            windows.client_key().display(),
        ),
    );
    text(&file)
}

#[test]
fn a_windows_host_behind_a_jump_host_by_its_name() {
    let Some(jump) = Sshd::start() else { return };
    let windows = PracticeHost::start();
    let home = Home::new();
    let config = behind_a_jump_host(
        &home,
        &jump,
        &windows,
        "  ProxyJump bastion\n  LocalForward 8080 localhost:80\n",
    );
    let base = ["host", "add", "win", "ssh://win", "--ssh-config", &config];

    // The jump host's key first, then the host's own: each asked for by its name.
    let unknown = home.berth(&base).code(4);
    let jump_name = format!("[127.0.0.1]:{}", jump.port());
    let trust_jump = format!("{jump_name}={}", jump.fingerprint());
    assert!(
        unknown
            .stderr
            .contains(&format!("--trust-host-key '{trust_jump}'"))
            && unknown.stderr.contains("is a jump host on the way"),
        "whose key it is decides where to ask: {}",
        unknown.stderr
    );
    let with = |more: &[&str]| {
        let mut arguments = base.to_vec();
        arguments.extend(more);
        home.berth(&arguments)
    };
    // The jump host's fingerprint without its name is the target's, and does not let the jump host in.
    let bare = with(&["--trust-host-key", &jump.fingerprint()]).code(4);
    assert!(
        bare.stderr.contains("is a jump host on the way"),
        "{}",
        bare.stderr
    );
    let target = with(&["--trust-host-key", &trust_jump]).code(4);
    assert!(
        target.stderr.contains(&windows.fingerprint()),
        "{}",
        target.stderr
    );
    let added = with(&[
        "--trust-host-key",
        &trust_jump,
        "--trust-host-key",
        &windows.fingerprint(),
        "--json",
    ])
    .ok()
    .json();
    assert_eq!(
        added["reached"],
        format!(
            "Administrator@127.0.0.1:{} through {}@127.0.0.1:{}",
            windows.port(),
            jump.user(),
            jump.port()
        )
        .as_str(),
        "{added}"
    );
    let shown = home.berth(&["host", "show", "win"]).ok().stdout;
    assert!(
        shown.contains("Not honoured") && shown.contains("LocalForward 8080"),
        "what is left out is said: {shown}"
    );

    // Everything else goes the same way, after a new start of the agent too.
    let _ = home.berth(&["agent", "stop", "--force"]).ok();
    let _ = home.berth(&["host", "check", "win"]).ok();
    assert!(
        !home.path().join(".ssh/known_hosts").exists(),
        "the user's own record is never written"
    );
    let records = fs::read_to_string(home.berth_home().join("known_hosts")).unwrap();
    assert_eq!(records.lines().count(), 2, "{records}");
}

#[test]
fn a_jump_host_that_allows_no_tunnel_says_what_to_change() {
    let Some(jump) = Sshd::with("DisableForwarding yes\n") else {
        return;
    };
    let windows = PracticeHost::start();
    let home = Home::new();
    let config = behind_a_jump_host(
        &home,
        &jump,
        &windows,
        "  StrictHostKeyChecking accept-new\n",
    );
    let trust = format!("[127.0.0.1]:{}={}", jump.port(), jump.fingerprint());
    let refused = home
        .berth(&[
            "host",
            "add",
            "win",
            "ssh://win",
            "--ssh-config",
            &config,
            "--jump",
            "bastion",
            "--trust-host-key",
            &trust,
        ])
        .code(4);
    for says in ["does not allow a tunnel", "AllowTcpForwarding", "jump host"] {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
}

#[test]
fn a_host_without_an_ssh_program_is_reached_as_it_is_named() {
    let windows = PracticeHost::start();
    let home = Home::new();
    let mut command = home.command(&berth_tests::rig::programs::built("berth"));
    command.env("PATH", home.path()).args([
        "host",
        "add",
        "win",
        &windows.address(),
        "--identity",
        &text(&windows.client_key()),
        "--trust-host-key",
        &windows.fingerprint(),
    ]);
    let _ = berth_tests::rig::home::run(&mut command, "", std::time::Duration::from_secs(60)).ok();
    let shown = home.berth(&["host", "show", "win"]).ok().stdout;
    assert!(
        shown.contains("There is no `ssh` on this machine"),
        "a configuration that was not read must not look as if it had been: {shown}"
    );
}
