//! SQLite files: one for every database. Rows are kept so that equal values are equal bytes.

use std::{path::Path, rc::Rc, time::Duration};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    types::{Value as Stored, ValueRef},
};
use serde::{Deserialize, Serialize};

use super::{
    collation::Collation,
    convert,
    decimal::Decimal,
    message::{self, Message, SqlError, SqlResult},
    types::Type,
    value::{Row, Value, guid_text},
};

/// A column of a table, as the catalog keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ColumnInfo {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) nullable: bool,
    pub(crate) identity: Option<(i64, i64)>,
    /// The constraint's name and the expression's text.
    pub(crate) default: Option<(String, String)>,
    pub(crate) rowversion: bool,
    pub(crate) collation: Option<String>,
}

/// A primary key, a UNIQUE constraint or an index. Columns by id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyInfo {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) primary: bool,
    pub(crate) unique: bool,
    /// A constraint rather than an index.
    pub(crate) constraint: bool,
    pub(crate) clustered: bool,
    pub(crate) columns: Vec<u32>,
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CheckInfo {
    pub(crate) name: String,
    pub(crate) text: String,
    /// The column it was written behind, for the error's text.
    pub(crate) column: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ForeignInfo {
    pub(crate) name: String,
    pub(crate) columns: Vec<u32>,
    /// The referenced table's id.
    pub(crate) table: i64,
    pub(crate) referenced: Vec<u32>,
    pub(crate) on_delete: String,
    pub(crate) on_update: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct TableInfo {
    pub(crate) columns: Vec<ColumnInfo>,
    pub(crate) keys: Vec<KeyInfo>,
    pub(crate) checks: Vec<CheckInfo>,
    pub(crate) foreign: Vec<ForeignInfo>,
    /// The next id for a column or key.
    pub(crate) next: u32,
}

impl TableInfo {
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnInfo> {
        self.columns.iter().find(|c| same_name(&c.name, name))
    }

    pub(crate) fn by_id(&self, id: u32) -> Option<(usize, &ColumnInfo)> {
        self.columns.iter().enumerate().find(|(_, c)| c.id == id)
    }

    pub(crate) fn take_id(&mut self) -> u32 {
        self.next = self.next.saturating_add(1);
        self.next
    }
}

/// Names compare without case, whatever the collation: that is what the practice host's catalog does.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a == b || name_key(a) == name_key(b)
}

pub(crate) fn name_key(name: &str) -> String {
    Collation::DEFAULT.key(name)
}

/// An object of a database.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: i64,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) created: String,
    pub(crate) modified: String,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Table(Rc<TableInfo>),
    View(String),
    Procedure(String),
}

impl Kind {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Table(_) => "U",
            Self::View(_) => "V",
            Self::Procedure(_) => "P",
        }
    }
}

