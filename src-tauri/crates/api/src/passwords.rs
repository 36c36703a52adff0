//! Where an instance's passwords are: in the keychain, or in a file that the user named.
//!
//! One keychain item an instance, a small JSON object of login and password, because a Mac may ask for each item.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use berth_core::{Code, Error, Result, ResultExt, Secret, password, secret::ExposeSecret};
use berth_store::{Credentials, InstanceRecord};
use tokio::time::timeout;

use crate::{Berth, berth::blocking};

/// A keychain may ask the user something; nobody waits longer than this for the answer.
const KEYCHAIN_LIMIT: Duration = Duration::from_secs(60);

/// The passwords of one instance by login.
#[derive(Clone, Default)]
pub(crate) struct Passwords(BTreeMap<String, Secret>);

impl Passwords {
    pub(crate) fn get(&self, login: &str) -> Option<&Secret> {
        self.0.get(login)
    }

    pub(crate) fn set(&mut self, login: &str, password: Secret) {
        self.0.insert(login.to_owned(), password);
    }

    pub(crate) fn remove(&mut self, login: &str) {
        self.0.remove(login);
    }

    fn write(&self) -> Result<Secret> {
        let plain: BTreeMap<&str, &str> = self
            .0
            .iter()
            .map(|(login, p)| (login.as_str(), p.expose_secret()))
            .collect();
        serde_json::to_string(&plain)
            .map(Secret::from)
            .map_err(|_| Error::failed("The passwords cannot be written"))
    }

    fn read(text: &Secret) -> Result<Self> {
        serde_json::from_str::<BTreeMap<String, String>>(text.expose_secret())
            .map(|plain| {
                Self(
                    plain
                        .into_iter()
                        .map(|(login, p)| (login, Secret::from(p)))
                        .collect(),
                )
            })
            // serde's message would quote the item.
            .map_err(|_| {
                Error::failed("The keychain item of this instance cannot be read")
                    .hint("Something else has written to it")
            })
    }
}

fn account(id: &str) -> String {
    format!("instance:{id}")
}

async fn keychain<T: Send + 'static>(
    berth: &Berth,
    work: impl FnOnce(&dyn Credentials) -> Result<T> + Send + 'static,
) -> Result<T> {
    let credentials = Arc::clone(&berth.surroundings.credentials);
    timeout(KEYCHAIN_LIMIT, blocking(move || work(&*credentials)))
        .await
        .map_err(|_| {
            Error::new(Code::TimedOut, "The keychain did not answer")
                .hint("It may be asking for its password in a window of its own")
        })?
}

/// Stores an instance's passwords, before its container exists. Those of a leased one stay in memory.
pub(crate) async fn store(berth: &Berth, id: &str, passwords: &Passwords) -> Result<()> {
    if berth.leases.keep_passwords(id, passwords) {
        return Ok(());
    }
    let (account, item) = (account(id), passwords.write()?);
    keychain(berth, move |c| c.set(&account, &item)).await
}

/// What the keychain, or the lease, has for an instance.
pub(crate) async fn find(berth: &Berth, id: &str) -> Result<Option<Passwords>> {
    if berth.leases.holds(id) {
        return Ok(berth.leases.passwords(id));
    }
    let account = account(id);
    match keychain(berth, move |c| c.get(&account)).await? {
        Some(item) => Passwords::read(&item).map(Some),
        None => Ok(None),
    }
}

/// Forgets an instance's passwords. That there were none is no failure.
pub(crate) async fn forget(berth: &Berth, id: &str) -> Result<()> {
    if berth.leases.holds(id) {
        return Ok(());
    }
    let account = account(id);
    keychain(berth, move |c| c.delete(&account)).await
}

