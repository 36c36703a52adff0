//! Instances: what is asked for, whether it fits what is there, and which local port it gets.

use crate::{
    Code, Error, Result,
    label::{Data, Labels},
    size,
};

/// Local ports are taken from here, lowest free first. Near 1433 in look, outside the ephemeral
/// ranges of macOS (49152 up) and Linux (32768 up), so that no outgoing connection sits on one.
pub const PORTS: std::ops::RangeInclusive<u16> = 14330..=15329;

/// The prefix of the names of containers and volumes.
pub const PREFIX: &str = "berth-";

/// The lowest port of [`PORTS`] that nothing holds.
///
/// # Errors
/// When all thousand are taken.
pub fn choose_port(taken: impl Fn(u16) -> bool) -> Result<u16> {
    PORTS.clone().find(|p| !taken(*p)).ok_or_else(|| {
        Error::failed(format!(
            "No local port from {} to {} is free",
            PORTS.start(),
            PORTS.end()
        ))
        .hint("Name one with `--port`")
    })
}

/// What `up` was asked for, as far as it can differ from what is there. `None`: nobody said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// `2022`.
    pub version: Option<u16>,
    /// `express`.
    pub edition: Option<String>,
    /// The image's reference.
    pub image: Option<String>,
    /// Bytes.
    pub memory: Option<u64>,
    /// On 127.0.0.1.
    pub port: Option<u16>,
    /// Kept or thrown away.
    pub data: Option<Data>,
    /// The database to make.
    pub database: Option<String>,
    /// The server's collation.
    pub collation: Option<String>,
}

/// Refuses an `up` whose options differ from the instance that has the name already.
///
/// # Errors
/// [`crate::Code::Refused`], listing every difference.
pub fn check_same(wish: &Wish, there: &Labels, image: &str) -> Result<()> {
    let mut differs = Vec::new();
    let mut compare = |what: &str, asked: Option<String>, is: &str| {
        if let Some(asked) = asked
            && !asked.eq_ignore_ascii_case(is)
        {
            differs.push(format!("{what} is {is}, asked for was {asked}"));
        }
    };
    compare(
        "version",
        wish.version.map(|v| v.to_string()),
        &there.version,
    );
    compare("edition", wish.edition.clone(), &there.edition);
    compare("image", wish.image.clone(), image);
    compare(
        "memory",
        wish.memory.map(size::format),
        &size::format(there.memory),
    );
    compare(
        "port",
        wish.port.map(|p| p.to_string()),
        &there.port.to_string(),
    );
    compare(
        "data",
        wish.data.map(|d| d.as_str().to_owned()),
        there.data.as_str(),
    );
    compare(
        "database",
        wish.database.clone(),
        there.database.as_deref().unwrap_or("none"),
    );
    compare(
        "collation",
        wish.collation.clone(),
        there
            .collation
            .as_deref()
            .unwrap_or("the one that its image chose"),
    );
    if differs.is_empty() {
        return Ok(());
    }
    let mut error = Error::new(
        Code::Refused,
        format!("`{}` is there already, with other options", there.name),
    );
    for difference in differs {
        error = error.because(difference);
    }
    Err(error.hint(format!(
        "Leave the options out to use it as it is, take another name, or remove it first with `berth remove {}`",
        there.name
    )))
}

/// Refuses to hand kept data to a version that cannot read it.
///
/// # Errors
/// [`crate::Code::Refused`] where the data is newer than `version`.
pub fn check_data_version(name: &str, data: &str, version: Option<u16>) -> Result<()> {
    if let (Ok(data), Some(version)) = (data.parse::<u16>(), version)
        && data > version
    {
        return Err(Error::new(
            Code::Refused,
            format!("The kept data of `{name}` cannot be taken up by SQL Server {version}"),
        )
        .because(format!(
            "SQL Server {data} wrote it, and no version reads the data of a newer one"
        ))
        .hint(format!(
            "Use `--version {data}`, or another name for a new instance"
        )));
    }
    Ok(())
}

/// The state of an instance as it was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The container is there and was never started.
    Created,
    /// It runs.
    Running,
    /// It was stopped, or ended by itself with code 0.
    Stopped,
    /// It ended by itself with another code, or starts again and again.
    Failed,
    /// Its host was not reached; what is shown is old.
    Unknown,
}

impl State {
    /// One word for people and for the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// From the engine's own word for a container's state and, where it ended, its exit code.
    ///
    /// 137 and 143 are a stop's signals, 0x40010004 is a shutdown on Windows.
    #[must_use]
    pub fn of_container(status: &str, exit_code: Option<i64>) -> Self {
        match status {
            "running" | "paused" => Self::Running,
            "created" => Self::Created,
            "exited" => match exit_code {
                Some(0 | 137 | 143 | 1_073_807_364) | None => Self::Stopped,
                Some(_) => Self::Failed,
            },
            "restarting" | "dead" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there() -> Labels {
        Labels {
            id: "1".into(),
            name: "orders".into(),
            recipe: "linux".into(),
            version: "2022".into(),
            edition: "express".into(),
            owner: String::new(),
            port: 14330,
            data: Data::Keep,
            database: None,
            memory: 2 << 30,
            collation: None,
            lease: None,
        }
    }

    #[test]
    fn options_that_differ_are_all_listed() {
        assert!(
            check_same(&Wish::default(), &there(), "i").is_ok(),
            "no options means: as it is"
        );
        let same = Wish {
            version: Some(2022),
            edition: Some("Express".into()),
            memory: Some(2 << 30),
            ..Wish::default()
        };
        assert!(check_same(&same, &there(), "i").is_ok());
        let e = check_same(
            &Wish {
                version: Some(2019),
                port: Some(1433),
                database: Some("app".into()),
                ..Wish::default()
            },
            &there(),
            "i",
        )
        .unwrap_err();
        assert_eq!((e.code(), e.causes().len()), (Code::Refused, 3), "{e}");
    }

    #[test]
    fn ports_are_taken_from_below() {
        assert_eq!(choose_port(|p| p < 14333).unwrap(), 14333);
        assert!(choose_port(|_| true).is_err());
    }

    #[test]
    fn newer_data_is_never_given_to_an_older_server() {
        assert!(check_data_version("x", "2022", Some(2019)).is_err());
        assert!(check_data_version("x", "2019", Some(2022)).is_ok());
        assert!(check_data_version("x", "?", Some(2022)).is_ok());
    }
}
