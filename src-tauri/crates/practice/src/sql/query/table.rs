//! Tables: what a name in `FROM` stands for.

use std::rc::Rc;

use super::{
    Bound, Condition, FromPlan,
    bind::{Binder, Scope, Source},
};
use crate::sql::{
    ast::{Compare, Expr, JoinKind, Name, Table},
    collation::Collation,
    message::{self, Message, SqlResult},
    output::Column,
    parse,
    server::Database,
    session::{TEMPORARY, variable_key},
    store::{Kind, Object, TableInfo, same_name},
    system::View,
    types::Type,
};

/// A table with rows of its own.
#[derive(Debug, Clone)]
pub(crate) struct TableRef {
    pub(crate) database: i32,
    pub(crate) object: Object,
    pub(crate) info: Rc<TableInfo>,
    pub(crate) collation: Collation,
}

impl TableRef {
    pub(crate) fn columns(&self) -> Vec<Column> {
        self.info
            .columns
            .iter()
            .map(|c| Column {
                name: c.name.clone(),
                ty: c.ty,
                nullable: c.nullable,
                identity: c.identity.is_some(),
                computed: false,
            })
            .collect()
    }

    pub(crate) fn collations(&self) -> Vec<Collation> {
        self.info
            .columns
            .iter()
            .map(|c| {
                c.collation
                    .as_deref()
                    .and_then(Collation::parse)
                    .unwrap_or(self.collation)
            })
            .collect()
    }
}

/// A name of up to three parts, with the gaps filled.
pub(crate) struct Place {
    pub(crate) database: Database,
    pub(crate) temporary: bool,
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

/// Built-in functions that give rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableFunction {
    StringSplit,
    Series,
}

impl TableFunction {
    pub(crate) fn columns(self) -> Vec<Column> {
        match self {
            Self::StringSplit => vec![
                Column::new("value", Type::NVarChar(4000)),
                Column::new("ordinal", Type::BigInt),
            ],
            Self::Series => vec![Column::new("value", Type::BigInt)],
        }
    }
}

