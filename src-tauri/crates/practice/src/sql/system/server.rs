//! Views of the whole server: databases, logins, sessions, settings.

use super::{SERVER_ROLES, b, n, server_role_id, t, when};
use crate::sql::{
    message::SqlResult,
    session::Session,
    value::{Row, Value},
};

pub(super) fn sys_databases(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let list = s.server.state().databases.clone();
    Ok(list
        .into_iter()
        .map(|d| {
            let (state, name) = match (s.server.recovers(d.id), d.online) {
                (true, _) => (2, "RECOVERING"),
                (false, true) => (0, "ONLINE"),
                (false, false) => (6, "OFFLINE"),
            };
            vec![
                t(&d.name),
                n(d.id),
                Value::Null,
                Value::binary(&d.owner),
                when(&d.created),
                n(d.compat),
                t(&d.collation),
                n(d.access),
                t(crate::sql::query::function::access(d.access)),
                b(d.read_only),
                n(state),
                t(name),
                b(false),
                n(i64::from(!d.snapshot_reads) ^ 1),
                t("OFF"),
                b(d.snapshot_reads),
                n(match d.recovery.as_str() {
                    "FULL" => 1,
                    "BULK_LOGGED" => 2,
                    _ => 3,
                }),
                t(&d.recovery),
                n(2),
                t("CHECKSUM"),
                b(true),
                b(false),
                b(false),
                n(0),
                t("NONE"),
                b(false),
                t("NOTHING"),
                b(false),
                b(false),
                Value::Null,
            ]
        })
        .collect())
}

pub(super) fn logins(s: &Session, only_logins: bool) -> Vec<Row> {
    let mine = s.login.clone();
    let mut out: Vec<Row> = s
        .server
        .state()
        .logins
        .iter()
        // Others are seen by those who may manage them.
        .filter(|l| mine.is_sysadmin() || l.id == mine.id || l.id == 1)
        .map(|l| {
            let mut row = vec![
                t(&l.name),
                n(l.id),
                Value::binary(&l.sid),
                t("S"),
                t("SQL_LOGIN"),
                b(l.disabled),
                when(&l.created),
                when(&l.modified),
                t(&l.database),
                t(&l.language),
                Value::Null,
            ];
            if only_logins {
                row.extend([b(l.policy), b(l.expiration)]);
            } else {
                row.extend([Value::Null, b(false)]);
            }
            row
        })
        .collect();
    if !only_logins {
        for (name, id) in SERVER_ROLES {
            out.push(vec![
                t(name),
                n(*id),
                Value::binary(id.to_le_bytes()),
                t("R"),
                t("SERVER_ROLE"),
                b(false),
                when("2009-04-13 12:59:06"),
                when("2009-04-13 12:59:06"),
                Value::Null,
                Value::Null,
                Value::Null,
                n(1),
                b(true),
            ]);
        }
    }
    out
}

pub(super) fn role_members(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let state = s.server.state();
    Ok(state
        .logins
        .iter()
        .flat_map(|l| {
            l.roles
                .iter()
                .filter_map(|r| server_role_id(r))
                .map(|r| vec![n(r), n(l.id)])
                .collect::<Vec<_>>()
        })
        .collect())
}

pub(super) fn database_files(s: &Session, database: i32) -> SqlResult<Vec<Row>> {
    let d = s.server.state().database_by_id(database).cloned();
    let Some(d) = d else {
        return Ok(Vec::new());
    };
    let bytes = std::fs::metadata(s.server.dir.join(&d.file)).map_or(0, |m| m.len());
    let files = s.server.files_of(&d);
    let row = |id: i64, kind: &str, name: &str, path: &str, pages: i64| {
        let is_log = kind == "LOG";
        vec![
            n(id),
            n(i64::from(is_log)),
            t(kind),
            n(i64::from(!is_log)),
            t(name),
            t(path),
            n(0),
            t("ONLINE"),
            n(pages),
            n(-1),
            n(8192),
        ]
    };
    let pages = i64::try_from(bytes.div_ceil(8192)).unwrap_or(0);
    Ok(vec![
        row(1, "ROWS", &files.data_name, &files.data_path, pages),
        row(2, "LOG", &files.log_name, &files.log_path, 64),
    ])
}

