//! Logins, users, roles, owners.

use super::{
    ast::{Principal, Setting, SettingValue},
    collation::Collation,
    login::{self, Hash},
    message::{self, Ends, Message, SqlResult},
    server::{Login, now_text},
    session::Session,
    store::{self, File, name_key, same_name},
    system::server_role_id,
};

/// The language that a login may have.
const LANGUAGES: [&str; 3] = ["us_english", "English", "British"];

struct User {
    id: i64,
    name: String,
    kind: String,
}

fn user(file: &File, name: &str) -> SqlResult<Option<User>> {
    let mut q = file
        .db
        .prepare_cached("SELECT id, name, kind FROM principal WHERE key = ?1")
        .map_err(store::sql)?;
    let mut rows = q.query([name_key(name)]).map_err(store::sql)?;
    match rows.next().map_err(store::sql)? {
        Some(r) => Ok(Some(User {
            id: r.get(0).map_err(store::sql)?,
            name: r.get(1).map_err(store::sql)?,
            kind: r.get(2).map_err(store::sql)?,
        })),
        None => Ok(None),
    }
}

fn exists(name: &str) -> message::SqlError {
    Message::new(
        15023,
        16,
        1,
        format!("User, group, or role '{name}' already exists in the current database."),
    )
}

impl Session {
    fn may_manage_logins(&self) -> bool {
        self.login.is_sysadmin() || self.login.roles.iter().any(|r| r == "securityadmin")
    }

    pub(crate) fn principal(&self, p: &Principal) -> SqlResult<()> {
        match p {
            Principal::CreateLogin { name, settings } => self.create_login(name, settings),
            Principal::AlterLogin {
                name,
                settings,
                enable,
            } => self.alter_login(name, settings, *enable),
            Principal::DropLogin { name } => self.drop_login(name),
            Principal::CreateUser {
                name,
                login,
                settings,
            } => self.create_user(name, login.as_deref(), settings),
            Principal::AlterUser { name, settings } => self.alter_user(name, settings),
            Principal::DropUser { name, if_exists } => {
                self.drop_member(name, *if_exists, "S", "user")
            }
            Principal::CreateRole { name } => self.create_role(name),
            Principal::DropRole { name, if_exists } => {
                self.drop_member(name, *if_exists, "R", "role")
            }
            Principal::RoleMember {
                role,
                member,
                add,
                server: true,
            } => self.server_role(role, member, *add),
            Principal::RoleMember {
                role,
                member,
                add,
                server: false,
            } => self.role_member(role, member, *add),
            Principal::Authorization { class, name, to } => self.authorization(class, name, to),
        }
    }

    /// Logins live outside of transactions here: a change could not be rolled back, so none is made inside one.
    fn need_no_open_work(&self, what: &str) -> SqlResult<()> {
        if self.transaction.borrow().count > 0 {
            return Err(message::not_implemented(format!(
                "{what} inside a transaction"
            )));
        }
        Ok(())
    }

