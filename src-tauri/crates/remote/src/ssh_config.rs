//! What `ssh -G` says of a host, and what of it Berth cannot do.
//!
//! OpenSSH's own program reads its configuration, with every `Include`, `Match` and pattern; Berth only
//! reads the flat `key value` lines that it prints (ssh(1), `-G`).

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use berth_core::{Error, Result};

use crate::tokens::Tokens;

/// The lines of `ssh -G`: names in lower case, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolved(Vec<(String, String)>);

/// Whether an unknown host key may be recorded without a question (`StrictHostKeyChecking`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strict {
    /// Ask, or take the fingerprint that somebody gave.
    #[default]
    Ask,
    /// Record the key of a host that was never seen.
    AcceptNew,
    /// Never without a fingerprint that somebody gave; nobody is asked.
    Yes,
}

/// Which addresses of a name are tried (`AddressFamily`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Family {
    /// All.
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// A way to sign in, as `PreferredAuthentications` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `publickey`
    PublicKey,
    /// `password`
    Password,
    /// `keyboard-interactive`
    Questions,
}

/// What may be agreed on and how the connection is made. `None` is what Berth takes by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `Ciphers`: the only ones that may be used.
    pub ciphers: Option<Vec<String>>,
    /// `MACs`
    pub macs: Option<Vec<String>>,
    /// `KexAlgorithms`
    pub kex: Option<Vec<String>>,
    /// `HostKeyAlgorithms`
    pub host_keys: Option<Vec<String>>,
    /// `CASignatureAlgorithms`
    pub authority_signatures: Option<Vec<String>>,
    /// `PubkeyAcceptedAlgorithms`
    pub key_algorithms: Option<Vec<String>>,
    /// `ConnectTimeout`, for TCP.
    pub connect_timeout: Option<Duration>,
    /// `AddressFamily`
    pub family: Family,
    /// `BindAddress`
    pub bind: Option<IpAddr>,
    /// `RequiredRSASize`, in bits; 0 asks for nothing.
    pub rsa_bits: usize,
}

