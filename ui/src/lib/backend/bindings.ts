// Written from src-tauri/crates/api/src/dto.rs; do not edit.
// Anew: BERTH_WRITE_BINDINGS=1 cargo test -p berth-api bindings

/**
 * A container to take up. The password of `sa` may come beside the body, as `password`; without it and without a file, the one
 * that the container's environment shows is tried.
 */
export type Adopt = { 
/**
 * Its name, or the beginning of its id.
 */
container: string, 
/**
 * The host; none means the default one.
 */
host: string | null, 
/**
 * What the instance is called; none means as its container.
 */
name: string | null, 
/**
 * A file whose first line is the password of `sa`, absolute.
 */
password_file: string | null, };

/**
 * What the agent holds.
 */
export type AgentStatus = { 
/**
 * Its version.
 */
version: string, 
/**
 * Its process.
 */
pid: number, 
/**
 * RFC 3339.
 */
started_at: string, 
/**
 * The endpoints it listens on.
 */
endpoints: Array<EndpointView>, 
/**
 * Operations under way.
 */
operations: number, 
/**
 * Hosts with a live connection.
 */
connected: Array<string>, 
/**
 * Where the credentials are kept.
 */
keychain: string, };

/**
 * The answer to a [`Question`]; what was typed comes beside the body as `0`, `1`, ….
 */
export type Answer = { 
/**
 * Its id.
 */
question: number, 
/**
 * How many answers come beside the body.
 */
answers: number, 
/**
 * Nobody answers; the sign-in ends.
 */
decline: boolean, };

/**
 * Which program is to be opened by hand, and where.
 */
export type ByHand = { 
/**
 * The program's id.
 */
tool: string, 
/**
 * `NAME` or `HOST/NAME`.
 */
name: string, 
/**
 * Another database than the instance's own.
 */
database: string | null, 
/**
 * Another login than the default one.
 */
login: string | null, };

/**
 * A carrier of connection strings: what they travel in to their client.
 */
export type CarrierView = { 
/**
 * `sh`.
 */
id: string, 
/**
 * `sh, bash, zsh`.
 */
name: string, 
/**
 * One line: what is written, and who reads it.
 */
about: string, 
/**
 * What it cannot carry.
 */
limits: Array<string>, 
/**
 * Whether the value gets a name: `never`, `may` or `always`.
 */
naming: string, };

/**
 * One change of what there is. The first item of `berth.watch` is everything; what comes after replaces what has the same
 * name or id.
 */
export type Change = { "kind": "snapshot", 
/**
 * Every host.
 */
hosts: Array<HostLive>, 
/**
 * Every instance, as it was last seen.
 */
instances: Array<InstanceView>, 
/**
 * The operations of this agent, newest first.
 */
operations: Array<OperationView>, } | { "kind": "host", 
/**
 * As it is now.
 */
host: HostLive, } | { "kind": "host_gone", 
/**
 * Its name.
 */
name: string, } | { "kind": "instances", 
/**
 * As they are now.
 */
instances: Array<InstanceView>, } | { "kind": "instances_gone", 
/**
 * Their ids.
 */
ids: Array<string>, } | { "kind": "operation", 
/**
 * As it is now.
 */
operation: OperationView, };

/**
 * Which connection string.
 */
export type ConnectionShow = { 
/**
 * `NAME` or `HOST/NAME`.
 */
name: string, 
/**
 * A format's id; none means `adonet`.
 */
format: string | null, 
/**
 * A carrier's id; none means the string as it is.
 */
carrier: string | null, 
/**
 * The variable or key that a carrier puts it in; none is the carrier's own choice.
 */
variable: string | null, 
/**
 * Another database than the instance's own.
 */
database: string | null, 
/**
 * Another login than the default one.
 */
login: string | null, 
/**
 * Only the password, for a client that reads it from its standard input.
 */
password_only: boolean, 
/**
 * What may be shown, and no secret beside it: nothing that is not needed goes over a socket.
 */
masked_only?: boolean, };

/**
 * A connection string without its secret.
 */
export type ConnectionView = { 
/**
 * The instance.
 */
name: string, 
/**
 * The instance's host.
 */
host: string, 
/**
 * The format's id.
 */
format: string, 
/**
 * The carrier's id, where one was asked for.
 */
carrier: string | null, 
/**
 * The string with the password masked.
 */
masked: string, 
/**
 * The same in stretches, the secret a hole: together they read as `masked`.
 */
pieces: Array<Piece>, 
/**
 * What each part means, in the order of the string.
 */
explained: Array<Explained>, 
/**
 * Where it leads.
 */
server: string, 
/**
 * The port there.
 */
port: number, 
/**
 * The login.
 */
user: string, 
/**
 * The database, where one is named.
 */
database: string | null, 
/**
 * What is true of its encryption, in words.
 */
tls: string, 
/**
 * Whether the client wants the password on its standard input instead of in the string.
 */
password_on_stdin: boolean, 
/**
 * What is wrong with it, as far as the server could be asked: a login or database that is not there.
 */
notes?: Array<string>, };

/**
 * Which data to delete.
 */
export type DataDelete = { 
/**
 * Its id, six or more characters of that, or the name.
 */
id: string, 
/**
 * Only on this host.
 */
host: string | null, };

