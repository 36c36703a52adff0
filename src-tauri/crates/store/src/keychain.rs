//! The keychain of the user's machine: macOS' own, elsewhere the Secret Service.
//!
//! The one file that knows the keyring crates. Whoever is connected with a keychain that ends, as at a logout of the
//! desktop's session, connects anew with the next one.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use berth_core::{Code, Error, Result, Secret, secret::ExposeSecret};
use keyring_core::{CredentialStore, Entry, Error as KeyringError};
use zeroize::{Zeroize, Zeroizing};

use crate::credentials::Credentials;

/// The name under which every item is found.
const SERVICE: &str = "dev.berth";

/// A person may have to find a password for the dialog.
const LIMIT: Duration = Duration::from_secs(120);

/// Calls that may wait behind one that a dialog holds up.
const WAITING: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// Keeps each secret as one item of the keychain.
///
/// One thread of its own makes every call: a dialog that nobody answers then holds up one
/// thread, and every caller comes back after the limit.
#[derive(Debug)]
pub struct Keychain {
    service: String,
    limit: Duration,
    jobs: Mutex<Option<SyncSender<Job>>>,
    connection: Arc<Connection>,
}

/// The keychain once it answered; only the thread that makes the calls looks at it.
#[derive(Default)]
struct Connection(Mutex<Option<Arc<CredentialStore>>>);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// The store, connected with now if it is not yet.
    fn open(&self) -> Result<Arc<CredentialStore>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = held.as_ref() {
            return Ok(Arc::clone(store));
        }
        #[cfg(target_os = "macos")]
        let store = apple_native_keyring_store::keychain::Store::new();
        #[cfg(not(target_os = "macos"))]
        let store = zbus_secret_service_keyring_store::Store::new();
        let store: Arc<CredentialStore> = store.map_err(|e| {
            let error = Error::new(Code::NoKeychain, "No keychain answers here").hint(NO_KEYCHAIN);
            match e {
                KeyringError::PlatformFailure(e) => error.because(e.to_string()),
                _ => error,
            }
        })?;
        *held = Some(Arc::clone(&store));
        Ok(store)
    }

    /// Forgets it.
    fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Default for Keychain {
    fn default() -> Self {
        Self::new()
    }
}

impl Keychain {
    /// The keychain, with 120 seconds for a person to answer its dialog. Nothing is asked of it yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(LIMIT)
    }

    /// The keychain, with another limit for each call.
    #[must_use]
    pub fn with_limit(limit: Duration) -> Self {
        Self {
            service: SERVICE.to_owned(),
            limit,
            jobs: Mutex::new(None),
            connection: Arc::default(),
        }
    }

    /// Whether a keychain answers here at all; it may still be locked.
    ///
    /// # Errors
    /// [`Code::NoKeychain`], [`Code::TimedOut`].
    pub fn check(&self) -> Result<()> {
        let connection = Arc::clone(&self.connection);
        self.call("looked for", move || {
            // One that is connected with may have ended since.
            connection.close();
            connection.open().map(drop)
        })
    }

    fn item<T: Send + 'static>(
        &self,
        what: &'static str,
        account: &str,
        work: impl Fn(&Entry) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T> {
        if account.is_empty() || account.len() > 255 || account.chars().any(char::is_control) {
            return Err(Error::usage("This is no account of the keychain")
                .because("it is empty, too long, or holds a control character"));
        }
        let (service, account) = (self.service.clone(), account.to_owned());
        let connection = Arc::clone(&self.connection);
        self.call(what, move || {
            let attempt = || {
                let store = connection.open()?;
                let entry = store.build(&service, &account, None);
                Ok(entry.and_then(|entry| work(&entry)))
            };
            match attempt()? {
                // A service that began anew knows nothing of our session. To read, write or delete twice is as once.
                Err(KeyringError::PlatformFailure(e)) => {
                    tracing::debug!("the keychain is connected with anew: {e}");
                    connection.close();
                    attempt()?.map_err(|e| explain(what, e))
                }
                result => result.map_err(|e| explain(what, e)),
            }
        })
    }

    fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = sync_channel(1);
        let given_up = Arc::new(AtomicBool::new(false));
        let nobody_waits = Arc::clone(&given_up);
        self.queue(Box::new(move || {
            // What nobody waits for any more must not happen behind their back.
            if !nobody_waits.load(Ordering::Acquire) {
                let _ = answer.send(work());
            }
        }))?;
        match answered.recv_timeout(self.limit) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                given_up.store(true, Ordering::Release);
                Err(silent(format!(
                    "The keychain has not answered for {:?}",
                    self.limit
                )))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Error::failed(format!(
                "The keychain broke down while an item was {what}"
            ))),
        }
    }

    fn queue(&self, job: Job) -> Result<()> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut job = job;
        if let Some(queue) = jobs.as_ref() {
            match queue.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => {
                    return Err(silent("The keychain is busy with earlier questions".into()));
                }
                // A call that panicked took the thread with it; the next one gets a new one.
                Err(TrySendError::Disconnected(back)) => job = back,
            }
        }
        let (queue, waiting) = sync_channel::<Job>(WAITING);
        let failed =
            |e: String| Error::failed("The thread for the keychain cannot be started").because(e);
        thread::Builder::new()
            .name("keychain".into())
            .spawn(move || {
                while let Ok(job) = waiting.recv() {
                    job();
                }
            })
            .map_err(|e| failed(e.to_string()))?;
        queue.try_send(job).map_err(|e| failed(e.to_string()))?;
        *jobs = Some(queue);
        Ok(())
    }
}

