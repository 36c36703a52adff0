//! `berth run`: an instance for one command, gone afterwards.
//!
//! The command is a child in the same process group, with the same terminal and the same standard streams. This process holds the
//! lease by its connection to the agent: when it is gone, however, the agent removes the instance.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{ErrorKind, Write},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use berth_agent::{
    Client, Paths,
    client::{Start, Streaming},
};
use berth_api::{
    dto::{self, LeaseEvent, LeaseId},
    table::{self, LeaseHold},
};
use berth_core::{BoxFuture, Code, Error, Result, Secret, secret::ExposeSecret};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::{
    process::Child,
    signal::unix::{self, SignalKind},
    time::{sleep, timeout},
};

use super::instance::wish;
use crate::{
    args,
    render::{self, note},
    session::{Session, interrupted},
};

/// What Berth ends with where it failed itself.
pub(crate) const OWN_FAILURE: u8 = 125;
/// As shells say that a command is there and cannot be run, that it is not there, and that Ctrl-C ended it.
const CANNOT_RUN: u8 = 126;
const NOT_THERE: u8 = 127;
const INTERRUPTED: u8 = 130;
/// How long the end of the instance is waited for; the agent goes on by itself.
const REMOVAL: Duration = Duration::from_secs(60);
/// How long an agent that ended is looked for again.
const REVIVAL: Duration = Duration::from_secs(60);

/// Runs it; every failure of Berth's own is told here.
pub(crate) async fn run(verbose: bool, run: args::Run) -> u8 {
    let mut events = match Events::open(run.json_events) {
        Ok(events) => events,
        Err(e) => {
            render::error(&e);
            return OWN_FAILURE;
        }
    };
    let code = match attend(verbose, run, &events).await {
        Ok(code) => code,
        Err(Stop::Own(e)) => {
            events.send(json!({ "event": "failed", "error": dto::ErrorView::from(&e) }));
            render::error(&e);
            if e.code() == Code::Cancelled {
                INTERRUPTED
            } else {
                OWN_FAILURE
            }
        }
        Err(Stop::Command(code, e)) => {
            events.send(json!({ "event": "failed", "error": dto::ErrorView::from(&e) }));
            render::error(&e);
            code
        }
    };
    events.close();
    code
}

/// Why there is no exit code of the command.
enum Stop {
    /// Berth failed.
    Own(Error),
    /// The command cannot be run: this code says how.
    Command(u8, Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Self::Own(e)
    }
}

async fn attend(verbose: bool, run: args::Run, events: &Events) -> std::result::Result<u8, Stop> {
    let (name, arguments) = run
        .command
        .split_first()
        .ok_or_else(|| Error::usage("There is no command to run"))?;
    // Before anything is made for it.
    let program = find(name)?;
    let began = Instant::now();
    let session = Session::open(verbose).await?;
    let request = dto::Lease {
        up: wish(run.wishes)?,
        seconds: run.lease,
        again: None,
    };
    let mut held = session
        .client
        .stream::<LeaseHold>(&request, BTreeMap::new())
        .await?;
    let (lease, instance) = made(&session, &mut held, events).await?;
    let environment = environment(&session, &instance).await?;
    let password = environment
        .iter()
        .find(|(name, _)| *name == "BERTH_PASSWORD")
        .map(|(_, value)| value.clone());

    let mut signals = Signals::new()?;
    let mut command = tokio::process::Command::new(&program);
    command
        .args(arguments)
        .envs(environment.iter().map(|(k, v)| (k, v.expose_secret())));
    // The word that was typed, as a shell passes it on.
    command.arg0(name);
    let child = command.spawn();
    // Its copy of the secrets goes as well.
    drop(command);
    drop(environment);
    match child {
        Ok(child) => {
            events.send(json!({ "event": "started", "pid": child.id() }));
            let watch = Watch {
                lease: &lease,
                name: format!("{}/{}", instance.host, instance.name),
                password,
                end: began + Duration::from_secs(run.lease),
                events,
            };
            let (status, left) = watch.to_the_end(child, held, &mut signals).await?;
            let code = code_of(status);
            events.send(json!({ "event": "ended", "code": code }));
            if let Some((client, held)) = left {
                removed(
                    client.as_ref().unwrap_or(&session.client),
                    held,
                    &lease,
                    &instance,
                    events,
                )
                .await;
            }
            Ok(code)
        }
        Err(e) => {
            removed(&session.client, held, &lease, &instance, events).await;
            Err(cannot_run(name, &e))
        }
    }
}

