//! Definitions carried out: tables, indexes, views, procedures, schemas.

use std::rc::Rc;

use super::{
    ast::{
        AlterTable, Body, ColumnDef, Constraint, ConstraintKind, Create, IndexDef, Module, Name,
        Query, TableDef,
    },
    change::{self, Defaults},
    collation::Collation,
    message::{self, Ends, Message, SqlResult},
    query::{
        TableRef,
        bind::{Binder, Scope},
    },
    server::{Database, now_text},
    session::{Session, TEMPORARY},
    store::{
        self, CheckInfo, ColumnInfo, File, ForeignInfo, KeyInfo, Kind, Object, TableInfo, name_key,
        same_name,
    },
    types::Type,
    value::{Row, Value},
};

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

/// A name for a constraint that was given none, as long and as odd as SQL Server's own.
fn system_name(prefix: &str, table: &str, id: i64, extra: u32) -> String {
    let short: String = table.chars().take(8).collect();
    format!(
        "{prefix}__{short}__{:08X}",
        id.unsigned_abs()
            .wrapping_mul(2_654_435_761)
            .wrapping_add(u64::from(extra))
            & 0xffff_ffff
    )
}

fn exists_already(name: &str) -> message::SqlError {
    Message::new(
        2714,
        16,
        6,
        format!("There is already an object named '{name}' in the database."),
    )
    .ending(Ends::Batch)
}

/// Where a new object goes.
struct Home {
    id: i32,
    database: Database,
    schema: String,
    name: String,
}

impl Session {
    pub(crate) fn schemas(&self, d: &Database) -> SqlResult<Vec<(i64, String, i64)>> {
        let file = self.file(d)?;
        let mut q = file
            .db
            .prepare_cached("SELECT id, name, owner FROM namespace ORDER BY id")
            .map_err(store::sql)?;
        let rows = q
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .map_err(store::sql)?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
            .map_err(store::sql)
    }

    pub(crate) fn default_schema(&self, d: &Database) -> SqlResult<String> {
        let Some((id, _)) = self.user_in(d)? else {
            return Ok("dbo".into());
        };
        let file = self.file(d)?;
        let found: rusqlite::Result<Option<String>> = file
            .db
            .prepare_cached("SELECT default_schema FROM principal WHERE id = ?1")
            .and_then(|mut q| q.query_row([id], |r| r.get(0)));
        Ok(found.ok().flatten().unwrap_or_else(|| "dbo".into()))
    }

    /// Where a new object belongs, and whether this login may put it there.
    fn home(&self, name: &Name, what: &str) -> SqlResult<Home> {
        let b = self.binder();
        let place = b.place(name)?;
        if place.temporary {
            return Ok(Home {
                id: TEMPORARY,
                database: place.database,
                schema: "dbo".into(),
                name: place.name,
            });
        }
        let schema = match place.schema {
            Some(s) => {
                let known = self.schemas(&place.database)?;
                let Some((_, name, _)) = known.into_iter().find(|(_, n, _)| same_name(n, &s))
                else {
                    return Err(Message::new(
                        2760,
                        16,
                        1,
                        format!("The specified schema name \"{s}\" either does not exist or you do not have permission to use it."),
                    )
                    .ending(Ends::Batch));
                };
                name
            }
            None => self.default_schema(&place.database)?,
        };
        if same_name(&schema, "sys") || same_name(&schema, "INFORMATION_SCHEMA") {
            return Err(Message::new(
                2760,
                16,
                1,
                format!(
                    "The specified schema name \"{schema}\" either does not exist or you do not have permission to use it."
                ),
            ));
        }
        self.need_ddl(&place.database, what)?;
        self.need_writable(&place.database)?;
        Ok(Home {
            id: place.database.id,
            database: place.database,
            schema,
            name: place.name,
        })
    }

    pub(crate) fn need_writable(&self, d: &Database) -> SqlResult<()> {
        if d.read_only {
            return Err(Message::new(
                3906,
                16,
                2,
                format!(
                    "Failed to update database \"{}\" because the database is read-only.",
                    d.name
                ),
            ));
        }
        Ok(())
    }

