//! The data types: names, sizes, precedence.

use serde::{Deserialize, Serialize};

/// The declared length that means `(max)`.
pub(crate) const MAX: u16 = u16::MAX;

/// A SQL Server data type with its length, precision and scale.
///
/// Lengths are in bytes for `char`, `varchar`, `binary`, `varbinary` (1 to 8000 or [`MAX`]) and in
/// UTF-16 units for `nchar`, `nvarchar` (1 to 4000 or [`MAX`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Type {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    /// Precision 1 to 38, scale 0 to the precision.
    Decimal(u8, u8),
    Money,
    SmallMoney,
    Date,
    Time(u8),
    SmallDateTime,
    DateTime,
    DateTime2(u8),
    DateTimeOffset(u8),
    Char(u16),
    VarChar(u16),
    NChar(u16),
    NVarChar(u16),
    Binary(u16),
    VarBinary(u16),
    Guid,
    Variant,
    /// The type of a bare `NULL`; on the wire it is an `int`.
    Null,
}

/// Families that convert and compare alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Bit,
    Integer,
    Decimal,
    Float,
    Text,
    Binary,
    Date,
    Time,
    DateTime,
    Offset,
    Guid,
    Variant,
    Null,
}

impl Type {
    pub(crate) const SYSNAME: Self = Self::NVarChar(128);

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Bit => Family::Bit,
            Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt => Family::Integer,
            Self::Real | Self::Float => Family::Float,
            Self::Decimal(..) | Self::Money | Self::SmallMoney => Family::Decimal,
            Self::Date => Family::Date,
            Self::Time(_) => Family::Time,
            Self::SmallDateTime | Self::DateTime | Self::DateTime2(_) => Family::DateTime,
            Self::DateTimeOffset(_) => Family::Offset,
            Self::Char(_) | Self::VarChar(_) | Self::NChar(_) | Self::NVarChar(_) => Family::Text,
            Self::Binary(_) | Self::VarBinary(_) => Family::Binary,
            Self::Guid => Family::Guid,
            Self::Variant => Family::Variant,
            Self::Null => Family::Null,
        }
    }

    pub(crate) fn is_text(self) -> bool {
        self.family() == Family::Text
    }

    pub(crate) fn is_unicode(self) -> bool {
        matches!(self, Self::NChar(_) | Self::NVarChar(_))
    }

    pub(crate) fn is_numeric(self) -> bool {
        matches!(
            self.family(),
            Family::Bit | Family::Integer | Family::Decimal | Family::Float
        )
    }

    /// Place in SQL Server's order of precedence: the higher one wins in an expression.
    fn rank(self) -> u8 {
        match self {
            Self::Variant => 30,
            Self::DateTimeOffset(_) => 27,
            Self::DateTime2(_) => 26,
            Self::DateTime => 25,
            Self::SmallDateTime => 24,
            Self::Date => 23,
            Self::Time(_) => 22,
            Self::Float => 21,
            Self::Real => 20,
            Self::Decimal(..) => 19,
            Self::Money => 18,
            Self::SmallMoney => 17,
            Self::BigInt => 16,
            Self::Int => 15,
            Self::SmallInt => 14,
            Self::TinyInt => 13,
            Self::Bit => 12,
            Self::Guid => 11,
            Self::NVarChar(_) => 10,
            Self::NChar(_) => 9,
            Self::VarChar(_) => 8,
            Self::Char(_) => 7,
            Self::VarBinary(_) => 6,
            Self::Binary(_) => 5,
            Self::Null => 0,
        }
    }

    /// The decimal that holds every value of an exact number type.
    pub(crate) fn as_decimal(self) -> Option<(u8, u8)> {
        Some(match self {
            Self::Bit => (1, 0),
            Self::TinyInt => (3, 0),
            Self::SmallInt => (5, 0),
            Self::Int => (10, 0),
            Self::BigInt => (19, 0),
            Self::Money => (19, 4),
            Self::SmallMoney => (10, 4),
            Self::Decimal(p, s) => (p, s),
            _ => return None,
        })
    }

    /// The length of a text or binary type, [`MAX`] for `(max)`.
    pub(crate) fn length(self) -> Option<u16> {
        match self {
            Self::Char(n)
            | Self::VarChar(n)
            | Self::NChar(n)
            | Self::NVarChar(n)
            | Self::Binary(n)
            | Self::VarBinary(n) => Some(n),
            _ => None,
        }
    }

    /// The type that two operands meet in, as in `CASE`, `UNION`, a comparison.
    pub(crate) fn common(self, other: Self) -> Self {
        if self == other || other == Self::Null {
            return self;
        }
        if self == Self::Null {
            return other;
        }
        let (high, low) = if self.rank() >= other.rank() {
            (self, other)
        } else {
            (other, self)
        };
        match high {
            Self::NVarChar(_) | Self::NChar(_) | Self::VarChar(_) | Self::Char(_)
                if low.family() != Family::Binary =>
            {
                let (Some(a), Some(b)) = (high.length(), low.length()) else {
                    return high;
                };
                let unicode = high.is_unicode() || low.is_unicode();
                let fixed = matches!(high, Self::NChar(_) | Self::Char(_))
                    && matches!(low, Self::NChar(_) | Self::Char(_));
                let n = widest(a, b, if unicode { 4000 } else { 8000 });
                match (unicode, fixed && n != MAX) {
                    (true, true) => Self::NChar(n),
                    (true, false) => Self::NVarChar(n),
                    (false, true) => Self::Char(n),
                    (false, false) => Self::VarChar(n),
                }
            }
            Self::VarBinary(a) => Self::VarBinary(widest(a, low.length().unwrap_or(1), 8000)),
            Self::Binary(a) => Self::Binary(widest(a, low.length().unwrap_or(1), 8000)),
            Self::Decimal(p1, s1) => match low.as_decimal() {
                Some((p2, s2)) => {
                    let s = s1.max(s2);
                    fit_decimal(
                        p1.saturating_sub(s1)
                            .max(p2.saturating_sub(s2))
                            .saturating_add(s),
                        s,
                    )
                }
                None => high,
            },
            Self::DateTime2(a) => match low {
                Self::DateTime2(b) | Self::Time(b) => Self::DateTime2(a.max(b)),
                Self::DateTime => Self::DateTime2(a.max(3)),
                _ => high,
            },
            Self::DateTimeOffset(a) => match low {
                Self::DateTimeOffset(b) | Self::DateTime2(b) | Self::Time(b) => {
                    Self::DateTimeOffset(a.max(b))
                }
                Self::DateTime => Self::DateTimeOffset(a.max(3)),
                _ => high,
            },
            Self::Time(a) => match low {
                Self::Time(b) => Self::Time(a.max(b)),
                _ => high,
            },
            _ => high,
        }
    }

    /// The bare name, as error texts and the catalog views write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bit => "bit",
            Self::TinyInt => "tinyint",
            Self::SmallInt => "smallint",
            Self::Int | Self::Null => "int",
            Self::BigInt => "bigint",
            Self::Real => "real",
            Self::Float => "float",
            Self::Decimal(..) => "decimal",
            Self::Money => "money",
            Self::SmallMoney => "smallmoney",
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::SmallDateTime => "smalldatetime",
            Self::DateTime => "datetime",
            Self::DateTime2(_) => "datetime2",
            Self::DateTimeOffset(_) => "datetimeoffset",
            Self::Char(_) => "char",
            Self::VarChar(_) => "varchar",
            Self::NChar(_) => "nchar",
            Self::NVarChar(_) => "nvarchar",
            Self::Binary(_) => "binary",
            Self::VarBinary(_) => "varbinary",
            Self::Guid => "uniqueidentifier",
            Self::Variant => "sql_variant",
        }
    }

    /// The name with its length or precision, as `sp_describe_first_result_set` writes it.
    pub(crate) fn full_name(self) -> String {
        match self {
            Self::Decimal(p, s) => format!("decimal({p},{s})"),
            Self::Time(s) | Self::DateTime2(s) | Self::DateTimeOffset(s) => {
                format!("{}({s})", self.name())
            }
            _ => match self.length() {
                Some(MAX) => format!("{}(max)", self.name()),
                Some(n) => format!("{}({n})", self.name()),
                None => self.name().to_owned(),
            },
        }
    }

    /// `sys.types.system_type_id`.
    pub(crate) fn system_id(self) -> u8 {
        match self {
            Self::Guid => 36,
            Self::Date => 40,
            Self::Time(_) => 41,
            Self::DateTime2(_) => 42,
            Self::DateTimeOffset(_) => 43,
            Self::TinyInt => 48,
            Self::SmallInt => 52,
            Self::Int | Self::Null => 56,
            Self::SmallDateTime => 58,
            Self::Real => 59,
            Self::Money => 60,
            Self::DateTime => 61,
            Self::Float => 62,
            Self::Variant => 98,
            Self::Bit => 104,
            Self::Decimal(..) => 106,
            Self::SmallMoney => 122,
            Self::BigInt => 127,
            Self::VarBinary(_) => 165,
            Self::VarChar(_) => 167,
            Self::Binary(_) => 173,
            Self::Char(_) => 175,
            Self::NVarChar(_) => 231,
            Self::NChar(_) => 239,
        }
    }

    /// `sys.columns.max_length`: bytes, -1 for `(max)`.
    pub(crate) fn max_length(self) -> i16 {
        match self {
            Self::Bit | Self::TinyInt => 1,
            Self::SmallInt => 2,
            Self::Int | Self::Real | Self::SmallMoney | Self::SmallDateTime | Self::Null => 4,
            Self::BigInt | Self::Float | Self::Money | Self::DateTime => 8,
            Self::Decimal(p, _) => match p {
                0..=9 => 5,
                10..=19 => 9,
                20..=28 => 13,
                _ => 17,
            },
            Self::Date => 3,
            Self::Time(s) => match s {
                0..=2 => 3,
                3..=4 => 4,
                _ => 5,
            },
            Self::DateTime2(s) => match s {
                0..=2 => 6,
                3..=4 => 7,
                _ => 8,
            },
            Self::DateTimeOffset(s) => match s {
                0..=2 => 8,
                3..=4 => 9,
                _ => 10,
            },
            Self::Guid => 16,
            Self::Variant => 8016,
            Self::Char(MAX)
            | Self::VarChar(MAX)
            | Self::NChar(MAX)
            | Self::NVarChar(MAX)
            | Self::Binary(MAX)
            | Self::VarBinary(MAX) => -1,
            Self::NChar(n) | Self::NVarChar(n) => i16::try_from(n.saturating_mul(2)).unwrap_or(-1),
            Self::Char(n) | Self::VarChar(n) | Self::Binary(n) | Self::VarBinary(n) => {
                i16::try_from(n).unwrap_or(-1)
            }
        }
    }

    /// `sys.columns.precision` and `scale`.
    pub(crate) fn precision_scale(self) -> (u8, u8) {
        match self {
            Self::Bit => (1, 0),
            Self::Real => (24, 0),
            Self::Float => (53, 0),
            Self::Date => (10, 0),
            Self::Time(s) => (if s == 0 { 8 } else { 9_u8.saturating_add(s) }, s),
            Self::SmallDateTime => (16, 0),
            Self::DateTime => (23, 3),
            Self::DateTime2(s) => (if s == 0 { 19 } else { 20_u8.saturating_add(s) }, s),
            Self::DateTimeOffset(s) => (if s == 0 { 26 } else { 27_u8.saturating_add(s) }, s),
            _ => self.as_decimal().unwrap_or((0, 0)),
        }
    }

    /// A type by its name and the numbers behind it. `None`: no such type.
    ///
    /// `default_length` is 1 in a declaration and 30 in `CAST`.
    pub(crate) fn parse(name: &str, args: &[Option<u32>], default_length: u16) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let first = args.first().copied();
        let length = |limit: u16| -> Option<u16> {
            match first {
                None => Some(default_length),
                Some(None) => Some(MAX),
                Some(Some(n)) => u16::try_from(n).ok().filter(|n| (1..=limit).contains(n)),
            }
        };
        let fixed_length = |limit: u16| length(limit).filter(|n| *n != MAX);
        let scale = || -> Option<u8> {
            match first {
                None => Some(7),
                Some(Some(n)) => u8::try_from(n).ok().filter(|n| *n <= 7),
                Some(None) => None,
            }
        };
        Some(match lower.as_str() {
            "bit" => Self::Bit,
            "tinyint" => Self::TinyInt,
            "smallint" => Self::SmallInt,
            "int" | "integer" => Self::Int,
            "bigint" => Self::BigInt,
            "real" => Self::Real,
            "float" | "double precision" => match first {
                Some(Some(n)) if (1..=24).contains(&n) => Self::Real,
                None | Some(Some(25..=53)) => Self::Float,
                _ => return None,
            },
            "decimal" | "numeric" | "dec" => {
                let p = match first {
                    None => 18,
                    Some(Some(n)) => u8::try_from(n).ok().filter(|p| (1..=38).contains(p))?,
                    Some(None) => return None,
                };
                let s = match args.get(1).copied() {
                    None => 0,
                    Some(Some(n)) => u8::try_from(n).ok().filter(|s| *s <= p)?,
                    Some(None) => return None,
                };
                Self::Decimal(p, s)
            }
            "money" => Self::Money,
            "smallmoney" => Self::SmallMoney,
            "date" => Self::Date,
            "time" => Self::Time(scale()?),
            "smalldatetime" => Self::SmallDateTime,
            "datetime" => Self::DateTime,
            "datetime2" => Self::DateTime2(scale()?),
            "datetimeoffset" => Self::DateTimeOffset(scale()?),
            "char" | "character" => Self::Char(fixed_length(8000)?),
            "varchar" | "char varying" | "character varying" => Self::VarChar(length(8000)?),
            "nchar" | "national char" | "national character" => Self::NChar(fixed_length(4000)?),
            "nvarchar" | "national char varying" | "national character varying" => {
                Self::NVarChar(length(4000)?)
            }
            "binary" => Self::Binary(fixed_length(8000)?),
            "varbinary" | "binary varying" => Self::VarBinary(length(8000)?),
            "text" => Self::VarChar(MAX),
            "ntext" => Self::NVarChar(MAX),
            "image" => Self::VarBinary(MAX),
            "rowversion" | "timestamp" => Self::Binary(8),
            "sysname" => Self::SYSNAME,
            "uniqueidentifier" => Self::Guid,
            "sql_variant" => Self::Variant,
            _ => return None,
        })
    }
}

