//! Operations: long work with an id, phases, progress, cancel and an outcome.
//!
//! An operation outlives the call that started it and the client that watched it.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use berth_core::{Code, Error, Result};
use berth_store::{OperationRecord, StepRecord};
use serde_json::Value;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Berth, dto,
    table::{Call, cancelled},
};

/// How many ended operations are remembered, with their events.
const REMEMBERED: usize = 100;
/// How many events one operation keeps; progress beyond it replaces the latest.
const MAX_EVENTS: usize = 2000;

/// The operations of one agent.
#[derive(Default)]
pub struct Operations {
    all: Mutex<Vec<Arc<Operation>>>,
    /// Counts beginnings, phases and ends of all of them.
    turns: Arc<watch::Sender<u64>>,
}

/// One operation.
pub struct Operation {
    id: String,
    kind: String,
    title: String,
    /// What it works on: no two operations at once on the same.
    subject: Mutex<String>,
    started: Instant,
    started_at: String,
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    turns: Arc<watch::Sender<u64>>,
    cancel: CancellationToken,
}

#[derive(Default)]
struct Inner {
    events: Vec<dto::OperationEvent>,
    ended_at: Option<String>,
    phase: Option<String>,
    ended: Option<Result<dto::Outcome>>,
    /// The command of the table that it came from, to do it again.
    request: Option<(String, Value)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Operations {
    /// How many are under way.
    pub(crate) fn under_way(&self) -> usize {
        lock(&self.all)
            .iter()
            .filter(|o| lock(&o.inner).ended.is_none())
            .count()
    }

    /// Starts one. Two at once on the same `subject` do not go: the second is told of the first.
    pub(crate) fn start<F, Fut>(
        &self,
        berth: &Arc<Berth>,
        kind: &str,
        title: String,
        subject: &str,
        work: F,
    ) -> Result<dto::Started>
    where
        F: FnOnce(Arc<Operation>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<dto::Outcome>> + Send + 'static,
    {
        let operation = Arc::new(Operation {
            id: uuid::Uuid::new_v4().to_string(),
            kind: kind.to_owned(),
            title,
            subject: Mutex::new(subject.to_owned()),
            started: Instant::now(),
            started_at: crate::berth::now(),
            inner: Mutex::default(),
            changed: watch::Sender::new(0),
            turns: Arc::clone(&self.turns),
            cancel: CancellationToken::new(),
        });
        {
            let mut all = lock(&self.all);
            if let Some(other) = all
                .iter()
                .find(|o| *lock(&o.subject) == subject && lock(&o.inner).ended.is_none())
            {
                return Err(
                    Error::new(Code::Refused, format!("`{subject}` is being worked on"))
                        .because(format!(
                            "{} has been under way for {} s",
                            other.title,
                            other.started.elapsed().as_secs()
                        ))
                        .detail("operation", &other.id)
                        .hint("Wait for it to end, then run this again"),
                );
            }
            all.push(Arc::clone(&operation));
            while all.len() > REMEMBERED {
                let Some(old) = all.iter().position(|o| lock(&o.inner).ended.is_some()) else {
                    break;
                };
                all.remove(old);
            }
        }
        let started = dto::Started {
            operation: operation.id.clone(),
        };
        self.turns.send_modify(|n| *n += 1);
        let berth = Arc::clone(berth);
        tokio::spawn(async move {
            // A panic in the work must end the operation, not leave it running for ever.
            let result =
                match tokio::spawn(work(Arc::clone(&operation))).await {
                    Ok(result) => result,
                    Err(e) => Err(Error::failed(format!("{} broke off", operation.title))
                        .because(e.to_string())),
                };
            operation.end(&berth, result).await;
        });
        Ok(started)
    }

    /// Makes `subject` what this operation works on, unless another one under way does.
    pub(crate) fn claim(&self, operation: &Operation, subject: &str) -> bool {
        let all = lock(&self.all);
        let taken = all.iter().any(|o| {
            o.id != operation.id && lock(&o.inner).ended.is_none() && *lock(&o.subject) == subject
        });
        if !taken {
            subject.clone_into(&mut lock(&operation.subject));
        }
        !taken
    }

    /// Told of every beginning, phase and end.
    pub(crate) fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// All that are remembered, newest first.
    pub(crate) fn views(&self) -> Vec<dto::OperationView> {
        let all = lock(&self.all).clone();
        all.iter().rev().map(|o| o.view()).collect()
    }

    /// Whether one under way works on `subject`.
    pub(crate) fn works_on(&self, subject: &str) -> bool {
        lock(&self.all)
            .iter()
            .any(|o| lock(&o.inner).ended.is_none() && *lock(&o.subject) == subject)
    }

    fn find(&self, id: &str) -> Result<Arc<Operation>> {
        lock(&self.all)
            .iter()
            .find(|o| o.id == id)
            .cloned()
            .ok_or_else(|| {
                Error::not_found(format!("There is no operation `{}`", id.escape_debug())).hint(
                    "It may have been of an agent that ended; `berth list` shows what is there",
                )
            })
    }

    /// Remembers what started an operation.
    pub(crate) fn came_from(&self, id: &str, command: &str, body: Value) {
        if let Ok(operation) = self.find(id) {
            lock(&operation.inner).request = Some((command.to_owned(), body));
        }
    }

    /// Cancels what works on `subject`, if anything does, and waits until it has cleaned up.
    pub(crate) async fn cancel_on(&self, subject: &str) {
        let found = lock(&self.all)
            .iter()
            .find(|o| *lock(&o.subject) == subject && lock(&o.inner).ended.is_none())
            .cloned();
        if let Some(operation) = found {
            operation.cancel.cancel();
            operation.ended().await;
        }
    }

    /// Waits for the end of an operation.
    pub(crate) async fn outcome(&self, id: &str) -> Result<dto::Outcome> {
        let operation = self.find(id)?;
        operation.ended().await;
        lock(&operation.inner)
            .ended
            .clone()
            .unwrap_or_else(|| Err(cancelled()))
    }

    /// Cancels everything under way and waits, within a limit, for it to clean up.
    pub(crate) async fn cancel_all(&self) {
        let all = lock(&self.all).clone();
        let running: Vec<_> = all
            .iter()
            .filter(|o| lock(&o.inner).ended.is_none())
            .cloned()
            .collect();
        for operation in &running {
            operation.cancel.cancel();
        }
        let _ = timeout(Duration::from_secs(10), async {
            for operation in running {
                operation.ended().await;
            }
        })
        .await;
    }
}

impl Operation {
    /// Runs one phase: its start, its end and its failure become events; a cancel ends it at its next await.
    pub(crate) fn phase<'a, T>(
        &'a self,
        phase: &'a str,
        text: impl Into<String>,
        work: impl Future<Output = Result<T>> + Send + 'a,
    ) -> impl Future<Output = Result<T>> + Send + 'a
    where
        T: Send + 'a,
    {
        let text = text.into();
        // Boxed before the first await: phases hold whole protocol handshakes, and would make their callers' futures huge.
        let work = Box::pin(work);
        async move {
            lock(&self.inner).phase = Some(phase.to_owned());
            self.event(phase, "started", text.clone(), None);
            let result = tokio::select! {
                result = work => result,
                () = self.cancel.cancelled() => Err(cancelled()),
            };
            match &result {
                Ok(_) => self.event(phase, "done", text, None),
                Err(e) if e.code() == Code::Cancelled => self.event(phase, "cancelled", text, None),
                Err(e) => self.event(phase, "failed", e.to_string(), None),
            }
            result
        }
    }

    /// Tells how far the current phase is.
    pub(crate) fn progress(&self, text: impl Into<String>, progress: Option<(u64, u64)>) {
        let phase = lock(&self.inner).phase.clone().unwrap_or_default();
        self.event(&phase, "progress", text.into(), progress);
    }

    fn event(&self, phase: &str, kind: &str, text: String, progress: Option<(u64, u64)>) {
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let seq = {
            let mut inner = lock(&self.inner);
            let seq = inner.events.last().map_or(0, |e| e.seq + 1);
            // A pull reports progress a thousand times; what came before is of no use to a later watcher.
            if inner.events.len() >= MAX_EVENTS
                && let Some(old) = inner.events.iter().position(|e| e.kind == "progress")
            {
                inner.events.remove(old);
            }
            inner.events.push(dto::OperationEvent {
                seq,
                at_ms,
                phase: phase.to_owned(),
                kind: kind.to_owned(),
                text,
                progress,
            });
            seq
        };
        self.changed.send_replace(seq + 1);
        if kind != "progress" {
            self.turns.send_modify(|n| *n += 1);
        }
    }

    async fn end(&self, berth: &Arc<Berth>, result: Result<dto::Outcome>) {
        let state = state_of(Some(&result));
        tracing::info!(operation = self.id, state, "{}", self.title);
        let (host, instance) = {
            let subject = lock(&self.subject);
            subject
                .split_once('/')
                .map(|(h, i)| (h.to_owned(), i.to_owned()))
                .unzip()
        };
        let record = OperationRecord {
            id: self.id.clone(),
            title: self.title.clone(),
            host,
            instance,
            started_at: self.started_at.clone(),
            ended_at: crate::berth::now(),
            outcome: state.to_owned(),
            error: result.as_ref().err().map(ToString::to_string),
            steps: lock(&self.inner)
                .events
                .iter()
                .filter(|e| e.kind != "progress")
                .map(|e| StepRecord {
                    at_ms: e.at_ms,
                    phase: e.phase.clone(),
                    kind: e.kind.clone(),
                    text: e.text.clone(),
                })
                .collect(),
            ..OperationRecord::default()
        };
        if let Err(e) = berth.store(move |folder| folder.record(&record)).await {
            tracing::warn!("the history could not be written: {e}");
        }
        {
            let mut inner = lock(&self.inner);
            inner.ended = Some(result);
            inner.ended_at = Some(crate::berth::now());
        }
        self.changed.send_modify(|n| *n += 1);
        self.turns.send_modify(|n| *n += 1);
    }

    fn view(&self) -> dto::OperationView {
        let subject = lock(&self.subject).clone();
        let inner = lock(&self.inner);
        dto::OperationView {
            id: self.id.clone(),
            kind: self.kind.clone(),
            subject,
            title: self.title.clone(),
            state: state_of(inner.ended.as_ref()).to_owned(),
            started_at: self.started_at.clone(),
            ended_at: inner.ended_at.clone(),
            phase: inner.phase.clone(),
            error: match &inner.ended {
                Some(Err(e)) if e.code() != Code::Cancelled => Some(e.into()),
                _ => None,
            },
        }
    }

    async fn ended(&self) {
        let mut changed = self.changed.subscribe();
        while lock(&self.inner).ended.is_none() {
            if changed.changed().await.is_err() {
                break;
            }
        }
    }
}

fn state_of(ended: Option<&Result<dto::Outcome>>) -> &'static str {
    match ended {
        None => "running",
        Some(Ok(_)) => "done",
        Some(Err(e)) if e.code() == Code::Cancelled => "cancelled",
        Some(Err(_)) => "failed",
    }
}

