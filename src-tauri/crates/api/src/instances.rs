//! Instances as they are: found by their labels, listed, shown, and their logs read.
//!
//! The host is the truth. What this machine remembers is a cache, shown with its age where the host does not answer,
//! and a place for what belongs to this machine alone.

use std::{sync::Arc, time::Duration};

use berth_core::{
    Error, Result,
    errorlog::Level,
    host::PRACTICE,
    instance::State,
    label::{self, Labels},
    name::InstanceName,
    reach::Seen,
    readiness::Cause,
};
use berth_engine::{Container, Inspect, LogOptions, LogStream, MountKind, RunState};
use berth_store::{InstanceRecord, Instances};
use chrono::DateTime;
use futures_util::{StreamExt, future::join_all};
use tokio::time::timeout;

use crate::{
    Berth,
    berth::now,
    dto, endpoints,
    healing::{is_passing, reason},
    link::Link,
    logins::{SA, app_login},
    passwords, resume,
    table::{Call, cancelled},
};

/// How much of a log is read for a cause.
const LOG_TAIL: u64 = 80;
/// How long an engine may count what an instance takes on disk.
const DISK_LIMIT: Duration = Duration::from_secs(5);
/// How long one host may take to answer in a list.
const LIST_LIMIT: Duration = Duration::from_secs(15);

/// What this machine remembers of an instance that has these labels.
pub(crate) fn record_of(labels: &Labels, host: &str, image: &str) -> InstanceRecord {
    InstanceRecord {
        id: labels.id.clone(),
        host: host.to_owned(),
        name: labels.name.clone(),
        port: labels.port,
        version: labels.version.clone(),
        edition: labels.edition.clone(),
        recipe: labels.recipe.clone(),
        owner: labels.owner.clone(),
        memory: labels.memory,
        data: labels.data.as_str().to_owned(),
        image: image.to_owned(),
        database: labels.database.clone(),
        login: labels
            .database
            .as_deref()
            .map_or_else(|| SA.to_owned(), app_login),
        ours: true,
        lease: labels.lease,
        ..InstanceRecord::default()
    }
}

/// The record of an instance, made from its labels where this machine has none.
pub(crate) async fn record_or_new(
    berth: &Arc<Berth>,
    labels: &Labels,
    link: &Link,
    container: &str,
) -> Result<InstanceRecord> {
    let known = berth.store(|f| f.read::<Instances>()).await?;
    let mut record = known
        .get(&labels.id)
        .cloned()
        .unwrap_or_else(|| InstanceRecord {
            // Where only the files were lost its password is still here.
            ours: labels.owner == berth.owner(),
            ..record_of(labels, &link.host, "")
        });
    record.host.clone_from(&link.host);
    record.container = container.to_owned();
    record.direct = link.publishes();
    record.published_on = link.published_on();
    Ok(record)
}

/// Keeps a record.
pub(crate) async fn remember(berth: &Berth, record: InstanceRecord) -> Result<()> {
    berth
        .store(move |f| {
            f.update::<Instances, _>(|all| {
                all.put(record);
                Ok(())
            })
        })
        .await
}

/// Keeps the record of an instance that is about to be made, in the place of any that had its name: the host has just
/// said that it has none of that name.
pub(crate) async fn begin(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    record: InstanceRecord,
) -> Result<()> {
    let before = berth
        .store(move |f| {
            f.update::<Instances, _>(|all| {
                let (same, mut others): (Vec<_>, Vec<_>) = std::mem::take(&mut all.instances)
                    .into_iter()
                    .partition(|r| {
                        r.host == record.host && r.name == record.name && r.id != record.id
                    });
                std::mem::swap(&mut all.instances, &mut others);
                all.put(record);
                Ok(same)
            })
        })
        .await?;
    for old in before {
        berth.endpoints.release(&old.id);
        if old.ours && old.password_file.is_none() {
            tokio::spawn(forget_password(Arc::clone(berth), Arc::clone(link), old));
        }
    }
    Ok(())
}

/// Remembers what kept data was called last: its volume says its first name for ever.
pub(crate) async fn remember_name(berth: &Berth, id: &str, name: &str) -> Result<()> {
    let (id, name) = (id.to_owned(), name.to_owned());
    berth
        .store(move |f| {
            f.update::<Instances, _>(|all| {
                all.last_names.insert(id, name);
                Ok(())
            })
        })
        .await
}

