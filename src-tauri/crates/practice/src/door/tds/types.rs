//! Types and values on the wire, both ways (MS-TDS 2.2.5.4 to 2.2.5.6).

use bytes::BufMut as _;
use chrono::{
    DateTime, Datelike as _, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    Timelike as _,
};

use super::read::{Malformed, Reader, utf16};
use crate::sql::{
    collation::Collation,
    decimal::Decimal,
    types::{MAX, Type},
    value::Value,
};

/// Type numbers (MS-TDS 2.2.5.4).
mod code {
    pub(super) const NULL: u8 = 0x1f;
    pub(super) const IMAGE: u8 = 0x22;
    pub(super) const TEXT: u8 = 0x23;
    pub(super) const GUID: u8 = 0x24;
    pub(super) const OLD_VARBINARY: u8 = 0x25;
    pub(super) const INT_N: u8 = 0x26;
    pub(super) const OLD_VARCHAR: u8 = 0x27;
    pub(super) const DATE: u8 = 0x28;
    pub(super) const TIME: u8 = 0x29;
    pub(super) const DATETIME2: u8 = 0x2a;
    pub(super) const OFFSET: u8 = 0x2b;
    pub(super) const OLD_BINARY: u8 = 0x2d;
    pub(super) const OLD_CHAR: u8 = 0x2f;
    pub(super) const INT1: u8 = 0x30;
    pub(super) const BIT: u8 = 0x32;
    pub(super) const INT2: u8 = 0x34;
    pub(super) const OLD_DECIMAL: u8 = 0x37;
    pub(super) const INT4: u8 = 0x38;
    pub(super) const DATETIME4: u8 = 0x3a;
    pub(super) const FLOAT4: u8 = 0x3b;
    pub(super) const MONEY: u8 = 0x3c;
    pub(super) const DATETIME: u8 = 0x3d;
    pub(super) const FLOAT8: u8 = 0x3e;
    pub(super) const OLD_NUMERIC: u8 = 0x3f;
    pub(super) const VARIANT: u8 = 0x62;
    pub(super) const NTEXT: u8 = 0x63;
    pub(super) const BIT_N: u8 = 0x68;
    pub(super) const DECIMAL: u8 = 0x6a;
    pub(super) const NUMERIC: u8 = 0x6c;
    pub(super) const FLOAT_N: u8 = 0x6d;
    pub(super) const MONEY_N: u8 = 0x6e;
    pub(super) const DATETIME_N: u8 = 0x6f;
    pub(super) const MONEY4: u8 = 0x7a;
    pub(super) const INT8: u8 = 0x7f;
    pub(super) const VARBINARY: u8 = 0xa5;
    pub(super) const VARCHAR: u8 = 0xa7;
    pub(super) const BINARY: u8 = 0xad;
    pub(super) const CHAR: u8 = 0xaf;
    pub(super) const NVARCHAR: u8 = 0xe7;
    pub(super) const NCHAR: u8 = 0xef;
    pub(super) const UDT: u8 = 0xf0;
    pub(super) const XML: u8 = 0xf1;
    pub(super) const TABLE: u8 = 0xf3;
}

/// A value that its type cannot carry: an error of ours, never sent as something else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit;

// --- Writing -------------------------------------------------------------------------------------------------------

