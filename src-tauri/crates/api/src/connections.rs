//! Connection strings: an instance's endpoint, login and database, written by a format of the core.

use std::{sync::Arc, time::Duration};

use berth_core::{
    Error, Result,
    carrier::{self, Naming},
    connection::{self, Parts, Text, Tls},
    name, open_in,
};

use berth_store::InstanceRecord;
use tokio::time::timeout;

use crate::{
    Berth,
    databases::as_sa,
    dto, instances,
    logins::{NEXT, SA, settle},
    passwords,
    table::Call,
};

/// How long the server may take to say whether a login or a database is there.
const ASK: Duration = Duration::from_secs(5);

/// What a string gets where nobody names a format.
const DEFAULT: &str = "adonet";

/// `connection.formats`.
pub(crate) async fn formats(
    _: &Arc<Berth>,
    _: dto::Nothing,
    _: &Call,
) -> Result<Vec<dto::FormatView>> {
    Ok(format_views())
}

/// Every format, as lists show it. Needs no agent.
#[must_use]
pub fn format_views() -> Vec<dto::FormatView> {
    connection::formats()
        .iter()
        .map(|f| dto::FormatView {
            id: f.id().to_owned(),
            name: f.name().to_owned(),
            family: f.family().to_owned(),
            about: f.about().to_owned(),
            limits: owned(f.limits()),
        })
        .collect()
}

/// `connection.carriers`.
pub(crate) async fn carriers(
    _: &Arc<Berth>,
    _: dto::Nothing,
    _: &Call,
) -> Result<Vec<dto::CarrierView>> {
    Ok(carrier_views())
}

/// Every carrier, as lists show it. Needs no agent.
#[must_use]
pub fn carrier_views() -> Vec<dto::CarrierView> {
    carrier::carriers()
        .iter()
        .map(|c| dto::CarrierView {
            id: c.id().to_owned(),
            name: c.name().to_owned(),
            about: c.about().to_owned(),
            limits: owned(c.limits()),
            naming: match c.naming() {
                Naming::Never => "never",
                Naming::Variable { always: true } | Naming::Key { always: true } => "always",
                Naming::Variable { .. } | Naming::Key { .. } => "may",
            }
            .to_owned(),
        })
        .collect()
}

fn owned(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

/// A text in stretches, as a page gets it.
#[must_use]
pub fn pieces(text: &Text) -> Vec<dto::Piece> {
    text.pieces()
        .into_iter()
        .map(|p| dto::Piece {
            text: p.text,
            secret: p.secret,
            part: p.part.map(str::to_owned),
            meaning: p.meaning.map(str::to_owned),
        })
        .collect()
}

/// What each part of a text means.
#[must_use]
pub fn explained(text: &Text) -> Vec<dto::Explained> {
    text.explain()
        .into_iter()
        .map(|e| dto::Explained {
            text: e.text,
            part: e.part.to_owned(),
            meaning: e.meaning.to_owned(),
        })
        .collect()
}

/// Writes `parts` in a format, and in a carrier where one is named.
///
/// # Errors
/// [`berth_core::Code::Usage`] for an unknown format or carrier and a name that does not fit; else what the format or
/// the carrier cannot say, with the reason.
pub fn compose(
    parts: &Parts,
    format: &str,
    in_carrier: Option<&str>,
    variable: Option<&str>,
) -> Result<Text> {
    let format = connection::format(format)?;
    let default = carrier::default_name(format);
    carry(format.write(parts)?, in_carrier, variable, default)
}

/// Puts a text in a carrier, where one is named.
///
/// # Errors
/// As [`compose`].
pub fn carry(
    text: Text,
    in_carrier: Option<&str>,
    variable: Option<&str>,
    default: &str,
) -> Result<Text> {
    match in_carrier {
        Some(id) => carrier::carry(carrier::carrier(id)?, &text, variable, default),
        None if variable.is_some() => {
            Err(Error::usage("A variable's name goes with a carrier only")
                .hint("`berth connection --carriers` lists them"))
        }
        None => Ok(text),
    }
}

/// `connection.show`: the whole string goes beside the body, where it was asked for.
pub(crate) async fn show(
    berth: &Arc<Berth>,
    request: dto::ConnectionShow,
    call: &Call,
) -> Result<dto::ConnectionView> {
    let masked_only = request.masked_only;
    let (view, text) = write(berth, request).await?;
    if !masked_only {
        call.answer_secret(text.reveal());
    }
    Ok(view)
}

/// `connection.copy`: the whole string goes to the clipboard and nowhere else.
pub(crate) async fn copy(
    berth: &Arc<Berth>,
    request: dto::ConnectionShow,
    _: &Call,
) -> Result<dto::ConnectionView> {
    let (view, text) = write(berth, request).await?;
    berth.surroundings.clipboard.put(text.reveal()).await?;
    Ok(view)
}

/// A change of passwords that was cut off is ended first: else the string may have one that opens nothing.
async fn settle_first(berth: &Arc<Berth>, record: &InstanceRecord) {
    if record.password_file.is_some()
        || !record.ours
        || passwords::of(berth, record, NEXT).await.is_err()
    {
        return;
    }
    let settled = timeout(ASK, async {
        let link = berth.links.get(berth, &record.host).await?;
        settle(berth, &link, record).await
    });
    match settled.await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::warn!("which password is right was not found out: {e}"),
        Err(_) => tracing::warn!("which password is right was not found out in time"),
    }
}

