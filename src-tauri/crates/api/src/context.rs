//! A folder of the user's own as the context of a build.

use std::path::{Path, PathBuf};

use berth_core::{Error, Result};
use berth_engine::Content;

/// More is no recipe, but a folder that was meant by mistake.
const MOST_FILES: usize = 10_000;
/// Bytes of a context: an installer of SQL Server's largest edition, twice.
const LARGEST: u64 = 4 << 30;

/// Its files by their path in the context, in one order everywhere.
pub(crate) async fn of_folder(folder: PathBuf) -> Result<Vec<(String, Content)>> {
    tokio::task::spawn_blocking(move || read(&folder))
        .await
        .map_err(|e| Error::failed("The folder could not be read").because(e.to_string()))?
}

fn read(folder: &Path) -> Result<Vec<(String, Content)>> {
    let refused = |what: &str| Error::usage(format!("`{}` {what}", folder.display()));
    if !folder.join("Dockerfile").is_file() {
        return Err(refused("has no file `Dockerfile`"));
    }
    if folder.join(".dockerignore").exists() {
        // What it keeps out may be secret: guessing its rules would be worse than not building.
        return Err(
            refused("has a `.dockerignore`, whose rules Berth does not read").hint(
                "Give a folder that holds the Dockerfile and what it copies, and nothing else",
            ),
        );
    }
    let mut all = Vec::new();
    let mut bytes = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let unreadable = |e: std::io::Error| {
            Error::usage(format!("`{}` cannot be read", next.display())).because(e.to_string())
        };
        for entry in std::fs::read_dir(&next).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let about = std::fs::symlink_metadata(&path).map_err(unreadable)?;
            if about.is_dir() {
                folders.push(path);
                continue;
            }
            if !about.is_file() {
                return Err(
                    Error::usage(format!("`{}` is no plain file", path.display()))
                        .because("links and devices are not sent along")
                        .hint("Put the file itself there"),
                );
            }
            let name = (path.strip_prefix(folder).ok())
                .and_then(|below| {
                    let parts: Option<Vec<_>> =
                        below.components().map(|c| c.as_os_str().to_str()).collect();
                    Some(parts?.join("/"))
                })
                .ok_or_else(|| Error::usage(format!("`{}` has no usable name", path.display())))?;
            bytes += about.len();
            all.push((name, Content::File(path)));
            if all.len() > MOST_FILES || bytes > LARGEST {
                return Err(refused("holds more than a build takes")
                    .because(format!("at most {MOST_FILES} files and 4 GiB are sent"))
                    .hint("Give a folder that holds the Dockerfile and what it copies, and nothing else"));
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_sent_whole_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(read(folder.path()).is_err(), "no Dockerfile");
        std::fs::create_dir(at("sub")).unwrap();
        for name in ["Dockerfile", "sub/b", "a"] {
            std::fs::write(at(name), name).unwrap();
        }
        let names: Vec<_> = read(folder.path())
            .unwrap()
            .into_iter()
            .map(|f| f.0)
            .collect();
        assert_eq!(names, ["Dockerfile", "a", "sub/b"]);
        std::os::unix::fs::symlink("/etc/passwd", at("link")).unwrap();
        assert!(read(folder.path()).is_err(), "a link may lead to anything");
        std::fs::remove_file(at("link")).unwrap();
        std::fs::write(at(".dockerignore"), "a").unwrap();
        assert!(
            read(folder.path()).is_err(),
            "what its owner keeps out must not be sent"
        );
    }
}
