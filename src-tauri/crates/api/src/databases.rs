//! The databases of an instance, each with a login that owns it.

use std::{ops::ControlFlow, sync::Arc};

use berth_core::{Code, Error, Result, Secret, name};
use berth_sql::{ConnectError, ConnectErrorKind, Connection, Event, Login, Trust};
use berth_store::InstanceRecord;

use crate::{
    Berth, dto,
    instances::{self, Found},
    link::{Link, SqlDial},
    logins::{SA, SIGN_IN, app_login},
    passwords::{self, Passwords},
    table::Call,
};

/// SQL Server's own.
const SYSTEM: [&str; 4] = ["master", "model", "msdb", "tempdb"];

pub(crate) fn is_system(database: &str) -> bool {
    SYSTEM.iter().any(|s| s.eq_ignore_ascii_case(database))
}

/// Signs in as `sa`.
pub(crate) async fn as_sa(
    link: &Arc<Link>,
    record: &InstanceRecord,
    password: Secret,
) -> Result<Connection> {
    let dial = SqlDial {
        link: Arc::clone(link),
        instance: record.id.clone(),
    };
    let login = Login {
        user: SA.to_owned(),
        password,
        database: None,
        app: "Berth".into(),
    };
    berth_sql::connect(&dial, &login, Trust::Tunnel, SIGN_IN)
        .await
        .map_err(|e| not_let_in(e, &record.name))
}

/// Why nobody was let in: that it does not run is no refusal.
pub(crate) fn not_let_in(e: ConnectError, name: &str) -> Error {
    if e.error.get_detail("stopped").is_some() {
        return Error::new(Code::Unreachable, format!("`{name}` is not running"))
            .detail("stopped", name)
            .hint(format!("Start it with `berth start {name}`"));
    }
    match e.kind {
        ConnectErrorKind::LoginFailed { .. } | ConnectErrorKind::DatabaseUnavailable { .. } => {
            e.error.context(format!("`{name}` did not let us in"))
        }
        _ => e.error.context(format!("`{name}` could not be asked")),
    }
}

/// Runs a script as `sa` in the instance's own database; its first error ends it.
pub(crate) async fn run_script(
    link: &Arc<Link>,
    record: &InstanceRecord,
    sa: &Secret,
    script: &str,
) -> Result<()> {
    let dial = SqlDial {
        link: Arc::clone(link),
        instance: record.id.clone(),
    };
    let login = Login {
        user: SA.to_owned(),
        password: sa.clone(),
        database: record.database.clone(),
        app: "Berth".into(),
    };
    let mut connection = berth_sql::connect(&dial, &login, Trust::Tunnel, SIGN_IN)
        .await
        .map_err(|e| e.error)?;
    let mut refused = None;
    let mut sink = |event: Event| match event {
        Event::Error {
            number,
            line,
            message,
            ..
        } => {
            let line = line.map_or_else(String::new, |l| format!(", line {l}"));
            refused = Some(format!("Msg {number}{line}: {message}"));
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    connection.run(script, &mut sink).await?;
    connection.close().await;
    match refused {
        None => Ok(()),
        Some(why) => Err(Error::failed("The script of `--init` failed")
            .because(why)
            .hint(if record.lease.is_some() {
                "Mend it; the instance ends with its command".to_owned()
            } else {
                format!(
                    "Mend it; `berth remove {} --data delete` takes away what was made so far",
                    record.name
                )
            })),
    }
}

async fn open(berth: &Arc<Berth>, name: &str) -> Result<(Found, Connection)> {
    let found = instances::reach(berth, name).await?;
    let password = passwords::of(berth, &found.record, SA).await?;
    let connection = as_sa(&found.link, &found.record, password).await?;
    Ok((found, connection))
}

fn check(database: &str) -> Result<()> {
    name::check_sql("a database", database)?;
    name::check_sql("a login", &app_login(database))?;
    if is_system(database) {
        return Err(
            Error::usage(format!("`{database}` is a system database")).hint("Take another name")
        );
    }
    Ok(())
}

/// `database.list`.
pub(crate) async fn list(
    berth: &Arc<Berth>,
    request: dto::InstanceName,
    _: &Call,
) -> Result<Vec<dto::DatabaseView>> {
    let (found, mut connection) = open(berth, &request.name).await?;
    let all = connection.databases().await?;
    connection.close().await;
    let known = match &found.record.password_file {
        // One password opens all of them, and nobody asks a keychain that may not be there.
        Some(_) => Passwords::default(),
        None => passwords::find(berth, &found.record.id)
            .await?
            .unwrap_or_default(),
    };
    Ok(all
        .into_iter()
        .map(|d| dto::DatabaseView {
            system: is_system(&d.name),
            login: Some(app_login(&d.name)).filter(|login| known.get(login).is_some()),
            name: d.name,
            state: d.state,
        })
        .collect())
}

/// `database.create`: its login's password is stored before anything is made that it opens.
pub(crate) async fn create(
    berth: &Arc<Berth>,
    request: dto::Database,
    _: &Call,
) -> Result<dto::DatabaseMade> {
    let database = request.database;
    check(&database)?;
    let (found, mut connection) = open(berth, &request.name).await?;
    if connection
        .databases()
        .await?
        .iter()
        .any(|d| d.name.eq_ignore_ascii_case(&database))
    {
        return Err(Error::new(
            Code::Refused,
            format!(
                "`{}` has a database `{database}` already",
                found.record.name
            ),
        )
        .hint("Take another name"));
    }
    let login = app_login(&database);
    let password = match &found.record.password_file {
        Some(file) => passwords::from_file(file.into()).await?,
        None => {
            let mut all: Passwords = passwords::find(berth, &found.record.id)
                .await?
                .unwrap_or_default();
            let password = match all.get(&login) {
                Some(there) => there.clone(),
                None => passwords::generate()?,
            };
            all.set(&login, password.clone());
            passwords::store(berth, &found.record.id, &all).await?;
            password
        }
    };
    connection.create_database(&database).await?;
    connection
        .create_owner_login(&login, &database, &password)
        .await?;
    connection.close().await;
    Ok(dto::DatabaseMade {
        instance: format!("{}/{}", found.record.host, found.record.name),
        database,
        login,
    })
}

/// `database.drop`: with everything in it, and its login where Berth made that one.
pub(crate) async fn drop(
    berth: &Arc<Berth>,
    request: dto::Database,
    _: &Call,
) -> Result<dto::Nothing> {
    let database = request.database;
    check(&database)?;
    let (found, mut connection) = open(berth, &request.name).await?;
    if !connection
        .databases()
        .await?
        .iter()
        .any(|d| d.name.eq_ignore_ascii_case(&database))
    {
        return Err(Error::not_found(format!(
            "`{}` has no database `{database}`",
            found.record.name
        ))
        .hint(format!(
            "`berth database list {}` shows what it has",
            found.record.name
        )));
    }
    connection.drop_database(&database).await?;
    let login = app_login(&database);
    if found.record.password_file.is_none()
        && let Some(mut all) = passwords::find(berth, &found.record.id).await?
        && all.get(&login).is_some()
    {
        connection.drop_login(&login).await?;
        all.remove(&login);
        passwords::store(berth, &found.record.id, &all).await?;
    }
    connection.close().await;
    Ok(dto::Nothing {})
}
