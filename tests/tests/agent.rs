//! The agent's life, seen from outside: it is there when something needs it, once for a user, reached by that user
//! alone, and nothing is lost however it ends.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use berth_agent::{Client, Paths, client::Start};
use berth_api::{dto, table};
use berth_core::Code;
use berth_tests::rig::{self, Home, PracticeHost, SecretService, programs};
use support::{
    Background, FakeEngine, agent, alive, berth_in, gone, know_instance, pid_of, said, signal,
    status,
};

const SOON: Duration = Duration::from_secs(20);

fn paths(home: &Home) -> Paths {
    Paths::at(home.berth_home()).served_by(programs::built("berth"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Makes the agent of a home work on something that does not end, and waits until it does.
fn keep_busy(home: &Home, engine: &FakeEngine) -> Background {
    let _ = home.berth(&["host", "add", "slow", &engine.address()]).ok();
    let mut up = Background::start(home, &["up", "orders", "--host", "slow", "--accept-eula"]);
    rig::wait_for("the operation to be under way", SOON, || {
        assert_eq!(up.ended(), None, "it was to hang: {}", up.stderr());
        (status(home)?["operations"] == 1).then_some(())
    });
    up
}

#[test]
fn the_first_command_starts_an_agent_that_only_its_user_can_reach() {
    let home = Home::new();
    assert_eq!(
        home.berth(&["agent", "status"]).code,
        3,
        "asking for the agent must not start it"
    );
    let pid = agent(&home);
    let folder = home.berth_home();
    assert_eq!(
        mode(&folder),
        0o700,
        "others must not even see what is in the folder"
    );
    assert_eq!(
        mode(&folder.join("agent.sock")),
        0o600,
        "whoever opens the socket gets every password"
    );
    assert_eq!(
        mode(&folder.join("agent.log")),
        0o600,
        "the log names hosts and users"
    );
    assert_eq!(agent(&home), pid, "the second command takes the same agent");
}

#[test]
fn ten_first_commands_at_once_share_one_agent() {
    let home = Home::new();
    let seen: BTreeSet<String> = thread::scope(|scope| {
        let all: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| home.berth(&["-v", "host", "list"]).ok()))
            .collect();
        all.into_iter()
            .map(|one| {
                let ran = one.join().unwrap();
                assert!(
                    ran.took < Duration::from_secs(12),
                    "{} took {:?}",
                    ran.line,
                    ran.took
                );
                ran.stderr
                    .lines()
                    .find(|l| l.contains("agent"))
                    .unwrap()
                    .to_owned()
            })
            .collect()
    });
    assert_eq!(
        seen.len(),
        1,
        "two agents of one user would fight for its ports: {seen:?}"
    );
}

#[test]
fn a_folder_that_others_can_open_is_closed_and_one_of_another_user_is_refused() {
    let home = Home::new();
    let folder = home.berth_home();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    agent(&home);
    assert_eq!(mode(&folder), 0o700);

    let home = Home::new();
    let folder = home.berth_home();
    fs::create_dir(&folder).unwrap();
    if std::os::unix::fs::chown(&folder, Some(7001), None).is_err() {
        rig::skip("only root can give a folder to another user");
        return;
    }
    let ran = home.berth(&["host", "list"]).code(1);
    insta::assert_snapshot!(
        "folder_of_another_user",
        said(&ran, &[(&support::text(&folder), "[BERTH]")])
    );
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        0,
        "nothing is written where another user can read it"
    );
    assert_eq!(
        fs::metadata(&folder).unwrap().uid(),
        7001,
        "and nothing is taken over"
    );
}

