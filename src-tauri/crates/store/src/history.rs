//! What was done: one JSON line an operation, appended when it ends, the oldest trimmed.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
};

use berth_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    folder::{Folder, failure, read_bounded},
    records::Unknown,
};

const FILE: &str = "history.jsonl";
const VERSION: u64 = 1;

/// How many operations are kept.
const KEPT: usize = 1000;

/// How many more there may be before the file is rewritten.
const SLACK: usize = 200;

/// Bytes that one line may have; 1200 of them stay below the largest file.
const LONGEST_LINE: usize = 8 << 10;

/// An operation that ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// Its id.
    pub id: String,
    /// What it was, for people.
    pub title: String,
    /// The name of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The name of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// When it began, RFC 3339.
    #[serde(default)]
    pub started_at: String,
    /// When it ended, RFC 3339.
    #[serde(default)]
    pub ended_at: String,
    /// `done`, `failed`, `cancelled`.
    #[serde(default)]
    pub outcome: String,
    /// What went wrong, in one sentence without a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its steps, oldest first: what a log of it is. Left out where they would make the line too long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRecord>,
    /// See [`Unknown`].
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// One step of an operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Milliseconds since the operation began.
    #[serde(default)]
    pub at_ms: u64,
    /// `plan`, `container`, `ready`, …
    #[serde(default)]
    pub phase: String,
    /// `started`, `done`, `failed`, `cancelled`.
    #[serde(default)]
    pub kind: String,
    /// What happened, in words.
    #[serde(default)]
    pub text: String,
}

/// What the history file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Oldest first.
    pub operations: Vec<OperationRecord>,
    /// How many lines could not be read: cut off by a crash, or written by a newer Berth.
    pub unread: usize,
}

#[derive(Serialize, Deserialize)]
struct Line<R> {
    version: u64,
    #[serde(flatten)]
    record: R,
}

impl Folder {
    /// Adds an operation to the history and trims it to the last 1000.
    ///
    /// # Errors
    /// Where the disk is full or forbids writing, or another process holds the lock.
    pub fn record(&self, operation: &OperationRecord) -> Result<()> {
        let path = self.path().join(FILE);
        let mut line = serde_json::to_vec(&Line {
            version: VERSION,
            record: operation,
        })
        .map_err(|e| {
            Error::failed("This operation cannot be written to the history").because(e.to_string())
        })?;
        if line.len() > LONGEST_LINE && !operation.steps.is_empty() {
            // What it was and how it ended is worth more than its log.
            return self.record(&OperationRecord {
                steps: Vec::new(),
                ..operation.clone()
            });
        }
        if line.len() > LONGEST_LINE {
            return Err(Error::failed("This operation is too long for the history"));
        }
        line.push(b'\n');
        let _lock = self.lock()?;
        let old = read_bounded(&path)?.unwrap_or_default();
        let lines = old.split(|b| *b == b'\n').filter(|l| !l.is_empty()).count();
        if lines >= KEPT.saturating_add(SLACK) {
            let mut kept: Vec<u8> = Vec::with_capacity(old.len());
            for old in old
                .split(|b| *b == b'\n')
                .filter(|l| !l.is_empty())
                .skip(lines.saturating_sub(KEPT.saturating_sub(1)))
            {
                kept.extend_from_slice(old);
                kept.push(b'\n');
            }
            kept.append(&mut line);
            return self.replace(FILE, &kept);
        }
        // A line that a crash cut off ends here, so that it spoils no other.
        if old.last().is_some_and(|b| *b != b'\n') {
            line.insert(0, b'\n');
        }
        let failed = |e: &std::io::Error| failure(&path, "cannot be written", e);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| failed(&e))?;
        if let Err(e) = file.write_all(&line).and_then(|()| file.sync_data()) {
            // Half a line on a full disk: back to what was whole.
            let _ = fs::File::set_len(&file, old.len() as u64);
            return Err(failed(&e));
        }
        Ok(())
    }

    /// Reads the history. Lines that cannot be read are counted, not hidden.
    ///
    /// # Errors
    /// Where the file is there and cannot be read at all.
    pub fn history(&self) -> Result<History> {
        let mut history = History::default();
        let bytes = read_bounded(&self.path().join(FILE))?.unwrap_or_default();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            match serde_json::from_slice::<Line<OperationRecord>>(line) {
                Ok(line) if line.version <= VERSION => history.operations.push(line.record),
                _ => history.unread = history.unread.saturating_add(1),
            }
        }
        Ok(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(n: usize) -> OperationRecord {
        OperationRecord {
            id: n.to_string(),
            title: "Create `a`".into(),
            outcome: "done".into(),
            ..Default::default()
        }
    }

    #[test]
    fn what_was_recorded_comes_back_in_order_and_bounded() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::new(temp.path().join("b"));
        assert_eq!(folder.history().unwrap(), History::default());
        for n in 0..KEPT + SLACK + 5 {
            folder.record(&operation(n)).unwrap();
        }
        let all = folder.history().unwrap();
        assert!(
            all.operations.len() <= KEPT + SLACK,
            "the history grows without end"
        );
        assert!(
            all.operations.len() >= KEPT,
            "more was thrown away than has to be"
        );
        assert_eq!(all.operations.last().unwrap(), &operation(KEPT + SLACK + 4));
        assert!(all.operations.windows(2).all(|w| w[0].id.parse::<usize>().unwrap() + 1 == w[1].id.parse::<usize>().unwrap()));
        let long = OperationRecord {
            steps: vec![StepRecord {
                text: "x".repeat(LONGEST_LINE),
                ..StepRecord::default()
            }],
            ..operation(77)
        };
        folder.record(&long).unwrap();
        assert_eq!(
            folder.history().unwrap().operations.last(),
            Some(&operation(77)),
            "a long log must not cost the entry"
        );
        assert!(
            folder
                .record(&OperationRecord {
                    title: "x".repeat(LONGEST_LINE),
                    ..operation(1)
                })
                .is_err()
        );
    }

    #[test]
    fn a_line_that_a_crash_cut_off_costs_itself_only() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::new(temp.path());
        folder.record(&operation(1)).unwrap();
        folder.record(&operation(2)).unwrap();
        let path = temp.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for cut in first..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            folder.record(&operation(3)).unwrap();
            let all = folder.history().unwrap();
            let ids: Vec<_> = all.operations.iter().map(|o| o.id.as_str()).collect();
            let second_is_whole = cut + 1 == whole.len();
            assert_eq!(
                ids,
                if second_is_whole {
                    vec!["1", "2", "3"]
                } else {
                    vec!["1", "3"]
                },
                "cut at {cut}"
            );
            assert_eq!(
                all.unread,
                usize::from(cut > first && !second_is_whole),
                "cut at {cut}: a loss must be told"
            );
        }
    }

    #[test]
    fn a_newer_berths_line_is_kept_and_counted() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::new(temp.path());
        fs::write(
            temp.path().join(FILE),
            "{\"version\":2,\"id\":\"x\",\"title\":\"t\"}\n",
        )
        .unwrap();
        folder.record(&operation(3)).unwrap();
        let all = folder.history().unwrap();
        assert_eq!((all.operations.len(), all.unread), (1, 1));
        assert!(
            fs::read_to_string(temp.path().join(FILE))
                .unwrap()
                .contains("\"version\":2")
        );
    }
}
