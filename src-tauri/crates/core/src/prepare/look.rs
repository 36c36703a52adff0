//! What `prepare.ps1` says of a machine when it looks at it.

use serde::Deserialize;
use serde_json::Value;

/// The whole look. What could not be read is `None`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the names are the script's own")]
pub struct Look {
    pub product: Option<String>,
    pub build: u32,
    pub ubr: u32,
    pub installation_type: Option<String>,
    pub arch: Option<String>,
    pub language_mode: Option<String>,
    pub admin: bool,
    pub user: Option<String>,
    /// When it started, RFC 3339: another one after a restart.
    pub boot: Option<String>,
    #[serde(rename = "ramMB")]
    pub ram_mb: u64,
    /// Free space on the system's drive.
    #[serde(rename = "freeMB")]
    pub free_mb: u64,
    pub fs: Option<String>,
    pub folder: Option<Owner>,
    pub sshd: Option<Service>,
    pub firewall: Option<Rule>,
    pub key: Key,
    /// The text of `sshd_config`.
    pub sshd_config: Option<String>,
    pub sector: Sector,
    /// The state of the Containers feature: `Enabled`, `Disabled`, `EnablePending`, …
    pub feature: Option<String>,
    /// Why Windows itself waits for a restart.
    pub pending: Vec<String>,
    pub engine: Engine,
    /// The certificates of the engine's own listener.
    pub tls: Certificates,
    /// The text of `daemon.json`.
    pub daemon: Option<String>,
    /// Whether that begins with a byte order mark, which dockerd does not read over.
    pub daemon_mark: bool,
    pub network: Network,
    /// The steps whose changes Berth wrote down.
    pub changes: Vec<String>,
    pub work: Option<Work>,
    /// The state of the scheduled task; `None` where there is none.
    pub task: Option<String>,
}

/// Who owns a folder, and who may do anything in it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Owner {
    /// As SDDL names it: `BA`, `SY`, or a SID.
    pub owner: String,
    /// Whether Administrators and SYSTEM alone have access.
    pub private: bool,
}

/// A Windows service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Service {
    pub status: String,
    pub start: String,
}

impl Service {
    /// Whether it runs now.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.status == "Running"
    }
}

/// The firewall's rule for SSH.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Rule {
    pub enabled: String,
    pub profile: String,
    pub group: String,
}

/// Our public key among those of the administrators.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Key {
    pub there: bool,
    pub private: bool,
    /// Whether the file begins with a byte order mark, which sshd does not read over.
    pub mark: bool,
}

/// The sectors of the system's drive.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Sector {
    /// The largest physical sector in bytes that Windows reports.
    pub largest: Option<u32>,
    /// Whether Windows was told to report smaller ones.
    pub forced: bool,
}

/// The container engine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Engine {
    pub service: Option<Service>,
    /// The service's command line.
    pub path: Option<String>,
    pub dockerd: Option<String>,
    /// What `dockerd --version` says.
    pub version: Option<String>,
    /// The engine's version where it answers.
    pub answers: Option<String>,
    /// Whether Berth put it there.
    pub ours: bool,
    /// The version that Berth put there whole.
    pub installed: Option<String>,
    /// Its latest errors in Windows' log, where it does not answer.
    pub said: Vec<String>,
}

/// The certificates that the engine's listener uses, as far as they are no secret.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Certificates {
    /// Where Berth keeps them, there or not.
    pub folder: String,
    /// The authority's certificate. It is written last: without it nothing counts.
    pub ca: Option<String>,
    /// The engine's certificate.
    pub cert: Option<String>,
    /// Whether Administrators and SYSTEM alone have access.
    pub private: bool,
    /// Whether they were written after the engine began to run.
    pub fresh: bool,
}

/// What containers need to have a network.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Network {
    pub hns: Option<Service>,
    pub vmcompute: Option<Service>,
    pub ipv6off: bool,
    /// Whether the engine has a NAT network; `None` where it does not answer.
    pub nat: Option<bool>,
}

/// How far the scheduled task is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Work {
    pub id: String,
    pub step: String,
    /// `waiting`, `running`, `done`, `failed`.
    pub phase: String,
    pub message: String,
    pub at: String,
}

impl Look {
    /// Reads what the script answered.
    ///
    /// # Errors
    /// It is not what the script answers.
    pub fn parse(answer: &Value) -> crate::Result<Self> {
        serde_json::from_value(without_nulls(answer)).map_err(|e| {
            crate::Error::failed("What the host says of itself cannot be read")
                .because(e.to_string())
        })
    }
}

/// PowerShell writes null for what it does not know; a default takes its place.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k.clone(), without_nulls(v)))
                .collect(),
        ),
        Value::Array(all) => Value::Array(all.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
