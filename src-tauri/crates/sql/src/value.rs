//! Values and columns, in plain types and as people read them.

use std::{borrow::Cow, fmt::Write as _};

use chrono::{Days, NaiveDate};
use tiberius::{
    ColumnData, ColumnType,
    numeric::Numeric,
    time::{Date, DateTime, SmallDateTime, Time},
};

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name; empty for an expression without one.
    pub name: String,
    /// Its type without length and precision, which the driver does not tell: `nvarchar`, `int`, …
    pub type_name: &'static str,
}

/// A value of a result. Types that Rust has no exact counterpart for are texts already.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `NULL`.
    Null,
    /// `bit`.
    Bool(bool),
    /// `tinyint` to `bigint`.
    Int(i64),
    /// `real` and `float`.
    Float(f64),
    /// `decimal`, `numeric`, `money`, with all digits of their scale.
    Decimal(String),
    /// Text of any kind, and `xml`.
    Text(String),
    /// `binary`, `varbinary`, `image`, `rowversion`.
    Bytes(Vec<u8>),
    /// `uniqueidentifier`, in capitals as SQL Server writes it.
    Guid(String),
    /// `date`, `2026-01-02`.
    Date(String),
    /// `time`, `03:04:05.1234567`, with the digits of its scale.
    Time(String),
    /// `datetime`, `datetime2`, `smalldatetime`, `2026-01-02 03:04:05.123`.
    DateTime(String),
    /// `datetimeoffset`, `2026-01-02 03:04:05.1234567 +02:00`.
    DateTimeOffset(String),
}

/// What a value is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number; [`Value::text`] is its JSON text, too.
    Number,
    /// A string: [`Value::text`], to be quoted.
    Text,
}

impl Value {
    /// As `sqlcmd` shows it: `NULL`, `1` for true, `0xCAFE` for bytes.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed("NULL"),
            Self::Bool(true) => Cow::Borrowed("1"),
            Self::Bool(false) => Cow::Borrowed("0"),
            Self::Int(n) => Cow::Owned(n.to_string()),
            Self::Float(n) => Cow::Owned(float(*n)),
            Self::Bytes(bytes) => Cow::Owned(hex(bytes)),
            Self::Decimal(text)
            | Self::Text(text)
            | Self::Guid(text)
            | Self::Date(text)
            | Self::Time(text)
            | Self::DateTime(text)
            | Self::DateTimeOffset(text) => Cow::Borrowed(text),
        }
    }

    /// What it is in JSON.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Boolean,
            Self::Int(_) | Self::Decimal(_) => Kind::Number,
            Self::Float(n) if n.is_finite() => Kind::Number,
            _ => Kind::Text,
        }
    }

    /// The value of a cell.
    pub(crate) fn of(column: ColumnType, data: &ColumnData<'_>) -> Self {
        let value = match data {
            ColumnData::U8(v) => v.map(|n| Self::Int(n.into())),
            ColumnData::I16(v) => v.map(|n| Self::Int(n.into())),
            ColumnData::I32(v) => v.map(|n| Self::Int(n.into())),
            ColumnData::I64(v) => v.map(Self::Int),
            // Through its shortest text, so that 0.1 stays 0.1.
            ColumnData::F32(v) => {
                v.map(|n| Self::Float(n.to_string().parse().unwrap_or_else(|_| n.into())))
            }
            // The driver makes a float of money, which is exact up to 900 billion.
            ColumnData::F64(v) => v.map(|n| match column {
                ColumnType::Money | ColumnType::Money4 => Self::Decimal(format!("{n:.4}")),
                _ => Self::Float(n),
            }),
            ColumnData::Bit(v) => v.map(Self::Bool),
            ColumnData::String(v) => v.as_ref().map(|s| Self::Text(s.as_ref().to_owned())),
            ColumnData::Guid(v) => v.map(|g| Self::Guid(g.to_string().to_uppercase())),
            ColumnData::Binary(v) => v.as_ref().map(|b| Self::Bytes(b.as_ref().to_owned())),
            ColumnData::Numeric(v) => v.map(|n| Self::Decimal(decimal(n))),
            ColumnData::Xml(v) => v
                .as_ref()
                .map(|x| Self::Text(x.as_ref().clone().into_string())),
            ColumnData::DateTime(v) => v.map(|d| Self::DateTime(datetime(d))),
            ColumnData::SmallDateTime(v) => v.map(|d| Self::DateTime(smalldatetime(d))),
            ColumnData::Time(v) => v.map(|t| Self::Time(time(t))),
            ColumnData::Date(v) => v.map(|d| Self::Date(date(d))),
            ColumnData::DateTime2(v) => {
                v.map(|d| Self::DateTime(format!("{} {}", date(d.date()), time(d.time()))))
            }
            ColumnData::DateTimeOffset(v) => v.map(|d| {
                let local = d.datetime2();
                Self::DateTimeOffset(offset(local.date(), local.time(), d.offset()))
            }),
        };
        value.unwrap_or(Self::Null)
    }
}

