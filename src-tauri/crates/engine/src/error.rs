//! What an engine's failures mean, in our words.
//!
//! The engine's own sentence is kept as the cause, with two exceptions: where an answer could
//! not be read, because a parser's message quotes what it read, and that may be a password;
//! and where a caller gave secrets, which are taken out of it (see [`without`]).

use std::{fmt, io};

use berth_core::{Code, Error, Secret, secret::ExposeSecret};
use bollard::errors::Error as ApiError;

use crate::transport::{DialFailure, TooLarge};

/// What was being done, for the sentence that says that it failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doing<'a> {
    what: &'static str,
    name: Option<&'a str>,
}

impl<'a> Doing<'a> {
    /// `what` in the infinitive with its kind of object: `start the container`.
    pub(crate) fn new(what: &'static str, name: &'a str) -> Self {
        Self {
            what,
            name: Some(name),
        }
    }

    /// Something that has no name: `list the containers`.
    pub(crate) fn plain(what: &'static str) -> Self {
        Self { what, name: None }
    }

    fn name(&self) -> &str {
        self.name.unwrap_or_default()
    }
}

impl fmt::Display for Doing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Could not {}", self.what)?;
        match self.name {
            Some(name) => write!(f, " `{}`", name.escape_debug()),
            None => Ok(()),
        }
    }
}

/// Turns a failure of bollard into ours.
pub(crate) fn api_error(doing: &Doing<'_>, error: ApiError) -> Error {
    match error {
        ApiError::DockerResponseServerError {
            status_code,
            message,
        } => said(doing, Some(status_code), &message),
        ApiError::DockerStreamError { error } => said(doing, None, &error),
        ApiError::DockerContainerWaitError { error, .. } => said(doing, None, &error),
        ApiError::RequestTimeoutError => Error::new(Code::TimedOut, doing.to_string())
            .because("the engine did not answer in time")
            .hint("Look at the load of the host, or restart its Docker service"),
        ApiError::JsonDataError { column, .. } => unusable_answer(
            doing,
            &format!("its JSON makes no sense at character {column}"),
        ),
        ApiError::JsonSerdeError { err } => unusable_answer(
            doing,
            &format!("its JSON makes no sense at character {}", err.column()),
        ),
        ApiError::StrParseError { .. } => unusable_answer(doing, "it is not UTF-8"),
        ApiError::IOError { err } => io_error(doing, &err),
        ApiError::HyperResponseError { err } => broken(doing, &err),
        ApiError::HyperLegacyError { err } => broken(doing, &err),
        // What is left fails before anything is sent: names that make no URL.
        other => Error::failed(doing.to_string()).because(shortened(&other.to_string())),
    }
}

/// The answer is no answer of an engine. `why` must not quote it.
pub(crate) fn unusable_answer(doing: &Doing<'_>, why: &str) -> Error {
    Error::failed(doing.to_string())
        .because(format!("the answer cannot be used: {why}"))
        .hint("Check that a Docker Engine answers at this address, and not another program")
}

fn io_error(doing: &Doing<'_>, error: &io::Error) -> Error {
    if let Some(inner) = error.get_ref() {
        if let Some(DialFailure(failure)) = inner.downcast_ref() {
            return failure.clone().context(doing.to_string());
        }
        if inner.is::<TooLarge>() {
            return Error::failed(doing.to_string()).because(TooLarge.to_string());
        }
        if let Some(e) = inner.downcast_ref::<hyper::Error>() {
            return broken(doing, e);
        }
    }
    let (code, why, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied => (
            Code::Unreachable,
            "this user may not use the engine's socket",
            "Add the user to the group `docker` on the host, or sign in as an administrator",
        ),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => (
            Code::Unreachable,
            "no engine listens there",
            "Start the Docker service on the host",
        ),
        io::ErrorKind::TimedOut => (
            Code::TimedOut,
            "the connection to the engine timed out",
            "Check the network and the host",
        ),
        _ => (
            Code::Unreachable,
            "the connection to the engine broke",
            "Try again",
        ),
    };
    Error::new(code, doing.to_string())
        .because(why)
        .because(shortened(&error.to_string()))
        .hint(hint)
}

