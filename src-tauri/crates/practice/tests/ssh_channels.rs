//! The SSH door's channels: how many, where to, and that one does not stop another.
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

use std::{sync::Arc, time::Duration};

use berth_core::secret::ExposeSecret;
use berth_practice::Fault;
use russh::{
    ChannelMsg, ChannelOpenFailure,
    client::{self, Handle},
    keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key},
};
use support::{Host, has, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn connect(host: &Host) -> Handle<Trusting> {
    let config = Arc::new(client::Config {
        nodelay: true,
        ..client::Config::default()
    });
    client::connect(config, host.practice.ssh_address(), Trusting)
        .await
        .unwrap()
}

async fn sign_in(host: &Host) -> Handle<Trusting> {
    let mut session = connect(host).await;
    let key = Arc::new(load_secret_key(host.practice.client_key_path(), None).unwrap());
    let result = session
        .authenticate_publickey(host.practice.user(), PrivateKeyWithHashAlg::new(key, None))
        .await
        .unwrap();
    assert!(result.success());
    session
}

fn refused(error: russh::Error) -> Option<ChannelOpenFailure> {
    match error {
        russh::Error::ChannelOpenFailure(reason) => Some(reason),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_sessions_and_any_number_of_forwards() {
    let host = Host::new().await;
    let session = sign_in(&host).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        let channel = session.channel_open_session().await.unwrap();
        channel
            .exec(true, "docker system dial-stdio")
            .await
            .unwrap();
        open.push(channel);
    }
    let eleventh = session.channel_open_session().await.err().unwrap();
    assert_eq!(
        refused(eleventh),
        Some(ChannelOpenFailure::ConnectFailed),
        "sshd's MaxSessions is 10"
    );
    let mut forwards = Vec::new();
    for _ in 0..40 {
        forwards.push(
            session
                .channel_open_direct_tcpip("127.0.0.1", 2375, "127.0.0.1", 0)
                .await
                .unwrap(),
        );
    }
    let closed = open.pop().unwrap();
    closed.close().await.unwrap();
    until("a free place", async || {
        session.channel_open_session().await.ok()
    })
    .await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forwards_lead_to_what_listens_and_nowhere_else() {
    let host = Host::new().await;
    let session = sign_in(&host).await;
    for (to, port) in [
        ("127.0.0.1", 23),
        ("127.0.0.1", 2376),
        ("172.28.16.200", 1433),
        ("example.com", 80),
    ] {
        let error = session
            .channel_open_direct_tcpip(to, port, "127.0.0.1", 0)
            .await
            .err()
            .unwrap();
        assert_eq!(
            refused(error),
            Some(ChannelOpenFailure::ConnectFailed),
            "{to}:{port}"
        );
    }
    let pipe = session
        .channel_open_direct_streamlocal("//./pipe/docker_engine")
        .await
        .err()
        .unwrap();
    assert!(
        refused(pipe).is_some(),
        "Microsoft's sshd cannot forward to a named pipe"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_reaches_sql_server_while_its_container_runs() {
    let host = Host::new().await;
    host.up("sql").await;
    host.wait_for_log("sql", "berth: ready").await;
    let address = host.inspect("sql").await["NetworkSettings"]["Networks"]["nat"]["IPAddress"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = sign_in(&host).await;
    let mut stream = session
        .channel_open_direct_tcpip(address.clone(), 1433, "127.0.0.1", 0)
        .await
        .unwrap()
        .into_stream();
    // A PRELOGIN with its version and its wish for encryption (MS-TDS 2.2.6.5).
    let prelogin = [
        0x12, 1, 0, 26, 0, 0, 0, 0, // header: 26 bytes in all
        0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, // VERSION at 11, ENCRYPTION at 17
        17, 0, 0, 0, 0, 0, 0,
    ];
    stream.write_all(&prelogin).await.unwrap();
    let mut answer = [0; 8];
    tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer[0], 4, "SQL Server answers with a tabular result");
    assert!(
        session
            .channel_open_direct_tcpip(address.clone(), 1434, "127.0.0.1", 0)
            .await
            .is_err()
    );
    host.request("POST", "/containers/sql/stop?t=20", None)
        .await;
    assert!(
        session
            .channel_open_direct_tcpip(address, 1433, "127.0.0.1", 0)
            .await
            .is_err(),
        "nothing listens at the address of a container that stopped"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_is_refused_for_good_after_six_tries() {
    let host = Host::new().await;
    let mut session = connect(&host).await;
    for _ in 0..7 {
        if let Ok(answer) = session
            .authenticate_password("Administrator", "wrong-Passw0rd")
            .await
        {
            assert!(!answer.success());
        }
    }
    until("the door to be shut", async || {
        session.is_closed().then_some(())
    })
    .await;
    let mut session = connect(&host).await;
    let password = host.practice.password();
    let other = session
        .authenticate_password("somebody", password.expose_secret())
        .await
        .unwrap();
    assert!(!other.success(), "there is one account");
    let right = session
        .authenticate_password("administrator", password.expose_secret())
        .await
        .unwrap();
    assert!(
        right.success(),
        "Windows does not mind the case of an account's name"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keepalives_environment_and_terminals_are_answered() {
    let host = Host::new().await;
    let session = sign_in(&host).await;
    tokio::time::timeout(Duration::from_secs(10), session.send_ping())
        .await
        .unwrap()
        .unwrap();
    let mut channel = session.channel_open_session().await.unwrap();
    channel.set_env(true, "LANG", "C").await.unwrap();
    assert!(
        matches!(channel.wait().await, Some(ChannelMsg::Failure)),
        "sshd accepts no environment by default"
    );
    channel
        .request_pty(true, "xterm", 80, 25, 0, 0, &[])
        .await
        .unwrap();
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Success)));
    channel.request_subsystem(true, "netconf").await.unwrap();
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Failure)));
    channel.exec(true, "echo still here").await.unwrap();
    let (mut out, mut status) = (Vec::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => out.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    assert_eq!((out.as_slice(), status), (&b"still here\r\n"[..], Some(0)));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_stops_only_its_own_channel() {
    if !has("ssh") {
        return;
    }
    // OpenSSH's client keeps one channel's window shut while it serves another; russh's cannot.
    const REQUESTS: usize = 4000;
    let host = Host::new().await;
    let socket = host.path("engine.sock");
    let mut forward = host
        .ssh_with_key()
        .arg("-N")
        .arg("-L")
        .arg(format!("{}:127.0.0.1:2375", socket.display()))
        .arg("127.0.0.1")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let dial = async || {
        until("the forward", async || {
            tokio::net::UnixStream::connect(&socket).await.ok()
        })
        .await
    };
    let mut slow = dial().await;
    let last = "GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
    let requests = "GET /info HTTP/1.1\r\nHost: d\r\n\r\n".repeat(REQUESTS) + last;
    slow.write_all(requests.as_bytes()).await.unwrap();
    for _ in 0..20 {
        let mut quick = dial().await;
        quick.write_all(last.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(20), quick.read_to_string(&mut answer))
            .await
            .expect("another channel must be served while one lies unread")
            .unwrap();
        assert!(answer.ends_with("OK"), "{answer}");
    }
    let mut all = String::new();
    tokio::time::timeout(Duration::from_secs(60), slow.read_to_string(&mut all))
        .await
        .unwrap()
        .unwrap();
    assert!(
        all.len() > 6 * 1024 * 1024,
        "more than any buffer on the way holds"
    );
    assert_eq!(
        all.matches("HTTP/1.1 200 OK").count(),
        REQUESTS + 1,
        "and what was unread is still whole"
    );
    forward.kill().await.unwrap();
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_start_is_slow_and_a_full_disk_is_full() {
    let host = Host::with(&["slow-start=2".parse::<Fault>().unwrap()]).await;
    let begun = std::time::Instant::now();
    host.up("slow").await;
    host.wait_for_log("slow", "berth: ready").await;
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let host = host.reboot_with(&[Fault::DiskFull(0)]).await;
    assert_eq!(
        host.inspect("slow").await["State"]["Status"],
        "exited",
        "it could not be started after the boot"
    );
    let (status, why) = host.request("POST", "/containers/slow/start", None).await;
    assert_eq!(status, 500);
    assert!(
        why["message"]
            .as_str()
            .unwrap()
            .contains("There is not enough space on the disk. (0x70)"),
        "{why}"
    );
    let (status, why) = host
        .request(
            "POST",
            "/containers/create?name=more",
            Some(support::spec("more")),
        )
        .await;
    assert_eq!(status, 500, "{why}");
    host.stop().await;
}
