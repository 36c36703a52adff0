//! What of a stranger's string may be repeated. Whoever wrote it may have put the password anywhere.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What stands where something is not repeated.
pub(super) const HIDDEN: &str = "••••";

/// A database, user or application name, unless a password may hide in it.
pub(super) fn value(value: &str, password: Option<&str>) -> String {
    if may_hide_a_password(value, password) {
        HIDDEN.to_owned()
    } else {
        value.escape_debug().to_string()
    }
}

/// Whether `value` may hold a password: it names one, looks like a login in a URL, is far too long for a name, or
/// shares a stretch with the password.
pub(super) fn may_hide_a_password(value: &str, password: Option<&str>) -> bool {
    let lower = value.to_lowercase();
    let names_one = ["pass", "pwd", "secret", "://", "-p "]
        .iter()
        .any(|word| lower.contains(word))
        && lower.contains(['=', ':', ' ']);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '\\');
    names_one
        || value.chars().count() > 128
        || match password {
            Some(password) => overlaps(value, password),
            // It has to be somewhere.
            None => !value.chars().all(plain),
        }
}

/// Whether four characters in a row of the password stand in `value`.
fn overlaps(value: &str, password: &str) -> bool {
    let letters: Vec<char> = password.chars().collect();
    if letters.len() < 4 {
        return false;
    }
    letters.windows(4).any(|window| {
        let part: String = window.iter().collect();
        value.contains(&part)
    })
}

/// Whether it is a name or an address, and so may be shown as one.
pub(super) fn is_host(host: &str) -> bool {
    let name = host.len() <= 128
        && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    name || host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok()
}
