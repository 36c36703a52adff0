//! The practice host: how soon it is there, what a thousand instances take, and whether a hundred clients at once are answered
//! rightly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::large_futures,
    reason = "a benchmark prints, and ends where it cannot measure"
)]

use std::{
    fs,
    io::Read,
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use berth_core::{Secret, secret::ExposeSecret};
use berth_practice::{
    Practice, Settings, door,
    sql::{Options, SqlServer},
};
use berth_tests::rig::{free_port, programs};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::compat::TokioAsyncWriteCompatExt;

const STARTS: usize = 10;
const INSTANCES: usize = 1000;
const CLIENTS: usize = 100;
/// Questions of each client.
const ROUNDS: i32 = 20;
const PASSWORD: &str = "Bench-Passw0rd-24-letters";

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    println!("\nThe practice host\n");
    starts();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(many());
    runtime.block_on(clients());
}

fn line(what: &str, figure: &str, goal: &str) {
    println!("{what:<64} {figure:>14}   (must be {goal})");
}

/// From the program's start to the first byte of its SSH door.
fn starts() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for n in 0..STARTS {
        for times in [&mut first, &mut again] {
            let dir = folder.path().join(n.to_string());
            let port = free_port();
            let began = Instant::now();
            let _running = Running(
                Command::new(programs::built("berth"))
                    .args([
                        "practice",
                        "serve",
                        "--ssh-port",
                        &port.to_string(),
                        "--dir",
                    ])
                    .arg(&dir)
                    .env("HOME", folder.path())
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap(),
            );
            loop {
                if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    break;
                }
                assert!(
                    began.elapsed() < Duration::from_secs(30),
                    "it does not start"
                );
                thread::sleep(Duration::from_millis(1));
            }
            times.push(began.elapsed());
        }
    }
    for (what, times) in [("in a new folder", first), ("in one that is there", again)] {
        line(
            &format!("Start to SSH's first byte, {what}, median of {STARTS}"),
            &format!("{:.0} ms", median(times).as_secs_f64() * 1000.0),
            "< 100 ms",
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Memory of this process that is its own, in MB.
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let kb: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kb| kb.parse().ok())
        .unwrap();
    kb / 1024.0
}

/// One request to the engine, answered whole: its status and its body.
async fn request(practice: &Practice, method: &str, path: &str, body: &str) -> (u16, String) {
    let (mut client, inside) = tokio::io::duplex(64 * 1024);
    tokio::spawn(door::engine::serve(
        Arc::clone(practice.model()),
        Box::new(inside),
    ));
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

async fn many() {
    let folder = tempfile::tempdir().unwrap();
    let practice = Practice::start(Settings {
        dir: folder.path().join("host"),
        ..Settings::default()
    })
    .await
    .unwrap();
    let before = memory();
    let began = Instant::now();
    for n in 0..INSTANCES {
        let spec = format!(
            r#"{{"Image":"berth/sql:2022-express-ltsc2022","Hostname":"sql{n}","Env":["ACCEPT_EULA=Y"],"Labels":{{"dev.berth.name":"sql{n}"}},"HostConfig":{{"Mounts":[{{"Type":"volume","Source":"sql{n}","Target":"C:\\data"}}]}}}}"#
        );
        let (status, why) = request(
            &practice,
            "POST",
            &format!("/containers/create?name=sql{n}"),
            &spec,
        )
        .await;
        assert_eq!(status, 201, "{why}");
        let (status, why) =
            request(&practice, "POST", &format!("/containers/sql{n}/start"), "").await;
        assert_eq!(status, 204, "{why}");
    }
    let mut ready = 0;
    while ready < INSTANCES {
        let (_, log) = request(
            &practice,
            "GET",
            &format!("/containers/sql{ready}/logs?stdout=1"),
            "",
        )
        .await;
        if log.contains("berth: ready") {
            ready += 1;
        } else {
            assert!(!log.contains("ERROR"), "sql{ready} does not start: {log}");
            assert!(
                began.elapsed() < Duration::from_secs(600),
                "sql{ready} is not ready: {log}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    line(
        &format!("{INSTANCES} instances made, started and ready"),
        &format!("{:.1} s", began.elapsed().as_secs_f64()),
        "as it is",
    );
    line(
        &format!("Memory for {INSTANCES} running instances"),
        &format!("{:.0} MB", memory() - before),
        "< 300 MB",
    );
    let listed = Instant::now();
    let (status, body) = request(&practice, "GET", "/containers/json", "").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body.matches("\"Id\"").count(), INSTANCES, "all are listed");
    line(
        &format!("The list of {INSTANCES} instances"),
        &format!("{:.0} ms", listed.elapsed().as_secs_f64() * 1000.0),
        "as it is",
    );
    practice.stop().await;
}

async fn clients() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        server_name: "PRACTICE".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: None,
        disk: None,
    };
    let server = SqlServer::open(folder.path(), options).unwrap();
    let password = Secret::from(PASSWORD);
    server.set_sa_password(&password).unwrap();
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            tokio::spawn(client(
                Arc::clone(&server),
                i32::try_from(n).unwrap(),
                password.clone(),
            ))
        })
        .collect();
    let mut wrong = 0;
    for client in clients {
        wrong += client.await.unwrap();
    }
    let took = began.elapsed();
    line(
        &format!("{CLIENTS} clients at once, {ROUNDS} writes and reads each: wrong answers"),
        &wrong.to_string(),
        "0",
    );
    line(
        "the same, all of it",
        &format!("{:.1} s", took.as_secs_f64()),
        "as it is",
    );
    server.shutdown().await;
}

/// How many answers were wrong.
async fn client(server: Arc<SqlServer>, n: i32, password: Secret) -> usize {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move { server.serve(Box::new(theirs)).await });
    let mut config = Config::new();
    config.host("localhost");
    config.authentication(AuthMethod::sql_server("sa", password.expose_secret()));
    config.encryption(EncryptionLevel::Required);
    config.trust_cert();
    let mut client = Client::connect(config, ours.compat_write()).await.unwrap();
    client
        .execute(
            format!("CREATE TABLE master.dbo.bench{n} (id int PRIMARY KEY, what nvarchar(40))"),
            &[],
        )
        .await
        .unwrap();
    let mut wrong = 0;
    for round in 0..ROUNDS {
        let text = format!("client {n} round {round}");
        client
            .execute(
                format!("INSERT master.dbo.bench{n} VALUES (@P1, @P2)"),
                &[&round, &text],
            )
            .await
            .unwrap();
        let row = client
            .query(
                format!("SELECT COUNT(*), MAX(what) FROM master.dbo.bench{n} WHERE id >= @P1"),
                &[&round],
            )
            .await
            .unwrap()
            .into_row()
            .await
            .unwrap()
            .unwrap();
        let right = row.get::<i32, _>(0) == Some(1) && row.get::<&str, _>(1) == Some(&text);
        wrong += usize::from(!right);
    }
    wrong
}
