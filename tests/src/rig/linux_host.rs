//! A Linux container host: sshd, Docker's engine, and an image that answers as SQL Server does.

use super::{Dockerd, Sshd};

/// A whole Linux host, reached as a user would reach theirs.
#[derive(Debug)]
pub struct LinuxHost {
    /// Its SSH server; its users may use the engine.
    pub sshd: Sshd,
    /// Its engine, on the default socket.
    pub dockerd: Dockerd,
}

impl LinuxHost {
    /// Starts it with [`super::sql_image::OFFICIAL`] present.
    #[must_use]
    pub fn start() -> Option<Self> {
        let dockerd = Dockerd::with_sql_image()?;
        let sshd = Sshd::start()?;
        Some(Self { sshd, dockerd })
    }
}