/**
 * The data of an instance that is not there any more.
 */
export type DataView = { 
/**
 * Of the instance that filled it.
 */
id: string, 
/**
 * Of the instance that filled it: `up` with this name takes it up again.
 */
name: string, 
/**
 * Where it is.
 */
host: string, 
/**
 * The version of SQL Server that made it.
 */
version: string, 
/**
 * `express`.
 */
edition: string, 
/**
 * Who made it.
 */
owner: string, 
/**
 * The database that its maker asked for.
 */
database: string | null, 
/**
 * The volume's name.
 */
volume: string, 
/**
 * When it was made, RFC 3339; empty where the engine does not say.
 */
made_at: string, };

/**
 * A database of an instance.
 */
export type Database = { 
/**
 * The instance: `NAME` or `HOST/NAME`.
 */
name: string, 
/**
 * The database.
 */
database: string, };

/**
 * A database that was made.
 */
export type DatabaseMade = { 
/**
 * `HOST/NAME`.
 */
instance: string, 
/**
 * Its name.
 */
database: string, 
/**
 * The login that owns it.
 */
login: string, };

/**
 * A database as its server lists it.
 */
export type DatabaseView = { 
/**
 * Its name.
 */
name: string, 
/**
 * `ONLINE`, `RECOVERING`, …
 */
state: string, 
/**
 * Whether it is SQL Server's own.
 */
system: boolean, 
/**
 * The login that owns it, where this machine has that one's password.
 */
login?: string, };

/**
 * What an instance takes on its host's disk, in bytes, and where. `None`: not known.
 */
export type DiskView = { 
/**
 * What is in the volume of its data.
 */
data: number | null, 
/**
 * What its container wrote beside its image.
 */
container: number | null, 
/**
 * The volume or folder of the host that holds its data.
 */
volume: string | null, 
/**
 * Where SQL Server puts new databases, inside of its container.
 */
data_folder: string | null, 
/**
 * Where it puts backups, inside of its container.
 */
backups_folder: string | null, };

/**
 * One endpoint that the agent holds.
 */
export type EndpointView = { 
/**
 * The port on 127.0.0.1.
 */
port: number, 
/**
 * `HOST/NAME`.
 */
instance: string, 
/**
 * Why it does not listen, where it does not.
 */
problem: string | null, 
/**
 * Clients connected now.
 */
clients: number, };

/**
 * An error on the wire; the receiving end makes a [`berth_core::Error`] of it again.
 */
export type ErrorView = { 
/**
 * [`berth_core::Code::as_str`].
 */
code: string, 
/**
 * One sentence.
 */
message: string, 
/**
 * Nearest first.
 */
causes: Array<string>, 
/**
 * What to do.
 */
hint: string | null, 
/**
 * Named facts that a caller acts on.
 */
details: Array<[string, string]>, };

/**
 * One part of a connection string, in words.
 */
export type Explained = { 
/**
 * The stretch, the password masked.
 */
text: string, 
/**
 * As in [`Piece`].
 */
part: string, 
/**
 * What it means.
 */
meaning: string, };

/**
 * One fact about a host.
 */
export type Fact = { 
/**
 * Stable name, for scripts.
 */
id: string, 
/**
 * For people.
 */
label: string, 
/**
 * For both.
 */
value: string, };

/**
 * Something that is wrong with a host.
 */
export type Finding = { 
/**
 * Stable name, for scripts: [`berth_core::check::Id::as_str`].
 */
id: string, 
/**
 * `error`, `warning`, `note`.
 */
weight: string, 
/**
 * What is wrong.
 */
message: string, 
/**
 * What to do.
 */
hint: string, };

/**
 * A format of connection strings.
 */
export type FormatView = { 
/**
 * `adonet`.
 */
id: string, 
/**
 * `ADO.NET`.
 */
name: string, 
/**
 * `.NET`.
 */
family: string, 
/**
 * One line.
 */
about: string, 
/**
 * What it cannot say.
 */
limits: Array<string>, };

/**
 * A container that looks like SQL Server and that Berth did not make.
 */
export type FoundView = { 
/**
 * Its host's name.
 */
host: string, 
/**
 * The container's id, whole.
 */
container: string, 
/**
 * The container's name.
 */
name: string, 
/**
 * The image's reference.
 */
image: string, 
/**
 * [`berth_core::instance::State::as_str`].
 */
state: string, };

/**
 * Operations of the past.
 */
export type HistoryView = { 
/**
 * Newest first.
 */
operations: Array<Past>, 
/**
 * Entries that cannot be read: cut off by a crash, or of a newer Berth.
 */
unread: number, };

/**
 * Which operations of the past.
 */
export type HistoryWish = { 
/**
 * Of one instance: `NAME` or `HOST/NAME`.
 */
name: string | null, 
/**
 * The last so many; 20 where nobody says.
 */
tail: number | null, };

/**
 * A new host. The password or passphrase comes beside the body as `password`, `passphrase`.
 */
