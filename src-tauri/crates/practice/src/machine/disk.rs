//! The machine's own files, as NTFS shows them: names keep their case and are found without it.
//!
//! Each drive is a folder named by its letter. Volumes are where the engine of a Windows host
//! keeps them, `C:\ProgramData\docker\volumes\NAME\_data`, whatever folder holds them here.

use std::{
    io,
    path::{Path, PathBuf},
};

use russh::keys::PublicKey;

use super::Model;

/// The drives that the machine has.
const DRIVES: [char; 1] = ['C'];
/// Where volumes are on a Windows host, in the parts of the path below the drive.
const VOLUMES: [&str; 3] = ["ProgramData", "docker", "volumes"];
/// NTFS's longest name in UTF-16 units.
const LONGEST_NAME: usize = 255;

/// An absolute path of Windows without `.` and `..`: a drive and names below it, or the place
/// above all drives, which SFTP calls `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowsPath {
    drive: Option<char>,
    names: Vec<String>,
}

impl WindowsPath {
    /// Reads `C:\a\b`, with either slash and any case; `None` for what is not absolute, climbs
    /// (`..`), or has a name that NTFS cannot hold.
    #[must_use]
    pub fn absolute(text: &str) -> Option<Self> {
        let (drive, rest) = drive_of(text)?;
        let mut path = Self {
            drive: Some(drive),
            names: Vec::new(),
        };
        for part in rest.split(['\\', '/']).filter(|part| !part.is_empty()) {
            if part == "." || part == ".." || !is_name(part) {
                return None;
            }
            path.names.push(part.to_owned());
        }
        Some(path)
    }

    /// Reads a path as Microsoft's sftp-server does: `/C:/a`, `C:/a`, `C:\a`, or relative to `home`;
    /// `.` and `..` are resolved, and nothing is above `/`. `None` has a name that NTFS cannot hold.
    #[must_use]
    pub fn of_sftp(text: &str, home: &Self) -> Option<Self> {
        let shortened = text.strip_prefix(['/', '\\']);
        let (mut path, rest) = match (drive_of(shortened.unwrap_or(text)), shortened) {
            (Some((drive, rest)), _) => (
                Self {
                    drive: Some(drive),
                    names: Vec::new(),
                },
                rest,
            ),
            (None, Some(rest)) => {
                let path = Self {
                    drive: None,
                    names: Vec::new(),
                };
                // `/Users` names no drive: only what leads back to `/` is a place.
                (path, rest)
            }
            (None, None) => (home.clone(), text),
        };
        for part in rest.split(['\\', '/']).filter(|part| !part.is_empty()) {
            match part {
                "." => {}
                ".." if path.names.pop().is_none() => path.drive = None,
                ".." => {}
                _ if path.drive.is_none() => {
                    let (drive, "") = drive_of(part)? else {
                        return None;
                    };
                    path.drive = Some(drive);
                }
                _ if is_name(part) => path.names.push(part.to_owned()),
                _ => return None,
            }
        }
        Some(path)
    }

    /// As SFTP writes it: `/C:/a/b`, or `/`.
    #[must_use]
    pub fn to_sftp(&self) -> String {
        match self.drive {
            None => "/".to_owned(),
            Some(drive) if self.names.is_empty() => format!("/{drive}:/"),
            Some(drive) => format!("/{drive}:/{}", self.names.join("/")),
        }
    }

    /// As Windows writes it: `C:\a\b`.
    #[must_use]
    pub fn to_windows(&self) -> String {
        match self.drive {
            None => "\\".to_owned(),
            Some(drive) => format!("{drive}:\\{}", self.names.join("\\")),
        }
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.names.last().map(String::as_str)
    }

    /// Whether it is `/`, above all drives.
    #[must_use]
    pub fn is_above_drives(&self) -> bool {
        self.drive.is_none()
    }

