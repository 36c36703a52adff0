//! The Docker Engine API over any byte stream.
//!
//! An [`Engine`] asks its [`berth_core::Dial`] for streams and never knows what carries
//! them: an SSH channel, TLS, a local socket. It speaks HTTP/1.1 through bollard with a
//! connection pool of its own, negotiates the API version once at [`Engine::connect`], and
//! puts every call under a time limit. All types here are plain; nothing of bollard leaks.
//!
//! # Secrets
//!
//! `inspect` answers carry the container's environment and with it passwords. Here they are
//! [`berth_core::Secret`]s at once, and no error text of this crate quotes an answer. bollard
//! itself logs whole answers at `debug` and request bodies at `trace` through the `log` crate:
//! whoever installs a log filter must cap `bollard` at `info`.
//!
//! # Bounds
//!
//! An answer that is read as a whole may have [`MAX_ANSWER`] bytes, a log line [`MAX_LINE`],
//! the output of an exec [`MAX_OUTPUT`]. Streams (logs, events, statistics, pulls) hold one
//! item at a time; what is not read is not fetched. Of a log or an exec bollard buffers one frame
//! whole before this crate sees it: engines send at most 32 KiB in one, but nothing here makes them.
//!
//! # Dropping
//!
//! Dropping a stream closes its connection, and the engine stops sending. Dropping any other
//! call gives up waiting for it: the engine may still carry it out, so look before retrying.
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

mod build;
mod container;
mod create;
mod disk;
mod engine;
mod error;
mod events;
mod exec;
mod image;
mod info;
mod logs;
mod stats;
mod transport;
mod volume;

pub use build::{Build, BuildWord, Content};
pub use container::{
    Address, Container, Inspect, Mount, MountKind, Port, RestartPolicy, RunState, State,
};
pub use create::{ContainerSpec, Isolation, Publish};
pub use disk::DiskUse;
pub use engine::{API_MAX, API_MIN, About, ApiVersion, Engine, Os};
pub use events::{Event, EventKind};
pub use exec::{ExecOutput, Input, MAX_OUTPUT};
pub use image::{Image, Progress};
pub use info::Info;
pub use logs::{LogLine, LogOptions, LogStream, MAX_LINE};
pub use stats::Stats;
pub use transport::MAX_ANSWER;
pub use volume::Volume;

/// A stream of answers that ends at its first error.
pub type Answers<T> = futures_util::stream::BoxStream<'static, berth_core::Result<T>>;
