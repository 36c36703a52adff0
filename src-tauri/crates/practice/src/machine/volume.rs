//! Volumes: named data that outlives containers.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Model,
    refusal::{Answer, Refusal},
    state::{self, State, Volume},
};

/// Where Windows would have a volume's data.
pub fn windows_path(name: &str) -> String {
    format!("C:\\ProgramData\\docker\\volumes\\{name}\\_data")
}

/// The engine's rule for names of its `local` driver, and with it safe as a folder's name.
pub fn check_name(name: &str) -> Answer {
    if name.len() == 1 {
        return Err(Refusal::invalid(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = letters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest && name.len() <= 255 {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

impl State {
    /// The containers that mount a volume.
    pub fn users_of(&self, volume: &str) -> Vec<String> {
        self.containers
            .values()
            .filter(|c| c.mounts.iter().any(|m| m.volume.as_deref() == Some(volume)))
            .map(|c| c.id.clone())
            .collect()
    }
}

impl Model {
    /// Where a volume's data really is.
    pub fn volume_folder(&self, name: &str) -> PathBuf {
        self.dir.join("volumes").join(name)
    }

    /// All volumes.
    pub fn volumes(&self) -> Vec<Volume> {
        self.read(|state| state.volumes.values().cloned().collect())
    }

    /// One volume.
    pub fn volume(&self, name: &str) -> Answer<Volume> {
        self.read(|state| state.volumes.get(name).cloned())
            .ok_or_else(|| Refusal::not_found(format!("get {name}: no such volume")))
    }

    /// Makes a volume; one that is there already is answered as it is, whatever labels were asked.
    pub async fn create_volume(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
    ) -> Answer<Volume> {
        check_name(name)?;
        if let Ok(there) = self.volume(name) {
            return Ok(there);
        }
        let folder = self.volume_folder(name);
        blocking(move || state::make_folder(&folder).map(drop)).await?;
        let volume = Volume {
            name: name.to_owned(),
            created: self.now(),
            labels,
        };
        self.change(|state| {
            state
                .volumes
                .entry(name.to_owned())
                .or_insert(volume.clone())
                .clone()
        })
        .await
        .inspect(|_| {
            self.tell(
                "volume",
                "create",
                name,
                [("driver".to_owned(), "local".to_owned())].into(),
            );
        })
    }

    /// Deletes a volume and its data.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Answer {
        if let Err(missing) = self.volume(name) {
            return if force { Ok(()) } else { Err(missing) };
        }
        // Looked at and taken away in one step, so that no container can take it in between.
        self.try_change(|state| {
            let users = state.users_of(name);
            if !users.is_empty() {
                return Err(Refusal::conflict(format!(
                    "remove {name}: volume is in use - [{}]",
                    users.join(", ")
                )));
            }
            state.volumes.remove(name);
            Ok(())
        })
        .await?;
        let folder = self.volume_folder(name);
        blocking(move || match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(berth_core::Error::failed(format!(
                    "The volume's folder `{}` cannot be deleted",
                    folder.display()
                ))
                .because(e.to_string()))
            }
            _ => Ok(()),
        })
        .await?;
        self.tell(
            "volume",
            "destroy",
            name,
            [("driver".to_owned(), "local".to_owned())].into(),
        );
        Ok(())
    }
}

/// Runs file work off the async threads.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> berth_core::Result<T> + Send + 'static,
) -> berth_core::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        berth_core::Error::failed("File work of the practice host ended early")
            .because(e.to_string())
    })?
}
