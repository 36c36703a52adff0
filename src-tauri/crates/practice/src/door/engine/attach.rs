//! `docker run` in the foreground and `docker attach`: a container's output on a connection that
//! was taken over. Nothing that runs here reads its standard input.

use std::sync::Arc;

use hyper::{Request, body::Incoming, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    query::Query,
    reply::{self, Reply},
    streams::frame,
};
use crate::machine::{
    Model,
    refusal::{Answer, Refusal},
};

const RAW: &str = "application/vnd.docker.raw-stream";

pub(super) fn attach(
    model: &Arc<Model>,
    id: &str,
    query: &Query,
    mut request: Request<Incoming>,
) -> Answer<Reply> {
    let container = model.container(id)?;
    let live = model.live(id)?;
    let (logs, stream) = (query.flag("logs"), query.flag("stream"));
    if !request.headers().contains_key(header::UPGRADE) {
        return Err(Refusal::not_implemented("Attaching without an upgrade"));
    }
    let shows = |stdout: bool| {
        if stdout {
            query.flag("stdout")
        } else {
            query.flag("stderr")
        }
    };
    let (stdout, stderr) = (shows(true), shows(false));
    let upgrade = hyper::upgrade::on(&mut request);
    let mut lines = live.log().follow();
    if !logs {
        // Only what comes from now on.
        drop(lines.take());
    }
    let mut exits = live.exits();
    let before = exits.borrow().0;
    let tty = container.config.tty;
    tokio::spawn(async move {
        let Ok(stream_of_client) = upgrade.await else {
            return;
        };
        let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(stream_of_client));
        let printing = async {
            loop {
                // Asked before the last look, so that what is printed at the very end is not lost.
                let over = exits.borrow().0 > before || live.removed.is_cancelled();
                for line in lines.take() {
                    let shown = match line.source {
                        crate::machine::log::Source::Stdout => stdout,
                        crate::machine::log::Source::Stderr => stderr,
                    };
                    let text = format!("{}\n", line.text);
                    let data = if tty {
                        text.into()
                    } else {
                        frame(line.source, text.as_bytes())
                    };
                    if shown && to_client.write_all(&data).await.is_err() {
                        return;
                    }
                }
                if to_client.flush().await.is_err() || over || !stream {
                    return;
                }
                tokio::select! {
                    () = lines.changed() => {}
                    _ = exits.changed() => {}
                    () = live.removed.cancelled() => {}
                }
            }
        };
        let reading = async {
            let mut unread = [0; 1024];
            while from_client.read(&mut unread).await.is_ok_and(|n| n > 0) {}
            // A client that has no more input still listens.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = printing => {}
            () = reading => {}
        }
        let _ = to_client.shutdown().await;
    });
    let mut answer = reply::with(101, Some(RAW), reply::empty(200).into_body());
    let headers = answer.headers_mut();
    headers.insert(
        header::CONNECTION,
        header::HeaderValue::from_static("Upgrade"),
    );
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("tcp"));
    Ok(answer)
}
