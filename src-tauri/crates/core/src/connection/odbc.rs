//! ODBC: Microsoft's driver 18 (`msodbcsql18`).
//!
//! The grammar is the driver manager's as the driver reads it: a value in braces with `}`
//! doubled holds anything; quotes mean nothing, blanks around a bare value belong to it.

use super::{Format, Parts, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Odbc;

impl Format for Odbc {
    fn id(&self) -> &'static str {
        "odbc"
    }

    fn name(&self) -> &'static str {
        "ODBC"
    }

    fn about(&self) -> &'static str {
        "For Microsoft's ODBC Driver 18: C and C++, pyodbc, Excel and other ODBC programs"
    }

    fn family(&self) -> &'static str {
        "ODBC"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "FreeTDS before 1.4 reads a `}` in a value twice",
            "No keyword names the file of a certificate authority",
            "A pinned certificate works with TDS 8 only: SQL Server 2022 or later",
        ]
    }

    fn write(&self, parts: &Parts) -> Result<Text> {
        parts.check()?;
        let tls = match &parts.tls {
            Tls::Unverified => "Encrypt=yes;TrustServerCertificate=yes".to_owned(),
            Tls::Verified { ca_file: None } => "Encrypt=yes;TrustServerCertificate=no".to_owned(),
            Tls::Verified { ca_file: Some(_) } => {
                return Err(refuse(
                    self,
                    "which certificate authority to trust",
                    "the driver trusts what OpenSSL on the client's machine trusts; add the authority there, or pin the server's certificate",
                    "tedious",
                ));
            }
            // Without strict the driver would ignore the pin.
            Tls::Pinned { certificate_file } => format!(
                "Encrypt=strict;TrustServerCertificate=no;ServerCertificate={}",
                quote::brace(certificate_file)
            ),
        };
        let mut text = Text::new().plain(format!(
            // An IPv6 address without brackets: the driver looks up what it gets as it is.
            "Driver={{ODBC Driver 18 for SQL Server}};Server=tcp:{},{}",
            parts.host, parts.port
        ));
        if let Some(database) = &parts.database {
            text = text.plain(format!(";Database={}", quote::brace(database)));
        }
        text = text
            .plain(format!(";UID={};PWD={{", quote::brace(&parts.user)))
            .hidden(&quote::brace_inner(parts.password.expose_secret()))
            .plain(format!("}};{tls}"));
        if let Some(app) = &parts.app {
            text = text.plain(format!(";APP={}", quote::brace(app)));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let mut pairs = read_braced(text)?;
        if pairs.must("Driver")? != "ODBC Driver 18 for SQL Server" {
            return Err("another driver".into());
        }
        let server = pairs.must("Server")?;
        let (host, port) = host_and_port(server.strip_prefix("tcp:").ok_or("no tcp:")?, ',')?;
        let said = Said {
            host,
            port,
            database: pairs.take("Database"),
            user: pairs.must("UID")?,
            password: pairs.must("PWD")?,
            app: pairs.take("APP"),
            tls: match (
                pairs.must("Encrypt")?.as_str(),
                pairs.must("TrustServerCertificate")?.as_str(),
                pairs.take("ServerCertificate"),
            ) {
                ("yes", "yes", None) => Tls::Unverified,
                ("yes", "no", None) => Tls::Verified { ca_file: None },
                ("strict", "no", Some(certificate_file)) => Tls::Pinned { certificate_file },
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
            round_trip(&Odbc, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
