//! Statements: control of flow, changes to data, calls.

use super::{Kind, Parser};
use crate::sql::{
    ast::{
        Argument, Declaration, Declared, Exec, Expr, ProcedureName, Statement, StatementKind as S,
    },
    message::{self, SqlResult},
    types::Type,
    value::Value,
};

impl Parser<'_> {
    /// Statements up to the end, or up to one of these words.
    pub(super) fn statements(&mut self, until: &[&str]) -> SqlResult<Vec<Statement>> {
        let mut out = Vec::new();
        loop {
            while self.sign(";") {}
            if self.is_end() || until.iter().any(|w| self.is_word(w)) {
                return Ok(out);
            }
            out.push(self.statement()?);
        }
    }

    pub(super) fn statement(&mut self) -> SqlResult<Statement> {
        self.deeper(|p| {
            while p.sign(";") {}
            let line = p.line();
            let kind = p.statement_kind()?;
            p.sign(";");
            Ok(Statement { line, kind })
        })
    }

    fn statement_kind(&mut self) -> SqlResult<S> {
        let word = match self.kind().clone() {
            Kind::Word(w) => w.to_ascii_uppercase(),
            Kind::Sign("(") => return Ok(S::Select(self.query()?)),
            // A batch may begin with a procedure's name.
            Kind::Quoted(_) if self.at == 0 => return self.exec_call(),
            _ => return Err(self.unexpected()),
        };
        match word.as_str() {
            "SELECT" => Ok(S::Select(self.query()?)),
            "WITH" => {
                let with = self.common_tables()?;
                match self.kind().clone() {
                    Kind::Word(w) if w.eq_ignore_ascii_case("INSERT") => self.insert(with),
                    Kind::Word(w) if w.eq_ignore_ascii_case("UPDATE") => self.update(with),
                    Kind::Word(w) if w.eq_ignore_ascii_case("DELETE") => self.delete(with),
                    Kind::Word(w) if w.eq_ignore_ascii_case("MERGE") => self.merge(with),
                    _ => Ok(S::Select(self.query_after_with(with)?)),
                }
            }
            "INSERT" => self.insert(Vec::new()),
            "UPDATE" if self.is_word_ahead(1, "STATISTICS") => {
                Err(message::not_implemented("UPDATE STATISTICS").at(self.line()))
            }
            "UPDATE" => self.update(Vec::new()),
            "DELETE" => self.delete(Vec::new()),
            "MERGE" => self.merge(Vec::new()),
            "TRUNCATE" => {
                self.advance();
                self.expect("TABLE")?;
                Ok(S::Truncate(self.name()?))
            }
            "DECLARE" => self.declare(),
            "SET" => self.set(),
            "IF" => self.if_statement(),
            "WHILE" => {
                self.advance();
                let condition = self.condition()?;
                Ok(S::While(condition, Box::new(self.statement()?)))
            }
            "BREAK" => self.word_alone(S::Break),
            "CONTINUE" => self.word_alone(S::Continue),
            "BEGIN" => self.begin(),
            "COMMIT" => {
                self.transaction_word();
                self.skip_transaction_name();
                self.skip_with_options()?;
                Ok(S::Commit)
            }
            "ROLLBACK" => {
                self.transaction_word();
                Ok(S::Rollback(self.transaction_name()))
            }
            "SAVE" => {
                self.transaction_word();
                self.transaction_name()
                    .map(S::Save)
                    .ok_or_else(|| self.unexpected())
            }
            "RETURN" => {
                self.advance();
                let value = if self.starts_value() {
                    Some(self.expression()?)
                } else {
                    None
                };
                Ok(S::Return(value))
            }
            "PRINT" => {
                self.advance();
                Ok(S::Print(self.expression()?))
            }
            "RAISERROR" => self.raiserror(),
            "THROW" => {
                self.advance();
                if !self.starts_value() {
                    return Ok(S::Throw(None));
                }
                let number = self.expression()?;
                self.expect_sign(",")?;
                let text = self.expression()?;
                self.expect_sign(",")?;
                Ok(S::Throw(Some((number, text, self.expression()?))))
            }
            "WAITFOR" => {
                self.advance();
                let delay = self.accept("DELAY");
                if !delay {
                    self.expect("TIME")?;
                }
                Ok(S::WaitFor {
                    delay,
                    time: self.expression()?,
                })
            }
            "USE" => {
                self.advance();
                Ok(S::Use(self.identifier()?))
            }
            "EXEC" | "EXECUTE" => {
                self.advance();
                if self.is_word("AS") {
                    return Err(message::not_implemented("EXECUTE AS").at(self.line()));
                }
                self.exec_call()
            }
            "CREATE" => self.create(),
            "ALTER" => self.alter(),
            "DROP" => self.drop_statement(),
            "GRANT" | "DENY" | "REVOKE" | "REVERT" | "DBCC" | "BULK" | "OPEN" | "CLOSE"
            | "FETCH" | "DEALLOCATE" | "GOTO" | "ENABLE" | "DISABLE" | "ADD" => {
                let mut what = word;
                if let Kind::Word(next) = self.ahead(1) {
                    what = format!("{what} {}", next.to_ascii_uppercase());
                }
                Err(message::not_implemented(what).at(self.line()))
            }
            "BACKUP" => self.backup(),
            "RESTORE" => self.restore(),
            "INSERT_BULK" => Err(self.unexpected()),
            "RECONFIGURE" => {
                self.advance();
                self.accept_words(&["WITH", "OVERRIDE"]);
                Ok(S::Reconfigure)
            }
            "CHECKPOINT" => {
                self.advance();
                if matches!(self.kind(), Kind::Integer(_)) {
                    self.advance();
                }
                Ok(S::Checkpoint)
            }
            "SHUTDOWN" => {
                self.advance();
                self.accept_words(&["WITH", "NOWAIT"]);
                Ok(S::Shutdown)
            }
            "KILL" => {
                self.advance();
                Ok(S::Kill(self.integer()?))
            }
            // The first statement of a batch may call a procedure without EXEC.
            _ if self.at == 0 && !super::is_reserved(&word) => {
                let calls = match self.ahead(1) {
                    Kind::End
                    | Kind::Sign(";" | "." | "-")
                    | Kind::Text(..)
                    | Kind::Variable(_)
                    | Kind::Integer(_) => true,
                    Kind::Word(_) | Kind::Quoted(_) => word.starts_with("SP_"),
                    _ => false,
                };
                if calls {
                    return self.exec_call();
                }
                self.advance();
                Err(self.unexpected())
            }
            _ => Err(self.unexpected()),
        }
    }

    fn word_alone(&mut self, kind: S) -> SqlResult<S> {
        self.advance();
        Ok(kind)
    }

    /// Whether a value can begin here, on which the optional operand of RETURN and THROW hangs.
    fn starts_value(&self) -> bool {
        match self.kind() {
            Kind::Integer(_)
            | Kind::Decimal(_)
            | Kind::Float(_)
            | Kind::Text(..)
            | Kind::Variable(_)
            | Kind::Sign("(" | "-" | "+") => true,
            Kind::Word(w) => {
                !super::is_reserved(w) && self.is_sign_ahead(1, "(")
                    || ["NULL", "CASE", "COALESCE", "CONVERT"]
                        .iter()
                        .any(|k| w.eq_ignore_ascii_case(k))
            }
            _ => false,
        }
    }

    fn if_statement(&mut self) -> SqlResult<S> {
        self.advance();
        let condition = self.condition()?;
        let then = self.statement()?;
        // `IF a BEGIN … END; ELSE` is an error in SQL Server too, but not after a simple statement's own end.
        let otherwise = if self.accept("ELSE") {
            Some(Box::new(self.statement()?))
        } else {
            None
        };
        Ok(S::If(condition, Box::new(then), otherwise))
    }

    fn transaction_word(&mut self) {
        self.advance();
        if !(self.accept("TRANSACTION") || self.accept("TRAN")) {
            self.accept("WORK");
        }
    }

    fn transaction_name(&mut self) -> Option<String> {
        match self.kind().clone() {
            Kind::Variable(name) => {
                self.advance();
                Some(name)
            }
            _ if self.is_identifier() && !self.is_word("THROW") => self.identifier().ok(),
            _ => None,
        }
    }

    fn skip_transaction_name(&mut self) {
        let _ = self.transaction_name();
    }

    fn skip_with_options(&mut self) -> SqlResult<()> {
        if self.is_word("WITH") && self.is_sign_ahead(1, "(") {
            self.advance();
            self.skip_parentheses()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> SqlResult<S> {
        self.advance();
        if self.accept("TRANSACTION") || self.accept("TRAN") {
            let name = self.transaction_name();
            if self.accept_words(&["WITH", "MARK"]) && matches!(self.kind(), Kind::Text(..)) {
                self.advance();
            }
            return Ok(S::BeginTransaction(name));
        }
        if self.is_word("DISTRIBUTED") {
            return Err(message::not_implemented("BEGIN DISTRIBUTED TRANSACTION").at(self.line()));
        }
        if self.accept("TRY") {
            let body = self.statements(&["END"])?;
            self.expect("END")?;
            self.expect("TRY")?;
            self.sign(";");
            self.expect("BEGIN")?;
            self.expect("CATCH")?;
            let handler = self.statements(&["END"])?;
            self.expect("END")?;
            self.expect("CATCH")?;
            return Ok(S::Try(body, handler));
        }
        let body = self.statements(&["END"])?;
        if body.is_empty() {
            return Err(self.unexpected());
        }
        self.expect("END")?;
        Ok(S::Block(body))
    }

    fn declare(&mut self) -> SqlResult<S> {
        self.advance();
        let mut out = Vec::new();
        loop {
            let Kind::Variable(name) = self.kind().clone() else {
                if self.is_identifier()
                    && (self.is_word_ahead(1, "CURSOR") || self.is_word_ahead(1, "INSENSITIVE"))
                {
                    return Err(message::not_implemented("DECLARE CURSOR").at(self.line()));
                }
                return Err(self.unexpected());
            };
            self.advance();
            self.accept("AS");
            let kind = if self.accept("TABLE") {
                Declared::Table(self.table_body()?)
            } else {
                let ty = self.type_name(1)?;
                let value = if self.sign("=") {
                    Some(self.expression()?)
                } else {
                    None
                };
                Declared::Scalar(ty, value)
            };
            out.push(Declaration { name, kind });
            if !self.sign(",") {
                return Ok(S::Declare(out));
            }
        }
    }

    fn set(&mut self) -> SqlResult<S> {
        self.advance();
        if let Kind::Variable(name) = self.kind().clone() {
            self.advance();
            let Some(op) = self.assign_sign() else {
                return Err(self.unexpected());
            };
            return Ok(S::SetVariable(name, op, self.expression()?));
        }
        let mut words = Vec::new();
        let first = self.any_word()?;
        words.push(first.clone());
        match first.as_str() {
            "TRANSACTION" => {
                self.expect("ISOLATION")?;
                self.expect("LEVEL")?;
                while matches!(self.kind(), Kind::Word(_)) && !self.isolation_ends() {
                    words.push(self.any_word()?);
                }
                Ok(S::SetOption(words, None))
            }
            "IDENTITY_INSERT" => {
                let name = self.name()?;
                words.extend(name);
                words.push(self.any_word()?);
                Ok(S::SetOption(words, None))
            }
            "STATISTICS" => {
                words.push(self.any_word()?);
                words.push(self.any_word()?);
                Ok(S::SetOption(words, None))
            }
            _ => {
                while self.sign(",") {
                    words.push(self.any_word()?);
                }
                if self.accept("ON") {
                    words.push("ON".into());
                    Ok(S::SetOption(words, None))
                } else if self.accept("OFF") {
                    words.push("OFF".into());
                    Ok(S::SetOption(words, None))
                } else if let Kind::Word(w) = self.kind().clone() {
                    self.advance();
                    let ty = Type::VarChar(128);
                    Ok(S::SetOption(words, Some(Expr::Literal(Value::text(w), ty))))
                } else {
                    Ok(S::SetOption(words, Some(self.expression()?)))
                }
            }
        }
    }

    fn isolation_ends(&self) -> bool {
        ![
            "READ",
            "UNCOMMITTED",
            "COMMITTED",
            "REPEATABLE",
            "SERIALIZABLE",
            "SNAPSHOT",
        ]
        .iter()
        .any(|w| self.is_word(w))
    }

    fn raiserror(&mut self) -> SqlResult<S> {
        self.advance();
        self.expect_sign("(")?;
        let message = self.expression()?;
        self.expect_sign(",")?;
        let severity = self.expression()?;
        self.expect_sign(",")?;
        let state = self.expression()?;
        let mut args = Vec::new();
        while self.sign(",") {
            args.push(self.expression()?);
        }
        self.expect_sign(")")?;
        let mut options = Vec::new();
        if self.accept("WITH") {
            options.push(self.any_word()?);
            while self.sign(",") {
                options.push(self.any_word()?);
            }
        }
        Ok(S::Raise {
            message,
            severity,
            state,
            args,
            options,
        })
    }

    pub(super) fn exec_call(&mut self) -> SqlResult<S> {
        Ok(S::Exec(self.exec()?))
    }

    pub(super) fn exec(&mut self) -> SqlResult<Exec> {
        if self.sign("(") {
            let mut text = self.expression()?;
            while self.sign("+") {
                let more = self.expression()?;
                text = Expr::Binary(crate::sql::ast::Binary::Add, Box::new(text), Box::new(more));
            }
            self.expect_sign(")")?;
            if self.is_word("AT") {
                return Err(message::not_implemented("EXEC … AT").at(self.line()));
            }
            return Ok(Exec::Text(text));
        }
        let mut result = None;
        let name = match self.kind().clone() {
            Kind::Variable(v) => {
                self.advance();
                if self.sign("=") {
                    result = Some(v);
                    match self.kind().clone() {
                        Kind::Variable(v) => {
                            self.advance();
                            ProcedureName::Variable(v)
                        }
                        _ => ProcedureName::Name(self.name()?),
                    }
                } else {
                    ProcedureName::Variable(v)
                }
            }
            _ => ProcedureName::Name(self.name()?),
        };
        let mut args = Vec::new();
        if self.starts_argument() {
            loop {
                args.push(self.argument()?);
                if !self.sign(",") {
                    break;
                }
            }
        }
        self.accept_words(&["WITH", "RECOMPILE"]);
        Ok(Exec::Procedure { result, name, args })
    }

    fn starts_argument(&self) -> bool {
        match self.kind() {
            Kind::Integer(_)
            | Kind::Decimal(_)
            | Kind::Float(_)
            | Kind::Money(_)
            | Kind::Binary(_)
            | Kind::Text(..)
            | Kind::Variable(_)
            | Kind::Sign("-" | "+") => true,
            Kind::Quoted(_) => true,
            Kind::Word(w) => {
                !super::is_reserved(w)
                    || w.eq_ignore_ascii_case("NULL")
                    || w.eq_ignore_ascii_case("DEFAULT")
            }
            _ => false,
        }
    }

    fn argument(&mut self) -> SqlResult<Argument> {
        let mut name = None;
        if let Kind::Variable(v) = self.kind().clone()
            && self.is_sign_ahead(1, "=")
        {
            self.advance();
            self.advance();
            name = Some(v);
        }
        if self.accept("DEFAULT") {
            return Ok(Argument {
                name,
                value: None,
                output: false,
            });
        }
        // A bare word is a text: `EXEC sp_helpdb master`.
        let value = match self.kind().clone() {
            Kind::Word(w) if !super::is_reserved(&w) => {
                self.advance();
                Expr::Literal(Value::text(&w), super::expression::text_type(&w, true))
            }
            Kind::Quoted(w) => {
                self.advance();
                Expr::Literal(Value::text(&w), super::expression::text_type(&w, true))
            }
            _ => self.expression()?,
        };
        let output = self.accept("OUTPUT") || self.accept("OUT");
        Ok(Argument {
            name,
            value: Some(value),
            output,
        })
    }
}
