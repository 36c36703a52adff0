//! Conversions to numbers.

use chrono::NaiveTime;

use super::{Style, cast, error_8114, wire_name};
use crate::sql::{
    collation::Collation,
    decimal::Decimal,
    message::{self, Message, SqlResult},
    time,
    types::{Family, Type},
    value::Value,
};

pub(super) fn to_bit(
    value: &Value,
    from: Type,
    style: Style,
    collation: Collation,
) -> SqlResult<Value> {
    Ok(Value::Bit(match value {
        Value::Bit(b) => *b,
        Value::Int(n) => *n != 0,
        Value::Float(f) => *f != 0.0,
        Value::Decimal(d) => !d.is_zero(),
        Value::Text(t) => match t.trim().to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            other => match other.parse::<i64>() {
                Ok(n) => n != 0,
                Err(_) => return Err(message::conversion(from.name(), t, "bit")),
            },
        },
        Value::Binary(_) => {
            let Value::Int(n) = cast(value, from, Type::BigInt, style, collation)? else {
                return Ok(Value::Null);
            };
            n != 0
        }
        _ => return Err(message::no_conversion(from.name(), "bit")),
    }))
}

pub(super) fn integer(value: &Value, from: Type, to: Type, min: i64, max: i64) -> SqlResult<Value> {
    let out_of_range = |shown: &str| match (from.family(), to) {
        (Family::Text, Type::Int) => Message::new(
            248,
            16,
            1,
            format!(
                "The conversion of the {} value '{shown}' overflowed an int column.",
                from.name()
            ),
        ),
        (Family::Text, Type::TinyInt) => Message::new(
            244,
            16,
            1,
            format!(
                "The conversion of the {} value '{shown}' overflowed an INT1 column. Use a larger integer column.",
                from.name()
            ),
        ),
        (Family::Text, Type::SmallInt) => Message::new(
            244,
            16,
            2,
            format!(
                "The conversion of the {} value '{shown}' overflowed an INT2 column. Use a larger integer column.",
                from.name()
            ),
        ),
        (Family::Integer, Type::TinyInt | Type::SmallInt) => Message::new(
            220,
            16,
            2,
            format!(
                "Arithmetic overflow error for data type {}, value = {shown}.",
                to.name()
            ),
        ),
        _ => message::overflow(to.name()),
    };
    let n = match value {
        Value::Bit(b) => i64::from(*b),
        Value::Int(n) => *n,
        Value::Float(f) => {
            let t = f.trunc();
            // The bounds are exact powers of two, so the comparison loses nothing.
            if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&t) {
                return Err(out_of_range(&f.to_string()));
            }
            t as i64
        }
        // Money rounds, decimals are cut.
        Value::Decimal(d) if matches!(from, Type::Money | Type::SmallMoney) => d
            .rescale(0)
            .and_then(Decimal::to_i64)
            .ok_or_else(|| out_of_range(&d.to_string()))?,
        Value::Decimal(d) => d.to_i64().ok_or_else(|| out_of_range(&d.to_string()))?,
        Value::Text(t) => {
            let trimmed = t.trim();
            let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
            if trimmed.is_empty() {
                0
            } else if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) {
                trimmed.parse::<i64>().map_err(|_| out_of_range(t))?
            } else if to == Type::BigInt {
                return Err(error_8114(from, to));
            } else {
                return Err(message::conversion(from.name(), t, to.name()));
            }
        }
        Value::Binary(b) => {
            let width = usize::try_from(to.max_length()).unwrap_or(8);
            let tail = b.get(b.len().saturating_sub(width)..).unwrap_or(b);
            let mut n: i64 = 0;
            for byte in tail {
                n = (n << 8) | i64::from(*byte);
            }
            match to {
                Type::Int => i64::from(i32::from_ne_bytes(
                    u32::try_from(n & 0xffff_ffff).unwrap_or(0).to_ne_bytes(),
                )),
                Type::SmallInt => i64::from(i16::from_ne_bytes(
                    u16::try_from(n & 0xffff).unwrap_or(0).to_ne_bytes(),
                )),
                _ => n,
            }
        }
        Value::DateTime(at) if matches!(from, Type::DateTime | Type::SmallDateTime) => {
            let days = at.signed_duration_since(time::epoch().and_time(NaiveTime::MIN));
            days.num_days()
                .saturating_add(i64::from(days.subsec_nanos() >= 0 && at.time() >= noon()))
        }
        _ => return Err(message::no_conversion(from.name(), to.name())),
    };
    if (min..=max).contains(&n) {
        Ok(Value::Int(n))
    } else {
        Err(out_of_range(&n.to_string()))
    }
}

