//! What volumes and containers take on the host's disk.

use std::time::Duration;

use berth_core::Result;
use bollard::query_parameters::InspectContainerOptionsBuilder;
use serde_json::Value;

use crate::{
    container::check_id,
    engine::Engine,
    error::{Doing, unusable_answer},
};

/// An engine walks every file of what it is asked for.
const WALK: Duration = Duration::from_secs(15);

/// What one container and one volume take, in bytes. `None`: the engine does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskUse {
    /// What the container wrote beside its image.
    pub container: Option<u64>,
    /// What is in the volume.
    pub volume: Option<u64>,
}

impl Engine {
    /// What a container, and a volume if one is named, take on the host's disk. The engine counts when it is asked: 15 seconds at most.
    ///
    /// # Errors
    /// [`berth_core::Code::NotFound`] where there is no such container; what the engine says.
    pub async fn disk_use(&self, container: &str, volume: Option<&str>) -> Result<DiskUse> {
        let doing = Doing::new("count the disk use of the container", container);
        check_id(&doing, container)?;
        let options = InspectContainerOptionsBuilder::new().size(true).build();
        let calls = self.calls(WALK);
        let inspected = self.within(
            doing,
            WALK,
            calls.inspect_container(container, Some(options)),
        );
        let walked = async {
            match volume {
                Some(volume) => self.volume_size(volume).await,
                None => Ok(None),
            }
        };
        let (container, volume) = tokio::try_join!(inspected, walked)?;
        Ok(DiskUse {
            container: container.size_rw.and_then(|n| u64::try_from(n).ok()),
            volume,
        })
    }

    /// What is in a volume, in bytes; `None` where the engine does not say. 15 seconds at most.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn volume_size(&self, name: &str) -> Result<Option<u64>> {
        let doing = Doing::new("count the disk use of the volume", name);
        // Engines before 25 know no `type`, and those from 29 on say each volume only when asked in full.
        let asked = self.plain.get("/system/df?type=volume&verbose=1");
        let answer = self.within(doing, WALK, asked).await?;
        let answer: Value =
            serde_json::from_slice(&answer).map_err(|e| unusable_answer(&doing, &e.to_string()))?;
        Ok(size_of(&answer, name))
    }
}

/// The size of a volume, in the dialect before 1.52 and in that from then on. An engine that does not know says -1.
fn size_of(answer: &Value, name: &str) -> Option<u64> {
    let volumes = answer
        .get("VolumeUsage")
        .and_then(|usage| usage.get("Items"))
        .or_else(|| answer.get("Volumes"))?
        .as_array()?;
    volumes
        .iter()
        .find(|v| v.get("Name").and_then(Value::as_str) == Some(name))?
        .get("UsageData")?
        .get("Size")?
        .as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_both_dialects_and_unknown_ones_stay_unknown() {
        let item = |size: i64| serde_json::json!([{"Name": "a", "UsageData": {"Size": size, "RefCount": 1}}]);
        let old = serde_json::json!({"LayersSize": 1, "Volumes": item(7)});
        let new = serde_json::json!({"VolumeUsage": {"TotalCount": 1, "Items": item(7)}});
        assert_eq!((size_of(&old, "a"), size_of(&new, "a")), (Some(7), Some(7)));
        let unknown = serde_json::json!({"Volumes": item(-1)});
        assert_eq!(size_of(&unknown, "a"), None, "-1 is no size");
        assert_eq!(size_of(&old, "b"), None);
        assert_eq!(size_of(&serde_json::json!({"Volumes": null}), "a"), None);
    }
}
