//! `up`: from a wish to an instance that is ready, with its string.
//!
//! Plan, image, credentials, container, ready, password, endpoint. Each phase can fail or be cancelled;
//! what a broken one leaves is either taken away at once or is listed as unfinished, for `up` to finish or `remove` to take away.

use std::{path::PathBuf, sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result,
    host::Os,
    instance::{self, PREFIX, Wish},
    label::{self, Data, DataMarker, Labels},
    name::{self, InstanceName},
    recipe::{self, Edition, Recipe},
    size,
};
use berth_store::{Instances, Settings};

use crate::{
    Berth,
    berth::now,
    dto,
    endpoints::{self, Reserved},
    instances, lease,
    life::bring_up,
    link::Link,
    logins::{app_login, was_cut_off},
    make::{self, Made, make},
    operations::Operation,
    passwords,
    table::Call,
};

/// Until it must be ready, where nobody says.
const DEFAULT_LIMIT: Duration = Duration::from_secs(300);
/// How long cleaning up after a cancel may take.
const CLEAN_UP: Duration = Duration::from_secs(90);
/// A wish that was checked, as far as that goes without reaching anything.
#[derive(Clone)]
pub(crate) struct Wanted {
    name: Option<String>,
    host: String,
    wish: Wish,
    version: Option<u16>,
    edition: Option<Edition>,
    accept_eula: bool,
    pub(crate) limit: Duration,
    pub(crate) password_file: Option<PathBuf>,
    /// Berth made it just now, because no keychain answers.
    pub(crate) file_is_ours: bool,
    pub(crate) lease: Option<Term>,
    pub(crate) init: Option<String>,
}

/// How long a private instance lasts, and the id that its lease knows it by.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) id: String,
    pub(crate) seconds: u64,
}

