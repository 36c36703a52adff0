//! Host certificates: what has to hold before the signature of an authority stands for a host's key.
//!
//! Format: OpenSSH's PROTOCOL.certkeys. The exchange itself was already signed by the certificate's key when
//! this is asked.

use std::time::{SystemTime, UNIX_EPOCH};

use berth_core::{Code, Error, Result};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, ssh_key::certificate::CertType};

use crate::known_hosts;

/// Checks a certificate whose authority is trusted by `place`, for the host `principal`. `signatures` are the
/// algorithms that an authority may sign with, where the configuration limits them.
pub(crate) fn check(
    certificate: &Certificate,
    principal: &str,
    signatures: Option<&[String]>,
    place: &str,
) -> Result<()> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    match problem(certificate, principal, signatures, now) {
        None => Ok(()),
        Some((why, hint)) => {
            let key = PublicKey::from(certificate.public_key().clone());
            Err(Error::new(
                Code::Refused,
                format!("The host certificate of `{principal}` is not valid"),
            )
            .because(why)
            .because(format!("{place} trusts its authority"))
            .hint(hint)
            .detail("offered", known_hosts::fingerprint(&key))
            .detail(
                "certificate",
                certificate.key_id().escape_debug().to_string(),
            ))
        }
    }
}

/// What is wrong with a certificate at `now` (seconds since 1970), and what to do about it.
fn problem(
    certificate: &Certificate,
    principal: &str,
    signatures: Option<&[String]>,
    now: u64,
) -> Option<(String, &'static str)> {
    const ASK: &str = "Ask whoever runs the authority for a new certificate of this host";
    if certificate.cert_type() != CertType::Host {
        return Some(("it is a user's certificate, not a host's".to_owned(), ASK));
    }
    let authority = PublicKey::from(certificate.signature_key().clone());
    let by = certificate.signature().algorithm();
    let allowed = match signatures {
        Some(names) => names.iter().any(|name| name == by.as_str()),
        // A signature over SHA-1 proves nothing any more.
        None => by != Algorithm::Rsa { hash: None },
    };
    if !allowed {
        return Some((
            format!("it is signed by `{}`, which is not accepted", by.as_str()),
            ASK,
        ));
    }
    if certificate.valid_after() > now {
        return Some((
            "it is valid only from a later time on".to_owned(),
            "Is the clock of this machine right?",
        ));
    }
    if certificate.valid_before() <= now {
        return Some(("it has expired".to_owned(), ASK));
    }
    if certificate
        .validate_at(now, [&authority.fingerprint(HashAlg::Sha256)])
        .is_err()
    {
        return Some((
            "its signature is wrong".to_owned(),
            "Somebody may answer in the host's place",
        ));
    }
    // None at all means any host, as OpenSSH takes it.
    let names = certificate.valid_principals();
    if !names.is_empty() && !names.iter().any(|name| name == principal) {
        let names: Vec<_> = names
            .iter()
            .map(|n| format!("`{}`", n.escape_debug()))
            .collect();
        return Some((
            format!("it was made for {}", names.join(", ")),
            "Reach the host by a name of its certificate, or set `HostKeyAlias` in `~/.ssh/config`",
        ));
    }
    // A critical option that is not understood refuses the certificate, and none is defined for hosts.
    if let Some((name, _)) = certificate.critical_options().iter().next() {
        return Some((
            format!(
                "it has the critical option `{}`, which is unknown",
                name.escape_debug()
            ),
            ASK,
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use russh::keys::{
        PrivateKey,
        ssh_key::{certificate::Builder, private::Ed25519Keypair},
    };

    use super::*;

    fn key(seed: u8) -> PrivateKey {
        Ed25519Keypair::from_seed(&[seed; 32]).into()
    }

    const NOW: u64 = 1_800_000_000;

    fn made(change: impl FnOnce(&mut Builder)) -> Certificate {
        made_for(CertType::Host, change)
    }

    fn made_for(kind: CertType, change: impl FnOnce(&mut Builder)) -> Certificate {
        let mut builder =
            Builder::new(vec![7; 32], key(1).public_key().clone(), NOW - 10, NOW + 10).unwrap();
        builder.cert_type(kind).unwrap();
        change(&mut builder);
        builder.sign(&key(2)).unwrap()
    }

    fn why(certificate: &Certificate, now: u64) -> String {
        problem(certificate, "winhost", None, now).map_or_else(String::new, |(why, _)| why)
    }

    fn any_host(builder: &mut Builder) {
        builder.all_principals_valid().unwrap();
    }

    fn this_host(builder: &mut Builder) {
        builder.valid_principal("other").unwrap();
        builder.valid_principal("winhost").unwrap();
    }

    #[test]
    fn a_certificate_is_taken_for_what_it_says_and_nothing_more() {
        assert_eq!(why(&made(this_host), NOW), "");
        assert_eq!(
            why(&made(any_host), NOW),
            "",
            "no name means any host, as OpenSSH takes it"
        );
        for (certificate, now, says) in [
            (made(this_host), NOW + 10, "expired"),
            (made(this_host), NOW - 11, "later"),
            (
                made(|b| {
                    b.valid_principal("other").unwrap();
                }),
                NOW,
                "made for `other`",
            ),
            (made_for(CertType::User, any_host), NOW, "user's"),
            (
                made(|b| {
                    any_host(b);
                    b.critical_option("force-command", "x").unwrap();
                }),
                NOW,
                "critical",
            ),
        ] {
            let why = why(&certificate, now);
            assert!(why.contains(says), "{says}: {why:?}");
        }
        let only_rsa = ["rsa-sha2-512".to_owned()];
        assert!(
            problem(&made(any_host), "winhost", Some(&only_rsa), NOW).is_some(),
            "CASignatureAlgorithms limits what an authority may sign with"
        );
    }

    #[test]
    fn a_changed_certificate_is_refused() {
        let other = made(|b| {
            b.valid_principal("another").unwrap();
        });
        let bytes = other.to_bytes().unwrap();
        let at = bytes.windows(7).position(|w| w == b"another").unwrap();
        let mut forged = bytes.clone();
        forged[at..at + 7].copy_from_slice(b"winhost");
        let forged = Certificate::from_bytes(&forged).unwrap();
        assert!(
            why(&forged, NOW).contains("signature"),
            "anyone could name any host otherwise"
        );
    }
}
