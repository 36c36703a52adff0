//! The bytes below SSH: what the other side said first, and a way to end it for sure.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::pulse::Pulse;

/// How much of the first words is kept, in bytes.
const FIRST_WORDS: usize = 255;

/// A connection that remembers its first words and can be cut from outside.
///
/// russh does not look at its own handle while keys are exchanged, so dropping the handle
/// would leave a connection open to a host that stays silent. Cutting ends it.
pub(crate) struct Wire<S> {
    inner: S,
    first: FirstWords,
    pulse: Arc<Pulse>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    is_cut: bool,
}

/// What the other side said first, shared with whoever words an error.
#[derive(Clone, Default)]
pub(crate) struct FirstWords(Arc<Mutex<Vec<u8>>>);

impl FirstWords {
    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FIRST_WORDS.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
    }

    /// The first line that says something, fit for an error message; `None` for silence.
    pub(crate) fn line(&self) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let line = text
            .lines()
            .find(|l| !l.trim().is_empty())?
            .trim()
            .to_owned();
        Some(
            line.chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .take(120)
                .collect(),
        )
    }

    /// Whether an SSH identification came (RFC 4253 4.2: other lines may precede it).
    pub(crate) fn is_ssh(&self) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.split(|b| *b == b'\n')
            .any(|line| line.starts_with(b"SSH-"))
    }
}

impl<S> Wire<S> {
    pub(crate) fn new(
        inner: S,
        first: FirstWords,
        pulse: Arc<Pulse>,
        cut: CancellationToken,
    ) -> Self {
        Self {
            inner,
            first,
            pulse,
            cut: Box::pin(cut.cancelled_owned()),
            is_cut: false,
        }
    }

    fn check_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A future that is ready must not be polled again.
        if !self.is_cut && self.cut.as_mut().poll(cx).is_ready() {
            self.is_cut = true;
        }
        if self.is_cut {
            Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection was given up",
            ))
        } else {
            Ok(())
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_cut(cx)?;
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = result
            && buf.filled().len() > before
        {
            self.pulse.heard();
            self.first
                .add(buf.filled().get(before..).unwrap_or_default());
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_cut(cx)?;
        // Also what cannot be sent: a full buffer that stays full is silence too.
        self.pulse.sent();
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_cut(cx)?;
        self.pulse.sent();
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_cut(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // russh forgets why a connection ended when its shutdown fails, and it fails
        // whenever the other side is already gone.
        match Pin::new(&mut self.inner).poll_shutdown(cx) {
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}
