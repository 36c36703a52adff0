//! What each client calls things, and what it does where a string says nothing.
//!
//! The defaults and spellings are those of the drivers' own sources and of strings that they opened or
//! refused: Microsoft.Data.SqlClient 7.1, msodbcsql 18.6, mssql-jdbc 13.2, jTDS 1.3, go-mssqldb 1.10,
//! node `mssql` 12 with tedious 19, Prisma 7, tiberius 0.13, FreeTDS 1.3.

mod braces;
mod java;
mod others;
mod quotes;

pub(super) use braces::{
    DJANGO, FREETDS_ODBC, MSSQL_PYTHON, ODBC, PDO, PYODBC, SQLALCHEMY, SQLSRV,
};
pub(super) use java::{JDBC, JTDS, PRISMA, PRISMA6};
pub(super) use others::{
    DBT, GO, NODE_URL, OBJECT, PYMSSQL, RAILS, SQLALCHEMY_PYMSSQL, SQLCMD, SQLCMD_CONTEXT, TSQL,
};
pub(super) use quotes::{ADO, ADO_OLD, MSSQL, TIBERIUS};

/// What a keyword says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Server,
    Port,
    Instance,
    Database,
    User,
    Password,
    Encrypt,
    Trust,
    /// The one certificate that the server must show.
    Pin,
    /// A certificate authority's file.
    Authority,
    App,
    /// Windows sign-in instead of a login.
    Integrated,
    Driver,
    /// Something else that the client knows.
    Other,
}

/// What a client does with the same keyword twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twice {
    First,
    Last,
    Refused,
}

/// What an encryption word comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Everything is encrypted.
    Encrypted,
    /// TDS 8: TLS before anything else, and the server always verified.
    Strict,
    /// Only the packet with the login, unless the server wants more.
    LoginOnly,
    /// Nothing: the password can be read on the way.
    Clear,
}

/// A client's dialect.
#[derive(Debug)]
pub(super) struct Client {
    /// The format that says the same, of [`crate::connection::formats`].
    pub(super) format: &'static str,
    /// As people call it.
    pub(super) name: &'static str,
    pub(super) keys: &'static [(&'static str, Key)],
    /// Known and of no concern here: words in lower case between `|`.
    pub(super) others: &'static str,
    /// Words for encryption, in lower case.
    pub(super) encrypt: &'static [(&'static str, Wire)],
    /// Another word: what it comes to, or none where the client refuses it.
    pub(super) encrypt_else: Option<Wire>,
    /// What happens where nothing is said.
    pub(super) encrypt_unsaid: Wire,
    /// The spelling to take for encryption.
    pub(super) encrypt_on: &'static str,
    pub(super) trust_on: &'static [&'static str],
    pub(super) trust_off: &'static [&'static str],
    /// Whether another trust word counts as off, instead of being refused.
    pub(super) trust_lax: bool,
    /// Whether the server is verified where nothing is said.
    pub(super) verifies: bool,
    pub(super) twice: Twice,
    /// Whether a keyword that it does not know is refused; otherwise it is passed over in silence.
    pub(super) unknown_refused: bool,
    /// What parts host and port in the server's value; none where the port has a keyword of its own.
    pub(super) port_after: Option<char>,
    /// Whether case and blanks of a keyword matter.
    pub(super) exact_keys: bool,
}

impl Client {
    /// Every dialect, for a caller that names a format.
    pub(super) const ALL: [&'static Self; 26] = [
        &ADO,
        &ADO_OLD,
        &MSSQL,
        &TIBERIUS,
        &ODBC,
        &MSSQL_PYTHON,
        &FREETDS_ODBC,
        &JDBC,
        &JTDS,
        &PRISMA,
        &PRISMA6,
        &PYODBC,
        &GO,
        &SQLALCHEMY,
        &SQLALCHEMY_PYMSSQL,
        &PYMSSQL,
        &NODE_URL,
        &OBJECT,
        &RAILS,
        &DBT,
        &DJANGO,
        &SQLCMD,
        &TSQL,
        &SQLSRV,
        &PDO,
        &SQLCMD_CONTEXT,
    ];

    /// What a keyword means here; none for one that it does not know.
    pub(super) fn key(&self, typed: &str) -> Option<Key> {
        let typed = self.fold(typed);
        self.keys
            .iter()
            .find(|(name, _)| *name == typed)
            .map(|(_, key)| *key)
            .or_else(|| {
                self.others
                    .split('|')
                    .any(|name| name == typed)
                    .then_some(Key::Other)
            })
    }

    /// Every keyword that it knows.
    pub(super) fn words(&self) -> impl Iterator<Item = &'static str> {
        self.keys
            .iter()
            .map(|(name, _)| *name)
            .chain(self.others.split('|').filter(|name| !name.is_empty()))
    }

    fn fold(&self, typed: &str) -> String {
        let lower = typed.to_ascii_lowercase();
        if self.exact_keys {
            lower
        } else {
            lower.trim().to_owned()
        }
    }
}
