//! The engine's state as a whole.

use berth_core::Result;

use crate::{
    engine::{Engine, LIST, Os},
    error::Doing,
};

/// What `docker info` knows, as far as Berth uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What the containers run on.
    pub os: Os,
    /// `Microsoft Windows Server Version 21H2 (OS Build 20348.707)`.
    pub os_name: String,
    /// On Windows `10.0.20348`, whose third number picks the image's tag; on Linux the distribution's.
    pub os_version: String,
    /// How Windows containers are isolated when nothing is asked for: `process` or `hyperv`. Empty on Linux.
    pub isolation: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// Logical processors.
    pub cpus: u32,
    /// Memory of the host, in bytes.
    pub memory_bytes: u64,
    /// The storage driver: `overlay2`, `windowsfilter`, …
    pub driver: String,
    /// Where the engine keeps everything, on the host.
    pub root_dir: String,
    /// The host's own name.
    pub name: String,
    /// The engine's version.
    pub server_version: String,
    /// Containers, running or not.
    pub containers: u32,
    /// Containers that run now.
    pub containers_running: u32,
    /// Images.
    pub images: u32,
    /// The host's clock, RFC 3339; empty where the engine does not say.
    pub system_time: String,
    /// What the engine warns of.
    pub warnings: Vec<String>,
}

impl Engine {
    /// The engine's state as a whole. 30 seconds at most.
    ///
    /// # Errors
    /// What the way to the engine says, or the engine itself.
    pub async fn info(&self) -> Result<Info> {
        let doing = Doing::plain("ask the engine for its state");
        let info = self.within(doing, LIST, self.calls(LIST).info()).await?;
        let count = |n: Option<i64>| u32::try_from(n.unwrap_or(0)).unwrap_or(0);
        Ok(Info {
            os: match info.os_type.as_deref() {
                Some("windows") => Os::Windows,
                Some("linux") => Os::Linux,
                _ => self.about().os,
            },
            os_name: info.operating_system.unwrap_or_default(),
            os_version: info.os_version.unwrap_or_default(),
            isolation: info.isolation.map(|i| i.to_string()).unwrap_or_default(),
            arch: info.architecture.unwrap_or_default(),
            cpus: count(info.ncpu),
            memory_bytes: u64::try_from(info.mem_total.unwrap_or(0)).unwrap_or(0),
            driver: info.driver.unwrap_or_default(),
            root_dir: info.docker_root_dir.unwrap_or_default(),
            name: info.name.unwrap_or_default(),
            server_version: info
                .server_version
                .unwrap_or_else(|| self.about().version.clone()),
            containers: count(info.containers),
            containers_running: count(info.containers_running),
            images: count(info.images),
            system_time: info.system_time.unwrap_or_default(),
            warnings: info.warnings.unwrap_or_default(),
        })
    }
}
