//! Hosts: how one is written, and which way leads to its engine.

use std::fmt;

use crate::{Error, Result};

/// The name under which the built-in practice host is always there.
pub const PRACTICE: &str = "practice";

/// Where a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `ssh://[user@]host[:port][/path/to/docker.sock]`: the path is that of the engine's socket on the host, where it is not the usual one.
    Ssh {
        /// The login on the host; none means the name of the local user.
        user: Option<String>,
        /// A name or an IP address, an IPv6 one without brackets.
        host: String,
        /// None where the address names none: 22, or what `~/.ssh/config` says.
        port: Option<u16>,
        /// The engine's socket on the host, where it is not the usual one.
        socket: Option<String>,
    },
    /// `unix:///path/to/docker.sock`: an engine on this machine.
    Unix {
        /// Absolute.
        path: String,
    },
    /// `tcp://host:2376`: an engine over TCP, with TLS on both sides unless it is on this machine.
    Tcp {
        /// A name or an IP address, an IPv6 one without brackets.
        host: String,
        /// 2376, the engine's port with TLS, where the address names none.
        port: u16,
    },
    /// `practice:`: the built-in practice host.
    Practice,
}

impl Address {
    /// Reads an address as a user writes it.
    ///
    /// # Errors
    /// [`crate::Code::Usage`], saying what is wrong and how an address looks.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Err(Error::usage(format!(
                "`{}` is not the address of a host",
                without_password(text).escape_debug()
            ))
            .because(why)
            .hint(
                "Write `ssh://user@host`, `ssh://user@host:2222`, `tcp://host:2376` or `unix:///path/to/docker.sock`",
            ))
        };
        if text == "practice:" {
            return Ok(Self::Practice);
        }
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') || path.chars().any(char::is_control) {
                return bad("after `unix://` comes an absolute path");
            }
            return Ok(Self::Unix {
                path: path.to_owned(),
            });
        }
        if let Some(place) = text.strip_prefix("tcp://") {
            let place = place.strip_suffix('/').unwrap_or(place);
            if place.contains('@') {
                return bad("nobody signs in by name over TCP: certificates do that");
            }
            return match host_and_port(place) {
                Ok((host, port)) => Ok(Self::Tcp {
                    host,
                    port: port.unwrap_or(2376),
                }),
                Err(why) => bad(why),
            };
        }
        let Some(rest) = text.strip_prefix("ssh://") else {
            return match text.split_once("://") {
                Some(("http" | "https", _)) => {
                    bad("an engine over TCP is written `tcp://host:port`")
                }
                Some(("npipe", _)) => bad("a named pipe is on this machine only, and of Windows"),
                Some((scheme, _)) => bad(&format!("`{scheme}` is no way to reach a host")),
                None => bad("it does not say how to get there"),
            };
        };
        let (authority, socket) = match rest.split_once('/') {
            Some((a, "")) => (a, None),
            Some((a, p)) => (a, Some(format!("/{p}"))),
            None => (rest, None),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        if let Some(user) = user {
            if user.contains(':') {
                return bad(
                    "a password does not belong in an address; leave it out, Berth asks for it",
                );
            }
            if user.is_empty()
                || user.starts_with('-')
                || user.chars().any(|c| c.is_control() || c.is_whitespace())
            {
                return bad("the user's name cannot be read");
            }
        }
        let (host, port) = match host_and_port(place) {
            Ok(found) => found,
            Err(why) => return bad(why),
        };
        Ok(Self::Ssh {
            user: user.map(str::to_owned),
            host,
            port,
            socket,
        })
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(place: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = if let Some(v6) = place.strip_prefix('[') {
        let (host, rest) = v6.split_once(']').ok_or("an IPv6 address ends with `]`")?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err("behind `]` comes a port, or nothing"),
        }
    } else {
        match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port != 0 => Some(port),
        Some(_) => return Err("the port is a number from 1 to 65535"),
    };
    if host.is_empty()
        || host.starts_with('-')
        || host
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "/@\\\"'`$".contains(c))
    {
        return Err("the host's name cannot be read");
    }
    Ok((host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh {
                user,
                host,
                port,
                socket,
            } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                if host.contains(':') {
                    write!(f, "[{host}]")?;
                } else {
                    f.write_str(host)?;
                }
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                f.write_str(socket.as_deref().unwrap_or_default())
            }
            Self::Unix { path } => write!(f, "unix://{path}"),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Practice => f.write_str("practice:"),
        }
    }
}

