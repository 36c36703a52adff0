//! MERGE.

use super::{
    Defaults, Returned, assign, complete, constraint, store_row,
    update::{Changed, Setter},
};
use crate::sql::{
    ast::{Expr, JoinKind, Merge, MergeAction, MergeWhen, Output as Clause},
    message::{Ends, Message, SqlResult},
    output::{Output, command},
    query::{
        Bound, Condition, Env, FromPlan,
        bind::{Cte, Scope, Source},
    },
    session::Session,
    statement::Exec,
    types::Type,
    value::{Row, Value},
};

enum Action {
    Delete,
    Update(Vec<Setter>),
    Insert(Vec<usize>, Vec<Option<Bound>>),
}

/// What happened to a row, for `$action`.
struct Outcome {
    action: &'static str,
    inserted: Option<Row>,
    deleted: Option<Row>,
    source: Row,
}

impl Session {
    pub(crate) fn merge(&self, m: &Merge, out: &mut dyn Output) -> Exec<()> {
        self.begin_implicitly(out)?;
        let mut b = self.binder();
        for common in &m.with {
            b.ctes.push(Cte::Query(std::rc::Rc::new(common.clone())));
        }
        let t = b.find_table(&m.target)?;
        for verb in ["INSERT", "UPDATE", "DELETE"] {
            self.need_access(t.database, &t.object, verb)?;
        }
        // The source first, the target behind it: a full join of both is all that the clauses need.
        let mut sources: Vec<Source> = Vec::new();
        let source = b.from(&m.source, &mut sources, &Scope::EMPTY)?;
        let source_sources = sources.clone();
        let split = source.width();
        let alias = m
            .alias
            .clone()
            .unwrap_or_else(|| m.target.last().cloned().unwrap_or_default());
        let target = b.table_source(t.clone(), alias, None, true, &mut sources);
        let width = t.info.columns.len();
        let scope = Scope {
            sources: &sources,
            gathered: None,
            parent: None,
        };
        let on = b.condition(&m.on, &scope)?;
        let mut clauses: Vec<(MergeWhen, Option<Condition>, Action)> = Vec::new();
        for (when, condition, action) in &m.clauses {
            let condition = condition
                .as_ref()
                .map(|c| b.condition(c, &scope))
                .transpose()?;
            let action = match action {
                MergeAction::Delete => Action::Delete,
                MergeAction::Update(list) => Action::Update(b.setters(list, &t, &sources, split)?),
                MergeAction::Insert(names, values) => {
                    let places = super::insert::places(&t, names, false)?;
                    super::insert::check_places(self, &t, &places)?;
                    let mut bound = Vec::new();
                    for e in values.iter().flatten() {
                        bound.push(match e {
                            Expr::Default => None,
                            e => Some(b.value(e, &scope)?),
                        });
                    }
                    if values.is_some() && bound.len() != places.len() {
                        return Err(Message::new(213, 16, 1, "Column name or number of supplied values does not match table definition.")
                            .ending(Ends::Batch)
                            .into());
                    }
                    Action::Insert(places, bound)
                }
            };
            clauses.push((*when, condition, action));
        }
        let mut shown = source_sources;
        shown.push(Source {
            alias: String::new(),
            schema: None,
            columns: vec![crate::sql::output::Column::new(
                "$action",
                Type::NVarChar(10),
            )],
            collations: vec![self.server.collation],
            offset: split,
            hidden: 0,
        });
        let clause: Option<Clause> = m.output.clone();
        let returned = Returned::bind(&mut b, clause.as_ref(), &t, &shown)?;
        let from = FromPlan::Join {
            left: Box::new(source),
            right: Box::new(target),
            kind: JoinKind::Full,
            on: Some(on),
            base: 0,
            hash: None,
        };
        let defaults = Defaults::of(self, &t)?;
        let outcomes = self.write(t.database, |file| {
            let mut work: Vec<(Row, usize)> = Vec::new();
            self.source_rows(&from, None, 0, &mut |row| {
                self.check()?;
                let number = row.get(split.saturating_add(width));
                let has_target = matches!(number, Some(Value::Int(_)));
                // A row of the target alone has no source: the join filled it with NULLs.
                let has_source = !(has_target
                    && row
                        .get(..split)
                        .is_some_and(|s| s.iter().all(Value::is_null)));
                let kind = match (has_source, has_target) {
                    (true, true) => MergeWhen::Matched,
                    (true, false) => MergeWhen::NotMatched,
                    _ => MergeWhen::NotMatchedBySource,
                };
                for (at, (when, condition, _)) in clauses.iter().enumerate() {
                    if *when != kind {
                        continue;
                    }
                    let go = match condition {
                        Some(c) => self.test(c, &Env::of(&row, None))? == Some(true),
                        None => true,
                    };
                    if go {
                        self.hold(row.iter().map(Value::weight).sum())?;
                        work.push((row, at));
                        break;
                    }
                }
                Ok(true)
            })?;
            self.merge_rows(file, &t, &clauses, work, split, &defaults)
        })?;
        let mut sent = Vec::new();
        let count = outcomes.len();
        if let Some(r) = &returned {
            for o in &outcomes {
                let mut more = o.source.clone();
                more.push(Value::text(o.action));
                sent.push(r.row(
                    self,
                    o.inserted.as_deref(),
                    o.deleted.as_deref(),
                    width,
                    &more,
                )?);
            }
            r.finish(self, sent, out)?;
        }
        self.counted(
            out,
            command::MERGE,
            u64::try_from(count).unwrap_or(u64::MAX),
        )
    }