impl Wanted {
    async fn check(berth: &Berth, request: dto::Up) -> Result<Self> {
        let mut host = request.host;
        let name = match &request.name {
            None => None,
            Some(text) => {
                let read = InstanceName::parse(text)?;
                match (&host, read.host) {
                    (Some(said), Some(named)) if *said != named => {
                        return Err(Error::usage(format!(
                            "`{text}` is on `{named}`, and `--host` says `{said}`"
                        )));
                    }
                    (None, Some(named)) => host = Some(named),
                    _ => {}
                }
                Some(read.name)
            }
        };
        let version = request
            .version
            .as_deref()
            .map(recipe::parse_version)
            .transpose()?;
        let edition = request.edition.as_deref().map(Edition::parse).transpose()?;
        let memory = request.memory.as_deref().map(size::parse).transpose()?;
        let data = match request.data.as_deref() {
            None => None,
            Some(text) => Some(Data::from_name(text).ok_or_else(|| {
                Error::usage(format!("`{}` says nothing about data", text.escape_debug()))
                    .hint("Take `keep` or `throwaway`")
            })?),
        };
        if request.port == Some(0) {
            return Err(Error::usage("Port 0 is no port")
                .hint("Take one from 1024 to 65535, or leave `--port` out"));
        }
        if let Some(database) = &request.database {
            name::check_sql("a database", database)?;
            name::check_sql("a login", &app_login(database))?;
            if ["master", "model", "msdb", "tempdb"]
                .iter()
                .any(|s| s.eq_ignore_ascii_case(database))
            {
                return Err(Error::usage(format!("`{database}` is a system database"))
                    .hint("Take another name"));
            }
        }
        if let Some(collation) = &request.collation
            && (collation.is_empty()
                || collation.len() > 128
                || !collation
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_'))
        {
            return Err(
                Error::usage(format!("`{}` is no collation", collation.escape_debug()))
                    .hint("For instance `Latin1_General_100_CI_AS_SC_UTF8`"),
            );
        }
        let mut password_file = request.password_file.map(PathBuf::from);
        if let Some(file) = &password_file {
            passwords::from_file(file.clone()).await?;
        }
        let host = match host {
            Some(host) => host,
            None => crate::hosts::default(berth).await?,
        };
        if host != berth_core::host::PRACTICE {
            let hosts = berth.hosts().await?;
            crate::hosts::find(&hosts, &host)?;
        }
        let mut file_is_ours = false;
        if request.file_without_keychain && password_file.is_none() {
            let there = match &name {
                Some(name) => berth
                    .store(|f| f.read::<Instances>())
                    .await?
                    .instances
                    .iter()
                    .any(|r| r.host == host && r.name == *name),
                None => false,
            };
            if !there {
                password_file = passwords::file_without_keychain(berth).await?;
                file_is_ours = password_file.is_some();
            }
        }
        Ok(Self {
            name,
            host,
            version,
            edition,
            accept_eula: request.accept_eula,
            limit: request.timeout.map_or(DEFAULT_LIMIT, Duration::from_secs),
            password_file,
            file_is_ours,
            lease: None,
            init: request.init,
            wish: Wish {
                version,
                edition: edition.map(|e| e.as_str().to_owned()),
                image: request.image,
                memory,
                port: request.port,
                data,
                database: request.database,
                collation: request.collation,
            },
        })
    }
}

/// `instance.up`.
pub(crate) async fn start(berth: &Arc<Berth>, request: dto::Up, _: &Call) -> Result<dto::Started> {
    let wanted = Wanted::check(berth, request).await?;
    begin(berth, wanted)
}

/// The wish for an instance that ends by itself, and where it will be: `HOST/NAME`. For [`begin`].
pub(crate) async fn check_leased(
    berth: &Arc<Berth>,
    request: dto::Up,
    term: Term,
) -> Result<(String, Wanted)> {
    let mut wanted = Wanted::check(berth, request).await?;
    let name: String = term.id.chars().take(8).collect();
    let name = format!("run-{name}");
    let subject = format!("{}/{name}", wanted.host);
    wanted.name = Some(name);
    wanted.wish.data = Some(Data::Throwaway);
    wanted.lease = Some(term);
    Ok((subject, wanted))
}

/// Starts the operation of a wish.
pub(crate) fn begin(berth: &Arc<Berth>, wanted: Wanted) -> Result<dto::Started> {
    let subject = match &wanted.name {
        Some(name) => format!("{}/{name}", wanted.host),
        None => format!("{}/{}", wanted.host, uuid::Uuid::new_v4()),
    };
    let title = match &wanted.name {
        Some(name) => format!("Bring up `{name}` on `{}`", wanted.host),
        None => format!("Bring up a new instance on `{}`", wanted.host),
    };
    let worker = Arc::clone(berth);
    berth
        .operations
        .start(berth, "up", title, &subject, move |operation| async move {
            Box::pin(up(worker, wanted, operation)).await
        })
}

async fn up(berth: Arc<Berth>, wanted: Wanted, operation: Arc<Operation>) -> Result<dto::Outcome> {
    let plan = operation
        .phase(
            "plan",
            format!("Looking at `{}`", wanted.host),
            plan(&berth, &wanted, &operation),
        )
        .await?;
    match plan {
        Plan::There {
            link,
            container,
            labels,
        } => {
            let before = (*container).clone();
            let taken = Box::pin(take_up(
                &berth, &link, *container, &labels, &wanted, &operation,
            ))
            .await;
            let (mut outcome, looked_at) = match taken {
                Err(e) if never_had_a_password(&berth, &labels.id, &e).await => {
                    return Box::pin(make_anew(
                        &berth, &link, &before, &labels, &wanted, &operation,
                    ))
                    .await;
                }
                taken => taken?,
            };
            if let Some(file) = &wanted.password_file
                && !looked_at
            {
                outcome.notes.push(format!(
                    "It is there already: `{}` was not looked at",
                    file.display()
                ));
            }
            if wanted.init.is_some() {
                outcome
                    .notes
                    .push("It is there already: `--init` was not run".into());
            }
            Ok(outcome)
        }
        Plan::New(new) => {
            let mut made = Made::default();
            match Box::pin(make(&berth, *new, &wanted, &operation, &mut made)).await {
                Ok(mut outcome) => {
                    if let Some(file) = &wanted.password_file {
                        (outcome.notes).extend(passwords::open_to_others(file.clone()).await);
                    }
                    Ok(outcome)
                }
                Err(e) => {
                    let left = tokio::time::timeout(CLEAN_UP, made.clean_up(&berth, &e)).await;
                    if left.is_err() {
                        return Err(e.hint(format!(
                            "Cleaning up took longer than {} s; `berth list` shows what is left",
                            CLEAN_UP.as_secs()
                        )));
                    }
                    Err(e)
                }
            }
        }
    }
}

enum Plan {
    There {
        link: Arc<Link>,
        container: Box<berth_engine::Container>,
        labels: Box<Labels>,
    },
    New(Box<New>),
}

pub(crate) struct New {
    pub(crate) link: Arc<Link>,
    pub(crate) labels: Labels,
    pub(crate) recipe: Recipe,
    pub(crate) reserved: Reserved,
    /// Kept data of an earlier instance of this name.
    pub(crate) kept: Option<DataMarker>,
    /// The volume that holds it: an instance that was renamed has one of its first name.
    pub(crate) volume: Option<String>,
}

async fn plan(berth: &Arc<Berth>, wanted: &Wanted, operation: &Arc<Operation>) -> Result<Plan> {
    let link = berth.links.get(berth, &wanted.host).await?;
    let containers = crate::hosts::on(&wanted.host, link.engine.containers(None).await)?;
    let remembered = berth.store(|f| f.read::<Instances>()).await?;
    let ours = |name: &str| {
        containers.iter().find_map(|c| {
            let labels = instances::labels_of(c, &remembered)?;
            (labels.name == name).then(|| (c.clone(), labels))
        })
    };
    if let Some(name) = &wanted.name
        && let Some((container, labels)) = ours(name)
    {
        instance::check_same(&wanted.wish, &labels, &container.image)?;
        return Ok(Plan::There {
            link,
            container: Box::new(container),
            labels: Box::new(labels),
        });
    }
    let info = if link.os == Os::Windows || wanted.lease.is_some() {
        Some(link.engine.info().await?)
    } else {
        None
    };
    let build = info
        .as_ref()
        .filter(|_| link.os == Os::Windows)
        .and_then(|i| i.os_version.split('.').nth(2)?.parse().ok());
    let lease = wanted.lease.as_ref().map(|term| {
        lease::sweep(berth, &link, &containers);
        let now = info.as_ref().map_or_else(lease::now, lease::clock_of);
        now.saturating_add(i64::try_from(term.seconds).unwrap_or(i64::MAX))
    });
    let recipe = Recipe::choose(
        link.os,
        build,
        wanted.version,
        wanted.edition,
        wanted.wish.image.as_deref(),
        wanted.wish.collation.as_deref(),
    )?;
    let memory = wanted
        .wish
        .memory
        .unwrap_or_else(|| recipe.default_memory());
    recipe.check_memory(memory)?;
    accept_eula(berth, &wanted.host, wanted.accept_eula).await?;

    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => name::first_free(&recipe.base_name(), |candidate| {
            containers
                .iter()
                .any(|c| c.name == format!("{PREFIX}{candidate}"))
                || ours(candidate).is_some()
                || !berth
                    .operations
                    .claim(operation, &format!("{}/{candidate}", wanted.host))
        }),
    };
    if let Some(other) = containers
        .iter()
        .find(|c| c.name == format!("{PREFIX}{name}"))
    {
        return Err(Error::new(
            Code::Refused,
            format!(
                "`{}` has a container called `{}` already",
                wanted.host, other.name
            ),
        )
        .because("it carries no label of Berth's")
        .hint("Take another name"));
    }
    let data = wanted.wish.data.unwrap_or_default();
    let used = |id: &str| {
        containers
            .iter()
            .any(|c| c.labels.get(label::ID).is_some_and(|i| i == id))
    };
    let (kept, volume) = match data {
        Data::Throwaway => None,
        Data::Keep => {
            let kept: Vec<_> = link
                .engine
                .volumes(Some(label::ID))
                .await?
                .into_iter()
                .filter_map(|v| {
                    let marker = DataMarker::from_map(|k| v.labels.get(k).map(String::as_str))?;
                    Some((marker, v.name))
                })
                // Of an instance that was renamed: it has its data still.
                .filter(|(marker, _)| !used(&marker.id))
                .collect();
            // What it was called last, where it was renamed here; else what its volume says.
            let last = |(marker, _): &&(DataMarker, String)| {
                remembered.last_names.get(&marker.id) == Some(&name)
            };
            let first = |(marker, _): &&(DataMarker, String)| marker.name == name;
            kept.iter()
                .find(last)
                .or_else(|| kept.iter().find(first))
                .cloned()
        }
    }
    .unzip();
    if let Some(kept) = &kept {
        instance::check_data_version(&name, &kept.version, recipe.version)?;
    }
    let mut known = berth.store(|f| f.read::<Instances>()).await?.instances;
    // What this host does not have any more holds no port, unless another operation is just making it.
    if berth.operations_under_way() <= 1 {
        known.retain(|r| {
            r.host != wanted.host
                || containers
                    .iter()
                    .any(|c| c.id == r.id || c.labels.get(label::ID) == Some(&r.id))
        });
    }
    // Of the instances on this host also those that this machine never listed: no two may claim one port.
    for container in &containers {
        if let Some(labels) = Labels::from_map(|k| container.labels.get(k).map(String::as_str))
            && !known.iter().any(|r| r.id == labels.id)
        {
            known.push(instances::record_of(
                &labels,
                &wanted.host,
                &container.image,
            ));
        }
    }
    let reserved = endpoints::reserve(berth, wanted.wish.port, &known).await?;
    let labels = Labels {
        id: match (&kept, &wanted.lease) {
            (Some(kept), _) => kept.id.clone(),
            (None, Some(term)) => term.id.clone(),
            (None, None) => uuid::Uuid::new_v4().to_string(),
        },
        name,
        recipe: recipe.id.to_owned(),
        version: recipe
            .version
            .map_or_else(|| "?".to_owned(), |v| v.to_string()),
        edition: recipe.edition.as_str().to_owned(),
        owner: berth.owner(),
        port: reserved.port,
        data,
        // Whoever takes data up again means what is in it.
        database: wanted
            .wish
            .database
            .clone()
            .or_else(|| kept.as_ref()?.database.clone()),
        memory,
        collation: wanted.wish.collation.clone(),
        lease,
    };
    Ok(Plan::New(Box::new(New {
        link,
        labels,
        recipe,
        reserved,
        kept,
        volume,
    })))
}

