//! `berth connection`

mod drivers;
mod read;

use berth_api::{connections, dto, table};
use berth_core::{
    Error, Result, Secret,
    connection::{self, LONGEST_INPUT, Parts},
    secret::ExposeSecret,
};

use crate::{
    args::Connection,
    render::{note, out, table as draw},
    session::{Session, json},
};

/// What a string gets where nobody names a format.
const DEFAULT: &str = "adonet";

pub(crate) async fn run(verbose: bool, c: Connection) -> Result<u8> {
    if c.formats {
        return formats(c.json.json);
    }
    if c.carriers {
        return carriers(c.json.json);
    }
    // Before anything is started or asked for.
    if let Some(format) = &c.format {
        connection::format(format)?;
    }
    if let Some(carrier) = &c.carrier {
        berth_core::carrier::carrier(carrier)?;
    }
    if let Some(file) = c.read.clone() {
        return read::run(&c, &file);
    }
    if let Some(file) = c.parts.clone() {
        return parts(&c, &file).await;
    }
    instance(&Session::open(verbose).await?, c).await
}

fn formats(as_json: bool) -> Result<u8> {
    let all = connections::format_views();
    if as_json {
        out(json(&all)?);
    } else {
        out(draw(
            &["FORMAT", "NAME", "FOR"],
            all.into_iter().map(|f| vec![f.id, f.name, f.about]),
        ));
    }
    Ok(0)
}

fn carriers(as_json: bool) -> Result<u8> {
    let all = connections::carrier_views();
    if as_json {
        out(json(&all)?);
    } else {
        out(draw(
            &["CARRIER", "NAME", "WRITES"],
            all.into_iter().map(|c| vec![c.id, c.name, c.about]),
        ));
    }
    Ok(0)
}

/// The string of an instance.
async fn instance(session: &Session, c: Connection) -> Result<u8> {
    let name = c
        .name
        .ok_or_else(|| Error::usage("Which instance?").hint("`berth list` shows them"))?;
    let wish = dto::ConnectionShow {
        name,
        format: c.format,
        carrier: c.carrier,
        variable: c.variable,
        database: c.database,
        login: c.login,
        password_only: c.password,
        masked_only: c.explain,
    };
    if c.test {
        return drivers::instance(session, wish, c.json.json).await;
    }
    if c.copy {
        let view = session.call::<table::ConnectionCopy>(&wish).await?.body;
        for text in &view.notes {
            note(format!("note: {text}"));
        }
        note(format!(
            "The connection string of {} is on the clipboard for 60 s",
            view.name
        ));
        return Ok(0);
    }
    let reply = session.call::<table::ConnectionShow>(&wish).await?;
    for text in &reply.body.notes {
        note(format!("note: {text}"));
    }
    if c.explain {
        return explain(
            &reply.body.masked,
            &reply.body.explained,
            &reply.body.tls,
            c.json.json,
        );
    }
    let secret = reply
        .secret
        .ok_or_else(|| Error::failed("Berth's agent gave no connection string"))?;
    if c.json.json {
        let mut value = serde_json::to_value(&reply.body).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("connection_string".into(), secret.expose_secret().into());
        }
        out(json(&value)?);
    } else {
        if session.verbose {
            note(format!("{:>12}  {}", "tls", reply.body.tls));
        }
        if reply.body.password_on_stdin && !c.password {
            note(format!(
                "note: the password goes on its standard input: `berth connection {} --password`",
                reply.body.name
            ));
        }
        out(secret.expose_secret());
    }
    Ok(0)
}

/// The string of parts that somebody gives. No agent is needed, and nothing is kept.
async fn parts(c: &Connection, file: &std::path::Path) -> Result<u8> {
    let text = input(file, LONGEST_INPUT)?;
    let parts = Parts::from_json(text.expose_secret())?;
    let format = c.format.as_deref();
    if c.test {
        return drivers::parts(&parts, format, c.json.json).await;
    }
    let text = connections::compose(
        &parts,
        format.unwrap_or(DEFAULT),
        c.carrier.as_deref(),
        c.variable.as_deref(),
    )?;
    let tls = parts.tls.rung().label();
    if c.explain {
        return explain(
            &text.masked(),
            &connections::explained(&text),
            tls,
            c.json.json,
        );
    }
    let whole = text.reveal();
    if c.json.json {
        out(json(&serde_json::json!({
            "format": format.unwrap_or(DEFAULT),
            "carrier": c.carrier,
            "masked": text.masked(),
            "pieces": connections::pieces(&text),
            "tls": tls,
            "password_on_stdin": text.input().is_some(),
            "connection_string": whole.expose_secret(),
        }))?);
    } else {
        out(whole.expose_secret());
    }
    Ok(0)
}

fn explain(masked: &str, explained: &[dto::Explained], tls: &str, as_json: bool) -> Result<u8> {
    if as_json {
        out(json(&serde_json::json!({
            "masked": masked,
            "parts": explained,
            "tls": tls,
        }))?);
        return Ok(0);
    }
    out(masked);
    out("");
    out(draw(
        &["PART", "MEANS"],
        explained
            .iter()
            .map(|e| vec![e.text.clone(), e.meaning.clone()]),
    ));
    Ok(0)
}

/// Reads a file or, for `-`, standard input, at most `longest` bytes.
fn input(file: &std::path::Path, longest: usize) -> Result<Secret> {
    use std::io::Read;
    let dash = file.as_os_str() == "-";
    let what = if dash {
        "Standard input".to_owned()
    } else {
        format!("`{}`", file.display())
    };
    let failed =
        |e: std::io::Error| Error::failed(format!("{what} cannot be read")).because(e.to_string());
    // One more than may be: the reader says that it is too long.
    let limit = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::with_capacity(longest.saturating_add(1));
    if dash {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(limit).read_to_end(&mut bytes))
    }
    .map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        secrecy::zeroize::Zeroize::zeroize(&mut e.into_bytes());
        Error::usage(format!("{what} is not UTF-8"))
    })?;
    Ok(Secret::from(text))
}