/// The HTTP exchange broke: a closed connection, or something that is not HTTP.
fn broken(doing: &Doing<'_>, error: &(dyn std::error::Error + 'static)) -> Error {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    if let Some(e) = deepest.downcast_ref::<io::Error>() {
        return io_error(doing, e);
    }
    if let Some(e) = deepest.downcast_ref::<hyper::Error>() {
        // hyper has a question for the first kind, and none for the second: bytes before a request.
        if e.is_parse() || e.to_string().contains("unexpected message") {
            return unusable_answer(doing, "it is not HTTP");
        }
        if e.is_incomplete_message() || e.is_closed() || e.is_canceled() {
            return Error::new(Code::Unreachable, doing.to_string())
                .because("the engine closed the connection before its answer was complete")
                .hint("Check that the Docker service on the host is running");
        }
    }
    Error::new(Code::Unreachable, doing.to_string())
        .because("the connection to the engine broke")
        .because(shortened(&deepest.to_string()))
        .detail(BROKE, "connection")
}

/// The detail of an error whose connection broke under the request: another one may be there at once.
pub(crate) const BROKE: &str = "broke";

/// A rule of the table: every part of one of `any` is in the engine's text, in lower case.
struct Rule {
    any: &'static [&'static str],
    code: Code,
    why: &'static str,
    hint: &'static str,
}

/// Most special first. Sources: moby's error texts, read in its source (20.10 to 29), and the
/// texts that Windows hosts are known for.
const RULES: &[Rule] = &[
    Rule {
        any: &["no such container"],
        code: Code::NotFound,
        why: "there is no such container on this host",
        hint: "It may have been removed by someone else: list the instances again",
    },
    Rule {
        any: &["no such image"],
        code: Code::NotFound,
        why: "the image is not on this host",
        hint: "Pull or build it first",
    },
    Rule {
        any: &["no such volume"],
        code: Code::NotFound,
        why: "there is no such volume on this host",
        hint: "List the data on this host again",
    },
    Rule {
        any: &["no such exec instance"],
        code: Code::NotFound,
        why: "the command is gone, most likely with its container",
        hint: "Check that the container is running, then try again",
    },
    Rule {
        any: &["is already in use by container", "name is already in use"],
        code: Code::Failed,
        why: "the name is taken by another container on this host",
        hint: "Choose another name, or remove that container",
    },
    Rule {
        any: &["volume is in use"],
        code: Code::Refused,
        why: "a container still uses the volume",
        hint: "Remove that container first",
    },
    Rule {
        any: &[
            "cannot remove a running container",
            "container is running: stop",
        ],
        code: Code::Refused,
        why: "the container is running",
        hint: "Stop it first",
    },
    Rule {
        any: &["is already in progress"],
        code: Code::Failed,
        why: "the engine is already removing it",
        hint: "Wait a moment and look again",
    },
    Rule {
        any: &["is not running"],
        code: Code::Failed,
        why: "the container is not running",
        hint: "Start it first",
    },
    Rule {
        any: &["is paused"],
        code: Code::Failed,
        why: "the container is paused",
        hint: "Unpause it on the host with `docker unpause`",
    },
    Rule {
        any: &[
            "port is already allocated",
            "address already in use",
            "only one usage of each socket address",
        ],
        code: Code::Failed,
        why: "the port is already taken on the host",
        hint: "Choose another port, or stop what holds it",
    },
    Rule {
        any: &["(0x20)", "because it is being used by another process"],
        code: Code::Failed,
        why: "Windows has reserved the port, or something else holds it",
        hint: "Do not publish the port: Berth reaches the container through its own tunnel",
    },
    Rule {
        any: &["does not support host ip addresses in nat"],
        code: Code::Failed,
        why: "a Windows engine cannot publish a port on one address only",
        hint: "Do not publish the port: Berth reaches the container through its own tunnel",
    },
    Rule {
        any: &["hns failed with error", "hnscall failed"],
        code: Code::Failed,
        why: "the host's network service (HNS) refused",
        hint: "Run `berth host doctor` for this host; restarting its HNS service often helps",
    },
    Rule {
        any: &[
            "0xc0370101",
            "operating system of the container does not match",
            "container operating system does not match",
        ],
        code: Code::Failed,
        why: "the image was built for another Windows version than the host's",
        hint: "Rebuild the image on this host, on the base image of its Windows version",
    },
    Rule {
        any: &["a windows version 10.0"],
        code: Code::Failed,
        why: "the image needs a newer Windows than the host's",
        hint: "Take the image for the Windows version of this host",
    },
    Rule {
        any: &["operations against a running hyper-v container"],
        code: Code::Failed,
        why: "files of a running container cannot be reached under Hyper-V isolation",
        hint: "Stop the container first, or copy into its data folder on the host",
    },
    Rule {
        any: &["does not implement halfcloser"],
        code: Code::Failed,
        why: "the engine's pipe cannot be used through `docker system dial-stdio`",
        hint: "Let the engine listen on 127.0.0.1, as `berth host prepare` sets it up",
    },
    Rule {
        any: &["ensure the containers feature is installed"],
        code: Code::Failed,
        why: "the Windows feature `Containers` is missing on the host",
        hint: "Run `berth host prepare` for this host",
    },
    Rule {
        any: &["is too old. minimum supported api"],
        code: Code::Failed,
        why: "the engine needs a newer API than Berth spoke",
        hint: "Connect to the host again; if that does not help, update Berth",
    },
    Rule {
        any: &["is too new. maximum supported api"],
        code: Code::Failed,
        why: "the engine is older than when it was connected",
        hint: "Connect to the host again",
    },
    Rule {
        any: &["toomanyrequests", "rate limit"],
        code: Code::Failed,
        why: "the registry has had too many pulls from this address",
        hint: "Wait (usually up to six hours), or sign in to the registry on the host",
    },
    Rule {
        any: &[
            "no matching manifest",
            "does not match the specified platform",
            "cannot be used on this platform",
        ],
        code: Code::Failed,
        why: "the image exists, but not for the system of this host",
        hint: "Take an image that is made for it; SQL Server's Linux images are amd64 only",
    },
    Rule {
        any: &[
            "pull access denied",
            "access to the resource is denied",
            "unauthorized",
            "authentication required",
        ],
        code: Code::SignInRefused,
        why: "the registry does not let this host have the image, or there is none of that name",
        hint: "Check the name, and sign in to the registry on the host if it is a private one",
    },
    Rule {
        any: &[
            "manifest unknown",
            "manifest for",
            "name unknown",
            "repository does not exist",
        ],
        code: Code::NotFound,
        why: "the registry has no such image",
        hint: "Check the name and the tag",
    },
    Rule {
        any: &["x509:", "certificate signed by", "certificate has expired"],
        code: Code::Failed,
        why: "the host does not trust the registry's certificate",
        hint: "Check the host's clock and its trusted certificates (a proxy may have put its own there)",
    },
    Rule {
        any: &[
            "no such host",
            "dial tcp",
            "i/o timeout",
            "tls handshake timeout",
            "request canceled while waiting",
            "network is unreachable",
        ],
        code: Code::Failed,
        why: "the host cannot reach the registry",
        hint: "Check the host's network, name resolution and proxy",
    },
    Rule {
        any: &[
            "no space left on device",
            "not enough space on the disk",
            "disk quota exceeded",
        ],
        code: Code::Failed,
        why: "the host's disk is full",
        hint: "Free space on the host: `docker system df` there shows what takes it",
    },
    Rule {
        any: &[
            "cannot allocate memory",
            "not enough memory",
            "minimum memory limit",
            "paging file is too small",
            "insufficient system resources",
        ],
        code: Code::Failed,
        why: "the memory does not suffice",
        hint: "Give the instance another amount of memory, or free some on the host",
    },
    Rule {
        any: &["permission denied", "access is denied"],
        code: Code::Failed,
        why: "the engine was not allowed to do it",
        hint: "Look at the permissions of the folder or socket that the engine names",
    },
];

