//! The practice host's SQL engine: T-SQL over SQLite files.
//!
//! It speaks the part of T-SQL that clients, migrations and small applications use, with SQL Server's types,
//! errors and rules, and answers the rest with "is not implemented by the practice host". It knows nothing of
//! the wire: a session takes a [`procedure::Request`] and writes to an [`output::Output`].
//!
//! SQLite is the storage only: rows, indexes, transactions. Names, types, expressions and joins are worked out
//! here, because T-SQL's rules (typed results, decimals of 38 digits, collations, error numbers, NULL in keys)
//! do not survive a translation into another SQL.

mod ast;
mod backup;
mod change;
pub mod clock;
pub(crate) mod collation;
pub(crate) mod convert;
mod database;
pub(crate) mod decimal;
mod definition;
pub mod disk;
mod files;
mod lexer;
mod log;
mod login;
pub(crate) mod message;
mod options;
pub(crate) mod output;
mod parse;
mod principal;
pub(crate) mod procedure;
mod query;
mod raise;
mod server;
pub(crate) mod session;
mod state;
mod statement;
mod store;
mod system;
pub(crate) mod time;
mod transaction;
pub(crate) mod types;
pub(crate) mod value;

pub use server::{Options, SqlServer, Stage};
pub(crate) use state::Control;

#[cfg(test)]
mod tests;
