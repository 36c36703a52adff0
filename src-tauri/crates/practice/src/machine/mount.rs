//! Mounts by the rules of Windows: `Mounts` keep their case, `Binds` are lower-cased.

use std::path::PathBuf;

use super::{
    Model,
    config::{Config, HostConfig, MountSpec},
    disk::WindowsPath,
    refusal::{Answer, Refusal},
    state::Mount,
    volume,
};

/// Whether `path` is absolute with a drive letter, such as `C:\data`.
fn is_absolute(path: &str) -> bool {
    let mut letters = path.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.next() == Some(':')
        && matches!(letters.next(), None | Some('\\' | '/'))
        && !letters
            .as_str()
            .contains([':', '*', '?', '"', '<', '>', '|', '\r', '\n'])
}

fn tidy(path: &str) -> String {
    let path = path.replace('/', "\\");
    if path.len() > 3 {
        path.trim_end_matches('\\').to_owned()
    } else {
        path
    }
}

fn bad(spec: &MountSpec, why: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(format!(
        "invalid mount config for type \"{}\": {why}",
        spec.r#type
    ))
}

/// Reads one entry of `Binds`, such as `sql1:c:\data` or `c:\sql1:c:\data:ro`.
pub fn parse_bind(raw: &str) -> Answer<MountSpec> {
    let invalid = || Refusal::invalid(format!("invalid volume specification: '{raw}'"));
    let lower = raw.to_lowercase();
    let (rest, read_only) = match lower.strip_suffix(":ro") {
        Some(rest) => (rest, true),
        None => (lower.strip_suffix(":rw").unwrap_or(&lower), false),
    };
    // The target is the last drive letter with its path; what is before it is the source.
    let drive = rest.rmatch_indices(':').next().ok_or_else(invalid)?.0;
    let start = drive.checked_sub(1).ok_or_else(invalid)?;
    let (source, target) = (
        rest.get(..start).ok_or_else(invalid)?,
        rest.get(start..).ok_or_else(invalid)?,
    );
    let source = match source {
        "" => "",
        _ => source.strip_suffix(':').ok_or_else(invalid)?,
    };
    if !is_absolute(target) {
        return Err(invalid());
    }
    let kind = if is_absolute(source) {
        "bind"
    } else {
        "volume"
    };
    Ok(MountSpec {
        r#type: kind.into(),
        source: source.to_owned(),
        target: target.to_owned(),
        read_only,
        ..MountSpec::default()
    })
}

fn check(model: &Model, spec: &MountSpec) -> Answer {
    if spec.target.is_empty() {
        return Err(bad(spec, "field Target must not be empty"));
    }
    if matches!(tidy(&spec.target).to_lowercase().as_str(), "c:" | "c:\\") {
        let target = spec.target.to_lowercase();
        return Err(bad(
            spec,
            format!("destination path cannot be `c:` or `c:\\`: {target}"),
        ));
    }
    if spec.r#type != "npipe" && !is_absolute(&spec.target) {
        return Err(bad(spec, format!("invalid mount path: '{}'", spec.target)));
    }
    match spec.r#type.as_str() {
        "bind" => {
            if spec.source.is_empty() {
                return Err(bad(spec, "field Source must not be empty"));
            }
            let source = WindowsPath::absolute(&spec.source).ok_or_else(|| {
                bad(
                    spec,
                    format!(
                        "invalid mount path: '{}' mount path must be absolute",
                        spec.source
                    ),
                )
            })?;
            match model.real_path(&source).map(std::fs::metadata) {
                None | Some(Err(_)) => Err(bad(
                    spec,
                    format!("bind source path does not exist: {}", spec.source),
                )),
                Some(Ok(there)) if !there.is_dir() => {
                    Err(bad(spec, "source path must be a directory"))
                }
                Some(Ok(_)) => Ok(()),
            }
        }
        "volume" if spec.source.is_empty() && spec.read_only => Err(bad(
            spec,
            "must not set ReadOnly mode when using anonymous volumes",
        )),
        "volume" if spec.source.is_empty() => Ok(()),
        "volume" => volume::check_name(&spec.source),
        "npipe" => Err(Refusal::not_implemented("A mount of a named pipe")),
        "tmpfs" => Err(bad(spec, "windows does not support tmpfs")),
        _ => Err(bad(spec, "mount type unknown")),
    }
}

impl Model {
    /// Checks and resolves everything that a container mounts. Volumes are not made here.
    pub fn resolve_mounts(&self, config: &Config, host: &HostConfig) -> Answer<Vec<Mount>> {
        let mut specs: Vec<MountSpec> = host
            .binds
            .iter()
            .map(|raw| parse_bind(raw))
            .collect::<Answer<_>>()?;
        specs.extend(host.mounts.iter().cloned());
        // `Volumes` of the configuration are places for anonymous volumes, where nothing else is mounted.
        for target in config.volumes.iter().flatten().map(|(target, _)| target) {
            if !specs
                .iter()
                .any(|s| tidy(&s.target).eq_ignore_ascii_case(&tidy(target)))
            {
                specs.push(MountSpec {
                    r#type: "volume".into(),
                    target: target.clone(),
                    ..MountSpec::default()
                });
            }
        }
        let mut mounts: Vec<Mount> = Vec::new();
        for spec in specs {
            check(self, &spec)?;
            let target = tidy(&spec.target);
            if mounts
                .iter()
                .any(|m| m.target.eq_ignore_ascii_case(&target))
            {
                return Err(Refusal::invalid(format!("Duplicate mount point: {target}")));
            }
            let anonymous = spec.r#type == "volume" && spec.source.is_empty();
            let volume = match (spec.r#type.as_str(), anonymous) {
                ("volume", true) => Some(super::random_id()?),
                ("volume", false) => Some(spec.source.clone()),
                _ => None,
            };
            let source = volume
                .as_deref()
                .map_or_else(|| tidy(&spec.source), volume::windows_path);
            mounts.push(Mount {
                volume,
                source,
                target,
                read_only: spec.read_only,
                anonymous,
            });
        }
        Ok(mounts)
    }

    /// The real folder behind a mount.
    pub fn mount_folder(&self, mount: &Mount) -> Option<PathBuf> {
        match &mount.volume {
            Some(name) => Some(self.volume_folder(name)),
            None => self.real_path(&WindowsPath::absolute(&mount.source)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn binds_are_read_as_windows_reads_them() {
        let read = |raw: &str| parse_bind(raw).map(|m| (m.r#type, m.source, m.target, m.read_only));
        let is = |a: &str, b: &str, c: &str, d| Ok((a.to_owned(), b.to_owned(), c.to_owned(), d));
        assert_eq!(
            read("SQL1:C:\\Data"),
            is("volume", "sql1", "c:\\data", false),
            "binds lose their case"
        );
        assert_eq!(
            read("c:\\a b:d:\\x:ro"),
            is("bind", "c:\\a b", "d:\\x", true)
        );
        assert_eq!(read("C:\\data"), is("volume", "", "c:\\data", false));
        for wrong in ["", "x", "sql1:/data", ":", "sql1:"] {
            assert!(
                read(wrong).is_err(),
                "`{wrong}` names no place in a Windows container"
            );
        }
    }

    proptest! {
        #[test]
        fn reading_a_bind_never_panics(raw in "\\PC{0,40}") {
            let _ = parse_bind(&raw);
        }
    }
}
