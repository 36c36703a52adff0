//! A SQL Server image is built on a Windows host, and instances are made of it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::Stdio,
    time::Duration,
};

use berth_tests::rig::{Dockerd, Home, PracticeHost, drivers, sql_image::OFFICIAL, wait_for};
use serde_json::{Value, json};
use support::Background;

const SOON: Duration = Duration::from_secs(60);

const IMAGE: &str = "berth/sql:2022-express-ltsc2022";
const BUILD: [&str; 5] = ["image", "build", "2022-express", "--host", "win"];

fn added(host: &PracticeHost) -> Home {
    let home = Home::new();
    let _ = home.add("win", host);
    home
}

/// A host that was bare and is one for containers now.
fn prepared(host: &PracticeHost) -> Home {
    let home = added(host);
    let _ = home.berth(&["host", "prepare", "win", "--yes"]).ok();
    home
}

fn list(home: &Home) -> Value {
    home.berth(&["image", "list", "--host", "win", "--json"])
        .json()
}

fn accepting<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&BUILD[..], &["--accept-eula"], more].concat()
}

#[test]
fn from_a_bare_machine_to_a_driver_that_connects() {
    for machine in ["bare-2019", "bare-2022", "bare-2025"] {
        let host = PracticeHost::playing(machine, &[]);
        let home = prepared(&host);
        let image = if machine == "bare-2019" {
            "berth/sql:2022-express-ltsc2019"
        } else {
            IMAGE
        };
        // Nobody need know of images: what is missing is said with what makes it.
        let missing = home
            .berth(&["up", "one", "--host", "win", "--accept-eula"])
            .code(3);
        assert!(
            missing
                .stderr
                .contains("berth image build 2022-express --host win"),
            "{machine}: {}",
            missing.stderr
        );
        let refused = home.berth(&BUILD).code(4);
        assert!(
            refused
                .stderr
                .contains("Windows container base image terms")
                && !refused.stderr.contains("SQL Server licence terms"),
            "what was accepted before is not asked for again: {}",
            refused.stderr
        );
        let built = home.berth(&accepting(&["--json"])).ok();
        let lines: Vec<Value> = built
            .stdout
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        for (what, why) in [
            ("Base image: Downloading", "the base is fetched"),
            ("installing SQL Server", "our own steps are told"),
            (
                "Setup: 10 of 10 done",
                "what Setup says is told as it comes",
            ),
        ] {
            assert!(
                lines.iter().any(|l| l["text"] == what),
                "{machine}: {why}: {}",
                built.stdout
            );
        }
        assert_eq!(lines.last().unwrap()["outcome"]["changed"], true);
        let all = list(&home);
        assert_eq!(all[0]["reference"], image, "{all}");
        assert_eq!(all[0]["recipe"], "2022-express");
        assert_eq!(all[0]["recipe_version"], "1");
        let labels = host
            .running()
            .model()
            .image(image)
            .unwrap_or_else(|_| panic!("{image} is there"))
            .config
            .labels;
        assert_eq!(
            labels["dev.berth.image.hash"].len(),
            64,
            "the hash is on the image: {labels:?}"
        );

        let file = home.write("password", "Abcdefghijkl0123456789XY");
        let file = file.display().to_string();
        let up = home
            .berth(&["up", "one", "--host", "win", "--password-file", &file])
            .ok();
        let said = home
            .berth(&["query", "one", "SELECT 42 AS answer", "--csv"])
            .ok();
        assert!(said.stdout.contains("42"), "{}", said.stdout);
        if machine == "bare-2022"
            && let Some(opened) = drivers::sqlclient(up.stdout.trim(), "SELECT 42 AS answer")
        {
            assert_eq!(opened, Ok(vec![vec![json!(42)]]), "the string opens it");
        }
        let used = home
            .berth(&["image", "remove", image, "--host", "win"])
            .code(4);
        assert!(
            used.stderr.contains("is in use") && used.stderr.contains("`one`"),
            "{}",
            used.stderr
        );
        let _ = home.berth(&["remove", "one", "--data", "delete"]).ok();
        let _ = home
            .berth(&["image", "remove", image, "--host", "win"])
            .ok();
        assert_eq!(list(&home), json!([]));
    }
}

