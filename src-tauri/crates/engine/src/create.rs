//! What a new container shall be.

use std::{collections::BTreeMap, collections::HashMap, net::IpAddr, time::Duration};

use berth_core::{Result, Secret, secret::ExposeSecret};
use bollard::{
    models::{
        ContainerCreateBody, HostConfig, HostConfigIsolationEnum, Mount as ApiMount, MountType,
        PortBinding, RestartPolicy as ApiRestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::CreateContainerOptionsBuilder,
};

use crate::{
    container::{Mount, MountKind, RestartPolicy, check_id},
    engine::{CHANGE, Engine},
    error::{Doing, unusable_answer, without},
};

/// How a Windows container is kept apart from its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Isolation {
    /// As the engine is set up; on Linux there is nothing else.
    #[default]
    Default,
    /// The host's own kernel. The image must match the host's Windows build.
    Process,
    /// A small virtual machine.
    HyperV,
}

/// A port of the container on an address of the host. A Windows engine takes only `0.0.0.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Publish {
    /// The TCP port inside.
    pub container: u16,
    /// Where the host listens.
    pub address: IpAddr,
    /// The port there; 0 lets the engine choose one.
    pub host: u16,
}

/// What a new container shall be.
#[derive(Debug, Default)]
pub struct ContainerSpec {
    /// Its name on the host.
    pub name: String,
    /// The image, which must be there.
    pub image: String,
    /// Its own idea of its name: SQL Server's `@@SERVERNAME`. None: the start of its id.
    pub hostname: Option<String>,
    /// The command instead of the image's.
    pub command: Option<Vec<String>>,
    /// Its environment. `docker inspect` shows it to everyone who may use the engine.
    pub env: Vec<(String, Secret)>,
    /// Its labels. Never a secret.
    pub labels: BTreeMap<String, String>,
    /// The limit of its memory in bytes.
    pub memory: Option<u64>,
    /// What of the host shall be inside.
    pub mounts: Vec<Mount>,
    /// When the engine shall start it again by itself.
    pub restart: RestartPolicy,
    /// How it is kept apart (Windows).
    pub isolation: Isolation,
    /// A port of the host for it.
    pub publish: Option<Publish>,
    /// How long a stop that names no time of its own waits, in whole seconds.
    pub stop_timeout: Option<Duration>,
    /// The image's platform where the engine could take several: `linux/amd64`.
    pub platform: Option<String>,
}

impl Engine {
    /// Makes a container, not yet started, and answers its id. Two minutes at most.
    ///
    /// # Errors
    /// [`berth_core::Code::NotFound`] where the image is not on the host;
    /// [`berth_core::Code::Failed`] where the name is taken (the detail `container` is the id of
    /// the one that has it), or with the engine's reason. No text holds a value of `env`.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        let doing = Doing::new("create the container", &spec.name);
        check_id(&doing, &spec.name)?;
        let mut options = CreateContainerOptionsBuilder::new().name(&spec.name);
        if let Some(platform) = &spec.platform {
            options = options.platform(platform);
        }
        let calls = self.calls(CHANGE);
        let create = calls.create_container(Some(options.build()), body(spec));
        let answer = self
            .within(doing, CHANGE, create)
            .await
            .map_err(|e| without(e, spec.env.iter().map(|(_, value)| value)))?;
        if answer.id.is_empty() {
            return Err(unusable_answer(&doing, "it names no id"));
        }
        for warning in &answer.warnings {
            tracing::warn!(container = %spec.name, %warning, "the engine warned");
        }
        Ok(answer.id)
    }
}

fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    let port = spec.publish.map(|p| format!("{}/tcp", p.container));
    let (restart, retries) = match spec.restart {
        RestartPolicy::No => (RestartPolicyNameEnum::NO, None),
        RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, None),
        RestartPolicy::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        RestartPolicy::OnFailure(n) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(n))),
    };
    let host = HostConfig {
        memory: spec.memory.and_then(|m| i64::try_from(m).ok()),
        // Mounts and never Binds: a Windows engine lower-cases the latter.
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        restart_policy: Some(ApiRestartPolicy {
            name: Some(restart),
            maximum_retry_count: retries,
        }),
        isolation: match spec.isolation {
            Isolation::Default => None,
            Isolation::Process => Some(HostConfigIsolationEnum::PROCESS),
            Isolation::HyperV => Some(HostConfigIsolationEnum::HYPERV),
        },
        port_bindings: spec.publish.zip(port.clone()).map(|(publish, port)| {
            // A Windows engine refuses any address; none means all of them everywhere.
            let host_ip = (!publish.address.is_unspecified()).then(|| publish.address.to_string());
            let host_port = (publish.host != 0).then(|| publish.host.to_string());
            HashMap::from([(port, Some(vec![PortBinding { host_ip, host_port }]))])
        }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: spec.hostname.clone(),
        cmd: spec.command.clone(),
        env: Some(
            spec.env
                .iter()
                .map(|(name, value)| format!("{name}={}", value.expose_secret()))
                .collect(),
        ),
        labels: Some(spec.labels.clone().into_iter().collect()),
        stop_timeout: spec.stop_timeout.map(seconds),
        exposed_ports: port.map(|port| vec![port]),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

fn mount(m: &Mount) -> ApiMount {
    ApiMount {
        typ: Some(match m.kind {
            MountKind::Volume => MountType::VOLUME,
            MountKind::Pipe => MountType::NPIPE,
            MountKind::Bind | MountKind::Other => MountType::BIND,
        }),
        source: Some(m.source.clone()),
        target: Some(m.target.clone()),
        read_only: Some(m.read_only),
        ..ApiMount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_told_what_was_asked_and_nothing_else() {
        let spec = ContainerSpec {
            name: "x".into(),
            image: "i".into(),
            env: vec![("A".into(), Secret::from("b=c"))],
            memory: Some(2 << 30),
            mounts: vec![Mount {
                kind: MountKind::Volume,
                source: "Data".into(),
                target: "C:\\Data".into(),
                read_only: false,
            }],
            restart: RestartPolicy::UnlessStopped,
            isolation: Isolation::Process,
            publish: Some(Publish {
                container: 1433,
                address: "0.0.0.0".parse().unwrap(),
                host: 14330,
            }),
            ..ContainerSpec::default()
        };
        let json = serde_json::to_value(body(&spec)).unwrap();
        assert_eq!(json["Env"][0], "A=b=c");
        assert_eq!(
            json["HostConfig"]["Mounts"][0]["Target"], "C:\\Data",
            "case must survive"
        );
        assert_eq!(json["HostConfig"]["Isolation"], "process");
        assert_eq!(
            json["HostConfig"]["PortBindings"]["1433/tcp"][0]["HostPort"],
            "14330"
        );
        assert!(
            json["HostConfig"]["PortBindings"]["1433/tcp"][0]
                .get("HostIp")
                .is_none(),
            "a Windows engine refuses a named address"
        );
        assert!(
            json["HostConfig"].get("Binds").is_none(),
            "a Windows engine lower-cases binds"
        );
        assert!(
            json["HostConfig"].get("MemorySwap").is_none(),
            "a Windows engine refuses what it does not support, even as null"
        );
        assert!(
            !format!("{spec:?}").contains("b=c"),
            "a spec must not print its passwords"
        );
    }
}
