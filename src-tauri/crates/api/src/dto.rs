//! What travels over the command table. Plain data, no secret in any of it.

use serde::{Deserialize, Serialize};

/// An empty request or response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Nothing {}

/// An error on the wire; the receiving end makes a [`berth_core::Error`] of it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ErrorView {
    /// [`berth_core::Code::as_str`].
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Nearest first.
    pub causes: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Named facts that a caller acts on.
    pub details: Vec<(String, String)>,
}

impl From<&berth_core::Error> for ErrorView {
    fn from(e: &berth_core::Error) -> Self {
        Self {
            code: e.code().as_str().to_owned(),
            message: e.message().to_owned(),
            causes: e.causes().to_vec(),
            hint: e.what_to_do().map(str::to_owned),
            details: e.details().to_vec(),
        }
    }
}

impl From<ErrorView> for berth_core::Error {
    fn from(view: ErrorView) -> Self {
        let mut e = Self::new(berth_core::Code::from_name(&view.code), view.message);
        for cause in view.causes {
            e = e.because(cause);
        }
        if let Some(hint) = view.hint {
            e = e.hint(hint);
        }
        for (name, value) in view.details {
            e = e.detail(name, value);
        }
        e
    }
}

/// A new host. The password or passphrase comes beside the body as `password`, `passphrase`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostAdd {
    /// Its name from now on.
    pub name: String,
    /// `ssh://…`, `tcp://…` or `unix://…`; empty with [`HostAdd::docker_context`].
    #[serde(default)]
    pub address: String,
    /// The docker context to take the address and certificates from.
    #[serde(default)]
    pub docker_context: Option<String>,
    /// The caller's `DOCKER_CONFIG`.
    #[serde(default)]
    pub docker_config: Option<String>,
    /// For `tcp://`: the certificate of the engine's authority, an absolute path.
    #[serde(default)]
    pub tls_ca: Option<String>,
    /// For `tcp://`: the certificate that is shown to the engine, an absolute path.
    #[serde(default)]
    pub tls_cert: Option<String>,
    /// For `tcp://`: its private key, an absolute path. The file stays where it is.
    #[serde(default)]
    pub tls_key: Option<String>,
    /// Key files, absolute paths; none means the agent and the usual files.
    #[serde(default)]
    pub identities: Vec<String>,
    /// The socket of the caller's SSH agent.
    #[serde(default)]
    pub ssh_agent: Option<String>,
    /// Jump hosts, with commas between them; none leaves it to the SSH configuration.
    #[serde(default)]
    pub jump: Option<String>,
    /// The SSH configuration to read instead of the usual ones, an absolute path or `none`.
    #[serde(default)]
    pub ssh_config: Option<String>,
    /// Fingerprints that the user decided to trust: `SHA256:…` for the host itself, `NAME=SHA256:…` for the
    /// server of that name, such as a jump host.
    #[serde(default)]
    pub trust_host_keys: Vec<String>,
    /// Whether the caller answers what the host asks beyond a password: questions are then items of the call.
    #[serde(default)]
    pub can_answer: bool,
}

/// What a host asks whoever signs in. The texts are the host's own: show them as text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Question {
    /// For the answer.
    pub id: u64,
    /// Who asks: `user@host:port`.
    pub from: String,
    /// Often empty.
    pub title: String,
    /// Often empty.
    pub instructions: String,
    /// One answer is wanted for each.
    pub prompts: Vec<Prompt>,
}

/// One line of a question.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Prompt {
    /// The host's words.
    pub text: String,
    /// Whether the answer must not be seen while it is typed.
    pub hidden: bool,
}

/// The answer to a [`Question`]; what was typed comes beside the body as `0`, `1`, ….
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Answer {
    /// Its id.
    pub question: u64,
    /// How many answers come beside the body.
    #[serde(default)]
    pub answers: usize,
    /// Nobody answers; the sign-in ends.
    #[serde(default)]
    pub decline: bool,
}

/// Where docker's own settings are, as the caller has them in its environment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostSuggest {
    /// `DOCKER_CONFIG`.
    #[serde(default)]
    pub docker_config: Option<String>,
    /// `DOCKER_HOST`.
    #[serde(default)]
    pub docker_host: Option<String>,
    /// `DOCKER_CERT_PATH`.
    #[serde(default)]
    pub docker_cert_path: Option<String>,
    /// Also the names in `~/.ssh/config`.
    #[serde(default)]
    pub ssh: bool,
}

