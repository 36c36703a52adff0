//! Containers: finding, creating, renaming and removing them.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    Model,
    config::{Config, HostConfig},
    container_folder,
    fault::Clock,
    lifecycle::Live,
    lock, random_id,
    refusal::{Answer, Refusal},
    state::{Container, State, Status, Volume},
    volume::blocking,
};

impl Container {
    /// The first twelve digits of the id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// What events tell of it.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let mut all = self.config.labels.clone();
        all.insert("image".into(), self.config.image.clone());
        all.insert("name".into(), self.name.clone());
        all
    }

    /// Whether a boot of the machine starts it, given that it ran before.
    pub fn starts_at_boot(&self) -> bool {
        match self.host_config.restart_policy.name.as_str() {
            "always" => true,
            "unless-stopped" => !self.stopped_by_hand,
            "on-failure" => false,
            _ => false,
        }
    }

    /// Whether it is started again after its process ended by itself.
    pub fn starts_again(&self, exit_code: u32) -> bool {
        let policy = &self.host_config.restart_policy;
        match policy.name.as_str() {
            _ if self.stopped_by_hand => false,
            "always" | "unless-stopped" => true,
            "on-failure" => {
                exit_code != 0
                    && (policy.maximum_retry_count <= 0
                        || i64::from(self.restarts) < policy.maximum_retry_count)
            }
            _ => false,
        }
    }

    /// Notes that its process is over.
    pub(super) fn ended(&mut self, exit_code: u32, now: DateTime<Utc>) {
        self.status = Status::Exited;
        self.exit_code = exit_code;
        self.finished = Some(now);
        self.address = None;
    }
}

impl State {
    /// Finds a container by id, name (with or without `/`) or the beginning of an id.
    pub fn container(&self, name: &str) -> Answer<&Container> {
        let plain = name.strip_prefix('/').unwrap_or(name);
        let missing = || Refusal::not_found(format!("No such container: {name}"));
        if plain.is_empty() {
            return Err(missing());
        }
        if let Some(container) = self
            .containers
            .get(plain)
            .or_else(|| self.containers.values().find(|c| c.name == plain))
        {
            return Ok(container);
        }
        let mut by_prefix = self
            .containers
            .range(plain.to_owned()..)
            .take_while(|(id, _)| id.starts_with(plain));
        match (by_prefix.next(), by_prefix.next()) {
            (Some((_, container)), None) => Ok(container),
            (Some(_), Some(_)) => Err(Refusal::invalid(format!(
                "Multiple IDs found with provided prefix: {plain}"
            ))),
            _ => Err(missing()),
        }
    }
}

