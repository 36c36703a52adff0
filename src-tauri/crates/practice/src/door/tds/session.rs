//! One session on its own thread: requests in, packets out. Running T-SQL blocks, so nothing here is async.

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::mpsc;

use super::{
    login::{Login, feature},
    packet::{FIRST_SIZE, Packets, Request, kind, status},
    read::Malformed,
    rpc,
    token::Reply,
    types::Unread,
};
use crate::sql::{
    Control, SqlServer,
    message::{Ends, Message, SqlError, SqlResult, not_implemented},
    output::{Change, Gone, Output as _},
    procedure,
    session::{Client, Session},
};

/// What reaches the thread.
pub(super) enum Incoming {
    Request(Request),
    /// The client asked to stop. Whatever was running has ended when this is reached.
    Attention,
}

/// What a session's thread is given.
pub(super) struct Start {
    pub(super) server: Arc<SqlServer>,
    pub(super) control: Arc<Control>,
    pub(super) login: Login,
    pub(super) encrypted: bool,
    pub(super) incoming: mpsc::Receiver<Incoming>,
    pub(super) packets: mpsc::Sender<Vec<u8>>,
}

/// The program's name in LOGINACK.
const PROGRAM: &str = "Berth practice SQL";

/// Runs a session until its client or its server ends it.
pub(super) fn run(start: Start) {
    let Start {
        server,
        control,
        login,
        encrypted,
        mut incoming,
        packets,
    } = start;
    let mut packets = Packets::new(packets);
    let name = server.options.server_name.clone();
    let session = match begin(&server, &login, encrypted, &control) {
        Ok(session) => session,
        Err(e) => {
            // A client that does not wait for the reason does not get it.
            let _ = refuse(&mut packets, &name, &e);
            return;
        }
    };
    if welcome(&mut packets, &name, version(&server), &login, &session).is_err() {
        return;
    }
    // The password is wiped with it.
    drop(login);
    while let Some(next) = incoming.blocking_recv() {
        let request = match next {
            Incoming::Request(request) => request,
            Incoming::Attention => {
                control.cancel.store(false, Ordering::Release);
                // In a message of its own, after the reply that it cut short: tedious takes it in no other way.
                if Reply::new(&mut packets, &name, Some(&session))
                    .end_attention()
                    .is_err()
                {
                    return;
                }
                continue;
            }
        };
        if control.kill.load(Ordering::Acquire) {
            return;
        }
        let mut reply = Reply::new(&mut packets, &name, Some(&session));
        let done = answer(&session, &request, &mut reply);
        drop(request);
        let broken = reply.is_broken();
        let ended = match done {
            Ok(()) => reply.end(),
            // Half a result must not look like a whole one: the error is the last that is sent.
            Err(End::Gone) if broken => reply.end().and(Err(Gone)),
            Err(End::Gone) => Err(Gone),
            Err(End::Refused(e)) => {
                let told = reply.message(&e).and_then(|()| reply.end());
                if e.ends == Ends::Connection {
                    told.and(Err(Gone))
                } else {
                    told
                }
            }
        };
        if ended.is_err() || control.kill.load(Ordering::Acquire) {
            return;
        }
    }
}

/// The server's version as the protocol writes it: major, minor, and the build's two bytes.
pub(super) fn version(server: &SqlServer) -> [u8; 4] {
    let mut parts = server
        .product()
        .build
        .split('.')
        .map(|part| part.parse::<u16>().unwrap_or(0).to_be_bytes());
    let mut next = || parts.next().unwrap_or([0, 0]);
    let ([_, major], [_, minor], [b1, b0]) = (next(), next(), next());
    [major, minor, b1, b0]
}

fn begin(
    server: &Arc<SqlServer>,
    login: &Login,
    encrypted: bool,
    control: &Arc<Control>,
) -> SqlResult<Session> {
    check(login)?;
    let known = server.sign_in(&login.user, &login.password)?;
    let client = Client {
        host: login.host.clone(),
        program: login.program.clone(),
        library: login.library.clone(),
        database: login.database.clone(),
        language: login.language.clone(),
        encrypted,
    };
    Session::begin(Arc::clone(server), known, client, Arc::clone(control))
}

