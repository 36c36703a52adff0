//! Hosts over TCP with TLS on both sides, and docker's contexts: Docker's own engine on the other end.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{fs, path::Path, process::Command};

use berth_tests::rig::{
    Authority, Dockerd, Home, LinuxHost, authority::Pair, free_port, home, programs,
};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// An engine that also listens on a port with TLS.
fn engine(authority: &Authority, pair: &Pair) -> Option<(Dockerd, u16)> {
    let port = free_port();
    let at = format!("tcp://127.0.0.1:{port}");
    let (ca, cert, key) = (text(&authority.ca()), text(&pair.cert), text(&pair.key));
    let dockerd = Dockerd::with(&[
        "-H",
        &at,
        "--tlsverify",
        "--tlscacert",
        &ca,
        "--tlscert",
        &cert,
        "--tlskey",
        &key,
    ])?;
    Some((dockerd, port))
}

fn add(home: &Home, at: &str, ca: &Path, client: &Pair) -> home::Ran {
    home.berth(&[
        "host",
        "add",
        "far",
        at,
        "--ca",
        &text(ca),
        "--cert",
        &text(&client.cert),
        "--key",
        &text(&client.key),
        "--json",
    ])
}

#[test]
fn an_engine_behind_tls_is_a_host_like_any_other() {
    let authority = Authority::new();
    let server = authority.server("server", &["localhost", "127.0.0.1"], 4000);
    let Some((dockerd, port)) = engine(&authority, &server) else {
        return;
    };
    dockerd.load_sql_image();
    let home = Home::new();
    let client = authority.client("cert");
    let at = format!("tcp://127.0.0.1:{port}");
    let host = add(&home, &at, &authority.ca(), &client).ok().json();
    assert_eq!(host["os"], "linux");
    assert_eq!(host["route"], "TCP with TLS on both sides");

    let password = home.write("password", "Tcp-Passw0rd-24-letters");
    let up = home
        .berth(&[
            "up",
            "one",
            "--accept-eula",
            "--password-file",
            &text(&password),
        ])
        .ok();
    assert!(
        up.line().contains("127.0.0.1,"),
        "an engine on this machine publishes there: {}",
        up.line()
    );
    let rows = home
        .berth(&["query", "one", "SELECT 6 * 7 AS n", "--json"])
        .ok();
    assert!(rows.stdout.contains("42"), "{}", rows.stdout);

    let known = fs::read_to_string(home.berth_home().join("hosts.json")).unwrap();
    let key = fs::read_to_string(&client.key).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(
        known.contains(&text(&client.key)),
        "the file's place is remembered"
    );
    assert!(!known.contains(secret), "and never what it holds");

    // The certificates are read again for each link: one that was renewed in place goes on working, one that went
    // away is missed.
    let _ = home.berth(&["agent", "stop", "--force"]).ok();
    fs::remove_file(&client.key).unwrap();
    let listed = home.berth(&["list", "--json"]).json();
    let why = listed["unreached"][0]["error"].to_string();
    assert!(
        why.contains("cert-key.pem") && why.contains("cannot be read"),
        "{why}"
    );
    let _ = authority.client("cert");
    let listed = home.berth(&["list", "--json"]).json();
    assert_eq!(listed["instances"][0]["state"], "running", "{listed}");
}

#[test]
fn dockers_own_engine_is_understood_when_it_refuses_or_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = authority.server("server", &["localhost"], 4000);
    let Some((_dockerd, port)) = engine(&authority, &server) else {
        return;
    };
    let (ours, theirs) = (authority.client("cert"), other.client("cert"));
    let home = Home::new();
    let name = format!("tcp://localhost:{port}");
    for (at, ca, client, code, parts) in [
        // The engine does not know who signed ours; in TLS 1.3 it says so after the handshake.
        (
            &name,
            authority.ca(),
            &theirs,
            1,
            ["does not accept your certificate", "--tlscacert"],
        ),
        (
            &name,
            other.ca(),
            &theirs,
            4,
            ["is not from the authority in", "ca.pem"],
        ),
        (
            &format!("tcp://127.0.0.1:{port}"),
            authority.ca(),
            &ours,
            4,
            ["is for another name", "subjectAltName"],
        ),
    ] {
        let ran = add(&home, at, &ca, client).code(code);
        for part in parts {
            assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
        }
    }
    let plain = home.berth(&["host", "add", "far", &name]).code(1);
    assert!(
        plain.stderr.contains("HTTP") || plain.stderr.contains("broke"),
        "plain TCP to a TLS port: {}",
        plain.stderr
    );
    let hosts = home.berth(&["host", "list", "--json"]).ok().json();
    assert_eq!(
        hosts.as_array().unwrap().len(),
        1,
        "nothing was added but the practice host: {hosts}"
    );
}

