//! Links: the live way to one host, its engine and the SQL Servers on it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use berth_core::{
    ByteStream, Code, Dial, Error, Result,
    host::{Address, Os, Route},
    label,
};
use berth_engine::{Engine, Inspect, RunState};
use berth_remote::Lane;
use tokio::sync::OnceCell;

use crate::{
    Berth,
    ssh::{EngineDial, LocalDial, SocketDial, Ssh, TcpDial},
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
    address: Address,
    pub(crate) route: Route,
    pub(crate) ssh: Option<Arc<Ssh>>,
    /// Where each instance's SQL Server listens, as it was last seen; containers get new addresses when they start.
    places: Mutex<BTreeMap<String, Place>>,
}

/// Where a SQL Server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// As the host sees it.
    Inside(String),
    /// A port of this machine.
    Published(u16),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Links {
    /// The link to a host, made if it is not there. A failure is not remembered.
    pub(crate) async fn get(&self, berth: &Arc<Berth>, host: &str) -> Result<Arc<Link>> {
        let cell = Arc::clone(lock(&self.all).entry(host.to_owned()).or_default());
        cell.get_or_try_init(|| Box::pin(crate::hosts::open(berth, host)))
            .await
            .cloned()
    }

    /// Puts a link that was just made in place of an older one.
    pub(crate) fn put(&self, host: &str, link: Arc<Link>) {
        lock(&self.all).insert(host.to_owned(), Arc::new(OnceCell::from(link)));
    }

    /// Forgets the link to a host.
    pub(crate) async fn drop(&self, host: &str) {
        let cell = lock(&self.all).remove(host);
        if let Some(ssh) = cell
            .and_then(|c| c.get().cloned())
            .and_then(|l| l.ssh.clone())
        {
            ssh.close().await;
        }
    }

    pub(crate) async fn close(&self) {
        let all = std::mem::take(&mut *lock(&self.all));
        for link in all.into_values().filter_map(|c| c.get().cloned()) {
            if let Some(ssh) = &link.ssh {
                ssh.close().await;
            }
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
    pub(crate) async fn connect(
        host: &str,
        address: &Address,
        ssh: Option<Arc<Ssh>>,
        route: Route,
    ) -> Result<Self> {
        let dial = dial(address, ssh.as_ref(), &route, Lane::Control)?;
        let engine = Engine::connect(dial).await.map_err(no_engine)?;
        let os = match engine.about().os {
            berth_engine::Os::Linux => Os::Linux,
            berth_engine::Os::Windows => Os::Windows,
        };
        Ok(Self {
            host: host.to_owned(),
            os,
            engine,
            streaming: OnceCell::new(),
            address: address.clone(),
            route,
            ssh,
            places: Mutex::default(),
        })
    }

    /// The engine, for answers without an end.
    pub(crate) async fn streaming(&self) -> Result<&Engine> {
        self.streaming
            .get_or_try_init(|| async {
                Engine::connect(dial(
                    &self.address,
                    self.ssh.as_ref(),
                    &self.route,
                    Lane::Streams,
                )?)
                .await
            })
            .await
    }

    /// Whether the instances of this host publish their port on this machine, instead of being tunnelled.
    pub(crate) fn publishes(&self) -> bool {
        self.ssh.is_none()
    }

    /// The container of an instance, as the engine lists it.
    pub(crate) async fn container_of(
        &self,
        instance: &str,
    ) -> Result<Option<berth_engine::Container>> {
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
                .map(|(_, port)| Place::Published(port))
        } else {
            addresses.first().map(|a| Place::Inside(a.ip.to_string()))
        }
    }

    async fn dial(&self, place: &Place) -> Result<Box<dyn ByteStream>> {
        match (place, &self.ssh) {
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
            (Place::Published(port), _) => LocalDial(*port).dial().await,
            (Place::Inside(_), None) => Err(Error::failed("The instance publishes no port")),
        }
    }
}

fn dial(
    address: &Address,
    ssh: Option<&Arc<Ssh>>,
    route: &Route,
    lane: Lane,
) -> Result<Arc<dyn Dial>> {
    match (ssh, address) {
        (Some(ssh), _) => Ok(Arc::new(EngineDial {
            ssh: Arc::clone(ssh),
            route: route.clone(),
            lane,
        })),
        (None, Address::Unix { path }) => Ok(Arc::new(SocketDial(path.into()))),
        (None, _) => Err(Error::failed("There is no way to this host")),
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