#[test]
fn the_licences_are_named_asked_once_and_written_down_with_their_time() {
    let host = PracticeHost::start();
    let home = added(&host);
    let refused = home.berth(&BUILD).code(4);
    for name in [
        "Microsoft SQL Server licence terms",
        "Windows container base image terms",
        "--accept-eula",
        "does not support SQL Server in Windows containers",
    ] {
        assert!(refused.stderr.contains(name), "{name}: {}", refused.stderr);
    }
    let _ = home.berth(&accepting(&[])).ok();
    let terms = home.berth(&["image", "recipes", "--json"]).json();
    for one in terms["terms"].as_array().unwrap() {
        assert!(
            one["accepted_at"].as_str().unwrap().starts_with("20"),
            "when it was accepted is kept: {terms}"
        );
    }
    let again = home.berth(&BUILD).ok();
    assert!(
        again.stderr.contains("is there already"),
        "what is there is not built twice: {}",
        again.stderr
    );
}

#[test]
fn a_build_that_fails_says_why_and_what_helps_and_the_next_one_goes_on() {
    for (fault, cause, help) in [
        ("build-fails=download", "download ended with 6", "DNS"),
        ("build-fails=hash", "has the SHA-256", "proxy"),
        (
            "build-fails=setup",
            "Wait on the Database Engine recovery handle failed",
            "sectors over 4 KB",
        ),
        (
            "disk-full",
            "not enough space on the disk",
            "free some space",
        ),
    ] {
        let mut host = PracticeHost::playing("ready", &[fault]);
        let home = added(&host);
        let build = [
            "image",
            "build",
            "2019-developer",
            "--host",
            "win",
            "--accept-eula",
        ];
        let failed = home.berth(&build).code(1);
        assert!(
            failed.stderr.contains(cause) && failed.stderr.contains(help),
            "{fault}: {}",
            failed.stderr
        );
        assert!(
            failed.stderr.contains("cache for the next try"),
            "{fault}: it is not all lost: {}",
            failed.stderr
        );
        assert_eq!(
            list(&home).as_array().unwrap().len(),
            1,
            "{fault}: nothing half is listed beside the image that was there"
        );
        host.reboot(&[]);
        let next = home.berth(&[&build[..], &["--json"]].concat()).ok();
        if fault.starts_with("build-fails") {
            assert!(
                next.stdout.contains("Using cache"),
                "{fault}: what was finished is not done again: {}",
                next.stdout
            );
        }
    }
}

#[test]
fn a_cancelled_build_leaves_nothing_behind() {
    let mut host = PracticeHost::playing("ready", &["slow-build=600"]);
    let home = added(&host);
    let before = list(&home);
    let mut build = Background::start(
        &home,
        &[
            "image",
            "build",
            "2017-express",
            "--host",
            "win",
            "--accept-eula",
            "--json",
        ],
    );
    wait_for("setup to begin", SOON, || {
        build
            .stdout()
            .contains("installing SQL Server")
            .then_some(())
    });
    build.interrupt();
    let code = build.code(SOON);
    assert_eq!(code, 1, "{}", build.stderr());
    assert!(
        build.stderr().contains("Cancelled"),
        "it says that it was cancelled: {}",
        build.stderr()
    );
    assert_eq!(list(&home), before, "no image of it is there");
    assert_eq!(
        host.running().model().containers().len(),
        0,
        "no container of it is there"
    );
    host.reboot(&[]);
    let _ = home
        .berth(&["image", "build", "2017-express", "--host", "win"])
        .ok();
}

