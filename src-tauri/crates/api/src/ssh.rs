//! One host over SSH: its lanes, opened when they are needed and again when they are gone.

use std::{path::PathBuf, sync::Arc};

use berth_core::{BoxFuture, ByteStream, Dial, Error, Result, ResultExt, host::Route};
use berth_remote::{Lane, Profile, Session};
use tokio::sync::Mutex;

/// Everything that a connection to one host needs.
pub(crate) struct Ssh {
    pub(crate) profile: Profile,
    /// What the user's SSH configuration wants and does not get, each in one sentence.
    pub(crate) notes: Vec<String>,
    // An async mutex on purpose: while one caller connects, which is bounded by the session's own limits, the others wait
    // for that connection instead of making their own.
    control: Mutex<Option<Session>>,
    streams: Mutex<Option<Session>>,
    tunnels: Mutex<Option<Session>>,
    bulk: Mutex<Option<Session>>,
}

impl Ssh {
    pub(crate) fn new(profile: Profile, notes: Vec<String>) -> Self {
        Self {
            profile,
            notes,
            control: Mutex::default(),
            streams: Mutex::default(),
            tunnels: Mutex::default(),
            bulk: Mutex::default(),
        }
    }

    /// The session of a lane, connected anew where it is gone.
    pub(crate) async fn session(&self, lane: Lane) -> Result<Session> {
        let slot = match lane {
            Lane::Control => &self.control,
            Lane::Streams => &self.streams,
            Lane::Tunnels => &self.tunnels,
            Lane::Bulk => &self.bulk,
        };
        let mut slot = slot.lock().await;
        if let Some(session) = &*slot
            && !session.is_closed()
        {
            return Ok(session.clone());
        }
        let session = Session::open(&self.profile, lane).await?;
        *slot = Some(session.clone());
        Ok(session)
    }

    pub(crate) async fn close(&self) {
        for slot in [&self.control, &self.streams, &self.tunnels, &self.bulk] {
            if let Some(session) = slot.lock().await.take() {
                session.close().await;
            }
        }
    }
}

/// Dials a host's engine by one rung of the ladder.
pub(crate) struct EngineDial {
    pub(crate) ssh: Arc<Ssh>,
    pub(crate) route: Route,
    pub(crate) lane: Lane,
}

impl Dial for EngineDial {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(async {
            let session = self.ssh.session(self.lane).await?;
            match &self.route {
                Route::Streamlocal(path) => session.unix(path).await,
                Route::Tcp(port) => session.tcp("127.0.0.1", *port).await,
                Route::DialStdio(command) => session.exec_stream(command).await,
                Route::Socket(path) => Err(Error::failed(format!(
                    "`{path}` is a socket on this machine, not on the host"
                ))),
            }
        })
    }
}

/// Dials an address as the host sees it.
pub(crate) struct TcpDial {
    pub(crate) ssh: Arc<Ssh>,
    pub(crate) lane: Lane,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Dial for TcpDial {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(async {
            let session = self.ssh.session(self.lane).await?;
            session.tcp(&self.host, self.port).await
        })
    }
}

/// Dials a socket on this machine.
pub(crate) struct SocketDial(pub(crate) PathBuf);

impl Dial for SocketDial {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(async {
            let stream = tokio::time::timeout(
                std::time::Duration::from_secs(5),
                tokio::net::UnixStream::connect(&self.0),
            )
            .await
            .map_err(|_| {
                Error::new(
                    berth_core::Code::TimedOut,
                    "The engine's socket does not take connections",
                )
            })?
            .map_err(|e| {
                let at = self.0.display();
                let error = Error::new(
                    berth_core::Code::Unreachable,
                    format!("The engine's socket `{at}` cannot be opened"),
                )
                .because(e.to_string());
                match e.kind() {
                    std::io::ErrorKind::NotFound => error.hint(
                        "Is the engine running? `docker context inspect` shows where its socket is",
                    ),
                    std::io::ErrorKind::PermissionDenied => error
                        .hint("Your user needs access to it, for instance by the group `docker`"),
                    std::io::ErrorKind::ConnectionRefused => {
                        error.hint("The engine that made it has ended; start it again")
                    }
                    _ => error,
                }
            })?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// Dials a published port of an engine on this machine.
pub(crate) struct LocalDial(pub(crate) u16);

impl Dial for LocalDial {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(async {
            let connect = tokio::net::TcpStream::connect(("127.0.0.1", self.0));
            let stream = tokio::time::timeout(std::time::Duration::from_secs(5), connect)
                .await
                .map_err(|_| {
                    Error::new(
                        berth_core::Code::TimedOut,
                        "The published port does not take connections",
                    )
                })?
                .map_err(|e| {
                    Error::new(
                        berth_core::Code::Unreachable,
                        format!("Nothing answers on the local port {}", self.0),
                    )
                    .because(e.to_string())
                })?;
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// The answer of a host's shell to one line that cmd, PowerShell and sh read differently.
pub(crate) async fn shell_is_windows(session: &Session) -> Result<bool> {
    let limits = berth_remote::ExecLimits {
        timeout: std::time::Duration::from_secs(15),
        max_output: 64 << 10,
    };
    let output = session
        .exec("echo BERTH %OS% $env:OS $OSTYPE", None, limits)
        .await
        .context("The host's shell does not answer")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.contains("BERTH") {
        return Err(Error::failed("The host's shell does not run commands")
            .because(format!(
                "it answered `{}`",
                text.trim()
                    .escape_debug()
                    .to_string()
                    .chars()
                    .take(200)
                    .collect::<String>()
            ))
            .hint("The login needs a shell that runs commands: sh, cmd or PowerShell"));
    }
    Ok(text.contains("Windows_NT"))
}
