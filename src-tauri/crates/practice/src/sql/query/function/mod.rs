//! Built-in functions: which there are, what they take and give.

mod info;
mod moment;
mod number;
mod property;
mod text;

pub(crate) use property::access;

use super::{Bound, bind::Binder};
use crate::sql::{
    collation::Collation,
    convert,
    message::{self, Message, SqlResult},
    session::Session,
    types::{Family, Type},
    value::Value,
};

/// What an argument is brought to before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum P {
    /// As it is.
    Any,
    /// A text; what is none becomes nvarchar.
    Text,
    Int,
    BigInt,
    Float,
    /// A number of its own type; a text becomes a float.
    Number,
    Binary,
    /// A date or time of its own type; a text becomes datetime2, a number datetime.
    Moment,
    /// The same, but a text becomes datetime.
    Legacy,
}

type Give = fn(&[Type]) -> Type;
type Run = fn(&Args<'_>) -> SqlResult<Value>;

pub(crate) struct Function {
    name: &'static str,
    params: &'static [P],
    /// Arguments that must be there.
    least: usize,
    /// The last parameter repeats.
    more: bool,
    /// NULL in, NULL out.
    strict: bool,
    gives: Give,
    run: Run,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub(crate) type Id = &'static Function;

/// What a function's body sees.
struct Args<'a> {
    s: &'a Session,
    values: &'a [Value],
    types: Vec<Type>,
    ty: Type,
    collation: Collation,
}

impl Args<'_> {
    fn value(&self, n: usize) -> &Value {
        self.values.get(n).unwrap_or(&Value::Null)
    }

    fn text(&self, n: usize) -> &str {
        match self.values.get(n) {
            Some(Value::Text(t)) => t,
            _ => "",
        }
    }

    fn int(&self, n: usize) -> i64 {
        match self.values.get(n) {
            Some(Value::Int(i)) => *i,
            Some(Value::Bit(b)) => i64::from(*b),
            _ => 0,
        }
    }

    fn float(&self, n: usize) -> f64 {
        match self.values.get(n) {
            Some(Value::Float(f)) => *f,
            Some(Value::Decimal(d)) => d.to_f64(),
            Some(Value::Int(i)) => *i as f64,
            _ => 0.0,
        }
    }

    fn given(&self, n: usize) -> bool {
        self.values.get(n).is_some_and(|v| !v.is_null())
    }

    fn ty_of(&self, n: usize) -> Type {
        self.types.get(n).copied().unwrap_or(Type::Null)
    }
}

const fn f(
    name: &'static str,
    params: &'static [P],
    least: usize,
    gives: Give,
    run: Run,
) -> Function {
    Function {
        name,
        params,
        least,
        more: false,
        strict: true,
        gives,
        run,
    }
}

/// A function that sees its NULLs.
const fn open(
    name: &'static str,
    params: &'static [P],
    least: usize,
    gives: Give,
    run: Run,
) -> Function {
    Function {
        name,
        params,
        least,
        more: false,
        strict: false,
        gives,
        run,
    }
}

const fn many(
    name: &'static str,
    params: &'static [P],
    least: usize,
    gives: Give,
    run: Run,
) -> Function {
    Function {
        name,
        params,
        least,
        more: true,
        strict: false,
        gives,
        run,
    }
}

