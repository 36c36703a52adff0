//! Building images: the classic builder over what this machine can say honestly.
//!
//! Metadata and files of the context are real. Nothing is run: a `RUN` is known by its text or
//! refused, since a made-up success would be found out by the first container.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Model,
    config::Config,
    disk::{WindowsPath, entry},
    dockerfile::{self, Dockerfile, Step},
    image::{Image, full_reference},
    recipe::Say,
    refusal::{Answer, Refusal},
    state::make_folder,
    volume::blocking,
};

/// The shell of Windows, until `SHELL` names another.
const SHELL: [&str; 3] = ["cmd", "/S", "/C"];

/// What is asked of a build.
#[derive(Debug, Default)]
pub struct Order {
    /// The context, unpacked.
    pub context: PathBuf,
    /// The Dockerfile's path in it.
    pub dockerfile: String,
    /// The names that the image gets.
    pub tags: Vec<String>,
    /// Values for `ARG`.
    pub arguments: BTreeMap<String, String>,
    /// Labels beside those of the file.
    pub labels: BTreeMap<String, String>,
    /// Everything anew.
    pub no_cache: bool,
}

/// How many finished steps the builder's cache knows.
const CACHE: usize = 1000;

/// An image in the making.
pub(super) struct Making {
    /// By which the next one is known: the same base and steps give the same image.
    pub(super) id: String,
    config: Config,
    pub(super) size: u64,
    shell: Vec<String>,
    /// What `$name` is.
    pub(super) values: BTreeMap<String, String>,
    /// Files to lay into the image, as `source → place`.
    files: Vec<(PathBuf, WindowsPath)>,
    /// The folders of the images below.
    bases: Vec<String>,
}

