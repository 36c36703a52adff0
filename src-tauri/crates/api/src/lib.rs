//! Use cases and the command table; wires engine, SQL, SSH, store and practice host together.
//!
//! Every caller comes through [`table::dispatch`]. Nothing here knows a terminal, a window or a socket.
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

mod adopt;
pub mod berth;
#[cfg(test)]
mod bindings;
mod carrier;
mod certificates;
pub mod change;
pub mod check;
pub mod connections;
mod context;
pub mod data;
pub mod databases;
pub mod docker_context;
pub mod dto;
mod endpoints;
mod healing;
pub mod hosts;
mod images;
pub mod instances;
pub mod lease;
pub mod life;
mod link;
mod logins;
mod make;
pub mod operations;
mod passwords;
mod practice;
mod prepare;
pub mod query;
mod questions;
mod ready;
mod resume;
mod ssh;
mod ssh_names;
pub mod table;
pub mod up;
pub mod watch;

pub use berth::{Berth, Clipboard, Surroundings};
pub use berth_store::Credentials;

/// This machine's keychain, for [`Surroundings::credentials`].
#[must_use]
pub fn keychain() -> std::sync::Arc<dyn Credentials> {
    std::sync::Arc::new(berth_store::Keychain::new())
}
