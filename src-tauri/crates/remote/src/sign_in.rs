//! Signing in: which ways are tried, in which order, and what is told when none works.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use berth_core::{Code, Error, Result, Secret};
use russh::{
    AgentAuthError, MethodKind, MethodSet,
    client::{AuthResult, Handle, KeyboardInteractiveAuthResponse},
    keys::{Algorithm, Certificate, HashAlg, PublicKey, agent::AgentIdentity},
};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::{
    Address, Ask, Method, Prompt, Question,
    agent::{self, Agent, Hand},
    client::{Facts, Watcher, reason_text},
    key_file,
    ssh_config::beside,
};

/// What a user has to sign in with. Tried in this order: certificates, keys of the agent that match an
/// identity, the identities, the other keys of the agent, the password, questions.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    /// Private key files. A `-cert.pub` beside one counts as its certificate; a public key stands for
    /// the key of the agent that it belongs to.
    pub identities: Vec<PathBuf>,
    /// More certificates, for keys among the identities or in the agent (`CertificateFile`).
    pub certificates: Vec<PathBuf>,
    /// Whether keys of the agent that match no identity stay untried (`IdentitiesOnly`).
    pub identities_only: bool,
    /// The socket of an SSH agent.
    pub agent: Option<PathBuf>,
    /// The user's password on the host.
    pub password: Option<Secret>,
    /// The passphrase of the identities.
    pub passphrase: Option<Secret>,
    /// The ways that may be tried, best first; all where nothing is said.
    pub methods: Option<Vec<Method>>,
    /// The algorithms that a key may sign with (`PubkeyAcceptedAlgorithms`); all but SHA-1 where nothing is said.
    pub key_algorithms: Option<Vec<String>>,
    /// Who answers what a host asks beyond a password.
    pub ask: Option<Arc<dyn Ask>>,
}

/// How signing in went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accepted {
    /// The ways that were accepted, in words.
    pub(crate) way: String,
    /// Whether the password was one of them.
    pub(crate) password: bool,
    /// Whether somebody had to answer: it cannot be repeated without them.
    pub(crate) personal: bool,
}

/// For one way to sign in.
const TIMEOUT: Duration = Duration::from_secs(20);

/// For a signature of the agent, which may ask its owner for a finger or a click.
const AGENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Keys that are offered at most where a password is there as well. Servers end the connection after
/// `MaxAuthTries` failures, 6 by default, and a password needs its own.
const MOST_KEYS: usize = 5;

/// Keys that are offered at most otherwise: the server counts, as it does for `ssh`.
const MOST_KEYS_ALONE: usize = 32;

/// How long the end of a connection may take to be told whole: what the host said last comes just before it.
const GOODBYE: Duration = Duration::from_secs(1);

/// Rounds of questions that a server may ask before it is given up.
const MOST_ROUNDS: usize = 8;

#[derive(Clone)]
enum Attempt {
    /// A key or certificate that the agent has.
    Agent(Box<AgentIdentity>),
    /// A certificate of a file; the agent has its key.
    CertificateByAgent(PathBuf, Box<Certificate>),
    /// A certificate of a file and the file of its key.
    CertificateFile(PathBuf, Box<Certificate>, PathBuf),
    /// A key file, and its public half where that can be read.
    KeyFile(PathBuf, Option<PublicKey>),
    Password,
    Questions,
}

impl Attempt {
    fn method(&self) -> MethodKind {
        match self {
            Self::Password => MethodKind::Password,
            Self::Questions => MethodKind::KeyboardInteractive,
            _ => MethodKind::PublicKey,
        }
    }

