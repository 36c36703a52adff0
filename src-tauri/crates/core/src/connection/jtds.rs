//! JDBC: the URL of jTDS.
//!
//! Its `Driver.parseURL` ends a value at `;`, `:` or `/`, but not between `[` and `]`, which it leaves out: made for IPv6 addresses,
//! they hold everything but themselves.

use super::{Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Jtds;

static CARD: Card = Card {
    id: "jtds",
    name: "jTDS",
    family: "Java",
    about: "For Java programs that still use jTDS 1.3: everything in one URL",
    limits: &[
        "A `[` or `]` in a value: give user and password as properties instead, which take anything",
        "No certificate authority's file and no pinned certificate",
        "jTDS before 1.3 knows no brackets",
    ],
    shape: Shape::Value,
    grammar: "jTDS 1.3.1, `Driver.parseURL`",
    defaults: &[
        ("ssl=require", "unasked, jTDS sends the login readable"),
        ("loginTimeout=30", "unasked, it waits for ever"),
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Jtds {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let ssl = match &parts.tls {
            Tls::Unverified => "ssl=require",
            Tls::Verified { ca_file: None } => "ssl=authenticate",
            Tls::Verified { ca_file: Some(_) } => {
                return Err(refuse(
                    self,
                    "which certificate authority to trust",
                    "jTDS trusts what Java's own trust store holds; import the authority there",
                    "tedious",
                ));
            }
            Tls::Pinned { .. } => {
                return Err(refuse(
                    self,
                    "a pinned certificate",
                    "jTDS has no property for it",
                    "jdbc",
                ));
            }
        };
        let options = self.options(parts);
        let unfit = parts
            .first_unfit(fits)
            .or_else(|| (!options.iter().all(|(_, v)| fits(v))).then_some("this option"));
        if let Some(what) = unfit {
            return Err(refuse(
                self,
                what,
                "it holds a `[` or `]`, which jTDS drops from its URL; as a property of `DriverManager.getConnection` it can be given",
                "jdbc",
            ));
        }
        let mut text = Text::new().part(
            Part::Server,
            format!(
                "jdbc:jtds:sqlserver://{}:{}",
                parts.bracketed_host(),
                parts.port
            ),
        );
        if let Some(database) = &parts.database {
            text = text
                .plain(";")
                .part(Part::Database, format!("databaseName=[{database}]"));
        }
        text = text
            .plain(";")
            .part(Part::User, format!("user=[{}]", parts.user))
            .plain(";")
            .password(
                "password=[",
                &quote::as_is(parts.password.expose_secret()),
                "]",
            )
            .plain(";")
            .part(parts.tls_part(), ssl);
        if let Some(app) = &parts.app {
            text = text.plain(";").part(Part::App, format!("appName=[{app}]"));
        }
        for (name, value) in options {
            text = text
                .plain(";")
                .part(Part::Extra, format!("{name}=[{value}]"));
        }
        Ok(text.plain(";").part(Part::Timeout, "loginTimeout=30"))
    }
}

fn fits(value: &str) -> bool {
    !value.contains(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// `Driver.nextToken` and `parseURL` of jTDS 1.3.1.
    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text
            .strip_prefix("jdbc:jtds:sqlserver://")
            .ok_or("scheme")?;
        let mut tokens = vec![String::new()];
        let mut open = false;
        for c in rest.chars() {
            match c {
                ':' | '/' | ';' if !open => tokens.push(String::new()),
                '[' => open = true,
                ']' => open = false,
                c => tokens.last_mut().unwrap().push(c),
            }
        }
        let port = tokens.get(1).and_then(|p| p.parse().ok()).ok_or("port")?;
        let host = tokens[0].clone();
        let mut pairs = Vec::new();
        for token in tokens.into_iter().skip(2) {
            let (key, value) = token.split_once('=').ok_or("no =")?;
            if value.is_empty() {
                return Err("an empty value".into());
            }
            pairs.push((key.to_owned(), value.to_owned()));
        }
        let mut pairs = Pairs::new(pairs)?;
        if pairs.must("loginTimeout")? != "30" {
            return Err("timeout".into());
        }
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: pairs.take("databaseName"),
            user: pairs.must("user")?,
            password: pairs.must("password")?,
            app: pairs.take("appName"),
            tls: match pairs.must("ssl")?.as_str() {
                "require" => Tls::Unverified,
                "authenticate" => Tls::Verified { ca_file: None },
                other => return Err(other.into()),
            },
        };
        said.options = pairs.rest();
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = {
                let fits = |v: &str| !v.contains(['[', ']']);
                matches!(parts.tls, Tls::Unverified | Tls::Verified { ca_file: None })
                        && all_values(&parts, fits)
                    && Jtds.options(&parts).iter().all(|(_, v)| fits(v))
            };
            round_trip(&Jtds, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