/// Waits until the instance is there.
async fn made(
    session: &Session,
    held: &mut Streaming<LeaseHold>,
    events: &Events,
) -> Result<(LeaseId, dto::InstanceView)> {
    let mut lease = None;
    loop {
        let event = tokio::select! {
            event = held.next() => event?,
            () = interrupted() => return Err(table::cancelled()),
        };
        match event {
            Some(LeaseEvent::Making {
                lease: id,
                operation,
            }) => {
                lease = Some(id);
                let started = dto::Started { operation };
                session
                    .watch_with(started, |event| {
                        events.send(json!({ "event": "operation", "step": event }));
                    })
                    .await?;
            }
            Some(LeaseEvent::Ready { instance }) => {
                let lease = lease.ok_or_else(|| Error::failed("The lease has no id"))?;
                events.send(json!({ "event": "ready", "instance": &*instance }));
                return Ok((lease, *instance));
            }
            Some(LeaseEvent::Over) => {
                return Err(
                    Error::failed("The lease was over before its instance was ready")
                        .hint("Ask for a longer one with `--lease`"),
                );
            }
            None => return Err(ended(held).await),
        }
    }
}

/// Why a call ended that should have lasted.
async fn ended(held: &mut Streaming<LeaseHold>) -> Error {
    match held.answer().await {
        Err(e) => e,
        Ok(_) => Error::failed("The private instance ended before its command"),
    }
}

/// What the command is told.
async fn environment(
    session: &Session,
    instance: &dto::InstanceView,
) -> Result<Vec<(&'static str, Secret)>> {
    let mut all = Vec::new();
    for (variable, format) in [
        ("BERTH_CONNECTION_STRING", Some("adonet")),
        ("BERTH_ODBC", Some("odbc")),
        ("BERTH_JDBC_URL", Some("jdbc")),
        ("BERTH_PASSWORD", None),
    ] {
        let wish = dto::ConnectionShow {
            name: format!("{}/{}", instance.host, instance.name),
            format: format.map(str::to_owned),
            password_only: format.is_none(),
            ..dto::ConnectionShow::default()
        };
        let reply = session.call::<table::ConnectionShow>(&wish).await?;
        let secret = reply
            .secret
            .ok_or_else(|| Error::failed("The agent gave no connection string"))?;
        all.push((variable, secret));
    }
    for (variable, value) in [
        ("BERTH_HOST", instance.endpoint_host.clone()),
        ("BERTH_PORT", instance.port.to_string()),
        ("BERTH_USER", instance.login.clone()),
    ] {
        all.push((variable, Secret::from(value)));
    }
    Ok(all)
}

/// The lease while the command runs.
enum Hold {
    Held(Option<Client>, Streaming<LeaseHold>),
    /// Its agent ended; a new one is asked to hold it.
    Reviving(BoxFuture<'static, Result<(Client, Streaming<LeaseHold>)>>),
    /// The instance is gone.
    Gone,
}

struct Watch<'a> {
    lease: &'a LeaseId,
    name: String,
    password: Option<Secret>,
    end: Instant,
    events: &'a Events,
}

/// A lease that is still held when its command has ended, and whom to tell.
type Left = Option<(Option<Client>, Streaming<LeaseHold>)>;

