//! From keywords to what they mean, the password first: where it was pasted as it is, the rest is no keywords at all.

use secrecy::zeroize::Zeroizing;

use super::{
    Entry, Finding,
    client::{Client, Key},
    pairs::{self, Fault, Quoting},
};
use crate::nearest::distance;

/// The spellings of Microsoft.Data.SqlClient's own builder that nobody else reads.
const SPACED: &[&str] = &[
    "trust server certificate",
    "multiple active result sets",
    "application intent",
    "multi subnet failover",
    "host name in certificate",
    "server certificate",
    "ip address preference",
];

/// How many findings one string is worth.
const MOST: usize = 50;

/// Reads `key=value;…` from `begin` on.
pub(super) fn read(
    text: &str,
    begin: usize,
    quoting: Quoting,
    client: &'static Client,
    findings: &mut Vec<Finding>,
) -> Vec<Entry> {
    let mut found = pairs::read(text, begin, quoting);
    let mut entries = Vec::new();
    // The password first: what it was meant to be decides which of the rest are keywords at all.
    if let Some(at) = password(client, &found) {
        let (entry, until) = meant(text, at, quoting, client, &found, findings);
        let from = found.pairs.get(at).map_or(0, |pair| pair.at);
        found
            .pairs
            .retain(|pair| pair.at < from || pair.at >= until);
        found.junk.retain(|junk| *junk < from || *junk >= until);
        entries.push(entry);
    } else if let Some(entry) = begins_with_equals(text, client, &mut found, findings) {
        entries.push(entry);
    }
    if !found.junk.is_empty() {
        findings.push(Finding::wrong(
            "Something stands between two `;` that is no keyword with its value",
            "Quote the value that holds a `;`",
        ));
    }
    for pair in found.pairs {
        let key = if client.exact_keys {
            pair.key.as_str()
        } else {
            pair.key.trim()
        };
        let kind = client.key(key);
        if client.exact_keys && key.trim() != key && client.key(key.trim()).is_some() {
            findings.push(Finding::wrong(
                "A blank stands between a keyword and its `=`: the driver takes it for a part of the keyword",
                "Leave the blank out",
            ));
        }
        let Some(kind) = kind else {
            // In another client's words it is still understood, so that the mended string can say it.
            if let Some(kind) = elsewhere(key) {
                entries.push(Entry::of(kind, pair.value, false));
            }
            if findings.len() < MOST {
                findings.push(unknown(client, key));
            }
            continue;
        };
        if client.format == "adonet" && SPACED.contains(&key.to_ascii_lowercase().as_str()) {
            findings.push(Finding::note(
                format!("`{}` with blanks is refused by System.Data.SqlClient, and passed over in silence by node's `mssql`", key.to_ascii_lowercase()),
                format!("Write `{}`, which every client takes", key.to_ascii_lowercase().replace(' ', "")),
            ));
        }
        match pair.fault {
            Some(Fault::Open) => findings.push(Finding::wrong(
                format!(
                    "A quote or brace of {} is never closed: the rest of the string belongs to it",
                    said(kind)
                ),
                "Close it",
            )),
            Some(Fault::Behind) => findings.push(Finding::wrong(
                format!(
                    "Something follows the closing quote or brace of {}",
                    said(kind)
                ),
                "Double the quote or brace that is a part of the value",
            )),
            Some(Fault::Brace) => findings.push(Finding::wrong(
                format!("A `{{` stands in the middle of {}", said(kind)),
                "Put the whole value in braces, and double each `}`",
            )),
            Some(Fault::Foreign) if kind != Key::Other => findings.push(foreign(kind, quoting)),
            Some(Fault::Empty) if client.format == "mssql" => findings.push(Finding::wrong(
                format!(
                    "{} is empty: the package takes the next keyword for its value",
                    capital(said(kind))
                ),
                "Leave the keyword out",
            )),
            _ => {}
        }
        if kind == Key::Other {
            entries.push(Entry::of(Key::Other, pair.value, true).named(key));
        } else {
            entries.push(Entry::of(kind, pair.value, true));
        }
    }
    entries
}

