//! Against a real dockerd, in a network, mount and process namespace of its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use berth_core::{BoxFuture, ByteStream, Code, Dial, Error, Result, Secret, secret::ExposeSecret};
use berth_engine::{
    ContainerSpec, Engine, Event, Input, LogOptions, LogStream, MAX_OUTPUT, Mount, MountKind, Os,
    Publish, RestartPolicy, RunState,
};
use futures_util::{StreamExt, TryStreamExt};
use tempfile::TempDir;
use tokio::net::UnixStream;

const PROGRAM: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void ended(int s) { (void)s; printf("bye\n"); fflush(stdout); _exit(3); }
int main(int n, char **a) {
  char buffer[65536]; ssize_t got;
  const char *what = n > 1 ? a[1] : "serve";
  if (!strcmp(what, "serve")) {
    signal(SIGTERM, ended);
    printf("ready \xc3\xbc\n"); fflush(stdout);
    fprintf(stderr, "warning\n");
    for (int i = 0; i < 70000; i++) putchar('x');
    printf("\nlast\n"); fflush(stdout);
    for (;;) pause();
  }
  if (!strcmp(what, "cat")) {
    while ((got = read(0, buffer, sizeof buffer)) > 0) if (write(1, buffer, got) != got) return 9;
    fprintf(stderr, "done\n");
    return 7;
  }
  if (!strcmp(what, "env")) { printf("%s", getenv(a[2])); return 0; }
  if (!strcmp(what, "flood")) {
    memset(buffer, 'y', sizeof buffer);
    for (int i = 0; i < 128; i++) if (write(1, buffer, sizeof buffer) < 0) return 9;
    return 0;
  }
  if (!strcmp(what, "hang")) for (;;) pause();
  if (!strcmp(what, "fail")) { fprintf(stderr, "no\n"); return 41; }
  return 2;
}
"#;

/// A dockerd that ends with this value, and everything that it started with it.
struct Dockerd {
    child: Child,
    dir: TempDir,
}

