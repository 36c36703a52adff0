//! Containers: finding them, looking at them, starting, stopping, removing.

use std::{collections::BTreeMap, collections::HashMap, net::IpAddr, time::Duration};

use berth_core::{Code, Error, Result, Secret};
use bollard::{
    models::{
        ContainerInspectResponse, ContainerSummary, EndpointSettings, MountPoint, PortMap,
        RestartPolicyNameEnum,
    },
    query_parameters::{
        KillContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
        RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
        UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::{
    engine::{AFTER_GRACE, CHANGE, Engine, LIST, LOOK, too_slow},
    error::{BROKE, Doing, unusable_answer},
};

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RunState {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// Frozen.
    Paused,
    /// It ended, and the engine starts it again.
    Restarting,
    /// The engine is removing it.
    Removing,
    /// The engine is stopping it.
    Stopping,
    /// It ended.
    Exited,
    /// The engine could not remove it.
    Dead,
    /// Something that this Berth does not know.
    #[default]
    Unknown,
}

impl RunState {
    fn from_engine(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "stopping" => Self::Stopping,
            "exited" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Unknown,
        }
    }
}

/// Where a container can be reached inside one of the engine's networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The network: `nat` on Windows, `bridge` on Linux by default.
    pub network: String,
    /// The address, as the host sees it.
    pub ip: IpAddr,
}

/// A port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The port inside.
    pub container: u16,
    /// Where the host listens for it, if it is published.
    pub host: Option<(IpAddr, u16)>,
}

/// One line of the list of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The full id.
    pub id: String,
    /// The name without its slash; empty for a container that is being removed.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// The image's id, `sha256:…`.
    pub image_id: String,
    /// How far it is.
    pub state: RunState,
    /// The engine's own words: `Up 3 hours`, `Exited (1) 2 minutes ago`.
    pub status: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub created: i64,
    /// Its TCP ports, sorted.
    pub ports: Vec<Port>,
    /// Its addresses by network, sorted by network. None while it does not run.
    pub addresses: Vec<Address>,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// A folder of the host.
    Bind,
    /// A volume of the engine.
    Volume,
    /// A named pipe of a Windows host.
    Pipe,
    /// Anything else.
    Other,
}

/// Something of the host inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What kind of source it is.
    pub kind: MountKind,
    /// The folder of the host, or the volume's name.
    pub source: String,
    /// The absolute path inside.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// When the engine starts a container again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Whenever it ends.
    Always,
    /// Whenever it ends, unless somebody stopped it.
    UnlessStopped,
    /// When it ends with an error, this many times (0: without end).
    OnFailure(u32),
}

/// How a container runs, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// How far it is.
    pub status: RunState,
    /// Whether its process runs.
    pub running: bool,
    /// How its process ended. On Windows an unsigned 32-bit number.
    pub exit_code: i64,
    /// Why it did not start, in the engine's words; empty if it did.
    pub error: String,
    /// Whether Linux killed it for its memory.
    pub oom_killed: bool,
    /// RFC 3339; a year of 0001 means never.
    pub started_at: String,
    /// RFC 3339; a year of 0001 means never.
    pub finished_at: String,
    /// How often the engine started it again.
    pub restart_count: u32,
}

/// Everything about one container.
#[derive(Debug)]
pub struct Inspect {
    /// The full id.
    pub id: String,
    /// The name without its slash.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// The image's id, `sha256:…`.
    pub image_id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it runs, or how it ended.
    pub state: State,
    /// Its environment. A value may be a password.
    pub env: Vec<(String, Secret)>,
    /// What of the host is inside.
    pub mounts: Vec<Mount>,
    /// Its addresses by network, sorted by network. None while it does not run.
    pub addresses: Vec<Address>,
    /// Its TCP ports, sorted.
    pub ports: Vec<Port>,
    /// The limit of its memory in bytes, if it has one.
    pub memory: Option<u64>,
    /// When the engine starts it again by itself.
    pub restart: RestartPolicy,
    /// Windows: `process`, `hyperv`, or `default`. Empty on Linux.
    pub isolation: String,
    /// RFC 3339.
    pub created: String,
}

impl Engine {
    /// All containers, running or not, in one call. `label` (`key` or `key=value`) picks some.
    /// 30 seconds at most.
    ///
    /// # Errors
    /// What the way to the engine says, or the engine itself.
    pub async fn containers(&self, label: Option<&str>) -> Result<Vec<Container>> {
        let mut options = ListContainersOptionsBuilder::new().all(true);
        if let Some(label) = label {
            options = options.filters(&HashMap::from([("label", vec![label])]));
        }
        let options = options.build();
        let calls = self.calls(LIST);
        let ask = || {
            let doing = Doing::plain("list the containers");
            self.within(doing, LIST, calls.list_containers(Some(options.clone())))
        };
        // A connection that is kept may end as it is taken: to ask once more changes nothing, and what was under way goes on.
        let list = match ask().await {
            Err(e) if e.get_detail(BROKE).is_some() => ask().await?,
            asked => asked?,
        };
        list.into_iter().map(summary).collect()
    }