impl Binder<'_> {
    /// Fills the gaps of a name: the current database, the default schema.
    pub(crate) fn place(&self, name: &Name) -> SqlResult<Place> {
        let (database, schema, object) = match name.as_slice() {
            [o] => (None, None, o),
            [s, o] => (None, Some(s), o),
            [d, s, o] => (Some(d), Some(s), o),
            [server, d, s, o] => {
                if !same_name(server, &self.s.server.options.server_name) {
                    return Err(Message::new(
                        7202,
                        11,
                        2,
                        format!(
                            "Could not find server '{server}' in sys.servers. Verify that the correct server name was specified. If necessary, execute the stored procedure sp_addlinkedserver to add the server to sys.servers."
                        ),
                    )
                    .ending(message::Ends::Batch));
                }
                (Some(d), Some(s), o)
            }
            _ => return Err(message::no_object(&name.join("."))),
        };
        let temporary = object.starts_with('#');
        if object.starts_with("##") {
            return Err(message::not_implemented("A global temporary table"));
        }
        let database = match database {
            Some(d) if !d.is_empty() && !temporary => self.s.find_database(d)?,
            _ => self.database.clone(),
        };
        Ok(Place {
            database,
            temporary,
            schema: schema.filter(|s| !s.is_empty() && !temporary).cloned(),
            name: object.clone(),
        })
    }

    /// An object by name: first in the given or default schema, then in `dbo`.
    pub(crate) fn find_object(&self, name: &Name) -> SqlResult<Option<(i32, Object)>> {
        let place = self.place(name)?;
        if place.temporary {
            let file = self.s.temporary()?;
            return Ok(file.object("dbo", &place.name)?.map(|o| (TEMPORARY, o)));
        }
        let file = self.s.file(&place.database)?;
        self.s.before_read(place.database.id, &file)?;
        if let Some(schema) = &place.schema {
            return Ok(file
                .object(schema, &place.name)?
                .map(|o| (place.database.id, o)));
        }
        let own = self.s.default_schema(&place.database)?;
        if !same_name(&own, "dbo")
            && let Some(o) = file.object(&own, &place.name)?
        {
            return Ok(Some((place.database.id, o)));
        }
        Ok(file
            .object("dbo", &place.name)?
            .map(|o| (place.database.id, o)))
    }

    /// A table by name.
    pub(crate) fn find_table(&self, name: &Name) -> SqlResult<TableRef> {
        let found = self.find_object(name)?;
        let Some((database, object)) = found else {
            return Err(message::no_object(&name.join(".")));
        };
        self.table_ref(database, object)
    }

    pub(crate) fn table_ref(&self, database: i32, object: Object) -> SqlResult<TableRef> {
        let Kind::Table(info) = &object.kind else {
            return Err(message::not_implemented(format!(
                "A change to the view {}",
                object.name
            )));
        };
        let info = Rc::clone(info);
        let collation = self.s.file_by_id(database)?.collation;
        Ok(TableRef {
            database,
            object,
            info,
            collation,
        })
    }

    /// A table variable.
    pub(crate) fn find_table_variable(&self, name: &str) -> SqlResult<TableRef> {
        let stored = {
            let frames = self.s.frames.borrow();
            frames
                .last()
                .and_then(|f| f.tables.get(&variable_key(name)).cloned())
        };
        let stored = stored.ok_or_else(|| message::undeclared_table(name))?;
        let object = self.s.temporary()?.object("dbo", &stored)?;
        self.table_ref(
            TEMPORARY,
            object.ok_or_else(|| message::undeclared_table(name))?,
        )
    }

    /// Binds what stands in `FROM`; the sources are appended to `sources`.
    pub(crate) fn from(
        &mut self,
        table: &Table,
        sources: &mut Vec<Source>,
        outer: &Scope<'_>,
    ) -> SqlResult<FromPlan> {
        let base: usize = sources.iter().map(Source::width).sum();
        match table {
            Table::Named { name, alias } => self.named(name, alias.as_deref(), sources),
            Table::Variable { name, alias } => {
                let t = self.find_table_variable(name)?;
                let shown = alias.clone().unwrap_or_else(|| name.clone());
                let numbered = self.numbered.as_ref().is_some_and(|n| same_name(n, &shown))
                    && self.numbered_at.is_none();
                if numbered {
                    self.numbered_at = Some((t.clone(), base));
                }
                Ok(self.table_source(t, shown, None, numbered, sources))
            }
            Table::Derived {
                query,
                alias,
                columns,
            } => {
                let plan = self.query(query, outer)?;
                let mut shown = plan.columns.clone();
                rename(&mut shown, columns, alias)?;
                for (at, c) in shown.iter().enumerate() {
                    if c.name.is_empty() {
                        return Err(Message::new(
                            8155,
                            16,
                            2,
                            format!(
                                "No column name was specified for column {} of '{alias}'.",
                                at.saturating_add(1)
                            ),
                        )
                        .ending(message::Ends::Batch));
                    }
                }
                self.add(sources, alias.clone(), None, shown, base);
                Ok(FromPlan::Query(Rc::new(plan)))
            }
            Table::Values {
                rows,
                alias,
                columns,
            } => {
                let (rows, types) = self.value_rows(rows, outer)?;
                let mut shown: Vec<Column> = types.iter().map(|t| Column::new("", *t)).collect();
                rename(&mut shown, columns, alias)?;
                let width = shown.len();
                self.add(sources, alias.clone(), None, shown, base);
                Ok(FromPlan::Rows(rows, width))
            }
            Table::Function {
                name,
                args,
                alias,
                columns,
            } => {
                let shown_name = name.join(".");
                let last = name
                    .last()
                    .map(|n| n.to_ascii_uppercase())
                    .unwrap_or_default();
                let function = match (name.len(), last.as_str()) {
                    (1, "STRING_SPLIT") => TableFunction::StringSplit,
                    (1, "GENERATE_SERIES") => TableFunction::Series,
                    (1, _) => {
                        return Err(message::not_implemented(format!(
                            "The table function {shown_name}"
                        )));
                    }
                    // `sys.dm_os_volume_stats(…)` is declined, `dbo.f(…)` is not there.
                    _ => return Err(message::no_object(&shown_name)),
                };
                let scope = Scope {
                    sources: &[],
                    gathered: None,
                    parent: Some(outer),
                };
                let args = args
                    .iter()
                    .map(|a| self.value(a, &scope))
                    .collect::<SqlResult<Vec<_>>>()?;
                let mut shown = function.columns();
                let alias = alias.clone().unwrap_or_else(|| shown_name.clone());
                if !columns.is_empty() {
                    rename(&mut shown, columns, &alias)?;
                }
                self.add(sources, alias, None, shown, base);
                Ok(FromPlan::Function { function, args })
            }
            Table::Join {
                left,
                right,
                kind,
                on,
            } => {
                let left_plan = self.from(left, sources, outer)?;
                let middle = sources.len();
                let right_plan = self.from(right, sources, outer)?;
                let scope = Scope {
                    sources,
                    gathered: None,
                    parent: Some(outer),
                };
                let on = on.as_ref().map(|c| self.condition(c, &scope)).transpose()?;
                if matches!(kind, JoinKind::Left | JoinKind::Full) {
                    nullable(sources.get_mut(middle..));
                }
                if matches!(kind, JoinKind::Right | JoinKind::Full) {
                    nullable(sources.get_mut(..middle));
                }
                let split = base.saturating_add(left_plan.width());
                let end = split.saturating_add(right_plan.width());
                let hash = on.as_ref().and_then(|c| equality(c, base, split, end));
                Ok(FromPlan::Join {
                    left: Box::new(left_plan),
                    right: Box::new(right_plan),
                    kind: *kind,
                    on,
                    base,
                    hash,
                })
            }
            Table::Apply {
                left,
                right,
                outer: keep,
            } => {
                let left_plan = self.from(left, sources, outer)?;
                let mut own = Vec::new();
                let right_plan = {
                    let scope = Scope {
                        sources,
                        gathered: None,
                        parent: Some(outer),
                    };
                    self.from(right, &mut own, &scope)?
                };
                let shift = base.saturating_add(left_plan.width());
                for mut source in own {
                    source.offset = source.offset.saturating_add(shift);
                    if *keep {
                        nullable(Some(std::slice::from_mut(&mut source)));
                    }
                    sources.push(source);
                }
                Ok(FromPlan::Apply {
                    left: Box::new(left_plan),
                    right: Box::new(right_plan),
                    outer: *keep,
                })
            }
        }
    }

    pub(super) fn add(
        &self,
        sources: &mut Vec<Source>,
        alias: String,
        schema: Option<(String, String)>,
        columns: Vec<Column>,
        offset: usize,
    ) {
        let collations = vec![self.collation(); columns.len()];
        sources.push(Source {
            alias,
            schema,
            columns,
            collations,
            offset,
            hidden: 0,
        });
    }

    /// Adds a table as a source. `numbered`: its rows carry their number.
    pub(crate) fn table_source(
        &self,
        t: TableRef,
        alias: String,
        schema: Option<(String, String)>,
        numbered: bool,
        sources: &mut Vec<Source>,
    ) -> FromPlan {
        let offset: usize = sources.iter().map(Source::width).sum();
        let columns = t.columns();
        let width = columns.len().saturating_add(usize::from(numbered));
        sources.push(Source {
            alias,
            schema,
            collations: t.collations(),
            columns,
            offset,
            hidden: usize::from(numbered),
        });
        FromPlan::Table {
            table: t,
            equal: Vec::new(),
            numbered,
            width,
        }
    }

    fn named(
        &mut self,
        name: &Name,
        alias: Option<&str>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<FromPlan> {
        let base: usize = sources.iter().map(Source::width).sum();
        let last = name.last().cloned().unwrap_or_default();
        let shown = alias.map_or_else(|| last.clone(), str::to_owned);
        if name.len() == 1
            && let Some(at) = self.ctes.iter().rposition(|c| same_name(c.name(), &last))
        {
            return self.named_query(at, shown, sources, base);
        }
        // Catalog views.
        let place = self.place(name)?;
        if let Some(schema) = &place.schema
            && let Some(view) = View::find(schema, &place.name)
        {
            self.add(
                sources,
                shown,
                Some((schema.clone(), place.database.name.clone())),
                view.columns(),
                base,
            );
            return Ok(FromPlan::View(view, place.database.id));
        }
        let Some((database, object)) = self.find_object(name)? else {
            return Err(message::no_object(&name.join(".")));
        };
        self.s.need_access(database, &object, "SELECT")?;
        let schema = (object.schema.clone(), place.database.name.clone());
        if let Kind::View(text) = &object.kind {
            self.deeper()?;
            let query = parse::view(text)?;
            let ctes = std::mem::take(&mut self.ctes);
            let database = std::mem::replace(&mut self.database, place.database.clone());
            let plan = self.query(&query, &Scope::EMPTY);
            self.database = database;
            self.ctes = ctes;
            self.nesting = self.nesting.saturating_sub(1);
            let plan = plan?;
            let mut columns = plan.columns.clone();
            if let Some(names) = view_columns(text) {
                rename(&mut columns, &names, &object.name)?;
            }
            self.add(sources, shown, Some(schema), columns, base);
            return Ok(FromPlan::Query(Rc::new(plan)));
        }
        if let Kind::Procedure(_) = object.kind {
            return Err(Message::new(
                2809,
                16,
                1,
                format!(
                    "The request for procedure '{}' failed because '{}' is a procedure object.",
                    last, last
                ),
            )
            .ending(message::Ends::Batch));
        }
        let t = self.table_ref(database, object)?;
        let numbered = self.numbered.as_ref().is_some_and(|n| same_name(n, &shown))
            && self.numbered_at.is_none();
        if numbered {
            self.numbered_at = Some((t.clone(), base));
        }
        Ok(self.table_source(t, shown, Some(schema), numbered, sources))
    }

    pub(super) fn deeper(&mut self) -> SqlResult<()> {
        self.nesting = self.nesting.saturating_add(1);
        if self.nesting > 32 {
            return Err(Message::new(
                217,
                16,
                1,
                "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
            )
            .ending(message::Ends::Batch));
        }
        Ok(())
    }

    /// Rows of expressions with the types that their columns meet in.
    pub(crate) fn value_rows(
        &mut self,
        rows: &[Vec<Expr>],
        outer: &Scope<'_>,
    ) -> SqlResult<(Vec<Vec<Bound>>, Vec<Type>)> {
        let scope = Scope {
            sources: &[],
            gathered: None,
            parent: Some(outer),
        };
        let mut types: Vec<Type> = Vec::new();
        let mut out = Vec::new();
        for row in rows {
            let bound = row
                .iter()
                .map(|e| self.value(e, &scope))
                .collect::<SqlResult<Vec<_>>>()?;
            if out.is_empty() {
                types = bound.iter().map(Bound::ty).collect();
            } else {
                if bound.len() != types.len() {
                    return Err(Message::new(
                        10709,
                        16,
                        1,
                        "The number of columns for each row in a table value constructor must be the same.",
                    )
                    .ending(message::Ends::Batch));
                }
                types = types
                    .iter()
                    .zip(&bound)
                    .map(|(t, b)| t.common(b.ty()))
                    .collect();
            }
            out.push(bound);
        }
        let out = out
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .zip(&types)
                    .map(|(b, t)| self.coerce(b, *t))
                    .collect::<SqlResult<Vec<_>>>()
            })
            .collect::<SqlResult<Vec<_>>>()?;
        Ok((out, types))
    }
}