/// `user:password@` becomes `user:…@`: what was typed by mistake must not reach a log by way of an error.
fn without_password(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(s, r)| (s, r));
    match rest.rsplit_once('@') {
        Some((user, place)) if user.contains(':') => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…@{place}")
        }
        _ => text.to_owned(),
    }
}

/// What an engine runs its containers on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    /// Linux containers.
    Linux,
    /// Windows containers.
    Windows,
}

impl Os {
    /// The engine's own word: `linux` or `windows`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
        }
    }

    /// Reads the engine's own word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Linux, Self::Windows]
            .into_iter()
            .find(|os| os.as_str() == name)
    }
}

/// The way to a host's engine, one rung of the ladder: found once by a probe, then remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A socket on this machine.
    Socket(String),
    /// TCP to the engine itself, with TLS (`true`) or, on this machine alone, without.
    Direct(bool),
    /// SSH `direct-streamlocal` to the engine's socket on a Linux host.
    Streamlocal(String),
    /// SSH `direct-tcpip` to a listener on the host's own loopback.
    Tcp(u16),
    /// The same with TLS on both sides inside: the listener that Berth gave an engine for this machine alone.
    Tls(u16),
    /// `docker system dial-stdio`, one process on the host for each connection.
    DialStdio(String),
}

