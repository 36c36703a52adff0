//! Which host keys are trusted: Berth's own record, and the user's files read only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use berth_core::{Code, Error, Result};
use russh::keys::{Certificate, PublicKey};

use crate::{
    Address, Strict, host_certificate,
    known_hosts::{self, Record, Role, Verdict},
};

/// Where host keys are recorded.
#[derive(Debug, Clone, Default)]
pub struct HostKeys {
    /// Berth's own file in OpenSSH's known_hosts format; the only one that is written.
    pub own: PathBuf,
    /// Files of others that count as well, as `~/.ssh/known_hosts`. Missing ones are fine.
    pub read_only: Vec<PathBuf>,
    /// `SHA256:…` that the user gave for this connect. An unknown key that has it is
    /// recorded; it never replaces a recorded key.
    pub trust: Option<String>,
    /// The name under which the host's keys are recorded, whatever its address (`HostKeyAlias`).
    pub alias: Option<String>,
    /// Whether a key that nobody knows may be recorded by itself.
    pub strict: Strict,
    /// A file of keys that must never be accepted (`RevokedHostKeys`). Missing, it revokes all.
    pub revoked: Option<PathBuf>,
}

/// The names under which one server's keys are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// As in Berth's own record: `host`, `[host]:port` or the alias.
    pub(crate) recorded: String,
    /// Without its port, where that is not 22: a key recorded so counts as well, a missing one says nothing.
    pub(crate) plain: Option<String>,
    /// What a host certificate has to be made for.
    pub(crate) principal: String,
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self {
            recorded: name.to_owned(),
            plain: None,
            principal: name.to_owned(),
        }
    }
}

/// What all files say about one server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) named: Vec<Record>,
    /// Under the name without its port.
    pub(crate) plain: Vec<Record>,
}

impl Records {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Record> {
        self.named.iter().chain(&self.plain)
    }

    pub(crate) fn has_authority(&self) -> bool {
        self.all().any(|record| record.role == Role::Authority)
    }
}

/// How long another process may hold the own file's lock.
const LOCK_WAIT: Duration = Duration::from_secs(3);

impl HostKeys {
    /// The name under which a server's keys are recorded, as an error about them names it.
    #[must_use]
    pub fn name_of(&self, address: &Address) -> String {
        self.names(address).recorded
    }

    pub(crate) fn names(&self, address: &Address) -> Name {
        match &self.alias {
            Some(alias) => Name::from(alias.to_lowercase().as_str()),
            None => Name {
                recorded: known_hosts::name_of(&address.host, address.port),
                plain: (address.port != 22).then(|| address.host.to_lowercase()),
                principal: address.host.to_lowercase(),
            },
        }
    }

    /// Every record of a server in all files. Blocks on the disk.
    pub(crate) fn records(&self, name: &Name) -> Result<Records> {
        let mut records = Records::default();
        for file in std::iter::once(&self.own).chain(&self.read_only) {
            // A file that is there but cannot be read may hold the very record that says "changed".
            let text = bytes(file).map_err(|e| {
                Error::failed(format!(
                    "The known host keys in `{}` cannot be read",
                    file.display()
                ))
                .because(e.to_string())
            })?;
            let text = String::from_utf8_lossy(&text);
            records
                .named
                .extend(known_hosts::lookup(&text, file, &name.recorded));
            if let Some(plain) = &name.plain {
                records
                    .plain
                    .extend(known_hosts::lookup(&text, file, plain));
            }
        }
        Ok(records)
    }

    /// Whether the offered key may be used; records it when the user gave its fingerprint, or lets every
    /// new one in. Blocks on the disk.
    ///
    /// # Errors
    /// [`Code::HostKeyUnknown`], [`Code::HostKeyChanged`], [`Code::Refused`] for a revoked
    /// key, or the own file cannot be read or written.
    pub(crate) fn check(&self, name: impl Into<Name>, offered: &PublicKey) -> Result<()> {
        let name = name.into();
        self.not_revoked(&name, offered)?;
        let fingerprint = known_hosts::fingerprint(offered);
        let trusted = self
            .trust
            .as_deref()
            .is_some_and(|t| same_fingerprint(t, &fingerprint));
        match self.verdict(&name, offered) {
            Err(e)
                if e.code() == Code::HostKeyUnknown
                    && (trusted || self.strict == Strict::AcceptNew && self.trust.is_none()) =>
            {
                self.record(&name, offered)
            }
            other => other,
        }
    }

