//! Ruby on Rails: `database.yml`, with `activerecord-sqlserver-adapter`.
//!
//! The file is ERB before it is YAML, so it holds JSON string literals in which `<` is `\u003c`.

use super::{Card, Format, Language, Part, Parts, Shape, Text, Tls, pymssql, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Rails;

static CARD: Card = Card {
    id: "rails",
    name: "Rails",
    family: "Ruby",
    about: "For Rails' `config/database.yml`, with activerecord-sqlserver-adapter and tiny_tds",
    limits: &[
        "The server is never verified: FreeTDS takes any certificate",
        "A value of more than 128 bytes as UTF-8: DB-Library below tiny_tds drops it",
        "Only the login is encrypted, unless the server insists or FreeTDS' own configuration says `encryption = require`",
        "The file holds the password: for more than a trial write `<%= ENV[\"…\"] %>` in its place",
    ],
    shape: Shape::Snippet(Language::Yaml),
    grammar: "ERB, YAML 1.2 over RFC 8259; activerecord-sqlserver-adapter, `connection_handling`; tiny_tds, `TinyTds::Client`",
    defaults: &[
        (
            "tds_version: \"7.4\"",
            "from version 7.1 on, FreeTDS asks for encryption",
        ),
        (
            "login_timeout: 30",
            "the default of 60 seconds is long for a server that is not there",
        ),
    ],
    flags: None,
};

impl Format for Rails {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if parts.tls != Tls::Unverified {
            return Err(refuse(
                self,
                "that the server is verified",
                "tiny_tds takes any certificate",
                "pyodbc",
            ));
        }
        if let Some(what) = parts.first_unfit(|value| value.len() <= pymssql::LONGEST_BYTES) {
            return Err(refuse(
                self,
                what,
                "it has more than 128 bytes as UTF-8, and DB-Library below tiny_tds would send none of it",
                "pyodbc",
            ));
        }
        let literal = |text: &str| format!("\"{}\"", quote::erb_json_inner(text).as_str());
        let mut text = Text::new()
            .plain("development:\n  adapter: sqlserver\n  ")
            .part(
                Part::Server,
                format!("host: {}\n  port: {}", literal(&parts.host), parts.port),
            )
            .plain("\n  ");
        if let Some(database) = &parts.database {
            text = text
                .part(Part::Database, format!("database: {}", literal(database)))
                .plain("\n  ");
        }
        text = text
            .part(Part::User, format!("username: {}", literal(&parts.user)))
            .plain("\n  ")
            .password(
                "password: \"",
                &quote::erb_json_inner(parts.password.expose_secret()),
                "\"",
            )
            .plain("\n  ")
            .part(Part::WeakTls(super::LOGIN_ONLY), "tds_version: \"7.4\"")
            .plain("\n  ");
        if let Some(app) = &parts.app {
            text = text
                .part(Part::App, format!("appname: {}", literal(app)))
                .plain("\n  ");
        }
        Ok(text.part(Part::Timeout, "login_timeout: 30").plain("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        if text.contains('<') {
            return Err("ERB would read it".into());
        }
        let yaml = read_yaml(text)?;
        let field = |name: &str| yaml.get(&format!("development.{name}")).cloned();
        if field("adapter").as_deref() != Some("sqlserver")
            || field("tds_version").as_deref() != Some("7.4")
            || field("login_timeout").as_deref() != Some("30")
        {
            return Err("another adapter".into());
        }
        Ok(Said {
            options: Vec::new(),
            host: field("host").ok_or("host")?,
            port: field("port").and_then(|p| p.parse().ok()).ok_or("port")?,
            database: field("database"),
            user: field("username").ok_or("user")?,
            password: field("password").ok_or("password")?,
            app: field("appname"),
            tls: Tls::Unverified,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = parts.tls == Tls::Unverified
                && all_values(&parts, |v| v.len() <= pymssql::LONGEST_BYTES);
            round_trip(&Rails, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
