//! JDBC: Microsoft's driver (`mssql-jdbc` 8.4 or later).
//!
//! The rules are those of its `Util.parseUrl`: a value in braces with `}` doubled holds
//! anything, and only `;` may follow.

use super::{CONNECT_SECONDS, Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Jdbc;

pub(super) const LOGIN_TIMEOUT: (&str, &str) = (
    "loginTimeout=30",
    "older drivers wait 15 seconds, and the first client opens the tunnel",
);

static CARD: Card = Card {
    id: "jdbc",
    name: "JDBC",
    family: "Java",
    about: "For Java, Kotlin and Scala: Microsoft's JDBC driver 8.4 or later, whole in one URL",
    limits: &[
        "Drivers before 8.4 do not know a doubled `}`: take `spring`, or give user and password as properties",
        "No keyword names the certificate authority's PEM file: the driver wants a Java trust store",
        super::odbc::PIN_LIMIT,
    ],
    shape: Shape::Value,
    grammar: "microsoft/mssql-jdbc, `Util.parseUrl`",
    defaults: &[
        ("encrypt=true", "drivers before 10.2 do not encrypt unasked"),
        LOGIN_TIMEOUT,
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Jdbc {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let login = Text::new()
            .part(Part::User, format!("user={}", quote::brace(&parts.user)))
            .plain(";")
            .password(
                "password={",
                &quote::brace_inner(parts.password.expose_secret()),
                "}",
            )
            .plain(";");
        url(self, parts, login)
    }
}

/// The URL with the pairs that log in, or none, each with its `;` behind.
pub(super) fn url(by: &dyn Format, parts: &Parts, login: Text) -> Result<Text> {
    let tls = match &parts.tls {
        Tls::Unverified => "encrypt=true;trustServerCertificate=true".to_owned(),
        Tls::Verified { ca_file: None } => "encrypt=true;trustServerCertificate=false".to_owned(),
        Tls::Verified { ca_file: Some(_) } => {
            return Err(refuse(
                by,
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
    let mut text = Text::new().part(Part::Server, server).plain(";");
    if let Some(database) = &parts.database {
        text = text
            .part(
                Part::Database,
                format!("databaseName={}", quote::brace(database)),
            )
            .plain(";");
    }
    text = text.append(login).part(parts.tls_part(), tls);
    if let Some(app) = &parts.app {
        text = text
            .plain(";")
            .part(Part::App, format!("applicationName={}", quote::brace(app)));
    }
    for (name, value) in by.options(parts) {
        text = text
            .plain(";")
            .part(Part::Extra, format!("{name}={}", quote::brace(&value)));
    }
    Ok(text
        .plain(";")
        .part(Part::Timeout, format!("loginTimeout={CONNECT_SECONDS}")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
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
        let mut said = Said {
            options: Vec::new(),
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
        said.options = pairs.rest();
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
