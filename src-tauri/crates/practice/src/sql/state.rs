//! What the server knows: databases, logins, sessions, settings, each written through to `master`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::NaiveDateTime;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{
    login::Hash,
    message::SqlResult,
    store::{self, name_key, same_name},
};

/// A database of the server.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) file: String,
    /// The owner's security identifier.
    pub(crate) owner: Vec<u8>,
    pub(crate) collation: String,
    pub(crate) created: String,
    pub(crate) compat: i32,
    /// 0 MULTI_USER, 1 SINGLE_USER, 2 RESTRICTED_USER
    pub(crate) access: i32,
    pub(crate) read_only: bool,
    pub(crate) online: bool,
    pub(crate) recovery: String,
    pub(crate) snapshot_reads: bool,
    /// Its files by SQL Server's names; missing for what was made before these were kept, and for system databases.
    pub(crate) files: Option<Files>,
}

/// A database's files as SQL Server names them. All that is in it is in one file of SQLite, to which the data file
/// is a second name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files {
    pub(crate) data_name: String,
    pub(crate) data_path: String,
    pub(crate) log_name: String,
    pub(crate) log_path: String,
    /// A GUID: the same for a database and all that was restored from it.
    pub(crate) family: String,
}

/// A login of the server.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) sid: Vec<u8>,
    pub(crate) hash: Option<Hash>,
    pub(crate) database: String,
    pub(crate) language: String,
    pub(crate) disabled: bool,
    pub(crate) policy: bool,
    pub(crate) expiration: bool,
    pub(crate) created: String,
    pub(crate) modified: String,
    /// Server roles that it is a member of.
    pub(crate) roles: Vec<String>,
}

impl Login {
    pub(crate) fn is_sysadmin(&self) -> bool {
        self.id == 1 || self.roles.iter().any(|r| r == "sysadmin")
    }
}

