//! What Berth itself asks of a server.

use std::time::Duration;

use berth_core::{Code, Error, Result, Secret, secret::ExposeSecret};
use tiberius::Row;

use crate::{Database, connect::Connection, error::without, statements};

/// A question that a server answers from memory.
const ASK: Duration = Duration::from_secs(15);
/// A change of a login or a setting.
const CHANGE: Duration = Duration::from_secs(30);
/// A database's files are made, removed, or zeroed on a slow disk.
const FILES: Duration = Duration::from_secs(180);
/// Everything unwritten goes to disk.
const CHECKPOINT: Duration = Duration::from_secs(300);

/// Who a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `16.0.4165.4`.
    pub product_version: String,
    /// The first number of it: 16 is 2022. 0 where the server tells nonsense.
    pub major: u16,
    /// `Express Edition (64-bit)`.
    pub edition: String,
    /// 2 Standard, 3 Enterprise and Developer, 4 Express; 0 where the server does not say.
    pub engine_edition: i32,
    /// The server's collation; empty while it is still starting.
    pub collation: String,
    /// `@@VERSION`, several lines.
    pub version_text: String,
}

impl Connection {
    /// Who the server is. 15 seconds at most.
    ///
    /// # Errors
    /// [`Code::TimedOut`], [`Code::Unreachable`], or what the server says.
    pub async fn identity(&mut self) -> Result<Identity> {
        let doing = "ask SQL Server for its version";
        let row = self
            .rows(doing, ASK, statements::IDENTITY)
            .await?
            .into_iter()
            .next()
            .ok_or_else(|| unreadable(doing))?;
        let product_version = text(&row, 0).ok_or_else(|| unreadable(doing))?;
        let major = product_version
            .split('.')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        Ok(Identity {
            major,
            product_version,
            edition: text(&row, 1).unwrap_or_default(),
            engine_edition: row.try_get::<i32, _>(2).ok().flatten().unwrap_or(0),
            collation: text(&row, 3).unwrap_or_default(),
            version_text: text(&row, 4).unwrap_or_default(),
        })
    }

