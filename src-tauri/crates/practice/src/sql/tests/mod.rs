//! The engine alone, without a wire: what goes in as text comes out as lines.

mod backup;
mod berth;
mod data;
mod flow;
mod schema;
mod types;

use std::sync::Arc;

use berth_core::Secret;

use super::{
    message::Message,
    output::{Change, Column, Done, Gone, Output},
    procedure::Request,
    server::{Options, SqlServer},
    session::{Client, Session},
    state::Control,
    types::Type,
    value::{Value, guid_text},
};

pub(super) const PASSWORD: &str = "Passw0rd-of-sa";

pub(super) fn options() -> Options {
    Options {
        server_name: "PRACTICE".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: Some(2048),
        disk: None,
    }
}

/// A server in a folder of its own.
pub(super) struct Bed {
    pub(super) dir: tempfile::TempDir,
    pub(super) server: Arc<SqlServer>,
}

impl Bed {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = SqlServer::open(dir.path(), options()).unwrap();
        server.set_sa_password(&Secret::from(PASSWORD)).unwrap();
        Self { dir, server }
    }

    /// The same folder, opened anew.
    pub(super) fn reopened(self) -> Self {
        let Self { dir, server } = self;
        drop(server);
        let server = SqlServer::open(dir.path(), options()).unwrap();
        Self { dir, server }
    }

    pub(super) fn sa(&self) -> Session {
        self.login("sa", PASSWORD, "").unwrap()
    }

    pub(super) fn login(&self, name: &str, password: &str, database: &str) -> Result<Session, i32> {
        let units: Vec<u16> = password.encode_utf16().collect();
        let login = self.server.sign_in(name, &units).map_err(|e| e.number)?;
        let client = Client {
            database: database.into(),
            program: "test".into(),
            host: "here".into(),
            ..Client::default()
        };
        Session::begin(
            Arc::clone(&self.server),
            login,
            client,
            Arc::new(Control::default()),
        )
        .map_err(|e| e.number)
    }
}

/// Writes down what a session sends.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) lines: Vec<String>,
    types: Vec<Type>,
}

pub(super) fn show(v: &Value, ty: Type) -> String {
    match v {
        Value::Null => "NULL".into(),
        Value::Guid(g) => guid_text(g),
        Value::Binary(b) => format!("0x{}", super::convert::hex(b)),
        v => {
            let ty = if ty == Type::Variant {
                v.own_type()
            } else {
                ty
            };
            let style = super::convert::Style {
                number: if matches!(v, Value::DateTime(_)) {
                    Some(121)
                } else {
                    None
                },
                day_first: false,
            };
            super::convert::to_text(v, ty, style).unwrap()
        }
    }
}

impl Output for Recorder {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Gone> {
        self.types = columns.iter().map(|c| c.ty).collect();
        let shown: Vec<String> = columns
            .iter()
            .map(|c| format!("{} {}", c.name, c.ty.full_name()))
            .collect();
        self.lines.push(format!("columns {}", shown.join(", ")));
        Ok(())
    }

    fn row(&mut self, values: &[Value]) -> Result<(), Gone> {
        let shown: Vec<String> = values
            .iter()
            .zip(&self.types)
            .map(|(v, t)| show(v, *t))
            .collect();
        self.lines.push(shown.join("|"));
        Ok(())
    }

    fn done(&mut self, done: Done) -> Result<(), Gone> {
        if let Some(n) = done.count {
            self.lines.push(format!("({n})"));
        }
        Ok(())
    }

    fn message(&mut self, m: &Message) -> Result<(), Gone> {
        let kind = if m.class > 10 { "error" } else { "info" };
        self.lines
            .push(format!("{kind} {} line {}: {}", m.number, m.line, m.text));
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), Gone> {
        self.lines.push(match change {
            Change::Database { new, .. } => format!("database {new}"),
            Change::Language { new, .. } => format!("language {new}"),
            Change::Began(_) => "began".into(),
            Change::Committed(_) => "committed".into(),
            Change::RolledBack(_) => "rolled back".into(),
        });
        Ok(())
    }

    fn status(&mut self, status: i32) -> Result<(), Gone> {
        self.lines.push(format!("status {status}"));
        Ok(())
    }

    fn returned(&mut self, name: &str, ordinal: u16, ty: Type, value: &Value) -> Result<(), Gone> {
        self.lines
            .push(format!("returned {ordinal} {name} = {}", show(value, ty)));
        Ok(())
    }
}

impl Session {
    /// Everything that a batch sends.
    pub(super) fn said(&self, sql: &str) -> Vec<String> {
        let mut out = Recorder::default();
        self.serve(Request::Batch(sql.into()), &mut out).unwrap();
        out.lines
    }

    /// The rows of a batch, without columns and counts. Panics on an error.
    pub(super) fn rows(&self, sql: &str) -> Vec<String> {
        let lines = self.said(sql);
        if let Some(e) = lines.iter().find(|l| l.starts_with("error ")) {
            panic!("{sql}\n{e}");
        }
        lines
            .into_iter()
            .filter(|l| {
                !(l.starts_with("columns ")
                    || l.starts_with('(')
                    || l.starts_with("info ")
                    || l.starts_with("database "))
            })
            .collect()
    }

    /// The only value of a batch.
    pub(super) fn one(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0].clone()
    }

    /// Runs what must go well.
    pub(super) fn ok(&self, sql: &str) {
        self.rows(sql);
    }

    /// The numbers of a batch's errors.
    pub(super) fn errors(&self, sql: &str) -> Vec<i32> {
        self.said(sql)
            .iter()
            .filter_map(|l| {
                l.strip_prefix("error ")
                    .and_then(|r| r.split(' ').next())
                    .map(|n| n.parse().unwrap())
            })
            .collect()
    }
}
