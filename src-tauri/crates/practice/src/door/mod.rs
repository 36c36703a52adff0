//! The doors of the machine: each speaks one protocol and holds no state of its own.

pub mod engine;
pub mod powershell;
pub mod ssh;
pub mod tds;
