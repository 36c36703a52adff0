//! Commands in containers, with the connection taken over for their standard streams.

use std::sync::Arc;

use hyper::{Request, body::Incoming, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use super::{
    body,
    reply::{self, Reply},
    streams::frame,
};
use crate::machine::{
    Model,
    exec::{Exec, ExecSpec},
    refusal::Answer,
};

const RAW: &str = "application/vnd.docker.raw-stream";

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Create {
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    tty: bool,
    cmd: Option<Vec<String>>,
    user: Option<String>,
}

pub(super) async fn create(model: &Model, container: &str, asked: Create) -> Answer<Reply> {
    let spec = ExecSpec {
        command: asked.cmd.unwrap_or_default(),
        stdin: asked.attach_stdin,
        stdout: asked.attach_stdout,
        stderr: asked.attach_stderr,
        tty: asked.tty,
        user: asked.user.unwrap_or_default(),
    };
    let id = model.create_exec(container, spec).await?;
    Ok(reply::json(201, &json!({ "Id": id })))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Start {
    detach: bool,
}

pub(super) async fn start(
    model: &Arc<Model>,
    id: &str,
    mut request: Request<Incoming>,
) -> Answer<Reply> {
    let wants_upgrade = request.headers().contains_key(header::UPGRADE);
    let upgrade = hyper::upgrade::on(&mut request);
    let asked: Start = body(request).await?;
    let (exec, run) = model.claim_exec(id)?;
    let model = Arc::clone(model);
    let (output, mut printed) = mpsc::channel(16);
    if asked.detach {
        tokio::spawn(async move {
            tokio::join!(
                model.run_exec(&exec, &run, tokio::io::empty(), output),
                async { while printed.recv().await.is_some() {} }
            );
        });
        return Ok(reply::empty(200));
    }
    if !wants_upgrade {
        // Without the request to switch protocols there is an output and no way in.
        let (parts, answer) = reply::stream(RAW);
        tokio::spawn(async move {
            tokio::join!(
                model.run_exec(&exec, &run, tokio::io::empty(), output),
                async {
                    while let Some((source, data)) = printed.recv().await {
                        if parts.send(frame(source, &data)).await.is_err() {
                            break;
                        }
                    }
                }
            );
        });
        return Ok(answer);
    }
    tokio::spawn(async move {
        let stream = match upgrade.await {
            Ok(stream) => TokioIo::new(stream),
            Err(error) => {
                tracing::debug!(%error, "a command's connection was not taken over");
                model
                    .run_exec(&exec, &run, tokio::io::empty(), output)
                    .await;
                return;
            }
        };
        let (from_client, to_client) = tokio::io::split(stream);
        let writing = write_frames(&exec, printed, to_client);
        if exec.stdin {
            tokio::join!(model.run_exec(&exec, &run, from_client, output), writing);
        } else {
            tokio::join!(
                model.run_exec(&exec, &run, tokio::io::empty(), output),
                writing
            );
        }
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

/// Writes until the command has ended and closed its output.
async fn write_frames(
    exec: &Exec,
    mut printed: mpsc::Receiver<(crate::machine::log::Source, bytes::Bytes)>,
    mut to: impl AsyncWrite + Unpin,
) {
    while let Some((source, data)) = printed.recv().await {
        let data = if exec.tty { data } else { frame(source, &data) };
        if to.write_all(&data).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

pub(super) fn inspect(model: &Model, id: &str) -> Answer<Reply> {
    let exec = model.exec(id)?;
    let (program, arguments) = match exec.command.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments),
        None => ("", &[][..]),
    };
    Ok(reply::json(
        200,
        &json!({
            "ID": exec.id, "Running": exec.is_running(), "ExitCode": exec.exit_code(),
            "ProcessConfig": {
                "tty": exec.tty, "entrypoint": program, "arguments": arguments, "privileged": false, "user": exec.user,
            },
            "OpenStdin": exec.stdin, "OpenStderr": exec.stderr, "OpenStdout": exec.stdout, "CanRemove": false,
            "ContainerID": exec.container, "DetachKeys": "", "Pid": if exec.is_running() { 2212 } else { 0 },
        }),
    ))
}
