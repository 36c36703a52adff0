//! Against servers that OpenSSH would not be: silent, not SSH, asking for passwords.

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
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use berth_core::{BoxFuture, Code, Error, Secret};
use berth_remote::{Address, Ask, ExecLimits, HostKeys, Lane, Question, Session, SignIn};
use russh::{
    Channel, ChannelId, MethodKind, MethodSet,
    keys::{Algorithm, HashAlg, PrivateKey, PublicKey},
    server::{self, Auth, Msg, Response},
};
use support::{assert_code, keygen};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, timeout},
};

const PASSWORD: &str = "correct horse";

/// What a server of this test takes.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    Password,
    /// One hidden question.
    Question,
    /// A password and then a one-time code.
    Code,
    /// A key and then the password.
    KeyThenPassword,
    PasswordThenKey,
    Nothing,
}

#[derive(Clone)]
struct Server {
    takes: Takes,
    done: Arc<Mutex<Vec<&'static str>>>,
    attempts: Arc<AtomicUsize>,
}

impl Server {
    fn rest(&self, methods: &[MethodKind], partial: bool) -> Auth {
        Auth::Reject {
            proceed_with_methods: Some(MethodSet::from(methods)),
            partial_success: partial,
        }
    }

    fn refuse(&self) -> Auth {
        match self.takes {
            Takes::Password => self.rest(&[MethodKind::Password], false),
            Takes::Question | Takes::Code => self.rest(&[MethodKind::KeyboardInteractive], false),
            Takes::KeyThenPassword => self.rest(&[MethodKind::PublicKey], false),
            Takes::PasswordThenKey => self.rest(&[MethodKind::Password], false),
            Takes::Nothing => self.rest(&[MethodKind::PublicKey, MethodKind::Password], false),
        }
    }

    fn has(&self, what: &str) -> bool {
        self.done.lock().unwrap().contains(&what)
    }
}

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(self.refuse())
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        if password != PASSWORD {
            return Ok(self.refuse());
        }
        match self.takes {
            Takes::Password => Ok(Auth::Accept),
            Takes::KeyThenPassword if self.has("key") => Ok(Auth::Accept),
            Takes::PasswordThenKey => {
                self.done.lock().unwrap().push("password");
                Ok(self.rest(&[MethodKind::PublicKey], true))
            }
            _ => Ok(self.refuse()),
        }
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        match self.takes {
            Takes::KeyThenPassword => {
                self.done.lock().unwrap().push("key");
                Ok(self.rest(&[MethodKind::Password], true))
            }
            Takes::PasswordThenKey if self.has("password") => Ok(Auth::Accept),
            _ => Ok(self.refuse()),
        }
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let ask = |prompt: &'static str| Auth::Partial {
            name: "".into(),
            instructions: "".into(),
            prompts: vec![(prompt.into(), false)].into(),
        };
        let Some(response) = response else {
            return Ok(ask("Password: "));
        };
        let answers: Vec<_> = response
            .map(|a| String::from_utf8_lossy(&a).into_owned())
            .collect();
        match self.takes {
            Takes::Question if answers == [PASSWORD] => Ok(Auth::Accept),
            Takes::Code if answers == ["123456"] => Ok(Auth::Accept),
            Takes::Code => Ok(ask("One-time code: ")),
            _ => Ok(self.refuse()),
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        drop(channel);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        match data {
            b"refuse" => session.channel_failure(channel)?,
            // Accepted, and then silence.
            b"hang" => session.channel_success(channel)?,
            // The end of the data comes long before the status.
            b"late" => {
                session.channel_success(channel)?;
                session.data(channel, "half".as_bytes().to_vec())?;
                session.eof(channel)?;
                session.extended_data(channel, 1, "late failure".as_bytes().to_vec())?;
                session.exit_status_request(channel, 0xC000_0005)?;
                session.close(channel)?;
            }
            _ => {
                session.channel_success(channel)?;
                session.data(channel, data.to_vec())?;
                session.exit_status_request(channel, 0)?;
                session.close(channel)?;
            }
        }
        Ok(())
    }
}

