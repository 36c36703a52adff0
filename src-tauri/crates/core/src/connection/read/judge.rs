//! From keywords and values to what a client would do, and what is wrong with that.

use secrecy::zeroize::Zeroizing;

use super::{
    Entry, Finding, Reading,
    client::{Client, Key, Twice, Wire},
    keywords::{capital, said, word},
    shown,
};
use crate::Secret;
use crate::connection::{Setting, Tls};
use crate::secret::ExposeSecret;

/// What is said where they are missing; a file may have them beside the string.
pub(super) const NO_USER: &str = "There is no user";
pub(super) const NO_PASSWORD: &str = "There is no password";

/// Host and port of a server's value. `separator` is what parts them; IPv6 stands in brackets where it is `:`.
pub(super) fn host_and_port(text: &str, separator: Option<char>) -> Option<(String, Option<u16>)> {
    let bare = |host: &str| {
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
            .to_owned()
    };
    let Some(separator) = separator else {
        return Some((bare(text), None));
    };
    match text.rsplit_once(separator) {
        Some((host, port)) if separator != ':' || !host.contains(':') || host.ends_with(']') => {
            Some((bare(host.trim()), Some(port.trim().parse().ok()?)))
        }
        _ => Some((bare(text), None)),
    }
}

/// Makes the reading from what was found.
pub(super) fn reading(
    client: &'static Client,
    entries: Vec<Entry>,
    findings: Vec<Finding>,
) -> Reading {
    let mut reading = Reading {
        client,
        place: None,
        host: None,
        port: None,
        database: None,
        user: None,
        password: None,
        app: None,
        tls: Tls::Unverified,
        wire: client.encrypt_unsaid,
        tls_words: String::new(),
        options: Vec::new(),
        findings,
    };
    let one = |reading: &mut Reading, kind: Key| -> Option<Zeroizing<String>> {
        let mut all: Vec<&Entry> = entries.iter().filter(|entry| entry.key == kind).collect();
        // What is only understood with another client's help never outweighs what this one takes.
        if all.iter().any(|entry| entry.sure) {
            all.retain(|entry| entry.sure);
        }
        if all.len() > 1 && kind != Key::Other {
            let (what, mend) = match client.twice {
                Twice::First => (
                    "is there more than once: the first one counts",
                    "Leave one of them",
                ),
                Twice::Last => (
                    "is there more than once: the last one counts",
                    "Leave one of them",
                ),
                Twice::Refused => (
                    "is there more than once, which the client refuses",
                    "Leave one of them",
                ),
            };
            reading.findings.push(Finding::wrong(
                format!("{} {what}", capital(said(kind))),
                mend,
            ));
        }
        let chosen = if client.twice == Twice::First {
            all.first()
        } else {
            all.last()
        };
        chosen.map(|entry| entry.value.clone())
    };
    let password = one(&mut reading, Key::Password).filter(|p| !p.is_empty());
    let user = one(&mut reading, Key::User).filter(|u| !u.is_empty());
    if one(&mut reading, Key::Integrated)
        .is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "true" | "yes" | "sspi"))
    {
        reading.findings.push(Finding::wrong(
            "Windows sign-in is asked for, so that user and password do not count",
            "Leave it out: an instance in a container knows SQL Server logins only",
        ));
    }
    let place = [Key::Server, Key::Port, Key::Instance].map(|kind| one(&mut reading, kind));
    server(&mut reading, &place);
    reading.database = one(&mut reading, Key::Database)
        .filter(|d| !d.is_empty())
        .map(|d| d.as_str().to_owned());
    reading.app = one(&mut reading, Key::App)
        .filter(|a| !a.is_empty())
        .map(|a| a.as_str().to_owned());
    reading.user = user.map(|u| u.as_str().to_owned());
    reading.password = password.map(|p| Secret::from(p.as_str().to_owned()));
    let words =
        [Key::Encrypt, Key::Trust, Key::Pin, Key::Authority].map(|kind| one(&mut reading, kind));
    tls(&mut reading, &words);
    reading.options = entries
        .iter()
        .filter(|entry| entry.key == Key::Other && !entry.name.is_empty())
        .map(|entry| {
            (
                entry.name.clone(),
                Setting::Text(entry.value.as_str().to_owned()),
            )
        })
        .collect();
    missing(&mut reading);
    reading
}

