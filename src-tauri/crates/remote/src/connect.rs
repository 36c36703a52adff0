//! From an address to a connection that is signed in.

use std::{borrow::Cow, io, net::SocketAddr, sync::Arc, time::Duration};

use berth_core::{Code, Error, Result};
use russh::{Preferred, cipher, client};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Address, HostKeys, Lane, SignIn,
    client::{Facts, Watcher, reason_text},
    known_hosts::{self, Record},
    sign_in,
    wire::{FirstWords, Wire},
};

const TCP_TIMEOUT: Duration = Duration::from_secs(5);
const KEX_TIMEOUT: Duration = Duration::from_secs(10);

/// Between the starts of two addresses of one name (RFC 8305 8: 250 ms).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

pub(crate) struct Opened {
    pub(crate) handle: client::Handle<Watcher>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) way: String,
}

/// Cuts the connection when connecting is given up half-way.
struct CutOnDrop(Option<Arc<Facts>>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(facts) = &self.0 {
            facts.cut.cancel();
        }
    }
}

pub(crate) async fn open(
    address: &Address,
    sign_in: &SignIn,
    host_keys: &HostKeys,
    lane: Lane,
) -> Result<Opened> {
    address.check()?;
    let name = known_hosts::name_of(&address.host, address.port);
    let records = records(host_keys, &name).await?;
    let tcp = tcp(address).await?;

    let facts = Arc::new(Facts::default());
    let mut guard = CutOnDrop(Some(facts.clone()));
    let first = FirstWords::default();
    let wire = Wire::new(tcp, first.clone(), facts.cut.clone());
    let watcher = Watcher {
        name,
        host_keys: host_keys.clone(),
        facts: facts.clone(),
    };
    let connected = timeout(
        KEX_TIMEOUT,
        client::connect_stream(config(lane, &records), wire, watcher),
    )
    .await;
    let mut handle = match connected {
        Ok(Ok(handle)) => handle,
        Ok(Err(e)) => {
            return Err(facts
                .take_refusal()
                .unwrap_or_else(|| no_session(address, &first, &e)));
        }
        Err(_) => return Err(silent(address, &first)),
    };
    let way = sign_in::sign_in(&mut handle, address, sign_in, &facts).await?;
    tracing::debug!(host = %address, way, "signed in");
    guard.0 = None;
    Ok(Opened { handle, facts, way })
}

async fn records(host_keys: &HostKeys, name: &str) -> Result<Vec<Record>> {
    let (host_keys, name) = (host_keys.clone(), name.to_owned());
    tokio::task::spawn_blocking(move || host_keys.records(&name))
        .await
        .map_err(|e| {
            Error::failed("The known host keys could not be read").because(e.to_string())
        })?
}

fn config(lane: Lane, records: &[Record]) -> Arc<client::Config> {
    // AES has its own instructions on every Mac and on every server that runs Windows.
    const CIPHERS: &[cipher::Name] = &[
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
        cipher::AES_192_CTR,
        cipher::AES_128_CTR,
    ];
    let window_size = match lane {
        // A download is at most one window per round trip: 16 MiB are 160 MB/s at 100 ms.
        Lane::Bulk => 16 << 20,
        Lane::Control | Lane::Streams | Lane::Tunnels => 2 << 20,
    };
    Arc::new(client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-Berth_",
            env!("CARGO_PKG_VERSION")
        ))),
        window_size,
        // The pumps keep these queues empty; they only bridge a moment.
        channel_buffer_size: 64,
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        preferred: Preferred {
            key: Cow::Owned(known_hosts::algorithms(records)),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::DEFAULT
        },
        ..Default::default()
    })
}

/// Connects to the first address of the name that answers.
async fn tcp(address: &Address) -> Result<TcpStream> {
    let place = address.place();
    let no_answer = || {
        Error::new(Code::TimedOut, format!("`{place}` does not answer"))
            .because(format!("no connection within {} s", TCP_TIMEOUT.as_secs()))
            .hint("Is the machine on, is the address right, and does its firewall or network let SSH through from here?")
    };
    let all = async {
        let found = lookup_host((address.host.as_str(), address.port))
            .await
            .map_err(|e| {
                Error::new(
                    Code::Unreachable,
                    format!("No address is known for `{}`", address.host),
                )
                .because(e.to_string())
                .hint("Check the spelling; a name of a private network needs its VPN")
            })?;
        let mut attempts = JoinSet::new();
        for (n, to) in (0u32..).zip(found.take(16)) {
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
        Err(unreachable(address, &failures))
    };
    let stream = timeout(TCP_TIMEOUT, all).await.map_err(|_| no_answer())??;
    // Small packets are the rule here; waiting to fill them would cost up to 40 ms each.
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "nodelay could not be set");
    }
    Ok(stream)
}

fn unreachable(address: &Address, failures: &[(SocketAddr, io::Error)]) -> Error {
    let place = address.place();
    if !failures.is_empty()
        && failures
            .iter()
            .all(|(_, e)| e.kind() == io::ErrorKind::ConnectionRefused)
    {
        return Error::new(Code::Unreachable, format!("No SSH server answers at `{place}`"))
            .because("connection refused")
            .hint("The machine is there, but nothing listens on this port: is its SSH server running, and is the port right?");
    }
    let mut error = Error::new(Code::Unreachable, format!("`{place}` cannot be reached"));
    for (to, e) in failures {
        error = error.because(format!("{to}: {e}"));
    }
    if failures.is_empty() {
        error = error.because("its name has no address");
    }
    error
}

/// The key exchange failed for a reason other than the host's key.
fn no_session(address: &Address, first: &FirstWords, error: &russh::Error) -> Error {
    let place = address.place();
    if first.is_ssh() {
        let failed = Error::new(
            Code::Unreachable,
            format!("No secure connection to `{place}` could be agreed on"),
        )
        .because(reason_text(error));
        return match error {
            russh::Error::NoCommonAlgo { .. } => {
                failed.hint("Its SSH server is too old, or its configuration allows too little")
            }
            _ => failed,
        };
    }
    match first.line() {
        Some(line) => not_ssh(&place, &line),
        None => Error::new(Code::Unreachable, format!("`{place}` closed the connection before it said anything"))
            .because(reason_text(error))
            .hint("Something listens there and lets nobody in: a full or restarting SSH server, a proxy, or another service"),
    }
}

fn silent(address: &Address, first: &FirstWords) -> Error {
    let place = address.place();
    let limit = KEX_TIMEOUT.as_secs();
    if first.is_ssh() {
        return Error::new(
            Code::TimedOut,
            format!("`{place}` did not finish the key exchange within {limit} s"),
        );
    }
    match first.line() {
        Some(line) => not_ssh(&place, &line),
        None => Error::new(
            Code::TimedOut,
            format!("`{place}` accepts connections but said nothing for {limit} s"),
        )
        .hint(
            "Is this the port of its SSH server? A server under heavy load can look like this too",
        ),
    }
}

fn not_ssh(place: &str, line: &str) -> Error {
    Error::new(
        Code::Unreachable,
        format!("`{place}` answers, but it is not SSH: it said `{line}`"),
    )
    .hint("Another service listens on this port; the usual port of SSH is 22")
}
