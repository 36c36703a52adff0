//! A container's own files: what is mounted into it, its data, and what was copied into it.
//!
//! The files of its image are not there: nobody could say honestly what Windows' own are.

use std::path::{Path, PathBuf};

use super::{
    Model, container_folder,
    disk::{WindowsPath, entry},
    refusal::{Answer, Refusal},
    state::Container,
};

/// Where the data is where nothing is mounted for it.
const DATA: &str = "C:\\data";

/// Reads a path of an archive request, which may lack its drive and have slashes of either kind.
///
/// # Errors
/// It is no path of Windows.
pub fn container_path(text: &str) -> Answer<WindowsPath> {
    let trimmed = text.trim_end_matches(['/', '\\']);
    let trimmed = trimmed.strip_suffix("/.").unwrap_or(trimmed);
    let whole = match trimmed.strip_prefix(['/', '\\']) {
        Some(rest) if !trimmed.contains(':') => format!("C:\\{rest}"),
        Some(rest) => rest.to_owned(),
        None if trimmed.contains(':') => trimmed.to_owned(),
        None => format!("C:\\{trimmed}"),
    };
    WindowsPath::absolute(&whole)
        .ok_or_else(|| Refusal::invalid(format!("the path `{text}` is no path of Windows")))
}

impl Model {
    /// Where a container's file really is, whether or not it is there. Blocking.
    pub fn container_file(&self, container: &Container, path: &WindowsPath) -> Option<PathBuf> {
        let own = container_folder(&self.dir, &container.id);
        let mut start = None;
        for mount in &container.mounts {
            if let Some(target) = WindowsPath::absolute(&mount.target)
                && let Some(rest) = path.below(&target)
            {
                start = Some((self.mount_folder(mount)?, rest));
            }
        }
        let (folder, names) = start
            .or_else(|| {
                let rest = path.below(&WindowsPath::absolute(DATA)?)?;
                Some((own.join("data"), rest))
            })
            .or_else(|| Some((own.join("layer"), path.names_below_drive()?)))?;
        Some(
            names
                .iter()
                .fold(folder, |folder: PathBuf, name| entry(&folder, name)),
        )
    }

    /// The same for what must be there.
    ///
    /// # Errors
    /// It is not, or it would be a file of the image.
    pub fn container_file_there(
        &self,
        container: &Container,
        path: &WindowsPath,
    ) -> Answer<PathBuf> {
        let real = self.container_file(container, path);
        if let Some(real) = real.filter(|real| real.exists()) {
            return Ok(real);
        }
        // What a build copied into the image, the newest layer first.
        if let (Ok(image), Some(names)) =
            (self.image(&container.image_id), path.names_below_drive())
        {
            let below = image.layers.iter().rev();
            for id in [&image.id].into_iter().chain(below) {
                let folder = super::build::image_folder(&self.dir, id);
                let real = names
                    .iter()
                    .fold(folder, |folder: PathBuf, name| entry(&folder, name));
                if real.exists() {
                    return Ok(real);
                }
            }
        }
        let known = self
            .container_file(container, path)
            .is_some_and(|real| real.parent().is_some_and(Path::exists));
        if known {
            return Err(Refusal::not_found(format!(
                "Could not find the file {} in container {}",
                path.to_windows(),
                container.name
            )));
        }
        Err(Refusal::not_implemented(&format!(
            "The image's own file `{}`",
            path.to_windows()
        )))
    }
}
