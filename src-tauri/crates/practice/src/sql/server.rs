//! One server over one data folder: its databases, logins, sessions and settings.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use berth_core::{Error, Result, Secret, secret::ExposeSecret};
use chrono::NaiveDateTime;
use rusqlite::Connection;
use tokio::sync::{broadcast, watch};

pub(crate) use super::state::{Database, Login, Seen, State};
use super::{
    clock,
    collation::Collation,
    disk::{self, Disk},
    log::Log,
    login::{self, Hash},
    message::{self, Message, SqlResult},
    store::{self, File},
};

/// What an instance is set up with. It holds for the first start; later starts keep what the folder says.
#[derive(Debug, Clone)]
pub struct Options {
    /// `@@SERVERNAME`; upper case is customary.
    pub server_name: String,
    /// The version that is played: 2014, 2016, 2017, 2019, 2022 or 2025.
    pub version: u16,
    /// `Express`, `Developer`, `Standard`, …
    pub edition: String,
    /// A collation's name; empty for `SQL_Latin1_General_CP1_CI_AS`.
    pub collation: String,
    /// The memory limit of the container in MiB, where it has one.
    pub memory_mb: Option<u32>,
    /// The disk of the machine that is played; `None` is this machine's own.
    pub disk: Option<Arc<dyn Disk>>,
}

/// How far a server that listens is with its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It upgrades its own databases and lets nobody in (18401).
    Upgrading,
    /// It lets logins in; only `master` and `tempdb` are there, the others recover (922).
    Recovering,
    /// Everything is there.
    Online,
}

/// One SQL Server instance over one data folder.
///
/// It speaks T-SQL and answers like SQL Server, and says in `@@VERSION` that it is none.
pub struct SqlServer {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    pub(crate) collation: Collation,
    pub(crate) started: NaiveDateTime,
    pub(crate) log: Log,
    is_new: bool,
    state: Mutex<State>,
    next_transaction: AtomicU64,
    stop: watch::Sender<bool>,
    /// By how many seconds its machine's clock is ahead.
    pub(crate) clock_skew: i64,
    stage: RwLock<Stage>,
    /// Held while the folder is in use: two servers on one folder would lose each other's changes.
    only: Mutex<Option<std::fs::File>>,
}

/// Most sessions at one time. Each has a thread of its own.
const SESSIONS: usize = 512;

pub(crate) use super::clock::now;

