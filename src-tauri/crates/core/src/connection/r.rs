//! R: the call of `DBI::dbConnect` with the package `odbc`.
//!
//! The string of [`super::odbc`] as an R string literal. The package's own arguments `uid` and `pwd` would be wrapped in
//! quotes that Microsoft's driver sends on.

use super::{Card, Flags, Format, Language, Part, Parts, Shape, Text, odbc, quote};
use crate::Result;

/// See the module.
pub(super) struct R;

static CARD: Card = Card {
    id: "r",
    name: "R (odbc)",
    family: "R",
    about: "For R: `DBI::dbConnect` with the package odbc",
    limits: &[
        odbc::CA_LIMIT,
        odbc::PIN_LIMIT,
        "The code holds the password: for more than a trial read it with `Sys.getenv`",
    ],
    shape: Shape::Snippet(Language::R),
    grammar: "R, string constants (`?Quotes`); r-dbi/odbc, `dbConnect`; the string of `odbc`",
    defaults: &[
        (
            "Driver={ODBC Driver 18 for SQL Server}",
            "a string without a data source has to name its driver",
        ),
        (
            "encoding = \"UTF-8\"",
            "the driver answers in UTF-8 on macOS and Linux",
        ),
        (
            "timeout = 30",
            "the default of 10 seconds is short for a tunnel that the first client opens",
        ),
    ],
    flags: Some(Flags::WORDS),
};

impl Format for R {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let string = odbc::whole(self, parts)?;
        Ok(string
            .carried(
                ("DBI::dbConnect(odbc::odbc(), .connection_string = \"", "\""),
                quote::json_inner,
            )
            .plain(", ")
            .part(Part::Own("how text travels"), "encoding = \"UTF-8\"")
            .plain(", ")
            .part(Part::Timeout, "timeout = 30")
            .plain(")"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    use super::super::Tls;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text
            .strip_prefix("DBI::dbConnect(odbc::odbc(), .connection_string = ")
            .and_then(|t| t.strip_suffix(", encoding = \"UTF-8\", timeout = 30)"))
            .ok_or("another call")?;
        odbc::tests::read(&read_c_literal(rest)?, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = !matches!(parts.tls, Tls::Verified { ca_file: Some(_) });
            round_trip(&R, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
