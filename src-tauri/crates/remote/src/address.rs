//! Where a host's SSH server is, and as whom to sign in.

use std::fmt;

use berth_core::{Error, Result};

/// `user@host:port` of a host's SSH server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The user to sign in as.
    pub user: String,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port of the SSH server, 22 on most hosts.
    pub port: u16,
}

impl Address {
    /// `host:port`, with brackets around an IPv6 address.
    #[must_use]
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Refuses what no SSH server can have, and what would break a line of a known_hosts file.
    pub(crate) fn check(&self) -> Result<()> {
        let odd = |c: char| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, ',' | '*' | '?' | '!' | '|' | '[' | ']' | '#' | '@')
        };
        if self.host.is_empty() || self.host.chars().any(odd) {
            return Err(Error::usage(format!(
                "`{}` is not a host name or address",
                self.host.escape_debug()
            )));
        }
        if self.user.is_empty() || self.user.chars().any(char::is_control) {
            return Err(Error::usage(format!(
                "`{}` is not a user name",
                self.user.escape_debug()
            )));
        }
        if self.port == 0 {
            return Err(Error::usage("Port 0 is nobody's port"));
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.place())
    }
}
