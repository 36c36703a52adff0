//! `BACKUP` and `RESTORE`.

use super::{Kind, Parser};
use crate::sql::{
    ast::{Backup, Expr, MediaOption, Named, Restore, RestoreKind, StatementKind as S},
    message::{self, SqlResult},
};

impl Parser<'_> {
    pub(super) fn backup(&mut self) -> SqlResult<S> {
        self.advance();
        let log = self.accept("LOG");
        if !log && !self.accept("DATABASE") {
            return Err(self.not_played("BACKUP"));
        }
        let database = self.named()?;
        if self.is_sign(",") || self.is_word("FILE") || self.is_word("FILEGROUP") {
            return Err(message::not_implemented("BACKUP of single files").at(self.line()));
        }
        self.expect("TO")?;
        let file = self.device("BACKUP")?;
        if self.is_word("MIRROR") {
            return Err(message::not_implemented("BACKUP … MIRROR TO").at(self.line()));
        }
        let options = self.media_options()?;
        Ok(S::Backup(Box::new(Backup {
            log,
            database,
            file,
            options,
        })))
    }

    pub(super) fn restore(&mut self) -> SqlResult<S> {
        self.advance();
        let kind = [
            ("DATABASE", RestoreKind::Database),
            ("HEADERONLY", RestoreKind::HeaderOnly),
            ("FILELISTONLY", RestoreKind::FileListOnly),
            ("LABELONLY", RestoreKind::LabelOnly),
            ("VERIFYONLY", RestoreKind::VerifyOnly),
        ]
        .into_iter()
        .find(|(word, _)| self.is_word(word));
        let Some((_, kind)) = kind else {
            return Err(self.not_played("RESTORE"));
        };
        self.advance();
        let database = if kind == RestoreKind::Database {
            Some(self.named()?)
        } else {
            None
        };
        if self.is_sign(",")
            || self.is_word("FILE")
            || self.is_word("FILEGROUP")
            || self.is_word("PAGE")
        {
            return Err(message::not_implemented("RESTORE of single files").at(self.line()));
        }
        if kind == RestoreKind::Database && !self.is_word("FROM") {
            return Err(message::not_implemented("RESTORE DATABASE without FROM").at(self.line()));
        }
        self.expect("FROM")?;
        let file = self.device("RESTORE")?;
        let options = self.media_options()?;
        Ok(S::Restore(Box::new(Restore {
            kind,
            database,
            file,
            options,
        })))
    }

    fn not_played(&self, verb: &str) -> message::SqlError {
        match self.kind() {
            Kind::Word(w) => message::not_implemented(format!("{verb} {}", w.to_ascii_uppercase()))
                .at(self.line()),
            _ => self.unexpected(),
        }
    }

    fn named(&mut self) -> SqlResult<Named> {
        if let Kind::Variable(name) = self.kind().clone() {
            self.advance();
            return Ok(Named::Variable(name));
        }
        self.identifier().map(Named::Name)
    }

    /// `DISK = 'path'`; everything else that SQL Server reads or writes is not played.
    fn device(&mut self, verb: &str) -> SqlResult<Expr> {
        if !(self.is_word("DISK") && self.is_sign_ahead(1, "=")) {
            let what = match self.kind() {
                Kind::Word(w)
                    if w.eq_ignore_ascii_case("TAPE") || w.eq_ignore_ascii_case("URL") =>
                {
                    format!("{verb} … {}", w.to_ascii_uppercase())
                }
                Kind::Word(w) if w.eq_ignore_ascii_case("DATABASE_SNAPSHOT") => {
                    "RESTORE … FROM DATABASE_SNAPSHOT".to_owned()
                }
                Kind::Word(_) | Kind::Quoted(_) | Kind::Variable(_) => {
                    format!("{verb} with a backup device of its own")
                }
                _ => return Err(self.unexpected()),
            };
            return Err(message::not_implemented(what).at(self.line()));
        }
        self.advance();
        self.advance();
        let file = self.media_value()?;
        if self.is_sign(",") {
            return Err(
                message::not_implemented(format!("{verb} over several files")).at(self.line()),
            );
        }
        Ok(file)
    }

    /// A text, a number or a variable.
    fn media_value(&mut self) -> SqlResult<Expr> {
        match self.kind().clone() {
            Kind::Text(..) | Kind::Integer(_) | Kind::Variable(_) => self.expression(),
            _ => Err(self.unexpected()),
        }
    }

    fn media_options(&mut self) -> SqlResult<Vec<MediaOption>> {
        let mut out = Vec::new();
        if !self.accept("WITH") {
            return Ok(out);
        }
        loop {
            let word = self.any_word()?;
            let mut option = MediaOption {
                word,
                value: None,
                to: None,
            };
            if option.word == "MOVE" {
                option.value = Some(self.media_value()?);
                self.expect("TO")?;
                option.to = Some(self.media_value()?);
            } else if self.sign("=") {
                option.value = Some(self.media_value()?);
            } else if self.is_sign("(") {
                return Err(
                    message::not_implemented(format!("{} ( … )", option.word)).at(self.line())
                );
            }
            out.push(option);
            if !self.sign(",") {
                return Ok(out);
            }
        }
    }
}