/// What is refused before anybody looks at the password.
fn check(login: &Login) -> SqlResult<()> {
    let end = |e: SqlError| Err(e.ending(Ends::Connection));
    if !login.is_spoken() {
        return end(not_implemented("A protocol older than TDS 7.3"));
    }
    if login.integrated {
        return end(Message::new(
            18452,
            14,
            1,
            "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.",
        ));
    }
    if login.wants(feature::FEDERATED) {
        return end(not_implemented("Sign-in through Microsoft Entra"));
    }
    if login.changes_password {
        return end(not_implemented("A change of the password at login"));
    }
    Ok(())
}

fn refuse(packets: &mut Packets, name: &str, e: &Message) -> Result<(), Gone> {
    let mut reply = Reply::new(packets, name, None);
    reply.message(e)?;
    reply.end()
}

fn welcome(
    packets: &mut Packets,
    name: &str,
    version: [u8; 4],
    login: &Login,
    session: &Session,
) -> Result<(), Gone> {
    packets.set_session(session.spid);
    let size = match login.packet_size {
        0 => FIRST_SIZE,
        n => u16::try_from(n).unwrap_or(u16::MAX).clamp(512, 32_767),
    };
    let mut reply = Reply::new(packets, name, Some(session));
    let (database, language) = (
        session.current().name,
        session.settings.borrow().language.clone(),
    );
    reply.change(&Change::Database {
        old: "master".into(),
        new: database.clone(),
    })?;
    let mut info = Message::info(5701, format!("Changed database context to '{database}'."));
    info.state = 2;
    info.line = 1;
    reply.message(&info)?;
    reply.collation_is(session.collation())?;
    reply.change(&Change::Language {
        old: String::new(),
        new: language.clone(),
    })?;
    reply
        .message(&Message::info(5703, format!("Changed language setting to {language}.")).at(1))?;
    reply.login(PROGRAM, version, login.is_strict())?;
    reply.packet_size_is(size, FIRST_SIZE)?;
    let [major, ..] = version;
    // UTF-8 came with SQL Server 2019. Every other feature is one that we lack, so it is not acknowledged.
    if login.wants(feature::UTF8) && major >= 15 {
        reply.features(&[(feature::UTF8, &[1])])?;
    }
    reply.end()?;
    packets.set_size(size);
    Ok(())
}

enum End {
    Gone,
    Refused(SqlError),
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Malformed> for End {
    fn from(m: Malformed) -> Self {
        tracing::debug!(why = m.0, "a request that is none");
        let text = "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect.";
        Self::Refused(
            Message::new(8009, 16, 4, format!("{text} {}.", m.0)).ending(Ends::Connection),
        )
    }
}

impl From<Unread> for End {
    fn from(u: Unread) -> Self {
        match u {
            Unread::Malformed(m) => m.into(),
            Unread::Unknown(what) => Self::Refused(not_implemented(what)),
        }
    }
}

fn answer(session: &Session, request: &Request, reply: &mut Reply<'_>) -> Result<(), End> {
    if request.status & status::IGNORE != 0 {
        // The client thought better of it while it was sending.
        return Ok(());
    }
    if request.status & (status::RESET | status::RESET_KEEP_TRANSACTION) != 0 {
        session.reset(request.status & status::RESET_KEEP_TRANSACTION != 0);
        reply.was_reset()?;
    }
    match request.kind {
        kind::BATCH => session.serve(
            procedure::Request::Batch(rpc::read_batch(&request.body)?),
            reply,
        )?,
        kind::RPC => {
            reply.begin_call();
            for call in rpc::read_calls(&request.body)? {
                session.serve(call, reply)?;
                reply.end_call()?;
            }
        }
        kind::TRANSACTION => match rpc::read_transaction(&request.body)? {
            Some(transaction) => session.serve(transaction, reply)?,
            None => return Err(End::Refused(not_implemented("A distributed transaction"))),
        },
        kind::BULK => return Err(End::Refused(not_implemented("A bulk load"))),
        _ => return Err(Malformed("A message of this type has no place here").into()),
    }
    Ok(())
}
