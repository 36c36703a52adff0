//! A real keychain: gnome-keyring as the Secret Service of a D-Bus session of its own.

use std::{fs, path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use super::{process::Daemon, programs, skip, wait_for};

/// A running Secret Service, its login keyring unlocked.
#[derive(Debug)]
pub struct SecretService {
    // Dropped in this order: the service before its bus.
    keyring: Daemon,
    _bus: Daemon,
    folder: TempDir,
    address: String,
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

        // Settings of its own: the usual ones start the desktop's services for whoever asks for one.
        fs::write(
            at("bus.conf"),
            format!(
                "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
                 <policy context=\"default\"><allow send_destination=\"*\"/><allow own=\"*\"/>\
                 <allow receive_sender=\"*\"/></policy></busconfig>",
                at("bus").display()
            ),
        )
        .expect("the test's own folder can be written");
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--nofork", "--nopidfile"])
            .arg(format!("--config-file={}", at("bus.conf").display()));
        let mut bus = Daemon::start(&bus, &at("bus.log"));
        bus.wait_for("the session bus", Duration::from_secs(5), || {
            at("bus").exists().then_some(())
        });

        let mut keyring = launch(folder.path());
        let address = format!("unix:path={}", at("bus").display());
        keyring.wait_for(
            "the Secret Service to be unlocked",
            Duration::from_secs(10),
            || (locked(&address) == Some(false)).then_some(()),
        );
        Some(Self {
            keyring,
            _bus: bus,
            folder,
            address,
        })
    }

    /// Locks the login keyring. Whoever wants an item now would get a dialogue, and nobody can answer it.
    ///
    /// # Panics
    /// When it stays unlocked.
    pub fn lock(&self) {
        let _ = send(
            &self.address,
            &[
                "/org/freedesktop/secrets",
                "org.freedesktop.Secret.Service.Lock",
                &format!("array:objpath:{LOGIN}"),
            ],
        );
        wait_for("the keyring to be locked", Duration::from_secs(5), || {
            (self.locked() == Some(true)).then_some(())
        });
    }

    /// Unlocks it again, as its user does by signing in: the service ends and starts with the password.
    ///
    /// # Panics
    /// When it stays locked.
    pub fn unlock(&mut self) {
        self.stop();
        self.keyring = launch(self.folder.path());
        wait_for(
            "the keyring to be unlocked",
            Duration::from_secs(10),
            || (self.locked() == Some(false)).then_some(()),
        );
    }

    /// Ends it; its bus goes on. [`Self::unlock`] starts it again.
    pub fn stop(&mut self) {
        self.keyring.stop();
    }

    /// Whether the login keyring is locked; `None` when nothing answers.
    #[must_use]
    pub fn locked(&self) -> Option<bool> {
        locked(&self.address)
    }

    /// The environment in which a program finds this service and no other.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("DBUS_SESSION_BUS_ADDRESS", self.address.clone())]
    }
}

fn launch(folder: &Path) -> Daemon {
    let at = |name: &str| folder.join(name);
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
    Daemon::start(&keyring, &at("keyring.log"))
}

/// The keyring that a desktop's sign-in opens, and that new items go to.
const LOGIN: &str = "/org/freedesktop/secrets/collection/login";

fn locked(bus: &str) -> Option<bool> {
    let answer = send(
        bus,
        &[
            LOGIN,
            "org.freedesktop.DBus.Properties.Get",
            "string:org.freedesktop.Secret.Collection",
            "string:Locked",
        ],
    )?;
    Some(answer.contains("boolean true"))
}

fn send(bus: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("dbus-send")
        .args(["--session", "--print-reply", "--reply-timeout=2000"])
        .arg("--dest=org.freedesktop.secrets")
        .args(arguments)
        .env("DBUS_SESSION_BUS_ADDRESS", bus)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
