//! Node: the connection string of the `mssql` package.
//!
//! Read by `@tediousjs/connection-string`: ADO.NET's quotes, but an empty value swallows
//! what follows and `;;` is a literal `;`, so neither is ever written.

use super::{CONNECT_SECONDS, Format, Parts, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Mssql;

impl Format for Mssql {
    fn id(&self) -> &'static str {
        "mssql"
    }

    fn name(&self) -> &'static str {
        "mssql (Node)"
    }

    fn about(&self) -> &'static str {
        "For Node.js: the string that `mssql` takes in `sql.connect`"
    }

    fn family(&self) -> &'static str {
        "Node.js"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "The application name is not carried: the package drops it",
            "No certificate authority's file and no pinned certificate",
            "A user with a `\\` would become a Windows domain login",
        ]
    }

    fn write(&self, parts: &Parts) -> Result<Text> {
        parts.check()?;
        let trust = match &parts.tls {
            Tls::Unverified => "true",
            Tls::Verified { ca_file: None } => "false",
            Tls::Verified { ca_file: Some(_) } | Tls::Pinned { .. } => {
                return Err(refuse(
                    self,
                    "which certificate to trust",
                    "the string has no keyword for it; the configuration object has one for a certificate authority",
                    "tedious",
                ));
            }
        };
        if parts.user.contains('\\') {
            return Err(refuse(
                self,
                "this user",
                "it holds a `\\`, and the package would take what stands before it for a Windows domain",
                "tedious",
            ));
        }
        // The package cuts at the last comma and passes the rest to Node, which wants IPv6 bare.
        let mut text = Text::new().plain(format!("Server={},{}", parts.host, parts.port));
        if let Some(database) = &parts.database {
            text = text.plain(format!(";Database={}", quote::ado(database)));
        }
        Ok(text
            .plain(format!(";User ID={};Password=\"", quote::ado(&parts.user)))
            .hidden(&quote::ado_inner(parts.password.expose_secret()))
            .plain(format!(
                "\";Encrypt=true;TrustServerCertificate={trust};Connect Timeout={CONNECT_SECONDS}"
            )))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let mut pairs = read_ado(text)?;
        let (host, port) = host_and_port(&pairs.must("Server")?, ',')?;
        if pairs.must("Encrypt")? != "true" || pairs.must("Connect Timeout")? != "30" {
            return Err("not encrypted".into());
        }
        let said = Said {
            host,
            port,
            database: pairs.take("Database"),
            user: pairs.must("User ID")?,
            password: pairs.must("Password")?,
            app: None,
            tls: match pairs.must("TrustServerCertificate")?.as_str() {
                "true" => Tls::Unverified,
                "false" => Tls::Verified { ca_file: None },
                other => return Err(other.into()),
            },
        };
        pairs.done()?;
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            let says = matches!(parts.tls, Tls::Unverified | Tls::Verified { ca_file: None }) && !parts.user.contains('\\');
            let expect = says.then(|| Said { app: None, ..(&parts).into() });
            round_trip(&Mssql, &parts, expect, read)?;
        }
    }
}
