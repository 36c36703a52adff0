//! The connection to an engine: version negotiation and the time limit of every call.

use std::{
    fmt,
    future::Future,
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use berth_core::{Code, Dial, Error, Result};
use bollard::Docker;

use crate::{
    error::{Doing, api_error, unusable_answer},
    transport,
};

/// The oldest API that Berth speaks: that of Docker 20.10, the oldest in Debian and Ubuntu LTS.
pub const API_MIN: ApiVersion = ApiVersion(1, 41);

/// The newest API whose answers this crate knows. A newer engine is asked in this one.
pub const API_MAX: ApiVersion = ApiVersion(1, 53);

/// One object, from memory.
pub(crate) const LOOK: Duration = Duration::from_secs(10);
/// A list, or the engine's own state: many objects, some of them on a slow disk.
pub(crate) const LIST: Duration = Duration::from_secs(30);
/// Something is made or removed. On Windows the layers of a container are files of gigabytes.
pub(crate) const CHANGE: Duration = Duration::from_secs(120);
/// What the engine may take beyond the time that a container was given to end.
pub(crate) const AFTER_GRACE: Duration = Duration::from_secs(15);

/// A version of the Engine API, `1.44`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion(pub u16, pub u16);

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.trim().split_once('.').ok_or(())?;
        Ok(Self(
            major.parse().map_err(|_| ())?,
            minor.parse().map_err(|_| ())?,
        ))
    }
}

/// What the engine's containers run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Os {
    /// Linux containers.
    Linux,
    /// Windows containers.
    Windows,
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
        })
    }
}

/// What the engine said of itself when it was connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// What its containers run on.
    pub os: Os,
    /// The engine's own version, `28.5.2`.
    pub version: String,
    /// The API version that was agreed on.
    pub api_version: ApiVersion,
    /// The processor, as Go names it: `amd64`, `arm64`.
    pub arch: String,
    /// The kernel; on Windows with the build, `10.0 20348 (20348.1.amd64fre…)`.
    pub kernel: String,
}

/// A container engine. Cheap to clone; all clones share one pool of connections.
#[derive(Clone)]
pub struct Engine {
    /// For answers that are read as a whole: their size is bounded.
    calls: Docker,
    /// For endless answers and for exec.
    streams: Docker,
    /// For what bollard reads in one dialect only.
    pub(crate) plain: transport::Plain,
    about: Arc<About>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Asks the engine for its version and agrees on an API version: the newest that both know.
    ///
    /// # Errors
    /// What the dialler says; [`Code::TimedOut`] after 15 seconds; [`Code::Failed`] where the
    /// engine is too old or too new, or what answers is no engine.
    pub async fn connect(dial: Arc<dyn Dial>) -> Result<Self> {
        let doing = Doing::plain("ask the engine for its version");
        let prefix = Arc::new(OnceLock::new());
        let build = |budget| {
            transport::docker(Arc::clone(&dial), Arc::clone(&prefix), budget)
                .map_err(|e| api_error(&doing, e))
        };
        let calls = build(Some(transport::MAX_ANSWER))?;
        let streams = build(None)?;

        let limit = Duration::from_secs(15);
        let version = tokio::time::timeout(limit, calls.version())
            .await
            .map_err(|_| too_slow(&doing, limit))?
            .map_err(|e| api_error(&doing, e))?;
        let named = version.version.unwrap_or_default();
        let spoken = |text: Option<&str>| text.and_then(|t| t.parse::<ApiVersion>().ok());
        let Some(newest) = spoken(version.api_version.as_deref()) else {
            return Err(unusable_answer(&doing, "it names no API version"));
        };
        let oldest = spoken(version.min_api_version.as_deref()).unwrap_or(newest);
        let agreed = agree(&named, oldest, newest)?;
        // A fresh cell has no value yet, so there is nothing that this could fail to replace.
        let _ = prefix.set(agreed);

        let os = match version.os.as_deref() {
            Some("linux") => Os::Linux,
            Some("windows") => Os::Windows,
            Some(other) => {
                return Err(Error::failed(format!(
                    "The engine runs `{}` containers, which Berth does not know",
                    other.escape_debug()
                )));
            }
            None => return Err(unusable_answer(&doing, "it names no operating system")),
        };
        let about = About {
            os,
            version: named,
            api_version: agreed,
            arch: version.arch.unwrap_or_default(),
            kernel: version.kernel_version.unwrap_or_default(),
        };
        tracing::debug!(engine = %about.version, api = %about.api_version, os = %about.os, "connected");
        Ok(Self {
            calls,
            streams,
            plain: transport::Plain::new(dial, prefix),
            about: Arc::new(about),
        })
    }

