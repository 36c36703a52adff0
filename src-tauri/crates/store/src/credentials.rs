//! Where passwords are kept, as a port: the keychain, or memory for what ends with us.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use berth_core::{Result, Secret};

/// Keeps secrets by account. Every call may block, on macOS until a person has answered a
/// dialog: async callers use `spawn_blocking`.
pub trait Credentials: Send + Sync {
    /// The secret of that account, `None` where there is none.
    ///
    /// # Errors
    /// [`berth_core::Code::NoKeychain`], [`berth_core::Code::KeychainLocked`],
    /// [`berth_core::Code::TimedOut`] or what the store says.
    fn get(&self, account: &str) -> Result<Option<Secret>>;

    /// Keeps a secret, in the place of an older one.
    ///
    /// # Errors
    /// As [`Credentials::get`].
    fn set(&self, account: &str, secret: &Secret) -> Result<()>;

    /// Forgets a secret; it is no error that there is none.
    ///
    /// # Errors
    /// As [`Credentials::get`].
    fn delete(&self, account: &str) -> Result<()>;

    /// What it is, for people: `keychain`, `memory`.
    fn kind(&self) -> &'static str;
}

/// The account of one login of an instance. The id never changes; names do.
#[must_use]
pub fn instance_account(id: &str, login: &str) -> String {
    format!("instance:{id}:{login}")
}

/// The account of a host's password or of its key's passphrase.
#[must_use]
pub fn host_account(id: &str) -> String {
    format!("host:{id}")
}

/// Keeps secrets for as long as it lives: throw-aways, and tests.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, Secret>>);

impl Memory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Credentials for Memory {
    fn get(&self, account: &str) -> Result<Option<Secret>> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(account)
            .cloned())
    }

    fn set(&self, account: &str, secret: &Secret) -> Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account.to_owned(), secret.clone());
        Ok(())
    }

    fn delete(&self, account: &str) -> Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(account);
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}
