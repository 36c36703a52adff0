//! `RESTORE`.

use std::{fs::File, io, path::Path, sync::Arc, time::Instant};

use super::{
    Failed, Options, PAGE, Percent, cannot_open, in_tempdb, listing,
    media::{self, Header, Set},
    pages, unreadable,
};
use crate::sql::{
    ast::{Restore, RestoreKind},
    collation::Collation,
    database::remove_files,
    disk::OsError,
    message::{self, Ends, Message, SqlError, SqlResult},
    output::{Column, Output, command},
    server::{Database, now_text},
    session::Session,
    statement::Exec,
    store::{self, FORMAT, same_name},
    value::Row,
};

fn error(number: i32, text: impl Into<String>) -> SqlError {
    Message::new(number, 16, 1, text)
}

/// `16.00.1000`, as error 3169 writes a build.
fn build(text: &str) -> String {
    let mut parts = text.split('.');
    let mut next = || parts.next().unwrap_or("0");
    let (major, minor, build) = (next(), next(), next());
    format!("{major}.{minor:0>2}.{build}")
}

impl Session {
    pub(in crate::sql) fn restore(&self, r: &Restore, line: u32, out: &mut dyn Output) -> Exec<()> {
        let what = match r.kind {
            RestoreKind::Database => "RESTORE DATABASE",
            RestoreKind::HeaderOnly => "RESTORE HEADERONLY",
            RestoreKind::FileListOnly => "RESTORE FILELIST",
            RestoreKind::LabelOnly => "RESTORE LABELONLY",
            RestoreKind::VerifyOnly => "VERIFY DATABASE",
        };
        let result = self.try_restore(r, out);
        if result.is_ok()
            && matches!(
                r.kind,
                RestoreKind::HeaderOnly | RestoreKind::FileListOnly | RestoreKind::LabelOnly
            )
        {
            // The rows were counted already.
            return Ok(());
        }
        self.ended(result, what, line, out)
    }

    fn try_restore(&self, r: &Restore, out: &mut dyn Output) -> Result<(), Failed> {
        let options = self.media_options(&r.options, "RESTORE")?;
        self.need_no_transaction_here()?;
        let name = match &r.database {
            Some(name) => Some(self.named(name)?),
            None => None,
        };
        self.need_restore(name.as_deref())?;
        let (path, real) = self.device(&r.file, false)?;
        let real = real.map_err(|e| cannot_open(&path, e))?;
        let sets = media::sets(&real).map_err(|why| unreadable(&path, why))?;
        match r.kind {
            RestoreKind::HeaderOnly => {
                let chosen = match options.file {
                    Some(_) => vec![self.chosen(&options, &sets, &path)?.1.clone()],
                    None => sets,
                };
                return self.listed(listing::headers(&chosen), out);
            }
            RestoreKind::LabelOnly => return self.listed(listing::label(&sets), out),
            _ => {}
        }
        let (position, set) = self.chosen(&options, &sets, &path)?;
        if r.kind == RestoreKind::FileListOnly {
            return self.listed(listing::files(set), out);
        }
        if options.checksum && !set.header.checksum {
            return Err(error(3187, "RESTORE WITH CHECKSUM cannot be specified because the backup set does not contain checksum information.").into());
        }
        if !set.whole {
            return Err(short(&path).into());
        }
        let mut percent = Percent {
            what: if name.is_some() {
                "RESTORE DATABASE"
            } else {
                "RESTORE VERIFYON"
            },
            control: Arc::clone(&self.control),
            every: options.stats,
            total: set.bytes,
            done: 0,
            said: 0,
        };
        match name {
            None => self.verify(&path, &real, position, set, &mut percent, out),
            Some(name) => self.restore_as(
                &name,
                &path,
                &real,
                (position, set),
                &options,
                &mut percent,
                out,
            ),
        }
    }

    fn need_restore(&self, name: Option<&str>) -> SqlResult<()> {
        let maker = self.login.is_sysadmin() || self.login.roles.iter().any(|r| r == "dbcreator");
        let owns = name.is_some_and(|name| {
            let state = self.server.state();
            state
                .database(name)
                .is_some_and(|d| d.owner == self.login.sid)
        });
        if maker || owns {
            return Ok(());
        }
        Err(match name {
            Some(name) => message::permission(
                3110,
                format!("User does not have permission to RESTORE database '{name}'."),
            ),
            None => message::permission(
                262,
                "CREATE DATABASE permission denied in database 'master'.",
            ),
        })
    }

