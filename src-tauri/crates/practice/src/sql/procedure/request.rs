//! Requests from outside: a batch, a call, a transaction.

use super::Given;
use crate::sql::{
    message::{self, Message},
    output::{Gone, Output},
    session::{Frame, Session},
    statement::{Exec, Halt},
};

/// What a client may ask of a session besides batches.
pub(crate) enum Request {
    Batch(String),
    /// A procedure called by name, with its parameters.
    Call {
        name: Vec<String>,
        given: Vec<Given>,
    },
    Begin {
        isolation: u8,
    },
    Commit {
        again: Option<u8>,
    },
    Rollback {
        name: String,
        again: Option<u8>,
    },
    Save(String),
}

impl Session {
    /// Carries one request out. Errors go to the client; what comes back is whether it is still there.
    pub(crate) fn serve(&self, request: Request, out: &mut dyn Output) -> Result<(), Gone> {
        // A batch or a call begins with variables of its own; temporary tables stay.
        let kept = self
            .frames
            .borrow_mut()
            .first_mut()
            .map(|f| std::mem::take(&mut f.temporary))
            .unwrap_or_default();
        *self.frames.borrow_mut() = vec![Frame {
            temporary: kept,
            ..Frame::default()
        }];
        self.tries.set(0);
        self.caught.borrow_mut().clear();
        self.release_memory();
        let result = match request {
            Request::Batch(text) => self.batch(&text, out),
            Request::Call { name, given } => self.remote_call(&name, given, out),
            Request::Begin { isolation } => {
                if isolation > 0 {
                    self.settings.borrow_mut().isolation = isolation;
                }
                self.begin_transaction(out)
            }
            Request::Commit { again } => self.commit(out).and_then(|()| self.again(again, out)),
            Request::Rollback { name, again } => {
                let name = Some(name).filter(|n| !n.is_empty());
                self.rollback(name.as_deref(), out)
                    .and_then(|()| self.again(again, out))
            }
            Request::Save(name) => self.save_point(&name).map_err(Into::into),
        };
        let cancelled = message::cancelled().number;
        match result {
            Ok(()) | Err(Halt::Aborted { .. }) => {}
            // Nothing is said of a request that the client itself cancelled.
            Err(Halt::Error(e)) if e.number == cancelled => {
                if self.settings.borrow().xact_abort && self.transaction.borrow().count > 0 {
                    self.roll_back_telling(out).map_err(|_| Gone)?;
                }
            }
            Err(Halt::Error(e)) => {
                self.report(e, out).map_err(|_| Gone)?;
            }
            Err(Halt::Gone) => return Err(Gone),
        }
        if self.transaction.borrow().doomed && self.transaction.borrow().count > 0 {
            let e = Message::new(
                3998,
                16,
                1,
                "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.",
            );
            self.report(e, out).map_err(|_| Gone)?;
            self.roll_back_telling(out).map_err(|_| Gone)?;
        }
        self.release_memory();
        Ok(())
    }

    pub(super) fn again(&self, isolation: Option<u8>, out: &mut dyn Output) -> Exec<()> {
        match isolation {
            Some(level) => {
                if level > 0 {
                    self.settings.borrow_mut().isolation = level;
                }
                self.begin_transaction(out)
            }
            None => Ok(()),
        }
    }

    /// A procedure called from outside: its status and its output parameters go to the client.
    pub(super) fn remote_call(
        &self,
        name: &[String],
        given: Vec<Given>,
        out: &mut dyn Output,
    ) -> Exec<()> {
        // Dynamic text counts as inside a procedure from its first statement on.
        let outcome = self.call(name, given, out);
        let outcome = match outcome {
            Ok(o) => o,
            Err(Halt::Aborted { .. }) => {
                out.status(self.last_error.get())?;
                return Ok(());
            }
            Err(Halt::Error(e)) if e.number != message::cancelled().number => {
                let number = e.number;
                self.report(e, out)?;
                out.status(number)?;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        out.status(outcome.status)?;
        for r in &outcome.returned {
            out.returned(
                &r.name,
                u16::try_from(r.ordinal).unwrap_or(0),
                r.ty,
                &r.value,
            )?;
        }
        Ok(())
    }
}
