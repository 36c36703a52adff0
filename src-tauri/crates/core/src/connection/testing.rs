//! What the formats' tests share: hostile values, and the comparison of what a reader of
//! the format's grammar understood with what was meant.

use proptest::prelude::*;

use super::{Format, Parts, Setting, Tls};
use crate::secret::ExposeSecret;

/// What a reader understood.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Said {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: Option<String>,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) app: Option<String>,
    pub(super) tls: Tls,
    /// Sorted by name.
    pub(super) options: Vec<(String, String)>,
}

impl Said {
    /// What `format` has to say: its options in its own words.
    pub(super) fn by(format: &dyn Format, parts: &Parts) -> Self {
        let mut options = format.options(parts);
        options.sort();
        Self {
            options,
            ..parts.into()
        }
    }
}

impl From<&Parts> for Said {
    fn from(parts: &Parts) -> Self {
        Self {
            host: parts.host.clone(),
            port: parts.port,
            database: parts.database.clone(),
            user: parts.user.clone(),
            password: parts.password.expose_secret().to_owned(),
            app: parts.app.clone(),
            tls: parts.tls.clone(),
            options: Vec::new(),
        }
    }
}

/// A connection that every format can say.
pub(super) fn plain() -> Parts {
    Parts {
        host: "127.0.0.1".into(),
        port: 14330,
        database: Some("orders".into()),
        user: "sa".into(),
        password: "Passw0rdWithout".into(),
        tls: Tls::Unverified,
        app: Some("berth".into()),
        options: Vec::new(),
    }
}

/// Separators, quotes, escapes, injections and blanks of every grammar that a value passes.
const HOSTILE: &[&str] = &[
    ";",
    "=",
    "'",
    "\"",
    "{",
    "}",
    "@",
    ":",
    "/",
    "?",
    "#",
    "&",
    "%",
    "+",
    "\\",
    ",",
    "|",
    "$",
    "`",
    "!",
    "-",
    "*",
    "~",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    "^",
    ";;",
    "==",
    "''",
    "\"\"",
    "{{",
    "}}",
    "};",
    "{}",
    "';",
    "\";",
    "\\'",
    "\\\"",
    ";Encrypt=no;TrustServerCertificate=yes",
    "\";Encrypt=False;X=\"",
    "};Encrypt=no;X={",
    "&encrypt=disable&",
    "%3B",
    "%00",
    "%",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "\u{200b}",
    "${HOME}",
    "$(id)",
    "`id`",
    "!!",
    "%s",
    "{{ x }}",
    "<%= x %>",
    "+1.23E+456",
    "0x1F",
    "null",
    "e\u{301}",
    "\u{e9}",
    "\u{4e2d}",
    "\u{1f600}",
    "-x",
    "--",
    "A",
    "b",
    "7",
    "Zq",
    "tcp:",
    "//",
    "PWD=",
    "=;",
    ";=",
];

/// Any text that SQL Server's login can carry.
pub(super) fn any_value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(HOSTILE).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        1 => "[ -~]{1,6}",
    ];
    prop_oneof![
        20 => prop::collection::vec(piece, 1..10).prop_map(|v| v.concat()),
        1 => prop::sample::select(HOSTILE).prop_map(|s| s.repeat(128)),
        1 => Just("\u{4e2d}".repeat(128)),
    ]
    .prop_map(|text| {
        let mut units = 0;
        text.chars()
            .filter(|c| *c != '\0')
            .take_while(|c| {
                units += c.len_utf16();
                units <= 128
            })
            .collect::<String>()
    })
    .prop_filter("the login has no empty values", |text| !text.is_empty())
}

fn any_host() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("127.0.0.1".to_owned()),
        Just("localhost".to_owned()),
        "[a-z0-9_][a-z0-9._-]{0,20}",
        any::<std::net::Ipv4Addr>().prop_map(|a| a.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|a| a.to_string()),
    ]
}

fn any_tls() -> impl Strategy<Value = Tls> {
    let file = "[a-zA-Z /\\\\;{}\"'%&$=.+\u{e9}-]{1,12}(\\.pem|\\.der|\\.crt|\\.cer|)";
    prop_oneof![
        3 => Just(Tls::Unverified),
        1 => Just(Tls::Verified { ca_file: None }),
        1 => file.prop_map(|f| Tls::Verified { ca_file: Some(f) }),
        1 => file.prop_map(|f| Tls::Pinned { certificate_file: f }),
    ]
}

