//! `key=value;…` in its three grammars, read as far as it goes: what a driver refuses is marked and read on.

use secrecy::zeroize::Zeroizing;

use super::client::{Client, Key};

/// How values are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// `"…"` and `'…'` with the quote doubled; a bare value is trimmed (ADO.NET).
    Quotes,
    /// `{…}` with `}` doubled; a bare value is taken as it is (ODBC).
    Braces,
    /// `{…}` with `}` doubled; a bare value is trimmed (JDBC).
    BracesTrimmed,
    /// `{…}` without any escape; a bare value is trimmed (Prisma).
    PlainBraces,
    /// Stretches in `{…}` without any escape, between bare ones (tiberius' JDBC-like string, Prisma 6).
    Chunks,
    /// Stretches in `[…]` without any escape, between bare ones; nothing is trimmed (jTDS).
    Brackets,
}

/// What is wrong with the way that a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its quote or brace is never closed.
    Open,
    /// Something follows the closing quote or brace.
    Behind,
    /// A brace in the middle of a bare value.
    Brace,
    /// A bare value that ends with a quote.
    EndsInQuote,
    /// It is empty, and the client swallows what follows.
    Empty,
    /// The other family's quotes stand around it and belong to the value.
    Foreign,
}

/// A keyword and its value.
#[derive(Debug)]
pub(super) struct Pair {
    /// As it was typed.
    pub(super) key: String,
    pub(super) value: Zeroizing<String>,
    pub(super) quoted: bool,
    pub(super) fault: Option<Fault>,
    /// Where the keyword begins, in bytes of the text.
    pub(super) at: usize,
    /// Where the value begins, its quote included.
    pub(super) from: usize,
    /// Where it ends: at the `;` or the end of the text.
    pub(super) to: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) pairs: Vec<Pair>,
    /// Where something stands that is no pair.
    pub(super) junk: Vec<usize>,
}

/// Reads `text` from `begin` on.
pub(super) fn read(text: &str, begin: usize, quoting: Quoting) -> Pairs {
    let mut found = Pairs::default();
    let mut at = begin;
    while let Some(rest) = text.get(at..) {
        let skipped = rest.len().saturating_sub(
            rest.trim_start_matches(|c: char| c == ';' || c.is_whitespace())
                .len(),
        );
        at = at.saturating_add(skipped);
        let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) else {
            break;
        };
        let Some((key, from)) = key(rest, quoting == Quoting::Quotes) else {
            found.junk.push(at);
            at = at.saturating_add(rest.find(';').unwrap_or(rest.len()));
            continue;
        };
        let from = at.saturating_add(from);
        let mut pair = value(text, from, quoting);
        pair.key = key;
        pair.at = at;
        at = pair.to;
        found.pairs.push(pair);
    }
    found
}

/// A keyword, and where its value begins; none where a `;` comes first.
fn key(rest: &str, doubled: bool) -> Option<(String, usize)> {
    let mut key = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            ';' => return None,
            '=' if doubled && chars.peek().is_some_and(|(_, next)| *next == '=') => {
                chars.next();
                key.push('=');
            }
            '=' => return Some((key, at.saturating_add(1))),
            c => key.push(c),
        }
    }
    None
}

/// What JavaScript's `trim` takes away: a byte order mark, too, but not the next line of old terminals.
fn blank_to_javascript(c: char) -> bool {
    (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}'
}

