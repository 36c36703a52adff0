//! JDBC: Microsoft's driver (`mssql-jdbc` 8.4 or later).
//!
//! The rules are those of its `Util.parseUrl`: a value in braces with `}` doubled holds
//! anything, and only `;` may follow.

use super::{CONNECT_SECONDS, Format, Parts, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Jdbc;

impl Format for Jdbc {
    fn id(&self) -> &'static str {
        "jdbc"
    }

    fn name(&self) -> &'static str {
        "JDBC"
    }

    fn about(&self) -> &'static str {
        "For Java, Kotlin and Scala: Microsoft's JDBC driver 8.4 or later"
    }

    fn family(&self) -> &'static str {
        "Java"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "Drivers before 8.4 do not know a doubled `}`: give them user and password as properties",
            "jTDS has a grammar of its own, without quoting",
            "No keyword names the certificate authority's PEM file: the driver wants a Java trust store",
            "A pinned certificate works with TDS 8 only: SQL Server 2022 or later",
        ]
    }

    fn write(&self, parts: &Parts) -> Result<Text> {
        parts.check()?;
        let tls = match &parts.tls {
            Tls::Unverified => "encrypt=true;trustServerCertificate=true".to_owned(),
            Tls::Verified { ca_file: None } => {
                "encrypt=true;trustServerCertificate=false".to_owned()
            }
            Tls::Verified { ca_file: Some(_) } => {
                return Err(refuse(
                    self,
                    "which certificate authority to trust",
                    "the driver reads Java trust stores only; import the authority into one and name it with `trustStore`, or pin the server's certificate",
                    "tedious",
                ));
            }
            // Without strict the driver would ignore the pin.
            Tls::Pinned { certificate_file } => format!(
                "encrypt=strict;trustServerCertificate=false;serverCertificate={}",
                quote::brace(certificate_file)
            ),
        };
        let server = if parts.is_ipv6() {
            // The form that the driver's documentation gives for IPv6.
            format!(
                "jdbc:sqlserver://;serverName={{{}}};portNumber={}",
                parts.host, parts.port
            )
        } else {
            format!("jdbc:sqlserver://{}:{}", parts.host, parts.port)
        };
        let mut text = Text::new().plain(server);
        if let Some(database) = &parts.database {
            text = text.plain(format!(";databaseName={}", quote::brace(database)));
        }
        text = text
            .plain(format!(";user={};password={{", quote::brace(&parts.user)))
            .hidden(&quote::brace_inner(parts.password.expose_secret()))
            .plain(format!("}};{tls}"));
        if let Some(app) = &parts.app {
            text = text.plain(format!(";applicationName={}", quote::brace(app)));
        }
        Ok(text.plain(format!(";loginTimeout={CONNECT_SECONDS}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text.strip_prefix("jdbc:sqlserver://").ok_or("scheme")?;
        let (server, rest) = rest.split_once(';').ok_or("no properties")?;
        let mut pairs = read_braced(rest)?;
        let (host, port) = if server.is_empty() {
            let port = pairs.must("portNumber")?;
            (pairs.must("serverName")?, port.parse().map_err(|_| "port")?)
        } else {
            host_and_port(server, ':')?
        };
        if pairs.must("loginTimeout")? != "30" {
            return Err("timeout".into());
        }
        let said = Said {
            host,
            port,
            database: pairs.take("databaseName"),
            user: pairs.must("user")?,
            password: pairs.must("password")?,
            app: pairs.take("applicationName"),
            tls: match (
                pairs.must("encrypt")?.as_str(),
                pairs.must("trustServerCertificate")?.as_str(),
                pairs.take("serverCertificate"),
            ) {
                ("true", "true", None) => Tls::Unverified,
                ("true", "false", None) => Tls::Verified { ca_file: None },
                ("strict", "false", Some(certificate_file)) => Tls::Pinned { certificate_file },
                other => return Err(format!("{other:?}")),
            },
        };
        pairs.done()?;
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            let says = !matches!(parts.tls, Tls::Verified { ca_file: Some(_) });
            round_trip(&Jdbc, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