/// Which pair has the password: the one that the client takes, else one whose keyword is nearly right or
/// another client's.
fn password(client: &Client, found: &pairs::Pairs) -> Option<usize> {
    let by =
        |test: &dyn Fn(&str) -> bool| found.pairs.iter().position(|pair| test(pair.key.trim()));
    by(&|key| client.key(key) == Some(Key::Password))
        .or_else(|| by(&|key| elsewhere(key) == Some(Key::Password)))
        .or_else(|| {
            by(&|key| {
                client.key(key).is_none()
                    && (distance(&key.to_ascii_lowercase(), "password") <= 3
                        || distance(&key.to_ascii_lowercase(), "pwd") <= 1)
            })
        })
}

/// The password as it was meant, and where it ends in the text.
fn meant(
    text: &str,
    at: usize,
    quoting: Quoting,
    client: &'static Client,
    found: &pairs::Pairs,
    findings: &mut Vec<Finding>,
) -> (Entry, usize) {
    let Some(pair) = found.pairs.get(at) else {
        return (Entry::new(Key::Password, ""), 0);
    };
    let raw_end = pairs::raw_end(text, pair.from, client).max(pair.from);
    let raw = text.get(pair.from..raw_end).unwrap_or_default();
    let as_it_is = |sure| Entry::of(Key::Password, Zeroizing::new(raw.to_owned()), sure);
    let key = pair.key.trim();
    if client.key(key) != Some(Key::Password) {
        findings.push(if elsewhere(key).is_some() {
            unknown(client, key)
        } else {
            Finding::wrong(
                "A keyword is nearly `Password`, but not quite: there is no password for the client",
                format!("Write `{}`", word(client, Key::Password)),
            )
        });
    }
    let quote = match quoting {
        Quoting::Quotes => "Put it in double quotes, and double each `\"` in it",
        Quoting::Braces | Quoting::BracesTrimmed => "Put it in braces, and double each `}` in it",
        Quoting::PlainBraces | Quoting::Chunks => {
            "Put it in braces; with a `{` in it, take the configuration object"
        }
        Quoting::Brackets => {
            "Put it in brackets; with a `[` or `]` in it, give it as a property of its own"
        }
    };
    let stray = !pair.quoted && raw_end > pair.to;
    let wrong = match pair.fault {
        Some(Fault::Open) => Some(
            "The password begins with a quote or brace that is never closed, so that the rest of the string belongs to it",
        ),
        Some(Fault::Behind) => Some(
            "The password begins with a quote or brace and goes on behind the closing one: the client refuses it or cuts it there",
        ),
        Some(Fault::Brace) => {
            Some("The password holds a `{` and is not in braces: the driver refuses the string")
        }
        Some(Fault::EndsInQuote) => {
            Some("The password ends with a quote and is not quoted: the client refuses the string")
        }
        _ if stray => Some(
            "The password holds a `;` and is not quoted: the client ends it there, and takes what follows for keywords",
        ),
        _ => None,
    };
    if let Some(what) = wrong {
        findings.push(Finding::wrong(what, quote));
        return (as_it_is(false), raw_end);
    }
    if pair.fault == Some(Fault::Foreign) {
        findings.push(foreign(Key::Password, quoting));
    } else if !pair.quoted && quoting == Quoting::Brackets && pair.value.contains([':', '/']) {
        findings.push(Finding::wrong(
            "The password holds a `:` or `/`: the driver ends it there",
            quote,
        ));
    } else if !pair.quoted && pair.value.contains(|c: char| !c.is_ascii_alphanumeric()) {
        findings.push(Finding::note(
            "The password is not quoted; it is read as it stands here, but another one may not be",
            quote,
        ));
    }
    let value = Zeroizing::new(pair.value.as_str().to_owned());
    (Entry::of(Key::Password, value, true), pair.to)
}

