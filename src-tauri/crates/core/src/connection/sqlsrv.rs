//! PHP: the call of `sqlsrv_connect`.
//!
//! Single-quoted PHP strings. The extension puts its values into an ODBC string and wants `}` doubled by its caller; it takes an
//! outer `{…}` away first, so every value is given as ODBC has it.

use super::{Card, Flags, Format, Language, Part, Parts, Setting, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct SqlSrv;

static CARD: Card = Card {
    id: "sqlsrv",
    name: "sqlsrv (PHP)",
    family: "PHP",
    about: "For PHP: the call of `sqlsrv_connect`",
    limits: &[
        "No certificate authority's file, and no pinned certificate: the extension passes no keyword for it on",
        "The code holds the password: for more than a trial read it from the environment",
    ],
    shape: Shape::Snippet(Language::Php),
    grammar: "PHP, single-quoted strings; microsoft/msphpsql, `core_conn.cpp`",
    defaults: &[
        (
            "'Encrypt' => true",
            "over driver 17, the extension does not encrypt unasked",
        ),
        (
            "'LoginTimeout' => 30",
            "the first client opens the tunnel, which may take longer than the driver's 15 seconds",
        ),
        (
            "'CharacterSet' => 'UTF-8'",
            "else the bytes of strings mean what the machine's locale says",
        ),
    ],
    flags: Some(Flags::LOWER),
};

impl Format for SqlSrv {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let trust = trust(self, parts)?;
        let value = |text: &str| quote::php(&quote::brace(text));
        let mut text = Text::new()
            .plain("sqlsrv_connect(")
            .part(
                Part::Server,
                quote::php(&format!("tcp:{},{}", parts.host, parts.port)),
            )
            .plain(", [");
        if let Some(database) = &parts.database {
            text = text
                .part(Part::Database, format!("'Database' => {}", value(database)))
                .plain(", ");
        }
        text = text
            .part(Part::User, format!("'UID' => {}", value(&parts.user)))
            .plain(", ")
            .password(
                "'PWD' => '{",
                &quote::php_inner(quote::brace_inner(parts.password.expose_secret()).as_str()),
                "}'",
            )
            .plain(", ")
            .part(
                parts.tls_part(),
                format!("'Encrypt' => true, 'TrustServerCertificate' => {trust}"),
            )
            .plain(", ");
        if let Some(app) = &parts.app {
            text = text
                .part(Part::App, format!("'APP' => {}", value(app)))
                .plain(", ");
        }
        for (name, setting) in &parts.options {
            let written = match setting {
                Setting::Text(text) => value(text),
                other => other.words("true", "false"),
            };
            text = text
                .part(Part::Extra, format!("{} => {written}", quote::php(name)))
                .plain(", ");
        }
        Ok(text
            .part(Part::Own("how text travels"), "'CharacterSet' => 'UTF-8'")
            .plain(", ")
            .part(Part::Timeout, "'LoginTimeout' => 30")
            .plain("]);"))
    }
}

/// Whether the extension trusts any certificate.
pub(super) fn trust(by: &dyn Format, parts: &Parts) -> Result<&'static str> {
    match &parts.tls {
        Tls::Unverified => Ok("true"),
        Tls::Verified { ca_file: None } => Ok("false"),
        Tls::Verified { ca_file: Some(_) } | Tls::Pinned { .. } => Err(refuse(
            by,
            "which certificate to trust",
            "the extension passes no keyword for it to the driver",
            "odbc",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text.strip_prefix("sqlsrv_connect(").ok_or("another call")?;
        let (server, rest) = rest.split_once(", ").ok_or("no options")?;
        let server = read_php_literal(server)?;
        let (host, port) = host_and_port(server.strip_prefix("tcp:").ok_or("tcp")?, ',')?;
        let mut pairs = read_call(rest, "[", "]);", " => ")?;
        if pairs.must("'Encrypt'")? != "true"
            || pairs.must("'LoginTimeout'")? != "30"
            || pairs.must("'CharacterSet'")? != "UTF-8"
        {
            return Err("not encrypted".into());
        }
        let trust = pairs.must("'TrustServerCertificate'")?;
        let unbraced = |v: String| -> Result<String, String> {
            if ["true", "false"].contains(&v.as_str()) || v.parse::<i64>().is_ok() {
                return Ok(v);
            }
            let inside = v
                .strip_prefix('{')
                .and_then(|v| v.strip_suffix('}'))
                .ok_or("no braces")?;
            if inside.replace("}}", "").contains('}') {
                return Err("the extension refuses a single `}`".into());
            }
            Ok(inside.replace("}}", "}"))
        };
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: pairs.take("'Database'").map(unbraced).transpose()?,
            user: unbraced(pairs.must("'UID'")?)?,
            password: unbraced(pairs.must("'PWD'")?)?,
            app: pairs.take("'APP'").map(unbraced).transpose()?,
            tls: match trust.as_str() {
                "true" => Tls::Unverified,
                "false" => Tls::Verified { ca_file: None },
                other => return Err(other.into()),
            },
        };
        for (name, value) in pairs.rest() {
            said.options
                .push((name.trim_matches('\'').to_owned(), unbraced(value)?));
        }
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = matches!(parts.tls, Tls::Unverified | Tls::Verified { ca_file: None });
            round_trip(&SqlSrv, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
