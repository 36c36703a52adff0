//! The engine behind mutual TLS, as `dockerd --tlsverify` listens on 2376.
//!
//! The authority, the engine's certificate and a client's are made once and kept in the machine's
//! folder under the names that Docker's client knows (`DOCKER_CERT_PATH`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use berth_core::{ByteStream, Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::serve as serve_engine;
use crate::machine::{
    Model,
    fault::Fault,
    state::{make_folder, write_private},
    volume::blocking,
    windows::EngineTls,
};

/// The folder of the certificates in the machine's.
pub(crate) const FOLDER: &str = "tls";
const CA_KEY: &str = "ca-key.pem";
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Connections at once.
const CONNECTIONS: usize = 256;

fn failed(dir: &Path) -> impl Fn(String) -> Error {
    let dir = dir.display().to_string();
    move |why| {
        Error::failed(format!(
            "The engine's certificates in `{dir}` cannot be used"
        ))
        .because(why)
        .hint("Delete that folder: new ones are made, and clients need the new ones")
    }
}

fn authority() -> std::result::Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Berth practice host");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok(params)
}

fn leaf(
    names: &[&str],
    purpose: ExtendedKeyUsagePurpose,
    until: i32,
) -> std::result::Result<CertificateParams, rcgen::Error> {
    let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names)?;
    params.extended_key_usages = vec![purpose];
    params.not_after = date_time_ymd(until, 1, 1);
    Ok(params)
}

/// Makes the authority and a client's pair, where there are none yet.
fn issuer(dir: &Path) -> std::result::Result<Issuer<'static, KeyPair>, Error> {
    let wrong = failed(dir);
    let params = authority().map_err(|e| wrong(e.to_string()))?;
    match std::fs::read_to_string(dir.join(CA_KEY)) {
        Ok(text) => {
            let key = KeyPair::from_pem(&text).map_err(|e| wrong(e.to_string()))?;
            Ok(Issuer::new(params, key))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            make_folder(dir)?;
            let made = || -> std::result::Result<_, rcgen::Error> {
                let key = KeyPair::generate()?;
                let certificate = params.self_signed(&key)?.pem();
                let text = key.serialize_pem();
                let issuer = Issuer::new(params, key);
                let client_key = KeyPair::generate()?;
                let client = leaf(&["client"], ExtendedKeyUsagePurpose::ClientAuth, 4000)?
                    .signed_by(&client_key, &issuer)?;
                let files = [
                    ("ca.pem", certificate),
                    ("cert.pem", client.pem()),
                    ("key.pem", client_key.serialize_pem()),
                    // Last: without it everything is made anew.
                    (CA_KEY, text),
                ];
                Ok((issuer, files))
            };
            let (issuer, files) = made().map_err(|e| wrong(e.to_string()))?;
            for (name, text) in files {
                write_private(dir, name, text.as_bytes())?;
            }
            Ok(issuer)
        }
        Err(e) => Err(wrong(e.to_string())),
    }
}

/// The engine's side of TLS. Blocking.
fn config(dir: &Path, expired: bool) -> Result<ServerConfig> {
    let wrong = failed(dir);
    let issuer = issuer(dir)?;
    let made = || -> std::result::Result<_, rcgen::Error> {
        let key = KeyPair::generate()?;
        let until = if expired { 2020 } else { 4000 };
        let certificate = leaf(
            &["localhost", "127.0.0.1"],
            ExtendedKeyUsagePurpose::ServerAuth,
            until,
        )?
        .signed_by(&key, &issuer)?;
        let ca = authority()?.self_signed(issuer.key())?;
        Ok((key, certificate, ca))
    };
    let (key, certificate, ca) = made().map_err(|e| wrong(e.to_string()))?;
    server(
        ca.der().clone(),
        certificate.der().clone(),
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    )
    .map_err(|e| wrong(e.to_string()))
}

/// A server that lets in whoever has a certificate of this authority, and nobody else.
fn server(
    ca: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> std::result::Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add(ca)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()?;
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], key)?)
}

