//! Carriers: what a connection string travels in to its client. A shell, a `.env` file, YAML,
//! a continuous-integration variable: each reads its own escapes before the client reads the
//! string, so each has its own way to write one that arrives unchanged.
//!
//! A carrier is one module behind [`Carrier`], and one line of the registry below. It takes
//! any format's [`Text`], which stays masked; what its reader cannot read back is refused,
//! with the reason and what to take instead.
//!
//! ```
//! use berth_core::{Secret, carrier, connection::{Parts, format}};
//! let parts = Parts::new("127.0.0.1", 14330, "sa", Secret::from("it's $5"));
//! let text = format("go")?.write(&parts)?;
//! let line = carrier::carry(carrier::carrier("dotenv-node")?, &text, Some("MSSQL_URL"), "")?;
//! assert!(line.masked().starts_with("MSSQL_URL='sqlserver://sa:••••@127.0.0.1:14330?"));
//! # Ok::<(), berth_core::Error>(())
//! ```

mod encode;
mod quotes;

#[cfg(test)]
mod testing;

use crate::connection::{Format, Text};
use crate::nearest::nearest;
use crate::{Error, Result};

/// The longest name of a variable or key, in bytes: far above any real one.
const LONGEST_NAME: usize = 128;

/// What a reader wants of the name that a value gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// There is no place for a name.
    Never,
    /// An environment variable: letters, digits and `_`, not starting with a digit.
    Variable {
        /// Whether there is always one. Where not, the value stands alone until a name is given.
        always: bool,
    },
    /// A key of a document: also `.`, `-` and `:`.
    Key {
        /// As for a variable.
        always: bool,
    },
}

/// One way for a text to reach its client.
pub trait Carrier: Sync {
    /// The name used by `--carrier`; stable between versions.
    fn id(&self) -> &'static str;

    /// The name that people know it by.
    fn name(&self) -> &'static str;

    /// One sentence: what is written, and who reads it.
    fn about(&self) -> &'static str;

    /// What it cannot carry, one sentence each.
    fn limits(&self) -> &'static [&'static str];

    /// Whether the value gets a name.
    fn naming(&self) -> Naming;

    /// Writes `text` for this reader; `name` fits [`Carrier::naming`]. Called through [`carry`].
    ///
    /// # Errors
    /// [`crate::Code::Failed`] where the reader could not read the text back, with the reason and a hint.
    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text>;
}

macro_rules! registry {
    ($($module:ident::$carrier:ident,)+) => {
        $(mod $module;)+
        static CARRIERS: &[&dyn Carrier] = &[$(&$module::$carrier,)+];
    };
}

// In the order that lists show them: a new carrier is its file and its line here.
registry! {
    plain::Plain,
    sh::Sh,
    fish::Fish,
    powershell::PowerShell,
    cmd::Cmd,
    dotenv_node::DotenvNode,
    dotenv_node_env_file::DotenvNodeEnvFile,
    dotenv_expand::DotenvExpand,
    dotenv_python::DotenvPython,
    dotenv_compose::DotenvCompose,
    dotenv_go::DotenvGo,
    dotenv_shell::DotenvShell,
    docker_env_file::DockerEnvFile,
    json::Json,
    yaml::Yaml,
    compose_yaml::ComposeYaml,
    rails_yaml::RailsYaml,
    toml::Toml,
    xml::Xml,
    kubernetes::Kubernetes,
    github_actions::GithubActions,
    user_secrets::UserSecrets,
}

/// Every carrier, in the order to list them.
#[must_use]
pub fn carriers() -> &'static [&'static dyn Carrier] {
    CARRIERS
}

