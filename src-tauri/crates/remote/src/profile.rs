//! How one host is reached: as whom, with which keys, past which other hosts.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use berth_core::{Code, Error, Result, Secret};
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

use crate::{
    Address, Ask, HostKeys, SignIn,
    proxy::ProxyCommand,
    ssh_config::{Jump, Resolved, Settings, beside},
    tokens::Tokens,
};

/// One server, how to get in there, and what carries the bytes to it.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Where it is, and as whom to sign in.
    pub address: Address,
    /// What there is to sign in with.
    pub sign_in: SignIn,
    /// Which host keys are trusted.
    pub host_keys: HostKeys,
    /// What may be agreed on.
    pub settings: Settings,
    /// What carries the bytes.
    pub via: Via,
}

/// What carries the bytes of an SSH connection.
#[derive(Debug, Clone, Default)]
pub enum Via {
    /// TCP from this machine.
    #[default]
    Direct,
    /// The standard input and output of a program (`ProxyCommand`).
    Command(ProxyCommand),
    /// A tunnel from another server (`ProxyJump`), which may lie behind yet another.
    Jump(Box<Profile>),
}

impl Profile {
    /// A server that is reached by TCP with Berth's own settings.
    #[must_use]
    pub fn direct(address: Address, sign_in: SignIn, host_keys: HostKeys) -> Self {
        Self {
            address,
            sign_in,
            host_keys,
            settings: Settings::default(),
            via: Via::Direct,
        }
    }

    /// Where it leads and past what, for people: `ann@10.0.0.5:22 through me@bastion:22`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.via {
            Via::Direct => self.address.to_string(),
            Via::Command(_) => format!("{} through a ProxyCommand", self.address),
            Via::Jump(jump) => format!("{} through {}", self.address, jump.in_words()),
        }
    }
}

/// A host as somebody named it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The user, where it is said.
    pub user: Option<String>,
    /// A name of the SSH configuration, a name or an address.
    pub host: String,
    /// The port, where it is said.
    pub port: Option<u16>,
    /// The jump hosts, in the order in which they are passed; none leaves it to the configuration.
    pub jump: Vec<Jump>,
    /// Key files that somebody named; they come before those of the configuration.
    pub identities: Vec<PathBuf>,
    /// The configuration to read instead of the user's and the machine's; `none` reads none.
    pub config: Option<PathBuf>,
}

/// What this machine has.
#[derive(Debug, Clone, Default)]
pub struct Local {
    /// The user's home.
    pub home: Option<PathBuf>,
    /// The user's name here: the login where none is named.
    pub user: String,
    /// This machine's name.
    pub machine: String,
    /// The socket of the caller's SSH agent.
    pub agent: Option<PathBuf>,
    /// Berth's own record of host keys.
    pub known_hosts: PathBuf,
}

/// What somebody gave to get in.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The password on the host itself; a jump host never sees it.
    pub password: Option<Secret>,
    /// The passphrase of key files. It stays on this machine, so it is tried on each.
    pub passphrase: Option<Secret>,
    /// Fingerprints that somebody decided to trust: `SHA256:…` for the host itself, `NAME=SHA256:…` for the
    /// server of that name, as an error about an unknown key names it.
    pub trust: Vec<String>,
    /// Who answers questions of a host.
    pub ask: Option<Arc<dyn Ask>>,
}

/// How a host is reached, and what the configuration wants beyond what Berth does.
#[derive(Debug, Clone)]
pub struct Found {
    /// The way.
    pub profile: Profile,
    /// Each in one sentence, for the user.
    pub notes: Vec<String>,
}

/// For `ssh -G`, which may run commands of `Match exec` and ask the DNS.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What `ssh -G` prints at most, in bytes; some 10 kB are usual.
const MOST_OUTPUT: u64 = 1 << 20;

/// Jump hosts one behind the other.
const MOST_JUMPS: usize = 8;

