//! The answers of Windows PowerShell to the scripts that Berth sends.
//!
//! A script is known by its whole text. Any other is declined: an answer to a script that
//! nobody wrote an answer for would be a made-up success.

use std::sync::Arc;

use berth_core::powershell::{
    LOADER, PREPARE, PROBE, answer_line, compact, failure_line, read_loaded,
};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::machine::{Model, fault::Fault};

/// Whether the script reads its standard input.
#[must_use]
pub fn takes_input(script: &str) -> bool {
    script == compact(LOADER)
}

/// What the script prints on its standard output, and its exit code; `None` for one that is not known.
#[must_use]
pub fn answer(model: &Arc<Model>, script: &str, input: &[u8]) -> Option<(String, u32)> {
    if script == compact(PROBE) {
        return Some((answer_line(&probe(model)), 0));
    }
    let (text, given) = takes_input(script).then(|| read_loaded(input))??;
    if text != compact(PREPARE) {
        return None;
    }
    let told = model.windows().run(&given, model.faults());
    if model.windows().restart_due() {
        model.restart();
    }
    Some(match told {
        Ok(value) => (answer_line(&value), 0),
        Err(why) => (failure_line(&why, "", "RuntimeException"), 1),
    })
}

fn probe(model: &Model) -> Value {
    let facts = model.facts();
    let time = |t: chrono::DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::Micros, true);
    let running = json!({ "status": "Running", "start": "Automatic" });
    let engine_up = model.engine_up(false);
    let (there, service) = model
        .windows()
        .read(|w| (w.engine.is_some(), w.services.contains_key("docker")));
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
            "docker": if engine_up { running.clone() } else if service { json!({ "status": "Stopped", "start": "Automatic" }) } else { Value::Null },
            "sshd": running,
        },
        "dockerd": there.then_some("C:\\Program Files\\docker\\dockerd.exe"),
        "defaultShell": model.faults().has(Fault::PowerShell)
            .then_some("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"),
        "ps": "5.1.20348.4294",
        "languageMode": "FullLanguage",
    })
}
