//! Entity Framework Core: the command that makes the model of an existing database.
//!
//! The string of [`super::adonet`] in the command's environment, where .NET's configuration finds it as
//! `ConnectionStrings:Default`; as an argument every process of the machine could read it.

use super::{AdoNet, Card, Flags, Format, Parts, Shape, Text, adonet, quote};
use crate::Result;

/// See the module.
pub(super) struct EfCoreScaffold;

const NAME: &str = "ConnectionStrings__Default='";
const COMMAND: &str = "' dotnet ef dbcontext scaffold Name=ConnectionStrings:Default Microsoft.EntityFrameworkCore.SqlServer";

static CARD: Card = Card {
    id: "efcore-scaffold",
    name: "EF Core scaffold",
    family: ".NET",
    about: "A command line for sh, bash or zsh: `dotnet ef dbcontext scaffold` for the model of an existing database",
    limits: &[
        "The start-up project has to read its configuration from the environment, as ASP.NET Core and generic hosts do",
        "No keyword names the file of a certificate authority",
        "The shell may keep the line, password included, in its history",
        adonet::BUILDER,
    ],
    shape: Shape::Command,
    grammar: "POSIX shell, single quotes, around the string of `adonet`",
    defaults: &[
        (
            "Name=ConnectionStrings:Default",
            "an argument with the string would be seen by every process of the machine, and be written into the code",
        ),
        adonet::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::NET),
};

impl Format for EfCoreScaffold {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let string = AdoNet::composed(self, parts)?;
        Ok(string.carried((NAME, COMMAND), quote::shell_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let words = read_shell(text)?;
        let string = words[0]
            .strip_prefix("ConnectionStrings__Default=")
            .ok_or("no variable")?;
        let command = [
            "dotnet",
            "ef",
            "dbcontext",
            "scaffold",
            "Name=ConnectionStrings:Default",
            "Microsoft.EntityFrameworkCore.SqlServer",
        ];
        if words[1..] != command {
            return Err(format!("{:?}", &words[1..]));
        }
        adonet::tests::read(string, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            round_trip(&EfCoreScaffold, &parts, adonet::tests::says(&parts, &EfCoreScaffold).then(|| (&parts).into()), read)?;
        }
    }
}
