//! The authority of one engine: it signs the engine's certificate and ours, and its key is gone.
//!
//! Nobody can sign a third certificate for that engine, we neither. New ones are made with a new authority.

use std::time::Duration;

use berth_core::{Error, Result, Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// How long the certificates hold, in seconds: five years. New ones need a restart of the engine, and with it of
/// everything that runs there, so they are rare.
const VALID: u64 = 5 * 365 * 24 * 60 * 60;
/// How far the engine's clock may be behind ours, in seconds: a day.
const SKEW: u64 = 24 * 60 * 60;

/// What one engine and this machine need to know each other. PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate, for both sides.
    pub ca: String,
    /// The engine's certificate, for `127.0.0.1` and `localhost`.
    pub server: String,
    /// Its key (PKCS #8), for the engine alone.
    pub server_key: Secret,
    /// Our certificate.
    pub client: String,
    /// Its key (PKCS #8), for this machine alone.
    pub client_key: Secret,
    /// When all of them end, in seconds since 1970.
    pub ends: u64,
}

impl Certificates {
    /// Makes them for the engine of a host, from a day before `now` (seconds since 1970) for five years. ECDSA with P-256.
    ///
    /// # Errors
    /// This machine gives no random numbers.
    pub fn make(host: &str, now: u64) -> Result<Self> {
        let ends = now.saturating_add(VALID);
        signed(host, now.saturating_sub(SKEW), ends)
            .map_err(|e| Error::failed("No certificates can be made here").because(e.to_string()))
    }
}

fn signed(host: &str, from: u64, ends: u64) -> std::result::Result<Certificates, rcgen::Error> {
    let params = |name: String, names: &[&str]| {
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(from);
        params.not_after = epoch + Duration::from_secs(ends);
        params.distinguished_name.push(DnType::CommonName, name);
        Ok::<_, rcgen::Error>(params)
    };
    let mut authority = params(format!("Berth's authority for {host}"), &[])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let ca = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);
    let leaf = |name: String, names: &[&str], purpose| {
        let mut params = params(name, names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok::<_, rcgen::Error>((certificate.pem(), Secret::from(key.serialize_pem())))
    };
    let (server, server_key) = leaf(
        format!("the engine of {host}"),
        &["127.0.0.1", "localhost"],
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    let (client, client_key) = leaf("Berth".to_owned(), &[], ExtendedKeyUsagePurpose::ClientAuth)?;
    Ok(Certificates {
        ca,
        server,
        server_key,
        client,
        client_key,
        ends,
    })
}
