//! Queries: names looked up and types worked out (`bind`), then values computed (`eval`, `run`).

mod aggregate;
pub(crate) mod bind;
mod common;
mod eval;
mod expression;
pub(crate) mod function;
mod operator;
mod run;
mod select;
mod source;
mod table;
mod window;

use std::{cell::RefCell, rc::Rc};

pub(crate) use table::TableRef;

use super::{
    ast::{Binary, Compare, JoinKind, SetOp, Unary},
    collation::Collation,
    output::Column,
    types::Type,
    value::{Row, Value},
};

/// An expression with its names resolved.
#[derive(Debug, Clone)]
pub(crate) enum Bound {
    Literal(Value, Type),
    Variable(String, Type),
    /// `@@x`
    Global(&'static str, Type),
    /// A column of the row that is `depth` queries out.
    Column {
        depth: usize,
        index: usize,
        ty: Type,
        collation: Collation,
    },
    /// An aggregate's result in a grouped row.
    Aggregate(usize, Type),
    /// A window function's result.
    Window(usize, Type),
    Unary(Unary, Box<Bound>, Type),
    Binary {
        op: Binary,
        left: Box<Bound>,
        right: Box<Bound>,
        ty: Type,
    },
    Case {
        branches: Vec<(Condition, Bound)>,
        otherwise: Option<Box<Bound>>,
        ty: Type,
    },
    Convert {
        expr: Box<Bound>,
        from: Type,
        ty: Type,
        style: Option<Box<Bound>>,
        quiet: bool,
    },
    Call {
        function: function::Id,
        args: Vec<Bound>,
        ty: Type,
        collation: Collation,
    },
    Scalar(Rc<QueryPlan>, Type),
    Collate(Box<Bound>, Collation),
}

#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Compare {
        op: Compare,
        left: Bound,
        right: Bound,
        collation: Collation,
    },
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    IsNull(Bound, bool),
    In {
        expr: Bound,
        list: Vec<Bound>,
        negated: bool,
        collation: Collation,
    },
    InQuery {
        expr: Bound,
        query: Rc<QueryPlan>,
        negated: bool,
        collation: Collation,
        from: Type,
        to: Type,
    },
    Like {
        expr: Bound,
        pattern: Bound,
        escape: Option<Bound>,
        negated: bool,
        collation: Collation,
    },
    Exists(Rc<QueryPlan>),
    Quantified {
        op: Compare,
        left: Bound,
        all: bool,
        query: Rc<QueryPlan>,
        collation: Collation,
        from: Type,
        to: Type,
    },
}

impl Bound {
    pub(crate) fn ty(&self) -> Type {
        match self {
            Self::Literal(_, ty)
            | Self::Variable(_, ty)
            | Self::Global(_, ty)
            | Self::Column { ty, .. }
            | Self::Aggregate(_, ty)
            | Self::Window(_, ty)
            | Self::Unary(_, _, ty)
            | Self::Binary { ty, .. }
            | Self::Case { ty, .. }
            | Self::Convert { ty, .. }
            | Self::Call { ty, .. }
            | Self::Scalar(_, ty) => *ty,
            Self::Collate(e, _) => e.ty(),
        }
    }

    /// How it compares, where a column or COLLATE says so.
    pub(crate) fn collation(&self) -> Option<Collation> {
        match self {
            Self::Collate(_, c) => Some(*c),
            Self::Column { collation, ty, .. } if ty.is_text() => Some(*collation),
            Self::Convert { expr, .. } => expr.collation(),
            Self::Binary { left, right, .. } => left.collation().or_else(|| right.collation()),
            _ => None,
        }
    }

    /// The same expression, for `GROUP BY`.
    pub(crate) fn same(&self, other: &Self) -> bool {
        // Plans inside are compared by their printed form too; it names every column by place.
        format!("{self:?}") == format!("{other:?}")
    }
}

/// The values that an expression sees.
#[derive(Clone, Copy)]
pub(crate) struct Env<'a> {
    pub(crate) row: &'a [Value],
    pub(crate) aggregates: &'a [Value],
    pub(crate) windows: &'a [Value],
    pub(crate) parent: Option<&'a Env<'a>>,
}

