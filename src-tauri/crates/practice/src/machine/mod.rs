//! The one model of the machine: containers, images, volumes, addresses, SQL Server
//! instances, and what goes wrong.
//!
//! Everything that lasts is in one folder. The doors ([`crate::door`]) hold nothing: what
//! one of them changes, every other sees, and a restart finds it again as a reboot would.

pub mod build;
pub mod config;
pub mod container;
pub mod disk;
pub mod dockerfile;
pub mod event;
pub mod exec;
pub mod fault;
pub mod identity;
pub mod image;
pub mod layer;
pub mod lifecycle;
pub mod log;
pub mod mount;
pub mod network;
mod process;
pub mod recipe;
pub mod refusal;
mod sql_disk;
pub mod state;
pub mod tail;
pub mod volume;
pub mod windows;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use berth_core::{Error, Result};
use chrono::{DateTime, Utc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    event::Event,
    exec::Exec,
    fault::{Clock, Fault, Faults},
    identity::Identity,
    image::Image,
    lifecycle::Live,
    refusal::Answer,
    state::{State, Status, VERSION, make_folder},
    tail::Tail,
    volume::blocking,
};

/// Which machine is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Machine {
    /// A Windows Server 2022 that Berth has prepared, with one SQL Server image built.
    #[default]
    Ready,
    /// A Windows Server 2019 as it comes from its installation, reached by SSH.
    Bare2019,
    /// The same, Windows Server 2022.
    Bare2022,
    /// The same, Windows Server 2025.
    Bare2025,
}

impl Machine {
    /// Its name, as `--machine` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Bare2019 => "bare-2019",
            Self::Bare2022 => "bare-2022",
            Self::Bare2025 => "bare-2025",
        }
    }

    /// Its Windows when it is new.
    fn world(self) -> windows::World {
        use windows::World;
        match self {
            Self::Ready => World::prepared(20348, "Windows Server 2022 Datacenter", "20.10.27"),
            Self::Bare2019 => World::bare(17763, "Windows Server 2019 Datacenter"),
            Self::Bare2022 => World::bare(20348, "Windows Server 2022 Datacenter"),
            Self::Bare2025 => World::bare(26100, "Windows Server 2025 Datacenter"),
        }
    }
}

impl FromStr for Machine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "ready" => Ok(Self::Ready),
            "bare-2019" => Ok(Self::Bare2019),
            "bare-2022" => Ok(Self::Bare2022),
            "bare-2025" => Ok(Self::Bare2025),
            _ => Err(Error::usage(format!(
                "The practice host cannot play the machine `{}`",
                text.escape_debug()
            ))
            .hint("It plays `ready`, `bare-2019`, `bare-2022` and `bare-2025`")),
        }
    }
}

/// What the operating system says of itself.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Facts {
    pub product: &'static str,
    pub edition: &'static str,
    pub display_version: &'static str,
    pub build: u32,
    /// The update revision, the fourth number of the version.
    pub revision: u32,
    pub cpus: u32,
    pub memory_mb: u64,
    pub free_memory_mb: u64,
    pub disk_mb: u64,
    pub free_disk_mb: u64,
    pub computer: &'static str,
    pub engine: &'static str,
}

/// The machine while its process runs.
pub struct Model {
    dir: PathBuf,
    machine: Machine,
    faults: Arc<Faults>,
    identity: Identity,
    booted: DateTime<Utc>,
    state: Mutex<State>,
    /// How many changes there were; the lock holds the number that is on disk.
    changes: AtomicU64,
    saved: tokio::sync::Mutex<u64>,
    live: Mutex<HashMap<String, Arc<Live>>>,
    execs: Mutex<HashMap<String, Arc<Exec>>>,
    events: Arc<Tail<Event>>,
    /// Data folders that a SQL Server has open.
    open_data: Arc<Mutex<HashSet<PathBuf>>>,
    tasks: TaskTracker,
    down: CancellationToken,
    windows: windows::Windows,
}

/// Takes a lock that nobody holds across a wait; what a panic left behind is still a whole value.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 64 hexadecimal digits, as the engine names containers.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::failed("This machine gives no random numbers").because(e.to_string())
    })?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