struct Running {
    port: u16,
    key: PublicKey,
    attempts: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

async fn serve(takes: Takes) -> Running {
    let mut seed = [7u8; 32];
    seed[0] = 1;
    let key = PrivateKey::from(russh::keys::ssh_key::private::Ed25519Keypair::from_seed(
        &seed,
    ));
    let public = key.public_key().clone();
    assert_eq!(public.algorithm(), Algorithm::Ed25519);
    let config = Arc::new(server::Config {
        keys: vec![key],
        auth_rejection_time: Duration::ZERO,
        max_auth_attempts: 6,
        ..Default::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let server = Server {
                takes,
                done: Arc::default(),
                attempts: counted.clone(),
            };
            let config = config.clone();
            tokio::spawn(async move {
                if let Ok(running) = server::run_stream(config, stream, server).await {
                    let _ = running.await;
                }
            });
        }
    });
    Running {
        port,
        key: public,
        attempts,
        folder: tempfile::tempdir().unwrap(),
    }
}

impl Running {
    fn keys(&self) -> HostKeys {
        HostKeys {
            own: self.folder.path().join("known_hosts"),
            read_only: Vec::new(),
            trust: Some(self.key.fingerprint(HashAlg::Sha256).to_string()),
            ..HostKeys::default()
        }
    }

    async fn connect(&self, sign_in: &SignIn) -> Result<Session, Error> {
        Session::connect(&at(self.port), sign_in, &self.keys(), Lane::Control).await
    }
}

fn at(port: u16) -> Address {
    Address {
        user: "someone".into(),
        host: "127.0.0.1".into(),
        port,
    }
}

fn password(text: &str) -> SignIn {
    SignIn {
        password: Some(Secret::from(text)),
        ..SignIn::default()
    }
}

fn nowhere() -> HostKeys {
    HostKeys {
        own: std::env::temp_dir().join("berth-no-such-folder/known_hosts"),
        ..HostKeys::default()
    }
}

#[tokio::test]
async fn a_password_by_either_way_of_asking() {
    for (takes, way) in [
        (Takes::Password, "password"),
        (Takes::Question, "password (asked for)"),
    ] {
        let server = serve(takes).await;
        let session = server.connect(&password(PASSWORD)).await.unwrap();
        assert_eq!(session.sign_in_way(), way);
        assert_eq!(
            session
                .exec("hello", None, ExecLimits::default())
                .await
                .unwrap()
                .stdout,
            b"hello"
        );
        let e = server.connect(&password("wrong pass")).await.unwrap_err();
        assert_code(&e, Code::SignInRefused);
        assert!(
            !format!("{e:?}").contains("wrong pass"),
            "no secret in an error: {e:?}"
        );
    }
}

#[tokio::test]
async fn two_things_in_the_order_that_the_server_wants() {
    for takes in [Takes::KeyThenPassword, Takes::PasswordThenKey] {
        let server = serve(takes).await;
        let file = server.folder.path().join("key");
        keygen(&file, "ed25519", "");
        let both = SignIn {
            identities: vec![file.clone()],
            ..password(PASSWORD)
        };
        let session = server.connect(&both).await.unwrap();
        assert!(
            session.sign_in_way().contains(" and "),
            "{}",
            session.sign_in_way()
        );
        let key_only = SignIn {
            identities: vec![file],
            ..SignIn::default()
        };
        let e = server.connect(&key_only).await.unwrap_err();
        assert_code(&e, Code::SignInRefused);
        assert!(
            e.to_string().contains("password"),
            "it must say what is still wanted: {e}"
        );
    }
}

#[tokio::test]
async fn a_one_time_code_is_told_and_never_guessed() {
    let server = serve(Takes::Code).await;
    let e = server.connect(&password(PASSWORD)).await.unwrap_err();
    assert_code(&e, Code::SignInRefused);
    assert!(e.to_string().contains("One-time code"), "{e}");
}

/// Somebody who answers everything in one way, and keeps what was asked.
#[derive(Debug)]
struct Somebody {
    answer: Option<&'static str>,
    asked: Mutex<Vec<Question>>,
}

impl Ask for Somebody {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Vec<Secret>, Error>> {
        let wanted = question.prompts.len();
        self.asked.lock().unwrap().push(question);
        Box::pin(async move {
            let answer = self
                .answer
                .ok_or_else(|| Error::new(Code::SignInRefused, "Nobody answers"))?;
            Ok(vec![Secret::from(answer); wanted])
        })
    }
}

