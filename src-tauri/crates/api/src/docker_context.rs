//! What the `docker` command of this machine already knows: its contexts, and `DOCKER_HOST`. Read, never run.
//!
//! A context is `contexts/meta/ID/meta.json` below docker's folder, its certificates are in
//! `contexts/tls/ID/docker`; ID is the SHA-256 of its name
//! (<https://docs.docker.com/engine/manage-resources/contexts/>).

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use berth_core::{Error, Result, host::Address};
use berth_store::TlsRecord;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Berth, berth::blocking, dto, ssh_names, table::Call};

/// Far above any file of docker's.
const MAX_FILE: u64 = 1 << 20;
/// Contexts beyond this are not suggested.
const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    #[serde(default)]
    endpoints: std::collections::BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// A context, read.
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) tls: Option<TlsRecord>,
}

/// Docker's folder: the caller's `DOCKER_CONFIG`, else the usual one.
pub(crate) fn folder(berth: &Berth, given: Option<&str>) -> Result<PathBuf> {
    given
        .filter(|f| !f.is_empty())
        .map(PathBuf::from)
        .or_else(|| {
            berth
                .surroundings
                .home
                .as_deref()
                .map(|h| h.join(".docker"))
        })
        .ok_or_else(|| {
            Error::failed("Docker's folder is not known here").hint("Set `DOCKER_CONFIG` to it")
        })
}

/// The context of that name.
pub(crate) async fn context(folder: PathBuf, name: &str) -> Result<Context> {
    let name = name.to_owned();
    blocking(move || read(&folder, &name)).await
}

fn id_of(name: &str) -> String {
    Sha256::digest(name.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
}

fn read(folder: &Path, name: &str) -> Result<Context> {
    if name == "default" {
        return Err(
            Error::usage("Docker's context `default` has no address of its own")
                .because("it means `DOCKER_HOST`, or the engine of this machine")
                .hint("Add that by its address, for instance `unix:///var/run/docker.sock`"),
        );
    }
    let id = id_of(name);
    let file = folder.join("contexts/meta").join(&id).join("meta.json");
    let not_there = || {
        let names = names(folder);
        let error = Error::not_found(format!("Docker has no context `{}`", name.escape_debug()));
        if names.is_empty() {
            error.because(format!("there is none in `{}`", folder.display()))
        } else {
            error.because(format!("there are {}", names.join(", ")))
        }
        .hint("`docker context ls` lists them; another folder than `~/.docker` is named by `DOCKER_CONFIG`")
    };
    let meta = match meta(&file) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(not_there()),
        Err(e) => return Err(unreadable(&file, &e)),
    };
    if meta.name != name {
        return Err(not_there());
    }
    let Some(endpoint) = meta.endpoints.get("docker").filter(|e| !e.host.is_empty()) else {
        return Err(
            Error::failed(format!("Docker's context `{name}` leads to no engine"))
                .because("it has no endpoint `docker` with an address"),
        );
    };
    let files = folder.join("contexts/tls").join(&id).join("docker");
    let path = |file: &str| files.join(file).to_string_lossy().into_owned();
    let tls = files.is_dir().then(|| TlsRecord {
        ca: path("ca.pem"),
        cert: path("cert.pem"),
        key: path("key.pem"),
        ..TlsRecord::default()
    });
    if endpoint.skip_tls_verify && endpoint.host.starts_with("tcp://") {
        return Err(Error::new(
            berth_core::Code::Refused,
            format!("Docker's context `{name}` asks not to verify the engine (`SkipTLSVerify`)"),
        )
        .because("anybody on the way could then take the engine's place")
        .hint(format!(
            "Add it with the certificate of its authority: `berth host add NAME {} --ca FILE --cert FILE --key FILE`",
            endpoint.host
        )));
    }
    // Certificates mean something over TCP only; docker keeps them beside other addresses too.
    let tls = tls.filter(|_| endpoint.host.starts_with("tcp://"));
    Ok(Context {
        name: meta.name,
        address: endpoint.host.clone(),
        tls,
    })
}

fn meta(file: &Path) -> std::io::Result<Meta> {
    if std::fs::metadata(file)?.len() > MAX_FILE {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    let text = std::fs::read(file)?;
    serde_json::from_slice(&text)
        .map_err(|e| std::io::Error::other(format!("it is no context: {e}")))
}

fn unreadable(file: &Path, e: &std::io::Error) -> Error {
    Error::failed(format!("`{}` cannot be read", file.display())).because(e.to_string())
}

/// The names of all contexts, sorted.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.join("contexts/meta")) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .flatten()
        .take(MOST)
        .filter_map(|entry| meta(&entry.path().join("meta.json")).ok())
        .map(|meta| meta.name)
        .collect();
    names.sort();
    names
}

/// `host.suggest`: what docker, and where that is asked SSH's configuration, already know and Berth does not.
pub(crate) async fn suggest(
    berth: &Arc<Berth>,
    request: dto::HostSuggest,
    _: &Call,
) -> Result<Vec<dto::HostSuggestion>> {
    let home = berth.surroundings.home.clone().filter(|_| request.ssh);
    let named =
        blocking(move || Ok(home.map(|h| ssh_names::names(&h)).unwrap_or_default())).await?;
    let folder = folder(berth, request.docker_config.as_deref())?;
    let known: Vec<_> = berth
        .hosts()
        .await?
        .hosts
        .into_iter()
        .map(|h| h.address)
        .collect();
    let contexts = blocking(move || {
        Ok(names(&folder)
            .iter()
            .filter_map(|name| read(&folder, name).ok())
            .collect::<Vec<_>>())
    })
    .await?;
    let new = |address: &str| match Address::parse(address) {
        Ok(address) => !known.contains(&address.to_string()),
        Err(_) => false,
    };
    let mut all = Vec::new();
    if let Some(host) = request.docker_host.filter(|h| new(h)) {
        let command = match (&request.docker_cert_path, host.starts_with("tcp://")) {
            (Some(at), true) => format!(
                "berth host add NAME {host} --ca {at}/ca.pem --cert {at}/cert.pem --key {at}/key.pem"
            ),
            _ => format!("berth host add NAME {host}"),
        };
        all.push(dto::HostSuggestion {
            source: "DOCKER_HOST".to_owned(),
            address: host,
            context: None,
            command,
        });
    }
    for context in contexts.into_iter().filter(|c| new(&c.address)) {
        all.push(dto::HostSuggestion {
            source: format!("the docker context `{}`", context.name),
            command: format!("berth host add NAME --docker-context {}", context.name),
            address: context.address,
            context: Some(context.name),
        });
    }
    for name in named {
        let address = format!("ssh://{name}");
        if new(&address) {
            all.push(dto::HostSuggestion {
                source: "`~/.ssh/config`".to_owned(),
                context: None,
                command: format!("berth host add NAME {address}"),
                address,
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_by_the_hash_of_its_name() {
        assert_eq!(
            id_of("desktop-linux"),
            "fe9c6bd7a66301f49ca9b6a70b217107cd1284598bfc254700c989b916da791e",
            "docker's own folder name for that context"
        );
    }
}
