//! Attributes and listings as Microsoft's sftp-server writes them.

use std::{
    fs::{File, FileTimes, Metadata},
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Datelike, Utc};
use russh_sftp::protocol::{self, FileAttributes};

/// The kinds of a file in its permissions.
const FOLDER: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
/// Whether the owner may write, which is all that Windows keeps of permissions: its read-only mark.
const OWNER_WRITES: u32 = 0o200;

fn seconds(time: io::Result<SystemTime>) -> u32 {
    let since = time
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX))
}

/// What a file says of itself.
pub(super) fn of(metadata: &Metadata) -> FileAttributes {
    let writes = if metadata.permissions().readonly() {
        0
    } else {
        OWNER_WRITES
    };
    let (kind, size) = if metadata.is_dir() {
        (FOLDER | 0o500, 0)
    } else {
        (REGULAR | 0o400, metadata.len())
    };
    FileAttributes {
        size: Some(size),
        uid: Some(0),
        gid: Some(0),
        permissions: Some(kind | writes),
        atime: Some(seconds(metadata.accessed())),
        mtime: Some(seconds(metadata.modified())),
        ..FileAttributes::default()
    }
}

/// A folder that is no file of a disk: the place above all drives.
pub(super) fn of_no_file() -> FileAttributes {
    FileAttributes {
        size: Some(0),
        uid: Some(0),
        gid: Some(0),
        permissions: Some(FOLDER | 0o500),
        atime: Some(0),
        mtime: Some(0),
        ..FileAttributes::default()
    }
}

/// One line of a listing, with a `ls -l` for people; Windows knows no group and no others.
pub(super) fn entry(
    name: String,
    attributes: FileAttributes,
    now: DateTime<Utc>,
) -> protocol::File {
    let bits = attributes.permissions.unwrap_or(0);
    let sign = |bit: u32, sign: char| if bits & bit == 0 { '-' } else { sign };
    let time = DateTime::<Utc>::from_timestamp(i64::from(attributes.mtime.unwrap_or(0)), 0)
        .unwrap_or_default();
    let recent = (now - time).num_days().abs() < 182 && time.year() > 1970;
    let time = time.format(if recent { "%b %e %H:%M" } else { "%b %e  %Y" });
    let longname = format!(
        "{}{}{}{}****** {:>4} {:<8} {:<8} {:>8} {time} {name}",
        sign(FOLDER, 'd'),
        sign(0o400, 'r'),
        sign(0o200, 'w'),
        sign(0o100, 'x'),
        1,
        "-",
        "-",
        attributes.size.unwrap_or(0),
    );
    protocol::File {
        filename: name,
        longname,
        attrs: attributes,
    }
}

/// Sets what Windows keeps of attributes: length, times, and whether it may be written.
pub(super) fn set(file: &File, wanted: &FileAttributes) -> io::Result<()> {
    if let Some(size) = wanted.size {
        file.set_len(size)?;
    }
    let at = |seconds: u32| UNIX_EPOCH + Duration::from_secs(u64::from(seconds));
    let mut times = FileTimes::new();
    if let Some(time) = wanted.atime {
        times = times.set_accessed(at(time));
    }
    if let Some(time) = wanted.mtime {
        times = times.set_modified(at(time));
    }
    if wanted.atime.is_some() || wanted.mtime.is_some() {
        file.set_times(times)?;
    }
    if let Some(bits) = wanted.permissions
        && !file.metadata()?.is_dir()
    {
        let mut permissions = file.metadata()?.permissions();
        #[allow(
            clippy::permissions_set_readonly_false,
            reason = "the folder of the practice host is its owner's alone"
        )]
        permissions.set_readonly(bits & OWNER_WRITES == 0);
        file.set_permissions(permissions)?;
    }
    Ok(())
}
