//! One stream of everything that changes: hosts, instances, operations. What a window lives on, so that it never polls.
//!
//! One task follows each host: it lists, then lists again whenever the engine tells of a change. Events alone are never
//! trusted; they only say that it is time to ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use berth_core::{Error, Result};
use berth_engine::EventKind;
use chrono::{SecondsFormat, TimeDelta, Utc};
use futures_util::StreamExt;
use tokio::{
    sync::{Notify, mpsc},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    Berth,
    berth::now,
    dto::{self, Change},
    instances,
    table::{Call, cancelled},
};

/// How long a host may take until it is reached: name, TCP, SSH, sign-in, engine.
const REACH_LIMIT: Duration = Duration::from_secs(40);
/// Changes that come together are asked for once.
const TOGETHER: Duration = Duration::from_millis(40);
/// A stream of events does not say when it begins to hear: what happened before that is asked for once more.
const HEARS: Duration = Duration::from_secs(2);
/// The first and the longest pause before a host that was not reached is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What a host's task tells.
enum Told {
    Connecting,
    There(Vec<dto::InstanceView>, Vec<dto::FoundView>),
    Lost(Error, Duration),
}

/// One host that is followed.
struct Followed {
    task: AbortHandle,
    again: Arc<Notify>,
}

/// Ends with its caller.
struct Watch<'a> {
    berth: &'a Arc<Berth>,
    call: &'a Call,
    hosts: BTreeMap<String, dto::HostLive>,
    instances: BTreeMap<String, dto::InstanceView>,
    operations: BTreeMap<String, dto::OperationView>,
    followed: BTreeMap<String, Followed>,
    tasks: JoinSet<()>,
    tell: mpsc::Sender<(String, Told)>,
}

/// `berth.watch`.
pub(crate) async fn watch(
    berth: &Arc<Berth>,
    _: dto::Nothing,
    call: &Call,
) -> Result<dto::Nothing> {
    let (tell, mut told) = mpsc::channel(64);
    // Before the first look, so that no change falls between.
    let (mut hosts_changed, mut turns) =
        (berth.hosts_changed.subscribe(), berth.operations.turns());
    let mut watch = Watch {
        berth,
        call,
        hosts: BTreeMap::new(),
        instances: BTreeMap::new(),
        operations: BTreeMap::new(),
        followed: BTreeMap::new(),
        tasks: JoinSet::new(),
        tell,
    };
    watch.begin().await?;
    loop {
        tokio::select! {
            Some((host, told)) = told.recv() => watch.told(&host, told).await?,
            changed = hosts_changed.changed() => match changed {
                Ok(()) => watch.look_at_hosts().await?,
                Err(_) => return Err(cancelled()),
            },
            changed = turns.changed() => match changed {
                Ok(()) => watch.look_at_operations().await?,
                Err(_) => return Err(cancelled()),
            },
            () = call.cancel.cancelled() => return Err(cancelled()),
        }
    }
}

