//! Prisma 6 and older: the string of its Rust engine.
//!
//! The JDBC reader of the crate `connection-string`: ASCII only, `{…}` takes everything up to the next `}`, and a `}`
//! outside of braces stands for itself. The engine percent-decodes the database's name, and nothing else.

use super::{Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Prisma6;

static CARD: Card = Card {
    id: "prisma6",
    name: "Prisma 6",
    family: "Node.js",
    about: "For Prisma 6 and older: the `url` of a `sqlserver` data source, mostly in `DATABASE_URL`",
    limits: &[
        "ASCII only, but for the database's name",
        "The application name is not carried: the engine has no keyword for it",
        "No pinned certificate; a certificate authority's file has to end in `.pem`, `.crt` or `.der`",
        "An IPv6 address",
    ],
    shape: Shape::Value,
    grammar: "prisma/connection-string, `jdbc.rs`; prisma-engines, quaint `mssql/url.rs`",
    defaults: &[
        ("encrypt=true", "said and not left to the version"),
        (
            "connectTimeout=30",
            "the engine waits 5 seconds, and the first client opens the tunnel",
        ),
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Prisma6 {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let options = self.options(parts);
        let ascii = [
            Some(parts.password.expose_secret()),
            Some(parts.user.as_str()),
        ];
        let fits = ascii.into_iter().flatten().all(str::is_ascii)
            && options.iter().all(|(_, value)| value.is_ascii());
        if !fits {
            return Err(refuse(
                self,
                "this user, password or option",
                "it holds a character that is not ASCII, and the engine reads no other",
                "mssql-config",
            ));
        }
        if parts.is_ipv6() {
            return Err(refuse(
                self,
                "an IPv6 address",
                "the engine would look up the address with its brackets",
                "mssql-config",
            ));
        }
        let tls = match &parts.tls {
            Tls::Unverified => "encrypt=true;trustServerCertificate=true".to_owned(),
            Tls::Verified { ca_file: None } => {
                "encrypt=true;trustServerCertificate=false".to_owned()
            }
            // Trust beside it is an error, also as `false`.
            Tls::Verified {
                ca_file: Some(file),
            } if super::tiberius::is_authority_file(file) => {
                format!("encrypt=true;trustServerCertificateCA={}", chunks(file))
            }
            Tls::Verified { ca_file: Some(_) } => {
                return Err(refuse(
                    self,
                    "this certificate authority's file",
                    "the engine reads files with an ASCII name that ends in `.pem`, `.crt` or `.der` only",
                    "mssql-config",
                ));
            }
            Tls::Pinned { .. } => {
                return Err(refuse(
                    self,
                    "a pinned certificate",
                    "the engine can trust an authority, but not compare the server's certificate itself",
                    "adonet",
                ));
            }
        };
        let mut text = Text::new()
            .part(
                Part::Server,
                format!("sqlserver://{}:{}", parts.host, parts.port),
            )
            .plain(";");
        if let Some(database) = &parts.database {
            text = text
                .part(
                    Part::Database,
                    format!("database={}", chunks(quote::percent(database).as_str())),
                )
                .plain(";");
        }
        text = text
            .part(Part::User, format!("user={}", chunks(&parts.user)))
            .plain(";")
            .password(
                "password={",
                &quote::reopened(parts.password.expose_secret()),
                "}",
            )
            .plain(";")
            .part(parts.tls_part(), tls);
        for (name, value) in options {
            text = text
                .plain(";")
                .part(Part::Extra, format!("{name}={}", chunks(&value)));
        }
        Ok(text.plain(";").part(Part::Timeout, "connectTimeout=30"))
    }
}

/// A whole value, in braces that close before each `}` and open again behind it.
fn chunks(value: &str) -> String {
    format!("{{{}}}", quote::reopened(value).as_str())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// The engine's own reader.
    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let url: connection_string::JdbcString = format!("jdbc:{text}")
            .parse()
            .map_err(|e: connection_string::Error| e.to_string())?;
        let mut pairs = Pairs::new(
            url.properties()
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        )?;
        if pairs.must("encrypt")? != "true" || pairs.must("connecttimeout")? != "30" {
            return Err("not encrypted".into());
        }
        let database = pairs
            .take("database")
            .map(|name| super::super::go::tests::unescape(&name, false))
            .transpose()?;
        let mut said = Said {
            options: Vec::new(),
            host: url.server_name().ok_or("no host")?.to_owned(),
            port: url.port().ok_or("no port")?,
            database,
            user: pairs.must("user")?,
            password: pairs.must("password")?,
            app: None,
            tls: match (
                pairs.take("trustservercertificate").as_deref(),
                pairs.take("trustservercertificateca"),
            ) {
                (Some("true"), None) => Tls::Unverified,
                (Some("false"), None) => Tls::Verified { ca_file: None },
                (None, Some(file)) => Tls::Verified {
                    ca_file: Some(file),
                },
                other => return Err(format!("{other:?}")),
            },
        };
        said.options = pairs.rest();
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(mut parts in any_parts(), ascii: bool) {
            if ascii {
                let strip = |v: &str| v.chars().filter(char::is_ascii).chain(['x']).take(128).collect::<String>();
                parts.user = strip(&parts.user);
                parts.password = strip(parts.password.expose_secret()).into();
            }
            // The reader folds the case of names.
            parts.options = parts.options.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
            let tls = match &parts.tls {
                Tls::Unverified | Tls::Verified { ca_file: None } => true,
                Tls::Verified { ca_file: Some(f) } => f.is_ascii() && [".pem", ".crt", ".der"].iter().any(|e| f.ends_with(e)),
                Tls::Pinned { .. } => false,
            };
            let says = tls
                && parts.user.is_ascii()
                && parts.password.expose_secret().is_ascii()
                && Prisma6.options(&parts).iter().all(|(_, v)| v.is_ascii())
                && !parts.host.contains(':');
            let expect = says.then(|| Said { app: None, ..(&parts).into() });
            round_trip(&Prisma6, &parts, expect, read)?;
        }
    }
}