    /// Everything about one container, by id or name. 10 seconds at most.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is none.
    pub async fn inspect(&self, id: &str) -> Result<Inspect> {
        let doing = Doing::new("inspect the container", id);
        check_id(&doing, id)?;
        let answer = self
            .within(doing, LOOK, self.calls(LOOK).inspect_container(id, None))
            .await?;
        inspected(&doing, answer)
    }

    /// Starts a container; one that runs already is fine. Two minutes at most.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Failed`] with the cause. Where a port of the host is taken
    /// by another container, the error names it in its text and in the detail `container`.
    pub async fn start(&self, id: &str) -> Result<()> {
        let doing = Doing::new("start the container", id);
        check_id(&doing, id)?;
        let started = self
            .within(doing, CHANGE, self.calls(CHANGE).start_container(id, None))
            .await;
        let Err(error) = started else { return Ok(()) };
        let Some(port) = error.get_detail("port").and_then(|p| p.parse().ok()) else {
            return Err(error);
        };
        // The engine does not say who has the port. Usually it is another of its containers.
        Err(match self.holder_of(port).await {
            Some(name) => {
                let hint = format!("Choose another port, or stop `{name}`, which has port {port}");
                error
                    .because(format!("the container `{name}` has port {port}"))
                    .detail("container", name)
                    .hint(hint)
            }
            None => error,
        })
    }

    async fn holder_of(&self, port: u16) -> Option<String> {
        let list = self.containers(None).await.ok()?;
        list.into_iter()
            .find(|c| {
                c.ports
                    .iter()
                    .any(|p| p.host.is_some_and(|(_, host)| host == port))
            })
            .map(|c| c.name)
    }

    /// Asks a container to end, and ends it by force after `grace`. One that does not run is fine.
    /// 15 seconds more than `grace` at most.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::TimedOut`].
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<()> {
        let doing = Doing::new("stop the container", id);
        check_id(&doing, id)?;
        let limit = grace.saturating_add(AFTER_GRACE);
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        self.within(
            doing,
            limit,
            self.calls(limit).stop_container(id, Some(options)),
        )
        .await
    }

    /// Ends a container at once. 30 seconds at most.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Failed`] where it does not run.
    pub async fn kill(&self, id: &str) -> Result<()> {
        let doing = Doing::new("kill the container", id);
        check_id(&doing, id)?;
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        self.within(
            doing,
            LIST,
            self.calls(LIST).kill_container(id, Some(options)),
        )
        .await
    }

    /// Removes a container and its anonymous volumes; named volumes stay. With `force` also one
    /// that runs. Two minutes at most.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Refused`] where it runs and `force` is not given.
    pub async fn remove(&self, id: &str, force: bool) -> Result<()> {
        let doing = Doing::new("remove the container", id);
        check_id(&doing, id)?;
        let options = RemoveContainerOptionsBuilder::new()
            .force(force)
            .v(true)
            .build();
        self.within(
            doing,
            CHANGE,
            self.calls(CHANGE).remove_container(id, Some(options)),
        )
        .await
    }

    /// Gives a container another name. 10 seconds at most.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Failed`] where the name is taken.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let doing = Doing::new("rename the container", id);
        check_id(&doing, id)?;
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        self.within(doing, LOOK, self.calls(LOOK).rename_container(id, options))
            .await
    }

    /// Waits until a container does not run, and answers its exit code: at once if it does not
    /// run now. `limit` is how long to wait.
    ///
    /// # Errors
    /// [`Code::TimedOut`] after `limit`; [`Code::NotFound`].
    pub async fn wait(&self, id: &str, limit: Duration) -> Result<i64> {
        let doing = Doing::new("wait for the container", id);
        check_id(&doing, id)?;
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let calls = self.calls(limit);
        let mut answers = Box::pin(calls.wait_container(id, Some(options)));
        match tokio::time::timeout(limit, answers.next()).await {
            Ok(Some(Ok(answer))) => Ok(answer.status_code),
            // bollard calls every exit code but 0 an error.
            Ok(Some(Err(bollard::errors::Error::DockerContainerWaitError { error, code })))
                if error.is_empty() =>
            {
                Ok(code)
            }
            Ok(Some(Err(e))) => Err(crate::error::api_error(&doing, e)),
            Ok(None) => Err(unusable_answer(&doing, "it is empty")),
            Err(_) => Err(too_slow(&doing, limit)),
        }
    }

    /// Unpacks a tar archive into a folder of a container, which must exist there. Two minutes
    /// at most. Not possible while the container runs under Hyper-V isolation.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Failed`] with the cause.
    pub async fn put_archive(&self, id: &str, folder: &str, tar: Bytes) -> Result<()> {
        let doing = Doing::new("copy files into the container", id);
        check_id(&doing, id)?;
        let options = UploadToContainerOptionsBuilder::new().path(folder).build();
        let calls = self.calls(CHANGE);
        let upload = calls.upload_to_container(id, Some(options), bollard::body_full(tar));
        self.within(doing, CHANGE, upload).await
    }
}

