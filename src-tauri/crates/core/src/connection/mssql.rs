//! Node: the connection string of the `mssql` package.
//!
//! Read by `@tediousjs/connection-string`: ADO.NET's quotes, but an empty value swallows
//! what follows and `;;` is a literal `;`, so neither is ever written.

use super::{
    CONNECT_SECONDS, Card, Flags, Format, Part, Parts, Shape, Text, Tls, adonet, quote, refuse,
};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Mssql;

static CARD: Card = Card {
    id: "mssql",
    name: "mssql string (Node)",
    family: "Node.js",
    about: "For Node.js: the string that `mssql` takes in `sql.connect`",
    limits: &[
        "The application name is not carried: the package drops it (`mssql-config` carries it)",
        "No certificate authority's file and no pinned certificate",
        "A user with a `\\` would become a Windows domain login",
    ],
    shape: Shape::Value,
    grammar: "tediousjs/connection-string 1.1 and mssql 12, `ConnectionPool.parseConnectionString`",
    defaults: &[
        ("Encrypt=true", "what is left out differs between versions"),
        adonet::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Mssql {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let trust = match &parts.tls {
            Tls::Unverified => "true",
            Tls::Verified { ca_file: None } => "false",
            Tls::Verified { ca_file: Some(_) } | Tls::Pinned { .. } => {
                return Err(refuse(
                    self,
                    "which certificate to trust",
                    "the string has no keyword for it; the configuration object has one for a certificate authority",
                    "mssql-config",
                ));
            }
        };
        if parts.user.contains('\\') {
            return Err(refuse(
                self,
                "this user",
                "it holds a `\\`, and the package would take what stands before it for a Windows domain",
                "mssql-config",
            ));
        }
        let mut text = Text::new()
            .part(
                Part::Server,
                // The package cuts at the last comma and passes the rest to Node, which wants IPv6 bare.
                format!("Server={},{}", parts.host, parts.port),
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
            .part(
                parts.tls_part(),
                format!("Encrypt=true;TrustServerCertificate={trust}"),
            );
        for (name, value) in self.options(parts) {
            text = text
                .plain(";")
                .part(Part::Extra, format!("{name}={}", quote::ado(&value)));
        }
        Ok(text
            .plain(";")
            .part(Part::Timeout, format!("Connect Timeout={CONNECT_SECONDS}")))
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
        let mut said = Said {
            options: Vec::new(),
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
        said.options = pairs.rest();
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
