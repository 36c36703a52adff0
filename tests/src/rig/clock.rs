//! The clock of a home's programs, set ahead and back while they run, by libfaketime. Nobody else's clock changes.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::skip;

/// Where Debian keeps it.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// A clock on the wall; what measures durations runs on as it did.
#[derive(Debug)]
pub struct Clock {
    folder: TempDir,
}

impl Clock {
    /// The names of [`Clock::environment`].
    pub(super) const VARIABLES: [&str; 4] = [
        "LD_PRELOAD",
        "FAKETIME_TIMESTAMP_FILE",
        "FAKETIME_NO_CACHE",
        "FAKETIME_DONT_FAKE_MONOTONIC",
    ];

    /// A clock that is right.
    ///
    /// # Panics
    /// When there is no room for a file.
    #[must_use]
    pub fn right() -> Option<Self> {
        let library = PathBuf::from(LIBRARY.replace("x86_64", std::env::consts::ARCH));
        if !library.exists() {
            skip("libfaketime is not installed: no clock can be set");
            return None;
        }
        let clock = Self {
            folder: tempfile::Builder::new()
                .prefix("clock")
                .tempdir()
                .expect("there is room for a folder"),
        };
        clock.set("+0");
        Some(clock)
    }

    /// Sets it off by so much, in libfaketime's words: `+1d`, `-1d`, `+0`.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn set(&self, off: &str) {
        // At once: a program that reads half a word would see another time.
        let new = self.folder.path().join("new");
        fs::write(&new, off).expect("a small file can be written");
        fs::rename(new, self.file()).expect("a file can be renamed");
    }

    /// What a program needs in its environment to go by it.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let values = [
            LIBRARY.replace("x86_64", std::env::consts::ARCH),
            self.file().display().to_string(),
            "1".to_owned(),
            "1".to_owned(),
        ];
        Self::VARIABLES.into_iter().zip(values).collect()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}
