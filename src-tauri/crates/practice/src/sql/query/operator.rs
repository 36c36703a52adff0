//! Arithmetic: the types that operators give, and their values.

use chrono::{NaiveTime, TimeDelta};

use super::expression::invalid_operand;
use crate::sql::{
    ast::Binary,
    decimal::Decimal,
    message::{self, SqlResult},
    time,
    types::{Family, Type, concat, fit_decimal},
    value::Value,
};

/// What the operands are brought to, and what comes out.
pub(crate) struct Plan {
    pub(crate) left: Type,
    pub(crate) right: Type,
    pub(crate) ty: Type,
}

fn sign(op: Binary) -> &'static str {
    match op {
        Binary::Add => "add",
        Binary::Subtract => "subtract",
        Binary::Multiply => "multiply",
        Binary::Divide => "divide",
        Binary::Modulo => "modulo",
        Binary::BitAnd => "'&'",
        Binary::BitOr => "'|'",
        Binary::BitXor => "'^'",
    }
}

/// Works out types; each side comes with the decimal that holds its values, where it is an exact number.
pub(crate) fn result_type(
    op: Binary,
    a: (Type, Option<(u8, u8)>),
    b: (Type, Option<(u8, u8)>),
) -> SqlResult<Plan> {
    let (ta, tb) = (a.0, b.0);
    let (fa, fb) = (ta.family(), tb.family());
    if op == Binary::Add {
        let both = |f: Family| {
            (fa == f || fa == Family::Null)
                && (fb == f || fb == Family::Null)
                && !(fa == Family::Null && fb == Family::Null)
        };
        if both(Family::Text) || (both(Family::Binary)) {
            let known = |t: Type, other: Type| {
                if t == Type::Null {
                    empty_like(other)
                } else {
                    t
                }
            };
            let (x, y) = (known(ta, tb), known(tb, ta));
            return Ok(Plan {
                left: x,
                right: y,
                ty: concat(x, y),
            });
        }
    }
    if matches!(op, Binary::BitAnd | Binary::BitOr | Binary::BitXor) {
        let ty = ta.common(tb);
        return match ty {
            Type::Null => Ok(Plan {
                left: Type::Int,
                right: Type::Int,
                ty: Type::Int,
            }),
            Type::Bit | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => Ok(Plan {
                left: ty,
                right: ty,
                ty,
            }),
            _ if ty.family() == Family::Binary || fa == Family::Binary || fb == Family::Binary => {
                let ty = if fa == Family::Integer {
                    ta
                } else if fb == Family::Integer {
                    tb
                } else {
                    return Err(invalid_operand(sign(op), ty));
                };
                Ok(Plan {
                    left: ty,
                    right: ty,
                    ty,
                })
            }
            _ => Err(invalid_operand(sign(op), ty)),
        };
    }
    // datetime + number, datetime - datetime
    if matches!(op, Binary::Add | Binary::Subtract)
        && (fa == Family::DateTime || fb == Family::DateTime)
    {
        for t in [ta, tb] {
            if !(matches!(t, Type::DateTime | Type::SmallDateTime | Type::Null)
                || t.is_numeric()
                || t.is_text())
            {
                return Err(invalid_operand(sign(op), t));
            }
        }
        return Ok(Plan {
            left: Type::DateTime,
            right: Type::DateTime,
            ty: Type::DateTime,
        });
    }
    let ty = ta.common(tb);
    match ty.family() {
        Family::Integer => {
            if matches!(fa, Family::Binary) || matches!(fb, Family::Binary) {
                return Ok(Plan {
                    left: ty,
                    right: ty,
                    ty,
                });
            }
            Ok(Plan {
                left: ty,
                right: ty,
                ty,
            })
        }
        Family::Null => Ok(Plan {
            left: Type::Int,
            right: Type::Int,
            ty: Type::Int,
        }),
        Family::Float => {
            if op == Binary::Modulo {
                return Err(invalid_operand(sign(op), ty));
            }
            Ok(Plan {
                left: ty,
                right: ty,
                ty,
            })
        }
        Family::Decimal => {
            if matches!(ty, Type::Money | Type::SmallMoney) {
                return Ok(Plan {
                    left: ty,
                    right: ty,
                    ty,
                });
            }
            let side = |t: Type, d: Option<(u8, u8)>| {
                let (p, s) = d.unwrap_or(match t {
                    Type::Null => (1, 0),
                    // A text becomes what the other side is.
                    _ => ty.as_decimal().unwrap_or((18, 0)),
                });
                (p, s)
            };
            let ((p1, s1), (p2, s2)) = (side(ta, a.1), side(tb, b.1));
            let wide = |x: u8, y: u8| x.saturating_add(y);
            let result = match op {
                Binary::Add | Binary::Subtract => {
                    let s = s1.max(s2);
                    let whole = p1.saturating_sub(s1).max(p2.saturating_sub(s2));
                    fit_decimal(wide(wide(whole, s), 1), s)
                }
                Binary::Multiply => fit_decimal(wide(wide(p1, p2), 1), wide(s1, s2)),
                Binary::Divide => {
                    let s = wide(wide(s1, p2), 1).max(6);
                    fit_decimal(wide(p1.saturating_sub(s1).saturating_add(s2), s), s)
                }
                _ => {
                    let s = s1.max(s2);
                    fit_decimal(wide(p1.saturating_sub(s1).min(p2.saturating_sub(s2)), s), s)
                }
            };
            Ok(Plan {
                left: Type::Decimal(p1, s1),
                right: Type::Decimal(p2, s2),
                ty: result,
            })
        }
        Family::Bit => Err(invalid_operand(sign(op), Type::Bit)),
        _ => Err(invalid_operand(sign(op), ty)),
    }
}

