//! `up`: from a wish to an instance that is ready, with its string.
//!
//! Plan, image, credentials, container, ready, password, endpoint. Each phase can fail or be cancelled;
//! what a broken one leaves is either taken away at once or is listed as unfinished, for `up` to finish or `remove` to take away.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result, ResultExt, Secret,
    host::Os,
    instance::{self, PREFIX, Wish},
    label::{self, Data, DataMarker, Labels},
    name::{self, InstanceName},
    recipe::{self, Edition, Recipe, Rules},
    secret::ExposeSecret,
    size,
};
use berth_engine::{ContainerSpec, Input, Isolation, Mount, MountKind, Publish, RestartPolicy};
use berth_sql::{Login, Trust};
use berth_store::{InstanceRecord, Instances, Settings};
use futures_util::StreamExt;

use crate::{
    Berth,
    berth::now,
    dto,
    endpoints::{self, Reserved},
    instances,
    link::{Link, SqlDial},
    operations::Operation,
    passwords::{self, Passwords},
    ready::Wait,
    table::Call,
};

/// The login that every SQL Server has.
pub(crate) const SA: &str = "sa";
/// How a throw-away password is named beside the real one in the keychain, while it still opens something.
const BOOTSTRAP: &str = "(first start)";
/// Until it must be ready, where nobody says.
const DEFAULT_LIMIT: Duration = Duration::from_secs(300);
/// How long cleaning up after a cancel may take.
const CLEAN_UP: Duration = Duration::from_secs(90);
/// Without a word from a pull for so long, it is given up.
const PULL_SILENCE: Duration = Duration::from_secs(60);
/// The password enters a container of Berth's Windows recipe by this command's standard input.
const SET_SA: [&str; 7] = [
    "powershell",
    "-NoProfile",
    "-NonInteractive",
    "-ExecutionPolicy",
    "Bypass",
    "-File",
    r"C:\berth\set-sa.ps1",
];

