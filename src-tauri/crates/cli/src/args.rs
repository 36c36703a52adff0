//! The command line, as design and `--help` say it.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// SQL Server in one command, on a container host that you need not understand, and the right connection string for your client.
#[derive(Debug, Parser)]
#[command(
    name = "berth",
    version,
    propagate_version = true,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    /// Say what is done and how long it takes
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const RUN_HELP: &str = "\
The command finds in its environment: BERTH_CONNECTION_STRING (ADO.NET), BERTH_ODBC, BERTH_JDBC_URL,
BERTH_HOST, BERTH_PORT, BERTH_USER, BERTH_PASSWORD.
Its exit code is passed through; 125 says that Berth failed, 126 that the command cannot be run, 127 that it is not there.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add, list, check and forget hosts
    #[command(subcommand)]
    Host(Host),
    /// Build, list and remove the SQL Server images of a Windows host
    #[command(subcommand)]
    Image(Image),
    /// Make an instance, or start the one of that name, and print its connection string
    Up(Box<Up>),
    /// Run a command with a private instance, which ends with it
    #[command(after_help = RUN_HELP)]
    Run(Box<Run>),
    /// List the instances on all hosts
    List {
        /// Only those of this host
        #[arg(long)]
        host: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Show one instance
    Show {
        /// NAME or HOST/NAME
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Start an instance
    Start(Timed),
    /// Write everything to disk, then stop an instance
    Stop(Timed),
    /// Stop, then start
    Restart(Timed),
    /// Remove an instance; its data stays unless you say otherwise
    Remove {
        /// NAME or HOST/NAME
        name: String,
        /// What happens to its data
        #[arg(long, value_name = "keep|delete")]
        data: Option<String>,
    },
    /// Take up a container that Berth did not make: it gets a connection string here, and nothing about it changes
    Adopt {
        /// Its name, or the beginning of its id; `berth list` shows what is found
        container: String,
        /// The host; none takes the default one
        #[arg(long)]
        host: Option<String>,
        /// What the instance is called; none takes the container's name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// The password of `sa` is the first line of this file
        #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
        password_file: Option<PathBuf>,
        /// Read the password of `sa` from standard input
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Change an instance's memory, port or name; it is stopped for that
    Set {
        /// NAME or HOST/NAME
        instance: String,
        /// Memory, such as 4g; SQL Server's own limit follows
        #[arg(long)]
        memory: Option<String>,
        /// The local port: strings that name the old one stop working
        #[arg(long, value_parser = port)]
        port: Option<u16>,
        /// Its name from now on
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Give up after so long, such as 5m
        #[arg(long, value_parser = duration)]
        timeout: Option<u64>,
    },
    /// Give an instance new passwords: programs that have the old ones are refused
    ResetPassword {
        /// NAME or HOST/NAME
        name: String,
    },
    /// The databases of an instance
    #[command(subcommand)]
    Database(Database),
    /// Data that stayed when its instance was removed
    #[command(subcommand)]
    Data(Data),
    /// Print an instance's log
    Logs {
        /// NAME or HOST/NAME
        name: String,
        /// Go on as more comes
        #[arg(short, long)]
        follow: bool,
        /// Only what came since then, such as `90s`, `15m`, `1h`
        #[arg(long, value_parser = duration)]
        since: Option<u64>,
        /// Only so many of the last lines
        #[arg(long)]
        tail: Option<u64>,
    },
    /// Print or copy an instance's connection string
    Connection(Connection),
    /// Run T-SQL on an instance; GO separates batches
    Query(Query),
    /// Run the built-in practice host alone
    #[command(subcommand)]
    Practice(Practice),
    /// What was done, with -v step by step
    History {
        /// Only with this instance: NAME or HOST/NAME
        name: Option<String>,
        /// The last so many
        #[arg(long, default_value_t = 20)]
        tail: u64,
        #[command(flatten)]
        json: Json,
    },
    /// Start an operation again that failed or was cancelled; it goes on where it failed
    Retry {
        /// Its id, as `berth history` shows it
        operation: String,
    },
    /// The background process that keeps strings working
    #[command(subcommand)]
    Agent(Agent),
    /// The whole way on the practice host: an instance, a query through its string, removal
    Demo {
        /// Leave the instance there at the end
        #[arg(long)]
        keep: bool,
    },
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// List what can be built
    Recipes {
        #[command(flatten)]
        json: Json,
    },
    /// List the images that Berth built
    List {
        /// On this host
        #[arg(long)]
        host: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Have a host fetch an image of a registry
    Pull {
        /// Its name, such as mcr.microsoft.com/mssql/server:2022-latest
        reference: String,
        /// On this host
        #[arg(long)]
        host: Option<String>,
        /// Print what happens, one JSON object a line
        #[command(flatten)]
        json: Json,
    },
    /// Build one on its host, with Microsoft's own installer: 2022-express, 2019-developer, …
    Build(ImageBuild),
    /// Build those anew that are old; what nothing uses any more of the old ones is removed
    Rebuild {
        /// On this host
        #[arg(long)]
        host: Option<String>,
        /// Those that are older than this
        #[arg(long, value_parser = duration, default_value = "7d")]
        older_than: u64,
        /// Accept the licence terms of SQL Server and of the Windows base image; asked once
        #[arg(long)]
        accept_eula: bool,
        /// Print what happens, one JSON object a line
        #[command(flatten)]
        json: Json,
    },
    /// Remove one that no instance uses
    Remove {
        /// Its name, or the beginning of its id
        reference: String,
        /// On this host
        #[arg(long)]
        host: Option<String>,
    },
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(crate) struct ImageBuild {
    /// Version and edition; `berth image recipes` lists what there is
    #[arg(required_unless_present = "folder", conflicts_with = "folder")]
    pub(crate) recipe: Option<String>,
    /// Build this folder with its own Dockerfile instead; the image needs a `--name`
    #[arg(long, value_name = "DIR", requires = "name")]
    pub(crate) folder: Option<PathBuf>,
    /// What the image of a folder is called
    #[arg(long, value_name = "REF", requires = "folder")]
    pub(crate) name: Option<String>,
    /// On this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// The server's collation
    #[arg(long)]
    pub(crate) collation: Option<String>,
    /// An installer of your own, one `.exe`, and its `.box` by a second `--media`
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) media: Vec<String>,
    /// The hash of that installer; one for each `--media`
    #[arg(long, value_name = "HEX", requires = "media")]
    pub(crate) sha256: Vec<String>,
    /// Accept the licence terms of SQL Server and of the Windows base image; asked once
    #[arg(long)]
    pub(crate) accept_eula: bool,
    /// Use nothing of an earlier build
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Print what happens, one JSON object a line
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Database {
    /// List them
    List {
        /// NAME or HOST/NAME
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Make one, and a login that owns it and nothing else
    Create {
        /// NAME or HOST/NAME
        name: String,
        /// The database
        database: String,
        #[command(flatten)]
        json: Json,
    },
    /// Remove one for good, with everything in it, and its login
    Drop {
        /// NAME or HOST/NAME
        name: String,
        /// The database
        database: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// List it
    List {
        /// Only on this host
        #[arg(long)]
        host: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Delete it, for good
    Delete {
        /// Its id, as `berth data list` shows it, or its name
        id: String,
        /// Only on this host
        #[arg(long)]
        host: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Json {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Timed {
    /// NAME or HOST/NAME
    pub(crate) name: String,
    /// Give up after so long
    #[arg(long, value_parser = duration)]
    pub(crate) timeout: Option<u64>,
}

// One is made for each run of the command: its size is nobody's concern.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum Host {
    /// Add a host: ssh://[user@]host[:port][/path/to/docker.sock], where host may be a name of ~/.ssh/config, tcp://host:2376, or unix:///path/to/docker.sock
    Add {
        /// Its name from now on
        name: String,
        /// Where it is
        address: Option<String>,
        /// Take the address, and certificates if there are any, from this context of docker's
        #[arg(long, value_name = "CONTEXT", conflicts_with_all = ["address", "ca", "cert", "key"])]
        docker_context: Option<String>,
        /// tcp: the certificate of the engine's authority, PEM
        #[arg(long, value_name = "FILE", requires = "cert", requires = "key")]
        ca: Option<PathBuf>,
        /// tcp: the certificate that is shown to the engine, PEM
        #[arg(long, value_name = "FILE", requires = "ca")]
        cert: Option<PathBuf>,
        /// tcp: its private key, PEM; the file stays where it is
        #[arg(long, value_name = "FILE", requires = "ca")]
        key: Option<PathBuf>,
        /// A key file to sign in with
        #[arg(long, value_name = "FILE")]
        identity: Vec<PathBuf>,
        /// Read the login's password from standard input
        #[arg(long, conflicts_with = "passphrase_stdin")]
        password_stdin: bool,
        /// Read the key file's passphrase from standard input
        #[arg(long)]
        passphrase_stdin: bool,
        /// Reach it through this host, or through several with commas between them
        #[arg(long, value_name = "HOST[,HOST…]")]
        jump: Option<String>,
        /// The SSH configuration to read instead of ~/.ssh/config; `none` reads none
        #[arg(long, value_name = "FILE")]
        ssh_config: Option<PathBuf>,
        /// Trust the host key that has this fingerprint; NAME=SHA256:… for a jump host
        #[arg(long, value_name = "SHA256:…")]
        trust_host_key: Vec<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Make a Windows machine a container host: shows the plan, asks, and goes on where an earlier try broke off
    Prepare {
        /// A host that was added
        name: String,
        /// Only show what would be done
        #[arg(long)]
        plan: bool,
        /// Agree to the plan beforehand
        #[arg(long, conflicts_with = "plan")]
        yes: bool,
        /// Leave this step out: sshd, firewall, key or tls
        #[arg(long, value_name = "STEP")]
        without: Vec<String>,
        /// Make new certificates for the engine's listener: another computer's then hold no longer
        #[arg(long)]
        new_certificates: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Say what is wrong with a Windows machine as a container host
    Doctor {
        /// A host that was added
        name: String,
        /// Repair what preparing it again repairs
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Take back what `prepare` changed on a machine, and only that
    Unprepare {
        /// A host that was added
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List the hosts as they are known
    List {
        #[command(flatten)]
        json: Json,
    },
    /// Show one host as it is known
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Reach a host and say what was found
    Check {
        /// Its name
        name: String,
        /// Trust the host key that has this fingerprint; NAME=SHA256:… for a jump host
        #[arg(long, value_name = "SHA256:…")]
        trust_host_key: Vec<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Make a host the one that is meant where none is named
    Use {
        /// Its name
        name: String,
    },
    /// Forget a host; refused while instances are there
    Remove {
        /// Its name
        name: String,
        /// Also while instances are there: they stay on the host
        #[arg(long)]
        forget: bool,
    },
}

// `--version` is SQL Server's here.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(crate) struct Up {
    /// NAME or HOST/NAME; none takes the first free of sql2022, sql2022-2, …
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) wishes: Wishes,
    /// Whether the data outlives the instance
    #[arg(long, value_name = "keep|throwaway")]
    pub(crate) data: Option<String>,
    /// Take the password from this file instead of the keychain
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// The format of the string that is printed
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// Put the string on the clipboard instead of printing it
    #[arg(long)]
    pub(crate) copy: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// What `up` and `run` may ask of a new instance.
#[derive(Debug, Args)]
pub(crate) struct Wishes {
    /// The host; none takes the default one
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// 2014, 2016, 2017, 2019, 2022 or 2025
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// express, developer or evaluation
    #[arg(long)]
    pub(crate) edition: Option<String>,
    /// An image that follows the official one's environment
    #[arg(long, value_name = "REF")]
    pub(crate) image: Option<String>,
    /// Make this database, and a login that owns it
    #[arg(long, value_name = "DB")]
    pub(crate) database: Option<String>,
    /// Run this T-SQL on a new instance, in its database, before it is handed over
    #[arg(long, value_name = "FILE.sql")]
    pub(crate) init: Option<PathBuf>,
    /// Memory, such as 2g
    #[arg(long)]
    pub(crate) memory: Option<String>,
    /// The local port, 1 to 65535
    #[arg(long, value_parser = port)]
    pub(crate) port: Option<u16>,
    /// The server's collation
    #[arg(long)]
    pub(crate) collation: Option<String>,
    /// Accept Microsoft's licence terms for SQL Server
    #[arg(long)]
    pub(crate) accept_eula: bool,
    /// Give up after so long, such as 5m
    #[arg(long, value_parser = duration)]
    pub(crate) timeout: Option<u64>,
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) wishes: Wishes,
    /// When the instance ends in any case, such as 90m
    #[arg(long, value_parser = duration, default_value = "4h")]
    pub(crate) lease: u64,
    /// Write what happens to this open file descriptor, one JSON object a line
    #[arg(long, value_name = "FD")]
    pub(crate) json_events: Option<u32>,
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = CONNECTION_HELP)]
pub(crate) struct Connection {
    /// NAME or HOST/NAME
    #[arg(required_unless_present_any = ["formats", "carriers", "read", "parts"])]
    pub(crate) name: Option<String>,
    /// The client's format; `--formats` lists them. With `--read`, the format to read it as
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// What the string travels in; `--carriers` lists them
    #[arg(long)]
    pub(crate) carrier: Option<String>,
    /// The variable or key that the carrier puts it in
    #[arg(long, value_name = "NAME", requires = "carrier")]
    pub(crate) variable: Option<String>,
    /// Another database than the instance's own
    #[arg(long, value_name = "DB", conflicts_with_all = ["read", "parts"])]
    pub(crate) database: Option<String>,
    /// Another login than the default one
    #[arg(long, conflicts_with_all = ["read", "parts"])]
    pub(crate) login: Option<String>,
    /// Put it on the clipboard instead of printing it
    #[arg(long, conflicts_with_all = ["read", "parts", "explain", "test"])]
    pub(crate) copy: bool,
    /// Only the password, for clients that read it from their standard input
    #[arg(long, conflicts_with_all = ["format", "read", "parts", "explain", "test"])]
    pub(crate) password: bool,
    /// Say what each part means, the password masked
    #[arg(long, conflicts_with_all = ["test", "read"])]
    pub(crate) explain: bool,
    /// Open it with the drivers that are installed here, and say what came of it
    #[arg(long, conflicts_with_all = ["carrier", "read"])]
    pub(crate) test: bool,
    /// Write the string for parts given as JSON, for a server that Berth does not run; `-` is standard input
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["name", "read"])]
    pub(crate) parts: Option<PathBuf>,
    /// Read a string, or a file that holds one, and say what it means and what is wrong with it; `-` is standard input
    #[arg(long, value_name = "FILE|-", conflicts_with = "name")]
    pub(crate) read: Option<PathBuf>,
    /// With `--read`: print the string as it should be, whole
    #[arg(long, requires = "read", conflicts_with_all = ["name", "parts"])]
    pub(crate) mended: bool,
    /// List the formats
    #[arg(long, conflicts_with_all = ["name", "format", "copy", "carrier", "carriers", "read", "parts"])]
    pub(crate) formats: bool,
    /// List the carriers
    #[arg(long, conflicts_with_all = ["name", "format", "copy", "carrier", "read", "parts"])]
    pub(crate) carriers: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// What `berth connection --help` ends with.
const CONNECTION_HELP: &str = r#"Parts are a JSON object:
  {"host","port","database","user","password","tls":"verified|pinned|unverified","ca"?,"certificate"?,"app"?,"options"?}

Examples:
  berth connection orders --format jdbc
  berth connection orders --format go --carrier dotenv-python --variable DATABASE_URL >> .env
  berth connection orders --carrier user-secrets | dotnet user-secrets set
  berth connection orders --test
  berth connection --read - < appsettings.json"#;

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// NAME or HOST/NAME
    pub(crate) name: String,
    /// T-SQL; `-` or nothing reads standard input
    pub(crate) sql: Option<String>,
    /// Read T-SQL from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "sql")]
    pub(crate) file: Option<PathBuf>,
    /// Another database than the instance's own
    #[arg(long, value_name = "DB")]
    pub(crate) database: Option<String>,
    /// Another login than the default one
    #[arg(long)]
    pub(crate) login: Option<String>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print CSV
    #[arg(long)]
    pub(crate) csv: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Practice {
    /// Serve it until Ctrl-C, for any SSH, Docker or SQL client
    Serve {
        /// Where it keeps its disks and data
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Its SSH port on 127.0.0.1; none takes a free one
        #[arg(long)]
        ssh_port: Option<u16>,
        /// A port on 127.0.0.1 for its engine behind mutual TLS; 0 takes a free one
        #[arg(long)]
        tls_port: Option<u16>,
        /// Which machine it plays
        #[arg(long, default_value = "ready")]
        machine: String,
        /// A fault to play, such as slow-start=5; may be given several times
        #[arg(long)]
        fault: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Say what it holds
    Status {
        #[command(flatten)]
        json: Json,
    },
    /// End it: strings of tunnelled instances stop working until the next command
    Stop {
        /// Also while operations are under way
        #[arg(long)]
        force: bool,
    },
    /// Start it at login (macOS)
    Install,
    /// Do not start it at login any more
    Uninstall,
    /// Run it in this process; other commands do so by themselves
    #[command(hide = true)]
    Serve {
        /// End after so many seconds without anything to do
        #[arg(long, env = "BERTH_AGENT_IDLE", default_value_t = berth_agent::serve::IDLE.as_secs())]
        idle: u64,
    },
}

/// Reads a port number.
fn port(text: &str) -> Result<u16, String> {
    text.parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| "write a number from 1 to 65535".into())
}

/// Reads `90`, `90s`, `5m`, `2h` as seconds.
fn duration(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("write a time such as `90s`, `5m` or `1h`".into()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .filter(|n| *n > 0 && *n <= 366 * 86_400)
        .ok_or_else(|| "write a time such as `90s`, `5m` or `1h`".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(duration("90"), Ok(90));
        assert_eq!(duration("5m"), Ok(300));
        assert_eq!(duration("1h"), Ok(3600));
        for bad in ["", "m", "1x", "-1s", "0", "999999999999d", "1.5h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
