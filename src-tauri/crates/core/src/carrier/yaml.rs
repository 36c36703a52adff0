//! A double-quoted scalar of YAML 1.1 and 1.2 that JSON reads too: on one line, nothing printable
//! escaped, and what YAML does not call printable written as `\uXXXX`.

use super::{Carrier, Naming, encode};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct Yaml;

impl Carrier for Yaml {
    fn id(&self) -> &'static str {
        "yaml"
    }

    fn name(&self) -> &'static str {
        "YAML"
    }

    fn about(&self) -> &'static str {
        "One quoted scalar of YAML; with `--variable NAME`, `NAME: …`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "Files that something else expands first: take `compose-yaml` for Docker Compose, `rails-yaml` for Rails",
            "Where Jinja or a workflow expands it, a `{{` means something",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Key { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        Ok(text.carried((&open(name), "\""), |piece| encode::quoted(piece, "")))
    }
}

/// What stands before the inside of a scalar.
pub(super) fn open(name: Option<&str>) -> String {
    // A key such as `no` or `1:2` is something else to YAML 1.1, so one that is not plainly a word is quoted.
    let plain =
        |name: &str| name.len() > 5 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match name {
        None => "\"".to_owned(),
        Some(name) if plain(name) => format!("{name}: \""),
        Some(name) => format!("\"{name}\": \""),
    }
}
