//! What the suites on the agent and on bad input share: a fake engine, signals, and words to compare.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests; each suite uses its part"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use berth_tests::rig::{self, Home, Ran, SecretService, programs};
use serde_json::Value;

/// What a fake engine does with a request.
pub(crate) enum Answer {
    /// Answers with this status and JSON.
    Json(u16, String),
    /// Never answers, until the engine is released or gone.
    Hang,
}

type Decide = dyn Fn(&str, &str) -> Answer + Send + Sync;

/// A Docker engine that only says what a test makes it say, on a socket of its own.
pub(crate) struct FakeEngine {
    folder: tempfile::TempDir,
    end: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeEngine {
    /// `decide` gets the method and the path without its version; `/version` answers as engine 29 unless it decides so.
    pub(crate) fn start(
        decide: impl Fn(&str, &str) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("e").tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let end = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let decide: Arc<Decide> = Arc::new(move |method: &str, path: &str| {
            decide(method, path).unwrap_or_else(|| usual(path))
        });
        let (stop, log) = (Arc::clone(&end), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (decide, stop, log) =
                    (Arc::clone(&decide), Arc::clone(&stop), Arc::clone(&log));
                thread::spawn(move || serve(stream, &*decide, &stop, &log));
            }
        });
        Self { folder, end, asked }
    }

    /// One that is healthy, empty, and takes for ever to list its containers: what works on it is under way.
    pub(crate) fn busy() -> Self {
        Self::start(|_, path| path.starts_with("/containers/json").then_some(Answer::Hang))
    }

    /// As `berth host add` takes it.
    pub(crate) fn address(&self) -> String {
        format!(
            "unix://{}",
            self.folder.path().join("engine.sock").display()
        )
    }

    /// What it was asked, as `GET /path`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

fn usual(path: &str) -> Answer {
    Answer::Json(200, match path.split('?').next().unwrap() {
        "/version" => r#"{"Version":"29.1.0","ApiVersion":"1.52","MinAPIVersion":"1.44","Os":"linux","Arch":"amd64","KernelVersion":"6.1"}"#.into(),
        "/containers/json" => "[]".into(),
        "/volumes" => r#"{"Volumes":[],"Warnings":null}"#.into(),
        _ => return Answer::Json(404, r#"{"message":"page not found"}"#.into()),
    })
}

fn serve(mut stream: UnixStream, decide: &Decide, end: &AtomicBool, log: &Mutex<Vec<String>>) {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = buffer.split_off(at + 4);
                break String::from_utf8_lossy(&std::mem::replace(&mut buffer, rest)).into_owned();
            }
            let mut part = [0; 4096];
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return,
                Ok(n) => buffer.extend_from_slice(&part[..n]),
            }
        };
        let mut words = head.split_whitespace();
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let path = match path.strip_prefix("/v1.") {
            Some(rest) => &rest[rest.find('/').unwrap_or(0)..],
            None => path,
        };
        log.lock().unwrap().push(format!("{method} {path}"));
        match decide(method, path) {
            Answer::Json(status, body) => {
                let answer = format!(
                    "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            Answer::Hang => {
                while !end.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(20));
                }
                return;
            }
        }
    }
}

/// `berth` in this home with more environment.
pub(crate) fn berth_in(home: &Home, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = home.command(&programs::built("berth"));
    command.args(arguments).envs(environment.iter().copied());
    rig::home::run(&mut command, "", Duration::from_secs(60))
}

/// The agent's status; `None` where none runs.
pub(crate) fn status(home: &Home) -> Option<Value> {
    let ran = home.berth(&["agent", "status", "--json"]);
    (ran.code == 0).then(|| ran.json())
}

/// The process of the agent, started if need be.
pub(crate) fn agent(home: &Home) -> u32 {
    let _ = home.berth(&["host", "list"]).ok();
    pid_of(&status(home).expect("the first command started an agent"))
}

/// The process in a status.
pub(crate) fn pid_of(status: &Value) -> u32 {
    u32::try_from(status["pid"].as_u64().unwrap()).unwrap()
}

