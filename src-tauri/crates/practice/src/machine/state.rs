//! What the machine is, on disk: one versioned file, written whole or not at all.

use std::{
    collections::BTreeMap,
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use berth_core::{Error, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    config::{Config, HostConfig},
    image::Image,
};

/// The version of the file that this code writes. A higher one is refused.
pub const VERSION: u32 = 1;
const FILE: &str = "machine.json";

/// The machine between two moments. No `Debug`: environments may hold passwords.
#[derive(Clone, Serialize, Deserialize)]
pub struct State {
    /// See [`VERSION`].
    pub version: u32,
    /// Which machine it plays, as [`super::Machine`] names it.
    pub machine: String,
    /// The engine's own id.
    pub engine_id: String,
    /// How many addresses the NAT has given out: it goes round, so that one is not soon used again.
    pub addresses_given: u32,
    /// Containers by id.
    pub containers: BTreeMap<String, Container>,
    /// Images by id.
    pub images: BTreeMap<String, Image>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, Volume>,
    /// The finished steps of builds, which the builder's cache is.
    #[serde(default)]
    pub steps: std::collections::BTreeSet<String>,
}

/// A volume; its data is in the folder of its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Volume {
    pub name: String,
    pub created: DateTime<Utc>,
    pub labels: BTreeMap<String, String>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never started.
    Created,
    /// Its process runs, or ran when the machine went down.
    Running,
    /// Its process ended and the restart policy will start it again soon.
    Restarting,
    /// Its process ended.
    Exited,
}

impl Status {
    /// The Engine API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
        }
    }
}

/// A mount with its names resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Mount {
    /// The volume's name; `None` for a folder of the host.
    pub volume: Option<String>,
    /// The Windows path on the host.
    pub source: String,
    /// The Windows path in the container.
    pub target: String,
    pub read_only: bool,
    /// Whether the volume was made for this container alone and goes with it.
    pub anonymous: bool,
}

/// A container.
#[derive(Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub created: DateTime<Utc>,
    pub image_id: String,
    pub config: Config,
    pub host_config: HostConfig,
    pub mounts: Vec<Mount>,
    pub status: Status,
    pub exit_code: u32,
    pub error: String,
    pub started: Option<DateTime<Utc>>,
    pub finished: Option<DateTime<Utc>>,
    pub restarts: u32,
    /// Somebody stopped it; `unless-stopped` then leaves it down.
    pub stopped_by_hand: bool,
    /// Its NAT address while it runs.
    pub address: Option<Ipv4Addr>,
}

impl State {
    /// Reads what an earlier run left; `None` in a folder that has none.
    ///
    /// # Errors
    /// The file is of a newer Berth, or cannot be read or understood.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unreadable(&path).because(e.to_string())),
        };
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        // Version first: the rest of a newer file may have any shape.
        let head: Head =
            serde_json::from_slice(&text).map_err(|e| unreadable(&path).because(e.to_string()))?;
        if head.version > VERSION {
            return Err(Error::failed(format!(
                "The practice host in `{}` was written by a newer Berth",
                dir.display()
            ))
            .because(format!(
                "its file has version {}, and this Berth reads up to {VERSION}",
                head.version
            ))
            .hint("Use the newer Berth, or give the practice host another folder"));
        }
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|e| unreadable(&path).because(e.to_string()))
    }

    /// Writes it beside the old file and swaps them, so that a crash leaves one of the two whole.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| {
            Error::failed("The practice host's state cannot be written down").because(e.to_string())
        })?;
        write_private(dir, FILE, &text)
    }
}

fn unreadable(path: &Path) -> Error {
    Error::failed(format!(
        "The practice host's file `{}` cannot be read",
        path.display()
    ))
    .hint("Move its folder away to begin with a new practice host; nothing in it was changed")
}

/// Writes a file that only its owner can read, whole or not at all.
///
/// # Errors
/// The folder cannot be written.
pub fn write_private(dir: &Path, name: &str, content: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        // The file behind `NamedTempFile` is made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(dir.join(name)).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| {
        Error::failed(format!(
            "The practice host cannot write `{}`",
            dir.join(name).display()
        ))
        .because(e.to_string())
    })
}

/// A folder that only its owner can open.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> Result<PathBuf> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| {
        Error::failed(format!("The folder `{}` cannot be made", path.display()))
            .because(e.to_string())
    })?;
    Ok(path.to_path_buf())
}
