//! `SET` options, and the statements that act on the whole server.

use super::{
    ast::Expr,
    message::{self, Ends, Message, SqlResult},
    output::{Change, Output, command},
    session::Session,
    statement::Exec,
    store::{self, Kind},
    types::Type,
    value::Value,
};

impl Session {
    pub(crate) fn set_option(
        &self,
        words: &[String],
        value: Option<&Expr>,
        out: &mut dyn Output,
    ) -> Exec<()> {
        let unknown = |w: &str| {
            Message::new(195, 15, 5, format!("'{w}' is not a recognized SET option."))
                .ending(Ends::Batch)
        };
        let Some(first) = words.first().map(String::as_str) else {
            return Err(unknown("").into());
        };
        match first {
            "TRANSACTION" => {
                let level = words.get(1..).unwrap_or_default().join(" ");
                let n = match level.as_str() {
                    "READ UNCOMMITTED" => 1,
                    "READ COMMITTED" => 2,
                    "REPEATABLE READ" => 3,
                    "SERIALIZABLE" => 4,
                    "SNAPSHOT" => 5,
                    _ => return Err(message::syntax(&level, 0).into()),
                };
                self.settings.borrow_mut().isolation = n;
                return Ok(());
            }
            "IDENTITY_INSERT" => {
                let on = words.last().is_some_and(|w| w == "ON");
                let name: Vec<String> = words
                    .get(1..words.len().saturating_sub(1))
                    .unwrap_or_default()
                    .to_vec();
                self.identity_insert(&name, on)?;
                return Ok(());
            }
            "STATISTICS" => {
                return if words.last().is_some_and(|w| w == "ON") {
                    Err(message::not_implemented("SET STATISTICS … ON").into())
                } else {
                    Ok(())
                };
            }
            _ => {}
        }
        if let Some(state) = words.last().filter(|w| *w == "ON" || *w == "OFF") {
            let on = state == "ON";
            for word in words.iter().take(words.len().saturating_sub(1)) {
                let mut s = self.settings.borrow_mut();
                match word.as_str() {
                    "NOCOUNT" => s.nocount = on,
                    "XACT_ABORT" => s.xact_abort = on,
                    "IMPLICIT_TRANSACTIONS" => s.implicit = on,
                    "QUOTED_IDENTIFIER" => s.quoted_identifier = on,
                    "ANSI_NULLS" => s.ansi_nulls = on,
                    "ANSI_PADDING" => s.ansi_padding = on,
                    "ANSI_WARNINGS" => s.ansi_warnings = on,
                    "ARITHABORT" => s.arithabort = on,
                    "CONCAT_NULL_YIELDS_NULL" => s.concat_null = on,
                    "NUMERIC_ROUNDABORT" => s.numeric_roundabort = on,
                    "FMTONLY" => s.fmtonly = on,
                    "NOEXEC" => s.noexec = on,
                    "PARSEONLY" => s.parseonly = on,
                    "ANSI_DEFAULTS" => {
                        s.ansi_nulls = on;
                        s.ansi_padding = on;
                        s.ansi_warnings = on;
                        s.quoted_identifier = on;
                        s.implicit = on;
                    }
                    "ANSI_NULL_DFLT_ON"
                    | "ANSI_NULL_DFLT_OFF"
                    | "CURSOR_CLOSE_ON_COMMIT"
                    | "ARITHIGNORE"
                    | "NO_BROWSETABLE"
                    | "FORCEPLAN"
                    | "REMOTE_PROC_TRANSACTIONS"
                    | "DISABLE_DEF_CNST_CHK" => {}
                    "SHOWPLAN_ALL" | "SHOWPLAN_TEXT" | "SHOWPLAN_XML" => {
                        return if on {
                            Err(message::not_implemented(format!("SET {word}")).into())
                        } else {
                            Ok(())
                        };
                    }
                    other => return Err(unknown(other).into()),
                }
            }
            return Ok(());
        }
        let Some(value) = value else {
            return Err(unknown(first).into());
        };
        let int = || -> SqlResult<i64> {
            match self.scalar_as(value, Type::BigInt)? {
                Value::Int(n) => Ok(n),
                _ => Ok(0),
            }
        };
        let text = || -> SqlResult<String> {
            let (v, ty) = self.scalar(value)?;
            super::convert::to_text(&v, ty, self.style())
        };
        match first {
            "ROWCOUNT" => self.settings.borrow_mut().rowcount = u64::try_from(int()?).unwrap_or(0),
            "TEXTSIZE" => {
                let n = int()?;
                self.settings.borrow_mut().textsize = if n <= 0 { 2_147_483_647 } else { n };
            }
            "LOCK_TIMEOUT" => self.settings.borrow_mut().lock_timeout = int()?,
            "DATEFIRST" => {
                let n = u8::try_from(int()?).ok().filter(|n| (1..=7).contains(n));
                let n = n.ok_or_else(|| {
                    Message::new(
                        2744,
                        16,
                        2,
                        "The SET DATEFIRST value is out of range. It must be between 1 and 7.",
                    )
                })?;
                self.settings.borrow_mut().datefirst = n;
            }
            "DATEFORMAT" => {
                let f = text()?.to_ascii_lowercase();
                match f.as_str() {
                    "mdy" | "ymd" => self.settings.borrow_mut().day_first = false,
                    "dmy" => self.settings.borrow_mut().day_first = true,
                    _ => return Err(message::not_implemented(format!("SET DATEFORMAT {f}")).into()),
                }
            }
            "LANGUAGE" => {
                let wanted = text()?;
                let known = [
                    ("us_english", "us_english"),
                    ("english", "us_english"),
                    ("british", "British"),
                    ("british english", "British"),
                ];
                let Some((_, name)) = known.iter().find(|(k, _)| wanted.eq_ignore_ascii_case(k))
                else {
                    return Err(message::not_implemented(format!("The language {wanted}")).into());
                };
                let british = *name == "British";
                let old = {
                    let mut s = self.settings.borrow_mut();
                    s.day_first = british;
                    s.datefirst = if british { 1 } else { 7 };
                    std::mem::replace(&mut s.language, (*name).to_owned())
                };
                out.change(&Change::Language {
                    old,
                    new: (*name).to_owned(),
                })?;
                let mut m =
                    Message::new(5703, 0, 1, format!("Changed language setting to {name}."));
                m.line = 1;
                out.message(&m)?;
            }
            "DEADLOCK_PRIORITY" | "QUERY_GOVERNOR_COST_LIMIT" => {
                text()?;
            }
            "CONTEXT_INFO" => {
                if let Value::Binary(b) = self.scalar_as(value, Type::VarBinary(128))? {
                    self.settings.borrow_mut().context_info = b.to_vec();
                }
            }
            other => return Err(unknown(other).into()),
        }
        Ok(())
    }

