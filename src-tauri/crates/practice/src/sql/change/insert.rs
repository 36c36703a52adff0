//! INSERT, and the ways rows come into tables elsewhere.

use super::{Defaults, Returned, assign, complete, constraint, store_row};
use crate::sql::{
    ast::{Expr, Insert, Source, Target},
    message::{self, Ends, Message, SqlResult},
    output::{Change, Column, Done, Gone, Output, command},
    query::{
        Bound, Env, TableRef,
        bind::{Cte, Scope},
    },
    session::Session,
    statement::Exec,
    store::same_name,
    types::Type,
    value::{Row, Value},
};

fn count_mismatch() -> message::SqlError {
    Message::new(
        213,
        16,
        1,
        "Column name or number of supplied values does not match table definition.",
    )
    .ending(Ends::Batch)
}

/// The columns that values go into, by position. Without names: all that take values.
pub(crate) fn places(t: &TableRef, names: &[String], identity: bool) -> SqlResult<Vec<usize>> {
    if names.is_empty() {
        return Ok(t
            .info
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| (c.identity.is_none() || identity) && !c.rowversion)
            .map(|(at, _)| at)
            .collect());
    }
    let mut out: Vec<usize> = Vec::new();
    for name in names {
        let at = t
            .info
            .columns
            .iter()
            .position(|c| same_name(&c.name, name))
            .ok_or_else(|| message::no_column(name))?;
        if out.contains(&at) {
            return Err(Message::new(
                264,
                16,
                1,
                format!(
                    "The column name '{name}' is specified more than once in the SET clause or column list of an INSERT. A column cannot be assigned more than one value in the same clause."
                ),
            )
            .ending(Ends::Batch));
        }
        out.push(at);
    }
    Ok(out)
}

/// Checks which columns an INSERT may name.
pub(crate) fn check_places(s: &Session, t: &TableRef, places: &[usize]) -> SqlResult<()> {
    let on = s.settings.borrow().identity_insert == Some(t.object.id);
    for (at, c) in t.info.columns.iter().enumerate() {
        let named = places.contains(&at);
        if c.identity.is_some() && named && !on {
            return Err(Message::new(
                544,
                16,
                1,
                format!("Cannot insert explicit value for identity column in table '{}' when IDENTITY_INSERT is set to OFF.", t.object.name),
            )
            .ending(Ends::Batch));
        }
        if c.identity.is_some() && !named && on {
            return Err(Message::new(
                545,
                16,
                1,
                format!(
                    "Explicit value must be specified for identity column in table '{}' either when IDENTITY_INSERT is set to ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.",
                    t.object.name
                ),
            )
            .ending(Ends::Batch));
        }
        if c.rowversion && named {
            return Err(Message::new(
                273,
                16,
                1,
                "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp column, or insert a DEFAULT into the timestamp column.",
            )
            .ending(Ends::Batch));
        }
    }
    Ok(())
}

/// Values of a VALUES row; `None` is DEFAULT.
type Given = Vec<Option<(Bound, Type)>>;

impl Session {
    /// Puts rows into a table; `types` are the types of their values.
    pub(crate) fn insert_rows(
        &self,
        t: &TableRef,
        places: &[usize],
        rows: &[Row],
        types: &[Type],
    ) -> SqlResult<Vec<Row>> {
        let defaults = Defaults::of(self, t)?;
        let checks = constraint::Checks::of(self, t)?;
        self.write(t.database, |file| {
            let mut stored = Vec::new();
            for row in rows {
                self.check()?;
                let mut given: Vec<Option<Value>> = vec![None; t.info.columns.len()];
                for ((at, v), from) in places.iter().zip(row).zip(types) {
                    if let (Some(slot), Some(c)) = (given.get_mut(*at), t.info.columns.get(*at)) {
                        *slot = Some(assign(self, v, *from, t, c)?);
                    }
                }
                let row = complete(self, file, t, given, &defaults)?;
                store_row(self, file, t, &checks, &row, None, "INSERT")?;
                stored.push(row);
            }
            let all: Vec<&[Value]> = stored.iter().map(Vec::as_slice).collect();
            constraint::foreign(self, file, t, &all, "INSERT")?;
            Ok(stored)
        })
    }

