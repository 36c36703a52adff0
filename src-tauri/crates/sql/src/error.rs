//! What a failed login or statement means, in our words.

use std::{fmt, io};

use berth_core::{Code, Error, Secret, secret::ExposeSecret};
use tiberius::error::{Error as TdsError, TokenError};

/// How a connection failed, as far as a caller acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// Nothing listens, or it closes at once: SQL Server is not up, or the way to it is gone.
    NotListening,
    /// The server knows no such login and password, or does not let it in. Waiting does not help.
    LoginFailed {
        /// 18456 as a rule.
        number: u32,
        /// The error's state; a server tells clients 1, whatever it writes to its own log.
        state: u8,
    },
    /// The server is still starting, upgrading or recovering.
    NotReadyYet {
        /// 18401, 921, 17187, …
        number: u32,
    },
    /// The server is up, but the login's database cannot be opened.
    DatabaseUnavailable {
        /// 4060, 4064, 916, …
        number: u32,
    },
    /// The encryption could not be agreed on, or the certificate is not trusted.
    Tls,
    /// No answer in time.
    Timeout,
    /// Anything else.
    Other,
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub struct ConnectError {
    /// What a caller may act on.
    pub kind: ConnectErrorKind,
    /// The same for people.
    pub error: Error,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectError> for Error {
    fn from(e: ConnectError) -> Self {
        e.error
    }
}

impl ConnectError {
    fn new(kind: ConnectErrorKind, code: Code, message: impl Into<String>) -> Self {
        Self {
            kind,
            error: Error::new(code, message),
        }
    }

    fn because(mut self, cause: impl Into<String>) -> Self {
        self.error = self.error.because(cause);
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }

    pub(crate) fn timeout(limit: std::time::Duration) -> Self {
        Self::new(
            ConnectErrorKind::Timeout,
            Code::TimedOut,
            "SQL Server gave no answer",
        )
        .because(format!("nothing came in {} s", limit.as_secs_f32()))
        .hint("Check that the instance is running, and the load of its host")
    }

    /// The dialler could not open a stream.
    pub(crate) fn dial(error: Error) -> Self {
        let kind = match error.code() {
            Code::Unreachable => ConnectErrorKind::NotListening,
            Code::TimedOut => ConnectErrorKind::Timeout,
            _ => ConnectErrorKind::Other,
        };
        Self {
            kind,
            error: error.context("SQL Server cannot be reached"),
        }
    }

    pub(crate) fn from_driver(user: &str, error: TdsError) -> Self {
        match error {
            TdsError::Server(token) => Self::refused(user, &token),
            TdsError::Io {
                kind: io::ErrorKind::TimedOut,
                ..
            } => Self::new(
                ConnectErrorKind::Timeout,
                Code::TimedOut,
                "SQL Server gave no answer",
            )
            .because("it accepted the connection and then stayed silent"),
            TdsError::Io { kind, message } if is_closed(kind) => Self::new(
                ConnectErrorKind::NotListening,
                Code::Unreachable,
                "SQL Server closed the connection before the login",
            )
            .because(message)
            .hint("It may still be starting: try again in a moment"),
            TdsError::Io {
                kind: io::ErrorKind::InvalidData,
                message,
            } => Self::tls(message),
            TdsError::Tls(message) => Self::tls(message),
            TdsError::Io { message, .. } => Self::new(
                ConnectErrorKind::Other,
                Code::Unreachable,
                "The connection to SQL Server broke",
            )
            .because(message),
            TdsError::Routing { host, port } => Self::new(
                ConnectErrorKind::Other,
                Code::Failed,
                format!(
                    "SQL Server sent the login on to `{host}:{port}`, which Berth does not follow"
                ),
            ),
            // What the driver says of bytes that it cannot read may quote them.
            _ => Self::new(
                ConnectErrorKind::Other,
                Code::Failed,
                "What answers does not speak SQL Server's protocol",
            )
            .hint("Check the port: another program may listen on it"),
        }
    }

    fn tls(message: String) -> Self {
        Self::new(
            ConnectErrorKind::Tls,
            Code::Failed,
            "SQL Server and Berth could not agree on encryption",
        )
        .because(message)
        .hint("Update SQL Server: versions before 2016 need their last service pack for TLS 1.2")
    }

    fn refused(user: &str, token: &TokenError) -> Self {
        let (number, state) = (token.code(), token.state());
        let told = format!(
            "error {number}, state {state}: {}",
            one_line(token.message())
        );
        let kind = kind_of(number, state);
        let error = match kind {
            ConnectErrorKind::NotReadyYet { .. } => Self::new(
                kind,
                Code::Unreachable,
                "SQL Server is not ready for logins yet",
            )
            .hint("Wait: it is starting, upgrading or recovering its databases"),
            ConnectErrorKind::DatabaseUnavailable { .. } => Self::new(
                kind,
                Code::NotFound,
                format!("SQL Server cannot open the database for `{user}`"),
            )
            .hint("Check the database's name and state, and whether this login may use it"),
            ConnectErrorKind::LoginFailed { .. } => {
                let hint = match number {
                    18470 => "Enable the login: `ALTER LOGIN … ENABLE`",
                    18486 => "Unlock the login: `ALTER LOGIN … WITH PASSWORD = … UNLOCK`",
                    18487 | 18488 => "Give the login a new password",
                    _ => "Check the name and the password; `berth reset-password` makes a new one",
                };
                Self::new(
                    kind,
                    Code::SignInRefused,
                    format!("SQL Server refused the login `{user}`"),
                )
                .hint(hint)
            }
            _ => Self::new(kind, Code::Failed, "SQL Server refused the connection"),
        };
        error.because(told)
    }
}

/// What an error's number means for a login. Source: the server's error list, and
/// [`berth_core::readiness::means_wait`] for what passes by itself.
fn kind_of(number: u32, state: u8) -> ConnectErrorKind {
    match number {
        // No such database, none by default, no right to it, or not in a state to be opened.
        4060 | 4064 | 911 | 916 | 924 | 926 | 927 | 942 | 945 | 976 | 978 | 983 => {
            ConnectErrorKind::DatabaseUnavailable { number }
        }
        17142 | 17187 | 17188 | 18401 | 18451 | 921 | 922 => {
            ConnectErrorKind::NotReadyYet { number }
        }
        18450 | 18452 | 18456 | 18458..=18462 | 18470 | 18486..=18488 => {
            ConnectErrorKind::LoginFailed { number, state }
        }
        _ => ConnectErrorKind::Other,
    }
}

fn is_closed(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
    )
}