impl Watch<'_> {
    /// Waits for the command. Signals are handed on to it.
    async fn to_the_end(
        &self,
        mut child: Child,
        held: Streaming<LeaseHold>,
        signals: &mut Signals,
    ) -> Result<(ExitStatus, Left)> {
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let mut hold = Hold::Held(None, held);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status.map_err(|e| {
                    Error::failed("The command cannot be waited for").because(e.to_string())
                })?,
                signal = signals.next() => {
                    // What the terminal sends goes to the whole group of processes, and so to the command as well.
                    let by_terminal = matches!(signal, Signal::INT | Signal::QUIT) && in_foreground();
                    if let (Some(pid), false) = (pid, by_terminal) {
                        let _ = rustix::process::kill_process(pid, signal);
                    }
                }
                next = hold.next() => hold = self.step(hold, next).await,
            }
        };
        let left = match hold {
            Hold::Held(client, held) => Some((client, held)),
            // Shortly after an agent that ended: the new one is told as well.
            Hold::Reviving(revival) => match timeout(REMOVAL, revival).await {
                Ok(Ok((client, held))) => Some((Some(client), held)),
                _ => None,
            },
            Hold::Gone => None,
        };
        Ok((status, left))
    }

    async fn step(&self, hold: Hold, next: Next) -> Hold {
        match (hold, next) {
            (hold, Next::Event(LeaseEvent::Over)) => {
                self.events.send(json!({ "event": "over" }));
                note(format!(
                    "berth: the lease is over: `{}` is removed",
                    self.name
                ));
                hold
            }
            (hold, Next::Event(_)) => hold,
            (Hold::Held(_, mut held), Next::End) => match held.answer().await {
                Ok(_) => Hold::Gone,
                Err(e) => {
                    self.events
                        .send(json!({ "event": "interrupted", "error": dto::ErrorView::from(&e) }));
                    let left = self.end.saturating_duration_since(Instant::now()).as_secs();
                    Hold::Reviving(Box::pin(revive(
                        self.lease.clone(),
                        self.password.clone(),
                        left.max(1),
                    )))
                }
            },
            (_, Next::Revived(Ok((client, held)))) => {
                self.events.send(json!({ "event": "resumed" }));
                Hold::Held(Some(client), held)
            }
            (_, Next::Revived(Err(e))) => {
                note(format!("berth: `{}` is lost: {e}", self.name));
                Hold::Gone
            }
            (_, Next::End) => Hold::Gone,
        }
    }
}

enum Next {
    Event(LeaseEvent),
    End,
    Revived(Result<(Client, Streaming<LeaseHold>)>),
}

impl Hold {
    async fn next(&mut self) -> Next {
        match self {
            Self::Held(_, held) => match held.next().await {
                Ok(Some(event)) => Next::Event(event),
                Ok(None) | Err(_) => Next::End,
            },
            Self::Reviving(revival) => Next::Revived(revival.await),
            Self::Gone => std::future::pending().await,
        }
    }
}

/// Asks the next agent to hold a lease whose agent has ended.
async fn revive(
    lease: LeaseId,
    password: Option<Secret>,
    seconds: u64,
) -> Result<(Client, Streaming<LeaseHold>)> {
    let began = Instant::now();
    loop {
        let tried = async {
            let paths = Paths::of_this_user()?;
            let client = Client::connect(&paths, Start::IfNeeded).await?;
            let request = dto::Lease {
                up: dto::Up::default(),
                seconds,
                again: Some(lease.clone()),
            };
            let secrets = password
                .iter()
                .map(|p| ("password".to_owned(), p.clone()))
                .collect();
            let mut held = client.stream::<LeaseHold>(&request, secrets).await?;
            match held.next().await? {
                Some(_) => Ok((client, held)),
                None => Err(ended(&mut held).await),
            }
        };
        match tried.await {
            Ok(found) => return Ok(found),
            Err(e) if e.code() == Code::NotFound || began.elapsed() >= REVIVAL => return Err(e),
            Err(_) => sleep(Duration::from_millis(300)).await,
        }
    }
}

/// Ends the lease and waits until its instance is gone.
async fn removed(
    client: &Client,
    mut held: Streaming<LeaseHold>,
    lease: &LeaseId,
    instance: &dto::InstanceView,
    events: &Events,
) {
    let work = async {
        client
            .call::<table::LeaseEnd>(lease, BTreeMap::new())
            .await?;
        while held.next().await?.is_some() {}
        held.answer().await
    };
    let why = match timeout(REMOVAL, work).await {
        Ok(Ok(_)) => {
            events.send(json!({ "event": "removed" }));
            return;
        }
        Ok(Err(e)) => e.to_string(),
        Err(_) => format!("it took longer than {} s", REMOVAL.as_secs()),
    };
    note(format!(
        "berth: `{}/{}` is not removed yet, and Berth goes on trying: {why}",
        instance.host, instance.name
    ));
}

