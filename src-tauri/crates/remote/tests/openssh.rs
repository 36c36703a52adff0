//! Against a real OpenSSH server: sign-in, host keys, commands, tunnels.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own functions may fail loudly"
)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use berth_core::{Code, Secret};
use berth_remote::{ExecLimits, HostKeys, Lane, Session, SignIn};
use support::{Sshd, assert_code, keygen, skipped};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener},
    time::{Instant, timeout},
};

fn limits(seconds: u64) -> ExecLimits {
    ExecLimits {
        timeout: Duration::from_secs(seconds),
        ..ExecLimits::default()
    }
}

#[tokio::test]
async fn a_command_tells_everything_it_said() {
    let Some(sshd) = Sshd::start("") else { return };
    let session = sshd.session(Lane::Control).await;
    let output = session
        .exec("echo out; echo err >&2; exit 7", None, limits(10))
        .await
        .unwrap();
    assert_eq!(
        (
            output.stdout.as_slice(),
            output.stderr.as_slice(),
            output.status
        ),
        (&b"out\n"[..], &b"err\n"[..], Some(7))
    );

    let big = vec![0xa5; 3 << 20];
    let output = session.exec("cat", Some(&big), limits(20)).await.unwrap();
    assert!(
        output.stdout == big,
        "stdin and stdout are binary-safe and larger than a window"
    );

    let output = session
        .exec("kill -TERM $$", None, limits(10))
        .await
        .unwrap();
    assert_eq!(
        (output.status, output.signal.as_deref()),
        (None, Some("TERM")),
        "a killed command did not succeed"
    );

    assert!(
        session.sign_in_way().starts_with("key /"),
        "{}",
        session.sign_in_way()
    );
    assert!(
        session.server_version().starts_with("SSH-2.0-OpenSSH"),
        "{}",
        session.server_version()
    );
    let shown = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(sshd.at("host_ed25519.pub"))
        .output()
        .unwrap();
    assert!(
        String::from_utf8(shown.stdout)
            .unwrap()
            .contains(session.host_key_fingerprint())
    );
}

#[tokio::test]
async fn a_command_that_reads_nothing_does_not_hang_on_its_input() {
    let Some(sshd) = Sshd::start("") else { return };
    let session = sshd.session(Lane::Control).await;
    let output = session
        .exec("exit 3", Some(&vec![0; 8 << 20]), limits(20))
        .await
        .unwrap();
    assert_eq!(output.status, Some(3));
}

#[tokio::test]
async fn limits_are_kept_and_the_command_ends() {
    let Some(sshd) = Sshd::start("") else { return };
    let session = sshd.session(Lane::Control).await;
    let start = Instant::now();
    let pid = sshd.at("command.pid");
    // OpenSSH passes no signal on to what root runs, but closes its output.
    let command = format!(
        "echo $$ > {}; while sleep 0.1; do echo on; done",
        pid.display()
    );
    let e = session.exec(&command, None, limits(3)).await.unwrap_err();
    assert_code(&e, Code::TimedOut);
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "the limit is what the caller waits for"
    );
    let process = format!("/proc/{}/cmdline", fs::read_to_string(&pid).unwrap().trim());
    // A process that ended and that nobody collected has an empty one.
    support::eventually("a command over its time must not go on", || {
        fs::read(&process).is_ok_and(|c| c.is_empty()) || fs::metadata(&process).is_err()
    })
    .await;

    let e = session
        .exec(
            "yes",
            None,
            ExecLimits {
                max_output: 100_000,
                ..limits(10)
            },
        )
        .await
        .unwrap_err();
    assert!(e.message().contains("more than 100000 bytes"), "{e}");
    assert_eq!(
        session
            .exec("echo fine", None, limits(10))
            .await
            .unwrap()
            .stdout,
        b"fine\n",
        "the connection lives on"
    );
}

#[tokio::test]
async fn many_commands_queue_for_the_servers_ten() {
    let Some(sshd) = Sshd::start("MaxSessions 10") else {
        return;
    };
    let session = sshd.session(Lane::Control).await;
    let all: Vec<_> = (0..30)
        .map(|n| {
            let session = session.clone();
            tokio::spawn(async move {
                session
                    .exec(&format!("sleep 0.1; echo {n}"), None, limits(30))
                    .await
            })
        })
        .collect();
    for (n, one) in all.into_iter().enumerate() {
        assert_eq!(
            one.await.unwrap().unwrap().stdout,
            format!("{n}\n").as_bytes(),
            "the 11th would be refused by the server"
        );
    }
}

