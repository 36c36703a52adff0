//! Start, stop, restart and remove.

use std::{sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result, Secret,
    host::Os,
    instance::State,
    label::{self, Data, DataMarker, Labels},
};
use berth_sql::{Login, Trust};

use crate::{
    Berth,
    berth::now,
    dto, endpoints,
    instances::{self, Found},
    link::{Link, SqlDial},
    logins::{Gate, Keys, NEXT, SA, app_login, settle},
    operations::Operation,
    passwords,
    table::Call,
};

/// The variable by which the official image is told its first password.
const FIRST_PASSWORD: &str = "MSSQL_SA_PASSWORD";
/// Until an instance must be up, or down, where nobody says.
const LIMIT: Duration = Duration::from_secs(300);
/// What SQL Server gets to end by itself, after its checkpoint.
const GRACE: Duration = Duration::from_secs(60);
/// What a checkpoint may take: dirty pages of gigabytes go to a slow disk.
const CHECKPOINT: Duration = Duration::from_secs(60);
/// Ends the service inside a container of Berth's Windows recipe while the container stays up: ending the container
/// first would leave Windows only seconds for it.
const STOP_SERVICE: [&str; 4] = [
    "cmd",
    "/S",
    "/C",
    r"echo 1>C:\berth\stopping & net stop MSSQLSERVER /y",
];

pub(crate) fn limit(seconds: Option<u64>) -> Duration {
    seconds.map_or(LIMIT, Duration::from_secs)
}

pub(crate) async fn operate<F, Fut>(
    berth: &Arc<Berth>,
    verb: &str,
    name: &str,
    work: F,
) -> Result<dto::Started>
where
    F: FnOnce(Arc<Berth>, Arc<Operation>, Found) -> Fut + Send + 'static,
    Fut: Future<Output = Result<dto::Outcome>> + Send + 'static,
{
    // Found before the operation begins: a name that nobody has is the caller's mistake, not a failed operation.
    let record = instances::find(berth, name).await?;
    let worker = Arc::clone(berth);
    let full = format!("{}/{}", record.host, record.name);
    let subject = full.clone();
    berth.operations.start(
        berth,
        &verb.to_ascii_lowercase(),
        format!("{verb} `{}` on `{}`", record.name, record.host),
        &subject,
        move |operation| async move {
            let found = operation
                .phase(
                    "plan",
                    format!("Looking at `{}`", record.host),
                    instances::reach(&worker, &full),
                )
                .await?;
            Box::pin(work(worker, operation, found)).await
        },
    )
}

/// `instance.start`.
pub(crate) async fn start(
    berth: &Arc<Berth>,
    request: dto::Timed,
    _: &Call,
) -> Result<dto::Started> {
    let limit = limit(request.timeout);
    operate(
        berth,
        "Start",
        &request.name,
        move |berth, operation, found| async move {
            let changed = Box::pin(bring_up(
                &berth,
                &found.link,
                &found.container.id,
                &found.labels,
                limit,
                &operation,
                &[],
            ))
            .await?;
            outcome(&berth, &found, changed).await
        },
    )
    .await
}

/// `instance.stop`.
pub(crate) async fn stop(
    berth: &Arc<Berth>,
    request: dto::Timed,
    _: &Call,
) -> Result<dto::Started> {
    operate(
        berth,
        "Stop",
        &request.name,
        |berth, operation, found| async move {
            let changed = bring_down(&berth, &found, &operation).await?;
            outcome(&berth, &found, changed).await
        },
    )
    .await
}

/// `instance.restart`.
pub(crate) async fn restart(
    berth: &Arc<Berth>,
    request: dto::Timed,
    _: &Call,
) -> Result<dto::Started> {
    let limit = limit(request.timeout);
    operate(
        berth,
        "Restart",
        &request.name,
        move |berth, operation, found| async move {
            bring_down(&berth, &found, &operation).await?;
            Box::pin(bring_up(
                &berth,
                &found.link,
                &found.container.id,
                &found.labels,
                limit,
                &operation,
                &[],
            ))
            .await?;
            outcome(&berth, &found, true).await
        },
    )
    .await
}

async fn outcome(berth: &Arc<Berth>, found: &Found, changed: bool) -> Result<dto::Outcome> {
    let instance = instances::view_now(berth, &found.link, &found.record.id).await?;
    Ok(dto::Outcome {
        instance: Some(instance),
        notes: Vec::new(),
        changed,
    })
}

