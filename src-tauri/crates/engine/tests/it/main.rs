//! The engine client against two engines: a real dockerd, and a made-up one for what a real one
//! does not do on demand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod docker;
mod fake;
mod made_up;
