//! Logins of an instance: their passwords, the first one that an image sees, and how it is replaced.

use std::{sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result, ResultExt, Secret, label::Labels, readiness::Cause, recipe::Rules,
    secret::ExposeSecret,
};
use berth_engine::Input;
use berth_sql::{Identity, Login, Trust};
use berth_store::InstanceRecord;

use crate::{
    Berth,
    databases::as_sa,
    instances,
    link::{Link, SqlDial},
    make::Made,
    operations::Operation,
    passwords::{self, Passwords},
    ready::{Wait, failure},
};

/// The login that every SQL Server has.
pub(crate) const SA: &str = "sa";
/// How a new password is named beside the old one in the keychain, while which of them opens is not proved.
pub(crate) const NEXT: &str = "(next)";
/// How a throw-away password is named beside the real one in the keychain, while it still opens something.
const BOOTSTRAP: &str = "(first start)";
/// How long SQL Server on Linux may let in nobody: it listens before its image has set the first password.
const BEING_SET: Duration = Duration::from_secs(60);
/// How long signing in may take once the server is ready.
pub(crate) const SIGN_IN: Duration = Duration::from_secs(15);
/// The password enters a container of Berth's Windows recipe by this command's standard input.
const SET_SA: [&str; 7] = [
    "powershell",
    "-NoProfile",
    "-NonInteractive",
    "-ExecutionPolicy",
    "Bypass",
    "-File",
    r"C:\berth\set-sa.ps1",
];

/// The login that owns a database and nothing else.
pub(crate) fn app_login(database: &str) -> String {
    format!("{database}_app")
}

/// The passwords of one instance while it is made.
pub(crate) struct Keys {
    pub(crate) sa: Secret,
    /// What the image's environment gets: it opens nothing once it was replaced.
    pub(crate) bootstrap: Option<Secret>,
    /// Of the login that owns the database.
    pub(crate) app: Option<Secret>,
}

impl Keys {
    pub(crate) fn final_ones(&self, labels: &Labels) -> Passwords {
        let mut all = Passwords::default();
        all.set(SA, self.sa.clone());
        if let (Some(app), Some(database)) = (&self.app, &labels.database) {
            all.set(&app_login(database), app.clone());
        }
        all
    }
}

/// Makes the passwords and stores them, before anything exists that they open.
pub(crate) async fn credentials(
    berth: &Arc<Berth>,
    record: &InstanceRecord,
    labels: &Labels,
    taken_up: bool,
    rules: Rules,
    made: &mut Made,
) -> Result<Keys> {
    let first = match rules {
        Rules::Official => Some(passwords::generate()?),
        Rules::BerthWindows => None,
    };
    let mut known = None;
    let keys = if let Some(file) = &record.password_file {
        let password = passwords::from_file(file.into()).await?;
        Keys {
            sa: password.clone(),
            bootstrap: first,
            app: labels.database.as_ref().map(|_| password),
        }
    } else {
        known = passwords::find(berth, &labels.id)
            .await
            .map_err(name_password_file)?;
        // Data of a making that was cut off may still have its first password: another would lock everybody out.
        let bootstrap = known
            .as_ref()
            .filter(|_| taken_up && first.is_some())
            .and_then(|k| k.get(BOOTSTRAP).cloned())
            .or(first);
        let sa = match (taken_up, known.as_ref().and_then(|k| k.get(SA))) {
            (true, Some(sa)) => sa.clone(),
            (true, None) => {
                return Err(Error::new(Code::Refused, format!("This machine has no password for the kept data of `{}`", labels.name))
                    .because("the data holds its own logins, and their passwords are on the machine that made it")
                    .hint("Take another name for a new instance, or give the password with `--password-file`"));
            }
            (false, _) => passwords::generate()?,
        };
        let app = match &labels.database {
            None => None,
            Some(database) => Some(
                match known.as_ref().and_then(|k| k.get(&app_login(database))) {
                    Some(there) if taken_up => there.clone(),
                    _ => passwords::generate()?,
                },
            ),
        };
        Keys { sa, bootstrap, app }
    };
    if record.password_file.is_none() {
        let mut all = keys.final_ones(labels);
        // Until the end of the making, what is found under this name says that it was cut off. Data that was finished once
        // has the password of `sa` for good.
        if !taken_up || known.is_some_and(|k| k.get(BOOTSTRAP).is_some()) {
            all.set(
                BOOTSTRAP,
                keys.bootstrap.clone().unwrap_or_else(|| keys.sa.clone()),
            );
        }
        // Those of kept data are not ours to throw away. Said before they are stored: the keychain ends what it has begun, also
        // for a caller that is gone by then.
        made.passwords = !taken_up;
        let (berth, id) = (Arc::clone(berth), labels.id.clone());
        let stored = async move { passwords::store(&berth, &id, &all).await };
        made.finish(stored, |()| None)
            .await
            .map_err(name_password_file)?;
    }
    Ok(keys)
}

