//! Aggregates and window functions.

use std::{cmp::Ordering, collections::HashSet};

use super::{Bound, Env, bind::Binder, expression::invalid_operand};
use crate::sql::{
    ast::Expr,
    collation::Collation,
    convert,
    decimal::Decimal,
    message::{self, Message, SqlResult},
    session::Session,
    types::{MAX, Type, fit_decimal},
    value::{Row, Value},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    StringAgg,
    Deviation { sample: bool, root: bool },
}

pub(crate) fn is_aggregate(upper: &str) -> bool {
    kind(upper).is_some()
        || matches!(
            upper,
            "CHECKSUM_AGG" | "GROUPING" | "GROUPING_ID" | "APPROX_COUNT_DISTINCT"
        )
}

fn kind(upper: &str) -> Option<Kind> {
    Some(match upper {
        "COUNT" | "COUNT_BIG" => Kind::Count,
        "SUM" => Kind::Sum,
        "AVG" => Kind::Avg,
        "MIN" => Kind::Min,
        "MAX" => Kind::Max,
        "STRING_AGG" => Kind::StringAgg,
        "STDEV" => Kind::Deviation {
            sample: true,
            root: true,
        },
        "STDEVP" => Kind::Deviation {
            sample: false,
            root: true,
        },
        "VAR" => Kind::Deviation {
            sample: true,
            root: false,
        },
        "VARP" => Kind::Deviation {
            sample: false,
            root: false,
        },
        _ => return None,
    })
}

/// Whether an expression calls an aggregate of its own SELECT.
pub(crate) fn mentioned(e: &Expr) -> bool {
    match e {
        Expr::Call(c) => {
            let aggregate = c.over.is_none()
                && c.name.len() == 1
                && c.name.iter().any(|n| is_aggregate(&n.to_ascii_uppercase()));
            aggregate
                || c.args.iter().any(mentioned)
                || c.over.as_ref().is_some_and(|w| {
                    w.partition.iter().any(mentioned) || w.order.iter().any(|o| mentioned(&o.expr))
                })
        }
        Expr::Unary(_, a) | Expr::Not(a) | Expr::IsNull(a, _) | Expr::Collate(a, _) => mentioned(a),
        Expr::Binary(_, a, b) | Expr::Compare(_, a, b) | Expr::And(a, b) | Expr::Or(a, b) => {
            mentioned(a) || mentioned(b)
        }
        Expr::Between {
            expr, low, high, ..
        } => mentioned(expr) || mentioned(low) || mentioned(high),
        Expr::In { expr, list, .. } => mentioned(expr) || list.iter().any(mentioned),
        Expr::InQuery { expr, .. } | Expr::Convert { expr, .. } => mentioned(expr),
        Expr::Like { expr, pattern, .. } => mentioned(expr) || mentioned(pattern),
        Expr::Case {
            operand,
            branches,
            otherwise,
        } => {
            operand.as_deref().is_some_and(mentioned)
                || branches.iter().any(|(a, b)| mentioned(a) || mentioned(b))
                || otherwise.as_deref().is_some_and(mentioned)
        }
        _ => false,
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) kind: Kind,
    pub(crate) args: Vec<Bound>,
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) order: Vec<(Bound, bool)>,
    pub(crate) ty: Type,
    pub(crate) collation: Collation,
}

