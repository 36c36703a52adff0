//! Functions that tell of the session, its user, and the objects of a database.

use super::{Args, Function, P, open};
use crate::sql::{
    decimal::Decimal,
    message::SqlResult,
    parse,
    query::bind::Binder,
    server::Database,
    store::{Kind, Object, same_name},
    types::Type,
    value::Value,
};

fn int(_: &[Type]) -> Type {
    Type::Int
}

fn sysname(_: &[Type]) -> Type {
    Type::SYSNAME
}

fn number(n: impl Into<i64>) -> Value {
    Value::Int(n.into())
}

fn database_of(a: &Args<'_>, n: usize) -> Option<Database> {
    if a.given(n) {
        let id = i32::try_from(a.int(n)).ok()?;
        return a.s.server.state().database_by_id(id).cloned();
    }
    Some(a.s.current())
}

fn db_id(a: &Args<'_>) -> SqlResult<Value> {
    if a.values.is_empty() {
        return Ok(number(a.s.current().id));
    }
    if !a.given(0) {
        return Ok(Value::Null);
    }
    let name = a.text(0);
    Ok(a.s
        .server
        .state()
        .database(name)
        .map_or(Value::Null, |d| number(d.id)))
}

fn db_name(a: &Args<'_>) -> SqlResult<Value> {
    if !a.values.is_empty() && !a.given(0) {
        return Ok(Value::Null);
    }
    Ok(database_of(a, 0).map_or(Value::Null, |d| Value::text(d.name)))
}

/// An object of the current database by id.
pub(super) fn object(a: &Args<'_>, n: usize, database: usize) -> SqlResult<Option<Object>> {
    if !a.given(n) {
        return Ok(None);
    }
    match database_of(a, database) {
        Some(d) => a.s.file(&d)?.object_by_id(a.int(n)),
        None => Ok(None),
    }
}

fn object_id(a: &Args<'_>) -> SqlResult<Value> {
    if !a.given(0) {
        return Ok(Value::Null);
    }
    let Some(name) = parse::name(a.text(0)) else {
        return Ok(Value::Null);
    };
    // `tempdb..#t` means the session's own table.
    let name = if name.last().is_some_and(|n| n.starts_with('#')) {
        name.last().cloned().into_iter().collect()
    } else {
        name
    };
    let b = Binder::new(a.s);
    let Ok(Some((_, o))) = b.find_object(&name) else {
        return Ok(Value::Null);
    };
    if a.given(1) && !a.text(1).trim().eq_ignore_ascii_case(o.kind.code()) {
        return Ok(Value::Null);
    }
    Ok(number(o.id))
}

fn suser_id(a: &Args<'_>) -> SqlResult<Value> {
    if a.values.is_empty() {
        return Ok(number(a.s.login.id));
    }
    let name = a.text(0).to_owned();
    if !a.given(0) {
        return Ok(Value::Null);
    }
    let role = super::super::super::system::server_role_id(&name);
    Ok(a.s
        .server
        .state()
        .login(&name)
        .map(|l| number(l.id))
        .or_else(|| role.map(number))
        .unwrap_or(Value::Null))
}

fn suser_name(a: &Args<'_>) -> SqlResult<Value> {
    if a.values.is_empty() {
        return Ok(Value::text(&a.s.login.name));
    }
    let id = a.int(0);
    Ok(a.s
        .server
        .state()
        .logins
        .iter()
        .find(|l| a.given(0) && i64::from(l.id) == id)
        .map_or(Value::Null, |l| Value::text(&l.name)))
}

fn suser_sname(a: &Args<'_>) -> SqlResult<Value> {
    if a.values.is_empty() {
        return Ok(Value::text(&a.s.login.name));
    }
    let Value::Binary(sid) = a.value(0) else {
        return Ok(Value::Null);
    };
    Ok(a.s
        .server
        .state()
        .login_by_sid(sid)
        .map_or(Value::Null, |l| Value::text(&l.name)))
}

fn suser_sid(a: &Args<'_>) -> SqlResult<Value> {
    if a.values.is_empty() {
        return Ok(Value::binary(&a.s.login.sid));
    }
    let name = a.text(0).to_owned();
    Ok(a.s
        .server
        .state()
        .login(&name)
        .map_or(Value::Null, |l| Value::binary(&l.sid)))
}

