//! ADO.NET for System.Data.SqlClient: .NET Framework, and the older package for .NET.
//!
//! The quoting of [`super::adonet`]. Keywords that Microsoft.Data.SqlClient brought throw here, and
//! `Encrypt` is a boolean.

use super::{Card, Flags, Format, Parts, Shape, Text, adonet};
use crate::Result;

/// See the module.
pub(super) struct SystemData;

static CARD: Card = Card {
    id: "system-data",
    name: "ADO.NET (System.Data.SqlClient)",
    family: ".NET",
    about: "For .NET Framework and the older System.Data.SqlClient package: Windows PowerShell, Entity Framework 6",
    limits: &[
        "No keyword names the file of a certificate authority, or a pinned certificate",
        adonet::BUILDER,
    ],
    shape: Shape::Value,
    grammar: "System.Data.SqlClient 4.7, `DbConnectionOptions.GetKeyValuePair`",
    defaults: &[
        (
            "tcp:",
            "no guessing of the protocol, and no SQL Server Browser",
        ),
        (
            "Encrypt=True",
            "unasked, only the login is encrypted; it knows no word but `True` and `False`",
        ),
        adonet::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::NET),
};

impl Format for SystemData {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let trust = adonet::trust(self, parts)?;
        adonet::string(self, parts, trust)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tls, testing::*};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            let says = !matches!(parts.tls, Tls::Pinned { .. }) && adonet::tests::says(&parts, &SystemData);
            round_trip(&SystemData, &parts, says.then(|| (&parts).into()), |text, _| adonet::tests::read(text, None))?;
        }
    }
}
