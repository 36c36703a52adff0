//! Which client's string a text is.

use secrecy::zeroize::Zeroizing;

use super::{
    Entry, Finding, Reading,
    client::{self, Client, Key},
    command, context, document, judge, keywords,
    pairs::{self, Quoting},
    php, scan, url,
};
use crate::Secret;

/// A string in a string in a file: further down nobody looks.
const DEEPEST: u8 = 4;

/// Reads a text of any kind; none where it is no connection.
pub(super) fn any(text: &str, format: Option<&str>, depth: u8) -> Option<Reading> {
    if depth > DEEPEST {
        return None;
    }
    let trimmed = text.trim();
    string(trimmed, format)
        .or_else(|| php::read(trimmed))
        .or_else(|| context::read(trimmed))
        .or_else(|| assignment(trimmed, format, depth))
        .or_else(|| document::read(trimmed, format, depth))
        .or_else(|| scan::read(trimmed, format))
        // The last resort: one `key=value` of a client's own, however broken the rest.
        .or_else(|| broken(trimmed, format))
}

/// A text that is one connection string.
pub(super) fn string(text: &str, format: Option<&str>) -> Option<Reading> {
    let lower: String = text
        .chars()
        .take(40)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let asked = |id: &str| format.is_some_and(|format| format.eq_ignore_ascii_case(id));
    if lower.starts_with("jdbc:sqlserver:") {
        return Some(jdbc(text));
    }
    if lower.starts_with("jdbc:jtds:sqlserver:") {
        return Some(jtds(text));
    }
    if lower.starts_with("sqlserver://") {
        let rest = text.get("sqlserver://".len()..)?;
        let semicolon = rest.find(';').unwrap_or(usize::MAX);
        let other = rest.find(['?', '@']).unwrap_or(usize::MAX);
        return Some(if asked("prisma6") {
            prisma(rest, &client::PRISMA6, Quoting::Chunks)
        } else if asked("prisma") || (semicolon < other && !asked("go")) {
            prisma(rest, &client::PRISMA, Quoting::PlainBraces)
        } else {
            from_url(rest, &client::GO)
        });
    }
    if let Some(driver) = lower.strip_prefix("mssql+") {
        let rest = text.get(text.find("://")?.saturating_add(3)..)?;
        let client = if driver.starts_with("pymssql") {
            &client::SQLALCHEMY_PYMSSQL
        } else {
            &client::SQLALCHEMY
        };
        return Some(from_url(rest, client));
    }
    if lower.starts_with("mssql://") {
        let mut reading = from_url(text.get("mssql://".len()..)?, &client::NODE_URL);
        reading.findings.push(Finding::note(
            "Sequelize and TypeORM read such a URL; the `mssql` package reads none since version 7, and Knex fails on one with a port",
            "Take the configuration object there: format `mssql-config` or `knex`",
        ));
        return Some(reading);
    }
    // PHP's own prefix, and go-mssqldb's for the same grammar with its own words.
    for (prefix, client) in [("sqlsrv:", &client::PDO), ("odbc:", &client::GO)] {
        if lower.starts_with(prefix) {
            return Some(from_pairs(text, prefix.len(), Quoting::Braces, client));
        }
    }
    if command::is_one(text) {
        return command::read(text)
            .map(|found| judge::reading(found.client, found.entries, found.findings));
    }
    let (client, quoting) = of_pairs(text, format)?;
    Some(from_pairs(text, 0, quoting, client))
}

/// The client of a `key=value;…` text; none where it is not one.
fn of_pairs(text: &str, format: Option<&str>) -> Option<(&'static Client, Quoting)> {
    let named = format.and_then(|id| match id.to_ascii_lowercase().as_str() {
        "adonet" => Some((&client::ADO, Quoting::Quotes)),
        "system-data" => Some((&client::ADO_OLD, Quoting::Quotes)),
        "mssql" => Some((&client::MSSQL, Quoting::Quotes)),
        "tiberius" => Some((&client::TIBERIUS, Quoting::Quotes)),
        "odbc" => Some((&client::ODBC, Quoting::Braces)),
        "pyodbc" => Some((&client::PYODBC, Quoting::Braces)),
        "mssql-python" => Some((&client::MSSQL_PYTHON, Quoting::Braces)),
        "freetds-odbc" => Some((&client::FREETDS_ODBC, Quoting::Braces)),
        _ => None,
    });
    let begins = |name: &str| {
        let key = name.split_once('=').map(|(key, _)| key.trim());
        key.is_some_and(|key| {
            Client::ALL
                .into_iter()
                .filter(|c| matches!(c.format, "adonet" | "odbc" | "freetds-odbc"))
                .any(|c| c.key(key).is_some())
        })
    };
    if !begins(text) {
        return None;
    }
    if named.is_some() {
        return named;
    }
    // One setting of a shell or an INI file is no string yet.
    let lower = text.to_lowercase();
    let found = pairs::read(text, 0, Quoting::Braces);
    let has = |key: &str| {
        found
            .pairs
            .iter()
            .any(|pair| pair.key.trim().eq_ignore_ascii_case(key))
    };
    if text.contains('\n') && !text.contains(';') {
        return None;
    }
    Some(if has("driver") && lower.contains("freetds") {
        (&client::FREETDS_ODBC, Quoting::Braces)
    } else if has("driver") || has("dsn") || (has("uid") && has("pwd") && braced(&found)) {
        (&client::ODBC, Quoting::Braces)
    } else {
        (&client::ADO, Quoting::Quotes)
    })
}

