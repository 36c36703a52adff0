//! UPDATE, DELETE, TRUNCATE.

use std::collections::HashSet;

use super::{Returned, assign, constraint, next_version, store_row};
use crate::sql::{
    ast::{Assignment, Delete, Expr, Name, SetTarget, Table, Target, Top, Update},
    message::{self, Ends, Message, SqlResult},
    output::{Output, command},
    query::{
        Bound, Condition, Env, FromPlan, TableRef,
        bind::{Binder, Cte, Scope, Source},
        push_down,
    },
    session::{Session, variable_key},
    statement::Exec,
    store::same_name,
    types::Type,
    value::{Row, Value},
};

/// What an UPDATE or DELETE goes over.
pub(crate) struct Reach {
    pub(crate) table: TableRef,
    pub(crate) from: FromPlan,
    pub(crate) sources: Vec<Source>,
    /// Where the table's columns begin in a row; its number stands behind them.
    pub(crate) offset: usize,
    pub(crate) filter: Option<Condition>,
}

/// A SET list with its places.
pub(crate) enum Setter {
    Column(usize, Bound),
    Variable(String, Bound),
}

impl Binder<'_> {
    fn target(&mut self, target: &Target) -> SqlResult<(TableRef, String)> {
        match target {
            Target::Named(name) => {
                if let [one] = name.as_slice()
                    && self.ctes.iter().any(|c| same_name(c.name(), one))
                {
                    return Err(message::not_implemented(
                        "A change to a common table expression",
                    ));
                }
                Ok((
                    self.find_table(name)?,
                    name.last().cloned().unwrap_or_default(),
                ))
            }
            Target::Variable(name) => Ok((self.find_table_variable(name)?, name.clone())),
        }
    }

    pub(crate) fn reach(
        &mut self,
        target: &Target,
        from: Option<&Table>,
        filter: Option<&Expr>,
    ) -> SqlResult<Reach> {
        let mut sources = Vec::new();
        let (table, plan, offset) = match from {
            None => {
                let (t, alias) = self.target(target)?;
                let schema = (
                    t.object.schema.clone(),
                    super::database_name(self.s, t.database),
                );
                let plan = self.table_source(t.clone(), alias, Some(schema), true, &mut sources);
                (t, plan, 0)
            }
            Some(from) => {
                let wanted = match target {
                    Target::Named(name) => name.last().cloned().unwrap_or_default(),
                    Target::Variable(name) => name.clone(),
                };
                self.numbered = Some(wanted.clone());
                let plan = self.from(from, &mut sources, &Scope::EMPTY);
                self.numbered = None;
                let mut plan = plan?;
                match self.numbered_at.take() {
                    Some((t, offset)) => (t, plan, offset),
                    None => {
                        // The table is not in FROM: every row of it meets every row there.
                        let (t, alias) = self.target(target)?;
                        let offset: usize = sources.iter().map(Source::width).sum();
                        let right = self.table_source(t.clone(), alias, None, true, &mut sources);
                        plan = FromPlan::Join {
                            left: Box::new(plan),
                            right: Box::new(right),
                            kind: crate::sql::ast::JoinKind::Cross,
                            on: None,
                            base: 0,
                            hash: None,
                        };
                        (t, plan, offset)
                    }
                }
            }
        };
        let mut plan = plan;
        let scope = Scope {
            sources: &sources,
            gathered: None,
            parent: None,
        };
        let filter = filter.map(|f| self.condition(f, &scope)).transpose()?;
        if let Some(f) = &filter {
            push_down(&mut plan, f);
        }
        Ok(Reach {
            table,
            from: plan,
            sources,
            offset,
            filter,
        })
    }

    pub(crate) fn setters(
        &mut self,
        list: &[Assignment],
        t: &TableRef,
        sources: &[Source],
        offset: usize,
    ) -> SqlResult<Vec<Setter>> {
        let scope = Scope {
            sources,
            gathered: None,
            parent: None,
        };
        let mut out = Vec::new();
        for a in list {
            match &a.target {
                SetTarget::Column(name) => {
                    let last = name.last().cloned().unwrap_or_default();
                    let at = t
                        .info
                        .columns
                        .iter()
                        .position(|c| same_name(&c.name, &last))
                        .ok_or_else(|| message::no_column(&last))?;
                    let Some(c) = t.info.columns.get(at) else {
                        continue;
                    };
                    if c.identity.is_some() {
                        return Err(Message::new(
                            8102,
                            16,
                            1,
                            format!("Cannot update identity column '{}'.", c.name),
                        )
                        .ending(Ends::Batch));
                    }
                    if c.rowversion {
                        return Err(
                            Message::new(272, 16, 1, "Cannot update a timestamp column.")
                                .ending(Ends::Batch),
                        );
                    }
                    let value = if matches!(a.value, Expr::Default) {
                        match &c.default {
                            Some((_, text)) => {
                                self.value(&crate::sql::parse::expression(text)?, &Scope::EMPTY)?
                            }
                            None => Bound::Literal(Value::Null, Type::Null),
                        }
                    } else {
                        self.value(&a.value, &scope)?
                    };
                    let value = match a.op {
                        None => value,
                        Some(op) => {
                            let own = Bound::Column {
                                depth: 0,
                                index: offset.saturating_add(at),
                                ty: c.ty,
                                collation: t.collation,
                            };
                            self.arithmetic(op, own, value)?
                        }
                    };
                    crate::sql::convert::implicit(value.ty(), c.ty)?;
                    out.push(Setter::Column(at, value));
                }
                SetTarget::Variable(name) => {
                    let key = variable_key(name);
                    let v = self
                        .s
                        .variable(&key)
                        .ok_or_else(|| message::undeclared(name))?;
                    let value = self.value(&a.value, &scope)?;
                    let value = match a.op {
                        None => value,
                        Some(op) => {
                            self.arithmetic(op, Bound::Variable(key.clone(), v.ty), value)?
                        }
                    };
                    out.push(Setter::Variable(key, self.coerce(value, v.ty)?));
                }
            }
        }
        Ok(out)
    }
}

