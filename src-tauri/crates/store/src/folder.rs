//! One folder of versioned JSON files: read whole, changed under a lock, replaced at once.

use std::{
    any::Any,
    collections::BTreeMap,
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use berth_core::{Code, Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A file of more bytes than this is not ours, whatever it says.
pub(crate) const LARGEST: u64 = 16 << 20;

/// How long a change waits for another process to finish its own: those take milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A file changed less than this ago is read again each time: two changes within one tick of the file
/// system's clock cannot be told apart by it.
const SETTLED: Duration = Duration::from_millis(100);

/// What one file holds.
pub trait Content: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static {
    /// The file's name in its folder.
    const FILE: &'static str;
    /// The version that this Berth writes; it reads this one and, by [`Content::migrate`], those before.
    const VERSION: u64 = 1;
    /// What starts anew when somebody moves the file aside; it ends a sentence.
    const LOSS: &'static str;

    /// Brings the content of version `from` to [`Content::VERSION`].
    fn migrate(_from: u64, content: Value) -> Value {
        content
    }
}

/// A folder that belongs to Berth alone. It is made, mode 0700, with the first change.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    lock_wait: Duration,
    parsed: Parsed,
}

/// What was parsed last, by file, and of which state of the file. Shared by clones.
type Parsed = Arc<Mutex<BTreeMap<&'static str, (Stamp, Arc<dyn Any + Send + Sync>)>>>;

/// Tells two states of a file apart without reading it: every change of ours is a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a file that nobody has touched for a moment.
    fn of(about: &Metadata) -> Option<Self> {
        let settled = about
            .modified()
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok())
            .is_some_and(|age| age >= SETTLED);
        settled.then(|| Self {
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

impl Folder {
    /// The folder at `path`; nothing is touched yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            lock_wait: LOCK_WAIT,
            parsed: Arc::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads one file; a file that is not there holds the default. A file that has not changed since it was
    /// last read is only looked at.
    ///
    /// # Errors
    /// [`Code::Refused`] for a file that is damaged or that a newer Berth wrote: it stays as it
    /// is. [`Code::Failed`] where it cannot be read at all.
    pub fn read<T: Content>(&self) -> Result<T> {
        let path = self.path.join(T::FILE);
        // Before it is read: what changes in between then looks changed the next time.
        let stamp = fs::metadata(&path).ok().and_then(|about| Stamp::of(&about));
        if let Some(known) = stamp.and_then(|stamp| self.parsed(T::FILE, stamp)) {
            return Ok(known);
        }
        let content = match read_bounded(&path)? {
            None => return Ok(T::default()),
            Some(bytes) => parse::<T>(&path, &bytes)?,
        };
        if let Some(stamp) = stamp {
            self.parsed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(T::FILE, (stamp, Arc::new(content.clone())));
        }
        Ok(content)
    }

    /// What a file held in that state.
    fn parsed<T: Content>(&self, file: &str, stamp: Stamp) -> Option<T> {
        let parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, content) = parsed.get(file)?;
        (*of == stamp)
            .then(|| content.downcast_ref::<T>().cloned())
            .flatten()
    }

    /// Reads, changes and replaces one file, while no other process of this user can: either
    /// all of the change is on the disk, or none of it. A `change` that fails changes nothing.
    ///
    /// # Errors
    /// What [`Folder::read`] and `change` say, [`Code::TimedOut`] where another process held the
    /// lock for ten seconds, [`Code::Failed`] where the disk is full or forbids writing.
    pub fn update<T: Content, R>(&self, change: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let _lock = self.lock()?;
        let mut content: T = self.read()?;
        let result = change(&mut content)?;
        let path = self.path.join(T::FILE);
        let failed = || Error::failed(format!("`{}` cannot be written", path.display()));
        let mut value =
            serde_json::to_value(&content).map_err(|e| failed().because(e.to_string()))?;
        let Some(object) = value.as_object_mut() else {
            return Err(failed().because("its content is no JSON object"));
        };
        object.insert("version".into(), T::VERSION.into());
        let mut bytes =
            serde_json::to_vec_pretty(&value).map_err(|e| failed().because(e.to_string()))?;
        bytes.push(b'\n');
        self.replace(T::FILE, &bytes)?;
        Ok(result)
    }

    /// Holds the folder's lock until the file is dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        self.make()?;
        let path = self.path.join("store.lock");
        let failed = |e: &io::Error| failure(&path, "cannot be locked", e);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| failed(&e))?;
        let end = Instant::now() + self.lock_wait;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(e)) => return Err(failed(&e)),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                    return Err(Error::new(
                        Code::TimedOut,
                        format!(
                            "Another process has held `{}` for {:?}",
                            path.display(),
                            self.lock_wait
                        ),
                    )
                    .hint("End the `berth` process that hangs, then try again"));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Puts `bytes` in the place of a file, or leaves the old one whole. Only under the lock.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let failed = |e: &io::Error| failure(&path, "cannot be written", e);
        if bytes.len() as u64 > LARGEST {
            return Err(Error::failed(format!(
                "`{}` would get larger than 16 MiB",
                path.display()
            )));
        }
        self.sweep(name);
        let mut new = tempfile::Builder::new()
            .prefix(&new_prefix(name))
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.path)
            .map_err(|e| failed(&e))?;
        new.write_all(bytes).map_err(|e| failed(&e))?;
        // Before the rename: a power cut must not leave the new name on an empty file.
        new.as_file().sync_all().map_err(|e| failed(&e))?;
        new.persist(&path).map_err(|e| failed(&e.error))?;
        // The rename is in the folder. The change has happened; a file system that cannot
        // sync folders is no reason to say that it has not.
        if let Err(e) = File::open(&self.path).and_then(|folder| folder.sync_all()) {
            tracing::debug!("the folder of {} cannot be synced: {e}", path.display());
        }
        Ok(())
    }

    /// Removes what a killed process left half-written. The lock is held, so nobody is writing it.
    fn sweep(&self, name: &str) {
        let prefix = new_prefix(name);
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix)
                && fs::remove_file(entry.path()).is_ok()
            {
                tracing::debug!("removed the unfinished {}", entry.path().display());
            }
        }
    }

    fn make(&self) -> Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|e| failure(&self.path, "cannot be made", &e))
    }
}

