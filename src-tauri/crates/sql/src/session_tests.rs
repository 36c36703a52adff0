//! A session from login to the last batch, against a server that does as it is told.

use std::{ops::ControlFlow, sync::atomic::Ordering, time::Duration};

use berth_core::{Code, Secret, readiness::State};

use crate::{
    ConnectErrorKind, Connection, Event, Probe, Trust, Value, connect, probe, statements,
    test_server::{
        Answer, Door, Server, columns, database_change, databases, done, error, error_in, identity,
        info, login, row, transaction,
    },
};

const TIME: Duration = Duration::from_secs(5);

async fn open(door: &Door) -> Connection {
    connect(door, &login(), Trust::Plain, TIME).await.unwrap()
}

fn answers(tokens: impl IntoIterator<Item = Vec<u8>>) -> Door {
    let answer = tokens.into_iter().collect::<Vec<_>>().concat();
    Server::door(move |_| Answer::Whole(answer.clone()))
}

async fn told(
    connection: &mut Connection,
    script: &str,
) -> (Vec<Event>, berth_core::Result<crate::Outcome>) {
    let mut events = Vec::new();
    let outcome = connection
        .run(script, &mut |event| {
            events.push(event);
            ControlFlow::Continue(())
        })
        .await;
    (events, outcome)
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{what} did not happen");
}

fn message(text: &str) -> Event {
    Event::Message(text.to_owned())
}

