//! TDS, the wire protocol of SQL Server: login, readiness, batches.
//!
//! A [`Connection`] is made over any stream that a [`berth_core::Dial`] opens; what carries the
//! bytes is not known here. The protocol is tiberius's; everything else is in our words.
//!
//! # What the driver leaves out
//!
//! tiberius hands out rows, and of the errors of a batch only the first. Messages (`PRINT`,
//! `RAISERROR` of low severity, `BACKUP … WITH STATS`), further errors and row counts it tells
//! its log alone, as `tracing` events. [`Connection::run`] reads those events while it polls the
//! driver (see `told`), so a caller gets them as [`Event`]s. Of messages and of further errors
//! the driver gives no line and no severity. A build with one of `tracing`'s `max_level`
//! features would lose them.
//!
//! # Dropping
//!
//! A call that is dropped before its end closes the connection: the server ends the batch and
//! rolls back its open transaction, and the connection is of no more use. To stop a batch and
//! keep the connection, use [`Connection::run_until`] or answer [`std::ops::ControlFlow::Break`].
//!
//! # Secrets
//!
//! Passwords go into statements as literals, since `ALTER LOGIN` takes no parameters. No error
//! text of this crate holds one. tiberius logs at `trace` what it sends: a log filter must cap
//! `tiberius` at `info`.
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

mod administration;
mod by_string;
mod connect;
mod error;
mod probe;
mod run;
#[cfg(test)]
mod session_tests;
mod split;
pub mod statements;
#[cfg(test)]
mod test_server;
mod told;
mod value;
mod wire;

pub use administration::Identity;
pub use by_string::{server_of, version_by_string};
pub use connect::{Connection, Login, Trust, connect};
pub use error::{ConnectError, ConnectErrorKind};
pub use probe::{PROBE_TIME, Probe, probe};
pub use run::{Event, Outcome};
pub use split::{Batch, Piece, batches, pieces};
pub use value::{Column, Kind, Value};

/// A database as the server lists it: its name, and `ONLINE`, `RECOVERING`, `SUSPECT`, …
pub type Database = berth_core::readiness::DatabaseState;
