//! ADO.NET: Microsoft.Data.SqlClient, System.Data.SqlClient and what stands on them.
//!
//! The rules are those of `SqlConnectionOptions.GetKeyValuePair` in dotnet/SqlClient: a
//! value in double quotes with `"` doubled holds anything but NUL.

use super::{CONNECT_SECONDS, Format, Parts, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct AdoNet;

impl Format for AdoNet {
    fn id(&self) -> &'static str {
        "adonet"
    }

    fn name(&self) -> &'static str {
        "ADO.NET"
    }

    fn about(&self) -> &'static str {
        "For .NET: Microsoft.Data.SqlClient, System.Data.SqlClient, Entity Framework Core, Dapper"
    }

    fn family(&self) -> &'static str {
        ".NET"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "No keyword names the file of a certificate authority",
            "A pinned certificate needs Microsoft.Data.SqlClient 5.1 or later",
        ]
    }

    fn write(&self, parts: &Parts) -> Result<Text> {
        parts.check()?;
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
            // `True` and not `Mandatory`: System.Data.SqlClient knows no other word.
            .plain("\";Encrypt=True;TrustServerCertificate=");
        text = match &parts.tls {
            Tls::Unverified => text.plain("True"),
            Tls::Verified { ca_file: None } => text.plain("False"),
            Tls::Verified { ca_file: Some(_) } => {
                return Err(refuse(
                    self,
                    "which certificate authority to trust",
                    "SqlClient trusts what the operating system trusts; add the authority there, or pin the server's certificate",
                    "tedious",
                ));
            }
            Tls::Pinned { certificate_file } => {
                // Trust beside it would switch the pin off, without a word.
                text.plain(format!(
                    "False;ServerCertificate={}",
                    quote::ado(certificate_file)
                ))
            }
        };
        if let Some(app) = &parts.app {
            text = text.plain(format!(";Application Name={}", quote::ado(app)));
        }
        Ok(text.plain(format!(";Connect Timeout={CONNECT_SECONDS}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let mut pairs = read_ado(text)?;
        let server = pairs.must("Server")?;
        let (host, port) = host_and_port(server.strip_prefix("tcp:").ok_or("no tcp:")?, ',')?;
        if pairs.must("Encrypt")? != "True" || pairs.must("Connect Timeout")? != "30" {
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
                pairs.must("TrustServerCertificate")?.as_str(),
                pairs.take("ServerCertificate"),
            ) {
                ("True", None) => Tls::Unverified,
                ("False", None) => Tls::Verified { ca_file: None },
                ("False", Some(certificate_file)) => Tls::Pinned { certificate_file },
                (trust, _) => return Err(format!("trust {trust}")),
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
            round_trip(&AdoNet, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
