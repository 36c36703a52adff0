//! The answers of Windows PowerShell to the scripts that Berth sends.
//!
//! A script is known by its whole text. Any other is declined: an answer to a script that
//! nobody wrote an answer for would be a made-up success.

use berth_core::powershell::{PROBE, answer_line, compact};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::machine::Model;

/// What the script prints on its standard output; `None` for one that is not known.
#[must_use]
pub fn answer(model: &Model, script: &str) -> Option<String> {
    (script == compact(PROBE)).then(|| answer_line(&probe(model)))
}

fn probe(model: &Model) -> Value {
    let facts = model.facts();
    let time = |t: chrono::DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::Micros, true);
    let running = json!({ "status": "Running", "start": "Automatic" });
    let engine_up = model.faults().engine_up(false);
    json!({
        "v": 1,
        "product": facts.product,
        "build": facts.build,
        "ubr": facts.revision,
        "installationType": "Server",
        "arch": "AMD64",
        "boot": time(model.booted()),
        "now": time(model.now()),
        "ramMB": facts.memory_mb,
        "freeRamMB": facts.free_memory_mb,
        "cpus": facts.cpus,
        "disks": [{ "drive": "C:", "fs": "NTFS", "sizeMB": facts.disk_mb, "freeMB": facts.free_disk_mb }],
        "admin": true,
        "user": format!("{}\\administrator", facts.computer.to_lowercase()),
        "services": {
            "docker": if engine_up { running.clone() } else { json!({ "status": "Stopped", "start": "Automatic" }) },
            "sshd": running,
        },
        "dockerd": "C:\\Program Files\\docker\\dockerd.exe",
        "defaultShell": null,
        "ps": "5.1.20348.4294",
        "languageMode": "FullLanguage",
    })
}
