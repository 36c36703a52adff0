//! Keyboard-interactive sign-in (RFC 4256): what a host asks, and who answers.

use std::fmt;

use berth_core::{BoxFuture, Result, Secret};

/// What a host asks at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who asks: `user@host:port`.
    pub from: String,
    /// The host's own title, often empty.
    pub title: String,
    /// The host's own words before the prompts, often empty.
    pub instructions: String,
    /// One answer is wanted for each.
    pub prompts: Vec<Prompt>,
}

/// One line that wants an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The host's own words.
    pub text: String,
    /// Whether the answer must not be seen while it is typed.
    pub hidden: bool,
}

/// Somebody who can answer while a connection is being made. What a host asks is the host's own text: show it
/// as text, whatever characters it holds.
pub trait Ask: Send + Sync + fmt::Debug {
    /// One answer for each prompt, in their order. Gives up by itself within its own limit.
    ///
    /// # Errors
    /// Nobody is there, or they declined.
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Vec<Secret>>>;
}
