//! The engine as a program: the official image's rules of starting and stopping.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures,
    reason = "a test fails by panicking; its futures live alone"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

const PASSWORD: &str = "Passw0rd-of-sa";

fn program(dir: &Path, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_practice-sqlservr"));
    command
        .arg(dir)
        .env_clear()
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Ends its process by its own id when the test ends, however it ends.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(dir: &Path, password: &str, more: &[(&str, &str)]) -> Self {
        let port = free_port();
        let text = port.to_string();
        let mut env = vec![
            ("ACCEPT_EULA", "Y"),
            ("MSSQL_SA_PASSWORD", password),
            ("MSSQL_TCP_PORT", &text),
        ];
        env.extend(more);
        let mut child = program(dir, &env).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, port }
    }

    fn wait_for_line(&mut self, part: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "it ended before it said `{part}`"
            );
            if line.contains(part) {
                return line;
            }
        }
    }

    async fn login(&self, password: &str) -> Result<(), String> {
        self.open(password).await.map(|_| ())
    }

    async fn open(&self, password: &str) -> Result<Client<Compat<tokio::net::TcpStream>>, String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await {
                Ok(s) => break s,
                Err(e) if Instant::now() > deadline => return Err(e.to_string()),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let mut config = Config::new();
        config.authentication(AuthMethod::sql_server("sa", password));
        config.encryption(EncryptionLevel::Required);
        config.trust_cert();
        Client::connect(config, stream.compat_write())
            .await
            .map_err(|e| e.to_string())
    }

    fn terminate(&mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "SIGTERM must end it");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs one that is expected to end by itself.
fn refused(env: &[(&str, &str)]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = program(dir.path(), env).spawn().unwrap();
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn it_starts_as_the_official_image_does_or_says_why_not() {
    let (code, said) = refused(&[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("ACCEPT_EULA"), "{said}");
    let (code, said) = refused(&[("ACCEPT_EULA", "Y")]);
    assert_eq!(code, Some(1));
    assert!(said.contains("MSSQL_SA_PASSWORD"), "{said}");
    let (code, said) = refused(&[("ACCEPT_EULA", "Y"), ("MSSQL_SA_PASSWORD", "tooweak")]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("Unable to set system administrator password: Password validation failed"),
        "{said}"
    );
    assert!(
        !said.contains("tooweak"),
        "a refused password is not repeated"
    );
    for (fault, text) in [
        ("memory", "at least 2000 megabytes"),
        ("newer-data", "version 998"),
        ("eula", "End-User License"),
    ] {
        let (code, said) = refused(&[
            ("ACCEPT_EULA", "Y"),
            ("MSSQL_SA_PASSWORD", PASSWORD),
            ("PRACTICE_FAIL", fault),
        ]);
        assert_eq!(code, Some(1));
        assert!(said.contains(text), "{said}");
    }
}

#[tokio::test]
async fn the_password_of_the_environment_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Running::start(dir.path(), PASSWORD, &[("MSSQL_PID", "Express")]);
    let banner = first.wait_for_line("Berth practice SQL engine");
    assert!(banner.contains("Express Edition"), "{banner}");
    first.wait_for_line("SQL Server is now ready for client connections");
    first.login(PASSWORD).await.unwrap();
    assert!(first.terminate().success());
    // A container that starts again still has its first environment; the password may have been changed since.
    let mut second = Running::start(
        dir.path(),
        "Another-Passw0rd",
        &[("PRACTICE_START_DELAY_MS", "20")],
    );
    second.login(PASSWORD).await.unwrap();
    assert!(
        second
            .login("Another-Passw0rd")
            .await
            .unwrap_err()
            .contains("18456")
    );
    assert!(second.terminate().success());
}

#[tokio::test]
async fn what_was_committed_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Running::start(dir.path(), PASSWORD, &[]);
    let mut client = first.open(PASSWORD).await.unwrap();
    for sql in [
        "CREATE DATABASE d",
        "USE d; CREATE TABLE t (n int)",
        "INSERT t VALUES (1), (2)",
        "BEGIN TRAN; INSERT t VALUES (3)",
    ] {
        client
            .simple_query(sql)
            .await
            .unwrap()
            .into_results()
            .await
            .unwrap();
    }
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = Running::start(dir.path(), PASSWORD, &[]);
    let mut client = second.open(PASSWORD).await.unwrap();
    let row = client
        .simple_query("SELECT COUNT(*) FROM d.dbo.t")
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap();
    assert_eq!(
        row.unwrap().get::<i32, _>(0),
        Some(2),
        "all that was committed, and nothing else"
    );
}

#[test]
fn two_servers_never_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Running::start(dir.path(), PASSWORD, &[]);
    first.wait_for_line("SQL Server is now ready for client connections");
    let mut second = Running::start(dir.path(), PASSWORD, &[]);
    second.wait_for_line("Another SQL server runs on the data");
    assert_eq!(second.child.wait().unwrap().code(), Some(1));
}
