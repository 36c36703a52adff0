//! Conversion between types: `CAST`, `CONVERT`, and what happens by itself.

use chrono::{Datelike, NaiveDateTime, NaiveTime, TimeDelta};

use super::{
    collation::Collation,
    decimal::Decimal,
    message::{self, Message, SqlResult},
    time,
    types::{Family, MAX, Type},
    value::{Value, guid_text},
};

/// How a conversion is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    /// `CONVERT`'s third argument.
    pub(crate) number: Option<i64>,
    /// `SET DATEFORMAT dmy`.
    pub(crate) day_first: bool,
}

fn error_241() -> message::SqlError {
    Message::new(
        241,
        16,
        1,
        "Conversion failed when converting date and/or time from character string.",
    )
    .ending(message::Ends::Batch)
}

fn error_242(from: Type, to: Type) -> message::SqlError {
    Message::new(
        242,
        16,
        3,
        format!(
            "The conversion of a {} data type to a {} data type resulted in an out-of-range value.",
            from.name(),
            to.name()
        ),
    )
}

fn error_8114(from: Type, to: Type) -> message::SqlError {
    Message::new(
        8114,
        16,
        5,
        format!(
            "Error converting data type {} to {}.",
            from.name(),
            wire_name(to)
        ),
    )
    .ending(message::Ends::Batch)
}

/// Error texts say `numeric` for decimals.
fn wire_name(ty: Type) -> &'static str {
    if matches!(ty, Type::Decimal(..)) {
        "numeric"
    } else {
        ty.name()
    }
}

/// Converts as `CAST` does: texts and binaries that are too long are cut.
pub(crate) fn cast(
    value: &Value,
    from: Type,
    to: Type,
    style: Style,
    collation: Collation,
) -> SqlResult<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let from = if from.family() == Family::Variant {
        value.own_type()
    } else {
        from
    };
    if from == to {
        return Ok(value.clone());
    }
    match to {
        Type::Bit => to_bit(value, from, style, collation),
        Type::TinyInt => integer(value, from, to, 0, 255),
        Type::SmallInt => integer(value, from, to, i64::from(i16::MIN), i64::from(i16::MAX)),
        Type::Int | Type::Null => {
            integer(value, from, to, i64::from(i32::MIN), i64::from(i32::MAX))
        }
        Type::BigInt => integer(value, from, to, i64::MIN, i64::MAX),
        Type::Real | Type::Float => float(value, from, to),
        Type::Decimal(p, s) => decimal(value, from, to, p, s),
        Type::Money => decimal(value, from, to, 19, 4),
        Type::SmallMoney => decimal(value, from, to, 10, 4),
        Type::Date
        | Type::Time(_)
        | Type::SmallDateTime
        | Type::DateTime
        | Type::DateTime2(_)
        | Type::DateTimeOffset(_) => moment(value, from, to, style),
        Type::Char(n) | Type::VarChar(n) | Type::NChar(n) | Type::NVarChar(n) => {
            text(value, from, to, n, style, collation)
        }
        Type::Binary(n) | Type::VarBinary(n) => binary(value, from, to, n, style, collation),
        Type::Guid => guid(value, from),
        Type::Variant => Ok(value.clone()),
    }
}

