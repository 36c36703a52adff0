//! The rig proves itself: what the suites stand on works, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path, process::Command, time::Duration};

use berth_tests::rig::{
    self, Dockerd, Home, LinuxHost, PracticeHost, SecretService, Sshd, programs,
};

/// An image with one program that prints a line, listens on port 1433 and answers `rig` to whoever comes.
fn load_listener(dockerd: &Dockerd) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("listener.c");
    fs::write(
        &source,
        r#"
        #include <arpa/inet.h>
        #include <stdio.h>
        #include <string.h>
        #include <unistd.h>
        int main(void) {
            struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(1433) };
            int door = socket(AF_INET, SOCK_STREAM, 0);
            if (bind(door, (struct sockaddr *)&at, sizeof at) || listen(door, 8)) return 1;
            puts("listening");
            fflush(stdout);
            for (;;) {
                int guest = accept(door, 0, 0);
                if (guest < 0) return 2;
                if (write(guest, "rig", 3) < 0) return 3;
                close(guest);
            }
        }"#,
    )
    .unwrap();
    let program = folder.path().join("listener");
    programs::run(
        Command::new("cc")
            .args(["-static", "-O1", "-o"])
            .arg(&program)
            .arg(&source),
    );
    let archive = folder.path().join("image.tar");
    programs::run(
        Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(folder.path())
            .arg("listener"),
    );
    programs::run(
        dockerd
            .command()
            .args(["import", "--change", "ENTRYPOINT [\"/listener\"]"])
            .arg(&archive)
            .arg("rig/listener:1"),
    );
}

fn read_from(address: &str) -> Option<String> {
    use std::{io::Read, net::TcpStream};
    let mut text = String::new();
    TcpStream::connect(address)
        .ok()?
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

#[test]
fn an_engine_runs_containers_that_are_reached_by_address_and_by_published_port() {
    let Some(mut dockerd) = Dockerd::start() else {
        return;
    };
    load_listener(&dockerd);
    let port = rig::free_port();
    let id = dockerd.docker(&[
        "run",
        "-d",
        "--memory",
        "64m",
        "--stop-timeout",
        "1",
        "--restart",
        "always",
        "-p",
        &format!("127.0.0.1:{port}:1433"),
        "rig/listener:1",
    ]);
    let address = dockerd.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &id]);
    for at in [format!("{address}:1433"), format!("127.0.0.1:{port}")] {
        let text = rig::wait_for(&at, Duration::from_secs(10), || {
            read_from(&at).filter(|text| !text.is_empty())
        });
        assert_eq!(text, "rig", "the suites reach a container at {at}");
    }
    assert_eq!(dockerd.docker(&["logs", &id]), "listening");

    dockerd.restart();
    rig::wait_for(
        "the container to be up after its engine came back",
        Duration::from_secs(10),
        || (dockerd.docker(&["inspect", "-f", "{{.State.Running}}", &id]) == "true").then_some(()),
    );
    dockerd.crash();
    assert!(
        dockerd
            .command()
            .arg("ps")
            .output()
            .is_ok_and(|out| !out.status.success()),
        "a crashed engine is gone"
    );
}

#[test]
fn a_linux_host_offers_its_engine_over_ssh() {
    let Some(dockerd) = Dockerd::start() else {
        return;
    };
    let Some(sshd) = Sshd::start() else { return };
    let said = programs::run(
        sshd.ssh()
            .arg("docker info --format '{{.OSType}} {{.ContainersRunning}}'"),
    );
    assert_eq!(
        said, "linux 0",
        "the docker command on the host finds the engine at the default socket"
    );

    // What Berth does: the engine's socket through a forward of the same connection.
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("engine");
    let mut forward = sshd.ssh();
    let forward = {
        let mut command = Command::new(forward.get_program());
        command.args(["-N", "-L"]).arg(format!(
            "{}:{}",
            local.display(),
            dockerd.socket().display()
        ));
        command.args(forward.get_args());
        std::mem::swap(&mut forward, &mut command);
        forward
    };
    let _forward = rig::process::Daemon::start(&forward, &folder.path().join("log"));
    rig::wait_for(
        "the engine through the forward",
        Duration::from_secs(10),
        || {
            let mut docker = Command::new("docker");
            docker
                .arg("-H")
                .arg(format!("unix://{}", local.display()))
                .args(["version", "-f", "{{.Server.Os}}"]);
            docker.output().ok().filter(|out| out.status.success())
        },
    );
}

