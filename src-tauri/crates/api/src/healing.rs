//! Hosts that are lost and found again: noticed, told, reached anew.
//!
//! A session ends by itself when the network or the host does ([`Session::probe`] and its keepalive see to that). Then the
//! others of the same host are asked at once, and where none lives the host counts as lost and is tried again, with
//! pauses that grow, until it answers, refuses us, or nobody heard of it for [`GIVE_UP`]. Links, listeners and
//! operations stay as they are meanwhile: what they need next is dialled through the session that is there by then.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use berth_core::{
    Code, Error,
    reach::{self, Reach, Seen},
};
use berth_remote::{Lane, Session};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::join_all;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Berth, ssh::Ssh};

/// How long a host that nobody asks for is tried again after it was lost.
const GIVE_UP: Duration = Duration::from_secs(600);
/// How often the clock and the network of this machine are looked at, while any connection is open.
const LOOK: Duration = Duration::from_secs(3);
/// A clock that went on by so much more than this process did: the machine slept.
const SLEPT: Duration = Duration::from_secs(5);
/// How long a connection may take to show that it outlived a sleep or a change of the network.
const PROBE: Duration = Duration::from_secs(3);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether one host is reached, for everyone who wants to know.
pub(crate) struct HostState {
    host: String,
    reach: watch::Sender<Reach>,
    all: watch::Sender<u64>,
}

impl HostState {
    pub(crate) fn saw(&self, seen: Seen) {
        let now = Utc::now().timestamp();
        let changed = self.reach.send_if_modified(|reach| {
            let before = reach.clone();
            *reach = before.clone().after(seen, now);
            *reach != before
        });
        if changed {
            let reach = self.reach.borrow().clone();
            tracing::info!(
                host = self.host,
                why = reach.why().unwrap_or_default(),
                "{}",
                reach.word()
            );
            // Whoever follows the host need not wait out a pause of its own.
            if reach.is_connected() {
                self.all.send_modify(|n| *n = n.wrapping_add(1));
            }
        }
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach.borrow().clone()
    }

    /// Waits until the host answers again.
    pub(crate) async fn connected(&self) {
        let mut reach = self.reach.subscribe();
        // The sender is ours, so it cannot be gone.
        let _ = reach.wait_for(Reach::is_connected).await;
    }
}

/// The states of all hosts of one agent.
pub(crate) struct HostStates {
    hosts: Mutex<BTreeMap<String, Arc<HostState>>>,
    changed: watch::Sender<u64>,
}

impl HostStates {
    /// `changed` is told whenever a host answers again.
    pub(crate) fn new(changed: watch::Sender<u64>) -> Self {
        Self {
            hosts: Mutex::default(),
            changed,
        }
    }

    /// The state of a host, [`Reach::Idle`] where nothing was seen of it.
    pub(crate) fn of(&self, host: &str) -> Arc<HostState> {
        Arc::clone(lock(&self.hosts).entry(host.to_owned()).or_insert_with(|| {
            Arc::new(HostState {
                host: host.to_owned(),
                reach: watch::Sender::default(),
                all: self.changed.clone(),
            })
        }))
    }

    pub(crate) fn forget(&self, host: &str) {
        if let Some(state) = lock(&self.hosts).remove(host) {
            state.saw(Seen::Closed);
        }
    }
}

/// A moment as the table has it: RFC 3339 in UTC.
pub(crate) fn moment(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An error in words that fit behind a colon: what happened, and what began it.
pub(crate) fn reason(e: &Error) -> String {
    match e.causes().last() {
        Some(cause) => format!("{}: {cause}", e.message()),
        None => e.message().to_owned(),
    }
}

/// Whether it can help to try again: the machine was not reached, as against one that refuses us.
pub(crate) fn is_passing(e: &Error) -> bool {
    matches!(e.code(), Code::Unreachable | Code::TimedOut)
}

/// Does something again where its connection was lost on the way, at most so many times more, after longer and longer pauses.
pub(crate) async fn again<T, Work: Future<Output = Result<T, Error>>>(
    most: u32,
    mut work: impl FnMut() -> Work,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        match work().await {
            Err(e) if e.code() == Code::Unreachable && tries < most => {
                tries += 1;
                sleep(Duration::from_millis(300) * tries).await;
            }
            other => return other,
        }
    }
}

/// What one host's connections share for healing.
#[derive(Default)]
pub(crate) struct Healing {
    state: OnceLock<Arc<HostState>>,
    /// Somebody tries to reach it again.
    busy: AtomicBool,
    /// Told when waiting any longer makes no sense: the machine woke up, or has another network.
    hurry: Notify,
    closed: CancellationToken,
}

impl Healing {
    pub(crate) fn tell(&self, state: Arc<HostState>) {
        if let Err(state) = self.state.set(state) {
            drop(state);
        }
    }

    pub(crate) fn saw(&self, seen: Seen) {
        if !self.closed.is_cancelled()
            && let Some(state) = self.state.get()
        {
            state.saw(seen);
        }
    }

