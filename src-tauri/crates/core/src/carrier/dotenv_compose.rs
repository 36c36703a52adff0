//! A line of the `.env` file or an `env_file` of Docker Compose v2. After compose-go's `dotenv`:
//! between `"` the escapes are Go's and `\$`; between `'` only `\'`, and nothing is expanded.

use super::{Carrier, Naming, encode, quotes};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct DotenvCompose;

impl Carrier for DotenvCompose {
    fn id(&self) -> &'static str {
        "dotenv-compose"
    }

    fn name(&self) -> &'static str {
        ".env for Docker Compose"
    }

    fn about(&self) -> &'static str {
        "A line of the `.env` file or an `env_file` of Docker Compose v2"
    }

    fn limits(&self) -> &'static [&'static str] {
        &["`docker run --env-file` reads no quotes: take `docker-env-file` there"]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        Ok(quotes::assign(
            text,
            name.unwrap_or_default(),
            "\"",
            |piece| encode::escaped_lines(piece, "\\\"$"),
        ))
    }
}