pub(crate) fn now_text() -> String {
    now().format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn file_error(path: &Path, e: impl std::fmt::Display) -> Error {
    Error::failed(format!(
        "The SQL server's data in `{}` cannot be opened",
        path.display()
    ))
    .because(e.to_string())
    .hint("Check that the folder can be written and that the disk is not full")
}

/// Takes the folder for this server alone. One that is just ending gets a moment.
fn only_one(dir: &Path) -> Result<std::fs::File> {
    let path = dir.join("lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| file_error(dir, e))?;
    let begun = std::time::Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {
                if begun.elapsed() > std::time::Duration::from_secs(5) {
                    return Err(Error::failed(format!(
                        "Another SQL server runs on the data in `{}`",
                        dir.display()
                    ))
                    .hint("Stop that one first, or use another folder"));
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(std::fs::TryLockError::Error(e)) => return Err(file_error(dir, e)),
        }
    }
}

const MASTER: &str = "
CREATE TABLE IF NOT EXISTS server_database (id INTEGER PRIMARY KEY, name TEXT NOT NULL, file TEXT NOT NULL, owner BLOB NOT NULL,
    collation TEXT NOT NULL, created TEXT NOT NULL, compat INTEGER NOT NULL, access INTEGER NOT NULL, read_only INTEGER NOT NULL,
    online INTEGER NOT NULL, recovery TEXT NOT NULL, snapshot_reads INTEGER NOT NULL,
    files TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS server_login (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sid BLOB NOT NULL, salt BLOB, rounds INTEGER,
    hash BLOB, database TEXT NOT NULL, language TEXT NOT NULL, disabled INTEGER NOT NULL, policy INTEGER NOT NULL,
    expiration INTEGER NOT NULL, created TEXT NOT NULL, modified TEXT NOT NULL, roles TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS server_setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS server_fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
";

impl SqlServer {
    /// Opens the folder's instance, and makes it the first time: `master`, `tempdb`, `model`, `msdb`, and `sa`, disabled.
    ///
    /// Blocks on files.
    ///
    /// # Errors
    /// The folder cannot be used, was written by a newer version, or an option is wrong.
    pub fn open(dir: &Path, options: Options) -> Result<Arc<Self>> {
        std::fs::create_dir_all(dir).map_err(|e| file_error(dir, e))?;
        let path = dir.join("master.sqlite");
        let is_new = !path.exists();
        if product(options.version).is_none() {
            return Err(Error::usage(format!(
                "The practice host plays no SQL Server `{}`",
                options.version
            ))
            .hint("Choose 2014, 2016, 2017, 2019, 2022 or 2025"));
        }
        let asked = if options.collation.is_empty() {
            Collation::DEFAULT_NAME
        } else {
            &options.collation
        };
        if Collation::parse(asked).is_none() {
            return Err(Error::usage(format!("`{asked}` is not a collation"))
                .hint("Use a name such as `SQL_Latin1_General_CP1_CI_AS`"));
        }
        let only = only_one(dir)?;
        let fail = |e: rusqlite::Error| file_error(&path, e);
        let log = Log::open(dir).map_err(|e| file_error(dir, e))?;
        let master = if is_new {
            // Under another name until it is complete: a half-made master would look like a finished one.
            let draft = dir.join("master.draft");
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(dir.join(format!("master.draft{suffix}")));
            }
            {
                let file = File::create(
                    &draft,
                    Collation::parse(asked).unwrap_or(Collation::DEFAULT),
                )
                .map_err(fail)?;
                Self::fill_master(&file.db, dir, &options, asked).map_err(fail)?;
                // Everything into the one file that is renamed.
                file.db
                    .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;")
                    .map_err(fail)?;
            }
            std::fs::rename(&draft, &path).map_err(|e| file_error(&path, e))?;
            store::connect(&path, false).map_err(fail)?
        } else {
            let db = store::connect(&path, false).map_err(fail)?;
            let format: i64 = db
                .pragma_query_value(None, "user_version", |r| r.get(0))
                .map_err(fail)?;
            if format > store::FORMAT {
                return Err(Error::failed(format!(
                    "The SQL server's data in `{}` was written by a newer Berth",
                    dir.display()
                ))
                .because(format!(
                    "its format is {format}, this one knows {}",
                    store::FORMAT
                ))
                .hint("Update Berth, or use another folder"));
            }
            db
        };
        master
            .execute_batch("PRAGMA synchronous = FULL")
            .map_err(fail)?;
        let named: bool = master
            .query_row(
                "SELECT COUNT(*) > 0 FROM pragma_table_info('server_database') WHERE name = 'files'",
                [],
                |r| r.get(0),
            )
            .map_err(fail)?;
        if !named {
            // A folder from before files had names of their own.
            master
                .execute_batch(
                    "ALTER TABLE server_database ADD COLUMN files TEXT NOT NULL DEFAULT ''",
                )
                .map_err(fail)?;
        }
        let fact = |name: &str| -> rusqlite::Result<String> {
            master.query_row(
                "SELECT value FROM server_fact WHERE name = ?1",
                [name],
                |r| r.get(0),
            )
        };
        let collation_name = fact("collation").map_err(fail)?;
        let written: u16 = fact("version").map_err(fail)?.parse().unwrap_or(0);
        if written > options.version {
            return Err(Error::failed(format!(
                "The data in `{}` is of SQL Server {written}, newer than {}",
                dir.display(),
                options.version
            ))
            .hint(
                "Start it with the version that wrote it; databases cannot go back to an older one",
            ));
        }
        if written < options.version {
            master
                .execute(
                    "UPDATE server_fact SET value = ?1 WHERE name = 'version'",
                    [options.version.to_string()],
                )
                .map_err(fail)?;
        }
        let collation = Collation::parse(&collation_name).unwrap_or(Collation::DEFAULT);
        // tempdb begins anew with every start.
        let tempdb = dir.join("tempdb.sqlite");
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(dir.join(format!("tempdb.sqlite{suffix}")));
        }
        File::create(&tempdb, collation).map_err(fail)?;
        let state = State::load(master).map_err(fail)?;
        let options = Options {
            collation: collation_name,
            ..options
        };
        let disk = match &options.disk {
            Some(disk) => Arc::clone(disk),
            None => Arc::new(disk::Own(dir.to_owned())) as Arc<dyn Disk>,
        };
        let server = Arc::new(Self {
            dir: dir.to_owned(),
            disk,
            collation,
            started: now(),
            log,
            is_new,
            state: Mutex::new(state),
            next_transaction: AtomicU64::new(1),
            stop: watch::channel(false).0,
            clock_skew: clock::skew(),
            stage: RwLock::new(Stage::Online),
            only: Mutex::new(Some(only)),
            options,
        });
        server.tidy_files();
        server.log_start();
        Ok(server)
    }

    fn fill_master(
        db: &Connection,
        dir: &Path,
        options: &Options,
        collation: &str,
    ) -> rusqlite::Result<()> {
        let parsed = Collation::parse(collation).unwrap_or(Collation::DEFAULT);
        db.execute_batch(MASTER)?;
        for (name, value) in [
            ("collation", collation.to_owned()),
            ("version", options.version.to_string()),
        ] {
            db.execute("INSERT INTO server_fact VALUES (?1, ?2)", (name, value))?;
        }
        let compat = i32::from(product(options.version).map_or(16, |p| p.major)).saturating_mul(10);
        for (id, name, recovery) in [
            (1, "master", "SIMPLE"),
            (2, "tempdb", "SIMPLE"),
            (3, "model", "SIMPLE"),
            (4, "msdb", "SIMPLE"),
        ] {
            db.execute(
                "INSERT INTO server_database VALUES (?1, ?2, ?3, x'01', ?4, ?5, ?6, 0, 0, 1, ?7, 0, '')",
                (id, name, format!("{name}.sqlite"), collation, now_text(), compat, recovery),
            )?;
            if id > 2 {
                File::create(&dir.join(format!("{name}.sqlite")), parsed)?;
            }
        }
        db.execute(
            "INSERT INTO server_login VALUES (1, 'sa', x'01', NULL, NULL, NULL, 'master', 'us_english', 1, 1, 0, ?1, ?1, 'sysadmin')",
            [now_text()],
        )?;
        db.execute_batch("INSERT INTO server_setting VALUES ('max server memory (MB)', 2147483647), ('show advanced options', 0)")
    }

    fn log_start(&self) {
        for line in self.version_text().lines() {
            self.log.write("Server", line.trim());
        }
        if let Some(mb) = self.options.memory_mb {
            self.log.write("Server", &format!("Detected {mb} MB of RAM. This is an informational message; no user action is required."));
        }
        let names: Vec<String> = self
            .state()
            .databases
            .iter()
            .map(|d| d.name.clone())
            .collect();
        for name in &names {
            self.log
                .write("spid9s", &format!("Starting up database '{name}'."));
        }
        self.log.write("spid9s", "Recovery is complete. This is an informational message only. No user action is required.");
        self.log.write(
            "spid9s",
            "SQL Server is now ready for client connections. This is an informational message; no user action is required.",
        );
    }

    /// Whether [`Self::open`] made the system databases.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Sets the password of `sa` by SQL Server's policy and enables it. Until then `sa` is disabled.
    ///
    /// # Errors
    /// The policy refuses the password; the text does not repeat it.
    pub fn set_sa_password(&self, password: &Secret) -> Result<()> {
        let text = password.expose_secret();
        let refused = |e: message::SqlError| {
            Error::failed("Unable to set the system administrator password")
                .because(e.text.trim_end_matches('.'))
                .hint("Use 8 to 128 characters with three of: upper case, lower case, digits, symbols")
        };
        let mut state = self.state();
        let mut sa = state
            .login("sa")
            .cloned()
            .ok_or_else(|| Error::failed("This server has no login `sa`"))?;
        login::check_password(text, "sa", sa.policy).map_err(refused)?;
        let units = zeroize::Zeroizing::new(text.encode_utf16().collect::<Vec<u16>>());
        sa.hash = Some(Hash::new(&units).map_err(refused)?);
        sa.disabled = false;
        sa.modified = now_text();
        state.save_login(&sa).map_err(refused)
    }

    /// Lines of the error log as they come; the first caller also gets those since the start.
    #[must_use]
    pub fn log_lines(&self) -> broadcast::Receiver<String> {
        self.log.listen()
    }

    /// Ends every connection and closes the files.
    ///
    /// Returns when the sessions are gone, or after ten seconds with those that would not go.
    pub async fn shutdown(&self) {
        self.begin_shutdown();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        while !self.state().sessions.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let files: Vec<PathBuf> = {
            let state = self.state();
            state
                .databases
                .iter()
                .map(|d| self.dir.join(&d.file))
                .collect()
        };
        // Everything into the files themselves, so that a copy of them is whole.
        let done = tokio::task::spawn_blocking(move || {
            for path in files {
                let closed = store::connect(&path, false)
                    .and_then(|db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
                if let Err(e) = closed {
                    tracing::warn!(file = %path.display(), "a database was not closed cleanly: {e}");
                }
            }
        });
        if let Err(e) = done.await {
            tracing::warn!("the databases were not closed cleanly: {e}");
        }
        self.only
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Waits until somebody shut the server down, by [`Self::shutdown`] or by T-SQL's `SHUTDOWN`.
    pub async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as we do.
        let _ = stop.wait_for(|s| *s).await;
    }

    pub(crate) fn begin_shutdown(&self) {
        if !self.stop.send_replace(true) {
            self.log.write("Server", "SQL Server is terminating in response to a 'stop' request. This is an informational message only. No user action is required.");
        }
        for seen in self.state().sessions.values() {
            seen.control.end();
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// How far it is with its start.
    pub fn stage(&self) -> Stage {
        *self.stage.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how far it is with its start, where that is played.
    pub fn set_stage(&self, stage: Stage) {
        *self.stage.write().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Whether a database still recovers.
    pub(crate) fn recovers(&self, id: i32) -> bool {
        id > 2 && self.stage() != Stage::Online
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_transaction(&self) -> u64 {
        self.next_transaction.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a session number. `None`: too many are connected.
    pub(crate) fn enter(&self, seen: Seen) -> Option<u16> {
        let mut state = self.state();
        if state.sessions.len() >= SESSIONS || self.is_stopping() {
            return None;
        }
        let spid = (51..u16::MAX).find(|n| !state.sessions.contains_key(n))?;
        state.sessions.insert(spid, seen);
        Some(spid)
    }

    pub(crate) fn leave(&self, spid: u16) {
        self.state().sessions.remove(&spid);
    }

    /// Checks a login's password.
    ///
    /// # Errors
    /// 18456, which tells the client nothing; the error log tells why.
    pub(crate) fn sign_in(&self, name: &str, password: &[u16]) -> SqlResult<Login> {
        let failed = |state: u8, why: &str| {
            self.log.write(
                "Logon",
                &format!("Error: 18456, Severity: 14, State: {state}."),
            );
            self.log.write(
                "Logon",
                &format!("Login failed for user '{name}'. Reason: {why} [CLIENT: 127.0.0.1]"),
            );
            Err(
                Message::new(18456, 14, 1, format!("Login failed for user '{name}'."))
                    .ending(message::Ends::Connection),
            )
        };
        if self.stage() == Stage::Upgrading {
            self.log
                .write("Logon", "Error: 18401, Severity: 14, State: 1.");
            let text = format!(
                "Login failed for user '{name}'. Reason: Server is in script upgrade mode. Only administrator can connect at this time."
            );
            self.log
                .write("Logon", &format!("{text} [CLIENT: 127.0.0.1]"));
            return Err(Message::new(18401, 14, 1, text).ending(message::Ends::Connection));
        }
        let login = self.state().login(name).cloned();
        let Some(login) = login else {
            // As much work as for a login that exists.
            let _ = Hash::new(password);
            return failed(5, "Could not find a login matching the name provided.");
        };
        let right = login.hash.as_ref().is_some_and(|h| h.verify(password));
        if login.disabled && right {
            self.log
                .write("Logon", "Error: 18470, Severity: 14, State: 1.");
            let text = format!("Login failed for user '{name}'. Reason: The account is disabled.");
            self.log
                .write("Logon", &format!("{text} [CLIENT: 127.0.0.1]"));
            return Err(Message::new(18470, 14, 1, text).ending(message::Ends::Connection));
        }
        if login.disabled {
            return failed(
                7,
                "An error occurred while evaluating the password. The login is disabled.",
            );
        }
        if !right {
            return failed(8, "Password did not match that for the login provided.");
        }
        Ok(login)
    }

    /// `@@VERSION`, which says what this is.
    pub(crate) fn version_text(&self) -> String {
        format!(
            "Berth practice SQL engine (answers like Microsoft SQL Server {} {}, {} Edition) - {}",
            self.options.version,
            self.product().build,
            edition_name(&self.options.edition),
            env!("CARGO_PKG_VERSION")
        )
    }

    pub(crate) fn product(&self) -> Product {
        product(self.options.version).unwrap_or(Product {
            major: 16,
            build: "16.0.1000.6",
        })
    }
}

/// A version of SQL Server that is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) major: u8,
    /// The build of its release.
    pub(crate) build: &'static str,
}

fn product(version: u16) -> Option<Product> {
    let (major, build) = match version {
        2014 => (12, "12.0.2000.8"),
        2016 => (13, "13.0.1601.5"),
        2017 => (14, "14.0.1000.169"),
        2019 => (15, "15.0.2000.5"),
        2022 => (16, "16.0.1000.6"),
        2025 => (17, "17.0.1000.7"),
        _ => return None,
    };
    Some(Product { major, build })
}

/// The format number of a database that a version of SQL Server writes (facts of each release).
pub(crate) fn database_version(version: u16) -> i32 {
    match version {
        2014 => 782,
        2016 => 852,
        2017 => 869,
        2019 => 904,
        2025 => 998,
        _ => 957,
    }
}

/// `Express` from `express`, `Developer` from `Developer Edition (64-bit)`.
pub(crate) fn edition_name(edition: &str) -> String {
    let first = edition.split_whitespace().next().unwrap_or("Developer");
    let mut chars = first.chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
