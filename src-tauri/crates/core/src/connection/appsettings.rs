//! The `ConnectionStrings` section of .NET's `appsettings.json`.
//!
//! The string of [`super::adonet`] as a JSON string literal (RFC 8259).

use super::{AdoNet, Card, Flags, Format, Language, Parts, Shape, Text, adonet, quote};
use crate::Result;

/// See the module.
pub(super) struct AppSettings;

static CARD: Card = Card {
    id: "appsettings",
    name: "appsettings.json",
    family: ".NET",
    about: "For ASP.NET Core and every .NET host: a whole `appsettings.json`, read by `GetConnectionString(\"Default\")`",
    limits: &[
        "The file holds the password: keep it out of version control, or take `dotnet user-secrets`",
        "No keyword names the file of a certificate authority",
        "A pinned certificate needs Microsoft.Data.SqlClient 5.1 or later",
        adonet::BUILDER,
    ],
    shape: Shape::Snippet(Language::Json),
    grammar: "RFC 8259 around the string of `adonet`",
    defaults: &[
        (
            "\"Default\"",
            "the name that .NET's own templates and texts use most",
        ),
        adonet::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::NET),
};

impl Format for AppSettings {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let string = AdoNet::composed(self, parts)?;
        Ok(string.carried(
            (
                "{\n  \"ConnectionStrings\": {\n    \"Default\": \"",
                "\"\n  }\n}\n",
            ),
            quote::json_inner,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let root: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let string = root["ConnectionStrings"]["Default"]
            .as_str()
            .ok_or("no string")?;
        adonet::tests::read(string, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            round_trip(&AppSettings, &parts, adonet::tests::says(&parts, &AppSettings).then(|| (&parts).into()), read)?;
        }
    }
}
