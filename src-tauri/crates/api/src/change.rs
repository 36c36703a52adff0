//! Changes of an instance that is there: its memory, port and name, and a new password for it.

use std::{sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result,
    instance::PREFIX,
    label::{self, Data},
    name,
    recipe::{Edition, Recipe, Rules},
    size,
};
use berth_store::Instances;

use tokio::time::timeout;

use crate::{
    Berth,
    databases::{as_sa, is_system},
    dto, endpoints,
    instances::{self, Found},
    life::{bring_down, bring_up, limit, operate},
    logins::{Gate, NEXT, SA, app_login, settle},
    make, passwords,
    table::Call,
};

/// How long finding out which password is right may take, after a change was cut off.
const SETTLE: Duration = Duration::from_secs(30);

/// `instance.set`: labels belong to a container for its life, so it is made anew around its data.
pub(crate) async fn set(
    berth: &Arc<Berth>,
    request: dto::InstanceSet,
    _: &Call,
) -> Result<dto::Started> {
    if request.memory.is_none() && request.port.is_none() && request.new_name.is_none() {
        return Err(Error::usage("Nothing was asked to be changed")
            .hint("Say `--memory`, `--port` or `--name`"));
    }
    let memory = request.memory.as_deref().map(size::parse).transpose()?;
    if let Some(new) = &request.new_name {
        name::check("an instance", new)?;
    }
    let limit = limit(request.timeout);
    let (port, new_name) = (request.port, request.new_name);
    operate(
        berth,
        "Change",
        &request.name,
        move |berth, operation, found| async move {
            let Found {
                record,
                link,
                container,
                labels: before,
            } = &found;
            let mut labels = before.clone();
            if record.adopted {
                return Err(Error::new(
                    Code::Refused,
                    format!("`{}` cannot be changed", labels.name),
                )
                .because("its container would have to be made anew, and Berth did not make it")
                .hint(format!(
                    "Change it with what made it; `berth adopt {} --name NAME` gives it another name here",
                    container.name
                )));
            }
            if labels.data == Data::Throwaway {
                return Err(Error::new(
                    Code::Refused,
                    format!("`{}` cannot be changed", labels.name),
                )
                .because("its data is inside its container, which would have to be made anew")
                .hint("Make another with `berth up`, with the options that you want"));
            }
            let version = labels.version.parse().ok();
            let recipe = Recipe::choose(
                link.os,
                None,
                version,
                Edition::parse(&labels.edition).ok(),
                Some(&container.image),
                None,
            )?;
            if let Some(memory) = memory {
                recipe.check_memory(memory)?;
                labels.memory = memory;
            }
            if let Some(new) = new_name
                && new != labels.name
            {
                let taken = format!("{PREFIX}{new}");
                let containers = link.engine.containers(None).await?;
                let volumes = link.engine.volumes(Some(label::ID)).await?;
                if containers.iter().any(|c| c.name == taken)
                    || volumes
                        .iter()
                        .any(|v| v.name == taken && v.labels.get(label::ID) != Some(&labels.id))
                {
                    return Err(Error::new(
                        Code::Refused,
                        format!(
                            "`{}` has an instance or kept data called `{new}`",
                            link.host
                        ),
                    )
                    .hint("Take another name"));
                }
                labels.name = new;
            }
            let mut reserved = None;
            if let Some(port) = port
                && port != labels.port
            {
                let known = berth.store(|f| f.read::<Instances>()).await?.instances;
                reserved = Some(endpoints::reserve(&berth, Some(port), &known).await?);
                labels.port = port;
            }
            if labels == *before {
                let instance = instances::view_now(&berth, link, &record.id).await?;
                return Ok(dto::Outcome {
                    instance: Some(instance),
                    notes: vec!["It is so already".into()],
                    changed: false,
                });
            }
            let volume = instances::data_of(link, &labels.id).await?.ok_or_else(|| {
                Error::new(
                    Code::Refused,
                    format!("`{}` cannot be changed", labels.name),
                )
                .because("its data is in no volume that says so")
            })?;
            let image = link.engine.image(&container.image).await?.ok_or_else(|| {
                Error::new(
                    Code::Refused,
                    format!("`{}` cannot be changed", labels.name),
                )
                .because(format!(
                    "its image `{}` is not on the host any more",
                    container.image
                ))
                .hint("Pull or build it again first")
            })?;
            let rules = if image.labels.contains_key(label::SQL_MAJOR) {
                Rules::BerthWindows
            } else {
                Rules::Official
            };
            // What its image wants in its environment is a throw-away again.
            let first = match rules {
                Rules::Official => Some(passwords::generate()?),
                Rules::BerthWindows => None,
            };
            bring_down(&berth, &found, &operation).await?;
            let made = operation
                .phase(
                    "container",
                    format!("Making the container of `{}` anew", labels.name),
                    async {
                        if let (true, Some(reserved)) = (link.publishes(), &mut reserved) {
                            reserved.leave_to_the_engine();
                        }
                        let spec = make::spec(
                            link,
                            &labels,
                            &recipe,
                            rules,
                            first.as_ref(),
                            Some(volume.name),
                        );
                        link.engine.remove(&container.id, true).await?;
                        link.forget_place(&labels.id);
                        link.engine.create(&spec).await
                    },
                )
                .await
                .map_err(|e| {
                    e.hint(format!(
                        "Its data is kept: `berth up {} --memory {} --port {}` takes it up again",
                        before.name,
                        size::format(labels.memory),
                        labels.port
                    ))
                })?;
            let mut record = record.clone();
            record.container.clone_from(&made);
            record.name.clone_from(&labels.name);
            record.memory = labels.memory;
            if record.port != labels.port {
                berth.endpoints.release(&record.id);
                record.port = labels.port;
            }
            instances::remember(&berth, record.clone()).await?;
            if let Some(reserved) = reserved {
                endpoints::attach_reserved(&berth, &record, reserved);
            }
            Box::pin(bring_up(&berth, link, &made, &labels, limit, &operation, &[])).await?;
            let mut notes = Vec::new();
            if memory.is_some() {
                let mb = u32::try_from(recipe.engine_memory_mb(labels.memory)).unwrap_or(u32::MAX);
                match passwords::of(&berth, &record, SA).await {
                    Ok(sa) => {
                        let mut connection = as_sa(link, &record, sa).await?;
                        connection.set_max_memory(mb).await?;
                        connection.close().await;
                        notes.push(format!("SQL Server itself takes {mb} MB of it at most"));
                    }
                    Err(e) => notes.push(format!("SQL Server's own limit is as it was: {e}")),
                }
            }
            if labels.port != before.port {
                notes.push(format!(
                    "Strings that name port {} do not work any more",
                    before.port
                ));
            }
            let instance = instances::view_now(&berth, link, &record.id).await?;
            Ok(dto::Outcome {
                instance: Some(instance),
                notes,
                changed: true,
            })
        },
    )
    .await
}

