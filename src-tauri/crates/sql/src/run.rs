//! Scripts: batch by batch, telling what comes as it comes.

use std::{
    future::{Future, pending, poll_fn},
    ops::ControlFlow,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use berth_core::Result;
use futures_util::Stream;
use tiberius::{
    QueryItem, ResultMetadata,
    error::{Error as TdsError, TokenError},
};

use crate::{
    connect::Connection,
    error::statement_error,
    split::{Batch, batches},
    told::{Ear, Told},
    value::{Column, Value, type_name},
};

/// How long a server may take to end a batch that is stopped, before the connection is closed.
const STOP: Duration = Duration::from_secs(5);

/// Errors of one batch that are told; a loop can produce millions.
const MOST_ERRORS: usize = 100;

/// What a running script tells.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A result starts: its columns.
    Columns(Vec<Column>),
    /// A row of it.
    Row(Vec<Value>),
    /// A statement is done, and this many rows were read or changed. Statements that count
    /// nothing (or run under `SET NOCOUNT ON`) tell nothing.
    ResultDone {
        /// Rows read or changed.
        rows: u64,
    },
    /// A message: `PRINT`, `RAISERROR` of low severity, progress of `BACKUP`, `USE`, …
    Message(String),
    /// An error. The batch may have gone on after it. All errors of a batch are told at its end.
    Error {
        /// Its number.
        number: u32,
        /// Its severity; known of the first error of a batch only.
        class: Option<u8>,
        /// Its state; known of the first error of a batch only.
        state: Option<u8>,
        /// Its line in the script, from 1; known of the first error of a batch only. Inside of
        /// a procedure it is the procedure's line.
        line: Option<u32>,
        /// The procedure, if it happened in one.
        procedure: Option<String>,
        /// The server's text.
        message: String,
    },
    /// A batch is done.
    BatchDone,
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Batches that were run, each repetition counted.
    pub batches: u64,
    /// Errors that the server told.
    pub errors: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// Where the events of a script go.
type Sink<'s> = &'s mut (dyn FnMut(Event) -> ControlFlow<()> + Send);

const DOING: &str = "run the script";

impl Connection {
    /// Runs a script: its batches one after the other, each as often as its `GO` says. What
    /// comes back goes to `sink` as it comes; a sink that takes its time makes the server wait.
    /// [`ControlFlow::Break`] stops the script at the server and keeps the connection.
    ///
    /// An error of the server is an event, and the next batch is run: whoever wants to stop
    /// there breaks. There is no limit of time; dropping the call closes the connection.
    ///
    /// # Errors
    /// Where the connection breaks, or an answer makes no sense.
    pub async fn run(&mut self, script: &str, sink: Sink<'_>) -> Result<Outcome> {
        self.run_until(script, sink, pending()).await
    }

    /// The same, stopped at the server as soon as `stop` is ready.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn run_until(
        &mut self,
        script: &str,
        sink: Sink<'_>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut stop = pin!(stop);
        let ear = Ear::new();
        for batch in batches(script) {
            for _ in 0..batch.count {
                self.check_open(DOING)?;
                let guard = self.scissors.unless_finished();
                let ended = self
                    .batch(&ear, batch, sink, stop.as_mut(), &mut outcome)
                    .await?;
                if ended == Ended::Within {
                    // Attention makes the server end its answer. Where it does not say so in
                    // time, the guard closes the connection.
                    let ended = tokio::time::timeout(STOP, self.client.cancel_query()).await;
                    if matches!(ended, Ok(Ok(()))) {
                        guard.finished();
                    }
                    outcome.stopped = true;
                    return Ok(outcome);
                }
                guard.finished();
                outcome.batches = outcome.batches.saturating_add(1);
                if ended == Ended::After || sink(Event::BatchDone).is_break() {
                    outcome.stopped = true;
                    return Ok(outcome);
                }
            }
        }
        Ok(outcome)
    }

    async fn batch(
        &mut self,
        ear: &Ear,
        batch: Batch<'_>,
        sink: Sink<'_>,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        outcome: &mut Outcome,
    ) -> Result<Ended> {
        let mut errors = Errors::default();
        let mut asking = Box::pin(self.client.simple_query(batch.text));
        let answer = loop {
            let step = step(ear, stop.as_mut(), |cx| asking.as_mut().poll(cx)).await;
            if tell(ear, sink, &mut errors).is_break() {
                return Ok(Ended::Within);
            }
            match step {
                Step::Told => {}
                Step::Stopped => return Ok(Ended::Within),
                Step::Came(answer) => break answer,
            }
        };
        let failure = match answer {
            Err(e) => Some(e),
            Ok(mut answer) => loop {
                let step = step(ear, stop.as_mut(), |cx| Pin::new(&mut answer).poll_next(cx)).await;
                if tell(ear, sink, &mut errors).is_break() {
                    return Ok(Ended::Within);
                }
                let event = match step {
                    Step::Told => continue,
                    Step::Stopped => return Ok(Ended::Within),
                    Step::Came(None) => break None,
                    Step::Came(Some(Err(e))) => break Some(e),
                    Step::Came(Some(Ok(QueryItem::Metadata(metadata)))) => columns(&metadata),
                    Step::Came(Some(Ok(QueryItem::Row(row)))) => Event::Row(
                        row.cells()
                            .map(|(c, data)| Value::of(c.column_type(), data))
                            .collect(),
                    ),
                };
                if sink(event).is_break() {
                    return Ok(Ended::Within);
                }
            },
        };
        let told = match failure {
            None => errors.tell(sink, None, batch, outcome),
            // The first error in full, which the driver hands over last.
            Some(TdsError::Server(token)) => errors.tell(sink, Some(token), batch, outcome),
            Some(e) => {
                // What the server said before the connection broke says more than the break.
                let _ = errors.tell(sink, None, batch, outcome);
                return Err(statement_error(DOING, e));
            }
        };
        Ok(if told.is_break() {
            Ended::After
        } else {
            Ended::Whole
        })
    }
}

