//! Where Berth keeps its files. `BERTH_HOME` moves every path at once; nothing else decides.

use std::{
    env, fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use berth_core::{Error, Result};

/// The folder of one user's Berth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    folder: PathBuf,
    program: Option<PathBuf>,
}

impl Paths {
    /// `BERTH_HOME`, else `~/Library/Application Support/Berth` on a Mac, else `$XDG_DATA_HOME/berth` or `~/.local/share/berth`.
    ///
    /// # Errors
    /// Where there is no home folder.
    pub fn of_this_user() -> Result<Self> {
        if let Some(folder) = env::var_os("BERTH_HOME").filter(|v| !v.is_empty()) {
            let folder = std::path::absolute(&folder).map_err(|e| {
                Error::failed("`BERTH_HOME` is no usable path").because(e.to_string())
            })?;
            return Ok(Self {
                folder,
                program: None,
            });
        }
        let home = env::home_dir().filter(|h| h.is_absolute()).ok_or_else(|| {
            Error::failed("There is no home folder for Berth's files")
                .hint("Set `HOME` or `BERTH_HOME`")
        })?;
        let folder = if cfg!(target_os = "macos") {
            home.join("Library/Application Support/Berth")
        } else {
            env::var_os("XDG_DATA_HOME")
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
                .unwrap_or_else(|| home.join(".local/share"))
                .join("berth")
        };
        Ok(Self {
            folder,
            program: None,
        })
    }

    /// A given folder; for tests.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            program: None,
        }
    }

    /// The same folder, with another program than the running one started as its agent; for tests.
    #[must_use]
    pub fn served_by(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// What is started as the agent; none means the running program.
    pub(crate) fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The agent's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("agent.sock")
    }

    /// Held locked for as long as an agent lives.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.folder.join("agent.lock")
    }

    /// The agent's log; the one before it is `agent.log.1`.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("agent.log")
    }

    /// Makes the folder, for its user alone, and refuses one that others can open.
    ///
    /// # Errors
    /// Where it cannot be made, belongs to somebody else, or its path is too long for a socket.
    pub fn prepare(&self) -> Result<()> {
        let at = self.folder.display();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|e| {
                Error::failed(format!("The folder `{at}` cannot be made"))
                    .because(e.to_string())
                    .hint("Set `BERTH_HOME` to a folder that you can write to")
            })?;
        let about = fs::metadata(&self.folder).map_err(|e| {
            Error::failed(format!("The folder `{at}` cannot be read")).because(e.to_string())
        })?;
        if about.uid() != rustix::process::geteuid().as_raw() {
            return Err(
                Error::failed(format!("The folder `{at}` belongs to another user"))
                    .hint("Set `BERTH_HOME` to a folder of your own"),
            );
        }
        if about.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).map_err(|e| {
                Error::failed(format!(
                    "The folder `{at}` is open to others and cannot be closed"
                ))
                .because(e.to_string())
            })?;
        }
        // The limit is sun_path's: 104 bytes on macOS, 108 on Linux, with the final NUL.
        if self.socket().as_os_str().len() > 103 {
            return Err(
                Error::failed(format!("The path `{at}` is too long for a socket"))
                    .hint("Set `BERTH_HOME` to a shorter path"),
            );
        }
        Ok(())
    }
}
