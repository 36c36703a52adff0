//! Files through the SSH door, tried with OpenSSH's own `sftp` and `scp`, and what a connection
//! lives through: new keys in the middle, a jump through the machine to itself.
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

use std::{path::Path, time::Duration};

use berth_practice::Fault;
use support::{Host, Ran, has, run, run_with};
use tokio::process::Command;

/// What `ssh`, `scp` and `sftp` share: the host's key known, its own key to sign in.
fn options(host: &Host) -> Vec<String> {
    // `ssh()` writes the file of known hosts.
    let _ = host.ssh();
    let mut options = vec!["-F".to_owned(), "none".to_owned()];
    for option in [
        "StrictHostKeyChecking=yes".to_owned(),
        "GlobalKnownHostsFile=none".to_owned(),
        format!("UserKnownHostsFile={}", host.path("known_hosts").display()),
        "IdentitiesOnly=yes".to_owned(),
        "BatchMode=yes".to_owned(),
        format!("IdentityFile={}", host.practice.client_key_path().display()),
        format!("Port={}", host.practice.ssh_address().port()),
        format!("User={}", host.practice.user()),
    ] {
        options.extend(["-o".to_owned(), option]);
    }
    options
}

fn program(name: &str, host: &Host) -> Command {
    let mut command = Command::new(name);
    command.args(options(host)).env_remove("SSH_AUTH_SOCK");
    command
}

/// One batch of `sftp`, which ends at the first refusal.
async fn sftp(host: &Host, batch: &str) -> Ran {
    run_with(
        program("sftp", host).args(["-b", "-", "127.0.0.1"]),
        batch.as_bytes(),
    )
    .await
}