#[tokio::test]
async fn a_key_with_a_passphrase() {
    let Some(sshd) = Sshd::start("") else { return };
    let file = sshd.at("locked");
    keygen(&file, "ed25519", "a passphrase");
    fs::copy(sshd.at("locked.pub"), sshd.at("authorized_keys")).unwrap();
    let mut sign_in = SignIn {
        identities: vec![file],
        ..SignIn::default()
    };

    let e = sshd.refusal(&sign_in, &sshd.known()).await;
    assert_code(&e, Code::PassphraseNeeded);
    sign_in.passphrase = Some(Secret::from("another one"));
    let e = sshd.refusal(&sign_in, &sshd.known()).await;
    assert_code(&e, Code::PassphraseNeeded);
    assert!(e.message().contains("does not open"), "{e}");
    assert!(
        !format!("{e:?}").contains("another one"),
        "no secret in an error"
    );
    sign_in.passphrase = Some(Secret::from("a passphrase"));
    Session::connect(&sshd.address(), &sign_in, &sshd.known(), Lane::Control)
        .await
        .unwrap();
}

#[tokio::test]
async fn rsa_and_ecdsa_keys_work() {
    let Some(sshd) = Sshd::start("") else { return };
    for kind in ["rsa", "ecdsa"] {
        let file = sshd.at(kind);
        keygen(&file, kind, "");
        fs::copy(sshd.at(&format!("{kind}.pub")), sshd.at("authorized_keys")).unwrap();
        let sign_in = SignIn {
            identities: vec![file],
            ..SignIn::default()
        };
        Session::connect(&sshd.address(), &sign_in, &sshd.known(), Lane::Control)
            .await
            .unwrap_or_else(|e| panic!("{kind}: {e}"));
    }
}

#[tokio::test]
async fn a_refused_key_tells_what_was_tried_and_what_would_do() {
    let Some(sshd) = Sshd::start("") else { return };
    keygen(&sshd.at("stranger"), "ed25519", "");
    let sign_in = SignIn {
        identities: vec![sshd.at("stranger")],
        password: Some(Secret::from("s3cret")),
        ..SignIn::default()
    };
    let e = sshd.refusal(&sign_in, &sshd.known()).await;
    assert_code(&e, Code::SignInRefused);
    let text = e.to_string();
    assert!(
        text.contains("stranger") && text.contains("publickey"),
        "{text}"
    );
    assert!(
        e.what_to_do()
            .unwrap()
            .contains("administrators_authorized_keys"),
        "the first thing to look at on Windows"
    );
    assert!(!format!("{e:?}").contains("s3cret"));
    assert!(
        !text.contains("tried: password"),
        "a way that the server does not take is not tried"
    );
}

#[tokio::test]
async fn key_files_that_cannot_be_used_are_named() {
    let Some(sshd) = Sshd::start("") else { return };
    let of = |name: &str| SignIn {
        identities: vec![sshd.at(name)],
        ..SignIn::default()
    };
    let e = sshd.refusal(&of("missing"), &sshd.known()).await;
    assert!(
        e.message().contains("no key file") && e.message().contains("missing"),
        "{e}"
    );
    fs::write(sshd.at("noise"), "this is no key\n").unwrap();
    let e = sshd.refusal(&of("noise"), &sshd.known()).await;
    assert!(e.message().contains("not a private key"), "{e}");
    let e = sshd.refusal(&of("user.pub"), &sshd.known()).await;
    assert!(
        e.message().contains("public half")
            && e.what_to_do().is_some_and(|hint| hint.ends_with("/user`")),
        "a common slip, and the right file lies beside it: {e:?}"
    );
    // One bad file does not hide a good one.
    let both = SignIn {
        identities: vec![sshd.at("missing"), sshd.at("user")],
        ..SignIn::default()
    };
    Session::connect(&sshd.address(), &both, &sshd.known(), Lane::Control)
        .await
        .unwrap();
}

