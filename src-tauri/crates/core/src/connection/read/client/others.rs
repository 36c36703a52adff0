//! URLs, configuration objects, files and command lines.

use super::{Client, Key, Twice, Wire};

/// Go: go-mssqldb's URL.
pub(in super::super) static GO: Client = Client {
    format: "go",
    name: "go-mssqldb",
    keys: &[
        ("database", Key::Database),
        ("encrypt", Key::Encrypt),
        ("trustservercertificate", Key::Trust),
        ("servercertificate", Key::Pin),
        ("certificate", Key::Authority),
        ("app name", Key::App),
        ("server", Key::Server),
        ("port", Key::Port),
        ("user id", Key::User),
        ("password", Key::Password),
    ],
    others: "dial timeout|connection timeout|keepalive|packet size|log|failoverpartner|failoverport|\
    applicationintent|workstation id|protocol|fedauth|hostnameincertificate|tlsmin|multisubnetfailover|\
    guid conversion|change password|notraceid|disableretry|columnencryption|serverspn|epa enabled|pipe|\
    authenticator|krb5-configfile|timezone",
    encrypt: &[
        ("true", Wire::Encrypted),
        ("mandatory", Wire::Encrypted),
        ("yes", Wire::Encrypted),
        ("1", Wire::Encrypted),
        ("t", Wire::Encrypted),
        ("strict", Wire::Strict),
        ("false", Wire::LoginOnly),
        ("optional", Wire::LoginOnly),
        ("no", Wire::LoginOnly),
        ("0", Wire::LoginOnly),
        ("f", Wire::LoginOnly),
        ("disable", Wire::Clear),
    ],
    encrypt_else: None,
    encrypt_unsaid: Wire::LoginOnly,
    encrypt_on: "encrypt=true",
    trust_on: &["true", "1", "t"],
    trust_off: &["false", "0", "f"],
    trust_lax: false,
    // Only where `encrypt` is said; the reader knows.
    verifies: true,
    twice: Twice::Refused,
    unknown_refused: false,
    port_after: Some(':'),
    exact_keys: false,
};

/// Python: SQLAlchemy's URL over pymssql.
pub(in super::super) static SQLALCHEMY_PYMSSQL: Client = Client {
    format: "sqlalchemy-pymssql",
    name: "SQLAlchemy (pymssql)",
    port_after: Some(':'),
    ..PYMSSQL_BASE
};

pub(super) const PYMSSQL_BASE: Client = Client {
    format: "pymssql",
    name: "pymssql",
    keys: &[
        ("server", Key::Server),
        ("host", Key::Server),
        ("port", Key::Port),
        ("user", Key::User),
        ("password", Key::Password),
        ("database", Key::Database),
        ("appname", Key::App),
        ("encryption", Key::Encrypt),
    ],
    others: "timeout|login_timeout|charset|as_dict|autocommit|tds_version|use_datetime2|arraysize|read_only|\
    conn_properties",
    encrypt: &[
        ("require", Wire::Encrypted),
        ("required", Wire::Encrypted),
        ("strict", Wire::Strict),
        ("request", Wire::LoginOnly),
        ("off", Wire::Clear),
    ],
    encrypt_else: None,
    encrypt_unsaid: Wire::LoginOnly,
    encrypt_on: "encryption=require",
    trust_on: &[],
    trust_off: &[],
    trust_lax: false,
    verifies: false,
    twice: Twice::Last,
    unknown_refused: true,
    port_after: None,
    exact_keys: false,
};

/// Python: pymssql's arguments.
pub(in super::super) static PYMSSQL: Client = PYMSSQL_BASE;

/// Node: the URL that Sequelize and TypeORM take, over tedious.
pub(in super::super) static NODE_URL: Client = Client {
    format: "sequelize",
    name: "a URL for Node (Sequelize, TypeORM)",
    port_after: Some(':'),
    ..OBJECT_BASE
};

