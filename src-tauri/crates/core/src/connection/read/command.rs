//! Command lines of `sqlcmd` and `tsql`, split as a POSIX shell does.

use secrecy::zeroize::Zeroizing;

use super::{
    Entry, Finding,
    client::{Client, Key, SQLCMD, TSQL},
};

type Word = Zeroizing<String>;

/// What was found, and whose command it is.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) client: &'static Client,
    pub(super) entries: Vec<Entry>,
    pub(super) findings: Vec<Finding>,
}

/// Splits into commands, and those into words; none where a quote stays open.
pub(super) fn words(text: &str) -> Option<Vec<Vec<Word>>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<Word> = None;
    let mut chars = text.chars().peekable();
    // More than any password; there may be many words.
    let room = text.len().min(256);
    let push = |word: &mut Option<Word>, c: char| {
        word.get_or_insert_with(|| Zeroizing::new(String::with_capacity(room)))
            .push(c);
    };
    let end = |word: &mut Option<Word>, commands: &mut Vec<Vec<Word>>| {
        if let (Some(word), Some(last)) = (word.take(), commands.last_mut()) {
            last.push(word);
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                word.get_or_insert_with(|| Zeroizing::new(String::with_capacity(room)));
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => push(&mut word, c),
                    }
                }
            }
            '"' => {
                word.get_or_insert_with(|| Zeroizing::new(String::with_capacity(room)));
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\' | '$' | '`') => push(&mut word, c),
                            '\n' => {}
                            c => {
                                push(&mut word, '\\');
                                push(&mut word, c);
                            }
                        },
                        c => push(&mut word, c),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(c) => push(&mut word, c),
            },
            ';' | '\n' | '&' | '|' => {
                end(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            c if c.is_whitespace() => end(&mut word, &mut commands),
            c => push(&mut word, c),
        }
    }
    end(&mut word, &mut commands);
    commands.retain(|words| !words.is_empty());
    Some(commands)
}

/// Whether some command of `text` is one that is read here.
pub(super) fn is_one(text: &str) -> bool {
    words(text).is_some_and(|commands| commands.iter().any(|words| program(words).is_some()))
}

/// The client, and its arguments.
fn program(words: &[Word]) -> Option<(&'static Client, &[Word])> {
    let at = words.iter().position(|word| !is_assignment(word))?;
    let (name, arguments) = words.get(at..)?.split_first()?;
    let name = name.rsplit('/').next().unwrap_or_default();
    let client = match name {
        "sqlcmd" | "go-sqlcmd" | "sqlcmd.exe" => &SQLCMD,
        "tsql" => &TSQL,
        _ => return None,
    };
    Some((client, arguments))
}

fn is_assignment(word: &str) -> bool {
    word == "export"
        || word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
}

/// Reads the first such command.
pub(super) fn read(text: &str) -> Option<Found> {
    let commands = words(text)?;
    let mut password = None;
    for words in &commands {
        for word in words.iter().take_while(|word| is_assignment(word)) {
            if let Some(value) = word.strip_prefix("SQLCMDPASSWORD=") {
                password = Some(Zeroizing::new(value.to_owned()));
            }
        }
        if let Some((client, arguments)) = program(words) {
            let mut found = Found {
                client,
                entries: Vec::new(),
                findings: Vec::new(),
            };
            options(client, arguments, &mut found);
            let given = found.entries.iter().any(|e| e.key == Key::Password);
            if let (Some(value), false) = (password, given) {
                found.entries.push(Entry::of(Key::Password, value, true));
            }
            return Some(found);
        }
    }
    None
}

fn options(client: &'static Client, arguments: &[Word], found: &mut Found) {
    let sqlcmd = client.format == SQLCMD.format;
    let mut rest = arguments.iter().peekable();
    while let Some(word) = rest.next() {
        let (option, attached) = match word.strip_prefix("--") {
            Some(long) => {
                let (name, value) = long
                    .split_once('=')
                    .map_or((long, None), |(n, v)| (n, Some(v)));
                (long_option(name), value)
            }
            None => {
                let Some(short) = word.strip_prefix('-') else {
                    continue;
                };
                let mut chars = short.chars();
                let option = chars.next().unwrap_or_default();
                let attached = chars.as_str();
                (option, (!attached.is_empty()).then_some(attached))
            }
        };
        let key = match (option, sqlcmd) {
            ('S', _) | ('H', false) => Key::Server,
            ('p', false) => Key::Port,
            ('U', _) => Key::User,
            ('P', _) => Key::Password,
            ('d', true) | ('D', false) => Key::Database,
            ('J', true) => Key::Pin,
            ('a', false) => Key::App,
            ('E', true) => {
                found.entries.push(Entry::new(Key::Integrated, "true"));
                continue;
            }
            ('C', true) => {
                found.entries.push(Entry::new(Key::Trust, "true"));
                continue;
            }
            ('N', true) => {
                let next = rest.peek().map(|word| word.to_ascii_lowercase());
                let value = match (attached, next) {
                    (Some(value), _) => value.to_owned(),
                    (None, Some(word))
                        if client.encrypt.iter().any(|(known, _)| *known == word) =>
                    {
                        rest.next();
                        word
                    }
                    _ => String::new(),
                };
                found.entries.push(Entry::new(Key::Encrypt, &value));
                continue;
            }
            // What takes a value, so that the value is not taken for an option.
            (
                'a' | 'c' | 'h' | 'i' | 'K' | 'l' | 'm' | 'o' | 'q' | 'Q' | 's' | 't' | 'v' | 'V'
                | 'w' | 'W' | 'y' | 'Y' | 'J',
                _,
            ) => {
                if attached.is_none() && option != 'W' {
                    rest.next();
                }
                continue;
            }
            _ => continue,
        };
        let value = match attached {
            Some(value) => value.to_owned().into(),
            None => match rest.next() {
                Some(value) => value.clone(),
                None => continue,
            },
        };
        if key == Key::Password {
            if !sqlcmd && value.as_str() == "-" {
                continue;
            }
            found.findings.push(Finding::risk(
                "The password is an argument: every process of the machine can read it",
                if sqlcmd {
                    "Put it in the variable SQLCMDPASSWORD instead of `-P`"
                } else {
                    "Write `-P -` and give it on the standard input"
                },
            ));
        }
        found.entries.push(Entry::of(key, value, true));
    }
}

/// go-sqlcmd's long options, as their short ones.
fn long_option(name: &str) -> char {
    match name {
        "server" => 'S',
        "user-name" => 'U',
        "password" => 'P',
        "database-name" => 'd',
        "encrypt-connection" => 'N',
        "trust-server-certificate" => 'C',
        "server-certificate" => 'J',
        "use-trusted-connection" => 'E',
        _ => '?',
    }
}