#[test]
fn old_images_are_made_anew_and_what_nothing_uses_is_removed() {
    let host = PracticeHost::start();
    let home = added(&host);
    let _ = home.berth(&accepting(&[])).ok();
    let first = list(&home);
    let rebuild = |age: &str| {
        home.berth(&["image", "rebuild", "--host", "win", "--older-than", age])
            .ok()
    };
    let young = rebuild("1d");
    assert!(
        young.stderr.contains("No image is that old"),
        "{}",
        young.stderr
    );
    assert_eq!(list(&home)[0]["id"], first[0]["id"]);

    let file = home.write("password", "Abcdefghijkl0123456789XY");
    let file = file.display().to_string();
    let _ = home
        .berth(&["up", "one", "--host", "win", "--password-file", &file])
        .ok();
    // Until it is older than the second that is asked for.
    let old_enough = || {
        wait_for("the image to be a second old", SOON, || {
            let said = rebuild("1s").stderr;
            (!said.contains("No image is that old")).then_some(said)
        })
    };
    let stays = old_enough();
    assert!(stays.contains("stays for the 1 instance"), "{stays}");
    let both = list(&home);
    let of = |all: &Value, current: bool| -> Vec<Value> {
        let ours = |i: &&Value| i["recipe"] == "2022-express" && i["current"] == current;
        all.as_array()
            .unwrap()
            .iter()
            .filter(ours)
            .cloned()
            .collect()
    };
    let (new, old) = (of(&both, true), of(&both, false));
    assert_eq!((new.len(), old.len()), (1, 1), "{both}");
    assert_eq!(new[0]["used_by"], json!([]), "{both}");
    assert_eq!(old[0]["used_by"], json!(["one"]), "{both}");
    let _ = home.berth(&["remove", "one", "--data", "delete"]).ok();
    let gone = old_enough();
    assert!(gone.contains("is removed"), "{gone}");
    assert_eq!(of(&list(&home), false), Vec::<Value>::new());
}

#[test]
fn what_was_built_from_an_installer_of_ones_own_is_never_made_anew_from_another() {
    let host = PracticeHost::start();
    let home = added(&host);
    let file = home.write("SQLEXPR.exe", &"MZ, mine ".repeat(1000));
    let media = ["--media", &file.display().to_string()];
    let _ = home.berth(&accepting(&media)).ok();
    let ours = |home: &Home| {
        let all = list(home);
        let one = |i: &&Value| i["reference"] == IMAGE;
        all.as_array().unwrap().iter().find(one).cloned().unwrap()
    };
    let before = ours(&home);
    let said = wait_for("the image to be a second old", SOON, || {
        let again = ["image", "rebuild", "--host", "win", "--older-than", "1s"];
        let said = home.berth(&again).ok().stderr;
        said.contains(IMAGE).then_some(said)
    });
    assert!(
        said.contains("an installer of your own") && said.contains("--media"),
        "it is named, with what makes it anew: {said}"
    );
    assert_eq!(
        ours(&home)["id"],
        before["id"],
        "Microsoft's installer took nobody's place unasked"
    );
}

#[test]
fn an_installer_of_ones_own_is_used_when_it_is_the_one_that_was_meant() {
    let host = PracticeHost::start();
    let home = added(&host);
    let bytes = "MZ, as an installer begins".repeat(40_000);
    let file = home.write("SQLEXPR.exe", &bytes);
    let file = file.display().to_string();
    let build = [
        "image",
        "build",
        "2014-developer",
        "--host",
        "win",
        "--accept-eula",
    ];
    let none = home.berth(&build).code(2);
    assert!(none.stderr.contains("--media"), "{}", none.stderr);
    let zeros = "0".repeat(64);
    let wrong = [&build[..], &["--media", &file, "--sha256", &zeros]].concat();
    let wrong = home.berth(&wrong).code(4);
    assert!(
        wrong.stderr.contains("not the one that you mean"),
        "{}",
        wrong.stderr
    );
    let fine = [&build[..], &["--media", &file, "--json"]].concat();
    let fine = home.berth(&fine).ok();
    assert!(
        fine.stdout.contains("taking media/SQLEXPR.exe") && fine.stdout.contains("Sending"),
        "{}",
        fine.stdout
    );
    let url = "https://files.example/SQLEXPR.exe";
    let unhashed = home
        .berth(&[&build[..], &["--media", url]].concat())
        .code(2);
    assert!(unhashed.stderr.contains("--sha256"), "{}", unhashed.stderr);
    let hash = "ab".repeat(32);
    let fetched = [&build[..], &["--media", url, "--sha256", &hash, "--json"]].concat();
    let fetched = home.berth(&fetched).ok();
    assert!(
        fetched.stdout.contains("downloading https://files.example"),
        "{}",
        fetched.stdout
    );
}

