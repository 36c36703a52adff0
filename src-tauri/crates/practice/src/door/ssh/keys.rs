//! Whose keys open the door: `C:\ProgramData\ssh\administrators_authorized_keys`, read at each
//! sign-in, by the rules of Win32-OpenSSH.

use std::{collections::HashSet, sync::Arc};

use russh::keys::{PublicKey, ssh_key::public::KeyData};

use crate::machine::{Model, disk::WindowsPath, volume::blocking};

/// The file that sshd's own configuration names for members of Administrators.
const FILE: &str = "C:\\ProgramData\\ssh\\administrators_authorized_keys";
/// No such file of people is longer; what is, is not read.
const LONGEST: u64 = 1024 * 1024;
/// Options that take away what this machine does not have anyway. A line with another one opens
/// nothing: an option that is not kept must not be taken for one.
const HARMLESS: [&str; 5] = [
    "no-agent-forwarding",
    "no-pty",
    "no-user-rc",
    "no-X11-forwarding",
    "pty",
];

/// The keys that open the account of an administrator.
pub(super) async fn administrators(model: &Arc<Model>) -> HashSet<KeyData> {
    let model = Arc::clone(model);
    let text = blocking(move || {
        let real = WindowsPath::absolute(FILE).and_then(|path| model.real_path(&path));
        Ok(real
            .filter(|file| std::fs::metadata(file).is_ok_and(|there| there.len() <= LONGEST))
            .and_then(|file| std::fs::read(file).ok()))
    })
    .await;
    text.ok()
        .flatten()
        .map(|bytes| read(&bytes))
        .unwrap_or_default()
}

/// The keys of a file. One that PowerShell wrote as UTF-16 has none, as on Windows.
fn read(file: &[u8]) -> HashSet<KeyData> {
    // Only whole lines of text: a byte order mark belongs to the first line and spoils it.
    file.split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(key_of)
        .collect()
}

/// The key of a line that opens without conditions.
fn key_of(line: &str) -> Option<KeyData> {
    let key = |text: &str| Some(PublicKey::from_openssh(text).ok()?.key_data().clone());
    key(line).or_else(|| {
        let (options, rest) = line.split_once([' ', '\t'])?;
        let harmless = |option: &str| {
            HARMLESS
                .iter()
                .any(|known| option.eq_ignore_ascii_case(known))
        };
        options
            .split(',')
            .all(harmless)
            .then(|| key(rest.trim_start()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAnfI2gRUKBiDNBzEF1UNQ8BSdOTViWphv7ph0fzmq+7";

    #[test]
    fn keys_are_read_as_windows_reads_them() {
        let count = |text: &str| read(text.as_bytes()).len();
        assert_eq!(count(&format!("# mine\r\n\r\n{KEY} me@mac\r\n")), 1);
        assert_eq!(count(&format!("no-pty {KEY}\n")), 1);
        assert_eq!(
            count(&format!("from=\"10.0.0.1\" {KEY}\n")),
            0,
            "a limit that is not kept must not let everybody in"
        );
        assert_eq!(count(&format!("command=\"echo no\" {KEY}\n")), 0);
        let utf16: Vec<u8> = "\u{feff}"
            .encode_utf16()
            .chain(KEY.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(
            read(&utf16).len(),
            0,
            "PowerShell's `>` writes UTF-16, and sshd reads no key there"
        );
        assert_eq!(
            count(&format!("\u{feff}{KEY}\n")),
            0,
            "nor behind a byte order mark"
        );
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_panic(file in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&file);
        }
    }
}
