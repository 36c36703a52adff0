//! The clock of the machine that a server runs on, which may be wrong on purpose.
//!
//! Each session has a thread of its own, and so what its thread takes for the time is its server's.

use std::cell::Cell;

use chrono::{DateTime, Duration, Local, NaiveDateTime, Utc};

thread_local! {
    /// By how many seconds the clock is ahead.
    static SKEW: Cell<i64> = const { Cell::new(0) };
}

/// Runs `act` with a clock that is ahead by so many seconds, or behind where it is negative.
pub fn with_skew<T>(seconds: i64, act: impl FnOnce() -> T) -> T {
    struct Back(i64);
    impl Drop for Back {
        fn drop(&mut self) {
            SKEW.set(self.0);
        }
    }
    let _back = Back(SKEW.replace(seconds));
    act()
}

/// By how many seconds this thread's clock is ahead.
pub(crate) fn skew() -> i64 {
    SKEW.get()
}

/// The time at this place.
pub(crate) fn here() -> DateTime<Local> {
    let now = Local::now();
    let skew = Duration::try_seconds(skew()).unwrap_or_default();
    now.checked_add_signed(skew).unwrap_or(now)
}

/// The same without its offset.
pub(crate) fn now() -> NaiveDateTime {
    here().naive_local()
}

/// The time in UTC.
pub(crate) fn utc_now() -> NaiveDateTime {
    here().with_timezone(&Utc).naive_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_wrong_only_where_it_was_asked_for() {
        let ahead = with_skew(3600, || {
            std::thread::spawn(utc_now)
                .join()
                .map(|other| utc_now() - other)
        });
        let minutes = ahead.unwrap().num_minutes();
        assert!((59..=61).contains(&minutes), "{minutes}");
        assert_eq!(skew(), 0, "what comes after has its own clock again");
    }
}
