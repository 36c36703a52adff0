//! What is offered to a server: Berth's own choice, within what the SSH configuration allows.
//!
//! A list of the configuration is honoured as a set: what it leaves out is never used. The order is Berth's.

use std::borrow::Cow;

use berth_core::{Error, Result};
use russh::{
    Preferred, cipher, kex,
    keys::{Algorithm, HashAlg, PublicKey},
    mac,
};

use crate::{host_keys::Records, known_hosts::Role, ssh_config::Settings};

/// AES has its own instructions on every Mac and on every server that runs Windows.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Only where the configuration names them.
const OTHER_CIPHERS: &[cipher::Name] = &[cipher::AES_128_GCM];

/// Behind the library's own: servers that keep to FIPS may have no other.
const NIST_KEX: &[kex::Name] = &[
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
];

/// Only where the configuration names them.
const OTHER_KEX: &[kex::Name] = &[kex::DH_GEX_SHA1, kex::DH_G14_SHA1, kex::DH_G1_SHA1];

const OTHER_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// The lists for one server.
pub(crate) fn preferred(settings: &Settings, records: &Records) -> Result<Preferred> {
    let default = Preferred::DEFAULT;
    let kex = {
        let is_extension = |name: &kex::Name| {
            [
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_SUPPORT_AS_SERVER,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
            ]
            .contains(name)
        };
        let (extensions, mut own): (Vec<_>, Vec<_>) =
            default.kex.iter().copied().partition(is_extension);
        own.extend_from_slice(NIST_KEX);
        let mut list = allowed("KexAlgorithms", settings.kex.as_deref(), &own, OTHER_KEX)?;
        list.extend(extensions);
        list
    };
    let (key, certificates) = host_keys(settings, records)?;
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(key),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(allowed(
            "Ciphers",
            settings.ciphers.as_deref(),
            CIPHERS,
            OTHER_CIPHERS,
        )?),
        mac: Cow::Owned(allowed(
            "MACs",
            settings.macs.as_deref(),
            &default.mac,
            OTHER_MACS,
        )?),
        compression: default.compression,
    })
}

/// `own` as far as it is allowed, then `other` where it is named; `own` where nothing is said.
fn allowed<N: AsRef<str> + Copy>(
    option: &str,
    names: Option<&[String]>,
    own: &[N],
    other: &[N],
) -> Result<Vec<N>> {
    let Some(names) = names else {
        return Ok(own.to_vec());
    };
    let list: Vec<N> = own
        .iter()
        .chain(other)
        .filter(|name| names.iter().any(|n| n == name.as_ref()))
        .copied()
        .collect();
    if list.is_empty() {
        return Err(nothing_left(option, names));
    }
    Ok(list)
}

fn nothing_left(option: &str, names: &[String]) -> Error {
    Error::failed(format!(
        "`{option}` in the SSH configuration allows nothing that Berth can do"
    ))
    .because(format!("it allows {}", names.join(", ")))
    .hint("Allow more for this host there")
}

