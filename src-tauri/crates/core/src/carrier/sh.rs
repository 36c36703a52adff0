//! A word of a POSIX shell: `'…'`, with `'` as `'\''` (POSIX.1-2024, Shell 2.2.2). Between single
//! quotes nothing is expanded, in bash and zsh not even the history.

use super::{Carrier, Naming};
use crate::Result;
use crate::connection::{Text, quote};

/// See the module.
pub(super) struct Sh;

impl Carrier for Sh {
    fn id(&self) -> &'static str {
        "sh"
    }

    fn name(&self) -> &'static str {
        "sh, bash, zsh"
    }

    fn about(&self) -> &'static str {
        "One quoted word of a POSIX shell; with `--variable NAME`, `export NAME=…`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "Typed at a prompt, it may stay in the shell's history; `export NAME=\"$(berth connection …)\"` does not",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let open = name.map_or_else(|| "'".to_owned(), |name| format!("export {name}='"));
        Ok(text.carried((&open, "'"), quote::shell_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\'' => loop {
                    match rest.next()? {
                        '\'' => break,
                        c => out.push(c),
                    }
                },
                '\\' => out.push(rest.next()?),
                _ => return None,
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(value in value()) {
            round_trip(&Sh, &value, None, true, read)?;
            round_trip(&Sh, &value, Some("PW"), true, |t| read(t.strip_prefix("export PW=")?))?;
        }
    }
}
