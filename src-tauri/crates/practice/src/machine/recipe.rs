//! Berth's own recipe, played: the base images of Windows, and what `install.ps1` says and does while an image is built.
//!
//! Any other `RUN` is declined: a made-up success would be found out by the first container.

use std::time::Duration;

use berth_core::image::{CAUSE, STEP, file};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    Model,
    build::{Making, hex, next_id, short},
    config::Config,
    dockerfile::Step,
    fault::BuildCause,
    image::{Image, full_reference},
    refusal::{Answer, Refusal},
};

/// What the builder says.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// A piece of text.
    Said(String),
    /// A line about a layer that is fetched.
    Pull(serde_json::Value),
}

/// Where the builder says it. Whoever hangs up ends the build.
#[derive(Debug, Clone)]
pub struct Say(pub mpsc::Sender<Word>);

impl Say {
    /// Says a line.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub async fn line(&self, text: impl Into<String>) -> Answer {
        self.word(Word::Said(format!("{}\n", text.into()))).await
    }

    async fn word(&self, word: Word) -> Answer {
        self.0.send(word).await.map_err(|_| canceled())
    }

    /// Works for a while.
    async fn work(&self, time: Duration) -> Answer {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.0.closed() => Err(canceled()),
        }
    }
}

fn canceled() -> Refusal {
    Refusal::failed("context canceled")
}

/// The base images of Windows that the registry is played to have, by their repositories.
const BASES: [&str; 2] = [
    "mcr.microsoft.com/windows/servercore",
    "mcr.microsoft.com/dotnet/framework/runtime",
];

/// Which build of Windows a base is of, by its tag.
fn build_of(reference: &str) -> Option<u32> {
    let (repository, tag) = reference.rsplit_once(':')?;
    BASES.contains(&repository).then_some(())?;
    [
        ("ltsc2019", 17763),
        ("ltsc2022", 20348),
        ("ltsc2025", 26100),
    ]
    .into_iter()
    .find_map(|(name, build)| tag.ends_with(name).then_some(build))
}

impl Model {
    /// Fetches a base image of Windows; `None` where it is none.
    pub(super) async fn windows_base(&self, name: &str, say: &Say) -> Option<Answer<Image>> {
        let reference = full_reference(name);
        let build = build_of(&reference)?;
        Some(self.fetch_base(reference, build, say).await)
    }

    async fn fetch_base(&self, reference: String, build: u32, say: &Say) -> Answer<Image> {
        let host = self.facts().build;
        if build > host {
            return Err(Refusal::failed(format!(
                "a Windows version 10.0.{build}-based image is incompatible with a 10.0.{host} host"
            )));
        }
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((&reference, ""));
        let repository = repository.trim_start_matches("mcr.microsoft.com/");
        say.word(Word::Pull(
            json!({ "status": format!("Pulling from {repository}"), "id": tag }),
        ))
        .await?;
        let (layer, total) = ("7c76e5cf7755", 1_711_394_816_u64);
        for quarter in 1..=4 {
            say.word(Word::Pull(json!({
                "status": "Downloading", "id": layer,
                "progressDetail": { "current": total / 4 * quarter, "total": total },
            })))
            .await?;
        }
        say.word(Word::Pull(
            json!({ "status": "Pull complete", "id": layer, "progressDetail": {} }),
        ))
        .await?;
        let image = Image {
            id: next_id("", &reference),
            tags: vec![reference.clone()],
            created: self.now(),
            size: 4_870_213_632,
            config: Config {
                cmd: Some(vec!["c:\\windows\\system32\\cmd.exe".into()]),
                ..Config::default()
            },
            layers: Vec::new(),
        };
        self.change(|state| {
            state.images.insert(image.id.clone(), image.clone());
        })
        .await?;
        say.word(Word::Pull(json!({
            "status": format!("Status: Downloaded newer image for {reference}"),
        })))
        .await?;
        Ok(image)
    }

