//! Running one command to its end.

use std::{pin::pin, time::Duration};

use berth_core::{Code, Error, Result};
use russh::{Channel, ChannelMsg, Sig, client::Msg};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

/// How long a command may take and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecLimits {
    /// From the call to the last byte, waiting for a free slot included.
    pub timeout: Duration,
    /// Bytes of stdout and stderr together.
    pub max_output: usize,
}

impl Default for ExecLimits {
    /// One minute, 4 MiB.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            max_output: 4 << 20,
        }
    }
}

/// What a command said and how it ended. A status other than 0 is no error here: the
/// caller knows what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Its exit status, whole: Windows tells NTSTATUS and HRESULT values here.
    pub status: Option<u32>,
    /// The signal that ended it, without `SIG`, where one did.
    pub signal: Option<String>,
}

impl Output {
    /// Whether it ended by itself with status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

/// Why a command that was started brought no output.
pub(crate) enum Broken {
    Refused,
    TooMuch,
    Lost,
    Dropped,
}

/// Runs a command on a fresh channel. Runs in a task of its own, so that what arrives is
/// always taken, also while the caller is busy elsewhere; `dropped` tells that nobody waits.
pub(crate) async fn run(
    mut channel: Channel<Msg>,
    command: String,
    stdin: Option<Vec<u8>>,
    max_output: usize,
    dropped: CancellationToken,
) -> Result<Output, Broken> {
    if channel.exec(true, command).await.is_err() {
        return Err(Broken::Lost);
    }
    let mut writer = channel.make_writer();
    let input = async move {
        // A command that ends without reading its input is no failure of the call.
        if let Some(stdin) = stdin {
            let _ = pin!(&mut writer).write_all(&stdin).await;
        }
        let _ = pin!(&mut writer).shutdown().await;
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        biased;
        () = dropped.cancelled() => Err(Broken::Dropped),
        result = collect(&mut channel, max_output) => result,
        () = input => Err(Broken::Lost),
    };
    if matches!(result, Err(Broken::TooMuch | Broken::Dropped)) {
        // A server may leave the process running when its channel goes; the signal ends it
        // where signals exist.
        let _ = channel.signal(Sig::TERM).await;
        let _ = channel.close().await;
    }
    result
}

async fn collect(channel: &mut Channel<Msg>, max_output: usize) -> Result<Output, Broken> {
    let mut output = Output::default();
    let mut left = max_output;
    while let Some(message) = channel.wait().await {
        let (into, data) = match message {
            ChannelMsg::Data { data } => (&mut output.stdout, data),
            ChannelMsg::ExtendedData { data, .. } => (&mut output.stderr, data),
            ChannelMsg::ExitStatus { exit_status } => {
                output.status = Some(exit_status);
                continue;
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                output.signal = Some(format!("{signal_name:?}"));
                continue;
            }
            ChannelMsg::Failure => return Err(Broken::Refused),
            // The status can follow the end of the output; only the close is the end.
            ChannelMsg::Close => return Ok(output),
            _ => continue,
        };
        left = left.checked_sub(data.len()).ok_or(Broken::TooMuch)?;
        into.extend_from_slice(&data);
    }
    Err(Broken::Lost)
}

/// A command's name for an error: short, and never an encoded script.
pub(crate) fn name_of(command: &str) -> String {
    const MOST: usize = 60;
    if command.contains("-EncodedCommand") {
        return "powershell".to_owned();
    }
    let line = command.lines().next().unwrap_or_default();
    if line.chars().count() > MOST || line.len() < command.trim_end().len() {
        format!("{}…", line.chars().take(MOST).collect::<String>())
    } else {
        line.to_owned()
    }
}

pub(crate) fn too_slow(name: &str, limit: Duration) -> Error {
    Error::new(
        Code::TimedOut,
        format!(
            "`{name}` did not finish on the host within {} s",
            limit.as_secs_f64().ceil()
        ),
    )
}

pub(crate) fn too_much(name: &str, limit: usize) -> Error {
    Error::failed(format!(
        "`{name}` said more than {limit} bytes and was stopped"
    ))
}