impl Credentials for Keychain {
    fn get(&self, account: &str) -> Result<Option<Secret>> {
        self.item("read", account, |entry| match entry.get_password() {
            Ok(password) => {
                let password = Zeroizing::new(password);
                Ok(Some(Secret::from(password.as_str())))
            }
            Err(KeyringError::NoEntry) => Ok(None),
            Err(e) => Err(e),
        })
    }

    fn set(&self, account: &str, secret: &Secret) -> Result<()> {
        let secret = secret.clone();
        self.item("written", account, move |entry| {
            entry.set_password(secret.expose_secret())
        })
    }

    fn delete(&self, account: &str) -> Result<()> {
        self.item("deleted", account, |entry| {
            match entry.delete_credential() {
                Ok(()) | Err(KeyringError::NoEntry) => Ok(()),
                Err(e) => Err(e),
            }
        })
    }

    fn kind(&self) -> &'static str {
        "keychain"
    }
}

const NO_KEYCHAIN: &str =
    "Give `--password-file PATH` to keep the password in a file of yours instead";

fn silent(message: String) -> Error {
    Error::new(Code::TimedOut, message)
        .because("a dialog may be waiting for an answer")
        .hint("Unlock the keychain and answer its dialog, or give `--password-file PATH` to do without it")
}

/// In our words. The variants that carry the secret's bytes are not even formatted.
fn explain(what: &str, e: KeyringError) -> Error {
    let failed = Error::failed(format!("The keychain failed while an item was {what}"));
    match e {
        KeyringError::NoStorageAccess(e) => {
            Error::new(Code::KeychainLocked, "The keychain is locked")
                .because(e.to_string())
                .hint("Unlock it, or give `--password-file PATH` to do without it")
        }
        KeyringError::NoDefaultStore => {
            Error::new(Code::NoKeychain, "No keychain answers here").hint(NO_KEYCHAIN)
        }
        KeyringError::PlatformFailure(e) => failed.because(e.to_string()),
        KeyringError::BadEncoding(mut bytes) | KeyringError::BadDataFormat(mut bytes, _) => {
            bytes.zeroize();
            failed
                .because("the item does not hold a password that Berth wrote")
                .hint("Delete the item, then set the password anew")
        }
        KeyringError::Ambiguous(_) => failed
            .because("it holds several items of this account")
            .hint("Delete all but one of them"),
        KeyringError::TooLong(_, limit) => {
            failed.because(format!("it takes at most {limit} characters"))
        }
        _ => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_that_nobody_answers_gives_every_caller_back() {
        let keychain = Keychain::with_limit(Duration::from_millis(50));
        let (answer, dialog) = sync_channel::<()>(0);
        let e = keychain
            .call("read", move || {
                let _ = dialog.recv();
                Ok(())
            })
            .unwrap_err();
        assert_eq!(e.code(), Code::TimedOut);
        let ran = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&ran);
        let e = keychain.call("written", move || {
            mark.store(true, Ordering::Release);
            Ok(())
        });
        assert_eq!(e.unwrap_err().code(), Code::TimedOut);
        answer.send(()).unwrap();
        let patient = Keychain {
            limit: Duration::from_secs(10),
            ..keychain
        };
        patient
            .call("read", || Ok(()))
            .expect("after the dialog it goes on");
        assert!(
            !ran.load(Ordering::Acquire),
            "what its caller was told had failed must not happen later"
        );
    }

    #[test]
    fn a_call_that_breaks_down_is_an_error_and_the_next_one_works() {
        let keychain = Keychain::with_limit(Duration::from_secs(10));
        assert!(
            keychain
                .call("read", || -> Result<()> { panic!("as keyring does") })
                .is_err()
        );
        // The thread may still be ending: then this call meets the same error, and says so.
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while keychain.call("read", || Ok(())).is_err() {
            assert!(
                std::time::Instant::now() < end,
                "one panic must not end the keychain"
            );
        }
    }

    #[test]
    fn no_error_shows_what_an_item_holds() {
        for e in [
            KeyringError::BadEncoding(b"hunter2".to_vec()),
            KeyringError::BadDataFormat(b"hunter2".to_vec(), "x".into()),
        ] {
            let shown = format!("{:?}", explain("read", e));
            assert!(
                !shown.contains("hunter2") && !shown.contains("104, 117"),
                "{shown}"
            );
        }
    }
}