impl Dockerd {
    /// None where this machine cannot have one; says so.
    async fn start() -> Option<Self> {
        for tool in ["dockerd", "docker", "gcc", "unshare", "ip"] {
            let found = Command::new("sh")
                .args(["-c", &format!("command -v {tool}")])
                .output();
            if !found.is_ok_and(|o| o.status.success()) {
                eprintln!("SKIPPED: no `{tool}` here, so nothing is shown about a real engine");
                return None;
            }
        }
        let root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|o| o.stdout == b"0\n");
        if !root {
            eprintln!("SKIPPED: not root, so nothing is shown about a real engine");
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("berth-dockerd-")
            .tempdir()
            .unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let log = std::fs::File::create(at("log")).unwrap();
        let script = format!(
            "ip link set lo up; exec dockerd --data-root {} --exec-root {} --pidfile {} -H unix://{}",
            at("data"),
            at("exec"),
            at("pid"),
            at("docker.sock")
        );
        let child = Command::new("unshare")
            .args([
                "-n",
                "-m",
                "-p",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-c",
                &script,
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut dockerd = Self { child, dir };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while Engine::connect(dockerd.dial()).await.is_err() {
            if let Some(status) = dockerd.child.try_wait().unwrap() {
                panic!("dockerd ended with {status}: {}", dockerd.log());
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "dockerd does not answer: {}",
                dockerd.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        dockerd.build();
        Some(dockerd)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn dial(&self) -> Arc<dyn Dial> {
        Arc::new(Socket(self.dir.path().join("docker.sock")))
    }

    async fn engine(&self) -> Engine {
        Engine::connect(self.dial()).await.unwrap()
    }

    fn build(&self) {
        let context = self.dir.path().join("context");
        std::fs::create_dir(&context).unwrap();
        std::fs::write(context.join("toy.c"), PROGRAM).unwrap();
        std::fs::write(
            context.join("Dockerfile"),
            "FROM scratch\nCOPY toy /toy\nLABEL berth.test=yes\nENTRYPOINT [\"/toy\"]\n",
        )
        .unwrap();
        run(&context, "gcc", &["-static", "-O1", "-o", "toy", "toy.c"]);
        let socket = format!("unix://{}", self.dir.path().join("docker.sock").display());
        run(
            &context,
            "docker",
            &["-H", &socket, "build", "-q", "-t", "toy:1", "."],
        );
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // The child's death takes its whole process namespace along, and the mounts with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(dir: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("DOCKER_BUILDKIT", "0")
        .env("DOCKER_CONFIG", dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

struct Socket(PathBuf);

impl Dial for Socket {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            match UnixStream::connect(&self.0).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn ByteStream>),
                Err(e) => Err(Error::new(Code::Unreachable, e.to_string())),
            }
        })
    }
}

fn spec(name: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: "toy:1".into(),
        labels: BTreeMap::from([("berth.id".into(), name.into())]),
        ..ContainerSpec::default()
    }
}

async fn ended(engine: &Engine, id: &str) {
    engine.remove(id, true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_lives_and_dies() {
    let Some(dockerd) = Dockerd::start().await else {
        return;
    };
    let engine = dockerd.engine().await;
    assert_eq!(engine.about().os, Os::Linux);
    let info = engine.info().await.unwrap();
    assert_eq!((info.os, info.containers), (Os::Linux, 0));
    assert!(
        info.memory_bytes > 0 && info.cpus > 0 && info.root_dir.ends_with("/data"),
        "{info:?}"
    );

    let image = engine
        .image("toy:1")
        .await
        .unwrap()
        .expect("the image was built");
    assert_eq!(
        (image.os.as_str(), image.labels["berth.test"].as_str()),
        ("linux", "yes")
    );
    assert!(image.size > 0 && image.tags == ["toy:1"], "{image:?}");
    assert_eq!(engine.image("toy:2").await.unwrap(), None);

    let events = engine.events(None, Some("berth.id=one"));
    let heard = tokio::spawn(async move {
        events
            .map_ok(|e: Event| e.action)
            .try_take_while(|action| std::future::ready(Ok(action != "destroy")))
            .try_collect::<Vec<_>>()
            .await
    });
    engine
        .create_volume(
            "Data",
            &BTreeMap::from([("berth.data".into(), "one".into())]),
        )
        .await
        .unwrap();
    let mut wanted = spec("one");
    wanted.env = vec![("PW".into(), Secret::from("hunter=2"))];
    wanted.hostname = Some("inside".into());
    wanted.memory = Some(64 << 20);
    wanted.restart = RestartPolicy::UnlessStopped;
    wanted.stop_timeout = Some(Duration::from_secs(5));
    wanted.mounts = vec![Mount {
        kind: MountKind::Volume,
        source: "Data".into(),
        target: "/data".into(),
        read_only: false,
    }];
    wanted.publish = Some(Publish {
        container: 1433,
        address: "127.0.0.1".parse().unwrap(),
        host: 14_330,
    });
    let id = engine.create(&wanted).await.unwrap();

    let listed = engine.containers(Some("berth.id=one")).await.unwrap();
    assert_eq!(
        (listed.len(), listed[0].state, listed[0].name.as_str()),
        (1, RunState::Created, "one")
    );
    assert!(
        engine
            .containers(Some("berth.id=two"))
            .await
            .unwrap()
            .is_empty()
    );

    engine.start(&id).await.unwrap();
    engine.start(&id).await.expect("starting what runs is fine");
    let listed = engine.containers(None).await.unwrap().remove(0);
    assert_eq!(listed.state, RunState::Running);
    assert_eq!(
        listed.ports[0].host,
        Some(("127.0.0.1".parse().unwrap(), 14_330))
    );
    let seen = engine.inspect("one").await.unwrap();
    assert_eq!(
        (seen.id.as_str(), seen.state.running, seen.memory),
        (id.as_str(), true, Some(64 << 20))
    );
    assert_eq!(seen.restart, RestartPolicy::UnlessStopped);
    assert_eq!(
        (seen.addresses.len(), &seen.addresses),
        (1, &listed.addresses),
        "a tunnel dials it"
    );
    assert_eq!(seen.mounts, wanted.mounts);
    let (_, password) = seen.env.iter().find(|(name, _)| name == "PW").unwrap();
    assert_eq!(password.expose_secret(), "hunter=2");

    let mut stats = engine.stats("one");
    let first = stats.next().await.unwrap().unwrap();
    assert_eq!(first.memory_limit, Some(64 << 20), "{first:?}");
    let second = stats.next().await.unwrap().unwrap();
    assert!(
        second
            .cpu_percent
            .is_some_and(|p| (0.0..500.0).contains(&p)),
        "{second:?}"
    );
    drop(stats);

    // Everything that has a name twice, or is in use.
    let twice = engine.create(&spec("one")).await.unwrap_err();
    assert_eq!(
        twice.get_detail("container"),
        Some(id.as_str()),
        "{twice:?}"
    );
    assert_eq!(
        engine.remove("one", false).await.unwrap_err().code(),
        Code::Refused
    );
    assert_eq!(
        engine.remove_volume("Data").await.unwrap_err().code(),
        Code::Refused
    );
    let mut same_port = spec("two");
    same_port.publish = wanted.publish;
    let two = engine.create(&same_port).await.unwrap();
    let taken = engine.start(&two).await.unwrap_err();
    assert_eq!(
        taken.get_detail("container"),
        Some("one"),
        "the holder of the port is named: {taken:?}"
    );
    ended(&engine, &two).await;

    engine.rename("one", "renamed").await.unwrap();
    engine
        .stop("renamed", Duration::from_secs(10))
        .await
        .unwrap();
    engine
        .stop("renamed", Duration::from_secs(10))
        .await
        .expect("stopping what does not run is fine");
    assert_eq!(
        engine
            .wait("renamed", Duration::from_secs(5))
            .await
            .unwrap(),
        3,
        "it was asked, not killed"
    );
    let seen = engine.inspect(&id).await.unwrap();
    assert_eq!(
        (seen.state.status, seen.state.exit_code),
        (RunState::Exited, 3)
    );
    assert!(
        seen.addresses.is_empty(),
        "what does not run has no address"
    );

    engine.start(&id).await.unwrap();
    let waiting = engine
        .wait(&id, Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(waiting.code(), Code::TimedOut);
    engine.kill(&id).await.unwrap();
    assert_eq!(
        engine.wait(&id, Duration::from_secs(10)).await.unwrap(),
        137
    );
    ended(&engine, &id).await;
    assert_eq!(
        engine.inspect(&id).await.unwrap_err().code(),
        Code::NotFound
    );
    engine.remove_volume("Data").await.unwrap();
    assert_eq!(
        engine.volume("Data").await.unwrap_err().code(),
        Code::NotFound
    );

    let heard = tokio::time::timeout(Duration::from_secs(10), heard)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    for action in ["create", "start", "die", "stop", "rename", "kill"] {
        assert!(
            heard.iter().any(|a| a == action),
            "{action} is missing in {heard:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_inside_and_logs_come_as_lines() {
    let Some(dockerd) = Dockerd::start().await else {
        return;
    };
    let engine = dockerd.engine().await;
    let id = engine.create(&spec("one")).await.unwrap();
    engine.start(&id).await.unwrap();
    let limit = Duration::from_secs(20);

    let secret = Secret::from("pä'ss\n".repeat(50_000));
    let out = engine
        .exec(&id, &["/toy", "cat"], Some(Input::Secret(&secret)), limit)
        .await
        .unwrap();
    assert_eq!(
        (out.code, out.stderr.as_slice(), out.cut),
        (7, b"done\n".as_slice(), false)
    );
    assert!(
        out.stdout == secret.expose_secret().as_bytes(),
        "every byte goes in and comes back"
    );
    let out = engine
        .exec(&id, &["/toy", "fail"], None, limit)
        .await
        .unwrap();
    assert_eq!((out.code, out.stderr.as_slice()), (41, b"no\n".as_slice()));
    let out = engine
        .exec(&id, &["/toy", "cat"], Some(Input::Bytes(b"")), limit)
        .await
        .unwrap();
    assert_eq!(
        (out.code, out.stdout.len()),
        (7, 0),
        "an empty input ends, too"
    );
    let out = engine
        .exec(&id, &["/toy", "fail"], Some(Input::Secret(&secret)), limit)
        .await
        .unwrap();
    assert_eq!(
        out.code, 41,
        "a command that reads nothing has ended all the same"
    );
    let out = engine
        .exec(&id, &["/toy", "flood"], None, limit)
        .await
        .unwrap();
    assert_eq!((out.code, out.stdout.len(), out.cut), (0, MAX_OUTPUT, true));
    let out = engine.exec(&id, &["/none"], None, limit).await.unwrap();
    assert!(out.code == 126 || out.code == 127, "{out:?}");
    let start = tokio::time::Instant::now();
    let hangs = engine
        .exec(&id, &["/toy", "hang"], None, Duration::from_millis(400))
        .await
        .unwrap_err();
    assert_eq!(hangs.code(), Code::TimedOut, "{hangs}");
    assert!(start.elapsed() < Duration::from_secs(5));

    let followed = engine.logs(
        &id,
        LogOptions {
            follow: true,
            timestamps: true,
            ..LogOptions::default()
        },
    );
    let followed = tokio::spawn(followed.try_collect::<Vec<_>>());
    engine.stop(&id, Duration::from_secs(10)).await.unwrap();
    let lines = tokio::time::timeout(limit, followed)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let of = |stream| lines.iter().filter(move |l| l.stream == stream);
    let out: Vec<&str> = of(LogStream::Out).map(|l| l.text.as_str()).collect();
    assert_eq!(out[0], "ready ü");
    assert_eq!(
        out[out.len() - 2..],
        ["last", "bye"],
        "following ends with the container"
    );
    assert_eq!(
        out[1..out.len() - 2].concat(),
        "x".repeat(70_000),
        "a line that the engine sent in pieces is whole, without times in between"
    );
    assert_eq!(
        of(LogStream::Err)
            .map(|l| l.text.as_str())
            .collect::<Vec<_>>(),
        ["warning"]
    );
    assert!(
        lines
            .iter()
            .all(|l| l.time.as_ref().is_some_and(|t| t.ends_with('Z'))),
        "{:?}",
        lines[0]
    );

    let tail = LogOptions {
        tail: Some(1),
        ..LogOptions::default()
    };
    let last: Vec<_> = engine.logs(&id, tail).try_collect().await.unwrap();
    assert_eq!(
        (last.len(), last[0].text.as_str(), &last[0].time),
        (1, "bye", &None)
    );
    let not_running = engine.exec(&id, &["/toy"], None, limit).await.unwrap_err();
    assert!(
        not_running.to_string().contains("is not running"),
        "{not_running}"
    );
    ended(&engine, &id).await;
    let gone = engine
        .logs(&id, LogOptions::default())
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_says_what_and_what_to_do() {
    let Some(mut dockerd) = Dockerd::start().await else {
        return;
    };
    let engine = dockerd.engine().await;

    let mut missing = spec("one");
    missing.image = "none:1".into();
    let error = engine.create(&missing).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "{error}");
    assert!(
        error.what_to_do().unwrap().contains("Pull or build"),
        "{error:?}"
    );

    let mut small = spec("one");
    small.memory = Some(1);
    assert!(
        engine
            .create(&small)
            .await
            .unwrap_err()
            .to_string()
            .contains("memory")
    );

    let mut odd = spec("one");
    odd.env = vec![(String::new(), Secret::from("hunter2"))];
    let error = engine.create(&odd).await.unwrap_err();
    assert!(
        !format!("{error:?}").contains("hunter2"),
        "the engine quotes it: {error:?}"
    );

    // No network in here: the registry cannot be reached, and that is what it says.
    let error = engine
        .pull("registry.invalid/a:b", None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot reach the registry"),
        "{error}"
    );

    let mut fails = spec("two");
    fails.command = Some(vec!["fail".into()]);
    let id = engine.create(&fails).await.unwrap();
    engine.start(&id).await.unwrap();
    assert_eq!(engine.wait(&id, Duration::from_secs(10)).await.unwrap(), 41);
    let error = engine.kill(&id).await.unwrap_err();
    assert!(error.to_string().contains("not running"), "{error}");
    ended(&engine, &id).await;

    // The engine dies under a stream and under the pool.
    // A stream says nothing of when it began to listen: something happens until it has heard.
    let mut events = engine.events(None, None);
    let mut next = tokio::spawn(async move { events.next().await });
    let mut heard = None;
    for n in 0..200 {
        engine
            .create_volume(&format!("xy{n}"), &BTreeMap::new())
            .await
            .unwrap();
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(50), &mut next).await {
            heard = Some(event);
            break;
        }
    }
    heard
        .expect("a stream of events hears of volumes")
        .unwrap()
        .unwrap()
        .unwrap();
    let mut events = engine.events(None, None);
    let waiting = tokio::spawn(async move { events.next().await });
    assert!(!engine.volumes(None).await.unwrap().is_empty());
    dockerd.child.kill().unwrap();
    dockerd.child.wait().unwrap();
    let end = tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap()
        .unwrap();
    assert!(
        !matches!(end, Some(Ok(_))),
        "a stream ends with its engine: {end:?}"
    );
    let error = engine.containers(None).await.unwrap_err();
    assert_eq!(error.code(), Code::Unreachable, "{error:?}");
}