#[test]
fn sshd_takes_a_key_and_a_password_and_can_cut_its_connections() {
    let Some(mut sshd) = Sshd::start() else {
        return;
    };
    assert_eq!(programs::run(sshd.ssh().arg("echo $((6 * 7))")), "42");
    assert!(
        sshd.host_key().starts_with("ssh-ed25519 AAAA"),
        "the suites compare with this key"
    );
    assert!(
        sshd.fingerprint().starts_with("SHA256:"),
        "the suites compare with this fingerprint"
    );

    if let Some(account) = sshd.password_account() {
        let folder = tempfile::tempdir().unwrap();
        let ask = folder.path().join("ask");
        fs::write(&ask, "#!/bin/sh\nprintf '%s\\n' \"$THE_PASSWORD\"\n").unwrap();
        programs::run(Command::new("chmod").arg("0700").arg(&ask));
        let said = |password: &str| {
            Command::new("ssh")
                .args([
                    "-F",
                    "none",
                    "-o",
                    "StrictHostKeyChecking=no",
                    "-o",
                    "NumberOfPasswordPrompts=1",
                    "-o",
                ])
                .arg(format!(
                    "UserKnownHostsFile={}",
                    sshd.known_hosts().display()
                ))
                .args([
                    "-o",
                    "PreferredAuthentications=password",
                    "-p",
                    &sshd.port().to_string(),
                ])
                .args([&format!("{}@127.0.0.1", account.name), "id -un; echo ~"])
                .env("SSH_ASKPASS", &ask)
                .env("SSH_ASKPASS_REQUIRE", "force")
                .env("THE_PASSWORD", password)
                .output()
                .unwrap()
        };
        let right = said(account.password.unwrap());
        assert_eq!(
            String::from_utf8_lossy(&right.stdout),
            format!("developer\n{}\n", account.home.display()),
            "the right password signs in:\n{}\n{}",
            String::from_utf8_lossy(&right.stderr),
            sshd.log()
        );
        assert!(
            !said("wrong").status.success(),
            "a wrong password must not sign in, or no test of it means anything"
        );
    } else {
        rig::skip("sign-in by password needs accounts of the test's own");
    }

    let mut held = sshd
        .ssh()
        .arg("echo up; cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 3];
    std::io::Read::read_exact(held.stdout.as_mut().unwrap(), &mut first).unwrap();
    sshd.cut_connections();
    assert!(
        !held.wait().unwrap().success(),
        "a cut connection ends its client"
    );
    assert_eq!(
        programs::run(sshd.ssh().arg("echo again")),
        "again",
        "the server still listens"
    );
    sshd.stop();
    assert!(
        !sshd.ssh().arg("true").status().unwrap().success(),
        "a stopped server refuses"
    );
}

#[test]
fn a_secret_service_is_unlocked_then_locked() {
    let Some(service) = SecretService::start() else {
        return;
    };
    assert_eq!(service.locked(), Some(false));
    service.lock();
    assert_eq!(service.locked(), Some(true));
}

#[test]
fn what_a_test_starts_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut sleeper = Command::new("/bin/sh");
    sleeper.args(["-c", "echo $$; exec sleep 600"]);
    let daemon = rig::process::Daemon::start(&sleeper, &folder.path().join("log"));
    let pid = rig::wait_for("its id", Duration::from_secs(5), || {
        daemon.log().trim().parse::<u32>().ok()
    });
    let alive = || {
        Command::new("kill")
            .args(["-0", &pid.to_string()])
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(alive(), "it runs while its owner lives");
    let panicked = std::thread::spawn(move || {
        let _daemon = daemon;
        panic!("as a failing test does");
    });
    assert!(panicked.join().is_err());
    rig::wait_for(
        "the process to end with the panic",
        Duration::from_secs(5),
        || (!alive()).then_some(()),
    );
}

#[test]
fn a_home_gives_a_program_nothing_of_the_machine() {
    let home = Home::new();
    let ran = rig::home::run(
        &mut home.command(Path::new("/usr/bin/env")),
        "",
        Duration::from_secs(5),
    )
    .ok();
    let names: Vec<_> = ran
        .stdout
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert!(
        names.contains(&"BERTH_HOME"),
        "Berth's paths move with one variable"
    );
    for machine in ["DOCKER_HOST", "SSH_AUTH_SOCK", "CARGO_HOME", "DISPLAY"] {
        assert!(
            !names.contains(&machine),
            "{machine} of this machine would leak into a test"
        );
    }
    let home_line = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("HOME="))
        .unwrap();
    assert_eq!(home_line, format!("HOME={}", home.path().display()));
}

#[test]
fn a_command_that_leaves_its_output_open_is_told_apart() {
    let mut leaky = Command::new("/bin/sh");
    leaky.args(["-c", "sleep 5 & echo done"]);
    let panicked =
        std::thread::spawn(move || rig::home::run(&mut leaky, "", Duration::from_secs(5))).join();
    let message = panicked.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("keeps its stdout open"), "{message}");
}

