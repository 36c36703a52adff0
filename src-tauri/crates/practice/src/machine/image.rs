//! The images of the machine, and what it answers about registries that it cannot reach.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Model,
    config::Config,
    refusal::{Answer, Refusal},
    state::{State, Status},
};

/// The image that Berth's Windows recipe makes, on a machine where it was built already.
pub const READY_IMAGE: &str = "berth/sql:2022-express-ltsc2022";

/// An image.
#[derive(Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Image {
    /// With its `sha256:`.
    pub id: String,
    pub tags: Vec<String>,
    pub created: DateTime<Utc>,
    /// In bytes.
    pub size: u64,
    pub config: Config,
    /// The images below it, whose files it has too.
    #[serde(default)]
    pub layers: Vec<String>,
}

impl Image {
    /// Whether it runs SQL Server as Berth's recipe starts it.
    pub fn starts_sql(&self) -> bool {
        let starts = |words: &Option<Vec<String>>| {
            words.as_ref().is_some_and(|w| {
                w.last()
                    .is_some_and(|last| last.eq_ignore_ascii_case("C:\\berth\\start.ps1"))
            })
        };
        let nothing = self.config.cmd.as_ref().is_none_or(Vec::is_empty);
        starts(&self.config.entrypoint) && nothing
    }

    /// SQL Server's major version by the recipe's label, such as 16.
    pub fn sql_major(&self) -> Option<u16> {
        self.config.labels.get("dev.berth.sql.major")?.parse().ok()
    }

    /// The edition by the recipe's label, as SQL Server spells it.
    pub fn sql_edition(&self) -> String {
        let edition = self
            .config
            .labels
            .get("dev.berth.sql.edition")
            .map_or("express", String::as_str);
        let mut letters = edition.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect())
            .unwrap_or_default()
    }

    /// What the recipe makes of SQL Server 2022 Express on Windows Server 2022.
    pub fn ready(now: DateTime<Utc>) -> Self {
        let text = |parts: &[&str]| Some(parts.iter().map(ToString::to_string).collect());
        Self {
            id: "sha256:5b1f0e7ac6b6f8a1f2f9e9f0c3a4d87e21c6a5d30b7e94f8127d6c0eab39f452".into(),
            tags: vec![READY_IMAGE.into()],
            created: now,
            size: 8_412_774_301,
            config: Config {
                user: "ContainerAdministrator".into(),
                exposed_ports: [("1433/tcp".to_owned(), json!({}))].into(),
                entrypoint: text(&[
                    "powershell",
                    "-NoProfile",
                    "-NonInteractive",
                    "-ExecutionPolicy",
                    "Bypass",
                    "-File",
                    "C:\\berth\\start.ps1",
                ]),
                healthcheck: Some(json!({
                    "Test": ["CMD", "cmd", "/S", "/C", "C:\\berth\\health.cmd"],
                    "Interval": 20_000_000_000_u64, "Timeout": 10_000_000_000_u64,
                    "StartPeriod": 180_000_000_000_u64, "Retries": 3
                })),
                labels: [
                    ("dev.berth.sql.major", "16"),
                    ("dev.berth.sql.edition", "express"),
                ]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
                ..Config::default()
            },
            layers: Vec::new(),
        }
    }
}