export type HostAdd = { 
/**
 * Its name from now on.
 */
name: string, 
/**
 * `ssh://…`, `tcp://…` or `unix://…`; empty with [`HostAdd::docker_context`].
 */
address: string, 
/**
 * The docker context to take the address and certificates from.
 */
docker_context: string | null, 
/**
 * The caller's `DOCKER_CONFIG`.
 */
docker_config: string | null, 
/**
 * For `tcp://`: the certificate of the engine's authority, an absolute path.
 */
tls_ca: string | null, 
/**
 * For `tcp://`: the certificate that is shown to the engine, an absolute path.
 */
tls_cert: string | null, 
/**
 * For `tcp://`: its private key, an absolute path. The file stays where it is.
 */
tls_key: string | null, 
/**
 * Key files, absolute paths; none means the agent and the usual files.
 */
identities: Array<string>, 
/**
 * The socket of the caller's SSH agent.
 */
ssh_agent: string | null, 
/**
 * Jump hosts, with commas between them; none leaves it to the SSH configuration.
 */
jump: string | null, 
/**
 * The SSH configuration to read instead of the usual ones, an absolute path or `none`.
 */
ssh_config: string | null, 
/**
 * Fingerprints that the user decided to trust: `SHA256:…` for the host itself, `NAME=SHA256:…` for the
 * server of that name, such as a jump host.
 */
trust_host_keys: Array<string>, 
/**
 * Whether the caller answers what the host asks beyond a password: questions are then items of the call.
 */
can_answer: boolean, };

/**
 * What a check found.
 */
export type HostCheck = { 
/**
 * The host as it is known now.
 */
host: HostView, 
/**
 * Facts, in the order they are shown.
 */
facts: Array<Fact>, 
/**
 * The ladder: each rung tried and what came of it.
 */
ladder: Array<Rung>, 
/**
 * What is wrong, the weightiest first.
 */
findings: Array<Finding>, 
/**
 * Whether it can be used: no finding is an error.
 */
works: boolean, 
/**
 * The server on the way whose key is not known, where whoever asks may decide upon it.
 */
unknown_key: UnknownKey | null, };

/**
 * What is wrong with a machine as a container host.
 */
export type HostDoctor = { 
/**
 * The host.
 */
host: string, 
/**
 * Its Windows, with its build.
 */
machine: string, 
/**
 * What was found; empty where nothing is wrong.
 */
ills: Array<Ill>, };

/**
 * Something that happened on a host.
 */
export type HostEvent = { 
/**
 * By the host's clock, in nanoseconds since 1970: a text, since it is more than a JSON number holds.
 */
time: string, 
/**
 * `container`, `image`, `volume`, `other`.
 */
kind: string, 
/**
 * `create`, `start`, `die`, `destroy`, …
 */
action: string, 
/**
 * The id, or the name of a volume or image.
 */
id: string, 
/**
 * The container's name.
 */
name: string | null, 
/**
 * The instance's id, where it is one.
 */
instance: string | null, };

/**
 * What happens on a host: from when on.
 */
export type HostEvents = { 
/**
 * Its name.
 */
name: string, 
/**
 * A [`HostEvent::time`]; none means from now on.
 */
since: string | null, };

/**
 * A host to be examined.
 */
export type HostExamine = { 
/**
 * Its name.
 */
name: string, 
/**
 * Fingerprints that the user decided to trust, as when a host is added.
 */
trust_host_keys: Array<string>, 
/**
 * The socket of the caller's SSH agent.
 */
ssh_agent: string | null, 
/**
 * Whether the caller answers questions, as for a one-time code, with `host.answer`.
 */
can_answer: boolean, };

/**
 * How the agent stands with one host.
 */
export type HostLive = { 
/**
 * The host as it is known.
 */
host: HostView, 
/**
 * `idle` (not asked), `connecting`, `connected`, `unreachable`.
 */
state: string, 
/**
 * Since when, RFC 3339.
 */
since: string, 
/**
 * When it last answered, RFC 3339, as far as this agent knows.
 */
seen_at: string | null, 
/**
 * When it is tried again, RFC 3339.
 */
retry_at: string | null, 
/**
 * Why it is not reached.
 */
error: ErrorView | null, 
/**
 * What looks like SQL Server there and Berth did not make, as the host said last.
 */
found?: Array<FoundView>, };

/**
 * A host by name.
 */
export type HostName = { 
/**
 * Its name.
 */
name: string, 
/**
 * The socket of the caller's SSH agent.
 */
ssh_agent: string | null, };

/**
 * A machine that is to become a container host.
 */
export type HostPrepare = { 
/**
 * A known host.
 */
name: string, 
/**
 * Steps to leave out: `sshd`, `firewall`, `key`, `tls`.
 */
without: Array<string>, 
/**
 * Whether the engine's listener gets new certificates whatever it has.
 */
new_certificates: boolean, 
/**
 * The caller's `SSH_AUTH_SOCK`.
 */
ssh_agent: string | null, };

/**
 * Which host to forget.
 */
export type HostRemove = { 
/**
 * Its name.
 */
name: string, 
/**
 * Also while instances are there; they stay on the host.
 */
forget: boolean, };

/**
 * Where docker's own settings are, as the caller has them in its environment.
 */
export type HostSuggest = { 
/**
 * `DOCKER_CONFIG`.
 */
docker_config: string | null, 
/**
 * `DOCKER_HOST`.
 */
docker_host: string | null, 
/**
 * `DOCKER_CERT_PATH`.
 */
docker_cert_path: string | null, 
/**
 * Also the names in `~/.ssh/config`.
 */
ssh: boolean, };

