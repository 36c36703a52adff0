//! What a real engine does not do on demand: hang, lie, speak old dialects, answer rubbish.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use berth_core::{Code, Error, Secret};
use berth_engine::{ContainerSpec, Engine, EventKind, LogOptions, Os};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::fake::{Behaviour, Fake, Served, VERSION, json, pieces};

async fn connect(fake: &Arc<Fake>) -> berth_core::Result<Engine> {
    Engine::connect(Arc::new(Served(Arc::clone(fake)))).await
}

/// Waits for what another task does; in paused time it costs nothing.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen");
}

#[tokio::test]
async fn the_agreed_version_is_in_every_path_and_connections_are_kept() {
    let fake = Fake::engine(|_| json(200, "[]"));
    let engine = connect(&fake).await.unwrap();
    assert_eq!(engine.about().os, Os::Windows);
    assert_eq!(engine.about().api_version.to_string(), "1.52");
    for _ in 0..20 {
        assert!(
            engine
                .containers(Some("berth.id"))
                .await
                .unwrap()
                .is_empty()
        );
    }
    let paths = fake.paths();
    assert_eq!(paths.len(), 21, "a list is one request");
    assert!(
        paths[1..]
            .iter()
            .all(|p| p.starts_with("GET /v1.52/containers/json?")),
        "{}",
        paths[1]
    );
    assert!(
        paths[1].contains("all=true"),
        "stopped ones are listed too: {}",
        paths[1]
    );
    assert_eq!(
        fake.dials.load(Ordering::SeqCst),
        1,
        "each dial is a channel of the SSH connection"
    );
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_named() {
    let fake = Fake::new(Behaviour::Http(Box::new(|_| {
        json(
            200,
            r#"{"Version":"19.03.1","ApiVersion":"1.40","MinAPIVersion":"1.24","Os":"windows"}"#,
        )
    })));
    let error = connect(&fake).await.unwrap_err();
    assert!(error.message().contains("`19.03.1`"), "{error}");
    assert!(error.what_to_do().unwrap().contains("20.10"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_engine_is_called_so() {
    for (what, behaviour) in [
        (
            "a web page",
            Behaviour::Http(Box::new(|_| json(200, "<html>hunter2</html>"))),
        ),
        (
            "an empty object",
            Behaviour::Http(Box::new(|_| json(200, "{}"))),
        ),
        (
            "another number",
            Behaviour::Http(Box::new(|_| json(200, "[1]"))),
        ),
        ("SSH", Behaviour::Raw(b"SSH-2.0-OpenSSH_9.2\r\n")),
        ("TLS", Behaviour::Raw(&[0x15, 3, 3, 0, 2, 2, 70])),
    ] {
        let error = connect(&Fake::new(behaviour)).await.unwrap_err();
        assert_eq!(error.code(), Code::Failed, "{what}: {error}");
        assert!(error.what_to_do().is_some(), "{what}: {error:?}");
        assert!(
            !format!("{error:?}").contains("hunter2"),
            "{what}: an answer is never quoted"
        );
    }
    let error = connect(&Fake::new(Behaviour::Raw(b""))).await.unwrap_err();
    assert_eq!(
        error.code(),
        Code::Unreachable,
        "a closed connection may work later: {error}"
    );
}

#[tokio::test]
async fn the_diallers_refusal_arrives_whole() {
    let refused = Error::new(Code::HostKeyChanged, "The host shows another key")
        .detail("fingerprint", "SHA256:x");
    let error = connect(&Fake::new(Behaviour::Refused(refused)))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::HostKeyChanged);
    assert_eq!(
        error.get_detail("fingerprint"),
        Some("SHA256:x"),
        "the window shows it"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_ends() {
    let start = tokio::time::Instant::now();
    let error = connect(&Fake::new(Behaviour::Silent)).await.unwrap_err();
    assert_eq!(error.code(), Code::TimedOut, "{error}");
    assert!(start.elapsed() < Duration::from_secs(20));

    // The head of the answer comes, the rest never does.
    let fake = Fake::engine(|_| pieces(vec![Bytes::from_static(b"{")], true));
    let engine = connect(&fake).await.unwrap();
    for (what, error) in [
        ("list", engine.containers(None).await.map(drop).unwrap_err()),
        ("inspect", engine.inspect("x").await.map(drop).unwrap_err()),
        ("image", engine.image("x").await.map(drop).unwrap_err()),
        (
            "wait",
            engine
                .wait("x", Duration::from_secs(3))
                .await
                .map(drop)
                .unwrap_err(),
        ),
    ] {
        assert_eq!(error.code(), Code::TimedOut, "{what}: {error}");
    }
    let pull = engine
        .pull("a:b", None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err();
    assert_eq!(
        pull.code(),
        Code::TimedOut,
        "a pull that says nothing for ten minutes is stuck"
    );
    let log = engine
        .logs("x", LogOptions::default())
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err();
    assert_eq!(
        log.code(),
        Code::TimedOut,
        "a log that is not followed has an end"
    );
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let fake = Fake::engine(|asked| {
        let size = if asked.path.contains("small") {
            8 << 20
        } else {
            80 << 20
        };
        let mut body = Vec::with_capacity(size);
        body.extend_from_slice(b"[\"");
        body.resize(size - 2, b'x');
        body.extend_from_slice(b"\"]");
        json(200, body)
    });
    let engine = connect(&fake).await.unwrap();
    let error = engine.containers(None).await.unwrap_err();
    assert!(
        error.to_string().contains("64 MiB"),
        "memory has a bound: {error}"
    );
    let error = engine.containers(Some("small")).await.unwrap_err();
    assert!(
        error.to_string().contains("JSON"),
        "the bound is for one answer, not for a connection: {error}"
    );
}

#[tokio::test]
async fn a_secret_never_comes_back_in_an_error() {
    let fake = Fake::engine(|asked| {
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        if asked.path.contains("/containers/create") {
            assert!(body.contains("PW=hunter2"), "{body}");
            json(
                400,
                format!("{{\"message\":{}}}", serde_json::to_string(&body).unwrap()),
            )
        } else {
            json(200, r#"{"Id":"x","Config":{"Env":"PW=hunter2"}}"#)
        }
    });
    let engine = connect(&fake).await.unwrap();
    let spec = ContainerSpec {
        name: "x".into(),
        image: "i".into(),
        env: vec![("PW".into(), Secret::from("hunter2"))],
        ..ContainerSpec::default()
    };
    let refused = engine.create(&spec).await.unwrap_err();
    assert!(refused.to_string().contains("[secret]"), "{refused}");
    let garbled = engine.inspect("x").await.unwrap_err();
    for error in [refused, garbled] {
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn the_container_that_has_the_port_is_named() {
    let fake = Fake::engine(|asked| {
        if asked.path.contains("/start") {
            json(
                500,
                r#"{"message":"driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:1433 failed: port is already allocated"}"#,
            )
        } else {
            json(
                200,
                r#"[{"Id":"1","Names":["/other","/x/alias"],"State":"running","Ports":[{"IP":"0.0.0.0","PrivatePort":1433,"PublicPort":1433,"Type":"tcp"}]},
                {"Id":"2","Names":["/third"],"Ports":[{"PrivatePort":1433,"Type":"tcp"}]}]"#,
            )
        }
    });
    let engine = connect(&fake).await.unwrap();
    let error = engine.start("x").await.unwrap_err();
    assert_eq!(error.get_detail("container"), Some("other"));
    assert!(error.what_to_do().unwrap().contains("`other`"), "{error:?}");
}

#[tokio::test]
async fn an_error_inside_of_a_pull_is_an_error() {
    let fake = Fake::engine(|_| {
        pieces(
            vec![
                Bytes::from_static(b"{\"status\":\"Pulling from a\",\"id\":\"b\"}\r\n{\"status\":\"Down"),
                Bytes::from_static(b"loading\",\"progressDetail\":{\"current\":5,\"total\":9},\"id\":\"0123456789ab\"}\r\n"),
                Bytes::from_static(b"{\"errorDetail\":{\"message\":\"no matching manifest for windows/amd64 10.0.17763 in the manifest list entries\"},\"error\":\"no matching manifest\"}\r\n"),
            ],
            false,
        )
    });
    let engine = connect(&fake).await.unwrap();
    let items: Vec<_> = engine.pull("a:b", Some("windows/amd64")).collect().await;
    assert_eq!(items.len(), 3, "nothing follows an error");
    assert_eq!(
        items[0].as_ref().unwrap().layer,
        None,
        "the tag is no layer"
    );
    let layer = items[1].as_ref().unwrap();
    assert_eq!((layer.done, layer.total), (Some(5), Some(9)));
    let error = items[2].as_ref().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not for the system of this host"),
        "{error}"
    );
    assert!(
        fake.paths()[1].contains("fromImage=a%3Ab"),
        "{}",
        fake.paths()[1]
    );
}

#[tokio::test]
async fn events_carry_what_happened_and_rubbish_ends_them() {
    let fake = Fake::engine(|_| {
        pieces(
            vec![
                Bytes::from_static(b"{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"0a\",\"Attributes\":{\"name\":\"x\",\"exitCode\":\"3\"}},\"time\":1,\"timeNano\":1000000007}\n"),
                Bytes::from_static(b"rubbish\n"),
            ],
            true,
        )
    });
    let engine = connect(&fake).await.unwrap();
    let mut events = engine.events(Some(5_000_000_007), Some("berth.id"));
    let event = events.next().await.unwrap().unwrap();
    assert_eq!(
        (event.kind, event.action.as_str(), event.time_ns),
        (EventKind::Container, "die", 1_000_000_007)
    );
    assert_eq!(event.labels["exitCode"], "3");
    assert!(events.next().await.unwrap().is_err());
    assert!(
        fake.paths()[1].contains("since=5.000000007"),
        "{}",
        fake.paths()[1]
    );
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection() {
    let fake = Fake::engine(|_| pieces(vec![Bytes::from_static(b"{\"Type\":\"image\"}\n")], true));
    let engine = connect(&fake).await.unwrap();
    let mut events = engine.events(None, None);
    events.next().await.unwrap().unwrap();
    let open = fake.open.load(Ordering::SeqCst);
    drop(events);
    until("the closing", || fake.open.load(Ordering::SeqCst) < open).await;
}

#[tokio::test]
async fn an_unknown_word_of_a_newer_engine_does_not_hide_the_rest() {
    let fake = Fake::engine(|asked| match asked.path.as_str() {
        p if p.contains("/volumes") => json(200, r#"{"Volumes":null,"Warnings":null}"#),
        _ => json(
            200,
            r#"[{"Id":"1","Names":["/a"],"State":"exited","Labels":null,"Ports":null,"NetworkSettings":null,"FromTheFuture":{"x":[1]}}]"#,
        ),
    });
    let engine = connect(&fake).await.unwrap();
    let list = engine.containers(None).await.unwrap();
    assert_eq!(
        (list[0].name.as_str(), list[0].labels.clone()),
        ("a", BTreeMap::new())
    );
    assert!(
        engine.volumes(None).await.unwrap().is_empty(),
        "an engine says null for none"
    );
}

#[test]
fn the_made_up_version_is_json() {
    assert!(serde_json::from_str::<serde_json::Value>(VERSION).is_ok());
}