fn user_name(a: &Args<'_>) -> SqlResult<Value> {
    if a.given(0) {
        let id = a.int(0);
        let file = a.s.file(&a.s.current())?;
        let found = file
            .db
            .prepare_cached("SELECT name FROM principal WHERE id = ?1")
            .and_then(|mut q| q.query_row([id], |r| r.get::<_, String>(0)))
            .ok();
        return Ok(Value::opt_text(found));
    }
    Ok(Value::text(
        a.s.user_in(&a.s.current())?
            .map_or_else(|| "guest".to_owned(), |(_, n)| n),
    ))
}

fn user_id(a: &Args<'_>) -> SqlResult<Value> {
    if !a.given(0) {
        return Ok(a
            .s
            .user_in(&a.s.current())?
            .map_or(number(2), |(id, _)| number(id)));
    }
    let file = a.s.file(&a.s.current())?;
    let found = file
        .db
        .prepare_cached("SELECT id FROM principal WHERE key = ?1")
        .and_then(|mut q| {
            q.query_row([crate::sql::store::name_key(a.text(0))], |r| {
                r.get::<_, i64>(0)
            })
        })
        .ok();
    Ok(found.map_or(Value::Null, Value::Int))
}

fn schema_id(a: &Args<'_>) -> SqlResult<Value> {
    let name = if a.given(0) {
        a.text(0).to_owned()
    } else {
        a.s.default_schema(&a.s.current())?
    };
    let found =
        a.s.schemas(&a.s.current())?
            .into_iter()
            .find(|(_, n, _)| same_name(n, &name));
    Ok(found.map_or(Value::Null, |(id, _, _)| Value::Int(id)))
}

fn schema_name(a: &Args<'_>) -> SqlResult<Value> {
    if !a.given(0) {
        return Ok(Value::text(a.s.default_schema(&a.s.current())?));
    }
    let id = a.int(0);
    let found =
        a.s.schemas(&a.s.current())?
            .into_iter()
            .find(|(i, _, _)| *i == id);
    Ok(Value::opt_text(found.map(|(_, n, _)| n)))
}

fn col_length(a: &Args<'_>) -> SqlResult<Value> {
    let Some(name) = parse::name(a.text(0)) else {
        return Ok(Value::Null);
    };
    match Binder::new(a.s).find_object(&name) {
        Ok(Some((_, o))) => match &o.kind {
            Kind::Table(t) => Ok(t
                .column(a.text(1))
                .map_or(Value::Null, |c| number(c.ty.max_length()))),
            _ => Ok(Value::Null),
        },
        _ => Ok(Value::Null),
    }
}

fn col_name(a: &Args<'_>) -> SqlResult<Value> {
    Ok(match object(a, 0, 2)?.map(|o| o.kind) {
        Some(Kind::Table(t)) => Value::opt_text(
            t.columns
                .iter()
                .find(|c| i64::from(c.id) == a.int(1))
                .map(|c| c.name.clone()),
        ),
        _ => Value::Null,
    })
}

fn ident_current(a: &Args<'_>) -> SqlResult<Value> {
    let Some(name) = parse::name(a.text(0)) else {
        return Ok(Value::Null);
    };
    let Ok(t) = Binder::new(a.s).find_table(&name) else {
        return Ok(Value::Null);
    };
    let file = a.s.file_by_id(t.database)?;
    let Some((seed, _)) = t.info.columns.iter().find_map(|c| c.identity) else {
        return Ok(Value::Null);
    };
    let last = file.counter(&crate::sql::store::identity_counter(t.object.id))?;
    Ok(Value::Decimal(Decimal::from_int(last.unwrap_or(seed))))
}

fn role_member(a: &Args<'_>) -> SqlResult<Value> {
    let role = a.text(0);
    let login = if a.given(1) {
        let name = a.text(1).to_owned();
        a.s.server.state().login(&name).cloned()
    } else {
        Some(a.s.login.clone())
    };
    let Some(login) = login else {
        return Ok(Value::Null);
    };
    if role.eq_ignore_ascii_case("public") {
        return Ok(number(1));
    }
    if super::super::super::system::server_role_id(role).is_none() {
        return Ok(Value::Null);
    }
    let yes = login.is_sysadmin() || login.roles.iter().any(|r| same_name(r, role));
    Ok(number(i64::from(yes)))
}

