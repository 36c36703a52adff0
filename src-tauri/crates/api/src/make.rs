//! Making an instance: image, credentials, container, ready, password, endpoint.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result, Secret,
    host::Os,
    instance::{self, PREFIX},
    label::{self, Data, Labels},
    recipe::{self, Recipe, Rules},
};
use berth_engine::{ContainerSpec, Isolation, Mount, MountKind, Publish, RestartPolicy};
use berth_sql::{Login, Trust};
use berth_store::{InstanceRecord, Instances, Settings};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use crate::{
    Berth,
    berth::now,
    databases, dto, endpoints, images, instances,
    link::Link,
    logins::{Gate, credentials, was_cut_off},
    operations::Operation,
    passwords,
    up::{New, Wanted},
};

/// How long cleaning up waits for what is under way at the engine.
const UNDER_WAY: Duration = Duration::from_secs(10);

/// What a broken `up` has made so far.
#[derive(Default)]
pub(crate) struct Made {
    link: Option<Arc<Link>>,
    id: String,
    container: Option<String>,
    /// A container was asked for.
    creating: bool,
    /// What is under way at the engine or in the keychain. It finishes what it has begun, also for a caller that hung up, so how that ends
    /// has to be waited for.
    under_way: Option<JoinHandle<Option<String>>>,
    volume: Option<String>,
    pub(crate) passwords: bool,
    record: bool,
    started: bool,
    /// Whoever asked for it is told why it failed, and nobody looks at it later.
    leased: bool,
}

impl Made {
    /// Does a piece of work that goes on when the phase around it is cancelled. `id` takes the container's id from it.
    pub(crate) async fn finish<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T>> + Send + 'static,
        id: fn(&T) -> Option<String>,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.under_way = Some(tokio::spawn(async move {
            let result = work.await;
            let id = result.as_ref().ok().and_then(id);
            // A phase that was cancelled does not wait any more.
            let _ = answer.send(result);
            id
        }));
        let result = answered
            .await
            .map_err(|_| Error::failed("A piece of work broke off"))?;
        self.under_way = None;
        result
    }

    /// After a cancel everything goes. After a failure of a container that had started it stays, stopped and listed:
    /// its log holds the reason, and its data may be worth something.
    pub(crate) async fn clean_up(self, berth: &Arc<Berth>, error: &Error) {
        let Some(link) = self.link else { return };
        if self.started && error.code() != Code::Cancelled && !self.leased {
            if let Some(container) = &self.container
                && let Err(e) = link.engine.stop(container, Duration::from_secs(5)).await
            {
                tracing::warn!("a failed container could not be stopped: {e}");
            }
            return;
        }
        let mut container = self.container;
        if let Some(under_way) = self.under_way
            && let Ok(Ok(made)) = timeout(UNDER_WAY, under_way).await
        {
            container = container.or(made);
        }
        if container.is_none() && self.creating {
            // By label, never by name: what has our name may be somebody else's.
            match link.container_of(&self.id).await {
                Ok(found) => container = found.map(|c| c.id),
                Err(e) => {
                    tracing::warn!("whether an unfinished container is there cannot be told: {e}");
                    return;
                }
            }
        }
        if let Some(container) = container {
            match link.engine.remove(&container, true).await {
                Ok(()) => {}
                Err(e) if e.code() == Code::NotFound => {}
                Err(e) => {
                    tracing::warn!("an unfinished container could not be removed: {e}");
                    // It is still there, so everything that belongs to it stays as well.
                    return;
                }
            }
        }
        if let Some(volume) = self.volume {
            // By its label: a volume of that name may be somebody else's.
            let removed = match instances::has_data(&link, &volume, &self.id).await {
                Ok(true) => link.engine.remove_volume(&volume).await,
                Ok(false) => Ok(()),
                Err(e) => Err(e),
            };
            if let Err(e) = removed {
                tracing::warn!("an unfinished volume could not be removed: {e}");
                // Its data can only be opened with its password.
                return;
            }
        }
        if self.passwords
            && let Err(e) = passwords::forget(berth, &self.id).await
        {
            tracing::warn!("the passwords of an unfinished instance could not be removed: {e}");
        }
        if self.record {
            instances::forget(berth, &self.id).await;
        }
        berth.endpoints.release(&self.id);
    }
}

