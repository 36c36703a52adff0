//! Recipes: how a SQL Server image is found, and by which rules its container is run.

use crate::{Error, Result, host::Os, size};

/// The versions of SQL Server that Berth knows.
pub const VERSIONS: [u16; 6] = [2014, 2016, 2017, 2019, 2022, 2025];

/// What is taken where nobody says.
pub const DEFAULT_VERSION: u16 = 2022;

/// SQL Server's licence terms, by name and place.
pub const EULA: &str =
    "the Microsoft SQL Server licence terms (https://go.microsoft.com/fwlink/?LinkId=746388)";

/// The collation that SQL Server's Setup takes by itself on Windows in English.
pub const COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";

/// The base that images are built on for a Windows host of this build: `ltsc2022` is the one that is proven on both 2022 and 2025.
#[must_use]
pub fn base(build: Option<u32>) -> &'static str {
    if build.is_some_and(|b| b < 20348) {
        "ltsc2019"
    } else {
        "ltsc2022"
    }
}

/// The name of the image that Berth builds. The collation is built in, so another than the usual one makes another image.
#[must_use]
pub fn reference(version: u16, edition: Edition, base: &str, collation: Option<&str>) -> String {
    let plain = format!("berth/sql:{version}-{}-{base}", edition.as_str());
    match collation.filter(|c| !c.eq_ignore_ascii_case(COLLATION)) {
        Some(other) => format!("{plain}-{}", other.to_ascii_lowercase()),
        None => plain,
    }
}

/// Checks the name of a collation, as far as its form goes.
///
/// # Errors
/// [`crate::Code::Usage`] where no collation can be called so.
pub fn check_collation(name: &str) -> Result<()> {
    let fine = (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fine {
        return Ok(());
    }
    Err(Error::usage(format!(
        "`{}` is the name of no collation",
        name.escape_debug()
    ))
    .hint(format!(
        "Write it as SQL Server does, such as `{COLLATION}`"
    )))
}

/// The editions that need no licence to be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// Free, also in production; limits on size, memory and cores.
    Express,
    /// Everything, for development and tests only.
    Developer,
    /// Everything, for 180 days.
    Evaluation,
}

impl Edition {
    /// Lower case, as users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Express => "express",
            Self::Developer => "developer",
            Self::Evaluation => "evaluation",
        }
    }

    /// Reads the name.
    ///
    /// # Errors
    /// [`crate::Code::Usage`], naming the three.
    pub fn parse(text: &str) -> Result<Self> {
        [Self::Express, Self::Developer, Self::Evaluation]
            .into_iter()
            .find(|e| e.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                Error::usage(format!("`{text}` is no edition that Berth can make"))
                    .hint("Take `express`, `developer` or `evaluation`")
            })
    }

    /// The value of `MSSQL_PID` in the official Linux image. 2025 split Developer in two; the free
    /// successor of what it was is `EnterpriseDeveloper`.
    #[must_use]
    pub fn pid(self, version: u16) -> &'static str {
        match self {
            Self::Express => "Express",
            Self::Evaluation => "Evaluation",
            Self::Developer if version >= 2025 => "EnterpriseDeveloper",
            Self::Developer => "Developer",
        }
    }
}

/// Reads a version such as `2022`.
///
/// # Errors
/// [`crate::Code::Usage`], naming those that there are.
pub fn parse_version(text: &str) -> Result<u16> {
    text.parse()
        .ok()
        .filter(|v| VERSIONS.contains(v))
        .ok_or_else(|| {
            Error::usage(format!(
                "`{}` is no version of SQL Server that Berth knows",
                text.escape_debug()
            ))
            .hint("Take one of 2014, 2016, 2017, 2019, 2022, 2025")
        })
}

/// How a container is told its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// The official Linux image's environment: `MSSQL_SA_PASSWORD` is read when `master` is made.
    /// What is put there is a throw-away that is rotated after the first login.
    Official,
    /// An image made by Berth's Windows recipe: `sa` is disabled until a password comes in by the
    /// standard input of an exec.
    BerthWindows,
}

/// What one instance is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Stable name, kept in the label: `linux`, `windows` or `image`.
    pub id: &'static str,
    /// The image's reference.
    pub image: String,
    /// Version as far as it is known; `None` for an image of the user's own.
    pub version: Option<u16>,
    /// Edition asked for.
    pub edition: Edition,
    /// The container's operating system.
    pub os: Os,
}

