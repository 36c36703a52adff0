//! What a connection costs: bytes through a tunnel beside `ssh -L`, files beside `scp`, a lost connection beside a fresh
//! `ssh`. One host, one run, samples in turn, so that a busy moment of the machine meets all alike.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where it cannot measure"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use berth_agent::{Client, Paths, client::Start};
use berth_api::{dto, table::InstanceList};
use berth_core::{BoxFuture, ByteStream, Dial};
use berth_engine::Engine;
use berth_remote::{Address, Files, HostKeys, Lane, Session, SignIn};
use berth_tests::rig::{
    Dockerd, Home, LinuxHost, Sshd, accounts, free_port, process::Daemon, programs,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What goes through a tunnel at once, in MiB.
const STREAM: usize = 256;
/// What a file holds, in MiB.
const FILE: usize = 256;
const TURNS: usize = 7;
const ROUND_TRIPS: usize = 2000;
/// New connections, one after the other.
const FRESH: usize = 200;
/// How far away a far host is, one way, in milliseconds.
const FAR: u32 = 10;

/// A server on SQL Server's port: `E` makes it an echo, `S` makes it send [`STREAM`] MiB.
fn load_server(dockerd: &Dockerd) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(
        at("server.c"),
        format!(
            r#"
        #include <arpa/inet.h>
        #include <netinet/tcp.h>
        #include <stdlib.h>
        #include <unistd.h>
        static char buffer[1 << 16];
        int main(void) {{
            struct sockaddr_in at = {{ .sin_family = AF_INET, .sin_port = htons(1433) }};
            int one = 1, door = socket(AF_INET, SOCK_STREAM, 0);
            if (bind(door, (struct sockaddr *)&at, sizeof at) || listen(door, 8)) return 1;
            for (;;) {{
                int guest = accept(door, 0, 0);
                if (fork()) {{ close(guest); continue; }}
                setsockopt(guest, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                if (read(guest, buffer, 1) != 1) return 0;
                if (buffer[0] == 'S') {{
                    for (long left = {STREAM}L << 20; left > 0;) {{
                        long n = write(guest, buffer, left < (long)sizeof buffer ? left : (long)sizeof buffer);
                        if (n <= 0) return 0;
                        left -= n;
                    }}
                    return 0;
                }}
                for (;;) {{
                    long n = read(guest, buffer, sizeof buffer);
                    if (n <= 0 || write(guest, buffer, n) != n) return 0;
                }}
            }}
        }}"#
        ),
    )
    .unwrap();
    programs::run(
        Command::new("cc")
            .args(["-static", "-O2", "-o"])
            .arg(at("server"))
            .arg(at("server.c")),
    );
    programs::run(
        Command::new("tar")
            .arg("-cf")
            .arg(at("image.tar"))
            .arg("-C")
            .arg(folder.path())
            .arg("server"),
    );
    programs::run(
        dockerd
            .command()
            .args(["import", "--change", "ENTRYPOINT [\"/server\"]"])
            .arg(at("image.tar"))
            .arg("rig/server:1"),
    );
}

fn main() {
    let Some(dockerd) = Dockerd::start() else {
        return;
    };
    let Some(sshd) = Sshd::start() else { return };
    let host = LinuxHost { sshd, dockerd };
    let home = Home::new();
    let _ = home.add("rig", &host.sshd);
    load_server(&host.dockerd);
    let endpoint = free_port();
    let id = host.dockerd.docker(&[
        "run",
        "-d",
        "--name",
        "berth-server",
        "--label",
        "dev.berth.id=00000000-0000-4000-8000-000000000001",
        "--label",
        "dev.berth.name=server",
        "--label",
        &format!("dev.berth.port={endpoint}"),
        "rig/server:1",
    ]);
    let inside = host
        .dockerd
        .docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &id]);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let agent = runtime
        .block_on(Client::connect(&Paths::at(home.berth_home()), Start::Never))
        .expect("the agent runs");
    let list = || {
        runtime
            .block_on(agent.call::<InstanceList>(&dto::InstanceList::default(), BTreeMap::new()))
            .expect("the agent answers")
            .body
    };
    assert_eq!(
        list().instances.len(),
        1,
        "the endpoint is there from now on"
    );

    let folder = tempfile::tempdir().unwrap();
    let (forward, forwarded) = forward(&host.sshd, &inside, &[]);
    tunnels(endpoint, forwarded);
    taken_apart(&host.sshd, &inside, folder.path());
    drop(forward);
    files(&runtime, &host.sshd, folder.path());
    healing(&host.sshd, &list);
    // Its agent holds the port that the instance has everywhere.
    let _ = home.berth(&["agent", "stop", "--force"]).ok();
    from_afar(&host, &inside);
}

/// `ssh -L` to the server in the container, and its port here.
fn forward(sshd: &Sshd, inside: &str, more: &[&str]) -> (Daemon, u16) {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("ssh");
    command.args(["-N", "-L", &format!("127.0.0.1:{port}:{inside}:1433")]);
    command.args(more);
    command.args(sshd.ssh().get_args());
    let mut forward = Daemon::start(&command, &folder.path().join("log"));
    forward.wait_for("the forward", Duration::from_secs(10), || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (forward, port)
}

fn connect(port: u16, word: u8) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&[word]).unwrap();
    stream
}