    /// Runs `install.ps1`; answers whether an earlier build had done it.
    pub(super) async fn run_step(
        &self,
        making: &mut Making,
        step: &Step,
        no_cache: bool,
        say: &Say,
    ) -> Answer<bool> {
        let known = step.rest.trim() == r"& C:\berth\install.ps1"
            && making
                .content_of(r"C:\berth\install.ps1")
                .is_some_and(|content| {
                    file("install.ps1").is_some_and(|own| content == own.as_bytes())
                });
        if !known {
            return Err(Refusal::failed(format!(
                "the practice host does not run this: RUN {}",
                step.rest
                    .chars()
                    .take(200)
                    .collect::<String>()
                    .escape_debug()
            )));
        }
        let given: Vec<String> = making
            .values
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let id = next_id(
            &making.id,
            &format!("|{} {} {}", given.len(), given.join(" "), step.rest),
        );
        making.size += 3_274_021_888;
        let cached = !no_cache && self.read(|s| s.steps.contains(&id));
        if !cached {
            say.line(format!(" ---> Running in {}", short(&next_id(&id, "run"))))
                .await?;
            self.install(making, say).await?;
            say.line(format!(
                "Removing intermediate container {}",
                short(&next_id(&id, "run"))
            ))
            .await?;
        }
        making.id = id;
        Ok(cached)
    }

    async fn install(&self, making: &Making, say: &Say) -> Answer {
        let value = |name: &str| making.values.get(name).cloned().unwrap_or_default();
        let fails = self.faults().build_fails();
        let step = |what: &str| format!("{STEP}{what}");
        let failed = || {
            Err(Refusal::failed(
                "The command 'powershell -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command $ErrorActionPreference='Stop'; $ProgressPreference='SilentlyContinue'; & C:\\berth\\install.ps1' returned a non-zero code: 1",
            ))
        };
        say.line(step("preparing Windows")).await?;
        let (urls, hashes) = (value("MEDIA_URLS"), value("MEDIA_SHA256"));
        let mut hashes = hashes.split_whitespace();
        for url in urls.split_whitespace() {
            let want = hashes.next().unwrap_or("-");
            let is = match url.strip_prefix("media/") {
                Some(name) => {
                    say.line(step(&format!("taking {url}"))).await?;
                    let content = making
                        .content_of(&format!(r"C:\berth\media\{name}"))
                        .ok_or_else(|| Refusal::failed(format!("Cannot find path '{url}'")))?;
                    hex(&Sha256::digest(content)).to_uppercase()
                }
                None => {
                    say.line(step(&format!("downloading {url}"))).await?;
                    // What is fetched is played: it has the hash that it should, or none that anybody asked for.
                    match want {
                        "-" => hex(&Sha256::digest(url)).to_uppercase(),
                        want => want.to_owned(),
                    }
                }
            };
            if fails == Some(BuildCause::Download) {
                say.line(format!("{CAUSE}The download ended with 6: {url}"))
                    .await?;
                return failed();
            }
            if !self.faults().has_room() {
                say.line(format!("{CAUSE}The download ended with 23: {url}"))
                    .await?;
                return failed();
            }
            let is = if fails == Some(BuildCause::Hash) {
                hex(&Sha256::digest(&is)).to_uppercase()
            } else {
                is
            };
            say.line(step(&format!("sha256 {is}"))).await?;
            if want != is && (want != "-" || fails == Some(BuildCause::Hash)) {
                say.line(format!("{CAUSE}{url} has the SHA-256 {is}, not {want}"))
                    .await?;
                return failed();
            }
        }
        say.line(step("unpacking")).await?;
        say.line(step("installing SQL Server")).await?;
        for n in 0..10_u32 {
            say.work(self.faults().build_delay() / 10).await?;
            say.line(format!("Setup: {} of 10 done", n + 1)).await?;
        }
        if fails == Some(BuildCause::Setup) {
            for line in [
                "summary of the setup",
                "Overall summary:",
                "  Final result:                  Failed: see details below",
                "  Exit code (Decimal):           -2061893607",
                "  Exit facility code:            1306",
                "  Exit error code:               25",
                "  Exit message:                  Wait on the Database Engine recovery handle failed. Check the SQL Server error log for potential causes.",
                "2026-11-23 03:12:09.41 spid9s      Error: 5178, Severity: 16, State: 1.",
            ] {
                say.line(line).await?;
            }
            say.line(format!("{CAUSE}Setup ended with 0x851A0019"))
                .await?;
            return failed();
        }
        for what in ["configuring", "setting the data aside", "done"] {
            say.line(step(what)).await?;
        }
        Ok(())
    }
}
