//! A line of a Windows batch file: `set NAME=…`. Every character that `cmd` acts on gets a caret,
//! quotes too, so that no quote opens anything; `%` is doubled, as a batch file wants it (`cmd /?`,
//! `set /?`; the phases of the command line are Microsoft's documentation of `cmd`).

use super::{Carrier, Naming, encode, refuse};
use crate::Result;
use crate::connection::Text;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct Cmd;

/// `cmd` cuts what is longer.
const LONGEST_LINE: usize = 8191;

impl Carrier for Cmd {
    fn id(&self) -> &'static str {
        "cmd"
    }

    fn name(&self) -> &'static str {
        "cmd (batch file)"
    }

    fn about(&self) -> &'static str {
        "`set NAME=…` for a batch file of Windows' `cmd`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "Line breaks and other control characters; a line of more than 8191 characters",
            "Typed at a prompt, a `%` stays doubled: only a batch file reads `%%` as one",
            "Under `setlocal EnableDelayedExpansion` a `!` is lost",
            "Characters outside ASCII need `chcp 65001` above the line",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let whole = text.reveal();
        let value = whole.expose_secret();
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(refuse(
                self,
                "a line break or another control character",
                "a batch file is read line by line, and has no way to write one",
                "Take the carrier `powershell`",
            ));
        }
        let line = text.carried(
            (&format!("set {}=", name.unwrap_or_default()), ""),
            |piece| {
                encode::each(piece, 2, |c, out| {
                    if matches!(c, '"' | '^' | '&' | '|' | '<' | '>' | '(' | ')') {
                        out.push('^');
                    }
                    if c == '%' {
                        out.push('%');
                    }
                    out.push(c);
                })
            },
        );
        if line.reveal().expose_secret().encode_utf16().count() > LONGEST_LINE {
            return Err(refuse(
                self,
                "so long a text",
                "`cmd` reads 8191 characters of a line",
                "Take the carrier `powershell`",
            ));
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// Phase 1 takes `%%` as `%`, phase 2 takes the carets; an unescaped special character, or a quote, would act.
    fn read(text: &str) -> Option<String> {
        let line = text.strip_prefix("set NAME_OF_IT=")?;
        let mut first = String::new();
        let mut rest = line.chars();
        while let Some(c) = rest.next() {
            if c == '%' && rest.next()? != '%' {
                return None;
            }
            first.push(c);
        }
        let mut out = String::new();
        let mut rest = first.chars();
        while let Some(c) = rest.next() {
            match c {
                '^' => out.push(rest.next()?),
                '"' | '&' | '|' | '<' | '>' | '(' | ')' | '\n' | '\r' => return None,
                c => out.push(c),
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(value in value()) {
            let says = !value.chars().any(|c| c.is_control() && c != '\t');
            round_trip(&Cmd, &value, None, says, read)?;
        }
    }
}