pub(super) fn master_files(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let ids: Vec<i32> = s.server.state().databases.iter().map(|d| d.id).collect();
    let mut out = Vec::new();
    for id in ids {
        for row in database_files(s, id)? {
            let mut whole = vec![n(id)];
            whole.extend(row);
            out.push(whole);
        }
    }
    Ok(out)
}

pub(super) fn sys_info(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = s
        .server
        .options
        .memory_mb
        .map_or(0, i64::from)
        .saturating_mul(1024);
    let up = crate::sql::server::now()
        .signed_duration_since(s.server.started)
        .num_milliseconds();
    Ok(vec![vec![
        n(i64::try_from(cpus).unwrap_or(1)),
        n(memory),
        when(&s.server.started.format("%Y-%m-%d %H:%M:%S%.3f").to_string()),
        n(up),
        t("NONE"),
    ]])
}

pub(super) fn host_info(_: &Session, _: i32) -> SqlResult<Vec<Row>> {
    Ok(vec![vec![
        t("Berth practice host"),
        t("Berth practice host"),
        t(env!("CARGO_PKG_VERSION")),
        t(""),
        n(0),
        n(1033),
    ]])
}

pub(super) fn dm_sessions(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let all = s.login.is_sysadmin();
    let state = s.server.state();
    let mut spids: Vec<&u16> = state.sessions.keys().collect();
    spids.sort_unstable();
    Ok(spids
        .into_iter()
        .filter_map(|spid| state.sessions.get(spid).map(|x| (spid, x)))
        .filter(|(spid, _)| all || **spid == s.spid)
        .map(|(spid, x)| {
            vec![
                n(*spid),
                when(&x.since.format("%Y-%m-%d %H:%M:%S%.3f").to_string()),
                t(&x.host),
                t(&x.program),
                t(&x.login),
                t(&x.login),
                t(if *spid == s.spid {
                    "running"
                } else {
                    "sleeping"
                }),
                b(true),
                n(x.database),
                n(0),
                n(x.login_id),
            ]
        })
        .collect())
}

/// What runs now: the session's own query, and the backups of others. What else others run is not kept.
pub(super) fn dm_requests(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let all = s.login.is_sysadmin();
    let state = s.server.state();
    let mut spids: Vec<&u16> = state.sessions.keys().collect();
    spids.sort_unstable();
    let mut out = Vec::new();
    for spid in spids {
        let Some(seen) = state.sessions.get(spid).filter(|_| all || *spid == s.spid) else {
            continue;
        };
        let progress = seen.control.progress();
        let (command, percent) = match progress {
            Some(progress) => progress,
            None if *spid == s.spid => ("SELECT", 0),
            None => continue,
        };
        out.push(vec![
            n(*spid),
            n(0),
            when(&crate::sql::server::now_text()),
            t("running"),
            t(command),
            n(seen.database),
            n(0),
            Value::Null,
            Value::Float(f64::from(percent)),
            n(0),
            n(0),
            n(0),
        ]);
    }
    Ok(out)
}

pub(super) fn dm_connections(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    Ok(vec![vec![
        n(s.spid),
        t("TCP"),
        t("TSQL"),
        n(0x7400_0004),
        t(if s.client.encrypted { "TRUE" } else { "FALSE" }),
        t("SQL"),
        t("127.0.0.1"),
    ]])
}

pub(super) fn configurations(s: &Session, _: i32) -> SqlResult<Vec<Row>> {
    let list = crate::sql::procedure::configuration(s);
    Ok(list
        .into_iter()
        .zip(101_i64..)
        .map(|(c, id)| {
            vec![
                n(id),
                t(c.name),
                Value::Int(c.configured),
                Value::Int(c.least),
                Value::Int(c.most),
                Value::Int(c.running),
                t(c.name),
                b(true),
                b(c.advanced),
            ]
        })
        .collect())
}
