//! A connection's bytes as a bad network carries them: late, slow, and cut off.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use berth_core::ByteStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Bytes under way at most, where they are late.
const UNDER_WAY: usize = 1024 * 1024;

/// What is wrong with a connection, in the direction of the client.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bad {
    /// After so many bytes it breaks.
    pub drop_at: Option<u64>,
    /// So much later a byte arrives.
    pub latency: Duration,
    /// Bytes a second.
    pub bandwidth: Option<u64>,
}

impl Bad {
    fn shapes(&self) -> bool {
        !self.latency.is_zero() || self.bandwidth.is_some()
    }
}

/// The connection.
pub(super) struct Wire {
    inner: Box<dyn ByteStream>,
    /// Cancelled, the connection breaks at the next byte to the client.
    cut: CancellationToken,
    left: Option<u64>,
    bad: Bad,
    /// What was written and has not arrived, with the time when it does.
    under_way: VecDeque<(Instant, Vec<u8>)>,
    waiting: usize,
    /// When the line is free for the next byte.
    free: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Wire {
    pub(super) fn new(inner: Box<dyn ByteStream>, bad: Bad, cut: CancellationToken) -> Self {
        let now = Instant::now();
        Self {
            inner,
            cut,
            left: bad.drop_at,
            bad,
            under_way: VecDeque::new(),
            waiting: 0,
            free: now,
            alarm: Box::pin(sleep_until(now)),
        }
    }

    /// Writes to the client itself, up to the byte where the connection breaks.
    fn poll_out(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let most = self.left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        let part = buf.get(..most.min(buf.len())).unwrap_or(buf);
        if (part.is_empty() && !buf.is_empty()) || self.cut.is_cancelled() {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, part);
        if let (Poll::Ready(Ok(n)), Some(left)) = (&written, self.left.as_mut()) {
            *left = left.saturating_sub(*n as u64);
        }
        written
    }

    /// Hands over what is due. Ready when nothing is under way any more.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while let Some((due, mut bytes)) = self.under_way.pop_front() {
            if due > Instant::now() {
                self.alarm.as_mut().reset(due);
                self.under_way.push_front((due, bytes));
                match self.alarm.as_mut().poll(cx) {
                    Poll::Ready(()) => continue,
                    Poll::Pending => return Poll::Pending,
                }
            }
            match self.poll_out(cx, &bytes) {
                Poll::Ready(Ok(n)) => {
                    self.waiting = self.waiting.saturating_sub(n);
                    if n < bytes.len() {
                        bytes.drain(..n);
                        self.under_way.push_front((due, bytes));
                    }
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {
                    self.under_way.push_front((due, bytes));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn post(&mut self, buf: &[u8]) -> usize {
        let n = buf
            .len()
            .min(UNDER_WAY - self.waiting.min(UNDER_WAY))
            .min(16 * 1024);
        let now = Instant::now();
        let sent = self.free.max(now)
            + self.bad.bandwidth.map_or(Duration::ZERO, |rate| {
                Duration::from_secs_f64(n as f64 / rate as f64)
            });
        self.free = sent;
        if let Some(part) = buf.get(..n) {
            self.under_way
                .push_back((sent + self.bad.latency, part.to_vec()));
        }
        self.waiting += n;
        n
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        // Whoever waits for an answer must not have to write for what is due to leave.
        if let Poll::Ready(Err(e)) = self.poll_due(cx) {
            return Poll::Ready(Err(e));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if !self.bad.shapes() {
            return self.poll_out(cx, buf);
        }
        if self.waiting >= UNDER_WAY {
            ready!(self.poll_due(cx))?;
        }
        let n = self.post(buf);
        // Asked once, so that the alarm is set.
        match self.poll_due(cx) {
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            _ => Poll::Ready(Ok(n)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(self.poll_due(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(self.poll_due(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
