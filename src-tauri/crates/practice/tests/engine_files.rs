//! Files, builds and foreground runs, tried with Docker's own command.
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

use berth_practice::{Fault, machine::fault};
use support::{Host, Ran, has, run, until};
use tokio::io::{AsyncBufReadExt, BufReader};

const IMAGE: &str = "berth/sql:2022-express-ltsc2022";

async fn docker(host: &Host, args: &[&str]) -> Ran {
    run(host.docker().env("DOCKER_BUILDKIT", "0").args(args)).await
}

/// A folder with a Dockerfile.
fn context(host: &Host, file: &str) -> String {
    let folder = host.path("context");
    std::fs::create_dir_all(folder.join("scripts/sub")).unwrap();
    std::fs::write(folder.join("scripts/a.sql"), "SELECT 1").unwrap();
    std::fs::write(folder.join("scripts/sub/b.sql"), "SELECT 2").unwrap();
    std::fs::write(folder.join("Dockerfile"), file).unwrap();
    folder.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_cp_carries_files_both_ways() {
    if !has("docker") {
        return;
    }
    let host = Host::new().await;
    host.up("sql1").await;
    host.wait_for_log("sql1", "berth: ready").await;
    let folder = host.path("tree");
    std::fs::create_dir_all(folder.join("Sub")).unwrap();
    std::fs::write(folder.join("Sub/x.bak"), vec![7; 300_000]).unwrap();
    let tree = folder.display().to_string();
    docker(&host, &["cp", &tree, "sql1:C:/data/kept"])
        .await
        .ok();
    let back = host.path("back").display().to_string();
    docker(&host, &["cp", "sql1:c:/DATA/Kept", &back])
        .await
        .ok();
    let read = std::fs::read(host.path("back/Sub/x.bak")).unwrap();
    assert!(
        read == vec![7; 300_000],
        "what comes back must be what was sent"
    );
    let one = host.path("one").display().to_string();
    docker(&host, &["cp", "sql1:C:/data/kept/sub/X.BAK", &one])
        .await
        .ok();
    assert_eq!(std::fs::metadata(&one).unwrap().len(), 300_000);
    // It is on the volume, and so outlives the container.
    assert!(host.path("host/volumes/sql1/kept/Sub/x.bak").is_file());
    let missing = docker(&host, &["cp", "sql1:C:/data/none", &back]).await;
    assert!(
        missing.stderr.contains("Could not find the file"),
        "{}",
        missing.stderr
    );
    let image = docker(&host, &["cp", "sql1:C:/berth/start.ps1", &back]).await;
    assert!(
        image
            .stderr
            .contains("not implemented by the practice host"),
        "the image's own files are nobody's to make up: {}",
        image.stderr
    );
    host.practice
        .model()
        .faults()
        .set(fault::read("disk-full=1000").unwrap());
    let full = docker(&host, &["cp", &tree, "sql1:C:/data/more"]).await;
    assert!(full.stderr.contains("not enough space"), "{}", full.stderr);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_builds_what_can_be_said_honestly() {
    if !has("docker") {
        return;
    }
    let host = Host::new().await;
    let folder = context(
        &host,
        "# escape=`\nARG TAG=none\nFROM berth/sql:${TAG}\nARG WHO=nobody\nLABEL who=\"$WHO\" `\n  a=b\nENV PLACE C:\\scripts\nCOPY scripts C:/scripts/\nEXPOSE 1434\nHEALTHCHECK --interval=30s CMD C:\\berth\\health.cmd\n",
    );
    let build = [
        "build",
        "-t",
        "mine:1",
        "-t",
        "mine:latest",
        "--build-arg",
        "TAG=2022-express-ltsc2022",
        "--build-arg",
        "WHO=me too",
        "--build-arg",
        "NOBODY=x",
        "--label",
        "made=here",
        &folder,
    ];
    let said = docker(&host, &build).await.ok();
    for line in [
        "Step 1/9 : ARG TAG=none",
        "Step 6/9 : COPY scripts C:/scripts/",
        "[Warning] One or more build-args [NOBODY] were not consumed",
        "Successfully built ",
        "Successfully tagged mine:latest",
    ] {
        assert!(said.contains(line), "`{line}` is missing in: {said}");
    }
    let shown = docker(
        &host,
        &[
            "inspect",
            "mine:1",
            "--format",
            "{{.Config.Labels.who}} {{.Config.Labels.a}} {{.Config.Labels.made}} {{.Config.Env}}",
        ],
    )
    .await
    .ok();
    assert_eq!(shown.trim(), "me too b here [PLACE=C:\\scripts]");
    let again = docker(&host, &build).await.ok();
    assert!(
        again.contains("Using cache") || again.contains("Successfully built"),
        "{again}"
    );
    let id = |text: &str| text.rsplit("Successfully built ").next().unwrap()[..12].to_owned();
    assert_eq!(
        id(&said),
        id(&again),
        "the same steps on the same base are the same image"
    );
    // It runs, and has its files.
    docker(
        &host,
        &["run", "-d", "--name", "own", "-e", "ACCEPT_EULA=Y", "mine"],
    )
    .await
    .ok();
    host.wait_for_log("own", "berth: ready").await;
    let back = host.path("b.sql").display().to_string();
    docker(&host, &["cp", "own:C:/scripts/sub/b.sql", &back])
        .await
        .ok();
    assert_eq!(std::fs::read_to_string(&back).unwrap(), "SELECT 2");

    for (file, why) in [
        (
            format!("FROM {IMAGE}\nRUN dir C:\\"),
            "the practice host does not run this: RUN dir",
        ),
        (
            format!("FROM {IMAGE}\nFLY away"),
            "unknown instruction: FLY",
        ),
        (
            format!("FROM {IMAGE}\nCOPY none C:/"),
            "file not found in build context",
        ),
        (
            format!("FROM {IMAGE}\nCOPY ../../x C:/"),
            "file not found in build context",
        ),
        (
            format!("FROM {IMAGE}\nSTOPSIGNAL 9"),
            "does not support the command 'STOPSIGNAL'",
        ),
        (
            "FROM scratch\nLABEL a=b".to_owned(),
            "Windows does not support FROM scratch",
        ),
        (
            "FROM nobody/nothing\nLABEL a=b".to_owned(),
            "pull access denied",
        ),
        (
            "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nLABEL a=b".to_owned(),
            "not implemented by the practice host",
        ),
    ] {
        let folder = context(&host, &file);
        let refused = docker(&host, &["build", "-t", "bad", &folder]).await;
        assert_ne!(refused.code, Some(0), "{file}: {}", refused.stdout);
        assert!(
            refused.stderr.contains(why),
            "{file}: {} {}",
            refused.stdout,
            refused.stderr
        );
    }
    let images = docker(&host, &["images", "-q", "bad"]).await.ok();
    assert_eq!(images, "", "what failed leaves no image");
    // Another command makes another program of it, which nobody here can play.
    let folder = context(&host, &format!("FROM {IMAGE}\nENTRYPOINT [\"notepad\"]"));
    docker(&host, &["build", "-t", "other", &folder]).await.ok();
    docker(
        &host,
        &[
            "run",
            "-d",
            "--name",
            "other",
            "-e",
            "ACCEPT_EULA=Y",
            "other",
        ],
    )
    .await
    .ok();
    host.wait_for_log("other", "runs only images of Berth's recipes")
        .await;
    let host = host.reboot().await;
    let shown = docker(&host, &["images", "-q", "mine:1"]).await.ok();
    assert!(!shown.is_empty(), "an image outlives a reboot");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_run_in_the_foreground_shows_the_log_and_ends_with_the_container() {
    if !has("docker") {
        return;
    }
    let host = Host::with(&[] as &[Fault]).await;
    let mut child = host
        .docker()
        .args([
            "run",
            "--rm",
            "--name",
            "front",
            "-e",
            "ACCEPT_EULA=Y",
            IMAGE,
        ])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("it must not end before it is ready");
        if line.ends_with("berth: ready") {
            break;
        }
    }
    docker(&host, &["stop", "front"]).await.ok();
    let ended = child.wait().await.unwrap();
    // 1073807364, as far as an exit status carries it.
    assert_eq!(ended.code(), Some(1_073_807_364 & 0xff));
    until("it to be removed", async || {
        docker(&host, &["ps", "-aq"])
            .await
            .ok()
            .is_empty()
            .then_some(())
    })
    .await;
    let refused = docker(&host, &["run", "--rm", IMAGE]).await;
    assert_eq!(
        refused.code,
        Some(64),
        "without the licence: {}",
        refused.stdout
    );
    let df = docker(&host, &["system", "df"]).await.ok();
    assert!(
        df.contains("Images") && df.contains("Local Volumes"),
        "{df}"
    );
    host.stop().await;
}
