//! Transactions: of T-SQL, mapped to those of the files.
//!
//! A read outside of `SERIALIZABLE` and its like sees what was last committed; the first write of a transaction takes
//! the file's write lock and keeps it to the end. So writers of one database wait for each other, readers for nobody.

use std::time::{Duration, Instant};

use super::{
    message::{self, Message, SqlResult},
    output::{Change, Output},
    session::{Session, Transaction},
    statement::Exec,
    store::{self, File},
};

/// The longest wait for a lock where `LOCK_TIMEOUT` says "for ever": nothing here waits without a bound.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Session {
    /// Takes a file's write lock.
    fn lock(&self, file: &File) -> SqlResult<()> {
        let timeout = self.settings.borrow().lock_timeout;
        let limit = u64::try_from(timeout).map_or(LONGEST_WAIT, Duration::from_millis);
        let begun = Instant::now();
        loop {
            match file.db.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => return Ok(()),
                Err(e) if store::is_busy(&e) => {
                    self.check_now()?;
                    if begun.elapsed() >= limit {
                        return Err(store::lock_timeout());
                    }
                }
                Err(e) => return Err(store::sql(e)),
            }
        }
    }

    /// Makes a file part of the open transaction.
    fn join(&self, database: i32, file: &File) -> SqlResult<()> {
        if self.transaction.borrow().files.contains(&database) {
            return Ok(());
        }
        self.lock(file)?;
        self.transaction.borrow_mut().files.push(database);
        Ok(())
    }

    /// Called before a database is read: strict isolation levels hold what they read.
    pub(crate) fn before_read(&self, database: i32, file: &File) -> SqlResult<()> {
        if self.transaction.borrow().count > 0
            && self.settings.borrow().isolation >= 3
            && file.db.is_autocommit()
        {
            self.join(database, file)?;
        }
        Ok(())
    }

    /// Runs a change of one database: all of it or nothing.
    ///
    /// # Errors
    /// The change's own, 3930 in a doomed transaction, 1222 where the lock is not to be had.
    pub(crate) fn write<T>(
        &self,
        database: i32,
        f: impl FnOnce(&File) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.transaction.borrow().doomed {
            return Err(Message::new(
                3930,
                16,
                1,
                "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
            )
            .ending(message::Ends::Batch));
        }
        let file = self.file_by_id(database)?;
        if self.transaction.borrow().count > 0 {
            self.join(database, &file)?;
        }
        if file.db.is_autocommit() {
            self.lock(&file)?;
            return match f(&file) {
                Ok(out) => {
                    file.run("COMMIT")?;
                    Ok(out)
                }
                Err(e) => {
                    file.run("ROLLBACK")?;
                    Err(e)
                }
            };
        }
        file.run("SAVEPOINT statement")?;
        match f(&file) {
            Ok(out) => {
                file.run("RELEASE statement")?;
                Ok(out)
            }
            Err(e) => {
                file.run("ROLLBACK TO statement; RELEASE statement")?;
                Err(e)
            }
        }
    }

    pub(crate) fn begin_transaction(&self, out: &mut dyn Output) -> Exec<()> {
        let mut t = self.transaction.borrow_mut();
        t.count = t.count.saturating_add(1);
        if t.count > 1 {
            return Ok(());
        }
        t.id = self.server.next_transaction();
        t.doomed = false;
        let id = t.id;
        drop(t);
        out.change(&Change::Began(id))?;
        Ok(())
    }

    /// `SET IMPLICIT_TRANSACTIONS ON`: the first statement that touches data begins a transaction.
    pub(crate) fn begin_implicitly(&self, out: &mut dyn Output) -> Exec<()> {
        if self.settings.borrow().implicit && self.transaction.borrow().count == 0 {
            self.begin_transaction(out)?;
        }
        Ok(())
    }

    pub(crate) fn commit(&self, out: &mut dyn Output) -> Exec<()> {
        let (count, doomed) = {
            let t = self.transaction.borrow();
            (t.count, t.doomed)
        };
        if count == 0 {
            return Err(Message::new(
                3902,
                16,
                1,
                "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.",
            )
            .into());
        }
        if count > 1 {
            self.transaction.borrow_mut().count = count.saturating_sub(1);
            return Ok(());
        }
        if doomed {
            return Err(Message::new(
                3930,
                16,
                1,
                "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
            )
            .ending(message::Ends::Batch)
            .into());
        }
        let done = std::mem::take(&mut *self.transaction.borrow_mut());
        self.release_locks(false);
        let mut failed = None;
        for database in &done.files {
            if let Ok(file) = self.file_by_id(*database)
                && let Err(e) = file.run("COMMIT")
            {
                // A commit that fails leaves the file's transaction open.
                let _ = file.run("ROLLBACK");
                failed = Some(e);
            }
        }
        match failed {
            None => {
                out.change(&Change::Committed(done.id))?;
                Ok(())
            }
            Some(e) => {
                out.change(&Change::RolledBack(done.id))?;
                Err(e.into())
            }
        }
    }

    fn end_files(&self) -> Transaction {
        let done = std::mem::take(&mut *self.transaction.borrow_mut());
        self.release_locks(false);
        for database in &done.files {
            if let Ok(file) = self.file_by_id(*database)
                && let Err(e) = file.run("ROLLBACK")
            {
                // SQLite rolls back by itself on some errors, and then has nothing left to do.
                tracing::debug!(error = %e.text, "nothing to roll back");
            }
        }
        done
    }

    /// Rolls everything back, and says nothing.
    pub(crate) fn roll_back_all(&self) {
        if self.transaction.borrow().count > 0 {
            self.end_files();
        }
    }

    /// Rolls back what is open, and tells the client.
    pub(crate) fn roll_back_telling(&self, out: &mut dyn Output) -> Exec<()> {
        if self.transaction.borrow().count == 0 {
            return Ok(());
        }
        let done = self.end_files();
        out.change(&Change::RolledBack(done.id))?;
        Ok(())
    }

    pub(crate) fn rollback(&self, name: Option<&str>, out: &mut dyn Output) -> Exec<()> {
        if self.transaction.borrow().count == 0 {
            return Err(Message::new(
                3903,
                16,
                1,
                "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.",
            )
            .into());
        }
        let place = name.and_then(|n| {
            self.transaction
                .borrow()
                .savepoints
                .iter()
                .rposition(|s| store::same_name(s, n))
        });
        if let Some(at) = place {
            let files = self.transaction.borrow().files.clone();
            for database in files {
                // A file that joined later has no such savepoint: all that it did is undone.
                let file = self.file_by_id(database)?;
                let text = if self.transaction.borrow().savepoints.get(at).is_some() {
                    format!("ROLLBACK TO s{at}")
                } else {
                    String::new()
                };
                if file.db.execute_batch(&text).is_err() {
                    file.run("ROLLBACK")?;
                    self.lock(&file)?;
                }
            }
            self.transaction
                .borrow_mut()
                .savepoints
                .truncate(at.saturating_add(1));
            return Ok(());
        }
        self.roll_back_telling(out)
    }

    pub(crate) fn save_point(&self, name: &str) -> SqlResult<()> {
        if self.transaction.borrow().count == 0 {
            return Err(Message::new(
                628,
                16,
                0,
                "Cannot issue SAVE TRANSACTION when there is no active transaction.",
            ));
        }
        let (at, files) = {
            let t = self.transaction.borrow();
            (t.savepoints.len(), t.files.clone())
        };
        for database in files {
            self.file_by_id(database)?
                .run(&format!("SAVEPOINT s{at}"))?;
        }
        self.transaction
            .borrow_mut()
            .savepoints
            .push(name.to_owned());
        Ok(())
    }

    /// Refuses what SQL Server does not do inside a transaction.
    pub(crate) fn need_no_transaction(&self, what: &str) -> SqlResult<()> {
        if self.transaction.borrow().count == 0 {
            return Ok(());
        }
        Err(Message::new(
            226,
            16,
            6,
            format!("{what} statement not allowed within multi-statement transaction."),
        ))
    }
}
