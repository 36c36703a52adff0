//! The command line of `sqlcmd`: the newer one in Go, and Microsoft's ODBC one (`mssql-tools18`).
//!
//! One line for a POSIX shell. The password is in the command's environment and never an
//! argument, which every process of the machine could read.

use super::{Card, Format, Part, Parts, Shape, Text, Tls, go, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Sqlcmd;

static CARD: Card = Card {
    id: "sqlcmd",
    name: "sqlcmd",
    family: "Command line",
    about: "A command line for sh, bash or zsh: `sqlcmd` in its Go and its ODBC version",
    limits: &[
        "The application name is not carried: sqlcmd has no option for it",
        "No certificate authority's file; a pinned certificate works with the Go version only",
        "Characters outside the Basic Multilingual Plane, such as emoji: the Go version cuts such values short",
        "A user or database that starts with `-` would be read as an option",
        "An IPv6 address is written as the Go version wants it; the ODBC version wants no brackets",
        "The shell may keep the line, password included, in its history",
    ],
    shape: Shape::Command,
    grammar: "microsoft/go-sqlcmd, `cmd/sqlcmd`; sqlcmd(1) of mssql-tools18; POSIX shell, single quotes",
    defaults: &[
        (
            "SQLCMDPASSWORD=",
            "an argument would be seen by every process of the machine",
        ),
        (
            "-N",
            "unasked, the Go version does not insist on encryption",
        ),
    ],
    flags: None,
};

impl Format for Sqlcmd {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if let Some(what) = parts.first_unfit(go::fits) {
            return Err(refuse(
                self,
                what,
                "it holds a character outside the Basic Multilingual Plane, such as an emoji, and sqlcmd would send it cut short",
                "adonet",
            ));
        }
        for (what, value) in [
            ("this user", Some(&parts.user)),
            ("this database", parts.database.as_ref()),
        ] {
            if value.is_some_and(|v| v.starts_with('-')) {
                return Err(refuse(
                    self,
                    what,
                    "it starts with `-`, and sqlcmd would read it as an option",
                    "adonet",
                ));
            }
        }
        let tls = match &parts.tls {
            // `-N` goes before another option or last: to the Go version a word behind it is its value,
            // to the ODBC version it is not.
            Tls::Unverified => "-N -C".to_owned(),
            Tls::Verified { ca_file: None } => "-N".to_owned(),
            Tls::Pinned { certificate_file }
                if go::is_certificate_file(certificate_file)
                    && !certificate_file.starts_with('-') =>
            {
                format!("-N -J {}", quote::shell_word(certificate_file))
            }
            Tls::Pinned { .. } => {
                return Err(refuse(
                    self,
                    "this certificate's file",
                    "sqlcmd reads files that end in `.pem` or `.der` and do not start with `-`",
                    "adonet",
                ));
            }
            Tls::Verified { ca_file: Some(_) } => {
                return Err(refuse(
                    self,
                    "which certificate authority to trust",
                    "sqlcmd has no option for it; it trusts what the operating system trusts",
                    "tedious",
                ));
            }
        };
        let mut text = Text::new()
            .password(
                "SQLCMDPASSWORD='",
                &quote::shell_inner(parts.password.expose_secret()),
                "'",
            )
            .plain(" sqlcmd ")
            .part(
                Part::Server,
                format!(
                    "-S {}",
                    quote::shell_word(&format!("tcp:{},{}", parts.bracketed_host(), parts.port))
                ),
            )
            .plain(" ")
            .part(Part::User, format!("-U {}", quote::shell_word(&parts.user)));
        if let Some(database) = &parts.database {
            text = text.plain(" ").part(
                Part::Database,
                format!("-d {}", quote::shell_word(database)),
            );
        }
        Ok(text.plain(" ").part(parts.tls_part(), tls))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str, _: Option<&str>) -> Result<Said, String> {
        let words = read_shell(line)?;
        let mut words = words.iter().map(String::as_str).peekable();
        let password = words
            .next()
            .and_then(|w| w.strip_prefix("SQLCMDPASSWORD="))
            .ok_or("no password")?;
        if words.next() != Some("sqlcmd") {
            return Err("another command".into());
        }
        let (mut server, mut user, mut database, mut encrypt, mut trust, mut pin) =
            (None, None, None, false, false, None);
        while let Some(option) = words.next() {
            let mut value = || {
                words
                    .next()
                    .filter(|v| !v.starts_with('-'))
                    .map(str::to_owned)
                    .ok_or(format!("{option}: no value"))
            };
            match option {
                "-S" => server = Some(value()?),
                "-U" => user = Some(value()?),
                "-d" => database = Some(value()?),
                "-J" => pin = Some(value()?),
                "-C" => trust = true,
                "-N" if words.peek().is_none_or(|w| w.starts_with('-')) => encrypt = true,
                other => return Err(other.into()),
            }
        }
        if !encrypt {
            return Err("not encrypted".into());
        }
        let server = server.ok_or("no server")?;
        let (host, port) = host_and_port(server.strip_prefix("tcp:").ok_or("no tcp:")?, ',')?;
        Ok(Said {
            options: Vec::new(),
            host,
            port,
            database,
            user: user.ok_or("no user")?,
            password: password.to_owned(),
            app: None,
            tls: match (trust, pin) {
                (true, None) => Tls::Unverified,
                (false, None) => Tls::Verified { ca_file: None },
                (false, Some(certificate_file)) => Tls::Pinned { certificate_file },
                other => return Err(format!("{other:?}")),
            },
        })
    }

    fn says(parts: &Parts) -> bool {
        let dashed = parts.user.starts_with('-')
            || parts.database.as_ref().is_some_and(|d| d.starts_with('-'));
        let tls = match &parts.tls {
            Tls::Unverified | Tls::Verified { ca_file: None } => true,
            Tls::Verified { ca_file: Some(_) } => false,
            Tls::Pinned {
                certificate_file: f,
            } => (f.ends_with(".pem") || f.ends_with(".der")) && !f.starts_with('-'),
        };
        tls && !dashed && all_values(parts, |v| v.chars().all(|c| u32::from(c) <= 0xffff))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            let expect = says(&parts).then(|| Said { app: None, ..(&parts).into() });
            round_trip(&Sqlcmd, &parts, expect, read)?;
        }
    }
}
