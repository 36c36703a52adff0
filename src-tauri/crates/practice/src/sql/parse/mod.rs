//! T-SQL's grammar, as far as the practice host speaks it.
//!
//! Written by hand rather than over a SQL parser crate: statements in T-SQL need no separator, errors name
//! the word and the line they were found at, and half of what clients send at connect is outside the common grammar.

mod backup;
mod change;
mod definition;
mod expression;
mod module;
mod query;
mod reserved;
mod security;
mod statement;
mod table;

pub(crate) use reserved::is_reserved;

use super::{
    ast::{Expr, Name, Parameter, Statement},
    lexer::{self, Kind, Token},
    message::{self, Message, SqlError, SqlResult},
    types::Type,
};

/// How deep statements and expressions nest. Every level costs stack; SQL Server has such a limit too.
const DEPTH: u32 = 100;

/// Reads a whole batch.
///
/// # Errors
/// 102 and its like, with the line.
pub(crate) fn batch(sql: &str, quoted_identifier: bool) -> SqlResult<Vec<Statement>> {
    let mut p = Parser::new(sql, quoted_identifier)?;
    let statements = p.statements(&[])?;
    if p.is_end() {
        Ok(statements)
    } else {
        Err(p.unexpected())
    }
}

/// Reads one expression alone, such as a default or a check that was kept as text.
pub(crate) fn expression(sql: &str) -> SqlResult<Expr> {
    let mut p = Parser::new(sql, true)?;
    let e = p.condition()?;
    if p.is_end() {
        Ok(e)
    } else {
        Err(p.unexpected())
    }
}

/// Reads `@a int, @b nvarchar(10) OUTPUT`, as `sp_executesql` declares its parameters.
pub(crate) fn parameters(sql: &str) -> SqlResult<Vec<Parameter>> {
    let mut p = Parser::new(sql, true)?;
    let mut out = Vec::new();
    if !p.is_end() {
        out = p.parameter_list()?;
    }
    if p.is_end() {
        Ok(out)
    } else {
        Err(p.unexpected())
    }
}

/// A stored procedure: its parameters and its body, read from `CREATE PROCEDURE …`.
pub(crate) fn procedure(sql: &str) -> SqlResult<(Vec<Parameter>, Vec<Statement>)> {
    let mut p = Parser::new(sql, true)?;
    p.procedure_parts()
}

/// The query of a view, read from `CREATE VIEW …`.
pub(crate) fn view(sql: &str) -> SqlResult<super::ast::Query> {
    let mut p = Parser::new(sql, true)?;
    p.view_query()
}

/// Reads a name such as `dbo.[my table]`. `None`: it is not one.
pub(crate) fn name(text: &str) -> Option<Name> {
    let mut p = Parser::new(text, true).ok()?;
    let name = p.name().ok()?;
    p.is_end().then_some(name)
}

pub(crate) struct Parser<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
}

static END: Token = Token {
    kind: Kind::End,
    line: 1,
    start: 0,
    end: 0,
};

impl<'a> Parser<'a> {
    fn new(sql: &'a str, quoted_identifier: bool) -> SqlResult<Self> {
        Ok(Self {
            sql,
            tokens: lexer::tokens(sql, quoted_identifier)?,
            at: 0,
            depth: 0,
        })
    }

    fn token(&self) -> &Token {
        self.tokens
            .get(self.at)
            .or(self.tokens.last())
            .unwrap_or(&END)
    }

    fn ahead(&self, n: usize) -> &Kind {
        self.tokens
            .get(self.at.saturating_add(n))
            .map_or(&Kind::End, |t| &t.kind)
    }

    fn kind(&self) -> &Kind {
        &self.token().kind
    }

    fn line(&self) -> u32 {
        self.token().line
    }

    fn is_end(&self) -> bool {
        matches!(self.kind(), Kind::End)
    }