impl Resolved {
    /// Reads the output of `ssh -G`. A line without a value has an empty one.
    pub(crate) fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| {
                    let line = line.trim_end_matches('\r');
                    let (key, value) = line.split_once(' ').unwrap_or((line, ""));
                    (!key.is_empty()).then(|| (key.to_ascii_lowercase(), value.trim().to_owned()))
                })
                .collect(),
        )
    }

    /// The first value, as OpenSSH takes the first; `None` also for `none`.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .filter(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
            .find(|value| !value.is_empty())
            .filter(|value| !value.eq_ignore_ascii_case("none"))
    }

    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// `yes` and `true` are the same to different versions.
    pub(crate) fn yes(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        }
    }

    fn list(&self, key: &str) -> Option<Vec<String>> {
        self.get(key)
            .map(|value| value.split(',').map(|v| v.trim().to_owned()).collect())
    }

    /// `UserKnownHostsFile` and its like: several files on one line, where a space in a name cannot be
    /// told from one between names. Every file has an absolute name, so a word that has none goes on
    /// the one before it.
    pub(crate) fn files(&self, key: &str, tokens: &Tokens) -> Result<Vec<PathBuf>> {
        let mut names: Vec<String> = Vec::new();
        for word in self.get(key).unwrap_or_default().split(' ') {
            let begins = word.starts_with(['/', '~', '%', '$']);
            match names.last_mut() {
                Some(last) if !begins => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ if word.is_empty() => {}
                _ => names.push(word.to_owned()),
            }
        }
        names
            .iter()
            .filter(|name| !name.eq_ignore_ascii_case("none"))
            .map(|name| tokens.path(key, name))
            .collect()
    }

    pub(crate) fn strict(&self) -> Strict {
        match self.get("stricthostkeychecking") {
            Some("yes" | "true") => Strict::Yes,
            Some("accept-new" | "no" | "off" | "false") => Strict::AcceptNew,
            _ => Strict::Ask,
        }
    }

    /// The ways to sign in that the configuration leaves, in its order.
    pub(crate) fn methods(&self) -> Vec<Method> {
        let wanted: Vec<Method> = match self.list("preferredauthentications") {
            Some(names) => names
                .iter()
                .filter_map(|name| match name.as_str() {
                    "publickey" => Some(Method::PublicKey),
                    "password" => Some(Method::Password),
                    "keyboard-interactive" => Some(Method::Questions),
                    _ => None,
                })
                .collect(),
            None => vec![Method::PublicKey, Method::Password, Method::Questions],
        };
        wanted
            .into_iter()
            .filter(|method| {
                let key = match method {
                    Method::PublicKey => "pubkeyauthentication",
                    Method::Password => "passwordauthentication",
                    Method::Questions => "kbdinteractiveauthentication",
                };
                // `host-bound` and `unbound` are ways to say yes.
                self.yes(key) != Some(false)
            })
            .collect()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            ciphers: self.list("ciphers"),
            macs: self.list("macs"),
            kex: self.list("kexalgorithms"),
            host_keys: self.list("hostkeyalgorithms"),
            authority_signatures: self.list("casignaturealgorithms"),
            key_algorithms: self
                .list("pubkeyacceptedalgorithms")
                .or_else(|| self.list("pubkeyacceptedkeytypes")),
            connect_timeout: self
                .get("connecttimeout")
                .and_then(|v| v.parse().ok())
                .filter(|seconds| *seconds > 0)
                .map(|seconds: u64| Duration::from_secs(seconds.min(120))),
            family: match self.get("addressfamily") {
                Some("inet") => Family::Inet,
                Some("inet6") => Family::Inet6,
                _ => Family::Any,
            },
            bind: self.get("bindaddress").and_then(|v| v.parse().ok()),
            rsa_bits: self
                .get("requiredrsasize")
                .and_then(|v| v.parse().ok())
                .unwrap_or(0),
        }
    }

    /// What the configuration asks for and Berth does not do, each in one sentence.
    pub(crate) fn not_honoured(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for wish in WISHES {
            for value in self.all(wish.key) {
                if (wish.is_set)(value) {
                    notes.push(format!("`{} {value}`: {}", wish.name, wish.instead));
                    break;
                }
            }
        }
        if self
            .get("bindaddress")
            .is_some_and(|v| v.parse::<IpAddr>().is_err())
        {
            notes.push("`BindAddress`: only an address is honoured, not a name".to_owned());
        }
        notes
    }
}

/// An option that Berth does not do.
pub(crate) struct Wish {
    /// As `ssh -G` writes it.
    key: &'static str,
    /// As people write it.
    pub(crate) name: &'static str,
    is_set: fn(&str) -> bool,
    /// What Berth does instead.
    pub(crate) instead: &'static str,
}

fn on(value: &str) -> bool {
    !matches!(value, "" | "no" | "false" | "none" | "0" | "0 0")
}

fn set(value: &str) -> bool {
    !value.is_empty() && value != "none"
}

