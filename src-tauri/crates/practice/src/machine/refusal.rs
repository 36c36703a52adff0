//! Why the machine's engine does not do what it was asked.

/// What kind of refusal, as far as the engine's callers tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request makes no sense.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// It is there, but in the wrong state or in use.
    Conflict,
    /// It is already so.
    Unchanged,
    /// It was tried and did not work.
    Failed,
    /// The practice host does not know this.
    NotImplemented,
}

/// A refusal with the text that a Windows engine gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind.
    pub kind: Kind,
    /// The engine's own words.
    pub message: String,
}

/// The result of everything that the machine's engine does.
pub type Answer<T = ()> = Result<T, Refusal>;

impl Refusal {
    /// See [`Kind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Invalid,
            message: message.into(),
        }
    }

    /// See [`Kind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::NotFound,
            message: message.into(),
        }
    }

    /// See [`Kind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Conflict,
            message: message.into(),
        }
    }

    /// See [`Kind::Unchanged`].
    pub fn unchanged() -> Self {
        Self {
            kind: Kind::Unchanged,
            message: String::new(),
        }
    }

    /// See [`Kind::Failed`].
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Failed,
            message: message.into(),
        }
    }

    /// See [`Kind::NotImplemented`].
    pub fn not_implemented(what: &str) -> Self {
        Self {
            kind: Kind::NotImplemented,
            message: format!("{what} is not implemented by the practice host"),
        }
    }
}

impl From<berth_core::Error> for Refusal {
    fn from(error: berth_core::Error) -> Self {
        Self::failed(error.to_string())
    }
}
