//! Node: the options of Sequelize 6.
//!
//! JSON, which is JavaScript too. Sequelize trusts any certificate unless it is told otherwise; what tedious is to
//! know goes through `dialectOptions`.

use super::{Card, Flags, Format, Language, Parts, Shape, Text, tedious};
use crate::Result;

/// See the module.
pub(super) struct Sequelize;

static CARD: Card = Card {
    id: "sequelize",
    name: "Sequelize",
    family: "Node.js",
    about: "For Node.js: the options of `new Sequelize({…})`, for Sequelize 6",
    limits: &[tedious::PIN_LIMIT, tedious::CA_IS_CODE],
    shape: Shape::Snippet(Language::JavaScript),
    grammar: "sequelize 6.37, `dialects/mssql/connection-manager.js`; ECMA-262, string literals",
    defaults: &[
        ("\"encrypt\":true", "said and not left to the version"),
        tedious::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Sequelize {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let names = tedious::Names {
            open: r#"{"dialect":"mssql","#,
            host: "host",
            user: "username",
            options: r#","dialectOptions":{"options":{"#,
            close: "}}}",
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
            if root.remove("dialect") != Some("mssql".into()) {
                return Err("dialect".into());
            }
            let user = root.remove("username").ok_or("username")?;
            let mut more = root.remove("dialectOptions").ok_or("dialectOptions")?;
            Ok(("host", user, more["options"].take()))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = !matches!(parts.tls, Tls::Pinned { .. });
            round_trip(&Sequelize, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
