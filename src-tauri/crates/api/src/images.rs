//! `image.recipes`, `image.list`, `image.build`, `image.rebuild`, `image.remove`: the SQL Server images of a Windows host.

use std::{path::PathBuf, sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result,
    host::{Os, PRACTICE},
    image::{self, BASE_EULA, BUILT, HASH, Kit, Media, RECIPE},
    label,
    recipe::{self, Recipe},
};
use berth_engine::{Build, BuildWord, Content, Image};
use berth_store::Settings;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::{io::AsyncReadExt, time::sleep};

use crate::{
    Berth,
    berth::now,
    context, dto,
    healing::{again, is_passing},
    hosts,
    link::Link,
    operations::Operation,
    table::Call,
};

/// The longest line of a build that is told, and how many of the last ones are searched for its cause.
const LINE: usize = 300;
const TAIL: usize = 400;
/// How many of the last lines are told where no cause is known.
const LAST: usize = 8;
/// How often a build goes on by itself after its connection was lost, and after how long.
const AGAIN: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How long the engine may take to know what it built.
const KNOWN: Duration = Duration::from_secs(30);

/// The terms that a build needs, by the name that their acceptance is kept under.
const TERMS: [(&str, &str); 2] = [
    ("sql-server", recipe::EULA),
    ("windows-base-image", BASE_EULA),
];

async fn host_of(berth: &Berth, host: Option<String>) -> Result<String> {
    match host {
        Some(host) => Ok(host),
        None => hosts::default(berth).await,
    }
}

/// `image.recipes`: what can be built, and the terms.
pub(crate) async fn recipes(berth: &Arc<Berth>, _: dto::Nothing, _: &Call) -> Result<dto::Recipes> {
    let settings = berth.settings().await?;
    Ok(dto::Recipes {
        recipes: image::known()?
            .into_iter()
            .map(|k| dto::RecipeView {
                name: k.name,
                version: k.version.to_string(),
                edition: k.edition.as_str().to_owned(),
                media_mb: k.mb,
                notes: k.notes,
            })
            .collect(),
        terms: TERMS
            .into_iter()
            .map(|(id, text)| dto::Terms {
                id: id.to_owned(),
                text: text.to_owned(),
                accepted_at: settings.licences.get(id).cloned(),
            })
            .collect(),
        position: image::POSITION.to_owned(),
    })
}

/// `image.list`.
pub(crate) async fn list(
    berth: &Arc<Berth>,
    request: dto::ImageList,
    _: &Call,
) -> Result<Vec<dto::ImageView>> {
    let host = host_of(berth, request.host).await?;
    let link = berth.links.get(berth, &host).await?;
    let (all, containers) = tokio::join!(
        link.engine.images(label::SQL_MAJOR),
        link.engine.containers(None)
    );
    let (all, containers) = (hosts::on(&host, all)?, hosts::on(&host, containers)?);
    let mut views: Vec<_> = all
        .into_iter()
        .map(|i| {
            let of = |key: &str| i.labels.get(key).cloned();
            dto::ImageView {
                host: host.clone(),
                reference: i.tags.first().cloned().unwrap_or_else(|| i.id.clone()),
                recipe: of(RECIPE),
                recipe_version: of(image::VERSION),
                edition: of(image::EDITION),
                collation: of(image::COLLATION),
                built_at: of(BUILT),
                size: i.size,
                used_by: containers
                    .iter()
                    .filter(|c| c.image_id == i.id)
                    .map(|c| {
                        (c.name.strip_prefix(berth_core::instance::PREFIX))
                            .unwrap_or(&c.name)
                            .to_owned()
                    })
                    .collect(),
                current: !i.tags.is_empty(),
                id: i.id,
            }
        })
        .collect();
    views.sort_by(|a, b| (!a.current, &a.reference).cmp(&(!b.current, &b.reference)));
    Ok(views)
}

