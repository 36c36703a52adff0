//! Running plans: rows in, rows out, one at a time where nothing has to be gathered first.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use super::{
    BodyPlan, Bound, Env, Key as OrderKey, QueryPlan, SelectPlan, Side,
    aggregate::{SortKeys, compare_keys},
};
use crate::sql::{
    ast::SetOp,
    collation::Collation,
    convert,
    message::{self, Message, SqlResult},
    session::Session,
    value::{Key, Row, Value},
};

/// Takes a row; answers whether more are wanted.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Row) -> SqlResult<bool>;

/// Rounds that a recursive query may go, SQL Server's default of MAXRECURSION.
const RECURSION: usize = 100;

pub(super) fn weight(row: &[Value]) -> usize {
    row.iter().map(Value::weight).sum()
}

impl Session {
    /// Runs a query and hands over its rows.
    pub(crate) fn run_query(
        &self,
        plan: &QueryPlan,
        parent: Option<&Env<'_>>,
        sink: Sink<'_>,
    ) -> SqlResult<()> {
        let offset = self
            .bound_count(plan.offset.as_ref(), parent, "OFFSET", 0)?
            .unwrap_or(0);
        let fetch = self.bound_count(plan.fetch.as_ref(), parent, "FETCH", 1)?;
        let (mut skipped, mut sent) = (0_u64, 0_u64);
        let mut window = |row: Row| -> SqlResult<bool> {
            if skipped < offset {
                skipped = skipped.saturating_add(1);
                return Ok(true);
            }
            if fetch.is_some_and(|f| sent >= f) {
                return Ok(false);
            }
            sent = sent.saturating_add(1);
            Ok(sink(row)? && fetch.is_none_or(|f| sent < f))
        };
        if plan.order.is_empty() {
            return self.run_body(&plan.body, parent, &mut window);
        }
        let mut rows = Vec::new();
        self.run_body(&plan.body, parent, &mut |row| {
            self.hold(weight(&row))?;
            rows.push(row);
            Ok(true)
        })?;
        let collation = self.collation();
        rows.sort_by(|a, b| {
            for (at, descending) in &plan.order {
                if let (Some(x), Some(y)) = (a.get(*at), b.get(*at)) {
                    let o = x.order(y, collation);
                    let o = if *descending { o.reverse() } else { o };
                    if o != Ordering::Equal {
                        return o;
                    }
                }
            }
            Ordering::Equal
        });
        for row in rows {
            self.check()?;
            if !window(row)? {
                break;
            }
        }
        Ok(())
    }

    fn bound_count(
        &self,
        b: Option<&Bound>,
        parent: Option<&Env<'_>>,
        what: &str,
        least: i64,
    ) -> SqlResult<Option<u64>> {
        let Some(b) = b else {
            return Ok(None);
        };
        match self.eval(b, &Env::of(&[], parent))? {
            Value::Int(n) if n >= least => Ok(u64::try_from(n).ok()),
            _ if what == "OFFSET" => Err(Message::new(
                10742,
                15,
                1,
                "The offset specified in a OFFSET clause may not be negative.",
            )
            .ending(message::Ends::Batch)),
            _ => Err(Message::new(
                10744,
                15,
                1,
                "The number of rows provided for a FETCH clause must be greater then zero.",
            )
            .ending(message::Ends::Batch)),
        }
    }

    fn run_body(&self, body: &BodyPlan, parent: Option<&Env<'_>>, sink: Sink<'_>) -> SqlResult<()> {
        match body {
            BodyPlan::Select(s) => self.run_select(s, parent, sink),
            BodyPlan::Nested(q) => self.run_query(q, parent, sink),
            BodyPlan::Set(op, a, b) => self.run_set(*op, a, b, parent, sink),
            BodyPlan::Recursive { anchor, step, work } => {
                let mut fresh = Vec::new();
                self.run_side(anchor, parent, &mut |row| {
                    self.hold(weight(&row))?;
                    fresh.push(row);
                    Ok(true)
                })?;
                let mut rounds = 0_usize;
                while !fresh.is_empty() {
                    for row in &fresh {
                        if !sink(row.clone())? {
                            return Ok(());
                        }
                    }
                    if rounds >= RECURSION {
                        return Err(Message::new(
                            530,
                            16,
                            1,
                            "The statement terminated. The maximum recursion 100 has been exhausted before statement completion.",
                        ));
                    }
                    rounds = rounds.saturating_add(1);
                    *work.borrow_mut() = std::mem::take(&mut fresh);
                    self.run_side(step, parent, &mut |row| {
                        self.hold(weight(&row))?;
                        fresh.push(row);
                        Ok(true)
                    })?;
                }
                work.borrow_mut().clear();
                Ok(())
            }
        }
    }

