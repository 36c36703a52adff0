//! What a container printed: the newest lines in memory, and on disk for the next start.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use berth_core::{Error, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    fault::Clock,
    lock,
    tail::{Follow, Tail},
};

/// How many lines a container's log keeps.
const KEEP: usize = 4000;
/// Longer lines are cut.
const LONGEST: usize = 16 * 1024;
/// The file is written anew with what is kept when it has grown past this many bytes.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

/// One line, without its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Line {
    pub time: DateTime<Utc>,
    pub source: Source,
    pub text: String,
}

/// A container's log.
pub struct Log {
    clock: Clock,
    lines: Arc<Tail<Line>>,
    path: PathBuf,
    file: Arc<Mutex<Option<File>>>,
}

impl Log {
    /// Opens the log in a file; blocking.
    pub fn open(path: &Path, clock: Clock) -> Self {
        let old = std::fs::read_to_string(path).unwrap_or_default();
        // A line that a crash cut short is left out.
        let lines = old
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Self {
            clock,
            lines: Arc::new(Tail::new(KEEP, lines)),
            path: path.to_path_buf(),
            file: Arc::new(Mutex::new(None)),
        }
    }

    /// What the machine's clock says.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Adds one line. Its place in the file is sure when this returns.
    pub async fn write(&self, source: Source, text: &str) {
        let mut text = text.trim_end_matches(['\r', '\n']).to_owned();
        if text.len() > LONGEST {
            let end = text.floor_char_boundary(LONGEST);
            text.truncate(end);
        }
        let line = Line {
            time: self.now(),
            source,
            text,
        };
        self.lines.push(line.clone());
        let (file, path, lines) = (
            Arc::clone(&self.file),
            self.path.clone(),
            Arc::clone(&self.lines),
        );
        let kept = tokio::task::spawn_blocking(move || append(&file, &path, &line, &lines)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "a container's log line was not kept");
        }
    }

    /// Reads from the oldest kept line onwards.
    pub fn follow(&self) -> Follow<Line> {
        self.lines.follow()
    }
}

fn append(slot: &Mutex<Option<File>>, path: &Path, line: &Line, kept: &Tail<Line>) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::failed(format!("The log `{}` cannot be written", path.display()))
            .because(e.to_string())
    };
    let text = |line: &Line| {
        serde_json::to_string(line)
            .map(|t| t + "\n")
            .unwrap_or_default()
    };
    let mut slot = lock(slot);
    let open = || OpenOptions::new().create(true).append(true).open(path);
    let file = match slot.take() {
        Some(file) => slot.insert(file),
        None => slot.insert(open().map_err(failed)?),
    };
    file.write_all(text(line).as_bytes()).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > FILE_LIMIT {
        let all: String = kept
            .all()
            .iter()
            .rev()
            .take(KEEP / 2)
            .rev()
            .map(text)
            .collect();
        std::fs::write(path, all).map_err(failed)?;
        *slot = Some(open().map_err(failed)?);
    }
    Ok(())
}