/// A host that docker or SSH's configuration knows and Berth does not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostSuggestion {
    /// Who knows it, in words.
    pub source: String,
    /// Its address.
    pub address: String,
    /// The docker context that it is, for [`HostAdd::docker_context`].
    pub context: Option<String>,
    /// The command that adds it, with `NAME` for its name.
    pub command: String,
}

/// A host by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostName {
    /// Its name.
    pub name: String,
    /// The socket of the caller's SSH agent.
    #[serde(default)]
    pub ssh_agent: Option<String>,
}

/// A host to be examined.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostExamine {
    /// Its name.
    pub name: String,
    /// Fingerprints that the user decided to trust, as when a host is added.
    #[serde(default)]
    pub trust_host_keys: Vec<String>,
    /// The socket of the caller's SSH agent.
    #[serde(default)]
    pub ssh_agent: Option<String>,
    /// Whether the caller answers questions, as for a one-time code, with `host.answer`.
    #[serde(default)]
    pub can_answer: bool,
}

/// What happens on a host: from when on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostEvents {
    /// Its name.
    pub name: String,
    /// A [`HostEvent::time`]; none means from now on.
    #[serde(default)]
    pub since: Option<String>,
}

/// Something that happened on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostEvent {
    /// By the host's clock, in nanoseconds since 1970: a text, since it is more than a JSON number holds.
    pub time: String,
    /// `container`, `image`, `volume`, `other`.
    pub kind: String,
    /// `create`, `start`, `die`, `destroy`, …
    pub action: String,
    /// The id, or the name of a volume or image.
    pub id: String,
    /// The container's name.
    pub name: Option<String>,
    /// The instance's id, where it is one.
    pub instance: Option<String>,
}

/// Which host to forget.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostRemove {
    /// Its name.
    pub name: String,
    /// Also while instances are there; they stay on the host.
    #[serde(default)]
    pub forget: bool,
}

/// A host as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostView {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// `linux` or `windows`, once known.
    pub os: Option<String>,
    /// The way to its engine in words, once probed.
    pub route: Option<String>,
    /// When the way was found, RFC 3339.
    pub probed_at: Option<String>,
    /// Whether it is what `up` takes where no host is given.
    pub is_default: bool,
    /// Whether it is the built-in practice host.
    pub is_practice: bool,
    /// How Berth signs in: `key …`, `agent`, `password`.
    pub sign_in: Option<String>,
    /// `SHA256:…` of the key it was last seen with.
    pub host_key: Option<String>,
    /// Where the SSH configuration leads, and through what: `ann@10.0.0.5:22 through me@bastion:22`.
    #[serde(default)]
    pub reached: Option<String>,
    /// What the SSH configuration wants and Berth does not do, each in one sentence.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The docker context that it was added from.
    #[serde(default)]
    pub context: Option<String>,
    /// What a user should know of this way before they put data there.
    #[serde(default)]
    pub warning: Option<String>,
    /// Whether it is reached: `idle`, `connecting`, `connected`, `unreachable`.
    #[serde(default)]
    pub reach: String,
    /// Since when that is so, RFC 3339; none for `idle`.
    #[serde(default)]
    pub reach_since: Option<String>,
    /// Why it is unreachable.
    #[serde(default)]
    pub reach_cause: Option<String>,
}

/// What a check found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostCheck {
    /// The host as it is known now.
    pub host: HostView,
    /// Facts, in the order they are shown.
    pub facts: Vec<Fact>,
    /// The ladder: each rung tried and what came of it.
    pub ladder: Vec<Rung>,
    /// What is wrong, the weightiest first.
    pub findings: Vec<Finding>,
    /// Whether it can be used: no finding is an error.
    #[serde(default)]
    pub works: bool,
    /// The server on the way whose key is not known, where whoever asks may decide upon it.
    #[serde(default)]
    pub unknown_key: Option<UnknownKey>,
}

/// A key that a server shows and nobody has decided upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct UnknownKey {
    /// The server, as `known_hosts` would name it: `NAME` or `[NAME]:PORT`.
    pub host: String,
    /// The key's algorithm, as `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`, as `ssh-keygen -l` writes it.
    pub fingerprint: String,
}

impl UnknownKey {
    /// What an error says of such a key; `None` for other errors, and where the SSH configuration lets in known keys alone.
    #[must_use]
    pub fn of(error: &berth_core::Error) -> Option<Self> {
        let said = |name| error.get_detail(name).map(str::to_owned);
        if error.code() != berth_core::Code::HostKeyUnknown || said("strict").is_some() {
            return None;
        }
        Some(Self {
            host: said("host")?,
            algorithm: said("algorithm").unwrap_or_else(|| "key".to_owned()),
            fingerprint: said("fingerprint")?,
        })
    }

