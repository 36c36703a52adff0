//! What the driver tells its log alone: messages, all errors of a batch, row counts.
//!
//! tiberius 0.13 emits a `tracing` event for each of these tokens, from the module
//! `tiberius::tds::stream::token`, and hands most of them to nobody. While it is polled, a
//! subscriber of our own is the thread's default: it takes these events and passes everything
//! else on to the subscriber that was there. The events carry text, so tokens are told apart by
//! level and form; the tests hold every form against a server's bytes, so that another version
//! of the driver cannot change them unseen.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    dispatcher::{get_default, with_default},
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::Interest,
};

const TARGET: &str = "tiberius::tds::stream::token";

/// Items that wait while the driver is polled. A server that prints without end is read faster
/// than it is shown; what is over this is counted and dropped.
const MOST: usize = 4096;

/// Bytes of one message; the protocol allows 64 KiB of UTF-16.
const LONGEST: usize = 128 << 10;

/// Something that the driver told its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// An INFO token.
    Message(String),
    /// An ERROR token.
    Error { number: u32, message: String },
    /// A DONE token with a row count.
    Rows(u64),
    /// So many were dropped here.
    Dropped(u64),
}

#[derive(Default)]
struct Heard {
    queue: VecDeque<Told>,
    dropped: u64,
}

/// Hears what the driver tells while it is polled through [`Ear::listen`].
pub(crate) struct Ear {
    heard: Arc<Mutex<Heard>>,
    dispatch: Dispatch,
}

impl Ear {
    pub(crate) fn new() -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let beyond = get_default(Dispatch::clone);
        let dispatch = Dispatch::new(Listener {
            heard: Arc::clone(&heard),
            beyond,
        });
        Self { heard, dispatch }
    }

    pub(crate) fn listen<T>(&self, poll: impl FnOnce() -> T) -> T {
        with_default(&self.dispatch, poll)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .queue
            .is_empty()
    }

    pub(crate) fn next(&self) -> Option<Told> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = heard.queue.pop_front() {
            return Some(told);
        }
        match std::mem::take(&mut heard.dropped) {
            0 => None,
            dropped => Some(Told::Dropped(dropped)),
        }
    }
}

struct Listener {
    heard: Arc<Mutex<Heard>>,
    beyond: Dispatch,
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target() == TARGET
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) {
            Interest::always()
        } else {
            self.beyond.register_callsite(metadata)
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata) || self.beyond.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event(&self, event: &Event<'_>) {
        if is_ours(event.metadata())
            && let Some(told) = read(event)
        {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.queue.len() < MOST {
                heard.queue.push_back(told);
            } else {
                heard.dropped = heard.dropped.saturating_add(1);
            }
        }
        if self.beyond.enabled(event.metadata()) {
            self.beyond.event(event);
        }
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.beyond.new_span(span)
    }

    fn record(&self, span: &span::Id, values: &span::Record<'_>) {
        self.beyond.record(span, values);
    }

    fn record_follows_from(&self, span: &span::Id, follows: &span::Id) {
        self.beyond.record_follows_from(span, follows);
    }

    fn enter(&self, span: &span::Id) {
        self.beyond.enter(span);
    }

    fn exit(&self, span: &span::Id) {
        self.beyond.exit(span);
    }

    fn clone_span(&self, id: &span::Id) -> span::Id {
        self.beyond.clone_span(id)
    }

    fn try_close(&self, id: span::Id) -> bool {
        self.beyond.try_close(id)
    }
}

fn read(event: &Event<'_>) -> Option<Told> {
    let level = *event.metadata().level();
    // Rows are told at this level, too. Only the start is needed to know a row count from them.
    let room = if level == Level::TRACE { 200 } else { LONGEST };
    let mut fields = Fields {
        message: Text::new(room),
        number: None,
    };
    event.record(&mut fields);
    let Fields { message, number } = fields;
    match level {
        Level::ERROR => Some(Told::Error {
            number: number?,
            message: message.text,
        }),
        Level::DEBUG if is_message(&message.text) => Some(Told::Message(message.text)),
        Level::TRACE => row_count(&message.text).map(Told::Rows),
        _ => None,
    }
}

/// The driver's other texts at the level of messages: ENVCHANGE, FEATUREEXTACK (LOGINACK comes
/// before any batch).
fn is_message(text: &str) -> bool {
    let other = [
        "Database change from '",
        "Packet size change from '",
        "SQL collation change",
        "Server requested routing to a new address: ",
        "Fallback mirror server: `",
        "Ignored env change: `",
        "FeatureExtAck with ",
    ];
    let whole = [
        "Begin transaction",
        "Commit transaction",
        "Rollback transaction",
        "Defect transaction",
    ];
    !other.iter().any(|start| text.starts_with(start)) && !whole.contains(&text)
}

/// `Done with status BitFlags<DoneStatus>(0b10000, Count) (3 rows left)`: the count is one only
/// with its flag, and without a number it is 0.
fn row_count(text: &str) -> Option<u64> {
    let rest = text.strip_prefix("Done with status ")?;
    let (flags, rest) = rest.split_once(')')?;
    if !flags.contains("Count") || flags.contains("Error") {
        return None;
    }
    match rest.trim_start().strip_prefix('(') {
        None => Some(0),
        Some(count) => count.split(' ').next()?.parse().ok(),
    }
}

struct Fields {
    message: Text,
    number: Option<u32>,
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "code" {
            self.number = u32::try_from(value).ok();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // It stops with an error where the room ends, which is what it is for.
            let _ = write!(self.message, "{value:?}");
        }
    }
}

/// Takes text up to a limit; at `trace` only what can be a row count, so that no row is formatted.
struct Text {
    text: String,
    room: usize,
}

impl Text {
    fn new(room: usize) -> Self {
        Self {
            text: String::new(),
            room,
        }
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.text.is_empty() && self.room <= 200 && !piece.starts_with("Done with") {
            return Err(fmt::Error);
        }
        let room = self.room.saturating_sub(self.text.len());
        if piece.len() <= room {
            self.text.push_str(piece);
            return Ok(());
        }
        let end = (0..=room)
            .rev()
            .find(|at| piece.is_char_boundary(*at))
            .unwrap_or(0);
        self.text.push_str(piece.get(..end).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_count_is_one_only_with_its_flag() {
        for (text, count) in [
            (
                "Done with status BitFlags<DoneStatus>(0b10000, Count) (3 rows left)",
                Some(3),
            ),
            (
                "Done with status BitFlags<DoneStatus>(0b10001, More | Count) (1 row left)",
                Some(1),
            ),
            (
                "Done with status BitFlags<DoneStatus>(0b10000, Count)",
                Some(0),
            ),
            ("Done with status BitFlags<DoneStatus>(0b0)", None),
            ("Done with status BitFlags<DoneStatus>(0b10, Error)", None),
            ("TokenRow", None),
        ] {
            assert_eq!(row_count(text), count, "{text}");
        }
    }
}
