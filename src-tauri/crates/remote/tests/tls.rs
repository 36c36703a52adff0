//! TLS on both sides, each way it can fail: the sentence must tell a user which of the three files, the engine or
//! the clock is at fault.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use berth_core::{Code, Error};
use berth_remote::{Tls, TlsFiles, Whose, plain_tcp};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// An authority in a folder, and what it signs.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key, as PEM files.
#[derive(Clone)]
struct Pair {
    cert: PathBuf,
    key: PathBuf,
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn for_servers(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            certificate: certificate.der().clone(),
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn sign(
        &self,
        file: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pair = Pair {
            cert: self.folder.path().join(format!("{file}.pem")),
            key: self.folder.path().join(format!("{file}-key.pem")),
        };
        fs::write(&pair.cert, certificate.pem()).unwrap();
        secret_file(&pair.key, &key.serialize_pem());
        pair
    }

    fn files(&self, pair: &Pair) -> TlsFiles {
        TlsFiles {
            ca: self.ca(),
            cert: pair.cert.clone(),
            key: pair.key.clone(),
        }
    }

    fn good_server(&self) -> Pair {
        self.sign("server", &["localhost", "127.0.0.1"], for_servers)
    }

    fn good_client(&self) -> Pair {
        self.sign("cert", &["client"], for_clients)
    }
}

fn secret_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[derive(Clone, Copy, PartialEq)]
enum Clients {
    Anybody,
    AskedAndLetIn,
    Verified,
}

async fn engine(pair: &Pair, authority: Option<&Authority>) -> SocketAddr {
    let clients = match authority {
        Some(_) => Clients::Verified,
        None => Clients::Anybody,
    };
    engine_for(pair, authority, clients).await
}

/// An engine that says `OK` to whoever its TLS lets in.
async fn engine_for(pair: &Pair, authority: Option<&Authority>, clients: Clients) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(&pair.cert).unwrap()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from_pem_file(&pair.key).unwrap());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match authority.filter(|_| clients != Clients::Anybody) {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if clients == Clients::AskedAndLetIn {
                verifier.allow_unauthenticated()
            } else {
                verifier
            };
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => config.with_no_client_auth(),
    };
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut tls) = acceptor.accept(tcp).await {
                    let mut request = [0; 1024];
                    let _ = tls.read(&mut request).await;
                    let _ = tls
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
                        .await;
                    let _ = tls.shutdown().await;
                }
            });
        }
    });
    at
}

/// Something else behind the port: says `words` to whoever comes, after the first bytes if it is `polite`.
async fn other_service(words: &'static str, polite: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut first = [0; 256];
                if polite {
                    let _ = tcp.read(&mut first).await;
                }
                let _ = tcp.write_all(words.as_bytes()).await;
                // Until the client leaves: a reset would take the words away again.
                while matches!(tcp.read(&mut first).await, Ok(1..)) {}
            });
        }
    });
    at
}

async fn reach(host: &str, at: SocketAddr, files: TlsFiles) -> Result<(), Error> {
    Tls::open(host, at.port(), files).await?.probe().await
}

/// The error, whole, for comparing.
fn whole(e: &Error) -> String {
    format!(
        "{} | {} | {}",
        e.message(),
        e.causes().join(" | "),
        e.what_to_do().unwrap_or_default()
    )
}

fn says(result: Result<(), Error>, code: Code, parts: &[&str]) {
    let e = result
        .err()
        .unwrap_or_else(|| panic!("it must be refused: {parts:?}"));
    let text = whole(&e);
    assert_eq!(e.code(), code, "a caller acts on the code: {text}");
    for part in parts {
        assert!(
            text.contains(part),
            "`{part}` tells the user what is wrong: {text}"
        );
    }
}

#[tokio::test]
async fn both_sides_show_their_certificates_and_bytes_flow() {
    let authority = Authority::new();
    let (server, client) = (authority.good_server(), authority.good_client());
    let at = engine(&server, Some(&authority)).await;
    for host in ["localhost", "127.0.0.1"] {
        let tls = Tls::open(host, at.port(), authority.files(&client))
            .await
            .unwrap();
        tls.probe().await.unwrap();
        let mut stream = tls.dial().await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("OK"), "{answer}");
        assert_eq!(
            tls.ending_within(Duration::from_secs(60)),
            [],
            "these certificates live for long"
        );
    }
}

#[tokio::test]
async fn an_engine_that_is_not_the_authoritys_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let client = authority.good_client();
    let at = engine(&other.good_server(), None).await;
    says(
        reach("localhost", at, authority.files(&client)).await,
        Code::Refused,
        &["is not from the authority in", "ca.pem", "another machine"],
    );
}