    /// Whether it is a drive itself or what is above all of them.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.names.is_empty()
    }

    /// The path one name longer.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let mut path = self.clone();
        path.names.push(name.to_owned());
        path
    }

    /// The names below another path that this one is or is under; case does not matter.
    #[must_use]
    pub fn below(&self, above: &Self) -> Option<&[String]> {
        let (head, rest) = self.names.split_at_checked(above.names.len())?;
        let under = self.drive == above.drive
            && head
                .iter()
                .zip(&above.names)
                .all(|(one, other)| same(one, other));
        under.then_some(rest)
    }

    /// The names below its drive.
    #[must_use]
    pub fn names_below_drive(&self) -> Option<&[String]> {
        self.drive.map(|_| self.names.as_slice())
    }

    /// What is below the folder of the engine's volumes; `None` for what is elsewhere.
    fn below_volumes(&self) -> Option<&[String]> {
        let (above, rest) = self.names.split_at_checked(VOLUMES.len())?;
        let here = self.drive == Some('C')
            && above
                .iter()
                .zip(VOLUMES)
                .all(|(name, wanted)| name.eq_ignore_ascii_case(wanted));
        here.then_some(rest)
    }

    /// The name of the volume whose folder it is or is in, and the names below that volume's `_data`.
    fn in_volume(&self) -> Option<(&str, &[String])> {
        match self.below_volumes()? {
            [volume] => Some((volume, &[])),
            [volume, data, below @ ..] if data.eq_ignore_ascii_case("_data") => {
                Some((volume, below))
            }
            _ => None,
        }
    }

    /// Whether it is a folder that the engine makes and removes, and nobody else.
    #[must_use]
    pub fn is_engines(&self) -> bool {
        match self.below_volumes() {
            Some([] | [_]) => true,
            Some([_, data]) => data.eq_ignore_ascii_case("_data"),
            _ => false,
        }
    }
}

/// The drive that a path begins with, in capitals, and what follows it.
fn drive_of(text: &str) -> Option<(char, &str)> {
    let mut letters = text.chars();
    let drive = letters.next().filter(char::is_ascii_alphabetic)?;
    let rest = letters.as_str().strip_prefix(':')?;
    (rest.is_empty() || rest.starts_with(['\\', '/'])).then(|| (drive.to_ascii_uppercase(), rest))
}

/// Whether NTFS holds such a name and Win32 opens it: no sign that means something to either, no
/// blank or dot at the end, no device.
fn is_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let numbered = |device: &str| {
        stem.get(..3)
            .is_some_and(|s| s.eq_ignore_ascii_case(device))
            && stem
                .get(3..)
                .is_some_and(|n| n.len() == 1 && n.starts_with(|c: char| ('1'..='9').contains(&c)))
    };
    !name.is_empty()
        && !name.contains(|c: char| c < ' ' || "<>:\"/\\|?*".contains(c))
        && !name.ends_with([' ', '.'])
        && name.encode_utf16().count() <= LONGEST_NAME
        && !["con", "prn", "aux", "nul"]
            .iter()
            .any(|device| stem.eq_ignore_ascii_case(device))
        && !numbered("com")
        && !numbered("lpt")
}

/// Whether two names are one to NTFS.
fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// The entry of `folder` that a name means, or where it would be made. Blocking.
pub(crate) fn entry(folder: &Path, name: &str) -> PathBuf {
    let exact = folder.join(name);
    if std::fs::symlink_metadata(&exact).is_ok() {
        return exact;
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return exact;
    };
    entries
        .filter_map(Result::ok)
        .find(|entry| same(&entry.file_name().to_string_lossy(), name))
        .map_or(exact, |entry| entry.path())
}

impl Model {
    /// The disks of the machine: a folder for each drive letter.
    fn disks(&self) -> PathBuf {
        self.dir.join("disk")
    }

    /// Whether anything more fits on the disk.
    pub fn has_room(&self) -> bool {
        self.faults().has_room()
    }

    /// Where a path of the machine really is, whether or not something is there. Blocking.
    ///
    /// `None` for what is on no disk.
    pub fn real_path(&self, path: &WindowsPath) -> Option<PathBuf> {
        let drive = path.drive.filter(|drive| DRIVES.contains(drive))?;
        let (start, names) = match path.in_volume() {
            Some((name, below)) => {
                let known = self.read(|state| {
                    state
                        .volumes
                        .keys()
                        .find(|volume| same(volume, name))
                        .cloned()
                })?;
                (self.volume_folder(&known), below)
            }
            None => (
                self.disks().join(drive.to_ascii_lowercase().to_string()),
                path.names.as_slice(),
            ),
        };
        Some(
            names
                .iter()
                .fold(start, |folder, name| entry(&folder, name)),
        )
    }

    /// The names in a folder of the machine. Blocking.
    ///
    /// # Errors
    /// It is no folder, or cannot be read.
    pub fn names_in(&self, path: &WindowsPath) -> io::Result<Vec<String>> {
        if path.is_above_drives() {
            return Ok(DRIVES.iter().map(|drive| format!("{drive}:")).collect());
        }
        let real = self.real_path(path).ok_or(io::ErrorKind::NotFound)?;
        let mut names: Vec<String> = match path.below_volumes() {
            Some([]) => self.read(|state| state.volumes.keys().cloned().collect()),
            Some([_]) => vec!["_data".to_owned()],
            _ => std::fs::read_dir(real)?
                .filter_map(Result::ok)
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect(),
        };
        names.sort_by_key(|name| name.to_lowercase());
        Ok(names)
    }
}

