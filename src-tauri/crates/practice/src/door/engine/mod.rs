//! The engine's door: the Docker Engine API 1.41 as a Windows engine answers it, over any
//! stream of bytes.
//!
//! Texts and status codes are those of moby 20.10. What is not there answers 501 and says so.

mod archive;
mod attach;
mod build;
mod containers;
mod exec;
mod filters;
mod images;
mod query;
mod reply;
mod stats;
mod streams;
mod system;
pub(crate) mod tls;
mod view;
mod volumes;

use std::sync::Arc;

use berth_core::ByteStream;
use http_body_util::{BodyExt, Limited};
use hyper::{Method, Request, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;

use self::{
    query::Query,
    reply::{Reply, refuse},
};
use crate::machine::{
    Model, fault,
    refusal::{Answer, Refusal},
};

/// The newest and oldest API that this engine speaks.
pub(crate) const API: &str = "1.41";
const API_MINOR: (u32, u32) = (24, 41);
/// The largest request body in bytes.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// Answers requests on one connection until it ends.
pub async fn serve(model: Arc<Model>, stream: Box<dyn ByteStream>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let model = Arc::clone(&model);
        async move {
            // Not the engine's own: this one answers also when the engine does not.
            if request.uri().path() == FAULTS {
                return Ok(faults(&model, request).await);
            }
            if !model.engine_up(true) {
                return Err(std::io::Error::other("the engine is gone"));
            }
            if model.faults().engine_hangs() {
                // Until the client gives up, or the machine goes down.
                model.down().cancelled().await;
                return Err(std::io::Error::other("the engine is gone"));
            }
            // In a task of its own: what was begun is finished, whatever becomes of the connection.
            tokio::spawn(async move { answer(&model, request).await })
                .await
                .map_err(std::io::Error::other)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        // An idle connection costs nothing here and ends with what carries it.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the practice engine ended");
    }
}

/// Where faults are asked for while the machine runs: one a line, as in [`fault::FILE`].
const FAULTS: &str = "/_practice/faults";

/// `PUT` replaces them.
async fn faults(model: &Model, request: Request<Incoming>) -> Reply {
    if request.method() != Method::PUT {
        return refuse(&Refusal::invalid(format!("{FAULTS} takes a PUT")));
    }
    let read = Limited::new(request.into_body(), LARGEST_BODY)
        .collect()
        .await
        .map_err(|e| e.to_string())
        .and_then(|body| {
            let body = body.to_bytes();
            let text = std::str::from_utf8(&body).map_err(|e| e.to_string())?;
            fault::read(text).map_err(|e| e.to_string())
        });
    match read {
        Ok(asked) => {
            model.faults().set(asked);
            reply::empty(204)
        }
        Err(why) => refuse(&Refusal::invalid(why)),
    }
}

async fn answer(model: &Arc<Model>, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let path = match without_version(&path) {
        Ok(path) => path,
        Err(refusal) => return refuse(&refusal),
    };
    let decoded = percent_encoding::percent_decode_str(path)
        .decode_utf8_lossy()
        .into_owned();
    let segments: Vec<&str> = decoded.split('/').filter(|s| !s.is_empty()).collect();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    match route(model, &segments, &query, request).await {
        Ok(reply) => reply,
        Err(refusal) => refuse(&refusal),
    }
}

/// The path without `/v1.NN`; a version that is not spoken is refused as moby does.
fn without_version(path: &str) -> Answer<&str> {
    let Some(rest) = path.strip_prefix("/v") else {
        return Ok(path);
    };
    let (version, rest) = match rest.split_once('/') {
        Some((version, _)) => (version, rest.get(version.len()..).unwrap_or_default()),
        None => (rest, "/"),
    };
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(path);
    }
    let number = version
        .split_once('.')
        .and_then(|(a, b)| Some((a.parse::<u32>().ok()?, b.parse::<u32>().ok()?)));
    let Some(number) = number else {
        return Err(Refusal::not_found("page not found"));
    };
    let (oldest, newest) = ((1, API_MINOR.0), (1, API_MINOR.1));
    if number > newest {
        return Err(Refusal::invalid(format!(
            "client version {version} is too new. Maximum supported API version is {API}"
        )));
    }
    if number < oldest {
        return Err(Refusal::invalid(format!(
            "client version {version} is too old. Minimum supported API version is 1.{}, please upgrade your client to a newer version",
            API_MINOR.0
        )));
    }
    Ok(rest)
}

/// Reads a JSON body. An empty one is the default, as moby takes it where the body is optional.
async fn body<T: DeserializeOwned + Default>(request: Request<Incoming>) -> Answer<T> {
    let bytes = Limited::new(request.into_body(), LARGEST_BODY)
        .collect()
        .await
        .map_err(|e| Refusal::invalid(format!("the request body cannot be read: {e}")))?
        .to_bytes();
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|e| Refusal::invalid(format!("invalid JSON: {e}")))
}

