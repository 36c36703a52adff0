//! Responses: JSON, errors, streams.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::{Response, StatusCode, body::Frame, header};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::API;
use crate::machine::refusal::{Kind, Refusal};

pub(super) type Body = BoxBody<Bytes, io::Error>;
pub(super) type Reply = Response<Body>;

/// A response with the headers that every answer of the engine has.
pub(super) fn with(status: u16, content_type: Option<&'static str>, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    for (name, value) in [
        ("api-version", API),
        ("docker-experimental", "false"),
        ("ostype", "windows"),
        ("server", "Docker/20.10.27 (windows)"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    if let Some(content_type) = content_type {
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(content_type),
        );
    }
    reply
}

/// No body.
pub(super) fn empty(status: u16) -> Reply {
    with(
        status,
        None,
        Empty::new().map_err(|never| match never {}).boxed(),
    )
}

/// A text.
pub(super) fn text(status: u16, content_type: &'static str, text: impl Into<Bytes>) -> Reply {
    with(
        status,
        Some(content_type),
        Full::new(text.into())
            .map_err(|never| match never {})
            .boxed(),
    )
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(status: u16, value: &T) -> Reply {
    match serde_json::to_vec(value) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            text(status, "application/json", bytes)
        }
        Err(error) => refuse(&Refusal::failed(error.to_string())),
    }
}

/// A refusal, as `{"message": …}` with moby's status.
pub(super) fn refuse(refusal: &Refusal) -> Reply {
    let status = match refusal.kind {
        Kind::Invalid => 400,
        Kind::NotFound => 404,
        Kind::Conflict => 409,
        Kind::Unchanged => return empty(304),
        Kind::Failed => 500,
        Kind::NotImplemented => 501,
    };
    json(status, &json!({ "message": refusal.message }))
}

/// Where a stream's parts go in; a full stream makes its writer wait.
pub(super) type Parts = mpsc::Sender<Bytes>;

/// A response whose body comes bit by bit.
pub(super) fn stream(content_type: &'static str) -> (Parts, Reply) {
    let (parts, receiver) = mpsc::channel::<Bytes>(16);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver
            .recv()
            .await
            .map(|part| (Ok(Frame::data(part)), receiver))
    });
    (
        parts,
        with(
            200,
            Some(content_type),
            BodyExt::boxed(StreamBody::new(frames)),
        ),
    )
}
