//! A line of a `.env` file for `dotenv-expand`, which Next.js, Vite and others use: read by
//! `dotenv`, then every `$NAME` and `${…}` of it is expanded, between single quotes too. A `\$` is
//! no expansion and becomes `$` at the end.

use secrecy::zeroize::Zeroizing;

use super::{Carrier, Naming, PERCENT, encode, quotes, refuse};
use crate::Result;
use crate::connection::Text;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct DotenvExpand;

impl Carrier for DotenvExpand {
    fn id(&self) -> &'static str {
        "dotenv-expand"
    }

    fn name(&self) -> &'static str {
        ".env for dotenv-expand"
    }

    fn about(&self) -> &'static str {
        "A line of a `.env` file that `dotenv-expand` reads, as Next.js does"
    }

    fn limits(&self) -> &'static [&'static str] {
        &["Some values that hold all three kinds of quotes, and a `#` or a line break beside them"]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let dollars = |piece: &str| encode::escaped(piece, "$");
        let whole = text.reveal();
        let Some((quote, lines)) = quotes::node(&dollars(whole.expose_secret())) else {
            return Err(refuse(
                self,
                "this value",
                "it holds every kind of quotes beside a `#`, a line break or a last `\\`, and dotenv has no escape for a quote",
                PERCENT,
            ));
        };
        let lines = quotes::node_encoder(lines);
        let encode = |piece: &str| -> Zeroizing<String> { lines(&dollars(piece)) };
        Ok(quotes::assign(
            text,
            name.unwrap_or_default(),
            quote,
            encode,
        ))
    }
}
