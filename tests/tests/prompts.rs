//! What `berth host add` asks on a terminal: the host's key, a passphrase, a password. Each can be answered, declined,
//! and left by Ctrl-C, and no secret is shown while it is typed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    fs,
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use berth_tests::rig::{self, Dockerd, Home, PracticeHost, SecretService, Sshd, programs};
use support::text;

const SOON: Duration = Duration::from_secs(20);

/// `berth` on a terminal of its own, made by `script`, where somebody types.
struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn run(home: &Home, arguments: &[&str]) -> Option<Self> {
        let Some(script) = programs::find("script") else {
            rig::skip("a terminal needs `script` of util-linux");
            return None;
        };
        let line = std::iter::once(text(&programs::built("berth")))
            .chain(arguments.iter().map(|a| (*a).to_owned()))
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" ");
        let mut child = home
            .command(&script)
            .args([
                "--quiet",
                "--return",
                "--flush",
                "--command",
                &line,
                "/dev/null",
            ])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let (keys, mut out) = (child.stdin.take(), child.stdout.take().unwrap());
        let seen = Arc::clone(&shown);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut part) {
                seen.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&part[..n]));
            }
        });
        Some(Self { child, keys, shown })
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn wait_for(&self, what: &str) {
        let began = std::time::Instant::now();
        while !self.shown().contains(what) {
            assert!(
                began.elapsed() < SOON,
                "waited in vain for `{what}`:\n{}",
                self.shown()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn type_in(&mut self, keys: &str) {
        let to = self.keys.as_mut().unwrap();
        to.write_all(keys.as_bytes()).unwrap();
        to.flush().unwrap();
    }

    fn code(&mut self) -> i32 {
        let child = &mut self.child;
        let status = rig::wait_for("the command on the terminal to end", SOON, || {
            child.try_wait().unwrap()
        });
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn add(home: &Home, sshd: &Sshd, more: &[&str]) -> Option<Terminal> {
    let address = sshd.address();
    let mut arguments = vec!["host", "add", "lin", &address];
    arguments.extend(more);
    Terminal::run(home, &arguments)
}

fn knows_the_host(home: &Home) -> bool {
    home.berth_home().join("hosts.json").exists()
}

#[test]
fn the_host_key_is_asked_for_and_only_a_yes_is_one() {
    let Some(sshd) = Sshd::start() else { return };
    for (answer, code) in [("no\r", 4), ("\r", 4), ("sure\r", 4), ("\u{3}", 1)] {
        let home = Home::new();
        let Some(mut terminal) = add(&home, &sshd, &["--identity", &text(&sshd.client_key())])
        else {
            return;
        };
        terminal.wait_for("(yes/no)");
        assert!(
            terminal.shown().contains(&sshd.fingerprint()),
            "the question shows what to compare:\n{}",
            terminal.shown()
        );
        terminal.type_in(answer);
        assert_eq!(terminal.code(), code, "{answer:?}:\n{}", terminal.shown());
        assert!(
            !home.berth_home().join("known_hosts").exists(),
            "{answer:?} is no consent"
        );
    }
    let home = Home::new();
    let Some(mut terminal) = add(&home, &sshd, &["--identity", &text(&sshd.client_key())]) else {
        return;
    };
    terminal.wait_for("(yes/no)");
    terminal.type_in("yes\r");
    // There is no engine on this host, which is said after the sign-in.
    assert_eq!(terminal.code(), 1, "{}", terminal.shown());
    assert!(
        terminal.shown().contains("found no container engine"),
        "{}",
        terminal.shown()
    );
    assert!(
        home.berth_home().join("known_hosts").exists(),
        "the key is recorded by the yes"
    );
}

#[test]
fn a_key_that_is_known_no_more_is_asked_for_at_a_check() {
    let host = PracticeHost::start();
    let home = Home::new();
    let _ = home.add("win", &host).ok();
    fs::remove_file(home.berth_home().join("known_hosts")).unwrap();
    let Some(mut declined) = Terminal::run(&home, &["host", "check", "win"]) else {
        return;
    };
    declined.wait_for(&host.fingerprint());
    declined.wait_for("(yes/no)");
    declined.type_in("no\r");
    assert_eq!(declined.code(), 1, "{}", declined.shown());
    assert!(
        declined.shown().contains("[host_key]"),
        "{}",
        declined.shown()
    );
    let mut given = Terminal::run(&home, &["host", "check", "win"]).unwrap();
    given.wait_for("(yes/no)");
    given.type_in("yes\r");
    assert_eq!(given.code(), 0, "{}", given.shown());
    assert!(given.shown().contains("win answers"), "{}", given.shown());
}

#[test]
fn a_passphrase_is_asked_for_unseen() {
    let Some(sshd) = Sshd::start() else { return };
    let home = Home::new();
    let key = home.path().join("locked");
    programs::run(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-C", "t", "-N", "open sesame", "-f"])
            .arg(&key),
    );
    // The host takes this key: nobody is asked for the passphrase of one that it does not want.
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::write(sshd.client_key().with_file_name("authorized_keys"), public).unwrap();
    let (key, trust) = (text(&key), sshd.fingerprint());
    let more = [
        "--identity",
        key.as_str(),
        "--trust-host-key",
        trust.as_str(),
    ];
    let Some(mut left) = add(&home, &sshd, &more) else {
        return;
    };
    left.wait_for("Passphrase");
    left.type_in("open ses\u{3}");
    assert_eq!(
        left.code(),
        1,
        "Ctrl-C leaves the question:\n{}",
        left.shown()
    );
    assert!(left.shown().contains("Cancelled"), "{}", left.shown());

    let mut given = add(&home, &sshd, &more).unwrap();
    given.wait_for("Passphrase");
    given.type_in("open sesame\r");
    assert_eq!(given.code(), 1, "{}", given.shown());
    // There is no engine on this host, which is said after the sign-in.
    assert!(
        given.shown().contains("found no container engine"),
        "{}",
        given.shown()
    );
    for terminal in [&left, &given] {
        assert!(
            !terminal.shown().contains("sesame") && !terminal.shown().contains("open s"),
            "{}",
            terminal.shown()
        );
    }
    assert!(!knows_the_host(&home));
}

#[test]
fn a_password_is_asked_for_where_no_key_opens_the_host() {
    let Some(sshd) = Sshd::start() else { return };
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let home = Home::with_secrets(&secrets);
    let trust = sshd.fingerprint();
    let Some(mut terminal) = add(&home, &sshd, &["--trust-host-key", &trust]) else {
        return;
    };
    terminal.wait_for("Password");
    terminal.type_in("Canary-not-the-password\r");
    assert_eq!(terminal.code(), 1, "{}", terminal.shown());
    assert!(
        terminal.shown().contains("does not let"),
        "{}",
        terminal.shown()
    );
    assert!(!terminal.shown().contains("Canary"), "{}", terminal.shown());
    assert_eq!(
        support::keychain_items(&secrets),
        0,
        "a password that opens nothing is not kept"
    );
    assert!(!knows_the_host(&home));
}

/// A PAM module that asks for a one-time code. The declarations are those of <security/pam_modules.h>.
const PAM_CODE: &str = r#"
#include <stdlib.h>
#include <string.h>
struct pam_message { int style; const char *text; };
struct pam_response { char *text; int code; };
struct pam_conv { int (*ask)(int, const struct pam_message **, struct pam_response **, void *); void *data; };
int pam_get_item(const void *handle, int item, const void **value);
int pam_sm_authenticate(void *handle, int flags, int count, const char **words) {
    const void *found = 0;
    struct pam_message message = { 2, "One-time code: " };
    const struct pam_message *messages = &message;
    struct pam_response *answer = 0;
    const struct pam_conv *conv;
    if (pam_get_item(handle, 5, &found) || !found) return 7;
    conv = found;
    if (conv->ask(1, &messages, &answer, conv->data) || !answer || !answer->text) return 7;
    return strcmp(answer->text, "314159") ? 7 : 0;
}
int pam_sm_setcred(void *handle, int flags, int count, const char **words) { return 0; }
"#;

/// A host whose sshd wants the password and a one-time code; its engine lets everybody in.
fn host_with_codes() -> Option<(Sshd, Dockerd)> {
    let Some(accounts) = rig::accounts::accounts() else {
        rig::skip("accounts of its own need a namespace of its own");
        return None;
    };
    let Some(cc) = programs::find("cc") else {
        rig::skip("a PAM module of its own needs a C compiler");
        return None;
    };
    let module = accounts.root.home.join("pam_code.so");
    let source = accounts.root.home.join("pam_code.c");
    fs::write(&source, PAM_CODE).unwrap();
    programs::run(
        Command::new(cc)
            .args(["-shared", "-fPIC", "-o"])
            .arg(&module)
            .arg(&source),
    );
    let stack = format!(
        "auth required pam_unix.so\nauth required {}\naccount required pam_permit.so\nsession required pam_permit.so\n",
        module.display()
    );
    let file = accounts.root.home.join("pam");
    fs::write(&file, stack).unwrap();
    programs::run(
        Command::new("mount")
            .arg("--bind")
            .arg(&file)
            .arg("/etc/pam.d/sshd"),
    );
    let engine = Dockerd::start()?;
    programs::run(Command::new("chmod").arg("0666").arg(engine.socket()));
    let lines = "UsePAM yes\nKbdInteractiveAuthentication yes\nAuthenticationMethods keyboard-interactive\n";
    Some((Sshd::with(lines)?, engine))
}

/// How often somebody signed in, and how often in vain.
fn sign_ins(sshd: &Sshd) -> (usize, usize) {
    let log = sshd.log();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    (count("Accepted keyboard-interactive"), count("Failed "))
}

#[test]
fn what_a_host_asks_beyond_the_password_is_asked_in_its_own_words_and_once() {
    let Some((sshd, _engine)) = host_with_codes() else {
        return;
    };
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let password = sshd.password_account().unwrap().password.unwrap();
    let home = Home::with_secrets(&secrets);
    let place = format!("developer@127.0.0.1:{}", sshd.port());
    let address = format!("ssh://{place}");
    let trust = sshd.fingerprint();
    let arguments = ["host", "add", "lin", &address, "--trust-host-key", &trust];
    let Some(mut terminal) = Terminal::run(&home, &arguments) else {
        return;
    };
    // Berth's own question, whose answer it can keep: it also answers the host's for a password. The code is asked for.
    terminal.wait_for("Password: ");
    terminal.type_in(&format!("{password}\r"));
    terminal.wait_for(&format!("{place} asks: One-time code"));
    terminal.type_in("314159\r");
    assert_eq!(terminal.code(), 0, "{}\n{}", terminal.shown(), sshd.log());
    assert!(
        !terminal.shown().contains(password),
        "what is typed is not shown:\n{}",
        terminal.shown()
    );
    assert_eq!(sign_ins(&sshd), (1, 0), "{}", sshd.log());

    // The one connection carries everything from now on, also what has a connection of its own elsewhere.
    let _ = home.berth(&["list", "--host", "lin"]).ok();
    let _ = home.berth(&["host", "check", "lin", "--json"]);
    assert_eq!(
        sign_ins(&sshd),
        (1, 0),
        "nobody is asked twice for the same connection:\n{}",
        sshd.log()
    );

    sshd.cut_connections();
    let gone = rig::wait_for("the loss to be noticed", SOON, || {
        let ran = home.berth(&["list", "--host", "lin"]);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        all.contains("at each sign-in").then_some(all)
    });
    assert!(
        gone.contains("berth host check lin"),
        "the way back is said: {gone}"
    );
    let told = home.berth(&["host", "check", "lin"]);
    assert!(told.stdout.contains("at each sign-in"), "{}", told.stdout);
    assert_eq!(
        sign_ins(&sshd),
        (1, 0),
        "hosts count what is tried in vain:\n{}",
        sshd.log()
    );

    let mut again = Terminal::run(&home, &["host", "check", "lin"]).unwrap();
    again.wait_for(&format!("{place} asks: One-time code"));
    again.type_in("314159\r");
    let _ = again.code();
    let _ = home.berth(&["list", "--host", "lin"]).ok();
    assert_eq!(sign_ins(&sshd), (2, 0), "{}\n{}", again.shown(), sshd.log());
}