/// `image.remove`: refuses what a container uses.
pub(crate) async fn remove(
    berth: &Arc<Berth>,
    request: dto::ImageRemove,
    call: &Call,
) -> Result<dto::Nothing> {
    let host = host_of(berth, request.host.clone()).await?;
    let wish = dto::ImageList {
        host: Some(host.clone()),
    };
    let all = list(berth, wish, call).await?;
    let id = |view: &dto::ImageView| view.id.trim_start_matches("sha256:").to_owned();
    let asked = request.reference.trim_start_matches("sha256:");
    let Some(found) = all.iter().find(|v| {
        v.reference == request.reference || asked.len() >= 12 && id(v).starts_with(asked)
    }) else {
        let names: Vec<_> = all.iter().map(|v| v.reference.as_str()).collect();
        return Err(Error::not_found(format!(
            "`{host}` has no SQL Server image `{}`",
            request.reference.escape_debug()
        ))
        .hint(if names.is_empty() {
            "It has none that Berth built".to_owned()
        } else {
            format!("There are {}", names.join(", "))
        }));
    };
    if let Some(user) = found.used_by.first() {
        return Err(Error::new(
            Code::Refused,
            format!("The image `{}` is in use", found.reference),
        )
        .because(format!("`{user}` was made of it"))
        .hint("Remove its instances first; `berth image rebuild` makes a new one beside it"));
    }
    let link = berth.links.get(berth, &host).await?;
    let name = if found.current {
        &found.reference
    } else {
        &found.id
    };
    hosts::on(&host, link.engine.remove_image(name).await)?;
    Ok(dto::Nothing {})
}

/// `image.build`: starts the operation.
pub(crate) async fn build(
    berth: &Arc<Berth>,
    request: dto::ImageBuild,
    _: &Call,
) -> Result<dto::Started> {
    let host = host_of(berth, request.host.clone()).await?;
    let order = Order::read(&request)?;
    if let Order::Recipe { .. } = &order {
        accept(berth, &host, request.accept_eula).await?;
    }
    let title = format!("Building {} on `{host}`", order.what());
    let (all, subject) = (Arc::clone(berth), subject(&host));
    berth.operations.start(
        berth,
        "build",
        title,
        &subject,
        move |operation| async move {
            let link = operation
                .phase(
                    "host",
                    format!("Reaching `{host}`"),
                    again(1, || all.links.get(&all, &host)),
                )
                .await?;
            let (reference, notes, changed) = match order {
                Order::Recipe {
                    name,
                    collation,
                    media,
                } => {
                    let media = operation
                        .phase("media", "Looking at the installer", hashed(media))
                        .await?;
                    let build = windows_build(&link).await?;
                    let kit = image::kit(&name, build, collation.as_deref(), &media)?;
                    let made = make(&all, &link, &kit, request.fresh, &operation).await?;
                    (kit.reference, [kit.notes, made.1].concat(), made.0)
                }
                Order::Folder { folder, reference } => {
                    let files = operation
                        .phase("context", "Reading the folder", context::of_folder(folder))
                        .await?;
                    let build = Build {
                        reference: reference.clone(),
                        files,
                        labels: [(BUILT.to_owned(), now())].into(),
                        no_cache: request.fresh,
                        ..Build::default()
                    };
                    run(&all, &link.host, &build, &operation).await?;
                    let note = format!("`berth up --image {reference}` makes an instance of it");
                    (reference, vec![note], true)
                }
            };
            all.hosts_changed.send_modify(|n| *n += 1);
            let mut notes = notes;
            if changed {
                notes.insert(0, format!("`{reference}` is built"));
            }
            Ok(dto::Outcome {
                instance: None,
                notes,
                changed,
            })
        },
    )
}

/// One build at a time on a host: they would be in each other's way on its disk.
fn subject(host: &str) -> String {
    format!("{host}: images")
}

enum Order {
    Recipe {
        name: String,
        collation: Option<String>,
        media: Vec<(String, Option<String>)>,
    },
    Folder {
        folder: PathBuf,
        reference: String,
    },
}

