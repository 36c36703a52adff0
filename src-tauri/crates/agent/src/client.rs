//! The client half: finds the agent or starts it, and calls the command table.

use std::{
    collections::BTreeMap,
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
        let mut started = None;
        let mut pause = Duration::from_millis(5);
        loop {
            match UnixStream::connect(paths.socket()).await {
                Ok(stream) => {
                    match Self::hello(stream, start, version).await? {
                        Hello::Ready(client) => return Ok(client),
                        // Gone, or going: start a new one in its place.
                        Hello::Replaced => {}
                    }
                }
                Err(_) if start == Start::Never => {
                    return Err(Error::not_found("No agent of Berth runs")
                        .hint("Any command that needs one starts it"));
                }
                Err(e) => {
                    let child = match &mut started {
                        None => started.insert(spawn(paths)?),
                        Some(child) => child,
                    };
                    // Another client's agent may have won the lock: then ours ended well and the socket is about to be there.
                    if let Ok(Some(status)) = child.try_wait()
                        && !status.success()
                    {
                        return Err(Error::failed("Berth's agent did not start")
                            .because(format!("it ended with {status}"))
                            .because(last_words(paths).await)
                            .hint(format!("Its log is `{}`", paths.log().display())));
                    }
                    if Instant::now() >= deadline {
                        return Err(Error::new(
                            Code::TimedOut,
                            format!(
                                "Berth's agent did not answer in {} s",
                                START_LIMIT.as_secs()
                            ),
                        )
                        .because(e.to_string())
                        .hint(format!("Its log is `{}`", paths.log().display())));
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    async fn hello(stream: UnixStream, start: Start, version: &str) -> Result<Hello> {
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
            Ok(Ok(None) | Err(_)) => return Ok(Hello::Replaced),
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
        if older && start != Start::Never {
            let force = start == Start::Replace;
            writer.send(&FromClient::Stop { force }).await?;
            return match timeout(HELLO_LIMIT, reader.next::<FromAgent>()).await {
                Ok(Ok(Some(FromAgent::Busy { operations }))) => Err(Error::new(
                    Code::Refused,
                    "An older Berth is still working in the background",
                )
                .because(format!(
                    "its agent {theirs} has {operations} operations under way; this is {version}"
                ))
                .detail("agent_busy", operations.to_string())
                .hint("Wait for them to end, or replace it with `berth agent stop --force`")),
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
            return Err(Error::failed("Berth's agent speaks another protocol than this command")
                .because(format!("the agent is {theirs} and has {busy} operations under way, this is {version}"))
                .hint("Update Berth, or end the agent with `berth agent stop --force`"));
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
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let body = serde_json::to_value(request)
            .map_err(|e| Error::failed("The request cannot be written").because(e.to_string()))?;
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
                command: C::NAME.to_owned(),
                body,
                secrets,
            })
            .await
            .map_err(|_| gone())?;
        Ok(Streaming {
            client: self.clone(),
            id,
            frames,
            ended: None,
            command: std::marker::PhantomData,
        })
    }

    /// Ends the agent and waits until it has.
    ///
    /// # Errors
    /// [`Code::Refused`] while it is busy, unless `force`.
    pub async fn stop(paths: &Paths, force: bool) -> Result<()> {
        let stream = UnixStream::connect(paths.socket())
            .await
            .map_err(|_| Error::not_found("No agent of Berth runs"))?;
        check_peer(&stream)?;
        let (mut reader, mut writer) = wire::split(stream);
        writer
            .send(&FromClient::Hello {
                protocol: PROTOCOL,
                version: VERSION.to_owned(),
            })
            .await?;
        writer.send(&FromClient::Stop { force }).await?;
        let ended = timeout(START_LIMIT, async {
            loop {
                match reader.next::<FromAgent>().await {
                    Ok(Some(FromAgent::Busy { operations })) => {
                        return Err(Error::new(Code::Refused, "Berth's agent is busy")
                            .because(format!("{operations} operations are under way"))
                            .hint("Wait for them to end, or say `--force`"));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return Ok(()),
                }
            }
        })
        .await;
        ended.unwrap_or_else(|_| Err(Error::new(Code::TimedOut, "Berth's agent did not end")))
    }
}

enum Hello {
    Ready(Client),
    Replaced,
}

/// A command that is under way.
pub struct Streaming<C: Command> {
    client: Client,
    id: u64,
    frames: mpsc::Receiver<FromAgent>,
    ended: Option<Result<(Value, Option<Secret>)>>,
    command: std::marker::PhantomData<C>,
}

impl<C: Command> Streaming<C> {
    /// The next item; `None` when the answer is there.
    ///
    /// # Errors
    /// Only where an item cannot be read; how the command ended is said by [`Streaming::finish`].
    pub async fn next(&mut self) -> Result<Option<C::Item>> {
        if self.ended.is_some() {
            return Ok(None);
        }
        match self.frames.recv().await {
            Some(FromAgent::Item { body, .. }) => {
                serde_json::from_value(body).map(Some).map_err(|e| {
                    Error::failed("An item from Berth's agent cannot be read")
                        .because(e.to_string())
                })
            }
            Some(FromAgent::Done { body, secret, .. }) => {
                self.ended = Some(Ok((body, secret.map(|s| s.0))));
                Ok(None)
            }
            Some(FromAgent::Failed { error, .. }) => {
                self.ended = Some(Err(error.into()));
                Ok(None)
            }
            Some(_) | None => {
                self.ended = Some(Err(gone()));
                Ok(None)
            }
        }
    }

    /// The answer, after the last item.
    ///
    /// # Errors
    /// What the command says.
    pub async fn finish(mut self) -> Result<Reply<C::Response>> {
        while self.next().await?.is_some() {}
        let (body, secret) = self.ended.take().unwrap_or_else(|| Err(gone()))?;
        let body = serde_json::from_value(body).map_err(|e| {
            Error::failed("The answer of Berth's agent cannot be read").because(e.to_string())
        })?;
        // Taken: dropping must not cancel what has ended.
        self.ended = Some(Err(gone()));
        Ok(Reply { body, secret })
    }
}

impl<C: Command> Drop for Streaming<C> {
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

fn check_peer(stream: &UnixStream) -> Result<()> {
    let peer = stream.peer_cred().map_err(|e| {
        Error::failed("Who listens on Berth's socket cannot be told").because(e.to_string())
    })?;
    if peer.uid() == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(Error::new(
            Code::Refused,
            "Another user listens on Berth's socket",
        ))
    }
}

/// The child outlives us: it makes a session of its own first thing, and its streams go nowhere.
fn spawn(paths: &Paths) -> Result<std::process::Child> {
    let program = std::env::current_exe()
        .map_err(|e| Error::failed("Berth cannot find its own program").because(e.to_string()))?;
    std::process::Command::new(program)
        .args(["agent", "serve"])
        .env("BERTH_HOME", paths.folder())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| Error::failed("Berth's agent cannot be started").because(e.to_string()))
}

async fn last_words(paths: &Paths) -> String {
    let path = paths.log();
    let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let text = text.ok().and_then(Result::ok).unwrap_or_default();
    text.lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .unwrap_or("its log is empty")
        .to_owned()
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