impl Model {
    /// Opens the folder, or makes a new machine in it, and starts what a boot starts.
    ///
    /// # Errors
    /// The folder cannot be used, or is of a newer Berth or of another machine.
    pub async fn boot(dir: &Path, machine: Machine, faults: Vec<Fault>) -> Result<Arc<Self>> {
        let folder = dir.to_path_buf();
        let (state, identity, live, faults, windows) =
            blocking(move || open(&folder, machine, faults)).await?;
        let booted = Clock::of(&faults).now();
        let model = Arc::new(Self {
            dir: dir.to_path_buf(),
            machine,
            faults,
            identity,
            booted,
            state: Mutex::new(state),
            changes: AtomicU64::new(0),
            saved: tokio::sync::Mutex::new(0),
            live: Mutex::new(live),
            execs: Mutex::new(HashMap::new()),
            events: Arc::new(Tail::new(1000, [])),
            open_data: Arc::default(),
            tasks: TaskTracker::new(),
            down: CancellationToken::new(),
            windows,
        });
        model.start_after_boot().await?;
        Ok(model)
    }

    /// Ends everything that runs, as a shutdown of the machine does. What ran starts again at the next boot.
    pub async fn shut_down(&self) {
        self.down.cancel();
        for live in lock(&self.live).values() {
            live.power_off();
        }
        self.tasks.close();
        if tokio::time::timeout(Duration::from_secs(15), self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("the practice host's containers did not end in time");
        }
    }

    /// Which machine it plays.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The faults that were asked for.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The machine as Windows.
    pub fn windows(&self) -> &windows::Windows {
        &self.windows
    }

    /// Whether the engine answers; each call counts as a request when `counted`.
    pub fn engine_up(&self, counted: bool) -> bool {
        self.windows.read(windows::World::engine_runs) && self.faults.engine_up(counted)
    }

    /// Restarts the machine: every connection ends, and what Windows starts by itself comes back.
    pub fn restart(self: &Arc<Self>) {
        let model = Arc::clone(self);
        self.tasks.spawn(async move {
            for live in lock(&model.live).values() {
                live.power_off();
            }
            tokio::select! {
                () = model.windows.restart(&model.faults) => {}
                () = model.down.cancelled() => return,
            }
            if model.engine_up(false)
                && let Err(e) = model.start_after_boot().await
            {
                tracing::warn!("containers were not started after the restart: {e}");
            }
        });
    }

    /// Who it is and who may sign in.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the machine's clock says.
    pub fn now(&self) -> DateTime<Utc> {
        Clock::of(&self.faults).now()
    }

    /// When it was started.
    pub fn booted(&self) -> DateTime<Utc> {
        self.booted
    }

    /// Ends when the machine goes down.
    pub fn down(&self) -> &CancellationToken {
        &self.down
    }

    /// The engine's id.
    pub fn engine_id(&self) -> String {
        self.read(|state| state.engine_id.clone())
    }

    /// What the operating system says of itself.
    pub fn facts(&self) -> Facts {
        let (product, display_version, build) = match self.machine {
            Machine::Bare2019 => ("Windows Server 2019 Datacenter", "1809", 17763),
            Machine::Ready | Machine::Bare2022 => ("Windows Server 2022 Datacenter", "21H2", 20348),
            Machine::Bare2025 => ("Windows Server 2025 Datacenter", "24H2", 26100),
        };
        Facts {
            product,
            edition: "ServerDatacenter",
            display_version,
            build,
            revision: 4297,
            cpus: 4,
            memory_mb: 16_384,
            free_memory_mb: 11_906,
            disk_mb: 129_434,
            free_disk_mb: 90_317,
            computer: "PRACTICE",
            engine: "20.10.27",
        }
    }

