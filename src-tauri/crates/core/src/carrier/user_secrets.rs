//! The input of `dotnet user-secrets set`, which reads a JSON object from its standard input: the value never is an
//! argument, which every process of the machine could read.

use super::{Carrier, Naming, encode};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct UserSecrets;

impl Carrier for UserSecrets {
    fn id(&self) -> &'static str {
        "user-secrets"
    }

    fn name(&self) -> &'static str {
        "dotnet user-secrets"
    }

    fn about(&self) -> &'static str {
        "A JSON object to be piped to `dotnet user-secrets set`, never an argument of it"
    }

    fn limits(&self) -> &'static [&'static str] {
        &["dotnet keeps user secrets as readable text in the user's folder"]
    }

    fn naming(&self) -> Naming {
        Naming::Key { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        // `__` is how an environment variable writes the `:` of a configuration key.
        let key = name.unwrap_or_default().replace("__", ":");
        Ok(text.carried((&format!("{{\"{key}\": \""), "\"}"), |piece| {
            encode::quoted(piece, "")
        }))
    }
}