#[test]
fn a_newer_command_replaces_an_idle_agent_and_asks_before_a_busy_one() {
    let home = Home::new();
    let first = agent(&home);
    let paths = paths(&home);
    let connect = |start, version: &'static str| {
        let paths = paths.clone();
        async move { Client::connect_as(&paths, start, version).await }
    };
    runtime().block_on(async {
        let older = connect(Start::IfNeeded, "0.0.1").await.unwrap();
        assert_eq!(
            older.agent().pid,
            first,
            "an older command uses the newer agent"
        );
        drop(older);
        let newer = connect(Start::IfNeeded, "99.0.0").await.unwrap();
        assert_ne!(
            newer.agent().pid,
            first,
            "a newer command brings its own agent"
        );
        gone("the older agent", first, SOON);
    });

    let engine = FakeEngine::busy();
    let mut up = keep_busy(&home, &engine);
    let second = pid_of(&status(&home).unwrap());
    runtime().block_on(async {
        let Err(e) = connect(Start::IfNeeded, "99.0.0").await else {
            panic!("a busy agent must not be replaced unasked")
        };
        assert_eq!(
            (e.code(), e.get_detail("agent_busy")),
            (Code::Refused, Some("1")),
            "{e:?}"
        );
        assert!(alive(second));
        assert_eq!(status(&home).unwrap()["operations"], 1, "its work goes on");
        let newer = connect(Start::Replace, "99.0.0").await.unwrap();
        assert_ne!(newer.agent().pid, second);
    });
    assert_eq!(up.code(SOON), 1);
    assert!(
        up.stderr().contains("agent"),
        "who waited for the work is told why it ended: {}",
        up.stderr()
    );
    gone("the busy agent", second, SOON);
}

#[test]
fn an_agent_of_another_protocol_is_told_clearly() {
    let home = Home::new();
    let folder = home.berth_home();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let listener = UnixListener::bind(folder.join("agent.sock")).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let body = r#"{"t":"welcome","protocol":99,"version":"9.9.9","pid":1,"busy":2}"#;
            let _ = stream.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes());
            let _ = stream.write_all(body.as_bytes());
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    let ran = home.berth(&["host", "list"]).code(1);
    insta::assert_snapshot!("agent_of_another_protocol", said(&ran, &[]));
}

#[test]
fn what_only_closes_connections_on_the_socket_holds_nobody_for_ever() {
    let home = Home::new();
    let folder = home.berth_home();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let listener = UnixListener::bind(folder.join("agent.sock")).unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(drop));
    let ran = home.berth(&["host", "list"]).code(1);
    assert!(ran.took < Duration::from_secs(25), "{:?}", ran.took);
    insta::assert_snapshot!(
        "agent_that_hangs_up",
        said(&ran, &[(&support::text(&folder), "[BERTH]")])
    );
}

#[test]
fn an_idle_agent_ends_but_never_under_a_client() {
    let home = Home::new();
    let idle = [("BERTH_AGENT_IDLE", "1")];
    let _ = berth_in(&home, &idle, &["host", "list"]).ok();
    let first = pid_of(&status(&home).unwrap());
    gone("the idle agent", first, SOON);
    assert!(
        !home.berth_home().join("agent.sock").exists(),
        "an agent that ended in order leaves no socket behind"
    );

    // It looks at its clock a few times in a second: whoever comes between the end of the time and the next look is
    // served, and not cut off with the agent.
    for n in 0..8 {
        let _ = berth_in(&home, &idle, &["host", "list"]).ok();
        thread::sleep(Duration::from_millis(960 + 40 * n));
        let ran = berth_in(&home, &idle, &["host", "list"]);
        assert_eq!(ran.code, 0, "attempt {n}: {}", ran.stderr);
    }
    let paths = paths(&home);
    runtime().block_on(async {
        let client = Client::connect(&paths, Start::IfNeeded).await.unwrap();
        let pid = client.agent().pid;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let told = client
            .call::<table::AgentStatus>(&dto::Nothing {}, BTreeMap::new())
            .await
            .unwrap();
        assert_eq!(
            told.body.pid, pid,
            "a connected client, such as the window, keeps its agent"
        );
    });
}

/// A host that counts who comes, and never says a word.
fn silent_host() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            held.push(stream);
        }
    });
    (port, came)
}

