//! Leases: an instance for one command, that ends with it.
//!
//! The call that holds a lease is the process that asked for it: its socket closes however that process goes, and then the
//! instance is removed. Its passwords are in this memory only. Where the agent itself goes, the command comes back to the next
//! one with its password ([`dto::Lease::again`]); if it does not, that agent removes the instance. And where this machine goes, any
//! Berth that sees the time of the label passed does, by the clock of the host.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use berth_core::{Code, Error, Result, label::Labels};
use berth_engine::{Container, Info};
use berth_store::{InstanceRecord, Instances};
use chrono::{DateTime, SecondsFormat, Utc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Berth, dto, instances,
    link::Link,
    passwords::Passwords,
    table::{Call, cancelled},
    up::{Term, begin, check_leased},
};

/// What a command gets to come back to a new agent.
const COME_BACK: Duration = Duration::from_secs(15);
/// One removal, and the pauses between two tries.
const REMOVAL: Duration = Duration::from_secs(60);
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// The longest lease, in seconds.
const LONGEST: u64 = 7 * 86_400;

/// The leases of one agent, by the instance's id.
#[derive(Default)]
pub(crate) struct Leases {
    all: Mutex<BTreeMap<String, Held>>,
}

#[derive(Default)]
struct Held {
    passwords: Passwords,
    end: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leases {
    pub(crate) fn count(&self) -> usize {
        lock(&self.all).len()
    }

    pub(crate) fn holds(&self, id: &str) -> bool {
        lock(&self.all).contains_key(id)
    }

    pub(crate) fn passwords(&self, id: &str) -> Option<Passwords> {
        lock(&self.all).get(id).map(|h| h.passwords.clone())
    }

    /// Keeps the passwords of a leased instance; says whether it is one.
    pub(crate) fn keep_passwords(&self, id: &str, passwords: &Passwords) -> bool {
        lock(&self.all)
            .get_mut(id)
            .map(|held| held.passwords = passwords.clone())
            .is_some()
    }

    /// Takes a lease, unless somebody holds it.
    fn take(&self, id: &str, passwords: Passwords) -> Option<CancellationToken> {
        let mut all = lock(&self.all);
        if all.contains_key(id) {
            return None;
        }
        let end = CancellationToken::new();
        let held = Held {
            passwords,
            end: end.clone(),
        };
        all.insert(id.to_owned(), held);
        Some(end)
    }

    fn drop(&self, id: &str) {
        lock(&self.all).remove(id);
    }
}

/// A lease while its call lasts. Whatever ends the call, the instance is removed.
struct Holding {
    berth: Arc<Berth>,
    place: Place,
    done: bool,
}

/// Where a leased instance is.
#[derive(Clone)]
struct Place {
    id: String,
    /// `HOST/NAME`.
    subject: String,
}

impl Place {
    fn host(&self) -> &str {
        self.subject.split_once('/').map_or("", |(host, _)| host)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        // An agent that ends leaves it to the next one: the command comes back to it.
        if self.done || self.berth.ending().is_cancelled() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(remove(Arc::clone(&self.berth), self.place.clone()));
        }
    }
}

/// `lease.hold`: lasts as long as the lease.
pub(crate) async fn hold(
    berth: &Arc<Berth>,
    request: dto::Lease,
    call: &Call,
) -> Result<dto::Nothing> {
    if request.seconds == 0 || request.seconds > LONGEST {
        return Err(
            Error::usage("A lease lasts up to seven days").hint("For instance `--lease 4h`")
        );
    }
    let limit = Duration::from_secs(request.seconds);
    let (mut holding, end) = match request.again {
        Some(again) => hold_again(berth, &again, call).await?,
        None => make(berth, request.up, request.seconds, call).await?,
    };
    let instance = Box::new(view(berth, &holding.place).await?);
    call.send(&dto::LeaseEvent::Ready { instance }).await?;
    tokio::select! {
        () = end.cancelled() => {}
        () = sleep(limit) => call.send(&dto::LeaseEvent::Over).await?,
        () = call.cancel.cancelled() => return Err(cancelled()),
    }
    // From here on by this task; where the caller does not wait for it, the removal goes on without it.
    holding.done = true;
    let removal = tokio::spawn(remove(Arc::clone(berth), holding.place.clone()));
    removal
        .await
        .map_err(|e| Error::failed("The removal broke off").because(e.to_string()))?;
    Ok(dto::Nothing {})
}