/// What a new password means to others.
const REFUSED_FROM_NOW_ON: &str =
    "Programs that have the old password are refused from their next connection on";

/// Where no keychain answers, one file of our own holds the password of all logins of an instance. The next one is kept beside
/// it until `sa` has it: a crash in between locks nobody out.
async fn another_in_own_file(berth: &Arc<Berth>, found: &Found, file: &str) -> Result<()> {
    let Found { record, link, .. } = found;
    // What an earlier change that was cut off has left may be the one that opens.
    let left = match passwords::staged_own(file).await {
        Some(staged) => as_sa(link, record, staged).await.ok(),
        None => None,
    };
    let mut connection = match left {
        Some(connection) => {
            passwords::settle_own(file).await?;
            connection
        }
        None => as_sa(link, record, passwords::of(berth, record, SA).await?).await?,
    };
    let next = passwords::generate()?;
    passwords::stage_own(file, &next).await?;
    connection.set_password(SA, &next).await?;
    passwords::settle_own(file).await?;
    for database in connection.databases().await? {
        if !is_system(&database.name) {
            let login = app_login(&database.name);
            if connection.has_login(&login).await? {
                connection
                    .create_owner_login(&login, &database.name, &next)
                    .await?;
            }
        }
    }
    connection.close().await;
    Ok(())
}

