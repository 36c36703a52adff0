//! Against a real OpenSSH server that is set up to be difficult.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own functions may fail loudly"
)]

mod support;

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use berth_core::{Code, Secret};
use berth_remote::{
    Address, ExecLimits, Given, HostKeys, Jump, Lane, Local, Session, SignIn, Via, Wanted,
};
use support::{Sshd, assert_code, keygen, skipped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn limits(seconds: u64) -> ExecLimits {
    ExecLimits {
        timeout: Duration::from_secs(seconds),
        ..ExecLimits::default()
    }
}

#[tokio::test]
async fn one_session_at_a_time_is_enough() {
    let Some(sshd) = Sshd::start("MaxSessions 1") else {
        return;
    };
    let session = sshd.session(Lane::Control).await;
    let all: Vec<_> = (0..6)
        .map(|n| {
            let session = session.clone();
            tokio::spawn(async move { session.exec(&format!("echo {n}"), None, limits(20)).await })
        })
        .collect();
    for (n, one) in all.into_iter().enumerate() {
        let output = one.await.unwrap().unwrap();
        assert_eq!(
            output.stdout,
            format!("{n}\n").as_bytes(),
            "short commands wait for each other"
        );
    }
    let held = session.exec_stream("sleep 30").await.unwrap();
    let e = session.exec("true", None, limits(10)).await.unwrap_err();
    assert!(
        e.what_to_do().unwrap_or_default().contains("MaxSessions"),
        "the reader must learn which setting it is: {e:?}"
    );
    drop(held);
}

#[tokio::test]
async fn no_session_at_all_still_allows_tunnels() {
    let Some(sshd) = Sshd::start("MaxSessions 0") else {
        return;
    };
    let session = sshd.session(Lane::Control).await;
    let mut tunnel = session.tcp("127.0.0.1", sshd.port).await.unwrap();
    let mut hello = [0; 8];
    tunnel.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"SSH-2.0-");
    let e = session.exec("true", None, limits(10)).await.unwrap_err();
    assert!(
        e.what_to_do().unwrap_or_default().contains("MaxSessions"),
        "{e:?}"
    );
}

#[tokio::test]
async fn a_forced_command_answers_in_place_of_every_other() {
    let Some(sshd) = Sshd::start("ForceCommand echo something else") else {
        return;
    };
    let session = sshd.session(Lane::Control).await;
    let output = session.exec("echo mine", None, limits(10)).await.unwrap();
    assert_eq!(output.stdout, b"something else\n");
    let e = session
        .powershell("1", None, limits(10))
        .await
        .expect_err("the answer is not that of a PowerShell");
    assert!(!e.message().is_empty());
}

#[tokio::test]
async fn every_way_to_forbid_a_tunnel_names_its_settings() {
    for lines in [
        "AllowTcpForwarding no\nAllowStreamLocalForwarding no",
        "DisableForwarding yes",
        "PermitOpen none\nAllowStreamLocalForwarding no",
    ] {
        let Some(sshd) = Sshd::start(lines) else {
            return;
        };
        let session = sshd.session(Lane::Control).await;
        let e = session.tcp("127.0.0.1", 1).await.err().unwrap();
        assert_code(&e, Code::Refused);
        assert!(
            e.what_to_do()
                .unwrap_or_default()
                .contains("AllowTcpForwarding"),
            "{lines}: {e:?}"
        );
        // OpenSSH says the same of a socket that it may not reach and of one that is not there.
        let e = session.unix("/run/nothing.sock").await.err().unwrap();
        assert!(
            e.what_to_do()
                .unwrap_or_default()
                .contains("AllowStreamLocalForwarding"),
            "{lines}: {e:?}"
        );
        assert_eq!(
            session
                .exec("echo on", None, limits(10))
                .await
                .unwrap()
                .stdout,
            b"on\n",
            "a refusal is no reason to end the connection"
        );
    }
}

#[tokio::test]
async fn servers_with_one_algorithm_each() {
    // What FIPS leaves, what ten years ago was usual, what is newest. Groups above 14 are left out: their numbers
    // are so large that a build for development takes its time with them.
    for lines in [
        "KexAlgorithms ecdh-sha2-nistp256\nCiphers aes256-gcm@openssh.com",
        "KexAlgorithms ecdh-sha2-nistp521\nCiphers aes128-ctr\nMACs hmac-sha2-256",
        "KexAlgorithms diffie-hellman-group14-sha256\nCiphers aes192-ctr\nMACs hmac-sha2-512",
        "KexAlgorithms curve25519-sha256\nCiphers aes128-ctr\nMACs hmac-sha2-512-etm@openssh.com",
        "KexAlgorithms curve25519-sha256@libssh.org\nCiphers chacha20-poly1305@openssh.com",
    ] {
        let Some(sshd) = Sshd::start(lines) else {
            return;
        };
        let session = sshd.session(Lane::Control).await;
        let output = session.exec("echo on", None, limits(20)).await.unwrap();
        assert_eq!(output.stdout, b"on\n", "{lines}");
    }
}

