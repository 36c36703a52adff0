//! Connection strings: an endpoint, a login and a database in one client's format.
//!
//! Every format is one module behind [`Format`], and one line of the registry below. A
//! format quotes every value by one fixed rule, never by asking whether a value needs it:
//! the drivers' own heuristics are wrong often. What its grammar cannot say, it refuses
//! with the reason and the format to take instead; a string that a client reads
//! differently is never written.
//!
//! ```
//! use berth_core::{Secret, connection::{Parts, format}};
//! let mut parts = Parts::new("127.0.0.1", 14330, "sa", Secret::from("p;w\"1"));
//! parts.database = Some("orders".into());
//! let text = format("adonet")?.write(&parts)?;
//! assert_eq!(
//!     text.masked(),
//!     "Server=tcp:127.0.0.1,14330;Database=\"orders\";User ID=\"sa\";Password=\"••••\";\
//!      Encrypt=True;TrustServerCertificate=True;Connect Timeout=30"
//! );
//! # Ok::<(), berth_core::Error>(())
//! ```

mod input;
mod options;
mod parts;
pub(crate) mod quote;
pub mod read;
mod text;

#[cfg(test)]
mod testing;

pub use input::LONGEST_INPUT;
pub use parts::{Parts, Rung, Setting, Tls};
pub use quote::{percent_encoded, shell_word};
pub use text::{Explained, PieceView, Text};

use adonet::AdoNet;
use text::Part;

use crate::nearest::nearest;
use crate::{Error, Result};

/// Seconds that a string gives a client to connect. The way leads through a tunnel that the
/// agent opens with the first client, so the drivers' usual 15 are short.
const CONNECT_SECONDS: u32 = 30;

/// What FreeTDS' `request` and go-mssqldb without `encrypt` come to.
const LOGIN_ONLY: &str = "the login is encrypted, what follows only where the server insists; the server's certificate is not verified";

/// What a format says of itself.
#[derive(Debug)]
pub struct Card {
    /// The name used by `--format` and in settings; stable between versions.
    pub id: &'static str,
    /// The name that people know it by.
    pub name: &'static str,
    /// The heading that it is listed under.
    pub family: &'static str,
    /// One sentence: which clients take it, and where.
    pub about: &'static str,
    /// What it cannot say, one sentence each, for those who choose.
    pub limits: &'static [&'static str],
    /// In which syntax its text stands.
    pub shape: Shape,
    /// Where the rules come from that it is written by.
    pub grammar: &'static str,
    /// What it writes without being asked, and why.
    pub defaults: &'static [(&'static str, &'static str)],
    /// How it writes [`Parts::options`]; none where there is no place for them.
    pub flags: Option<Flags>,
}

/// The words for on and off of a format's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// A flag that is set.
    pub on: &'static str,
    /// A flag that is not.
    pub off: &'static str,
}

impl Flags {
    /// `True` and `False`.
    const NET: Self = Self {
        on: "True",
        off: "False",
    };
    /// `true` and `false`.
    const LOWER: Self = Self {
        on: "true",
        off: "false",
    };
    /// `yes` and `no`.
    const WORDS: Self = Self {
        on: "yes",
        off: "no",
    };
}

/// In which syntax a format's text stands, for what wraps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value: a string that a client takes as it is.
    Value,
    /// A line for a POSIX shell.
    Command,
    /// A piece of a file in this language, to paste.
    Snippet(Language),
}

/// What a snippet is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Language {
    Json,
    Yaml,
    JavaScript,
    Python,
    CSharp,
    Php,
    R,
    Ruby,
    Properties,
}

impl Language {
    /// The name as people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::CSharp => "C#",
            Self::Php => "PHP",
            Self::R => "R",
            Self::Ruby => "Ruby",
            Self::Properties => "properties",
        }
    }
}

/// One client's way to write a connection.
pub trait Format: Sync {
    /// What it says of itself.
    fn card(&self) -> &'static Card;

    /// Writes parts that passed [`Parts::check`], with options only where the card has words for them.
    ///
    /// # Errors
    /// As [`Format::write`]; this is its inner half.
    fn compose(&self, parts: &Parts) -> Result<Text>;

