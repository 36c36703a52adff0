//! Constraints: CHECK, keys, foreign keys.

use super::{database_name, shown_name};
use crate::sql::{
    convert::{self, Style},
    message::{Message, SqlResult},
    parse,
    query::{
        Condition, Env, TableRef,
        bind::{Scope, Source},
    },
    session::Session,
    store::{File, ForeignInfo, KeyInfo, Kind, Object, TableInfo},
    types::Type,
    value::{Row, Value},
};

/// A table's CHECK constraints and the filters of its indexes, bound once a statement.
pub(crate) struct Checks {
    checks: Vec<(String, Option<String>, Condition)>,
    filters: Vec<Option<Condition>>,
}

impl Checks {
    pub(crate) fn of(s: &Session, t: &TableRef) -> SqlResult<Self> {
        let source = Source {
            alias: t.object.name.clone(),
            schema: None,
            columns: t.columns(),
            collations: t.collations(),
            offset: 0,
            hidden: 0,
        };
        let sources = [source];
        let scope = Scope {
            sources: &sources,
            gathered: None,
            parent: None,
        };
        let mut b = s.binder();
        let mut checks = Vec::new();
        for c in &t.info.checks {
            checks.push((
                c.name.clone(),
                c.column.clone(),
                b.condition(&parse::expression(&c.text)?, &scope)?,
            ));
        }
        let mut filters = Vec::new();
        for k in &t.info.keys {
            filters.push(match &k.filter {
                Some(text) => Some(b.condition(&parse::expression(text)?, &scope)?),
                None => None,
            });
        }
        Ok(Self { checks, filters })
    }

    pub(crate) fn test(
        &self,
        s: &Session,
        t: &TableRef,
        row: &[Value],
        verb: &str,
    ) -> SqlResult<()> {
        for (name, column, condition) in &self.checks {
            // UNKNOWN passes.
            if s.test(condition, &Env::of(row, None))? == Some(false) {
                return Err(Message::new(
                    547,
                    16,
                    0,
                    conflict(s, t, verb, "CHECK", name, column.as_deref()),
                ));
            }
        }
        Ok(())
    }
}

fn conflict(
    s: &Session,
    t: &TableRef,
    verb: &str,
    kind: &str,
    name: &str,
    column: Option<&str>,
) -> String {
    let column = column
        .map(|c| format!(", column '{c}'"))
        .unwrap_or_default();
    format!(
        "The {verb} statement conflicted with the {kind} constraint \"{name}\". The conflict occurred in database \"{}\", table \"{}.{}\"{column}.",
        database_name(s, t.database),
        t.object.schema,
        shown_name(t)
    )
}

fn picked(t: &TableInfo, columns: &[u32], row: &[Value]) -> Vec<Value> {
    columns
        .iter()
        .map(|id| {
            t.by_id(*id)
                .and_then(|(at, _)| row.get(at))
                .cloned()
                .unwrap_or(Value::Null)
        })
        .collect()
}

fn shown(t: &TableInfo, columns: &[u32], values: &[Value]) -> String {
    let texts: Vec<String> = columns
        .iter()
        .zip(values)
        .map(|(id, v)| {
            if v.is_null() {
                return "<NULL>".to_owned();
            }
            let ty = t.by_id(*id).map_or(Type::Variant, |(_, c)| c.ty);
            let ty = if ty == Type::Variant {
                v.own_type()
            } else {
                ty
            };
            convert::to_text(v, ty, Style::default()).unwrap_or_default()
        })
        .collect();
    texts.join(", ")
}