#[test]
fn another_collation_is_another_image() {
    let host = PracticeHost::start();
    let home = added(&host);
    let wish = ["--collation", "Latin1_General_100_BIN2"];
    let up = ["up", "one", "--host", "win", "--accept-eula"];
    let missing = home.berth(&[&up[..], &wish].concat()).code(3);
    assert!(
        missing
            .stderr
            .contains("image build 2022-express --collation Latin1_General_100_BIN2"),
        "{}",
        missing.stderr
    );
    let _ = home.berth(&accepting(&wish)).ok();
    let file = home.write("password", "Abcdefghijkl0123456789XY");
    let file = file.display().to_string();
    let up = [&up[..], &wish, &["--password-file", &file]].concat();
    let _ = home.berth(&up).ok();
    let said = home
        .berth(&[
            "query",
            "one",
            "SELECT CAST(SERVERPROPERTY('Collation') AS nvarchar(100)) AS c",
            "--csv",
        ])
        .ok();
    assert!(
        said.stdout.contains("Latin1_General_100_BIN2"),
        "what was asked for is what is there: {}",
        said.stdout
    );
}

/// A user with a folder of their own, and Docker's own engine.
fn docker() -> Option<(Home, Dockerd)> {
    let dockerd = Dockerd::with_sql_image()?;
    let home = Home::new();
    let _ = home.berth(&["host", "add", "win", &dockerd.address()]).ok();
    Some((home, dockerd))
}

#[test]
fn a_folder_of_ones_own_is_built_by_dockers_builder() {
    let Some((home, dockerd)) = docker() else {
        return;
    };
    let file = home.write(
        "own/Dockerfile",
        &format!("FROM {OFFICIAL}\nLABEL mine=yes\nCOPY sub/data.bin /data.bin\n"),
    );
    let folder = file.parent().unwrap().display().to_string();
    let build = [
        "image",
        "build",
        "--folder",
        &folder,
        "--name",
        "mine/sql:1",
        "--host",
        "win",
    ];
    let missing = home.berth(&build).code(1);
    assert!(
        missing.stderr.contains("sub/data.bin"),
        "the builder's own reason is told: {}",
        missing.stderr
    );
    // Larger than a piece of what is sent, and no multiple of what a tar counts in.
    let bytes = "0123456789abcdef".repeat(100_000) + "!";
    let _ = home.write("own/sub/data.bin", &bytes);
    let built = home.berth(&[&build[..], &["--json"]].concat()).ok();
    assert!(
        built.stdout.contains("Step 3/4") && built.stdout.contains("Sending"),
        "{}",
        built.stdout
    );
    let shown = dockerd.docker(&[
        "inspect",
        "mine/sql:1",
        "--format",
        "{{.Config.Labels.mine}} {{index .Config.Labels \"dev.berth.image.built\"}}",
    ]);
    assert!(shown.starts_with("yes 20"), "{shown}");
    let _ = dockerd.docker(&["create", "--name", "look", "mine/sql:1"]);
    let out = home.path().join("out.bin").display().to_string();
    let _ = dockerd.docker(&["cp", "look:/data.bin", &out]);
    assert_eq!(
        std::fs::read_to_string(&out).unwrap(),
        bytes,
        "what was sent is what is there"
    );
    let _ = dockerd.docker(&["rm", "look"]);
    let again = home.berth(&[&build[..], &["--json"]].concat()).ok();
    assert!(
        again.stdout.contains("Using cache"),
        "the time on the label does not spoil the cache: {}",
        again.stdout
    );
    // It is an image like any other.
    let file = home.write("password", "Abcdefghijkl0123456789XY");
    let file = file.display().to_string();
    let _ = home
        .berth(&[
            "up",
            "one",
            "--host",
            "win",
            "--image",
            "mine/sql:1",
            "--accept-eula",
            "--password-file",
            &file,
        ])
        .ok();
    let said = home.berth(&["query", "one", "SELECT 42", "--csv"]).ok();
    assert!(said.stdout.contains("42"), "{}", said.stdout);
    let recipe = home
        .berth(&["image", "build", "2022", "--host", "win", "--accept-eula"])
        .code(4);
    assert!(
        recipe.stderr.contains("no Windows host"),
        "{}",
        recipe.stderr
    );
}

