//! An image is made: sent, followed line by line, gone on with where the connection was lost, and explained where it fails.

use std::{sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result,
    image::{self, BUILT, HASH, Kit, RECIPE},
};
use berth_engine::{Build, BuildWord, Content, Image};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::order::hex;
use crate::{
    Berth,
    berth::now,
    healing::{again, is_passing},
    link::Link,
    operations::Operation,
};

/// The longest line of a build that is told, and how many of the last ones are searched for its cause.
const LINE: usize = 300;
const TAIL: usize = 400;
/// How many of the last lines are told where no cause is known.
const LAST: usize = 8;
/// How often a build goes on by itself after its connection was lost, and after how long.
pub(super) const AGAIN: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How long the engine may take to know what it built.
const KNOWN: Duration = Duration::from_secs(30);

/// Builds what a kit says, unless just that is there. Says whether anything was built, and what else there is to say.
pub(super) async fn make(
    berth: &Arc<Berth>,
    link: &Arc<Link>,
    kit: &Kit,
    fresh: bool,
    operation: &Operation,
) -> Result<(bool, Vec<String>)> {
    let hash = hash_of(kit);
    if !fresh
        && let Some(there) = again(AGAIN, || link.engine.image(&kit.reference)).await?
        && there.labels.get(HASH) == Some(&hash)
    {
        return Ok((
            false,
            vec![format!(
                "`{}` is there already; `berth image rebuild` makes it anew",
                kit.reference
            )],
        ));
    }
    let mut labels = kit.labels.clone();
    labels.insert(HASH.to_owned(), hash.clone());
    labels.insert(BUILT.to_owned(), now());
    let own = kit
        .files
        .iter()
        .map(|(path, bytes)| (path.clone(), Content::Bytes(bytes.clone())));
    let media = kit
        .media
        .iter()
        .map(|(path, file)| (path.clone(), Content::File(file.clone())));
    let build = Build {
        reference: kit.reference.clone(),
        files: own.chain(media).collect(),
        arguments: kit.arguments.clone(),
        labels,
        no_cache: fresh,
    };
    let image = run(berth, &link.host, &build, operation).await?;
    if image.labels.get(HASH) != Some(&hash) {
        return Err(
            Error::failed(format!("`{}` is not what was built", kit.reference)).because(
                "it carries another hash: somebody else built an image of that name meanwhile",
            ),
        );
    }
    let link = berth.links.get(berth, &link.host).await?;
    Ok((true, sweep(&link).await.unwrap_or_default()))
}

/// Removes images of Berth's recipes that lost their name to newer ones, where no container uses them.
pub(super) async fn sweep(link: &Link) -> Result<Vec<String>> {
    let containers = link.engine.containers(None).await?;
    let mut notes = Vec::new();
    for old in link.engine.images(RECIPE).await? {
        if !old.tags.is_empty() {
            continue;
        }
        let users = containers.iter().filter(|c| c.image_id == old.id).count();
        if users > 0 {
            notes.push(format!(
                "An older image stays for the {users} instance(s) that use it"
            ));
            continue;
        }
        match link.engine.remove_image(&old.id).await {
            Ok(()) => notes.push("An older image that nothing uses is removed".to_owned()),
            Err(e) if [Code::NotFound, Code::Refused].contains(&e.code()) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(notes)
}

/// What an image is made of, as one number: the recipe's files and its arguments, the hashes of the media among them.
fn hash_of(kit: &Kit) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // With its length, so that no two kits run together into the same.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for (path, bytes) in &kit.files {
        part(path.as_bytes());
        part(bytes);
    }
    for (key, value) in &kit.arguments {
        part(key.as_bytes());
        part(value.as_bytes());
    }
    hex(&hash.finalize())
}

/// Builds, and goes on from the builder's cache where the connection was lost.
pub(super) async fn run(
    berth: &Arc<Berth>,
    host: &str,
    build: &Build,
    operation: &Operation,
) -> Result<Image> {
    let title = format!("Building `{}`", build.reference);
    operation
        .phase("build", title, async {
            let mut tries = 0;
            loop {
                match once(berth, host, build, operation).await {
                    Err(e) if e.code() == Code::Unreachable && tries < AGAIN => {
                        tries += 1;
                        operation.progress(
                            "The connection was lost; going on with what is finished",
                            None,
                        );
                        sleep(PAUSE * tries).await;
                    }
                    other => return other,
                }
            }
        })
        .await
}