/// Which of a login and a database that somebody named are not there, as far as the server can be asked.
async fn missing(
    berth: &Arc<Berth>,
    record: &InstanceRecord,
    login: Option<&str>,
    database: Option<&str>,
) -> Vec<String> {
    let asked = timeout(ASK, async {
        let sa = passwords::of(berth, record, SA).await?;
        let link = berth.links.get(berth, &record.host).await?;
        let mut connection = as_sa(&link, record, sa).await?;
        let mut notes = Vec::new();
        if let Some(database) = database
            && !(connection.databases().await?.iter())
                .any(|d| d.name.eq_ignore_ascii_case(database))
        {
            notes.push(format!(
                "`{}` has no database `{database}`: `berth database create {} {database}` makes it, or a client that makes its own",
                record.name, record.name
            ));
        }
        if let Some(login) = login
            && !connection.has_login(login).await?
        {
            notes.push(format!("`{}` has no login `{login}`", record.name));
        }
        connection.close().await;
        Ok::<_, Error>(notes)
    });
    match asked.await {
        Ok(Ok(notes)) => notes,
        // A string can be had of an instance that is stopped or away; it was not asked for this.
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// `connection.tools`.
pub(crate) async fn tools(_: &Arc<Berth>, _: dto::Nothing, _: &Call) -> Result<Vec<dto::ToolView>> {
    Ok(open_in::TOOLS
        .iter()
        .map(|t| dto::ToolView {
            id: t.id.to_owned(),
            name: t.name.to_owned(),
            note: t.note.to_owned(),
        })
        .collect())
}

/// `connection.by_hand`: no secret is needed for it, and none is read.
pub(crate) async fn by_hand(
    berth: &Arc<Berth>,
    request: dto::ByHand,
    _: &Call,
) -> Result<dto::Line> {
    let record = instances::find(berth, &request.name).await?;
    let to = open_in::To {
        host: &record.host,
        name: &record.name,
        server: record.endpoint_host(),
        port: record.port,
        user: request.login.as_deref().unwrap_or(&record.login),
        database: request.database.as_deref().or(record.database.as_deref()),
    };
    Ok(dto::Line {
        text: open_in::by_hand(&request.tool, &to)?,
    })
}

async fn write(
    berth: &Arc<Berth>,
    request: dto::ConnectionShow,
) -> Result<(dto::ConnectionView, Text)> {
    let format = connection::format(request.format.as_deref().unwrap_or(DEFAULT))?;
    if let Some(id) = &request.carrier {
        carrier::carrier(id)?;
    }
    if let Some(database) = &request.database {
        name::check_sql("a database", database)?;
    }
    let record = instances::find(berth, &request.name).await?;
    settle_first(berth, &record).await;
    let notes = match (&request.login, &request.database) {
        (None, None) => Vec::new(),
        (login, database) => missing(berth, &record, login.as_deref(), database.as_deref()).await,
    };
    let user = request.login.unwrap_or_else(|| record.login.clone());
    let password = passwords::of(berth, &record, &user).await?;
    let database = request.database.or_else(|| record.database.clone());
    let parts = Parts {
        host: record.endpoint_host().to_owned(),
        port: record.port,
        database: database.clone(),
        user: user.clone(),
        password,
        tls: Tls::Unverified,
        app: None,
        options: Vec::new(),
    };
    let (carrier, variable) = (request.carrier.as_deref(), request.variable.as_deref());
    let text = if request.password_only {
        carry(
            Text::alone(&parts.password),
            carrier,
            variable,
            "MSSQL_PASSWORD",
        )?
    } else {
        compose(&parts, format.id(), carrier, variable)?
    };
    let tunnel = if record.published_on.is_some() {
        "nothing verifies that it is yours, so use this in a network that you trust"
    } else if record.direct {
        "the engine is on this machine"
    } else {
        "the tunnel verifies the host"
    };
    let view = dto::ConnectionView {
        name: record.name,
        host: record.host,
        format: format.id().to_owned(),
        carrier: request.carrier,
        masked: text.masked(),
        pieces: pieces(&text),
        explained: explained(&text),
        server: parts.host,
        port: parts.port,
        user,
        database,
        tls: format!(
            "{}: {tunnel}",
            text.tls().unwrap_or_else(|| parts.tls.rung().label())
        ),
        password_on_stdin: text.input().is_some(),
        notes,
    };
    Ok((view, text))
}