/// Refuses a row whose key another row has. The row itself must not be stored.
pub(crate) fn unique(
    s: &Session,
    file: &File,
    t: &TableRef,
    checks: &Checks,
    row: &[Value],
) -> SqlResult<()> {
    for (k, filter) in t.info.keys.iter().zip(&checks.filters) {
        if !k.unique {
            continue;
        }
        if let Some(f) = filter
            && s.test(f, &Env::of(row, None))? != Some(true)
        {
            continue;
        }
        let values = picked(&t.info, &k.columns, row);
        let taken = match filter {
            None => file.has(t.object.id, &k.columns, &values, None)?,
            Some(f) => {
                let equal: Vec<(usize, Value)> = k
                    .columns
                    .iter()
                    .zip(&values)
                    .filter_map(|(id, v)| t.info.by_id(*id).map(|(at, _)| (at, v.clone())))
                    .collect();
                let mut hit = false;
                file.scan(t.object.id, &t.info, &equal, &mut |other| {
                    hit = s.test(f, &Env::of(&other, None))? == Some(true);
                    Ok(!hit)
                })?;
                hit
            }
        };
        if taken {
            return Err(duplicate(t, k, &values));
        }
    }
    Ok(())
}

pub(crate) fn duplicate(
    t: &TableRef,
    k: &KeyInfo,
    values: &[Value],
) -> crate::sql::message::SqlError {
    let object = format!("{}.{}", t.object.schema, shown_name(t));
    let value = shown(&t.info, &k.columns, values);
    if k.constraint {
        let kind = if k.primary {
            "PRIMARY KEY"
        } else {
            "UNIQUE KEY"
        };
        return Message::new(
            2627,
            14,
            1,
            format!(
                "Violation of {kind} constraint '{}'. Cannot insert duplicate key in object '{object}'. The duplicate key value is ({value}).",
                k.name
            ),
        );
    }
    Message::new(
        2601,
        14,
        1,
        format!(
            "Cannot insert duplicate key row in object '{object}' with unique index '{}'. The duplicate key value is ({value}).",
            k.name
        ),
    )
}

fn table_by_id(s: &Session, file: &File, database: i32, id: i64) -> SqlResult<Option<TableRef>> {
    match file.object_by_id(id)? {
        Some(o) => s.binder().table_ref(database, o).map(Some),
        None => Ok(None),
    }
}

/// Refuses rows that point at nothing. All of the statement's rows are stored already.
pub(crate) fn foreign(
    s: &Session,
    file: &File,
    t: &TableRef,
    rows: &[&[Value]],
    verb: &str,
) -> SqlResult<()> {
    for f in &t.info.foreign {
        let Some(parent) = table_by_id(s, file, t.database, f.table)? else {
            continue;
        };
        for row in rows {
            s.check()?;
            let values = picked(&t.info, &f.columns, row);
            if values.iter().any(Value::is_null)
                || file.has(parent.object.id, &f.referenced, &values, None)?
            {
                continue;
            }
            let column = match f.referenced.as_slice() {
                [one] => parent.info.by_id(*one).map(|(_, c)| c.name.clone()),
                _ => None,
            };
            return Err(Message::new(
                547,
                16,
                0,
                conflict(s, &parent, verb, "FOREIGN KEY", &f.name, column.as_deref()),
            ));
        }
    }
    Ok(())
}

/// Tables with a foreign key to this one.
fn children(file: &File, id: i64) -> SqlResult<Vec<(Object, std::rc::Rc<TableInfo>, ForeignInfo)>> {
    let mut out = Vec::new();
    for o in file.objects()? {
        let Kind::Table(info) = &o.kind else {
            continue;
        };
        for f in info.foreign.iter().filter(|f| f.table == id) {
            out.push((o.clone(), std::rc::Rc::clone(info), f.clone()));
        }
    }
    Ok(out)
}

