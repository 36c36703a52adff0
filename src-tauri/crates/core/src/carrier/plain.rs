//! Nothing around it: what a client's own field or prompt takes.

use super::{Carrier, Naming};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct Plain;

impl Carrier for Plain {
    fn id(&self) -> &'static str {
        "plain"
    }

    fn name(&self) -> &'static str {
        "Plain"
    }

    fn about(&self) -> &'static str {
        "The string itself, for a field of a program or a file that holds nothing else"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[]
    }

    fn naming(&self) -> Naming {
        Naming::Never
    }

    fn put(&self, text: &Text, _: Option<&str>) -> Result<Text> {
        Ok(text.clone())
    }
}