/// The password of one login of an instance, from wherever it is kept.
pub(crate) async fn of(berth: &Berth, record: &InstanceRecord, login: &str) -> Result<Secret> {
    if let Some(file) = &record.password_file {
        return from_file(file.into()).await;
    }
    let elsewhere = || {
        Error::not_found(format!(
            "This machine has no password of `{login}` for `{}`",
            record.name
        ))
        .because(format!(
            "it was made by {}, and its password never leaves the machine that made it",
            if record.owner.is_empty() {
                "another machine"
            } else {
                &record.owner
            }
        ))
        .hint("Use it where it was made, or make an instance of your own")
    };
    if record.adopted && !record.ours {
        return Err(Error::not_found(format!(
            "This machine has no password of `{login}` for `{}`",
            record.name
        ))
        .because("Berth did not make it, and nobody has told it the password")
        .hint(format!(
            "Give it with `berth adopt {} --password-file FILE`",
            record.container.chars().take(12).collect::<String>()
        )));
    }
    if record.lease.is_some() {
        return berth
            .leases
            .passwords(&record.id)
            .and_then(|p| p.get(login).cloned())
            .ok_or_else(|| {
                Error::not_found(format!(
                    "This machine has no password of `{login}` for `{}`",
                    record.name
                ))
                .because("it belongs to a `berth run`, which alone has it")
                .hint("It ends with that command; `berth up` makes one that stays")
            });
    }
    match find(berth, &record.id).await {
        Ok(found) => found
            .and_then(|p| p.get(login).cloned())
            .ok_or_else(elsewhere),
        // A keychain that answered would have nothing either.
        Err(e) if e.code() == Code::NoKeychain && !record.ours => Err(elsewhere()),
        Err(e) if e.code() == Code::NoKeychain => Err(e.hint(format!(
            "The password of `{}` is in the keychain of this machine: sign in to the session that has it, then run this again",
            record.name
        ))),
        Err(e) if e.code() == Code::KeychainLocked => {
            Err(e.hint("Unlock it, then run this again"))
        }
        Err(e) => Err(e),
    }
}

/// Reads a password file: its first line, which must be one that SQL Server takes.
pub(crate) async fn from_file(path: PathBuf) -> Result<Secret> {
    let shown = path.display().to_string();
    let name = shown.clone();
    let text = blocking(move || {
        let about = std::fs::metadata(&path).and_then(|m| {
            // A pipe would be waited for, and a device has no end.
            if m.is_dir() {
                Err(std::io::Error::from(std::io::ErrorKind::IsADirectory))
            } else if !m.is_file() {
                Err(std::io::Error::other("it is no ordinary file"))
            } else if m.len() > 4096 {
                Err(std::io::Error::other("it is longer than 4 KiB"))
            } else {
                Ok(())
            }
        });
        about
            .and_then(|()| std::fs::read_to_string(&path))
            .map(Secret::from)
            .map_err(|e| {
                Error::failed(format!("The password file `{name}` cannot be read"))
                    .because(e.to_string())
            })
    })
    .await?;
    let line = text.expose_secret().lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(
            Error::usage(format!("The password file `{shown}` cannot be used"))
                .because("its first line is empty, and that is where the password is read from"),
        );
    }
    password::check(line).context(format!("The password file `{shown}` cannot be used"))?;
    Ok(Secret::from(line.to_owned()))
}

/// A file of our own with a new password, where no keychain answers; nothing where one does.
pub(crate) async fn file_without_keychain(berth: &Berth) -> Result<Option<PathBuf>> {
    match find(berth, "none").await {
        Err(e) if e.code() == Code::NoKeychain => {}
        _ => return Ok(None),
    }
    let (folder, password) = (own_files(berth), generate()?);
    blocking(move || {
        use std::{
            io::Write,
            os::unix::fs::{DirBuilderExt, OpenOptionsExt},
        };
        let file = folder.join(uuid::Uuid::new_v4().to_string());
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .and_then(|()| {
                std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&file)
            })
            .and_then(|mut open| open.write_all(password.expose_secret().as_bytes()))
            .map_err(|e| {
                Error::failed(format!("`{}` cannot be written", file.display()))
                    .because(e.to_string())
            })?;
        Ok(Some(file))
    })
    .await
}

/// A file of our own whose instance goes while its data stays: kept under the id that the data has, too.
pub(crate) async fn keep_file(berth: &Berth, record: &InstanceRecord) -> Result<()> {
    let Some(file) = record.password_file.as_ref().map(PathBuf::from) else {
        return Ok(());
    };
    let kept = own_files(berth).join(&record.id);
    if file.parent() != Some(&own_files(berth)) || file == kept {
        return Ok(());
    }
    blocking(move || {
        std::fs::rename(&file, &kept).map_err(|e| {
            Error::failed(format!("`{}` cannot be kept", file.display())).because(e.to_string())
        })
    })
    .await
}

/// What [`keep_file`] kept for data of this id.
pub(crate) async fn kept_file(berth: &Berth, id: &str) -> Option<PathBuf> {
    let kept = own_files(berth).join(id);
    blocking(move || Ok(kept.is_file().then_some(kept)))
        .await
        .ok()
        .flatten()
}

