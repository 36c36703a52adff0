//! An attribute's value or an element's content of XML 1.0, such as `web.config` and `app.config`:
//! markup as entities, blanks that an attribute would normalise as references.

use super::{Carrier, Naming, encode, refuse};
use crate::Result;
use crate::connection::Text;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Xml;

impl Carrier for Xml {
    fn id(&self) -> &'static str {
        "xml"
    }

    fn name(&self) -> &'static str {
        "XML"
    }

    fn about(&self) -> &'static str {
        "An attribute's value of XML; with `--variable NAME`, `<add name=… connectionString=… />` for `web.config`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "Control characters other than line breaks and tabs, and U+FFFE and U+FFFF: XML 1.0 has no way to write them",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Key { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let whole = text.reveal();
        if !whole.expose_secret().chars().all(is_char) {
            return Err(refuse(
                self,
                "this value",
                "it holds a control character or U+FFFE or U+FFFF, and XML 1.0 has no way to write one",
                "Take the carrier `json`",
            ));
        }
        let around = name.map(|name| format!("<add name=\"{name}\" connectionString=\""));
        let around = match &around {
            Some(open) => (open.as_str(), "\" />"),
            None => ("", ""),
        };
        Ok(text.carried(around, |piece| {
            encode::each(piece, 6, |c, out| match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&apos;"),
                '\n' => out.push_str("&#10;"),
                '\r' => out.push_str("&#13;"),
                '\t' => out.push_str("&#9;"),
                c => out.push(c),
            })
        }))
    }
}

/// `Char` of XML 1.0, 2.2.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}
