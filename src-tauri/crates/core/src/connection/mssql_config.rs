//! Node: the configuration object of `mssql`.
//!
//! JSON, which is JavaScript too. Every value can be said here. Prisma 7's adapter takes the same object:
//! `new PrismaMssql({…})`.

use super::{Card, Flags, Format, Language, Parts, Shape, Text, tedious};
use crate::Result;

/// See the module.
pub(super) struct MssqlConfig;

static CARD: Card = Card {
    id: "mssql-config",
    name: "mssql object (Node)",
    family: "Node.js",
    about: "For Node.js: the object that `mssql` takes in `sql.connect`, and Prisma 7 in `new PrismaMssql`",
    limits: &[tedious::PIN_LIMIT, tedious::CA_IS_CODE],
    shape: Shape::Snippet(Language::JavaScript),
    grammar: "mssql 12, `ConnectionPool`; ECMA-262, string literals",
    defaults: &[
        ("\"encrypt\":true", "said and not left to the version"),
        tedious::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::LOWER),
};

impl Format for MssqlConfig {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let names = tedious::Names {
            open: "{",
            host: "server",
            user: "user",
            options: r#","options":{"#,
            close: "}}",
        };
        tedious::object(self, parts, &names)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    use super::super::Tls;
    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        read_tedious_like(text, |root| {
            let user = root.remove("user").ok_or("user")?;
            Ok(("server", user, root.remove("options").ok_or("options")?))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = !matches!(parts.tls, Tls::Pinned { .. });
            round_trip(&MssqlConfig, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
