//! `scheme://user:password@host:port/path?key=value&…`, as go-mssqldb, SQLAlchemy and Node's libraries read it.

use secrecy::zeroize::Zeroizing;

use super::{
    Entry, Finding,
    client::{Client, Key},
    judge, keywords, shown,
};

/// What was found in a URL.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) findings: Vec<Finding>,
    /// The value of `odbc_connect`, which is a whole ODBC string.
    pub(super) odbc: Option<Zeroizing<String>>,
}

/// Whether the database is the path; to go-mssqldb a path is an instance's name.
fn path_is_database(client: &Client) -> bool {
    client.format != "go"
}

/// Reads what follows `scheme://`.
pub(super) fn read(rest: &str, client: &'static Client) -> Found {
    let mut found = Found::default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    // No path and no keyword holds an `@` as it is: then the password holds one, and what ended the login as well.
    let late =
        tail.split('=').next().is_some_and(|t| t.contains('@')) && !tail.contains("odbc_connect=");
    let (login, host, tail) = match authority.rsplit_once('@') {
        Some((login, host)) if !late => (Some(login), host, tail),
        // A raw `/`, `?` or `#` in the password cuts the login off: the real `@` comes later.
        _ if tail.contains('@') && !tail.contains("odbc_connect=") => {
            found.findings.push(Finding::wrong(
                "The password holds a `/`, `?` or `#` as it is: the client takes what stands before it for the host",
                "Percent-encode the user and the password",
            ));
            match late_at(rest) {
                Some((login, host, tail)) => (Some(login), host, tail),
                // Whatever stands there may be the password.
                None => (None, "", ""),
            }
        }
        _ => (None, authority, tail),
    };
    if let Some(login) = login {
        // A login without `:` that was cut off may be the password's.
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None if found.findings.is_empty() => (login, None),
            None => ("", None),
        };
        found.take(Key::User, user, false, "the user");
        if let Some(password) = password {
            let (value, fault) = password_of(password);
            if let Some(what) = fault
                && found.findings.is_empty()
            {
                found
                    .findings
                    .push(Finding::wrong(what, "Percent-encode the password"));
            }
            found
                .entries
                .push(Entry::of(Key::Password, value, fault.is_none()));
        }
    }
    if !host.is_empty() {
        found.entries.push(Entry::new(Key::Server, host));
    }
    let (before_fragment, fragment) = tail.split_once('#').unwrap_or((tail, ""));
    if !fragment.is_empty() {
        found.findings.push(Finding::wrong(
            "A `#` as it is ends the URL: what follows is not read",
            "Write it as `%23`",
        ));
    }
    let (path, query) = before_fragment
        .split_once('?')
        .unwrap_or((before_fragment, ""));
    let path = path.trim_start_matches('/');
    if !path.is_empty() {
        if path_is_database(client) {
            found.take(Key::Database, path, false, "the database");
        } else {
            found.findings.push(Finding::wrong(
                "A path is the name of an instance to go-mssqldb, not a database",
                "Write `?database=…`",
            ));
            found.take(Key::Database, path, false, "the database");
        }
    }
    query_of(query, client, &mut found);
    found
}

/// The login, the server and the rest, cut at the last `@` that a host follows.
fn late_at(rest: &str) -> Option<(&str, &str, &str)> {
    rest.rmatch_indices('@').find_map(|(at, _)| {
        let (login, behind) = rest.split_at_checked(at)?;
        let behind = behind.strip_prefix('@')?;
        let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
        let (host, tail) = behind.split_at_checked(end)?;
        let (name, _) = judge::host_and_port(host, Some(':'))?;
        shown::is_host(&name).then_some((login, host, tail))
    })
}

fn query_of(query: &str, client: &'static Client, found: &mut Found) {
    if query.is_empty() {
        return;
    }
    let semicolons = query.contains(';');
    if semicolons {
        found.findings.push(Finding::wrong(
            "The parameters are joined by `;`: Go drops such a part whole, so database, encryption and trust are not what they seem",
            "Join them by `&`",
        ));
    }
    for part in query.split(['&', ';']).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let key = decode(key, true).unwrap_or_else(|| Zeroizing::new(key.to_owned()));
        if key.eq_ignore_ascii_case("odbc_connect") {
            found.odbc = decode(value, true);
            continue;
        }
        match client.key(&key) {
            Some(Key::Other) => {}
            Some(kind) => found.take(kind, value, true, "a parameter"),
            None => found.findings.push(keywords::unknown(client, &key)),
        }
    }
}

impl Found {
    /// Takes a percent-encoded value.
    fn take(&mut self, key: Key, text: &str, plus: bool, what: &str) {
        let value = decode(text, plus);
        if value.is_none() {
            self.findings.push(Finding::wrong(
                format!("The percent-encoding of {what} is broken"),
                "Write a `%` as `%25`",
            ));
        }
        let sure = value.is_some();
        let value = value.unwrap_or_else(|| Zeroizing::new(text.to_owned()));
        self.entries.push(Entry::of(key, value, sure));
    }
}

/// The password, and what is wrong with the way that it is written.
fn password_of(text: &str) -> (Zeroizing<String>, Option<&'static str>) {
    let raw = || Zeroizing::new(text.to_owned());
    let Some(value) = decode(text, false) else {
        return (
            raw(),
            Some(
                "The password holds a `%` that no two hexadecimal digits follow: the client refuses the URL",
            ),
        );
    };
    if text.contains('@') {
        return (
            raw(),
            Some(
                "The password holds an `@` as it is: some clients take what follows the first one for the host",
            ),
        );
    }
    if text.contains(|c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(
                c,
                '/' | '?' | '#' | '[' | ']' | '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`'
            )
    }) {
        return (
            raw(),
            Some("The password holds a character that has to be percent-encoded in a URL"),
        );
    }
    (value, None)
}

/// Percent-decoding; none where it is broken or no UTF-8.
pub(super) fn decode(text: &str, plus: bool) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || {
                    let digit = char::from(rest.next()?).to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                let (high, low) = (digit()?, digit()?);
                bytes.push(high.checked_mul(16)?.checked_add(low)?);
            }
            b'+' if plus => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    out.push_str(text);
    Some(out)
}