/// Makes an instance that is not there. `made` says how far it came.
pub(crate) async fn make(
    berth: &Arc<Berth>,
    new: New,
    wanted: &Wanted,
    operation: &Arc<Operation>,
    made: &mut Made,
) -> Result<dto::Outcome> {
    let New {
        link,
        labels,
        recipe,
        mut reserved,
        kept,
        volume: kept_volume,
    } = new;
    made.link = Some(Arc::clone(&link));
    made.id.clone_from(&labels.id);
    made.leased = labels.lease.is_some();

    let rules = operation
        .phase(
            "image",
            format!("Finding the image `{}`", recipe.image),
            image(&link, &recipe, labels.collation.as_deref(), operation),
        )
        .await?;

    let mut record = instances::record_of(&labels, &link.host, &recipe.image);
    record.unfinished = true;
    record.direct = link.publishes();
    record.published_on = link.published_on();
    // Kept data of an instance that had a file of ours has it still; one that was just made for nothing goes.
    let kept_file = match &kept {
        Some(_) => passwords::kept_file(berth, &labels.id).await,
        None => None,
    };
    let file = match (kept_file, &wanted.password_file) {
        (Some(ours), Some(made)) if wanted.file_is_ours => {
            passwords::forget_own(berth, made.clone()).await;
            Some(ours)
        }
        (_, Some(named)) => Some(named.clone()),
        (ours, None) => ours,
    };
    record.password_file = file.map(|p| p.to_string_lossy().into_owned());
    // Data of a making that was cut off is nothing of anyone's still, and `sa` may have its first password there.
    let before = berth.store(|f| f.read::<Instances>()).await?;
    let unfinished = (before.get(&labels.id)).is_some_and(|r| r.unfinished && r.fresh_data);
    let cut_off = kept.is_some() && (unfinished || was_cut_off(berth, &record).await?);
    record.fresh_data = kept.is_none() || unfinished;
    let keys = operation
        .phase("credentials", "Making a password and storing it", async {
            // Before anything is made: whatever is found after a crash is then known to be unfinished.
            instances::begin(berth, &link, record.clone()).await?;
            made.record = true;
            credentials(berth, &record, &labels, kept.is_some(), rules, made).await
        })
        .await?;

    let container_name = format!("{PREFIX}{}", labels.name);
    operation
        .phase(
            "container",
            format!("Making the container `{container_name}`"),
            async {
                let volume = (labels.data == Data::Keep).then(|| {
                    kept_volume
                        .clone()
                        .unwrap_or_else(|| container_name.clone())
                });
                if let Some(volume) = &volume
                    && kept.is_none()
                {
                    made.volume = Some(volume.clone());
                    clear_empty(&link, volume).await?;
                    let (engine, name) = (link.engine.clone(), volume.clone());
                    let marker = labels.data_marker();
                    let there = made
                        .finish(
                            async move { engine.create_volume(&name, &marker).await },
                            |_| None,
                        )
                        .await?;
                    // An engine answers a volume of that name as it is, if there is one.
                    if there.labels.get(label::ID) != Some(&labels.id) {
                        return Err(Error::new(
                            Code::Refused,
                            format!("`{}` has a volume called `{volume}` already", link.host),
                        )
                        .because("it does not say that it holds the data of this instance")
                        .hint("Take another name"));
                    }
                }
                // The engine publishes the port itself where there is no tunnel: it must be free by then.
                if link.publishes() {
                    reserved.leave_to_the_engine();
                }
                let spec = spec(
                    &link,
                    &labels,
                    &recipe,
                    rules,
                    keys.bootstrap.as_ref(),
                    volume,
                );
                made.creating = true;
                let engine = link.engine.clone();
                let id = made
                    .finish(async move { engine.create(&spec).await }, |id| {
                        Some(id.clone())
                    })
                    .await?;
                made.container = Some(id.clone());
                let record = InstanceRecord {
                    container: id.clone(),
                    ..record.clone()
                };
                instances::remember(berth, record).await?;
                made.record = true;
                link.engine.start(&id).await?;
                made.started = true;
                Ok(())
            },
        )
        .await?;
    let container = made.container.clone().unwrap_or_default();
    record.container.clone_from(&container);

    let gate = Gate {
        link: &link,
        labels: &labels,
        container: &container,
        limit: wanted.limit,
        operation,
    };
    let opened = operation
        .phase("ready", "Waiting for SQL Server", async {
            match (rules, &kept) {
                (Rules::BerthWindows, kept) if kept.is_none() || cut_off => {
                    gate.set_password_by_exec(&keys.sa).await?;
                    gate.open(&keys.sa, &[], false).await
                }
                (Rules::Official, None) => gate.open_first(&keys).await,
                // Data whose making was cut off may still have its first password.
                _ => {
                    gate.open(&keys.sa, keys.bootstrap.as_slice(), cut_off)
                        .await
                }
            }
        })
        .await?;

    operation
        .phase(
            "password",
            "Replacing the first password, and making what was asked for",
            async {
                gate.finish(&keys, &opened).await?;
                if record.password_file.is_none() {
                    passwords::store(berth, &labels.id, &keys.final_ones(&labels)).await?;
                }
                Ok(())
            },
        )
        .await?;

    if let (Some(script), None) = (&wanted.init, &kept) {
        operation
            .phase(
                "init",
                "Running the script of `--init`",
                databases::run_script(&link, &record, &keys.sa, script),
            )
            .await?;
    }

    operation
        .phase(
            "endpoint",
            format!("Opening 127.0.0.1:{}", labels.port),
            async {
                endpoints::attach_reserved(berth, &record, reserved);
                through_the_endpoint(berth, &record).await?;
                record.unfinished = false;
                record.fresh_data = false;
                record.seen_at = Some(now());
                record.state = instance::State::Running.as_str().to_owned();
                instances::remember(berth, record.clone()).await
            },
        )
        .await?;
    let mut notes = Vec::new();
    if let Some(note) = practice_note(&link.host) {
        notes.push(note);
    } else if let (Some(asked), Some(is)) = (recipe.version, year(opened.identity.major))
        && asked != is
    {
        notes.push(format!("The image holds SQL Server {is}, not {asked}"));
    }
    if kept.is_some() {
        notes.push(format!(
            "The data that `{}` had was taken up again",
            labels.name
        ));
        if wanted.init.is_some() {
            notes.push("`--init` was not run: it is for new data".to_owned());
        }
    }
    if labels.lease.is_none() {
        notes.extend(offer_login_item(berth).await);
    }
    let instance = instances::view_now(berth, &link, &labels.id).await?;
    Ok(dto::Outcome {
        instance: Some(instance),
        notes,
        changed: true,
    })
}

