//! Building an image by the engine's classic builder, which is the one that engines on Windows have.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::PathBuf,
    time::Duration,
};

use berth_core::{Code, Error, Result};
use bollard::query_parameters::{
    BuildImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::{io::AsyncReadExt, sync::mpsc};

use crate::{
    Answers, Image, Progress,
    engine::{CHANGE, Engine, LIST, too_slow},
    error::{Doing, api_error},
    image::check_reference,
};

/// The head of a build's answer comes when the context has arrived.
const HEAD: Duration = Duration::from_secs(120);
/// The slowest way to a host that a large context is waited for, in bytes a second.
const SLOWEST: u64 = 100_000;
/// SQL Server's Setup says nothing for long; what is longer has hung.
const SILENCE: Duration = Duration::from_secs(45 * 60);
/// A piece of a file.
const PIECE: usize = 256 * 1024;
/// What a tar counts in.
const BLOCK: u64 = 512;

/// What is to be built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// `repository:tag` of what comes of it.
    pub reference: String,
    /// The files of the context by their path, `/` between the parts; a `Dockerfile` among them.
    pub files: Vec<(String, Content)>,
    /// Arguments. They stay in the image's history: never a secret.
    pub arguments: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Whether layers of an earlier build are left unused.
    pub no_cache: bool,
}

/// What is in a file of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// This.
    Bytes(Vec<u8>),
    /// What this file holds when it is sent.
    File(PathBuf),
}

/// A word of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildWord {
    /// So many bytes of the context are sent, of so many.
    Sent(u64, u64),
    /// A line that the builder, or what runs in it, said.
    Line(String),
    /// The base image is fetched.
    Pull(Progress),
}

/// The head of a file in a tar. The same bytes make the same layer: the builder's cache goes by content, not by time.
fn head(path: &str, size: u64) -> io::Result<Bytes> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

fn padding(size: u64) -> Bytes {
    let over = usize::try_from(size % BLOCK).unwrap_or(0);
    Bytes::from(vec![0; if over == 0 { 0 } else { 512 - over }])
}

/// A file of the context, opened, with the size that its head says.
enum Part {
    Bytes(Bytes),
    File(tokio::fs::File),
}

async fn open(path: &str, content: Content) -> io::Result<(Bytes, u64, Part)> {
    match content {
        Content::Bytes(bytes) => {
            let size = bytes.len() as u64;
            Ok((head(path, size)?, size, Part::Bytes(bytes.into())))
        }
        Content::File(file) => {
            let named =
                |e: io::Error| io::Error::new(e.kind(), format!("`{}`: {e}", file.display()));
            let open = tokio::fs::File::open(&file).await.map_err(named)?;
            let size = open.metadata().await.map_err(named)?.len();
            Ok((head(path, size)?, size, Part::File(open)))
        }
    }
}

/// The parts of a context, opened before anything is sent: a file that is not there fails the build at once.
async fn opened(files: Vec<(String, Content)>) -> io::Result<Vec<(Bytes, u64, Part)>> {
    let mut parts = Vec::with_capacity(files.len());
    for (path, content) in files {
        parts.push(open(&path, content).await?);
    }
    Ok(parts)
}

/// One file's bytes as they are read, exactly as many as its head says.
fn body(size: u64, part: Part) -> impl Stream<Item = io::Result<Bytes>> + Send {
    match part {
        Part::Bytes(bytes) => stream::once(async move { Ok(bytes) }).boxed(),
        Part::File(file) => stream::try_unfold((file, size), |(mut file, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            let read = file.read(&mut piece).await?;
            if read == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "a file of the context became shorter while it was sent",
                ));
            }
            piece.truncate(read);
            Ok(Some((Bytes::from(piece), (file, left - read as u64))))
        })
        .boxed(),
    }
}