impl Order {
    /// What makes no sense is said before anything begins.
    fn read(request: &dto::ImageBuild) -> Result<Self> {
        match (&request.recipe, &request.folder) {
            (Some(name), None) => {
                image::parse(name)?;
                let media: Vec<_> = request
                    .media
                    .iter()
                    .map(|m| (m.place.clone(), m.sha256.clone()))
                    .collect();
                let plain: Vec<_> = media
                    .iter()
                    .map(|(place, hash)| read_media(place, hash.as_deref()))
                    .collect::<Result<_>>()?;
                image::kit(name, 20348, request.collation.as_deref(), &plain)?;
                Ok(Self::Recipe {
                    name: name.clone(),
                    collation: request.collation.clone(),
                    media,
                })
            }
            (None, Some(folder)) => {
                if request.collation.is_some() || !request.media.is_empty() {
                    return Err(Error::usage(
                        "A folder of your own decides by itself on its installer and its collation",
                    ));
                }
                let reference = request.reference.clone().ok_or_else(|| {
                    Error::usage("An image made of a folder needs a name")
                        .hint("Say `--name mine/sql:1`")
                })?;
                Recipe::choose(Os::Windows, None, None, None, Some(&reference), None)?;
                if reference.starts_with("berth/") {
                    return Err(Error::usage(
                        "Names that begin with `berth/` are those of Berth's own recipes",
                    )
                    .hint("Take another, such as `mine/sql:1`"));
                }
                Ok(Self::Folder {
                    folder: PathBuf::from(folder),
                    reference,
                })
            }
            _ => Err(Error::usage("A build takes a recipe or a folder")
                .hint("Such as `berth image build 2022-express`")),
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Recipe { name, .. } => format!("`{name}`"),
            Self::Folder { reference, .. } => format!("`{reference}`"),
        }
    }
}

/// A file's hash may be left out: it is this machine's own, and is looked at before it is sent.
fn read_media(place: &str, sha256: Option<&str>) -> Result<Media> {
    let sha256 = sha256.map(str::to_owned);
    if place.contains("://") {
        let sha256 = sha256.ok_or_else(|| {
            Error::usage("An installer from an address needs its hash")
                .hint("Say `--sha256 HEX`: what a host fetches and installs must be what you mean")
        })?;
        return Ok(Media::Url {
            url: place.to_owned(),
            sha256,
        });
    }
    Ok(Media::File {
        path: PathBuf::from(place),
        sha256: sha256.unwrap_or_else(|| "0".repeat(64)),
    })
}