/**
 * A host that docker or SSH's configuration knows and Berth does not.
 */
export type HostSuggestion = { 
/**
 * Who knows it, in words.
 */
source: string, 
/**
 * Its address.
 */
address: string, 
/**
 * The docker context that it is, for [`HostAdd::docker_context`].
 */
context: string | null, 
/**
 * The command that adds it, with `NAME` for its name.
 */
command: string, };

/**
 * A host as it is known.
 */
export type HostView = { 
/**
 * Its name.
 */
name: string, 
/**
 * Its address.
 */
address: string, 
/**
 * `linux` or `windows`, once known.
 */
os: string | null, 
/**
 * The way to its engine in words, once probed.
 */
route: string | null, 
/**
 * When the way was found, RFC 3339.
 */
probed_at: string | null, 
/**
 * Whether it is what `up` takes where no host is given.
 */
is_default: boolean, 
/**
 * Whether it is the built-in practice host.
 */
is_practice: boolean, 
/**
 * How Berth signs in: `key …`, `agent`, `password`.
 */
sign_in: string | null, 
/**
 * `SHA256:…` of the key it was last seen with.
 */
host_key: string | null, 
/**
 * Where the SSH configuration leads, and through what: `ann@10.0.0.5:22 through me@bastion:22`.
 */
reached: string | null, 
/**
 * What the SSH configuration wants and Berth does not do, each in one sentence.
 */
notes: Array<string>, 
/**
 * The docker context that it was added from.
 */
context: string | null, 
/**
 * What a user should know of this way before they put data there.
 */
warning: string | null, 
/**
 * Whether it is reached: `idle`, `connecting`, `connected`, `unreachable`.
 */
reach: string, 
/**
 * Since when that is so, RFC 3339; none for `idle`.
 */
reach_since: string | null, 
/**
 * Why it is unreachable.
 */
reach_cause: string | null, };

/**
 * One thing that is wrong.
 */
export type Ill = { 
/**
 * Stable name.
 */
id: string, 
/**
 * What is wrong.
 */
what: string, 
/**
 * What helps.
 */
repair: string, 
/**
 * Whether preparing the host again repairs it.
 */
by_prepare: boolean, };

/**
 * An image to build: a recipe, or a folder of the user's own.
 */
export type ImageBuild = { 
/**
 * `2022-express`, or `2022`.
 */
recipe: string | null, 
/**
 * A folder with a `Dockerfile`, absolute, on this machine.
 */
folder: string | null, 
/**
 * What the image of a folder is called.
 */
reference: string | null, 
/**
 * The default host where none is named.
 */
host: string | null, 
/**
 * The server's collation.
 */
collation: string | null, 
/**
 * The user's own installer instead of Microsoft's download: one `.exe`, and its `.box` where it has one.
 */
media: Array<MediaFile>, 
/**
 * The terms of [`Recipes`] were accepted in this call.
 */
accept_eula: boolean, 
/**
 * Nothing of an earlier build is used.
 */
fresh: boolean, };

/**
 * Whose images.
 */
export type ImageList = { 
/**
 * The default host where none is named.
 */
host: string | null, };

/**
 * An image of a registry to fetch.
 */
export type ImagePull = { 
/**
 * The default host where none is named.
 */
host: string | null, 
/**
 * Its name, such as `mcr.microsoft.com/mssql/server:2022-latest`.
 */
reference: string, };

/**
 * Images to make anew.
 */
export type ImageRebuild = { 
/**
 * The default host where none is named.
 */
host: string | null, 
/**
 * Those that were built more than so many seconds ago.
 */
older_than: number, 
/**
 * The terms of [`Recipes`] were accepted in this call.
 */
accept_eula: boolean, };

/**
 * An image to remove.
 */
export type ImageRemove = { 
/**
 * Its name, or the beginning of its id, 12 digits at least.
 */
reference: string, 
/**
 * The default host where none is named.
 */
host: string | null, };

/**
 * A SQL Server image that Berth built.
 */
export type ImageView = { 
/**
 * Its host.
 */
host: string, 
/**
 * Its name, or its id where a newer one took the name.
 */
reference: string, 
/**
 * `sha256:…`.
 */
id: string, 
/**
 * Whether it has its name still, so that new instances are made of it.
 */
current: boolean, 
/**
 * `2022-express`.
 */
recipe: string | null, 
/**
 * The recipe's own version.
 */
recipe_version: string | null, 
/**
 * `express`.
 */
edition: string | null, 
/**
 * The server's collation.
 */
collation: string | null, 
/**
 * RFC 3339.
 */
built_at: string | null, 
/**
 * Bytes on the host's disk, layers that others use too included.
 */
size: number, 
/**
 * The instances and other containers made of it.
 */
used_by: Array<string>, };

/**
 * Which instances to list.
 */
export type InstanceList = { 
/**
 * Only those of this host.
 */
host: string | null, };

/**
 * An instance by name.
 */
export type InstanceName = { 
/**
 * `NAME` or `HOST/NAME`.
 */
name: string, };

/**
 * Which instance to remove.
 */