/// Finds the program that a word names, as a shell does.
fn find(name: &OsStr) -> std::result::Result<PathBuf, Stop> {
    let candidates: Vec<PathBuf> = if name.to_string_lossy().contains('/') {
        vec![PathBuf::from(name)]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .collect()
    };
    let mut refused = None;
    for candidate in candidates {
        match runnable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => refused = Some(e),
        }
    }
    Err(cannot_run(
        name,
        &refused.unwrap_or_else(|| ErrorKind::NotFound.into()),
    ))
}

fn runnable(path: &Path) -> std::io::Result<()> {
    let about = std::fs::metadata(path).map_err(|e| {
        if e.kind() == ErrorKind::NotADirectory {
            ErrorKind::NotFound.into()
        } else {
            e
        }
    })?;
    if about.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if about.permissions().mode() & 0o111 == 0 {
        return Err(ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

fn cannot_run(name: &OsStr, e: &std::io::Error) -> Stop {
    let shown = name.to_string_lossy();
    if e.kind() == ErrorKind::NotFound {
        let error = Error::not_found(format!("There is no command `{shown}`"));
        return Stop::Command(NOT_THERE, error.hint("Is it in `PATH`?"));
    }
    Stop::Command(
        CANNOT_RUN,
        Error::failed(format!("The command `{shown}` cannot be run")).because(e.to_string()),
    )
}

/// As shells tell it: a signal's number is added to 128.
fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code & 0xff).unwrap_or(OWN_FAILURE)
}

/// Whether the terminal's own signals reach this process, and so its command.
fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty")
        .ok()
        .and_then(|terminal| rustix::termios::tcgetpgrp(&terminal).ok())
        .is_some_and(|group| group == rustix::process::getpgrp())
}

/// What is handed on to the command instead of ending this process.
struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    fn new() -> Result<Self> {
        [
            (Signal::INT, SignalKind::interrupt()),
            (Signal::QUIT, SignalKind::quit()),
            (Signal::TERM, SignalKind::terminate()),
            (Signal::HUP, SignalKind::hangup()),
            (Signal::USR1, SignalKind::user_defined1()),
            (Signal::USR2, SignalKind::user_defined2()),
        ]
        .into_iter()
        .map(|(signal, kind)| unix::signal(kind).map(|watched| (signal, watched)))
        .collect::<std::io::Result<_>>()
        .map(Self)
        .map_err(|e| Error::failed("Signals cannot be watched").because(e.to_string()))
    }

    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (signal, watched) in &mut self.0 {
                if watched.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*signal);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Where `--json-events` goes. Its reader may be slow, or gone: the command does not wait for it.
struct Events {
    lines: Option<SyncSender<Value>>,
    writer: Option<JoinHandle<()>>,
}

impl Events {
    fn open(descriptor: Option<u32>) -> Result<Self> {
        let Some(descriptor) = descriptor else {
            return Ok(Self {
                lines: None,
                writer: None,
            });
        };
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(format!("/dev/fd/{descriptor}"))
            .map_err(|e| {
                Error::usage(format!(
                    "The file descriptor {descriptor} cannot be written to"
                ))
                .because(e.to_string())
                .hint(format!("Open it in the shell: `{descriptor}>events.jsonl`"))
            })?;
        let (lines, received) = sync_channel::<Value>(1024);
        let writer = std::thread::spawn(move || {
            for line in received {
                if writeln!(file, "{line}").is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            lines: Some(lines),
            writer: Some(writer),
        })
    }

    fn send(&self, event: Value) {
        if let Some(lines) = &self.lines {
            let _ = lines.try_send(event);
        }
    }

    /// Waits until everything is written, within a limit.
    fn close(&mut self) {
        self.lines = None;
        let Some(writer) = self.writer.take() else {
            return;
        };
        let end = Instant::now() + Duration::from_secs(2);
        while !writer.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
