//! TLS on both sides inside another channel: an engine that listens on its own machine's loopback, reached through SSH.
//!
//! SSH has shown which machine it is. What TLS adds is who may use the engine *on* that machine: without it, every
//! program there could.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use berth_core::{ByteStream, Code, Error, Result, Secret, secret::ExposeSecret};
use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Asked, HANDSHAKE_TIMEOUT};

/// The name that such an engine's certificate has.
const NAME: &str = "127.0.0.1";

/// Our side of it: one authority, one certificate.
pub struct TlsInside {
    config: ClientConfig,
    name: ServerName<'static>,
    ours: Arc<CertifiedKey>,
}

impl std::fmt::Debug for TlsInside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsInside").finish_non_exhaustive()
    }
}

impl TlsInside {
    /// Reads the authority's certificate, ours, and its key, each PEM.
    ///
    /// # Errors
    /// They are not that. Nothing of them is quoted.
    pub fn new(ca: &str, cert: &str, key: &Secret) -> Result<Self> {
        let broken = |what: &str| {
            Error::failed(format!("{what} for the engine cannot be read")).hint(
                "`berth host prepare NAME --new-certificates` makes new ones, and the engine restarts for them",
            )
        };
        let all = |pem: &str, what: &str| -> Result<Vec<CertificateDer<'static>>> {
            let read: std::result::Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            read.ok()
                .filter(|all| !all.is_empty())
                .ok_or_else(|| broken(what))
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in all(ca, "The authority's certificate")? {
            roots
                .add(authority)
                .map_err(|_| broken("The authority's certificate"))?;
        }
        let chain = all(cert, "Our certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
            .map_err(|_| broken("Our key"))?;
        let ours = CertifiedKey::from_der(chain, key, &provider).map_err(|_| broken("Our key"))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|e| Error::failed("TLS cannot be used here").because(e.to_string()))?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Asked {
                ours: None,
                asked: AtomicBool::new(false),
            }));
        // A resumed session asks for no certificate, and then nobody could tell whether this engine does.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config,
            name: ServerName::try_from(NAME)
                .map_err(|_| broken("The name"))?
                .to_owned(),
            ours: Arc::new(ours),
        })
    }

    /// Speaks TLS over a channel; 10 s. An engine that refuses *our* certificate says so with the first bytes that it
    /// answers.
    ///
    /// # Errors
    /// [`Code::Refused`] for an engine whose certificate does not hold, or that asks for none of ours;
    /// [`Code::Unreachable`], [`Code::TimedOut`].
    pub async fn over(&self, stream: Box<dyn ByteStream>) -> Result<Box<dyn ByteStream>> {
        let resolver = Arc::new(Asked {
            ours: Some(Arc::clone(&self.ours)),
            asked: AtomicBool::new(false),
        });
        let mut config = self.config.clone();
        config.client_auth_cert_resolver = Arc::clone(&resolver) as _;
        let connector = TlsConnector::from(Arc::new(config));
        let handshake = connector.connect(self.name.clone(), stream);
        let stream = match timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Err(failed(&e)),
            Err(_) => return Err(silent(HANDSHAKE_TIMEOUT)),
        };
        if !resolver.asked.load(Ordering::Relaxed) {
            return Err(Error::new(
                Code::Refused,
                "The engine's listener lets in every program of that machine",
            )
            .because("it takes connections without a certificate")
            .hint("Set `tlsverify` in its `daemon.json`, and restart the service docker"));
        }
        Ok(Box::new(stream))
    }
}

fn silent(limit: Duration) -> Error {
    Error::new(
        Code::TimedOut,
        format!(
            "The engine's listener did not answer TLS within {} s",
            limit.as_secs()
        ),
    )
}

