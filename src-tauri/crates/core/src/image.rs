//! Images of SQL Server for Windows: what they are made of. Microsoft publishes none, so each is built on its own host.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use crate::{
    Error, Result, label,
    recipe::{self, Edition, parse_version},
};

/// The terms of the Windows base image, by name and place.
pub const BASE_EULA: &str = "the Windows container base image terms (https://learn.microsoft.com/virtualization/windowscontainers/images-eula)";

/// What whoever builds should know of Microsoft's position.
pub const POSITION: &str = "Microsoft does not support SQL Server in Windows containers, and allows nobody to pass such images on";

/// The label of an image with the recipe that it was made by, such as `2022-express`.
pub const RECIPE: &str = "dev.berth.image.recipe";
/// The recipe's own version.
pub const VERSION: &str = "dev.berth.image.version";
/// The hash of all that it was made of.
pub const HASH: &str = "dev.berth.image.hash";
/// When it was made, RFC 3339.
pub const BUILT: &str = "dev.berth.image.built";
/// SQL Server's edition.
pub const EDITION: &str = "dev.berth.sql.edition";
/// The server's collation.
pub const COLLATION: &str = "dev.berth.sql.collation";
/// Whose installer it was made of, where it was not the one that the recipe fetches: [`OWN`].
pub const MEDIA: &str = "dev.berth.image.media";
/// The user's own: what the recipe would fetch may be something else, and never takes its place unasked.
pub const OWN: &str = "own";

/// How a line of the build begins that says how far it is.
pub const STEP: &str = "BERTH-STEP: ";
/// How a line begins that says why it failed.
pub const CAUSE: &str = "BERTH-CAUSE: ";

const FILES: [(&str, &str); 5] = [
    (
        "Dockerfile",
        include_str!("../../../../installers/windows/sqlserver/Dockerfile"),
    ),
    (
        "install.ps1",
        include_str!("../../../../installers/windows/sqlserver/install.ps1"),
    ),
    (
        "start.ps1",
        include_str!("../../../../installers/windows/sqlserver/start.ps1"),
    ),
    (
        "set-sa.ps1",
        include_str!("../../../../installers/windows/sqlserver/set-sa.ps1"),
    ),
    (
        "health.ps1",
        include_str!("../../../../installers/windows/sqlserver/health.ps1"),
    ),
];
const RECIPES: &str = include_str!("../../../../installers/windows/sqlserver/recipes.json");

/// The text of a file of the recipe, for those who play a host.
#[must_use]
pub fn file(name: &str) -> Option<&'static str> {
    FILES
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, text)| *text)
}

#[derive(Deserialize)]
struct Data {
    recipe: u32,
    media: String,
    bases: BTreeMap<String, String>,
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: u16,
    major: u16,
    edition: String,
    files: Vec<String>,
    sha256: Vec<String>,
    #[serde(default)]
    bases: BTreeMap<String, String>,
    #[serde(default)]
    pid: Option<String>,
    #[serde(default)]
    mb: Option<u32>,
    #[serde(default)]
    notes: Vec<String>,
}

/// A recipe that needs nothing of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// `2022-express`.
    pub name: String,
    /// `2022`.
    pub version: u16,
    /// Its edition.
    pub edition: Edition,
    /// What the installer weighs in megabytes, where that is known.
    pub mb: Option<u32>,
    /// What should be known before.
    pub notes: Vec<String>,
}

/// Where a file of the user's own installer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The host fetches it from this address.
    Url(String),
    /// It lies on this machine, and is sent along with the recipe.
    File(PathBuf),
}

/// A file of the user's own installer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where it is.
    pub place: Place,
    /// What it must be, 64 hexadecimal digits.
    pub sha256: String,
}

/// What an image is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kit {
    /// `2022-express`.
    pub name: String,
    /// The image's reference.
    pub reference: String,
    /// The recipe's own files.
    pub files: Vec<(String, Vec<u8>)>,
    /// Files of this machine that go along, by their path in the context.
    pub media: Vec<(String, PathBuf)>,
    /// Arguments of the build; no secret.
    pub arguments: BTreeMap<String, String>,
    /// Labels of the image, but for the hash and the time.
    pub labels: BTreeMap<String, String>,
    /// What should be known before.
    pub notes: Vec<String>,
}

/// Every recipe that needs nothing of the user's own.
///
/// # Errors
/// Never, as a test holds.
pub fn known() -> Result<Vec<Known>> {
    data()?
        .versions
        .into_iter()
        .map(|v| {
            Ok(Known {
                name: format!("{}-{}", v.version, v.edition),
                version: v.version,
                edition: Edition::parse(&v.edition)?,
                mb: v.mb,
                notes: v.notes,
            })
        })
        .collect()
}