#[test]
fn a_port_listens_from_the_start_and_its_host_is_reached_only_for_a_client() {
    let home = Home::new();
    let (host, came) = silent_host();
    let port = rig::free_port();
    know_instance(&home, &format!("ssh://nobody@127.0.0.1:{host}"), port);
    let _ = berth_in(&home, &[("BERTH_AGENT_IDLE", "1")], &["host", "list"]).ok();
    let told = status(&home).unwrap();
    let pid = pid_of(&told);
    assert_eq!(told["endpoints"][0]["port"], port, "{told}");
    assert_eq!(told["endpoints"][0]["instance"], "far/orders");
    assert_eq!(told["endpoints"][0]["problem"], serde_json::Value::Null);
    // Three times as long as it would stay with nothing to hold.
    thread::sleep(Duration::from_secs(3));
    assert!(
        alive(pid),
        "an agent that holds a port stays: a string that names it is pasted somewhere"
    );
    assert_eq!(
        came.load(Ordering::SeqCst),
        0,
        "no host is reached before somebody wants it"
    );

    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    rig::wait_for("the host to be asked for", SOON, || {
        (came.load(Ordering::SeqCst) > 0).then_some(())
    });
    drop(client);

    signal("KILL", pid);
    gone("the killed agent", pid, SOON);
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "the port ends with the process, and is not left to somebody else"
    );
    assert!(
        home.berth_home().join("agent.sock").exists(),
        "the stale socket is what is tested here"
    );
    let again = agent(&home);
    assert_ne!(again, pid);
    TcpStream::connect(("127.0.0.1", port)).expect("the same port listens again");
}

#[test]
fn a_port_that_another_program_holds_is_kept_for_its_instance() {
    let home = Home::new();
    let (host, _) = silent_host();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    know_instance(&home, &format!("ssh://nobody@127.0.0.1:{host}"), port);
    agent(&home);
    let told = status(&home).unwrap();
    let problem = told["endpoints"][0]["problem"]
        .as_str()
        .expect("it cannot listen")
        .to_owned();
    assert!(
        problem.contains("agent-") || problem.contains("another program"),
        "whoever reads it can find out who is in the way: {problem}"
    );
    assert_eq!(
        told["endpoints"][0]["port"], port,
        "the port never changes by itself"
    );
    drop(other);
    rig::wait_for("the port to be taken once it is free", SOON, || {
        (status(&home)?["endpoints"][0]["problem"] == serde_json::Value::Null).then_some(())
    });
    TcpStream::connect(("127.0.0.1", port)).expect("it listens");
}

#[test]
fn an_agent_is_stopped_at_once_when_idle_and_only_by_force_when_busy() {
    let home = Home::new();
    let none = home.berth(&["agent", "stop"]).ok();
    insta::assert_snapshot!("stop_without_an_agent", said(&none, &[]));
    let pid = agent(&home);
    let _ = home.berth(&["agent", "stop"]).ok();
    // It gives the folder back just before its process ends.
    rig::wait_for("the agent that is said to have ended", SOON, || {
        (!alive(pid)).then_some(())
    });
    assert!(!home.berth_home().join("agent.sock").exists());

    let engine = FakeEngine::busy();
    let mut up = keep_busy(&home, &engine);
    let pid = pid_of(&status(&home).unwrap());
    let refused = home.berth(&["agent", "stop"]).code(4);
    insta::assert_snapshot!("stop_of_a_busy_agent", said(&refused, &[]));
    assert!(alive(pid));
    assert_eq!(up.child.try_wait().unwrap(), None, "the work goes on");

    let forced = home.berth(&["agent", "stop", "--force"]).ok();
    assert!(!alive(pid), "{forced:?}");
    assert_eq!(up.code(SOON), 1);
    insta::assert_snapshot!("work_cut_off_by_force", up.stderr());
}

#[test]
fn commands_that_follow_a_stop_at_once_get_a_new_agent() {
    let home = Home::new();
    for n in 0..6 {
        agent(&home);
        let socket = home.berth_home().join("agent.sock");
        thread::scope(|scope| {
            let stop = scope.spawn(|| home.berth(&["agent", "stop"]));
            rig::wait_for("the agent to have closed its socket", SOON, || {
                (!socket.exists()).then_some(())
            });
            // It may still hold its lock.
            let next = home.berth(&["host", "list"]).ok();
            assert!(
                next.took < Duration::from_secs(5),
                "round {n}: nobody waits for an agent that nobody starts: {:?}",
                next.took
            );
            assert_eq!(stop.join().unwrap().code, 0);
        });
    }
}

#[test]
fn an_agent_that_hangs_is_named_and_ended_by_force() {
    let home = Home::new();
    let pid = agent(&home);
    signal("STOP", pid);
    let ran = home.berth(&["host", "list"]).code(1);
    insta::assert_snapshot!("agent_that_hangs", said(&ran, &[]));
    assert!(ran.took < Duration::from_secs(15), "{:?}", ran.took);
    let _ = home.berth(&["agent", "stop", "--force"]).ok();
    assert!(!alive(pid), "the hint must be true");
    assert_ne!(agent(&home), pid);
}

