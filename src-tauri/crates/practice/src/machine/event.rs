//! What happened on the machine, as its engine tells it.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{Model, tail::Tail};

/// One event.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Event {
    pub time: DateTime<Utc>,
    /// `container`, `volume`, `image` or `network`.
    pub kind: &'static str,
    pub action: String,
    /// Id of the container or image, name of the volume.
    pub id: String,
    pub attributes: BTreeMap<String, String>,
}

impl Model {
    /// The last events and those to come.
    pub fn events(&self) -> &Arc<Tail<Event>> {
        &self.events
    }

    pub(super) fn tell(
        &self,
        kind: &'static str,
        action: impl Into<String>,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        self.events.push(Event {
            time: self.now(),
            kind,
            action: action.into(),
            id: id.to_owned(),
            attributes,
        });
    }
}