#[tokio::test]
async fn keys_of_an_agent() {
    let Some(sshd) = Sshd::start("") else { return };
    let socket = sshd.at("agent");
    let Ok(mut agent) = Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
    else {
        return skipped("no ssh-agent on this machine");
    };
    support::eventually("the agent listens", || socket.exists()).await;
    let add = |file: &str| {
        let status = Command::new("ssh-add")
            .arg("-q")
            .arg(sshd.at(file))
            .env("SSH_AUTH_SOCK", &socket)
            .status()
            .unwrap();
        assert!(status.success());
    };
    // More strangers than a server takes failures; the right one is named by its public half.
    for n in 0..6 {
        keygen(&sshd.at(&format!("stranger{n}")), "ed25519", "");
        add(&format!("stranger{n}"));
    }
    add("user");
    fs::rename(sshd.at("user"), sshd.at("hidden")).unwrap();
    let sign_in = SignIn {
        identities: vec![sshd.at("user")],
        agent: Some(socket.clone()),
        ..SignIn::default()
    };
    let session = Session::connect(&sshd.address(), &sign_in, &sshd.known(), Lane::Control).await;
    let without = SignIn {
        agent: Some(sshd.at("nobody")),
        identities: vec![sshd.at("hidden")],
        ..SignIn::default()
    };
    let other = Session::connect(&sshd.address(), &without, &sshd.known(), Lane::Control).await;
    let only = SignIn {
        agent: Some(socket),
        ..SignIn::default()
    };
    let too_many = Session::connect(&sshd.address(), &only, &sshd.known(), Lane::Control).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(session.unwrap().sign_in_way().starts_with("agent"));
    assert!(
        other.unwrap().sign_in_way().starts_with("key"),
        "an agent that is gone stops nobody who has a key"
    );
    let e = too_many.expect_err("five strangers come first");
    assert_code(&e, Code::SignInRefused);
    assert!(
        e.what_to_do()
            .unwrap_or_default()
            .contains("IdentitiesOnly"),
        "the server hung up, as it does on `ssh`, and there is a way out: {e:?}"
    );
}

#[tokio::test]
async fn an_unknown_host_key_is_shown_then_trusted_then_known() {
    let Some(sshd) = Sshd::start("") else { return };
    let mut keys = HostKeys {
        own: sshd.at("berth/known_hosts"),
        ..HostKeys::default()
    };
    // With a key that would be refused: the host's key must be the first thing to be told.
    keygen(&sshd.at("stranger"), "ed25519", "");
    let stranger = SignIn {
        identities: vec![sshd.at("stranger")],
        ..SignIn::default()
    };
    let e = sshd.refusal(&stranger, &keys).await;
    assert_code(&e, Code::HostKeyUnknown);
    assert!(
        !sshd.log().contains("Failed publickey"),
        "nothing of the user's may reach an unknown host:\n{}",
        sshd.log()
    );
    let fingerprint = e.get_detail("fingerprint").unwrap().to_owned();
    assert_eq!(e.get_detail("host"), Some(sshd.name().as_str()));

    keys.trust = Some(fingerprint);
    Session::connect(&sshd.address(), &sshd.by_key(), &keys, Lane::Control)
        .await
        .unwrap();
    keys.trust = None;
    Session::connect(&sshd.address(), &sshd.by_key(), &keys, Lane::Control)
        .await
        .unwrap();
    assert_eq!(
        fs::metadata(&keys.own).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // OpenSSH reads what Berth wrote.
    let found = Command::new("ssh-keygen")
        .args(["-F", &sshd.name(), "-f"])
        .arg(&keys.own)
        .output()
        .unwrap();
    assert!(
        found.status.success(),
        "the file is in OpenSSH's format: {}",
        fs::read_to_string(&keys.own).unwrap()
    );
}

#[tokio::test]
async fn a_changed_host_key_is_refused_before_anything_is_shown() {
    let Some(sshd) = Sshd::start("") else { return };
    let public = fs::read_to_string(sshd.at("user.pub")).unwrap();
    fs::write(
        sshd.at("user_known_hosts"),
        format!("{} {public}", sshd.name()),
    )
    .unwrap();
    let keys = HostKeys {
        own: sshd.at("own"),
        read_only: vec![sshd.at("user_known_hosts")],
        trust: None,
        ..HostKeys::default()
    };
    let e = sshd.refusal(&sshd.by_key(), &keys).await;
    assert_code(&e, Code::HostKeyChanged);
    assert!(e.get_detail("expected").is_some() && e.get_detail("offered").is_some());
    let trusted = HostKeys {
        trust: e.get_detail("offered").map(str::to_owned),
        ..keys
    };
    assert_code(
        &sshd.refusal(&sshd.by_key(), &trusted).await,
        Code::HostKeyChanged,
    );
    assert!(!sshd.log().contains("Accepted publickey"), "{}", sshd.log());
}

#[tokio::test]
async fn a_key_of_another_algorithm_is_a_change_and_a_second_key_is_none() {
    let Some(sshd) = Sshd::with_host_keys("", &["ed25519", "ecdsa", "rsa"]) else {
        return;
    };
    for kind in ["rsa", "ecdsa", "ed25519"] {
        Session::connect(
            &sshd.address(),
            &sshd.by_key(),
            &sshd.known_by(kind),
            Lane::Control,
        )
        .await
        .unwrap_or_else(|e| {
            panic!("a host with three keys, known by its {kind} key, looks changed: {e}")
        });
    }
    let Some(one) = Sshd::with_host_keys("", &["ed25519"]) else {
        return;
    };
    keygen(&one.at("host_ecdsa"), "ecdsa", "");
    let e = one.refusal(&one.by_key(), &one.known_by("ecdsa")).await;
    assert_code(&e, Code::HostKeyChanged);
}

#[tokio::test]
async fn tcp_and_socket_tunnels_carry_bytes_and_half_closes() {
    let Some(sshd) = Sshd::start("") else { return };
    let session = sshd.session(Lane::Tunnels).await;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let path = sshd.at("socket");
    let unix = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = tcp.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(&all).await.unwrap();
    });
    tokio::spawn(async move {
        let (mut stream, _) = unix.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(&all).await.unwrap();
    });
    let data: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    for mut stream in [
        session.tcp("127.0.0.1", port).await.unwrap(),
        session.unix(path.to_str().unwrap()).await.unwrap(),
    ] {
        stream.write_all(&data).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        assert!(
            back == data,
            "an answer after a half-close must come whole: {} of {}",
            back.len(),
            data.len()
        );
    }
    let e = session
        .tcp("127.0.0.1", support::free_port())
        .await
        .err()
        .expect("nobody listens there");
    assert_code(&e, Code::Unreachable);
    assert!(
        e.message().contains("Nothing answers at `127.0.0.1:"),
        "{e}"
    );
}