#[tokio::test]
async fn the_engines_certificate_must_be_of_this_name_of_this_time_and_for_servers() {
    let authority = Authority::new();
    let client = authority.good_client();
    type Change = fn(&mut CertificateParams);
    let cases: [(&str, &[&str], Change, &[&str]); 5] = [
        (
            "name",
            &["elsewhere.example"],
            for_servers,
            &["is for another name", "elsewhere.example", "subjectAltName"],
        ),
        (
            "no-name",
            &[],
            for_servers,
            &["is for another name", "names none in `subjectAltName`"],
        ),
        (
            "old",
            &["localhost"],
            |p| {
                for_servers(p);
                p.not_before = date_time_ymd(2020, 1, 1);
                p.not_after = date_time_ymd(2021, 2, 3);
            },
            &["has expired", "2021-02-03"],
        ),
        (
            "young",
            &["localhost"],
            |p| {
                for_servers(p);
                p.not_before = date_time_ymd(3000, 1, 1);
            },
            &["is not valid yet", "3000-01-01", "clock"],
        ),
        (
            "purpose",
            &["localhost"],
            for_clients,
            &["not one for servers", "serverAuth"],
        ),
    ];
    for (file, names, change, parts) in cases {
        let at = engine(&authority.sign(file, names, change), Some(&authority)).await;
        says(
            reach("localhost", at, authority.files(&client)).await,
            Code::Refused,
            parts,
        );
    }
}

#[tokio::test]
async fn an_engine_that_lets_in_anybody_is_refused() {
    let authority = Authority::new();
    // One that never asks, and one that asks and takes no answer for one.
    for clients in [Clients::Anybody, Clients::AskedAndLetIn] {
        let at = engine_for(&authority.good_server(), Some(&authority), clients).await;
        says(
            reach("localhost", at, authority.files(&authority.good_client())).await,
            Code::Refused,
            &["lets in anybody", "--tlsverify"],
        );
    }
}

#[tokio::test]
async fn an_engine_that_does_not_take_our_certificate_is_heard() {
    let (authority, other) = (Authority::new(), Authority::new());
    let at = engine(&authority.good_server(), Some(&authority)).await;
    let stranger = other.good_client();
    let files = TlsFiles {
        ca: authority.ca(),
        cert: stranger.cert,
        key: stranger.key,
    };
    says(
        reach("localhost", at, files).await,
        Code::SignInRefused,
        &[
            "does not accept your certificate",
            "cert.pem",
            "--tlscacert",
        ],
    );
}

