//! The command table: every command's name, request, stream item and response, declared once.
//!
//! The agent's socket, the `berth` command and the window are adapters over it. Secrets never
//! travel in a body: a call carries them beside it ([`Call::secrets`], [`Call::answer_secret`]), so that
//! an adapter that serves a page can leave them out by construction.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use berth_core::{BoxFuture, Error, Result, Secret};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Berth, dto};

/// One command of the table.
pub trait Command: Send + Sync + 'static {
    /// The name on the wire.
    const NAME: &'static str;
    /// What is asked.
    type Request: Serialize + DeserializeOwned + Send + 'static;
    /// What comes in between, for commands that stream; [`dto::Nothing`] otherwise.
    type Item: Serialize + DeserializeOwned + Send + 'static;
    /// What is answered at the end.
    type Response: Serialize + DeserializeOwned + Send + 'static;
}

/// What surrounds one call.
#[derive(Clone)]
pub struct Call {
    /// Secrets that came with the request, by name.
    pub secrets: Arc<BTreeMap<String, Secret>>,
    /// Where stream items go. Bounded: a slow reader slows the command, not the agent.
    pub items: mpsc::Sender<Value>,
    /// Cancelled when the caller is gone or asks for it.
    pub cancel: CancellationToken,
    answer: Arc<Mutex<Option<Secret>>>,
}

impl Call {
    /// A call with its secrets; items are received from the other end of `items`.
    #[must_use]
    pub fn new(
        secrets: BTreeMap<String, Secret>,
        items: mpsc::Sender<Value>,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            secrets: Arc::new(secrets),
            items,
            cancel,
            answer: Arc::default(),
        }
    }

    /// One of the request's secrets.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.secrets.get(name).cloned()
    }

    /// Hands a secret back beside the response.
    pub fn answer_secret(&self, secret: Secret) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
    }

    /// Takes what [`Call::answer_secret`] left.
    #[must_use]
    pub fn take_answer(&self) -> Option<Secret> {
        self.answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Sends one stream item. Ends the command when nobody listens any more.
    ///
    /// # Errors
    /// [`berth_core::Code::Cancelled`].
    pub async fn send<T: Serialize>(&self, item: &T) -> Result<()> {
        let value = serde_json::to_value(item)
            .map_err(|e| Error::failed("An item could not be written").because(e.to_string()))?;
        tokio::select! {
            () = self.cancel.cancelled() => Err(cancelled()),
            sent = self.items.send(value) => sent.map_err(|_| cancelled()),
        }
    }
}

/// The error of something that somebody stopped.
#[must_use]
pub fn cancelled() -> Error {
    Error::new(berth_core::Code::Cancelled, "Cancelled")
}

/// [`dispatch`] for a command that calls another one: named, so that the two need not know each other's size.
pub(crate) fn again<'a>(
    berth: &'a Arc<Berth>,
    name: &'a str,
    body: Value,
    call: &'a Call,
) -> BoxFuture<'a, Result<Value>> {
    Box::pin(dispatch(berth, name, body, call))
}