/// The carrier of that id, in any case.
///
/// # Errors
/// [`crate::Code::Usage`] for an unknown one, with the nearest ids. `.env` alone is unknown too:
/// its readers disagree, so the hint names them.
pub fn carrier(id: &str) -> Result<&'static dyn Carrier> {
    if let Some(found) = CARRIERS.iter().find(|c| c.id().eq_ignore_ascii_case(id)) {
        return Ok(*found);
    }
    let shown: String = id.chars().take(40).collect();
    let error = Error::usage(format!("There is no carrier `{}`", shown.escape_debug()));
    let ids = |some: &mut dyn Iterator<Item = &str>| {
        some.map(|id| format!("`{id}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let wanted = id.to_ascii_lowercase();
    if matches!(wanted.as_str(), "env" | ".env" | "dotenv" | "envfile") {
        let mut readers = CARRIERS
            .iter()
            .map(|c| c.id())
            .filter(|id| id.contains("env"));
        return Err(error.hint(format!(
            "The readers of `.env` files disagree, so say which: {}",
            ids(&mut readers)
        )));
    }
    let near = nearest(&wanted, CARRIERS.iter().map(|c| c.id()));
    Err(error.hint(if near.is_empty() {
        format!("There are: {}", ids(&mut CARRIERS.iter().map(|c| c.id())))
    } else {
        format!("Nearest: {}", ids(&mut near.into_iter()))
    }))
}

/// Writes `text` for a carrier's reader. `name` is the variable or key; where it is none and the
/// carrier always has one, `default` is taken.
///
/// # Errors
/// [`crate::Code::Usage`] for a name that does not fit; [`crate::Code::Failed`] where the reader could not read
/// the text back, with the reason and a hint.
pub fn carry(
    carrier: &dyn Carrier,
    text: &Text,
    name: Option<&str>,
    default: &str,
) -> Result<Text> {
    let (always, key) = match carrier.naming() {
        Naming::Never => {
            if name.is_some() {
                return Err(Error::usage(format!(
                    "The carrier `{}` has no place for a name",
                    carrier.id()
                )));
            }
            return carrier.put(text, None);
        }
        Naming::Variable { always } => (always, false),
        Naming::Key { always } => (always, true),
    };
    let name = name.or(always.then_some(default));
    if let Some(name) = name {
        check_name(name, key)?;
    }
    carrier.put(text, name)
}

/// The name that a value gets where a carrier wants one and nobody chose: what the format's clients look for.
#[must_use]
pub fn default_name(format: &dyn Format) -> &'static str {
    match (format.id(), format.family()) {
        ("prisma", _) => "DATABASE_URL",
        (_, ".NET") => "ConnectionStrings__Default",
        _ => "MSSQL_CONNECTION_STRING",
    }
}

fn check_name(name: &str, key: bool) -> Result<()> {
    let inside =
        |c: char| c.is_ascii_alphanumeric() || c == '_' || (key && matches!(c, '.' | '-' | ':'));
    let fits = name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(inside);
    if fits {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    let (what, may) = if key {
        ("key", "letters, digits, `_`, `.`, `-` and `:`")
    } else {
        ("variable", "letters, digits and `_`")
    };
    Err(
        Error::usage(format!("`{}` is no name of a {what}", shown.escape_debug())).hint(format!(
            "It is made of {may}, starts with a letter or `_`, and has 128 characters at most"
        )),
    )
}

/// The refusal of one carrier: `what` it cannot carry, `why`, and what to take instead.
fn refuse(carrier: &dyn Carrier, what: &str, why: &str, instead: &str) -> Error {
    Error::failed(format!("`{}` cannot carry {what}", carrier.id()))
        .because(why)
        .hint(instead)
}

/// What helps with most values that a reader of `.env` files cannot read back.
const PERCENT: &str =
    "Take a format that percent-encodes, such as `go` or `sqlalchemy`, or another carrier";

#[cfg(test)]
mod tests {
    use super::{testing::*, *};
    use crate::Code;
    use crate::secret::ExposeSecret;
    use proptest::prelude::*;

    #[test]
    fn ids_are_unique_and_every_carrier_describes_itself() {
        let mut seen = std::collections::BTreeSet::new();
        for c in carriers() {
            assert!(seen.insert(c.id()), "`{}` is there twice", c.id());
            assert!(
                c.id()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "`{}` has to be typed after --carrier",
                c.id()
            );
            assert!(!c.name().is_empty() && !c.about().is_empty());
            assert!(c.limits().iter().all(|l| !l.is_empty()));
        }
    }

    #[test]
    fn an_unknown_carrier_names_the_nearest_and_dotenv_asks_for_its_reader() {
        assert_eq!(carrier("SH").unwrap().id(), "sh");
        for (typed, meant) in [
            ("powershel", "powershell"),
            ("github", "github-actions"),
            ("jsn", "json"),
            (".env", "dotenv-python"),
            ("dotenv", "dotenv-node"),
        ] {
            let e = carrier(typed).err().unwrap();
            assert_eq!(e.code(), Code::Usage);
            assert!(
                e.what_to_do().unwrap().contains(&format!("`{meant}`")),
                "{typed}: {e:?}"
            );
        }
    }

    #[test]
    fn names_that_a_reader_would_read_otherwise_are_refused() {
        let text = text_of("x");
        for bad in [
            "",
            "a b",
            "1A",
            "A=1",
            "A'B",
            "$A",
            "A\nB",
            "ü",
            &"A".repeat(129),
        ] {
            for c in carriers() {
                let e = carry(*c, &text, Some(bad), "X").err();
                assert_eq!(
                    e.map(|e| e.code()),
                    Some(Code::Usage),
                    "{} took the name {bad:?}",
                    c.id()
                );
            }
        }
        assert!(carry(carrier("sh").unwrap(), &text, Some("A.B"), "").is_err());
        assert!(carry(carrier("json").unwrap(), &text, Some("A.B"), "").is_ok());
    }

    proptest! {
        #[test]
        fn the_secret_shows_nowhere_but_in_what_was_revealed(value in value()) {
            let value = format!("Zq7{value}");
            for c in carriers() {
                match carry(*c, &text_of(&value), None, "NAME_OF_IT") {
                    Ok(text) => {
                        prop_assert!(!text.masked().contains("Zq7"), "{}", c.id());
                        prop_assert!(!format!("{text:?}").contains("Zq7"), "{}", c.id());
                        prop_assert!(text.reveal().expose_secret().contains("Zq7"), "{}", c.id());
                    }
                    Err(e) => {
                        prop_assert!(!format!("{e:?}").contains("Zq7"), "{}", c.id());
                        prop_assert!(!e.causes().is_empty() && e.what_to_do().is_some());
                    }
                }
            }
        }
    }
}