export type InstanceRemove = { 
/**
 * `NAME` or `HOST/NAME`.
 */
name: string, 
/**
 * `keep` or `delete`; none means keep.
 */
data: string | null, };

/**
 * What to change of an instance.
 */
export type InstanceSet = { 
/**
 * `NAME` or `HOST/NAME`.
 */
name: string, 
/**
 * `4g`.
 */
memory: string | null, 
/**
 * On 127.0.0.1.
 */
port: number | null, 
/**
 * What it is called from now on.
 */
new_name: string | null, 
/**
 * Seconds until it must be ready again; 300 where nobody says.
 */
timeout: number | null, };

/**
 * An instance.
 */
export type InstanceView = { 
/**
 * For life.
 */
id: string, 
/**
 * Unique on its host.
 */
name: string, 
/**
 * Its host's name.
 */
host: string, 
/**
 * `2022`.
 */
version: string, 
/**
 * `express`.
 */
edition: string, 
/**
 * [`berth_core::instance::State::as_str`].
 */
state: string, 
/**
 * Why it is not as it should be, where something is known.
 */
cause: string | null, 
/**
 * What helps, where something is known to.
 */
hint: string | null, 
/**
 * What a window can offer to do about it: [`berth_core::readiness::Cause::action`].
 */
action?: string, 
/**
 * `127.0.0.1`, or the machine on which the engine publishes the port.
 */
endpoint_host: string, 
/**
 * The local port.
 */
port: number, 
/**
 * Whether something listens there on Berth's behalf.
 */
endpoint_open: boolean, 
/**
 * `keep` or `throwaway`.
 */
data: string, 
/**
 * The database that its strings name.
 */
database: string | null, 
/**
 * The login that its strings name.
 */
login: string, 
/**
 * Bytes.
 */
memory: number, 
/**
 * The image's reference.
 */
image: string, 
/**
 * The container's id.
 */
container: string, 
/**
 * Who made it.
 */
owner: string, 
/**
 * When its container was made, RFC 3339, where that is known.
 */
created_at: string | null, 
/**
 * Since when it runs, RFC 3339. Only `instance.show` asks for it.
 */
started_at: string | null, 
/**
 * When the host last said so, RFC 3339.
 */
seen_at: string, 
/**
 * Whether that was just now.
 */
fresh: boolean, 
/**
 * Whether it runs on the practice host, which is not SQL Server.
 */
practice: boolean, 
/**
 * Whether this machine has its credentials.
 */
credentials: boolean, 
/**
 * Whether its making was cut off: `up` finishes it, `remove` takes it away.
 */
unfinished: boolean, 
/**
 * Whether it was adopted: Berth did not make its container, never removes it, and other machines see it as found.
 */
adopted?: boolean, 
/**
 * When it ends by itself, RFC 3339 on its host's clock.
 */
ends_at?: string, 
/**
 * What it takes on its host's disk. Only `instance.show` asks for it.
 */
disk?: DiskView, };

/**
 * All instances, and the hosts that could not be asked.
 */
export type Instances = { 
/**
 * By host, then name.
 */
instances: Array<InstanceView>, 
/**
 * What looks like SQL Server and Berth did not make, by host, then name. `instance.adopt` takes one up.
 */
found?: Array<FoundView>, 
/**
 * Hosts that did not answer, with the reason.
 */
unreached: Array<Unreached>, };

export type JsonValue = number | string | boolean | Array<JsonValue> | { [key in string]: JsonValue } | null;

/**
 * Kept data that has no instance.
 */
export type KeptData = { 
/**
 * By host, then name.
 */
data: Array<DataView>, 
/**
 * Hosts that did not answer, with the reason.
 */
unreached: Array<Unreached>, };

/**
 * A private instance for one command.
 */
export type Lease = { 
/**
 * What is asked for; its name, data and password file are not the caller's to choose.
 */
up: Up, 
/**
 * Seconds until it ends in any case.
 */
seconds: number, 
/**
 * An earlier one whose agent has ended, to hold it further. The password of its login comes beside the body as `password`.
 */
again: LeaseId | null, };

/**
 * What a lease tells while it is held.
 */
export type LeaseEvent = { "kind": "making", 
/**
 * The lease.
 */
lease: LeaseId, 
/**
 * To watch or cancel.
 */
operation: string, } | { "kind": "ready", 
/**
 * The instance.
 */
instance: InstanceView, } | { "kind": "over" };

/**
 * A lease.
 */
export type LeaseId = { 
/**
 * The instance's id.
 */
id: string, };

/**
 * What somebody types or pastes, without the password.
 */
export type Line = { 
/**
 * A line for a shell, or a text to paste.
 */
text: string, };

/**
 * One line of a log.
 */
export type LogLine = { 
/**
 * `stdout` or `stderr`.
 */
stream: string, 
/**
 * Without its line end.
 */
text: string, 
/**
 * When the engine got it, RFC 3339.
 */
at?: string, 
/**
 * `info`, `warning` or `error`, as far as SQL Server says: [`berth_core::errorlog::Level`].
 */
level?: string, };

/**
 * Which part of a log.
 */
export type Logs = { 
/**
 * `NAME` or `HOST/NAME`.
 */
name: string, 
/**
 * Go on until cancelled.
 */
follow: boolean, 
/**
 * Seconds back from now.
 */
since: number | null, 
/**
 * The last so many lines.
 */
tail: number | null, };