impl<'a> Env<'a> {
    pub(crate) fn of(row: &'a [Value], parent: Option<&'a Self>) -> Self {
        Self {
            row,
            aggregates: &[],
            windows: &[],
            parent,
        }
    }
}

#[derive(Debug)]
pub(crate) struct QueryPlan {
    pub(crate) columns: Vec<Column>,
    pub(crate) body: BodyPlan,
    /// Order of a set operation, by output column. A plain SELECT keeps its own.
    pub(crate) order: Vec<(usize, bool)>,
    pub(crate) offset: Option<Bound>,
    pub(crate) fetch: Option<Bound>,
}

#[derive(Debug)]
pub(crate) enum BodyPlan {
    Select(Box<SelectPlan>),
    Set(SetOp, Box<Side>, Box<Side>),
    Nested(Box<QueryPlan>),
    /// Anchor, the recursive part and the rows that it works on.
    Recursive {
        anchor: Box<Side>,
        step: Box<Side>,
        work: Rc<RefCell<Vec<Row>>>,
    },
}

/// One side of a set operation, with the types its columns are brought to.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) body: BodyPlan,
    pub(crate) from: Vec<Type>,
    pub(crate) to: Vec<Type>,
}

#[derive(Debug)]
pub(crate) enum Key {
    Output(usize),
    Source(Bound),
}

#[derive(Debug)]
pub(crate) struct SelectPlan {
    pub(crate) from: Option<FromPlan>,
    pub(crate) width: usize,
    pub(crate) filter: Option<Condition>,
    pub(crate) grouped: bool,
    pub(crate) group: Vec<Bound>,
    pub(crate) aggregates: Vec<aggregate::Aggregate>,
    pub(crate) having: Option<Condition>,
    pub(crate) windows: Vec<window::WindowPlan>,
    pub(crate) items: Vec<Bound>,
    /// Variables that take the items' values instead of a result.
    pub(crate) assign: Vec<String>,
    pub(crate) distinct: bool,
    pub(crate) order: Vec<(Key, bool)>,
    pub(crate) top: Option<TopPlan>,
}

#[derive(Debug)]
pub(crate) struct TopPlan {
    pub(crate) count: Bound,
    pub(crate) percent: bool,
    pub(crate) ties: bool,
}

/// Where rows come from.
#[derive(Debug)]
pub(crate) enum FromPlan {
    Table {
        table: TableRef,
        /// Columns that must equal a value known before the scan.
        equal: Vec<(usize, Bound)>,
        /// Whether the row's number follows its columns.
        numbered: bool,
        width: usize,
    },
    View(super::system::View, i32),
    Rows(Vec<Vec<Bound>>, usize),
    /// `STRING_SPLIT` and its like.
    Function {
        function: table::TableFunction,
        args: Vec<Bound>,
    },
    Query(Rc<QueryPlan>),
    /// The rows that a recursive query works on.
    Work(Rc<RefCell<Vec<Row>>>, usize),

    Join {
        left: Box<FromPlan>,
        right: Box<FromPlan>,
        kind: JoinKind,
        on: Option<Condition>,
        base: usize,
        hash: Option<(Bound, Bound, Collation)>,
    },
    Apply {
        left: Box<FromPlan>,
        right: Box<FromPlan>,
        outer: bool,
    },
}

impl FromPlan {
    /// How many values a row of it has.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Table { width, .. } | Self::Rows(_, width) | Self::Work(_, width) => *width,
            Self::View(view, _) => view.columns().len(),
            Self::Function { function, .. } => function.columns().len(),
            Self::Query(q) => q.columns.len(),
            Self::Join { left, right, .. } | Self::Apply { left, right, .. } => {
                left.width().saturating_add(right.width())
            }
        }
    }
}

pub(crate) use eval::like as eval_like;
pub(crate) use operator::LONGEST;
pub(crate) use select::push_down;

impl QueryPlan {
    /// Whether it fills variables instead of giving a result.
    pub(crate) fn assigns(&self) -> bool {
        matches!(&self.body, BodyPlan::Select(s) if !s.assign.is_empty())
    }
}
pub(crate) use table::rename;
