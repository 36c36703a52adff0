//! Python: SQLAlchemy's URL over pymssql.
//!
//! As [`super::sqlalchemy`] reads a URL; the query becomes keyword arguments of `pymssql.connect`.

use super::{Card, Format, Part, Parts, Shape, Text, Tls, pymssql::LONGEST_BYTES, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct SqlAlchemyPyMssql;

static CARD: Card = Card {
    id: "sqlalchemy-pymssql",
    name: "SQLAlchemy over pymssql",
    family: "Python",
    about: "For Python: the URL of `create_engine` over pymssql, where no ODBC driver is installed",
    limits: &[
        "The server is never verified: FreeTDS takes any certificate",
        "A value of more than 128 bytes as UTF-8: DB-Library drops it",
        "In `alembic.ini` and other INI files a `%` has to be doubled",
    ],
    shape: Shape::Value,
    grammar: "SQLAlchemy 2, `engine/url.py` and `dialects/mssql/pymssql.py`",
    defaults: &[
        ("encryption=require", "unasked, only the login is encrypted"),
        ("charset=UTF-8", "said and not left to the version"),
    ],
    flags: None,
};

impl Format for SqlAlchemyPyMssql {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if parts.tls != Tls::Unverified {
            return Err(refuse(
                self,
                "that the server is verified",
                "pymssql takes any certificate",
                "sqlalchemy",
            ));
        }
        if let Some(what) = parts.first_unfit(|value| value.len() <= LONGEST_BYTES) {
            return Err(refuse(
                self,
                what,
                "it has more than 128 bytes as UTF-8, and DB-Library below pymssql would send none of it",
                "sqlalchemy",
            ));
        }
        let mut text = Text::new()
            .plain("mssql+pymssql://")
            .part(Part::User, quote::percent(&parts.user).as_str())
            .plain(":")
            .hidden(&quote::percent(parts.password.expose_secret()))
            .plain("@")
            .part(
                Part::Server,
                format!("{}:{}", parts.bracketed_host(), parts.port),
            )
            .plain("/");
        if let Some(database) = &parts.database {
            text = text.part(Part::Database, quote::percent(database).as_str());
        }
        text = text
            .plain("?")
            .part(parts.tls_part(), "encryption=require")
            .plain("&")
            .part(Part::Own("how text travels"), "charset=UTF-8");
        if let Some(app) = &parts.app {
            text = text.plain("&").part(
                Part::App,
                format!("appname={}", quote::percent(app).as_str()),
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

    use super::super::go::tests::unescape;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text.strip_prefix("mssql+pymssql://").ok_or("scheme")?;
        let (authority, rest) = rest.split_once('/').ok_or("no path")?;
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
        if pairs.must("encryption")? != "require" || pairs.must("charset")? != "UTF-8" {
            return Err("not encrypted".into());
        }
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: (!database.is_empty())
                .then(|| unescape(database, false))
                .transpose()?,
            user: unescape(user, false)?,
            password: unescape(password, false)?,
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
            round_trip(&SqlAlchemyPyMssql, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