    /// What is given in `trust_host_keys` to let it in, and it alone: `NAME=SHA256:…`.
    #[must_use]
    pub fn trust(&self) -> String {
        format!("{}={}", self.host, self.fingerprint)
    }
}

/// One fact about a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Fact {
    /// Stable name, for scripts.
    pub id: String,
    /// For people.
    pub label: String,
    /// For both.
    pub value: String,
}

/// One rung of the ladder to the engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Rung {
    /// The way in words.
    pub way: String,
    /// Whether it led to the engine.
    pub works: bool,
    /// What came of it.
    pub result: String,
}

/// Something that is wrong with a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Finding {
    /// Stable name, for scripts: [`berth_core::check::Id::as_str`].
    #[serde(default)]
    pub id: String,
    /// `error`, `warning`, `note`.
    #[serde(default)]
    pub weight: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// `up`: everything but the name of the host and instance is only a wish.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Up {
    /// `NAME` or `HOST/NAME`; none means the first free of `sql2022`, `sql2022-2`, …
    #[serde(default)]
    pub name: Option<String>,
    /// The host's name.
    #[serde(default)]
    pub host: Option<String>,
    /// `2022`.
    #[serde(default)]
    pub version: Option<String>,
    /// `express`.
    #[serde(default)]
    pub edition: Option<String>,
    /// An image that follows the official one's environment.
    #[serde(default)]
    pub image: Option<String>,
    /// Makes it, and a login that owns it.
    #[serde(default)]
    pub database: Option<String>,
    /// `2g`.
    #[serde(default)]
    pub memory: Option<String>,
    /// On 127.0.0.1.
    #[serde(default)]
    pub port: Option<u16>,
    /// `keep` or `throwaway`.
    #[serde(default)]
    pub data: Option<String>,
    /// The server's collation.
    #[serde(default)]
    pub collation: Option<String>,
    /// T-SQL for a new instance, run as `sa` in its database before it counts as ready; `GO` between batches.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub init: Option<String>,
    /// The licence was accepted in this call.
    #[serde(default)]
    pub accept_eula: bool,
    /// Seconds until it must be ready; 300 where nobody says.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// Where the password is kept instead of the keychain, absolute.
    #[serde(default)]
    pub password_file: Option<String>,
    /// Where no keychain answers and no file is named: makes a file for the password in Berth's own folder, which goes
    /// with the instance's data.
    #[serde(default)]
    pub file_without_keychain: bool,
}

/// What to change of an instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InstanceSet {
    /// `NAME` or `HOST/NAME`.
    pub name: String,
    /// `4g`.
    #[serde(default)]
    pub memory: Option<String>,
    /// On 127.0.0.1.
    #[serde(default)]
    pub port: Option<u16>,
    /// What it is called from now on.
    #[serde(default)]
    pub new_name: Option<String>,
    /// Seconds until it must be ready again; 300 where nobody says.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// A database of an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Database {
    /// The instance: `NAME` or `HOST/NAME`.
    pub name: String,
    /// The database.
    pub database: String,
}

/// A database as its server lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DatabaseView {
    /// Its name.
    pub name: String,
    /// `ONLINE`, `RECOVERING`, …
    pub state: String,
    /// Whether it is SQL Server's own.
    pub system: bool,
    /// The login that owns it, where this machine has that one's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub login: Option<String>,
}

/// A database that was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DatabaseMade {
    /// `HOST/NAME`.
    pub instance: String,
    /// Its name.
    pub database: String,
    /// The login that owns it.
    pub login: String,
}

/// Kept data that has no instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct KeptData {
    /// By host, then name.
    pub data: Vec<DataView>,
    /// Hosts that did not answer, with the reason.
    pub unreached: Vec<Unreached>,
}

/// The data of an instance that is not there any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DataView {
    /// Of the instance that filled it.
    pub id: String,
    /// Of the instance that filled it: `up` with this name takes it up again.
    pub name: String,
    /// Where it is.
    pub host: String,
    /// The version of SQL Server that made it.
    pub version: String,
    /// `express`.
    pub edition: String,
    /// Who made it.
    pub owner: String,
    /// The database that its maker asked for.
    pub database: Option<String>,
    /// The volume's name.
    pub volume: String,
    /// When it was made, RFC 3339; empty where the engine does not say.
    pub made_at: String,
}

