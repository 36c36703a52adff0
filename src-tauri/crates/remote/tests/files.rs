//! Files by SFTP, against OpenSSH's own server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use std::{fs, path::Path, time::Duration};

use berth_core::Code;
use berth_remote::{Files, Lane, Progress};
use support::Sshd;
use tokio::sync::watch;

const SIZE: usize = 40 << 20;

fn noise(path: &Path, bytes: usize) {
    let mut all = Vec::with_capacity(bytes);
    let mut x = 0x9E37_79B9_7F4A_7C15_u64;
    while all.len() < bytes {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        all.extend_from_slice(&x.to_le_bytes());
    }
    all.truncate(bytes);
    fs::write(path, all).unwrap();
}

/// Waits until a transfer is under way and before its end.
async fn half_way(mut progress: watch::Receiver<Progress>) {
    progress
        .wait_for(|p| p.total > 0 && p.done > 20 << 20 && p.done < p.total)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_file_goes_there_and_back_and_the_host_has_the_same_hash() {
    let Some(sshd) = Sshd::start("Subsystem sftp internal-sftp\n") else {
        return;
    };
    let session = sshd.session(Lane::Bulk).await;
    let files = Files::open(&session).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for bytes in [0, 1, 256 << 10, SIZE] {
        noise(&at("here"), bytes);
        let there = at("it's there").display().to_string();
        let (tell, told) = watch::channel(Progress::default());
        let sent = files
            .upload(&at("here"), &there, Some(&tell))
            .await
            .unwrap();
        assert_eq!((sent.bytes, sent.resumed), (bytes as u64, 0));
        assert_eq!(told.borrow().done, bytes as u64, "progress ends at the end");
        assert_eq!(fs::read(&there).unwrap(), fs::read(at("here")).unwrap());
        assert_eq!(files.hash(&there).await.unwrap(), sent.sha256);
        let back = files.download(&there, &at("back"), None).await.unwrap();
        assert_eq!(back, sent);
        assert_eq!(fs::read(at("back")).unwrap(), fs::read(at("here")).unwrap());
    }
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["back", "here", "it's there"],
        "no part is left behind"
    );
}

#[tokio::test]
async fn a_transfer_that_broke_off_goes_on_and_ends_with_the_same_bytes() {
    let Some(sshd) = Sshd::start("Subsystem sftp internal-sftp\n") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    noise(&at("here"), SIZE);
    let there = at("there").display().to_string();
    for upload in [true, false] {
        let (tell, told) = watch::channel(Progress::default());
        let session = sshd.session(Lane::Bulk).await;
        let files = Files::open(&session).await.unwrap();
        let (here, back) = (at("here"), at("back"));
        let transfer = async {
            if upload {
                files.upload(&here, &there, Some(&tell)).await
            } else {
                files.download(&there, &back, Some(&tell)).await
            }
        };
        let cut = async {
            half_way(told).await;
            session.close().await;
            std::future::pending::<()>().await
        };
        let broken = tokio::select! {
            ended = tokio::time::timeout(Duration::from_secs(60), transfer) => ended.unwrap(),
            () = cut => unreachable!(),
        };
        assert_eq!(
            broken.unwrap_err().code(),
            Code::Unreachable,
            "the connection is at fault"
        );

        let session = sshd.session(Lane::Bulk).await;
        let files = Files::open(&session).await.unwrap();
        let done = if upload {
            files.upload(&here, &there, None).await.unwrap()
        } else {
            files.download(&there, &back, None).await.unwrap()
        };
        assert!(done.resumed > 0, "what was there was not sent again");
        assert_eq!(done.sha256, files.hash(&there).await.unwrap());
        assert_eq!(
            fs::read(at(if upload { "there" } else { "back" })).unwrap(),
            fs::read(&here).unwrap()
        );
    }
    // Another file of the same name does not go on from the part of the old one.
    let session = sshd.session(Lane::Bulk).await;
    let files = Files::open(&session).await.unwrap();
    noise(&at("here"), 1000);
    let other = files.upload(&at("here"), &there, None).await.unwrap();
    assert_eq!((other.bytes, other.resumed), (1000, 0));
    assert_eq!(fs::read(&there).unwrap().len(), 1000);
}

#[tokio::test]
async fn what_cannot_be_transferred_is_told_in_words() {
    let Some(sshd) = Sshd::start("Subsystem sftp internal-sftp\n") else {
        return;
    };
    let session = sshd.session(Lane::Bulk).await;
    let files = Files::open(&session).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("here");
    fs::write(&here, "x").unwrap();
    let e = files
        .upload(&here, "/no/such/folder/x", None)
        .await
        .unwrap_err();
    assert_eq!(e.code(), Code::NotFound, "{e}");
    let e = files
        .upload(&folder.path().join("gone"), "/x", None)
        .await
        .unwrap_err();
    assert_eq!(e.code(), Code::NotFound, "{e}");
    let e = files
        .download("/no/such/file", &here, None)
        .await
        .unwrap_err();
    assert_eq!(e.code(), Code::NotFound, "{e}");
    assert_eq!(
        fs::read_to_string(&here).unwrap(),
        "x",
        "what was there stays where nothing came"
    );

    let Some(without) = Sshd::start("") else {
        return;
    };
    let session = without.session(Lane::Bulk).await;
    let e = Files::open(&session).await.unwrap_err();
    assert_eq!(e.code(), Code::Refused, "{e}");
}
