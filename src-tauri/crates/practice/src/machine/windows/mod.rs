//! The machine as Windows: its features, services, rules, files and restarts, as far as
//! preparing it as a container host changes them.
//!
//! A world is plain data in one file. What Berth's script does to it is in [`script`], told
//! apart from the world so that the same world can be played for the real script.

pub mod script;

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use berth_core::{Error, Result};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Machine, fault::Fault, lock, state::write_private};

const FILE: &str = "windows.json";
/// How long a restart of the machine takes.
const RESTART: Duration = Duration::seconds(2);

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Service {
    pub status: String,
    pub start: String,
}

impl Service {
    fn new(status: &str, start: &str) -> Self {
        Self {
            status: status.into(),
            start: start.into(),
        }
    }
}

/// A firewall rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Rule {
    pub enabled: String,
    pub profile: String,
    pub group: String,
}

/// The scheduled task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// When it began; a restart begins it again.
    pub began: DateTime<Utc>,
    /// What it was given.
    pub given: Value,
}

/// A Windows machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct World {
    pub product: String,
    pub build: u32,
    pub ubr: u32,
    pub installation_type: String,
    pub arch: String,
    pub ps: String,
    pub language_mode: String,
    pub admin: bool,
    pub user: String,
    pub ram_mb: u64,
    pub free_mb: u64,
    pub fs: String,
    pub sector: u32,
    pub forced: Vec<String>,
    pub boot: DateTime<Utc>,
    /// Until when the machine is away.
    pub away: Option<DateTime<Utc>>,
    pub services: BTreeMap<String, Service>,
    pub feature: Option<String>,
    pub rule: Option<Rule>,
    /// Text files that matter here, by their path.
    pub files: BTreeMap<String, String>,
    /// Folders and files that are closed to all but administrators.
    pub private: Vec<String>,
    /// Owners of folders that are not the administrators'.
    pub owners: BTreeMap<String, String>,
    pub ipv6: Option<u32>,
    pub nat: bool,
    /// The version of the engine's programs in their folder.
    pub engine: Option<String>,
    pub task: Option<Task>,
    /// The engine's latest errors in Windows' log.
    pub engine_said: Vec<String>,
    /// The certificates that the engine read when it started, where it listens with some.
    pub engine_tls: Option<EngineTls>,
}

/// What the engine's listener shows, and whom it lets in. PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct EngineTls {
    pub ca: String,
    pub cert: String,
    pub key: String,
}

impl Default for World {
    fn default() -> Self {
        Self::bare(20348, "Windows Server 2022 Datacenter")
    }
}

impl World {
    /// As it comes from its installation, with SSH reached once.
    #[must_use]
    pub fn bare(build: u32, product: &str) -> Self {
        Self {
            product: product.to_owned(),
            build,
            ubr: 4297,
            installation_type: "Server".into(),
            arch: "AMD64".into(),
            ps: format!("5.1.{build}.4294"),
            language_mode: "FullLanguage".into(),
            admin: true,
            user: "practice\\administrator".into(),
            ram_mb: 16_384,
            free_mb: 90_317,
            fs: "NTFS".into(),
            sector: 4096,
            forced: Vec::new(),
            boot: Utc::now(),
            away: None,
            services: [
                ("sshd".to_owned(), Service::new("Running", "Manual")),
                // Part of Windows itself from Server 2022 on, and asleep without the feature.
            ]
            .into(),
            feature: Some("Disabled".into()),
            rule: Some(Rule {
                enabled: "True".into(),
                profile: "Private".into(),
                group: "OpenSSH Server".into(),
            }),
            files: BTreeMap::new(),
            private: Vec::new(),
            owners: BTreeMap::new(),
            ipv6: None,
            nat: false,
            engine: None,
            task: None,
            engine_said: Vec::new(),
            engine_tls: None,
        }
    }

    /// As Berth leaves it.
    #[must_use]
    pub fn prepared(build: u32, product: &str, engine: &str) -> Self {
        let mut world = Self::bare(build, product);
        world.feature = Some("Enabled".into());
        for name in ["sshd", "hns", "vmcompute", "docker"] {
            world
                .services
                .insert(name.into(), Service::new("Running", "Automatic"));
        }
        if let Some(rule) = &mut world.rule {
            rule.profile = "Any".into();
        }
        world.engine = Some(engine.to_owned());
        world.nat = true;
        world.private.push(script::FOLDER.into());
        world.files.insert(
            script::DAEMON.into(),
            "{\n  \"hosts\": [\n    \"npipe://\",\n    \"tcp://127.0.0.1:2375\"\n  ],\n  \"shutdown-timeout\": 120\n}\n"
                .into(),
        );
        world.files.insert(
            script::CHANGES.into(),
            "{\"engine\":{\"made\":true},\"service\":{\"made\":true}}".into(),
        );
        world
            .files
            .insert(script::INSTALLED.into(), engine.to_owned());
        world
    }

