//! The rows of what stands in FROM: scans, joins, functions.

use std::collections::HashMap;

use super::run::{Sink, weight};
use super::{Bound, Condition, Env, FromPlan, table::TableFunction};
use crate::sql::{
    ast::JoinKind,
    collation::Collation,
    convert,
    message::{self, Message, SqlResult},
    session::Session,
    types::Type,
    value::{Key, Row, Value},
};

pub(super) struct Join<'a> {
    left: &'a FromPlan,
    right: &'a FromPlan,
    kind: JoinKind,
    on: Option<&'a Condition>,
    hash: Option<&'a (Bound, Bound, Collation)>,
}

impl Session {
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

    pub(super) fn join_rows(
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

    pub(super) fn table_function(
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
