//! What Berth's `prepare.ps1` does to a [`World`], and what it answers.
//!
//! The real script over the same world answers the same: a test holds them together.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};

use super::{Rule, Service, Task, World, moment};
use crate::machine::fault::{Fault, Faults};

/// Berth's folder.
pub const FOLDER: &str = r"C:\ProgramData\Berth";
/// What was there before.
pub const CHANGES: &str = r"C:\ProgramData\Berth\changes.json";
/// The version of the engine that was put there whole.
pub const INSTALLED: &str = r"C:\ProgramData\Berth\engine.txt";
/// How far the task is.
pub const STATE: &str = r"C:\ProgramData\Berth\state.json";
/// What it did.
pub const LOG: &str = r"C:\ProgramData\Berth\work.log";
/// The engine's settings.
pub const DAEMON: &str = r"C:\ProgramData\docker\config\daemon.json";
/// The keys of administrators.
pub const KEYS: &str = r"C:\ProgramData\ssh\administrators_authorized_keys";
/// The SSH server's settings.
pub const SSHD: &str = r"C:\ProgramData\ssh\sshd_config";
/// The certificates of the engine's own listener.
pub const TLS: &str = r"C:\ProgramData\Berth\tls";
const FRESH: &str = r"C:\ProgramData\Berth\tls\fresh.txt";
const DOCKERD: &str = r"C:\Program Files\docker\dockerd.exe";

/// Runs it once.
///
/// # Errors
/// The message that it throws.
pub fn run(
    world: &mut World,
    given: &Value,
    now: DateTime<Utc>,
    faults: &Faults,
) -> Result<Value, String> {
    settle(world, now, faults);
    let step = given
        .get("step")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match given.get("do").and_then(Value::as_str).unwrap_or_default() {
        "look" => Ok(look(world, given)),
        "apply" => {
            apply(world, step, given, faults)?;
            Ok(json!({ "done": step }))
        }
        "start" => {
            start(world, given, now);
            Ok(json!({ "started": step }))
        }
        "poll" => Ok(json!({
            "work": file_json(world, STATE),
            "task": task(world),
            "log": world.files.get(LOG).map_or_else(Vec::new, |text| {
                let lines: Vec<&str> = text.lines().filter(|l| !l.is_empty()).collect();
                lines.iter().rev().take(20).rev().map(ToString::to_string).collect()
            }),
        })),
        "restart" => {
            world.away = Some(now);
            Ok(json!({ "restarting": true }))
        }
        "undo" => {
            undo(world, step, given);
            Ok(json!({ "undone": step }))
        }
        other => Err(format!("There is nothing to do called {other}")),
    }
}

fn task(world: &World) -> Option<&'static str> {
    world.task.as_ref().map(|_| "Running")
}

fn file_json(world: &World, path: &str) -> Value {
    world
        .files
        .get(path)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null)
}

fn service(world: &World, name: &str) -> Value {
    world.services.get(name).map_or(
        Value::Null,
        |s| json!({ "status": s.status, "start": s.start }),
    )
}

fn changes(world: &World) -> Map<String, Value> {
    file_json(world, CHANGES)
        .as_object()
        .cloned()
        .unwrap_or_default()
}

fn before(world: &mut World, step: &str, was: Value) {
    let mut all = changes(world);
    all.entry(step.to_owned()).or_insert(was);
    world
        .files
        .insert(CHANGES.into(), Value::Object(all).to_string());
}

fn has_key(world: &World, line: &str) -> bool {
    world.files.get(KEYS).is_some_and(|text| {
        text.trim_start_matches('\u{feff}')
            .lines()
            .any(|l| l == line)
    })
}

