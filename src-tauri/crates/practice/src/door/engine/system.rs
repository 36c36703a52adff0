//! What the engine says of itself and of the machine; its networks.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::{
    API,
    filters::Filters,
    query::Query,
    reply::{self, Reply},
    view,
};
use crate::machine::{
    Model,
    network::{GATEWAY, NAT, SUBNET},
    refusal::{Answer, Refusal},
    state::Status,
};

pub(super) fn ping() -> Reply {
    let mut reply = reply::text(200, "text/plain; charset=utf-8", "OK");
    for (name, value) in [
        ("builder-version", "1"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
    ] {
        reply
            .headers_mut()
            .insert(name, hyper::header::HeaderValue::from_static(value));
    }
    reply
}

fn kernel(model: &Model) -> String {
    let facts = model.facts();
    format!(
        "10.0 {0} ({0}.1.amd64fre.fe_release.210507-1500)",
        facts.build
    )
}

pub(super) fn version(model: &Model) -> Reply {
    let facts = model.facts();
    let engine = json!({
        "ApiVersion": API, "Arch": "amd64", "BuildTime": "2023-10-26T09:08:17.000000000+00:00",
        "Experimental": "false", "GitCommit": "81ebe71", "GoVersion": "go1.20.10",
        "KernelVersion": kernel(model), "MinAPIVersion": "1.24", "Os": "windows",
    });
    reply::json(
        200,
        &json!({
            // Never claims to be the engine that it plays.
            "Platform": { "Name": "Berth practice host" },
            "Components": [{ "Name": "Engine", "Version": facts.engine, "Details": engine }],
            "Version": facts.engine, "ApiVersion": API, "MinAPIVersion": "1.24", "GitCommit": "81ebe71",
            "GoVersion": "go1.20.10", "Os": "windows", "Arch": "amd64", "KernelVersion": kernel(model),
            "BuildTime": "2023-10-26T09:08:17.000000000+00:00",
        }),
    )
}

pub(super) fn info(model: &Model) -> Reply {
    let facts = model.facts();
    let containers = model.containers();
    let running = containers
        .iter()
        .filter(|c| c.status == Status::Running)
        .count();
    let mut info = json!({
        "ID": model.engine_id(),
        "Containers": containers.len(), "ContainersRunning": running, "ContainersPaused": 0,
        "ContainersStopped": containers.len() - running,
        "Images": model.images().len(),
        "Driver": "windowsfilter", "DriverStatus": [["Windows", ""]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["ics", "internal", "l2bridge", "l2tunnel", "nat", "null", "overlay", "private", "transparent"],
            "Authorization": null,
            "Log": ["awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "json-file", "local", "splunk", "syslog"],
        },
        "MemoryLimit": false, "SwapLimit": false, "KernelMemory": false, "KernelMemoryTCP": false,
        "CpuCfsPeriod": false, "CpuCfsQuota": false, "CPUShares": false, "CPUSet": false, "PidsLimit": false,
        "IPv4Forwarding": true, "BridgeNfIptables": true, "BridgeNfIp6tables": true, "Debug": false,
        "NFd": -1, "OomKillDisable": false, "NGoroutines": 31,
        "SystemTime": model.now().to_rfc3339_opts(SecondsFormat::Nanos, true),
        "LoggingDriver": "json-file", "CgroupDriver": "", "NEventsListener": 0,
        "KernelVersion": kernel(model),
        "OperatingSystem": format!(
            "Microsoft Windows Server Version {} (OS Build {}.{})", facts.display_version, facts.build, facts.revision
        ),
        "OSVersion": format!("10.0.{}", facts.build), "OSType": "windows", "Architecture": "x86_64",
    });
    let more = json!({
        "IndexServerAddress": "", "RegistryConfig": {
            "AllowNondistributableArtifactsCIDRs": [], "AllowNondistributableArtifactsHostnames": [],
            "InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": [],
        },
        "NCPU": facts.cpus, "MemTotal": facts.memory_mb * 1024 * 1024, "GenericResources": null,
        "DockerRootDir": "C:\\ProgramData\\docker", "HttpProxy": "", "HttpsProxy": "", "NoProxy": "",
        "Name": facts.computer, "Labels": ["dev.berth.practice=1"], "ExperimentalBuild": false,
        "ServerVersion": facts.engine, "Runtimes": {}, "DefaultRuntime": "",
        "Swarm": {
            "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "",
            "RemoteManagers": null,
        },
        "LiveRestoreEnabled": false, "Isolation": "process", "InitBinary": "",
        "ContainerdCommit": { "ID": "", "Expected": "" }, "RuncCommit": { "ID": "", "Expected": "" },
        "InitCommit": { "ID": "", "Expected": "" }, "SecurityOptions": [],
        "Warnings": ["This is the Berth practice host: it answers as Windows Server does, and is none"],
    });
    if let (Value::Object(info), Value::Object(more)) = (&mut info, more) {
        info.extend(more);
    }
    reply::json(200, &info)
}

pub(super) fn disk_use(model: &Model) -> Reply {
    let images: Vec<Value> = model
        .images()
        .iter()
        .map(|image| view::image_in_list(model, image))
        .collect();
    let containers: Vec<Value> = model
        .containers()
        .iter()
        .map(|container| view::container_in_list(model, container))
        .collect();
    let volumes: Vec<Value> = model
        .volumes()
        .iter()
        .map(|volume| {
            let mut shown = view::volume(volume);
            let users = model.read(|state| state.users_of(&volume.name).len());
            if let Value::Object(map) = &mut shown {
                map.insert("UsageData".into(), json!({ "Size": -1, "RefCount": users }));
            }
            shown
        })
        .collect();
    let size: u64 = model.images().iter().map(|image| image.size).sum();
    reply::json(
        200,
        &json!({ "LayersSize": size, "Images": images, "Containers": containers, "Volumes": volumes,
                 "BuildCache": [], "BuilderSize": 0 }),
    )
}

fn nat(model: &Model, with_containers: bool) -> Value {
    let mut attached = serde_json::Map::new();
    if with_containers {
        for container in model.containers() {
            if let Some(address) = container.address {
                attached.insert(
                    container.id.clone(),
                    json!({ "Name": container.name, "EndpointID": view::endpoint_id(&container.id),
                            "MacAddress": view::mac(address), "IPv4Address": format!("{address}/20"), "IPv6Address": "" }),
                );
            }
        }
    }
    json!({
        "Name": NAT, "Id": view::NAT_ID, "Created": model.booted().to_rfc3339_opts(SecondsFormat::Nanos, true),
        "Scope": "local", "Driver": "nat", "EnableIPv6": false,
        "IPAM": { "Driver": "windows", "Options": null, "Config": [{ "Subnet": SUBNET, "Gateway": GATEWAY }] },
        "Internal": false, "Attachable": false, "Ingress": false, "ConfigFrom": { "Network": "" }, "ConfigOnly": false,
        "Containers": attached,
        "Options": { "com.docker.network.windowsshim.networkname": NAT }, "Labels": {},
    })
}

fn none(model: &Model) -> Value {
    json!({
        "Name": "none", "Id": view::NONE_ID, "Created": model.booted().to_rfc3339_opts(SecondsFormat::Nanos, true),
        "Scope": "local", "Driver": "null", "EnableIPv6": false,
        "IPAM": { "Driver": "default", "Options": null, "Config": [] },
        "Internal": false, "Attachable": false, "Ingress": false, "ConfigFrom": { "Network": "" }, "ConfigOnly": false,
        "Containers": {}, "Options": {}, "Labels": {},
    })
}

pub(super) fn networks(model: &Model, query: &Query) -> Answer<Reply> {
    let filters = Filters::parse(
        query,
        &["name", "id", "driver", "scope", "type", "label", "dangling"],
    )?;
    let text = |network: &Value, key: &str| {
        network
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let shown: Vec<Value> = [nat(model, false), none(model)]
        .into_iter()
        .filter(|n| {
            filters.any("name", |v| text(n, "Name").contains(v))
                && filters.any("id", |v| text(n, "Id").starts_with(v))
                && filters.any("driver", |v| text(n, "Driver") == v)
                && filters.labels(&std::collections::BTreeMap::new())
        })
        .collect();
    Ok(reply::json(200, &shown))
}

pub(super) fn network(model: &Model, name: &str) -> Answer<Reply> {
    let is = |known: &str, id: &str| name == known || (name.len() >= 4 && id.starts_with(name));
    if is(NAT, view::NAT_ID) {
        Ok(reply::json(200, &nat(model, true)))
    } else if is("none", view::NONE_ID) {
        Ok(reply::json(200, &none(model)))
    } else {
        Err(Refusal::not_found(format!("network {name} not found")))
    }
}
