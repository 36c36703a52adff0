//! Connection strings: an instance's endpoint, login and database, written by a format of the core.

use std::sync::Arc;

use berth_core::{
    Result, Secret,
    connection::{self, Parts, Text, Tls},
    name,
};

use crate::{Berth, dto, instances, passwords, table::Call};

/// What a string gets where nobody names a format.
const DEFAULT: &str = "adonet";

/// `connection.formats`.
pub(crate) async fn formats(
    _: &Arc<Berth>,
    _: dto::Nothing,
    _: &Call,
) -> Result<Vec<dto::FormatView>> {
    Ok(connection::formats()
        .iter()
        .map(|f| dto::FormatView {
            id: f.id().to_owned(),
            name: f.name().to_owned(),
            family: f.family().to_owned(),
            about: f.about().to_owned(),
            limits: f.limits().iter().map(|l| (*l).to_owned()).collect(),
        })
        .collect())
}

/// `connection.show`: the whole string goes beside the body.
pub(crate) async fn show(
    berth: &Arc<Berth>,
    request: dto::ConnectionShow,
    call: &Call,
) -> Result<dto::ConnectionView> {
    let password_only = request.password_only;
    let (view, text, password) = write(berth, request).await?;
    call.answer_secret(if password_only {
        password
    } else {
        text.reveal()
    });
    Ok(view)
}

/// `connection.copy`: the whole string goes to the clipboard and nowhere else.
pub(crate) async fn copy(
    berth: &Arc<Berth>,
    request: dto::ConnectionShow,
    _: &Call,
) -> Result<dto::ConnectionView> {
    let password_only = request.password_only;
    let (view, text, password) = write(berth, request).await?;
    let secret = if password_only {
        password
    } else {
        text.reveal()
    };
    berth.surroundings.clipboard.put(secret).await?;
    Ok(view)
}

async fn write(
    berth: &Arc<Berth>,
    request: dto::ConnectionShow,
) -> Result<(dto::ConnectionView, Text, Secret)> {
    let format = connection::format(request.format.as_deref().unwrap_or(DEFAULT))?;
    if let Some(database) = &request.database {
        name::check_sql("a database", database)?;
    }
    let record = instances::find(berth, &request.name).await?;
    let user = request.login.unwrap_or_else(|| record.login.clone());
    let password = passwords::of(berth, &record, &user).await?;
    let database = request.database.or_else(|| record.database.clone());
    let parts = Parts {
        host: "127.0.0.1".to_owned(),
        port: record.port,
        database: database.clone(),
        user: user.clone(),
        password: password.clone(),
        tls: Tls::Unverified,
        app: None,
        options: Vec::new(),
    };
    let text = format.write(&parts)?;
    let tunnel = if record.direct {
        "the engine is on this machine"
    } else {
        "the tunnel verifies the host"
    };
    let view = dto::ConnectionView {
        name: record.name,
        host: record.host,
        format: format.id().to_owned(),
        masked: text.masked(),
        server: parts.host,
        port: parts.port,
        user,
        database,
        tls: format!(
            "{}: {tunnel}",
            text.tls().unwrap_or_else(|| parts.tls.rung().label())
        ),
        password_on_stdin: text.input().is_some(),
    };
    Ok((view, text, password))
}
