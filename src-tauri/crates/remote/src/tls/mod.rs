//! TCP to an engine with TLS on both sides: our own authority, our own certificate, the host's name and dates checked.
//!
//! Whoever may use an engine owns its machine. So the engine must show a certificate of the one authority that the
//! user named (the system's are never asked), and it must ask for ours: an engine that lets in anybody is refused.
//!
//! The key's file stays where it is and is read again for each link: a copy in another place would be a second secret
//! to lose, and a certificate that is renewed in place keeps working.

mod authority;
mod files;
mod inside;
mod words;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use berth_core::{ByteStream, Code, Error, Result};
use rustix::net::sockopt;
use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::{ResolvesClientCert, Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{
    tcp::{self, Wanted},
    wire::{FirstWords, Wire},
};

pub use authority::Certificates;
pub use inside::TlsInside;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

const ENGINE: Wanted = Wanted {
    what: "engine",
    silent: "Is the machine on, is the address right, and does its firewall let this port through from here?",
    closed: "The machine is there, but nothing listens on this port: is its engine running, and does it listen on TCP? The port with TLS is 2376 as a rule",
};

/// The three files of a client, each PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the authority that signed the engine's.
    pub ca: PathBuf,
    /// The certificate that is shown to the engine.
    pub cert: PathBuf,
    /// Its private key, readable by its owner alone.
    pub key: PathBuf,
}

/// Whose certificate it is that ends soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The engine's.
    Engine,
    /// The one that is shown to it.
    Ours,
}

/// The way to one engine over TCP with TLS on both sides.
pub struct Tls {
    host: String,
    port: u16,
    name: ServerName<'static>,
    files: TlsFiles,
    config: ClientConfig,
    ours: Arc<CertifiedKey>,
    engines: Arc<WebPkiServerVerifier>,
    clients: Arc<dyn ClientCertVerifier>,
    /// What the engine showed last.
    shown: Mutex<Vec<CertificateDer<'static>>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("place", &self.place())
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Our certificate, or none, and whether it was asked for.
#[derive(Debug)]
struct Asked {
    ours: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.ours.clone()
    }

    fn has_certs(&self) -> bool {
        self.ours.is_some()
    }
}

impl Tls {
    /// Reads the files and checks all that can be known before the engine is asked.
    ///
    /// # Errors
    /// A sentence for each way in which a file cannot be what it should be: not there, not PEM, another kind of thing,
    /// an encrypted key, a key that others may read ([`Code::Refused`]), a key of another certificate, a
    /// certificate of ours that has ended, has not begun or is not for clients.
    pub async fn open(host: &str, port: u16, files: TlsFiles) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::usage(format!(
                "`{}` is no name that a certificate can have",
                host.escape_debug()
            ))
        })?;
        let authorities = files::certificates(&files.ca, "the authority's certificate").await?;
        let chain = files::certificates(&files.cert, "the certificate").await?;
        let key = files::key(&files.key).await?;
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());

        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots
                .add(authority)
                .map_err(|e| files::unreadable(&files.ca, "the authority's certificate", &e))?;
        }
        let roots = Arc::new(roots);
        let ours = CertifiedKey::from_der(chain, key, &provider)
            .map_err(|e| files::no_pair(&files, &e))?;
        let engines =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|e| files::unreadable(&files.ca, "the authority's certificate", &e))?;
        let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|e| files::unreadable(&files.ca, "the authority's certificate", &e))?;
        if let Some(error) =
            verify_ours(&clients, &ours, UnixTime::now()).and_then(|e| words::ours(&files.cert, &e))
        {
            return Err(error);
        }
        let ours = Arc::new(ours);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|e| Error::failed("TLS cannot be used here").because(e.to_string()))?
            .with_webpki_verifier(Arc::clone(&engines))
            .with_client_cert_resolver(Arc::new(Asked {
                ours: None,
                asked: AtomicBool::new(false),
            }));
        // A resumed session asks for no certificate, and then nobody could tell whether this engine does.
        config.resumption = Resumption::disabled();
        Ok(Self {
            host: host.to_owned(),
            port,
            name,
            files,
            config,
            ours,
            engines,
            clients,
            shown: Mutex::default(),
        })
    }

    /// `host:port`.
    #[must_use]
    pub fn place(&self) -> String {
        tcp::place(&self.host, self.port)
    }

    /// Opens one connection: 5 s for TCP, 10 s for TLS.
    ///
    /// # Errors
    /// [`Code::Unreachable`] and [`Code::TimedOut`] from the network; [`Code::Refused`] for an engine whose certificate
    /// does not hold, or that asks for none of ours. An engine that refuses *our* certificate says so
    /// with the first bytes that it answers: see [`Tls::probe`].
    pub async fn dial(&self) -> Result<Box<dyn ByteStream>> {
        Ok(Box::new(self.connect(true).await?))
    }

    /// Opens a connection and asks the engine for a sign of life, so that a refusal of our certificate is known: in
    /// TLS 1.3 an engine says that only after the handshake. Then the same without a certificate, which must not
    /// work: a server may ask for one and still let in whoever has none. 20 s more at most.
    ///
    /// # Errors
    /// As [`Tls::dial`].
    pub async fn probe(&self) -> Result<()> {
        let place = self.place();
        match ping(self.connect(true).await?).await {
            Ok(true) => {}
            Ok(false) => {
                return Err(Error::new(
                    Code::Unreachable,
                    format!("`{place}` ended the connection without an answer"),
                )
                .hint("Look at the log of its engine"));
            }
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                return Err(Error::new(
                    Code::TimedOut,
                    format!("`{place}` gave no answer in {} s", PING_TIMEOUT.as_secs()),
                )
                .hint("Look at the load of the host, or restart its Docker service"));
            }
            Err(e) => {
                let said = e
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<Said>())
                    .map(|said| said.0.clone());
                return Err(said.unwrap_or_else(|| {
                    Error::new(
                        Code::Unreachable,
                        format!("The connection to `{place}` broke"),
                    )
                    .because(e.to_string())
                }));
            }
        }
        if let Ok(nobody) = self.connect(false).await
            && matches!(ping(nobody).await, Ok(true))
        {
            return Err(words::open_to_all(&place));
        }
        Ok(())
    }

    /// Certificates that end within that time from now, with the second (since 1970) in which they do. The engine's is
    /// that of the last connection.
    #[must_use]
    pub fn ending_within(&self, time: Duration) -> Vec<(Whose, u64)> {
        let now = UnixTime::now();
        let then = UnixTime::since_unix_epoch(Duration::from_secs(
            now.as_secs().saturating_add(time.as_secs()),
        ));
        let mut ending = Vec::new();
        let shown = self
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((first, rest)) = shown.split_first()
            && let Err(e) = self
                .engines
                .verify_server_cert(first, rest, &self.name, &[], then)
            && let Some(end) = words::end_of(&e)
        {
            ending.push((Whose::Engine, end));
        }
        if let Some(end) = verify_ours(&self.clients, &self.ours, then)
            .as_ref()
            .and_then(words::end_of)
        {
            ending.push((Whose::Ours, end));
        }
        ending
    }

    /// Connects as us, or as somebody without a certificate.
    async fn connect(&self, as_us: bool) -> Result<TlsWire> {
        let tcp = tcp::connect(&self.host, self.port, ENGINE, |_| true).await?;
        keep_alive(&tcp);
        let first = FirstWords::default();
        let wire = Wire::new(tcp, first.clone(), Arc::default(), CancellationToken::new());
        let resolver = Arc::new(Asked {
            ours: as_us.then(|| Arc::clone(&self.ours)),
            asked: AtomicBool::new(false),
        });
        let mut config = self.config.clone();
        config.client_auth_cert_resolver = Arc::clone(&resolver) as _;
        let connector = TlsConnector::from(Arc::new(config));
        let place = self.place();
        let handshake = connector.connect(self.name.clone(), wire);
        let stream = match timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Err(words::handshake(&place, &self.files, &first, &e)),
            Err(_) => return Err(words::silent(&place, &first, HANDSHAKE_TIMEOUT)),
        };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = stream
            .get_ref()
            .1
            .peer_certificates()
            .unwrap_or_default()
            .to_vec();
        if !resolver.asked.load(Ordering::Relaxed) {
            return Err(words::open_to_all(&place));
        }
        Ok(TlsWire {
            stream,
            place,
            files: self.files.clone(),
        })
    }
}

