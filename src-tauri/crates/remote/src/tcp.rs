//! TCP to the first address of an engine that answers.

use std::{io, net::SocketAddr, time::Duration};

use berth_core::{Code, Error, Result};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::{sleep, timeout},
};

/// For all addresses of a name together.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Between the starts of two addresses of one name (RFC 8305 8: 250 ms).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// What is looked for behind a port, for the sentences that say that it is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// `SSH server`.
    pub(crate) what: &'static str,
    /// What to look at where nothing answers at all.
    pub(crate) silent: &'static str,
    /// What to look at where the machine is there and the port is closed.
    pub(crate) closed: &'static str,
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn place(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Connects, without Nagle's delay: small packets are the rule here, and waiting to fill them would cost up to 40 ms
/// each. `allowed` is asked about every address of the name.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    wanted: Wanted,
    allowed: fn(SocketAddr) -> bool,
) -> Result<TcpStream> {
    let place = place(host, port);
    let all = async {
        let found = lookup_host((host, port)).await.map_err(|e| {
            Error::new(
                Code::Unreachable,
                format!("No address is known for `{host}`"),
            )
            .because(e.to_string())
            .hint("Check the spelling; a name of a private network needs its VPN")
        })?;
        let mut attempts = JoinSet::new();
        for (n, to) in (0u32..).zip(found.filter(|to| allowed(*to)).take(16)) {
            attempts.spawn(async move {
                sleep(NEXT_ADDRESS * n).await;
                (to, TcpStream::connect(to).await)
            });
        }
        let mut failures: Vec<(SocketAddr, io::Error)> = Vec::new();
        while let Some(done) = attempts.join_next().await {
            match done {
                Ok((_, Ok(stream))) => return Ok(stream),
                Ok((to, Err(e))) => failures.push((to, e)),
                Err(e) => {
                    return Err(Error::failed(format!("`{place}` could not be reached"))
                        .because(e.to_string()));
                }
            }
        }
        Err(unreachable(&place, wanted, &failures))
    };
    let stream = timeout(TCP_TIMEOUT, all).await.map_err(|_| {
        Error::new(Code::TimedOut, format!("`{place}` does not answer"))
            .because(format!("no connection within {} s", TCP_TIMEOUT.as_secs()))
            .hint(wanted.silent)
    })??;
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "nodelay could not be set");
    }
    Ok(stream)
}

fn unreachable(place: &str, wanted: Wanted, failures: &[(SocketAddr, io::Error)]) -> Error {
    if !failures.is_empty()
        && failures
            .iter()
            .all(|(_, e)| e.kind() == io::ErrorKind::ConnectionRefused)
    {
        return Error::new(
            Code::Unreachable,
            format!("No {} answers at `{place}`", wanted.what),
        )
        .because("connection refused")
        .hint(wanted.closed);
    }
    let mut error = Error::new(Code::Unreachable, format!("`{place}` cannot be reached"));
    for (to, e) in failures {
        error = error.because(format!("{to}: {e}"));
    }
    if failures.is_empty() {
        error = error.because("its name has no address that may be used");
    }
    error
}
