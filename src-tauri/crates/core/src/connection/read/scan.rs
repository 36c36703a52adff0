//! Source code, YAML and other files, as far as it goes: a scan for names with a literal behind them, which
//! reads Python's arguments, JavaScript's objects, PHP's arrays, `database.yml`, dbt's profiles and Compose files.

use secrecy::zeroize::Zeroizing;

use super::{
    Entry, Finding, Reading,
    client::{self, Client, Key},
    guess, judge, keywords,
};

/// How many quotes may stay open before the text is no code.
const MOST_OPEN: usize = 64;

/// A name, and the literal behind it.
#[derive(Debug)]
struct Named {
    name: String,
    value: Zeroizing<String>,
}

/// Reads the first connection in the text; none where there is none.
pub(super) fn read(text: &str, format: Option<&str>) -> Option<Reading> {
    let found = names(text);
    let markup = text.starts_with('<');
    let mut candidates: Vec<(Option<&str>, Zeroizing<String>)> = Vec::new();
    if !markup {
        candidates.extend(
            found
                .iter()
                .map(|n| (Some(n.name.as_str()), n.value.clone())),
        );
    }
    candidates.extend(literals(text, markup).into_iter().map(|value| {
        let value = if markup { entities(&value) } else { value };
        (None, value)
    }));
    let mut readings = candidates
        .into_iter()
        .filter(|(_, value)| value.len() > 12)
        .filter_map(|(name, value)| {
            let mut reading = guess::string(&value, format)?;
            if let Some(name) = name {
                reading.place.get_or_insert_with(|| safe_name(name));
            }
            Some(reading)
        })
        // A password may look like a piece of a string.
        .filter(|reading| reading.host.is_some());
    let first = readings.next();
    // A whole string counts for more than pieces, and they for more than a string without a login.
    match first {
        Some(reading) if reading.password.is_some() => Some(reading),
        first => pieces(text, &found).or(first),
    }
}

fn pieces(text: &str, found: &[Named]) -> Option<Reading> {
    let lower = text.to_lowercase();
    let client: &'static Client = if lower.contains("mssql-django")
        || lower.contains("databases") && lower.contains("engine")
    {
        &client::DJANGO
    } else if lower.contains("pymssql") {
        &client::PYMSSQL
    } else if lower.contains("sqlserver") && lower.contains("adapter:") {
        &client::RAILS
    } else if lower.contains("type: sqlserver") || lower.contains("trust_cert") {
        &client::DBT
    } else {
        &client::OBJECT
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut more = false;
    for named in found {
        let Some(kind) = client.key(&named.name) else {
            if named.name.eq_ignore_ascii_case("extra_params") {
                let mut findings = Vec::new();
                entries.extend(
                    keywords::read(
                        &named.value,
                        0,
                        super::pairs::Quoting::Braces,
                        &client::ODBC,
                        &mut findings,
                    )
                    .into_iter()
                    .filter(|entry| {
                        matches!(entry.key, Key::Encrypt | Key::Trust | Key::Pin | Key::App)
                    }),
                );
            }
            continue;
        };
        if kind == Key::Server && entries.iter().any(|entry| entry.key == Key::Server) {
            more = true;
            break;
        }
        // A file's head may hold another `user` or `name`; the nearest one counts.
        if kind != Key::Other {
            entries.retain(|entry| entry.key != kind);
            let value = if client.format == client::DBT.format {
                rendered(&named.value)
            } else {
                named.value.clone()
            };
            entries.push(Entry::of(kind, value, true));
        }
    }
    let has = |kind: Key| entries.iter().any(|entry| entry.key == kind);
    if !has(Key::Server) || !(has(Key::User) || has(Key::Password)) {
        return None;
    }
    let mut findings = Vec::new();
    if more {
        findings.push(Finding::note(
            "The text holds more than one connection; the first one was read",
            "Give the others by themselves",
        ));
    }
    Some(judge::reading(client, entries, findings))
}

/// A value without the Jinja expressions that stand for characters of Jinja's own.
fn rendered(text: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(text.to_owned());
    for (expression, character) in [
        ("{{ '{' }}", "{"),
        ("{{ '\\n' }}", "\n"),
        ("{{ '\\r' }}", "\r"),
    ] {
        value = Zeroizing::new(value.replace(expression, character));
    }
    value
}

/// A name that may be shown: a key of a file, not a value.
pub(super) fn safe_name(name: &str) -> String {
    let safe = name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-' | ' '));
    if safe {
        name.to_owned()
    } else {
        "…".to_owned()
    }
}

/// Every `name: literal`, `name = literal`, `'name' => literal`.
fn names(text: &str) -> Vec<Named> {
    let mut all = Vec::new();
    let mut at = 0;
    let mut open = 0_usize;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(c) = rest.chars().next() else { break };
        if c == '#' || rest.starts_with("//") {
            at = at.saturating_add(rest.find('\n').unwrap_or(rest.len()));
            continue;
        }
        let name = if matches!(c, '"' | '\'') && open < MOST_OPEN {
            let name = quoted(rest, false);
            open = open.saturating_add(usize::from(name.is_none()));
            name
        } else if c.is_ascii_alphabetic() || c == '_' {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            Some((
                Zeroizing::new(rest.get(..end).unwrap_or_default().to_owned()),
                end,
            ))
        } else {
            None
        };
        let Some((name, length)) = name else {
            at = at.saturating_add(c.len_utf8());
            continue;
        };
        let behind = rest.get(length..).unwrap_or_default();
        let blank = behind.trim_start_matches([' ', '\t']);
        let sign = ["=>", ":", "="]
            .into_iter()
            .find(|sign| blank.starts_with(sign));
        let after = sign.and_then(|sign| blank.get(sign.len()..));
        // `a == b` and `A::B` are no such pairs.
        let after = after.filter(|after| !after.starts_with(['=', ':']));
        let Some(after) = after else {
            at = at.saturating_add(length);
            continue;
        };
        let value = after.trim_start_matches([' ', '\t']);
        let begin = at.saturating_add(rest.len()).saturating_sub(value.len());
        let yaml = sign == Some(":") && !matches!(c, '"' | '\'') && blank.len() == behind.len();
        let Some((value, length)) = literal(value, yaml) else {
            at = begin;
            continue;
        };
        if name.len() <= 64 {
            all.push(Named {
                name: name.as_str().to_owned(),
                value,
            });
        }
        at = begin.saturating_add(length).max(at.saturating_add(1));
    }
    all
}