/// Whether a value is in braces, or a word is one that only ODBC's driver takes.
fn braced(found: &pairs::Pairs) -> bool {
    found
        .pairs
        .iter()
        .any(|pair| pair.quoted || (pair.key.eq_ignore_ascii_case("app")))
}

fn from_pairs(text: &str, begin: usize, quoting: Quoting, client: &'static Client) -> Reading {
    let mut findings = Vec::new();
    let entries = keywords::read(text, begin, quoting, client, &mut findings);
    judge::reading(client, entries, findings)
}

/// `jdbc:sqlserver://host[\instance][:port];key=value…`
fn jdbc(text: &str) -> Reading {
    let begin = text
        .find("://")
        .map_or(text.len(), |at| at.saturating_add(3));
    let rest = text.get(begin..).unwrap_or_default();
    let end = rest.find(';').unwrap_or(rest.len());
    let mut findings = Vec::new();
    let mut entries = keywords::read(
        text,
        begin.saturating_add(end),
        Quoting::BracesTrimmed,
        &client::JDBC,
        &mut findings,
    );
    let server = rest.get(..end).unwrap_or_default();
    if !server.is_empty() {
        if server.contains('@') {
            findings.push(Finding::wrong(
                "A login stands before the host: this driver wants it as `user=…;password=…`",
                "Move it behind the host",
            ));
        }
        let server = server.split(['/', '@']).next_back().unwrap_or(server);
        entries.push(Entry::new(Key::Server, server));
    }
    judge::reading(&client::JDBC, entries, findings)
}

/// `jdbc:jtds:sqlserver://host[:port][/database];key=value…`
fn jtds(text: &str) -> Reading {
    let begin = text
        .find("://")
        .map_or(text.len(), |at| at.saturating_add(3));
    let rest = text.get(begin..).unwrap_or_default();
    let end = rest.find(';').unwrap_or(rest.len());
    let mut findings = Vec::new();
    let mut entries = keywords::read(
        text,
        begin.saturating_add(end),
        Quoting::Brackets,
        &client::JTDS,
        &mut findings,
    );
    let place = rest.get(..end).unwrap_or_default();
    let (server, database) = place
        .split_once('/')
        .map_or((place, None), |(server, database)| (server, Some(database)));
    entries.push(Entry::new(Key::Server, server));
    if let Some(database) = database.filter(|d| !d.is_empty()) {
        entries.push(Entry::new(Key::Database, database));
    }
    judge::reading(&client::JTDS, entries, findings)
}

/// `sqlserver://host[:port];key=value…`
fn prisma(rest: &str, client: &'static Client, quoting: Quoting) -> Reading {
    let end = rest.find(';').unwrap_or(rest.len());
    let mut findings = Vec::new();
    let mut entries = keywords::read(rest, end, quoting, client, &mut findings);
    entries.push(Entry::new(Key::Server, rest.get(..end).unwrap_or_default()));
    if quoting == Quoting::Chunks {
        for entry in entries.iter_mut().filter(|e| e.key == Key::Database) {
            // The one value that the engine decodes.
            if let Some(decoded) = url::decode(&entry.value, false) {
                entry.value = decoded;
            }
        }
    }
    judge::reading(client, entries, findings)
}

fn from_url(rest: &str, client: &'static Client) -> Reading {
    let found = url::read(rest, client);
    if let Some(odbc) = found.odbc {
        let mut reading = from_pairs(&odbc, 0, Quoting::Braces, &client::ODBC);
        reading.client = &client::SQLALCHEMY;
        reading.findings.extend(found.findings);
        return reading;
    }
    judge::reading(client, found.entries, found.findings)
}

