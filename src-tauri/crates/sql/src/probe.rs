//! One look at a server: how far is it?

use std::time::Duration;

use berth_core::{
    Dial, Error,
    readiness::{Observation, means_wait},
};

use crate::{
    Database,
    administration::Identity,
    connect::{Login, Trust, connect},
    error::ConnectErrorKind,
};

/// How long one look may take.
pub const PROBE_TIME: Duration = Duration::from_secs(5);

/// The databases without which a server is not ready.
const SYSTEM: [&str; 4] = ["master", "tempdb", "model", "msdb"];

/// What one look showed.
#[derive(Debug, Clone)]
pub enum Probe {
    /// Nothing answers.
    NotListening,
    /// Something answers, but no login works yet. Look again.
    Listening {
        /// The server's error number; 0 where it gave none.
        number: u32,
        /// What it said.
        error: Error,
    },
    /// The login was refused in a way that waiting does not mend.
    LoginRefused {
        /// 18456 as a rule.
        number: u32,
        /// The error's state.
        state: u8,
        /// What it said.
        error: Error,
    },
    /// The login works, but not every system database is online.
    LoggedIn {
        /// All databases.
        databases: Vec<Database>,
    },
    /// The login works, every system database is online, and the server said who it is.
    Ready {
        /// Who it is.
        identity: Identity,
        /// All databases.
        databases: Vec<Database>,
    },
    /// The way to it is broken, and looking again shows the same: encryption, a host key, …
    Unusable(Error),
}

impl Probe {
    /// The same for the readiness state machine, in order.
    #[must_use]
    pub fn observations(&self) -> Vec<Observation> {
        match self {
            Self::NotListening | Self::Unusable(_) => vec![Observation::NotListening],
            Self::Listening { number, .. } => vec![Observation::NotYet { number: *number }],
            Self::LoginRefused { number, state, .. } => {
                vec![Observation::LoginRefused {
                    number: *number,
                    state: *state,
                }]
            }
            Self::LoggedIn { databases } => {
                vec![Observation::LoggedIn {
                    databases: databases.clone(),
                }]
            }
            Self::Ready { databases, .. } => vec![
                Observation::LoggedIn {
                    databases: databases.clone(),
                },
                Observation::Identified,
            ],
        }
    }

    /// The names of the databases that are not online, as far as they were listed.
    #[must_use]
    pub fn databases_offline(&self) -> Vec<String> {
        match self {
            Self::LoggedIn { databases } | Self::Ready { databases, .. } => databases
                .iter()
                .filter(|d| !is_online(d))
                .map(|d| d.name.clone())
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Looks at a server once, within [`PROBE_TIME`].
pub async fn probe(dial: &dyn Dial, login: &Login, trust: Trust) -> Probe {
    // What came back before the time was up is kept: a login that works is progress, even if
    // the list of databases hangs on one that recovers.
    let mut seen = Probe::NotListening;
    let silent = |error| Probe::Listening { number: 0, error };
    let look = async {
        let mut connection = match connect(dial, login, trust, PROBE_TIME).await {
            Ok(connection) => connection,
            Err(e) => {
                seen = match e.kind {
                    ConnectErrorKind::NotListening => Probe::NotListening,
                    ConnectErrorKind::LoginFailed { number, state } if !means_wait(number) => {
                        Probe::LoginRefused {
                            number,
                            state,
                            error: e.error,
                        }
                    }
                    ConnectErrorKind::LoginFailed { number, .. }
                    | ConnectErrorKind::NotReadyYet { number }
                    | ConnectErrorKind::DatabaseUnavailable { number } => Probe::Listening {
                        number,
                        error: e.error,
                    },
                    ConnectErrorKind::Timeout => silent(e.error),
                    ConnectErrorKind::Tls | ConnectErrorKind::Other => Probe::Unusable(e.error),
                };
                return;
            }
        };
        seen = Probe::LoggedIn {
            databases: Vec::new(),
        };
        let Ok(databases) = connection.databases().await else {
            return;
        };
        let all = SYSTEM
            .iter()
            .all(|name| databases.iter().any(|d| d.name == *name && is_online(d)));
        seen = Probe::LoggedIn {
            databases: databases.clone(),
        };
        if !all {
            return;
        }
        if let Ok(identity) = connection.identity().await {
            seen = Probe::Ready {
                identity,
                databases,
            };
        }
        connection.close().await;
    };
    let _ = tokio::time::timeout(PROBE_TIME + Duration::from_millis(200), look).await;
    seen
}

fn is_online(database: &Database) -> bool {
    database.state.eq_ignore_ascii_case("ONLINE")
}
