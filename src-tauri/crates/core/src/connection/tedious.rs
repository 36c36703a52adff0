//! Node: the configuration object of `tedious`.
//!
//! JSON, so that it fits JavaScript, TypeScript and a configuration file. Every value can be
//! said here, which makes it the way out where a string's grammar is too narrow.

use super::{Card, Flags, Format, Language, Part, Parts, Setting, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Tedious;

pub(super) const PIN_LIMIT: &str =
    "No pinned certificate: a certificate given as authority still has its name checked";
pub(super) const CA_IS_CODE: &str =
    "With a certificate authority's file it is JavaScript and no longer JSON";
pub(super) const CONNECT_TIMEOUT: (&str, &str) = (
    "\"connectTimeout\":30000",
    "in milliseconds; the first client opens the tunnel, which may take longer than the driver's 15 seconds",
);

static CARD: Card = Card {
    id: "tedious",
    name: "tedious (Node)",
    family: "Node.js",
    about: "For Node.js: the configuration object of `new tedious.Connection`; `mssql` takes it too",
    limits: &[PIN_LIMIT, CA_IS_CODE],
    shape: Shape::Snippet(Language::JavaScript),
    grammar: "tedious 19, `ConnectionConfiguration`; ECMA-262, string literals",
    defaults: &[
        ("\"encrypt\":true", "said and not left to the version"),
        CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::LOWER),
};

impl Format for Tedious {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let options = options(self, parts, true)?;
        Ok(Text::new()
            .plain("{")
            .part(
                Part::Server,
                format!("\"server\":{}", quote::json(&parts.host)),
            )
            .plain(r#","authentication":{"type":"default","options":{"#)
            .part(
                Part::User,
                format!("\"userName\":{}", quote::json(&parts.user)),
            )
            .plain(",")
            .password(
                "\"password\":\"",
                &quote::json_inner(parts.password.expose_secret()),
                "\"",
            )
            .plain("}},\"options\":{")
            .part(Part::Server, format!("\"port\":{}", parts.port))
            .plain(",")
            .append(options)
            .plain("}}"))
    }
}

/// How a package over tedious names what it passes on.
pub(super) struct Names {
    /// What stands before the first name.
    pub(super) open: &'static str,
    pub(super) host: &'static str,
    pub(super) user: &'static str,
    /// What stands between the password and tedious' own options.
    pub(super) options: &'static str,
    /// What closes them and all the rest.
    pub(super) close: &'static str,
}

/// The object of a package over tedious: host, port, database and login by its names, the rest in tedious' words.
pub(super) fn object(by: &dyn Format, parts: &Parts, names: &Names) -> Result<Text> {
    let options = options(by, parts, false)?;
    let mut text = Text::new()
        .plain(names.open)
        .part(
            Part::Server,
            format!(
                "\"{}\":{},\"port\":{}",
                names.host,
                quote::json(&parts.host),
                parts.port
            ),
        )
        .plain(",");
    if let Some(database) = &parts.database {
        text = text
            .part(
                Part::Database,
                format!("\"database\":{}", quote::json(database)),
            )
            .plain(",");
    }
    Ok(text
        .part(
            Part::User,
            format!("\"{}\":{}", names.user, quote::json(&parts.user)),
        )
        .plain(",")
        .password(
            "\"password\":\"",
            &quote::json_inner(parts.password.expose_secret()),
            "\"",
        )
        .plain(names.options)
        .append(options)
        .plain(names.close))
}

/// The inside of tedious' `options`, as every package over tedious passes them on: database, TLS, application name, time.
fn options(by: &dyn Format, parts: &Parts, database: bool) -> Result<Text> {
    let tls = match &parts.tls {
        Tls::Unverified => r#""trustServerCertificate":true"#.to_owned(),
        Tls::Verified { ca_file: None } => r#""trustServerCertificate":false"#.to_owned(),
        Tls::Verified {
            ca_file: Some(file),
        } => format!(
            r#""trustServerCertificate":false,"cryptoCredentialsDetails":{{"ca":require("node:fs").readFileSync({})}}"#,
            quote::json(file)
        ),
        Tls::Pinned { .. } => {
            return Err(refuse(
                by,
                "a pinned certificate",
                "tedious can trust an authority, but not compare the server's certificate itself",
                "adonet",
            ));
        }
    };
    let mut text = Text::new();
    if let Some(name) = parts.database.as_ref().filter(|_| database) {
        text = text
            .part(
                Part::Database,
                format!("\"database\":{}", quote::json(name)),
            )
            .plain(",");
    }
    text = text.part(parts.tls_part(), format!("\"encrypt\":true,{tls}"));
    if let Some(app) = &parts.app {
        text = text
            .plain(",")
            .part(Part::App, format!("\"appName\":{}", quote::json(app)));
    }
    for (name, value) in &parts.options {
        // A flag and a number keep their type: tedious refuses the text.
        let value = match value {
            Setting::Text(text) => quote::json(text),
            other => other.words("true", "false"),
        };
        text = text
            .plain(",")
            .part(Part::Extra, format!("{}:{value}", quote::json(name)));
    }
    // Milliseconds, unlike every string.
    Ok(text.plain(",").part(Part::Timeout, CONNECT_TIMEOUT.0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        // The one expression in it stands for its argument here; a value cannot look like it,
        // as its quotes would be escaped.
        let mut json = text.to_owned();
        if let Some((before, after)) = text.split_once(r#"require("node:fs").readFileSync("#) {
            let mut literal = serde_json::Deserializer::from_str(after).into_iter::<String>();
            literal
                .next()
                .ok_or("no file")?
                .map_err(|e| e.to_string())?;
            let (file, rest) = after.split_at(literal.byte_offset());
            json = format!(
                "{before}{file}{}",
                rest.strip_prefix(')').ok_or("open call")?
            );
        }
        let mut root: Value = serde_json::from_str(&json).map_err(|e| e.to_string())?;
        fn text_of(v: Option<Value>) -> Result<String, String> {
            match v {
                Some(Value::String(s)) => Ok(s),
                other => Err(format!("{other:?}")),
            }
        }
        let mut options = root["options"].take();
        let options = options.as_object_mut().ok_or("options")?;
        let mut login = root["authentication"]["options"].take();
        let login = login.as_object_mut().ok_or("login")?;
        if root["authentication"]["type"] != "default"
            || options.remove("encrypt") != Some(true.into())
            || options.remove("connectTimeout") != Some(30_000.into())
        {
            return Err("not encrypted".into());
        }
        let ca = options
            .remove("cryptoCredentialsDetails")
            .map(|mut c| text_of(Some(c["ca"].take())))
            .transpose()?;
        let mut said = Said {
            options: Vec::new(),
            host: text_of(Some(root["server"].take()))?,
            port: options
                .remove("port")
                .and_then(|p| p.as_u64())
                .and_then(|p| p.try_into().ok())
                .ok_or("port")?,
            database: options
                .remove("database")
                .map(|d| text_of(Some(d)))
                .transpose()?,
            user: text_of(login.remove("userName"))?,
            password: text_of(login.remove("password"))?,
            app: options
                .remove("appName")
                .map(|d| text_of(Some(d)))
                .transpose()?,
            tls: match (options.remove("trustServerCertificate"), ca) {
                (Some(Value::Bool(true)), None) => Tls::Unverified,
                (Some(Value::Bool(false)), ca_file) => Tls::Verified { ca_file },
                other => return Err(format!("{other:?}")),
            },
        };
        if !login.is_empty() {
            return Err(format!("unknown: {login:?}"));
        }
        // In the words that the expectation has; the types are the test below.
        said.options = std::mem::take(options)
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => (name, text),
                other => (name, other.to_string()),
            })
            .collect();
        said.options.sort();
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            let says = !matches!(parts.tls, Tls::Pinned { .. });
            round_trip(&Tedious, &parts, says.then(|| (&parts).into()), read)?;
        }
    }

    #[test]
    fn an_option_keeps_its_type() {
        let mut parts = plain();
        parts.options = vec![
            ("useUTC".into(), Setting::Flag(false)),
            ("packetSize".into(), Setting::Number(8192)),
            ("language".into(), Setting::Text("true".into())),
        ];
        let text = Tedious.write(&parts).unwrap().masked();
        assert!(
            text.contains(r#""useUTC":false,"packetSize":8192,"language":"true""#),
            "tedious refuses an option of another type: {text}"
        );
    }
}
