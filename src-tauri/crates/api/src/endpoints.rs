//! Endpoints: a stable port on 127.0.0.1 for each instance on an SSH host, held for as long as the instance exists.
//!
//! A port listens from the moment that its instance is known; the host is reached only when a client comes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use berth_core::{ByteStream, Code, Error, Result, instance, reach};
use berth_store::InstanceRecord;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Berth, dto,
    healing::{dice, is_passing},
};

/// How long a client waits for its host, at the most: also for one that is lost and being reached again.
const WAIT_FOR_HOST: Duration = Duration::from_secs(20);
/// How often a port that somebody else holds is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Endpoints {
    held: Mutex<BTreeMap<u16, Held>>,
    /// Ports of instances that are being made, from their choice on.
    claimed: Arc<Mutex<BTreeSet<u16>>>,
}

struct Held {
    instance: String,
    host: String,
    name: String,
    end: CancellationToken,
    clients: Arc<AtomicUsize>,
    problem: Arc<Mutex<Option<String>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoints {
    pub(crate) fn any_open(&self) -> bool {
        !lock(&self.held).is_empty()
    }

    /// Whether the port of an instance listens now.
    pub(crate) fn is_open(&self, instance: &str) -> bool {
        lock(&self.held)
            .values()
            .any(|h| h.instance == instance && lock(&h.problem).is_none())
    }

    /// Why the port of an instance does not listen for it.
    pub(crate) fn problem(&self, instance: &str, port: u16) -> Option<String> {
        let held = lock(&self.held);
        let there = held.get(&port)?;
        if there.instance == instance {
            return lock(&there.problem).clone();
        }
        Some(format!(
            "The local port {port} is held for `{}/{}`",
            there.host, there.name
        ))
    }

    pub(crate) fn holds(&self, port: u16) -> bool {
        lock(&self.held).contains_key(&port)
    }

    /// Gives up the ports of an instance; clients that are connected stay until they leave or the instance ends.
    pub(crate) fn release(&self, instance: &str) {
        lock(&self.held).retain(|_, h| {
            if h.instance == instance {
                h.end.cancel();
            }
            h.instance != instance
        });
    }

    pub(crate) fn close(&self) {
        for held in std::mem::take(&mut *lock(&self.held)).into_values() {
            held.end.cancel();
        }
    }

    pub(crate) fn view(&self) -> Vec<dto::EndpointView> {
        lock(&self.held)
            .iter()
            .map(|(port, h)| dto::EndpointView {
                port: *port,
                instance: format!("{}/{}", h.host, h.name),
                problem: lock(&h.problem).clone(),
                clients: h.clients.load(Ordering::Relaxed),
            })
            .collect()
    }
}

/// A port taken for an instance that is being made. Nobody else here takes it as long as this is there.
pub(crate) struct Reserved {
    pub(crate) port: u16,
    listener: Option<TcpListener>,
    claimed: Arc<Mutex<BTreeSet<u16>>>,
}

impl Reserved {
    /// Makes the port free for an engine that publishes it itself. It stays claimed: to bind it is no proof now, and whoever is
    /// choosing one may have read what is there before this instance was.
    pub(crate) fn leave_to_the_engine(&mut self) {
        self.listener = None;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        lock(&self.claimed).remove(&self.port);
    }
}

impl Endpoints {
    /// Takes a port that nobody else is taking.
    async fn claim(&self, port: u16) -> Option<Result<Reserved>> {
        if !lock(&self.claimed).insert(port) {
            return None;
        }
        let mut reserved = Reserved {
            port,
            listener: None,
            claimed: Arc::clone(&self.claimed),
        };
        Some(bind(port).await.map(|listener| {
            reserved.listener = Some(listener);
            reserved
        }))
    }
}

/// Takes a local port: the wished one, or the first free of the range.
pub(crate) async fn reserve(
    berth: &Berth,
    wish: Option<u16>,
    known: &[InstanceRecord],
) -> Result<Reserved> {
    if let Some(port) = wish {
        if port == 0 {
            return Err(Error::usage("Port 0 is no port")
                .hint("Take one from 1024 to 65535, or leave `--port` out"));
        }
        if let Some(other) = known.iter().find(|r| r.port == port) {
            return Err(Error::new(
                Code::Refused,
                format!("The local port {port} belongs to `{}`", other.name),
            )
            .because(format!(
                "it is an instance on `{}`, and its strings name that port",
                other.host
            ))
            .hint("Take another port, or leave `--port` out"));
        }
        return berth.endpoints.claim(port).await.unwrap_or_else(|| {
            Err(Error::new(
                Code::Refused,
                format!("The local port {port} is being taken"),
            )
            .because("another instance is being made with it")
            .hint("Take another port, or leave `--port` out"))
        });
    }
    // Probing by binding: between a check and a bind somebody else could take it.
    let mut tried = Vec::new();
    loop {
        let port = instance::choose_port(|p| {
            tried.contains(&p) || berth.endpoints.holds(p) || known.iter().any(|r| r.port == p)
        })?;
        match berth.endpoints.claim(port).await {
            Some(Ok(reserved)) => return Ok(reserved),
            Some(Err(_)) | None => tried.push(port),
        }
    }
}

async fn bind(port: u16) -> Result<TcpListener> {
    match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(listener) => Ok(listener),
        Err(e) => {
            let mut error = Error::failed(format!("The local port {port} cannot be had")).because(
                match e.kind() {
                    std::io::ErrorKind::AddrInUse => match holder(port).await {
                        Some(who) => format!("{who} listens there"),
                        None => "another program listens there".to_owned(),
                    },
                    std::io::ErrorKind::PermissionDenied => {
                        "ports below 1024 are for the system".to_owned()
                    }
                    _ => e.to_string(),
                },
            );
            if let Ok(other) =
                instance::choose_port(|p| p <= port && instance::PORTS.contains(&port))
            {
                error = error.hint(format!(
                    "Take another with `--port {other}`, or leave `--port` out"
                ));
            }
            Err(error)
        }
    }
}