/// What the engine's own text means.
fn said(doing: &Doing<'_>, status: Option<u16>, text: &str) -> Error {
    let lower = text.to_lowercase();
    let detail = shortened(text);
    if let Some(rule) = RULES
        .iter()
        .find(|rule| rule.any.iter().any(|part| lower.contains(part)))
    {
        let mut error = Error::new(rule.code, doing.to_string())
            .because(rule.why)
            .because(detail)
            .hint(rule.hint);
        if let Some(port) = taken_port(text) {
            error = error.detail("port", port.to_string());
        }
        if let Some(holder) = between(text, "already in use by container \"", "\"") {
            error = error.detail("container", holder);
        }
        return error;
    }
    let code = match status {
        Some(404) => Code::NotFound,
        Some(401 | 403) => Code::SignInRefused,
        _ => Code::Failed,
    };
    let error = Error::new(code, doing.to_string());
    match status {
        _ if !detail.is_empty() => error.because(detail),
        Some(status) => error.because(format!(
            "the engine answered with HTTP status {status} alone"
        )),
        None if doing.name().is_empty() => error,
        None => error.because("the engine gave no reason"),
    }
}

/// The port out of `Bind for 0.0.0.0:1433 failed` or `listen tcp4 0.0.0.0:1433: bind: …`.
fn taken_port(text: &str) -> Option<u16> {
    let lower = text.to_lowercase();
    if !lower.contains("port is already allocated") && !lower.contains("address already in use") {
        return None;
    }
    let address = between(text, "Bind for ", " failed").or_else(|| {
        let listen = text.find("listen tcp")?;
        between(text.get(listen..)?, " ", ": bind")
            .map(|rest| rest.rsplit(' ').next().unwrap_or_default().to_owned())
    })?;
    address.rsplit_once(':')?.1.parse().ok()
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    let (inner, _) = rest.split_once(end)?;
    Some(inner.to_owned())
}

