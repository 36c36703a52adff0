//! One client's session: its database, variables, settings, transaction.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use super::{
    collation::Collation,
    convert::Style,
    message::{self, Message, SqlError, SqlResult},
    server::{Database, Login, Seen, SqlServer, now},
    state::Control,
    store::{self, File, Object, same_name},
    types::Type,
    value::Value,
};

/// Bytes that one statement may hold at a time: intermediate rows, sort, groups.
const MEMORY: usize = 512 * 1024 * 1024;

/// The stack of the thread that a session runs on, in bytes. Nested statements and long chains of operators
/// need it; their depth is bounded so that this is enough, also in a build without optimisation.
pub(crate) const STACK: usize = 64 * 1024 * 1024;

/// Who connects, as the login message says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    pub(crate) host: String,
    pub(crate) program: String,
    pub(crate) library: String,
    pub(crate) database: String,
    pub(crate) language: String,
    /// Whether the bytes are encrypted on their way, for `CONNECTIONPROPERTY` and `sys.dm_exec_connections`.
    pub(crate) encrypted: bool,
}

/// `SET` options. The defaults are those of every modern driver.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) nocount: bool,
    pub(crate) xact_abort: bool,
    pub(crate) implicit: bool,
    pub(crate) quoted_identifier: bool,
    pub(crate) ansi_nulls: bool,
    pub(crate) ansi_padding: bool,
    pub(crate) ansi_warnings: bool,
    pub(crate) arithabort: bool,
    pub(crate) concat_null: bool,
    pub(crate) numeric_roundabort: bool,
    pub(crate) fmtonly: bool,
    pub(crate) noexec: bool,
    pub(crate) parseonly: bool,
    pub(crate) rowcount: u64,
    pub(crate) textsize: i64,
    pub(crate) lock_timeout: i64,
    pub(crate) datefirst: u8,
    pub(crate) day_first: bool,
    pub(crate) language: String,
    pub(crate) isolation: u8,
    pub(crate) identity_insert: Option<i64>,
    pub(crate) context_info: Vec<u8>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nocount: false,
            xact_abort: false,
            implicit: false,
            quoted_identifier: true,
            ansi_nulls: true,
            ansi_padding: true,
            ansi_warnings: true,
            arithabort: false,
            concat_null: true,
            numeric_roundabort: false,
            fmtonly: false,
            noexec: false,
            parseonly: false,
            rowcount: 0,
            textsize: 2_147_483_647,
            lock_timeout: -1,
            datefirst: 7,
            day_first: false,
            language: "us_english".into(),
            isolation: 2,
            identity_insert: None,
            context_info: Vec::new(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) ty: Type,
    pub(crate) value: Value,
}

/// The variables of a batch, a procedure or a dynamic text.
#[derive(Default)]
pub(crate) struct Frame {
    pub(crate) variables: HashMap<String, Variable>,
    /// Table variables: the object's name in the session's temporary database.
    pub(crate) tables: HashMap<String, String>,
    pub(crate) procedure: String,
    /// Temporary tables made here; a procedure's end with it.
    pub(crate) temporary: Vec<i64>,
    pub(crate) scope_identity: Option<i64>,
}

#[derive(Default)]
pub(crate) struct Transaction {
    /// `@@TRANCOUNT`
    pub(crate) count: u32,
    pub(crate) id: u64,
    /// An error left it fit for nothing but a rollback.
    pub(crate) doomed: bool,
    /// Databases whose file has an open transaction; -1 is the session's temporary one.
    pub(crate) files: Vec<i32>,
    pub(crate) savepoints: Vec<String>,
}

/// The temporary database's number in [`Transaction::files`].
pub(crate) const TEMPORARY: i32 = -1;

pub(crate) struct Session {
    pub(crate) server: Arc<SqlServer>,
    pub(crate) spid: u16,
    pub(crate) login: Login,
    pub(crate) client: Client,
    pub(crate) control: Arc<Control>,
    pub(crate) database: RefCell<Database>,
    /// Its database by login, to which a reset goes back.
    first_database: RefCell<String>,
    files: RefCell<HashMap<String, Rc<File>>>,
    temporary: RefCell<Option<Rc<File>>>,
    pub(crate) frames: RefCell<Vec<Frame>>,
    pub(crate) settings: RefCell<Settings>,
    pub(crate) transaction: RefCell<Transaction>,
    pub(crate) last_error: Cell<i32>,
    pub(crate) row_count: Cell<u64>,
    pub(crate) identity: Cell<Option<i64>>,
    /// Errors being handled by CATCH blocks, the innermost last.
    pub(crate) caught: RefCell<Vec<Message>>,
    pub(crate) tries: Cell<u32>,
    pub(crate) prepared: RefCell<HashMap<i32, super::procedure::Prepared>>,
    pub(crate) next_handle: Cell<i32>,
    pub(crate) context: RefCell<HashMap<String, Value>>,
    /// Bytes held by the running statement.
    memory: Cell<usize>,
    ticks: Cell<u32>,
}