impl Aggregate {
    pub(crate) fn new(
        b: &Binder<'_>,
        name: &str,
        args: Vec<Bound>,
        star: bool,
        distinct: bool,
        order: Vec<(Bound, bool)>,
    ) -> SqlResult<Self> {
        let Some(k) = kind(name) else {
            return Err(message::not_implemented(format!("The aggregate {name}")));
        };
        let wanted = match (star, k) {
            (true, _) => 0,
            (_, Kind::StringAgg) => 2,
            _ => 1,
        };
        if args.len() != wanted || (star && k != Kind::Count) {
            return Err(message::argument_count(
                &name.to_lowercase(),
                &wanted.max(1).to_string(),
            ));
        }
        let from = args.first().map_or(Type::Int, Bound::ty);
        let lower = name.to_lowercase();
        let ty = match k {
            Kind::Count if name == "COUNT_BIG" => Type::BigInt,
            Kind::Count => Type::Int,
            Kind::Sum | Kind::Avg => match from {
                Type::TinyInt | Type::SmallInt | Type::Int | Type::Null => Type::Int,
                Type::BigInt => Type::BigInt,
                Type::Money | Type::SmallMoney => Type::Money,
                Type::Real | Type::Float => Type::Float,
                Type::Decimal(_, s) => {
                    if k == Kind::Sum {
                        Type::Decimal(38, s)
                    } else {
                        fit_decimal(38, s.max(6))
                    }
                }
                t => return Err(invalid_operand(&lower, t)),
            },
            Kind::Min | Kind::Max => {
                if matches!(from, Type::Bit) {
                    return Err(invalid_operand(&lower, from));
                }
                from
            }
            Kind::StringAgg => match from {
                Type::VarChar(MAX) => Type::VarChar(MAX),
                Type::NVarChar(MAX) => Type::NVarChar(MAX),
                Type::VarChar(_) | Type::Char(_) => Type::VarChar(8000),
                _ => Type::NVarChar(4000),
            },
            Kind::Deviation { .. } => Type::Float,
        };
        let collation = args
            .first()
            .and_then(Bound::collation)
            .unwrap_or_else(|| b.collation());
        let args = match k {
            Kind::Sum | Kind::Avg if !matches!(from, Type::Decimal(..)) => args
                .into_iter()
                .map(|a| b.coerce(a, ty))
                .collect::<SqlResult<Vec<_>>>()?,
            Kind::Deviation { .. } => args
                .into_iter()
                .map(|a| b.coerce(a, Type::Float))
                .collect::<SqlResult<Vec<_>>>()?,
            Kind::StringAgg => args
                .into_iter()
                .map(|a| {
                    if a.ty().is_text() {
                        Ok(a)
                    } else {
                        b.coerce(a, Type::NVarChar(4000))
                    }
                })
                .collect::<SqlResult<Vec<_>>>()?,
            _ => args,
        };
        Ok(Self {
            kind: k,
            args,
            star,
            distinct,
            order,
            ty,
            collation,
        })
    }

    /// The aggregate over the rows of one group.
    pub(crate) fn over(
        &self,
        s: &Session,
        rows: &[&Row],
        parent: Option<&Env<'_>>,
    ) -> SqlResult<Value> {
        if self.star {
            return Ok(Value::Int(i64::try_from(rows.len()).unwrap_or(i64::MAX)));
        }
        let mut values = Vec::new();
        let mut seen = HashSet::new();
        for row in rows {
            s.check()?;
            let env = Env::of(row, parent);
            let Some(arg) = self.args.first() else {
                return Err(message::internal("an aggregate without argument"));
            };
            let v = s.eval(arg, &env)?;
            if v.is_null() || (self.distinct && !seen.insert(v.key(self.collation))) {
                continue;
            }
            let mut keys = Vec::new();
            for (o, descending) in &self.order {
                keys.push((s.eval(o, &env)?, *descending));
            }
            values.push((v, keys));
        }
        if self.kind == Kind::StringAgg {
            values.sort_by(|a, b| compare_keys(&a.1, &b.1, self.collation));
            let separator = match self.args.get(1) {
                Some(sep) => s.eval(sep, &Env::of(&[], parent))?,
                None => Value::Null,
            };
            let separator = convert::to_text(&separator, Type::NVarChar(MAX), s.style())?;
            if values.is_empty() {
                return Ok(Value::Null);
            }
            let texts: Vec<String> = values
                .iter()
                .map(|(v, _)| convert::to_text(v, Type::NVarChar(MAX), s.style()))
                .collect::<SqlResult<_>>()?;
            let joined = texts.join(&separator);
            if !matches!(self.ty.length(), Some(MAX))
                && joined.encode_utf16().count() > usize::from(self.ty.length().unwrap_or(8000))
            {
                return Err(Message::new(
                    9829,
                    16,
                    1,
                    "STRING_AGG aggregation result exceeded the limit of 8000 bytes. Use LOB types to avoid result truncation.",
                ));
            }
            return Ok(Value::text(joined));
        }
        let values: Vec<Value> = values.into_iter().map(|(v, _)| v).collect();
        self.fold(&values)
    }

