//! The catalog views: `sys.…` and `INFORMATION_SCHEMA.…`.

use super::{
    message::SqlResult,
    output::Column,
    session::Session,
    store::{Kind, Object, TableInfo, same_name},
    types::{MAX, Type},
    value::{Row, Value},
};

const NAME: Type = Type::SYSNAME;
const DESC: Type = Type::NVarChar(60);

type Columns = &'static [(&'static str, Type)];
type Rows = fn(&Session, i32) -> SqlResult<Vec<Row>>;

#[derive(Clone, Copy)]
pub(crate) struct View(&'static Definition);

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

struct Definition {
    schema: &'static str,
    name: &'static str,
    columns: Columns,
    rows: Rows,
}

impl View {
    pub(crate) fn find(schema: &str, name: &str) -> Option<Self> {
        VIEWS
            .iter()
            .find(|v| same_name(v.schema, schema) && same_name(v.name, name))
            .map(Self)
    }

    pub(crate) fn columns(self) -> Vec<Column> {
        self.0
            .columns
            .iter()
            .map(|(n, t)| Column {
                computed: false,
                ..Column::new(*n, *t)
            })
            .collect()
    }

    /// The view's rows as the session may see them, in the given database.
    pub(crate) fn rows(self, s: &Session, database: i32) -> SqlResult<Vec<Row>> {
        (self.0.rows)(s, database)
    }
}

/// Name, `user_type_id`, `system_type_id`, maximal length, precision, scale.
pub(crate) const TYPES: &[(&str, u16, u8, i16, u8, u8)] = &[
    ("image", 34, 34, 16, 0, 0),
    ("text", 35, 35, 16, 0, 0),
    ("uniqueidentifier", 36, 36, 16, 0, 0),
    ("date", 40, 40, 3, 10, 0),
    ("time", 41, 41, 5, 16, 7),
    ("datetime2", 42, 42, 8, 27, 7),
    ("datetimeoffset", 43, 43, 10, 34, 7),
    ("tinyint", 48, 48, 1, 3, 0),
    ("smallint", 52, 52, 2, 5, 0),
    ("int", 56, 56, 4, 10, 0),
    ("smalldatetime", 58, 58, 4, 16, 0),
    ("real", 59, 59, 4, 24, 0),
    ("money", 60, 60, 8, 19, 4),
    ("datetime", 61, 61, 8, 23, 3),
    ("float", 62, 62, 8, 53, 0),
    ("sql_variant", 98, 98, 8016, 0, 0),
    ("ntext", 99, 99, 16, 0, 0),
    ("bit", 104, 104, 1, 1, 0),
    ("decimal", 106, 106, 17, 38, 38),
    ("numeric", 108, 108, 17, 38, 38),
    ("smallmoney", 122, 122, 4, 10, 4),
    ("bigint", 127, 127, 8, 19, 0),
    ("varbinary", 165, 165, 8000, 0, 0),
    ("varchar", 167, 167, 8000, 0, 0),
    ("binary", 173, 173, 8000, 0, 0),
    ("char", 175, 175, 8000, 0, 0),
    ("timestamp", 189, 189, 8, 0, 0),
    ("nvarchar", 231, 231, 8000, 0, 0),
    ("nchar", 239, 239, 8000, 0, 0),
    ("sysname", 256, 231, 256, 0, 0),
];

/// The fixed server roles.
const SERVER_ROLES: &[(&str, i32)] = &[
    ("public", 2),
    ("sysadmin", 3),
    ("securityadmin", 4),
    ("serveradmin", 5),
    ("setupadmin", 6),
    ("processadmin", 7),
    ("diskadmin", 8),
    ("dbcreator", 9),
    ("bulkadmin", 10),
];

pub(crate) fn server_role_id(name: &str) -> Option<i32> {
    SERVER_ROLES
        .iter()
        .find(|(n, _)| same_name(n, name))
        .map(|(_, id)| *id)
}

fn t(text: impl AsRef<str>) -> Value {
    Value::text(text)
}

fn n(v: impl Into<i64>) -> Value {
    Value::Int(v.into())
}

fn b(v: bool) -> Value {
    Value::Bit(v)
}

fn when(text: &str) -> Value {
    super::time::parse(text, false)
        .and_then(|m| super::time::round(m.at, Type::DateTime))
        .map_or(Value::Null, Value::DateTime)
}

fn objects(s: &Session, database: i32) -> SqlResult<Vec<Object>> {
    let file = s.file_by_id(database)?;
    s.before_read(database, &file)?;
    file.objects()
}

fn tables(s: &Session, database: i32) -> SqlResult<Vec<(Object, std::rc::Rc<TableInfo>)>> {
    Ok(objects(s, database)?
        .into_iter()
        .filter_map(|o| match &o.kind {
            Kind::Table(info) => {
                let info = std::rc::Rc::clone(info);
                Some((o, info))
            }
            _ => None,
        })
        .collect())
}

fn database_name(s: &Session, id: i32) -> Value {
    s.server
        .state()
        .database_by_id(id)
        .map_or(Value::Null, |d| t(&d.name))
}

fn schema_of(schemas: &[(i64, String, i64)], name: &str) -> Value {
    schemas
        .iter()
        .find(|(_, n, _)| same_name(n, name))
        .map_or(Value::Null, |(id, _, _)| Value::Int(*id))
}

fn schemas(s: &Session, database: i32) -> SqlResult<Vec<(i64, String, i64)>> {
    let d = s.server.state().database_by_id(database).cloned();
    match d {
        Some(d) => s.schemas(&d),
        None => Ok(Vec::new()),
    }
}

fn sys_databases(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let list = s.server.state().databases.clone();
    Ok(list
        .into_iter()
        .map(|d| {
            vec![
                t(&d.name),
                n(d.id),
                Value::Null,
                Value::binary(&d.owner),
                when(&d.created),
                n(d.compat),
                t(&d.collation),
                n(d.access),
                t(super::query::function::access(d.access)),
                b(d.read_only),
                n(if d.online { 0 } else { 6 }),
                t(if d.online { "ONLINE" } else { "OFFLINE" }),
                b(false),
                n(i64::from(!d.snapshot_reads) ^ 1),
                t("OFF"),
                b(d.snapshot_reads),
                n(match d.recovery.as_str() {
                    "FULL" => 1,
                    "BULK_LOGGED" => 2,
                    _ => 3,
                }),
                t(&d.recovery),
                n(2),
                t("CHECKSUM"),
                b(true),
                b(false),
                b(false),
                n(0),
                t("NONE"),
                b(false),
                t("NOTHING"),
                b(false),
                b(false),
                Value::Null,
            ]
        })
        .collect())
}

fn object_row(o: &Object, schema: Value, kind: &str, desc: &str, parent: i64) -> Row {
    vec![
        t(&o.name),
        n(o.id),
        Value::Null,
        schema,
        n(parent),
        t(format!("{kind:<2}")),
        t(desc),
        when(&o.created),
        when(&o.modified),
        b(false),
        b(false),
        b(false),
    ]
}

fn kind_desc(k: &Kind) -> &'static str {
    match k {
        Kind::Table(_) => "USER_TABLE",
        Kind::View(_) => "VIEW",
        Kind::Procedure(_) => "SQL_STORED_PROCEDURE",
    }
}

