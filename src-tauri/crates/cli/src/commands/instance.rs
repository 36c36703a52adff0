//! `berth up`, `list`, `show`, `start`, `stop`, `restart`, `remove`, `logs`

use std::{collections::BTreeMap, time::SystemTime};

use berth_api::{dto, table};
use berth_core::{Error, Result, Secret, secret::ExposeSecret, size};

use super::query;
use crate::{
    args::{Timed, Up, Wishes},
    render::{self, note, out},
    session::{Session, absolute, interrupted, json},
};

/// What `up` and `run` ask for alike.
pub(crate) fn wish(wishes: Wishes) -> Result<dto::Up> {
    Ok(dto::Up {
        host: wishes.host,
        version: wishes.version,
        edition: wishes.edition,
        image: wishes.image,
        database: wishes.database,
        memory: wishes.memory,
        port: wishes.port,
        collation: wishes.collation,
        accept_eula: wishes.accept_eula,
        timeout: wishes.timeout,
        init: wishes.init.map(query::file).transpose()?,
        ..dto::Up::default()
    })
}

pub(crate) async fn up(session: &Session, up: Up) -> Result<u8> {
    let request = dto::Up {
        name: up.name,
        data: up.data,
        password_file: up.password_file.as_deref().map(absolute).transpose()?,
        ..wish(up.wishes)?
    };
    // An unknown format is said before anything is made.
    if let Some(format) = &up.format {
        berth_core::connection::format(format)?;
    }
    let outcome = session.operate::<table::InstanceUp>(&request).await?;
    let instance = outcome
        .instance
        .ok_or_else(|| Error::failed("The instance went away meanwhile"))?;
    let wish = dto::ConnectionShow {
        name: format!("{}/{}", instance.host, instance.name),
        format: up.format,
        ..dto::ConnectionShow::default()
    };
    let (view, secret) = if up.copy {
        (
            session.call::<table::ConnectionCopy>(&wish).await?.body,
            None,
        )
    } else {
        let reply = session.call::<table::ConnectionShow>(&wish).await?;
        (reply.body, reply.secret)
    };
    if up.json.json {
        let mut value = serde_json::to_value(&instance).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert(
                "connection_string".into(),
                secret.as_ref().map(|s| s.expose_secret().to_owned()).into(),
            );
            map.insert("format".into(), view.format.clone().into());
            map.insert("notes".into(), outcome.notes.clone().into());
        }
        out(json(&value)?);
        return Ok(0);
    }
    // The string alone goes to standard output, so that a script can take it.
    note(format!(
        "{} is ready on {}: {},{}",
        instance.name, instance.host, instance.endpoint_host, instance.port
    ));
    for text in &outcome.notes {
        note(format!("note: {text}"));
    }
    note(format!("note: {}", view.tls));
    match secret {
        Some(secret) => out(secret.expose_secret()),
        None => note("Its connection string is on the clipboard for 60 s"),
    }
    Ok(0)
}

pub(crate) async fn list(session: &Session, host: Option<String>, as_json: bool) -> Result<u8> {
    let all = session
        .call::<table::InstanceList>(&dto::InstanceList { host })
        .await?
        .body;
    let code = if all.unreached.is_empty() { 0 } else { 1 };
    if as_json {
        out(json(&all)?);
        return Ok(code);
    }
    if all.instances.is_empty() && all.found.is_empty() && all.unreached.is_empty() {
        note("No instances. `berth up` makes one");
    } else if !all.instances.is_empty() || !all.found.is_empty() {
        out(render::table(
            &["NAME", "HOST", "VERSION", "STATE", "ENDPOINT", "SEEN"],
            (all.instances.iter().map(row)).chain(all.found.iter().map(found)),
        ));
    }
    if let Some(first) = all.found.first() {
        note(format!(
            "found: looks like SQL Server, and Berth did not make it. `berth adopt {} --host {}` takes it up",
            first.name, first.host
        ));
    }
    for unreached in all.unreached {
        render::error(&Error::from(unreached.error).context(format!(
            "`{}` did not answer; what is shown of it is old",
            unreached.host
        )));
    }
    Ok(code)
}