/// Which data to delete.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DataDelete {
    /// Its id, six or more characters of that, or the name.
    pub id: String,
    /// Only on this host.
    #[serde(default)]
    pub host: Option<String>,
}

/// A private instance for one command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Lease {
    /// What is asked for; its name, data and password file are not the caller's to choose.
    pub up: Up,
    /// Seconds until it ends in any case.
    pub seconds: u64,
    /// An earlier one whose agent has ended, to hold it further. The password of its login comes beside the body as `password`.
    #[serde(default)]
    pub again: Option<LeaseId>,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LeaseId {
    /// The instance's id.
    pub id: String,
}

/// What a lease tells while it is held.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LeaseEvent {
    /// Its instance is being made.
    Making {
        /// The lease.
        lease: LeaseId,
        /// To watch or cancel.
        operation: String,
    },
    /// It may be used.
    Ready {
        /// The instance.
        instance: Box<InstanceView>,
    },
    /// Its time has passed: the instance is being removed.
    Over,
}

/// An instance by name, with a limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Timed {
    /// `NAME` or `HOST/NAME`.
    pub name: String,
    /// Seconds.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// An instance by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InstanceName {
    /// `NAME` or `HOST/NAME`.
    pub name: String,
}

/// Which instance to remove.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InstanceRemove {
    /// `NAME` or `HOST/NAME`.
    pub name: String,
    /// `keep` or `delete`; none means keep.
    #[serde(default)]
    pub data: Option<String>,
}

/// Which instances to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InstanceList {
    /// Only those of this host.
    #[serde(default)]
    pub host: Option<String>,
}

/// All instances, and the hosts that could not be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Instances {
    /// By host, then name.
    pub instances: Vec<InstanceView>,
    /// What looks like SQL Server and Berth did not make, by host, then name. `instance.adopt` takes one up.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub found: Vec<FoundView>,
    /// Hosts that did not answer, with the reason.
    pub unreached: Vec<Unreached>,
}

/// A container that looks like SQL Server and that Berth did not make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FoundView {
    /// Its host's name.
    pub host: String,
    /// The container's id, whole.
    pub container: String,
    /// The container's name.
    pub name: String,
    /// The image's reference.
    pub image: String,
    /// [`berth_core::instance::State::as_str`].
    pub state: String,
}

/// A container to take up. The password of `sa` may come beside the body, as `password`; without it and without a file, the one
/// that the container's environment shows is tried.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Adopt {
    /// Its name, or the beginning of its id.
    pub container: String,
    /// The host; none means the default one.
    #[serde(default)]
    pub host: Option<String>,
    /// What the instance is called; none means as its container.
    #[serde(default)]
    pub name: Option<String>,
    /// A file whose first line is the password of `sa`, absolute.
    #[serde(default)]
    pub password_file: Option<String>,
}

/// A host that did not answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Unreached {
    /// Its name.
    pub host: String,
    /// Why.
    pub error: ErrorView,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InstanceView {
    /// For life.
    pub id: String,
    /// Unique on its host.
    pub name: String,
    /// Its host's name.
    pub host: String,
    /// `2022`.
    pub version: String,
    /// `express`.
    pub edition: String,
    /// [`berth_core::instance::State::as_str`].
    pub state: String,
    /// Why it is not as it should be, where something is known.
    pub cause: Option<String>,
    /// What helps, where something is known to.
    pub hint: Option<String>,
    /// What a window can offer to do about it: [`berth_core::readiness::Cause::action`].
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub action: Option<String>,
    /// `127.0.0.1`, or the machine on which the engine publishes the port.
    pub endpoint_host: String,
    /// The local port.
    pub port: u16,
    /// Whether something listens there on Berth's behalf.
    pub endpoint_open: bool,
    /// `keep` or `throwaway`.
    pub data: String,
    /// The database that its strings name.
    pub database: Option<String>,
    /// The login that its strings name.
    pub login: String,
    /// Bytes.
    pub memory: u64,
    /// The image's reference.
    pub image: String,
    /// The container's id.
    pub container: String,
    /// Who made it.
    pub owner: String,
    /// When its container was made, RFC 3339, where that is known.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Since when it runs, RFC 3339. Only `instance.show` asks for it.
    #[serde(default)]
    pub started_at: Option<String>,
    /// When the host last said so, RFC 3339.
    pub seen_at: String,
    /// Whether that was just now.
    pub fresh: bool,
    /// Whether it runs on the practice host, which is not SQL Server.
    pub practice: bool,
    /// Whether this machine has its credentials.
    pub credentials: bool,
    /// Whether its making was cut off: `up` finishes it, `remove` takes it away.
    pub unfinished: bool,
    /// Whether it was adopted: Berth did not make its container, never removes it, and other machines see it as found.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub adopted: bool,
    /// When it ends by itself, RFC 3339 on its host's clock.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub ends_at: Option<String>,
    /// What it takes on its host's disk. Only `instance.show` asks for it.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub disk: Option<DiskView>,
}