fn server(reading: &mut Reading, words: &[Option<Zeroizing<String>>; 3]) {
    let client = reading.client;
    let [server, port, instance] = words;
    let Some(value) = server.as_ref().filter(|value| !value.is_empty()) else {
        reading.findings.push(Finding::wrong(
            "There is no server",
            "Say the host and the port",
        ));
        return;
    };
    let mut name = value.trim();
    for prefix in ["tcp:", "TCP:", "Tcp:"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    let (before, named) = match name.split_once('\\') {
        Some((host, rest)) => {
            // `host\instance,1433`: the port stays.
            let (instance, port) = rest
                .split_once([',', ':'])
                .map_or((rest, None), |(i, p)| (i, Some(p)));
            (
                port.map_or_else(
                    || host.to_owned(),
                    |port| format!("{host}{}{port}", client.port_after.unwrap_or(',')),
                ),
                !instance.is_empty(),
            )
        }
        None => (name.to_owned(), false),
    };
    let named = named || instance.as_ref().is_some_and(|i| !i.is_empty());
    let mut found = host_and_port(&before, client.port_after);
    // FreeTDS cuts at the last `:` when the port is not given by itself, and wants no brackets.
    if client.format == "pymssql"
        && port.is_none()
        && let Some((host, number)) = before.rsplit_once(':')
        && let Ok(number) = number.parse()
    {
        found = Some((host.to_owned(), Some(number)));
    }
    // The other client's separator: not read by this one, but meant.
    let usable = |found: &Option<(String, Option<u16>)>| {
        found.as_ref().is_some_and(|(host, _)| shown::is_host(host))
    };
    if !usable(&found) {
        for separator in [',', ':'] {
            let other = host_and_port(&before, Some(separator));
            if usable(&other) && other.as_ref().is_some_and(|(_, port)| port.is_some()) {
                let right = client.port_after;
                reading.findings.push(match right {
                    Some(right) => Finding::wrong(
                        format!("The port stands behind a `{separator}`, which this client takes for a part of the host"),
                        format!("Write `host{right}port`"),
                    ),
                    None => Finding::wrong(
                        "The port stands in the server's value, where this client wants only the host",
                        "Give the port by itself",
                    ),
                });
                found = other;
                break;
            }
        }
    }
    let Some((host, mut number)) = found.filter(|(host, _)| shown::is_host(host)) else {
        reading.findings.push(Finding::wrong(
            "The server's value is no host name or address with a port",
            "Write a name or an address; whatever may be a secret in it is not shown",
        ));
        return;
    };
    if let Some(value) = port {
        match value.trim().parse::<u16>() {
            Ok(port) if port > 0 => number = number.or(Some(port)),
            _ => reading.findings.push(Finding::wrong(
                "The port is no number from 1 to 65535",
                "Write the port's number",
            )),
        }
    }
    if named && number.is_none() {
        reading.findings.push(Finding::risk(
            "An instance is named and no port: the client asks UDP port 1434, which no container answers",
            "Leave the instance's name out, and say the port",
        ));
    } else if number.is_none() {
        reading.findings.push(Finding::note(
            "No port is said: the client takes 1433",
            "Say the port, if the server is in a container: it is published at another one",
        ));
    }
    if host.eq_ignore_ascii_case("localhost") {
        reading.findings.push(Finding::note(
            "`localhost` may be tried as the IPv6 address `::1` first, where nothing of Berth's listens",
            "Write `127.0.0.1`, unless the certificate is for `localhost`",
        ));
    }
    reading.host = Some(host);
    reading.port = number;
}

fn tls(reading: &mut Reading, words: &[Option<Zeroizing<String>>; 4]) {
    let client = reading.client;
    let [encrypt, trust, pin, authority] = words;
    let on = format!("Write `{}`", client.encrypt_on);
    let lower = |value: &Zeroizing<String>| value.trim().to_ascii_lowercase();
    let wire = match encrypt {
        None => client.encrypt_unsaid,
        Some(value) => {
            let value = lower(value);
            match client.encrypt.iter().find(|(word, _)| *word == value) {
                Some((_, wire)) => *wire,
                None => match client.encrypt_else {
                    Some(wire) => {
                        if value == "strict" {
                            reading.findings.push(Finding::risk(
                                "This client has no strict encryption: it takes the word for another",
                                &on,
                            ));
                        }
                        wire
                    }
                    None => {
                        reading.findings.push(Finding::wrong(
                            format!("The word for encryption is not one of those that {} knows, and refuses", client.name),
                            &on,
                        ));
                        Wire::Encrypted
                    }
                },
            }
        }
    };
    let go = client.format == "go";
    let authenticates = client.format == "jtds"
        && encrypt
            .as_ref()
            .is_some_and(|value| lower(value) == "authenticate");
    let mut trusts = !(client.verifies || authenticates) || (go && encrypt.is_none());
    if let Some(value) = trust {
        let value = lower(value);
        if client.trust_on.contains(&value.as_str()) {
            trusts = true;
        } else if client.trust_off.contains(&value.as_str()) {
            trusts = false;
        } else if client.trust_lax {
            reading.findings.push(Finding::wrong(
                "The word for trust is not one that this client knows, so the server is verified",
                format!("Write `{}`", client.trust_on.first().unwrap_or(&"true")),
            ));
            trusts = false;
        } else {
            reading.findings.push(Finding::wrong(
                format!(
                    "The word for trust is not one of those that {} knows, and refuses",
                    client.name
                ),
                format!("Write `{}`", client.trust_on.first().unwrap_or(&"true")),
            ));
        }
    }
    if wire == Wire::Strict && trusts && client.verifies {
        reading.findings.push(Finding::risk(
            "Strict encryption verifies the server whatever is said of trust",
            "Pin the server's certificate, or take plain encryption",
        ));
        trusts = false;
    }
    let pin = pin.as_ref().filter(|file| !file.is_empty());
    let authority = authority.as_ref().filter(|file| !file.is_empty());
    let pins = match client.format {
        "adonet" => !trusts || wire == Wire::Strict,
        "go" | "sqlcmd" => true,
        "odbc" | "pyodbc" | "mssql-python" | "sqlalchemy" | "jdbc" => wire == Wire::Strict,
        _ => false,
    };
    if pin.is_some() && !pins {
        reading.findings.push(Finding::risk(
            "A certificate is pinned, but this client does not look at it here",
            if client.format == "adonet" {
                "Say `TrustServerCertificate=False`: with trust the pin is not looked at"
            } else {
                "Take strict encryption, which SQL Server 2022 and later understand"
            },
        ));
    }
    reading.tls = match (pin, authority) {
        (Some(file), _) if pins => Tls::Pinned {
            certificate_file: file.as_str().to_owned(),
        },
        (_, Some(file)) if !trusts || matches!(client.format, "tiberius" | "prisma6") => {
            Tls::Verified {
                ca_file: Some(file.as_str().to_owned()),
            }
        }
        _ if trusts => Tls::Unverified,
        _ => Tls::Verified { ca_file: None },
    };
    reading.wire = wire;
    let unsaid = if encrypt.is_none() {
        " (by this client's own default, which differs between clients and their versions)"
    } else {
        ""
    };
    reading.tls_words = match wire {
        Wire::Encrypted => format!("{}{unsaid}", reading.tls.rung().label()),
        Wire::Strict => format!(
            "{}; strict, which SQL Server 2022 and later understand{unsaid}",
            reading.tls.rung().label()
        ),
        Wire::LoginOnly => format!(
            "Only the login is encrypted, unless the server wants more: what is asked and answered can be read on the way{unsaid}"
        ),
        Wire::Clear => format!("Not encrypted: the password can be read on the way{unsaid}"),
    };
    match wire {
        Wire::Encrypted | Wire::Strict => {
            if encrypt.is_none() {
                reading.findings.push(Finding::note(
                    "Encryption is not said: clients and their versions differ in what they do then",
                    &on,
                ));
            }
        }
        Wire::LoginOnly => reading.findings.push(Finding::risk(
            "Encryption is off but for the login: what is asked and answered can be read on the way",
            &on,
        )),
        Wire::Clear => reading.findings.push(Finding::risk(
            "Encryption is off: the password can be read on the way",
            &on,
        )),
    }
}

/// What a client could not do without.
fn missing(reading: &mut Reading) {
    if reading.user.is_none() {
        reading.findings.push(Finding::wrong(
            NO_USER,
            format!("Say it{}", named(reading.client, Key::User)),
        ));
    }
    if reading.password.is_none() && !matches!(reading.client.format, "freetds" | "sqlcmd") {
        reading.findings.push(Finding::wrong(
            NO_PASSWORD,
            format!("Say it{}", named(reading.client, Key::Password)),
        ));
    }
    if reading.client.format == "sqlalchemy" && reading.database.is_none() && reading.host.is_some()
    {
        reading.findings.push(Finding::wrong(
            "There is no database: SQLAlchemy then takes the host for the name of a data source",
            "Put a database behind the `/`",
        ));
    }
    let password = reading
        .password
        .as_ref()
        .map(|p| p.expose_secret().to_owned())
        .map(Zeroizing::new);
    if let Some(password) = &password
        && password.chars().any(|c| c.len_utf16() == 2)
        && matches!(reading.client.format, "go" | "sqlcmd")
    {
        reading.findings.push(Finding::wrong(
            "The password holds a character outside the Basic Multilingual Plane, such as an emoji: go-mssqldb sends it cut short",
            "Take another password",
        ));
    }
}

fn named(client: &Client, kind: Key) -> String {
    let word = word(client, kind);
    if word.is_empty() || matches!(client.format, "sqlcmd" | "freetds") {
        String::new()
    } else {
        format!(": `{word}`")
    }
}
