//! Computing values and conditions.

use std::cmp::Ordering;

use super::{Bound, Condition, Env, function, operator};
use crate::sql::{
    ast::{Compare, Unary},
    collation::Collation,
    convert::{self, Style},
    message::{self, SqlResult},
    session::Session,
    types::Type,
    value::Value,
};

impl Session {
    /// The value of an expression.
    pub(crate) fn eval(&self, b: &Bound, env: &Env<'_>) -> SqlResult<Value> {
        match b {
            Bound::Literal(v, _) => Ok(v.clone()),
            Bound::Variable(name, _) => Ok(self.variable(name).map_or(Value::Null, |v| v.value)),
            Bound::Global(name, _) => self.global(name),
            Bound::Column { depth, index, .. } => {
                let mut here = Some(env);
                for _ in 0..*depth {
                    here = here.and_then(|e| e.parent);
                }
                here.and_then(|e| e.row.get(*index))
                    .cloned()
                    .ok_or_else(|| message::internal("a column is missing from its row"))
            }
            Bound::Aggregate(at, _) => env
                .aggregates
                .get(*at)
                .cloned()
                .ok_or_else(|| message::internal("an aggregate is missing")),
            Bound::Window(at, _) => env
                .windows
                .get(*at)
                .cloned()
                .ok_or_else(|| message::internal("a window is missing")),
            Bound::Unary(op, inner, ty) => {
                let v = self.eval(inner, env)?;
                match (op, v) {
                    (_, Value::Null) => Ok(Value::Null),
                    (Unary::Minus, Value::Int(n)) => {
                        let n = n
                            .checked_neg()
                            .filter(|n| *ty != Type::Int || i32::try_from(*n).is_ok());
                        n.map(Value::Int)
                            .ok_or_else(|| message::overflow(ty.name()))
                    }
                    (Unary::Minus, Value::Float(f)) => Ok(Value::Float(-f)),
                    (Unary::Minus, Value::Decimal(d)) => Ok(Value::Decimal(d.negate())),
                    (Unary::BitNot, Value::Int(n)) => Ok(Value::Int(if *ty == Type::TinyInt {
                        !n & 0xff
                    } else {
                        !n
                    })),
                    (Unary::BitNot, Value::Bit(x)) => Ok(Value::Bit(!x)),
                    (_, v) => Ok(v),
                }
            }
            Bound::Binary {
                op,
                left,
                right,
                ty,
            } => {
                let a = self.eval(left, env)?;
                let b = self.eval(right, env)?;
                if a.is_null() || b.is_null() {
                    // SET CONCAT_NULL_YIELDS_NULL OFF
                    if ty.is_text() && !self.settings.borrow().concat_null {
                        return Ok(if a.is_null() { b } else { a });
                    }
                    return Ok(Value::Null);
                }
                operator::compute(*op, &a, &b, *ty)
            }
            Bound::Case {
                branches,
                otherwise,
                ..
            } => {
                for (test, value) in branches {
                    if self.test(test, env)? == Some(true) {
                        return self.eval(value, env);
                    }
                }
                match otherwise {
                    Some(o) => self.eval(o, env),
                    None => Ok(Value::Null),
                }
            }
            Bound::Convert {
                expr,
                from,
                ty,
                style,
                quiet,
            } => {
                let v = self.eval(expr, env)?;
                let mut how = self.style();
                if let Some(s) = style
                    && let Value::Int(n) = convert::cast(
                        &self.eval(s, env)?,
                        s.ty(),
                        Type::Int,
                        Style::default(),
                        Collation::DEFAULT,
                    )?
                {
                    how.number = Some(n);
                }
                match convert::cast(&v, *from, *ty, how, self.collation()) {
                    // TRY_CAST forgives values, not pairs of types that never convert.
                    Err(e) if *quiet && e.number != 529 => Ok(Value::Null),
                    other => other,
                }
            }
            Bound::Call {
                function,
                args,
                ty,
                collation,
            } => {
                let mut values = Vec::with_capacity(args.len());
                for a in args {
                    values.push(self.eval(a, env)?);
                }
                function::call(self, function, &values, args, *ty, *collation)
            }
            Bound::Collate(inner, _) => self.eval(inner, env),
            Bound::Scalar(plan, _) => {
                let mut found = None;
                self.run_query(plan, Some(env), &mut |row| {
                    if found.is_some() {
                        return Err(message::Message::new(
                            512,
                            16,
                            1,
                            "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.",
                        ));
                    }
                    found = row.into_iter().next();
                    Ok(true)
                })?;
                Ok(found.unwrap_or(Value::Null))
            }
        }
    }

