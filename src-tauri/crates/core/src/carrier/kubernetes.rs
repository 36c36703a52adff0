//! A Kubernetes Secret. `stringData` takes text as it is, so that people can read what they apply.

use super::{Carrier, Naming, encode, yaml};
use crate::Result;
use crate::connection::Text;

/// See the module.
pub(super) struct Kubernetes;

impl Carrier for Kubernetes {
    fn id(&self) -> &'static str {
        "kubernetes"
    }

    fn name(&self) -> &'static str {
        "Kubernetes Secret"
    }

    fn about(&self) -> &'static str {
        "The manifest of a Secret called `mssql` with one key, for `kubectl apply -f -`"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "A cluster does not reach a port on this machine's 127.0.0.1: the string is for tools on this machine, or as a pattern",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let open = format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: mssql\ntype: Opaque\nstringData:\n  {}",
            yaml::open(name)
        );
        Ok(text.carried((&open, "\""), |piece| encode::quoted(piece, "")))
    }
}
