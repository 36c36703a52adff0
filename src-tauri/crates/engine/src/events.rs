//! What happens on an engine, as it happens.

use std::collections::{BTreeMap, HashMap};

use bollard::{
    models::{EventMessage, EventMessageTypeEnum},
    query_parameters::EventsOptionsBuilder,
};
use futures_util::StreamExt;

use crate::{
    Answers,
    engine::{Engine, LIST},
    error::{Doing, api_error},
};

/// What something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// Anything else.
    Other,
}

/// Something that happened on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it happened to.
    pub kind: EventKind,
    /// `create`, `start`, `die`, `stop`, `oom`, `rename`, `destroy`, `exec_create: …`, …
    pub action: String,
    /// The id, or the name of a volume or image.
    pub id: String,
    /// The container's labels, and beside them what the engine adds: `name`, `image`,
    /// `exitCode`, `signal`.
    pub labels: BTreeMap<String, String>,
    /// When, in nanoseconds since 1970, by the host's clock.
    pub time_ns: u64,
}

impl Engine {
    /// What happens to containers, images and volumes from now on, or from `since` on (an
    /// [`Event::time_ns`]; the engine keeps the last few hundred). With `label` (`key` or
    /// `key=value`) only to the containers that carry it.
    ///
    /// Never trust events alone: after a break, list what is there, then go on from the last
    /// event's time. The stream ends when the engine or the connection does.
    #[must_use]
    pub fn events(&self, since: Option<u64>, label: Option<&str>) -> Answers<Event> {
        let mut filters = HashMap::from([("type", vec!["container", "image", "volume"])]);
        if let Some(label) = label {
            filters.insert("label", vec![label]);
        }
        let mut ask = EventsOptionsBuilder::new().filters(&filters);
        if let Some(ns) = since {
            ask = ask.since(&format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000));
        }
        self.streams(LIST)
            .events(Some(ask.build()))
            .map(|event| {
                event
                    .map(told)
                    .map_err(|e| api_error(&Doing::plain("follow what happens on the host"), e))
            })
            .boxed()
    }
}

fn told(event: EventMessage) -> Event {
    let actor = event.actor.unwrap_or_default();
    let seconds = u64::try_from(event.time.unwrap_or(0)).unwrap_or(0);
    Event {
        kind: match event.typ {
            Some(EventMessageTypeEnum::CONTAINER) => EventKind::Container,
            Some(EventMessageTypeEnum::IMAGE) => EventKind::Image,
            Some(EventMessageTypeEnum::VOLUME) => EventKind::Volume,
            _ => EventKind::Other,
        },
        action: event.action.unwrap_or_default(),
        id: actor.id.unwrap_or_default(),
        labels: actor.attributes.unwrap_or_default().into_iter().collect(),
        time_ns: event
            .time_nano
            .and_then(|ns| u64::try_from(ns).ok())
            .unwrap_or_else(|| seconds.saturating_mul(1_000_000_000)),
    }
}