/// Whether anything is answered.
async fn ping(mut stream: TlsWire) -> io::Result<bool> {
    let ask = async {
        stream
            .write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
            .await?;
        stream.flush().await?;
        let mut first = [0; 16];
        stream.read(&mut first).await
    };
    match timeout(PING_TIMEOUT, ask).await {
        Ok(answered) => answered.map(|bytes| bytes > 0),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn verify_ours(
    clients: &Arc<dyn ClientCertVerifier>,
    ours: &CertifiedKey,
    at: UnixTime,
) -> Option<rustls::Error> {
    let (first, rest) = ours.cert.split_first()?;
    clients.verify_client_cert(first, rest, at).err()
}

/// Plain TCP to an engine on this machine: its name must lead to loopback addresses, and no other is ever tried. 5 s.
///
/// # Errors
/// [`Code::Refused`] for another machine; [`Code::Unreachable`], [`Code::TimedOut`].
pub async fn plain_tcp(host: &str, port: u16) -> Result<Box<dyn ByteStream>> {
    if !is_loopback(host) {
        return Err(words::plain(&tcp::place(host, port)));
    }
    let stream = tcp::connect(host, port, ENGINE, |to: SocketAddr| to.ip().is_loopback()).await?;
    keep_alive(&stream);
    Ok(Box::new(stream))
}

/// Whether a host's name or address can only mean this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// An engine may be silent for hours while nothing happens, and so may a network that is gone: the kernel tells them
/// apart within 45 s (15 s idle, then three questions, 10 s apart).
fn keep_alive(tcp: &TcpStream) {
    let set = || -> rustix::io::Result<()> {
        sockopt::set_socket_keepalive(tcp, true)?;
        sockopt::set_tcp_keepidle(tcp, Duration::from_secs(15))?;
        sockopt::set_tcp_keepintvl(tcp, Duration::from_secs(10))?;
        sockopt::set_tcp_keepcnt(tcp, 3)
    };
    if let Err(e) = set() {
        tracing::debug!(error = %e, "keepalive could not be set");
    }
}

/// A failure in our words on its way through an [`io::Error`].
#[derive(Debug)]
struct Said(Error);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Said {}

/// A connection whose late failures are told in our words too.
struct TlsWire {
    stream: TlsStream<Wire<TcpStream>>,
    place: String,
    files: TlsFiles,
}

impl TlsWire {
    fn told(&self, e: io::Error) -> io::Error {
        let alert = e
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match alert {
            Some(alert) => io::Error::new(
                e.kind(),
                Said(words::tls(&self.place, &self.files, None, alert)),
            ),
            None => e,
        }
    }
}

impl AsyncRead for TlsWire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream)
            .poll_read(cx, buf)
            .map_err(|e| self.told(e))
    }
}

impl AsyncWrite for TlsWire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream)
            .poll_write(cx, buf)
            .map_err(|e| self.told(e))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream)
            .poll_flush(cx)
            .map_err(|e| self.told(e))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
