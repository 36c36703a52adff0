//! Requests about containers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    filters::Filters,
    query::Query,
    reply::{self, Reply},
    view,
};
use crate::machine::{
    Model,
    config::{Config, HostConfig},
    refusal::{Answer, Refusal},
    state::Status,
};

/// moby's stop timeout on Windows, in seconds.
const STOP_SECONDS: i64 = 30;

pub(super) fn list(model: &Model, query: &Query) -> Answer<Reply> {
    let filters = Filters::parse(
        query,
        &[
            "id",
            "name",
            "label",
            "status",
            "ancestor",
            "volume",
            "exited",
            "network",
            "is-task",
            "health",
            "isolation",
        ],
    )?;
    let limit = query
        .seconds("limit")?
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n > 0);
    let all =
        query.flag("all") || limit.is_some() || filters.has("status") || filters.has("exited");
    let shown: Vec<Value> = model
        .containers()
        .iter()
        .filter(|c| all || matches!(c.status, Status::Running | Status::Restarting))
        .filter(|c| {
            filters.any("id", |v| c.id.starts_with(v))
                && filters.any("name", |v| {
                    c.name
                        .contains(v.trim_start_matches(['/', '^']).trim_end_matches('$'))
                })
                && filters.any("status", |v| c.status.as_str() == v)
                && filters.any("exited", |v| {
                    c.status == Status::Exited && c.exit_code.to_string() == v
                })
                && filters.any("ancestor", |v| {
                    c.config.image == v || model.image(v).is_ok_and(|image| image.id == c.image_id)
                })
                && filters.any("volume", |v| {
                    c.mounts
                        .iter()
                        .any(|m| m.volume.as_deref() == Some(v) || m.target.eq_ignore_ascii_case(v))
                })
                && filters.any("network", |v| v == "nat" || view::NAT_ID.starts_with(v))
                && filters.any("isolation", |v| c.host_config.isolation == v)
                && filters.any("is-task", |v| matches!(v, "false" | "0"))
                && filters.any("health", |v| view::health(model, c).unwrap_or("none") == v)
                && filters.labels(&c.config.labels)
        })
        .take(limit.unwrap_or(usize::MAX))
        .map(|container| view::container_in_list(model, container))
        .collect();
    Ok(reply::json(200, &shown))
}

#[derive(Default, Deserialize)]
pub(super) struct Create {
    #[serde(flatten)]
    config: Config,
    #[serde(rename = "HostConfig", default)]
    host: Option<HostConfig>,
    #[serde(rename = "NetworkingConfig", default)]
    networking: Option<Networking>,
}

#[derive(Default, Deserialize)]
struct Networking {
    #[serde(rename = "EndpointsConfig", default)]
    endpoints: Option<BTreeMap<String, Value>>,
}

pub(super) async fn create(model: &Arc<Model>, query: &Query, asked: Create) -> Answer<Reply> {
    if query
        .get("platform")
        .is_some_and(|p| !p.is_empty() && !p.starts_with("windows"))
    {
        return Err(Refusal::invalid(format!(
            "image operating system \"{}\" cannot be used on this platform",
            query.get("platform").unwrap_or_default()
        )));
    }
    for name in asked
        .networking
        .and_then(|n| n.endpoints)
        .unwrap_or_default()
        .keys()
    {
        if !matches!(name.as_str(), "nat" | "default" | "none") {
            return Err(Refusal::not_found(format!("network {name} not found")));
        }
    }
    let id = model
        .create_container(
            query.get("name"),
            asked.config,
            asked.host.unwrap_or_default(),
        )
        .await?;
    Ok(reply::json(201, &json!({ "Id": id, "Warnings": [] })))
}

pub(super) fn inspect(model: &Model, id: &str) -> Answer<Reply> {
    let container = model.container(id)?;
    Ok(reply::json(200, &view::container(model, &container)))
}

pub(super) async fn remove(model: &Model, id: &str, query: &Query) -> Answer<Reply> {
    if query.flag("link") {
        return Err(Refusal::not_implemented("Removing a link"));
    }
    model
        .remove_container(id, query.flag("force"), query.flag("v"))
        .await?;
    Ok(reply::empty(204))
}

