//! Tables: columns, constraints, indexes.

use super::Parser;
use crate::sql::{
    ast::{
        AlterTable, ColumnDef, Constraint, ConstraintKind, IndexDef, StatementKind as S, TableDef,
    },
    message::{self, SqlResult},
};

impl Parser<'_> {
    pub(super) fn table_options(&mut self) -> SqlResult<()> {
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

    pub(super) fn inline_index(&mut self, column: Option<&str>) -> SqlResult<IndexDef> {
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
    pub(super) fn index_tail(&mut self) -> SqlResult<Option<String>> {
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

    pub(super) fn key_columns(&mut self) -> SqlResult<Vec<String>> {
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

    pub(super) fn starts_constraint(&self) -> bool {
        ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]
            .iter()
            .any(|w| self.is_word(w))
    }

    /// A constraint of a table.
    pub(super) fn constraint(&mut self) -> SqlResult<Constraint> {
        let name = if self.accept("CONSTRAINT") {
            Some(self.identifier()?)
        } else {
            None
        };
        let kind = self.constraint_kind(None)?;
        Ok(Constraint { name, kind })
    }

    pub(super) fn constraint_kind(&mut self, column: Option<&str>) -> SqlResult<ConstraintKind> {
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

    pub(super) fn key(
        &mut self,
        primary: bool,
        own: Option<Vec<String>>,
    ) -> SqlResult<ConstraintKind> {
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
    pub(super) fn default_text(&mut self) -> SqlResult<String> {
        let start = self.token().start;
        self.expression()?;
        Ok(self.text_since(start).to_owned())
    }

    pub(super) fn column(&mut self) -> SqlResult<ColumnDef> {
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

    pub(super) fn alter_table(&mut self) -> SqlResult<S> {
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
                let constraint = if self.accept("ALL") {
                    String::new()
                } else {
                    self.identifier()?
                };
                let change = AlterTable::Check(constraint);
                return Ok(S::AlterTable { name, change });
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
}
