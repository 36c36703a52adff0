//! One SSH channel as a stream of bytes.
//!
//! The library hands every message to its channel from the one task that serves the whole
//! connection, and waits there when the channel's queue is full. It also refills the SSH
//! window when data arrives, not when it is read, so the window cannot hold a sender back.
//! One reader that stands still would stop every other channel, keepalives and rekeying.
//!
//! So each channel has a pump: a task that always takes what arrives into an [`Inbox`]. What
//! happens when nobody empties the inbox is the lane's [`Overflow`].

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    client::Facts,
    inbox::{End, Inbox},
};

/// What happens when a channel's unread bytes reach its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The channel is closed with an error at once; the others never notice.
    Cut,
    /// The connection waits for the reader, so that the host is slowed down instead of the
    /// data being lost. A reader that takes nothing for this long is cut off.
    Hold(Option<Duration>),
}

/// The unread bytes that one channel may have, and what happens beyond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
}

/// Unread bytes of all channels of a connection from which on a channel beyond
/// [`FAIR_SHARE`] is treated as over its own budget: many channels that stand still
/// together must not fill the memory.
const SESSION_BUDGET: usize = 256 << 20;
const FAIR_SHARE: usize = 1 << 20;

/// How long a channel that its user dropped may take to end by itself.
const LINGER: Duration = Duration::from_secs(1);

/// How long after the end of a command's output its exit status may come.
const STATUS_WAIT: Duration = Duration::from_secs(2);

/// The end of a command's stderr that is kept for an error, in bytes.
const STDERR_KEPT: usize = 4 << 10;

/// What a channel carries, as far as its end means something different.
pub(crate) enum Carries {
    /// A forwarded connection.
    Tunnel,
    /// The standard streams of the named command, which holds one of the session's slots.
    Command(String, OwnedSemaphorePermit),
}

/// A channel as a stream. Dropping it ends the channel.
pub(crate) struct ChannelStream {
    inbox: Arc<Inbox>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    sent_eof: Arc<AtomicBool>,
    _pump: DropGuard,
}

impl ChannelStream {
    pub(crate) fn new(
        channel: russh::Channel<Msg>,
        carries: Carries,
        budget: Budget,
        facts: &Arc<Facts>,
    ) -> Self {
        let (read, write) = channel.split();
        let inbox = Arc::new(Inbox::new(facts.clone()));
        let dropped = CancellationToken::new();
        let sent_eof = Arc::new(AtomicBool::new(false));
        let writer = Box::pin(write.make_writer());
        let pump = Pump {
            read,
            write,
            inbox: inbox.clone(),
            dropped: dropped.clone(),
            sent_eof: sent_eof.clone(),
            budget,
            facts: facts.clone(),
        };
        tokio::spawn(pump.run(carries));
        Self {
            inbox,
            writer,
            sent_eof,
            _pump: dropped.drop_guard(),
        }
    }
}

impl AsyncRead for ChannelStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inbox.poll_read(cx, buf)
    }
}

impl AsyncWrite for ChannelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The library's writer waits for a window that a dead connection never opens.
        match self.inbox.shut(cx) {
            Some(End::Clean) => {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::BrokenPipe,
                    "the other end closed the channel",
                )));
            }
            Some(End::Broken(kind, why)) => return Poll::Ready(Err(io::Error::new(kind, why))),
            None => {}
        }
        // It also refuses an empty write.
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.writer.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sent_eof.load(Ordering::Relaxed) || self.inbox.shut(cx).is_some() {
            return Poll::Ready(Ok(()));
        }
        let result = self.writer.as_mut().poll_shutdown(cx);
        if result.is_ready() {
            self.sent_eof.store(true, Ordering::Relaxed);
        }
        result
    }
}

struct Pump {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    inbox: Arc<Inbox>,
    dropped: CancellationToken,
    sent_eof: Arc<AtomicBool>,
    budget: Budget,
    facts: Arc<Facts>,
}

/// Why the pump stopped.
enum Stop {
    /// The other side closed the channel, or the connection is gone.
    Over,
    /// Its user dropped it.
    Dropped,
    /// Its reader was too slow.
    Cut,
}

impl Pump {
    async fn run(mut self, carries: Carries) {
        // The slot is held until the channel is over on the host as well, as far as that is seen.
        let (command, _slot) = match carries {
            Carries::Tunnel => (None, None),
            Carries::Command(name, slot) => (Some(name), Some(slot)),
        };
        match self.pump(command.as_deref()).await {
            Stop::Over => {}
            Stop::Dropped => self.linger().await,
            Stop::Cut => {
                let _ = self.write.close().await;
            }
        }
    }

