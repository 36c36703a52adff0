//! T-SQL's tokens.

use super::message::{self, SqlResult};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A bare word: keyword or identifier.
    Word(String),
    /// `[name]` or `"name"`: always an identifier.
    Quoted(String),
    /// `@x`, `@@x`.
    Variable(String),
    /// `'…'` (false) or `N'…'` (true).
    Text(String, bool),
    /// Digits without point and exponent.
    Integer(String),
    /// Digits with a point.
    Decimal(String),
    /// With an exponent.
    Float(String),
    /// `0x…`
    Binary(Vec<u8>),
    /// `$1.20`
    Money(String),
    /// Punctuation and operators, one or two characters.
    Sign(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Line in the text, from 1.
    pub(crate) line: u32,
    /// Where it begins and ends in the text, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

const SIGNS: [&str; 40] = [
    "<=", ">=", "<>", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "::", "(",
    ")", ",", ";", ".", "=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", ":", "{", "}",
    "!", "?", "#", "\\", "$",
];

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '#'
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '#' | '@' | '$')
}

/// Splits a batch into tokens. `quoted_identifier`: whether `"x"` is a name or a text.
pub(crate) fn tokens(sql: &str, quoted_identifier: bool) -> SqlResult<Vec<Token>> {
    Lexer {
        sql,
        at: 0,
        line: 1,
        quoted_identifier,
    }
    .run()
}

