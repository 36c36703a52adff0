//! A line of a `.env` file for `godotenv`. After its `parser.go`: a quoted value ends at a quote that
//! no backslash precedes, and then **all** quotes at its ends are taken off, so that neither a
//! backslash nor a quote can stand last between `"`; `\$` is a dollar.

use super::{Carrier, Naming, PERCENT, encode, quotes, refuse};
use crate::Result;
use crate::connection::Text;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct DotenvGo;

impl Carrier for DotenvGo {
    fn id(&self) -> &'static str {
        "dotenv-go"
    }

    fn name(&self) -> &'static str {
        ".env for godotenv"
    }

    fn about(&self) -> &'static str {
        "A line of a `.env` file that Go's `github.com/joho/godotenv` reads"
    }

    fn limits(&self) -> &'static [&'static str] {
        &["Some values that end with `\\`, or with `\"` while they hold a `'`"]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let whole = text.reveal();
        let value = whole.expose_secret();
        let name = name.unwrap_or_default();
        if !value.ends_with(['\\', '"']) {
            return Ok(quotes::assign(text, name, "\"", |piece| {
                encode::escaped_lines(piece, "\\\"$`")
            }));
        }
        // As it is: without quotes of its own kind, and the file's carriage returns before line feeds are dropped.
        if !value.ends_with('\\') && !value.contains(['\'', '\r']) {
            return Ok(quotes::assign(text, name, "'", encode::raw));
        }
        if bare(value) {
            return Ok(text.carried((&format!("{name}="), ""), |piece| {
                encode::escaped(piece, "$")
            }));
        }
        Err(refuse(
            self,
            "this value",
            "it ends with a quote or a backslash, which godotenv takes off or takes for an escape",
            PERCENT,
        ))
    }
}

/// Whether a value without quotes comes through: one line, no blanks at its ends, no comment.
fn bare(value: &str) -> bool {
    // `isSpace` of its parser.
    let blank = |c: char| {
        matches!(
            c,
            '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}'
        )
    };
    !value.starts_with(['\'', '"'])
        && !value.starts_with(blank)
        && !value.ends_with(blank)
        && !value.contains(['\n', '\r'])
        && !value.match_indices('#').any(|(at, _)| {
            at == 0
                || value
                    .get(..at)
                    .is_some_and(|before| before.ends_with(blank))
        })
}
