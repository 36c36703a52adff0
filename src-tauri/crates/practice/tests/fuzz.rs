//! Bytes that no client sends, at each door: the machine must neither panic nor hang, and still answer the next client.
//!
//! Every input begins as one of `tests/corpus/DOOR` and is changed by a generator. `make test` draws the same sample each
//! time; `make soak` draws others, for `BERTH_FUZZ_SECONDS` in all (ten minutes), and prints its seeds. An input that brought
//! a door down is kept in the corpus, and is tried by every run from then on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use berth_core::{Secret, powershell};
use berth_practice::{
    door,
    sql::{Options, SqlServer},
};
use russh::{
    Channel, ChannelMsg, Pty,
    client::{self, Handle, Msg},
    keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key},
};
use support::Host;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpStream,
};

/// No door takes longer over one input whose sender has hung up.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a sender listens before it hangs up: what follows a stream says nothing for as long as it likes.
const PATIENCE: Duration = Duration::from_millis(100);
/// Inputs for each door in `make test`, beside the corpus itself.
const SAMPLE: usize = 60;
/// Doors that share the time of a long run.
const DOORS: u64 = 7;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How many inputs, and which.
#[derive(Clone, Copy)]
enum Run {
    Sample,
    Long,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    /// A few changes of the kind that break readers: bits, lengths, ends, repetitions.
    fn change(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(7) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = [0, 0xff, 0x7f, 0x80][self.below(4)],
                2 => bytes.truncate(at),
                3 => bytes.insert(at, u8::try_from(self.below(256)).unwrap()),
                4 => {
                    let part = bytes[at..].to_vec();
                    bytes.extend(part);
                }
                5 if bytes.len() > at + 4 => {
                    bytes[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
                }
                _ => bytes.extend((0..self.below(64)).map(|n| u8::try_from(n).unwrap())),
            }
            bytes.truncate(100_000);
        }
        bytes
    }
}

fn corpus(door: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(door)
}

fn seeds(door: &str) -> Vec<Vec<u8>> {
    let Ok(files) = std::fs::read_dir(corpus(door)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// Sends all of it, listens for a while, and hangs up.
async fn feed(mut client: DuplexStream, bytes: &[u8]) {
    let talk = async {
        let _ = client.write_all(bytes).await;
        let _ = client.shutdown().await;
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
    };
    let _ = tokio::time::timeout(PATIENCE, talk).await;
}

/// Tries the corpus, then what follows from it.
async fn try_door(door: &str, run: Run, more: &[Vec<u8>], try_one: impl AsyncFn(&[u8])) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |what| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        before(what);
    }));
    let (seed, time) = match run {
        Run::Sample => (1, Duration::ZERO),
        Run::Long => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let all = std::env::var("BERTH_FUZZ_SECONDS")
                .ok()
                .and_then(|s| s.parse().ok())
                .unwrap_or(600);
            let seed = u64::try_from(now.unwrap().as_micros()).unwrap();
            eprintln!("{door}: seed {seed}");
            (seed, Duration::from_secs(all / DOORS))
        }
    };
    let mut random = Random(seed);
    let mut seeds = seeds(door);
    seeds.extend_from_slice(more);
    assert!(
        !seeds.is_empty(),
        "there is nothing to begin with for {door}"
    );
    let mut first = seeds.clone();
    let least = first.len() + SAMPLE;
    let end = Instant::now() + time;
    let mut tried = 0;
    while tried < least || Instant::now() < end {
        let input = first.pop().unwrap_or_else(|| {
            let one = random.below(seeds.len());
            random.change(&seeds[one])
        });
        let in_time = tokio::time::timeout(LIMIT, try_one(&input)).await.is_ok();
        tried += 1;
        if !in_time || PANICS.load(Ordering::SeqCst) > 0 {
            let kept = corpus(door).join(format!("found-{seed}-{tried}"));
            std::fs::create_dir_all(corpus(door)).unwrap();
            std::fs::write(&kept, &input).unwrap();
            panic!(
                "{door}: {} (kept as {})",
                if in_time { "it panicked" } else { "it hangs" },
                kept.display()
            );
        }
    }
    eprintln!("{door}: {tried} inputs");
}

async fn engine(run: Run) {
    let host = Host::new().await;
    try_door("engine", run, &[], async |input| {
        let (client, inside) = tokio::io::duplex(64 * 1024);
        let model = Arc::clone(host.practice.model());
        let mut serving = tokio::spawn(door::engine::serve(model, Box::new(inside)));
        feed(client, input).await;
        // Who only closed its sending half may still listen: a silent stream is let go of when it next has something to say.
        while tokio::time::timeout(Duration::from_secs(1), &mut serving)
            .await
            .is_err()
        {
            let name = "/volumes/nudge";
            let _ = host
                .request(
                    "POST",
                    "/volumes/create",
                    Some(serde_json::json!({ "Name": "nudge" })),
                )
                .await;
            host.request("DELETE", name, None).await;
        }
    })
    .await;
    assert_eq!(
        host.request("GET", "/_ping", None).await.0,
        200,
        "the next client is answered"
    );
    host.stop().await;
}

