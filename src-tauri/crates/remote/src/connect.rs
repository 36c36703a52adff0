//! From an address to a connection that is signed in.

use std::{
    borrow::Cow,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use berth_core::{ByteStream, Code, Error, Result};
use russh::client;
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Address, Family, HostKeys, Lane, Profile, Session, Settings, Via, algorithms,
    client::{Facts, Watcher, reason_text},
    host_keys::{Name, Records},
    proxy::Said,
    sign_in::{self, Accepted},
    wire::{FirstWords, Wire},
};

const TCP_TIMEOUT: Duration = Duration::from_secs(5);
const KEX_TIMEOUT: Duration = Duration::from_secs(10);

/// Between the starts of two addresses of one name (RFC 8305 8: 250 ms).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

pub(crate) struct Opened {
    pub(crate) handle: client::Handle<Watcher>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) accepted: Accepted,
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

/// Pauses before a server is asked again that has too many sign-ins under way.
const BUSY_PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(600),
    Duration::from_millis(1500),
];

pub(crate) async fn open(profile: &Profile, lane: Lane) -> Result<Opened> {
    for pause in BUSY_PAUSES {
        match open_once(profile, lane).await {
            Err(e) if e.get_detail("busy").is_some() => sleep(pause).await,
            other => return other,
        }
    }
    open_once(profile, lane).await
}

async fn open_once(profile: &Profile, lane: Lane) -> Result<Opened> {
    let Profile {
        address,
        sign_in,
        host_keys,
        settings,
        via,
    } = profile;
    address.check()?;
    let name = host_keys.names(address);
    let records = records(host_keys, &name).await?;
    let config = config(lane, &records, settings)?;
    let mut peer = None;
    let (stream, said): (Box<dyn ByteStream>, Option<Said>) = match via {
        Via::Direct => {
            let tcp = tcp(address, settings).await?;
            peer = tcp.peer_addr().ok();
            (Box::new(tcp), None)
        }
        Via::Command(command) => {
            let (stream, said) = command.start()?;
            (Box::new(stream), Some(said))
        }
        Via::Jump(jump) => (through(jump, address).await?, None),
    };

    let facts = Arc::new(Facts::default());
    if let Some(to) = peer {
        let _ = facts.peer.set(to);
    }
    let mut guard = CutOnDrop(Some(facts.clone()));
    let first = FirstWords::default();
    let wire = Wire::new(
        stream,
        first.clone(),
        facts.pulse.clone(),
        facts.cut.clone(),
    );
    let watcher = Watcher {
        name,
        host_keys: host_keys.clone(),
        signatures: settings.authority_signatures.clone(),
        rsa_bits: settings.rsa_bits,
        facts: facts.clone(),
    };
    let connected = timeout(KEX_TIMEOUT, client::connect_stream(config, wire, watcher)).await;
    let mut handle = match connected {
        Ok(Ok(handle)) => handle,
        Ok(Err(e)) => {
            return Err(match facts.take_refusal() {
                Some(refusal) => refusal,
                None => by_command(no_session(address, &first, &e), said.as_ref()).await,
            });
        }
        Err(_) => return Err(by_command(silent(address, &first), said.as_ref()).await),
    };
    let accepted = sign_in::sign_in(&mut handle, address, sign_in, &facts).await?;
    tracing::debug!(host = %address, way = accepted.way, "signed in");
    guard.0 = None;
    Ok(Opened {
        handle,
        facts,
        accepted,
    })
}

/// A tunnel from a jump host. Its connection carries nothing else, so it may wait for its only reader.
async fn through(jump: &Profile, to: &Address) -> Result<Box<dyn ByteStream>> {
    let place = jump.address.place();
    let tunnel = async {
        let session = Box::pin(Session::open(jump, Lane::Bulk)).await?;
        session.tcp(&to.host, to.port).await
    };
    tunnel.await.map_err(|e| {
        let fingerprint = e.get_detail("fingerprint").map(str::to_owned);
        let name = e.get_detail("host").map(str::to_owned);
        let e = e.because(format!("`{place}` is a jump host on the way to `{}`", to.place()));
        match (fingerprint, name) {
            // A fingerprint alone is meant for the host itself.
            (Some(fingerprint), Some(name)) if e.code() == Code::HostKeyUnknown => e.hint(format!(
                "Compare it with what the jump host's owner says, then trust it with `--trust-host-key '{name}={fingerprint}'`"
            )),
            _ if e.code() == Code::SignInRefused => e.hint(
                "A jump host is signed in to by key or by the SSH agent: its `IdentityFile` in `~/.ssh/config`, or `ssh-add`",
            ),
            _ => e,
        }
        .detail("jump", place.clone())
    })
}