/// The context as the engine takes it: a tar.
fn archive(
    parts: Vec<(Bytes, u64, Part)>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let end = Bytes::from(vec![0; 1024]);
    stream::iter(parts)
        .flat_map(|(head, size, part)| {
            stream::once(async move { Ok(head) })
                .chain(body(size, part))
                .chain(stream::once(async move { Ok(padding(size)) }))
        })
        .chain(stream::once(async move { Ok(end) }))
        .filter(|piece| {
            let some = !matches!(piece, Ok(piece) if piece.is_empty());
            async move { some }
        })
}

impl Engine {
    /// Builds an image, telling what the builder says. It is there only when the stream ends without an error; dropping
    /// the stream stops the build, and its finished steps stay in the builder's cache for the next one.
    ///
    /// The stream's errors: [`Code::Usage`] where a file of the context cannot be read; [`Code::TimedOut`] after 45 minutes
    /// without a word; [`Code::Failed`] with the builder's reason; what the way to the engine says.
    #[must_use]
    pub fn build(&self, build: Build) -> Answers<BuildWord> {
        let (engine, name) = (self.clone(), build.reference.clone());
        if let Err(e) = check_reference(&Doing::new("build the image", &name), &name) {
            return stream::once(async { Err(e) }).boxed();
        }
        // The answers borrow their client, so it moves into the task that reads them.
        let (told, words) = mpsc::channel(64);
        tokio::spawn(async move {
            let doing = Doing::new("build the image", &name);
            tokio::select! {
                // Whoever dropped the words wants no build either.
                () = told.closed() => {}
                () = engine.run_build(&doing, build, &told) => {}
            }
        });
        stream::unfold(words, |mut words| async move {
            words.recv().await.map(|word| (word, words))
        })
        .boxed()
    }

    async fn run_build(
        &self,
        doing: &Doing<'_>,
        build: Build,
        told: &mpsc::Sender<Result<BuildWord>>,
    ) {
        let parts = match opened(build.files).await {
            Ok(parts) => parts,
            Err(e) => {
                let e = Error::new(Code::Usage, doing.to_string())
                    .because("a file of its context cannot be read")
                    .because(e.to_string());
                let _ = told.send(Err(e)).await;
                return;
            }
        };
        let total: u64 = parts.iter().map(|(_, size, _)| size).sum();
        let map = |from: &BTreeMap<String, String>| -> HashMap<String, String> {
            from.clone().into_iter().collect()
        };
        let ask = BuildImageOptionsBuilder::new()
            .dockerfile("Dockerfile")
            .t(&build.reference)
            .buildargs(&map(&build.arguments))
            .labels(&map(&build.labels))
            .nocache(build.no_cache)
            .rm(true)
            .forcerm(true)
            .build();
        let counted = {
            let (told, mut sent, mut last) = (told.clone(), 0_u64, 0_u64);
            archive(parts).inspect(move |piece| {
                sent += piece.as_ref().map_or(0, |p| p.len() as u64);
                // A word for each hundredth of what is large; a small context is gone before anybody looks.
                if total > 1 << 20 && (sent - last) * 100 > total {
                    last = sent;
                    let _ = told.try_send(Ok(BuildWord::Sent(sent.min(total), total)));
                }
            })
        };
        let client = self.streams(HEAD + Duration::from_secs(total / SLOWEST));
        let body = bollard::body_try_stream(counted);
        let mut answers = std::pin::pin!(client.build_image(ask, None, Some(body)));
        loop {
            let word = match tokio::time::timeout(SILENCE, answers.next()).await {
                Ok(None) => return,
                Err(_) => Err(too_slow(doing, SILENCE)),
                Ok(Some(Err(e))) => Err(api_error(doing, e)),
                Ok(Some(Ok(info))) => match word(doing, info) {
                    Some(word) => word,
                    None => continue,
                },
            };
            let last = word.is_err();
            if told.send(word).await.is_err() || last {
                return;
            }
        }
    }