fn empty_like(t: Type) -> Type {
    match t {
        Type::NVarChar(_) | Type::NChar(_) => Type::NVarChar(1),
        Type::VarBinary(_) | Type::Binary(_) => Type::VarBinary(1),
        _ => Type::VarChar(1),
    }
}

/// The longest text or binary, in bytes. SQL Server's bound is 2 GB; a practice host has less to give.
pub(crate) const LONGEST: usize = 64 * 1024 * 1024;

/// Computes; both values are of the planned types, and neither is NULL.
pub(crate) fn compute(op: Binary, a: &Value, b: &Value, ty: Type) -> SqlResult<Value> {
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => integers(op, *x, *y, ty),
        (Value::Bit(x), Value::Bit(y)) => Ok(Value::Bit(match op {
            Binary::BitAnd => x & y,
            Binary::BitOr => x | y,
            _ => x ^ y,
        })),
        (Value::Float(x), Value::Float(y)) => {
            let f = match op {
                Binary::Add => x + y,
                Binary::Subtract => x - y,
                Binary::Multiply => x * y,
                _ => {
                    if *y == 0.0 {
                        return Err(message::divide_by_zero());
                    }
                    x / y
                }
            };
            if f.is_finite() {
                Ok(Value::Float(f))
            } else {
                Err(message::overflow(ty.name()))
            }
        }
        (Value::Decimal(x), Value::Decimal(y)) => decimals(op, *x, *y, ty),
        (Value::Text(x), Value::Text(y)) => {
            if x.len().saturating_add(y.len()) > LONGEST {
                return Err(message::out_of_memory());
            }
            let mut text = String::with_capacity(x.len().saturating_add(y.len()));
            text.push_str(x);
            text.push_str(y);
            // Only a (max) grows past 8000 bytes.
            match ty.length() {
                Some(limit)
                    if limit != crate::sql::types::MAX
                        && x.len().saturating_add(y.len()) > usize::from(limit) =>
                {
                    let kept: String = text.chars().take(usize::from(limit)).collect();
                    Ok(Value::text(kept))
                }
                _ => Ok(Value::text(text)),
            }
        }
        (Value::Binary(x), Value::Binary(y)) => {
            if x.len().saturating_add(y.len()) > LONGEST {
                return Err(message::out_of_memory());
            }
            let mut bytes = x.to_vec();
            bytes.extend_from_slice(y);
            Ok(Value::binary(bytes))
        }
        (Value::DateTime(x), Value::DateTime(y)) => {
            let zero = time::epoch().and_time(NaiveTime::MIN);
            let days: TimeDelta = y.signed_duration_since(zero);
            let at = if op == Binary::Add {
                x.checked_add_signed(days)
            } else {
                x.checked_sub_signed(days)
            };
            let at = at
                .and_then(|at| time::round(at, Type::DateTime))
                .ok_or_else(|| message::overflow("datetime"))?;
            Ok(Value::DateTime(at))
        }
        _ => Err(message::internal("operands of different kinds")),
    }
}

fn integers(op: Binary, x: i64, y: i64, ty: Type) -> SqlResult<Value> {
    let n = match op {
        Binary::Add => x.checked_add(y),
        Binary::Subtract => x.checked_sub(y),
        Binary::Multiply => x.checked_mul(y),
        Binary::Divide | Binary::Modulo if y == 0 => return Err(message::divide_by_zero()),
        Binary::Divide => x.checked_div(y),
        Binary::Modulo => x.checked_rem(y),
        Binary::BitAnd => Some(x & y),
        Binary::BitOr => Some(x | y),
        Binary::BitXor => Some(x ^ y),
    };
    let in_range = |n: &i64| match ty {
        Type::TinyInt => (0..=255).contains(n),
        Type::SmallInt => i16::try_from(*n).is_ok(),
        Type::Int => i32::try_from(*n).is_ok(),
        _ => true,
    };
    n.filter(in_range)
        .map(Value::Int)
        .ok_or_else(|| message::overflow(ty.name()))
}

fn decimals(op: Binary, x: Decimal, y: Decimal, ty: Type) -> SqlResult<Value> {
    let (precision, scale) = ty.as_decimal().unwrap_or((38, 6));
    let result = match op {
        Binary::Add => x.add(y),
        Binary::Subtract => x.add(y.negate()),
        Binary::Multiply => x.multiply(y),
        _ if y.is_zero() => return Err(message::divide_by_zero()),
        Binary::Divide => x.divide(y, scale),
        _ => x.remainder(y),
    };
    let shown = if matches!(ty, Type::Decimal(..)) {
        "numeric"
    } else {
        ty.name()
    };
    result
        .and_then(|d| d.rescale(scale))
        .filter(|d| d.fits(precision))
        .map(Value::Decimal)
        .ok_or_else(|| message::overflow(shown))
}
