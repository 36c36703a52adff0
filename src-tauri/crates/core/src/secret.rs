//! A secret is a type that cannot be printed or serialised.

pub use secrecy::{ExposeSecret, SecretString};

/// A password, passphrase or a connection string that holds one.
///
/// `Debug` prints a placeholder, there is no `Display` and no `Serialize`, and
/// the memory is wiped on drop. [`ExposeSecret::expose_secret`] is the one way
/// in, so that a search for it lists every place where a secret leaves the type.
pub type Secret = SecretString;