impl Recipe {
    /// Finds the recipe for a host.
    ///
    /// `build` is the third number of the host's Windows version, which an image must match.
    ///
    /// # Errors
    /// [`crate::Code::Usage`] where Microsoft publishes no such image for Linux.
    pub fn choose(
        os: Os,
        build: Option<u32>,
        version: Option<u16>,
        edition: Option<Edition>,
        image: Option<&str>,
        collation: Option<&str>,
    ) -> Result<Self> {
        let edition = edition.unwrap_or(Edition::Express);
        if let Some(image) = image {
            check_image(image)?;
            return Ok(Self {
                id: "image",
                image: image.to_owned(),
                version,
                edition,
                os,
            });
        }
        let version = version.unwrap_or(DEFAULT_VERSION);
        match os {
            Os::Linux if version < 2017 => Err(Error::usage(format!(
                "SQL Server {version} does not run on Linux"
            ))
            .hint("Take 2017 or later, or a Windows host")),
            Os::Linux => Ok(Self {
                id: "linux",
                image: format!("mcr.microsoft.com/mssql/server:{version}-latest"),
                version: Some(version),
                edition,
                os,
            }),
            Os::Windows => {
                if let Some(collation) = collation {
                    check_collation(collation)?;
                }
                Ok(Self {
                    id: "windows",
                    image: reference(version, edition, base(build), collation),
                    version: Some(version),
                    edition,
                    os,
                })
            }
        }
    }

    /// Where SQL Server keeps everything inside the container.
    #[must_use]
    pub fn data_path(&self) -> &'static str {
        match self.os {
            Os::Linux => "/var/opt/mssql",
            Os::Windows => r"C:\data",
        }
    }

    /// Memory in bytes where nobody says: SQL Server refuses to start on Linux below 2000 MB.
    #[must_use]
    pub fn default_memory(&self) -> u64 {
        match self.os {
            Os::Linux => 2 << 30,
            Os::Windows => 3 << 30,
        }
    }

    /// Checks an amount of memory against what SQL Server starts with.
    ///
    /// # Errors
    /// [`crate::Code::Usage`] below 2000 MB on Linux, 1 GiB on Windows, or above 1 TiB.
    pub fn check_memory(&self, bytes: u64) -> Result<()> {
        let least = match self.os {
            Os::Linux => 2000 << 20,
            Os::Windows => 1 << 30,
        };
        if bytes < least {
            return Err(
                Error::usage(format!("{} of memory is too little", size::format(bytes)))
                    .because(format!(
                        "SQL Server does not start with less than {}",
                        size::format(least)
                    ))
                    .hint("Try `--memory 2g`"),
            );
        }
        if bytes > 1 << 40 {
            return Err(Error::usage(format!(
                "{} of memory is more than Berth gives one instance",
                size::format(bytes)
            )));
        }
        Ok(())
    }

    /// The limit in MB that the engine inside is told: it must leave room for what SQL Server needs beside it,
    /// and inside a Windows container it sees the memory of the whole host.
    #[must_use]
    pub fn engine_memory_mb(&self, bytes: u64) -> u64 {
        let mb = bytes >> 20;
        match self.os {
            Os::Linux => mb * 8 / 10,
            Os::Windows => mb.saturating_sub(1024).max(512),
        }
    }

    /// The name that an instance gets where nobody says: `sql2022`.
    #[must_use]
    pub fn base_name(&self) -> String {
        self.version
            .map_or_else(|| "sql".to_owned(), |v| format!("sql{v}"))
    }
}

fn check_image(image: &str) -> Result<()> {
    let bad = image.is_empty()
        || image.len() > 255
        || image.starts_with('-')
        || !image.is_ascii()
        || image.chars().any(|c| c.is_control() || c.is_whitespace());
    if bad {
        return Err(Error::usage(format!(
            "`{}` is not the reference of an image",
            image.escape_debug()
        ))
        .hint("Write it as Docker does, such as `mcr.microsoft.com/mssql/server:2022-latest`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_follows_the_host() {
        let r = Recipe::choose(Os::Linux, None, None, None, None, None).unwrap();
        assert_eq!(r.image, "mcr.microsoft.com/mssql/server:2022-latest");
        let r = Recipe::choose(
            Os::Windows,
            Some(17763),
            Some(2019),
            Some(Edition::Developer),
            None,
            None,
        )
        .unwrap();
        assert_eq!(r.image, "berth/sql:2019-developer-ltsc2019");
        let r = Recipe::choose(Os::Windows, Some(26100), None, None, None, None).unwrap();
        assert_eq!(r.image, "berth/sql:2022-express-ltsc2022");
        assert!(Recipe::choose(Os::Linux, None, Some(2014), None, None, None).is_err());
        assert!(Recipe::choose(Os::Linux, None, None, None, Some("-v"), None).is_err());
    }

    #[test]
    fn sql_server_2025_knows_no_plain_developer() {
        assert_eq!(Edition::Developer.pid(2022), "Developer");
        assert_eq!(Edition::Developer.pid(2025), "EnterpriseDeveloper");
    }

    #[test]
    fn too_little_memory_is_refused_before_the_container_dies_of_it() {
        let r = Recipe::choose(Os::Linux, None, None, None, None, None).unwrap();
        assert!(r.check_memory(1 << 30).is_err());
        assert!(r.check_memory(r.default_memory()).is_ok());
        assert!(r.engine_memory_mb(2 << 30) < 2048);
    }
}
