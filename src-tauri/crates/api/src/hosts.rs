//! Hosts: added, listed, checked, forgotten; and the ladder that leads to an engine.

use std::{path::PathBuf, sync::Arc, time::Instant};

use berth_core::{
    Code, Error, Result, ResultExt, Secret,
    host::{Address, Os, PRACTICE, Route},
    label, name, size,
};
use berth_remote::{Ask, Given, Jump, Lane, Local, Session, Wanted};
use berth_store::{HostRecord, Hosts, Instances, RouteRecord};

use crate::{
    Berth,
    berth::now,
    dto,
    link::Link,
    passwords,
    questions::Caller,
    ssh::{Ssh, shell_is_windows},
    table::Call,
};

/// `host.list`.
pub(crate) async fn list(
    berth: &Arc<Berth>,
    _: dto::Nothing,
    _: &Call,
) -> Result<Vec<dto::HostView>> {
    let hosts = berth.hosts().await?;
    let mut all: Vec<_> = hosts.hosts.iter().map(|h| view(h, &hosts)).collect();
    all.push(practice_view(&hosts, None));
    Ok(all)
}

/// `host.show`.
pub(crate) async fn show(
    berth: &Arc<Berth>,
    request: dto::HostName,
    _: &Call,
) -> Result<dto::HostView> {
    let hosts = berth.hosts().await?;
    if request.name == PRACTICE {
        return Ok(practice_view(&hosts, None));
    }
    find(&hosts, &request.name).map(|h| view(h, &hosts))
}

/// `host.use`.
pub(crate) async fn make_default(
    berth: &Arc<Berth>,
    request: dto::HostName,
    call: &Call,
) -> Result<dto::HostView> {
    let name = request.name.clone();
    berth
        .store(move |f| {
            f.update::<Hosts, _>(|hosts| {
                if name != PRACTICE {
                    find(hosts, &name)?;
                }
                hosts.default_host = Some(name);
                Ok(())
            })
        })
        .await?;
    show(berth, request, call).await
}

/// `host.add`: signs in once and climbs the ladder before anything is written.
pub(crate) async fn add(
    berth: &Arc<Berth>,
    request: dto::HostAdd,
    call: &Call,
) -> Result<dto::HostView> {
    name::check("a host", &request.name)?;
    berth.note_ssh_agent(request.ssh_agent.as_deref());
    if request.name == PRACTICE {
        return Err(
            Error::usage("`practice` is the name of the built-in practice host")
                .hint("Take another name"),
        );
    }
    let address = Address::parse(&request.address)?;
    if address == Address::Practice {
        return Err(Error::usage("The practice host is there already")
            .hint("Use it by its name: `practice`"));
    }
    let hosts = berth.hosts().await?;
    if let Some(other) = hosts.hosts.iter().find(|h| h.name == request.name) {
        return Err(Error::new(
            Code::Refused,
            format!("A host called `{}` is there already", request.name),
        )
        .because(format!("it is {}", other.address))
        .hint(format!(
            "Take another name, or remove it with `berth host remove {}`",
            request.name
        )));
    }
    let (password, passphrase) = (call.secret("password"), call.secret("passphrase"));
    let mut record = HostRecord {
        name: request.name.clone(),
        address: address.to_string(),
        identities: request.identities.clone(),
        jump: request.jump.clone(),
        ssh_config: request.ssh_config.clone(),
        added_at: Some(now()),
        ..HostRecord::default()
    };
    let way_in = WayIn {
        password: password.clone(),
        passphrase: passphrase.clone(),
        trust: request.trust_host_keys.clone(),
        ask: request
            .can_answer
            .then(|| Arc::new(Caller::new(berth, call)) as Arc<dyn Ask>),
    };
    let reached = reach(berth, &record, &address, way_in, None).await?;
    note(&mut record, &reached);
    record.passphrase = passphrase.is_some();
    // Secrets first: a host whose password is lost could not be reached again.
    for (kind, secret) in [("password", password), ("passphrase", passphrase)] {
        if let Some(secret) = secret {
            passwords::store_of_host(berth, &request.name, kind, secret)
                .await
                .map_err(|e| {
                    if e.code() == Code::NoKeychain {
                        e.hint(
                            "Sign in with a key file that has no passphrase, or with an SSH agent",
                        )
                    } else {
                        e
                    }
                })?;
        }
    }
    let kept = record.clone();
    let hosts = berth
        .store(move |f| {
            f.update::<Hosts, _>(|hosts| {
                if hosts.hosts.iter().any(|h| h.name == kept.name) {
                    return Err(Error::new(
                        Code::Refused,
                        format!("A host called `{}` was added meanwhile", kept.name),
                    ));
                }
                hosts.hosts.push(kept);
                Ok(hosts.clone())
            })
        })
        .await?;
    berth.links.put(&record.name, Arc::new(reached.link));
    Ok(view(&record, &hosts))
}