/// One session's way into one database's file.
pub(crate) struct File {
    pub(crate) db: Connection,
    pub(crate) collation: Collation,
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS object (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, schema TEXT NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, definition TEXT NOT NULL, created TEXT NOT NULL, modified TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS principal (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, kind TEXT NOT NULL,
    sid BLOB, default_schema TEXT, created TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS role_member (role INTEGER NOT NULL, member INTEGER NOT NULL, PRIMARY KEY (role, member));
CREATE TABLE IF NOT EXISTS namespace (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, owner INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES ('object', 245575913), ('rowversion', 2000);
INSERT OR IGNORE INTO namespace VALUES (1, 'dbo', 'dbo', 1), (2, 'guest', 'guest', 2), (3, 'information_schema', 'INFORMATION_SCHEMA', 3), (4, 'sys', 'sys', 4);
INSERT OR IGNORE INTO principal VALUES
    (0, 'public', 'public', 'R', NULL, NULL, '2003-04-08 09:10:42'),
    (1, 'dbo', 'dbo', 'S', x'01', 'dbo', '2003-04-08 09:10:42'),
    (2, 'guest', 'guest', 'S', x'00', 'guest', '2003-04-08 09:10:42'),
    (3, 'information_schema', 'INFORMATION_SCHEMA', 'S', NULL, NULL, '2009-04-13 12:59:11'),
    (4, 'sys', 'sys', 'S', NULL, NULL, '2009-04-13 12:59:11'),
    (16384, 'db_owner', 'db_owner', 'R', NULL, NULL, '2003-04-08 09:10:42'),
    (16385, 'db_accessadmin', 'db_accessadmin', 'R', NULL, NULL, '2003-04-08 09:10:42'),
    (16386, 'db_securityadmin', 'db_securityadmin', 'R', NULL, NULL, '2003-04-08 09:10:42'),
    (16387, 'db_ddladmin', 'db_ddladmin', 'R', NULL, NULL, '2003-04-08 09:10:42'),
    (16389, 'db_backupoperator', 'db_backupoperator', 'R', NULL, NULL, '2003-04-08 09:10:42'),
    (16390, 'db_datareader', 'db_datareader', 'R', NULL, NULL, '2003-04-08 09:10:42'),
    (16391, 'db_datawriter', 'db_datawriter', 'R', NULL, NULL, '2003-04-08 09:10:42');
INSERT OR IGNORE INTO role_member VALUES (16384, 1);
";

/// The format of the files; a newer one is refused rather than misread.
pub(crate) const FORMAT: i64 = 1;

/// Opens a SQLite file with the settings that all of them share.
///
/// Committed work survives the end of the process. After a power cut the last commits may be missing
/// (`synchronous = NORMAL`), but nothing is torn.
pub(crate) fn connect(path: &Path, create: bool) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let db = Connection::open_with_flags(path, flags)?;
    prepare(&db)?;
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    Ok(db)
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    // Short: whoever waits for a lock asks again in a loop of its own, where it can be cancelled.
    db.busy_timeout(Duration::from_millis(100))?;
    db.set_prepared_statement_cache_capacity(64);
    for (name, collation) in [
        ("TSQL_CI", Collation::DEFAULT),
        (
            "TSQL_CI_AI",
            Collation {
                ignore_accent: true,
                ..Collation::DEFAULT
            },
        ),
        (
            "TSQL_CS",
            Collation {
                ignore_case: false,
                ..Collation::DEFAULT
            },
        ),
        (
            "TSQL_BIN",
            Collation {
                ignore_case: false,
                binary: true,
                ..Collation::DEFAULT
            },
        ),
    ] {
        db.create_collation(name, move |a, b| collation.compare(a, b))?;
    }
    Ok(())
}

fn sqlite_collation(c: Collation) -> &'static str {
    match (c.binary, c.ignore_case, c.ignore_accent) {
        (true, ..) => "TSQL_BIN",
        (_, true, false) => "TSQL_CI",
        (_, true, true) => "TSQL_CI_AI",
        (_, false, _) => "TSQL_CS",
    }
}

impl File {
    pub(crate) fn open(path: &Path, collation: Collation) -> rusqlite::Result<Self> {
        Ok(Self {
            db: connect(path, false)?,
            collation,
        })
    }

    /// Makes a database's file, or opens one that is there.
    pub(crate) fn create(path: &Path, collation: Collation) -> rusqlite::Result<Self> {
        let db = connect(path, true)?;
        db.execute_batch(SCHEMA)?;
        db.pragma_update(None, "user_version", FORMAT)?;
        Ok(Self { db, collation })
    }

    /// A database in memory: temporary tables and table variables of one session.
    pub(crate) fn temporary(collation: Collation) -> rusqlite::Result<Self> {
        let db = Connection::open_in_memory()?;
        prepare(&db)?;
        db.execute_batch(SCHEMA)?;
        Ok(Self { db, collation })
    }

    pub(crate) fn object(&self, schema: &str, name: &str) -> SqlResult<Option<Object>> {
        let key = object_key(schema, name);
        let mut query = self
            .db
            .prepare_cached("SELECT id, schema, name, kind, definition, created, modified FROM object WHERE key = ?1")
            .map_err(sql)?;
        let mut rows = query.query([key]).map_err(sql)?;
        match rows.next().map_err(sql)? {
            Some(row) => Ok(Some(object(row)?)),
            None => Ok(None),
        }
    }

    pub(crate) fn object_by_id(&self, id: i64) -> SqlResult<Option<Object>> {
        let mut query = self
            .db
            .prepare_cached("SELECT id, schema, name, kind, definition, created, modified FROM object WHERE id = ?1")
            .map_err(sql)?;
        let mut rows = query.query([id]).map_err(sql)?;
        match rows.next().map_err(sql)? {
            Some(row) => Ok(Some(object(row)?)),
            None => Ok(None),
        }
    }

    pub(crate) fn objects(&self) -> SqlResult<Vec<Object>> {
        let mut query = self
            .db
            .prepare_cached("SELECT id, schema, name, kind, definition, created, modified FROM object ORDER BY id")
            .map_err(sql)?;
        let mut rows = query.query([]).map_err(sql)?;
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(sql)? {
            out.push(object(row)?);
        }
        Ok(out)
    }

    pub(crate) fn next_object_id(&self) -> SqlResult<i64> {
        self.count_up("object", 2000)
    }

    /// Adds to a counter and returns its new value.
    pub(crate) fn count_up(&self, name: &str, by: i64) -> SqlResult<i64> {
        self.db
            .prepare_cached("UPDATE counter SET value = value + ?2 WHERE name = ?1 RETURNING value")
            .and_then(|mut q| q.query_row((name, by), |r| r.get(0)))
            .map_err(sql)
    }

    pub(crate) fn counter(&self, name: &str) -> SqlResult<Option<i64>> {
        let mut q = self
            .db
            .prepare_cached("SELECT value FROM counter WHERE name = ?1")
            .map_err(sql)?;
        let mut rows = q.query([name]).map_err(sql)?;
        match rows.next().map_err(sql)? {
            Some(r) => r.get(0).map(Some).map_err(sql),
            None => Ok(None),
        }
    }

    pub(crate) fn set_counter(&self, name: &str, value: i64) -> SqlResult<()> {
        self.db
            .prepare_cached(
                "INSERT INTO counter VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            )
            .and_then(|mut q| q.execute((name, value)))
            .map_err(sql)?;
        Ok(())
    }

    /// Writes an object, new or changed.
    pub(crate) fn save(
        &self,
        id: i64,
        schema: &str,
        name: &str,
        kind: &Kind,
        now: &str,
    ) -> SqlResult<()> {
        let definition = match kind {
            Kind::Table(info) => serde_json::to_string(info.as_ref())
                .map_err(|e| message::internal(e.to_string()))?,
            Kind::View(text) | Kind::Procedure(text) => text.clone(),
        };
        self.db
            .prepare_cached(
                "INSERT INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
                 ON CONFLICT (id) DO UPDATE SET key = ?2, schema = ?3, name = ?4, kind = ?5, definition = ?6, modified = ?7",
            )
            .and_then(|mut q| q.execute((id, object_key(schema, name), schema, name, kind.code(), definition, now)))
            .map_err(sql)?;
        Ok(())
    }

    pub(crate) fn remove(&self, object: &Object) -> SqlResult<()> {
        if let Kind::Table(_) = object.kind {
            self.db
                .execute_batch(&format!("DROP TABLE IF EXISTS t{}", object.id))
                .map_err(sql)?;
            self.db
                .execute(
                    "DELETE FROM counter WHERE name = ?1",
                    [identity_counter(object.id)],
                )
                .map_err(sql)?;
        }
        self.db
            .execute("DELETE FROM object WHERE id = ?1", [object.id])
            .map_err(sql)?;
        Ok(())
    }

    pub(crate) fn column_collation(&self, c: &ColumnInfo) -> Collation {
        c.collation
            .as_deref()
            .and_then(Collation::parse)
            .unwrap_or(self.collation)
    }

    /// `c3 TEXT COLLATE …`
    pub(crate) fn stored_column(&self, c: &ColumnInfo) -> String {
        let kind = match c.ty {
            Type::Bit | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt | Type::Null => {
                "INTEGER".to_owned()
            }
            Type::Real | Type::Float => "REAL".to_owned(),
            Type::Binary(_) | Type::VarBinary(_) => "BLOB".to_owned(),
            Type::Char(_) | Type::VarChar(_) | Type::NChar(_) | Type::NVarChar(_) => {
                format!(
                    "TEXT COLLATE {}",
                    sqlite_collation(self.column_collation(c))
                )
            }
            // Exact bytes: a decimal or a time has one spelling for its scale.
            _ => "BLOB".to_owned(),
        };
        format!("c{} {kind}", c.id)
    }

    pub(crate) fn create_storage(&self, id: i64, info: &TableInfo) -> SqlResult<()> {
        let columns: Vec<String> = info.columns.iter().map(|c| self.stored_column(c)).collect();
        self.db
            .execute_batch(&format!(
                "CREATE TABLE t{id} (r INTEGER PRIMARY KEY AUTOINCREMENT, {})",
                columns.join(", ")
            ))
            .map_err(sql)?;
        for key in &info.keys {
            self.create_key(id, key)?;
        }
        Ok(())
    }

    /// An index for fast look-ups. Uniqueness is checked before each write, where the error can name the values.
    pub(crate) fn create_key(&self, id: i64, key: &KeyInfo) -> SqlResult<()> {
        let columns: Vec<String> = key.columns.iter().map(|c| format!("c{c}")).collect();
        self.db
            .execute_batch(&format!(
                "CREATE INDEX k{id}_{} ON t{id} ({})",
                key.id,
                columns.join(", ")
            ))
            .map_err(sql)
    }

    pub(crate) fn drop_key(&self, id: i64, key: &KeyInfo) -> SqlResult<()> {
        self.db
            .execute_batch(&format!("DROP INDEX IF EXISTS k{id}_{}", key.id))
            .map_err(sql)
    }

    /// Reads rows; the last value of each is the row's own number.
    ///
    /// `equal` holds values that columns (by position) must have. `each` answers whether to go on.
    pub(crate) fn scan(
        &self,
        id: i64,
        info: &TableInfo,
        equal: &[(usize, Value)],
        each: &mut dyn FnMut(Row) -> SqlResult<bool>,
    ) -> SqlResult<()> {
        let mut text = String::from("SELECT ");
        for c in &info.columns {
            text.push_str(&format!("c{}, ", c.id));
        }
        text.push_str(&format!("r FROM t{id}"));
        let mut values = Vec::new();
        for (n, (at, value)) in equal.iter().enumerate() {
            if let Some(c) = info.columns.get(*at) {
                text.push_str(if n == 0 { " WHERE " } else { " AND " });
                text.push_str(&format!("c{} IS ?{}", c.id, n.saturating_add(1)));
                values.push(encode(value));
            }
        }
        let mut query = self.db.prepare_cached(&text).map_err(sql)?;
        let mut rows = query
            .query(rusqlite::params_from_iter(values))
            .map_err(sql)?;
        while let Some(stored) = rows.next().map_err(sql)? {
            let mut row = Row::with_capacity(info.columns.len().saturating_add(1));
            for (at, c) in info.columns.iter().enumerate() {
                row.push(decode(stored.get_ref(at).map_err(sql)?, c.ty)?);
            }
            row.push(Value::Int(stored.get(info.columns.len()).map_err(sql)?));
            if !each(row)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Adds a row and returns its number. `number` keeps one that a row had before.
    pub(crate) fn insert(
        &self,
        id: i64,
        info: &TableInfo,
        values: &[Value],
        number: Option<i64>,
    ) -> SqlResult<i64> {
        let mut columns = vec!["r".to_owned()];
        let mut marks = vec!["?1".to_owned()];
        let mut params = vec![number.map_or(Stored::Null, Stored::Integer)];
        for (n, (c, v)) in info.columns.iter().zip(values).enumerate() {
            columns.push(format!("c{}", c.id));
            marks.push(format!("?{}", n.saturating_add(2)));
            params.push(encode(v));
        }
        self.db
            .prepare_cached(&format!(
                "INSERT INTO t{id} ({}) VALUES ({})",
                columns.join(", "),
                marks.join(", ")
            ))
            .and_then(|mut q| q.execute(rusqlite::params_from_iter(params)))
            .map_err(sql)?;
        Ok(self.db.last_insert_rowid())
    }

    pub(crate) fn delete(&self, id: i64, number: i64) -> SqlResult<()> {
        self.db
            .prepare_cached(&format!("DELETE FROM t{id} WHERE r = ?1"))
            .and_then(|mut q| q.execute([number]))
            .map_err(sql)?;
        Ok(())
    }

    /// Whether a row other than `except` has these values in these columns. NULL equals NULL.
    pub(crate) fn has(
        &self,
        id: i64,
        columns: &[u32],
        values: &[Value],
        except: Option<i64>,
    ) -> SqlResult<bool> {
        let mut text = format!("SELECT 1 FROM t{id} WHERE r IS NOT ?1");
        let mut params = vec![except.map_or(Stored::Null, Stored::Integer)];
        for (n, (c, v)) in columns.iter().zip(values).enumerate() {
            text.push_str(&format!(" AND c{c} IS ?{}", n.saturating_add(2)));
            params.push(encode(v));
        }
        text.push_str(" LIMIT 1");
        let mut query = self.db.prepare_cached(&text).map_err(sql)?;
        query
            .exists(rusqlite::params_from_iter(params))
            .map_err(sql)
    }

    pub(crate) fn run(&self, text: &str) -> SqlResult<()> {
        self.db.execute_batch(text).map_err(sql)
    }
}

pub(crate) fn identity_counter(id: i64) -> String {
    format!("identity {id}")
}

fn object_key(schema: &str, name: &str) -> String {
    // A name may hold a dot, never a line break that matters here: the lengths keep them apart.
    format!("{}:{}.{}", schema.len(), name_key(schema), name_key(name))
}

fn object(row: &rusqlite::Row<'_>) -> SqlResult<Object> {
    let kind: String = row.get(3).map_err(sql)?;
    let definition: String = row.get(4).map_err(sql)?;
    Ok(Object {
        id: row.get(0).map_err(sql)?,
        schema: row.get(1).map_err(sql)?,
        name: row.get(2).map_err(sql)?,
        kind: match kind.as_str() {
            "U" => Kind::Table(Rc::new(
                serde_json::from_str(&definition).map_err(|e| message::internal(e.to_string()))?,
            )),
            "V" => Kind::View(definition),
            _ => Kind::Procedure(definition),
        },
        created: row.get(5).map_err(sql)?,
        modified: row.get(6).map_err(sql)?,
    })
}

fn encode(value: &Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Bit(b) => Stored::Integer(i64::from(*b)),
        Value::Int(n) => Stored::Integer(*n),
        Value::Float(f) => Stored::Real(*f),
        Value::Decimal(d) => Stored::Text(d.to_string()),
        Value::Text(t) => Stored::Text(t.to_string()),
        Value::Binary(b) => Stored::Blob(b.to_vec()),
        Value::Date(d) => Stored::Text(d.format("%Y-%m-%d").to_string()),
        Value::Time(t) => Stored::Text(t.format("%H:%M:%S%.9f").to_string()),
        Value::DateTime(at) => Stored::Text(at.format("%Y-%m-%d %H:%M:%S%.9f").to_string()),
        Value::Offset(at) => Stored::Text(at.format("%Y-%m-%d %H:%M:%S%.9f %:z").to_string()),
        Value::Guid(g) => Stored::Text(guid_text(g)),
    }
}

fn decode(stored: ValueRef<'_>, ty: Type) -> SqlResult<Value> {
    let bad = || message::internal(format!("a stored value is no {}", ty.name()));
    Ok(match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => match ty {
            Type::Bit => Value::Bit(n != 0),
            // SQLite keeps a whole float as an integer where that is shorter.
            Type::Real | Type::Float => Value::Float(n as f64),
            _ => Value::Int(n),
        },
        ValueRef::Real(f) => Value::Float(f),
        ValueRef::Blob(b) => Value::binary(b),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| bad())?;
            match ty {
                Type::Decimal(..) | Type::Money | Type::SmallMoney => {
                    Value::Decimal(Decimal::parse(text).ok_or_else(bad)?)
                }
                Type::Date => {
                    Value::Date(NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| bad())?)
                }
                Type::Time(_) => {
                    Value::Time(NaiveTime::parse_from_str(text, "%H:%M:%S%.f").map_err(|_| bad())?)
                }
                Type::DateTime | Type::SmallDateTime | Type::DateTime2(_) => Value::DateTime(
                    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
                        .map_err(|_| bad())?,
                ),
                Type::DateTimeOffset(_) => Value::Offset(
                    DateTime::<FixedOffset>::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f %:z")
                        .map_err(|_| bad())?,
                ),
                Type::Guid => convert::cast(
                    &Value::text(text),
                    Type::VarChar(36),
                    Type::Guid,
                    convert::Style::default(),
                    Collation::DEFAULT,
                )?,
                _ => Value::text(text),
            }
        }
    })
}

/// A failure of SQLite, told in SQL Server's words where it has some.
pub(crate) fn sql(e: rusqlite::Error) -> SqlError {
    match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => lock_timeout(),
        Some(ErrorCode::DiskFull) => Message::new(
            1105,
            17,
            2,
            "Could not allocate space for an object because the 'PRIMARY' filegroup is full. Create disk space by deleting unneeded files.",
        ),
        Some(ErrorCode::ReadOnly) => Message::new(3906, 16, 2, "Failed to update database because the database is read-only."),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::CannotOpen) => Message::new(
            823,
            24,
            2,
            format!("The operating system returned an error to the practice engine during a read or write: {e}."),
        )
        .ending(message::Ends::Connection),
        _ => message::internal(e.to_string()),
    }
}

pub(crate) fn lock_timeout() -> SqlError {
    Message::new(1222, 16, 51, "Lock request time out period exceeded.")
}

pub(crate) fn is_busy(e: &rusqlite::Error) -> bool {
    matches!(
        e.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}