    pub(crate) fn fold(&self, values: &[Value]) -> SqlResult<Value> {
        let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
        if self.kind == Kind::Count {
            if self.ty == Type::Int && i32::try_from(count).is_err() {
                return Err(message::overflow("int"));
            }
            return Ok(Value::Int(count));
        }
        let Some(first) = values.first() else {
            return Ok(Value::Null);
        };
        match self.kind {
            Kind::Min | Kind::Max => {
                let wanted = if self.kind == Kind::Min {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
                let mut best = first;
                for v in values {
                    if v.order(best, self.collation) == wanted {
                        best = v;
                    }
                }
                Ok(best.clone())
            }
            Kind::Deviation { sample, root } => {
                let floats: Vec<f64> = values
                    .iter()
                    .filter_map(|v| {
                        if let Value::Float(f) = v {
                            Some(*f)
                        } else {
                            None
                        }
                    })
                    .collect();
                let n = floats.len() as f64;
                let divisor = if sample { n - 1.0 } else { n };
                if divisor <= 0.0 {
                    return Ok(Value::Null);
                }
                let mean = floats.iter().sum::<f64>() / n;
                let variance = floats.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / divisor;
                Ok(Value::Float(if root { variance.sqrt() } else { variance }))
            }
            _ => self.sum(values, count),
        }
    }

    fn sum(&self, values: &[Value], count: i64) -> SqlResult<Value> {
        let overflow = || message::overflow(self.ty.name());
        let average = self.kind == Kind::Avg;
        match values.first() {
            Some(Value::Int(_)) => {
                let mut total: i128 = 0;
                for v in values {
                    if let Value::Int(n) = v {
                        total = total.saturating_add(i128::from(*n));
                    }
                }
                if average {
                    total = total.checked_div(i128::from(count)).unwrap_or(0);
                }
                let n = i64::try_from(total).map_err(|_| overflow())?;
                if self.ty == Type::Int && i32::try_from(n).is_err() {
                    Err(overflow())
                } else {
                    Ok(Value::Int(n))
                }
            }
            Some(Value::Float(_)) => {
                let total: f64 = values
                    .iter()
                    .filter_map(|v| {
                        if let Value::Float(f) = v {
                            Some(*f)
                        } else {
                            None
                        }
                    })
                    .sum();
                let n = count as f64;
                let f = if average { total / n } else { total };
                if f.is_finite() {
                    Ok(Value::Float(f))
                } else {
                    Err(overflow())
                }
            }
            _ => {
                let mut total = Decimal::from_int(0);
                for v in values {
                    if let Value::Decimal(d) = v {
                        total = total.add(*d).ok_or_else(overflow)?;
                    }
                }
                let (_, scale) = self.ty.as_decimal().unwrap_or((38, 6));
                let d = if average {
                    total.divide(Decimal::from_int(count), scale)
                } else {
                    total.rescale(scale)
                };
                d.map(Value::Decimal).ok_or_else(overflow)
            }
        }
    }
}

/// What a row is ordered by: each value, and whether downwards.
pub(crate) type SortKeys = Vec<(Value, bool)>;

pub(crate) fn compare_keys(
    a: &[(Value, bool)],
    b: &[(Value, bool)],
    collation: Collation,
) -> Ordering {
    for ((x, descending), (y, _)) in a.iter().zip(b) {
        let o = x.order(y, collation);
        let o = if *descending { o.reverse() } else { o };
        if o != Ordering::Equal {
            return o;
        }
    }
    Ordering::Equal
}
