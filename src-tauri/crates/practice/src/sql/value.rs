//! Values, and how they compare.

use std::{cmp::Ordering, rc::Rc};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};

use super::{collation::Collation, decimal::Decimal, types::Type};

/// A value at run time. Its exact type is known beside it, from the expression or the column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bit(bool),
    Int(i64),
    Float(f64),
    Decimal(Decimal),
    Text(Rc<str>),
    Binary(Rc<[u8]>),
    Date(NaiveDate),
    Time(NaiveTime),
    DateTime(NaiveDateTime),
    Offset(DateTime<FixedOffset>),
    /// In the order of the printed text: `00112233-4455-…` is `[0x00, 0x11, 0x22, …]`.
    Guid([u8; 16]),
}

pub(crate) type Row = Vec<Value>;

impl Value {
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Rc::from(text.as_ref()))
    }

    pub(crate) fn binary(bytes: impl AsRef<[u8]>) -> Self {
        Self::Binary(Rc::from(bytes.as_ref()))
    }

    pub(crate) fn opt_text(text: Option<impl AsRef<str>>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The type that a value has by itself, as inside a `sql_variant`.
    pub(crate) fn own_type(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bit(_) => Type::Bit,
            Self::Int(n) => {
                if i32::try_from(*n).is_ok() {
                    Type::Int
                } else {
                    Type::BigInt
                }
            }
            Self::Float(_) => Type::Float,
            Self::Decimal(d) => Type::Decimal(38, d.scale),
            Self::Text(t) => Type::NVarChar(
                u16::try_from(t.encode_utf16().count())
                    .unwrap_or(4000)
                    .clamp(1, 4000),
            ),
            Self::Binary(b) => {
                Type::VarBinary(u16::try_from(b.len()).unwrap_or(8000).clamp(1, 8000))
            }
            Self::Date(_) => Type::Date,
            Self::Time(_) => Type::Time(7),
            Self::DateTime(_) => Type::DateTime2(7),
            Self::Offset(_) => Type::DateTimeOffset(7),
            Self::Guid(_) => Type::Guid,
        }
    }

    /// An estimate of the bytes held, for limits.
    pub(crate) fn weight(&self) -> usize {
        let own = size_of::<Self>();
        match self {
            Self::Text(t) => own.saturating_add(t.len()),
            Self::Binary(b) => own.saturating_add(b.len()),
            _ => own,
        }
    }

    /// Compares two values of one type. NULL stands before everything, as in `ORDER BY`.
    pub(crate) fn order(&self, other: &Self, collation: Collation) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Bit(a), Self::Bit(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => collation.compare(a, b),
            (Self::Binary(a), Self::Binary(b)) => trim_zeros(a).cmp(trim_zeros(b)),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::DateTime(a), Self::DateTime(b)) => a.cmp(b),
            (Self::Offset(a), Self::Offset(b)) => a.cmp(b),
            (Self::Guid(a), Self::Guid(b)) => guid_key(a).cmp(&guid_key(b)),
            // Values inside sql_variant: by family, numbers among themselves.
            (a, b) => match (a.number(), b.number()) {
                (Some(x), Some(y)) => x.partial_cmp(&y).unwrap_or(Ordering::Equal),
                _ => a.family_rank().cmp(&b.family_rank()),
            },
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Bit(b) => Some(f64::from(u8::from(*b))),
            Self::Int(n) => Some(*n as f64),
            Self::Float(f) => Some(*f),
            Self::Decimal(d) => Some(d.to_f64()),
            _ => None,
        }
    }

    fn family_rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Guid(_) => 1,
            Self::Binary(_) => 2,
            Self::Text(_) => 3,
            Self::Bit(_) | Self::Int(_) | Self::Decimal(_) | Self::Float(_) => 4,
            Self::Date(_) | Self::Time(_) | Self::DateTime(_) | Self::Offset(_) => 5,
        }
    }

    /// A key under which equal values of one type meet, for grouping and hashing.
    pub(crate) fn key(&self, collation: Collation) -> Key {
        match self {
            Self::Null => Key::Null,
            Self::Bit(b) => Key::Int(i64::from(*b)),
            Self::Int(n) => Key::Int(*n),
            Self::Float(f) => Key::Text(format!("{f:e}")),
            Self::Decimal(d) => {
                let text = d.to_string();
                let text = if text.contains('.') {
                    text.trim_end_matches('0').trim_end_matches('.')
                } else {
                    &text
                };
                Key::Text(if text == "-0" {
                    "0".into()
                } else {
                    text.to_owned()
                })
            }
            Self::Text(t) => Key::Text(collation.key(t)),
            Self::Binary(b) => Key::Bytes(trim_zeros(b).to_vec()),
            Self::Date(d) => Key::Text(d.to_string()),
            Self::Time(t) => Key::Text(t.to_string()),
            Self::DateTime(t) => Key::Text(t.to_string()),
            Self::Offset(t) => Key::Text(t.to_utc().to_string()),
            Self::Guid(g) => Key::Bytes(g.to_vec()),
        }
    }
}

/// See [`Value::key`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// `0x0100 = 0x01`: binary values compare as if padded with zeros.
fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |at| at.saturating_add(1));
    bytes.get(..end).unwrap_or(bytes)
}

/// SQL Server orders a uniqueidentifier by its last six bytes first.
fn guid_key(g: &[u8; 16]) -> [u8; 16] {
    let [
        a0,
        a1,
        a2,
        a3,
        b0,
        b1,
        c0,
        c1,
        d0,
        d1,
        e0,
        e1,
        e2,
        e3,
        e4,
        e5,
    ] = *g;
    [
        e0, e1, e2, e3, e4, e5, d0, d1, c1, c0, b1, b0, a3, a2, a1, a0,
    ]
}

/// The printed form, upper case as SQL Server prints it.
pub(crate) fn guid_text(g: &[u8; 16]) -> String {
    uuid::Uuid::from_bytes(*g)
        .hyphenated()
        .to_string()
        .to_ascii_uppercase()
}