    /// The images that have this label. 30 seconds at most.
    ///
    /// # Errors
    /// What the way to the engine says.
    pub async fn images(&self, label: &str) -> Result<Vec<Image>> {
        let doing = Doing::plain("list the images");
        let filters: HashMap<String, Vec<String>> =
            [("label".to_owned(), vec![label.to_owned()])].into();
        let ask = ListImagesOptionsBuilder::new().filters(&filters).build();
        let all = self
            .within(doing, LIST, self.calls(LIST).list_images(Some(ask)))
            .await?;
        Ok(all
            .into_iter()
            .map(|i| Image {
                id: i.id,
                // What lost its name is listed by engines as this.
                tags: named(i.repo_tags),
                digests: named(i.repo_digests),
                size: u64::try_from(i.size).unwrap_or(0),
                labels: i.labels.into_iter().collect(),
                os: String::new(),
                os_version: String::new(),
                arch: String::new(),
            })
            .collect())
    }

    /// Removes an image's name, and the image with its last one. Never by force: what a container uses stays.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Refused`] where a container uses it.
    pub async fn remove_image(&self, reference: &str) -> Result<()> {
        let doing = Doing::new("remove the image", reference);
        check_reference(&doing, reference)?;
        let client = self.calls(CHANGE);
        let call = client.remove_image(reference, None::<RemoveImageOptions>, None);
        match self.within(doing, CHANGE, call).await {
            Ok(_) => Ok(()),
            Err(e) if e.causes().iter().any(|c| is_in_use(c)) => Err(Error::new(
                Code::Refused,
                format!("The image `{reference}` is in use"),
            )
            .because(e.causes().join(": "))
            .hint("Remove the containers that were made of it first")),
            Err(e) => Err(e),
        }
    }
}

fn named(all: Vec<String>) -> Vec<String> {
    all.into_iter().filter(|n| !n.contains("<none>")).collect()
}

/// moby's words for an image that a container stands on.
fn is_in_use(said: &str) -> bool {
    said.contains("is using its referenced image") || said.contains("image is being used by")
}

fn word(doing: &Doing<'_>, info: bollard::models::BuildInfo) -> Option<Result<BuildWord>> {
    if let Some(why) = info.error_detail.and_then(|d| d.message) {
        return Some(Err(Error::failed(doing.to_string()).because(why)));
    }
    if let Some(line) = info.stream {
        let line = line.trim_end().to_owned();
        return (!line.is_empty()).then_some(Ok(BuildWord::Line(line)));
    }
    let status = info.status?;
    let detail = info.progress_detail.unwrap_or_default();
    let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    Some(Ok(BuildWord::Pull(Progress {
        layer: info.id,
        status,
        done: count(detail.current),
        total: count(detail.total).filter(|t| *t > 0),
    })))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    async fn packed(files: Vec<(String, Content)>) -> Vec<u8> {
        let parts = opened(files).await.unwrap();
        archive(parts)
            .fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece.unwrap());
                all
            })
            .await
    }

    #[tokio::test]
    async fn the_context_is_a_tar_and_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("long");
        let bytes = vec![7_u8; 700_001];
        std::fs::write(&long, &bytes).unwrap();
        let files = vec![
            ("Dockerfile".to_owned(), Content::Bytes(b"FROM x".to_vec())),
            ("media/long.exe".to_owned(), Content::File(long)),
            ("even".to_owned(), Content::Bytes(vec![1; 512])),
            ("empty".to_owned(), Content::Bytes(Vec::new())),
        ];
        let tar = packed(files.clone()).await;
        assert_eq!(
            tar,
            packed(files).await,
            "the builder's cache goes by content"
        );
        assert_eq!(tar.len() % 512, 0);
        let mut read = tar::Archive::new(tar.as_slice());
        let mut there = Vec::new();
        for entry in read.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            there.push((entry.path().unwrap().display().to_string(), content));
        }
        let names: Vec<_> = there.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["Dockerfile", "media/long.exe", "even", "empty"]);
        assert_eq!(there[1].1, bytes, "what is large arrives whole");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_said_before_anything_is_sent() {
        let missing = Content::File("/nowhere/at/all".into());
        let e = opened(vec![("x".to_owned(), missing)]).await.err().unwrap();
        assert!(e.to_string().contains("/nowhere/at/all"), "{e}");
    }
}
