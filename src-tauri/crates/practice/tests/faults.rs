//! Faults on order, each seen from outside: what was asked for goes wrong, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use berth_practice::{Fault, Practice, Settings, machine::fault};
use support::{Host, Ran, has, run, run_with, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

fn faults(text: &str) -> Vec<Fault> {
    fault::read(text).unwrap()
}

/// Sends a request and gives up at the first sign of an answer.
async fn asks(host: &Host, request: &str) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(host.engine).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn status_line(stream: &mut tokio::net::TcpStream) -> String {
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_hangs_closes_nothing_until_it_is_let_go() {
    let host = Host::with(&faults("engine-hangs=1")).await;
    assert_eq!(host.request("GET", "/_ping", None).await.0, 200);
    let mut hung = asks(&host, "GET /info HTTP/1.1\r\nHost: d\r\n\r\n").await;
    // The next one is answered, and so the first would have been by now.
    let mut change = asks(
        &host,
        "PUT /_practice/faults HTTP/1.1\r\nHost: d\r\nContent-Length: 14\r\n\r\n# none at all\n",
    )
    .await;
    assert_eq!(status_line(&mut change).await, "HTTP/1.1 204");
    assert_eq!(
        host.request("GET", "/info", None).await.0,
        200,
        "what is taken back is over"
    );
    let mut byte = [0];
    assert_eq!(
        hung.try_read(&mut byte).unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "the request that hung has no answer, and its connection stays open"
    );
    let mut wrong = asks(
        &host,
        "PUT /_practice/faults HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nflood",
    )
    .await;
    assert_eq!(status_line(&mut wrong).await, "HTTP/1.1 400");
    host.stop().await;
    let _ = hung.read(&mut byte).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_fails_for_the_cause_that_was_asked_for() {
    let host = Host::new().await;
    let ask = async |text: &str| {
        host.practice.model().faults().set(faults(text));
    };
    for (n, (cause, text)) in [
        ("os-mismatch", "0xc0370101"),
        ("port-in-use", "(0x20)"),
        ("network", "HNS failed with error"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("refused{n}");
        let (_, made) = host
            .request(
                "POST",
                &format!("/containers/create?name={name}"),
                Some(support::spec(&name)),
            )
            .await;
        let id = made["Id"].as_str().unwrap();
        ask(&format!("start-fails={cause}")).await;
        let (status, why) = host
            .request("POST", &format!("/containers/{id}/start"), None)
            .await;
        assert_eq!(status, 500, "{cause}: {why}");
        assert!(
            why["message"].as_str().unwrap().contains(text),
            "{cause}: {why}"
        );
        let state = host.inspect(&name).await;
        assert!(
            state["State"]["Error"].as_str().unwrap().contains(text),
            "{cause}: {state}"
        );
        ask("").await;
        let (status, why) = host
            .request("POST", &format!("/containers/{id}/start"), None)
            .await;
        assert_eq!(status, 204, "without the fault it starts: {why}");
    }
    for (cause, text, code) in [
        ("sector-size", "Error: 5178", 67),
        ("memory", "Error: 701", 67),
        ("seeding", "seeding failed", 65),
        ("data-in-use", "OS error: 32", 67),
        ("system-database", "Error: 3417", 67),
        ("service", "service stopped unexpectedly", 70),
    ] {
        ask(&format!("start-fails={cause}")).await;
        let name = format!("fails-{cause}");
        let mut spec = support::spec(&name);
        spec["HostConfig"]["RestartPolicy"]["Name"] = "no".into();
        let (_, made) = host
            .request(
                "POST",
                &format!("/containers/create?name={name}"),
                Some(spec),
            )
            .await;
        let id = made["Id"].as_str().unwrap();
        assert_eq!(
            host.request("POST", &format!("/containers/{id}/start"), None)
                .await
                .0,
            204
        );
        let state = until(cause, async || {
            let state = host.inspect(&name).await["State"].clone();
            (state["Status"] == "exited").then_some(state)
        })
        .await;
        assert_eq!(state["ExitCode"], code, "{cause}");
        let log = host.log(&name).await;
        assert!(log.contains(text), "{cause}: {log}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_is_wrong_everywhere() {
    let host = Host::with(&faults("clock-skew=-86400")).await;
    let yesterday = |text: &str| {
        let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
        (chrono::Utc::now() - at.to_utc()).num_hours()
    };
    let (_, info) = host.request("GET", "/info", None).await;
    assert!(
        (23..=25).contains(&yesterday(info["SystemTime"].as_str().unwrap())),
        "{info}"
    );
    host.up("sql1").await;
    host.wait_for_log("sql1", "berth: ready").await;
    let made = host.inspect("sql1").await;
    assert!(
        (23..=25).contains(&yesterday(made["Created"].as_str().unwrap())),
        "{made}"
    );
    assert!((23..=25).contains(&yesterday(made["State"]["StartedAt"].as_str().unwrap())));
    let log = host.log("sql1").await;
    let day = (chrono::Local::now() - chrono::Duration::days(1))
        .format("%Y-%m-%d")
        .to_string();
    assert!(
        log.contains(&format!("{day} ")),
        "SQL Server's own log has the machine's clock: {log}"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_as_bad_as_it_was_asked_for() {
    if !has("ssh") {
        return;
    }
    let host = Host::with(&faults("latency=200")).await;
    let begun = Instant::now();
    let said = run(host.ssh_with_key().args(["127.0.0.1", "echo late"])).await;
    assert_eq!(said.ok(), "late\r\n");
    assert!(
        begun.elapsed() > Duration::from_millis(800),
        "banner, keys, sign-in and command are at least four answers"
    );
    let host = host.reboot_with(&faults("bandwidth=40000")).await;
    let begun = Instant::now();
    let big = run(host
        .ssh_with_key()
        .args(["127.0.0.1", &format!("echo {}", "x".repeat(60_000))]))
    .await;
    assert_eq!(big.ok().len(), 60_002, "slow, but whole");
    assert!(
        begun.elapsed() > Duration::from_millis(1400),
        "60 kB at 40 kB a second"
    );
    let host = host.reboot_with(&faults("drop-step=2")).await;
    let mut command = host.ssh_with_key();
    let socket = host.path("master");
    command
        .arg("-o")
        .arg(format!("ControlPath={}", socket.display()));
    let shared = |host: &Host, line: &str| {
        let mut one = host.ssh_with_key();
        one.arg("-o")
            .arg(format!("ControlPath={}", socket.display()));
        one.args(["127.0.0.1", line]);
        one
    };
    let mut master = command
        .args(["-M", "-N", "127.0.0.1"])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until("the shared connection", async || {
        socket.exists().then_some(())
    })
    .await;
    assert_eq!(run(&mut shared(&host, "echo one")).await.ok(), "one\r\n");
    // The client then comes again by itself, on a connection of its own.
    assert_eq!(run(&mut shared(&host, "echo two")).await.ok(), "two\r\n");
    let ended = master.wait().await.unwrap();
    assert!(
        !ended.success(),
        "the second channel ends the connection that it was opened on"
    );

    let host = host.reboot_with(&faults("wrong-host-key")).await;
    let refused = run(host.ssh_with_key().args(["127.0.0.1", "echo in"])).await;
    assert_eq!(refused.code, Some(255));
    assert!(
        refused.stderr.contains("HOST IDENTIFICATION HAS CHANGED"),
        "{}",
        refused.stderr
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_full_where_it_was_asked_for() {
    if !has("sftp") {
        return;
    }
    let host = Host::with(&faults("disk-full=100000")).await;
    std::fs::write(host.path("small"), vec![1; 60_000]).unwrap();
    let put = async |to: &str| -> Ran {
        let _ = host.ssh();
        let mut sftp = Command::new("sftp");
        for option in [
            format!("UserKnownHostsFile={}", host.path("known_hosts").display()),
            format!("IdentityFile={}", host.practice.client_key_path().display()),
            format!("Port={}", host.practice.ssh_address().port()),
            format!("User={}", host.practice.user()),
        ] {
            sftp.arg("-o").arg(option);
        }
        let batch = format!("put {} {to}\n", host.path("small").display());
        sftp.args(["-F", "none", "-o", "BatchMode=yes", "-b", "-", "127.0.0.1"]);
        run_with(&mut sftp, batch.as_bytes()).await
    };
    put("/C:/one").await.ok();
    let second = put("/C:/two").await;
    assert!(second.code != Some(0), "{}", second.stderr);
    assert!(second.stderr.contains("Failure"), "{}", second.stderr);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_read_from_the_machines_folder() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("host")).unwrap();
    let file = dir.path().join("host").join(fault::FILE);
    std::fs::write(&file, "# it has no engine\nengine-dies\n").unwrap();
    let host = Host::at(dir, &[]).await;
    assert!(!host.practice.model().faults().engine_up(false));
    std::fs::write(&file, "flood\n").unwrap();
    let dir = host.path("host");
    host.practice.stop().await;
    let refused = Practice::start(Settings {
        dir,
        ..Settings::default()
    })
    .await;
    assert!(
        refused
            .err()
            .is_some_and(|e| e.message().contains("`flood`")),
        "a fault that is not known must not be played as none"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_reaches_the_engine_behind_mutual_tls() {
    if !has("docker") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let settings = |expired: bool| Settings {
        dir: dir.path().join("host"),
        tls_port: Some(0),
        faults: if expired {
            vec![Fault::ExpiredCertificate]
        } else {
            Vec::new()
        },
        ..Settings::default()
    };
    let docker = async |practice: &Practice, with: &[&str]| {
        let (at, folder) = practice.tls().unwrap();
        let mut docker = Command::new("docker");
        docker
            .env("DOCKER_CONFIG", dir.path())
            .env("HOME", dir.path())
            .env_remove("DOCKER_HOST");
        docker.args(["--tlsverify", "-H", &format!("tcp://{at}")]);
        for file in with {
            docker.arg(format!(
                "--tls{}={}",
                file.trim_end_matches(".pem").replace("ca", "cacert"),
                folder.join(file).display()
            ));
        }
        run(docker.args(["info", "--format", "{{.OSType}}"])).await
    };
    let practice = Practice::start(settings(false)).await.unwrap();
    let all = ["ca.pem", "cert.pem", "key.pem"];
    assert_eq!(docker(&practice, &all).await.ok(), "windows\n");
    let nobody = docker(&practice, &["ca.pem"]).await;
    assert_eq!(
        nobody.code,
        Some(1),
        "without a client's certificate nobody comes in: {}",
        nobody.stdout
    );
    practice.stop().await;
    // The authority stays, so that what a client was given holds.
    let practice = Practice::start(settings(false)).await.unwrap();
    assert_eq!(docker(&practice, &all).await.ok(), "windows\n");
    practice.stop().await;
    let practice = Practice::start(settings(true)).await.unwrap();
    let expired = docker(&practice, &all).await;
    assert!(
        expired.stderr.contains("certificate has expired"),
        "{}",
        expired.stderr
    );
    practice.stop().await;
}
