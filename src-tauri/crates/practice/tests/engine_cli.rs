//! The engine's door, tried with Docker's own command, over TCP and over SSH.
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

use std::{process::Stdio, time::Duration};

use support::{Host, Way, has, run, run_with, until};
use tokio::io::{AsyncBufReadExt, BufReader};

const IMAGE: &str = "berth/sql:2022-express-ltsc2022";
const SET_SA: [&str; 7] = [
    "powershell",
    "-NoProfile",
    "-NonInteractive",
    "-ExecutionPolicy",
    "Bypass",
    "-File",
    "C:\\berth\\set-sa.ps1",
];

/// The whole suite, by each way to the engine.
macro_rules! by_each_way {
    ($($name:ident $way:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            if !has("docker") || ($way == Way::Ssh && !has("ssh")) {
                return;
            }
            reads_version_info_and_images(Host::over($way).await).await;
            runs_a_container_from_birth_to_death(Host::over($way).await).await;
            a_throwaway_removes_itself_with_its_data(Host::over($way).await).await;
        }
    )*};
}

by_each_way! {
    docker_works_over_tcp Way::Tcp;
    docker_works_over_ssh Way::Ssh;
    docker_works_over_mutual_tls Way::Tls;
}

async fn reads_version_info_and_images(host: Host) {
    let version = host
        .docker_ok(&[
            "version",
            "--format",
            "{{.Server.Os}}/{{.Server.APIVersion}}",
        ])
        .await;
    assert_eq!(version.trim(), "windows/1.41");
    assert!(
        host.docker_ok(&["version"])
            .await
            .contains("Berth practice host"),
        "it says what it is"
    );
    let info = host.docker_ok(&["info"]).await;
    assert!(info.contains("Default Isolation: process"), "{info}");
    assert!(info.contains("OS Build 20348"), "{info}");
    let images = host.docker_ok(&["images"]).await;
    assert!(images.contains("2022-express-ltsc2022"), "{images}");
    let label = host
        .docker_ok(&[
            "image",
            "inspect",
            IMAGE,
            "--format",
            "{{index .Config.Labels \"dev.berth.sql.major\"}}",
        ])
        .await;
    assert_eq!(label.trim(), "16");
    assert!(host.docker_ok(&["network", "ls"]).await.contains("nat"));
    let pull = run(host
        .docker()
        .args(["pull", "mcr.microsoft.com/mssql/server:2022-latest"]))
    .await;
    assert_eq!(pull.code, Some(1));
    assert!(
        pull.stderr
            .contains("no matching manifest for windows/amd64"),
        "{}",
        pull.stderr
    );
    host.docker_ok(&["system", "df"]).await;
    host.stop().await;
}

