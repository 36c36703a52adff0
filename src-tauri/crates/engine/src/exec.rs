//! A command inside a running container.

use std::{fmt, time::Duration};

use berth_core::{Code, Error, Result, Secret, secret::ExposeSecret};
use bollard::{
    container::LogOutput,
    exec::{StartExecOptions, StartExecResults},
    models::ExecConfig,
};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use crate::{
    container::check_id,
    engine::{Engine, LOOK},
    error::{Doing, api_error, unusable_answer, without},
};

/// Bytes that are kept of each of the command's outputs (4 MiB). The rest is read and dropped,
/// so that the command can end.
pub const MAX_OUTPUT: usize = 4 << 20;

/// What a command reads from its standard input.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// Ordinary bytes.
    Bytes(&'a [u8]),
    /// A secret, as UTF-8. It is in no argument list, no log and no `docker inspect`.
    Secret(&'a Secret),
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Secret(_) => f.write_str("Secret"),
        }
    }
}

/// How a command ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecOutput {
    /// Its standard output, at most [`MAX_OUTPUT`] bytes.
    pub stdout: Vec<u8>,
    /// Its standard error, at most [`MAX_OUTPUT`] bytes.
    pub stderr: Vec<u8>,
    /// Its exit code.
    pub code: i64,
    /// Whether it wrote more than was kept.
    pub cut: bool,
}

impl Engine {
    /// Runs a command in a running container and waits for its end. Its standard input is
    /// closed after `stdin`. `limit` is for the whole of it.
    ///
    /// The arguments are visible on the host to everyone who may list processes: a secret goes
    /// through `stdin`.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Failed`] where the container does not run or has no such
    /// program; [`Code::TimedOut`] after `limit`, when the command itself may still run on. No
    /// text holds the secret of `stdin`.
    pub async fn exec(
        &self,
        id: &str,
        command: &[&str],
        stdin: Option<Input<'_>>,
        limit: Duration,
    ) -> Result<ExecOutput> {
        let doing = Doing::new("run a command in the container", id);
        check_id(&doing, id)?;
        let ran = tokio::time::timeout(
            limit,
            self.exec_unlimited(&doing, id, command, stdin, limit),
        );
        let result = ran.await.unwrap_or_else(|_| {
            Err(Error::new(Code::TimedOut, doing.to_string())
                .because(format!(
                    "it did not end in {} s, and may still run there",
                    limit.as_secs()
                ))
                .hint("Look at the log of the container, or restart it"))
        });
        match stdin {
            Some(Input::Secret(secret)) => result.map_err(|e| without(e, [secret])),
            _ => result,
        }
    }

    async fn exec_unlimited(
        &self,
        doing: &Doing<'_>,
        id: &str,
        command: &[&str],
        stdin: Option<Input<'_>>,
        limit: Duration,
    ) -> Result<ExecOutput> {
        let api = |e| api_error(doing, e);
        let config = ExecConfig {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            cmd: Some(command.iter().map(|&arg| arg.to_owned()).collect()),
            ..ExecConfig::default()
        };
        let exec = self
            .calls(LOOK)
            .create_exec(id, config)
            .await
            .map_err(api)?
            .id;
        check_id(doing, &exec)?;
        let start = StartExecOptions::default();
        let started = self
            .streams(limit)
            .start_exec(&exec, Some(start))
            .await
            .map_err(api)?;
        let StartExecResults::Attached {
            mut output,
            mut input,
        } = started
        else {
            return Err(unusable_answer(doing, "the command was not attached"));
        };

        let feed = async {
            let fed = match stdin {
                Some(Input::Bytes(bytes)) => input.write_all(bytes).await,
                Some(Input::Secret(secret)) => {
                    input.write_all(secret.expose_secret().as_bytes()).await
                }
                // With nothing attached, an early end of our half would end the output too.
                None => return,
            };
            // A command that ended without reading its input is no failure: its exit code tells.
            if fed.is_ok() {
                let _ = input.shutdown().await;
            }
        };
        let mut told = ExecOutput::default();
        let collect = async {
            while let Some(piece) = output.next().await {
                match piece.map_err(api)? {
                    LogOutput::StdErr { message } => told.cut |= keep(&mut told.stderr, &message),
                    LogOutput::StdOut { message }
                    | LogOutput::Console { message }
                    | LogOutput::StdIn { message } => told.cut |= keep(&mut told.stdout, &message),
                }
            }
            Ok::<(), Error>(())
        };
        // The output's end is the command's end, even if it has not read all of its input.
        let mut feed = std::pin::pin!(feed);
        let mut collect = std::pin::pin!(collect);
        tokio::select! {
            collected = &mut collect => collected?,
            () = &mut feed => collect.as_mut().await?,
        }

        // The output ends a moment before the engine has noted the exit code.
        let mut pause = Duration::from_millis(2);
        loop {
            let state = self.calls(LOOK).inspect_exec(&exec).await.map_err(api)?;
            match state.exit_code {
                Some(code) if state.running != Some(true) => {
                    told.code = code;
                    return Ok(told);
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause = pause.saturating_mul(2).min(Duration::from_millis(250));
        }
    }
}

/// Appends what fits; true if something did not.
fn keep(kept: &mut Vec<u8>, piece: &[u8]) -> bool {
    let room = MAX_OUTPUT.saturating_sub(kept.len());
    kept.extend_from_slice(piece.get(..room).unwrap_or(piece));
    piece.len() > room
}
