//! Node: the configuration object of `tedious`, which `mssql` takes as it is.
//!
//! JSON, so that it fits JavaScript, TypeScript and a configuration file. Every value can be
//! said here, which makes it the way out where a string's grammar is too narrow.

use super::{CONNECT_SECONDS, Format, Parts, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Tedious;

impl Format for Tedious {
    fn id(&self) -> &'static str {
        "tedious"
    }

    fn name(&self) -> &'static str {
        "tedious (Node)"
    }

    fn about(&self) -> &'static str {
        "For Node.js: the configuration object of `tedious`, which `mssql` takes too"
    }

    fn family(&self) -> &'static str {
        "Node.js"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "No pinned certificate: a certificate given as authority still has its name checked",
            "With a certificate authority's file it is JavaScript and no longer JSON",
        ]
    }

    fn write(&self, parts: &Parts) -> Result<Text> {
        parts.check()?;
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
                    self,
                    "a pinned certificate",
                    "tedious can trust an authority, but not compare the server's certificate itself",
                    "adonet",
                ));
            }
        };
        let mut text = Text::new()
            .plain(format!(
                r#"{{"server":{},"authentication":{{"type":"default","options":{{"userName":{},"password":""#,
                quote::json(&parts.host),
                quote::json(&parts.user)
            ))
            .hidden(&quote::json_inner(parts.password.expose_secret()))
            .plain(format!(r#""}}}},"options":{{"port":{}"#, parts.port));
        if let Some(database) = &parts.database {
            text = text.plain(format!(r#","database":{}"#, quote::json(database)));
        }
        text = text.plain(format!(r#","encrypt":true,{tls}"#));
        if let Some(app) = &parts.app {
            text = text.plain(format!(r#","appName":{}"#, quote::json(app)));
        }
        // Milliseconds, unlike every string.
        Ok(text.plain(format!(
            r#","connectTimeout":{}}}}}"#,
            u64::from(CONNECT_SECONDS).saturating_mul(1000)
        )))
    }
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
        let said = Said {
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
        if !options.is_empty() || !login.is_empty() {
            return Err(format!("unknown: {options:?} {login:?}"));
        }
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
}