    /// Looks at the state. `look` must not wait for anything.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&lock(&self.state))
    }

    /// Changes the state, and answers when the change is on disk.
    pub(crate) async fn change<T: Send>(
        &self,
        act: impl FnOnce(&mut State) -> T + Send,
    ) -> Answer<T> {
        self.try_change(|state| Ok(act(state))).await
    }

    /// The same for a change that may be refused; one that is refused must have changed nothing.
    pub(crate) async fn try_change<T: Send>(
        &self,
        act: impl FnOnce(&mut State) -> Answer<T> + Send,
    ) -> Answer<T> {
        let (result, change) = {
            let mut state = lock(&self.state);
            (
                act(&mut state)?,
                self.changes.fetch_add(1, Ordering::SeqCst) + 1,
            )
        };
        let mut saved = self.saved.lock().await;
        if *saved < change {
            // Whoever comes first writes for all that wait behind.
            let (state, now) = {
                let state = lock(&self.state);
                (state.clone(), self.changes.load(Ordering::SeqCst))
            };
            let dir = self.dir.clone();
            blocking(move || state.save(&dir)).await?;
            *saved = now;
        }
        Ok(result)
    }
}

/// The blocking part of a boot.
#[allow(clippy::type_complexity, reason = "taken apart where it is called")]
fn open(
    dir: &Path,
    machine: Machine,
    asked: Vec<Fault>,
) -> Result<(
    State,
    Identity,
    HashMap<String, Arc<Live>>,
    Arc<Faults>,
    windows::Windows,
)> {
    make_folder(dir)?;
    // Read before anything is written: a folder of a newer Berth must stay as it is.
    let state = match State::load(dir)? {
        Some(state) if state.machine != machine.as_str() => {
            return Err(Error::failed(format!(
                "The folder `{}` holds the practice machine `{}`, not `{}`",
                dir.display(),
                state.machine,
                machine.as_str()
            ))
            .hint("Ask for that machine, or give another folder"));
        }
        Some(state) => state,
        None => {
            let new = new_state(machine)?;
            new.save(dir)?;
            new
        }
    };
    for folder in ["volumes", "containers"] {
        make_folder(&dir.join(folder))?;
    }
    disk::make_folders(dir)?;
    let identity = Identity::open(dir)?;
    let mut all = fault::of_folder(dir)?;
    all.extend(asked);
    let faults = Arc::new(Faults::new(all));
    disk::let_in(dir, &identity.client_key)?;
    let mut live = HashMap::new();
    for id in state.containers.keys() {
        live.insert(
            id.clone(),
            Arc::new(Live::open(&container_folder(dir, id), Clock::of(&faults))?),
        );
    }
    let windows = windows::Windows::open(dir, machine)?;
    Ok((state, identity, live, faults, windows))
}

fn new_state(machine: Machine) -> Result<State> {
    let ready = Image::ready(Utc::now());
    Ok(State {
        version: VERSION,
        machine: machine.as_str().to_owned(),
        engine_id: uuid::Uuid::new_v4().to_string(),
        addresses_given: 0,
        containers: BTreeMap::new(),
        images: match machine {
            Machine::Ready => [(ready.id.clone(), ready)].into(),
            _ => BTreeMap::new(),
        },
        volumes: BTreeMap::new(),
        steps: std::collections::BTreeSet::new(),
    })
}

/// The folder of a container's own files.
fn container_folder(dir: &Path, id: &str) -> PathBuf {
    dir.join("containers").join(id)
}

impl Model {
    async fn start_after_boot(self: &Arc<Self>) -> Result<()> {
        let failed = |refusal: refusal::Refusal| {
            Error::failed("The practice host did not start").because(refusal.message)
        };
        let up: Vec<(String, bool)> = self.read(|state| {
            state
                .containers
                .values()
                .filter(|c| matches!(c.status, Status::Running | Status::Restarting))
                .map(|c| (c.id.clone(), c.starts_at_boot()))
                .collect()
        });
        let now = self.now();
        self.change(|state| {
            for container in state.containers.values_mut() {
                if matches!(container.status, Status::Running | Status::Restarting) {
                    container.ended(process::SHUT_DOWN, now);
                }
            }
        })
        .await
        .map_err(failed)?;
        for (id, starts) in up {
            if starts && let Err(refusal) = self.start_container(&id).await {
                // As an engine does: one container that cannot start does not keep the others down.
                tracing::warn!(
                    container = id,
                    "not started after boot: {}",
                    refusal.message
                );
            }
        }
        Ok(())
    }
}