/// Names of containers: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
fn check_name(name: &str) -> Answer<&str> {
    let plain = name.strip_prefix('/').unwrap_or(name);
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if plain.len() >= 2
        && plain.starts_with(|c: char| c.is_ascii_alphanumeric())
        && plain.chars().all(good)
    {
        return Ok(plain);
    }
    Err(Refusal::invalid(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

fn name_taken(name: &str, by: &str) -> Refusal {
    Refusal::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{by}\". You have to remove (or rename) that container to be able to reuse that name."
    ))
}

/// Options that a Windows engine refuses, in the order in which it looks.
const NOT_ON_WINDOWS: [&str; 18] = [
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeight",
    "BlkioWeightDevice",
    "CgroupParent",
    "CpuPeriod",
    "CpuQuota",
    "CpusetCpus",
    "CpusetMems",
    "KernelMemory",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "OomKillDisable",
    "PidsLimit",
    "Ulimits",
];

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        // Clients send -1 for "not given".
        Value::Number(n) => n.as_i64().is_none_or(|n| n > 0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// What Windows does not do is refused, never left out in silence.
fn check_host_config(host: &HostConfig, cpus: u32) -> Answer {
    let invalid = |text: String| Err(Refusal::invalid(text));
    let has = |name: &str| host.rest.get(name).is_some_and(is_set);
    if !matches!(
        host.isolation.as_str(),
        "" | "default" | "process" | "hyperv"
    ) {
        return invalid(format!("invalid isolation '{}' on windows", host.isolation));
    }
    if host.isolation == "hyperv" {
        return Err(Refusal::failed(
            "failed to create endpoint: hcsshim::CreateComputeSystem: The virtual machine could not be started because a required feature is not installed. (0xc0351000)",
        ));
    }
    if host.nano_cpus > 0 && has("CpuPercent") {
        return invalid("conflicting options: Nano CPUs and CPU Percent cannot both be set".into());
    }
    if host.nano_cpus > 0 && has("CpuShares") {
        return invalid("conflicting options: Nano CPUs and CPU Shares cannot both be set".into());
    }
    if host.nano_cpus < 0 || host.nano_cpus > i64::from(cpus) * 1_000_000_000 {
        return invalid(format!(
            "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        ));
    }
    for name in NOT_ON_WINDOWS {
        if has(name) {
            let shown = match name {
                "CpuPeriod" => "CPUPeriod",
                "CpuQuota" => "CPUQuota",
                other => other,
            };
            return invalid(format!("invalid option: Windows does not support {shown}"));
        }
    }
    if has("Privileged") {
        return invalid("invalid option: Windows does not support privileged mode".into());
    }
    if has("ReadonlyRootfs") {
        return invalid(
            "invalid --read-only: Windows does not support read-only root file systems".into(),
        );
    }
    let policy = &host.restart_policy;
    match policy.name.as_str() {
        "" | "no" | "always" | "unless-stopped" if policy.maximum_retry_count != 0 => {
            return invalid(format!(
                "maximum retry count cannot be used with restart policy '{}'",
                policy.name
            ));
        }
        "" | "no" | "always" | "unless-stopped" => {}
        "on-failure" if policy.maximum_retry_count < 0 => {
            return invalid("maximum retry count cannot be negative".into());
        }
        "on-failure" => {}
        other => return invalid(format!("invalid restart policy '{other}'")),
    }
    if host.auto_remove && !matches!(policy.name.as_str(), "" | "no") {
        return invalid("can't create 'AutoRemove' container with restart policy".into());
    }
    match host.network_mode.as_str() {
        "" | "default" | "nat" | "none" => {}
        "host" | "bridge" => {
            return Err(Refusal::not_found(format!(
                "network {} not found",
                host.network_mode
            )));
        }
        mode if mode.starts_with("container:") => {
            return Err(Refusal::not_implemented(
                "Sharing another container's network",
            ));
        }
        other => return Err(Refusal::not_found(format!("network {other} not found"))),
    }
    let published: Vec<_> = host.port_bindings.values().flatten().flatten().collect();
    if published
        .iter()
        .any(|binding| !matches!(binding.host_ip.as_str(), "" | "0.0.0.0"))
    {
        return invalid("Windows does not support host IP addresses in NAT settings".into());
    }
    if !published.is_empty() {
        return Err(Refusal::not_implemented("Publishing a port"));
    }
    Ok(())
}

impl Model {
    /// A container's standing now.
    pub fn container(&self, name: &str) -> Answer<Container> {
        self.read(|state| state.container(name).cloned())
    }

    /// All containers, newest first.
    pub fn containers(&self) -> Vec<Container> {
        let mut all: Vec<Container> =
            self.read(|state| state.containers.values().cloned().collect());
        all.sort_by_key(|container| std::cmp::Reverse(container.created));
        all
    }

    pub(super) fn find(&self, name: &str) -> Answer<(String, Arc<Live>)> {
        let id = self.read(|state| state.container(name).map(|c| c.id.clone()))?;
        let live = lock(&self.live).get(&id).cloned();
        live.map(|live| (id, live))
            .ok_or_else(|| Refusal::not_found(format!("No such container: {name}")))
    }

    /// The log of a container.
    pub fn live(&self, name: &str) -> Answer<Arc<Live>> {
        self.find(name).map(|(_, live)| live)
    }

    /// Makes a container, with the volumes that it names and that are not there yet.
    pub async fn create_container(
        self: &Arc<Self>,
        name: Option<&str>,
        mut config: Config,
        mut host: HostConfig,
    ) -> Answer<String> {
        let id = random_id()?;
        let name = match name.filter(|n| !n.is_empty()) {
            Some(name) => check_name(name)?.to_owned(),
            None => format!("practice_{}", id.get(..8).unwrap_or_default()),
        };
        if config.image.is_empty() {
            return Err(Refusal::invalid("No image specified"));
        }
        let image = self.image(&config.image)?;
        check_host_config(&host, self.facts().cpus)?;
        let differs = |asked: &Option<Vec<String>>, own: &Option<Vec<String>>| {
            asked
                .as_ref()
                .is_some_and(|words| !words.is_empty() && asked != own)
        };
        if differs(&config.entrypoint, &image.config.entrypoint)
            || differs(&config.cmd, &image.config.cmd)
        {
            return Err(Refusal::not_implemented("Another command than the image's"));
        }
        let (model, asked) = (Arc::clone(self), (config.clone(), host.clone()));
        let mounts = tokio::task::spawn_blocking(move || model.resolve_mounts(&asked.0, &asked.1))
            .await
            .map_err(|e| Refusal::failed(e.to_string()))??;
        if let Some(by) = self.read(|s| {
            s.containers
                .values()
                .find(|c| c.name == name)
                .map(|c| c.id.clone())
        }) {
            return Err(name_taken(&name, &by));
        }
        if !self.faults().has_room() {
            return Err(Refusal::failed(
                "hcsshim::CreateSandboxLayer failed in Win32: There is not enough space on the disk. (0x70)",
            ));
        }
        if config.hostname.is_empty() {
            config.hostname = id.get(..12).unwrap_or(&id).to_owned();
        }
        inherit(&mut config, &image.config);
        if host.isolation.is_empty() || host.isolation == "default" {
            host.isolation = "process".into();
        }
        if host.network_mode.is_empty() {
            host.network_mode = "default".into();
        }
        if host.restart_policy.name.is_empty() {
            host.restart_policy.name = "no".into();
        }
        for mount in &mounts {
            if let Some(volume) = &mount.volume {
                self.create_volume(volume, BTreeMap::new()).await?;
            }
        }
        let folder = container_folder(&self.dir, &id);
        let live = {
            let clock = Clock::of(&self.faults);
            blocking(move || Live::open(&folder, clock)).await?
        };
        let now = self.now();
        let container = Container {
            id: id.clone(),
            name: name.clone(),
            created: now,
            image_id: image.id,
            config,
            host_config: host,
            mounts,
            status: Status::Created,
            exit_code: 0,
            error: String::new(),
            started: None,
            finished: None,
            restarts: 0,
            stopped_by_hand: false,
            address: None,
        };
        let attributes = container.attributes();
        lock(&self.live).insert(id.clone(), Arc::new(live));
        let made = self
            .try_change(|state| {
                // Looked at again: two calls with one name may have come this far.
                if let Some(by) = state.containers.values().find(|c| c.name == name) {
                    return Err(name_taken(&name, &by.id));
                }
                for volume in container.mounts.iter().filter_map(|m| m.volume.as_deref()) {
                    // Deleted in the meantime: its folder is made again when it is first used.
                    state
                        .volumes
                        .entry(volume.to_owned())
                        .or_insert_with(|| Volume {
                            name: volume.to_owned(),
                            created: now,
                            labels: BTreeMap::new(),
                        });
                }
                state.containers.insert(container.id.clone(), container);
                Ok(())
            })
            .await;
        if let Err(refusal) = made {
            lock(&self.live).remove(&id);
            let folder = container_folder(&self.dir, &id);
            let _ = blocking(move || remove_folder(&folder)).await;
            return Err(refusal);
        }
        self.tell("container", "create", &id, attributes);
        Ok(id)
    }

    /// Gives a container another name.
    pub async fn rename_container(&self, name: &str, new: &str) -> Answer {
        if new.is_empty() {
            return Err(Refusal::invalid("Neither old nor new names may be empty"));
        }
        let new = check_name(new)?.to_owned();
        let (id, _) = self.find(name)?;
        let (old, attributes) = self
            .try_change(|state| {
                if let Some(by) = state.containers.values().find(|c| c.name == new) {
                    let inner = name_taken(&new, &by.id);
                    return Err(Refusal::conflict(format!(
                        "Error when allocating new name: {}",
                        inner.message
                    )));
                }
                let container = state
                    .containers
                    .get_mut(&id)
                    .ok_or_else(|| Refusal::not_found(format!("No such container: {name}")))?;
                let old = std::mem::replace(&mut container.name, new);
                Ok((old, container.attributes()))
            })
            .await?;
        let mut attributes = attributes;
        attributes.insert("oldName".into(), format!("/{old}"));
        self.tell("container", "rename", &id, attributes);
        Ok(())
    }

    /// Removes a container, and with `volumes` its anonymous volumes.
    pub async fn remove_container(&self, name: &str, force: bool, volumes: bool) -> Answer {
        let (id, live) = self.find(name)?;
        if live.run().is_some() {
            if !force {
                return Err(Refusal::conflict(format!(
                    "You cannot remove a running container {id}. Stop the container before attempting removal or force remove"
                )));
            }
            match self.kill_container(&id).await {
                Err(refusal) if refusal.kind != super::refusal::Kind::Conflict => {
                    return Err(refusal);
                }
                _ => {}
            }
        }
        let _gate = live.gate.lock().await;
        if live.run().is_some() {
            return Err(Refusal::conflict(format!(
                "You cannot remove a running container {id}. Stop the container before attempting removal or force remove"
            )));
        }
        let Some(container) = self.change(|state| state.containers.remove(&id)).await? else {
            // `AutoRemove` was faster: gone is what was asked for.
            return if force {
                Ok(())
            } else {
                Err(Refusal::not_found(format!("No such container: {name}")))
            };
        };
        lock(&self.live).remove(&id);
        lock(&self.execs).retain(|_, exec| exec.container != id);
        live.removed.cancel();
        let folder = container_folder(&self.dir, &id);
        blocking(move || remove_folder(&folder)).await?;
        if volumes {
            for mount in container.mounts.iter().filter(|m| m.anonymous) {
                if let Some(volume) = &mount.volume
                    && let Err(refusal) = self.remove_volume(volume, true).await
                {
                    tracing::warn!(volume, "kept: {}", refusal.message);
                }
            }
        }
        self.tell("container", "destroy", &id, container.attributes());
        Ok(())
    }
}

fn remove_folder(folder: &std::path::Path) -> berth_core::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(berth_core::Error::failed(
            format!("The folder `{}` cannot be deleted", folder.display()),
        )
        .because(e.to_string())),
        _ => Ok(()),
    }
}

/// What the image says holds where the request says nothing.
fn inherit(config: &mut Config, image: &Config) {
    if config.entrypoint.is_none() {
        config.entrypoint.clone_from(&image.entrypoint);
        if config.cmd.is_none() {
            config.cmd.clone_from(&image.cmd);
        }
    }
    if config.user.is_empty() {
        config.user.clone_from(&image.user);
    }
    for (name, value) in &image.labels {
        config
            .labels
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    for (port, value) in &image.exposed_ports {
        config
            .exposed_ports
            .entry(port.clone())
            .or_insert_with(|| value.clone());
    }
    if config.healthcheck.is_none() {
        config.healthcheck.clone_from(&image.healthcheck);
    }
}