    pub(crate) fn close(&self) {
        self.saw(Seen::Closed);
        self.closed.cancel();
    }
}

/// Waits for the end of a session, and heals its host.
pub(crate) fn watch(ssh: &Arc<Ssh>, session: &Session) {
    let (ssh, ending) = (Arc::downgrade(ssh), session.ending());
    let (lane, place) = (
        session.lane(),
        ssh.upgrade().map(|s| s.profile.address.place()),
    );
    tokio::spawn(async move {
        let why = ending.await;
        let Some(ssh) = ssh.upgrade() else { return };
        if ssh.healing().closed.is_cancelled() {
            return;
        }
        tracing::info!(place, ?lane, "a connection ended: {why}");
        // One connection may end alone: a server that was told to, a process that was killed. Whether the
        // host is gone, the others know.
        let others = ssh.sessions();
        let alive = join_all(others.iter().map(|s| s.probe(PROBE))).await;
        if alive.contains(&true) || ssh.sessions().iter().any(|s| !s.is_closed()) {
            return;
        }
        ssh.healing().saw(Seen::Lost(why));
        let ssh = Arc::downgrade(&ssh);
        heal(&ssh).await;
    });
}

/// Tries to reach a host again until it answers. One at a time for each host.
async fn heal(ssh: &Weak<Ssh>) {
    {
        let Some(ssh) = ssh.upgrade() else { return };
        if ssh.healing().busy.swap(true, Ordering::AcqRel) {
            return;
        }
    }
    let began = Instant::now();
    let mut failures = 0;
    while began.elapsed() < GIVE_UP {
        let Some(ssh) = ssh.upgrade() else { return };
        let healing = ssh.healing();
        tokio::select! {
            () = sleep(reach::pause(failures, dice())) => {}
            () = healing.hurry.notified() => failures = 0,
            () = healing.closed.cancelled() => break,
        }
        match ssh.session(Lane::Control).await {
            Ok(_) => break,
            Err(e) if is_passing(&e) => failures = failures.saturating_add(1),
            // A host that refuses us would refuse us again, and may count how often.
            Err(_) => break,
        }
    }
    if let Some(ssh) = ssh.upgrade() {
        ssh.healing().busy.store(false, Ordering::Release);
    }
}

pub(crate) fn dice() -> u8 {
    let mut byte = [0];
    // Without randomness the pause is merely not spread.
    let _ = getrandom::fill(&mut byte);
    byte.first().copied().unwrap_or_default()
}

/// Looks whether this machine slept or has another network, and then asks every connection at once instead of when
/// it is used next. Ends with the agent.
pub(crate) async fn look_after(berth: Weak<Berth>) {
    let mut clock = Clock::now();
    loop {
        sleep(LOOK).await;
        let slept = clock.tick();
        let Some(berth) = berth.upgrade() else { return };
        let links = berth.links.all();
        let asked = links
            .iter()
            .filter_map(|l| l.carrier.ssh())
            .map(|ssh| async {
                let sessions = ssh.sessions();
                let moved = sessions.iter().any(Session::has_moved);
                if slept.is_some() || moved {
                    tracing::info!(
                        place = ssh.profile.address.place(),
                        ?slept,
                        moved,
                        "asking whether it is still there"
                    );
                    ssh.healing().hurry.notify_one();
                    join_all(sessions.iter().map(|s| s.probe(PROBE))).await;
                }
            });
        let _ = timeout(PROBE * 2, join_all(asked)).await;
    }
}

/// Two clocks: one that goes on while the machine sleeps, one that does not.
struct Clock {
    wall: SystemTime,
    own: std::time::Instant,
}

impl Clock {
    fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            own: std::time::Instant::now(),
        }
    }

    /// How long the machine slept since the last tick, if it did.
    fn tick(&mut self) -> Option<Duration> {
        let now = Self::now();
        let slept = slept(
            now.wall.duration_since(self.wall).unwrap_or_default(),
            now.own.duration_since(self.own),
        );
        *self = now;
        slept
    }
}

/// What the wall's clock went on more than ours. A clock that was set back, or a process that merely had to wait, is no
/// sleep; a clock that was set forward looks like one, and costs a question to each host.
fn slept(wall: Duration, own: Duration) -> Option<Duration> {
    wall.checked_sub(own).filter(|more| *more >= SLEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_told_from_a_busy_moment() {
        let s = Duration::from_secs;
        assert_eq!(
            slept(s(3603), s(3)),
            Some(s(3600)),
            "the lid was closed for an hour"
        );
        assert_eq!(slept(s(20), s(20)), None, "the machine was busy");
        assert_eq!(slept(s(0), s(3)), None, "the clock was set back");
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        assert!(is_passing(&Error::new(Code::Unreachable, "x")));
        for code in [
            Code::HostKeyChanged,
            Code::SignInRefused,
            Code::Refused,
            Code::PassphraseNeeded,
        ] {
            assert!(
                !is_passing(&Error::new(code, "x")),
                "{code:?}: a host that counts refusals would lock us out"
            );
        }
    }
}
