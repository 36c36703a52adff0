//! Starting and stopping: what happens to a container between two requests.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use berth_core::{BoxFuture, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Model,
    fault::Clock,
    lock,
    log::Log,
    process::{self, End},
    refusal::{Answer, Refusal},
    state::{Status, make_folder},
};
use crate::sql::SqlServer;

/// How long an engine waits for a process that it killed.
const KILL_WAIT: Duration = Duration::from_secs(15);
/// A process that ran this long before it ended is restarted without a growing delay.
const RAN_WELL: Duration = Duration::from_secs(10);

/// What a container's process was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Run,
    Stop,
    Kill,
    PowerOff,
}

/// How far SQL Server's service inside is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Not listening yet.
    Starting,
    /// Listening.
    Running,
    /// Stopped by `net stop`; the container stays up.
    Stopped,
    /// The process is over.
    Gone,
}

/// One run of a container's process.
pub struct Run {
    pub(super) order: watch::Sender<Order>,
    pub(super) service: watch::Sender<Service>,
    /// Somebody asked for `net stop`.
    pub(super) stop_service: watch::Sender<bool>,
    sql: Mutex<Option<Arc<SqlServer>>>,
    started: Instant,
}

impl Run {
    fn new() -> Self {
        Self {
            order: watch::Sender::new(Order::Run),
            service: watch::Sender::new(Service::Starting),
            stop_service: watch::Sender::new(false),
            sql: Mutex::new(None),
            started: Instant::now(),
        }
    }

    /// A later order stands only when it is stronger.
    pub(super) fn give(&self, order: Order) {
        self.order.send_if_modified(|now| {
            let stronger = order > *now;
            if stronger {
                *now = order;
            }
            stronger
        });
    }

    pub(super) fn set_sql(&self, sql: Option<Arc<SqlServer>>) {
        *lock(&self.sql) = sql;
    }

    /// The SQL Server inside, while it listens.
    pub fn sql(&self) -> Option<Arc<SqlServer>> {
        lock(&self.sql).clone()
    }

    /// How far its service is.
    pub fn service(&self) -> watch::Receiver<Service> {
        self.service.subscribe()
    }

    /// How long it runs.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The part of a container that exists only while the machine is up.
pub struct Live {
    /// Held while the container is started, stopped or removed.
    pub(super) gate: tokio::sync::Mutex<()>,
    log: Log,
    run: Mutex<Option<Arc<Run>>>,
    /// How many runs have ended, and the exit code of the last.
    exits: watch::Sender<(u64, u32)>,
    /// Ends a wait before a restart.
    restart: Mutex<CancellationToken>,
    /// The container is gone.
    pub removed: CancellationToken,
}

impl Live {
    /// Blocking.
    pub(super) fn open(folder: &Path, clock: Clock) -> Result<Self> {
        make_folder(folder)?;
        Ok(Self {
            gate: tokio::sync::Mutex::new(()),
            log: Log::open(&folder.join("log.jsonl"), clock),
            run: Mutex::new(None),
            exits: watch::Sender::new((0, 0)),
            restart: Mutex::new(CancellationToken::new()),
            removed: CancellationToken::new(),
        })
    }

    /// What it printed.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The run that goes on, if one does.
    pub fn run(&self) -> Option<Arc<Run>> {
        lock(&self.run).clone()
    }

    /// Waits for runs to end.
    pub fn exits(&self) -> watch::Receiver<(u64, u32)> {
        self.exits.subscribe()
    }

    pub(super) fn power_off(&self) {
        lock(&self.restart).cancel();
        if let Some(run) = self.run() {
            run.give(Order::PowerOff);
        }
    }

