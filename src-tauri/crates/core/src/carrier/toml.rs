//! A basic string of TOML 1.0: `"…"` with JSON's escapes.

use super::{Carrier, Naming, encode};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct Toml;

impl Carrier for Toml {
    fn id(&self) -> &'static str {
        "toml"
    }

    fn name(&self) -> &'static str {
        "TOML"
    }

    fn about(&self) -> &'static str {
        "One basic string of TOML; with `--variable NAME`, `NAME = …`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[]
    }

    fn naming(&self) -> Naming {
        Naming::Key { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let bare = |name: &str| {
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        };
        let open = match name {
            None => "\"".to_owned(),
            Some(name) if bare(name) => format!("{name} = \""),
            Some(name) => format!("\"{name}\" = \""),
        };
        Ok(text.carried((&open, "\""), |piece| encode::quoted(piece, "")))
    }
}