    /// The name used by `--format` and in settings; stable between versions.
    fn id(&self) -> &'static str {
        self.card().id
    }

    /// The name that people know it by.
    fn name(&self) -> &'static str {
        self.card().name
    }

    /// One sentence: which clients take it.
    fn about(&self) -> &'static str {
        self.card().about
    }

    /// The heading that it is listed under.
    fn family(&self) -> &'static str {
        self.card().family
    }

    /// What it cannot say, one sentence each, for those who choose.
    fn limits(&self) -> &'static [&'static str] {
        self.card().limits
    }

    /// In which syntax its text stands.
    fn shape(&self) -> Shape {
        self.card().shape
    }

    /// Writes `parts`.
    ///
    /// # Errors
    /// [`crate::Code::Usage`] where `parts` make no sense in any format (see
    /// [`Parts::check`]); [`crate::Code::Failed`] where only this format cannot say
    /// them, with the reason, a hint, and the detail `instead` naming the format to take.
    fn write(&self, parts: &Parts) -> Result<Text> {
        parts.check()?;
        if self.card().flags.is_none() && !parts.options.is_empty() {
            return Err(
                Error::failed(format!("`{}` has no place for more options", self.id()))
                    .because(
                        "what it writes is complete, or options are set elsewhere in this client",
                    )
                    .hint("Take the format `adonet`, or leave the options out")
                    .detail("instead", "adonet"),
            );
        }
        self.compose(parts)
    }

    /// How the options are written: name, and value in the format's words.
    fn options(&self, parts: &Parts) -> Vec<(String, String)> {
        let flags = self.card().flags.unwrap_or(Flags::LOWER);
        parts
            .options
            .iter()
            .map(|(name, value)| (name.clone(), value.words(flags.on, flags.off)))
            .collect()
    }
}

/// What a format writes for one rung of TLS, in its driver's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelling {
    /// The rung.
    pub rung: Rung,
    /// The driver's words, or why the format cannot say it.
    pub words: Result<String>,
}

/// How `format` spells each rung of TLS, from the safest down: taken from strings that it writes.
#[must_use]
pub fn ladder(format: &dyn Format) -> Vec<Spelling> {
    let file = |name: &str| Some(name.to_owned());
    let rungs = [
        Tls::Verified {
            ca_file: file("ca.pem"),
        },
        Tls::Verified { ca_file: None },
        Tls::Pinned {
            certificate_file: "server.pem".to_owned(),
        },
        Tls::Unverified,
    ];
    rungs
        .into_iter()
        .map(|tls| {
            let mut parts = Parts::new("localhost", 1433, "sa", crate::Secret::from("x"));
            parts.database = file("master");
            let rung = tls.rung();
            parts.tls = tls;
            let words = format.write(&parts).map(|text| {
                let all: Vec<String> = text
                    .explain()
                    .into_iter()
                    .filter(|e| e.part == "tls")
                    .map(|e| e.text)
                    .collect();
                all.join(" … ")
            });
            Spelling { rung, words }
        })
        .collect()
}

macro_rules! registry {
    ($($module:ident::$format:ident,)+) => {
        $(mod $module;)+
        static FORMATS: &[&dyn Format] = &[$(&$module::$format,)+];
    };
}

// In the order that lists show them: a new format is its file and its line here.
registry! {
    adonet::AdoNet,
    system_data::SystemData,
    appsettings::AppSettings,
    efcore::EfCore,
    efcore_scaffold::EfCoreScaffold,
    aspire::Aspire,
    odbc::Odbc,
    freetds_odbc::FreeTdsOdbc,
    jdbc::Jdbc,
    spring::Spring,
    jtds::Jtds,
    pyodbc::PyOdbc,
    mssql_python::MssqlPython,
    pymssql::PyMssql,
    sqlalchemy::SqlAlchemy,
    sqlalchemy_pymssql::SqlAlchemyPyMssql,
    django::Django,
    dbt::Dbt,
    mssql::Mssql,
    mssql_config::MssqlConfig,
    tedious::Tedious,
    prisma::Prisma,
    prisma6::Prisma6,
    typeorm::TypeOrm,
    knex::Knex,
    sequelize::Sequelize,
    go::Go,
    tiberius::Tiberius,
    rails::Rails,
    sqlsrv::SqlSrv,
    pdo::Pdo,
    r::R,
    sqlcmd::Sqlcmd,
    sqlcmd_context::SqlcmdContext,
    freetds::FreeTds,
    compose::Compose,
}

/// Every format, in the order to list them.
#[must_use]
pub fn formats() -> &'static [&'static dyn Format] {
    FORMATS
}

