//! Looking names up: which table, which column, of which type.

use std::{cell::RefCell, rc::Rc};

use super::window::WindowPlan;
use super::{Bound, aggregate::Aggregate};
use crate::sql::{
    ast::{Common, Name},
    collation::Collation,
    convert,
    message::{self, SqlResult},
    output::Column,
    server::Database,
    session::Session,
    store::same_name,
    types::Type,
    value::{Row, Value},
};

/// One table, view or query in `FROM`.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The name that columns are qualified with.
    pub(crate) alias: String,
    /// Schema and database, where the name itself qualifies too.
    pub(crate) schema: Option<(String, String)>,
    pub(crate) columns: Vec<Column>,
    pub(crate) collations: Vec<Collation>,
    /// Where its first column stands in the row.
    pub(crate) offset: usize,
    /// Values behind the columns that have no name: the row's number.
    pub(crate) hidden: usize,
}

impl Source {
    pub(crate) fn width(&self) -> usize {
        self.columns.len().saturating_add(self.hidden)
    }
}

/// What a grouped or windowed SELECT gathers while its items are bound.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) grouped: bool,
    pub(crate) keys: Vec<Bound>,
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) windows: Vec<WindowPlan>,
}

/// The names that an expression may use.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) gathered: Option<&'a RefCell<Gathered>>,
    pub(crate) parent: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    pub(crate) const EMPTY: Scope<'static> = Scope {
        sources: &[],
        gathered: None,
        parent: None,
    };

    pub(crate) fn width(&self) -> usize {
        self.sources.iter().map(Source::width).sum()
    }
}

/// A named query of `WITH`.
#[derive(Clone)]
pub(crate) enum Cte {
    Query(Rc<Common>),
    /// The rows that a recursive query works on.
    Work {
        name: String,
        columns: Vec<Column>,
        rows: Rc<RefCell<Vec<Row>>>,
    },
}

impl Cte {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Query(c) => &c.name,
            Self::Work { name, .. } => name,
        }
    }
}

pub(crate) struct Binder<'s> {
    pub(crate) s: &'s Session,
    pub(crate) database: Database,
    pub(crate) ctes: Vec<Cte>,
    /// How many views and named queries stand inside each other.
    pub(crate) nesting: u32,
    /// The table in FROM that is written to: its rows carry their number.
    pub(crate) numbered: Option<String>,
    /// That table, and where its columns begin.
    pub(crate) numbered_at: Option<(super::TableRef, usize)>,
}

impl<'s> Binder<'s> {
    pub(crate) fn new(s: &'s Session) -> Self {
        Self {
            s,
            database: s.current(),
            ctes: Vec::new(),
            nesting: 0,
            numbered: None,
            numbered_at: None,
        }
    }

    pub(crate) fn collation(&self) -> Collation {
        Collation::parse(&self.database.collation).unwrap_or(self.s.server.collation)
    }

    /// Resolves a column's name.
    pub(crate) fn column(
        &self,
        name: &Name,
        scope: &Scope<'_>,
    ) -> SqlResult<(Bound, Option<Column>)> {
        let Some((column, qualifier)) = name.split_last() else {
            return Err(message::no_column(""));
        };
        let mut depth = 0_usize;
        let mut here = Some(scope);
        let mut qualifier_seen = false;
        while let Some(s) = here {
            let mut found = None;
            for source in s.sources {
                if !qualifies(source, qualifier) {
                    continue;
                }
                qualifier_seen |= !qualifier.is_empty();
                for (at, c) in source.columns.iter().enumerate() {
                    if same_name(&c.name, column) {
                        if found.is_some() {
                            return Err(message::ambiguous(column));
                        }
                        let collation = source
                            .collations
                            .get(at)
                            .copied()
                            .unwrap_or(self.s.server.collation);
                        found = Some((source.offset.saturating_add(at), c.clone(), collation));
                    }
                }
            }
            if let Some((index, c, collation)) = found {
                return Ok((
                    Bound::Column {
                        depth,
                        index,
                        ty: c.ty,
                        collation,
                    },
                    Some(c),
                ));
            }
            here = s.parent;
            depth = depth.saturating_add(1);
        }
        Err(if qualifier.is_empty() || qualifier_seen {
            message::no_column(column)
        } else {
            message::unbound(&name.join("."))
        })
    }

    /// Brings an expression to a type, as SQL Server does by itself.
    pub(crate) fn coerce(&self, e: Bound, to: Type) -> SqlResult<Bound> {
        let from = e.ty();
        if from == to || to == Type::Null {
            return Ok(e);
        }
        convert::implicit(from, to)?;
        Ok(match e {
            Bound::Literal(Value::Null, _) => Bound::Literal(Value::Null, to),
            e => Bound::Convert {
                expr: Box::new(e),
                from,
                ty: to,
                style: None,
                quiet: false,
            },
        })
    }

    /// The collation in which two expressions meet.
    pub(crate) fn meeting(&self, a: &Bound, b: &Bound) -> Collation {
        match (a, b) {
            (Bound::Collate(_, c), _) | (_, Bound::Collate(_, c)) => *c,
            _ => a
                .collation()
                .or_else(|| b.collation())
                .unwrap_or_else(|| self.collation()),
        }
    }
}

/// Whether `a.b.c` in front of a column can mean this source.
fn qualifies(source: &Source, qualifier: &[String]) -> bool {
    match qualifier {
        [] => true,
        [alias] => same_name(&source.alias, alias),
        [rest @ .., table] => {
            let Some((schema, database)) = &source.schema else {
                return false;
            };
            if !same_name(&source.alias, table) {
                return false;
            }
            match rest {
                [s] => same_name(s, schema),
                [d, s] => same_name(d, database) && (s.is_empty() || same_name(s, schema)),
                _ => false,
            }
        }
    }
}
