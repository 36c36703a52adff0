//! Conversion between types: `CAST`, `CONVERT`, and what happens by itself.

mod number;
mod text;

use number::{decimal, float, integer, to_bit};
#[cfg(test)]
pub(crate) use text::hex;
pub(crate) use text::{text_length, to_text, unhex};

use chrono::{Datelike, NaiveDateTime, NaiveTime, TimeDelta};

use super::{
    collation::Collation,
    message::{self, Message, SqlResult},
    time,
    types::{Family, Type},
    value::Value,
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
            text::text(value, from, to, n, style, collation)
        }
        Type::Binary(n) | Type::VarBinary(n) => text::binary(value, from, to, n, style, collation),
        Type::Guid => text::guid(value, from),
        Type::Variant => Ok(value.clone()),
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
    use super::text::guid_to_wire;
    use super::*;
    use crate::sql::{decimal::Decimal, value::guid_text};

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