/// The folder of sshd's own files, and in it the keys of administrators.
const SSH: &str = "disk/c/ProgramData/ssh";
const ADMINISTRATORS_KEYS: &str = "administrators_authorized_keys";

/// The folders that a new machine has.
const FOLDERS: [&str; 5] = [
    "disk/c/ProgramData/Berth",
    "disk/c/ProgramData/docker/volumes",
    SSH,
    "disk/c/Users/Administrator",
    "disk/c/Windows/Temp",
];

/// Makes them, in a machine that has some of them in another case too. Blocking.
pub(super) fn make_folders(dir: &Path) -> berth_core::Result<()> {
    for folder in FOLDERS {
        super::make_folder(&below(dir, folder))?;
    }
    Ok(())
}

/// A folder of the machine, also where an earlier Berth wrote it in another case. Blocking.
fn below(dir: &Path, folder: &str) -> PathBuf {
    folder
        .split('/')
        .fold(dir.to_path_buf(), |above, name| entry(&above, name))
}

/// Puts the client's key where sshd looks for administrators' keys, in a machine that has no such
/// file yet. Blocking.
pub(super) fn let_in(dir: &Path, key: &PublicKey) -> berth_core::Result<()> {
    let folder = below(dir, SSH);
    let file = entry(&folder, ADMINISTRATORS_KEYS);
    if file.exists() {
        return Ok(());
    }
    let failed = |why: String| {
        berth_core::Error::failed("The practice host's own key cannot be let in").because(why)
    };
    let line = key.to_openssh().map_err(|e| failed(e.to_string()))? + "\n";
    super::state::write_private(&folder, ADMINISTRATORS_KEYS, line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn home() -> WindowsPath {
        WindowsPath::absolute("C:\\Users\\Administrator").unwrap()
    }

    #[test]
    fn sftp_paths_are_read_as_microsofts_server_reads_them() {
        let read = |text: &str| WindowsPath::of_sftp(text, &home()).map(|p| p.to_sftp());
        for (text, is) in [
            (".", "/C:/Users/Administrator"),
            ("", "/C:/Users/Administrator"),
            ("x/../y", "/C:/Users/Administrator/y"),
            ("..", "/C:/Users"),
            ("/", "/"),
            ("/..", "/"),
            ("/C:", "/C:/"),
            ("/c:/Temp/", "/C:/Temp"),
            ("c:\\Temp\\a b", "/C:/Temp/a b"),
            ("C:/Temp/./x", "/C:/Temp/x"),
            ("/C:/..", "/"),
            ("/C:/../C:/Temp", "/C:/Temp"),
        ] {
            assert_eq!(read(text).as_deref(), Some(is), "`{text}`");
        }
        for text in [
            "/Users",
            "/C:x",
            "/C:/a?b",
            "/C:/nul",
            "/C:/COM1.txt",
            "/C:/x.",
            "a:b",
        ] {
            assert_eq!(read(text), None, "`{text}` names nothing on Windows");
        }
    }

    #[test]
    fn a_volume_is_known_by_its_place() {
        let path =
            WindowsPath::absolute("c:\\programdata\\docker\\VOLUMES\\sql1\\_data\\x").unwrap();
        assert_eq!(path.in_volume(), Some(("sql1", &["x".to_owned()][..])));
        assert!(!path.is_engines());
        for folder in ["", "\\sql1", "\\sql1\\_DATA"] {
            let path = WindowsPath::absolute(&format!("C:\\ProgramData\\docker\\volumes{folder}"));
            assert!(
                path.unwrap().is_engines(),
                "nobody but the engine makes or removes `{folder}`"
            );
        }
    }

    proptest! {
        #[test]
        fn no_path_climbs(path in "([A-Za-z]:)?([\\\\/.a-zA-Z ]|\\.\\.){0,24}") {
            for read in [WindowsPath::absolute(&path), WindowsPath::of_sftp(&path, &home())].into_iter().flatten() {
                prop_assert!(!read.names.iter().any(|name| name == ".." || name.contains(['/', '\\'])));
            }
        }

        #[test]
        fn what_sftp_writes_it_reads_back(path in "(/[cC]:)?(/?[a-zA-Z0-9 ._äß-]{1,8}){0,5}") {
            if let Some(read) = WindowsPath::of_sftp(&path, &home()) {
                prop_assert_eq!(WindowsPath::of_sftp(&read.to_sftp(), &home()), Some(read));
            }
        }
    }
}