/// The type's name in T-SQL.
pub(crate) fn type_name(column: ColumnType) -> &'static str {
    match column {
        ColumnType::Null => "null",
        ColumnType::Bit | ColumnType::Bitn => "bit",
        ColumnType::Int1 => "tinyint",
        ColumnType::Int2 => "smallint",
        ColumnType::Int4 | ColumnType::Intn => "int",
        ColumnType::Int8 => "bigint",
        ColumnType::Datetime4 => "smalldatetime",
        ColumnType::Datetime | ColumnType::Datetimen => "datetime",
        ColumnType::Float4 => "real",
        ColumnType::Float8 | ColumnType::Floatn => "float",
        ColumnType::Money => "money",
        ColumnType::Money4 => "smallmoney",
        ColumnType::Guid => "uniqueidentifier",
        ColumnType::Decimaln => "decimal",
        ColumnType::Numericn => "numeric",
        ColumnType::Daten => "date",
        ColumnType::Timen => "time",
        ColumnType::Datetime2 => "datetime2",
        ColumnType::DatetimeOffsetn => "datetimeoffset",
        ColumnType::BigVarBin => "varbinary",
        ColumnType::BigVarChar => "varchar",
        ColumnType::BigBinary => "binary",
        ColumnType::BigChar => "char",
        ColumnType::NVarchar => "nvarchar",
        ColumnType::NChar => "nchar",
        ColumnType::Xml => "xml",
        ColumnType::Udt => "udt",
        ColumnType::Text => "text",
        ColumnType::Image => "image",
        ColumnType::NText => "ntext",
        ColumnType::SSVariant => "sql_variant",
    }
}

/// The shortest text that gives the same number; with an exponent where it would be long.
fn float(n: f64) -> String {
    let size = n.abs();
    if n == 0.0 || (1e-5..1e15).contains(&size) {
        format!("{n}")
    } else {
        format!("{n:E}")
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2).saturating_add(2));
    text.push_str("0x");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}