pub(crate) fn different_counts() -> message::SqlError {
    Message::new(
        205,
        16,
        1,
        "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
    )
    .ending(message::Ends::Batch)
}

fn nullable(sources: Option<&mut [Source]>) {
    for source in sources.into_iter().flatten() {
        for c in &mut source.columns {
            c.nullable = true;
        }
    }
}

pub(crate) fn rename(columns: &mut [Column], names: &[String], alias: &str) -> SqlResult<()> {
    if names.is_empty() {
        return Ok(());
    }
    if names.len() != columns.len() {
        let (number, text) = if names.len() < columns.len() {
            (8158, "more columns than were")
        } else {
            (8159, "fewer columns than were")
        };
        return Err(Message::new(
            number,
            16,
            1,
            format!("'{alias}' has {text} specified in the column list."),
        )
        .ending(message::Ends::Batch));
    }
    for (c, n) in columns.iter_mut().zip(names) {
        c.name.clone_from(n);
    }
    Ok(())
}

/// The column names in `CREATE VIEW v (a, b) AS`.
fn view_columns(text: &str) -> Option<Vec<String>> {
    match parse::batch(text, true).ok()?.into_iter().next()?.kind {
        crate::sql::ast::StatementKind::CreateModule { columns, .. } if !columns.is_empty() => {
            Some(columns)
        }
        _ => None,
    }
}

/// Finds `left.x = right.y` in a join's condition, for a look-up by hash.
fn equality(
    c: &Condition,
    base: usize,
    split: usize,
    end: usize,
) -> Option<(Bound, Bound, Collation)> {
    match c {
        Condition::And(a, b) => {
            equality(a, base, split, end).or_else(|| equality(b, base, split, end))
        }
        Condition::Compare {
            op: Compare::Equal,
            left,
            right,
            collation,
        } => {
            let side = |b: &Bound| match b {
                Bound::Column {
                    depth: 0, index, ..
                } if (base..split).contains(index) => Some(false),
                Bound::Column {
                    depth: 0, index, ..
                } if (split..end).contains(index) => Some(true),
                _ => None,
            };
            match (side(left)?, side(right)?) {
                (false, true) => Some((left.clone(), right.clone(), *collation)),
                (true, false) => Some((right.clone(), left.clone(), *collation)),
                _ => None,
            }
        }
        _ => None,
    }
}