/**
 * A file of an installer.
 */
export type MediaFile = { 
/**
 * An address that the host fetches it from, or an absolute path on this machine.
 */
place: string, 
/**
 * What it must be; a file of this machine may go without.
 */
sha256: string | null, };

/**
 * An empty request or response.
 */
export type Nothing = Record<symbol, never>;

/**
 * One step of an operation.
 */
export type OperationEvent = { 
/**
 * Counts from 0 without a gap.
 */
seq: number, 
/**
 * Milliseconds since the operation began.
 */
at_ms: number, 
/**
 * The phase's name: `plan`, `image`, `credentials`, `container`, `ready`, `password`, `endpoint`, …
 */
phase: string, 
/**
 * `started`, `progress`, `done`, `failed`, `cancelled`.
 */
kind: string, 
/**
 * What is happening, in words.
 */
text: string, 
/**
 * Done and total, where both are known.
 */
progress: [number, number] | null, };

/**
 * An operation by id.
 */
export type OperationId = { 
/**
 * From [`Started`].
 */
operation: string, };

/**
 * An operation.
 */
export type OperationView = { 
/**
 * Its id.
 */
id: string, 
/**
 * `up`, `start`, `stop`, `restart`, `remove`, …
 */
kind: string, 
/**
 * What it works on: `HOST/NAME`, once that is known.
 */
subject: string, 
/**
 * What it does, in words.
 */
title: string, 
/**
 * `running`, `done`, `failed`, `cancelled`.
 */
state: string, 
/**
 * When it began, RFC 3339.
 */
started_at: string, 
/**
 * When it ended, RFC 3339.
 */
ended_at: string | null, 
/**
 * The phase it is in or ended in.
 */
phase: string | null, 
/**
 * Why it failed.
 */
error: ErrorView | null, };

/**
 * How an operation ended well.
 */
export type Outcome = { 
/**
 * The instance, where there is one after it.
 */
instance: InstanceView | null, 
/**
 * What should be said beside it.
 */
notes: Array<string>, 
/**
 * Whether something was made or changed at all.
 */
changed: boolean, };

/**
 * An operation that ended.
 */
export type Past = { 
/**
 * Its id.
 */
id: string, 
/**
 * What it did, in words.
 */
title: string, 
/**
 * The host's name.
 */
host: string | null, 
/**
 * The instance's name.
 */
instance: string | null, 
/**
 * RFC 3339.
 */
started_at: string, 
/**
 * RFC 3339.
 */
ended_at: string, 
/**
 * `done`, `failed`, `cancelled`.
 */
outcome: string, 
/**
 * What went wrong.
 */
error: string | null, 
/**
 * Its log.
 */
steps: Array<PastStep>, };

/**
 * A line of an operation's log.
 */
export type PastStep = { 
/**
 * Milliseconds since it began.
 */
at_ms: number, 
/**
 * As in [`OperationEvent`].
 */
phase: string, 
/**
 * As in [`OperationEvent`].
 */
kind: string, 
/**
 * What happened, in words.
 */
text: string, };

/**
 * One stretch of a connection string, its secret a hole.
 */
export type Piece = { 
/**
 * The characters; `••••` where `secret` is set.
 */
text: string, 
/**
 * Whether this is a hole, which only a copy fills.
 */
secret: boolean, 
/**
 * What it stands for: `server`, `database`, `user`, `password`, `tls`, …
 */
part: string | null, 
/**
 * The same in words.
 */
meaning: string | null, };

/**
 * What preparing a machine would do.
 */
export type PreparePlan = { 
/**
 * The host.
 */
host: string, 
/**
 * Its Windows, with its build.
 */
machine: string, 
/**
 * Why nothing can be done; empty where something can.
 */
refusals: Array<PrepareRefusal>, 
/**
 * Every step in order, those that are done already too.
 */
steps: Array<PrepareStep>, 
/**
 * What should be known before agreeing.
 */
notes: Array<string>, 
/**
 * About how long all that is to do takes.
 */
seconds: number, 
/**
 * Whether nothing is left to do.
 */
done: boolean, };

/**
 * Why a machine cannot become a container host.
 */
export type PrepareRefusal = { 
/**
 * The reason.
 */
why: string, 
/**
 * What to do.
 */
hint: string, };

/**
 * One step of a plan.
 */
export type PrepareStep = { 
/**
 * Stable name.
 */
id: string, 
/**
 * What it is.
 */
title: string, 
/**
 * What is there now.
 */
is: string, 
/**
 * What should be.
 */
should: string, 
/**
 * Why.
 */
why: string, 
/**
 * Whether there is something to do.
 */
to_do: boolean, 
/**
 * About how long it takes.
 */
seconds: number, 
/**
 * Whether the machine restarts.
 */
restarts: boolean, 
/**
 * Whether it may be left out, where its user does that in another way.
 */
optional: boolean, };

/**
 * One line of a question.
 */
export type Prompt = { 
/**
 * The host's words.
 */
text: string, 
/**
 * Whether the answer must not be seen while it is typed.
 */
hidden: boolean, };

/**
 * A script for an instance.
 */
