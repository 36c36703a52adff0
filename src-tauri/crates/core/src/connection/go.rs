//! Go: the URL of `go-mssqldb`.
//!
//! A URL after RFC 3986, the parameters form-encoded as Go's `url.ParseQuery` reads them:
//! everything but the unreserved characters is percent-encoded.

use super::{CONNECT_SECONDS, Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Go;

static CARD: Card = Card {
    id: "go",
    name: "Go",
    family: "Go",
    about: "For Go: the URL of go-mssqldb, also with GORM, sqlx and ent",
    limits: &[
        "Characters outside the Basic Multilingual Plane, such as emoji: the driver cuts such values short",
        "A certificate's file has to end in `.pem` or `.der`",
    ],
    shape: Shape::Value,
    grammar: "microsoft/go-mssqldb, `msdsn.splitConnectionStringURL`, over Go's `net/url`",
    defaults: &[
        (
            "encrypt=true",
            "unasked, the driver encrypts the login only and trusts any certificate",
        ),
        (
            "dial+timeout=30",
            "the first client opens the tunnel, which may take longer than the driver's 15 seconds",
        ),
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Go {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if let Some(what) = parts.first_unfit(fits) {
            let instead = if matches!(parts.tls, Tls::Verified { ca_file: Some(_) }) {
                "tedious"
            } else {
                "adonet"
            };
            return Err(refuse(
                self,
                what,
                "it holds a character outside the Basic Multilingual Plane, such as an emoji, and go-mssqldb would send it cut short",
                instead,
            ));
        }
        let tls = match &parts.tls {
            Tls::Unverified => "TrustServerCertificate=true".to_owned(),
            Tls::Verified { ca_file: None } => "TrustServerCertificate=false".to_owned(),
            Tls::Verified {
                ca_file: Some(file),
            } => {
                format!(
                    "TrustServerCertificate=false&certificate={}",
                    self.certificate(file, "tedious")?
                )
            }
            Tls::Pinned { certificate_file } => format!(
                "TrustServerCertificate=false&serverCertificate={}",
                self.certificate(certificate_file, "adonet")?
            ),
        };
        let mut text = Text::new()
            .plain("sqlserver://")
            .part(Part::User, quote::percent(&parts.user).as_str())
            .plain(":")
            .hidden(&quote::percent(parts.password.expose_secret()))
            .plain("@")
            .part(
                Part::Server,
                format!("{}:{}", parts.bracketed_host(), parts.port),
            )
            .plain("?");
        if let Some(database) = &parts.database {
            text = text
                .part(
                    Part::Database,
                    format!("database={}", quote::percent(database).as_str()),
                )
                .plain("&");
        }
        text = text.part(parts.tls_part(), format!("encrypt=true&{tls}"));
        if let Some(app) = &parts.app {
            text = text.plain("&").part(
                Part::App,
                format!("app+name={}", quote::percent(app).as_str()),
            );
        }
        for (name, value) in self.options(parts) {
            text = text.plain("&").part(
                Part::Extra,
                format!(
                    "{}={}",
                    quote::percent(&name).as_str(),
                    quote::percent(&value).as_str()
                ),
            );
        }
        Ok(text
            .plain("&")
            .part(Part::Timeout, format!("dial+timeout={CONNECT_SECONDS}")))
    }
}

impl Go {
    fn certificate(&self, file: &str, instead: &'static str) -> Result<String> {
        if is_certificate_file(file) {
            return Ok(quote::percent(file).as_str().to_owned());
        }
        Err(refuse(
            self,
            "this certificate's file",
            "go-mssqldb reads files that end in `.pem` or `.der` only",
            instead,
        ))
    }
}

/// Whether go-mssqldb sends the value whole: it counts characters where UTF-16 units are wanted.
pub(super) fn fits(value: &str) -> bool {
    value.chars().all(|c| c.len_utf16() == 1)
}

/// Whether go-mssqldb would read the file.
pub(super) fn is_certificate_file(file: &str) -> bool {
    file.ends_with(".pem") || file.ends_with(".der")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn unescape(text: &str, plus: bool) -> Result<String, String> {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(b) = rest.next() {
            match b {
                b'%' => {
                    let mut digit = || {
                        rest.next()
                            .and_then(|d| char::from(d).to_digit(16))
                            .ok_or_else(|| format!("bad escape in {text:?}"))
                    };
                    bytes.push((digit()? * 16 + digit()?) as u8);
                }
                b'+' if plus => bytes.push(b' '),
                b'-' | b'.' | b'_' | b'~' => bytes.push(b),
                b if b.is_ascii_alphanumeric() => bytes.push(b),
                b => return Err(format!("{:?} unescaped", char::from(b))),
            }
        }
        String::from_utf8(bytes).map_err(|e| e.to_string())
    }

    pub(crate) fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text.strip_prefix("sqlserver://").ok_or("scheme")?;
        let (authority, query) = rest.split_once('?').ok_or("no query")?;
        if authority.contains(['/', '#']) || query.contains(['#', ';']) {
            return Err("a path is an instance, `;` drops a parameter".into());
        }
        let (login, server) = authority.rsplit_once('@').ok_or("no login")?;
        let (user, password) = login.split_once(':').ok_or("no password")?;
        let (host, port) = host_and_port(server, ':')?;
        if host.contains(':') && !server.starts_with('[') {
            return Err("IPv6 without brackets".into());
        }
        let mut pairs = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').ok_or("no =")?;
            pairs.push((unescape(key, true)?, unescape(value, true)?));
        }
        let mut pairs = Pairs::new(pairs)?;
        if pairs.must("encrypt")? != "true" || pairs.must("dial timeout")? != "30" {
            return Err("not encrypted".into());
        }
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: pairs.take("database"),
            user: unescape(user, false)?,
            password: unescape(password, false)?,
            app: pairs.take("app name"),
            tls: match (
                pairs.must("TrustServerCertificate")?.as_str(),
                pairs.take("certificate"),
                pairs.take("serverCertificate"),
            ) {
                ("true", None, None) => Tls::Unverified,
                ("false", ca_file, None) => Tls::Verified { ca_file },
                ("false", None, Some(certificate_file)) => Tls::Pinned { certificate_file },
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
            let short = all_values(&parts, |v| v.chars().all(|c| u32::from(c) <= 0xffff));
            let file = match &parts.tls {
                Tls::Verified { ca_file: Some(f) } | Tls::Pinned { certificate_file: f } => [".pem", ".der"].iter().any(|e| f.ends_with(e)),
                _ => true,
            };
            round_trip(&Go, &parts, (short && file).then(|| (&parts).into()), read)?;
        }
    }
}
