//! A literal of PowerShell: `'…'` with the quote doubled. The typographic quotes U+2018 to U+201B
//! open and close literals too, so they are doubled as well (PowerShell's `CharTraits.cs`, `IsSingleQuote`).

use super::{Carrier, Naming, encode};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct PowerShell;

impl Carrier for PowerShell {
    fn id(&self) -> &'static str {
        "powershell"
    }

    fn name(&self) -> &'static str {
        "PowerShell"
    }

    fn about(&self) -> &'static str {
        "One literal of PowerShell; with `--variable NAME`, `$env:NAME = …`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "Windows PowerShell 5.1 reads a script file without a byte order mark in the system's own code page",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let open = name.map_or_else(|| "'".to_owned(), |name| format!("$env:{name} = '"));
        Ok(text.carried((&open, "'"), |piece| {
            encode::each(piece, 2, |c, out| {
                if is_quote(c) {
                    out.push(c);
                }
                out.push(c);
            })
        }))
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}'..='\u{201b}')
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<String> {
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut out = String::new();
        let mut rest = inner.chars();
        while let Some(c) = rest.next() {
            if is_quote(c) && !is_quote(rest.next()?) {
                return None;
            }
            out.push(c);
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(value in value()) {
            round_trip(&PowerShell, &value, None, true, read)?;
        }
    }
}