async fn route(
    model: &Arc<Model>,
    path: &[&str],
    query: &Query,
    request: Request<Incoming>,
) -> Answer<Reply> {
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let method = request.method().clone();
    let is = |wanted: &Method| method == *wanted;
    match path {
        ["_ping"] if is(&get) || method == Method::HEAD => Ok(system::ping()),
        ["version"] if is(&get) => Ok(system::version(model)),
        ["info"] if is(&get) => Ok(system::info(model)),
        ["system", "df"] if is(&get) => Ok(system::disk_use(model)),
        ["events"] if is(&get) => streams::events(model, query),

        ["containers", "json"] if is(&get) => containers::list(model, query),
        ["containers", "create"] if is(&post) => {
            containers::create(model, query, body(request).await?).await
        }
        ["containers", "prune"] if is(&post) => containers::prune(model, query).await,
        ["containers", id] if is(&delete) => containers::remove(model, id, query).await,
        ["containers", id, "json"] if is(&get) => containers::inspect(model, id),
        ["containers", id, "logs"] if is(&get) => streams::logs(model, id, query),
        ["containers", id, "stats"] if is(&get) => streams::stats(model, id, query),
        ["containers", id, "top"] if is(&get) => containers::top(model, id, query),
        ["containers", id, "exec"] if is(&post) => {
            exec::create(model, id, body(request).await?).await
        }
        ["containers", id, "archive"] if method == Method::HEAD => {
            archive::stat(model, id, query).await
        }
        ["containers", id, "archive"] if is(&get) => archive::read(model, id, query).await,
        ["containers", id, "archive"] if method == Method::PUT => {
            archive::write(model, id, query, request).await
        }
        ["containers", id, "attach"] if is(&post) => attach::attach(model, id, query, request),
        ["build"] if is(&post) => build::build(model, query, request).await,
        ["containers", id, "wait"] if is(&post) => streams::wait(model, id, query),
        ["containers", id, action] if is(&post) => containers::act(model, id, action, query).await,

        ["exec", id, "start"] if is(&post) => exec::start(model, id, request).await,
        ["exec", id, "json"] if is(&get) => exec::inspect(model, id),
        ["exec", id, "resize"] if is(&post) => model.exec(id).map(|_| reply::empty(200)),

        ["images", "json"] if is(&get) => images::list(model, query),
        ["images", "create"] if is(&post) => images::pull(model, query),
        ["images", name @ .., "json"] if is(&get) => images::inspect(model, &name.join("/")),
        ["images", name @ .., "history"] if is(&get) => images::history(model, &name.join("/")),
        ["images", name @ .., "tag"] if is(&post) => {
            images::tag(model, &name.join("/"), query).await
        }
        ["images", name @ ..] if is(&delete) => images::remove(model, &name.join("/"), query).await,

        ["volumes"] if is(&get) => volumes::list(model, query),
        ["volumes", "create"] if is(&post) => volumes::create(model, body(request).await?).await,
        ["volumes", "prune"] if is(&post) => volumes::prune(model, query).await,
        ["volumes", name] if is(&get) => volumes::inspect(model, name),
        ["volumes", name] if is(&delete) => volumes::remove(model, name, query).await,

        ["networks"] if is(&get) => system::networks(model, query),
        ["networks", name] if is(&get) => system::network(model, name),

        [
            "build" | "commit" | "auth" | "session" | "swarm" | "nodes" | "services" | "tasks"
            | "secrets" | "configs" | "plugins" | "distribution" | "networks" | "images"
            | "containers" | "volumes" | "exec" | "grpc",
            ..,
        ] => {
            // Read first: a client that is still writing would hear of a broken pipe, and not why.
            let _ = Limited::new(request.into_body(), LARGEST_BODY)
                .collect()
                .await;
            Err(Refusal::not_implemented(&format!(
                "{method} /{}",
                path.join("/")
            )))
        }
        _ => Err(Refusal::not_found("page not found")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_taken_and_refused_as_moby_does() {
        assert_eq!(without_version("/v1.41/info"), Ok("/info"));
        assert_eq!(
            without_version("/v1.24/containers/json"),
            Ok("/containers/json")
        );
        assert_eq!(without_version("/version"), Ok("/version"));
        assert_eq!(
            without_version("/volumes"),
            Ok("/volumes"),
            "not every `v` begins a version"
        );
        let text = |path| without_version(path).unwrap_err().message;
        assert_eq!(
            text("/v1.44/info"),
            "client version 1.44 is too new. Maximum supported API version is 1.41"
        );
        assert!(
            text("/v1.12/info").starts_with(
                "client version 1.12 is too old. Minimum supported API version is 1.24"
            )
        );
    }

    proptest! {
        #[test]
        fn any_path_is_read_without_panic(path in "/\\PC{0,40}") {
            let _ = without_version(&path);
        }
    }
}
