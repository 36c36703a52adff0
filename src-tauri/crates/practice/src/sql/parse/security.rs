//! Logins, users, roles, ownership.

use super::{Kind, Parser};
use crate::sql::{
    ast::{Principal, Setting, SettingValue, StatementKind as S},
    message::{self, SqlResult},
};

impl Parser<'_> {
    pub(super) fn create_principal(&mut self) -> SqlResult<S> {
        let word = self.any_word()?;
        let name = self.identifier()?;
        Ok(S::Principal(match word.as_str() {
            "LOGIN" => {
                if self.is_word("FROM") {
                    return Err(message::not_implemented("CREATE LOGIN … FROM").at(self.line()));
                }
                self.expect("WITH")?;
                Principal::CreateLogin {
                    name,
                    settings: self.settings()?,
                }
            }
            "USER" => {
                let mut login = None;
                if self.accept("FOR") || self.accept("FROM") {
                    self.expect("LOGIN")?;
                    login = Some(self.identifier()?);
                } else if self.accept_words(&["WITHOUT", "LOGIN"]) {
                    return Err(
                        message::not_implemented("CREATE USER … WITHOUT LOGIN").at(self.line())
                    );
                }
                let settings = if self.accept("WITH") {
                    self.settings()?
                } else {
                    Vec::new()
                };
                Principal::CreateUser {
                    name,
                    login,
                    settings,
                }
            }
            _ => {
                if self.accept("AUTHORIZATION") {
                    self.identifier()?;
                }
                Principal::CreateRole { name }
            }
        }))
    }

    pub(super) fn alter_principal(&mut self) -> SqlResult<S> {
        let word = self.any_word()?;
        Ok(S::Principal(match word.as_str() {
            "LOGIN" => {
                let name = self.identifier()?;
                if self.accept("ENABLE") {
                    return Ok(S::Principal(Principal::AlterLogin {
                        name,
                        settings: Vec::new(),
                        enable: Some(true),
                    }));
                }
                if self.accept("DISABLE") {
                    return Ok(S::Principal(Principal::AlterLogin {
                        name,
                        settings: Vec::new(),
                        enable: Some(false),
                    }));
                }
                if !self.accept("WITH") {
                    return Err(
                        message::not_implemented("ALTER LOGIN … CREDENTIAL").at(self.line())
                    );
                }
                Principal::AlterLogin {
                    name,
                    settings: self.settings()?,
                    enable: None,
                }
            }
            "USER" => {
                let name = self.identifier()?;
                self.expect("WITH")?;
                Principal::AlterUser {
                    name,
                    settings: self.settings()?,
                }
            }
            "ROLE" | "SERVER" => {
                let server = word == "SERVER";
                if server {
                    self.expect("ROLE")?;
                }
                let role = self.identifier()?;
                let add = if self.accept("ADD") {
                    true
                } else if self.accept("DROP") {
                    false
                } else {
                    return Err(message::not_implemented("ALTER ROLE … WITH NAME").at(self.line()));
                };
                self.expect("MEMBER")?;
                Principal::RoleMember {
                    role,
                    member: self.identifier()?,
                    add,
                    server,
                }
            }
            _ => {
                self.expect("ON")?;
                let mut class = "OBJECT".to_owned();
                if self.is_sign_ahead(1, "::") {
                    class = self.any_word()?;
                    self.advance();
                }
                let name = self.name()?;
                self.expect("TO")?;
                if self.accept_words(&["SCHEMA", "OWNER"]) {
                    return Err(
                        message::not_implemented("ALTER AUTHORIZATION … TO SCHEMA OWNER")
                            .at(self.line()),
                    );
                }
                Principal::Authorization {
                    class,
                    name,
                    to: self.identifier()?,
                }
            }
        }))
    }

    pub(super) fn drop_principal(&mut self, word: &str, if_exists: bool) -> SqlResult<S> {
        let name = self.identifier()?;
        Ok(S::Principal(match word {
            "LOGIN" => Principal::DropLogin { name },
            "USER" => Principal::DropUser { name, if_exists },
            _ => Principal::DropRole { name, if_exists },
        }))
    }

    /// `NAME = value flag flag, …`
    fn settings(&mut self) -> SqlResult<Vec<Setting>> {
        let mut out = Vec::new();
        loop {
            let name = self.any_word()?;
            let value = if self.sign("=") {
                match self.kind().clone() {
                    Kind::Text(t, _) => {
                        self.advance();
                        SettingValue::Text(t)
                    }
                    Kind::Binary(b) => {
                        self.advance();
                        SettingValue::Binary(b)
                    }
                    Kind::Word(w)
                        if w.eq_ignore_ascii_case("ON")
                            || w.eq_ignore_ascii_case("OFF")
                            || w.eq_ignore_ascii_case("NULL") =>
                    {
                        self.advance();
                        SettingValue::Word(w.to_ascii_uppercase())
                    }
                    _ => SettingValue::Word(self.identifier()?),
                }
            } else {
                SettingValue::None
            };
            let mut flags = Vec::new();
            while ["HASHED", "MUST_CHANGE", "UNLOCK"]
                .iter()
                .any(|w| self.is_word(w))
            {
                flags.push(self.any_word()?);
            }
            // `OLD_PASSWORD = '…'` follows without a comma.
            let old = self.is_word("OLD_PASSWORD");
            out.push(Setting { name, value, flags });
            if !(self.sign(",") || old) {
                return Ok(out);
            }
        }
    }
}
