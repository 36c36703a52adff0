//! Signing in: which ways are tried, in which order, and what is told when none works.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use berth_core::{Code, Error, Result, Secret};
use russh::{
    MethodKind, MethodSet,
    client::{AuthResult, Handle, KeyboardInteractiveAuthResponse},
    keys::{
        self, Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
    },
};
use secrecy::ExposeSecret;
use tokio::{net::UnixStream, time::timeout};

use crate::{
    Address,
    client::{Facts, Watcher, reason_text},
    key_file,
};

/// What a user has to sign in with. Tried in this order: keys of the agent that match an
/// identity, the identities, the other keys of the agent, the password.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    /// Private key files.
    pub identities: Vec<PathBuf>,
    /// The socket of an SSH agent.
    pub agent: Option<PathBuf>,
    /// The user's password on the host.
    pub password: Option<Secret>,
    /// The passphrase of the identities.
    pub passphrase: Option<Secret>,
}

/// For one way to sign in.
const TIMEOUT: Duration = Duration::from_secs(20);

/// For a signature of the agent, which may ask its owner for a finger or a click.
const AGENT_TIMEOUT: Duration = Duration::from_secs(60);

/// For the agent to list its keys.
const AGENT_ANSWER: Duration = Duration::from_secs(5);

/// Keys that are offered at most. Servers end the connection after `MaxAuthTries`
/// failures, 6 by default, and a password needs its own.
const MOST_KEYS: usize = 5;

/// Rounds of questions that a server may ask before it is given up.
const MOST_ROUNDS: usize = 6;

type Agent = AgentClient<UnixStream>;

enum Attempt {
    AgentKey { key: PublicKey, label: String },
    KeyFile(PathBuf),
    Password,
    Questions,
}

impl Attempt {
    fn method(&self) -> MethodKind {
        match self {
            Self::AgentKey { .. } | Self::KeyFile(_) => MethodKind::PublicKey,
            Self::Password => MethodKind::Password,
            Self::Questions => MethodKind::KeyboardInteractive,
        }
    }
}

/// What one attempt came to.
enum Outcome {
    Accepted(String),
    /// Tried and refused; the server told what it would still take.
    Refused {
        tried: String,
        left: MethodSet,
        partial: bool,
    },
    /// Could not even be tried.
    Skipped(Error),
}

/// Signs in; answers the way that was accepted.
pub(crate) async fn sign_in(
    handle: &mut Handle<Watcher>,
    address: &Address,
    with: &SignIn,
    facts: &Facts,
) -> Result<String> {
    let mut problems: Vec<Error> = Vec::new();
    let mut agent = None;
    let mut agent_keys = Vec::new();
    if let Some(socket) = &with.agent {
        match open_agent(socket, handle).await {
            Ok((client, keys)) => {
                agent = Some(client);
                agent_keys = keys;
            }
            Err(e) => problems.push(e),
        }
    }
    let mut attempts = plan(with, agent_keys).await;
    let mut allowed: Option<MethodSet> = None;
    let mut tried: Vec<String> = Vec::new();
    let mut accepted: Vec<String> = Vec::new();
    let mut keys_offered = 0;
    // Refused by servers that do not take this method yet.
    let mut postponed: Vec<Attempt> = Vec::new();

    if attempts.is_empty() {
        // Some servers want nothing; the others tell here what they want.
        match timeout(TIMEOUT, handle.authenticate_none(&address.user)).await {
            Ok(Ok(AuthResult::Success)) => return Ok("no credentials".to_owned()),
            Ok(Ok(AuthResult::Failure {
                remaining_methods, ..
            })) => allowed = Some(remaining_methods),
            Ok(Err(_)) => {}
            Err(_) => return Err(slow(address, "what it takes")),
        }
    }
    // Attempts are taken in order, but only by a method that the server still takes. After a
    // partial success the list is read from its start again: a server may want the password
    // first and the key then.
    while let Some(index) = attempts.iter().position(|a| {
        allowed.as_ref().is_none_or(|set| set.contains(&a.method()))
            && (a.method() != MethodKind::PublicKey || keys_offered < MOST_KEYS)
    }) {
        let attempt = attempts.remove(index);
        if attempt.method() == MethodKind::PublicKey {
            keys_offered += 1;
        }
        match try_one(handle, address, with, &mut agent, &attempt).await? {
            Outcome::Accepted(way) => {
                accepted.push(way);
                return Ok(accepted.join(" and "));
            }
            Outcome::Refused {
                tried: way,
                left,
                partial,
            } => {
                if facts.closed.is_cancelled() || left.is_empty() && handle.is_closed() {
                    return Err(ended(address, facts, &tried, &way));
                }
                if partial {
                    accepted.push(way);
                    attempts.splice(..0, postponed.drain(..));
                } else {
                    if !left.contains(&attempt.method()) {
                        postponed.push(attempt);
                    }
                    tried.push(way);
                }
                allowed = Some(left);
            }
            Outcome::Skipped(problem) => {
                if matches!(attempt, Attempt::KeyFile(_)) {
                    keys_offered -= 1;
                }
                problems.push(problem);
            }
        }
        if handle.is_closed() {
            return Err(ended(address, facts, &tried, ""));
        }
    }
    Err(refused(
        address,
        &tried,
        &accepted,
        allowed.as_ref(),
        problems,
    ))
}

