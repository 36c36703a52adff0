//! Questions of a host that is being reached, answered by whoever called.
//!
//! The question is an item of the call's stream; the answer is a call of its own, with what was typed beside
//! its body, as every secret travels.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use berth_core::{BoxFuture, Code, Error, Result, Secret};
use berth_remote::{Ask, Question};
use tokio::{sync::oneshot, time::timeout};

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

/// Asks whoever made a call.
pub(crate) struct Caller {
    pub(crate) berth: Arc<Berth>,
    pub(crate) call: Call,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

impl Ask for Caller {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Vec<Secret>>> {
        Box::pin(async move {
            let (id, answer) = self.berth.questions.open();
            let from = question.from.clone();
            let asked = async {
                self.call
                    .send(&dto::Question {
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
                    .await?;
                tokio::select! {
                    () = self.call.cancel.cancelled() => Err(crate::table::cancelled()),
                    answer = timeout(PATIENCE, answer) => Ok(answer),
                }
            };
            let answer = asked.await;
            self.berth.questions.take(id);
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
