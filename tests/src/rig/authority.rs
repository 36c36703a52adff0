//! An authority that signs certificates, for engines behind TLS.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;

/// An authority, with its files in a folder of its own.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key, which only its owner may read.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// When there is no room for its files.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is a fine name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params
            .self_signed(&key)
            .expect("an authority can sign itself");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("there is room");
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server's certificate for these names, valid until the first of January of a year.
    #[must_use]
    pub fn server(&self, file: &str, names: &[&str], until: i32) -> Pair {
        self.sign(file, names, ExtendedKeyUsagePurpose::ServerAuth, until)
    }

    /// A client's certificate.
    #[must_use]
    pub fn client(&self, file: &str) -> Pair {
        self.sign(file, &["client"], ExtendedKeyUsagePurpose::ClientAuth, 4000)
    }

    fn sign(
        &self,
        file: &str,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        until: i32,
    ) -> Pair {
        let key = KeyPair::generate().expect("a key can be made");
        let names = names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("these are names");
        params.extended_key_usages = vec![purpose];
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("an authority can sign");
        let pair = Pair {
            cert: self.folder.path().join(format!("{file}.pem")),
            key: self.folder.path().join(format!("{file}-key.pem")),
        };
        fs::write(&pair.cert, certificate.pem()).expect("there is room");
        private(&pair.key, &key.serialize_pem());
        pair
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("there is room");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
}
