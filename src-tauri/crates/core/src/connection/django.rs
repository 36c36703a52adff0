//! Python: Django's `DATABASES`, with `mssql-django`.
//!
//! Python literals; the backend quotes each setting for ODBC itself, but for `extra_params`, which is a piece of an ODBC
//! string.

use super::{Card, Flags, Format, Language, Part, Parts, Shape, Text, odbc, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Django;

static CARD: Card = Card {
    id: "django",
    name: "Django",
    family: "Python",
    about: "For Django's `settings.py`, with mssql-django",
    limits: &[
        "The backend insists on a database",
        odbc::CA_LIMIT,
        odbc::PIN_LIMIT,
        "The file holds the password: for more than a trial read it from the environment",
    ],
    shape: Shape::Snippet(Language::Python),
    grammar: "Python 3, string literals; mssql-django, `base.py`",
    defaults: &[
        (
            "\"driver\": \"ODBC Driver 18 for SQL Server\"",
            "unasked, the backend falls back to driver 17, which does not encrypt",
        ),
        (
            "\"connection_timeout\": 30",
            "the first client opens the tunnel, which may take longer than the driver's 15 seconds",
        ),
    ],
    flags: Some(Flags::WORDS),
};

impl Format for Django {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let Some(database) = &parts.database else {
            return Err(refuse(
                self,
                "a connection without a database",
                "mssql-django insists on `NAME`, and takes `master` where it is `None`; name the database",
                "pyodbc",
            ));
        };
        // A piece of an ODBC string inside of a literal.
        let inner = |text: &str| quote::json_inner(text).as_str().to_owned();
        let tls: Vec<String> = odbc::tls(self, parts, quote::brace)?
            .into_iter()
            .map(|(name, value)| inner(&format!("{name}={value}")))
            .collect();
        let mut text = Text::new()
            .plain("DATABASES = {\n    \"default\": {\n        \"ENGINE\": \"mssql\",\n        ")
            .part(
                Part::Database,
                format!("\"NAME\": {}", quote::json(database)),
            )
            .plain(",\n        ")
            .part(
                Part::User,
                format!("\"USER\": {}", quote::json(&parts.user)),
            )
            .plain(",\n        ")
            .password(
                "\"PASSWORD\": \"",
                &quote::json_inner(parts.password.expose_secret()),
                "\"",
            )
            .plain(",\n        ")
            .part(
                Part::Server,
                format!("\"HOST\": {}", quote::json(&parts.host)),
            )
            .plain(",\n        ")
            .part(Part::Server, format!("\"PORT\": \"{}\"", parts.port))
            .plain(",\n        \"OPTIONS\": {\n            ")
            .part(
                Part::Driver,
                "\"driver\": \"ODBC Driver 18 for SQL Server\"",
            )
            .plain(",\n            \"extra_params\": \"")
            .part(parts.tls_part(), tls.join(";"));
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
            .plain("\",\n            ")
            .part(Part::Timeout, "\"connection_timeout\": 30")
            .plain(",\n        },\n    }\n}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    use super::super::Tls;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        // The literals are JSON's but for the commas before a closing brace.
        let json = text.strip_prefix("DATABASES = ").ok_or("another setting")?;
        let mut lines: Vec<String> = Vec::new();
        for line in json.lines() {
            if line.trim_start().starts_with('}')
                && let Some(last) = lines.last_mut()
            {
                *last = last.strip_suffix(',').unwrap_or(last).to_owned();
            }
            lines.push(line.to_owned());
        }
        let root: serde_json::Value =
            serde_json::from_str(&lines.join("\n")).map_err(|e| e.to_string())?;
        let d = &root["default"];
        let field = |name: &str| {
            d[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("no {name}"))
        };
        let options = &d["OPTIONS"];
        if d["ENGINE"] != "mssql"
            || options["driver"] != "ODBC Driver 18 for SQL Server"
            || options["connection_timeout"] != 30
        {
            return Err("another driver".into());
        }
        // As the backend joins them.
        let whole = format!(
            "Driver={{ODBC Driver 18 for SQL Server}};Server=tcp:{},{};Database={};UID={};PWD={};{}",
            field("HOST")?,
            field("PORT")?,
            quote::brace(&field("NAME")?),
            quote::brace(&field("USER")?),
            quote::brace(&field("PASSWORD")?),
            options["extra_params"].as_str().ok_or("no extra_params")?
        );
        odbc::tests::read(&whole, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = parts.database.is_some() && !matches!(parts.tls, Tls::Verified { ca_file: Some(_) });
            round_trip(&Django, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
