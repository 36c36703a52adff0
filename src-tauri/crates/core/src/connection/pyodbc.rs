//! Python: the string of `pyodbc.connect`.
//!
//! The string of [`super::odbc`]. Keyword arguments of `pyodbc.connect` are joined without quoting, so all
//! of it belongs into the string.

use super::{Card, Flags, Format, Parts, Shape, Text, odbc};
use crate::Result;

/// See the module.
pub(super) struct PyOdbc;

static CARD: Card = Card {
    id: "pyodbc",
    name: "pyodbc",
    family: "Python",
    about: "For Python: the one argument of `pyodbc.connect`; `timeout=30` beside it sets how long it tries",
    limits: &[odbc::CA_LIMIT, odbc::PIN_LIMIT],
    shape: Shape::Value,
    grammar: "microsoft/mssql-rs, `connection_string_parser.md`; mkleehammer/pyodbc, `connection.cpp`",
    defaults: &[
        (
            "Driver={ODBC Driver 18 for SQL Server}",
            "a string without a data source has to name its driver",
        ),
        ("tcp:", "no guessing of the protocol"),
        (
            "Encrypt=yes",
            "driver 17 does not encrypt unasked, driver 18 does",
        ),
    ],
    flags: Some(Flags::WORDS),
};

impl Format for PyOdbc {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        odbc::whole(self, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    use super::super::Tls;
    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        odbc::tests::read(text, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = !matches!(parts.tls, Tls::Verified { ca_file: Some(_) });
            round_trip(&PyOdbc, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
