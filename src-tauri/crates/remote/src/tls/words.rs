//! What each failure of TLS means, and what to do about it.

use std::{io, path::Path, time::Duration};

use berth_core::{Code, Error};
use chrono::{DateTime, Utc};
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::TlsFiles;
use crate::wire::FirstWords;

/// `2027-01-31 12:00 UTC`.
fn date(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|s| DateTime::<Utc>::from_timestamp(s, 0))
        .map_or_else(
            || "?".to_owned(),
            |t| t.format("%Y-%m-%d %H:%M UTC").to_string(),
        )
}

/// When a certificate that does not hold has ended.
pub(super) fn end_of(e: &rustls::Error) -> Option<u64> {
    match e {
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            not_after, ..
        }) => Some(not_after.as_secs()),
        _ => None,
    }
}

/// What is wrong with our own certificate, as far as that can be known here. Another authority than the engine's may
/// have signed it: only the engine can tell.
pub(super) fn ours(file: &Path, e: &rustls::Error) -> Option<Error> {
    let at = file.display();
    let rustls::Error::InvalidCertificate(why) = e else {
        return None;
    };
    Some(match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let mut error = Error::failed(format!("Your certificate `{at}` has expired"));
            if let Some(end) = end_of(e) {
                error = error.because(format!("it was valid until {}", date(end)));
            }
            error.hint("Ask whoever runs the engine's authority for a new one")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            let mut error = Error::failed(format!("Your certificate `{at}` is not valid yet"));
            if let CertificateError::NotValidYetContext { not_before, .. } = why {
                error = error.because(format!("it begins on {}", date(not_before.as_secs())));
            }
            error.hint("Is the clock of this machine right?")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Error::failed(format!("Your certificate `{at}` is not one for clients"))
                .hint("It was made for servers: a client's has `extendedKeyUsage = clientAuth`")
        }
        _ => return None,
    })
}

/// Plain TCP to another machine.
pub(super) fn plain(place: &str) -> Error {
    Error::new(
        Code::Refused,
        format!("Berth does not talk to the engine at `{place}` without TLS"),
    )
    .because("whoever reaches that port, or can read along, owns the machine")
    .hint("Give `--ca`, `--cert` and `--key`, or reach the machine by `ssh://user@host`. Without TLS only an engine on this machine may be used: `tcp://127.0.0.1:PORT`")
}

/// The engine asked for no certificate.
pub(super) fn open_to_all(place: &str) -> Error {
    Error::new(
        Code::Refused,
        format!("The engine at `{place}` lets in anybody"),
    )
    .because("it takes connections without a certificate, so whoever reaches its port owns the machine")
    .hint("Start it with `--tlsverify --tlscacert=…`, or close the port and reach the machine by `ssh://user@host`")
}

pub(super) fn silent(place: &str, first: &FirstWords, limit: Duration) -> Error {
    match first.line() {
        Some(line) if first.is_ssh() => not_tls(place, &line),
        _ => Error::new(
            Code::TimedOut,
            format!(
                "`{place}` accepts connections but did not answer TLS within {} s",
                limit.as_secs()
            ),
        )
        .hint("Is this the port of its engine? The one with TLS is 2376 as a rule"),
    }
}

fn not_tls(place: &str, line: &str) -> Error {
    let error = Error::new(Code::Refused, format!("`{place}` answers without TLS"));
    if line.starts_with("HTTP/") {
        return error
            .because(format!("it said `{line}`: it speaks plain HTTP"))
            .hint("An engine that listens without TLS gives its machine to whoever reaches the port: start it with `--tlsverify`. The port with TLS is 2376 as a rule, 2375 is the one without");
    }
    if line.starts_with("SSH-") {
        return error
            .because(format!("it said `{line}`: it is an SSH server"))
            .hint("Add it as `ssh://user@host:port`");
    }
    error
        .because(format!("it said `{line}`"))
        .hint("Another service listens on this port; an engine with TLS is on 2376 as a rule")
}

/// A handshake that failed.
pub(super) fn handshake(place: &str, files: &TlsFiles, first: &FirstWords, e: &io::Error) -> Error {
    if let Some(e) = e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return tls(place, files, Some(first), e);
    }
    Error::new(
        Code::Unreachable,
        format!("`{place}` ended the connection during the handshake"),
    )
    .because(e.to_string())
    .hint("Is this the port of an engine with TLS? Look at the log of what listens there")
}