    /// Applies `WITH` options to a login.
    fn login_settings(&self, l: &mut Login, settings: &[Setting], create: bool) -> SqlResult<()> {
        let on = |s: &Setting| matches!(&s.value, SettingValue::Word(w) if w == "ON");
        // CHECK_POLICY decides how the password is judged, wherever it stands.
        for s in settings {
            match s.name.as_str() {
                "CHECK_POLICY" => l.policy = on(s),
                "CHECK_EXPIRATION" => l.expiration = on(s),
                _ => {}
            }
        }
        if l.expiration && !l.policy {
            return Err(Message::new(
                15122,
                16,
                1,
                "The CHECK_EXPIRATION option cannot be used when CHECK_POLICY is OFF.",
            ));
        }
        let old = settings
            .iter()
            .find(|s| s.name == "OLD_PASSWORD")
            .map(|s| &s.value);
        for s in settings {
            let word = || match &s.value {
                SettingValue::Word(w) | SettingValue::Text(w) => w.clone(),
                _ => String::new(),
            };
            match s.name.as_str() {
                "PASSWORD" => {
                    if s.flags.iter().any(|f| f == "MUST_CHANGE") {
                        return Err(message::not_implemented("MUST_CHANGE"));
                    }
                    let SettingValue::Text(password) = &s.value else {
                        return Err(message::not_implemented("PASSWORD … HASHED"));
                    };
                    if s.flags.iter().any(|f| f == "HASHED") {
                        return Err(message::not_implemented("PASSWORD … HASHED"));
                    }
                    if let Some(SettingValue::Text(old)) = old {
                        let units: Vec<u16> = old.encode_utf16().collect();
                        if !l.hash.as_ref().is_some_and(|h| h.verify(&units)) {
                            return Err(Message::new(
                                15151,
                                16,
                                1,
                                format!(
                                    "Cannot alter the login '{}', because it does not exist or you do not have permission.",
                                    l.name
                                ),
                            ));
                        }
                    }
                    login::check_password(password, &l.name, l.policy)?;
                    let units =
                        zeroize::Zeroizing::new(password.encode_utf16().collect::<Vec<u16>>());
                    l.hash = Some(Hash::new(&units)?);
                }
                "OLD_PASSWORD" | "CHECK_POLICY" | "CHECK_EXPIRATION" | "UNLOCK" => {}
                "DEFAULT_DATABASE" => {
                    let name = word();
                    let known = self.server.state().database(&name).map(|d| d.name.clone());
                    l.database = known.ok_or_else(|| {
                        Message::new(15010, 16, 1, format!("The database '{name}' does not exist. Supply a valid database name. To see available databases, use sys.databases."))
                    })?;
                }
                "DEFAULT_LANGUAGE" => {
                    let name = word();
                    let known = LANGUAGES.iter().find(|k| k.eq_ignore_ascii_case(&name));
                    l.language = known.map(|k| (*k).to_owned()).ok_or_else(|| {
                        Message::new(
                            15033,
                            16,
                            1,
                            format!("'{name}' is not a valid official language name."),
                        )
                    })?;
                }
                "SID" if create => {
                    let SettingValue::Binary(sid) = &s.value else {
                        return Err(message::syntax("SID", 0));
                    };
                    if sid.len() != 16 {
                        return Err(Message::new(
                            15419,
                            16,
                            1,
                            "Supplied parameter @sid should be binary(16).",
                        ));
                    }
                    if self.server.state().login_by_sid(sid).is_some() {
                        return Err(Message::new(
                            15433,
                            16,
                            1,
                            "Supplied parameter @sid is in use.",
                        ));
                    }
                    l.sid.clone_from(sid);
                }
                "NAME" if !create => {
                    let name = word();
                    if self
                        .server
                        .state()
                        .login(&name)
                        .is_some_and(|other| other.id != l.id)
                    {
                        return Err(Message::new(
                            15025,
                            16,
                            1,
                            format!("The server principal '{name}' already exists."),
                        ));
                    }
                    l.name = name;
                }
                other => {
                    return Err(message::not_implemented(format!(
                        "The login option {other}"
                    )));
                }
            }
        }
        Ok(())
    }

    fn create_login(&self, name: &str, settings: &[Setting]) -> SqlResult<()> {
        self.need_no_open_work("CREATE LOGIN")?;
        if !self.may_manage_logins() {
            return Err(Message::new(
                15247,
                16,
                1,
                "User does not have permission to perform this action.",
            ));
        }
        if self.server.state().login(name).is_some() || server_role_id(name).is_some() {
            return Err(Message::new(
                15025,
                16,
                1,
                format!("The server principal '{name}' already exists."),
            ));
        }
        if name.contains('\\') {
            return Err(Message::new(
                15006,
                16,
                1,
                format!("'{name}' is not a valid name because it contains invalid characters."),
            ));
        }
        if !settings.iter().any(|s| s.name == "PASSWORD") {
            return Err(message::syntax("WITH", 0));
        }
        let now = now_text();
        let mut l = Login {
            id: 0,
            name: name.to_owned(),
            sid: uuid::Uuid::new_v4().as_bytes().to_vec(),
            hash: None,
            database: "master".into(),
            language: "us_english".into(),
            disabled: false,
            policy: true,
            expiration: false,
            created: now.clone(),
            modified: now,
            roles: Vec::new(),
        };
        self.login_settings(&mut l, settings, true)?;
        let mut state = self.server.state();
        // Hashing took a while: somebody else may have been quicker.
        if state.login(name).is_some() {
            return Err(Message::new(
                15025,
                16,
                1,
                format!("The server principal '{name}' already exists."),
            ));
        }
        l.id = state.next_login_id();
        state.save_login(&l)
    }