    async fn pump(&mut self, command: Option<&str>) -> Stop {
        let mut stderr = Tail::default();
        let mut status: Option<String> = None;
        let mut eof: Option<Instant> = None;
        loop {
            let message = tokio::select! {
                biased;
                () = self.dropped.cancelled() => return Stop::Dropped,
                message = next(&mut self.read, eof) => message,
            };
            let Some(message) = message else {
                // Neither a status nor the close came in time.
                eof = None;
                self.inbox
                    .end(command_end(command, status.as_deref(), &stderr));
                continue;
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    if let Some(stop) = self.keep(data).await {
                        return stop;
                    }
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => stderr.add(&data),
                // Only the status tells whether a command's output is whole, and it can come
                // before the end of the output or after it.
                Some(ChannelMsg::Eof) if command.is_some() && status.as_deref() != Some("") => {
                    eof = Some(Instant::now() + STATUS_WAIT)
                }
                Some(ChannelMsg::Eof) => self.inbox.end(End::Clean),
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    status = Some(match exit_status {
                        0 => String::new(),
                        1..=0xffff => format!("exit status {exit_status}"),
                        _ => format!("exit status 0x{exit_status:08X}"),
                    });
                    if exit_status == 0 && eof.take().is_some() {
                        self.inbox.end(End::Clean);
                    }
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    status = Some(format!("signal {signal_name:?}"))
                }
                Some(ChannelMsg::Close) => {
                    self.inbox
                        .close(command_end(command, status.as_deref(), &stderr));
                    return Stop::Over;
                }
                // Without a close the connection itself is gone. To a reader that would look
                // like the end of the data.
                None => {
                    let why = self
                        .facts
                        .why_closed()
                        .unwrap_or_else(|| "the connection was lost".to_owned());
                    self.inbox.close(End::Broken(
                        io::ErrorKind::ConnectionReset,
                        format!("the SSH connection ended: {why}"),
                    ));
                    return Stop::Over;
                }
                Some(_) => {}
            }
        }
    }

    /// Puts bytes into the inbox and waits or gives up when there are too many.
    async fn keep(&mut self, data: Bytes) -> Option<Stop> {
        let unread = self.inbox.push(data);
        let crowded =
            unread > FAIR_SHARE && self.facts.unread.load(Ordering::Relaxed) > SESSION_BUDGET;
        if unread <= self.budget.bytes && !crowded {
            return None;
        }
        let patience = match self.budget.overflow {
            Overflow::Cut => Some(Duration::ZERO),
            Overflow::Hold(patience) => patience,
        };
        if patience == Some(Duration::ZERO) {
            return Some(self.cut(unread));
        }
        let _holding = Holding::new(&self.facts);
        let (_, mut taken) = self.inbox.level();
        loop {
            tokio::select! {
                biased;
                () = self.dropped.cancelled() => return Some(Stop::Dropped),
                () = self.facts.closed.cancelled() => return None,
                () = self.inbox.room.notified() => {}
                () = sleep_or_never(patience) => {
                    let (unread, now) = self.inbox.level();
                    if now == taken {
                        return Some(self.cut(unread));
                    }
                }
            }
            let (unread, now) = self.inbox.level();
            taken = now;
            if unread <= self.budget.bytes {
                return None;
            }
        }
    }

    fn cut(&self, unread: usize) -> Stop {
        tracing::warn!(unread, "an SSH channel was closed because nobody reads it");
        self.inbox.cut(&format!(
            "this connection was closed because its reader stood still with {} MiB unread",
            unread >> 20
        ));
        Stop::Cut
    }

    /// Lets the other side end the channel first, for a moment.
    ///
    /// The library forgets a channel only when the other side's close comes before its own;
    /// the other way round it keeps a part of it for as long as the connection lives.
    async fn linger(&mut self) {
        let polite = async {
            if !self.sent_eof.load(Ordering::Relaxed) && self.write.eof().await.is_err() {
                return;
            }
            while let Some(message) = self.read.wait().await {
                if matches!(message, ChannelMsg::Close) {
                    return;
                }
            }
        };
        if timeout(LINGER, polite).await.is_err() {
            let _ = timeout(LINGER, self.write.close()).await;
        }
    }
}

/// The next message, or `None` when `until` passes first.
async fn next(read: &mut ChannelReadHalf, until: Option<Instant>) -> Option<Option<ChannelMsg>> {
    match until {
        None => Some(read.wait().await),
        Some(until) => timeout_at(until, read.wait()).await.ok(),
    }
}

async fn sleep_or_never(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn command_end(command: Option<&str>, status: Option<&str>, stderr: &Tail) -> End {
    let Some(command) = command else {
        return End::Clean;
    };
    let said = stderr.text();
    let ended = match status {
        Some("") => return End::Clean,
        Some(status) => status,
        // Not told: what it said on stderr is all there is to judge by.
        None if said.is_empty() => return End::Clean,
        None => "no exit status",
    };
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    End::Broken(
        io::ErrorKind::BrokenPipe,
        format!("`{command}` ended with {ended}{said}"),
    )
}

/// Counts a channel that holds up its connection.
struct Holding<'a>(&'a Facts);

impl<'a> Holding<'a> {
    fn new(facts: &'a Facts) -> Self {
        facts.holding.fetch_add(1, Ordering::Relaxed);
        Self(facts)
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.holding.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The last bytes of something.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn add(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let over = self.0.len().saturating_sub(STDERR_KEPT);
        self.0.drain(..over);
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}
