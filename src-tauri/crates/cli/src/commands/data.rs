//! `berth database …`, `berth data …`

use berth_api::{dto, table};
use berth_core::{Error, Result};

use crate::{
    args::{Data, Database},
    render::{self, note, out},
    session::{Session, json},
};

pub(crate) async fn database(session: &Session, command: Database) -> Result<u8> {
    match command {
        Database::List {
            name,
            json: as_json,
        } => {
            let all = session
                .call::<table::DatabaseList>(&dto::InstanceName { name })
                .await?
                .body;
            if as_json.json {
                out(json(&all)?);
                return Ok(0);
            }
            out(render::table(
                &["DATABASE", "STATE", ""],
                all.into_iter().map(|d| {
                    let whose = if d.system { "SQL Server's own" } else { "" };
                    vec![d.name, d.state, whose.to_owned()]
                }),
            ));
        }
        Database::Create {
            name,
            database,
            json: as_json,
        } => {
            let request = dto::Database { name, database };
            let made = session.call::<table::DatabaseCreate>(&request).await?.body;
            if as_json.json {
                out(json(&made)?);
                return Ok(0);
            }
            out(format!(
                "{} has the database {}, which {} owns",
                made.instance, made.database, made.login
            ));
            note(format!(
                "note: `berth connection {} --database {} --login {}` gives its string",
                made.instance, made.database, made.login
            ));
        }
        Database::Drop { name, database } => {
            let request = dto::Database { name, database };
            session.call::<table::DatabaseDrop>(&request).await?;
            out(format!(
                "{} is gone from {}",
                request.database, request.name
            ));
        }
    }
    Ok(0)
}

pub(crate) async fn data(session: &Session, command: Data) -> Result<u8> {
    match command {
        Data::List {
            host,
            json: as_json,
        } => {
            let all = session
                .call::<table::DataList>(&dto::InstanceList { host })
                .await?
                .body;
            let code = u8::from(!all.unreached.is_empty());
            if as_json.json {
                out(json(&all)?);
                return Ok(code);
            }
            if all.data.is_empty() && all.unreached.is_empty() {
                note("No data without an instance");
            } else if !all.data.is_empty() {
                out(render::table(
                    &["NAME", "HOST", "VERSION", "DATABASE", "MADE BY", "ID"],
                    all.data.into_iter().map(|d| {
                        vec![
                            d.name,
                            d.host,
                            format!("{} {}", d.version, d.edition),
                            d.database.unwrap_or_default(),
                            d.owner,
                            d.id,
                        ]
                    }),
                ));
                note("`berth up NAME` takes it up again, `berth data delete ID` deletes it");
            }
            for unreached in all.unreached {
                render::error(
                    &Error::from(unreached.error)
                        .context(format!("`{}` did not answer", unreached.host)),
                );
            }
            Ok(code)
        }
        Data::Delete { id, host } => {
            let gone = session
                .call::<table::DataDelete>(&dto::DataDelete { id, host })
                .await?
                .body;
            out(format!(
                "The data of {}/{} is deleted",
                gone.host, gone.name
            ));
            Ok(0)
        }
    }
}