/// What an instance takes on its host's disk, in bytes, and where. `None`: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DiskView {
    /// What is in the volume of its data.
    pub data: Option<u64>,
    /// What its container wrote beside its image.
    pub container: Option<u64>,
    /// The volume or folder of the host that holds its data.
    pub volume: Option<String>,
    /// Where SQL Server puts new databases, inside of its container.
    pub data_folder: Option<String>,
    /// Where it puts backups, inside of its container.
    pub backups_folder: Option<String>,
}

/// An operation that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Started {
    /// To watch or cancel it by.
    pub operation: String,
}

/// A machine that is to become a container host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostPrepare {
    /// A known host.
    pub name: String,
    /// Steps to leave out: `sshd`, `firewall`, `key`, `tls`.
    #[serde(default)]
    pub without: Vec<String>,
    /// Whether the engine's listener gets new certificates whatever it has.
    #[serde(default)]
    pub new_certificates: bool,
    /// The caller's `SSH_AUTH_SOCK`.
    #[serde(default)]
    pub ssh_agent: Option<String>,
}

/// What preparing a machine would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PreparePlan {
    /// The host.
    pub host: String,
    /// Its Windows, with its build.
    pub machine: String,
    /// Why nothing can be done; empty where something can.
    pub refusals: Vec<PrepareRefusal>,
    /// Every step in order, those that are done already too.
    pub steps: Vec<PrepareStep>,
    /// What should be known before agreeing.
    pub notes: Vec<String>,
    /// About how long all that is to do takes.
    pub seconds: u32,
    /// Whether nothing is left to do.
    pub done: bool,
}

/// Why a machine cannot become a container host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PrepareRefusal {
    /// The reason.
    pub why: String,
    /// What to do.
    pub hint: String,
}

/// One step of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PrepareStep {
    /// Stable name.
    pub id: String,
    /// What it is.
    pub title: String,
    /// What is there now.
    pub is: String,
    /// What should be.
    pub should: String,
    /// Why.
    pub why: String,
    /// Whether there is something to do.
    pub to_do: bool,
    /// About how long it takes.
    pub seconds: u32,
    /// Whether the machine restarts.
    pub restarts: bool,
    /// Whether it may be left out, where its user does that in another way.
    pub optional: bool,
}

/// What is wrong with a machine as a container host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostDoctor {
    /// The host.
    pub host: String,
    /// Its Windows, with its build.
    pub machine: String,
    /// What was found; empty where nothing is wrong.
    pub ills: Vec<Ill>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Ill {
    /// Stable name.
    pub id: String,
    /// What is wrong.
    pub what: String,
    /// What helps.
    pub repair: String,
    /// Whether preparing the host again repairs it.
    pub by_prepare: bool,
}

/// The SQL Server images that can be built on a Windows host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Recipes {
    /// Each that needs nothing of the user's own.
    pub recipes: Vec<RecipeView>,
    /// What has to be accepted before the first build on a host that is not the practice host.
    pub terms: Vec<Terms>,
    /// What Microsoft says of such images.
    pub position: String,
}

/// How an image is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RecipeView {
    /// `2022-express`.
    pub name: String,
    /// `2022`.
    pub version: String,
    /// `express`.
    pub edition: String,
    /// What its installer weighs in megabytes, where that is known.
    pub media_mb: Option<u32>,
    /// What should be known before.
    pub notes: Vec<String>,
}

/// Licence terms.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Terms {
    /// Stable name.
    pub id: String,
    /// What they are called, and where they are.
    pub text: String,
    /// When they were accepted on this machine, RFC 3339.
    pub accepted_at: Option<String>,
}

/// Whose images.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageList {
    /// The default host where none is named.
    #[serde(default)]
    pub host: Option<String>,
}

