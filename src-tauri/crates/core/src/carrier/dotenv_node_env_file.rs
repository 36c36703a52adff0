//! A line of a `.env` file for `node --env-file` (20.6 and later). After Node's `src/node_dotenv.cc`:
//! `'`, `"` and `` ` `` run to the next of their kind, without any escape; `\n` is a line break
//! between `"`; every carriage return of the file is dropped.

use super::{Carrier, Naming, PERCENT, encode, quotes, refuse};
use crate::Result;
use crate::connection::Text;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct DotenvNodeEnvFile;

impl Carrier for DotenvNodeEnvFile {
    fn id(&self) -> &'static str {
        "dotenv-node-env-file"
    }

    fn name(&self) -> &'static str {
        ".env for node --env-file"
    }

    fn about(&self) -> &'static str {
        "A line of a `.env` file that `node --env-file` reads"
    }

    fn limits(&self) -> &'static [&'static str] {
        &["A value with all three kinds of quotes, or with a carriage return"]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let whole = text.reveal();
        let value = whole.expose_secret();
        let quote = ["'", "`", "\""]
            .into_iter()
            .find(|quote| !value.contains(quote) && (*quote != "\"" || !value.contains("\\n")));
        match quote {
            Some(quote) if !value.contains('\r') => Ok(quotes::assign(
                text,
                name.unwrap_or_default(),
                quote,
                encode::raw,
            )),
            _ => Err(refuse(
                self,
                "this value",
                "it holds every kind of quotes or a carriage return, and Node has no escape for either",
                PERCENT,
            )),
        }
    }
}
