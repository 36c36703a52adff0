//! Definitions: databases, tables, indexes, views, procedures, schemas.

use super::{Kind, Parser};
use crate::sql::{
    ast::{Create, DatabaseChange, IndexDef, StatementKind as S},
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
}