fn look(world: &World, given: &Value) -> Value {
    let there = world.private.iter().any(|p| p == FOLDER)
        || world.files.keys().any(|f| f.starts_with(FOLDER));
    let owner = world.owners.get(FOLDER).cloned();
    let folder = (there || owner.is_some()).then(|| {
        json!({
            "owner": owner.unwrap_or_else(|| "BA".into()),
            "private": world.private.iter().any(|p| p == FOLDER),
        })
    });
    let runs = world.engine_runs();
    let key = given.pointer("/want/key").and_then(Value::as_str);
    let daemon = world.files.get(DAEMON);
    json!({
        "v": 1,
        "product": world.product,
        "build": world.build,
        "ubr": world.ubr,
        "installationType": world.installation_type,
        "arch": world.arch,
        "ps": world.ps,
        "languageMode": world.language_mode,
        "admin": world.admin,
        "user": world.user,
        "boot": moment(world.boot),
        "ramMB": world.ram_mb,
        "freeMB": world.free_mb,
        "fs": world.fs,
        "folder": folder,
        "sshd": service(world, "sshd"),
        "firewall": world.rule.as_ref().map(|r| json!({ "enabled": r.enabled, "profile": r.profile, "group": r.group })),
        "key": {
            "there": key.is_some_and(|k| has_key(world, k)),
            "private": world.private.iter().any(|p| p == KEYS),
            "mark": world.files.get(KEYS).is_some_and(|k| k.starts_with('\u{feff}')),
        },
        "sshdConfig": world.files.get(SSHD).map(|t| t.trim_start_matches('\u{feff}')),
        "sector": { "largest": world.sector, "forced": world.forced.iter().any(|f| f == "* 4095") },
        "feature": world.feature,
        "pending": if matches!(world.feature.as_deref(), Some("EnablePending" | "DisablePending")) { vec!["features or updates"] } else { vec![] },
        "engine": {
            "service": service(world, "docker"),
            "path": world.services.get("docker").map(|_| format!("\"{DOCKERD}\" --run-service")),
            "dockerd": world.engine.as_ref().map(|_| DOCKERD),
            "version": world.engine.as_ref().map(|v| format!("Docker version {v}, build practice")),
            "answers": world.engine.as_ref().filter(|_| runs),
            "ours": changes(world).contains_key("engine"),
            "installed": world.files.get(INSTALLED),
            "said": if !runs && world.services.contains_key("docker") { world.engine_said.clone() } else { Vec::new() },
        },
        "tls": {
            "folder": TLS,
            "ca": world.files.get(&tls("ca.pem")),
            "cert": world.files.get(&tls("cert.pem")),
            "private": world.private.iter().any(|p| p == TLS),
            "fresh": world.files.contains_key(FRESH),
        },
        "daemon": daemon.map(|d| d.trim_start_matches('\u{feff}')),
        "daemonMark": daemon.is_some_and(|d| d.starts_with('\u{feff}')),
        "network": {
            "hns": service(world, "hns"),
            "vmcompute": service(world, "vmcompute"),
            "ipv6off": world.ipv6 == Some(255),
            "nat": runs.then_some(world.nat),
        },
        "changes": changes(world).keys().collect::<Vec<_>>(),
        "work": file_json(world, STATE),
        "task": task(world),
    })
}

/// A file of the certificates.
#[must_use]
pub fn tls(name: &str) -> String {
    format!(r"{TLS}\{name}")
}

