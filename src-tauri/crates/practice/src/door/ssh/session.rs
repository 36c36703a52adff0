//! One SSH connection: who signs in, and what its channels lead to.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use berth_core::secret::ExposeSecret;
use russh::{
    Channel, ChannelMsg, ChannelOpenFailure, MethodKind, MethodSet,
    keys::PublicKey,
    server::{
        Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, PublicKeyOffer, Session,
        VerifiedPublicKey,
    },
};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    channel::{drain, join, pipe},
    command::{self, Command, Shell},
    keys, sftp,
};
use crate::{
    door::{engine, powershell},
    machine::{Model, fault::Fault, identity::USER},
};

/// sshd's `MaxSessions`: sessions at once on one connection. Forwarded channels do not count.
const MAX_SESSIONS: usize = 10;
/// Forwarded channels at once on one connection; sshd has no such bound, but memory has.
const MAX_FORWARDS: usize = 1000;

/// A place among a bounded number, given back when it is dropped.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        count
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
                (now < most).then_some(now + 1)
            })
            .ok()
            .map(|_| Self(Arc::clone(count)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The connection's handler.
pub(super) struct Connection {
    model: Arc<Model>,
    config: Arc<Config>,
    signed_in: watch::Sender<bool>,
    /// Ends the connection at once.
    cut: CancellationToken,
    channels: u64,
    sessions: Arc<AtomicUsize>,
    forwards: Arc<AtomicUsize>,
}

impl Connection {
    pub(super) fn new(
        model: Arc<Model>,
        config: Arc<Config>,
        signed_in: watch::Sender<bool>,
        cut: CancellationToken,
    ) -> Self {
        Self {
            model,
            config,
            signed_in,
            cut,
            channels: 0,
            sessions: Arc::default(),
            forwards: Arc::default(),
        }
    }

    fn refuses_all(&self) -> bool {
        self.model.faults().has(Fault::RefuseLogin)
    }

    /// Counts a channel; the connection ends where that was asked for.
    fn step(&mut self) {
        self.channels += 1;
        let faults = self.model.faults();
        if faults.drop_step() == Some(self.channels) || faults.passes() {
            self.cut.cancel();
        }
    }

    /// Whether this key opens the account. The account is an administrator's, so the file in its
    /// own folder is not looked at.
    async fn knows(&self, user: &str, key: &PublicKey) -> bool {
        user.eq_ignore_ascii_case(USER)
            && !self.refuses_all()
            && keys::administrators(&self.model)
                .await
                .contains(key.key_data())
    }
}

/// What may be tried again: sshd keeps offering both.
pub(super) fn methods() -> MethodSet {
    MethodSet::from(&[MethodKind::PublicKey, MethodKind::Password][..])
}

fn reject() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(methods()),
        partial_success: false,
    }
}

fn accept_if(yes: bool) -> Auth {
    if yes { Auth::Accept } else { reject() }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(reject())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        // Digests are compared, so that the time taken tells nothing about the password.
        let same = Sha256::digest(password)
            == Sha256::digest(self.model.identity().password.expose_secret());
        Ok(accept_if(
            same && user.eq_ignore_ascii_case(USER) && !self.refuses_all(),
        ))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(accept_if(self.knows(user, offer.public_key).await))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(accept_if(self.knows(user, key.public_key).await))
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Self::Error> {
        self.signed_in.send_replace(true);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.step();
        let Some(slot) = Slot::take(&self.sessions, MAX_SESSIONS) else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        reply.accept().await;
        let (model, handle) = (Arc::clone(&self.model), session.handle());
        tokio::spawn(async move {
            run_session(model, channel, handle).await;
            drop(slot);
        });
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _from_host: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.step();
        let Some(slot) = Slot::take(&self.forwards, MAX_FORWARDS) else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let (far, near) = pipe();
        let model = Arc::clone(&self.model);
        let here = matches!(host, "127.0.0.1" | "localhost");
        let engine_port = here
            && port == 2375
            && model
                .windows()
                .read(crate::machine::windows::World::listens);
        let certificates = (here && port == 2376 && model.engine_up(false))
            .then(|| model.windows().read(|w| w.engine_tls.clone()))
            .flatten();
        let inside = if engine_port && model.engine_up(false) {
            tokio::spawn(engine::serve(model, Box::new(far)))
        } else if let Some(certificates) = certificates {
            tokio::spawn(engine::tls::inside(model, certificates, Box::new(far)))
        } else if here && port == 22 {
            // The machine's own sshd, as `ssh -J` reaches it.
            tokio::spawn(super::answer(
                model,
                Arc::clone(&self.config),
                Box::new(far),
            ))
        } else if let (Ok(address), Ok(port)) = (host.parse(), u16::try_from(port))
            && let Some(sql) = model.listening(address, port)
        {
            tokio::spawn(async move { sql.serve(Box::new(far)).await })
        } else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        reply.accept().await;
        tokio::spawn(async move {
            let (ended, write) = join(channel, near).await;
            if !ended && here {
                // An answer that lasts would go on until it next has something to say.
                inside.abort();
            }
            let _ = write.eof().await;
            let _ = write.close().await;
            drop(slot);
        });
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Microsoft's sshd opens the pipe and then fails to treat it as a socket.
        reply.reject(ChannelOpenFailure::ConnectFailed).await;
        Ok(())
    }
}

