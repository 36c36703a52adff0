//! Hosts: added, listed, checked, forgotten; and the ladder that leads to an engine.

use std::{path::PathBuf, sync::Arc};

use berth_core::{
    Code, Error, Result, ResultExt, Secret,
    host::{Address, Os, PRACTICE, Route},
    name,
};
use berth_remote::{Ask, Given, Jump, Lane, Local, Session, Wanted};
use berth_store::{HostRecord, Hosts, Instances, RouteRecord, TlsRecord};

use crate::{
    Berth,
    berth::now,
    carrier::Carrier,
    certificates, docker_context, dto,
    healing::moment,
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
    let mut all: Vec<_> = hosts.hosts.iter().map(|h| view(berth, h, &hosts)).collect();
    all.push(practice_view(berth, &hosts, None));
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
        return Ok(practice_view(berth, &hosts, None));
    }
    find(&hosts, &request.name).map(|h| view(berth, h, &hosts))
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
    let (address, tls) = where_and_how(berth, &request).await?;
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
        tls,
        context: request.docker_context.clone(),
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
    let reached = match reach(berth, &record, &address, way_in, None).await {
        Ok(reached) => {
            note(&mut record, &reached);
            Some(reached)
        }
        // A machine that becomes a host later: `host.prepare`.
        Err(e) if e.get_detail(BARE).is_some() => {
            record.os = Some(Os::Windows.as_str().to_owned());
            record.sign_in = e.get_detail("sign_in").map(str::to_owned);
            record.password = Some(e.get_detail("used_password") == Some("true"));
            record.host_key = e.get_detail("host_key").map(str::to_owned);
            None
        }
        Err(e) => return Err(e),
    };
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
    if let Some(reached) = reached {
        berth.links.put(berth, &record.name, Arc::new(reached.link));
    }
    Ok(view(berth, &record, &hosts))
}

/// The address that is meant and the certificates for it: as they were given, or as a docker context has them.
async fn where_and_how(
    berth: &Arc<Berth>,
    request: &dto::HostAdd,
) -> Result<(Address, Option<TlsRecord>)> {
    let given = match (&request.tls_ca, &request.tls_cert, &request.tls_key) {
        (None, None, None) => None,
        (Some(ca), Some(cert), Some(key)) => Some(TlsRecord {
            ca: ca.clone(),
            cert: cert.clone(),
            key: key.clone(),
            ..TlsRecord::default()
        }),
        _ => {
            return Err(Error::usage("TLS needs all three files")
                .because("the authority's certificate tells who the engine is, yours and its key tell who you are")
                .hint("Give `--ca`, `--cert` and `--key`"));
        }
    };
    let Some(name) = &request.docker_context else {
        return Ok((Address::parse(&request.address)?, given));
    };
    if !request.address.is_empty() {
        return Err(
            Error::usage("A docker context has its own address").hint("Leave out one of the two")
        );
    }
    let folder = docker_context::folder(berth, request.docker_config.as_deref())?;
    let context = docker_context::context(folder, name).await?;
    let address = Address::parse(&context.address)
        .map_err(|e| e.context(format!("Docker's context `{name}` cannot be used")))?;
    Ok((address, given.or(context.tls)))
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
        let known = berth.store(|f| f.read::<Instances>()).await?;
        let mut there = link.engine.containers(None).await?;
        there.retain(|c| crate::instances::labels_of(c, &known).is_some());
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
    berth.states.forget(&request.name);
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

/// How Berth signs in to a host.
#[derive(Default)]
pub(crate) struct WayIn {
    password: Option<Secret>,
    passphrase: Option<Secret>,
    trust: Vec<String>,
    /// Who answers what the host asks.
    ask: Option<Arc<dyn Ask>>,
}

impl WayIn {
    /// As it was when the host was added. `ask` is who answers what the host asks; without anybody a host that asks at each
    /// sign-in is not tried: it would count that.
    pub(crate) async fn of(
        berth: &Berth,
        record: &HostRecord,
        ask: Option<Arc<dyn Ask>>,
    ) -> Result<Self> {
        if record.personal && ask.is_none() {
            return Err(wants_answers(&record.name));
        }
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
            ask,
        })
    }

    /// The same, and these keys of servers that are not known yet may be let in: `SHA256:…` or `NAME=SHA256:…`.
    pub(crate) fn trusting(self, trust: Vec<String>) -> Self {
        Self { trust, ..self }
    }
}

/// A host that cannot be signed in to while nobody is there.
pub(crate) fn wants_answers(host: &str) -> Error {
    Error::new(
        Code::SignInRefused,
        format!("`{host}` asks for more than a password at each sign-in"),
    )
    .hint(format!(
        "Sign in again with `berth host check {host}`; Berth then keeps that connection and makes no others"
    ))
}

/// Whether the keychain holds its password. Records of older versions say it by the way alone.
fn uses_password(record: &HostRecord) -> bool {
    record
        .password
        .unwrap_or_else(|| record.sign_in.as_deref() == Some("password"))
}

/// A host that was reached.
pub(crate) struct Reached {
    pub(crate) link: Link,
    pub(crate) session: Option<Session>,
}

/// The link to a known host, by its remembered rung; the whole ladder where that leads nowhere any more.
pub(crate) async fn open(berth: &Arc<Berth>, host: &str) -> Result<Arc<Link>> {
    let mut ladder = Vec::new();
    if host == PRACTICE {
        let ssh = berth.practice.ssh().await?;
        return Ok(Arc::new(
            climb(
                PRACTICE,
                &Address::Practice,
                Carrier::Ssh(ssh),
                None,
                &mut ladder,
            )
            .await?
            .link,
        ));
    }
    let hosts = berth.hosts().await?;
    let record = find(&hosts, host)?.clone();
    let address = Address::parse(&record.address)?;
    let known = record.route.as_ref().and_then(route_of);
    let way_in = WayIn::of(berth, &record, None).await?;
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
    let carrier = way_to(berth, record, address, way_in).await?;
    climb(&record.name, address, carrier, known, &mut Vec::new()).await
}

