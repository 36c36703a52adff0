//! Writing types and values.

use bytes::BufMut as _;
use chrono::{Datelike as _, NaiveDate, NaiveTime, Timelike as _};

use super::{TICKS_PER_DAY, base_1900, code, swap_guid, time_length};
use crate::sql::{
    collation::Collation,
    decimal::Decimal,
    types::{MAX, Type},
    value::Value,
};

/// A value that its type cannot carry: an error of ours, never sent as something else.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::door::tds) struct Misfit;

/// Writes a TYPE_INFO that has a place for NULL, as parameters have it.
pub(in crate::door::tds) fn write_type(out: &mut Vec<u8>, ty: Type, collation: Collation) {
    match ty {
        Type::Bit => out.extend([code::BIT_N, 1]),
        Type::TinyInt => out.extend([code::INT_N, 1]),
        Type::SmallInt => out.extend([code::INT_N, 2]),
        Type::Int | Type::Null => out.extend([code::INT_N, 4]),
        Type::BigInt => out.extend([code::INT_N, 8]),
        Type::Real => out.extend([code::FLOAT_N, 4]),
        Type::Float => out.extend([code::FLOAT_N, 8]),
        Type::Decimal(p, s) => out.extend([code::DECIMAL, decimal_length(p), p, s]),
        Type::Money => out.extend([code::MONEY_N, 8]),
        Type::SmallMoney => out.extend([code::MONEY_N, 4]),
        Type::Date => out.put_u8(code::DATE),
        Type::Time(s) => out.extend([code::TIME, s]),
        Type::SmallDateTime => out.extend([code::DATETIME_N, 4]),
        Type::DateTime => out.extend([code::DATETIME_N, 8]),
        Type::DateTime2(s) => out.extend([code::DATETIME2, s]),
        Type::DateTimeOffset(s) => out.extend([code::OFFSET, s]),
        Type::Char(n) => write_length(out, code::CHAR, n, 1, Some(collation)),
        Type::VarChar(n) => write_length(out, code::VARCHAR, n, 1, Some(collation)),
        Type::NChar(n) => write_length(out, code::NCHAR, n, 2, Some(collation)),
        Type::NVarChar(n) => write_length(out, code::NVARCHAR, n, 2, Some(collation)),
        Type::Binary(n) => write_length(out, code::BINARY, n, 1, None),
        Type::VarBinary(n) => write_length(out, code::VARBINARY, n, 1, None),
        Type::Guid => out.extend([code::GUID, 16]),
        Type::Variant => {
            out.put_u8(code::VARIANT);
            out.put_u32_le(8009);
        }
    }
}

fn write_length(out: &mut Vec<u8>, code: u8, n: u16, unit: u16, collation: Option<Collation>) {
    out.put_u8(code);
    out.put_u16_le(if n == MAX {
        MAX
    } else {
        n.saturating_mul(unit).min(8000)
    });
    if let Some(c) = collation {
        out.extend(c.wire());
    }
}

/// The number of the type where it holds no NULL and has a length of its own.
///
/// A column that is not nullable must be written so: Microsoft's clients then expect no length before its values.
pub(super) fn fixed_code(ty: Type) -> Option<u8> {
    Some(match ty {
        Type::Bit => code::BIT,
        Type::TinyInt => code::INT1,
        Type::SmallInt => code::INT2,
        Type::Int => code::INT4,
        Type::BigInt => code::INT8,
        Type::Real => code::FLOAT4,
        Type::Float => code::FLOAT8,
        Type::Money => code::MONEY,
        Type::SmallMoney => code::MONEY4,
        Type::SmallDateTime => code::DATETIME4,
        Type::DateTime => code::DATETIME,
        _ => return None,
    })
}

/// Writes the TYPE_INFO of a column.
pub(in crate::door::tds) fn write_column(
    out: &mut Vec<u8>,
    ty: Type,
    nullable: bool,
    collation: Collation,
) {
    match fixed_code(ty).filter(|_| !nullable) {
        Some(code) => out.put_u8(code),
        None => write_type(out, ty, collation),
    }
}

/// Writes the value of a column.
pub(in crate::door::tds) fn write_cell(
    out: &mut Vec<u8>,
    (ty, nullable): (Type, bool),
    value: &Value,
    collation: Collation,
) -> Result<(), Misfit> {
    if nullable || fixed_code(ty).is_none() {
        return write_value(out, ty, value, collation);
    }
    write_short(out, ty, value)
}