async fn once(
    berth: &Arc<Berth>,
    host: &str,
    build: &Build,
    operation: &Operation,
) -> Result<Image> {
    let link = berth.links.get(berth, host).await?;
    let mut words = link.streaming().await?.build(build.clone());
    let mut lines: Vec<String> = Vec::new();
    while let Some(word) = words.next().await {
        match word {
            Ok(BuildWord::Line(text)) => {
                for line in text.lines().map(plain).filter(|l| !l.is_empty()) {
                    let shown = line.strip_prefix(image::STEP).unwrap_or(&line);
                    operation.progress(shown, None);
                    lines.push(line);
                }
                let more = lines.len().saturating_sub(TAIL);
                lines.drain(..more);
            }
            Ok(BuildWord::Pull(p)) => {
                operation.progress(format!("Base image: {}", p.status), p.done.zip(p.total));
            }
            Ok(BuildWord::Sent(done, total)) => {
                operation.progress("Sending the installer", Some((done, total)));
            }
            Err(e) => return Err(failed(e, &lines)),
        }
    }
    // A stream that ends without an error may be one that was cut: what is there counts.
    let there = tokio::time::timeout(KNOWN, again(AGAIN, || link.engine.image(&build.reference)))
        .await
        .map_err(|_| Error::new(Code::TimedOut, "The engine does not say what it built"))??;
    there
        .filter(|i| {
            i.labels.get(BUILT) == build.labels.get(BUILT)
                || i.labels
                    .get(HASH)
                    .is_some_and(|h| build.labels.get(HASH) == Some(h))
        })
        .ok_or_else(|| {
            Error::new(
                Code::Unreachable,
                format!("The build of `{}` broke off", build.reference),
            )
            .hint("Build it again: what is finished of it is in the builder's cache")
        })
}

/// A line without the colours and the tail that a console gives it.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.trim_end().chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // CSI: ends with a letter.
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if !c.is_control() {
            text.push(c);
        }
        if text.chars().count() >= LINE {
            break;
        }
    }
    text
}

/// A build's failure with the lines that say why, and what helps where the cause is known.
fn failed(e: Error, lines: &[String]) -> Error {
    if is_passing(&e) {
        return e.hint("Build it again: what is finished of it is in the builder's cache");
    }
    let causes = image::causes(lines.iter().map(String::as_str));
    let said = causes.iter().chain(e.causes()).chain(lines.iter().rev());
    let known = said.map(String::as_str).find_map(image::explain);
    let told: Vec<String> = if causes.is_empty() {
        let from = lines.len().saturating_sub(LAST);
        lines.get(from..).unwrap_or_default().to_vec()
    } else {
        causes
    };
    let error = told.into_iter().fold(e, Error::because);
    error.hint(match known {
        Some(hint) => format!("{hint}. What is finished is in the builder's cache for the next try"),
        None => "What is above was said while it was built; `-v` shows all of it. What is finished is in the builder's cache for the next try".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_without_the_colours_of_a_console() {
        assert_eq!(plain("\u{1b}[91mred\u{1b}[0m text\r"), "red text");
        assert_eq!(plain(&"x".repeat(1000)).len(), LINE);
    }

    #[test]
    fn the_hash_is_of_everything_that_counts() {
        let one = image::kit("2022-express", 20348, None, &[]).unwrap();
        let mut other = one.clone();
        assert_eq!(hash_of(&one), hash_of(&other));
        other.arguments.insert("SQL_PID".into(), "x".into());
        assert_ne!(hash_of(&one), hash_of(&other), "another argument");
        let mut other = one.clone();
        other.files[1].1.push(b' ');
        assert_ne!(hash_of(&one), hash_of(&other), "another file");
    }

    #[test]
    fn a_failure_names_its_cause_and_what_helps() {
        let e =
            Error::failed("Could not build the image `x`").because("returned a non-zero code: 1");
        let lines = [
            "Step 12/14 : RUN & C:\\berth\\install.ps1",
            "BERTH-CAUSE: The download ended with 6: https://x/y.exe",
        ]
        .map(str::to_owned);
        let e = failed(e, &lines);
        assert!(
            e.causes()
                .iter()
                .any(|c| c.starts_with("The download ended with 6")),
            "{e:?}"
        );
        assert!(e.what_to_do().unwrap().contains("DNS"));
    }
}
