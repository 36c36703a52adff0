//! `sp_describe_undeclared_parameters`: the types of `@P1`, `@P2`, … guessed from where they stand.
//!
//! Known places are values of an INSERT, what a column is set to, and comparisons with a column.

use std::collections::BTreeMap;

use super::Outcome;
use crate::sql::{
    ast::{Assignment, Expr, Order, SetTarget, Source, StatementKind as S, Table, Target},
    message::{Message, SqlResult},
    output::{Column, Output, command},
    parse,
    query::{
        Bound,
        bind::{Scope, Source as Bind},
    },
    session::Session,
    statement::Exec,
    types::Type,
    value::Value,
};

/// What was found out, by the parameter's name in lower case.
type Found = BTreeMap<String, Option<Type>>;

impl Session {
    pub(super) fn describe_parameters(&self, text: &str, out: &mut dyn Output) -> Exec<Outcome> {
        let quoted = self.settings.borrow().quoted_identifier;
        let statements = parse::batch(text, quoted)?;
        let mut found = Found::new();
        for s in &statements {
            self.infer(&s.kind, &mut found)?;
        }
        let columns: &[(&str, Type)] = &[
            ("parameter_ordinal", Type::Int),
            ("name", Type::SYSNAME),
            ("suggested_system_type_id", Type::Int),
            ("suggested_system_type_name", Type::NVarChar(256)),
            ("suggested_max_length", Type::SmallInt),
            ("suggested_precision", Type::TinyInt),
            ("suggested_scale", Type::TinyInt),
            ("suggested_user_type_id", Type::Int),
            ("suggested_user_type_database", Type::SYSNAME),
            ("suggested_user_type_schema", Type::SYSNAME),
            ("suggested_user_type_name", Type::SYSNAME),
            (
                "suggested_assembly_qualified_type_name",
                Type::NVarChar(4000),
            ),
            ("suggested_xml_collection_id", Type::Int),
            ("suggested_xml_collection_database", Type::SYSNAME),
            ("suggested_xml_collection_schema", Type::SYSNAME),
            ("suggested_xml_collection_name", Type::SYSNAME),
            ("suggested_is_xml_document", Type::Bit),
            ("suggested_is_case_sensitive", Type::Bit),
            ("suggested_is_fixed_length_clr_type", Type::Bit),
            ("suggested_is_input", Type::Bit),
            ("suggested_is_output", Type::Bit),
            ("formal_parameter_name", Type::SYSNAME),
            ("suggested_tds_type_id", Type::Int),
            ("suggested_tds_length", Type::Int),
        ];
        let columns: Vec<Column> = columns.iter().map(|(n, t)| Column::new(*n, *t)).collect();
        // By number: @P2 before @P10.
        let mut names: Vec<(&String, &Option<Type>)> = found.iter().collect();
        names.sort_by_key(|(n, _)| (n.len(), (*n).clone()));
        if let Some((name, _)) = names.iter().find(|(_, ty)| ty.is_none()) {
            return Err(Message::new(
                11508,
                16,
                1,
                format!("The undeclared parameter '{name}' is used in a place from which the practice host cannot tell its type."),
            )
            .into());
        }
        out.columns(&columns)?;
        for (n, (name, ty)) in (1_i64..).zip(&names) {
            let ty = ty.unwrap_or(Type::Int);
            let (precision, scale) = ty.precision_scale();
            let mut row = vec![
                Value::Int(n),
                Value::text(name.to_uppercase()),
                Value::Int(i64::from(ty.system_id())),
                Value::text(ty.full_name()),
                Value::Int(i64::from(ty.max_length())),
                Value::Int(i64::from(precision)),
                Value::Int(i64::from(scale)),
            ];
            row.extend(std::iter::repeat_n(Value::Null, 9));
            row.extend([
                Value::Bit(false),
                Value::Bit(false),
                Value::Bit(false),
                Value::Bit(true),
                Value::Bit(false),
                Value::Null,
                Value::Int(i64::from(ty.system_id())),
                Value::Int(i64::from(ty.max_length())),
            ]);
            out.row(&row)?;
        }
        self.counted(
            out,
            command::SELECT,
            u64::try_from(names.len()).unwrap_or(0),
        )?;
        Ok(Outcome::default())
    }