fn sys_objects(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let known = schemas(s, database)?;
    let mut out = Vec::new();
    for o in objects(s, database)? {
        let schema = schema_of(&known, &o.schema);
        out.push(object_row(
            &o,
            schema.clone(),
            o.kind.code(),
            kind_desc(&o.kind),
            0,
        ));
        if let Kind::Table(info) = &o.kind {
            let part = |name: &str, id: u32| Object {
                id: o.id.saturating_add(i64::from(id)),
                name: name.to_owned(),
                ..o.clone()
            };
            for k in info.keys.iter().filter(|k| k.constraint) {
                let (kind, desc) = if k.primary {
                    ("PK", "PRIMARY_KEY_CONSTRAINT")
                } else {
                    ("UQ", "UNIQUE_CONSTRAINT")
                };
                out.push(object_row(
                    &part(&k.name, k.id),
                    schema.clone(),
                    kind,
                    desc,
                    o.id,
                ));
            }
            for f in &info.foreign {
                out.push(object_row(
                    &part(&f.name, f.columns.first().copied().unwrap_or(0)),
                    schema.clone(),
                    "F",
                    "FOREIGN_KEY_CONSTRAINT",
                    o.id,
                ));
            }
            for c in &info.checks {
                out.push(object_row(
                    &part(&c.name, 0),
                    schema.clone(),
                    "C",
                    "CHECK_CONSTRAINT",
                    o.id,
                ));
            }
            for c in &info.columns {
                if let Some((name, _)) = &c.default {
                    out.push(object_row(
                        &part(name, c.id),
                        schema.clone(),
                        "D",
                        "DEFAULT_CONSTRAINT",
                        o.id,
                    ));
                }
            }
        }
    }
    Ok(out)
}

fn of_kind(s: &Session, database: i32, code: &str) -> SqlResult<Vec<Row>> {
    let known = schemas(s, database)?;
    Ok(objects(s, database)?
        .iter()
        .filter(|o| o.kind.code() == code)
        .map(|o| object_row(o, schema_of(&known, &o.schema), code, kind_desc(&o.kind), 0))
        .collect())
}

fn sys_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let collation = s
        .server
        .state()
        .database_by_id(database)
        .map(|d| d.collation.clone())
        .unwrap_or_default();
    let mut out = Vec::new();
    for o in objects(s, database)? {
        let columns: Vec<(u32, String, Type, bool, bool, Option<String>, bool)> = match &o.kind {
            Kind::Table(info) => info
                .columns
                .iter()
                .map(|c| {
                    (
                        c.id,
                        c.name.clone(),
                        c.ty,
                        c.nullable,
                        c.identity.is_some(),
                        c.collation.clone(),
                        c.default.is_some(),
                    )
                })
                .collect(),
            Kind::View(_) => s
                .view_columns(&o)
                .unwrap_or_default()
                .into_iter()
                .zip(1_u32..)
                .map(|(c, id)| (id, c.name, c.ty, c.nullable, false, None, false))
                .collect(),
            Kind::Procedure(_) => Vec::new(),
        };
        for (id, name, ty, nullable, identity, own, default) in columns {
            let (precision, scale) = ty.precision_scale();
            out.push(vec![
                n(o.id),
                t(&name),
                n(id),
                n(ty.system_id()),
                n(ty.system_id()),
                n(ty.max_length()),
                n(precision),
                n(scale),
                if ty.is_text() {
                    t(own.as_deref().unwrap_or(&collation))
                } else {
                    Value::Null
                },
                b(nullable),
                b(true),
                b(false),
                b(identity),
                b(false),
                if default {
                    n(o.id.saturating_add(i64::from(id)))
                } else {
                    n(0)
                },
                n(0),
                b(false),
                n(0),
                b(false),
            ]);
        }
    }
    Ok(out)
}

fn sys_types(_: &Session, _: i32) -> SqlResult<Vec<Row>> {
    Ok(TYPES
        .iter()
        .map(|(name, user, system, length, precision, scale)| {
            let text = matches!(
                *name,
                "text" | "ntext" | "varchar" | "char" | "nvarchar" | "nchar" | "sysname"
            );
            vec![
                t(name),
                n(*system),
                n(*user),
                n(4),
                Value::Null,
                n(*length),
                n(*precision),
                n(*scale),
                if text {
                    t(super::collation::Collation::DEFAULT_NAME)
                } else {
                    Value::Null
                },
                b(*name != "sysname"),
                b(false),
                b(false),
                n(0),
                n(0),
                b(false),
            ]
        })
        .collect())
}

fn sys_schemas(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    Ok(schemas(s, database)?
        .into_iter()
        .map(|(id, name, owner)| vec![t(name), n(id), n(owner)])
        .collect())
}