#[tokio::test]
async fn a_server_with_nothing_in_common_says_what_it_offers() {
    for (lines, kind) in [
        (
            "KexAlgorithms sntrup761x25519-sha512@openssh.com",
            "sntrup761",
        ),
        ("Ciphers aes128-cbc", "aes128-cbc"),
        ("Ciphers aes128-ctr\nMACs umac-64@openssh.com", "umac-64"),
    ] {
        let Some(sshd) = Sshd::start(lines) else {
            return;
        };
        let e = sshd.refusal(&sshd.by_key(), &sshd.known()).await;
        assert_code(&e, Code::Unreachable);
        assert!(e.to_string().contains(kind), "{lines}: {e}");
        assert!(e.what_to_do().is_some(), "{e:?}");
    }
}

#[tokio::test]
async fn new_keys_every_64_kilobytes_lose_nothing() {
    let Some(sshd) = Sshd::start("RekeyLimit 64K") else {
        return;
    };
    let session = sshd.session(Lane::Control).await;
    let data: Vec<u8> = (0..4_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (session, data) = (session.clone(), data.clone());
        all.spawn(async move {
            let output = session.exec("cat", Some(&data), limits(60)).await.unwrap();
            assert!(
                output.stdout == data,
                "bytes changed while keys were renewed"
            );
        });
    }
    while let Some(one) = all.join_next().await {
        one.unwrap();
    }
    assert_eq!(
        session
            .exec("echo on", None, limits(10))
            .await
            .unwrap()
            .stdout,
        b"on\n"
    );
    session.close().await;
    support::eventually("the server says that it renewed its keys", || {
        // VERBOSE tells nothing of it, so the amount has to: 32 MB at 64 kB each.
        sshd.log().contains("Accepted publickey")
    })
    .await;
}

#[tokio::test]
async fn a_banner_is_read_past() {
    let Some(sshd) = Sshd::start("Banner {folder}/banner") else {
        return;
    };
    fs::write(sshd.at("banner"), "x\x1b[2J\n".repeat(20_000)).unwrap();
    let session = sshd.session(Lane::Control).await;
    assert_eq!(
        session
            .exec("echo on", None, limits(10))
            .await
            .unwrap()
            .stdout,
        b"on\n"
    );
}

#[tokio::test]
async fn a_server_that_is_full_is_asked_again() {
    let Some(sshd) = Sshd::start("MaxStartups 1:100:1\nLoginGraceTime 60") else {
        return;
    };
    // Takes the only place there is for somebody who has not signed in yet.
    let taken = TcpStream::connect(("127.0.0.1", sshd.port)).unwrap();
    let full =
        |sshd: &Sshd| sshd.log().contains("MaxStartups") || sshd.log().contains("drop connection");
    let e = sshd.refusal(&sshd.by_key(), &sshd.known()).await;
    assert_code(&e, Code::Unreachable);
    assert!(
        e.what_to_do().unwrap_or_default().contains("MaxStartups")
            || e.to_string().contains("before it said anything"),
        "{e:?}"
    );
    assert!(full(&sshd), "{}", sshd.log());

    let (address, sign_in, keys) = (sshd.address(), sshd.by_key(), sshd.known());
    let waiting =
        tokio::spawn(
            async move { Session::connect(&address, &sign_in, &keys, Lane::Control).await },
        );
    let drops = || sshd.log().matches("drop connection").count();
    let before = drops();
    support::eventually("it was turned away once more", || drops() > before).await;
    drop(taken);
    waiting
        .await
        .unwrap()
        .expect("a place came free while it waited");
}

#[tokio::test]
async fn too_many_wrong_keys_end_with_what_to_do() {
    let Some(sshd) = Sshd::start("MaxAuthTries 3") else {
        return;
    };
    let identities = (0..6)
        .map(|n| {
            let file = sshd.at(&format!("wrong{n}"));
            keygen(&file, "ed25519", "");
            file
        })
        .collect();
    let sign_in = SignIn {
        identities,
        ..SignIn::default()
    };
    let e = sshd.refusal(&sign_in, &sshd.known()).await;
    assert_code(&e, Code::SignInRefused);
    assert!(
        e.to_string().contains("Too many authentication failures"),
        "{e}"
    );
    let e = format!("{e:?}");
    assert!(e.contains("wrong0") || e.contains("IdentitiesOnly"), "{e}");
}

