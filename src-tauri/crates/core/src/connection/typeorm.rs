//! Node: the options of a TypeORM `DataSource`.
//!
//! JSON, which is JavaScript too. TypeORM hands `options` to `mssql`, and that to tedious.

use super::{Card, Flags, Format, Language, Parts, Shape, Text, tedious};
use crate::Result;

/// See the module.
pub(super) struct TypeOrm;

static CARD: Card = Card {
    id: "typeorm",
    name: "TypeORM",
    family: "Node.js",
    about: "For Node.js: the options of `new DataSource` in TypeORM; `entities` and the like come beside them",
    limits: &[tedious::PIN_LIMIT, tedious::CA_IS_CODE],
    shape: Shape::Snippet(Language::JavaScript),
    grammar: "typeorm 1.1, `SqlServerDriver.createPool`; ECMA-262, string literals",
    defaults: &[
        ("\"encrypt\":true", "said and not left to the version"),
        tedious::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::LOWER),
};

impl Format for TypeOrm {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let names = tedious::Names {
            open: r#"{"type":"mssql","#,
            host: "host",
            user: "username",
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
            if root.remove("type") != Some("mssql".into()) {
                return Err("type".into());
            }
            let user = root.remove("username").ok_or("username")?;
            Ok(("host", user, root.remove("options").ok_or("options")?))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = !matches!(parts.tls, Tls::Pinned { .. });
            round_trip(&TypeOrm, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
