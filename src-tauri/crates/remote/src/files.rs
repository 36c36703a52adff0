//! Files to and from a host by SFTP, on a connection of their own ([`Lane::Bulk`]).
//!
//! A transfer goes into a file beside its target, whose name carries what is being transferred (size and time of the
//! source); the target appears whole or not at all. A transfer that broke off is taken up again from there, if the source
//! is still the same. What was transferred is hashed on the way (SHA-256), and [`Files::hash`] asks the host
//! for the hash of what it has.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use berth_core::{Code, Error, Result};
use russh_sftp::{
    client::{Config, SftpSession, error::Error as SftpError, fs::File},
    protocol::{OpenFlags, StatusCode},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    sync::watch,
    time::timeout,
};

use crate::{ExecLimits, Lane, Session};

/// Bytes that are read, hashed and sent at once.
const PIECE: usize = 256 << 10;
/// Requests under way at once. OpenSSH answers each with at most 255 KiB; 64 of 32 KiB fill the window of 2 MiB that it gives.
const UNDER_WAY: usize = 64;
/// What of an upload that broke off is sent again: the writes that may have been under way.
const AGAIN: u64 = (UNDER_WAY * 256) as u64 * 1024;
/// For the subsystem to start, and for each request.
const START: Duration = Duration::from_secs(15);
const ANSWER_SECONDS: u64 = 60;

/// How far a transfer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are there, those of an earlier try included.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A transfer that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes in all.
    pub bytes: u64,
    /// Of those, the ones that were there from an earlier try.
    pub resumed: u64,
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
}

