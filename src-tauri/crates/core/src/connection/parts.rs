//! What a connection string says, whatever the format.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{options, text::Part};
use crate::secret::ExposeSecret;
use crate::{Error, Result, Secret};

/// The longest user, password, database, application or host name, in UTF-16 units: the
/// limit of the login packet (MS-TDS 2.2.6.4). Drivers refuse, cut or blank what is longer.
const LONGEST: usize = 128;

/// An endpoint, a login, a database, and how the server is known.
#[derive(Debug, Clone)]
pub struct Parts {
    /// A DNS name, an IPv4 or an IPv6 address (without brackets).
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// The database to start in; none is the login's own default.
    pub database: Option<String>,
    /// A SQL Server login, 1 to 128 UTF-16 units.
    pub user: String,
    /// Its password, 1 to 128 UTF-16 units.
    pub password: Secret,
    /// How the client knows the server.
    pub tls: Tls,
    /// The name that the server's session list shows; none is the driver's own.
    pub app: Option<String>,
    /// More keywords of the format, in its own spelling. They cannot say again, or otherwise,
    /// what the parts say; formats that have no place for them refuse.
    pub options: Vec<(String, Setting)>,
}

/// The value of an option. Formats that are text write a flag and a number in their own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Any text without NUL.
    Text(String),
    /// On or off.
    Flag(bool),
    /// A whole number.
    Number(i64),
}

impl Setting {
    /// As text, a flag as `on` or `off` says.
    pub(super) fn words(&self, on: &str, off: &str) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => if *flag { on } else { off }.to_owned(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// How far a client knows the server: what [`Tls`] says, without its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// An authority given as a file.
    VerifiedByFile,
    /// An authority that the client's machine trusts.
    VerifiedBySystem,
    /// Exactly one certificate.
    Pinned,
    /// Any certificate.
    Unverified,
}

impl Rung {
    /// From the safest down.
    pub const ALL: [Self; 4] = [
        Self::VerifiedByFile,
        Self::VerifiedBySystem,
        Self::Pinned,
        Self::Unverified,
    ];

    /// What a string on this rung does, in words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::VerifiedByFile => {
                "encrypted, the server's certificate has to lead to the given authority and fit the host"
            }
            Self::VerifiedBySystem => {
                "encrypted, the server's certificate has to lead to an authority that the client's machine trusts, and fit the host"
            }
            Self::Pinned => "encrypted, and the server has to show exactly the pinned certificate",
            Self::Unverified => "encrypted, the server's certificate is not verified",
        }
    }
}

/// How the client knows the server. The connection is encrypted in every case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Encrypted, the server not verified: right where a tunnel has verified the host.
    #[default]
    Unverified,
    /// The certificate has to lead to an authority that the client trusts, and fit the host.
    Verified {
        /// The authority's certificate; none is what the client's machine trusts.
        ca_file: Option<String>,
    },
    /// The server has to show exactly this certificate.
    Pinned {
        /// The certificate's file.
        certificate_file: String,
    },
}

impl Tls {
    /// Which rung of the ladder it is.
    #[must_use]
    pub fn rung(&self) -> Rung {
        match self {
            Self::Unverified => Rung::Unverified,
            Self::Verified { ca_file: None } => Rung::VerifiedBySystem,
            Self::Verified { ca_file: Some(_) } => Rung::VerifiedByFile,
            Self::Pinned { .. } => Rung::Pinned,
        }
    }
}

impl Parts {
    /// A login to a server, encrypted and not verified, without a database to start in.
    #[must_use]
    pub fn new(
        host: impl Into<String>,
        port: u16,
        user: impl Into<String>,
        password: Secret,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            database: None,
            user: user.into(),
            password,
            tls: Tls::Unverified,
            app: None,
            options: Vec::new(),
        }
    }

    /// Whether any format could say them.
    ///
    /// # Errors
    /// [`crate::Code::Usage`], which names the part and never repeats the password.
    pub fn check(&self) -> Result<()> {
        check_host(&self.host)?;
        if self.port == 0 {
            return Err(Error::usage("Port 0 is no port to connect to"));
        }
        check_value("user", &self.user)?;
        check_value("password", self.password.expose_secret())?;
        if let Some(database) = &self.database {
            check_value("database", database)?;
        }
        if let Some(app) = &self.app {
            check_value("application name", app)?;
        }
        options::check(&self.options)?;
        match &self.tls {
            Tls::Unverified | Tls::Verified { ca_file: None } => Ok(()),
            Tls::Verified {
                ca_file: Some(file),
            }
            | Tls::Pinned {
                certificate_file: file,
            } => check_file(file),
        }
    }

    /// The part of a text that says how the server is known.
    pub(super) fn tls_part(&self) -> Part {
        Part::Tls(self.tls.rung())
    }

    /// The host where a port follows after `:` or `,`: IPv6 in brackets.
    pub(super) fn bracketed_host(&self) -> String {
        if self.is_ipv6() {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }

    /// Whether the host is an IPv6 address.
    pub(super) fn is_ipv6(&self) -> bool {
        self.host.parse::<Ipv6Addr>().is_ok()
    }

    /// The first of user, password, database and application name that `fits` refuses.
    pub(super) fn first_unfit(&self, fits: impl Fn(&str) -> bool) -> Option<&'static str> {
        let all = [
            ("this password", Some(self.password.expose_secret())),
            ("this user", Some(self.user.as_str())),
            ("this database", self.database.as_deref()),
            ("this application name", self.app.as_deref()),
        ];
        all.into_iter()
            .find(|(_, value)| value.is_some_and(|v| !fits(v)))
            .map(|(name, _)| name)
    }
}

fn check_value(name: &str, value: &str) -> Result<()> {
    let bad = |why: &str| {
        Err(Error::usage(format!("This {name} fits no connection string")).because(why))
    };
    if value.is_empty() {
        return bad("it is empty");
    }
    if value.contains('\0') {
        return bad("it holds a NUL character, which ends the text in most drivers");
    }
    if value.encode_utf16().count() > LONGEST {
        return bad("it has more than 128 UTF-16 units, the limit of SQL Server's login");
    }
    Ok(())
}

/// Only names and addresses: no format then needs to quote a host, and none can be led elsewhere by one.
fn check_host(host: &str) -> Result<()> {
    let name = |host: &str| {
        host.len() <= LONGEST
            && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    if host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok() || name(host) {
        return Ok(());
    }
    let shown: String = host.chars().take(40).collect();
    Err(Error::usage(format!(
        "`{}` cannot be the host of a connection string",
        shown.escape_debug()
    ))
    .hint("Give a DNS name in ASCII or an IP address, without port or instance"))
}

fn check_file(file: &str) -> Result<()> {
    if file.is_empty() || file.chars().any(char::is_control) {
        return Err(Error::usage(
            "The certificate's file name is empty or holds a control character",
        ));
    }
    Ok(())
}
