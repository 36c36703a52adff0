//! One command's way to the agent.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Read},
    path::Path,
    sync::Once,
};

use berth_agent::{Client, Paths, Reply, client::Start};
use berth_api::{
    dto,
    table::{self, Command},
};
use berth_core::{Code, Error, Result, Secret};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::sync::Notify;

use crate::{
    questions,
    render::{self, Progress},
};

/// A connection to the agent, and how much to say on the way.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) verbose: bool,
}

impl Session {
    /// Connects to the agent, started if none runs. An older one that is busy is replaced only after a question.
    pub(crate) async fn open(verbose: bool) -> Result<Self> {
        let paths = Paths::of_this_user()?;
        let client = match Client::connect(&paths, Start::IfNeeded).await {
            Err(e)
                if e.get_detail("agent_busy").is_some()
                    && confirm("Replace the older agent, and cut off what it is doing?")
                        .await? =>
            {
                Client::connect(&paths, Start::Replace).await?
            }
            other => other?,
        };
        if verbose {
            render::note(format!(
                "{:>12}  {} (process {})",
                "agent",
                client.agent().version,
                client.agent().pid
            ));
        }
        Ok(Self { client, verbose })
    }

    /// Calls a command. Ctrl-C ends the wait.
    pub(crate) async fn call<C: Command>(
        &self,
        request: &C::Request,
    ) -> Result<Reply<C::Response>> {
        self.call_with::<C>(request, BTreeMap::new()).await
    }

    /// Calls a command with secrets beside it.
    pub(crate) async fn call_with<C: Command>(
        &self,
        request: &C::Request,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<Reply<C::Response>> {
        tokio::select! {
            reply = self.client.call::<C>(request, secrets) => reply,
            () = interrupted() => Err(table::cancelled()),
        }
    }

    /// Calls a command that may have questions of a host on its way, and answers them on the terminal.
    pub(crate) async fn call_asking<C: Command<Item = dto::Question>>(
        &self,
        request: &C::Request,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<Reply<C::Response>> {
        let mut questions = self.client.stream::<C>(request, secrets).await?;
        loop {
            let question = tokio::select! {
                question = questions.next() => question?,
                () = interrupted() => return Err(table::cancelled()),
            };
            let Some(question) = question else { break };
            let mut answers = BTreeMap::new();
            let answered = questions::answer(&question, &mut answers).await?;
            let request = dto::Answer {
                question: question.id,
                answers: answers.len(),
                decline: !answered,
            };
            self.client
                .call::<table::HostAnswer>(&request, answers)
                .await?;
        }
        questions.finish().await
    }

    /// Starts an operation and watches it to its end. Ctrl-C cancels it and waits until it has cleaned up; a second one
    /// leaves at once.
    pub(crate) async fn operate<C: Command<Response = dto::Started>>(
        &self,
        request: &C::Request,
    ) -> Result<dto::Outcome> {
        self.operate_with::<C>(request, BTreeMap::new()).await
    }

    /// The same, with secrets beside the request.
    pub(crate) async fn operate_with<C: Command<Response = dto::Started>>(
        &self,
        request: &C::Request,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<dto::Outcome> {
        let started = self.begin::<C>(request, secrets).await?;
        self.watch(started).await
    }

    /// Starts an operation. Whoever is interrupted while it begins still hears of it.
    pub(crate) async fn begin<C: Command<Response = dto::Started>>(
        &self,
        request: &C::Request,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<dto::Started> {
        let mut call = Box::pin(self.client.call::<C>(request, secrets));
        tokio::select! {
            reply = &mut call => Ok(reply?.body),
            () = interrupted() => {
                // It may have begun by now, and only its answer says what to cancel.
                let reply = tokio::select! {
                    reply = call => reply?,
                    () = interrupted() => return Err(table::cancelled()
                        .because("whether it has begun is not known")
                        .hint("`berth list` shows what is there")),
                };
                interrupt_again();
                Ok(reply.body)
            }
        }
    }

    /// Watches an operation that was started.
    async fn watch(&self, started: dto::Started) -> Result<dto::Outcome> {
        self.watch_with(started, |_| {}).await
    }

    /// The same, handing on each event.
    pub(crate) async fn watch_with(
        &self,
        started: dto::Started,
        mut each: impl FnMut(&dto::OperationEvent),
    ) -> Result<dto::Outcome> {
        let id = dto::OperationId {
            operation: started.operation,
        };
        let mut progress = Progress::new(self.verbose);
        let mut events = self
            .client
            .stream::<table::OperationWatch>(&id, BTreeMap::new())
            .await?;
        let mut cancelling = false;
        loop {
            tokio::select! {
                event = events.next() => match event? {
                    Some(event) => {
                        each(&event);
                        progress.event(&event);
                    }
                    None => break,
                },
                () = interrupted() => {
                    if cancelling {
                        return Err(table::cancelled().because("it is still being cleaned up").hint("`berth list` shows what is there"));
                    }
                    cancelling = true;
                    progress.end();
                    render::note("Cancelling; press Ctrl-C again to leave at once");
                    let client = self.client.clone();
                    let id = id.clone();
                    tokio::spawn(async move { client.call::<table::OperationCancel>(&id, BTreeMap::new()).await });
                }
            }
        }
        progress.end();
        drop(progress);
        events.finish().await.map(|reply| reply.body)
    }
}

/// One Ctrl-C, or one polite request to end from a CI system. From the first call on none is lost, also while nobody waits.
pub(crate) async fn interrupted() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        use tokio::signal::unix::{SignalKind, signal};
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            // Where it cannot be watched the system's own way of ending a process stays.
            if let Ok(mut signals) = signal(kind) {
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        interrupt_again();
                    }
                });
            }
        }
    });
    INTERRUPTS.notified().await;
}

