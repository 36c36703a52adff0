//! `docker cp`: files of a container as tar, in and out.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Request, body::Incoming, header};
use serde_json::json;

use super::{
    query::Query,
    reply::{self, Reply},
};
use crate::machine::{
    Model,
    layer::container_path,
    refusal::{Answer, Refusal},
    state::Container,
};

/// Go's mark of a folder in `os.FileMode`.
const GO_FOLDER: u32 = 1 << 31;
/// Bytes of an archive that are sent at once.
const PIECE: usize = 64 * 1024;

fn wrong(e: impl std::fmt::Display) -> Refusal {
    Refusal::failed(e.to_string())
}

/// Does file work off the async threads.
async fn work<T: Send + 'static>(act: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(act).await.map_err(wrong)?
}

/// Where an archive's file is, and what it says of itself.
fn find(model: &Model, container: &Container, query: &Query) -> Answer<(String, PathBuf, String)> {
    let asked = query.get("path").unwrap_or_default();
    if asked.is_empty() {
        return Err(Refusal::invalid("missing parameter in request: path"));
    }
    let path = container_path(asked)?;
    let real = model.container_file_there(container, &path)?;
    let metadata = std::fs::metadata(&real).map_err(wrong)?;
    let modified: chrono::DateTime<chrono::Utc> =
        metadata.modified().map(Into::into).unwrap_or_default();
    let name = path.name().unwrap_or("C:").to_owned();
    let stat = json!({
        "name": name, "size": metadata.len(),
        "mode": if metadata.is_dir() { GO_FOLDER | 0o777 } else { 0o666 },
        "mtime": modified.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true), "linkTarget": "",
    });
    Ok((name, real, STANDARD.encode(stat.to_string())))
}

fn with_stat(mut reply: Reply, stat: &str) -> Reply {
    if let Ok(value) = header::HeaderValue::from_str(stat) {
        reply
            .headers_mut()
            .insert("x-docker-container-path-stat", value);
    }
    reply
}

/// What a file is, in a header.
pub(super) async fn stat(model: &Arc<Model>, id: &str, query: &Query) -> Answer<Reply> {
    let container = model.container(id)?;
    let (model, query) = (Arc::clone(model), query.clone());
    let (_, _, stat) = work(move || find(&model, &container, &query)).await?;
    Ok(with_stat(reply::empty(200), &stat))
}

/// Writes what is below `folder` into an archive.
fn pack(archive: &mut tar::Builder<std::fs::File>, name: &str, real: &Path) -> std::io::Result<()> {
    let metadata = std::fs::symlink_metadata(real)?;
    if metadata.is_dir() {
        archive.append_dir(name, real)?;
        for entry in std::fs::read_dir(real)? {
            let entry = entry?;
            let below = format!("{name}/{}", entry.file_name().to_string_lossy());
            pack(archive, &below, &entry.path())?;
        }
        Ok(())
    } else if metadata.is_file() {
        archive.append_path_with_name(real, name)
    } else {
        Ok(())
    }
}

/// A file or folder as tar.
pub(super) async fn read(model: &Arc<Model>, id: &str, query: &Query) -> Answer<Reply> {
    let container = model.container(id)?;
    let (machine, query) = (Arc::clone(model), query.clone());
    let (mut packed, stat) = work(move || {
        let (name, real, stat) = find(&machine, &container, &query)?;
        // Whole before the first byte leaves: what fails half-way must not look like an end.
        let mut archive = tar::Builder::new(tempfile::tempfile().map_err(wrong)?);
        archive.mode(tar::HeaderMode::Deterministic);
        pack(&mut archive, &name, &real).map_err(wrong)?;
        let mut file = archive.into_inner().map_err(wrong)?;
        file.seek(SeekFrom::Start(0)).map_err(wrong)?;
        Ok((file, stat))
    })
    .await?;
    let (parts, reply) = reply::stream("application/x-tar");
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(n) = packed.read(&mut buffer) {
            let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else {
                return;
            };
            if parts.blocking_send(Bytes::copy_from_slice(part)).is_err() {
                return;
            }
        }
    });
    Ok(with_stat(reply, &stat))
}

/// Takes a request's body into a file of no name, counted against the disk.
pub(super) async fn receive(
    model: &Arc<Model>,
    request: Request<Incoming>,
) -> Answer<std::fs::File> {
    let mut body = request.into_body();
    let mut file = work(|| tempfile::tempfile().map_err(wrong)).await?;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|e| Refusal::invalid(format!("the request body cannot be read: {e}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if !model.faults().takes_room(data.len() as u64) {
            return Err(Refusal::failed(
                "write: There is not enough space on the disk.",
            ));
        }
        file = work(move || {
            file.write_all(&data).map_err(wrong)?;
            Ok(file)
        })
        .await?;
    }
    work(move || {
        file.seek(SeekFrom::Start(0)).map_err(wrong)?;
        Ok(file)
    })
    .await
}

/// Lays out an archive below a folder. Links and devices are refused, and so is what leads out.
pub(super) fn unpack(file: std::fs::File, folder: &Path, overwrite_kind: bool) -> Answer {
    let mut archive = tar::Archive::new(file);
    let bad = |e: std::io::Error| Refusal::invalid(format!("invalid archive: {e}"));
    for entry in archive.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        let kind = entry.header().entry_type();
        let name = entry.path().map_err(bad)?.into_owned();
        let mut real = folder.to_path_buf();
        for part in name.components() {
            match part {
                std::path::Component::Normal(part) => {
                    real = crate::machine::disk::entry(&real, &part.to_string_lossy());
                }
                std::path::Component::CurDir | std::path::Component::RootDir => {}
                _ => {
                    return Err(Refusal::invalid(format!(
                        "invalid archive: `{}` leads out of its folder",
                        name.display()
                    )));
                }
            }
        }
        let there = std::fs::symlink_metadata(&real).ok();
        if !overwrite_kind && there.is_some_and(|there| there.is_dir() != kind.is_dir()) {
            return Err(Refusal::invalid(format!(
                "cannot overwrite `{}` with another kind of file",
                name.display()
            )));
        }
        if kind.is_dir() {
            std::fs::create_dir_all(&real).map_err(wrong)?;
        } else if kind.is_file() {
            if let Some(above) = real.parent() {
                std::fs::create_dir_all(above).map_err(wrong)?;
            }
            let mut out = std::fs::File::create(&real).map_err(wrong)?;
            std::io::copy(&mut entry, &mut out).map_err(wrong)?;
        } else if !kind.is_pax_global_extensions() {
            return Err(Refusal::not_implemented("A link or a device in an archive"));
        }
    }
    Ok(())
}

/// Puts an archive into a folder of the container.
pub(super) async fn write(
    model: &Arc<Model>,
    id: &str,
    query: &Query,
    request: Request<Incoming>,
) -> Answer<Reply> {
    let container = model.container(id)?;
    let asked = query.get("path").unwrap_or_default();
    if asked.is_empty() {
        return Err(Refusal::invalid("missing parameter in request: path"));
    }
    let path = container_path(asked)?;
    let strict = query.flag("noOverwriteDirNonDir");
    let file = receive(model, request).await?;
    let model = Arc::clone(model);
    work(move || {
        let real = if path.is_root() {
            model
                .container_file(&container, &path)
                .ok_or_else(|| Refusal::failed("the container has no disk"))?
        } else {
            model.container_file_there(&container, &path)?
        };
        if real.exists() && !real.is_dir() {
            return Err(Refusal::invalid("extraction point is not a directory"));
        }
        unpack(file, &real, !strict)
    })
    .await?;
    Ok(reply::empty(200))
}