fn write(path: &Path, bytes: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..bytes)
        .map(|n| u8::try_from((n * 31 + n / 251) % 256).unwrap())
        .collect();
    std::fs::write(path, &content).unwrap();
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_works_on_paths_of_windows() {
    if !has("sftp") {
        return;
    }
    let host = Host::new().await;
    let content = write(&host.path("up"), 3_000_000);
    let batch = format!(
        "pwd\n\
         put {up} /c:/ProgramData/berth/Media.bin\n\
         rename /c:/programdata/berth/media.BIN /C:/ProgramData/Berth/Media2.bin\n\
         mkdir /C:/Users/Administrator/New\n\
         cd New\n\
         pwd\n\
         put {up}\n\
         ls -l\n\
         ls -l /C:/ProgramData/Berth\n\
         get up {down}\n\
         rm up\n\
         cd ..\n\
         rmdir New\n\
         df -h /C:/\n\
         ls -1 /\n",
        up = host.path("up").display(),
        down = host.path("down").display(),
    );
    let said = sftp(&host, &batch).await;
    let text = said.ok();
    for line in [
        "Remote working directory: /C:/Users/Administrator\n",
        "Remote working directory: /C:/Users/Administrator/New\n",
        "Media2.bin",
        "-rw-******",
    ] {
        assert!(text.contains(line), "`{line}` is missing in: {text}");
    }
    assert!(
        text.trim_end().ends_with("C:"),
        "above the drives are the drives: {text}"
    );
    assert!(
        std::fs::read(host.path("down")).unwrap() == content,
        "what comes back must be what was sent"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_refuses_what_windows_refuses() {
    if !has("sftp") {
        return;
    }
    let host = Host::new().await;
    write(&host.path("up"), 10);
    let up = host.path("up").display().to_string();
    sftp(
        &host,
        &format!("put {up} /C:/a\nput {up} /C:/b\nmkdir /C:/d\nput {up} /C:/d/x\n"),
    )
    .await
    .ok();
    for (batch, text) in [
        ("ls /D:/\n".to_owned(), "not found"),
        ("get /C:/nothing x\n".to_owned(), "not found"),
        (format!("put {up} /C:/a?b\n"), "No such file"),
        (format!("put {up} /C:/nul\n"), "No such file"),
        (format!("put {up} /etc/passwd\n"), "No such file"),
        (format!("put {up} /C:/no/such/folder\n"), "No such file"),
        ("rmdir /C:/d\n".to_owned(), "Failure"),
        ("rmdir /C:/\n".to_owned(), "Permission denied"),
        ("rm /C:/d\n".to_owned(), "Permission denied"),
        ("mkdir /C:/D\n".to_owned(), "Failure"),
        ("rename -l /C:/a /C:/b\n".to_owned(), "Failure"),
        (
            "symlink /C:/a /C:/link\n".to_owned(),
            "Operation unsupported",
        ),
        ("ln -s /C:/a /C:/link\n".to_owned(), "Operation unsupported"),
        ("ln /C:/a /C:/link\n".to_owned(), "not support"),
    ] {
        let said = sftp(&host, &batch).await;
        let all = said.stdout + &said.stderr;
        assert_eq!(said.code, Some(1), "`{batch}` must be refused: {all}");
        assert!(
            all.contains(text),
            "`{batch}` is refused with other words: {all}"
        );
    }
    // Marked read-only, it is neither written nor deleted; without the mark it is both.
    sftp(&host, "chmod 400 /C:/a\n").await.ok();
    let refused = sftp(&host, &format!("put {up} /C:/a\n")).await;
    assert!(
        refused.stderr.contains("Permission denied"),
        "{}",
        refused.stderr
    );
    assert_eq!(sftp(&host, "rm /C:/A\n").await.code, Some(1));
    sftp(&host, "chmod 600 /C:/a\nrm /C:/A\n").await.ok();
    // OpenSSH's own way replaces what is there.
    sftp(&host, &format!("put {up} /C:/a\nrename /C:/a /C:/b\n"))
        .await
        .ok();
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scp_carries_files_and_times_and_a_full_disk_takes_nothing() {
    if !has("scp") {
        return;
    }
    let host = Host::new().await;
    let folder = host.path("tree");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    let content = write(&folder.join("sub/ä b.bak"), 500_000);
    write(&folder.join("empty"), 0);
    let old = std::time::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    std::fs::File::open(folder.join("sub/ä b.bak"))
        .unwrap()
        .set_times(
            std::fs::FileTimes::new()
                .set_modified(old)
                .set_accessed(old),
        )
        .unwrap();
    run(program("scp", &host)
        .args(["-r", "-p"])
        .arg(&folder)
        .arg("127.0.0.1:/C:/ProgramData/Berth/"))
    .await
    .ok();
    let back = host.path("back");
    run(program("scp", &host)
        .args(["-r", "-p", "127.0.0.1:C:/ProgramData/Berth/TREE"])
        .arg(&back))
    .await
    .ok();
    assert!(std::fs::read(back.join("sub/ä b.bak")).unwrap() == content);
    assert_eq!(
        std::fs::metadata(back.join("sub/ä b.bak"))
            .unwrap()
            .modified()
            .unwrap(),
        old,
        "times travel both ways"
    );
    assert_eq!(std::fs::read(back.join("empty")).unwrap(), b"");

    let host = host.reboot_with(&[Fault::DiskFull(0)]).await;
    let refused = run(program("scp", &host)
        .arg(folder.join("empty"))
        .arg("127.0.0.1:/C:/one-more"))
    .await;
    assert!(
        refused.code != Some(0) && refused.stderr.contains("Failure"),
        "{}",
        refused.stderr
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_where_the_engine_of_windows_keeps_it() {
    if !has("sftp") {
        return;
    }
    let host = Host::new().await;
    let (status, why) = host
        .request(
            "POST",
            "/volumes/create",
            Some(serde_json::json!({ "Name": "sql1" })),
        )
        .await;
    assert_eq!(status, 201, "{why}");
    write(&host.path("up"), 10);
    sftp(
        &host,
        &format!(
            "put {} /C:/ProgramData/docker/volumes/sql1/_data/x.bak\n",
            host.path("up").display()
        ),
    )
    .await
    .ok();
    let said = sftp(&host, "ls -1 /C:/ProgramData/docker/volumes/SQL1/_data\n")
        .await
        .ok();
    assert!(said.contains("x.bak"), "{said}");
    let said = sftp(&host, "ls -1 /C:/ProgramData/docker/volumes\n")
        .await
        .ok();
    assert!(
        said.contains("sql1"),
        "a listing shows what a path finds: {said}"
    );
    assert!(host.path("host/volumes/sql1/x.bak").is_file());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_keys_are_read_at_each_sign_in() {
    if !has("ssh-keygen") || !has("sftp") {
        return;
    }
    let host = Host::new().await;
    let other = host.path("other");
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ecdsa", "-N", "", "-C", "second", "-f"])
        .arg(&other))
    .await
    .ok();
    let sign_in = async || {
        let mut ssh = host.ssh();
        ssh.args(["-o", "BatchMode=yes", "-i"]).arg(&other);
        run(ssh.args(["127.0.0.1", "echo in"])).await
    };
    assert_eq!(sign_in().await.code, Some(255), "nobody let it in yet");
    let file = "/C:/ProgramData/ssh/administrators_authorized_keys";
    let both = host.path("both");
    sftp(&host, &format!("get {file} {}\n", both.display()))
        .await
        .ok();
    let public = std::fs::read_to_string(other.with_extension("pub")).unwrap();
    let mut keys = std::fs::read_to_string(&both).unwrap();
    // In an administrator's own folder a key opens nothing.
    std::fs::write(host.path("own"), &public).unwrap();
    sftp(
        &host,
        &format!(
            "mkdir .ssh\nput {} .ssh/authorized_keys\n",
            host.path("own").display()
        ),
    )
    .await
    .ok();
    assert_eq!(
        sign_in().await.code,
        Some(255),
        "sshd looks elsewhere for administrators"
    );
    keys.push_str(&public);
    std::fs::write(&both, &keys).unwrap();
    sftp(&host, &format!("put {} {file}\n", both.display()))
        .await
        .ok();
    assert_eq!(sign_in().await.ok(), "in\r\n");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_anew_in_the_middle_of_a_transfer() {
    if !has("sftp") {
        return;
    }
    let host = Host::new().await;
    let content = write(&host.path("up"), 4_000_000);
    let mut command = program("sftp", &host);
    command.args(["-v", "-o", "RekeyLimit=256K", "-b", "-", "127.0.0.1"]);
    let batch = format!(
        "put {} /C:/up\nget /C:/up {}\n",
        host.path("up").display(),
        host.path("down").display()
    );
    let said = run_with(&mut command, batch.as_bytes()).await;
    let rekeyed = said.stderr.matches("SSH2_MSG_NEWKEYS received").count();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(rekeyed > 5, "keys were exchanged {rekeyed} times only");
    assert!(std::fs::read(host.path("down")).unwrap() == content);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_jumps_through_the_machine_to_its_own_sshd() {
    if !has("ssh") {
        return;
    }
    let host = Host::new().await;
    // The same options for the jump, which `-J` does not hand on.
    let _ = host.ssh();
    let config = host.path("config");
    let known = host.path("known_hosts");
    let key = host.practice.host_key();
    let mut lines = std::fs::read_to_string(&known).unwrap();
    lines.push_str(&format!("inner {key}\n"));
    std::fs::write(&known, lines).unwrap();
    std::fs::write(
        &config,
        format!(
            "Host jump\n  HostName 127.0.0.1\n  Port {}\nHost inner\n  HostName 127.0.0.1\n  Port 22\n  HostKeyAlias inner\nHost *\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  BatchMode yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n",
            host.practice.ssh_address().port(),
            host.practice.user(),
            host.practice.client_key_path().display(),
            known.display(),
        ),
    )
    .unwrap();
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(&config).env_remove("SSH_AUTH_SOCK");
    let said = run(ssh.args(["-J", "jump", "inner", "echo through"])).await;
    assert_eq!(said.ok(), "through\r\n");
    host.stop().await;
}