    /// All databases and their states, the system's first. 15 seconds at most.
    ///
    /// # Errors
    /// [`Code::TimedOut`], [`Code::Unreachable`], or what the server says.
    pub async fn databases(&mut self) -> Result<Vec<Database>> {
        let doing = "list the databases";
        self.rows(doing, ASK, statements::DATABASES)
            .await?
            .iter()
            .map(|row| {
                let name = text(row, 0).ok_or_else(|| unreadable(doing))?;
                Ok(Database {
                    name,
                    state: text(row, 1).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// Gives a login another password. 30 seconds at most.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is no such login; the policy's refusal (15116 to 15118).
    /// No text holds the password.
    pub async fn set_password(&mut self, login: &str, password: &Secret) -> Result<()> {
        let statement = statements::set_password(login, password);
        self.secretly("change the password", CHANGE, &statement, password)
            .await
    }

    /// Makes a database unless there is one of that name. Three minutes at most.
    ///
    /// # Errors
    /// [`Code::Usage`] for a name that SQL Server cannot take; what the server says.
    pub async fn create_database(&mut self, name: &str) -> Result<()> {
        berth_core::name::check_sql("a database", name)?;
        let doing = format!("create the database `{name}`");
        self.command(&doing, FILES, &statements::create_database(name))
            .await
    }

    /// Makes a login that owns one database and nothing else. One of that name that is there
    /// already gets this password. 30 seconds for each of three steps at most.
    ///
    /// # Errors
    /// [`Code::Usage`] for names that SQL Server cannot take; what the server says. No text
    /// holds the password.
    pub async fn create_owner_login(
        &mut self,
        login: &str,
        database: &str,
        password: &Secret,
    ) -> Result<()> {
        berth_core::name::check_sql("a login", login)?;
        berth_core::name::check_sql("a database", database)?;
        let create = statements::create_login(login, database, password);
        self.secretly(
            &format!("create the login `{login}`"),
            CHANGE,
            &create,
            password,
        )
        .await?;
        // The statement before left a login alone that was there, and with it its password.
        self.set_password(login, password).await?;
        let doing = format!("give the database `{database}` to `{login}`");
        self.command(&doing, CHANGE, &statements::give_database(database, login))
            .await
    }

    /// Where the server puts new databases and where backups, as its system names folders; `None` where it does not say.
    /// 15 seconds at most.
    ///
    /// # Errors
    /// [`Code::TimedOut`], [`Code::Unreachable`], or what the server says.
    pub async fn folders(&mut self) -> Result<(Option<String>, Option<String>)> {
        let rows = (self.rows("ask for the folders", ASK, statements::FOLDERS)).await?;
        let at = |n| {
            rows.first()
                .and_then(|row| text(row, n))
                .filter(|t| !t.is_empty())
        };
        Ok((at(0), at(1)))
    }

    /// Whether there is a login of that name. 15 seconds at most.
    ///
    /// # Errors
    /// [`Code::Usage`] for a name that SQL Server cannot take; what the server says.
    pub async fn has_login(&mut self, login: &str) -> Result<bool> {
        berth_core::name::check_sql("a login", login)?;
        let rows = self
            .rows("look for a login", ASK, &statements::login_id(login))
            .await?;
        Ok(rows
            .first()
            .is_some_and(|row| matches!(row.try_get::<i32, _>(0), Ok(Some(_)))))
    }

    /// Removes a login, if there is one of that name. 30 seconds at most.
    ///
    /// # Errors
    /// [`Code::Usage`] for a name that SQL Server cannot take; what the server says.
    pub async fn drop_login(&mut self, login: &str) -> Result<()> {
        berth_core::name::check_sql("a login", login)?;
        let doing = format!("remove the login `{login}`");
        self.command(&doing, CHANGE, &statements::drop_login(login))
            .await
    }

    /// Removes a database and its files, for good, ending every session in it. Three minutes
    /// for each of two steps at most.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is none; what the server says.
    pub async fn drop_database(&mut self, name: &str) -> Result<()> {
        berth_core::name::check_sql("a database", name)?;
        let doing = format!("remove the database `{name}`");
        match self
            .command(&doing, FILES, &statements::single_user(name))
            .await
        {
            // A database that is not there is told as such by the next step; one that is
            // offline or broken takes no such setting and needs none.
            Err(e) if e.get_detail("number").is_none() => return Err(e),
            _ => {}
        }
        self.command(&doing, FILES, &statements::drop_database(name))
            .await
    }

    /// Writes all databases' dirty pages to disk. Five minutes at most.
    ///
    /// # Errors
    /// [`Code::TimedOut`], [`Code::Unreachable`], or what the server says.
    pub async fn checkpoint_all(&mut self) -> Result<()> {
        self.command(
            "write all databases to disk",
            CHECKPOINT,
            statements::CHECKPOINT_ALL,
        )
        .await
    }

    /// Limits the server's memory, in MiB. 30 seconds at most.
    ///
    /// # Errors
    /// What the server says, for instance that it takes at least 128.
    pub async fn set_max_memory(&mut self, mb: u32) -> Result<()> {
        self.command(
            "limit SQL Server's memory",
            CHANGE,
            &statements::set_max_memory(mb),
        )
        .await
    }

    async fn rows(&mut self, doing: &str, limit: Duration, statement: &str) -> Result<Vec<Row>> {
        self.within(doing, limit, |client| async move {
            client
                .simple_query(statement)
                .await?
                .into_first_result()
                .await
        })
        .await
    }

    async fn command(&mut self, doing: &str, limit: Duration, statement: &str) -> Result<()> {
        self.rows(doing, limit, statement).await.map(drop)
    }

    async fn secretly(
        &mut self,
        doing: &str,
        limit: Duration,
        statement: &Secret,
        password: &Secret,
    ) -> Result<()> {
        let done = self.command(doing, limit, statement.expose_secret()).await;
        done.map_err(|e| without(e, password))
    }
}

fn text(row: &Row, at: usize) -> Option<String> {
    row.try_get::<&str, _>(at).ok().flatten().map(str::to_owned)
}

fn unreadable(doing: &str) -> Error {
    Error::new(Code::Failed, format!("Could not {doing}"))
        .because("the answer has not the columns that SQL Server gives")
}