/// A SQL Server image that Berth built.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageView {
    /// Its host.
    pub host: String,
    /// Its name, or its id where a newer one took the name.
    pub reference: String,
    /// `sha256:…`.
    pub id: String,
    /// Whether it has its name still, so that new instances are made of it.
    pub current: bool,
    /// `2022-express`.
    pub recipe: Option<String>,
    /// The recipe's own version.
    pub recipe_version: Option<String>,
    /// `express`.
    pub edition: Option<String>,
    /// The server's collation.
    pub collation: Option<String>,
    /// RFC 3339.
    pub built_at: Option<String>,
    /// Bytes on the host's disk, layers that others use too included.
    pub size: u64,
    /// The instances and other containers made of it.
    pub used_by: Vec<String>,
}

/// An image to build: a recipe, or a folder of the user's own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageBuild {
    /// `2022-express`, or `2022`.
    #[serde(default)]
    pub recipe: Option<String>,
    /// A folder with a `Dockerfile`, absolute, on this machine.
    #[serde(default)]
    pub folder: Option<String>,
    /// What the image of a folder is called.
    #[serde(default)]
    pub reference: Option<String>,
    /// The default host where none is named.
    #[serde(default)]
    pub host: Option<String>,
    /// The server's collation.
    #[serde(default)]
    pub collation: Option<String>,
    /// The user's own installer instead of Microsoft's download: one `.exe`, and its `.box` where it has one.
    #[serde(default)]
    pub media: Vec<MediaFile>,
    /// The terms of [`Recipes`] were accepted in this call.
    #[serde(default)]
    pub accept_eula: bool,
    /// Nothing of an earlier build is used.
    #[serde(default)]
    pub fresh: bool,
}

/// A file of an installer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MediaFile {
    /// An address that the host fetches it from, or an absolute path on this machine.
    pub place: String,
    /// What it must be; a file of this machine may go without.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// Images to make anew.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageRebuild {
    /// The default host where none is named.
    #[serde(default)]
    pub host: Option<String>,
    /// Those that were built more than so many seconds ago.
    pub older_than: u64,
    /// The terms of [`Recipes`] were accepted in this call.
    #[serde(default)]
    pub accept_eula: bool,
}

/// An image of a registry to fetch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImagePull {
    /// The default host where none is named.
    #[serde(default)]
    pub host: Option<String>,
    /// Its name, such as `mcr.microsoft.com/mssql/server:2022-latest`.
    pub reference: String,
}

/// An image to remove.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageRemove {
    /// Its name, or the beginning of its id, 12 digits at least.
    pub reference: String,
    /// The default host where none is named.
    #[serde(default)]
    pub host: Option<String>,
}

/// An operation by id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OperationId {
    /// From [`Started`].
    pub operation: String,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OperationView {
    /// Its id.
    pub id: String,
    /// `up`, `start`, `stop`, `restart`, `remove`, …
    #[serde(default)]
    pub kind: String,
    /// What it works on: `HOST/NAME`, once that is known.
    #[serde(default)]
    pub subject: String,
    /// What it does, in words.
    pub title: String,
    /// `running`, `done`, `failed`, `cancelled`.
    pub state: String,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it ended, RFC 3339.
    #[serde(default)]
    pub ended_at: Option<String>,
    /// The phase it is in or ended in.
    pub phase: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<ErrorView>,
}

/// Which operations of the past.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HistoryWish {
    /// Of one instance: `NAME` or `HOST/NAME`.
    #[serde(default)]
    pub name: Option<String>,
    /// The last so many; 20 where nobody says.
    #[serde(default)]
    pub tail: Option<u64>,
}

/// Operations of the past.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HistoryView {
    /// Newest first.
    pub operations: Vec<Past>,
    /// Entries that cannot be read: cut off by a crash, or of a newer Berth.
    pub unread: u64,
}

/// An operation that ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Past {
    /// Its id.
    pub id: String,
    /// What it did, in words.
    pub title: String,
    /// The host's name.
    pub host: Option<String>,
    /// The instance's name.
    pub instance: Option<String>,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub ended_at: String,
    /// `done`, `failed`, `cancelled`.
    pub outcome: String,
    /// What went wrong.
    pub error: Option<String>,
    /// Its log.
    pub steps: Vec<PastStep>,
}

/// A line of an operation's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PastStep {
    /// Milliseconds since it began.
    pub at_ms: u64,
    /// As in [`OperationEvent`].
    pub phase: String,
    /// As in [`OperationEvent`].
    pub kind: String,
    /// What happened, in words.
    pub text: String,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OperationEvent {
    /// Counts from 0 without a gap.
    pub seq: u64,
    /// Milliseconds since the operation began.
    pub at_ms: u64,
    /// The phase's name: `plan`, `image`, `credentials`, `container`, `ready`, `password`, `endpoint`, …
    pub phase: String,
    /// `started`, `progress`, `done`, `failed`, `cancelled`.
    pub kind: String,
    /// What is happening, in words.
    pub text: String,
    /// Done and total, where both are known.
    pub progress: Option<(u64, u64)>,
}

