//! HTTP over the streams of a [`Dial`]: the connector, the pool, the version prefix.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use berth_core::{ByteStream, Dial};
use bollard::{BollardRequest, ClientVersion, Docker};
use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{Response, Uri, body::Frame, body::Incoming};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::ApiVersion;

/// Bytes that one answer read as a whole may have (64 MiB): a host with 10,000 containers
/// lists in about a quarter of that.
pub const MAX_ANSWER: u64 = 64 << 20;

/// What an idle connection costs is a channel of the SSH connection, so few, and not for long.
const IDLE: Duration = Duration::from_secs(20);
const IDLE_CONNECTIONS: usize = 4;

/// The body of every request that bollard builds.
type Body = Either<
    Full<Bytes>,
    StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, io::Error>> + Send>>>,
>;

/// The version in every path, known only after the first answer.
pub(crate) type Prefix = Arc<OnceLock<ApiVersion>>;

/// A client whose requests go through `dial`. With `budget`, an answer of more bytes is cut.
pub(crate) fn docker(
    dial: Arc<dyn Dial>,
    prefix: Prefix,
    budget: Option<u64>,
) -> Result<Docker, bollard::errors::Error> {
    let client: Client<Connector, Body> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build(Connector { dial, budget });
    let send = move |mut request: BollardRequest| {
        let client = client.clone();
        let prefixed = prefixed(request.uri(), prefix.get());
        async move {
            *request.uri_mut() = prefixed?;
            client.request(request).await.map_err(unwrapped)
        }
    };
    let send = move |request: BollardRequest| -> Pin<
        Box<dyn Future<Output = Result<Response<Incoming>, bollard::errors::Error>> + Send>,
    > { Box::pin(send(request)) };
    // The address is only ever seen in the Host header; `.invalid` can never resolve.
    Docker::connect_with_custom_transport(
        send,
        Some("http://docker.invalid"),
        Duration::from_secs(3600).as_secs(),
        &ClientVersion {
            major_version: 1,
            minor_version: 53,
        },
    )
}

/// Asks for what bollard reads in one dialect only.
#[derive(Clone)]
pub(crate) struct Plain {
    client: Client<Connector, Body>,
    prefix: Prefix,
}

impl Plain {
    pub(crate) fn new(dial: Arc<dyn Dial>, prefix: Prefix) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(Connector {
                dial,
                budget: Some(MAX_ANSWER),
            });
        Self { client, prefix }
    }

    /// The answer to `GET path`, whole.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, bollard::errors::Error> {
        let uri = format!("http://docker.invalid{path}").parse::<Uri>()?;
        let uri = prefixed(&uri, self.prefix.get())?;
        let mut request = hyper::Request::new(Either::Left(Full::default()));
        *request.uri_mut() = uri;
        let answer = self.client.request(request).await.map_err(unwrapped)?;
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?
            .to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let message = serde_json::from_slice::<serde_json::Value>(&body)
            .ok()
            .and_then(|v| v.get("message")?.as_str().map(str::to_owned));
        Err(bollard::errors::Error::DockerResponseServerError {
            status_code: status.as_u16(),
            message: message.unwrap_or_default(),
        })
    }
}

/// bollard 0.21.1 sends no version in the path, so an engine answers in its newest dialect,
/// whatever was negotiated. A later bollard that does send one is left alone.
fn prefixed(uri: &Uri, version: Option<&ApiVersion>) -> Result<Uri, bollard::errors::Error> {
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let Some(version) = version else {
        return Ok(uri.clone());
    };
    if path.starts_with("/v1.") {
        return Ok(uri.clone());
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("/v{version}{path}").parse()?);
    Ok(Uri::from_parts(parts)?)
}

/// The dialler's own error out of the layers that the HTTP client wrapped it in; it says best
/// what is wrong.
fn unwrapped(error: hyper_util::client::legacy::Error) -> bollard::errors::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(e) = cause {
        if let Some(failure) = e.downcast_ref::<DialFailure>() {
            return io::Error::other(failure.clone()).into();
        }
        if let Some(failure) = e.downcast_ref::<io::Error>()
            && failure.get_ref().is_some_and(|e| e.is::<TooLarge>())
        {
            return io::Error::other(TooLarge).into();
        }
        cause = e.source();
    }
    error.into()
}

/// A dialler's error on its way through the HTTP client.
#[derive(Debug, Clone)]
pub(crate) struct DialFailure(pub(crate) berth_core::Error);

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for DialFailure {}

/// An answer went over its budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer has more than {} MiB", MAX_ANSWER >> 20)
    }
}

impl std::error::Error for TooLarge {}

#[derive(Clone)]
struct Connector {
    dial: Arc<dyn Dial>,
    budget: Option<u64>,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = DialFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { dial, budget } = self.clone();
        Box::pin(async move {
            let stream = dial.dial().await.map_err(DialFailure)?;
            Ok(TokioIo::new(Wire {
                stream,
                budget,
                spent: 0,
            }))
        })
    }
}

/// One connection, counting what was read since it last wrote: without pipelining, a write
/// is a new request, so the count is the size of one answer.
struct Wire {
    stream: Box<dyn ByteStream>,
    budget: Option<u64>,
    spent: u64,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len().saturating_sub(before);
        self.spent = self.spent.saturating_add(read as u64);
        if self.budget.is_some_and(|budget| self.spent > budget) {
            return Poll::Ready(Err(io::Error::other(TooLarge)));
        }
        poll
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.spent = 0;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_carries_the_negotiated_version_once() {
        let version = ApiVersion(1, 44);
        let uri: Uri = "http://docker.invalid/containers/json?all=true"
            .parse()
            .unwrap();
        let once = prefixed(&uri, Some(&version)).unwrap();
        assert_eq!(once, "http://docker.invalid/v1.44/containers/json?all=true");
        assert_eq!(
            prefixed(&once, Some(&version)).unwrap(),
            once,
            "a bollard that sends the version itself must not get it twice"
        );
        assert_eq!(
            prefixed(&uri, None).unwrap(),
            uri,
            "nothing is negotiated yet"
        );
    }
}
