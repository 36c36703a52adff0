//! Running statements: control of flow, errors and what they end.

use super::{
    ast::{Declared, Query, Statement, StatementKind as S},
    convert::{self, Style},
    message::{self, Ends, Message, SqlError, SqlResult},
    output::{Change, Done, Gone, Output, command},
    parse,
    query::{
        Bound, Env, QueryPlan,
        bind::{Binder, Scope},
    },
    session::{Session, variable_key},
    types::Type,
    value::Value,
};

/// Why running stopped.
#[derive(Debug)]
pub(crate) enum Halt {
    /// An error that nobody has reported yet.
    Error(SqlError),
    /// An error that was reported. `whole`: it ends the callers too.
    Aborted { whole: bool },
    /// The client is gone.
    Gone,
}

impl From<SqlError> for Halt {
    fn from(e: SqlError) -> Self {
        Self::Error(e)
    }
}

impl From<Gone> for Halt {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

pub(crate) type Exec<T> = Result<T, Halt>;

/// What comes after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
    Return(Option<i32>),
}

/// Rounds of a WHILE that has no other end. SQL Server has no such bound; a practice host must not spin for ever.
const ROUNDS: u64 = 100_000_000;

/// Errors of compiling: they end the text they are in, not its caller.
fn is_compile_error(number: i32) -> bool {
    matches!(number, 102..=199 | 201 | 205..=214 | 217 | 257 | 263 | 1001..=1099 | 2715 | 2809 | 4104..=4199 | 8114..=8120 | 8144..=8179 | 10709..=10799 | 50000)
}