fn any_options() -> impl Strategy<Value = Vec<(String, Setting)>> {
    let value = prop_oneof![
        any::<bool>().prop_map(Setting::Flag),
        any::<i32>().prop_map(|n| Setting::Number(n.into())),
        any_value().prop_map(Setting::Text),
    ];
    let one = prop::collection::btree_map("[XYZ][a-z]{3,8}", value, 0..3);
    prop_oneof![
        3 => Just(Vec::new()),
        1 => one.prop_map(|all| {
            let mut seen = std::collections::BTreeSet::new();
            all.into_iter().filter(|(name, _)| seen.insert(name.to_lowercase())).collect()
        }),
    ]
}

/// Anything that [`Parts::check`] lets through.
pub(super) fn any_parts() -> impl Strategy<Value = Parts> {
    (
        any_host(),
        1..=u16::MAX,
        prop::option::of(any_value()),
        any_value(),
        any_value(),
        any_tls(),
        prop::option::of(any_value()),
        any_options(),
    )
        .prop_map(
            |(host, port, database, user, password, tls, app, options)| Parts {
                host,
                port,
                database,
                user,
                password: password.into(),
                tls,
                app,
                options,
            },
        )
}

/// Writes `parts`, reads them back with `read`, and holds both against `expect`: what has to
/// arrive, or `None` where the grammar cannot say it and a refusal is the one right answer.
pub(super) fn round_trip(
    format: &dyn Format,
    parts: &Parts,
    expect: Option<Said>,
    read: impl Fn(&str, Option<&str>) -> Result<Said, String>,
) -> Result<(), TestCaseError> {
    // One place for all formats that take none.
    let expect = expect
        .filter(|_| parts.options.is_empty() || format.card().flags.is_some())
        .map(|said| Said {
            options: Said::by(format, parts).options,
            ..said
        });
    match (format.write(parts), expect) {
        (Ok(text), Some(expect)) => {
            let whole = text.reveal();
            let whole = whole.expose_secret();
            let input = text.input().map(|i| i.expose_secret().to_owned());
            let said = read(whole, input.as_deref()).map_err(|e| {
                TestCaseError::fail(format!("the client would refuse {whole:?}: {e}"))
            })?;
            prop_assert_eq!(
                &said,
                &expect,
                "the client would read something else in {:?}",
                whole
            );
            Ok(())
        }
        (Err(e), Some(expect)) => Err(TestCaseError::fail(format!(
            "{expect:?} can be said, but: {e}"
        ))),
        (Ok(text), None) => Err(TestCaseError::fail(format!(
            "{parts:?} cannot be said, but was written: {text:?}"
        ))),
        (Err(e), None) => {
            prop_assert!(
                !e.causes().is_empty() && e.what_to_do().is_some(),
                "a refusal says why and what else: {:?}",
                e
            );
            Ok(())
        }
    }
}

/// Whether all of user, password, database and application name fit.
pub(super) fn all_values(parts: &Parts, fits: impl Fn(&str) -> bool) -> bool {
    [
        Some(&parts.user),
        parts.database.as_ref(),
        parts.app.as_ref(),
    ]
    .into_iter()
    .flatten()
    .all(|v| fits(v))
        && fits(parts.password.expose_secret())
}

/// Reads `host` with the port behind the last `separator`, IPv6 bare or in brackets.
pub(super) fn host_and_port(text: &str, separator: char) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(separator).ok_or("no port")?;
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    Ok((
        host.to_owned(),
        port.parse().map_err(|_| format!("port {port:?}"))?,
    ))
}