pub(super) async fn prune(model: &Model, query: &Query) -> Answer<Reply> {
    let filters = Filters::parse(query, &["label"])?;
    let mut gone = Vec::new();
    for container in model.containers() {
        if !matches!(container.status, Status::Running | Status::Restarting)
            && filters.labels(&container.config.labels)
        {
            model.remove_container(&container.id, false, false).await?;
            gone.push(container.id);
        }
    }
    Ok(reply::json(
        200,
        &json!({ "ContainersDeleted": gone, "SpaceReclaimed": 0 }),
    ))
}

pub(super) async fn act(
    model: &Arc<Model>,
    id: &str,
    action: &str,
    query: &Query,
) -> Answer<Reply> {
    let grace = || -> Answer<Duration> {
        let container = model.container(id)?;
        let seconds = query
            .seconds("t")?
            .or(container.config.stop_timeout)
            .unwrap_or(STOP_SECONDS);
        // Negative means for ever; a day stands for it.
        Ok(Duration::from_secs(
            u64::try_from(seconds).unwrap_or(86_400).min(86_400),
        ))
    };
    match action {
        "start" => model.start_container(id).await?,
        "stop" => model.stop_container(id, grace()?).await?,
        "restart" => model.restart_container(id, grace()?).await?,
        "kill" => match query.get("signal").unwrap_or_default() {
            "" | "KILL" | "SIGKILL" | "9" => model.kill_container(id).await?,
            // Any other signal is a shutdown on Windows, and its end is not waited for.
            "TERM" | "SIGTERM" | "15" | "INT" | "SIGINT" | "2" => {
                let running = model.live(id)?.run().is_some();
                if !running {
                    let id = model.container(id)?.id;
                    return Err(Refusal::conflict(format!(
                        "Cannot kill container: {id}: Container {id} is not running"
                    )));
                }
                let (model, id) = (Arc::clone(model), id.to_owned());
                tokio::spawn(async move {
                    if let Err(refusal) =
                        model.stop_container(&id, Duration::from_secs(86_400)).await
                    {
                        tracing::debug!("a shutdown by signal: {}", refusal.message);
                    }
                });
            }
            other => return Err(Refusal::invalid(format!("Invalid signal: {other}"))),
        },
        "rename" => {
            model
                .rename_container(id, query.get("name").unwrap_or_default())
                .await?
        }
        "pause" | "unpause" => {
            let id = model.container(id)?.id;
            return Err(Refusal::failed(format!(
                "Cannot {action} container {id}: cannot {action} Windows Server Containers"
            )));
        }
        "resize" => return model.container(id).map(|_| reply::empty(200)),
        "update" => {
            return Err(Refusal::failed(
                "resource updating isn't supported on Windows",
            ));
        }
        _ => {
            model.container(id)?;
            return Err(Refusal::not_implemented(&format!(
                "POST /containers/{id}/{action}"
            )));
        }
    }
    Ok(reply::empty(204))
}

pub(super) fn top(model: &Model, id: &str, query: &Query) -> Answer<Reply> {
    if query.get("ps_args").is_some_and(|args| !args.is_empty()) {
        return Err(Refusal::invalid(
            "Windows does not support arguments to top",
        ));
    }
    let container = model.container(id)?;
    let Some(run) = model.live(id)?.run() else {
        return Err(Refusal::conflict(format!(
            "Container {} is not running",
            container.id
        )));
    };
    let sample = super::stats::Sample::at(&container.id, run.uptime());
    let seconds = sample.cpu_100ns / 10_000_000;
    let cpu = format!(
        "{:02}:{:02}:{:02}.000",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    #[allow(clippy::cast_precision_loss, reason = "shown with four digits")]
    let mb = |bytes: u64| format!("{:.1}MB", bytes as f64 / 1_000_000.0);
    let mut processes = vec![json!(["powershell.exe", "1180", "00:00:01.140", "52.4MB"])];
    if run.sql().is_some() {
        processes.push(json!(["sqlservr.exe", "1532", cpu, mb(sample.memory)]));
    }
    Ok(reply::json(
        200,
        &json!({ "Titles": ["Name", "PID", "CPU", "Private Working Set"], "Processes": processes }),
    ))
}