    /// Whether this run ended within `time`.
    async fn ended(&self, run: &Arc<Run>, time: Duration) -> bool {
        let mut exits = self.exits();
        let over = async {
            while self.run().is_some_and(|now| Arc::ptr_eq(&now, run)) {
                if exits.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(time, over).await.is_ok()
    }
}

impl Model {
    /// Starts a container.
    pub async fn start_container(self: &Arc<Self>, name: &str) -> Answer {
        let (id, live) = self.find(name)?;
        let _gate = live.gate.lock().await;
        lock(&live.restart).cancel();
        self.start_behind_gate(&id, &live, true).await
    }

    /// Boxed, since a start leads to a restart, which is a start.
    fn start_behind_gate<'a>(
        self: &'a Arc<Self>,
        id: &'a str,
        live: &'a Arc<Live>,
        by_hand: bool,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(self.do_start(id, live, by_hand))
    }

    async fn do_start(self: &Arc<Self>, id: &str, live: &Arc<Live>, by_hand: bool) -> Answer {
        if live.run().is_some() {
            return Err(Refusal::unchanged());
        }
        if live.removed.is_cancelled() || self.down.is_cancelled() {
            return Err(Refusal::not_found(format!("No such container: {id}")));
        }
        let refused = if self.faults.has_room() {
            self.faults
                .start_fails()
                .and_then(|cause| cause.refusal(id))
        } else {
            Some(format!(
                "hcsshim::CreateComputeSystem {id}: There is not enough space on the disk. (0x70)"
            ))
        };
        if let Some(text) = refused {
            self.change(|state| {
                if let Some(container) = state.containers.get_mut(id) {
                    container.exit_code = 128;
                    container.error.clone_from(&text);
                }
            })
            .await?;
            return Err(Refusal::failed(text));
        }
        let (run, now) = (Arc::new(Run::new()), self.now());
        let attributes = self
            .try_change(|state| {
                let address = state.give_address()?;
                let container = state
                    .containers
                    .get_mut(id)
                    .ok_or_else(|| Refusal::not_found(format!("No such container: {id}")))?;
                container.status = Status::Running;
                container.started = Some(now);
                container.finished = None;
                container.exit_code = 0;
                container.error.clear();
                container.stopped_by_hand = false;
                container.address = Some(address);
                if by_hand {
                    container.restarts = 0;
                }
                // Under the state's lock: nobody may see a container that runs without its run.
                *lock(&live.run) = Some(Arc::clone(&run));
                Ok(container.attributes())
            })
            .await?;
        self.tell("container", "start", id, attributes);
        let (model, id, live) = (Arc::clone(self), id.to_owned(), Arc::clone(live));
        self.tasks
            .spawn(async move { model.live_through(id, live, run).await });
        Ok(())
    }

    /// Everything from the start of a process to what its end leads to.
    async fn live_through(self: Arc<Self>, id: String, live: Arc<Live>, run: Arc<Run>) {
        let end = process::run(&self, &id, &live, &run).await;
        run.set_sql(None);
        run.service.send_replace(Service::Gone);
        let End::Exited(code) = end else {
            // The state still says "running": that is what the next boot goes by.
            *lock(&live.run) = None;
            live.exits.send_modify(|exits| exits.0 += 1);
            return;
        };
        let ended = self.now();
        let noted = self
            .change(|state| {
                // Under the state's lock, as at the start.
                *lock(&live.run) = None;
                let container = state.containers.get_mut(&id)?;
                container.ended(code, ended);
                let again = container.starts_again(code);
                if again {
                    container.restarts = if run.uptime() > RAN_WELL {
                        1
                    } else {
                        container.restarts + 1
                    };
                    container.status = Status::Restarting;
                }
                Some((
                    container.attributes(),
                    again.then_some(container.restarts),
                    container.host_config.auto_remove,
                ))
            })
            .await;
        live.exits.send_modify(|exits| *exits = (exits.0 + 1, code));
        let (mut attributes, again, auto_remove) = match noted {
            Ok(Some(noted)) => noted,
            Ok(None) => return,
            Err(refusal) => {
                tracing::error!(
                    container = id,
                    "the end of a container was not written down: {}",
                    refusal.message
                );
                return;
            }
        };
        attributes.insert("exitCode".into(), code.to_string());
        self.tell("container", "die", &id, attributes);
        if let Some(restarts) = again {
            let hold = CancellationToken::new();
            *lock(&live.restart) = hold.clone();
            let delay = Duration::from_millis(100 << restarts.min(9)).min(Duration::from_secs(60));
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = hold.cancelled() => return,
                () = self.down.cancelled() => return,
            }
            let _gate = live.gate.lock().await;
            let still = self.read(|s| {
                s.containers
                    .get(&id)
                    .is_some_and(|c| c.status == Status::Restarting)
            });
            if !hold.is_cancelled()
                && still
                && let Err(refusal) = self.start_behind_gate(&id, &live, false).await
            {
                tracing::warn!(container = id, "not started again: {}", refusal.message);
            }
        } else if auto_remove && let Err(refusal) = self.remove_container(&id, false, true).await {
            tracing::warn!(container = id, "not removed: {}", refusal.message);
        }
    }