    fn run_side(&self, side: &Side, parent: Option<&Env<'_>>, sink: Sink<'_>) -> SqlResult<()> {
        let style = self.style();
        let collation = self.collation();
        self.run_body(&side.body, parent, &mut |row| {
            let row = row
                .into_iter()
                .zip(side.from.iter().zip(&side.to))
                .map(|(v, (from, to))| convert::cast(&v, *from, *to, style, collation))
                .collect::<SqlResult<Row>>()?;
            sink(row)
        })
    }

    fn run_set(
        &self,
        op: SetOp,
        a: &Side,
        b: &Side,
        parent: Option<&Env<'_>>,
        sink: Sink<'_>,
    ) -> SqlResult<()> {
        let collation = self.collation();
        let key = |row: &Row| row.iter().map(|v| v.key(collation)).collect::<Vec<Key>>();
        if op == SetOp::UnionAll {
            let mut more = true;
            self.run_side(a, parent, &mut |row| {
                more = sink(row)?;
                Ok(more)
            })?;
            return if more {
                self.run_side(b, parent, sink)
            } else {
                Ok(())
            };
        }
        let mut seen: HashSet<Vec<Key>> = HashSet::new();
        if op == SetOp::Union {
            let mut more = true;
            for side in [a, b] {
                if more {
                    self.run_side(side, parent, &mut |row| {
                        self.check()?;
                        if seen.insert(key(&row)) {
                            self.hold(weight(&row))?;
                            more = sink(row)?;
                        }
                        Ok(more)
                    })?;
                }
            }
            return Ok(());
        }
        let mut right: HashSet<Vec<Key>> = HashSet::new();
        self.run_side(b, parent, &mut |row| {
            self.hold(weight(&row))?;
            right.insert(key(&row));
            Ok(true)
        })?;
        self.run_side(a, parent, &mut |row| {
            self.check()?;
            let k = key(&row);
            if right.contains(&k) == (op == SetOp::Intersect) && seen.insert(k) {
                return sink(row);
            }
            Ok(true)
        })
    }

