//! Frames between a client and the agent: JSON behind a four-byte length, on a socket that only
//! this user can open.
//!
//! This is the one place where a secret is written as text: beside a body, never in it, to a peer
//! whose uid was checked.

use std::collections::BTreeMap;

use berth_api::dto::ErrorView;
use berth_core::{Error, Result, Secret, secret::ExposeSecret};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// Raised when a frame changes its meaning.
pub(crate) const PROTOCOL: u32 = 1;

/// A frame's largest size in bytes: rows travel in batches far below it.
const MAX_FRAME: usize = 32 << 20;

/// A secret on this socket. Kept in this file so that nothing else can be serialised with one.
#[derive(Clone)]
pub(crate) struct OnWire(pub(crate) Secret);

impl Serialize for OnWire {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for OnWire {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(|text| Self(Secret::from(text)))
    }
}

/// From a client.
#[derive(Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub(crate) enum FromClient {
    Hello {
        protocol: u32,
        version: String,
    },
    Call {
        id: u64,
        command: String,
        body: Value,
        secrets: BTreeMap<String, OnWire>,
    },
    Cancel {
        id: u64,
    },
    /// Ends the agent; refused while it is busy, unless `force`.
    Stop {
        force: bool,
    },
}

/// From the agent.
#[derive(Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub(crate) enum FromAgent {
    Welcome {
        protocol: u32,
        version: String,
        pid: u32,
        busy: usize,
    },
    Item {
        id: u64,
        body: Value,
    },
    Done {
        id: u64,
        body: Value,
        secret: Option<OnWire>,
    },
    Failed {
        id: u64,
        error: ErrorView,
    },
    Stopping,
    Busy {
        operations: usize,
    },
}

pub(crate) struct Reader(FramedRead<OwnedReadHalf, LengthDelimitedCodec>);
pub(crate) struct Writer(FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>);

pub(crate) fn split(stream: UnixStream) -> (Reader, Writer) {
    let codec = || {
        LengthDelimitedCodec::builder()
            .max_frame_length(MAX_FRAME)
            .new_codec()
    };
    let (read, write) = stream.into_split();
    (
        Reader(FramedRead::new(read, codec())),
        Writer(FramedWrite::new(write, codec())),
    )
}

impl Reader {
    /// The next frame; `None` at the end.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        match self.0.next().await {
            None => Ok(None),
            Some(Err(e)) => {
                Err(Error::failed("The connection to Berth's agent broke").because(e.to_string()))
            }
            // serde's message would quote the frame, which may hold a secret.
            Some(Ok(frame)) => serde_json::from_slice(&frame)
                .map(Some)
                .map_err(|_| Error::failed("A message between Berth and its agent cannot be read")),
        }
    }
}

impl Writer {
    pub(crate) async fn send<T: Serialize>(&mut self, frame: &T) -> Result<()> {
        let bytes = serde_json::to_vec(frame)
            .map_err(|_| Error::failed("A message to Berth's agent cannot be written"))?;
        self.0.send(Bytes::from(bytes)).await.map_err(|e| {
            Error::failed("The connection to Berth's agent broke").because(e.to_string())
        })
    }
}
