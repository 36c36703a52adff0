//! Rust: the ADO.NET string of `tiberius` 0.13.
//!
//! Its own parser: ASCII only, values in double quotes with `"` doubled.

use super::{Format, Parts, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Tiberius;

impl Format for Tiberius {
    fn id(&self) -> &'static str {
        "tiberius"
    }

    fn name(&self) -> &'static str {
        "tiberius (Rust)"
    }

    fn about(&self) -> &'static str {
        "For Rust: `Config::from_ado_string` of tiberius 0.13"
    }

    fn family(&self) -> &'static str {
        "Rust"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "ASCII only: `Config::new` in code takes any value",
            "tiberius 0.12 reads a doubled quote as two",
            "No pinned certificate, and no IPv6 address where the server is verified",
            "A certificate authority's file has to end in `.pem`, `.crt` or `.der`",
            "No time limit: the caller of tiberius sets one",
        ]
    }

    fn write(&self, parts: &Parts) -> Result<Text> {
        parts.check()?;
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
        let mut text = Text::new().plain(format!(
            "Server=tcp:{},{}",
            parts.bracketed_host(),
            parts.port
        ));
        if let Some(database) = &parts.database {
            text = text.plain(format!(";Database={}", quote::ado(database)));
        }
        text = text
            .plain(format!(";User ID={};Password=\"", quote::ado(&parts.user)))
            .hidden(&quote::ado_inner(parts.password.expose_secret()))
            .plain(format!("\";Encrypt=true;{tls}"));
        if let Some(app) = &parts.app {
            text = text.plain(format!(";Application Name={}", quote::ado(app)));
        }
        Ok(text)
    }
}

fn is_authority_file(file: &str) -> bool {
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
        let said = Said {
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
        pairs.done()?;
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
            let says = tls && all_values(&parts, str::is_ascii);
            round_trip(&Tiberius, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