/// The media with the hash that each file of this machine has now.
async fn hashed(media: Vec<(String, Option<String>)>) -> Result<Vec<Media>> {
    let mut all = Vec::new();
    for (place, want) in media {
        let read = read_media(&place, want.as_deref())?;
        let Media::File { path, .. } = read else {
            all.push(read);
            continue;
        };
        let unreadable = |e: std::io::Error| {
            Error::usage(format!("The installer `{place}` cannot be read")).because(e.to_string())
        };
        let mut file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
        let mut digest = Sha256::new();
        let mut piece = vec![0; 256 * 1024];
        loop {
            match file.read(&mut piece).await.map_err(unreadable)? {
                0 => break,
                n => digest.update(piece.get(..n).unwrap_or_default()),
            }
        }
        let is = hex(&digest.finalize());
        if want.as_ref().is_some_and(|w| !w.eq_ignore_ascii_case(&is)) {
            return Err(Error::new(
                Code::Refused,
                format!("The installer `{place}` is not the one that you mean"),
            )
            .because(format!("its SHA-256 is {is}")));
        }
        all.push(Media::File { path, sha256: is });
    }
    Ok(all)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `image.rebuild`: makes anew what was built longer ago than so many seconds.
pub(crate) async fn rebuild(
    berth: &Arc<Berth>,
    request: dto::ImageRebuild,
    _: &Call,
) -> Result<dto::Started> {
    let host = host_of(berth, request.host.clone()).await?;
    accept(berth, &host, request.accept_eula).await?;
    let title = format!("Building the images of `{host}` anew");
    let (all, subject) = (Arc::clone(berth), subject(&host));
    berth
        .operations
        .start(berth, "rebuild", title, &subject, move |operation| async move {
            let link = operation
                .phase(
                    "host",
                    format!("Reaching `{host}`"),
                    again(1, || all.links.get(&all, &host)),
                )
                .await?;
            let build = windows_build(&link).await?;
            // Ten years are as good as for ever.
            let age = i64::try_from(request.older_than.min(315_360_000)).unwrap_or_default();
            let before = Utc::now() - chrono::Duration::seconds(age);
            let (mut notes, mut changed) = (Vec::new(), false);
            for old in again(AGAIN, || link.engine.images(RECIPE)).await? {
                let built = (old.labels.get(BUILT))
                    .and_then(|t| DateTime::parse_from_rfc3339(t).ok());
                // One that lost its name is what an instance still uses: the newer one has its name.
                if old.tags.is_empty() || built.is_some_and(|t| t > before) {
                    continue;
                }
                let Some(name) = old.labels.get(RECIPE) else {
                    continue;
                };
                let collation = old.labels.get(image::COLLATION);
                let kit = match image::kit(name, build, collation.map(String::as_str), &[]) {
                    Ok(kit) => kit,
                    Err(_) => {
                        notes.push(format!("`{name}` was built from an installer of your own: build it again with `--media`"));
                        continue;
                    }
                };
                let made = make(&all, &link, &kit, true, &operation).await?;
                changed = true;
                notes.push(format!("`{}` is new", kit.reference));
                notes.extend(made.1);
            }
            let link = all.links.get(&all, &host).await?;
            notes.extend(sweep(&link).await?);
            all.hosts_changed.send_modify(|n| *n += 1);
            if !changed {
                notes.push("No image is that old".to_owned());
            }
            Ok(dto::Outcome {
                instance: None,
                notes,
                changed,
            })
        })
}

/// Removes images of Berth's recipes that lost their name to newer ones, where no container uses them.
async fn sweep(link: &Link) -> Result<Vec<String>> {
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

/// The build of the host's Windows, which decides the base.
async fn windows_build(link: &Link) -> Result<u32> {
    again(AGAIN, || ask_build(link)).await
}

async fn ask_build(link: &Link) -> Result<u32> {
    if link.os != Os::Windows {
        return Err(
            Error::new(Code::Refused, format!("`{}` is no Windows host", link.host))
                .because(
                    "Microsoft publishes SQL Server for Linux as an image: there is nothing to build",
                )
                .hint("`berth up` fetches it"),
        );
    }
    let info = hosts::on(&link.host, link.engine.info().await)?;
    info.os_version
        .split('.')
        .nth(2)
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| Error::failed(format!("`{}` does not say which Windows it is", link.host)))
}

/// The licences are accepted once on a machine, by a word that names both.
async fn accept(berth: &Berth, host: &str, accepted_now: bool) -> Result<()> {
    // It holds nothing of Microsoft's.
    if host == PRACTICE {
        return Ok(());
    }
    let settings = berth.settings().await?;
    let open: Vec<_> = TERMS
        .into_iter()
        .filter(|(id, _)| !settings.licences.contains_key(*id))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let texts: Vec<_> = open.iter().map(|(_, text)| *text).collect();
    if !accepted_now {
        return Err(
            Error::new(Code::Refused, "The licence terms are not accepted yet")
                .because(format!(
                    "an image may only be built by someone who accepts {}",
                    texts.join(" and ")
                ))
                .because(image::POSITION)
                .detail("eula", texts.join(" and "))
                .hint("Read them and run this again with `--accept-eula`; it is asked once"),
        );
    }
    berth
        .store(move |f| {
            f.update::<Settings, _>(|s| {
                for (id, _) in open {
                    s.licences.insert(id.to_owned(), now());
                }
                Ok(())
            })
        })
        .await
}

/// Builds what a kit says, unless just that is there. Says whether anything was built, and what else there is to say.
async fn make(
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
async fn run(
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
