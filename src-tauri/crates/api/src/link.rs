//! Links: the live way to one host, its engine and the SQL Servers on it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use berth_core::{
    ByteStream, Code, Dial, Error, Result,
    found::is_container_id,
    host::{Os, Route},
    label,
    reach::Seen,
};
use berth_engine::{Engine, Inspect, RunState};
use berth_remote::Lane;
use tokio::sync::OnceCell;

use crate::{
    Berth,
    carrier::Carrier,
    healing::{HostState, reason},
    ssh::{PublishedDial, TcpDial},
};

/// The links of one agent, by host.
#[derive(Default)]
pub(crate) struct Links {
    all: Mutex<BTreeMap<String, Arc<OnceCell<Arc<Link>>>>>,
}

/// The live way to one host. It outlives its connections: they are made again when they are needed.
pub(crate) struct Link {
    pub(crate) host: String,
    pub(crate) os: Os,
    pub(crate) engine: Engine,
    /// For endless answers: they travel on a connection of their own, made when the first is asked for,
    /// so that they never stand in the way of a call.
    streaming: OnceCell<Engine>,
    pub(crate) route: Route,
    pub(crate) carrier: Carrier,
    /// Where each instance's SQL Server listens, as it was last seen; containers get new addresses when they start.
    places: Mutex<BTreeMap<String, Place>>,
}