/// How far the answer to a batch was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// To its end.
    Whole,
    /// To its end, and nothing more is wanted.
    After,
    /// It is still coming.
    Within,
}

enum Step<T> {
    /// The driver told something and waits for more.
    Told,
    /// The caller wants no more.
    Stopped,
    /// The driver has it; what it told before comes first.
    Came(T),
}

async fn step<T>(
    ear: &Ear,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Step<T> {
    poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Step::Stopped);
        }
        match ear.listen(|| poll(cx)) {
            Poll::Ready(item) => Poll::Ready(Step::Came(item)),
            // Told at once: a long batch prints how far it is.
            Poll::Pending if !ear.is_empty() => Poll::Ready(Step::Told),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Hands on what the driver told; errors are kept for the end of the batch.
fn tell(ear: &Ear, sink: Sink<'_>, errors: &mut Errors) -> ControlFlow<()> {
    while let Some(told) = ear.next() {
        match told {
            Told::Message(text) => sink(Event::Message(text))?,
            Told::Rows(rows) => sink(Event::ResultDone { rows })?,
            Told::Error { number, message } => errors.keep(number, message),
            Told::Dropped(count) => {
                sink(Event::Message(format!(
                    "({count} messages came too fast and are not shown)"
                )))?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn columns(metadata: &ResultMetadata) -> Event {
    Event::Columns(
        metadata
            .columns()
            .iter()
            .map(|c| Column {
                name: c.name().to_owned(),
                type_name: type_name(c.column_type()),
            })
            .collect(),
    )
}

/// The errors of one batch.
#[derive(Default)]
struct Errors {
    kept: Vec<(u32, String)>,
    count: u64,
}

impl Errors {
    fn keep(&mut self, number: u32, message: String) {
        self.count = self.count.saturating_add(1);
        if self.kept.len() < MOST_ERRORS {
            self.kept.push((number, message));
        }
    }

    fn tell(
        self,
        sink: Sink<'_>,
        first: Option<TokenError>,
        batch: Batch<'_>,
        outcome: &mut Outcome,
    ) -> ControlFlow<()> {
        let told = u64::from(first.is_some()).max(self.count);
        outcome.errors = outcome.errors.saturating_add(told);
        let mut kept = self.kept.into_iter();
        if let Some(first) = first {
            // It is the first of those that were kept, too.
            kept.next();
            let within = !first.procedure().is_empty();
            sink(Event::Error {
                number: first.code(),
                class: Some(first.class()),
                state: Some(first.state()),
                line: Some(if within {
                    first.line()
                } else {
                    first
                        .line()
                        .max(1)
                        .saturating_add(batch.line)
                        .saturating_sub(1)
                }),
                procedure: within.then(|| first.procedure().to_owned()),
                message: first.message().to_owned(),
            })?;
        }
        for (number, message) in kept {
            sink(Event::Error {
                number,
                class: None,
                state: None,
                line: None,
                procedure: None,
                message,
            })?;
        }
        match told.saturating_sub(MOST_ERRORS as u64) {
            0 => ControlFlow::Continue(()),
            more => sink(Event::Message(format!("(and {more} more errors)"))),
        }
    }
}
