//! Answers that last: logs, events, stats, and waiting for an end.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{
    filters::Filters,
    query::Query,
    reply::{self, Parts, Reply},
    stats, view,
};
use crate::machine::{
    Model,
    event::Event,
    log::{Line, Source},
    refusal::{Answer, Refusal},
};

/// A part of a multiplexed stream: its source, four zero-padded bytes, its length, its bytes.
pub(super) fn frame(source: Source, data: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(8 + data.len());
    framed.put_u32(match source {
        Source::Stdout => 1 << 24,
        Source::Stderr => 2 << 24,
    });
    framed.put_u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
    framed.put_slice(data);
    framed.freeze()
}

struct LogView {
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    tty: bool,
}

impl LogView {
    fn shows(&self, line: &Line) -> bool {
        let source = match line.source {
            Source::Stdout => self.stdout,
            Source::Stderr => self.stderr,
        };
        source
            && self.since.is_none_or(|t| line.time >= t)
            && self.until.is_none_or(|t| line.time <= t)
    }

    fn write(&self, line: &Line) -> Bytes {
        let time = if self.timestamps {
            line.time.to_rfc3339_opts(SecondsFormat::Nanos, true) + " "
        } else {
            String::new()
        };
        let text = format!("{time}{}\n", line.text);
        if self.tty {
            Bytes::from(text)
        } else {
            frame(line.source, text.as_bytes())
        }
    }
}