    fn infer(&self, s: &S, found: &mut Found) -> SqlResult<()> {
        let mut b = self.binder();
        match s {
            S::Insert(i) => {
                let t = match &i.target {
                    Target::Named(name) => b.find_table(name)?,
                    Target::Variable(name) => b.find_table_variable(name)?,
                };
                let columns: Vec<Type> = if i.columns.is_empty() {
                    let own = t.info.columns.iter();
                    own.filter(|c| c.identity.is_none() && !c.rowversion)
                        .map(|c| c.ty)
                        .collect()
                } else {
                    let own = i.columns.iter();
                    own.map(|n| t.info.column(n).map_or(Type::Variant, |c| c.ty))
                        .collect()
                };
                if let Source::Values(rows) = &i.source {
                    for row in rows {
                        for (e, ty) in row.iter().zip(&columns) {
                            walk(e, Some(*ty), &[], found);
                        }
                    }
                }
            }
            S::Update(u) => {
                let r = b.reach(&u.target, u.from.as_ref(), None)?;
                for Assignment { target, value, .. } in &u.set {
                    let ty = match target {
                        SetTarget::Column(name) => name
                            .last()
                            .and_then(|n| r.table.info.column(n))
                            .map(|c| c.ty),
                        SetTarget::Variable(_) => None,
                    };
                    walk(value, ty, &r.sources, found);
                }
                walk_all(u.filter.iter(), &r.sources, found);
            }
            S::Delete(d) => {
                let r = b.reach(&d.target, d.from.as_ref(), None)?;
                walk_all(d.filter.iter(), &r.sources, found);
            }
            S::Select(q) => {
                let mut sources = Vec::new();
                if let crate::sql::ast::Body::Select(s) = &q.body {
                    if let Some(table) = &s.from
                        && plain(table)
                    {
                        b.from(table, &mut sources, &Scope::EMPTY)?;
                    }
                    for item in &s.items {
                        if let crate::sql::ast::Item::Expr(e, _) = item {
                            walk(e, None, &sources, found);
                        }
                    }
                    walk_all(s.filter.iter().chain(&s.having), &sources, found);
                    if let Some(top) = &s.top {
                        walk(&top.count, Some(Type::BigInt), &sources, found);
                    }
                }
                for Order { expr, .. } in &q.order {
                    walk(expr, None, &sources, found);
                }
                walk_counts(q.offset.iter().chain(&q.fetch), found);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a FROM holds no query of its own, in which parameters could stand.
fn plain(t: &Table) -> bool {
    match t {
        Table::Named { .. } | Table::Variable { .. } => true,
        Table::Join { left, right, .. } => plain(left) && plain(right),
        _ => false,
    }
}

fn walk_counts<'a>(list: impl Iterator<Item = &'a Expr>, found: &mut Found) {
    for e in list {
        walk(e, Some(Type::BigInt), &[], found);
    }
}

fn walk_all<'a>(list: impl Iterator<Item = &'a Expr>, sources: &[Bind], found: &mut Found) {
    for e in list {
        walk(e, None, sources, found);
    }
}

/// The type of a column, cast or literal; other expressions say nothing of their neighbours.
fn known(e: &Expr, sources: &[Bind]) -> Option<Type> {
    match e {
        Expr::Column(name) => {
            let last = name.last()?;
            sources
                .iter()
                .flat_map(|s| &s.columns)
                .find(|c| crate::sql::store::same_name(&c.name, last))
                .map(|c| c.ty)
        }
        Expr::Convert { ty, .. } => Some(*ty),
        Expr::Literal(_, ty) => Some(Bound::Literal(Value::Null, *ty).ty()),
        Expr::Binary(_, a, b) => known(a, sources).or_else(|| known(b, sources)),
        _ => None,
    }
}

fn walk(e: &Expr, wanted: Option<Type>, sources: &[Bind], found: &mut Found) {
    let pair = |a: &Expr, b: &Expr, found: &mut Found| {
        let ty = known(a, sources).or_else(|| known(b, sources));
        walk(a, ty, sources, found);
        walk(b, ty, sources, found);
    };
    match e {
        Expr::Variable(name) => {
            let slot = found.entry(name.to_lowercase()).or_default();
            *slot = slot.or(wanted);
        }
        Expr::Compare(_, a, b) => pair(a, b, found),
        Expr::Binary(_, a, b) => {
            let ty = known(a, sources).or_else(|| known(b, sources)).or(wanted);
            walk(a, ty, sources, found);
            walk(b, ty, sources, found);
        }
        Expr::And(a, b) | Expr::Or(a, b) => {
            walk(a, None, sources, found);
            walk(b, None, sources, found);
        }
        Expr::Not(a) | Expr::IsNull(a, _) => walk(a, None, sources, found),
        Expr::Unary(_, a) | Expr::Collate(a, _) => walk(a, wanted, sources, found),
        Expr::Convert { expr, ty, .. } => walk(expr, Some(*ty), sources, found),
        Expr::Like { expr, pattern, .. } => pair(expr, pattern, found),
        Expr::Between {
            expr, low, high, ..
        } => {
            pair(expr, low, found);
            pair(expr, high, found);
        }
        Expr::In { expr, list, .. } => {
            for x in list {
                pair(expr, x, found);
            }
        }
        Expr::Call(c) => {
            for a in &c.args {
                walk(a, wanted, sources, found);
            }
        }
        Expr::Case {
            branches,
            otherwise,
            ..
        } => {
            for (when, then) in branches {
                walk(when, None, sources, found);
                walk(then, wanted, sources, found);
            }
            if let Some(o) = otherwise {
                walk(o, wanted, sources, found);
            }
        }
        _ => {}
    }
}