static INTERRUPTS: Notify = Notify::const_new();

/// Hands an interrupt to whoever waits next.
fn interrupt_again() {
    INTERRUPTS.notify_one();
}

/// Whether somebody is there to answer a question.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a question on the terminal; no terminal means no. Ctrl-C ends it.
pub(crate) async fn confirm(question: &str) -> Result<bool> {
    if !can_ask() {
        return Ok(false);
    }
    render::note(format!("{question} (yes/no)"));
    let answer = typed_line().await?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// Asks for one line on the terminal, seen while it is typed; `None` without a terminal. Ctrl-C ends it.
pub(crate) async fn ask_line(question: &str) -> Result<Option<Secret>> {
    if !can_ask() {
        return Ok(None);
    }
    render::note(format!("{question}:"));
    let answer = typed_line().await?;
    Ok(Some(Secret::from(
        answer.trim_end_matches(['\r', '\n']).to_owned(),
    )))
}

async fn typed_line() -> Result<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let failed = |why: String| Error::failed("The answer could not be read").because(why);
    tokio::select! {
        read = read => read.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string())),
        () = interrupted() => Err(table::cancelled()),
    }
}

/// Asks for a secret on the terminal, unseen; `None` without a terminal. Ctrl-C ends it.
pub(crate) async fn ask_secret(question: &str) -> Result<Option<Secret>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    // Before the question is seen: what somebody types at once must not be shown either. And whatever ends this, the
    // terminal is left as it was; the reader is left behind by a request to end.
    let terminal = std::io::stdin();
    let before = tcgetattr(&terminal).ok();
    if let Some(mut unseen) = before.clone() {
        unseen.local_modes.remove(LocalModes::ECHO);
        let _ = tcsetattr(&terminal, OptionalActions::Now, &unseen);
    }
    let question = format!("{question}: ");
    let read = tokio::task::spawn_blocking(move || rpassword::prompt_password(question));
    let answer = tokio::select! {
        read = read => match read {
            Ok(Ok(text)) => Ok(Some(Secret::from(text))),
            // The reader takes Ctrl-C off the terminal itself, and raises it as a signal only then.
            Ok(Err(e)) if e.kind() == std::io::ErrorKind::Interrupted => Err(table::cancelled()),
            Ok(Err(_)) | Err(_) => Ok(None),
        },
        () = interrupted() => {
            render::note("");
            Err(table::cancelled())
        }
    };
    if let Some(before) = before {
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    }
    answer
}

/// Reads one line of a secret from standard input.
pub(crate) fn secret_from_stdin(what: &str) -> Result<Secret> {
    let mut text = String::new();
    std::io::stdin()
        .take(64 << 10)
        .read_to_string(&mut text)
        .map_err(|e| {
            Error::failed(format!("{what} could not be read from standard input"))
                .because(e.to_string())
        })?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Error::usage(format!(
            "{what} was to come on standard input, and nothing came"
        )));
    }
    Ok(Secret::from(line.to_owned()))
}

/// A path as the agent can use it: it runs elsewhere.
pub(crate) fn absolute(path: &Path) -> Result<String> {
    std::path::absolute(path)
        .ok()
        .and_then(|p| p.into_os_string().into_string().ok())
        .ok_or_else(|| Error::usage(format!("`{}` is no usable path", path.display())))
}

/// The caller's SSH agent: the one that Berth's agent was started with may be gone.
pub(crate) fn ssh_agent() -> Option<String> {
    std::env::var("SSH_AUTH_SOCK")
        .ok()
        .filter(|s| !s.is_empty())
}

/// A JSON document for standard output.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| {
        Error::new(Code::Failed, "The answer cannot be written as JSON").because(e.to_string())
    })
}
