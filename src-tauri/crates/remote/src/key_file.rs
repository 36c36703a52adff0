//! Private key files: reading them, and saying what is wrong with them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use berth_core::{Code, Error, Result, Secret};
use russh::keys::{self, PrivateKey, PublicKey};
use secrecy::ExposeSecret;

/// The public key of an identity without its passphrase: from `FILE.pub`, or from OpenSSH's
/// own format, which keeps it readable.
pub(crate) fn public_half(path: &Path) -> Option<PublicKey> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let beside = fs::read_to_string(PathBuf::from(name))
        .ok()
        .and_then(|text| text.trim().parse().ok());
    beside.or_else(|| {
        let text = fs::read_to_string(path).ok()?;
        PrivateKey::from_openssh(&text)
            .ok()
            .map(|key| key.public_key().clone())
    })
}

/// Reads a private key. Deriving the key of a passphrase takes a good part of a second by
/// design, so it runs off the async threads.
pub(crate) async fn load(path: &Path, passphrase: Option<&Secret>) -> Result<PrivateKey> {
    let file = path.to_owned();
    let passphrase = passphrase.cloned();
    let given = passphrase.is_some();
    let loaded = tokio::task::spawn_blocking(move || {
        keys::load_secret_key(&file, passphrase.as_ref().map(ExposeSecret::expose_secret))
    })
    .await
    .map_err(|e| {
        Error::failed(format!("The key `{}` could not be read", path.display()))
            .because(e.to_string())
    })?;
    loaded.map_err(|e| key_problem(path, given, &e))
}

fn key_problem(path: &Path, given: bool, error: &keys::Error) -> Error {
    let file = path.display();
    match error {
        keys::Error::KeyIsEncrypted => Error::new(
            Code::PassphraseNeeded,
            format!("The key `{file}` needs its passphrase"),
        )
        .detail("identity", file.to_string())
        .hint("Give the passphrase, or add the key to the SSH agent with `ssh-add`"),
        // The library cannot tell a wrong passphrase from a damaged file.
        keys::Error::SshKey(keys::ssh_key::Error::Crypto)
        | keys::Error::Unpad(_)
        | keys::Error::Pkcs8(_)
        | keys::Error::Pad(_)
            if given =>
        {
            Error::new(
                Code::PassphraseNeeded,
                format!("The passphrase does not open the key `{file}`"),
            )
            .detail("identity", file.to_string())
        }
        keys::Error::IO(e) if e.kind() == io::ErrorKind::NotFound => {
            Error::not_found(format!("There is no key file `{file}`"))
        }
        keys::Error::IO(e) if e.kind() == io::ErrorKind::InvalidData => {
            Error::failed(format!("`{file}` is not a private key")).because("it is not text")
        }
        keys::Error::IO(e) => {
            Error::failed(format!("The key file `{file}` cannot be read")).because(e.to_string())
        }
        other => Error::failed(format!("`{file}` is not a private key that can be used"))
            .because(other.to_string()),
    }
}
