//! The built-in practice host: a Windows container host carried in a process.
//!
//! It answers as a Windows Server 2022 with a container engine does: over real SSH, with
//! the Engine API of a Windows engine, and with SQL Server's wire protocol over SQLite, so
//! that containers, volumes, logins and databases are real and survive a restart. It never
//! claims to be SQL Server, and what it does not know it says so.
//!
//! There is one model of the machine ([`machine`]) and a door for each protocol ([`door`]).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod door;
pub mod machine;
pub mod sql;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use berth_core::{Error, Result, Secret};
use tokio::{net::TcpListener, task::JoinHandle};

pub use machine::{Machine, fault::Fault};
use machine::{Model, identity::USER};

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where everything that lasts is kept. Made when it is missing; one practice host at a time.
    pub dir: PathBuf,
    /// The port of its SSH door on 127.0.0.1; `None` takes the one of the last time, else any that is free.
    pub ssh_port: Option<u16>,
    /// A port on 127.0.0.1 for the engine behind mutual TLS; 0 takes any that is free. `None` opens none.
    pub tls_port: Option<u16>,
    /// Which machine it plays.
    pub machine: Machine,
    /// What goes wrong on it.
    pub faults: Vec<Fault>,
}

/// The engine behind mutual TLS.
struct Tls {
    address: SocketAddr,
    folder: PathBuf,
    door: JoinHandle<()>,
}

/// A practice host that runs.
pub struct Practice {
    model: Arc<Model>,
    address: SocketAddr,
    host_key: String,
    door: JoinHandle<()>,
    tls: Option<Tls>,
    /// Held while it runs: two processes on one folder would lose each other's changes.
    _only: std::fs::File,
}

impl Practice {
    /// Boots the machine and opens its SSH door.
    ///
    /// # Errors
    /// The folder cannot be used, another practice host runs in it, it is of a newer Berth,
    /// or the port is taken.
    pub async fn start(settings: Settings) -> Result<Self> {
        let dir = settings.dir.clone();
        let only = machine::volume::blocking(move || only_one(&dir)).await?;
        let listener = listen(&settings).await?;
        let address = listener.local_addr().map_err(|e| {
            Error::failed("The practice host's own address cannot be read").because(e.to_string())
        })?;
        let model = Model::boot(&settings.dir, settings.machine, settings.faults).await?;
        let host_key = model.identity().host_key_line()?;
        let (dir, port) = (settings.dir.clone(), address.port().to_string());
        machine::volume::blocking(move || {
            machine::state::write_private(&dir, PORT_FILE, port.as_bytes())
        })
        .await?;
        let door = tokio::spawn(door::ssh::serve(Arc::clone(&model), listener));
        let tls = match settings.tls_port {
            Some(port) => Some(open_tls(&model, &settings.dir, port).await?),
            None => None,
        };
        Ok(Self {
            model,
            address,
            host_key,
            door,
            tls,
            _only: only,
        })
    }

    /// Where its SSH door is: 127.0.0.1 and a port.
    #[must_use]
    pub fn ssh_address(&self) -> SocketAddr {
        self.address
    }

    /// Where its engine is behind mutual TLS, and the folder with `ca.pem`, `cert.pem` and `key.pem` for a
    /// client; `None` where no port was asked for.
    #[must_use]
    pub fn tls(&self) -> Option<(SocketAddr, &Path)> {
        self.tls
            .as_ref()
            .map(|tls| (tls.address, tls.folder.as_path()))
    }

    /// Its ed25519 host key, as a line of OpenSSH (`ssh-ed25519 AAAA… comment`).
    #[must_use]
    pub fn host_key(&self) -> String {
        self.host_key.clone()
    }

    /// The host key's fingerprint, `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.model.identity().fingerprint()
    }

    /// Its one account.
    #[must_use]
    pub fn user(&self) -> &str {
        USER
    }

    /// The private key that signs in, a file of mode 0600 in its folder.
    #[must_use]
    pub fn client_key_path(&self) -> &Path {
        &self.model.identity().client_key_path
    }

    /// The password that signs in, made once and kept in its folder (mode 0600).
    #[must_use]
    pub fn password(&self) -> Secret {
        self.model.identity().password.clone()
    }

    /// The machine behind the doors, for tests that look at it from the inside.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Shuts the machine down: databases are closed cleanly, and what ran starts again with the next [`Practice::start`].
    pub async fn stop(self) {
        self.model.shut_down().await;
        if self.door.await.is_err() {
            tracing::warn!("the practice host's SSH door ended badly");
        }
        if let Some(tls) = self.tls
            && tls.door.await.is_err()
        {
            tracing::warn!("the practice host's TLS door ended badly");
        }
    }
}

async fn open_tls(model: &Arc<Model>, dir: &Path, port: u16) -> Result<Tls> {
    let wrong = |e: std::io::Error| {
        Error::failed(format!(
            "The practice host cannot listen on `127.0.0.1:{port}`"
        ))
        .because(e.to_string())
        .hint("Give it another port for TLS")
    };
    let door = door::engine::tls::Door::new(model, dir).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(wrong)?;
    Ok(Tls {
        address: listener.local_addr().map_err(wrong)?,
        door: tokio::spawn(door::engine::tls::serve(
            Arc::clone(model),
            door.acceptor(),
            listener,
        )),
        folder: door.folder,
    })
}

/// Where the port of the last time is kept.
const PORT_FILE: &str = "ssh_port";

/// Opens the port that was asked for; else that of the last time, since clients know the host
/// by it; else any.
async fn listen(settings: &Settings) -> Result<TcpListener> {
    let at = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if settings.ssh_port.is_none() {
        let file = settings.dir.join(PORT_FILE);
        let last =
            machine::volume::blocking(move || Ok(std::fs::read_to_string(file).ok())).await?;
        if let Some(port) = last.and_then(|text| text.trim().parse().ok())
            && let Ok(listener) = at(port).await
        {
            return Ok(listener);
        }
    }
    let wanted = settings.ssh_port.unwrap_or(0);
    at(wanted).await.map_err(|e| {
        Error::failed(format!(
            "The practice host cannot listen on `127.0.0.1:{wanted}`"
        ))
        .because(e.to_string())
        .hint("Give it another port")
    })
}

fn only_one(dir: &Path) -> Result<std::fs::File> {
    machine::state::make_folder(dir)?;
    let path = dir.join("lock");
    let failed = |e: std::io::Error| {
        Error::failed(format!(
            "The practice host's folder `{}` cannot be used",
            dir.display()
        ))
        .because(e.to_string())
    };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::failed(format!(
            "Another practice host runs in `{}`",
            dir.display()
        ))
        .hint("Use that one, or give this one another folder")),
        Err(std::fs::TryLockError::Error(e)) => Err(failed(e)),
    }
}
