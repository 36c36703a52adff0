//! Constraints and indexes of a definition.

use std::rc::Rc;

use super::Home;
use crate::sql::{
    ast::{Constraint, ConstraintKind, IndexDef},
    message::{Ends, Message, SqlResult},
    query::bind::Scope,
    session::{Session, TEMPORARY},
    store::{CheckInfo, File, ForeignInfo, KeyInfo, TableInfo, same_name},
};

impl Session {
    pub(super) fn column_ids(
        &self,
        info: &TableInfo,
        names: &[String],
        table: &str,
    ) -> SqlResult<Vec<u32>> {
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

    pub(super) fn add_constraint(
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
                let e = crate::sql::parse::expression(value)?;
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

    pub(super) fn add_index(
        &self,
        info: &mut TableInfo,
        i: &IndexDef,
        table: &str,
    ) -> SqlResult<()> {
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
}

/// A name for a constraint that was given none, as long and as odd as SQL Server's own.
pub(super) fn system_name(prefix: &str, table: &str, id: i64, extra: u32) -> String {
    let short: String = table.chars().take(8).collect();
    format!(
        "{prefix}__{short}__{:08X}",
        id.unsigned_abs()
            .wrapping_mul(2_654_435_761)
            .wrapping_add(u64::from(extra))
            & 0xffff_ffff
    )
}
