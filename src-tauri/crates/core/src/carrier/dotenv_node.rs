//! A line of a `.env` file for the `dotenv` package of Node (16 to 18), alone.

use super::{Carrier, Naming, PERCENT, quotes, refuse};
use crate::Result;
use crate::connection::Text;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct DotenvNode;

impl Carrier for DotenvNode {
    fn id(&self) -> &'static str {
        "dotenv-node"
    }

    fn name(&self) -> &'static str {
        ".env for Node's dotenv"
    }

    fn about(&self) -> &'static str {
        "A line of a `.env` file that Node's `dotenv` reads, without `dotenv-expand`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "Some values that hold all three kinds of quotes, and a `#` or a line break beside them",
            "With `dotenv-expand` a `$` means something: take `dotenv-expand` there",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let whole = text.reveal();
        let Some((quote, lines)) = quotes::node(whole.expose_secret()) else {
            return Err(refuse(
                self,
                "this value",
                "it holds every kind of quotes beside a `#`, a line break or a last `\\`, and dotenv has no escape for a quote",
                PERCENT,
            ));
        };
        Ok(quotes::assign(
            text,
            name.unwrap_or_default(),
            quote,
            quotes::node_encoder(lines),
        ))
    }
}
