//! One host over SSH: its lanes, opened when they are needed and again when they are gone.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use berth_core::{BoxFuture, ByteStream, Dial, Error, Result, ResultExt, host::Route, reach::Seen};
use berth_remote::{Lane, Profile, Session, TlsInside};
use tokio::sync::Mutex;

use crate::healing::{self, Healing, HostState};

/// Connections for tunnels beside each other: one more is opened where a slow client holds up all the others.
const TUNNEL_LANES: usize = 4;

/// Everything that a connection to one host needs.
pub(crate) struct Ssh {
    /// The host's name.
    host: String,
    pub(crate) profile: Profile,
    /// What the user's SSH configuration wants and does not get, each in one sentence.
    pub(crate) notes: Vec<String>,
    // Async mutexes on purpose: while one caller connects, which is bounded by the session's own limits, the others wait
    // for that connection instead of making their own. So at most four connections of a host sign in at once, and sshd's
    // `MaxStartups` (10) is never in the way.
    control: Mutex<Option<Session>>,
    streams: Mutex<Option<Session>>,
    tunnels: Mutex<Vec<Session>>,
    bulk: Mutex<Option<Session>>,
    /// Whether signing in takes answers of a person: then the one connection carries all lanes.
    personal: AtomicBool,
    /// What opens the listener that Berth gave its engine.
    certificates: Option<TlsInside>,
    healing: Healing,
}

impl Ssh {
    pub(crate) fn new(host: &str, profile: Profile, notes: Vec<String>) -> Self {
        Self {
            host: host.to_owned(),
            profile,
            notes,
            control: Mutex::default(),
            streams: Mutex::default(),
            tunnels: Mutex::default(),
            bulk: Mutex::default(),
            personal: AtomicBool::new(false),
            certificates: None,
            healing: Healing::default(),
        }
    }

    /// The same with what opens the listener that Berth gave its engine.
    pub(crate) fn with_certificates(self, certificates: Option<TlsInside>) -> Self {
        Self {
            certificates,
            ..self
        }
    }

    pub(crate) fn has_certificates(&self) -> bool {
        self.certificates.is_some()
    }

    /// Who is told whether the host is reached, and that it is to be reached again whenever it is lost.
    pub(crate) fn tell(&self, state: Arc<HostState>) {
        self.healing.tell(state);
    }

    /// The session of a lane, connected anew where it is gone.
    pub(crate) async fn session(self: &Arc<Self>, lane: Lane) -> Result<Session> {
        let lane = if self.is_personal() {
            Lane::Control
        } else {
            lane
        };
        let slot = match lane {
            Lane::Control => &self.control,
            Lane::Streams => &self.streams,
            Lane::Bulk => &self.bulk,
            Lane::Tunnels => return self.tunnel_session().await,
        };
        let mut slot = slot.lock().await;
        if let Some(session) = &*slot
            && !session.is_closed()
        {
            return Ok(session.clone());
        }
        let session = self.connect(lane).await?;
        *slot = Some(session.clone());
        Ok(session)
    }

    /// A session whose tunnels are not held up, if there is one or room for one.
    async fn tunnel_session(self: &Arc<Self>) -> Result<Session> {
        let mut all = self.tunnels.lock().await;
        all.retain(|s| !s.is_closed());
        if let Some(free) = all.iter().find(|s| !s.is_held_up()) {
            return Ok(free.clone());
        }
        if all.len() < TUNNEL_LANES {
            let session = self.connect(Lane::Tunnels).await?;
            all.push(session.clone());
            return Ok(session);
        }
        all.first()
            .cloned()
            .ok_or_else(|| Error::failed("There is no way for a tunnel"))
    }

    /// Whether signing in takes answers of a person.
    pub(crate) fn is_personal(&self) -> bool {
        self.personal.load(Ordering::Acquire)
    }

    async fn connect(self: &Arc<Self>, lane: Lane) -> Result<Session> {
        if self.is_personal() {
            // A try would end at the question, and hosts count those.
            let e = crate::hosts::wants_answers(&self.host);
            self.healing.saw(Seen::Failed(healing::reason(&e)));
            return Err(e);
        }
        self.healing.saw(Seen::Trying);
        match Session::open(&self.profile, lane).await {
            Ok(session) => {
                self.personal
                    .store(session.is_personal(), Ordering::Release);
                self.healing.saw(Seen::Answered);
                healing::watch(self, &session);
                Ok(session)
            }
            Err(e) => {
                self.healing.saw(Seen::Failed(healing::reason(&e)));
                Err(e)
            }
        }
    }

    /// Every session that was opened and not yet replaced. Those that are being opened right now are left out.
    pub(crate) fn sessions(&self) -> Vec<Session> {
        let mut all: Vec<_> = [&self.control, &self.streams, &self.bulk]
            .into_iter()
            .filter_map(|slot| slot.try_lock().ok()?.clone())
            .collect();
        if let Ok(tunnels) = self.tunnels.try_lock() {
            all.extend(tunnels.iter().cloned());
        }
        all
    }

    pub(crate) fn healing(&self) -> &Healing {
        &self.healing
    }

    pub(crate) async fn close(&self) {
        self.healing.close();
        for slot in [&self.control, &self.streams, &self.bulk] {
            if let Some(session) = slot.lock().await.take() {
                session.close().await;
            }
        }
        for session in std::mem::take(&mut *self.tunnels.lock().await) {
            session.close().await;
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
                Route::Tls(port) => {
                    let certificates = self.ssh.certificates.as_ref().ok_or_else(|| {
                        Error::failed("This machine has no certificate for that engine")
                    })?;
                    certificates
                        .over(session.tcp("127.0.0.1", *port).await?)
                        .await
                }
                Route::DialStdio(command) => session.exec_stream(command).await,
                Route::Direct(_) => Err(Error::failed("This engine is not reached over SSH")),
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

/// Dials a port that an engine publishes, or one that this agent listens on.
pub(crate) struct PublishedDial {
    host: String,
    port: u16,
}

impl PublishedDial {
    /// A port of this machine where no other is named.
    pub(crate) fn new(host: Option<&str>, port: u16) -> Self {
        Self {
            host: host.unwrap_or("127.0.0.1").to_owned(),
            port,
        }
    }
}

impl Dial for PublishedDial {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(async {
            let connect = tokio::net::TcpStream::connect((self.host.as_str(), self.port));
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
                        if self.host == "127.0.0.1" {
                            format!("Nothing answers on the local port {}", self.port)
                        } else {
                            format!("Nothing answers on port {} of `{}`", self.port, self.host)
                        },
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
