//! Changes of data: INSERT, UPDATE, DELETE, MERGE, TRUNCATE.

mod constraint;
mod insert;
mod merge;
mod update;

use super::{
    ast::{Item, Output as Clause, Target},
    convert,
    decimal::Decimal,
    message::{self, Ends, Message, SqlResult},
    output::{Column, Output},
    query::{
        Bound, Env, TableRef,
        bind::{Binder, Scope, Source},
    },
    session::Session,
    statement::Exec,
    store::{ColumnInfo, File, identity_counter},
    types::{Family, MAX, Type},
    value::{Row, Value},
};

/// Brings a value to a column's type; what does not fit is an error rather than cut.
pub(crate) fn assign(
    s: &Session,
    v: &Value,
    from: Type,
    t: &TableRef,
    c: &ColumnInfo,
) -> SqlResult<Value> {
    if v.is_null() {
        return Ok(Value::Null);
    }
    let collation = s.file_by_id(t.database)?.column_collation(c);
    let out = convert::cast(v, from, c.ty, s.style(), collation)?;
    let limit = c.ty.length().filter(|n| *n != MAX).map(usize::from);
    let too_long = match (v, limit) {
        (Value::Text(text), Some(n)) if c.ty.is_text() => {
            convert::text_length(text.trim_end_matches(' '), c.ty, collation) > n
        }
        (Value::Binary(b), Some(n)) if c.ty.family() == Family::Binary => {
            b.iter().rposition(|x| *x != 0).is_some_and(|at| at >= n)
        }
        _ => false,
    };
    if too_long {
        let shown = match &out {
            Value::Text(text) => text.to_string(),
            _ => String::new(),
        };
        // Before SQL Server 2019 the text named no column.
        if s.server.options.version < 2019 {
            return Err(Message::new(
                8152,
                16,
                30,
                "String or binary data would be truncated.",
            ));
        }
        return Err(Message::new(
            2628,
            16,
            1,
            format!(
                "String or binary data would be truncated in table '{}', column '{}'. Truncated value: '{shown}'.",
                full_name(s, t),
                c.name
            ),
        ));
    }
    Ok(out)
}

/// `database.schema.table`
pub(crate) fn full_name(s: &Session, t: &TableRef) -> String {
    format!(
        "{}.{}.{}",
        database_name(s, t.database),
        t.object.schema,
        shown_name(t)
    )
}

pub(crate) fn shown_name(t: &TableRef) -> &str {
    &t.object.name
}

pub(crate) fn database_name(s: &Session, id: i32) -> String {
    s.server
        .state()
        .database_by_id(id)
        .map_or_else(|| "tempdb".to_owned(), |d| d.name.clone())
}

/// Defaults of a table's columns, bound once a statement.
pub(crate) struct Defaults(Vec<Option<Bound>>);

impl Defaults {
    pub(crate) fn of(s: &Session, t: &TableRef) -> SqlResult<Self> {
        let mut out = Vec::new();
        for c in &t.info.columns {
            out.push(match &c.default {
                Some((_, text)) => {
                    let e = super::parse::expression(text)?;
                    Some(s.binder().value(&e, &Scope::EMPTY)?)
                }
                None => None,
            });
        }
        Ok(Self(out))
    }

    fn value(&self, s: &Session, t: &TableRef, at: usize) -> SqlResult<Value> {
        match (self.0.get(at), t.info.columns.get(at)) {
            (Some(Some(b)), Some(c)) => {
                let v = s.eval(b, &Env::of(&[], None))?;
                assign(s, &v, b.ty(), t, c)
            }
            _ => Ok(Value::Null),
        }
    }
}

/// Completes a row to be inserted: identity, defaults, row versions. `None`: no value was given.
pub(crate) fn complete(
    s: &Session,
    file: &File,
    t: &TableRef,
    given: Vec<Option<Value>>,
    defaults: &Defaults,
) -> SqlResult<Row> {
    let mut row = Row::with_capacity(given.len());
    for (at, (v, c)) in given.into_iter().zip(&t.info.columns).enumerate() {
        row.push(if let Some((seed, step)) = c.identity {
            let counter = identity_counter(t.object.id);
            let n = match v {
                Some(v) => {
                    let n = whole(&v);
                    // The counter follows what was put in by hand.
                    let last = file.counter(&counter)?;
                    if last.is_none_or(|l| (step > 0 && n > l) || (step < 0 && n < l)) {
                        file.set_counter(&counter, n)?;
                    }
                    n
                }
                None => {
                    let n = file
                        .counter(&counter)?
                        .map_or(Some(seed), |l| l.checked_add(step));
                    let n = n.ok_or_else(|| message::overflow(c.ty.name()))?;
                    file.set_counter(&counter, n)?;
                    n
                }
            };
            s.identity.set(Some(n));
            if let Some(f) = s.frames.borrow_mut().last_mut() {
                f.scope_identity = Some(n);
            }
            let (v, from) = (Value::Int(n), Type::BigInt);
            convert::cast(&v, from, c.ty, s.style(), s.collation()).map_err(|_| {
                Message::new(
                    8115,
                    16,
                    1,
                    format!(
                        "Arithmetic overflow error converting IDENTITY to data type {}.",
                        c.ty.name()
                    ),
                )
            })?
        } else if c.rowversion {
            next_version(file)?
        } else {
            match v {
                Some(v) => v,
                None => defaults.value(s, t, at)?,
            }
        });
    }
    Ok(row)
}

