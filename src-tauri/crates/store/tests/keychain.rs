//! The keychain against a real Secret Service: gnome-keyring in a D-Bus session of its own,
//! with its own home. The default store is process-wide, so each case runs this program again.
#![cfg(target_os = "linux")]
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
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use berth_core::{Code, Secret, secret::ExposeSecret};
use berth_store::{Credentials, Keychain, instance_account};

/// What the inner test has to find; it does nothing where nobody set it.
const CASE: &str = "BERTH_KEYCHAIN_CASE";

fn has(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn equipped() -> bool {
    let missing: Vec<_> = ["dbus-run-session", "gnome-keyring-daemon"]
        .into_iter()
        .filter(|p| !has(p))
        .collect();
    if !missing.is_empty() {
        eprintln!(
            "SKIPPED: the keychain was not tested against a Secret Service, {missing:?} is not installed"
        );
    }
    missing.is_empty()
}

/// Runs the inner test in a session of its own; `before` is shell that runs first.
fn session(home: &Path, case: &str, before: &str) -> Output {
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700)).unwrap();
    // The daemon ends with the script, however that ends.
    let script = format!(
        r#"trap '[ -z "$daemon" ] || kill "$daemon"' EXIT
{before}
"$0" --exact inner --nocapture"#
    );
    // A bus that starts nothing by itself: the machine's service files would bring a keyring along.
    let config = home.join("bus.conf");
    std::fs::write(
        &config,
        r#"<busconfig><type>session</type><listen>unix:tmpdir={HOME}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"#
            .replace("{HOME}", &home.display().to_string()),
    )
    .unwrap();
    Command::new("dbus-run-session")
        .arg("--config-file")
        .arg(&config)
        .args(["--", "sh", "-c", &script])
        .arg(env::current_exe().unwrap())
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env(CASE, case)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Starts the daemon, unlocked with `password`, and waits until it has its name on the bus.
fn daemon(unlock: &str) -> String {
    format!(
        r#"{unlock} gnome-keyring-daemon --foreground --components=secrets {} >/dev/null 2>&1 & daemon=$!
n=0; until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets 2>/dev/null | grep -q true; do
  n=$((n+1)); [ $n -lt 1000 ] || exit 97; kill -0 $daemon || exit 98; done"#,
        if unlock.is_empty() {
            "</dev/null"
        } else {
            "--unlock"
        }
    )
}

fn passed(out: &Output) {
    assert!(
        out.status.success(),
        "{:?}\n{}\n{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(
        String::from_utf8_lossy(&out.stdout).contains("1 passed"),
        "the inner test has to have run"
    );
}

#[test]
fn items_are_kept_replaced_and_forgotten_and_outlive_the_daemon() {
    if !equipped() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    passed(&session(home.path(), "unlocked", &daemon("printf pw |")));
    passed(&session(home.path(), "kept", &daemon("printf pw |")));
}

#[test]
fn a_locked_keychain_says_so() {
    if !equipped() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    passed(&session(home.path(), "unlocked", &daemon("printf pw |")));
    passed(&session(home.path(), "locked", &daemon("")));
}

#[test]
fn a_machine_without_a_secret_service_says_so() {
    if !equipped() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    passed(&session(home.path(), "absent", ""));
}

#[test]
fn a_machine_without_a_bus_says_so() {
    let home = tempfile::tempdir().unwrap();
    let out = Command::new(env::current_exe().unwrap())
        .args(["--exact", "inner", "--nocapture"])
        .env_clear()
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}/none", home.path().display()),
        )
        .env(CASE, "absent")
        .output()
        .unwrap();
    passed(&out);
}

#[test]
fn inner() {
    let Ok(case) = env::var(CASE) else { return };
    let keychain = Keychain::with_limit(Duration::from_secs(20));
    let (kept, other) = (
        instance_account("7f3a", "sa"),
        instance_account("7f3a", "orders_app"),
    );
    let secret = Secret::from("p\u{e4}ss \u{4e2d};'\"{}\\\n1");
    let read = |account: &str| {
        keychain
            .get(account)
            .unwrap()
            .map(|s| s.expose_secret().to_owned())
    };
    match case.as_str() {
        "unlocked" => {
            keychain.check().unwrap();
            assert_eq!(read(&kept), None);
            keychain
                .delete(&kept)
                .expect("there is none, which is no error");
            keychain.set(&kept, &Secret::from("first")).unwrap();
            keychain.set(&kept, &secret).unwrap();
            keychain.set(&other, &Secret::from("another")).unwrap();
            assert_eq!(
                read(&kept).as_deref(),
                Some(secret.expose_secret()),
                "the newer one, byte for byte"
            );
            keychain.delete(&other).unwrap();
            assert_eq!(read(&other), None);
            assert_eq!(keychain.get("").unwrap_err().code(), Code::Usage);
        }
        "kept" => assert_eq!(read(&kept).as_deref(), Some(secret.expose_secret())),
        "locked" | "absent" => {
            let code = if case == "locked" {
                Code::KeychainLocked
            } else {
                Code::NoKeychain
            };
            let begin = Instant::now();
            for e in [
                keychain.get(&kept).unwrap_err(),
                keychain.set(&kept, &secret).unwrap_err(),
                keychain.delete(&kept).unwrap_err(),
            ] {
                assert_eq!(e.code(), code, "{e:?}");
                assert!(e.what_to_do().unwrap().contains("--password-file"), "{e:?}");
                assert!(!format!("{e:?}").contains("\u{4e2d}"), "{e:?}");
            }
            assert!(
                begin.elapsed() < Duration::from_secs(15),
                "it is known at once"
            );
        }
        other => panic!("no case {other}"),
    }
}