fn name_password_file(e: Error) -> Error {
    match e.code() {
        Code::NoKeychain => {
            e.hint("Name a file that holds the password with `--password-file FILE`")
        }
        _ => e,
    }
}

/// Whether the keychain says that the making of this instance was never finished, so that `sa` may have its first password.
pub(crate) async fn was_cut_off(berth: &Berth, record: &InstanceRecord) -> Result<bool> {
    if record.password_file.is_some() {
        return Ok(false);
    }
    match passwords::find(berth, &record.id).await {
        Ok(known) => Ok(known.is_some_and(|k| k.get(BOOTSTRAP).is_some())),
        Err(e) if e.code() == Code::NoKeychain => Ok(false),
        Err(e) => Err(e),
    }
}

/// What a change of passwords that was cut off has left in the keychain: finds out which password opens, and ends with one.
///
/// # Errors
/// Where the server cannot be asked; both stay then.
pub(crate) async fn settle(berth: &Berth, link: &Arc<Link>, record: &InstanceRecord) -> Result<()> {
    if record.password_file.is_some() || record.lease.is_some() {
        return Ok(());
    }
    let Some(mut all) = passwords::find(berth, &record.id).await? else {
        return Ok(());
    };
    let Some(next) = all.get(NEXT).cloned() else {
        return Ok(());
    };
    let mut connection = match (as_sa(link, record, next.clone()).await, all.get(SA)) {
        (Ok(connection), _) => {
            all.set(SA, next);
            connection
        }
        (Err(_), Some(before)) => as_sa(link, record, before.clone()).await?,
        (Err(e), None) => return Err(e),
    };
    // The login of its database may have either, too.
    if let Some(database) = &record.database
        && let Some(password) = all.get(&app_login(database)).cloned()
        && (connection.databases().await?.iter()).any(|d| d.name == *database)
    {
        connection
            .create_owner_login(&app_login(database), database, &password)
            .await?;
    }
    connection.close().await;
    all.remove(NEXT);
    passwords::store(berth, &record.id, &all).await
}

/// The way into one instance's SQL Server while it starts.
pub(crate) struct Gate<'a> {
    pub(crate) link: &'a Arc<Link>,
    pub(crate) labels: &'a Labels,
    pub(crate) container: &'a str,
    pub(crate) limit: Duration,
    pub(crate) operation: &'a Operation,
}

/// A SQL Server that let us in.
pub(crate) struct Opened {
    pub(crate) identity: Identity,
    /// The password that did, where it was not the one that `sa` is meant to have.
    first: Option<Secret>,
}