fn logins(s: &Session, only_logins: bool) -> Vec<Row> {
    let mine = s.login.clone();
    let mut out: Vec<Row> = s
        .server
        .state()
        .logins
        .iter()
        // Others are seen by those who may manage them.
        .filter(|l| mine.is_sysadmin() || l.id == mine.id || l.id == 1)
        .map(|l| {
            let mut row = vec![
                t(&l.name),
                n(l.id),
                Value::binary(&l.sid),
                t("S"),
                t("SQL_LOGIN"),
                b(l.disabled),
                when(&l.created),
                when(&l.modified),
                t(&l.database),
                t(&l.language),
                Value::Null,
            ];
            if only_logins {
                row.extend([b(l.policy), b(l.expiration)]);
            } else {
                row.extend([Value::Null, b(false)]);
            }
            row
        })
        .collect();
    if !only_logins {
        for (name, id) in SERVER_ROLES {
            out.push(vec![
                t(name),
                n(*id),
                Value::binary(id.to_le_bytes()),
                t("R"),
                t("SERVER_ROLE"),
                b(false),
                when("2009-04-13 12:59:06"),
                when("2009-04-13 12:59:06"),
                Value::Null,
                Value::Null,
                Value::Null,
                n(1),
                b(true),
            ]);
        }
    }
    out
}

fn role_members(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let state = s.server.state();
    Ok(state
        .logins
        .iter()
        .flat_map(|l| {
            l.roles
                .iter()
                .filter_map(|r| server_role_id(r))
                .map(|r| vec![n(r), n(l.id)])
                .collect::<Vec<_>>()
        })
        .collect())
}

fn database_principals(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let file = s.file_by_id(database)?;
    let owner = s
        .server
        .state()
        .database_by_id(database)
        .map(|d| d.owner.clone())
        .unwrap_or_default();
    let mut q = file
        .db
        .prepare_cached(
            "SELECT id, name, kind, sid, default_schema, created FROM principal ORDER BY id",
        )
        .map_err(super::store::sql)?;
    let rows = q
        .query_map([], |r| {
            let (id, name, kind, sid): (i64, String, String, Option<Vec<u8>>) =
                (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?);
            let sid = if id == 1 { Some(owner.clone()) } else { sid };
            let role = kind == "R";
            let schema: Option<String> = r.get(4)?;
            let created: String = r.get(5)?;
            Ok(vec![
                t(name),
                Value::Int(id),
                t(&kind),
                t(if role { "DATABASE_ROLE" } else { "SQL_USER" }),
                Value::opt_text(schema),
                when(&created),
                when(&created),
                if role { n(1) } else { Value::Null },
                sid.clone().map_or(Value::Null, Value::binary),
                b(id >= 16384 || (role && id == 0)),
                n(i64::from(!role && sid.is_some())),
                t(if role || sid.is_none() {
                    "NONE"
                } else {
                    "INSTANCE"
                }),
            ])
        })
        .map_err(super::store::sql)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()
        .map_err(super::store::sql)
}

fn database_role_members(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let file = s.file_by_id(database)?;
    let mut q = file
        .db
        .prepare_cached("SELECT role, member FROM role_member")
        .map_err(super::store::sql)?;
    let rows = q
        .query_map([], |r| {
            Ok(vec![Value::Int(r.get(0)?), Value::Int(r.get(1)?)])
        })
        .map_err(super::store::sql)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()
        .map_err(super::store::sql)
}

fn indexes(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        if !info.keys.iter().any(|k| k.clustered) {
            out.push(index_row(o.id, Value::Null, 0, false, false, false, None));
        }
        for (at, k) in info.keys.iter().enumerate() {
            let id = if k.clustered {
                1
            } else {
                i64::try_from(at).unwrap_or(0).saturating_add(2)
            };
            out.push(index_row(
                o.id,
                t(&k.name),
                id,
                k.unique,
                k.primary,
                k.constraint && !k.primary,
                k.filter.as_deref(),
            ));
        }
    }
    Ok(out)
}

fn index_row(
    object: i64,
    name: Value,
    id: i64,
    unique: bool,
    primary: bool,
    constraint: bool,
    filter: Option<&str>,
) -> Row {
    let (kind, desc) = match id {
        0 => (0, "HEAP"),
        1 => (1, "CLUSTERED"),
        _ => (2, "NONCLUSTERED"),
    };
    vec![
        n(object),
        name,
        n(id),
        n(kind),
        t(desc),
        b(unique),
        n(1),
        b(false),
        b(primary),
        b(constraint),
        n(0),
        b(false),
        b(false),
        b(false),
        b(filter.is_some()),
        Value::opt_text(filter),
    ]
}

fn index_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        for (at, k) in info.keys.iter().enumerate() {
            let id = if k.clustered {
                1
            } else {
                i64::try_from(at).unwrap_or(0).saturating_add(2)
            };
            for (place, column) in (1_i64..).zip(&k.columns) {
                out.push(vec![
                    n(o.id),
                    n(id),
                    n(place),
                    n(*column),
                    n(place),
                    n(0),
                    b(false),
                    b(false),
                ]);
            }
        }
    }
    Ok(out)
}

fn identity_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let file = s.file_by_id(database)?;
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        for c in &info.columns {
            if let Some((seed, step)) = c.identity {
                let last = file.counter(&super::store::identity_counter(o.id))?;
                out.push(vec![
                    n(o.id),
                    t(&c.name),
                    n(c.id),
                    Value::Int(seed),
                    Value::Int(step),
                    last.map_or(Value::Null, Value::Int),
                    b(false),
                ]);
            }
        }
    }
    Ok(out)
}

