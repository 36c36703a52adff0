//! Building one image, and building anew those that are old.

use std::sync::Arc;

use berth_core::{
    Code, Error, Result,
    host::Os,
    image::{self, BUILT, MEDIA, OWN, RECIPE},
};
use berth_engine::Build;
use chrono::{DateTime, Utc};

use super::{
    accept, host_of,
    make::{AGAIN, make, run, sweep},
    order::{Order, hashed},
};
use crate::{
    Berth, berth::now, context, dto, healing::again, hosts, link::Link, operations::Operation,
    table::Call,
};

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
            let link = reach(&all, &host, &operation).await?;
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

pub(super) async fn reach(
    berth: &Arc<Berth>,
    host: &str,
    operation: &Operation,
) -> Result<Arc<Link>> {
    operation
        .phase(
            "host",
            format!("Reaching `{host}`"),
            again(1, || berth.links.get(berth, host)),
        )
        .await
}

/// One build at a time on a host: they would be in each other's way on its disk.
pub(super) fn subject(host: &str) -> String {
    format!("{host}: images")
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
            let link = reach(&all, &host, &operation).await?;
            let build = windows_build(&link).await?;
            // Ten years are as good as for ever.
            let age = i64::try_from(request.older_than.min(315_360_000)).unwrap_or_default();
            let before = Utc::now() - chrono::Duration::seconds(age);
            let (mut notes, mut changed) = (Vec::new(), false);
            for old in again(AGAIN, || link.engine.images(RECIPE)).await? {
                let built = (old.labels.get(BUILT))
                    .and_then(|t| DateTime::parse_from_rfc3339(t).ok());
                let Some(name) = old.labels.get(RECIPE) else {
                    continue;
                };
                // One that lost its name is what an instance still uses: the newer one has its name.
                let Some(reference) = old.tags.first() else {
                    continue;
                };
                if built.is_some_and(|t| t > before) {
                    continue;
                }
                if old.labels.get(MEDIA).is_some_and(|media| media == OWN) {
                    notes.push(format!("`{reference}` stays as it is: it was built from an installer of your own, and Microsoft's may be another. `berth image build {name} --media …` makes it anew"));
                    continue;
                }
                let collation = old.labels.get(image::COLLATION);
                let kit = match image::kit(name, build, collation.map(String::as_str), &[]) {
                    Ok(kit) => kit,
                    Err(e) => {
                        notes.push(format!("`{reference}` stays as it is: {e}"));
                        continue;
                    }
                };
                let made = make(&all, &link, &kit, true, &operation).await?;
                changed = true;
                notes.push(format!("`{}` is new", kit.reference));
                notes.extend(made.1);
            }
            if !changed && notes.is_empty() {
                notes.push("No image is that old".to_owned());
            }
            let link = all.links.get(&all, &host).await?;
            notes.extend(sweep(&link).await?);
            all.hosts_changed.send_modify(|n| *n += 1);
            Ok(dto::Outcome {
                instance: None,
                notes,
                changed,
            })
        })
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
