//! Containers that Berth did not make: shown as found, and taken up when somebody says so.
//!
//! Labels belong to a container for its life, so that one was adopted is written on this machine alone; another machine sees it
//! as found. Nothing about the container changes, and Berth never removes it.

use std::{path::PathBuf, sync::Arc};

use berth_core::{
    Code, Error, Result, Secret, found,
    label::{self, Data, Labels},
    name,
};
use berth_engine::{Container, Inspect, RunState};
use berth_sql::Identity;
use berth_store::{InstanceRecord, Instances};

use crate::{
    Berth,
    databases::as_sa,
    dto, endpoints, hosts, instances,
    link::Link,
    logins::SA,
    make,
    operations::Operation,
    passwords::{self, Passwords},
    table::Call,
};

/// The variables by which an image is told its password, the newer one first.
const TOLD: [&str; 2] = ["MSSQL_SA_PASSWORD", "SA_PASSWORD"];

/// What the labels of an adopted container would say, if it had any.
pub(crate) fn labels_of(record: &InstanceRecord) -> Labels {
    Labels {
        id: record.id.clone(),
        name: record.name.clone(),
        recipe: record.recipe.clone(),
        version: record.version.clone(),
        edition: record.edition.clone(),
        owner: record.owner.clone(),
        port: record.port,
        data: Data::from_name(&record.data).unwrap_or_default(),
        database: record.database.clone(),
        memory: record.memory,
        collation: None,
        lease: None,
    }
}

