//! The command table for a page: what the window's adapters share.
//!
//! A page may send secrets, beside a body as everyone else does. It never gets one: [`ToPage`] has no place for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use berth_api::dto::ErrorView;
use berth_core::{Error, Result, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Client, Paths, client::Start};

/// How many calls one page may have under way; below the agent's own limit for one client.
const MAX_CALLS: usize = 48;

/// From a page.
#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
enum FromPage {
    Call {
        id: u64,
        command: String,
        #[serde(default)]
        body: Value,
        #[serde(default)]
        secrets: BTreeMap<String, String>,
    },
    Cancel {
        id: u64,
    },
}

/// To a page.
#[derive(Debug, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ToPage {
    /// One stream item.
    Item {
        /// The call's id.
        id: u64,
        /// What came.
        body: Value,
    },
    /// The answer.
    Done {
        /// The call's id.
        id: u64,
        /// What the command answers.
        body: Value,
    },
    /// The command was refused or failed.
    Failed {
        /// The call's id.
        id: u64,
        /// Why.
        error: ErrorView,
    },
}

/// The one connection to the agent that all pages of a process share; made again after the agent ended.
#[derive(Clone)]
pub struct Agent {
    paths: Paths,
    // Async on purpose: the second caller waits for the connection that the first one makes.
    client: Arc<tokio::sync::Mutex<Option<Client>>>,
}

impl Agent {
    /// Of the agent in this folder. It is started when a page first calls.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self {
            paths,
            client: Arc::default(),
        }
    }

    /// The connection, made if there is none.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn client(&self) -> Result<Client> {
        let mut slot = self.client.lock().await;
        if let Some(client) = &*slot
            && !client.is_closed()
        {
            return Ok(client.clone());
        }
        let client = Client::connect(&self.paths, Start::IfNeeded).await?;
        *slot = Some(client.clone());
        Ok(client)
    }
}

/// One page's calls. Dropping it cancels those under way; operations go on, they are not calls.
pub struct Page {
    agent: Agent,
    calls: Arc<Mutex<BTreeMap<u64, CancellationToken>>>,
    out: mpsc::Sender<ToPage>,
    all: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Page {
    /// A page and what it is told. A page that does not read slows its own calls, and nobody else's.
    #[must_use]
    pub fn new(agent: Agent) -> (Self, mpsc::Receiver<ToPage>) {
        let (out, told) = mpsc::channel(64);
        let page = Self {
            agent,
            calls: Arc::default(),
            out,
            all: CancellationToken::new(),
        };
        (page, told)
    }

    /// Takes one frame of the page: a call or its cancel.
    ///
    /// # Errors
    /// Where it cannot be read. Nothing of it is quoted: it may hold a secret.
    pub fn take(&self, frame: &str) -> Result<()> {
        match serde_json::from_str(frame)
            .map_err(|_| Error::usage("A message of the window cannot be read"))?
        {
            FromPage::Cancel { id } => {
                if let Some(token) = lock(&self.calls).get(&id) {
                    token.cancel();
                }
            }
            FromPage::Call {
                id,
                command,
                body,
                secrets,
            } => self.call(id, command, body, secrets),
        }
        Ok(())
    }

    fn call(&self, id: u64, command: String, body: Value, secrets: BTreeMap<String, String>) {
        let secrets = secrets
            .into_iter()
            .map(|(name, text)| (name, Secret::from(text)))
            .collect();
        let token = self.all.child_token();
        let too_many = {
            let mut calls = lock(&self.calls);
            let full = calls.len() >= MAX_CALLS;
            if !full {
                calls.insert(id, token.clone());
            }
            full
        };
        let (agent, out, calls) = (
            self.agent.clone(),
            self.out.clone(),
            Arc::clone(&self.calls),
        );
        tokio::spawn(async move {
            let last = if too_many {
                Err(Error::failed("Too many calls at once from one window"))
            } else {
                let answer = answer(&agent, id, &command, body, secrets, &out);
                tokio::select! {
                    answer = answer => answer,
                    () = token.cancelled() => Err(berth_api::table::cancelled()),
                }
            };
            if !too_many {
                lock(&calls).remove(&id);
            }
            let _ = out
                .send(match last {
                    Ok(body) => ToPage::Done { id, body },
                    Err(e) => ToPage::Failed {
                        id,
                        error: ErrorView::from(&e),
                    },
                })
                .await;
        });
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.all.cancel();
    }
}

async fn answer(
    agent: &Agent,
    id: u64,
    command: &str,
    body: Value,
    secrets: BTreeMap<String, Secret>,
    out: &mpsc::Sender<ToPage>,
) -> Result<Value> {
    let client = agent.client().await?;
    let mut items = client.open(command, body, secrets).await?;
    while let Some(body) = items.next().await {
        if out.send(ToPage::Item { id, body }).await.is_err() {
            return Err(berth_api::table::cancelled());
        }
    }
    // The secret beside the answer ends here.
    Ok(items.finish().await?.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_is_not_quoted() {
        let (page, _told) = Page::new(Agent::new(Paths::at("nowhere")));
        let e = page
            .take(r#"{"t":"call","id":"x","secrets":{"password":"Canary-1"}}"#)
            .unwrap_err();
        assert!(
            !format!("{e:?}").contains("Canary"),
            "a frame that is wrong in one place may hold a password in another: {e:?}"
        );
    }
}
