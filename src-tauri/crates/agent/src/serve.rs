//! The agent itself: one lock, one socket, the command table behind it, and an end when nothing needs it.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use berth_api::{Berth, Surroundings, dto::ErrorView, table};
use berth_core::{Code, Error, Result, ResultExt};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    Paths, VERSION,
    clipboard::SystemClipboard,
    wire::{self, FromAgent, FromClient, OnWire, PROTOCOL},
};

/// Without endpoints, operations and clients for so long, the agent ends.
pub const IDLE: Duration = Duration::from_secs(600);
/// Calls that one client may have under way.
const MAX_CALLS: usize = 256;
/// A log longer than this in bytes is put aside when the next agent starts.
const MAX_LOG: u64 = 4 << 20;

/// Runs the agent until it is stopped, signalled or idle. Returns at once where another one runs.
///
/// # Errors
/// Where its folder, lock or socket cannot be had.
pub async fn run(paths: Paths, idle: Duration) -> Result<()> {
    // A session of our own: the terminal's Ctrl-C and its end are not for us. Fails only where we lead one already.
    let _ = rustix::process::setsid();
    paths.prepare()?;
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(paths.lock())
        .map_err(|e| Error::failed("The agent's lock cannot be opened").because(e.to_string()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(()),
        Err(fs::TryLockError::Error(e)) => {
            return Err(Error::failed("The agent's lock cannot be taken").because(e.to_string()));
        }
    }
    let _log = start_log(&paths)?;
    let ended = serve(&paths, idle).await;
    if let Err(e) = &ended {
        tracing::error!("the agent ends: {e}");
    }
    // Only after the socket is gone: a client that finds neither starts a new agent.
    drop(lock);
    ended
}

async fn serve(paths: &Paths, idle: Duration) -> Result<()> {
    let berth = Berth::open(Surroundings {
        folder: paths.folder().to_owned(),
        credentials: berth_api::keychain(),
        clipboard: Arc::new(SystemClipboard::default()),
        user: local_user(),
        machine: machine_name(),
        home: std::env::home_dir(),
        ssh_agent: std::env::var_os("SSH_AUTH_SOCK").map(Into::into),
    })
    .await?;
    let socket = paths.socket();
    match fs::remove_file(&socket) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => {
            return Err(
                Error::failed("An old agent's socket cannot be removed").because(e.to_string())
            );
        }
    }
    let listener = UnixListener::bind(&socket)
        .map_err(|e| Error::failed("The agent's socket cannot be made").because(e.to_string()))?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).map_err(|e| {
        Error::failed("The agent's socket cannot be closed to others").because(e.to_string())
    })?;
    tracing::info!(
        version = VERSION,
        pid = std::process::id(),
        "the agent listens"
    );

    let house = House {
        berth: Arc::clone(&berth),
        clients: Arc::default(),
        end: berth.ending().clone(),
    };
    let mut clients = JoinSet::new();
    let mut quiet_since = Instant::now();
    let tick = (idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(15));
    let mut signals = Signals::new()?;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let house = house.clone();
                    // Counted here and not in its task: this loop must not find itself idle before the task has run.
                    let counted = Counted::new(&house.clients);
                    clients.spawn(async move {
                        let _counted = counted;
                        if let Err(e) = house.client(stream).await {
                            tracing::debug!("a client left: {e}");
                        }
                    });
                }
                Err(e) => {
                    tracing::warn!("a client could not be taken: {e}");
                    // Out of descriptors as a rule: do not spin.
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = clients.join_next() => {}
            () = house.end.cancelled() => break,
            () = signals.next() => break,
            () = sleep(tick) => {}
        }
        if house.clients.load(Ordering::Relaxed) > 0 || berth.is_needed() {
            quiet_since = Instant::now();
        } else if quiet_since.elapsed() >= idle {
            tracing::info!("nothing to do for {} s", idle.as_secs());
            break;
        }
    }
    house.end.cancel();
    drop(listener);
    let _ = fs::remove_file(&socket);
    berth.close().await;
    // Their calls were cancelled with `end`; what does not listen is cut off.
    let _ = timeout(Duration::from_secs(2), async {
        while clients.join_next().await.is_some() {}
    })
    .await;
    clients.shutdown().await;
    tracing::info!("the agent ends");
    Ok(())
}