#[tokio::test]
async fn a_one_time_code_is_asked_from_whoever_is_there() {
    let server = serve(Takes::Code).await;
    let somebody = Arc::new(Somebody {
        answer: Some("123456"),
        asked: Mutex::default(),
    });
    let mut sign_in = password(PASSWORD);
    sign_in.ask = Some(somebody.clone());
    let session = server.connect(&sign_in).await.unwrap();
    assert!(
        session.is_personal(),
        "such a connection cannot be made again by itself"
    );
    let asked = std::mem::take(&mut *somebody.asked.lock().unwrap());
    assert_eq!(
        asked.len(),
        1,
        "the password was known and needs no question: {asked:?}"
    );
    assert_eq!(asked[0].prompts[0].text, "One-time code: ");
    assert!(asked[0].prompts[0].hidden && asked[0].from.contains("127.0.0.1"));

    let nobody = Arc::new(Somebody {
        answer: None,
        asked: Mutex::default(),
    });
    sign_in.ask = Some(nobody);
    let e = server.connect(&sign_in).await.unwrap_err();
    assert_code(&e, Code::SignInRefused);
}

#[tokio::test]
async fn a_password_alone_is_left_to_whoever_can_keep_it() {
    let server = serve(Takes::Question).await;
    let somebody = Arc::new(Somebody {
        answer: Some(PASSWORD),
        asked: Mutex::default(),
    });
    let sign_in = SignIn {
        ask: Some(somebody.clone()),
        ..SignIn::default()
    };
    let e = server.connect(&sign_in).await.unwrap_err();
    assert_code(&e, Code::SignInRefused);
    assert!(
        somebody.asked.lock().unwrap().is_empty(),
        "an answer would be forgotten, and the next connection could not be made"
    );
}

#[tokio::test]
async fn nothing_to_sign_in_with_tells_what_is_wanted() {
    let server = serve(Takes::Nothing).await;
    let e = server.connect(&SignIn::default()).await.unwrap_err();
    assert_code(&e, Code::SignInRefused);
    assert!(e.to_string().contains("publickey, password"), "{e}");
    assert_eq!(server.attempts.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn too_many_keys_leave_room_for_the_password() {
    let server = serve(Takes::Nothing).await;
    let identities: Vec<_> = (0..8)
        .map(|n| {
            let file = server.folder.path().join(format!("key{n}"));
            keygen(&file, "ed25519", "");
            file
        })
        .collect();
    let e = server
        .connect(&SignIn {
            identities,
            ..password(PASSWORD)
        })
        .await
        .unwrap_err();
    assert_code(&e, Code::SignInRefused);
    assert_eq!(
        server.attempts.load(Ordering::Relaxed),
        6,
        "five keys and the password: one more and the server hangs up"
    );
}

#[tokio::test]
async fn a_wrong_host_key_stops_before_any_secret() {
    let server = serve(Takes::Password).await;
    let folder = &server.folder;
    let other = PrivateKey::from(russh::keys::ssh_key::private::Ed25519Keypair::from_seed(
        &[9; 32],
    ));
    let own = folder.path().join("known_hosts");
    std::fs::write(
        &own,
        format!(
            "[127.0.0.1]:{} {}\n",
            server.port,
            other.public_key().to_openssh().unwrap()
        ),
    )
    .unwrap();
    let e = server.connect(&password(PASSWORD)).await.unwrap_err();
    assert_code(&e, Code::HostKeyChanged);
    assert_eq!(
        server.attempts.load(Ordering::Relaxed),
        0,
        "the password must never reach a host that shows another key"
    );
}

#[tokio::test]
async fn a_server_that_refuses_or_hangs_is_told_within_the_limit() {
    let server = serve(Takes::Password).await;
    let session = server.connect(&password(PASSWORD)).await.unwrap();
    let e = session
        .exec("refuse", None, ExecLimits::default())
        .await
        .unwrap_err();
    assert_code(&e, Code::Refused);
    assert_code(
        &session.exec_stream("refuse").await.err().unwrap(),
        Code::Refused,
    );
    let start = Instant::now();
    let limits = ExecLimits {
        timeout: Duration::from_millis(300),
        ..ExecLimits::default()
    };
    assert_code(
        &session.exec("hang", None, limits).await.unwrap_err(),
        Code::TimedOut,
    );
    assert!(start.elapsed() < Duration::from_secs(5));
    let mut late = session.exec_stream("late").await.unwrap();
    let mut got = Vec::new();
    let e = late
        .read_to_end(&mut got)
        .await
        .expect_err("the status says that it failed");
    assert_eq!(got, b"half");
    assert!(
        e.to_string().contains("0xC0000005") && e.to_string().contains("late failure"),
        "{e}"
    );
}

/// A plain TCP server that says `first` and then does as told.
async fn raw(first: &'static [u8], then_close: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if !first.is_empty() {
                let mut some = [0; 64];
                let _ = stream.read(&mut some).await;
                let _ = stream.write_all(first).await;
            }
            if !then_close {
                kept.push(stream);
            }
        }
    });
    port
}

