//! `ProxyCommand`: a program whose standard input and output carry an SSH connection.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fmt,
    path::PathBuf,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use berth_core::{Code, Error, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// A command line, its tokens expanded.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyCommand {
    /// For the user's shell.
    pub(crate) line: String,
    /// The socket of the caller's SSH agent, for commands that are `ssh` again.
    pub(crate) agent: Option<PathBuf>,
}

// A command line may hold a token for a proxy.
impl fmt::Debug for ProxyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyCommand")
    }
}

/// What a command wrote on its standard error: the last few lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    kept: Arc<Mutex<VecDeque<u8>>>,
    /// Nothing more comes.
    whole: CancellationToken,
}

impl Said {
    const MOST: usize = 2 << 10;

    fn add(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let over = kept.len().saturating_sub(Self::MOST);
        kept.drain(..over);
    }

    /// Waits until the command has said everything, for a moment: its last words may come after its end.
    pub(crate) async fn settle(&self) {
        let _ = timeout(Duration::from_millis(500), self.whole.cancelled()).await;
    }

    /// The last line, fit for an error.
    pub(crate) fn line(&self) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = text.lines().rev().find(|l| !l.trim().is_empty())?.trim();
        Some(line.escape_debug().to_string().chars().take(200).collect())
    }
}

impl ProxyCommand {
    /// Starts it as `ssh` does: the user's shell replaces itself by the command.
    pub(crate) fn start(&self) -> Result<(ProxyStream, Said)> {
        let shell = std::env::var_os("SHELL")
            .filter(|s| !s.is_empty())
            .unwrap_or_else(|| OsString::from("/bin/sh"));
        let mut command = Command::new(&shell);
        command
            .arg("-c")
            .arg(format!("exec {}", self.line))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C on a terminal is not for the command of a connection that others use.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(agent) = &self.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        let failed = |why: String| {
            Error::new(Code::Unreachable, "The ProxyCommand could not be started").because(why)
        };
        let mut child = command
            .spawn()
            .map_err(|e| failed(format!("`{}`: {e}", shell.to_string_lossy())))?;
        let (Some(stdin), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("it has no standard input or output".to_owned()));
        };
        let said = Said::default();
        let keep = said.clone();
        // Read to its end, or the command would stand still on a full pipe. It ends with the command.
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(n) = stderr.read(&mut buffer).await
                && n > 0
            {
                keep.add(buffer.get(..n).unwrap_or_default());
            }
            keep.whole.cancel();
        });
        Ok((
            ProxyStream {
                stdin,
                stdout,
                child: Some(child),
            },
            said,
        ))
    }
}

/// The bytes of a running command. Dropping it ends the command.
pub(crate) struct ProxyStream {
    stdin: ChildStdin,
    stdout: ChildStdout,
    child: Option<Child>,
}

/// For a command to end by itself once nobody reads it, and to say why it did.
const BY_ITSELF: Duration = Duration::from_millis(300);

/// For a command to end after a hang-up.
const AFTER_HANG_UP: Duration = Duration::from_secs(2);

impl Drop for ProxyStream {
    fn drop(&mut self) {
        // Without a runtime the drop of the child kills it at once.
        if let Some(child) = self.child.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(end(child));
        }
    }
}

/// A moment to end by itself, a hang-up as `ssh` sends it, then a kill.
async fn end(mut child: Child) {
    if timeout(BY_ITSELF, child.wait()).await.is_ok() {
        return;
    }
    if let Some(pid) = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
    {
        // Its group holds it and whatever it started.
        let _ = kill_process_group(pid, Signal::HUP);
    }
    if timeout(AFTER_HANG_UP, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

impl AsyncRead for ProxyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for ProxyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
