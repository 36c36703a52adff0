//! .NET Aspire: an app host that hands the string to its projects.
//!
//! The string of [`super::adonet`] as a regular C# string literal, set where `AddConnectionString` looks.

use super::{AdoNet, Card, Flags, Format, Language, Parts, Shape, Text, adonet, quote};
use crate::Result;

/// See the module.
pub(super) struct Aspire;

const SET: &str = "builder.Configuration[\"ConnectionStrings:Default\"] = \"";
const ADD: &str = "\";\nvar database = builder.AddConnectionString(\"Default\");\n// builder.AddProject<Projects.Api>(\"api\").WithReference(database);\n";

static CARD: Card = Card {
    id: "aspire",
    name: ".NET Aspire",
    family: ".NET",
    about: "For an Aspire app host (`AppHost.cs`): the connection string as a resource that projects refer to",
    limits: &[
        "The code holds the password: for more than a trial take `appsettings` or `dotnet user-secrets` in the app host",
        "Resources that are containers reach another host than this machine's own projects do: take `compose` for those",
        "No keyword names the file of a certificate authority",
        adonet::BUILDER,
    ],
    shape: Shape::Snippet(Language::CSharp),
    grammar: "ECMA-334, regular string literals, around the string of `adonet`; Aspire, `AddConnectionString`",
    defaults: &[
        (
            "AddConnectionString(\"Default\")",
            "the resource's name is the name of the string in the projects",
        ),
        adonet::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::NET),
};

impl Format for Aspire {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let string = AdoNet::composed(self, parts)?;
        Ok(string.carried((SET, ADD), quote::json_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text
            .strip_prefix("builder.Configuration[\"ConnectionStrings:Default\"] = ")
            .ok_or("another setting")?;
        let (literal, rest) = rest.split_once(";\nvar ").ok_or("one line")?;
        if !rest.starts_with("database = builder.AddConnectionString(\"Default\");\n") {
            return Err("not added".into());
        }
        adonet::tests::read(&read_c_literal(literal)?, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            round_trip(&Aspire, &parts, adonet::tests::says(&parts, &Aspire).then(|| (&parts).into()), read)?;
        }
    }
}
