//! Views of what a database holds.

use super::{TYPES, b, n, objects, schema_of, schemas, t, tables, when};
use crate::sql::{
    message::SqlResult,
    session::Session,
    store::{ColumnInfo, Kind, Object},
    value::{Row, Value},
};

pub(super) fn object_row(o: &Object, schema: Value, kind: &str, desc: &str, parent: i64) -> Row {
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

pub(super) fn kind_desc(k: &Kind) -> &'static str {
    match k {
        Kind::Table(_) => "USER_TABLE",
        Kind::View(_) => "VIEW",
        Kind::Procedure(_) => "SQL_STORED_PROCEDURE",
    }
}

pub(super) fn sys_objects(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn of_kind(s: &Session, database: i32, code: &str) -> SqlResult<Vec<Row>> {
    let known = schemas(s, database)?;
    Ok(objects(s, database)?
        .iter()
        .filter(|o| o.kind.code() == code)
        .map(|o| object_row(o, schema_of(&known, &o.schema), code, kind_desc(&o.kind), 0))
        .collect())
}

/// The columns of a table or view.
pub(crate) fn columns_of(s: &Session, o: &Object) -> Vec<ColumnInfo> {
    match &o.kind {
        Kind::Table(info) => info.columns.clone(),
        // A view whose tables are gone has no columns any more.
        Kind::View(_) => s
            .view_columns(o)
            .unwrap_or_default()
            .into_iter()
            .zip(1_u32..)
            .map(|(c, id)| ColumnInfo {
                id,
                name: c.name,
                ty: c.ty,
                nullable: c.nullable,
                identity: None,
                default: None,
                rowversion: false,
                collation: None,
            })
            .collect(),
        Kind::Procedure(_) => Vec::new(),
    }
}

/// The collation of a database.
pub(super) fn collation_of(s: &Session, database: i32) -> String {
    let state = s.server.state();
    state
        .database_by_id(database)
        .map(|d| d.collation.clone())
        .unwrap_or_default()
}

pub(super) fn sys_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let collation = collation_of(s, database);
    let mut out = Vec::new();
    for o in objects(s, database)? {
        for c in columns_of(s, &o) {
            let (precision, scale) = c.ty.precision_scale();
            let system = if c.rowversion { 189 } else { c.ty.system_id() };
            let default = if c.default.is_some() {
                o.id.saturating_add(i64::from(c.id))
            } else {
                0
            };
            out.push(vec![
                n(o.id),
                t(&c.name),
                n(c.id),
                n(system),
                n(system),
                n(c.ty.max_length()),
                n(precision),
                n(scale),
                if c.ty.is_text() {
                    t(c.collation.as_deref().unwrap_or(&collation))
                } else {
                    Value::Null
                },
                b(c.nullable),
                b(true),
                b(false),
                b(c.identity.is_some()),
                b(false),
                n(default),
                n(0),
                b(false),
                n(0),
                b(false),
            ]);
        }
    }
    Ok(out)
}

pub(super) fn sys_types(_: &Session, _: i32) -> SqlResult<Vec<Row>> {
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
                    t(crate::sql::collation::Collation::DEFAULT_NAME)
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

pub(super) fn sys_schemas(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    Ok(schemas(s, database)?
        .into_iter()
        .map(|(id, name, owner)| vec![t(name), n(id), n(owner)])
        .collect())
}

pub(super) fn database_principals(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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
        .map_err(crate::sql::store::sql)?;
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
        .map_err(crate::sql::store::sql)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()
        .map_err(crate::sql::store::sql)
}

pub(super) fn database_role_members(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let file = s.file_by_id(database)?;
    let mut q = file
        .db
        .prepare_cached("SELECT role, member FROM role_member")
        .map_err(crate::sql::store::sql)?;
    let rows = q
        .query_map([], |r| {
            Ok(vec![Value::Int(r.get(0)?), Value::Int(r.get(1)?)])
        })
        .map_err(crate::sql::store::sql)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()
        .map_err(crate::sql::store::sql)
}

pub(super) fn sql_modules(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn partitions(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let file = s.file_by_id(database)?;
    let mut out = Vec::new();
    for (o, _) in tables(s, database)? {
        let count: i64 = file
            .db
            .query_row(&format!("SELECT count(*) FROM t{}", o.id), [], |r| r.get(0))
            .map_err(crate::sql::store::sql)?;
        out.push(vec![n(o.id), n(o.id), n(1), n(1), n(o.id), n(count)]);
    }
    Ok(out)
}