/// What is found on a host: it looks like SQL Server, Berth did not make it, and it was not adopted here.
pub(crate) fn found_among(
    host: &str,
    containers: &[Container],
    known: &Instances,
) -> Vec<dto::FoundView> {
    let mut all: Vec<_> = containers
        .iter()
        .filter(|c| is_found(c) && known.get(&c.id).is_none())
        .map(|c| dto::FoundView {
            host: host.to_owned(),
            container: c.id.clone(),
            name: c.name.clone(),
            image: c.image.clone(),
            state: instances::state_of(c).as_str().to_owned(),
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn is_found(container: &Container) -> bool {
    !container.labels.contains_key(label::ID)
        && found::looks_like_sql_server(
            &container.image,
            |key| container.labels.get(key).map(String::as_str),
            container.ports.iter().map(|p| p.container),
        )
}

/// `instance.adopt`. The password of `sa` may come beside the body, as `password`.
pub(crate) async fn adopt(
    berth: &Arc<Berth>,
    request: dto::Adopt,
    call: &Call,
) -> Result<dto::Started> {
    let host = match request.host.clone() {
        Some(host) => host,
        None => hosts::default(berth).await?,
    };
    if host != berth_core::host::PRACTICE {
        hosts::find(&berth.hosts().await?, &host)?;
    }
    if let Some(name) = &request.name {
        name::check("an instance", name)?;
    }
    let given = match (&request.password_file, call.secret("password")) {
        (Some(file), _) => Some(passwords::from_file(PathBuf::from(file)).await?),
        (None, given) => given,
    };
    let worker = Arc::clone(berth);
    berth.operations.start(
        berth,
        "adopt",
        format!("Adopt `{}` on `{host}`", request.container),
        &format!("{host}/{}", request.container),
        move |operation| async move { Box::pin(run(worker, host, request, given, operation)).await },
    )
}

async fn run(
    berth: Arc<Berth>,
    host: String,
    request: dto::Adopt,
    given: Option<Secret>,
    operation: Arc<Operation>,
) -> Result<dto::Outcome> {
    let (link, about, mut record, again) = operation
        .phase(
            "plan",
            format!("Looking at `{host}`"),
            plan(&berth, &host, &request),
        )
        .await?;
    let mut notes = Vec::new();
    if request.password_file.is_some() {
        record.password_file = request.password_file;
    } else if given.is_some() {
        record.password_file = None;
    }
    let (password, proved) = operation
        .phase("password", "Looking for its password", async {
            prove(&berth, &link, &about, &record, given, &mut notes).await
        })
        .await?;
    record.ours = password.is_some();
    if let Some(identity) = &proved {
        if let Some(year) = make::year(identity.major) {
            record.version = year.to_string();
        }
        record.edition = identity
            .edition
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
    }
    if let Some(file) = &record.password_file {
        notes.extend(passwords::open_to_others(PathBuf::from(file)).await);
    }
    if about.memory.is_none() {
        notes.push("Its memory is not limited, so what it may take is not known".to_owned());
    }
    operation
        .phase(
            "endpoint",
            format!("Opening {}:{}", record.endpoint_host(), record.port),
            async {
                // Before its password, so that no keychain item is without a record that leads to it.
                instances::remember(&berth, record.clone()).await?;
                if let (Some(password), None) = (password, &record.password_file)
                    && let Err(e) = keep(&berth, &record.id, password).await
                {
                    if !again {
                        instances::forget(&berth, &record.id).await;
                    }
                    return Err(e);
                }
                endpoints::hold(&berth, &record).await;
                Ok(())
            },
        )
        .await?;
    notes.push(
        "Its labels cannot be changed, so only this machine knows that it was adopted; Berth never removes its container"
            .to_owned(),
    );
    let instance = instances::view_now(&berth, &link, &record.id).await?;
    Ok(dto::Outcome {
        instance: Some(instance),
        notes,
        changed: !again,
    })
}

/// Finds the container and settles name and port. Says whether it was adopted before.
async fn plan(
    berth: &Arc<Berth>,
    host: &str,
    request: &dto::Adopt,
) -> Result<(Arc<Link>, Inspect, InstanceRecord, bool)> {
    let link = berth.links.get(berth, host).await?;
    let containers = hosts::on(host, link.engine.containers(None).await)?;
    let container = pick(host, &containers, &request.container)?;
    if container.labels.contains_key(label::ID) {
        return Err(Error::new(
            Code::Refused,
            format!("`{}` is an instance of Berth's already", container.name),
        )
        .hint("`berth list` shows it"));
    }
    let about = link.engine.inspect(&container.id).await?;
    let known = berth.store(|f| f.read::<Instances>()).await?;
    let before = known.get(&container.id).cloned();
    let again = before.is_some();
    let mut record = before.unwrap_or_else(|| InstanceRecord {
        id: container.id.clone(),
        name: found::name_from(&container.name),
        recipe: "adopted".to_owned(),
        version: "?".to_owned(),
        login: SA.to_owned(),
        adopted: true,
        ..InstanceRecord::default()
    });
    host.clone_into(&mut record.host);
    record.container.clone_from(&container.id);
    record.image.clone_from(&container.image);
    record.memory = about.memory.unwrap_or(0);
    record.direct = link.publishes();
    record.published_on = link.published_on();
    // Data that is mounted outlives the container; what is not is inside it.
    let data = if about.mounts.is_empty() {
        Data::Throwaway
    } else {
        Data::Keep
    };
    data.as_str().clone_into(&mut record.data);
    if let Some(name) = &request.name {
        record.name.clone_from(name);
    }
    let labelled = |c: &Container| {
        Labels::from_map(|k| c.labels.get(k).map(String::as_str)).map(|l| (l.name, l.id))
    };
    let taken = containers
        .iter()
        .filter_map(labelled)
        .chain(
            known
                .instances
                .iter()
                .filter(|r| r.host == host)
                .map(|r| (r.name.clone(), r.id.clone())),
        )
        .any(|(name, id)| name == record.name && id != record.id);
    if taken {
        return Err(Error::new(
            Code::Refused,
            format!("`{host}` has an instance called `{}` already", record.name),
        )
        .hint("Give it another name with `--name`"));
    }
    if link.publishes() {
        record.port = published_port(container).or(published_by(&about)).ok_or_else(|| {
            Error::new(
                Code::Refused,
                format!("`{}` cannot be reached from here", container.name),
            )
            .because("its port 1433 is published on no port of its host")
            .hint("Start it anew with `-p 127.0.0.1:14330:1433`, or add its host over SSH: there Berth reaches it without a published port")
        })?;
    } else if record.port == 0 {
        let mut others = known.instances;
        for (labels, image) in containers.iter().filter_map(|c| {
            Labels::from_map(|k| c.labels.get(k).map(String::as_str)).map(|l| (l, &c.image))
        }) {
            if !others.iter().any(|r| r.id == labels.id) {
                others.push(instances::record_of(&labels, host, image));
            }
        }
        let reserved = endpoints::reserve(berth, None, &others).await?;
        record.port = reserved.port;
    }
    Ok((link, about, record, again))
}

/// The port of the host at which the engine publishes a container's 1433, while it runs.
pub(crate) fn published_port(container: &Container) -> Option<u16> {
    let there = container.ports.iter().find(|p| p.container == 1433)?;
    there.host.map(|(_, port)| port)
}

fn published_by(about: &Inspect) -> Option<u16> {
    let there = about
        .ports
        .iter()
        .find(|p| p.container == 1433 && p.host.is_some())?;
    there.host.map(|(_, port)| port).filter(|port| *port != 0)
}

/// The container that somebody means: its name, or the beginning of its id.
fn pick<'a>(host: &str, containers: &'a [Container], wanted: &str) -> Result<&'a Container> {
    let by_name = containers.iter().find(|c| c.name == wanted);
    let mut by_id = containers
        .iter()
        .filter(|c| wanted.len() >= 4 && c.id.starts_with(wanted));
    match (by_name, by_id.next(), by_id.next()) {
        (Some(container), _, _) | (None, Some(container), None) => Ok(container),
        (None, Some(_), Some(_)) => Err(Error::usage(format!(
            "Several containers on `{host}` have an id that begins with `{}`",
            wanted.escape_debug()
        ))
        .hint("Give more of it, or the name")),
        (None, None, _) => {
            let mut e = Error::not_found(format!(
                "`{host}` has no container `{}`",
                wanted.escape_debug()
            ));
            let names: Vec<_> = containers
                .iter()
                .filter(|c| is_found(c))
                .map(|c| format!("`{}`", c.name))
                .collect();
            if !names.is_empty() {
                e = e.because(format!(
                    "what looks like SQL Server there: {}",
                    names.join(", ")
                ));
            }
            Err(e.hint("`berth list` shows what is found, with its name"))
        }
    }
}

/// Finds a password that opens it: the one given, the one known here, the one that its environment shows.
async fn prove(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    about: &Inspect,
    record: &InstanceRecord,
    given: Option<Secret>,
    notes: &mut Vec<String>,
) -> Result<(Option<Secret>, Option<Identity>)> {
    let running = about.state.status == RunState::Running;
    let shown = TOLD
        .iter()
        .find_map(|key| about.env.iter().find(|(k, _)| k == key))
        .map(|(_, value)| value.clone());
    let known = match (&given, &record.password_file) {
        (None, Some(_)) => passwords::of(berth, record, SA).await.ok(),
        (None, None) => passwords::find(berth, &record.id)
            .await
            .ok()
            .flatten()
            .and_then(|p| p.get(SA).cloned()),
        _ => None,
    };
    let is_given = given.is_some();
    let wanted: Vec<(Secret, bool)> = match given {
        Some(given) => vec![(given, false)],
        None => known
            .map(|p| (p, false))
            .into_iter()
            .chain(shown.map(|p| (p, true)))
            .collect(),
    };
    let mut identity = None;
    let mut opens = None;
    let mut refused = None;
    for (password, in_environment) in wanted {
        if !running {
            opens = Some((password, in_environment));
            break;
        }
        match as_sa(link, record, password.clone()).await {
            Ok(mut connection) => {
                identity = connection.identity().await.ok();
                connection.close().await;
                opens = Some((password, in_environment));
                break;
            }
            Err(e) if is_given => return Err(e),
            Err(e) => refused = Some(e),
        }
    }
    let name = record.name.clone();
    if !running {
        notes.push(format!(
            "`{name}` is not running: whether its password opens it, and which version it is, is not known"
        ));
    }
    let Some((password, in_environment)) = opens else {
        notes.push(match refused {
            Some(e) => {
                format!("Its password is not known here, and so not its version and edition: {e}")
            }
            None => "Its password is not known here, and so not its version and edition".to_owned(),
        });
        notes.push(format!(
            "Give it with `berth adopt {} --password-file FILE`; until then it can be started, stopped and its log read",
            about.name
        ));
        return Ok((None, None));
    };
    if in_environment {
        notes.push(format!(
            "Its password is the one that `docker inspect` shows to everybody on its host: `berth reset-password {name}` gives it another"
        ));
    }
    Ok((Some(password), identity))
}

async fn keep(berth: &Berth, id: &str, password: Secret) -> Result<()> {
    let mut all: Passwords = passwords::find(berth, id).await?.unwrap_or_default();
    all.set(SA, password);
    passwords::store(berth, id, &all).await
}

/// Lets an adopted instance go: its container stays as it is.
pub(crate) async fn let_go(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    container: &Container,
    record: &InstanceRecord,
    delete: Option<bool>,
) -> Result<dto::Outcome> {
    if delete == Some(true) {
        return Err(Error::new(
            Code::Refused,
            format!("The data of `{}` is not Berth's to delete", record.name),
        )
        .because("Berth did not make its container")
        .hint("Leave `--data delete` out to let it go; remove it with what made it, for instance `docker rm`"));
    }
    let view = instances::view_now(berth, link, &record.id).await?;
    let mut notes = vec![format!(
        "Its container `{}` stays on `{}` as it is: Berth did not make it",
        container.name, link.host
    )];
    if record.password_file.is_none()
        && let Err(e) = passwords::forget(berth, &record.id).await
    {
        notes.push(format!("Its keychain item stayed: {e}"));
    }
    berth.endpoints.release(&record.id);
    link.forget_place(&record.id);
    instances::forget(berth, &record.id).await;
    Ok(dto::Outcome {
        instance: Some(view),
        notes,
        changed: true,
    })
}