/// Most tokens of one batch: a bound on what a batch of the largest size can cost.
const TOKENS: usize = 1_000_000;

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    line: u32,
    quoted_identifier: bool,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.sql.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at = self.at.saturating_add(c.len_utf8());
        if c == '\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(c)
    }

    fn run(mut self) -> SqlResult<Vec<Token>> {
        let mut out = Vec::new();
        loop {
            self.skip_blanks()?;
            let (start, line) = (self.at, self.line);
            let Some(c) = self.peek() else {
                out.push(Token {
                    kind: Kind::End,
                    line,
                    start,
                    end: start,
                });
                return Ok(out);
            };
            let kind = self.token(c, line)?;
            if out.len() >= TOKENS {
                return Err(message::out_of_memory().at(line));
            }
            out.push(Token {
                kind,
                line,
                start,
                end: self.at,
            });
        }
    }

    fn skip_blanks(&mut self) -> SqlResult<()> {
        loop {
            let rest = self.rest();
            if rest.starts_with("--") {
                let end = rest.find('\n').unwrap_or(rest.len());
                self.at = self.at.saturating_add(end);
            } else if rest.starts_with("/*") {
                let opened = self.line;
                let mut depth = 0_u32;
                loop {
                    let rest = self.rest();
                    if rest.starts_with("/*") {
                        depth = depth.saturating_add(1);
                        self.at = self.at.saturating_add(2);
                    } else if rest.starts_with("*/") {
                        depth = depth.saturating_sub(1);
                        self.at = self.at.saturating_add(2);
                        if depth == 0 {
                            break;
                        }
                    } else if self.bump().is_none() {
                        return Err(message::unclosed_comment(opened));
                    }
                }
            } else if rest.starts_with(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\0')
            {
                self.bump();
            } else {
                return Ok(());
            }
        }
    }

    /// Reads up to a closing mark; the mark doubled stands for itself.
    fn quoted(&mut self, close: char, line: u32) -> SqlResult<String> {
        let mut out = String::new();
        loop {
            match self.bump() {
                Some(c) if c == close => {
                    if self.peek() == Some(close) {
                        self.bump();
                        out.push(close);
                    } else {
                        return Ok(out);
                    }
                }
                // A backslash before a line break joins the lines.
                Some('\\')
                    if close == '\''
                        && (self.rest().starts_with('\n') || self.rest().starts_with("\r\n")) =>
                {
                    if self.bump() == Some('\r') {
                        self.bump();
                    }
                }
                Some(c) => out.push(c),
                None => return Err(message::unclosed_quote(&out, line)),
            }
        }
    }

    fn take_while(&mut self, f: impl Fn(char) -> bool) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek().filter(|c| f(*c)) {
            out.push(c);
            self.bump();
        }
        out
    }

    fn token(&mut self, c: char, line: u32) -> SqlResult<Kind> {
        if self.rest().starts_with("N'") || self.rest().starts_with("n'") {
            self.bump();
            self.bump();
            return Ok(Kind::Text(self.quoted('\'', line)?, true));
        }
        match c {
            '\'' => {
                self.bump();
                Ok(Kind::Text(self.quoted('\'', line)?, false))
            }
            '[' => {
                self.bump();
                Ok(Kind::Quoted(self.quoted(']', line)?))
            }
            '"' => {
                self.bump();
                let text = self.quoted('"', line)?;
                Ok(if self.quoted_identifier {
                    Kind::Quoted(text)
                } else {
                    Kind::Text(text, false)
                })
            }
            '@' => {
                let name = self.take_while(in_word);
                Ok(Kind::Variable(name))
            }
            '$' if self
                .rest()
                .chars()
                .nth(1)
                .is_some_and(|d| d.is_ascii_digit() || d == '.') =>
            {
                self.bump();
                Ok(Kind::Money(
                    self.take_while(|c| c.is_ascii_digit() || c == '.'),
                ))
            }
            _ if c.is_ascii_digit()
                || (c == '.'
                    && self
                        .rest()
                        .chars()
                        .nth(1)
                        .is_some_and(|d| d.is_ascii_digit())) =>
            {
                Ok(self.number())
            }
            // `$action`, `$identity`
            '$' if self.rest().chars().nth(1).is_some_and(char::is_alphabetic) => {
                Ok(Kind::Word(self.take_while(in_word)))
            }
            _ if starts_word(c) => Ok(Kind::Word(self.take_while(in_word))),
            _ => {
                let rest = self.rest();
                match SIGNS.iter().find(|s| rest.starts_with(**s)) {
                    Some(sign) => {
                        self.at = self.at.saturating_add(sign.len());
                        Ok(Kind::Sign(sign))
                    }
                    None => Err(message::syntax(&c.to_string(), line)),
                }
            }
        }
    }

    fn number(&mut self) -> Kind {
        let rest = self.rest();
        if rest.starts_with("0x") || rest.starts_with("0X") {
            self.bump();
            self.bump();
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            return Kind::Binary(super::convert::unhex(&digits).unwrap_or_default());
        }
        let mut text = self.take_while(|c| c.is_ascii_digit());
        let mut point = false;
        if self.peek() == Some('.') {
            self.bump();
            point = true;
            text.push('.');
            text.push_str(&self.take_while(|c| c.is_ascii_digit()));
        }
        let rest = self.rest();
        let mut after = rest.chars();
        if matches!(after.next(), Some('e' | 'E')) {
            let second = after.next();
            let signed = matches!(second, Some('+' | '-'));
            if second.is_some_and(|c| c.is_ascii_digit())
                || (signed && after.next().is_some_and(|c| c.is_ascii_digit()))
            {
                self.bump();
                text.push('e');
                if signed {
                    text.extend(self.bump());
                }
                text.push_str(&self.take_while(|c| c.is_ascii_digit()));
                return Kind::Float(text);
            }
        }
        if point {
            Kind::Decimal(text)
        } else {
            Kind::Integer(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(sql: &str) -> Vec<Kind> {
        tokens(sql, true)
            .unwrap()
            .into_iter()
            .map(|t| t.kind)
            .collect()
    }

    #[test]
    fn names_and_texts_keep_their_doubled_marks() {
        assert_eq!(
            kinds("SELECT [a]]b], N'it''s', \"c\"\"d\" -- x"),
            vec![
                Kind::Word("SELECT".into()),
                Kind::Quoted("a]b".into()),
                Kind::Sign(","),
                Kind::Text("it's".into(), true),
                Kind::Sign(","),
                Kind::Quoted("c\"d".into()),
                Kind::End,
            ]
        );
        assert_eq!(
            kinds("1.5e3 .5 0x0aF $2.5 @@ROWCOUNT a::b")[..5],
            [
                Kind::Float("1.5e3".into()),
                Kind::Decimal(".5".into()),
                Kind::Binary(vec![0x00, 0xaf]),
                Kind::Money("2.5".into()),
                Kind::Variable("@@ROWCOUNT".into()),
            ]
        );
        assert_eq!(tokens("SELECT 'open", true).unwrap_err().number, 105);
        assert_eq!(tokens("/* /* */", true).unwrap_err().number, 113);
        assert_eq!(tokens("a\nb", true).unwrap()[1].line, 2);
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(sql in ".{0,200}") {
            let _ = tokens(&sql, true);
            let _ = tokens(&sql, false);
        }

        #[test]
        fn a_quoted_text_comes_back_whole(text in any::<String>().prop_filter("line joins", |t| !t.contains('\\'))) {
            let sql = format!("N'{}'", text.replace('\'', "''"));
            prop_assert_eq!(&kinds(&sql)[0], &Kind::Text(text, true));
        }
    }
}
