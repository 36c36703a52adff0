//! The clients whose strings quote by `"` and `'`: .NET, and what follows it in Node and Rust.

use super::{Client, Key, Twice, Wire};

const ADO_OTHERS: &str = "applicationintent|application intent|asynchronous processing|attachdbfilename|command timeout|\
    connect timeout|connection timeout|timeout|connection lifetime|load balance timeout|\
    connectretrycount|connect retry count|connectretryinterval|connect retry interval|\
    context connection|current language|language|enlist|failover partner|max pool size|min pool size|\
    multipleactiveresultsets|multiple active result sets|multisubnetfailover|multi subnet failover|\
    network library|network|net|packet size|persist security info|persistsecurityinfo|pooling|\
    poolblockingperiod|pool blocking period|replication|transaction binding|type system version|\
    user instance|workstation id|wsid|column encryption setting|enclave attestation url|\
    attestation protocol|ipaddresspreference|ip address preference|failover partner spn|server spn|\
    authentication|hostnameincertificate|host name in certificate";

pub(super) const ADO_KEYS: &[(&str, Key)] = &[
    ("server", Key::Server),
    ("data source", Key::Server),
    ("addr", Key::Server),
    ("address", Key::Server),
    ("network address", Key::Server),
    ("database", Key::Database),
    ("initial catalog", Key::Database),
    ("user id", Key::User),
    ("uid", Key::User),
    ("user", Key::User),
    ("password", Key::Password),
    ("pwd", Key::Password),
    ("encrypt", Key::Encrypt),
    ("trustservercertificate", Key::Trust),
    ("trust server certificate", Key::Trust),
    ("servercertificate", Key::Pin),
    ("server certificate", Key::Pin),
    ("application name", Key::App),
    ("app", Key::App),
    ("integrated security", Key::Integrated),
    ("trusted_connection", Key::Integrated),
];

/// .NET: Microsoft.Data.SqlClient, and with it EF Core.
pub(in super::super) static ADO: Client = Client {
    format: "adonet",
    name: "ADO.NET (Microsoft.Data.SqlClient)",
    keys: ADO_KEYS,
    others: ADO_OTHERS,
    encrypt: &[
        ("mandatory", Wire::Encrypted),
        ("true", Wire::Encrypted),
        ("yes", Wire::Encrypted),
        ("strict", Wire::Strict),
        ("optional", Wire::LoginOnly),
        ("false", Wire::LoginOnly),
        ("no", Wire::LoginOnly),
    ],
    encrypt_else: None,
    encrypt_unsaid: Wire::Encrypted,
    encrypt_on: "Encrypt=Mandatory",
    trust_on: &["true", "yes"],
    trust_off: &["false", "no"],
    trust_lax: false,
    verifies: true,
    twice: Twice::Last,
    unknown_refused: true,
    port_after: Some(','),
    exact_keys: false,
};

/// .NET: System.Data.SqlClient.
pub(in super::super) static ADO_OLD: Client = Client {
    format: "system-data",
    name: "ADO.NET (System.Data.SqlClient)",
    encrypt: &[
        ("true", Wire::Encrypted),
        ("yes", Wire::Encrypted),
        ("false", Wire::LoginOnly),
        ("no", Wire::LoginOnly),
    ],
    encrypt_unsaid: Wire::LoginOnly,
    encrypt_on: "Encrypt=True",
    ..ADO_BASE
};

// A `static` cannot be the base of another.
pub(super) const ADO_BASE: Client = Client {
    format: "adonet",
    name: "",
    keys: ADO_KEYS,
    others: ADO_OTHERS,
    encrypt: &[],
    encrypt_else: None,
    encrypt_unsaid: Wire::Encrypted,
    encrypt_on: "Encrypt=True",
    trust_on: &["true", "yes"],
    trust_off: &["false", "no"],
    trust_lax: false,
    verifies: true,
    twice: Twice::Last,
    unknown_refused: true,
    port_after: Some(','),
    exact_keys: false,
};

/// Node: the string of `mssql`.
pub(in super::super) static MSSQL: Client = Client {
    format: "mssql",
    name: "mssql for Node",
    keys: &[
        ("server", Key::Server),
        ("data source", Key::Server),
        ("addr", Key::Server),
        ("address", Key::Server),
        ("network address", Key::Server),
        ("database", Key::Database),
        ("initial catalog", Key::Database),
        ("user id", Key::User),
        ("uid", Key::User),
        ("user", Key::User),
        ("password", Key::Password),
        ("pwd", Key::Password),
        ("encrypt", Key::Encrypt),
        ("trustservercertificate", Key::Trust),
        ("integrated security", Key::Integrated),
        ("trusted_connection", Key::Integrated),
    ],
    encrypt: &[
        ("false", Wire::Clear),
        ("no", Wire::Clear),
        ("0", Wire::Clear),
    ],
    encrypt_else: Some(Wire::Encrypted),
    encrypt_on: "Encrypt=true",
    unknown_refused: false,
    trust_lax: true,
    ..ADO_BASE
};

/// Rust: tiberius' ADO.NET-like string.
pub(in super::super) static TIBERIUS: Client = Client {
    format: "tiberius",
    name: "tiberius for Rust",
    keys: &[
        ("server", Key::Server),
        ("data source", Key::Server),
        ("addr", Key::Server),
        ("address", Key::Server),
        ("network address", Key::Server),
        ("database", Key::Database),
        ("initial catalog", Key::Database),
        ("databasename", Key::Database),
        ("user id", Key::User),
        ("uid", Key::User),
        ("username", Key::User),
        ("user", Key::User),
        ("password", Key::Password),
        ("pwd", Key::Password),
        ("encrypt", Key::Encrypt),
        ("trustservercertificate", Key::Trust),
        ("trustservercertificateca", Key::Authority),
        ("application name", Key::App),
        ("applicationname", Key::App),
        ("integratedsecurity", Key::Integrated),
        ("integrated security", Key::Integrated),
    ],
    encrypt: &[
        ("true", Wire::Encrypted),
        ("yes", Wire::Encrypted),
        ("strict", Wire::Strict),
        ("false", Wire::LoginOnly),
        ("no", Wire::LoginOnly),
        ("danger_plaintext", Wire::Clear),
    ],
    encrypt_on: "Encrypt=true",
    unknown_refused: false,
    ..ADO_BASE
};
