//! `SELECT` and what stands in `FROM`.

use super::{Kind, Parser};
use crate::sql::{
    ast::{Binary, Body, Common, Item, JoinKind, Query, Select, SetOp, Table, Top},
    message::{self, SqlResult},
};

impl Parser<'_> {
    pub(crate) fn query(&mut self) -> SqlResult<Query> {
        self.deeper(|p| {
            let with = p.common_tables()?;
            p.query_after_with(with)
        })
    }

    pub(super) fn common_tables(&mut self) -> SqlResult<Vec<Common>> {
        let mut with = Vec::new();
        if !self.accept("WITH") {
            return Ok(with);
        }
        loop {
            let name = self.identifier()?;
            let columns = if self.is_sign("(") {
                self.identifier_list()?
            } else {
                Vec::new()
            };
            self.expect("AS")?;
            self.expect_sign("(")?;
            let query = self.query()?;
            self.expect_sign(")")?;
            with.push(Common {
                name,
                columns,
                query,
            });
            if !self.sign(",") {
                return Ok(with);
            }
        }
    }

    pub(super) fn query_after_with(&mut self, with: Vec<Common>) -> SqlResult<Query> {
        let body = self.union_body()?;
        let mut q = Query {
            with,
            body,
            order: Vec::new(),
            offset: None,
            fetch: None,
        };
        if self.accept_words(&["ORDER", "BY"]) {
            q.order = self.order_list()?;
            if self.accept("OFFSET") {
                q.offset = Some(self.expression()?);
                if !(self.accept("ROWS") || self.accept("ROW")) {
                    return Err(self.unexpected());
                }
                if self.accept("FETCH") {
                    if !(self.accept("NEXT") || self.accept("FIRST")) {
                        return Err(self.unexpected());
                    }
                    q.fetch = Some(self.expression()?);
                    if !(self.accept("ROWS") || self.accept("ROW")) {
                        return Err(self.unexpected());
                    }
                    self.expect("ONLY")?;
                }
            }
        }
        if self.is_word("FOR") && !self.is_word_ahead(1, "BROWSE") {
            let what = match self.ahead(1) {
                Kind::Word(w) => w.to_ascii_uppercase(),
                _ => return Err(self.unexpected()),
            };
            return Err(message::not_implemented(format!("FOR {what}")).at(self.line()));
        }
        self.accept_words(&["FOR", "BROWSE"]);
        self.option_clause()?;
        Ok(q)
    }

    pub(super) fn option_clause(&mut self) -> SqlResult<()> {
        if self.is_word("OPTION") && self.is_sign_ahead(1, "(") {
            self.advance();
            self.skip_parentheses()?;
        }
        Ok(())
    }

    fn union_body(&mut self) -> SqlResult<Body> {
        let mut left = self.intersect_body()?;
        loop {
            let op = if self.accept("UNION") {
                if self.accept("ALL") {
                    SetOp::UnionAll
                } else {
                    SetOp::Union
                }
            } else if self.accept("EXCEPT") {
                SetOp::Except
            } else {
                return Ok(left);
            };
            let right = self.intersect_body()?;
            left = Body::Set(op, Box::new(left), Box::new(right));
        }
    }

    fn intersect_body(&mut self) -> SqlResult<Body> {
        let mut left = self.simple_body()?;
        while self.accept("INTERSECT") {
            let right = self.simple_body()?;
            left = Body::Set(SetOp::Intersect, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn simple_body(&mut self) -> SqlResult<Body> {
        if self.sign("(") {
            let query = self.query()?;
            self.expect_sign(")")?;
            return Ok(Body::Nested(Box::new(query)));
        }
        if self.is_word("VALUES") {
            return Err(self.unexpected());
        }
        Ok(Body::Select(Box::new(self.select()?)))
    }

    pub(super) fn top(&mut self) -> SqlResult<Option<Top>> {
        if !self.accept("TOP") {
            return Ok(None);
        }
        let count = if self.sign("(") {
            let e = self.expression()?;
            self.expect_sign(")")?;
            e
        } else {
            // Without parentheses it is a number or a variable, so that `TOP 5 *` is not a product.
            match self.kind() {
                Kind::Integer(_) | Kind::Variable(_) | Kind::Decimal(_) => self.literal_only()?,
                _ => return Err(self.unexpected()),
            }
        };
        let percent = self.accept("PERCENT");
        let ties = self.accept_words(&["WITH", "TIES"]);
        Ok(Some(Top {
            count,
            percent,
            ties,
        }))
    }

    fn literal_only(&mut self) -> SqlResult<crate::sql::ast::Expr> {
        use crate::sql::{ast::Expr, types::Type, value::Value};
        match self.kind().clone() {
            Kind::Integer(n) => {
                let n: i64 = n.parse().map_err(|_| self.unexpected())?;
                self.advance();
                Ok(Expr::Literal(Value::Int(n), Type::BigInt))
            }
            Kind::Decimal(n) => {
                let n: f64 = n.parse().map_err(|_| self.unexpected())?;
                self.advance();
                Ok(Expr::Literal(Value::Float(n), Type::Float))
            }
            Kind::Variable(name) => {
                self.advance();
                Ok(Expr::Variable(name))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn select(&mut self) -> SqlResult<Select> {
        self.expect("SELECT")?;
        let mut s = Select {
            distinct: self.accept("DISTINCT"),
            ..Select::default()
        };
        self.accept("ALL");
        s.top = self.top()?;
        s.items = self.items()?;
        if self.accept("INTO") {
            s.into = Some(self.name()?);
        }
        if self.accept("FROM") {
            s.from = Some(self.table_list()?);
        }
        if self.accept("WHERE") {
            s.filter = Some(self.condition()?);
        }
        if self.accept_words(&["GROUP", "BY"]) {
            self.accept("ALL");
            for word in ["ROLLUP", "CUBE", "GROUPING"] {
                if self.is_word(word) {
                    return Err(
                        message::not_implemented(format!("GROUP BY {word}")).at(self.line())
                    );
                }
            }
            if self.is_sign("(") && self.is_sign_ahead(1, ")") {
                self.advance();
                self.advance();
            } else {
                s.group = self.expression_list()?;
            }
            if self.is_word("WITH")
                && (self.is_word_ahead(1, "ROLLUP") || self.is_word_ahead(1, "CUBE"))
            {
                return Err(
                    message::not_implemented("GROUP BY … WITH ROLLUP or CUBE").at(self.line())
                );
            }
        }
        if self.accept("HAVING") {
            s.having = Some(self.condition()?);
        }
        Ok(s)
    }

    pub(super) fn items(&mut self) -> SqlResult<Vec<Item>> {
        let mut out = vec![self.item()?];
        while self.sign(",") {
            out.push(self.item()?);
        }
        Ok(out)
    }

    pub(super) fn assign_sign(&mut self) -> Option<Option<Binary>> {
        let op = match self.kind() {
            Kind::Sign("=") => None,
            Kind::Sign("+=") => Some(Binary::Add),
            Kind::Sign("-=") => Some(Binary::Subtract),
            Kind::Sign("*=") => Some(Binary::Multiply),
            Kind::Sign("/=") => Some(Binary::Divide),
            Kind::Sign("%=") => Some(Binary::Modulo),
            Kind::Sign("&=") => Some(Binary::BitAnd),
            Kind::Sign("|=") => Some(Binary::BitOr),
            Kind::Sign("^=") => Some(Binary::BitXor),
            _ => return None,
        };
        self.advance();
        Some(op)
    }

    fn item(&mut self) -> SqlResult<Item> {
        if self.sign("*") {
            return Ok(Item::Star);
        }
        if let Kind::Variable(name) = self.kind().clone()
            && !name.starts_with("@@")
        {
            let back = self.at;
            self.advance();
            if let Some(op) = self.assign_sign() {
                return Ok(Item::Assign(name, op, self.expression()?));
            }
            self.at = back;
        }
        // `t.*`, `s.t.*`
        if self.is_identifier() {
            let back = self.at;
            let mut name = vec![self.identifier()?];
            while self.sign(".") {
                if self.sign("*") {
                    return Ok(Item::StarOf(name));
                }
                if !self.is_identifier() {
                    break;
                }
                name.push(self.identifier()?);
            }
            self.at = back;
            // `alias = expression`
            if self.is_sign_ahead(1, "=") {
                let alias = self.identifier()?;
                self.expect_sign("=")?;
                return Ok(Item::Expr(self.expression()?, Some(alias)));
            }
        }
        let e = self.expression()?;
        let alias = self.alias()?;
        Ok(Item::Expr(e, alias))
    }

    /// `AS name`, `name`, `AS 'name'`.
    pub(super) fn alias(&mut self) -> SqlResult<Option<String>> {
        if self.accept("AS") {
            if let Kind::Text(t, _) = self.kind().clone() {
                self.advance();
                return Ok(Some(t));
            }
            return self.identifier().map(Some);
        }
        if let Kind::Text(t, _) = self.kind().clone() {
            self.advance();
            return Ok(Some(t));
        }
        Ok(if self.is_identifier() && !self.starts_statement() {
            Some(self.identifier()?)
        } else {
            None
        })
    }

    /// Words that are no keywords but begin a statement or a clause, so they are no alias.
    fn starts_statement(&self) -> bool {
        ["THROW", "OFFSET", "APPLY", "GO"]
            .iter()
            .any(|w| self.is_word(w))
            || (self.is_word("OUTPUT") && !self.is_sign_ahead(1, "."))
    }

    pub(super) fn table_list(&mut self) -> SqlResult<Table> {
        let mut left = self.joined()?;
        while self.sign(",") {
            let right = self.joined()?;
            left = Table::Join {
                left: Box::new(left),
                right: Box::new(right),
                kind: JoinKind::Cross,
                on: None,
            };
        }
        Ok(left)
    }

    fn joined(&mut self) -> SqlResult<Table> {
        self.deeper(|p| {
            let mut left = p.table()?;
            let mut links = 0_u32;
            loop {
                links = links.saturating_add(1);
                if links > 256 {
                    return Err(message::too_deep(p.line()));
                }
                if p.accept_words(&["CROSS", "APPLY"]) {
                    let right = p.table()?;
                    left = Table::Apply {
                        left: Box::new(left),
                        right: Box::new(right),
                        outer: false,
                    };
                    continue;
                }
                if p.accept_words(&["OUTER", "APPLY"]) {
                    let right = p.table()?;
                    left = Table::Apply {
                        left: Box::new(left),
                        right: Box::new(right),
                        outer: true,
                    };
                    continue;
                }
                if let Some(word) = ["PIVOT", "UNPIVOT", "TABLESAMPLE"]
                    .into_iter()
                    .find(|word| p.is_word(word))
                {
                    return Err(message::not_implemented(word).at(p.line()));
                }
                let kind = if p.accept("CROSS") {
                    JoinKind::Cross
                } else if p.accept("INNER") {
                    JoinKind::Inner
                } else if p.is_word("LEFT") || p.is_word("RIGHT") || p.is_word("FULL") {
                    let kind = match p.any_word()?.as_str() {
                        "LEFT" => JoinKind::Left,
                        "RIGHT" => JoinKind::Right,
                        _ => JoinKind::Full,
                    };
                    p.accept("OUTER");
                    kind
                } else if p.is_word("JOIN") {
                    JoinKind::Inner
                } else {
                    return Ok(left);
                };
                // Join hints.
                for hint in ["LOOP", "HASH", "MERGE", "REMOTE"] {
                    p.accept(hint);
                }
                p.expect("JOIN")?;
                // `a JOIN b JOIN c ON … ON …` nests to the right.
                let right = if kind == JoinKind::Cross {
                    p.table()?
                } else {
                    p.right_side()?
                };
                let on = if kind == JoinKind::Cross {
                    None
                } else {
                    p.expect("ON")?;
                    Some(p.condition()?)
                };
                left = Table::Join {
                    left: Box::new(left),
                    right: Box::new(right),
                    kind,
                    on,
                };
            }
        })
    }

    fn right_side(&mut self) -> SqlResult<Table> {
        let back = self.at;
        let t = self.table()?;
        let joins = self.is_word("JOIN")
            || self.is_word("INNER")
            || self.is_word("LEFT")
            || self.is_word("RIGHT")
            || self.is_word("FULL");
        if !joins {
            return Ok(t);
        }
        self.at = back;
        self.deeper(|p| {
            let left = p.table()?;
            let kind = match p.any_word()?.as_str() {
                "JOIN" => JoinKind::Inner,
                word => {
                    p.accept("OUTER");
                    p.expect("JOIN")?;
                    match word {
                        "LEFT" => JoinKind::Left,
                        "RIGHT" => JoinKind::Right,
                        "FULL" => JoinKind::Full,
                        _ => JoinKind::Inner,
                    }
                }
            };
            let right = p.right_side()?;
            p.expect("ON")?;
            let on = p.condition()?;
            Ok(Table::Join {
                left: Box::new(left),
                right: Box::new(right),
                kind,
                on: Some(on),
            })
        })
    }

    fn table(&mut self) -> SqlResult<Table> {
        if self.sign("(") {
            if self.is_word("SELECT")
                || self.is_word("WITH")
                || (self.is_sign("(") && self.nested_select())
            {
                let query = self.query()?;
                self.expect_sign(")")?;
                let (alias, columns) = self.derived_alias()?;
                return Ok(Table::Derived {
                    query: Box::new(query),
                    alias,
                    columns,
                });
            }
            if self.accept("VALUES") {
                let rows = self.value_rows()?;
                self.expect_sign(")")?;
                let (alias, columns) = self.derived_alias()?;
                return Ok(Table::Values {
                    rows,
                    alias,
                    columns,
                });
            }
            let inner = self.table_list()?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        if let Kind::Variable(name) = self.kind().clone() {
            self.advance();
            let alias = self.table_alias()?;
            return Ok(Table::Variable { name, alias });
        }
        for word in [
            "OPENROWSET",
            "OPENQUERY",
            "OPENXML",
            "OPENDATASOURCE",
            "CONTAINSTABLE",
            "FREETEXTTABLE",
        ] {
            if self.is_word(word) {
                return Err(message::not_implemented(word).at(self.line()));
            }
        }
        if self.is_sign("::") {
            // `::fn_helpcollations()`, the old way to name a system function.
            self.advance();
        }
        let name = self.name()?;
        if self.is_sign("(") && !self.old_hint() {
            self.advance();
            let args = if self.is_sign(")") {
                Vec::new()
            } else {
                self.expression_list()?
            };
            self.expect_sign(")")?;
            if self.is_word("WITH")
                && self.is_sign_ahead(1, "(")
                && name
                    .last()
                    .is_some_and(|n| n.eq_ignore_ascii_case("OPENJSON"))
            {
                return Err(message::not_implemented("OPENJSON … WITH").at(self.line()));
            }
            let alias = self.table_alias()?;
            let columns = if alias.is_some() && self.is_sign("(") {
                self.identifier_list()?
            } else {
                Vec::new()
            };
            return Ok(Table::Function {
                name,
                args,
                alias,
                columns,
            });
        }
        if self.is_word("FOR") && self.is_word_ahead(1, "SYSTEM_TIME") {
            return Err(message::not_implemented("FOR SYSTEM_TIME").at(self.line()));
        }
        let alias = self.table_alias()?;
        self.table_hints()?;
        if self.is_word("TABLESAMPLE") || self.is_word("PIVOT") || self.is_word("UNPIVOT") {
            let word = self.any_word()?;
            return Err(message::not_implemented(word).at(self.line()));
        }
        Ok(Table::Named { name, alias })
    }

    /// `FROM t (NOLOCK)`: a hint, not a call.
    fn old_hint(&self) -> bool {
        [
            "NOLOCK",
            "READPAST",
            "UPDLOCK",
            "HOLDLOCK",
            "TABLOCK",
            "TABLOCKX",
            "ROWLOCK",
            "READUNCOMMITTED",
        ]
        .iter()
        .any(|h| {
            self.is_word_ahead(1, h) && (self.is_sign_ahead(2, ")") || self.is_sign_ahead(2, ","))
        })
    }

    fn nested_select(&self) -> bool {
        let mut n = 0;
        while self.is_sign_ahead(n, "(") {
            n = n.saturating_add(1);
        }
        self.is_word_ahead(n, "SELECT")
    }

    fn derived_alias(&mut self) -> SqlResult<(String, Vec<String>)> {
        self.accept("AS");
        let alias = self.identifier()?;
        let columns = if self.is_sign("(") {
            self.identifier_list()?
        } else {
            Vec::new()
        };
        Ok((alias, columns))
    }

    fn table_alias(&mut self) -> SqlResult<Option<String>> {
        if self.accept("AS") {
            return self.identifier().map(Some);
        }
        Ok(
            if self.is_identifier() && !self.starts_statement() && !self.is_word("USING") {
                Some(self.identifier()?)
            } else {
                None
            },
        )
    }

    pub(super) fn table_hints(&mut self) -> SqlResult<()> {
        if (self.is_word("WITH") && self.is_sign_ahead(1, "("))
            || (self.is_sign("(") && self.old_hint_here())
        {
            self.accept("WITH");
            self.skip_parentheses()?;
        }
        Ok(())
    }

    fn old_hint_here(&self) -> bool {
        self.is_word_ahead(1, "NOLOCK")
            || self.is_word_ahead(1, "UPDLOCK")
            || self.is_word_ahead(1, "HOLDLOCK")
    }

    pub(super) fn value_rows(&mut self) -> SqlResult<Vec<Vec<crate::sql::ast::Expr>>> {
        let mut rows = Vec::new();
        loop {
            self.expect_sign("(")?;
            rows.push(self.expression_list()?);
            self.expect_sign(")")?;
            if !self.sign(",") {
                return Ok(rows);
            }
        }
    }
}