fn found(f: &dto::FoundView) -> Vec<String> {
    vec![
        f.name.clone(),
        f.host.clone(),
        "?".to_owned(),
        format!("{} (found)", f.state),
        "not adopted".to_owned(),
        "now".to_owned(),
    ]
}

fn row(i: &dto::InstanceView) -> Vec<String> {
    vec![
        i.name.clone(),
        i.host.clone(),
        format!(
            "{} {}{}",
            i.version,
            i.edition,
            if i.practice { " (practice)" } else { "" }
        ),
        if i.unfinished {
            format!("{} (unfinished)", i.state)
        } else {
            i.state.clone()
        },
        format!(
            "{},{}{}",
            i.endpoint_host,
            i.port,
            if i.endpoint_open { "" } else { " (closed)" }
        ),
        if i.fresh {
            "now".to_owned()
        } else {
            render::age(&i.seen_at, SystemTime::now())
        },
    ]
}

pub(crate) async fn show(session: &Session, name: String, as_json: bool) -> Result<u8> {
    let i = session
        .call::<table::InstanceShow>(&dto::InstanceName { name })
        .await?
        .body;
    if as_json {
        out(json(&i)?);
        return Ok(0);
    }
    let mut rows = vec![
        ("Name", i.name.clone()),
        ("Host", i.host.clone()),
        ("State", i.state.clone()),
        (
            "Version",
            format!(
                "{} {}{}",
                i.version,
                i.edition,
                if i.practice {
                    ", practice: not SQL Server"
                } else {
                    ""
                }
            ),
        ),
        (
            "Endpoint",
            format!(
                "{},{}{}",
                i.endpoint_host,
                i.port,
                if i.endpoint_open { "" } else { " (closed)" }
            ),
        ),
        ("Login", i.login.clone()),
        (
            "Database",
            i.database
                .clone()
                .unwrap_or_else(|| "the login's default".into()),
        ),
        (
            "Memory",
            if i.memory == 0 {
                "not limited, or not known".to_owned()
            } else {
                size::format(i.memory)
            },
        ),
        ("Data", i.data.clone()),
        ("Disk", disk(i.disk.as_ref())),
        (
            "Volume",
            known(i.disk.as_ref().and_then(|d| d.volume.clone())),
        ),
        (
            "Data folder",
            known(i.disk.as_ref().and_then(|d| d.data_folder.clone())),
        ),
        (
            "Backups",
            known(i.disk.as_ref().and_then(|d| d.backups_folder.clone())),
        ),
        ("Image", i.image.clone()),
        ("Container", i.container.chars().take(12).collect()),
        (
            "Made by",
            if i.adopted {
                "not Berth: adopted".to_owned()
            } else {
                i.owner.clone()
            },
        ),
        (
            "Credentials",
            if i.credentials {
                "on this machine"
            } else {
                "not on this machine"
            }
            .to_owned(),
        ),
        (
            "Seen",
            if i.fresh {
                "now".to_owned()
            } else {
                render::age(&i.seen_at, SystemTime::now())
            },
        ),
    ];
    if let Some(ends_at) = i.ends_at {
        rows.push((
            "Ends",
            format!("with its command, at {ends_at} at the latest"),
        ));
    }
    if let Some(cause) = i.cause {
        rows.push(("Cause", cause));
    }
    if let Some(hint) = i.hint {
        rows.push(("Hint", hint));
    }
    out(rows
        .iter()
        .map(|(label, value)| format!("{label:<12} {value}"))
        .collect::<Vec<_>>()
        .join("\n"));
    Ok(0)
}

fn known(text: Option<String>) -> String {
    text.unwrap_or_else(|| "not known".to_owned())
}

fn disk(disk: Option<&dto::DiskView>) -> String {
    let size = |bytes: Option<u64>| known(bytes.map(size::format));
    format!(
        "{} of data, {} in its container",
        size(disk.and_then(|d| d.data)),
        size(disk.and_then(|d| d.container))
    )
}