/// Acts on rows that pointed at rows which are gone or have another key now.
///
/// `changed` holds each old row and, for an UPDATE, the new one.
pub(crate) fn referenced(
    s: &Session,
    file: &File,
    t: &TableRef,
    changed: &[(&[Value], Option<&[Value]>)],
    verb: &str,
    depth: u32,
) -> SqlResult<()> {
    if depth > 32 {
        return Err(Message::new(
            217,
            16,
            1,
            "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
        ));
    }
    for (object, info, f) in children(file, t.object.id)? {
        let child = TableRef {
            database: t.database,
            object,
            info,
            collation: t.collation,
        };
        let columns: Vec<usize> = f
            .columns
            .iter()
            .filter_map(|id| child.info.by_id(*id).map(|(at, _)| at))
            .collect();
        for (old, new) in changed {
            s.check()?;
            let key = picked(&t.info, &f.referenced, old);
            let after = new.map(|n| picked(&t.info, &f.referenced, n));
            if key.iter().any(Value::is_null) || after.as_ref() == Some(&key) {
                continue;
            }
            // Another row may still have that key.
            if file.has(t.object.id, &f.referenced, &key, None)? {
                continue;
            }
            let equal: Vec<(usize, Value)> =
                columns.iter().copied().zip(key.iter().cloned()).collect();
            let mut hit: Vec<Row> = Vec::new();
            file.scan(child.object.id, &child.info, &equal, &mut |row| {
                s.hold(row.len().saturating_mul(32))?;
                hit.push(row);
                Ok(true)
            })?;
            if hit.is_empty() {
                continue;
            }
            let action = if new.is_some() {
                &f.on_update
            } else {
                &f.on_delete
            };
            if action == "NO ACTION" {
                let column = match f.columns.as_slice() {
                    [one] => child.info.by_id(*one).map(|(_, c)| c.name.clone()),
                    _ => None,
                };
                let kind = if child.object.id == t.object.id {
                    "SAME TABLE REFERENCE"
                } else {
                    "REFERENCE"
                };
                return Err(Message::new(
                    547,
                    16,
                    0,
                    conflict(s, &child, verb, kind, &f.name, column.as_deref()),
                ));
            }
            let numbers: Vec<i64> = hit
                .iter_mut()
                .filter_map(|row| {
                    if let Some(Value::Int(n)) = row.pop() {
                        Some(n)
                    } else {
                        None
                    }
                })
                .collect();
            for n in &numbers {
                file.delete(child.object.id, *n)?;
            }
            if action == "CASCADE" && new.is_none() {
                let gone: Vec<(&[Value], Option<&[Value]>)> =
                    hit.iter().map(|r| (r.as_slice(), None)).collect();
                referenced(s, file, &child, &gone, verb, depth.saturating_add(1))?;
                continue;
            }
            let checks = Checks::of(s, &child)?;
            let defaults = super::Defaults::of(s, &child)?;
            let mut fresh = Vec::new();
            for (row, n) in hit.iter().zip(&numbers) {
                let mut row_after = row.clone();
                for (k, at) in columns.iter().enumerate() {
                    if let Some(slot) = row_after.get_mut(*at) {
                        *slot = match action.as_str() {
                            "CASCADE" => after
                                .as_ref()
                                .and_then(|a| a.get(k))
                                .cloned()
                                .unwrap_or(Value::Null),
                            "SET DEFAULT" => defaults.value(s, &child, *at)?,
                            _ => Value::Null,
                        };
                    }
                }
                super::store_row(s, file, &child, &checks, &row_after, Some(*n), "UPDATE")?;
                fresh.push(row_after);
            }
            let pairs: Vec<(&[Value], Option<&[Value]>)> = hit
                .iter()
                .zip(&fresh)
                .map(|(a, b)| (a.as_slice(), Some(b.as_slice())))
                .collect();
            referenced(s, file, &child, &pairs, verb, depth.saturating_add(1))?;
        }
    }
    Ok(())
}

/// Whether any table points at this one.
pub(crate) fn is_referenced(file: &File, id: i64) -> SqlResult<Option<(Object, ForeignInfo)>> {
    Ok(children(file, id)?
        .into_iter()
        .find(|(o, _, _)| o.id != id)
        .map(|(o, _, f)| (o, f)))
}
