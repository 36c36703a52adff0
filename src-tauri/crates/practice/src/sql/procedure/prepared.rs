//! Texts prepared for many calls, and their description.

use std::rc::Rc;

use super::{Given, Outcome};
use crate::sql::{
    ast::{Parameter, Statement},
    message::{self, Ends, Message, SqlResult},
    output::{Column, Output, command},
    parse,
    query::bind::Scope,
    session::{Frame, Session, variable_key},
    statement::Exec,
    types::Type,
    value::Value,
};

/// A text that was prepared for many calls.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(super) parameters: Rc<Vec<Parameter>>,
    pub(super) statements: Rc<Vec<Statement>>,
}

impl Session {
    pub(super) fn prepare(&self, parameters: &str, text: &str) -> SqlResult<Prepared> {
        let quoted = self.settings.borrow().quoted_identifier;
        let statements = parse::batch(text, quoted)?;
        crate::sql::statement::declared_once(&statements)?;
        Ok(Prepared {
            parameters: Rc::new(parse::parameters(parameters)?),
            statements: Rc::new(statements),
        })
    }

    pub(super) fn keep(&self, p: Prepared) -> SqlResult<i32> {
        if self.prepared.borrow().len() >= 10_000 {
            return Err(message::out_of_memory());
        }
        let handle = self.next_handle.get();
        self.next_handle.set(handle.wrapping_add(1).max(1));
        self.prepared.borrow_mut().insert(handle, p);
        Ok(handle)
    }

    pub(super) fn handle(&self, given: &[Given], procedure: &str) -> SqlResult<(i32, Prepared)> {
        let n = match given.first().and_then(|g| g.value.as_ref()) {
            Some(Value::Int(n)) => i32::try_from(*n).unwrap_or(0),
            _ => 0,
        };
        let found = self.prepared.borrow().get(&n).cloned();
        match found {
            Some(p) => Ok((n, p)),
            None => Err(Message::new(
                8179,
                16,
                2,
                format!("Could not find prepared statement with handle {n}."),
            )
            .ending(Ends::Batch))
            .inspect_err(|_| tracing::debug!(procedure, "an unknown handle")),
        }
    }

    /// The columns of the first result that a prepared text gives, where that can be told without running it.
    pub(super) fn describe(&self, p: &Prepared) -> SqlResult<Option<Vec<Column>>> {
        let Some(Statement {
            kind: crate::sql::ast::StatementKind::Select(q),
            ..
        }) = p.statements.first()
        else {
            return Ok(None);
        };
        if crate::sql::definition::into_of(q).is_some() {
            return Ok(None);
        }
        let mut frame = Frame::default();
        for v in p.parameters.iter() {
            frame.variables.insert(
                variable_key(&v.name),
                crate::sql::session::Variable {
                    ty: v.ty,
                    value: Value::Null,
                },
            );
        }
        self.frames.borrow_mut().push(frame);
        let plan = self.binder().query(q, &Scope::EMPTY);
        self.frames.borrow_mut().pop();
        let plan = plan?;
        Ok((!plan.assigns()).then_some(plan.columns))
    }

    pub(super) fn describe_result(&self, p: &Prepared, out: &mut dyn Output) -> Exec<Outcome> {
        let shown = self.describe(p)?.unwrap_or_default();
        let columns = [
            ("is_hidden", Type::Bit),
            ("column_ordinal", Type::Int),
            ("name", Type::SYSNAME),
            ("is_nullable", Type::Bit),
            ("system_type_id", Type::Int),
            ("system_type_name", Type::NVarChar(256)),
            ("max_length", Type::SmallInt),
            ("precision", Type::TinyInt),
            ("scale", Type::TinyInt),
            ("collation_name", Type::SYSNAME),
            ("is_identity_column", Type::Bit),
            ("is_updateable", Type::Bit),
            ("is_computed_column", Type::Bit),
        ];
        let columns: Vec<Column> = columns.iter().map(|(n, t)| Column::new(*n, *t)).collect();
        out.columns(&columns)?;
        for (n, c) in (1_i64..).zip(&shown) {
            let (precision, scale) = c.ty.precision_scale();
            out.row(&[
                Value::Bit(false),
                Value::Int(n),
                if c.name.is_empty() {
                    Value::Null
                } else {
                    Value::text(&c.name)
                },
                Value::Bit(c.nullable),
                Value::Int(i64::from(c.ty.system_id())),
                Value::text(c.ty.full_name()),
                Value::Int(i64::from(c.ty.max_length())),
                Value::Int(i64::from(precision)),
                Value::Int(i64::from(scale)),
                if c.ty.is_text() {
                    Value::text(&self.current().collation)
                } else {
                    Value::Null
                },
                Value::Bit(c.identity),
                Value::Bit(!c.computed),
                Value::Bit(false),
            ])?;
        }
        self.counted(
            out,
            command::SELECT,
            u64::try_from(shown.len()).unwrap_or(0),
        )?;
        Ok(Outcome::default())
    }
}
