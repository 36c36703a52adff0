//! This machine's clipboard. What we put there is marked, so that clipboard histories and other devices leave it alone.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use berth_api::Clipboard;
use berth_core::{BoxFuture, Error, Result, Secret, secret::ExposeSecret};

/// How long a copied string stays.
const STAYS: Duration = Duration::from_secs(60);

/// The clipboard of the session that this agent was started in.
#[derive(Default, Clone)]
pub(crate) struct SystemClipboard {
    // On X11 and Wayland the contents live as long as their owner does.
    owner: Arc<Mutex<Option<arboard::Clipboard>>>,
}

impl Clipboard for SystemClipboard {
    fn put(&self, secret: Secret) -> BoxFuture<'_, Result<()>> {
        let owner = Arc::clone(&self.owner);
        Box::pin(async move {
            let text = secret.clone();
            tokio::task::spawn_blocking(move || write(&owner, &text))
                .await
                .map_err(|e| {
                    Error::failed("The clipboard could not be written").because(e.to_string())
                })??;
            let owner = Arc::clone(&self.owner);
            tokio::spawn(async move {
                tokio::time::sleep(STAYS).await;
                let _ = tokio::task::spawn_blocking(move || clear_if_ours(&owner, &secret)).await;
            });
            Ok(())
        })
    }
}

fn write(owner: &Mutex<Option<arboard::Clipboard>>, secret: &Secret) -> Result<()> {
    let none = |e: arboard::Error| {
        Error::failed("This machine has no clipboard that Berth can write")
            .because(e.to_string())
            .detail("clipboard", "none")
            .hint("Leave out `--copy`: the string is printed then")
    };
    let mut owner = owner.lock().unwrap_or_else(PoisonError::into_inner);
    let clipboard = match &mut *owner {
        Some(clipboard) => clipboard,
        slot => slot.insert(arboard::Clipboard::new().map_err(none)?),
    };
    let set = clipboard.set();
    #[cfg(target_os = "macos")]
    let set = arboard::SetExtApple::exclude_from_history(set);
    #[cfg(target_os = "linux")]
    let set = arboard::SetExtLinux::exclude_from_history(set);
    set.text(secret.expose_secret()).map_err(none)
}

fn clear_if_ours(owner: &Mutex<Option<arboard::Clipboard>>, secret: &Secret) {
    let mut owner = owner.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(clipboard) = &mut *owner
        && clipboard
            .get_text()
            .is_ok_and(|text| text == secret.expose_secret())
    {
        let _ = clipboard.clear();
    }
}