fn to_bit(value: &Value, from: Type, style: Style, collation: Collation) -> SqlResult<Value> {
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

fn integer(value: &Value, from: Type, to: Type, min: i64, max: i64) -> SqlResult<Value> {
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

fn noon() -> NaiveTime {
    NaiveTime::from_hms_opt(12, 0, 0).unwrap_or(NaiveTime::MIN)
}

fn float(value: &Value, from: Type, to: Type) -> SqlResult<Value> {
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

fn decimal(value: &Value, from: Type, to: Type, precision: u8, scale: u8) -> SqlResult<Value> {
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

/// Any date or time value as a moment and, where it has one, its offset in minutes.
pub(crate) fn as_moment(
    value: &Value,
    from: Type,
    style: Style,
) -> SqlResult<Option<(NaiveDateTime, Option<i32>)>> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Date(d) => (d.and_time(NaiveTime::MIN), None),
        Value::Time(t) => (time::epoch().and_time(*t), None),
        Value::DateTime(at) => (*at, None),
        Value::Offset(at) => (at.naive_local(), Some(time::offset_minutes(at))),
        Value::Text(t) => {
            let day_first =
                style.day_first || matches!(style.number, Some(3 | 4 | 5 | 103 | 104 | 105));
            let m = time::parse(t, day_first).ok_or_else(error_241)?;
            (m.at, m.offset)
        }
        Value::Int(n) => {
            let days = TimeDelta::try_days(*n).ok_or_else(|| message::overflow("datetime"))?;
            let at = time::epoch()
                .and_time(NaiveTime::MIN)
                .checked_add_signed(days);
            (at.ok_or_else(|| message::overflow("datetime"))?, None)
        }
        Value::Float(_) | Value::Decimal(_) => {
            let f = match value {
                Value::Float(f) => *f,
                Value::Decimal(d) => d.to_f64(),
                _ => 0.0,
            };
            let whole = f * 86_400_000.0;
            if whole.abs() > 3e14 {
                return Err(message::overflow("datetime"));
            }
            let millis = TimeDelta::try_milliseconds(whole.round() as i64);
            let at =
                millis.and_then(|d| time::epoch().and_time(NaiveTime::MIN).checked_add_signed(d));
            (at.ok_or_else(|| message::overflow("datetime"))?, None)
        }
        _ => return Err(message::no_conversion(from.name(), "datetime")),
    }))
}

fn moment(value: &Value, from: Type, to: Type, style: Style) -> SqlResult<Value> {
    // Numbers become datetime and smalldatetime only.
    if from.is_numeric() && !matches!(to, Type::DateTime | Type::SmallDateTime) {
        return Err(message::type_clash(from.name(), to.name()));
    }
    if matches!(
        (from, to),
        (Type::Date, Type::Time(_)) | (Type::Time(_), Type::Date)
    ) {
        return Err(message::no_conversion(from.name(), to.name()));
    }
    let Some((at, offset)) = as_moment(value, from, style)? else {
        return Ok(Value::Null);
    };
    let out = || error_242(from, to);
    Ok(match to {
        Type::Date => {
            if !(1..=9999).contains(&at.year()) {
                return Err(out());
            }
            Value::Date(at.date())
        }
        Type::Time(s) => Value::Time(time::round_time(at.time(), s)),
        Type::DateTimeOffset(_) => {
            let local = time::round(at, to).ok_or_else(out)?;
            Value::Offset(time::with_offset(local, offset.unwrap_or(0)).ok_or_else(out)?)
        }
        _ => {
            // A text with a zone is not a datetime.
            if offset.is_some_and(|o| o != 0)
                && from.is_text()
                && matches!(to, Type::DateTime | Type::SmallDateTime)
            {
                return Err(error_241());
            }
            Value::DateTime(time::round(at, to).ok_or_else(out)?)
        }
    })
}

/// The text of a value as `PRINT`, `CONCAT` and `CAST(… AS nvarchar(max))` show it.
pub(crate) fn to_text(value: &Value, from: Type, style: Style) -> SqlResult<String> {
    Ok(match value {
        Value::Null => String::new(),
        Value::Bit(b) => u8::from(*b).to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(f) => float_text(*f, from, style),
        Value::Decimal(d) => match (from, style.number) {
            (Type::Money | Type::SmallMoney, None | Some(0)) => {
                d.rescale(2).unwrap_or(*d).to_string()
            }
            (Type::Money | Type::SmallMoney, Some(1)) => {
                grouped(&d.rescale(2).unwrap_or(*d).to_string())
            }
            _ => d.to_string(),
        },
        Value::Text(t) => t.to_string(),
        Value::Binary(b) => match style.number {
            Some(1) => format!("0x{}", hex(b)),
            Some(2) => hex(b),
            _ => String::from_utf8_lossy(b).into_owned(),
        },
        Value::Date(_) | Value::Time(_) | Value::DateTime(_) | Value::Offset(_) => {
            let Some((at, offset)) = as_moment(value, from, style)? else {
                return Ok(String::new());
            };
            let at_type = if matches!(
                from.family(),
                Family::Date | Family::Time | Family::DateTime | Family::Offset
            ) {
                from
            } else {
                value.own_type()
            };
            time::format(at, at_type, offset, style.number).ok_or_else(|| {
                Message::new(
                    281,
                    16,
                    1,
                    format!("{} is not a valid style number when converting from {} to a character string.", style.number.unwrap_or(0), from.name()),
                )
                .ending(message::Ends::Batch)
            })?
        }
        Value::Guid(g) => guid_text(g),
    })
}