/// How others reach a running session.
#[derive(Default)]
pub(crate) struct Control {
    /// The client sent an attention.
    pub(crate) cancel: AtomicBool,
    /// Somebody ended the session.
    pub(crate) kill: AtomicBool,
    pub(crate) ended: Notify,
    /// What long work runs, and how many percent of it are done.
    progress: Mutex<Option<(&'static str, u8)>>,
}

impl Control {
    pub(crate) fn progress(&self) -> Option<(&'static str, u8)> {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_progress(&self, progress: Option<(&'static str, u8)>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    pub(crate) fn end(&self) {
        self.kill.store(true, Ordering::Release);
        self.ended.notify_one();
    }
}

/// What others may know of a session.
pub(crate) struct Seen {
    pub(crate) login: String,
    pub(crate) login_id: i32,
    pub(crate) host: String,
    pub(crate) program: String,
    pub(crate) database: i32,
    pub(crate) since: NaiveDateTime,
    pub(crate) control: Arc<Control>,
}

pub(crate) struct State {
    pub(crate) databases: Vec<Database>,
    pub(crate) logins: Vec<Login>,
    pub(crate) sessions: HashMap<u16, Seen>,
    /// `sp_configure`: configured and running value by name.
    pub(crate) settings: HashMap<String, (i64, i64)>,
    /// Locks that applications took, by database and name.
    pub(crate) locks: HashMap<(i32, String), super::procedure::Held>,
    master: Connection,
}

impl State {
    pub(super) fn load(master: Connection) -> rusqlite::Result<Self> {
        let databases = {
            let mut q = master.prepare("SELECT * FROM server_database ORDER BY id")?;
            let rows = q.query_map([], |r| {
                Ok(Database {
                    id: r.get(0)?,
                    name: r.get(1)?,
                    file: r.get(2)?,
                    owner: r.get(3)?,
                    collation: r.get(4)?,
                    created: r.get(5)?,
                    compat: r.get(6)?,
                    access: r.get(7)?,
                    read_only: r.get(8)?,
                    online: r.get(9)?,
                    recovery: r.get(10)?,
                    snapshot_reads: r.get(11)?,
                    files: serde_json::from_str(&r.get::<_, String>(12)?).ok(),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        let logins = {
            let mut q = master.prepare("SELECT * FROM server_login ORDER BY id")?;
            let rows = q.query_map([], |r| {
                let (salt, rounds, hash): (Option<Vec<u8>>, Option<u32>, Option<Vec<u8>>) =
                    (r.get(3)?, r.get(4)?, r.get(5)?);
                let roles: String = r.get(13)?;
                Ok(Login {
                    id: r.get(0)?,
                    name: r.get(1)?,
                    sid: r.get(2)?,
                    hash: match (salt, rounds, hash) {
                        (Some(salt), Some(rounds), Some(hash)) => Some(Hash { salt, rounds, hash }),
                        _ => None,
                    },
                    database: r.get(6)?,
                    language: r.get(7)?,
                    disabled: r.get(8)?,
                    policy: r.get(9)?,
                    expiration: r.get(10)?,
                    created: r.get(11)?,
                    modified: r.get(12)?,
                    roles: roles
                        .split(',')
                        .filter(|r| !r.is_empty())
                        .map(str::to_owned)
                        .collect(),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        let settings = {
            let mut q = master.prepare("SELECT name, value FROM server_setting")?;
            let rows = q.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?)))?;
            rows.map(|r| r.map(|(n, v)| (n, (v, v))))
                .collect::<rusqlite::Result<HashMap<_, _>>>()?
        };
        Ok(Self {
            databases,
            logins,
            sessions: HashMap::new(),
            settings,
            locks: HashMap::new(),
            master,
        })
    }

    pub(crate) fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|d| same_name(&d.name, name))
    }

    pub(crate) fn database_by_id(&self, id: i32) -> Option<&Database> {
        self.databases.iter().find(|d| d.id == id)
    }

    pub(crate) fn login(&self, name: &str) -> Option<&Login> {
        let key = name_key(name);
        self.logins.iter().find(|l| name_key(&l.name) == key)
    }

    pub(crate) fn login_by_sid(&self, sid: &[u8]) -> Option<&Login> {
        self.logins.iter().find(|l| l.sid == sid)
    }

    pub(crate) fn next_database_id(&self) -> i32 {
        (5..i32::MAX)
            .find(|id| self.database_by_id(*id).is_none())
            .unwrap_or(i32::MAX)
    }

    pub(crate) fn next_login_id(&self) -> i32 {
        self.logins
            .iter()
            .map(|l| l.id)
            .max()
            .unwrap_or(1)
            .max(267)
            .saturating_add(1)
    }

    /// Writes a database, new or changed.
    pub(crate) fn save_database(&mut self, d: &Database) -> SqlResult<()> {
        let files = match &d.files {
            Some(files) => {
                serde_json::to_string(files).map_err(|e| super::message::internal(e.to_string()))?
            }
            None => String::new(),
        };
        self.master
            .execute(
                "INSERT INTO server_database VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT (id) DO UPDATE SET name = ?2, file = ?3, owner = ?4, collation = ?5, created = ?6, compat = ?7,
                 access = ?8, read_only = ?9, online = ?10, recovery = ?11, snapshot_reads = ?12, files = ?13",
                rusqlite::params![
                    d.id, d.name, d.file, d.owner, d.collation, d.created, d.compat, d.access, d.read_only, d.online, d.recovery,
                    d.snapshot_reads, files
                ],
            )
            .map_err(store::sql)?;
        match self.databases.iter_mut().find(|x| x.id == d.id) {
            Some(old) => *old = d.clone(),
            None => {
                self.databases.push(d.clone());
                self.databases.sort_by_key(|d| d.id);
            }
        }
        Ok(())
    }

    pub(crate) fn remove_database(&mut self, id: i32) -> SqlResult<()> {
        self.master
            .execute("DELETE FROM server_database WHERE id = ?1", [id])
            .map_err(store::sql)?;
        self.databases.retain(|d| d.id != id);
        Ok(())
    }

    /// Writes a login, new or changed.
    pub(crate) fn save_login(&mut self, l: &Login) -> SqlResult<()> {
        let h = l.hash.as_ref();
        self.master
            .execute(
                "INSERT INTO server_login VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
                 ON CONFLICT (id) DO UPDATE SET name = ?2, sid = ?3, salt = ?4, rounds = ?5, hash = ?6, database = ?7, language = ?8,
                 disabled = ?9, policy = ?10, expiration = ?11, created = ?12, modified = ?13, roles = ?14",
                rusqlite::params![
                    l.id,
                    l.name,
                    l.sid,
                    h.map(|h| &h.salt),
                    h.map(|h| h.rounds),
                    h.map(|h| &h.hash),
                    l.database,
                    l.language,
                    l.disabled,
                    l.policy,
                    l.expiration,
                    l.created,
                    l.modified,
                    l.roles.join(",")
                ],
            )
            .map_err(store::sql)?;
        match self.logins.iter_mut().find(|x| x.id == l.id) {
            Some(old) => *old = l.clone(),
            None => self.logins.push(l.clone()),
        }
        Ok(())
    }

    pub(crate) fn remove_login(&mut self, id: i32) -> SqlResult<()> {
        self.master
            .execute("DELETE FROM server_login WHERE id = ?1", [id])
            .map_err(store::sql)?;
        self.logins.retain(|l| l.id != id);
        Ok(())
    }

    pub(crate) fn save_setting(&mut self, name: &str, value: i64) -> SqlResult<()> {
        self.master
            .execute("INSERT INTO server_setting VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2", (name, value))
            .map_err(store::sql)?;
        let running = self.settings.get(name).map_or(value, |s| s.1);
        self.settings.insert(name.to_owned(), (value, running));
        Ok(())
    }
}
