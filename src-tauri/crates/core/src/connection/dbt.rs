//! dbt: a profile of `profiles.yml`, with `dbt-sqlserver`.
//!
//! JSON string literals, which YAML 1.2 reads, and whose text Jinja reads then: what opens a tag is written as an
//! expression. dbt quotes user and password for ODBC, and leaves the database as it is.

use super::{Card, Format, Language, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Dbt;

static CARD: Card = Card {
    id: "dbt",
    name: "dbt",
    family: "Python",
    about: "For dbt's `profiles.yml`, with dbt-sqlserver",
    limits: &[
        "The adapter insists on a database, and does not quote its name: no `;`, and no `{` at its start",
        "The application name is not carried: the adapter sets its own",
        "No certificate authority's file and no pinned certificate",
        "The file holds the password: for more than a trial write `{{ env_var('DBT_ENV_SECRET_…') }}` in its place",
    ],
    shape: Shape::Snippet(Language::Yaml),
    grammar: "YAML 1.2 over RFC 8259, Jinja 3; dbt-sqlserver 1.12, `sqlserver_connections.py`",
    defaults: &[
        (
            "driver: \"ODBC Driver 18 for SQL Server\"",
            "the adapter insists on it",
        ),
        ("encrypt: true", "said and not left to the version"),
        ("schema: \"dbo\"", "the adapter insists on it"),
        ("login_timeout: 30", "the first client opens the tunnel"),
    ],
    flags: None,
};

impl Format for Dbt {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let Some(database) = &parts.database else {
            return Err(refuse(
                self,
                "a connection without a database",
                "dbt insists on `database`; name one, `master` if there is no other",
                "pyodbc",
            ));
        };
        if database.contains(';') || database.starts_with('{') {
            return Err(refuse(
                self,
                "this database",
                "it holds a `;` or starts with `{`, and dbt puts the name into the ODBC string as it is",
                "pyodbc",
            ));
        }
        let trust = match &parts.tls {
            Tls::Unverified => "true",
            Tls::Verified { ca_file: None } => "false",
            Tls::Verified { ca_file: Some(_) } | Tls::Pinned { .. } => {
                return Err(refuse(
                    self,
                    "which certificate to trust",
                    "the profile has no field for it",
                    "pyodbc",
                ));
            }
        };
        let literal = |text: &str| format!("\"{}\"", quote::jinja_json_inner(text).as_str());
        Ok(Text::new()
            .plain("berth:\n  target: dev\n  outputs:\n    dev:\n      type: sqlserver\n      ")
            .part(Part::Driver, "driver: \"ODBC Driver 18 for SQL Server\"")
            .plain("\n      ")
            .part(
                Part::Server,
                format!("host: {}\n      port: {}", literal(&parts.host), parts.port),
            )
            .plain("\n      ")
            .part(Part::Database, format!("database: {}", literal(database)))
            .plain("\n      ")
            .part(
                Part::Own("the schema that dbt builds in"),
                "schema: \"dbo\"",
            )
            .plain("\n      ")
            .part(Part::User, format!("user: {}", literal(&parts.user)))
            .plain("\n      ")
            .password(
                "password: \"",
                &quote::jinja_json_inner(parts.password.expose_secret()),
                "\"",
            )
            .plain("\n      ")
            .part(
                parts.tls_part(),
                format!("encrypt: true\n      trust_cert: {trust}"),
            )
            .plain("\n      ")
            .part(Part::Timeout, "login_timeout: 30")
            .plain("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// The two expressions of Jinja that are written.
    fn rendered(text: &str) -> Result<String, String> {
        let marked = text
            .replace("{{ '{' }}", "\u{0}1")
            .replace("{{ '\\n' }}", "\u{0}2")
            .replace("{{ '\\r' }}", "\u{0}3");
        if ["{{", "{%", "{#", "\n", "\r"]
            .iter()
            .any(|tag| marked.contains(tag))
        {
            return Err(format!("Jinja would read {marked:?}"));
        }
        Ok(marked
            .replace("\u{0}1", "{")
            .replace("\u{0}2", "\n")
            .replace("\u{0}3", "\r"))
    }

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let yaml = read_yaml(text)?;
        let field = |name: &str| {
            yaml.get(&format!("berth.outputs.dev.{name}"))
                .ok_or_else(|| format!("no {name}"))
                .and_then(|v| rendered(v))
        };
        for (name, value) in [
            ("type", "sqlserver"),
            ("encrypt", "true"),
            ("schema", "dbo"),
            ("login_timeout", "30"),
        ] {
            if field(name)? != value {
                return Err(name.into());
            }
        }
        Ok(Said {
            options: Vec::new(),
            host: field("host")?,
            port: field("port")?.parse().map_err(|_| "port")?,
            database: Some(field("database")?),
            user: field("user")?,
            password: field("password")?,
            app: None,
            tls: match field("trust_cert")?.as_str() {
                "true" => Tls::Unverified,
                "false" => Tls::Verified { ca_file: None },
                other => return Err(other.into()),
            },
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = matches!(parts.tls, Tls::Unverified | Tls::Verified { ca_file: None })
                && parts.database.as_ref().is_some_and(|d| !d.contains(';') && !d.starts_with('{'));
            round_trip(&Dbt, &parts, says.then(|| Said { app: None, ..(&parts).into() }), read)?;
        }
    }
}