fn foreign_keys(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let known = schemas(s, database)?;
    let action = |a: &str| match a {
        "CASCADE" => 1,
        "SET NULL" => 2,
        "SET DEFAULT" => 3,
        _ => 0,
    };
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        for f in &info.foreign {
            let id =
                o.id.saturating_add(i64::from(f.columns.first().copied().unwrap_or(0)));
            out.push(vec![
                t(&f.name),
                n(id),
                schema_of(&known, &o.schema),
                n(o.id),
                n(f.table),
                n(action(&f.on_delete)),
                t(f.on_delete.replace(' ', "_")),
                n(action(&f.on_update)),
                t(f.on_update.replace(' ', "_")),
                b(false),
                b(false),
            ]);
        }
    }
    Ok(out)
}

fn foreign_key_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        for f in &info.foreign {
            let id =
                o.id.saturating_add(i64::from(f.columns.first().copied().unwrap_or(0)));
            for (place, (own, other)) in (1_i64..).zip(f.columns.iter().zip(&f.referenced)) {
                out.push(vec![
                    n(id),
                    n(place),
                    n(o.id),
                    n(*own),
                    n(f.table),
                    n(*other),
                ]);
            }
        }
    }
    Ok(out)
}

fn default_constraints(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        for c in &info.columns {
            if let Some((name, text)) = &c.default {
                out.push(vec![
                    t(name),
                    n(o.id.saturating_add(i64::from(c.id))),
                    n(o.id),
                    n(c.id),
                    t(format!("({text})")),
                    b(false),
                ]);
            }
        }
    }
    Ok(out)
}

fn key_constraints(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let known = schemas(s, database)?;
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        for (at, k) in info.keys.iter().enumerate().filter(|(_, k)| k.constraint) {
            let id = if k.clustered {
                1
            } else {
                i64::try_from(at).unwrap_or(0).saturating_add(2)
            };
            out.push(vec![
                t(&k.name),
                n(o.id.saturating_add(i64::from(k.id))),
                schema_of(&known, &o.schema),
                n(o.id),
                t(if k.primary { "PK" } else { "UQ" }),
                t(if k.primary {
                    "PRIMARY_KEY_CONSTRAINT"
                } else {
                    "UNIQUE_CONSTRAINT"
                }),
                n(id),
            ]);
        }
    }
    Ok(out)
}

fn sql_modules(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    Ok(objects(s, database)?
        .into_iter()
        .filter_map(|o| match o.kind {
            Kind::View(text) | Kind::Procedure(text) => {
                Some(vec![n(o.id), t(text), b(true), b(true)])
            }
            Kind::Table(_) => None,
        })
        .collect())
}

fn database_files(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let d = s.server.state().database_by_id(database).cloned();
    let Some(d) = d else {
        return Ok(Vec::new());
    };
    let path = s.server.dir.join(&d.file);
    let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
    let pages = i64::try_from(bytes / 8192).unwrap_or(0);
    Ok(vec![vec![
        n(1),
        n(0),
        t("ROWS"),
        n(1),
        t(&d.name),
        t(path.display().to_string()),
        n(0),
        t("ONLINE"),
        n(pages),
        n(-1),
        n(8192),
    ]])
}

fn master_files(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let ids: Vec<i32> = s.server.state().databases.iter().map(|d| d.id).collect();
    let mut out = Vec::new();
    for id in ids {
        for row in database_files(s, id)? {
            let mut whole = vec![n(id)];
            whole.extend(row);
            out.push(whole);
        }
    }
    Ok(out)
}

fn sys_info(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = s
        .server
        .options
        .memory_mb
        .map_or(0, i64::from)
        .saturating_mul(1024);
    let up = super::server::now()
        .signed_duration_since(s.server.started)
        .num_milliseconds();
    Ok(vec![vec![
        n(i64::try_from(cpus).unwrap_or(1)),
        n(memory),
        when(&s.server.started.format("%Y-%m-%d %H:%M:%S%.3f").to_string()),
        n(up),
        t("NONE"),
    ]])
}

fn host_info(_: &Session, _: i32) -> SqlResult<Vec<Row>> {
    Ok(vec![vec![
        t("Berth practice host"),
        t("Berth practice host"),
        t(env!("CARGO_PKG_VERSION")),
        t(""),
        n(0),
        n(1033),
    ]])
}

fn dm_sessions(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let all = s.login.is_sysadmin();
    let state = s.server.state();
    let mut spids: Vec<&u16> = state.sessions.keys().collect();
    spids.sort_unstable();
    Ok(spids
        .into_iter()
        .filter_map(|spid| state.sessions.get(spid).map(|x| (spid, x)))
        .filter(|(spid, _)| all || **spid == s.spid)
        .map(|(spid, x)| {
            vec![
                n(*spid),
                when(&x.since.format("%Y-%m-%d %H:%M:%S%.3f").to_string()),
                t(&x.host),
                t(&x.program),
                t(&x.login),
                t(&x.login),
                t(if *spid == s.spid {
                    "running"
                } else {
                    "sleeping"
                }),
                b(true),
                n(x.database),
                n(0),
                n(x.login_id),
            ]
        })
        .collect())
}

fn dm_connections(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    Ok(vec![vec![
        n(s.spid),
        t("TCP"),
        t("TSQL"),
        n(0x7400_0004),
        t(if s.client.encrypted { "TRUE" } else { "FALSE" }),
        t("SQL"),
        t("127.0.0.1"),
    ]])
}

fn configurations(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let list = super::procedure::configuration(s);
    Ok(list
        .into_iter()
        .zip(101_i64..)
        .map(|(c, id)| {
            vec![
                n(id),
                t(c.name),
                Value::Int(c.configured),
                Value::Int(c.least),
                Value::Int(c.most),
                Value::Int(c.running),
                t(c.name),
                b(true),
                b(c.advanced),
            ]
        })
        .collect())
}

fn empty(_: &Session, _: i32) -> SqlResult<Vec<Row>> {
    Ok(Vec::new())
}

fn info_tables(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let catalog = database_name(s, database);
    Ok(objects(s, database)?
        .into_iter()
        .filter_map(|o| match o.kind {
            Kind::Table(_) => Some(vec![
                catalog.clone(),
                t(o.schema),
                t(o.name),
                t("BASE TABLE"),
            ]),
            Kind::View(_) => Some(vec![catalog.clone(), t(o.schema), t(o.name), t("VIEW")]),
            Kind::Procedure(_) => None,
        })
        .collect())
}