impl Session {
    /// Runs a batch that a client sent.
    pub(crate) fn batch(&self, text: &str, out: &mut dyn Output) -> Exec<()> {
        let quoted = self.settings.borrow().quoted_identifier;
        let statements = match parse::batch(text, quoted) {
            Ok(s) => s,
            Err(e) => {
                self.report(e, out)?;
                return Ok(());
            }
        };
        if let Err(e) = declared_once(&statements) {
            self.report(e, out)?;
            return Ok(());
        }
        if self.settings.borrow().parseonly {
            return Ok(());
        }
        match self.run(&statements, out) {
            Ok(_) => Ok(()),
            Err(Halt::Aborted { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn run(&self, statements: &[Statement], out: &mut dyn Output) -> Exec<Flow> {
        for s in statements {
            match self.run_one(s, out)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn run_one(&self, s: &Statement, out: &mut dyn Output) -> Exec<Flow> {
        self.check_now()?;
        let result = self.execute(s, out);
        self.release_memory();
        match result {
            Ok(flow) => Ok(flow),
            Err(Halt::Error(e)) => self.failed(e.at(s.line), out),
            Err(other) => Err(other),
        }
    }

    /// An error of one statement: to the CATCH around it, or to the client.
    fn failed(&self, mut e: SqlError, out: &mut dyn Output) -> Exec<Flow> {
        if e.number == message::cancelled().number {
            return Err(Halt::Error(e));
        }
        if e.procedure.is_empty() {
            e.procedure = self.procedure_name();
        }
        self.last_error.set(e.number);
        let abort = self.settings.borrow().xact_abort
            && !matches!(e.number, 3902 | 3903)
            && e.number != 50000;
        // Conversion errors end the batch and take the transaction with them; errors of compiling do not.
        let grave = abort
            || (e.ends == Ends::Batch
                && !is_compile_error(e.number)
                && !matches!(e.number, 3930 | 3998))
            || e.number == 245
            || e.number == 241;
        let open = self.transaction.borrow().count > 0;
        if self.tries.get() > 0 && e.class < 20 {
            if grave && open {
                self.transaction.borrow_mut().doomed = true;
            }
            return Err(Halt::Error(e));
        }
        let ends = if abort && e.ends == Ends::Statement {
            Ends::Batch
        } else {
            e.ends
        };
        let whole = abort || !is_compile_error(e.number) || e.number == 245;
        self.report(e, out)?;
        if grave && open {
            self.roll_back_telling(out)?;
        }
        match ends {
            Ends::Statement => Ok(Flow::Next),
            Ends::Batch => Err(Halt::Aborted { whole }),
            Ends::Connection => {
                self.control.end();
                Err(Halt::Aborted { whole: true })
            }
        }
    }

    /// Sends an error and the end of its statement.
    pub(crate) fn report(&self, mut e: SqlError, out: &mut dyn Output) -> Exec<()> {
        if e.line == 0 {
            e.line = 1;
        }
        self.last_error.set(e.number);
        self.row_count.set(0);
        out.message(&e)?;
        if matches!(e.number, 515 | 547 | 2601 | 2627 | 2628 | 8152) {
            out.message(&Message {
                line: e.line,
                state: 0,
                ..*Message::new(3621, 0, 0, "The statement has been terminated.")
            })?;
        }
        out.done(Done {
            count: None,
            error: true,
            inside: self.depth() > 1,
            command: command::OTHER,
        })?;
        Ok(())
    }

    /// Ends a statement that counts rows.
    pub(crate) fn counted(&self, out: &mut dyn Output, command: u16, rows: u64) -> Exec<()> {
        self.row_count.set(rows);
        self.last_error.set(0);
        let count = (!self.settings.borrow().nocount).then_some(rows);
        out.done(Done {
            count,
            error: false,
            inside: self.depth() > 1,
            command,
        })?;
        Ok(())
    }

    /// Ends a statement that counts nothing.
    pub(crate) fn finished(&self, out: &mut dyn Output, command: u16) -> Exec<()> {
        self.last_error.set(0);
        self.row_count.set(0);
        out.done(Done {
            count: None,
            error: false,
            inside: self.depth() > 1,
            command,
        })?;
        Ok(())
    }

    pub(crate) fn binder(&self) -> Binder<'_> {
        Binder::new(self)
    }

    /// The value of an expression that sees no rows.
    pub(crate) fn scalar(&self, e: &super::ast::Expr) -> SqlResult<(Value, Type)> {
        let mut b = self.binder();
        let bound = b.value(e, &Scope::EMPTY)?;
        Ok((self.eval(&bound, &Env::of(&[], None))?, bound.ty()))
    }

    /// The same, brought to a type.
    pub(crate) fn scalar_as(&self, e: &super::ast::Expr, ty: Type) -> SqlResult<Value> {
        let mut b = self.binder();
        let bound = b.value(e, &Scope::EMPTY)?;
        let bound = b.coerce(bound, ty)?;
        self.eval(&bound, &Env::of(&[], None))
    }

    fn is_true(&self, e: &super::ast::Expr) -> SqlResult<bool> {
        let mut b = self.binder();
        let c = b.condition(e, &Scope::EMPTY)?;
        Ok(self.test(&c, &Env::of(&[], None))? == Some(true))
    }

    /// The text of an expression, as PRINT and RAISERROR want it.
    pub(super) fn text_of(&self, e: &super::ast::Expr) -> SqlResult<String> {
        let (v, ty) = self.scalar(e)?;
        convert::to_text(&v, ty, self.style())
    }

    fn execute(&self, s: &Statement, out: &mut dyn Output) -> Exec<Flow> {
        if self.settings.borrow().noexec && !matches!(s.kind, S::SetOption(..)) {
            return Ok(Flow::Next);
        }
        match &s.kind {
            S::Select(q) => self.select(q, out)?,
            S::Insert(i) => self.insert(i, out)?,
            S::Update(u) => self.update(u, out)?,
            S::Delete(d) => self.delete(d, out)?,
            S::Merge(m) => self.merge(m, out)?,
            S::Truncate(name) => self.truncate(name, out)?,
            S::Declare(list) => self.declare_all(list)?,
            S::SetVariable(name, op, e) => {
                let key = variable_key(name);
                let v = self
                    .variable(&key)
                    .ok_or_else(|| message::undeclared(name))?;
                let mut b = self.binder();
                let value = b.value(e, &Scope::EMPTY)?;
                let value = match op {
                    None => value,
                    Some(op) => b.arithmetic(*op, Bound::Variable(key.clone(), v.ty), value)?,
                };
                let value = b.coerce(value, v.ty)?;
                let value = self.eval(&value, &Env::of(&[], None))?;
                self.set_variable(&key, value);
                self.row_count.set(1);
                self.last_error.set(0);
            }
            S::SetOption(words, value) => self.set_option(words, value.as_ref(), out)?,
            S::If(condition, then, otherwise) => {
                if self.is_true(condition)? {
                    return self.run_one(then, out);
                }
                if let Some(o) = otherwise {
                    return self.run_one(o, out);
                }
            }
            S::While(condition, body) => return self.while_loop(condition, body, out),
            S::Break => return Ok(Flow::Break),
            S::Continue => return Ok(Flow::Continue),
            S::Block(list) => return self.run(list, out),
            S::Try(body, handler) => return self.try_catch(body, handler, out),
            S::Return(value) => {
                let status = match value {
                    Some(e) => match self.scalar_as(e, Type::Int)? {
                        Value::Int(n) => Some(i32::try_from(n).unwrap_or(0)),
                        _ => Some(0),
                    },
                    None => None,
                };
                return Ok(Flow::Return(status));
            }
            S::Print(e) => {
                let text = self.text_of(e)?;
                let mut m = Message::info(0, text);
                m.line = s.line;
                m.procedure = self.procedure_name();
                self.last_error.set(0);
                out.message(&m)?;
            }
            S::Raise {
                message,
                severity,
                state,
                args,
                options,
            } => self.raise(s.line, (message, severity, state), args, options, out)?,
            S::Throw(parts) => return Err(self.throw(parts.as_ref())?.into()),
            S::WaitFor { delay, time } => self.wait_for(*delay, time)?,
            S::Use(name) => self.use_database(name, out)?,
            S::Exec(e) => self.exec_statement(e, out)?,
            S::BeginTransaction(_) => {
                self.begin_transaction(out)?;
                self.last_error.set(0);
            }
            S::Commit => {
                self.commit(out)?;
                self.last_error.set(0);
            }
            S::Rollback(name) => {
                let name = self.transaction_name(name.as_deref())?;
                self.rollback(name.as_deref(), out)?;
                self.last_error.set(0);
            }
            S::Save(name) => {
                let name = self.transaction_name(Some(name))?.unwrap_or_default();
                self.save_point(&name)?;
            }
            S::CreateDatabase { name, collation } => {
                self.create_database(name, collation.as_deref())?;
                self.finished(out, command::OTHER)?;
            }
            S::AlterDatabase { name, change } => {
                self.alter_database(name.as_deref(), change)?;
                self.finished(out, command::OTHER)?;
            }
            S::DropDatabase { names, if_exists } => {
                for name in names {
                    self.drop_database(name, *if_exists)?;
                }
                self.finished(out, command::OTHER)?;
            }
            S::CreateTable { name, table } => {
                self.begin_implicitly(out)?;
                self.create_table(name, table)?;
                self.finished(out, command::OTHER)?;
            }
            S::AlterTable { name, change } => {
                self.begin_implicitly(out)?;
                self.alter_table(name, change)?;
                self.finished(out, command::OTHER)?;
            }
            S::DropObject {
                kind,
                names,
                if_exists,
            } => {
                self.begin_implicitly(out)?;
                for name in names {
                    self.drop_object(kind, name, *if_exists)?;
                }
                self.finished(out, command::OTHER)?;
            }
            S::CreateIndex { table, index } => {
                self.begin_implicitly(out)?;
                self.create_index(table, index)?;
                self.finished(out, command::OTHER)?;
            }
            S::DropIndex {
                table,
                index,
                if_exists,
            } => {
                self.begin_implicitly(out)?;
                self.drop_index(table, index, *if_exists)?;
                self.finished(out, command::OTHER)?;
            }
            S::CreateSchema { name, owner } => {
                self.create_schema(name, owner.as_deref())?;
                self.finished(out, command::OTHER)?;
            }
            S::DropSchema { name, if_exists } => {
                self.drop_schema(name, *if_exists)?;
                self.finished(out, command::OTHER)?;
            }
            S::CreateModule {
                how,
                kind,
                name,
                text,
                columns,
            } => {
                self.create_module(*how, *kind, name, columns, text)?;
                self.finished(out, command::OTHER)?;
            }
            S::Principal(p) => {
                self.principal(p)?;
                self.finished(out, command::OTHER)?;
            }
            S::Backup(b) => self.back_up(b, s.line, out)?,
            S::Restore(r) => self.restore(r, s.line, out)?,
            S::Reconfigure => {
                self.reconfigure()?;
                self.finished(out, command::OTHER)?;
            }
            S::Checkpoint => {
                self.checkpoint()?;
                self.finished(out, command::OTHER)?;
            }
            S::Shutdown => self.shut_down(out)?,
            S::Kill(spid) => self.kill(*spid)?,
        }
        Ok(Flow::Next)
    }

    fn transaction_name(&self, name: Option<&str>) -> SqlResult<Option<String>> {
        let Some(name) = name else {
            return Ok(None);
        };
        if !name.starts_with('@') {
            return Ok(Some(name.to_owned()));
        }
        let v = self
            .variable(&variable_key(name))
            .ok_or_else(|| message::undeclared(name))?;
        convert::to_text(&v.value, v.ty, Style::default()).map(Some)
    }

    fn while_loop(
        &self,
        condition: &super::ast::Expr,
        body: &Statement,
        out: &mut dyn Output,
    ) -> Exec<Flow> {
        let mut rounds = 0_u64;
        while self.is_true(condition)? {
            rounds = rounds.saturating_add(1);
            if rounds > ROUNDS {
                return Err(
                    message::not_implemented("A WHILE of more than 100,000,000 rounds").into(),
                );
            }
            match self.run_one(body, out)? {
                Flow::Break => break,
                Flow::Return(r) => return Ok(Flow::Return(r)),
                Flow::Next | Flow::Continue => {}
            }
        }
        Ok(Flow::Next)
    }

    fn try_catch(
        &self,
        body: &[Statement],
        handler: &[Statement],
        out: &mut dyn Output,
    ) -> Exec<Flow> {
        let outside = self.tries.get();
        let depth = self.depth();
        self.tries.set(outside.saturating_add(1));
        let result = self.run(body, out);
        self.tries.set(outside);
        let e = match result {
            Err(Halt::Error(e)) if e.number != message::cancelled().number => e,
            other => return other,
        };
        // Calls that the error went through are left.
        while self.depth() > depth {
            self.leave_frame();
        }
        self.caught.borrow_mut().push(*e);
        let result = self.run(handler, out);
        self.caught.borrow_mut().pop();
        result
    }

    fn declare_all(&self, list: &[super::ast::Declaration]) -> SqlResult<()> {
        for d in list {
            let key = variable_key(&d.name);
            match &d.kind {
                Declared::Scalar(ty, value) => {
                    // The same DECLARE may run again in a loop: the variable keeps its value then.
                    let value = match value {
                        Some(e) => self.scalar_as(e, *ty)?,
                        None => self
                            .variable(&key)
                            .filter(|v| v.ty == *ty)
                            .map_or(Value::Null, |v| v.value),
                    };
                    self.declare(&key, *ty, value);
                }
                Declared::Table(table) => self.declare_table(&key, table)?,
            }
        }
        Ok(())
    }

    pub(crate) fn use_database(&self, name: &str, out: &mut dyn Output) -> Exec<()> {
        let d = self.find_database(name)?;
        let new = d.name.clone();
        let old = self.enter(d);
        out.change(&Change::Database {
            old,
            new: new.clone(),
        })?;
        let mut m = Message::new(5701, 0, 2, format!("Changed database context to '{new}'."));
        m.line = 1;
        out.message(&m)?;
        self.last_error.set(0);
        Ok(())
    }

    fn select(&self, q: &Query, out: &mut dyn Output) -> Exec<()> {
        if let Some((into, plain)) = super::definition::into_of(q) {
            self.begin_implicitly(out)?;
            let rows = self.select_into(&into, &plain)?;
            return self.counted(out, command::SELECT, rows);
        }
        let plan = {
            let mut b = self.binder();
            b.query(q, &Scope::EMPTY)?
        };
        if has_tables(&plan) {
            self.begin_implicitly(out)?;
        }
        if plan.columns.len() > 4096 {
            return Err(Message::new(1056, 15, 1, "The number of elements in the select list exceeds the maximum allowed number of 4096 elements.").into());
        }
        self.send_query(&plan, out)
    }

    /// Runs a query and sends its result.
    pub(crate) fn send_query(&self, plan: &QueryPlan, out: &mut dyn Output) -> Exec<()> {
        let assigns = plan.assigns();
        if !assigns {
            out.columns(&plan.columns)?;
        }
        let fmtonly = self.settings.borrow().fmtonly;
        let limit = self.settings.borrow().rowcount;
        let mut rows = 0_u64;
        let mut gone = false;
        let result = if fmtonly {
            Ok(())
        } else {
            self.run_query(plan, None, &mut |row| {
                if !assigns && out.row(&row).is_err() {
                    gone = true;
                    return Ok(false);
                }
                rows = rows.saturating_add(1);
                Ok(limit == 0 || rows < limit)
            })
        };
        if gone {
            return Err(Halt::Gone);
        }
        result?;
        if assigns {
            self.row_count.set(rows);
            self.last_error.set(0);
            return Ok(());
        }
        self.counted(out, command::SELECT, rows)
    }
}

/// Refuses a variable that a text declares twice, which compiling finds before anything runs.
pub(crate) fn declared_once(statements: &[Statement]) -> SqlResult<()> {
    let mut seen = std::collections::HashSet::new();
    let mut open: Vec<&Statement> = statements.iter().rev().collect();
    while let Some(s) = open.pop() {
        match &s.kind {
            S::Declare(list) => {
                for d in list {
                    if !seen.insert(variable_key(&d.name)) {
                        return Err(message::declared_twice(&d.name).at(s.line));
                    }
                }
            }
            S::If(_, then, otherwise) => {
                open.extend(otherwise.as_deref());
                open.push(then);
            }
            S::While(_, body) => open.push(body),
            S::Block(list) => open.extend(list.iter().rev()),
            S::Try(body, handler) => {
                open.extend(handler.iter().rev());
                open.extend(body.iter().rev());
            }
            _ => {}
        }
    }
    Ok(())
}

fn has_tables(plan: &QueryPlan) -> bool {
    match &plan.body {
        super::query::BodyPlan::Select(s) => s.from.is_some(),
        _ => true,
    }
}
