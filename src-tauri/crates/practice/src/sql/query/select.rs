//! Binding whole queries.

use std::cell::RefCell;

use super::{
    BodyPlan, Bound, Condition, FromPlan, Key, QueryPlan, SelectPlan, Side, TopPlan, aggregate,
    bind::{Binder, Cte, Gathered, Scope, Source},
    table::different_counts,
};
use crate::sql::{
    ast::{Body, Compare, Expr, Item, Order, Query, Select},
    message::{self, Message, SqlResult},
    output::Column,
    store::same_name,
    types::Type,
    value::Value,
};

impl Binder<'_> {
    /// Binds a query with what surrounds it.
    pub(crate) fn query(&mut self, q: &Query, outer: &Scope<'_>) -> SqlResult<QueryPlan> {
        let known = self.ctes.len();
        for common in &q.with {
            self.ctes.push(Cte::Query(std::rc::Rc::new(common.clone())));
        }
        // Only the FROM of the changing statement itself carries row numbers.
        let numbered = self.numbered.take();
        let plan = self.query_body(q, outer);
        self.numbered = numbered;
        self.ctes.truncate(known);
        plan
    }

    fn query_body(&mut self, q: &Query, outer: &Scope<'_>) -> SqlResult<QueryPlan> {
        let empty = Scope {
            sources: &[],
            gathered: None,
            parent: Some(outer),
        };
        let offset = self.row_count_of(q.offset.as_ref(), &empty)?;
        let fetch = self.row_count_of(q.fetch.as_ref(), &empty)?;
        if let Body::Select(select) = &q.body {
            let (plan, columns) = self.select(select, &q.order, outer)?;
            return Ok(QueryPlan {
                columns,
                body: BodyPlan::Select(Box::new(plan)),
                order: Vec::new(),
                offset,
                fetch,
            });
        }
        let (body, columns) = self.body(&q.body, outer)?;
        let mut order = Vec::new();
        for o in &q.order {
            order.push((self.output_place(&o.expr, &columns)?, o.descending));
        }
        Ok(QueryPlan {
            columns,
            body,
            order,
            offset,
            fetch,
        })
    }

    fn row_count_of(&mut self, e: Option<&Expr>, scope: &Scope<'_>) -> SqlResult<Option<Bound>> {
        let Some(e) = e else {
            return Ok(None);
        };
        let b = self.value(e, scope)?;
        self.coerce(b, Type::BigInt).map(Some)
    }

    /// The column of a set operation that `ORDER BY` names.
    fn output_place(&self, e: &Expr, columns: &[Column]) -> SqlResult<usize> {
        match e {
            Expr::Literal(Value::Int(n), _) => ordinal(*n, columns.len()),
            Expr::Column(name) => {
                let last = name.last().cloned().unwrap_or_default();
                columns.iter().position(|c| same_name(&c.name, &last)).ok_or_else(|| message::no_column(&last))
            }
            _ => Err(Message::new(
                104,
                16,
                1,
                "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator.",
            )
            .ending(message::Ends::Batch)),
        }
    }

    fn body(&mut self, body: &Body, outer: &Scope<'_>) -> SqlResult<(BodyPlan, Vec<Column>)> {
        match body {
            Body::Select(s) => {
                let (plan, columns) = self.select(s, &[], outer)?;
                Ok((BodyPlan::Select(Box::new(plan)), columns))
            }
            Body::Nested(q) => {
                let plan = self.query(q, outer)?;
                let columns = plan.columns.clone();
                Ok((BodyPlan::Nested(Box::new(plan)), columns))
            }
            Body::Set(op, a, b) => {
                let (left, lc) = self.body(a, outer)?;
                let (right, rc) = self.body(b, outer)?;
                if lc.len() != rc.len() {
                    return Err(different_counts());
                }
                let columns: Vec<Column> = lc
                    .iter()
                    .zip(&rc)
                    .map(|(l, r)| Column {
                        ty: l.ty.common(r.ty),
                        nullable: l.nullable || r.nullable,
                        computed: true,
                        identity: false,
                        name: l.name.clone(),
                    })
                    .collect();
                let to: Vec<Type> = columns.iter().map(|c| c.ty).collect();
                let side = |body: BodyPlan, own: &[Column]| {
                    Box::new(Side {
                        body,
                        from: own.iter().map(|c| c.ty).collect(),
                        to: to.clone(),
                    })
                };
                Ok((
                    BodyPlan::Set(*op, side(left, &lc), side(right, &rc)),
                    columns,
                ))
            }
        }
    }

    fn select(
        &mut self,
        s: &Select,
        order: &[Order],
        outer: &Scope<'_>,
    ) -> SqlResult<(SelectPlan, Vec<Column>)> {
        let mut sources = Vec::new();
        let mut from = s
            .from
            .as_ref()
            .map(|t| self.from(t, &mut sources, outer))
            .transpose()?;
        let row_scope = Scope {
            sources: &sources,
            gathered: None,
            parent: Some(outer),
        };
        let filter = s
            .filter
            .as_ref()
            .map(|c| self.condition(c, &row_scope))
            .transpose()?;
        if let (Some(f), Some(c)) = (&mut from, &filter) {
            push_down(f, c);
        }
        let grouped = !s.group.is_empty()
            || s.having.is_some()
            || s.items.iter().any(|i| matches!(i, Item::Expr(e, _) | Item::Assign(_, _, e) if aggregate::mentioned(e)))
            || order.iter().any(|o| aggregate::mentioned(&o.expr));
        let keys = s
            .group
            .iter()
            .map(|e| self.value(e, &row_scope))
            .collect::<SqlResult<Vec<_>>>()?;
        let gathered = RefCell::new(Gathered {
            grouped,
            keys: keys.clone(),
            ..Gathered::default()
        });
        let scope = Scope {
            sources: &sources,
            gathered: Some(&gathered),
            parent: Some(outer),
        };
        let mut items = Vec::new();
        let mut columns = Vec::new();
        let mut assign = Vec::new();
        for item in &s.items {
            self.item(item, &scope, &mut items, &mut columns, &mut assign)?;
        }
        if !assign.is_empty() && assign.len() != items.len() {
            return Err(Message::new(
                141,
                15,
                1,
                "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.",
            )
            .ending(message::Ends::Batch));
        }
        let having = s
            .having
            .as_ref()
            .map(|c| self.condition(c, &scope))
            .transpose()?;
        let mut keys_of_order = Vec::new();
        for o in order {
            keys_of_order.push((self.order_key(&o.expr, &columns, s, &scope)?, o.descending));
        }
        let top = match &s.top {
            Some(t) => {
                let empty = Scope {
                    sources: &[],
                    gathered: None,
                    parent: Some(outer),
                };
                let count = self.value(&t.count, &empty)?;
                let count =
                    self.coerce(count, if t.percent { Type::Float } else { Type::BigInt })?;
                Some(TopPlan {
                    count,
                    percent: t.percent,
                    ties: t.ties,
                })
            }
            None => None,
        };
        let width = scope.width();
        let g = gathered.into_inner();
        let plan = SelectPlan {
            from,
            width,
            filter,
            grouped,
            group: keys,
            aggregates: g.aggregates,
            having,
            windows: g.windows,
            items,
            assign,
            distinct: s.distinct,
            order: keys_of_order,
            top,
        };
        Ok((plan, columns))
    }

    /// Binds items of a list such as OUTPUT's, where nothing is grouped.
    pub(crate) fn plain_items(
        &mut self,
        items: &[Item],
        scope: &Scope<'_>,
    ) -> SqlResult<(Vec<Bound>, Vec<Column>)> {
        let (mut out, mut columns, mut assign) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            self.item(item, scope, &mut out, &mut columns, &mut assign)?;
        }
        Ok((out, columns))
    }

    fn item(
        &mut self,
        item: &Item,
        scope: &Scope<'_>,
        items: &mut Vec<Bound>,
        columns: &mut Vec<Column>,
        assign: &mut Vec<String>,
    ) -> SqlResult<()> {
        let sources = scope.sources;
        match item {
            Item::Star => {
                if sources.is_empty() {
                    return Err(
                        Message::new(263, 16, 1, "Must specify table to select from.")
                            .ending(message::Ends::Batch),
                    );
                }
                for source in sources {
                    self.all_of(source, scope, items, columns)?;
                }
            }
            Item::StarOf(name) => {
                let last = name.last().cloned().unwrap_or_default();
                let Some(source) = sources.iter().find(|s| same_name(&s.alias, &last)) else {
                    return Err(Message::new(
                        107,
                        15,
                        1,
                        format!("The column prefix '{}' does not match with a table name or alias name used in the query.", name.join(".")),
                    )
                    .ending(message::Ends::Batch));
                };
                self.all_of(source, scope, items, columns)?;
            }
            Item::Expr(e, alias) => {
                let bound = self.value(e, scope)?;
                let mut column = match e {
                    Expr::Column(name) => self
                        .column(
                            name,
                            &Scope {
                                gathered: None,
                                ..*scope
                            },
                        )?
                        .1
                        .unwrap_or_else(|| Column::new("", bound.ty())),
                    _ => Column::new("", bound.ty()),
                };
                if let Bound::Literal(v, _) = &bound {
                    column.nullable = v.is_null();
                }
                if let Some(a) = alias {
                    column.name.clone_from(a);
                }
                items.push(bound);
                columns.push(column);
            }
            Item::Assign(name, op, e) => {
                let key = crate::sql::session::variable_key(name);
                let v = self
                    .s
                    .variable(&key)
                    .ok_or_else(|| message::undeclared(name))?;
                let value = self.value(e, scope)?;
                let value = match op {
                    None => value,
                    Some(op) => self.arithmetic(*op, Bound::Variable(key.clone(), v.ty), value)?,
                };
                items.push(self.coerce(value, v.ty)?);
                columns.push(Column::new("", v.ty));
                assign.push(key);
            }
        }
        Ok(())
    }

    fn all_of(
        &mut self,
        source: &Source,
        scope: &Scope<'_>,
        items: &mut Vec<Bound>,
        columns: &mut Vec<Column>,
    ) -> SqlResult<()> {
        let grouped = scope.gathered.is_some_and(|g| g.borrow().grouped);
        for (at, c) in source.columns.iter().enumerate() {
            let collation = source
                .collations
                .get(at)
                .copied()
                .unwrap_or(self.s.server.collation);
            let bound = Bound::Column {
                depth: 0,
                index: source.offset.saturating_add(at),
                ty: c.ty,
                collation,
            };
            if grouped
                && !scope
                    .gathered
                    .is_some_and(|g| g.borrow().keys.iter().any(|k| k.same(&bound)))
            {
                return Err(Message::new(
                    8120,
                    16,
                    1,
                    format!(
                        "Column '{}.{}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.",
                        source.alias, c.name
                    ),
                )
                .ending(message::Ends::Batch));
            }
            items.push(bound);
            columns.push(c.clone());
        }
        Ok(())
    }

    fn order_key(
        &mut self,
        e: &Expr,
        columns: &[Column],
        s: &Select,
        scope: &Scope<'_>,
    ) -> SqlResult<Key> {
        match e {
            Expr::Literal(Value::Int(n), _) => return ordinal(*n, columns.len()).map(Key::Output),
            Expr::Column(name) => {
                if let [only] = name.as_slice() {
                    // An alias wins over a column of the tables.
                    let at = columns.iter().position(|c| same_name(&c.name, only));
                    if let Some(at) = at {
                        return Ok(Key::Output(at));
                    }
                }
            }
            _ => {}
        }
        let bound = self.value(e, scope)?;
        if s.distinct {
            return Err(Message::new(
                145,
                15,
                1,
                "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.",
            )
            .ending(message::Ends::Batch));
        }
        Ok(Key::Source(bound))
    }
}