    /// Whether the offered certificate may be used; its key alone is looked at where nobody trusts its
    /// authority. Blocks on the disk.
    ///
    /// # Errors
    /// As [`HostKeys::check`], and [`Code::Refused`] for a certificate that is not valid here.
    pub(crate) fn check_certificate(
        &self,
        name: &Name,
        offered: &Certificate,
        signatures: Option<&[String]>,
    ) -> Result<()> {
        let key = PublicKey::from(offered.public_key().clone());
        let authority = PublicKey::from(offered.signature_key().clone());
        self.not_revoked(name, &key)?;
        self.not_revoked(name, &authority)?;
        let records = self.records(name)?;
        for of in [&key, &authority] {
            if let Some(record) = records
                .all()
                .find(|r| r.role == Role::Revoked && r.key.key_data() == of.key_data())
            {
                return Err(revoked(&name.recorded, of, &record.place()));
            }
        }
        let trusted = records
            .all()
            .find(|r| r.role == Role::Authority && r.key.key_data() == authority.key_data());
        match trusted {
            Some(record) => {
                host_certificate::check(offered, &name.principal, signatures, &record.place())
            }
            None => self.check(name.clone(), &key),
        }
    }

    fn verdict(&self, name: &Name, offered: &PublicKey) -> Result<()> {
        let records = self.records(name)?;
        match verdict(&records.named, &name.recorded, offered, self) {
            Err(e) if e.code() == Code::HostKeyUnknown => {
                match known_hosts::judge(&records.plain, offered) {
                    Verdict::Known => Ok(()),
                    Verdict::Revoked(record) => {
                        Err(revoked(&name.recorded, offered, &record.place()))
                    }
                    Verdict::Unknown { .. } | Verdict::Changed { .. } => Err(e),
                }
            }
            other => other,
        }
    }

    /// `RevokedHostKeys`: one key a line, as in a `.pub` file.
    fn not_revoked(&self, name: &Name, offered: &PublicKey) -> Result<()> {
        let Some(file) = &self.revoked else {
            return Ok(());
        };
        let refused = |why: String| {
            Error::new(
                Code::Refused,
                format!("Whether the key of `{}` is revoked cannot be told", name.recorded),
            )
            .because(why)
            .hint("`RevokedHostKeys` in the SSH configuration names a file that `ssh` would refuse every host for")
        };
        let text = fs::read(file)
            .map_err(|e| refused(format!("`{}` cannot be read: {e}", file.display())))?;
        if text.starts_with(b"SSHKRL") {
            return Err(refused(format!(
                "`{}` is a binary revocation list, which Berth cannot read yet",
                file.display()
            ))
            .hint("Name a file with one public key a line there"));
        }
        for (index, line) in String::from_utf8_lossy(&text).lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key: PublicKey = line.parse().map_err(|_| {
                refused(format!(
                    "line {} of `{}` is no public key",
                    index + 1,
                    file.display()
                ))
            })?;
            if key.key_data() == offered.key_data() {
                let place = format!("line {} of `{}`", index + 1, file.display());
                return Err(revoked(&name.recorded, offered, &place));
            }
        }
        Ok(())
    }

    fn record(&self, name: &Name, offered: &PublicKey) -> Result<()> {
        let failed = |e: io::Error| {
            Error::failed(format!(
                "The key of `{}` could not be recorded in `{}`",
                name.recorded,
                self.own.display()
            ))
            .because(e.to_string())
        };
        if let Some(folder) = self.own.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let _lock = lock(&self.own).map_err(failed)?;
        // Under the lock once more: another process may have recorded another key meanwhile.
        match self.verdict(name, offered) {
            Err(e) if e.code() == Code::HostKeyUnknown => {}
            other => return other,
        }
        let line = known_hosts::line(&name.recorded, offered)
            .ok_or_else(|| failed(io::Error::other("the key cannot be written as text")))?;
        let mut text = bytes(&self.own).map_err(failed)?;
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(line.as_bytes());
        replace(&self.own, &text).map_err(failed)
    }
}