/// `host.remove`.
pub(crate) async fn remove(
    berth: &Arc<Berth>,
    request: dto::HostRemove,
    _: &Call,
) -> Result<dto::Nothing> {
    if request.name == PRACTICE {
        return Err(
            Error::new(Code::Refused, "The practice host is always there")
                .hint("Remove its instances instead"),
        );
    }
    let hosts = berth.hosts().await?;
    find(&hosts, &request.name)?;
    if !request.forget {
        let link = berth.links.get(berth, &request.name).await.map_err(|e| {
            e.context(format!(
                "Whether `{}` has instances cannot be told",
                request.name
            ))
            .hint("Forget it all the same with `--forget`; instances on it stay as they are")
        })?;
        let there = link.engine.containers(Some(label::ID)).await?;
        if !there.is_empty() {
            let names: Vec<_> = there
                .iter()
                .map(|c| {
                    format!(
                        "`{}`",
                        c.name.trim_start_matches(berth_core::instance::PREFIX)
                    )
                })
                .collect();
            return Err(Error::new(Code::Refused, format!("`{}` has {} instances", request.name, there.len()))
                .because(names.join(", "))
                .hint("Remove them first, or say `--forget`: they stay on the host then, and come back when it is added again"));
        }
    }
    berth.links.drop(&request.name).await;
    let host = request.name.clone();
    let gone = berth
        .store(move |f| {
            f.update::<Hosts, _>(|hosts| {
                hosts.hosts.retain(|h| h.name != host);
                if hosts.default_host.as_deref() == Some(&host) {
                    hosts.default_host = None;
                }
                Ok(())
            })?;
            f.update::<Instances, _>(|all| {
                let gone: Vec<_> = all
                    .instances
                    .iter()
                    .filter(|r| r.host == host)
                    .cloned()
                    .collect();
                all.instances.retain(|r| r.host != host);
                Ok(gone)
            })
        })
        .await?;
    for record in gone {
        // Their passwords stay in the keychain: the instances stay too.
        berth.endpoints.release(&record.id);
    }
    if let Err(e) = passwords::forget_host(berth, &request.name).await
        && e.code() != Code::NoKeychain
    {
        tracing::warn!("the host's password could not be removed: {e}");
    }
    Ok(dto::Nothing {})
}

