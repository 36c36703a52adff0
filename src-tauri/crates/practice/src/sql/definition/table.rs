//! Tables made: columns, constraints, temporary tables, `SELECT … INTO`.

use std::rc::Rc;

use super::{Home, constraint::system_name, exists_already};
use crate::sql::{
    ast::{Body, ColumnDef, ConstraintKind, Name, Query, TableDef},
    change,
    collation::Collation,
    message::{self, Ends, Message, SqlResult},
    query::{TableRef, bind::Scope},
    server::now_text,
    session::{Session, TEMPORARY},
    store::{self, ColumnInfo, File, Kind, Object, TableInfo},
    types::Type,
    value::{Row, Value},
};

impl Session {
    /// Works a table definition out. `id`: the table's own, for names and references to itself.
    pub(super) fn table_info(
        &self,
        file: &File,
        home: &Home,
        def: &TableDef,
        id: i64,
    ) -> SqlResult<TableInfo> {
        let mut info = TableInfo::default();
        for c in &def.columns {
            self.add_column(&mut info, c, &home.name, id)?;
        }
        if info.columns.is_empty() {
            return Err(message::syntax(")", 0));
        }
        for c in &def.columns {
            for k in &c.constraints {
                self.add_constraint(file, &mut info, k, Some(&c.name), home, id)?;
            }
        }
        for k in &def.constraints {
            self.add_constraint(file, &mut info, k, None, home, id)?;
        }
        for i in &def.indexes {
            self.add_index(&mut info, i, &home.name)?;
        }
        Ok(info)
    }

    pub(super) fn add_column(
        &self,
        info: &mut TableInfo,
        c: &ColumnDef,
        table: &str,
        table_id: i64,
    ) -> SqlResult<()> {
        if info.column(&c.name).is_some() {
            return Err(Message::new(
                2705,
                16,
                3,
                format!("Column names in each table must be unique. Column name '{}' in table '{table}' is specified more than once.", c.name),
            )
            .ending(Ends::Batch));
        }
        if let Some(name) = &c.collation
            && Collation::parse(name).is_none()
        {
            return Err(
                Message::new(448, 16, 1, format!("Invalid collation '{name}'."))
                    .ending(Ends::Batch),
            );
        }
        if c.identity.is_some() {
            if !matches!(
                c.ty,
                Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt | Type::Decimal(_, 0)
            ) {
                return Err(Message::new(
                    2749,
                    16,
                    2,
                    format!("Identity column '{}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.", c.name),
                )
                .ending(Ends::Batch));
            }
            if info.columns.iter().any(|c| c.identity.is_some()) {
                return Err(Message::new(
                    2744,
                    16,
                    2,
                    format!("Multiple identity columns specified for table '{table}'. Only one identity column per table is allowed."),
                )
                .ending(Ends::Batch));
            }
        }
        let id = info.take_id();
        let primary = c
            .constraints
            .iter()
            .any(|k| matches!(k.kind, ConstraintKind::Key { primary: true, .. }));
        let default = match &c.default {
            Some((name, text)) => {
                // It must at least make sense; its value is computed when a row needs it.
                let e = crate::sql::parse::expression(text)?;
                self.binder().value(&e, &Scope::EMPTY)?;
                Some((
                    name.clone()
                        .unwrap_or_else(|| system_name("DF", table, table_id, id)),
                    text.clone(),
                ))
            }
            None => None,
        };
        info.columns.push(ColumnInfo {
            id,
            name: c.name.clone(),
            ty: c.ty,
            nullable: c
                .nullable
                .unwrap_or(!(primary || c.identity.is_some() || c.rowversion))
                && c.identity.is_none(),
            identity: c.identity,
            default,
            rowversion: c.rowversion,
            collation: c.collation.clone(),
        });
        Ok(())
    }

    pub(crate) fn create_table(&self, name: &Name, def: &TableDef) -> SqlResult<()> {
        let home = self.home(name, "CREATE TABLE")?;
        self.write(home.id, |file| {
            if file.object(&home.schema, &home.name)?.is_some() {
                return Err(exists_already(&home.name));
            }
            let id = file.next_object_id()?;
            let info = self.table_info(file, &home, def, id)?;
            self.new_table(file, &home.schema, &home.name, id, info)
        })
    }

    pub(super) fn new_table(
        &self,
        file: &File,
        schema: &str,
        name: &str,
        id: i64,
        info: TableInfo,
    ) -> SqlResult<()> {
        file.create_storage(id, &info)?;
        let t = TableRef {
            database: TEMPORARY,
            object: Object {
                id,
                schema: schema.into(),
                name: name.into(),
                kind: Kind::Table(Rc::default()),
                created: String::new(),
                modified: String::new(),
            },
            info: Rc::new(info.clone()),
            collation: file.collation,
        };
        // Checks must make sense before the table is there.
        change::check_constraints(self, &t)?;
        file.save(id, schema, name, &Kind::Table(Rc::new(info)), &now_text())?;
        if name.starts_with('#')
            && let Some(f) = self.frames.borrow_mut().last_mut()
        {
            f.temporary.push(id);
        }
        Ok(())
    }