#[tokio::test]
async fn what_is_not_ssh_is_quoted() {
    let port = raw(
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        true,
    )
    .await;
    let e = Session::connect(&at(port), &password("x"), &nowhere(), Lane::Control)
        .await
        .unwrap_err();
    assert_code(&e, Code::Unreachable);
    assert!(
        e.message().contains("not SSH") && e.message().contains("`HTTP/1.1 400 Bad Request`"),
        "{e}"
    );

    let port = raw(b"", true).await;
    let e = Session::connect(&at(port), &password("x"), &nowhere(), Lane::Control)
        .await
        .unwrap_err();
    assert!(e.message().contains("before it said anything"), "{e}");
}

/// Says one byte of `text` again and again, slowly enough to look alive and too slowly to be of use.
async fn drip(text: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                for byte in text.iter().cycle() {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_drips_is_given_up_like_a_silent_one() {
    for text in [
        &b"SSH-2.0-Slow-loris-of-a-very-long-name-that-never-ends"[..],
        b"please wait\r\n",
    ] {
        let port = drip(text).await;
        let start = Instant::now();
        let e = Session::connect(&at(port), &SignIn::default(), &nowhere(), Lane::Control)
            .await
            .unwrap_err();
        assert!(
            start.elapsed() < Duration::from_secs(14),
            "each byte must not begin the time anew"
        );
        assert!(
            matches!(e.code(), Code::TimedOut | Code::Unreachable),
            "{e}"
        );
    }
}

#[tokio::test]
async fn a_flood_before_the_first_word_of_ssh_ends() {
    static LINE: [u8; 8 << 10] = [b'x'; 8 << 10];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.write_all(&LINE).await.is_ok() && stream.write_all(b"\r\n").await.is_ok() {
            count.fetch_add(LINE.len(), Ordering::Relaxed);
        }
    });
    let e = Session::connect(&at(port), &SignIn::default(), &nowhere(), Lane::Control)
        .await
        .unwrap_err();
    assert!(
        e.message().len() < 400,
        "a flood must not come out again as an error: {e}"
    );
    assert!(
        sent.load(Ordering::Relaxed) < 64 << 20,
        "nobody reads that much of what is no SSH"
    );
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_are_different() {
    let port = support::free_port();
    let e = Session::connect(&at(port), &password("x"), &nowhere(), Lane::Control)
        .await
        .unwrap_err();
    assert_code(&e, Code::Unreachable);
    assert!(e.to_string().contains("connection refused"), "{e}");

    let unknown = Address {
        host: "no-such-host.invalid".into(),
        ..at(22)
    };
    let e = Session::connect(&unknown, &password("x"), &nowhere(), Lane::Control)
        .await
        .unwrap_err();
    assert!(
        [Code::Unreachable, Code::TimedOut].contains(&e.code()),
        "{e:?}"
    );

    let odd = Address {
        host: "a b".into(),
        ..at(22)
    };
    assert_code(
        &Session::connect(&odd, &password("x"), &nowhere(), Lane::Control)
            .await
            .unwrap_err(),
        Code::Usage,
    );
}

/// Takes the 10 s that the limit is.
#[tokio::test]
async fn a_silent_server_is_given_up_and_let_go() {
    tokio::join!(
        silent(b"", "said nothing"),
        silent(b"SSH-2.0-Mute\r\n", "key exchange"),
    );
}

async fn silent(first: &'static [u8], expected: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(first).await.unwrap();
        // Ends when the other side lets go.
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    });
    let (sign_in, keys, to) = (password("x"), nowhere(), at(port));
    let e = timeout(
        Duration::from_secs(15),
        Session::connect(&to, &sign_in, &keys, Lane::Control),
    )
    .await
    .expect("it must give up by itself")
    .unwrap_err();
    assert_code(&e, Code::TimedOut);
    assert!(e.message().contains(expected), "{e}");
    timeout(Duration::from_secs(2), server)
        .await
        .expect("a connection that was given up must not stay open")
        .unwrap();
}