fn apply(world: &mut World, step: &str, given: &Value, faults: &Faults) -> Result<(), String> {
    match step {
        "folder" => {
            private(world, FOLDER);
            world
                .files
                .entry(CHANGES.into())
                .or_insert_with(|| "{}".into());
        }
        "sshd" => {
            let was = world.services.get("sshd").map(|s| s.start.clone());
            before(world, "sshd", json!({ "start": was }));
            set_start(world, "sshd", "Automatic");
        }
        "firewall" => {
            let was = world.rule.clone();
            before(world, "firewall", json!({ "was": was }));
            match &mut world.rule {
                Some(rule) => {
                    rule.enabled = "True".into();
                    rule.profile = "Any".into();
                }
                None => {
                    world.rule = Some(Rule {
                        enabled: "True".into(),
                        profile: "Any".into(),
                        group: "Berth".into(),
                    });
                }
            }
        }
        "key" => {
            let line = given
                .pointer("/want/key")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if !has_key(world, &line) {
                before(world, "key", json!({ "line": line }));
                let text = world.files.entry(KEYS.into()).or_default();
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(&line);
                text.push('\n');
            }
            if let Some(text) = world.files.get_mut(KEYS) {
                *text = text.trim_start_matches('\u{feff}').to_owned();
            }
            private(world, KEYS);
        }
        "sector" => {
            let was = world.forced.clone();
            before(world, "sector", json!({ "was": was }));
            world.forced = vec!["* 4095".into()];
        }
        "feature" => {
            let was = world.feature.clone();
            before(world, "feature", json!({ "was": was }));
            if faults.has(Fault::FeatureFails) {
                return Err("The source files could not be found. (0x800f081f)".into());
            }
            if world.feature.as_deref() != Some("Enabled") {
                world.feature = Some("EnablePending".into());
            }
        }
        "engine" => {
            let version = given
                .pointer("/want/engine/version")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            before(world, "engine", json!({ "made": true }));
            if faults.has(Fault::WrongSignature) {
                return Err(
                    "signature: dockerd.exe is not signed by Docker Inc (NotSigned, )".into(),
                );
            }
            if faults.has(Fault::DiskFull(0)) {
                return Err(
                    "The download ended with 23: curl: (23) Failure writing output to destination"
                        .into(),
                );
            }
            world.engine = Some(version.clone());
            world.files.insert(INSTALLED.into(), version);
        }
        "tls" => {
            before(world, "tls", json!({ "made": true }));
            private(world, TLS);
            world.files.insert(FRESH.into(), String::new());
            for name in ["key", "cert", "ca"] {
                let text = given
                    .pointer(&format!("/want/tls/{name}"))
                    .and_then(Value::as_str);
                let text = text
                    .ok_or("Cannot bind argument to parameter 'Text'")?
                    .to_owned();
                world.files.insert(tls(&format!("{name}.pem")), text);
            }
        }
        "daemon" => daemon(world, given, faults)?,
        "network" => {
            if faults.has(Fault::NoNetwork) {
                return Err("HNS failed with error : The object already exists.".into());
            }
            world.nat = true;
            if let Some(hns) = world.services.get_mut("hns") {
                hns.status = "Running".into();
            }
        }
        other => return Err(format!("There is no step {other}")),
    }
    Ok(())
}

fn daemon(world: &mut World, given: &Value, faults: &Faults) -> Result<(), String> {
    if let Some(want) = given.pointer("/want/daemon").filter(|w| !w.is_null()) {
        let is = world
            .files
            .get(DAEMON)
            .map(|d| d.trim_start_matches('\u{feff}'));
        if is != want.get("was").and_then(Value::as_str) {
            return Err(format!(
                "daemon: {DAEMON} was changed after the plan was made"
            ));
        }
        let text = want
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let mut all = changes(world);
        let earlier = all
            .get("daemon")
            .filter(|d| d.get("wrote").and_then(Value::as_str) == is);
        let was = earlier.map_or(want.get("was"), |d| d.get("text")).cloned();
        if earlier.is_some() {
            all.insert("daemon".into(), json!({ "text": was, "wrote": text }));
            world
                .files
                .insert(CHANGES.into(), Value::Object(all).to_string());
        } else {
            before(world, "daemon", json!({ "text": was, "wrote": text }));
        }
        world.files.insert(DAEMON.into(), text);
    }
    if !world.services.contains_key("docker") {
        before(world, "service", json!({ "made": true }));
        world.services.insert(
            "docker".into(),
            Service {
                status: "Stopped".into(),
                start: "Automatic".into(),
            },
        );
    }
    set_start(world, "docker", "Automatic");
    if !world.services.contains_key("hns") {
        return Err(
            "engine: the service docker is Stopped and does not answer. Error starting daemon: ensure the Containers feature is installed"
                .into(),
        );
    }
    if let Some(docker) = world.services.get_mut("docker") {
        docker.status = "Running".into();
    }
    world.engine_loaded();
    world.files.remove(FRESH);
    world.nat = !faults.has(Fault::NoNetwork);
    Ok(())
}

