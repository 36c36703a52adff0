//! Python: SQLAlchemy's URL over pyodbc.
//!
//! RFC 1738 as SQLAlchemy's `make_url` reads it: percent-encoding everywhere, form-encoding in the query, whose
//! keywords are those of ODBC. A URL without a database would name a data source, so then the whole ODBC string goes
//! into `odbc_connect`.

use super::{Card, Flags, Format, Part, Parts, Shape, Text, odbc, quote};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct SqlAlchemy;

static CARD: Card = Card {
    id: "sqlalchemy",
    name: "SQLAlchemy",
    family: "Python",
    about: "For Python: the URL of `create_engine` over pyodbc, also for pandas, SQLModel, Alembic, Flask-SQLAlchemy",
    limits: &[
        odbc::CA_LIMIT,
        odbc::PIN_LIMIT,
        "In `alembic.ini` and other INI files a `%` has to be doubled",
    ],
    shape: Shape::Value,
    grammar: "SQLAlchemy 2, `engine/url.py` and `connectors/pyodbc.py`",
    defaults: &[
        (
            "driver=ODBC+Driver+18+for+SQL+Server",
            "a URL has to name its driver",
        ),
        (
            "Encrypt=yes",
            "driver 17 does not encrypt unasked, driver 18 does",
        ),
    ],
    flags: Some(Flags::WORDS),
};

impl Format for SqlAlchemy {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let Some(database) = &parts.database else {
            let string = odbc::whole(self, parts)?;
            return Ok(string.carried(("mssql+pyodbc:///?odbc_connect=", ""), quote::percent));
        };
        let tls = odbc::tls(self, parts, |file| quote::percent(file).as_str().to_owned())?;
        let tls: Vec<String> = tls
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut text = Text::new()
            .plain("mssql+pyodbc://")
            .part(Part::User, quote::percent(&parts.user).as_str())
            .plain(":")
            .hidden(&quote::percent(parts.password.expose_secret()))
            .plain("@")
            .part(
                Part::Server,
                format!("{}:{}", parts.bracketed_host(), parts.port),
            )
            .plain("/")
            .part(Part::Database, quote::percent(database).as_str())
            .plain("?")
            .part(Part::Driver, "driver=ODBC+Driver+18+for+SQL+Server")
            .plain("&")
            .part(parts.tls_part(), tls.join("&"));
        if let Some(app) = &parts.app {
            text = text
                .plain("&")
                .part(Part::App, format!("APP={}", quote::percent(app).as_str()));
        }
        for (name, value) in self.options(parts) {
            text = text.plain("&").part(
                Part::Extra,
                format!(
                    "{}={}",
                    quote::percent(&name).as_str(),
                    quote::percent(&value).as_str()
                ),
            );
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    use super::super::{Tls, go::tests::unescape};

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text.strip_prefix("mssql+pyodbc://").ok_or("scheme")?;
        if let Some(string) = rest.strip_prefix("/?odbc_connect=") {
            return odbc::tests::read(&unescape(string, true)?, None);
        }
        let (authority, rest) = rest.split_once('/').ok_or("no database: a data source")?;
        let (database, query) = rest.split_once('?').ok_or("no query")?;
        let (login, server) = authority.rsplit_once('@').ok_or("no login")?;
        let (user, password) = login.split_once(':').ok_or("no password")?;
        let (host, port) = host_and_port(server, ':')?;
        let mut pairs = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').ok_or("no =")?;
            pairs.push((unescape(key, true)?, unescape(value, true)?));
        }
        let mut pairs = Pairs::new(pairs)?;
        if pairs.must("driver")? != "ODBC Driver 18 for SQL Server" {
            return Err("driver".into());
        }
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: Some(unescape(database, false)?),
            user: unescape(user, false)?,
            password: unescape(password, false)?,
            app: pairs.take("APP"),
            tls: match (
                pairs.must("Encrypt")?.as_str(),
                pairs.must("TrustServerCertificate")?.as_str(),
                pairs.take("ServerCertificate"),
            ) {
                ("yes", "yes", None) => Tls::Unverified,
                ("yes", "no", None) => Tls::Verified { ca_file: None },
                ("strict", "no", Some(certificate_file)) => Tls::Pinned { certificate_file },
                other => return Err(format!("{other:?}")),
            },
        };
        said.options = pairs.rest();
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = !matches!(parts.tls, Tls::Verified { ca_file: Some(_) });
            round_trip(&SqlAlchemy, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
