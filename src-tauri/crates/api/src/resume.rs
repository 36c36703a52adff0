//! Streams that outlive their connection: a log that is followed, the events of a host.
//!
//! The engine stamps every line and event with its time. After a break they are asked for from the last time on, and what
//! was already handed out is left out: nothing is missing and nothing comes twice.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use berth_core::{Code, Error, Result, found::is_container_id, label, reach};
use berth_engine::{Answers, Container, Event, EventKind, LogLine, LogOptions, RunState};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Berth, dto,
    healing::{HostState, dice, is_passing},
    link::Link,
    table::{Call, cancelled},
};

/// How long a stream waits for its host to come back.
const WAIT: Duration = Duration::from_secs(600);

/// How long a log that is followed waits for an event of its instance before it looks.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Where a log was broken off, by the engine's own times.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Seam {
    last: String,
    /// Lines of that very time that were handed out.
    at_last: usize,
    /// Of those, how many the engine will say once more.
    again: usize,
    resumed: bool,
}

impl Seam {
    /// The log is read anew, from [`Seam::since`] on.
    fn resume(&mut self) {
        self.resumed = true;
        self.again = self.at_last;
    }

    /// The second (since 1970) from which it has to be read again.
    fn since(&self) -> Option<u32> {
        let at = chrono::DateTime::parse_from_rfc3339(&self.last).ok()?;
        u32::try_from(at.timestamp()).ok()
    }

    /// Whether a line is new. Times are RFC 3339 with nine digits, so that they order as text.
    fn is_new(&mut self, time: &str) -> bool {
        if self.resumed {
            if time < self.last.as_str() {
                return false;
            }
            if time == self.last && self.again > 0 {
                self.again -= 1;
                return false;
            }
        }
        if time == self.last {
            self.at_last += 1;
        } else {
            time.clone_into(&mut self.last);
            self.at_last = 1;
        }
        true
    }
}

/// Waits with growing pauses between tries, and less where the host is seen to be back.
struct Patience {
    state: Arc<HostState>,
    failures: u32,
    since: Option<Instant>,
}

impl Patience {
    fn new(state: Arc<HostState>) -> Self {
        Self {
            state,
            failures: 0,
            since: None,
        }
    }

    fn rewarded(&mut self) {
        self.failures = 0;
        self.since = None;
    }