/// A statement or a batch failed. `doing` in the infinitive: `list the databases`.
pub(crate) fn statement_error(doing: &str, error: TdsError) -> Error {
    let sentence = format!("Could not {doing}");
    match error {
        TdsError::Server(token) => server_said(&sentence, &token),
        TdsError::Io {
            kind: io::ErrorKind::TimedOut,
            ..
        } => timed_out(doing, None),
        TdsError::Io { message, .. } => Error::new(Code::Unreachable, sentence)
            .because("the connection to SQL Server broke")
            .because(message)
            .hint("Connect again; what was not committed is rolled back"),
        // Conversion and protocol errors of the driver quote data, so only their kind is told.
        TdsError::Protocol(_) => {
            Error::failed(sentence).because("the answer does not follow SQL Server's protocol")
        }
        _ => Error::failed(sentence).because("a value in the answer cannot be read"),
    }
}

fn server_said(sentence: &str, token: &TokenError) -> Error {
    let number = token.code();
    let said = Error::new(code_of(number), sentence)
        .because(one_line(token.message()))
        .detail("number", number.to_string())
        .detail("state", token.state().to_string())
        .detail("class", token.class().to_string());
    match hint_of(number) {
        Some(hint) => said.hint(hint),
        None => said,
    }
}

fn code_of(number: u32) -> Code {
    match number {
        // No such object: login, database, name in general.
        208 | 911 | 3701 | 15007 | 15151 | 15404 => Code::NotFound,
        _ => Code::Failed,
    }
}