pub(crate) fn next_version(file: &File) -> SqlResult<Value> {
    Ok(Value::binary(file.count_up("rowversion", 1)?.to_be_bytes()))
}

fn whole(v: &Value) -> i64 {
    match v {
        Value::Int(n) => *n,
        Value::Decimal(d) => Decimal::to_i64(*d).unwrap_or(0),
        _ => 0,
    }
}

/// Writes one complete row after all of its checks but those of foreign keys.
pub(crate) fn store_row(
    s: &Session,
    file: &File,
    t: &TableRef,
    checks: &constraint::Checks,
    row: &[Value],
    number: Option<i64>,
    verb: &str,
) -> SqlResult<i64> {
    for (v, c) in row.iter().zip(&t.info.columns) {
        if v.is_null() && !c.nullable {
            return Err(Message::new(
                515,
                16,
                2,
                format!(
                    "Cannot insert the value NULL into column '{}', table '{}'; column does not allow nulls. {verb} fails.",
                    c.name,
                    full_name(s, t)
                ),
            ));
        }
    }
    checks.test(s, t, row, verb)?;
    constraint::unique(s, file, t, checks, row)?;
    file.insert(t.object.id, &t.info, row, number)
}

/// An OUTPUT clause, bound to rows of `INSERTED`, `DELETED` and what else the statement sees.
pub(crate) struct Returned {
    items: Vec<Bound>,
    columns: Vec<Column>,
    into: Option<(TableRef, Vec<usize>)>,
}

impl Returned {
    /// `more` are sources behind the two, such as those of UPDATE … FROM.
    pub(crate) fn bind(
        b: &mut Binder<'_>,
        clause: Option<&Clause>,
        t: &TableRef,
        more: &[Source],
    ) -> SqlResult<Option<Self>> {
        let Some(clause) = clause else {
            return Ok(None);
        };
        let width = t.info.columns.len();
        let side = |alias: &str, offset: usize| Source {
            alias: alias.to_owned(),
            schema: None,
            columns: t.columns(),
            collations: t.collations(),
            offset,
            hidden: 0,
        };
        let mut sources = vec![side("inserted", 0), side("deleted", width)];
        let shift = width.saturating_mul(2);
        for s in more {
            let mut s = s.clone();
            s.offset = s.offset.saturating_add(shift);
            sources.push(s);
        }
        let scope = Scope {
            sources: &sources,
            gathered: None,
            parent: None,
        };
        if clause
            .items
            .iter()
            .any(|i| matches!(i, Item::Star | Item::Assign(..)))
        {
            return Err(message::syntax("*", 0));
        }
        let (items, columns) = b.plain_items(&clause.items, &scope)?;
        let into = match &clause.into {
            None => None,
            Some((target, names)) => {
                let t = match target {
                    Target::Named(name) => b.find_table(name)?,
                    Target::Variable(name) => b.find_table_variable(name)?,
                };
                let places = insert::places(&t, names, false)?;
                if places.len() != items.len() {
                    return Err(Message::new(
                        213,
                        16,
                        1,
                        "Column name or number of supplied values does not match table definition.",
                    )
                    .ending(Ends::Batch));
                }
                Some((t, places))
            }
        };
        Ok(Some(Self {
            items,
            columns,
            into,
        }))
    }

    /// The values for one changed row.
    pub(crate) fn row(
        &self,
        s: &Session,
        inserted: Option<&[Value]>,
        deleted: Option<&[Value]>,
        width: usize,
        more: &[Value],
    ) -> SqlResult<Row> {
        let mut whole = Row::new();
        for part in [inserted, deleted] {
            match part {
                Some(v) => whole.extend(v.iter().take(width).cloned()),
                None => whole.extend(std::iter::repeat_n(Value::Null, width)),
            }
        }
        whole.extend(more.iter().cloned());
        let env = Env::of(&whole, None);
        self.items.iter().map(|e| s.eval(e, &env)).collect()
    }

    /// Sends what was gathered, or puts it into its table.
    pub(crate) fn finish(&self, s: &Session, rows: Vec<Row>, out: &mut dyn Output) -> Exec<bool> {
        let Some((t, places)) = &self.into else {
            out.columns(&self.columns)?;
            for row in &rows {
                out.row(row)?;
            }
            return Ok(true);
        };
        let types: Vec<Type> = self.items.iter().map(Bound::ty).collect();
        s.insert_rows(t, places, &rows, &types)?;
        Ok(false)
    }
}

