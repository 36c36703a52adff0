//! JSON that holds a connection: `appsettings.json`, a configuration object, a single string.

use secrecy::zeroize::Zeroizing;
use serde_json::Value;

use super::{
    Entry, Reading,
    client::{self, Client, Key},
    guess, judge, scan,
};

/// Reads the first connection in a JSON document; none where it is no JSON, or has none.
pub(super) fn read(text: &str, format: Option<&str>, depth: u8) -> Option<Reading> {
    if !text.starts_with(['{', '[', '"']) {
        return None;
    }
    let root: Value = serde_json::from_str(text).ok()?;
    let mut path = Vec::new();
    let reading = walk(&root, format, depth, &mut path);
    wipe(root);
    reading
}

fn walk(value: &Value, format: Option<&str>, depth: u8, path: &mut Vec<String>) -> Option<Reading> {
    if path.len() > 12 {
        return None;
    }
    match value {
        Value::String(text) => {
            let mut reading = guess::any(text, format, depth.saturating_add(1))
                .filter(|reading| reading.host.is_some() || path.is_empty())?;
            if !path.is_empty() {
                reading.place = Some(path.join(":"));
            }
            Some(reading)
        }
        Value::Array(items) => items.iter().find_map(|item| {
            path.push("…".to_owned());
            let reading = walk(item, format, depth, path);
            path.pop();
            reading
        }),
        Value::Object(members) => {
            let mut pairs = Vec::new();
            flatten(value, &mut pairs, 0);
            if let Some(reading) = object(&pairs) {
                let mut reading = reading;
                if !path.is_empty() {
                    reading.place = Some(path.join(":"));
                }
                return Some(reading);
            }
            members.iter().find_map(|(name, member)| {
                path.push(scan::safe_name(name));
                let reading = walk(member, format, depth, path);
                path.pop();
                reading
            })
        }
        _ => None,
    }
}

/// The scalars of an object and of the objects in it, as tedious' login stands in one.
fn flatten(value: &Value, into: &mut Vec<(String, Zeroizing<String>)>, depth: u8) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, member) in members {
        match member {
            Value::String(text) => into.push((name.clone(), Zeroizing::new(text.clone()))),
            Value::Bool(flag) => into.push((name.clone(), Zeroizing::new(flag.to_string()))),
            Value::Number(number) => into.push((name.clone(), Zeroizing::new(number.to_string()))),
            Value::Object(_) if depth < 4 => flatten(member, into, depth.saturating_add(1)),
            _ => {}
        }
    }
}

/// A configuration object, when its members say so: a server, and a user or a password.
fn object(pairs: &[(String, Zeroizing<String>)]) -> Option<Reading> {
    let has = |names: &[&str]| {
        pairs
            .iter()
            .any(|(key, _)| names.iter().any(|name| key.eq_ignore_ascii_case(name)))
    };
    if !(has(&["server", "host"]) && has(&["user", "userName", "username", "password"])) {
        return None;
    }
    let parts = has(&["tls"]);
    let client: &'static Client = &client::OBJECT;
    let mut entries: Vec<Entry> = Vec::new();
    for (key, value) in pairs {
        // Berth's own parts.
        if parts && key == "tls" {
            entries.push(Entry::new(Key::Encrypt, "true"));
            let trust = if value.as_str() == "unverified" {
                "true"
            } else {
                "false"
            };
            entries.push(Entry::new(Key::Trust, trust));
        }
        if let Some(kind) = client.key(key) {
            entries.push(Entry::of(kind, value.clone(), true));
        }
    }
    Some(judge::reading(client, entries, Vec::new()))
}

/// Overwrites what the parser copied.
fn wipe(value: Value) {
    match value {
        Value::String(text) => drop(Zeroizing::new(text)),
        Value::Array(items) => items.into_iter().for_each(wipe),
        Value::Object(members) => members.into_iter().for_each(|(_, member)| wipe(member)),
        _ => {}
    }
}