/// `operation.watch`: all events from the first, then how it ended.
pub(crate) async fn watch(
    berth: &Arc<Berth>,
    request: dto::OperationId,
    call: &Call,
) -> Result<dto::Outcome> {
    let operation = berth.operations.find(&request.operation)?;
    let mut changed = operation.changed.subscribe();
    let mut next = 0;
    loop {
        let (events, ended) = {
            let inner = lock(&operation.inner);
            (
                inner
                    .events
                    .iter()
                    .filter(|e| e.seq >= next)
                    .cloned()
                    .collect::<Vec<_>>(),
                inner.ended.clone(),
            )
        };
        for event in events {
            next = event.seq + 1;
            call.send(&event).await?;
        }
        if let Some(result) = ended {
            return result;
        }
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return Err(cancelled()); },
            () = call.cancel.cancelled() => return Err(cancelled()),
        }
    }
}

/// `operation.cancel`: answers when it has ended and cleaned up, within a limit.
pub(crate) async fn cancel(
    berth: &Arc<Berth>,
    request: dto::OperationId,
    _: &Call,
) -> Result<dto::Nothing> {
    let operation = berth.operations.find(&request.operation)?;
    operation.cancel.cancel();
    timeout(Duration::from_secs(60), operation.ended())
        .await
        .map_err(|_| {
            Error::new(Code::TimedOut, format!("{} does not stop", operation.title))
                .hint("`berth list` shows what is there")
        })?;
    Ok(dto::Nothing {})
}