fn tunnels(berth: u16, ssh: u16) {
    let mut kept = [connect(berth, b'E'), connect(ssh, b'E')];
    let mut round_trips = [Vec::new(), Vec::new()];
    let mut buffer = [0; 64];
    for turn in 0..ROUND_TRIPS + 200 {
        for (stream, times) in kept.iter_mut().zip(&mut round_trips) {
            let began = Instant::now();
            stream.write_all(&buffer).unwrap();
            stream.read_exact(&mut buffer).unwrap();
            if turn >= 200 {
                times.push(began.elapsed());
            }
        }
    }
    drop(kept);
    let fresh = fresh(berth, ssh, FRESH);
    let mut streams = [Vec::new(), Vec::new()];
    for turn in 0..TURNS + 1 {
        for (n, port) in [berth, ssh].into_iter().enumerate() {
            let began = Instant::now();
            let mut stream = connect(port, b'S');
            let mut all = 0;
            let mut piece = vec![0; 1 << 20];
            loop {
                match stream.read(&mut piece).unwrap() {
                    0 => break,
                    read => all += read,
                }
            }
            assert_eq!(all, STREAM << 20, "a tunnel carries every byte");
            if turn > 0 {
                streams[n].push(began.elapsed());
            }
        }
    }
    println!("\nA tunnel to a server in a container\n");
    row(
        "a round trip of 64 bytes, connection kept",
        round_trips,
        None,
    );
    row("a new connection and its first answer", fresh, None);
    row(
        &format!("{STREAM} MiB from the host"),
        streams,
        Some(STREAM),
    );
}

/// How a session of this process gets in.
fn way(sshd: &Sshd, folder: &Path) -> (Address, SignIn, HostKeys) {
    (
        Address {
            user: sshd.user().to_owned(),
            host: "127.0.0.1".to_owned(),
            port: sshd.port(),
        },
        SignIn {
            identities: vec![sshd.client_key()],
            ..SignIn::default()
        },
        HostKeys {
            own: folder.join("known_hosts"),
            read_only: vec![sshd.known_hosts()],
            ..HostKeys::default()
        },
    )
}

/// New connections and their first answers, in turn, after a few that warm up.
fn fresh(berth: u16, ssh: u16, turns: usize) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..turns + 5 {
        for (port, times) in [berth, ssh].into_iter().zip(&mut times) {
            let began = Instant::now();
            let mut stream = connect(port, b'E');
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            if turn >= 5 {
                times.push(began.elapsed());
            }
        }
    }
    times
}

/// What a new connection through a tunnel is made of: for each one the engine is asked where the instance is now, while it is
/// dialled where it was; both by a session of this process, without the agent.
fn taken_apart(sshd: &Sshd, inside: &str, folder: &Path) {
    struct ToEngine(Session);
    impl Dial for ToEngine {
        fn dial(&self) -> BoxFuture<'_, berth_core::Result<Box<dyn ByteStream>>> {
            Box::pin(self.0.unix("/run/docker.sock"))
        }
    }
    // One thread, as the agent has.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (address, sign_in, host_keys) = way(sshd, folder);
        let session = async |lane| {
            Session::connect(&address, &sign_in, &host_keys, lane)
                .await
                .unwrap()
        };
        let engine = Engine::connect(Arc::new(ToEngine(session(Lane::Control).await)))
            .await
            .unwrap();
        let tunnels = session(Lane::Tunnels).await;
        let (mut dialled, mut asked) = (Vec::new(), Vec::new());
        for turn in 0..FRESH + 5 {
            let began = Instant::now();
            let mut stream = tunnels.tcp(inside, 1433).await.unwrap();
            stream.write_all(b"Ex").await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
            let dialling = began.elapsed();
            drop(stream);
            let began = Instant::now();
            engine
                .containers(Some("dev.berth.id=00000000-0000-4000-8000-000000000001"))
                .await
                .unwrap();
            if turn >= 5 {
                dialled.push(dialling);
                asked.push(began.elapsed());
            }
        }
        println!("  of which, each alone, without the agent:");
        println!(
            "    dialled, and the first answer  {}",
            say(spread(dialled), None)
        );
        println!(
            "    the engine asked where it is   {}",
            say(spread(asked), None)
        );
    });
}

