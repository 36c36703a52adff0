//! A real OpenSSH server in a folder of its own, on a free loopback port.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use berth_core::{Code, Error};
use berth_remote::{Address, HostKeys, Lane, Session, SignIn};
use tempfile::TempDir;

pub const SSHD: &str = "/usr/sbin/sshd";

/// Says loudly that a test proves nothing here.
pub fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub fn keygen(file: &Path, kind: &str, passphrase: &str) {
    let mut command = Command::new("ssh-keygen");
    command
        .args([
            "-q",
            "-t",
            kind,
            "-N",
            passphrase,
            "-C",
            "a test's key",
            "-f",
        ])
        .arg(file);
    // Few rounds: the strength of a throw-away key is nobody's concern.
    command.args(["-a", "4"]);
    assert!(
        command.status().unwrap().success(),
        "ssh-keygen makes {}",
        file.display()
    );
}

pub struct Sshd {
    pub folder: TempDir,
    pub port: u16,
    pub user: String,
    child: Child,
}

impl Sshd {
    /// With more lines for its configuration, in which `{folder}` is its own folder. `None`
    /// where there is no sshd, which has been said by then.
    pub fn start(more: &str) -> Option<Self> {
        Self::with_host_keys(more, &["ed25519"])
    }

    /// With variables, `NAME=VALUE` and blanks between, that its commands have besides a home of their own.
    pub fn with_environment(environment: &str) -> Option<Self> {
        Self::made("", &["ed25519"], environment)
    }

    pub fn with_host_keys(more: &str, kinds: &[&str]) -> Option<Self> {
        Self::made(more, kinds, "")
    }

    fn made(more: &str, kinds: &[&str], environment: &str) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            skipped("no OpenSSH server on this machine");
            return None;
        }
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned();
        if user == "root" {
            // sshd insists on this empty folder when it runs as root.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        keygen(&at("user"), "ed25519", "");
        fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        let mut config = format!(
            "AuthorizedKeysFile {}\nPidFile {}\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\nLogLevel VERBOSE\n",
            at("authorized_keys").display(),
            at("pid").display(),
        );
        for kind in kinds {
            keygen(&at(&format!("host_{kind}")), kind, "");
            config.push_str(&format!(
                "HostKey {}\n",
                at(&format!("host_{kind}")).display()
            ));
        }
        // bash reads the start file of whoever signs in by SSH: what a developer's does, or how long it takes, is not tested here.
        config.push_str("SetEnv HOME={folder} ");
        config.push_str(environment);
        config.push('\n');
        config.push_str(more);
        config.push('\n');
        let config = config.replace("{folder}", &folder.path().display().to_string());
        fs::write(at("config"), config).unwrap();
        // Another program may take the free port first; then this server ends at once.
        for _ in 0..10 {
            let port = free_port();
            let mut child = Self::spawn(folder.path(), port);
            if Self::listens(folder.path(), port, &mut child) {
                return Some(Self {
                    folder,
                    port,
                    user,
                    child,
                });
            }
        }
        panic!(
            "sshd does not start:\n{}",
            fs::read_to_string(folder.path().join("log")).unwrap_or_default()
        );
    }

    fn spawn(folder: &Path, port: u16) -> Child {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .unwrap();
        Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(folder.join("config"))
            .arg("-o")
            .arg(format!("ListenAddress=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn listens(folder: &Path, port: u16, child: &mut Child) -> bool {
        let told = format!("Server listening on 127.0.0.1 port {port}");
        let start = Instant::now();
        loop {
            if fs::read_to_string(folder.join("log"))
                .unwrap_or_default()
                .contains(&told)
            {
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "sshd says nothing"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn address(&self) -> Address {
        Address {
            user: self.user.clone(),
            host: "127.0.0.1".into(),
            port: self.port,
        }
    }

    pub fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// Host keys that know this server by its first key.
    pub fn known(&self) -> HostKeys {
        self.known_by("ed25519")
    }

    pub fn known_by(&self, kind: &str) -> HostKeys {
        let public = fs::read_to_string(self.at(&format!("host_{kind}.pub"))).unwrap();
        let file = self.at("user_known_hosts");
        fs::write(&file, format!("{} {public}", self.name())).unwrap();
        HostKeys {
            own: self.at("berth/known_hosts"),
            read_only: vec![file],
            trust: None,
            ..HostKeys::default()
        }
    }

    pub fn by_key(&self) -> SignIn {
        SignIn {
            identities: vec![self.at("user")],
            ..SignIn::default()
        }
    }

    pub async fn session(&self, lane: Lane) -> Session {
        Session::connect(&self.address(), &self.by_key(), &self.known(), lane)
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", self.log()))
    }

    pub async fn refusal(&self, sign_in: &SignIn, host_keys: &HostKeys) -> Error {
        Session::connect(&self.address(), sign_in, host_keys, Lane::Control)
            .await
            .expect_err("this connect must fail")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn assert_code(error: &Error, code: Code) {
    assert_eq!(error.code(), code, "{error:?}");
}

/// Polls until it holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