/// `operation.list`.
pub(crate) async fn list(
    berth: &Arc<Berth>,
    _: dto::Nothing,
    _: &Call,
) -> Result<Vec<dto::OperationView>> {
    Ok(berth.operations.views())
}

/// `operation.retry`: the same again. Each phase finds out by itself what is done already, so it goes on where it failed.
pub(crate) async fn retry(
    berth: &Arc<Berth>,
    request: dto::OperationId,
    call: &Call,
) -> Result<dto::Started> {
    let operation = berth.operations.find(&request.operation)?;
    let (ended, again) = {
        let inner = lock(&operation.inner);
        (inner.ended.clone(), inner.request.clone())
    };
    match ended {
        None => Err(Error::new(
            Code::Refused,
            format!("{} is still under way", operation.title),
        )
        .hint("Cancel it first, or wait for its end")),
        Some(Ok(_)) => Err(
            Error::new(Code::Refused, format!("{} ended well", operation.title))
                .because("there is nothing to do again"),
        ),
        Some(Err(_)) => {
            let (command, body) = again.ok_or_else(|| {
                Error::new(
                    Code::Refused,
                    format!("{} cannot be done again", operation.title),
                )
                .because("it belonged to a call of its own")
            })?;
            let answer = crate::table::again(berth, &command, body, call).await?;
            serde_json::from_value(answer).map_err(|e| {
                Error::failed("The operation was not started again").because(e.to_string())
            })
        }
    }
}

