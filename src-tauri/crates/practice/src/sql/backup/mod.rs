//! `BACKUP` and `RESTORE` over real files.
//!
//! A backup is a copy of the database's one SQLite file as it is at one moment, while others go on working, in a file
//! of the practice host's own format. Messages, numbers and the order of checks are SQL Server's.

mod listing;
mod media;
mod restore;

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use media::{Header, Unreadable};

use super::{
    ast::{Backup, Expr, MediaOption, Named},
    convert,
    disk::OsError,
    message::{self, Message, SqlError, SqlResult},
    output::{Output, command},
    server::{Database, edition_name, now_text},
    session::{Session, variable_key},
    state::Control,
    statement::{Exec, Halt},
    store,
    types::Type,
    value::Value,
};

/// A page of SQL Server, in bytes.
const PAGE: u64 = 8192;

/// Errors of one statement, all of which the client sees, or an end for another reason.
enum Failed {
    Errors(Vec<SqlError>),
    Halt(Halt),
    Io(io::Error),
}

impl From<SqlError> for Failed {
    fn from(e: SqlError) -> Self {
        Self::Errors(vec![e])
    }
}

impl From<Halt> for Failed {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<io::Error> for Failed {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// `STATS`: says how far it is, each time that so many percent more are done.
struct Percent {
    what: &'static str,
    control: Arc<Control>,
    every: Option<u64>,
    total: u64,
    done: u64,
    said: u64,
}

impl Percent {
    fn advance(&mut self, bytes: u64, out: &mut dyn Output) -> Exec<()> {
        self.done = self.done.saturating_add(bytes);
        let now = self
            .done
            .saturating_mul(100)
            .checked_div(self.total)
            .unwrap_or(100)
            .min(100);
        self.control
            .set_progress(Some((self.what, u8::try_from(now).unwrap_or(100))));
        let Some(every) = self.every else {
            return Ok(());
        };
        while let next = self.said.saturating_add(every)
            && next < 100
            && next <= now
        {
            self.said = next;
            out.message(&Message::info(3211, format!("{next} percent processed.")))?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Output) -> Exec<()> {
        if self.every.is_some() {
            out.message(&Message::info(3211, "100 percent processed."))?;
        }
        Ok(())
    }
}

/// The options of one statement that were understood.
#[derive(Default)]
struct Options {
    init: bool,
    format: bool,
    checksum: bool,
    copy_only: bool,
    stats: Option<u64>,
    name: Option<String>,
    description: Option<String>,
    media_name: Option<String>,
    /// Which set of the file, from 1.
    file: Option<i64>,
    moves: Vec<(String, String)>,
    replace: bool,
    restricted: bool,
}

/// Removed when it is let go.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        super::database::remove_files(&self.0);
    }
}

fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE)
}

fn cannot_open(path: &str, e: OsError) -> SqlError {
    Message::new(
        3201,
        16,
        1,
        format!(
            "Cannot open backup device '{path}'. Operating system error {}.",
            e.0
        ),
    )
}

fn unreadable(path: &str, why: Unreadable) -> SqlError {
    match why {
        Unreadable::Os(e) => cannot_open(path, e),
        Unreadable::Foreign => message::not_implemented("Reading a backup of SQL Server itself"),
        Unreadable::Malformed => Message::new(
            3241,
            16,
            0,
            format!(
                "The media family on device '{path}' is incorrectly formed. SQL Server cannot process this media family."
            ),
        ),
    }
}

fn in_tempdb() -> SqlError {
    Message::new(
        3147,
        16,
        1,
        "Backup and restore operations are not allowed on database tempdb.",
    )
}

impl Session {
    /// Ends a statement: done, or with its errors and the one that says what they ended.
    fn ended(
        &self,
        result: Result<(), Failed>,
        what: &str,
        line: u32,
        out: &mut dyn Output,
    ) -> Exec<()> {
        self.control.set_progress(None);
        let mut errors = match result {
            Ok(()) => return self.finished(out, command::OTHER),
            Err(Failed::Halt(halt)) => return Err(halt),
            Err(Failed::Errors(errors)) => errors,
            Err(Failed::Io(e)) => vec![message::internal(e.to_string())],
        };
        // What is declined was never begun; what was cancelled is told otherwise.
        if errors.len() == 1
            && errors
                .first()
                .is_some_and(|e| e.number == 50000 || e.number == message::cancelled().number)
        {
            return Err(errors.remove(0).into());
        }
        for e in errors {
            let e = e.at(line);
            self.server.log.write(
                "Backup",
                &format!(
                    "Error: {}, Severity: {}, State: {}.",
                    e.number, e.class, e.state
                ),
            );
            self.server.log.write("Backup", &e.text);
            // A CATCH gets the last error alone, as SQL Server's does.
            if self.tries.get() == 0 {
                out.message(&e)?;
            }
        }
        Err(Message::new(3013, 16, 1, format!("{what} is terminating abnormally.")).into())
    }

