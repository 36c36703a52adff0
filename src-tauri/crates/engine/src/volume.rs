//! Volumes: where an engine keeps data apart from containers.

use std::collections::{BTreeMap, HashMap};

use berth_core::Result;
use bollard::{
    models::{Volume as ApiVolume, VolumeCreateRequest},
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder},
};

use crate::{
    container::check_id,
    engine::{CHANGE, Engine, LIST, LOOK},
    error::Doing,
};

/// A volume of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name, unique on the host.
    pub name: String,
    /// Its labels. An engine can not change them later.
    pub labels: BTreeMap<String, String>,
    /// Where it is on the host.
    pub mountpoint: String,
    /// The driver: `local`.
    pub driver: String,
    /// RFC 3339; empty where the engine does not say.
    pub created: String,
}

impl From<ApiVolume> for Volume {
    fn from(v: ApiVolume) -> Self {
        Self {
            name: v.name,
            labels: v.labels.into_iter().collect(),
            mountpoint: v.mountpoint,
            driver: v.driver,
            created: v.created_at.map(|t| t.to_rfc3339()).unwrap_or_default(),
        }
    }
}

impl Engine {
    /// Makes a volume. One of the same name that is there already is answered as it is, with
    /// the labels that it has. Two minutes at most.
    ///
    /// # Errors
    /// The engine's reason.
    pub async fn create_volume(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Volume> {
        let doing = Doing::new("create the volume", name);
        check_id(&doing, name)?;
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        Ok(self
            .within(doing, CHANGE, self.calls(CHANGE).create_volume(request))
            .await?
            .into())
    }

    /// All volumes; `label` (`key` or `key=value`) picks some. 30 seconds at most.
    ///
    /// # Errors
    /// What the way to the engine says, or the engine itself.
    pub async fn volumes(&self, label: Option<&str>) -> Result<Vec<Volume>> {
        let mut options = ListVolumesOptionsBuilder::new();
        if let Some(label) = label {
            options = options.filters(&HashMap::from([("label", vec![label])]));
        }
        let doing = Doing::plain("list the volumes");
        let calls = self.calls(LIST);
        let list = self
            .within(doing, LIST, calls.list_volumes(Some(options.build())))
            .await?;
        Ok(list
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(Volume::from)
            .collect())
    }

    /// One volume by name. 10 seconds at most.
    ///
    /// # Errors
    /// [`berth_core::Code::NotFound`] where there is none.
    pub async fn volume(&self, name: &str) -> Result<Volume> {
        let doing = Doing::new("look for the volume", name);
        check_id(&doing, name)?;
        Ok(self
            .within(doing, LOOK, self.calls(LOOK).inspect_volume(name))
            .await?
            .into())
    }

    /// Removes a volume and the data in it, for good. Two minutes at most.
    ///
    /// # Errors
    /// [`berth_core::Code::NotFound`]; [`berth_core::Code::Refused`] while a container uses it.
    pub async fn remove_volume(&self, name: &str) -> Result<()> {
        let doing = Doing::new("remove the volume", name);
        check_id(&doing, name)?;
        let options = RemoveVolumeOptionsBuilder::new().force(false).build();
        self.within(
            doing,
            CHANGE,
            self.calls(CHANGE).remove_volume(name, Some(options)),
        )
        .await
    }
}