fn hint_of(number: u32) -> Option<&'static str> {
    Some(match number {
        15116..=15118 => {
            "Take 8 to 128 characters with three of: upper case, lower case, digits, symbols"
        }
        15247 | 262 | 229 | 230 | 297 | 300 | 15151 => {
            "Use the login `sa`, or one that has the right to do this"
        }
        1205 => "Try again: another session was in the way",
        1801 => "Choose another name for the database",
        3702 | 5061 | 5064 => "Close the connections that use the database",
        1827 => "Express allows 10 GB for a database (50 GB from 2025): use the Developer edition",
        9002 => "The transaction log is full: commit, or give it more room",
        1101 | 1105 => "The disk or the database is full: free some space",
        701 | 802 => "Give the instance more memory",
        _ => return None,
    })
}

/// A call took longer than it may.
pub(crate) fn timed_out(doing: &str, limit: Option<std::time::Duration>) -> Error {
    let why = match limit {
        Some(limit) => format!("SQL Server gave no answer in {} s", limit.as_secs()),
        None => "SQL Server gave no answer in time".to_owned(),
    };
    Error::new(Code::TimedOut, format!("Could not {doing}"))
        .because(why)
        .hint("Another session may hold what it needs; the connection was closed")
}

/// The same error without the secret: a server quotes what it does not understand.
pub(crate) fn without(error: Error, secret: &Secret) -> Error {
    let secret = secret.expose_secret();
    if secret.is_empty() || !error.to_string().contains(secret) {
        return error;
    }
    let mut clean = Error::new(error.code(), error.message().replace(secret, "[secret]"));
    for cause in error.causes() {
        clean = clean.because(cause.replace(secret, "[secret]"));
    }
    for (name, value) in error.details() {
        clean = clean.detail(name, value);
    }
    match error.what_to_do() {
        Some(hint) => clean.hint(hint),
        None => clean,
    }
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_whether_to_wait_to_ask_or_to_give_up() {
        use ConnectErrorKind::{DatabaseUnavailable, LoginFailed, NotReadyYet, Other};
        for (number, kind) in [
            (
                18456,
                LoginFailed {
                    number: 18456,
                    state: 1,
                },
            ),
            (
                18470,
                LoginFailed {
                    number: 18470,
                    state: 1,
                },
            ),
            (
                18486,
                LoginFailed {
                    number: 18486,
                    state: 1,
                },
            ),
            (
                18488,
                LoginFailed {
                    number: 18488,
                    state: 1,
                },
            ),
            (
                18452,
                LoginFailed {
                    number: 18452,
                    state: 1,
                },
            ),
            (18401, NotReadyYet { number: 18401 }),
            (17142, NotReadyYet { number: 17142 }),
            (922, NotReadyYet { number: 922 }),
            (4060, DatabaseUnavailable { number: 4060 }),
            (916, DatabaseUnavailable { number: 916 }),
            (50000, Other),
        ] {
            assert_eq!(kind_of(number, 1), kind, "error {number}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_never_a_refused_login() {
        for number in 0..20_000 {
            if berth_core::readiness::means_wait(number) {
                assert!(
                    matches!(
                        kind_of(number, 1),
                        ConnectErrorKind::NotReadyYet { .. }
                            | ConnectErrorKind::DatabaseUnavailable { .. }
                    ),
                    "{number} would end the wait for an instance that only starts"
                );
            }
        }
    }

    #[test]
    fn a_secret_leaves_an_error_that_quotes_it() {
        let secret = Secret::from("hunter2");
        let error = Error::failed("Could not")
            .because("near 'hunter2'")
            .hint("h");
        assert!(!format!("{:?}", without(error, &secret)).contains("hunter2"));
    }

    #[test]
    fn a_closed_connection_is_not_listening() {
        for kind in [
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::BrokenPipe,
        ] {
            let error = ConnectError::from_driver(
                "sa",
                TdsError::Io {
                    kind,
                    message: "m".into(),
                },
            );
            assert_eq!(
                error.kind,
                ConnectErrorKind::NotListening,
                "a proxy accepts for a server that is not up yet, and closes"
            );
            assert_eq!(error.error.code(), Code::Unreachable);
        }
    }
}