#[test]
fn drivers_answer_their_own_error_where_nothing_listens() {
    let port = rig::free_port();
    let ado = format!(
        "Server=tcp:127.0.0.1,{port};User ID=sa;Password=x;Encrypt=True;TrustServerCertificate=True;Connect Timeout=3"
    );
    let odbc = format!(
        "Driver={{ODBC Driver 18 for SQL Server}};Server=tcp:127.0.0.1,{port};UID=sa;PWD=x;Encrypt=yes;TrustServerCertificate=yes"
    );
    let object = format!(
        "{{ server: '127.0.0.1', options: {{ port: {port}, trustServerCertificate: true, connectTimeout: 3000 }}, authentication: {{ type: 'default', options: {{ userName: 'sa', password: 'x' }} }} }}"
    );
    let line = format!("tsql -H 127.0.0.1 -p {port} -U sa -P -");
    let said = [
        ("SqlClient", rig::drivers::sqlclient(&ado, "SELECT 1")),
        ("ODBC", rig::drivers::odbc(&odbc, "SELECT 1")),
        ("tedious", rig::drivers::tedious(&object, "SELECT 1")),
        ("mssql", rig::drivers::mssql(&ado, "SELECT 1")),
        ("tsql", rig::drivers::tsql(&line, "x", "SELECT 1")),
        ("tiberius", Some(rig::drivers::tiberius(&ado, "SELECT 1"))),
    ];
    for (driver, opened) in said {
        let Some(opened) = opened else { continue };
        let error = opened.expect_err("nothing listens there");
        eprintln!("{driver}: {error}");
        assert!(
            [
                "refused",
                "ECONNREFUSED",
                "network-related",
                "Failed to connect",
                "Login timeout",
                "20009",
            ]
            .iter()
            .any(|word| error.contains(word)),
            "{driver} must have tried to connect, and not have stumbled before: {error}"
        );
    }
}

#[test]
fn the_sql_image_starts_on_a_linux_host() {
    let Some(host) = LinuxHost::start() else {
        return;
    };
    let id = host.dockerd.docker(&[
        "run",
        "-d",
        "-e",
        "ACCEPT_EULA=Y",
        "-e",
        "MSSQL_SA_PASSWORD=Passw0rd-of-the-rig",
        rig::sql_image::OFFICIAL,
    ]);
    let address = host
        .dockerd
        .docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &id]);
    let ado = format!(
        "Server=tcp:{address},1433;User ID=sa;Password=Passw0rd-of-the-rig;Encrypt=True;TrustServerCertificate=True"
    );
    let rows = rig::wait_for(
        "the practice SQL engine to answer",
        Duration::from_secs(20),
        || {
            assert_eq!(
                host.dockerd
                    .docker(&["inspect", "-f", "{{.State.Status}}", &id]),
                "running",
                "{}",
                String::from_utf8_lossy(
                    &host
                        .dockerd
                        .command()
                        .args(["logs", &id])
                        .output()
                        .unwrap()
                        .stdout
                )
            );
            rig::drivers::tiberius(&ado, "SELECT 41 + 1").ok()
        },
    );
    assert_eq!(rows, [[42]]);
}

#[test]
fn the_practice_host_is_a_windows_host_to_openssh_and_docker() {
    let mut host = PracticeHost::start();
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known_hosts");
    let port = host.port().to_string();
    let ssh = || {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
        ])
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(host.client_key())
        .args(["-p", &port]);
        ssh
    };
    assert_eq!(
        programs::run(ssh().args(["Administrator@127.0.0.1", "echo BERTH %OS% $env:OS"])),
        "BERTH Windows_NT $env:OS",
        "its shell is cmd.exe"
    );
    if programs::find("docker").is_none() {
        rig::skip("Docker's client is not installed");
        return;
    }
    let engine = rig::free_port();
    let mut forward = ssh();
    forward.args([
        "-N",
        "-L",
        &format!("127.0.0.1:{engine}:127.0.0.1:2375"),
        "Administrator@127.0.0.1",
    ]);
    let mut forward = rig::process::Daemon::start(&forward, &folder.path().join("log"));
    let os = forward.wait_for(
        "the engine through the forward",
        Duration::from_secs(10),
        || {
            let mut docker = Command::new("docker");
            docker.args([
                "-H",
                &format!("tcp://127.0.0.1:{engine}"),
                "version",
                "-f",
                "{{.Server.Os}}",
            ]);
            let said = docker.output().ok().filter(|said| said.status.success())?;
            Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
        },
    );
    assert_eq!(os, "windows");
    drop(forward);

    let before = host.fingerprint();
    host.reboot(&[]);
    assert_eq!(
        host.port().to_string(),
        port,
        "a machine keeps its address over a reboot"
    );
    assert_eq!(host.fingerprint(), before, "and its host key");
}