fn decimal(n: Numeric) -> String {
    let scale = usize::from(n.scale());
    let sign = if n.value() < 0 { "-" } else { "" };
    let digits = format!(
        "{:0width$}",
        n.value().unsigned_abs(),
        width = scale.saturating_add(1)
    );
    let (whole, fraction) = digits
        .split_at_checked(digits.len().saturating_sub(scale))
        .unwrap_or((&digits, ""));
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// Days from a date on, as SQL Server counts; what no calendar has is shown as the count itself.
fn day(from: Option<NaiveDate>, days: i64) -> String {
    let size = Days::new(days.unsigned_abs());
    let date = from.and_then(|d| {
        if days < 0 {
            d.checked_sub_days(size)
        } else {
            d.checked_add_days(size)
        }
    });
    match date {
        Some(date) => date.format("%Y-%m-%d").to_string(),
        None => format!("day {days}"),
    }
}

fn date(d: Date) -> String {
    day(NaiveDate::from_ymd_opt(1, 1, 1), d.days().into())
}

fn clock(seconds: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn time(t: Time) -> String {
    let scale = u32::from(t.scale()).min(9);
    let unit = 10_u64.saturating_pow(scale).max(1);
    let text = clock(t.increments() / unit);
    if scale == 0 {
        return text;
    }
    format!(
        "{text}.{:0width$}",
        t.increments() % unit,
        width = scale as usize
    )
}

fn datetime(d: DateTime) -> String {
    // A 300th of a second is told as its rounded milliseconds: .000, .003, .007.
    let ms = u64::from(d.seconds_fragments())
        .saturating_mul(10)
        .saturating_add(1)
        / 3;
    let day = day(NaiveDate::from_ymd_opt(1900, 1, 1), d.days().into());
    format!("{day} {}.{:03}", clock(ms / 1000), ms % 1000)
}

fn smalldatetime(d: SmallDateTime) -> String {
    // What the driver calls fragments are minutes here (MS-TDS 2.2.5.5.1.8).
    let day = day(NaiveDate::from_ymd_opt(1900, 1, 1), d.days().into());
    format!(
        "{day} {}",
        clock(u64::from(d.seconds_fragments()).saturating_mul(60))
    )
}

/// On the wire the date and time are UTC, and the offset says how far the local clock is ahead.
fn offset(d: Date, t: Time, minutes: i16) -> String {
    let unit = 10_u64.saturating_pow(u32::from(t.scale()).min(9)).max(1);
    let shift = i64::from(minutes).saturating_mul(60);
    let second = i64::try_from(t.increments() / unit)
        .unwrap_or(0)
        .saturating_add(shift);
    let days = i64::from(d.days()).saturating_add(second.div_euclid(86_400));
    let second = u64::try_from(second.rem_euclid(86_400)).unwrap_or(0);
    let local = Time::new(
        second
            .saturating_mul(unit)
            .saturating_add(t.increments() % unit),
        t.scale(),
    );
    let sign = if minutes < 0 { '-' } else { '+' };
    let ahead = minutes.unsigned_abs();
    let day = day(NaiveDate::from_ymd_opt(1, 1, 1), days);
    format!(
        "{day} {} {sign}{:02}:{:02}",
        time(local),
        ahead / 60,
        ahead % 60
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tiberius::time::{DateTime2, DateTimeOffset};

    use super::*;

    #[track_caller]
    fn check(column: ColumnType, data: &ColumnData<'_>, text: &str, kind: Kind) {
        let value = Value::of(column, data);
        assert_eq!(value.text(), text, "{data:?}");
        assert_eq!(value.kind(), kind, "{data:?}");
    }

    #[test]
    fn values_read_as_sqlcmd_shows_them() {
        use ColumnType as C;
        check(C::Intn, &ColumnData::I32(None), "NULL", Kind::Null);
        check(C::Bit, &ColumnData::Bit(Some(true)), "1", Kind::Boolean);
        check(C::Int1, &ColumnData::U8(Some(255)), "255", Kind::Number);
        check(
            C::Int8,
            &ColumnData::I64(Some(i64::MIN)),
            "-9223372036854775808",
            Kind::Number,
        );
        check(C::Float4, &ColumnData::F32(Some(0.1)), "0.1", Kind::Number);
        check(
            C::Float8,
            &ColumnData::F64(Some(1e300)),
            "1E300",
            Kind::Number,
        );
        check(
            C::Money,
            &ColumnData::F64(Some(12.5)),
            "12.5000",
            Kind::Number,
        );
        check(
            C::Decimaln,
            &ColumnData::Numeric(Some(Numeric::new_with_scale(-5, 3))),
            "-0.005",
            Kind::Number,
        );
        check(
            C::Decimaln,
            &ColumnData::Numeric(Some(Numeric::new_with_scale(1200, 2))),
            "12.00",
            Kind::Number,
        );
        check(
            C::Decimaln,
            &ColumnData::Numeric(Some(Numeric::new_with_scale(7, 0))),
            "7",
            Kind::Number,
        );
        check(
            C::NVarchar,
            &ColumnData::String(Some("ü😀".into())),
            "ü😀",
            Kind::Text,
        );
        check(
            C::BigVarBin,
            &ColumnData::Binary(Some(vec![0xCA, 0xFE].into())),
            "0xCAFE",
            Kind::Text,
        );
        check(
            C::BigVarBin,
            &ColumnData::Binary(Some(vec![].into())),
            "0x",
            Kind::Text,
        );
    }

    #[test]
    fn times_keep_the_digits_of_their_type() {
        use ColumnType as C;
        // 2026-01-02 is day 739,617 of the calendar that starts with 0001-01-01.
        let day = Date::new(739_617);
        check(
            C::Daten,
            &ColumnData::Date(Some(day)),
            "2026-01-02",
            Kind::Text,
        );
        check(
            C::Timen,
            &ColumnData::Time(Some(Time::new(110_451_234_567, 7))),
            "03:04:05.1234567",
            Kind::Text,
        );
        check(
            C::Timen,
            &ColumnData::Time(Some(Time::new(11_045, 0))),
            "03:04:05",
            Kind::Text,
        );
        check(
            C::Datetime2,
            &ColumnData::DateTime2(Some(DateTime2::new(day, Time::new(11_045_120, 3)))),
            "2026-01-02 03:04:05.120",
            Kind::Text,
        );
        check(
            C::Datetime,
            &ColumnData::DateTime(Some(DateTime::new(46_022, 3_313_501))),
            "2026-01-02 03:04:05.003",
            Kind::Text,
        );
        check(
            C::Datetime,
            &ColumnData::DateTime(Some(DateTime::new(-53_690, 0))),
            "1753-01-01 00:00:00.000",
            Kind::Text,
        );
        check(
            C::Datetime4,
            &ColumnData::SmallDateTime(Some(SmallDateTime::new(46_022, 184))),
            "2026-01-02 03:04:00",
            Kind::Text,
        );
        check(
            C::DatetimeOffsetn,
            &ColumnData::DateTimeOffset(Some(DateTimeOffset::new(
                DateTime2::new(day, Time::new(82_800, 0)),
                120,
            ))),
            "2026-01-03 01:00:00 +02:00",
            Kind::Text,
        );
        check(
            C::DatetimeOffsetn,
            &ColumnData::DateTimeOffset(Some(DateTimeOffset::new(
                DateTime2::new(day, Time::new(0, 1)),
                -330,
            ))),
            "2026-01-01 18:30:00.0 -05:30",
            Kind::Text,
        );
    }

    proptest! {
        #[test]
        fn any_bytes_of_a_server_can_be_shown(
            days in any::<u32>(), increments in any::<u64>(), scale in any::<u8>(), minutes in any::<i16>(),
            number in any::<i128>(), signed in any::<i32>(),
        ) {
            // A server's numbers are taken as they come: none may end the program.
            let (d, t) = (Date::new(days & 0xFF_FFFF), Time::new(increments, scale));
            offset(d, t, minutes);
            date(d);
            datetime(DateTime::new(signed, days));
            decimal(Numeric::new_with_scale(number % 10_i128.pow(37), scale % 38));
        }

        #[test]
        fn a_decimal_keeps_its_value(number in any::<i64>(), scale in 0_u8..19) {
            let text = decimal(Numeric::new_with_scale(number.into(), scale));
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            prop_assert_eq!(digits.parse::<u128>().unwrap(), u128::from(number.unsigned_abs()));
            prop_assert_eq!(text.split_once('.').map_or(0, |(_, f)| f.len()), usize::from(scale));
        }
    }
}