impl Route {
    /// The rungs to try on an SSH host, best first. `socket` is the one that the address names, `certificates` whether
    /// this machine has some for the host's engine.
    #[must_use]
    pub fn ladder(shell_is_windows: bool, socket: Option<&str>, certificates: bool) -> Vec<Self> {
        if shell_is_windows {
            // Win32-OpenSSH cannot forward a named pipe, so a socket is never tried there.
            let listener = certificates.then_some(Self::Tls(crate::prepare::LISTENER));
            let others = [
                Self::Tcp(2375),
                Self::DialStdio("docker system dial-stdio".into()),
                // The service's PATH is older than the engine where sshd was not restarted after its installation.
                Self::DialStdio(r"C:\ProgramData\Berth\docker.exe system dial-stdio".into()),
            ];
            listener.into_iter().chain(others).collect()
        } else if let Some(socket) = socket {
            vec![Self::Streamlocal(socket.to_owned())]
        } else {
            vec![
                Self::Streamlocal("/var/run/docker.sock".into()),
                Self::DialStdio("docker system dial-stdio".into()),
            ]
        }
    }

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(' ')?;
        Some(match kind {
            "socket" => Self::Socket(rest.to_owned()),
            "streamlocal" => Self::Streamlocal(rest.to_owned()),
            "tcp" => Self::Tcp(rest.parse().ok()?),
            "tls" => Self::Tls(rest.parse().ok()?),
            "exec" => Self::DialStdio(rest.to_owned()),
            "direct" => Self::Direct(rest == "tls"),
            _ => return None,
        })
    }

    /// The way in words, for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Socket(path) => format!("the socket {path} on this machine"),
            Self::Direct(true) => "TCP with TLS on both sides".to_owned(),
            Self::Direct(false) => "TCP on this machine".to_owned(),
            Self::Streamlocal(path) => format!("SSH to the socket {path}"),
            Self::Tcp(port) => format!("SSH to 127.0.0.1:{port} on the host"),
            Self::Tls(port) => {
                format!("SSH to 127.0.0.1:{port} on the host, with TLS on both sides")
            }
            Self::DialStdio(command) => format!("SSH and `{command}`"),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "socket {path}"),
            Self::Direct(true) => f.write_str("direct tls"),
            Self::Direct(false) => f.write_str("direct plain"),
            Self::Streamlocal(path) => write!(f, "streamlocal {path}"),
            Self::Tcp(port) => write!(f, "tcp {port}"),
            Self::Tls(port) => write!(f, "tls {port}"),
            Self::DialStdio(command) => write!(f, "exec {command}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let ssh = |user: Option<&str>, host: &str, port: u16, socket: Option<&str>| Address::Ssh {
            user: user.map(str::to_owned),
            host: host.into(),
            port: (port != 0).then_some(port),
            socket: socket.map(str::to_owned),
        };
        for (text, address) in [
            ("ssh://ann@winhost", ssh(Some("ann"), "winhost", 0, None)),
            ("ssh://winhost/", ssh(None, "winhost", 0, None)),
            ("ssh://a@b@h:2222", ssh(Some("a@b"), "h", 2222, None)),
            ("ssh://u@[::1]:22", ssh(Some("u"), "::1", 22, None)),
            ("ssh://u@[::1]", ssh(Some("u"), "::1", 0, None)),
            (
                "ssh://u@h:22/run/user/1000/docker.sock",
                ssh(Some("u"), "h", 22, Some("/run/user/1000/docker.sock")),
            ),
            (
                "unix:///var/run/docker.sock",
                Address::Unix {
                    path: "/var/run/docker.sock".into(),
                },
            ),
            (
                "tcp://h",
                Address::Tcp {
                    host: "h".into(),
                    port: 2376,
                },
            ),
            (
                "tcp://h:2375/",
                Address::Tcp {
                    host: "h".into(),
                    port: 2375,
                },
            ),
            (
                "tcp://[::1]:2376",
                Address::Tcp {
                    host: "::1".into(),
                    port: 2376,
                },
            ),
        ] {
            assert_eq!(Address::parse(text).unwrap(), address, "{text}");
        }
        for text in [
            "",
            "winhost",
            "ssh://",
            "ssh://@h",
            "ssh://h:0",
            "ssh://h:99999",
            "ssh://h:x",
            "ssh://u:pw@h",
            "http://h",
            "tcp://",
            "tcp://u@h:2376",
            "tcp://h:0",
            "tcp://h:1/path",
            "npipe:////./pipe/docker_engine",
            "unix://relative",
            "ssh://[::1",
            "ssh://-oProxyCommand=x",
            "ssh://u@h h",
        ] {
            let e = Address::parse(text).unwrap_err();
            assert!(
                e.what_to_do().is_some(),
                "{text}: the reader needs to see how an address looks"
            );
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let e = Address::parse("ssh://ann:Hunter2!@h").unwrap_err();
        assert!(e.causes().iter().any(|c| c.contains("password")));
        assert!(
            !e.to_string().contains("Hunter2"),
            "errors are logged and shown"
        );
    }

    proptest! {
        #[test]
        fn an_address_reads_back_what_it_prints(user in proptest::option::of("[a-z][a-z0-9._\\\\-]{0,8}"), host in "[a-z0-9][a-z0-9.-]{0,12}|[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}", port in proptest::option::of(1..=u16::MAX), socket in proptest::option::of("/[a-z/]{1,10}[a-z]")) {
            let address = Address::Ssh { user, host, port, socket };
            prop_assert_eq!(Address::parse(&address.to_string()).unwrap(), address);
        }

        #[test]
        fn no_address_makes_the_parser_panic(text: String) {
            let _ = Address::parse(&text);
            let _ = Address::parse(&format!("ssh://{text}"));
        }
    }

    #[test]
    fn a_route_reads_back_what_it_prints() {
        for route in [true, false]
            .into_iter()
            .flat_map(|w| Route::ladder(w, None, true))
            .chain(Route::ladder(false, Some("/x"), false))
            .chain([Route::Direct(true), Route::Direct(false)])
        {
            assert_eq!(Route::parse(&route.to_string()).unwrap(), route);
        }
        assert!(
            Route::ladder(true, Some("/x"), false)
                .iter()
                .all(|r| !matches!(r, Route::Streamlocal(_))),
            "Win32-OpenSSH cannot forward a pipe or a socket"
        );
    }
}