impl Making {
    /// What a file that was copied in holds.
    pub(super) fn content_of(&self, place: &str) -> Option<Vec<u8>> {
        let place = super::layer::container_path(place).ok()?.to_windows();
        let (source, _) = (self.files.iter().rev())
            .find(|(_, there)| there.to_windows().eq_ignore_ascii_case(&place))?;
        std::fs::read(source).ok()
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn short(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(12).collect()
}

pub(super) fn next_id(id: &str, step: &str) -> String {
    let digest = Sha256::new()
        .chain_update(id)
        .chain_update([0])
        .chain_update(step)
        .finalize();
    format!("sha256:{}", hex(&digest))
}

/// The folder of an image's own files.
pub(super) fn image_folder(dir: &Path, id: &str) -> PathBuf {
    dir.join("images").join(id.trim_start_matches("sha256:"))
}

impl Model {
    /// Builds an image, and answers its id.
    ///
    /// # Errors
    /// In the builder's words; what was said before stands.
    pub async fn build_image(&self, order: &Order, say: &Say) -> Answer<String> {
        let file = self.dockerfile(order)?;
        let total = file.steps.len() + usize::from(!order.labels.is_empty());
        let mut values = BTreeMap::new();
        let mut used: Vec<&str> = Vec::new();
        let mut making: Option<Making> = None;
        for (n, step) in file.steps.iter().enumerate() {
            say.line(format!(
                "Step {}/{total} : {} {}",
                n + 1,
                step.word,
                step.rest
            ))
            .await?;
            let mut ran = None;
            let before = making.as_ref().map(|m| m.id.clone());
            match (&step.word[..], &mut making) {
                ("ARG", making) => {
                    let (name, default) = match step.rest.split_once('=') {
                        Some((name, value)) => {
                            (name, Some(dockerfile::words(value, file.escape).join(" ")))
                        }
                        None => (step.rest.as_str(), None),
                    };
                    let given = order.arguments.get_key_value(name);
                    if let Some((name, _)) = given {
                        used.push(name);
                    }
                    let known = making.as_ref().and_then(|_| values.get(name).cloned());
                    let value = given.map(|(_, v)| v.clone()).or(default).or(known);
                    let target = match making {
                        Some(making) => &mut making.values,
                        None => &mut values,
                    };
                    if let Some(value) = value {
                        target.insert(name.to_owned(), value);
                    }
                    if let Some(making) = making {
                        making.id = next_id(&making.id, &step.rest);
                    }
                }
                ("FROM", making) => {
                    if making.is_some() {
                        return Err(Refusal::not_implemented("A build of several stages"));
                    }
                    *making = Some(self.base(step, &file, &values, say).await?);
                }
                (_, None) => return Err(Refusal::invalid("no build stage in current context")),
                ("RUN", Some(making)) => {
                    ran = Some(self.run_step(making, step, order.no_cache, say).await?);
                }
                (_, Some(making)) => self.apply(making, step, &file, order).await?,
            }
            if let Some(making) = &making {
                // As the builder does: metadata makes an image of its own at each step.
                if before.is_some() {
                    let cached = ran.unwrap_or_else(|| {
                        !order.no_cache && self.read(|s| s.steps.contains(&making.id))
                    });
                    if cached {
                        say.line(" ---> Using cache").await?;
                    } else {
                        if ran.is_none() {
                            let container = short(&next_id(&making.id, "run"));
                            say.line(format!(" ---> Running in {container}")).await?;
                            say.line(format!("Removing intermediate container {container}"))
                                .await?;
                        }
                        self.change(|state| {
                            state.steps.insert(making.id.clone());
                            while state.steps.len() > CACHE {
                                state.steps.pop_first();
                            }
                        })
                        .await?;
                    }
                }
                say.line(format!(" ---> {}", short(&making.id))).await?;
            }
        }
        let mut making =
            making.ok_or_else(|| Refusal::invalid("no build stage in current context"))?;
        if !order.labels.is_empty() {
            let text: Vec<String> = order
                .labels
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            say.line(format!("Step {total}/{total} : LABEL {}", text.join(" ")))
                .await?;
            making.config.labels.extend(order.labels.clone());
            making.id = next_id(&making.id, &text.join(" "));
            say.line(format!(" ---> {}", short(&making.id))).await?;
        }
        let unused: Vec<&str> = order
            .arguments
            .keys()
            .map(String::as_str)
            .filter(|name| !used.contains(name))
            .collect();
        if !unused.is_empty() {
            say.line(format!(
                "[Warning] One or more build-args [{}] were not consumed",
                unused.join(" ")
            ))
            .await?;
        }
        let id = making.id.clone();
        self.keep_image(making, &order.tags).await?;
        Ok(id)
    }

    fn dockerfile(&self, order: &Order) -> Answer<Dockerfile> {
        let missing = || {
            Refusal::failed(format!(
                "Cannot locate specified Dockerfile: {}",
                order.dockerfile
            ))
        };
        let real = below(&order.context, &order.dockerfile).ok_or_else(missing)?;
        let text = std::fs::read_to_string(real).map_err(|_| missing())?;
        dockerfile::read(&text)
    }

    async fn base(
        &self,
        step: &Step,
        file: &Dockerfile,
        values: &BTreeMap<String, String>,
        say: &Say,
    ) -> Answer<Making> {
        let rest = dockerfile::expand(&step.rest, file.escape, values)?;
        let words: Vec<&str> = rest
            .split_whitespace()
            .filter(|w| !w.starts_with("--platform"))
            .collect();
        let name = match words.as_slice() {
            [name] => *name,
            [name, word, _] if word.eq_ignore_ascii_case("as") => *name,
            _ => {
                return Err(Refusal::invalid(format!(
                    "dockerfile parse error line {}: FROM requires either one or three arguments",
                    step.line
                )));
            }
        };
        if name == "scratch" {
            return Err(Refusal::failed("Windows does not support FROM scratch"));
        }
        let image = match self.image(name) {
            Ok(image) => image,
            Err(missing) => match self.windows_base(name, say).await {
                Some(fetched) => fetched?,
                None => {
                    return Err(match self.pull(name) {
                        super::image::Pull::Refused(refusal) => refusal,
                        super::image::Pull::WrongPlatform(why) => Refusal::failed(why),
                        super::image::Pull::Present(_) => missing,
                    });
                }
            },
        };
        let mut bases = image.layers.clone();
        bases.push(image.id.clone());
        Ok(Making {
            id: image.id.clone(),
            values: image
                .config
                .env
                .iter()
                .filter_map(|e| e.split_once('='))
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
            config: image.config,
            size: image.size,
            shell: SHELL.map(str::to_owned).to_vec(),
            files: Vec::new(),
            bases,
        })
    }

    async fn apply(
        &self,
        making: &mut Making,
        step: &Step,
        file: &Dockerfile,
        order: &Order,
    ) -> Answer {
        let escape = file.escape;
        let mut known_by = step.rest.clone();
        let expanded = |text: &str| dockerfile::expand(text, escape, &making.values);
        match &step.word[..] {
            "LABEL" => {
                for (name, value) in dockerfile::pairs(&with(step, expanded(&step.rest)?), escape)?
                {
                    making.config.labels.insert(name, value);
                }
            }
            "ENV" => {
                for (name, value) in dockerfile::pairs(&with(step, expanded(&step.rest)?), escape)?
                {
                    making.config.env.retain(|e| {
                        !e.split_once('=')
                            .is_some_and(|(n, _)| n.eq_ignore_ascii_case(&name))
                    });
                    making.config.env.push(format!("{name}={value}"));
                    making.values.insert(name, value);
                }
            }
            "EXPOSE" => {
                for port in expanded(&step.rest)?.split_whitespace() {
                    let port = if port.contains('/') {
                        port.to_owned()
                    } else {
                        format!("{port}/tcp")
                    };
                    let number = port.split('/').next().unwrap_or_default();
                    if number.parse::<u16>().is_err() {
                        return Err(Refusal::invalid(format!("invalid containerPort: {number}")));
                    }
                    making.config.exposed_ports.insert(port, json!({}));
                }
            }
            "USER" => making.config.user = expanded(&step.rest)?,
            "WORKDIR" => making.config.working_dir = expanded(&step.rest)?.replace('/', "\\"),
            "SHELL" => {
                making.shell = serde_json::from_str(&step.rest).map_err(|_| {
                    Refusal::invalid(format!(
                        "dockerfile parse error line {}: SHELL requires the arguments to be in JSON form",
                        step.line
                    ))
                })?;
            }
            "ENTRYPOINT" => {
                making.config.entrypoint = Some(dockerfile::command(&step.rest, &making.shell));
                making.config.cmd = None;
            }
            "CMD" => making.config.cmd = Some(dockerfile::command(&step.rest, &making.shell)),
            "VOLUME" => {
                let names: Vec<String> = serde_json::from_str(&step.rest)
                    .unwrap_or_else(|_| step.rest.split_whitespace().map(str::to_owned).collect());
                let volumes = making.config.volumes.get_or_insert_default();
                volumes.extend(names.into_iter().map(|name| (name, json!({}))));
            }
            "HEALTHCHECK" => making.config.healthcheck = Some(health(step)?),
            "MAINTAINER" => {}
            "COPY" | "ADD" => {
                let rest = expanded(&step.rest)?;
                known_by = self.copy(making, step, &rest, order, escape)?;
            }
            "STOPSIGNAL" => {
                return Err(Refusal::failed(
                    "The daemon on this platform does not support the command 'STOPSIGNAL'",
                ));
            }
            word => {
                return Err(Refusal::failed(format!(
                    "the practice host does not run this: {word} {}",
                    step.rest
                        .chars()
                        .take(200)
                        .collect::<String>()
                        .escape_debug()
                )));
            }
        }
        making.id = next_id(&making.id, &format!("{} {known_by}", step.word));
        Ok(())
    }

    /// Takes files of the context; answers by what the step is known: the digests of what it takes.
    fn copy(
        &self,
        making: &mut Making,
        step: &Step,
        rest: &str,
        order: &Order,
        escape: char,
    ) -> Answer<String> {
        let list = serde_json::from_str::<Vec<String>>(rest)
            .unwrap_or_else(|_| dockerfile::words(rest, escape));
        if let Some(flag) = list.iter().find(|word| word.starts_with("--")) {
            return Err(Refusal::not_implemented(&format!(
                "`{flag}` of {}",
                step.word
            )));
        }
        let Some((to, sources)) = list.split_last().filter(|(_, sources)| !sources.is_empty())
        else {
            return Err(Refusal::invalid(format!(
                "dockerfile parse error line {}: {} requires at least two arguments",
                step.line, step.word
            )));
        };
        let into_folder = sources.len() > 1 || to.ends_with(['/', '\\']);
        let target = super::layer::container_path(&under(&making.config.working_dir, to))?;
        let mut digest = Sha256::new().chain_update(to);
        for source in sources {
            if source.contains("://") {
                return Err(Refusal::not_implemented("ADD of an address"));
            }
            if source.contains(['*', '?', '[']) {
                return Err(Refusal::not_implemented("A pattern in COPY"));
            }
            let missing = || {
                Refusal::failed(format!(
                    "{} failed: file not found in build context or excluded by .dockerignore: stat {source}: file does not exist",
                    step.word
                ))
            };
            let real = below(&order.context, source)
                .filter(|real| real.exists())
                .ok_or_else(missing)?;
            if step.word == "ADD" && source.ends_with(".tar") {
                return Err(Refusal::not_implemented("ADD of an archive"));
            }
            let mut all = Vec::new();
            let start = if real.is_dir() || !into_folder {
                target.clone()
            } else {
                let name = real.file_name().map(|n| n.to_string_lossy().into_owned());
                target.join(&name.unwrap_or_default())
            };
            walk(&real, &start, &mut all).map_err(|e| Refusal::failed(e.to_string()))?;
            for (file, place) in all {
                let content = std::fs::read(&file).map_err(|e| Refusal::failed(e.to_string()))?;
                digest.update(place.to_windows());
                digest.update(Sha256::digest(&content));
                making.size += content.len() as u64;
                making.files.push((file, place));
            }
        }
        Ok(digest
            .finalize()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect())
    }

    async fn keep_image(&self, making: Making, tags: &[String]) -> Answer {
        let folder = image_folder(&self.dir, &making.id);
        let files = making.files;
        let new = !self.read(|s| s.images.contains_key(&making.id));
        if new && !files.is_empty() {
            let bytes = files
                .iter()
                .filter_map(|(f, _)| f.metadata().ok())
                .map(|m| m.len())
                .sum();
            if !self.faults.takes_room(bytes) {
                return Err(Refusal::failed(
                    "failed to register layer: There is not enough space on the disk.",
                ));
            }
            blocking(move || {
                let wrong = |e: std::io::Error| {
                    berth_core::Error::failed("An image's files cannot be kept")
                        .because(e.to_string())
                };
                for (file, place) in files {
                    let names = place.names_below_drive().unwrap_or_default();
                    let real = names
                        .iter()
                        .fold(folder.clone(), |at, name| entry(&at, name));
                    if let Some(above) = real.parent() {
                        make_folder(above)?;
                    }
                    std::fs::copy(file, real).map_err(wrong)?;
                }
                Ok(())
            })
            .await?;
        }
        let tags: Vec<String> = tags.iter().map(|tag| full_reference(tag)).collect();
        let (now, id) = (self.now(), making.id.clone());
        let image = Image {
            id: making.id,
            tags: Vec::new(),
            created: now,
            size: making.size,
            config: making.config,
            layers: making.bases,
        };
        self.change(|state| {
            for other in state.images.values_mut() {
                other.tags.retain(|tag| !tags.contains(tag));
            }
            let kept = state.images.entry(id.clone()).or_insert(image);
            kept.tags.extend(tags.iter().cloned());
        })
        .await?;
        for tag in tags {
            self.tell("image", "tag", &id, [("name".to_owned(), tag)].into());
        }
        Ok(())
    }
}

fn with(step: &Step, rest: String) -> Step {
    Step {
        rest,
        ..step.clone()
    }
}

/// A path below a folder of the context; `None` leads out.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut real = folder.to_path_buf();
    for part in name.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => return None,
            part => real = entry(&real, part),
        }
    }
    // A link may lead anywhere; contexts of Berth have none.
    let whole = real.canonicalize().ok()?;
    whole
        .starts_with(folder.canonicalize().ok()?)
        .then_some(real)
}