/// The files of one host.
pub struct Files {
    session: Session,
    sftp: SftpSession,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Files {
    /// Starts SFTP on a connection, which should be one of [`Lane::Bulk`]: it carries as much as it can.
    ///
    /// # Errors
    /// [`Code::Refused`] where the host has no SFTP, else as [`Session::exec_stream`].
    pub async fn open(session: &Session) -> Result<Self> {
        debug_assert_eq!(
            session.lane(),
            Lane::Bulk,
            "a transfer holds up what shares its connection"
        );
        let stream = session.subsystem("sftp").await?;
        let config = Config {
            max_concurrent_reads: UNDER_WAY,
            max_concurrent_writes: UNDER_WAY,
            request_timeout_secs: ANSWER_SECONDS,
            ..Config::default()
        };
        let sftp = timeout(START, SftpSession::new_with_config(stream, config))
            .await
            .map_err(|_| Error::new(Code::TimedOut, "The host's SFTP server gave no answer"))?
            .map_err(|e| failed("The host's SFTP server could not be started", e))?;
        Ok(Self {
            session: session.clone(),
            sftp,
        })
    }

    /// The size of a file there, in bytes; `None` where there is none.
    ///
    /// # Errors
    /// What the host says.
    pub async fn size(&self, path: &str) -> Result<Option<u64>> {
        match self.sftp.metadata(path).await {
            Ok(about) => Ok(Some(about.size.unwrap_or_default())),
            Err(SftpError::Status(s)) if s.status_code == StatusCode::NoSuchFile => Ok(None),
            Err(e) => Err(failed(
                format!("`{path}` on the host cannot be looked at"),
                e,
            )),
        }
    }

    /// Removes a file there, if it is there.
    ///
    /// # Errors
    /// What the host says.
    pub async fn remove(&self, path: &str) -> Result<()> {
        match self.sftp.remove_file(path).await {
            Ok(()) => Ok(()),
            Err(SftpError::Status(s)) if s.status_code == StatusCode::NoSuchFile => Ok(()),
            Err(e) => Err(failed(format!("`{path}` on the host cannot be removed"), e)),
        }
    }

    /// Copies a file of this machine to the host, in the place of any that is there. Dropping the future stops it; the
    /// next one goes on from there. On Windows a path is written `C:/folder/file`.
    ///
    /// # Errors
    /// [`Code::NotFound`] where either end is not there, [`Code::Unreachable`] where the connection ended (try again),
    /// else what this machine or the host says.
    pub async fn upload(
        &self,
        from: &Path,
        to: &str,
        progress: Option<&watch::Sender<Progress>>,
    ) -> Result<Transferred> {
        let here = |e: std::io::Error| local(from, &e);
        let mut source = tokio::fs::File::open(from).await.map_err(here)?;
        let about = source.metadata().await.map_err(here)?;
        if !about.is_file() {
            return Err(Error::usage(format!("`{}` is no file", from.display())));
        }
        let total = about.len();
        let changed = about
            .modified()
            .ok()
            .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default()
            .as_nanos();
        let part = format!("{to}.{}.part", mark(total, changed));
        let there = self.size(&part).await?.unwrap_or_default().min(total);
        // Whole pieces, so that the hash goes over the same bytes either way.
        let start = there.saturating_sub(AGAIN);

        let on_host =
            |e: SftpError| self.broken(format!("`{to}` cannot be written on the host"), e);
        let mut target = self
            .sftp
            .open_with_flags(&part, OpenFlags::WRITE | OpenFlags::CREATE)
            .await
            .map_err(on_host)?;
        let mut hash = Sha256::new();
        let mut done = 0;
        let mut piece = vec![0; PIECE];
        if start > 0 {
            target
                .seek(std::io::SeekFrom::Start(start))
                .await
                .map_err(|e| self.io(to, &e))?;
        }
        tell(progress, start, total);
        while done < total {
            let until = if done < start { start } else { total };
            let want = usize::try_from(until - done).unwrap_or(PIECE).min(PIECE);
            let Some(room) = piece.get_mut(..want) else {
                break;
            };
            let read = source.read(room).await.map_err(here)?;
            if read == 0 {
                return Err(Error::failed(format!(
                    "`{}` became shorter while it was read",
                    from.display()
                )));
            }
            let bytes = piece.get(..read).unwrap_or_default();
            hash.update(bytes);
            if done >= start {
                target.write_all(bytes).await.map_err(|e| self.io(to, &e))?;
            }
            done += read as u64;
            tell(progress, done.max(start), total);
        }
        target.close().await.map_err(|e| self.io(to, &e))?;
        let size = self.size(&part).await?;
        if size != Some(total) {
            self.remove(&part).await?;
            return Err(Error::failed(format!("`{to}` did not arrive whole"))
                .because(format!(
                    "{total} bytes were sent and {} are there",
                    size.unwrap_or_default()
                ))
                .hint("Is the host's disk full?"));
        }
        // A plain rename of SFTP 3 refuses a target that is there.
        self.remove(to).await?;
        self.sftp.rename(&part, to).await.map_err(|e| {
            self.broken(format!("`{to}` cannot be put in its place on the host"), e)
        })?;
        Ok(Transferred {
            bytes: total,
            resumed: start,
            sha256: hex(&hash.finalize()),
        })
    }

    /// Copies a file of the host to this machine, in the place of any that is there. Dropping the future stops it; the
    /// next one goes on from there.
    ///
    /// # Errors
    /// As [`Files::upload`].
    pub async fn download(
        &self,
        from: &str,
        to: &Path,
        progress: Option<&watch::Sender<Progress>>,
    ) -> Result<Transferred> {
        let on_host = |e: SftpError| self.broken(format!("`{from}` cannot be read on the host"), e);
        let mut source: File = self.sftp.open(from).await.map_err(on_host)?;
        let about = source.metadata().await.map_err(on_host)?;
        let total = about.size.unwrap_or_default();
        let mut part = to.as_os_str().to_owned();
        part.push(format!(
            ".{}.part",
            mark(total, u128::from(about.mtime.unwrap_or_default()))
        ));
        let part = PathBuf::from(part);
        let here = |e: std::io::Error| local(to, &e);

        let mut target = tokio::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part)
            .await
            .map_err(here)?;
        let start = target.metadata().await.map_err(here)?.len().min(total);
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut done = 0;
        while done < start {
            let want = usize::try_from(start - done).unwrap_or(PIECE).min(PIECE);
            let Some(room) = piece.get_mut(..want) else {
                break;
            };
            let read = target.read(room).await.map_err(here)?;
            if read == 0 {
                break;
            }
            hash.update(piece.get(..read).unwrap_or_default());
            done += read as u64;
        }
        let resumed = done;
        if resumed > 0 {
            source
                .seek(std::io::SeekFrom::Start(resumed))
                .await
                .map_err(|e| self.io(from, &e))?;
        }
        tell(progress, done, total);
        while done < total {
            let read = source
                .read(&mut piece)
                .await
                .map_err(|e| self.io(from, &e))?;
            if read == 0 {
                return Err(Error::failed(format!(
                    "`{from}` became shorter while it was read"
                )));
            }
            let bytes = piece.get(..read).unwrap_or_default();
            hash.update(bytes);
            target.write_all(bytes).await.map_err(here)?;
            done += read as u64;
            tell(progress, done, total);
        }
        target.sync_all().await.map_err(here)?;
        drop(target);
        tokio::fs::rename(&part, to).await.map_err(here)?;
        Ok(Transferred {
            bytes: done,
            resumed,
            sha256: hex(&hash.finalize()),
        })
    }