    fn advance(&mut self) {
        self.at = self
            .at
            .saturating_add(1)
            .min(self.tokens.len().saturating_sub(1));
    }

    /// The text of the tokens from `start` to here.
    fn text_since(&self, start: usize) -> &'a str {
        let end = self
            .at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(0, |t| t.end);
        self.sql.get(start..end).unwrap_or("")
    }

    fn unexpected(&self) -> SqlError {
        let near = match self.kind() {
            Kind::End => match self.at.checked_sub(1).and_then(|at| self.tokens.get(at)) {
                Some(last) => self.sql.get(last.start..last.end).unwrap_or(""),
                None => "",
            },
            Kind::Word(w) if is_reserved(w) => {
                return Message::new(
                    156,
                    15,
                    1,
                    format!("Incorrect syntax near the keyword '{w}'."),
                )
                .ending(message::Ends::Batch)
                .at(self.line());
            }
            Kind::Text(t, _) | Kind::Quoted(t) => t,
            _ => self
                .sql
                .get(self.token().start..self.token().end)
                .unwrap_or(""),
        };
        message::syntax(near, self.line())
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), Kind::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn is_word_ahead(&self, n: usize, word: &str) -> bool {
        matches!(self.ahead(n), Kind::Word(w) if w.eq_ignore_ascii_case(word))
    }

    /// Whether the next words are these, one after the other.
    fn are_words(&self, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(n, w)| self.is_word_ahead(n, w))
    }

    fn accept(&mut self, word: &str) -> bool {
        let yes = self.is_word(word);
        if yes {
            self.advance();
        }
        yes
    }

    fn accept_words(&mut self, words: &[&str]) -> bool {
        let yes = self.are_words(words);
        if yes {
            for _ in words {
                self.advance();
            }
        }
        yes
    }

    fn expect(&mut self, word: &str) -> SqlResult<()> {
        if self.accept(word) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind(), Kind::Sign(s) if *s == sign)
    }

    fn is_sign_ahead(&self, n: usize, sign: &str) -> bool {
        matches!(self.ahead(n), Kind::Sign(s) if *s == sign)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let yes = self.is_sign(sign);
        if yes {
            self.advance();
        }
        yes
    }

    fn expect_sign(&mut self, sign: &str) -> SqlResult<()> {
        if self.sign(sign) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Runs one level deeper.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        if self.depth >= DEPTH {
            return Err(message::too_deep(self.line()));
        }
        self.depth = self.depth.saturating_add(1);
        let out = f(self);
        self.depth = self.depth.saturating_sub(1);
        out
    }

    /// An identifier; reserved words must be quoted.
    fn identifier(&mut self) -> SqlResult<String> {
        let text = match self.kind() {
            Kind::Word(w) if !is_reserved(w) => w.clone(),
            Kind::Quoted(q) => {
                if q.is_empty() {
                    return Err(Message::new(
                        1038,
                        15,
                        4,
                        "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name. For other statements, look for empty alias names. Aliases defined as \"\" or [] are not allowed. Change the alias to a valid name.",
                    )
                    .ending(message::Ends::Batch)
                    .at(self.line()));
                }
                q.clone()
            }
            _ => return Err(self.unexpected()),
        };
        if text.encode_utf16().count() > 128 {
            return Err(Message::new(
                103,
                15,
                4,
                format!(
                    "The identifier that starts with '{}' is too long. Maximum length is 128.",
                    text.chars().take(124).collect::<String>()
                ),
            )
            .ending(message::Ends::Batch)
            .at(self.line()));
        }
        self.advance();
        Ok(text)
    }

    fn is_identifier(&self) -> bool {
        match self.kind() {
            Kind::Word(w) => !is_reserved(w),
            Kind::Quoted(_) => true,
            _ => false,
        }
    }

    /// Any word, also a reserved one, upper case.
    fn any_word(&mut self) -> SqlResult<String> {
        match self.kind() {
            Kind::Word(w) => {
                let w = w.to_ascii_uppercase();
                self.advance();
                Ok(w)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `a`, `a.b`, `a..c`, `a.b.c.d`
    fn name(&mut self) -> SqlResult<Name> {
        let mut parts = vec![self.identifier()?];
        while self.is_sign(".") {
            self.advance();
            if self.is_sign(".") {
                parts.push(String::new());
                continue;
            }
            // Behind a dot, a reserved word is still refused, except those that columns are often called.
            parts.push(match self.kind() {
                Kind::Word(w) => {
                    let w = w.clone();
                    self.advance();
                    w
                }
                _ => self.identifier()?,
            });
        }
        if parts.len() > 4 {
            return Err(Message::new(
                117,
                15,
                1,
                format!("The object name '{}' contains more than the maximum number of prefixes. The maximum is 3.", parts.join(".")),
            )
            .ending(message::Ends::Batch)
            .at(self.line()));
        }
        Ok(parts)
    }

    fn identifier_list(&mut self) -> SqlResult<Vec<String>> {
        self.expect_sign("(")?;
        let mut out = vec![self.identifier()?];
        while self.sign(",") {
            out.push(self.identifier()?);
        }
        self.expect_sign(")")?;
        Ok(out)
    }

    fn text(&mut self) -> SqlResult<String> {
        match self.kind() {
            Kind::Text(t, _) => {
                let t = t.clone();
                self.advance();
                Ok(t)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn integer(&mut self) -> SqlResult<i64> {
        let negative = self.sign("-");
        match self.kind() {
            Kind::Integer(n) => {
                let n: i64 = n.parse().map_err(|_| self.unexpected())?;
                self.advance();
                Ok(if negative { n.wrapping_neg() } else { n })
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A type's name with its arguments. `default_length`: see [`Type::parse`].
    fn type_name(&mut self, default_length: u16) -> SqlResult<Type> {
        let line = self.line();
        let mut word = match self.kind() {
            Kind::Word(w) => w.clone(),
            Kind::Quoted(q) => q.clone(),
            _ => return Err(self.unexpected()),
        };
        self.advance();
        if word.eq_ignore_ascii_case("sys") && self.sign(".") {
            word = self.identifier()?;
        } else if self.is_sign(".") {
            self.advance();
            word = self.identifier()?;
        }
        if word.eq_ignore_ascii_case("national") {
            word = format!("{word} {}", self.any_word()?);
        }
        if (word.eq_ignore_ascii_case("double") && self.accept("precision"))
            || self.accept("varying")
        {
            word = if word.eq_ignore_ascii_case("double") {
                "double precision".to_owned()
            } else {
                format!("{word} varying")
            };
        }
        let mut args = Vec::new();
        if self.sign("(") {
            loop {
                if self.accept("max") {
                    args.push(None);
                } else {
                    args.push(Some(
                        u32::try_from(self.integer()?).map_err(|_| self.unexpected())?,
                    ));
                }
                if !self.sign(",") {
                    break;
                }
            }
            self.expect_sign(")")?;
        }
        match Type::parse(&word, &args, default_length) {
            Some(ty) => Ok(ty),
            None if Type::parse(&word, &[], 1).is_some() => {
                let limit = if word.to_ascii_lowercase().starts_with('n') {
                    4000
                } else {
                    8000
                };
                Err(Message::new(
                    131,
                    15,
                    2,
                    format!("The size given to the type '{word}' exceeds the maximum allowed for any data type ({limit})."),
                )
                .ending(message::Ends::Batch)
                .at(line))
            }
            None => {
                let known = [
                    "xml",
                    "geometry",
                    "geography",
                    "hierarchyid",
                    "cursor",
                    "table",
                    "json",
                    "vector",
                ];
                if known.iter().any(|k| word.eq_ignore_ascii_case(k)) {
                    return Err(message::not_implemented(format!(
                        "The data type {}",
                        word.to_ascii_lowercase()
                    ))
                    .at(line));
                }
                Err(Message::new(
                    2715,
                    16,
                    6,
                    format!("Column, parameter, or variable #1: Cannot find data type {word}."),
                )
                .ending(message::Ends::Batch)
                .at(line))
            }
        }
    }

    /// Skips `( … )` with everything inside, where it is there.
    fn skip_parentheses(&mut self) -> SqlResult<()> {
        if !self.is_sign("(") {
            return Ok(());
        }
        let mut open = 0_u32;
        loop {
            if self.is_end() {
                return Err(self.unexpected());
            }
            if self.is_sign("(") {
                open = open.saturating_add(1);
            } else if self.is_sign(")") {
                open = open.saturating_sub(1);
            }
            self.advance();
            if open == 0 {
                return Ok(());
            }
        }
    }

    fn parameter_list(&mut self) -> SqlResult<Vec<Parameter>> {
        let mut out = Vec::new();
        loop {
            let Kind::Variable(name) = self.kind().clone() else {
                return Err(self.unexpected());
            };
            self.advance();
            self.accept("AS");
            let ty = self.type_name(1)?;
            self.accept_words(&["NOT", "NULL"]);
            self.accept("NULL");
            let default = if self.sign("=") {
                Some(self.expression()?)
            } else {
                None
            };
            let output = self.accept("OUTPUT") || self.accept("OUT");
            self.accept("READONLY");
            out.push(Parameter {
                name,
                ty,
                default,
                output,
            });
            if !self.sign(",") {
                return Ok(out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_reserved_words_are_in_order() {
        assert!(
            reserved::RESERVED.windows(2).all(|w| w[0] < w[1]),
            "the binary search needs it"
        );
    }

    /// Runs on a stack as large as a session's.
    fn deep(f: impl FnOnce() + Send + 'static) {
        std::thread::Builder::new()
            .stack_size(crate::sql::session::STACK)
            .spawn(f)
            .unwrap()
            .join()
            .unwrap();
    }

    #[test]
    fn nesting_has_a_bound() {
        deep(|| {
            assert_eq!(batch(&"(".repeat(5000), true).unwrap_err().class, 15);
            let nested = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
            assert_eq!(batch(&nested, true).unwrap_err().number, 191);
            assert_eq!(batch(&"BEGIN ".repeat(5000), true).unwrap_err().number, 191);
            assert_eq!(
                batch(&format!("SELECT 1{}", "+1".repeat(5000)), true)
                    .unwrap_err()
                    .number,
                191
            );
            assert!(batch(&format!("SELECT 1{}", "+1".repeat(1000)), true).is_ok());
        });
    }

    #[test]
    fn errors_name_the_word_and_the_line() {
        let e = batch("SELECT 1\nSELEC 2", true).unwrap_err();
        assert_eq!(
            (e.number, e.line, e.text.as_str()),
            (102, 2, "Incorrect syntax near '2'.")
        );
        let e = batch("SELECT * FROM WHERE", true).unwrap_err();
        assert_eq!(
            (e.number, e.text.as_str()),
            (156, "Incorrect syntax near the keyword 'WHERE'.")
        );
    }

    proptest! {
        #[test]
        fn no_text_brings_the_parser_down(words in proptest::collection::vec(
            prop_oneof![
                Just("SELECT"), Just("FROM"), Just("("), Just(")"), Just("CASE"), Just("WHEN"), Just("END"), Just("@x"),
                Just("="), Just("1"), Just("'a'"), Just("CREATE"), Just("TABLE"), Just("t"), Just("BEGIN"), Just("IF"),
                Just(","), Just("NOT"), Just("IN"), Just("EXEC"), Just("ALTER"), Just("LOGIN"), Just("WITH"), Just("."),
            ],
            0..30,
        )) {
            let _ = batch(&words.join(" "), true);
        }
    }
}
