//! Definitions carried out: tables, indexes, views, procedures, schemas.

mod alter;
mod constraint;
mod table;

pub(crate) use table::into_of;

use std::rc::Rc;

use super::{
    ast::{Create, IndexDef, Module, Name},
    change,
    message::{self, Ends, Message, SqlResult},
    query::{
        TableRef,
        bind::{Binder, Scope},
    },
    server::{Database, now_text},
    session::{Session, TEMPORARY},
    store::{self, Kind, name_key, same_name},
};

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
