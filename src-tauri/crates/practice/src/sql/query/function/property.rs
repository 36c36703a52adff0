//! `SERVERPROPERTY` and its like.

use super::{Args, Function, P, info, open};
use crate::sql::{
    message::SqlResult, server::edition_name, store::Kind, types::Type, value::Value,
};

fn variant(_: &[Type]) -> Type {
    Type::Variant
}

fn int(_: &[Type]) -> Type {
    Type::Int
}

fn n(v: i64) -> Value {
    Value::Int(v)
}

fn yes(b: bool) -> Value {
    Value::Int(i64::from(b))
}

/// SQL Server 2025 splits Developer into two editions, and gives its names to them.
pub(crate) fn edition(name: &str, version: u16) -> String {
    let shown = match name {
        "Standarddeveloper" | "StandardDeveloper" => "Standard Developer",
        "Enterprisedeveloper" | "EnterpriseDeveloper" => "Enterprise Developer",
        "Developer" if version >= 2025 => "Enterprise Developer",
        other => other,
    };
    format!("{shown} Edition (64-bit)")
}

fn server_property(a: &Args<'_>) -> SqlResult<Value> {
    let s = &a.s.server;
    let o = &s.options;
    let p = s.product();
    let name = edition_name(&o.edition);
    let engine = match name.as_str() {
        "Express" => 4,
        "Standard" | "Web" | "StandardDeveloper" | "Standarddeveloper" => 2,
        _ => 3,
    };
    let folders = s.disk.folders();
    let separator = s.disk.separator();
    let path = |folder: &str, file: &str| Value::text(format!("{folder}{separator}{file}"));
    Ok(match a.text(0).to_ascii_lowercase().as_str() {
        "productversion" => Value::text(p.build),
        "productmajorversion" => Value::text(p.major.to_string()),
        "productminorversion" => Value::text("0"),
        "productbuild" => Value::opt_text(p.build.split('.').nth(2)),
        "productlevel" => Value::text("RTM"),
        "productbuildtype" | "productupdatelevel" | "productupdatereference" => Value::Null,
        "edition" => Value::text(edition(&name, o.version)),
        "editionid" => n(match engine {
            4 => -1_592_396_055,
            2 => -1_534_726_760,
            _ => -2_117_995_310,
        }),
        "engineedition" => n(engine),
        "collation" => Value::text(&o.collation),
        "collationid" => n(872_468_488),
        "lcid" => n(1033),
        "sqlcharset" => n(1),
        "sqlcharsetname" => Value::text("iso_1"),
        "sqlsortorder" => n(52),
        "sqlsortordername" => Value::text("nocase_iso"),
        "comparisonstyle" => n(196_609),
        "servername" | "machinename" | "computernamephysicalnetbios" => Value::text(&o.server_name),
        "instancename" | "filestreamsharename" | "resourcelastupdatedatetime" => Value::Null,
        "instancedefaultdatapath" | "instancedefaultlogpath" => path(&folders.data, ""),
        // SQL Server answers this one without a separator at the end, from 2019 on.
        "instancedefaultbackuppath" if o.version >= 2019 => Value::text(folders.backup),
        "errorlogfilename" => path(&folders.system, "errorlog"),
        "isclustered"
        | "issingleuser"
        | "ishadrenabled"
        | "isfulltextinstalled"
        | "isadvancedanalyticsinstalled"
        | "ispolybaseinstalled"
        | "isxtpsupported"
        | "istempdbmetadatamemoryoptimized"
        | "isintegratedsecurityonly"
        | "islocaldb"
        | "filestreamconfiguredlevel"
        | "filestreameffectivelevel"
        | "isexternalauthenticationonly"
        | "isexternalgovernanceenabled"
        | "isserversuspendedforsnapshotbackup"
        | "suspendeddatabasecount" => n(0),
        "processid" => n(i64::from(std::process::id())),
        "buildclrversion" => Value::text("v4.0.30319"),
        "licensetype" => Value::text("DISABLED"),
        "pathseparator" => Value::text(separator.to_string()),
        _ => Value::Null,
    })
}

fn database_property(a: &Args<'_>) -> SqlResult<Value> {
    let name = a.text(0).to_owned();
    let Some(d) = a.s.server.state().database(&name).cloned() else {
        return Ok(Value::Null);
    };
    Ok(match a.text(1).to_ascii_lowercase().as_str() {
        "status" if a.s.server.recovers(d.id) => Value::text("RECOVERING"),
        "status" => Value::text(if d.online { "ONLINE" } else { "OFFLINE" }),
        "collation" => Value::text(d.collation),
        "recovery" => Value::text(d.recovery),
        "updateability" => Value::text(if d.read_only {
            "READ_ONLY"
        } else {
            "READ_WRITE"
        }),
        "useraccess" => Value::text(access(d.access)),
        "version" => n(i64::from(crate::sql::server::database_version(
            a.s.server.options.version,
        ))),
        "sqlsortorder" => n(52),
        "lcid" => n(1033),
        "comparisonstyle" => n(196_609),
        "isfulltextenabled" | "isautoclose" | "isautoshrink" | "isinstandby"
        | "isansinulldefault" | "ispublished" | "issubscribed" | "ismergepublished"
        | "isxtpsupported" | "isclone" => n(0),
        "isautocreatestatistics" | "isautoupdatestatistics" => n(1),
        _ => Value::Null,
    })
}

pub(crate) fn access(code: i32) -> &'static str {
    match code {
        1 => "SINGLE_USER",
        2 => "RESTRICTED_USER",
        _ => "MULTI_USER",
    }
}