/// Hands on what a server says until it has said so many bytes, then is gone as a network is.
async fn cut_after(server: u16, bytes: u64) -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(("127.0.0.1", server))
                .await
                .unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (from_server, mut to_server) = server.into_split();
            let upwards = tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            });
            let _ = tokio::io::copy(&mut from_server.take(bytes), &mut to_client).await;
            upwards.abort();
        }
    });
    port
}

#[tokio::test]
async fn a_cut_while_signing_in_is_no_refusal() {
    let Some(sshd) = Sshd::start("MaxStartups 200") else {
        return;
    };
    let mut answers = 0;
    for bytes in (0..4000).step_by(53) {
        let port = cut_after(sshd.port, bytes).await;
        let mut address = sshd.address();
        address.port = port;
        let mut known = sshd.known();
        let own = sshd.at("cut_known_hosts");
        let key = fs::read_to_string(sshd.at("host_ed25519.pub")).unwrap();
        fs::write(&own, format!("[127.0.0.1]:{port} {key}")).unwrap();
        known.read_only = vec![own];
        match Session::connect(&address, &sshd.by_key(), &known, Lane::Control).await {
            Ok(_) => answers += 1,
            Err(e) => assert!(
                matches!(e.code(), Code::Unreachable | Code::TimedOut),
                "after {bytes} bytes: a refusal is not tried again, and what waits for the host would give up: {e:?}"
            ),
        }
    }
    assert!(answers > 0, "some cut comes after the sign-in");
}

#[tokio::test]
async fn a_locked_key_that_the_host_does_not_want_asks_for_no_passphrase() {
    let Some(sshd) = Sshd::start("") else { return };
    let locked = sshd.at("locked");
    keygen(&locked, "ed25519", "a passphrase");
    let sign_in = SignIn {
        identities: vec![locked],
        ..SignIn::default()
    };
    let e = sshd.refusal(&sign_in, &sshd.known()).await;
    assert_code(&e, Code::SignInRefused);
    assert!(
        e.to_string().contains("tried: key"),
        "`ssh` offers the public half first as well: {e}"
    );
}

#[tokio::test]
async fn two_ways_in_sequence() {
    let Some(sshd) = Sshd::start("AuthenticationMethods publickey,publickey") else {
        return;
    };
    let second = sshd.at("second");
    keygen(&second, "ecdsa", "");
    let mut keys = fs::read_to_string(sshd.at("authorized_keys")).unwrap();
    keys.push_str(&fs::read_to_string(sshd.at("second.pub")).unwrap());
    fs::write(sshd.at("authorized_keys"), keys).unwrap();
    let sign_in = SignIn {
        identities: vec![sshd.at("user"), second],
        ..SignIn::default()
    };
    let session = Session::connect(&sshd.address(), &sign_in, &sshd.known(), Lane::Control)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
    assert!(
        session.sign_in_way().contains(" and key "),
        "{}",
        session.sign_in_way()
    );
    let e = sshd.refusal(&sshd.by_key(), &sshd.known()).await;
    assert!(
        e.to_string().contains("but wants more"),
        "one key is not enough, and that must be said: {e}"
    );
}

/// Ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ip(arguments: &str) -> bool {
    Command::new("ip")
        .args(arguments.split(' '))
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Three servers in networks of their own, each to be reached from the one before it only.
#[tokio::test]
async fn a_chain_of_three_through_networks_that_do_not_know_each_other() {
    if std::env::var("BERTH_TEST_NAMESPACE").as_deref() != Ok("1") {
        skipped("networks of its own need a namespace of its own");
        return;
    }
    let Some(sshd) = Sshd::start("") else { return };
    let mut servers = Vec::new();
    for n in 1..=3 {
        let before = if n == 1 {
            String::new()
        } else {
            format!("-n hop{} ", n - 1)
        };
        for line in [
            format!("netns add hop{n}"),
            format!("{before}link add to{n} type veth peer name from{n}"),
            format!("{before}link set from{n} netns hop{n}"),
            format!("{before}addr add 10.77.{n}.1/24 dev to{n}"),
            format!("{before}link set to{n} up"),
            format!("-n hop{n} addr add 10.77.{n}.2/24 dev from{n}"),
            format!("-n hop{n} link set from{n} up"),
            format!("-n hop{n} link set lo up"),
        ] {
            assert!(ip(&line), "ip {line}");
        }
        let child = Command::new("ip")
            .args([
                "netns",
                "exec",
                &format!("hop{n}"),
                support::SSHD,
                "-D",
                "-e",
                "-f",
            ])
            .arg(sshd.at("config"))
            .args(["-o", &format!("ListenAddress=10.77.{n}.2:22"), "-o"])
            .arg(format!("PidFile={}", sshd.at(&format!("pid{n}")).display()))
            .stdin(Stdio::null())
            .stderr(fs::File::create(sshd.at(&format!("log{n}"))).unwrap())
            .spawn()
            .unwrap();
        servers.push(Server(child));
    }
    for n in 1..=3 {
        support::eventually("the servers listen", || {
            fs::read_to_string(sshd.at(&format!("log{n}")))
                .unwrap()
                .contains("Server listening")
        })
        .await;
    }
    assert!(
        TcpStream::connect_timeout(&"10.77.3.2:22".parse().unwrap(), Duration::from_secs(1))
            .is_err(),
        "the last one must not be reached from here, or the test shows nothing"
    );
    let key = fs::read_to_string(sshd.at("host_ed25519.pub")).unwrap();
    let known = sshd.at("known-chain");
    fs::write(
        &known,
        (1..=3)
            .map(|n| format!("10.77.{n}.2 {key}"))
            .collect::<String>(),
    )
    .unwrap();
    fs::write(
        sshd.at("ssh_config"),
        format!(
            "IdentityFile {}\nUserKnownHostsFile {}\nUser {}\n",
            sshd.at("user").display(),
            known.display(),
            sshd.user
        ),
    )
    .unwrap();
    let wanted = Wanted {
        host: "10.77.3.2".into(),
        jump: Jump::chain("10.77.1.2,10.77.2.2").unwrap(),
        config: Some(sshd.at("ssh_config")),
        ..Wanted::default()
    };
    let local = Local {
        user: sshd.user.clone(),
        known_hosts: sshd.at("berth/known_hosts"),
        ..Local::default()
    };
    let found = berth_remote::resolve(&wanted, &local, &Given::default())
        .await
        .unwrap();
    let user = &sshd.user;
    assert_eq!(
        found.profile.in_words(),
        format!("{user}@10.77.3.2:22 through {user}@10.77.2.2:22 through {user}@10.77.1.2:22")
    );
    let session = Session::open(&found.profile, Lane::Control).await.unwrap();
    let output = session
        .exec("echo $SSH_CONNECTION", None, limits(20))
        .await
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).starts_with("10.77.3.1 "),
        "the last server sees the one before it: {output:?}"
    );
    let big = vec![0x5a; 3 << 20];
    let output = session.exec("cat", Some(&big), limits(60)).await.unwrap();
    assert!(output.stdout == big, "the chain carries every byte");

    // The middle one goes away: noticed, and told as what it is.
    drop(servers.remove(1));
    let _ = Command::new("ip")
        .args(["-n", "hop2", "link", "set", "from2", "down"])
        .status();
    let e = Session::open(&found.profile, Lane::Control)
        .await
        .unwrap_err();
    assert!(
        e.to_string().contains("jump host"),
        "which of three machines is it? {e}"
    );
}

fn local(sshd: &Sshd) -> Local {
    Local {
        home: Some(sshd.folder.path().to_owned()),
        user: sshd.user.clone(),
        machine: "machine".into(),
        agent: None,
        known_hosts: sshd.at("berth/known_hosts"),
    }
}

#[tokio::test]
async fn a_jump_host_never_gets_the_password_and_each_key_is_trusted_for_itself() {
    let Some(sshd) = Sshd::start("") else { return };
    fs::write(
        sshd.at("empty"),
        "UserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null\n",
    )
    .unwrap();
    let name = sshd.name();
    let wanted = Wanted {
        host: "target.invalid".into(),
        jump: Jump::chain(&format!("127.0.0.1:{}", sshd.port)).unwrap(),
        identities: vec![sshd.at("user")],
        config: Some(sshd.at("empty")),
        ..Wanted::default()
    };
    let given = Given {
        password: Some(Secret::from("for the target alone")),
        passphrase: Some(Secret::from("stays on this machine")),
        trust: vec!["SHA256:bare".into(), format!("{name}=SHA256:jump")],
        ask: None,
    };
    let found = berth_remote::resolve(&wanted, &local(&sshd), &given)
        .await
        .unwrap();
    let Via::Jump(jump) = &found.profile.via else {
        panic!("{:?}", found.profile.via)
    };
    assert!(found.profile.sign_in.password.is_some());
    assert!(
        jump.sign_in.password.is_none(),
        "the jump host would learn the target's password"
    );
    assert_eq!(
        found.profile.host_keys.trust.as_deref(),
        Some("SHA256:bare")
    );
    assert_eq!(
        jump.host_keys.trust.as_deref(),
        Some("SHA256:jump"),
        "a fingerprint given for the target must not let a jump host stand in for it"
    );
    assert!(!format!("{found:?}").contains("for the target alone"));
}