#[test]
fn the_terminals_ctrl_c_does_not_reach_the_agent() {
    let home = Home::new();
    let engine = FakeEngine::busy();
    let _ = home.berth(&["host", "add", "slow", &engine.address()]).ok();
    let _ = home.berth(&["agent", "stop"]).ok();
    // This command starts the agent, in the process group that gets the signal.
    let mut up = Background::start(&home, &["up", "orders", "--host", "slow", "--accept-eula"]);
    let pid = rig::wait_for("the operation to be under way", SOON, || {
        assert_eq!(up.ended(), None, "it was to hang: {}", up.stderr());
        let told = status(&home)?;
        (told["operations"] == 1).then(|| pid_of(&told))
    });
    up.interrupt();
    assert_eq!(up.code(SOON), 1);
    insta::assert_snapshot!("up_interrupted", up.stderr());
    assert_eq!(up.stdout(), "");
    assert!(
        alive(pid),
        "the strings of other instances would die with it"
    );
    assert_eq!(
        status(&home).unwrap()["operations"],
        0,
        "what was interrupted has ended"
    );
}

#[test]
fn a_command_that_dies_leaves_its_operation_and_the_agent_alone() {
    let home = Home::new();
    let engine = FakeEngine::busy();
    let mut up = keep_busy(&home, &engine);
    let pid = pid_of(&status(&home).unwrap());
    signal("KILL", up.child.id());
    assert_eq!(up.code(SOON), 128 + 9);
    let told = status(&home).unwrap();
    assert_eq!((pid_of(&told), told["operations"].as_u64()), (pid, Some(1)));
}

fn hello(stream: &mut UnixStream) {
    send(stream, r#"{"t":"hello","protocol":1,"version":"0.1.0"}"#);
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut body).unwrap();
    assert!(String::from_utf8_lossy(&body).contains("welcome"));
}

fn send(stream: &mut UnixStream, body: &str) {
    stream
        .write_all(&u32::try_from(body.len()).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(body.as_bytes()).unwrap();
}

/// Reads to the end of a connection that the other side closes.
fn closed(stream: &mut UnixStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(e) => e.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn clients_that_misbehave_harm_only_themselves() {
    let home = Home::new();
    let pid = agent(&home);
    let socket = home.berth_home().join("agent.sock");
    let connect = || UnixStream::connect(&socket).unwrap();

    let mut garbage = connect();
    garbage
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut mute = connect();
    let mut huge = connect();
    hello(&mut huge);
    huge.write_all(&u32::MAX.to_be_bytes()).unwrap();
    let mut no_json = connect();
    hello(&mut no_json);
    send(&mut no_json, "\u{0}\u{1}not json");
    let mut uninvited = connect();
    send(
        &mut uninvited,
        r#"{"t":"call","id":1,"command":"host.list","body":{},"secrets":{}}"#,
    );
    let mut half = connect();
    hello(&mut half);
    half.write_all(&[0, 0, 1, 0, b'{']).unwrap();
    drop(half);
    for (who, stream) in [
        ("garbage", &mut garbage),
        ("a frame of 4 GiB", &mut huge),
        ("no JSON", &mut no_json),
        ("a call before the handshake", &mut uninvited),
        ("silence", &mut mute),
    ] {
        assert!(closed(stream), "{who} must end the connection");
    }

    let mut unknown = connect();
    hello(&mut unknown);
    send(
        &mut unknown,
        r#"{"t":"call","id":7,"command":"no.such","body":{},"secrets":{}}"#,
    );
    send(
        &mut unknown,
        r#"{"t":"call","id":8,"command":"host.list","body":{},"secrets":{}}"#,
    );
    let mut answers = String::new();
    while !(answers.contains(r#""id":7"#) && answers.contains(r#""id":8"#)) {
        let mut part = [0; 4096];
        let n = unknown.read(&mut part).unwrap();
        assert!(
            n > 0,
            "a command that is not there must not end the connection: {answers}"
        );
        answers += &String::from_utf8_lossy(&part[..n]);
    }

    // One that asks for much and reads nothing.
    let mut greedy = connect();
    hello(&mut greedy);
    greedy
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    for id in 0..5000 {
        let call = format!(
            r#"{{"t":"call","id":{id},"command":"connection.formats","body":{{}},"secrets":{{}}}}"#
        );
        let frame = [
            &u32::try_from(call.len()).unwrap().to_be_bytes()[..],
            call.as_bytes(),
        ]
        .concat();
        if greedy.write_all(&frame).is_err() {
            break;
        }
    }
    let began = Instant::now();
    let _ = home.berth(&["host", "list"]).ok();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "one client must not slow the others"
    );
    assert_eq!(agent(&home), pid, "the agent lives through all of them");
}

#[test]
fn ten_clients_are_served_side_by_side_while_others_are_killed() {
    let home = Home::new();
    let engine = FakeEngine::busy();
    let up = keep_busy(&home, &engine);
    let pid = pid_of(&status(&home).unwrap());
    // These wait for the hanging engine: killed in the middle of a call.
    let listing: Vec<_> = (0..4)
        .map(|_| Background::start(&home, &["list"]))
        .collect();
    rig::wait_for("the lists to be under way", SOON, || {
        (engine
            .asked()
            .iter()
            .filter(|a| a.starts_with("GET /containers/json"))
            .count()
            >= 2)
            .then_some(())
    });
    thread::scope(|scope| {
        let all: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| home.berth(&["host", "list", "--json"]).ok().json()))
            .collect();
        for one in &listing {
            signal("KILL", one.child.id());
        }
        let answers: BTreeSet<String> = all
            .into_iter()
            .map(|one| one.join().unwrap().to_string())
            .collect();
        assert_eq!(answers.len(), 1, "all see the same");
    });
    let told = status(&home).unwrap();
    assert_eq!(
        (pid_of(&told), told["operations"].as_u64()),
        (pid, Some(1)),
        "{told}"
    );
    drop(up);
}

