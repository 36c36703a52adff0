//! `sp_getapplock` and `sp_releaseapplock`: locks that applications name, such as EF Core's around its migrations.
//!
//! Every mode is held as exclusive: two who only share wait for each other here, nobody gets in who should not.

use std::time::{Duration, Instant};

use super::{Given, Outcome};
use crate::sql::{
    message::{self, Message, SqlResult},
    session::Session,
    statement::Exec,
};

/// Who holds a lock: the session, how often, and whether its transaction ends it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    spid: u16,
    times: u32,
    transaction: bool,
}

/// Most locks at one time.
const LOCKS: usize = 10_000;

/// The longest wait, also where the caller would wait for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

fn status(status: i32) -> Outcome {
    Outcome {
        status,
        ..Outcome::default()
    }
}

impl Session {
    /// `@Resource, @LockMode, @LockOwner = 'Transaction', @LockTimeout = @@LOCK_TIMEOUT`: 0 granted, 1 granted after a
    /// wait, -1 timed out.
    pub(super) fn sp_getapplock(&self, given: &[Given]) -> Exec<Outcome> {
        let resource = self
            .catalog_text(given, 0, "@Resource")?
            .unwrap_or_default();
        let mode = self
            .catalog_text(given, 1, "@LockMode")?
            .unwrap_or_default();
        let known = [
            "Shared",
            "Update",
            "IntentShared",
            "IntentExclusive",
            "Exclusive",
        ];
        if !known.iter().any(|k| mode.eq_ignore_ascii_case(k)) {
            let text = format!("The parameter @LockMode of sp_getapplock cannot be `{mode}`.");
            return Err(Message::new(15625, 16, 1, text).into());
        }
        let transaction = self.owned_by_transaction(given, 2)?;
        let default = self.settings.borrow().lock_timeout;
        let timeout = self.catalog_number(given, 3, "@LockTimeout", default)?;
        let limit = u64::try_from(timeout).map_or(LONGEST_WAIT, |ms| {
            Duration::from_millis(ms).min(LONGEST_WAIT)
        });
        let key = (self.current().id, resource);
        let begun = Instant::now();
        let mut waited = false;
        loop {
            {
                let mut state = self.server.state();
                let full = state.locks.len() >= LOCKS;
                match state.locks.get_mut(&key) {
                    Some(held) if held.spid == self.spid => {
                        held.times = held.times.saturating_add(1);
                        return Ok(status(0));
                    }
                    Some(_) => {}
                    None if full => return Err(message::out_of_memory().into()),
                    None => {
                        let held = Held {
                            spid: self.spid,
                            times: 1,
                            transaction,
                        };
                        state.locks.insert(key, held);
                        return Ok(status(i32::from(waited)));
                    }
                }
            }
            if begun.elapsed() >= limit {
                return Ok(status(-1));
            }
            waited = true;
            self.check_now()?;
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// `@Resource, @LockOwner = 'Transaction'`
    pub(super) fn sp_releaseapplock(&self, given: &[Given]) -> Exec<Outcome> {
        let resource = self
            .catalog_text(given, 0, "@Resource")?
            .unwrap_or_default();
        self.owned_by_transaction(given, 1)?;
        let key = (self.current().id, resource);
        let mut state = self.server.state();
        let Some(held) = state.locks.get_mut(&key).filter(|h| h.spid == self.spid) else {
            let text = format!(
                "Cannot release the application lock (Database Principal: 'public', Resource: '{}') because it is not currently held.",
                key.1
            );
            return Err(Message::new(1223, 16, 1, text).into());
        };
        held.times = held.times.saturating_sub(1);
        if held.times == 0 {
            state.locks.remove(&key);
        }
        Ok(status(0))
    }

    fn owned_by_transaction(&self, given: &[Given], at: usize) -> SqlResult<bool> {
        let owner = self.catalog_text(given, at, "@LockOwner")?;
        let transaction = owner.is_none_or(|o| o.eq_ignore_ascii_case("Transaction"));
        if transaction && self.transaction.borrow().count == 0 {
            return Err(Message::new(
                3918,
                16,
                1,
                "The statement or function must be executed in the context of a user transaction.",
            ));
        }
        Ok(transaction)
    }

    /// Lets go of what this session holds; of all, or of what its transaction holds.
    pub(crate) fn release_locks(&self, all: bool) {
        let spid = self.spid;
        self.server
            .state()
            .locks
            .retain(|_, h| h.spid != spid || !(all || h.transaction));
    }
}
