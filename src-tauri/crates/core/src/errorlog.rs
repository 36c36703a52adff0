//! Lines of SQL Server's error log, as far as their weight can be told.
//!
//! `2026-11-22 17:00:00.12 Server      Error: 17113, Severity: 16, State: 1.`; severities as Microsoft's documentation of
//! `sys.messages` ranks them: up to 10 information, 11 to 16 what a user can mend, from 17 on what only an administrator can.

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What happens on a good day.
    Info,
    /// What somebody may want to mend.
    Warning,
    /// What keeps the server, or somebody, from working.
    Error,
}

impl Level {
    /// `info`, `warning`, `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Of one line.
    #[must_use]
    pub fn of(line: &str) -> Self {
        if let Some(severity) = severity(line) {
            return match severity {
                0..=10 => Self::Info,
                11..=16 => Self::Warning,
                _ => Self::Error,
            };
        }
        // Berth's own images, and the official one before the server runs.
        let words = line.trim_start();
        if words.starts_with("ERROR") || words.starts_with("sqlservr:") {
            Self::Error
        } else if words.starts_with("WARNING") || words.starts_with("Warning") {
            Self::Warning
        } else {
            Self::Info
        }
    }
}

/// The severity that a line of the error log names.
#[must_use]
pub fn severity(line: &str) -> Option<u8> {
    let (_, rest) = line.split_once("Severity: ")?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .map_or(rest, |end| rest.split_at(end).0);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn severities_are_told_as_microsoft_ranks_them() {
        for (line, level) in [
            (
                "2026-11-22 17:00:00.12 Server      Error: 17113, Severity: 16, State: 1.",
                Level::Warning,
            ),
            (
                "2026-11-22 17:00:00.12 spid9s      Error: 823, Severity: 24, State: 2.",
                Level::Error,
            ),
            (
                "2026-11-22 17:00:00.12 Logon       Error: 18456, Severity: 14, State: 8.",
                Level::Warning,
            ),
            (
                "2026-11-22 17:00:00.12 Server      The error log has been reinitialized.",
                Level::Info,
            ),
            ("ERROR engine did not become ready", Level::Error),
            (
                "sqlservr: This program requires a machine with at least 2000 megabytes of memory.",
                Level::Error,
            ),
            ("Severity: many", Level::Info),
            ("", Level::Info),
        ] {
            assert_eq!(Level::of(line), level, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_has_a_level(line in "\\PC{0,80}(Severity: )?\\PC{0,8}") {
            let _ = Level::of(&line);
        }
    }
}