fn same_fingerprint(given: &str, offered: &str) -> bool {
    // Some tools pad base64, ssh-keygen does not.
    given.trim().trim_end_matches('=') == offered
}

fn revoked(name: &str, offered: &PublicKey, place: &str) -> Error {
    let fingerprint = known_hosts::fingerprint(offered);
    Error::new(
        Code::Refused,
        format!("The key of `{name}` is marked as revoked"),
    )
    .because(format!("{place} revokes `{fingerprint}`"))
    .hint("Somebody decided that this key must never be accepted again; ask the host's owner")
    .detail("offered", fingerprint)
    .detail("algorithm", offered.algorithm().to_string())
}

fn verdict(records: &[Record], name: &str, offered: &PublicKey, keys: &HostKeys) -> Result<()> {
    let fingerprint = known_hosts::fingerprint(offered);
    let algorithm = offered.algorithm().to_string();
    match known_hosts::judge(records, offered) {
        Verdict::Known => Ok(()),
        Verdict::Revoked(record) => Err(revoked(name, offered, &record.place())),
        Verdict::Changed { expected } => {
            let fingerprints: Vec<_> = expected
                .iter()
                .map(|r| known_hosts::fingerprint(&r.key))
                .collect();
            let places: Vec<_> = expected.iter().map(|r| r.place()).collect();
            let kinds: Vec<_> = expected
                .iter()
                .map(|r| r.key.algorithm().to_string())
                .collect();
            Err(Error::new(Code::HostKeyChanged, format!("`{name}` shows another host key than the recorded one"))
                .because(format!(
                    "recorded: {} `{}` ({}), offered: {algorithm} `{fingerprint}`",
                    kinds.join(", "),
                    fingerprints.join("`, `"),
                    places.join(", "),
                ))
                .hint(
                    "The host was reinstalled or has a new address, or somebody answers in its place. Ask the host's owner for its fingerprint; only when it is right, remove the recorded key and add the host again",
                )
                .detail("expected", fingerprints.join(" "))
                .detail("offered", fingerprint)
                .detail("algorithm", algorithm)
                .detail("recorded_at", places.join(", ")))
        }
        Verdict::Unknown { authorities } => {
            let mut error = Error::new(
                Code::HostKeyUnknown,
                format!("The key of `{name}` is not known yet"),
            )
            .because(format!("it shows {algorithm} `{fingerprint}`"));
            if let Some(authority) = authorities.first() {
                error = error.because(format!(
                    "{} trusts a certificate authority for it, but it shows no certificate of that one",
                    authority.place()
                ));
            }
            if let Some(given) = keys.trust.as_deref() {
                error = error.because(format!(
                    "the given fingerprint `{}` is another one",
                    given.trim()
                ));
            }
            if keys.strict == Strict::Yes {
                error = error
                    .because("`StrictHostKeyChecking yes` in the SSH configuration lets in only known keys")
                    .detail("strict", "yes");
            }
            Err(error
                .hint(format!("Compare it with what the host's owner says, then trust it with `--trust-host-key {fingerprint}`"))
                .detail("fingerprint", fingerprint)
                .detail("algorithm", algorithm)
                .detail("host", name))
        }
    }
}

fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    match fs::read(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// One writer at a time, also among processes. The lock goes with the returned file.
fn lock(own: &Path) -> io::Result<File> {
    let mut name = own.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if start.elapsed() < LOCK_WAIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(fs::TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another process holds its lock",
                ));
            }
            Err(fs::TryLockError::Error(e)) => return Err(e),
        }
    }
}

