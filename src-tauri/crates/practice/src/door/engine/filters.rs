//! The `filters` of listings and events: `{"label":["a=b"]}`, or the older `{"label":{"a=b":true}}`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::query::Query;
use crate::machine::refusal::{Answer, Refusal};

/// What is asked for: every name must match, by any of its values (labels: by all).
#[derive(Debug, Default)]
pub(super) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads them and refuses names that are not in `known`, as moby does.
    pub(super) fn parse(query: &Query, known: &[&str]) -> Answer<Self> {
        let Some(text) = query.get("filters").filter(|t| !t.is_empty()) else {
            return Ok(Self::default());
        };
        let all: BTreeMap<String, Value> = serde_json::from_str(text)
            .map_err(|e| Refusal::invalid(format!("invalid filters: {e}")))?;
        let mut filters = BTreeMap::new();
        for (name, value) in all {
            if !known.contains(&name.as_str()) {
                return Err(Refusal::invalid(format!("Invalid filter '{name}'")));
            }
            let values = match value {
                Value::Array(list) => list
                    .iter()
                    .filter_map(|v| v.as_str().map(str::to_owned))
                    .collect(),
                Value::Object(map) => map
                    .into_iter()
                    .filter(|(_, v)| *v == Value::Bool(true))
                    .map(|(k, _)| k)
                    .collect(),
                _ => return Err(Refusal::invalid(format!("invalid filters: {name}"))),
            };
            filters.insert(name, values);
        }
        Ok(Self(filters))
    }

    /// Whether `test` holds for any value of `name`, or `name` is not asked for.
    pub(super) fn any(&self, name: &str, test: impl Fn(&str) -> bool) -> bool {
        match self.0.get(name) {
            Some(values) if !values.is_empty() => values.iter().any(|v| test(v)),
            _ => true,
        }
    }

    /// Whether a filter is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|values| !values.is_empty())
    }

    /// Whether all asked labels are there, as `name` or `name=value`.
    pub(super) fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.get("label").is_none_or(|asked| {
            asked.iter().all(|label| match label.split_once('=') {
                Some((name, value)) => labels.get(name).is_some_and(|v| v == value),
                None => labels.contains_key(label),
            })
        })
    }
}
