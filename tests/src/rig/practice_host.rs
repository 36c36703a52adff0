//! The practice host as a Windows container host, on threads of its own, so that a test may block.

use std::path::PathBuf;

use berth_core::{Secret, secret::ExposeSecret};
use berth_practice::{Machine, Practice, Settings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A running practice host.
pub struct PracticeHost {
    practice: Option<Practice>,
    /// Its own for life, as a machine's is: strings and settings name it.
    port: u16,
    machine: Machine,
    runtime: Option<Runtime>,
    folder: TempDir,
}

impl PracticeHost {
    /// Starts one that is ready to use and has nothing wrong with it.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with these faults, named as `berth practice serve --fault` names them.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn with(faults: &[&str]) -> Self {
        Self::playing("ready", faults)
    }

    /// Starts one that plays this machine, named as `berth practice serve --machine` names it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn playing(machine: &str, faults: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("practice")
            .tempdir()
            .expect("there is room for a folder");
        let runtime = Runtime::new().expect("there are threads");
        let mut host = Self {
            practice: None,
            port: 0,
            machine: machine.parse().expect("the practice host plays it"),
            runtime: Some(runtime),
            folder,
        };
        host.boot(None, faults);
        host
    }

    /// Shuts it down and starts it again on the same folder and port, as a reboot of the machine does.
    pub fn reboot(&mut self, faults: &[&str]) {
        let port = self.port;
        self.shut_down();
        self.boot(Some(port), faults);
    }

    /// Shuts it down; nothing answers on its port.
    pub fn shut_down(&mut self) {
        if let (Some(practice), Some(runtime)) = (self.practice.take(), &self.runtime) {
            runtime.block_on(practice.stop());
        }
    }

    /// Its SSH port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.running().ssh_address().port()
    }

    /// `ssh://Administrator@127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("ssh://{}@127.0.0.1:{}", self.running().user(), self.port())
    }

    /// The private key that signs in.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.running().client_key_path().to_owned()
    }

    /// The password that signs in.
    #[must_use]
    pub fn password(&self) -> String {
        let password: Secret = self.running().password();
        password.expose_secret().to_owned()
    }

    /// Its host key's fingerprint: `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.running().fingerprint()
    }

    /// The practice host itself, to look at the machine from inside.
    ///
    /// # Panics
    /// When it was shut down.
    #[must_use]
    pub fn running(&self) -> &Practice {
        self.practice
            .as_ref()
            .expect("it runs until it is shut down")
    }

    /// Waits for something that the machine does.
    ///
    /// # Panics
    /// After its drop began.
    pub fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime
            .as_ref()
            .expect("there is a runtime until the drop")
            .block_on(what)
    }

    fn boot(&mut self, ssh_port: Option<u16>, faults: &[&str]) {
        let settings = Settings {
            dir: self.folder.path().join("machine"),
            ssh_port,
            machine: self.machine,
            faults: faults
                .iter()
                .map(|fault| fault.parse().expect("the practice host knows this fault"))
                .collect(),
            ..Settings::default()
        };
        let runtime = self
            .runtime
            .as_ref()
            .expect("there is a runtime until the drop");
        let practice = runtime
            .block_on(Practice::start(settings))
            .expect("the practice host starts");
        self.port = practice.ssh_address().port();
        self.practice = Some(practice);
    }
}

impl Drop for PracticeHost {
    fn drop(&mut self) {
        self.shut_down();
        if let Some(runtime) = self.runtime.take() {
            // A drop may happen where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}
