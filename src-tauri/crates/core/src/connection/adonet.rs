//! ADO.NET: Microsoft.Data.SqlClient and what stands on it.
//!
//! The rules are those of `SqlConnectionOptions.GetKeyValuePair` in dotnet/SqlClient: a
//! value in double quotes with `"` doubled holds anything but NUL. Programs rarely hand the string over as it is, though:
//! `SqlConnectionStringBuilder` writes it anew, and what that writes is read without a line feed that the value ends in.

use super::{CONNECT_SECONDS, Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct AdoNet;

pub(super) const CONNECT_TIMEOUT: (&str, &str) = (
    "Connect Timeout=30",
    "the first client opens the tunnel, which may take longer than the driver's 15 seconds",
);

pub(super) const BUILDER: &str = "A value that ends in a line feed, if nothing else in it needs quotes: `SqlConnectionStringBuilder` loses it";

static CARD: Card = Card {
    id: "adonet",
    name: "ADO.NET",
    family: ".NET",
    about: "For .NET: Microsoft.Data.SqlClient, Entity Framework Core, Dapper; Windows PowerShell's SqlServer module",
    limits: &[
        "No keyword names the file of a certificate authority",
        "A pinned certificate needs Microsoft.Data.SqlClient 5.1 or later",
        BUILDER,
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
        string(by, parts, &trust)
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

/// Whether the value is still itself after `SqlConnectionStringBuilder` wrote it: its rule for what needs quotes
/// (`^[^"'=;\s\p{Cc}]*$`) overlooks a line feed at the end, and bare values are trimmed.
pub(super) fn outlives_builder(value: &str) -> bool {
    value.strip_suffix('\n').is_none_or(|rest| {
        rest.contains(|c: char| {
            matches!(c, '"' | '\'' | '=' | ';') || c.is_whitespace() || c.is_control()
        })
    })
}

/// The string, with the words for TLS given.
pub(super) fn string(by: &dyn Format, parts: &Parts, trust: &str) -> Result<Text> {
    let options = by.options(parts);
    let lost = parts.first_unfit(outlives_builder).or_else(|| {
        (!options.iter().all(|(_, value)| outlives_builder(value))).then_some("this option")
    });
    if let Some(what) = lost {
        return Err(refuse(
            by,
            what,
            "it ends in a line feed, which .NET's `SqlConnectionStringBuilder` loses; most programs pass their string through it",
            "odbc",
        ));
    }
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
    for (name, value) in options {
        text = text
            .plain(";")
            .part(Part::Extra, format!("{name}={}", quote::ado(&value)));
    }
    Ok(text
        .plain(";")
        .part(Part::Timeout, format!("Connect Timeout={CONNECT_SECONDS}")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// What .NET can say of these parts.
    pub(crate) fn says(parts: &Parts, format: &dyn Format) -> bool {
        !matches!(parts.tls, Tls::Verified { ca_file: Some(_) })
            && all_values(parts, outlives_builder)
            && format
                .options(parts)
                .iter()
                .all(|(_, v)| outlives_builder(v))
    }

    #[test]
    fn what_the_builder_loses_is_refused() {
        for (value, stays) in [
            ("Abcdefg1\n", false),
            ("\n", false),
            ("Abc defg1\n", true),
            ("Abc=defg1\n", true),
            ("Abcdefg1\n\n", true),
            ("Abc\ndefg1", true),
            ("Abcdefg1\r\n", true),
        ] {
            let mut parts = plain();
            parts.password = value.to_owned().into();
            assert_eq!(AdoNet.write(&parts).is_ok(), stays, "{value:?}");
        }
    }

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
            round_trip(&AdoNet, &parts, says(&parts, &AdoNet).then(|| (&parts).into()), read)?;
        }
    }
}