/// Data of this id is gone.
pub(crate) async fn forget_name(berth: &Berth, id: &str) {
    let known = berth.store(|f| f.read::<Instances>()).await;
    if !known.is_ok_and(|all| all.last_names.contains_key(id)) {
        return;
    }
    let id = id.to_owned();
    let forgotten = berth
        .store(move |f| {
            f.update::<Instances, _>(|all| {
                all.last_names.remove(&id);
                Ok(())
            })
        })
        .await;
    if let Err(e) = forgotten {
        tracing::warn!("the last name of deleted data stays: {e}");
    }
}

/// Drops the record of an instance that is gone.
pub(crate) async fn forget(berth: &Berth, id: &str) {
    let id = id.to_owned();
    if let Err(e) = berth
        .store(move |f| {
            f.update::<Instances, _>(|all| {
                all.remove(&id);
                Ok(())
            })
        })
        .await
    {
        tracing::warn!("what was remembered of an instance could not be dropped: {e}");
    }
}

/// What a host has.
struct There {
    instances: Vec<(InstanceRecord, Container)>,
    found: Vec<dto::FoundView>,
}

/// What its labels say of a container; of an adopted one, which has none, what this machine remembers.
pub(crate) fn labels_of(container: &Container, known: &Instances) -> Option<Labels> {
    Labels::from_map(|k| container.labels.get(k).map(String::as_str)).or_else(|| {
        known
            .get(&container.id)
            .filter(|r| r.adopted)
            .map(crate::adopt::labels_of)
    })
}

/// Asks one host for its instances, and brings what is remembered and listened on in line with the answer.
async fn ask(berth: &Arc<Berth>, host: &str) -> Result<There> {
    // While something is being made its record may be there before its container: asked before and after the list.
    let began_quiet = berth.operations_under_way() == 0;
    let work = async {
        let link = berth.links.get(berth, host).await?;
        // All of them: what Berth did not make is found among them.
        let containers = link.engine.containers(None).await?;
        Ok::<_, Error>((link, containers))
    };
    let asked = timeout(LIST_LIMIT, work).await.unwrap_or_else(|_| {
        Err(Error::new(
            berth_core::Code::TimedOut,
            format!("`{host}` did not answer in {} s", LIST_LIMIT.as_secs()),
        ))
    });
    match &asked {
        Ok(_) => berth.states.of(host).saw(Seen::Answered),
        // A connection that stands does not help where the engine behind it is gone.
        Err(e) if is_passing(e) => berth.states.of(host).saw(Seen::Lost(reason(e))),
        Err(_) => {}
    }
    let (link, containers) = asked?;
    let (host, direct, seen_at) = (host.to_owned(), link.publishes(), now());
    let published_on = link.published_on();
    let owner = berth.owner();
    let asking = Arc::clone(berth);
    let (found, strangers, gone) = berth
        .store(move |f| {
            let quiet_all_along = began_quiet && asking.operations_under_way() == 0;
            let merge = |all: &mut Instances| {
                let strangers = crate::adopt::found_among(&host, &containers, all);
                let there = containers
                    .into_iter()
                    .filter_map(|c| labels_of(&c, all).map(|l| (l, c)))
                    .collect::<Vec<_>>();
                let mut found = Vec::new();
                for (labels, container) in there {
                    let mut record =
                        all.get(&labels.id)
                            .cloned()
                            .unwrap_or_else(|| InstanceRecord {
                                ours: labels.owner == owner,
                                ..record_of(&labels, &host, &container.image)
                            });
                    record.host.clone_from(&host);
                    record.name.clone_from(&labels.name);
                    record.port = labels.port;
                    record.lease = labels.lease;
                    record.image.clone_from(&container.image);
                    record.container.clone_from(&container.id);
                    record.direct = direct;
                    record.published_on.clone_from(&published_on);
                    if record.adopted
                        && direct
                        && let Some(port) = crate::adopt::published_port(&container)
                    {
                        record.port = port;
                    }
                    state_of(&container).as_str().clone_into(&mut record.state);
                    record.created_at = DateTime::from_timestamp(container.created, 0)
                        .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
                    record.seen_at = Some(seen_at.clone());
                    found.push((record, container));
                }
                let gone: Vec<InstanceRecord> = if !quiet_all_along {
                    Vec::new()
                } else {
                    all.instances
                        .iter()
                        .filter(|r| r.host == host && !found.iter().any(|(f, _)| f.id == r.id))
                        .cloned()
                        .collect()
                };
                for record in &gone {
                    all.remove(&record.id);
                }
                for (record, _) in &found {
                    all.put(record.clone());
                }
                (found, strangers, gone)
            };
            // Most lists change nothing but the time: that alone is not worth a write.
            let mut now = f.read::<Instances>()?;
            let before = now.clone();
            let result = merge(&mut now);
            let quiet = |all: &Instances| {
                let mut all = all.clone();
                for record in &mut all.instances {
                    record.seen_at = None;
                }
                all
            };
            if quiet(&before) == quiet(&now) {
                return Ok(result);
            }
            let changed = result.0.clone();
            f.update::<Instances, _>(|all| {
                for record in &result.2 {
                    all.remove(&record.id);
                }
                for (record, _) in changed {
                    all.put(record);
                }
                Ok(())
            })?;
            Ok(result)
        })
        .await?;
    for record in gone {
        berth.endpoints.release(&record.id);
        if (record.unfinished || record.adopted) && record.ours && record.password_file.is_none() {
            // Not waited for: a keychain may ask somebody something first.
            tokio::spawn(forget_password(
                Arc::clone(berth),
                Arc::clone(&link),
                record,
            ));
        }
    }
    for (record, _) in &found {
        endpoints::hold(berth, record).await;
    }
    crate::lease::sweep(berth, &link, found.iter().map(|(_, container)| container));
    Ok(There {
        instances: found,
        found: strangers,
    })
}

