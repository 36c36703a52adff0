//! What the core needs from outside, as traits.

use std::{future::Future, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::Result;

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Any stream of bytes both ways: an SSH channel, a TLS connection, a socket.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> ByteStream for T {}

/// Opens streams to one place. Engine and SQL ask for bytes and never know what carries them.
pub trait Dial: Send + Sync {
    /// Opens one more stream. Gives up by itself within the dialler's own time limit.
    ///
    /// # Errors
    /// [`crate::Code::Unreachable`], [`crate::Code::TimedOut`] or what the way in says.
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>>;
}

impl<T: Dial + ?Sized> Dial for Arc<T> {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        (**self).dial()
    }
}
