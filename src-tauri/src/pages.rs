//! The window's side of the command table: the same frames as everywhere, over Tauri's own channel.
//!
//! A channel has no way to slow its sender. So frames travel in batches, and the next one waits until the page has
//! said that it took the last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use berth_agent::page::{Agent, Page, ToPage};
use berth_api::dto::ErrorView;
use berth_core::Error;
use serde::Serialize;
use tauri::{State, WebviewWindow, ipc::Channel};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

/// Frames in one batch: a page draws between two.
const BATCH: usize = 64;
/// A page that takes longer was suspended, or was loaded anew: the next batch is sent all the same.
const TAKEN: Duration = Duration::from_secs(10);

/// What the page is told.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Told {
    /// A frame of the command table.
    Frame(ToPage),
    /// Something that was chosen in a menu, by the id that the palette knows it by.
    Do {
        /// Always `do`.
        t: &'static str,
        /// The palette's id.
        id: String,
    },
}

/// The pages of this process, by window.
pub(crate) struct Pages {
    pub(crate) agent: Agent,
    open: Mutex<BTreeMap<String, Open>>,
}

struct Open {
    page: Page,
    taken: Arc<Notify>,
    chosen: mpsc::Sender<String>,
}

impl Pages {
    pub(crate) fn new(agent: Agent) -> Self {
        Self {
            agent,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does in every window what was chosen in a menu. Where none listens yet, nothing happens.
    pub(crate) fn choose(&self, id: &str) {
        for page in self.open().values() {
            let _ = page.chosen.try_send(id.to_owned());
        }
    }
}

/// A page begins: the one before it in the same window is over, with all its calls.
#[tauri::command]
pub(crate) async fn open_page(
    window: WebviewWindow,
    pages: State<'_, Pages>,
    to_page: Channel<Vec<Told>>,
) -> Result<(), ErrorView> {
    let (page, mut frames) = Page::new(pages.agent.clone());
    let (chosen, mut choices) = mpsc::channel(16);
    let taken = Arc::new(Notify::new());
    pages.open().insert(
        window.label().to_owned(),
        Open {
            page,
            taken: Arc::clone(&taken),
            chosen,
        },
    );
    tauri::async_runtime::spawn(async move {
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                frame = frames.recv() => match frame {
                    Some(frame) => batch.push(Told::Frame(frame)),
                    None => break,
                },
                Some(id) = choices.recv() => batch.push(Told::Do { t: "do", id }),
            }
            while batch.len() < BATCH
                && let Ok(frame) = frames.try_recv()
            {
                batch.push(Told::Frame(frame));
            }
            if to_page.send(batch).is_err() {
                break;
            }
            let _ = timeout(TAKEN, taken.notified()).await;
        }
    });
    Ok(())
}

/// One frame of a page.
#[tauri::command]
pub(crate) async fn frame(
    window: WebviewWindow,
    pages: State<'_, Pages>,
    frame: String,
) -> Result<(), ErrorView> {
    let open = pages.open();
    let page = open
        .get(window.label())
        .ok_or_else(|| ErrorView::from(&Error::failed("This window has not been opened yet")))?;
    page.page.take(&frame).map_err(|e| ErrorView::from(&e))
}

/// The page has taken the last batch.
#[tauri::command]
pub(crate) async fn taken(window: WebviewWindow, pages: State<'_, Pages>) -> Result<(), ErrorView> {
    if let Some(page) = pages.open().get(window.label()) {
        page.taken.notify_one();
    }
    Ok(())
}