fn undo(world: &mut World, step: &str, given: &Value) {
    let mut all = changes(world);
    let Some(was) = all.get(step).cloned() else {
        if step == "folder" {
            world.files.retain(|path, _| !path.starts_with(FOLDER));
            world.private.retain(|p| !p.starts_with(FOLDER));
        }
        return;
    };
    let text = |name: &str| was.get(name).and_then(Value::as_str).map(str::to_owned);
    match step {
        "sshd" => {
            if matches!(text("start").as_deref(), Some("Manual" | "Disabled")) {
                set_start(world, "sshd", "Manual");
            }
        }
        "firewall" => {
            world.rule = was
                .get("was")
                .and_then(|rule| serde_json::from_value(rule.clone()).ok());
        }
        "key" => {
            if let (Some(line), Some(keys)) = (text("line"), world.files.get_mut(KEYS)) {
                *keys = keys
                    .lines()
                    .filter(|l| !l.is_empty() && *l != line)
                    .map(|l| format!("{l}\n"))
                    .collect();
            }
        }
        "sector" => {
            world.forced = was
                .get("was")
                .and_then(|w| serde_json::from_value(w.clone()).ok())
                .unwrap_or_default();
        }
        "feature" => {
            if text("was").as_deref() != Some("Enabled") {
                world.feature = Some("DisablePending".into());
            }
        }
        "service" => {
            world.services.remove("docker");
        }
        "daemon" => {
            if world.files.get(DAEMON).cloned() == text("wrote") {
                match text("text") {
                    None => {
                        world.files.remove(DAEMON);
                    }
                    Some(text) => {
                        world.files.insert(DAEMON.into(), text);
                    }
                }
                world.engine_loaded();
            } else if let Some(text) = given.pointer("/want/daemon/text").and_then(Value::as_str) {
                world.files.insert(DAEMON.into(), text.to_owned());
                world.engine_loaded();
            }
        }
        "tls" => {
            world.files.retain(|path, _| !path.starts_with(TLS));
            world.private.retain(|p| p != TLS);
        }
        "engine" => world.engine = None,
        _ => return,
    }
    all = changes(world);
    all.remove(step);
    world
        .files
        .insert(CHANGES.into(), Value::Object(all).to_string());
}

fn private(world: &mut World, path: &str) {
    if !world.private.iter().any(|p| p == path) {
        world.private.push(path.to_owned());
    }
}

fn set_start(world: &mut World, name: &str, start: &str) {
    if let Some(service) = world.services.get_mut(name) {
        service.start = start.to_owned();
    }
}

fn write_state(world: &mut World, given: &Value, phase: &str, message: &str, at: DateTime<Utc>) {
    let text = |name: &str| given.get(name).cloned().unwrap_or(Value::Null);
    let state = json!({
        "id": text("id"), "step": text("step"), "phase": phase, "message": message, "at": moment(at),
    });
    world.files.insert(STATE.into(), state.to_string());
    let line = format!(
        "{} {} {phase}: {message}\r\n",
        moment(at),
        text("step").as_str().unwrap_or_default()
    );
    world.files.entry(LOG.into()).or_default().push_str(&line);
}

fn start(world: &mut World, given: &Value, now: DateTime<Utc>) {
    if world.task.is_some() {
        return;
    }
    write_state(world, given, "waiting", "Waiting for Windows to begin", now);
    write_state(world, given, "running", "Begun", now);
    world.task = Some(Task {
        began: now,
        given: given.clone(),
    });
}

/// What the scheduled task has done by now: it takes its time, and a restart begins it again.
fn settle(world: &mut World, now: DateTime<Utc>, faults: &Faults) {
    let Some(task) = world.task.clone() else {
        return;
    };
    if now - task.began < Duration::milliseconds(700) {
        return;
    }
    let step = task
        .given
        .get("step")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match apply(world, step, &task.given, faults) {
        Ok(()) => write_state(world, &task.given, "done", "Done", now),
        Err(why) => write_state(world, &task.given, "failed", &why, now),
    }
    world.task = None;
}
