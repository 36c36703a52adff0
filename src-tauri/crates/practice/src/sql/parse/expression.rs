//! Expressions and conditions.

use super::{Kind, Parser};
use crate::sql::{
    ast::{Binary, Call, Compare, Expr, Order, Unary, Window},
    decimal::Decimal,
    message::{self, Message, SqlResult},
    types::{MAX, Type},
    value::Value,
};

/// How long a chain of operators may be. Its tree is as deep as the chain is long, and walking it costs stack.
const CHAIN: usize = 1500;

impl Parser<'_> {
    /// A condition or a value: everything down from `OR`.
    pub(crate) fn condition(&mut self) -> SqlResult<Expr> {
        self.deeper(|p| {
            let mut left = p.conjunction()?;
            let mut links = 0_usize;
            while p.accept("OR") {
                p.link(&mut links)?;
                left = Expr::Or(Box::new(left), Box::new(p.conjunction()?));
            }
            Ok(left)
        })
    }

    fn link(&self, links: &mut usize) -> SqlResult<()> {
        *links = links.saturating_add(1);
        if *links > CHAIN {
            Err(message::too_deep(self.line()))
        } else {
            Ok(())
        }
    }

    fn conjunction(&mut self) -> SqlResult<Expr> {
        let mut left = self.negation()?;
        let mut links = 0_usize;
        while self.accept("AND") {
            self.link(&mut links)?;
            left = Expr::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> SqlResult<Expr> {
        if self.accept("NOT") {
            return self.deeper(|p| Ok(Expr::Not(Box::new(p.negation()?))));
        }
        self.predicate()
    }

    fn comparison_sign(&mut self) -> Option<Compare> {
        let op = match self.kind() {
            Kind::Sign("=") => Compare::Equal,
            Kind::Sign("<>" | "!=") => Compare::NotEqual,
            Kind::Sign("<" | "!>=") => Compare::Less,
            Kind::Sign("<=" | "!>") => Compare::LessOrEqual,
            Kind::Sign(">") => Compare::Greater,
            Kind::Sign(">=" | "!<") => Compare::GreaterOrEqual,
            _ => return None,
        };
        self.advance();
        Some(op)
    }

    fn predicate(&mut self) -> SqlResult<Expr> {
        if self.is_word("EXISTS") && self.is_sign_ahead(1, "(") {
            self.advance();
            self.expect_sign("(")?;
            let query = self.query()?;
            self.expect_sign(")")?;
            return Ok(Expr::Exists(Box::new(query)));
        }
        let left = self.expression()?;
        if let Some(op) = self.comparison_sign() {
            if self.is_word("ALL") || self.is_word("ANY") || self.is_word("SOME") {
                let all = self.is_word("ALL");
                self.advance();
                self.expect_sign("(")?;
                let query = self.query()?;
                self.expect_sign(")")?;
                return Ok(Expr::Quantified {
                    op,
                    left: Box::new(left),
                    all,
                    query: Box::new(query),
                });
            }
            let right = self.expression()?;
            return Ok(Expr::Compare(op, Box::new(left), Box::new(right)));
        }
        if self.accept("IS") {
            let negated = self.accept("NOT");
            if self.accept_words(&["DISTINCT", "FROM"]) {
                return Err(message::not_implemented("IS DISTINCT FROM").at(self.line()));
            }
            self.expect("NULL")?;
            return Ok(Expr::IsNull(Box::new(left), negated));
        }
        let negated = self.accept("NOT");
        if self.accept("BETWEEN") {
            let low = self.expression()?;
            self.expect("AND")?;
            let high = self.expression()?;
            return Ok(Expr::Between {
                expr: Box::new(left),
                low: Box::new(low),
                high: Box::new(high),
                negated,
            });
        }
        if self.accept("LIKE") {
            let pattern = self.expression()?;
            let escape = if self.accept("ESCAPE") {
                Some(Box::new(self.expression()?))
            } else {
                None
            };
            return Ok(Expr::Like {
                expr: Box::new(left),
                pattern: Box::new(pattern),
                escape,
                negated,
            });
        }
        if self.accept("IN") {
            self.expect_sign("(")?;
            if self.is_word("SELECT") || self.is_word("WITH") {
                let query = self.query()?;
                self.expect_sign(")")?;
                return Ok(Expr::InQuery {
                    expr: Box::new(left),
                    query: Box::new(query),
                    negated,
                });
            }
            let list = self.expression_list()?;
            self.expect_sign(")")?;
            return Ok(Expr::In {
                expr: Box::new(left),
                list,
                negated,
            });
        }
        if negated {
            return Err(self.unexpected());
        }
        Ok(left)
    }

    pub(super) fn expression_list(&mut self) -> SqlResult<Vec<Expr>> {
        let mut out = vec![self.expression()?];
        while self.sign(",") {
            out.push(self.expression()?);
        }
        Ok(out)
    }

    /// A value.
    pub(crate) fn expression(&mut self) -> SqlResult<Expr> {
        self.deeper(|p| {
            let mut left = p.term()?;
            let mut links = 0_usize;
            loop {
                let op = match p.kind() {
                    Kind::Sign("+") => Binary::Add,
                    Kind::Sign("-") => Binary::Subtract,
                    Kind::Sign("&") => Binary::BitAnd,
                    Kind::Sign("|") => Binary::BitOr,
                    Kind::Sign("^") => Binary::BitXor,
                    _ => return Ok(left),
                };
                p.link(&mut links)?;
                p.advance();
                left = Expr::Binary(op, Box::new(left), Box::new(p.term()?));
            }
        })
    }

    fn term(&mut self) -> SqlResult<Expr> {
        let mut left = self.factor()?;
        let mut links = 0_usize;
        loop {
            let op = match self.kind() {
                Kind::Sign("*") => Binary::Multiply,
                Kind::Sign("/") => Binary::Divide,
                Kind::Sign("%") => Binary::Modulo,
                _ => return Ok(left),
            };
            self.link(&mut links)?;
            self.advance();
            left = Expr::Binary(op, Box::new(left), Box::new(self.factor()?));
        }
    }

    fn factor(&mut self) -> SqlResult<Expr> {
        let op = match self.kind() {
            Kind::Sign("-") => Unary::Minus,
            Kind::Sign("+") => Unary::Plus,
            Kind::Sign("~") => Unary::BitNot,
            _ => {
                let mut e = self.primary()?;
                loop {
                    if self.accept("COLLATE") {
                        e = Expr::Collate(Box::new(e), self.identifier()?);
                    } else if self.are_words(&["AT", "TIME", "ZONE"]) {
                        return Err(message::not_implemented("AT TIME ZONE").at(self.line()));
                    } else {
                        return Ok(e);
                    }
                }
            }
        };
        self.advance();
        self.deeper(|p| {
            let inner = p.factor()?;
            // -2147483648 is an int although 2147483648 is not.
            if op == Unary::Minus
                && let Expr::Literal(Value::Decimal(d), Type::Decimal(_, 0)) = &inner
                && let Some(n) = d.negate().to_i64()
                && i32::try_from(n).is_ok()
            {
                return Ok(Expr::Literal(Value::Int(n), Type::Int));
            }
            Ok(Expr::Unary(op, Box::new(inner)))
        })
    }

    fn primary(&mut self) -> SqlResult<Expr> {
        let literal = |v, t| Ok(Expr::Literal(v, t));
        match self.kind().clone() {
            Kind::Integer(digits) => {
                self.advance();
                if let Ok(n) = digits.parse::<i32>() {
                    return literal(Value::Int(i64::from(n)), Type::Int);
                }
                self.decimal_literal(&digits)
            }
            Kind::Decimal(digits) => {
                self.advance();
                self.decimal_literal(&digits)
            }
            Kind::Float(text) => {
                let f = text.parse::<f64>().ok().filter(|f| f.is_finite());
                let f = f.ok_or_else(|| {
                    Message::new(168, 15, 1, format!("The floating point value '{text}' is out of the range of computer representation (8 bytes)."))
                        .ending(message::Ends::Batch)
                        .at(self.line())
                })?;
                self.advance();
                literal(Value::Float(f), Type::Float)
            }
            Kind::Money(text) => {
                self.advance();
                let d = Decimal::parse(&text)
                    .and_then(|d| d.rescale(4))
                    .ok_or_else(|| self.unexpected())?;
                literal(Value::Decimal(d), Type::Money)
            }
            Kind::Binary(bytes) => {
                self.advance();
                let ty = Type::VarBinary(
                    u16::try_from(bytes.len())
                        .ok()
                        .filter(|n| *n <= 8000)
                        .unwrap_or(MAX)
                        .max(1),
                );
                literal(Value::binary(bytes), ty)
            }
            Kind::Text(text, unicode) => {
                self.advance();
                let ty = text_type(&text, unicode);
                literal(Value::text(text), ty)
            }
            Kind::Variable(name) => {
                self.advance();
                Ok(if let Some(global) = name.strip_prefix("@@") {
                    Expr::Global(global.to_owned())
                } else {
                    Expr::Variable(name)
                })
            }
            Kind::Sign("(") => {
                self.advance();
                if self.is_word("SELECT") || self.is_word("WITH") {
                    let query = self.query()?;
                    self.expect_sign(")")?;
                    return Ok(Expr::Scalar(Box::new(query)));
                }
                let e = self.condition()?;
                self.expect_sign(")")?;
                Ok(e)
            }
            Kind::Sign("{") => self.odbc_escape(),
            Kind::Sign("*") => Err(self.unexpected()),
            Kind::Word(word) => self.word_expression(&word),
            Kind::Quoted(_) => self.name_or_call(),
            _ => Err(self.unexpected()),
        }
    }

    fn decimal_literal(&self, digits: &str) -> SqlResult<Expr> {
        let d = Decimal::parse(digits).ok_or_else(|| {
            Message::new(1007, 15, 1, format!("The number '{digits}' is out of the range for numeric representation (maximum precision 38)."))
                .ending(message::Ends::Batch)
                .at(self.line())
        })?;
        let precision = u8::try_from(d.mantissa.unsigned_abs().to_string().len())
            .unwrap_or(38)
            .max(d.scale)
            .max(1);
        Ok(Expr::Literal(
            Value::Decimal(d),
            Type::Decimal(precision, d.scale),
        ))
    }

    fn word_expression(&mut self, word: &str) -> SqlResult<Expr> {
        let upper = word.to_ascii_uppercase();
        let called = self.is_sign_ahead(1, "(");
        match upper.as_str() {
            "NULL" => {
                self.advance();
                Ok(Expr::Literal(Value::Null, Type::Null))
            }
            "DEFAULT" => {
                self.advance();
                Ok(Expr::Default)
            }
            "CASE" => self.case(),
            "CAST" | "TRY_CAST" if called => {
                self.advance();
                self.advance();
                let expr = self.condition()?;
                self.expect("AS")?;
                let ty = self.type_name(30)?;
                self.expect_sign(")")?;
                Ok(Expr::Convert {
                    expr: Box::new(expr),
                    ty,
                    style: None,
                    quiet: upper == "TRY_CAST",
                })
            }
            "CONVERT" | "TRY_CONVERT" if called => {
                self.advance();
                self.advance();
                let ty = self.type_name(30)?;
                self.expect_sign(",")?;
                let expr = self.expression()?;
                let style = if self.sign(",") {
                    Some(Box::new(self.expression()?))
                } else {
                    None
                };
                self.expect_sign(")")?;
                Ok(Expr::Convert {
                    expr: Box::new(expr),
                    ty,
                    style,
                    quiet: upper == "TRY_CONVERT",
                })
            }
            "CURRENT_TIMESTAMP" | "CURRENT_USER" | "SESSION_USER" | "SYSTEM_USER" | "USER"
            | "CURRENT_DATE"
                if !called =>
            {
                self.advance();
                Ok(call(&upper, Vec::new()))
            }
            "COALESCE" | "NULLIF" | "LEFT" | "RIGHT" | "SYSTEM_USER" | "SESSION_USER"
            | "UPDATE"
                if called =>
            {
                self.advance();
                self.arguments(vec![upper])
            }
            "TRIM" if called => {
                self.advance();
                self.advance();
                for side in ["LEADING", "TRAILING", "BOTH"] {
                    if self.is_word(side) && !self.is_sign_ahead(1, ")") {
                        return Err(
                            message::not_implemented(format!("TRIM({side} …)")).at(self.line())
                        );
                    }
                }
                let first = self.expression()?;
                let args = if self.accept("FROM") {
                    vec![self.expression()?, first]
                } else {
                    vec![first]
                };
                self.expect_sign(")")?;
                Ok(call("TRIM", args))
            }
            "NEXT" if self.are_words(&["NEXT", "VALUE", "FOR"]) => {
                Err(message::not_implemented("NEXT VALUE FOR").at(self.line()))
            }
            _ => self.name_or_call(),
        }
    }

    fn name_or_call(&mut self) -> SqlResult<Expr> {
        let name = self.name()?;
        if self.is_sign("::") {
            return Err(message::not_implemented("A static method call").at(self.line()));
        }
        if self.is_sign("(") {
            self.arguments(name)
        } else {
            Ok(Expr::Column(name))
        }
    }

    fn arguments(&mut self, name: Vec<String>) -> SqlResult<Expr> {
        self.expect_sign("(")?;
        let mut c = Call {
            name,
            args: Vec::new(),
            star: false,
            distinct: false,
            over: None,
            within: Vec::new(),
        };
        if self.sign("*") {
            c.star = true;
        } else if !self.is_sign(")") {
            c.distinct = self.accept("DISTINCT");
            self.accept("ALL");
            loop {
                // IIF takes a condition first.
                c.args.push(self.condition()?);
                if !self.sign(",") {
                    break;
                }
            }
        }
        self.expect_sign(")")?;
        if self.accept_words(&["WITHIN", "GROUP"]) {
            self.expect_sign("(")?;
            self.expect("ORDER")?;
            self.expect("BY")?;
            c.within = self.order_list()?;
            self.expect_sign(")")?;
        }
        if self.accept("OVER") {
            c.over = Some(self.window()?);
        }
        Ok(Expr::Call(c))
    }

    fn window(&mut self) -> SqlResult<Window> {
        let mut w = Window {
            partition: Vec::new(),
            order: Vec::new(),
            whole: false,
            rows: false,
        };
        self.expect_sign("(")?;
        if self.accept_words(&["PARTITION", "BY"]) {
            w.partition = self.expression_list()?;
        }
        if self.accept_words(&["ORDER", "BY"]) {
            w.order = self.order_list()?;
        }
        if self.is_word("ROWS") || self.is_word("RANGE") {
            w.rows = self.is_word("ROWS");
            self.advance();
            if self.accept("BETWEEN") {
                if !self.accept_words(&["UNBOUNDED", "PRECEDING"]) {
                    return Err(message::not_implemented("This window frame").at(self.line()));
                }
                self.expect("AND")?;
                if self.accept_words(&["UNBOUNDED", "FOLLOWING"]) {
                    w.whole = true;
                } else if !self.accept_words(&["CURRENT", "ROW"]) {
                    return Err(message::not_implemented("This window frame").at(self.line()));
                }
            } else if !self.accept_words(&["UNBOUNDED", "PRECEDING"]) {
                return Err(message::not_implemented("This window frame").at(self.line()));
            }
        }
        self.expect_sign(")")?;
        Ok(w)
    }

    pub(super) fn order_list(&mut self) -> SqlResult<Vec<Order>> {
        let mut out = Vec::new();
        loop {
            let expr = self.expression()?;
            let descending = if self.accept("DESC") {
                true
            } else {
                self.accept("ASC");
                false
            };
            out.push(Order { expr, descending });
            if !self.sign(",") {
                return Ok(out);
            }
        }
    }

    fn case(&mut self) -> SqlResult<Expr> {
        self.expect("CASE")?;
        let operand = if self.is_word("WHEN") {
            None
        } else {
            Some(Box::new(self.expression()?))
        };
        let mut branches = Vec::new();
        while self.accept("WHEN") {
            let when = if operand.is_some() {
                self.expression()?
            } else {
                self.condition()?
            };
            self.expect("THEN")?;
            branches.push((when, self.expression()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.accept("ELSE") {
            Some(Box::new(self.expression()?))
        } else {
            None
        };
        self.expect("END")?;
        Ok(Expr::Case {
            operand,
            branches,
            otherwise,
        })
    }

    /// `{ts '…'}`, `{d '…'}`, `{t '…'}`, `{fn …}`, `{guid '…'}`.
    fn odbc_escape(&mut self) -> SqlResult<Expr> {
        self.expect_sign("{")?;
        let word = self.any_word()?;
        let e = match word.as_str() {
            "TS" | "D" | "T" | "GUID" => {
                let text = self.text()?;
                let from = text_type(&text, false);
                let ty = if word == "GUID" {
                    Type::Guid
                } else {
                    Type::DateTime
                };
                Expr::Convert {
                    expr: Box::new(Expr::Literal(Value::text(text), from)),
                    ty,
                    style: None,
                    quiet: false,
                }
            }
            "FN" => self.deeper(Self::expression)?,
            _ => return Err(self.unexpected()),
        };
        self.expect_sign("}")?;
        Ok(e)
    }
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Call(Call {
        name: vec![name.to_owned()],
        args,
        star: false,
        distinct: false,
        over: None,
        within: Vec::new(),
    })
}

/// The type of a text literal.
pub(crate) fn text_type(text: &str, unicode: bool) -> Type {
    let units = text.encode_utf16().count();
    let limit = if unicode { 4000 } else { 8000 };
    let n = u16::try_from(units)
        .ok()
        .filter(|n| *n <= limit)
        .map_or(MAX, |n| n.max(1));
    if unicode {
        Type::NVarChar(n)
    } else {
        Type::VarChar(n)
    }
}