/// What carries bytes to the host.
pub(crate) async fn way_to(
    berth: &Arc<Berth>,
    record: &HostRecord,
    address: &Address,
    way_in: WayIn,
) -> Result<Carrier> {
    let Address::Ssh {
        user, host, port, ..
    } = address
    else {
        return Carrier::direct(address, record.tls.as_ref()).await;
    };
    if record.tls.is_some() {
        return Carrier::direct(address, record.tls.as_ref()).await;
    }
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
    let ssh = Ssh::new(&record.name, found.profile, found.notes);
    let certificates = if record.certificates {
        certificates::opener(berth, &record.name).await
    } else {
        None
    };
    Ok(Carrier::Ssh(Arc::new(ssh.with_certificates(certificates))))
}

/// Tries the rungs in order and takes the first that leads to an engine. `known` is tried before all others.
pub(crate) async fn climb(
    host: &str,
    address: &Address,
    carrier: Carrier,
    known: Option<Route>,
    tried: &mut Vec<dto::Rung>,
) -> Result<Reached> {
    if let Some(route) = carrier.route() {
        carrier.probe().await?;
        let link = Link::connect(host, carrier, route.clone()).await?;
        tried.push(dto::Rung {
            way: route.in_words(),
            works: true,
            result: "answers".into(),
        });
        return Ok(Reached {
            link,
            session: None,
        });
    }
    let Some(ssh) = carrier.ssh() else {
        return Err(Error::failed(format!("There is no way to `{host}`")));
    };
    let session = ssh.session(Lane::Control).await?;
    if let Some(known) = known
        && let Ok(link) = Link::connect(host, carrier.clone(), known).await
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
    for route in Route::ladder(windows, socket, ssh.has_certificates()) {
        let way = route.in_words();
        match Link::connect(host, carrier.clone(), route).await {
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
    for (name, value) in failure.details() {
        error = error.detail(name.clone(), value.clone());
    }
    if windows && has_no_engine(&session).await {
        let way = session.sign_in_way();
        return Err(error
            .detail(BARE, "yes")
            .detail("sign_in", if way.starts_with("password") { "password" } else { way })
            .detail("used_password", session.used_password().to_string())
            .detail("host_key", session.host_key_fingerprint())
            .hint(format!("`berth host prepare {host} --plan` says what it takes to make this Windows machine a container host")));
    }
    Err(error.hint(match (failure.what_to_do(), windows) {
        (Some(hint), _) => hint.to_owned(),
        (None, true) => "The machine needs a Docker engine for Windows containers that listens on 127.0.0.1:2375 or is reached by `docker system dial-stdio`".to_owned(),
        (None, false) => "Is Docker installed and running there, and may this user open its socket? Another socket is named by `ssh://user@host/path/to/docker.sock`".to_owned(),
    }))
}

/// The detail of an error that says: a Windows machine without an engine.
const BARE: &str = "bare_windows";

/// Whether a Windows machine has neither the engine's programs nor its service.
async fn has_no_engine(session: &Session) -> bool {
    let limits = berth_remote::ExecLimits::default();
    session
        .powershell(berth_core::powershell::PROBE, None, limits)
        .await
        .is_ok_and(|probe| {
            probe.get("build").is_some_and(serde_json::Value::is_u64)
                && probe.get("dockerd").is_none_or(serde_json::Value::is_null)
                && probe
                    .pointer("/services/docker")
                    .is_none_or(serde_json::Value::is_null)
        })
}

pub(crate) fn note(record: &mut HostRecord, reached: &Reached) {
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
        record.personal = session.is_personal();
        record.host_key = Some(session.host_key_fingerprint().to_owned());
    }
    if let Some(ssh) = reached.link.carrier.ssh() {
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

pub(crate) fn route_of(record: &RouteRecord) -> Option<Route> {
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

pub(crate) fn view(berth: &Berth, record: &HostRecord, hosts: &Hosts) -> dto::HostView {
    let reach = berth.states.of(&record.name).reach();
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
        context: record.context.clone(),
        warning: warning(record),
        reach: reach.word().to_owned(),
        reach_since: reach.since().map(moment),
        reach_cause: reach.why().map(str::to_owned),
    }
}

/// What a user should know of the way to a host before they put data there.
fn warning(record: &HostRecord) -> Option<String> {
    if record.route.is_none() && record.os.as_deref() == Some(Os::Windows.as_str()) {
        return Some(format!(
            "It has no container engine yet: `berth host prepare {}` makes it a container host",
            record.name
        ));
    }
    match Address::parse(&record.address).ok()? {
        Address::Tcp { host, .. } if !berth_remote::is_loopback(&host) => Some(format!(
            "Instances there publish their port on `{host}`: whoever reaches that machine reaches them, and nothing tells a client that the server is yours. Over SSH they stay closed"
        )),
        _ => None,
    }
}

pub(crate) fn practice_view(
    berth: &Berth,
    hosts: &Hosts,
    reached: Option<&Reached>,
) -> dto::HostView {
    let session = reached.and_then(|r| r.session.as_ref());
    let reach = berth.states.of(PRACTICE).reach();
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
        context: None,
        warning: None,
        reach: reach.word().to_owned(),
        reach_since: reach.since().map(moment),
        reach_cause: reach.why().map(str::to_owned),
    }
}

/// Names a host in an error of something that was done on it.
pub(crate) fn on<T>(host: &str, result: Result<T>) -> Result<T> {
    result.context(format!("`{host}` could not be asked"))
}
