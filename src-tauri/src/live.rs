//! The app's own ear at the agent: keeps the menu bar true and tells of what ended while nobody looked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use berth_agent::page::Agent;
use berth_api::{
    dto::{Change, ConnectionShow, Nothing, OperationView, Started, Timed},
    table,
};
use berth_core::Result;
use tauri::{AppHandle, Manager};
use tauri_plugin_notification::NotificationExt;

use crate::{app, seen::Seen, tray};

/// How long after the agent ended it is asked again; asking starts it.
const AGAIN: Duration = Duration::from_secs(2);

/// What the app knows, shared by the menu bar and by links.
#[derive(Clone, Default)]
pub(crate) struct Live(Arc<Mutex<Seen>>);

impl Live {
    /// What is known now.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the agent for as long as the app lives.
pub(crate) async fn follow(app: AppHandle, agent: Agent) {
    loop {
        if let Err(e) = listen(&app, &agent).await {
            tracing::debug!("the agent's changes ended: {e}");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn listen(app: &AppHandle, agent: &Agent) -> Result<()> {
    let client = agent.client().await?;
    let mut changes = client
        .stream::<table::BerthWatch>(&Nothing {}, BTreeMap::new())
        .await?;
    let mut shown = None;
    while let Some(change) = changes.next().await? {
        let first = matches!(change, Change::Snapshot { .. });
        let (ended, rows) = {
            let live = app.state::<Live>();
            let mut seen = live.seen();
            (seen.take(change), seen.rows())
        };
        if shown.as_ref() != Some(&rows) {
            tray::show(app, &rows);
            shown = Some(rows);
        }
        if first {
            app::follow_waiting_link(app);
        }
        for operation in ended {
            tell(app, &operation);
        }
    }
    Ok(())
}

/// Tells of an operation that ended, where no window is being looked at.
fn tell(app: &AppHandle, operation: &OperationView) {
    let looking = app
        .get_webview_window(app::MAIN)
        .is_some_and(|w| w.is_visible().unwrap_or(false) && w.is_focused().unwrap_or(false));
    if looking || operation.state == "cancelled" {
        return;
    }
    let (title, body) = match (operation.state.as_str(), &operation.error) {
        ("done", _) => (operation.title.clone(), "Done".to_owned()),
        (_, Some(error)) => (operation.title.clone(), error.message.clone()),
        (_, None) => (operation.title.clone(), "It did not work".to_owned()),
    };
    notify(app, &title, &body);
}

/// A notification of the system. Without one, nothing is lost: the window shows the same.
pub(crate) fn notify(app: &AppHandle, title: &str, body: &str) {
    if let Err(e) = app.notification().builder().title(title).body(body).show() {
        tracing::debug!("no notification: {e}");
    }
}

/// Does what was chosen in the menu bar, and says what went wrong: there may be no window to say it in.
pub(crate) fn act(app: &AppHandle, action: tray::Action, full: String) {
    let (app, agent) = (
        app.clone(),
        app.state::<crate::pages::Pages>().agent.clone(),
    );
    tauri::async_runtime::spawn(async move {
        match done(&agent, action, full.clone()).await {
            Ok(Some(said)) => notify(&app, &full, &said),
            Ok(None) => {}
            Err(e) => {
                // What to do is said in the command's terms, and shown with buttons in the window.
                notify(&app, &full, &e.to_string().replace('`', ""));
            }
        }
    });
}

async fn done(agent: &Agent, action: tray::Action, name: String) -> Result<Option<String>> {
    let client = agent.client().await?;
    let none = BTreeMap::new();
    let timed = |name| Timed {
        name,
        timeout: None,
    };
    match action {
        tray::Action::Copy => {
            let wish = ConnectionShow {
                name,
                ..ConnectionShow::default()
            };
            client.call::<table::ConnectionCopy>(&wish, none).await?;
            Ok(Some(
                "Its connection string is on the clipboard for 60 s".to_owned(),
            ))
        }
        // They are told of when they end, as operations.
        tray::Action::Start => {
            let _: Started = client
                .call::<table::InstanceStart>(&timed(name), none)
                .await?
                .body;
            Ok(None)
        }
        tray::Action::Stop => {
            let _: Started = client
                .call::<table::InstanceStop>(&timed(name), none)
                .await?
                .body;
            Ok(None)
        }
    }
}