pub(crate) use constraint::is_referenced;

/// Binds a table's checks, which fails where they make no sense.
pub(crate) fn check_constraints(s: &Session, t: &TableRef) -> SqlResult<()> {
    constraint::Checks::of(s, t).map(|_| ())
}

/// Completes a row that is stored already for a table with more columns.
pub(crate) fn complete_old(
    s: &Session,
    file: &File,
    t: &TableRef,
    given: Vec<Option<Value>>,
    defaults: &Defaults,
    known: usize,
) -> SqlResult<Row> {
    let mut row = Row::new();
    for (at, (v, c)) in given.into_iter().zip(&t.info.columns).enumerate() {
        row.push(match v {
            Some(v) if at < known || v.is_null() => v,
            _ if c.identity.is_some() => {
                let counter = identity_counter(t.object.id);
                let (seed, step) = c.identity.unwrap_or((1, 1));
                let n = file
                    .counter(&counter)?
                    .map_or(seed, |l| l.saturating_add(step));
                file.set_counter(&counter, n)?;
                convert::cast(&Value::Int(n), Type::BigInt, c.ty, s.style(), s.collation())?
            }
            _ if c.rowversion => next_version(file)?,
            _ => defaults.value(s, t, at)?,
        });
    }
    Ok(row)
}

/// Writes rows anew under their old numbers.
pub(crate) fn refill(
    s: &Session,
    file: &File,
    t: &TableRef,
    rows: &[(i64, Row)],
    verb: &str,
) -> SqlResult<()> {
    for (number, _) in rows {
        file.delete(t.object.id, *number)?;
    }
    for (number, row) in rows {
        s.check()?;
        for (v, c) in row.iter().zip(&t.info.columns) {
            if v.is_null() && !c.nullable {
                return Err(Message::new(
                    515,
                    16,
                    2,
                    format!(
                        "Cannot insert the value NULL into column '{}', table '{}'; column does not allow nulls. {verb} fails.",
                        c.name,
                        full_name(s, t)
                    ),
                ));
            }
        }
        file.insert(t.object.id, &t.info, row, Some(*number))?;
    }
    Ok(())
}

/// Holds rows that are there against constraints that are new.
pub(crate) fn verify(s: &Session, file: &File, t: &TableRef, rows: &[(i64, Row)]) -> SqlResult<()> {
    let checks = constraint::Checks::of(s, t)?;
    for (_, row) in rows {
        s.check()?;
        checks.test(s, t, row, "ALTER TABLE")?;
    }
    let all: Vec<&[Value]> = rows.iter().map(|(_, r)| r.as_slice()).collect();
    constraint::foreign(s, file, t, &all, "ALTER TABLE")?;
    verify_unique(s, file, t)
}

/// Refuses a unique key that rows already break.
pub(crate) fn verify_unique(s: &Session, file: &File, t: &TableRef) -> SqlResult<()> {
    for k in t
        .info
        .keys
        .iter()
        .filter(|k| k.unique && k.filter.is_none())
    {
        let mut seen = std::collections::HashSet::new();
        let places: Vec<usize> = k
            .columns
            .iter()
            .filter_map(|id| t.info.by_id(*id).map(|(at, _)| at))
            .collect();
        let mut twice = None;
        file.scan(t.object.id, &t.info, &[], &mut |row| {
            s.check()?;
            let values: Vec<Value> = places
                .iter()
                .filter_map(|at| row.get(*at).cloned())
                .collect();
            if !seen.insert(
                values
                    .iter()
                    .map(|v| v.key(t.collation))
                    .collect::<Vec<_>>(),
            ) {
                twice = Some(values);
                return Ok(false);
            }
            Ok(true)
        })?;
        if let Some(values) = twice {
            let inner = constraint::duplicate(t, k, &values);
            let value = inner
                .text
                .rsplit_once("The duplicate key value is ")
                .map_or("", |(_, v)| v)
                .to_owned();
            return Err(Message::new(
                1505,
                16,
                1,
                format!(
                    "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '{}.{}' and the index name '{}'. The duplicate key value is {value}",
                    t.object.schema, t.object.name, k.name
                ),
            ));
        }
    }
    Ok(())
}

/// A foreign key of another table that needs this key.
pub(crate) fn referencing(
    file: &File,
    table: i64,
    columns: &[u32],
) -> SqlResult<Option<(super::store::Object, super::store::ForeignInfo)>> {
    Ok(is_referenced(file, table)?.filter(|(_, f)| {
        let (mut a, mut b) = (f.referenced.clone(), columns.to_vec());
        a.sort_unstable();
        b.sort_unstable();
        a == b
    }))
}