fn widest(a: u16, b: u16, limit: u16) -> u16 {
    if a == MAX || b == MAX {
        MAX
    } else {
        a.max(b).min(limit)
    }
}

/// SQL Server's rule for a decimal result that may be wider than 38 digits.
pub(crate) fn fit_decimal(precision: u8, scale: u8) -> Type {
    if precision <= 38 {
        return Type::Decimal(precision.max(1), scale);
    }
    let whole = precision.saturating_sub(scale);
    let kept = 38_u8.saturating_sub(whole.min(38));
    Type::Decimal(38, scale.min(kept.max(scale.min(6))))
}

/// The type of `a + b` on two texts or two binaries.
pub(crate) fn concat(a: Type, b: Type) -> Type {
    let unicode = a.is_unicode() || b.is_unicode();
    let limit = if unicode { 4000 } else { 8000 };
    let n = match (a.length(), b.length()) {
        (Some(MAX), _) | (_, Some(MAX)) => MAX,
        (x, y) => x
            .unwrap_or(0)
            .saturating_add(y.unwrap_or(0))
            .clamp(1, limit),
    };
    if a.family() == Family::Binary && b.family() == Family::Binary {
        Type::VarBinary(n)
    } else if unicode {
        Type::NVarChar(n)
    } else {
        Type::VarChar(n)
    }
}
