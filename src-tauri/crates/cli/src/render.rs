//! Words for people: errors, tables, progress. Colour is never the only carrier, and there is none at all.

use std::io::{IsTerminal, Write};

use berth_api::dto::OperationEvent;
use berth_core::{Code, Error};
use comfy_table::{ContentArrangement, Table, presets};

/// Prints a line to standard output. A reader that went away ends the command quietly, as `head` expects.
pub(crate) fn out(text: impl AsRef<str>) {
    let mut line = text.as_ref().as_bytes().to_vec();
    line.push(b'\n');
    write(&line);
}

/// Prints bytes to standard output, as [`out`] does.
pub(crate) fn write(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        // A file that is not whole must not look like one that is.
        Err(e) => {
            note(format!(
                "error: The output could not be written\n  because: {e}"
            ));
            std::process::exit(1);
        }
    }
}

/// Prints a line to standard error.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// Prints an error: message, causes, hint. The one place that does.
pub(crate) fn error(error: &Error) {
    if error.code() == Code::Cancelled && error.causes().is_empty() && error.what_to_do().is_none()
    {
        note("Cancelled");
        return;
    }
    note(format!("error: {}", error.message()));
    for cause in error.causes() {
        note(format!("  because: {cause}"));
    }
    if let Some(hint) = error.what_to_do() {
        note(format!("  hint: {hint}"));
    }
}

/// A table without lines, as wide as the terminal allows.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Shows an operation as it goes: on a terminal the current step, with `-v` each step and its time.
pub(crate) struct Progress {
    verbose: bool,
    terminal: bool,
    began: std::collections::BTreeMap<String, u64>,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(verbose: bool) -> Self {
        Self {
            verbose,
            terminal: std::io::stderr().is_terminal(),
            began: Default::default(),
            shown: false,
        }
    }

    pub(crate) fn event(&mut self, event: &OperationEvent) {
        if event.kind == "started" {
            self.began.insert(event.phase.clone(), event.at_ms);
        }
        if self.verbose {
            let took = event
                .at_ms
                .saturating_sub(self.began.get(&event.phase).copied().unwrap_or(event.at_ms));
            match event.kind.as_str() {
                "done" => note(format!("{:>12}  done in {took} ms", event.phase)),
                "started" | "progress" => note(format!("{:>12}  {}", event.phase, line(event))),
                kind => note(format!("{:>12}  {kind} after {took} ms", event.phase)),
            }
        } else if self.terminal && matches!(event.kind.as_str(), "started" | "progress") {
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", line(event));
            let _ = std::io::stderr().flush();
            self.shown = true;
        }
    }

    /// Clears the line that [`Progress::event`] left.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(event: &OperationEvent) -> String {
    match event.progress {
        Some((done, total)) if total > 0 => {
            format!("{} {}%", event.text, done.saturating_mul(100) / total)
        }
        _ => event.text.clone(),
    }
}

/// `12 s ago`, from an RFC 3339 time; the time itself where it cannot be read.
pub(crate) fn age(at: &str, now: std::time::SystemTime) -> String {
    let Some(then) = seconds_of(at) else {
        return at.to_owned();
    };
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    match now.saturating_sub(then) {
        0..=1 => "now".into(),
        s @ 2..=119 => format!("{s} s ago"),
        s @ 120..=7199 => format!("{} min ago", s / 60),
        s @ 7200..=172_799 => format!("{} h ago", s / 3600),
        s => format!("{} days ago", s / 86_400),
    }
}

/// Reads `2026-11-22T17:00:00Z`. Days by the civil calendar, after Howard Hinnant's `days_from_civil`.
fn seconds_of(at: &str) -> Option<u64> {
    let number = |from: usize, to: usize| at.get(from..to)?.parse::<i64>().ok();
    let (y, m, d) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    u64::try_from(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn ages_are_told_in_the_unit_that_matters() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_366_800);
        for (at, age_) in [
            ("2026-11-22T17:00:00Z", "now"),
            ("2026-11-22T16:59:00Z", "60 s ago"),
            ("2026-11-22T15:30:00Z", "90 min ago"),
            ("2026-11-19T17:00:00Z", "3 days ago"),
            ("soon", "soon"),
        ] {
            assert_eq!(age(at, now), age_, "{at}");
        }
    }
}
