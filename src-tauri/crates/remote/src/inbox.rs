//! What has arrived on one channel and was not read yet: bounded by bytes, never awaited.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use tokio::{io::ReadBuf, sync::Notify};

use crate::client::Facts;

/// How a channel ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// The other side said that nothing follows.
    Clean,
    /// Something went wrong; a reader must not take it for the end of the data.
    Broken(io::ErrorKind, String),
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Bytes ever read: tells a slow reader from one that stands still.
    taken: u64,
    /// Nothing more can be read.
    end: Option<End>,
    /// Nothing more can be written, and why.
    shut: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The bytes between a channel's pump and its reader.
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Told when a reader made room.
    pub(crate) room: Notify,
    facts: Arc<Facts>,
}

impl Inbox {
    pub(crate) fn new(facts: Arc<Facts>) -> Self {
        Self {
            state: Mutex::default(),
            room: Notify::new(),
            facts,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what arrived; answers how many bytes are unread now.
    pub(crate) fn push(&self, chunk: Bytes) -> usize {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_add(chunk.len());
        self.facts.unread.fetch_add(chunk.len(), Ordering::Relaxed);
        state.chunks.push_back(chunk);
        let bytes = state.bytes;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        bytes
    }

    /// Unread bytes, and bytes ever read.
    pub(crate) fn level(&self) -> (usize, u64) {
        let state = self.state();
        (state.bytes, state.taken)
    }

    /// Nothing more will arrive. The first end counts.
    pub(crate) fn end(&self, end: End) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The channel is gone: nothing more will arrive and nothing can be sent.
    pub(crate) fn close(&self, end: End) {
        let mut state = self.state();
        state.end.get_or_insert_with(|| end.clone());
        state.shut.get_or_insert(end);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Drops what is unread and ends in an error.
    pub(crate) fn cut(&self, why: &str) {
        let end = End::Broken(io::ErrorKind::Other, why.to_owned());
        let mut state = self.state();
        self.facts.unread.fetch_sub(state.bytes, Ordering::Relaxed);
        state.chunks.clear();
        state.bytes = 0;
        state.end = Some(end.clone());
        drop(state);
        self.close(end);
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.state();
        let mut taken = 0;
        while buf.remaining() > 0 {
            let Some(chunk) = state.chunks.front_mut() else {
                break;
            };
            let part = chunk.split_to(chunk.len().min(buf.remaining()));
            let done = !chunk.has_remaining();
            buf.put_slice(&part);
            taken += part.len();
            if done {
                state.chunks.pop_front();
            }
        }
        if taken > 0 {
            state.bytes -= taken;
            state.taken = state.taken.saturating_add(taken as u64);
            self.facts.unread.fetch_sub(taken, Ordering::Relaxed);
            drop(state);
            self.room.notify_one();
            return Poll::Ready(Ok(()));
        }
        match &state.end {
            Some(End::Clean) => Poll::Ready(Ok(())),
            Some(End::Broken(kind, why)) => Poll::Ready(Err(io::Error::new(*kind, why.clone()))),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// `Some` when writing makes no sense any more; otherwise wakes the writer when that changes.
    pub(crate) fn shut(&self, cx: &mut Context<'_>) -> Option<End> {
        let mut state = self.state();
        if state.shut.is_none() {
            state.writer = Some(cx.waker().clone());
        }
        state.shut.clone()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let left = self.state().bytes;
        self.facts.unread.fetch_sub(left, Ordering::Relaxed);
    }
}