#[test]
fn a_build_that_hangs_in_dockers_builder_is_cancelled_with_its_container() {
    let Some((home, dockerd)) = docker() else {
        return;
    };
    // SQL Server's stand-in runs for as long as it is let.
    let file = home.write(
        "own/Dockerfile",
        &format!("FROM {OFFICIAL}\nENV ACCEPT_EULA=Y MSSQL_SA_PASSWORD=Throw-away-1\nRUN [\"/opt/mssql/bin/sqlservr\"]\n"),
    );
    let folder = file.parent().unwrap().display().to_string();
    let before = dockerd.docker(&["ps", "-aq"]);
    let mut build = Background::start(
        &home,
        &[
            "image",
            "build",
            "--folder",
            &folder,
            "--name",
            "mine/sql:1",
            "--host",
            "win",
            "--json",
        ],
    );
    wait_for("the builder's container to run", SOON, || {
        assert!(build.ended().is_none(), "{}", build.stderr());
        (!dockerd.docker(&["ps", "-q"]).is_empty()).then_some(())
    });
    build.interrupt();
    assert_eq!(build.code(SOON), 1, "{}", build.stderr());
    wait_for("the builder's container to be gone", SOON, || {
        (dockerd.docker(&["ps", "-aq"]) == before).then_some(())
    });
    assert_eq!(dockerd.docker(&["images", "-q", "mine/sql"]), "");
}

fn sha256(bytes: &[u8]) -> String {
    let mut child = std::process::Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let said = child.wait_with_output().unwrap().stdout;
    format!("sha256:{}", String::from_utf8_lossy(&said[..64]))
}

/// A registry that has one image of one file, `mine/tiny:1`, for as long as the test lives.
fn registry() -> u16 {
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    layer
        .append_data(&mut header, "hello", &b"hello"[..])
        .unwrap();
    let layer = layer.into_inner().unwrap();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [sha256(&layer)] },
    })
    .to_string()
    .into_bytes();
    let kind = |what: &str| format!("application/vnd.oci.image.{what}");
    let about = |what: &str, bytes: &[u8]| json!({ "mediaType": kind(what), "digest": sha256(bytes), "size": bytes.len() });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind("manifest.v1+json"),
        "config": about("config.v1+json", &config), "layers": [about("layer.v1.tar", &layer)],
    })
    .to_string()
    .into_bytes();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while let Some(Ok(line)) = lines.next()
                && !line.is_empty()
            {
                if asked.is_empty() {
                    asked = line;
                }
            }
            let path = asked.split(' ').nth(1).unwrap_or_default();
            let digest = |bytes: &[u8]| path.ends_with(&sha256(bytes));
            let (status, body): (&str, &[u8]) = if path == "/v2/" {
                ("200 OK", b"{}")
            } else if path == "/v2/mine/tiny/manifests/1" || digest(&manifest) {
                ("200 OK", &manifest)
            } else if digest(&config) {
                ("200 OK", &config)
            } else if digest(&layer) {
                ("200 OK", &layer)
            } else {
                ("404 Not Found", b"{}")
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: {}\r\nDocker-Content-Digest: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                kind("manifest.v1+json"),
                sha256(body),
                body.len()
            );
            if !asked.starts_with("HEAD") {
                let _ = stream.write_all(body);
            }
        }
    });
    port
}

#[test]
fn an_image_of_a_registry_is_fetched_by_dockers_engine() {
    let Some((home, dockerd)) = docker() else {
        return;
    };
    let place = format!("127.0.0.1:{}/mine", registry());
    let pull = |name: &str| {
        let reference = format!("{place}/{name}");
        home.berth(&["image", "pull", &reference, "--host", "win"])
    };
    let first = pull("tiny:1").ok();
    assert!(
        first.stderr.contains("is there") && first.stderr.contains("berth up --image"),
        "what comes next is said: {}",
        first.stderr
    );
    let there = dockerd.docker(&["images", "-q", &format!("{place}/tiny")]);
    assert!(!there.is_empty(), "the engine has it");
    let again = pull("tiny:1").ok();
    assert!(
        again.stderr.contains("was there already"),
        "{}",
        again.stderr
    );
    let missing = pull("other:1");
    assert!(
        missing.code != 0 && missing.stderr.contains("because:"),
        "what is not there is said: {}",
        missing.stderr
    );
    let own = ["image", "pull", "berth/sql:2022", "--host", "win"];
    let own = home.berth(&own).code(2);
    assert!(own.stderr.contains("berth image build"), "{}", own.stderr);
}
