//! TLS as MS-TDS 7.4 has it: the handshake inside of packets, the records after it bare (MS-TDS 3.2.5.1).

use std::{
    io,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use berth_core::{ByteStream, Error, Result};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::packet::{HEADER, header, kind, status};

const CERTIFICATE: &str = "tls_certificate.der";
const KEY: &str = "tls_key.der";
const ONLY_TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// Two first connections must not make two certificates.
static MAKING: Mutex<()> = Mutex::new(());

/// The server's side of TLS, with the certificate of the data folder. The first call makes it: self-signed, no CA,
/// for `localhost` and `127.0.0.1`.
///
/// Blocks on files.
///
/// With `strict` it is the TLS around TDS 8.0 (MS-TDS 3.2.5.1), of any version and with its own ALPN.
///
/// # Errors
/// The folder cannot be read or written, or what lies there is no key and certificate.
pub(super) fn server(dir: &Path, strict: bool) -> Result<Arc<ServerConfig>> {
    let failed = |e: &dyn std::fmt::Display| {
        Error::failed(format!(
            "The TLS certificate in `{}` cannot be used",
            dir.display()
        ))
        .because(e.to_string())
        .hint(format!(
            "Delete `{CERTIFICATE}` and `{KEY}` there: new ones are made"
        ))
    };
    let only = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let (certificate, key) = match (
        std::fs::read(dir.join(CERTIFICATE)),
        std::fs::read(dir.join(KEY)),
    ) {
        (Ok(certificate), Ok(key)) => (certificate, key),
        (Err(e), _) | (_, Err(e)) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&e)),
        _ => {
            let (certificate, key) = make().map_err(|e| failed(&e))?;
            // The certificate comes last: without it both are made anew.
            for (name, bytes) in [(KEY, &key), (CERTIFICATE, &certificate)] {
                write(dir, name, bytes).map_err(|e| failed(&e))?;
            }
            (certificate, key)
        }
    };
    drop(only);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        // 1.3 sends tickets after the handshake, at a time when the two sides of TDS 7 no longer agree whether bytes are in packets.
        .with_protocol_versions(if strict {
            rustls::ALL_VERSIONS
        } else {
            ONLY_TLS12
        })
        .map_err(|e| failed(&e))?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        )
        .map_err(|e| failed(&e))?;
    if strict {
        config.alpn_protocols = vec![b"tds/8.0".to_vec()];
    }
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}

fn make() -> std::result::Result<(Vec<u8>, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate()?;
    // Microsoft's ODBC and JDBC drivers do not look at addresses, only at names: the address is there as both.
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params
        .subject_alt_names
        .push(rcgen::SanType::DnsName("127.0.0.1".try_into()?));
    params.subject_alt_names.push(rcgen::SanType::IpAddress(
        std::net::Ipv6Addr::LOCALHOST.into(),
    ));
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Berth practice SQL");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    Ok((certificate.der().to_vec(), key.serialize_der()))
}

/// A file that is there whole or not at all, for its owner alone.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    io::Write::write_all(&mut file, bytes)?;
    file.as_file().sync_all()?;
    file.persist(dir.join(name))?;
    Ok(())
}

/// What lies between TLS and the connection: it puts bytes into packets until [`Wrapped::unwrap_records`].
pub(super) struct Wrapped {
    inner: Box<dyn ByteStream>,
    /// Whether bytes travel in packets.
    packets: bool,
    /// The header of the packet that is being read, and how much of it is here.
    head: [u8; HEADER],
    head_len: usize,
    /// Bytes left in the packet that is being read.
    left: usize,
    /// What is to be written at the next flush.
    out: Vec<u8>,
    /// Packets ready to be written.
    framed: Vec<u8>,
    written: usize,
}

/// Bytes of a handshake's flight. Ours is about one kilobyte.
const FLIGHT: usize = 64 * 1024;

impl Wrapped {
    pub(super) fn new(inner: Box<dyn ByteStream>) -> Self {
        Self {
            inner,
            packets: true,
            head: [0; HEADER],
            head_len: 0,
            left: 0,
            out: Vec::new(),
            framed: Vec::new(),
            written: 0,
        }
    }

    /// The handshake is over: from now on records travel bare.
    pub(super) fn unwrap_records(&mut self) {
        self.packets = false;
    }

    pub(super) fn into_inner(self) -> Box<dyn ByteStream> {
        self.inner
    }

    fn frame(&mut self) {
        let bytes = std::mem::take(&mut self.out);
        let mut chunks = bytes.chunks(4096_usize.saturating_sub(HEADER)).peekable();
        let mut number = 0_u8;
        while let Some(chunk) = chunks.next() {
            let end = if chunks.peek().is_none() {
                status::END
            } else {
                0
            };
            let length = u16::try_from(chunk.len().saturating_add(HEADER)).unwrap_or(u16::MAX);
            number = number.wrapping_add(1);
            self.framed
                .extend(header(kind::PRELOGIN, end, length, 0, number));
            self.framed.extend_from_slice(chunk);
        }
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.frame();
        while let Some(bytes) = self.framed.get(self.written..).filter(|b| !b.is_empty()) {
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written = self.written.saturating_add(n);
        }
        self.framed.clear();
        self.written = 0;
        Pin::new(&mut self.inner).poll_flush(cx)
    }
}

impl AsyncRead for Wrapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.packets {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        while this.left == 0 {
            let start = this.head_len;
            let Some(place) = this.head.get_mut(start..).filter(|p| !p.is_empty()) else {
                let [kind, _, l1, l0, ..] = this.head;
                let length = usize::from(u16::from_be_bytes([l1, l0]));
                if kind != kind::PRELOGIN || length < HEADER {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "no packet of a TLS handshake",
                    )));
                }
                this.left = length.saturating_sub(HEADER);
                this.head_len = 0;
                continue;
            };
            let mut part = ReadBuf::new(place);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
            let n = part.filled().len();
            if n == 0 {
                return Poll::Ready(Ok(()));
            }
            this.head_len = start.saturating_add(n);
        }
        let room = this.left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let n = part.filled().len();
        buf.advance(n);
        this.left = this.left.saturating_sub(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.packets {
            return Pin::new(&mut self.inner).poll_write(cx, bytes);
        }
        if self.out.len() >= FLIGHT {
            ready!(self.poll_out(cx))?;
        }
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.packets {
            self.poll_out(cx)
        } else {
            Pin::new(&mut self.inner).poll_flush(cx)
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        server(dir.path(), false).unwrap();
        let first = std::fs::read(dir.path().join(CERTIFICATE)).unwrap();
        server(dir.path(), false).unwrap();
        assert_eq!(
            first,
            std::fs::read(dir.path().join(CERTIFICATE)).unwrap(),
            "clients that pinned it must find it again"
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(dir.path().join(KEY))
                .unwrap()
                .permissions(),
        );
        assert_eq!(mode & 0o077, 0, "the key is for its owner alone");
    }
}