impl Gate<'_> {
    /// Waits until one of these passwords opens it, and says which.
    async fn wait(
        &self,
        passwords: &[Secret],
        being_set: Option<Duration>,
    ) -> Result<(Identity, usize)> {
        Wait {
            link: self.link,
            instance: &self.labels.id,
            container: self.container,
            login: SA,
            passwords,
            being_set,
            limit: self.limit,
        }
        .run(self.operation)
        .await?
        .map_err(|cause| self.failure(&cause))
    }

    fn failure(&self, cause: &Cause) -> Error {
        failure(&self.labels.name, cause)
    }

    /// Waits for a server that is just setting its first password.
    pub(crate) async fn open_first(&self, keys: &Keys) -> Result<Opened> {
        let first = keys.bootstrap.clone().unwrap_or_else(|| keys.sa.clone());
        let (identity, _) = self
            .wait(std::slice::from_ref(&first), Some(self.limit))
            .await?;
        Ok(Opened {
            identity,
            first: Some(first),
        })
    }

    /// Waits for a server where `sa` has its password. Where that is refused, one of `first` may still open: its making was cut
    /// off before the first password was replaced, or its image has brought that one back. `cut_off`: it may be setting it
    /// just now.
    pub(crate) async fn open(
        &self,
        sa: &Secret,
        first: &[Secret],
        cut_off: bool,
    ) -> Result<Opened> {
        let all: Vec<Secret> = std::iter::once(sa).chain(first).cloned().collect();
        let (identity, at) = self.wait(&all, cut_off.then_some(BEING_SET)).await?;
        Ok(Opened {
            identity,
            first: all.get(at).filter(|_| at > 0).cloned(),
        })
    }

    /// Replaces the first password where it still opens, and makes the database and its login. Each step finds out by itself
    /// what is done already.
    pub(crate) async fn finish(&self, keys: &Keys, opened: &Opened) -> Result<()> {
        let dial = SqlDial {
            link: Arc::clone(self.link),
            instance: self.labels.id.clone(),
        };
        let connect = async |password: &Secret| {
            let login = Login {
                user: SA.to_owned(),
                password: password.clone(),
                database: None,
                app: "Berth".into(),
            };
            berth_sql::connect(&dial, &login, Trust::Tunnel, SIGN_IN)
                .await
                .map_err(|e| e.error)
        };
        if let Some(first) = &opened.first {
            connect(first)
                .await?
                .set_password(SA, &keys.sa)
                .await
                .context("The first password could not be replaced")?;
        }
        // It must work now, and with it what `docker inspect` shows is dead.
        let mut connection = connect(&keys.sa).await?;
        if let (Some(database), Some(password)) = (&self.labels.database, &keys.app) {
            connection.create_database(database).await?;
            connection
                .create_owner_login(&app_login(database), database, password)
                .await?;
        }
        Ok(())
    }

    /// Gives `sa` its password inside a container of Berth's Windows recipe. SQL Server may not be up yet: that is waited for.
    pub(crate) async fn set_password_by_exec(&self, password: &Secret) -> Result<()> {
        let began = std::time::Instant::now();
        let input = Secret::from(format!("{}\r\n", password.expose_secret()));
        let mut pause = Duration::from_millis(50);
        loop {
            let about = self.link.engine.inspect(self.container).await?;
            if !about.state.running || about.state.restart_count > 0 {
                return Err(self.failure(&instances::cause_of(self.link, &about).await));
            }
            let limit = Duration::from_secs(60);
            let output = self
                .link
                .engine
                .exec(self.container, &SET_SA, Some(Input::Secret(&input)), limit)
                .await;
            match output {
                Ok(output) if output.code == 0 => return Ok(()),
                Ok(output) if began.elapsed() > self.limit => {
                    return Err(Error::failed(format!(
                        "The password of `{}` could not be set",
                        self.labels.name
                    ))
                    .because(String::from_utf8_lossy(&output.stdout).trim().to_owned())
                    .hint(format!(
                        "`berth logs {}` shows what SQL Server says",
                        self.labels.name
                    )));
                }
                Err(e) if began.elapsed() > self.limit => return Err(e),
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}
