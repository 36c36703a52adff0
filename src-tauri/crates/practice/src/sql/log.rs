//! The error log: a file, and whoever listens.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use tokio::sync::broadcast;

/// Lines that a slow listener may fall behind.
const BACKLOG: usize = 1024;

pub(crate) struct Log {
    lines: broadcast::Sender<String>,
    /// Of the server's machine, in seconds: not every thread that writes has its clock.
    clock_skew: i64,
    /// The file, and the lines from before anybody listened.
    state: Mutex<(Option<File>, Option<Vec<String>>)>,
}

impl Log {
    /// Starts a new log; the one before is kept as `errorlog.1`.
    pub(crate) fn open(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join("errorlog");
        if path.exists() {
            std::fs::rename(&path, dir.join("errorlog.1"))?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let (lines, _) = broadcast::channel(BACKLOG);
        Ok(Self {
            lines,
            clock_skew: super::clock::skew(),
            state: Mutex::new((Some(file), Some(Vec::new()))),
        })
    }

    /// Writes one line with the time and who says it, as SQL Server does.
    pub(crate) fn write(&self, who: &str, text: &str) {
        let now = super::clock::with_skew(self.clock_skew, super::clock::here);
        let hundredths = now.timestamp_subsec_millis() / 10;
        let line = format!(
            "{}.{hundredths:02} {who:<11} {text}",
            now.format("%Y-%m-%d %H:%M:%S")
        );
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut state.0
            && let Err(e) = writeln!(file, "{line}")
        {
            // A log that cannot be written must not stop the server.
            tracing::warn!("cannot write the error log: {e}");
            state.0 = None;
        }
        if let Some(early) = &mut state.1 {
            early.push(line);
        } else {
            // Nobody listening is no error.
            let _ = self.lines.send(line);
        }
    }

    /// Lines from now on; the first listener also gets those from the start.
    pub(crate) fn listen(&self) -> broadcast::Receiver<String> {
        let receiver = self.lines.subscribe();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for line in state.1.take().unwrap_or_default() {
            let _ = self.lines.send(line);
        }
        receiver
    }
}
