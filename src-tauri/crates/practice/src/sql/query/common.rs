//! `WITH`: named queries, recursive ones too.

use std::{cell::RefCell, rc::Rc};

use super::table::{different_counts, rename};
use super::{
    BodyPlan, FromPlan,
    bind::{Binder, Cte, Scope, Source},
};
use crate::sql::{
    ast::{Body, Query, SetOp, Table},
    message::{self, SqlResult},
    store::same_name,
    types::Type,
};

impl Binder<'_> {
    /// A query of `WITH`, bound anew at each use.
    pub(super) fn named_query(
        &mut self,
        at: usize,
        alias: String,
        sources: &mut Vec<Source>,
        base: usize,
    ) -> SqlResult<FromPlan> {
        let Some(cte) = self.ctes.get(at).cloned() else {
            return Err(message::no_object(&alias));
        };
        match cte {
            Cte::Work { columns, rows, .. } => {
                let width = columns.len();
                self.add(sources, alias, None, columns, base);
                Ok(FromPlan::Work(rows, width))
            }
            Cte::Query(common) => {
                self.deeper()?;
                // It sees the ones before it, and itself.
                let later = self.ctes.split_off(at);
                let plan = self.common(&common);
                self.ctes.truncate(at);
                self.ctes.extend(later);
                self.nesting = self.nesting.saturating_sub(1);
                let plan = plan?;
                let mut columns = plan.columns.clone();
                rename(&mut columns, &common.columns, &common.name)?;
                self.add(sources, alias, None, columns, base);
                Ok(FromPlan::Query(Rc::new(plan)))
            }
        }
    }

    pub(super) fn common(
        &mut self,
        common: &crate::sql::ast::Common,
    ) -> SqlResult<super::QueryPlan> {
        let recursive = match &common.query.body {
            Body::Set(SetOp::UnionAll, _, step) => mentions_body(step, &common.name),
            _ => false,
        };
        let Body::Set(SetOp::UnionAll, anchor, step) = &common.query.body else {
            return self.query(&common.query, &Scope::EMPTY);
        };
        if !recursive {
            return self.query(&common.query, &Scope::EMPTY);
        }
        let plain = |body: &Body| Query {
            with: Vec::new(),
            body: body.clone(),
            order: Vec::new(),
            offset: None,
            fetch: None,
        };
        let first = self.query(&plain(anchor), &Scope::EMPTY)?;
        let mut columns = first.columns.clone();
        rename(&mut columns, &common.columns, &common.name)?;
        let rows = Rc::new(RefCell::new(Vec::new()));
        self.ctes.push(Cte::Work {
            name: common.name.clone(),
            columns: columns.clone(),
            rows: Rc::clone(&rows),
        });
        let second = self.query(&plain(step), &Scope::EMPTY);
        self.ctes.pop();
        let second = second?;
        if second.columns.len() != columns.len() {
            return Err(different_counts());
        }
        let types: Vec<Type> = first.columns.iter().map(|c| c.ty).collect();
        let side = |plan: super::QueryPlan| {
            Box::new(super::Side {
                from: plan.columns.iter().map(|c| c.ty).collect(),
                to: types.clone(),
                body: BodyPlan::Nested(Box::new(plan)),
            })
        };
        let shown = first.columns.clone();
        Ok(super::QueryPlan {
            columns: shown,
            body: BodyPlan::Recursive {
                anchor: side(first),
                step: side(second),
                work: rows,
            },
            order: Vec::new(),
            offset: None,
            fetch: None,
        })
    }
}

pub(super) fn mentions_body(body: &Body, name: &str) -> bool {
    match body {
        Body::Select(s) => s.from.as_ref().is_some_and(|t| mentions_table(t, name)),
        Body::Set(_, a, b) => mentions_body(a, name) || mentions_body(b, name),
        Body::Nested(q) => mentions_body(&q.body, name),
    }
}

pub(super) fn mentions_table(table: &Table, name: &str) -> bool {
    match table {
        Table::Named { name: n, .. } => n.len() == 1 && n.iter().any(|n| same_name(n, name)),
        Table::Derived { query, .. } => mentions_body(&query.body, name),
        Table::Join { left, right, .. } | Table::Apply { left, right, .. } => {
            mentions_table(left, name) || mentions_table(right, name)
        }
        _ => false,
    }
}
