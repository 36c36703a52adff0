//! Hosts, settings and history in versioned files; credentials in the keychain