    fn merge_rows(
        &self,
        file: &crate::sql::store::File,
        t: &crate::sql::query::TableRef,
        clauses: &[(MergeWhen, Option<Condition>, Action)],
        work: Vec<(Row, usize)>,
        split: usize,
        defaults: &Defaults,
    ) -> SqlResult<Vec<Outcome>> {
        let width = t.info.columns.len();
        let checks = constraint::Checks::of(self, t)?;
        let mut seen = std::collections::HashSet::new();
        let (mut changed, mut gone, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        let mut inserts = Vec::new();
        for (row, at) in work {
            self.check()?;
            let source = row.get(..split).unwrap_or_default().to_vec();
            let own = row
                .get(split..split.saturating_add(width))
                .unwrap_or_default()
                .to_vec();
            let number = match row.get(split.saturating_add(width)) {
                Some(Value::Int(n)) => Some(*n),
                _ => None,
            };
            if let Some(n) = number
                && !seen.insert(n)
            {
                return Err(Message::new(
                    8672,
                    16,
                    1,
                    "The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine the ON clause to ensure a target row matches at most one source row, or use the GROUP BY clause to group the source rows.",
                ));
            }
            match (clauses.get(at).map(|c| &c.2), number) {
                (Some(Action::Delete), Some(n)) => {
                    gone.push((n, own.clone()));
                    outcomes.push(Outcome {
                        action: "DELETE",
                        inserted: None,
                        deleted: Some(own),
                        source,
                    });
                }
                (Some(Action::Update(setters)), Some(n)) => {
                    let new = self.apply(setters, t, &own, &row)?;
                    outcomes.push(Outcome {
                        action: "UPDATE",
                        inserted: Some(new.clone()),
                        deleted: Some(own.clone()),
                        source,
                    });
                    changed.push(Changed {
                        number: n,
                        old: own,
                        new,
                        context: Row::new(),
                    });
                }
                (Some(Action::Insert(places, values)), None) => {
                    let env = Env::of(&row, None);
                    let mut given: Vec<Option<Value>> = vec![None; width];
                    for (place, b) in places.iter().zip(values) {
                        if let (Some(slot), Some(c), Some(b)) =
                            (given.get_mut(*place), t.info.columns.get(*place), b)
                        {
                            let v = self.eval(b, &env)?;
                            *slot = Some(assign(self, &v, b.ty(), t, c)?);
                        }
                    }
                    inserts.push((given, source));
                }
                _ => {}
            }
        }
        self.delete_rows(file, t, &gone)?;
        self.replace_rows(file, t, &mut changed)?;
        let mut stored = Vec::new();
        for (given, source) in inserts {
            let row = complete(self, file, t, given, defaults)?;
            store_row(self, file, t, &checks, &row, None, "MERGE")?;
            stored.push(row.clone());
            outcomes.push(Outcome {
                action: "INSERT",
                inserted: Some(row),
                deleted: None,
                source,
            });
        }
        let all: Vec<&[Value]> = stored.iter().map(Vec::as_slice).collect();
        constraint::foreign(self, file, t, &all, "MERGE")?;
        Ok(outcomes)
    }
}
