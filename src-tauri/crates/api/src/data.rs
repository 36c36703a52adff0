//! Kept data that has no instance: listed, and deleted when somebody says so.

use std::{collections::BTreeSet, sync::Arc};

use berth_core::{
    Code, Error, Result,
    host::PRACTICE,
    label::{self, DataMarker},
};
use futures_util::future::join_all;

use crate::{Berth, dto, instances, link::Link, passwords, table::Call};

/// What one host keeps: that of no instance, and the ids of instances.
async fn ask(berth: &Arc<Berth>, host: &str) -> Result<(Vec<dto::DataView>, BTreeSet<String>)> {
    let link = berth.links.get(berth, host).await?;
    let (volumes, containers) = tokio::try_join!(
        link.engine.volumes(Some(label::ID)),
        link.engine.containers(Some(label::ID))
    )?;
    let used: BTreeSet<String> = containers
        .into_iter()
        .filter_map(|c| c.labels.get(label::ID).cloned())
        .collect();
    let kept = volumes
        .into_iter()
        .filter_map(|v| {
            let marker = DataMarker::from_map(|k| v.labels.get(k).map(String::as_str))?;
            let more = |key: &str| v.labels.get(key).cloned().unwrap_or_default();
            Some(dto::DataView {
                host: host.to_owned(),
                edition: more(label::EDITION),
                owner: more(label::OWNER),
                database: v.labels.get(label::DATABASE).cloned(),
                id: marker.id,
                name: marker.name,
                version: marker.version,
                volume: v.name,
                made_at: v.created,
            })
        })
        .filter(|v| !used.contains(&v.id))
        .collect();
    Ok((kept, used))
}

async fn hosts(berth: &Arc<Berth>, host: Option<String>) -> Result<Vec<String>> {
    match host {
        Some(host) => {
            if host != PRACTICE {
                crate::hosts::find(&berth.hosts().await?, &host)?;
            }
            Ok(vec![host])
        }
        None => crate::hosts::all(berth).await,
    }
}

/// `data.list`.
pub(crate) async fn list(
    berth: &Arc<Berth>,
    request: dto::InstanceList,
    _: &Call,
) -> Result<dto::KeptData> {
    let hosts = hosts(berth, request.host).await?;
    let answers = join_all(hosts.iter().map(|host| ask(berth, host))).await;
    let mut all = dto::KeptData {
        data: Vec::new(),
        unreached: Vec::new(),
    };
    for (host, answer) in hosts.into_iter().zip(answers) {
        match answer {
            Ok((kept, _)) => all.data.extend(kept),
            Err(e) => all.unreached.push(dto::Unreached {
                host,
                error: (&e).into(),
            }),
        }
    }
    all.data
        .sort_by(|a, b| (&a.host, &a.name).cmp(&(&b.host, &b.name)));
    Ok(all)
}

/// `data.delete`.
pub(crate) async fn delete(
    berth: &Arc<Berth>,
    request: dto::DataDelete,
    _: &Call,
) -> Result<dto::DataView> {
    let wanted = request.id;
    let fits = |id: &str| id == wanted || (wanted.len() >= 6 && id.starts_with(&wanted));
    let mut found = Vec::new();
    let mut error = Error::not_found(format!("There is no kept data `{}`", wanted.escape_debug()))
        .hint("`berth data list` shows what there is");
    let hosts = hosts(berth, request.host).await?;
    let answers = join_all(hosts.iter().map(|host| ask(berth, host))).await;
    for (host, answer) in hosts.iter().zip(answers) {
        match answer {
            Ok((kept, used)) => {
                found.extend(kept.into_iter().filter(|d| fits(&d.id) || d.name == wanted));
                if used.iter().any(|id| fits(id)) {
                    return Err(Error::new(
                        Code::Refused,
                        format!("The data `{wanted}` on `{host}` belongs to an instance"),
                    )
                    .hint("`berth remove NAME --data delete` takes both away"));
                }
            }
            Err(e) => error = error.because(format!("`{host}` could not be asked: {e}")),
        }
    }
    if found.len() > 1 {
        let mut several = Error::usage(format!("`{wanted}` means several"));
        for data in &found {
            several = several.because(format!("`{}` on `{}`: {}", data.name, data.host, data.id));
        }
        return Err(several.hint("Give the whole id"));
    }
    let data = found.pop().ok_or(error)?;
    let link: Arc<Link> = berth.links.get(berth, &data.host).await?;
    link.engine.remove_volume(&data.volume).await?;
    // Its password opens nothing any more.
    if let Err(e) = passwords::forget(berth, &data.id).await {
        tracing::warn!("the password of deleted data stays: {e}");
    }
    if let Some(file) = passwords::kept_file(berth, &data.id).await {
        passwords::forget_own(berth, file).await;
    }
    instances::forget_name(berth, &data.id).await;
    Ok(data)
}