#[test]
fn plain_tcp_stays_on_this_machine() {
    let home = Home::new();
    let far = home
        .berth(&["host", "add", "far", "tcp://192.0.2.7:2375"])
        .code(4);
    assert!(
        far.stderr.contains("without TLS") && far.stderr.contains("--ca"),
        "{}",
        far.stderr
    );
    let some = home
        .berth(&[
            "host",
            "add",
            "far",
            "tcp://192.0.2.7:2375",
            "--ca",
            "/ca.pem",
            "--cert",
            "/cert.pem",
        ])
        .code(2);
    assert!(some.stderr.contains("--key"), "{}", some.stderr);
    let port = free_port();
    let at = format!("tcp://127.0.0.1:{port}");
    let Some(_dockerd) = Dockerd::with(&["-H", &at, "--tls=false"]) else {
        return;
    };
    let host = home
        .berth(&["host", "add", "near", &at, "--json"])
        .ok()
        .json();
    assert_eq!(host["route"], "TCP on this machine");
}

/// Makes a context as the `docker` command does, by that command.
fn make_context(home: &Home, name: &str, endpoint: &str) {
    let docker = programs::find("docker").unwrap();
    programs::run(
        home.command(&docker)
            .args(["context", "create", name, "--docker", endpoint]),
    );
}

#[test]
fn hosts_are_taken_from_dockers_contexts() {
    let Some(docker) = programs::find("docker") else {
        berth_tests::rig::skip("Docker's command is not installed");
        return;
    };
    let authority = Authority::new();
    let server = authority.server("server", &["localhost"], 4000);
    let Some((_dockerd, port)) = engine(&authority, &server) else {
        return;
    };
    let client = authority.client("cert");
    let home = Home::new();
    let at = format!("tcp://localhost:{port}");
    make_context(
        &home,
        "far",
        &format!(
            "host={at},ca={},cert={},key={}",
            text(&authority.ca()),
            text(&client.cert),
            text(&client.key)
        ),
    );
    make_context(
        &home,
        "careless",
        &format!("host={at},skip-tls-verify=true"),
    );
    make_context(&home, "by-ssh", "host=ssh://somebody@192.0.2.7");

    let listed = home.berth(&["host", "list"]).ok();
    assert!(
        listed
            .stderr
            .contains("berth host add NAME --docker-context far")
            && listed
                .stderr
                .contains("berth host add NAME --docker-context by-ssh"),
        "what docker knows is offered: {}",
        listed.stderr
    );
    let host = home
        .berth(&["host", "add", "far", "--docker-context", "far", "--json"])
        .ok()
        .json();
    assert_eq!(
        (&host["address"], &host["context"]),
        (&at.clone().into(), &"far".into())
    );
    let listed = home.berth(&["host", "list"]).ok();
    assert!(
        !listed.stderr.contains("--docker-context far"),
        "it is there now: {}",
        listed.stderr
    );

    let careless = home
        .berth(&["host", "add", "x", "--docker-context", "careless"])
        .code(4);
    assert!(
        careless.stderr.contains("not to verify"),
        "{}",
        careless.stderr
    );
    let unknown = home
        .berth(&["host", "add", "x", "--docker-context", "fra"])
        .code(3);
    assert!(
        unknown.stderr.contains("careless, far"),
        "the others are named: {}",
        unknown.stderr
    );

    // Elsewhere, by the variable that docker itself honours.
    let elsewhere = home.path().join("elsewhere");
    fs::rename(home.path().join(".docker"), &elsewhere).unwrap();
    let berth = programs::built("berth");
    let with = |name: &str, value: &str, arguments: &[&str]| {
        let mut command = home.command(&berth);
        home::run(
            command.env(name, value).args(arguments),
            "",
            std::time::Duration::from_secs(60),
        )
    };
    let _ = with(
        "DOCKER_CONFIG",
        &text(&elsewhere),
        &["host", "add", "again", "--docker-context", "far"],
    )
    .ok();

    let offered = with(
        "DOCKER_HOST",
        "ssh://ada@192.0.2.8",
        &["host", "add", "win"],
    )
    .code(2);
    assert!(
        offered
            .stderr
            .contains("berth host add win ssh://ada@192.0.2.8"),
        "where `docker` would go is offered: {}",
        offered.stderr
    );
    // Berth reads what docker wrote and never runs it.
    assert!(Command::new(docker).arg("--version").output().is_ok());
}

#[test]
fn a_context_over_ssh_leads_there() {
    let Some(host) = LinuxHost::start() else {
        return;
    };
    let home = Home::new();
    make_context(&home, "rig", &format!("host={}", host.sshd.address()));
    let view = home
        .berth(&[
            "host",
            "add",
            "rig",
            "--docker-context",
            "rig",
            "--identity",
            &text(&host.sshd.client_key()),
            "--trust-host-key",
            &host.sshd.fingerprint(),
            "--json",
        ])
        .ok()
        .json();
    assert_eq!(view["context"], "rig");
    assert_eq!(view["os"], "linux");
}
