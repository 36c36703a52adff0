//! Views of keys, indexes and constraints.

use super::{b, n, schema_of, schemas, t, tables};
use crate::sql::{
    message::SqlResult,
    session::Session,
    value::{Row, Value},
};

pub(super) fn indexes(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn index_row(
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

pub(super) fn index_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn identity_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let file = s.file_by_id(database)?;
    let mut out = Vec::new();
    for (o, info) in tables(s, database)? {
        for c in &info.columns {
            if let Some((seed, step)) = c.identity {
                let last = file.counter(&crate::sql::store::identity_counter(o.id))?;
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

pub(super) fn foreign_keys(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn foreign_key_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn default_constraints(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn key_constraints(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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