/// `host.check`: everything anew, each rung of the ladder tried.
pub(crate) async fn check(
    berth: &Arc<Berth>,
    request: dto::HostName,
    _: &Call,
) -> Result<dto::HostCheck> {
    berth.note_ssh_agent(request.ssh_agent.as_deref());
    let hosts = berth.hosts().await?;
    let began = Instant::now();
    let mut ladder = Vec::new();
    let (host, reached) = if request.name == PRACTICE {
        let ssh = berth.practice.ssh().await?;
        let reached = climb(PRACTICE, &Address::Practice, Some(ssh), None, &mut ladder).await?;
        (practice_view(&hosts, Some(&reached)), reached)
    } else {
        let mut record = find(&hosts, &request.name)?.clone();
        let address = Address::parse(&record.address)?;
        let way_in = WayIn::of(berth, &record).await?;
        let ssh = way_to(berth, &record, &address, way_in).await?;
        let reached = climb(&record.name, &address, ssh, None, &mut ladder).await?;
        note(&mut record, &reached);
        let kept = record.clone();
        let hosts = berth
            .store(move |f| {
                f.update::<Hosts, _>(|hosts| {
                    if let Some(slot) = hosts.hosts.iter_mut().find(|h| h.name == kept.name) {
                        *slot = kept;
                    }
                    Ok(hosts.clone())
                })
            })
            .await?;
        (view(&record, &hosts), reached)
    };
    let connected = began.elapsed();
    let began = Instant::now();
    let info = reached.link.engine.info().await?;
    let call = began.elapsed();
    let about = reached.link.engine.about();
    let fact = |id: &str, label: &str, value: String| dto::Fact {
        id: id.into(),
        label: label.into(),
        value,
    };
    let mut facts = vec![
        fact("system", "System", info.os_name.clone()),
        fact(
            "engine",
            "Engine",
            format!(
                "{} (API {}, {} containers)",
                about.version,
                about.api_version,
                reached.link.os.as_str()
            ),
        ),
        fact("cores", "Cores", info.cpus.to_string()),
        fact("memory", "Memory", size::format(info.memory_bytes)),
        fact("route", "Way to the engine", reached.link.route.in_words()),
    ];
    if !info.isolation.is_empty() {
        facts.push(fact("isolation", "Isolation", info.isolation.clone()));
    }
    if let Some(session) = &reached.session {
        facts.push(fact(
            "ssh",
            "SSH server",
            session.server_version().to_owned(),
        ));
        facts.push(fact(
            "sign_in",
            "Signed in by",
            session.sign_in_way().to_owned(),
        ));
        facts.push(fact(
            "host_key",
            "Host key",
            session.host_key_fingerprint().to_owned(),
        ));
        if reached.link.os == Os::Windows {
            windows_facts(session, &mut facts).await;
        }
    }
    facts.push(fact(
        "connect_ms",
        "Time to connect",
        format!("{} ms", connected.as_millis()),
    ));
    facts.push(fact(
        "call_ms",
        "Time of a call",
        format!("{:.1} ms", call.as_secs_f64() * 1000.0),
    ));
    let mut findings = Vec::new();
    if info.memory_bytes < 4 << 30 {
        findings.push(dto::Finding {
            message: format!(
                "{} of memory is little: each SQL Server wants 2 GiB",
                size::format(info.memory_bytes)
            ),
            hint: "Run one instance at a time there".into(),
        });
    }
    if matches!(reached.link.route, Route::DialStdio(_)) {
        findings.push(dto::Finding {
            message: "The engine is reached by a process on the host for each connection, which is slower".into(),
            hint: "Let the engine also listen on 127.0.0.1:2375 of the host".into(),
        });
    }
    berth.links.put(&request.name, Arc::new(reached.link));
    Ok(dto::HostCheck {
        host,
        facts,
        ladder,
        findings,
    })
}

/// What only Windows itself can say. Where PowerShell does not answer, the engine's facts stand alone.
async fn windows_facts(session: &Session, facts: &mut Vec<dto::Fact>) {
    let limits = berth_remote::ExecLimits {
        timeout: std::time::Duration::from_secs(60),
        max_output: 1 << 20,
    };
    match session
        .powershell(berth_core::powershell::PROBE, None, limits)
        .await
    {
        Ok(probe) => {
            let mut add = |id: &str, label: &str, value: Option<String>| {
                if let Some(value) = value {
                    facts.push(dto::Fact {
                        id: id.into(),
                        label: label.into(),
                        value,
                    });
                }
            };
            let text = |key: &str| probe.get(key).and_then(|v| v.as_str()).map(str::to_owned);
            let number = |key: &str| probe.get(key).and_then(serde_json::Value::as_u64);
            add("windows", "Windows", text("product"));
            add(
                "build",
                "Build",
                number("build")
                    .map(|b| number("ubr").map_or_else(|| b.to_string(), |u| format!("{b}.{u}"))),
            );
            add(
                "free_memory",
                "Free memory",
                number("freeRamMB").map(|mb| size::format(mb << 20)),
            );
            add("user", "User", text("user"));
            if let Some(disks) = probe.get("disks").and_then(|d| d.as_array()) {
                for disk in disks {
                    let name = disk.get("d").and_then(|v| v.as_str()).unwrap_or("?");
                    let free = disk.get("freeGB").and_then(serde_json::Value::as_f64);
                    add(
                        &format!("disk_{}", name.trim_end_matches(':').to_ascii_lowercase()),
                        &format!("Free on {name}"),
                        free.map(|gb| format!("{gb} GB")),
                    );
                }
            }
        }
        Err(e) => tracing::info!("the host's PowerShell was not asked: {e}"),
    }
}

