//! A JSON string (RFC 8259), which JavaScript and YAML read alike.

use super::{Carrier, Naming, encode};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct Json;

impl Carrier for Json {
    fn id(&self) -> &'static str {
        "json"
    }

    fn name(&self) -> &'static str {
        "JSON"
    }

    fn about(&self) -> &'static str {
        "One JSON string; with `--variable NAME`, an object with this one member"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[]
    }

    fn naming(&self) -> Naming {
        Naming::Key { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let quoted = |piece: &str| encode::quoted(piece, "");
        Ok(match name {
            Some(name) => text.carried((&format!("{{\"{name}\": \""), "\"}"), quoted),
            None => text.carried(("\"", "\""), quoted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(value in value()) {
            round_trip(&Json, &value, None, true, |t| serde_json::from_str(t).ok())?;
            round_trip(&Json, &value, Some("a.b"), true, |t| {
                Some(serde_json::from_str::<serde_json::Value>(t).ok()?["a.b"].as_str()?.to_owned())
            })?;
        }
    }
}
