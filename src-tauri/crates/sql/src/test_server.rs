//! A server for tests: MS-TDS without TLS over an in-memory stream, saying what a test tells it to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use berth_core::{BoxFuture, ByteStream, Dial, Result, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::connect::Login;

/// What the server does when it is asked.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The whole answer.
    Whole(Vec<u8>),
    /// This much of it, and the rest never: until an attention comes.
    Part(Vec<u8>),
    /// This much of it, and then nothing at all, whatever comes.
    Deaf(Vec<u8>),
    /// This much of it, and the connection is closed.
    Closed(Vec<u8>),
}

type Handler = dyn Fn(&str) -> Answer + Send + Sync;

pub(crate) struct Server {
    login: Answer,
    handler: Box<Handler>,
    /// The batches that came, in order.
    pub(crate) batches: Mutex<Vec<String>>,
    pub(crate) attentions: AtomicUsize,
    pub(crate) open: AtomicUsize,
}

#[derive(Clone)]
pub(crate) struct Door(pub(crate) Arc<Server>);

impl Server {
    pub(crate) fn door(handler: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Door {
        let welcome = [
            login_ack(),
            info(5701, 0, "Changed database context to 'master'."),
            done(0, 0),
        ];
        Self::with_login(Answer::Whole(welcome.concat()), handler)
    }

    pub(crate) fn with_login(
        login: Answer,
        handler: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Door {
        Door(Arc::new(Self {
            login,
            handler: Box::new(handler),
            batches: Mutex::default(),
            attentions: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        }))
    }

    async fn serve(self: Arc<Self>, mut stream: DuplexStream) {
        self.open.fetch_add(1, Ordering::SeqCst);
        // The end of the stream ends it, as it does a server's session.
        let _ = self.talk(&mut stream).await;
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn talk(&self, stream: &mut DuplexStream) -> std::io::Result<()> {
        loop {
            let (kind, message) = receive(stream).await?;
            let answer = match kind {
                // VERSION at 11 with 6 bytes, ENCRYPTION at 17 with one: not supported.
                0x12 => Answer::Whole(vec![
                    0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 16, 0, 0, 0, 0, 0, 2,
                ]),
                0x10 => self.login.clone(),
                0x01 => {
                    let headers = u32::from_le_bytes(message[..4].try_into().unwrap()) as usize;
                    let units: Vec<u16> = message[headers..]
                        .chunks(2)
                        .map(|b| u16::from_le_bytes([b[0], b[1]]))
                        .collect();
                    let text = String::from_utf16(&units).unwrap();
                    self.batches.lock().unwrap().push(text.clone());
                    (self.handler)(&text)
                }
                0x06 => {
                    self.attentions.fetch_add(1, Ordering::SeqCst);
                    Answer::Whole(done(0x20, 0))
                }
                other => panic!("a message of type {other:#x}"),
            };
            match answer {
                Answer::Whole(bytes) => send(stream, &bytes, true).await?,
                Answer::Part(bytes) => send(stream, &bytes, false).await?,
                Answer::Closed(bytes) => return send(stream, &bytes, false).await,
                Answer::Deaf(bytes) => {
                    send(stream, &bytes, false).await?;
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest).await?;
                    return Ok(());
                }
            }
        }
    }
}

async fn receive(stream: &mut DuplexStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut message = Vec::new();
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head).await?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])) - head.len();
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).await?;
        if head[1] & 1 == 1 {
            return Ok((head[0], message));
        }
    }
}

async fn send(stream: &mut DuplexStream, bytes: &[u8], end: bool) -> std::io::Result<()> {
    let count = bytes.chunks(4088).count();
    for (at, chunk) in bytes.chunks(4088).enumerate() {
        let last = u8::from(end && at + 1 == count);
        let length = u16::try_from(chunk.len() + 8).unwrap().to_be_bytes();
        stream
            .write_all(&[4, last, length[0], length[1], 0, 0, 1, 0])
            .await?;
        stream.write_all(chunk).await?;
    }
    stream.flush().await
}

impl Dial for Door {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>>> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(Arc::clone(&self.0).serve(theirs));
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn ByteStream>) })
    }
}