    fn identity_insert(&self, name: &Vec<String>, on: bool) -> SqlResult<()> {
        let t = self.binder().find_table(name)?;
        if !t.info.columns.iter().any(|c| c.identity.is_some()) {
            return Err(Message::new(
                8106,
                16,
                1,
                format!(
                    "Table '{}' does not have the identity property. Cannot perform SET operation.",
                    name.join(".")
                ),
            ));
        }
        let current = self.settings.borrow().identity_insert;
        if on && current.is_some_and(|c| c != t.object.id) {
            return Err(Message::new(
                8107,
                16,
                1,
                format!(
                    "IDENTITY_INSERT is already ON for another table. Cannot perform SET operation for table '{}'.",
                    name.join(".")
                ),
            ));
        }
        if on {
            self.settings.borrow_mut().identity_insert = Some(t.object.id);
        } else if current == Some(t.object.id) {
            self.settings.borrow_mut().identity_insert = None;
        }
        Ok(())
    }

    pub(crate) fn checkpoint(&self) -> SqlResult<()> {
        let file = self.file(&self.current())?;
        if file.db.is_autocommit() {
            // Another session may be reading; what it holds back is written by the next checkpoint.
            match file
                .db
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            {
                Ok(()) => {}
                Err(e) if store::is_busy(&e) => {}
                Err(e) => return Err(store::sql(e)),
            }
        }
        Ok(())
    }

    pub(crate) fn shut_down(&self, out: &mut dyn Output) -> Exec<()> {
        self.need_sysadmin(
            6004,
            "User does not have permission to perform this action.",
        )?;
        let mut m = Message::new(
            6006,
            0,
            1,
            "Server shut down by request from login ".to_owned() + &self.login.name + ".",
        );
        m.line = 1;
        self.server
            .log
            .write(&format!("spid{}", self.spid), &m.text);
        out.message(&m)?;
        self.finished(out, command::OTHER)?;
        self.server.begin_shutdown();
        Ok(())
    }

    pub(crate) fn kill(&self, spid: i64) -> SqlResult<()> {
        self.need_sysadmin(
            6102,
            "User does not have permission to use the KILL statement.",
        )?;
        if spid == i64::from(self.spid) {
            return Err(Message::new(
                6104,
                16,
                1,
                "Cannot use KILL to kill your own process.",
            ));
        }
        let state = self.server.state();
        let seen = u16::try_from(spid)
            .ok()
            .and_then(|n| state.sessions.get(&n));
        match seen {
            Some(seen) => {
                seen.control.end();
                Ok(())
            }
            None => Err(Message::new(
                6106,
                16,
                1,
                format!("Process ID {spid} is not an active process ID."),
            )),
        }
    }

    /// Columns of a view, for the catalog.
    pub(crate) fn view_columns(&self, o: &store::Object) -> SqlResult<Vec<super::output::Column>> {
        let Kind::View(text) = &o.kind else {
            return Ok(Vec::new());
        };
        let query = super::parse::view(text)?;
        let mut b = self.binder();
        Ok(b.query(&query, &super::query::bind::Scope::EMPTY)?.columns)
    }
}