impl Session {
    /// Begins a session after a sign-in.
    ///
    /// # Errors
    /// 4060 where the database cannot be opened, 18456's friends where the server is full.
    pub(crate) fn begin(
        server: Arc<SqlServer>,
        login: Login,
        client: Client,
        control: Arc<Control>,
    ) -> SqlResult<Self> {
        let wanted = if client.database.is_empty() {
            login.database.clone()
        } else {
            client.database.clone()
        };
        tracing::debug!(program = %client.program, library = %client.library, "a SQL session begins");
        let refused = |e: SqlError| {
            server
                .log
                .write("Logon", "Error: 18456, Severity: 14, State: 38.");
            server.log.write(
                "Logon",
                &format!("Login failed for user '{}'. Reason: Failed to open the explicitly specified database '{wanted}'. [CLIENT: 127.0.0.1]", login.name),
            );
            drop(e);
            Message::new(
                4060,
                11,
                1,
                format!(
                    "Cannot open database \"{wanted}\" requested by the login. The login failed."
                ),
            )
            .ending(message::Ends::Connection)
        };
        let database = server.state().database(&wanted).cloned();
        let database = match database {
            Some(d) => d,
            // A login whose default database is gone still comes in, to master.
            None if client.database.is_empty() => server
                .state()
                .database("master")
                .cloned()
                .ok_or_else(|| refused(message::no_database(&wanted)))?,
            None => return Err(refused(message::no_database(&wanted))),
        };
        let seen = Seen {
            login: login.name.clone(),
            login_id: login.id,
            host: client.host.clone(),
            program: client.program.clone(),
            database: database.id,
            since: now(),
            control: Arc::clone(&control),
        };
        let Some(spid) = server.enter(seen) else {
            return Err(Message::new(17809, 20, 1, "Could not connect because the maximum number of user connections has already been reached.")
                .ending(message::Ends::Connection));
        };
        let session = Self {
            server: Arc::clone(&server),
            spid,
            login: login.clone(),
            client,
            control,
            database: RefCell::new(database.clone()),
            first_database: RefCell::new(database.name.clone()),
            files: RefCell::default(),
            temporary: RefCell::default(),
            frames: RefCell::new(vec![Frame::default()]),
            settings: RefCell::default(),
            transaction: RefCell::default(),
            last_error: Cell::new(0),
            row_count: Cell::new(0),
            identity: Cell::new(None),
            caught: RefCell::default(),
            tries: Cell::new(0),
            prepared: RefCell::default(),
            next_handle: Cell::new(1),
            context: RefCell::default(),
            memory: Cell::new(0),
            ticks: Cell::new(0),
        };
        session.check_access(&database).map_err(refused)?;
        let british = ["British", "British English"];
        if british
            .iter()
            .any(|l| session.client.language.eq_ignore_ascii_case(l))
        {
            let mut s = session.settings.borrow_mut();
            s.language = "British".into();
            s.day_first = true;
            s.datefirst = 1;
        }
        Ok(session)
    }

    pub(crate) fn collation(&self) -> Collation {
        Collation::parse(&self.database.borrow().collation).unwrap_or(self.server.collation)
    }

    pub(crate) fn style(&self) -> Style {
        Style {
            number: None,
            day_first: self.settings.borrow().day_first,
        }
    }

    /// Called in every loop over rows: stops where the client or somebody else asked for it.
    pub(crate) fn check(&self) -> SqlResult<()> {
        let n = self.ticks.get().wrapping_add(1);
        self.ticks.set(n);
        if n.is_multiple_of(64) {
            self.check_now()
        } else {
            Ok(())
        }
    }

    pub(crate) fn check_now(&self) -> SqlResult<()> {
        if self.control.cancel.load(Ordering::Acquire) || self.control.kill.load(Ordering::Acquire)
        {
            return Err(message::cancelled());
        }
        Ok(())
    }

    /// Counts memory that a statement holds.
    pub(crate) fn hold(&self, bytes: usize) -> SqlResult<()> {
        let total = self.memory.get().saturating_add(bytes);
        self.memory.set(total);
        if total > MEMORY {
            Err(message::out_of_memory())
        } else {
            Ok(())
        }
    }