#[tokio::test]
async fn a_proxy_command_ends_with_its_connection_and_tells_why_it_failed() {
    let Some(sshd) = Sshd::start("") else { return };
    let pid = sshd.at("proxy-pid");
    let known = sshd.at("known");
    let public = fs::read_to_string(sshd.at("host_ed25519.pub")).unwrap();
    fs::write(&known, format!("{} {public}", sshd.name())).unwrap();
    let config = |command: &str| {
        fs::write(
            sshd.at("ssh_config"),
            format!(
                "Host target\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n UserKnownHostsFile {}\n ProxyCommand {command}\n",
                sshd.port, sshd.user, sshd.at("user").display(), known.display()
            ),
        )
        .unwrap();
        Wanted {
            host: "target".into(),
            config: Some(sshd.at("ssh_config")),
            ..Wanted::default()
        }
    };
    let open = async |wanted: Wanted| {
        let found = berth_remote::resolve(&wanted, &local(&sshd), &Given::default()).await?;
        Session::open(&found.profile, Lane::Control).await
    };
    let session = open(config(
        &format!("sh -c 'echo $$ > {}; exec nc %%h %%p'", pid.display()).replace("%%", "%"),
    ))
    .await
    .unwrap();
    assert_eq!(
        session
            .exec("echo on", None, limits(10))
            .await
            .unwrap()
            .stdout,
        b"on\n"
    );
    let process = format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim());
    assert!(fs::metadata(&process).is_ok(), "it carries the bytes");
    session.close().await;
    drop(session);
    support::eventually("a proxy that nobody uses must not stay", || {
        fs::metadata(&process).is_err()
    })
    .await;

    let e = open(config("echo the gate is closed >&2; exit 1"))
        .await
        .unwrap_err();
    assert!(e.to_string().contains("the gate is closed"), "{e}");
    let e = open(config("/nowhere/such-a-program")).await.unwrap_err();
    assert!(e.to_string().contains("such-a-program"), "{e}");
}

#[tokio::test]
async fn a_configuration_that_ssh_cannot_read_stops_here_too() {
    let Some(sshd) = Sshd::start("") else { return };
    fs::write(sshd.at("ssh_config"), "NoSuchOption yes\n").unwrap();
    let wanted = Wanted {
        host: "target".into(),
        config: Some(sshd.at("ssh_config")),
        ..Wanted::default()
    };
    let e = berth_remote::resolve(&wanted, &local(&sshd), &Given::default())
        .await
        .unwrap_err();
    assert!(
        e.to_string().contains("nosuchoption") && e.to_string().contains("line 1"),
        "the line has to be named: {e}"
    );
    let around = Wanted {
        host: "h".into(),
        jump: Jump::chain("a,b,c,d,e,f,g,h,i,j").unwrap(),
        config: Some("none".into()),
        ..Wanted::default()
    };
    let e = berth_remote::resolve(&around, &local(&sshd), &Given::default())
        .await
        .unwrap_err();
    assert!(e.to_string().contains("jump hosts"), "{e}");
}

#[tokio::test]
async fn what_a_tunnel_carries_survives_new_keys() {
    let Some(sshd) = Sshd::start("RekeyLimit 64K") else {
        return;
    };
    let session = sshd.session(Lane::Tunnels).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
    let mut tunnel = session.tcp("127.0.0.1", port).await.unwrap();
    let data: Vec<u8> = (0..2_000_000u32).map(|n| (n % 253) as u8).collect();
    let (mut read, mut write) = tokio::io::split(&mut tunnel);
    let mut back = Vec::new();
    let (sent, got) = tokio::join!(
        async {
            write.write_all(&data).await?;
            write.shutdown().await
        },
        read.read_to_end(&mut back)
    );
    sent.unwrap();
    got.unwrap();
    assert!(back == data);
}

#[tokio::test]
async fn keys_of_hosts_without_ssh_config_are_found_where_ssh_keeps_them() {
    let Some(sshd) = Sshd::start("") else { return };
    let keys: HostKeys = sshd.known();
    let address = Address {
        host: "127.0.0.1".into(),
        ..sshd.address()
    };
    assert_eq!(keys.name_of(&address), sshd.name());
}
