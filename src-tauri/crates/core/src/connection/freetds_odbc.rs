//! ODBC through FreeTDS' driver (`libtdsodbc`).
//!
//! FreeTDS reads a value in braces to `};` before version 1.4, and with `}` doubled since. What has no `}`
//! means the same to both. The port is a keyword of its own.

use super::{Card, Flags, Format, Part, Parts, Shape, Text, Tls, odbc, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct FreeTdsOdbc;

static CARD: Card = Card {
    id: "freetds-odbc",
    name: "ODBC (FreeTDS)",
    family: "ODBC",
    about: "For FreeTDS' ODBC driver, registered as `FreeTDS`: where Microsoft's driver does not run",
    limits: &[
        "A `}` in a value: FreeTDS reads it in two ways, by its version",
        "The server is never verified",
    ],
    shape: Shape::Value,
    grammar: "FreeTDS 1.3 and 1.4, `src/odbc/connectparams.c`",
    defaults: &[
        (
            "Driver={FreeTDS}",
            "the name that Debian's and Homebrew's packages suggest for it",
        ),
        (
            "TDS_Version=7.4",
            "older versions of the protocol know no `date` and `datetime2`",
        ),
        ("Encryption=require", "unasked, only the login is encrypted"),
        (
            "ClientCharset=UTF-8",
            "else the bytes of narrow strings mean what the locale says",
        ),
    ],
    flags: Some(Flags::WORDS),
};

impl Format for FreeTdsOdbc {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if parts.tls != Tls::Unverified {
            return Err(refuse(
                self,
                "that the server is verified",
                "FreeTDS takes any certificate",
                "odbc",
            ));
        }
        let fits = |value: &str| !value.contains('}');
        let options = self.options(parts);
        let unfit = parts
            .first_unfit(fits)
            .or_else(|| (!options.iter().all(|(_, v)| fits(v))).then_some("this option"));
        if let Some(what) = unfit {
            return Err(refuse(
                self,
                what,
                "it holds a `}`, which FreeTDS before 1.4 and since read differently",
                "odbc",
            ));
        }
        let mut text = Text::new()
            .part(Part::Driver, "Driver={FreeTDS}")
            .plain(";")
            .part(
                Part::Server,
                format!("Server={};Port={}", parts.host, parts.port),
            )
            .plain(";");
        if let Some(database) = &parts.database {
            text = text
                .part(
                    Part::Database,
                    format!("Database={}", quote::brace(database)),
                )
                .plain(";");
        }
        text = text
            .part(Part::User, format!("UID={}", quote::brace(&parts.user)))
            .plain(";")
            .password(
                "PWD={",
                &quote::brace_inner(parts.password.expose_secret()),
                "}",
            )
            .plain(";")
            .part(parts.tls_part(), "Encryption=require")
            .plain(";")
            .part(
                Part::Own("the protocol's version, and the bytes of narrow strings"),
                "TDS_Version=7.4;ClientCharset=UTF-8",
            );
        for (name, value) in options {
            text = text
                .plain(";")
                .part(Part::Extra, format!("{name}={}", quote::brace(&value)));
        }
        Ok(odbc::with_app(text, parts))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// As version 1.3 reads: a value in braces goes on to `};` or the end.
    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let mut pairs = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=').ok_or("no =")?;
            let (value, next) = if let Some(braced) = after.strip_prefix('{') {
                match braced.split_once("};") {
                    Some(split) => split,
                    None => (braced.strip_suffix('}').ok_or("open brace")?, ""),
                }
            } else {
                after.split_once(';').unwrap_or((after, ""))
            };
            pairs.push((key.to_owned(), value.to_owned()));
            rest = next;
        }
        let mut pairs = Pairs::new(pairs)?;
        for (key, value) in [
            ("Driver", "FreeTDS"),
            ("Encryption", "require"),
            ("TDS_Version", "7.4"),
            ("ClientCharset", "UTF-8"),
        ] {
            if pairs.must(key)? != value {
                return Err(key.into());
            }
        }
        let mut said = Said {
            options: Vec::new(),
            host: pairs.must("Server")?,
            port: pairs.must("Port")?.parse().map_err(|_| "port")?,
            database: pairs.take("Database"),
            user: pairs.must("UID")?,
            password: pairs.must("PWD")?,
            app: pairs.take("APP"),
            tls: Tls::Unverified,
        };
        said.options = pairs.rest();
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = parts.tls == Tls::Unverified
                && all_values(&parts, |v| !v.contains('}'))
                && FreeTdsOdbc.options(&parts).iter().all(|(_, v)| !v.contains('}'));
            round_trip(&FreeTdsOdbc, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