    fn named(&self, name: &Named) -> SqlResult<String> {
        match name {
            Named::Name(name) => Ok(name.clone()),
            Named::Variable(name) => {
                let v = self
                    .variable(&variable_key(name))
                    .ok_or_else(|| message::undeclared(name))?;
                convert::to_text(&v.value, v.ty, self.style())
            }
        }
    }

    fn option_text(&self, value: Option<&Expr>) -> SqlResult<String> {
        let Some(value) = value else {
            return Ok(String::new());
        };
        self.text_of(value)
    }

    fn option_number(&self, value: Option<&Expr>) -> SqlResult<Option<i64>> {
        let Some(value) = value else {
            return Ok(None);
        };
        match self.scalar_as(value, Type::BigInt)? {
            Value::Int(n) => Ok(Some(n)),
            _ => Ok(None),
        }
    }

    /// What stands behind `WITH`, for `verb` (`BACKUP` or `RESTORE`).
    fn media_options(&self, list: &[MediaOption], verb: &str) -> SqlResult<Options> {
        let mut o = Options::default();
        let backs_up = verb == "BACKUP";
        let declined = |word: &str| Err(message::not_implemented(format!("{verb} … WITH {word}")));
        for option in list {
            let value = option.value.as_ref();
            match option.word.as_str() {
                "INIT" if backs_up => o.init = true,
                "NOINIT" if backs_up => o.init = false,
                "FORMAT" if backs_up => o.format = true,
                "NOFORMAT" if backs_up => o.format = false,
                "COPY_ONLY" if backs_up => o.copy_only = true,
                "NAME" if backs_up => o.name = Some(self.option_text(value)?),
                "DESCRIPTION" if backs_up => o.description = Some(self.option_text(value)?),
                "MEDIANAME" => o.media_name = Some(self.option_text(value)?),
                "MEDIADESCRIPTION" if backs_up => {
                    self.option_text(value)?;
                }
                "CHECKSUM" => o.checksum = true,
                "NO_CHECKSUM" => o.checksum = false,
                "STATS" => {
                    let every = self.option_number(value)?.unwrap_or(10);
                    o.stats = u64::try_from(every).ok().filter(|n| (1..=100).contains(n));
                    if o.stats.is_none() {
                        return Err(Message::new(
                            3217,
                            16,
                            1,
                            "Invalid value specified for STATS parameter.",
                        ));
                    }
                }
                "FILE" if !backs_up => o.file = self.option_number(value)?,
                "MOVE" if !backs_up => {
                    let from = self.option_text(value)?;
                    o.moves.push((from, self.option_text(option.to.as_ref())?));
                }
                "REPLACE" if !backs_up => o.replace = true,
                "RESTRICTED_USER" if !backs_up => o.restricted = true,
                "COMPRESSION" if backs_up => {
                    let name = edition_name(&self.server.options.edition);
                    if name == "Express" {
                        return Err(Message::new(
                            1844,
                            16,
                            1,
                            "BACKUP DATABASE WITH COMPRESSION is not supported on Express Edition (64-bit).",
                        ));
                    }
                    return declined("COMPRESSION");
                }
                // Of tapes and buffers, of which this has none; what it does anyway.
                "SKIP" | "NOSKIP" | "REWIND" | "NOREWIND" | "UNLOAD" | "NOUNLOAD"
                | "STOP_ON_ERROR" | "NO_COMPRESSION" | "BUFFERCOUNT" | "MAXTRANSFERSIZE"
                | "BLOCKSIZE" => {
                    if let Some(value) = value {
                        self.scalar(value)?;
                    }
                }
                "RECOVERY" if !backs_up => {}
                word @ ("DIFFERENTIAL"
                | "ENCRYPTION"
                | "RETAINDAYS"
                | "EXPIREDATE"
                | "NO_TRUNCATE"
                | "NORECOVERY"
                | "STANDBY"
                | "CONTINUE_AFTER_ERROR"
                | "PASSWORD"
                | "MEDIAPASSWORD"
                | "PARTIAL"
                | "STOPAT"
                | "STOPATMARK"
                | "STOPBEFOREMARK"
                | "KEEP_REPLICATION"
                | "KEEP_CDC"
                | "ENABLE_BROKER"
                | "NEW_BROKER"
                | "ERROR_BROKER_CONVERSATIONS"
                | "FILESTREAM"
                | "RESTART"
                | "LOADHISTORY"
                | "CREDENTIAL"
                | "SNAPSHOT"
                | "METADATA_ONLY"
                | "FILE_SNAPSHOT") => {
                    return declined(word);
                }
                word => {
                    return Err(Message::new(
                        155,
                        15,
                        1,
                        format!("'{word}' is not a recognized {verb} option."),
                    )
                    .ending(message::Ends::Batch));
                }
            }
        }
        Ok(o)
    }

