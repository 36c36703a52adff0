//! What each command does.

mod agent;
mod connection;
mod data;
mod demo;
mod history;
mod host;
mod image;
mod instance;
mod practice;
mod query;
mod run;

use berth_core::Result;
use clap::CommandFactory;

pub(crate) use run::OWN_FAILURE;

use crate::{
    args::{Arguments, Command},
    session::Session,
};

/// Runs one command line; the number is the exit code.
pub(crate) async fn run(arguments: Arguments) -> Result<u8> {
    let verbose = arguments.verbose;
    match arguments.command {
        Command::Host(command) => host::run(&Session::open(verbose).await?, command).await,
        Command::Image(command) => image::run(&Session::open(verbose).await?, command).await,
        Command::Up(up) => instance::up(&Session::open(verbose).await?, *up).await,
        Command::Run(command) => Ok(Box::pin(run::run(verbose, *command)).await),
        Command::List { host, json } => {
            instance::list(&Session::open(verbose).await?, host, json.json).await
        }
        Command::Show { name, json } => {
            instance::show(&Session::open(verbose).await?, name, json.json).await
        }
        Command::Start(timed) => instance::start(&Session::open(verbose).await?, timed).await,
        Command::Stop(timed) => instance::stop(&Session::open(verbose).await?, timed).await,
        Command::Restart(timed) => instance::restart(&Session::open(verbose).await?, timed).await,
        Command::Remove { name, data } => {
            instance::remove(&Session::open(verbose).await?, name, data).await
        }
        Command::Adopt {
            container,
            host,
            name,
            password_file,
            password_stdin,
            json,
        } => {
            let request = berth_api::dto::Adopt {
                container,
                host,
                name,
                password_file: password_file
                    .as_deref()
                    .map(crate::session::absolute)
                    .transpose()?,
            };
            let secret = password_stdin
                .then(|| crate::session::secret_from_stdin("The password"))
                .transpose()?;
            instance::adopt(&Session::open(verbose).await?, request, secret, json.json).await
        }
        Command::Set {
            instance,
            memory,
            port,
            name,
            timeout,
        } => {
            let request = berth_api::dto::InstanceSet {
                name: instance,
                memory,
                port,
                new_name: name,
                timeout,
            };
            instance::set(&Session::open(verbose).await?, request).await
        }
        Command::ResetPassword { name } => {
            instance::reset_password(&Session::open(verbose).await?, name).await
        }
        Command::Database(command) => data::database(&Session::open(verbose).await?, command).await,
        Command::Data(command) => data::data(&Session::open(verbose).await?, command).await,
        Command::Logs {
            name,
            follow,
            since,
            tail,
        } => instance::logs(&Session::open(verbose).await?, name, follow, since, tail).await,
        Command::Connection(connection) => connection::run(verbose, connection).await,
        Command::Query(query) => query::run(verbose, query).await,
        Command::History { name, tail, json } => {
            let wish = berth_api::dto::HistoryWish {
                name,
                tail: Some(tail),
            };
            history::list(&Session::open(verbose).await?, wish, json.json).await
        }
        Command::Retry { operation } => {
            history::retry(&Session::open(verbose).await?, operation).await
        }
        Command::Practice(practice) => practice::run(practice).await,
        Command::Agent(command) => agent::run(command).await,
        Command::Demo { keep } => demo::run(verbose, keep).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "berth", &mut text);
            crate::render::out(String::from_utf8_lossy(&text).trim_end());
            Ok(0)
        }
    }
}