/// One connection to the listener on the machine's own loopback, as SSH forwards it: with the certificates that the
/// engine read when it started.
pub(crate) async fn inside(model: Arc<Model>, with: EngineTls, stream: Box<dyn ByteStream>) {
    let config = || -> std::result::Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let pem = |text: &str| CertificateDer::from_pem_slice(text.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(with.key.as_bytes())?;
        server(pem(&with.ca)?, pem(&with.cert)?, key)
    };
    let config = match config() {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(%error, "the practice engine cannot use its certificates");
            return;
        }
    };
    let acceptor = TlsAcceptor::from(Arc::new(config));
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve_engine(model, Box::new(stream)).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS with a client of the engine"),
        Err(_) => tracing::debug!("a client of the engine did not finish its handshake"),
    }
}

/// The door: an acceptor, and the folder with what a client needs.
pub(crate) struct Door {
    acceptor: TlsAcceptor,
    /// `ca.pem`, `cert.pem` and `key.pem`.
    pub(crate) folder: PathBuf,
}

impl Door {
    /// Makes what is missing in the machine's folder.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(crate) async fn new(model: &Model, dir: &Path) -> Result<Self> {
        let folder = dir.join(FOLDER);
        let expired = model.faults().has(Fault::ExpiredCertificate);
        let there = folder.clone();
        let config = blocking(move || config(&there, expired)).await?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            folder,
        })
    }

    /// What [`serve`] takes.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

/// Lets clients in until the machine goes down.
pub(crate) async fn serve(model: Arc<Model>, acceptor: TlsAcceptor, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = model.down().cancelled() => break,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the practice engine could not take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        if !model.engine_up(false) {
            continue;
        }
        let (model, acceptor) = (Arc::clone(&model), acceptor.clone());
        connections.spawn(async move {
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    tokio::select! {
                        () = serve_engine(Arc::clone(&model), Box::new(stream)) => {}
                        () = model.down().cancelled() => {}
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "no TLS with a client of the engine"),
                Err(_) => tracing::debug!("a client of the engine did not finish its handshake"),
            }
            drop(place);
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use rcgen::Certificate;
    use rustls::{ClientConfig, pki_types::ServerName};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::machine::Machine;

    struct Authority(Issuer<'static, KeyPair>);

    impl Authority {
        fn new() -> Self {
            Self(Issuer::new(
                authority().unwrap(),
                KeyPair::generate().unwrap(),
            ))
        }

        fn ca(&self) -> Certificate {
            authority().unwrap().self_signed(self.0.key()).unwrap()
        }

        fn leaf(&self, purpose: ExtendedKeyUsagePurpose) -> (Certificate, KeyPair) {
            let key = KeyPair::generate().unwrap();
            let leaf = leaf(&["127.0.0.1"], purpose, 4000).unwrap();
            (leaf.signed_by(&key, &self.0).unwrap(), key)
        }
    }

    /// What the engine's listener answers to who comes with this certificate.
    async fn asked(model: &Arc<Model>, engine: &Authority, client: Option<&Authority>) -> String {
        let (server, key) = engine.leaf(ExtendedKeyUsagePurpose::ServerAuth);
        let with = EngineTls {
            ca: engine.ca().pem(),
            cert: server.pem(),
            key: key.serialize_pem(),
        };
        let (near, far) = tokio::io::duplex(1 << 16);
        let door = tokio::spawn(inside(Arc::clone(model), with, Box::new(far)));
        let mut roots = RootCertStore::empty();
        roots.add(engine.ca().der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let (client, key) = authority.leaf(ExtendedKeyUsagePurpose::ClientAuth);
                let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
                config
                    .with_client_auth_cert(vec![client.der().clone()], key)
                    .unwrap()
            }
        };
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut said = Vec::new();
        if let Ok(mut stream) = TlsConnector::from(Arc::new(config))
            .connect(name, near)
            .await
        {
            let ask = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(ask).await;
            let _ = stream.read_to_end(&mut said).await;
        }
        door.await.unwrap();
        String::from_utf8(said).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_listener_on_loopback_lets_in_its_own_client_alone() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::boot(folder.path(), Machine::Ready, Vec::new())
            .await
            .unwrap();
        let (ours, other) = (Authority::new(), Authority::new());
        let said = asked(&model, &ours, Some(&ours)).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        assert_eq!(asked(&model, &ours, None).await, "", "nobody's certificate");
        assert_eq!(asked(&model, &ours, Some(&other)).await, "", "another's");
        model.shut_down().await;
    }
}