#[derive(Clone)]
struct House {
    berth: Arc<Berth>,
    clients: Arc<AtomicUsize>,
    end: CancellationToken,
}

/// A client for as long as it lives, however it ends.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(clients: &Arc<AtomicUsize>) -> Self {
        clients.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(clients))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Calls = Arc<Mutex<BTreeMap<u64, CancellationToken>>>;

impl House {
    async fn client(&self, stream: UnixStream) -> Result<()> {
        let peer = stream
            .peer_cred()
            .map_err(|e| Error::failed("A client's user cannot be told").because(e.to_string()))?;
        if peer.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::failed(format!(
                "A client of user {} was turned away",
                peer.uid()
            )));
        }
        let (mut reader, mut writer) = wire::split(stream);
        let hello = timeout(Duration::from_secs(5), reader.next::<FromClient>()).await;
        let Ok(Ok(Some(FromClient::Hello { protocol, version }))) = hello else {
            return Err(Error::failed("A client did not say who it is"));
        };
        tracing::debug!(protocol, version, "a client came");
        if self.end.is_cancelled() {
            // Without a welcome it waits for us to end, and starts an agent of its own.
            return Ok(());
        }
        writer
            .send(&FromAgent::Welcome {
                protocol: PROTOCOL,
                version: VERSION.to_owned(),
                pid: std::process::id(),
                busy: self.berth.busy(),
            })
            .await?;
        let (out, mut outgoing) = mpsc::channel::<FromAgent>(64);
        let gone = self.end.child_token();
        let written = gone.clone();
        let writing = tokio::spawn(async move {
            while let Some(frame) = outgoing.recv().await {
                if writer.send(&frame).await.is_err() {
                    written.cancel();
                    break;
                }
            }
        });
        let calls: Calls = Arc::default();
        let mut tasks = JoinSet::new();
        loop {
            let frame = tokio::select! {
                frame = reader.next::<FromClient>() => frame,
                () = gone.cancelled() => break,
                Some(_) = tasks.join_next() => continue,
            };
            match frame {
                Ok(Some(FromClient::Call {
                    id,
                    command,
                    body,
                    secrets,
                })) => {
                    if tasks.len() >= MAX_CALLS {
                        let error = ErrorView::from(&Error::failed(
                            "Too many calls at once from one client",
                        ));
                        let _ = out.send(FromAgent::Failed { id, error }).await;
                        continue;
                    }
                    let token = gone.child_token();
                    lock(&calls).insert(id, token.clone());
                    let (berth, out, calls) =
                        (Arc::clone(&self.berth), out.clone(), Arc::clone(&calls));
                    let end = self.end.clone();
                    tasks.spawn(async move {
                        let last = match answer(&berth, id, &command, body, secrets, &out, token)
                            .await
                        {
                            // Nobody who waits for it asked for that.
                            FromAgent::Failed { id, error }
                                if end.is_cancelled() && error.code == Code::Cancelled.as_str() =>
                            {
                                FromAgent::Failed {
                                    id,
                                    error: ErrorView::from(&stopped()),
                                }
                            }
                            last => last,
                        };
                        lock(&calls).remove(&id);
                        let _ = out.send(last).await;
                    });
                }
                Ok(Some(FromClient::Cancel { id })) => {
                    if let Some(token) = lock(&calls).get(&id) {
                        token.cancel();
                    }
                }
                Ok(Some(FromClient::Stop { force })) => {
                    let operations = self.berth.busy();
                    if operations > 0 && !force {
                        let _ = out.send(FromAgent::Busy { operations }).await;
                    } else {
                        let _ = out.send(FromAgent::Stopping).await;
                        self.end.cancel();
                    }
                }
                Ok(Some(FromClient::Hello { .. })) => {}
                Ok(None) | Err(_) => break,
            }
        }
        // The caller is gone: what it called is of no use to anyone. Operations go on, they are not calls.
        gone.cancel();
        let _ = timeout(Duration::from_secs(5), async {
            while tasks.join_next().await.is_some() {}
        })
        .await;
        tasks.shutdown().await;
        drop(out);
        let _ = timeout(Duration::from_secs(1), writing).await;
        Ok(())
    }
}

