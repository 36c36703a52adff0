//! A connection: from a stream to a session that is logged in.

use std::{fmt, future::Future, time::Duration};

use berth_core::{Code, Dial, Error, Result, Secret, secret::ExposeSecret};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::{
    error::{ConnectError, statement_error, timed_out},
    wire::{Scissors, Wire, wire},
};

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The SQL login.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The database to start in; None for the login's own.
    pub database: Option<String>,
    /// What the server's activity views call us.
    pub app: String,
}

/// How the server is known to be the right one. The connection is encrypted in either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Any certificate: the bytes go through a tunnel whose other end is verified already.
    Tunnel,
    /// The certificate must be for `name`, and signed by `ca` (PEM or DER) or else by one of
    /// this machine's authorities.
    Certificate {
        /// The name that the certificate must be for.
        name: String,
        /// The authorities to trust besides this machine's.
        ca: Option<Vec<u8>>,
    },
    /// No encryption at all, for tests of what comes after it.
    #[cfg(test)]
    Plain,
}

/// A session of SQL Server. One thing at a time: it takes `&mut self`.
pub struct Connection {
    pub(crate) client: Client<Compat<Wire>>,
    pub(crate) scissors: Scissors,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// Opens a stream and logs in, all within `timeout`.
///
/// # Errors
/// [`ConnectError`], whose kind says whether to wait, to ask for another password, or to give
/// up. No text holds the password.
pub async fn connect(
    dial: &dyn Dial,
    login: &Login,
    trust: Trust,
    timeout: Duration,
) -> Result<Connection, ConnectError> {
    match tokio::time::timeout(timeout, open(dial, login, trust)).await {
        Ok(connected) => connected,
        Err(_) => Err(ConnectError::timeout(timeout)),
    }
}

async fn open(dial: &dyn Dial, login: &Login, trust: Trust) -> Result<Connection, ConnectError> {
    let mut config = Config::new();
    config.authentication(AuthMethod::sql_server(
        &login.user,
        login.password.expose_secret(),
    ));
    config.application_name(&login.app);
    if let Some(database) = &login.database {
        config.database(database);
    }
    config.encryption(EncryptionLevel::Required);
    // All limits are ours: the driver's would not tell what was being done.
    config.handshake_timeout(None);
    config.command_timeout(None);
    config.lossy_utf16_decoding(true);
    match trust {
        Trust::Tunnel => config.trust_cert(),
        Trust::Certificate { name, ca } => {
            config.hostname_in_certificate(name);
            if let Some(ca) = ca {
                config.trust_cert_ca_bundle(ca);
            }
        }
        #[cfg(test)]
        Trust::Plain => config.encryption(EncryptionLevel::NotSupported),
    }
    let stream = dial.dial().await.map_err(ConnectError::dial)?;
    let (wire, scissors) = wire(stream);
    let client = Box::pin(Client::connect(config, wire.compat()))
        .await
        .map_err(|e| ConnectError::from_driver(&login.user, e))?;
    Ok(Connection { client, scissors })
}

impl Connection {
    /// Whether the connection can still be used. It cannot after a call that was dropped or ran
    /// out of time; whether the server is still there, only a call can tell.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.scissors.is_cut()
    }

    /// Says good-bye. Dropping the connection does nearly the same.
    pub async fn close(self) {
        // Whatever it answers, the connection is gone afterwards.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.client.close()).await;
    }

    /// Runs `call` on the driver within `limit`, and closes the connection unless it ends by itself.
    pub(crate) async fn within<'c, T, F>(
        &'c mut self,
        doing: &str,
        limit: Duration,
        call: impl FnOnce(&'c mut Client<Compat<Wire>>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = tiberius::Result<T>>,
    {
        self.check_open(doing)?;
        let guard = self.scissors.unless_finished();
        let result = tokio::time::timeout(limit, call(&mut self.client)).await;
        match result {
            Err(_) => Err(timed_out(doing, Some(limit))),
            Ok(Ok(value)) => {
                guard.finished();
                Ok(value)
            }
            Ok(Err(e)) => {
                // After an error of the server the answer was read to its end.
                if matches!(e, tiberius::error::Error::Server(_)) {
                    guard.finished();
                }
                Err(statement_error(doing, e))
            }
        }
    }

    pub(crate) fn check_open(&self, doing: &str) -> Result<()> {
        if self.is_open() {
            return Ok(());
        }
        Err(Error::new(Code::Unreachable, format!("Could not {doing}"))
            .because("the connection was closed when an earlier call did not end")
            .hint("Connect again"))
    }
}