/// `operation.history`: those that ended, of this and earlier agents, newest first.
pub(crate) async fn history(
    berth: &Arc<Berth>,
    request: dto::HistoryWish,
    _: &Call,
) -> Result<dto::HistoryView> {
    let history = berth.store(berth_store::Folder::history).await?;
    let wanted = request.name.as_deref();
    let fits = |r: &OperationRecord| {
        let (host, name) = (
            r.host.as_deref().unwrap_or_default(),
            r.instance.as_deref().unwrap_or_default(),
        );
        wanted.is_none_or(|w| w == name || w.split_once('/') == Some((host, name)))
    };
    let most = usize::try_from(request.tail.unwrap_or(20)).unwrap_or(usize::MAX);
    Ok(dto::HistoryView {
        unread: u64::try_from(history.unread).unwrap_or(u64::MAX),
        operations: history
            .operations
            .into_iter()
            .rev()
            .filter(fits)
            .take(most)
            .map(|r| dto::Past {
                id: r.id,
                title: r.title,
                host: r.host,
                instance: r.instance,
                started_at: r.started_at,
                ended_at: r.ended_at,
                outcome: r.outcome,
                error: r.error,
                steps: r
                    .steps
                    .into_iter()
                    .map(|s| dto::PastStep {
                        at_ms: s.at_ms,
                        phase: s.phase,
                        kind: s.kind,
                        text: s.text,
                    })
                    .collect(),
            })
            .collect(),
    })
}
