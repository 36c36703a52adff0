//! `berth image …`

use std::{collections::BTreeMap, path::Path};

use berth_api::{
    dto,
    table::{self, Command},
};
use berth_core::{Code, Error, Result, image, size};

use crate::{
    args::{Image, ImageBuild},
    render::{self, note, out},
    session::{Session, absolute, can_ask, confirm, json},
};

pub(crate) async fn run(session: &Session, command: Image) -> Result<u8> {
    match command {
        Image::Recipes { json: as_json } => recipes(session, as_json.json).await,
        Image::List {
            host,
            json: as_json,
        } => list(session, host, as_json.json).await,
        Image::Pull {
            reference,
            host,
            json: as_json,
        } => {
            let wish = dto::ImagePull { host, reference };
            let started = session
                .begin::<table::ImagePull>(&wish, BTreeMap::new())
                .await?;
            watch(session, started, as_json.json).await
        }
        Image::Build(build) => self::build(session, build).await,
        Image::Rebuild {
            host,
            older_than,
            accept_eula,
            json: as_json,
        } => {
            let wish = |accept_eula| dto::ImageRebuild {
                host: host.clone(),
                older_than,
                accept_eula,
            };
            accepting::<table::ImageRebuild>(session, wish, accept_eula, as_json.json).await
        }
        Image::Remove { reference, host } => {
            let wish = dto::ImageRemove {
                reference: reference.clone(),
                host,
            };
            session.call::<table::ImageRemove>(&wish).await?;
            note(format!("{reference} is removed"));
            Ok(0)
        }
    }
}

async fn recipes(session: &Session, as_json: bool) -> Result<u8> {
    let all = session
        .call::<table::ImageRecipes>(&dto::Nothing {})
        .await?
        .body;
    if as_json {
        out(json(&all)?);
        return Ok(0);
    }
    out(render::table(
        &["RECIPE", "INSTALLER", "NOTE"],
        all.recipes.iter().map(|r| {
            vec![
                r.name.clone(),
                r.media_mb
                    .map_or_else(|| "?".into(), |mb| format!("{mb} MB")),
                r.notes.join("; "),
            ]
        }),
    ));
    Ok(0)
}

async fn list(session: &Session, host: Option<String>, as_json: bool) -> Result<u8> {
    let all = session
        .call::<table::ImageList>(&dto::ImageList { host })
        .await?
        .body;
    if as_json {
        out(json(&all)?);
        return Ok(0);
    }
    if all.is_empty() {
        note("No images. `berth image build 2022-express` makes one on a Windows host");
        return Ok(0);
    }
    let now = std::time::SystemTime::now();
    out(render::table(
        &["IMAGE", "RECIPE", "BUILT", "SIZE", "USED BY"],
        all.iter().map(|i| {
            vec![
                if i.current {
                    i.reference.clone()
                } else {
                    format!("{} (older)", i.reference.get(..19).unwrap_or(&i.reference))
                },
                i.recipe.clone().unwrap_or_default(),
                (i.built_at.as_deref()).map_or_else(String::new, |at| render::age(at, now)),
                size::format(i.size),
                i.used_by.join(", "),
            ]
        }),
    ));
    Ok(0)
}

async fn build(session: &Session, build: ImageBuild) -> Result<u8> {
    if build.sha256.len() > build.media.len() {
        return Err(Error::usage("There are more `--sha256` than `--media`"));
    }
    let media = build
        .media
        .iter()
        .enumerate()
        .map(|(n, place)| {
            Ok(dto::MediaFile {
                place: if place.contains("://") {
                    place.clone()
                } else {
                    absolute(Path::new(place))?
                },
                sha256: build.sha256.get(n).cloned(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let folder = build.folder.as_deref().map(absolute).transpose()?;
    let wish = |accept_eula| dto::ImageBuild {
        recipe: build.recipe.clone(),
        folder: folder.clone(),
        reference: build.name.clone(),
        host: build.host.clone(),
        collation: build.collation.clone(),
        media: media.clone(),
        accept_eula,
        fresh: build.no_cache,
    };
    accepting::<table::ImageBuild>(session, wish, build.accept_eula, build.json.json).await
}

/// Starts the operation, after asking for the licence where somebody is there to answer, and watches it.
async fn accepting<C: Command<Response = dto::Started>>(
    session: &Session,
    wish: impl Fn(bool) -> C::Request,
    accepted: bool,
    as_json: bool,
) -> Result<u8> {
    let started = match session.begin::<C>(&wish(accepted), BTreeMap::new()).await {
        Err(e) if e.code() == Code::Refused && !accepted && can_ask() => {
            let Some(terms) = e.get_detail("eula") else {
                return Err(e);
            };
            note(format!(
                "An image is built of Microsoft's parts, under {terms}."
            ));
            note(format!("{}.", image::POSITION));
            if !confirm("Do you accept these terms?").await? {
                return Err(e);
            }
            session.begin::<C>(&wish(true), BTreeMap::new()).await?
        }
        other => other?,
    };
    watch(session, started, as_json).await
}

async fn watch(session: &Session, started: dto::Started, as_json: bool) -> Result<u8> {
    let each = |event: &dto::OperationEvent| {
        if as_json && let Ok(line) = serde_json::to_string(event) {
            out(line);
        }
    };
    let outcome = session.watch_with(started, each).await?;
    if as_json {
        let line = serde_json::json!({ "outcome": { "notes": outcome.notes, "changed": outcome.changed } });
        out(line.to_string());
    }
    for text in &outcome.notes {
        note(text);
    }
    Ok(0)
}