/// A wish that was checked, as far as that goes without reaching anything.
struct Wanted {
    name: Option<String>,
    host: String,
    wish: Wish,
    version: Option<u16>,
    edition: Option<Edition>,
    accept_eula: bool,
    limit: Duration,
    password_file: Option<PathBuf>,
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
        let password_file = request.password_file.map(PathBuf::from);
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
        Ok(Self {
            name,
            host,
            version,
            edition,
            accept_eula: request.accept_eula,
            limit: request.timeout.map_or(DEFAULT_LIMIT, Duration::from_secs),
            password_file,
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

/// The login that owns a database and nothing else.
pub(crate) fn app_login(database: &str) -> String {
    format!("{database}_app")
}

/// `instance.up`.
pub(crate) async fn start(berth: &Arc<Berth>, request: dto::Up, _: &Call) -> Result<dto::Started> {
    let wanted = Wanted::check(berth, request).await?;
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
        .start(berth, title, &subject, move |operation| async move {
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
            let mut outcome = Box::pin(take_up(
                &berth, &link, *container, &labels, &wanted, &operation,
            ))
            .await?;
            if let Some(file) = &wanted.password_file {
                outcome.notes.push(format!(
                    "It is there already: `{}` was not looked at",
                    file.display()
                ));
            }
            Ok(outcome)
        }
        Plan::New(new) => {
            let mut made = Made::default();
            match Box::pin(make(&berth, *new, &wanted, &operation, &mut made)).await {
                Ok(outcome) => Ok(outcome),
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

struct New {
    link: Arc<Link>,
    labels: Labels,
    recipe: Recipe,
    reserved: Reserved,
    /// Kept data of an earlier instance of this name.
    kept: Option<DataMarker>,
}

async fn plan(berth: &Arc<Berth>, wanted: &Wanted, operation: &Arc<Operation>) -> Result<Plan> {
    let link = berth.links.get(berth, &wanted.host).await?;
    let containers = crate::hosts::on(&wanted.host, link.engine.containers(None).await)?;
    let ours = |name: &str| {
        containers.iter().find_map(|c| {
            let labels = Labels::from_map(|k| c.labels.get(k).map(String::as_str))?;
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
    let build = match link.os {
        Os::Windows => link
            .engine
            .info()
            .await?
            .os_version
            .split('.')
            .nth(2)
            .and_then(|b| b.parse().ok()),
        Os::Linux => None,
    };
    let recipe = Recipe::choose(
        link.os,
        build,
        wanted.version,
        wanted.edition,
        wanted.wish.image.as_deref(),
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
    let kept = match data {
        Data::Throwaway => None,
        Data::Keep => link
            .engine
            .volumes(Some(label::ID))
            .await?
            .into_iter()
            .filter(|v| v.name == format!("{PREFIX}{name}"))
            .find_map(|v| DataMarker::from_map(|k| v.labels.get(k).map(String::as_str))),
    };
    if let Some(kept) = &kept {
        instance::check_data_version(&name, &kept.version, recipe.version)?;
    }
    let known = berth.store(|f| f.read::<Instances>()).await?.instances;
    let reserved = endpoints::reserve(berth, wanted.wish.port, &known).await?;
    let labels = Labels {
        id: kept
            .as_ref()
            .map_or_else(|| uuid::Uuid::new_v4().to_string(), |k| k.id.clone()),
        name,
        recipe: recipe.id.to_owned(),
        version: recipe
            .version
            .map_or_else(|| "?".to_owned(), |v| v.to_string()),
        edition: recipe.edition.as_str().to_owned(),
        owner: berth.owner(),
        port: reserved.port,
        data,
        database: wanted.wish.database.clone(),
        memory,
        collation: wanted.wish.collation.clone(),
    };
    Ok(Plan::New(Box::new(New {
        link,
        labels,
        recipe,
        reserved,
        kept,
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

/// What a broken `up` has made so far.
#[derive(Default)]
struct Made {
    link: Option<Arc<Link>>,
    id: String,
    container: Option<String>,
    container_name: Option<String>,
    volume: Option<String>,
    passwords: bool,
    record: bool,
    started: bool,
}

impl Made {
    /// After a cancel everything goes. After a failure of a container that had started it stays, stopped and listed:
    /// its log holds the reason, and its data may be worth something.
    async fn clean_up(self, berth: &Arc<Berth>, error: &Error) {
        let Some(link) = self.link else { return };
        if self.started && error.code() != Code::Cancelled {
            if let Some(container) = &self.container
                && let Err(e) = link.engine.stop(container, Duration::from_secs(5)).await
            {
                tracing::warn!("a failed container could not be stopped: {e}");
            }
            return;
        }
        // By name too: a create that was cut off may have gone through.
        let containers: Vec<_> = self
            .container
            .into_iter()
            .chain(self.container_name)
            .collect();
        for container in containers {
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
        if let Some(volume) = self.volume
            && let Err(e) = link.engine.remove_volume(&volume).await
        {
            tracing::warn!("an unfinished volume could not be removed: {e}");
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

async fn make(
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
        reserved,
        kept,
    } = new;
    made.link = Some(Arc::clone(&link));
    made.id.clone_from(&labels.id);

    let rules = operation
        .phase(
            "image",
            format!("Finding the image `{}`", recipe.image),
            image(&link, &recipe, operation),
        )
        .await?;

    let mut record = instances::record_of(&labels, &link.host, &recipe.image);
    record.unfinished = true;
    record.direct = link.publishes();
    record.password_file = wanted
        .password_file
        .as_ref()
        .map(|p| p.to_string_lossy().into_owned());
    let keys = operation
        .phase(
            "credentials",
            "Making a password and storing it",
            credentials(berth, &record, &labels, kept.is_some(), rules, made),
        )
        .await?;

    let container_name = format!("{PREFIX}{}", labels.name);
    let reserved = operation
        .phase(
            "container",
            format!("Making the container `{container_name}`"),
            async {
                let volume = (labels.data == Data::Keep).then(|| container_name.clone());
                if let Some(volume) = &volume
                    && kept.is_none()
                {
                    link.engine
                        .create_volume(volume, &labels.data_marker())
                        .await?;
                    made.volume = Some(volume.clone());
                }
                // The engine publishes the port itself where there is no tunnel: it must be free by then.
                let reserved = (!link.publishes()).then_some(reserved);
                let spec = spec(
                    &link,
                    &labels,
                    &recipe,
                    rules,
                    keys.bootstrap.as_ref(),
                    volume,
                );
                made.container_name = Some(container_name.clone());
                let id = link.engine.create(&spec).await?;
                made.container = Some(id.clone());
                let record = InstanceRecord {
                    container: id.clone(),
                    ..record.clone()
                };
                instances::remember(berth, record).await?;
                made.record = true;
                link.engine.start(&id).await?;
                made.started = true;
                Ok(reserved)
            },
        )
        .await?;
    let container = made.container.clone().unwrap_or_default();
    record.container.clone_from(&container);

    let identity = operation
        .phase("ready", "Waiting for SQL Server", async {
            if rules == Rules::BerthWindows && kept.is_none() {
                set_password_by_exec(&link, &container, &labels.name, &keys.sa, wanted.limit)
                    .await?;
            }
            let (password, being_set) = match &keys.bootstrap {
                Some(bootstrap) if kept.is_none() => (bootstrap, true),
                _ => (&keys.sa, false),
            };
            Wait {
                link: &link,
                instance: &labels.id,
                container: &container,
                name: &labels.name,
                login: SA,
                password,
                being_set,
                limit: wanted.limit,
            }
            .run(operation)
            .await
        })
        .await?;

    operation
        .phase(
            "password",
            "Replacing the first password, and making what was asked for",
            async {
                finish_logins(&link, &labels, &keys, kept.is_none()).await?;
                if record.password_file.is_none() {
                    passwords::store(berth, &labels.id, &keys.final_ones(&labels)).await?;
                }
                Ok(())
            },
        )
        .await?;

    operation
        .phase(
            "endpoint",
            format!("Opening 127.0.0.1:{}", labels.port),
            async {
                if let Some(reserved) = reserved {
                    endpoints::attach_reserved(berth, &record, reserved);
                }
                through_the_endpoint(berth, &record).await?;
                record.unfinished = false;
                record.seen_at = Some(now());
                record.state = instance::State::Running.as_str().to_owned();
                instances::remember(berth, record.clone()).await
            },
        )
        .await?;
    let mut notes = Vec::new();
    if link.host == berth_core::host::PRACTICE {
        notes.push(
            "This is the practice host: it answers like SQL Server and is not SQL Server"
                .to_owned(),
        );
    } else if let (Some(asked), Some(is)) = (recipe.version, year(identity.major))
        && asked != is
    {
        notes.push(format!("The image holds SQL Server {is}, not {asked}"));
    }
    if kept.is_some() {
        notes.push(format!(
            "The data that `{}` had was taken up again",
            labels.name
        ));
    }
    let instance = instances::view_now(berth, &link, &labels.id).await?;
    Ok(dto::Outcome {
        instance: Some(instance),
        notes,
        changed: true,
    })
}

/// Present, or pulled. Says by which rules its containers are run.
async fn image(link: &Link, recipe: &Recipe, operation: &Operation) -> Result<Rules> {
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
            .because("Microsoft publishes no SQL Server image for Windows: it has to be built on the host")
            .hint("Take a version whose image is there, or name one of your own with `--image`"));
    }
    let platform = (link.os == Os::Linux).then_some("linux/amd64");
    operation.progress(format!("Pulling `{}`", recipe.image), None);
    let streaming = link.streaming().await?;
    let mut pull = std::pin::pin!(streaming.pull(&recipe.image, platform));
    let mut layers: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut told = (0_u64, 0_u64);
    loop {
        let next = tokio::time::timeout(PULL_SILENCE, pull.next())
            .await
            .map_err(|_| {
                Error::new(
                    Code::TimedOut,
                    format!("The pull of `{}` stands still", recipe.image),
                )
                .because(format!("nothing came for {} s", PULL_SILENCE.as_secs()))
            })?;
        let Some(step) = next.transpose()? else { break };
        if let (Some(layer), Some(done), Some(total)) = (step.layer, step.done, step.total) {
            layers.insert(layer, (done, total));
            let sum = layers
                .values()
                .fold((0, 0), |(d, t), (done, total)| (d + done, t + total));
            // One event for each percent, not for each message.
            if sum.1 != told.1 || (sum.0.saturating_sub(told.0)) * 100 > sum.1 {
                told = sum;
                operation.progress(format!("Pulling `{}`", recipe.image), Some(sum));
            }
        }
    }
    link.engine
        .image(&recipe.image)
        .await?
        .map(|image| rules(&image))
        .ok_or_else(|| {
            Error::failed(format!(
                "The image `{}` was pulled and is not there",
                recipe.image
            ))
        })
}

/// The passwords of one instance while it is made.
struct Keys {
    sa: Secret,
    /// What the image's environment gets: it opens nothing once it was replaced.
    bootstrap: Option<Secret>,
    /// Of the login that owns the database.
    app: Option<Secret>,
}

impl Keys {
    fn final_ones(&self, labels: &Labels) -> Passwords {
        let mut all = Passwords::default();
        all.set(SA, self.sa.clone());
        if let (Some(app), Some(database)) = (&self.app, &labels.database) {
            all.set(&app_login(database), app.clone());
        }
        all
    }
}

/// Makes the passwords and stores them, before anything exists that they open.
async fn credentials(
    berth: &Arc<Berth>,
    record: &InstanceRecord,
    labels: &Labels,
    taken_up: bool,
    rules: Rules,
    made: &mut Made,
) -> Result<Keys> {
    let bootstrap = match rules {
        Rules::Official => Some(passwords::generate()?),
        Rules::BerthWindows => None,
    };
    let keys = if let Some(file) = &record.password_file {
        let password = passwords::from_file(file.into()).await?;
        Keys {
            sa: password.clone(),
            bootstrap,
            app: labels.database.as_ref().map(|_| password),
        }
    } else {
        let known = passwords::find(berth, &labels.id)
            .await
            .map_err(name_password_file)?;
        let sa = match (taken_up, known.as_ref().and_then(|k| k.get(SA))) {
            (true, Some(sa)) => sa.clone(),
            (true, None) => {
                return Err(Error::new(Code::Refused, format!("This machine has no password for the kept data of `{}`", labels.name))
                    .because("the data holds its own logins, and their passwords are on the machine that made it")
                    .hint("Take another name for a new instance, or give the password with `--password-file`"));
            }
            (false, _) => passwords::generate()?,
        };
        let app = match &labels.database {
            None => None,
            Some(database) => Some(
                match known.as_ref().and_then(|k| k.get(&app_login(database))) {
                    Some(there) if taken_up => there.clone(),
                    _ => passwords::generate()?,
                },
            ),
        };
        Keys { sa, bootstrap, app }
    };
    if record.password_file.is_none() {
        let mut all = keys.final_ones(labels);
        if let Some(bootstrap) = &keys.bootstrap {
            all.set(BOOTSTRAP, bootstrap.clone());
        }
        passwords::store(berth, &labels.id, &all)
            .await
            .map_err(name_password_file)?;
        // Those of kept data are not ours to throw away.
        made.passwords = !taken_up;
    }
    Ok(keys)
}

fn name_password_file(e: Error) -> Error {
    match e.code() {
        Code::NoKeychain => {
            e.hint("Name a file that holds the password with `--password-file FILE`")
        }
        _ => e,
    }
}

fn spec(
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
            address: Ipv4Addr::LOCALHOST.into(),
            host: labels.port,
        }),
        stop_timeout: Some(Duration::from_secs(120)),
        platform: (link.os == Os::Linux && recipe.id == "linux").then(|| "linux/amd64".to_owned()),
        ..ContainerSpec::default()
    }
}

/// The year that a major version goes by.
fn year(major: u16) -> Option<u16> {
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

/// Gives `sa` its password inside a container of Berth's Windows recipe. SQL Server may not be up yet: that is waited for.
async fn set_password_by_exec(
    link: &Link,
    container: &str,
    name: &str,
    password: &Secret,
    limit: Duration,
) -> Result<()> {
    let began = std::time::Instant::now();
    let input = Secret::from(format!("{}\r\n", password.expose_secret()));
    let mut pause = Duration::from_millis(100);
    loop {
        let about = link.engine.inspect(container).await?;
        if !about.state.running || about.state.restart_count > 0 {
            let log = instances::tail(link, container, 80)
                .await
                .unwrap_or_default();
            let lines: Vec<_> = log.into_iter().map(|l| l.text).collect();
            let cause = berth_core::readiness::Cause::of_exit(
                about.state.exit_code,
                about.state.oom_killed,
                &lines,
            );
            let e =
                Error::failed(format!("`{name}` did not become ready")).because(cause.to_string());
            return Err(match cause.hint() {
                Some(hint) => e.hint(hint),
                None => e,
            });
        }
        let output = link
            .engine
            .exec(
                container,
                &SET_SA,
                Some(Input::Secret(&input)),
                Duration::from_secs(60),
            )
            .await;
        match output {
            Ok(output) if output.code == 0 => return Ok(()),
            Ok(output) if began.elapsed() > limit => {
                return Err(
                    Error::failed(format!("The password of `{name}` could not be set"))
                        .because(String::from_utf8_lossy(&output.stdout).trim().to_owned())
                        .hint(format!("`berth logs {name}` shows what SQL Server says")),
                );
            }
            Err(e) if began.elapsed() > limit => return Err(e),
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Replaces the throw-away password and makes the database and its login. Each step finds out by itself what is done already.
async fn finish_logins(link: &Arc<Link>, labels: &Labels, keys: &Keys, fresh: bool) -> Result<()> {
    let dial = SqlDial {
        link: Arc::clone(link),
        instance: labels.id.clone(),
    };
    let login = |password: &Secret| Login {
        user: SA.to_owned(),
        password: password.clone(),
        database: None,
        app: "Berth".into(),
    };
    let limit = Duration::from_secs(15);
    let mut connection = match &keys.bootstrap {
        Some(bootstrap) if fresh => {
            let mut connection = berth_sql::connect(&dial, &login(bootstrap), Trust::Tunnel, limit)
                .await
                .map_err(|e| e.error)?;
            connection
                .set_password(SA, &keys.sa)
                .await
                .context("The first password could not be replaced")?;
            // The new one must work, and with it what `docker inspect` shows is dead.
            berth_sql::connect(&dial, &login(&keys.sa), Trust::Tunnel, limit)
                .await
                .map_err(|e| e.error)?
        }
        _ => berth_sql::connect(&dial, &login(&keys.sa), Trust::Tunnel, limit)
            .await
            .map_err(|e| e.error)?,
    };
    if let (Some(database), Some(password)) = (&labels.database, &keys.app) {
        connection.create_database(database).await?;
        connection
            .create_owner_login(&app_login(database), database, password)
            .await?;
    }
    Ok(())
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
        &crate::ssh::LocalDial(record.port),
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

/// An instance that is there: started if needed, finished if its making was cut off, and its endpoint opened.
async fn take_up(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    container: berth_engine::Container,
    labels: &Labels,
    wanted: &Wanted,
    operation: &Arc<Operation>,
) -> Result<dto::Outcome> {
    let changed = Box::pin(bring_up(
        berth,
        link,
        &container.id,
        labels,
        wanted.limit,
        operation,
    ))
    .await?;
    let instance = instances::view_now(berth, link, &labels.id).await?;
    Ok(dto::Outcome {
        instance: Some(instance),
        notes: Vec::new(),
        changed,
    })
}

/// Starts a container if it does not run, waits until it is ready, and holds its endpoint. Says whether anything was changed.
pub(crate) async fn bring_up(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    container: &str,
    labels: &Labels,
    limit: Duration,
    operation: &Operation,
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
    operation
        .phase("ready", "Waiting for SQL Server", async {
            let password = match passwords::of(berth, &record, SA).await {
                Ok(password) => password,
                // Made elsewhere: its container runs, and that is all this machine can find out.
                Err(e) if e.code() == Code::NotFound => {
                    operation.progress(
                        "No password here: its container runs, SQL Server was not asked",
                        None,
                    );
                    return Ok(());
                }
                Err(e) => return Err(e),
            };
            let wait = |password: &Secret, being_set| {
                let password = password.clone();
                let (name, id) = (labels.name.clone(), labels.id.clone());
                let link = Arc::clone(link);
                async move {
                    Wait {
                        link: &link,
                        instance: &id,
                        container,
                        name: &name,
                        login: SA,
                        password: &password,
                        being_set,
                        limit,
                    }
                    .run(operation)
                    .await
                }
            };
            let bootstrap = about
                .env
                .iter()
                .find(|(k, _)| k == "MSSQL_SA_PASSWORD")
                .map(|(_, v)| v.clone());
            match (wait(&password, false).await, bootstrap) {
                (Ok(_), _) => {}
                (Err(first), Some(bootstrap))
                    if first
                        .causes()
                        .iter()
                        .any(|c| c.contains("refused the login")) =>
                {
                    // Its making was cut off before the first password was replaced, or its image brought that one back.
                    operation.progress("Replacing the first password", None);
                    wait(&bootstrap, unfinished).await.map_err(|_| first)?;
                    let keys = Keys {
                        sa: password.clone(),
                        bootstrap: Some(bootstrap),
                        app: None,
                    };
                    finish_logins(
                        link,
                        &Labels {
                            database: None,
                            ..labels.clone()
                        },
                        &keys,
                        true,
                    )
                    .await?;
                }
                (Err(e), _)
                    if unfinished
                        && link.os == Os::Windows
                        && e.causes().iter().any(|c| c.contains("refused the login")) =>
                {
                    set_password_by_exec(link, container, &labels.name, &password, limit).await?;
                    wait(&password, true).await?;
                }
                (Err(e), _) => return Err(e),
            }
            if unfinished && let Some(database) = &labels.database {
                let app = passwords::of(berth, &record, &app_login(database)).await?;
                let keys = Keys {
                    sa: password,
                    bootstrap: None,
                    app: Some(app),
                };
                finish_logins(link, labels, &keys, false).await?;
            }
            Ok(())
        })
        .await?;
    operation
        .phase("endpoint", format!("Opening 127.0.0.1:{}", labels.port), async {
            endpoints::hold(berth, &record).await;
            record.unfinished = false;
            record.state = instance::State::Running.as_str().to_owned();
            record.seen_at = Some(now());
            instances::remember(berth, record.clone()).await?;
            match berth.endpoints.problem(&labels.id) {
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
