//! go-sqlcmd's `sqlconfig`: the YAML that its contexts are kept in (microsoft/go-sqlcmd, `cmd/modern/sqlconfig`).
//!
//! The file is always of one shape, so it is read by lines: lists of items below four names, each with scalars.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::zeroize::Zeroizing;

use super::{
    Entry, Finding, Reading,
    client::{self, Key},
    judge,
};

/// An item of one of its lists: the scalars in it, at any depth.
#[derive(Debug, Default)]
struct Item {
    list: String,
    scalars: Vec<(String, Zeroizing<String>)>,
}

impl Item {
    fn get(&self, name: &str) -> Option<&Zeroizing<String>> {
        let found = self.scalars.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }
}

/// Reads the current context; none where the text is no such file.
pub(super) fn read(text: &str) -> Option<Reading> {
    if !text.lines().any(|line| line.trim_end() == "endpoints:")
        || !(text.contains("basic-auth:") || text.contains("currentcontext:"))
    {
        return None;
    }
    let (items, top) = items(text);
    let named = |list: &str, name: Option<&str>| {
        items.iter().find(|item| {
            item.list == list
                && name.is_none_or(|name| item.get("name").is_some_and(|n| **n == name))
        })
    };
    let current = top
        .get("currentcontext")
        .map(|name| name.as_str())
        .filter(|name| !name.is_empty());
    let context = named("contexts", current);
    let of = |key: &str| context.and_then(|item| item.get(key)).map(|v| v.as_str());
    let endpoint = named("endpoints", of("endpoint"))?;
    let user = named("users", of("user"));
    let mut findings = Vec::new();
    let mut entries = Vec::new();
    for (key, from) in [(Key::Server, "address"), (Key::Port, "port")] {
        entries.extend(endpoint.get(from).map(|v| Entry::of(key, v.clone(), true)));
    }
    if let Some(user) = user {
        entries.extend(
            user.get("username")
                .map(|v| Entry::of(Key::User, v.clone(), true)),
        );
        match user.get("password-encryption").map(|v| v.as_str()) {
            None | Some("none" | "") => {
                let plain = user
                    .get("password")
                    .and_then(|v| BASE64_STANDARD.decode(v.as_bytes()).ok())
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                match plain {
                    Some(plain) => {
                        entries.push(Entry::of(Key::Password, Zeroizing::new(plain), true));
                    }
                    None => findings.push(Finding::wrong(
                        "The password is not the Base64 that sqlcmd keeps it in",
                        "Add the user anew: `sqlcmd config add-user`",
                    )),
                }
            }
            Some(_) => findings.push(Finding::note(
                "The password is encrypted for one user of one Windows machine, so it was not read",
                "Take it from there: `sqlcmd config view --raw`",
            )),
        }
    }
    findings.push(Finding::note(
        "A context says neither database nor encryption",
        "Say them when sqlcmd is called: `-d`, `-N`, `-C`",
    ));
    Some(judge::reading(&client::SQLCMD_CONTEXT, entries, findings))
}

/// The items of all lists, and what stands beside the lists.
fn items(text: &str) -> (Vec<Item>, Item) {
    let mut items: Vec<Item> = Vec::new();
    let mut top = Item::default();
    let mut list = String::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let inside = trimmed.strip_prefix("- ");
        if inside.is_some() {
            items.push(Item {
                list: list.clone(),
                scalars: Vec::new(),
            });
        }
        let Some((key, value)) = inside.unwrap_or(trimmed).trim_start().split_once(':') else {
            continue;
        };
        let value = scalar(value.trim());
        let is_top = inside.is_none() && trimmed.len() == line.len();
        if is_top && value.is_empty() {
            key.clone_into(&mut list);
        } else if is_top {
            top.scalars.push((key.to_owned(), value));
        } else if let Some(item) = items.last_mut()
            && !value.is_empty()
        {
            item.scalars.push((key.to_owned(), value));
        }
    }
    (items, top)
}

/// A scalar on one line: `"…"` as JSON has it, `'…'` with the quote doubled, or bare.
fn scalar(text: &str) -> Zeroizing<String> {
    let single = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
    let value = match single {
        Some(inside) => inside.replace("''", "'"),
        None => serde_json::from_str(text)
            .ok()
            .filter(|_| text.starts_with('"'))
            .unwrap_or_else(|| text.to_owned()),
    };
    Zeroizing::new(value)
}
