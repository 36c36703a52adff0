//! One SSH connection and what can be opened on it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use berth_core::{ByteStream, Code, Error, Result, powershell};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, Disconnect, client, client::Msg};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Address, ExecLimits, HostKeys, Output, Profile, SignIn,
    channel::{Budget, Carries, ChannelStream, Overflow},
    client::{Facts, Watcher, reason_text},
    connect,
    exec::{self, Broken},
    pulse,
    sign_in::Accepted,
};

/// What a connection is for. Everything on one connection shares its order of bytes, so
/// what may wait must not travel with what must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Short exchanges that Berth itself reads: engine calls, probes, SQL of its own. A
    /// channel with 32 MiB unread is closed at once.
    Control,
    /// Long streams that Berth itself reads: logs, events, stats. As `Control`.
    Streams,
    /// Tunnels whose reader is somebody else's program. Beyond 32 MiB unread the whole
    /// connection waits for that reader, as a slow client must not lose its data; one that
    /// takes nothing for 5 s is closed. While [`Session::is_held_up`], open new tunnels on
    /// another connection.
    Tunnels,
    /// One transfer: a larger window, and the host is slowed down to the reader's pace
    /// without a limit.
    Bulk,
}

impl Lane {
    fn budget(self) -> Budget {
        // Above what a client leaves unread while it computes, far below what hurts a Mac.
        const UNREAD: usize = 32 << 20;
        match self {
            Self::Control | Self::Streams => Budget {
                bytes: UNREAD,
                overflow: Overflow::Cut,
            },
            Self::Tunnels => Budget {
                bytes: UNREAD,
                overflow: Overflow::Hold(Some(Duration::from_secs(5))),
            },
            // Little more than the window: memory buys no speed here.
            Self::Bulk => Budget {
                bytes: 20 << 20,
                overflow: Overflow::Hold(None),
            },
        }
    }
}

/// Commands at once on one connection. sshd's `MaxSessions` is 10 (Windows' as well); two
/// are left for file transfers.
const SLOTS: usize = 8;

/// For the host to answer whether a channel may be opened. A forward includes the host's
/// own connect to its target.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest pause before a command is asked for again; 1.3 s in all.
const FULL_WAIT: Duration = Duration::from_millis(640);

/// For other commands of this connection to end, where the server takes fewer at once than there are slots.
const QUEUE_WAIT: Duration = Duration::from_secs(8);

/// For the disconnect message to leave before the connection is cut.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One SSH connection, signed in. A clone is the same connection; it ends when the last
/// clone and the last stream are dropped, or by [`Session::close`].
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    handle: client::Handle<Watcher>,
    facts: Arc<Facts>,
    lane: Lane,
    place: String,
    accepted: Accepted,
    slots: Arc<Semaphore>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("place", &self.0.place)
            .field("lane", &self.0.lane)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

enum Target {
    Command,
    Tcp(String, u16),
    Unix(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command => f.write_str("a command"),
            Self::Tcp(host, port) => write!(f, "`{host}:{port}`"),
            Self::Unix(path) => write!(f, "`{path}`"),
        }
    }
}

impl Session {
    /// Connects, checks the host's key, signs in. Every step has its own time limit: 5 s for
    /// TCP over all addresses of the name, 10 s for the key exchange, 20 s for each way to
    /// sign in (60 s for a signature of the agent, which may ask its owner).
    ///
    /// # Errors
    /// [`Code::Unreachable`] and [`Code::TimedOut`] from the network,
    /// [`Code::HostKeyUnknown`], [`Code::HostKeyChanged`] and [`Code::Refused`] for the key,
    /// [`Code::PassphraseNeeded`] and [`Code::SignInRefused`] from signing in.
    pub async fn connect(
        address: &Address,
        sign_in: &SignIn,
        host_keys: &HostKeys,
        lane: Lane,
    ) -> Result<Self> {
        let profile = Profile::direct(address.clone(), sign_in.clone(), host_keys.clone());
        Self::open(&profile, lane).await
    }