fn failed(e: &std::io::Error) -> Error {
    let alert = e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = alert else {
        return Error::new(
            Code::Unreachable,
            "No TLS connection to the engine's listener could be agreed on",
        )
        .because(e.to_string());
    };
    let message = match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "The engine's certificate is not the one that this machine made for it"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "The engine's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "The engine's certificate is not valid yet"
        }
        _ => "The engine's certificate does not hold",
    };
    Error::new(Code::Refused, message).because(why.to_string())
}

#[cfg(test)]
mod tests {
    use rustls::{
        ServerConfig,
        server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::Certificates;

    const NOW: u64 = 1_800_000_000;

    fn now() -> u64 {
        rustls::pki_types::UnixTime::now().as_secs()
    }

    /// An engine as dockerd listens with these certificates.
    fn engine(of: &Certificates, asks: bool) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pem = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(pem(&of.ca)).unwrap();
        let clients: Arc<dyn ClientCertVerifier> = if asks {
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap()
        } else {
            Arc::new(NoClientAuth)
        };
        let key = PrivateKeyDer::from_pem_slice(of.server_key.expose_secret().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![pem(&of.server)], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// What comes back from an engine that repeats what it hears.
    async fn said(theirs: TlsAcceptor, ours: &TlsInside) -> Result<String> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let engine = tokio::spawn(async move {
            let mut stream = theirs.accept(far).await?;
            let mut text = [0; 5];
            stream.read_exact(&mut text).await?;
            stream.write_all(&text).await?;
            stream.shutdown().await
        });
        let told = async {
            let mut stream = ours.over(Box::new(near)).await?;
            let lost = |e: std::io::Error| Error::failed("lost").because(e.to_string());
            stream.write_all(b"hello").await.map_err(lost)?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.map_err(lost)?;
            Ok(text)
        }
        .await;
        let _ = engine.await;
        told
    }

    fn ours(of: &Certificates) -> TlsInside {
        TlsInside::new(&of.ca, &of.client, &of.client_key).unwrap()
    }

    #[tokio::test]
    async fn the_two_that_were_made_for_each_other_meet() {
        let made = Certificates::make("win", now()).unwrap();
        assert_eq!(
            said(engine(&made, true), &ours(&made)).await.unwrap(),
            "hello"
        );
    }

    #[tokio::test]
    async fn nobody_else_gets_in_or_takes_the_engines_place() {
        let (made, other) = (
            Certificates::make("win", now()).unwrap(),
            Certificates::make("win", now()).unwrap(),
        );
        let e = said(engine(&other, true), &ours(&made)).await.unwrap_err();
        assert!(
            e.message().contains("not the one that this machine made"),
            "{e}"
        );
        // Knows the engine, and is not known to it.
        let stranger = TlsInside::new(&made.ca, &other.client, &other.client_key).unwrap();
        let e = said(engine(&made, true), &stranger).await.unwrap_err();
        assert!(
            e.to_string().contains("alert"),
            "the engine refuses it: {e}"
        );
        let e = said(engine(&made, false), &ours(&made)).await.unwrap_err();
        assert!(e.message().contains("lets in every program"), "{e}");
    }

    #[tokio::test]
    async fn they_end() {
        let old = Certificates::make("win", NOW - 6 * 365 * 86_400).unwrap();
        assert!(old.ends < now());
        let e = said(engine(&old, true), &ours(&old)).await.unwrap_err();
        assert!(e.message().contains("has expired"), "{e}");
    }

    #[test]
    fn what_is_broken_is_said_without_quoting_it() {
        let made = Certificates::make("win", NOW).unwrap();
        let e = TlsInside::new(&made.ca, &made.client, &Secret::from("no key".to_owned()));
        assert!(!format!("{:?}", e.unwrap_err()).contains("no key"));
        assert!(TlsInside::new("", &made.client, &made.client_key).is_err());
        let other = Certificates::make("win", NOW).unwrap();
        assert!(
            TlsInside::new(&made.ca, &made.client, &other.client_key).is_err(),
            "a key of another certificate"
        );
        let shown = format!("{made:?}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
}