    fn alter_login(&self, name: &str, settings: &[Setting], enable: Option<bool>) -> SqlResult<()> {
        self.need_no_open_work("ALTER LOGIN")?;
        let denied = || message::no_principal("alter the login", name);
        let found = self.server.state().login(name).cloned();
        let mut l = found.ok_or_else(denied)?;
        // Everybody may change their own password who knows the old one.
        let own = l.id == self.login.id && settings.iter().any(|s| s.name == "OLD_PASSWORD");
        if !(self.may_manage_logins() || own) || (l.is_sysadmin() && !self.login.is_sysadmin()) {
            return Err(denied());
        }
        if let Some(on) = enable {
            l.disabled = !on;
        }
        self.login_settings(&mut l, settings, false)?;
        l.modified = now_text();
        self.server.state().save_login(&l)
    }

    fn drop_login(&self, name: &str) -> SqlResult<()> {
        self.need_no_open_work("DROP LOGIN")?;
        let denied = || message::no_principal("drop the login", name);
        if !self.may_manage_logins() {
            return Err(denied());
        }
        let mut state = self.server.state();
        let l = state.login(name).cloned().ok_or_else(denied)?;
        if l.id == 1 {
            return Err(Message::new(
                15150,
                16,
                1,
                format!("Cannot drop the login '{name}'."),
            ));
        }
        if state.sessions.values().any(|s| s.login_id == l.id) {
            return Err(Message::new(
                15434,
                16,
                1,
                format!("Could not drop login '{name}' as the user is currently logged in."),
            ));
        }
        if let Some(d) = state.databases.iter().find(|d| d.owner == l.sid) {
            tracing::debug!(database = %d.name, "the login still owns a database");
            return Err(Message::new(
                15174,
                16,
                1,
                format!(
                    "Login '{name}' owns one or more database(s). Change the owner of the database(s) before dropping the login."
                ),
            ));
        }
        state.remove_login(l.id)
    }

    fn need_owner(&self, what: &str) -> SqlResult<super::server::Database> {
        let d = self.current();
        if !self.has_role(&d, &["db_accessadmin", "db_securityadmin"])? {
            return Err(Message::new(
                15247,
                16,
                1,
                format!("User does not have permission to perform this action ({what})."),
            ));
        }
        self.need_writable(&d)?;
        Ok(d)
    }

    fn create_user(&self, name: &str, login: Option<&str>, settings: &[Setting]) -> SqlResult<()> {
        let d = self.need_owner("CREATE USER")?;
        let wanted = login.unwrap_or(name);
        let mut schema = "dbo".to_owned();
        for s in settings {
            match (s.name.as_str(), &s.value) {
                ("DEFAULT_SCHEMA", SettingValue::Word(w)) => schema.clone_from(w),
                ("PASSWORD", _) => {
                    return Err(Message::new(
                        33233,
                        16,
                        1,
                        "You can only create a user with a password in a contained database.",
                    ));
                }
                (other, _) => {
                    return Err(message::not_implemented(format!("The user option {other}")));
                }
            }
        }
        let sid = self.server.state().login(wanted).map(|l| l.sid.clone());
        let sid = sid.ok_or_else(|| {
            Message::new(
                15007,
                16,
                1,
                format!("'{wanted}' is not a valid login or you do not have permission."),
            )
        })?;
        if d.owner == sid {
            return Err(Message::new(
                15063,
                16,
                1,
                "The login already has an account under a different user name.",
            ));
        }
        self.write(d.id, |file| {
            if user(file, name)?.is_some() {
                return Err(exists(name));
            }
            let taken: bool = file
                .db
                .prepare_cached("SELECT 1 FROM principal WHERE sid = ?1")
                .and_then(|mut q| q.exists([&sid]))
                .map_err(store::sql)?;
            if taken {
                return Err(Message::new(
                    15063,
                    16,
                    1,
                    "The login already has an account under a different user name.",
                ));
            }
            self.add_principal(file, name, "S", Some(&sid), Some(&schema))
        })
    }

