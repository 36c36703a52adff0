//! What ODBC drivers ask the catalog: columns and types, with ODBC's own codes for types.

use super::{Given, Outcome};
use crate::sql::{
    convert,
    message::SqlResult,
    output::{Column, Output, command},
    query::eval_like,
    session::Session,
    statement::Exec,
    store::same_name,
    types::{Family, MAX, Type},
    value::Value,
};

/// ODBC's code of a type: `sql.h`, `sqlext.h` and, below -100, `msodbcsql.h`. `three`: the codes of ODBC 3.
fn code(ty: Type, three: bool) -> i64 {
    match ty {
        Type::Bit => -7,
        Type::TinyInt => -6,
        Type::SmallInt => 5,
        Type::Int | Type::Null => 4,
        Type::BigInt => -5,
        Type::Real => 7,
        Type::Float => 6,
        Type::Decimal(..) | Type::Money | Type::SmallMoney => 3,
        Type::Date => {
            if three {
                91
            } else {
                -9
            }
        }
        Type::SmallDateTime | Type::DateTime | Type::DateTime2(_) => {
            if three {
                93
            } else {
                11
            }
        }
        Type::Time(_) => -154,
        Type::DateTimeOffset(_) => -155,
        Type::Char(_) => 1,
        Type::VarChar(_) => 12,
        Type::NChar(_) => -8,
        Type::NVarChar(_) => -9,
        Type::Binary(_) => -2,
        Type::VarBinary(_) => -3,
        Type::Guid => -11,
        Type::Variant => -150,
    }
}

/// Characters or digits, bytes, scale, radix.
fn sizes(ty: Type) -> (i64, i64, Value, Value) {
    let (p, s) = ty.precision_scale();
    let (precision, scale) = (i64::from(p), Value::Int(i64::from(s)));
    match ty.family() {
        Family::Integer | Family::Bit => (
            precision,
            i64::from(ty.max_length()),
            Value::Int(0),
            if ty == Type::Bit {
                Value::Null
            } else {
                Value::Int(10)
            },
        ),
        Family::Decimal => (
            precision,
            precision.saturating_add(2),
            scale,
            Value::Int(10),
        ),
        Family::Float => (
            precision,
            i64::from(ty.max_length()),
            Value::Null,
            Value::Int(2),
        ),
        Family::DateTime => (
            precision,
            16,
            if ty == Type::SmallDateTime {
                Value::Int(0)
            } else {
                scale
            },
            Value::Null,
        ),
        Family::Date => (precision, 6, Value::Null, Value::Null),
        Family::Time => (precision, 12, scale, Value::Null),
        Family::Offset => (precision, 20, scale, Value::Null),
        Family::Guid => (36, 16, Value::Null, Value::Null),
        Family::Text | Family::Binary => {
            let n = ty.length().filter(|n| *n != MAX).map_or(0, i64::from);
            let bytes = if ty.is_unicode() {
                n.saturating_mul(2)
            } else {
                n
            };
            (n, bytes, Value::Null, Value::Null)
        }
        _ => (0, i64::from(ty.max_length()), Value::Null, Value::Null),
    }
}

/// A named or placed argument of a catalog procedure.
fn find<'a>(given: &'a [Given], at: usize, name: &str) -> Option<&'a Given> {
    given
        .iter()
        .find(|g| same_name(&g.name, name))
        .or_else(|| given.get(at).filter(|g| g.name.is_empty()))
}