    /// The plain key that it offers.
    fn plain_key(&self) -> Option<PublicKey> {
        match self {
            Self::Agent(identity) => match identity.as_ref() {
                AgentIdentity::PublicKey { key, .. } => Some(key.clone()),
                AgentIdentity::Certificate { .. } => None,
            },
            Self::KeyFile(_, key) => key.clone(),
            _ => None,
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
) -> Result<Accepted> {
    let mut problems: Vec<Error> = Vec::new();
    let mut agent = None;
    let mut agent_keys = Vec::new();
    let by_key = with
        .methods
        .as_ref()
        .is_none_or(|m| m.contains(&Method::PublicKey));
    if let Some(socket) = with.agent.as_ref().filter(|_| by_key) {
        match agent::open(socket, handle).await {
            Ok((client, keys)) => {
                agent = Some(client);
                agent_keys = keys;
            }
            Err(e) => problems.push(e),
        }
    }
    let mut attempts = plan(with, agent_keys, &mut problems).await;
    let mut allowed: Option<MethodSet> = None;
    let mut tried: Vec<String> = Vec::new();
    let mut accepted: Vec<String> = Vec::new();
    let mut result = Accepted::default();
    let mut refused_keys: Vec<PublicKey> = Vec::new();
    let mut keys_offered = 0;
    let most_keys = if with.password.is_some() {
        MOST_KEYS
    } else {
        MOST_KEYS_ALONE
    };
    // Refused by servers that do not take this method yet.
    let mut postponed: Vec<Attempt> = Vec::new();

    // Without a password a host's questions are asked for only where the host says that it has some.
    let is_asking =
        |attempt: &Attempt| matches!(attempt, Attempt::Questions) && with.password.is_none();
    if attempts.iter().all(is_asking) {
        // Some servers want nothing; the others tell here what they want.
        match timeout(TIMEOUT, handle.authenticate_none(&address.user)).await {
            Ok(Ok(AuthResult::Success)) => {
                result.way = "no credentials".to_owned();
                return Ok(result);
            }
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
        allowed
            .as_ref()
            .map_or(!is_asking(a), |set| set.contains(&a.method()))
            && (a.method() != MethodKind::PublicKey || keys_offered < most_keys)
    }) {
        let attempt = attempts.remove(index);
        let key = attempt.plain_key();
        // A key that the agent has and the server refused is no better from its file.
        if let Some(key) = &key
            && refused_keys.iter().any(|k| k.key_data() == key.key_data())
        {
            continue;
        }
        let is_key = attempt.method() == MethodKind::PublicKey;
        keys_offered += usize::from(is_key);
        match try_one(handle, address, with, &mut agent, &attempt, &mut result).await? {
            Outcome::Accepted(way) => {
                result.password |= uses_password(&attempt, &way);
                accepted.push(way);
                result.way = accepted.join(" and ");
                return Ok(result);
            }
            Outcome::Refused {
                tried: way,
                left,
                partial,
            } => {
                if facts.closed.is_cancelled() || left.is_empty() && handle.is_closed() {
                    return Err(ended(address, facts, &tried, &way).await);
                }
                if partial {
                    result.password |= uses_password(&attempt, &way);
                    accepted.push(way);
                    attempts.splice(..0, postponed.drain(..));
                } else {
                    if left.contains(&attempt.method()) {
                        refused_keys.extend(key);
                    } else {
                        postponed.push(attempt);
                    }
                    tried.push(way);
                }
                allowed = Some(left);
            }
            Outcome::Skipped(problem) => {
                keys_offered -= usize::from(is_key);
                problems.push(problem);
            }
        }
        if handle.is_closed() {
            return Err(ended(address, facts, &tried, "").await);
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

fn uses_password(attempt: &Attempt, way: &str) -> bool {
    matches!(attempt, Attempt::Password)
        || matches!(attempt, Attempt::Questions) && way == PASSWORD_ASKED
}

/// The files among what somebody has to sign in with, read.
#[derive(Default)]
struct Files {
    /// Each identity's public half, as far as it can be read without its passphrase.
    public: Vec<(PathBuf, Option<PublicKey>)>,
    certificates: Vec<(PathBuf, Certificate)>,
    problems: Vec<Error>,
}

fn read_files(identities: &[PathBuf], certificates: &[PathBuf]) -> Files {
    let mut files = Files::default();
    for path in identities {
        let beside_it = beside(path, "-cert.pub");
        if let Ok(certificate) = key_file::certificate(&beside_it) {
            files.certificates.push((beside_it, certificate));
        }
        files
            .public
            .push((path.clone(), key_file::public_half(path)));
    }
    for path in certificates {
        match key_file::certificate(path) {
            Ok(certificate) => files.certificates.push((path.clone(), certificate)),
            Err(problem) => files.problems.push(problem),
        }
    }
    files
}

/// The attempts in their order, without repeating a key.
async fn plan(
    with: &SignIn,
    agent_keys: Vec<AgentIdentity>,
    problems: &mut Vec<Error>,
) -> Vec<Attempt> {
    let (identities, certificates) = (with.identities.clone(), with.certificates.clone());
    let mut files = tokio::task::spawn_blocking(move || read_files(&identities, &certificates))
        .await
        .unwrap_or_default();
    problems.append(&mut files.problems);
    let same = |a: &PublicKey, b: &PublicKey| a.key_data() == b.key_data();
    let mut attempts: Vec<Attempt> = Vec::new();

    for (path, certificate) in files.certificates {
        let key = PublicKey::from(certificate.public_key().clone());
        let held = agent_keys.iter().any(
            |identity| matches!(identity, AgentIdentity::PublicKey { key: k, .. } if same(k, &key)),
        );
        let file = files
            .public
            .iter()
            .find(|(_, public)| public.as_ref().is_some_and(|p| same(p, &key)));
        match (held, file) {
            (true, _) => {
                attempts.push(Attempt::CertificateByAgent(path, Box::new(certificate)));
            }
            (false, Some((file, _))) => attempts.push(Attempt::CertificateFile(
                path,
                Box::new(certificate),
                file.clone(),
            )),
            (false, None) => problems.push(
                Error::failed(format!(
                    "The certificate `{}` belongs to a key that is not here",
                    path.display()
                ))
                .hint("Name its key file with `--identity` or `IdentityFile`, or add the key to the SSH agent"),
            ),
        }
    }
    let (matching, other): (Vec<_>, Vec<_>) = agent_keys.into_iter().partition(|identity| {
        let key = agent::public(identity);
        files
            .public
            .iter()
            .any(|(_, public)| public.as_ref().is_some_and(|p| same(p, &key)))
    });
    let is_held = |key: &Option<PublicKey>| {
        key.as_ref()
            .is_some_and(|key| matching.iter().any(|i| same(&agent::public(i), key)))
    };
    let own: Vec<_> = files
        .public
        .iter()
        // A public key only says which key of the agent is meant.
        .filter(|(path, key)| !(is_held(key) && key_file::is_public(path)))
        .map(|(path, key)| Attempt::KeyFile(path.clone(), key.clone()))
        .collect();
    let by_agent = |identity| Attempt::Agent(Box::new(identity));
    attempts.extend(matching.into_iter().map(by_agent));
    attempts.extend(own);
    if !with.identities_only {
        attempts.extend(other.into_iter().map(by_agent));
    }
    if with.password.is_some() {
        attempts.push(Attempt::Password);
    }
    if with.password.is_some() || with.ask.is_some() {
        attempts.push(Attempt::Questions);
    }
    if let Some(methods) = &with.methods {
        let place = |attempt: &Attempt| {
            methods.iter().position(|m| {
                attempt.method()
                    == match m {
                        Method::PublicKey => MethodKind::PublicKey,
                        Method::Password => MethodKind::Password,
                        Method::Questions => MethodKind::KeyboardInteractive,
                    }
            })
        };
        attempts.retain(|attempt| place(attempt).is_some());
        attempts.sort_by_key(place);
    }
    attempts
}

async fn try_one(
    handle: &mut Handle<Watcher>,
    address: &Address,
    with: &SignIn,
    agent: &mut Option<Agent>,
    attempt: &Attempt,
    result: &mut Accepted,
) -> Result<Outcome> {
    match attempt {
        Attempt::Agent(identity) => {
            let Some(agent) = agent else {
                return Ok(Outcome::Skipped(Error::failed("There is no agent")));
            };
            let way = agent::label(identity);
            let mut hand = Hand::Agent(agent, identity.clone());
            offer(
                handle,
                address,
                with,
                identity.as_ref().clone(),
                way,
                &mut hand,
            )
            .await
        }
        Attempt::CertificateByAgent(path, certificate) => {
            let Some(agent) = agent else {
                return Ok(Outcome::Skipped(Error::failed("There is no agent")));
            };
            let way = format!("certificate {} (key of the agent)", path.display());
            let key = PublicKey::from(certificate.public_key().clone());
            let mut hand = Hand::Agent(agent, Box::new(key.into()));
            let identity = AgentIdentity::from(certificate.as_ref().clone());
            offer(handle, address, with, identity, way, &mut hand).await
        }
        Attempt::CertificateFile(path, certificate, key) => {
            let way = format!("certificate {}", path.display());
            let identity = AgentIdentity::from(certificate.as_ref().clone());
            key_of_file(handle, address, with, identity, way, key).await
        }
        Attempt::KeyFile(path, Some(public)) => {
            let way = format!("key {}", path.display());
            key_of_file(handle, address, with, public.clone().into(), way, path).await
        }
        // Its public half cannot be read without the key itself.
        Attempt::KeyFile(path, None) => {
            let key = match key_file::load(path, with.passphrase.as_ref()).await {
                Ok(key) => key,
                Err(problem) => return Ok(Outcome::Skipped(problem)),
            };
            let way = format!("key {}", path.display());
            let identity = key.public_key().clone().into();
            let mut hand = Hand::Key(Arc::new(key));
            offer(handle, address, with, identity, way, &mut hand).await
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
        Attempt::Questions => questions(handle, address, with, result).await,
    }
}

/// A key whose public half is known. A key that lacks its passphrase is offered all the same: only when the
/// server would take it does the passphrase matter.
async fn key_of_file(
    handle: &mut Handle<Watcher>,
    address: &Address,
    with: &SignIn,
    identity: AgentIdentity,
    way: String,
    path: &Path,
) -> Result<Outcome> {
    match key_file::load(path, with.passphrase.as_ref()).await {
        Ok(key) => {
            let mut hand = Hand::Key(Arc::new(key));
            offer(handle, address, with, identity, way, &mut hand).await
        }
        Err(problem) if problem.code() == Code::PassphraseNeeded => {
            match offer(handle, address, with, identity, way, &mut Hand::Nobody).await? {
                Outcome::Skipped(_) => Ok(Outcome::Skipped(problem)),
                other => Ok(other),
            }
        }
        Err(problem) => Ok(Outcome::Skipped(problem)),
    }
}

/// Offers a key or certificate, and signs where the server takes it.
async fn offer(
    handle: &mut Handle<Watcher>,
    address: &Address,
    with: &SignIn,
    identity: AgentIdentity,
    way: String,
    hand: &mut Hand<'_>,
) -> Result<Outcome> {
    let algorithm = agent::public(&identity).algorithm();
    let is_certificate = matches!(identity, AgentIdentity::Certificate { .. });
    let hash = match hash(handle, &algorithm, is_certificate, with).await {
        Ok(hash) => hash,
        Err(problem) => {
            return Ok(Outcome::Skipped(
                problem.context(format!("{way} stays untried")),
            ));
        }
    };
    let by_agent = matches!(hand, Hand::Agent(..));
    let asked = async {
        match identity {
            AgentIdentity::PublicKey { key, .. } => {
                handle
                    .authenticate_publickey_with(&address.user, key, hash, hand)
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                handle
                    .authenticate_certificate_with(&address.user, certificate, hash, hand)
                    .await
            }
        }
    };
    match timeout(AGENT_TIMEOUT, asked).await {
        Err(_) => Err(slow(address, &way)),
        Ok(Ok(result)) => Ok(outcome(result, way)),
        // The connection is gone; the caller sees that and tells why.
        Ok(Err(AgentAuthError::Send(_))) => Ok(gone(way)),
        Ok(Err(e)) => Ok(Outcome::Skipped(
            Error::failed(if by_agent {
                format!("The SSH agent did not sign with {way}")
            } else {
                format!("{way} did not sign")
            })
            .because(e.to_string()),
        )),
    }
}

fn gone(way: String) -> Outcome {
    Outcome::Refused {
        tried: way,
        left: MethodSet::empty(),
        partial: false,
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
        Ok(Err(_)) => Ok(gone(way)),
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

const PASSWORD_ASKED: &str = "password (asked for)";
const QUESTIONS: &str = "questions";

/// Answers one hidden question with the password. Anything else, such as a one-time code, is not what the
/// password was given for: it is asked from the user, where somebody is there.
async fn questions(
    handle: &mut Handle<Watcher>,
    address: &Address,
    with: &SignIn,
    result: &mut Accepted,
) -> Result<Outcome> {
    let mut way = if with.password.is_some() {
        PASSWORD_ASKED.to_owned()
    } else {
        QUESTIONS.to_owned()
    };
    let mut answered = false;
    let mut reply = timeout(
        TIMEOUT,
        handle.authenticate_keyboard_interactive_start(&address.user, None::<String>),
    )
    .await;
    for _ in 0..MOST_ROUNDS {
        let (title, instructions, prompts) = match reply {
            Err(_) => return Err(slow(address, &way)),
            Ok(Err(_)) => return Ok(gone(way)),
            Ok(Ok(KeyboardInteractiveAuthResponse::Success)) => {
                // Beside a code too: it is needed the next time.
                result.password |= answered;
                return Ok(Outcome::Accepted(way));
            }
            Ok(Ok(KeyboardInteractiveAuthResponse::Failure {
                remaining_methods,
                partial_success,
            })) => {
                result.password |= answered && partial_success;
                return Ok(Outcome::Refused {
                    tried: way,
                    left: remaining_methods,
                    partial: partial_success,
                });
            }
            Ok(Ok(KeyboardInteractiveAuthResponse::InfoRequest {
                name,
                instructions,
                prompts,
            })) => (name, instructions, prompts),
        };
        let answers: Vec<Secret> = match (prompts.as_slice(), &with.password, &with.ask) {
            ([], _, _) => Vec::new(),
            ([prompt], Some(password), _) if !prompt.echo && !answered => {
                answered = true;
                vec![password.clone()]
            }
            // Whoever asked for the connection asks for the password then, and can keep it.
            ([prompt], None, _)
                if !prompt.echo && prompt.prompt.to_lowercase().contains("password") =>
            {
                return Ok(Outcome::Skipped(Error::new(
                    Code::SignInRefused,
                    format!("`{}` asks for the password", address.place()),
                )));
            }
            (_, _, Some(ask)) => {
                QUESTIONS.clone_into(&mut way);
                result.personal = true;
                let question = Question {
                    from: address.to_string(),
                    title,
                    instructions,
                    prompts: prompts
                        .iter()
                        .map(|p| Prompt {
                            text: p.prompt.clone(),
                            hidden: !p.echo,
                        })
                        .collect(),
                };
                let wanted = question.prompts.len();
                let answers = ask.ask(question).await?;
                if answers.len() != wanted {
                    return Err(Error::failed("A question of the host was not answered"));
                }
                answers
            }
            (other, _, None) => {
                let asked: Vec<_> = other
                    .iter()
                    .map(|p| format!("`{}`", p.prompt.trim().escape_debug()))
                    .collect();
                return Err(Error::new(
                    Code::SignInRefused,
                    format!("`{}` asks for more than a password", address.place()),
                )
                .because(format!("it asks {}", asked.join(", ")))
                .hint("Somebody has to answer that each time, so Berth can only connect while you run `berth host add` or `berth host check`; a key works without"));
            }
        };
        let answers = answers
            .iter()
            .map(|answer| answer.expose_secret().to_owned())
            .collect();
        reply = timeout(
            TIMEOUT,
            handle.authenticate_keyboard_interactive_respond(answers),
        )
        .await;
    }
    Ok(Outcome::Skipped(Error::failed(
        "The host keeps asking questions without end",
    )))
}

/// With which hash an RSA key signs: SHA-2 as far as the server says and the configuration allows. SHA-1 only
/// where the configuration names `ssh-rsa`. For other keys only whether they may be used at all.
async fn hash(
    handle: &Handle<Watcher>,
    algorithm: &Algorithm,
    is_certificate: bool,
    with: &SignIn,
) -> Result<Option<HashAlg>> {
    let is_allowed = |algorithm: &Algorithm| {
        let name = match algorithm {
            Algorithm::Rsa { hash } if is_certificate => match hash {
                Some(HashAlg::Sha512) => "rsa-sha2-512-cert-v01@openssh.com".to_owned(),
                Some(_) => "rsa-sha2-256-cert-v01@openssh.com".to_owned(),
                None => "ssh-rsa-cert-v01@openssh.com".to_owned(),
            },
            other if is_certificate => other.to_certificate_type(),
            other => other.as_str().to_owned(),
        };
        match &with.key_algorithms {
            Some(names) => names.contains(&name),
            None => !matches!(algorithm, Algorithm::Rsa { hash: None }),
        }
    };
    let ruled_out = || {
        Error::failed(format!(
            "`PubkeyAcceptedAlgorithms` in the SSH configuration rules out `{}`",
            algorithm.as_str()
        ))
    };
    if !matches!(algorithm, Algorithm::Rsa { .. }) {
        return is_allowed(algorithm).then_some(None).ok_or_else(ruled_out);
    }
    // The inner `None` is a server that only knows SHA-1, the outer one a server that does not say.
    let best = handle.best_supported_rsa_hash().await.ok().flatten();
    let wishes = match best {
        Some(Some(HashAlg::Sha256)) => [Some(HashAlg::Sha256), Some(HashAlg::Sha512), None],
        Some(None) => [None, Some(HashAlg::Sha256), Some(HashAlg::Sha512)],
        Some(Some(_)) | None => [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None],
    };
    // A server that does not announce anything is older than its SHA-2 signatures, or has none.
    let wishes: Vec<_> = if best.is_none() && is_allowed(&Algorithm::Rsa { hash: None }) {
        vec![None]
    } else {
        wishes.to_vec()
    };
    wishes
        .into_iter()
        .find(|hash| is_allowed(&Algorithm::Rsa { hash: *hash }))
        .ok_or_else(ruled_out)
}

fn slow(address: &Address, way: &str) -> Error {
    Error::new(
        Code::TimedOut,
        format!("`{}` did not answer while signing in", address.place()),
    )
    .because(format!("no answer to {way}"))
}

/// The host ended the connection in the middle of signing in.
/// The connection ended before the host let us in. A host that is done with us says so, or has refused something before;
/// any other end is the network's, and may be better the next time.
async fn ended(address: &Address, facts: &Facts, tried: &[String], last: &str) -> Error {
    let _ = timeout(GOODBYE, facts.closed.cancelled()).await;
    let why = facts
        .why_closed()
        .unwrap_or_else(|| reason_text(&russh::Error::Disconnect));
    let code = if tried.is_empty() && !facts.dismissed.load(Ordering::Acquire) {
        Code::Unreachable
    } else {
        Code::SignInRefused
    };
    let mut error = Error::new(
        code,
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
    if ways.len() > 3 {
        error = error.hint("Servers take only a few tries: name the right key with `--identity`, and set `IdentitiesOnly yes` for this host in `~/.ssh/config`");
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
        .any(|t| t.starts_with("key ") || t.starts_with("agent") || t.starts_with("certificate"));
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