#[tokio::test]
async fn a_forbidden_tunnel_says_which_setting() {
    let Some(sshd) = Sshd::start("AllowTcpForwarding no") else {
        return;
    };
    let session = sshd.session(Lane::Control).await;
    let e = session
        .tcp("127.0.0.1", 1)
        .await
        .err()
        .expect("it is forbidden");
    assert_code(&e, Code::Refused);
    assert!(
        e.what_to_do().unwrap().contains("AllowTcpForwarding"),
        "{e:?}"
    );
}

#[tokio::test]
async fn a_long_commands_stream_and_its_failure() {
    let Some(sshd) = Sshd::start("") else { return };
    let session = sshd.session(Lane::Control).await;
    let mut cat = session.exec_stream("cat").await.unwrap();
    cat.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    cat.read_exact(&mut four).await.unwrap();
    cat.shutdown().await.unwrap();
    assert_eq!(
        cat.read(&mut four).await.unwrap(),
        0,
        "a command that succeeds ends cleanly"
    );

    let mut missing = session
        .exec_stream("docker-that-is-not-there system dial-stdio")
        .await
        .unwrap();
    let e = missing
        .read(&mut four)
        .await
        .expect_err("an end without data would look like an empty answer");
    let text = e.to_string();
    assert!(
        text.contains("exit status 127") && text.contains("not found"),
        "{text}"
    );

    let mut partial = session
        .exec_stream("printf abc; echo broken >&2; exit 2")
        .await
        .unwrap();
    let mut got = Vec::new();
    let e = partial
        .read_to_end(&mut got)
        .await
        .expect_err("the output is not whole");
    assert_eq!(got, b"abc");
    assert!(e.to_string().contains("broken"), "{e}");
}

#[tokio::test]
async fn dropped_streams_end_on_the_host_and_give_their_slots_back() {
    let Some(sshd) = Sshd::start("MaxSessions 10") else {
        return;
    };
    let session = sshd.session(Lane::Control).await;
    for round in 0..4 {
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(
                timeout(Duration::from_secs(10), session.exec_stream("cat"))
                    .await
                    .expect("a slot is free")
                    .unwrap(),
            );
        }
        drop(streams);
        assert!(
            session
                .exec("true", None, limits(10))
                .await
                .unwrap()
                .success(),
            "round {round}"
        );
    }
    let stubborn = session.exec_stream("exec sleep 1000").await.unwrap();
    drop(stubborn);
    assert!(
        session
            .exec("true", None, limits(10))
            .await
            .unwrap()
            .success()
    );
}

