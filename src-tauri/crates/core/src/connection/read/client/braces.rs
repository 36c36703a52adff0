//! The clients of an ODBC string: Microsoft's driver and FreeTDS', and Python's libraries over the former.

use super::{Client, Key, Twice, Wire};

use super::others::OBJECT_BASE;

const ODBC_OTHERS: &str = "address|addr|ansinpw|applicationintent|attachdbfilename|authentication|autotranslate|\
    columnencryption|connectretrycount|connectretryinterval|description|dsn|failover_partner|\
    failoverpartnerspn|filedsn|getdataextensions|hostnameincertificate|ipaddresspreference|keepalive|\
    keepaliveinterval|keystoreauthentication|keystoreprincipalid|keystoresecret|language|longasmax|\
    mars_connection|multisubnetfailover|net|network|querylog_on|querylogfile|querylogtime|quotedid|\
    regional|replication|retryexec|savefile|serverspn|statslog_on|statslogfile|\
    transparentnetworkipresolution|usefmtonly|wsid|clientcertificate|clientkey|packetsize|\
    vectortypesupport";

/// What the extension for PHP takes besides (microsoft/msphpsql, `ODBCConnOptions` and `SSConnOptionNames`).
const PHP_OTHERS: &str = "accesstoken|applicationintent|attachdbfilename|authentication|characterset|columnencryption|\
    connectionpooling|connectretrycount|connectretryinterval|decimalplaces|driver|failover_partner|\
    formatdecimals|hostnameincertificate|ipaddresspreference|keystoreauthentication|keystoreprincipalid|\
    keystoresecret|language|logintimeout|multipleactiveresultsets|multisubnetfailover|quotedid|\
    returndatesasstrings|scrollable|tracefile|traceon|transactionisolation|\
    transparentnetworkipresolution|wsid";

const PHP_ENCRYPT: &[(&str, Wire)] = &[
    ("true", Wire::Encrypted),
    ("1", Wire::Encrypted),
    ("yes", Wire::Encrypted),
    ("mandatory", Wire::Encrypted),
    ("strict", Wire::Strict),
    ("false", Wire::LoginOnly),
    ("0", Wire::LoginOnly),
    ("no", Wire::LoginOnly),
    ("optional", Wire::LoginOnly),
];

pub(super) const ODBC_BASE: Client = Client {
    format: "odbc",
    name: "ODBC (Microsoft's driver 18)",
    keys: &[
        ("server", Key::Server),
        ("addr", Key::Server),
        ("address", Key::Server),
        ("database", Key::Database),
        ("uid", Key::User),
        ("pwd", Key::Password),
        ("encrypt", Key::Encrypt),
        ("trustservercertificate", Key::Trust),
        ("servercertificate", Key::Pin),
        ("app", Key::App),
        ("trusted_connection", Key::Integrated),
        ("driver", Key::Driver),
    ],
    others: ODBC_OTHERS,
    encrypt: &[
        ("yes", Wire::Encrypted),
        ("mandatory", Wire::Encrypted),
        ("strict", Wire::Strict),
        ("no", Wire::LoginOnly),
        ("optional", Wire::LoginOnly),
    ],
    encrypt_else: None,
    encrypt_unsaid: Wire::Encrypted,
    encrypt_on: "Encrypt=yes",
    trust_on: &["yes"],
    trust_off: &["no"],
    trust_lax: false,
    verifies: true,
    twice: Twice::First,
    unknown_refused: false,
    port_after: Some(','),
    exact_keys: true,
};

/// Microsoft's ODBC driver.
pub(in super::super) static ODBC: Client = ODBC_BASE;

/// Microsoft's driver for Python, whose string is ODBC's without `Driver`.
pub(in super::super) static MSSQL_PYTHON: Client = Client {
    format: "mssql-python",
    name: "mssql-python",
    twice: Twice::Refused,
    unknown_refused: true,
    exact_keys: false,
    ..ODBC_BASE
};

/// PHP's extension for `sqlsrv_connect`: ODBC's words, and its own for how it behaves.
pub(in super::super) static SQLSRV: Client = SQLSRV_BASE;

const SQLSRV_BASE: Client = Client {
    format: "sqlsrv",
    name: "PHP (sqlsrv)",
    others: PHP_OTHERS,
    encrypt: PHP_ENCRYPT,
    encrypt_unsaid: Wire::LoginOnly,
    encrypt_on: "'Encrypt' => true",
    trust_on: &["true", "1", "yes"],
    trust_off: &["false", "0", "no"],
    unknown_refused: true,
    exact_keys: false,
    ..ODBC_BASE
};

/// PHP's data objects over the same extension.
pub(in super::super) static PDO: Client = Client {
    format: "pdo",
    name: "PHP (PDO)",
    encrypt_on: "Encrypt=yes",
    ..SQLSRV_BASE
};

/// pyodbc, which takes the driver's own string.
pub(in super::super) static PYODBC: Client = Client {
    format: "pyodbc",
    name: "pyodbc (Microsoft's ODBC driver 18)",
    ..ODBC_BASE
};

/// FreeTDS' ODBC driver.
pub(in super::super) static FREETDS_ODBC: Client = Client {
    format: "freetds-odbc",
    name: "ODBC (FreeTDS)",
    keys: &[
        ("server", Key::Server),
        ("port", Key::Port),
        ("database", Key::Database),
        ("uid", Key::User),
        ("pwd", Key::Password),
        ("encryption", Key::Encrypt),
        ("app", Key::App),
        ("driver", Key::Driver),
        ("trusted_connection", Key::Integrated),
    ],
    others: "tds_version|clientcharset|textsize|packetsize|dumpfile|dumpfileappend|debugflags|language|\
    servername|realm|serverspn|wsid|hostname|mars_connection|connectiontimeout|timeout|attachdbfilename|\
    applicationintent|description|dsn|hostnameincertificate|usentlmv2|servercertificate",
    encrypt: &[
        ("require", Wire::Encrypted),
        ("required", Wire::Encrypted),
        ("strict", Wire::Strict),
        ("request", Wire::LoginOnly),
        ("off", Wire::Clear),
    ],
    encrypt_unsaid: Wire::LoginOnly,
    encrypt_on: "Encryption=require",
    trust_on: &[],
    trust_off: &[],
    verifies: false,
    port_after: None,
    ..ODBC_BASE
};

/// Python: SQLAlchemy's URL over pyodbc.
pub(in super::super) static SQLALCHEMY: Client = Client {
    format: "sqlalchemy",
    name: "SQLAlchemy (pyodbc)",
    others: "driver|odbc_connect|autocommit|ansi|unicode_results|timeout|applicationintent|multisubnetfailover|\
    authentication|longasmax|mars_connection|hostnameincertificate|connectretrycount|\
    connectretryinterval",
    twice: Twice::First,
    port_after: Some(':'),
    exact_keys: false,
    ..ODBC_BASE
};

/// Django's `DATABASES`.
pub(in super::super) static DJANGO: Client = Client {
    format: "django",
    name: "Django (mssql-django)",
    encrypt: ODBC_BASE.encrypt,
    encrypt_else: None,
    encrypt_on: ODBC_BASE.encrypt_on,
    trust_on: ODBC_BASE.trust_on,
    trust_off: ODBC_BASE.trust_off,
    keys: &[
        ("host", Key::Server),
        ("port", Key::Port),
        ("name", Key::Database),
        ("user", Key::User),
        ("password", Key::Password),
        ("encrypt", Key::Encrypt),
        ("trustservercertificate", Key::Trust),
        ("app", Key::App),
        ("driver", Key::Driver),
    ],
    ..OBJECT_BASE
};
