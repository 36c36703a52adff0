//! A user's world for the `berth` command: every path of Berth in one temporary folder.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Clock, PracticeHost, SecretService, Sshd, programs};

/// How long a command may take when the test says nothing else.
const LIMIT: Duration = Duration::from_secs(60);

/// A home with nothing in it; its agent ends with it.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    more: Vec<(&'static str, String)>,
}

/// A machine that SSH leads to.
pub trait SshMachine {
    /// `ssh://user@127.0.0.1:port`.
    fn address(&self) -> String;
    /// The private key that signs in.
    fn client_key(&self) -> PathBuf;
    /// Its host key's fingerprint: `SHA256:…`.
    fn fingerprint(&self) -> String;
}

macro_rules! ssh_machine {
    ($($machine:ty),*) => {$(
        impl SshMachine for $machine {
            fn address(&self) -> String {
                Self::address(self)
            }
            fn client_key(&self) -> PathBuf {
                Self::client_key(self)
            }
            fn fingerprint(&self) -> String {
                Self::fingerprint(self)
            }
        }
    )*};
}
ssh_machine!(PracticeHost, Sshd);

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Exit code; 128 and the signal's number when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
    /// The command line, for messages.
    pub line: String,
}

impl Ran {
    /// Itself, when it ended well.
    ///
    /// # Panics
    /// When it did not; the message has everything it printed.
    #[must_use]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Itself, when it ended with `code`.
    ///
    /// # Panics
    /// When it ended with another; the message has everything it printed.
    #[must_use]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "`{}` ended with {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.line, self.code, self.took, self.stdout, self.stderr
        );
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("`{}` printed no JSON ({e}):\n{}", self.line, self.stdout))
    }

    /// Standard output without the last line break.
    #[must_use]
    pub fn line(&self) -> &str {
        self.stdout.trim_end()
    }
}

impl Home {
    /// A home without any keychain.
    ///
    /// # Panics
    /// When there is no room for a folder.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("h")
            .tempdir()
            .expect("there is room for a folder");
        for name in ["home", "run", "tmp"] {
            fs::create_dir(folder.path().join(name)).expect("there is room for a folder");
        }
        // Nothing answers at this address: a desktop session of the machine must never be asked.
        let nowhere = format!("unix:path={}", folder.path().join("no-bus").display());
        Self {
            folder,
            more: vec![("DBUS_SESSION_BUS_ADDRESS", nowhere)],
        }
    }

    /// A home with this Secret Service as its keychain.
    #[must_use]
    pub fn with_secrets(service: &SecretService) -> Self {
        let mut home = Self::new();
        home.more = service.environment();
        home
    }

    /// Every program of this home goes by that clock from now on, and by the machine's again without one. An agent
    /// that runs already does not notice.
    pub fn set_clock(&mut self, clock: Option<&Clock>) {
        let variables = Clock::VARIABLES;
        self.more.retain(|(name, _)| !variables.contains(name));
        self.more
            .extend(clock.into_iter().flat_map(Clock::environment));
    }

    /// Adds a machine that SSH leads to, by the key that signs in there and the fingerprint that it shows.
    ///
    /// # Panics
    /// When it is not taken.
    pub fn add(&self, name: &str, machine: &impl SshMachine) -> Ran {
        self.berth(&[
            "host",
            "add",
            name,
            &machine.address(),
            "--identity",
            &machine.client_key().display().to_string(),
            "--trust-host-key",
            &machine.fingerprint(),
        ])
        .ok()
    }

    /// The folder of its programs' temporary files.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The processes that were started in this home, by their environment.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mine = format!("BERTH_HOME={}", self.berth_home().display());
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                fs::read(format!("/proc/{pid}/environ"))
                    .is_ok_and(|all| all.split(|b| *b == 0).any(|one| one == mine.as_bytes()))
            })
            .collect()
    }

    /// `BERTH_HOME`.
    #[must_use]
    pub fn berth_home(&self) -> PathBuf {
        self.folder.path().join("berth")
    }

    /// `HOME`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Gives the user of this home a file below `~`, with folders, as private as SSH wants it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path().join(path);
        fs::create_dir_all(file.parent().expect("a file is in a folder"))
            .expect("a folder can be made");
        fs::write(&file, text).expect("a file can be written");
        programs::run(Command::new("chmod").arg("0600").arg(&file));
        file
    }

    /// Any program in this home's environment and nothing of the machine's but `PATH`.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let home = self.path();
        command
            .env_clear()
            .current_dir(&home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("HOME", &home)
            .env("TMPDIR", self.folder.path().join("tmp"))
            .env("XDG_RUNTIME_DIR", self.folder.path().join("run"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("BERTH_HOME", self.berth_home())
            .env("RUST_BACKTRACE", "1")
            .envs(self.more.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `berth` with nothing on its standard input.
    #[must_use]
    pub fn berth(&self, arguments: &[&str]) -> Ran {
        self.berth_with(arguments, "", LIMIT)
    }

    /// Runs `berth` with `input` on its standard input, and ends it after `limit`.
    ///
    /// # Panics
    /// When it takes longer, or when its output stays open after its end: `$(berth …)` in a shell would
    /// then wait for the agent.
    #[must_use]
    pub fn berth_with(&self, arguments: &[&str], input: &str, limit: Duration) -> Ran {
        let mut command = self.command(&programs::built("berth"));
        command.args(arguments);
        run(&mut command, input, limit)
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The agent is detached on purpose, so it is asked to end; a test without namespaces needs that.
        if self.berth_home().exists() {
            let mut stop = self.command(&programs::built("berth"));
            stop.args(["agent", "stop", "--force"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if let Ok(mut child) = stop.spawn() {
                let _ = end_within(&mut child, Duration::from_secs(5));
            }
        }
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it takes longer than `limit`, or leaves its output open.
pub fn run(command: &mut Command, input: &str, limit: Duration) -> Ran {
    let line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ");
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("`{line}` did not start: {e}"));
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_owned();
    thread::spawn(move || stdin.write_all(input.as_bytes()));
    let stdout = collect(child.stdout.take().expect("it was piped"));
    let stderr = collect(child.stderr.take().expect("it was piped"));

    let code = end_within(&mut child, limit);
    let took = began.elapsed();
    let read = |name: &str, from: &mpsc::Receiver<Vec<u8>>| {
        let bytes = from.recv_timeout(Duration::from_secs(3)).unwrap_or_else(|_| {
            panic!("`{line}` ended, but something that it started keeps its {name} open, so `$(…)` would hang")
        });
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (read("stdout", &stdout), read("stderr", &stderr));
    let Some(code) = code else {
        panic!("`{line}` did not end within {limit:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    };
    Ran {
        code,
        stdout,
        stderr,
        took,
        line,
    }
}

fn collect(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// Its exit code, or `None` when it had to be killed.
fn end_within(child: &mut Child, limit: Duration) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                return Some(
                    status
                        .code()
                        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
                );
            }
            Ok(None) if began.elapsed() < limit => thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}
