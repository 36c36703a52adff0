//! `berth connection --read`

use std::path::Path;

use berth_core::{
    Result, carrier,
    connection::{
        self,
        read::{self, LONGEST, Reading, Severity},
    },
    secret::ExposeSecret,
};

use crate::{args::Connection, render::out, session::json};

/// Says what a string means, or prints it mended. No agent is needed, and nothing is kept.
pub(super) fn run(c: &Connection, file: &Path) -> Result<u8> {
    let text = super::input(file, LONGEST)?;
    let reading = read::read(&text, c.format.as_deref())?;
    if c.mended {
        let mut mended = reading.mended(None)?;
        if let Some(id) = &c.carrier {
            let format = connection::format(reading.view().format)
                .or_else(|_| connection::format(super::DEFAULT))?;
            mended = carrier::carry(
                carrier::carrier(id)?,
                &mended,
                c.variable.as_deref(),
                carrier::default_name(format),
            )?;
        }
        if c.json.json {
            out(json(&serde_json::json!({
                "format": reading.view().format,
                "carrier": c.carrier,
                "masked": mended.masked(),
                "connection_string": mended.reveal().expose_secret(),
            }))?);
        } else {
            out(mended.reveal().expose_secret());
        }
        return Ok(0);
    }
    let mended = reading.mended_masked();
    if c.json.json {
        let mut value = serde_json::to_value(reading.view()).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("ok".into(), is_right(&reading).into());
            map.insert("mended".into(), mended.into());
        }
        out(json(&value)?);
        return Ok(0);
    }
    say(&reading, mended.as_deref());
    Ok(0)
}

fn is_right(reading: &Reading) -> bool {
    reading
        .findings()
        .iter()
        .all(|f| f.severity != Severity::Wrong)
}

fn say(reading: &Reading, mended: Option<&str>) {
    let view = reading.view();
    let line = |name: &str, value: &str| out(format!("{name:<10} {value}"));
    let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    line("format", &format!("{} ({})", view.format, view.client));
    if let Some(place) = &view.place {
        line("found at", place);
    }
    let port = view
        .port
        .map_or_else(|| "no port said".to_owned(), |port| format!("port {port}"));
    line("server", &format!("{}, {port}", or(view.server, "none")));
    line("database", &or(view.database, "the login's own"));
    line("login", &or(view.user, "none"));
    line(
        "password",
        if view.password {
            "there, not shown"
        } else {
            "none"
        },
    );
    if let Some(app) = &view.app {
        line("app", app);
    }
    line("tls", &view.tls);
    if view.findings.is_empty() {
        out("\nNothing is wrong with it.");
        return;
    }
    out("");
    for finding in &view.findings {
        let word = match finding.severity {
            Severity::Wrong => "wrong",
            Severity::Risk => "risk",
            Severity::Note => "note",
        };
        out(format!("{word}: {}\n       {}", finding.what, finding.mend));
    }
    if let Some(mended) = mended
        && view.findings.iter().any(|f| f.severity < Severity::Note)
    {
        out(format!(
            "\nAs it should be (`--mended` prints it whole):\n{mended}"
        ));
    }
}