    pub(crate) fn insert(&self, i: &Insert, out: &mut dyn Output) -> Exec<()> {
        self.begin_implicitly(out)?;
        let mut b = self.binder();
        let t = match &i.target {
            Target::Named(name) => b.find_table(name)?,
            Target::Variable(name) => b.find_table_variable(name)?,
        };
        self.need_access(t.database, &t.object, "INSERT")?;
        for common in &i.with {
            b.ctes.push(Cte::Query(std::rc::Rc::new(common.clone())));
        }
        let identity = self.settings.borrow().identity_insert == Some(t.object.id);
        let targets = places(&t, &i.columns, identity && !i.columns.is_empty())?;
        if !matches!(i.source, Source::Defaults) {
            check_places(self, &t, &targets)?;
        }
        let mut returned = Returned::bind(&mut b, i.output.as_ref(), &t, &[])?;
        let checks = constraint::Checks::of(self, &t)?;
        let defaults = Defaults::of(self, &t)?;
        // Every value is known before the first row is written, so that a table can feed itself.
        let rows: Vec<Vec<Option<Value>>> = match &i.source {
            Source::Defaults => vec![vec![None; t.info.columns.len()]],
            Source::Values(list) => {
                let mut bound = Vec::new();
                for row in list {
                    if row.len() != targets.len() {
                        return Err(if i.columns.is_empty() {
                            count_mismatch()
                        } else {
                            wrong_count(row.len() < targets.len())
                        }
                        .into());
                    }
                    bound.push(self.bind_row(&mut b, row, &t, &targets)?);
                }
                bound
                    .into_iter()
                    .map(|row| self.given(&t, &targets, row))
                    .collect::<SqlResult<_>>()?
            }
            Source::Query(q) => {
                let plan = b.query(q, &Scope::EMPTY)?;
                if plan.columns.len() != targets.len() {
                    return Err(if i.columns.is_empty() {
                        count_mismatch()
                    } else {
                        select_count(plan.columns.len() < targets.len())
                    }
                    .into());
                }
                for (c, at) in plan.columns.iter().zip(&targets) {
                    if let Some(target) = t.info.columns.get(*at) {
                        crate::sql::convert::implicit(c.ty, target.ty)?;
                    }
                }
                let types: Vec<Type> = plan.columns.iter().map(|c| c.ty).collect();
                let mut rows = Vec::new();
                self.run_query(&plan, None, &mut |row| {
                    self.hold(row.iter().map(Value::weight).sum())?;
                    rows.push(self.spread(&t, &targets, &row, &types)?);
                    Ok(true)
                })?;
                rows
            }
            Source::Exec(e) => {
                let mut caught = Captured {
                    session: self,
                    columns: Vec::new(),
                    rows: Vec::new(),
                    out,
                };
                self.exec_statement(e, &mut caught)?;
                let (columns, found) = (caught.columns, caught.rows);
                if !columns.is_empty() && columns.len() != targets.len() {
                    return Err(count_mismatch().into());
                }
                let types: Vec<Type> = columns.iter().map(|c| c.ty).collect();
                found
                    .iter()
                    .map(|row| self.spread(&t, &targets, row, &types))
                    .collect::<SqlResult<_>>()?
            }
        };
        let mut sent = Vec::new();
        let count = self.write(t.database, |file| {
            let mut stored = Vec::new();
            for given in rows {
                self.check()?;
                let row = complete(self, file, &t, given, &defaults)?;
                store_row(self, file, &t, &checks, &row, None, "INSERT")?;
                if let Some(r) = &mut returned {
                    sent.push(r.row(self, Some(&row), None, t.info.columns.len(), &[])?);
                }
                stored.push(row);
            }
            let all: Vec<&[Value]> = stored.iter().map(Vec::as_slice).collect();
            constraint::foreign(self, file, &t, &all, "INSERT")?;
            Ok(stored.len())
        })?;
        if let Some(r) = &returned {
            r.finish(self, sent, out)?;
        }
        self.counted(
            out,
            command::INSERT,
            u64::try_from(count).unwrap_or(u64::MAX),
        )
    }

