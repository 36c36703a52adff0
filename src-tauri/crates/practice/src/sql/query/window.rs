//! Window functions.

use std::{cmp::Ordering, collections::HashSet};

use super::aggregate::{Aggregate, SortKeys, compare_keys};
use super::{Bound, Env, bind::Binder};
use crate::sql::{
    ast::Window,
    collation::Collation,
    message::{self, Message, SqlResult},
    session::Session,
    types::Type,
    value::{Key, Value},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranking {
    RowNumber,
    Rank,
    DenseRank,
    NTile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
}

#[derive(Debug, Clone)]
pub(crate) struct WindowPlan {
    ranking: Option<Ranking>,
    aggregate: Option<Aggregate>,
    args: Vec<Bound>,
    partition: Vec<Bound>,
    order: Vec<(Bound, bool)>,
    whole: bool,
    rows: bool,
    pub(crate) ty: Type,
    collation: Collation,
}

impl WindowPlan {
    pub(crate) fn new(
        b: &Binder<'_>,
        name: &str,
        args: Vec<Bound>,
        star: bool,
        partition: Vec<Bound>,
        order: Vec<(Bound, bool)>,
        over: &Window,
    ) -> SqlResult<Self> {
        let ranking = match name {
            "ROW_NUMBER" => Some(Ranking::RowNumber),
            "RANK" => Some(Ranking::Rank),
            "DENSE_RANK" => Some(Ranking::DenseRank),
            "NTILE" => Some(Ranking::NTile),
            "LAG" => Some(Ranking::Lag),
            "LEAD" => Some(Ranking::Lead),
            "FIRST_VALUE" => Some(Ranking::FirstValue),
            "LAST_VALUE" => Some(Ranking::LastValue),
            _ => None,
        };
        if ranking.is_some() && order.is_empty() {
            return Err(Message::new(
                4112,
                15,
                1,
                format!("The function '{name}' must have an OVER clause with ORDER BY."),
            )
            .ending(message::Ends::Batch));
        }
        let collation = b.collation();
        let (aggregate, ty) = match ranking {
            None => {
                let a = Aggregate::new(b, name, args.clone(), star, false, Vec::new())?;
                let ty = a.ty;
                (Some(a), ty)
            }
            Some(Ranking::Lag | Ranking::Lead | Ranking::FirstValue | Ranking::LastValue) => {
                let ty = args
                    .first()
                    .map(Bound::ty)
                    .ok_or_else(|| message::argument_count(&name.to_lowercase(), "1"))?;
                (None, ty)
            }
            Some(_) => (None, Type::BigInt),
        };
        let whole = over.whole || order.is_empty();
        Ok(Self {
            ranking,
            aggregate,
            args,
            partition,
            order,
            whole,
            rows: over.rows,
            ty,
            collation,
        })
    }

    /// The function's value for each row.
    pub(crate) fn compute(&self, s: &Session, envs: &[Env<'_>]) -> SqlResult<Vec<Value>> {
        let mut out = vec![Value::Null; envs.len()];
        // Rows by partition, in order.
        let mut places: Vec<(Vec<Key>, SortKeys, usize)> = Vec::new();
        for (at, env) in envs.iter().enumerate() {
            s.check()?;
            let part = self
                .partition
                .iter()
                .map(|e| s.eval(e, env).map(|v| v.key(self.collation)))
                .collect::<SqlResult<Vec<_>>>()?;
            let keys = self
                .order
                .iter()
                .map(|(e, d)| s.eval(e, env).map(|v| (v, *d)))
                .collect::<SqlResult<Vec<_>>>()?;
            places.push((part, keys, at));
        }
        let mut partitions: Vec<Vec<Key>> = Vec::new();
        let mut seen = HashSet::new();
        for (p, _, _) in &places {
            if seen.insert(p.clone()) {
                partitions.push(p.clone());
            }
        }
        let mut groups: std::collections::HashMap<Vec<Key>, Vec<(SortKeys, usize)>> =
            std::collections::HashMap::new();
        for (p, k, at) in places {
            groups.entry(p).or_default().push((k, at));
        }
        for p in partitions {
            let mut rows = groups.remove(&p).unwrap_or_default();
            rows.sort_by(|a, b| compare_keys(&a.0, &b.0, self.collation));
            self.partition(s, envs, &rows, &mut out)?;
        }
        Ok(out)
    }

    pub(super) fn partition(
        &self,
        s: &Session,
        envs: &[Env<'_>],
        rows: &[(SortKeys, usize)],
        out: &mut [Value],
    ) -> SqlResult<()> {
        let mut set = |at: usize, v: Value| {
            if let Some(slot) = out.get_mut(at) {
                *slot = v;
            }
        };
        let number = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let env_at = |n: usize| rows.get(n).and_then(|(_, at)| envs.get(*at));
        let value_at = |n: usize| -> SqlResult<Value> {
            match (env_at(n), self.args.first()) {
                (Some(env), Some(arg)) => s.eval(arg, env),
                _ => Ok(Value::Null),
            }
        };
        if let Some(a) = &self.aggregate {
            let mut values: Vec<Value> = Vec::new();
            let all: Vec<Value> = (0..rows.len()).map(value_at).collect::<SqlResult<_>>()?;
            let fold = |values: &[Value]| {
                if a.star {
                    Ok(number(values.len()))
                } else {
                    let kept: Vec<Value> =
                        values.iter().filter(|v| !v.is_null()).cloned().collect();
                    a.fold(&kept)
                }
            };
            if self.whole {
                let total = fold(&all)?;
                for (_, at) in rows {
                    set(*at, total.clone());
                }
                return Ok(());
            }
            let mut n = 0_usize;
            while n < rows.len() {
                s.check()?;
                // Without ROWS, rows equal in order share one value.
                let mut end = n.saturating_add(1);
                while !self.rows && end < rows.len() && self.peers(rows, n, end) {
                    end = end.saturating_add(1);
                }
                values.extend(all.get(n..end).unwrap_or_default().iter().cloned());
                let v = fold(&values)?;
                for (_, at) in rows.get(n..end).unwrap_or_default() {
                    set(*at, v.clone());
                }
                n = end;
            }
            return Ok(());
        }
        let (mut rank, mut dense) = (1_usize, 0_usize);
        for (n, (_, at)) in rows.iter().enumerate() {
            s.check()?;
            let new = n == 0 || !self.peers(rows, n.saturating_sub(1), n);
            if new {
                rank = n.saturating_add(1);
                dense = dense.saturating_add(1);
            }
            let v = match self.ranking {
                Some(Ranking::RowNumber) => number(n.saturating_add(1)),
                Some(Ranking::Rank) => number(rank),
                Some(Ranking::DenseRank) => number(dense),
                Some(Ranking::NTile) => {
                    let buckets = match self
                        .args
                        .first()
                        .map(|a| s.eval(a, &Env::of(&[], None)))
                        .transpose()?
                    {
                        Some(Value::Int(k)) if k > 0 => usize::try_from(k).unwrap_or(1),
                        _ => return Err(message::syntax("NTILE", 0)),
                    };
                    let (size, extra) = (
                        rows.len().checked_div(buckets).unwrap_or(0),
                        rows.len().checked_rem(buckets).unwrap_or(0),
                    );
                    let wide = extra.saturating_mul(size.saturating_add(1));
                    let bucket = if n < wide {
                        n.checked_div(size.saturating_add(1)).unwrap_or(0)
                    } else {
                        extra.saturating_add(
                            n.saturating_sub(wide).checked_div(size.max(1)).unwrap_or(0),
                        )
                    };
                    number(bucket.saturating_add(1))
                }
                Some(Ranking::Lag | Ranking::Lead) => {
                    let env = env_at(n);
                    let step = match (self.args.get(1), env) {
                        (Some(e), Some(env)) => match s.eval(e, env)? {
                            Value::Int(k) => usize::try_from(k).unwrap_or(0),
                            _ => 1,
                        },
                        _ => 1,
                    };
                    let other = if self.ranking == Some(Ranking::Lag) {
                        n.checked_sub(step)
                    } else {
                        n.checked_add(step).filter(|k| *k < rows.len())
                    };
                    match (other, self.args.get(2), env) {
                        (Some(k), _, _) => value_at(k)?,
                        (None, Some(default), Some(env)) => s.eval(default, env)?,
                        _ => Value::Null,
                    }
                }
                Some(Ranking::FirstValue) => value_at(0)?,
                Some(Ranking::LastValue) => {
                    let mut last = n;
                    while last.saturating_add(1) < rows.len()
                        && (self.whole
                            || (!self.rows && self.peers(rows, n, last.saturating_add(1))))
                    {
                        last = last.saturating_add(1);
                    }
                    value_at(last)?
                }
                None => Value::Null,
            };
            set(*at, v);
        }
        Ok(())
    }

    pub(super) fn peers(&self, rows: &[(SortKeys, usize)], a: usize, b: usize) -> bool {
        match (rows.get(a), rows.get(b)) {
            (Some(x), Some(y)) => compare_keys(&x.0, &y.0, self.collation) == Ordering::Equal,
            _ => false,
        }
    }
}