/// An engine that ends while it makes a volume leaves one without labels: what has our name, says nothing and holds nothing is
/// taken away. What holds something, or is in use, stays.
async fn clear_empty(link: &Link, volume: &str) -> Result<()> {
    match link.engine.volume(volume).await {
        Ok(there) if there.labels.is_empty() => {}
        Ok(_) => return Ok(()),
        Err(e) if e.code() == Code::NotFound => return Ok(()),
        Err(e) => return Err(e),
    }
    if link.engine.volume_size(volume).await? != Some(0) {
        return Ok(());
    }
    match link.engine.remove_volume(volume).await {
        Err(e) if ![Code::NotFound, Code::Refused].contains(&e.code()) => Err(e),
        _ => Ok(()),
    }
}

/// What is said of every instance on the practice host.
pub(crate) fn practice_note(host: &str) -> Option<String> {
    (host == berth_core::host::PRACTICE).then(|| {
        "This is the practice host: it answers like SQL Server and is not SQL Server".to_owned()
    })
}

/// Said once, after the first instance on a Mac: until then there is nothing that should work after login.
async fn offer_login_item(berth: &Berth) -> Option<String> {
    if !cfg!(target_os = "macos") || berth.settings().await.ok()?.login_item_offered {
        return None;
    }
    let kept = berth
        .store(|f| {
            f.update::<Settings, _>(|s| {
                s.login_item_offered = true;
                Ok(())
            })
        })
        .await;
    kept.ok().map(|()| {
        "Strings work as long as Berth runs in the background; `berth agent install` starts it at login"
            .to_owned()
    })
}

/// Present, or pulled. Says by which rules its containers are run.
async fn image(
    link: &Link,
    recipe: &Recipe,
    collation: Option<&str>,
    operation: &Operation,
) -> Result<Rules> {
    let rules = |image: &berth_engine::Image| {
        if image.labels.contains_key(label::SQL_MAJOR) {
            Rules::BerthWindows
        } else {
            Rules::Official
        }
    };
    if let Some(image) = link.engine.image(&recipe.image).await? {
        return Ok(rules(&image));
    }
    if recipe.id == "windows" {
        return Err(Error::not_found(format!("`{}` has no image `{}`", link.host, recipe.image))
            .because("Microsoft publishes no SQL Server image for Windows: it has to be built on the host, once")
            .detail("recipe", to_build(recipe, collation).0)
            .hint(format!(
                "Build it with `berth image build {}{}`, which takes half an hour or so; `berth image list --host {}` shows what is there",
                to_build(recipe, collation).1,
                if link.host == berth_core::host::PRACTICE { String::new() } else { format!(" --host {}", link.host) },
                link.host,
            )));
    }
    images::pulled(link, &recipe.image, operation)
        .await
        .map(|image| rules(&image))
}

