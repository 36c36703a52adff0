//! The practice host, as one more host: started when something asks for it.

use std::{path::PathBuf, sync::Arc};

use berth_core::{Error, Result};
use berth_practice::{Practice, Settings};
use berth_remote::{Address, HostKeys, Profile, SignIn};
use tokio::sync::Mutex;

use crate::ssh::Ssh;

/// The practice host of this agent.
pub(crate) struct PracticeHost {
    folder: PathBuf,
    // Async on purpose: starting it takes a moment, and the second caller waits for the first.
    running: Mutex<Option<Practice>>,
}

impl PracticeHost {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            running: Mutex::default(),
        }
    }

    /// Whether it was ever used: listing instances does not bring it into being.
    pub(crate) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// The way in, as to any other host: by SSH, with a key, and its host key pinned.
    pub(crate) async fn ssh(&self) -> Result<Arc<Ssh>> {
        let mut running = self.running.lock().await;
        let practice = match &*running {
            Some(practice) => practice,
            None => running.insert(
                Practice::start(Settings {
                    dir: self.folder.clone(),
                    ..Settings::default()
                })
                .await
                .map_err(|e| e.context("The practice host did not start"))?,
            ),
        };
        let known = self.folder.join("known_hosts");
        // It is on another port each time, so what was recorded for the port says nothing.
        match tokio::fs::remove_file(&known).await {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => {
                return Err(
                    Error::failed(format!("`{}` cannot be removed", known.display()))
                        .because(e.to_string()),
                );
            }
        }
        let at = practice.ssh_address();
        let address = Address {
            user: practice.user().to_owned(),
            host: at.ip().to_string(),
            port: at.port(),
        };
        let sign_in = SignIn {
            identities: vec![practice.client_key_path().to_owned()],
            ..SignIn::default()
        };
        let host_keys = HostKeys {
            own: known,
            read_only: Vec::new(),
            trust: Some(practice.fingerprint()),
            ..HostKeys::default()
        };
        let profile = Profile::direct(address, sign_in, host_keys);
        Ok(Arc::new(Ssh::new(
            berth_core::host::PRACTICE,
            profile,
            Vec::new(),
        )))
    }

    pub(crate) async fn stop(&self) {
        if let Some(practice) = self.running.lock().await.take() {
            practice.stop().await;
        }
    }
}