    fn add_principal(
        &self,
        file: &File,
        name: &str,
        kind: &str,
        sid: Option<&[u8]>,
        schema: Option<&str>,
    ) -> SqlResult<()> {
        let id: i64 = file
            .db
            .query_row(
                "SELECT ifnull(max(id), 4) + 1 FROM principal WHERE id < 16384",
                [],
                |r| r.get(0),
            )
            .map_err(store::sql)?;
        file.db
            .execute(
                "INSERT INTO principal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                rusqlite::params![id, name_key(name), name, kind, sid, schema, now_text()],
            )
            .map_err(store::sql)?;
        Ok(())
    }

    fn alter_user(&self, name: &str, settings: &[Setting]) -> SqlResult<()> {
        let d = self.need_owner("ALTER USER")?;
        self.write(d.id, |file| {
            let Some(u) = user(file, name)?.filter(|u| u.kind == "S") else {
                return Err(message::no_principal("alter the user", name));
            };
            for s in settings {
                match (s.name.as_str(), &s.value) {
                    ("DEFAULT_SCHEMA", SettingValue::Word(w)) => {
                        file.db
                            .execute(
                                "UPDATE principal SET default_schema = ?1 WHERE id = ?2",
                                (w, u.id),
                            )
                            .map_err(store::sql)?;
                    }
                    ("LOGIN", SettingValue::Word(w)) => {
                        let sid = self.server.state().login(w).map(|l| l.sid.clone());
                        let sid = sid.ok_or_else(|| {
                            Message::new(
                                15007,
                                16,
                                1,
                                format!(
                                    "'{w}' is not a valid login or you do not have permission."
                                ),
                            )
                        })?;
                        file.db
                            .execute("UPDATE principal SET sid = ?1 WHERE id = ?2", (sid, u.id))
                            .map_err(store::sql)?;
                    }
                    ("NAME", SettingValue::Word(w)) => {
                        if user(file, w)?.is_some() {
                            return Err(exists(w));
                        }
                        file.db
                            .execute(
                                "UPDATE principal SET name = ?1, key = ?2 WHERE id = ?3",
                                (w, name_key(w), u.id),
                            )
                            .map_err(store::sql)?;
                    }
                    (other, _) => {
                        return Err(message::not_implemented(format!("The user option {other}")));
                    }
                }
            }
            Ok(())
        })
    }

    fn create_role(&self, name: &str) -> SqlResult<()> {
        let d = self.need_owner("CREATE ROLE")?;
        self.write(d.id, |file| {
            if user(file, name)?.is_some() {
                return Err(exists(name));
            }
            self.add_principal(file, name, "R", None, None)
        })
    }

    fn drop_member(&self, name: &str, if_exists: bool, kind: &str, what: &str) -> SqlResult<()> {
        let d = self.need_owner("DROP")?;
        self.write(d.id, |file| {
            let Some(u) = user(file, name)?.filter(|u| u.kind == kind) else {
                return if if_exists {
                    Ok(())
                } else {
                    Err(message::no_principal(&format!("drop the {what}"), name))
                };
            };
            if u.id <= 4 || u.id >= 16384 {
                return Err(Message::new(
                    15150,
                    16,
                    1,
                    format!("Cannot drop the {what} '{}'.", u.name),
                ));
            }
            let owned: i64 = file
                .db
                .query_row(
                    "SELECT count(*) FROM namespace WHERE owner = ?1",
                    [u.id],
                    |r| r.get(0),
                )
                .map_err(store::sql)?;
            if owned > 0 {
                return Err(Message::new(
                    15138,
                    16,
                    1,
                    "The database principal owns a schema in the database, and cannot be dropped.",
                ));
            }
            file.db
                .execute(
                    "DELETE FROM role_member WHERE role = ?1 OR member = ?1",
                    [u.id],
                )
                .map_err(store::sql)?;
            file.db
                .execute("DELETE FROM principal WHERE id = ?1", [u.id])
                .map_err(store::sql)?;
            Ok(())
        })
    }

