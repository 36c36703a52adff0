//! What carries bytes to a host: SSH, a socket of this machine, TLS on both sides, or TCP that stays on this machine.

use std::{path::PathBuf, sync::Arc};

use berth_core::{
    BoxFuture, ByteStream, Dial, Error, Result,
    host::{Address, Route},
};
use berth_remote::{Lane, Tls, TlsFiles, is_loopback};
use berth_store::TlsRecord;

use crate::ssh::{EngineDial, SocketDial, Ssh};

/// The way to one host. A clone is the same way.
#[derive(Clone)]
pub(crate) enum Carrier {
    /// SSH connections, one for each lane.
    Ssh(Arc<Ssh>),
    /// A socket of this machine.
    Socket(PathBuf),
    /// TCP with TLS on both sides.
    Tls {
        /// A name or an address, as the certificate has it.
        host: String,
        tls: Arc<Tls>,
    },
    /// TCP without TLS, to this machine alone.
    Plain { host: String, port: u16 },
}

impl Carrier {
    /// The way to an engine that is reached without SSH.
    pub(crate) async fn direct(address: &Address, tls: Option<&TlsRecord>) -> Result<Self> {
        match (address, tls) {
            (Address::Unix { .. } | Address::Ssh { .. } | Address::Practice, Some(_)) => {
                Err(Error::usage("Certificates are for hosts over TCP").because(format!(
                    "`{address}` is none: SSH and sockets have their own ways to tell who may come in"
                )))
            }
            (Address::Unix { path }, None) => Ok(Self::Socket(path.into())),
            (Address::Tcp { host, port }, Some(files)) => {
                let files = TlsFiles {
                    ca: PathBuf::from(&files.ca),
                    cert: PathBuf::from(&files.cert),
                    key: PathBuf::from(&files.key),
                };
                Ok(Self::Tls {
                    host: host.clone(),
                    tls: Arc::new(Tls::open(host, *port, files).await?),
                })
            }
            (Address::Tcp { host, port }, None) => Ok(Self::Plain {
                host: host.clone(),
                port: *port,
            }),
            (Address::Ssh { .. } | Address::Practice, None) => {
                Err(Error::failed(format!("`{address}` is reached by SSH")))
            }
        }
    }

    pub(crate) fn ssh(&self) -> Option<&Arc<Ssh>> {
        match self {
            Self::Ssh(ssh) => Some(ssh),
            _ => None,
        }
    }

    pub(crate) fn tls(&self) -> Option<&Arc<Tls>> {
        match self {
            Self::Tls { tls, .. } => Some(tls),
            _ => None,
        }
    }

    /// The rung of the ladder that this is, where there is only one.
    pub(crate) fn route(&self) -> Option<Route> {
        match self {
            Self::Ssh(_) => None,
            Self::Socket(path) => Some(Route::Socket(path.to_string_lossy().into_owned())),
            Self::Tls { .. } => Some(Route::Direct(true)),
            Self::Plain { .. } => Some(Route::Direct(false)),
        }
    }

    /// Where the ports that this engine publishes are reached: `None` for this machine.
    pub(crate) fn published_on(&self) -> Option<String> {
        match self {
            Self::Tls { host, .. } if !is_loopback(host) => Some(host.clone()),
            _ => None,
        }
    }

    /// A dialler of its engine.
    pub(crate) fn engine(&self, route: &Route, lane: Lane) -> Arc<dyn Dial> {
        match self {
            Self::Ssh(ssh) => Arc::new(EngineDial {
                ssh: Arc::clone(ssh),
                route: route.clone(),
                lane,
            }),
            Self::Socket(path) => Arc::new(SocketDial(path.clone())),
            Self::Tls { tls, .. } => Arc::new(TlsDial(Arc::clone(tls))),
            Self::Plain { host, port } => Arc::new(PlainDial {
                host: host.clone(),
                port: *port,
            }),
        }
    }

    /// Whether the host can be reached and lets us in, as far as that has a clearer answer than the engine's first one.
    pub(crate) async fn probe(&self) -> Result<()> {
        match self {
            Self::Tls { tls, .. } => tls.probe().await,
            Self::Plain { host, port } => berth_remote::plain_tcp(host, *port).await.map(drop),
            Self::Ssh(_) | Self::Socket(_) => Ok(()),
        }
    }

    pub(crate) async fn close(&self) {
        if let Self::Ssh(ssh) = self {
            ssh.close().await;
        }
    }
}

struct TlsDial(Arc<Tls>);

impl Dial for TlsDial {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(self.0.dial())
    }
}

struct PlainDial {
    host: String,
    port: u16,
}

impl Dial for PlainDial {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        Box::pin(berth_remote::plain_tcp(&self.host, self.port))
    }
}
