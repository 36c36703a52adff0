//! Spring Boot: `application.properties` of a data source.
//!
//! The URL of [`super::jdbc`] without the login; user and password are properties of their own, which the driver
//! takes as they are. A properties file escapes by `\` (`java.util.Properties`), and Spring puts variables in for
//! `${`, which older versions cannot be told to leave alone.

use super::{Card, Flags, Format, Language, Part, Parts, Shape, Text, Tls, jdbc, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Spring;

static CARD: Card = Card {
    id: "spring",
    name: "Spring Boot",
    family: "Java",
    about: "For Spring Boot and others that read `application.properties`: URL, user and password of the data source",
    limits: &[
        "A `${` in a value: Spring puts a variable there",
        "No keyword names the certificate authority's PEM file: the driver wants a Java trust store",
        super::odbc::PIN_LIMIT,
        "The file holds the password: keep it out of version control",
    ],
    shape: Shape::Snippet(Language::Properties),
    grammar: "java.util.Properties, `load`; Spring Framework, `PropertyPlaceholderHelper`; microsoft/mssql-jdbc, `Util.parseUrl`",
    defaults: &[
        ("encrypt=true", "drivers before 10.2 do not encrypt unasked"),
        jdbc::LOGIN_TIMEOUT,
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Spring {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let options = self.options(parts);
        let unfit = parts
            .first_unfit(fits)
            .or_else(|| (!options.iter().all(|(_, v)| fits(v))).then_some("this option"));
        if let Some(what) = unfit {
            return Err(refuse(
                self,
                what,
                "it holds a `${`, and Spring would put a variable there",
                "jdbc",
            ));
        }
        if matches!(&parts.tls, Tls::Pinned { certificate_file } if !fits(certificate_file)) {
            return Err(refuse(
                self,
                "this certificate's file",
                "it holds a `${`, and Spring would put a variable there",
                "jdbc",
            ));
        }
        // The URL's own braces make no `${`: they follow a `=`.
        let url = jdbc::url(self, parts, Text::new())?;
        Ok(url
            .carried(("spring.datasource.url=", "\n"), quote::properties)
            .part(
                Part::User,
                format!(
                    "spring.datasource.username={}",
                    quote::properties(&parts.user).as_str()
                ),
            )
            .plain("\n")
            .password(
                "spring.datasource.password=",
                &quote::properties(parts.password.expose_secret()),
                "",
            )
            .plain("\n"))
    }
}

fn fits(value: &str) -> bool {
    !value.contains("${")
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// `java.util.Properties.load`, and no `${` in what it gives.
    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let mut all = std::collections::BTreeMap::new();
        for line in text.lines() {
            let (key, raw) = line.split_once('=').ok_or("no =")?;
            if raw.starts_with([' ', '\t']) || !raw.is_ascii() {
                return Err(format!(
                    "blanks are dropped, and older readers take Latin-1: {raw:?}"
                ));
            }
            // The escapes are those of JSON, but for the quote.
            let value: String = serde_json::from_str(&format!("\"{}\"", raw.replace('"', "\\\"")))
                .map_err(|e| e.to_string())?;
            if value.contains("${") {
                return Err("a variable".into());
            }
            all.insert(key.to_owned(), value);
        }
        let url = all.get("spring.datasource.url").ok_or("no url")?;
        let user = all.get("spring.datasource.username").ok_or("no user")?;
        let password = all.get("spring.datasource.password").ok_or("no password")?;
        let (server, rest) = url.split_once(';').ok_or("no ;")?;
        // Where the login would stand, so that one reader serves both.
        let whole = format!(
            "{server};user={};password={};{rest}",
            quote::brace(user),
            quote::brace(password)
        );
        jdbc::tests::read(&whole, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(mut parts in any_parts()) {
            if parts.host.contains(':') { parts.host = "127.0.0.1".into(); }
            let says = !matches!(parts.tls, Tls::Verified { ca_file: Some(_) })
                && all_values(&parts, |v| !v.contains("${"))
                && !matches!(&parts.tls, Tls::Pinned { certificate_file } if certificate_file.contains("${"))
                && Spring.options(&parts).iter().all(|(_, v)| !v.contains("${"));
            round_trip(&Spring, &parts, says.then(|| (&parts).into()), read)?;
        }
    }
}