impl Watch<'_> {
    /// The first item: everything that is known without asking anyone. Then the hosts are asked.
    async fn begin(&mut self) -> Result<()> {
        for view in self.views_of_hosts().await? {
            let live = idle(view);
            self.hosts.insert(live.host.name.clone(), live);
        }
        for view in instances::views_known(self.berth, None).await? {
            self.instances.insert(view.id.clone(), view);
        }
        let operations = self.berth.operations.views();
        self.operations = operations
            .iter()
            .map(|o| (o.id.clone(), o.clone()))
            .collect();
        let used = self.used().await?;
        for (name, live) in &mut self.hosts {
            if used.contains(name) {
                "connecting".clone_into(&mut live.state);
            }
        }
        self.call
            .send(&Change::Snapshot {
                hosts: self.hosts.values().cloned().collect(),
                instances: self.instances.values().cloned().collect(),
                operations,
            })
            .await?;
        for host in used {
            self.follow(&host);
        }
        Ok(())
    }

    async fn views_of_hosts(&self) -> Result<Vec<dto::HostView>> {
        crate::hosts::list(self.berth, dto::Nothing {}, self.call).await
    }

    /// The hosts that are asked: all but a practice host that nobody has used yet.
    async fn used(&self) -> Result<BTreeSet<String>> {
        Ok(crate::hosts::all(self.berth).await?.into_iter().collect())
    }

    fn follow(&mut self, host: &str) {
        let again = Arc::new(Notify::new());
        let task = self.tasks.spawn(follow(
            Arc::clone(self.berth),
            host.to_owned(),
            self.tell.clone(),
            Arc::clone(&again),
        ));
        self.followed
            .insert(host.to_owned(), Followed { task, again });
    }

    /// Hosts were added, removed, checked.
    async fn look_at_hosts(&mut self) -> Result<()> {
        let views = self.views_of_hosts().await?;
        let gone: Vec<_> = self
            .hosts
            .keys()
            .filter(|name| views.iter().all(|v| v.name != **name))
            .cloned()
            .collect();
        for name in gone {
            self.hosts.remove(&name);
            if let Some(followed) = self.followed.remove(&name) {
                followed.task.abort();
            }
            self.drop_instances(|i| i.host == name).await?;
            self.call.send(&Change::HostGone { name }).await?;
        }
        for view in views {
            let mut live = match self.hosts.get(&view.name) {
                Some(live) => live.clone(),
                None => idle(view.clone()),
            };
            live.host = view;
            self.put_host(live).await?;
        }
        for host in self.used().await? {
            match self.followed.get(&host) {
                Some(followed) => followed.again.notify_one(),
                None => self.follow(&host),
            }
        }
        Ok(())
    }

    async fn look_at_operations(&mut self) -> Result<()> {
        let mut touched = BTreeSet::new();
        for view in self.berth.operations.views() {
            let before = self.operations.get(&view.id);
            if before == Some(&view) {
                continue;
            }
            if before.is_none() || view.ended_at.is_some() {
                touched.extend(view.subject.split_once('/').map(|(h, _)| h.to_owned()));
            }
            self.operations.insert(view.id.clone(), view.clone());
            self.call
                .send(&Change::Operation { operation: view })
                .await?;
        }
        for host in touched {
            match self.followed.get(&host) {
                Some(followed) => followed.again.notify_one(),
                // The practice host comes into being with the first operation on it.
                None if self.used().await?.contains(&host) => self.follow(&host),
                None => {}
            }
        }
        Ok(())
    }

    async fn told(&mut self, host: &str, told: Told) -> Result<()> {
        let Some(mut live) = self.hosts.get(host).cloned() else {
            return Ok(());
        };
        match told {
            Told::Connecting => {
                // A host that is tried again and again does not flicker.
                if live.state != "unreachable" {
                    stand(&mut live, "connecting");
                }
                live.retry_at = None;
                self.put_host(live).await
            }
            Told::There(views, found) => {
                stand(&mut live, "connected");
                live.found = found;
                live.seen_at = Some(now());
                live.retry_at = None;
                live.error = None;
                // When it last answered is told when it no longer does.
                let quiet = self.hosts.get(host).is_some_and(|before| {
                    let mut before = before.clone();
                    before.seen_at.clone_from(&live.seen_at);
                    before == live
                });
                if quiet {
                    self.hosts.insert(host.to_owned(), live);
                } else {
                    self.put_host(live).await?;
                }
                let ids: BTreeSet<_> = views.iter().map(|v| v.id.clone()).collect();
                self.put_instances(views).await?;
                self.drop_instances(|i| i.host == host && !ids.contains(&i.id))
                    .await
            }
            Told::Lost(error, pause) => {
                stand(&mut live, "unreachable");
                live.error = Some((&error).into());
                live.retry_at = TimeDelta::from_std(pause)
                    .ok()
                    .map(|pause| (Utc::now() + pause).to_rfc3339_opts(SecondsFormat::Secs, true));
                let seen_at = live.seen_at.clone();
                self.put_host(live).await?;
                let mut views = instances::views_known(self.berth, Some(host)).await?;
                if let Some(at) = seen_at {
                    for view in &mut views {
                        view.seen_at.clone_from(&at);
                    }
                }
                self.put_instances(views).await
            }
        }
    }

    async fn put_host(&mut self, live: dto::HostLive) -> Result<()> {
        if self.hosts.get(&live.host.name) == Some(&live) {
            return Ok(());
        }
        self.hosts.insert(live.host.name.clone(), live.clone());
        self.call.send(&Change::Host { host: live }).await
    }

    async fn put_instances(&mut self, views: Vec<dto::InstanceView>) -> Result<()> {
        let mut changed = Vec::new();
        for view in views {
            let same = self.instances.get(&view.id).is_some_and(|before| {
                // That nothing changed was seen just now is no change, while it is fresh.
                view.fresh && before.fresh && {
                    let mut before = before.clone();
                    before.seen_at.clone_from(&view.seen_at);
                    before == view
                } || *before == view
            });
            self.instances.insert(view.id.clone(), view.clone());
            if !same {
                changed.push(view);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        self.call
            .send(&Change::Instances { instances: changed })
            .await
    }

    async fn drop_instances(&mut self, gone: impl Fn(&dto::InstanceView) -> bool) -> Result<()> {
        let ids: Vec<_> = self
            .instances
            .values()
            .filter(|i| gone(i))
            .map(|i| i.id.clone())
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        for id in &ids {
            self.instances.remove(id);
        }
        self.call.send(&Change::InstancesGone { ids }).await
    }
}

fn stand(live: &mut dto::HostLive, state: &str) {
    if live.state != state {
        state.clone_into(&mut live.state);
        live.since = now();
    }
}

fn idle(host: dto::HostView) -> dto::HostLive {
    dto::HostLive {
        host,
        state: "idle".to_owned(),
        since: now(),
        seen_at: None,
        retry_at: None,
        error: None,
        found: Vec::new(),
    }
}

/// Follows one host until its task is ended: reached, listened to, lost, tried again.
async fn follow(
    berth: Arc<Berth>,
    host: String,
    tell: mpsc::Sender<(String, Told)>,
    again: Arc<Notify>,
) {
    let mut pause = PAUSE.0;
    loop {
        let began = Instant::now();
        if tell.send((host.clone(), Told::Connecting)).await.is_err() {
            return;
        }
        let error = match Box::pin(listen(&berth, &host, &tell, &again)).await {
            Ok(()) => return,
            Err(e) => e,
        };
        if began.elapsed() > PAUSE.1 {
            pause = PAUSE.0;
        }
        tracing::debug!(host, "not followed for {} s: {error}", pause.as_secs());
        if tell
            .send((host.clone(), Told::Lost(error, pause)))
            .await
            .is_err()
        {
            return;
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(PAUSE.1),
            // Somebody just did something with this host: it may be there again.
            () = again.notified() => pause = PAUSE.0,
        }
    }
}

/// Lists, and lists again at every event. Ends well only where nobody listens any more.
async fn listen(
    berth: &Arc<Berth>,
    host: &str,
    tell: &mpsc::Sender<(String, Told)>,
    again: &Notify,
) -> Result<()> {
    let link = timeout(REACH_LIMIT, berth.links.get(berth, host))
        .await
        .map_err(|_| {
            Error::new(
                berth_core::Code::TimedOut,
                format!("`{host}` did not answer in {} s", REACH_LIMIT.as_secs()),
            )
        })??;
    let mut events = link.streaming().await?.events(None, None);
    let mut ask_at = Some(Instant::now());
    let mut once_more = Some(Instant::now() + HEARS);
    loop {
        let due = [ask_at, once_more].into_iter().flatten().min();
        tokio::select! {
            event = events.next() => match event {
                // Programs run inside of a container change nothing that is shown.
                Some(Ok(event)) if event.action.starts_with("exec_") => {}
                // Nor do images and volumes. Of containers all count: one that Berth did not make may be found.
                Some(Ok(event)) if event.kind != EventKind::Container => {}
                Some(Ok(_)) => ask_at = ask_at.or(Some(Instant::now() + TOGETHER)),
                Some(Err(e)) => return Err(e),
                None => return Err(Error::new(
                    berth_core::Code::Unreachable,
                    format!("The connection to `{host}` broke"),
                )),
            },
            () = again.notified() => ask_at = ask_at.or(Some(Instant::now() + TOGETHER)),
            () = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            } => {
                if once_more.is_some_and(|at| at <= Instant::now()) {
                    once_more = None;
                }
                ask_at = None;
                let (views, found) = instances::views_now(berth, host).await?;
                if tell.send((host.to_owned(), Told::There(views, found))).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}
