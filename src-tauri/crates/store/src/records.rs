//! What the files hold. Times are RFC 3339, given by the caller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::folder::Content;

/// Fields that this Berth does not know, kept so that a rewrite does not lose them.
pub type Unknown = Map<String, Value>;

/// The hosts, `hosts.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hosts {
    /// In the order they were added.
    pub hosts: Vec<HostRecord>,
    /// The name of the host that is meant where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_host: Option<String>,
    /// See [`Unknown`].
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A host as somebody added it, and what was found out about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostRecord {
    /// Its name, unique here.
    pub name: String,
    /// A URL: `ssh://…`, `unix://…`, `practice:`. It holds no password.
    pub address: String,
    /// Key files to sign in with; none means the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// Jump hosts that somebody named, with commas between them; none leaves it to the SSH configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
    /// The SSH configuration to read instead of the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_config: Option<String>,
    /// Where the SSH configuration led last, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    /// What the SSH configuration wants and does not get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether the password was needed to sign in; unknown to older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<bool>,
    /// Whether somebody has to answer the host's questions at each sign-in, a one-time code for instance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
    /// The certificates of a `tcp://` host; their content stays in their files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsRecord>,
    /// Whether the keychain holds the certificates of the listener that Berth gave its engine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub certificates: bool,
    /// The docker context that its address was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// How the last sign-in worked: `key`, `agent`, `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<String>,
    /// Whether the keychain holds a passphrase for its key file.
    #[serde(default)]
    pub passphrase: bool,
    /// `SHA256:…` of the host key that the user trusted. To show; the known-hosts file decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// The way to the engine that worked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteRecord>,
    /// `linux`, `windows`, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// When it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<String>,
    /// See [`Unknown`].
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The files that a `tcp://` host needs, absolute paths. See [`HostRecord::tls`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TlsRecord {
    /// The authority's certificate.
    pub ca: String,
    /// The certificate that is shown to the engine.
    pub cert: String,
    /// Its private key.
    pub key: String,
    /// See [`Unknown`].
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The way to a host's engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteRecord {
    /// Which rung of the ladder.
    pub kind: String,
    /// Its parameter: a port, a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it was found to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<String>,
    /// See [`Unknown`].
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Hosts {
    /// The host of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&HostRecord> {
        self.hosts.iter().find(|h| h.name == name)
    }

    /// The host of that name, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut HostRecord> {
        self.hosts.iter_mut().find(|h| h.name == name)
    }

    /// Adds a host, or replaces the one of its name.
    pub fn put(&mut self, record: HostRecord) {
        match self.get_mut(&record.name) {
            Some(there) => *there = record,
            None => self.hosts.push(record),
        }
    }

    /// Removes a host; it is then nobody's default either.
    pub fn remove(&mut self, name: &str) -> Option<HostRecord> {
        let at = self.hosts.iter().position(|h| h.name == name)?;
        if self.default_host.as_deref() == Some(name) {
            self.default_host = None;
        }
        Some(self.hosts.remove(at))
    }
}

impl Content for Hosts {
    const FILE: &'static str = "hosts.json";
    const LOSS: &'static str = "the hosts have to be added again, and nothing on them is lost";
}

/// Preferences, `settings.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The id of the connection string format to show first.
    pub format: String,
    /// Which licences were accepted, and when.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub licences: BTreeMap<String, String>,
    /// Whether the agent was offered as a login item.
    pub login_item_offered: bool,
    /// See [`Unknown`].
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: "adonet".into(),
            licences: BTreeMap::new(),
            login_item_offered: false,
            unknown: Unknown::new(),
        }
    }
}

impl Content for Settings {
    const FILE: &'static str = "settings.json";
    const LOSS: &'static str = "the settings are the usual ones again";
}

/// The instances last seen, `instances.json`: a cache and preferences, never the truth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Instances {
    /// In the order they were first seen.
    pub instances: Vec<InstanceRecord>,
    /// What kept data was called last, by its id, where its volume says an earlier name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub last_names: BTreeMap<String, String>,
    /// See [`Unknown`].
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// An instance as it was last seen, and what belongs to this Mac only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// The id of its label.
    pub id: String,
    /// The name of its host.
    pub host: String,
    /// Its name on the host.
    pub name: String,
    /// The local port, which never changes by itself: strings are pasted somewhere. 0 means none yet.
    #[serde(default)]
    pub port: u16,
    /// `2022`.
    #[serde(default)]
    pub version: String,
    /// The recipe that made it.
    #[serde(default)]
    pub recipe: String,
    /// Its state when it was seen.
    #[serde(default)]
    pub state: String,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<String>,
    /// The database that strings name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The login that strings name.
    #[serde(default)]
    pub login: String,
    /// The file that holds the password, where that is not the keychain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
    /// `express`.
    #[serde(default)]
    pub edition: String,
    /// Bytes.
    #[serde(default)]
    pub memory: u64,
    /// `keep` or `throwaway`.
    #[serde(default)]
    pub data: String,
    /// The image's reference.
    #[serde(default)]
    pub image: String,
    /// The container's id when it was seen.
    #[serde(default)]
    pub container: String,
    /// Who made it.
    #[serde(default)]
    pub owner: String,
    /// When its container was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Whether the engine publishes the port itself, so that no tunnel is needed.
    #[serde(default)]
    pub direct: bool,
    /// The machine on which it does; none means this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_on: Option<String>,
    /// Whether its making was cut off.
    #[serde(default)]
    pub unfinished: bool,
    /// Whether its data is new: made by what was cut off, and so nothing of anyone's.
    #[serde(default)]
    pub fresh_data: bool,
    /// Whether this machine made it and so has its credentials.
    #[serde(default)]
    pub ours: bool,
    /// Whether Berth did not make its container, and was told to take it up. Only this machine knows: the labels of a
    /// container cannot change. Its id is its container's.
    #[serde(default)]
    pub adopted: bool,
    /// When it ends by itself, in seconds since 1970 on its host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<i64>,
    /// See [`Unknown`].
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl InstanceRecord {
    /// The host that strings name: `127.0.0.1`, or the machine on which the engine publishes the port.
    #[must_use]
    pub fn endpoint_host(&self) -> &str {
        self.published_on.as_deref().unwrap_or("127.0.0.1")
    }
}

impl Instances {
    /// The instance of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&InstanceRecord> {
        self.instances.iter().find(|i| i.id == id)
    }

    /// Adds an instance, or replaces the one of its id.
    pub fn put(&mut self, record: InstanceRecord) {
        match self.instances.iter_mut().find(|i| i.id == record.id) {
            Some(there) => *there = record,
            None => self.instances.push(record),
        }
    }

    /// Removes an instance.
    pub fn remove(&mut self, id: &str) -> Option<InstanceRecord> {
        let at = self.instances.iter().position(|i| i.id == id)?;
        Some(self.instances.remove(at))
    }
}

impl Content for Instances {
    const FILE: &'static str = "instances.json";
    const LOSS: &'static str =
        "the instances are found again on their hosts, some with another local port";
}