/// Sends a signal to one process, or with a minus to its group.
pub(crate) fn signal(name: &str, process: impl std::fmt::Display) {
    let _ = Command::new("kill")
        .args([&format!("-{name}"), "--", &process.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Whether a process is there and no zombie.
pub(crate) fn alive(pid: u32) -> bool {
    let said = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    !said.is_empty() && !said.starts_with('Z')
}

/// Waits until a process is gone.
pub(crate) fn gone(what: &str, pid: u32, limit: Duration) {
    rig::wait_for(&format!("{what} to be gone"), limit, || {
        (!alive(pid)).then_some(())
    });
}

/// A command in the background, in a process group of its own as a terminal gives one.
pub(crate) struct Background {
    pub(crate) child: Child,
    folder: tempfile::TempDir,
}

impl Background {
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = home.command(&programs::built("berth"));
        let file = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.folder.path().join("out")).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("err")).unwrap()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Ctrl-C in its terminal.
    pub(crate) fn interrupt(&self) {
        signal("INT", format!("-{}", self.child.id()));
    }

    /// Its exit code, once it has ended; 128 and the signal's number when a signal ended it.
    pub(crate) fn code(&mut self, limit: Duration) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let status = {
            let child = &mut self.child;
            let began = std::time::Instant::now();
            loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break Some(status);
                }
                if began.elapsed() > limit {
                    break None;
                }
                thread::sleep(Duration::from_millis(10));
            }
        };
        let Some(status) = status else {
            panic!(
                "it did not end within {limit:?}\n--- stdout\n{}\n--- stderr\n{}",
                self.stdout(),
                self.stderr()
            );
        };
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every file of Berth's folder that a user would miss, byte for byte.
pub(crate) fn files(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for name in [
        "hosts.json",
        "instances.json",
        "settings.json",
        "known_hosts",
    ] {
        let file = home.berth_home().join(name);
        if let Ok(bytes) = fs::read(&file) {
            all.insert(file, bytes);
        }
    }
    all
}

/// How many items Berth has in a keychain.
pub(crate) fn keychain_items(service: &SecretService) -> usize {
    let said = programs::run(
        Command::new("dbus-send")
            .args([
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.secrets",
            ])
            .args([
                "/org/freedesktop/secrets",
                "org.freedesktop.Secret.Service.SearchItems",
                "dict:string:string:service,dev.berth",
            ])
            .envs(service.environment()),
    );
    said.matches("object path").count()
}

/// What a command said, with what differs from run to run replaced, ready to compare.
pub(crate) fn said(ran: &Ran, replace: &[(&str, &str)]) -> String {
    let mut text = format!("exit {}\n", ran.code);
    if !ran.stdout.is_empty() {
        text += &format!("--- stdout\n{}", ran.stdout);
    }
    text += &format!("--- stderr\n{}", ran.stderr);
    let mut replace: Vec<_> = replace.to_vec();
    // The longest first: one may be the beginning of another.
    replace.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    for (from, to) in replace {
        text = text.replace(from, to);
    }
    text
}

/// The text of a path.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Writes `hosts.json` and `instances.json` as Berth does: one host, and one instance with this local port.
pub(crate) fn know_instance(home: &Home, address: &str, port: u16) {
    let folder = home.berth_home();
    fs::create_dir_all(&folder).unwrap();
    let hosts = serde_json::json!({
        "version": 1,
        "hosts": [{"name": "far", "address": address, "os": "linux",
                   "route": {"kind": "streamlocal", "detail": "/run/docker.sock"}}],
    });
    let instances = serde_json::json!({
        "version": 1,
        "instances": [{"id": "11111111-2222-4333-8444-555555555555", "host": "far", "name": "orders", "port": port,
                       "version": "2022", "edition": "express", "state": "running", "login": "sa", "data": "keep",
                       "seen_at": "2026-11-01T10:00:00Z", "memory": 2147483648_u64}],
    });
    fs::write(folder.join("hosts.json"), hosts.to_string()).unwrap();
    fs::write(folder.join("instances.json"), instances.to_string()).unwrap();
}

/// Where a proxied engine stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// The request does not reach the engine.
    Before,
    /// The engine has done it, and the answer does not arrive.
    After,
}

/// A real engine behind a door that a test can hold shut at one request.
pub(crate) struct HeldEngine {
    folder: tempfile::TempDir,
    state: Arc<Held>,
}

#[derive(Default)]
struct Held {
    /// Method and a part of the path, and on which side of it; taken by the first request that fits.
    at: Mutex<Option<(String, String, Stand)>>,
    holding: AtomicBool,
    open: AtomicBool,
}

