//! Questions of a host that is being reached, answered by whoever called.
//!
//! The question is an item of the call's stream; the answer is a call of its own, with what was typed beside
//! its body, as every secret travels.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use berth_core::{BoxFuture, Code, Error, Result, Secret};
use berth_remote::{Ask, Question};
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{Berth, dto, table::Call};

/// For somebody to answer; sshd's `LoginGraceTime` is 120 s.
const PATIENCE: Duration = Duration::from_secs(110);

/// Where an answer goes; `None` declines.
type Waiting = oneshot::Sender<Option<Vec<Secret>>>;

/// Questions that wait for an answer, by their number, and the last number.
#[derive(Default)]
pub(crate) struct Questions(Mutex<(u64, BTreeMap<u64, Waiting>)>);

impl Questions {
    fn open(&self) -> (u64, oneshot::Receiver<Option<Vec<Secret>>>) {
        let (send, receive) = oneshot::channel();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 += 1;
        let id = open.0;
        open.1.insert(id, send);
        (id, receive)
    }

    fn take(&self, id: u64) -> Option<Waiting> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.1.remove(&id)
    }
}

/// Asks whoever made a call, as long as that call lasts: a connection outlives it, and must not keep it open.
pub(crate) struct Caller {
    berth: Weak<Berth>,
    items: mpsc::WeakSender<Value>,
    cancel: CancellationToken,
}

impl Caller {
    pub(crate) fn new(berth: &Arc<Berth>, call: &Call) -> Self {
        Self {
            berth: Arc::downgrade(berth),
            items: call.items.downgrade(),
            cancel: call.cancel.clone(),
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

impl Ask for Caller {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Vec<Secret>>> {
        Box::pin(async move {
            let from = question.from.clone();
            let (Some(berth), Some(items)) = (self.berth.upgrade(), self.items.upgrade()) else {
                return Err(Error::new(
                    Code::SignInRefused,
                    format!(
                        "`{from}` asks for more than a password, and nobody is there to answer"
                    ),
                )
                .hint("A key signs in without questions: `--identity`, or the SSH agent"));
            };
            let (id, answer) = berth.questions.open();
            let asked = async {
                let item = serde_json::to_value(dto::Question {
                    id,
                    from: question.from,
                    title: question.title,
                    instructions: question.instructions,
                    prompts: question
                        .prompts
                        .into_iter()
                        .map(|p| dto::Prompt {
                            text: p.text,
                            hidden: p.hidden,
                        })
                        .collect(),
                })
                .map_err(|e| {
                    Error::failed("A question could not be written").because(e.to_string())
                })?;
                items
                    .send(item)
                    .await
                    .map_err(|_| crate::table::cancelled())?;
                tokio::select! {
                    () = self.cancel.cancelled() => Err(crate::table::cancelled()),
                    answer = timeout(PATIENCE, answer) => Ok(answer),
                }
            };
            let answer = asked.await;
            berth.questions.take(id);
            match answer? {
                Ok(Ok(Some(answers))) => Ok(answers),
                Ok(Ok(None) | Err(_)) => Err(Error::new(
                    Code::SignInRefused,
                    format!("The questions of `{from}` were not answered"),
                )),
                Err(_) => Err(Error::new(
                    Code::TimedOut,
                    format!(
                        "The questions of `{from}` were not answered within {} s",
                        PATIENCE.as_secs()
                    ),
                )),
            }
        })
    }
}

/// `host.answer`.
pub(crate) async fn answer(
    berth: &Arc<Berth>,
    request: dto::Answer,
    call: &Call,
) -> Result<dto::Nothing> {
    let Some(waiting) = berth.questions.take(request.question) else {
        return Err(Error::not_found("Nobody waits for this answer any more"));
    };
    let answers = if request.decline {
        None
    } else {
        Some(
            (0..request.answers)
                .map(|n| {
                    call.secret(&n.to_string())
                        .ok_or_else(|| Error::usage(format!("The answer {n} is missing")))
                })
                .collect::<Result<Vec<_>>>()?,
        )
    };
    let _ = waiting.send(answers);
    Ok(dto::Nothing {})
}