/// The same from far away: each byte takes ten milliseconds there and ten back.
fn from_afar(host: &LinuxHost, inside: &str) {
    let home = Home::new();
    let script = home.write("late.py", include_str!("late.py"));
    let proxy = format!("python3 {} {FAR} {}", script.display(), host.sshd.port());
    // The `ssh` program takes its user's home from the accounts, not from the environment.
    let dot_ssh = accounts::accounts()
        .expect("the bench has accounts of its own")
        .root
        .home
        .join(".ssh");
    fs::create_dir_all(&dot_ssh).unwrap();
    fs::write(
        dot_ssh.join("config"),
        format!(
            "Host far\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  ProxyCommand {proxy}\n",
            host.sshd.port(),
            host.sshd.user()
        ),
    )
    .unwrap();
    let _ = home
        .berth(&[
            "host",
            "add",
            "far",
            "ssh://far",
            "--identity",
            &host.sshd.client_key().display().to_string(),
            "--trust-host-key",
            &host.sshd.fingerprint(),
        ])
        .ok();
    let listed = home.berth(&["list", "--json"]).ok().json();
    let port = listed["instances"][0]["port"].as_u64().unwrap();
    let (_forward, ssh) = forward(
        &host.sshd,
        inside,
        &["-o", &format!("ProxyCommand={proxy}")],
    );
    println!("\nA tunnel to a server in a container, from afar\n");
    row(
        &format!("a new connection, the host {FAR} ms away each way"),
        fresh(u16::try_from(port).unwrap(), ssh, FRESH / 10),
        None,
    );
}

fn files(runtime: &tokio::runtime::Runtime, sshd: &Sshd, folder: &Path) {
    let here = folder.join("here");
    let bytes: Vec<u8> = (0..FILE << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    fs::write(&here, bytes).unwrap();
    let (there, back) = (folder.join("there"), folder.join("back"));
    let text = |path: &Path| path.display().to_string();
    let scp = |from: &str, to: &str| {
        let mut ssh = sshd.ssh();
        // What `ssh` is told, `scp` is told; the port has another letter, and the login comes with the path.
        let told: Vec<_> = ssh
            .get_args()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        let port = told.iter().position(|a| a == "-p").unwrap();
        let mut command = Command::new("scp");
        command
            .args(["-q"])
            .args(&told[..port])
            .args(["-P", &told[port + 1]])
            .args([from, to]);
        std::mem::swap(&mut ssh, &mut command);
        programs::run(&mut ssh);
    };
    let remote = format!("{}@127.0.0.1:{}", sshd.user(), text(&there));
    let (address, sign_in, host_keys) = way(sshd, folder);
    let berth = async |upload: bool| {
        let session = Session::connect(&address, &sign_in, &host_keys, Lane::Bulk)
            .await
            .unwrap();
        let files = Files::open(&session).await.unwrap();
        let done = if upload {
            files.upload(&here, &text(&there), None).await.unwrap()
        } else {
            files.download(&text(&there), &back, None).await.unwrap()
        };
        session.close().await;
        assert_eq!((done.bytes, done.resumed), ((FILE as u64) << 20, 0));
    };
    let mut up = [Vec::new(), Vec::new()];
    let mut down = [Vec::new(), Vec::new()];
    for turn in 0..TURNS + 1 {
        let timed = |work: &mut dyn FnMut()| {
            let began = Instant::now();
            work();
            began.elapsed()
        };
        let times = [
            timed(&mut || runtime.block_on(berth(true))),
            timed(&mut || scp(&text(&here), &remote)),
            timed(&mut || runtime.block_on(berth(false))),
            timed(&mut || scp(&remote, &text(&back))),
        ];
        if turn > 0 {
            up[0].push(times[0]);
            up[1].push(times[1]);
            down[0].push(times[2]);
            down[1].push(times[3]);
        }
    }
    println!("\nA file, from connecting to closed; Berth hashes it on the way; beside `scp`\n");
    row(&format!("{FILE} MiB to the host"), up, Some(FILE));
    row(&format!("{FILE} MiB from the host"), down, Some(FILE));
}

fn healing(sshd: &Sshd, list: &dyn Fn() -> dto::Instances) {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..2 * TURNS {
        let began = Instant::now();
        sshd.cut_connections();
        while !list().unreached.is_empty() {}
        let healed = began.elapsed();
        let began = Instant::now();
        programs::run(sshd.ssh().arg("true"));
        let fresh = began.elapsed();
        if turn > 0 {
            times[0].push(healed);
            times[1].push(fresh);
        }
    }
    println!(
        "\nEvery connection cut, until a list answers again; beside a fresh `ssh host true`\n"
    );
    row("cut to healed", times, None);
}

/// Berth, the peer, and the ratio of their medians; below 1 is faster than the peer.
fn row(what: &str, times: [Vec<Duration>; 2], mib: Option<usize>) {
    let [berth, peer] = times.map(spread);
    println!("{what:<48} {:>5.2} x of the peer's time", berth.0 / peer.0);
    println!("  Berth {}", say(berth, mib));
    println!("  peer  {}", say(peer, mib));
}

/// The median, and what a tenth is below and above, in seconds.
fn spread(mut all: Vec<Duration>) -> (f64, f64, f64) {
    all.sort_unstable();
    let at = |share: f64| all[((all.len() - 1) as f64 * share).round() as usize].as_secs_f64();
    (at(0.5), at(0.1), at(0.9))
}

fn say((middle, low, high): (f64, f64, f64), mib: Option<usize>) -> String {
    let rate = mib.map_or_else(String::new, |mib| {
        format!(" {:>5.0} MiB/s", mib as f64 / middle)
    });
    format!(
        "{:>9.3} ms ({:.3} to {:.3}){rate}",
        middle * 1e3,
        low * 1e3,
        high * 1e3
    )
}
