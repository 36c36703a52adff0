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
    let engine_up = model.engine_up(false);
    let world = model.windows().read(Clone::clone);
    let service = |name: &str, stopped: bool| {
        world.services.get(name).map_or(Value::Null, |s| {
            let status = if stopped { "Stopped" } else { &s.status };
            json!({ "status": status, "start": s.start })
        })
    };
    json!({
        "v": 1,
        "product": world.product,
        "build": world.build,
        "ubr": world.ubr,
        "installationType": world.installation_type,
        "arch": world.arch,
        "boot": time(model.booted()),
        "now": time(model.now()),
        "ramMB": world.ram_mb,
        "freeRamMB": facts.free_memory_mb,
        "cpus": facts.cpus,
        "disks": [{ "drive": "C:", "fs": world.fs, "sizeMB": facts.disk_mb, "freeMB": world.free_mb }],
        "admin": world.admin,
        "user": world.user,
        "services": {
            "docker": service("docker", !engine_up),
            "sshd": service("sshd", false),
        },
        "dockerd": world.engine.map(|_| "C:\\Program Files\\docker\\dockerd.exe"),
        "defaultShell": model.faults().has(Fault::PowerShell)
            .then_some("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"),
        "ps": world.ps,
        "languageMode": world.language_mode,
    })
}
