//! Functions of numbers.

use super::{Args, Function, P, f, open};
use crate::sql::{
    convert::{self, Style},
    decimal::Decimal,
    message::{self, Message, SqlResult},
    types::{Family, Type},
    value::Value,
};

fn own(t: &[Type]) -> Type {
    match t.first().copied() {
        Some(Type::TinyInt | Type::SmallInt | Type::Bit) => Type::Int,
        Some(Type::Real) => Type::Float,
        Some(Type::SmallMoney) => Type::Money,
        Some(t) if t.is_numeric() => t,
        _ => Type::Float,
    }
}

/// CEILING and FLOOR of a decimal have no digits behind the point.
fn whole(t: &[Type]) -> Type {
    match own(t) {
        Type::Decimal(p, _) => Type::Decimal(p, 0),
        t => t,
    }
}

fn float(_: &[Type]) -> Type {
    Type::Float
}

fn checked(v: f64) -> SqlResult<Value> {
    if v.is_finite() {
        Ok(Value::Float(v))
    } else {
        Err(Message::new(
            3623,
            16,
            1,
            "An invalid floating point operation occurred.",
        ))
    }
}

fn abs(a: &Args<'_>) -> SqlResult<Value> {
    Ok(match a.value(0) {
        Value::Int(n) => {
            let n = n
                .checked_abs()
                .filter(|n| a.ty != Type::Int || i32::try_from(*n).is_ok());
            Value::Int(n.ok_or_else(|| message::overflow(a.ty.name()))?)
        }
        Value::Float(x) => Value::Float(x.abs()),
        Value::Decimal(d) if d.mantissa < 0 => Value::Decimal(d.negate()),
        v => v.clone(),
    })
}

fn rounded(a: &Args<'_>, up: bool) -> SqlResult<Value> {
    Ok(match a.value(0) {
        Value::Float(x) => Value::Float(if up { x.ceil() } else { x.floor() }),
        Value::Decimal(d) => {
            let cut = d.truncate(0).ok_or_else(|| message::overflow("numeric"))?;
            let exact = cut == *d;
            let step = match (exact, up, d.mantissa < 0) {
                (false, true, false) => 1,
                (false, false, true) => -1,
                _ => 0,
            };
            let n = cut
                .add(Decimal::from_int(step))
                .ok_or_else(|| message::overflow("numeric"))?;
            let scale = if a.ty == Type::Money { 4 } else { 0 };
            Value::Decimal(
                n.rescale(scale)
                    .ok_or_else(|| message::overflow("numeric"))?,
            )
        }
        v => v.clone(),
    })
}

fn round(a: &Args<'_>) -> SqlResult<Value> {
    let digits = a.int(1).clamp(-38, 38);
    let cut = a.values.len() > 2 && a.int(2) != 0;
    let decimal = |d: Decimal| -> Option<Decimal> {
        if digits >= 0 {
            let to = u8::try_from(digits).unwrap_or(0).min(d.scale);
            let r = if cut { d.truncate(to)? } else { d.rescale(to)? };
            r.rescale(d.scale)
        } else {
            let power = Decimal::new(10_i128.checked_pow(u32::try_from(-digits).ok()?)?, 0)?;
            // As a fraction of that power, to full scale, then back.
            let whole = d.divide(power, 0)?;
            let exact = whole.multiply(power)?;
            let rest = d.add(exact.negate())?;
            let half = power.divide(Decimal::from_int(2), 0)?;
            let away = !cut
                && Decimal {
                    mantissa: rest.mantissa.abs(),
                    scale: rest.scale,
                } >= half;
            let step = if away {
                Decimal::from_int(if d.mantissa < 0 { -1 } else { 1 })
            } else {
                Decimal::from_int(0)
            };
            whole.add(step)?.multiply(power)?.rescale(d.scale)
        }
    };
    Ok(match a.value(0) {
        Value::Int(n) => {
            let d = decimal(Decimal::from_int(*n)).and_then(Decimal::to_i64);
            let d = d.filter(|n| a.ty != Type::Int || i32::try_from(*n).is_ok());
            Value::Int(d.ok_or_else(|| message::overflow(a.ty.name()))?)
        }
        Value::Decimal(d) => {
            Value::Decimal(decimal(*d).ok_or_else(|| message::overflow("numeric"))?)
        }
        Value::Float(x) => {
            let power = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
            let scaled = x * power;
            let r = if cut { scaled.trunc() } else { scaled.round() };
            if scaled.is_finite() && power > 0.0 {
                Value::Float(r / power)
            } else {
                Value::Float(*x)
            }
        }
        v => v.clone(),
    })
}

