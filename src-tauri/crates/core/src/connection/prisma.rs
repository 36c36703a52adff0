//! Prisma 7: the string of its driver adapter, `@prisma/adapter-mssql`.
//!
//! The adapter's own `parseConnectionString`: braces around a value are taken away and never undone inside, so a `{`
//! in braces is an error, and a `;` after a `}` ends the value; a bare value is trimmed, and ends at `;`.

use super::{Card, Flags, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Prisma;

static CARD: Card = Card {
    id: "prisma",
    name: "Prisma 7",
    family: "Node.js",
    about: "For Prisma 7: the string of `new PrismaMssql(…)`, mostly in `DATABASE_URL`",
    limits: &[
        "A value with a `{` and a `;`, or one that starts with `{`: take `mssql-config`, the object that `new PrismaMssql` takes too",
        "No certificate authority's file and no pinned certificate (`mssql-config` has the first)",
        "An IPv6 address",
    ],
    shape: Shape::Value,
    grammar: "@prisma/adapter-mssql 7.10, `parseConnectionString`",
    defaults: &[
        (
            "encrypt=true",
            "anything but `true` switches encryption off",
        ),
        (
            "connectionTimeout=30000",
            "in milliseconds; the first client opens the tunnel, which may take longer than the driver's 15 seconds",
        ),
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Prisma {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let tls = match &parts.tls {
            Tls::Unverified => "encrypt=true;trustServerCertificate=true",
            Tls::Verified { ca_file: None } => "encrypt=true;trustServerCertificate=false",
            Tls::Verified { ca_file: Some(_) } | Tls::Pinned { .. } => {
                return Err(refuse(
                    self,
                    "which certificate to trust",
                    "the string has no keyword for it; the object of `new PrismaMssql` has one for a certificate authority",
                    "mssql-config",
                ));
            }
        };
        if parts.is_ipv6() {
            return Err(refuse(
                self,
                "an IPv6 address",
                "the server's name ends at the first `:`",
                "mssql-config",
            ));
        }
        let options = self.options(parts);
        let unfit = parts.first_unfit(|v| around(v).is_some()).or_else(|| {
            (!options.iter().all(|(_, v)| around(v).is_some())).then_some("this option")
        });
        if let Some(what) = unfit {
            return Err(refuse(
                self,
                what,
                "Prisma cannot undo what its braces hold, and this value needs them and cannot stand in them; the object of `new PrismaMssql` takes any value",
                "mssql-config",
            ));
        }
        let pair = |name: &str, value: &str| {
            let (open, close) = around(value).unwrap_or_default();
            format!("{name}={open}{value}{close}")
        };
        let mut text = Text::new()
            .part(
                Part::Server,
                format!("sqlserver://{}:{}", parts.host, parts.port),
            )
            .plain(";");
        if let Some(database) = &parts.database {
            text = text
                .part(Part::Database, pair("database", database))
                .plain(";");
        }
        let password = parts.password.expose_secret();
        let (open, close) = around(password).unwrap_or_default();
        text = text
            .part(Part::User, pair("user", &parts.user))
            .plain(";")
            .password(&format!("password={open}"), &quote::as_is(password), close)
            .plain(";")
            .part(parts.tls_part(), tls);
        if let Some(app) = &parts.app {
            text = text
                .plain(";")
                .part(Part::App, pair("applicationName", app));
        }
        for (name, value) in options {
            text = text.plain(";").part(Part::Extra, pair(&name, &value));
        }
        Ok(text
            .plain(";")
            .part(Part::Timeout, "connectionTimeout=30000"))
    }
}

/// What has to stand around a value; none when neither braces nor nothing will do.
fn around(value: &str) -> Option<(&'static str, &'static str)> {
    if stays_whole(["{", value, "}"]) {
        return Some(("{", "}"));
    }
    // What JavaScript's `trim` takes away.
    let blank = |c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}';
    let stripped = value.starts_with('{') && value.ends_with('}');
    let bare = !stripped
        && !value.starts_with(blank)
        && !value.ends_with(blank)
        && stays_whole(["", value, ""]);
    bare.then_some(("", ""))
}

/// Whether the adapter takes all of it for one value: its braces open behind a `=` only, and do not nest.
fn stays_whole(written: [&str; 3]) -> bool {
    let mut open = false;
    let mut start = true;
    for c in written.into_iter().flat_map(str::chars) {
        match c {
            '{' if start => open = true,
            '{' if open => return false,
            '}' => open = false,
            ';' if !open => return false,
            _ => {}
        }
        start = c == '=' && !open;
    }
    !open
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// `splitRespectingBraces` and `unescapeValue` of the adapter.
    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let rest = text.strip_prefix("sqlserver://").ok_or("scheme")?;
        let chars: Vec<char> = rest.chars().collect();
        let (mut fields, mut current, mut depth, mut start) = (Vec::new(), String::new(), 0, None);
        for (i, c) in chars.iter().enumerate() {
            match c {
                '=' => {
                    current.push('=');
                    if depth == 0 {
                        start = Some(i + 1);
                    }
                }
                '{' => {
                    if start == Some(i) {
                        depth += 1;
                    } else if depth > 0 {
                        return Err("nested braces".into());
                    }
                    current.push('{');
                }
                '}' => {
                    depth = (depth - 1).max(0);
                    current.push('}');
                }
                ';' if depth == 0 => {
                    fields.push(std::mem::take(&mut current));
                    start = None;
                }
                c => current.push(*c),
            }
        }
        if depth != 0 {
            return Err("unclosed brace".into());
        }
        fields.push(current);
        let (host, port) = host_and_port(&fields.remove(0), ':')?;
        if host.contains(':') {
            return Err("the port is what follows the first `:`".into());
        }
        let mut pairs = Vec::new();
        for field in fields {
            let (key, value) = field.split_once('=').ok_or("no =")?;
            let trimmed = value
                .trim_matches(|c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}');
            let inner = trimmed.strip_prefix('{').and_then(|v| v.strip_suffix('}'));
            pairs.push((key.trim().to_owned(), inner.unwrap_or(trimmed).to_owned()));
        }
        let mut pairs = Pairs::new(pairs)?;
        if pairs.must("encrypt")? != "true" || pairs.must("connectionTimeout")? != "30000" {
            return Err("not encrypted".into());
        }
        let mut said = Said {
            options: Vec::new(),
            host,
            port,
            database: pairs.take("database"),
            user: pairs.must("user")?,
            password: pairs.must("password")?,
            app: pairs.take("applicationName"),
            tls: match pairs.must("trustServerCertificate")?.as_str() {
                "true" => Tls::Unverified,
                "false" => Tls::Verified { ca_file: None },
                other => return Err(other.into()),
            },
        };
        said.options = pairs.rest();
        Ok(said)
    }

    /// Whether the string can hold the value at all, in braces or without.
    fn can(value: &str) -> bool {
        [format!("{{{value}}}"), value.to_owned()].iter().any(|written| {
            let mut text = String::from("sqlserver://h:1;database=x;user=u;encrypt=true;connectionTimeout=30000;trustServerCertificate=true;password=");
            text.push_str(written);
            read(&text, None).is_ok_and(|said| said.password == value && said.options.is_empty())
                && read(&format!("{text};zz=1"), None).is_ok_and(|said| said.password == value && said.options.len() == 1)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {

            let says = matches!(parts.tls, Tls::Unverified | Tls::Verified { ca_file: None })
                && !parts.host.contains(':')
                && all_values(&parts, can)
                && Prisma.options(&parts).iter().all(|(_, v)| can(v));
            round_trip(&Prisma, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
