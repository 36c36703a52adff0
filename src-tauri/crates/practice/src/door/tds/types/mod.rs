//! Types and values on the wire, both ways (MS-TDS 2.2.5.4 to 2.2.5.6).

mod read;
mod write;

use chrono::NaiveDate;

pub(super) use read::{Unread, read_typed};
pub(super) use write::{write_cell, write_column, write_type, write_value};

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

/// Ticks of 1/300 second, as `datetime` counts them.
const TICKS_PER_DAY: u64 = 25_920_000;

/// The day that `datetime` counts from.
fn base_1900() -> NaiveDate {
    NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or_default()
}

/// Bytes of a time of `scale` digits after the second.
fn time_length(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

/// The first three groups of a uniqueidentifier travel with their bytes turned round.
fn swap_guid(g: [u8; 16]) -> [u8; 16] {
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = g;
    let [d0, d1, e0, e1, e2, e3, e4, e5] = rest;
    [
        a3, a2, a1, a0, b1, b0, c1, c0, d0, d1, e0, e1, e2, e3, e4, e5,
    ]
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, FixedOffset, NaiveTime, TimeDelta};

    use super::{
        super::read::Reader,
        write::{Misfit, fixed_code},
        *,
    };
    use crate::sql::{
        collation::Collation,
        decimal::Decimal,
        types::{MAX, Type},
        value::Value,
    };
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
