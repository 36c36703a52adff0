//! Whether a host is reached: a state machine fed by what was seen, and the pauses between tries.
//!
//! `Idle → Connecting → Connected → Unreachable → Connected …`, and `Idle` again when nobody wants the host any more.
//! "Unreachable since" is when it was first known: tries that fail later change the reason, never the time.

use std::time::Duration;

/// The first pause before a host is tried again, before the dice.
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, before the dice.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether a host is reached. Times are seconds since 1970, given by the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// Nobody asked for it yet, or nobody does any more.
    #[default]
    Idle,
    /// It is being reached for the first time.
    Connecting {
        /// Since when.
        since: i64,
    },
    /// It answers.
    Connected {
        /// Since when.
        since: i64,
    },
    /// It does not answer.
    Unreachable {
        /// Since when: the first failure, or the loss of the connection.
        since: i64,
        /// The latest reason, in words that fit behind a colon.
        why: String,
        /// Tries that failed since then.
        failures: u32,
        /// Whether it is being tried right now.
        trying: bool,
    },
}

/// What was seen of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Somebody began to connect.
    Trying,
    /// It answered.
    Answered,
    /// It could not be reached, for this reason.
    Failed(String),
    /// It was reached and is not any more, for this reason.
    Lost(String),
    /// The connections were closed on purpose.
    Closed,
}

impl Reach {
    /// What becomes of it.
    #[must_use]
    pub fn after(self, seen: Seen, now: i64) -> Self {
        match (self, seen) {
            (_, Seen::Closed) => Self::Idle,
            (Self::Connected { since }, Seen::Trying | Seen::Answered) => Self::Connected { since },
            (_, Seen::Answered) => Self::Connected { since: now },
            (Self::Idle, Seen::Trying) => Self::Connecting { since: now },
            (Self::Connecting { since }, Seen::Trying) => Self::Connecting { since },
            (
                Self::Unreachable {
                    since,
                    why,
                    failures,
                    ..
                },
                Seen::Trying,
            ) => Self::Unreachable {
                since,
                why,
                failures,
                trying: true,
            },
            (
                Self::Unreachable {
                    since, failures, ..
                },
                Seen::Failed(why),
            ) => Self::Unreachable {
                since,
                why,
                failures: failures.saturating_add(1),
                trying: false,
            },
            // A loss after a loss is the same loss, told by another connection.
            (
                Self::Unreachable {
                    since,
                    why,
                    failures,
                    trying,
                },
                Seen::Lost(_),
            ) => Self::Unreachable {
                since,
                why,
                failures,
                trying,
            },
            // Another connection of the same host still stands: one that could not be added is no loss.
            (Self::Connected { since }, Seen::Failed(_)) => Self::Connected { since },
            (Self::Idle | Self::Connecting { .. }, Seen::Failed(why)) => Self::Unreachable {
                since: now,
                why,
                failures: 1,
                trying: false,
            },
            (Self::Idle | Self::Connecting { .. } | Self::Connected { .. }, Seen::Lost(why)) => {
                Self::Unreachable {
                    since: now,
                    why,
                    failures: 0,
                    trying: false,
                }
            }
        }
    }

    /// `idle`, `connecting`, `connected`, `unreachable`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting { .. } => "connecting",
            Self::Connected { .. } => "connected",
            Self::Unreachable { .. } => "unreachable",
        }
    }

    /// Since when, in seconds since 1970; `None` for [`Reach::Idle`].
    #[must_use]
    pub fn since(&self) -> Option<i64> {
        match self {
            Self::Idle => None,
            Self::Connecting { since }
            | Self::Connected { since }
            | Self::Unreachable { since, .. } => Some(*since),
        }
    }

    /// Why it is not reached.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Unreachable { why, .. } => Some(why),
            _ => None,
        }
    }

    /// Whether it answers, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}

/// The pause before the next try after so many that failed: doubled each time up to [`LONGEST_PAUSE`], then shortened to
/// between a half and the whole of that by `dice`, so that a hundred clients of one host do not come back at once.
#[must_use]
pub fn pause(failures: u32, dice: u8) -> Duration {
    let whole = FIRST_PAUSE
        .saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX))
        .min(LONGEST_PAUSE);
    whole / 2 + (whole / 2).saturating_mul(u32::from(dice)) / 255
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen() -> impl Strategy<Value = Seen> {
        prop_oneof![
            Just(Seen::Trying),
            Just(Seen::Answered),
            "[a-z]{1,4}".prop_map(Seen::Failed),
            "[a-z]{1,4}".prop_map(Seen::Lost),
            Just(Seen::Closed),
        ]
    }

    proptest! {
        #[test]
        fn no_order_of_events_tells_a_lie(events in proptest::collection::vec(seen(), 0..40)) {
            let mut state = Reach::default();
            for (now, event) in (100_i64..).zip(events) {
                let before = state.clone();
                state = before.clone().after(event.clone(), now);
                // Connected is only ever said after an answer.
                if state.is_connected() && !before.is_connected() {
                    prop_assert_eq!(&event, &Seen::Answered);
                }
                // A loss or a failure is never forgotten by trying again.
                if let Reach::Unreachable { since, .. } = &before {
                    match &state {
                        Reach::Unreachable { since: still, failures, .. } => {
                            prop_assert_eq!(since, still, "the time is of the first failure");
                            if let Seen::Failed(why) = &event {
                                prop_assert_eq!(state.why(), Some(why.as_str()));
                                prop_assert!(*failures > 0);
                            }
                        }
                        Reach::Connected { .. } => prop_assert_eq!(&event, &Seen::Answered),
                        Reach::Idle => prop_assert_eq!(&event, &Seen::Closed),
                        Reach::Connecting { .. } => prop_assert!(false, "what was lost is unreachable until it answers"),
                    }
                }
                prop_assert!(state.since().is_none_or(|since| since <= now));
                prop_assert_eq!(state.since().is_none(), event == Seen::Closed || state == Reach::Idle);
                prop_assert_eq!(state.why().is_some(), state.word() == "unreachable");
            }
        }

        #[test]
        fn pauses_grow_and_stay_bounded(failures: u32, dice: u8) {
            let it = pause(failures, dice);
            prop_assert!(it >= FIRST_PAUSE / 2 && it <= LONGEST_PAUSE, "{it:?}");
            prop_assert!(pause(failures.saturating_add(1), dice) >= it);
            prop_assert!(pause(failures, 255) >= it);
        }
    }
}
