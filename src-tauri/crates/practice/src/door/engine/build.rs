//! `POST /build`, the classic builder: a context as tar, and JSON lines that say how far it is.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use hyper::{Request, body::Incoming};
use serde_json::json;

use super::{
    archive::{receive, unpack},
    query::Query,
    reply::{self, Parts, Reply},
};
use crate::machine::{
    Model,
    build::Order,
    recipe::{Say, Word},
    refusal::{Answer, Refusal},
};

fn map(query: &Query, name: &str) -> Answer<BTreeMap<String, String>> {
    match query.get(name) {
        None | Some("") => Ok(BTreeMap::new()),
        // A build argument without a value comes as null: it stays unset.
        Some(text) => serde_json::from_str::<BTreeMap<String, Option<String>>>(text)
            .map(|all| {
                all.into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect()
            })
            .map_err(|e| Refusal::invalid(format!("{name}: {e}"))),
    }
}

pub(super) async fn build(
    model: &Arc<Model>,
    query: &Query,
    request: Request<Incoming>,
) -> Answer<Reply> {
    if query.get("version") == Some("2") {
        return Err(Refusal::not_implemented("BuildKit"));
    }
    for name in ["remote", "target", "outputs"] {
        if query.get(name).is_some_and(|value| !value.is_empty()) {
            return Err(Refusal::not_implemented(&format!("`{name}` of a build")));
        }
    }
    if query.flag("squash") {
        return Err(Refusal::invalid(
            "squash is only supported with experimental mode",
        ));
    }
    if query
        .get("platform")
        .is_some_and(|p| !p.is_empty() && !p.starts_with("windows"))
    {
        return Err(Refusal::invalid(
            "image operating system cannot be used on this platform",
        ));
    }
    let file = receive(model, request).await?;
    let folder = tempfile::tempdir().map_err(|e| Refusal::failed(e.to_string()))?;
    let there = folder.path().to_owned();
    tokio::task::spawn_blocking(move || unpack(file, &there, true))
        .await
        .map_err(|e| Refusal::failed(e.to_string()))??;
    let order = Order {
        context: folder.path().to_owned(),
        dockerfile: query
            .get("dockerfile")
            .filter(|name| !name.is_empty())
            .unwrap_or("Dockerfile")
            .to_owned(),
        tags: query.all("t").map(str::to_owned).collect(),
        arguments: map(query, "buildargs")?,
        labels: map(query, "labels")?,
        no_cache: query.flag("nocache"),
    };
    let quiet = query.flag("q");
    let (parts, reply) = reply::stream("application/json");
    let model = Arc::clone(model);
    tokio::spawn(async move {
        let (said, mut words) = tokio::sync::mpsc::channel(1);
        let say = Say(said);
        // Who hangs up ends the telling, and with it the build.
        let (to, faults) = (&parts, model.faults());
        let telling = async move {
            while let Some(word) = words.recv().await {
                let line = match word {
                    _ if quiet => continue,
                    Word::Said(text) => json!({ "stream": text }),
                    Word::Pull(line) => line,
                };
                if faults.passes() || !tell(to, &line).await {
                    return;
                }
            }
        };
        let building = async {
            let result = model.build_image(&order, &say).await;
            drop(say);
            result
        };
        let (result, ()) = tokio::join!(building, telling);
        drop(folder);
        let mut lines: Vec<serde_json::Value> = Vec::new();
        match result {
            Ok(id) => {
                let short: String = id.trim_start_matches("sha256:").chars().take(12).collect();
                lines.push(json!({ "aux": { "ID": id } }));
                if quiet {
                    lines.push(json!({ "stream": format!("{id}\n") }));
                } else {
                    lines.push(json!({ "stream": format!("Successfully built {short}\n") }));
                    for tag in &order.tags {
                        let tag = crate::machine::image::full_reference(tag);
                        lines.push(json!({ "stream": format!("Successfully tagged {tag}\n") }));
                    }
                }
            }
            Err(refusal) => lines.push(json!({
                "errorDetail": { "message": refusal.message }, "error": refusal.message,
            })),
        }
        for line in lines {
            if !tell(&parts, &line).await {
                return;
            }
        }
    });
    Ok(reply)
}

/// One line of the stream; false where nobody reads it any more.
async fn tell(parts: &Parts, line: &serde_json::Value) -> bool {
    parts.send(Bytes::from(format!("{line}\r\n"))).await.is_ok()
}