/// Whole or not at all; readable by the user alone (tempfile creates with 0600).
fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let folder = file
        .parent()
        .filter(|f| !f.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut next = tempfile::NamedTempFile::new_in(folder)?;
    next.write_all(text)?;
    next.as_file().sync_all()?;
    next.persist(file).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const ED2: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    fn in_folder(folder: &Path, trust: Option<String>) -> HostKeys {
        HostKeys {
            own: folder.join("berth/known_hosts"),
            read_only: vec![folder.join("user")],
            trust,
            ..HostKeys::default()
        }
    }

    #[test]
    fn an_unknown_key_is_recorded_only_by_its_own_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let e = in_folder(folder.path(), None)
            .check("h", &key(ED))
            .unwrap_err();
        assert_eq!(e.code(), Code::HostKeyUnknown);
        let fingerprint = e.get_detail("fingerprint").unwrap().to_owned();
        assert!(
            e.what_to_do()
                .unwrap()
                .contains(&format!("--trust-host-key {fingerprint}")),
            "{e:?}"
        );

        let wrong = in_folder(folder.path(), Some("SHA256:AAAA".into()))
            .check("h", &key(ED))
            .unwrap_err();
        assert_eq!(
            wrong.code(),
            Code::HostKeyUnknown,
            "another fingerprint is no yes"
        );
        assert!(!folder.path().join("berth/known_hosts").exists());

        in_folder(folder.path(), Some(fingerprint))
            .check("h", &key(ED))
            .unwrap();
        in_folder(folder.path(), None).check("h", &key(ED)).unwrap();
        let own = folder.path().join("berth/known_hosts");
        assert_eq!(
            fs::metadata(&own).unwrap().permissions().mode() & 0o777,
            0o600,
            "who knows which hosts a user has is the user's business"
        );
        assert_eq!(fs::read_to_string(own).unwrap(), format!("h {ED}\n"));
    }

    #[test]
    fn a_changed_key_is_never_recorded_whatever_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("user"), format!("h {ED}\n")).unwrap();
        let keys = in_folder(folder.path(), Some(known_hosts::fingerprint(&key(ED2))));
        let e = keys.check("h", &key(ED2)).unwrap_err();
        assert_eq!(e.code(), Code::HostKeyChanged);
        assert_eq!(
            e.get_detail("expected"),
            Some(known_hosts::fingerprint(&key(ED)).as_str())
        );
        assert_eq!(
            e.get_detail("offered"),
            Some(known_hosts::fingerprint(&key(ED2)).as_str())
        );
        assert!(
            !e.what_to_do().unwrap().contains("--trust-host-key"),
            "a changed key is never offered to be trusted in the same breath"
        );
        assert!(!keys.own.exists(), "nothing may be written");
    }

    #[test]
    fn what_was_recorded_before_stays() {
        let folder = tempfile::tempdir().unwrap();
        let keys = in_folder(folder.path(), Some(known_hosts::fingerprint(&key(ED))));
        fs::create_dir_all(keys.own.parent().unwrap()).unwrap();
        fs::write(&keys.own, format!("# mine\nother {ED2}")).unwrap();
        keys.check("h", &key(ED)).unwrap();
        assert_eq!(
            fs::read_to_string(&keys.own).unwrap(),
            format!("# mine\nother {ED2}\nh {ED}\n")
        );
    }

    #[test]
    fn many_writers_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let keys = in_folder(folder.path(), Some(known_hosts::fingerprint(&key(ED))));
                scope.spawn(move || keys.check(format!("h{n}").as_str(), &key(ED)).unwrap());
            }
        });
        let text = fs::read_to_string(folder.path().join("berth/known_hosts")).unwrap();
        assert_eq!(
            text.lines().count(),
            8,
            "a lost record is a host that looks unknown again: {text}"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("user")).unwrap();
        let keys = in_folder(folder.path(), Some(known_hosts::fingerprint(&key(ED))));
        let e = keys.check("h", &key(ED)).unwrap_err();
        assert!(
            e.to_string().contains("cannot be read"),
            "it may hold the record that says changed: {e}"
        );
    }

    #[test]
    fn an_authority_alone_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("user"),
            format!("@cert-authority * {ED2}\n"),
        )
        .unwrap();
        let e = in_folder(folder.path(), None)
            .check("h", &key(ED))
            .unwrap_err();
        assert_eq!(e.code(), Code::HostKeyUnknown);
        assert!(
            e.to_string().contains("shows no certificate"),
            "silence would look as if the line did not exist: {e}"
        );
    }
}
