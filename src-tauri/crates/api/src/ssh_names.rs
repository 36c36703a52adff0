//! The names that `~/.ssh/config` gives to machines: what somebody who types an address means by its first letters.
//!
//! Only names are read here, to be offered (`Host` and `Include` of ssh_config(5)); what such a name means is resolved by
//! `ssh -G` when it is used.

use std::path::{Path, PathBuf};

/// Far above any configuration that people write.
const MAX_FILE: u64 = 1 << 20;
/// As OpenSSH bounds them.
const MAX_DEPTH: usize = 16;
/// Names beyond this are not suggested.
const MOST: usize = 200;

/// The names of all `Host` lines below this home folder, in their order, each once; patterns are none.
pub(crate) fn names(home: &Path) -> Vec<String> {
    let folder = home.join(".ssh");
    let mut names = Vec::new();
    file(home, &folder, &folder.join("config"), 0, &mut names);
    names
}

fn file(home: &Path, folder: &Path, path: &Path, depth: usize, names: &mut Vec<String>) {
    let small = std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= MAX_FILE);
    if depth > MAX_DEPTH || !small {
        return;
    }
    let Ok(text) = std::fs::read_to_string(path) else {
        return;
    };
    for line in text.lines() {
        let Some((key, values)) = split(line) else {
            continue;
        };
        if key.eq_ignore_ascii_case("host") {
            for name in values {
                if names.len() < MOST && is_name(&name) && !names.contains(&name) {
                    names.push(name);
                }
            }
        } else if key.eq_ignore_ascii_case("include") {
            for path in values.iter().flat_map(|v| included(home, folder, v)) {
                file(home, folder, &path, depth + 1, names);
            }
        }
    }
}

/// The keyword of a line and its arguments: parted by white space or one `=`, each possibly in double quotes.
fn split(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=')?;
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let (mut values, mut value, mut quoted) = (Vec::new(), String::new(), false);
    for c in rest.chars() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted && value.is_empty() => break,
            c if c.is_whitespace() && !quoted => {
                if !value.is_empty() {
                    values.push(std::mem::take(&mut value));
                }
            }
            c => value.push(c),
        }
    }
    if !value.is_empty() {
        values.push(value);
    }
    Some((key.to_owned(), values))
}

/// A name that a machine can be reached by: no pattern, nothing that an address would read otherwise.
fn is_name(text: &str) -> bool {
    text.len() <= 253
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// The files that an `Include` names: relative to `~/.ssh`, `*` in the last part only.
fn included(home: &Path, folder: &Path, value: &str) -> Vec<PathBuf> {
    let path = match value.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => folder.join(value),
    };
    let Some(pattern) = path.file_name().and_then(|n| n.to_str()) else {
        return Vec::new();
    };
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![path];
    };
    let Some(entries) = path.parent().and_then(|p| std::fs::read_dir(p).ok()) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .take(MOST)
        .map(|e| e.path())
        .filter(|p| {
            p.file_name().and_then(|n| n.to_str()).is_some_and(|n| {
                !n.starts_with('.')
                    && n.len() >= before.len() + after.len()
                    && n.starts_with(before)
                    && n.ends_with(after)
            })
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = home.path().join(".ssh").join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        home
    }

    #[test]
    fn names_are_found_and_patterns_are_not() {
        let home = home(&[
            (
                "config",
                "Include more/*.conf\nHost build-win win2 *.lab !x\n  HostName 10.0.0.2\n# Host gone\nHost=\"quoted\" # a note\nMatch host *\nhost build-win\nHostName never\n",
            ),
            ("more/a.conf", "Host from-a\n"),
            ("more/b.txt", "Host from-b\n"),
        ]);
        assert_eq!(
            names(home.path()),
            ["from-a", "build-win", "win2", "quoted"],
            "what is offered is what `ssh` would take as a name"
        );
    }

    #[test]
    fn a_configuration_that_includes_itself_ends() {
        let home = home(&[("config", "Include config\nHost once\n")]);
        assert_eq!(names(home.path()), ["once"]);
    }

    proptest! {
        #[test]
        fn whatever_is_in_it_names_are_names(text in "(?s).{0,400}") {
            let home = home(&[("config", &text)]);
            for name in names(home.path()) {
                prop_assert!(is_name(&name), "{name:?}");
            }
        }
    }
}
