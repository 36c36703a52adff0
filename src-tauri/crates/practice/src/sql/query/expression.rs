//! Binding expressions and conditions: names resolved, types worked out, conversions written in.

use std::rc::Rc;

use super::window::WindowPlan;
use super::{
    Bound, Condition,
    aggregate::{self, Aggregate},
    bind::{Binder, Scope},
    function, operator,
};
use crate::sql::{
    ast::{Binary, Call, Compare, Expr, Unary},
    collation::Collation,
    message::{self, Message, SqlResult},
    output::Column,
    types::Type,
    value::Value,
};

fn not_a_condition(near: &str) -> message::SqlError {
    Message::new(
        4145,
        15,
        1,
        format!("An expression of non-boolean type specified in a context where a condition is expected, near '{near}'."),
    )
    .ending(message::Ends::Batch)
}

impl Binder<'_> {
    /// Binds a value.
    pub(crate) fn value(&mut self, e: &Expr, scope: &Scope<'_>) -> SqlResult<Bound> {
        if let Some(known) = self.group_key(e, scope)? {
            return Ok(known);
        }
        match e {
            Expr::Literal(v, ty) => Ok(Bound::Literal(v.clone(), *ty)),
            Expr::Variable(name) => {
                let key = crate::sql::session::variable_key(name);
                let v = self
                    .s
                    .variable(&key)
                    .ok_or_else(|| message::undeclared(name))?;
                Ok(Bound::Variable(key, v.ty))
            }
            Expr::Global(name) => function::global(name),
            Expr::Column(name) => Ok(self.column_value(name, scope)?.0),
            Expr::Unary(op, inner) => {
                let inner = self.value(inner, scope)?;
                self.unary(*op, inner)
            }
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.value(a, scope)?, self.value(b, scope)?);
                self.arithmetic(*op, a, b)
            }
            Expr::Case {
                operand,
                branches,
                otherwise,
            } => self.case(operand.as_deref(), branches, otherwise.as_deref(), scope),
            Expr::Convert {
                expr,
                ty,
                style,
                quiet,
            } => {
                let inner = self.value(expr, scope)?;
                let style = style
                    .as_ref()
                    .map(|s| self.value(s, scope))
                    .transpose()?
                    .map(Box::new);
                let from = inner.ty();
                if from == *ty && style.is_none() {
                    return Ok(inner);
                }
                Ok(Bound::Convert {
                    expr: Box::new(inner),
                    from,
                    ty: *ty,
                    style,
                    quiet: *quiet,
                })
            }
            Expr::Collate(inner, name) => {
                let c = Collation::parse(name).ok_or_else(|| {
                    Message::new(448, 16, 1, format!("Invalid collation '{name}'."))
                        .ending(message::Ends::Batch)
                })?;
                Ok(Bound::Collate(Box::new(self.value(inner, scope)?), c))
            }
            Expr::Call(call) => self.call(call, scope),
            Expr::Scalar(query) => {
                let plan = self.query(query, scope)?;
                let [column] = plan.columns.as_slice() else {
                    return Err(one_column());
                };
                let ty = column.ty;
                Ok(Bound::Scalar(Rc::new(plan), ty))
            }
            Expr::Default => Err(message::syntax("DEFAULT", 0)),
            // A condition where a value belongs.
            _ => Err(message::syntax("=", 0)),
        }
    }

    /// In a grouped SELECT: whether the expression is one of those it is grouped by.
    fn group_key(&mut self, e: &Expr, scope: &Scope<'_>) -> SqlResult<Option<Bound>> {
        let Some(gathered) = scope.gathered else {
            return Ok(None);
        };
        {
            let g = gathered.borrow();
            if !g.grouped
                || g.keys.is_empty()
                || matches!(e, Expr::Literal(..) | Expr::Variable(_) | Expr::Global(_))
            {
                return Ok(None);
            }
        }
        let plain = Scope {
            gathered: None,
            ..*scope
        };
        let Ok(bound) = self.value(e, &plain) else {
            return Ok(None);
        };
        let g = gathered.borrow();
        Ok(g.keys.iter().any(|k| k.same(&bound)).then_some(bound))
    }

    fn column_value(
        &mut self,
        name: &[String],
        scope: &Scope<'_>,
    ) -> SqlResult<(Bound, Option<Column>)> {
        let (bound, column) = self.column(&name.to_vec(), scope)?;
        if let Bound::Column {
            depth: 0, index, ..
        } = &bound
            && let Some(g) = scope.gathered
            && g.borrow().grouped
        {
            let source = scope
                .sources
                .iter()
                .find(|s| (s.offset..s.offset.saturating_add(s.width())).contains(index))
                .map(|s| s.alias.clone())
                .unwrap_or_default();
            let shown = format!(
                "{source}.{}",
                column.as_ref().map(|c| c.name.clone()).unwrap_or_default()
            );
            return Err(Message::new(
                8120,
                16,
                1,
                format!(
                    "Column '{shown}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause."
                ),
            )
            .ending(message::Ends::Batch));
        }
        Ok((bound, column))
    }

    fn unary(&self, op: Unary, inner: Bound) -> SqlResult<Bound> {
        let ty = inner.ty();
        let result = match op {
            Unary::Plus => return Ok(inner),
            Unary::Minus => match ty {
                Type::TinyInt | Type::Bit => Type::SmallInt,
                Type::Null => Type::Int,
                t if t.is_numeric() => t,
                t if t.is_text() => Type::Int,
                t => return Err(invalid_operand("minus", t)),
            },
            Unary::BitNot => match ty {
                Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt | Type::Bit => ty,
                t => return Err(invalid_operand("'~'", t)),
            },
        };
        let inner = if ty.is_text() || ty == Type::Bit {
            self.coerce(inner, result)?
        } else {
            inner
        };
        Ok(Bound::Unary(op, Box::new(inner), result))
    }

    pub(crate) fn arithmetic(&self, op: Binary, a: Bound, b: Bound) -> SqlResult<Bound> {
        let (ta, tb) = (decimal_literal(&a), decimal_literal(&b));
        let plan = operator::result_type(op, ta, tb)?;
        let left = self.coerce(a, plan.left)?;
        let right = self.coerce(b, plan.right)?;
        Ok(Bound::Binary {
            op,
            left: Box::new(left),
            right: Box::new(right),
            ty: plan.ty,
        })
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> SqlResult<Bound> {
        let mut tests = Vec::new();
        let mut values = Vec::new();
        for (when, then) in branches {
            let test = match operand {
                Some(o) => {
                    let (left, right) = (self.value(o, scope)?, self.value(when, scope)?);
                    self.compare(Compare::Equal, left, right)?
                }
                None => self.condition(when, scope)?,
            };
            tests.push(test);
            values.push(self.value(then, scope)?);
        }
        let otherwise = otherwise.map(|e| self.value(e, scope)).transpose()?;
        self.choose(tests, values, otherwise)
    }

    /// A CASE of bound parts, with everything brought to one type.
    fn choose(
        &self,
        tests: Vec<Condition>,
        values: Vec<Bound>,
        otherwise: Option<Bound>,
    ) -> SqlResult<Bound> {
        let mut ty = Type::Null;
        for v in values.iter().chain(&otherwise) {
            ty = ty.common(v.ty());
        }
        let values = values
            .into_iter()
            .map(|v| self.coerce(v, ty))
            .collect::<SqlResult<Vec<_>>>()?;
        let otherwise = otherwise
            .map(|v| self.coerce(v, ty))
            .transpose()?
            .map(Box::new);
        Ok(Bound::Case {
            branches: tests.into_iter().zip(values).collect(),
            otherwise,
            ty,
        })
    }

    fn call(&mut self, call: &Call, scope: &Scope<'_>) -> SqlResult<Bound> {
        let [name] = call.name.as_slice() else {
            return Err(Message::new(
                4121,
                16,
                1,
                format!(
                    "Cannot find either column \"{}\" or the user-defined function or aggregate \"{}\", or the name is ambiguous.",
                    call.name.first().cloned().unwrap_or_default(),
                    call.name.join(".")
                ),
            )
            .ending(message::Ends::Batch));
        };
        let upper = name.to_ascii_uppercase();
        if let Some(over) = &call.over {
            return self.window(&upper, call, over, scope);
        }
        if aggregate::is_aggregate(&upper) {
            return self.aggregate(&upper, call, scope);
        }
        let arity = |n: usize| {
            if call.args.len() == n {
                Ok(())
            } else {
                Err(message::argument_count(
                    &upper.to_lowercase(),
                    &n.to_string(),
                ))
            }
        };
        let arg = |n: usize| {
            call.args
                .get(n)
                .ok_or_else(|| message::argument_count(&upper.to_lowercase(), "more"))
        };
        match upper.as_str() {
            "COALESCE" => {
                let values = call
                    .args
                    .iter()
                    .map(|a| self.value(a, scope))
                    .collect::<SqlResult<Vec<_>>>()?;
                let Some((last, first)) = values.split_last() else {
                    return Err(message::syntax(")", 0));
                };
                if values.iter().all(|v| v.ty() == Type::Null) {
                    return Err(Message::new(
                        4127,
                        16,
                        1,
                        "At least one of the arguments to COALESCE must be an expression that is not the NULL constant.",
                    )
                    .ending(message::Ends::Batch));
                }
                let tests = first
                    .iter()
                    .map(|v| Condition::IsNull(v.clone(), true))
                    .collect();
                self.choose(tests, first.to_vec(), Some(last.clone()))
            }
            "NULLIF" => {
                arity(2)?;
                let (a, b) = (self.value(arg(0)?, scope)?, self.value(arg(1)?, scope)?);
                let ty = a.ty();
                let test = self.compare(Compare::Equal, a.clone(), b)?;
                Ok(Bound::Case {
                    branches: vec![(test, Bound::Literal(Value::Null, ty))],
                    otherwise: Some(Box::new(a)),
                    ty,
                })
            }
            "IIF" => {
                arity(3)?;
                let test = self.condition(arg(0)?, scope)?;
                let (yes, no) = (self.value(arg(1)?, scope)?, self.value(arg(2)?, scope)?);
                self.choose(vec![test], vec![yes], Some(no))
            }
            "ISNULL" => {
                arity(2)?;
                let (a, b) = (self.value(arg(0)?, scope)?, self.value(arg(1)?, scope)?);
                let ty = if a.ty() == Type::Null { b.ty() } else { a.ty() };
                let (a, b) = (self.coerce(a, ty)?, self.coerce(b, ty)?);
                let test = Condition::IsNull(a.clone(), true);
                Ok(Bound::Case {
                    branches: vec![(test, a)],
                    otherwise: Some(Box::new(b)),
                    ty,
                })
            }
            "CHOOSE" => {
                let index = self.value(arg(0)?, scope)?;
                let index = self.coerce(index, Type::Int)?;
                let mut tests = Vec::new();
                let mut values = Vec::new();
                for (n, e) in call.args.iter().skip(1).enumerate() {
                    let at = i64::try_from(n).unwrap_or(0).saturating_add(1);
                    tests.push(self.compare(
                        Compare::Equal,
                        index.clone(),
                        Bound::Literal(Value::Int(at), Type::Int),
                    )?);
                    values.push(self.value(e, scope)?);
                }
                self.choose(tests, values, None)
            }
            "DATEADD" | "DATEDIFF" | "DATEDIFF_BIG" | "DATEPART" | "DATENAME" | "DATETRUNC" => {
                // The first argument is a word, not a value.
                let part = match arg(0)? {
                    Expr::Column(name) => name.last().cloned().unwrap_or_default(),
                    _ => {
                        return Err(Message::new(
                            1023,
                            15,
                            1,
                            format!(
                                "Invalid parameter 1 specified for {}.",
                                upper.to_lowercase()
                            ),
                        )
                        .ending(message::Ends::Batch));
                    }
                };
                let part =
                    Bound::Literal(Value::text(part.to_ascii_lowercase()), Type::VarChar(20));
                let mut args = vec![part];
                for e in call.args.iter().skip(1) {
                    args.push(self.value(e, scope)?);
                }
                function::bind(self, &upper, args)
            }
            _ => {
                if call.star || call.distinct {
                    return Err(message::syntax("*", 0));
                }
                let args = call
                    .args
                    .iter()
                    .map(|a| self.value(a, scope))
                    .collect::<SqlResult<Vec<_>>>()?;
                function::bind(self, &upper, args)
            }
        }
    }

    fn aggregate(&mut self, name: &str, call: &Call, scope: &Scope<'_>) -> SqlResult<Bound> {
        let Some(gathered) = scope.gathered.filter(|g| g.borrow().grouped) else {
            return Err(Message::new(
                147,
                15,
                1,
                "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.",
            )
            .ending(message::Ends::Batch));
        };
        let inner = Scope {
            gathered: None,
            ..*scope
        };
        let agg = self.bind_aggregate(name, call, &inner)?;
        let ty = agg.ty;
        let mut g = gathered.borrow_mut();
        g.aggregates.push(agg);
        Ok(Bound::Aggregate(g.aggregates.len().saturating_sub(1), ty))
    }

    fn bind_aggregate(
        &mut self,
        name: &str,
        call: &Call,
        scope: &Scope<'_>,
    ) -> SqlResult<Aggregate> {
        let args = call
            .args
            .iter()
            .map(|a| self.value(a, scope))
            .collect::<SqlResult<Vec<_>>>()?;
        let mut order = Vec::new();
        for o in &call.within {
            order.push((self.value(&o.expr, scope)?, o.descending));
        }
        Aggregate::new(self, name, args, call.star, call.distinct, order)
    }

    fn window(
        &mut self,
        name: &str,
        call: &Call,
        over: &crate::sql::ast::Window,
        scope: &Scope<'_>,
    ) -> SqlResult<Bound> {
        let Some(gathered) = scope.gathered else {
            return Err(Message::new(
                4108,
                15,
                1,
                "Windowed functions can only appear in the SELECT or ORDER BY clauses.",
            )
            .ending(message::Ends::Batch));
        };
        let partition = over
            .partition
            .iter()
            .map(|e| self.value(e, scope))
            .collect::<SqlResult<Vec<_>>>()?;
        let mut order = Vec::new();
        for o in &over.order {
            order.push((self.value(&o.expr, scope)?, o.descending));
        }
        let args = call
            .args
            .iter()
            .map(|a| self.value(a, scope))
            .collect::<SqlResult<Vec<_>>>()?;
        let plan = WindowPlan::new(self, name, args, call.star, partition, order, over)?;
        let ty = plan.ty;
        let mut g = gathered.borrow_mut();
        g.windows.push(plan);
        Ok(Bound::Window(g.windows.len().saturating_sub(1), ty))
    }

    /// Binds a condition.
    pub(crate) fn condition(&mut self, e: &Expr, scope: &Scope<'_>) -> SqlResult<Condition> {
        Ok(match e {
            Expr::And(a, b) => Condition::And(
                Box::new(self.condition(a, scope)?),
                Box::new(self.condition(b, scope)?),
            ),
            Expr::Or(a, b) => Condition::Or(
                Box::new(self.condition(a, scope)?),
                Box::new(self.condition(b, scope)?),
            ),
            Expr::Not(a) => Condition::Not(Box::new(self.condition(a, scope)?)),
            Expr::Compare(op, a, b) => {
                let (a, b) = (self.value(a, scope)?, self.value(b, scope)?);
                self.compare(*op, a, b)?
            }
            Expr::IsNull(a, negated) => Condition::IsNull(self.value(a, scope)?, *negated),
            Expr::Between {
                expr,
                low,
                high,
                negated,
            } => {
                let (e, low, high) = (
                    self.value(expr, scope)?,
                    self.value(low, scope)?,
                    self.value(high, scope)?,
                );
                let from = self.compare(Compare::GreaterOrEqual, e.clone(), low)?;
                let to = self.compare(Compare::LessOrEqual, e, high)?;
                let both = Condition::And(Box::new(from), Box::new(to));
                if *negated {
                    Condition::Not(Box::new(both))
                } else {
                    both
                }
            }
            Expr::In {
                expr,
                list,
                negated,
            } => {
                let e = self.value(expr, scope)?;
                let list = list
                    .iter()
                    .map(|x| self.value(x, scope))
                    .collect::<SqlResult<Vec<_>>>()?;
                let ty = list.iter().fold(e.ty(), |t, x| t.common(x.ty()));
                let collation = list
                    .iter()
                    .fold(None, |c: Option<Collation>, x| c.or_else(|| x.collation()));
                let collation = e
                    .collation()
                    .or(collation)
                    .unwrap_or_else(|| self.collation());
                let e = self.coerce(e, ty)?;
                let list = list
                    .into_iter()
                    .map(|x| self.coerce(x, ty))
                    .collect::<SqlResult<Vec<_>>>()?;
                Condition::In {
                    expr: e,
                    list,
                    negated: *negated,
                    collation,
                }
            }
            Expr::InQuery {
                expr,
                query,
                negated,
            } => {
                let e = self.value(expr, scope)?;
                let plan = self.query(query, scope)?;
                let [column] = plan.columns.as_slice() else {
                    return Err(one_column());
                };
                let from = column.ty;
                let to = e.ty().common(from);
                let collation = e.collation().unwrap_or_else(|| self.collation());
                let e = self.coerce(e, to)?;
                Condition::InQuery {
                    expr: e,
                    query: Rc::new(plan),
                    negated: *negated,
                    collation,
                    from,
                    to,
                }
            }
            Expr::Quantified {
                op,
                left,
                all,
                query,
            } => {
                let left = self.value(left, scope)?;
                let plan = self.query(query, scope)?;
                let [column] = plan.columns.as_slice() else {
                    return Err(one_column());
                };
                let from = column.ty;
                let to = left.ty().common(from);
                let collation = left.collation().unwrap_or_else(|| self.collation());
                let left = self.coerce(left, to)?;
                Condition::Quantified {
                    op: *op,
                    left,
                    all: *all,
                    query: Rc::new(plan),
                    collation,
                    from,
                    to,
                }
            }
            Expr::Like {
                expr,
                pattern,
                escape,
                negated,
            } => {
                let e = self.value(expr, scope)?;
                let p = self.value(pattern, scope)?;
                let collation = self.meeting(&e, &p);
                let (e, p) = (self.as_text(e)?, self.as_text(p)?);
                let escape = escape.as_ref().map(|x| self.value(x, scope)).transpose()?;
                Condition::Like {
                    expr: e,
                    pattern: p,
                    escape,
                    negated: *negated,
                    collation,
                }
            }
            Expr::Exists(query) => Condition::Exists(Rc::new(self.query(query, scope)?)),
            Expr::Call(c)
                if c.name.len() == 1 && c.name.iter().any(|n| n.eq_ignore_ascii_case("UPDATE")) =>
            {
                return Err(message::not_implemented("UPDATE()"));
            }
            Expr::Column(name) => return Err(not_a_condition(&name.join("."))),
            _ => return Err(not_a_condition(")")),
        })
    }

    pub(crate) fn compare(&self, op: Compare, a: Bound, b: Bound) -> SqlResult<Condition> {
        let collation = self.meeting(&a, &b);
        let ty = a.ty().common(b.ty());
        let left = self.coerce_comparison(a, ty)?;
        let right = self.coerce_comparison(b, ty)?;
        Ok(Condition::Compare {
            op,
            left,
            right,
            collation,
        })
    }

    fn as_text(&self, e: Bound) -> SqlResult<Bound> {
        if e.ty().is_text() {
            Ok(e)
        } else {
            self.coerce(e, Type::NVarChar(4000))
        }
    }

    /// Texts compare without being cut to each other's length.
    fn coerce_comparison(&self, e: Bound, ty: Type) -> SqlResult<Bound> {
        if e.ty().is_text() && ty.is_text() {
            Ok(e)
        } else {
            self.coerce(e, ty)
        }
    }
}

fn one_column() -> message::SqlError {
    Message::new(
        116,
        16,
        1,
        "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
    )
    .ending(message::Ends::Batch)
}

pub(crate) fn invalid_operand(operator: &str, ty: Type) -> message::SqlError {
    Message::new(
        8117,
        16,
        1,
        format!(
            "Operand data type {} is invalid for {operator} operator.",
            ty.name()
        ),
    )
    .ending(message::Ends::Batch)
}

/// A whole number written in the text counts with its own digits, not with all that an int may have.
fn decimal_literal(b: &Bound) -> (Type, Option<(u8, u8)>) {
    let ty = b.ty();
    let digits = match b {
        Bound::Literal(Value::Int(n), Type::Int) => {
            let digits = n.unsigned_abs().to_string().len();
            Some((u8::try_from(digits).unwrap_or(10), 0))
        }
        _ => ty.as_decimal(),
    };
    (ty, digits)
}
