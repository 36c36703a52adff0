//! `INFORMATION_SCHEMA`.

use super::{database_name, n, object, objects, schemas, t, tables};
use crate::sql::{
    message::SqlResult,
    session::Session,
    store::Kind,
    types::{MAX, Type},
    value::{Row, Value},
};

pub(super) fn info_tables(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn info_views(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn info_schemata(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let catalog = database_name(s, database);
    Ok(schemas(s, database)?
        .into_iter()
        .map(|(_, name, _)| vec![catalog.clone(), t(&name), t("dbo")])
        .collect())
}

pub(super) fn info_columns(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let catalog = database_name(s, database);
    let collation = object::collation_of(s, database);
    let mut out = Vec::new();
    for o in objects(s, database)? {
        for (place, c) in (1_i64..).zip(object::columns_of(s, &o)) {
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

pub(super) fn table_constraints(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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

pub(super) fn key_column_usage(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
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
