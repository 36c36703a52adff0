//! The newest of something, kept within a bound, for readers that come and go.
//!
//! A reader holds a position, not a queue: one that is slow misses old entries when the
//! bound passes over it, and never holds up the writer or takes memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::lock;

/// The last entries of a log or of the events.
pub struct Tail<T> {
    ring: Mutex<Ring<T>>,
    end: watch::Sender<u64>,
    keep: usize,
}

struct Ring<T> {
    first: u64,
    entries: VecDeque<T>,
}

impl<T: Clone> Tail<T> {
    /// Keeps the last `keep` entries, and starts with `old` ones.
    pub fn new(keep: usize, old: impl IntoIterator<Item = T>) -> Self {
        let mut entries: VecDeque<T> = old.into_iter().collect();
        while entries.len() > keep {
            entries.pop_front();
        }
        let end = entries.len() as u64;
        Self {
            ring: Mutex::new(Ring { first: 0, entries }),
            end: watch::Sender::new(end),
            keep,
        }
    }

    /// Adds one and wakes every reader.
    pub fn push(&self, entry: T) {
        let end = {
            let mut ring = lock(&self.ring);
            ring.entries.push_back(entry);
            while ring.entries.len() > self.keep {
                ring.entries.pop_front();
                ring.first += 1;
            }
            ring.first + ring.entries.len() as u64
        };
        self.end.send_replace(end);
    }

    /// Everything that is kept now.
    pub fn all(&self) -> Vec<T> {
        lock(&self.ring).entries.iter().cloned().collect()
    }

    /// Reads from what is kept now onwards.
    pub fn follow(self: &Arc<Self>) -> Follow<T> {
        let next = lock(&self.ring).first;
        Follow {
            end: self.end.subscribe(),
            tail: Arc::clone(self),
            next,
        }
    }
}

/// One reader's place in a [`Tail`].
pub struct Follow<T> {
    tail: Arc<Tail<T>>,
    end: watch::Receiver<u64>,
    next: u64,
}

impl<T: Clone> Follow<T> {
    /// What came since the last call, without waiting.
    pub fn take(&mut self) -> Vec<T> {
        self.end.mark_unchanged();
        let ring = lock(&self.tail.ring);
        let skip = usize::try_from(self.next.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        let new = ring.entries.iter().skip(skip).cloned().collect();
        self.next = ring.first + ring.entries.len() as u64;
        new
    }

    /// Waits until there is something new.
    pub async fn changed(&mut self) {
        while *self.end.borrow_and_update() <= self.next {
            if self.end.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_loses_old_entries_and_never_the_newest() {
        let tail = Arc::new(Tail::new(3, [0]));
        let mut reader = tail.follow();
        for n in 1..=10 {
            tail.push(n);
        }
        reader.changed().await;
        assert_eq!(
            reader.take(),
            [8, 9, 10],
            "the bound keeps the newest three"
        );
        assert_eq!(reader.take(), Vec::<i32>::new(), "nothing is told twice");
        tail.push(11);
        reader.changed().await;
        assert_eq!(reader.take(), [11]);
    }
}