/// The host key algorithms to ask for: those of recorded keys first, or a host with two keys would look
/// changed; and for which of them a certificate is welcome, where an authority is known.
fn host_keys(settings: &Settings, records: &Records) -> Result<(Vec<Algorithm>, Vec<Algorithm>)> {
    let recorded = |algorithm: &Algorithm| {
        records.all().filter(|r| r.role == Role::Key).any(|r| {
            match (r.key.algorithm(), algorithm) {
                (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
                (recorded, wanted) => recorded == *wanted,
            }
        })
    };
    // An RSA signature over SHA-1 proves nothing any more, whatever the configuration says.
    let all: Vec<Algorithm> = Preferred::DEFAULT
        .key
        .iter()
        .filter(|a| !matches!(a, Algorithm::Rsa { hash: None }))
        .cloned()
        .collect();
    let is_named = |name: &str| {
        settings
            .host_keys
            .as_ref()
            .is_none_or(|names| names.iter().any(|n| n == name))
    };
    let certificates: Vec<Algorithm> = if records.has_authority() {
        all.iter()
            .filter(|a| {
                is_named(&match a {
                    Algorithm::Rsa {
                        hash: Some(HashAlg::Sha512),
                    } => "rsa-sha2-512-cert-v01@openssh.com".to_owned(),
                    Algorithm::Rsa { .. } => "rsa-sha2-256-cert-v01@openssh.com".to_owned(),
                    other => other.to_certificate_type(),
                })
            })
            .cloned()
            .collect()
    } else {
        Vec::new()
    };
    let (first, rest): (Vec<_>, Vec<_>) = all
        .into_iter()
        .filter(|a| is_named(a.as_str()))
        .partition(recorded);
    let keys: Vec<_> = first.into_iter().chain(rest).collect();
    if keys.is_empty() && certificates.is_empty() {
        return Err(nothing_left(
            "HostKeyAlgorithms",
            settings.host_keys.as_deref().unwrap_or_default(),
        ));
    }
    Ok((keys, certificates))
}

/// The size of an RSA key in bits; `None` for keys of other kinds.
pub(crate) fn rsa_bits(key: &PublicKey) -> Option<usize> {
    let n = key.key_data().rsa()?.n().as_positive_bytes()?;
    let first = n.first()?;
    Some(n.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known_hosts;

    fn names(list: &str) -> Option<Vec<String>> {
        Some(list.split(',').map(str::to_owned).collect())
    }

    fn known(line: &str) -> Records {
        Records {
            named: known_hosts::lookup(line, std::path::Path::new("known_hosts"), "h"),
            plain: Vec::new(),
        }
    }

    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    #[test]
    fn recorded_kinds_come_first() {
        let list = preferred(&Settings::default(), &known(&format!("h {ECDSA}"))).unwrap();
        assert_eq!(
            list.key.first().map(Algorithm::as_str),
            Some("ecdsa-sha2-nistp256"),
            "a host with two keys would look changed"
        );
        assert!(
            list.host_key_certificates.is_empty(),
            "nobody could judge a certificate"
        );
        assert!(!list.key.contains(&Algorithm::Rsa { hash: None }));
    }

    #[test]
    fn certificates_are_welcome_where_an_authority_is_known() {
        let list = preferred(
            &Settings::default(),
            &known(&format!("@cert-authority * {ECDSA}")),
        )
        .unwrap();
        assert!(list.host_key_certificates.contains(&Algorithm::Ed25519));
    }

    #[test]
    fn what_the_configuration_leaves_out_is_never_offered() {
        let settings = Settings {
            ciphers: names("aes128-ctr,aes128-gcm@openssh.com,3des-cbc"),
            kex: names("ecdh-sha2-nistp256,sntrup761x25519-sha512"),
            macs: names("hmac-sha2-256"),
            host_keys: names("rsa-sha2-512,ssh-rsa"),
            ..Settings::default()
        };
        let list = preferred(&settings, &Records::default()).unwrap();
        assert_eq!(
            list.cipher.as_ref(),
            [cipher::AES_128_CTR, cipher::AES_128_GCM]
        );
        assert_eq!(list.kex.first(), Some(&kex::ECDH_SHA2_NISTP256));
        assert!(!list.kex.contains(&kex::CURVE25519));
        assert!(
            list.kex
                .contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT),
            "without it an attacker can cut messages off the handshake (CVE-2023-48795)"
        );
        assert_eq!(list.mac.as_ref(), [mac::HMAC_SHA256]);
        assert_eq!(
            list.key.iter().map(Algorithm::as_str).collect::<Vec<_>>(),
            ["rsa-sha2-512"]
        );
    }

    #[test]
    fn a_configuration_that_leaves_nothing_is_said() {
        for settings in [
            Settings {
                ciphers: names("3des-cbc"),
                ..Settings::default()
            },
            Settings {
                kex: names("sntrup761x25519-sha512"),
                ..Settings::default()
            },
            Settings {
                macs: names("umac-64@openssh.com"),
                ..Settings::default()
            },
            Settings {
                host_keys: names("ssh-dss"),
                ..Settings::default()
            },
        ] {
            assert!(
                preferred(&settings, &Records::default()).is_err(),
                "{settings:?}: falling back would use what was ruled out"
            );
        }
    }
}