    /// What the engine said of itself when it was connected.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// A client that waits at most `limit` for the head of an answer.
    pub(crate) fn calls(&self, limit: Duration) -> Docker {
        self.calls.clone().with_timeout(headers(limit))
    }

    /// The same for endless answers, whose body may take for ever.
    pub(crate) fn streams(&self, limit: Duration) -> Docker {
        self.streams.clone().with_timeout(limit)
    }

    /// Runs one call under its time limit and tells its failure in our words.
    pub(crate) async fn within<T>(
        &self,
        doing: Doing<'_>,
        limit: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => Err(api_error(&doing, e)),
            Err(_) => Err(too_slow(&doing, limit)),
        }
    }
}

/// bollard counts whole seconds and only up to the head of the answer. Ours must fire first,
/// since only ours names what was being done.
fn headers(limit: Duration) -> Duration {
    limit.saturating_add(Duration::from_secs(2))
}

/// The newest version that both sides know.
fn agree(engine: &str, oldest: ApiVersion, newest: ApiVersion) -> Result<ApiVersion> {
    if newest < API_MIN {
        return Err(Error::failed(format!(
            "The engine is too old: version `{engine}` speaks API {newest}, Berth needs {API_MIN}"
        ))
        .detail("engine", "too_old")
        .hint("Update Docker on the host to version 20.10 or newer"));
    }
    if oldest > API_MAX {
        return Err(Error::failed(format!(
            "The engine is newer than this Berth: version `{engine}` speaks API {oldest} and up, \
             Berth knows up to {API_MAX}"
        ))
        .hint("Update Berth"));
    }
    Ok(newest.min(API_MAX))
}

pub(crate) fn too_slow(doing: &Doing<'_>, limit: Duration) -> Error {
    Error::new(Code::TimedOut, format!("{doing}"))
        .because(format!(
            "the engine gave no answer in {} s",
            limit.as_secs()
        ))
        .hint("Look at the load of the host, or restart its Docker service")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(minor: u16) -> ApiVersion {
        ApiVersion(1, minor)
    }

    #[test]
    fn the_newest_common_version_is_taken() {
        assert_eq!(agree("20.10.24", v(12), v(41)).unwrap(), v(41));
        assert_eq!(agree("29.7.2", v(44), v(52)).unwrap(), v(52));
        assert_eq!(
            agree("40", v(44), v(99)).unwrap(),
            API_MAX,
            "a newer engine is asked in our newest"
        );
    }

    #[test]
    fn an_engine_that_shares_no_version_is_named_with_what_to_do() {
        let old = agree("19.03.5", v(12), v(40)).unwrap_err();
        assert!(
            old.message().contains("`19.03.5`") && old.message().contains("1.40"),
            "{old}"
        );
        assert!(old.what_to_do().unwrap().contains("20.10"));
        let new = agree("99.0", v(90), v(99)).unwrap_err();
        assert!(new.what_to_do().unwrap().contains("Update Berth"), "{new}");
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(
            "1.9".parse::<ApiVersion>().unwrap() < "1.41".parse().unwrap(),
            "1.9 is older than 1.41"
        );
        for text in ["", "1", "1.x", "v1.41", "1.41.0", "1.-1"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
    }
}