    /// Works a table definition out. `id`: the table's own, for names and references to itself.
    fn table_info(
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

    fn add_column(
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
                let e = super::parse::expression(text)?;
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

    fn column_ids(&self, info: &TableInfo, names: &[String], table: &str) -> SqlResult<Vec<u32>> {
        names
            .iter()
            .map(|n| {
                info.column(n).map(|c| c.id).ok_or_else(|| {
                    Message::new(
                        1911,
                        16,
                        1,
                        format!("Column name '{n}' does not exist in the target table or view."),
                    )
                    .ending(Ends::Batch)
                })
            })
            .collect::<SqlResult<Vec<_>>>()
            .inspect_err(|_| tracing::debug!(table, "a key names a column that is not there"))
    }

    fn add_constraint(
        &self,
        file: &File,
        info: &mut TableInfo,
        c: &Constraint,
        column: Option<&str>,
        home: &Home,
        id: i64,
    ) -> SqlResult<()> {
        let table = &home.name;
        match &c.kind {
            ConstraintKind::Key { primary, columns } => {
                let ids = self.column_ids(info, columns, table)?;
                if *primary {
                    if info.keys.iter().any(|k| k.primary) {
                        return Err(Message::new(
                            1779,
                            16,
                            0,
                            format!("Table '{table}' already has a primary key defined on it."),
                        )
                        .ending(Ends::Batch));
                    }
                    for column in info.columns.iter_mut().filter(|c| ids.contains(&c.id)) {
                        column.nullable = false;
                    }
                }
                let key = info.take_id();
                let name = c.name.clone().unwrap_or_else(|| {
                    system_name(if *primary { "PK" } else { "UQ" }, table, id, key)
                });
                let clustered = *primary && !info.keys.iter().any(|k| k.clustered);
                info.keys.push(KeyInfo {
                    id: key,
                    name,
                    primary: *primary,
                    unique: true,
                    constraint: true,
                    clustered,
                    columns: ids,
                    filter: None,
                });
            }
            ConstraintKind::Check(text) => {
                let extra = info.take_id();
                let name = c
                    .name
                    .clone()
                    .unwrap_or_else(|| system_name("CK", table, id, extra));
                info.checks.push(CheckInfo {
                    name,
                    text: text.clone(),
                    column: column.map(str::to_owned),
                });
            }
            ConstraintKind::Foreign {
                columns,
                table: parent,
                referenced,
                on_delete,
                on_update,
            } => {
                if home.id == TEMPORARY {
                    // SQL Server skips foreign keys of temporary tables, with a message.
                    return Ok(());
                }
                let ids = self.column_ids(info, columns, table)?;
                let mut b = self.binder();
                b.database = home.database.clone();
                let own = parent.last().is_some_and(|n| same_name(n, table))
                    && b.find_object(parent)?.is_none();
                let (parent_id, parent_info) = if own {
                    (id, Rc::new(info.clone()))
                } else {
                    let t = b.find_table(parent).map_err(|_| {
                        Message::new(
                            1767,
                            16,
                            0,
                            format!(
                                "Foreign key '{}' references invalid table '{}'.",
                                c.name.clone().unwrap_or_default(),
                                parent.join(".")
                            ),
                        )
                        .ending(Ends::Batch)
                    })?;
                    if t.database != home.id {
                        return Err(Message::new(
                            1763,
                            16,
                            0,
                            format!(
                                "Cross-database foreign key references are not supported. Foreign key '{}'.",
                                parent.join(".")
                            ),
                        ));
                    }
                    (t.object.id, t.info)
                };
                let referenced = if referenced.is_empty() {
                    parent_info
                        .keys
                        .iter()
                        .find(|k| k.primary)
                        .map(|k| k.columns.clone())
                        .unwrap_or_default()
                } else {
                    self.column_ids(&parent_info, referenced, table)?
                };
                let extra = info.take_id();
                let name = c
                    .name
                    .clone()
                    .unwrap_or_else(|| system_name("FK", table, id, extra));
                let mut sorted = referenced.clone();
                sorted.sort_unstable();
                let has_key = parent_info
                    .keys
                    .iter()
                    .filter(|k| k.unique && k.filter.is_none())
                    .any(|k| {
                        let mut columns = k.columns.clone();
                        columns.sort_unstable();
                        columns == sorted
                    });
                if !has_key || referenced.len() != ids.len() {
                    return Err(Message::new(
                        1776,
                        16,
                        0,
                        format!(
                            "There are no primary or candidate keys in the referenced table '{}' that match the referencing column list in the foreign key '{name}'.",
                            parent.join(".")
                        ),
                    )
                    .ending(Ends::Batch));
                }
                for (own_id, other) in ids.iter().zip(&referenced) {
                    let (a, b) = (
                        info.by_id(*own_id).map(|(_, c)| c.ty),
                        parent_info.by_id(*other).map(|(_, c)| c.ty),
                    );
                    if let (Some(a), Some(b)) = (a, b)
                        && (a.family() != b.family() || (a.length().is_none() && a != b))
                    {
                        return Err(Message::new(
                            1778,
                            16,
                            0,
                            format!("A column in foreign key '{name}' is not the same data type as the column that it references in table '{}'.", parent.join(".")),
                        )
                        .ending(Ends::Batch));
                    }
                }
                info.foreign.push(ForeignInfo {
                    name,
                    columns: ids,
                    table: parent_id,
                    referenced,
                    on_delete: on_delete.clone(),
                    on_update: on_update.clone(),
                });
                let _ = file;
            }
            ConstraintKind::Default { value, column } => {
                let e = super::parse::expression(value)?;
                self.binder().value(&e, &Scope::EMPTY)?;
                let extra = info.take_id();
                let name = c
                    .name
                    .clone()
                    .unwrap_or_else(|| system_name("DF", table, id, extra));
                let found = info.columns.iter_mut().find(|c| same_name(&c.name, column));
                let Some(target) = found else {
                    return Err(Message::new(1752, 16, 0, format!("Column '{column}' in table '{table}' is invalid for creating a default constraint.")).ending(Ends::Batch));
                };
                if target.default.is_some() {
                    return Err(Message::new(
                        1781,
                        16,
                        1,
                        "Column already has a DEFAULT bound to it.",
                    )
                    .ending(Ends::Batch));
                }
                target.default = Some((name, value.clone()));
            }
        }
        Ok(())
    }

    fn add_index(&self, info: &mut TableInfo, i: &IndexDef, table: &str) -> SqlResult<()> {
        if info.keys.iter().any(|k| same_name(&k.name, &i.name)) {
            return Err(Message::new(
                1913,
                16,
                1,
                format!(
                    "The operation failed because an index or statistics with name '{}' already exists on table '{table}'.",
                    i.name
                ),
            ));
        }
        if i.clustered && info.keys.iter().any(|k| k.clustered) {
            return Err(Message::new(
                1902,
                16,
                3,
                format!(
                    "Cannot create more than one clustered index on table '{table}'. Drop the existing clustered index before creating another."
                ),
            ));
        }
        let columns = self.column_ids(info, &i.columns, table)?;
        let id = info.take_id();
        info.keys.push(KeyInfo {
            id,
            name: i.name.clone(),
            primary: false,
            unique: i.unique,
            constraint: false,
            clustered: i.clustered,
            columns,
            filter: i.filter.clone(),
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

    fn new_table(
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

    /// Saves a changed table definition.
    fn resave(&self, file: &File, t: &TableRef, info: TableInfo) -> SqlResult<()> {
        file.save(
            t.object.id,
            &t.object.schema,
            &t.object.name,
            &Kind::Table(Rc::new(info)),
            &now_text(),
        )
    }

    fn rows_of(&self, file: &File, t: &TableRef) -> SqlResult<Vec<Row>> {
        let mut rows = Vec::new();
        file.scan(t.object.id, &t.info, &[], &mut |row| {
            self.check()?;
            self.hold(row.iter().map(Value::weight).sum())?;
            rows.push(row);
            Ok(true)
        })?;
        Ok(rows)
    }

    pub(crate) fn alter_table(&self, name: &Name, change: &AlterTable) -> SqlResult<()> {
        let b = self.binder();
        let found = b.find_object(name)?;
        let Some((database, object)) = found else {
            return Err(Message::new(4902, 16, 1, format!("Cannot find the object \"{}\" because it does not exist or you do not have permissions.", name.join("."))).ending(Ends::Batch));
        };
        let t = b.table_ref(database, object)?;
        let d = self
            .server
            .state()
            .database_by_id(database)
            .cloned()
            .unwrap_or_else(|| self.current());
        if database != TEMPORARY {
            self.need_ddl(&d, "ALTER TABLE")?;
            self.need_writable(&d)?;
        }
        let home = Home {
            id: database,
            database: d,
            schema: t.object.schema.clone(),
            name: t.object.name.clone(),
        };
        self.write(database, |file| match change {
            AlterTable::AddColumns(columns, constraints) => {
                self.add_to_table(file, &t, &home, columns, constraints)
            }
            AlterTable::DropColumns(names, if_exists) => {
                self.drop_columns(file, &t, names, *if_exists)
            }
            AlterTable::DropConstraints(names, if_exists) => {
                self.drop_constraints(file, &t, names, *if_exists)
            }
            AlterTable::AlterColumn(c) => self.alter_column(file, &t, c),
        })
    }

    fn add_to_table(
        &self,
        file: &File,
        t: &TableRef,
        home: &Home,
        columns: &[ColumnDef],
        constraints: &[Constraint],
    ) -> SqlResult<()> {
        let mut info = t.info.as_ref().clone();
        let before = (
            info.columns.len(),
            info.keys.len(),
            info.checks.len(),
            info.foreign.len(),
        );
        for c in columns {
            self.add_column(&mut info, c, &home.name, t.object.id)?;
            for k in &c.constraints {
                self.add_constraint(file, &mut info, k, Some(&c.name), home, t.object.id)?;
            }
        }
        for c in constraints {
            self.add_constraint(file, &mut info, c, None, home, t.object.id)?;
        }
        let rows = self.rows_of(file, t)?;
        let added: Vec<&ColumnInfo> = info.columns.iter().skip(before.0).collect();
        for c in &added {
            if !c.nullable
                && c.default.is_none()
                && c.identity.is_none()
                && !c.rowversion
                && !rows.is_empty()
            {
                return Err(Message::new(
                    4901,
                    16,
                    1,
                    format!(
                        "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '{}' cannot be added to non-empty table '{}' because it does not satisfy these conditions.",
                        c.name, home.name
                    ),
                ));
            }
            file.run(&format!(
                "ALTER TABLE t{} ADD COLUMN {}",
                t.object.id,
                file.stored_column(c)
            ))?;
        }
        let fresh = TableRef {
            info: Rc::new(info.clone()),
            ..t.clone()
        };
        let defaults = Defaults::of(self, &fresh)?;
        let mut after = Vec::new();
        for row in &rows {
            self.check()?;
            let Some((Value::Int(number), old)) = row.split_last() else {
                continue;
            };
            let mut given: Vec<Option<Value>> = old.iter().cloned().map(Some).collect();
            for c in &added {
                // A column that may be NULL stays NULL in rows that are there already.
                given.push(if c.nullable && c.identity.is_none() && !c.rowversion {
                    Some(Value::Null)
                } else {
                    None
                });
            }
            let whole = change::complete_old(self, file, &fresh, given, &defaults, before.0)?;
            after.push((*number, whole));
        }
        change::refill(self, file, &fresh, &after, "ALTER TABLE")?;
        for k in info.keys.iter().skip(before.1) {
            file.create_key(t.object.id, k)?;
        }
        if info.foreign.len() > before.3
            || info.checks.len() > before.2
            || info.keys.len() > before.1
        {
            change::verify(self, file, &fresh, &after)?;
        }
        self.resave(file, t, info)
    }

    fn drop_columns(
        &self,
        file: &File,
        t: &TableRef,
        names: &[String],
        if_exists: bool,
    ) -> SqlResult<()> {
        let mut info = t.info.as_ref().clone();
        for name in names {
            let Some(c) = info.column(name).cloned() else {
                if if_exists {
                    continue;
                }
                return Err(Message::new(4924, 16, 1, format!("ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table '{}'.", t.object.name)).ending(Ends::Batch));
            };
            let word = |text: &str| text.to_lowercase().contains(&c.name.to_lowercase());
            let holder = info
                .keys
                .iter()
                .find(|k| k.columns.contains(&c.id))
                .map(|k| k.name.clone())
                .or_else(|| {
                    info.foreign
                        .iter()
                        .find(|f| f.columns.contains(&c.id))
                        .map(|f| f.name.clone())
                })
                .or_else(|| {
                    info.checks
                        .iter()
                        .find(|k| word(&k.text))
                        .map(|k| k.name.clone())
                })
                .or_else(|| c.default.as_ref().map(|(n, _)| n.clone()));
            if let Some(holder) = holder {
                return Err(Message::new(
                    5074,
                    16,
                    1,
                    format!(
                        "The object '{holder}' is dependent on column '{}'. ALTER TABLE DROP COLUMN {} failed because one or more objects access this column.",
                        c.name, c.name
                    ),
                ));
            }
            if info.columns.len() == 1 {
                return Err(Message::new(
                    4923,
                    16,
                    1,
                    format!(
                        "ALTER TABLE DROP COLUMN failed because '{}' is the only data column in table '{}'.",
                        c.name, t.object.name
                    ),
                ));
            }
            file.run(&format!(
                "ALTER TABLE t{} DROP COLUMN c{}",
                t.object.id, c.id
            ))?;
            info.columns.retain(|x| x.id != c.id);
        }
        self.resave(file, t, info)
    }

    fn drop_constraints(
        &self,
        file: &File,
        t: &TableRef,
        names: &[String],
        if_exists: bool,
    ) -> SqlResult<()> {
        let mut info = t.info.as_ref().clone();
        for name in names {
            let mut found = false;
            if let Some(k) = info
                .keys
                .iter()
                .find(|k| k.constraint && same_name(&k.name, name))
                .cloned()
            {
                if let Some((o, f)) = change::referencing(file, t.object.id, &k.columns)? {
                    return Err(Message::new(
                        3725,
                        16,
                        0,
                        format!(
                            "The constraint '{}' is being referenced by table '{}', foreign key constraint '{}'.",
                            k.name, o.name, f.name
                        ),
                    ));
                }
                file.drop_key(t.object.id, &k)?;
                info.keys.retain(|x| x.id != k.id);
                found = true;
            }
            let before = (info.checks.len(), info.foreign.len());
            info.checks.retain(|c| !same_name(&c.name, name));
            info.foreign.retain(|c| !same_name(&c.name, name));
            found |= before != (info.checks.len(), info.foreign.len());
            for c in &mut info.columns {
                if c.default.as_ref().is_some_and(|(n, _)| same_name(n, name)) {
                    c.default = None;
                    found = true;
                }
            }
            if !found && !if_exists {
                return Err(Message::new(
                    3728,
                    16,
                    1,
                    format!("'{name}' is not a constraint."),
                ));
            }
        }
        self.resave(file, t, info)
    }

    fn alter_column(&self, file: &File, t: &TableRef, c: &ColumnDef) -> SqlResult<()> {
        let mut info = t.info.as_ref().clone();
        let Some(at) = info
            .columns
            .iter()
            .position(|x| same_name(&x.name, &c.name))
        else {
            return Err(Message::new(4924, 16, 1, format!("ALTER TABLE ALTER COLUMN failed because column '{}' does not exist in table '{}'.", c.name, t.object.name)).ending(Ends::Batch));
        };
        let Some(old) = info.columns.get(at).cloned() else {
            return Ok(());
        };
        let in_key = info.keys.iter().any(|k| k.columns.contains(&old.id));
        if in_key && old.ty.family() != c.ty.family() {
            let holder = info
                .keys
                .iter()
                .find(|k| k.columns.contains(&old.id))
                .map(|k| k.name.clone())
                .unwrap_or_default();
            return Err(Message::new(
                5074,
                16,
                1,
                format!(
                    "The object '{holder}' is dependent on column '{}'. ALTER TABLE ALTER COLUMN {} failed because one or more objects access this column.",
                    old.name, old.name
                ),
            ));
        }
        let nullable = c.nullable.unwrap_or(true);
        let fresh = ColumnInfo {
            ty: c.ty,
            nullable,
            collation: c.collation.clone().or(old.collation.clone()),
            ..old.clone()
        };
        if let Some(slot) = info.columns.get_mut(at) {
            *slot = fresh.clone();
        }
        let target = TableRef {
            info: Rc::new(info.clone()),
            ..t.clone()
        };
        let rows = self.rows_of(file, t)?;
        let mut after = Vec::new();
        for row in &rows {
            let Some((Value::Int(number), values)) = row.split_last() else {
                continue;
            };
            let mut values = values.to_vec();
            if let Some(v) = values.get_mut(at) {
                *v = change::assign(self, v, old.ty, &target, &fresh)?;
            }
            after.push((*number, values));
        }
        // The column's storage may be of another kind now: the whole table is laid anew.
        for k in &info.keys {
            file.drop_key(t.object.id, k)?;
        }
        file.run(&format!("DROP TABLE t{}", t.object.id))?;
        file.create_storage(t.object.id, &info)?;
        change::refill(self, file, &target, &after, "ALTER TABLE")?;
        self.resave(file, t, info)
    }

    pub(crate) fn drop_object(&self, kind: &str, name: &Name, if_exists: bool) -> SqlResult<()> {
        let found = self.binder().find_object(name)?;
        let wanted = match kind {
            "table" => "U",
            "view" => "V",
            _ => "P",
        };
        let Some((database, object)) = found.filter(|(_, o)| o.kind.code() == wanted) else {
            return if if_exists {
                Ok(())
            } else {
                Err(message::cannot_find("drop", kind, &name.join(".")))
            };
        };
        if database != TEMPORARY {
            let d = self.server.state().database_by_id(database).cloned();
            if let Some(d) = d {
                self.need_ddl(&d, "DROP")?;
                self.need_writable(&d)?;
            }
        }
        self.write(database, |file| {
            if kind == "table"
                && change::is_referenced(file, object.id)?.is_some()
            {
                return Err(Message::new(
                    3726,
                    16,
                    1,
                    format!("Could not drop object '{}' because it is referenced by a FOREIGN KEY constraint.", name.join(".")),
                ));
            }
            file.remove(&object)
        })
    }

    pub(crate) fn create_index(&self, table: &Name, index: &IndexDef) -> SqlResult<()> {
        let t = self.binder().find_table(table).map_err(|e| {
            if e.number == 208 {
                Message::new(1088, 16, 12, format!("Cannot find the object \"{}\" because it does not exist or you do not have permissions.", table.join("."))).ending(Ends::Batch)
            } else {
                e
            }
        })?;
        self.need_table_ddl(&t)?;
        self.write(t.database, |file| {
            let mut info = t.info.as_ref().clone();
            self.add_index(&mut info, index, &t.object.name)?;
            let fresh = TableRef {
                info: Rc::new(info.clone()),
                ..t.clone()
            };
            if let Some(k) = info.keys.last() {
                file.create_key(t.object.id, k)?;
            }
            change::verify_unique(self, file, &fresh)?;
            self.resave(file, &t, info)
        })
    }

    fn need_table_ddl(&self, t: &TableRef) -> SqlResult<()> {
        let d = self.server.state().database_by_id(t.database).cloned();
        match d {
            Some(d) => {
                self.need_ddl(&d, "ALTER TABLE")?;
                self.need_writable(&d)
            }
            None => Ok(()),
        }
    }

    pub(crate) fn drop_index(&self, table: &Name, index: &str, if_exists: bool) -> SqlResult<()> {
        let missing =
            || message::cannot_find("drop", "index", &format!("{}.{index}", table.join(".")));
        let t = match self.binder().find_table(table) {
            Ok(t) => t,
            Err(_) if if_exists => return Ok(()),
            Err(_) => return Err(missing()),
        };
        self.need_table_ddl(&t)?;
        self.write(t.database, |file| {
            let mut info = t.info.as_ref().clone();
            let Some(k) = info.keys.iter().find(|k| same_name(&k.name, index)).cloned() else {
                return if if_exists { Ok(()) } else { Err(missing()) };
            };
            if k.constraint {
                return Err(Message::new(
                    3723,
                    16,
                    4,
                    format!("An explicit DROP INDEX is not allowed on index '{}.{index}'. It is being used for {} constraint enforcement.", table.join("."), if k.primary { "PRIMARY KEY" } else { "UNIQUE KEY" }),
                ));
            }
            file.drop_key(t.object.id, &k)?;
            info.keys.retain(|x| x.id != k.id);
            self.resave(file, &t, info)
        })
    }

    pub(crate) fn create_schema(&self, name: &str, owner: Option<&str>) -> SqlResult<()> {
        let d = self.current();
        self.need_ddl(&d, "CREATE SCHEMA")?;
        self.write(d.id, |file| {
            let owner_id: i64 = match owner {
                None => 1,
                Some(o) => file
                    .db
                    .query_row(
                        "SELECT id FROM principal WHERE key = ?1",
                        [name_key(o)],
                        |r| r.get(0),
                    )
                    .map_err(|_| message::no_principal("find the user", o))?,
            };
            let taken = self.schemas(&d)?.iter().any(|(_, n, _)| same_name(n, name));
            if taken {
                return Err(Message::new(
                    2714,
                    16,
                    6,
                    format!("There is already an object named '{name}' in the database."),
                ));
            }
            file.db
                .execute(
                    "INSERT INTO namespace (key, name, owner) VALUES (?1, ?2, ?3)",
                    (name_key(name), name, owner_id),
                )
                .map_err(store::sql)?;
            Ok(())
        })
    }

    pub(crate) fn drop_schema(&self, name: &str, if_exists: bool) -> SqlResult<()> {
        let d = self.current();
        self.need_ddl(&d, "DROP SCHEMA")?;
        self.write(d.id, |file| {
            let Some((id, stored, _)) = self.schemas(&d)?.into_iter().find(|(_, n, _)| same_name(n, name)) else {
                return if if_exists { Ok(()) } else { Err(message::no_principal("drop the schema", name)) };
            };
            if id <= 4 {
                return Err(Message::new(15150, 16, 1, format!("Cannot drop the schema '{name}'.")));
            }
            if let Some(o) = file.objects()?.iter().find(|o| same_name(&o.schema, &stored)) {
                return Err(Message::new(3729, 16, 1, format!("Cannot drop schema '{name}' because it is being referenced by object '{}'.", o.name)));
            }
            file.db.execute("DELETE FROM namespace WHERE id = ?1", [id]).map_err(store::sql)?;
            Ok(())
        })
    }

    pub(crate) fn create_module(
        &self,
        how: Create,
        kind: Module,
        name: &Name,
        columns: &[String],
        text: &str,
    ) -> SqlResult<()> {
        let what = if kind == Module::View {
            "CREATE VIEW"
        } else {
            "CREATE PROCEDURE"
        };
        let home = self.home(name, what)?;
        if home.id == TEMPORARY {
            return Err(message::not_implemented("A temporary procedure"));
        }
        if kind == Module::View {
            // A view must make sense now; a procedure only when it runs.
            let query = super::parse::view(text)?;
            let mut b: Binder<'_> = self.binder();
            b.database = home.database.clone();
            let plan = b.query(&query, &Scope::EMPTY)?;
            let mut shown = plan.columns;
            super::query::rename(&mut shown, columns, &home.name)?;
            if let Some(at) = shown.iter().position(|c| c.name.is_empty()) {
                return Err(Message::new(
                    4511,
                    16,
                    1,
                    format!(
                        "Create View or Function failed because no column name was specified for column {}.",
                        at.saturating_add(1)
                    ),
                ));
            }
        }
        self.write(home.id, |file| {
            let old = file.object(&home.schema, &home.name)?;
            let new = match kind {
                Module::View => Kind::View(text.to_owned()),
                Module::Procedure => Kind::Procedure(text.to_owned()),
            };
            match (&old, how) {
                (Some(o), Create::Change | Create::Either) if o.kind.code() == new.code() => {
                    file.save(o.id, &o.schema, &o.name, &new, &now_text())
                }
                (Some(_), _) => Err(exists_already(&home.name)),
                (None, Create::Change) => Err(message::no_object(&name.join("."))),
                (None, _) => file.save(
                    file.next_object_id()?,
                    &home.schema,
                    &home.name,
                    &new,
                    &now_text(),
                ),
            }
        })
    }
}