/// Starts a container if it does not run, waits until it is ready, and holds its endpoint. Says whether anything was changed.
/// `more`: passwords that `sa` may have instead, where its making was cut off; it gets the right one then.
pub(crate) async fn bring_up(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    container: &str,
    labels: &Labels,
    limit: Duration,
    operation: &Operation,
    more: &[Secret],
) -> Result<bool> {
    let mut record = instances::record_or_new(berth, labels, link, container).await?;
    let about = link.engine.inspect(container).await?;
    let was_running = about.state.running;
    operation
        .phase("container", format!("Starting `{}`", labels.name), async {
            if !was_running {
                link.forget_place(&labels.id);
                link.engine.start(container).await?;
            }
            Ok(())
        })
        .await?;
    let unfinished = record.unfinished;
    let keys = operation
        .phase("ready", "Waiting for SQL Server", async {
            let sa = match passwords::of(berth, &record, SA).await {
                Ok(sa) => sa,
                // Made elsewhere: its container runs, and that is all that this machine can find out.
                Err(e) if e.code() == Code::NotFound => {
                    operation.progress(
                        "No password here: its container runs, SQL Server was not asked",
                        None,
                    );
                    return Ok(None);
                }
                Err(e) => return Err(e),
            };
            let gate = Gate {
                link,
                labels,
                container,
                limit,
                operation,
            };
            let by_exec = about.env.iter().all(|(k, _)| k != FIRST_PASSWORD);
            if unfinished && record.fresh_data && by_exec {
                gate.set_password_by_exec(&sa).await?;
            }
            let next = match record.password_file {
                Some(_) => None,
                None => passwords::of(berth, &record, NEXT).await.ok(),
            };
            let first: Vec<Secret> = about
                .env
                .iter()
                .filter(|(k, _)| k == FIRST_PASSWORD)
                .map(|(_, v)| v)
                .chain(&next)
                .chain(more)
                .cloned()
                .collect();
            let opened = gate.open(&sa, &first, unfinished).await?;
            let app = match &labels.database {
                Some(database) if unfinished => {
                    Some(passwords::of(berth, &record, &app_login(database)).await?)
                }
                _ => None,
            };
            let keys = Keys {
                sa,
                bootstrap: None,
                app,
            };
            gate.finish(&keys, &opened).await?;
            if next.is_some() {
                settle(berth, link, &record).await?;
            }
            Ok(Some(keys))
        })
        .await?;
    if unfinished
        && record.password_file.is_none()
        && let Some(keys) = keys
    {
        passwords::store(berth, &labels.id, &keys.final_ones(labels)).await?;
    }
    operation
        .phase("endpoint", format!("Opening 127.0.0.1:{}", labels.port), async {
            endpoints::hold(berth, &record).await;
            record.unfinished = false;
            record.fresh_data = false;
            record.state = State::Running.as_str().to_owned();
            record.seen_at = Some(now());
            instances::remember(berth, record.clone()).await?;
            match berth.endpoints.problem(&labels.id, labels.port) {
                Some(problem) => Err(Error::failed(problem).hint(format!(
                    "End what listens there: the port comes up by itself then. Strings to `{}` name it, so Berth does not change it",
                    labels.name
                ))),
                None => Ok(()),
            }
        })
        .await?;
    Ok(!was_running || unfinished)
}

/// Checkpoint, then the service, then the container. Says whether it ran.
pub(crate) async fn bring_down(
    berth: &Arc<Berth>,
    found: &Found,
    operation: &Operation,
) -> Result<bool> {
    let Found {
        record,
        link,
        container,
        labels,
    } = found;
    let running = link.engine.inspect(&container.id).await?.state.running;
    if running {
        operation
            .phase("checkpoint", "Writing everything to disk", async {
                if let Err(e) = checkpoint(berth, found).await {
                    // SQL Server recovers committed work from its log at the next start: slower, and nothing is lost.
                    operation.progress(format!("Without a checkpoint: {e}"), None);
                }
                Ok(())
            })
            .await?;
        operation
            .phase("stop", format!("Stopping `{}`", labels.name), async {
                if link.os == Os::Windows
                    && link
                        .engine
                        .image(&container.image)
                        .await?
                        .is_some_and(|i| i.labels.contains_key(label::SQL_MAJOR))
                {
                    let ended = link
                        .engine
                        .exec(&container.id, &STOP_SERVICE, None, GRACE * 2)
                        .await;
                    match ended {
                        Ok(output) if output.code == 0 => {}
                        Ok(output) => {
                            tracing::warn!(code = output.code, "the service did not end by itself")
                        }
                        Err(e) => tracing::warn!("the service did not end by itself: {e}"),
                    }
                }
                link.engine.stop(&container.id, GRACE).await
            })
            .await?;
    }
    link.forget_place(&record.id);
    let mut record = record.clone();
    State::Stopped.as_str().clone_into(&mut record.state);
    record.seen_at = Some(now());
    instances::remember(berth, record).await?;
    Ok(running)
}