/// An instance has no container any more, or never had one: its password opens nothing, unless its volume is there.
async fn forget_password(berth: Arc<Berth>, link: Arc<Link>, record: InstanceRecord) {
    let forgotten = match data_of(&link, &record.id).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => passwords::forget(&berth, &record.id).await,
        Err(e) => Err(e),
    };
    if let Err(e) = forgotten {
        tracing::warn!("the password of an instance that was never made stays: {e}");
    }
}

/// The volume that holds the data of the instance of this id, whatever the volume is called.
pub(crate) async fn data_of(link: &Link, id: &str) -> Result<Option<berth_engine::Volume>> {
    let filter = format!("{}={id}", label::ID);
    Ok(link.engine.volumes(Some(&filter)).await?.into_iter().next())
}

/// Whether a volume is there and holds the data of the instance of this id.
pub(crate) async fn has_data(link: &Link, volume: &str, id: &str) -> Result<bool> {
    match link.engine.volume(volume).await {
        Ok(volume) => Ok(volume.labels.get(label::ID).is_some_and(|i| i == id)),
        Err(e) if e.code() == berth_core::Code::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

pub(crate) fn state_of(container: &Container) -> State {
    let word = match container.state {
        RunState::Created => "created",
        RunState::Running | RunState::Stopping => "running",
        RunState::Paused => "paused",
        RunState::Restarting => "restarting",
        RunState::Exited => "exited",
        RunState::Dead => "dead",
        _ => "unknown",
    };
    State::of_container(word, exit_code(&container.status))
}

/// The code in `Exited (137) 5 minutes ago`, which is all that a list says of it.
fn exit_code(status: &str) -> Option<i64> {
    status.split_once('(')?.1.split_once(')')?.0.parse().ok()
}

/// `instance.list`.
pub(crate) async fn list(
    berth: &Arc<Berth>,
    request: dto::InstanceList,
    _: &Call,
) -> Result<dto::Instances> {
    let hosts = match request.host {
        Some(host) => {
            if host != PRACTICE {
                crate::hosts::find(&berth.hosts().await?, &host)?;
            }
            vec![host]
        }
        None => crate::hosts::all(berth).await?,
    };
    let answers = join_all(hosts.iter().map(|host| ask(berth, host))).await;
    // What is remembered matters only for hosts that do not answer.
    let known = if answers.iter().all(Result::is_ok) {
        Instances::default()
    } else {
        berth.store(|f| f.read::<Instances>()).await?
    };
    let mut instances = Vec::new();
    let (mut found, mut unreached) = (Vec::new(), Vec::new());
    for (host, answer) in hosts.iter().zip(answers) {
        match answer {
            Ok(there) => {
                instances.extend(there.instances.iter().map(|(r, _)| view(berth, r, true)));
                found.extend(there.found);
            }
            Err(e) => {
                instances.extend(
                    known
                        .instances
                        .iter()
                        .filter(|r| r.host == *host)
                        .map(|r| view(berth, r, false)),
                );
                unreached.push(dto::Unreached {
                    host: host.clone(),
                    error: (&e).into(),
                });
            }
        }
    }
    instances.sort_by(|a, b| (&a.host, &a.name).cmp(&(&b.host, &b.name)));
    Ok(dto::Instances {
        instances,
        found,
        unreached,
    })
}

/// `instance.show`.
pub(crate) async fn show(
    berth: &Arc<Berth>,
    request: dto::InstanceName,
    _: &Call,
) -> Result<dto::InstanceView> {
    let record = find(berth, &request.name).await?;
    match ask(berth, &record.host).await {
        Ok(there) => {
            let (record, container) = there
                .instances
                .into_iter()
                .find(|(r, _)| r.id == record.id)
                .ok_or_else(|| {
                    not_there(&request.name)
                        .because(format!("its container is gone from `{}`", record.host))
                })?;
            let mut view = view(berth, &record, true);
            if let Ok(link) = berth.links.get(berth, &record.host).await
                && let Ok(about) = link.engine.inspect(&container.id).await
            {
                if view.state == State::Failed.as_str() {
                    let cause = cause_of(&link, &about).await;
                    view.cause = Some(cause.to_string());
                    view.hint = cause.hint();
                    view.action = cause.action().map(str::to_owned);
                }
                view.disk = Some(disk_of(berth, &link, &record, &about).await);
                view.started_at =
                    Some(about.state.started_at).filter(|_| view.state == State::Running.as_str());
            }
            Ok(view)
        }
        // Old, and said to be: better than nothing for someone who wants to know the port.
        Err(e) => {
            let mut view = view(berth, &record, false);
            view.cause = Some(e.to_string());
            view.hint = e.what_to_do().map(str::to_owned);
            Ok(view)
        }
    }
}

/// What an instance takes on its host, as far as engine and server say it soon enough.
async fn disk_of(
    berth: &Berth,
    link: &Arc<Link>,
    record: &InstanceRecord,
    about: &Inspect,
) -> dto::DiskView {
    // Of several things that are mounted, data is in the one at SQL Server's own place.
    let data = |target: &str| target == "/var/opt/mssql" || target.eq_ignore_ascii_case(r"c:\data");
    let mount = (about.mounts.iter().find(|m| data(&m.target))).or(about.mounts.first());
    let volume = mount
        .filter(|m| m.kind == MountKind::Volume)
        .map(|m| m.source.as_str());
    let walked = timeout(DISK_LIMIT, link.engine.disk_use(&about.id, volume));
    let asked = timeout(DISK_LIMIT, async {
        if !about.state.running {
            return Ok((None, None));
        }
        let sa = passwords::of(berth, record, SA).await?;
        let mut connection = crate::databases::as_sa(link, record, sa).await?;
        let folders = connection.folders().await;
        connection.close().await;
        folders
    });
    let (walked, asked) = tokio::join!(walked, asked);
    let used = walked.ok().and_then(Result::ok).unwrap_or_default();
    let (data_folder, backups_folder) = asked.ok().and_then(Result::ok).unwrap_or_default();
    dto::DiskView {
        data: used.volume,
        container: used.container,
        volume: mount.map(|m| m.source.clone()),
        data_folder,
        backups_folder,
    }
}

/// The instances of one host, and what is found there, as it says right now.
pub(crate) async fn views_now(
    berth: &Arc<Berth>,
    host: &str,
) -> Result<(Vec<dto::InstanceView>, Vec<dto::FoundView>)> {
    let there = ask(berth, host).await?;
    let views = there.instances.iter();
    let views = views.map(|(record, _)| view(berth, record, true)).collect();
    Ok((views, there.found))
}

/// The instances that this machine remembers, of one host or of all.
pub(crate) async fn views_known(
    berth: &Arc<Berth>,
    host: Option<&str>,
) -> Result<Vec<dto::InstanceView>> {
    let known = berth.store(|f| f.read::<Instances>()).await?;
    Ok(known
        .instances
        .iter()
        .filter(|r| host.is_none_or(|host| r.host == host))
        .map(|r| view(berth, r, false))
        .collect())
}

/// Why a container ended, from its exit code and the end of its log.
pub(crate) async fn cause_of(link: &Link, about: &Inspect) -> Cause {
    let lines = last_lines(link, about).await;
    Cause::of_exit(about.state.exit_code, about.state.oom_killed, &lines)
}

/// The last lines that a container wrote, and what the engine says of its end.
pub(crate) async fn last_lines(link: &Link, about: &Inspect) -> Vec<String> {
    let log = tail(link, &about.id, LOG_TAIL).await.unwrap_or_default();
    let mut lines: Vec<_> = log.into_iter().map(|l| l.text).collect();
    if !about.state.error.is_empty() {
        lines.push(about.state.error.clone());
    }
    lines
}

/// The instance that a user means, wherever it is. Asks the hosts only where memory does not tell.
pub(crate) async fn find(berth: &Arc<Berth>, text: &str) -> Result<InstanceRecord> {
    let wanted = InstanceName::parse(text)?;
    let fits = |r: &InstanceRecord| {
        r.name == wanted.name && wanted.host.as_ref().is_none_or(|h| *h == r.host)
    };
    let known = berth.store(|f| f.read::<Instances>()).await?;
    let mut found: Vec<_> = known.instances.into_iter().filter(|r| fits(r)).collect();
    let mut unreached = Vec::new();
    if found.is_empty() {
        let hosts = match &wanted.host {
            Some(host) => vec![host.clone()],
            None => crate::hosts::all(berth).await?,
        };
        let answers = join_all(hosts.iter().map(|host| ask(berth, host))).await;
        for (host, answer) in hosts.iter().zip(answers) {
            match answer {
                Ok(there) => found.extend(
                    (there.instances.into_iter())
                        .map(|(r, _)| r)
                        .filter(|r| fits(r)),
                ),
                Err(e) if wanted.host.is_some() => return Err(e),
                Err(e) => unreached.push(format!("`{host}` could not be asked: {e}")),
            }
        }
    }
    match found.len() {
        0 => {
            let mut e = not_there(text);
            for reason in unreached {
                e = e.because(reason);
            }
            Err(e)
        }
        1 => found.pop().ok_or_else(|| not_there(text)),
        _ => {
            let mut names: Vec<_> = found
                .iter()
                .map(|r| format!("`{}/{}`", r.host, r.name))
                .collect();
            names.sort();
            Err(
                Error::usage(format!("Several instances are called `{}`", wanted.name))
                    .because(names.join(", "))
                    .hint("Name the host too: `HOST/NAME`"),
            )
        }
    }
}

fn not_there(name: &str) -> Error {
    Error::not_found(format!("No instance is called `{}`", name.escape_debug()))
        .hint("`berth list` shows what is there; `berth up` makes one")
}

/// An instance with its link and its container, for those who do something with it.
pub(crate) struct Found {
    pub(crate) record: InstanceRecord,
    pub(crate) link: Arc<Link>,
    pub(crate) container: Container,
    pub(crate) labels: Labels,
}

/// Finds an instance and asks its host for its container.
pub(crate) async fn reach(berth: &Arc<Berth>, name: &str) -> Result<Found> {
    let record = find(berth, name).await?;
    let link = berth.links.get(berth, &record.host).await?;
    let there = link.container_of(&record.id).await?;
    let labelled = there.and_then(|c| {
        let labels = if record.adopted {
            Some(crate::adopt::labels_of(&record))
        } else {
            Labels::from_map(|k| c.labels.get(k).map(String::as_str))
        };
        labels.map(|l| (c, l))
    });
    match labelled {
        Some((container, labels)) => Ok(Found {
            record,
            link,
            container,
            labels,
        }),
        None => {
            // One that is being made has its record before its container.
            if !record.unfinished {
                forget(berth, &record.id).await;
                berth.endpoints.release(&record.id);
            }
            Err(not_there(name).because(format!("its container is gone from `{}`", record.host)))
        }
    }
}

/// An instance as its host says right now.
pub(crate) async fn view_now(
    berth: &Arc<Berth>,
    link: &Link,
    id: &str,
) -> Result<dto::InstanceView> {
    let container = link
        .container_of(id)
        .await?
        .ok_or_else(|| Error::failed("The instance went away meanwhile"))?;
    let known = berth.store(|f| f.read::<Instances>()).await?;
    let mut record = known
        .get(id)
        .cloned()
        .ok_or_else(|| Error::failed("The instance was forgotten meanwhile"))?;
    state_of(&container).as_str().clone_into(&mut record.state);
    record.seen_at = Some(now());
    Ok(view(berth, &record, true))
}

fn view(berth: &Berth, record: &InstanceRecord, fresh: bool) -> dto::InstanceView {
    let problem = berth.endpoints.problem(&record.id, record.port);
    let state = if fresh {
        record.state.clone()
    } else {
        State::Unknown.as_str().to_owned()
    };
    let running = record.state == State::Running.as_str();
    let subject = format!("{}/{}", record.host, record.name);
    let (cause, hint) = if record.unfinished && berth.operations.works_on(&subject) {
        (Some("It is being made".to_owned()), None)
    } else if record.unfinished {
        (
            Some("Its making was cut off".to_owned()),
            Some(format!(
                "`berth up {0}` finishes it, `berth remove {0}` takes it away",
                record.name
            )),
        )
    } else {
        (problem.clone(), None)
    };
    dto::InstanceView {
        id: record.id.clone(),
        name: record.name.clone(),
        host: record.host.clone(),
        version: record.version.clone(),
        edition: record.edition.clone(),
        state,
        cause,
        hint,
        action: None,
        endpoint_host: record.endpoint_host().to_owned(),
        port: record.port,
        endpoint_open: if record.direct {
            running && fresh
        } else {
            berth.endpoints.is_open(&record.id)
        },
        data: record.data.clone(),
        database: record.database.clone(),
        login: record.login.clone(),
        memory: record.memory,
        image: record.image.clone(),
        container: record.container.clone(),
        owner: record.owner.clone(),
        created_at: record.created_at.clone(),
        started_at: None,
        seen_at: record.seen_at.clone().unwrap_or_default(),
        fresh,
        practice: record.host == PRACTICE,
        credentials: match record.lease {
            Some(_) => berth.leases.holds(&record.id),
            None => record.ours || record.password_file.is_some(),
        },
        unfinished: record.unfinished,
        adopted: record.adopted,
        ends_at: record.lease.and_then(crate::lease::moment),
        disk: None,
    }
}

/// `instance.logs`.
pub(crate) async fn logs(
    berth: &Arc<Berth>,
    request: dto::Logs,
    call: &Call,
) -> Result<dto::Nothing> {
    let found = reach(berth, &request.name).await?;
    let id = found.record.id;
    let since = request.since.map(|seconds| {
        let at = chrono::Utc::now().timestamp() - i64::try_from(seconds).unwrap_or(i64::MAX / 2);
        u32::try_from(at.max(0)).unwrap_or(u32::MAX)
    });
    let options = LogOptions {
        follow: request.follow,
        since,
        tail: request.tail.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        timestamps: true,
    };
    let mut lines = resume::logs(berth, found.link, &id, &found.container.id, options);
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = call.cancel.cancelled() => return Err(cancelled()),
        };
        let Some(line) = line.transpose()? else {
            return Ok(dto::Nothing {});
        };
        call.send(&line_view(line)).await?;
    }
}