fn session_property(a: &Args<'_>) -> SqlResult<Value> {
    let s = a.s.settings.borrow();
    Ok(match a.text(0).to_ascii_uppercase().as_str() {
        "ANSI_NULLS" => yes(s.ansi_nulls),
        "ANSI_PADDING" => yes(s.ansi_padding),
        "ANSI_WARNINGS" => yes(s.ansi_warnings),
        "ARITHABORT" => yes(s.arithabort),
        "CONCAT_NULL_YIELDS_NULL" => yes(s.concat_null),
        "NUMERIC_ROUNDABORT" => yes(s.numeric_roundabort),
        "QUOTED_IDENTIFIER" => yes(s.quoted_identifier),
        _ => Value::Null,
    })
}

fn connection_property(a: &Args<'_>) -> SqlResult<Value> {
    Ok(match a.text(0).to_ascii_lowercase().as_str() {
        "net_transport" | "physical_net_transport" => Value::text("TCP"),
        "protocol_type" => Value::text("TSQL"),
        "auth_scheme" => Value::text("SQL"),
        "local_net_address" | "client_net_address" => Value::text("127.0.0.1"),
        "local_tcp_port" => n(1433),
        _ => Value::Null,
    })
}

fn login_property(a: &Args<'_>) -> SqlResult<Value> {
    let name = a.text(0).to_owned();
    let Some(l) = a.s.server.state().login(&name).cloned() else {
        return Ok(Value::Null);
    };
    Ok(match a.text(1).to_ascii_lowercase().as_str() {
        "islocked" | "isexpired" | "ismustchange" | "badpasswordcount" | "historylength" => n(0),
        "defaultdatabase" => Value::text(l.database),
        "defaultlanguage" => Value::text(l.language),
        "passwordhashalgorithm" => n(3),
        _ => Value::Null,
    })
}

fn object_property(a: &Args<'_>) -> SqlResult<Value> {
    let Some(o) = info::object(a, 0, 9)? else {
        return Ok(Value::Null);
    };
    let table = match &o.kind {
        Kind::Table(t) => Some(t),
        _ => None,
    };
    Ok(match a.text(1).to_ascii_lowercase().as_str() {
        "istable" | "isusertable" => yes(table.is_some()),
        "isview" => yes(matches!(o.kind, Kind::View(_))),
        "isprocedure" => yes(matches!(o.kind, Kind::Procedure(_))),
        "ismsshipped" | "istrigger" | "isscalarfunction" | "istablefunction"
        | "isinlinefunction" => n(0),
        "tablehasidentity" => {
            yes(table.is_some_and(|t| t.columns.iter().any(|c| c.identity.is_some())))
        }
        "tablehasprimarykey" => yes(table.is_some_and(|t| t.keys.iter().any(|k| k.primary))),
        "tablehasforeignkey" => yes(table.is_some_and(|t| !t.foreign.is_empty())),
        "isquotedidenton" | "isansinullson" | "execisquotedidenton" | "execisansinullson" => n(1),
        _ => Value::Null,
    })
}

fn column_property(a: &Args<'_>) -> SqlResult<Value> {
    let Some(o) = info::object(a, 0, 9)? else {
        return Ok(Value::Null);
    };
    let Kind::Table(t) = &o.kind else {
        return Ok(Value::Null);
    };
    let Some(c) = t.column(a.text(1)) else {
        return Ok(Value::Null);
    };
    Ok(match a.text(2).to_ascii_lowercase().as_str() {
        "allowsnull" => yes(c.nullable),
        "columnid" => n(i64::from(c.id)),
        "isidentity" => yes(c.identity.is_some()),
        "iscomputed" | "isrowguidcol" | "issparse" | "ishidden" | "generatedalwaystype" => n(0),
        "precision" => n(i64::from(c.ty.precision_scale().0)),
        "scale" => n(i64::from(c.ty.precision_scale().1)),
        "charmaxlen" => c.ty.length().map_or(Value::Null, |l| {
            n(if l == crate::sql::types::MAX {
                -1
            } else {
                i64::from(l)
            })
        }),
        _ => Value::Null,
    })
}

pub(super) const FUNCTIONS: &[Function] = &[
    open("SERVERPROPERTY", &[P::Text], 1, variant, server_property),
    open(
        "DATABASEPROPERTYEX",
        &[P::Text, P::Text],
        2,
        variant,
        database_property,
    ),
    open("SESSIONPROPERTY", &[P::Text], 1, variant, session_property),
    open(
        "CONNECTIONPROPERTY",
        &[P::Text],
        1,
        variant,
        connection_property,
    ),
    open(
        "LOGINPROPERTY",
        &[P::Text, P::Text],
        2,
        variant,
        login_property,
    ),
    open(
        "OBJECTPROPERTY",
        &[P::Int, P::Text],
        2,
        int,
        object_property,
    ),
    open(
        "OBJECTPROPERTYEX",
        &[P::Int, P::Text],
        2,
        variant,
        object_property,
    ),
    open(
        "COLUMNPROPERTY",
        &[P::Int, P::Text, P::Text],
        3,
        int,
        column_property,
    ),
    open("COLLATIONPROPERTY", &[P::Text, P::Text], 2, variant, |a| {
        Ok(match a.text(1).to_ascii_lowercase().as_str() {
            "codepage" => n(1252),
            "lcid" => n(1033),
            _ => Value::Null,
        })
    }),
    open("FULLTEXTSERVICEPROPERTY", &[P::Text], 1, int, |_| Ok(n(0))),
];