fn info_views(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let catalog = database_name(s, database);
    Ok(objects(s, database)?
        .into_iter()
        .filter_map(|o| match o.kind {
            Kind::View(text) => Some(vec![
                catalog.clone(),
                t(o.schema),
                t(o.name),
                t(text),
                t("NONE"),
                t("NO"),
            ]),
            _ => None,
        })
        .collect())
}

fn info_schemata(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let catalog = database_name(s, database);
    Ok(schemas(s, database)?
        .into_iter()
        .map(|(_, name, _)| vec![catalog.clone(), t(&name), t("dbo")])
        .collect())
}

fn info_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let catalog = database_name(s, database);
    let collation = s
        .server
        .state()
        .database_by_id(database)
        .map(|d| d.collation.clone())
        .unwrap_or_default();
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        for (place, c) in (1_i64..).zip(&info.columns) {
            let ty = c.ty;
            let (precision, scale) = ty.precision_scale();
            let length = match ty.length() {
                None => Value::Null,
                Some(MAX) => n(-1),
                Some(l) => n(l),
            };
            let octets = if ty.length().is_some() {
                n(ty.max_length())
            } else {
                Value::Null
            };
            let exact = ty.as_decimal().is_some() && ty != Type::Bit;
            let float = matches!(ty, Type::Real | Type::Float);
            let moment = matches!(
                ty,
                Type::Date
                    | Type::Time(_)
                    | Type::DateTime
                    | Type::SmallDateTime
                    | Type::DateTime2(_)
                    | Type::DateTimeOffset(_)
            );
            out.push(vec![
                catalog.clone(),
                t(&o.schema),
                t(&o.name),
                t(&c.name),
                n(place),
                Value::opt_text(c.default.as_ref().map(|(_, text)| format!("({text})"))),
                t(if c.nullable { "YES" } else { "NO" }),
                t(ty.name()),
                length,
                octets,
                if exact || float {
                    n(precision)
                } else {
                    Value::Null
                },
                if exact {
                    n(10)
                } else if float {
                    n(2)
                } else {
                    Value::Null
                },
                if exact { n(scale) } else { Value::Null },
                if moment { n(scale) } else { Value::Null },
                if ty.is_text() {
                    t(if ty.is_unicode() { "UNICODE" } else { "iso_1" })
                } else {
                    Value::Null
                },
                if ty.is_text() {
                    t(c.collation.as_deref().unwrap_or(&collation))
                } else {
                    Value::Null
                },
            ]);
        }
    }
    Ok(out)
}

fn table_constraints(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let catalog = database_name(s, database);
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        let mut add = |name: &str, kind: &str| {
            out.push(vec![
                catalog.clone(),
                t(&o.schema),
                t(name),
                catalog.clone(),
                t(&o.schema),
                t(&o.name),
                t(kind),
                t("NO"),
                t("NO"),
            ]);
        };
        for k in info.keys.iter().filter(|k| k.constraint) {
            add(&k.name, if k.primary { "PRIMARY KEY" } else { "UNIQUE" });
        }
        for f in &info.foreign {
            add(&f.name, "FOREIGN KEY");
        }
        for c in &info.checks {
            add(&c.name, "CHECK");
        }
    }
    Ok(out)
}

fn key_column_usage(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let catalog = database_name(s, database);
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        let keys = info
            .keys
            .iter()
            .filter(|k| k.constraint)
            .map(|k| (&k.name, &k.columns));
        for (name, columns) in keys.chain(info.foreign.iter().map(|f| (&f.name, &f.columns))) {
            for (place, id) in (1_i64..).zip(columns) {
                let column = info
                    .by_id(*id)
                    .map(|(_, c)| c.name.clone())
                    .unwrap_or_default();
                out.push(vec![
                    catalog.clone(),
                    t(&o.schema),
                    t(name),
                    catalog.clone(),
                    t(&o.schema),
                    t(&o.name),
                    t(column),
                    n(place),
                ]);
            }
        }
    }
    Ok(out)
}

fn partitions(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let file = s.file_by_id(database)?;
    let mut out = Vec::new();
    for (o, _) in tables(s, database)? {
        let count: i64 = file
            .db
            .query_row(&format!("SELECT count(*) FROM t{}", o.id), [], |r| r.get(0))
            .map_err(super::store::sql)?;
        out.push(vec![n(o.id), n(o.id), n(1), n(1), n(o.id), n(count)]);
    }
    Ok(out)
}

const fn view(
    schema: &'static str,
    name: &'static str,
    columns: Columns,
    rows: Rows,
) -> Definition {
    Definition {
        schema,
        name,
        columns,
        rows,
    }
}

const OBJECT_COLUMNS: Columns = &[
    ("name", NAME),
    ("object_id", Type::Int),
    ("principal_id", Type::Int),
    ("schema_id", Type::Int),
    ("parent_object_id", Type::Int),
    ("type", Type::Char(2)),
    ("type_desc", DESC),
    ("create_date", Type::DateTime),
    ("modify_date", Type::DateTime),
    ("is_ms_shipped", Type::Bit),
    ("is_published", Type::Bit),
    ("is_schema_published", Type::Bit),
];

const PRINCIPAL_COLUMNS: Columns = &[
    ("name", NAME),
    ("principal_id", Type::Int),
    ("sid", Type::VarBinary(85)),
    ("type", Type::Char(1)),
    ("type_desc", DESC),
    ("is_disabled", Type::Bit),
    ("create_date", Type::DateTime),
    ("modify_date", Type::DateTime),
    ("default_database_name", NAME),
    ("default_language_name", NAME),
    ("credential_id", Type::Int),
    ("owning_principal_id", Type::Int),
    ("is_fixed_role", Type::Bit),
];