/// A row that an UPDATE changes.
pub(crate) struct Changed {
    pub(crate) number: i64,
    pub(crate) old: Row,
    pub(crate) new: Row,
    pub(crate) context: Row,
}

impl Session {
    fn top_rows(&self, top: Option<&Top>) -> SqlResult<u64> {
        let limit = self.settings.borrow().rowcount;
        let limit = if limit == 0 { u64::MAX } else { limit };
        let Some(t) = top else {
            return Ok(limit);
        };
        if t.percent {
            return Err(message::not_implemented("TOP … PERCENT in a change"));
        }
        match self.scalar_as(&t.count, Type::BigInt)? {
            Value::Int(n) if n >= 0 => Ok(u64::try_from(n).unwrap_or(0).min(limit)),
            _ => Err(Message::new(1060, 15, 1, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.").ending(Ends::Batch)),
        }
    }

    /// Rows that a change reaches: number, the table's own values, the whole row. Each row once.
    fn reached(
        &self,
        r: &Reach,
        most: u64,
        each: &mut dyn FnMut(i64, Row, Row) -> SqlResult<()>,
    ) -> SqlResult<()> {
        let width = r.table.info.columns.len();
        let mut seen = HashSet::new();
        let mut count = 0_u64;
        if most == 0 {
            return Ok(());
        }
        self.source_rows(&r.from, None, 0, &mut |row| {
            self.check()?;
            if let Some(f) = &r.filter
                && self.test(f, &Env::of(&row, None))? != Some(true)
            {
                return Ok(true);
            }
            let end = r.offset.saturating_add(width);
            // An outer join may have nothing there.
            let Some(Value::Int(number)) = row.get(end) else {
                return Ok(true);
            };
            let number = *number;
            if !seen.insert(number) {
                return Ok(true);
            }
            self.hold(
                row.iter()
                    .map(Value::weight)
                    .sum::<usize>()
                    .saturating_mul(2),
            )?;
            let own = row.get(r.offset..end).unwrap_or_default().to_vec();
            each(number, own, row)?;
            count = count.saturating_add(1);
            Ok(count < most)
        })
    }

    /// Computes the new row.
    pub(crate) fn apply(
        &self,
        setters: &[Setter],
        t: &TableRef,
        old: &Row,
        whole: &Row,
    ) -> SqlResult<Row> {
        let env = Env::of(whole, None);
        let mut new = old.clone();
        for s in setters {
            match s {
                Setter::Column(at, b) => {
                    let v = self.eval(b, &env)?;
                    if let (Some(slot), Some(c)) = (new.get_mut(*at), t.info.columns.get(*at)) {
                        *slot = assign(self, &v, b.ty(), t, c)?;
                    }
                }
                Setter::Variable(name, b) => {
                    let v = self.eval(b, &env)?;
                    self.set_variable(name, v);
                }
            }
        }
        Ok(new)
    }

    /// Replaces rows: all old ones go before the first new one comes, so that keys can be swapped.
    pub(crate) fn replace_rows(
        &self,
        file: &crate::sql::store::File,
        t: &TableRef,
        changed: &mut [Changed],
    ) -> SqlResult<()> {
        let checks = constraint::Checks::of(self, t)?;
        for c in changed.iter() {
            file.delete(t.object.id, c.number)?;
        }
        for c in changed.iter_mut() {
            self.check()?;
            for (v, column) in c.new.iter_mut().zip(&t.info.columns) {
                if column.rowversion {
                    *v = next_version(file)?;
                }
            }
            store_row(self, file, t, &checks, &c.new, Some(c.number), "UPDATE")?;
        }
        let rows: Vec<&[Value]> = changed.iter().map(|c| c.new.as_slice()).collect();
        constraint::foreign(self, file, t, &rows, "UPDATE")?;
        let pairs: Vec<(&[Value], Option<&[Value]>)> = changed
            .iter()
            .map(|c| (c.old.as_slice(), Some(c.new.as_slice())))
            .collect();
        constraint::referenced(self, file, t, &pairs, "UPDATE", 0)
    }

    pub(crate) fn update(&self, u: &Update, out: &mut dyn Output) -> Exec<()> {
        self.begin_implicitly(out)?;
        let mut b = self.binder();
        for common in &u.with {
            b.ctes.push(Cte::Query(std::rc::Rc::new(common.clone())));
        }
        let r = b.reach(&u.target, u.from.as_ref(), u.filter.as_ref())?;
        self.need_access(r.table.database, &r.table.object, "UPDATE")?;
        let setters = b.setters(&u.set, &r.table, &r.sources, r.offset)?;
        let returned = Returned::bind(&mut b, u.output.as_ref(), &r.table, &r.sources)?;
        let most = self.top_rows(u.top.as_ref())?;
        let t = r.table.clone();
        let mut sent = Vec::new();
        let count = self.write(t.database, |file| {
            let mut changed = Vec::new();
            self.reached(&r, most, &mut |number, old, whole| {
                let new = self.apply(&setters, &t, &old, &whole)?;
                changed.push(Changed {
                    number,
                    old,
                    new,
                    context: if returned.is_some() {
                        whole
                    } else {
                        Row::new()
                    },
                });
                Ok(())
            })?;
            self.replace_rows(file, &t, &mut changed)?;
            if let Some(ret) = &returned {
                for c in &changed {
                    sent.push(ret.row(
                        self,
                        Some(&c.new),
                        Some(&c.old),
                        t.info.columns.len(),
                        &c.context,
                    )?);
                }
            }
            Ok(changed.len())
        })?;
        if let Some(ret) = &returned {
            ret.finish(self, sent, out)?;
        }
        self.counted(
            out,
            command::UPDATE,
            u64::try_from(count).unwrap_or(u64::MAX),
        )
    }

    pub(crate) fn delete(&self, d: &Delete, out: &mut dyn Output) -> Exec<()> {
        self.begin_implicitly(out)?;
        let mut b = self.binder();
        for common in &d.with {
            b.ctes.push(Cte::Query(std::rc::Rc::new(common.clone())));
        }
        let r = b.reach(&d.target, d.from.as_ref(), d.filter.as_ref())?;
        self.need_access(r.table.database, &r.table.object, "DELETE")?;
        let returned = Returned::bind(&mut b, d.output.as_ref(), &r.table, &r.sources)?;
        let most = self.top_rows(d.top.as_ref())?;
        let t = r.table.clone();
        let mut sent = Vec::new();
        let count = self.write(t.database, |file| {
            let mut gone = Vec::new();
            self.reached(&r, most, &mut |number, old, whole| {
                if let Some(ret) = &returned {
                    sent.push(ret.row(self, None, Some(&old), t.info.columns.len(), &whole)?);
                }
                gone.push((number, old));
                Ok(())
            })?;
            self.delete_rows(file, &t, &gone)?;
            Ok(gone.len())
        })?;
        if let Some(ret) = &returned {
            ret.finish(self, sent, out)?;
        }
        self.counted(
            out,
            command::DELETE,
            u64::try_from(count).unwrap_or(u64::MAX),
        )
    }

    pub(crate) fn delete_rows(
        &self,
        file: &crate::sql::store::File,
        t: &TableRef,
        gone: &[(i64, Row)],
    ) -> SqlResult<()> {
        for (number, _) in gone {
            self.check()?;
            file.delete(t.object.id, *number)?;
        }
        let pairs: Vec<(&[Value], Option<&[Value]>)> =
            gone.iter().map(|(_, r)| (r.as_slice(), None)).collect();
        constraint::referenced(self, file, t, &pairs, "DELETE", 0)
    }

    pub(crate) fn truncate(&self, name: &Name, out: &mut dyn Output) -> Exec<()> {
        self.begin_implicitly(out)?;
        let t = self.binder().find_table(name)?;
        self.need_access(t.database, &t.object, "DELETE")?;
        self.write(t.database, |file| {
            if constraint::is_referenced(file, t.object.id)?.is_some() {
                return Err(Message::new(
                    4712,
                    16,
                    1,
                    format!("Cannot truncate table '{}' because it is being referenced by a FOREIGN KEY constraint.", name.join(".")),
                ));
            }
            file.run(&format!("DELETE FROM t{}", t.object.id))?;
            file.run(&format!("DELETE FROM counter WHERE name = '{}'", crate::sql::store::identity_counter(t.object.id)))
        })?;
        self.finished(out, command::OTHER)
    }
}