pub(super) fn logs(model: &Arc<Model>, id: &str, query: &Query) -> Answer<Reply> {
    let container = model.container(id)?;
    let live = model.live(id)?;
    let view = LogView {
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        timestamps: query.flag("timestamps"),
        since: query.time("since")?,
        until: query.time("until")?,
        tty: container.config.tty,
    };
    if !view.stdout && !view.stderr {
        return Err(Refusal::invalid(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let tail = query.get("tail").and_then(|n| n.parse::<usize>().ok());
    let follow = query.flag("follow");
    let (parts, reply) = reply::stream("application/vnd.docker.raw-stream");
    tokio::spawn(async move {
        let mut exits = live.exits();
        let mut lines = live.log().follow();
        let first: Vec<Line> = lines.take().into_iter().filter(|l| view.shows(l)).collect();
        let skip = tail.map_or(0, |n| first.len().saturating_sub(n));
        let mut batch: Vec<Line> = first.into_iter().skip(skip).collect();
        loop {
            for line in &batch {
                if parts.send(view.write(line)).await.is_err() {
                    return;
                }
            }
            // Asked before the last look, so that what is printed at the very end is not lost.
            let running = live.run().is_some();
            batch = if follow {
                lines.take().into_iter().filter(|l| view.shows(l)).collect()
            } else {
                Vec::new()
            };
            if !batch.is_empty() {
                continue;
            }
            if !follow || !running {
                return;
            }
            tokio::select! {
                () = lines.changed() => {}
                _ = exits.changed() => {}
                () = live.removed.cancelled() => return,
                () = parts.closed() => return,
            }
        }
    });
    Ok(reply)
}

fn event_json(event: &Event) -> Value {
    let nanos = event.time.timestamp_nanos_opt().unwrap_or_default();
    let mut shown = json!({
        "Type": event.kind, "Action": event.action,
        "Actor": { "ID": event.id, "Attributes": event.attributes },
        "scope": "local", "time": event.time.timestamp(), "timeNano": nanos,
    });
    if event.kind == "container"
        && let Value::Object(map) = &mut shown
    {
        // The older fields, which clients still read.
        map.insert("status".into(), json!(event.action));
        map.insert("id".into(), json!(event.id));
        map.insert("from".into(), json!(event.attributes.get("image")));
    }
    shown
}

pub(super) fn events(model: &Arc<Model>, query: &Query) -> Answer<Reply> {
    let filters = Filters::parse(
        query,
        &[
            "type",
            "event",
            "container",
            "image",
            "volume",
            "network",
            "label",
            "scope",
            "daemon",
        ],
    )?;
    let (since, until) = (query.time("since")?, query.time("until")?);
    let shows = move |event: &Event| {
        let name = event.attributes.get("name");
        let is = |v: &str| event.id.starts_with(v) || name.is_some_and(|n| n == v);
        filters.any("type", |v| event.kind == v)
            && filters.any("event", |v| {
                event.action == v || event.action.starts_with(&format!("{v}:"))
            })
            && filters.any("container", |v| event.kind == "container" && is(v))
            && filters.any("volume", |v| event.kind == "volume" && event.id == v)
            && filters.any("network", |v| event.kind == "network" && is(v))
            && filters.any("image", |v| {
                event.attributes.get("image").is_some_and(|i| i == v) || event.id == v
            })
            && filters.any("scope", |v| v == "local")
            && filters.labels(&event.attributes)
    };
    let (parts, reply) = reply::stream("application/json");
    let model = Arc::clone(model);
    let mut log = model.events().follow();
    let now = model.now();
    tokio::spawn(async move {
        // Without `since` only what comes from now on.
        let from = since.unwrap_or(now);
        loop {
            for event in log.take() {
                let in_time = event.time >= from && until.is_none_or(|t| event.time <= t);
                if in_time && shows(&event) && send_json(&parts, &event_json(&event)).await.is_err()
                {
                    return;
                }
            }
            let left = until.map(|t| (t - model.now()).to_std().unwrap_or_default());
            if left.is_some_and(|l| l.is_zero()) {
                return;
            }
            tokio::select! {
                () = log.changed() => {}
                () = async { match left { Some(l) => tokio::time::sleep(l).await, None => std::future::pending().await } } => {}
                () = parts.closed() => return,
                () = model.down().cancelled() => return,
            }
        }
    });
    Ok(reply)
}

async fn send_json(parts: &Parts, value: &Value) -> Result<(), ()> {
    parts
        .send(Bytes::from(format!("{value}\n")))
        .await
        .map_err(drop)
}

pub(super) fn stats(model: &Arc<Model>, id: &str, query: &Query) -> Answer<Reply> {
    let container = model.container(id)?;
    let live = model.live(id)?;
    let once = !query.flag_or("stream", true);
    let processors = model.facts().cpus;
    let sample = {
        let (model, live, id) = (Arc::clone(model), Arc::clone(&live), container.id.clone());
        move || -> Option<Value> {
            let container = model.container(&id).ok()?;
            let Some(run) = live.run() else {
                // As moby: an empty sample for what does not run.
                return Some(json!({
                    "read": view::time(None), "preread": view::time(None), "pids_stats": {}, "blkio_stats": {},
                    "num_procs": 0, "storage_stats": {}, "cpu_stats": { "cpu_usage": { "total_usage": 0 } },
                    "precpu_stats": { "cpu_usage": { "total_usage": 0 } }, "memory_stats": {},
                    "name": format!("/{}", container.name), "id": container.id,
                }));
            };
            let endpoint = container.address.map(|_| view::endpoint_id(&id));
            Some(stats::windows(
                &container.name,
                &id,
                endpoint,
                processors,
                run.uptime(),
                model.now(),
            ))
        }
    };
    if once {
        let value =
            sample().ok_or_else(|| Refusal::not_found(format!("No such container: {id}")))?;
        return Ok(reply::json(200, &value));
    }
    let (parts, reply) = reply::stream("application/json");
    tokio::spawn(async move {
        let mut each = tokio::time::interval(Duration::from_secs(1));
        each.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = each.tick() => {}
                () = live.removed.cancelled() => return,
                () = parts.closed() => return,
            }
            let Some(value) = sample() else { return };
            if send_json(&parts, &value).await.is_err() {
                return;
            }
        }
    });
    Ok(reply)
}

pub(super) fn wait(model: &Arc<Model>, id: &str, query: &Query) -> Answer<Reply> {
    let container = model.container(id)?;
    let live = model.live(id)?;
    let condition = query.get("condition").unwrap_or_default().to_owned();
    if !matches!(
        condition.as_str(),
        "" | "not-running" | "next-exit" | "removed"
    ) {
        return Err(Refusal::invalid(format!(
            "invalid condition: \"{condition}\""
        )));
    }
    let mut exits = live.exits();
    let before = exits.borrow().0;
    let running = live.run().is_some();
    let (parts, reply) = reply::stream("application/json");
    tokio::spawn(async move {
        let code = match condition.as_str() {
            "" | "not-running" if !running => Some(container.exit_code),
            "removed" => {
                tokio::select! {
                    () = live.removed.cancelled() => {}
                    () = parts.closed() => return,
                }
                let last = *exits.borrow();
                Some(if last.0 > 0 {
                    last.1
                } else {
                    container.exit_code
                })
            }
            _ => tokio::select! {
                ended = exits.wait_for(|e| e.0 > before) => ended.ok().map(|e| e.1),
                () = live.removed.cancelled() => None,
                () = parts.closed() => return,
            },
        };
        let answer = match code {
            Some(code) => json!({ "StatusCode": code, "Error": null }),
            None => {
                json!({ "StatusCode": -1, "Error": { "Message": "the container was removed" } })
            }
        };
        let _ = send_json(&parts, &answer).await;
    });
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_tells_its_source_and_length(data: Vec<u8>, err: bool) {
            let source = if err { Source::Stderr } else { Source::Stdout };
            let framed = frame(source, &data);
            prop_assert_eq!(framed[0], if err { 2 } else { 1 });
            prop_assert_eq!(&framed[1..4], &[0, 0, 0]);
            prop_assert_eq!(u32::from_be_bytes(framed[4..8].try_into().unwrap()) as usize, data.len());
            prop_assert_eq!(&framed[8..], &data[..]);
        }
    }
}