fn data() -> Result<Data> {
    serde_json::from_str(RECIPES)
        .map_err(|e| Error::failed("The recipes cannot be read").because(e.to_string()))
}

/// Reads `2022-express`, or `2022`, which is its Express edition.
///
/// # Errors
/// [`crate::Code::Usage`] for what is no version or edition.
pub fn parse(text: &str) -> Result<(u16, Edition)> {
    let (version, edition) = text.split_once('-').unwrap_or((text, "express"));
    Ok((parse_version(version)?, Edition::parse(edition)?))
}

/// Whether a build makes sense, as far as that is known before its host is asked and a file is read.
///
/// # Errors
/// Those of [`kit`], but for the hashes of the media.
pub fn check(recipe: &str, collation: Option<&str>, media: &[Place]) -> Result<()> {
    let (version, edition) = parse(recipe)?;
    like(&data()?, version, edition, !media.is_empty())?;
    check_places(media)?;
    collation.map_or(Ok(()), recipe::check_collation)
}

/// The recipe of this version and edition, or the version's first where the user brings an installer:
/// any edition can be made with one, and what else is needed follows from the version.
fn like(data: &Data, version: u16, edition: Edition, own: bool) -> Result<&Version> {
    let of_version = || data.versions.iter().filter(|v| v.version == version);
    let found = of_version().find(|v| v.edition == edition.as_str());
    if let Some(like) = found.or_else(|| of_version().next().filter(|_| own)) {
        return Ok(like);
    }
    let names: Vec<_> = known()?.into_iter().map(|k| k.name).collect();
    Err(Error::usage(format!(
        "There is no recipe for SQL Server {version} {}",
        edition.as_str()
    ))
    .because("Microsoft has no installer of it that can be fetched without signing in")
    .hint(format!(
        "There are {}; or give an installer of your own with `--media`",
        names.join(", ")
    )))
}

/// What to build for a host whose Windows has this build.
///
/// # Errors
/// [`crate::Code::Usage`] where there is no recipe, or the collation or the media make no sense.
pub fn kit(recipe: &str, build: u32, collation: Option<&str>, media: &[Media]) -> Result<Kit> {
    let (version, edition) = parse(recipe)?;
    let data = data()?;
    let like = like(&data, version, edition, !media.is_empty())?;
    let found = Some(like).filter(|v| v.edition == edition.as_str());
    let base = recipe::base(Some(build));
    let image = like
        .bases
        .get(base)
        .or_else(|| data.bases.get(base))
        .ok_or_else(|| Error::failed(format!("The recipes name no base `{base}`")))?;
    let (mut urls, mut hashes, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    if media.is_empty() {
        for (n, file) in like.files.iter().enumerate() {
            urls.push(format!("{}{file}", data.media));
            hashes.push(like.sha256.get(n).map_or("-", String::as_str).to_owned());
        }
    } else {
        let places: Vec<_> = media.iter().map(|m| m.place.clone()).collect();
        for (one, place) in media.iter().zip(check_places(&places)?) {
            hashes.push(check_hash(&one.sha256)?);
            if let Place::File(path) = &one.place {
                sent.push((place.clone(), path.clone()));
            }
            urls.push(place);
        }
    }
    let collation = collation.unwrap_or(recipe::COLLATION);
    recipe::check_collation(collation)?;
    let name = format!("{version}-{}", edition.as_str());
    let text = |k: &str, v: String| (k.to_owned(), v);
    let mut notes = found.map(|f| f.notes.clone()).unwrap_or_default();
    if !sent.is_empty() {
        notes.push("Your installer is sent with the recipe, and the image is larger by its size: with a URL the host fetches it, and it is not".to_owned());
    }
    Ok(Kit {
        reference: recipe::reference(version, edition, base, Some(collation)),
        files: FILES
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect(),
        media: sent,
        arguments: [
            text("BASE", image.clone()),
            text("SQL_MAJOR", like.major.to_string()),
            text("SQL_EDITION", edition.as_str().to_owned()),
            text(
                "SQL_PID",
                found.and_then(|f| f.pid.clone()).unwrap_or_default(),
            ),
            text("SQL_COLLATION", collation.to_owned()),
            text("MEDIA_URLS", urls.join(" ")),
            text("MEDIA_SHA256", hashes.join(" ")),
        ]
        .into(),
        labels: [
            text(label::SQL_MAJOR, like.major.to_string()),
            text(EDITION, edition.as_str().to_owned()),
            text(COLLATION, collation.to_owned()),
            text(RECIPE, name.clone()),
            text(VERSION, data.recipe.to_string()),
        ]
        .into_iter()
        .chain((!media.is_empty()).then(|| text(MEDIA, OWN.to_owned())))
        .collect(),
        notes,
        name,
    })
}

/// Where each file of an installer is found during the build: one program, and its box where it has one.
fn check_places(media: &[Place]) -> Result<Vec<String>> {
    let (mut all, mut programs) = (Vec::new(), 0);
    for one in media {
        let (place, name) = check_place(one)?;
        programs += usize::from(name.ends_with(".exe"));
        all.push(place);
    }
    if !media.is_empty() && programs != 1 {
        return Err(
            Error::usage("An installer is one `.exe`, and its `.box` where it has one")
                .hint("Give `--media` for each of its files, each followed by its `--sha256`"),
        );
    }
    Ok(all)
}

/// Where a file of an installer is found during the build, and its name in small letters.
fn check_place(one: &Place) -> Result<(String, String)> {
    let bad = |what: &str| {
        Err(Error::usage(format!("The media {what}"))
            .hint("Write `--media https://…/NAME.exe --sha256 HEX`, or a file's path"))
    };
    let fine = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let (place, name) = match one {
        Place::Url(url) => {
            let Some(rest) = url
                .strip_prefix("https://")
                .or_else(|| url.strip_prefix("http://"))
            else {
                return bad("is not a place that the host can fetch it from");
            };
            // It becomes a part of a list, and an argument of a program.
            if rest
                .bytes()
                .any(|b| !b.is_ascii_graphic() || b"\"'`$;|<>^".contains(&b))
            {
                return bad("has an address with characters that an address has not");
            }
            let path = rest.split(['?', '#']).next().unwrap_or_default();
            let Some((_, name)) = path.rsplit_once('/') else {
                return bad("has an address without a file");
            };
            (url.clone(), name.to_owned())
        }
        Place::File(path) => {
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            (format!("media/{name}"), name.to_owned())
        }
    };
    let lower = name.to_ascii_lowercase();
    if !fine(&name) || !(lower.ends_with(".exe") || lower.ends_with(".box")) {
        return bad("is no `.exe` and no `.box` with a plain name");
    }
    Ok((place, lower))
}

/// A SHA-256 as Windows writes it.
///
/// # Errors
/// [`crate::Code::Usage`] for what is none.
pub fn check_hash(sha256: &str) -> Result<String> {
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::usage("A SHA-256 has 64 hexadecimal digits")
            .hint("On a Mac: `shasum -a 256 FILE`"));
    }
    Ok(sha256.to_ascii_uppercase())
}