impl Session {
    pub(super) fn catalog_text(
        &self,
        given: &[Given],
        at: usize,
        name: &str,
    ) -> SqlResult<Option<String>> {
        match find(given, at, name) {
            Some(Given {
                value: Some(v), ty, ..
            }) if !v.is_null() => convert::to_text(v, *ty, self.style()).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn catalog_number(
        &self,
        given: &[Given],
        at: usize,
        name: &str,
        default: i64,
    ) -> SqlResult<i64> {
        match find(given, at, name) {
            Some(Given {
                value: Some(v), ty, ..
            }) if !v.is_null() => {
                match convert::cast(v, *ty, Type::BigInt, self.style(), self.collation())? {
                    Value::Int(n) => Ok(n),
                    _ => Ok(default),
                }
            }
            _ => Ok(default),
        }
    }

    /// `sp_columns @table_name, @table_owner, @table_qualifier, @column_name, @NameScope, @ODBCVer, @fUsePattern`
    pub(super) fn sp_columns(&self, given: &[Given], out: &mut dyn Output) -> Exec<Outcome> {
        let table = self.catalog_text(given, 0, "@table_name")?;
        let owner = self.catalog_text(given, 1, "@table_owner")?;
        let wanted = self.catalog_text(given, 3, "@column_name")?;
        let three = self.catalog_number(given, 5, "@ODBCVer", 2)? >= 3;
        let pattern = self.catalog_number(given, 6, "@fUsePattern", 1)? != 0;
        let columns: &[(&str, Type)] = &[
            ("TABLE_QUALIFIER", Type::SYSNAME),
            ("TABLE_OWNER", Type::SYSNAME),
            ("TABLE_NAME", Type::SYSNAME),
            ("COLUMN_NAME", Type::SYSNAME),
            ("DATA_TYPE", Type::SmallInt),
            ("TYPE_NAME", Type::SYSNAME),
            ("PRECISION", Type::Int),
            ("LENGTH", Type::Int),
            ("SCALE", Type::SmallInt),
            ("RADIX", Type::SmallInt),
            ("NULLABLE", Type::SmallInt),
            ("REMARKS", Type::VarChar(254)),
            ("COLUMN_DEF", Type::NVarChar(4000)),
            ("SQL_DATA_TYPE", Type::SmallInt),
            ("SQL_DATETIME_SUB", Type::SmallInt),
            ("CHAR_OCTET_LENGTH", Type::Int),
            ("ORDINAL_POSITION", Type::Int),
            ("IS_NULLABLE", Type::VarChar(254)),
            ("SS_IS_SPARSE", Type::SmallInt),
            ("SS_IS_COLUMN_SET", Type::SmallInt),
            ("SS_IS_COMPUTED", Type::SmallInt),
            ("SS_IS_IDENTITY", Type::SmallInt),
            ("SS_UDT_CATALOG_NAME", Type::SYSNAME),
            ("SS_UDT_SCHEMA_NAME", Type::SYSNAME),
            ("SS_UDT_ASSEMBLY_TYPE_NAME", Type::SYSNAME),
            ("SS_XML_SCHEMACOLLECTION_CATALOG_NAME", Type::SYSNAME),
            ("SS_XML_SCHEMACOLLECTION_SCHEMA_NAME", Type::SYSNAME),
            ("SS_XML_SCHEMACOLLECTION_NAME", Type::SYSNAME),
            ("SS_DATA_TYPE", Type::TinyInt),
        ];
        let columns: Vec<Column> = columns.iter().map(|(n, t)| Column::new(*n, *t)).collect();
        out.columns(&columns)?;
        let d = self.current();
        let file = self.file(&d)?;
        let fits = |value: &str, wanted: &Option<String>| match wanted {
            None => true,
            Some(w) if pattern => eval_like(value, w, Some('\\'), file.collation),
            Some(w) => same_name(value, w),
        };
        let mut rows = 0_u64;
        for o in file.objects()? {
            if !fits(&o.name, &table) || !fits(&o.schema, &owner) {
                continue;
            }
            for (place, c) in (1_i64..).zip(crate::sql::system::columns_of(self, &o)) {
                if !fits(&c.name, &wanted) {
                    continue;
                }
                let (precision, length, scale, radix) = sizes(c.ty);
                let kind = if c.rowversion { -2 } else { code(c.ty, three) };
                let name = match (c.rowversion, c.identity) {
                    (true, _) => "timestamp".to_owned(),
                    (_, Some(_)) => format!("{} identity", c.ty.name()),
                    _ => c.ty.name().to_owned(),
                };
                let text = matches!(c.ty.family(), Family::Text | Family::Binary);
                let datetime = matches!(kind, 91 | 93);
                let default = c.default.as_ref().map(|(_, text)| format!("({text})"));
                let flag = |b: bool| Value::Int(i64::from(b));
                let mut row = vec![
                    Value::text(&d.name),
                    Value::text(&o.schema),
                    Value::text(&o.name),
                    Value::text(&c.name),
                    Value::Int(kind),
                    Value::text(name),
                    Value::Int(precision),
                    Value::Int(length),
                    scale,
                    radix,
                    flag(c.nullable),
                    Value::Null,
                    Value::opt_text(default),
                    Value::Int(if datetime { 9 } else { kind }),
                    match kind {
                        91 => Value::Int(1),
                        93 => Value::Int(3),
                        _ => Value::Null,
                    },
                    if text {
                        Value::Int(length)
                    } else {
                        Value::Null
                    },
                    Value::Int(place),
                    Value::text(if c.nullable { "YES" } else { "NO" }),
                    flag(false),
                    flag(false),
                    flag(false),
                    flag(c.identity.is_some()),
                ];
                row.extend(std::iter::repeat_n(Value::Null, 6));
                row.push(Value::Int(i64::from(c.ty.system_id())));
                out.row(&row)?;
                rows = rows.saturating_add(1);
            }
        }
        self.counted(out, command::SELECT, rows)?;
        Ok(Outcome::default())
    }

    /// `sp_datatype_info @data_type, @ODBCVer`
    pub(super) fn sp_datatype_info(&self, given: &[Given], out: &mut dyn Output) -> Exec<Outcome> {
        let wanted = self.catalog_number(given, 0, "@data_type", 0)?;
        let three = self.catalog_number(given, 1, "@ODBCVer", 2)? >= 3;
        let columns: &[(&str, Type)] = &[
            ("TYPE_NAME", Type::SYSNAME),
            ("DATA_TYPE", Type::SmallInt),
            ("PRECISION", Type::Int),
            ("LITERAL_PREFIX", Type::VarChar(32)),
            ("LITERAL_SUFFIX", Type::VarChar(32)),
            ("CREATE_PARAMS", Type::VarChar(32)),
            ("NULLABLE", Type::SmallInt),
            ("CASE_SENSITIVE", Type::SmallInt),
            ("SEARCHABLE", Type::SmallInt),
            ("UNSIGNED_ATTRIBUTE", Type::SmallInt),
            ("MONEY", Type::SmallInt),
            ("AUTO_INCREMENT", Type::SmallInt),
            ("LOCAL_TYPE_NAME", Type::SYSNAME),
            ("MINIMUM_SCALE", Type::SmallInt),
            ("MAXIMUM_SCALE", Type::SmallInt),
            ("SQL_DATA_TYPE", Type::SmallInt),
            ("SQL_DATETIME_SUB", Type::SmallInt),
            ("NUM_PREC_RADIX", Type::Int),
            ("INTERVAL_PRECISION", Type::SmallInt),
            ("USERTYPE", Type::SmallInt),
        ];
        let columns: Vec<Column> = columns.iter().map(|(n, t)| Column::new(*n, *t)).collect();
        out.columns(&columns)?;
        let mut list: Vec<(i64, Type)> = TYPES.iter().map(|t| (code(*t, three), *t)).collect();
        list.sort_by_key(|(c, _)| *c);
        let mut rows = 0_u64;
        for (kind, ty) in list {
            if wanted != 0 && wanted != kind {
                continue;
            }
            let (p, s) = ty.precision_scale();
            let family = ty.family();
            let number = matches!(family, Family::Integer | Family::Decimal | Family::Float);
            let (prefix, suffix) = match family {
                Family::Text if ty.is_unicode() => (Value::text("N'"), Value::text("'")),
                Family::Text
                | Family::Date
                | Family::Time
                | Family::DateTime
                | Family::Offset
                | Family::Guid => (Value::text("'"), Value::text("'")),
                Family::Binary => (Value::text("0x"), Value::Null),
                _ => (Value::Null, Value::Null),
            };
            let params = match ty {
                Type::Decimal(..) => Value::text("precision,scale"),
                Type::Char(_) | Type::NChar(_) | Type::Binary(_) => Value::text("length"),
                Type::VarChar(_) | Type::NVarChar(_) | Type::VarBinary(_) => {
                    Value::text("max length")
                }
                Type::Time(_) | Type::DateTime2(_) | Type::DateTimeOffset(_) => {
                    Value::text("scale")
                }
                _ => Value::Null,
            };
            let precision = match family {
                Family::Text | Family::Binary => ty.length().map_or(0, i64::from),
                Family::Guid => 36,
                Family::Variant => 8000,
                _ => i64::from(p),
            };
            let moment = matches!(family, Family::Time | Family::DateTime | Family::Offset);
            let datetime = matches!(kind, 91 | 93);
            let flag = |b: bool| Value::Int(i64::from(b));
            let when = |b: bool, n: i64| if b { Value::Int(n) } else { Value::Null };
            out.row(&[
                Value::text(ty.name()),
                Value::Int(kind),
                Value::Int(precision),
                prefix,
                suffix,
                params,
                Value::Int(1),
                flag(family == Family::Text),
                Value::Int(if family == Family::Text { 3 } else { 2 }),
                if number {
                    flag(ty == Type::TinyInt)
                } else {
                    Value::Null
                },
                flag(matches!(ty, Type::Money | Type::SmallMoney)),
                if number { flag(false) } else { Value::Null },
                Value::text(ty.name()),
                match ty {
                    Type::Decimal(..) => Value::Int(0),
                    _ => when(moment || (number && family != Family::Float), i64::from(s)),
                },
                match ty {
                    Type::Decimal(..) => Value::Int(38),
                    _ => when(moment || (number && family != Family::Float), i64::from(s)),
                },
                Value::Int(if datetime { 9 } else { kind }),
                match kind {
                    91 => Value::Int(1),
                    93 => Value::Int(3),
                    _ => Value::Null,
                },
                when(number, if family == Family::Float { 2 } else { 10 }),
                Value::Null,
                Value::Int(0),
            ])?;
            rows = rows.saturating_add(1);
        }
        self.counted(out, command::SELECT, rows)?;
        Ok(Outcome::default())
    }
}

/// Every type, as wide as it gets without `(max)`.
const TYPES: [Type; 24] = [
    Type::Bit,
    Type::TinyInt,
    Type::SmallInt,
    Type::Int,
    Type::BigInt,
    Type::Real,
    Type::Float,
    Type::Decimal(38, 0),
    Type::Money,
    Type::SmallMoney,
    Type::Date,
    Type::Time(7),
    // A driver takes the first of one code as the best one for it.
    Type::DateTime2(7),
    Type::DateTime,
    Type::SmallDateTime,
    Type::DateTimeOffset(7),
    Type::Char(8000),
    Type::VarChar(8000),
    Type::NChar(4000),
    Type::NVarChar(4000),
    Type::Binary(8000),
    Type::VarBinary(8000),
    Type::Guid,
    Type::Variant,
];