/// Waits for a session's command and runs it.
async fn run_session(model: Arc<Model>, mut channel: Channel<Msg>, handle: Handle) {
    let id = channel.id();
    let line = loop {
        let Some(message) = channel.wait().await else {
            return;
        };
        let answered = match message {
            ChannelMsg::Exec { command, .. } => {
                let _ = handle.channel_success(id).await;
                break Some(String::from_utf8_lossy(&command).into_owned());
            }
            ChannelMsg::RequestShell { .. } => {
                let _ = handle.channel_success(id).await;
                break None;
            }
            ChannelMsg::RequestSubsystem { name, .. } if name == "sftp" => {
                let _ = handle.channel_success(id).await;
                return transfer(model, channel).await;
            }
            // A terminal changes nothing for the commands that are known here.
            ChannelMsg::RequestPty { .. } | ChannelMsg::WindowChange { .. } => {
                handle.channel_success(id).await
            }
            // No `AcceptEnv`, no agent, no X11, and no other subsystem is set up on this machine.
            ChannelMsg::SetEnv { .. }
            | ChannelMsg::RequestSubsystem { .. }
            | ChannelMsg::AgentForward { .. }
            | ChannelMsg::RequestX11 { .. } => handle.channel_failure(id).await,
            ChannelMsg::Close => return,
            _ => Ok(()),
        };
        if answered.is_err() {
            return;
        }
    };
    let Some(line) = line else {
        let text = "An interactive shell is not implemented by the practice host\r\n";
        return answer(channel, Vec::new(), text.into(), 1).await;
    };
    let shell = if model.faults().has(Fault::PowerShell) {
        Shell::PowerShell
    } else {
        Shell::Cmd
    };
    match command::parse(&line, shell) {
        Command::Echo(text) => answer(channel, format!("{text}\r\n").into(), Vec::new(), 0).await,
        Command::Exit(code) => answer(channel, Vec::new(), Vec::new(), code).await,
        Command::Script(script) => {
            let input = if powershell::takes_input(&script) {
                input(&mut channel).await
            } else {
                Vec::new()
            };
            let told = powershell::answer(&model, &script, &input);
            // What was asked for is done, and nobody hears of it.
            if model.faults().passes() {
                return;
            }
            match told {
                Some((stdout, code)) => answer(channel, stdout.into(), Vec::new(), code).await,
                None => {
                    let text = "the practice host does not run this: a PowerShell script that it does not know\r\n";
                    answer(channel, Vec::new(), text.into(), 1).await;
                }
            }
        }
        Command::DialStdio if model.engine_up(false) => {
            let (far, near) = pipe();
            let inside = tokio::spawn(engine::serve(model, Box::new(far)));
            let (ended, write) = join(channel, near).await;
            if ended {
                let _ = write.exit_status(0).await;
                let _ = write.eof().await;
            } else {
                inside.abort();
            }
            let _ = write.close().await;
        }
        Command::DialStdio => {
            let text = "error during connect: this error may indicate that the docker daemon is not running: open //./pipe/docker_engine: The system cannot find the file specified.\r\n";
            answer(channel, Vec::new(), text.into(), 1).await;
        }
        Command::Unknown => {
            let shown: String = line.chars().take(200).collect();
            let text = format!(
                "the practice host does not run this: {}\r\n",
                shown.escape_debug()
            );
            answer(channel, Vec::new(), text.into(), 1).await;
        }
    }
}

/// Answers SFTP until either side ends it.
async fn transfer(model: Arc<Model>, channel: Channel<Msg>) {
    let (far, near) = pipe();
    sftp::serve(model, far).await;
    let (ended, write) = join(channel, near).await;
    if ended {
        let _ = write.exit_status(0).await;
        let _ = write.eof().await;
    }
    let _ = write.close().await;
}

/// What a client sends to a command until it says that there is no more; no more than is sensible.
async fn input(channel: &mut Channel<Msg>) -> Vec<u8> {
    const MOST: usize = 1024 * 1024;
    let mut all = Vec::new();
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } if all.len() + data.len() <= MOST => {
                all.extend_from_slice(&data);
            }
            ChannelMsg::Eof | ChannelMsg::Close | ChannelMsg::Data { .. } => break,
            _ => {}
        }
    }
    all
}

/// Writes a command's whole output and its exit status, and closes the channel.
async fn answer(channel: Channel<Msg>, stdout: Vec<u8>, stderr: Vec<u8>, code: u32) {
    let (read, write) = channel.split();
    let told = async {
        if !stdout.is_empty() {
            write.data_bytes(stdout).await?;
        }
        if !stderr.is_empty() {
            write.extended_data_bytes(1, stderr).await?;
        }
        write.exit_status(code).await?;
        write.eof().await?;
        write.close().await
    };
    tokio::select! {
        result = told => {
            if let Err(error) = result {
                tracing::debug!(%error, "a command's answer was not taken");
            }
        }
        () = drain(read) => {}
    }
}