    /// As [`Session::connect`], by the way that a profile describes. A jump host on it is a connection of
    /// its own, which ends with this one; each has these limits for itself, TCP the configuration's
    /// `ConnectTimeout` where that says one.
    ///
    /// # Errors
    /// As [`Session::connect`]; what a jump host or a ProxyCommand says is among the causes.
    pub async fn open(profile: &Profile, lane: Lane) -> Result<Self> {
        let opened = connect::open(profile, lane).await?;
        let session = Self(Arc::new(Inner {
            handle: opened.handle,
            facts: opened.facts,
            lane,
            place: profile.address.place(),
            accepted: opened.accepted,
            slots: Arc::new(Semaphore::new(SLOTS)),
        }));
        session.watch();
        // From here on a change is one.
        let _ = session.has_moved();
        Ok(session)
    }

    /// Ends the connection when it is used and stays silent: 9 s after the first byte that got no answer.
    fn watch(&self) {
        let (inner, facts) = (Arc::downgrade(&self.0), self.0.facts.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = facts.pulse.quiet() => {}
                    () = facts.closed.cancelled() => return,
                }
                // While a slow reader holds the connection up, it is this side that does not listen.
                if facts.is_holding() {
                    sleep(pulse::QUIET).await;
                    continue;
                }
                let Some(inner) = inner.upgrade() else { return };
                Self(inner).probe(pulse::ANSWER).await;
            }
        });
    }

    /// Asks the host for a sign of life, and ends the connection when none comes within `limit`.
    /// Answers whether it lives. A connection that a slow reader holds up is not asked.
    pub async fn probe(&self, limit: Duration) -> bool {
        let facts = &self.0.facts;
        if self.is_closed() {
            return false;
        }
        if facts.is_holding() {
            return true;
        }
        let answered = tokio::select! {
            pinged = timeout(limit, self.0.handle.send_ping()) => {
                // Any byte will do: an answer that waits behind others is under way.
                matches!(pinged, Ok(Ok(()))) || !facts.pulse.is_waiting()
            }
            () = facts.closed.cancelled() => false,
        };
        if !answered && !facts.is_holding() {
            facts.ended("the host stopped answering");
            facts.cut.cancel();
        }
        answered && !self.is_closed()
    }

    /// Whether this machine reaches the host by another address of its own than when this was last asked (or the
    /// connection was made), or not at all any more: it has another network, and the connection is dead as a
    /// rule. Asks the routing table alone; no packet is sent. Never for a connection through a jump host or a command.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        let facts = &self.0.facts;
        let Some(to) = facts.peer.get() else {
            return false;
        };
        let now = route(*to);
        let mut before = facts
            .route
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        before.replace(now).is_some_and(|before| before != now)
    }

    /// Waits until the connection has ended and answers why, without keeping it open.
    pub fn ending(&self) -> impl Future<Output = String> + Send + use<> {
        let facts = self.0.facts.clone();
        async move {
            facts.closed.cancelled().await;
            facts
                .why_closed()
                .unwrap_or_else(|| "the connection was lost".to_owned())
        }
    }

    /// Runs a command through the user's default shell there and collects what it says. At
    /// most 8 run at once on a connection; more wait within their time limit. `stdin` is
    /// written and closed. Dropping the future ends the command.
    ///
    /// # Errors
    /// [`Code::TimedOut`], more output than the limit, [`Code::Unreachable`] when the
    /// connection ends first. A status other than 0 is an [`Output`].
    pub async fn exec(
        &self,
        command: &str,
        stdin: Option<&[u8]>,
        limits: ExecLimits,
    ) -> Result<Output> {
        let name = exec::name_of(command);
        let start = Instant::now();
        let Ok(slot) = timeout(limits.timeout, self.slot()).await else {
            return Err(exec::too_slow(&name, limits.timeout)
                .because(format!("{SLOTS} other commands are running there")));
        };
        let slot = slot?;
        let left = |from: Instant| limits.timeout.saturating_sub(from.elapsed());
        let channel = timeout(left(start), self.open_command())
            .await
            .map_err(|_| exec::too_slow(&name, limits.timeout))??;
        // When the caller goes away or the time is over, the guard ends the task.
        let dropped = CancellationToken::new();
        let guard = dropped.clone().drop_guard();
        let command = command.to_owned();
        let stdin = stdin.map(<[u8]>::to_vec);
        let task = tokio::spawn(async move {
            let result = exec::run(channel, command, stdin, limits.max_output, dropped).await;
            drop(slot);
            result
        });
        let result = timeout(left(start), task).await;
        drop(guard);
        match result {
            Err(_) => Err(exec::too_slow(&name, limits.timeout)),
            Ok(Err(e)) => {
                Err(Error::failed(format!("`{name}` could not be run")).because(e.to_string()))
            }
            Ok(Ok(Ok(output))) => Ok(output),
            Ok(Ok(Err(Broken::TooMuch))) => Err(exec::too_much(&name, limits.max_output)),
            Ok(Ok(Err(Broken::Refused))) => Err(refused_command(&name)),
            Ok(Ok(Err(Broken::Lost | Broken::Dropped))) => {
                Err(self.lost().context(format!("`{name}` was interrupted")))
            }
        }
    }

    /// Starts a long command; the stream is its stdin and stdout. Holds one of the 8 slots
    /// until it is over. When the command ends with a failure, reading ends with an error
    /// that carries the last of its stderr, not with an end of the data.
    ///
    /// # Errors
    /// All slots are taken for 15 s, the host refuses, or the connection ended.
    pub async fn exec_stream(&self, command: &str) -> Result<Box<dyn ByteStream>> {
        let name = exec::name_of(command);
        let slot = timeout(OPEN_TIMEOUT, self.slot()).await.map_err(|_| {
            Error::new(Code::TimedOut, format!("`{name}` could not be started")).because(format!(
                "{SLOTS} other commands are running on this connection"
            ))
        })??;
        let mut channel = self.open_command().await?;
        let started = async {
            channel.exec(true, command).await.map_err(|_| self.lost())?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => return Ok(()),
                    Some(ChannelMsg::Failure) => return Err(refused_command(&name)),
                    Some(ChannelMsg::Close) | None => return Err(self.lost_or(&name)),
                    Some(_) => {}
                }
            }
        };
        match timeout(OPEN_TIMEOUT, started).await {
            Ok(result) => result?,
            Err(_) => {
                let _ = channel.close().await;
                return Err(exec::too_slow(&name, OPEN_TIMEOUT)
                    .because("the host did not say whether it started"));
            }
        }
        Ok(self.stream(channel, Carries::Command(name, slot)))
    }

    /// A subsystem of the server, as `sftp`. Not counted among the 8 commands.
    pub(crate) async fn subsystem(&self, name: &str) -> Result<Box<dyn ByteStream>> {
        let mut channel = self.open_command().await?;
        let started = async {
            channel
                .request_subsystem(true, name)
                .await
                .map_err(|_| self.lost())?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => return Ok(()),
                    Some(ChannelMsg::Failure) => {
                        return Err(Error::new(
                            Code::Refused,
                            format!("`{}` has no `{name}`", self.0.place),
                        )
                        .hint(format!("Its sshd_config needs a line `Subsystem {name} …`")));
                    }
                    Some(ChannelMsg::Close) | None => return Err(self.lost_or(name)),
                    Some(_) => {}
                }
            }
        };
        match timeout(OPEN_TIMEOUT, started).await {
            Ok(result) => result?,
            Err(_) => {
                let _ = channel.close().await;
                return Err(exec::too_slow(name, OPEN_TIMEOUT)
                    .because("the host did not say whether it started"));
            }
        }
        Ok(self.stream(channel, Carries::Tunnel))
    }

    /// A TCP connection from the host to `host:port` as seen from there (`direct-tcpip`).
    ///
    /// # Errors
    /// [`Code::Unreachable`] when nothing answers there, [`Code::Refused`] when the host
    /// forbids forwarding, [`Code::TimedOut`] after 15 s.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>> {
        let channel = self
            .open_channel(Target::Tcp(host.to_owned(), port))
            .await?;
        Ok(self.stream(channel, Carries::Tunnel))
    }

    /// A connection to a socket file on the host (`direct-streamlocal@openssh.com`). Not for
    /// Windows: its SSH server cannot reach a named pipe this way.
    ///
    /// # Errors
    /// As [`Session::tcp`].
    pub async fn unix(&self, path: &str) -> Result<Box<dyn ByteStream>> {
        let channel = self.open_channel(Target::Unix(path.to_owned())).await?;
        Ok(self.stream(channel, Carries::Tunnel))
    }

    /// Runs a script in the host's Windows PowerShell and reads its answer. With `input` the
    /// script finds the value in `$given`; it travels by the standard input, so that it may
    /// hold a secret.
    ///
    /// # Errors
    /// As [`Session::exec`], and what [`powershell::answer`] tells.
    pub async fn powershell(
        &self,
        script: &str,
        input: Option<&Value>,
        limits: ExecLimits,
    ) -> Result<Value> {
        let command = if input.is_some() {
            powershell::command_with_input(script)?
        } else {
            powershell::command(script)?
        };
        let line = input.map(powershell::input_line);
        let output = self
            .exec(&command, line.as_ref().map(String::as_bytes), limits)
            .await?;
        powershell::answer(&output.stdout, &output.stderr, output.status)
    }

    /// Runs a script of any length, which travels by the standard input with what it is given.
    ///
    /// # Errors
    /// As [`Session::powershell`].
    pub async fn script(&self, script: &str, given: &Value, limits: ExecLimits) -> Result<Value> {
        let input = powershell::loaded(script, given);
        self.powershell(powershell::LOADER, Some(&input), limits)
            .await
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.handle.is_closed()
            || self.0.facts.closed.is_cancelled()
            || self.0.facts.cut.is_cancelled()
    }

    /// Why it has ended, in words that fit behind a colon; `None` while it lives.
    #[must_use]
    pub fn why_closed(&self) -> Option<String> {
        if self.is_closed() {
            Some(
                self.0
                    .facts
                    .why_closed()
                    .unwrap_or_else(|| "the connection was lost".to_owned()),
            )
        } else {
            None
        }
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) {
        self.0.facts.closed.cancelled().await;
    }

    /// Whether a channel's slow reader holds up the whole connection right now. Only on
    /// [`Lane::Tunnels`] and [`Lane::Bulk`].
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.0.facts.is_holding()
    }

    /// Ends the connection with everything on it, within 2 s.
    pub async fn close(&self) {
        if self.is_closed() {
            return;
        }
        self.0.facts.ended("it was closed on this side");
        let _ = timeout(
            CLOSE_TIMEOUT,
            self.0.handle.disconnect(Disconnect::ByApplication, "", ""),
        )
        .await;
        let _ = timeout(CLOSE_TIMEOUT, self.0.facts.closed.cancelled()).await;
        self.0.facts.cut.cancel();
    }

    /// The way in that the host accepted, as `key /home/me/.ssh/id_ed25519`, `agent` or `password`.
    #[must_use]
    pub fn sign_in_way(&self) -> &str {
        &self.0.accepted.way
    }

    /// Whether the password was needed to sign in.
    #[must_use]
    pub fn used_password(&self) -> bool {
        self.0.accepted.password
    }

    /// Whether somebody had to answer the host's questions: such a connection cannot be made again without them.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.0.accepted.personal
    }

    /// What the server calls itself, as `SSH-2.0-OpenSSH_for_Windows_9.5`.
    #[must_use]
    pub fn server_version(&self) -> &str {
        self.0.facts.server_version.get().map_or("", String::as_str)
    }

    /// The host key's fingerprint, as `SHA256:…`.
    #[must_use]
    pub fn host_key_fingerprint(&self) -> &str {
        self.0.facts.fingerprint.get().map_or("", String::as_str)
    }

    /// What the connection is for.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.0.lane
    }

    fn stream(&self, channel: Channel<Msg>, carries: Carries) -> Box<dyn ByteStream> {
        Box::new(ChannelStream::new(
            channel,
            carries,
            self.0.lane.budget(),
            &self.0.facts,
        ))
    }

    fn lost(&self) -> Error {
        self.0.facts.lost(&self.0.place)
    }

    fn lost_or(&self, name: &str) -> Error {
        if self.is_closed() {
            self.lost()
        } else {
            refused_command(name)
        }
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.0.facts.closed.cancelled() => Err(self.lost()),
            slot = self.0.slots.clone().acquire_owned() => slot.map_err(|_| self.lost()),
        }
    }

    /// Opens a channel for a command.
    ///
    /// A server counts a command until it has tidied up behind its close, so a full house
    /// can be over within milliseconds.
    async fn open_command(&self) -> Result<Channel<Msg>> {
        let mut pause = Duration::from_millis(20);
        let start = Instant::now();
        loop {
            match self.open_channel(Target::Command).await {
                Err(e) if e.get_detail("full").is_some() => {
                    // A server that takes fewer than there are slots: then others of ours stand in the way,
                    // and one after the other they end.
                    let among_us = self.0.slots.available_permits() + 1 < SLOTS;
                    if pause > FULL_WAIT && !(among_us && start.elapsed() < QUEUE_WAIT) {
                        return Err(e);
                    }
                    sleep(pause.min(FULL_WAIT)).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
    }

    /// Opens a channel. The asking runs in a task of its own: when the caller goes away
    /// before the host answered, the channel is closed as soon as it is there.
    async fn open_channel(&self, target: Target) -> Result<Channel<Msg>> {
        let what = target.to_string();
        let inner = self.0.clone();
        let is_command = matches!(target, Target::Command);
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let handle = &inner.handle;
            let opened = match target {
                Target::Command => handle.channel_open_session().await,
                Target::Tcp(host, port) => {
                    handle
                        .channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0)
                        .await
                }
                Target::Unix(path) => handle.channel_open_direct_streamlocal(path).await,
            };
            if let Err(Ok(channel)) = tell.send(opened) {
                let _ = channel.close().await;
            }
        });
        let opened = tokio::select! {
            biased;
            told = timeout(OPEN_TIMEOUT, told) => told,
            () = self.0.facts.cut.cancelled() => return Err(self.lost()),
        };
        match opened {
            Ok(Ok(Ok(channel))) => Ok(channel),
            Ok(Ok(Err(russh::Error::ChannelOpenFailure(why)))) => {
                Err(self.not_opened(&what, is_command, &why))
            }
            Ok(Ok(Err(_)) | Err(_)) if self.is_closed() => Err(self.lost()),
            Ok(Ok(Err(e))) => Err(Error::new(
                Code::Unreachable,
                format!("{what} could not be reached through `{}`", self.0.place),
            )
            .because(reason_text(&e))),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(Error::new(
                Code::TimedOut,
                format!(
                    "`{}` did not say within {} s whether it can open {what}",
                    self.0.place,
                    OPEN_TIMEOUT.as_secs()
                ),
            )),
        }
    }

    fn not_opened(&self, what: &str, is_command: bool, why: &ChannelOpenFailure) -> Error {
        let place = &self.0.place;
        match why {
            ChannelOpenFailure::ConnectFailed if !is_command => {
                let error = Error::new(Code::Unreachable, format!("Nothing answers at {what} on the host")).because(format!("`{place}` could not connect to it"));
                if what.starts_with("`/") {
                    // sshd gives the same answer where it is not allowed.
                    error.hint("Is the engine running there, may this user open its socket, and does the sshd_config there allow it (`AllowStreamLocalForwarding`, `DisableForwarding`)? Another socket is named by `ssh://user@host/path/to/docker.sock`")
                } else {
                    error
                }
            }
            ChannelOpenFailure::AdministrativelyProhibited if !is_command => {
                Error::new(Code::Refused, format!("`{place}` does not allow a tunnel to {what}"))
                    .hint("Its sshd_config has to allow it: `AllowTcpForwarding`, `AllowStreamLocalForwarding` and `PermitOpen`")
            }
            ChannelOpenFailure::UnknownChannelType => {
                Error::new(Code::Refused, format!("The SSH server of `{place}` cannot reach {what}")).because("it does not know this kind of tunnel")
            }
            _ if is_command => Error::failed(format!("`{place}` runs no more commands on this connection"))
                .because(open_failure(why))
                .hint("Its sshd_config limits them: `MaxSessions`")
                .detail("full", "commands"),
            _ => Error::new(Code::Unreachable, format!("{what} could not be reached through `{place}`")).because(open_failure(why)),
        }
    }
}

/// This machine's address on the way to another one; `None` where no way leads there.
fn route(to: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn open_failure(why: &ChannelOpenFailure) -> String {
    match why {
        ChannelOpenFailure::AdministrativelyProhibited => "it is forbidden there".to_owned(),
        ChannelOpenFailure::ConnectFailed => "the host refused it".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "the host does not know it".to_owned(),
        ChannelOpenFailure::ResourceShortage => "the host is short of something".to_owned(),
        ChannelOpenFailure::Other { code, reason } => {
            format!("`{}` ({code})", reason.escape_debug())
        }
    }
}

fn refused_command(name: &str) -> Error {
    Error::new(Code::Refused, format!("The host refuses to run `{name}`"))
        .hint("Its sshd_config or the key's line in authorized_keys allows this user no commands")
}