fn stopped() -> Error {
    Error::new(
        Code::Cancelled,
        "Berth's agent was stopped before this was done",
    )
    .hint("`berth list` shows what is there")
}

async fn answer(
    berth: &Arc<Berth>,
    id: u64,
    command: &str,
    body: serde_json::Value,
    secrets: BTreeMap<String, OnWire>,
    out: &mpsc::Sender<FromAgent>,
    token: CancellationToken,
) -> FromAgent {
    let (items, mut produced) = mpsc::channel(16);
    let secrets = secrets
        .into_iter()
        .map(|(name, secret)| (name, secret.0))
        .collect();
    let call = table::Call::new(secrets, items, token.clone());
    let forward = async {
        while let Some(body) = produced.recv().await {
            if out.send(FromAgent::Item { id, body }).await.is_err() {
                break;
            }
        }
    };
    let work = async {
        let result = tokio::select! {
            result = table::dispatch(berth, command, body, &call) => result,
            () = token.cancelled() => Err(table::cancelled()),
        };
        let secret = call.take_answer();
        // Ends `forward` once everything produced has been sent.
        drop(call);
        (result, secret)
    };
    let ((), (result, secret)) = tokio::join!(forward, work);
    match result {
        Ok(body) => FromAgent::Done {
            id,
            body,
            secret: secret.map(OnWire),
        },
        Err(e) => {
            tracing::info!(command, code = e.code().as_str(), "refused: {e}");
            FromAgent::Failed {
                id,
                error: ErrorView::from(&e),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let watch = |kind| {
            signal(kind)
                .map_err(|e| Error::failed("Signals cannot be watched").because(e.to_string()))
        };
        Ok(Self {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Logs to the agent's file. Held until the end, so that the last lines are written.
fn start_log(paths: &Paths) -> Result<tracing_appender::non_blocking::WorkerGuard> {
    let path = paths.log();
    if fs::metadata(&path).is_ok_and(|m| m.len() > MAX_LOG) {
        let _ = fs::rename(&path, path.with_extension("log.1"));
    }
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|e| Error::failed("The agent's log cannot be opened").because(e.to_string()))
        .or_hint("Is the disk full?")?;
    let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
    let (writer, guard) = tracing_appender::non_blocking(file);
    let wanted = EnvFilter::try_from_env("BERTH_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Also installed by the tests of this crate; the first one stays.
    let _ = tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_writer(writer)
                .with_filter(wanted)
                .with_filter(tracing_subscriber::filter::filter_fn(|about| {
                    may_log(about.target(), *about.level())
                })),
        )
        .try_init();
    Ok(guard)
}

/// Some libraries write whole requests and responses at `debug`: environment variables with passwords among
/// them. They are cut at `info`, whatever `BERTH_LOG` asks for.
fn may_log(target: &str, level: tracing::Level) -> bool {
    const TALKATIVE: [&str; 6] = [
        "bollard",
        "hyper",
        "hyper_util",
        "russh",
        "tiberius",
        "zbus",
    ];
    let root = target.split("::").next().unwrap_or(target);
    !(TALKATIVE.contains(&root) && level > tracing::Level::INFO)
}

fn local_user() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "root".into())
}

fn machine_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::may_log;
    use tracing::Level;

    #[test]
    fn libraries_that_log_secrets_are_cut_at_info() {
        for target in [
            "bollard::docker",
            "hyper::proto::h1",
            "russh::client",
            "tiberius::tds",
            "bollard",
        ] {
            assert!(
                !may_log(target, Level::DEBUG),
                "{target} writes whole responses at debug, with passwords in them"
            );
            assert!(!may_log(target, Level::TRACE));
            assert!(may_log(target, Level::WARN));
        }
        assert!(may_log("berth_api::up", Level::DEBUG));
    }
}