/// Where a SQL Server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// As the host sees it.
    Inside(String),
    /// A port that the engine publishes: of this machine, or of the named one.
    Published(Option<String>, u16),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Links {
    /// The link to a host, made if it is not there. A failure is not remembered.
    pub(crate) async fn get(&self, berth: &Arc<Berth>, host: &str) -> Result<Arc<Link>> {
        let cell = Arc::clone(lock(&self.all).entry(host.to_owned()).or_default());
        cell.get_or_try_init(|| async {
            let state = berth.states.of(host);
            state.saw(Seen::Trying);
            let opened = Box::pin(crate::hosts::open(berth, host)).await;
            match &opened {
                Ok(link) => link.reached(state),
                Err(e) => state.saw(Seen::Failed(reason(e))),
            }
            opened
        })
        .await
        .cloned()
    }

    /// The link to a host, where there is one.
    pub(crate) fn existing(&self, host: &str) -> Option<Arc<Link>> {
        lock(&self.all).get(host)?.get().cloned()
    }

    /// Every link that was made.
    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        lock(&self.all)
            .values()
            .filter_map(|c| c.get().cloned())
            .collect()
    }

    /// Puts a link that was just made in place of an older one.
    pub(crate) fn put(&self, berth: &Berth, host: &str, link: Arc<Link>) {
        link.reached(berth.states.of(host));
        lock(&self.all).insert(host.to_owned(), Arc::new(OnceCell::from(link)));
    }

    /// Forgets the link to a host.
    pub(crate) async fn drop(&self, host: &str) {
        let cell = lock(&self.all).remove(host);
        if let Some(link) = cell.and_then(|c| c.get().cloned()) {
            link.carrier.close().await;
        }
    }

    pub(crate) async fn close(&self) {
        let all = std::mem::take(&mut *lock(&self.all));
        for link in all.into_values().filter_map(|c| c.get().cloned()) {
            link.carrier.close().await;
        }
    }

    pub(crate) fn connected(&self) -> Vec<String> {
        lock(&self.all)
            .iter()
            .filter(|(_, c)| c.initialized())
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// Something answers and has no version to tell: a web server as a rule, and not "not found" of anything that was asked for.
fn no_engine(e: Error) -> Error {
    if e.code() != Code::NotFound {
        return e;
    }
    Error::failed("What answers there is no container engine")
        .because(e.to_string())
        .hint("Is this the socket of Docker's engine? `docker context inspect` shows where it is")
}

impl Link {
    /// Connects to an engine by a known route.
    pub(crate) async fn connect(host: &str, carrier: Carrier, route: Route) -> Result<Self> {
        let engine = Engine::connect(carrier.engine(&route, Lane::Control))
            .await
            .map_err(no_engine)?;
        let os = match engine.about().os {
            berth_engine::Os::Linux => Os::Linux,
            berth_engine::Os::Windows => Os::Windows,
        };
        Ok(Self {
            host: host.to_owned(),
            os,
            engine,
            streaming: OnceCell::new(),
            route,
            carrier,
            places: Mutex::default(),
        })
    }

    /// From now on its connections tell whether the host is reached.
    fn reached(&self, state: Arc<HostState>) {
        state.saw(Seen::Answered);
        if let Some(ssh) = self.carrier.ssh() {
            ssh.tell(state);
        }
    }

    /// The engine, for answers without an end.
    pub(crate) async fn streaming(&self) -> Result<&Engine> {
        self.streaming
            .get_or_try_init(|| async {
                Engine::connect(self.carrier.engine(&self.route, Lane::Streams)).await
            })
            .await
    }

    /// Whether the instances of this host publish their port, instead of being tunnelled.
    pub(crate) fn publishes(&self) -> bool {
        self.carrier.ssh().is_none()
    }

    /// The machine whose ports this host's instances publish; `None` for this one.
    pub(crate) fn published_on(&self) -> Option<String> {
        self.carrier.published_on()
    }

    /// The container of an instance, as the engine lists it.
    pub(crate) async fn container_of(
        &self,
        instance: &str,
    ) -> Result<Option<berth_engine::Container>> {
        if is_container_id(instance) {
            let all = self.engine.containers(None).await?;
            return Ok(all.into_iter().find(|c| c.id == instance));
        }
        let filter = format!("{}={instance}", label::ID);
        Ok(self
            .engine
            .containers(Some(&filter))
            .await?
            .into_iter()
            .next())
    }

    /// Remembers where an instance's SQL Server listens.
    pub(crate) fn note_place(&self, instance: &str, about: &Inspect) {
        let place = self.place(&about.addresses, &about.ports);
        let mut places = lock(&self.places);
        match place {
            Some(place) => places.insert(instance.to_owned(), place),
            None => places.remove(instance),
        };
    }

    pub(crate) fn forget_place(&self, instance: &str) {
        lock(&self.places).remove(instance);
    }

    /// Opens a stream to an instance's SQL Server.
    ///
    /// Containers get new addresses when they start, and an old address may be another instance's by now. So what is remembered
    /// is only dialled ahead while the engine is asked, and used where the answer agrees: nothing is ever sent to the wrong server.
    pub(crate) async fn dial_sql(&self, instance: &str) -> Result<Box<dyn ByteStream>> {
        let remembered = lock(&self.places).get(instance).cloned();
        let ahead = async {
            match &remembered {
                Some(place) => self.dial(place).await.ok(),
                None => None,
            }
        };
        let (ahead, place) = tokio::join!(ahead, self.place_of(instance));
        let place = place?;
        match ahead {
            Some(stream) if remembered.as_ref() == Some(&place) => Ok(stream),
            _ => self.dial(&place).await,
        }
    }

    /// Where the engine says that an instance's SQL Server listens now.
    async fn place_of(&self, instance: &str) -> Result<Place> {
        let container = self.container_of(instance).await?.ok_or_else(|| {
            Error::not_found(format!("The instance is not on `{}` any more", self.host))
                .hint("`berth list` shows what is there")
        })?;
        let name = container
            .name
            .trim_start_matches(berth_core::instance::PREFIX);
        if container.state != RunState::Running {
            return Err(
                Error::new(Code::Unreachable, format!("`{name}` is not running"))
                    // Waiting for the network brings no instance back.
                    .detail("stopped", name)
                    .hint(format!("Start it with `berth start {name}`")),
            );
        }
        let place = self
            .place(&container.addresses, &container.ports)
            .ok_or_else(|| {
                Error::failed(format!("`{name}` has no address on its host"))
                    .because("its container is in no network that Berth can reach")
            })?;
        lock(&self.places).insert(instance.to_owned(), place.clone());
        Ok(place)
    }

    fn place(
        &self,
        addresses: &[berth_engine::Address],
        ports: &[berth_engine::Port],
    ) -> Option<Place> {
        if self.publishes() {
            ports
                .iter()
                .find(|p| p.container == 1433)
                .and_then(|p| p.host)
                .map(|(_, port)| Place::Published(self.published_on(), port))
        } else {
            addresses.first().map(|a| Place::Inside(a.ip.to_string()))
        }
    }

    async fn dial(&self, place: &Place) -> Result<Box<dyn ByteStream>> {
        match (place, self.carrier.ssh()) {
            (Place::Inside(address), Some(ssh)) => {
                TcpDial {
                    ssh: Arc::clone(ssh),
                    lane: Lane::Tunnels,
                    host: address.clone(),
                    port: 1433,
                }
                .dial()
                .await
            }
            (Place::Published(host, port), _) => {
                PublishedDial::new(host.as_deref(), *port).dial().await
            }
            (Place::Inside(_), None) => Err(Error::failed("The instance publishes no port")),
        }
    }
}

/// Dials an instance's SQL Server through its host's link.
pub(crate) struct SqlDial {
    pub(crate) link: Arc<Link>,
    pub(crate) instance: String,
}

impl Dial for SqlDial {
    fn dial(&self) -> berth_core::BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(self.link.dial_sql(&self.instance))
    }
}