    /// A device's path in the server's words, and the file here.
    fn device(&self, file: &Expr, to_write: bool) -> SqlResult<(String, Result<PathBuf, OsError>)> {
        let text = self.text_of(file)?;
        let disk = &self.server.disk;
        let is_rooted = text.contains([':', '\\', '/']);
        let whole = if is_rooted {
            text
        } else {
            format!("{}{}{text}", disk.folders().backup, disk.separator())
        };
        let real = disk.file(&whole, to_write);
        Ok((whole, real))
    }

    fn need_no_transaction_here(&self) -> SqlResult<()> {
        // With implicit transactions, the statement itself would begin one.
        if self.transaction.borrow().count == 0 && !self.settings.borrow().implicit {
            return Ok(());
        }
        Err(Message::new(
            3021,
            16,
            0,
            "Cannot perform a backup or restore operation within a transaction.",
        ))
    }

    pub(super) fn back_up(&self, b: &Backup, line: u32, out: &mut dyn Output) -> Exec<()> {
        let what = if b.log {
            "BACKUP LOG"
        } else {
            "BACKUP DATABASE"
        };
        let result = self.try_back_up(b, out);
        self.ended(result, what, line, out)
    }

    fn try_back_up(&self, b: &Backup, out: &mut dyn Output) -> Result<(), Failed> {
        let options = self.media_options(&b.options, "BACKUP")?;
        self.need_no_transaction_here()?;
        let name = self.named(&b.database)?;
        let found = self.server.state().database(&name).cloned();
        let d =
            found.ok_or_else(|| message::no_database(&name).ending(message::Ends::Statement))?;
        if d.id == 2 {
            return Err(in_tempdb().into());
        }
        self.check_access(&d)
            .map_err(|e| e.ending(message::Ends::Statement))?;
        if !self.has_role(&d, &["db_backupoperator"])? {
            return Err(message::permission(
                262,
                format!(
                    "BACKUP DATABASE permission denied in database '{}'.",
                    d.name
                ),
            )
            .into());
        }
        if b.log {
            if d.recovery == "SIMPLE" {
                return Err(Message::new(4208, 16, 1, "The statement BACKUP LOG is not allowed while the recovery model is SIMPLE. Use BACKUP DATABASE or change the recovery model using ALTER DATABASE.").into());
            }
            return Err(message::not_implemented("BACKUP LOG").into());
        }
        let begun = Instant::now();
        let started = now_text();
        let (path, real) = self.device(&b.file, true)?;
        let real = real.map_err(|e| cannot_open(&path, e))?;
        let there = match media::sets(&real) {
            Ok(sets) => sets.len(),
            Err(Unreadable::Os(OsError::NO_FILE)) => 0,
            // FORMAT makes a new medium of whatever is there.
            Err(Unreadable::Malformed | Unreadable::Foreign) if options.format => 0,
            Err(why) => return Err(unreadable(&path, why).into()),
        };
        let appends = there > 0 && !options.init && !options.format;
        let position = if appends { there.saturating_add(1) } else { 1 };
        // One moment of the database, while others go on.
        let copy = Draft(
            self.server
                .dir
                .join(format!("backup-{}.draft", uuid::Uuid::new_v4().simple())),
        );
        let file = self.file(&d)?;
        let target = copy
            .0
            .to_str()
            .ok_or_else(|| message::internal("a folder's name is no text"))?;
        file.db
            .execute("VACUUM INTO ?1", [target])
            .map_err(store::sql)?;
        let mut from = File::open(&copy.0)?;
        let bytes = from.metadata()?.len();
        if !self.server.disk.takes_room(bytes) {
            return Err(write_failed(&path, OsError::FULL).into());
        }
        let header = self.header(&d, &options, started);
        let mut percent = Percent {
            what: "BACKUP DATABASE",
            control: Arc::clone(&self.control),
            every: options.stats,
            total: bytes,
            done: 0,
            said: 0,
        };
        self.write_set(&real, appends, &header, &mut from, |n| {
            self.check_now()?;
            percent.advance(n, out)?;
            Ok(())
        })
        .map_err(|e| match e {
            Failed::Io(e) => write_failed(&path, OsError::of(&e, &real)).into(),
            other => other,
        })?;
        let data = pages(bytes);
        self.processed(out, &d.name, (data, &header.files), position, &mut percent)?;
        self.summary(out, "BACKUP DATABASE", data.saturating_add(1), begun)?;
        self.server.log.write(
            "Backup",
            &format!(
                "Database backed up. Database: {}, creation date(time): {}, pages dumped: {}, number of dump devices: 1, device information: (FILE={position}, TYPE=DISK: {{'{path}'}}). This is an informational message only. No user action is required.",
                d.name,
                d.created,
                data.saturating_add(1),
            ),
        );
        Ok(())
    }

