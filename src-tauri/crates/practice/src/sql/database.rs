//! Databases: made, changed, dropped.

use std::time::{Duration, Instant};

use super::{
    ast::DatabaseChange,
    collation::Collation,
    message::{self, Ends, Message, SqlResult},
    server::{Database, now_text},
    session::Session,
    store::File,
};

fn name_checked(name: &str) -> SqlResult<()> {
    if name.encode_utf16().count() > 123 {
        return Err(Message::new(
            103,
            15,
            3,
            format!(
                "The identifier that starts with '{}' is too long. Maximum length is 123.",
                name.chars().take(100).collect::<String>()
            ),
        )
        .ending(Ends::Batch));
    }
    Ok(())
}

impl Session {
    fn may_create_databases(&self) -> bool {
        self.login.is_sysadmin() || self.login.roles.iter().any(|r| r == "dbcreator")
    }

    pub(crate) fn create_database(&self, name: &str, collation: Option<&str>) -> SqlResult<()> {
        self.need_no_transaction("CREATE DATABASE")?;
        name_checked(name)?;
        if !self.may_create_databases() {
            return Err(message::permission(
                262,
                "CREATE DATABASE permission denied in database 'master'.",
            ));
        }
        let collation = collation
            .unwrap_or(&self.server.options.collation)
            .to_owned();
        let Some(parsed) = Collation::parse(&collation) else {
            return Err(
                Message::new(448, 16, 1, format!("Invalid collation '{collation}'."))
                    .ending(Ends::Batch),
            );
        };
        let exists = || {
            Message::new(
                1801,
                16,
                3,
                format!("Database '{name}' already exists. Choose a different database name."),
            )
        };
        let mut state = self.server.state();
        if state.database(name).is_some() {
            return Err(exists());
        }
        let files = self.server.new_files(name);
        if let Err(e) = self.server.may_name(&files.data_path) {
            let last = Message::new(
                1802,
                16,
                4,
                "CREATE DATABASE failed. Some file names listed could not be created. Check related errors.",
            );
            return Err(Message::new(
                last.number,
                last.class,
                last.state,
                format!("{} {}", e.text, last.text),
            ));
        }
        let id = state.next_database_id();
        // The file's own name never comes back, so that no session can mistake a new database for an old one.
        let file = format!("db{id}-{}.sqlite", uuid::Uuid::new_v4().simple());
        let path = self.server.dir.join(&file);
        if let Err(e) = File::create(&path, parsed) {
            remove_files(&path);
            return Err(Message::new(
                1802,
                16,
                4,
                format!(
                    "CREATE DATABASE failed. Some file names listed could not be created. Check related errors. {e}"
                ),
            ));
        }
        let d = Database {
            id,
            name: name.to_owned(),
            file,
            owner: self.login.sid.clone(),
            collation,
            created: now_text(),
            compat: i32::from(self.server.product().major).saturating_mul(10),
            access: 0,
            read_only: false,
            online: true,
            recovery: if super::server::edition_name(&self.server.options.edition) == "Express" {
                "SIMPLE"
            } else {
                "FULL"
            }
            .into(),
            snapshot_reads: false,
            files: Some(files),
        };
        if let Err(e) = self
            .server
            .name_files(&d)
            .and_then(|()| state.save_database(&d))
        {
            self.server.unname_files(&d);
            remove_files(&path);
            return Err(e);
        }
        drop(state);
        self.server.log.write(
            &format!("spid{}", self.spid),
            &format!("Starting up database '{name}'."),
        );
        Ok(())
    }

    fn owns(&self, d: &Database) -> bool {
        self.login.is_sysadmin() || d.owner == self.login.sid
    }

    pub(crate) fn alter_database(
        &self,
        name: Option<&str>,
        change: &DatabaseChange,
    ) -> SqlResult<()> {
        let current = self.current().name;
        let name = name.unwrap_or(&current);
        let found = self.server.state().database(name).cloned();
        let Some(mut d) = found.filter(|d| self.owns(d)) else {
            return Err(Message::new(
                5011,
                14,
                5,
                format!(
                    "User does not have permission to alter database '{name}', the database does not exist, or the database is not in a state that allows access checks."
                ),
            ));
        };
        match change {
            DatabaseChange::Rename(new) => {
                name_checked(new)?;
                if d.id <= 4 {
                    return Err(Message::new(
                        5016,
                        16,
                        1,
                        format!("Cannot change the name of the system database {}.", d.name),
                    ));
                }
                let mut state = self.server.state();
                if state.database(new).is_some_and(|other| other.id != d.id) {
                    return Err(Message::new(
                        1801,
                        16,
                        3,
                        format!(
                            "Database '{new}' already exists. Choose a different database name."
                        ),
                    ));
                }
                d.name.clone_from(new);
                state.save_database(&d)
            }
            DatabaseChange::Collate(_) => Err(message::not_implemented("ALTER DATABASE … COLLATE")),
            DatabaseChange::Set(options) => {
                let force = options
                    .iter()
                    .any(|o| o.first().is_some_and(|w| w == "WITH"));
                for option in options
                    .iter()
                    .filter(|o| o.first().is_none_or(|w| w != "WITH"))
                {
                    let words: Vec<&str> = option.iter().map(String::as_str).collect();
                    set_option(&mut d, &words)?;
                }
                if d.id == 1 && (d.access != 0 || !d.online) {
                    return Err(Message::new(
                        5058,
                        16,
                        4,
                        "Option cannot be set in database 'master'.",
                    ));
                }
                if d.access == 1 || d.read_only || !d.online {
                    self.clear_others(&d, force)?;
                }
                self.server.state().save_database(&d)
            }
        }
    }

