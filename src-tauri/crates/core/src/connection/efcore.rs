//! Entity Framework Core: the call that a `DbContext` makes in `OnConfiguring`.
//!
//! The string of [`super::adonet`] as a regular C# string literal (ECMA-334 §6.4.5.6): `\"`, `\\` and
//! `\u` escapes, which C# shares with JSON.

use super::{AdoNet, Card, Flags, Format, Language, Parts, Shape, Text, adonet, quote};
use crate::Result;

/// See the module.
pub(super) struct EfCore;

static CARD: Card = Card {
    id: "efcore",
    name: "EF Core",
    family: ".NET",
    about: "For Entity Framework Core: `UseSqlServer` with the string, for `OnConfiguring` or `AddDbContext`",
    limits: &[
        "The code holds the password: for more than a trial take `appsettings` or `dotnet user-secrets`",
        "No keyword names the file of a certificate authority",
        "A pinned certificate needs EF Core 8 or later (Microsoft.Data.SqlClient 5.1)",
        adonet::BUILDER,
    ],
    shape: Shape::Snippet(Language::CSharp),
    grammar: "ECMA-334, regular string literals, around the string of `adonet`",
    defaults: &[adonet::CONNECT_TIMEOUT],
    flags: Some(Flags::NET),
};

impl Format for EfCore {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let string = AdoNet::composed(self, parts)?;
        Ok(string.carried(("options.UseSqlServer(\"", "\");"), quote::json_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let literal = text
            .strip_prefix("options.UseSqlServer(")
            .and_then(|t| t.strip_suffix(");"))
            .ok_or("another call")?;
        adonet::tests::read(&read_c_literal(literal)?, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            round_trip(&EfCore, &parts, adonet::tests::says(&parts, &EfCore).then(|| (&parts).into()), read)?;
        }
    }
}
