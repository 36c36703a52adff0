//! A value in a Rails YAML file, such as `config/database.yml`: ERB first, then YAML. With no `<` in it
//! ERB finds nothing.

use super::{Carrier, Naming, encode, yaml};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct RailsYaml;

impl Carrier for RailsYaml {
    fn id(&self) -> &'static str {
        "rails-yaml"
    }

    fn name(&self) -> &'static str {
        "Rails YAML"
    }

    fn about(&self) -> &'static str {
        "One quoted scalar for a YAML file of Rails, which is ERB first; with `--variable NAME`, `NAME: …`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[]
    }

    fn naming(&self) -> Naming {
        Naming::Key { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        Ok(text.carried((&yaml::open(name), "\""), |piece| {
            encode::quoted(piece, "<")
        }))
    }
}