const LOGIN_COLUMNS: Columns = &[
    ("name", NAME),
    ("principal_id", Type::Int),
    ("sid", Type::VarBinary(85)),
    ("type", Type::Char(1)),
    ("type_desc", DESC),
    ("is_disabled", Type::Bit),
    ("create_date", Type::DateTime),
    ("modify_date", Type::DateTime),
    ("default_database_name", NAME),
    ("default_language_name", NAME),
    ("credential_id", Type::Int),
    ("is_policy_checked", Type::Bit),
    ("is_expiration_checked", Type::Bit),
];

const FILE_COLUMNS: Columns = &[
    ("file_id", Type::Int),
    ("type", Type::TinyInt),
    ("type_desc", DESC),
    ("data_space_id", Type::Int),
    ("name", NAME),
    ("physical_name", Type::NVarChar(260)),
    ("state", Type::TinyInt),
    ("state_desc", DESC),
    ("size", Type::Int),
    ("max_size", Type::Int),
    ("growth", Type::Int),
];

static VIEWS: &[Definition] = &[
    view(
        "sys",
        "databases",
        &[
            ("name", NAME),
            ("database_id", Type::Int),
            ("source_database_id", Type::Int),
            ("owner_sid", Type::VarBinary(85)),
            ("create_date", Type::DateTime),
            ("compatibility_level", Type::TinyInt),
            ("collation_name", NAME),
            ("user_access", Type::TinyInt),
            ("user_access_desc", DESC),
            ("is_read_only", Type::Bit),
            ("state", Type::TinyInt),
            ("state_desc", DESC),
            ("is_in_standby", Type::Bit),
            ("snapshot_isolation_state", Type::TinyInt),
            ("snapshot_isolation_state_desc", DESC),
            ("is_read_committed_snapshot_on", Type::Bit),
            ("recovery_model", Type::TinyInt),
            ("recovery_model_desc", DESC),
            ("page_verify_option", Type::TinyInt),
            ("page_verify_option_desc", DESC),
            ("is_auto_create_stats_on", Type::Bit),
            ("is_auto_close_on", Type::Bit),
            ("is_auto_shrink_on", Type::Bit),
            ("containment", Type::TinyInt),
            ("containment_desc", DESC),
            ("is_encrypted", Type::Bit),
            ("log_reuse_wait_desc", DESC),
            ("is_trustworthy_on", Type::Bit),
            ("is_query_store_on", Type::Bit),
            ("replica_id", Type::Guid),
        ],
        sys_databases,
    ),
    view("sys", "objects", OBJECT_COLUMNS, sys_objects),
    view("sys", "all_objects", OBJECT_COLUMNS, sys_objects),
    view("sys", "tables", OBJECT_COLUMNS, |s, d| of_kind(s, d, "U")),
    view("sys", "views", OBJECT_COLUMNS, |s, d| of_kind(s, d, "V")),
    view("sys", "procedures", OBJECT_COLUMNS, |s, d| {
        of_kind(s, d, "P")
    }),
    view(
        "sys",
        "columns",
        &[
            ("object_id", Type::Int),
            ("name", NAME),
            ("column_id", Type::Int),
            ("system_type_id", Type::TinyInt),
            ("user_type_id", Type::Int),
            ("max_length", Type::SmallInt),
            ("precision", Type::TinyInt),
            ("scale", Type::TinyInt),
            ("collation_name", NAME),
            ("is_nullable", Type::Bit),
            ("is_ansi_padded", Type::Bit),
            ("is_rowguidcol", Type::Bit),
            ("is_identity", Type::Bit),
            ("is_computed", Type::Bit),
            ("default_object_id", Type::Int),
            ("rule_object_id", Type::Int),
            ("is_sparse", Type::Bit),
            ("generated_always_type", Type::TinyInt),
            ("is_hidden", Type::Bit),
        ],
        sys_columns,
    ),
    view(
        "sys",
        "types",
        &[
            ("name", NAME),
            ("system_type_id", Type::TinyInt),
            ("user_type_id", Type::Int),
            ("schema_id", Type::Int),
            ("principal_id", Type::Int),
            ("max_length", Type::SmallInt),
            ("precision", Type::TinyInt),
            ("scale", Type::TinyInt),
            ("collation_name", NAME),
            ("is_nullable", Type::Bit),
            ("is_user_defined", Type::Bit),
            ("is_assembly_type", Type::Bit),
            ("default_object_id", Type::Int),
            ("rule_object_id", Type::Int),
            ("is_table_type", Type::Bit),
        ],
        sys_types,
    ),
    view(
        "sys",
        "schemas",
        &[
            ("name", NAME),
            ("schema_id", Type::Int),
            ("principal_id", Type::Int),
        ],
        sys_schemas,
    ),
    view("sys", "sql_logins", LOGIN_COLUMNS, |s, _| {
        Ok(logins(s, true))
    }),
    view("sys", "server_principals", PRINCIPAL_COLUMNS, |s, _| {
        Ok(logins(s, false))
    }),
    view(
        "sys",
        "server_role_members",
        &[
            ("role_principal_id", Type::Int),
            ("member_principal_id", Type::Int),
        ],
        role_members,
    ),
    view(
        "sys",
        "database_principals",
        &[
            ("name", NAME),
            ("principal_id", Type::Int),
            ("type", Type::Char(1)),
            ("type_desc", DESC),
            ("default_schema_name", NAME),
            ("create_date", Type::DateTime),
            ("modify_date", Type::DateTime),
            ("owning_principal_id", Type::Int),
            ("sid", Type::VarBinary(85)),
            ("is_fixed_role", Type::Bit),
            ("authentication_type", Type::Int),
            ("authentication_type_desc", DESC),
        ],
        database_principals,
    ),
    view(
        "sys",
        "database_role_members",
        &[
            ("role_principal_id", Type::Int),
            ("member_principal_id", Type::Int),
        ],
        database_role_members,
    ),
    view(
        "sys",
        "indexes",
        &[
            ("object_id", Type::Int),
            ("name", NAME),
            ("index_id", Type::Int),
            ("type", Type::TinyInt),
            ("type_desc", DESC),
            ("is_unique", Type::Bit),
            ("data_space_id", Type::Int),
            ("ignore_dup_key", Type::Bit),
            ("is_primary_key", Type::Bit),
            ("is_unique_constraint", Type::Bit),
            ("fill_factor", Type::TinyInt),
            ("is_padded", Type::Bit),
            ("is_disabled", Type::Bit),
            ("is_hypothetical", Type::Bit),
            ("has_filter", Type::Bit),
            ("filter_definition", Type::NVarChar(MAX)),
        ],
        indexes,
    ),
    view(
        "sys",
        "index_columns",
        &[
            ("object_id", Type::Int),
            ("index_id", Type::Int),
            ("index_column_id", Type::Int),
            ("column_id", Type::Int),
            ("key_ordinal", Type::TinyInt),
            ("partition_ordinal", Type::TinyInt),
            ("is_descending_key", Type::Bit),
            ("is_included_column", Type::Bit),
        ],
        index_columns,
    ),
    view(
        "sys",
        "identity_columns",
        &[
            ("object_id", Type::Int),
            ("name", NAME),
            ("column_id", Type::Int),
            ("seed_value", Type::Variant),
            ("increment_value", Type::Variant),
            ("last_value", Type::Variant),
            ("is_not_for_replication", Type::Bit),
        ],
        identity_columns,
    ),
    view(
        "sys",
        "foreign_keys",
        &[
            ("name", NAME),
            ("object_id", Type::Int),
            ("schema_id", Type::Int),
            ("parent_object_id", Type::Int),
            ("referenced_object_id", Type::Int),
            ("delete_referential_action", Type::TinyInt),
            ("delete_referential_action_desc", DESC),
            ("update_referential_action", Type::TinyInt),
            ("update_referential_action_desc", DESC),
            ("is_disabled", Type::Bit),
            ("is_not_trusted", Type::Bit),
        ],
        foreign_keys,
    ),
    view(
        "sys",
        "foreign_key_columns",
        &[
            ("constraint_object_id", Type::Int),
            ("constraint_column_id", Type::Int),
            ("parent_object_id", Type::Int),
            ("parent_column_id", Type::Int),
            ("referenced_object_id", Type::Int),
            ("referenced_column_id", Type::Int),
        ],
        foreign_key_columns,
    ),
    view(
        "sys",
        "default_constraints",
        &[
            ("name", NAME),
            ("object_id", Type::Int),
            ("parent_object_id", Type::Int),
            ("parent_column_id", Type::Int),
            ("definition", Type::NVarChar(MAX)),
            ("is_system_named", Type::Bit),
        ],
        default_constraints,
    ),
    view(
        "sys",
        "key_constraints",
        &[
            ("name", NAME),
            ("object_id", Type::Int),
            ("schema_id", Type::Int),
            ("parent_object_id", Type::Int),
            ("type", Type::Char(2)),
            ("type_desc", DESC),
            ("unique_index_id", Type::Int),
        ],
        key_constraints,
    ),
    view(
        "sys",
        "sql_modules",
        &[
            ("object_id", Type::Int),
            ("definition", Type::NVarChar(MAX)),
            ("uses_ansi_nulls", Type::Bit),
            ("uses_quoted_identifier", Type::Bit),
        ],
        sql_modules,
    ),
    view(
        "sys",
        "partitions",
        &[
            ("partition_id", Type::BigInt),
            ("object_id", Type::Int),
            ("index_id", Type::Int),
            ("partition_number", Type::Int),
            ("hobt_id", Type::BigInt),
            ("rows", Type::BigInt),
        ],
        partitions,
    ),
    view("sys", "database_files", FILE_COLUMNS, database_files),
    view(
        "sys",
        "master_files",
        &[
            ("database_id", Type::Int),
            ("file_id", Type::Int),
            ("type", Type::TinyInt),
            ("type_desc", DESC),
            ("data_space_id", Type::Int),
            ("name", NAME),
            ("physical_name", Type::NVarChar(260)),
            ("state", Type::TinyInt),
            ("state_desc", DESC),
            ("size", Type::Int),
            ("max_size", Type::Int),
            ("growth", Type::Int),
        ],
        master_files,
    ),
    view(
        "sys",
        "configurations",
        &[
            ("configuration_id", Type::Int),
            ("name", Type::NVarChar(35)),
            ("value", Type::Variant),
            ("minimum", Type::Variant),
            ("maximum", Type::Variant),
            ("value_in_use", Type::Variant),
            ("description", Type::NVarChar(255)),
            ("is_dynamic", Type::Bit),
            ("is_advanced", Type::Bit),
        ],
        configurations,
    ),
    view(
        "sys",
        "dm_os_sys_info",
        &[
            ("cpu_count", Type::Int),
            ("physical_memory_kb", Type::BigInt),
            ("sqlserver_start_time", Type::DateTime),
            ("ms_ticks", Type::BigInt),
            ("virtual_machine_type_desc", DESC),
        ],
        sys_info,
    ),
    view(
        "sys",
        "dm_os_host_info",
        &[
            ("host_platform", Type::NVarChar(256)),
            ("host_distribution", Type::NVarChar(256)),
            ("host_release", Type::NVarChar(256)),
            ("host_service_pack_level", Type::NVarChar(256)),
            ("host_sku", Type::Int),
            ("os_language_version", Type::Int),
        ],
        host_info,
    ),
    view(
        "sys",
        "dm_exec_sessions",
        &[
            ("session_id", Type::SmallInt),
            ("login_time", Type::DateTime),
            ("host_name", NAME),
            ("program_name", NAME),
            ("login_name", NAME),
            ("original_login_name", NAME),
            ("status", Type::NVarChar(30)),
            ("is_user_process", Type::Bit),
            ("database_id", Type::SmallInt),
            ("open_transaction_count", Type::Int),
            ("security_id", Type::Int),
        ],
        dm_sessions,
    ),
    view(
        "sys",
        "dm_exec_connections",
        &[
            ("session_id", Type::Int),
            ("net_transport", Type::NVarChar(40)),
            ("protocol_type", Type::NVarChar(40)),
            ("protocol_version", Type::Int),
            ("encrypt_option", Type::NVarChar(40)),
            ("auth_scheme", Type::NVarChar(40)),
            ("client_net_address", Type::VarChar(48)),
        ],
        dm_connections,
    ),
    view(
        "sys",
        "dm_exec_requests",
        &[
            ("session_id", Type::SmallInt),
            ("request_id", Type::Int),
            ("start_time", Type::DateTime),
            ("status", Type::NVarChar(30)),
            ("command", Type::NVarChar(32)),
            ("database_id", Type::SmallInt),
            ("blocking_session_id", Type::SmallInt),
            ("wait_type", Type::NVarChar(60)),
            ("percent_complete", Type::Real),
            ("estimated_completion_time", Type::BigInt),
            ("total_elapsed_time", Type::Int),
            ("cpu_time", Type::Int),
        ],
        empty,
    ),
    view(
        "sys",
        "messages",
        &[
            ("message_id", Type::Int),
            ("language_id", Type::SmallInt),
            ("severity", Type::TinyInt),
            ("is_event_logged", Type::Bit),
            ("text", Type::NVarChar(2048)),
        ],
        empty,
    ),
    view(
        "sys",
        "extended_properties",
        &[
            ("class", Type::TinyInt),
            ("class_desc", DESC),
            ("major_id", Type::Int),
            ("minor_id", Type::Int),
            ("name", NAME),
            ("value", Type::Variant),
        ],
        empty,
    ),
    view(
        "sys",
        "check_constraints",
        &[
            ("name", NAME),
            ("object_id", Type::Int),
            ("parent_object_id", Type::Int),
            ("parent_column_id", Type::Int),
            ("definition", Type::NVarChar(MAX)),
            ("is_disabled", Type::Bit),
        ],
        |s, d| {
            let mut out = Vec::new();
            for (o, info) in tables(s, d)? {
                for c in &info.checks {
                    out.push(vec![
                        t(&c.name),
                        n(o.id),
                        n(o.id),
                        n(0),
                        t(format!("({})", c.text)),
                        b(false),
                    ]);
                }
            }
            Ok(out)
        },
    ),
    view("sys", "triggers", OBJECT_COLUMNS, empty),
    view("sys", "sequences", OBJECT_COLUMNS, empty),
    view("sys", "synonyms", OBJECT_COLUMNS, empty),
    view(
        "sys",
        "computed_columns",
        &[
            ("object_id", Type::Int),
            ("name", NAME),
            ("column_id", Type::Int),
            ("definition", Type::NVarChar(MAX)),
            ("is_persisted", Type::Bit),
        ],
        empty,
    ),
    view(
        "INFORMATION_SCHEMA",
        "TABLES",
        &[
            ("TABLE_CATALOG", NAME),
            ("TABLE_SCHEMA", NAME),
            ("TABLE_NAME", NAME),
            ("TABLE_TYPE", Type::VarChar(10)),
        ],
        info_tables,
    ),
    view(
        "INFORMATION_SCHEMA",
        "VIEWS",
        &[
            ("TABLE_CATALOG", NAME),
            ("TABLE_SCHEMA", NAME),
            ("TABLE_NAME", NAME),
            ("VIEW_DEFINITION", Type::NVarChar(4000)),
            ("CHECK_OPTION", Type::VarChar(7)),
            ("IS_UPDATABLE", Type::VarChar(2)),
        ],
        info_views,
    ),
    view(
        "INFORMATION_SCHEMA",
        "SCHEMATA",
        &[
            ("CATALOG_NAME", NAME),
            ("SCHEMA_NAME", NAME),
            ("SCHEMA_OWNER", NAME),
        ],
        info_schemata,
    ),
    view(
        "INFORMATION_SCHEMA",
        "COLUMNS",
        &[
            ("TABLE_CATALOG", NAME),
            ("TABLE_SCHEMA", NAME),
            ("TABLE_NAME", NAME),
            ("COLUMN_NAME", NAME),
            ("ORDINAL_POSITION", Type::Int),
            ("COLUMN_DEFAULT", Type::NVarChar(4000)),
            ("IS_NULLABLE", Type::VarChar(3)),
            ("DATA_TYPE", NAME),
            ("CHARACTER_MAXIMUM_LENGTH", Type::Int),
            ("CHARACTER_OCTET_LENGTH", Type::Int),
            ("NUMERIC_PRECISION", Type::TinyInt),
            ("NUMERIC_PRECISION_RADIX", Type::SmallInt),
            ("NUMERIC_SCALE", Type::Int),
            ("DATETIME_PRECISION", Type::SmallInt),
            ("CHARACTER_SET_NAME", NAME),
            ("COLLATION_NAME", NAME),
        ],
        info_columns,
    ),
    view(
        "INFORMATION_SCHEMA",
        "TABLE_CONSTRAINTS",
        &[
            ("CONSTRAINT_CATALOG", NAME),
            ("CONSTRAINT_SCHEMA", NAME),
            ("CONSTRAINT_NAME", NAME),
            ("TABLE_CATALOG", NAME),
            ("TABLE_SCHEMA", NAME),
            ("TABLE_NAME", NAME),
            ("CONSTRAINT_TYPE", Type::VarChar(11)),
            ("IS_DEFERRABLE", Type::VarChar(2)),
            ("INITIALLY_DEFERRED", Type::VarChar(2)),
        ],
        table_constraints,
    ),
    view(
        "INFORMATION_SCHEMA",
        "KEY_COLUMN_USAGE",
        &[
            ("CONSTRAINT_CATALOG", NAME),
            ("CONSTRAINT_SCHEMA", NAME),
            ("CONSTRAINT_NAME", NAME),
            ("TABLE_CATALOG", NAME),
            ("TABLE_SCHEMA", NAME),
            ("TABLE_NAME", NAME),
            ("COLUMN_NAME", NAME),
            ("ORDINAL_POSITION", Type::Int),
        ],
        key_column_usage,
    ),
];
