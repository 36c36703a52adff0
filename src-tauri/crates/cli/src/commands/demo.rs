//! `berth demo`: the whole way on the practice host, each phase with its time.

use std::{
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Instant,
};

use berth_agent::Paths;
use berth_api::{dto, table};
use berth_core::{Code, Error, Result, host::PRACTICE, password, secret::ExposeSecret};

use crate::{
    render::{note, out},
    session::{Session, absolute},
};

pub(crate) async fn run(verbose: bool, keep: bool) -> Result<u8> {
    let began = Instant::now();
    let session = Session::open(verbose).await?;
    told(
        "agent",
        began,
        &format!(
            "version {}, process {}",
            session.client.agent().version,
            session.client.agent().pid
        ),
    );

    let at = Instant::now();
    let check = session
        .call::<table::HostCheck>(&dto::HostExamine {
            name: PRACTICE.into(),
            ..dto::HostExamine::default()
        })
        .await?
        .body;
    let system = check
        .facts
        .iter()
        .find(|f| f.id == "system")
        .map_or("?", |f| f.value.as_str());
    told(
        "host",
        at,
        &format!("the practice host answers as {system}"),
    );

    let at = Instant::now();
    let up = dto::Up {
        host: Some(PRACTICE.into()),
        database: Some("demo".into()),
        ..dto::Up::default()
    };
    let (outcome, password_file) = make(&session, up).await?;
    let instance = outcome
        .instance
        .ok_or_else(|| Error::failed("The instance went away meanwhile"))?;
    let name = format!("{}/{}", instance.host, instance.name);
    told(
        "instance",
        at,
        &format!(
            "{} is ready on {},{}",
            instance.name, instance.endpoint_host, instance.port
        ),
    );

    let result = use_it(&session, &name).await;
    if keep && result.is_ok() {
        out(format!(
            "\n{} stays: `berth query {0} \"SELECT 1\"`, `berth remove {0}`",
            instance.name
        ));
        out("This is the practice host: it answers like SQL Server and is not SQL Server.");
        return Ok(0);
    }

    let at = Instant::now();
    let removal = dto::InstanceRemove {
        name: name.clone(),
        data: Some("delete".into()),
    };
    let removed = session.operate::<table::InstanceRemove>(&removal).await;
    // What went wrong first is what matters.
    result?;
    removed?;
    if let Some(file) = password_file {
        let _ = std::fs::remove_file(file);
    }
    told(
        "removal",
        at,
        &format!("{} and its data are gone", instance.name),
    );
    told(
        "in all",
        began,
        "from nothing to a connection string and back",
    );
    Ok(0)
}

/// Makes the instance. A machine without a keychain that answers, such as a server without a desktop, gets a password file,
/// as `--password-file` would; it is said, and the file goes with the instance.
async fn make(session: &Session, up: dto::Up) -> Result<(dto::Outcome, Option<PathBuf>)> {
    match session.operate::<table::InstanceUp>(&up).await {
        Ok(outcome) => Ok((outcome, None)),
        Err(e) if matches!(e.code(), Code::NoKeychain | Code::KeychainLocked) => {
            // One for each demo: another one may have been kept, and its instance needs its own.
            // Among those of ours, so that it goes with its instance, or with the data that stays.
            let file = Paths::of_this_user()?
                .folder()
                .join("passwords")
                .join(format!("demo-{}", std::process::id()));
            write_password(&file)?;
            note(format!(
                "note: no keychain answers here, so the password is in {}",
                file.display()
            ));
            let up = dto::Up {
                password_file: Some(absolute(&file)?),
                ..up
            };
            Ok((session.operate::<table::InstanceUp>(&up).await?, Some(file)))
        }
        Err(e) => Err(e),
    }
}

fn write_password(file: &Path) -> Result<()> {
    let password = password::generate(|buffer| {
        getrandom::fill(buffer).map_err(|e| {
            Error::failed("This machine gives no random numbers").because(e.to_string())
        })
    })?;
    let failed = |e: std::io::Error| {
        Error::failed(format!("`{}` cannot be written", file.display())).because(e.to_string())
    };
    if let Some(folder) = file.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
    }
    let mut open = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(failed)?;
    open.write_all(password.expose_secret().as_bytes())
        .map_err(failed)?;
    Ok(())
}

async fn use_it(session: &Session, name: &str) -> Result<()> {
    let at = Instant::now();
    let wish = dto::ConnectionShow {
        name: name.to_owned(),
        format: None,
        ..dto::ConnectionShow::default()
    };
    let reply = session.call::<table::ConnectionShow>(&wish).await?;
    let string = reply
        .secret
        .ok_or_else(|| Error::failed("Berth's agent gave no connection string"))?;
    told("string", at, &reply.body.tls);
    out(format!("\n{}\n", string.expose_secret()));

    let at = Instant::now();
    let mut secrets = std::collections::BTreeMap::new();
    secrets.insert("string".to_owned(), string);
    let seen = session
        .call_with::<table::ConnectionTry>(&dto::Nothing {}, secrets)
        .await?
        .body;
    told(
        "query",
        at,
        &format!(
            "through that string: {}",
            seen.version.lines().next().unwrap_or_default()
        ),
    );
    Ok(())
}

fn told(phase: &str, since: Instant, text: &str) {
    note(format!(
        "{phase:>10}  {:>6} ms  {text}",
        since.elapsed().as_millis()
    ));
}