/// Bytes of a decimal with its sign.
fn decimal_length(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

/// Writes a value of a column of type `ty`.
pub(in crate::door::tds) fn write_value(
    out: &mut Vec<u8>,
    ty: Type,
    value: &Value,
    collation: Collation,
) -> Result<(), Misfit> {
    if ty == Type::Variant {
        return write_variant(out, value, collation);
    }
    if value.is_null() {
        match ty {
            _ if ty.length() == Some(MAX) => out.put_u64_le(u64::MAX),
            _ if ty.length().is_some() => out.put_u16_le(u16::MAX),
            _ => out.put_u8(0),
        }
        return Ok(());
    }
    if let Some(n) = ty.length() {
        let bytes = long_bytes(ty, value, collation)?;
        if n == MAX {
            out.put_u64_le(u64::try_from(bytes.len()).map_err(|_| Misfit)?);
            if !bytes.is_empty() {
                out.put_u32_le(u32::try_from(bytes.len()).map_err(|_| Misfit)?);
                out.extend_from_slice(&bytes);
            }
            out.put_u32_le(0);
        } else {
            // 0xffff would say NULL.
            out.put_u16_le(
                u16::try_from(bytes.len())
                    .ok()
                    .filter(|n| *n < u16::MAX)
                    .ok_or(Misfit)?,
            );
            out.extend_from_slice(&bytes);
        }
        return Ok(());
    }
    let length_at = out.len();
    out.put_u8(0);
    write_short(out, ty, value)?;
    let length = out
        .len()
        .checked_sub(length_at)
        .and_then(|n| n.checked_sub(1))
        .and_then(|n| u8::try_from(n).ok());
    if let (Some(place), Some(length)) = (out.get_mut(length_at), length) {
        *place = length;
    }
    Ok(())
}

fn long_bytes(ty: Type, value: &Value, collation: Collation) -> Result<Vec<u8>, Misfit> {
    match (ty, value) {
        (Type::NChar(_) | Type::NVarChar(_), Value::Text(t)) => {
            Ok(t.encode_utf16().flat_map(u16::to_le_bytes).collect())
        }
        (Type::Char(_) | Type::VarChar(_), Value::Text(t)) => Ok(collation.encode(t)),
        (Type::Binary(_) | Type::VarBinary(_), Value::Binary(b)) => Ok(b.to_vec()),
        _ => Err(Misfit),
    }
}

/// The bytes of a value that is not NULL and of a type of 255 bytes at most.
fn write_short(out: &mut Vec<u8>, ty: Type, value: &Value) -> Result<(), Misfit> {
    match (ty, value) {
        (Type::Bit, Value::Bit(b)) => out.put_u8(u8::from(*b)),
        (Type::Bit, Value::Int(n)) => out.put_u8(u8::from(*n != 0)),
        (Type::TinyInt, _) => out.put_u8(u8::try_from(whole(value)?).map_err(|_| Misfit)?),
        (Type::SmallInt, _) => out.put_i16_le(i16::try_from(whole(value)?).map_err(|_| Misfit)?),
        (Type::Int | Type::Null, _) => {
            out.put_i32_le(i32::try_from(whole(value)?).map_err(|_| Misfit)?)
        }
        (Type::BigInt, _) => out.put_i64_le(whole(value)?),
        // A float has more digits than a real: it is rounded, as a conversion does.
        (Type::Real, Value::Float(f)) => out.put_f32_le(*f as f32),
        (Type::Float, Value::Float(f)) => out.put_f64_le(*f),
        (Type::Decimal(p, s), _) => {
            let d = exact(value)?
                .rescale(s)
                .filter(|d| d.fits(p))
                .ok_or(Misfit)?;
            write_decimal(out, d, decimal_length(p));
        }
        (Type::Money, _) => {
            let m = i64::try_from(exact(value)?.rescale(4).ok_or(Misfit)?.mantissa)
                .map_err(|_| Misfit)?;
            // The high half comes first.
            out.put_i32_le(i32::try_from(m >> 32).map_err(|_| Misfit)?);
            out.put_u32_le(u32::try_from(m & 0xffff_ffff).map_err(|_| Misfit)?);
        }
        (Type::SmallMoney, _) => {
            let m = exact(value)?.rescale(4).ok_or(Misfit)?.mantissa;
            out.put_i32_le(i32::try_from(m).map_err(|_| Misfit)?);
        }
        (Type::Date, Value::Date(d)) => put_date(out, *d)?,
        (Type::Time(s), Value::Time(t)) => put_time(out, *t, s),
        (Type::DateTime2(s), Value::DateTime(t)) => {
            put_time(out, t.time(), s);
            put_date(out, t.date())?;
        }
        (Type::DateTimeOffset(s), Value::Offset(t)) => {
            let utc = t.naive_utc();
            put_time(out, utc.time(), s);
            put_date(out, utc.date())?;
            out.put_i16_le(i16::try_from(t.offset().local_minus_utc() / 60).map_err(|_| Misfit)?);
        }
        (Type::DateTime, Value::DateTime(t)) => {
            let mut day = t.date().signed_duration_since(base_1900()).num_days();
            // Ticks of 1/300 second, rounded.
            let mut ticks =
                nanos(t.time()).saturating_mul(3).saturating_add(5_000_000) / 10_000_000;
            if ticks >= TICKS_PER_DAY {
                ticks = 0;
                day = day.saturating_add(1);
            }
            out.put_i32_le(i32::try_from(day).map_err(|_| Misfit)?);
            out.put_u32_le(u32::try_from(ticks).map_err(|_| Misfit)?);
        }
        (Type::SmallDateTime, Value::DateTime(t)) => {
            let day = t.date().signed_duration_since(base_1900()).num_days();
            let minutes = nanos(t.time()) / 60_000_000_000;
            out.put_u16_le(u16::try_from(day).map_err(|_| Misfit)?);
            out.put_u16_le(u16::try_from(minutes).map_err(|_| Misfit)?);
        }
        (Type::Guid, Value::Guid(g)) => out.extend(swap_guid(*g)),
        _ => return Err(Misfit),
    }
    Ok(())
}

fn whole(value: &Value) -> Result<i64, Misfit> {
    match value {
        Value::Int(n) => Ok(*n),
        Value::Bit(b) => Ok(i64::from(*b)),
        _ => Err(Misfit),
    }
}

fn exact(value: &Value) -> Result<Decimal, Misfit> {
    match value {
        Value::Decimal(d) => Ok(*d),
        _ => whole(value).map(Decimal::from_int),
    }
}

/// Sign, then the digits as one number, in `length` bytes together.
fn write_decimal(out: &mut Vec<u8>, d: Decimal, length: u8) {
    out.put_u8(u8::from(d.mantissa >= 0));
    let bytes = d.mantissa.unsigned_abs().to_le_bytes();
    out.extend(bytes.iter().take(usize::from(length).saturating_sub(1)));
}

fn write_variant(out: &mut Vec<u8>, value: &Value, collation: Collation) -> Result<(), Misfit> {
    if value.is_null() {
        out.put_u32_le(0);
        return Ok(());
    }
    let ty = value.own_type();
    let mut inner = Vec::new();
    match ty {
        Type::Bit => inner.extend([code::BIT, 0]),
        Type::Int => inner.extend([code::INT4, 0]),
        Type::BigInt => inner.extend([code::INT8, 0]),
        Type::Float => inner.extend([code::FLOAT8, 0]),
        Type::Decimal(p, s) => inner.extend([code::NUMERIC, 2, p, s]),
        Type::Date => inner.extend([code::DATE, 0]),
        Type::Time(s) => inner.extend([code::TIME, 1, s]),
        Type::DateTime2(s) => inner.extend([code::DATETIME2, 1, s]),
        Type::DateTimeOffset(s) => inner.extend([code::OFFSET, 1, s]),
        Type::Guid => inner.extend([code::GUID, 0]),
        Type::NVarChar(_) => {
            inner.extend([code::NVARCHAR, 7]);
            inner.extend(collation.wire());
            inner.put_u16_le(8000);
        }
        Type::VarBinary(_) => {
            inner.extend([code::VARBINARY, 2]);
            inner.put_u16_le(8000);
        }
        _ => return Err(Misfit),
    }
    if ty.length().is_some() {
        let bytes = long_bytes(ty, value, collation)?;
        if bytes.len() > 8000 {
            return Err(Misfit);
        }
        inner.extend(bytes);
    } else {
        write_short(&mut inner, ty, value)?;
    }
    out.put_u32_le(u32::try_from(inner.len()).map_err(|_| Misfit)?);
    out.extend(inner);
    Ok(())
}

fn nanos(t: NaiveTime) -> u64 {
    // A leap second counts as the last moment of its minute.
    u64::from(t.num_seconds_from_midnight())
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(t.nanosecond().min(999_999_999)))
}

/// Days since the first of January of the year 1, in three bytes.
fn put_date(out: &mut Vec<u8>, d: NaiveDate) -> Result<(), Misfit> {
    let days = u32::try_from(d.num_days_from_ce().saturating_sub(1)).map_err(|_| Misfit)?;
    let [a, b, c, rest] = days.to_le_bytes();
    if rest != 0 {
        return Err(Misfit);
    }
    out.extend([a, b, c]);
    Ok(())
}

fn put_time(out: &mut Vec<u8>, t: NaiveTime, scale: u8) {
    let unit = 10_u64.pow(9_u32.saturating_sub(u32::from(scale.min(7))));
    let bytes = (nanos(t) / unit).to_le_bytes();
    out.extend(bytes.iter().take(time_length(scale)));
}
