//! Runs the api in the background of one user; the command table over a private socket; the client half.
//!
//! A connection string must work after the command that printed it has ended, so something
//! must hold the tunnel: the agent. The first client starts it, one for a user, and it ends by itself
//! when nothing needs it.
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod client;
mod clipboard;
pub mod launchd;
pub mod page;
pub mod paths;
pub mod serve;
mod wire;

pub use client::{Client, Reply, Streaming};
pub use paths::Paths;

/// This build's version, compared in the handshake.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