#[test]
fn a_disk_that_forbids_the_agents_files_is_told_in_its_words() {
    let home = Home::new();
    let folder = home.berth_home();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    // Also a root may not open a folder as a file.
    fs::create_dir(folder.join("agent.lock")).unwrap();
    let ran = home.berth(&["host", "list"]).code(1);
    insta::assert_snapshot!(
        "agent_that_cannot_lock",
        said(&ran, &[(&support::text(&folder), "[BERTH]")])
    );
}

#[test]
fn no_secret_reaches_the_log_however_much_is_logged() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let home = Home::with_secrets(&secrets);
    let host = PracticeHost::start();
    let canary = "Canary-5e1f-wrong-password";
    let talk = [("BERTH_LOG", "trace")];
    let add = |name: &str, password: &str| {
        let mut command = home.command(&programs::built("berth"));
        command
            .args([
                "host",
                "add",
                name,
                &host.address(),
                "--password-stdin",
                "--trust-host-key",
            ])
            .arg(host.fingerprint())
            .envs(talk);
        rig::home::run(
            &mut command,
            &format!("{password}\n"),
            Duration::from_secs(60),
        )
    };
    let refused = add("wrong", canary).code(1);
    assert!(!refused.stderr.contains(canary), "{}", refused.stderr);
    let password = host.password();
    let added = add("win", &password).ok();
    let log = home.berth_home().join("agent.log");
    let text = fs::read_to_string(&log).unwrap();
    assert!(
        text.lines().count() > 3,
        "BERTH_LOG reached the agent, or this says nothing:\n{text}"
    );
    assert!(text.contains("TRACE") || text.contains("DEBUG"), "{text}");
    for secret in [canary, &password] {
        assert!(!text.contains(secret), "a password is in the log");
        assert!(!(added.stdout.clone() + &added.stderr).contains(secret));
        for entry in fs::read_dir(home.berth_home()).unwrap().flatten() {
            if let Ok(bytes) = fs::read(entry.path()) {
                assert!(
                    !String::from_utf8_lossy(&bytes).contains(secret),
                    "a password is in {}",
                    entry.path().display()
                );
            }
        }
    }
    assert_eq!(
        support::keychain_items(&secrets),
        1,
        "the password that works is in the keychain, the one that does not is nowhere"
    );
}
