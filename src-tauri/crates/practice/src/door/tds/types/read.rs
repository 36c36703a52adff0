//! Reading types and values, as parameters of a call have them.

use chrono::{
    DateTime, Datelike as _, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
};

use super::{
    super::read::{Malformed, Reader, utf16},
    TICKS_PER_DAY, base_1900, code, swap_guid, time_length,
};
use crate::sql::{
    collation::Collation,
    decimal::Decimal,
    types::{MAX, Type},
    value::Value,
};

/// Why a typed value could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::door::tds) enum Unread {
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
pub(in crate::door::tds) fn read_typed(r: &mut Reader<'_>) -> Result<(Type, Value), Unread> {
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
