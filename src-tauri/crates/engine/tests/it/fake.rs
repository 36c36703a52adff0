//! An engine of our own over in-memory streams: it answers what a test tells it to.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use berth_core::{BoxFuture, ByteStream, Dial, Error, Result};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// One request as the engine saw it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query, with the version in front.
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

type Answer = dyn Fn(&Asked) -> Response<Body> + Send + Sync;

pub(crate) enum Behaviour {
    /// Speaks HTTP.
    Http(Box<Answer>),
    /// Sends these bytes to whoever connects, and closes.
    Raw(&'static [u8]),
    /// Accepts and says nothing.
    Silent,
    /// Cannot be reached.
    Refused(Error),
}

pub(crate) struct Fake {
    behaviour: Behaviour,
    pub(crate) dials: AtomicUsize,
    /// Connections that are open at the engine's side.
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    kept: Mutex<Vec<tokio::io::DuplexStream>>,
}

impl Fake {
    pub(crate) fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            behaviour,
            dials: AtomicUsize::new(0),
            open: Arc::default(),
            asked: Arc::default(),
            kept: Mutex::default(),
        })
    }

    /// An engine that says its version and leaves every other question to `answer`.
    pub(crate) fn engine(
        answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(Behaviour::Http(Box::new(move |asked| {
            match asked.path.as_str() {
                "/version" => json(200, VERSION),
                _ => answer(asked),
            }
        })))
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .map(|a| format!("{} {}", a.method, a.path))
            .collect()
    }
}

pub(crate) const VERSION: &str = r#"{"Version":"29.1.0","ApiVersion":"1.52","MinAPIVersion":"1.44","Os":"windows","Arch":"amd64","KernelVersion":"10.0 20348"}"#;

pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("Content-Type", "application/json")
        .body(Full::new(body.into()).boxed())
        .unwrap()
}

/// An answer that comes in pieces; after the last it ends, or never does.
pub(crate) fn pieces(list: Vec<Bytes>, endless: bool) -> Response<Body> {
    let given = stream::iter(list);
    let all: std::pin::Pin<Box<dyn Stream<Item = Bytes> + Send + Sync>> = if endless {
        Box::pin(given.chain(stream::pending()))
    } else {
        Box::pin(given)
    };
    let body = StreamBody::new(all.map(|b| Ok::<_, Infallible>(Frame::data(b))));
    Response::new(BodyExt::boxed(body))
}

impl Dial for Fake {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        self.dials.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let (ours, mut theirs) = tokio::io::duplex(64 << 10);
            match &self.behaviour {
                Behaviour::Refused(error) => return Err(error.clone()),
                Behaviour::Silent => self.kept.lock().unwrap().push(theirs),
                Behaviour::Raw(bytes) => {
                    theirs.write_all(bytes).await.unwrap();
                }
                Behaviour::Http(_) => {}
            }
            Ok(Box::new(ours) as Box<dyn ByteStream>)
        })
    }
}

/// Serves HTTP for a fake: needs the `Arc` itself, which [`Dial`] does not hand out.
pub(crate) struct Served(pub(crate) Arc<Fake>);

impl Dial for Served {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        let fake = Arc::clone(&self.0);
        if !matches!(fake.behaviour, Behaviour::Http(_)) {
            return Box::pin(async move { fake.dial().await });
        }
        fake.dials.fetch_add(1, Ordering::SeqCst);
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        fake.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let open = Arc::clone(&fake.open);
            let service = service_fn(move |request: Request<Incoming>| {
                let fake = Arc::clone(&fake);
                async move {
                    let (head, body) = request.into_parts();
                    let asked = Asked {
                        method: head.method.to_string(),
                        path: head.uri.path_and_query().unwrap().to_string(),
                        body: body.collect().await.unwrap().to_bytes(),
                    };
                    fake.asked.lock().unwrap().push(asked.clone());
                    let Behaviour::Http(answer) = &fake.behaviour else {
                        unreachable!()
                    };
                    Ok::<_, Infallible>(answer(&asked))
                }
            });
            // The client may go away at any time.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(theirs), service)
                .await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn ByteStream>) })
    }
}