/// Which recipe makes an image that is not there, and the same with the options that its build takes.
fn to_build(recipe: &Recipe, collation: Option<&str>) -> (String, String) {
    let version = recipe.version.unwrap_or(recipe::DEFAULT_VERSION);
    let name = format!("{version}-{}", recipe.edition.as_str());
    let options = match collation.filter(|c| !c.eq_ignore_ascii_case(recipe::COLLATION)) {
        Some(other) => format!("{name} --collation {other}"),
        None => name.clone(),
    };
    (name, options)
}

pub(crate) fn spec(
    link: &Link,
    labels: &Labels,
    recipe: &Recipe,
    rules: Rules,
    bootstrap: Option<&Secret>,
    volume: Option<String>,
) -> ContainerSpec {
    let plain = |text: &str| Secret::from(text.to_owned());
    let mut env = vec![
        ("ACCEPT_EULA".to_owned(), plain("Y")),
        (
            "MSSQL_MEMORY_LIMIT_MB".to_owned(),
            plain(&recipe.engine_memory_mb(labels.memory).to_string()),
        ),
    ];
    if rules == Rules::Official {
        env.push((
            "MSSQL_PID".to_owned(),
            plain(
                recipe
                    .edition
                    .pid(recipe.version.unwrap_or(recipe::DEFAULT_VERSION)),
            ),
        ));
        if let Some(bootstrap) = bootstrap {
            env.push(("MSSQL_SA_PASSWORD".to_owned(), bootstrap.clone()));
        }
    }
    if let Some(collation) = &labels.collation {
        env.push(("MSSQL_COLLATION".to_owned(), plain(collation)));
    }
    ContainerSpec {
        name: format!("{PREFIX}{}", labels.name),
        image: recipe.image.clone(),
        hostname: Some(hostname(&labels.name)),
        env,
        labels: labels.to_map(),
        memory: Some(labels.memory),
        mounts: volume
            .map(|source| Mount {
                kind: MountKind::Volume,
                source,
                target: recipe.data_path().to_owned(),
                read_only: false,
            })
            .into_iter()
            .collect(),
        restart: if labels.data == Data::Keep {
            RestartPolicy::UnlessStopped
        } else {
            RestartPolicy::No
        },
        isolation: if link.os == Os::Windows {
            Isolation::Process
        } else {
            Isolation::Default
        },
        publish: link.publishes().then(|| Publish {
            container: 1433,
            // On another machine the port has to be where that machine is reached; which of its addresses that is, only
            // its own network knows.
            address: if link.published_on().is_some() {
                Ipv4Addr::UNSPECIFIED.into()
            } else {
                Ipv4Addr::LOCALHOST.into()
            },
            host: labels.port,
        }),
        stop_timeout: Some(Duration::from_secs(120)),
        platform: (link.os == Os::Linux && recipe.id == "linux").then(|| "linux/amd64".to_owned()),
        ..ContainerSpec::default()
    }
}

/// The year that a major version goes by.
pub(crate) fn year(major: u16) -> Option<u16> {
    Some(match major {
        12 => 2014,
        13 => 2016,
        14 => 2017,
        15 => 2019,
        16 => 2022,
        17 => 2025,
        _ => return None,
    })
}

/// A name that DNS takes, at most 15 characters for Windows: `@@SERVERNAME` stays the same when the container is made anew.
fn hostname(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(15)
        .collect();
    clean.trim_matches('-').to_owned()
}

/// Signs in as the strings will, through the port that they name.
async fn through_the_endpoint(berth: &Arc<Berth>, record: &InstanceRecord) -> Result<()> {
    let login = record.login.clone();
    let password = passwords::of(berth, record, &login).await?;
    let login = Login {
        user: login,
        password,
        database: record.database.clone(),
        app: "Berth".into(),
    };
    let connection = berth_sql::connect(
        &crate::ssh::PublishedDial::new(record.published_on.as_deref(), record.port),
        &login,
        Trust::Tunnel,
        Duration::from_secs(15),
    )
    .await;
    connection.map(drop).map_err(|e| {
        e.error
            .context(format!("The string for `{}` does not work", record.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_what_dns_and_windows_take() {
        assert_eq!(hostname("orders_dev.2"), "orders-dev-2");
        assert_eq!(
            hostname("a-very-long-name-of-an-instance"),
            "a-very-long-nam"
        );
        assert_eq!(hostname("x-------------------"), "x");
    }
}
