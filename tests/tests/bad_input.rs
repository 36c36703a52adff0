//! What a user can get wrong, and what a machine can: each is refused with the exit code that says what kind of
//! mistake it is, with words that are true and help, with nothing on standard output, nothing lost and nothing left.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use berth_tests::rig::{self, Home, PracticeHost, Ran, SecretService, Sshd, programs};
use serde_json::json;
use support::{Answer, FakeEngine, files, know_instance, status, text};

const LIMIT: Duration = Duration::from_secs(60);

/// Command lines and what each said, in one text to compare.
struct Transcript<'a> {
    home: &'a Home,
    replace: Vec<(String, String)>,
    text: String,
}

impl<'a> Transcript<'a> {
    fn of(home: &'a Home) -> Self {
        Self {
            home,
            replace: vec![
                (text(&home.berth_home()), "[BERTH]".into()),
                (text(&home.path()), "~".into()),
            ],
            text: String::new(),
        }
    }

    /// Shows `with` in the place of what differs from run to run.
    fn hide(&mut self, what: impl ToString, with: &str) {
        self.replace.push((what.to_string(), with.to_owned()));
    }

    /// Runs `berth`, and holds it to what every refusal keeps: its code, and nothing on standard output.
    fn refuses(&mut self, code: i32, arguments: &[&str]) {
        self.refuses_with(code, arguments, "");
    }

    fn refuses_with(&mut self, code: i32, arguments: &[&str], input: &str) {
        let ran = self.home.berth_with(arguments, input, LIMIT);
        self.note(code, arguments, &ran);
    }

    fn note(&mut self, code: i32, arguments: &[&str], ran: &Ran) {
        assert_eq!(
            ran.code,
            code,
            "`berth {}`\n{}{}",
            arguments.join(" "),
            ran.stdout,
            ran.stderr
        );
        assert_eq!(
            ran.stdout,
            "",
            "`berth {}`: a script that takes the output would take words for data",
            arguments.join(" ")
        );
        assert!(
            ran.took < Duration::from_secs(30),
            "`berth {}` took {:?}: nobody waits that long for a refusal",
            arguments.join(" "),
            ran.took
        );
        let line: Vec<_> = arguments
            .iter()
            .map(|word| {
                if word.is_empty()
                    || word
                        .chars()
                        .any(|c| !(c.is_ascii_alphanumeric() || "-_./:@[]~=,+".contains(c)))
                {
                    format!("{word:?}")
                } else {
                    (*word).to_owned()
                }
            })
            .collect();
        let _ = write!(
            self.text,
            "$ berth {}\n{}\n",
            line.join(" "),
            support::said(ran, &[])
        );
    }

    fn show(&self) -> String {
        let mut replace = self.replace.clone();
        replace.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        let mut text = self.text.clone();
        for (from, to) in &replace {
            text = text.replace(from, to);
        }
        text
    }
}

/// A container of Berth's as an engine lists it.
fn container(name: &str, id: &str) -> serde_json::Value {
    json!({
        "Id": format!("{:0<64}", id.replace('-', "")), "Names": [format!("/berth-{name}")],
        "Image": "mcr.microsoft.com/mssql/server:2022-latest", "ImageID": "sha256:00", "Command": "", "Created": 1_790_000_000,
        "State": "running", "Status": "Up 5 minutes", "Ports": [],
        "Labels": {
            "dev.berth.id": id, "dev.berth.name": name, "dev.berth.recipe": "linux", "dev.berth.version": "2022",
            "dev.berth.edition": "developer", "dev.berth.owner": "ada@macbook", "dev.berth.port": "14399",
            "dev.berth.data": "keep", "dev.berth.memory": "2147483648",
        },
    })
}