    /// SHA-256 of a file there, in hexadecimal, by a program of the host: its own reading of what it has. Five minutes at most.
    ///
    /// # Errors
    /// Where the host has no such program or no such file.
    pub async fn hash(&self, path: &str) -> Result<String> {
        let limits = ExecLimits {
            timeout: Duration::from_secs(300),
            max_output: 64 << 10,
        };
        let unreadable = |said: &str| {
            Error::failed(format!("The host could not hash `{path}`"))
                .because(said.trim().to_owned())
        };
        let text = if self.session.server_version().contains("Windows") {
            let script = "(Get-FileHash -LiteralPath $given.path -Algorithm SHA256).Hash";
            let answer = self
                .session
                .powershell(script, Some(&json!({ "path": path })), limits)
                .await?;
            answer.as_str().unwrap_or_default().to_ascii_lowercase()
        } else {
            let quoted = path.replace('\'', r"'\''");
            let output = self
                .session
                .exec(&format!("sha256sum -- '{quoted}'"), None, limits)
                .await?;
            if !output.success() {
                return Err(unreadable(&String::from_utf8_lossy(&output.stderr)));
            }
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            // A name with odd characters makes it begin with a backslash.
            said.trim_start_matches('\\')
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(text)
        } else {
            Err(unreadable("its answer is no hash"))
        }
    }

    /// Ends SFTP; the connection stays.
    pub async fn close(self) {
        let _ = timeout(START, self.sftp.close()).await;
    }

    fn io(&self, path: &str, e: &std::io::Error) -> Error {
        self.ended().unwrap_or_else(|| {
            Error::failed(format!("The transfer of `{path}` broke off"))
                .because(e.to_string())
                .hint("Is there room on the host's disk?")
        })
    }

    fn broken(&self, what: String, e: SftpError) -> Error {
        self.ended().unwrap_or_else(|| failed(what, e))
    }

    /// The end of the connection explains more than what failed because of it.
    fn ended(&self) -> Option<Error> {
        let why = self.session.why_closed()?;
        Some(
            Error::new(Code::Unreachable, "The connection ended during a transfer")
                .because(why)
                .hint("Start it again: it goes on from where it was"),
        )
    }
}

fn tell(progress: Option<&watch::Sender<Progress>>, done: u64, total: u64) {
    if let Some(progress) = progress {
        progress.send_replace(Progress { done, total });
    }
}

/// What is being transferred, as a part of a file's name.
fn mark(size: u64, changed: u128) -> String {
    let hash = Sha256::digest(format!("{size} {changed}"));
    hex(hash.get(..8).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn local(path: &Path, e: &std::io::Error) -> Error {
    let code = match e.kind() {
        std::io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::Failed,
    };
    Error::new(
        code,
        format!("`{}` cannot be used on this machine", path.display()),
    )
    .because(e.to_string())
}

fn failed(what: impl Into<String>, e: SftpError) -> Error {
    match e {
        SftpError::Status(status) => match status.status_code {
            StatusCode::NoSuchFile => {
                Error::new(Code::NotFound, what).because("no such file or folder")
            }
            StatusCode::PermissionDenied => {
                Error::new(Code::Failed, what).because("permission denied")
            }
            code => Error::failed(what).because(format!("{code}: {}", status.error_message)),
        },
        SftpError::Timeout => {
            Error::new(Code::TimedOut, what).because(format!("no answer in {ANSWER_SECONDS} s"))
        }
        other => Error::failed(what).because(other.to_string()),
    }
}
