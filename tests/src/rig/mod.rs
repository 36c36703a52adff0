//! Real servers and clients, started by one call each, on free loopback ports and in their own folders.
//!
//! Every part ends with its value, also when the test panics; when the test is killed, its supervisor
//! ends it ([`process`]), and `make test` puts a test into namespaces that die with it
//! (`tests/in-namespace.sh`). A part that this machine cannot have gives `None` and says so with [`skip`].

pub mod accounts;
pub mod authority;
pub mod clock;
pub mod dockerd;
pub mod drivers;
pub mod home;
pub mod linux_host;
pub mod network;
pub mod practice_host;
pub mod process;
pub mod programs;
pub mod secret_service;
pub mod sql_image;
pub mod sshd;

use std::{
    net::{Ipv4Addr, TcpListener},
    thread,
    time::{Duration, Instant},
};

pub use authority::Authority;
pub use clock::Clock;
pub use dockerd::Dockerd;
pub use home::{Home, Ran};
pub use linux_host::LinuxHost;
pub use practice_host::PracticeHost;
pub use secret_service::SecretService;
pub use sshd::Sshd;

/// Says that a part of a test did not run, and why. `make test` counts these lines in the report and
/// prints them after the summary.
///
/// # Panics
/// When `BERTH_REQUIRE_RIG=1` says that nothing may be skipped here.
pub fn skip(why: &str) {
    assert!(
        std::env::var("BERTH_REQUIRE_RIG").as_deref() != Ok("1"),
        "nothing may be skipped here, but: {why}"
    );
    eprintln!("SKIPPED: {why}");
}

/// Whether this process has a network, mounts and a process table of its own.
#[must_use]
pub fn is_isolated() -> bool {
    std::env::var("BERTH_TEST_NAMESPACE").as_deref() == Ok("1")
}

/// A port of 127.0.0.1 that was free a moment ago.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("127.0.0.1 has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within `limit`; the message names what was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            began.elapsed() < limit,
            "waited {limit:?} in vain for {what}"
        );
        thread::sleep(Duration::from_millis(15));
    }
}
