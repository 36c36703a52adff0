//! A container's disk as the SQL Server in it sees it.

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
};

use super::{Model, disk::WindowsPath, state::Container};
use crate::sql::disk::{Disk, Folders, OsError};

/// What is mounted into one container, and what is its own.
pub(super) struct ContainerDisk {
    /// The machine holds its containers' servers, and is not held by them.
    model: Weak<Model>,
    container: Container,
}

impl std::fmt::Debug for ContainerDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainerDisk")
            .field("container", &self.container.id)
            .finish_non_exhaustive()
    }
}

impl ContainerDisk {
    pub(super) fn new(model: &Arc<Model>, container: Container) -> Self {
        Self {
            model: Arc::downgrade(model),
            container,
        }
    }
}

impl Disk for ContainerDisk {
    /// As Berth's image sets it up: `install.ps1` of the recipe.
    fn folders(&self) -> Folders {
        Folders {
            system: "C:\\data".to_owned(),
            data: "C:\\data\\user".to_owned(),
            backup: "C:\\data\\backup".to_owned(),
        }
    }

    fn separator(&self) -> char {
        '\\'
    }

    fn file(&self, path: &str, to_write: bool) -> Result<PathBuf, OsError> {
        let model = self.model.upgrade().ok_or(OsError::DEVICE)?;
        let path = WindowsPath::absolute(path).ok_or(OsError::NAME)?;
        if path.is_root() {
            return Err(OsError::DENIED);
        }
        let read_only = self.container.mounts.iter().any(|mount| {
            mount.read_only
                && WindowsPath::absolute(&mount.target)
                    .is_some_and(|target| path.below(&target).is_some())
        });
        if to_write && read_only {
            return Err(OsError::DENIED);
        }
        model
            .container_file(&self.container, &path)
            .ok_or(OsError::NO_PATH)
    }

    fn takes_room(&self, bytes: u64) -> bool {
        self.model
            .upgrade()
            .is_none_or(|model| model.faults().takes_room(bytes))
    }
}
