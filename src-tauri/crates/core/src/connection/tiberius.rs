//! Rust: the ADO.NET string of `tiberius` 0.13.
//!
//! Its own parser: ASCII only, values in double quotes with `"` doubled.

use super::{Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Tiberius;

static CARD: Card = Card {
    id: "tiberius",
    name: "tiberius (Rust)",
    family: "Rust",
    about: "For Rust: `Config::from_ado_string` of tiberius 0.13",
    limits: &[
        "ASCII only: `Config::new` in code takes any value",
        "tiberius 0.12 reads a doubled quote as two",
        "No pinned certificate, and no IPv6 address where the server is verified",
        "A certificate authority's file has to end in `.pem`, `.crt` or `.der`",
        "No time limit: the caller of tiberius sets one",
    ],
    shape: Shape::Value,
    grammar: "tiberius 0.13, `Config::from_ado_string`",
    defaults: &[
        ("tcp:", "the protocol that there is"),
        (
            "Encrypt=true",
            "tiberius 0.12 encrypts the login only, unasked",
        ),
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Tiberius {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if let Some(what) = parts.first_unfit(str::is_ascii) {
            return Err(refuse(
                self,
                what,
                "tiberius reads strings of ASCII characters only; in code, `Config::new` takes any value",
                "tedious",
            ));
        }
        let tls = match &parts.tls {
            Tls::Unverified => "TrustServerCertificate=true".to_owned(),
            Tls::Verified { .. } if parts.is_ipv6() => {
                return Err(refuse(
                    self,
                    "an IPv6 address whose server is verified",
                    "tiberius would hold the address with its brackets against the certificate; give the host's name",
                    "tedious",
                ));
            }
            Tls::Verified { ca_file: None } => "TrustServerCertificate=false".to_owned(),
            // Trust beside it is an error, also as `false`.
            Tls::Verified {
                ca_file: Some(file),
            } if is_authority_file(file) => {
                format!("TrustServerCertificateCA={}", quote::ado(file))
            }
            Tls::Verified { ca_file: Some(_) } => {
                return Err(refuse(
                    self,
                    "this certificate authority's file",
                    "tiberius reads files with an ASCII name that ends in `.pem`, `.crt` or `.der` only",
                    "tedious",
                ));
            }
            Tls::Pinned { .. } => {
                return Err(refuse(
                    self,
                    "a pinned certificate",
                    "tiberius can trust an authority, but not compare the server's certificate itself",
                    "adonet",
                ));
            }
        };
        let mut text = Text::new()
            .part(
                Part::Server,
                format!("Server=tcp:{},{}", parts.bracketed_host(), parts.port),
            )
            .plain(";");
        if let Some(database) = &parts.database {
            text = text
                .part(Part::Database, format!("Database={}", quote::ado(database)))
                .plain(";");
        }
        text = text
            .part(Part::User, format!("User ID={}", quote::ado(&parts.user)))
            .plain(";")
            .password(
                "Password=\"",
                &quote::ado_inner(parts.password.expose_secret()),
                "\"",
            )
            .plain(";")
            .part(parts.tls_part(), format!("Encrypt=true;{tls}"));
        if let Some(app) = &parts.app {
            text = text
                .plain(";")
                .part(Part::App, format!("Application Name={}", quote::ado(app)));
        }
        for (name, value) in self.options(parts) {
            if !value.is_ascii() {
                return Err(refuse(
                    self,
                    "this option",
                    "tiberius reads strings of ASCII characters only",
                    "tedious",
                ));
            }
            text = text
                .plain(";")
                .part(Part::Extra, format!("{name}={}", quote::ado(&value)));
        }
        Ok(text)
    }
}

/// Whether tiberius would read the file.
pub(super) fn is_authority_file(file: &str) -> bool {
    file.is_ascii()
        && [".pem", ".crt", ".der"]
            .iter()
            .any(|end| file.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        if !text.is_ascii() {
            return Err("not ASCII".into());
        }
        let mut pairs = read_ado(text)?;
        let server = pairs.must("Server")?;
        let (host, port) = host_and_port(server.strip_prefix("tcp:").ok_or("no tcp:")?, ',')?;
        if pairs.must("Encrypt")? != "true" {
            return Err("not encrypted".into());
        }
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: pairs.take("Database"),
            user: pairs.must("User ID")?,
            password: pairs.must("Password")?,
            app: pairs.take("Application Name"),
            tls: match (
                pairs.take("TrustServerCertificate").as_deref(),
                pairs.take("TrustServerCertificateCA"),
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
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts(), ascii: bool) {
            let mut parts = parts;
            if ascii {
                // Almost every hostile value has some other character; without this, little is written.
                let strip = |v: &str| v.chars().filter(char::is_ascii).chain(['x']).take(128).collect::<String>();
                parts.user = strip(&parts.user);
                parts.password = strip(parts.password.expose_secret()).into();
                parts.database = parts.database.map(|v| strip(&v));
                parts.app = parts.app.map(|v| strip(&v));
                parts.options.clear();
            }
            let v6 = parts.host.contains(':');
            let tls = match &parts.tls {
                Tls::Unverified => true,
                Tls::Verified { ca_file: None } => !v6,
                Tls::Verified { ca_file: Some(f) } => {
                    !v6 && f.is_ascii() && (f.ends_with(".pem") || f.ends_with(".crt") || f.ends_with(".der"))
                }
                Tls::Pinned { .. } => false,
            };
            let options = Tiberius.options(&parts).iter().all(|(_, v)| v.is_ascii());
            let says = tls && options && all_values(&parts, str::is_ascii);
            round_trip(&Tiberius, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
