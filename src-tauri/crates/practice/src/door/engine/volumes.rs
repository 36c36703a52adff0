//! Requests about volumes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    filters::Filters,
    query::Query,
    reply::{self, Reply},
    view,
};
use crate::machine::{
    Model, random_id,
    refusal::{Answer, Kind, Refusal},
};

pub(super) fn list(model: &Model, query: &Query) -> Answer<Reply> {
    let filters = Filters::parse(query, &["name", "label", "driver", "dangling"])?;
    let shown: Vec<Value> = model
        .volumes()
        .iter()
        .filter(|volume| {
            filters.any("name", |v| volume.name.contains(v))
                && filters.any("driver", |v| v == "local")
                && filters.any("dangling", |v| {
                    let unused = model.read(|state| state.users_of(&volume.name).is_empty());
                    unused == matches!(v, "true" | "1")
                })
                && filters.labels(&volume.labels)
        })
        .map(view::volume)
        .collect();
    Ok(reply::json(
        200,
        &json!({ "Volumes": shown, "Warnings": null }),
    ))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Create {
    name: String,
    driver: String,
    driver_opts: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
}

pub(super) async fn create(model: &Model, asked: Create) -> Answer<Reply> {
    if !matches!(asked.driver.as_str(), "" | "local") {
        return Err(Refusal::not_found(format!(
            "create {}: error looking up volume plugin {driver}: plugin \"{driver}\" not found",
            asked.name,
            driver = asked.driver
        )));
    }
    if asked.driver_opts.is_some_and(|options| !options.is_empty()) {
        return Err(Refusal::invalid(format!(
            "create {}: options are not supported on this platform",
            asked.name
        )));
    }
    let name = if asked.name.is_empty() {
        random_id()?
    } else {
        asked.name
    };
    let volume = model
        .create_volume(&name, asked.labels.unwrap_or_default())
        .await?;
    Ok(reply::json(201, &view::volume(&volume)))
}

pub(super) fn inspect(model: &Model, name: &str) -> Answer<Reply> {
    Ok(reply::json(200, &view::volume(&model.volume(name)?)))
}

pub(super) async fn remove(model: &Model, name: &str, query: &Query) -> Answer<Reply> {
    model.remove_volume(name, query.flag("force")).await?;
    Ok(reply::empty(204))
}

pub(super) async fn prune(model: &Model, query: &Query) -> Answer<Reply> {
    let filters = Filters::parse(query, &["label", "all"])?;
    let mut gone = Vec::new();
    for volume in model.volumes() {
        if !filters.labels(&volume.labels) {
            continue;
        }
        match model.remove_volume(&volume.name, false).await {
            Ok(()) => gone.push(volume.name),
            Err(refusal) if refusal.kind == Kind::Conflict => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(reply::json(
        200,
        &json!({ "VolumesDeleted": gone, "SpaceReclaimed": 0 }),
    ))
}
