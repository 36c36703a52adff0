//! `berth agent …`

use std::{collections::BTreeMap, time::Duration};

use berth_agent::{Client, Paths, client::Start, launchd, serve};
use berth_api::{dto, table};
use berth_core::{Code, Result};

use crate::{args::Agent, render::out, session::json};

pub(crate) async fn run(command: Agent) -> Result<u8> {
    let paths = Paths::of_this_user()?;
    match command {
        Agent::Serve { idle } => {
            Box::pin(serve::run(paths, Duration::from_secs(idle))).await?;
            Ok(0)
        }
        Agent::Status { json: as_json } => {
            let client = Client::connect(&paths, Start::Never).await?;
            let status = client
                .call::<table::AgentStatus>(&dto::Nothing {}, BTreeMap::new())
                .await?
                .body;
            if as_json.json {
                out(json(&status)?);
                return Ok(0);
            }
            out(format!(
                "Berth's agent {} runs as process {} since {}",
                status.version, status.pid, status.started_at
            ));
            out(format!("  operations under way  {}", status.operations));
            out(format!(
                "  connected to          {}",
                if status.connected.is_empty() {
                    "nothing".into()
                } else {
                    status.connected.join(", ")
                }
            ));
            for e in status.endpoints {
                let state = e
                    .problem
                    .unwrap_or_else(|| format!("{} clients", e.clients));
                out(format!(
                    "  127.0.0.1:{}       {} ({state})",
                    e.port, e.instance
                ));
            }
            Ok(0)
        }
        Agent::Stop { force } => match Client::stop(&paths, force).await {
            Ok(()) => {
                out("Berth's agent has ended");
                Ok(0)
            }
            Err(e) if e.code() == Code::NotFound => {
                out("No agent of Berth runs");
                Ok(0)
            }
            Err(e) => Err(e),
        },
        Agent::Install => {
            let file = launchd::install(&paths)?;
            out(format!("Berth's agent starts at login: {}", file.display()));
            Ok(0)
        }
        Agent::Uninstall => {
            out(if launchd::uninstall()? {
                "Berth's agent does not start at login any more"
            } else {
                "It did not start at login"
            });
            Ok(0)
        }
    }
}