fn is_member(a: &Args<'_>) -> SqlResult<Value> {
    if a.text(0).eq_ignore_ascii_case("public") {
        return Ok(number(1));
    }
    Ok(number(i64::from(
        a.s.has_role(&a.s.current(), &[a.text(0)])?,
    )))
}

fn has_dbaccess(a: &Args<'_>) -> SqlResult<Value> {
    let name = a.text(0).to_owned();
    let d = a.s.server.state().database(&name).cloned();
    match d {
        Some(d) => Ok(number(i64::from(d.online && a.s.may_enter(&d)?))),
        None => Ok(Value::Null),
    }
}

fn caught<T>(
    a: &Args<'_>,
    f: impl Fn(&crate::sql::message::Message) -> T,
    to: impl Fn(T) -> Value,
) -> SqlResult<Value> {
    Ok(a.s.caught.borrow().last().map_or(Value::Null, |m| to(f(m))))
}

fn xact_state(a: &Args<'_>) -> SqlResult<Value> {
    let t = a.s.transaction.borrow();
    Ok(number(match (t.count, t.doomed) {
        (0, _) => 0,
        (_, true) => -1,
        _ => 1,
    }))
}

fn newid(_: &Args<'_>) -> SqlResult<Value> {
    Ok(Value::Guid(*uuid::Uuid::new_v4().as_bytes()))
}