/// How Berth signs in to a host.
#[derive(Default)]
struct WayIn {
    password: Option<Secret>,
    passphrase: Option<Secret>,
    trust: Vec<String>,
    /// Who answers what the host asks.
    ask: Option<Arc<dyn Ask>>,
}

impl WayIn {
    /// As it was when the host was added.
    async fn of(berth: &Berth, record: &HostRecord) -> Result<Self> {
        let of = async |kind: &'static str, wanted: bool| {
            if wanted {
                passwords::of_host(berth, &record.name, kind).await
            } else {
                Ok(None)
            }
        };
        Ok(Self {
            password: of("password", uses_password(record)).await?,
            passphrase: of("passphrase", record.passphrase).await?,
            trust: Vec::new(),
            ask: None,
        })
    }
}

/// Whether the keychain holds its password. Records of older versions say it by the way alone.
fn uses_password(record: &HostRecord) -> bool {
    record
        .password
        .unwrap_or_else(|| record.sign_in.as_deref() == Some("password"))
}

/// A host that was reached.
pub(crate) struct Reached {
    link: Link,
    session: Option<Session>,
}

/// The link to a known host, by its remembered rung; the whole ladder where that leads nowhere any more.
pub(crate) async fn open(berth: &Arc<Berth>, host: &str) -> Result<Arc<Link>> {
    let mut ladder = Vec::new();
    if host == PRACTICE {
        let ssh = berth.practice.ssh().await?;
        return Ok(Arc::new(
            climb(PRACTICE, &Address::Practice, Some(ssh), None, &mut ladder)
                .await?
                .link,
        ));
    }
    let hosts = berth.hosts().await?;
    let record = find(&hosts, host)?.clone();
    let address = Address::parse(&record.address)?;
    let known = record.route.as_ref().and_then(route_of);
    let way_in = WayIn::of(berth, &record).await?;
    let reached = reach(berth, &record, &address, way_in, known.clone()).await?;
    if known.as_ref() != Some(&reached.link.route) {
        let mut record = record;
        note(&mut record, &reached);
        berth
            .store(move |f| {
                f.update::<Hosts, _>(|hosts| {
                    if hosts.get(&record.name).is_some() {
                        hosts.put(record);
                    }
                    Ok(())
                })
            })
            .await?;
    }
    Ok(Arc::new(reached.link))
}

async fn reach(
    berth: &Arc<Berth>,
    record: &HostRecord,
    address: &Address,
    way_in: WayIn,
    known: Option<Route>,
) -> Result<Reached> {
    let ssh = way_to(berth, record, address, way_in).await?;
    climb(&record.name, address, ssh, known, &mut Vec::new()).await
}