fn grouped(text: &str) -> String {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |r| (true, r));
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut out = String::new();
    for (at, c) in whole.chars().enumerate() {
        if at > 0 && whole.len().saturating_sub(at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    format!("{}{out}.{fraction}", if negative { "-" } else { "" })
}

/// Six significant digits by default, sixteen with style 2, seventeen with style 3.
fn float_text(f: f64, _from: Type, style: Style) -> String {
    let digits: usize = match style.number {
        Some(1) => 8,
        Some(2) => 16,
        Some(3) => 17,
        _ => 6,
    };
    let scientific = format!("{f:.*e}", digits.saturating_sub(1));
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let fixed = style.number.unwrap_or(0) == 0 && (-5..=14).contains(&exponent);
    if fixed && exponent < i32::try_from(digits).unwrap_or(6) {
        let decimals = i32::try_from(digits)
            .unwrap_or(6)
            .saturating_sub(1)
            .saturating_sub(exponent)
            .max(0);
        let text = format!("{f:.*}", usize::try_from(decimals).unwrap_or(0));
        return if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        };
    }
    let mantissa = if style.number.unwrap_or(0) == 0 && mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    format!(
        "{mantissa}e{}{:03}",
        if exponent < 0 { '-' } else { '+' },
        exponent.unsigned_abs()
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(
        String::with_capacity(bytes.len().saturating_mul(2)),
        |mut out, b| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{b:02X}");
            out
        },
    )
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let padded = if text.len() % 2 == 1 {
        format!("0{text}")
    } else {
        text.to_owned()
    };
    let digits: Option<Vec<u8>> = padded
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    Some(
        digits?
            .chunks(2)
            .filter_map(|pair| match pair {
                [a, b] => Some((a << 4) | b),
                _ => None,
            })
            .collect(),
    )
}

fn text(
    value: &Value,
    from: Type,
    to: Type,
    limit: u16,
    style: Style,
    collation: Collation,
) -> SqlResult<Value> {
    let mut out = match value {
        Value::Binary(b) if style.number.is_none_or(|n| n == 0) => {
            if to.is_unicode() {
                let units: Vec<u16> = b
                    .chunks(2)
                    .map(|pair| match pair {
                        [low, high] => u16::from_le_bytes([*low, *high]),
                        [low] => u16::from(*low),
                        _ => 0,
                    })
                    .collect();
                String::from_utf16_lossy(&units)
            } else {
                collation.decode(b)
            }
        }
        _ => to_text(value, from, style)?,
    };
    if !to.is_unicode() && !out.is_ascii() {
        out = collation.narrow(&out);
    }
    let length = text_length(&out, to, collation);
    if limit != MAX && length > usize::from(limit) {
        // Numbers and identifiers that do not fit are an error, not cut.
        match from.family() {
            Family::Integer | Family::Bit => {
                return Ok(Value::text(if to.is_unicode() {
                    return Err(message::overflow("nvarchar"));
                } else {
                    "*"
                }));
            }
            Family::Decimal | Family::Float => {
                return Err(Message::new(
                    8115,
                    16,
                    5,
                    format!(
                        "Arithmetic overflow error converting {} to data type {}.",
                        wire_name(from),
                        to.name()
                    ),
                ));
            }
            Family::Guid => {
                return Err(Message::new(
                    8170,
                    16,
                    2,
                    "Insufficient result space to convert uniqueidentifier value to char.",
                ));
            }
            _ => out = cut(&out, to, limit, collation),
        }
    }
    if matches!(to, Type::Char(_) | Type::NChar(_)) {
        let missing = usize::from(limit).saturating_sub(text_length(&out, to, collation));
        out.extend(std::iter::repeat_n(' ', missing));
    }
    Ok(Value::text(out))
}