/// Who listens on a port, by `lsof`, which every Mac has.
async fn holder(port: u16) -> Option<String> {
    let output = tokio::process::Command::new("lsof")
        .args(["-nP", &format!("-iTCP:{port}"), "-sTCP:LISTEN", "-Fpc"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(2), output).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |key| text.lines().find_map(|l| l.strip_prefix(key));
    Some(format!("`{}` (process {})", field('c')?, field('p')?))
}

/// Listens for a known instance. A port that somebody else holds is tried again until it is free: it never changes by itself.
pub(crate) async fn hold(berth: &Arc<Berth>, record: &InstanceRecord) {
    if record.direct || berth.endpoints.is_held_by(record.port, &record.id) {
        return;
    }
    let listener = bind(record.port).await;
    attach(berth, record, listener);
}

/// Hands a reserved port to its instance; one that was left to the engine is the engine's.
pub(crate) fn attach_reserved(berth: &Arc<Berth>, record: &InstanceRecord, mut reserved: Reserved) {
    if let Some(listener) = reserved.listener.take() {
        attach(berth, record, Ok(listener));
    }
}

impl Endpoints {
    fn is_held_by(&self, port: u16, instance: &str) -> bool {
        lock(&self.held)
            .get(&port)
            .is_some_and(|h| h.instance == instance)
    }
}

fn attach(berth: &Arc<Berth>, record: &InstanceRecord, listener: Result<TcpListener>) {
    let end = CancellationToken::new();
    let clients = Arc::new(AtomicUsize::new(0));
    let problem = Arc::new(Mutex::new(listener.as_ref().err().map(ToString::to_string)));
    {
        let mut held = lock(&berth.endpoints.held);
        // Who was making the instance handed its port over meanwhile: that is what the port could not be had for.
        if listener.is_err()
            && let Some(there) = held.get(&record.port)
            && there.instance == record.id
        {
            return;
        }
        if let Some(other) = held.get(&record.port)
            && other.instance != record.id
        {
            // Two instances claim one port: the first keeps it, strings to it are already pasted somewhere.
            tracing::warn!(
                port = record.port,
                "`{}` and `{}` both name this port",
                other.name,
                record.name
            );
            return;
        }
        let old = held.insert(
            record.port,
            Held {
                instance: record.id.clone(),
                host: record.host.clone(),
                name: record.name.clone(),
                end: end.clone(),
                clients: Arc::clone(&clients),
                problem: Arc::clone(&problem),
            },
        );
        if let Some(old) = old {
            old.end.cancel();
        }
    }
    let tunnel = Tunnel {
        berth: Arc::downgrade(berth),
        host: record.host.clone(),
        instance: record.id.clone(),
        port: record.port,
        end,
        clients,
        problem,
    };
    tokio::spawn(tunnel.run(listener.ok()));
}

struct Tunnel {
    berth: Weak<Berth>,
    host: String,
    instance: String,
    port: u16,
    end: CancellationToken,
    clients: Arc<AtomicUsize>,
    problem: Arc<Mutex<Option<String>>>,
}

impl Tunnel {
    async fn run(self, mut listener: Option<TcpListener>) {
        loop {
            let Some(listening) = &listener else {
                tokio::select! {
                    () = sleep(TRY_AGAIN) => {}
                    () = self.end.cancelled() => return,
                }
                match bind(self.port).await {
                    Ok(free) => {
                        *lock(&self.problem) = None;
                        listener = Some(free);
                        // No engine tells of it, and whoever looks should see it.
                        if let Some(berth) = self.berth.upgrade() {
                            berth.hosts_changed.send_modify(|n| *n += 1);
                        }
                    }
                    Err(e) => *lock(&self.problem) = Some(e.to_string()),
                }
                continue;
            };
            let accepted = tokio::select! {
                accepted = listening.accept() => accepted,
                () = self.end.cancelled() => return,
            };
            match accepted {
                Ok((client, _)) => {
                    let one = One {
                        berth: self.berth.clone(),
                        host: self.host.clone(),
                        instance: self.instance.clone(),
                        end: self.end.clone(),
                    };
                    let clients = Arc::clone(&self.clients);
                    tokio::spawn(async move {
                        clients.fetch_add(1, Ordering::Relaxed);
                        if let Err(e) = one.carry(client).await {
                            tracing::info!(host = one.host, "a client of a tunnel was let go: {e}");
                        }
                        clients.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                Err(e) => {
                    tracing::warn!(port = self.port, "a client could not be taken: {e}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// One client of a tunnel.
struct One {
    berth: Weak<Berth>,
    host: String,
    instance: String,
    end: CancellationToken,
}

impl One {
    async fn carry(&self, mut client: TcpStream) -> Result<()> {
        let Some(berth) = self.berth.upgrade() else {
            return Ok(());
        };
        let _ = client.set_nodelay(true);
        let mut server = tokio::select! {
            dialled = self.dial(&berth) => dialled?,
            () = self.end.cancelled() => return Ok(()),
        };
        // The agent must not be kept alive by a tunnel's task.
        drop(berth);
        tokio::select! {
            done = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, 64 << 10, 64 << 10) => {
                done.map_err(|e| Error::failed("the tunnel broke").because(e.to_string()))?;
            }
            () = self.end.cancelled() => {}
        }
        let _ = server.shutdown().await;
        Ok(())
    }

    /// Dials until the server is there: a host that is lost may be back before its client gives up.
    async fn dial(&self, berth: &Arc<Berth>) -> Result<Box<dyn ByteStream>> {
        let until = Instant::now() + WAIT_FOR_HOST;
        let state = berth.states.of(&self.host);
        let mut failures = 0;
        let mut latest = None;
        loop {
            let once = async {
                let link = berth.links.get(berth, &self.host).await?;
                link.dial_sql(&self.instance).await
            };
            match timeout_at(until, once).await {
                Ok(Ok(server)) => return Ok(server),
                Ok(Err(e)) if is_passing(&e) && e.get_detail("stopped").is_none() => {
                    latest = Some(e);
                }
                Ok(Err(e)) => return Err(e),
                Err(_) => break,
            }
            let pause = reach::pause(failures, dice());
            failures = failures.saturating_add(1);
            let again = async {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = state.connected(), if !state.reach().is_connected() => {}
                }
            };
            if timeout_at(until, again).await.is_err() {
                break;
            }
        }
        let waited = format!(
            "`{}` did not answer in {} s",
            self.host,
            WAIT_FOR_HOST.as_secs()
        );
        Err(match latest {
            Some(e) => e.context(waited),
            None => Error::new(Code::TimedOut, waited),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn a_port_that_was_left_to_the_engine_is_nobody_elses_until_its_instance_is_made() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let endpoints = Endpoints::default();
        let mut first = endpoints.claim(port).await.unwrap().unwrap();
        first.leave_to_the_engine();
        assert!(
            endpoints.claim(port).await.is_none(),
            "it can be bound now, and two engines' containers would want it"
        );
        drop(first);
        assert!(endpoints.claim(port).await.unwrap().is_ok());
    }
}