/// The licence is accepted once on a machine, by a word that names it. The practice host holds nothing of Microsoft's.
async fn accept_eula(berth: &Berth, host: &str, accepted_now: bool) -> Result<()> {
    if host == berth_core::host::PRACTICE {
        return Ok(());
    }
    let settings = berth.settings().await?;
    if settings.licences.contains_key("sql-server") {
        return Ok(());
    }
    if !accepted_now {
        return Err(Error::new(
            Code::Refused,
            "SQL Server's licence terms are not accepted yet",
        )
        .because(format!(
            "an instance may only be made by someone who accepts {}",
            recipe::EULA
        ))
        .detail("eula", recipe::EULA)
        .hint("Read them and run this again with `--accept-eula`; it is asked once"));
    }
    berth
        .store(|f| {
            f.update::<Settings, _>(|s| {
                s.licences.insert("sql-server".into(), now());
                Ok(())
            })
        })
        .await
}

/// What a first start that was cut off leaves behind: a server that refuses every password because it has none yet, a volume
/// that the engine was still preparing, system databases that were still being written.
const CUT_OFF: [&str; 5] = [
    "login_refused",
    "data_not_writable",
    "seeding",
    "corrupt",
    "system_database",
];

/// Whether a server does not come up because its first start was cut off before it had a password: it was made here, never was
/// finished, and the keychain says that its password was never proved. Then nobody ever was let in, and it holds nothing.
async fn never_had_a_password(berth: &Berth, id: &str, e: &Error) -> bool {
    if !e.get_detail("cause").is_some_and(|c| CUT_OFF.contains(&c)) {
        return false;
    }
    let Ok(known) = berth.store(|f| f.read::<Instances>()).await else {
        return false;
    };
    match known.get(id) {
        Some(record) if record.unfinished && record.fresh_data && record.ours => {
            was_cut_off(berth, record).await.unwrap_or(false)
        }
        _ => false,
    }
}