/// The length as the type counts it: UTF-16 units, or bytes.
pub(crate) fn text_length(text: &str, ty: Type, collation: Collation) -> usize {
    if !ty.is_unicode() && collation.utf8 {
        text.len()
    } else {
        text.encode_utf16().count()
    }
}

fn cut(text: &str, ty: Type, limit: u16, collation: Collation) -> String {
    let mut used = 0_usize;
    let mut out = String::new();
    for c in text.chars() {
        let more = if !ty.is_unicode() && collation.utf8 {
            c.len_utf8()
        } else {
            c.len_utf16()
        };
        used = used.saturating_add(more);
        if used > usize::from(limit) {
            break;
        }
        out.push(c);
    }
    out
}

fn binary(
    value: &Value,
    from: Type,
    to: Type,
    limit: u16,
    style: Style,
    collation: Collation,
) -> SqlResult<Value> {
    let mut bytes: Vec<u8> = match value {
        Value::Binary(b) => b.to_vec(),
        Value::Text(t) => match style.number {
            Some(1) => t
                .strip_prefix("0x")
                .or_else(|| t.strip_prefix("0X"))
                .and_then(unhex)
                .ok_or_else(|| error_8114(from, to))?,
            Some(2) => unhex(t).ok_or_else(|| error_8114(from, to))?,
            _ if from.is_unicode() => t.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => collation.encode(t),
        },
        Value::Bit(b) => vec![u8::from(*b)],
        Value::Int(n) => {
            let width = usize::try_from(from.max_length()).unwrap_or(8);
            let all = n.to_be_bytes();
            let full = all
                .get(8_usize.saturating_sub(width)..)
                .unwrap_or(&all)
                .to_vec();
            // Numbers fill from the right.
            if limit != MAX && full.len() > usize::from(limit) {
                full.get(full.len().saturating_sub(usize::from(limit))..)
                    .unwrap_or(&full)
                    .to_vec()
            } else if let Type::Binary(n) = to {
                let mut padded = vec![0; usize::from(n).saturating_sub(full.len())];
                padded.extend(full);
                padded
            } else {
                full
            }
        }
        Value::Guid(g) => guid_to_wire(g).to_vec(),
        _ => return Err(message::no_conversion(from.name(), to.name())),
    };
    if limit != MAX {
        bytes.truncate(usize::from(limit));
        if matches!(to, Type::Binary(_)) {
            bytes.resize(usize::from(limit), 0);
        }
    }
    Ok(Value::binary(bytes))
}

/// The stored and transmitted order: the first three groups are little-endian.
pub(crate) fn guid_to_wire(g: &[u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, h, i, rest @ ..] = *g;
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rest;
    [d, c, b, a, f, e, i, h, r0, r1, r2, r3, r4, r5, r6, r7]
}

fn guid(value: &Value, from: Type) -> SqlResult<Value> {
    match value {
        Value::Guid(_) => Ok(value.clone()),
        Value::Text(t) => {
            let bad = || {
                Message::new(8169, 16, 2, "Conversion failed when converting from a character string to uniqueidentifier.")
                    .ending(message::Ends::Batch)
            };
            let t = t.trim();
            let inner = t
                .strip_prefix('{')
                .and_then(|r| r.strip_suffix('}'))
                .unwrap_or(t);
            // What follows the 36 characters does not matter.
            let inner = inner.get(..36).ok_or_else(bad)?;
            let parsed = uuid::Uuid::try_parse(inner).map_err(|_| bad())?;
            Ok(Value::Guid(*parsed.as_bytes()))
        }
        Value::Binary(b) => {
            let mut raw = [0_u8; 16];
            for (to, from) in raw.iter_mut().zip(b.iter()) {
                *to = *from;
            }
            Ok(Value::Guid(guid_to_wire(&raw)))
        }
        _ => Err(message::no_conversion(from.name(), "uniqueidentifier")),
    }
}