async fn checkpoint(berth: &Arc<Berth>, found: &Found) -> Result<()> {
    let password = passwords::of(berth, &found.record, SA).await?;
    let dial = SqlDial {
        link: Arc::clone(&found.link),
        instance: found.record.id.clone(),
    };
    let login = Login {
        user: SA.to_owned(),
        password,
        database: None,
        app: "Berth".into(),
    };
    let work = async {
        let mut connection =
            berth_sql::connect(&dial, &login, Trust::Tunnel, Duration::from_secs(10))
                .await
                .map_err(|e| e.error)?;
        connection.checkpoint_all().await
    };
    tokio::time::timeout(CHECKPOINT, work)
        .await
        .unwrap_or_else(|_| {
            Err(Error::new(
                Code::TimedOut,
                format!("it took longer than {} s", CHECKPOINT.as_secs()),
            ))
        })
}

/// `instance.remove`.
pub(crate) async fn remove(
    berth: &Arc<Berth>,
    request: dto::InstanceRemove,
    _: &Call,
) -> Result<dto::Started> {
    let delete = match request.data.as_deref() {
        None => None,
        Some("keep") => Some(false),
        Some("delete") => Some(true),
        Some(other) => {
            return Err(Error::usage(format!(
                "`{}` says nothing about data",
                other.escape_debug()
            ))
            .hint("Take `keep` or `delete`"));
        }
    };
    operate(
        berth,
        "Remove",
        &request.name,
        move |berth, operation, found| async move {
            if found.record.adopted {
                return operation
                    .phase(
                        "release",
                        format!("Letting `{}` go", found.labels.name),
                        crate::adopt::let_go(
                            &berth,
                            &found.link,
                            &found.container,
                            &found.record,
                            delete,
                        ),
                    )
                    .await;
            }
            if found.labels.data == Data::Throwaway && delete == Some(false) {
                return Err(Error::new(
                    Code::Refused,
                    format!("The data of `{}` cannot be kept", found.labels.name),
                )
                .because("it is inside the container, which is what `--data throwaway` asked for")
                .hint("Leave `--data keep` out to remove both"));
            }
            // What was never finished holds nothing of anyone's, unless its data was there before.
            let delete = delete.unwrap_or(
                found.labels.data == Data::Throwaway
                    || (found.record.unfinished && found.record.fresh_data),
            );
            if !delete {
                bring_down(&berth, &found, &operation).await?;
            }
            let name = found.labels.name.clone();
            operation
                .phase(
                    "remove",
                    format!("Removing the container of `{name}`"),
                    async { found.link.engine.remove(&found.container.id, true).await },
                )
                .await?;
            let mut notes = Vec::new();
            if delete {
                operation
                    .phase("data", format!("Deleting the data of `{name}`"), async {
                        let Some(volume) =
                            instances::data_of(&found.link, &found.labels.id).await?
                        else {
                            return Ok(());
                        };
                        match found.link.engine.remove_volume(&volume.name).await {
                            Err(e) if e.code() != Code::NotFound => Err(e),
                            _ => Ok(()),
                        }
                    })
                    .await?;
                if found.record.password_file.is_none()
                    && found.record.ours
                    && let Err(e) = passwords::forget(&berth, &found.record.id).await
                {
                    notes.push(format!("Its keychain item stayed: {e}"));
                }
                passwords::forget_file(&berth, &found.record).await;
            } else {
                passwords::keep_file(&berth, &found.record).await?;
                let kept = instances::data_of(&found.link, &found.labels.id).await;
                let first = kept
                    .ok()
                    .flatten()
                    .and_then(|v| DataMarker::from_map(|k| v.labels.get(k).map(String::as_str)))
                    .map_or_else(|| name.clone(), |marker| marker.name);
                notes.push(format!(
                    "Its data stays on `{}`; `berth up {name}` takes it up again",
                    found.link.host
                ));
                if first != name {
                    instances::remember_name(&berth, &found.labels.id, &name).await?;
                    notes.push(format!(
                        "Its volume has its first name still: `berth data list` shows it as `{first}`, and on another machine `berth up {first}` takes it up"
                    ));
                }
            }
            berth.endpoints.release(&found.record.id);
            found.link.forget_place(&found.record.id);
            instances::forget(&berth, &found.record.id).await;
            Ok(dto::Outcome {
                instance: None,
                notes,
                changed: true,
            })
        },
    )
    .await
}