/// The lines of a failed build that say why: our own, and those that SQL Server's Setup sums up with. At most 12.
#[must_use]
pub fn causes<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    const WORTH: [&str; 8] = [
        "Exit code (Decimal):",
        "Exit message:",
        "Exit error code:",
        "Error description:",
        "Error help link:",
        "Error result:",
        "Component error code:",
        "Error: ",
    ];
    let mut all: Vec<String> = Vec::new();
    for line in lines {
        let line = line.trim();
        let said = match line.strip_prefix(CAUSE) {
            Some(said) => said,
            None if WORTH.iter().any(|word| line.starts_with(word)) => line,
            None => continue,
        };
        if all.len() < 12 && !all.iter().any(|old| old == said) {
            all.push(said.to_owned());
        }
    }
    all
}

/// What helps against a failure of a build that is known by its words.
#[must_use]
pub fn explain(said: &str) -> Option<&'static str> {
    const SECTORS: &str = "SQL Server's engine did not start while it was installed: the disk of the host has sectors over 4 KB, or too little memory is free. `berth host doctor` looks at both";
    const OLD: &str = "The base image is of another Windows than the host's: install the host's updates, then build again";
    const KNOWN: [(&str, &str); 17] = [
        ("0x851A0019", SECTORS),
        ("0x851A001A", SECTORS),
        ("Error: 5178", SECTORS),
        ("Error: 5179", SECTORS),
        (
            "Error: 701",
            "SQL Server got too little memory while it was installed: close what runs on the host, or give the machine more",
        ),
        ("0xc0370101", OLD),
        ("does not match the host operating system", OLD),
        ("a Windows version 10.0", OLD),
        ("no matching manifest", OLD),
        (
            "download ended with 6",
            "The host cannot resolve names of the internet: look at its DNS",
        ),
        (
            "download ended with 23",
            "The disk of the host is full: free some space",
        ),
        (
            "download ended with",
            "The host could not fetch the installer: let it reach download.microsoft.com, or give your own with `--media`",
        ),
        (
            "has the SHA-256",
            "What was fetched is not what it should be: look whether a proxy changes downloads on the host",
        ),
        (
            "is not signed by Microsoft",
            "What was fetched is not Microsoft's: look whether a proxy changes downloads on the host",
        ),
        (
            "rror 1935",
            "The base image lacks assemblies that Setup of this version needs: take a newer version of SQL Server",
        ),
        (
            "not enough space on the disk",
            "The disk of the host is full: free some space",
        ),
        (
            "no such host",
            "The host cannot resolve names of the internet: look at its DNS",
        ),
    ];
    KNOWN
        .iter()
        .find(|(word, _)| said.contains(word))
        .map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_makes_a_kit_on_every_host() {
        for one in known().unwrap() {
            for build in [17763, 20348, 26100] {
                let kit = kit(&one.name, build, None, &[]).unwrap();
                let base = if build == 17763 {
                    "ltsc2019"
                } else {
                    "ltsc2022"
                };
                assert!(kit.arguments["BASE"].ends_with(base), "{}", one.name);
                assert_eq!(
                    kit.reference,
                    recipe::Recipe::choose(
                        crate::host::Os::Windows,
                        Some(build),
                        Some(one.version),
                        Some(one.edition),
                        None,
                        None,
                    )
                    .unwrap()
                    .image,
                    "what is built is what `up` looks for"
                );
                let urls: Vec<_> = kit.arguments["MEDIA_URLS"].split(' ').collect();
                assert!(
                    urls.iter()
                        .all(|u| u.starts_with("https://download.microsoft.com/download/")),
                    "{}: the media is Microsoft's own",
                    one.name
                );
                assert_eq!(
                    urls.len(),
                    kit.arguments["MEDIA_SHA256"].split(' ').count(),
                    "{}: each file has its hash, or a dash",
                    one.name
                );
            }
        }
    }

    #[test]
    fn no_argument_and_no_file_holds_a_password() {
        let kit = kit("2022-express", 20348, None, &[]).unwrap();
        let all: String = kit
            .files
            .iter()
            .map(|(_, t)| String::from_utf8_lossy(t).to_ascii_lowercase())
            .collect();
        assert!(
            !all.contains("sapwd") && !all.contains("sa_password"),
            "no password is in a layer"
        );
        assert!(kit.arguments.keys().all(|k| !k.contains("PASS")));
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let url = |url: &str, sha256: &str| Media {
            place: Place::Url(url.into()),
            sha256: sha256.into(),
        };
        let hash = "a".repeat(64);
        assert!(
            kit("2014-developer", 20348, None, &[]).is_err(),
            "there is no direct media"
        );
        assert!(kit("2023-express", 20348, None, &[]).is_err());
        assert!(kit("2022-express", 20348, Some("x; y"), &[]).is_err());
        for (bad, hash) in [
            ("ftp://x/y.exe", hash.as_str()),
            ("https://x/y.iso", &hash),
            ("https://x/y.exe", "ab"),
            ("https://x/$y.exe", &hash),
            ("https://x/a b.exe", &hash),
            ("https://x/y.box", &hash),
        ] {
            assert!(
                kit("2022-express", 20348, None, &[url(bad, hash)]).is_err(),
                "{bad}"
            );
        }
        let own = kit(
            "2014-developer",
            20348,
            None,
            &[url("https://files.example/SQL.exe?x=1", &hash)],
        )
        .unwrap();
        assert_eq!(own.arguments["MEDIA_SHA256"], "A".repeat(64));
        assert_eq!(own.arguments["SQL_MAJOR"], "12");
        assert_eq!(
            own.labels.get(MEDIA).map(String::as_str),
            Some(OWN),
            "what nobody can fetch again is told apart"
        );
        let fetched = kit("2022-express", 20348, None, &[]).unwrap();
        assert_eq!(fetched.labels.get(MEDIA), None);
        let sent = kit(
            "2022-developer",
            20348,
            None,
            &[Media {
                place: Place::File("/home/me/SQL.exe".into()),
                sha256: hash,
            }],
        )
        .unwrap();
        assert_eq!(sent.arguments["MEDIA_URLS"], "media/SQL.exe");
        assert_eq!(sent.media.len(), 1);
    }

    #[test]
    fn of_a_failed_setup_the_lines_are_kept_that_say_why() {
        let lines = [
            "BERTH-STEP: installing SQL Server",
            "Overall summary:",
            "  Final result:                  Failed: see details below",
            "  Exit code (Decimal):           -2061893607",
            "  Exit message:                  Wait on the Database Engine recovery handle failed.",
            "BERTH-CAUSE: Setup ended with 0x851A0019",
        ];
        let causes = causes(lines);
        assert_eq!(causes.len(), 3, "{causes:?}");
        assert!(explain(&causes.join("\n")).unwrap().contains("sectors"));
    }
}