/// Writes a TYPE_INFO that has a place for NULL, as parameters have it.
pub(super) fn write_type(out: &mut Vec<u8>, ty: Type, collation: Collation) {
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
fn fixed_code(ty: Type) -> Option<u8> {
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
pub(super) fn write_column(out: &mut Vec<u8>, ty: Type, nullable: bool, collation: Collation) {
    match fixed_code(ty).filter(|_| !nullable) {
        Some(code) => out.put_u8(code),
        None => write_type(out, ty, collation),
    }
}

/// Writes the value of a column.
pub(super) fn write_cell(
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
pub(super) fn write_value(
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

const TICKS_PER_DAY: u64 = 25_920_000;

fn base_1900() -> NaiveDate {
    NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or_default()
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

/// Bytes of a time of `scale` digits after the second.
fn time_length(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

fn put_time(out: &mut Vec<u8>, t: NaiveTime, scale: u8) {
    let unit = 10_u64.pow(9_u32.saturating_sub(u32::from(scale.min(7))));
    let bytes = (nanos(t) / unit).to_le_bytes();
    out.extend(bytes.iter().take(time_length(scale)));
}

/// The first three groups of a uniqueidentifier travel with their bytes turned round.
fn swap_guid(g: [u8; 16]) -> [u8; 16] {
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = g;
    let [d0, d1, e0, e1, e2, e3, e4, e5] = rest;
    [
        a3, a2, a1, a0, b1, b0, c1, c0, d0, d1, e0, e1, e2, e3, e4, e5,
    ]
}

// --- Reading -------------------------------------------------------------------------------------------------------

/// Why a typed value could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Malformed(Malformed),
    /// A type that is not spoken here, by its name.
    Unknown(&'static str),
}

impl From<Malformed> for Unread {
    fn from(m: Malformed) -> Self {
        Self::Malformed(m)
    }
}

/// How the length of a value is told.
#[derive(Clone, Copy)]
enum Length {
    Fixed(usize),
    /// One byte, 0 for NULL; in the old text types 0 is the empty text too.
    Byte,
    /// Two bytes, 0xffff for NULL.
    Short,
    /// Parts (MS-TDS 2.2.5.2.3).
    Parts,
    /// Four bytes, 0xffffffff for NULL.
    Long,
    Variant,
}

struct Info {
    code: u8,
    ty: Type,
    length: Length,
    collation: Collation,
}

const BAD_LENGTH: Unread = Unread::Malformed(Malformed("a length that the type does not have"));

/// Reads a TYPE_INFO and the value behind it, as in the parameters of an RPC.
pub(super) fn read_typed(r: &mut Reader<'_>) -> Result<(Type, Value), Unread> {
    let info = read_info(r)?;
    let value = read_value(r, &info)?;
    Ok((info.ty, value))
}

fn read_info(r: &mut Reader<'_>) -> Result<Info, Unread> {
    let code = r.u8()?;
    let mut collation = Collation::DEFAULT;
    let (ty, length) = match code {
        code::NULL => (Type::Null, Length::Fixed(0)),
        code::INT1 => (Type::TinyInt, Length::Fixed(1)),
        code::BIT => (Type::Bit, Length::Fixed(1)),
        code::INT2 => (Type::SmallInt, Length::Fixed(2)),
        code::INT4 => (Type::Int, Length::Fixed(4)),
        code::INT8 => (Type::BigInt, Length::Fixed(8)),
        code::DATETIME4 => (Type::SmallDateTime, Length::Fixed(4)),
        code::DATETIME => (Type::DateTime, Length::Fixed(8)),
        code::FLOAT4 => (Type::Real, Length::Fixed(4)),
        code::FLOAT8 => (Type::Float, Length::Fixed(8)),
        code::MONEY => (Type::Money, Length::Fixed(8)),
        code::MONEY4 => (Type::SmallMoney, Length::Fixed(4)),
        code::GUID
        | code::INT_N
        | code::BIT_N
        | code::FLOAT_N
        | code::MONEY_N
        | code::DATETIME_N => {
            let ty = match (code, r.u8()?) {
                (code::GUID, 16) => Type::Guid,
                (code::INT_N, 1) => Type::TinyInt,
                (code::INT_N, 2) => Type::SmallInt,
                (code::INT_N, 4) => Type::Int,
                (code::INT_N, 8) => Type::BigInt,
                (code::BIT_N, 1) => Type::Bit,
                (code::FLOAT_N, 4) => Type::Real,
                (code::FLOAT_N, 8) => Type::Float,
                (code::MONEY_N, 4) => Type::SmallMoney,
                (code::MONEY_N, 8) => Type::Money,
                (code::DATETIME_N, 4) => Type::SmallDateTime,
                (code::DATETIME_N, 8) => Type::DateTime,
                // SqlClient writes a length of 0 for some NULLs.
                (code::INT_N, 0) => Type::Int,
                (code::BIT_N, 0) => Type::Bit,
                (code::FLOAT_N, 0) => Type::Float,
                (code::MONEY_N, 0) => Type::Money,
                (code::DATETIME_N, 0) => Type::DateTime,
                (code::GUID, 0) => Type::Guid,
                _ => return Err(BAD_LENGTH),
            };
            (ty, Length::Byte)
        }
        code::DECIMAL | code::NUMERIC | code::OLD_DECIMAL | code::OLD_NUMERIC => {
            let [_, p, s] = r.array()?;
            if !(1..=38).contains(&p) || s > p {
                return Err(BAD_LENGTH);
            }
            (Type::Decimal(p, s), Length::Byte)
        }
        code::DATE => (Type::Date, Length::Byte),
        code::TIME | code::DATETIME2 | code::OFFSET => {
            let s = r.u8()?;
            let ty = match code {
                _ if s > 7 => return Err(BAD_LENGTH),
                code::TIME => Type::Time(s),
                code::DATETIME2 => Type::DateTime2(s),
                _ => Type::DateTimeOffset(s),
            };
            (ty, Length::Byte)
        }
        code::OLD_CHAR | code::OLD_VARCHAR | code::OLD_BINARY | code::OLD_VARBINARY => {
            let n = u16::from(r.u8()?).max(1);
            let ty = match code {
                code::OLD_CHAR => Type::Char(n),
                code::OLD_VARCHAR => Type::VarChar(n),
                code::OLD_BINARY => Type::Binary(n),
                _ => Type::VarBinary(n),
            };
            (ty, Length::Byte)
        }
        code::VARBINARY
        | code::VARCHAR
        | code::BINARY
        | code::CHAR
        | code::NVARCHAR
        | code::NCHAR => {
            let bytes = r.u16()?;
            if !matches!(code, code::VARBINARY | code::BINARY) {
                collation = read_collation(r.array()?);
            }
            let n = |unit: u16| {
                if bytes == MAX {
                    MAX
                } else {
                    (bytes / unit).clamp(1, 8000 / unit)
                }
            };
            let ty = match code {
                code::VARBINARY => Type::VarBinary(n(1)),
                code::VARCHAR => Type::VarChar(n(1)),
                code::BINARY => Type::Binary(n(1)),
                code::CHAR => Type::Char(n(1)),
                code::NVARCHAR => Type::NVarChar(n(2)),
                _ => Type::NChar(n(2)),
            };
            (
                ty,
                if bytes == MAX {
                    Length::Parts
                } else {
                    Length::Short
                },
            )
        }
        code::TEXT | code::NTEXT | code::IMAGE => {
            r.u32()?;
            if code != code::IMAGE {
                collation = read_collation(r.array()?);
            }
            let ty = match code {
                code::TEXT => Type::VarChar(MAX),
                code::NTEXT => Type::NVarChar(MAX),
                _ => Type::VarBinary(MAX),
            };
            (ty, Length::Long)
        }
        code::XML => {
            if r.u8()? != 0 {
                // The names of a schema collection: database, owner, collection.
                r.short_text()?;
                r.short_text()?;
                let units = r.u16()?;
                r.text(usize::from(units))?;
            }
            (Type::NVarChar(MAX), Length::Parts)
        }
        code::VARIANT => {
            r.u32()?;
            (Type::Variant, Length::Variant)
        }
        code::UDT => return Err(Unread::Unknown("A parameter of a CLR type")),
        code::TABLE => return Err(Unread::Unknown("A table-valued parameter")),
        _ => {
            return Err(Unread::Malformed(Malformed(
                "a type that the protocol does not have",
            )));
        }
    };
    Ok(Info {
        code,
        ty,
        length,
        collation,
    })
}

/// Of a collation only the encoding matters here: code page 1252 or UTF-8.
fn read_collation([a, b, c, d, _]: [u8; 5]) -> Collation {
    let utf8 = u32::from_le_bytes([a, b, c, d]) & (0x40 << 20) != 0;
    Collation {
        utf8,
        ..Collation::DEFAULT
    }
}

fn read_value(r: &mut Reader<'_>, info: &Info) -> Result<Value, Unread> {
    let bytes = match info.length {
        Length::Fixed(0) => return Ok(Value::Null),
        Length::Fixed(n) => r.take(n)?,
        Length::Byte => match r.u8()? {
            0 if matches!(
                info.code,
                code::OLD_CHAR | code::OLD_VARCHAR | code::OLD_BINARY | code::OLD_VARBINARY
            ) =>
            {
                &[]
            }
            0 => return Ok(Value::Null),
            n => r.take(usize::from(n))?,
        },
        Length::Short => match r.u16()? {
            u16::MAX => return Ok(Value::Null),
            n => r.take(usize::from(n))?,
        },
        Length::Long => match r.u32()? {
            u32::MAX => return Ok(Value::Null),
            n => r.take(usize::try_from(n).unwrap_or(usize::MAX))?,
        },
        Length::Parts => {
            if r.u64()? == u64::MAX {
                return Ok(Value::Null);
            }
            // The total is only a hint, and may say "unknown".
            let mut all = Vec::new();
            loop {
                let n = r.u32()?;
                if n == 0 {
                    break;
                }
                all.extend_from_slice(r.take(usize::try_from(n).unwrap_or(usize::MAX))?);
            }
            return decode(info, &all);
        }
        Length::Variant => return read_variant(r),
    };
    decode(info, bytes)
}

fn read_variant(r: &mut Reader<'_>) -> Result<Value, Unread> {
    let total = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
    if total == 0 {
        return Ok(Value::Null);
    }
    let mut r = Reader::new(r.take(total)?);
    let code = r.u8()?;
    let count = r.u8()?;
    let mut props = Reader::new(r.take(usize::from(count))?);
    let mut collation = Collation::DEFAULT;
    let ty = match code {
        code::INT1 => Type::TinyInt,
        code::BIT => Type::Bit,
        code::INT2 => Type::SmallInt,
        code::INT4 => Type::Int,
        code::INT8 => Type::BigInt,
        code::DATETIME4 => Type::SmallDateTime,
        code::DATETIME => Type::DateTime,
        code::FLOAT4 => Type::Real,
        code::FLOAT8 => Type::Float,
        code::MONEY => Type::Money,
        code::MONEY4 => Type::SmallMoney,
        code::GUID => Type::Guid,
        code::DATE => Type::Date,
        code::TIME => Type::Time(props.u8()?),
        code::DATETIME2 => Type::DateTime2(props.u8()?),
        code::OFFSET => Type::DateTimeOffset(props.u8()?),
        code::DECIMAL | code::NUMERIC => Type::Decimal(props.u8()?, props.u8()?),
        code::VARBINARY => Type::VarBinary(8000),
        code::BINARY => Type::Binary(8000),
        code::VARCHAR | code::CHAR | code::NVARCHAR | code::NCHAR => {
            collation = read_collation(props.array()?);
            match code {
                code::VARCHAR => Type::VarChar(8000),
                code::CHAR => Type::Char(8000),
                code::NVARCHAR => Type::NVarChar(4000),
                _ => Type::NChar(4000),
            }
        }
        _ => return Err(Unread::Unknown("A sql_variant of this type")),
    };
    let info = Info {
        code,
        ty,
        length: Length::Variant,
        collation,
    };
    decode(&info, r.rest())
}

/// The value of bytes that are there.
fn decode(info: &Info, bytes: &[u8]) -> Result<Value, Unread> {
    let bad = || BAD_LENGTH;
    let mut r = Reader::new(bytes);
    let value = match info.ty {
        Type::Bit => Value::Bit(r.u8()? != 0),
        Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => {
            Value::Int(match bytes.len() {
                1 => i64::from(r.u8()?),
                2 => i64::from(i16::from_le_bytes(r.array()?)),
                4 => i64::from(i32::from_le_bytes(r.array()?)),
                8 => i64::from_le_bytes(r.array()?),
                _ => return Err(bad()),
            })
        }
        Type::Real | Type::Float => {
            let f = if bytes.len() == 4 {
                f64::from(f32::from_le_bytes(r.array()?))
            } else {
                f64::from_le_bytes(r.array()?)
            };
            if !f.is_finite() {
                return Err(Unread::Malformed(Malformed("a float that is no number")));
            }
            Value::Float(f)
        }
        Type::Decimal(p, s) => {
            let positive = r.u8()? != 0;
            let digits = r.rest();
            let mut all = [0_u8; 16];
            all.get_mut(..digits.len())
                .ok_or_else(bad)?
                .copy_from_slice(digits);
            let m = i128::try_from(u128::from_le_bytes(all)).map_err(|_| bad())?;
            let d = Decimal::new(if positive { m } else { -m }, s)
                .filter(|d| d.fits(p))
                .ok_or_else(bad)?;
            Value::Decimal(d)
        }
        Type::Money | Type::SmallMoney => {
            let m = if bytes.len() == 4 {
                i64::from(i32::from_le_bytes(r.array()?))
            } else {
                let high = i64::from(i32::from_le_bytes(r.array()?));
                (high << 32) | i64::from(r.u32()?)
            };
            Value::Decimal(Decimal {
                mantissa: i128::from(m),
                scale: 4,
            })
        }
        Type::Date => Value::Date(read_date(&mut r)?),
        Type::Time(s) => Value::Time(read_time(r.rest(), s)?),
        Type::DateTime2(s) => Value::DateTime(read_datetime2(&mut r, s)?),
        Type::DateTimeOffset(s) => {
            let utc = read_datetime2(&mut r, s)?;
            let minutes = i32::from(i16::from_le_bytes(r.array()?));
            let offset = FixedOffset::east_opt(minutes.saturating_mul(60))
                .filter(|_| minutes.abs() <= 840)
                .ok_or_else(bad)?;
            Value::Offset(DateTime::from_naive_utc_and_offset(utc, offset))
        }
        Type::SmallDateTime | Type::DateTime => {
            let (days, time) = if bytes.len() == 4 {
                let days = i64::from(r.u16()?);
                (days, TimeDelta::minutes(i64::from(r.u16()?)))
            } else {
                let days = i64::from(i32::from_le_bytes(r.array()?));
                let ticks = u64::from(r.u32()?);
                if ticks >= TICKS_PER_DAY {
                    return Err(bad());
                }
                // To the millisecond, as SQL Server shows it: .000, .003, .007.
                let ms = ticks.saturating_mul(10).saturating_add(1) / 3;
                (
                    days,
                    TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(0)),
                )
            };
            let day = TimeDelta::try_days(days)
                .and_then(|d| base_1900().checked_add_signed(d))
                .ok_or_else(bad)?;
            if !(1753..=9999).contains(&day.year()) {
                return Err(bad());
            }
            Value::DateTime(
                day.and_time(NaiveTime::MIN)
                    .checked_add_signed(time)
                    .ok_or_else(bad)?,
            )
        }
        Type::NChar(_) | Type::NVarChar(_) => Value::text(utf16(bytes)),
        Type::Char(_) | Type::VarChar(_) => Value::text(info.collation.decode(bytes)),
        Type::Binary(_) | Type::VarBinary(_) => Value::binary(bytes),
        Type::Guid => Value::Guid(swap_guid(r.array()?)),
        Type::Variant | Type::Null => return Err(bad()),
    };
    Ok(value)
}

fn read_date(r: &mut Reader<'_>) -> Result<NaiveDate, Unread> {
    let [a, b, c] = r.array()?;
    let days = i32::from_le_bytes([a, b, c, 0]).saturating_add(1);
    NaiveDate::from_num_days_from_ce_opt(days)
        .filter(|d| d.year() <= 9999)
        .ok_or(BAD_LENGTH)
}

fn read_time(bytes: &[u8], scale: u8) -> Result<NaiveTime, Unread> {
    let mut all = [0_u8; 8];
    if bytes.len() > 5 || bytes.len() < 3 || scale > 7 {
        return Err(BAD_LENGTH);
    }
    all.get_mut(..bytes.len())
        .ok_or(BAD_LENGTH)?
        .copy_from_slice(bytes);
    let unit = 10_u64.pow(9_u32.saturating_sub(u32::from(scale)));
    let nanos = u64::from_le_bytes(all)
        .checked_mul(unit)
        .ok_or(BAD_LENGTH)?;
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (seconds, rest) = (
        u32::try_from(seconds).map_err(|_| BAD_LENGTH)?,
        u32::try_from(rest).map_err(|_| BAD_LENGTH)?,
    );
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest).ok_or(BAD_LENGTH)
}

fn read_datetime2(r: &mut Reader<'_>, scale: u8) -> Result<NaiveDateTime, Unread> {
    let time = read_time(r.take(time_length(scale))?, scale)?;
    Ok(read_date(r)?.and_time(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(ty: Type, value: &Value) -> (Type, Value) {
        let mut wire = Vec::new();
        write_type(&mut wire, ty, Collation::DEFAULT);
        write_value(&mut wire, ty, value, Collation::DEFAULT).unwrap();
        let mut r = Reader::new(&wire);
        let got = read_typed(&mut r).unwrap();
        assert!(r.is_empty(), "a value of {ty:?} has no bytes behind it");
        got
    }

    fn date() -> impl Strategy<Value = NaiveDate> {
        (1_i32..=3_652_059).prop_map(|d| NaiveDate::from_num_days_from_ce_opt(d).unwrap())
    }

    fn time(scale: u8) -> impl Strategy<Value = NaiveTime> {
        let unit = 10_u64.pow(9 - u32::from(scale));
        (0..86_400_000_000_000 / unit).prop_map(move |n| {
            let n = n * unit;
            NaiveTime::from_num_seconds_from_midnight_opt(
                (n / 1_000_000_000) as u32,
                (n % 1_000_000_000) as u32,
            )
            .unwrap()
        })
    }

    fn typed() -> impl Strategy<Value = (Type, Value)> {
        let int =
            |ty: Type, low: i64, high: i64| (low..=high).prop_map(move |n| (ty, Value::Int(n)));
        let some = prop_oneof![
            any::<bool>().prop_map(|b| (Type::Bit, Value::Bit(b))),
            int(Type::TinyInt, 0, 255),
            int(Type::SmallInt, -32768, 32767),
            int(Type::Int, i64::from(i32::MIN), i64::from(i32::MAX)),
            int(Type::BigInt, i64::MIN, i64::MAX),
            (-1e300_f64..1e300).prop_map(|f| (Type::Float, Value::Float(f))),
            (-1e30_f32..1e30).prop_map(|f| (Type::Real, Value::Float(f64::from(f)))),
            (1_u8..=38, 0_u8..=38, any::<i128>()).prop_map(|(p, s, m)| {
                let (p, s) = (p.max(s).max(1), s);
                let m = m % 10_i128.pow(u32::from(p));
                (
                    Type::Decimal(p, s),
                    Value::Decimal(Decimal::new(m, s).unwrap()),
                )
            }),
            any::<i64>().prop_map(|m| (
                Type::Money,
                Value::Decimal(Decimal::new(m.into(), 4).unwrap())
            )),
            any::<i32>().prop_map(|m| (
                Type::SmallMoney,
                Value::Decimal(Decimal::new(m.into(), 4).unwrap())
            )),
            date().prop_map(|d| (Type::Date, Value::Date(d))),
            (0_u8..=7)
                .prop_flat_map(|s| time(s).prop_map(move |t| (Type::Time(s), Value::Time(t)))),
            (0_u8..=7).prop_flat_map(|s| (date(), time(s))
                .prop_map(move |(d, t)| (Type::DateTime2(s), Value::DateTime(d.and_time(t))))),
            // Not on the first and last day: the offset would lead out of the calendar.
            (0_u8..=7, 3_i32..3_652_000, -840_i32..=840).prop_flat_map(|(s, d, o)| time(s)
                .prop_map(move |t| {
                    let utc = NaiveDate::from_num_days_from_ce_opt(d).unwrap().and_time(t);
                    (
                        Type::DateTimeOffset(s),
                        Value::Offset(DateTime::from_naive_utc_and_offset(
                            utc,
                            FixedOffset::east_opt(o * 60).unwrap(),
                        )),
                    )
                })),
            (640_000_i32..3_000_000, 0_u64..TICKS_PER_DAY).prop_map(|(d, ticks)| {
                let t = NaiveDate::from_num_days_from_ce_opt(d)
                    .unwrap()
                    .and_time(NaiveTime::MIN);
                (
                    Type::DateTime,
                    Value::DateTime(t + TimeDelta::milliseconds(((ticks * 10 + 1) / 3) as i64)),
                )
            }),
            (0_i64..65_536 * 1440).prop_map(|m| (
                Type::SmallDateTime,
                Value::DateTime(base_1900().and_time(NaiveTime::MIN) + TimeDelta::minutes(m))
            )),
            any::<String>().prop_map(|t| (Type::NVarChar(4000), Value::text(t))),
            any::<String>().prop_map(|t| (Type::NVarChar(MAX), Value::text(t))),
            "[ -~äöü€]{0,50}".prop_map(|t| (Type::VarChar(8000), Value::text(t))),
            "[ -~äöü€]{0,50}".prop_map(|t| (Type::VarChar(MAX), Value::text(t))),
            any::<Vec<u8>>().prop_map(|b| (Type::VarBinary(8000), Value::binary(b))),
            any::<Vec<u8>>().prop_map(|b| (Type::VarBinary(MAX), Value::binary(b))),
            any::<[u8; 16]>().prop_map(|g| (Type::Guid, Value::Guid(g))),
        ];
        (some, 0..10).prop_map(|((ty, v), n)| (ty, if n == 0 { Value::Null } else { v }))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read((ty, value) in typed()) {
            prop_assert_eq!(round(ty, &value), (ty, value));
        }

        #[test]
        fn a_column_without_nulls_has_no_lengths((ty, value) in typed()) {
            let mut wire = Vec::new();
            write_column(&mut wire, ty, false, Collation::DEFAULT);
            let written = write_cell(&mut wire, (ty, false), &value, Collation::DEFAULT);
            if fixed_code(ty).is_some() {
                prop_assert_eq!(wire[0], fixed_code(ty).unwrap());
                prop_assert_eq!(written.is_err(), value.is_null(), "there is no way to write NULL");
            }
            if written.is_ok() {
                prop_assert_eq!(read_typed(&mut Reader::new(&wire)).unwrap(), (ty, value));
            }
        }

        #[test]
        fn a_variant_keeps_its_value((_, value) in typed()) {
            let (ty, got) = round(Type::Variant, &value);
            prop_assert_eq!(ty, Type::Variant);
            prop_assert_eq!(got, value);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, code: u8) {
            let mut wire = vec![code];
            wire.extend(bytes);
            let _ = read_typed(&mut Reader::new(&wire));
        }
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        let wire = |ty, value: &Value| {
            let mut out = Vec::new();
            write_value(&mut out, ty, value, Collation::DEFAULT).unwrap();
            out
        };
        assert_eq!(
            wire(
                Type::Money,
                &Value::Decimal(Decimal::new(10_000, 4).unwrap())
            ),
            [8, 0, 0, 0, 0, 0x10, 0x27, 0, 0]
        );
        assert_eq!(
            wire(
                Type::Decimal(5, 2),
                &Value::Decimal(Decimal::new(-12_345, 2).unwrap())
            ),
            [5, 0, 0x39, 0x30, 0, 0]
        );
        let d = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap();
        assert_eq!(
            wire(Type::Date, &Value::Date(d)),
            [3, 0x5b, 0x95, 0x0a],
            "693595 days since the year 1"
        );
        assert_eq!(
            wire(
                Type::DateTime,
                &Value::DateTime(d.and_hms_milli_opt(0, 0, 0, 999).unwrap())
            ),
            [8, 0, 0, 0, 0, 0x2c, 1, 0, 0]
        );
        let g = *uuid::Uuid::parse_str("00112233-4455-6677-8899-aabbccddeeff")
            .unwrap()
            .as_bytes();
        assert_eq!(
            wire(Type::Guid, &Value::Guid(g)).get(1..7),
            Some(&[0x33, 0x22, 0x11, 0, 0x55, 0x44][..])
        );
        assert_eq!(
            wire(Type::NVarChar(MAX), &Value::text("")),
            [0; 12],
            "empty is not NULL"
        );
    }

    #[test]
    fn a_value_of_another_type_is_never_sent_as_something_else() {
        let mut out = Vec::new();
        for (ty, value) in [
            (Type::Int, Value::text("1")),
            (Type::TinyInt, Value::Int(256)),
            (Type::Decimal(2, 0), Value::Int(100)),
            (Type::VarChar(10), Value::Int(1)),
        ] {
            assert_eq!(
                write_value(&mut out, ty, &value, Collation::DEFAULT),
                Err(Misfit),
                "{ty:?}"
            );
        }
    }
}