fn new_prefix(name: &str) -> String {
    format!(".{name}.new-")
}

/// The bytes of a file, `None` where it is not there.
pub(crate) fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |e: &io::Error| failure(path, "cannot be read", e);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(&e)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| failed(&e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new(
            Code::Refused,
            format!(
                "`{}` is larger than 16 MiB, which Berth never writes",
                path.display()
            ),
        )
        .hint("Look at what it is, and move it aside"));
    }
    Ok(Some(bytes))
}

fn parse<T: Content>(path: &Path, bytes: &[u8]) -> Result<T> {
    let damaged = |why: String| {
        Error::new(
            Code::Refused,
            format!("`{}` is damaged and was left as it is", path.display()),
        )
        .because(why)
        .hint(format!(
            "Repair it, bring it back from a backup, or move it aside: then {}",
            T::LOSS
        ))
        .detail("file", path.display().to_string())
    };
    let mut value: Value = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
    let version = value
        .as_object_mut()
        .and_then(|object| object.remove("version"))
        .and_then(|version| version.as_u64())
        .ok_or_else(|| damaged("it does not say its version".into()))?;
    if version > T::VERSION {
        return Err(Error::new(
            Code::Refused,
            format!("`{}` was written by a newer Berth", path.display()),
        )
        .because(format!(
            "it has version {version}, and this Berth reads up to {}",
            T::VERSION
        ))
        .hint("Update Berth; the file was left as it is")
        .detail("file", path.display().to_string()));
    }
    serde_json::from_value(T::migrate(version, value)).map_err(|e| damaged(e.to_string()))
}

/// An error of the file system, with what to do where that is known.
pub(crate) fn failure(path: &Path, what: &str, e: &io::Error) -> Error {
    let error = Error::failed(format!("`{}` {what}", path.display())).because(e.to_string());
    match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            error.hint("Make room on the disk; what was there before is whole")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            error.hint("Give your user the right to read and write there")
        }
        _ => error,
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
