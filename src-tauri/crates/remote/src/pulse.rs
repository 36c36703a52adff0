//! Whether the other side still answers, noticed while a connection is used.
//!
//! TCP itself gives up on a silent network after minutes, and SSH's own keepalive asks only now and then. So every byte
//! that is sent starts a clock, and every byte that comes stops it: a connection that was used and stayed silent is
//! asked for a sign of life, and ended when none comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// So long after something was sent and nothing was heard, the other side is asked.
pub(crate) const QUIET: Duration = Duration::from_secs(4);
/// So long it may take to answer that.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// What was sent and heard on one connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    start: Instant,
    /// When the first thing was sent that nothing was heard after: milliseconds since the start, plus one; 0 for none.
    waiting: AtomicU64,
    told: Notify,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            waiting: AtomicU64::new(0),
            told: Notify::new(),
        }
    }
}

impl Pulse {
    /// Something was sent.
    pub(crate) fn sent(&self) {
        if self.waiting.load(Ordering::Relaxed) != 0 {
            return;
        }
        let now = u64::try_from(self.start.elapsed().as_millis())
            .unwrap_or(u64::MAX - 1)
            .saturating_add(1);
        if self
            .waiting
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            self.told.notify_one();
        }
    }

    /// Something was heard.
    pub(crate) fn heard(&self) {
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.waiting.store(0, Ordering::Relaxed);
        }
    }

    fn waiting_since(&self) -> Option<Instant> {
        let at = self.waiting.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.start + Duration::from_millis(at))
    }

    /// Waits until something was sent and nothing was heard for [`QUIET`].
    pub(crate) async fn quiet(self: &Arc<Self>) {
        loop {
            let Some(since) = self.waiting_since() else {
                self.told.notified().await;
                continue;
            };
            sleep_until(since + QUIET).await;
            if self.waiting_since() == Some(since) {
                return;
            }
        }
    }

    /// Whether nothing was heard since something was sent.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    #[tokio::test(start_paused = true)]
    async fn only_what_was_sent_and_not_answered_is_quiet() {
        let pulse = Arc::new(Pulse::default());
        let quiet = async |limit| timeout(limit, pulse.quiet()).await.is_ok();
        assert!(
            !quiet(Duration::from_secs(3600)).await,
            "an idle connection is no silent one"
        );
        pulse.sent();
        assert!(quiet(QUIET + Duration::from_secs(1)).await);
        pulse.heard();
        assert!(!quiet(Duration::from_secs(3600)).await, "it was answered");
        pulse.sent();
        advance(QUIET / 2).await;
        pulse.heard();
        pulse.sent();
        assert!(
            !quiet(QUIET - Duration::from_millis(5)).await,
            "the clock begins anew with what is sent after an answer"
        );
    }
}
