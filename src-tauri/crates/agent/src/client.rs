//! The client half: finds the agent or starts it, and calls the command table.

use std::{
    collections::BTreeMap,
    io::Read,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use berth_api::table::Command;
use berth_core::{Code, Error, Result, Secret};
use serde_json::Value;
use tokio::{
    net::UnixStream,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::{
    Paths, VERSION,
    wire::{self, FromAgent, FromClient, OnWire, PROTOCOL},
};

/// How long an agent may take from its start to its first answer.
const START_LIMIT: Duration = Duration::from_secs(15);
/// How long a client waits before it starts an agent again, after one that found the lock taken.
const START_AGAIN: Duration = Duration::from_millis(200);
/// How long a running agent may take to answer the handshake.
const HELLO_LIMIT: Duration = Duration::from_secs(5);

/// What to do where no agent runs, or an older one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Starts one; replaces an idle older one, refuses where the older one is busy.
    IfNeeded,
    /// Also replaces a busy older one.
    Replace,
    /// Only takes one that runs.
    Never,
}

/// An answer, and the secret beside it where the command gives one.
#[derive(Debug)]
pub struct Reply<T> {
    /// The response.
    pub body: T,
    /// For instance a whole connection string.
    pub secret: Option<Secret>,
}

type Pending = Arc<Mutex<Option<BTreeMap<u64, mpsc::Sender<FromAgent>>>>>;

/// A connection to the agent.
#[derive(Clone)]
pub struct Client {
    frames: mpsc::Sender<FromClient>,
    pending: Pending,
    next: Arc<AtomicU64>,
    agent: Arc<Agent>,
}

/// The agent as it introduced itself.
#[derive(Debug)]
pub struct Agent {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
}

impl Client {
    /// Connects, as far as `start` allows by starting an agent.
    ///
    /// # Errors
    /// [`Code::NotFound`] where none runs and none may be started; [`Code::Refused`] with the detail `agent_busy` where an
    /// older one is busy; else why it does not answer.
    pub async fn connect(paths: &Paths, start: Start) -> Result<Self> {
        Self::connect_as(paths, start, VERSION).await
    }

    /// Connects as if this were build `version`.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_as(paths: &Paths, start: Start, version: &str) -> Result<Self> {
        if start != Start::Never {
            paths.prepare()?;
        }
        let deadline = Instant::now() + START_LIMIT;
        let mut started: Option<std::process::Child> = None;
        let mut start_again = Instant::now();
        let mut replaced = false;
        let mut pause = Duration::from_millis(5);
        loop {
            let problem = match UnixStream::connect(paths.socket()).await {
                Ok(stream) => {
                    // What took the place of an older one is not replaced in turn: that would go on for ever.
                    match Self::hello(stream, start, version, !replaced).await? {
                        Hello::Ready(client) => return Ok(client),
                        Hello::Replaced => {
                            replaced = true;
                            "the older one has not ended yet".to_owned()
                        }
                        Hello::Closed => {
                            "it closed the connection before it said who it is".to_owned()
                        }
                    }
                }
                Err(_) if start == Start::Never => {
                    return Err(Error::not_found("No agent of Berth runs")
                        .hint("Any command that needs one starts it"));
                }
                Err(e) => {
                    if let Some(child) = &mut started {
                        match child.try_wait() {
                            Ok(Some(status)) if !status.success() => {
                                return Err(did_not_start(paths, child, status).await);
                            }
                            // Another agent holds the lock. It is about to listen; or it is just ending, has closed its
                            // socket already, and ours came too early.
                            Ok(Some(_)) => {
                                started = None;
                                start_again = Instant::now() + START_AGAIN;
                            }
                            Ok(None) | Err(_) => {}
                        }
                    } else if Instant::now() >= start_again {
                        started = Some(spawn(paths)?);
                    }
                    e.to_string()
                }
            };
            if Instant::now() >= deadline {
                return Err(Error::new(
                    Code::TimedOut,
                    format!(
                        "Berth's agent did not answer in {} s",
                        START_LIMIT.as_secs()
                    ),
                )
                .because(problem)
                .hint(format!("Its log is `{}`", paths.log().display())));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    async fn hello(
        stream: UnixStream,
        start: Start,
        version: &str,
        may_replace: bool,
    ) -> Result<Hello> {
        check_peer(&stream)?;
        let (mut reader, mut writer) = wire::split(stream);
        let greeted = timeout(HELLO_LIMIT, async {
            writer
                .send(&FromClient::Hello {
                    protocol: PROTOCOL,
                    version: version.to_owned(),
                })
                .await?;
            reader.next::<FromAgent>().await
        })
        .await;
        let (protocol, theirs, pid, busy) = match greeted {
            Ok(Ok(Some(FromAgent::Welcome {
                protocol,
                version,
                pid,
                busy,
            }))) => (protocol, version, pid, busy),
            // It is just ending: its socket was still there.
            Ok(Ok(None) | Err(_)) => return Ok(Hello::Closed),
            Ok(Ok(Some(_))) => {
                return Err(Error::failed(
                    "What answers on Berth's socket is not its agent",
                ));
            }
            Err(_) => {
                return Err(Error::new(Code::TimedOut, "Berth's agent does not answer")
                    .hint("End it with `berth agent stop --force`"));
            }
        };
        let older = is_older(&theirs, version);
        if older && may_replace && start != Start::Never {
            let force = start == Start::Replace;
            writer.send(&FromClient::Stop { force }).await?;
            return match timeout(HELLO_LIMIT, reader.next::<FromAgent>()).await {
                Ok(Ok(Some(FromAgent::Busy { operations }))) => Err(Error::new(
                    Code::Refused,
                    "An older Berth is still working in the background",
                )
                .because(format!(
                    "{} in its agent {theirs}; this is {version}",
                    under_way(operations)
                ))
                .detail("agent_busy", operations.to_string())
                .hint("Wait until it is done, or end it with `berth agent stop --force`")),
                _ => {
                    // Its socket closes when it has ended.
                    let _ = timeout(START_LIMIT, async {
                        while let Ok(Some(_)) = reader.next::<FromAgent>().await {}
                    })
                    .await;
                    Ok(Hello::Replaced)
                }
            };
        }
        if protocol != PROTOCOL {
            return Err(
                Error::failed("Berth's agent and this command are of different versions and do not understand each other")
                    .because(format!("the agent is {theirs}, this is {version}; in the agent {}", under_way(busy)))
                    .hint("Update Berth, or end the agent with `berth agent stop --force`: strings of tunnelled instances work again after the next command"),
            );
        }
        let (frames, mut outgoing) = mpsc::channel::<FromClient>(64);
        tokio::spawn(async move {
            while let Some(frame) = outgoing.recv().await {
                if writer.send(&frame).await.is_err() {
                    break;
                }
            }
        });
        let pending: Pending = Arc::new(Mutex::new(Some(BTreeMap::new())));
        let routes = Arc::clone(&pending);
        tokio::spawn(async move {
            while let Ok(Some(frame)) = reader.next::<FromAgent>().await {
                let (id, last) = match &frame {
                    FromAgent::Item { id, .. } => (*id, false),
                    FromAgent::Done { id, .. } | FromAgent::Failed { id, .. } => (*id, true),
                    FromAgent::Stopping | FromAgent::Busy { .. } | FromAgent::Welcome { .. } => {
                        (0, false)
                    }
                };
                let route = {
                    let mut routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
                    routes.as_mut().and_then(|map| {
                        if last {
                            map.remove(&id)
                        } else {
                            map.get(&id).cloned()
                        }
                    })
                };
                if let Some(route) = route {
                    let _ = route.send(frame).await;
                }
            }
            // Dropping the senders ends every call that still waits.
            *routes.lock().unwrap_or_else(PoisonError::into_inner) = None;
        });
        Ok(Hello::Ready(Self {
            frames,
            pending,
            next: Arc::new(AtomicU64::new(1)),
            agent: Arc::new(Agent {
                version: theirs,
                pid,
            }),
        }))
    }

    /// The agent at the other end.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Calls a command and waits for its answer.
    ///
    /// # Errors
    /// What the command says, or that the connection broke.
    pub async fn call<C: Command>(
        &self,
        request: &C::Request,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<Reply<C::Response>> {
        let mut streaming = self.stream::<C>(request, secrets).await?;
        while streaming.next().await?.is_some() {}
        streaming.finish().await
    }

    /// Calls a command that streams. Dropping the stream cancels it.
    ///
    /// # Errors
    /// That the connection broke.
    pub async fn stream<C: Command>(
        &self,
        request: &C::Request,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<Streaming<C>> {
        let body = serde_json::to_value(request)
            .map_err(|e| Error::failed("The request cannot be written").because(e.to_string()))?;
        Ok(Streaming {
            raw: self.open(C::NAME, body, secrets).await?,
            command: std::marker::PhantomData,
        })
    }

    /// Calls a command by its name, for an adapter that only hands bodies on.
    ///
    /// # Errors
    /// That the connection broke.
    pub(crate) async fn open(
        &self,
        command: &str,
        body: Value,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<Raw> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, frames) = mpsc::channel(64);
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.as_mut().ok_or_else(gone)?.insert(id, sender);
        }
        let secrets = secrets
            .into_iter()
            .map(|(name, secret)| (name, OnWire(secret)))
            .collect();
        self.frames
            .send(FromClient::Call {
                id,
                command: command.to_owned(),
                body,
                secrets,
            })
            .await
            .map_err(|_| gone())?;
        Ok(Raw {
            client: self.clone(),
            id,
            frames,
            ended: None,
        })
    }

    /// Whether the connection broke: every call from now on fails.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Ends the agent and waits until it has. With `force` one that does not end by itself is killed: nothing is lost
    /// with it that is not found again on the hosts.
    ///
    /// # Errors
    /// [`Code::Refused`] while it is busy, unless `force`; [`Code::TimedOut`] where it does not end.
    pub async fn stop(paths: &Paths, force: bool) -> Result<()> {
        let stream = UnixStream::connect(paths.socket())
            .await
            .map_err(|_| Error::not_found("No agent of Berth runs"))?;
        let pid = check_peer(&stream)?;
        let (mut reader, mut writer) = wire::split(stream);
        let asked = timeout(HELLO_LIMIT, async {
            writer
                .send(&FromClient::Hello {
                    protocol: PROTOCOL,
                    version: VERSION.to_owned(),
                })
                .await?;
            writer.send(&FromClient::Stop { force }).await?;
            loop {
                match reader.next::<FromAgent>().await {
                    Ok(Some(FromAgent::Busy { operations })) => {
                        return Err(Error::new(Code::Refused, "Berth's agent is busy")
                            .because(under_way(operations))
                            .hint("Wait for it to end, or say `--force`"));
                    }
                    Ok(Some(FromAgent::Welcome { .. })) => {}
                    Ok(Some(_) | None) | Err(_) => return Ok(()),
                }
            }
        })
        .await;
        let limit = match asked {
            Ok(Ok(())) => START_LIMIT,
            Ok(Err(e)) if e.code() == Code::Refused => return Err(e),
            Ok(Err(_)) | Err(_) => Duration::ZERO,
        };
        let end = Instant::now() + limit;
        while !has_ended(paths, pid) {
            if Instant::now() >= end {
                if !force {
                    return Err(Error::new(Code::TimedOut, "Berth's agent did not end")
                        .hint("End it with `berth agent stop --force`"));
                }
                if let Some(pid) = pid {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
                // The kernel gives the lock back with the process.
                let end = Instant::now() + HELLO_LIMIT;
                while !has_ended(paths, pid) {
                    if Instant::now() >= end {
                        return Err(Error::new(Code::TimedOut, "Berth's agent cannot be ended"));
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn under_way(operations: usize) -> String {
    match operations {
        1 => "one operation is under way".to_owned(),
        n => format!("{n} operations are under way"),
    }
}

enum Hello {
    Ready(Client),
    /// An older one was told to end: start a new one in its place.
    Replaced,
    /// It is just ending, or it is no agent at all.
    Closed,
}

/// A command that is under way.
pub struct Streaming<C: Command> {
    raw: Raw,
    command: std::marker::PhantomData<C>,
}

impl<C: Command> Streaming<C> {
    /// The next item; `None` when the answer is there.
    ///
    /// # Errors
    /// Only where an item cannot be read; how the command ended is said by [`Streaming::finish`].
    pub async fn next(&mut self) -> Result<Option<C::Item>> {
        match self.raw.next().await {
            Some(body) => serde_json::from_value(body).map(Some).map_err(|e| {
                Error::failed("An item from Berth's agent cannot be read").because(e.to_string())
            }),
            None => Ok(None),
        }
    }

    /// The answer, after the last item, where the stream itself is still needed.
    ///
    /// # Errors
    /// What the command says.
    pub async fn answer(&mut self) -> Result<Reply<C::Response>> {
        let Reply { body, secret } = self.raw.answer().await?;
        let body = serde_json::from_value(body).map_err(|e| {
            Error::failed("The answer of Berth's agent cannot be read").because(e.to_string())
        })?;
        Ok(Reply { body, secret })
    }

    /// The answer, after the last item.
    ///
    /// # Errors
    /// What the command says.
    pub async fn finish(mut self) -> Result<Reply<C::Response>> {
        self.answer().await
    }
}

/// A command that is under way, its bodies as they travel. Dropping it cancels the command.
pub(crate) struct Raw {
    client: Client,
    id: u64,
    frames: mpsc::Receiver<FromAgent>,
    ended: Option<Result<(Value, Option<Secret>)>>,
}

impl Raw {
    /// The next item; `None` when the answer is there.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        if self.ended.is_some() {
            return None;
        }
        match self.frames.recv().await {
            Some(FromAgent::Item { body, .. }) => Some(body),
            Some(FromAgent::Done { body, secret, .. }) => {
                self.ended = Some(Ok((body, secret.map(|s| s.0))));
                None
            }
            Some(FromAgent::Failed { error, .. }) => {
                self.ended = Some(Err(error.into()));
                None
            }
            Some(_) | None => {
                self.ended = Some(Err(gone()));
                None
            }
        }
    }

    /// The answer, after the last item.
    ///
    /// # Errors
    /// What the command says.
    pub(crate) async fn finish(mut self) -> Result<Reply<Value>> {
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Reply<Value>> {
        while self.next().await.is_some() {}
        let ended = self.ended.take().unwrap_or_else(|| Err(gone()));
        // Taken: dropping must not cancel what has ended.
        self.ended = Some(Err(gone()));
        let (body, secret) = ended?;
        Ok(Reply { body, secret })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self
                .client
                .frames
                .try_send(FromClient::Cancel { id: self.id });
            if let Some(map) = self
                .client
                .pending
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_mut()
            {
                map.remove(&self.id);
            }
        }
    }
}

fn gone() -> Error {
    Error::failed("Berth's agent ended")
        .because("its connection closed before it answered")
        .hint("Run the command again: everything is found again from the hosts")
}

/// Refuses another user's socket; answers who listens there, where the system tells.
fn check_peer(stream: &UnixStream) -> Result<Option<rustix::process::Pid>> {
    let peer = stream.peer_cred().map_err(|e| {
        Error::failed("Who listens on Berth's socket cannot be told").because(e.to_string())
    })?;
    if peer.uid() == rustix::process::geteuid().as_raw() {
        Ok(peer.pid().and_then(rustix::process::Pid::from_raw))
    } else {
        Err(Error::new(
            Code::Refused,
            "Another user listens on Berth's socket",
        ))
    }
}

/// The child outlives us: it makes a session of its own first thing. Its standard error is read only where it ends at
/// once, since it has no log yet then; our end closes with the [`std::process::Child`].
fn spawn(paths: &Paths) -> Result<std::process::Child> {
    let program = match paths.program() {
        Some(program) => program.to_owned(),
        None => std::env::current_exe().map_err(|e| {
            Error::failed("Berth cannot find its own program").because(e.to_string())
        })?,
    };
    std::process::Command::new(program)
        .args(["agent", "serve"])
        .env("BERTH_HOME", paths.folder())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Error::failed("Berth's agent cannot be started").because(e.to_string()))
}

async fn did_not_start(
    paths: &Paths,
    child: &mut std::process::Child,
    status: std::process::ExitStatus,
) -> Error {
    let said = child.stderr.take();
    let log = paths.log();
    let lines = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        if let Some(said) = said {
            let _ = said.take(64 << 10).read_to_string(&mut text);
        }
        if text.trim().is_empty() {
            text = std::fs::read_to_string(log).unwrap_or_default();
            text = text.lines().last().unwrap_or_default().to_owned();
        }
        text
    })
    .await
    .unwrap_or_default();
    let mut error = Error::failed("Berth's agent did not start");
    let mut hint = None;
    for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
        match line.strip_prefix("hint: ") {
            Some(text) => hint = Some(text.to_owned()),
            None => {
                let text = line
                    .strip_prefix("error: ")
                    .or_else(|| line.strip_prefix("because: "))
                    .unwrap_or(line);
                error = error.because(text);
            }
        }
    }
    if error.causes().is_empty() {
        error = error.because(format!("it ended with {status}"));
    }
    error.hint(hint.unwrap_or_else(|| format!("Its log is `{}`", paths.log().display())))
}

/// Whether the agent that was this process has ended: it is gone, or gave the folder's lock back. Either may be hard to
/// see: a process that nobody waited for stays a zombie, and another agent may hold the lock by now.
fn has_ended(paths: &Paths, pid: Option<rustix::process::Pid>) -> bool {
    let gone = pid
        .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
    gone || match std::fs::File::open(paths.lock()) {
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(_) => true,
    }
}

/// Compares `1.2.3` by number; what cannot be read is not older.
fn is_older(theirs: &str, ours: &str) -> bool {
    let read = |v: &str| {
        v.split('.')
            .map(|p| p.parse::<u64>().ok())
            .collect::<Option<Vec<_>>>()
    };
    match (read(theirs), read(ours)) {
        (Some(theirs), Some(ours)) => theirs < ours,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_older;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_older("0.9.0", "0.10.0"), "as text it would be newer");
        assert!(!is_older("1.0.0", "1.0.0"));
        assert!(!is_older("dev", "1.0.0"));
    }
}
