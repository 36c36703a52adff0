//! Requests about images.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    filters::Filters,
    query::Query,
    reply::{self, Reply},
    view,
};
use crate::machine::{
    Model,
    image::{Pull, Removed, full_reference},
    refusal::{Answer, Refusal},
};

pub(super) fn list(model: &Model, query: &Query) -> Answer<Reply> {
    let filters = Filters::parse(
        query,
        &["reference", "label", "dangling", "before", "since"],
    )?;
    let shown: Vec<Value> = model
        .images()
        .iter()
        .filter(|image| {
            filters.any("reference", |v| {
                let v = v.trim_end_matches('*');
                image
                    .tags
                    .iter()
                    .any(|tag| *tag == full_reference(v) || tag.starts_with(&format!("{v}:")))
            }) && filters.any("dangling", |v| {
                image.tags.is_empty() == matches!(v, "true" | "1")
            }) && filters.labels(&image.config.labels)
        })
        .map(|image| view::image_in_list(model, image))
        .collect();
    Ok(reply::json(200, &shown))
}

pub(super) fn inspect(model: &Model, name: &str) -> Answer<Reply> {
    let image = model.image(name)?;
    Ok(reply::json(200, &view::image(model, &image)))
}

pub(super) fn history(model: &Model, name: &str) -> Answer<Reply> {
    let image = model.image(name)?;
    Ok(reply::json(
        200,
        &json!([{
            "Id": image.id, "Created": image.created.timestamp(), "CreatedBy": "", "Tags": image.tags,
            "Size": image.size, "Comment": "",
        }]),
    ))
}

pub(super) async fn tag(model: &Model, name: &str, query: &Query) -> Answer<Reply> {
    let repository = query.get("repo").unwrap_or_default();
    if repository.is_empty() {
        return Err(Refusal::invalid("invalid reference format"));
    }
    model
        .tag_image(name, repository, query.get("tag").unwrap_or_default())
        .await?;
    Ok(reply::empty(201))
}

pub(super) async fn remove(model: &Model, name: &str, query: &Query) -> Answer<Reply> {
    let gone = model.remove_image(name, query.flag("force")).await?;
    let shown: Vec<Value> = gone
        .into_iter()
        .map(|one| match one {
            Removed::Untagged(name) => json!({ "Untagged": name }),
            Removed::Deleted(id) => json!({ "Deleted": id }),
        })
        .collect();
    Ok(reply::json(200, &shown))
}

pub(super) fn pull(model: &Arc<Model>, query: &Query) -> Answer<Reply> {
    if query.get("fromSrc").is_some_and(|s| !s.is_empty()) {
        return Err(Refusal::not_implemented("Importing an image"));
    }
    let name = query.get("fromImage").unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::invalid("invalid reference format"));
    }
    let reference = match query.get("tag").filter(|t| !t.is_empty()) {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None => name.to_owned(),
    };
    let reference = full_reference(&reference);
    let (repository, tag) = reference.rsplit_once(':').unwrap_or((&reference, "latest"));
    let begin = json!({ "status": format!("Pulling from {}", repository.rsplit_once("mcr.microsoft.com/").map_or(repository, |(_, r)| r)), "id": tag });
    let lines = match model.pull(&reference) {
        Pull::Refused(refusal) => return Err(refusal),
        Pull::WrongPlatform(why) => vec![
            begin,
            json!({ "errorDetail": { "message": why }, "error": why }),
        ],
        Pull::Present(reference) => {
            vec![
                begin,
                json!({ "status": format!("Status: Image is up to date for {reference}") }),
            ]
        }
    };
    let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    Ok(reply::text(200, "application/json", Bytes::from(text)))
}
