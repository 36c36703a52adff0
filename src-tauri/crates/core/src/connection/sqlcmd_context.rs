//! A context of the newer `sqlcmd`: the file `~/.sqlcmd/sqlconfig`.
//!
//! YAML with JSON string literals; the password is base64 of its UTF-8 bytes, which is an encoding and no protection. There is no
//! field for encryption or trust.

use super::{Card, Format, Language, Part, Parts, Shape, Text, Tls, go, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct SqlcmdContext;

static CARD: Card = Card {
    id: "sqlcmd-context",
    name: "sqlcmd context",
    family: "Command line",
    about: "For the newer sqlcmd (Go): a whole `~/.sqlcmd/sqlconfig` with one context, after which `sqlcmd` alone connects",
    limits: &[
        "The file holds the password in base64, which anyone can read: keep it for your eyes only (`chmod 600`)",
        "No field for encryption and trust: give `-N -C` to each `sqlcmd`",
        "No database: give `-d` to each `sqlcmd`, or the login's default holds",
        "The application name is not carried",
        "Characters outside the Basic Multilingual Plane, such as emoji: sqlcmd cuts such values short",
        "It replaces the file: contexts that are there already would be gone",
    ],
    shape: Shape::Snippet(Language::Yaml),
    grammar: "microsoft/go-sqlcmd, `cmd/modern/sqlconfig`; YAML over RFC 8259",
    defaults: &[
        ("version: v1", "the one version that there is"),
        (
            "password-encryption: none",
            "the only one on macOS and Linux",
        ),
    ],
    flags: None,
};

impl Format for SqlcmdContext {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if parts.tls != Tls::Unverified {
            return Err(refuse(
                self,
                "that the server is verified",
                "a context has no field for it",
                "sqlcmd",
            ));
        }
        if let Some(what) = parts.first_unfit(go::fits) {
            return Err(refuse(
                self,
                what,
                "it holds a character outside the Basic Multilingual Plane, such as an emoji, and sqlcmd would send it cut short",
                "adonet",
            ));
        }
        let database = parts.database.as_ref().map_or_else(String::new, |name| {
            let shown: String = name
                .chars()
                .filter(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
                .collect();
            format!(
                "# The database is not part of a context: sqlcmd -d {}\n",
                quote::shell_word(&shown)
            )
        });
        Ok(Text::new()
            .part(
                Part::WeakTls(super::LOGIN_ONLY),
                "# Encryption is not part of a context: sqlcmd -N -C\n",
            )
            .part(Part::Database, database)
            .plain("version: v1\nendpoints:\n- endpoint:\n    ")
            .part(
                Part::Server,
                format!("address: {}\n    port: {}", quote::json(&parts.host), parts.port),
            )
            .plain("\n  name: berth\ncontexts:\n- context:\n    endpoint: berth\n    user: berth\n  name: berth\ncurrentcontext: berth\nusers:\n- authentication-type: basic\n  basic-auth:\n    ")
            .part(Part::User, format!("username: {}", quote::json(&parts.user)))
            .plain("\n    password-encryption: none\n    ")
            .password(
                "password: ",
                &quote::base64(parts.password.expose_secret()),
                "",
            )
            .plain("\n  name: berth\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    use base64::Engine as _;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let yaml = read_yaml(text)?;
        let field = |name: &str| {
            yaml.get(name)
                .cloned()
                .ok_or_else(|| format!("no {name} in {yaml:?}"))
        };
        for (path, value) in [
            ("version", "v1"),
            ("currentcontext", "berth"),
            ("contexts.0.name", "berth"),
            ("contexts.0.context.endpoint", "berth"),
            ("contexts.0.context.user", "berth"),
            ("endpoints.0.name", "berth"),
            ("users.0.name", "berth"),
            ("users.0.authentication-type", "basic"),
            ("users.0.basic-auth.password-encryption", "none"),
        ] {
            if field(path)? != value {
                return Err(path.into());
            }
        }
        let password = base64::engine::general_purpose::STANDARD
            .decode(field("users.0.basic-auth.password")?)
            .map_err(|e| e.to_string())?;
        Ok(Said {
            options: Vec::new(),
            host: field("endpoints.0.endpoint.address")?,
            port: field("endpoints.0.endpoint.port")?
                .parse()
                .map_err(|_| "port")?,
            database: None,
            user: field("users.0.basic-auth.username")?,
            password: String::from_utf8(password).map_err(|e| e.to_string())?,
            app: None,
            tls: Tls::Unverified,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = parts.tls == Tls::Unverified && all_values(&parts, |v| v.chars().all(|c| u32::from(c) <= 0xffff));
            round_trip(&SqlcmdContext, &parts, says.then(|| Said { app: None, database: None, ..(&parts).into() }), read)?;
        }
    }
}