/// The key files that `ssh` tries by itself.
const USUAL_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Finds the way to a host by `ssh -G`, which reads the user's SSH configuration. Where there is no `ssh`
/// the host is reached as it is named.
///
/// # Errors
/// The configuration cannot be read, or wants what Berth would have to leave out at the cost of safety.
pub async fn resolve(wanted: &Wanted, local: &Local, given: &Given) -> Result<Found> {
    let mut notes = Vec::new();
    let profile = hop(wanted, local, given, true, MOST_JUMPS, &mut notes).await?;
    notes.dedup();
    Ok(Found { profile, notes })
}

async fn hop(
    wanted: &Wanted,
    local: &Local,
    given: &Given,
    is_target: bool,
    jumps_left: usize,
    notes: &mut Vec<String>,
) -> Result<Profile> {
    let Some(jumps_left) = jumps_left.checked_sub(1) else {
        return Err(Error::failed(format!(
            "The way to `{}` passes more than {MOST_JUMPS} jump hosts",
            wanted.host
        ))
        .hint("Does a jump host of `~/.ssh/config` lead back to itself?"));
    };
    let asked = ask_ssh(wanted, local).await?;
    let has_ssh = asked.is_some();
    if !has_ssh && is_target {
        notes.push("There is no `ssh` on this machine, so `~/.ssh/config` was not read".to_owned());
    }
    let config = asked.unwrap_or_default();

    let mut tokens = Tokens {
        host: config.get("hostname").unwrap_or(&wanted.host).to_owned(),
        given: wanted.host.clone(),
        key_alias: config
            .get("hostkeyalias")
            .unwrap_or(&wanted.host)
            .to_owned(),
        port: config
            .get("port")
            .and_then(|p| p.parse().ok())
            .or(wanted.port)
            .unwrap_or(22),
        remote_user: config
            .get("user")
            .map(str::to_owned)
            .or_else(|| wanted.user.clone())
            .unwrap_or_else(|| local.user.clone()),
        local_user: local.user.clone(),
        machine: local.machine.clone(),
        jump: String::new(),
        home: local.home.clone(),
        uid: rustix::process::getuid().as_raw(),
        agent: local.agent.clone(),
    };
    let via = via(
        wanted,
        local,
        given,
        &config,
        &mut tokens,
        jumps_left,
        notes,
    )
    .await?;
    let about = if is_target {
        String::new()
    } else {
        format!("{}: ", wanted.host)
    };
    notes.extend(
        config
            .not_honoured()
            .into_iter()
            .map(|note| format!("{about}{note}")),
    );
    let address = Address {
        user: tokens.remote_user.clone(),
        host: tokens.host.clone(),
        port: tokens.port,
    };
    Ok(Profile {
        sign_in: sign_in(wanted, local, given, is_target, has_ssh, &config, &tokens).await?,
        host_keys: host_keys(local, given, is_target, has_ssh, &address, &config, &tokens)?,
        settings: config.settings(),
        address,
        via,
    })
}

