//! A value in a Docker Compose file: YAML, in which Compose then expands `$`; `$$` is a dollar.

use super::{Carrier, Naming, encode, yaml};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct ComposeYaml;

impl Carrier for ComposeYaml {
    fn id(&self) -> &'static str {
        "compose-yaml"
    }

    fn name(&self) -> &'static str {
        "Docker Compose file"
    }

    fn about(&self) -> &'static str {
        "One quoted scalar for `environment:` of a Docker Compose file; with `--variable NAME`, `NAME: …`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "A Compose file is often committed: a `.env` file beside it (`dotenv-compose`) is the better place for a secret",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Key { always: false }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        Ok(text.carried((&yaml::open(name), "\""), |piece| {
            encode::each(piece, 6, |c, out| {
                if c == '$' {
                    out.push('$');
                }
                encode::write_quoted(c, "", out);
            })
        }))
    }
}