    /// Stops a container: a shutdown, and after `grace` the end.
    pub async fn stop_container(&self, name: &str, grace: Duration) -> Answer {
        let (id, live) = self.find(name)?;
        let _gate = live.gate.lock().await;
        self.stop_behind_gate(&id, &live, grace).await
    }

    async fn stop_behind_gate(&self, id: &str, live: &Arc<Live>, grace: Duration) -> Answer {
        lock(&live.restart).cancel();
        let Some(run) = live.run() else {
            let was_restarting = self
                .change(|state| {
                    let container = state.containers.get_mut(id)?;
                    container.stopped_by_hand = true;
                    let was = container.status == Status::Restarting;
                    if was {
                        container.status = Status::Exited;
                    }
                    Some(was)
                })
                .await?;
            return if was_restarting == Some(true) {
                Ok(())
            } else {
                Err(Refusal::unchanged())
            };
        };
        let attributes = self.stopped_by_hand(id).await?;
        run.give(Order::Stop);
        if !live.ended(&run, grace).await {
            run.give(Order::Kill);
            if !live.ended(&run, KILL_WAIT).await {
                return Err(Refusal::failed(format!(
                    "cannot stop container: {id}: tried to kill container, but did not receive an exit event"
                )));
            }
        }
        self.tell("container", "stop", id, attributes);
        Ok(())
    }

    async fn stopped_by_hand(
        &self,
        id: &str,
    ) -> Answer<std::collections::BTreeMap<String, String>> {
        self.try_change(|state| {
            let container = state
                .containers
                .get_mut(id)
                .ok_or_else(|| Refusal::not_found(format!("No such container: {id}")))?;
            container.stopped_by_hand = true;
            Ok(container.attributes())
        })
        .await
    }

    /// Ends a container's process at once.
    pub async fn kill_container(&self, name: &str) -> Answer {
        let (id, live) = self.find(name)?;
        // Not behind the gate: a kill must be able to end a stop that waits.
        let Some(run) = live.run() else {
            return Err(Refusal::conflict(format!(
                "Cannot kill container: {name}: Container {id} is not running"
            )));
        };
        let mut attributes = self.stopped_by_hand(&id).await?;
        run.give(Order::Kill);
        attributes.insert("signal".into(), "9".into());
        self.tell("container", "kill", &id, attributes);
        if live.ended(&run, KILL_WAIT).await {
            return Ok(());
        }
        Err(Refusal::failed(format!(
            "Cannot kill container: {name}: tried to kill container, but did not receive an exit event"
        )))
    }

    /// Stops and starts a container.
    pub async fn restart_container(self: &Arc<Self>, name: &str, grace: Duration) -> Answer {
        let (id, live) = self.find(name)?;
        let _gate = live.gate.lock().await;
        match self.stop_behind_gate(&id, &live, grace).await {
            Err(refusal) if refusal.kind != super::refusal::Kind::Unchanged => return Err(refusal),
            _ => {}
        }
        self.start_behind_gate(&id, &live, true).await?;
        if let Ok(container) = self.container(&id) {
            self.tell("container", "restart", &id, container.attributes());
        }
        Ok(())
    }
}