/// A configuration object: tedious, `mssql`, Knex, TypeORM, Sequelize, Prisma's adapter, and Berth's own parts.
pub(in super::super) static OBJECT: Client = OBJECT_BASE;

pub(super) const OBJECT_BASE: Client = Client {
    format: "tedious",
    name: "a configuration object for Node",
    keys: &[
        ("server", Key::Server),
        ("host", Key::Server),
        ("hostname", Key::Server),
        ("port", Key::Port),
        ("instancename", Key::Instance),
        ("database", Key::Database),
        ("user", Key::User),
        ("username", Key::User),
        ("password", Key::Password),
        ("encrypt", Key::Encrypt),
        ("trustservercertificate", Key::Trust),
        ("ca", Key::Authority),
        ("appname", Key::App),
    ],
    others: "",
    encrypt: &[
        ("true", Wire::Encrypted),
        ("strict", Wire::Strict),
        ("false", Wire::Clear),
    ],
    encrypt_else: Some(Wire::Encrypted),
    encrypt_unsaid: Wire::Encrypted,
    encrypt_on: "\"encrypt\":true",
    trust_on: &["true"],
    trust_off: &["false"],
    trust_lax: true,
    verifies: true,
    twice: Twice::Last,
    unknown_refused: false,
    port_after: None,
    exact_keys: false,
};

/// Ruby: `config/database.yml` for the SQL Server adapter over tiny_tds.
pub(in super::super) static RAILS: Client = Client {
    format: "rails",
    name: "Rails (database.yml)",
    encrypt_unsaid: Wire::LoginOnly,
    verifies: false,
    ..OBJECT_BASE
};

/// dbt's `profiles.yml`.
pub(in super::super) static DBT: Client = Client {
    format: "dbt",
    name: "dbt (profiles.yml)",
    keys: &[
        ("host", Key::Server),
        ("server", Key::Server),
        ("port", Key::Port),
        ("database", Key::Database),
        ("user", Key::User),
        ("username", Key::User),
        ("uid", Key::User),
        ("password", Key::Password),
        ("pass", Key::Password),
        ("pwd", Key::Password),
        ("encrypt", Key::Encrypt),
        ("trust_cert", Key::Trust),
        ("driver", Key::Driver),
    ],
    encrypt_else: None,
    ..OBJECT_BASE
};

/// The command line of `sqlcmd`.
pub(in super::super) static SQLCMD: Client = Client {
    format: "sqlcmd",
    name: "sqlcmd",
    encrypt_unsaid: Wire::LoginOnly,
    encrypt_on: "-N",
    encrypt: &[
        ("", Wire::Encrypted),
        ("m", Wire::Encrypted),
        ("mandatory", Wire::Encrypted),
        ("true", Wire::Encrypted),
        ("yes", Wire::Encrypted),
        ("1", Wire::Encrypted),
        ("t", Wire::Encrypted),
        ("s", Wire::Strict),
        ("strict", Wire::Strict),
        ("o", Wire::LoginOnly),
        ("optional", Wire::LoginOnly),
        ("false", Wire::LoginOnly),
        ("no", Wire::LoginOnly),
        ("0", Wire::LoginOnly),
        ("f", Wire::LoginOnly),
        ("disable", Wire::Clear),
    ],
    encrypt_else: None,
    trust_on: &["true"],
    trust_off: &["false"],
    port_after: Some(','),
    ..OBJECT_BASE
};

/// A context of go-sqlcmd, which says nothing of encryption.
pub(in super::super) static SQLCMD_CONTEXT: Client = Client {
    format: "sqlcmd-context",
    name: "sqlcmd (context)",
    encrypt_unsaid: Wire::LoginOnly,
    encrypt_on: "sqlcmd -N",
    verifies: false,
    ..OBJECT_BASE
};

/// The command line of FreeTDS' `tsql`.
pub(in super::super) static TSQL: Client = Client {
    format: "freetds",
    name: "FreeTDS tsql",
    encrypt_unsaid: Wire::LoginOnly,
    verifies: false,
    port_after: None,
    ..OBJECT_BASE
};
