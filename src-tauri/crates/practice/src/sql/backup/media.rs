//! The file of a backup: sets one behind the other, each a header, the database's bytes and their hash.
//!
//! The format is the practice host's own. A backup of SQL Server itself is known by its first bytes, and declined.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sql::{disk::OsError, state::Files};

/// The first bytes of every file; the number is the format's.
const MAGIC: &[u8] = b"BERTH PRACTICE BACKUP 1\n";
/// The first bytes of what SQL Server writes (Microsoft Tape Format).
const TAPE: &[u8] = b"TAPE";
/// A header is text of a few hundred bytes; more is no header.
const LONGEST_HEADER: u32 = 64 * 1024;
/// Bytes that are copied at a time.
pub(super) const PIECE: usize = 1024 * 1024;
const HASH: u64 = 32;

/// What a backup set says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) media_name: Option<String>,
    pub(super) database: String,
    pub(super) created: String,
    pub(super) started: String,
    pub(super) finished: String,
    /// The version that is played, such as 2022, and its build.
    pub(super) version: u16,
    pub(super) build: String,
    pub(super) server: String,
    pub(super) login: String,
    pub(super) collation: String,
    pub(super) compat: i32,
    pub(super) recovery: String,
    pub(super) access: i32,
    pub(super) read_only: bool,
    pub(super) snapshot_reads: bool,
    pub(super) files: Files,
    pub(super) checksum: bool,
    pub(super) copy_only: bool,
    /// A GUID as text.
    pub(super) set: String,
}

/// A set in a file.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) header: Header,
    /// Where its bytes begin, and how many there are.
    pub(super) start: u64,
    pub(super) bytes: u64,
    /// Whether the file holds all of it.
    pub(super) whole: bool,
}

/// Why a file is no backup that can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Os(OsError),
    /// SQL Server wrote it.
    Foreign,
    Malformed,
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

/// Lists the sets of a file, in order.
pub(super) fn sets(path: &Path) -> Result<Vec<Set>, Unreadable> {
    let os = |e: io::Error| Unreadable::Os(OsError::of(&e, path));
    let file = File::open(path).map_err(os)?;
    let meta = file.metadata().map_err(os)?;
    if !meta.is_file() {
        return Err(Unreadable::Os(OsError::DENIED));
    }
    let end = meta.len();
    let mut file = BufReader::new(file);
    let mut magic = vec![0; MAGIC.len()];
    let whole = fill(&mut file, &mut magic).map_err(os)?;
    if !whole || magic != MAGIC {
        return Err(if magic.starts_with(TAPE) {
            Unreadable::Foreign
        } else {
            Unreadable::Malformed
        });
    }
    let mut out = Vec::new();
    loop {
        let mut length = [0; 4];
        if !fill(&mut file, &mut length).map_err(os)? {
            break;
        }
        let length = u32::from_be_bytes(length);
        if length > LONGEST_HEADER {
            return Err(Unreadable::Malformed);
        }
        let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
        let mut bytes = [0; 8];
        if !fill(&mut file, &mut text).map_err(os)? || !fill(&mut file, &mut bytes).map_err(os)? {
            return Err(Unreadable::Malformed);
        }
        let header: Header = serde_json::from_slice(&text).map_err(|_| Unreadable::Malformed)?;
        let bytes = u64::from_be_bytes(bytes);
        let start = file.stream_position().map_err(os)?;
        let next = start
            .checked_add(bytes)
            .and_then(|n| n.checked_add(HASH))
            .ok_or(Unreadable::Malformed)?;
        out.push(Set {
            header,
            start,
            bytes,
            whole: next <= end,
        });
        if next >= end {
            break;
        }
        file.seek(SeekFrom::Start(next)).map_err(os)?;
    }
    if out.is_empty() {
        return Err(Unreadable::Malformed);
    }
    Ok(out)
}

/// Writes one set behind what is there. `each` is told how many bytes went, and may end it.
pub(super) fn write<E: From<io::Error>>(
    file: &mut File,
    header: &Header,
    from: &mut File,
    mut each: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), E> {
    if file.seek(SeekFrom::End(0))? == 0 {
        file.write_all(MAGIC)?;
    }
    let text = serde_json::to_vec(header).map_err(io::Error::other)?;
    let length = u32::try_from(text.len())
        .ok()
        .filter(|n| *n <= LONGEST_HEADER)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let bytes = from.metadata()?.len();
    file.write_all(&length.to_be_bytes())?;
    file.write_all(&text)?;
    file.write_all(&bytes.to_be_bytes())?;
    let hash = copy(&mut from.take(bytes), file, bytes, &mut each)?;
    file.write_all(&hash)?;
    file.sync_all()?;
    Ok(())
}

/// Copies a set's bytes, and answers whether they are those that were written.
pub(super) fn read<E: From<io::Error>>(
    path: &Path,
    set: &Set,
    to: &mut impl Write,
    mut each: impl FnMut(u64) -> Result<(), E>,
) -> Result<bool, E> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(set.start))?;
    let hash = copy(&mut (&mut file).take(set.bytes), to, set.bytes, &mut each)?;
    let mut kept = [0; 32];
    file.read_exact(&mut kept)?;
    Ok(hash == kept)
}

fn copy<E: From<io::Error>>(
    from: &mut impl Read,
    to: &mut impl Write,
    bytes: u64,
    each: &mut impl FnMut(u64) -> Result<(), E>,
) -> Result<[u8; 32], E> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let n = from.read(&mut buffer)?;
        let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        hash.update(part);
        to.write_all(part)?;
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        left = left.saturating_sub(n);
        each(n)?;
    }
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_file_of_any_bytes_is_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..300), head in any::<bool>()) {
            if head {
                bytes.splice(0..0, MAGIC.iter().copied());
            }
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.bak");
            std::fs::write(&path, &bytes).unwrap();
            prop_assert!(sets(&path).is_err(), "chance wrote no header, so nothing may be read as one");
        }
    }
}
