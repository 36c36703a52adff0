//! A word of fish: `'…'`, in which only `\\` and `\'` are escapes (fish's manual, "Quotes").

use super::{Carrier, Naming, encode};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct Fish;

impl Carrier for Fish {
    fn id(&self) -> &'static str {
        "fish"
    }

    fn name(&self) -> &'static str {
        "fish"
    }

    fn about(&self) -> &'static str {
        "One quoted word of fish; with `--variable NAME`, `set -gx NAME …`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let open = name.map_or_else(|| "'".to_owned(), |name| format!("set -gx {name} '"));
        Ok(text.carried((&open, "'"), |piece| encode::escaped(piece, "\\'")))
    }
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
            match c {
                '\'' => return None,
                '\\' => match rest.next()? {
                    c @ ('\\' | '\'') => out.push(c),
                    c => out.extend(['\\', c]),
                },
                c => out.push(c),
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(value in value()) {
            round_trip(&Fish, &value, None, true, read)?;
        }
    }
}