    pub(crate) fn release_memory(&self) {
        self.memory.set(0);
    }

    /// The file of a database, opened once a session.
    pub(crate) fn file(&self, d: &Database) -> SqlResult<Rc<File>> {
        if let Some(f) = self.files.borrow().get(&d.file) {
            return Ok(Rc::clone(f));
        }
        let collation = Collation::parse(&d.collation).unwrap_or(self.server.collation);
        let f = Rc::new(File::open(&self.server.dir.join(&d.file), collation).map_err(store::sql)?);
        let mut files = self.files.borrow_mut();
        // Files of databases that were dropped are let go.
        let known: Vec<String> = self
            .server
            .state()
            .databases
            .iter()
            .map(|d| d.file.clone())
            .collect();
        files.retain(|name, _| known.contains(name));
        files.insert(d.file.clone(), Rc::clone(&f));
        Ok(f)
    }

    pub(crate) fn temporary(&self) -> SqlResult<Rc<File>> {
        if let Some(f) = self.temporary.borrow().as_ref() {
            return Ok(Rc::clone(f));
        }
        let f = Rc::new(File::temporary(self.server.collation).map_err(store::sql)?);
        if self.transaction.borrow().count > 0 {
            f.run("BEGIN")?;
            self.transaction.borrow_mut().files.push(TEMPORARY);
        }
        *self.temporary.borrow_mut() = Some(Rc::clone(&f));
        Ok(f)
    }

    pub(crate) fn file_by_id(&self, id: i32) -> SqlResult<Rc<File>> {
        if id == TEMPORARY {
            return self.temporary();
        }
        let d = self.server.state().database_by_id(id).cloned();
        self.file(&d.ok_or_else(|| message::no_database(&format!("#{id}")))?)
    }

    pub(crate) fn close_file(&self, d: &Database) {
        self.files.borrow_mut().remove(&d.file);
    }

    pub(crate) fn current(&self) -> Database {
        let id = self.database.borrow().id;
        let fresh = self.server.state().database_by_id(id).cloned();
        fresh.unwrap_or_else(|| self.database.borrow().clone())
    }

    /// A database by name that this login may enter.
    pub(crate) fn find_database(&self, name: &str) -> SqlResult<Database> {
        let found = self.server.state().database(name).cloned();
        let d = found.ok_or_else(|| message::no_database(name))?;
        self.check_access(&d)?;
        Ok(d)
    }

    pub(crate) fn check_access(&self, d: &Database) -> SqlResult<()> {
        if self.server.recovers(d.id) {
            return Err(Message::new(
                922,
                14,
                1,
                format!(
                    "Database '{}' is being recovered. Waiting until recovery is finished.",
                    d.name
                ),
            )
            .ending(message::Ends::Batch));
        }
        if !d.online {
            return Err(Message::new(
                942,
                14,
                4,
                format!(
                    "Database '{}' cannot be opened because it is offline.",
                    d.name
                ),
            )
            .ending(message::Ends::Batch));
        }
        if !self.may_enter(d)? {
            return Err(message::no_database_access(&self.login.name, &d.name));
        }
        if d.access == 1 {
            let taken = self
                .server
                .state()
                .sessions
                .iter()
                .any(|(spid, s)| *spid != self.spid && s.database == d.id);
            if taken {
                return Err(Message::new(
                    924,
                    14,
                    1,
                    format!(
                        "Database '{}' is already open and can only have one user at a time.",
                        d.name
                    ),
                )
                .ending(message::Ends::Batch));
            }
        }
        Ok(())
    }

    pub(crate) fn may_enter(&self, d: &Database) -> SqlResult<bool> {
        if self.login.is_sysadmin() || d.owner == self.login.sid || matches!(d.id, 1 | 2 | 4) {
            return Ok(true);
        }
        Ok(self.user_in(d)?.is_some())
    }

    /// The user that this login is in a database: id and name. `None`: guest or nobody.
    pub(crate) fn user_in(&self, d: &Database) -> SqlResult<Option<(i64, String)>> {
        if self.login.is_sysadmin() || d.owner == self.login.sid {
            return Ok(Some((1, "dbo".into())));
        }
        let file = self.file(d)?;
        let mut q = file
            .db
            .prepare_cached("SELECT id, name FROM principal WHERE sid = ?1 AND id > 4")
            .map_err(store::sql)?;
        let mut rows = q.query([&self.login.sid]).map_err(store::sql)?;
        match rows.next().map_err(store::sql)? {
            Some(r) => Ok(Some((
                r.get(0).map_err(store::sql)?,
                r.get(1).map_err(store::sql)?,
            ))),
            None => Ok(None),
        }
    }

