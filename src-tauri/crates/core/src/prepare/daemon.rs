//! The engine's settings on a host: what Berth needs is added, what is there stays.

use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// How long in seconds the engine may take to stop its containers when Windows shuts down:
/// its own 15 are too few for SQL Server.
const SHUTDOWN: u64 = 120;

/// What `daemon.json` should be; `None` where it is that already.
///
/// A key that is there keeps its value, whatever it is: it is the user's.
///
/// # Errors
/// The text is not a JSON object: nobody but its author knows what was meant.
pub fn merged(text: Option<&str>, client: bool) -> Result<Option<String>> {
    let given = text.unwrap_or_default().trim_start_matches('\u{feff}');
    let mut settings: Map<String, Value> = if given.trim().is_empty() {
        Map::new()
    } else {
        serde_json::from_str(given).map_err(|e| {
            Error::failed(r"The engine's settings on the host cannot be read")
                .because(format!(r"`C:\ProgramData\docker\config\daemon.json`: {e}"))
                .hint("Mend or remove that file; the engine cannot read it either")
        })?
    };
    let before = settings.len();
    settings
        .entry("shutdown-timeout")
        .or_insert_with(|| json!(SHUTDOWN));
    if client {
        // Windows 10 and 11 isolate by Hyper-V unless told otherwise, where SQL Server cannot use a mount.
        settings
            .entry("exec-opts")
            .or_insert_with(|| json!(["isolation=process"]));
    }
    if settings.len() == before && text.is_some() {
        return Ok(None);
    }
    serde_json::to_string_pretty(&Value::Object(settings))
        .map(|text| Some(text + "\n"))
        .map_err(|e| {
            Error::failed("The engine's settings cannot be written").because(e.to_string())
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_there_stays() {
        let text = r#"{"data-root":"D:\\docker","hosts":["npipe://"],"shutdown-timeout":15}"#;
        assert_eq!(
            merged(Some(text), false),
            Ok(None),
            "a user's own value is theirs"
        );
        let new = merged(Some(r#"{"data-root":"D:\\docker"}"#), true)
            .unwrap()
            .unwrap();
        let new: Value = serde_json::from_str(&new).unwrap();
        assert_eq!(
            new,
            json!({"data-root": "D:\\docker", "shutdown-timeout": 120, "exec-opts": ["isolation=process"]})
        );
    }

    #[test]
    fn an_unreadable_file_is_never_written_over() {
        for bad in ["{", "[]", "null", "{\"a\":1,}"] {
            assert!(merged(Some(bad), false).is_err(), "`{bad}`");
        }
        assert!(merged(Some("  "), false).unwrap().is_some());
    }

    proptest! {
        #[test]
        fn no_key_is_lost_and_twice_is_once(keys in proptest::collection::btree_map("[a-z-]{1,12}", 0_i64..9, 0..6), client: bool) {
            let text = serde_json::to_string(&keys).unwrap();
            let once = merged(Some(&text), client).unwrap().unwrap_or(text);
            let read: Map<String, Value> = serde_json::from_str(&once).unwrap();
            for (key, value) in &keys {
                prop_assert_eq!(read.get(key), Some(&json!(value)));
            }
            prop_assert_eq!(merged(Some(&once), client).unwrap(), None);
        }
    }
}