#[tokio::test]
async fn a_refused_login_says_whether_to_wait() {
    for (number, kind, code) in [
        (
            18456,
            ConnectErrorKind::LoginFailed {
                number: 18456,
                state: 1,
            },
            Code::SignInRefused,
        ),
        (
            18401,
            ConnectErrorKind::NotReadyYet { number: 18401 },
            Code::Unreachable,
        ),
        (
            4060,
            ConnectErrorKind::DatabaseUnavailable { number: 4060 },
            Code::NotFound,
        ),
    ] {
        let refusal = [
            error(number, 14, 1, "Login failed for user 'sa'."),
            done(2, 0),
        ]
        .concat();
        let door = Server::with_login(Answer::Whole(refusal), |_| unreachable!());
        let failed = connect(&door, &login(), Trust::Plain, TIME)
            .await
            .unwrap_err();
        assert_eq!((failed.kind, failed.error.code()), (kind, code));
        assert!(failed.to_string().contains(&number.to_string()), "{failed}");
        assert!(failed.error.what_to_do().is_some(), "{failed}");
        assert!(!format!("{failed:?} {:?}", login()).contains("hunter2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_or_hangs_up_is_told_apart() {
    let door = Server::with_login(Answer::Closed(vec![]), |_| unreachable!());
    let failed = connect(&door, &login(), Trust::Plain, TIME)
        .await
        .unwrap_err();
    assert_eq!(failed.kind, ConnectErrorKind::NotListening, "{failed}");
    let door = Server::with_login(Answer::Deaf(vec![]), |_| unreachable!());
    let failed = connect(&door, &login(), Trust::Plain, TIME)
        .await
        .unwrap_err();
    assert_eq!(
        (failed.kind, failed.error.code()),
        (ConnectErrorKind::Timeout, Code::TimedOut)
    );
    until("the hanging up", || door.0.open.load(Ordering::SeqCst) == 0).await;

    let plain = Server::door(|_| unreachable!());
    let failed = connect(&plain, &login(), Trust::Tunnel, TIME)
        .await
        .unwrap_err();
    assert_ne!(
        failed.kind,
        ConnectErrorKind::NotListening,
        "a server without encryption never gets the password: {failed}"
    );
}

#[tokio::test]
async fn everything_that_a_batch_tells_comes_in_order() {
    let door = answers([
        info(0, 0, "first"),
        columns(&["a", "b"]),
        row(&[Some("ü😀"), None]),
        done(0x11, 1),
        database_change(),
        info(5701, 0, "Changed database context to 'x'."),
        transaction(),
        done(0x11, 0),
        info(50000, 10, "Database change is no other word than that"),
        done(0x11, 3),
        done(0, 7),
    ]);
    let (events, outcome) = told(&mut open(&door).await, "x").await;
    let expected = [
        message("first"),
        Event::Columns(
            ["a", "b"]
                .map(|n| crate::Column {
                    name: n.into(),
                    type_name: "nvarchar",
                })
                .to_vec(),
        ),
        Event::Row(vec![Value::Text("ü😀".into()), Value::Null]),
        Event::ResultDone { rows: 1 },
        message("Changed database context to 'x'."),
        Event::ResultDone { rows: 0 },
        message("Database change is no other word than that"),
        Event::ResultDone { rows: 3 },
        Event::BatchDone,
    ];
    assert_eq!(events, expected);
    assert_eq!(
        outcome.unwrap(),
        crate::Outcome {
            batches: 1,
            errors: 0,
            stopped: false
        }
    );
}

#[tokio::test]
async fn messages_come_whatever_is_logged() {
    let quiet = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_writer(std::io::sink)
        .finish();
    let _guard = tracing::subscriber::set_default(quiet);
    let door = answers([info(0, 0, "hello"), done(0, 0)]);
    let (events, _) = told(&mut open(&door).await, "x").await;
    assert_eq!(
        events,
        [message("hello"), Event::BatchDone],
        "a filter of the log is no filter of answers"
    );
}

#[tokio::test]
async fn all_errors_are_told_and_the_first_in_full() {
    let door = Server::door(|text| {
        Answer::Whole(if text.contains("bad") {
            [
                error(208, 16, 2, "Invalid object name 'x'."),
                error_in("p", 50000, 9, "second"),
                done(2, 0),
            ]
            .concat()
        } else {
            done(0, 0)
        })
    });
    let mut connection = open(&door).await;
    let (events, outcome) = told(&mut connection, "fine\nGO\n\nbad\nGO 2\nfine").await;
    let first = |line| Event::Error {
        number: 208,
        class: Some(16),
        state: Some(1),
        line: Some(line),
        procedure: None,
        message: "Invalid object name 'x'.".into(),
    };
    let second = Event::Error {
        number: 50000,
        class: None,
        state: None,
        line: None,
        procedure: None,
        message: "second".into(),
    };
    assert_eq!(events[0], Event::BatchDone);
    assert_eq!(
        events[1..4],
        [first(4), second.clone(), Event::BatchDone],
        "line 2 of a batch that starts in line 3"
    );
    assert_eq!(
        events[4..],
        [first(4), second, Event::BatchDone, Event::BatchDone]
    );
    assert_eq!(
        outcome.unwrap(),
        crate::Outcome {
            batches: 4,
            errors: 4,
            stopped: false
        }
    );

    let mut events = 0;
    let outcome = connection
        .run("bad\nGO\nfine", &mut |_| {
            events += 1;
            ControlFlow::Break(())
        })
        .await
        .unwrap();
    assert!(
        outcome.stopped && events == 1,
        "stop at the first error is the caller's choice"
    );
    assert_eq!(
        door.0.attentions.load(Ordering::SeqCst),
        0,
        "there is nothing left to stop"
    );
}

#[tokio::test]
async fn an_error_that_ends_the_connection_is_told_before_its_end() {
    let door =
        Server::door(|_| Answer::Closed(error(701, 20, 1, "There is insufficient system memory.")));
    let mut connection = open(&door).await;
    let (events, outcome) = told(&mut connection, "x").await;
    assert!(
        matches!(&events[..], [Event::Error { number: 701, .. }]),
        "{events:?}"
    );
    assert_eq!(outcome.unwrap_err().code(), Code::Unreachable);
    assert!(!connection.is_open());
}

#[tokio::test]
async fn a_long_batch_tells_at_once_and_can_be_stopped() {
    let door = Server::door(|text| match text.trim() {
        "long" => Answer::Part(info(3211, 10, "5 percent processed.")),
        _ => Answer::Whole([info(0, 0, "short"), done(0, 0)].concat()),
    });
    let mut connection = open(&door).await;
    let mut events = Vec::new();
    let outcome = connection
        .run("long\nGO\nnever", &mut |event| {
            events.push(event);
            ControlFlow::Break(())
        })
        .await
        .unwrap();
    assert!(outcome.stopped);
    assert_eq!(
        events,
        [message("5 percent processed.")],
        "progress is of no use at the end"
    );
    assert_eq!(
        door.0.attentions.load(Ordering::SeqCst),
        1,
        "the server was told to stop"
    );
    let (events, _) = told(&mut connection, "short").await;
    assert_eq!(events[0], message("short"), "the connection can be used on");
    assert_eq!(*door.0.batches.lock().unwrap(), ["long\n", "short"]);
}

#[tokio::test]
async fn a_silent_batch_can_be_stopped_from_outside() {
    let door = Server::door(|text| match text.trim() {
        "long" => Answer::Part(vec![]),
        _ => Answer::Whole(done(0x10, 1)),
    });
    let mut connection = open(&door).await;
    let stop = until("the batch's start", || {
        !door.0.batches.lock().unwrap().is_empty()
    });
    let outcome = connection
        .run_until("long", &mut |_| ControlFlow::Continue(()), stop)
        .await
        .unwrap();
    assert!(outcome.stopped && connection.is_open());
    assert_eq!(
        told(&mut connection, "short").await.0[0],
        Event::ResultDone { rows: 1 }
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_stop_is_left() {
    let door = Server::door(|_| Answer::Deaf(info(0, 0, "x")));
    let mut connection = open(&door).await;
    let outcome = connection
        .run("long", &mut |_| ControlFlow::Break(()))
        .await
        .unwrap();
    assert!(outcome.stopped && !connection.is_open());
    until("the server's notice", || {
        door.0.open.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test]
async fn a_dropped_batch_ends_at_the_server() {
    let door = Server::door(|_| Answer::Deaf(vec![]));
    let mut connection = open(&door).await;
    let started = || !door.0.batches.lock().unwrap().is_empty();
    let mut sink = |_| ControlFlow::Continue(());
    tokio::select! {
        _ = connection.run("long", &mut sink) => panic!("it has no end"),
        () = until("the batch's start", started) => {}
    }
    until("the server's notice", || {
        door.0.open.load(Ordering::SeqCst) == 0
    })
    .await;
    assert!(!connection.is_open());
    let error = connection.databases().await.unwrap_err();
    assert!(
        error.to_string().contains("closed"),
        "half an answer is never taken for the next one: {error}"
    );
}

#[tokio::test]
async fn a_flood_of_messages_has_a_bound() {
    let many = 20_000_u64;
    let mut answer: Vec<u8> = (0..many).flat_map(|_| info(0, 0, "x")).collect();
    answer.extend(done(0, 0));
    let door = Server::door(move |_| Answer::Whole(answer.clone()));
    let (events, outcome) = told(&mut open(&door).await, "x").await;
    assert!(outcome.is_ok());
    let shown = events.iter().filter(|e| **e == message("x")).count() as u64;
    let dropped: u64 = events
        .iter()
        .filter_map(|e| match e {
            Event::Message(text) => text
                .strip_prefix('(')?
                .split(' ')
                .next()?
                .parse::<u64>()
                .ok(),
            _ => None,
        })
        .sum();
    assert_eq!(shown + dropped, many, "what is not shown is counted");
}

#[tokio::test]
async fn statements_are_sent_as_they_are_listed() {
    let door = Server::door(|text| {
        Answer::Whole(match text {
            statements::IDENTITY => identity(),
            statements::DATABASES => databases("ONLINE"),
            _ => done(0, 0),
        })
    });
    let mut connection = open(&door).await;
    let who = connection.identity().await.unwrap();
    assert_eq!(
        (who.major, who.edition.as_str(), who.engine_edition),
        (16, "Express Edition (64-bit)", 0)
    );
    assert_eq!(connection.databases().await.unwrap().len(), 4);
    let password = Secret::from("it's");
    connection.create_database("a]b").await.unwrap();
    connection
        .create_owner_login("a]b_app", "a]b", &password)
        .await
        .unwrap();
    connection.drop_database("a]b").await.unwrap();
    connection.checkpoint_all().await.unwrap();
    connection.set_max_memory(1536).await.unwrap();
    assert_eq!(
        connection.create_database(" a").await.unwrap_err().code(),
        Code::Usage
    );
    assert_eq!(
        door.0.batches.lock().unwrap()[2..],
        [
            "IF DB_ID(N'a]b') IS NULL CREATE DATABASE [a]]b]",
            "IF SUSER_ID(N'a]b_app') IS NULL CREATE LOGIN [a]]b_app] WITH PASSWORD = N'it''s', DEFAULT_DATABASE = [a]]b], CHECK_EXPIRATION = OFF",
            "ALTER LOGIN [a]]b_app] WITH PASSWORD = N'it''s'",
            "ALTER AUTHORIZATION ON DATABASE::[a]]b] TO [a]]b_app]",
            "ALTER DATABASE [a]]b] SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
            "DROP DATABASE [a]]b]",
            statements::CHECKPOINT_ALL,
            "EXEC sp_configure 'show advanced options', 1; RECONFIGURE; EXEC sp_configure 'max server memory (MB)', 1536; RECONFIGURE;",
        ]
    );
}

#[tokio::test]
async fn a_refused_statement_keeps_the_connection_and_the_secret() {
    let door = Server::door(|text| {
        Answer::Whole(match text {
            statements::DATABASES => databases("ONLINE"),
            _ => [
                error(15118, 16, 1, "Password validation failed for hunter3."),
                done(2, 0),
            ]
            .concat(),
        })
    });
    let mut connection = open(&door).await;
    let refused = connection
        .set_password("sa", &Secret::from("hunter3"))
        .await
        .unwrap_err();
    assert_eq!(refused.get_detail("number"), Some("15118"));
    assert!(
        refused.what_to_do().unwrap().contains("8 to 128"),
        "{refused:?}"
    );
    assert!(!format!("{refused:?}").contains("hunter3"), "{refused:?}");
    assert_eq!(
        connection.databases().await.unwrap().len(),
        4,
        "one refusal does not end a session"
    );
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_hangs_ends() {
    let door = Server::door(|_| Answer::Deaf(vec![]));
    let mut connection = open(&door).await;
    let error = connection.identity().await.unwrap_err();
    assert_eq!(error.code(), Code::TimedOut);
    assert!(!connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_probe_sees_how_far_the_server_is() {
    let look = |door: Door| async move { probe(&door, &login(), Trust::Plain).await };
    let refusal = |number| Answer::Whole([error(number, 14, 1, "no"), done(2, 0)].concat());

    let closed = Server::with_login(Answer::Closed(vec![]), |_| unreachable!());
    assert!(matches!(look(closed).await, Probe::NotListening));
    let starting = Server::with_login(refusal(18401), |_| unreachable!());
    assert!(matches!(
        look(starting).await,
        Probe::Listening { number: 18401, .. }
    ));
    let wrong = Server::with_login(refusal(18456), |_| unreachable!());
    assert!(matches!(
        look(wrong).await,
        Probe::LoginRefused { number: 18456, .. }
    ));
    let silent = Server::with_login(Answer::Deaf(vec![]), |_| unreachable!());
    let start = tokio::time::Instant::now();
    assert!(matches!(
        look(silent).await,
        Probe::Listening { number: 0, .. }
    ));
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "a probe has five seconds"
    );

    let recovering = Server::door(|_| Answer::Whole(databases("RECOVERING")));
    let seen = look(recovering).await;
    assert!(matches!(seen, Probe::LoggedIn { .. }));
    assert_eq!(seen.databases_offline().len(), 4);
    let hanging = Server::door(|_| Answer::Deaf(vec![]));
    assert!(
        matches!(look(hanging).await, Probe::LoggedIn { .. }),
        "the login is progress all the same"
    );

    let ready = look(Server::door(|text| {
        Answer::Whole(if text == statements::IDENTITY {
            identity()
        } else {
            databases("ONLINE")
        })
    }))
    .await;
    let Probe::Ready { identity, .. } = &ready else {
        panic!("{ready:?}")
    };
    assert_eq!(identity.product_version, "16.0.4165.4");
    let mut state = State::Starting;
    for seen in ready.observations() {
        state = state.step(&seen);
    }
    assert_eq!(
        state,
        State::Ready,
        "the readiness rules understand a probe"
    );
}
