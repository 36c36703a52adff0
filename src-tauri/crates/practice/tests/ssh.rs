//! The SSH door, tried with OpenSSH's own client.
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

use std::time::Duration;

use berth_core::{powershell, secret::ExposeSecret};
use berth_practice::{Fault, Practice, Settings};
use support::{Host, has, run, run_with, script, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn openssh_signs_in_by_key_and_runs_commands() {
    if !has("ssh") {
        return;
    }
    let host = Host::new().await;
    let said = run(host
        .ssh_with_key()
        .args(["127.0.0.1", "echo BERTH %OS% $env:OS $OSTYPE"]))
    .await;
    assert_eq!(said.stderr, "", "nothing may be printed beside the answer");
    assert_eq!(
        said.ok(),
        "BERTH Windows_NT $env:OS $OSTYPE\r\n",
        "the shell is cmd.exe"
    );

    let declined = run(host.ssh_with_key().args(["127.0.0.1", "format C:"])).await;
    assert_eq!(declined.code, Some(1));
    assert_eq!(
        declined.stderr,
        "the practice host does not run this: format C:\r\n"
    );
    assert_eq!(declined.stdout, "");

    let code = run(host.ssh_with_key().args(["127.0.0.1", "exit 42"])).await;
    assert_eq!(code.code, Some(42), "the exit status travels");
    let shell = run(host.ssh_with_key().args(["-T", "127.0.0.1"])).await;
    assert!(
        shell
            .stderr
            .contains("not implemented by the practice host"),
        "{}",
        shell.stderr
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_signs_in_by_password_and_not_with_a_wrong_one() {
    if !has("ssh") {
        return;
    }
    let host = Host::new().await;
    let ask = host.path("askpass");
    let sign_in = async |password: &str| {
        script(&ask, &format!("#!/bin/sh\necho '{password}'\n"));
        let mut command = host.ssh();
        command.args([
            "-o",
            "PubkeyAuthentication=no",
            "-o",
            "NumberOfPasswordPrompts=1",
        ]);
        command
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("DISPLAY", ":0");
        run(command.args(["127.0.0.1", "echo in"])).await
    };
    let password = host.practice.password();
    assert_eq!(sign_in(password.expose_secret()).await.ok(), "in\r\n");
    let wrong = sign_in("Wrong-Passw0rd").await;
    assert_eq!(wrong.code, Some(255));
    assert!(
        wrong
            .stderr
            .contains("Permission denied (publickey,password)"),
        "{}",
        wrong.stderr
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_when_logins_are_refused() {
    if !has("ssh") {
        return;
    }
    let host = Host::with(&[Fault::RefuseLogin]).await;
    let refused = run(host.ssh_with_key().args(["127.0.0.1", "echo in"])).await;
    assert_eq!(refused.code, Some(255));
    assert!(
        refused.stderr.contains("Permission denied"),
        "{}",
        refused.stderr
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_is_answered_through_the_envelope() {
    if !has("ssh") {
        return;
    }
    let host = Host::new().await;
    let command = powershell::command(powershell::PROBE).unwrap();
    let ran = run(host.ssh_with_key().arg("127.0.0.1").arg(&command)).await;
    let answer = powershell::answer(ran.stdout.as_bytes(), ran.stderr.as_bytes(), Some(0)).unwrap();
    assert_eq!(answer["build"], 20348);
    assert_eq!(answer["installationType"], "Server");
    assert_eq!(answer["services"]["docker"]["status"], "Running");
    assert_eq!(answer["admin"], true);
    assert!(
        answer["disks"][0]["freeMB"].is_u64(),
        "PowerShell's [int] has no fraction: {answer}"
    );

    let other = powershell::command("Remove-Item C:\\data -Recurse").unwrap();
    let ran = run(host.ssh_with_key().arg("127.0.0.1").arg(&other)).await;
    assert_eq!(
        ran.code,
        Some(1),
        "a script that nobody knows is declined, not answered"
    );
    host.stop().await;
}

async fn http_get(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), path: &str) -> String {
    let text = format!("GET {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_forwards_to_the_engine_and_nowhere_else() {
    if !has("ssh") {
        return;
    }
    let host = Host::new().await;
    let (good, bad) = (host.path("engine.sock"), host.path("other.sock"));
    let mut forward = host
        .ssh_with_key()
        .arg("-N")
        .arg("-L")
        .arg(format!("{}:127.0.0.1:2375", good.display()))
        .arg("-L")
        .arg(format!("{}:127.0.0.1:3389", bad.display()))
        .arg("127.0.0.1")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stream = until("the forward", async || {
        tokio::net::UnixStream::connect(&good).await.ok()
    })
    .await;
    let answer = http_get(&mut stream, "/_ping").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    for header in ["api-version: 1.41", "ostype: windows", "builder-version: 1"] {
        assert!(
            answer.contains(header),
            "clients go by `{header}`: {answer}"
        );
    }
    let mut refused = tokio::net::UnixStream::connect(&bad).await.unwrap();
    let mut nothing = Vec::new();
    let _ = refused.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty(), "nothing listens on 3389");
    forward.kill().await.unwrap();
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_answers_over_standard_streams() {
    if !has("ssh") {
        return;
    }
    let host = Host::new().await;
    let ask = b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
    for command in [
        "docker system dial-stdio",
        "C:\\ProgramData\\Berth\\docker.exe system dial-stdio",
    ] {
        let ran = run_with(host.ssh_with_key().args(["127.0.0.1", command]), ask).await;
        assert!(
            ran.stdout.starts_with("HTTP/1.1 200"),
            "{} {}",
            ran.stdout,
            ran.stderr
        );
        assert!(ran.stdout.ends_with("OK"), "{}", ran.stdout);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_engine_died_says_so_on_every_way() {
    if !has("ssh") {
        return;
    }
    let host = Host::with(&[Fault::EngineDies(0)]).await;
    let ran = run(host
        .ssh_with_key()
        .args(["127.0.0.1", "docker system dial-stdio"]))
    .await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("docker_engine: The system cannot find the file specified"),
        "{}",
        ran.stderr
    );
    let tunnel = run(host
        .ssh_with_key()
        .args(["-W", "127.0.0.1:2375", "127.0.0.1"]))
    .await;
    assert!(
        tunnel.stderr.contains("open failed: connect failed"),
        "{}",
        tunnel.stderr
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_cut_where_it_was_asked_for() {
    let host = Host::with(&[Fault::DropAt(60)]).await;
    let mut stream = TcpStream::connect(host.practice.ssh_address())
        .await
        .unwrap();
    stream.write_all(b"SSH-2.0-test\r\n").await.unwrap();
    let mut got = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut got))
        .await
        .unwrap();
    assert_eq!(got.len(), 60, "not a byte more than asked for");
    assert!(
        got.starts_with(b"SSH-2.0-OpenSSH_for_Windows_8.1"),
        "{}",
        String::from_utf8_lossy(&got)
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_survives_a_restart_and_a_folder_has_one_host() {
    let host = Host::new().await;
    let (key, password) = (host.practice.host_key(), host.practice.password());
    let twice = Practice::start(Settings {
        dir: host.path("host"),
        ..Settings::default()
    })
    .await;
    assert!(
        twice
            .err()
            .is_some_and(|e| e.message().contains("Another practice host")),
        "two would lose changes"
    );
    let address = host.practice.ssh_address();
    let host = host.reboot().await;
    assert_eq!(
        host.practice.ssh_address(),
        address,
        "clients have written its port down"
    );
    assert_eq!(
        host.practice.host_key(),
        key,
        "a changed host key would look like an attack"
    );
    assert_eq!(
        host.practice.password().expose_secret(),
        password.expose_secret()
    );
    assert!(host.practice.fingerprint().starts_with("SHA256:"));
    use std::os::unix::fs::PermissionsExt;
    for file in [
        "password",
        "client_ed25519_key",
        "ssh_host_ed25519_key",
        "machine.json",
    ] {
        let mode = std::fs::metadata(host.path("host").join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "`{file}` is nobody else's");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_newer_berth_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("machine.json");
    let newer = r#"{"version":99,"machine":"ready","something":"else"}"#;
    std::fs::write(&file, newer).unwrap();
    let settings = Settings {
        dir: dir.path().into(),
        ..Settings::default()
    };
    let refused = Practice::start(settings).await.err().unwrap();
    assert!(refused.message().contains("newer Berth"), "{refused}");
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        newer,
        "what it cannot read it must not touch"
    );
}
