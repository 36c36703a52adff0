//! The composition root: what one agent holds.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use berth_core::{BoxFuture, Error, Result, Secret};
use berth_store::{Credentials, Folder, Hosts, Instances, Settings};
use chrono::{SecondsFormat, Utc};
use tokio_util::sync::CancellationToken;

use crate::{
    dto, endpoints::Endpoints, lease::Leases, link::Links, operations::Operations,
    practice::PracticeHost, questions::Questions, table::Call,
};

/// This machine's clipboard.
pub trait Clipboard: Send + Sync {
    /// Puts a secret there, marked as one, and takes it away again after a while if it is still there.
    ///
    /// # Errors
    /// Where there is no clipboard.
    fn put(&self, secret: Secret) -> BoxFuture<'_, Result<()>>;
}

/// What the machine gives an agent.
pub struct Surroundings {
    /// Berth's own folder.
    pub folder: PathBuf,
    /// The keychain.
    pub credentials: Arc<dyn Credentials>,
    /// The clipboard.
    pub clipboard: Arc<dyn Clipboard>,
    /// The user's name on this machine: the login on a host that names none.
    pub user: String,
    /// This machine's name: the second half of an instance's owner.
    pub machine: String,
    /// For the usual key files and `known_hosts`.
    pub home: Option<PathBuf>,
    /// The socket of the SSH agent that was there when this agent started.
    pub ssh_agent: Option<PathBuf>,
}

/// Everything that one agent holds.
pub struct Berth {
    pub(crate) surroundings: Surroundings,
    pub(crate) folder: Folder,
    pub(crate) links: Links,
    pub(crate) operations: Operations,
    pub(crate) endpoints: Endpoints,
    pub(crate) practice: PracticeHost,
    pub(crate) leases: Leases,
    ending: CancellationToken,
    /// The latest SSH agent socket that a caller brought along: logins change it.
    pub(crate) ssh_agent: Mutex<Option<PathBuf>>,
    /// Counts changes of the hosts that are known.
    pub(crate) hosts_changed: tokio::sync::watch::Sender<u64>,
    pub(crate) questions: Questions,
    started_at: String,
}

impl Berth {
    /// Opens the folder and listens on the endpoints of the instances that it knows, without reaching any host.
    ///
    /// # Errors
    /// Where a file is broken or of a newer version.
    pub async fn open(surroundings: Surroundings) -> Result<Arc<Self>> {
        let path = surroundings.folder.clone();
        let folder = blocking(move || Ok(Folder::new(path))).await?;
        let known = {
            let folder = folder.clone();
            blocking(move || folder.read::<Instances>()).await
        };
        let berth = Arc::new(Self {
            ssh_agent: Mutex::new(surroundings.ssh_agent.clone()),
            practice: PracticeHost::new(surroundings.folder.join("practice")),
            surroundings,
            folder,
            links: Links::default(),
            operations: Operations::default(),
            endpoints: Endpoints::default(),
            hosts_changed: tokio::sync::watch::Sender::new(0),
            questions: Questions::default(),
            leases: Leases::default(),
            ending: CancellationToken::new(),
            started_at: now(),
        });
        match known {
            Ok(known) => {
                for record in known.instances {
                    crate::endpoints::hold(&berth, &record).await;
                    crate::lease::await_its_holder(&berth, record);
                }
            }
            // The commands that need the file say so, with its path; the agent itself must come up to say it.
            Err(e) => tracing::warn!("the known instances cannot be read: {e}"),
        }
        Ok(berth)
    }

    /// Whether something would be lost if the agent ended now.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.busy() > 0 || self.endpoints.any_open()
    }

    /// How many operations are under way.
    #[must_use]
    pub fn operations_under_way(&self) -> usize {
        self.operations.under_way()
    }

    /// What would be cut off if the agent ended now: operations, and the commands of `berth run`.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.operations_under_way() + self.leases.count()
    }

    /// Cancelled when the agent is asked to end. What is held then is left as it is, for the next agent.
    #[must_use]
    pub fn ending(&self) -> &CancellationToken {
        &self.ending
    }

    /// Stops operations, endpoints, connections and the practice host, each within its limit.
    pub async fn close(&self) {
        self.operations.cancel_all().await;
        self.endpoints.close();
        self.links.close().await;
        self.practice.stop().await;
    }

    /// Remembers the SSH agent of the latest caller.
    pub(crate) fn note_ssh_agent(&self, socket: Option<&str>) {
        if let Some(socket) = socket.filter(|s| !s.is_empty()) {
            *self
                .ssh_agent
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(socket.into());
        }
    }

    pub(crate) fn owner(&self) -> String {
        format!("{}@{}", self.surroundings.user, self.surroundings.machine)
    }

    pub(crate) async fn hosts(&self) -> Result<Hosts> {
        self.store(|f| f.read()).await
    }

    pub(crate) async fn settings(&self) -> Result<Settings> {
        self.store(|f| f.read()).await
    }

    /// Runs a piece of work on the store off the async threads.
    pub(crate) async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.folder.clone();
        blocking(move || work(&folder)).await
    }
}

/// Runs blocking work on its own thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::failed("A piece of work broke off").because(e.to_string()))?
}

/// Now, RFC 3339 in UTC, to the second.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `agent.status`.
pub(crate) async fn status(
    berth: &Arc<Berth>,
    _: dto::Nothing,
    _: &Call,
) -> Result<dto::AgentStatus> {
    Ok(dto::AgentStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_at: berth.started_at.clone(),
        endpoints: berth.endpoints.view(),
        operations: berth.operations_under_way(),
        connected: berth.links.connected(),
        keychain: berth.surroundings.credentials.kind().to_owned(),
    })
}
