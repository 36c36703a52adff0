//! What a build is asked to make, checked before anything begins.

use std::path::{Path, PathBuf};

use berth_core::{
    Code, Error, Result,
    host::Os,
    image::{self, Media, Place},
    recipe::Recipe,
};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::dto;

pub(super) enum Order {
    Recipe {
        name: String,
        collation: Option<String>,
        media: Vec<Asked>,
    },
    Folder {
        folder: PathBuf,
        reference: String,
    },
}

impl Order {
    /// What makes no sense is said before anything begins.
    pub(super) fn read(request: &dto::ImageBuild) -> Result<Self> {
        match (&request.recipe, &request.folder) {
            (Some(name), None) => {
                let media = request
                    .media
                    .iter()
                    .map(|m| Asked::read(&m.place, m.sha256.as_deref()))
                    .collect::<Result<Vec<_>>>()?;
                let places: Vec<_> = media.iter().map(Asked::place).collect();
                image::check(name, request.collation.as_deref(), &places)?;
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

    pub(super) fn what(&self) -> String {
        match self {
            Self::Recipe { name, .. } => format!("`{name}`"),
            Self::Folder { reference, .. } => format!("`{reference}`"),
        }
    }
}

/// A file of an installer as it is asked for.
pub(super) enum Asked {
    /// What a host fetches has to be what was meant.
    Url { url: String, sha256: String },
    /// A file of this machine is looked at before it is sent, so that its hash may be left out.
    File {
        path: PathBuf,
        sha256: Option<String>,
    },
}

impl Asked {
    fn read(place: &str, sha256: Option<&str>) -> Result<Self> {
        let sha256 = sha256.map(image::check_hash).transpose()?;
        if !place.contains("://") {
            return Ok(Self::File {
                path: PathBuf::from(place),
                sha256,
            });
        }
        let sha256 = sha256.ok_or_else(|| {
            Error::usage("An installer from an address needs its hash")
                .hint("Say `--sha256 HEX`: what a host fetches and installs must be what you mean")
        })?;
        Ok(Self::Url {
            url: place.to_owned(),
            sha256,
        })
    }

    fn place(&self) -> Place {
        match self {
            Self::Url { url, .. } => Place::Url(url.clone()),
            Self::File { path, .. } => Place::File(path.clone()),
        }
    }

    /// With the hash that a file of this machine has now.
    async fn hashed(self) -> Result<Media> {
        let place = self.place();
        let (path, want) = match self {
            Self::Url { sha256, .. } => return Ok(Media { place, sha256 }),
            Self::File { path, sha256 } => (path, sha256),
        };
        let sha256 = hash_of_file(&path).await.map_err(|e| {
            Error::usage(format!("The installer `{}` cannot be read", path.display()))
                .because(e.to_string())
        })?;
        if want.is_some_and(|want| !want.eq_ignore_ascii_case(&sha256)) {
            return Err(Error::new(
                Code::Refused,
                format!(
                    "The installer `{}` is not the one that you mean",
                    path.display()
                ),
            )
            .because(format!("its SHA-256 is {sha256}")));
        }
        Ok(Media { place, sha256 })
    }
}

/// The media with the hash that each file of this machine has now.
pub(super) async fn hashed(asked: Vec<Asked>) -> Result<Vec<Media>> {
    let mut all = Vec::new();
    for one in asked {
        all.push(one.hashed().await?);
    }
    Ok(all)
}

async fn hash_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece).await? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(piece.get(..n).unwrap_or_default()),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