pub(super) const FUNCTIONS: &[Function] = &[
    open("DB_ID", &[P::Text], 0, |_| Type::SmallInt, db_id),
    open("DB_NAME", &[P::Int], 0, sysname, db_name),
    open("ORIGINAL_DB_NAME", &[], 0, sysname, |a| {
        Ok(Value::text(&a.s.client.database))
    }),
    open("OBJECT_ID", &[P::Text, P::Text], 1, int, object_id),
    open("OBJECT_NAME", &[P::Int, P::Int], 1, sysname, |a| {
        Ok(Value::opt_text(object(a, 0, 1)?.map(|o| o.name)))
    }),
    open("OBJECT_SCHEMA_NAME", &[P::Int, P::Int], 1, sysname, |a| {
        Ok(Value::opt_text(object(a, 0, 1)?.map(|o| o.schema)))
    }),
    open(
        "OBJECT_DEFINITION",
        &[P::Int],
        1,
        |_| Type::NVarChar(crate::sql::types::MAX),
        |a| {
            Ok(match object(a, 0, 9)?.map(|o| o.kind) {
                Some(Kind::View(t) | Kind::Procedure(t)) => Value::text(t),
                _ => Value::Null,
            })
        },
    ),
    open("SUSER_ID", &[P::Text], 0, int, suser_id),
    open("SUSER_NAME", &[P::Int], 0, sysname, suser_name),
    open("SUSER_SNAME", &[P::Binary], 0, sysname, suser_sname),
    open(
        "SUSER_SID",
        &[P::Text, P::Int],
        0,
        |_| Type::VarBinary(85),
        suser_sid,
    ),
    open("SYSTEM_USER", &[], 0, sysname, |a| {
        Ok(Value::text(&a.s.login.name))
    }),
    open("ORIGINAL_LOGIN", &[], 0, sysname, |a| {
        Ok(Value::text(&a.s.login.name))
    }),
    open("USER_NAME", &[P::Int], 0, sysname, user_name),
    open("USER", &[], 0, sysname, user_name),
    open("CURRENT_USER", &[], 0, sysname, user_name),
    open("SESSION_USER", &[], 0, sysname, user_name),
    open("USER_ID", &[P::Text], 0, int, user_id),
    open("DATABASE_PRINCIPAL_ID", &[P::Text], 0, int, user_id),
    open("SCHEMA_ID", &[P::Text], 0, int, schema_id),
    open("SCHEMA_NAME", &[P::Int], 0, sysname, schema_name),
    open("HOST_NAME", &[], 0, sysname, |a| {
        Ok(Value::text(&a.s.client.host))
    }),
    open(
        "HOST_ID",
        &[],
        0,
        |_| Type::Char(10),
        |_| Ok(Value::text("0         ")),
    ),
    open("APP_NAME", &[], 0, sysname, |a| {
        Ok(Value::text(&a.s.client.program))
    }),
    open(
        "COL_LENGTH",
        &[P::Text, P::Text],
        2,
        |_| Type::SmallInt,
        col_length,
    ),
    open("COL_NAME", &[P::Int, P::Int], 2, sysname, col_name),
    open("TYPE_ID", &[P::Text], 1, int, |a| {
        Ok(Type::parse(a.text(0), &[], 1).map_or(Value::Null, |t| number(t.system_id())))
    }),
    open("TYPE_NAME", &[P::Int], 1, sysname, |a| {
        Ok(crate::sql::system::TYPES
            .iter()
            .find(|(_, id, ..)| i64::from(*id) == a.int(0))
            .map_or(Value::Null, |(n, ..)| Value::text(n)))
    }),
    open(
        "SCOPE_IDENTITY",
        &[],
        0,
        |_| Type::Decimal(38, 0),
        |a| {
            let n = a.s.frames.borrow().last().and_then(|f| f.scope_identity);
            Ok(n.map_or(Value::Null, |n| Value::Decimal(Decimal::from_int(n))))
        },
    ),
    open(
        "IDENT_CURRENT",
        &[P::Text],
        1,
        |_| Type::Decimal(38, 0),
        ident_current,
    ),
    open("NEWID", &[], 0, |_| Type::Guid, newid),
    open("NEWSEQUENTIALID", &[], 0, |_| Type::Guid, newid),
    open("IS_SRVROLEMEMBER", &[P::Text, P::Text], 1, int, role_member),
    open("IS_MEMBER", &[P::Text], 1, int, is_member),
    open("IS_ROLEMEMBER", &[P::Text], 1, int, is_member),
    open("HAS_DBACCESS", &[P::Text], 1, int, has_dbaccess),
    open("ERROR_NUMBER", &[], 0, int, |a| {
        caught(a, |m| m.number, number)
    }),
    open("ERROR_SEVERITY", &[], 0, int, |a| {
        caught(a, |m| i64::from(m.class), Value::Int)
    }),
    open("ERROR_STATE", &[], 0, int, |a| {
        caught(a, |m| i64::from(m.state), Value::Int)
    }),
    open("ERROR_LINE", &[], 0, int, |a| {
        caught(a, |m| i64::from(m.line), Value::Int)
    }),
    open(
        "ERROR_MESSAGE",
        &[],
        0,
        |_| Type::NVarChar(4000),
        |a| caught(a, |m| m.text.clone(), Value::text),
    ),
    open("ERROR_PROCEDURE", &[], 0, sysname, |a| {
        caught(
            a,
            |m| m.procedure.clone(),
            |p| {
                if p.is_empty() {
                    Value::Null
                } else {
                    Value::text(p)
                }
            },
        )
    }),
    open("XACT_STATE", &[], 0, |_| Type::SmallInt, xact_state),
    open(
        "CURRENT_TRANSACTION_ID",
        &[],
        0,
        |_| Type::BigInt,
        |a| {
            Ok(number(
                i64::try_from(a.s.transaction.borrow().id).unwrap_or(0),
            ))
        },
    ),
    open(
        "ROWCOUNT_BIG",
        &[],
        0,
        |_| Type::BigInt,
        |a| {
            Ok(number(
                i64::try_from(a.s.row_count.get()).unwrap_or(i64::MAX),
            ))
        },
    ),
    open(
        "CONTEXT_INFO",
        &[],
        0,
        |_| Type::VarBinary(128),
        |a| {
            let info = a.s.settings.borrow().context_info.clone();
            Ok(if info.is_empty() {
                Value::Null
            } else {
                Value::binary(info)
            })
        },
    ),
    open(
        "SESSION_CONTEXT",
        &[P::Text],
        1,
        |_| Type::Variant,
        |a| {
            Ok(a.s
                .context
                .borrow()
                .get(&a.text(0).to_lowercase())
                .cloned()
                .unwrap_or(Value::Null))
        },
    ),
];