/// An engine with these containers and SQL Server's image, on which nothing can be changed: a test sees what was tried.
fn engine_with(containers: serde_json::Value) -> FakeEngine {
    let list = containers.to_string();
    FakeEngine::start(move |_, path| {
        if path.starts_with("/containers/json") {
            Some(Answer::Json(200, list.clone()))
        } else if path.starts_with("/images/") && path.contains("/json") {
            Some(Answer::Json(200, r#"{"Id":"sha256:00","RepoTags":["mcr.microsoft.com/mssql/server:2022-latest"],"Os":"linux","Architecture":"amd64","Size":1,"Config":{}}"#.into()))
        } else {
            None
        }
    })
}

fn untouched(engine: &FakeEngine) {
    let changes: Vec<_> = engine
        .asked()
        .into_iter()
        .filter(|a| !a.starts_with("GET "))
        .collect();
    assert!(
        changes.is_empty(),
        "a refusal must change nothing on the host: {changes:?}"
    );
}

#[test]
fn names_and_options_that_make_no_sense_are_usage_errors_before_anything_is_reached() {
    let home = Home::new();
    let engine = engine_with(json!([]));
    let _ = home.berth(&["host", "add", "mac", &engine.address()]).ok();
    let before = (files(&home), engine.asked().len());
    let mut t = Transcript::of(&home);
    let long = "x".repeat(51);
    for name in ["a b", "a/b/c", "", "ünicode", ".hidden", "a;b", &long] {
        t.refuses(2, &["up", name]);
    }
    let up = |option, value| ["up", "orders", option, value];
    for (option, value) in [
        ("--port", "0"),
        ("--port", "65536"),
        ("--port", "http"),
        ("--memory", "lots"),
        ("--memory", "0"),
        ("--memory", "100m"),
        ("--memory", "99999999999g"),
        ("--version", "1999"),
        ("--version", "latest"),
        ("--edition", "gold"),
        ("--data", "maybe"),
        ("--timeout", "soon"),
        ("--collation", "Latin1; DROP"),
        ("--database", "master"),
        ("--database", ""),
        ("--database", " space"),
        ("--format", "pdf"),
    ] {
        t.refuses(2, &up(option, value));
    }
    t.refuses(2, &["up", "mac/orders", "--host", "other"]);
    t.refuses(2, &["show"]);
    t.refuses(2, &["show", "a b"]);
    t.refuses(2, &["host", "add", "a b", &engine.address()]);
    t.refuses(2, &["remove", "orders", "--data", "burn"]);
    t.refuses(2, &["connection", "orders", "--format", "pdf"]);
    t.refuses(2, &["logs", "orders", "--since", "yesterday"]);
    t.refuses(2, &["nonsense"]);
    t.hide(engine.address(), "unix://[ENGINE]");
    insta::assert_snapshot!("usage", t.show());
    assert_eq!(files(&home), before.0, "files stay byte for byte");
    untouched(&engine);
}

#[test]
fn addresses_that_lead_nowhere_say_why() {
    let home = Home::new();
    let before = files(&home);
    let mut t = Transcript::of(&home);
    for address in [
        "winhost",
        "tcp://ada@winhost:2376",
        "http://winhost",
        "ssh://",
        "ssh://ada:hunter2@winhost",
        "ssh://ada@winhost:0",
        "ssh://ada@winhost:99999",
        "ssh://-oProxyCommand=x@winhost",
        "ssh://ada@win host",
        "unix://relative.sock",
        "practice:",
    ] {
        t.refuses(2, &["host", "add", "win", address]);
    }
    t.refuses(2, &["host", "add", "practice", "ssh://ada@winhost"]);
    t.refuses(4, &["host", "add", "win", "tcp://winhost:2375"]);
    t.refuses(2, &["host", "add", "win"]);
    t.refuses(4, &["host", "remove", "practice"]);
    t.refuses(3, &["host", "remove", "nobody"]);
    t.refuses(3, &["host", "show", "nobody"]);
    t.refuses(3, &["host", "check", "nobody"]);
    t.refuses(3, &["host", "use", "nobody"]);
    t.refuses(1, &["host", "add", "mac", "unix:///no/such/docker.sock"]);
    t.refuses(1, &["host", "add", "win", "ssh://ada@no-such-host.invalid"]);
    assert!(
        !t.text
            .replace("$ berth host add win ssh://ada:hunter2@winhost", "")
            .contains("hunter2"),
        "what was typed by mistake must not be repeated"
    );
    let log = fs::read_to_string(home.berth_home().join("agent.log")).unwrap();
    assert!(!log.contains("hunter2"), "nor logged");
    insta::with_settings!({filters => vec![
        // The resolver's own words differ from system to system.
        (r"because: failed to lookup address.*", "because: [RESOLVER]"),
    ]}, {
        insta::assert_snapshot!("addresses", t.show());
    });
    assert_eq!(files(&home), before);
}

/// Answers the first words of every connection with these bytes and closes it; with nothing it only listens.
fn server(says: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            if says.is_empty() {
                held.push(stream);
            } else {
                thread::spawn(move || {
                    let _ = stream.read(&mut [0; 1024]);
                    stream.write_all(says.as_bytes())
                });
            }
        }
    });
    port
}

