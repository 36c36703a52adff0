//! A line of a `.env` file for `python-dotenv` (1.x). After its `parser.py` and `variables.py`:
//! between `'` only `\\` and `\'` are escapes, between `"` also `\n` and `\r`; a `${NAME}` or
//! `${NAME:-x}` is expanded wherever it stands, and nothing escapes it.

use super::{Carrier, Naming, PERCENT, encode, quotes, refuse};
use crate::Result;
use crate::connection::Text;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct DotenvPython;

impl Carrier for DotenvPython {
    fn id(&self) -> &'static str {
        "dotenv-python"
    }

    fn name(&self) -> &'static str {
        ".env for python-dotenv"
    }

    fn about(&self) -> &'static str {
        "A line of a `.env` file that `python-dotenv` reads: Flask, Django with it, uvicorn, many more"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "A `${NAME}` or `${NAME:-x}` in the value: it is expanded even between single quotes",
            "Most values that end with `\\`: the quote after it is taken for an escaped one",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let whole = text.reveal();
        let value = whole.expose_secret();
        let name = name.unwrap_or_default();
        if expands(value) {
            return Err(refuse(
                self,
                "this value",
                "it holds a `${NAME}`, which python-dotenv expands even between single quotes",
                PERCENT,
            ));
        }
        if value.ends_with('\\') {
            // Its expression takes `\'` for an escaped quote whatever stands before the backslash,
            // and looks for a later quote in the file: only a bare value can end so.
            if bare(value) {
                return Ok(text.carried((&format!("{name}="), ""), encode::raw));
            }
            return Err(refuse(
                self,
                "this value",
                "it ends with a `\\`, and python-dotenv takes the quote after one for a part of the value as soon as another line of the file has a quote",
                PERCENT,
            ));
        }
        Ok(if value.contains('\r') {
            // The file is read with its line ends made one kind.
            quotes::assign(text, name, "\"", |piece| {
                encode::escaped_lines(piece, "\\\"")
            })
        } else {
            quotes::assign(text, name, "'", |piece| encode::escaped(piece, "\\'"))
        })
    }
}

/// Whether `\$\{[^\}:]*(?::-[^\}]*)?\}` is found in it.
fn expands(value: &str) -> bool {
    value.match_indices("${").any(|(at, _)| {
        let rest = value.get(at.saturating_add(2)..).unwrap_or_default();
        let Some(end) = rest.find('}') else {
            return false;
        };
        let inner = rest.get(..end).unwrap_or_default();
        match inner.find(':') {
            None => true,
            Some(colon) => inner
                .get(colon..)
                .is_some_and(|after| after.starts_with(":-")),
        }
    })
}

/// Whether a value without quotes comes through: no blanks at its ends, no comment in it, one line.
fn bare(value: &str) -> bool {
    let blank = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    !value.starts_with(['\'', '"'])
        && !value.starts_with(blank)
        && !value.ends_with(blank)
        && !value.contains(['\n', '\r'])
        && !value.match_indices('#').any(|(at, _)| {
            value
                .get(..at)
                .is_some_and(|before| before.ends_with(blank))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_its_expression_finds_is_expanded() {
        for yes in [
            "${A}", "x${}y", "${A:-b}", "${A:-}", "${${A}", "$${A}", "${a b}",
        ] {
            assert!(expands(yes), "{yes}");
        }
        for no in ["$A", "${A", "${A:b}", "${A:=b}", "$ {A}", "{A}", "${:"] {
            assert!(!expands(no), "{no}");
        }
    }
}