async fn make(
    berth: &Arc<Berth>,
    up: dto::Up,
    seconds: u64,
    call: &Call,
) -> Result<(Holding, CancellationToken)> {
    if up.name.is_some() || up.data.is_some() || up.password_file.is_some() {
        return Err(Error::usage(
            "A private instance has a name and a password of its own, and keeps no data",
        ));
    }
    let id = uuid::Uuid::new_v4().to_string();
    let term = Term {
        id: id.clone(),
        seconds,
    };
    let (subject, wanted) = check_leased(berth, up, term).await?;
    // From here to `holding` nothing waits: a call that is dropped leaves no lease that nobody ends.
    let end = berth
        .leases
        .take(&id, Passwords::default())
        .ok_or_else(cancelled)?;
    let started = begin(berth, wanted).inspect_err(|_| berth.leases.drop(&id))?;
    let mut holding = Holding {
        berth: Arc::clone(berth),
        place: Place {
            id: id.clone(),
            subject,
        },
        done: false,
    };
    call.send(&dto::LeaseEvent::Making {
        lease: dto::LeaseId { id: id.clone() },
        operation: started.operation.clone(),
    })
    .await?;
    if let Err(e) = berth.operations.outcome(&started.operation).await {
        // It has cleaned up after itself; what it could not reach is tried again beside this answer.
        if !is_gone(berth, &holding.place).await {
            return Err(e);
        }
        holding.done = true;
        berth.leases.drop(&id);
        return Err(e);
    }
    Ok((holding, end))
}

async fn is_gone(berth: &Arc<Berth>, place: &Place) -> bool {
    let known = berth.store(|f| f.read::<Instances>()).await;
    known.is_ok_and(|all| all.get(&place.id).is_none())
}

/// Holds a lease whose agent has ended, for the command that still has its password.
async fn hold_again(
    berth: &Arc<Berth>,
    again: &dto::LeaseId,
    call: &Call,
) -> Result<(Holding, CancellationToken)> {
    let known = berth.store(|f| f.read::<Instances>()).await?;
    let record = known
        .get(&again.id)
        .filter(|r| r.lease.is_some() && !r.unfinished)
        .ok_or_else(|| Error::not_found("The private instance is gone"))?;
    let mut all = Passwords::default();
    if let Some(password) = call.secret("password") {
        all.set(&record.login, password);
    }
    let end = berth.leases.take(&record.id, all).ok_or_else(|| {
        Error::new(
            Code::Refused,
            format!("`{}` is held by another call", record.name),
        )
    })?;
    let place = place(record);
    crate::endpoints::hold(berth, record).await;
    Ok((
        Holding {
            berth: Arc::clone(berth),
            place,
            done: false,
        },
        end,
    ))
}

async fn view(berth: &Arc<Berth>, place: &Place) -> Result<dto::InstanceView> {
    let link = berth.links.get(berth, place.host()).await?;
    instances::view_now(berth, &link, &place.id).await
}

/// `lease.end`.
pub(crate) async fn end(
    berth: &Arc<Berth>,
    request: dto::LeaseId,
    _: &Call,
) -> Result<dto::Nothing> {
    if let Some(held) = lock(&berth.leases.all).get(&request.id) {
        held.end.cancel();
    }
    Ok(dto::Nothing {})
}

fn place(record: &InstanceRecord) -> Place {
    Place {
        id: record.id.clone(),
        subject: format!("{}/{}", record.host, record.name),
    }
}

