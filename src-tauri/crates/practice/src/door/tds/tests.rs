//! The whole door, by a client of its own that knows only bytes.

use std::{path::Path, sync::Arc, time::Duration};

use berth_core::{ByteStream, Secret};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    login,
    packet::{HEADER, header, kind, read_message, status},
    prelogin::{self, Encryption},
    rpc,
    tls::Wrapped,
};
use crate::sql::{Options, SqlServer};

/// Everything here answers within this time, on a slow machine too.
const LIMIT: Duration = Duration::from_secs(30);

const PASSWORD: &str = "Str0ng;\"'{}=pässwörd ";

/// A server on a free port of 127.0.0.1, until it is dropped.
struct Served {
    server: Arc<SqlServer>,
    port: u16,
    _dir: tempfile::TempDir,
}

async fn serve() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let server = open(dir.path());
    server.set_sa_password(&Secret::from(PASSWORD)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = Arc::clone(&server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let server = Arc::clone(&serving);
            tokio::spawn(async move { server.serve(Box::new(stream)).await });
        }
    });
    Served {
        server,
        port,
        _dir: dir,
    }
}

fn open(dir: &Path) -> Arc<SqlServer> {
    let options = Options {
        server_name: "PRACTICE".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: None,
        disk: None,
    };
    SqlServer::open(dir, options).unwrap()
}

/// Any certificate is right: what is tested is how the bytes travel.
#[derive(Debug)]
struct AnyCertificate(rustls::crypto::CryptoProvider);