/// `NAME=value`, as a shell or a `.env` file has it: the value is read.
fn assignment(text: &str, format: Option<&str>, depth: u8) -> Option<Reading> {
    for line in text.lines() {
        let line = line.trim();
        // A list of a Compose file.
        let line = line.strip_prefix("- ").unwrap_or(line);
        let bare = ["export ", "set -gx ", "$env:", "set ", "ENV "]
            .into_iter()
            .find_map(|prefix| line.strip_prefix(prefix))
            .unwrap_or(line);
        let Some((name, value)) = bare.split_once('=').or_else(|| bare.split_once(' ')) else {
            continue;
        };
        let name = name.trim();
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'))
        {
            continue;
        }
        let value = value.trim();
        let mut values = unquoted(value);
        if name.contains('.') && value.contains('\\') {
            values.insert(0, unescaped(value));
        }
        for value in values {
            // A password may look like a piece of a string.
            if let Some(mut reading) = string(&value, format)
                .or_else(|| document::read(&value, format, depth.saturating_add(1)))
                .filter(|reading| reading.host.is_some())
            {
                beside(text, name, &mut reading);
                reading
                    .place
                    .get_or_insert_with(|| name.chars().take(64).collect());
                return Some(reading);
            }
        }
    }
    None
}

/// Takes user and password from the lines beside a URL that has none, as Spring's properties have them:
/// `….url`, `….username`, `….password`.
fn beside(text: &str, name: &str, reading: &mut Reading) {
    let Some(cut) = name.rfind(['.', '_']) else {
        return;
    };
    let properties = name.contains('.');
    let stem = name.get(..cut).unwrap_or_default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let Some(last) = key
            .trim()
            .strip_prefix(stem)
            .and_then(|rest| rest.strip_prefix(['.', '_']))
        else {
            continue;
        };
        let value = if properties {
            unescaped(value.trim_start())
        } else {
            unquoted(value.trim())
                .into_iter()
                .next()
                .unwrap_or_default()
        };
        match last.to_ascii_lowercase().as_str() {
            "username" | "user" if reading.user.is_none() => {
                reading.user = Some(value.as_str().to_owned());
                reading.findings.retain(|f| f.what != judge::NO_USER);
            }
            "password" if reading.password.is_none() => {
                reading.password = Some(Secret::from(value.as_str().to_owned()));
                reading.findings.retain(|f| f.what != judge::NO_PASSWORD);
            }
            _ => {}
        }
    }
}

/// A value of a Java properties file.
fn unescaped(text: &str) -> Zeroizing<String> {
    let mut units: Zeroizing<Vec<u16>> = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut chars = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let mut unit = 0_u16;
                    for digit in chars.by_ref().take(4) {
                        let digit = digit.to_digit(16).and_then(|d| u16::try_from(d).ok());
                        unit = unit.wrapping_mul(16).wrapping_add(digit.unwrap_or(0));
                    }
                    units.push(unit);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(c) => c,
                None => break,
            },
            c => c,
        };
        units.extend_from_slice(c.encode_utf16(&mut buffer));
    }
    Zeroizing::new(String::from_utf16_lossy(&units))
}

/// A value as its reader may take it: as it is, or without its quotes by the rules of a shell, or plainly.
fn unquoted(value: &str) -> Vec<Zeroizing<String>> {
    let mut all = Vec::new();
    if value.starts_with(['\'', '"', '`']) {
        if let Some(words) = command::words(value)
            && let [command] = words.as_slice()
            && let [word] = command.as_slice()
        {
            all.push(word.clone());
        }
        let inside = value
            .get(1..value.len().saturating_sub(1))
            .unwrap_or_default();
        all.push(Zeroizing::new(inside.to_owned()));
    }
    all.push(Zeroizing::new(value.to_owned()));
    all
}

fn broken(text: &str, format: Option<&str>) -> Option<Reading> {
    let lower = text.to_lowercase();
    let looks = [
        "password",
        "pwd",
        "user id",
        "uid",
        "data source",
        "initial catalog",
    ]
    .iter()
    .any(|word| lower.contains(word))
        && lower.contains('=')
        && lower.contains(';');
    let quoting = match format.map(str::to_ascii_lowercase).as_deref() {
        Some("odbc") => (&client::ODBC, Quoting::Braces),
        _ if lower.contains("driver=") => (&client::ODBC, Quoting::Braces),
        _ => (&client::ADO, Quoting::Quotes),
    };
    looks.then(|| from_pairs(text, 0, quoting.1, quoting.0))
}