/// A failure of TLS, in the handshake or later.
pub(super) fn tls(
    place: &str,
    files: &TlsFiles,
    first: Option<&FirstWords>,
    e: &rustls::Error,
) -> Error {
    match e {
        rustls::Error::InvalidCertificate(why) => certificate(place, files, why),
        rustls::Error::AlertReceived(alert) => alerted(place, files, *alert),
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::MessageTooShort,
        ) => {
            let line = first.and_then(FirstWords::line).unwrap_or_default();
            not_tls(place, &line)
        }
        rustls::Error::PeerIncompatible(why) => too_old(place).because(format!("{why:?}")),
        other => Error::new(
            Code::Unreachable,
            format!("No TLS connection to `{place}` could be agreed on"),
        )
        .because(other.to_string()),
    }
}

fn too_old(place: &str) -> Error {
    Error::new(
        Code::Refused,
        format!("`{place}` speaks no TLS that Berth accepts"),
    )
    .hint("Berth speaks TLS 1.2 and 1.3: update Docker, or the proxy in front of it")
}

fn certificate(place: &str, files: &TlsFiles, why: &CertificateError) -> Error {
    let refused = |message: String| Error::new(Code::Refused, message);
    let ca = files.ca.display();
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => refused(format!(
            "The certificate of `{place}` is not from the authority in `{ca}`"
        ))
        .because(why.to_string())
        .hint("Take the `ca.pem` that the engine's certificate was made with. If you did, another machine may be answering there"),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let mut error = refused(format!("The certificate of `{place}` has expired"));
            if let CertificateError::ExpiredContext { not_after, .. } = why {
                error = error.because(format!("it was valid until {}", date(not_after.as_secs())));
            }
            error.hint("Whoever runs the engine has to renew it; if it is new, look at the clock of this machine")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            let mut error = refused(format!("The certificate of `{place}` is not valid yet"));
            if let CertificateError::NotValidYetContext { not_before, .. } = why {
                error = error.because(format!("it begins on {}", date(not_before.as_secs())));
            }
            error.hint("Is the clock of this machine right, and was the engine's when it was made?")
        }
        CertificateError::NotValidForName
        | CertificateError::NotValidForNameContext { .. } => {
            let mut error = refused(format!("The certificate of `{place}` is for another name"));
            if let CertificateError::NotValidForNameContext { presented, .. } = why {
                error = error.because(if presented.is_empty() {
                    "it names none in `subjectAltName`".to_owned()
                } else {
                    format!("it is for {}", presented.join(", "))
                });
            }
            error.hint("Add the host by a name that its certificate has, or make the certificate anew with this one in `subjectAltName`")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            refused(format!("The certificate of `{place}` is not one for servers"))
                .hint("A server's has `extendedKeyUsage = serverAuth`")
        }
        other => refused(format!("The certificate of `{place}` does not hold"))
            .because(other.to_string())
            .hint("The engine needs a certificate of its own that the authority signed; the authority's own does not do"),
    }
}

fn alerted(place: &str, files: &TlsFiles, alert: AlertDescription) -> Error {
    let cert = files.cert.display();
    let refused = |message: String| {
        Error::new(Code::SignInRefused, message)
            .because(format!("it said `{alert:?}`"))
            // Another certificate would help, a password would not.
            .detail("certificate", cert.to_string())
    };
    match alert {
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => refused(format!(
            "The engine at `{place}` does not accept your certificate `{cert}`"
        ))
        .hint("It must be signed by the authority that the engine was started with (`--tlscacert`), for clients"),
        AlertDescription::CertificateRequired => refused(format!(
            "The engine at `{place}` wants a certificate and did not take yours"
        )),
        AlertDescription::CertificateExpired => refused(format!(
            "The engine at `{place}` says that your certificate `{cert}` has expired"
        ))
        .hint("If it has not, look at the clock of the host"),
        AlertDescription::CertificateRevoked => refused(format!(
            "The engine at `{place}` says that your certificate `{cert}` was revoked"
        )),
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            too_old(place).because(format!("it said `{alert:?}`"))
        }
        AlertDescription::HandshakeFailure => {
            too_old(place).because("it said `HandshakeFailure`: no way to encrypt is known to both")
        }
        AlertDescription::UnrecognisedName => Error::new(
            Code::Refused,
            format!("Nothing at `{place}` goes by this name"),
        )
        .because("it said `UnrecognisedName`")
        .hint("Add the host by the name that its certificate has"),
        other => Error::new(
            Code::Unreachable,
            format!("`{place}` ended the TLS connection"),
        )
        .because(format!("it said `{other:?}`")),
    }
}