impl HeldEngine {
    /// In front of the engine at `socket`; everything passes until [`HeldEngine::hold`].
    pub(crate) fn before(socket: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("p").tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let state = Arc::new(Held::default());
        let (shared, socket) = (Arc::clone(&state), socket.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(engine) = UnixStream::connect(&socket) else {
                    continue;
                };
                let shared = Arc::clone(&shared);
                thread::spawn(move || carry(client, engine, &shared));
            }
        });
        Self { folder, state }
    }

    /// As `berth host add` takes it.
    pub(crate) fn address(&self) -> String {
        format!(
            "unix://{}",
            self.folder.path().join("engine.sock").display()
        )
    }

    /// The next request of this method whose path has this part stands still, until [`HeldEngine::release`].
    pub(crate) fn hold(&self, method: &str, part: &str, stand: Stand) {
        self.state.open.store(false, Ordering::SeqCst);
        self.state.holding.store(false, Ordering::SeqCst);
        *self.state.at.lock().unwrap() = Some((method.to_owned(), part.to_owned(), stand));
    }

    /// Whether a request stands still now.
    pub(crate) fn holds(&self) -> bool {
        self.state.holding.load(Ordering::SeqCst)
    }

    /// Lets everything pass again; what stood still is lost with its connection.
    pub(crate) fn release(&self) {
        *self.state.at.lock().unwrap() = None;
        self.state.open.store(true, Ordering::SeqCst);
    }
}

impl Drop for HeldEngine {
    fn drop(&mut self) {
        self.release();
    }
}

fn carry(mut client: UnixStream, mut engine: UnixStream, held: &Arc<Held>) {
    let mute = Arc::new(AtomicBool::new(false));
    {
        let (mut from, mut to) = (engine.try_clone().unwrap(), client.try_clone().unwrap());
        let (mute, held) = (Arc::clone(&mute), Arc::clone(held));
        thread::spawn(move || {
            let mut part = vec![0; 64 << 10];
            while let Ok(n) = from.read(&mut part) {
                if mute.load(Ordering::SeqCst) {
                    held.holding.store(true, Ordering::SeqCst);
                    break;
                }
                if n == 0 || to.write_all(&part[..n]).is_err() {
                    let _ = to.shutdown(std::net::Shutdown::Both);
                    break;
                }
            }
        });
    }
    let mut buffer = Vec::new();
    let mut part = vec![0; 64 << 10];
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            match client.read(&mut part) {
                Ok(0) | Err(_) => return,
                Ok(n) => buffer.extend_from_slice(&part[..n]),
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let length = head
            .lines()
            .filter_map(|l| l.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, n)| n.trim().parse::<usize>().ok())
            .unwrap_or(0);
        while buffer.len() < end + length {
            match client.read(&mut part) {
                Ok(0) | Err(_) => return,
                Ok(n) => buffer.extend_from_slice(&part[..n]),
            }
        }
        let rest = buffer.split_off(end + length);
        let request = std::mem::replace(&mut buffer, rest);
        let mut words = head.split_whitespace();
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let stand = {
            let mut at = held.at.lock().unwrap();
            match &*at {
                Some((m, p, stand)) if m == method && path.contains(p.as_str()) => {
                    let stand = *stand;
                    *at = None;
                    Some(stand)
                }
                _ => None,
            }
        };
        if stand == Some(Stand::After) {
            mute.store(true, Ordering::SeqCst);
        }
        if stand != Some(Stand::Before) && engine.write_all(&request).is_err() {
            return;
        }
        if stand == Some(Stand::Before) {
            held.holding.store(true, Ordering::SeqCst);
        }
        if stand.is_some() {
            while !held.open.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(10));
            }
            // Also for the thread that reads the engine's answers, which has its own handles.
            let _ = client.shutdown(std::net::Shutdown::Both);
            let _ = engine.shutdown(std::net::Shutdown::Both);
            return;
        }
        if head.to_ascii_lowercase().contains("upgrade:") {
            let _ = engine.write_all(&buffer);
            let _ = std::io::copy(&mut client, &mut engine);
            let _ = engine.shutdown(std::net::Shutdown::Write);
            return;
        }
    }
}
