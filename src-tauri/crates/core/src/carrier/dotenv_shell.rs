//! A line that a POSIX shell sources: direnv's `.envrc`, `. ./.env`, with or without `set -a`.

use super::{Carrier, Naming};
use crate::Result;
use crate::connection::{Text, quote};

/// See the module.
pub(super) struct DotenvShell;

impl Carrier for DotenvShell {
    fn id(&self) -> &'static str {
        "dotenv-shell"
    }

    fn name(&self) -> &'static str {
        ".env sourced by a shell"
    }

    fn about(&self) -> &'static str {
        "A line of a file that bash or zsh sources: direnv's `.envrc`, `. ./.env`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &["Other readers of `.env` files do not take the shell's way to write a `'`"]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let open = format!("export {}='", name.unwrap_or_default());
        Ok(text.carried((&open, "'"), quote::shell_inner))
    }
}