/// The format of that id, in any case.
///
/// # Errors
/// [`crate::Code::Usage`] for an unknown one, with the nearest ids.
pub fn format(id: &str) -> Result<&'static dyn Format> {
    if let Some(found) = FORMATS.iter().find(|f| f.id().eq_ignore_ascii_case(id)) {
        return Ok(*found);
    }
    let wanted = id.to_ascii_lowercase();
    let near = nearest(&wanted, FORMATS.iter().map(|f| f.id()));
    let list = |ids: &mut dyn Iterator<Item = &str>| {
        ids.map(|id| format!("`{id}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let hint = if near.is_empty() {
        format!("There are: {}", list(&mut FORMATS.iter().map(|f| f.id())))
    } else {
        format!("Nearest: {}", list(&mut near.into_iter()))
    };
    let shown: String = id.chars().take(40).collect();
    Err(Error::usage(format!(
        "There is no connection string format `{}`",
        shown.escape_debug()
    ))
    .hint(hint))
}

/// The refusal of one format: `what` it cannot say, `why`, and the format that can.
fn refuse(format: &dyn Format, what: &str, why: &str, instead: &'static str) -> Error {
    Error::failed(format!("`{}` cannot say {what}", format.id()))
        .because(why)
        .hint(format!("Take the format `{instead}`"))
        .detail("instead", instead)
}

#[cfg(test)]
mod tests {
    use super::{testing::*, *};
    use crate::Code;
    use crate::secret::ExposeSecret;
    use proptest::prelude::*;

    #[test]
    fn ids_are_unique_and_every_format_describes_itself() {
        let mut seen = std::collections::BTreeSet::new();
        for f in formats() {
            assert!(seen.insert(f.id()), "`{}` is there twice", f.id());
            assert!(
                f.id()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "`{}` has to be typed after --format",
                f.id()
            );
            for words in [f.name(), f.about(), f.family(), f.card().grammar] {
                assert!(!words.is_empty(), "`{}` is listed to people", f.id());
            }
            let text = f.write(&plain()).unwrap().masked();
            for (option, why) in f.card().defaults {
                assert!(
                    text.contains(option) && !why.is_empty(),
                    "`{}` says that it writes {option}, but: {text}",
                    f.id()
                );
            }
            assert!(f.limits().iter().all(|l| !l.is_empty()));
        }
    }

    #[test]
    fn an_unknown_format_names_the_nearest() {
        assert_eq!(format("ADONET").unwrap().id(), "adonet");
        for (typed, meant) in [
            ("ado.net", "adonet"),
            ("jbdc", "jdbc"),
            ("mssq", "mssql"),
            ("sqlcmd2", "sqlcmd"),
            ("ado", "adonet"),
        ] {
            let e = format(typed).err().unwrap();
            assert_eq!(e.code(), Code::Usage);
            assert!(
                e.what_to_do().unwrap().contains(&format!("`{meant}`")),
                "{typed}: {e:?}"
            );
        }
        for odd in ["", "zzzzzzzzzzzz", &"a".repeat(100_000)] {
            let e = format(odd).err().unwrap();
            assert!(
                e.what_to_do().unwrap().contains("`freetds`"),
                "with nothing near, all are named"
            );
            assert!(e.to_string().len() < 200);
        }
    }

    #[test]
    fn a_plain_connection_can_be_said_in_every_format() {
        for f in formats() {
            let text = f
                .write(&plain())
                .unwrap_or_else(|e| panic!("{}: {e}", f.id()));
            let whole = text.reveal();
            assert!(whole.expose_secret().contains("14330"), "{}", f.id());
            let host = ["127.0.0.1", "host.docker.internal"];
            assert!(
                host.iter().any(|h| whole.expose_secret().contains(h)),
                "{}",
                f.id()
            );
        }
    }

    #[test]
    fn every_format_says_how_the_server_is_known() {
        for f in formats() {
            for spelling in ladder(*f) {
                let Ok(words) = spelling.words else { continue };
                assert!(
                    !words.is_empty(),
                    "`{}` is silent about {:?}: what a driver does unasked differs between its versions",
                    f.id(),
                    spelling.rung
                );
            }
            assert!(
                ladder(*f).iter().any(|s| s.words.is_ok()),
                "`{}` can say nothing at all",
                f.id()
            );
        }
    }

    #[test]
    fn every_part_is_explained() {
        let mut parts = plain();
        parts.app = None;
        for f in formats() {
            let text = f.write(&parts).unwrap();
            let all = text.explain();
            for part in ["server", "user", "database"] {
                assert!(
                    all.iter().any(|e| e.part == part),
                    "`{}` does not explain its {part}: {all:#?}",
                    f.id()
                );
            }
            assert_eq!(
                all.iter().any(|e| e.part == "password"),
                text.holds_secret(),
                "{}",
                f.id()
            );
            let shown: String = text.pieces().into_iter().map(|p| p.text).collect();
            assert_eq!(shown, text.masked());
        }
    }

    #[test]
    fn what_sql_server_does_not_take_is_refused_by_every_format() {
        let long = "x".repeat(129);
        let astral = "\u{1f600}".repeat(65);
        for f in formats() {
            for bad in ["", "a\0b", &long, &astral] {
                for (what, parts) in [
                    (
                        "user",
                        Parts {
                            user: bad.into(),
                            ..plain()
                        },
                    ),
                    (
                        "password",
                        Parts {
                            password: bad.into(),
                            ..plain()
                        },
                    ),
                    (
                        "database",
                        Parts {
                            database: Some(bad.into()),
                            ..plain()
                        },
                    ),
                    (
                        "app",
                        Parts {
                            app: Some(bad.into()),
                            ..plain()
                        },
                    ),
                ] {
                    let e = f.write(&parts).err().unwrap_or_else(|| {
                        panic!(
                            "{} wrote a {what} that a driver cuts or drops: {bad:?}",
                            f.id()
                        )
                    });
                    assert_eq!(e.code(), Code::Usage, "{} {what}", f.id());
                }
            }
            for host in [
                "",
                "a b",
                "a,1",
                "a;b",
                "h\\inst",
                "host:1",
                "[::1",
                "ü.example",
                "a'b",
                "$(id)",
                "-x",
                "::1%lo",
            ] {
                let e = f
                    .write(&Parts {
                        host: host.into(),
                        ..plain()
                    })
                    .err();
                assert_eq!(
                    e.map(|e| e.code()),
                    Some(Code::Usage),
                    "{} took the host {host:?}",
                    f.id()
                );
            }
            assert!(
                f.write(&Parts { port: 0, ..plain() }).is_err(),
                "port 0 is nobody's"
            );
        }
    }

    proptest! {
        #[test]
        fn the_password_shows_nowhere_but_in_what_was_revealed(parts in any_parts()) {
            // A password that is also in the frame of the string proves nothing.
            let mut parts = parts;
            parts.password = format!("Zq7{}", parts.password.expose_secret().chars().take(100).collect::<String>()).into();
            prop_assume!(!format!("{:?}{:?}{:?}{:?}", parts.user, parts.database, parts.app, parts.options).contains("Zq7"));
            for f in formats() {
                match f.write(&parts) {
                    Ok(text) => {
                        prop_assert!(!text.masked().contains("Zq7"), "{}", f.id());
                        prop_assert!(!format!("{text:?} {text:#?}").contains("Zq7"), "{}", f.id());
                        let whole = text.reveal();
                        let input = text.input().map(|i| i.expose_secret().to_owned()).unwrap_or_default();
                        let shown = whole.expose_secret().contains("Zq7") || input.contains("Zq7");
                        // Base64 shows it to no search.
                        prop_assert!(shown || f.id() == "sqlcmd-context", "{}", f.id());
                    }
                    Err(e) => {
                        prop_assert!(!format!("{e:?}").contains("Zq7"), "{}", f.id());
                        if e.code() == Code::Failed {
                            let instead = e.get_detail("instead").expect("a refusal names what to take instead");
                            prop_assert!(format(instead).is_ok());
                        }
                    }
                }
            }
            let debug = format!("{parts:?}");
            prop_assert!(!debug.contains("Zq7"));
        }

        #[test]
        fn what_one_format_refuses_the_named_one_can_say(parts in any_parts()) {
            for f in formats() {
                let mut format_now = *f;
                let mut steps = 0;
                while let Err(e) = format_now.write(&parts) {
                    let Some(instead) = e.get_detail("instead") else { break };
                    format_now = format(instead).unwrap();
                    steps += 1;
                    prop_assert!(steps < 4, "{} sends people round in circles: {e:?}", f.id());
                }
            }
        }
    }
}