/// How the agent stands with one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostLive {
    /// The host as it is known.
    pub host: HostView,
    /// `idle` (not asked), `connecting`, `connected`, `unreachable`.
    pub state: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// When it last answered, RFC 3339, as far as this agent knows.
    pub seen_at: Option<String>,
    /// When it is tried again, RFC 3339.
    pub retry_at: Option<String>,
    /// Why it is not reached.
    pub error: Option<ErrorView>,
    /// What looks like SQL Server there and Berth did not make, as the host said last.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub found: Vec<FoundView>,
}

/// One change of what there is. The first item of `berth.watch` is everything; what comes after replaces what has the same
/// name or id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on its way to JSON: a box would save nothing"
)]
pub enum Change {
    /// Everything, as far as it is known without asking anyone.
    Snapshot {
        /// Every host.
        hosts: Vec<HostLive>,
        /// Every instance, as it was last seen.
        instances: Vec<InstanceView>,
        /// The operations of this agent, newest first.
        operations: Vec<OperationView>,
    },
    /// A host is new or stands differently.
    Host {
        /// As it is now.
        host: HostLive,
    },
    /// A host was removed.
    HostGone {
        /// Its name.
        name: String,
    },
    /// Instances are new or changed.
    Instances {
        /// As they are now.
        instances: Vec<InstanceView>,
    },
    /// Instances are gone.
    InstancesGone {
        /// Their ids.
        ids: Vec<String>,
    },
    /// An operation began, entered a phase or ended.
    Operation {
        /// As it is now.
        operation: OperationView,
    },
}

/// What an instance uses, about once a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StatsView {
    /// Processor time since the item before; 100 is one logical processor on Linux, all of them on Windows.
    pub cpu_percent: Option<f64>,
    /// Bytes.
    pub memory: u64,
    /// Bytes; the instance's own limit where the engine says none.
    pub memory_limit: Option<u64>,
}

/// How an operation ended well.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Outcome {
    /// The instance, where there is one after it.
    pub instance: Option<InstanceView>,
    /// What should be said beside it.
    pub notes: Vec<String>,
    /// Whether something was made or changed at all.
    pub changed: bool,
}

/// Which part of a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Logs {
    /// `NAME` or `HOST/NAME`.
    pub name: String,
    /// Go on until cancelled.
    #[serde(default)]
    pub follow: bool,
    /// Seconds back from now.
    #[serde(default)]
    pub since: Option<u64>,
    /// The last so many lines.
    #[serde(default)]
    pub tail: Option<u64>,
}

/// One line of a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LogLine {
    /// `stdout` or `stderr`.
    pub stream: String,
    /// Without its line end.
    pub text: String,
    /// When the engine got it, RFC 3339.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub at: Option<String>,
    /// `info`, `warning` or `error`, as far as SQL Server says: [`berth_core::errorlog::Level`].
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub level: Option<String>,
}

/// A format of connection strings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FormatView {
    /// `adonet`.
    pub id: String,
    /// `ADO.NET`.
    pub name: String,
    /// `.NET`.
    pub family: String,
    /// One line.
    pub about: String,
    /// What it cannot say.
    pub limits: Vec<String>,
}

/// A carrier of connection strings: what they travel in to their client.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CarrierView {
    /// `sh`.
    pub id: String,
    /// `sh, bash, zsh`.
    pub name: String,
    /// One line: what is written, and who reads it.
    pub about: String,
    /// What it cannot carry.
    pub limits: Vec<String>,
    /// Whether the value gets a name: `never`, `may` or `always`.
    pub naming: String,
}

/// One stretch of a connection string, its secret a hole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Piece {
    /// The characters; `••••` where `secret` is set.
    pub text: String,
    /// Whether this is a hole, which only a copy fills.
    pub secret: bool,
    /// What it stands for: `server`, `database`, `user`, `password`, `tls`, …
    pub part: Option<String>,
    /// The same in words.
    pub meaning: Option<String>,
}

/// One part of a connection string, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Explained {
    /// The stretch, the password masked.
    pub text: String,
    /// As in [`Piece`].
    pub part: String,
    /// What it means.
    pub meaning: String,
}

