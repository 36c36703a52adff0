//! ODBC: Microsoft's driver 18 (`msodbcsql18`).
//!
//! The grammar is the driver manager's as the driver reads it: a value in braces with `}`
//! doubled holds anything; quotes mean nothing, blanks around a bare value belong to it.

use super::{Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Odbc;

pub(super) const PIN_LIMIT: &str =
    "A pinned certificate works with TDS 8 only: SQL Server 2022 or later";
pub(super) const CA_LIMIT: &str = "No keyword names the file of a certificate authority";

static CARD: Card = Card {
    id: "odbc",
    name: "ODBC",
    family: "ODBC",
    about: "For Microsoft's ODBC Driver 18: C and C++, Excel, Perl, and every program that takes an ODBC string",
    limits: &[
        "FreeTDS before 1.4 reads a `}` in a value twice",
        CA_LIMIT,
        PIN_LIMIT,
    ],
    shape: Shape::Value,
    grammar: "microsoft/mssql-rs, `connection_string_parser.md`, which describes msodbcsql's `ParseAttrStr`",
    defaults: &[
        (
            "Driver={ODBC Driver 18 for SQL Server}",
            "a string without a data source has to name its driver",
        ),
        ("tcp:", "no guessing of the protocol"),
        (
            "Encrypt=yes",
            "driver 17 does not encrypt unasked, driver 18 does",
        ),
    ],
    flags: Some(Flags::WORDS),
};

impl Format for Odbc {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        whole(self, parts)
    }
}

/// The whole string, also for formats that carry it.
pub(super) fn whole(by: &dyn Format, parts: &Parts) -> Result<Text> {
    let text = Text::new()
        .part(Part::Driver, "Driver={ODBC Driver 18 for SQL Server}")
        .plain(";")
        .append(string(by, parts)?);
    Ok(with_app(text, parts))
}

/// The string without driver and application name.
pub(super) fn string(by: &dyn Format, parts: &Parts) -> Result<Text> {
    let tls = tls(by, parts, quote::brace)?;
    let mut text = Text::new()
        .part(
            Part::Server,
            // An IPv6 address without brackets: the driver looks up what it gets as it is.
            format!("Server=tcp:{},{}", parts.host, parts.port),
        )
        .plain(";");
    if let Some(database) = &parts.database {
        text = text
            .part(
                Part::Database,
                format!("Database={}", quote::brace(database)),
            )
            .plain(";");
    }
    text = text
        .part(Part::User, format!("UID={}", quote::brace(&parts.user)))
        .plain(";")
        .password(
            "PWD={",
            &quote::brace_inner(parts.password.expose_secret()),
            "}",
        );
    for (at, pair) in tls.iter().enumerate() {
        if at == 0 {
            text = text.plain(";");
        } else {
            text = text.part(parts.tls_part(), ";");
        }
        text = text.part(parts.tls_part(), format!("{}={}", pair.0, pair.1));
    }
    for (name, value) in by.options(parts) {
        text = text
            .plain(";")
            .part(Part::Extra, format!("{name}={}", quote::brace(&value)));
    }
    Ok(text)
}

pub(super) fn with_app(text: Text, parts: &Parts) -> Text {
    match &parts.app {
        Some(app) => text
            .plain(";")
            .part(Part::App, format!("APP={}", quote::brace(app))),
        None => text,
    }
}

/// The driver's keywords for TLS; `file` quotes the name of a certificate's file.
pub(super) fn tls(
    by: &dyn Format,
    parts: &Parts,
    file: impl Fn(&str) -> String,
) -> Result<Vec<(&'static str, String)>> {
    let words = |encrypt: &str, trust: &str| {
        vec![
            ("Encrypt", encrypt.to_owned()),
            ("TrustServerCertificate", trust.to_owned()),
        ]
    };
    match &parts.tls {
        Tls::Unverified => Ok(words("yes", "yes")),
        Tls::Verified { ca_file: None } => Ok(words("yes", "no")),
        Tls::Verified { ca_file: Some(_) } => Err(refuse(
            by,
            "which certificate authority to trust",
            "the driver trusts what OpenSSL on the client's machine trusts; add the authority there, or pin the server's certificate",
            "tedious",
        )),
        Tls::Pinned { certificate_file } => {
            // Without strict the driver would ignore the pin.
            let mut all = words("strict", "no");
            all.push(("ServerCertificate", file(certificate_file)));
            Ok(all)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let mut pairs = read_braced(text)?;
        if pairs.must("Driver")? != "ODBC Driver 18 for SQL Server" {
            return Err("another driver".into());
        }
        let server = pairs.must("Server")?;
        let (host, port) = host_and_port(server.strip_prefix("tcp:").ok_or("no tcp:")?, ',')?;
        let mut said = Said {
            options: Vec::new(),
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
        said.options = pairs.rest();
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
