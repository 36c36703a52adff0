//! The server's files under the names that the server gives them: those of its own machine, which may be a Windows
//! that is played.

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
};

/// Why a file is not to be had: Windows' number with its words, as SQL Server repeats them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OsError(pub &'static str);

impl OsError {
    /// The file itself is missing.
    pub const NO_FILE: Self = Self("2(The system cannot find the file specified.)");
    /// A folder on the way is missing.
    pub const NO_PATH: Self = Self("3(The system cannot find the path specified.)");
    /// It may not be read or written.
    pub const DENIED: Self = Self("5(Access is denied.)");
    /// The file ends too early.
    pub const SHORT: Self = Self("38(Reached the end of the file.)");
    /// The disk is full.
    pub const FULL: Self = Self("112(There is not enough space on the disk.)");
    /// It is no name of a file.
    pub const NAME: Self =
        Self("123(The filename, directory name, or volume label syntax is incorrect.)");
    /// Something else went wrong with the device.
    pub const DEVICE: Self =
        Self("1117(The request could not be performed because of an I/O device error.)");

    /// What Windows would say of it.
    #[must_use]
    pub fn of(e: &io::Error, path: &Path) -> Self {
        match e.kind() {
            io::ErrorKind::NotFound if path.parent().is_some_and(Path::is_dir) => Self::NO_FILE,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NO_PATH,
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::ReadOnlyFilesystem => Self::DENIED,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::FULL,
            io::ErrorKind::UnexpectedEof => Self::SHORT,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => Self::NAME,
            _ => Self::DEVICE,
        }
    }
}

/// The folders that a server was set up with, in its own words, without a separator at the end.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Where its own databases and its error log are.
    pub system: String,
    /// Where new databases are.
    pub data: String,
    /// Where backups go that name no folder.
    pub backup: String,
}

/// The disk of the machine that a server runs on.
pub trait Disk: Send + Sync + Debug {
    /// The folders that the server was set up with.
    fn folders(&self) -> Folders;

    /// What is between the names of a path.
    fn separator(&self) -> char;

    /// Where a file is here, whether or not it is there. Blocking.
    ///
    /// # Errors
    /// No file can have this name, or it may not be written.
    fn file(&self, path: &str, to_write: bool) -> Result<PathBuf, OsError>;

    /// Whether so many more bytes fit; they count as written when they do.
    fn takes_room(&self, _bytes: u64) -> bool {
        true
    }
}

/// The machine that this process runs on.
#[derive(Debug)]
pub(super) struct Own(pub(super) PathBuf);

impl Disk for Own {
    fn folders(&self) -> Folders {
        let folder = self.0.display().to_string();
        Folders {
            system: folder.clone(),
            data: folder.clone(),
            backup: folder,
        }
    }

    fn separator(&self) -> char {
        std::path::MAIN_SEPARATOR
    }

    fn file(&self, path: &str, _: bool) -> Result<PathBuf, OsError> {
        if path.contains('\0') {
            return Err(OsError::NAME);
        }
        Ok(self.0.join(path))
    }
}