/// The id goes into a path: `..`, `?` or nothing at all would ask for something else.
pub(crate) fn check_id(doing: &Doing<'_>, id: &str) -> Result<()> {
    let fine = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.len() <= 255
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if fine {
        return Ok(());
    }
    Err(Error::new(Code::Usage, doing.to_string())
        .because("this is no id and no name that an engine could know"))
}

fn summary(c: ContainerSummary) -> Result<Container> {
    let id = c.id.filter(|id| !id.is_empty()).ok_or_else(|| {
        unusable_answer(
            &Doing::plain("list the containers"),
            "a container has no id",
        )
    })?;
    // A container that others link to has more names, with the other's name in front.
    let name = c
        .names
        .unwrap_or_default()
        .into_iter()
        .map(|n| n.strip_prefix('/').map_or(n.clone(), str::to_owned))
        .find(|n| !n.contains('/'))
        .unwrap_or_default();
    let mut ports: Vec<Port> = c
        .ports
        .unwrap_or_default()
        .into_iter()
        .filter(|p| {
            p.typ
                .is_none_or(|t| t == bollard::models::PortSummaryTypeEnum::TCP)
        })
        .map(|p| Port {
            container: p.private_port,
            host: p.public_port.map(|port| (listening(p.ip.as_deref()), port)),
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(Container {
        id,
        name,
        image: c.image.unwrap_or_default(),
        image_id: c.image_id.unwrap_or_default(),
        state: c
            .state
            .map(|s| RunState::from_engine(s.as_ref()))
            .unwrap_or_default(),
        status: c.status.unwrap_or_default(),
        labels: c.labels.unwrap_or_default().into_iter().collect(),
        created: c.created.unwrap_or_default(),
        ports,
        addresses: addresses(c.network_settings.and_then(|n| n.networks)),
    })
}

fn inspected(doing: &Doing<'_>, c: ContainerInspectResponse) -> Result<Inspect> {
    let id =
        c.id.filter(|id| !id.is_empty())
            .ok_or_else(|| unusable_answer(doing, "the container has no id"))?;
    let config = c.config.unwrap_or_default();
    let host = c.host_config.unwrap_or_default();
    let network = c.network_settings.unwrap_or_default();
    let state = c.state.unwrap_or_default();
    let retries = host
        .restart_policy
        .as_ref()
        .and_then(|p| p.maximum_retry_count)
        .unwrap_or(0);
    Ok(Inspect {
        id,
        name: c
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        image: config.image.unwrap_or_default(),
        image_id: c.image.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        state: State {
            status: state
                .status
                .map(|s| RunState::from_engine(s.as_ref()))
                .unwrap_or_default(),
            running: state.running.unwrap_or_default(),
            exit_code: state.exit_code.unwrap_or_default(),
            error: state.error.unwrap_or_default(),
            oom_killed: state.oom_killed.unwrap_or_default(),
            started_at: state.started_at.unwrap_or_default(),
            finished_at: state.finished_at.unwrap_or_default(),
            restart_count: u32::try_from(c.restart_count.unwrap_or(0)).unwrap_or(0),
        },
        env: config
            .env
            .unwrap_or_default()
            .into_iter()
            .map(variable)
            .collect(),
        mounts: c
            .mounts
            .unwrap_or_default()
            .into_iter()
            .map(mount)
            .collect(),
        addresses: addresses(network.networks),
        ports: published(network.ports.unwrap_or_default()),
        memory: host
            .memory
            .and_then(|m| u64::try_from(m).ok())
            .filter(|m| *m > 0),
        restart: match host.restart_policy.and_then(|p| p.name) {
            Some(RestartPolicyNameEnum::ALWAYS) => RestartPolicy::Always,
            Some(RestartPolicyNameEnum::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
            Some(RestartPolicyNameEnum::ON_FAILURE) => {
                RestartPolicy::OnFailure(u32::try_from(retries).unwrap_or(0))
            }
            _ => RestartPolicy::No,
        },
        isolation: host.isolation.map(|i| i.to_string()).unwrap_or_default(),
        created: c.created.map(|t| t.to_rfc3339()).unwrap_or_default(),
    })
}

fn variable(line: String) -> (String, Secret) {
    match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), Secret::from(value)),
        None => (line, Secret::from("")),
    }
}