export type Query = { 
/**
 * `NAME` or `HOST/NAME`.
 */
name: string, 
/**
 * T-SQL, with `GO` between batches.
 */
sql: string, 
/**
 * Another database than the instance's own.
 */
database: string | null, 
/**
 * Another login than the default one.
 */
login: string | null, };

/**
 * How a script ended.
 */
export type QueryDone = { 
/**
 * How many batches the server refused.
 */
errors: number, };

/**
 * What a script gives while it runs.
 */
export type QueryEvent = { "kind": "columns", 
/**
 * Name and type of each.
 */
columns: Array<[string, string]>, } | { "kind": "rows", 
/**
 * JSON values; decimals, and numbers that JSON's readers would round, are text.
 */
rows: Array<Array<JsonValue>>, } | { "kind": "result_done", 
/**
 * How many rows it had.
 */
rows: number, } | { "kind": "message", 
/**
 * Its words.
 */
text: string, } | { "kind": "error", 
/**
 * SQL Server's number.
 */
number: number, 
/**
 * Its severity, where the driver tells it: of the first error of a batch.
 */
class: number | null, 
/**
 * Its state, likewise.
 */
state: number | null, 
/**
 * Counted in the script from 1, as far as the server says one.
 */
line: number | null, 
/**
 * The procedure it happened in.
 */
procedure: string | null, 
/**
 * Its words.
 */
message: string, };

/**
 * What a host asks whoever signs in. The texts are the host's own: show them as text.
 */
export type Question = { 
/**
 * For the answer.
 */
id: number, 
/**
 * Who asks: `user@host:port`.
 */
from: string, 
/**
 * Often empty.
 */
title: string, 
/**
 * Often empty.
 */
instructions: string, 
/**
 * One answer is wanted for each.
 */
prompts: Array<Prompt>, };

/**
 * How an image is made.
 */
export type RecipeView = { 
/**
 * `2022-express`.
 */
name: string, 
/**
 * `2022`.
 */
version: string, 
/**
 * `express`.
 */
edition: string, 
/**
 * What its installer weighs in megabytes, where that is known.
 */
media_mb: number | null, 
/**
 * What should be known before.
 */
notes: Array<string>, };

/**
 * The SQL Server images that can be built on a Windows host.
 */
export type Recipes = { 
/**
 * Each that needs nothing of the user's own.
 */
recipes: Array<RecipeView>, 
/**
 * What has to be accepted before the first build on a host that is not the practice host.
 */
terms: Array<Terms>, 
/**
 * What Microsoft says of such images.
 */
position: string, };

/**
 * One rung of the ladder to the engine.
 */
export type Rung = { 
/**
 * The way in words.
 */
way: string, 
/**
 * Whether it led to the engine.
 */
works: boolean, 
/**
 * What came of it.
 */
result: string, };

/**
 * An operation that was started.
 */
export type Started = { 
/**
 * To watch or cancel it by.
 */
operation: string, };

/**
 * What an instance uses, about once a second.
 */
export type StatsView = { 
/**
 * Processor time since the item before; 100 is one logical processor on Linux, all of them on Windows.
 */
cpu_percent: number | null, 
/**
 * Bytes.
 */
memory: number, 
/**
 * Bytes; the instance's own limit where the engine says none.
 */
memory_limit: number | null, };

/**
 * Licence terms.
 */
export type Terms = { 
/**
 * Stable name.
 */
id: string, 
/**
 * What they are called, and where they are.
 */
text: string, 
/**
 * When they were accepted on this machine, RFC 3339.
 */
accepted_at: string | null, };

/**
 * An instance by name, with a limit.
 */
export type Timed = { 
/**
 * `NAME` or `HOST/NAME`.
 */
name: string, 
/**
 * Seconds.
 */
timeout: number | null, };

/**
 * A program that opens a database: [`berth_core::open_in`].
 */
export type ToolView = { 
/**
 * For [`ByHand::tool`].
 */
id: string, 
/**
 * As its makers call it.
 */
name: string, 
/**
 * What it can be given, and what is left to do.
 */
note: string, };

/**
 * What came of trying a connection string.
 */
export type Tried = { 
/**
 * Where it led, `host:port`.
 */
server: string, 
/**
 * What the server there calls itself.
 */
version: string, };

/**
 * A key that a server shows and nobody has decided upon.
 */
export type UnknownKey = { 
/**
 * The server, as `known_hosts` would name it: `NAME` or `[NAME]:PORT`.
 */
host: string, 
/**
 * The key's algorithm, as `ssh-ed25519`.
 */
algorithm: string, 
/**
 * `SHA256:…`, as `ssh-keygen -l` writes it.
 */
fingerprint: string, };

/**
 * A host that did not answer.
 */
export type Unreached = { 
/**
 * Its name.
 */
host: string, 
/**
 * Why.
 */
error: ErrorView, };

/**
 * `up`: everything but the name of the host and instance is only a wish.
 */
