//! `image.recipes`, `image.list`, `image.build`, `image.rebuild`, `image.remove`: the SQL Server images of a Windows host.

mod make;
mod order;
mod pull;
mod work;

use std::sync::Arc;

use berth_core::{
    Code, Error, Result,
    host::PRACTICE,
    image::{self, BASE_EULA, BUILT, RECIPE},
    label, recipe,
};
use berth_store::Settings;

use crate::{Berth, berth::now, dto, hosts, table::Call};

pub(crate) use pull::{pull, pulled};
pub(crate) use work::{build, rebuild};

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