    /// The set that `FILE` names, with its number.
    fn chosen<'a>(
        &self,
        options: &Options,
        sets: &'a [Set],
        path: &str,
    ) -> SqlResult<(usize, &'a Set)> {
        let wanted = options.file.unwrap_or(1);
        usize::try_from(wanted)
            .ok()
            .and_then(|n| n.checked_sub(1))
            .and_then(|at| sets.get(at).map(|set| (at.saturating_add(1), set)))
            .ok_or_else(|| {
                error(
                    4038,
                    format!("Cannot find file ID {wanted} on device '{path}'."),
                )
            })
    }

    fn listed(
        &self,
        (columns, rows): (Vec<Column>, Vec<Row>),
        out: &mut dyn Output,
    ) -> Result<(), Failed> {
        let halt = |gone| Failed::Halt(crate::sql::statement::Halt::from(gone));
        out.columns(&columns).map_err(halt)?;
        for row in &rows {
            out.row(row).map_err(halt)?;
        }
        self.counted(out, command::SELECT, u64::try_from(rows.len()).unwrap_or(0))?;
        Ok(())
    }

    fn verify(
        &self,
        path: &str,
        real: &Path,
        position: usize,
        set: &Set,
        percent: &mut Percent,
        out: &mut dyn Output,
    ) -> Result<(), Failed> {
        let right = self.read_set(path, real, set, &mut io::sink(), percent, out)?;
        if !right {
            return Err(error(3189, "Damage to the backup set was detected.").into());
        }
        percent.finish(out)?;
        let m = Message::info(3262, format!("The backup set on file {position} is valid."));
        out.message(&m).map_err(|gone| Failed::Halt(gone.into()))?;
        Ok(())
    }

    fn read_set(
        &self,
        path: &str,
        real: &Path,
        set: &Set,
        to: &mut impl io::Write,
        percent: &mut Percent,
        out: &mut dyn Output,
    ) -> Result<bool, Failed> {
        let each = |n| {
            self.check_now()?;
            percent.advance(n, out)?;
            Ok(())
        };
        media::read(real, set, to, each).map_err(|e| match e {
            Failed::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => short(path).into(),
            other => other,
        })
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one statement with all that it says"
    )]
    fn restore_as(
        &self,
        name: &str,
        path: &str,
        real: &Path,
        (position, set): (usize, &Set),
        options: &Options,
        percent: &mut Percent,
        out: &mut dyn Output,
    ) -> Result<(), Failed> {
        let header = &set.header;
        let begun = Instant::now();
        let mine = self.server.options.version;
        if header.version > mine {
            return Err(error(
                3169,
                format!(
                    "The database was backed up on a server running version {}. That version is incompatible with this server, which is running version {}. Either restore the database on a server that supports the backup, or use a backup that is compatible with this server.",
                    build(&header.build),
                    build(self.server.product().build)
                ),
            )
            .into());
        }
        let there = self.server.state().database(name).cloned();
        if let Some(d) = &there {
            self.may_overwrite(d, header, options)?;
        }
        let files = self.planned(name, header, options, there.as_ref())?;
        if !self.server.disk.takes_room(set.bytes) {
            return Err(Failed::Errors(vec![
                error(
                    3257,
                    format!(
                        "There is insufficient free space on disk volume '{}' to create the database. The database requires {} additional free bytes, while only 0 bytes are available.",
                        volume(&files.data_path),
                        set.bytes
                    ),
                ),
                planning(),
            ]));
        }
        let file = format!("db-{}.sqlite", uuid::Uuid::new_v4().simple());
        let place = self.server.dir.join(&file);
        let made = self.lay_out(&place, path, real, set, percent, out);
        if let Err(e) = made {
            remove_files(&place);
            return Err(e);
        }
        let swapped = self.swap(name, file, files, header, options);
        let (d, old) = match swapped {
            Ok(both) => both,
            Err(e) => {
                remove_files(&place);
                return Err(e.into());
            }
        };
        if let Some(old) = old {
            self.close_file(&old);
            self.server.unname_files(&old);
            remove_files(&self.server.dir.join(&old.file));
        }
        if let Err(e) = self.server.name_files(&d) {
            // All that is lost is a second name.
            tracing::warn!("a restored database's file has no name: {}", e.text);
        }
        let data = pages(set.bytes);
        let files = self.server.files_of(&d);
        self.processed(out, &d.name, (data, &files), position, percent)?;
        self.summary(out, "RESTORE DATABASE", data.saturating_add(1), begun)?;
        self.server.log.write(
            &format!("spid{}", self.spid),
            &format!("Starting up database '{}'.", d.name),
        );
        self.server.log.write(
            "Backup",
            &format!(
                "Database was restored: Database: {}, creation date(time): {}, pages restored: {}, device information: (FILE={position}, TYPE=DISK: {{'{path}'}}). Informational message. No user action required.",
                d.name, d.created, data.saturating_mul(PAGE) / PAGE
            ),
        );
        Ok(())
    }

    /// Whether the database that is there may be replaced.
    fn may_overwrite(&self, d: &Database, header: &Header, options: &Options) -> SqlResult<()> {
        if d.id == 2 {
            return Err(in_tempdb());
        }
        if d.id <= 4 {
            return Err(message::not_implemented(format!(
                "RESTORE of the system database {}",
                d.name
            )));
        }
        let family = self.server.files_of(d).family;
        if !options.replace && family != header.files.family {
            return Err(Message::new(
                3154,
                16,
                4,
                format!(
                    "The backup set holds a backup of a database other than the existing '{}' database.",
                    d.name
                ),
            ));
        }
        if !options.replace && d.recovery != "SIMPLE" {
            return Err(error(
                3159,
                format!(
                    "The tail of the log for the database \"{}\" has not been backed up. Use BACKUP LOG WITH NORECOVERY to backup the log if it contains work you do not want to lose. Use the WITH REPLACE or WITH STOPAT clause of the RESTORE statement to just overwrite the contents of the log.",
                    d.name
                ),
            ));
        }
        self.need_alone(d, &self.server.state())
    }

    fn need_alone(&self, d: &Database, state: &crate::sql::state::State) -> SqlResult<()> {
        let mut inside = state
            .sessions
            .iter()
            .filter(|(_, s)| s.database == d.id)
            .map(|(spid, _)| *spid);
        match inside.next() {
            None => Ok(()),
            Some(spid) if spid == self.spid && inside.next().is_none() => Err(error(
                3102,
                format!(
                    "RESTORE cannot process database '{}' because it is in use by this session. It is recommended that the master database be used when performing this operation.",
                    d.name
                ),
            )),
            Some(_) => Err(error(
                3101,
                "Exclusive access could not be obtained because the database is in use.",
            )),
        }
    }

    /// Where the restored files will be, by `MOVE` and by the backup.
    fn planned(
        &self,
        name: &str,
        header: &Header,
        options: &Options,
        there: Option<&Database>,
    ) -> Result<crate::sql::state::Files, Failed> {
        let mut files = header.files.clone();
        for (logical, to) in &options.moves {
            if same_name(logical, &files.data_name) {
                files.data_path.clone_from(to);
            } else if same_name(logical, &files.log_name) {
                files.log_path.clone_from(to);
            } else {
                return Err(error(3234, format!("Logical file '{logical}' is not part of database '{name}'. Use RESTORE FILELISTONLY to list the logical file names.")).into());
            }
        }
        if same_name(&files.data_path, &files.log_path) {
            return Err(Failed::Errors(vec![
                Message::new(
                    3176,
                    16,
                    1,
                    format!(
                        "File '{}' is claimed by '{}'(2) and '{}'(1). The WITH MOVE clause can be used to relocate one or more files.",
                        files.log_path, files.log_name, files.data_name
                    ),
                ),
                planning(),
            ]));
        }
        let mut wrong = Vec::new();
        for (logical, path) in [
            (&files.data_name, &files.data_path),
            (&files.log_name, &files.log_path),
        ] {
            let Err(e) = self.may_take(path, there, options.replace) else {
                continue;
            };
            if e.number == 50000 {
                return Err(e.into());
            }
            wrong.push(e);
            wrong.push(Message::new(3156, 16, 4, format!("File '{logical}' cannot be restored to '{path}'. Use WITH MOVE to identify a valid location for the file.")));
        }
        if wrong.is_empty() {
            return Ok(files);
        }
        wrong.push(planning());
        Err(Failed::Errors(wrong))
    }

    /// Whether a restored file may be at this path.
    fn may_take(&self, path: &str, there: Option<&Database>, replace: bool) -> SqlResult<()> {
        let real = self.server.place(path)?;
        let databases = self.server.state().databases.clone();
        for other in &databases {
            if there.is_some_and(|d| d.id == other.id) {
                continue;
            }
            let files = self.server.files_of(other);
            let taken = [&files.data_path, &files.log_path]
                .into_iter()
                .any(|p| self.server.place(p).is_ok_and(|p| p == real));
            if taken {
                return Err(error(
                    1834,
                    format!(
                        "The file '{path}' cannot be overwritten.  It is being used by database '{}'.",
                        other.name
                    ),
                ));
            }
        }
        let own = there.is_some_and(|d| {
            let files = self.server.files_of(d);
            [&files.data_path, &files.log_path]
                .into_iter()
                .any(|p| self.server.place(p).is_ok_and(|p| p == real))
        });
        if own || replace {
            return Ok(());
        }
        self.server.may_name(path)
    }

    /// Lays the set's bytes out as a database that opens.
    fn lay_out(
        &self,
        place: &Path,
        path: &str,
        real: &Path,
        set: &Set,
        percent: &mut Percent,
        out: &mut dyn Output,
    ) -> Result<(), Failed> {
        let mut file = File::create_new(place)?;
        let right = self.read_set(path, real, set, &mut file, percent, out)?;
        let damaged = || {
            error(
                3183,
                format!(
                    "RESTORE detected an error on page (0:0) in database \"{}\" as read from the backup set.",
                    set.header.database
                ),
            )
        };
        if !right {
            return Err(damaged().into());
        }
        file.sync_all()?;
        drop(file);
        let format: i64 = store::connect(place, false)
            .and_then(|db| db.pragma_query_value(None, "user_version", |r| r.get(0)))
            .map_err(|_| damaged())?;
        if format > FORMAT {
            return Err(message::not_implemented("A backup of a newer Berth").into());
        }
        Ok(())
    }

    /// Puts the restored file in the place of what was there: in one step, for everybody.
    fn swap(
        &self,
        name: &str,
        file: String,
        files: crate::sql::state::Files,
        header: &Header,
        options: &Options,
    ) -> SqlResult<(Database, Option<Database>)> {
        let mut state = self.server.state();
        let old = state.database(name).cloned();
        if let Some(old) = &old {
            self.need_alone(old, &state)?;
        }
        let collation = if Collation::parse(&header.collation).is_some() {
            header.collation.clone()
        } else {
            self.server.options.collation.clone()
        };
        let d = Database {
            id: old
                .as_ref()
                .map_or_else(|| state.next_database_id(), |old| old.id),
            name: old
                .as_ref()
                .map_or_else(|| name.to_owned(), |old| old.name.clone()),
            file,
            owner: self.login.sid.clone(),
            collation,
            created: now_text(),
            compat: header.compat.max(100),
            access: if options.restricted { 2 } else { header.access },
            read_only: header.read_only,
            online: true,
            recovery: header.recovery.clone(),
            snapshot_reads: header.snapshot_reads,
            files: Some(files),
        };
        state.save_database(&d)?;
        Ok((d, old))
    }
}

fn planning() -> SqlError {
    error(
        3119,
        "Problems were identified while planning for the RESTORE statement. Previous messages provide details.",
    )
}

fn short(path: &str) -> SqlError {
    error(
        3203,
        format!("Read on \"{path}\" failed: {}", OsError::SHORT.0),
    )
    .ending(Ends::Statement)
}

fn volume(path: &str) -> &str {
    path.get(..3)
        .filter(|p| p.ends_with(['\\', '/']))
        .unwrap_or("/")
}