export type Up = { 
/**
 * `NAME` or `HOST/NAME`; none means the first free of `sql2022`, `sql2022-2`, …
 */
name: string | null, 
/**
 * The host's name.
 */
host: string | null, 
/**
 * `2022`.
 */
version: string | null, 
/**
 * `express`.
 */
edition: string | null, 
/**
 * An image that follows the official one's environment.
 */
image: string | null, 
/**
 * Makes it, and a login that owns it.
 */
database: string | null, 
/**
 * `2g`.
 */
memory: string | null, 
/**
 * On 127.0.0.1.
 */
port: number | null, 
/**
 * `keep` or `throwaway`.
 */
data: string | null, 
/**
 * The server's collation.
 */
collation: string | null, 
/**
 * T-SQL for a new instance, run as `sa` in its database before it counts as ready; `GO` between batches.
 */
init?: string, 
/**
 * The licence was accepted in this call.
 */
accept_eula: boolean, 
/**
 * Seconds until it must be ready; 300 where nobody says.
 */
timeout: number | null, 
/**
 * Where the password is kept instead of the keychain, absolute.
 */
password_file: string | null, 
/**
 * Where no keychain answers and no file is named: makes a file for the password in Berth's own folder, which goes
 * with the instance's data.
 */
file_without_keychain: boolean, };

/** Every command: what it is asked, what comes in between, what it answers. */
export interface Commands {
  "host.add": { request: HostAdd; item: Question; response: HostView };
  "host.answer": { request: Answer; item: Nothing; response: Nothing };
  "host.list": { request: Nothing; item: Nothing; response: Array<HostView> };
  "host.show": { request: HostName; item: Nothing; response: HostView };
  "host.check": { request: HostExamine; item: Question; response: HostCheck };
  "host.suggest": { request: HostSuggest; item: Nothing; response: Array<HostSuggestion> };
  "host.events": { request: HostEvents; item: HostEvent; response: Nothing };
  "host.use": { request: HostName; item: Nothing; response: HostView };
  "host.plan": { request: HostPrepare; item: Nothing; response: PreparePlan };
  "host.prepare": { request: HostPrepare; item: Nothing; response: Started };
  "host.unprepare": { request: HostPrepare; item: Nothing; response: Started };
  "host.doctor": { request: HostPrepare; item: Nothing; response: HostDoctor };
  "host.remove": { request: HostRemove; item: Nothing; response: Nothing };
  "image.recipes": { request: Nothing; item: Nothing; response: Recipes };
  "image.list": { request: ImageList; item: Nothing; response: Array<ImageView> };
  "image.pull": { request: ImagePull; item: Nothing; response: Started };
  "image.build": { request: ImageBuild; item: Nothing; response: Started };
  "image.rebuild": { request: ImageRebuild; item: Nothing; response: Started };
  "image.remove": { request: ImageRemove; item: Nothing; response: Nothing };
  "instance.up": { request: Up; item: Nothing; response: Started };
  "instance.list": { request: InstanceList; item: Nothing; response: Instances };
  "instance.show": { request: InstanceName; item: Nothing; response: InstanceView };
  "instance.adopt": { request: Adopt; item: Nothing; response: Started };
  "instance.start": { request: Timed; item: Nothing; response: Started };
  "instance.stop": { request: Timed; item: Nothing; response: Started };
  "instance.restart": { request: Timed; item: Nothing; response: Started };
  "instance.remove": { request: InstanceRemove; item: Nothing; response: Started };
  "instance.set": { request: InstanceSet; item: Nothing; response: Started };
  "instance.reset_password": { request: Timed; item: Nothing; response: Started };
  "database.list": { request: InstanceName; item: Nothing; response: Array<DatabaseView> };
  "database.create": { request: Database; item: Nothing; response: DatabaseMade };
  "database.drop": { request: Database; item: Nothing; response: Nothing };
  "data.list": { request: InstanceList; item: Nothing; response: KeptData };
  "data.delete": { request: DataDelete; item: Nothing; response: DataView };
  "lease.hold": { request: Lease; item: LeaseEvent; response: Nothing };
  "lease.end": { request: LeaseId; item: Nothing; response: Nothing };
  "instance.logs": { request: Logs; item: LogLine; response: Nothing };
  "instance.stats": { request: InstanceName; item: StatsView; response: Nothing };
  "operation.watch": { request: OperationId; item: OperationEvent; response: Outcome };
  "operation.cancel": { request: OperationId; item: Nothing; response: Nothing };
  "operation.list": { request: Nothing; item: Nothing; response: Array<OperationView> };
  "operation.retry": { request: OperationId; item: Nothing; response: Started };
  "operation.history": { request: HistoryWish; item: Nothing; response: HistoryView };
  "connection.formats": { request: Nothing; item: Nothing; response: Array<FormatView> };
  "connection.carriers": { request: Nothing; item: Nothing; response: Array<CarrierView> };
  "connection.show": { request: ConnectionShow; item: Nothing; response: ConnectionView };
  "connection.copy": { request: ConnectionShow; item: Nothing; response: ConnectionView };
  "connection.tools": { request: Nothing; item: Nothing; response: Array<ToolView> };
  "connection.by_hand": { request: ByHand; item: Nothing; response: Line };
  "connection.try": { request: Nothing; item: Nothing; response: Tried };
  "query.run": { request: Query; item: QueryEvent; response: QueryDone };
  "berth.watch": { request: Nothing; item: Change; response: Nothing };
  "agent.status": { request: Nothing; item: Nothing; response: AgentStatus };
}
