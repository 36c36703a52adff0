//! Python: the string of Microsoft's `mssql-python`.
//!
//! The grammar of [`super::odbc`]; the package names driver and application itself and refuses both.

use super::{Card, Flags, Format, Parts, Shape, Text, odbc};
use crate::Result;

/// See the module.
pub(super) struct MssqlPython;

static CARD: Card = Card {
    id: "mssql-python",
    name: "mssql-python",
    family: "Python",
    about: "For Python: the one argument of `mssql_python.connect`; `timeout=30` beside it sets how long it tries",
    limits: &[
        "The application name is not carried: the package sets its own",
        odbc::CA_LIMIT,
        odbc::PIN_LIMIT,
    ],
    shape: Shape::Value,
    grammar: "microsoft/mssql-python 1.16, `connection_string_parser.py`, over the driver's own",
    defaults: &[
        ("tcp:", "no guessing of the protocol"),
        ("Encrypt=yes", "said and not left to the version"),
    ],
    flags: Some(Flags::WORDS),
};

impl Format for MssqlPython {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        odbc::string(self, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    use super::super::Tls;
    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        odbc::tests::read(
            &format!("Driver={{ODBC Driver 18 for SQL Server}};{text}"),
            None,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = !matches!(parts.tls, Tls::Verified { ca_file: Some(_) });
            round_trip(&MssqlPython, &parts, says.then(|| Said { app: None, ..(&parts).into() }), read)?;
        }
    }
}
