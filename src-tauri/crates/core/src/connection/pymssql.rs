//! Python: the call of `pymssql.connect`.
//!
//! Keyword arguments, which pymssql hands to FreeTDS as they are; only Python's own string literals quote.

use super::{Card, Format, Language, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct PyMssql;

/// The longest value that DB-Library takes (`dbsetlname`, FreeTDS `TDS_MAX_LOGIN_STR_SZ`); pymssql does not look at its refusal.
pub(super) const LONGEST_BYTES: usize = 128;

static CARD: Card = Card {
    id: "pymssql",
    name: "pymssql",
    family: "Python",
    about: "For Python: the call of `pymssql.connect`",
    limits: &[
        "The server is never verified: FreeTDS takes any certificate",
        "A value of more than 128 bytes as UTF-8: DB-Library drops it",
        "The code holds the password: for more than a trial read it from the environment",
    ],
    shape: Shape::Snippet(Language::Python),
    grammar: "Python 3, string literals; pymssql 2.4, `connect`",
    defaults: &[
        (
            "encryption=\"require\"",
            "unasked, only the login is encrypted",
        ),
        (
            "login_timeout=30",
            "the default of 60 seconds is long for a server that is not there",
        ),
        ("charset=\"UTF-8\"", "said and not left to the version"),
    ],
    flags: None,
};

impl Format for PyMssql {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if parts.tls != Tls::Unverified {
            return Err(refuse(
                self,
                "that the server is verified",
                "pymssql takes any certificate",
                "pyodbc",
            ));
        }
        if let Some(what) = parts.first_unfit(|value| value.len() <= LONGEST_BYTES) {
            return Err(refuse(
                self,
                what,
                "it has more than 128 bytes as UTF-8, and DB-Library below pymssql would send none of it",
                "pyodbc",
            ));
        }
        let server = if parts.is_ipv6() {
            // Beside a `port`, DB-Library takes the last group of the address for it.
            format!("server=\"{}:{}\"", parts.host, parts.port)
        } else {
            format!(
                "server={}, port=\"{}\"",
                quote::json(&parts.host),
                parts.port
            )
        };
        let mut text = Text::new()
            .plain("pymssql.connect(")
            .part(Part::Server, server)
            .plain(", ");
        if let Some(database) = &parts.database {
            text = text
                .part(
                    Part::Database,
                    format!("database={}", quote::json(database)),
                )
                .plain(", ");
        }
        text = text
            .part(Part::User, format!("user={}", quote::json(&parts.user)))
            .plain(", ")
            .password(
                "password=\"",
                &quote::json_inner(parts.password.expose_secret()),
                "\"",
            )
            .plain(", ")
            .part(parts.tls_part(), "encryption=\"require\"");
        if let Some(app) = &parts.app {
            text = text
                .plain(", ")
                .part(Part::App, format!("appname={}", quote::json(app)));
        }
        Ok(text
            .plain(", ")
            .part(Part::Own("how text travels"), "charset=\"UTF-8\"")
            .plain(", ")
            .part(Part::Timeout, "login_timeout=30")
            .plain(")"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let mut pairs = read_call(text, "pymssql.connect(", ")", "=")?;
        if pairs.must("encryption")? != "require"
            || pairs.must("login_timeout")? != "30"
            || pairs.must("charset")? != "UTF-8"
        {
            return Err("not encrypted".into());
        }
        let server = pairs.must("server")?;
        let (host, port) = match pairs.take("port") {
            Some(port) if !server.contains(':') => (server, port.parse().map_err(|_| "port")?),
            Some(_) => return Err("the last group would be the port".into()),
            None => host_and_port(&server, ':')?,
        };
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: pairs.take("database"),
            user: pairs.must("user")?,
            password: pairs.must("password")?,
            app: pairs.take("appname"),
            tls: Tls::Unverified,
        };
        said.options = pairs.rest();
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = parts.tls == Tls::Unverified && all_values(&parts, |v| v.len() <= 128);
            round_trip(&PyMssql, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