    fn header(&self, d: &Database, options: &Options, started: String) -> Header {
        Header {
            name: options.name.clone(),
            description: options.description.clone(),
            media_name: options.media_name.clone(),
            database: d.name.clone(),
            created: d.created.clone(),
            started,
            finished: now_text(),
            version: self.server.options.version,
            build: self.server.product().build.to_owned(),
            server: self.server.options.server_name.clone(),
            login: self.login.name.clone(),
            collation: d.collation.clone(),
            compat: d.compat,
            recovery: d.recovery.clone(),
            access: d.access,
            read_only: d.read_only,
            snapshot_reads: d.snapshot_reads,
            files: self.server.files_of(d),
            checksum: options.checksum,
            copy_only: options.copy_only,
            set: uuid::Uuid::new_v4().to_string(),
        }
    }

    /// Writes the set: all of it or nothing. What was in the file is gone only when the new one is whole.
    fn write_set(
        &self,
        real: &Path,
        appends: bool,
        header: &Header,
        from: &mut File,
        each: impl FnMut(u64) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        if appends {
            let mut file = OpenOptions::new().append(true).read(true).open(real)?;
            let before = file.metadata()?.len();
            let written = media::write(&mut file, header, from, each);
            if written.is_err() {
                file.set_len(before)?;
            }
            return written;
        }
        let above = real
            .parent()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let draft = Draft(above.join(format!(".backup-{}.draft", uuid::Uuid::new_v4().simple())));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&draft.0)?;
        media::write(&mut file, header, from, each)?;
        std::fs::rename(&draft.0, real)?;
        Ok(())
    }

    /// The lines about each file of the database.
    fn processed(
        &self,
        out: &mut dyn Output,
        database: &str,
        (data, files): (u64, &super::state::Files),
        position: usize,
        percent: &mut Percent,
    ) -> Exec<()> {
        out.message(&Message::info(
            4035,
            format!(
                "Processed {data} pages for database '{database}', file '{}' on file {position}.",
                files.data_name
            ),
        ))?;
        percent.finish(out)?;
        out.message(&Message::info(
            4035,
            format!(
                "Processed 1 pages for database '{database}', file '{}' on file {position}.",
                files.log_name
            ),
        ))?;
        Ok(())
    }

    /// The last line, with how long it took.
    fn summary(&self, out: &mut dyn Output, what: &str, pages: u64, begun: Instant) -> Exec<()> {
        let seconds = begun.elapsed().as_secs_f64().max(0.001);
        #[allow(clippy::cast_precision_loss, reason = "a figure for a reader")]
        let rate = pages.saturating_mul(PAGE) as f64 / 1_048_576.0 / seconds;
        out.message(&Message::info(
            3014,
            format!("{what} successfully processed {pages} pages in {seconds:.3} seconds ({rate:.3} MB/sec)."),
        ))?;
        Ok(())
    }
}

fn write_failed(path: &str, e: OsError) -> SqlError {
    Message::new(3202, 16, 1, format!("Write on \"{path}\" failed: {}", e.0))
}
