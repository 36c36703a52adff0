//! Who the machine is and who may sign in: host keys, the client's key, the password.

use std::path::{Path, PathBuf};

use berth_core::{Error, Result, Secret, password, secret::ExposeSecret};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey, ssh_key::LineEnding};

use sha2::{Digest, Sha256};

use super::{
    fault::{Fault, Faults},
    state::write_private,
};

const HOST_KEY: &str = "ssh_host_ed25519_key";
const CLIENT_KEY: &str = "client_ed25519_key";
const PASSWORD: &str = "password";

/// The one account of the machine.
pub const USER: &str = "Administrator";

/// Keys and password, made once and kept in the folder.
pub struct Identity {
    /// The host's private key.
    pub host_key: PrivateKey,
    /// What the client signs in with, unless the machine's file of administrators' keys was changed.
    pub client_key: PublicKey,
    /// The file with the client's private key, mode 0600.
    pub client_key_path: PathBuf,
    /// The account's password.
    pub password: Secret,
}

fn failed(what: &str) -> impl Fn(russh::keys::ssh_key::Error) -> Error {
    move |e| {
        Error::failed(format!("The practice host's {what} cannot be used")).because(e.to_string())
    }
}

fn random(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer)
        .map_err(|e| Error::failed("This machine gives no random numbers").because(e.to_string()))
}

fn key(dir: &Path, name: &str, comment: &str) -> Result<PrivateKey> {
    let path = dir.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => PrivateKey::from_openssh(text).map_err(failed("key file")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let mut seed = [0_u8; 32];
            random(&mut seed)?;
            let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
            let mut key = PrivateKey::from(pair);
            key.set_comment(comment);
            debug_assert_eq!(key.algorithm(), Algorithm::Ed25519);
            let text = key.to_openssh(LineEnding::LF).map_err(failed("key"))?;
            write_private(dir, name, text.as_bytes())?;
            Ok(key)
        }
        Err(e) => Err(
            Error::failed(format!("The key file `{}` cannot be read", path.display()))
                .because(e.to_string()),
        ),
    }
}

impl Identity {
    /// Reads it from the folder, or makes it there; blocking.
    ///
    /// # Errors
    /// The folder cannot be read or written, or holds a broken key.
    pub fn open(dir: &Path) -> Result<Self> {
        let host_key = key(dir, HOST_KEY, "berth-practice host")?;
        let client_key = key(dir, CLIENT_KEY, "berth-practice client")?;
        let path = dir.join(PASSWORD);
        let password = match std::fs::read_to_string(&path) {
            Ok(text) => Secret::from(text.trim_end().to_owned()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let new = password::generate(random)?;
                write_private(dir, PASSWORD, new.expose_secret().as_bytes())?;
                new
            }
            Err(e) => {
                return Err(
                    Error::failed(format!("The file `{}` cannot be read", path.display()))
                        .because(e.to_string()),
                );
            }
        };
        Ok(Self {
            host_key,
            client_key: client_key.public_key().clone(),
            client_key_path: dir.join(CLIENT_KEY),
            password,
        })
    }

    /// The key that the door shows: the host's own, unless another was asked for.
    pub fn shown_host_key(&self, faults: &Faults) -> PrivateKey {
        if !faults.has(Fault::WrongHostKey) {
            return self.host_key.clone();
        }
        // One and the same each time, since a wrong host stays the same wrong one.
        let seed = Sha256::digest(self.host_key.public_key().to_bytes().unwrap_or_default());
        PrivateKey::from(russh::keys::ssh_key::private::Ed25519Keypair::from_seed(
            &seed.into(),
        ))
    }

    /// The host's public key as a line of OpenSSH.
    ///
    /// # Errors
    /// Never with a key that this code made.
    pub fn host_key_line(&self) -> Result<String> {
        self.host_key
            .public_key()
            .to_openssh()
            .map_err(failed("host key"))
    }

    /// The host key's fingerprint, `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.host_key
            .public_key()
            .fingerprint(HashAlg::Sha256)
            .to_string()
    }
}