/// Removes a leased instance, however long its host cannot be reached: this agent is the one that promised.
async fn remove(berth: Arc<Berth>, place: Place) {
    berth.operations.cancel_on(&place.subject).await;
    let mut pause = PAUSE.0;
    while !berth.ending().is_cancelled() {
        let removed = timeout(REMOVAL, try_remove(&berth, &place))
            .await
            .unwrap_or_else(|_| Err(Error::new(Code::TimedOut, "It took too long")));
        match removed {
            Ok(()) => break,
            // The host was forgotten: there is no way to it any more.
            Err(e) if e.code() == Code::NotFound => break,
            Err(e) => tracing::warn!("`{}` could not be removed yet: {e}", place.subject),
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = berth.ending().cancelled() => {}
        }
        pause = (pause * 2).min(PAUSE.1);
    }
    berth.leases.drop(&place.id);
}

async fn try_remove(berth: &Arc<Berth>, place: &Place) -> Result<()> {
    let link = berth.links.get(berth, place.host()).await?;
    if let Some(container) = link.container_of(&place.id).await? {
        match link.engine.remove(&container.id, true).await {
            // Somebody else may just be removing it.
            Err(e)
                if e.code() != Code::NotFound && link.container_of(&place.id).await?.is_some() =>
            {
                return Err(e);
            }
            _ => {}
        }
    }
    berth.endpoints.release(&place.id);
    link.forget_place(&place.id);
    instances::forget(berth, &place.id).await;
    Ok(())
}

/// For an instance that this machine leased before its agent ended: removes it unless its command comes back.
pub(crate) fn await_its_holder(berth: &Arc<Berth>, record: InstanceRecord) {
    if record.lease.is_none() || !record.ours {
        return;
    }
    let berth = Arc::clone(berth);
    tokio::spawn(async move {
        tokio::select! {
            () = sleep(COME_BACK) => {}
            () = berth.ending().cancelled() => return,
        }
        // Taken like any lease, so that its command cannot come back to what is being removed.
        if berth
            .leases
            .take(&record.id, Passwords::default())
            .is_some()
        {
            remove(berth, place(&record)).await;
        }
    });
}

/// Removes what is on a host and over, whoever made it: its label promised so. Not waited for.
pub(crate) fn sweep<'a>(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    containers: impl IntoIterator<Item = &'a Container>,
) {
    let ours = now();
    let over: Vec<Labels> = containers
        .into_iter()
        .filter_map(|c| Labels::from_map(|k| c.labels.get(k).map(String::as_str)))
        .filter(|l| l.is_over(ours) && !berth.leases.holds(&l.id))
        .collect();
    if over.is_empty() {
        return;
    }
    let (berth, link) = (Arc::clone(berth), Arc::clone(link));
    tokio::spawn(async move {
        // This machine's clock may be wrong; the label was written by the host's.
        let theirs = match link.engine.info().await {
            Ok(info) => clock_of(&info),
            Err(e) => {
                tracing::debug!("the clock of a host could not be asked for: {e}");
                return;
            }
        };
        for labels in over.into_iter().filter(|l| l.is_over(theirs)) {
            let place = Place {
                subject: format!("{}/{}", link.host, labels.name),
                id: labels.id,
            };
            match timeout(REMOVAL, try_remove(&berth, &place)).await {
                Ok(Ok(())) => tracing::info!("`{}` was over and is removed", place.subject),
                Ok(Err(e)) => {
                    tracing::warn!("`{}` is over and cannot be removed: {e}", place.subject);
                }
                Err(_) => {
                    tracing::warn!("`{}` is over and cannot be removed in time", place.subject)
                }
            }
        }
    });
}

/// This machine's clock, in seconds since 1970.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp()
}

/// The host's clock; this machine's where the engine does not tell.
pub(crate) fn clock_of(info: &Info) -> i64 {
    DateTime::parse_from_rfc3339(&info.system_time).map_or_else(|_| now(), |t| t.timestamp())
}

/// A label's time, RFC 3339.
pub(crate) fn moment(seconds: i64) -> Option<String> {
    DateTime::from_timestamp(seconds, 0).map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true))
}
