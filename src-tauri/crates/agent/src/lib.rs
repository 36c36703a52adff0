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

/// Whatever is freed is overwritten: a password passes through buffers of libraries (the keychain's messages, SQL Server's
/// login, JSON) that know nothing of secrets. Every program that talks to the agent or is it has this allocator.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// This build's version, compared in the handshake.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