    fn top(&self, plan: &SelectPlan, parent: Option<&Env<'_>>) -> SqlResult<Option<f64>> {
        let Some(top) = &plan.top else {
            return Ok(None);
        };
        let n = match self.eval(&top.count, &Env::of(&[], parent))? {
            Value::Int(n) if n >= 0 => n as f64,
            Value::Float(f) if (0.0..=100.0).contains(&f) => f,
            Value::Float(_) => {
                return Err(
                    Message::new(1031, 15, 1, "Percent values must be between 0 and 100.")
                        .ending(message::Ends::Batch),
                );
            }
            Value::Null => {
                return Err(Message::new(1060, 15, 1, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.")
                    .ending(message::Ends::Batch));
            }
            _ => {
                return Err(Message::new(
                    127,
                    15,
                    1,
                    "A TOP N or FETCH rowcount value may not be negative.",
                )
                .ending(message::Ends::Batch));
            }
        };
        Ok(Some(n))
    }

    fn run_select(
        &self,
        plan: &SelectPlan,
        parent: Option<&Env<'_>>,
        sink: Sink<'_>,
    ) -> SqlResult<()> {
        let top = self.top(plan, parent)?;
        let simple = !plan.grouped
            && plan.windows.is_empty()
            && plan.order.is_empty()
            && !plan.top.as_ref().is_some_and(|t| t.percent);
        if simple {
            return self.run_streaming(plan, top, parent, sink);
        }
        let mut rows: Vec<Row> = Vec::new();
        self.filtered(plan, parent, &mut |row| {
            self.hold(weight(&row))?;
            rows.push(row);
            Ok(true)
        })?;
        // Each entry: the row, and the aggregates of its group.
        let mut entries: Vec<(Row, Vec<Value>)> = if plan.grouped {
            self.group(plan, rows, parent)?
        } else {
            rows.into_iter().map(|r| (r, Vec::new())).collect()
        };
        if let Some(having) = &plan.having {
            let mut kept = Vec::new();
            for (row, aggregates) in entries {
                let env = Env {
                    row: &row,
                    aggregates: &aggregates,
                    windows: &[],
                    parent,
                };
                if self.test(having, &env)? == Some(true) {
                    kept.push((row, aggregates));
                }
            }
            entries = kept;
        }
        let mut windows: Vec<Vec<Value>> = vec![Vec::new(); entries.len()];
        if !plan.windows.is_empty() {
            let envs: Vec<Env<'_>> = entries
                .iter()
                .map(|(row, aggregates)| Env {
                    row,
                    aggregates,
                    windows: &[],
                    parent,
                })
                .collect();
            for w in &plan.windows {
                for (slot, v) in windows.iter_mut().zip(w.compute(self, &envs)?) {
                    slot.push(v);
                }
            }
        }
        let collation = self.collation();
        let mut out: Vec<(Row, SortKeys, usize)> = Vec::new();
        let mut seen = HashSet::new();
        for (at, ((row, aggregates), own)) in entries.iter().zip(&windows).enumerate() {
            self.check()?;
            let env = Env {
                row,
                aggregates,
                windows: own,
                parent,
            };
            // Assignments see each other's results, so they wait until the order is known.
            let values = if plan.assign.is_empty() {
                plan.items
                    .iter()
                    .map(|e| self.eval(e, &env))
                    .collect::<SqlResult<Row>>()?
            } else {
                Row::new()
            };
            if plan.distinct
                && !seen.insert(
                    values
                        .iter()
                        .map(|v| v.key(collation))
                        .collect::<Vec<Key>>(),
                )
            {
                continue;
            }
            let mut keys = Vec::new();
            for (k, descending) in &plan.order {
                let v = match k {
                    OrderKey::Output(n) if plan.assign.is_empty() => {
                        values.get(*n).cloned().unwrap_or(Value::Null)
                    }
                    OrderKey::Output(n) => plan
                        .items
                        .get(*n)
                        .map_or(Ok(Value::Null), |e| self.eval(e, &env))?,
                    OrderKey::Source(e) => self.eval(e, &env)?,
                };
                keys.push((v, *descending));
            }
            self.hold(weight(&values))?;
            out.push((values, keys, at));
        }
        if !plan.order.is_empty() {
            let collations = self.order_collations(plan);
            out.sort_by(|a, b| {
                for (n, ((x, descending), (y, _))) in a.1.iter().zip(&b.1).enumerate() {
                    let o = x.order(y, collations.get(n).copied().unwrap_or(collation));
                    let o = if *descending { o.reverse() } else { o };
                    if o != Ordering::Equal {
                        return o;
                    }
                }
                Ordering::Equal
            });
        }
        let limit = match (top, plan.top.as_ref()) {
            (Some(n), Some(t)) if t.percent => {
                let share = (out.len() as f64) * n / 100.0;
                Some(share.ceil())
            }
            (n, _) => n,
        };
        let mut last: Option<SortKeys> = None;
        for (sent, (values, keys, at)) in out.into_iter().enumerate() {
            self.check()?;
            let full = limit.is_some_and(|l| sent as f64 >= l);
            if full {
                let tie = plan.top.as_ref().is_some_and(|t| t.ties)
                    && last
                        .as_ref()
                        .is_some_and(|l| compare_keys(l, &keys, collation) == Ordering::Equal);
                if !tie {
                    break;
                }
            }
            let values = if plan.assign.is_empty() {
                values
            } else {
                let (Some((row, aggregates)), Some(own)) = (entries.get(at), windows.get(at))
                else {
                    break;
                };
                self.assign(
                    plan,
                    &Env {
                        row,
                        aggregates,
                        windows: own,
                        parent,
                    },
                )?
            };
            last = Some(keys);
            if !sink(values)? {
                break;
            }
        }
        Ok(())
    }

    fn order_collations(&self, plan: &SelectPlan) -> Vec<Collation> {
        plan.order
            .iter()
            .map(|(k, _)| match k {
                OrderKey::Output(n) => plan.items.get(*n).and_then(Bound::collation),
                OrderKey::Source(b) => b.collation(),
            })
            .map(|c| c.unwrap_or_else(|| self.collation()))
            .collect()
    }

    /// `SELECT @x = …`: assigns for one row and gives the values.
    fn assign(&self, plan: &SelectPlan, env: &Env<'_>) -> SqlResult<Row> {
        let mut values = Row::new();
        for (name, e) in plan.assign.iter().zip(&plan.items) {
            let v = self.eval(e, env)?;
            self.set_variable(name, v.clone());
            values.push(v);
        }
        Ok(values)
    }

    fn run_streaming(
        &self,
        plan: &SelectPlan,
        top: Option<f64>,
        parent: Option<&Env<'_>>,
        sink: Sink<'_>,
    ) -> SqlResult<()> {
        let collation = self.collation();
        let mut sent = 0.0_f64;
        let mut seen = HashSet::new();
        if top.is_some_and(|t| t < 1.0) {
            return Ok(());
        }
        self.filtered(plan, parent, &mut |row| {
            let env = Env::of(&row, parent);
            let values = if plan.assign.is_empty() {
                plan.items
                    .iter()
                    .map(|e| self.eval(e, &env))
                    .collect::<SqlResult<Row>>()?
            } else {
                self.assign(plan, &env)?
            };
            if plan.distinct {
                self.hold(weight(&values))?;
                if !seen.insert(
                    values
                        .iter()
                        .map(|v| v.key(collation))
                        .collect::<Vec<Key>>(),
                ) {
                    return Ok(true);
                }
            }
            sent += 1.0;
            Ok(sink(values)? && top.is_none_or(|t| sent < t))
        })
    }

    /// The rows of FROM that pass WHERE.
    fn filtered(
        &self,
        plan: &SelectPlan,
        parent: Option<&Env<'_>>,
        sink: Sink<'_>,
    ) -> SqlResult<()> {
        let mut pass = |row: Row| -> SqlResult<bool> {
            self.check()?;
            if let Some(f) = &plan.filter
                && self.test(f, &Env::of(&row, parent))? != Some(true)
            {
                return Ok(true);
            }
            sink(row)
        };
        match &plan.from {
            Some(from) => self.source_rows(from, parent, 0, &mut pass),
            None => pass(Row::new()).map(|_| ()),
        }
    }

    fn group(
        &self,
        plan: &SelectPlan,
        rows: Vec<Row>,
        parent: Option<&Env<'_>>,
    ) -> SqlResult<Vec<(Row, Vec<Value>)>> {
        let collation = self.collation();
        let mut order: Vec<Vec<Key>> = Vec::new();
        let mut groups: HashMap<Vec<Key>, Vec<&Row>> = HashMap::new();
        for row in &rows {
            self.check()?;
            let env = Env::of(row, parent);
            let mut key = Vec::new();
            for e in &plan.group {
                key.push(self.eval(e, &env)?.key(e.collation().unwrap_or(collation)));
            }
            groups
                .entry(key.clone())
                .or_insert_with(|| {
                    order.push(key);
                    Vec::new()
                })
                .push(row);
        }
        // Without GROUP BY there is one group, also of no rows.
        if plan.group.is_empty() && order.is_empty() {
            order.push(Vec::new());
        }
        let mut out = Vec::new();
        for key in order {
            let members = groups.remove(&key).unwrap_or_default();
            let aggregates = plan
                .aggregates
                .iter()
                .map(|a| a.over(self, &members, parent))
                .collect::<SqlResult<Vec<_>>>()?;
            let first = members
                .first()
                .map_or_else(|| vec![Value::Null; plan.width], |r| (*r).clone());
            out.push((first, aggregates));
        }
        Ok(out)
    }
}