    /// Whether this login has one of these roles in the database; `db_owner` has them all.
    pub(crate) fn has_role(&self, d: &Database, roles: &[&str]) -> SqlResult<bool> {
        let Some((id, _)) = self.user_in(d)? else {
            return Ok(false);
        };
        if id == 1 {
            return Ok(true);
        }
        let file = self.file(d)?;
        let mut q = file
            .db
            .prepare_cached(
                "WITH RECURSIVE mine(id) AS (SELECT ?1 UNION SELECT role FROM role_member JOIN mine ON member = mine.id)
                 SELECT name FROM principal WHERE id IN mine",
            )
            .map_err(store::sql)?;
        let names = q
            .query_map([id], |r| r.get::<_, String>(0))
            .map_err(store::sql)?;
        for name in names {
            let name = name.map_err(store::sql)?;
            if name == "db_owner" || roles.iter().any(|r| same_name(r, &name)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses what only an owner or a definer may do.
    pub(crate) fn need_ddl(&self, d: &Database, what: &str) -> SqlResult<()> {
        if self.has_role(d, &["db_ddladmin"])? {
            return Ok(());
        }
        Err(message::permission(
            262,
            format!("{what} permission denied in database '{}'.", d.name),
        ))
    }

    pub(crate) fn need_access(&self, database: i32, object: &Object, verb: &str) -> SqlResult<()> {
        if database == TEMPORARY {
            return Ok(());
        }
        let d = self.server.state().database_by_id(database).cloned();
        let Some(d) = d else {
            return Ok(());
        };
        let role = if verb == "SELECT" {
            "db_datareader"
        } else {
            "db_datawriter"
        };
        if self.has_role(&d, &[role])? {
            return Ok(());
        }
        Err(message::permission(
            229,
            format!(
                "The {verb} permission was denied on the object '{}', database '{}', schema '{}'.",
                object.name, d.name, object.schema
            ),
        ))
    }

    pub(crate) fn need_sysadmin(&self, number: i32, text: &str) -> SqlResult<()> {
        if self.login.is_sysadmin() {
            Ok(())
        } else {
            Err(message::permission(number, text))
        }
    }

    /// Enters a database and answers the name of the one before.
    pub(crate) fn enter(&self, d: Database) -> String {
        if let Some(seen) = self.server.state().sessions.get_mut(&self.spid) {
            seen.database = d.id;
        }
        std::mem::replace(&mut *self.database.borrow_mut(), d).name
    }

    /// Back to how it was after the sign-in, as `sp_reset_connection` does.
    pub(crate) fn reset(&self, keep_transaction: bool) {
        if !keep_transaction {
            self.roll_back_all();
            *self.temporary.borrow_mut() = None;
        }
        *self.settings.borrow_mut() = Settings::default();
        self.release_locks(!keep_transaction);
        *self.frames.borrow_mut() = vec![Frame::default()];
        self.prepared.borrow_mut().clear();
        self.context.borrow_mut().clear();
        self.last_error.set(0);
        self.row_count.set(0);
        self.identity.set(None);
        let name = self.first_database.borrow().clone();
        if let Ok(d) = self.find_database(&name) {
            self.enter(d);
        }
    }

    pub(crate) fn variable(&self, name: &str) -> Option<Variable> {
        let frames = self.frames.borrow();
        frames.last().and_then(|f| f.variables.get(name).cloned())
    }

    pub(crate) fn set_variable(&self, name: &str, value: Value) {
        if let Some(v) = self
            .frames
            .borrow_mut()
            .last_mut()
            .and_then(|f| f.variables.get_mut(name))
        {
            v.value = value;
        }
    }

    pub(crate) fn declare(&self, name: &str, ty: Type, value: Value) {
        if let Some(f) = self.frames.borrow_mut().last_mut() {
            f.variables.insert(name.to_owned(), Variable { ty, value });
        }
    }

    /// The name of the procedure that runs, for error messages.
    pub(crate) fn procedure_name(&self) -> String {
        self.frames
            .borrow()
            .last()
            .map(|f| f.procedure.clone())
            .unwrap_or_default()
    }

    /// How deep calls nest.
    pub(crate) fn depth(&self) -> usize {
        self.frames.borrow().len()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.roll_back_all();
        self.release_locks(true);
        self.server.leave(self.spid);
    }
}

/// Variables are looked up without case.
pub(crate) fn variable_key(name: &str) -> String {
    name.to_lowercase()
}
