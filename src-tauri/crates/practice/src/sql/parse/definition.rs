//! Definitions: databases, tables, indexes, views, procedures, schemas.

use super::{Kind, Parser};
use crate::sql::{
    ast::{
        AlterTable, ColumnDef, Constraint, ConstraintKind, Create, DatabaseChange, IndexDef,
        Module, Parameter, Query, Statement, StatementKind as S, TableDef,
    },
    message::{self, SqlResult},
};

impl Parser<'_> {
    pub(super) fn create(&mut self) -> SqlResult<S> {
        let start = self.token().start;
        self.advance();
        let how = if self.accept_words(&["OR", "ALTER"]) {
            Create::Either
        } else {
            Create::New
        };
        let word = match self.kind() {
            Kind::Word(w) => w.to_ascii_uppercase(),
            _ => return Err(self.unexpected()),
        };
        match word.as_str() {
            "VIEW" | "PROC" | "PROCEDURE" => self.module(how, start),
            _ if how == Create::Either => {
                Err(message::not_implemented(format!("CREATE OR ALTER {word}")).at(self.line()))
            }
            "DATABASE" => self.create_database(),
            "TABLE" => {
                self.advance();
                let name = self.name()?;
                let table = self.table_body()?;
                // `ON [PRIMARY] TEXTIMAGE_ON [PRIMARY]`, `WITH (…)`
                loop {
                    if self.accept("ON") || self.accept("TEXTIMAGE_ON") {
                        self.identifier()?;
                        self.skip_parentheses()?;
                    } else if self.is_word("WITH") && self.is_sign_ahead(1, "(") {
                        self.table_options()?;
                    } else {
                        break;
                    }
                }
                if self.is_word("AS") {
                    return Err(message::not_implemented("CREATE TABLE AS").at(self.line()));
                }
                Ok(S::CreateTable { name, table })
            }
            "UNIQUE" | "CLUSTERED" | "NONCLUSTERED" | "INDEX" => {
                let unique = self.accept("UNIQUE");
                let clustered = self.accept("CLUSTERED");
                self.accept("NONCLUSTERED");
                self.expect("INDEX")?;
                let name = self.identifier()?;
                self.expect("ON")?;
                let table = self.name()?;
                let columns = self.key_columns()?;
                let filter = self.index_tail()?;
                Ok(S::CreateIndex {
                    table,
                    index: IndexDef {
                        name,
                        unique,
                        clustered,
                        columns,
                        filter,
                    },
                })
            }
            "SCHEMA" => {
                self.advance();
                if self.accept("AUTHORIZATION") {
                    let owner = self.identifier()?;
                    return Ok(S::CreateSchema {
                        name: owner.clone(),
                        owner: Some(owner),
                    });
                }
                let name = self.identifier()?;
                let owner = if self.accept("AUTHORIZATION") {
                    Some(self.identifier()?)
                } else {
                    None
                };
                Ok(S::CreateSchema { name, owner })
            }
            "LOGIN" | "USER" | "ROLE" => self.create_principal(),
            _ => Err(message::not_implemented(format!("CREATE {word}")).at(self.line())),
        }
    }

    fn table_options(&mut self) -> SqlResult<()> {
        let start = self.token().start;
        self.expect("WITH")?;
        self.skip_parentheses()?;
        let text = self.text_since(start).to_ascii_uppercase();
        for what in ["SYSTEM_VERSIONING", "MEMORY_OPTIMIZED", "LEDGER"] {
            if text.contains(what) {
                return Err(
                    message::not_implemented(format!("A table WITH ({what})")).at(self.line())
                );
            }
        }
        Ok(())
    }

    fn create_database(&mut self) -> SqlResult<S> {
        self.advance();
        if self.is_word("SCOPED") || self.is_word("AUDIT") || self.is_word("ENCRYPTION") {
            return Err(
                message::not_implemented(format!("CREATE DATABASE {}", self.any_word()?))
                    .at(self.line()),
            );
        }
        let name = self.identifier()?;
        let mut collation = None;
        loop {
            if self.accept("COLLATE") {
                collation = Some(self.identifier()?);
            } else if self.accept_words(&["CONTAINMENT"]) {
                self.expect_sign("=")?;
                if self.any_word()? != "NONE" {
                    return Err(message::not_implemented(
                        "CREATE DATABASE … CONTAINMENT = PARTIAL",
                    )
                    .at(self.line()));
                }
            } else if self.is_word("AS") || self.is_word("FOR") {
                return Err(message::not_implemented(format!(
                    "CREATE DATABASE … {}",
                    self.any_word()?
                ))
                .at(self.line()));
            } else if self.accept("ON") {
                return Err(
                    message::not_implemented("CREATE DATABASE with files of its own")
                        .at(self.line()),
                );
            } else if self.is_word("LOG") || self.is_word("WITH") {
                return Err(message::not_implemented(format!(
                    "CREATE DATABASE … {}",
                    self.any_word()?
                ))
                .at(self.line()));
            } else {
                return Ok(S::CreateDatabase { name, collation });
            }
        }
    }

    pub(super) fn table_body(&mut self) -> SqlResult<TableDef> {
        let mut t = TableDef {
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
        };
        self.expect_sign("(")?;
        loop {
            if self.is_sign(")") {
                break;
            }
            if self.starts_constraint() {
                t.constraints.push(self.constraint()?);
            } else if self.is_word("INDEX") {
                t.indexes.push(self.inline_index(None)?);
            } else if self.is_word("PERIOD") && self.is_word_ahead(1, "FOR") {
                return Err(message::not_implemented("PERIOD FOR SYSTEM_TIME").at(self.line()));
            } else {
                let column = self.column()?;
                while self.is_word("INDEX") {
                    let index = self.inline_index(Some(&column.name))?;
                    t.indexes.push(index);
                }
                t.columns.push(column);
            }
            if !self.sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        Ok(t)
    }

    fn inline_index(&mut self, column: Option<&str>) -> SqlResult<IndexDef> {
        self.expect("INDEX")?;
        let name = self.identifier()?;
        let unique = self.accept("UNIQUE");
        let clustered = self.accept("CLUSTERED");
        self.accept("NONCLUSTERED");
        let columns = match column {
            Some(c) if !self.is_sign("(") => vec![c.to_owned()],
            _ => self.key_columns()?,
        };
        let filter = self.index_tail()?;
        Ok(IndexDef {
            name,
            unique,
            clustered,
            columns,
            filter,
        })
    }

    /// `INCLUDE (…) WHERE … WITH (…) ON …` behind an index or key.
    fn index_tail(&mut self) -> SqlResult<Option<String>> {
        let mut filter = None;
        loop {
            if self.accept("INCLUDE") {
                self.skip_parentheses()?;
            } else if self.accept("WHERE") {
                let start = self.token().start;
                self.condition()?;
                filter = Some(self.text_since(start).to_owned());
            } else if self.is_word("WITH") {
                self.advance();
                if self.is_sign("(") {
                    self.skip_parentheses()?;
                } else {
                    // `WITH FILLFACTOR = 90`
                    self.any_word()?;
                    self.expect_sign("=")?;
                    self.integer()?;
                }
            } else if self.is_word("ON")
                && !self.is_word_ahead(1, "DELETE")
                && !self.is_word_ahead(1, "UPDATE")
            {
                self.advance();
                self.identifier()?;
                self.skip_parentheses()?;
            } else {
                return Ok(filter);
            }
        }
    }

    fn key_columns(&mut self) -> SqlResult<Vec<String>> {
        self.expect_sign("(")?;
        let mut out = Vec::new();
        loop {
            out.push(self.identifier()?);
            if !self.accept("ASC") {
                self.accept("DESC");
            }
            if !self.sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        Ok(out)
    }

    fn starts_constraint(&self) -> bool {
        ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]
            .iter()
            .any(|w| self.is_word(w))
    }

    /// A constraint of a table.
    fn constraint(&mut self) -> SqlResult<Constraint> {
        let name = if self.accept("CONSTRAINT") {
            Some(self.identifier()?)
        } else {
            None
        };
        let kind = self.constraint_kind(None)?;
        Ok(Constraint { name, kind })
    }

    fn constraint_kind(&mut self, column: Option<&str>) -> SqlResult<ConstraintKind> {
        let own = || column.map(|c| vec![c.to_owned()]);
        if self.accept("PRIMARY") {
            self.expect("KEY")?;
            return self.key(true, own());
        }
        if self.accept("UNIQUE") {
            return self.key(false, own());
        }
        if self.accept("CHECK") {
            self.accept_words(&["NOT", "FOR", "REPLICATION"]);
            self.expect_sign("(")?;
            let start = self.token().start;
            self.condition()?;
            let text = self.text_since(start).to_owned();
            self.expect_sign(")")?;
            return Ok(ConstraintKind::Check(text));
        }
        if self.accept("DEFAULT") {
            let value = self.default_text()?;
            let column = match column {
                Some(c) => c.to_owned(),
                None => {
                    self.expect("FOR")?;
                    self.identifier()?
                }
            };
            self.accept_words(&["WITH", "VALUES"]);
            return Ok(ConstraintKind::Default { value, column });
        }
        let columns = if self.accept("FOREIGN") {
            self.expect("KEY")?;
            if self.is_sign("(") {
                self.identifier_list()?
            } else {
                own().ok_or_else(|| self.unexpected())?
            }
        } else {
            own().ok_or_else(|| self.unexpected())?
        };
        self.expect("REFERENCES")?;
        let table = self.name()?;
        let referenced = if self.is_sign("(") {
            self.identifier_list()?
        } else {
            Vec::new()
        };
        let (mut on_delete, mut on_update) = ("NO ACTION".to_owned(), "NO ACTION".to_owned());
        while self.is_word("ON")
            && (self.is_word_ahead(1, "DELETE") || self.is_word_ahead(1, "UPDATE"))
        {
            self.advance();
            let delete = self.any_word()? == "DELETE";
            let action = match self.any_word()?.as_str() {
                "NO" => {
                    self.expect("ACTION")?;
                    "NO ACTION".to_owned()
                }
                "CASCADE" => "CASCADE".to_owned(),
                "SET" => format!("SET {}", self.any_word()?),
                _ => return Err(self.unexpected()),
            };
            if delete {
                on_delete = action;
            } else {
                on_update = action;
            }
        }
        self.accept_words(&["NOT", "FOR", "REPLICATION"]);
        Ok(ConstraintKind::Foreign {
            columns,
            table,
            referenced,
            on_delete,
            on_update,
        })
    }

    fn key(&mut self, primary: bool, own: Option<Vec<String>>) -> SqlResult<ConstraintKind> {
        if !self.accept("CLUSTERED") {
            self.accept("NONCLUSTERED");
        }
        let columns = if self.is_sign("(") {
            self.key_columns()?
        } else {
            own.ok_or_else(|| self.unexpected())?
        };
        self.index_tail()?;
        Ok(ConstraintKind::Key { primary, columns })
    }

    /// The text of a default, which is read again when it is needed.
    fn default_text(&mut self) -> SqlResult<String> {
        let start = self.token().start;
        self.expression()?;
        Ok(self.text_since(start).to_owned())
    }

    fn column(&mut self) -> SqlResult<ColumnDef> {
        let name = self.identifier()?;
        if self.is_word("AS") {
            return Err(message::not_implemented("A computed column").at(self.line()));
        }
        let rowversion = self.is_word("rowversion") || self.is_word("timestamp");
        let ty = self.type_name(1)?;
        let mut c = ColumnDef {
            name,
            ty,
            nullable: None,
            identity: None,
            default: None,
            rowversion,
            collation: None,
            constraints: Vec::new(),
        };
        loop {
            if self.accept_words(&["NOT", "NULL"]) {
                c.nullable = Some(false);
            } else if self.accept("NULL") {
                c.nullable = Some(true);
            } else if self.accept("IDENTITY") {
                let mut seed = (1, 1);
                if self.sign("(") {
                    let first = self.integer()?;
                    self.expect_sign(",")?;
                    seed = (first, self.integer()?);
                    self.expect_sign(")")?;
                }
                self.accept_words(&["NOT", "FOR", "REPLICATION"]);
                c.identity = Some(seed);
            } else if self.accept("COLLATE") {
                c.collation = Some(self.identifier()?);
            } else if self.accept("ROWGUIDCOL") || self.accept("SPARSE") {
            } else if self.is_word("CONSTRAINT")
                || self.starts_constraint()
                || self.is_word("DEFAULT")
                || self.is_word("REFERENCES")
            {
                let name = if self.accept("CONSTRAINT") {
                    Some(self.identifier()?)
                } else {
                    None
                };
                let column = c.name.clone();
                match self.constraint_kind(Some(&column))? {
                    ConstraintKind::Default { value, .. } => c.default = Some((name, value)),
                    kind => c.constraints.push(Constraint { name, kind }),
                }
            } else if self.is_word("GENERATED")
                || self.is_word("MASKED")
                || self.is_word("ENCRYPTED")
                || self.is_word("FILESTREAM")
            {
                return Err(message::not_implemented(format!(
                    "A column with {}",
                    self.any_word()?
                ))
                .at(self.line()));
            } else {
                return Ok(c);
            }
        }
    }

    pub(super) fn alter(&mut self) -> SqlResult<S> {
        let start = self.token().start;
        self.advance();
        let word = match self.kind() {
            Kind::Word(w) => w.to_ascii_uppercase(),
            _ => return Err(self.unexpected()),
        };
        match word.as_str() {
            "VIEW" | "PROC" | "PROCEDURE" => self.module(Create::Change, start),
            "TABLE" => self.alter_table(),
            "DATABASE" => self.alter_database(),
            "LOGIN" | "USER" | "ROLE" | "SERVER" | "AUTHORIZATION" => self.alter_principal(),
            _ => Err(message::not_implemented(format!("ALTER {word}")).at(self.line())),
        }
    }

    fn alter_table(&mut self) -> SqlResult<S> {
        self.advance();
        let name = self.name()?;
        let checked =
            self.accept_words(&["WITH", "CHECK"]) || self.accept_words(&["WITH", "NOCHECK"]);
        let change = if self.accept("ADD") {
            let (mut columns, mut constraints) = (Vec::new(), Vec::new());
            loop {
                if self.starts_constraint() || self.is_word("DEFAULT") {
                    constraints.push(self.constraint()?);
                } else {
                    columns.push(self.column()?);
                }
                if !self.sign(",") {
                    break;
                }
            }
            AlterTable::AddColumns(columns, constraints)
        } else if self.accept("DROP") {
            let column = self.accept("COLUMN");
            if !column {
                self.accept("CONSTRAINT");
            }
            let if_exists = self.accept_words(&["IF", "EXISTS"]);
            let mut names = vec![self.identifier()?];
            while self.sign(",") {
                if column {
                    self.accept("COLUMN");
                } else {
                    self.accept("CONSTRAINT");
                }
                names.push(self.identifier()?);
            }
            if column {
                AlterTable::DropColumns(names, if_exists)
            } else {
                AlterTable::DropConstraints(names, if_exists)
            }
        } else if self.accept_words(&["ALTER", "COLUMN"]) {
            AlterTable::AlterColumn(self.column()?)
        } else if checked || self.is_word("CHECK") || self.is_word("NOCHECK") {
            // `CHECK CONSTRAINT x` behind a constraint that was just added is what scripts write; it is on already.
            if self.accept("CHECK") {
                self.expect("CONSTRAINT")?;
                self.any_word()
                    .map(|_| ())
                    .or_else(|_| self.identifier().map(|_| ()))?;
                return Ok(S::Nothing);
            }
            return Err(
                message::not_implemented("ALTER TABLE … NOCHECK CONSTRAINT").at(self.line())
            );
        } else {
            let what = self.any_word()?;
            return Err(message::not_implemented(format!("ALTER TABLE … {what}")).at(self.line()));
        };
        Ok(S::AlterTable { name, change })
    }

    fn alter_database(&mut self) -> SqlResult<S> {
        self.advance();
        if self.is_word("SCOPED") {
            return Err(
                message::not_implemented("ALTER DATABASE SCOPED CONFIGURATION").at(self.line()),
            );
        }
        let name = if self.accept("CURRENT") {
            None
        } else {
            Some(self.identifier()?)
        };
        if self.accept("MODIFY") {
            self.expect("NAME")?;
            self.expect_sign("=")?;
            return Ok(S::AlterDatabase {
                name,
                change: DatabaseChange::Rename(self.identifier()?),
            });
        }
        if self.accept("COLLATE") {
            return Ok(S::AlterDatabase {
                name,
                change: DatabaseChange::Collate(self.identifier()?),
            });
        }
        if !self.accept("SET") {
            return Err(message::not_implemented("This ALTER DATABASE").at(self.line()));
        }
        let mut options = Vec::new();
        loop {
            let mut words = Vec::new();
            loop {
                match self.kind().clone() {
                    Kind::Word(w) if !self.is_word("WITH") => {
                        words.push(w.to_ascii_uppercase());
                        self.advance();
                    }
                    Kind::Sign("=") => self.advance(),
                    Kind::Integer(n) => {
                        words.push(n);
                        self.advance();
                    }
                    Kind::Sign("(") => {
                        let start = self.token().start;
                        self.skip_parentheses()?;
                        words.push(self.text_since(start).to_ascii_uppercase());
                    }
                    _ => break,
                }
                // The next statement begins without a separator.
                if self.starts_next() {
                    break;
                }
            }
            if words.is_empty() {
                return Err(self.unexpected());
            }
            options.push(words);
            if !self.sign(",") {
                break;
            }
        }
        if self.accept("WITH") {
            if self.accept("ROLLBACK") {
                let word = self.any_word()?;
                let mut words = vec!["WITH".to_owned(), "ROLLBACK".to_owned(), word];
                if matches!(self.kind(), Kind::Integer(_)) {
                    words.push(self.integer()?.to_string());
                    self.accept("SECONDS");
                    self.accept("SECOND");
                }
                options.push(words);
            } else {
                self.expect("NO_WAIT")?;
                options.push(vec!["WITH".into(), "NO_WAIT".into()]);
            }
        }
        Ok(S::AlterDatabase {
            name,
            change: DatabaseChange::Set(options),
        })
    }

    fn starts_next(&self) -> bool {
        [
            "ALTER", "CREATE", "DROP", "SELECT", "INSERT", "UPDATE", "DELETE", "EXEC", "EXECUTE",
            "USE", "IF", "DECLARE", "SET", "PRINT", "END", "ELSE", "BEGIN",
        ]
        .iter()
        .any(|w| self.is_word(w))
    }

    pub(super) fn drop_statement(&mut self) -> SqlResult<S> {
        self.advance();
        let word = self.any_word()?;
        let if_exists = self.accept_words(&["IF", "EXISTS"]);
        let names = |p: &mut Self| -> SqlResult<Vec<_>> {
            let mut out = vec![p.name()?];
            while p.sign(",") {
                out.push(p.name()?);
            }
            Ok(out)
        };
        match word.as_str() {
            "DATABASE" => {
                let mut out = vec![self.identifier()?];
                while self.sign(",") {
                    out.push(self.identifier()?);
                }
                Ok(S::DropDatabase {
                    names: out,
                    if_exists,
                })
            }
            "TABLE" => Ok(S::DropObject {
                kind: "table",
                names: names(self)?,
                if_exists,
            }),
            "VIEW" => Ok(S::DropObject {
                kind: "view",
                names: names(self)?,
                if_exists,
            }),
            "PROC" | "PROCEDURE" => Ok(S::DropObject {
                kind: "procedure",
                names: names(self)?,
                if_exists,
            }),
            "INDEX" => {
                let mut name = self.name()?;
                let index = name.pop().unwrap_or_default();
                let table = if self.accept("ON") {
                    self.name()?
                } else {
                    name
                };
                if table.is_empty() {
                    return Err(self.unexpected());
                }
                self.skip_index_options()?;
                Ok(S::DropIndex {
                    table,
                    index,
                    if_exists,
                })
            }
            "SCHEMA" => Ok(S::DropSchema {
                name: self.identifier()?,
                if_exists,
            }),
            "LOGIN" | "USER" | "ROLE" => self.drop_principal(&word, if_exists),
            _ => Err(message::not_implemented(format!("DROP {word}")).at(self.line())),
        }
    }

    fn skip_index_options(&mut self) -> SqlResult<()> {
        if self.is_word("WITH") && self.is_sign_ahead(1, "(") {
            self.advance();
            self.skip_parentheses()?;
        }
        Ok(())
    }

    /// `CREATE VIEW` and `CREATE PROCEDURE` keep their whole text: they reach to the end of the batch.
    fn module(&mut self, how: Create, start: usize) -> SqlResult<S> {
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

    fn module_head(&mut self, kind: Module) -> SqlResult<(Vec<String>, Vec<String>)> {
        self.advance();
        let name = self.name()?;
        let columns = if kind == Module::View && self.is_sign("(") {
            self.identifier_list()?
        } else {
            Vec::new()
        };
        Ok((name, columns))
    }

    fn view_parts(&mut self) -> SqlResult<Query> {
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

    fn procedure_rest(&mut self) -> SqlResult<(Vec<Parameter>, Vec<Statement>)> {
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

    fn skip_create(&mut self) -> SqlResult<()> {
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
