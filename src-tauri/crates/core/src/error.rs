//! The one error type of the house: what happened, why, what to do.
//!
//! Adapters turn their library's errors into this type at their edge. A message
//! never holds a secret. [`Code`] has a variant only where a caller acts on it.
//!
//! ```
//! use berth_core::{Code, Error};
//! let e = Error::new(Code::NotFound, "No host is called `winhost`")
//!     .because("`berth host list` shows 2 others")
//!     .hint("Add it with `berth host add winhost ssh://user@address`");
//! assert_eq!(e.code(), Code::NotFound);
//! ```

use std::fmt;

/// The result of everything that can fail in Berth.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is, as far as a caller acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// It was tried and did not work.
    Failed,
    /// What was asked for makes no sense: a bad name, port, option, an unknown format or carrier.
    Usage,
    /// There is no such host, instance, image.
    NotFound,
    /// Refused for safety: data that would be lost, options that differ.
    Refused,
    /// The host's key was never seen; the details carry the fingerprint to show.
    HostKeyUnknown,
    /// The host shows another key than the recorded one. Never offer to trust it in the same breath.
    HostKeyChanged,
    /// A key file needs a passphrase that was not given.
    PassphraseNeeded,
    /// The machine cannot be reached, or stopped answering.
    Unreachable,
    /// No way to sign in was accepted.
    SignInRefused,
    /// No keychain answers here.
    NoKeychain,
    /// The keychain is there but locked.
    KeychainLocked,
    /// Somebody cancelled it.
    Cancelled,
    /// It took longer than its limit.
    TimedOut,
}

impl Code {
    /// Every code, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Refused,
        Self::HostKeyUnknown,
        Self::HostKeyChanged,
        Self::PassphraseNeeded,
        Self::Unreachable,
        Self::SignInRefused,
        Self::NoKeychain,
        Self::KeychainLocked,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// The name used on the wire, stable between versions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::HostKeyUnknown => "host_key_unknown",
            Self::HostKeyChanged => "host_key_changed",
            Self::PassphraseNeeded => "passphrase_needed",
            Self::Unreachable => "unreachable",
            Self::SignInRefused => "sign_in_refused",
            Self::NoKeychain => "no_keychain",
            Self::KeychainLocked => "keychain_locked",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }

    /// Reads what [`Code::as_str`] wrote. A name from a newer version is `Failed`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|code| code.as_str() == name)
            .unwrap_or(Self::Failed)
    }

    /// The exit code of the `berth` command: 1 failed, 2 usage, 3 not found, 4 refused for safety.
    #[must_use]
    pub fn exit(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused | Self::HostKeyUnknown | Self::HostKeyChanged => 4,
            _ => 1,
        }
    }
}

/// A failure: what happened, the chain of causes, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    code: Code,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    details: Vec<(String, String)>,
}

impl Error {
    /// `message` is one sentence without a full stop, with `backticks` around literals.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            details: Vec::new(),
        }))
    }

    /// Something that was tried and did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::Failed, message)
    }

    /// A request that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// Adds a cause; the first one added is the nearest.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(cause.into());
        self
    }

    /// Says what the reader can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds a fact that a caller may act on, such as the fingerprint of an unknown key.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.details.push((name.into(), value.into()));
        self
    }

    /// Says what was being done when this happened; this error's message becomes the nearest cause.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let below = std::mem::replace(&mut self.0.message, message.into());
        self.0.causes.insert(0, below);
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened, in one sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Why, nearest cause first.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// What to do, if anything is known to help.
    #[must_use]
    pub fn what_to_do(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The named facts, in the order they were added.
    #[must_use]
    pub fn details(&self) -> &[(String, String)] {
        &self.0.details
    }

    /// One named fact.
    #[must_use]
    pub fn get_detail(&self, name: &str) -> Option<&str> {
        self.0
            .details
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for cause in &self.0.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Adds context to a `Result` in passing.
pub trait ResultExt<T> {
    /// See [`Error::context`].
    ///
    /// # Errors
    /// The same failure, told from further out.
    fn context(self, message: impl Into<String>) -> Result<T>;
    /// Adds a hint where the error has none yet.
    ///
    /// # Errors
    /// The same failure, with the hint.
    fn or_hint(self, hint: impl Into<String>) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn context(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|e| e.context(message))
    }

    fn or_hint(self, hint: impl Into<String>) -> Result<T> {
        self.map_err(|e| if e.0.hint.is_none() { e.hint(hint) } else { e })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in Code::ALL {
            assert_eq!(
                Code::from_name(code.as_str()),
                code,
                "a client acts on the code it reads back"
            );
        }
        assert_eq!(Code::from_name("of_a_newer_version"), Code::Failed);
    }

    #[test]
    fn context_keeps_the_order_of_causes() {
        let e = Error::failed("inner")
            .because("deepest")
            .context("middle")
            .context("outer");
        assert_eq!(e.to_string(), "outer: middle: inner: deepest");
    }
}