fn find(name: &str) -> Option<Id> {
    [
        text::FUNCTIONS,
        number::FUNCTIONS,
        moment::FUNCTIONS,
        info::FUNCTIONS,
        property::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
    .find(|f| f.name == name)
}

/// Binds a call by its upper-case name.
pub(super) fn bind(b: &Binder<'_>, name: &str, args: Vec<Bound>) -> SqlResult<Bound> {
    let Some(function) = find(name) else {
        return Err(if KNOWN.contains(&name) {
            message::not_implemented(format!("The function {name}"))
        } else {
            Message::new(
                195,
                15,
                10,
                format!(
                    "'{}' is not a recognized built-in function name.",
                    name.to_lowercase()
                ),
            )
            .ending(message::Ends::Batch)
        });
    };
    let most = function.params.len();
    if args.len() < function.least || (args.len() > most && !function.more) {
        let count = if function.least == most {
            most.to_string()
        } else {
            format!("{} to {most}", function.least)
        };
        return Err(message::argument_count(&name.to_lowercase(), &count));
    }
    let collation = args
        .iter()
        .find_map(Bound::collation)
        .unwrap_or_else(|| b.collation());
    let mut bound = Vec::with_capacity(args.len());
    for (n, a) in args.into_iter().enumerate() {
        let p = function
            .params
            .get(n)
            .or(function.params.last())
            .copied()
            .unwrap_or(P::Any);
        bound.push(bring(b, a, p)?);
    }
    let types: Vec<Type> = bound.iter().map(Bound::ty).collect();
    let ty = (function.gives)(&types);
    Ok(Bound::Call {
        function,
        args: bound,
        ty,
        collation,
    })
}

fn bring(b: &Binder<'_>, a: Bound, p: P) -> SqlResult<Bound> {
    let ty = a.ty();
    let family = ty.family();
    let force = |a: Bound, to: Type| Bound::Convert {
        expr: Box::new(a),
        from: ty,
        ty: to,
        style: None,
        quiet: false,
    };
    match p {
        P::Any => Ok(a),
        P::Text if ty.is_text() => Ok(a),
        P::Text if matches!(family, Family::Variant | Family::Null) => {
            Ok(force(a, Type::NVarChar(4000)))
        }
        P::Text if family == Family::Binary => Ok(force(a, Type::VarChar(8000))),
        P::Text => b.coerce(a, Type::NVarChar(4000)),
        P::Int if family == Family::Integer => Ok(a),
        P::Int => b.coerce(a, Type::Int),
        P::BigInt => b.coerce(a, Type::BigInt),
        P::Float => b.coerce(a, Type::Float),
        P::Number if ty.is_numeric() => Ok(if ty == Type::Bit {
            force(a, Type::Int)
        } else {
            a
        }),
        P::Number => b.coerce(a, Type::Float),
        P::Binary if family == Family::Binary => Ok(a),
        P::Binary => Ok(force(a, Type::VarBinary(crate::sql::types::MAX))),
        P::Moment | P::Legacy => match family {
            Family::Date | Family::Time | Family::DateTime | Family::Offset => Ok(a),
            Family::Text | Family::Null if p == P::Moment => b.coerce(a, Type::DateTime2(7)),
            _ => b.coerce(a, Type::DateTime),
        },
    }
}

/// Calls a bound function.
pub(super) fn call(
    s: &Session,
    function: Id,
    values: &[Value],
    args: &[Bound],
    ty: Type,
    collation: Collation,
) -> SqlResult<Value> {
    if function.strict && values.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let a = Args {
        s,
        values,
        types: args.iter().map(Bound::ty).collect(),
        ty,
        collation,
    };
    let out = (function.run)(&a)?;
    // A text result keeps to the type that was announced for it.
    match (&out, ty) {
        (Value::Text(_), t) if t.is_text() => convert::cast(
            &out,
            Type::NVarChar(crate::sql::types::MAX),
            t,
            convert::Style::default(),
            collation,
        ),
        _ => Ok(out),
    }
}

/// Functions that SQL Server has and the practice host has not.
const KNOWN: &[&str] = &[
    "APPLOCK_MODE",
    "APPROX_PERCENTILE_CONT",
    "APPROX_PERCENTILE_DISC",
    "ASSEMBLYPROPERTY",
    "BIT_COUNT",
    "CURRENT_REQUEST_ID",
    "DATABASE_PRINCIPAL_ID",
    "DATETRUNC",
    "DATE_BUCKET",
    "EVENTDATA",
    "FILEGROUPPROPERTY",
    "FILEGROUP_NAME",
    "FILEPROPERTY",
    "FILE_ID",
    "FILE_IDEX",
    "FILE_NAME",
    "FULLTEXTCATALOGPROPERTY",
    "FULLTEXTSERVICEPROPERTY",
    "GET_BIT",
    "GROUPING_ID",
    "HAS_PERMS_BY_NAME",
    "INDEXKEY_PROPERTY",
    "INDEXPROPERTY",
    "IS_OBJECTSIGNED",
    "JSON_PATH_EXISTS",
    "KEY_ID",
    "KEY_NAME",
    "LEFT_SHIFT",
    "MIN_ACTIVE_ROWVERSION",
    "OBJECTPROPERTYEX",
    "OBJECT_DEFINITION",
    "ORIGINAL_DB_NAME",
    "PERMISSIONS",
    "RIGHT_SHIFT",
    "SET_BIT",
    "STRING_ESCAPE",
    "ASYMKEY_ID",
    "BINARY_CHECKSUM",
    "CERTENCODED",
    "CHECKSUM",
    "COLUMNS_UPDATED",
    "COMPRESS",
    "CURSOR_STATUS",
    "DECOMPRESS",
    "DECRYPTBYKEY",
    "DIFFERENCE",
    "ENCRYPTBYKEY",
    "FILEGROUP_ID",
    "FORMAT",
    "FORMATMESSAGE",
    "GETANSINULL",
    "GREATEST",
    "INDEX_COL",
    "ISJSON",
    "JSON_ARRAY",
    "JSON_MODIFY",
    "JSON_OBJECT",
    "JSON_QUERY",
    "JSON_VALUE",
    "LEAST",
    "PARSE",
    "PERCENTILE_CONT",
    "PERCENTILE_DISC",
    "PERCENT_RANK",
    "CUME_DIST",
    "PUBLISHINGSERVERNAME",
    "PWDCOMPARE",
    "PWDENCRYPT",
    "SIGNBYCERT",
    "SOUNDEX",
    "STATS_DATE",
    "SWITCHOFFSET",
    "TEXTPTR",
    "TODATETIMEOFFSET",
    "TRANSLATE",
    "TRIGGER_NESTLEVEL",
    "TRY_PARSE",
    "TYPEPROPERTY",
    "VECTOR_DISTANCE",
];

/// `@@x`
pub(super) fn global(name: &str) -> SqlResult<Bound> {
    let upper = name.to_ascii_uppercase();
    GLOBALS
        .iter()
        .find(|(n, _)| *n == upper)
        .map(|(n, ty)| Bound::Global(n, *ty))
        .ok_or_else(|| message::undeclared(&format!("@@{name}")))
}

const GLOBALS: &[(&str, Type)] = &[
    ("VERSION", Type::NVarChar(300)),
    ("SERVERNAME", Type::NVarChar(128)),
    ("SERVICENAME", Type::NVarChar(128)),
    ("SPID", Type::SmallInt),
    ("ROWCOUNT", Type::Int),
    ("ERROR", Type::Int),
    ("IDENTITY", Type::Decimal(38, 0)),
    ("TRANCOUNT", Type::Int),
    ("NESTLEVEL", Type::Int),
    ("PROCID", Type::Int),
    ("LANGUAGE", Type::NVarChar(128)),
    ("LANGID", Type::SmallInt),
    ("DATEFIRST", Type::TinyInt),
    ("LOCK_TIMEOUT", Type::Int),
    ("TEXTSIZE", Type::Int),
    ("OPTIONS", Type::Int),
    ("MAX_PRECISION", Type::TinyInt),
    ("MAX_CONNECTIONS", Type::Int),
    ("MICROSOFTVERSION", Type::Int),
    ("DBTS", Type::VarBinary(8)),
    ("CONNECTIONS", Type::Int),
    ("FETCH_STATUS", Type::Int),
    ("CURSOR_ROWS", Type::Int),
    ("REMSERVER", Type::NVarChar(128)),
    ("CPU_BUSY", Type::Int),
    ("TIMETICKS", Type::Int),
    ("TOTAL_READ", Type::Int),
];

impl Session {
    pub(super) fn global(&self, name: &str) -> SqlResult<Value> {
        let int = |n: i64| Ok(Value::Int(n));
        let settings = self.settings.borrow();
        match name {
            "VERSION" => Ok(Value::text(self.server.version_text())),
            "SERVERNAME" => Ok(Value::text(&self.server.options.server_name)),
            "SERVICENAME" => Ok(Value::text("MSSQLSERVER")),
            "SPID" => int(i64::from(self.spid)),
            "ROWCOUNT" => int(i64::try_from(self.row_count.get()).unwrap_or(i64::MAX)),
            "ERROR" => int(i64::from(self.last_error.get())),
            "IDENTITY" => Ok(self.identity.get().map_or(Value::Null, |n| {
                Value::Decimal(crate::sql::decimal::Decimal::from_int(n))
            })),
            "TRANCOUNT" => int(i64::from(self.transaction.borrow().count)),
            "NESTLEVEL" => int(i64::try_from(self.depth()).unwrap_or(0).saturating_sub(1)),
            "LANGUAGE" => Ok(Value::text(&settings.language)),
            "DATEFIRST" => int(i64::from(settings.datefirst)),
            "LOCK_TIMEOUT" => int(settings.lock_timeout),
            "TEXTSIZE" => int(settings.textsize),
            "OPTIONS" => {
                let bits = [
                    (settings.implicit, 2),
                    (settings.ansi_warnings, 8),
                    (settings.ansi_padding, 16),
                    (settings.ansi_nulls, 32),
                    (settings.arithabort, 64),
                    (settings.quoted_identifier, 256),
                    (settings.nocount, 512),
                    (true, 1024),
                    (settings.concat_null, 4096),
                    (settings.numeric_roundabort, 8192),
                    (settings.xact_abort, 16384),
                ];
                int(bits.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum())
            }
            "MAX_PRECISION" => int(38),
            "MAX_CONNECTIONS" => int(32767),
            "MICROSOFTVERSION" => int(i64::from(self.server.product().major) << 24),
            "DBTS" => {
                let n = self
                    .file(&self.current())?
                    .counter("rowversion")?
                    .unwrap_or(0);
                Ok(Value::binary(n.to_be_bytes()))
            }
            "FETCH_STATUS" => int(-1),
            "REMSERVER" => Ok(Value::Null),
            _ => int(0),
        }
    }
}
