//! Private key files: reading them, and saying what is wrong with them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use berth_core::{Code, Error, Result, Secret};
use russh::keys::{self, Certificate, PrivateKey, PublicKey};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::{legacy_pem, ssh_config::beside};

/// What a key file is at most, in bytes; the largest RSA keys have some 13 kB.
const MOST_BYTES: u64 = 1 << 20;

/// The public key of an identity without its passphrase: from `FILE.pub`, from the file itself where that is
/// a public key, or from OpenSSH's own format, which keeps it readable.
pub(crate) fn public_half(path: &Path) -> Option<PublicKey> {
    let parse = |text: String| text.trim().parse().ok();
    let own = text(path).ok();
    if let Some(own) = &own
        && kind(own) == Kind::Public
    {
        return parse(own.to_string());
    }
    if let Some(key) = own
        .as_ref()
        .and_then(|text| PrivateKey::from_openssh(text.as_str()).ok())
    {
        return Some(key.public_key().clone());
    }
    text(&beside(path, ".pub"))
        .ok()
        .and_then(|text| parse(text.to_string()))
}

/// Whether the file holds a public key.
pub(crate) fn is_public(path: &Path) -> bool {
    text(path).is_ok_and(|text| kind(&text) == Kind::Public)
}

/// Reads a certificate, as `ssh-keygen -s` writes it.
pub(crate) fn certificate(path: &Path) -> Result<Certificate> {
    let file = path.display();
    let text = text(path).map_err(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            Error::not_found(format!("There is no certificate `{file}`"))
        } else {
            Error::failed(format!("The certificate `{file}` cannot be read")).because(e.to_string())
        }
    })?;
    // A certificate may be signed by a certificate, and so on: the parser would follow them all.
    if text.lines().next().is_none_or(|line| line.len() > 64 << 10) {
        return Err(Error::failed(format!("`{file}` is not a certificate")));
    }
    Certificate::from_openssh(&text).map_err(|e| {
        Error::failed(format!("`{file}` is not a certificate of OpenSSH")).because(e.to_string())
    })
}

/// What a file says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OpenSsh,
    Pkcs8,
    Pkcs8Encrypted,
    /// `RSA PRIVATE KEY`, `EC PRIVATE KEY`, in the clear.
    Legacy,
    LegacyEncrypted,
    Putty {
        encrypted: bool,
    },
    /// The format of the company SSH.com, which OpenSSH does not read either.
    SshCom,
    Dsa,
    Public,
    Certificate,
    Unknown,
}

fn kind(text: &str) -> Kind {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let Some(first) = lines.next() else {
        return Kind::Unknown;
    };
    if first.starts_with("PuTTY-User-Key-File-") {
        let encryption = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Encryption:"));
        return Kind::Putty {
            encrypted: encryption.is_some_and(|name| name.trim() != "none"),
        };
    }
    let mut words = first.split_whitespace();
    if let (Some(algorithm), Some(base64)) = (words.next(), words.next())
        && base64.starts_with("AAAA")
    {
        return if algorithm.contains("-cert-v0") {
            Kind::Certificate
        } else {
            Kind::Public
        };
    }
    // What comes before the first line of a PEM block is a comment.
    for line in text.lines().map(str::trim) {
        return match line {
            "-----BEGIN OPENSSH PRIVATE KEY-----" => Kind::OpenSsh,
            "-----BEGIN PRIVATE KEY-----" => Kind::Pkcs8,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----" => Kind::Pkcs8Encrypted,
            "-----BEGIN DSA PRIVATE KEY-----" => Kind::Dsa,
            "-----BEGIN RSA PRIVATE KEY-----" | "-----BEGIN EC PRIVATE KEY-----" => {
                if text.contains("Proc-Type: 4,ENCRYPTED") {
                    Kind::LegacyEncrypted
                } else {
                    Kind::Legacy
                }
            }
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----" => Kind::SshCom,
            "---- BEGIN SSH2 PUBLIC KEY ----"
            | "-----BEGIN PUBLIC KEY-----"
            | "-----BEGIN RSA PUBLIC KEY-----" => Kind::Public,
            _ => continue,
        };
    }
    Kind::Unknown
}

fn text(path: &Path) -> io::Result<Zeroizing<String>> {
    let about = fs::metadata(path)?;
    if about.len() > MOST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is too large",
        ));
    }
    if !about.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not a file",
        ));
    }
    fs::read_to_string(path).map(Zeroizing::new)
}

/// Reads a private key. Deriving the key of a passphrase takes a good part of a second by
/// design, so it runs off the async threads.
pub(crate) async fn load(path: &Path, passphrase: Option<&Secret>) -> Result<PrivateKey> {
    let file = path.to_owned();
    let passphrase = passphrase.cloned();
    tokio::task::spawn_blocking(move || read(&file, passphrase.as_ref()))
        .await
        .map_err(|e| {
            Error::failed(format!("The key `{}` could not be read", path.display()))
                .because(e.to_string())
        })?
}

fn read(path: &Path, passphrase: Option<&Secret>) -> Result<PrivateKey> {
    let file = path.display();
    let text = text(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!("There is no key file `{file}`")),
        io::ErrorKind::InvalidData => Error::failed(format!("`{file}` is not a private key"))
            // Without words of our own it was the reading that failed, on bytes that are no text.
            .because(
                e.get_ref()
                    .map_or("it is not text".to_owned(), ToString::to_string),
            ),
        _ => Error::failed(format!("The key file `{file}` cannot be read")).because(e.to_string()),
    })?;
    let kind = kind(&text);
    if matches!(kind, Kind::Public | Kind::Certificate) {
        return Err(public_given(path));
    }
    if kind != Kind::Unknown {
        private_to_its_owner(path)?;
    }
    decode(path, kind, &text, passphrase)
}