/// Every option that changes how a host is reached or trusted and that Berth does not honour. The table in
/// `docs/hosts.md` says the same, and a test compares them.
pub(crate) const WISHES: &[Wish] = &[
    Wish {
        key: "bindinterface",
        name: "BindInterface",
        is_set: set,
        instead: "the system chooses the interface",
    },
    Wish {
        key: "checkhostip",
        name: "CheckHostIP",
        is_set: on,
        instead: "the host's key is looked up by its name alone",
    },
    Wish {
        key: "compression",
        name: "Compression",
        is_set: on,
        instead: "Berth does not compress",
    },
    Wish {
        key: "controlmaster",
        name: "ControlMaster",
        is_set: on,
        instead: "Berth keeps connections of its own",
    },
    Wish {
        key: "dynamicforward",
        name: "DynamicForward",
        is_set: set,
        instead: "Berth opens only the ports of instances",
    },
    Wish {
        key: "forwardagent",
        name: "ForwardAgent",
        is_set: on,
        instead: "the SSH agent is never forwarded",
    },
    Wish {
        key: "forwardx11",
        name: "ForwardX11",
        is_set: on,
        instead: "nothing is forwarded",
    },
    Wish {
        key: "hostbasedauthentication",
        name: "HostbasedAuthentication",
        is_set: on,
        instead: "Berth does not sign in this way",
    },
    Wish {
        key: "knownhostscommand",
        name: "KnownHostsCommand",
        is_set: set,
        instead: "host keys are read from files only",
    },
    Wish {
        key: "localforward",
        name: "LocalForward",
        is_set: set,
        instead: "Berth opens only the ports of instances",
    },
    Wish {
        key: "nohostauthenticationforlocalhost",
        name: "NoHostAuthenticationForLocalhost",
        is_set: on,
        instead: "the key of every host is checked",
    },
    Wish {
        key: "permitlocalcommand",
        name: "PermitLocalCommand",
        is_set: on,
        instead: "no command is run on this machine",
    },
    Wish {
        key: "pkcs11provider",
        name: "PKCS11Provider",
        is_set: set,
        instead: "a smart card is used through an SSH agent: `ssh-add -s`",
    },
    Wish {
        key: "rekeylimit",
        name: "RekeyLimit",
        is_set: on,
        instead: "keys are renewed after 1 GiB",
    },
    Wish {
        key: "remotecommand",
        name: "RemoteCommand",
        is_set: set,
        instead: "Berth runs commands of its own",
    },
    Wish {
        key: "remoteforward",
        name: "RemoteForward",
        is_set: set,
        instead: "nothing is forwarded from the host",
    },
    Wish {
        key: "securitykeyprovider",
        name: "SecurityKeyProvider",
        is_set: |v| set(v) && v != "internal",
        instead: "a FIDO key is used through an SSH agent",
    },
    Wish {
        key: "serveraliveinterval",
        name: "ServerAliveInterval",
        is_set: on,
        instead: "Berth asks by its own clock whether the host is there",
    },
    Wish {
        key: "stricthostkeychecking",
        name: "StrictHostKeyChecking",
        is_set: |v| matches!(v, "no" | "off" | "false"),
        instead: "a new key is recorded as with `accept-new`; a changed one is refused",
    },
    Wish {
        key: "tunnel",
        name: "Tunnel",
        is_set: on,
        instead: "no network is bridged",
    },
    Wish {
        key: "verifyhostkeydns",
        name: "VerifyHostKeyDNS",
        is_set: on,
        instead: "fingerprints in DNS are not looked up",
    },
];

/// A jump host as `ProxyJump` and `--jump` write it: `[user@]host[:port]`, or the same as `ssh://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// The user to sign in as there, where it is said.
    pub user: Option<String>,
    /// A name of the SSH configuration, a name or an address.
    pub host: String,
    /// The port, where it is said.
    pub port: Option<u16>,
}

impl Jump {
    /// Reads a chain: hosts in the order in which they are passed, with commas between them.
    ///
    /// # Errors
    /// [`berth_core::Code::Usage`] for what is no host.
    pub fn chain(text: &str) -> Result<Vec<Self>> {
        text.split(',').map(|one| Self::parse(one.trim())).collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::usage(format!("`{}` is not a jump host", text.escape_debug()))
                .hint("Write `user@host`, `host:2222` or a name of `~/.ssh/config`")
        };
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(v6) => {
                let (host, rest) = v6.split_once(']').ok_or_else(bad)?;
                match rest.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if rest.is_empty() => (host, None),
                    None => return Err(bad()),
                }
            }
            None => match place.rsplit_once(':') {
                // An IPv6 address without brackets has no port.
                Some((host, _)) if host.contains(':') => (place, None),
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port != 0 => Some(port),
            Some(_) => return Err(bad()),
        };
        let odd = |c: char| c.is_control() || c.is_whitespace() || "/@\\\"'`$;|&<>".contains(c);
        let is_odd = |name: &str| name.is_empty() || name.starts_with('-') || name.contains(odd);
        if is_odd(host)
            || user.is_some_and(|u| {
                u.is_empty()
                    || u.starts_with('-')
                    || u.contains(|c: char| c.is_control() || c.is_whitespace() || c == ':')
            })
        {
            return Err(bad());
        }
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }

    /// As `ssh -J` reads it.
    pub(crate) fn written(&self) -> String {
        let user = self
            .user
            .as_ref()
            .map_or_else(String::new, |user| format!("{user}@"));
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        if self.host.contains(':') {
            format!("{user}[{}]{port}", self.host)
        } else {
            format!("{user}{}{port}", self.host)
        }
    }
}

/// The public half beside a key file: `FILE.pub`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
#[path = "ssh_config_tests.rs"]
mod tests;