/// Says of a password file of the user's that others can read it.
pub(crate) async fn open_to_others(path: PathBuf) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    blocking(move || {
        let mode = std::fs::metadata(&path).map_or(0, |m| m.permissions().mode());
        let shown = path.display();
        Ok((mode & 0o044 != 0).then(|| {
            format!(
                "Others on this machine can read `{shown}`: `chmod 600 {shown}` keeps it to you"
            )
        }))
    })
    .await
    .ok()
    .flatten()
}

/// Whether [`file_without_keychain`] made this file.
pub(crate) fn is_own(berth: &Berth, file: &str) -> bool {
    std::path::Path::new(file).parent() == Some(&own_files(berth))
}

/// Where the next password of a file of our own stands while the server may have either.
fn staged(file: &str) -> PathBuf {
    PathBuf::from(format!("{file}.next"))
}

/// Keeps the next password beside a file of our own, before the server gets it.
pub(crate) async fn stage_own(file: &str, password: &Secret) -> Result<()> {
    let (next, password) = (staged(file), password.clone());
    blocking(move || {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let _ = std::fs::remove_file(&next);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)
            .and_then(|mut open| {
                open.write_all(password.expose_secret().as_bytes())?;
                open.sync_all()
            })
            .map_err(|e| {
                Error::failed(format!("`{}` cannot be written", next.display()))
                    .because(e.to_string())
            })
    })
    .await
}

/// What [`stage_own`] left where a change was cut off.
pub(crate) async fn staged_own(file: &str) -> Option<Secret> {
    from_file(staged(file)).await.ok()
}

/// The staged password is the one from now on.
pub(crate) async fn settle_own(file: &str) -> Result<()> {
    let (next, file) = (staged(file), PathBuf::from(file));
    blocking(move || {
        std::fs::rename(&next, &file).map_err(|e| {
            Error::failed(format!("`{}` cannot be written", file.display())).because(e.to_string())
        })
    })
    .await
}

/// Takes away a file that [`file_without_keychain`] made; one that the user named stays.
pub(crate) async fn forget_file(berth: &Berth, record: &InstanceRecord) {
    let Some(file) = record.password_file.as_ref().map(PathBuf::from) else {
        return;
    };
    forget_own(berth, file).await;
}

/// Takes away a file, if it is one of our own.
pub(crate) async fn forget_own(berth: &Berth, file: PathBuf) {
    if file.parent() == Some(&own_files(berth)) {
        let _ = blocking(move || {
            let _ = std::fs::remove_file(staged(&file.to_string_lossy()));
            std::fs::remove_file(&file).map_err(|e| Error::failed(e.to_string()))
        })
        .await;
    }
}

fn own_files(berth: &Berth) -> PathBuf {
    berth.surroundings.folder.join("passwords")
}

/// A new password from this machine's random numbers.
pub(crate) fn generate() -> Result<Secret> {
    password::generate(|buffer| {
        getrandom::fill(buffer).map_err(|e| {
            Error::failed("This machine gives no random numbers").because(e.to_string())
        })
    })
}

/// A host's own secret: its password or a key's passphrase.
pub(crate) async fn store_of_host(
    berth: &Berth,
    host: &str,
    kind: &'static str,
    secret: Secret,
) -> Result<()> {
    let account = format!("host:{host}:{kind}");
    keychain(berth, move |c| c.set(&account, &secret)).await
}

/// What the keychain has for a host.
pub(crate) async fn of_host(
    berth: &Berth,
    host: &str,
    kind: &'static str,
) -> Result<Option<Secret>> {
    let account = format!("host:{host}:{kind}");
    keychain(berth, move |c| c.get(&account)).await
}

/// Forgets one thing that the keychain has for a host.
pub(crate) async fn forget_of_host(berth: &Berth, host: &str, kind: &'static str) -> Result<()> {
    let account = format!("host:{host}:{kind}");
    keychain(berth, move |c| c.delete(&account)).await
}

/// Forgets what the keychain has for a host.
pub(crate) async fn forget_host(berth: &Berth, host: &str) -> Result<()> {
    let host = host.to_owned();
    keychain(berth, move |c| {
        c.delete(&format!("host:{host}:password"))?;
        c.delete(&format!("host:{host}:passphrase"))?;
        c.delete(&format!("host:{host}:engine"))
    })
    .await
}