/// Which connection string.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ConnectionShow {
    /// `NAME` or `HOST/NAME`.
    pub name: String,
    /// A format's id; none means `adonet`.
    #[serde(default)]
    pub format: Option<String>,
    /// A carrier's id; none means the string as it is.
    #[serde(default)]
    pub carrier: Option<String>,
    /// The variable or key that a carrier puts it in; none is the carrier's own choice.
    #[serde(default)]
    pub variable: Option<String>,
    /// Another database than the instance's own.
    #[serde(default)]
    pub database: Option<String>,
    /// Another login than the default one.
    #[serde(default)]
    pub login: Option<String>,
    /// Only the password, for a client that reads it from its standard input.
    #[serde(default)]
    pub password_only: bool,
    /// What may be shown, and no secret beside it: nothing that is not needed goes over a socket.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub masked_only: bool,
}

/// A program that opens a database: [`berth_core::open_in`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ToolView {
    /// For [`ByHand::tool`].
    pub id: String,
    /// As its makers call it.
    pub name: String,
    /// What it can be given, and what is left to do.
    pub note: String,
}

/// Which program is to be opened by hand, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ByHand {
    /// The program's id.
    pub tool: String,
    /// `NAME` or `HOST/NAME`.
    pub name: String,
    /// Another database than the instance's own.
    #[serde(default)]
    pub database: Option<String>,
    /// Another login than the default one.
    #[serde(default)]
    pub login: Option<String>,
}

/// What somebody types or pastes, without the password.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Line {
    /// A line for a shell, or a text to paste.
    pub text: String,
}

/// A connection string without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ConnectionView {
    /// The instance.
    pub name: String,
    /// The instance's host.
    pub host: String,
    /// The format's id.
    pub format: String,
    /// The carrier's id, where one was asked for.
    pub carrier: Option<String>,
    /// The string with the password masked.
    pub masked: String,
    /// The same in stretches, the secret a hole: together they read as `masked`.
    pub pieces: Vec<Piece>,
    /// What each part means, in the order of the string.
    pub explained: Vec<Explained>,
    /// Where it leads.
    pub server: String,
    /// The port there.
    pub port: u16,
    /// The login.
    pub user: String,
    /// The database, where one is named.
    pub database: Option<String>,
    /// What is true of its encryption, in words.
    pub tls: String,
    /// Whether the client wants the password on its standard input instead of in the string.
    pub password_on_stdin: bool,
    /// What is wrong with it, as far as the server could be asked: a login or database that is not there.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub notes: Vec<String>,
}

/// A script for an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Query {
    /// `NAME` or `HOST/NAME`.
    pub name: String,
    /// T-SQL, with `GO` between batches.
    pub sql: String,
    /// Another database than the instance's own.
    #[serde(default)]
    pub database: Option<String>,
    /// Another login than the default one.
    #[serde(default)]
    pub login: Option<String>,
}

/// What a script gives while it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QueryEvent {
    /// A result begins.
    Columns {
        /// Name and type of each.
        columns: Vec<(String, String)>,
    },
    /// Rows of the current result; several travel together.
    Rows {
        /// JSON values; decimals, and numbers that JSON's readers would round, are text.
        rows: Vec<Vec<serde_json::Value>>,
    },
    /// The current result is complete.
    ResultDone {
        /// How many rows it had.
        rows: u64,
    },
    /// The server said something.
    Message {
        /// Its words.
        text: String,
    },
    /// The server refused a batch.
    Error {
        /// SQL Server's number.
        number: u32,
        /// Its severity, where the driver tells it: of the first error of a batch.
        class: Option<u8>,
        /// Its state, likewise.
        state: Option<u8>,
        /// Counted in the script from 1, as far as the server says one.
        line: Option<u32>,
        /// The procedure it happened in.
        procedure: Option<String>,
        /// Its words.
        message: String,
    },
}

/// How a script ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct QueryDone {
    /// How many batches the server refused.
    pub errors: u64,
}

/// What came of trying a connection string.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Tried {
    /// Where it led, `host:port`.
    pub server: String,
    /// What the server there calls itself.
    pub version: String,
}

/// What the agent holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AgentStatus {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// RFC 3339.
    pub started_at: String,
    /// The endpoints it listens on.
    pub endpoints: Vec<EndpointView>,
    /// Operations under way.
    pub operations: usize,
    /// Hosts with a live connection.
    pub connected: Vec<String>,
    /// Where the credentials are kept.
    pub keychain: String,
}

/// One endpoint that the agent holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EndpointView {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// `HOST/NAME`.
    pub instance: String,
    /// Why it does not listen, where it does not.
    pub problem: Option<String>,
    /// Clients connected now.
    pub clients: usize,
}
