//! PHP's two calls: `sqlsrv_connect('…', […])` and `new PDO('sqlsrv:…', '…', '…')`.
//!
//! Their values stand in string literals of PHP, and inside of these in ODBC's braces, which the extension takes off or
//! adds itself (microsoft/msphpsql, `core_conn.cpp`).

use secrecy::zeroize::Zeroizing;

use super::{
    Entry, Finding, Reading,
    client::{self, Key},
    judge, keywords,
    pairs::Quoting,
};

/// What a call consists of, as far as it matters here.
#[derive(Debug)]
enum Token {
    Text(Zeroizing<String>),
    Word(String),
    /// `=>`
    Arrow,
    /// Any other character.
    Mark,
}

/// How many tokens are looked at.
const MOST: usize = 2000;

/// Reads the first call in the text; none where there is none, or something is quoted before it.
pub(super) fn read(text: &str) -> Option<Reading> {
    let sqlsrv = text.find("sqlsrv_connect");
    let pdo = text.find("PDO").filter(|at| {
        text.get(*at..)
            .is_some_and(|rest| rest.contains("sqlsrv:") || rest.contains("SQLSRV:"))
    });
    let at = sqlsrv.or(pdo)?;
    if text.get(..at)?.contains(['\'', '"', '{']) {
        return None;
    }
    let open = text.get(at..)?.find('(')?;
    let call = tokens(text.get(at.checked_add(open)?.checked_add(1)?..)?);
    if sqlsrv.is_some() {
        sqlsrv_connect(&call)
    } else {
        new_pdo(&call)
    }
}

fn sqlsrv_connect(call: &[Token]) -> Option<Reading> {
    let Some(Token::Text(server)) = call.first() else {
        return None;
    };
    let mut findings = Vec::new();
    let mut entries = vec![Entry::of(Key::Server, server.clone(), true)];
    for window in call.windows(3) {
        let [Token::Text(name), Token::Arrow, value] = window else {
            continue;
        };
        let value = match value {
            Token::Text(text) => unbraced(text, &mut findings),
            Token::Word(word) => Zeroizing::new(word.clone()),
            Token::Arrow | Token::Mark => continue,
        };
        match client::SQLSRV.key(name) {
            Some(Key::Other) => entries.push(Entry::of(Key::Other, value, true).named(name)),
            Some(key) => entries.push(Entry::of(key, value, true)),
            None => findings.push(Finding::wrong(
                "The extension refuses an option that it does not know",
                "Leave it out; the names are those of its documentation, in any case",
            )),
        }
    }
    Some(judge::reading(&client::SQLSRV, entries, findings))
}

fn new_pdo(call: &[Token]) -> Option<Reading> {
    let mut texts = call.iter().filter_map(|token| match token {
        Token::Text(text) => Some(text),
        _ => None,
    });
    let name = texts.next()?;
    let prefix = name.get(.."sqlsrv:".len())?;
    if !prefix.eq_ignore_ascii_case("sqlsrv:") {
        return None;
    }
    let mut findings = Vec::new();
    let mut entries = keywords::read(
        name,
        prefix.len(),
        Quoting::Braces,
        &client::PDO,
        &mut findings,
    );
    for key in [Key::User, Key::Password] {
        if let Some(value) = texts.next() {
            entries.push(Entry::of(key, unbraced(value, &mut findings), true));
        }
    }
    Some(judge::reading(&client::PDO, entries, findings))
}

/// A value without the braces that the extension takes off.
fn unbraced(value: &str, findings: &mut Vec<Finding>) -> Zeroizing<String> {
    let inside = value
        .strip_prefix('{')
        .and_then(|value| value.strip_suffix('}'))
        .unwrap_or(value);
    if inside.replace("}}", "").contains('}') {
        findings.push(Finding::wrong(
            "A value holds a single `}`, which the extension refuses",
            "Put the whole value in braces, and double each `}`",
        ));
    }
    Zeroizing::new(inside.replace("}}", "}"))
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if found.len() >= MOST {
            break;
        }
        match c {
            '\'' | '"' => {
                let mut value =
                    Zeroizing::new(String::with_capacity(text.len().saturating_sub(at)));
                while let Some((_, inner)) = rest.next() {
                    match inner {
                        '\\' => escape(c, &mut rest, &mut value),
                        inner if inner == c => break,
                        inner => value.push(inner),
                    }
                }
                found.push(Token::Text(value));
            }
            '=' if rest.next_if(|(_, next)| *next == '>').is_some() => found.push(Token::Arrow),
            // The end of the statement; what follows is another one.
            ';' => break,
            c if c.is_alphanumeric() || c == '$' || c == '_' => {
                let mut word = String::from(c);
                while let Some((_, next)) =
                    rest.next_if(|(_, next)| next.is_alphanumeric() || matches!(next, '_' | '.'))
                {
                    word.push(next);
                }
                found.push(Token::Word(word));
            }
            c if c.is_whitespace() => {}
            _ => found.push(Token::Mark),
        }
    }
    found
}

/// What stands behind a `\`: between `'` only the quote and itself are escaped.
fn escape(
    quote: char,
    rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    value: &mut String,
) {
    let next = rest.next_if(|(_, next)| {
        *next == quote || *next == '\\' || (quote == '"' && "ntrvef$".contains(*next))
    });
    value.push(match next {
        None => '\\',
        Some((_, 'n')) => '\n',
        Some((_, 't')) => '\t',
        Some((_, 'r')) => '\r',
        Some((_, 'v')) => '\u{b}',
        Some((_, 'e')) => '\u{1b}',
        Some((_, 'f')) => '\u{c}',
        Some((_, c)) => c,
    });
}
