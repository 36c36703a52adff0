//! The ways to a host over the network. SSH: sessions, lanes, host keys, sign-in, exec, tunnels, the PowerShell
//! envelope. TCP with TLS on both sides: [`Tls`].
//!
//! One [`Session`] is one SSH connection. It carries commands ([`Session::exec`],
//! [`Session::powershell`]), long commands as a stream ([`Session::exec_stream`]) and
//! tunnels ([`Session::tcp`], [`Session::unix`]). What else travels on the same connection
//! matters, because SSH orders all bytes of a connection: see [`Lane`].
//!
//! The host's key is checked before anything of the user's is shown to the host, against
//! Berth's own record and the user's files ([`HostKeys`]).
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

mod address;
mod agent;
mod algorithms;
mod channel;
mod client;
mod connect;
mod exec;
mod files;
#[cfg(test)]
mod fuzz_tests;
mod host_certificate;
mod host_keys;
mod inbox;
mod key_file;
mod known_hosts;
mod legacy_pem;
mod profile;
mod proxy;
mod pulse;
mod questions;
mod session;
mod sign_in;
mod ssh_config;
mod tcp;
mod tls;
mod tokens;
mod wire;

pub use address::Address;
pub use exec::{ExecLimits, Output};
pub use files::{Files, Progress, Transferred};
pub use host_keys::HostKeys;
pub use profile::{Found, Given, Local, Profile, Via, Wanted, resolve};
pub use proxy::ProxyCommand;
pub use questions::{Ask, Prompt, Question};
pub use session::{Lane, Session};
pub use sign_in::SignIn;
pub use ssh_config::{Family, Jump, Method, Settings, Strict};
pub use tls::{Certificates, Tls, TlsFiles, TlsInside, Whose, is_loopback, plain_tcp};
