//! OpenSSH's server on a free loopback port, with keys and settings of its own.

use std::{
    fmt::Write as _,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    accounts::{Account, accounts},
    free_port,
    network::Neighbour,
    process::Daemon,
    programs, skip,
};

/// A running sshd.
#[derive(Debug)]
pub struct Sshd {
    daemon: Daemon,
    folder: TempDir,
    command: Command,
    address: String,
    port: u16,
    user: String,
}

impl Sshd {
    /// Starts it with OpenSSH's defaults, TCP and socket forwarding allowed.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::with("")
    }

    /// Starts it with further lines of `sshd_config`, which win over the rig's own.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn with(lines: &str) -> Option<Self> {
        Self::on("127.0.0.1", lines, |command| command)
    }

    /// Starts it on a machine at the other end of a cable.
    #[must_use]
    pub fn at(neighbour: &Neighbour) -> Option<Self> {
        Self::on(Neighbour::ADDRESS, "", |command| {
            neighbour.command(&command)
        })
    }

    fn on(address: &str, lines: &str, place: impl FnOnce(Command) -> Command) -> Option<Self> {
        let Some(program) = programs::find("sshd") else {
            skip("OpenSSH's sshd is not installed");
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("sshd")
            .tempdir()
            .expect("there is room for a folder");
        let at = |name: &str| folder.path().join(name);
        for (file, kind) in [
            ("host_ed25519", "ed25519"),
            ("host_ecdsa", "ecdsa"),
            ("client_key", "ed25519"),
        ] {
            keygen(&at(file), kind);
        }
        fs::copy(at("client_key.pub"), at("authorized_keys")).expect("a key can be copied");
        // Without accounts of its own the test signs in as whoever runs it, by key.
        let user = accounts().map_or_else(whoami, |accounts| accounts.root.name.to_owned());

        let port = free_port();
        let mut config = lines.to_owned();
        // StrictModes: the folder is below one that others may write, as every temporary folder is.
        let _ = write!(
            config,
            "\nPort {port}\nListenAddress {address}\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile {}\nUsePAM no\nUseDNS no\nStrictModes no\nPermitRootLogin yes\n\
             PasswordAuthentication yes\nKbdInteractiveAuthentication no\nMaxStartups 100\n\
             AllowTcpForwarding yes\nAllowStreamLocalForwarding yes\nLogLevel VERBOSE\n\
             Subsystem sftp internal-sftp\n",
            at("host_ed25519").display(),
            at("host_ecdsa").display(),
            at("authorized_keys").display(),
            at("pid").display(),
        );
        fs::write(at("sshd_config"), config).expect("the settings can be written");
        // A root's sshd looks for the folder and the keys as another user too.
        programs::run(Command::new("chmod").arg("0755").arg(folder.path()));

        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f"]).arg(at("sshd_config"));
        let command = place(command);
        let daemon = launch(&command, &at("log"), address, port);
        Some(Self {
            daemon,
            folder,
            command,
            address: address.to_owned(),
            port,
            user,
        })
    }

    /// Stops the server and every connection from running, as a machine that hangs does: what is sent to it arrives
    /// and is never answered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Ends what [`Self::freeze`] began.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        if let Ok(listener) = fs::read_to_string(self.folder.path().join("pid")) {
            let listener = listener.trim();
            let _ = Command::new("kill")
                .arg(format!("-{signal}"))
                .arg(listener)
                .status();
            let _ = Command::new("pkill")
                .arg(format!("-{signal}"))
                .args(["-P", listener])
                .status();
        }
    }

    /// How many connections it has.
    #[must_use]
    pub fn connections(&self) -> usize {
        let Ok(listener) = fs::read_to_string(self.folder.path().join("pid")) else {
            return 0;
        };
        let found = Command::new("pgrep").args(["-P", listener.trim()]).output();
        found.map_or(0, |out| {
            String::from_utf8_lossy(&out.stdout).lines().count()
        })
    }

    /// Ends the server with every connection, and starts it again on the same port.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Starts it again on the same port, after [`Self::stop`].
    pub fn start_again(&mut self) {
        let log = self.folder.path().join("log");
        self.daemon = launch(&self.command, &log, &self.address, self.port);
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who signs in with [`Self::client_key`].
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// `ssh://user@127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("ssh://{}@{}:{}", self.user, self.address, self.port)
    }

    /// Who signs in with a password; `None` where the test has no accounts of its own.
    #[must_use]
    pub fn password_account(&self) -> Option<&'static Account> {
        accounts().map(|accounts| &accounts.developer)
    }

    /// A private key without a passphrase that every account accepts.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.folder.path().join("client_key")
    }

    /// Lets every account in with this public key, too.
    ///
    /// # Panics
    /// When a file is not there.
    pub fn accept(&self, public: &Path) {
        let path = self.folder.path().join("authorized_keys");
        let mut keys = fs::read_to_string(&path).expect("the file was made at the start");
        keys.push_str(&fs::read_to_string(public).expect("a public key can be read"));
        fs::write(path, keys).expect("the file can be written");
    }

    /// Its Ed25519 host key as OpenSSH writes it: `ssh-ed25519 AAAA…`.
    ///
    /// # Panics
    /// When the key's file is gone.
    #[must_use]
    pub fn host_key(&self) -> String {
        let line = fs::read_to_string(self.folder.path().join("host_ed25519.pub"))
            .expect("the key is there");
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Its Ed25519 host key's fingerprint: `SHA256:…`.
    ///
    /// # Panics
    /// When `ssh-keygen` does not print one.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let file = self.folder.path().join("host_ed25519.pub");
        let line = programs::run(Command::new("ssh-keygen").arg("-lf").arg(file));
        line.split(' ')
            .nth(1)
            .expect("the second word is the fingerprint")
            .to_owned()
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Cuts every connection, as a network that goes away does, and keeps listening. Each connection is a
    /// process of its own, a child of the listener; that of another user than root has one more below it, with the socket.
    pub fn cut_connections(&self) {
        let Ok(listener) = fs::read_to_string(self.folder.path().join("pid")) else {
            return;
        };
        let listener = listener.trim();
        let monitors = Command::new("pgrep")
            .args(["-d", ",", "-P", listener])
            .output()
            .map(|found| String::from_utf8_lossy(&found.stdout).trim().to_owned())
            .unwrap_or_default();
        for parents in [&monitors, listener] {
            if !parents.is_empty() {
                let _ = Command::new("pkill")
                    .args(["-KILL", "-P", parents])
                    .status();
            }
        }
    }

    /// Ends the server and every connection.
    pub fn stop(&mut self) {
        self.cut_connections();
        self.daemon.stop();
    }

    /// A `known_hosts` file that knows this server by all its keys.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        let file = self.folder.path().join("known_hosts");
        let lines: String = ["host_ed25519.pub", "host_ecdsa.pub"]
            .map(|key| {
                let key =
                    fs::read_to_string(self.folder.path().join(key)).expect("the key is there");
                format!("[127.0.0.1]:{} {key}", self.port)
            })
            .concat();
        fs::write(&file, lines).expect("the test's own folder can be written");
        file
    }

    /// OpenSSH's client, ready to reach this server: append a command or forwards.
    #[must_use]
    pub fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
        ])
        .arg(format!(
            "UserKnownHostsFile={}",
            self.known_hosts().display()
        ))
        .arg("-i")
        .arg(self.client_key())
        .args([
            "-p",
            &self.port.to_string(),
            &format!("{}@127.0.0.1", self.user),
        ]);
        ssh
    }
}

fn launch(command: &Command, log: &Path, address: &str, port: u16) -> Daemon {
    let mut daemon = Daemon::start(command, log);
    daemon.wait_for("sshd to listen", Duration::from_secs(10), || {
        TcpStream::connect((address, port)).ok()
    });
    daemon
}

fn keygen(file: &Path, kind: &str) {
    programs::run(
        Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", "berth-tests", "-t", kind, "-f"])
            .arg(file),
    );
}

fn whoami() -> String {
    programs::run(Command::new("id").arg("-un"))
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}