/// What carries bytes to the host: an SSH connection, or nothing where its engine is on this machine.
async fn way_to(
    berth: &Arc<Berth>,
    record: &HostRecord,
    address: &Address,
    way_in: WayIn,
) -> Result<Option<Arc<Ssh>>> {
    let Address::Ssh {
        user, host, port, ..
    } = address
    else {
        return Ok(None);
    };
    let agent = berth
        .ssh_agent
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    let wanted = Wanted {
        user: user.clone(),
        host: host.clone(),
        port: *port,
        jump: record
            .jump
            .as_deref()
            .map_or_else(|| Ok(Vec::new()), Jump::chain)?,
        identities: record.identities.iter().map(PathBuf::from).collect(),
        config: record.ssh_config.as_ref().map(PathBuf::from),
    };
    let local = Local {
        home: berth.surroundings.home.clone(),
        user: berth.surroundings.user.clone(),
        machine: berth.surroundings.machine.clone(),
        agent,
        known_hosts: berth.surroundings.folder.join("known_hosts"),
    };
    let given = Given {
        password: way_in.password,
        passphrase: way_in.passphrase,
        trust: way_in.trust,
        ask: way_in.ask,
    };
    let found = berth_remote::resolve(&wanted, &local, &given).await?;
    Ok(Some(Arc::new(Ssh::new(found.profile, found.notes))))
}

/// Tries the rungs in order and takes the first that leads to an engine. `known` is tried before all others.
async fn climb(
    host: &str,
    address: &Address,
    ssh: Option<Arc<Ssh>>,
    known: Option<Route>,
    tried: &mut Vec<dto::Rung>,
) -> Result<Reached> {
    let Some(ssh) = ssh else {
        let Address::Unix { path } = address else {
            return Err(Error::failed(format!("There is no way to `{host}`")));
        };
        let route = Route::Socket(path.clone());
        let link = Link::connect(host, address, None, route.clone()).await?;
        tried.push(dto::Rung {
            way: route.in_words(),
            works: true,
            result: "answers".into(),
        });
        return Ok(Reached {
            link,
            session: None,
        });
    };
    let session = ssh.session(Lane::Control).await?;
    if let Some(known) = known
        && let Ok(link) = Link::connect(host, address, Some(Arc::clone(&ssh)), known).await
    {
        return Ok(Reached {
            link,
            session: Some(session),
        });
    }
    let windows = shell_is_windows(&session).await?;
    let socket = match address {
        Address::Ssh { socket, .. } => socket.as_deref(),
        _ => None,
    };
    let mut failure = None;
    for route in Route::ladder(windows, socket) {
        let way = route.in_words();
        match Link::connect(host, address, Some(Arc::clone(&ssh)), route).await {
            Ok(link) => {
                tried.push(dto::Rung {
                    way,
                    works: true,
                    result: format!(
                        "answers: {} {}",
                        link.os.as_str(),
                        link.engine.about().version
                    ),
                });
                return Ok(Reached {
                    link,
                    session: Some(session),
                });
            }
            Err(e) => {
                tried.push(dto::Rung {
                    way: way.clone(),
                    works: false,
                    result: e.to_string(),
                });
                let e = e.context(format!("by {way}"));
                // An engine that answered and is not usable says more than a door that is closed.
                failure = Some(match failure {
                    None => e,
                    Some(first) => Error::because(first, e.to_string()),
                });
            }
        }
    }
    let failure = failure.unwrap_or_else(|| Error::failed("no way was tried"));
    let mut error = Error::new(
        failure.code(),
        format!("Berth signed in to `{host}` and found no container engine"),
    );
    error = error.because(failure.message().to_owned());
    for cause in failure.causes() {
        error = error.because(cause.clone());
    }
    Err(error.hint(match (failure.what_to_do(), windows) {
        (Some(hint), _) => hint.to_owned(),
        (None, true) => "The machine needs a Docker engine for Windows containers that listens on 127.0.0.1:2375 or is reached by `docker system dial-stdio`".to_owned(),
        (None, false) => "Is Docker installed and running there, and may this user open its socket? Another socket is named by `ssh://user@host/path/to/docker.sock`".to_owned(),
    }))
}

fn note(record: &mut HostRecord, reached: &Reached) {
    record.os = Some(reached.link.os.as_str().to_owned());
    record.route = Some(route_record(&reached.link.route));
    if let Some(session) = &reached.session {
        let way = session.sign_in_way();
        record.sign_in = Some(if way.starts_with("password") {
            "password".to_owned()
        } else {
            way.to_owned()
        });
        record.password = Some(session.used_password());
        record.host_key = Some(session.host_key_fingerprint().to_owned());
    }
    if let Some(ssh) = &reached.link.ssh {
        record.reached = Some(ssh.profile.in_words());
        record.notes.clone_from(&ssh.notes);
    }
}