fn ordinal(n: i64, count: usize) -> SqlResult<usize> {
    usize::try_from(n)
        .ok()
        .and_then(|n| n.checked_sub(1))
        .filter(|n| *n < count)
        .ok_or_else(|| {
            Message::new(108, 16, 1, format!("The ORDER BY position number {n} is out of range of the number of items in the select list."))
                .ending(message::Ends::Batch)
        })
}

/// Hands `column = value` down to the scan of that column's table, where an index may answer it.
///
/// Only where the table's rows cannot be filled up with NULLs by an outer join.
pub(crate) fn push_down(from: &mut FromPlan, c: &Condition) {
    match c {
        Condition::And(a, b) => {
            push_down(from, a);
            push_down(from, b);
        }
        Condition::Compare {
            op: Compare::Equal,
            left,
            right,
            collation,
        } => {
            for (column, value) in [(left, right), (right, left)] {
                if let Bound::Column {
                    depth: 0,
                    index,
                    ty,
                    collation: own,
                } = column
                    && fixed(value)
                    && if ty.is_text() {
                        value.ty().is_text() && own == collation
                    } else {
                        value.ty() == *ty
                    }
                {
                    hand_down(from, *index, value, 0);
                    return;
                }
            }
        }
        _ => {}
    }
}

/// Whether it is the same for every row of this SELECT.
fn fixed(b: &Bound) -> bool {
    match b {
        Bound::Literal(v, _) => !v.is_null(),
        Bound::Variable(..) => true,
        Bound::Column { depth, .. } => *depth > 0,
        Bound::Convert {
            expr, style, quiet, ..
        } => style.is_none() && !quiet && fixed(expr),
        _ => false,
    }
}

fn hand_down(from: &mut FromPlan, index: usize, value: &Bound, base: usize) {
    match from {
        FromPlan::Table { table, equal, .. } => {
            if let Some(at) = index.checked_sub(base)
                && at < table.info.columns.len()
            {
                equal.push((at, value.clone()));
            }
        }
        FromPlan::Join {
            left, right, kind, ..
        } => {
            use crate::sql::ast::JoinKind as J;
            let split = base.saturating_add(left.width());
            if index < split {
                if matches!(kind, J::Inner | J::Cross | J::Left) {
                    hand_down(left, index, value, base);
                }
            } else if matches!(kind, J::Inner | J::Cross | J::Right) {
                hand_down(right, index, value, split);
            }
        }
        FromPlan::Apply { left, .. } if index < base.saturating_add(left.width()) => {
            hand_down(left, index, value, base);
        }
        _ => {}
    }
}
