//! Domain types, rules, state machines and ports of Berth.
//!
//! Nothing here does IO, reads a clock or reads the environment: time, streams
//! and secrets come in through the [`port`]s, so that every rule can be tested
//! without a machine.
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

pub mod carrier;
pub mod check;
pub mod connection;
pub mod error;
pub mod errorlog;
pub mod found;
pub mod host;
pub mod image;
pub mod instance;
pub mod label;
pub mod name;
mod nearest;
pub mod open_in;
pub mod password;
pub mod port;
pub mod powershell;
pub mod prepare;
pub mod reach;
pub mod readiness;
pub mod recipe;
pub mod secret;
pub mod size;

pub use error::{Code, Error, Result, ResultExt};
pub use port::{BoxFuture, ByteStream, Dial};
pub use secret::Secret;