/// One reader stands still, with more waiting for it than any buffer holds.
#[tokio::test]
async fn a_reader_that_stands_still_stops_nobody() {
    let Some(sshd) = Sshd::start("") else { return };
    for lane in [Lane::Control, Lane::Tunnels] {
        let session = sshd.session(lane).await;
        let mut stalled = session
            .exec_stream("head -c 300000000 /dev/zero")
            .await
            .unwrap();
        let mut first = [0];
        stalled.read_exact(&mut first).await.unwrap();
        // On `Tunnels` the connection first waits for the reader, as long as it may.
        let limit = if lane == Lane::Tunnels { 9 } else { 2 };
        if lane == Lane::Tunnels {
            support::eventually("the channel holds the connection up", || {
                session.is_held_up()
            })
            .await;
        }
        let output = session
            .exec("echo alive", None, limits(limit))
            .await
            .unwrap_or_else(|e| panic!("{lane:?}: {e}"));
        assert_eq!(output.stdout, b"alive\n");
        // Who reads again before it was cut off gets everything, as is right: so not before its sender has ended.
        session
            .exec(
                "while pgrep -f '[h]ead -c 300000000' >/dev/null; do sleep 0.05; done",
                None,
                limits(30),
            )
            .await
            .unwrap_or_else(|e| panic!("{lane:?}: {e}"));
        let mut rest = Vec::new();
        let e = stalled
            .read_to_end(&mut rest)
            .await
            .expect_err("what was cut off must not look whole");
        assert!(e.to_string().contains("stood still"), "{lane:?}: {e}");
        assert!(!session.is_held_up());
    }
}

/// A reader that is slow but takes something gets everything.
#[tokio::test]
async fn a_slow_reader_of_a_tunnel_loses_nothing() {
    let Some(sshd) = Sshd::start("") else { return };
    for lane in [Lane::Tunnels, Lane::Bulk] {
        let session = sshd.session(lane).await;
        let mut slow = session
            .exec_stream("head -c 150000000 /dev/zero")
            .await
            .unwrap();
        support::eventually("the host is faster than the reader", || {
            session.is_held_up()
        })
        .await;
        let mut total = 0;
        let mut chunk = vec![0; 1 << 20];
        loop {
            let n = slow
                .read(&mut chunk)
                .await
                .unwrap_or_else(|e| panic!("{lane:?} after {total}: {e}"));
            if n == 0 {
                break;
            }
            total += n;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(total, 150_000_000, "{lane:?}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_no_clean_end() {
    let Some(sshd) = Sshd::start("") else { return };
    let session = sshd.session(Lane::Control).await;
    let mut stream = session.exec_stream("cat").await.unwrap();
    let other = session.clone();
    let waiting = tokio::spawn(async move { other.exec("sleep 60", None, limits(60)).await });
    // The parent of the shell is the server's process for this connection alone.
    let _ = session.exec("kill -9 $PPID", None, limits(10)).await;
    let mut byte = [0];
    let e = timeout(Duration::from_secs(5), stream.read(&mut byte))
        .await
        .unwrap()
        .expect_err("a lost connection must not read as an end");
    assert!(
        e.to_string()
            .contains("SSH connection ended: the host closed"),
        "{e}"
    );
    let e = timeout(Duration::from_secs(5), async {
        loop {
            stream.write_all(&[0; 65536]).await?;
        }
        #[allow(unreachable_code)]
        Ok::<(), std::io::Error>(())
    })
    .await
    .expect("writing to a dead connection must not wait for ever")
    .expect_err("and must not succeed");
    assert!(e.to_string().contains("SSH connection ended"), "{e}");
    let e = timeout(Duration::from_secs(5), waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_code(&e, Code::Unreachable);
    assert!(session.is_closed());
    assert!(session.why_closed().is_some());
    assert_code(
        &session.exec("true", None, limits(5)).await.unwrap_err(),
        Code::Unreachable,
    );
}

#[tokio::test]
async fn closing_is_prompt_and_says_so() {
    let Some(sshd) = Sshd::start("") else { return };
    let session = sshd.session(Lane::Control).await;
    let mut stream = session.exec_stream("cat").await.unwrap();
    timeout(Duration::from_secs(3), session.close())
        .await
        .unwrap();
    assert_eq!(
        session.why_closed().as_deref(),
        Some("it was closed on this side")
    );
    let e = timeout(Duration::from_secs(3), stream.read(&mut [0]))
        .await
        .unwrap()
        .unwrap_err();
    assert!(e.to_string().contains("closed on this side"), "{e}");
}

#[tokio::test]
async fn the_last_user_ends_the_connection() {
    let Some(sshd) = Sshd::start("") else { return };
    let session = sshd.session(Lane::Control).await;
    let stream = session.exec_stream("cat").await.unwrap();
    drop(session);
    drop(stream);
    support::eventually("no connection stays behind", || {
        sshd.log().contains("Connection closed by")
            || sshd.log().contains("disconnected by user")
            || sshd.log().contains("Received disconnect")
    })
    .await;
}
