//! The files of databases under SQL Server's names.
//!
//! A database is one file of SQLite whose name never comes back, so that no session can mistake a new database for an
//! old one. Its data file (`shop.mdf`) is a second name of that same file, so that it is there for whoever looks; its
//! log file (`shop_log.ldf`) says in words where the log really is.

use std::path::PathBuf;

use super::{
    disk::OsError,
    message::{Message, SqlResult},
    server::SqlServer,
    state::{Database, Files},
};

/// What is in a log file: it is there to be found, and to say what it is not.
const LOG: &str = "The practice host keeps the log of this database together with its data.\n";

/// Signs that no file of Windows can have in its name.
const UNFIT: &[char] = &['\\', '/', ':', '*', '?', '"', '<', '>', '|'];

impl SqlServer {
    fn in_folder(&self, folder: &str, name: &str) -> String {
        format!("{folder}{}{name}", self.disk.separator())
    }

    /// The files of a database that is made without naming any.
    pub(crate) fn new_files(&self, name: &str) -> Files {
        let folder = self.disk.folders().data;
        let stem: String = name
            .chars()
            .map(|c| {
                if UNFIT.contains(&c) || c.is_control() {
                    '_'
                } else {
                    c
                }
            })
            .collect();
        Files {
            data_name: name.to_owned(),
            data_path: self.in_folder(&folder, &format!("{stem}.mdf")),
            log_name: format!("{name}_log"),
            log_path: self.in_folder(&folder, &format!("{stem}_log.ldf")),
            family: uuid::Uuid::new_v4().to_string(),
        }
    }

    /// A database's files, by the names that it was made or restored with.
    pub(crate) fn files_of(&self, d: &Database) -> Files {
        if let Some(files) = &d.files {
            return files.clone();
        }
        let folder = self.disk.folders().system;
        let (data, log) = match d.id {
            1 => ("master", "mastlog"),
            2 => ("tempdev", "templog"),
            3 => ("modeldev", "modellog"),
            4 => ("MSDBData", "MSDBLog"),
            _ => (d.name.as_str(), ""),
        };
        Files {
            data_name: data.to_owned(),
            data_path: self.in_folder(&folder, &d.file),
            log_name: if log.is_empty() {
                format!("{data}_log")
            } else {
                log.to_owned()
            },
            log_path: self.in_folder(&folder, &format!("{}-wal", d.file)),
            family: uuid::Uuid::nil().to_string(),
        }
    }

    /// Where a database's file would be here.
    ///
    /// # Errors
    /// 5133 where its folder is missing, a decline where it is none of the server's.
    pub(crate) fn place(&self, path: &str) -> SqlResult<PathBuf> {
        let lookup = |e: OsError| {
            Message::new(
                5133,
                16,
                1,
                format!(
                    "Directory lookup for the file \"{path}\" failed with the operating system error {}.",
                    e.0
                ),
            )
        };
        let real = self.disk.file(path, true).map_err(lookup)?;
        let folder = real.parent().map(PathBuf::from).unwrap_or_default();
        if !folder.is_dir() {
            return Err(lookup(OsError::NO_PATH));
        }
        if !folder.starts_with(&self.dir) {
            return Err(super::message::not_implemented(format!(
                "A database file outside of `{}` (`{path}`)",
                self.disk.folders().system
            )));
        }
        Ok(real)
    }

    /// Refuses a path where something is already.
    ///
    /// # Errors
    /// 5170, and those of [`Self::place`].
    pub(crate) fn may_name(&self, path: &str) -> SqlResult<()> {
        if self.place(path)?.exists() {
            return Err(Message::new(
                5170,
                16,
                1,
                format!(
                    "Cannot create file '{path}' because it already exists. Change the file path or the file name, and retry the operation."
                ),
            ));
        }
        Ok(())
    }

    /// Gives a database's file its names, over whatever had them.
    pub(crate) fn name_files(&self, d: &Database) -> SqlResult<()> {
        let Some(files) = &d.files else {
            return Ok(());
        };
        let failed = |e: std::io::Error| {
            Message::new(
                5123,
                16,
                1,
                format!(
                    "CREATE FILE encountered operating system error {} while attempting to open or create the physical file '{}'.",
                    OsError::of(&e, &self.dir).0,
                    files.data_path
                ),
            )
        };
        let (data, log) = (self.place(&files.data_path)?, self.place(&files.log_path)?);
        for old in [&data, &log] {
            match std::fs::remove_file(old) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(e)),
            }
        }
        std::fs::hard_link(self.dir.join(&d.file), data).map_err(failed)?;
        std::fs::write(log, LOG).map_err(failed)
    }

    /// Takes the names away; the file itself stays.
    pub(crate) fn unname_files(&self, d: &Database) {
        let Some(files) = &d.files else {
            return;
        };
        for path in [&files.data_path, &files.log_path] {
            if let Ok(real) = self.place(path)
                && let Err(e) = std::fs::remove_file(real)
                && e.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!("a database's file keeps its name: {e}");
            }
        }
    }

    /// After a start: what an interrupted backup or restore left is removed, missing names are given again.
    pub(super) fn tidy_files(&self) {
        let folders = self.disk.folders();
        for folder in [&folders.data, &folders.backup] {
            if let Ok(real) = self.disk.file(folder, true)
                && real.starts_with(&self.dir)
                && let Err(e) = std::fs::create_dir_all(real)
            {
                tracing::warn!("a folder of the SQL server cannot be made: {e}");
            }
        }
        if let Ok(entries) = std::fs::read_dir(&self.dir) {
            for entry in entries.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with("backup-") && name.ends_with(".draft") {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
        let databases = self.state().databases.clone();
        for d in databases {
            if let Some(files) = &d.files
                && self
                    .place(&files.data_path)
                    .is_ok_and(|real| !real.exists())
                && let Err(e) = self.name_files(&d)
            {
                tracing::warn!("a database's file has no name: {}", e.text);
            }
        }
    }
}