/// The attempts in their order, without repeating a key.
async fn plan(with: &SignIn, agent_keys: Vec<(PublicKey, String)>) -> Vec<Attempt> {
    let identities = with.identities.clone();
    let public = tokio::task::spawn_blocking(move || {
        identities
            .iter()
            .map(|path| key_file::public_half(path))
            .collect::<Vec<_>>()
    })
    .await
    .unwrap_or_default();
    let is_identity = |key: &PublicKey| {
        public
            .iter()
            .flatten()
            .any(|p| p.key_data() == key.key_data())
    };
    let (matching, other): (Vec<_>, Vec<_>) = agent_keys
        .into_iter()
        .partition(|(key, _)| is_identity(key));
    let by_agent = |(key, label)| Attempt::AgentKey { key, label };
    let mut attempts: Vec<Attempt> = matching.into_iter().map(by_agent).collect();
    attempts.extend(with.identities.iter().cloned().map(Attempt::KeyFile));
    attempts.extend(other.into_iter().map(by_agent));
    if with.password.is_some() {
        attempts.extend([Attempt::Password, Attempt::Questions]);
    }
    attempts
}

async fn open_agent(
    socket: &Path,
    handle: &Handle<Watcher>,
) -> Result<(Agent, Vec<(PublicKey, String)>)> {
    let failed = |why: String| {
        Error::failed(format!(
            "The SSH agent at `{}` does not answer",
            socket.display()
        ))
        .because(why)
    };
    let ask = async {
        let mut agent = Agent::connect_uds(socket)
            .await
            .map_err(|e| failed(e.to_string()))?;
        // Keys that are bound to one destination are only shown on a bound connection.
        // Agents that do not know this extension refuse it, which does no harm.
        if let Some(binding) = handle.agent_session_binding() {
            match agent.bind_session(binding, false).await {
                Ok(()) | Err(keys::Error::AgentFailure) => {}
                Err(e) => return Err(failed(e.to_string())),
            }
        }
        let identities = agent
            .request_identities()
            .await
            .map_err(|e| failed(e.to_string()))?;
        let keys = identities
            .into_iter()
            .filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
                AgentIdentity::Certificate { .. } => None,
            })
            .collect();
        Ok((agent, keys))
    };
    timeout(AGENT_ANSWER, ask)
        .await
        .map_err(|_| failed(format!("no answer within {} s", AGENT_ANSWER.as_secs())))?
}