const PASSWORD: &str = "Passw0rd-of-sa";

/// PRELOGIN without encryption and LOGIN7 for `sa`, as MS-TDS 2.2.6.4 and 2.2.6.5 lay them out.
fn login() -> Vec<u8> {
    let packet = |kind: u8, body: &[u8]| {
        let mut out = vec![kind, 1];
        out.extend(u16::try_from(body.len() + 8).unwrap().to_be_bytes());
        out.extend([0, 0, 1, 0]);
        out.extend(body);
        out
    };
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    // Version at 11, encryption (2: not supported) at 17.
    let hello = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 2];
    let password: Vec<u8> = utf16(PASSWORD)
        .into_iter()
        .map(|b| b.rotate_left(4) ^ 0xa5)
        .collect();
    let texts = [utf16("host"), utf16("sa"), password];
    let mut body = Vec::new();
    for n in [0x7400_0004_u32, 4096, 0, 1, 0, 0x03e0, 0, 0x0409] {
        body.extend(n.to_le_bytes());
    }
    let mut at = 94_u16;
    let mut tail: Vec<u8> = Vec::new();
    for n in 0..9 {
        let text = texts.get(n).map(Vec::as_slice).unwrap_or_default();
        let length = u16::try_from(text.len()).unwrap();
        body.extend(at.to_le_bytes());
        body.extend((length / 2).to_le_bytes());
        at += length;
        tail.extend(text);
    }
    body.extend([0; 6]);
    for _ in 0..3 {
        body.extend(at.to_le_bytes());
        body.extend([0, 0]);
    }
    body.extend([0; 4]);
    body.extend(tail);
    let mut whole = u32::try_from(body.len() + 4)
        .unwrap()
        .to_le_bytes()
        .to_vec();
    whole.extend(body);
    [packet(0x12, &hello), packet(0x10, &whole)].concat()
}

/// `inside`: what comes after a login that succeeds.
async fn sql(run: Run, inside: bool) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        server_name: "PRACTICE".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: None,
        disk: None,
    };
    let server = SqlServer::open(dir.path(), options).unwrap();
    server.set_sa_password(&Secret::from(PASSWORD)).unwrap();
    let open = || {
        let (client, theirs) = tokio::io::duplex(64 * 1024);
        let server = Arc::clone(&server);
        let serving = tokio::spawn(async move { server.serve(Box::new(theirs)).await });
        (client, serving)
    };
    let let_in = async || {
        let (mut client, serving) = open();
        client.write_all(&login()).await.unwrap();
        // Two answers, each of one packet: to PRELOGIN and to LOGIN7.
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut head = [0; 8];
            client.read_exact(&mut head).await.unwrap();
            let mut body = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]])) - 8];
            client.read_exact(&mut body).await.unwrap();
            kinds.push(body.contains(&0xad));
        }
        assert!(kinds[1], "LOGINACK: the sample must get past the login");
        (client, serving)
    };
    let door = if inside { "tds-inside" } else { "tds" };
    try_door(door, run, &[], async |input| {
        let (client, serving) = if inside { let_in().await } else { open() };
        feed(client, input).await;
        let _ = serving.await;
    })
    .await;
    let (client, serving) = let_in().await;
    drop(client);
    let _ = serving.await;
    server.shutdown().await;
}

async fn ssh(run: Run) {
    let host = Host::new().await;
    try_door("ssh", run, &[], async |input| {
        let mut client = TcpStream::connect(host.practice.ssh_address())
            .await
            .unwrap();
        let talk = async {
            let _ = client.write_all(input).await;
            let _ = client.shutdown().await;
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
        };
        talk.await;
    })
    .await;
    assert!(sign_in(&host).await.channel_open_session().await.is_ok());
    host.stop().await;
}

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn sign_in(host: &Host) -> Handle<Trusting> {
    let config = Arc::new(client::Config::default());
    let mut session = client::connect(config, host.practice.ssh_address(), Trusting)
        .await
        .unwrap();
    let key = Arc::new(load_secret_key(host.practice.client_key_path(), None).unwrap());
    let signed_in = session
        .authenticate_publickey(host.practice.user(), PrivateKeyWithHashAlg::new(key, None))
        .await
        .unwrap();
    assert!(signed_in.success());
    session
}