fn under(working_dir: &str, path: &str) -> String {
    if path.contains(':') || path.starts_with(['/', '\\']) || working_dir.is_empty() {
        path.to_owned()
    } else {
        format!("{}\\{path}", working_dir.trim_end_matches('\\'))
    }
}

fn walk(
    real: &Path,
    place: &WindowsPath,
    all: &mut Vec<(PathBuf, WindowsPath)>,
) -> std::io::Result<()> {
    let metadata = std::fs::symlink_metadata(real)?;
    if metadata.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(real)?.filter_map(Result::ok).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            walk(
                &entry.path(),
                &place.join(&entry.file_name().to_string_lossy()),
                all,
            )?;
        }
    } else if metadata.is_file() {
        all.push((real.to_path_buf(), place.clone()));
    }
    Ok(())
}

/// `NONE`, or options and `CMD`.
fn health(step: &Step) -> Answer<Value> {
    if step.rest.eq_ignore_ascii_case("none") {
        return Ok(json!({ "Test": ["NONE"] }));
    }
    let bad =
        |why: &str| Refusal::invalid(format!("dockerfile parse error line {}: {why}", step.line));
    let (mut check, mut rest) = (json!({}), step.rest.as_str());
    while let Some(option) = rest.strip_prefix("--") {
        let (option, tail) = option
            .split_once(' ')
            .ok_or_else(|| bad("Missing type in HEALTHCHECK"))?;
        let (name, value) = option
            .split_once('=')
            .ok_or_else(|| bad("Missing a value in HEALTHCHECK"))?;
        let number = |unit: &str| value.strip_suffix(unit).and_then(|n| n.parse::<u64>().ok());
        let (key, value) = match name {
            "retries" => ("Retries", value.parse::<u64>().ok()),
            "interval" | "timeout" | "start-period" => {
                let nanos = number("m")
                    .map(|m| m.saturating_mul(60))
                    .or_else(|| number("s"))
                    .map(|s| s.saturating_mul(1_000_000_000));
                let key = match name {
                    "interval" => "Interval",
                    "timeout" => "Timeout",
                    _ => "StartPeriod",
                };
                (key, nanos)
            }
            _ => return Err(bad("Unknown flag in HEALTHCHECK")),
        };
        let value = value.ok_or_else(|| bad("invalid value in HEALTHCHECK"))?;
        if let Value::Object(check) = &mut check {
            check.insert(key.into(), json!(value));
        }
        rest = tail.trim_start();
    }
    let command = rest
        .strip_prefix("CMD")
        .ok_or_else(|| bad("Unknown type in HEALTHCHECK (try CMD)"))?
        .trim();
    let test: Vec<String> = match serde_json::from_str::<Vec<String>>(command) {
        Ok(list) => ["CMD".to_owned()].into_iter().chain(list).collect(),
        Err(_) => vec!["CMD-SHELL".to_owned(), command.to_owned()],
    };
    if let Value::Object(check) = &mut check {
        check.insert("Test".into(), json!(test));
    }
    Ok(check)
}