/// Takes away what [`never_had_a_password`], and makes it again.
async fn make_anew(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    container: &berth_engine::Container,
    labels: &Labels,
    wanted: &Wanted,
    operation: &Arc<Operation>,
) -> Result<dto::Outcome> {
    operation
        .phase(
            "remove",
            format!(
                "Taking away `{}`, whose first start was cut off",
                labels.name
            ),
            async {
                link.engine.remove(&container.id, true).await?;
                if let Some(volume) = instances::data_of(link, &labels.id).await? {
                    link.engine.remove_volume(&volume.name).await?;
                }
                berth.endpoints.release(&labels.id);
                link.forget_place(&labels.id);
                passwords::forget(berth, &labels.id).await?;
                instances::forget(berth, &labels.id).await;
                Ok(())
            },
        )
        .await?;
    // As it was asked for then, where nobody says otherwise now.
    let mut again = wanted.clone();
    again.name = Some(labels.name.clone());
    if !["windows", "linux"].contains(&labels.recipe.as_str()) {
        again.wish.image = Some(container.image.clone());
    }
    again.wish.port = again.wish.port.or(Some(labels.port));
    again.wish.memory = again.wish.memory.or(Some(labels.memory));
    again.wish.data = again.wish.data.or(Some(labels.data));
    again.wish.database = again.wish.database.or_else(|| labels.database.clone());
    again.wish.collation = again.wish.collation.or_else(|| labels.collation.clone());
    again.version = again.version.or_else(|| labels.version.parse().ok());
    again.edition = again
        .edition
        .or_else(|| Edition::parse(&labels.edition).ok());
    let Plan::New(new) = plan(berth, &again, operation).await? else {
        return Err(Error::failed(format!(
            "`{}` is there again: somebody else made it meanwhile",
            labels.name
        )));
    };
    let mut made = Made::default();
    match Box::pin(make(berth, *new, &again, operation, &mut made)).await {
        Ok(mut outcome) => {
            outcome.notes.push(
                "Its first start was cut off before it had a password: it held nothing, and was made anew"
                    .to_owned(),
            );
            Ok(outcome)
        }
        Err(e) => {
            let _ = tokio::time::timeout(CLEAN_UP, made.clean_up(berth, &e)).await;
            Err(e)
        }
    }
}