    /// Pauses, or says that it was long enough.
    async fn pause(&mut self, e: Error) -> Result<()> {
        if !is_passing(&e) {
            return Err(e);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= WAIT {
            return Err(e.because(format!(
                "it was tried again for {} minutes",
                WAIT.as_secs() / 60
            )));
        }
        tracing::info!("a stream broke and is taken up again: {e}");
        let pause = reach::pause(self.failures, dice());
        self.failures = self.failures.saturating_add(1);
        let is_connected = self.state.reach().is_connected();
        tokio::select! {
            () = sleep(pause) => {}
            () = self.state.connected(), if !is_connected => {}
        }
        Ok(())
    }
}

/// The log of an instance, from its `container` on. One that is followed goes on after a break and after the instance was
/// started again or made anew, without a gap or a repeat, until it is gone; one that is not ends in the error.
pub(crate) fn logs(
    berth: &Arc<Berth>,
    link: Arc<Link>,
    instance: &str,
    container: &str,
    options: LogOptions,
) -> Answers<LogLine> {
    struct Reading {
        link: Arc<Link>,
        instance: String,
        container: String,
        options: LogOptions,
        lines: Option<Answers<LogLine>>,
        seam: Seam,
        patience: Patience,
        over: bool,
    }
    let start = Reading {
        patience: Patience::new(berth.states.of(&link.host)),
        link,
        instance: instance.to_owned(),
        container: container.to_owned(),
        options,
        lines: None,
        seam: Seam::default(),
        over: false,
    };
    stream::unfold(start, |mut at| async move {
        if at.over {
            return None;
        }
        loop {
            let step = async {
                let lines = match &mut at.lines {
                    Some(lines) => lines,
                    None => {
                        let mut ask = LogOptions {
                            timestamps: at.options.follow || at.options.timestamps,
                            ..at.options
                        };
                        if !at.seam.last.is_empty() {
                            ask.since = at.seam.since();
                            ask.tail = None;
                            at.seam.resume();
                        }
                        let engine = at.link.streaming().await?;
                        at.lines.insert(engine.logs(&at.container, ask))
                    }
                };
                while let Some(line) = lines.next().await.transpose()? {
                    let is_new = line.time.as_deref().is_none_or(|time| at.seam.is_new(time));
                    if is_new {
                        return Ok(Some(Some(line)));
                    }
                }
                if !at.options.follow {
                    return Ok(None);
                }
                // The end of a followed log is the end of its container; an engine that goes down ends it just so.
                let about = at.link.engine.inspect(&at.container).await?;
                if about.state.status == RunState::Running {
                    return Err(Error::new(
                        Code::Unreachable,
                        "The engine ended the log of a container that runs",
                    ));
                }
                // It ended, which is no end for who follows it.
                let Some(again) = started_again(&at.link, &at.instance).await? else {
                    return Ok(None);
                };
                at.container = again.id;
                Ok(Some(None))
            };
            match step.await {
                Ok(Some(Some(line))) => {
                    at.patience.rewarded();
                    return Some((Ok(line), at));
                }
                Ok(Some(None)) => at.lines = None,
                Ok(None) => return None,
                Err(e) => {
                    at.lines = None;
                    let stopped = if at.options.follow {
                        at.patience.pause(e).await.err()
                    } else {
                        Some(e)
                    };
                    if let Some(e) = stopped {
                        at.over = true;
                        return Some((Err(e), at));
                    }
                }
            }
        }
    })
    .boxed()
}

/// Waits until an instance runs again; `None` where it is gone.
async fn started_again(link: &Link, id: &str) -> Result<Option<Container>> {
    let filter = format!("{}={id}", label::ID);
    // An adopted one has no label.
    let filter = (!is_container_id(id)).then_some(filter.as_str());
    let mut events = link.streaming().await?.events(None, filter);
    loop {
        match link.container_of(id).await? {
            None => return Ok(None),
            Some(container) if container.state == RunState::Running => return Ok(Some(container)),
            Some(_) => {}
        }
        // An event wakes; where one is lost, or none can come any more, a look now and then does.
        if let Ok(None) = timeout(LOOK_AGAIN, events.next()).await {
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// What was already told of the latest moment.
#[derive(Debug, Default)]
struct Told {
    last: u64,
    at_last: BTreeSet<(String, String)>,
}

impl Told {
    fn is_new(&mut self, event: &Event) -> bool {
        if event.time_ns < self.last {
            return false;
        }
        if event.time_ns > self.last {
            self.last = event.time_ns;
            self.at_last.clear();
        }
        self.at_last
            .insert((event.id.clone(), event.action.clone()))
    }
}

/// What happens on a host from `since` (nanoseconds since 1970 by its clock) on, across breaks: without a gap as far as the
/// engine remembers (the last 256 events), and nothing twice. Without `since`, from the first event that comes.
pub(crate) fn events(berth: &Arc<Berth>, link: Arc<Link>, since: Option<u64>) -> Answers<Event> {
    struct Reading {
        link: Arc<Link>,
        events: Option<Answers<Event>>,
        told: Told,
        patience: Patience,
        over: bool,
    }
    let start = Reading {
        patience: Patience::new(berth.states.of(&link.host)),
        link,
        events: None,
        told: Told {
            last: since.unwrap_or_default(),
            at_last: BTreeSet::new(),
        },
        over: false,
    };
    stream::unfold(start, |mut at| async move {
        if at.over {
            return None;
        }
        loop {
            let step = async {
                let events = match &mut at.events {
                    Some(events) => events,
                    None => {
                        let engine = at.link.streaming().await?;
                        let since = Some(at.told.last).filter(|ns| *ns > 0);
                        at.events.insert(engine.events(since, None))
                    }
                };
                loop {
                    match events.next().await.transpose()? {
                        Some(event) if at.told.is_new(&event) => return Ok(event),
                        Some(_) => {}
                        None => {
                            return Err(Error::new(
                                Code::Unreachable,
                                "The engine ended the stream of its events",
                            ));
                        }
                    }
                }
            };
            match step.await {
                Ok(event) => {
                    at.patience.rewarded();
                    return Some((Ok(event), at));
                }
                Err(e) => {
                    at.events = None;
                    if let Err(e) = at.patience.pause(e).await {
                        at.over = true;
                        return Some((Err(e), at));
                    }
                }
            }
        }
    })
    .boxed()
}

/// `host.events`.
pub(crate) async fn host_events(
    berth: &Arc<Berth>,
    request: dto::HostEvents,
    call: &Call,
) -> Result<dto::Nothing> {
    let since = request
        .since
        .map(|text| {
            text.parse::<u64>().map_err(|_| {
                Error::usage("The time of an event is a number of nanoseconds since 1970")
            })
        })
        .transpose()?;
    let link = berth.links.get(berth, &request.name).await?;
    let mut events = events(berth, link, since);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = call.cancel.cancelled() => return Err(cancelled()),
        };
        let Some(event) = event.transpose()? else {
            return Ok(dto::Nothing {});
        };
        call.send(&dto::HostEvent {
            time: event.time_ns.to_string(),
            kind: match event.kind {
                EventKind::Container => "container",
                EventKind::Image => "image",
                EventKind::Volume => "volume",
                _ => "other",
            }
            .to_owned(),
            instance: event.labels.get(label::ID).cloned(),
            name: event.labels.get("name").cloned(),
            action: event.action,
            id: event.id,
        })
        .await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Lines with times that repeat, cut anywhere and as often as one likes, each time read again from the last
        /// whole second on, as the engine does: out comes every line once and in order.
        #[test]
        fn a_log_that_is_cut_has_no_gap_and_no_repeat(steps in proptest::collection::vec(0_u32..3, 1..60), cuts in proptest::collection::vec(0_usize..60, 0..8)) {
            let mut at = 0_u32;
            let log: Vec<(String, usize)> = steps
                .iter()
                .enumerate()
                .map(|(n, step)| {
                    // Half a second each: several lines to a second, and several to a time.
                    at += step;
                    (format!("2026-01-01T00:00:{:02}.{}00000000Z", at / 2, (at % 2) * 5), n)
                })
                .collect();
            let mut seam = Seam::default();
            let mut out = Vec::new();
            let mut cuts = cuts.into_iter();
            loop {
                let since = seam.since();
                if since.is_some() {
                    seam.resume();
                }
                let from = log.iter().filter(|(time, _)| {
                    let second = chrono::DateTime::parse_from_rfc3339(time).unwrap().timestamp();
                    since.is_none_or(|s| second >= i64::from(s))
                });
                let cut = cuts.next();
                for (time, n) in from.take(cut.unwrap_or(usize::MAX)) {
                    if seam.is_new(time) {
                        out.push(*n);
                    }
                }
                if cut.is_none() {
                    break;
                }
            }
            prop_assert_eq!(out, (0..log.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_event_of_the_same_moment_is_told_once() {
        let event = |ns, id: &str, action: &str| Event {
            kind: EventKind::Container,
            action: action.into(),
            id: id.into(),
            labels: std::collections::BTreeMap::new(),
            time_ns: ns,
        };
        let mut told = Told::default();
        assert!(told.is_new(&event(5, "a", "start")));
        assert!(
            told.is_new(&event(5, "b", "start")),
            "two at one moment are two"
        );
        for again in ["a", "b"] {
            assert!(
                !told.is_new(&event(5, again, "start")),
                "asked for again after a break"
            );
        }
        assert!(told.is_new(&event(6, "a", "die")));
        assert!(
            !told.is_new(&event(5, "c", "start")),
            "older ones were told before"
        );
    }
}