async fn via(
    wanted: &Wanted,
    local: &Local,
    given: &Given,
    config: &Resolved,
    tokens: &mut Tokens,
    jumps_left: usize,
    notes: &mut Vec<String>,
) -> Result<Via> {
    if let Some(command) = config.get("proxycommand") {
        if config.yes("proxyusefdpass") == Some(true) {
            return Err(Error::failed(format!(
                "`{}` is reached by a ProxyCommand that hands over an open connection, which Berth cannot take",
                wanted.host
            ))
            .because("`ProxyUseFdpass yes`")
            .hint("Let the command carry the bytes itself"));
        }
        if is_shell_syntax(&tokens.host) || is_shell_syntax(&tokens.remote_user) {
            return Err(Error::new(
                Code::Refused,
                format!(
                    "`{}@{}` cannot be given to a ProxyCommand",
                    tokens.remote_user.escape_debug(),
                    tokens.host.escape_debug()
                ),
            )
            .because("a shell would read a part of it as a command"));
        }
        return Ok(Via::Command(ProxyCommand {
            line: tokens.expand("ProxyCommand", command)?,
            agent: local.agent.clone(),
        }));
    }
    let chain = match config.get("proxyjump") {
        Some(text) => Jump::chain(&tokens.expand("ProxyJump", text)?)?,
        None => wanted.jump.clone(),
    };
    let Some((last, before)) = chain.split_last() else {
        return Ok(Via::Direct);
    };
    tokens.jump = chain
        .iter()
        .map(Jump::written)
        .collect::<Vec<_>>()
        .join(",");
    // `Host *` with a ProxyJump names the jump host too; OpenSSH takes that for no jump as well.
    if last.host == wanted.host && before.is_empty() {
        return Ok(Via::Direct);
    }
    let next = Wanted {
        user: last.user.clone(),
        host: last.host.clone(),
        port: last.port,
        jump: before.to_vec(),
        identities: Vec::new(),
        config: wanted.config.clone(),
    };
    let jump = Box::pin(hop(&next, local, given, false, jumps_left, notes)).await?;
    Ok(Via::Jump(Box::new(jump)))
}

/// What OpenSSH, too, refuses in names that reach a shell (since 9.6).
fn is_shell_syntax(name: &str) -> bool {
    name.starts_with('-')
        || name.ends_with('\\')
        || name.contains(|c: char| c.is_control() || "'`\"$;&<>|(){}".contains(c))
}

async fn sign_in(
    wanted: &Wanted,
    local: &Local,
    given: &Given,
    is_target: bool,
    has_ssh: bool,
    config: &Resolved,
    tokens: &Tokens,
) -> Result<SignIn> {
    let mut identities = wanted.identities.clone();
    let named = if has_ssh {
        config
            .all("identityfile")
            .filter(|name| !name.eq_ignore_ascii_case("none"))
            .map(|name| tokens.path("IdentityFile", name))
            .collect::<Result<Vec<_>>>()?
    } else if identities.is_empty() {
        let folder = local.home.as_ref().map(|home| home.join(".ssh"));
        USUAL_KEYS
            .iter()
            .filter_map(|name| folder.as_ref().map(|folder| folder.join(name)))
            .collect()
    } else {
        Vec::new()
    };
    for file in named {
        if !identities.contains(&file)
            && (there(&file).await || there(&beside(&file, ".pub")).await)
        {
            identities.push(file);
        }
    }
    let certificates = config
        .all("certificatefile")
        .filter(|name| !name.eq_ignore_ascii_case("none"))
        .map(|name| tokens.path("CertificateFile", name))
        .collect::<Result<Vec<_>>>()?;
    Ok(SignIn {
        identities,
        certificates,
        identities_only: config.yes("identitiesonly") == Some(true),
        agent: agent(local, config, tokens)?,
        password: given.password.clone().filter(|_| is_target),
        passphrase: given.passphrase.clone(),
        methods: has_ssh.then(|| config.methods()),
        key_algorithms: config.settings().key_algorithms,
        ask: given.ask.clone(),
    })
}

/// `IdentityAgent`: a socket, `none`, `SSH_AUTH_SOCK`, or the name of a variable behind a `$`.
fn agent(local: &Local, config: &Resolved, tokens: &Tokens) -> Result<Option<PathBuf>> {
    let Some(value) = config.all("identityagent").find(|v| !v.is_empty()) else {
        return Ok(local.agent.clone());
    };
    if value.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    if value == "SSH_AUTH_SOCK" {
        return Ok(local.agent.clone());
    }
    if let Some(name) = value.strip_prefix('$').filter(|n| !n.starts_with('{')) {
        return Ok(tokens
            .variable("IdentityAgent", name)
            .ok()
            .map(PathBuf::from)
            .or_else(|| local.agent.clone()));
    }
    tokens.path("IdentityAgent", value).map(Some)
}