    fn role_member(&self, role: &str, member: &str, add: bool) -> SqlResult<()> {
        let d = self.need_owner("ALTER ROLE")?;
        self.write(d.id, |file| {
            let Some(r) = user(file, role)?.filter(|u| u.kind == "R") else {
                return Err(message::no_principal("alter the role", role));
            };
            let Some(m) = user(file, member)? else {
                return Err(message::no_principal("add the principal", member));
            };
            if m.id <= 4 {
                return Err(Message::new(
                    15405,
                    16,
                    1,
                    format!("Cannot use the special principal '{}'.", m.name),
                ));
            }
            let text = if add {
                "INSERT OR IGNORE INTO role_member VALUES (?1, ?2)"
            } else {
                "DELETE FROM role_member WHERE role = ?1 AND member = ?2"
            };
            file.db.execute(text, (r.id, m.id)).map_err(store::sql)?;
            Ok(())
        })
    }

    fn server_role(&self, role: &str, member: &str, add: bool) -> SqlResult<()> {
        self.need_no_open_work("ALTER SERVER ROLE")?;
        self.need_sysadmin(15151, &format!("Cannot alter the server role '{role}', because it does not exist or you do not have permission."))?;
        let known = server_role_id(role).filter(|id| *id != 2);
        if known.is_none() {
            return Err(message::no_principal("alter the server role", role));
        }
        let key = Collation::DEFAULT.key(role);
        let mut state = self.server.state();
        let mut l = state
            .login(member)
            .cloned()
            .ok_or_else(|| message::no_principal("add the principal", member))?;
        if l.id == 1 {
            return Err(Message::new(
                15405,
                16,
                1,
                "Cannot use the special principal 'sa'.",
            ));
        }
        l.roles.retain(|r| !same_name(r, &key));
        if add {
            l.roles.push(key);
        }
        state.save_login(&l)
    }

    fn authorization(&self, class: &str, name: &[String], to: &str) -> SqlResult<()> {
        let object = name.last().cloned().unwrap_or_default();
        match class {
            "DATABASE" => {
                let denied = || {
                    Message::new(
                        15151,
                        16,
                        1,
                        format!(
                            "Cannot find the database '{object}', because it does not exist or you do not have permission."
                        ),
                    )
                };
                let found = self.server.state().database(&object).cloned();
                let mut d = found.ok_or_else(denied)?;
                if !(self.login.is_sysadmin() || d.owner == self.login.sid) {
                    return Err(denied());
                }
                if d.id <= 4 {
                    return Err(Message::new(
                        15109,
                        16,
                        1,
                        "Cannot change the owner of the master, model, tempdb or distribution database.",
                    ));
                }
                let sid = self.server.state().login(to).map(|l| l.sid.clone());
                let sid = sid.ok_or_else(|| message::no_principal("find the principal", to))?;
                let taken: bool = self
                    .file(&d)?
                    .db
                    .prepare_cached("SELECT 1 FROM principal WHERE sid = ?1 AND id > 4")
                    .and_then(|mut q| q.exists([&sid]))
                    .map_err(store::sql)?;
                if taken {
                    return Err(Message::new(15110, 16, 1, "The proposed new database owner is already a user or aliased in the database.").ending(Ends::Statement));
                }
                d.owner = sid;
                self.server.state().save_database(&d)
            }
            "SCHEMA" => {
                let d = self.need_owner("ALTER AUTHORIZATION")?;
                self.write(d.id, |file| {
                    let u = user(file, to)?
                        .ok_or_else(|| message::no_principal("find the user", to))?;
                    let n = file
                        .db
                        .execute(
                            "UPDATE namespace SET owner = ?1 WHERE key = ?2",
                            (u.id, name_key(&object)),
                        )
                        .map_err(store::sql)?;
                    if n == 0 {
                        Err(message::no_principal("find the schema", &object))
                    } else {
                        Ok(())
                    }
                })
            }
            other => Err(message::not_implemented(format!(
                "ALTER AUTHORIZATION ON {other}"
            ))),
        }
    }
}