/// `Password==…`: to ADO.NET a doubled `=` is a part of the keyword.
fn begins_with_equals(
    text: &str,
    client: &'static Client,
    found: &mut pairs::Pairs,
    findings: &mut Vec<Finding>,
) -> Option<Entry> {
    let starts: Vec<usize> = found
        .junk
        .iter()
        .copied()
        .chain(found.pairs.iter().map(|pair| pair.at))
        .collect();
    let at = starts.into_iter().find(|at| {
        text.get(*at..)
            .and_then(|rest| rest.split_once('='))
            .is_some_and(|(key, behind)| {
                behind.starts_with('=') && client.key(key.trim()) == Some(Key::Password)
            })
    })?;
    let from = at
        .saturating_add(text.get(at..)?.find('=')?)
        .saturating_add(1);
    let end = pairs::raw_end(text, from, client);
    findings.push(Finding::wrong(
        "The password begins with `=` and is not quoted: the client takes it for a part of the keyword",
        "Put it in double quotes, and double each `\"` in it",
    ));
    found.pairs.retain(|pair| pair.at < at || pair.at >= end);
    found.junk.retain(|junk| *junk < at || *junk >= end);
    Some(Entry::of(
        Key::Password,
        Zeroizing::new(text.get(from..end)?.to_owned()),
        false,
    ))
}

fn foreign(kind: Key, quoting: Quoting) -> Finding {
    if quoting == Quoting::Quotes {
        Finding::risk(
            format!(
                "Braces stand around {}: here they are a part of it, only ODBC and JDBC quote by them",
                said(kind)
            ),
            "Put it in double quotes, unless the braces belong to it",
        )
    } else {
        Finding::risk(
            format!(
                "Quotes stand around {}: here they are a part of it, only ADO.NET quotes by them",
                said(kind)
            ),
            "Put it in braces, unless the quotes belong to it",
        )
    }
}

/// What a keyword means to any other client.
fn elsewhere(key: &str) -> Option<Key> {
    Client::ALL
        .into_iter()
        .find_map(|client| {
            client
                .keys
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
        })
        .map(|(_, key)| *key)
}

/// A keyword that the client does not know. It is repeated only where it is a known word, or nearly one: it
/// may be a part of the password.
pub(super) fn unknown(client: &Client, typed: &str) -> Finding {
    let lower = typed.trim().to_ascii_lowercase();
    let outcome = if client.unknown_refused {
        "refuses the string for it"
    } else {
        "passes over it in silence"
    };
    if let Some(kind) = elsewhere(&lower).filter(|kind| *kind != Key::Other) {
        let right = word(client, kind);
        if right.is_empty() {
            return Finding::risk(
                format!("{} has no keyword `{lower}`, and {outcome}", client.name),
                "Leave it out",
            );
        }
        return Finding::wrong(
            format!(
                "`{lower}` is another client's word: {} {outcome}",
                client.name
            ),
            format!("Write `{right}`"),
        );
    }
    let foreign = Client::ALL
        .into_iter()
        .any(|other| other.others.split('|').any(|name| name == lower));
    if foreign {
        return Finding::risk(
            format!(
                "`{lower}` is another client's word: {} {outcome}",
                client.name
            ),
            "Leave it out, or look up this client's word for it",
        );
    }
    let near = client
        .words()
        .map(|known| (distance(&lower, known), known))
        .filter(|(far, known)| *far <= (known.len() / 4).clamp(1, 3))
        .min();
    match near {
        Some((_, known)) if known.len() > 3 => Finding::wrong(
            format!(
                "A keyword is nearly `{known}`, but not quite: {} {outcome}",
                client.name
            ),
            format!("Write `{known}`"),
        ),
        _ => Finding::wrong(
            format!("A keyword is not known to {}, which {outcome}", client.name),
            "Look at its spelling; if it is a piece of a value, quote that value",
        ),
    }
}

/// The client's first word for a thing, as people write it.
pub(super) fn word(client: &Client, kind: Key) -> &'static str {
    client
        .keys
        .iter()
        .find(|(_, key)| *key == kind)
        .map_or("", |(name, _)| name)
}

pub(super) fn said(kind: Key) -> &'static str {
    match kind {
        Key::Server => "the server",
        Key::Port => "the port",
        Key::Instance => "the instance",
        Key::Database => "the database",
        Key::User => "the user",
        Key::Password => "the password",
        Key::Encrypt => "the word for encryption",
        Key::Trust => "the word for trust",
        Key::Pin | Key::Authority => "the certificate's file",
        Key::App => "the application name",
        Key::Integrated => "the word for Windows sign-in",
        Key::Driver => "the driver",
        Key::Other => "a value",
    }
}

pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
