//! Conversions to texts, binaries and identifiers.

use super::{Style, as_moment, error_8114, wire_name};
use crate::sql::{
    collation::Collation,
    message::{self, Message, SqlResult},
    time,
    types::{Family, MAX, Type},
    value::{Value, guid_text},
};

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

pub(super) fn grouped(text: &str) -> String {
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
pub(super) fn float_text(f: f64, _from: Type, style: Style) -> String {
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

pub(super) fn text(
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

pub(super) fn cut(text: &str, ty: Type, limit: u16, collation: Collation) -> String {
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

pub(super) fn binary(
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

pub(super) fn guid(value: &Value, from: Type) -> SqlResult<Value> {
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
