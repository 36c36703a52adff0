//! Changes of data.

use super::{Kind, Parser};
use crate::sql::{
    ast::{
        Assignment, Delete, Expr, Insert, Merge, MergeAction, MergeWhen, Output, SetTarget, Source,
        StatementKind as S, Target, Update,
    },
    message::{self, Message, SqlResult},
};

impl Parser<'_> {
    pub(super) fn target(&mut self) -> SqlResult<Target> {
        if let Kind::Variable(v) = self.kind().clone() {
            self.advance();
            return Ok(Target::Variable(v));
        }
        Ok(Target::Named(self.name()?))
    }

    pub(super) fn output(&mut self) -> SqlResult<Option<Output>> {
        if !self.accept("OUTPUT") {
            return Ok(None);
        }
        let items = self.items()?;
        let mut into = None;
        if self.accept("INTO") {
            let target = self.target()?;
            let columns = if self.is_sign("(") {
                self.identifier_list()?
            } else {
                Vec::new()
            };
            into = Some((target, columns));
        }
        Ok(Some(Output { items, into }))
    }

    pub(super) fn insert(&mut self, with: Vec<crate::sql::ast::Common>) -> SqlResult<S> {
        self.expect("INSERT")?;
        if self.is_word("BULK") {
            return Err(message::not_implemented("INSERT BULK").at(self.line()));
        }
        if self.is_word("TOP") {
            return Err(message::not_implemented("INSERT TOP").at(self.line()));
        }
        self.accept("INTO");
        let target = self.target()?;
        self.table_hints()?;
        let columns = if self.is_sign("(")
            && !self.is_word_ahead(1, "SELECT")
            && !self.is_sign_ahead(1, "(")
            && !self.is_word_ahead(1, "WITH")
        {
            self.insert_columns()?
        } else {
            Vec::new()
        };
        let output = self.output()?;
        let source = if self.accept("VALUES") {
            Source::Values(self.value_rows()?)
        } else if self.accept_words(&["DEFAULT", "VALUES"]) {
            Source::Defaults
        } else if self.accept("EXEC") || self.accept("EXECUTE") {
            Source::Exec(Box::new(self.exec()?))
        } else {
            Source::Query(Box::new(self.query()?))
        };
        self.option_clause()?;
        Ok(S::Insert(Box::new(Insert {
            with,
            target,
            columns,
            source,
            output,
        })))
    }

    pub(super) fn insert_columns(&mut self) -> SqlResult<Vec<String>> {
        self.expect_sign("(")?;
        let mut out = Vec::new();
        loop {
            // A prefix is allowed and ignored.
            out.push(self.name()?.pop().unwrap_or_default());
            if !self.sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        Ok(out)
    }

    pub(super) fn assignments(&mut self) -> SqlResult<Vec<Assignment>> {
        let mut out = Vec::new();
        loop {
            let target = match self.kind().clone() {
                Kind::Variable(v) => {
                    self.advance();
                    SetTarget::Variable(v)
                }
                _ => SetTarget::Column(self.name()?),
            };
            let Some(op) = self.assign_sign() else {
                return Err(self.unexpected());
            };
            if matches!(target, SetTarget::Variable(_))
                && !self.is_sign("=")
                && self.is_identifier()
                && self.is_sign_ahead(1, "=")
            {
                return Err(
                    message::not_implemented("SET @variable = column = expression").at(self.line()),
                );
            }
            out.push(Assignment {
                target,
                op,
                value: self.expression()?,
            });
            if !self.sign(",") {
                return Ok(out);
            }
        }
    }

    pub(super) fn update(&mut self, with: Vec<crate::sql::ast::Common>) -> SqlResult<S> {
        self.expect("UPDATE")?;
        let top = self.top()?;
        let target = self.target()?;
        self.table_hints()?;
        self.expect("SET")?;
        let set = self.assignments()?;
        let output = self.output()?;
        let from = if self.accept("FROM") {
            Some(self.table_list()?)
        } else {
            None
        };
        let filter = self.where_clause()?;
        self.option_clause()?;
        Ok(S::Update(Box::new(Update {
            with,
            top,
            target,
            set,
            from,
            filter,
            output,
        })))
    }

    pub(super) fn where_clause(&mut self) -> SqlResult<Option<Expr>> {
        if !self.accept("WHERE") {
            return Ok(None);
        }
        if self.is_word("CURRENT") {
            return Err(message::not_implemented("WHERE CURRENT OF").at(self.line()));
        }
        self.condition().map(Some)
    }

    pub(super) fn delete(&mut self, with: Vec<crate::sql::ast::Common>) -> SqlResult<S> {
        self.expect("DELETE")?;
        let top = self.top()?;
        self.accept("FROM");
        let target = self.target()?;
        self.table_hints()?;
        let output = self.output()?;
        let from = if self.accept("FROM") {
            Some(self.table_list()?)
        } else {
            None
        };
        let filter = self.where_clause()?;
        self.option_clause()?;
        Ok(S::Delete(Box::new(Delete {
            with,
            top,
            target,
            from,
            filter,
            output,
        })))
    }

    pub(super) fn merge(&mut self, with: Vec<crate::sql::ast::Common>) -> SqlResult<S> {
        self.expect("MERGE")?;
        if self.is_word("TOP") {
            return Err(message::not_implemented("MERGE TOP").at(self.line()));
        }
        self.accept("INTO");
        let target = self.name()?;
        self.table_hints()?;
        let named = self.accept("AS") || (self.is_identifier() && !self.is_word("USING"));
        let alias = if named {
            Some(self.identifier()?)
        } else {
            None
        };
        self.expect("USING")?;
        let source = self.table_list()?;
        self.expect("ON")?;
        let on = self.condition()?;
        let mut clauses = Vec::new();
        while self.accept("WHEN") {
            let when = if self.accept("MATCHED") {
                MergeWhen::Matched
            } else {
                self.expect("NOT")?;
                self.expect("MATCHED")?;
                if self.accept_words(&["BY", "SOURCE"]) {
                    MergeWhen::NotMatchedBySource
                } else {
                    self.accept_words(&["BY", "TARGET"]);
                    MergeWhen::NotMatched
                }
            };
            let condition = if self.accept("AND") {
                Some(self.condition()?)
            } else {
                None
            };
            self.expect("THEN")?;
            let action = if self.accept("DELETE") {
                MergeAction::Delete
            } else if self.accept("UPDATE") {
                self.expect("SET")?;
                MergeAction::Update(self.assignments()?)
            } else {
                self.expect("INSERT")?;
                let columns = if self.is_sign("(") {
                    self.insert_columns()?
                } else {
                    Vec::new()
                };
                if self.accept_words(&["DEFAULT", "VALUES"]) {
                    MergeAction::Insert(columns, None)
                } else {
                    self.expect("VALUES")?;
                    self.expect_sign("(")?;
                    let values = self.expression_list()?;
                    self.expect_sign(")")?;
                    MergeAction::Insert(columns, Some(values))
                }
            };
            clauses.push((when, condition, action));
        }
        let output = self.output()?;
        self.option_clause()?;
        if !self.is_sign(";") {
            return Err(Message::new(
                10713,
                15,
                1,
                "A MERGE statement must be terminated by a semi-colon (;).",
            )
            .ending(message::Ends::Batch)
            .at(self.line()));
        }
        Ok(S::Merge(Box::new(Merge {
            with,
            target,
            alias,
            source,
            on,
            clauses,
            output,
        })))
    }
}
