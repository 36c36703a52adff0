//! Listing instances over SSH, warm: Berth through its agent, beside what a developer has without Berth, on
//! one host and in one run. Samples are taken in turn, so that a busy moment of the machine meets all alike.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where it cannot measure"
)]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    process::Command,
    time::{Duration, Instant},
};

use berth_agent::{Client, Paths, client::Start};
use berth_api::{
    dto,
    table::{AgentStatus, InstanceList},
};
use berth_tests::rig::{Home, LinuxHost, accounts, process::Daemon};

/// How many instances the host has.
const INSTANCES: usize = 3;
/// Samples of what takes milliseconds.
const MANY: usize = 300;
/// Samples of what takes most of a second.
const FEW: usize = 15;

fn main() {
    let Some(host) = LinuxHost::start() else {
        return;
    };
    let home = Home::new();
    let _ = home.add("rig", &host.sshd);
    let key = host.sshd.client_key().display().to_string();
    let password = home.write("password", "Bench-Passw0rd-24-letters");
    for number in 1..=INSTANCES {
        let _ = home
            .berth(&[
                "up",
                &format!("bench{number}"),
                "--accept-eula",
                "--password-file",
                &password.display().to_string(),
            ])
            .ok();
    }

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let agent = runtime
        .block_on(Client::connect(&Paths::at(home.berth_home()), Start::Never))
        .expect("the agent runs");
    let berth = || {
        let listed = runtime
            .block_on(agent.call::<InstanceList>(&dto::InstanceList::default(), BTreeMap::new()))
            .expect("the agent answers");
        assert_eq!(
            listed.body.instances.len(),
            INSTANCES,
            "a list that misses an instance is no list"
        );
    };
    // To the agent and back, with nobody else asked: what the way through its socket is of the whole.
    let socket = || {
        let _ = runtime
            .block_on(agent.call::<AgentStatus>(&dto::Nothing {}, BTreeMap::new()))
            .expect("the agent answers");
    };
    let command = || {
        let _ = home.berth(&["list", "--json"]).ok();
    };

    // The `ssh` program takes its user's home from the accounts, not from the environment.
    let settings = format!(
        "Host rig\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {key}\n  UserKnownHostsFile {}\n",
        host.sshd.port(),
        host.sshd.user(),
        host.sshd.known_hosts().display()
    );
    let dot_ssh = accounts::accounts()
        .expect("the bench has accounts of its own")
        .root
        .home
        .join(".ssh");
    std::fs::create_dir_all(&dot_ssh).unwrap();
    std::fs::write(dot_ssh.join("config"), settings).unwrap();
    let docker = || {
        let listed = Command::new("docker")
            .args(["-H", "ssh://rig", "ps", "-q"])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&listed.stdout).lines().count(),
            INSTANCES,
            "{listed:?}"
        );
    };

    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("engine");
    let mut forward = Command::new("ssh");
    forward.args([
        "-N",
        "-L",
        &format!("{}:{}", local.display(), host.dockerd.socket().display()),
        "rig",
    ]);
    let mut forward = Daemon::start(&forward, &folder.path().join("log"));
    let mut kept = forward.wait_for("the forward", Duration::from_secs(10), || {
        UnixStream::connect(&local).ok()
    });

    for _ in 0..20 {
        berth();
        get(&mut kept);
    }
    let mut times: [Vec<Duration>; 6] = Default::default();
    for _ in 0..MANY {
        times[0].push(timed(berth));
        times[1].push(timed(|| get(&mut kept)));
        times[2].push(timed(|| get(&mut UnixStream::connect(&local).unwrap())));
        times[5].push(timed(socket));
    }
    for _ in 0..FEW {
        times[3].push(timed(command));
        times[4].push(timed(docker));
    }

    println!(
        "\n{INSTANCES} instances on one Linux host over SSH, warm; {MANY} and {FEW} samples taken in turn\n"
    );
    println!(
        "{:<56} {:>11} {:>23} {:>14}",
        "", "median", "10 % to 90 %", "Berth takes"
    );
    let [berth, kept, fresh, command, docker, socket] = times.map(Spread::of);
    berth.print("Berth: instance.list through the agent", None);
    socket.print("  of which the agent's socket (`agent.status`)", None);
    kept.print(
        "GET /containers/json through ssh -L, connection kept",
        Some(&berth),
    );
    fresh.print(
        "GET /containers/json through ssh -L, new connection",
        Some(&berth),
    );
    docker.print("docker -H ssh://… ps", Some(&berth));
    println!();
    command.print("Berth: the whole command `berth list --json`", None);
    docker.print("docker -H ssh://… ps", Some(&command));
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// The request that Berth makes, by hand: one HTTP/1.1 exchange on an open connection.
fn get(stream: &mut UnixStream) {
    stream
        .write_all(b"GET /containers/json?all=1 HTTP/1.1\r\nHost: docker\r\n\r\n")
        .unwrap();
    let mut reader = BufReader::new(stream);
    let (mut length, mut chunked, mut line) = (0, false, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).unwrap();
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else {
        body.resize(length, 0);
        reader.read_exact(&mut body).unwrap();
    }
    let listed: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        listed.as_array().map(Vec::len),
        Some(INSTANCES),
        "the peer must do the same work"
    );
}

/// Sorted samples.
struct Spread(Vec<Duration>);

impl Spread {
    fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self(samples)
    }

    /// In milliseconds.
    fn at(&self, share: f64) -> f64 {
        let last = (self.0.len() - 1) as f64;
        self.0[(last * share).round() as usize].as_secs_f64() * 1e3
    }

    fn print(&self, what: &str, berth: Option<&Self>) {
        let spread = format!("{:.2} to {:.2} ms", self.at(0.1), self.at(0.9));
        let ratio = berth.map_or_else(String::new, |berth| {
            let ratio = berth.at(0.5) / self.at(0.5);
            if ratio < 0.1 {
                format!("1/{:.0} of it", 1.0 / ratio)
            } else {
                format!("{ratio:.2} x")
            }
        });
        println!(
            "{what:<56} {:>8.2} ms {spread:>23} {ratio:>14}",
            self.at(0.5)
        );
    }
}
