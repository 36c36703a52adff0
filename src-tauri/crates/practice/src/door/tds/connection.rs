//! One connection from its first byte to its last: greeting, TLS, login, and then bytes both ways.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use berth_core::ByteStream;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    login::Login,
    packet::{HEADER, MESSAGE_LIMIT, Request, header, kind, read_message, status},
    prelogin::{self, Encryption},
    read::Malformed,
    session::{self, Incoming, Start},
    tls::{self, Wrapped},
};
use crate::sql::{Control, SqlServer};

/// From the first byte to the end of the login message.
const GREETING: Duration = Duration::from_secs(30);

/// Bytes of a message before the login is accepted.
const GREETING_LIMIT: usize = 128 * 1024;

/// How long the last words may take, and then the session's thread.
const FAREWELL: Duration = Duration::from_secs(5);

/// Packets that are ready before the session waits for its client.
const READY_PACKETS: usize = 16;

/// Serves one TDS connection until either side ends it.
pub(crate) async fn serve(server: &Arc<SqlServer>, stream: Box<dyn ByteStream>) {
    match timeout(GREETING, Box::pin(greet(server, stream))).await {
        Ok(Ok(Some(greeted))) => Box::pin(talk(Arc::clone(server), greeted)).await,
        Ok(Ok(None)) => {}
        Ok(Err(e)) => tracing::debug!(error = %e, "a TDS connection ended before its login"),
        Err(_) => tracing::debug!("a TDS client did not log in in time"),
    }
}

/// A client that said who it is.
struct Greeted {
    stream: Box<dyn ByteStream>,
    login: Login,
    encrypted: bool,
}

impl From<Malformed> for io::Error {
    fn from(m: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, m.0)
    }
}

