//! The engine's settings on a host: what Berth needs is added, what is there stays.
//!
//! Sources: `daemon.json` and its keys for Windows in docker/cli's `docs/reference/dockerd.md`; where `hosts` is also
//! on the service's command line dockerd does not start.

use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// How long in seconds the engine may take to stop its containers when Windows shuts down:
/// its own 15 are too few for SQL Server.
const SHUTDOWN: u64 = 120;

/// The port of the engine's own listener, on its machine's loopback alone.
pub const LISTENER: u16 = 2376;

/// The settings that say where an engine listens and whom it lets in.
const LISTENS: [&str; 6] = [
    "hosts",
    "tls",
    "tlsverify",
    "tlscacert",
    "tlscert",
    "tlskey",
];

/// What of the settings makes the engine listen for who has a certificate, its own being in `folder`.
fn listener(folder: &str) -> [(&'static str, Value); 5] {
    let file = |name: &str| json!(format!(r"{folder}\{name}"));
    [
        // Without the pipe nobody on the machine itself would reach it any more.
        (
            "hosts",
            json!(["npipe://", format!("tcp://127.0.0.1:{LISTENER}")]),
        ),
        ("tlsverify", json!(true)),
        ("tlscacert", file("ca.pem")),
        ("tlscert", file("cert.pem")),
        ("tlskey", file("key.pem")),
    ]
}

/// Whose word it is where the engine listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listens {
    /// Nobody's: as dockerd does by itself.
    Unsaid,
    /// Berth's.
    Ours,
    /// The user's, which stays.
    Theirs,
}

/// Whose word it is in these settings; `folder` is where Berth keeps an engine's certificates.
#[must_use]
pub(super) fn listens(text: Option<&str>, folder: &str) -> Listens {
    let Ok(settings) = read(text) else {
        return Listens::Theirs;
    };
    let ours = listener(folder);
    if LISTENS.iter().all(|key| !settings.contains_key(*key)) {
        Listens::Unsaid
    } else if LISTENS.iter().all(|key| {
        settings.get(*key) == ours.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }) {
        Listens::Ours
    } else {
        Listens::Theirs
    }
}

fn read(text: Option<&str>) -> Result<Map<String, Value>> {
    let given = text.unwrap_or_default().trim_start_matches('\u{feff}');
    if given.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(given).map_err(|e| {
        Error::failed(r"The engine's settings on the host cannot be read")
            .because(format!(r"`C:\ProgramData\docker\config\daemon.json`: {e}"))
            .hint("Mend or remove that file; the engine cannot read it either")
    })
}

fn write(settings: Map<String, Value>) -> Result<String> {
    serde_json::to_string_pretty(&Value::Object(settings))
        .map(|text| text + "\n")
        .map_err(|e| {
            Error::failed("The engine's settings cannot be written").because(e.to_string())
        })
}

/// What `daemon.json` should be; `None` where it is that already.
///
/// A key that is there keeps its value, whatever it is: it is the user's. `certificates` is the folder of those that
/// the engine is to listen with, where it is to.
///
/// # Errors
/// The text is not a JSON object: nobody but its author knows what was meant.
pub fn merged(
    text: Option<&str>,
    client: bool,
    certificates: Option<&str>,
) -> Result<Option<String>> {
    let mut settings = read(text)?;
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
    if let Some(folder) = certificates
        && listens(text, folder) == Listens::Unsaid
    {
        settings.extend(listener(folder).map(|(key, value)| (key.to_owned(), value)));
    }
    if settings.len() == before && text.is_some() {
        return Ok(None);
    }
    write(settings).map(Some)
}

/// The settings without Berth's listener, whatever else was changed in them since; `None` where it is not in them.
///
/// # Errors
/// As [`merged`].
pub(super) fn without_listener(text: Option<&str>, folder: &str) -> Result<Option<String>> {
    if listens(text, folder) != Listens::Ours {
        return Ok(None);
    }
    let mut settings = read(text)?;
    for (key, _) in listener(folder) {
        settings.remove(key);
    }
    write(settings).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_there_stays() {
        let text = r#"{"data-root":"D:\\docker","hosts":["npipe://"],"shutdown-timeout":15}"#;
        assert_eq!(
            merged(Some(text), false, None),
            Ok(None),
            "a user's own value is theirs"
        );
        let new = merged(Some(r#"{"data-root":"D:\\docker"}"#), true, None)
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
            assert!(merged(Some(bad), false, None).is_err(), "`{bad}`");
        }
        assert!(merged(Some("  "), false, None).unwrap().is_some());
    }

    const FOLDER: &str = r"C:\ProgramData\Berth\tls";

    #[test]
    fn who_said_themselves_where_the_engine_listens_is_not_overruled() {
        for theirs in [
            r#"{"hosts":["npipe://"]}"#,
            r#"{"hosts":["tcp://0.0.0.0:2376"],"tlsverify":true,"tlscacert":"D:\\ca.pem"}"#,
            r#"{"tlsverify":false}"#,
        ] {
            let new = merged(Some(theirs), false, Some(FOLDER)).unwrap().unwrap();
            let new: Value = serde_json::from_str(&new).unwrap();
            let mut want: Value = serde_json::from_str(theirs).unwrap();
            want["shutdown-timeout"] = json!(120);
            assert_eq!(new, want, "their own listener stays as it is");
            assert_eq!(listens(Some(theirs), FOLDER), Listens::Theirs);
            assert_eq!(without_listener(Some(theirs), FOLDER), Ok(None));
        }
    }

    #[test]
    fn our_listener_is_on_loopback_and_asks_for_a_certificate() {
        let new = merged(None, false, Some(FOLDER)).unwrap().unwrap();
        let new: Value = serde_json::from_str(&new).unwrap();
        assert_eq!(new["hosts"], json!(["npipe://", "tcp://127.0.0.1:2376"]));
        assert_eq!(new["tlsverify"], true);
        assert_eq!(new["tlskey"], r"C:\ProgramData\Berth\tls\key.pem");
    }

    proptest! {
        #[test]
        fn no_key_is_lost_and_twice_is_once(keys in proptest::collection::btree_map("[a-z-]{1,12}", 0_i64..9, 0..6), client: bool, listen: bool) {
            let text = serde_json::to_string(&keys).unwrap();
            let folder = listen.then_some(FOLDER);
            let once = merged(Some(&text), client, folder).unwrap().unwrap_or(text);
            let read: Map<String, Value> = serde_json::from_str(&once).unwrap();
            for (key, value) in &keys {
                prop_assert_eq!(read.get(key), Some(&json!(value)));
            }
            prop_assert_eq!(merged(Some(&once), client, folder).unwrap(), None);
            // What somebody adds afterwards stays when the listener goes.
            let mut more = read;
            more.insert("ZZ".into(), json!(1));
            let more = serde_json::to_string(&more).unwrap();
            if let Some(gone) = without_listener(Some(&more), FOLDER).unwrap() {
                let gone: Map<String, Value> = serde_json::from_str(&gone).unwrap();
                prop_assert!(listen && gone.contains_key("ZZ") && !gone.contains_key("hosts"));
                prop_assert!(keys.keys().all(|key| gone.contains_key(key)));
            } else {
                prop_assert!(!listen || listens(Some(&once), FOLDER) == Listens::Theirs);
            }
        }
    }
}
