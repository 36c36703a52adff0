//! Labels: how an instance is found again by anyone who can see its host. Never a secret in one.

use std::collections::BTreeMap;

/// The label that every container and volume of Berth carries; its value is the instance's id.
pub const ID: &str = "dev.berth.id";
const NAME: &str = "dev.berth.name";
const RECIPE: &str = "dev.berth.recipe";
const VERSION: &str = "dev.berth.version";
/// The edition; also on kept data.
pub const EDITION: &str = "dev.berth.edition";
/// Who made it; also on kept data.
pub const OWNER: &str = "dev.berth.owner";
const PORT: &str = "dev.berth.port";
const DATA: &str = "dev.berth.data";
/// The database that its maker asked for; also on kept data.
pub const DATABASE: &str = "dev.berth.database";
const MEMORY: &str = "dev.berth.memory";
const COLLATION: &str = "dev.berth.collation";
/// The label of an instance that ends by itself: seconds since 1970 on the clock of its host.
pub const LEASE: &str = "dev.berth.lease";

/// The label of an image made by Berth's Windows recipe: the engine's major version.
/// A container of such an image takes its password by an exec, not by its environment.
pub const SQL_MAJOR: &str = "dev.berth.sql.major";

/// Whether an instance's data outlives its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Data {
    /// In a volume that stays until someone deletes it.
    #[default]
    Keep,
    /// In the container; gone with it.
    Throwaway,
}

impl Data {
    /// `keep` or `throwaway`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Throwaway => "throwaway",
        }
    }

    /// Reads [`Data::as_str`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Keep, Self::Throwaway]
            .into_iter()
            .find(|d| d.as_str() == name)
    }
}

/// What an instance's labels say. The host is the truth; this is where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// A UUID, for life.
    pub id: String,
    /// Unique on its host.
    pub name: String,
    /// Which recipe made it.
    pub recipe: String,
    /// `2022` and so on; `?` for an image that does not say.
    pub version: String,
    /// `express` and so on.
    pub edition: String,
    /// `user@machine` of who made it.
    pub owner: String,
    /// The port on 127.0.0.1 that its strings name. Other Macs take it too where it is free.
    pub port: u16,
    /// Whether the data is kept.
    pub data: Data,
    /// The database that its maker asked for.
    pub database: Option<String>,
    /// Bytes.
    pub memory: u64,
    /// Where it was asked for.
    pub collation: Option<String>,
    /// When it ends, in seconds since 1970 on the clock of its host. Its data ends with it.
    pub lease: Option<i64>,
}

impl Labels {
    /// As the engine stores them.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let mut map = BTreeMap::from(
            [
                (ID, self.id.clone()),
                (NAME, self.name.clone()),
                (RECIPE, self.recipe.clone()),
                (VERSION, self.version.clone()),
                (EDITION, self.edition.clone()),
                (OWNER, self.owner.clone()),
                (PORT, self.port.to_string()),
                (DATA, self.data.as_str().to_owned()),
                (MEMORY, self.memory.to_string()),
            ]
            .map(|(k, v)| (k.to_owned(), v)),
        );
        for (key, value) in [(DATABASE, &self.database), (COLLATION, &self.collation)] {
            if let Some(value) = value {
                map.insert(key.to_owned(), value.clone());
            }
        }
        if let Some(lease) = self.lease {
            map.insert(LEASE.to_owned(), lease.to_string());
        }
        map
    }

    /// Reads them back. `None` where id, name or port is missing: the container is not Berth's.
    #[must_use]
    pub fn from_map<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let text = |key: &str| get(key).map(str::to_owned);
        Some(Self {
            id: text(ID).filter(|id| !id.is_empty())?,
            name: text(NAME).filter(|name| crate::name::check("an instance", name).is_ok())?,
            port: get(PORT)?.parse().ok()?,
            recipe: text(RECIPE).unwrap_or_default(),
            version: text(VERSION).unwrap_or_else(|| "?".into()),
            edition: text(EDITION).unwrap_or_default(),
            owner: text(OWNER).unwrap_or_default(),
            data: get(DATA).and_then(Data::from_name).unwrap_or_default(),
            database: text(DATABASE),
            memory: get(MEMORY).and_then(|m| m.parse().ok()).unwrap_or(0),
            collation: text(COLLATION),
            lease: get(LEASE).and_then(|l| l.parse().ok()),
        })
    }

    /// Whether its lease is over, by a clock that tells `now`. Only an instance whose data is thrown away can have one.
    #[must_use]
    pub fn is_over(&self, now: i64) -> bool {
        self.data == Data::Throwaway && self.lease.is_some_and(|end| end <= now)
    }

    /// The marker of kept data: what a volume says about the instance that filled it.
    #[must_use]
    pub fn data_marker(&self) -> BTreeMap<String, String> {
        let mut map = self.to_map();
        map.retain(|key, _| {
            [ID, NAME, VERSION, EDITION, OWNER, RECIPE, DATABASE].contains(&key.as_str())
        });
        map
    }
}

/// The marker on kept data, as far as taking it up again needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataMarker {
    /// The id of the instance that filled it; the next one takes the same, and so finds its credentials.
    pub id: String,
    /// The instance's name.
    pub name: String,
    /// The version of SQL Server that wrote it last.
    pub version: String,
    /// The database that strings name.
    pub database: Option<String>,
}

impl DataMarker {
    /// Reads a volume's labels.
    #[must_use]
    pub fn from_map<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        Some(Self {
            id: get(ID)?.to_owned(),
            name: get(NAME)?.to_owned(),
            version: get(VERSION).unwrap_or("?").to_owned(),
            database: get(DATABASE).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn labels_read_back_what_they_wrote(name in "[a-z0-9][a-z0-9._-]{0,20}", port: u16, memory: u64, database in proptest::option::of(".{1,20}"), keep: bool, lease: Option<i64>) {
            let labels = Labels {
                id: "3f".into(), name, recipe: "linux".into(), version: "2022".into(), edition: "express".into(),
                owner: "ann@mac".into(), port, data: if keep { Data::Keep } else { Data::Throwaway },
                database, memory, collation: None, lease,
            };
            let map = labels.to_map();
            prop_assert_eq!(Labels::from_map(|k| map.get(k).map(String::as_str)), Some(labels));
        }
    }

    #[test]
    fn a_lease_ends_nothing_that_is_kept() {
        let mut labels = Labels {
            id: "3f".into(),
            name: "run-1".into(),
            recipe: String::new(),
            version: String::new(),
            edition: String::new(),
            owner: String::new(),
            port: 1,
            data: Data::Throwaway,
            database: None,
            memory: 0,
            collation: None,
            lease: Some(100),
        };
        assert!(labels.is_over(100));
        assert!(!labels.is_over(99));
        labels.data = Data::Keep;
        assert!(
            !labels.is_over(200),
            "data that somebody keeps is never taken away by a clock"
        );
        labels.data = Data::Throwaway;
        labels.lease = None;
        assert!(!labels.is_over(i64::MAX));
    }

    #[test]
    fn a_strangers_container_is_not_ours() {
        assert_eq!(Labels::from_map(|_| None), None);
        assert_eq!(Labels::from_map(|k| (k == ID).then_some("x")), None);
    }
}