pub(super) fn noon() -> NaiveTime {
    NaiveTime::from_hms_opt(12, 0, 0).unwrap_or(NaiveTime::MIN)
}

pub(super) fn float(value: &Value, from: Type, to: Type) -> SqlResult<Value> {
    let f = match value {
        Value::Bit(b) => f64::from(u8::from(*b)),
        Value::Int(n) => *n as f64,
        Value::Float(f) => *f,
        Value::Decimal(d) => d.to_f64(),
        Value::Text(t) => {
            let t = t.trim();
            if t.is_empty() {
                0.0
            } else {
                // Rust also reads `inf` and `nan`.
                t.parse::<f64>()
                    .ok()
                    .filter(|f| f.is_finite() && !t.contains(['n', 'N', 'i', 'I']))
                    .ok_or_else(|| error_8114(from, to))?
            }
        }
        Value::DateTime(at) if matches!(from, Type::DateTime | Type::SmallDateTime) => {
            let since = at.signed_duration_since(time::epoch().and_time(NaiveTime::MIN));
            since.as_seconds_f64() / 86_400.0
        }
        _ => return Err(message::no_conversion(from.name(), to.name())),
    };
    if to == Type::Real {
        let narrow = f as f32;
        if !narrow.is_finite() {
            return Err(message::overflow("real"));
        }
        return Ok(Value::Float(f64::from(narrow)));
    }
    if f.is_finite() {
        Ok(Value::Float(f))
    } else {
        Err(message::overflow("float"))
    }
}

pub(super) fn decimal(
    value: &Value,
    from: Type,
    to: Type,
    precision: u8,
    scale: u8,
) -> SqlResult<Value> {
    let overflow = || {
        Message::new(
            8115,
            16,
            8,
            format!(
                "Arithmetic overflow error converting {} to data type {}.",
                from.name(),
                wire_name(to)
            ),
        )
    };
    let d = match value {
        Value::Bit(b) => Decimal::from_int(i64::from(*b)),
        Value::Int(n) => Decimal::from_int(*n),
        Value::Decimal(d) => *d,
        Value::Float(f) => Decimal::from_f64(*f, scale).ok_or_else(overflow)?,
        Value::Text(t) => {
            let t = t.trim();
            let money = matches!(to, Type::Money | Type::SmallMoney);
            if money {
                let cleaned: String = t
                    .chars()
                    .filter(|c| !matches!(c, ',' | '$' | '£' | '€'))
                    .collect();
                if cleaned.is_empty() {
                    Decimal::from_int(0)
                } else {
                    Decimal::parse(&cleaned).ok_or_else(|| {
                        Message::new(235, 16, 0, "Cannot convert a char value to money. The char value has incorrect syntax.")
                            .ending(message::Ends::Batch)
                    })?
                }
            } else {
                // A decimal reads no exponent.
                Decimal::parse(t)
                    .filter(|_| !t.contains(['e', 'E']))
                    .ok_or_else(|| error_8114(from, to))?
            }
        }
        Value::DateTime(_) if matches!(from, Type::DateTime | Type::SmallDateTime) => {
            let Value::Float(f) = float(value, from, Type::Float)? else {
                return Ok(Value::Null);
            };
            Decimal::from_f64(f, scale).ok_or_else(overflow)?
        }
        _ => return Err(message::no_conversion(from.name(), wire_name(to))),
    };
    let d = d
        .rescale(scale)
        .filter(|d| d.fits(precision))
        .ok_or_else(overflow)?;
    let in_range = match to {
        Type::Money => i64::try_from(d.mantissa).is_ok(),
        Type::SmallMoney => i32::try_from(d.mantissa).is_ok(),
        _ => true,
    };
    if in_range {
        Ok(Value::Decimal(d))
    } else {
        Err(overflow())
    }
}
