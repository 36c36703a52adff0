//! What a session sends back while it runs, whatever protocol carries it.

use super::{message::Message, types::Type, value::Value};

/// A column of a result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) nullable: bool,
    pub(crate) identity: bool,
    /// Whether it is an expression rather than a column of a table.
    pub(crate) computed: bool,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, ty: Type) -> Self {
        Self {
            name: name.into(),
            ty,
            nullable: true,
            identity: false,
            computed: true,
        }
    }
}

/// The end of one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// Rows returned or changed, where the statement counts them.
    pub(crate) count: Option<u64>,
    pub(crate) error: bool,
    /// Inside a procedure or a call, rather than in the batch itself.
    pub(crate) inside: bool,
    /// The kind of statement, as MS-TDS numbers it: 0xC1 SELECT, 0xC3 INSERT, …
    pub(crate) command: u16,
}

/// A change of the session that the client has to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Database { old: String, new: String },
    Language { old: String, new: String },
    Began(u64),
    Committed(u64),
    RolledBack(u64),
}

/// The client is gone; nothing more needs to be computed.
#[derive(Debug)]
pub(crate) struct Gone;

pub(crate) trait Output {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Gone>;
    fn row(&mut self, values: &[Value]) -> Result<(), Gone>;
    fn done(&mut self, done: Done) -> Result<(), Gone>;
    fn message(&mut self, message: &Message) -> Result<(), Gone>;
    fn change(&mut self, change: &Change) -> Result<(), Gone>;
    /// The return value of a procedure that was called from outside.
    fn status(&mut self, status: i32) -> Result<(), Gone>;
    /// A parameter that was called with OUTPUT. `ordinal` counts the parameters from 0.
    fn returned(&mut self, name: &str, ordinal: u16, ty: Type, value: &Value) -> Result<(), Gone>;
}

/// Command numbers of DONE tokens.
pub(crate) mod command {
    pub(crate) const SELECT: u16 = 0xc1;
    pub(crate) const INSERT: u16 = 0xc3;
    pub(crate) const DELETE: u16 = 0xc4;
    pub(crate) const UPDATE: u16 = 0xc5;
    pub(crate) const MERGE: u16 = 0x117;
    pub(crate) const EXEC: u16 = 0xe0;
    pub(crate) const OTHER: u16 = 0xfd;
}