fn unexpected(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

async fn greet(
    server: &Arc<SqlServer>,
    mut stream: Box<dyn ByteStream>,
) -> io::Result<Option<Greeted>> {
    let mut first = [0];
    if stream.read(&mut first).await? == 0 {
        return Ok(None);
    }
    let [byte] = first;
    stream = Box::new(Rewound {
        first: Some(byte),
        inner: stream,
    });
    if byte == TLS_HANDSHAKE {
        return greet_strictly(server, stream).await;
    }
    let Some(first) = read_message(&mut stream, GREETING_LIMIT).await? else {
        return Ok(None);
    };
    match first.kind {
        kind::PRELOGIN => {}
        // Some old clients begin with it.
        kind::LOGIN => {
            let login = Login::read(&first.body)?;
            return Ok(Some(Greeted {
                stream,
                login,
                encrypted: false,
            }));
        }
        _ => return Err(unexpected("the first message is no greeting")),
    }
    let encryption = prelogin::read(&first.body)?;
    let body = prelogin::answer(session::version(server), encryption);
    let length = u16::try_from(body.len().saturating_add(HEADER)).unwrap_or(u16::MAX);
    let mut packet = header(kind::RESPONSE, status::END, length, 0, 1).to_vec();
    packet.extend(body);
    stream.write_all(&packet).await?;
    stream.flush().await?;
    if encryption == Encryption::No {
        let Some(login) = read_login(&mut stream).await? else {
            return Ok(None);
        };
        return Ok(Some(Greeted {
            stream,
            login,
            encrypted: false,
        }));
    }
    let tls = tls(server, false).await?;
    let mut wrapped = TlsAcceptor::from(tls).accept(Wrapped::new(stream)).await?;
    wrapped.get_mut().0.unwrap_records();
    let Some(login) = read_login(&mut wrapped).await? else {
        return Ok(None);
    };
    Ok(Some(if encryption == Encryption::On {
        Greeted {
            stream: Box::new(wrapped),
            login,
            encrypted: true,
        }
    } else {
        // Only the login was for nobody else's eyes.
        Greeted {
            stream: wrapped.into_inner().0.into_inner(),
            login,
            encrypted: false,
        }
    }))
}

/// TDS 8.0: everything is inside of TLS, and the greeting decides nothing about it.
async fn greet_strictly(
    server: &Arc<SqlServer>,
    stream: Box<dyn ByteStream>,
) -> io::Result<Option<Greeted>> {
    let tls = tls(server, true).await?;
    let mut stream = TlsAcceptor::from(tls).accept(stream).await?;
    let Some(first) = read_message(&mut stream, GREETING_LIMIT).await? else {
        return Ok(None);
    };
    if first.kind != kind::PRELOGIN {
        return Err(unexpected("the first message is no greeting"));
    }
    prelogin::read(&first.body)?;
    let body = prelogin::answer(session::version(server), Encryption::No);
    let length = u16::try_from(body.len().saturating_add(HEADER)).unwrap_or(u16::MAX);
    let mut packet = header(kind::RESPONSE, status::END, length, 0, 1).to_vec();
    packet.extend(body);
    stream.write_all(&packet).await?;
    stream.flush().await?;
    let Some(login) = read_login(&mut stream).await? else {
        return Ok(None);
    };
    // Microsoft's ODBC driver asks for 7.4 in here too, as SQL Server allows.
    Ok(Some(Greeted {
        stream: Box::new(stream),
        login,
        encrypted: true,
    }))
}

/// What a TLS handshake begins with, and no packet of TDS.
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection whose first byte was looked at.
struct Rewound {
    first: Option<u8>,
    inner: Box<dyn ByteStream>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(byte) = self.first.take()
        {
            buf.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The certificate is read for each connection: this door holds no state.
async fn tls(server: &Arc<SqlServer>, strict: bool) -> io::Result<Arc<ServerConfig>> {
    let dir = server.dir.clone();
    let made = tokio::task::spawn_blocking(move || tls::server(&dir, strict))
        .await
        .map_err(io::Error::other)?;
    made.map_err(|e| {
        tracing::warn!(error = %e, "no TLS for SQL clients");
        io::Error::other(e)
    })
}

async fn read_login(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Login>> {
    match read_message(stream, GREETING_LIMIT).await? {
        None => Ok(None),
        Some(Request {
            kind: kind::LOGIN,
            body,
            ..
        }) => Ok(Some(Login::read(&body)?)),
        Some(_) => Err(unexpected("no login after the greeting")),
    }
}

async fn talk(server: Arc<SqlServer>, greeted: Greeted) {
    let Greeted {
        stream,
        login,
        encrypted,
    } = greeted;
    let (reader, mut writer) = tokio::io::split(stream);
    let control = Arc::new(Control::default());
    let (requests, incoming) = mpsc::channel(2);
    let (packets, mut ready) = mpsc::channel(READY_PACKETS);
    let (over, is_over) = oneshot::channel::<()>();
    let skew = server.clock_skew;
    let start = Start {
        server,
        control: Arc::clone(&control),
        login,
        encrypted,
        incoming,
        packets,
    };
    let thread = std::thread::Builder::new()
        .name("sql session".into())
        .stack_size(crate::sql::session::STACK)
        .spawn(move || {
            crate::sql::clock::with_skew(skew, || session::run(start));
            drop(over);
        });
    if let Err(e) = thread {
        tracing::warn!(error = %e, "no thread for a SQL session");
        return;
    }
    tokio::select! {
        // The session said its last word.
        r = write_all(&mut writer, &mut ready) => end_with(r),
        r = read_all(reader, &requests, &control) => end_with(r),
        () = control.ended.notified() => {}
    }
    // Whatever still runs has nobody to run for.
    control.cancel.store(true, Ordering::Release);
    drop((requests, ready));
    let _ = timeout(FAREWELL, writer.shutdown()).await;
    if timeout(FAREWELL, is_over).await.is_err() {
        tracing::warn!("a SQL session does not stop");
    }
}

fn end_with(result: io::Result<()>) {
    if let Err(e) = result {
        tracing::debug!(error = %e, "a TDS connection ended");
    }
}

/// Writes what the session has ready, until it has ended.
async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    ready: &mut mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Some(packet) = ready.recv().await {
        writer.write_all(&packet).await?;
        // More may be on its way: then one flush does for both.
        if ready.is_empty() {
            writer.flush().await?;
        }
    }
    writer.flush().await
}

/// Hands on what the client sends, until it has ended. An attention overtakes everything.
async fn read_all(
    reader: impl AsyncRead + Unpin,
    requests: &mpsc::Sender<Incoming>,
    control: &Control,
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(4096, reader);
    while let Some(request) = read_message(&mut reader, MESSAGE_LIMIT).await? {
        let next = if request.kind == kind::ATTENTION {
            // Taken back when the queue gets there.
            control.cancel.store(true, Ordering::Release);
            Incoming::Attention
        } else {
            Incoming::Request(request)
        };
        if requests.send(next).await.is_err() {
            // The session has ended; its last packets are still to be written.
            return std::future::pending().await;
        }
    }
    Ok(())
}
