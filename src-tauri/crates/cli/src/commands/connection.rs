//! `berth connection`

use berth_api::{dto, table};
use berth_core::{Error, Result, secret::ExposeSecret};

use crate::{
    args::Connection,
    render::{note, out, table as draw},
    session::{Session, json},
};

pub(crate) async fn run(session: &Session, c: Connection) -> Result<u8> {
    if c.formats {
        let formats = session
            .call::<table::ConnectionFormats>(&dto::Nothing {})
            .await?
            .body;
        if c.json.json {
            out(json(&formats)?);
        } else {
            out(draw(
                &["FORMAT", "NAME", "FOR"],
                formats
                    .iter()
                    .map(|f| vec![f.id.clone(), f.name.clone(), f.about.clone()]),
            ));
        }
        return Ok(0);
    }
    let name = c
        .name
        .ok_or_else(|| Error::usage("Which instance?").hint("`berth list` shows them"))?;
    let wish = dto::ConnectionShow {
        name,
        format: c.format,
        database: c.database,
        login: c.login,
        password_only: c.password,
    };
    if c.copy {
        let view = session.call::<table::ConnectionCopy>(&wish).await?.body;
        note(format!(
            "The connection string of {} is on the clipboard for 60 s",
            view.name
        ));
        return Ok(0);
    }
    let reply = session.call::<table::ConnectionShow>(&wish).await?;
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