#[tokio::test]
async fn our_own_certificate_is_looked_at_before_the_engine_is() {
    let authority = Authority::new();
    type Change = fn(&mut CertificateParams);
    let cases: [(&str, Change, &[&str]); 3] = [
        (
            "old",
            |p| {
                for_clients(p);
                p.not_before = date_time_ymd(2020, 1, 1);
                p.not_after = date_time_ymd(2021, 2, 3);
            },
            &["Your certificate", "has expired", "2021-02-03"],
        ),
        (
            "young",
            |p| {
                for_clients(p);
                p.not_before = date_time_ymd(3000, 1, 1);
            },
            &["Your certificate", "not valid yet", "3000-01-01"],
        ),
        (
            "purpose",
            for_servers,
            &["not one for clients", "clientAuth"],
        ),
    ];
    for (file, change, parts) in cases {
        let pair = authority.sign(file, &["client"], change);
        // Port 1: nothing is asked.
        let e = Tls::open("localhost", 1, authority.files(&pair))
            .await
            .map(|_| ());
        says(e, Code::Failed, parts);
    }
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_told_apart() {
    let authority = Authority::new();
    let (one, two) = (
        authority.good_client(),
        authority.sign("two", &["client"], for_clients),
    );
    let at = |name: &str| authority.folder.path().join(name);
    fs::write(at("der.pem"), &authority.certificate).unwrap();
    fs::write(at("empty.pem"), "").unwrap();
    secret_file(
        &at("encrypted.pem"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    secret_file(
        &at("damaged.pem"),
        "-----BEGIN PRIVATE KEY-----\nU0VDUkVUU0VDUkVU!\n-----END PRIVATE KEY-----\n",
    );
    secret_file(
        &at("certificate-as-key.pem"),
        &fs::read_to_string(&one.cert).unwrap(),
    );
    fs::copy(&one.key, at("open-key.pem")).unwrap();
    fs::set_permissions(at("open-key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let good = authority.files(&one);
    let with = |ca: Option<PathBuf>, cert: Option<PathBuf>, key: Option<PathBuf>| TlsFiles {
        ca: ca.unwrap_or_else(|| good.ca.clone()),
        cert: cert.unwrap_or_else(|| good.cert.clone()),
        key: key.unwrap_or_else(|| good.key.clone()),
    };
    let cases: [(TlsFiles, Code, &[&str]); 10] = [
        (
            with(Some(at("nowhere.pem")), None, None),
            Code::Failed,
            &["nowhere.pem", "cannot be read"],
        ),
        (
            with(Some(at("der.pem")), None, None),
            Code::Usage,
            &["is not PEM", "openssl x509 -inform der"],
        ),
        (
            with(Some(at("empty.pem")), None, None),
            Code::Usage,
            &["is not PEM"],
        ),
        (
            with(Some(one.key.clone()), None, None),
            Code::Usage,
            &["holds a private key", "--ca"],
        ),
        (
            with(None, Some(one.key.clone()), None),
            Code::Usage,
            &["holds a private key"],
        ),
        (
            with(None, None, Some(two.key.clone())),
            Code::Usage,
            &["does not fit the certificate"],
        ),
        (
            with(None, None, Some(at("encrypted.pem"))),
            Code::Usage,
            &["is encrypted", "openssl pkey"],
        ),
        (
            with(None, None, Some(at("certificate-as-key.pem"))),
            Code::Usage,
            &["holds a certificate", "--key"],
        ),
        (
            with(None, None, Some(at("open-key.pem"))),
            Code::Refused,
            &["Others can read", "0644", "chmod 600"],
        ),
        (
            with(None, None, Some(at("damaged.pem"))),
            Code::Usage,
            &["cannot be read"],
        ),
    ];
    for (files, code, parts) in cases {
        let e = Tls::open("localhost", 1, files).await.map(|_| ());
        if let Err(e) = &e {
            assert!(
                !whole(e).contains("U0VD"),
                "no error quotes a key: {}",
                whole(e)
            );
        }
        says(e, code, parts);
    }
}

#[tokio::test]
async fn what_is_no_tls_behind_the_port_is_named() {
    let authority = Authority::new();
    let files = authority.files(&authority.good_client());
    // The bytes of a TLS 1.0 server that knows no newer one: the alert `protocol_version`.
    const OLD: &str = "\x15\x03\x01\x00\x02\x02\x46";
    for (words, polite, code, parts) in [
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            true,
            Code::Refused,
            &["without TLS", "plain HTTP", "--tlsverify"][..],
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            false,
            Code::Refused,
            &["without TLS", "SSH server", "ssh://"],
        ),
        (
            OLD,
            true,
            Code::Refused,
            &["no TLS that Berth accepts", "TLS 1.2"],
        ),
    ] {
        let at = other_service(words, polite).await;
        says(reach("127.0.0.1", at, files.clone()).await, code, parts);
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = nobody.local_addr().unwrap();
    drop(nobody);
    says(
        reach("127.0.0.1", at, files).await,
        Code::Unreachable,
        &["No engine answers", "2376"],
    );
}

#[tokio::test]
async fn certificates_that_end_soon_are_known_before_they_do() {
    let authority = Authority::new();
    let year = |p: &mut CertificateParams| p.not_after = date_time_ymd(2100, 1, 1);
    let server = authority.sign("server", &["localhost"], |p| {
        for_servers(p);
        year(p);
    });
    let client = authority.sign("cert", &["client"], |p| {
        for_clients(p);
        year(p);
    });
    let at = engine(&server, Some(&authority)).await;
    let tls = Tls::open("localhost", at.port(), authority.files(&client))
        .await
        .unwrap();
    tls.probe().await.unwrap();
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);
    let ending = tls.ending_within(CENTURY);
    let end = 4_102_444_800; // 2100-01-01
    assert_eq!(
        ending,
        [(Whose::Engine, end), (Whose::Ours, end)],
        "`host check` warns of both"
    );
}

#[tokio::test]
async fn without_tls_only_this_machine_is_dialled() {
    let at = other_service("hello", false).await;
    for host in ["127.0.0.1", "localhost"] {
        let mut stream = plain_tcp(host, at.port()).await.unwrap();
        let mut words = [0; 5];
        stream.read_exact(&mut words).await.unwrap();
        assert_eq!(&words, b"hello");
    }
    for host in [
        "192.0.2.1",
        "example.com",
        "127.0.0.1.example.com",
        "0.0.0.0",
    ] {
        says(
            plain_tcp(host, at.port()).await.map(|_| ()),
            Code::Refused,
            &["without TLS", "--ca", "ssh://"],
        );
    }
}
