//! A line of `docker run --env-file`: what follows the first `=` is the value, to the line's end,
//! without quotes or escapes (docker/cli, `opts/file.go`: lines by Go's `bufio.ScanLines`, which drops one
//! carriage return at the end).

use super::{Carrier, Naming, PERCENT, encode, refuse};
use crate::Result;
use crate::connection::Text;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct DockerEnvFile;

impl Carrier for DockerEnvFile {
    fn id(&self) -> &'static str {
        "docker-env-file"
    }

    fn name(&self) -> &'static str {
        "docker run --env-file"
    }

    fn about(&self) -> &'static str {
        "A line of the file that `docker run --env-file` and `podman run --env-file` read"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "A line break in the value",
            "`docker inspect` shows a container's environment to everyone who may ask the engine",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let whole = text.reveal();
        if whole.expose_secret().contains(['\n', '\r']) {
            return Err(refuse(
                self,
                "a line break",
                "docker reads the file line by line, without any escape",
                PERCENT,
            ));
        }
        Ok(text.carried((&format!("{}=", name.unwrap_or_default()), ""), encode::raw))
    }
}
