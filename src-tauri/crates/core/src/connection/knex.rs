//! Node: the configuration of Knex.
//!
//! JSON, which is JavaScript too. The object and not the URL: Knex reads a URL's port as text, and tedious refuses it.

use super::{Card, Flags, Format, Language, Parts, Shape, Text, tedious};
use crate::Result;

/// See the module.
pub(super) struct Knex;

static CARD: Card = Card {
    id: "knex",
    name: "Knex",
    family: "Node.js",
    about: "For Node.js: the configuration of `knex({…})`, for Knex 3, Objection and Bookshelf",
    limits: &[tedious::PIN_LIMIT, tedious::CA_IS_CODE],
    shape: Shape::Snippet(Language::JavaScript),
    grammar: "knex 3.3, `dialects/mssql`; ECMA-262, string literals",
    defaults: &[
        ("\"encrypt\":true", "said and not left to the version"),
        tedious::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Knex {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let names = tedious::Names {
            open: r#"{"client":"mssql","connection":{"#,
            host: "server",
            user: "user",
            options: r#","options":{"#,
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
            if root.remove("client") != Some("mssql".into()) {
                return Err("client".into());
            }
            let Some(serde_json::Value::Object(connection)) = root.remove("connection") else {
                return Err("connection".into());
            };
            if !root.is_empty() {
                return Err(format!("{root:?}"));
            }
            *root = connection;
            let user = root.remove("user").ok_or("user")?;
            Ok(("server", user, root.remove("options").ok_or("options")?))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = !matches!(parts.tls, Tls::Pinned { .. });
            round_trip(&Knex, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