    /// Waits until nobody else is in the database; with force, ends them.
    fn clear_others(&self, d: &Database, force: bool) -> SqlResult<()> {
        let begun = Instant::now();
        loop {
            let others: usize = {
                let state = self.server.state();
                let others = state
                    .sessions
                    .iter()
                    .filter(|(spid, s)| **spid != self.spid && s.database == d.id);
                others
                    .map(|(_, s)| {
                        if force {
                            s.control.end()
                        }
                    })
                    .count()
            };
            if others == 0 {
                return Ok(());
            }
            self.check_now()?;
            if begun.elapsed() > Duration::from_secs(20) {
                return Err(Message::new(
                    5061,
                    16,
                    1,
                    format!(
                        "ALTER DATABASE failed because a lock could not be placed on database '{}'. Try again later.",
                        d.name
                    ),
                ));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn drop_database(&self, name: &str, if_exists: bool) -> SqlResult<()> {
        self.need_no_transaction("DROP DATABASE")?;
        let found = self.server.state().database(name).cloned();
        let Some(d) = found.filter(|d| self.owns(d) || d.id <= 4) else {
            return if if_exists {
                Ok(())
            } else {
                Err(message::cannot_find("drop", "database", name))
            };
        };
        if d.id <= 4 {
            return Err(Message::new(
                3708,
                16,
                4,
                format!(
                    "Cannot drop the database '{}' because it is a system database.",
                    d.name
                ),
            ));
        }
        let mut state = self.server.state();
        if state.sessions.values().any(|s| s.database == d.id) {
            return Err(Message::new(
                3702,
                16,
                3,
                format!(
                    "Cannot drop database \"{}\" because it is currently in use.",
                    d.name
                ),
            ));
        }
        state.remove_database(d.id)?;
        drop(state);
        self.close_file(&d);
        self.server.unname_files(&d);
        remove_files(&self.server.dir.join(&d.file));
        Ok(())
    }
}

fn set_option(d: &mut Database, words: &[&str]) -> SqlResult<()> {
    match words {
        ["SINGLE_USER"] => d.access = 1,
        ["RESTRICTED_USER"] => d.access = 2,
        ["MULTI_USER"] => d.access = 0,
        ["READ_ONLY"] => d.read_only = true,
        ["READ_WRITE"] => d.read_only = false,
        ["ONLINE"] => d.online = true,
        ["OFFLINE"] => d.online = false,
        ["RECOVERY", model @ ("SIMPLE" | "FULL" | "BULK_LOGGED")] => {
            d.recovery = (*model).to_owned()
        }
        ["COMPATIBILITY_LEVEL", n] => {
            d.compat = n.parse().ok().filter(|n| (100..=170).contains(n) && n % 10 == 0).ok_or_else(|| {
                Message::new(15048, 16, 1, "Valid values of the database compatibility level are 100, 110, 120, 130, 140, 150, 160, or 170.")
            })?;
        }
        [
            "READ_COMMITTED_SNAPSHOT" | "ALLOW_SNAPSHOT_ISOLATION",
            on @ ("ON" | "OFF"),
        ] => d.snapshot_reads = *on == "ON",
        // Settings of storage and statistics that this engine has none of; taken as said.
        [
            "AUTO_CLOSE"
            | "AUTO_SHRINK"
            | "AUTO_CREATE_STATISTICS"
            | "AUTO_UPDATE_STATISTICS"
            | "AUTO_UPDATE_STATISTICS_ASYNC"
            | "ANSI_NULL_DEFAULT"
            | "ANSI_NULLS"
            | "ANSI_PADDING"
            | "ANSI_WARNINGS"
            | "ARITHABORT"
            | "CONCAT_NULL_YIELDS_NULL"
            | "NUMERIC_ROUNDABORT"
            | "QUOTED_IDENTIFIER"
            | "RECURSIVE_TRIGGERS"
            | "CURSOR_CLOSE_ON_COMMIT"
            | "CURSOR_DEFAULT"
            | "PAGE_VERIFY"
            | "DELAYED_DURABILITY"
            | "QUERY_STORE"
            | "PARAMETERIZATION"
            | "ACCELERATED_DATABASE_RECOVERY"
            | "TARGET_RECOVERY_TIME"
            | "DB_CHAINING"
            | "TRUSTWORTHY"
            | "DATE_CORRELATION_OPTIMIZATION",
            ..,
        ] => {}
        _ => {
            return Err(message::not_implemented(format!(
                "ALTER DATABASE … SET {}",
                words.join(" ")
            )));
        }
    }
    Ok(())
}

/// Removes a database's files. Other sessions may have them open still; the space comes back when they close.
pub(super) fn remove_files(path: &std::path::Path) {
    let base = path.as_os_str().to_owned();
    for suffix in ["", "-wal", "-shm"] {
        let mut p = base.clone();
        p.push(suffix);
        if let Err(e) = std::fs::remove_file(&p)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("a dropped database's file stays: {e}");
        }
    }
}
