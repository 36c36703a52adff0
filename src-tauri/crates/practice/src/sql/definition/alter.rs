//! `ALTER TABLE`.

use std::rc::Rc;

use super::Home;
use crate::sql::{
    ast::{AlterTable, ColumnDef, Constraint, Name},
    change::{self, Defaults},
    message::{Ends, Message, SqlResult},
    query::TableRef,
    server::now_text,
    session::{Session, TEMPORARY},
    store::{ColumnInfo, File, Kind, TableInfo, same_name},
    value::{Row, Value},
};

impl Session {
    /// Saves a changed table definition.
    pub(super) fn resave(&self, file: &File, t: &TableRef, info: TableInfo) -> SqlResult<()> {
        file.save(
            t.object.id,
            &t.object.schema,
            &t.object.name,
            &Kind::Table(Rc::new(info)),
            &now_text(),
        )
    }

    pub(super) fn rows_of(&self, file: &File, t: &TableRef) -> SqlResult<Vec<Row>> {
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
            AlterTable::Check(constraint) => {
                let checks = t.info.checks.iter().map(|c| &c.name);
                let mut all = checks.chain(t.info.foreign.iter().map(|f| &f.name));
                if constraint.is_empty() || all.any(|n| same_name(n, constraint)) {
                    return Ok(());
                }
                Err(Message::new(
                    4917,
                    16,
                    0,
                    format!("Constraint '{constraint}' does not exist."),
                ))
            }
        })
    }

    pub(super) fn add_to_table(
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

    pub(super) fn drop_columns(
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

    pub(super) fn drop_constraints(
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

    pub(super) fn alter_column(&self, file: &File, t: &TableRef, c: &ColumnDef) -> SqlResult<()> {
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
}
