//! Images: whether one is there, and fetching one.

use std::{collections::BTreeMap, time::Duration};

use berth_core::{Code, Error, Result};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{StreamExt, stream};

use crate::{
    Answers,
    engine::{Engine, LOOK, too_slow},
    error::{Doing, api_error, unusable_answer},
};

/// The head of a pull's answer comes after the registry was asked.
const RESOLVE: Duration = Duration::from_secs(120);
/// A layer of a Windows base image is unpacked for minutes without a word.
const SILENCE: Duration = Duration::from_secs(600);

/// An image on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…`.
    pub id: String,
    /// `repository:tag`, all that it has.
    pub tags: Vec<String>,
    /// `repository@sha256:…`, the names that never move.
    pub digests: Vec<String>,
    /// Bytes on the host's disk, layers shared with others included.
    pub size: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `windows` or `linux`.
    pub os: String,
    /// For Windows `10.0.20348.…`.
    pub os_version: String,
    /// `amd64`, `arm64`.
    pub arch: String,
}

/// How far one layer of a pull is, or a word about the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The layer, as the start of its digest; None for a word about the whole.
    pub layer: Option<String>,
    /// The engine's words: `Downloading`, `Extracting`, `Pull complete`, …
    pub status: String,
    /// Bytes done, where the engine counts them.
    pub done: Option<u64>,
    /// Bytes in all, where the engine knows.
    pub total: Option<u64>,
}

impl Engine {
    /// An image on this host, by reference or id; None if it is not there. 10 seconds at most.
    ///
    /// # Errors
    /// [`Code::Usage`] where it is no reference; what the way to the engine says.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        let doing = Doing::new("look for the image", reference);
        check_reference(&doing, reference)?;
        let answer = match self
            .within(doing, LOOK, self.calls(LOOK).inspect_image(reference))
            .await
        {
            Ok(answer) => answer,
            Err(e) if e.code() == Code::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let config = answer.config.unwrap_or_default();
        Ok(Some(Image {
            id: answer
                .id
                .filter(|id| !id.is_empty())
                .ok_or_else(|| unusable_answer(&doing, "the image has no id"))?,
            tags: answer.repo_tags.unwrap_or_default(),
            digests: answer.repo_digests.unwrap_or_default(),
            size: u64::try_from(answer.size.unwrap_or(0)).unwrap_or(0),
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            os: answer.os.unwrap_or_default(),
            os_version: answer.os_version.unwrap_or_default(),
            arch: answer.architecture.unwrap_or_default(),
        }))
    }

    /// Fetches an image from its registry, telling how far it is. Without a tag or digest it is
    /// `latest`. The image is complete only when the stream ends without an error; dropping the
    /// stream stops the pull, and what is complete of its layers stays for the next one.
    ///
    /// The stream's errors: [`Code::NotFound`], [`Code::SignInRefused`], [`Code::TimedOut`]
    /// after ten minutes without a word, or the engine's reason.
    #[must_use]
    pub fn pull(&self, reference: &str, platform: Option<&str>) -> Answers<Progress> {
        let doing = Doing::new("pull the image", reference);
        if let Err(e) = check_reference(&doing, reference) {
            return stream::once(async { Err(e) }).boxed();
        }
        let mut ask = CreateImageOptionsBuilder::new().from_image(&tagged(reference));
        if let Some(platform) = platform {
            ask = ask.platform(platform);
        }
        let answers = self
            .streams(RESOLVE)
            .create_image(Some(ask.build()), None, None)
            .boxed();
        let reference = reference.to_owned();
        stream::unfold(Some(answers), move |answers| {
            let reference = reference.clone();
            async move {
                let doing = Doing::new("pull the image", &reference);
                let mut answers = answers?;
                match tokio::time::timeout(SILENCE, answers.next()).await {
                    Ok(None) => None,
                    Ok(Some(Ok(word))) => {
                        let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
                        let detail = word.progress_detail.unwrap_or_default();
                        let progress = Progress {
                            layer: word.id.filter(|id| is_layer(id)),
                            status: word.status.unwrap_or_default(),
                            done: count(detail.current),
                            total: count(detail.total).filter(|total| *total > 0),
                        };
                        Some((Ok(progress), Some(answers)))
                    }
                    Ok(Some(Err(e))) => Some((Err(api_error(&doing, e)), None)),
                    Err(_) => Some((Err(too_slow(&doing, SILENCE)), None)),
                }
            }
        })
        .boxed()
    }
}

/// The first word of a pull has the tag where others have a layer.
fn is_layer(id: &str) -> bool {
    id.len() >= 12 && id.chars().all(|c| c.is_ascii_hexdigit())
}

/// An engine that is asked for a repository alone pulls every tag of it.
fn tagged(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains(':') || last.contains('@') {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

/// The reference goes into a path. The grammar is the engine's business; what would make
/// another path of it is ours.
pub(crate) fn check_reference(doing: &Doing<'_>, reference: &str) -> Result<()> {
    let fine = reference.starts_with(|c: char| c.is_ascii_alphanumeric())
        && reference.len() <= 512
        && !reference.ends_with('/')
        && reference
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
        && reference
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@'));
    if fine {
        return Ok(());
    }
    Err(Error::new(Code::Usage, doing.to_string())
        .because("this is no image reference")
        .hint("Write `repository:tag`, such as `mcr.microsoft.com/mssql/server:2022-latest`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_never_asks_for_all_tags() {
        assert_eq!(tagged("a/b"), "a/b:latest");
        assert_eq!(
            tagged("host:5000/a/b"),
            "host:5000/a/b:latest",
            "that colon is a port's"
        );
        assert_eq!(tagged("host:5000/a/b:c"), "host:5000/a/b:c");
        assert_eq!(tagged("a@sha256:0f"), "a@sha256:0f");
    }

    #[test]
    fn a_reference_can_never_become_another_path() {
        let doing = Doing::plain("x");
        for fine in [
            "a",
            "a:b",
            "mcr.microsoft.com/mssql/server:2022-latest",
            "a@sha256:0f",
            "sha256:0f",
        ] {
            assert!(check_reference(&doing, fine).is_ok(), "{fine}");
        }
        for bad in [
            "", "a b", "../x", "a/../b", "a//b", "a?b", "a#b", "a%2e", "a/", "-a", "ä",
        ] {
            assert!(
                check_reference(&doing, bad).is_err(),
                "{bad:?} would ask for something else"
            );
        }
    }
}