/// Whether SQL Server converts by itself; what it refuses is a type clash.
pub(crate) fn implicit(from: Type, to: Type) -> SqlResult<()> {
    use Family as F;
    let (a, b) = (from.family(), to.family());
    let clash = match (a, b) {
        _ if a == b || a == F::Null || b == F::Null || b == F::Variant => false,
        (F::Text, _) | (_, F::Text) => {
            // Binary to text and back needs a CAST.
            (a == F::Text && b == F::Binary) || (a == F::Variant)
        }
        (
            F::Date | F::Time | F::DateTime | F::Offset,
            F::Date | F::Time | F::DateTime | F::Offset,
        ) => {
            matches!((a, b), (F::Date, F::Time) | (F::Time, F::Date))
        }
        (F::Date | F::Time | F::Offset, _) | (_, F::Date | F::Time | F::Offset) => true,
        (F::DateTime, _) => true,
        (_, F::DateTime) => {
            !(from.is_numeric() && matches!(to, Type::DateTime | Type::SmallDateTime))
        }
        (F::Guid, F::Binary) | (F::Binary, F::Guid) => false,
        (F::Guid, _) | (_, F::Guid) => true,
        (F::Variant, _) => true,
        (F::Binary, F::Float) | (F::Float, F::Binary) => true,
        _ => false,
    };
    if !clash {
        return Ok(());
    }
    if matches!((a, b), (F::Text, F::Binary)) || a == F::Variant {
        return Err(Message::new(
            257,
            16,
            3,
            format!(
                "Implicit conversion from data type {} to {} is not allowed. Use the CONVERT function to run this query.",
                from.name(),
                to.name()
            ),
        )
        .ending(message::Ends::Batch));
    }
    Err(message::type_clash(from.name(), to.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(value: Value, from: Type, target: Type) -> Result<Value, i32> {
        cast(&value, from, target, Style::default(), Collation::DEFAULT).map_err(|e| e.number)
    }

    #[test]
    fn conversions_fail_with_sql_servers_numbers() {
        let text = |t: &str| Value::text(t);
        let v = Type::VarChar(20);
        assert_eq!(to(text("12"), v, Type::Int), Ok(Value::Int(12)));
        assert_eq!(to(text("abc"), v, Type::Int), Err(245));
        assert_eq!(to(text("99999999999"), v, Type::Int), Err(248));
        assert_eq!(to(Value::Int(300), Type::Int, Type::TinyInt), Err(220));
        assert_eq!(to(text("x"), v, Type::DateTime), Err(241));
        assert_eq!(to(text("1e5"), v, Type::Decimal(9, 2)), Err(8114));
        assert_eq!(
            to(text("1.005"), v, Type::Decimal(9, 2)),
            Ok(Value::Decimal(Decimal::parse("1.01").unwrap()))
        );
        assert_eq!(to(text("not a guid"), v, Type::Guid), Err(8169));
        assert_eq!(
            to(Value::Int(1234), Type::Int, Type::VarChar(3)),
            Ok(text("*"))
        );
        assert_eq!(to(text("hello"), v, Type::NVarChar(3)), Ok(text("hel")));
        assert_eq!(
            to(text("é€"), Type::NVarChar(5), Type::VarChar(5)),
            Ok(text("é€"))
        );
        assert_eq!(
            to(text("\u{4e2d}"), Type::NVarChar(5), Type::VarChar(5)),
            Ok(text("?")),
            "a code page cannot hold it"
        );
    }

    #[test]
    fn floats_print_as_sql_server_prints_them() {
        let show = |f: f64| to_text(&Value::Float(f), Type::Float, Style::default()).unwrap();
        assert_eq!(show(1.5), "1.5");
        assert_eq!(show(0.1), "0.1");
        assert_eq!(show(1_234_567.0), "1.23457e+006");
        assert_eq!(show(100.0), "100");
    }

    #[test]
    fn a_guid_is_stored_with_its_first_groups_turned() {
        let Value::Guid(g) = to(
            Value::text("00112233-4455-6677-8899-AABBCCDDEEFF"),
            Type::VarChar(36),
            Type::Guid,
        )
        .unwrap() else {
            panic!("not a guid")
        };
        assert_eq!(hex(&guid_to_wire(&g)), "33221100554477668899AABBCCDDEEFF");
        assert_eq!(guid_text(&g), "00112233-4455-6677-8899-AABBCCDDEEFF");
    }
}
