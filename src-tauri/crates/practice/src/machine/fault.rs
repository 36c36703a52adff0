//! What goes wrong on this machine because a test, or a curious user, asked for it.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use berth_core::{Error, Result};

/// One fault, as `--fault` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `slow-start=SECONDS`: SQL Server takes this long before it listens.
    SlowStart(Duration),
    /// `refuse-login`: no key and no password opens the SSH door.
    RefuseLogin,
    /// `refuse-sql-login`: the password that was set for `sa` is not the one that opens it.
    RefuseSqlLogin,
    /// `engine-dies[=N]`: the engine answers N requests (default 0) and is gone from then on.
    EngineDies(u64),
    /// `drop-at=N`: each SSH connection is cut after N bytes to the client.
    DropAt(u64),
    /// `disk-full`: containers can be neither created nor started.
    DiskFull,
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let number = |unit: &str| {
            value.and_then(|v| v.parse::<u64>().ok()).ok_or_else(|| {
                Error::usage(format!("The fault `{name}` needs a number of {unit}"))
                    .hint(format!("Write it as `{name}=10`"))
            })
        };
        let plain = |fault| match value {
            None => Ok(fault),
            Some(_) => Err(Error::usage(format!("The fault `{name}` takes no value"))),
        };
        match name {
            "slow-start" => Ok(Self::SlowStart(Duration::from_secs(number("seconds")?))),
            "refuse-login" => plain(Self::RefuseLogin),
            "refuse-sql-login" => plain(Self::RefuseSqlLogin),
            "engine-dies" if value.is_none() => Ok(Self::EngineDies(0)),
            "engine-dies" => Ok(Self::EngineDies(number("requests")?)),
            "drop-at" => Ok(Self::DropAt(number("bytes")?)),
            "disk-full" => plain(Self::DiskFull),
            _ => Err(Error::usage(format!("The practice host has no fault `{name}`")).hint(
                "There are `slow-start=SECONDS`, `refuse-login`, `refuse-sql-login`, `engine-dies=N`, `drop-at=N` and `disk-full`",
            )),
        }
    }
}

/// The faults of one machine, and how far they have come.
#[derive(Debug, Default)]
pub struct Faults {
    asked: Vec<Fault>,
    engine_calls: AtomicU64,
}

impl Faults {
    /// These and no others.
    pub fn new(asked: Vec<Fault>) -> Self {
        Self {
            asked,
            engine_calls: AtomicU64::new(0),
        }
    }

    /// Whether this plain fault was asked for.
    pub fn has(&self, fault: Fault) -> bool {
        self.asked.contains(&fault)
    }

    /// How much longer SQL Server takes to start.
    pub fn start_delay(&self) -> Duration {
        self.asked
            .iter()
            .map(|f| {
                if let Fault::SlowStart(time) = f {
                    *time
                } else {
                    Duration::ZERO
                }
            })
            .sum()
    }

    /// After how many bytes to the client an SSH connection is cut.
    pub fn drop_at(&self) -> Option<u64> {
        self.asked.iter().find_map(|f| {
            if let Fault::DropAt(n) = f {
                Some(*n)
            } else {
                None
            }
        })
    }

    /// Whether the engine is up; each call counts as a request when `counted`.
    pub fn engine_up(&self, counted: bool) -> bool {
        let Some(limit) = self.asked.iter().find_map(|f| {
            if let Fault::EngineDies(n) = f {
                Some(*n)
            } else {
                None
            }
        }) else {
            return true;
        };
        let before = if counted {
            self.engine_calls.fetch_add(1, Ordering::Relaxed)
        } else {
            self.engine_calls.load(Ordering::Relaxed)
        };
        before < limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        assert_eq!(
            "slow-start=3".parse(),
            Ok(Fault::SlowStart(Duration::from_secs(3)))
        );
        assert_eq!("engine-dies=2".parse(), Ok(Fault::EngineDies(2)));
        assert_eq!("disk-full".parse(), Ok(Fault::DiskFull));
        for bad in ["drop-at", "drop-at=x", "disk-full=1", "flood", ""] {
            assert!(
                bad.parse::<Fault>().is_err(),
                "`{bad}` must be refused, not quietly ignored"
            );
        }
    }

    #[test]
    fn the_engine_answers_as_often_as_asked_and_then_never() {
        let faults = Faults::new(vec![Fault::EngineDies(2)]);
        assert!(faults.engine_up(false));
        assert!(faults.engine_up(true));
        assert!(faults.engine_up(true));
        assert!(
            !faults.engine_up(false),
            "a new connection must find nobody there"
        );
        assert!(!faults.engine_up(true));
    }
}
