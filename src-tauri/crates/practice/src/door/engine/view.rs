//! What containers, images and volumes look like in the Engine API.

use std::net::Ipv4Addr;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::machine::{
    Model,
    image::Image,
    lifecycle::Service,
    network::{GATEWAY, NAT},
    state::{Container, Mount, Status, Volume},
    volume::windows_path,
};

pub(super) const NAT_ID: &str = "9f0c5d1f4f8e6a20d3b7c4185e2f96a7b03d1c48e5f2a6970b8c3d4e5f601728";
pub(super) const NONE_ID: &str = "1c2e8f47a9b05d3364f7e0a8b9c1d2e3f40516273849a5b6c7d8e9f0a1b2c3d4";

/// Go's zero time, which clients read as "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(
        || NEVER.to_owned(),
        |t| t.to_rfc3339_opts(SecondsFormat::Nanos, true),
    )
}

/// A stable id for the endpoint of a container: its own, turned round.
pub(super) fn endpoint_id(container: &str) -> String {
    container.chars().rev().collect()
}

pub(super) fn mac(address: Ipv4Addr) -> String {
    let [_, b, c, d] = address.octets();
    format!("00:15:5d:{b:02x}:{c:02x}:{d:02x}")
}

/// A time span as moby words it.
pub(super) fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    // Rounded as moby does: half an hour more is the next hour.
    let hours = (seconds + 1800) / 3600;
    match (seconds, seconds / 60, hours) {
        (..1, ..) => "Less than a second".into(),
        (1, ..) => "1 second".into(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".into(),
        (_, minutes @ ..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".into(),
        (.., ..48) => format!("{hours} hours"),
        (.., ..336) => format!("{} days", hours / 24),
        (.., ..1440) => format!("{} weeks", hours / 24 / 7),
        (.., ..17_520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// What the image's health check finds; `None` for what does not run or has none.
pub(super) fn health(model: &Model, container: &Container) -> Option<&'static str> {
    container.config.healthcheck.as_ref()?;
    let service = *model.live(&container.id).ok()?.run()?.service().borrow();
    Some(match service {
        Service::Starting => "starting",
        Service::Running => "healthy",
        Service::Stopped | Service::Gone => "unhealthy",
    })
}

fn status_text(model: &Model, container: &Container) -> String {
    let now = model.now();
    let since = |t: Option<DateTime<Utc>>| span(now - t.unwrap_or(now));
    match container.status {
        Status::Created => "Created".into(),
        Status::Running => {
            let health = match health(model, container) {
                None => String::new(),
                Some("starting") => " (health: starting)".into(),
                Some(health) => format!(" ({health})"),
            };
            format!("Up {}{health}", since(container.started))
        }
        Status::Restarting => {
            format!(
                "Restarting ({}) {} ago",
                container.exit_code,
                since(container.finished)
            )
        }
        Status::Exited => format!(
            "Exited ({}) {} ago",
            container.exit_code,
            since(container.finished)
        ),
    }
}

fn networks(container: &Container) -> Value {
    if container.host_config.network_mode == "none" {
        return json!({ "none": endpoint(container, NONE_ID) });
    }
    json!({ NAT: endpoint(container, NAT_ID) })
}

fn endpoint(container: &Container, network: &str) -> Value {
    let address = container.address.filter(|_| network == NAT_ID);
    json!({
        "IPAMConfig": null, "Links": null, "Aliases": null, "NetworkID": network,
        "EndpointID": address.map_or_else(String::new, |_| endpoint_id(&container.id)),
        "Gateway": address.map_or_else(String::new, |_| GATEWAY.to_string()),
        "IPAddress": address.map_or_else(String::new, |a| a.to_string()),
        "IPPrefixLen": if address.is_some() { 20 } else { 0 },
        "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
        "MacAddress": address.map_or_else(String::new, mac), "DriverOpts": null,
    })
}

fn mount(mount: &Mount) -> Value {
    let mut shown = json!({
        "Type": if mount.volume.is_some() { "volume" } else { "bind" },
        "Source": mount.source, "Destination": mount.target, "Mode": "", "RW": !mount.read_only, "Propagation": "",
    });
    if let (Value::Object(map), Some(name)) = (&mut shown, &mount.volume) {
        map.insert("Name".into(), json!(name));
        map.insert("Driver".into(), json!("local"));
    }
    shown
}

fn command(container: &Container) -> Vec<&str> {
    let config = &container.config;
    config
        .entrypoint
        .iter()
        .flatten()
        .chain(config.cmd.iter().flatten())
        .map(String::as_str)
        .collect()
}

pub(super) fn container_in_list(model: &Model, container: &Container) -> Value {
    json!({
        "Id": container.id,
        "Names": [format!("/{}", container.name)],
        "Image": container.config.image, "ImageID": container.image_id,
        "Command": command(container).join(" "),
        "Created": container.created.timestamp(),
        "Ports": container.config.exposed_ports.keys().filter_map(|port| {
            let (number, kind) = port.split_once('/').unwrap_or((port, "tcp"));
            Some(json!({ "PrivatePort": number.parse::<u16>().ok()?, "Type": kind }))
        }).filter(|_| container.status == Status::Running).collect::<Vec<_>>(),
        "Labels": container.config.labels,
        "State": container.status.as_str(), "Status": status_text(model, container),
        "HostConfig": { "NetworkMode": container.host_config.network_mode },
        "NetworkSettings": { "Networks": networks(container) },
        "Mounts": container.mounts.iter().map(mount).collect::<Vec<_>>(),
    })
}

pub(super) fn container(model: &Model, container: &Container) -> Value {
    let running = container.status == Status::Running;
    let words = command(container);
    let mut ports = serde_json::Map::new();
    if running {
        ports.extend(
            container
                .config
                .exposed_ports
                .keys()
                .map(|port| (port.clone(), Value::Null)),
        );
    }
    // Any number that is stable for one run will do for a process id.
    let pid = container
        .address
        .map_or(0, |a| 1000 + 4 * (u32::from(a) & 0xfff));
    let mut state = json!({
        "Status": container.status.as_str(), "Running": running, "Paused": false,
        "Restarting": container.status == Status::Restarting, "OOMKilled": false, "Dead": false,
        "Pid": if running { pid } else { 0 },
        "ExitCode": container.exit_code, "Error": container.error,
        "StartedAt": time(container.started), "FinishedAt": time(container.finished),
    });
    if let (Value::Object(map), Some(health)) = (&mut state, health(model, container)) {
        map.insert(
            "Health".into(),
            json!({ "Status": health, "FailingStreak": 0, "Log": [] }),
        );
    }
    json!({
        "Id": container.id, "Created": time(Some(container.created)),
        "Path": words.first().copied().unwrap_or_default(), "Args": words.get(1..).unwrap_or_default(),
        "State": state,
        "Image": container.image_id, "ResolvConfPath": "", "HostnamePath": "", "HostsPath": "",
        "LogPath": format!("C:\\ProgramData\\docker\\containers\\{0}\\{0}-json.log", container.id),
        "Name": format!("/{}", container.name), "RestartCount": container.restarts,
        "Driver": "windowsfilter", "Platform": "windows", "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "",
        "ExecIDs": null, "HostConfig": container.host_config,
        "GraphDriver": {
            "Data": { "dir": format!("C:\\ProgramData\\docker\\windowsfilter\\{}", container.id) }, "Name": "windowsfilter",
        },
        "Mounts": container.mounts.iter().map(mount).collect::<Vec<_>>(),
        "Config": container.config,
        "NetworkSettings": {
            "Bridge": "", "SandboxID": if running { model.engine_id() } else { String::new() },
            "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0, "Ports": ports,
            "SandboxKey": "", "SecondaryIPAddresses": null, "SecondaryIPv6Addresses": null, "EndpointID": "",
            "Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "IPAddress": "", "IPPrefixLen": 0,
            "IPv6Gateway": "", "MacAddress": "", "Networks": networks(container),
        },
    })
}

pub(super) fn image_in_list(model: &Model, image: &Image) -> Value {
    let users = model.read(|state| {
        state
            .containers
            .values()
            .filter(|c| c.image_id == image.id)
            .count()
    });
    json!({
        "Id": image.id, "ParentId": "", "RepoTags": image.tags, "RepoDigests": null,
        "Created": image.created.timestamp(), "Size": image.size, "VirtualSize": image.size, "SharedSize": -1,
        "Labels": image.config.labels, "Containers": if users == 0 { -1 } else { users as i64 },
    })
}

pub(super) fn image(model: &Model, image: &Image) -> Value {
    json!({
        "Id": image.id, "RepoTags": image.tags, "RepoDigests": [], "Parent": "", "Comment": "",
        "Created": time(Some(image.created)), "Container": "", "DockerVersion": model.facts().engine, "Author": "",
        "Config": image.config, "ContainerConfig": image.config, "Architecture": "amd64", "Os": "windows",
        "OsVersion": format!("10.0.{}.{}", model.facts().build, model.facts().revision),
        "Size": image.size, "VirtualSize": image.size,
        "GraphDriver": {
            "Data": { "dir": format!("C:\\ProgramData\\docker\\windowsfilter\\{}", image.id.trim_start_matches("sha256:")) },
            "Name": "windowsfilter",
        },
        "RootFS": { "Type": "layers", "Layers": [image.id] },
        "Metadata": { "LastTagTime": time(Some(image.created)) },
    })
}

pub(super) fn volume(volume: &Volume) -> Value {
    json!({
        "CreatedAt": volume.created.to_rfc3339_opts(SecondsFormat::Secs, true), "Driver": "local",
        "Labels": volume.labels, "Mountpoint": windows_path(&volume.name), "Name": volume.name,
        "Options": {}, "Scope": "local",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_worded_as_the_engine_words_them() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (150, "2 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (3 * 86_400, "3 days"),
            (21 * 86_400, "3 weeks"),
            (90 * 86_400, "3 months"),
            (900 * 86_400, "2 years"),
        ] {
            assert_eq!(span(TimeDelta::seconds(seconds)), text, "{seconds} s");
        }
    }
}