/// `name` with the tag that is meant when none is written, and without the default registry.
pub fn full_reference(name: &str) -> String {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') || last.contains('@') {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

impl State {
    /// Finds an image by reference, id or the beginning of an id.
    pub fn image(&self, name: &str) -> Option<&Image> {
        let reference = full_reference(name);
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        let is_hex = hex.len() >= 4 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        self.images
            .values()
            .find(|image| image.tags.contains(&reference))
            .or_else(|| {
                self.images.values().find(|image| {
                    is_hex
                        && image
                            .id
                            .strip_prefix("sha256:")
                            .is_some_and(|id| id.starts_with(hex))
                })
            })
    }
}

/// One line that an image's removal tells.
pub enum Removed {
    /// A name is gone.
    Untagged(String),
    /// The image itself is gone.
    Deleted(String),
}

impl Model {
    /// All images.
    pub fn images(&self) -> Vec<Image> {
        self.read(|state| state.images.values().cloned().collect())
    }

    /// One image.
    pub fn image(&self, name: &str) -> Answer<Image> {
        self.read(|state| state.image(name).cloned())
            .ok_or_else(|| Refusal::not_found(format!("No such image: {}", full_reference(name))))
    }

    /// Gives an image one more name.
    pub async fn tag_image(&self, name: &str, repository: &str, tag: &str) -> Answer {
        let image = self.image(name)?;
        let reference = full_reference(&if tag.is_empty() {
            repository.to_owned()
        } else {
            format!("{repository}:{tag}")
        });
        self.change(|state| {
            for other in state.images.values_mut() {
                other.tags.retain(|t| *t != reference);
            }
            if let Some(image) = state.images.get_mut(&image.id) {
                image.tags.push(reference.clone());
            }
        })
        .await?;
        self.tell(
            "image",
            "tag",
            &image.id,
            [("name".to_owned(), reference)].into(),
        );
        Ok(())
    }

    /// Removes a name, and the image with its last one.
    pub async fn remove_image(&self, name: &str, force: bool) -> Answer<Vec<Removed>> {
        let image = self.image(name)?;
        let short = |id: &str| {
            id.trim_start_matches("sha256:")
                .chars()
                .take(12)
                .collect::<String>()
        };
        let reference = full_reference(name);
        let by_name = image.tags.contains(&reference);
        let last = !by_name || image.tags.len() == 1;
        if last {
            let user = self.read(|s| {
                s.containers
                    .values()
                    .find(|c| c.image_id == image.id)
                    .cloned()
            });
            if let Some(user) = user {
                let running = user.status == Status::Running;
                if running || !force {
                    return Err(Refusal::conflict(match (by_name, running) {
                        (true, _) => format!(
                            "conflict: unable to remove repository reference \"{name}\" (must force) - container {} is using its referenced image {}",
                            short(&user.id),
                            short(&image.id)
                        ),
                        (false, true) => format!(
                            "conflict: unable to delete {} (cannot be forced) - image is being used by running container {}",
                            short(&image.id),
                            short(&user.id)
                        ),
                        (false, false) => format!(
                            "conflict: unable to delete {} (must be forced) - image is being used by stopped container {}",
                            short(&image.id),
                            short(&user.id)
                        ),
                    }));
                }
            }
        }
        let gone: Vec<String> = if by_name {
            vec![reference]
        } else {
            image.tags.clone()
        };
        self.change(|state| {
            if last {
                state.images.remove(&image.id);
            } else if let Some(kept) = state.images.get_mut(&image.id) {
                kept.tags.retain(|t| !gone.contains(t));
            }
        })
        .await?;
        if last {
            let folder = super::build::image_folder(&self.dir, &image.id);
            // Others may stand on it: then its files stay with them.
            let used = self.read(|s| s.images.values().any(|i| i.layers.contains(&image.id)));
            if !used {
                super::volume::blocking(move || Ok(std::fs::remove_dir_all(folder).ok())).await?;
            }
        }
        let mut told: Vec<Removed> = Vec::new();
        for name in gone {
            self.tell("image", "untag", &image.id, BTreeMap::new());
            told.push(Removed::Untagged(name));
        }
        if last {
            self.tell("image", "delete", &image.id, BTreeMap::new());
            told.push(Removed::Deleted(image.id));
        }
        Ok(told)
    }

    /// What a pull comes to on a machine whose registries are played: the lines before it, and why it fails.
    pub fn pull(&self, reference: &str) -> Pull {
        let reference = full_reference(reference);
        let repository = reference
            .rsplit_once(':')
            .map_or(reference.as_str(), |(name, _)| name);
        if self.read(|state| state.image(&reference).is_some()) && !repository.starts_with("berth/")
        {
            return Pull::Present(reference);
        }
        match repository {
            "mcr.microsoft.com/mssql/server" => Pull::WrongPlatform(format!(
                "no matching manifest for windows/amd64 10.0.{} in the manifest list entries",
                self.facts().build
            )),
            name if name.starts_with("mcr.microsoft.com/") => {
                Pull::Refused(Refusal::not_implemented(&format!("Pulling `{reference}`")))
            }
            name => Pull::Refused(Refusal::not_found(format!(
                "pull access denied for {name}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
            ))),
        }
    }
}

/// How a pull ends.
pub enum Pull {
    /// The image is there already.
    Present(String),
    /// The registry has it for another platform only; said inside the stream.
    WrongPlatform(String),
    /// Refused before anything was sent.
    Refused(Refusal),
}