fn host_keys(
    local: &Local,
    given: &Given,
    is_target: bool,
    has_ssh: bool,
    address: &Address,
    config: &Resolved,
    tokens: &Tokens,
) -> Result<HostKeys> {
    let mut read_only = Vec::new();
    if has_ssh {
        read_only.extend(config.files("userknownhostsfile", tokens)?);
        read_only.extend(config.files("globalknownhostsfile", tokens)?);
    } else {
        read_only.extend(
            local
                .home
                .as_ref()
                .map(|home| home.join(".ssh/known_hosts")),
        );
        read_only.push(PathBuf::from("/etc/ssh/ssh_known_hosts"));
    }
    let mut keys = HostKeys {
        own: local.known_hosts.clone(),
        read_only,
        trust: None,
        alias: config.get("hostkeyalias").map(str::to_owned),
        strict: config.strict(),
        revoked: config
            .get("revokedhostkeys")
            .map(|name| tokens.path("RevokedHostKeys", name))
            .transpose()?,
    };
    let name = keys.name_of(address);
    keys.trust = given
        .trust
        .iter()
        .find_map(|t| t.strip_prefix(&name)?.strip_prefix('='))
        .or_else(|| {
            given
                .trust
                .iter()
                .map(String::as_str)
                .find(|t| is_target && t.trim().starts_with("SHA256:"))
        })
        .map(str::to_owned);
    Ok(keys)
}

async fn there(file: &Path) -> bool {
    tokio::fs::try_exists(file).await.unwrap_or(false)
}

/// Runs `ssh -G`; `None` where there is no such program.
async fn ask_ssh(wanted: &Wanted, local: &Local) -> Result<Option<Resolved>> {
    let mut command = Command::new("ssh");
    command.arg("-G");
    if let Some(config) = &wanted.config {
        command.arg("-F").arg(config);
    }
    if let Some(user) = &wanted.user {
        command.arg("-l").arg(user);
    }
    if let Some(port) = wanted.port {
        command.arg("-p").arg(port.to_string());
    }
    if !wanted.jump.is_empty() {
        let chain: Vec<_> = wanted.jump.iter().map(Jump::written).collect();
        command.arg("-J").arg(chain.join(","));
    }
    for file in &wanted.identities {
        // OpenSSH leaves out a file that is not there, with a warning; Berth says so itself.
        command.arg("-i").arg(file);
    }
    command.arg("--").arg(&wanted.host);
    if let Some(agent) = &local.agent {
        command.env("SSH_AUTH_SOCK", agent);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let failed = |why: String| {
        Error::failed(format!(
            "What the SSH configuration says of `{}` could not be read",
            wanted.host
        ))
        .because(why)
    };
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e.to_string())),
    };
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed("`ssh` has no output".to_owned()));
    };
    let run = async {
        let (mut text, mut said) = (Vec::new(), Vec::new());
        let mut out = out.take(MOST_OUTPUT);
        let mut err = err.take(8 << 10);
        let (out, err) = tokio::join!(out.read_to_end(&mut text), err.read_to_end(&mut said));
        out.and(err).map_err(|e| failed(e.to_string()))?;
        let status = child.wait().await.map_err(|e| failed(e.to_string()))?;
        Ok::<_, Error>((status, text, said))
    };
    let (status, text, said) = timeout(RESOLVE_TIMEOUT, run).await.map_err(|_| {
        failed(format!(
            "`ssh -G` did not end within {} s",
            RESOLVE_TIMEOUT.as_secs()
        ))
        .hint("A `Match exec` or a name that the DNS does not answer can hold it up")
    })??;
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<_> = said
            .lines()
            .map(|line| line.trim().escape_debug().to_string())
            .filter(|line| !line.is_empty())
            .take(4)
            .collect();
        return Err(failed(if lines.is_empty() {
            format!("`ssh -G` ended with {status}")
        } else {
            format!("`ssh` says: {}", lines.join("; "))
        })
        .hint("`ssh` itself would not connect either; mend the line that it names"));
    }
    Ok(Some(Resolved::parse(&String::from_utf8_lossy(&text))))
}
