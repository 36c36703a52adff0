//! What the end-to-end suites stand on: the [`rig`], real servers and clients that a test starts with one
//! call and that leave nothing behind.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a rig that cannot be built is a failed test"
)]

pub mod page;
pub mod rig;