fn route_record(route: &Route) -> RouteRecord {
    let text = route.to_string();
    let (kind, detail) = text.split_once(' ').unwrap_or((&text, ""));
    RouteRecord {
        kind: kind.to_owned(),
        detail: Some(detail.to_owned()),
        probed_at: Some(now()),
        ..RouteRecord::default()
    }
}

fn route_of(record: &RouteRecord) -> Option<Route> {
    Route::parse(&format!(
        "{} {}",
        record.kind,
        record.detail.as_deref().unwrap_or_default()
    ))
}

/// The host of that name.
pub(crate) fn find<'a>(hosts: &'a Hosts, name: &str) -> Result<&'a HostRecord> {
    hosts.hosts.iter().find(|h| h.name == name).ok_or_else(|| {
        let e = Error::not_found(format!("No host is called `{}`", name.escape_debug()));
        let names: Vec<_> = hosts
            .hosts
            .iter()
            .map(|h| format!("`{}`", h.name))
            .chain([format!("`{PRACTICE}`")])
            .collect();
        let there = if names.len() == 1 { "is" } else { "are" };
        e.because(format!("there {there} {}", names.join(", ")))
            .hint(format!(
                "Add it with `berth host add {name} ssh://user@address`"
            ))
    })
}

/// The host that is meant where none is named: the default, else the only one.
pub(crate) async fn default(berth: &Berth) -> Result<String> {
    let hosts = berth.hosts().await?;
    if let Some(name) = hosts.default_host {
        return Ok(name);
    }
    match hosts.hosts.as_slice() {
        [only] => Ok(only.name.clone()),
        several => Err(Error::usage(if several.is_empty() { "There is no host yet" } else { "Several hosts are there, and none is the default" }).hint(
            "Add one with `berth host add NAME ssh://user@address`, name one with `--host`, or make one the default with `berth host use NAME`. Without a machine of your own, `berth host use practice` takes the built-in practice host",
        )),
    }
}

/// Every host that may have instances: the practice host only once it was used.
pub(crate) async fn all(berth: &Berth) -> Result<Vec<String>> {
    let hosts = berth.hosts().await?;
    let mut names: Vec<_> = hosts.hosts.into_iter().map(|h| h.name).collect();
    if berth.practice.exists() {
        names.push(PRACTICE.to_owned());
    }
    Ok(names)
}

fn view(record: &HostRecord, hosts: &Hosts) -> dto::HostView {
    dto::HostView {
        name: record.name.clone(),
        address: record.address.clone(),
        os: record.os.clone(),
        route: record
            .route
            .as_ref()
            .and_then(route_of)
            .map(|r| r.in_words()),
        probed_at: record.route.as_ref().and_then(|r| r.probed_at.clone()),
        is_default: hosts.default_host.as_deref() == Some(&record.name),
        is_practice: false,
        sign_in: record.sign_in.clone(),
        host_key: record.host_key.clone(),
        reached: record.reached.clone(),
        notes: record.notes.clone(),
    }
}

fn practice_view(hosts: &Hosts, reached: Option<&Reached>) -> dto::HostView {
    let session = reached.and_then(|r| r.session.as_ref());
    dto::HostView {
        name: PRACTICE.to_owned(),
        address: Address::Practice.to_string(),
        os: Some(Os::Windows.as_str().to_owned()),
        route: reached.map(|r| r.link.route.in_words()),
        probed_at: reached.map(|_| now()),
        is_default: hosts.default_host.as_deref() == Some(PRACTICE),
        is_practice: true,
        sign_in: session.map(|s| s.sign_in_way().to_owned()),
        host_key: session.map(|s| s.host_key_fingerprint().to_owned()),
        reached: None,
        notes: Vec::new(),
    }
}

/// Names a host in an error of something that was done on it.
pub(crate) fn on<T>(host: &str, result: Result<T>) -> Result<T> {
    result.context(format!("`{host}` could not be asked"))
}