async fn try_one(
    handle: &mut Handle<Watcher>,
    address: &Address,
    with: &SignIn,
    agent: &mut Option<Agent>,
    attempt: &Attempt,
) -> Result<Outcome> {
    match attempt {
        Attempt::AgentKey { key, label } => {
            let Some(agent) = agent else {
                return Ok(Outcome::Skipped(Error::failed("There is no agent")));
            };
            let way = if label.is_empty() {
                "agent".to_owned()
            } else {
                format!("agent ({})", label.escape_debug())
            };
            let hash = rsa_hash(handle, &key.algorithm()).await;
            match timeout(
                AGENT_TIMEOUT,
                handle.authenticate_publickey_with(&address.user, key.clone(), hash, agent),
            )
            .await
            {
                Err(_) => Err(slow(address, &way)),
                Ok(Ok(result)) => Ok(outcome(result, way)),
                Ok(Err(e)) => Ok(Outcome::Skipped(
                    Error::failed(format!("The SSH agent did not sign with {way}"))
                        .because(e.to_string()),
                )),
            }
        }
        Attempt::KeyFile(path) => {
            let key = match key_file::load(path, with.passphrase.as_ref()).await {
                Ok(key) => key,
                Err(problem) => return Ok(Outcome::Skipped(problem)),
            };
            let hash = rsa_hash(handle, &key.algorithm()).await;
            let way = format!("key {}", path.display());
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            finish(
                address,
                way,
                handle.authenticate_publickey(&address.user, key),
            )
            .await
        }
        Attempt::Password => {
            let Some(password) = &with.password else {
                return Ok(Outcome::Skipped(Error::failed("There is no password")));
            };
            finish(
                address,
                "password".to_owned(),
                handle.authenticate_password(&address.user, password.expose_secret()),
            )
            .await
        }
        Attempt::Questions => {
            let Some(password) = &with.password else {
                return Ok(Outcome::Skipped(Error::failed("There is no password")));
            };
            timeout(TIMEOUT, questions(handle, address, password))
                .await
                .map_err(|_| slow(address, "password (asked for)"))?
        }
    }
}

async fn finish(
    address: &Address,
    way: String,
    asked: impl Future<Output = Result<AuthResult, russh::Error>>,
) -> Result<Outcome> {
    match timeout(TIMEOUT, asked).await {
        Err(_) => Err(slow(address, &way)),
        Ok(Ok(result)) => Ok(outcome(result, way)),
        // The connection is gone; the caller sees that and tells why.
        Ok(Err(_)) => Ok(Outcome::Refused {
            tried: way,
            left: MethodSet::empty(),
            partial: false,
        }),
    }
}

fn outcome(result: AuthResult, way: String) -> Outcome {
    match result {
        AuthResult::Success => Outcome::Accepted(way),
        AuthResult::Failure {
            remaining_methods,
            partial_success,
        } => Outcome::Refused {
            tried: way,
            left: remaining_methods,
            partial: partial_success,
        },
    }
}

/// Answers exactly one hidden question with the password. Anything else, such as a one-time
/// code, is not what the password was given for.
async fn questions(
    handle: &mut Handle<Watcher>,
    address: &Address,
    password: &Secret,
) -> Result<Outcome> {
    let way = "password (asked for)".to_owned();
    let mut answered = false;
    let mut reply = handle
        .authenticate_keyboard_interactive_start(&address.user, None::<String>)
        .await;
    for _ in 0..MOST_ROUNDS {
        match reply {
            Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(Outcome::Accepted(way)),
            Ok(KeyboardInteractiveAuthResponse::Failure {
                remaining_methods,
                partial_success,
            }) => {
                return Ok(Outcome::Refused {
                    tried: way,
                    left: remaining_methods,
                    partial: partial_success,
                });
            }
            Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => {
                let answers = match prompts.as_slice() {
                    [] => Vec::new(),
                    [prompt] if !prompt.echo && !answered => {
                        answered = true;
                        vec![password.expose_secret().to_owned()]
                    }
                    other => {
                        let asked: Vec<_> = other
                            .iter()
                            .map(|p| format!("`{}`", p.prompt.trim().escape_debug()))
                            .collect();
                        return Err(Error::new(
                            Code::SignInRefused,
                            format!("`{}` asks for more than a password", address.place()),
                        )
                        .because(format!("it asks {}", asked.join(", ")))
                        .hint("Signing in with a one-time code is not possible yet; a key is"));
                    }
                };
                reply = handle
                    .authenticate_keyboard_interactive_respond(answers)
                    .await;
            }
            Err(_) => {
                return Ok(Outcome::Refused {
                    tried: way,
                    left: MethodSet::empty(),
                    partial: false,
                });
            }
        }
    }
    Ok(Outcome::Skipped(Error::failed(
        "The host keeps asking questions without end",
    )))
}