pub(crate) fn login() -> Login {
    Login {
        user: "sa".into(),
        password: Secret::from("hunter2"),
        database: None,
        app: "Berth".into(),
    }
}

fn short(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [vec![u8::try_from(units.len() / 2).unwrap()], units].concat()
}

fn long(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [
        u16::try_from(units.len() / 2)
            .unwrap()
            .to_le_bytes()
            .to_vec(),
        units,
    ]
    .concat()
}

fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    [
        &[kind],
        u16::try_from(body.len()).unwrap().to_le_bytes().as_slice(),
        body,
    ]
    .concat()
}

fn login_ack() -> Vec<u8> {
    let version = [1, 0x74, 0, 0, 4];
    token(
        0xAD,
        &[version.as_slice(), &short("test"), &[16, 0, 0, 0]].concat(),
    )
}

fn notice(
    kind: u8,
    number: u32,
    state: u8,
    class: u8,
    text: &str,
    procedure: &str,
    line: u32,
) -> Vec<u8> {
    let body = [
        number.to_le_bytes().as_slice(),
        &[state, class],
        &long(text),
        &short("server"),
        &short(procedure),
        &line.to_le_bytes(),
    ]
    .concat();
    token(kind, &body)
}

pub(crate) fn info(number: u32, class: u8, text: &str) -> Vec<u8> {
    notice(0xAB, number, 1, class, text, "", 1)
}

pub(crate) fn error(number: u32, class: u8, line: u32, text: &str) -> Vec<u8> {
    notice(0xAA, number, 1, class, text, "", line)
}

pub(crate) fn error_in(procedure: &str, number: u32, line: u32, text: &str) -> Vec<u8> {
    notice(0xAA, number, 1, 16, text, procedure, line)
}

/// The session's database changes.
pub(crate) fn database_change() -> Vec<u8> {
    token(
        0xE3,
        &[[1].as_slice(), &short("new"), &short("old")].concat(),
    )
}

/// A transaction begins: the token beside which no message comes.
pub(crate) fn transaction() -> Vec<u8> {
    token(0xE3, &[8, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0])
}

/// DONE: status 1 more follows, 2 error, 0x10 the count is one, 0x20 attention.
pub(crate) fn done(status: u16, rows: u64) -> Vec<u8> {
    [
        [0xFD].as_slice(),
        &status.to_le_bytes(),
        &[0xC1, 0],
        &rows.to_le_bytes(),
    ]
    .concat()
}

/// The head of a result with texts only.
pub(crate) fn columns(names: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0x81];
    bytes.extend_from_slice(&u16::try_from(names.len()).unwrap().to_le_bytes());
    for name in names {
        // User type, flags (nullable), NVARCHAR(4000) with a collation.
        bytes.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0xE7, 0x40, 0x1F, 9, 4, 0xD0, 0, 0x34]);
        bytes.extend_from_slice(&short(name));
    }
    bytes
}

pub(crate) fn row(values: &[Option<&str>]) -> Vec<u8> {
    let mut bytes = vec![0xD1];
    for value in values {
        match value {
            None => bytes.extend_from_slice(&[0xFF, 0xFF]),
            Some(text) => {
                let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                bytes.extend_from_slice(&u16::try_from(units.len()).unwrap().to_le_bytes());
                bytes.extend_from_slice(&units);
            }
        }
    }
    bytes
}

/// The answer to the list of databases.
pub(crate) fn databases(state: &str) -> Vec<u8> {
    let mut bytes = columns(&["name", "state_desc"]);
    for name in ["master", "tempdb", "model", "msdb"] {
        bytes.extend(row(&[Some(name), Some(state)]));
    }
    bytes.extend(done(0x10, 4));
    bytes
}

pub(crate) fn identity() -> Vec<u8> {
    // A text where a number belongs is what a server could say, too.
    let names = [
        "product_version",
        "edition",
        "engine_edition",
        "collation",
        "version_text",
    ];
    let values = [
        Some("16.0.4165.4"),
        Some("Express Edition (64-bit)"),
        None,
        None,
        Some("v"),
    ];
    [columns(&names), row(&values), done(0x10, 1)].concat()
}