/// Sends what follows, and listens until the channel ends or the patience does.
async fn talk(mut channel: Channel<Msg>, bytes: &[u8]) {
    let all = async {
        if channel.data(bytes).await.is_ok() && channel.eof().await.is_ok() {
            while let Some(said) = channel.wait().await {
                if matches!(said, ChannelMsg::Close) {
                    break;
                }
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, all).await;
    let _ = channel.close().await;
}

/// One request after a sign-in: the first line says which, the others are its parts, the last is what follows.
async fn request(session: &Handle<Trusting>, input: &[u8]) {
    let mut parts = input.splitn(4, |b| *b == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (kind, one, two, rest) = (next(), next(), next(), next());
    let number =
        u32::try_from(two.len()).unwrap_or(0) ^ text(two).trim().parse::<u32>().unwrap_or(7);
    match kind {
        b"tcpip" => {
            let port = text(two).trim().parse().unwrap_or(number);
            if let Ok(channel) = session
                .channel_open_direct_tcpip(text(one), port, "127.0.0.1", 1)
                .await
            {
                talk(channel, rest).await;
            }
        }
        b"stream" => {
            if let Ok(channel) = session.channel_open_direct_streamlocal(text(one)).await {
                talk(channel, rest).await;
            }
        }
        b"forward" => {
            let _ = session.tcpip_forward(text(one), number).await;
        }
        _ => {
            let Ok(channel) = session.channel_open_session().await else {
                return;
            };
            match kind {
                b"subsystem" => {
                    let _ = channel.request_subsystem(true, text(one)).await;
                }
                b"pty" => {
                    let modes = [(Pty::ECHO, number)];
                    let _ = channel
                        .request_pty(true, &text(one), number, number, 0, 0, &modes)
                        .await;
                    let _ = channel.window_change(number, 0, 0, number).await;
                }
                b"env" => {
                    let _ = channel.set_env(true, text(one), text(two)).await;
                }
                b"shell" => {
                    let _ = channel.request_shell(true).await;
                }
                _ => {
                    let _ = channel.exec(true, one).await;
                }
            }
            talk(channel, &[two, rest].concat()).await;
        }
    }
}

/// Every input on a channel of one connection; a connection that the machine ended is followed by another.
async fn on_a_connection(
    run: Run,
    door: &str,
    more: &[Vec<u8>],
    each: impl AsyncFn(&Handle<Trusting>, &[u8]),
) {
    let host = Host::new().await;
    let outside = host.path("outside");
    std::fs::write(&outside, "mine").unwrap();
    let session = tokio::sync::Mutex::new(sign_in(&host).await);
    try_door(door, run, more, async |input| {
        let mut session = session.lock().await;
        if session.is_closed() {
            *session = sign_in(&host).await;
        }
        each(&session, input).await;
    })
    .await;
    assert_eq!(
        std::fs::read_to_string(&outside).unwrap(),
        "mine",
        "no path leads out of the machine's disk"
    );
    assert!(sign_in(&host).await.channel_open_session().await.is_ok());
    drop(session);
    host.stop().await;
}

async fn sftp(run: Run) {
    on_a_connection(run, "sftp", &[], async |session, input| {
        if let Ok(channel) = session.channel_open_session().await
            && channel.request_subsystem(true, "sftp").await.is_ok()
        {
            talk(channel, input).await;
        }
    })
    .await;
}

async fn session(run: Run) {
    on_a_connection(run, "session", &[], async |session, input| {
        request(session, input).await
    })
    .await;
}

/// Command lines for PowerShell, as Berth sends them.
async fn command_lines(run: Run) {
    let sent = [powershell::PROBE, "Get-Date", "exit 3"]
        .map(|script| format!("exec\n{}", powershell::command(script).unwrap()).into_bytes());
    on_a_connection(run, "powershell", &sent, async |session, input| {
        request(session, input).await;
    })
    .await;
}

macro_rules! doors {
    ($($short:ident $long:ident $door:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $short() {
            ($door)(Run::Sample).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "soak: ten minutes for all doors"]
        async fn $long() {
            ($door)(Run::Long).await;
        }
    )*};
}

doors! {
    the_engines_door_takes_any_bytes the_engines_door_takes_any_bytes_for_long engine;
    the_sql_door_takes_any_bytes the_sql_door_takes_any_bytes_for_long async |run| sql(run, false).await;
    a_sql_session_takes_any_bytes a_sql_session_takes_any_bytes_for_long async |run| sql(run, true).await;
    the_ssh_door_takes_any_bytes the_ssh_door_takes_any_bytes_for_long ssh;
    an_ssh_session_takes_any_request an_ssh_session_takes_any_request_for_long session;
    sftp_takes_any_bytes sftp_takes_any_bytes_for_long sftp;
    powershell_takes_any_command_line powershell_takes_any_command_line_for_long command_lines;
}