    pub(crate) fn declare_table(&self, key: &str, def: &TableDef) -> SqlResult<()> {
        let file = self.temporary()?;
        let stored = {
            let frames = self.frames.borrow();
            format!("{key} {}", frames.len())
        };
        let home = Home {
            id: TEMPORARY,
            database: self.current(),
            schema: "dbo".into(),
            name: stored.clone(),
        };
        if let Some(old) = file.object("dbo", &stored)? {
            // A DECLARE in a loop: the variable is there already.
            let known = self
                .frames
                .borrow()
                .last()
                .is_some_and(|f| f.tables.contains_key(key));
            if known {
                return Ok(());
            }
            file.remove(&old)?;
        }
        let id = file.next_object_id()?;
        let info = self.table_info(&file, &home, def, id)?;
        self.new_table(&file, "dbo", &stored, id, info)?;
        if let Some(f) = self.frames.borrow_mut().last_mut() {
            f.tables.insert(key.to_owned(), stored);
            f.temporary.push(id);
        }
        Ok(())
    }

    /// Leaves a call: its temporary tables go with it.
    pub(crate) fn leave_frame(&self) {
        let frame = self.frames.borrow_mut().pop();
        let ids = frame.map(|f| f.temporary).unwrap_or_default();
        if ids.is_empty() {
            return;
        }
        if let Ok(file) = self.temporary() {
            for id in ids {
                if let Ok(Some(o)) = file.object_by_id(id)
                    && let Err(e) = file.remove(&o)
                {
                    tracing::debug!(error = %e.text, "a temporary table stays until the session ends");
                }
            }
        }
    }

    pub(crate) fn select_into(&self, name: &Name, q: &Query) -> SqlResult<u64> {
        let home = self.home(name, "CREATE TABLE")?;
        let plan = self.binder().query(q, &Scope::EMPTY)?;
        let mut info = TableInfo::default();
        for c in &plan.columns {
            if c.name.is_empty() {
                return Err(Message::new(
                    1038,
                    15,
                    5,
                    "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name. For other statements, look for empty alias names. Aliases defined as \"\" or [] are not allowed. Change the alias to a valid name.",
                )
                .ending(Ends::Batch));
            }
            if info.column(&c.name).is_some() {
                return Err(Message::new(2705, 16, 3, format!("Column names in each table must be unique. Column name '{}' in table '{}' is specified more than once.", c.name, home.name)).ending(Ends::Batch));
            }
            let id = info.take_id();
            let one_identity = c.identity && !info.columns.iter().any(|c| c.identity.is_some());
            info.columns.push(ColumnInfo {
                id,
                name: c.name.clone(),
                ty: if c.ty == Type::Null { Type::Int } else { c.ty },
                nullable: c.nullable,
                identity: one_identity.then_some((1, 1)),
                default: None,
                rowversion: false,
                collation: None,
            });
        }
        let mut rows: Vec<Row> = Vec::new();
        self.run_query(&plan, None, &mut |row| {
            self.hold(row.iter().map(Value::weight).sum())?;
            rows.push(row);
            Ok(true)
        })?;
        self.write(home.id, |file| {
            if file.object(&home.schema, &home.name)?.is_some() {
                return Err(exists_already(&home.name));
            }
            let id = file.next_object_id()?;
            let identity = info.columns.iter().position(|c| c.identity.is_some());
            let largest = identity.and_then(|at| {
                rows.iter()
                    .filter_map(|r| {
                        if let Some(Value::Int(n)) = r.get(at) {
                            Some(*n)
                        } else {
                            None
                        }
                    })
                    .max()
            });
            let shape = info.clone();
            self.new_table(file, &home.schema, &home.name, id, info)?;
            if let Some(n) = largest {
                file.set_counter(&store::identity_counter(id), n)?;
            }
            for row in &rows {
                self.check()?;
                file.insert(id, &shape, row, None)?;
            }
            Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
        })
    }
}

/// `SELECT … INTO t`: the target, and the query without it.
pub(crate) fn into_of(q: &Query) -> Option<(Name, Query)> {
    let Body::Select(s) = &q.body else {
        return None;
    };
    let into = s.into.clone()?;
    let mut plain = q.clone();
    if let Body::Select(s) = &mut plain.body {
        s.into = None;
    }
    Some((into, plain))
}