/// `instance.stats`: until the caller has seen enough, or the instance stops.
pub(crate) async fn stats(
    berth: &Arc<Berth>,
    request: dto::InstanceName,
    call: &Call,
) -> Result<dto::Nothing> {
    let found = reach(berth, &request.name).await?;
    if found.container.state != RunState::Running {
        return Err(
            Error::new(berth_core::Code::Refused, "What does not run uses nothing")
                .hint("Start the instance first"),
        );
    }
    let mut items = found.link.streaming().await?.stats(&found.container.id);
    loop {
        let item = tokio::select! {
            item = items.next() => item,
            () = call.cancel.cancelled() => return Err(cancelled()),
        };
        let Some(item) = item.transpose()? else {
            return Ok(dto::Nothing {});
        };
        call.send(&dto::StatsView {
            cpu_percent: item.cpu_percent,
            memory: item.memory_bytes,
            memory_limit: item
                .memory_limit
                .or(Some(found.labels.memory).filter(|m| *m > 0)),
        })
        .await?;
    }
}

/// The last lines of a container's log.
async fn tail(link: &Link, container: &str, lines: u64) -> Result<Vec<dto::LogLine>> {
    let options = LogOptions {
        tail: Some(u32::try_from(lines).unwrap_or(u32::MAX)),
        ..LogOptions::default()
    };
    let read = async {
        let mut stream = link.engine.logs(container, options);
        let mut all = Vec::new();
        while let Some(line) = stream.next().await.transpose()? {
            all.push(line_view(line));
        }
        Ok(all)
    };
    timeout(LIST_LIMIT, read).await.unwrap_or_else(|_| {
        Err(Error::new(
            berth_core::Code::TimedOut,
            "The log could not be read in time",
        ))
    })
}

fn line_view(line: berth_engine::LogLine) -> dto::LogLine {
    dto::LogLine {
        stream: match line.stream {
            LogStream::Out => "stdout",
            LogStream::Err => "stderr",
        }
        .to_owned(),
        level: Some(Level::of(&line.text).as_str().to_owned()),
        at: line.time,
        text: line.text,
    }
}
