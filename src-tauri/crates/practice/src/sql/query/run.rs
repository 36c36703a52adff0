//! Running plans: rows in, rows out, one at a time where nothing has to be gathered first.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use super::{
    BodyPlan, Bound, Condition, Env, FromPlan, Key as OrderKey, QueryPlan, SelectPlan, Side,
    aggregate::{SortKeys, compare_keys},
    table::TableFunction,
};
use crate::sql::{
    ast::{JoinKind, SetOp},
    collation::Collation,
    convert,
    message::{self, Message, SqlResult},
    session::Session,
    types::Type,
    value::{Key, Row, Value},
};

/// Takes a row; answers whether more are wanted.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Row) -> SqlResult<bool>;

/// Rounds that a recursive query may go, SQL Server's default of MAXRECURSION.
const RECURSION: usize = 100;

fn weight(row: &[Value]) -> usize {
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

    /// The rows of what stands in FROM. `base`: values in front of them in the whole row.
    pub(crate) fn source_rows(
        &self,
        from: &FromPlan,
        parent: Option<&Env<'_>>,
        base: usize,
        sink: Sink<'_>,
    ) -> SqlResult<()> {
        match from {
            FromPlan::Table {
                table,
                equal,
                numbered,
                ..
            } => {
                let file = self.file_by_id(table.database)?;
                self.before_read(table.database, &file)?;
                let mut known = Vec::new();
                for (at, e) in equal {
                    let v = self.eval(e, &Env::of(&[], parent))?;
                    if v.is_null() {
                        return Ok(());
                    }
                    known.push((*at, v));
                }
                file.scan(table.object.id, &table.info, &known, &mut |mut row| {
                    self.check()?;
                    if !numbered {
                        row.pop();
                    }
                    sink(row)
                })
            }
            FromPlan::View(view, database) => {
                for row in view.rows(self, *database)? {
                    self.check()?;
                    if !sink(row)? {
                        break;
                    }
                }
                Ok(())
            }
            FromPlan::Rows(rows, _) => {
                let env = Env::of(&[], parent);
                for row in rows {
                    self.check()?;
                    if !sink(
                        row.iter()
                            .map(|e| self.eval(e, &env))
                            .collect::<SqlResult<Row>>()?,
                    )? {
                        break;
                    }
                }
                Ok(())
            }
            FromPlan::Function { function, args } => {
                let env = Env::of(&[], parent);
                let mut values = Vec::new();
                for a in args {
                    values.push((self.eval(a, &env)?, a.ty()));
                }
                self.table_function(*function, &values, sink)
            }
            FromPlan::Query(plan) => self.run_query(plan, parent, sink),
            FromPlan::Work(rows, _) => {
                let rows = rows.borrow().clone();
                for row in rows {
                    if !sink(row)? {
                        break;
                    }
                }
                Ok(())
            }
            FromPlan::Join {
                left,
                right,
                kind,
                on,
                base: at,
                hash,
            } => {
                debug_assert_eq!(base, *at);
                self.join_rows(
                    &Join {
                        left,
                        right,
                        kind: *kind,
                        on: on.as_ref(),
                        hash: hash.as_ref(),
                    },
                    parent,
                    base,
                    sink,
                )
            }
            FromPlan::Apply { left, right, outer } => {
                let width = right.width();
                self.source_rows(left, parent, base, &mut |row| {
                    let mut whole = vec![Value::Null; base];
                    whole.extend(row.iter().cloned());
                    let env = Env::of(&whole, parent);
                    let (mut any, mut more) = (false, true);
                    self.source_rows(right, Some(&env), 0, &mut |other| {
                        any = true;
                        let mut both = row.clone();
                        both.extend(other);
                        more = sink(both)?;
                        Ok(more)
                    })?;
                    if !any && *outer {
                        let mut both = row.clone();
                        both.extend(std::iter::repeat_n(Value::Null, width));
                        more = sink(both)?;
                    }
                    Ok(more)
                })
            }
        }
    }

    fn join_rows(
        &self,
        j: &Join<'_>,
        parent: Option<&Env<'_>>,
        base: usize,
        sink: Sink<'_>,
    ) -> SqlResult<()> {
        let (left_width, right_width) = (j.left.width(), j.right.width());
        let mut right_rows: Vec<Row> = Vec::new();
        self.source_rows(
            j.right,
            parent,
            base.saturating_add(left_width),
            &mut |row| {
                self.hold(weight(&row))?;
                right_rows.push(row);
                Ok(true)
            },
        )?;
        // Where the condition asks for equal columns, only rows of the same key are tried.
        let mut index: Option<HashMap<Key, Vec<usize>>> = None;
        if let Some((_, right_key, collation)) = j.hash {
            let mut map: HashMap<Key, Vec<usize>> = HashMap::new();
            let shift = base.saturating_add(left_width);
            for (n, row) in right_rows.iter().enumerate() {
                if let Bound::Column { index: at, .. } = right_key
                    && let Some(v) = row.get(at.saturating_sub(shift))
                    && !v.is_null()
                {
                    map.entry(v.key(*collation)).or_default().push(n);
                }
            }
            index = Some(map);
        }
        let all: Vec<usize> = (0..right_rows.len()).collect();
        let none: Vec<usize> = Vec::new();
        let mut matched = vec![false; right_rows.len()];
        let mut more = true;
        self.source_rows(j.left, parent, base, &mut |row| {
            let candidates = match (&index, j.hash) {
                (Some(map), Some((Bound::Column { index: at, .. }, _, collation))) => {
                    match row.get(at.saturating_sub(base)) {
                        Some(v) if !v.is_null() => map.get(&v.key(*collation)).unwrap_or(&none),
                        _ => &none,
                    }
                }
                _ => &all,
            };
            let mut any = false;
            for n in candidates {
                self.check()?;
                let Some(other) = right_rows.get(*n) else {
                    continue;
                };
                let mut both = Vec::with_capacity(left_width.saturating_add(right_width));
                both.extend(row.iter().cloned());
                both.extend(other.iter().cloned());
                if let Some(on) = j.on {
                    let hit = if base == 0 {
                        self.test(on, &Env::of(&both, parent))?
                    } else {
                        let mut whole = vec![Value::Null; base];
                        whole.extend(both.iter().cloned());
                        self.test(on, &Env::of(&whole, parent))?
                    };
                    if hit != Some(true) {
                        continue;
                    }
                }
                any = true;
                if let Some(m) = matched.get_mut(*n) {
                    *m = true;
                }
                more = sink(both)?;
                if !more {
                    return Ok(false);
                }
            }
            if !any && matches!(j.kind, JoinKind::Left | JoinKind::Full) {
                let mut both = row;
                both.extend(std::iter::repeat_n(Value::Null, right_width));
                more = sink(both)?;
            }
            Ok(more)
        })?;
        if more && matches!(j.kind, JoinKind::Right | JoinKind::Full) {
            for (row, hit) in right_rows.into_iter().zip(matched) {
                if !hit {
                    let mut both = vec![Value::Null; left_width];
                    both.extend(row);
                    if !sink(both)? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn table_function(
        &self,
        f: TableFunction,
        args: &[(Value, Type)],
        sink: Sink<'_>,
    ) -> SqlResult<()> {
        let text = |n: usize| -> SqlResult<Option<String>> {
            match args.get(n) {
                Some((Value::Null, _)) | None => Ok(None),
                Some((v, ty)) => convert::to_text(v, *ty, self.style()).map(Some),
            }
        };
        let int = |n: usize| match args.get(n) {
            Some((Value::Int(i), _)) => Some(*i),
            _ => None,
        };
        match f {
            TableFunction::StringSplit => {
                let (Some(value), Some(separator)) = (text(0)?, text(1)?) else {
                    return Ok(());
                };
                if separator.chars().count() != 1 {
                    return Err(Message::new(
                        214,
                        16,
                        11,
                        "Procedure expects parameter 'separator' of type 'nchar(1)/nvarchar(1)'.",
                    )
                    .ending(message::Ends::Batch));
                }
                for (n, part) in value.split(&separator).enumerate() {
                    self.check()?;
                    let row = vec![
                        Value::text(part),
                        Value::Int(i64::try_from(n).unwrap_or(0).saturating_add(1)),
                    ];
                    if !sink(row)? {
                        break;
                    }
                }
                Ok(())
            }
            TableFunction::Series => {
                let (Some(from), Some(to)) = (int(0), int(1)) else {
                    return Ok(());
                };
                let step = int(2).unwrap_or(if from <= to { 1 } else { -1 });
                if step == 0 {
                    return Err(Message::new(
                        4199,
                        16,
                        1,
                        "Argument value 0 is invalid for argument 3 of generate_series function.",
                    ));
                }
                let mut n = from;
                while (step > 0 && n <= to) || (step < 0 && n >= to) {
                    self.check()?;
                    if !sink(vec![Value::Int(n)])? {
                        break;
                    }
                    let Some(next) = n.checked_add(step) else {
                        break;
                    };
                    n = next;
                }
                Ok(())
            }
        }
    }
}

struct Join<'a> {
    left: &'a FromPlan,
    right: &'a FromPlan,
    kind: JoinKind,
    on: Option<&'a Condition>,
    hash: Option<&'a (Bound, Bound, Collation)>,
}