fn power(a: &Args<'_>) -> SqlResult<Value> {
    let result = a.float(0).powf(a.float(1));
    if !result.is_finite() {
        return Err(message::overflow(a.ty.name()));
    }
    let rounded = if a.ty.family() == Family::Integer {
        result.trunc()
    } else {
        result
    };
    convert::cast(
        &Value::Float(rounded),
        Type::Float,
        a.ty,
        Style::default(),
        a.collation,
    )
}

fn sign(a: &Args<'_>) -> SqlResult<Value> {
    Ok(match a.value(0) {
        Value::Int(n) => Value::Int(n.signum()),
        Value::Float(x) => Value::Float(if *x == 0.0 { 0.0 } else { x.signum() }),
        Value::Decimal(d) => Value::Decimal(
            Decimal::from_int(i64::try_from(d.mantissa.signum()).unwrap_or(0))
                .rescale(d.scale)
                .unwrap_or(*d),
        ),
        v => v.clone(),
    })
}

fn isnumeric(a: &Args<'_>) -> SqlResult<Value> {
    let yes = match a.value(0) {
        Value::Int(_) | Value::Float(_) | Value::Decimal(_) | Value::Bit(_) => true,
        Value::Text(t) => {
            let t = t.trim().replace([',', '$'], "");
            !t.is_empty()
                && (matches!(t.as_str(), "+" | "-" | ".")
                    || (t.parse::<f64>().is_ok_and(f64::is_finite)
                        && !t.to_ascii_lowercase().contains(['n', 'i'])))
        }
        _ => false,
    };
    Ok(Value::Int(i64::from(yes)))
}

fn rand(a: &Args<'_>) -> SqlResult<Value> {
    let mut bytes = [0_u8; 8];
    if a.given(0) {
        // A seed gives the same number each time.
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut h = DefaultHasher::new();
        a.int(0).hash(&mut h);
        bytes = h.finish().to_ne_bytes();
    } else {
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| message::internal("no random numbers"))?;
    }
    Ok(Value::Float(
        (u64::from_ne_bytes(bytes) >> 11) as f64 / 9_007_199_254_740_992.0,
    ))
}

pub(super) const FUNCTIONS: &[Function] = &[
    f("ABS", &[P::Number], 1, own, abs),
    f("CEILING", &[P::Number], 1, whole, |a| rounded(a, true)),
    f("FLOOR", &[P::Number], 1, whole, |a| rounded(a, false)),
    f("ROUND", &[P::Number, P::Int, P::Int], 2, own, round),
    f("POWER", &[P::Number, P::Float], 2, own, power),
    f("SIGN", &[P::Number], 1, own, sign),
    f("SQUARE", &[P::Float], 1, float, |a| {
        checked(a.float(0) * a.float(0))
    }),
    f("SQRT", &[P::Float], 1, float, |a| {
        checked(a.float(0).sqrt())
    }),
    f("EXP", &[P::Float], 1, float, |a| checked(a.float(0).exp())),
    f("LOG", &[P::Float, P::Float], 1, float, |a| {
        checked(if a.values.len() > 1 {
            a.float(0).ln() / a.float(1).ln()
        } else {
            a.float(0).ln()
        })
    }),
    f("LOG10", &[P::Float], 1, float, |a| {
        checked(a.float(0).log10())
    }),
    f("SIN", &[P::Float], 1, float, |a| checked(a.float(0).sin())),
    f("COS", &[P::Float], 1, float, |a| checked(a.float(0).cos())),
    f("TAN", &[P::Float], 1, float, |a| checked(a.float(0).tan())),
    f("ASIN", &[P::Float], 1, float, |a| {
        checked(a.float(0).asin())
    }),
    f("ACOS", &[P::Float], 1, float, |a| {
        checked(a.float(0).acos())
    }),
    f("ATAN", &[P::Float], 1, float, |a| {
        checked(a.float(0).atan())
    }),
    f("ATN2", &[P::Float, P::Float], 2, float, |a| {
        checked(a.float(0).atan2(a.float(1)))
    }),
    f("DEGREES", &[P::Number], 1, own, |a| {
        convert::cast(
            &Value::Float(a.float(0).to_degrees()),
            Type::Float,
            a.ty,
            Style::default(),
            a.collation,
        )
    }),
    f("RADIANS", &[P::Number], 1, own, |a| {
        convert::cast(
            &Value::Float(a.float(0).to_radians()),
            Type::Float,
            a.ty,
            Style::default(),
            a.collation,
        )
    }),
    f("PI", &[], 0, float, |_| {
        Ok(Value::Float(std::f64::consts::PI))
    }),
    open("RAND", &[P::Int], 0, float, rand),
    open("ISNUMERIC", &[P::Any], 1, |_| Type::Int, isnumeric),
];