fn mount(m: MountPoint) -> Mount {
    let (kind, source) = match m.typ.as_deref() {
        Some("volume") => (MountKind::Volume, m.name.or(m.source)),
        Some("bind") => (MountKind::Bind, m.source),
        Some("npipe") => (MountKind::Pipe, m.source),
        _ => (MountKind::Other, m.source),
    };
    Mount {
        kind,
        source: source.unwrap_or_default(),
        target: m.destination.unwrap_or_default(),
        read_only: m.rw == Some(false),
    }
}

fn addresses(networks: Option<HashMap<String, EndpointSettings>>) -> Vec<Address> {
    let mut list: Vec<Address> = networks
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(network, endpoint)| {
            let parsed = |text: Option<String>| text.and_then(|t| t.parse::<IpAddr>().ok());
            let ip =
                parsed(endpoint.ip_address).or_else(|| parsed(endpoint.global_ipv6_address))?;
            Some(Address { network, ip })
        })
        .collect();
    list.sort_unstable_by(|a, b| a.network.cmp(&b.network));
    list
}

fn published(map: PortMap) -> Vec<Port> {
    let mut ports = Vec::new();
    for (name, bindings) in map {
        let (number, protocol) = name.split_once('/').unwrap_or((&name, "tcp"));
        let (Ok(container), "tcp") = (number.parse(), protocol) else {
            continue;
        };
        let hosts: Vec<_> = bindings
            .unwrap_or_default()
            .into_iter()
            .filter_map(|b| Some((listening(b.host_ip.as_deref()), b.host_port?.parse().ok()?)))
            .collect();
        if hosts.is_empty() {
            ports.push(Port {
                container,
                host: None,
            });
        }
        ports.extend(hosts.into_iter().map(|host| Port {
            container,
            host: Some(host),
        }));
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// An empty address means all of them.
fn listening(text: Option<&str>) -> IpAddr {
    text.and_then(|t| t.parse().ok())
        .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_never_become_another_path() {
        let doing = Doing::new("inspect the container", "x");
        for id in ["a", "sql2022", "berth-orders_1.x", &"f".repeat(64)] {
            assert!(check_id(&doing, id).is_ok(), "{id}");
        }
        for id in [
            "",
            ".",
            "..",
            "../images",
            "a/b",
            "a?b",
            "a#b",
            "a%2e",
            "-a",
            "ä",
            "a b",
            "a\n",
        ] {
            let error = check_id(&doing, id).unwrap_err();
            assert_eq!(
                error.code(),
                Code::Usage,
                "{id:?} would ask for something else"
            );
        }
    }

    #[test]
    fn a_windows_container_is_read_with_its_nat_address() {
        let answer: ContainerInspectResponse = serde_json::from_str(
            r#"{"Id":"0a","Name":"/orders","Created":"2026-01-02T03:04:05.678Z","RestartCount":2,
            "State":{"Status":"exited","Running":false,"ExitCode":3221225786,"StartedAt":"0001-01-01T00:00:00Z"},
            "Config":{"Image":"sql:2022","Env":["SA=hunter2","EMPTY=","ODD"],"Labels":{"a":"b"}},
            "HostConfig":{"Memory":2147483648,"Isolation":"process","RestartPolicy":{"Name":"unless-stopped","MaximumRetryCount":0}},
            "Mounts":[{"Type":"volume","Name":"v","Source":"C:\\x\\v\\_data","Destination":"c:\\data","RW":true}],
            "NetworkSettings":{"Ports":{"1433/tcp":[{"HostIp":"0.0.0.0","HostPort":"14330"}],"1434/udp":null},
              "Networks":{"nat":{"IPAddress":"172.20.1.2"},"other":{"IPAddress":""}}}}"#,
        )
        .unwrap();
        let c = inspected(&Doing::plain("inspect"), answer).unwrap();
        assert_eq!(
            (c.name.as_str(), c.state.exit_code),
            ("orders", 3_221_225_786)
        );
        assert_eq!(c.state.status, RunState::Exited);
        assert_eq!(
            c.addresses,
            [Address {
                network: "nat".into(),
                ip: "172.20.1.2".parse().unwrap()
            }]
        );
        assert_eq!(
            c.ports,
            [Port {
                container: 1433,
                host: Some(("0.0.0.0".parse().unwrap(), 14330))
            }]
        );
        assert_eq!(
            (c.memory, c.restart),
            (Some(2 << 30), RestartPolicy::UnlessStopped)
        );
        assert_eq!(c.mounts[0].source, "v", "a volume is known by its name");
        assert_eq!(c.env.len(), 3);
        assert!(
            !format!("{c:?}").contains("hunter2"),
            "an environment must not be printable"
        );
    }
}