/// `instance.reset_password`: new passwords for `sa` and for the login of its database.
pub(crate) async fn reset_password(
    berth: &Arc<Berth>,
    request: dto::Timed,
    _: &Call,
) -> Result<dto::Started> {
    let limit = limit(request.timeout).min(Duration::from_secs(600));
    operate(
        berth,
        "Reset the password of",
        &request.name,
        move |berth, operation, found| async move {
            let Found {
                record,
                link,
                container,
                labels,
            } = &found;
            if let Some(file) = &record.password_file
                && !passwords::is_own(&berth, file)
            {
                return Err(Error::new(
                    Code::Refused,
                    format!("The password of `{}` is the one in `{file}`", labels.name),
                )
                .because("Berth does not change a file of yours")
                .hint("Change it with `ALTER LOGIN` and in the file"));
            }
            let running = link.engine.inspect(&container.id).await?.state.running;
            if !running {
                return Err(Error::new(
                    Code::Refused,
                    format!("`{}` is not running", labels.name),
                )
                .hint(format!("Start it with `berth start {}`", labels.name)));
            }
            if let Some(file) = record.password_file.clone() {
                operation
                    .phase(
                        "password",
                        format!("Giving the logins of `{}` a new password", labels.name),
                        another_in_own_file(&berth, &found, &file),
                    )
                    .await?;
                let instance = instances::view_now(&berth, link, &record.id).await?;
                return Ok(dto::Outcome {
                    instance: Some(instance),
                    notes: vec![REFUSED_FROM_NOW_ON.to_owned()],
                    changed: true,
                });
            }
            // What an earlier one that was cut off has left comes first: then it is known which password opens.
            if let Err(e) = settle(&berth, link, record).await {
                tracing::warn!("which password of an instance is right was not found out: {e}");
            }
            let known = passwords::find(&berth, &labels.id).await?;
            let mut next = known.clone().unwrap_or_default();
            let sa = passwords::generate()?;
            let gate = Gate {
                link,
                labels,
                container: &container.id,
                limit,
                operation: &operation,
            };
            let mut notes = vec![REFUSED_FROM_NOW_ON.to_owned()];
            let opened = match known.as_ref().and_then(|k| k.get(SA)) {
                Some(old) => as_sa(link, record, old.clone()).await.ok(),
                None => None,
            };
            let changed = async {
            operation
                .phase("password", format!("Giving `sa` of `{}` a new password", labels.name), async {
                    let by_exec = link
                        .engine
                        .image(&container.image)
                        .await?
                        .is_some_and(|i| i.labels.contains_key(label::SQL_MAJOR));
                    if opened.is_none() && !by_exec {
                        return Err(Error::new(
                            Code::Refused,
                            format!("Nobody here can give `{}` a new password", labels.name),
                        )
                        .because("SQL Server on Linux lets in only who knows a password, and this machine knows none")
                        .hint("Do it on the machine that made it, or on the host with `mssql-conf set-sa-password`"));
                    }
                    // Both are kept until the new one has proved itself: a crash in between locks nobody out.
                    next.set(NEXT, sa.clone());
                    passwords::store(&berth, &labels.id, &next).await?;
                    match opened {
                        Some(mut connection) => {
                            connection.set_password(SA, &sa).await?;
                            connection.close().await;
                        }
                        None => gate.set_password_by_exec(&sa).await?,
                    }
                    as_sa(link, record, sa.clone()).await?.close().await;
                    next.set(SA, sa.clone());
                    passwords::store(&berth, &labels.id, &next).await
                })
                .await?;
            if let Some(database) = &labels.database {
                let login = app_login(database);
                let password = passwords::generate()?;
                operation
                    .phase("login", format!("Giving `{login}` a new password"), async {
                        let mut connection = as_sa(link, record, sa.clone()).await?;
                        if connection.databases().await?.iter().any(|d| d.name == *database) {
                            // Before the server has it: what is cut off in between is settled by what is kept.
                            next.set(&login, password.clone());
                            passwords::store(&berth, &labels.id, &next).await?;
                            connection.create_owner_login(&login, database, &password).await?;
                        } else {
                            notes.push(format!("Its database `{database}` is not there any more"));
                        }
                        connection.close().await;
                        Ok(())
                    })
                    .await?;
            }
            next.remove(NEXT);
            passwords::store(&berth, &labels.id, &next).await
            }
            .await;
            if let Err(e) = changed {
                let settled = timeout(SETTLE, settle(&berth, link, record)).await;
                return Err(match settled {
                    Ok(Ok(())) => e,
                    _ => e.because("which password it has now is not known; both are kept")
                        .hint(format!("`berth up {}` finds out", labels.name)),
                });
            }
            let mut record = record.clone();
            record.ours = true;
            instances::remember(&berth, record.clone()).await?;
            let instance = instances::view_now(&berth, link, &record.id).await?;
            Ok(dto::Outcome {
                instance: Some(instance),
                notes,
                changed: true,
            })
        },
    )
    .await
}