    /// Whether the engine's service runs.
    #[must_use]
    pub fn engine_runs(&self) -> bool {
        self.services
            .get("docker")
            .is_some_and(|s| s.status == "Running")
    }

    /// Whether the engine listens on its TCP port on the machine's own loopback.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.engine_runs()
            && self
                .files
                .get(script::DAEMON)
                .is_some_and(|text| text.contains("tcp://127.0.0.1:2375"))
    }

    /// What the engine reads when it starts: where it listens, and with which certificates.
    pub fn engine_loaded(&mut self) {
        let settings = (self.files.get(script::DAEMON))
            .and_then(|text| serde_json::from_str::<Value>(text).ok())
            .unwrap_or_default();
        let listens = (settings.get("hosts").and_then(Value::as_array))
            .is_some_and(|all| all.iter().any(|host| host == "tcp://127.0.0.1:2376"));
        let file = |name: &str| {
            let path = settings.get(name).and_then(Value::as_str)?;
            self.files.get(path).cloned()
        };
        self.engine_tls = (listens && settings.get("tlsverify") == Some(&Value::Bool(true)))
            .then(|| {
                Some(EngineTls {
                    ca: file("tlscacert")?,
                    cert: file("tlscert")?,
                    key: file("tlskey")?,
                })
            })
            .flatten();
    }

    /// What Windows does while it starts.
    pub fn restarted(&mut self, now: DateTime<Utc>) {
        self.away = None;
        self.boot = now;
        if self.feature.as_deref() == Some("EnablePending") {
            self.feature = Some("Enabled".into());
            for name in ["hns", "vmcompute"] {
                self.services
                    .insert(name.into(), Service::new("Running", "Manual"));
            }
        }
        if self.feature.as_deref() == Some("DisablePending") {
            self.feature = Some("Disabled".into());
            self.services.remove("hns");
            self.services.remove("vmcompute");
        }
        if !self.forced.is_empty() {
            self.sector = self.sector.min(4096);
        }
        if let Some(task) = &mut self.task {
            task.began = now;
        }
        self.engine_loaded();
    }
}

/// A machine's Windows, kept in its folder.
#[derive(Debug)]
pub struct Windows {
    world: Mutex<World>,
    dir: std::path::PathBuf,
    away: tokio::sync::watch::Sender<bool>,
}

impl Windows {
    /// Opens what an earlier run left, or makes the machine new.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(dir: &Path, machine: Machine) -> Result<Self> {
        let path = dir.join(FILE);
        let failed = |why: String| {
            Error::failed(format!(
                "The practice host's file `{}` cannot be read",
                path.display()
            ))
            .because(why)
        };
        let mut world = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => machine.world(),
            Err(e) => return Err(failed(e.to_string())),
        };
        world.restarted(Utc::now());
        Ok(Self {
            world: Mutex::new(world),
            dir: dir.to_path_buf(),
            away: tokio::sync::watch::Sender::new(false),
        })
    }

    /// Looks at the world as it is now.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&lock(&self.world))
    }

    /// Changes it, and keeps the change: it is small, and a restart must find it.
    pub fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let (result, text) = {
            let mut world = lock(&self.world);
            let result = act(&mut world);
            (result, serde_json::to_vec_pretty(&*world))
        };
        let kept = text
            .map_err(|e| Error::failed("The machine cannot be written down").because(e.to_string()))
            .and_then(|text| write_private(&self.dir, FILE, &text));
        if let Err(e) = kept {
            tracing::warn!("the practice host's Windows could not be kept: {e}");
        }
        result
    }

    /// Told when the machine goes away for a restart, and when it is back.
    pub fn away(&self) -> tokio::sync::watch::Receiver<bool> {
        self.away.subscribe()
    }

    /// Runs Berth's script: what it prints, or the message that it throws.
    ///
    /// # Errors
    /// What the script throws.
    pub fn run(&self, given: &Value, faults: &super::fault::Faults) -> Result<Value, String> {
        let now = Utc::now();
        self.change(|world| script::run(world, given, now, faults))
    }

    /// What is left of a restart that was asked for; `None` where there is none.
    pub fn restart_due(&self) -> bool {
        self.read(|w| w.away.is_some())
    }

    /// Goes away, comes back.
    pub async fn restart(&self, faults: &super::fault::Faults) {
        // The answer to who asked for it is still on its way.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        self.away.send_replace(true);
        if faults.has(Fault::NeverBack) {
            return;
        }
        tokio::time::sleep(RESTART.to_std().unwrap_or_default()).await;
        self.change(|world| world.restarted(Utc::now()));
        self.away.send_replace(false);
    }
}

/// A time as the script writes it.
fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
