//! PHP: `PDO` with Microsoft's `pdo_sqlsrv`.
//!
//! Single-quoted PHP strings around a data source name with ODBC's braces. User and password are arguments, and wanted
//! with `}` doubled, as the `sqlsrv` extension wants them.

use super::{Card, Flags, Format, Language, Part, Parts, Shape, Text, quote, sqlsrv};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Pdo;

static CARD: Card = Card {
    id: "pdo",
    name: "PDO (PHP)",
    family: "PHP",
    about: "For PHP: `new PDO` with Microsoft's pdo_sqlsrv",
    limits: &[
        "No certificate authority's file, and no pinned certificate: the extension passes no keyword for it on",
        "The code holds the password: for more than a trial read it from the environment",
    ],
    shape: Shape::Snippet(Language::Php),
    grammar: "PHP, single-quoted strings; microsoft/msphpsql, `core_conn.cpp` and `pdo_parser.cpp`",
    defaults: &[
        (
            "Encrypt=yes",
            "over driver 17, the extension does not encrypt unasked",
        ),
        (
            "LoginTimeout=30",
            "the first client opens the tunnel, which may take longer than the driver's 15 seconds",
        ),
    ],
    flags: Some(Flags::WORDS),
};

impl Format for Pdo {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let trust = if sqlsrv::trust(self, parts)? == "true" {
            "yes"
        } else {
            "no"
        };
        let inner = |text: &str| quote::php_inner(text).as_str().to_owned();
        let mut text = Text::new().plain("new PDO('sqlsrv:").part(
            Part::Server,
            format!("Server=tcp:{},{}", parts.host, parts.port),
        );
        if let Some(database) = &parts.database {
            text = text.plain(";").part(
                Part::Database,
                inner(&format!("Database={}", quote::brace(database))),
            );
        }
        text = text.plain(";").part(
            parts.tls_part(),
            format!("Encrypt=yes;TrustServerCertificate={trust}"),
        );
        if let Some(app) = &parts.app {
            text = text
                .plain(";")
                .part(Part::App, inner(&format!("APP={}", quote::brace(app))));
        }
        for (name, value) in self.options(parts) {
            text = text.plain(";").part(
                Part::Extra,
                inner(&format!("{name}={}", quote::brace(&value))),
            );
        }
        Ok(text
            .plain(";")
            .part(Part::Timeout, "LoginTimeout=30")
            .plain("', ")
            .part(Part::User, quote::php(&quote::brace(&parts.user)))
            .plain(", ")
            .password(
                "'{",
                &quote::php_inner(quote::brace_inner(parts.password.expose_secret()).as_str()),
                "}'",
            )
            .plain(");"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    use super::super::Tls;

    /// The literals of the call, each with its end found by its own quote.
    fn literals(text: &str) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        let mut rest = text.strip_prefix("new PDO(").ok_or("another call")?;
        loop {
            let mut end = None;
            let mut escaped = false;
            for (at, c) in rest.char_indices().skip(1) {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '\'' => {
                        end = Some(at + 1);
                        break;
                    }
                    _ => {}
                }
            }
            let (literal, after) = rest.split_at(end.ok_or("open string")?);
            all.push(read_php_literal(literal)?);
            match after {
                ");" => return Ok(all),
                _ => rest = after.strip_prefix(", ").ok_or("no comma")?,
            }
        }
    }

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let all = literals(text)?;
        let [dsn, user, password] = all.as_slice() else {
            return Err(format!("{} arguments", all.len()));
        };
        let mut pairs = read_braced(dsn.strip_prefix("sqlsrv:").ok_or("another driver")?)?;
        let server = pairs.must("Server")?;
        let (host, port) = host_and_port(server.strip_prefix("tcp:").ok_or("tcp")?, ',')?;
        if pairs.must("Encrypt")? != "yes" || pairs.must("LoginTimeout")? != "30" {
            return Err("not encrypted".into());
        }
        let one = |v: &str| read_braced(&format!("v={v}"))?.must("v");
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: pairs.take("Database"),
            user: one(user)?,
            password: one(password)?,
            app: pairs.take("APP"),
            tls: match pairs.must("TrustServerCertificate")?.as_str() {
                "yes" => Tls::Unverified,
                "no" => Tls::Verified { ca_file: None },
                other => return Err(other.into()),
            },
        };
        said.options = pairs.rest();
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = matches!(parts.tls, Tls::Unverified | Tls::Verified { ca_file: None });
            round_trip(&Pdo, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
