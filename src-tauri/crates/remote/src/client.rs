//! What the SSH library tells about a connection: the host's key, and why it ended.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use berth_core::{Code, Error};
use russh::{
    client::{DisconnectReason, Handler},
    keys::{PublicKey, PublicKeyOrCertificate},
};
use tokio_util::sync::CancellationToken;

use crate::{
    algorithms,
    host_keys::{HostKeys, Name},
    known_hosts,
    pulse::Pulse,
};

/// What is known about a connection, shared by its session, its channels and the library's task.
#[derive(Default)]
pub(crate) struct Facts {
    why_closed: Mutex<Option<String>>,
    /// Whether the host said that it ends the connection, instead of just being gone.
    pub(crate) dismissed: AtomicBool,
    /// Why the host's key was refused.
    refusal: Mutex<Option<Error>>,
    pub(crate) fingerprint: OnceLock<String>,
    pub(crate) server_version: OnceLock<String>,
    /// The host's end, where TCP itself leads there.
    pub(crate) peer: OnceLock<SocketAddr>,
    /// This machine's address on the way there when that was last looked at; inside `None` where there was no way.
    pub(crate) route: Mutex<Option<Option<IpAddr>>>,
    /// What was sent and heard.
    pub(crate) pulse: Arc<Pulse>,
    /// Cancelled when the library's task is gone, however it went.
    pub(crate) closed: CancellationToken,
    /// Cutting this ends the connection at once.
    pub(crate) cut: CancellationToken,
    /// Bytes that have arrived on all channels and that nobody has read.
    pub(crate) unread: AtomicUsize,
    /// Channels that hold up the whole connection right now.
    pub(crate) holding: AtomicUsize,
}

impl Facts {
    /// Keeps the first reason: what follows is only its consequence.
    pub(crate) fn ended(&self, why: impl Into<String>) {
        self.why_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| why.into());
    }

    /// Why the connection ended; `None` while it lives.
    pub(crate) fn why_closed(&self) -> Option<String> {
        let known = self
            .why_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        known.or_else(|| {
            self.closed
                .is_cancelled()
                .then(|| "the connection was lost".to_owned())
        })
    }

    pub(crate) fn take_refusal(&self) -> Option<Error> {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn refuse(&self, error: Error) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn is_holding(&self) -> bool {
        self.holding.load(Ordering::Relaxed) > 0
    }

    /// The error for something that was under way on a connection that ended.
    pub(crate) fn lost(&self, place: &str) -> Error {
        let why = self
            .why_closed()
            .unwrap_or_else(|| "the connection was lost".to_owned());
        Error::new(
            Code::Unreachable,
            format!("The SSH connection to `{place}` ended"),
        )
        .because(why)
    }
}

/// The handler that russh calls for one connection.
pub(crate) struct Watcher {
    pub(crate) name: Name,
    pub(crate) host_keys: HostKeys,
    /// What an authority of host keys may sign with.
    pub(crate) signatures: Option<Vec<String>>,
    /// The least size of an RSA key, in bits.
    pub(crate) rsa_bits: usize,
    pub(crate) facts: Arc<Facts>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.facts.closed.cancel();
    }
}

impl Handler for Watcher {
    type Error = russh::Error;

    /// Runs inside the key exchange, so before anything of the user's is sent.
    async fn check_server_key(
        &mut self,
        offered: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = match offered {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            PublicKeyOrCertificate::Certificate(certificate) => {
                PublicKey::from(certificate.public_key().clone())
            }
        };
        let _ = self.facts.fingerprint.set(known_hosts::fingerprint(&key));
        if let Some(bits) = algorithms::rsa_bits(&key).filter(|bits| *bits < self.rsa_bits) {
            self.facts.refuse(
                Error::new(
                    Code::Refused,
                    format!("The key of `{}` is too short", self.name.recorded),
                )
                .because(format!(
                    "it has {bits} bits, and `RequiredRSASize` in the SSH configuration wants {}",
                    self.rsa_bits
                ))
                .hint("The host needs a new key: Ed25519 is the best"),
            );
            return Ok(false);
        }
        let (host_keys, name) = (self.host_keys.clone(), self.name.clone());
        let certificate = offered.certificate().cloned();
        let signatures = self.signatures.clone();
        let checked = tokio::task::spawn_blocking(move || match certificate {
            None => host_keys.check(name, &key),
            Some(certificate) => {
                host_keys.check_certificate(&name, &certificate, signatures.as_deref())
            }
        })
        .await;
        match checked {
            Ok(Ok(())) => Ok(true),
            Ok(Err(refusal)) => {
                self.facts.refuse(refusal);
                Ok(false)
            }
            Err(e) => {
                self.facts.refuse(
                    Error::failed("The host's key could not be checked").because(e.to_string()),
                );
                Ok(false)
            }
        }
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        _names: &russh::Names,
        session: &mut russh::client::Session,
    ) -> Result<(), Self::Error> {
        let _ = self
            .facts
            .server_version
            .set(String::from_utf8_lossy(session.remote_sshid()).into_owned());
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.facts.dismissed.store(true, Ordering::Release);
                let said = info.message.trim();
                self.facts.ended(if said.is_empty() {
                    "the host ended it".to_owned()
                } else {
                    format!("the host ended it: `{}`", said.escape_debug())
                });
                Ok(())
            }
            DisconnectReason::Error(e) => {
                self.facts.ended(reason_text(&e));
                Err(e)
            }
        }
    }
}

/// The library's error in words that fit behind a colon.
pub(crate) fn reason_text(error: &russh::Error) -> String {
    match error {
        russh::Error::Disconnect
        | russh::Error::HUP
        | russh::Error::SendError
        | russh::Error::RecvError => "the host closed the connection".to_owned(),
        russh::Error::KeepaliveTimeout => "the host stopped answering".to_owned(),
        russh::Error::IO(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the host closed the connection".to_owned()
        }
        russh::Error::IO(e) => e.to_string(),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            format!(
                "no common {} algorithm: the host offers {}",
                format!("{kind:?}").to_lowercase(),
                theirs.join(", ")
            )
        }
        other => other.to_string(),
    }
}