macro_rules! commands {
    ($($(#[doc = $doc:literal])* $name:literal $ty:ident($request:ty) streams $item:ty, gives $response:ty => $handler:path;)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $ty;
            impl Command for $ty {
                const NAME: &'static str = $name;
                type Request = $request;
                type Item = $item;
                type Response = $response;
            }
        )*

        /// Every command's name, in the table's order.
        pub const NAMES: &[&str] = &[$($name),*];

        /// Every command's three types, for the bindings.
        #[cfg(test)]
        pub(crate) fn types(see: &mut crate::bindings::Types) {
            $(see.command::<$request, $item, $response>($name);)*
        }

        /// Runs one command by its name.
        ///
        /// # Errors
        /// [`berth_core::Code::Usage`] for an unknown name or a body that does not fit, else what the command says.
        pub async fn dispatch(berth: &Arc<Berth>, name: &str, body: Value, call: &Call) -> Result<Value> {
            match name {
                $($name => {
                    // An operation can be started again by what started it. Nothing in a body is a secret.
                    let again = (name.starts_with("instance.") || name.starts_with("image.") || name.ends_with("prepare")).then(|| body.clone());
                    let request: $request = serde_json::from_value(body)
                        .map_err(|e| Error::usage(format!("The request `{}` cannot be read", $name)).because(e.to_string()))?;
                    let response: $response = Box::pin($handler(berth, request, call)).await?;
                    if $name.starts_with("host.") {
                        berth.hosts_changed.send_modify(|n| *n += 1);
                    }
                    let answer = serde_json::to_value(response)
                        .map_err(|e| Error::failed(format!("The answer of `{}` cannot be written", $name)).because(e.to_string()))?;
                    if let (Some(again), Some(id)) = (again, answer.get("operation").and_then(Value::as_str)) {
                        berth.operations.came_from(id, name, again);
                    }
                    Ok(answer)
                })*
                _ => Err(Error::usage(format!("There is no command `{}`", name.escape_debug()))),
            }
        }
    };
}

commands! {
    /// Adds a host after signing in once and finding the way to its engine.
    "host.add" HostAdd(dto::HostAdd) streams dto::Question, gives dto::HostView => crate::hosts::add;
    /// Answers a question of a host, with the secrets `0`, `1`, … in the order of its prompts.
    "host.answer" HostAnswer(dto::Answer) streams dto::Nothing, gives dto::Nothing => crate::questions::answer;
    /// Lists the hosts as they are known, without reaching them.
    "host.list" HostList(dto::Nothing) streams dto::Nothing, gives Vec<dto::HostView> => crate::hosts::list;
    /// One host as it is known.
    "host.show" HostShow(dto::HostName) streams dto::Nothing, gives dto::HostView => crate::hosts::show;
    /// Reaches a host anew, tries each way to its engine, and says what it found and what is wrong.
    "host.check" HostCheck(dto::HostExamine) streams dto::Question, gives dto::HostCheck => crate::check::check;
    /// What docker's own settings and SSH's configuration know and Berth does not: `DOCKER_HOST`, contexts, names.
    "host.suggest" HostSuggest(dto::HostSuggest) streams dto::Nothing, gives Vec<dto::HostSuggestion> => crate::docker_context::suggest;
    /// Streams what happens on a host's engine, across lost connections: no gap, nothing twice.
    "host.events" HostEvents(dto::HostEvents) streams dto::HostEvent, gives dto::Nothing => crate::resume::host_events;
    /// Makes a host the default.
    "host.use" HostUse(dto::HostName) streams dto::Nothing, gives dto::HostView => crate::hosts::make_default;
    /// What preparing a Windows machine as a container host would do, and why; changes nothing.
    "host.plan" HostPlan(dto::HostPrepare) streams dto::Nothing, gives dto::PreparePlan => crate::prepare::plan;
    /// Starts the operation that prepares a Windows machine as a container host.
    "host.prepare" HostPrepare(dto::HostPrepare) streams dto::Nothing, gives dto::Started => crate::prepare::start;
    /// Starts the operation that takes back what preparing changed, and only that.
    "host.unprepare" HostUnprepare(dto::HostPrepare) streams dto::Nothing, gives dto::Started => crate::prepare::undo;
    /// What is wrong with a Windows machine as a container host, and what helps; changes nothing.
    "host.doctor" HostDoctor(dto::HostPrepare) streams dto::Nothing, gives dto::HostDoctor => crate::prepare::doctor;
    /// Forgets a host; refuses while instances are there.
    "host.remove" HostRemove(dto::HostRemove) streams dto::Nothing, gives dto::Nothing => crate::hosts::remove;
    /// The SQL Server images that Berth can build, and the terms that whoever builds one has to accept.
    "image.recipes" ImageRecipes(dto::Nothing) streams dto::Nothing, gives dto::Recipes => crate::images::recipes;
    /// The SQL Server images of a host that Berth built.
    "image.list" ImageList(dto::ImageList) streams dto::Nothing, gives Vec<dto::ImageView> => crate::images::list;
    /// Starts the operation that has a host fetch an image of a registry.
    "image.pull" ImagePull(dto::ImagePull) streams dto::Nothing, gives dto::Started => crate::images::pull;
    /// Starts the operation that builds a SQL Server image on a host.
    "image.build" ImageBuild(dto::ImageBuild) streams dto::Nothing, gives dto::Started => crate::images::build;
    /// Starts the operation that makes old images anew, and removes those that nothing uses any more.
    "image.rebuild" ImageRebuild(dto::ImageRebuild) streams dto::Nothing, gives dto::Started => crate::images::rebuild;
    /// Removes an image that no container uses.
    "image.remove" ImageRemove(dto::ImageRemove) streams dto::Nothing, gives dto::Nothing => crate::images::remove;
    /// Starts the operation that makes or starts an instance.
    "instance.up" InstanceUp(dto::Up) streams dto::Nothing, gives dto::Started => crate::up::start;
    /// Lists instances, each checked now or with the age of what is shown.
    "instance.list" InstanceList(dto::InstanceList) streams dto::Nothing, gives dto::Instances => crate::instances::list;
    /// One instance.
    "instance.show" InstanceShow(dto::InstanceName) streams dto::Nothing, gives dto::InstanceView => crate::instances::show;
    /// Starts the operation that takes up a container that Berth did not make; the password of `sa` may come beside it, as `password`.
    "instance.adopt" InstanceAdopt(dto::Adopt) streams dto::Nothing, gives dto::Started => crate::adopt::adopt;
    /// Starts the operation that starts an instance.
    "instance.start" InstanceStart(dto::Timed) streams dto::Nothing, gives dto::Started => crate::life::start;
    /// Starts the operation that stops an instance: checkpoint, then stop.
    "instance.stop" InstanceStop(dto::Timed) streams dto::Nothing, gives dto::Started => crate::life::stop;
    /// Stop, then start.
    "instance.restart" InstanceRestart(dto::Timed) streams dto::Nothing, gives dto::Started => crate::life::restart;
    /// Starts the operation that removes an instance, its data only when that is said.
    "instance.remove" InstanceRemove(dto::InstanceRemove) streams dto::Nothing, gives dto::Started => crate::life::remove;
    /// Starts the operation that changes an instance's memory, port or name.
    "instance.set" InstanceSet(dto::InstanceSet) streams dto::Nothing, gives dto::Started => crate::change::set;
    /// Starts the operation that gives an instance new passwords.
    "instance.reset_password" InstanceResetPassword(dto::Timed) streams dto::Nothing, gives dto::Started => crate::change::reset_password;
    /// Lists the databases of an instance.
    "database.list" DatabaseList(dto::InstanceName) streams dto::Nothing, gives Vec<dto::DatabaseView> => crate::databases::list;
    /// Makes a database, and a login that owns it.
    "database.create" DatabaseCreate(dto::Database) streams dto::Nothing, gives dto::DatabaseMade => crate::databases::create;
    /// Removes a database for good, and its login.
    "database.drop" DatabaseDrop(dto::Database) streams dto::Nothing, gives dto::Nothing => crate::databases::drop;
    /// Lists kept data that has no instance.
    "data.list" DataList(dto::InstanceList) streams dto::Nothing, gives dto::KeptData => crate::data::list;
    /// Deletes kept data that has no instance, for good.
    "data.delete" DataDelete(dto::DataDelete) streams dto::Nothing, gives dto::DataView => crate::data::delete;
    /// Makes a private instance, or takes one up again, and keeps it for as long as this call lasts.
    "lease.hold" LeaseHold(dto::Lease) streams dto::LeaseEvent, gives dto::Nothing => crate::lease::hold;
    /// Ends a lease: the call that holds it answers once the instance is gone.
    "lease.end" LeaseEnd(dto::LeaseId) streams dto::Nothing, gives dto::Nothing => crate::lease::end;
    /// Streams an instance's log.
    "instance.logs" InstanceLogs(dto::Logs) streams dto::LogLine, gives dto::Nothing => crate::instances::logs;
    /// Streams what an instance uses.
    "instance.stats" InstanceStats(dto::InstanceName) streams dto::StatsView, gives dto::Nothing => crate::instances::stats;
    /// Streams an operation's events from its beginning; answers when it ends.
    "operation.watch" OperationWatch(dto::OperationId) streams dto::OperationEvent, gives dto::Outcome => crate::operations::watch;
    /// Asks an operation to stop and clean up after itself.
    "operation.cancel" OperationCancel(dto::OperationId) streams dto::Nothing, gives dto::Nothing => crate::operations::cancel;
    /// The operations of this agent, newest first.
    "operation.list" OperationList(dto::Nothing) streams dto::Nothing, gives Vec<dto::OperationView> => crate::operations::list;
    /// Starts an operation again that failed or was cancelled.
    "operation.retry" OperationRetry(dto::OperationId) streams dto::Nothing, gives dto::Started => crate::operations::retry;
    /// The operations that ended, of this and earlier agents, newest first.
    "operation.history" OperationHistory(dto::HistoryWish) streams dto::Nothing, gives dto::HistoryView => crate::operations::history;
    /// The formats of connection strings.
    "connection.formats" ConnectionFormats(dto::Nothing) streams dto::Nothing, gives Vec<dto::FormatView> => crate::connections::formats;
    /// What connection strings travel in.
    "connection.carriers" ConnectionCarriers(dto::Nothing) streams dto::Nothing, gives Vec<dto::CarrierView> => crate::connections::carriers;
    /// A connection string: masked in the body, whole in the secret beside it.
    "connection.show" ConnectionShow(dto::ConnectionShow) streams dto::Nothing, gives dto::ConnectionView => crate::connections::show;
    /// Puts a connection string on this machine's clipboard.
    "connection.copy" ConnectionCopy(dto::ConnectionShow) streams dto::Nothing, gives dto::ConnectionView => crate::connections::copy;
    /// The programs that an instance can be opened in.
    "connection.tools" ConnectionTools(dto::Nothing) streams dto::Nothing, gives Vec<dto::ToolView> => crate::connections::tools;
    /// How an instance is opened in one of them by hand.
    "connection.by_hand" ConnectionByHand(dto::ByHand) streams dto::Nothing, gives dto::Line => crate::connections::by_hand;
    /// Opens a connection string, given as the secret `string`, with a driver's own reader.
    "connection.try" ConnectionTry(dto::Nothing) streams dto::Nothing, gives dto::Tried => crate::query::try_string;
    /// Runs a script on an instance.
    "query.run" QueryRun(dto::Query) streams dto::QueryEvent, gives dto::QueryDone => crate::query::run;
    /// Streams every change of hosts, instances and operations, after a first item that holds them all.
    "berth.watch" BerthWatch(dto::Nothing) streams dto::Change, gives dto::Nothing => crate::watch::watch;
    /// What the agent holds.
    "agent.status" AgentStatus(dto::Nothing) streams dto::Nothing, gives dto::AgentStatus => crate::berth::status;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(
            names.len(),
            NAMES.len(),
            "the second of two equal names would never be reached"
        );
        assert!(
            NAMES.iter().all(|n| n.split_once('.').is_some()),
            "names are noun.verb"
        );
    }
}