/// The keyword and value pairs of a string, each keyword once.
#[derive(Debug)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Refuses a keyword that is there twice: drivers differ in which one wins.
    pub(super) fn new(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut seen = std::collections::BTreeSet::new();
        for (key, _) in &pairs {
            if !seen.insert(key.to_lowercase()) {
                return Err(format!("{key} is there twice"));
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let at = self
            .0
            .iter()
            .position(|(k, _)| k.eq_ignore_ascii_case(key))?;
        Some(self.0.remove(at).1)
    }

    pub(super) fn must(&mut self, key: &str) -> Result<String, String> {
        self.take(key).ok_or_else(|| format!("no {key}"))
    }

    /// What is left: options, or a keyword that the driver does not know.
    pub(super) fn rest(mut self) -> Vec<(String, String)> {
        self.0.sort();
        self.0
    }
}

/// Reads the string of the ADO.NET family: keys up to `=` (a literal one doubled), values in
/// double quotes with doubled quotes, or bare and trimmed. Stricter than the drivers where
/// they differ from each other.
pub(super) fn read_ado(text: &str) -> Result<Pairs, String> {
    let mut pairs = Vec::new();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let mut key = String::new();
        loop {
            match rest.next().ok_or_else(|| format!("{key:?} has no value"))? {
                '=' if rest.peek() == Some(&'=') => key.extend(rest.next()),
                '=' => break,
                ';' => return Err(format!("`;` in the key {key:?}")),
                c => key.push(c),
            }
        }
        let mut value = String::new();
        if rest.peek() == Some(&'"') {
            rest.next();
            loop {
                match rest.next().ok_or("open quote")? {
                    '"' if rest.peek() == Some(&'"') => value.extend(rest.next()),
                    '"' => break,
                    '\0' => return Err("NUL".into()),
                    c => value.push(c),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != ';') {
                if c.is_control() || matches!(c, '"' | '\'' | '{' | '}' | '=') || c.is_whitespace()
                {
                    return Err(format!("a bare value with {c:?}"));
                }
                value.push(c);
            }
            if value.is_empty() {
                return Err("an empty value swallows the rest in one driver".into());
            }
        }
        match rest.next() {
            None => {}
            // Two in a row are a literal `;` to one driver.
            Some(';') if rest.peek() != Some(&';') => {}
            Some(c) => return Err(format!("{c:?} after a value")),
        }
        pairs.push((key.trim().to_owned(), value));
    }
    Pairs::new(pairs)
}

/// Reads `key=value;…` of the ODBC and JDBC family: a value is bare up to `;`, or in braces
/// with `}` doubled.
pub(super) fn read_braced(text: &str) -> Result<Pairs, String> {
    let mut pairs = Vec::new();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=') {
            key.push(c);
        }
        rest.next().ok_or_else(|| format!("{key:?} has no value"))?;
        let mut value = String::new();
        if rest.peek() == Some(&'{') {
            rest.next();
            loop {
                match rest.next().ok_or("open brace")? {
                    '}' if rest.peek() == Some(&'}') => value.extend(rest.next()),
                    '}' => break,
                    c => value.push(c),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != ';') {
                if matches!(c, '{' | '}') || c.is_whitespace() {
                    return Err(format!("a bare value with {c:?}"));
                }
                value.push(c);
            }
        }
        match rest.next() {
            None => {}
            Some(';') if rest.peek().is_some_and(|c| *c != ';') => {}
            c => return Err(format!("{c:?} after a value, or a trailing `;`")),
        }
        pairs.push((key, value));
    }
    Pairs::new(pairs)
}

/// Splits a command line as a POSIX shell does, refusing every character that a shell would
/// expand; leading assignments stay words.
pub(super) fn read_shell(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or("open quote")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '\\' => word
                .get_or_insert_default()
                .push(rest.next().ok_or("open escape")?),
            c if c.is_ascii_alphanumeric() || "-_=:,./[]".contains(c) => {
                word.get_or_insert_default().push(c)
            }
            c => return Err(format!("{c:?} outside quotes")),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads a double-quoted literal with the escapes that JSON, C#, Python and R share: `\\`, `\"` and `\u` with four
/// digits. A raw control character or line separator is an error to one of them.
pub(super) fn read_c_literal(literal: &str) -> Result<String, String> {
    if literal.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(format!("a line ends inside of {literal:?}"));
    }
    serde_json::from_str(literal).map_err(|e| format!("{literal}: {e}"))
}

/// Reads a single-quoted PHP string.
pub(super) fn read_php_literal(literal: &str) -> Result<String, String> {
    let mut text = String::new();
    let inside = literal
        .strip_prefix('\'')
        .and_then(|l| l.strip_suffix('\''))
        .ok_or_else(|| format!("no string: {literal}"))?;
    let mut rest = inside.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.peek() {
                Some('\\' | '\'') => text.extend(rest.next()),
                _ => text.push('\\'),
            },
            '\'' => return Err(format!("the string ends early: {literal}")),
            c => text.push(c),
        }
    }
    Ok(text)
}

/// Reads nested mappings whose scalars are JSON strings or plain words, and lists of such, as paths of keys
/// joined by `.` (`list.0` for an item). Comments take a whole line.
pub(super) fn read_yaml(text: &str) -> Result<std::collections::BTreeMap<String, String>, String> {
    let mut all = std::collections::BTreeMap::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let indent = line.len() - bare.len();
        let item = bare.strip_prefix("- ");
        // A list's items may stand as deep as the key that they belong to.
        while path
            .last()
            .is_some_and(|(i, _)| *i > indent || (*i == indent && item.is_none()))
        {
            path.pop();
        }
        let (mut indent, mut bare) = (indent, bare);
        if let Some(item) = item {
            let before = path
                .last()
                .filter(|(i, _)| *i == indent)
                .and_then(|(_, key)| key.parse::<usize>().ok());
            if before.is_some() {
                path.pop();
            }
            path.push((indent, before.map_or(0, |n| n + 1).to_string()));
            indent += 2;
            bare = item;
        }
        let (key, value) = match bare.split_once(':') {
            Some((key, value)) if !bare.starts_with('"') => (Some(key), value.trim_start()),
            _ => (None, bare),
        };
        if let Some(key) = key {
            path.push((indent, key.to_owned()));
        }
        if !value.is_empty() {
            let value = if value.starts_with('"') {
                read_c_literal(value)?
            } else if value.contains(['"', '\'', '{', '}', '#', '&', '*', '!', '|', '>', '%', '@'])
            {
                return Err(format!("a plain scalar with {value:?}"));
            } else {
                value.to_owned()
            };
            let name: Vec<&str> = path.iter().map(|(_, k)| k.as_str()).collect();
            if all.insert(name.join("."), value).is_some() {
                return Err(format!("twice: {line}"));
            }
            if key.is_some() {
                path.pop();
            }
        }
    }
    Ok(all)
}