async fn runs_a_container_from_birth_to_death(host: Host) {
    let mut events = host
        .docker()
        .args([
            "events",
            "--filter",
            "type=container",
            "--format",
            "{{.Action}} {{.Actor.Attributes.name}}",
        ])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut happened = BufReader::new(events.stdout.take().unwrap()).lines();
    // The stream is open when its first event comes; until then make some.
    let opened = async {
        loop {
            let _ = host.docker_ok(&["create", "--name", "opener", IMAGE]).await;
            host.docker_ok(&["rm", "opener"]).await;
        }
    };
    tokio::select! {
        line = happened.next_line() => assert!(line.unwrap().unwrap().ends_with("opener")),
        () = opened => {}
    }
    let _ = run(host.docker().args(["rm", "-f", "opener"])).await;

    let volume = host
        .docker_ok(&["volume", "create", "--label", "a=b", "sql1"])
        .await;
    assert_eq!(volume.trim(), "sql1");
    let id = host
        .docker_ok(&[
            "run",
            "-d",
            "--name",
            "sql1",
            "--hostname",
            "sql1",
            "-e",
            "ACCEPT_EULA=Y",
            "--memory",
            "2g",
            "--label",
            "x=y",
            "--restart",
            "unless-stopped",
            "--mount",
            "type=volume,source=sql1,target=C:\\data",
            IMAGE,
        ])
        .await;
    assert_eq!(id.trim().len(), 64, "{id}");
    let ps = host.docker_ok(&["ps"]).await;
    assert!(ps.contains("sql1") && ps.contains("Up "), "{ps}");
    let address = host
        .docker_ok(&[
            "inspect",
            "sql1",
            "--format",
            "{{.NetworkSettings.Networks.nat.IPAddress}} {{.HostConfig.Memory}}",
        ])
        .await;
    assert!(
        address.starts_with("172.") && address.trim().ends_with(" 2147483648"),
        "{address}"
    );

    let mut follow = host
        .docker()
        .args(["logs", "-f", "sql1"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.ends_with("berth: ready") {
                return true;
            }
        }
        false
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(60), ready)
            .await
            .unwrap(),
        "the log must tell when it is up"
    );

    let mut exec = host.docker();
    exec.args(["exec", "-i", "sql1"]).args(SET_SA);
    let set = run_with(&mut exec, b"Str0ng-enough\n").await;
    assert_eq!(
        (set.code, set.stdout.trim()),
        (Some(0), "BERTH-JSON:{\"ok\":true}"),
        "{}",
        set.stderr
    );
    let mut exec = host.docker();
    exec.args(["exec", "-i", "sql1"]).args(SET_SA);
    let weak = run_with(&mut exec, b"weak\n").await;
    assert_eq!(weak.code, Some(1));
    assert!(
        weak.stdout.starts_with("BERTH-ERR:{\"m\":") && !weak.stdout.contains("weak"),
        "{}",
        weak.stdout
    );
    let unknown = run(host.docker().args(["exec", "sql1", "whoami"])).await;
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown
            .stderr
            .contains("the practice host does not run this: whoami"),
        "{}",
        unknown.stderr
    );

    let stats = host
        .docker_ok(&[
            "stats",
            "--no-stream",
            "--format",
            "{{.Name}} {{.CPUPerc}} {{.MemUsage}}",
        ])
        .await;
    assert!(
        stats.starts_with("sql1 ") && stats.contains("MiB"),
        "{stats}"
    );
    assert!(
        host.docker_ok(&["top", "sql1"])
            .await
            .contains("sqlservr.exe")
    );
    assert!(
        host.docker_ok(&["volume", "ls", "--filter", "label=a=b"])
            .await
            .contains("sql1")
    );

    let stop = host
        .docker_ok(&[
            "exec",
            "sql1",
            "cmd",
            "/S",
            "/C",
            "echo 1>C:\\berth\\stopping & net stop MSSQLSERVER /y",
        ])
        .await;
    assert!(stop.contains("was stopped successfully"), "{stop}");
    let state = host
        .docker_ok(&["inspect", "sql1", "--format", "{{.State.Status}}"])
        .await;
    assert_eq!(
        state.trim(),
        "running",
        "the container outlives its service"
    );
    host.docker_ok(&["stop", "-t", "20", "sql1"]).await;
    let follow_ended = tokio::time::timeout(Duration::from_secs(20), follow.wait()).await;
    assert!(
        follow_ended.unwrap().unwrap().success(),
        "following ends with the container"
    );
    let state = host
        .docker_ok(&[
            "inspect",
            "sql1",
            "--format",
            "{{.State.Status}} {{.State.ExitCode}}",
        ])
        .await;
    assert_eq!(state.trim(), "exited 1073807364");
    host.docker_ok(&["rename", "sql1", "sql2"]).await;
    host.docker_ok(&["start", "sql2"]).await;
    host.docker_ok(&["kill", "sql2"]).await;
    host.docker_ok(&["rm", "sql2"]).await;
    host.docker_ok(&["volume", "rm", "sql1"]).await;

    let mut seen = Vec::new();
    let all = async {
        while let Some(line) = happened.next_line().await.unwrap() {
            if line == "destroy sql2" {
                return;
            }
            seen.push(line);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .expect("the last event must come");
    for event in [
        "create sql1",
        "start sql1",
        "die sql1",
        "stop sql1",
        "rename sql2",
        "start sql2",
        "kill sql2",
        "die sql2",
    ] {
        assert!(
            seen.iter().any(|line| line == event),
            "`{event}` is missing in {seen:?}"
        );
    }
    events.kill().await.unwrap();
    host.stop().await;
}

async fn a_throwaway_removes_itself_with_its_data(host: Host) {
    host.docker_ok(&[
        "run",
        "-d",
        "--rm",
        "--name",
        "temp",
        "-e",
        "ACCEPT_EULA=Y",
        "-v",
        "C:\\data",
        IMAGE,
    ])
    .await;
    host.wait_for_log("temp", "berth: ready").await;
    assert_eq!(
        host.docker_ok(&["volume", "ls", "-q"])
            .await
            .lines()
            .count(),
        1
    );
    host.docker_ok(&["stop", "temp"]).await;
    until("it to be gone", async || {
        (host.docker_ok(&["ps", "-aq"]).await.is_empty()
            && host.docker_ok(&["volume", "ls", "-q"]).await.is_empty())
        .then_some(())
    })
    .await;
    host.stop().await;
}
