//! ADO.NET: Microsoft.Data.SqlClient and what stands on it.
//!
//! The rules are those of `SqlConnectionOptions.GetKeyValuePair` in dotnet/SqlClient: a
//! value in double quotes with `"` doubled holds anything but NUL.

use super::{CONNECT_SECONDS, Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct AdoNet;

pub(super) const CONNECT_TIMEOUT: (&str, &str) = (
    "Connect Timeout=30",
    "the first client opens the tunnel, which may take longer than the driver's 15 seconds",
);

static CARD: Card = Card {
    id: "adonet",
    name: "ADO.NET",
    family: ".NET",
    about: "For .NET: Microsoft.Data.SqlClient, Entity Framework Core, Dapper; Windows PowerShell's SqlServer module",
    limits: &[
        "No keyword names the file of a certificate authority",
        "A pinned certificate needs Microsoft.Data.SqlClient 5.1 or later",
    ],
    shape: Shape::Value,
    grammar: "dotnet/SqlClient, `SqlConnectionOptions.GetKeyValuePair`",
    defaults: &[
        (
            "tcp:",
            "no guessing of the protocol, and no SQL Server Browser",
        ),
        (
            "Encrypt=True",
            "what is left out differs between versions 3 and 4",
        ),
        CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::NET),
};

impl Format for AdoNet {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        Self::composed(self, parts)
    }
}

impl AdoNet {
    /// The string, written for another format that carries it.
    pub(super) fn composed(by: &dyn Format, parts: &Parts) -> Result<Text> {
        Self::composed_for(by, parts, None)
    }

    /// The same, with the name that the server's certificate has when it is not the host's.
    pub(super) fn composed_for(
        by: &dyn Format,
        parts: &Parts,
        certificate_name: Option<&str>,
    ) -> Result<Text> {
        let mut trust = match &parts.tls {
            // Trust beside it would switch the pin off, without a word.
            Tls::Pinned { certificate_file } => format!(
                "TrustServerCertificate=False;ServerCertificate={}",
                quote::ado(certificate_file)
            ),
            _ => trust(by, parts)?.to_owned(),
        };
        if let Some(name) = certificate_name {
            trust.push_str(";HostNameInCertificate=");
            trust.push_str(name);
        }
        Ok(string(by, parts, &trust))
    }
}

/// How .NET says whom it trusts, but for a pin.
pub(super) fn trust(by: &dyn Format, parts: &Parts) -> Result<&'static str> {
    match &parts.tls {
        Tls::Unverified => Ok("TrustServerCertificate=True"),
        Tls::Verified { ca_file: None } => Ok("TrustServerCertificate=False"),
        Tls::Verified { ca_file: Some(_) } => Err(refuse(
            by,
            "which certificate authority to trust",
            "SqlClient trusts what the operating system trusts; add the authority there, or pin the server's certificate",
            "tedious",
        )),
        Tls::Pinned { .. } => Err(refuse(
            by,
            "a pinned certificate",
            "the driver has no keyword for it",
            "adonet",
        )),
    }
}

/// The string, with the words for TLS given.
pub(super) fn string(by: &dyn Format, parts: &Parts, trust: &str) -> Text {
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
        // `True` and not `Mandatory`: System.Data.SqlClient knows no other word.
        .part(parts.tls_part(), format!("Encrypt=True;{trust}"));
    if let Some(app) = &parts.app {
        text = text
            .plain(";")
            .part(Part::App, format!("Application Name={}", quote::ado(app)));
    }
    for (name, value) in by.options(parts) {
        text = text
            .plain(";")
            .part(Part::Extra, format!("{name}={}", quote::ado(&value)));
    }
    text.plain(";")
        .part(Part::Timeout, format!("Connect Timeout={CONNECT_SECONDS}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        read_with(text, |_| {})
    }

    /// Reads a string in which `more` takes what only its format writes.
    pub(crate) fn read_with(text: &str, more: impl Fn(&mut Pairs)) -> Result<Said, String> {
        let mut pairs = read_ado(text)?;
        more(&mut pairs);
        let server = pairs.must("Server")?;
        let (host, port) = host_and_port(server.strip_prefix("tcp:").ok_or("no tcp:")?, ',')?;
        if pairs.must("Encrypt")? != "True" || pairs.must("Connect Timeout")? != "30" {
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
                pairs.must("TrustServerCertificate")?.as_str(),
                pairs.take("ServerCertificate"),
            ) {
                ("True", None) => Tls::Unverified,
                ("False", None) => Tls::Verified { ca_file: None },
                ("False", Some(certificate_file)) => Tls::Pinned { certificate_file },
                (trust, _) => return Err(format!("trust {trust}")),
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
            round_trip(&AdoNet, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
