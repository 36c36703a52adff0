//! Views and procedures.

use super::{Kind, Parser};
use crate::sql::{
    ast::{Create, Module, Parameter, Query, Statement, StatementKind as S},
    message::{self, SqlResult},
};

impl Parser<'_> {
    /// `CREATE VIEW` and `CREATE PROCEDURE` keep their whole text: they reach to the end of the batch.
    pub(super) fn module(&mut self, how: Create, start: usize) -> SqlResult<S> {
        if self.depth > 2
            || self
                .tokens
                .iter()
                .take_while(|t| t.start < start)
                .any(|t| t.kind != Kind::Sign(";"))
        {
            let what = match self.kind() {
                Kind::Word(w) => w.to_ascii_uppercase(),
                _ => String::new(),
            };
            return Err(message::Message::new(
                111,
                15,
                1,
                format!("'CREATE {what}' must be the first statement in a query batch."),
            )
            .ending(message::Ends::Batch)
            .at(self.line()));
        }
        let kind = if self.is_word("VIEW") {
            Module::View
        } else {
            Module::Procedure
        };
        let back = self.at;
        let (name, columns) = self.module_head(kind)?;
        self.at = back;
        match kind {
            Module::View => {
                self.view_parts()?;
                // A view ends with its query.
                while self.sign(";") {}
                if !self.is_end() {
                    return Err(self.unexpected());
                }
            }
            Module::Procedure => {
                self.procedure_rest()?;
            }
        }
        let text = self.sql.get(start..).unwrap_or("").to_owned();
        Ok(S::CreateModule {
            how,
            kind,
            name,
            columns,
            text,
        })
    }

    pub(super) fn module_head(&mut self, kind: Module) -> SqlResult<(Vec<String>, Vec<String>)> {
        self.advance();
        let name = self.name()?;
        let columns = if kind == Module::View && self.is_sign("(") {
            self.identifier_list()?
        } else {
            Vec::new()
        };
        Ok((name, columns))
    }

    pub(super) fn view_parts(&mut self) -> SqlResult<Query> {
        self.module_head(Module::View)?;
        if self.accept("WITH") {
            loop {
                self.any_word()?;
                if !self.sign(",") {
                    break;
                }
            }
        }
        self.expect("AS")?;
        let q = self.query()?;
        self.accept_words(&["WITH", "CHECK", "OPTION"]);
        Ok(q)
    }

    pub(super) fn procedure_rest(&mut self) -> SqlResult<(Vec<Parameter>, Vec<Statement>)> {
        self.module_head(Module::Procedure)?;
        let bracket = self.sign("(");
        let parameters = if matches!(self.kind(), Kind::Variable(_)) {
            self.parameter_list()?
        } else {
            Vec::new()
        };
        if bracket {
            self.expect_sign(")")?;
        }
        if self.accept("WITH") {
            loop {
                self.any_word()?;
                if !self.sign(",") {
                    break;
                }
            }
        }
        self.expect("AS")?;
        let body = self.statements(&[])?;
        if self.is_end() {
            Ok((parameters, body))
        } else {
            Err(self.unexpected())
        }
    }

    pub(super) fn skip_create(&mut self) -> SqlResult<()> {
        if !self.accept("ALTER") {
            self.expect("CREATE")?;
            self.accept_words(&["OR", "ALTER"]);
        }
        Ok(())
    }

    pub(super) fn procedure_parts(&mut self) -> SqlResult<(Vec<Parameter>, Vec<Statement>)> {
        self.skip_create()?;
        self.procedure_rest()
    }

    pub(super) fn view_query(&mut self) -> SqlResult<Query> {
        self.skip_create()?;
        self.view_parts()
    }
}