/// RSA keys sign with SHA-2; a server that can only take SHA-1 gets SHA-256 and refuses.
async fn rsa_hash(handle: &Handle<Watcher>, algorithm: &Algorithm) -> Option<HashAlg> {
    if !matches!(algorithm, Algorithm::Rsa { .. }) {
        return None;
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => Some(hash),
        Ok(Some(None)) => Some(HashAlg::Sha256),
        Ok(None) | Err(_) => Some(HashAlg::Sha512),
    }
}

fn slow(address: &Address, way: &str) -> Error {
    Error::new(
        Code::TimedOut,
        format!("`{}` did not answer while signing in", address.place()),
    )
    .because(format!("no answer to {way}"))
}

/// The host ended the connection in the middle of signing in.
fn ended(address: &Address, facts: &Facts, tried: &[String], last: &str) -> Error {
    let why = facts
        .why_closed()
        .unwrap_or_else(|| reason_text(&russh::Error::Disconnect));
    let mut error = Error::new(
        Code::SignInRefused,
        format!(
            "`{}` ended the connection while signing in as `{}`",
            address.place(),
            address.user
        ),
    )
    .because(why);
    let ways: Vec<_> = tried
        .iter()
        .map(String::as_str)
        .chain([last])
        .filter(|w| !w.is_empty())
        .collect();
    if !ways.is_empty() {
        error = error.because(format!("tried: {}", ways.join(", ")));
    }
    error
}

fn refused(
    address: &Address,
    tried: &[String],
    accepted: &[String],
    allowed: Option<&MethodSet>,
    problems: Vec<Error>,
) -> Error {
    // A key that only lacks its passphrase is the one thing that the reader can mend here.
    if let Some(needed) = problems.iter().find(|p| p.code() == Code::PassphraseNeeded)
        && allowed.is_none_or(|set| set.contains(&MethodKind::PublicKey))
    {
        return needed.clone();
    }
    // When nothing could be tried because of one thing, that thing is the error.
    if tried.is_empty()
        && accepted.is_empty()
        && problems.len() == 1
        && let Some(problem) = problems.first()
    {
        return problem.clone();
    }
    let mut error = Error::new(
        Code::SignInRefused,
        format!(
            "`{}` does not let `{}` sign in",
            address.place(),
            address.user
        ),
    );
    if !accepted.is_empty() {
        error = error.because(format!("it took {}, but wants more", accepted.join(", ")));
    }
    error = error.because(if tried.is_empty() {
        "nothing could be tried".to_owned()
    } else {
        format!("tried: {}", tried.join(", "))
    });
    let names: Vec<&str> = allowed
        .map(|set| set.iter().map(<&str>::from).collect())
        .unwrap_or_default();
    if !names.is_empty() {
        error = error.because(format!("it would take: {}", names.join(", ")));
    }
    for problem in &problems {
        error = error.because(problem.to_string());
    }
    let with_key = tried
        .iter()
        .any(|t| t.starts_with("key ") || t.starts_with("agent"));
    error = error
        .detail("tried", tried.join(", "))
        .detail("methods", names.join(" "));
    if with_key {
        error.hint(
            "Is the public key in `authorized_keys` of this user? On Windows an administrator's keys belong into `C:\\ProgramData\\ssh\\administrators_authorized_keys`, which only Administrators and SYSTEM may be able to write",
        )
    } else {
        error.hint("Check the user name and the password, or add a key with `--identity`")
    }
}