fn value(text: &str, from: usize, quoting: Quoting) -> Pair {
    let rest = text.get(from..).unwrap_or_default();
    let blank = |c: char| match quoting {
        Quoting::Braces | Quoting::Brackets => false,
        // Java's `trim`.
        Quoting::BracesTrimmed => c <= ' ',
        Quoting::PlainBraces => blank_to_javascript(c),
        Quoting::Quotes | Quoting::Chunks => c.is_whitespace(),
    };
    let inner = rest.trim_start_matches(blank);
    let begin = from.saturating_add(rest.len().saturating_sub(inner.len()));
    let first = inner.chars().next();
    let closer = match (quoting, first) {
        (Quoting::Quotes, Some(c @ ('"' | '\''))) => Some(c),
        (Quoting::Braces | Quoting::BracesTrimmed, Some('{')) => Some('}'),
        _ => None,
    };
    let mut pair = Pair {
        key: String::new(),
        value: Zeroizing::default(),
        quoted: closer.is_some(),
        fault: None,
        at: from,
        from: begin,
        to: text.len(),
    };
    if let Some(braces) = match quoting {
        Quoting::Chunks => Some(('{', '}')),
        Quoting::Brackets => Some(('[', ']')),
        _ => None,
    } {
        chunks(inner, braces, &mut pair);
        return pair;
    }
    if quoting == Quoting::PlainBraces {
        plain_braces(rest, &mut pair, from);
        return pair;
    }
    let Some(closer) = closer else {
        let end = inner.find(';').unwrap_or(inner.len());
        let bare = inner.get(..end).unwrap_or_default();
        let bare = bare.trim_end_matches(blank);
        pair.value = copied(bare);
        pair.to = begin.saturating_add(end);
        pair.fault = match quoting {
            Quoting::Quotes if bare.starts_with('{') && bare.ends_with('}') => Some(Fault::Foreign),
            Quoting::Quotes if bare.ends_with(['"', '\'']) => Some(Fault::EndsInQuote),
            Quoting::Braces | Quoting::BracesTrimmed
                if wrapped(bare, '"') || wrapped(bare, '\'') =>
            {
                Some(Fault::Foreign)
            }
            Quoting::BracesTrimmed if bare.contains('{') => Some(Fault::Brace),
            Quoting::Quotes if bare.is_empty() => Some(Fault::Empty),
            _ => None,
        };
        return pair;
    };
    let mut chars = inner.char_indices().skip(1).peekable();
    let mut closed = None;
    while let Some((at, c)) = chars.next() {
        if c != closer {
            continue;
        }
        if chars.next_if(|(_, next)| *next == closer).is_none() {
            closed = Some(at);
            break;
        }
    }
    let inside = inner
        .get(1..closed.unwrap_or(inner.len()))
        .unwrap_or_default();
    pair.value = undoubled(inside, closer);
    let Some(closed) = closed.map(|at| at.saturating_add(1)) else {
        pair.fault = Some(Fault::Open);
        return pair;
    };
    let behind = inner.get(closed..).unwrap_or_default();
    let end = behind.find(';').unwrap_or(behind.len());
    if !behind.get(..end).unwrap_or_default().trim().is_empty() {
        pair.fault = Some(Fault::Behind);
    }
    pair.to = begin.saturating_add(closed).saturating_add(end);
    pair
}

/// A copy in a buffer of just its length, which is wiped.
fn copied(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    out.push_str(text);
    out
}

/// The same, each doubled `closer` once.
fn undoubled(text: &str, closer: char) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == closer {
            chars.next_if_eq(&closer);
        }
        out.push(c);
    }
    out
}

/// A value without escapes, from the character behind the `=` on: a `{` right behind any `=` keeps the `;` that follow
/// in the value until a `}`, and the braces are taken off only where they stand around all of it.
fn plain_braces(text: &str, pair: &mut Pair, from: usize) {
    let (mut open, mut begins) = (false, true);
    let end = text
        .char_indices()
        .find(|(_, c)| {
            match c {
                '{' if begins => open = true,
                '}' => open = false,
                _ => {}
            }
            begins = *c == '=' && !open;
            *c == ';' && !open
        })
        .map_or(text.len(), |(at, _)| at);
    let whole = text.get(..end).unwrap_or_default();
    let whole = whole.trim_matches(blank_to_javascript);
    let inside = whole.strip_prefix('{').and_then(|v| v.strip_suffix('}'));
    pair.quoted = inside.is_some();
    pair.value = copied(inside.unwrap_or(whole));
    pair.to = from.saturating_add(end);
    if open {
        pair.fault = Some(Fault::Open);
    } else if wrapped(whole, '"') || wrapped(whole, '\'') {
        pair.fault = Some(Fault::Foreign);
    }
}

/// Whether the quote stands at both of its ends.
fn wrapped(text: &str, quote: char) -> bool {
    text.len() > 1 && text.starts_with(quote) && text.ends_with(quote)
}

/// A value of stretches, from the text's first character on.
fn chunks(text: &str, (open, close): (char, char), pair: &mut Pair) {
    let begin = pair.from;
    pair.quoted = text.starts_with(open);
    pair.value = Zeroizing::new(String::with_capacity(text.len().min(1024)));
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ';' => {
                pair.to = begin.saturating_add(at);
                return;
            }
            c if c == open => loop {
                match chars.next() {
                    Some((_, c)) if c == close => break,
                    Some((_, c)) => pair.value.push(c),
                    None => {
                        pair.fault = Some(Fault::Open);
                        return;
                    }
                }
            },
            c => pair.value.push(c),
        }
    }
}

/// Where a password that was pasted as it is ends: at the `;` before the next keyword that the client
/// knows, or at the end of the text.
pub(super) fn raw_end(text: &str, from: usize, client: &Client) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    for (at, _) in rest.match_indices(';') {
        let behind = rest.get(at.saturating_add(1)..).unwrap_or_default();
        if let Some((key, _)) = key(behind.trim_start(), false)
            && client.key(&key).is_some_and(|key| key != Key::Password)
        {
            return from.saturating_add(at);
        }
    }
    let end = rest.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    from.saturating_add(end.len())
}