mod trust {
    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    impl ServerCertVerifier for super::AnyCertificate {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let known = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let known = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

struct Client(Box<dyn ByteStream>);

impl Client {
    /// The client, and the bytes of the server's answer to its login.
    async fn login(
        port: u16,
        encryption: Encryption,
        user: &str,
        password: &[u16],
    ) -> (Self, Vec<u8>) {
        let mut stream: Box<dyn ByteStream> =
            Box::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        send(
            &mut stream,
            kind::PRELOGIN,
            0,
            &prelogin::answer([0; 4], encryption),
        )
        .await;
        let answer = read_message(&mut stream, 1000).await.unwrap().unwrap();
        assert_eq!(
            prelogin::read(&answer.body),
            Ok(encryption),
            "a client gets the encryption it asks for"
        );
        let user: Vec<u16> = user.encode_utf16().collect();
        let name: Vec<u16> = "door test".encode_utf16().collect();
        let body = login::tests::message(
            [&name, &user, password, &name, &name, &[], &[], &[]],
            &[(0x0a, vec![])],
        );
        if encryption == Encryption::No {
            send(&mut stream, kind::LOGIN, 0, &body).await;
        } else {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider.clone()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
            let mut tls = connector.connect(name, Wrapped::new(stream)).await.unwrap();
            tls.get_mut().0.unwrap_records();
            send(&mut tls, kind::LOGIN, 0, &body).await;
            stream = if encryption == Encryption::On {
                Box::new(tls)
            } else {
                tls.into_inner().0.into_inner()
            };
        }
        let mut client = Self(stream);
        let answer = client.receive().await;
        (client, answer)
    }

    async fn receive(&mut self) -> Vec<u8> {
        let message = timeout(LIMIT, read_message(&mut self.0, 1 << 24))
            .await
            .expect("an answer in time");
        message
            .unwrap()
            .expect("an answer before the end")
            .body
            .to_vec()
    }

    async fn batch(&mut self, flags: u8, text: &str) -> Vec<u8> {
        self.start(flags, text).await;
        self.receive().await
    }

    async fn start(&mut self, flags: u8, text: &str) {
        let mut body = rpc::tests::headers();
        body.extend(utf16(text));
        send(&mut self.0, kind::BATCH, flags, &body).await;
    }

    /// Whether the server ends the connection.
    async fn is_ended(&mut self) -> bool {
        let mut rest = Vec::new();
        timeout(LIMIT, self.0.read_to_end(&mut rest)).await.is_ok()
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|w| w == what)
}

async fn send(stream: &mut (impl tokio::io::AsyncWrite + Unpin), kind: u8, flags: u8, body: &[u8]) {
    // Small packets, so that every message is of several.
    let mut chunks = body.chunks(100).peekable();
    let mut wire = Vec::new();
    if body.is_empty() {
        wire.extend(header(kind, status::END, HEADER as u16, 0, 1));
    }
    while let Some(chunk) = chunks.next() {
        let end = if chunks.peek().is_none() {
            status::END
        } else {
            0
        };
        wire.extend(header(
            kind,
            end | flags,
            (chunk.len() + HEADER) as u16,
            0,
            1,
        ));
        wire.extend(chunk);
    }
    stream.write_all(&wire).await.unwrap();
    stream.flush().await.unwrap();
}

fn password() -> Vec<u16> {
    PASSWORD.encode_utf16().collect()
}

#[tokio::test]
async fn every_encryption_that_a_client_may_ask_for_works() {
    let served = serve().await;
    for encryption in [Encryption::Login, Encryption::On, Encryption::No] {
        let (mut client, welcome) = Client::login(served.port, encryption, "sa", &password()).await;
        assert!(
            holds(&welcome, &utf16("Changed database context to 'master'.")),
            "{encryption:?}"
        );
        let answer = client.batch(0, "SELECT N'tëxt' AS a").await;
        assert!(
            holds(&answer, &utf16("tëxt")),
            "{encryption:?}: the row comes back"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_ends_the_connection() {
    let served = serve().await;
    let wrong: Vec<u16> = "wrong".encode_utf16().collect();
    let (mut client, answer) = Client::login(served.port, Encryption::On, "sa", &wrong).await;
    assert!(holds(&answer, &18456_i32.to_le_bytes()));
    assert!(holds(&answer, &utf16("Login failed for user 'sa'.")));
    assert!(client.is_ended().await, "nobody stays who is not signed in");
}

#[tokio::test]
async fn an_attention_stops_what_runs_and_only_that() {
    let served = serve().await;
    let (mut client, _) = Client::login(served.port, Encryption::On, "sa", &password()).await;
    client
        .start(0, "WAITFOR DELAY '01:00:00'; SELECT N'never'")
        .await;
    send(&mut client.0, kind::ATTENTION, 0, &[]).await;
    let reply = client.receive().await;
    assert!(!holds(&reply, &utf16("never")));
    let acknowledged = client.receive().await;
    assert_eq!(
        acknowledged.get(..3),
        Some(&[0xfd, 0x20, 0][..]),
        "the client waits for this very bit"
    );
    let after = client.batch(0, "SELECT N'again'").await;
    assert!(holds(&after, &utf16("again")), "the next request runs");
    // One that comes too late is answered as well.
    send(&mut client.0, kind::ATTENTION, 0, &[]).await;
    assert_eq!(client.receive().await.get(..3), Some(&[0xfd, 0x20, 0][..]));
    assert!(holds(
        &client.batch(0, "SELECT N'still'").await,
        &utf16("still")
    ));
}

#[tokio::test]
async fn a_reset_makes_the_session_new() {
    let served = serve().await;
    let (mut client, _) = Client::login(served.port, Encryption::No, "sa", &password()).await;
    client
        .batch(
            0,
            "USE tempdb; CREATE TABLE #t (a int); SET LANGUAGE us_english",
        )
        .await;
    let answer = client
        .batch(
            status::RESET,
            "SELECT DB_NAME(), OBJECT_ID(N'tempdb..#t'), N'here'",
        )
        .await;
    assert_eq!(
        answer.get(..6),
        Some(&[0xe3, 3, 0, 18, 0, 0][..]),
        "a pool waits for the acknowledgement"
    );
    assert!(holds(&answer, &utf16("master")) && !holds(&answer, &utf16("tempdb")));
}

#[tokio::test]
async fn an_ignored_request_is_not_run() {
    let served = serve().await;
    let (mut client, _) = Client::login(served.port, Encryption::No, "sa", &password()).await;
    client.batch(status::IGNORE, "CREATE DATABASE never").await;
    let answer = client
        .batch(
            0,
            "SELECT CASE WHEN DB_ID(N'never') IS NULL THEN N'absent' ELSE N'there' END",
        )
        .await;
    assert!(holds(&answer, &utf16("absent")));
}

#[tokio::test]
async fn what_is_no_request_ends_the_connection_and_nothing_else() {
    let served = serve().await;
    for (kind, body) in [
        (kind::RPC, vec![1, 2, 3]),
        (kind::BATCH, vec![0xff; 30]),
        (kind::TRANSACTION, vec![]),
        (0x55, vec![0]),
    ] {
        let (mut client, _) = Client::login(served.port, Encryption::No, "sa", &password()).await;
        send(&mut client.0, kind, 0, &body).await;
        let answer = client.receive().await;
        assert!(
            holds(&answer, &8009_i32.to_le_bytes()),
            "the client is told why: {kind:#x}"
        );
        assert!(client.is_ended().await);
    }
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x12, 1, 0, 8, 0, 0, 0, 0],
        &[0x12, 1, 0, 2],
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port))
            .await
            .unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut client = Client(Box::new(stream));
        assert!(client.is_ended().await);
    }
    let (mut client, _) = Client::login(served.port, Encryption::On, "sa", &password()).await;
    assert!(
        holds(&client.batch(0, "SELECT N'well'").await, &utf16("well")),
        "the server is well"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_session_with_it() {
    let served = serve().await;
    let (mut client, _) = Client::login(served.port, Encryption::On, "sa", &password()).await;
    client.batch(0, "CREATE DATABASE d").await;
    client
        .batch(
            0,
            "USE d; CREATE TABLE t (a int); BEGIN TRAN; INSERT t VALUES (1)",
        )
        .await;
    client.start(0, "WAITFOR DELAY '01:00:00'").await;
    drop(client);
    let gone = async {
        while !served.server.state().sessions.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, gone)
        .await
        .expect("its thread ends although it was waiting");
    let (mut client, _) = Client::login(served.port, Encryption::On, "sa", &password()).await;
    let answer = client
        .batch(
            0,
            "USE d; SELECT CASE COUNT(*) WHEN 0 THEN N'undone' ELSE N'kept' END FROM t",
        )
        .await;
    assert!(
        holds(&answer, &utf16("undone")),
        "an open transaction ends with its client"
    );
}

#[tokio::test]
async fn a_shutdown_ends_connections() {
    let served = serve().await;
    let (mut client, _) = Client::login(served.port, Encryption::On, "sa", &password()).await;
    client.start(0, "WAITFOR DELAY '01:00:00'").await;
    timeout(LIMIT, served.server.shutdown())
        .await
        .expect("a running statement does not hold it up");
    assert!(client.is_ended().await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn any_password_that_was_set_signs_in(text in proptest::collection::vec(any::<char>().prop_filter("SQL text ends at NUL in some clients", |c| *c != '\0'), 1..60)) {
        let text: String = text.into_iter().collect();
        // In T-SQL a backslash before a line's end joins the lines, also inside a string.
        prop_assume!(!text.contains("\\\n") && !text.contains("\\\r\n"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let served = serve().await;
            let (mut client, _) = Client::login(served.port, Encryption::On, "sa", &password()).await;
            let quoted = text.replace('\'', "\'\'");
            let sql = format!("CREATE LOGIN x WITH PASSWORD = N'{quoted}', CHECK_POLICY = OFF");
            let answer = client.batch(0, &sql).await;
            assert_eq!(answer.first(), Some(&0xfd), "the login is made");
            let units: Vec<u16> = text.encode_utf16().collect();
            let (_, welcome) = Client::login(served.port, Encryption::On, "x", &units).await;
            assert!(holds(&welcome, &utf16("master")), "the password that was set is the one that opens");
        });
    }
}