    fn bind_row(
        &self,
        b: &mut crate::sql::query::bind::Binder<'_>,
        row: &[Expr],
        t: &TableRef,
        targets: &[usize],
    ) -> SqlResult<Given> {
        let mut out = Vec::new();
        for (e, at) in row.iter().zip(targets) {
            out.push(match e {
                Expr::Default => None,
                e => {
                    let v = b.value(e, &Scope::EMPTY)?;
                    let ty = v.ty();
                    if let Some(c) = t.info.columns.get(*at) {
                        crate::sql::convert::implicit(ty, c.ty)?;
                    }
                    Some((v, ty))
                }
            });
        }
        Ok(out)
    }

    fn given(&self, t: &TableRef, targets: &[usize], row: Given) -> SqlResult<Vec<Option<Value>>> {
        let mut out = vec![None; t.info.columns.len()];
        for (at, v) in targets.iter().zip(row) {
            if let (Some(slot), Some(c), Some((b, ty))) =
                (out.get_mut(*at), t.info.columns.get(*at), v)
            {
                let v = self.eval(&b, &Env::of(&[], None))?;
                *slot = Some(assign(self, &v, ty, t, c)?);
            }
        }
        Ok(out)
    }

    fn spread(
        &self,
        t: &TableRef,
        targets: &[usize],
        row: &[Value],
        types: &[Type],
    ) -> SqlResult<Vec<Option<Value>>> {
        let mut out = vec![None; t.info.columns.len()];
        for ((at, v), ty) in targets.iter().zip(row).zip(types) {
            if let (Some(slot), Some(c)) = (out.get_mut(*at), t.info.columns.get(*at)) {
                *slot = Some(assign(self, v, *ty, t, c)?);
            }
        }
        Ok(out)
    }
}

fn wrong_count(fewer: bool) -> message::SqlError {
    let (number, text) = if fewer {
        (
            109,
            "There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
        )
    } else {
        (
            110,
            "There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
        )
    };
    Message::new(number, 15, 1, text).ending(Ends::Batch)
}

fn select_count(fewer: bool) -> message::SqlError {
    let (number, text) = if fewer {
        (
            120,
            "The select list for the INSERT statement contains fewer items than the insert list. The number of SELECT values must match the number of INSERT columns.",
        )
    } else {
        (
            121,
            "The select list for the INSERT statement contains more items than the insert list. The number of SELECT values must match the number of INSERT columns.",
        )
    };
    Message::new(number, 15, 1, text).ending(Ends::Batch)
}

/// Takes the rows of INSERT … EXEC; messages go on to the client.
struct Captured<'a> {
    session: &'a Session,
    columns: Vec<Column>,
    rows: Vec<Row>,
    out: &'a mut dyn Output,
}

impl Output for Captured<'_> {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Gone> {
        self.columns = columns.to_vec();
        Ok(())
    }

    fn row(&mut self, values: &[Value]) -> Result<(), Gone> {
        if self
            .session
            .hold(values.iter().map(Value::weight).sum())
            .is_err()
        {
            return Err(Gone);
        }
        self.rows.push(values.to_vec());
        Ok(())
    }

    fn done(&mut self, _: Done) -> Result<(), Gone> {
        Ok(())
    }

    fn message(&mut self, message: &Message) -> Result<(), Gone> {
        self.out.message(message)
    }

    fn change(&mut self, change: &Change) -> Result<(), Gone> {
        self.out.change(change)
    }

    fn status(&mut self, _: i32) -> Result<(), Gone> {
        Ok(())
    }

    fn returned(&mut self, _: &str, _: u16, _: Type, _: &Value) -> Result<(), Gone> {
        Ok(())
    }
}
