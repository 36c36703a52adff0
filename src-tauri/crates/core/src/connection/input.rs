//! Parts given as JSON.
//!
//! ```json
//! {"host":"db.example","port":1433,"database":"orders","user":"sa","password":"…",
//!  "tls":"verified","ca":"ca.pem","app":"orders","options":{"MultipleActiveResultSets":true}}
//! ```

use std::collections::BTreeMap;

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Parts, Setting, Tls};
use crate::{Error, Result, Secret};

/// The longest text of parts, in bytes: far more than all limits together.
pub const LONGEST_INPUT: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input<'a> {
    host: String,
    port: Option<u16>,
    database: Option<String>,
    user: String,
    // Not read into a `String` on the way: nobody would wipe it.
    #[serde(borrow)]
    password: &'a RawValue,
    tls: Rung,
    ca: Option<String>,
    certificate: Option<String>,
    app: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Rung {
    Verified,
    Pinned,
    Unverified,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl Parts {
    /// Reads a JSON object with `host`, `user`, `password`, `tls` (`verified`, `pinned` or `unverified`) and,
    /// as wanted, `port` (else 1433), `database`, `ca` (a file, with `verified`), `certificate` (a file, with `pinned`),
    /// `app` and `options` (an object of texts, flags and whole numbers).
    ///
    /// `text` is the caller's to wipe. The password goes from it into a [`Secret`] and nowhere else.
    ///
    /// # Errors
    /// [`crate::Code::Usage`] for what is no such object and for parts that no format could say
    /// ([`Parts::check`]); no value is repeated.
    pub fn from_json(text: &str) -> Result<Self> {
        let bad = |why: String| {
            Error::usage("These are no parts of a connection string").because(why).hint(
                "Give a JSON object: {\"host\",\"port\",\"database\",\"user\",\"password\",\"tls\":\"verified|pinned|unverified\",\"ca\"?,\"certificate\"?,\"app\"?,\"options\"?}",
            )
        };
        if text.len() > LONGEST_INPUT {
            return Err(bad(format!(
                "the text is longer than {LONGEST_INPUT} bytes"
            )));
        }
        let input: Input<'_> = serde_json::from_str(text).map_err(|e| bad(said(&e)))?;
        let password = unescape(input.password.get())
            .ok_or_else(|| bad("`password` is no text of whole characters".to_owned()))?;
        let tls = match (input.tls, input.ca, input.certificate) {
            (Rung::Unverified, None, None) => Tls::Unverified,
            (Rung::Verified, ca_file, None) => Tls::Verified { ca_file },
            (Rung::Pinned, None, Some(certificate_file)) => Tls::Pinned { certificate_file },
            (Rung::Pinned, None, None) => {
                return Err(bad(
                    "`tls` is `pinned`, and `certificate` names no file".to_owned()
                ));
            }
            (_, ca, _) => {
                let (field, rung) = if ca.is_some() && input.tls != Rung::Verified {
                    ("ca", "verified")
                } else {
                    ("certificate", "pinned")
                };
                return Err(bad(format!("`{field}` goes with `tls` `{rung}` only")));
            }
        };
        let parts = Self {
            host: input.host,
            port: input.port.unwrap_or(1433),
            database: input.database,
            user: input.user,
            password,
            tls,
            app: input.app,
            options: input
                .options
                .into_iter()
                .map(|(name, value)| {
                    let value = match value {
                        Value::Flag(flag) => Setting::Flag(flag),
                        Value::Number(number) => Setting::Number(number),
                        Value::Text(text) => Setting::Text(text),
                    };
                    (name, value)
                })
                .collect(),
        };
        parts.check()?;
        Ok(parts)
    }
}

/// What the reader says, without the values that it likes to quote: one of them may be the password.
fn said(e: &serde_json::Error) -> String {
    let words = e.to_string();
    let place = format!("line {}, column {}", e.line(), e.column());
    if words.starts_with("missing field") || words.starts_with("duplicate field") {
        words
    } else if words.starts_with("unknown field") {
        format!("there is an unknown field at {place}")
    } else if words.starts_with("unknown variant") {
        format!("`tls` is not `verified`, `pinned` or `unverified` at {place}")
    } else if e.is_data() {
        format!("a value has the wrong type at {place}")
    } else {
        format!("it is not JSON at {place}")
    }
}

/// The text of a JSON string literal, whose syntax was checked; none when it is no string or holds half
/// a surrogate pair.
fn unescape(literal: &str) -> Option<Secret> {
    let inside = literal.strip_prefix('"')?.strip_suffix('"')?;
    // An escape is never shorter than what it stands for, so the buffer does not move.
    let mut out = Zeroizing::new(String::with_capacity(inside.len()));
    let mut rest = inside.chars();
    let hex = |rest: &mut std::str::Chars<'_>| {
        let mut unit = 0_u16;
        for _ in 0..4 {
            let digit = rest.next()?.to_digit(16)?;
            unit = unit
                .checked_mul(16)?
                .checked_add(u16::try_from(digit).ok()?)?;
        }
        Some(unit)
    };
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next()? {
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'u' => {
                let first = hex(&mut rest)?;
                let mut units = vec![first];
                if (0xd800..0xdc00).contains(&first) {
                    if rest.next()? != '\\' || rest.next()? != 'u' {
                        return None;
                    }
                    units.push(hex(&mut rest)?);
                }
                for c in char::decode_utf16(units) {
                    out.push(c.ok()?);
                }
            }
            c @ ('"' | '\\' | '/') => out.push(c),
            _ => return None,
        }
    }
    let mut exact = String::with_capacity(out.len());
    exact.push_str(&out);
    Some(Secret::from(exact))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::testing::any_parts;
    use crate::secret::ExposeSecret;
    use proptest::prelude::*;
    use serde_json::json;

    fn whole(password: &str) -> String {
        json!({"host": "db.example", "port": 14330, "database": "orders", "user": "sa", "password": password, "tls": "unverified"}).to_string()
    }

    proptest! {
        #[test]
        fn a_password_is_read_as_json_means_it(password: String, ascii: bool) {
            prop_assume!(!password.is_empty() && !password.contains('\0') && password.encode_utf16().count() <= 128);
            let mut text = whole(&password);
            if ascii {
                // Every character as an escape, pairs of surrogates too.
                let escaped: String = password.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
                let literal = format!("\"password\":{}", json!(password));
                text = text.replace(&literal, &format!("\"password\":\"{escaped}\""));
            }
            let parts = Parts::from_json(&text).unwrap();
            prop_assert_eq!(parts.password.expose_secret(), password);
        }

        #[test]
        fn nothing_repeats_the_password(parts in any_parts(), at in 0_usize..200, junk in "[{}\",:a0]{0,3}") {
            let mut text = whole(&format!("Zq7{}", parts.user));
            let mut at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, &junk);
            if let Err(e) = Parts::from_json(&text) {
                prop_assert!(!format!("{e:?}").contains("Zq7"), "{e:?}");
            }
        }
    }

    #[test]
    fn what_is_no_parts_is_refused_without_its_values() {
        for (text, why) in [
            ("", "not JSON"),
            ("[]", "wrong type"),
            (r#"{"host":"a"}"#, "missing field"),
            (
                r#"{"host":"a","user":"sa","password":"p","tls":"unverified","Zq7":1}"#,
                "unknown field",
            ),
            (
                r#"{"host":"a","user":"sa","password":"p","tls":"Zq7"}"#,
                "`tls` is not",
            ),
            (
                r#"{"host":"a","port":"Zq7","user":"sa","password":"p","tls":"verified"}"#,
                "wrong type",
            ),
            (
                r#"{"host":"a","port":65536,"user":"sa","password":"p","tls":"verified"}"#,
                "wrong type",
            ),
            (
                r#"{"host":"a","user":"sa","password":17,"tls":"verified"}"#,
                "`password` is no text",
            ),
            (
                r#"{"host":"a","user":"sa","password":"\ud800","tls":"verified"}"#,
                "`password` is no text",
            ),
            (
                r#"{"host":"a","user":"sa","password":"\ud800\u0041","tls":"verified"}"#,
                "`password` is no text",
            ),
            (
                r#"{"host":"a","user":"sa","password":"p","tls":"pinned"}"#,
                "names no file",
            ),
            (
                r#"{"host":"a","user":"sa","password":"p","tls":"unverified","ca":"x"}"#,
                "`ca` goes with",
            ),
            (
                r#"{"host":"a","user":"sa","password":"p","tls":"verified","certificate":"x"}"#,
                "`certificate` goes with",
            ),
        ] {
            let e = Parts::from_json(text).unwrap_err();
            assert!(e.causes().iter().any(|c| c.contains(why)), "{text}: {e:?}");
            assert!(
                !format!("{e:?}").contains("Zq7"),
                "a mistyped value may be the password: {e:?}"
            );
        }
        assert!(
            Parts::from_json(&" ".repeat(LONGEST_INPUT + 1)).is_err(),
            "input has a bound"
        );
    }

    #[test]
    fn everything_is_read() {
        let parts = Parts::from_json(
            r#"{"host":"::1","user":"u","password":"p","tls":"verified","ca":"ca.pem","app":"a","options":{"B":true,"C":5,"D":"x"}}"#,
        )
        .unwrap();
        assert_eq!(
            (parts.host.as_str(), parts.port, parts.database),
            ("::1", 1433, None)
        );
        assert_eq!(
            parts.tls,
            Tls::Verified {
                ca_file: Some("ca.pem".into())
            }
        );
        let options = [
            ("B".to_owned(), Setting::Flag(true)),
            ("C".to_owned(), Setting::Number(5)),
            ("D".to_owned(), Setting::Text("x".into())),
        ];
        assert_eq!(parts.options, options);
    }
}