    /// Three-valued truth: `None` is UNKNOWN.
    pub(crate) fn test(&self, c: &Condition, env: &Env<'_>) -> SqlResult<Option<bool>> {
        Ok(match c {
            Condition::Compare {
                op,
                left,
                right,
                collation,
            } => {
                let (a, b) = (self.eval(left, env)?, self.eval(right, env)?);
                if !self.settings.borrow().ansi_nulls
                    && matches!(op, Compare::Equal | Compare::NotEqual)
                    && (a.is_null() || b.is_null())
                {
                    let same = a.is_null() && b.is_null();
                    return Ok(Some(same == (*op == Compare::Equal)));
                }
                compare(*op, &a, &b, *collation)
            }
            Condition::And(a, b) => match self.test(a, env)? {
                Some(false) => Some(false),
                first => match (first, self.test(b, env)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Condition::Or(a, b) => match self.test(a, env)? {
                Some(true) => Some(true),
                first => match (first, self.test(b, env)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Condition::Not(a) => self.test(a, env)?.map(|b| !b),
            Condition::IsNull(e, negated) => Some(self.eval(e, env)?.is_null() != *negated),
            Condition::In {
                expr,
                list,
                negated,
                collation,
            } => {
                let v = self.eval(expr, env)?;
                let mut unknown = v.is_null();
                for x in list {
                    match compare(Compare::Equal, &v, &self.eval(x, env)?, *collation) {
                        Some(true) => return Ok(Some(!negated)),
                        None => unknown = true,
                        Some(false) => {}
                    }
                }
                if unknown { None } else { Some(*negated) }
            }
            Condition::InQuery {
                expr,
                query,
                negated,
                collation,
                from,
                to,
            } => {
                let v = self.eval(expr, env)?;
                let (mut hit, mut unknown) = (false, false);
                self.run_query(query, Some(env), &mut |row| {
                    let other = row.into_iter().next().unwrap_or(Value::Null);
                    let other = convert::cast(&other, *from, *to, self.style(), *collation)?;
                    match compare(Compare::Equal, &v, &other, *collation) {
                        Some(true) => {
                            hit = true;
                            return Ok(false);
                        }
                        None => unknown = true,
                        Some(false) => {}
                    }
                    Ok(true)
                })?;
                if hit {
                    Some(!negated)
                } else if unknown {
                    None
                } else {
                    Some(*negated)
                }
            }
            Condition::Quantified {
                op,
                left,
                all,
                query,
                collation,
                from,
                to,
            } => {
                let v = self.eval(left, env)?;
                let (mut decided, mut unknown) = (None, false);
                self.run_query(query, Some(env), &mut |row| {
                    let other = row.into_iter().next().unwrap_or(Value::Null);
                    let other = convert::cast(&other, *from, *to, self.style(), *collation)?;
                    match compare(*op, &v, &other, *collation) {
                        Some(yes) if yes != *all => {
                            decided = Some(yes);
                            return Ok(false);
                        }
                        None => unknown = true,
                        Some(_) => {}
                    }
                    Ok(true)
                })?;
                match decided {
                    Some(d) => Some(d),
                    None if unknown => None,
                    None => Some(*all),
                }
            }
            Condition::Like {
                expr,
                pattern,
                escape,
                negated,
                collation,
            } => {
                let v = self.eval(expr, env)?;
                let p = self.eval(pattern, env)?;
                let e = escape.as_ref().map(|e| self.eval(e, env)).transpose()?;
                let (Value::Text(v), Value::Text(p)) = (&v, &p) else {
                    return Ok(None);
                };
                let escape = match &e {
                    Some(Value::Text(t)) => t.chars().next(),
                    _ => None,
                };
                Some(like(v, p, escape, *collation) != *negated)
            }
            Condition::Exists(query) => {
                let mut hit = false;
                self.run_query(query, Some(env), &mut |_| {
                    hit = true;
                    Ok(false)
                })?;
                Some(hit)
            }
        })
    }
}

/// Compares two values of one type. NULL with anything is unknown.
pub(crate) fn compare(op: Compare, a: &Value, b: &Value, collation: Collation) -> Option<bool> {
    if a.is_null() || b.is_null() {
        return None;
    }
    let o = a.order(b, collation);
    Some(match op {
        Compare::Equal => o == Ordering::Equal,
        Compare::NotEqual => o != Ordering::Equal,
        Compare::Less => o == Ordering::Less,
        Compare::LessOrEqual => o != Ordering::Greater,
        Compare::Greater => o == Ordering::Greater,
        Compare::GreaterOrEqual => o != Ordering::Less,
    })
}

enum Piece {
    Any,
    One,
    Char(char),
    Set(Vec<(char, char)>, bool),
}

fn pieces(pattern: &str, escape: Option<char>, collation: Collation) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            if let Some(next) = chars.next() {
                out.push(Piece::Char(collation.fold(next)));
            }
            continue;
        }
        match c {
            '%' => out.push(Piece::Any),
            '_' => out.push(Piece::One),
            '[' => {
                let mut negated = false;
                if chars.peek() == Some(&'^') {
                    negated = true;
                    chars.next();
                }
                let mut set = Vec::new();
                let mut inner: Vec<char> = Vec::new();
                let mut closed = false;
                for c in chars.by_ref() {
                    if c == ']' && !(inner.is_empty() && set.is_empty()) {
                        closed = true;
                        break;
                    }
                    inner.push(c);
                }
                let mut at = 0_usize;
                while let Some(first) = inner.get(at).copied() {
                    if inner.get(at.saturating_add(1)) == Some(&'-')
                        && let Some(last) = inner.get(at.saturating_add(2)).copied()
                    {
                        set.push((collation.fold(first), collation.fold(last)));
                        at = at.saturating_add(3);
                    } else {
                        set.push((collation.fold(first), collation.fold(first)));
                        at = at.saturating_add(1);
                    }
                }
                if closed {
                    out.push(Piece::Set(set, negated));
                } else {
                    // A bracket that is never closed matches nothing.
                    out.push(Piece::Set(Vec::new(), false));
                }
            }
            c => out.push(Piece::Char(collation.fold(c))),
        }
    }
    out
}

/// T-SQL's LIKE: `%`, `_`, `[a-f]`, `[^a-f]`. Linear in text times pattern.
pub(crate) fn like(text: &str, pattern: &str, escape: Option<char>, collation: Collation) -> bool {
    let fold = |c: char| {
        if collation.ignore_case || collation.ignore_accent {
            collation.fold(c)
        } else {
            c
        }
    };
    let collation = if collation.ignore_case || collation.ignore_accent {
        collation
    } else {
        Collation {
            binary: true,
            ..collation
        }
    };
    let pieces = pieces(pattern, escape, collation);
    let text: Vec<char> = text.chars().map(fold).collect();
    let (mut t, mut p) = (0_usize, 0_usize);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        let fits = match (pieces.get(p), text.get(t)) {
            (Some(Piece::Any), _) => {
                back = Some((p, t));
                p = p.saturating_add(1);
                continue;
            }
            (Some(Piece::One), _) => true,
            (Some(Piece::Char(c)), Some(x)) => c == x,
            (Some(Piece::Set(set, negated)), Some(x)) => {
                set.iter().any(|(a, b)| a <= x && x <= b) != *negated
            }
            _ => false,
        };
        if fits {
            t = t.saturating_add(1);
            p = p.saturating_add(1);
        } else if let Some((star, from)) = back {
            back = Some((star, from.saturating_add(1)));
            t = from.saturating_add(1);
            p = star.saturating_add(1);
        } else {
            // Trailing spaces of the text do not count.
            return p == pieces.len()
                && text
                    .get(t..)
                    .is_some_and(|rest| rest.iter().all(|c| *c == ' '));
        }
    }
    pieces
        .get(p..)
        .is_none_or(|rest| rest.iter().all(|x| matches!(x, Piece::Any)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn like_knows_its_four_wildcards() {
        let yes = |t: &str, p: &str| like(t, p, Some('!'), Collation::DEFAULT);
        assert!(yes("Hello", "h%O"));
        assert!(yes("cat", "[b-d]_t"));
        assert!(!yes("cat", "[^b-d]%"));
        assert!(yes("50%", "50!%"));
        assert!(!yes("505", "50!%"));
        assert!(yes("a]b", "a]b"));
        assert!(yes("abc  ", "abc"));
        assert!(!yes("abc", "abcd%"));
        assert!(like(
            "a",
            "a",
            None,
            Collation {
                ignore_case: false,
                ..Collation::DEFAULT
            }
        ));
        assert!(!like(
            "A",
            "a",
            None,
            Collation {
                ignore_case: false,
                ..Collation::DEFAULT
            }
        ));
    }

    proptest! {
        #[test]
        fn a_text_is_like_itself_between_percents(t in "[a-z ]{0,20}") {
            let (text, pattern) = (format!("x{t}y"), format!("%{t}%"));
            prop_assert!(like(&text, &pattern, None, Collation::DEFAULT));
        }

        #[test]
        fn no_pattern_takes_for_ever(t in "[ab]{0,60}", p in "[ab%_]{0,60}") {
            let _ = like(&t, &p, None, Collation::DEFAULT);
        }
    }
}
