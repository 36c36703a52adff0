//! `image.pull`: an image of a registry, fetched by a host's engine.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use berth_core::{Code, Error, Result, host::Os, recipe::Recipe};
use berth_engine::Image;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{
    host_of,
    work::{reach, subject},
};
use crate::{Berth, dto, link::Link, operations::Operation, table::Call};

/// Without a word from a pull for so long, it is given up: Windows layers of gigabytes unpack without one.
const SILENCE: Duration = Duration::from_secs(600);

/// `image.pull`: starts the operation.
pub(crate) async fn pull(
    berth: &Arc<Berth>,
    request: dto::ImagePull,
    _: &Call,
) -> Result<dto::Started> {
    let reference = request.reference;
    Recipe::choose(Os::Linux, None, None, None, Some(&reference), None)?;
    if reference.starts_with("berth/") {
        return Err(Error::usage(
            "Images of Berth's own recipes are in no registry: Microsoft allows nobody to pass them on",
        )
        .hint("`berth image build` makes one on its host"));
    }
    let host = host_of(berth, request.host).await?;
    let title = format!("Pulling `{reference}` to `{host}`");
    let (all, subject) = (Arc::clone(berth), subject(&host));
    berth.operations.start(
        berth,
        "pull",
        title,
        &subject,
        move |operation| async move {
            let link = reach(&all, &host, &operation).await?;
            let before = link.engine.image(&reference).await?.map(|i| i.id);
            let image = operation
                .phase(
                    "image",
                    format!("Pulling `{reference}`"),
                    pulled(&link, &reference, &operation),
                )
                .await?;
            all.hosts_changed.send_modify(|n| *n += 1);
            let changed = before.as_ref() != Some(&image.id);
            let what = if changed {
                "is there"
            } else {
                "was there already, and is the newest"
            };
            Ok(dto::Outcome {
                instance: None,
                notes: vec![format!(
                    "`{reference}` {what}; `berth up --image {reference}` makes an instance of it"
                )],
                changed,
            })
        },
    )
}

/// Has the engine fetch an image; told is each percent of all its layers.
pub(crate) async fn pulled(link: &Link, reference: &str, operation: &Operation) -> Result<Image> {
    let platform = (link.os == Os::Linux).then_some("linux/amd64");
    operation.progress(format!("Pulling `{reference}`"), None);
    let streaming = link.streaming().await?;
    let mut pull = std::pin::pin!(streaming.pull(reference, platform));
    let mut layers: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut told = (0_u64, 0_u64);
    loop {
        let next = timeout(SILENCE, pull.next()).await.map_err(|_| {
            Error::new(
                Code::TimedOut,
                format!("The pull of `{reference}` stands still"),
            )
            .because(format!("nothing came for {} s", SILENCE.as_secs()))
        })?;
        let Some(step) = next.transpose()? else { break };
        if let (Some(layer), Some(done), Some(total)) = (step.layer, step.done, step.total) {
            layers.insert(layer, (done, total));
            let sum = layers
                .values()
                .fold((0, 0), |(d, t), (done, total)| (d + done, t + total));
            // One event for each percent, not for each message.
            if sum.1 != told.1 || (sum.0.saturating_sub(told.0)) * 100 > sum.1 {
                told = sum;
                operation.progress(format!("Pulling `{reference}`"), Some(sum));
            }
        }
    }
    link.engine.image(reference).await?.ok_or_else(|| {
        Error::failed(format!(
            "The image `{reference}` was pulled and is not there"
        ))
    })
}