/// One line, at most 600 characters: an engine may hand on a whole page of a proxy.
fn shortened(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(600) {
        line.truncate(cut);
        line.push('…');
    }
    line.trim_end_matches('.').to_owned()
}

/// Shorter values are no passwords: `ACCEPT_EULA=Y` must not take every `Y` out of an error.
const SHORTEST: usize = 6;

/// The same error with every occurrence of the secrets taken out. An engine quotes what it
/// refuses, an environment variable for instance.
pub(crate) fn without<'s>(error: Error, secrets: impl IntoIterator<Item = &'s Secret>) -> Error {
    let secrets: Vec<&str> = secrets
        .into_iter()
        .map(|s| s.expose_secret())
        .filter(|s| s.len() >= SHORTEST)
        .collect();
    let holds = |text: &str| secrets.iter().any(|s| text.contains(s));
    if !holds(&error.to_string()) && !error.details().iter().any(|(_, v)| holds(v)) {
        return error;
    }
    let clean = |text: &str| {
        secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret, "[secret]")
        })
    };
    let mut cleaned = Error::new(error.code(), clean(error.message()));
    for cause in error.causes() {
        cleaned = cleaned.because(clean(cause));
    }
    for (name, value) in error.details() {
        cleaned = cleaned.detail(name, clean(value));
    }
    match error.what_to_do() {
        Some(hint) => cleaned.hint(hint),
        None => cleaned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, text: &str, code: Code, why: &str) {
        let error = api_error(
            &Doing::new("start the container", "x"),
            ApiError::DockerResponseServerError {
                status_code: status,
                message: text.into(),
            },
        );
        assert_eq!(error.code(), code, "{text}");
        assert_eq!(error.message(), "Could not start the container `x`");
        assert!(error.causes()[0].contains(why), "{text}: {error}");
        assert!(
            error.what_to_do().is_some(),
            "{text}: someone has to know what to do next"
        );
        assert!(
            error.to_string().contains(text.trim_end_matches('.')),
            "the engine's own words stay"
        );
    }

    #[test]
    fn engine_texts_become_sentences_with_something_to_do() {
        use Code::{Failed, NotFound, Refused, SignInRefused};
        check(404, "No such container: x", NotFound, "no such container");
        check(
            404,
            "No such image: y:latest",
            NotFound,
            "image is not on this host",
        );
        check(404, "get z: no such volume", NotFound, "no such volume");
        check(
            409,
            "Conflict. The container name \"/x\" is already in use by container \"0a1b\". You have to remove (or rename) that container to be able to reuse that name.",
            Failed,
            "the name is taken",
        );
        check(
            409,
            "remove v: volume is in use - [0a1b]",
            Refused,
            "still uses the volume",
        );
        check(409, "Container 0a1b is not running", Failed, "not running");
        check(
            409,
            "You cannot remove a running container 0a1b. Stop the container before attempting removal or force remove",
            Refused,
            "is running",
        );
        check(
            409,
            "cannot remove container \"/x\": container is running: stop the container before removing or force remove",
            Refused,
            "is running",
        );
        check(
            409,
            "removal of container x is already in progress",
            Failed,
            "already removing",
        );
        check(
            500,
            "driver failed programming external connectivity on endpoint x (1234): Bind for 0.0.0.0:1433 failed: port is already allocated",
            Failed,
            "port is already taken",
        );
        check(
            500,
            "failed to create endpoint x on network nat: hnsCall failed in Win32: The process cannot access the file because it is being used by another process. (0x20)",
            Failed,
            "reserved the port",
        );
        check(
            500,
            "failed to create endpoint x on network nat: HNS failed with error : Unspecified error",
            Failed,
            "HNS",
        );
        check(
            400,
            "Windows does not support host IP addresses in NAT settings",
            Failed,
            "one address only",
        );
        check(
            500,
            "hcsshim::CreateComputeSystem 12: The container operating system does not match the host operating system. (0xc0370101)",
            Failed,
            "another Windows version",
        );
        check(
            500,
            "a Windows version 10.0.26100-based image is incompatible with a 10.0.20348 host",
            Failed,
            "newer Windows",
        );
        check(
            500,
            "filesystem operations against a running Hyper-V container are not supported",
            Failed,
            "Hyper-V",
        );
        check(
            400,
            "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version",
            Failed,
            "newer API",
        );
        check(
            400,
            "client version 1.53 is too new. Maximum supported API version is 1.41",
            Failed,
            "older than",
        );
        check(
            404,
            "manifest for a/b:c not found: manifest unknown: manifest unknown",
            NotFound,
            "no such image",
        );
        check(
            404,
            "pull access denied for a, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            SignInRefused,
            "does not let this host",
        );
        check(
            429,
            "toomanyrequests: You have reached your pull rate limit",
            Failed,
            "too many pulls",
        );
        check(
            404,
            "no matching manifest for windows/amd64 10.0.17763 in the manifest list entries",
            Failed,
            "not for the system",
        );
        check(
            500,
            "Get \"https://mcr.example/v2/\": dial tcp: lookup mcr.example: no such host",
            Failed,
            "cannot reach the registry",
        );
        check(
            500,
            "Get \"https://mcr.example/v2/\": x509: certificate signed by unknown authority",
            Failed,
            "trust the registry",
        );
        check(
            500,
            "write /var/lib/docker/tmp/x: no space left on device",
            Failed,
            "disk is full",
        );
        check(
            500,
            "re-exec error: exit status 1: There is not enough space on the disk",
            Failed,
            "disk is full",
        );
        check(400, "Minimum memory limit allowed is 6MB", Failed, "memory");
    }

    #[test]
    fn the_port_and_the_holder_of_a_name_can_be_acted_upon() {
        for text in [
            "Bind for 0.0.0.0:1433 failed: port is already allocated",
            "Error starting userland proxy: listen tcp4 0.0.0.0:1433: bind: address already in use",
            "failed to bind host port for 127.0.0.1:1433:172.17.0.2:1433/tcp: listen tcp 127.0.0.1:1433: bind: address already in use",
        ] {
            assert_eq!(taken_port(text), Some(1433), "{text}");
        }
        assert_eq!(taken_port("address already in use"), None);
        let error = said(
            &Doing::new("create the container", "x"),
            Some(409),
            "The container name \"/x\" is already in use by container \"0a1b\". You have to remove",
        );
        assert_eq!(error.get_detail("container"), Some("0a1b"));
    }

    #[test]
    fn what_nobody_foresaw_keeps_the_engines_own_words() {
        let doing = Doing::plain("list the containers");
        let error = said(&doing, Some(500), "something   quite\nnew.");
        assert_eq!(
            error.to_string(),
            "Could not list the containers: something quite new"
        );
        let error = said(&doing, Some(404), "");
        assert_eq!(error.code(), Code::NotFound);
        let long = said(&doing, Some(500), &"ü".repeat(5000));
        assert!(
            long.to_string().chars().count() < 700,
            "a proxy's page must not fill the window"
        );
    }

    #[test]
    fn an_unreadable_answer_is_never_quoted() {
        let parse = serde_json::from_str::<u32>("\"hunter2\"").unwrap_err();
        assert!(
            parse.to_string().contains("hunter2"),
            "the parser itself quotes it"
        );
        let error = api_error(
            &Doing::new("inspect the container", "x"),
            ApiError::JsonDataError {
                message: parse.to_string(),
                column: parse.column(),
            },
        );
        assert!(
            !format!("{error:?}").contains("hunter2"),
            "an environment may stand in that answer"
        );
    }

    #[test]
    fn secrets_leave_an_error_that_quotes_them() {
        let secret = Secret::from("hunter2-hunter2");
        let error = Error::failed("Could not")
            .because("invalid: PW=hunter2-hunter2")
            .hint("h")
            .detail("d", "hunter2-hunter2");
        let clean = without(error, [&secret, &Secret::from(""), &Secret::from("Y")]);
        assert!(
            !format!("{clean:?}").contains("hunter2-hunter2"),
            "{clean:?}"
        );
        assert_eq!(
            (clean.causes()[0].as_str(), clean.what_to_do()),
            ("invalid: PW=[secret]", Some("h"))
        );
    }

    #[test]
    fn the_diallers_words_survive_the_http_client() {
        let dialled =
            Error::new(Code::HostKeyChanged, "The host shows another key").detail("f", "SHA256:x");
        let error = api_error(
            &Doing::plain("list the containers"),
            ApiError::IOError {
                err: io::Error::other(DialFailure(dialled)),
            },
        );
        assert_eq!(
            error.code(),
            Code::HostKeyChanged,
            "a client acts on this code"
        );
        assert_eq!(error.get_detail("f"), Some("SHA256:x"));
        assert_eq!(
            error.to_string(),
            "Could not list the containers: The host shows another key"
        );
    }
}