fn public_given(path: &Path) -> Error {
    let file = path.display();
    let error = Error::failed(format!("`{file}` is the public half of a key"));
    let name = path.to_string_lossy();
    match name
        .strip_suffix("-cert.pub")
        .or_else(|| name.strip_suffix(".pub"))
        .map(PathBuf::from)
    {
        Some(private) if private.exists() => {
            error.hint(format!("Name the private one: `{}`", private.display()))
        }
        _ => error.hint("Its private half is not in the SSH agent; add it there with `ssh-add`, or name the private file"),
    }
}

/// As `ssh`: a key of this user that others may read is not used. A key of somebody else, such as root's, is.
fn private_to_its_owner(path: &Path) -> Result<()> {
    let Ok(about) = fs::metadata(path) else {
        return Ok(());
    };
    let mode = about.mode() & 0o777;
    if about.uid() != rustix::process::getuid().as_raw() || mode & 0o077 == 0 {
        return Ok(());
    }
    let file = path.display();
    Err(Error::new(
        Code::Refused,
        format!("The key file `{file}` is open to other users of this machine"),
    )
    .because(format!(
        "its mode is {mode:04o}; `ssh` does not use such a key either"
    ))
    .hint(format!("Close it with `chmod 600 {file}`")))
}

fn decode(path: &Path, kind: Kind, text: &str, passphrase: Option<&Secret>) -> Result<PrivateKey> {
    let file = path.display();
    let needs = || {
        Error::new(
            Code::PassphraseNeeded,
            format!("The key `{file}` needs its passphrase"),
        )
        .detail("identity", file.to_string())
        .hint("Give the passphrase, or add the key to the SSH agent with `ssh-add`")
    };
    let wrong = || {
        Error::new(
            Code::PassphraseNeeded,
            format!("The passphrase does not open the key `{file}`"),
        )
        .detail("identity", file.to_string())
        .hint(format!(
            "`ssh-keygen -y -f {file}` tells whether a passphrase is the right one"
        ))
    };
    let unusable = |why: String| {
        Error::failed(format!("`{file}` is not a private key that can be used")).because(why)
    };
    let given = passphrase.map(ExposeSecret::expose_secret);
    match kind {
        Kind::OpenSsh => match keys::decode_secret_key(text, given) {
            Err(keys::Error::KeyIsEncrypted) => Err(needs()),
            // The library cannot tell a wrong passphrase from a damaged file.
            Err(keys::Error::SshKey(keys::ssh_key::Error::Crypto)) if given.is_some() => {
                Err(wrong())
            }
            other => other.map_err(|e| unusable(e.to_string())),
        },
        Kind::Pkcs8 | Kind::Legacy => {
            keys::decode_secret_key(text, None).map_err(|e| unusable(e.to_string()))
        }
        Kind::Pkcs8Encrypted => {
            let given = given.ok_or_else(needs)?;
            keys::decode_secret_key(text, Some(given)).map_err(|e| match e {
                keys::Error::Pkcs8(_) => wrong(),
                // A wrong key can decrypt to something that ends like a padding.
                keys::Error::Der(_) => wrong(),
                other => unusable(other.to_string()),
            })
        }
        Kind::LegacyEncrypted => {
            let given = given.ok_or_else(needs)?;
            let clear = match legacy_pem::decrypt(text, given) {
                Ok(clear) => clear,
                Err(legacy_pem::Problem::Passphrase) => return Err(wrong()),
                Err(legacy_pem::Problem::Format(why)) => return Err(unusable(why)),
            };
            keys::decode_secret_key(&clear, None).map_err(|_| wrong())
        }
        Kind::Putty { encrypted } => {
            if encrypted && given.is_none() {
                return Err(needs());
            }
            keys::decode_secret_key(text, given.filter(|_| encrypted)).map_err(|e| {
                if encrypted {
                    wrong()
                } else {
                    unusable(e.to_string()).hint(
                        "Convert it with `puttygen FILE -O private-openssh-new -o NEW`",
                    )
                }
            })
        }
        Kind::SshCom => Err(unusable("it has the format of SSH.com".to_owned())
            .hint("Where it has no passphrase, `ssh-keygen -i -f FILE > NEW` converts it; else PuTTYgen does")),
        Kind::Dsa => Err(unusable("it is a DSA key, which no current server takes".to_owned())
            .hint("Make a new one with `ssh-keygen -t ed25519`")),
        Kind::Public | Kind::Certificate => Err(public_given(path)),
        Kind::Unknown => Err(unusable("it holds no key in a format that is known".to_owned())),
    }
    .and_then(|key| {
        // Such a file is only a handle: the key itself is in the token.
        if matches!(key.algorithm(), keys::Algorithm::SkEd25519 | keys::Algorithm::SkEcdsaSha2NistP256) {
            return Err(Error::failed(format!("The key `{file}` is in a FIDO token"))
                .because("Berth asks a token through the SSH agent only")
                .hint(format!("Add it there with `ssh-add {file}`")));
        }
        Ok(key)
    })
}

/// Reads a text as every kind of key file. A passphrase is given only where the text cannot say how long the
/// key derivation takes.
#[cfg(test)]
pub(crate) fn read_anything(text: &str) {
    let kind = kind(text);
    let passphrase = Secret::from("fuzzy");
    let given = (kind == Kind::LegacyEncrypted).then_some(&passphrase);
    let _ = decode(Path::new("f"), kind, text, given);
    let _ = Certificate::from_openssh(text);
}

#[cfg(test)]
#[path = "key_file_tests.rs"]
mod tests;