#[test]
fn a_host_that_is_not_ssh_or_does_not_answer_is_told_apart() {
    let home = Home::new();
    let mut t = Transcript::of(&home);
    let (http, silent, closed) = (
        server("HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"),
        server(""),
        rig::free_port(),
    );
    for (port, name) in [(http, "[HTTP]"), (silent, "[SILENT]"), (closed, "[CLOSED]")] {
        t.refuses(
            1,
            &["host", "add", "win", &format!("ssh://ada@127.0.0.1:{port}")],
        );
        t.hide(port, name);
    }
    insta::assert_snapshot!("not_ssh", t.show());
    assert!(
        files(&home).is_empty(),
        "a host that was never reached is not remembered: {:?}",
        files(&home).keys()
    );
}

#[test]
fn engines_that_cannot_be_used_say_what_is_wrong() {
    let home = Home::new();
    let mut t = Transcript::of(&home);
    let old = FakeEngine::start(|_, path| {
        (path == "/version").then(|| {
            Answer::Json(200, r#"{"Version":"19.03.5","ApiVersion":"1.40","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64","KernelVersion":"4"}"#.into())
        })
    });
    let web = FakeEngine::start(|_, _| Some(Answer::Json(404, "<html>no such page</html>".into())));
    let odd = FakeEngine::start(|_, path| {
        (path == "/version").then(|| Answer::Json(200, r#"{"hello":"world"}"#.into()))
    });
    let failing = FakeEngine::start(|_, path| {
        (path != "/version")
            .then(|| Answer::Json(500, r#"{"message":"the graph driver is broken"}"#.into()))
    });
    for (engine, name) in [(&old, "[OLD]"), (&web, "[WEB]"), (&odd, "[ODD]")] {
        t.refuses(1, &["host", "add", "mac", &engine.address()]);
        t.hide(engine.address(), name);
    }
    assert!(files(&home).is_empty());
    let _ = home.berth(&["host", "add", "mac", &failing.address()]).ok();
    t.refuses(1, &["up", "orders", "--accept-eula"]);
    // A check's findings are what was asked for, whatever its end.
    let check = home.berth(&["host", "check", "mac"]);
    assert_eq!(check.code, 1, "{}", check.stderr);
    assert!(
        check.stdout.contains("the graph driver is broken")
            && check
                .stdout
                .contains("hint: Restart the host's Docker service"),
        "{}",
        check.stdout
    );
    t.hide(failing.address(), "[FAILING]");
    insta::assert_snapshot!("engines", t.show());
}

fn keygen(file: &Path, passphrase: &str) {
    programs::run(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-C", "t", "-N", passphrase, "-f"])
            .arg(file),
    );
}

#[test]
fn keys_and_passwords_that_do_not_open_the_host_say_what_would() {
    let Some(sshd) = Sshd::start() else { return };
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let home = Home::with_secrets(&secrets);
    let mut t = Transcript::of(&home);
    let folder = home.path().join("keys");
    fs::create_dir(&folder).unwrap();
    let (locked, stranger) = (folder.join("locked"), folder.join("stranger"));
    keygen(&locked, "open sesame");
    // Its public half is asked about first, as `ssh` does: only then is a passphrase of any use.
    sshd.accept(&folder.join("locked.pub"));
    keygen(&stranger, "");
    fs::write(folder.join("essay.txt"), "Dear diary").unwrap();
    let address = sshd.address();
    let trust = sshd.fingerprint();
    let add = |more: &[&'static str]| {
        let mut all = vec![
            "host".to_owned(),
            "add".into(),
            "lin".into(),
            address.clone(),
            "--trust-host-key".into(),
            trust.clone(),
        ];
        all.extend(more.iter().map(|m| (*m).to_owned()));
        all
    };
    for (code, more, input) in [
        (1, &["--identity", "keys/missing"][..], ""),
        (1, &["--identity", "keys"], ""),
        (1, &["--identity", "keys/essay.txt"], ""),
        (1, &["--identity", "keys/stranger.pub"], ""),
        (1, &["--identity", "keys/stranger"], ""),
        (1, &["--identity", "keys/locked"], ""),
        (
            1,
            &["--identity", "keys/locked", "--passphrase-stdin"],
            "wrong\n",
        ),
        (2, &["--identity", "keys/locked", "--passphrase-stdin"], ""),
        (1, &["--password-stdin"], "Canary-not-the-password\n"),
        (2, &["--password-stdin"], ""),
        (1, &[], ""),
    ] {
        let arguments = add(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // A key file that is not there is something that is not found.
        let code = if more.contains(&"keys/missing") {
            3
        } else {
            code
        };
        t.refuses_with(code, &arguments, input);
    }
    t.hide(&address, "ssh://[USER]@[HOST]");
    t.hide(format!("127.0.0.1:{}", sshd.port()), "[HOST]");
    t.hide(&trust, "[FINGERPRINT]");
    t.hide(format!("`{}`", sshd.user()), "`[USER]`");
    assert!(
        !t.text.contains("Canary"),
        "a password must not be repeated"
    );
    insta::assert_snapshot!("keys", t.show());
    assert!(
        !home.berth_home().join("hosts.json").exists(),
        "nothing that did not work is remembered"
    );
    assert_eq!(support::keychain_items(&secrets), 0, "nor its secrets");
}

#[test]
fn an_unknown_or_changed_host_key_is_refused_with_what_to_compare() {
    let Some(sshd) = Sshd::start() else { return };
    let home = Home::new();
    let mut t = Transcript::of(&home);
    let key = text(&sshd.client_key());
    let address = sshd.address();
    t.refuses(4, &["host", "add", "lin", &address, "--identity", &key]);
    t.refuses(
        4,
        &[
            "host",
            "add",
            "lin",
            &address,
            "--identity",
            &key,
            "--trust-host-key",
            "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ],
    );
    assert!(
        t.text
            .contains(&format!("--trust-host-key {}", sshd.fingerprint())),
        "the fingerprint is in the hint as it is to be typed, once it was compared:\n{}",
        t.text
    );
    assert!(
        files(&home).is_empty(),
        "a key that nobody trusted is not recorded"
    );

    // Another key of the same host is recorded: as after a machine in the middle came, or the host was made anew.
    let folder = home.path().join("other");
    fs::create_dir(&folder).unwrap();
    let other = folder.join("key");
    keygen(&other, "");
    let public = fs::read_to_string(folder.join("key.pub")).unwrap();
    let line = format!("[127.0.0.1]:{} {public}", sshd.port());
    fs::create_dir_all(home.berth_home()).unwrap();
    fs::write(home.berth_home().join("known_hosts"), line).unwrap();
    let before = files(&home);
    let recorded = programs::run(Command::new("ssh-keygen").arg("-lf").arg(&other));
    let recorded = recorded.split(' ').nth(1).unwrap().to_owned();
    t.refuses(4, &["host", "add", "lin", &address, "--identity", &key]);
    // Also when somebody says that it is fine: the recorded key has to be removed first.
    t.refuses(
        4,
        &[
            "host",
            "add",
            "lin",
            &address,
            "--identity",
            &key,
            "--trust-host-key",
            &sshd.fingerprint(),
        ],
    );
    assert!(
        t.text.contains(&recorded) && t.text.contains(&sshd.fingerprint()),
        "both keys are shown:\n{}",
        t.text
    );
    assert_eq!(
        files(&home),
        before,
        "a changed key never replaces the recorded one"
    );

    t.hide(&address, "ssh://[USER]@[HOST]");
    t.hide(format!("127.0.0.1:{}", sshd.port()), "HOST:PORT");
    t.hide(format!("[127.0.0.1]:{}", sshd.port()), "[HOST]:PORT");
    t.hide(sshd.fingerprint(), "[OFFERED]");
    t.hide(recorded, "[RECORDED]");
    t.hide(key, "[KEY]");
    insta::assert_snapshot!("host_keys", t.show());
}

#[test]
fn a_host_without_an_engine_says_which_ways_were_tried() {
    let Some(sshd) = Sshd::start() else { return };
    let home = Home::new();
    let mut t = Transcript::of(&home);
    t.refuses(
        1,
        &[
            "host",
            "add",
            "lin",
            &sshd.address(),
            "--identity",
            &text(&sshd.client_key()),
            "--trust-host-key",
            &sshd.fingerprint(),
        ],
    );
    t.hide(sshd.address(), "ssh://[USER]@[HOST]");
    t.hide(sshd.fingerprint(), "[FINGERPRINT]");
    t.hide(text(&sshd.client_key()), "[KEY]");
    t.hide(format!("127.0.0.1:{}", sshd.port()), "[HOST]");
    insta::assert_snapshot!("no_engine", t.show());
    assert!(!home.berth_home().join("hosts.json").exists());
}

#[test]
fn files_that_are_damaged_or_newer_are_left_alone_and_named() {
    let engine = engine_with(json!([]));
    let mut all = String::new();
    for (file, commands) in [
        (
            "hosts.json",
            &[
                &["host", "list"][..],
                &["list"],
                &["up", "orders"],
                &["host", "add", "b", "unix:///no.sock"],
            ][..],
        ),
        (
            "instances.json",
            &[
                &["list"],
                &["show", "orders"],
                &["remove", "orders"],
                &["up", "orders", "--accept-eula"],
            ],
        ),
        (
            "settings.json",
            &[&["up", "orders"], &["up", "orders", "--accept-eula"]],
        ),
    ] {
        for (what, bytes) in [
            ("half-written", &br#"{"version":1,"hosts":[{"name":"ma"#[..]),
            ("empty", b""),
            ("of a newer version", br#"{"version":99,"fancy":true}"#),
            ("not ours", b"[1,2,3]"),
        ] {
            let home = Home::new();
            let _ = home.berth(&["host", "add", "mac", &engine.address()]).ok();
            let _ = home.berth(&["agent", "stop"]).ok();
            let path = home.berth_home().join(file);
            fs::write(&path, bytes).unwrap();
            let hosts = || files(&home).remove(&home.berth_home().join("hosts.json"));
            let before = hosts();
            let mut t = Transcript::of(&home);
            let _ = writeln!(t.text, "# {file} is {what}");
            for (n, command) in commands.iter().enumerate() {
                if what == "half-written" || n == 0 {
                    t.refuses(4, command);
                }
            }
            assert_eq!(
                fs::read(&path).unwrap(),
                bytes,
                "`{file}`, {what}, must stay as it is: it may be all that somebody has"
            );
            assert_eq!(hosts(), before);
            assert!(
                status(&home).is_some(),
                "the agent comes up all the same, to say it"
            );
            t.hide(engine.address(), "unix://[ENGINE]");
            all += &t.show();
        }
    }
    insta::assert_snapshot!("files", all);
    untouched(&engine);
}

#[test]
fn a_full_disk_loses_nothing_and_says_so() {
    if !rig::is_isolated() {
        rig::skip("a full disk needs a mount of the test's own");
        return;
    }
    let engine = engine_with(json!([]));
    let other = engine_with(json!([]));
    let home = Home::new();
    fs::create_dir(home.berth_home()).unwrap();
    programs::run(
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs"])
            .arg(home.berth_home()),
    );
    let _ = home.berth(&["host", "add", "mac", &engine.address()]).ok();
    let before = files(&home);
    let fill = || {
        let mut filler = fs::File::options()
            .create(true)
            .append(true)
            .open(home.berth_home().join("filler"))
            .unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        while filler.write_all(&[0]).is_ok() {}
    };
    fill();
    let mut t = Transcript::of(&home);
    t.refuses(1, &["host", "add", "second", &other.address()]);
    t.refuses(1, &["host", "use", "mac"]);
    t.refuses(1, &["up", "orders", "--accept-eula"]);
    assert_eq!(files(&home), before, "what was there before is whole");
    // What only reads still works, also by an agent that starts on the full disk.
    let _ = home.berth(&["host", "list"]).ok();
    let _ = home.berth(&["agent", "stop"]).ok();
    let listed = home.berth(&["host", "list"]).ok();
    assert!(listed.stdout.contains("mac"));
    t.refuses(1, &["host", "use", "mac"]);
    fs::remove_file(home.berth_home().join("filler")).unwrap();
    let _ = home.berth(&["host", "use", "mac"]).ok();
    let left: Vec<_> = fs::read_dir(home.berth_home())
        .unwrap()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|n| n.contains(".new"))
        .collect();
    assert!(
        left.is_empty(),
        "half-written files would fill the disk again: {left:?}"
    );
    t.hide(other.address(), "unix://[SECOND]");
    insta::with_settings!({filters => vec![(r"\.new-\w+", ".new-[RANDOM]")]}, {
        insta::assert_snapshot!("full_disk", t.show());
    });
    untouched(&engine);
    let _ = home.berth(&["agent", "stop"]);
    programs::run(Command::new("umount").arg("-l").arg(home.berth_home()));
}

#[test]
fn without_a_keychain_or_with_a_locked_one_nothing_is_made_and_the_way_round_is_named() {
    let engine = engine_with(json!([]));
    let home = Home::new();
    let _ = home.berth(&["host", "add", "mac", &engine.address()]).ok();
    let mut t = Transcript::of(&home);
    t.refuses(1, &["up", "orders", "--accept-eula"]);
    untouched(&engine);
    assert_eq!(
        home.berth(&["list", "--json"]).ok().json()["instances"],
        json!([])
    );

    let Some(secrets) = SecretService::start() else {
        return;
    };
    secrets.lock();
    let locked = Home::with_secrets(&secrets);
    let _ = locked
        .berth(&["host", "add", "mac", &engine.address()])
        .ok();
    let ran = locked.berth_with(
        &["up", "orders", "--accept-eula"],
        "",
        Duration::from_secs(150),
    );
    t.text += "# the keychain is locked\n";
    t.note(1, &["up", "orders", "--accept-eula"], &ran);
    untouched(&engine);
    for text in t.text.split("# ") {
        assert!(
            text.contains("--password-file"),
            "the way round is named:\n{text}"
        );
    }
    insta::with_settings!({filters => vec![(r"because: zbus error: .*", "because: [NO BUS]")]}, {
        insta::assert_snapshot!("keychain", t.show());
    });
}

#[test]
fn a_keychain_that_comes_late_or_begins_anew_is_connected_with_by_the_same_agent() {
    let Some(mut secrets) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::start();
    let password = host.password();
    let home = Home::with_secrets(&secrets);
    let fingerprint = host.fingerprint();
    let address = host.address();
    let add = |name: &str| {
        home.berth_with(
            &[
                "host",
                "add",
                name,
                &address,
                "--password-stdin",
                "--trust-host-key",
                &fingerprint,
            ],
            &format!("{password}\n"),
            Duration::from_secs(60),
        )
    };
    secrets.stop();
    let none = add("early").code(1);
    assert!(none.stderr.contains("keychain"), "{}", none.stderr);
    secrets.unlock();
    let _ = add("win").ok();
    let agent = home.berth(&["agent", "status", "--json"]).ok().json();
    secrets.stop();
    secrets.unlock();
    let _ = add("again").ok();
    assert_eq!(
        home.berth(&["agent", "status", "--json"]).ok().json()["pid"],
        agent["pid"],
        "nobody has to end an agent because the desktop's session began anew"
    );
}

#[test]
fn a_password_file_that_cannot_be_used_is_refused_before_anything_is_made() {
    let engine = engine_with(json!([]));
    let home = Home::new();
    let _ = home.berth(&["host", "add", "mac", &engine.address()]).ok();
    let folder = home.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("weak", "canaryweak\n");
    write("short", "Ab1!\n");
    write("long", &format!("Canary1{}\n", "x".repeat(122)));
    write("huge", &"Canary1x".repeat(1000));
    write("empty", "");
    fs::write(folder.join("binary"), [0xff, 0xfe, b'A', 0, b'1', 0]).unwrap();
    programs::run(Command::new("mkfifo").arg(folder.join("pipe")));
    let mut t = Transcript::of(&home);
    for file in [
        "missing",
        "weak",
        "short",
        "long",
        "huge",
        "empty",
        "binary",
        ".",
        "pipe",
        "/dev/zero",
    ] {
        let code = if matches!(file, "weak" | "short" | "long" | "empty") {
            2
        } else {
            1
        };
        t.refuses(
            code,
            &["up", "orders", "--accept-eula", "--password-file", file],
        );
    }
    assert!(
        !t.text.to_lowercase().contains("canary"),
        "no password is repeated, not even a bad one:\n{}",
        t.text
    );
    insta::assert_snapshot!("password_files", t.show());
    untouched(&engine);
    assert!(!home.berth_home().join("instances.json").exists());
}

#[test]
fn an_instance_that_is_there_with_other_options_is_not_touched() {
    let engine = engine_with(json!([container(
        "orders",
        "aaaaaaaa-0000-4000-8000-000000000001"
    )]));
    let home = Home::new();
    let _ = home.berth(&["host", "add", "mac", &engine.address()]).ok();
    let mut t = Transcript::of(&home);
    t.refuses(
        4,
        &[
            "up",
            "orders",
            "--version",
            "2019",
            "--memory",
            "4g",
            "--port",
            "15000",
            "--database",
            "shop",
            "--data",
            "throwaway",
        ],
    );
    t.refuses(4, &["up", "orders", "--edition", "express"]);
    t.refuses(4, &["up", "orders", "--image", "my/sql:1"]);
    // A wish that differs in one thing that was never asked for when it was made.
    t.refuses(
        4,
        &["up", "orders", "--collation", "Latin1_General_100_BIN2"],
    );
    t.refuses(4, &["host", "remove", "mac"]);
    t.refuses(4, &["host", "add", "mac", &engine.address()]);
    t.refuses(4, &["up", "other", "--accept-eula", "--port", "14399"]);
    t.hide(engine.address(), "unix://[ENGINE]");
    insta::assert_snapshot!("other_options", t.show());
    untouched(&engine);
    assert!(
        home.berth(&["host", "show", "mac"]).code == 0,
        "the host is still there"
    );
}

#[test]
fn names_that_nobody_has_or_that_several_have_are_told_apart() {
    let home = Home::new();
    let mut t = Transcript::of(&home);
    t.refuses(2, &["up", "orders"]);
    t.refuses(3, &["up", "orders", "--host", "nobody"]);
    t.refuses(3, &["up", "nobody/orders"]);
    let (one, two) = (
        engine_with(json!([container(
            "orders",
            "aaaaaaaa-0000-4000-8000-000000000001"
        )])),
        engine_with(json!([container(
            "orders",
            "aaaaaaaa-0000-4000-8000-000000000002"
        )])),
    );
    let _ = home.berth(&["host", "add", "one", &one.address()]).ok();
    let _ = home.berth(&["host", "add", "two", &two.address()]).ok();
    t.refuses(2, &["up", "orders"]);
    for command in [
        "show",
        "start",
        "stop",
        "restart",
        "remove",
        "logs",
        "connection",
    ] {
        t.refuses(3, &[command, "nothing"]);
    }
    t.refuses(3, &["query", "nothing", "SELECT 1"]);
    t.refuses(3, &["show", "one/nothing"]);
    t.refuses(3, &["show", "nobody/orders"]);
    t.refuses(3, &["list", "--host", "nobody"]);
    t.refuses(2, &["show", "orders"]);
    t.refuses(2, &["remove", "orders"]);
    assert_eq!(
        home.berth(&["show", "one/orders", "--json"]).ok().json()["host"],
        "one"
    );
    // Its password is on the machine that made it.
    t.refuses(3, &["connection", "one/orders"]);
    insta::assert_snapshot!("names", t.show());
    untouched(&one);
    untouched(&two);
}

#[test]
fn the_licence_is_named_before_it_is_accepted() {
    let engine = engine_with(json!([]));
    let home = Home::new();
    let _ = home.berth(&["host", "add", "mac", &engine.address()]).ok();
    let before = files(&home);
    let mut t = Transcript::of(&home);
    t.refuses(4, &["up", "orders"]);
    insta::assert_snapshot!("licence", t.show());
    assert_eq!(files(&home), before, "not asked, not accepted");
    untouched(&engine);
}

#[test]
fn a_port_that_cannot_be_had_says_who_has_it() {
    let engine = engine_with(json!([]));
    let home = Home::new();
    let (listener, mine) = (TcpListener::bind("127.0.0.1:0").unwrap(), rig::free_port());
    let taken = listener.local_addr().unwrap().port();
    let (far, _) = (server(""), ());
    know_instance(&home, &format!("ssh://nobody@127.0.0.1:{far}"), mine);
    let _ = home.berth(&["host", "add", "mac", &engine.address()]).ok();
    let mut t = Transcript::of(&home);
    for (port, code) in [(taken, 1), (mine, 4)] {
        t.refuses(
            code,
            &[
                "up",
                "orders",
                "--host",
                "mac",
                "--accept-eula",
                "--port",
                &port.to_string(),
            ],
        );
    }
    let me = std::process::id().to_string();
    assert!(
        t.text.contains(&me) || programs::find("lsof").is_none(),
        "who is in the way is named, so that it can be ended:\n{}",
        t.text
    );
    t.hide(format!("process {me}"), "process [PID]");
    t.hide(taken, "[TAKEN]");
    t.hide(mine, "[MINE]");
    insta::with_settings!({filters => vec![(r"`bad_input[^`]*`", "`[PROGRAM]`"), (r"--port \d+`", "--port [FREE]`")]}, {
        insta::assert_snapshot!("ports", t.show());
    });
    untouched(&engine);
}

#[test]
fn a_folder_that_cannot_be_had_is_named() {
    let home = Home::new();
    let run = |folder: &Path| {
        let mut command = home.command(&programs::built("berth"));
        command.args(["host", "list"]).env("BERTH_HOME", folder);
        rig::home::run(&mut command, "", LIMIT)
    };
    let mut t = Transcript::of(&home);
    fs::write(home.path().join("file"), "x").unwrap();
    let deep = home.path().join("d".repeat(120));
    for folder in [
        home.path().join("file"),
        home.path().join("file/below"),
        deep,
    ] {
        let ran = run(&folder);
        t.note(1, &["host", "list"], &ran);
    }
    assert!(
        fs::metadata(home.path().join("file"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
            != 0o700
    );
    insta::assert_snapshot!("folders", t.show());
}