/// A literal: quoted, or bare up to what ends one.
fn literal(text: &str, yaml: bool) -> Option<(Zeroizing<String>, usize)> {
    let first = text.chars().next()?;
    if matches!(first, '"' | '\'' | '`') {
        return quoted(text, yaml);
    }
    if matches!(first, '{' | '[' | '(' | '|' | '>' | '&' | '*') {
        return None;
    }
    let ends = [',', ')', ']', '}', '\n', '\r'];
    // Only YAML has texts without quotes; elsewhere it is a number, a word, or an expression to look into.
    let end = if yaml {
        text.find(ends).unwrap_or(text.len())
    } else {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = text.find(|c| !word(c)).unwrap_or(text.len());
        let behind = text.get(end..)?.trim_start_matches([' ', '\t']);
        let ended = behind.is_empty() || behind.starts_with(ends) || behind.starts_with([';', '#']);
        ended.then_some(end)?
    };
    let bare = text.get(..end)?;
    let bare = bare.split(" #").next().unwrap_or(bare).trim();
    if bare.is_empty() {
        return None;
    }
    Some((Zeroizing::new(bare.to_owned()), end))
}

/// A quoted literal from its first character on, and its length with the quotes.
fn quoted(text: &str, yaml: bool) -> Option<(Zeroizing<String>, usize)> {
    let quote = text.chars().next()?;
    let mut value = Zeroizing::new(String::with_capacity(text.len().min(256)));
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if yaml && quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') {
                chars.next();
                value.push('\'');
                continue;
            }
            return Some((value, at.saturating_add(quote.len_utf8())));
        }
        if c != '\\' || (yaml && quote == '\'') {
            value.push(c);
            continue;
        }
        let (_, escape) = chars.next()?;
        let digits = match escape {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if digits > 0 && (!yaml || quote != '\'') {
            let mut number = 0_u32;
            let mut some = 0;
            if chars.peek().is_some_and(|(_, c)| *c == '{') {
                chars.next();
                while let Some((_, c)) = chars.next_if(|(_, c)| c.is_ascii_hexdigit()) {
                    number = number.wrapping_mul(16).wrapping_add(c.to_digit(16)?);
                }
                chars.next_if(|(_, c)| *c == '}')?;
            } else {
                while some < digits {
                    let (_, c) = chars.next()?;
                    number = number.wrapping_mul(16).wrapping_add(c.to_digit(16)?);
                    some += 1;
                }
            }
            if (0xd800..0xdc00).contains(&number) {
                // The second half of a pair follows.
                let mut low = 0_u32;
                (chars.next()?.1 == '\\' && chars.next()?.1 == 'u').then_some(())?;
                for _ in 0..4 {
                    low = low
                        .wrapping_mul(16)
                        .wrapping_add(chars.next()?.1.to_digit(16)?);
                }
                number = 0x10000_u32
                    .wrapping_add((number & 0x3ff) << 10)
                    .wrapping_add(low & 0x3ff);
            }
            value.push(char::from_u32(number)?);
            continue;
        }
        match escape {
            'n' if quote != '\'' || !yaml => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            'b' => value.push('\u{8}'),
            'f' => value.push('\u{c}'),
            '0' => value.push('\0'),
            '\n' => {}
            c => value.push(c),
        }
    }
    None
}

/// A quoted literal without escapes, and its length with the quotes.
fn plain(text: &str) -> Option<(Zeroizing<String>, usize)> {
    let quote = text.chars().next()?;
    let inside = text.get(1..)?;
    let end = inside.find(quote)?;
    let value = Zeroizing::new(inside.get(..end)?.to_owned());
    Some((value, end.saturating_add(2)))
}

/// An attribute's value without its entities.
fn entities(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let known = behind.split_once(';').and_then(|(name, behind)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, behind))
        });
        match known {
            Some((c, behind)) => {
                out.push(c);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Every quoted literal of the text.
fn literals(text: &str, markup: bool) -> Vec<Zeroizing<String>> {
    let mut all = Vec::new();
    let mut at = 0;
    let mut open = 0_usize;
    // Each one that is never closed is looked for to the end of the text.
    while open < MOST_OPEN
        && let Some(rest) = text.get(at..)
    {
        let Some(found) = rest.find(['"', '\'']) else {
            break;
        };
        let begin = at.saturating_add(found);
        let rest = text.get(begin..).unwrap_or_default();
        let found = if markup {
            plain(rest)
        } else {
            quoted(rest, false)
        };
        match found {
            Some((value, length)) => {
                all.push(value);
                at = begin.saturating_add(length.max(1));
            }
            None => {
                at = begin.saturating_add(1);
                open = open.saturating_add(1);
            }
        }
    }
    all
}
