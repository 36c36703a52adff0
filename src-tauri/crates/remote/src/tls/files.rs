//! The three files: read, and told apart where somebody mixed them up.

use std::path::Path;

use berth_core::{Code, Error, Result};
use rustls::{
    InconsistentKeys,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use zeroize::Zeroizing;

use super::TlsFiles;

/// Far above any chain of certificates.
const MAX_FILE: u64 = 1 << 20;

async fn read(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let at = path.display();
    let failed = |e: std::io::Error| {
        let error = Error::failed(format!("{} `{at}` cannot be read", capital(what)))
            .because(e.to_string());
        match e.kind() {
            std::io::ErrorKind::NotFound => {
                error.hint("Docker calls these files `ca.pem`, `cert.pem` and `key.pem`")
            }
            _ => error,
        }
    };
    let about = tokio::fs::metadata(path).await.map_err(failed)?;
    if !about.is_file() || about.len() > MAX_FILE {
        return Err(Error::failed(format!(
            "{} `{at}` is no file of a certificate or key",
            capital(what)
        )));
    }
    Ok(Zeroizing::new(tokio::fs::read(path).await.map_err(failed)?))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn holds(pem: &[u8], what: &str) -> bool {
    pem.windows(what.len()).any(|part| part == what.as_bytes())
}

/// The certificates of a PEM file, at least one.
pub(super) async fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let pem = read(path, what).await?;
    let at = path.display();
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) if holds(&pem, "PRIVATE KEY-----") => Err(Error::usage(format!(
            "`{at}` holds a private key, and {what} was wanted"
        ))
        .hint("`--ca` and `--cert` take certificates, `--key` takes the key")),
        Ok(_) => Err(not_pem(path, what, &pem)),
        Err(e) => Err(unreadable(path, what, &e)),
    }
}

fn not_pem(path: &Path, what: &str, bytes: &[u8]) -> Error {
    let at = path.display();
    let error = Error::usage(format!("{} `{at}` is not PEM", capital(what)))
        .because("it has no line `-----BEGIN …`");
    // DER begins with a SEQUENCE.
    if bytes.first() == Some(&0x30) {
        error.hint(format!(
            "It looks like DER: `openssl x509 -inform der -in {at} -out {at}.pem` writes it as PEM"
        ))
    } else {
        error.hint("Docker calls these files `ca.pem`, `cert.pem` and `key.pem`")
    }
}

/// A file that has the right frame and the wrong content. The content is never quoted.
pub(super) fn unreadable(path: &Path, what: &str, e: &dyn std::fmt::Display) -> Error {
    Error::usage(format!(
        "{} `{}` cannot be used",
        capital(what),
        path.display()
    ))
    .because(e.to_string())
}

/// The private key of a PEM file that its owner alone may read.
pub(super) async fn key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let at = path.display();
    let pem = read(path, "the private key").await?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = tokio::fs::metadata(path)
            .await
            .map(|about| about.permissions().mode())
            .unwrap_or_default();
        if mode & 0o077 != 0 {
            return Err(Error::new(
                Code::Refused,
                format!("Others can read the private key `{at}`"),
            )
            .because(format!("its mode is {:04o}", mode & 0o7777))
            .hint(format!("Close it with `chmod 600 {at}`")));
        }
    }
    if holds(&pem, "ENCRYPTED PRIVATE KEY-----") || holds(&pem, "Proc-Type: 4,ENCRYPTED") {
        return Err(
            Error::usage(format!("The private key `{at}` is encrypted"))
                .because("Berth cannot ask for its passphrase each time the host is reached")
                .hint(format!("`openssl pkey -in {at} -out {at}.plain` writes it without one; keep that file readable by you alone (`chmod 600`)")),
        );
    }
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Ok(key),
        Err(_) if holds(&pem, "BEGIN CERTIFICATE-----") => Err(Error::usage(format!(
            "`{at}` holds a certificate, and its private key was wanted"
        ))
        .hint("`--cert` takes the certificate, `--key` takes the key")),
        Err(_) if holds(&pem, "OPENSSH PRIVATE KEY-----") => {
            Err(Error::usage(format!("`{at}` is a key of SSH, not of TLS"))
                .hint("An SSH host is added as `ssh://user@host --identity FILE`"))
        }
        Err(_) if !holds(&pem, "-----BEGIN ") => Err(not_pem(path, "the private key", &pem)),
        // The reason may quote the file.
        Err(_) => Err(
            Error::usage(format!("The private key `{at}` cannot be read"))
                .because("it is damaged, or of a kind that TLS does not use"),
        ),
    }
}

pub(super) fn no_pair(files: &TlsFiles, e: &rustls::Error) -> Error {
    let (cert, key) = (files.cert.display(), files.key.display());
    if let rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) = e {
        return Error::usage(format!(
            "The key `{key}` does not fit the certificate `{cert}`"
        ))
        .because("the certificate was made for another key")
        .hint("Take the two that were made together");
    }
    Error::usage(format!("The certificate `{cert}` cannot be used")).because(e.to_string())
}