/// Where a making was cut off and another password file is given now, that one counts from here on. Says what `sa` may have
/// instead, and whether the file was taken.
async fn other_file(
    berth: &Berth,
    id: &str,
    wanted: &Wanted,
) -> Result<(Option<berth_core::Secret>, bool)> {
    let Some(file) = &wanted.password_file else {
        return Ok((None, false));
    };
    let file = file.to_string_lossy().into_owned();
    let known = berth.store(|f| f.read::<Instances>()).await?;
    let Some(mut record) = known
        .get(id)
        .filter(|r| r.unfinished && r.password_file.is_some())
        .cloned()
    else {
        return Ok((None, false));
    };
    let before = record.password_file.replace(file.clone());
    if before.as_ref() == Some(&file) {
        return Ok((None, true));
    }
    instances::remember(berth, record.clone()).await?;
    // Data that was there before never took anything from a file.
    let before = match before.filter(|_| record.fresh_data) {
        Some(before) => passwords::from_file(before.into()).await.ok(),
        None => None,
    };
    Ok((before, true))
}

/// An instance that is there: started if needed, finished if its making was cut off, and its endpoint opened. Says whether a
/// password file was looked at.
async fn take_up(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    container: berth_engine::Container,
    labels: &Labels,
    wanted: &Wanted,
    operation: &Arc<Operation>,
) -> Result<(dto::Outcome, bool)> {
    let (before, looked_at) = other_file(berth, &labels.id, wanted).await?;
    let changed = Box::pin(bring_up(
        berth,
        link,
        &container.id,
        labels,
        wanted.limit,
        operation,
        before.as_slice(),
    ))
    .await?;
    let instance = instances::view_now(berth, link, &labels.id).await?;
    let outcome = dto::Outcome {
        instance: Some(instance),
        notes: make::practice_note(&link.host).into_iter().collect(),
        changed,
    };
    Ok((outcome, looked_at))
}
