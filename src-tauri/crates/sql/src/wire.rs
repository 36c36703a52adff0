//! A stream that can be cut from outside.
//!
//! The driver owns the stream, and half of an answer may still be on it when a call is dropped.
//! Cutting drops the stream itself, so that the server sees the connection close and ends what
//! it was doing.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use berth_core::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

type Shared = Arc<Mutex<Option<Box<dyn ByteStream>>>>;

/// The driver's side. The lock is held for one poll, and only [`Scissors`] contend for it.
pub(crate) struct Wire(Shared);

/// Cuts the wire.
#[derive(Clone)]
pub(crate) struct Scissors(Shared);

pub(crate) fn wire(stream: Box<dyn ByteStream>) -> (Wire, Scissors) {
    let shared = Arc::new(Mutex::new(Some(stream)));
    (Wire(Arc::clone(&shared)), Scissors(shared))
}

impl Scissors {
    pub(crate) fn cut(&self) {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(stream);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Cuts when dropped, unless told that all went well.
    pub(crate) fn unless_finished(&self) -> UnlessFinished {
        UnlessFinished(Some(self.clone()))
    }
}

pub(crate) struct UnlessFinished(Option<Scissors>);

impl UnlessFinished {
    pub(crate) fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for UnlessFinished {
    fn drop(&mut self) {
        if let Some(scissors) = self.0.take() {
            scissors.cut();
        }
    }
}

impl Wire {
    fn poll<T>(
        &self,
        poll: impl FnOnce(Pin<&mut Box<dyn ByteStream>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection was closed here",
            ))),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_shutdown(cx))
    }
}