/// What a ProxyCommand said of its own accord explains more than the silence behind it.
async fn by_command(error: Error, said: Option<&Said>) -> Error {
    let Some(said) = said else {
        return error;
    };
    said.settle().await;
    match said.line() {
        Some(line) => error.because(format!("the ProxyCommand says: `{line}`")),
        None => error.because("it is reached by a ProxyCommand, which said nothing"),
    }
}

async fn records(host_keys: &HostKeys, name: &Name) -> Result<Records> {
    let (host_keys, name) = (host_keys.clone(), name.clone());
    tokio::task::spawn_blocking(move || host_keys.records(&name))
        .await
        .map_err(|e| {
            Error::failed("The known host keys could not be read").because(e.to_string())
        })?
}

fn config(lane: Lane, records: &Records, settings: &Settings) -> Result<Arc<client::Config>> {
    let window_size = match lane {
        // A download is at most one window per round trip: 16 MiB are 160 MB/s at 100 ms.
        Lane::Bulk => 16 << 20,
        Lane::Control | Lane::Streams | Lane::Tunnels => 2 << 20,
    };
    Ok(Arc::new(client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-Berth_",
            env!("CARGO_PKG_VERSION")
        ))),
        window_size,
        // The pumps keep these queues empty; they only bridge a moment.
        channel_buffer_size: 64,
        // What is sent and stays unanswered ends a connection (`pulse`), and this sends something. Should that not see it, the
        // fourth question without an answer does.
        keepalive_interval: Some(Duration::from_secs(10)),
        keepalive_max: 3,
        preferred: algorithms::preferred(settings, records)?,
        ..Default::default()
    }))
}

/// Connects to the first address of the name that answers.
async fn tcp(address: &Address, settings: &Settings) -> Result<TcpStream> {
    let place = address.place();
    let limit = settings.connect_timeout.unwrap_or(TCP_TIMEOUT);
    let no_answer = || {
        Error::new(Code::TimedOut, format!("`{place}` does not answer"))
            .because(format!("no connection within {} s", limit.as_secs()))
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
        let (family, bind) = (settings.family, settings.bind);
        let found = found.filter(|to| match family {
            Family::Any => true,
            Family::Inet => to.is_ipv4(),
            Family::Inet6 => to.is_ipv6(),
        });
        let mut attempts = JoinSet::new();
        for (n, to) in (0u32..).zip(found.take(16)) {
            attempts.spawn(async move {
                sleep(NEXT_ADDRESS * n).await;
                (to, connect(to, bind).await)
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
    let stream = timeout(limit, all).await.map_err(|_| no_answer())??;
    // Small packets are the rule here; waiting to fill them would cost up to 40 ms each.
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "nodelay could not be set");
    }
    Ok(stream)
}

/// From `bind`, where the configuration names an address of this machine.
async fn connect(to: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(from) = bind else {
        return TcpStream::connect(to).await;
    };
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
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
    // sshd's own words where too many are signing in at once; it lets nobody in for a moment.
    if line.contains("MaxStartups") {
        return Error::new(
            Code::Unreachable,
            format!("`{place}` has too many sign-ins under way"),
        )
        .because(format!("it said `{line}`"))
        .hint("Try again in a moment; `MaxStartups` in its sshd_config sets the limit")
        .detail("busy", "sign-ins");
    }
    Error::new(
        Code::Unreachable,
        format!("`{place}` answers, but it is not SSH: it said `{line}`"),
    )
    .hint("Another service listens on this port; the usual port of SSH is 22")
}