/// Reads the object of a client over tedious: `take` removes and answers what differs: the name of the host's
/// field, the user, tedious' options. Types of the extra options are lost in the words.
pub(super) fn read_tedious_like(
    text: &str,
    take: impl FnOnce(
        &mut serde_json::Map<String, serde_json::Value>,
    ) -> Result<(&'static str, serde_json::Value, serde_json::Value), String>,
) -> Result<Said, String> {
    use serde_json::Value;
    fn text_of(v: Value) -> Result<String, String> {
        v.as_str().map(str::to_owned).ok_or(format!("{v:?}"))
    }
    // The one expression in it stands for its argument here; a value cannot look like it, as its quotes would be escaped.
    let mut json = text.to_owned();
    if let Some((before, after)) = text.split_once(r#"require("node:fs").readFileSync("#) {
        let mut literal = serde_json::Deserializer::from_str(after).into_iter::<String>();
        literal
            .next()
            .ok_or("no file")?
            .map_err(|e| e.to_string())?;
        let (file, rest) = after.split_at(literal.byte_offset());
        json = format!(
            "{before}{file}{}",
            rest.strip_prefix(')').ok_or("open call")?
        );
    }
    let root: Value = serde_json::from_str(&json).map_err(|e| e.to_string())?;
    let Value::Object(mut root) = root else {
        return Err("no object".into());
    };
    let (host, user, options) = take(&mut root)?;
    let Value::Object(mut options) = options else {
        return Err("no options".into());
    };
    if options.remove("encrypt") != Some(true.into())
        || options.remove("connectTimeout") != Some(30_000.into())
    {
        return Err("not encrypted".into());
    }
    let ca = options
        .remove("cryptoCredentialsDetails")
        .map(|mut c| text_of(c["ca"].take()))
        .transpose()?;
    let mut said = Said {
        host: text_of(root.remove(host).ok_or("no host")?)?,
        port: root
            .remove("port")
            .and_then(|p| p.as_u64())
            .and_then(|p| p.try_into().ok())
            .ok_or("port")?,
        database: root.remove("database").map(text_of).transpose()?,
        user: text_of(user)?,
        password: text_of(root.remove("password").ok_or("no password")?)?,
        app: options.remove("appName").map(text_of).transpose()?,
        tls: match (options.remove("trustServerCertificate"), ca) {
            (Some(Value::Bool(true)), None) => Tls::Unverified,
            (Some(Value::Bool(false)), ca_file) => Tls::Verified { ca_file },
            other => return Err(format!("{other:?}")),
        },
        options: Vec::new(),
    };
    if !root.is_empty() {
        return Err(format!("unknown: {root:?}"));
    }
    said.options = options
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect();
    said.options.sort();
    Ok(said)
}

/// Reads `name<equals>value, …` between `open` and `close`: values are strings in double quotes as [`read_c_literal`] or in single
/// quotes as [`read_php_literal`] has them, or bare words.
pub(super) fn read_call(
    text: &str,
    open: &str,
    close: &str,
    equals: &str,
) -> Result<Pairs, String> {
    let mut rest = text
        .strip_prefix(open)
        .and_then(|t| t.strip_suffix(close))
        .ok_or("another call")?;
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once(equals).ok_or("no =")?;
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let end = match quote {
            None => after.find(", ").unwrap_or(after.len()),
            Some(quote) => {
                let mut escaped = false;
                let end = after.char_indices().skip(1).find(|(_, c)| {
                    let ends = *c == quote && !escaped;
                    escaped = *c == '\\' && !escaped;
                    ends
                });
                end.ok_or("open string")?.0 + 1
            }
        };
        let (literal, more) = after.split_at(end);
        let value = match quote {
            Some('"') => read_c_literal(literal)?,
            Some(_) => read_php_literal(literal)?,
            None => literal.to_owned(),
        };
        pairs.push((name.to_owned(), value));
        rest = match more {
            "" => "",
            more => more.strip_prefix(", ").ok_or("no comma")?,
        };
    }
    Pairs::new(pairs)
}