pub(crate) async fn start(session: &Session, timed: Timed) -> Result<u8> {
    let outcome = session
        .operate::<table::InstanceStart>(&dto::Timed {
            name: timed.name,
            timeout: timed.timeout,
        })
        .await?;
    ended(outcome, "runs", "ran already")
}

pub(crate) async fn stop(session: &Session, timed: Timed) -> Result<u8> {
    let outcome = session
        .operate::<table::InstanceStop>(&dto::Timed {
            name: timed.name,
            timeout: timed.timeout,
        })
        .await?;
    ended(outcome, "is stopped", "was stopped already")
}

pub(crate) async fn restart(session: &Session, timed: Timed) -> Result<u8> {
    let outcome = session
        .operate::<table::InstanceRestart>(&dto::Timed {
            name: timed.name,
            timeout: timed.timeout,
        })
        .await?;
    ended(outcome, "runs again", "runs")
}

pub(crate) async fn remove(session: &Session, name: String, data: Option<String>) -> Result<u8> {
    let outcome = session
        .operate::<table::InstanceRemove>(&dto::InstanceRemove {
            name: name.clone(),
            data,
        })
        .await?;
    // What was adopted is only let go.
    match outcome.instance {
        Some(i) => out(format!("{} is let go", i.name)),
        None => out(format!("{name} is removed")),
    }
    for text in outcome.notes {
        note(format!("note: {text}"));
    }
    Ok(0)
}

pub(crate) async fn adopt(
    session: &Session,
    request: dto::Adopt,
    password: Option<Secret>,
    as_json: bool,
) -> Result<u8> {
    let secrets = password
        .map(|p| ("password".to_owned(), p))
        .into_iter()
        .collect();
    let outcome = session
        .operate_with::<table::InstanceAdopt>(&request, secrets)
        .await?;
    let i = outcome
        .instance
        .ok_or_else(|| Error::failed("The instance went away meanwhile"))?;
    if as_json {
        let mut value = serde_json::to_value(&i).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("notes".into(), outcome.notes.into());
        }
        out(json(&value)?);
        return Ok(0);
    }
    out(format!(
        "{} on {} is adopted: {},{}",
        i.name, i.host, i.endpoint_host, i.port
    ));
    for text in outcome.notes {
        note(format!("note: {text}"));
    }
    Ok(0)
}

pub(crate) async fn set(session: &Session, request: dto::InstanceSet) -> Result<u8> {
    let outcome = session.operate::<table::InstanceSet>(&request).await?;
    ended(outcome, "is changed", "stays as it is")
}

pub(crate) async fn reset_password(session: &Session, name: String) -> Result<u8> {
    let request = dto::Timed {
        name,
        timeout: None,
    };
    let outcome = session
        .operate::<table::InstanceResetPassword>(&request)
        .await?;
    ended(outcome, "has a new password", "has its password")
}

pub(crate) fn ended(outcome: dto::Outcome, changed: &str, unchanged: &str) -> Result<u8> {
    if let Some(i) = &outcome.instance {
        out(format!(
            "{} {}",
            i.name,
            if outcome.changed { changed } else { unchanged }
        ));
    }
    for text in outcome.notes {
        note(format!("note: {text}"));
    }
    Ok(0)
}

pub(crate) async fn logs(
    session: &Session,
    name: String,
    follow: bool,
    since: Option<u64>,
    tail: Option<u64>,
) -> Result<u8> {
    let request = dto::Logs {
        name,
        follow,
        since,
        tail,
    };
    let mut lines = session
        .client
        .stream::<table::InstanceLogs>(&request, BTreeMap::new())
        .await?;
    loop {
        let line = tokio::select! {
            line = lines.next() => line?,
            () = interrupted() => return Ok(0),
        };
        match line {
            Some(line) => out(line.text),
            None => break,
        }
    }
    lines.finish().await?;
    Ok(0)
}
