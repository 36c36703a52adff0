//! A real keychain: gnome-keyring as the Secret Service of a D-Bus session of its own.

use std::{fs, process::Command, time::Duration};

use tempfile::TempDir;

use super::{process::Daemon, programs, skip, wait_for};

/// A running Secret Service, its login keyring unlocked.
#[derive(Debug)]
pub struct SecretService {
    // Dropped in this order: the service before its bus.
    _keyring: Daemon,
    _bus: Daemon,
    folder: TempDir,
}

impl SecretService {
    /// Starts it, unlocked and empty.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start() -> Option<Self> {
        for program in ["dbus-daemon", "dbus-send", "gnome-keyring-daemon"] {
            if programs::find(program).is_none() {
                skip(&format!("no Secret Service: `{program}` is not installed"));
                return None;
            }
        }
        let folder = tempfile::Builder::new()
            .prefix("keys")
            .tempdir()
            .expect("there is room for a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("home")).expect("there is room for a folder");
        fs::write(at("password"), "login keyring").expect("the test's own folder can be written");

        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile"])
            .arg(format!("--address=unix:path={}", at("bus").display()));
        // Without folders of services to start, nothing of the machine's desktop comes up on this bus.
        bus.env("XDG_DATA_DIRS", at("none"))
            .env("XDG_DATA_HOME", at("none"));
        let bus = Daemon::start(&bus, &at("bus.log"));
        wait_for("the session bus", Duration::from_secs(5), || {
            at("bus").exists().then_some(())
        });

        let service = |bus, keyring, folder| Self {
            _keyring: keyring,
            _bus: bus,
            folder,
        };
        let mut keyring = Command::new("/bin/sh");
        keyring
            .args(["-c", r#"exec gnome-keyring-daemon --foreground --unlock --components=secrets --control-directory="$1" <"$2""#])
            .arg("keyring")
            .arg(at("control"))
            .arg(at("password"))
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", at("bus").display()))
            .env("HOME", at("home"))
            .env("XDG_DATA_HOME", at("home/share"))
            .env("XDG_CONFIG_HOME", at("home/config"))
            .env("XDG_RUNTIME_DIR", at("home"));
        let keyring = Daemon::start(&keyring, &at("keyring.log"));
        let service = service(bus, keyring, folder);
        wait_for(
            "the Secret Service to be unlocked",
            Duration::from_secs(10),
            || (service.locked() == Some(false)).then_some(()),
        );
        Some(service)
    }

    /// Locks the login keyring. Whoever wants an item now would get a dialogue, and nobody can answer it.
    ///
    /// # Panics
    /// When it stays unlocked.
    pub fn lock(&self) {
        let _ = self.send(&[
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.Lock",
            &format!("array:objpath:{LOGIN}"),
        ]);
        wait_for("the keyring to be locked", Duration::from_secs(5), || {
            (self.locked() == Some(true)).then_some(())
        });
    }

    /// Whether the login keyring is locked; `None` when nothing answers.
    #[must_use]
    pub fn locked(&self) -> Option<bool> {
        let answer = self.send(&[
            LOGIN,
            "org.freedesktop.DBus.Properties.Get",
            "string:org.freedesktop.Secret.Collection",
            "string:Locked",
        ])?;
        Some(answer.contains("boolean true"))
    }

    /// The environment in which a program finds this service and no other.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}", self.folder.path().join("bus").display()),
        )]
    }

    fn send(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("dbus-send")
            .args([
                "--session",
                "--print-reply",
                "--reply-timeout=2000",
                "--dest=org.freedesktop.secrets",
            ])
            .args(arguments)
            .envs(self.environment())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The keyring that a desktop's sign-in opens, and that new items go to.
const LOGIN: &str = "/org/freedesktop/secrets/collection/login";
