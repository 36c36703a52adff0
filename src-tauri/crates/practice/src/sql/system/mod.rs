//! The catalog views: `sys.…` and `INFORMATION_SCHEMA.…`.

mod information;
mod key;
mod object;
mod server;
mod views;

pub(crate) use object::columns_of;

use super::{
    message::SqlResult,
    output::Column,
    session::Session,
    store::{Kind, Object, TableInfo, same_name},
    types::Type,
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
        views::VIEWS
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

pub(crate) fn when(text: &str) -> Value {
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

fn empty(_: &Session, _: i32) -> SqlResult<Vec<Row>> {
    Ok(Vec::new())
}
