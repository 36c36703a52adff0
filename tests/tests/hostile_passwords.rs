//! Hundreds of passwords that attack every grammar, written by every format and opened by its real clients, against a server
//! that compares what arrived: a string is right when the login works, and only then. What came of it stands in
//! `docs/connection-strings.md`, which these tests write (`BERTH_WRITE_DOCS=1`) and hold true.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::{net::Ipv4Addr, time::Duration};

use berth_core::{
    Secret,
    connection::{self, Parts},
    password,
    secret::ExposeSecret,
};
use berth_practice::sql::{Options, SqlServer};
use berth_sql::statements;
use berth_tests::{
    page,
    rig::{
        drivers::{self, Case, Opened},
        programs, skip,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

const HOW_MANY: usize = 200;

/// How many times that, with other passwords each time, `make soak` takes.
const SOAK: u64 = 50;

/// The passwords of a plain run are the same each time, as the page says what came of them.
const SEED: u64 = 20_261_122;

/// What the grammars quote by, separate by, escape by and expand, and what they trim.
const PIECES: &[&str] = &[
    ";",
    "=",
    "==",
    "'",
    "''",
    "\"",
    "\"\"",
    "{",
    "}",
    "}}",
    "{{",
    "};",
    "@",
    ":",
    "/",
    "//",
    "?",
    "#",
    "&",
    "%",
    "%41",
    "%%",
    "+",
    "\\",
    "\\\\",
    " ",
    "  ",
    "\u{a0}",
    "$",
    "${HOME}",
    "$(id)",
    "`",
    "!",
    "|",
    "<",
    ">",
    "~",
    "^",
    "*",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "-",
    "_",
    "ü",
    "ß",
    "é",
    "e\u{301}",
    "漢",
    "\u{feff}",
    "\u{2028}",
    "\t",
    "A",
    "b",
    "7",
    "x1",
    "0xDE",
    "+1.2E+3",
    ";Encrypt=no",
    ";TrustServerCertificate=no",
    "Server=",
    "{{env}}",
    "<%=1%>",
    "{%if%}",
    "%s",
    "\u{1f600}",
    "\u{1f468}\u{200d}\u{1f4bb}",
    "\n",
    "\r\n",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "={",
    "};X={",
    "\\\"",
    "$$",
    "PWD=",
];

/// The same numbers for the same seed, so that a failure can be looked at again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

fn hostile_passwords(seed: u64) -> Vec<String> {
    let mut numbers = Numbers(seed);
    let mut all: Vec<String> = Vec::new();
    if seed == SEED {
        // Each piece alone where quoting starts and ends; then the longest that SQL Server takes.
        let alone = PIECES.iter().flat_map(|p| {
            [
                format!("{p}Aa1bcdef"),
                format!("Aa1bcdef{p}"),
                format!("Aa1{p}bcdef"),
            ]
        });
        let mut alone: Vec<String> = alone.filter(|p| password::check(p).is_ok()).collect();
        while alone.len() > HOW_MANY / 2 {
            alone.swap_remove(numbers.below(alone.len()));
        }
        all.extend(alone);
        // What .NET's builder of strings overlooks.
        all.push("Aa1bcdef\n".to_owned());
        for long in ["}", "\"", "'", "\u{1f600}"] {
            let fill = 125 / long.encode_utf16().count();
            all.push(format!("Aa1{}", long.repeat(fill)));
        }
    }
    while all.len() < HOW_MANY {
        let mut text = String::new();
        for _ in 0..=numbers.below(24) {
            text.push_str(PIECES[numbers.below(PIECES.len())]);
        }
        if password::check(&text).is_ok() && !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// A server on 127.0.0.1 with a login for each password, `u0`, `u1`, …
fn server(runtime: &Runtime, folder: &std::path::Path, passwords: &[String]) -> u16 {
    let sa = Secret::from("Sa-of-this-test-1".to_owned());
    let options = Options {
        server_name: "HOSTILE".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: None,
        disk: None,
    };
    let server = SqlServer::open(folder, options).expect("the engine opens its folder");
    server
        .set_sa_password(&sa)
        .expect("the password meets the policy");
    let listener = runtime
        .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { server.serve(Box::new(stream)).await });
        }
    });
    let logins: String = passwords
        .iter()
        .enumerate()
        .map(|(n, p)| {
            format!(
                "CREATE LOGIN [u{n}] WITH PASSWORD = {};\n",
                statements::literal(p)
            )
        })
        .collect();
    let string = text("tiberius", port, "sa", &sa);
    drivers::tiberius(&string, &format!("{logins} SELECT 1")).expect("the logins are made");
    port
}

fn parts(port: u16, user: &str, password: &Secret) -> Parts {
    let mut parts = Parts::new("127.0.0.1", port, user, password.clone());
    parts.database = Some("master".into());
    parts.app = Some("berth's; own {app} \"ü\"".into());
    parts
}

fn text(format: &str, port: u16, user: &str, password: &Secret) -> String {
    let mut parts = parts(port, user, password);
    parts.app = None;
    connection::format(format)
        .and_then(|f| f.write(&parts))
        .unwrap_or_else(|e| panic!("`{format}` can write this password, but: {e}"))
        .reveal()
        .expose_secret()
        .to_owned()
}

/// What a client is given: what a developer pastes, and the line for its standard input.
struct Given {
    text: String,
    input: String,
}

/// A format and a client that opens what it writes.
struct Way {
    format: &'static str,
    client: &'static str,
    version: fn() -> String,
    open: fn(&[Given]) -> Option<Vec<Opened>>,
}

const SQL: &str = "SELECT SUSER_SNAME()";

fn cases(given: &[Given]) -> Vec<Case<'_>> {
    given.iter().map(|g| (g.text.as_str(), SQL)).collect()
}

/// The version that `tests/drivers` pins.
fn python(package: &str) -> String {
    let list = include_str!("../drivers/requirements.txt");
    let pin = list
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{package}==")));
    pin.expect("the package is pinned").to_owned()
}

fn node(package: &str) -> String {
    let list: Value = serde_json::from_str(include_str!("../drivers/node/package.json")).unwrap();
    list["dependencies"][package].as_str().unwrap().to_owned()
}

/// Every pair that is proven, in the order of the page.
static WAYS: &[Way] = &[
    Way {
        format: "adonet",
        client: "Microsoft.Data.SqlClient",
        version: || "7.1.0".into(),
        open: |given| drivers::sqlclient_all(&cases(given)),
    },
    Way {
        format: "appsettings",
        client: "a JSON reader, then Microsoft.Data.SqlClient",
        version: || "7.1.0".into(),
        open: |given| {
            let strings: Vec<String> = given
                .iter()
                .map(|g| {
                    let file: Value = serde_json::from_str(&g.text).unwrap();
                    file["ConnectionStrings"]["Default"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            let cases: Vec<Case<'_>> = strings.iter().map(|s| (s.as_str(), SQL)).collect();
            drivers::sqlclient_all(&cases)
        },
    },
    Way {
        format: "odbc",
        client: "unixODBC, then Microsoft ODBC Driver",
        version: || python("mssql-python-odbc"),
        open: |given| drivers::python("pyodbc", &cases(given)),
    },
    Way {
        format: "freetds-odbc",
        client: "unixODBC, then FreeTDS' ODBC driver",
        version: || "1.3".into(),
        open: |given| {
            if !freetds_odbc() {
                return None;
            }
            drivers::python("pyodbc", &cases(given))
        },
    },
    Way {
        format: "jdbc",
        client: "mssql-jdbc",
        version: || "13.2.1".into(),
        open: |given| drivers::java("jdbc", &cases(given)),
    },
    Way {
        format: "spring",
        client: "java.util.Properties, then mssql-jdbc",
        version: || "13.2.1".into(),
        open: |given| drivers::java("spring", &cases(given)),
    },
    Way {
        format: "jtds",
        client: "the reader of URLs in jTDS",
        version: || "1.3.1".into(),
        open: |given| drivers::java("jtds", &cases(given)),
    },
    Way {
        format: "pyodbc",
        client: "pyodbc",
        version: || python("pyodbc"),
        open: |given| drivers::python("pyodbc", &cases(given)),
    },
    Way {
        format: "mssql-python",
        client: "mssql-python",
        version: || python("mssql-python"),
        open: |given| drivers::python("mssql_python", &cases(given)),
    },
    Way {
        format: "pymssql",
        client: "Python, then pymssql",
        version: || python("pymssql"),
        open: |given| drivers::python("pymssql", &cases(given)),
    },
    Way {
        format: "sqlalchemy",
        client: "pyodbc under SQLAlchemy",
        version: || python("SQLAlchemy"),
        open: |given| drivers::python("sqlalchemy", &cases(given)),
    },
    Way {
        format: "sqlalchemy-pymssql",
        client: "pymssql under SQLAlchemy",
        version: || python("SQLAlchemy"),
        open: |given| drivers::python("sqlalchemy", &cases(given)),
    },
    Way {
        format: "django",
        client: "Django with mssql-django",
        version: || python("mssql-django"),
        open: |given| drivers::python("django", &cases(given)),
    },
    Way {
        format: "dbt",
        client: "PyYAML, pyodbc as dbt-sqlserver calls it, and Jinja",
        version: || python("Jinja2"),
        open: |given| drivers::python("dbt", &cases(given)),
    },
    Way {
        format: "mssql",
        client: "mssql for Node",
        version: || node("mssql"),
        open: |given| drivers::node("mssql", &cases(given)),
    },
    Way {
        format: "mssql-config",
        client: "mssql for Node",
        version: || node("mssql"),
        open: |given| drivers::node("mssql", &cases(given)),
    },
    Way {
        format: "mssql-config",
        client: "@prisma/adapter-mssql",
        version: || node("@prisma/adapter-mssql"),
        open: |given| drivers::node("prisma", &cases(given)),
    },
    Way {
        format: "tedious",
        client: "tedious",
        version: || node("tedious"),
        open: |given| drivers::node("tedious", &cases(given)),
    },
    Way {
        format: "prisma",
        client: "@prisma/adapter-mssql",
        version: || node("@prisma/adapter-mssql"),
        open: |given| drivers::node("prisma", &cases(given)),
    },
    Way {
        format: "typeorm",
        client: "TypeORM",
        version: || node("typeorm"),
        open: |given| drivers::node("typeorm", &cases(given)),
    },
    Way {
        format: "knex",
        client: "Knex",
        version: || node("knex"),
        open: |given| drivers::node("knex", &cases(given)),
    },
    Way {
        format: "sequelize",
        client: "Sequelize",
        version: || node("sequelize"),
        open: |given| drivers::node("sequelize", &cases(given)),
    },
    Way {
        format: "tiberius",
        client: "tiberius",
        version: || "0.13".into(),
        open: |given| {
            Some(
                given
                    .iter()
                    .map(|g| drivers::tiberius(&g.text, SQL))
                    .collect(),
            )
        },
    },
    Way {
        format: "rails",
        client: "Ruby's ERB and YAML, then FreeTDS' DB-Library through pymssql",
        version: || python("pymssql"),
        open: |given| drivers::rails(&cases(given)),
    },
    Way {
        format: "freetds",
        client: "a POSIX shell, then FreeTDS' tsql",
        version: || "1.3".into(),
        open: |given| {
            given
                .iter()
                .map(|g| drivers::tsql(&g.text, &g.input, SQL))
                .collect()
        },
    },
];

fn freetds_odbc() -> bool {
    let list = programs::fetched("odbc/odbcinst.ini")
        .and_then(|path| std::fs::read_to_string(path).ok())
        .unwrap_or_default();
    if !list.contains("[FreeTDS]") {
        skip("FreeTDS' ODBC driver is not installed");
    }
    list.contains("[FreeTDS]")
}

/// What came of one way: how many logged in, and how many the format refused, with its reasons.
struct Came {
    arrived: usize,
    refused: usize,
    reasons: Vec<String>,
}

/// Writes, opens, compares. None when the client is not here.
fn prove(way: &Way, seed: u64) -> Option<Came> {
    let format = connection::format(way.format).expect("the way's format is there");
    let passwords = hostile_passwords(seed);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let port = server(&runtime, folder.path(), &passwords);
    let mut given = Vec::new();
    let mut meant = Vec::new();
    let mut came = Came {
        arrived: 0,
        refused: 0,
        reasons: Vec::new(),
    };
    for (n, password) in passwords.iter().enumerate() {
        let user = format!("u{n}");
        let mut parts = parts(port, &user, &Secret::from(password.clone()));
        if format.limits().iter().any(|limit| limit.contains("ASCII")) {
            parts.app = Some("berth".into());
        }
        if ["freetds", "freetds-odbc", "prisma", "jtds"].contains(&way.format) {
            parts.app = Some("berth's app".into());
        }
        match format.write(&parts) {
            Ok(text) => {
                let input = text.input().map(|i| i.expose_secret().to_owned());
                given.push(Given {
                    text: text.reveal().expose_secret().to_owned(),
                    input: input.unwrap_or_default(),
                });
                meant.push((user, password));
            }
            Err(e) => {
                assert_eq!(
                    e.code(),
                    berth_core::Code::Failed,
                    "SQL Server takes this password, so only the format may refuse it: {password:?}: {e:?}"
                );
                came.refused += 1;
                let reason = e.causes().first().cloned().unwrap_or_default();
                if !came.reasons.contains(&reason) {
                    came.reasons.push(reason);
                }
            }
        }
    }
    let opened = (way.open)(&given);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let opened = opened?;
    assert_eq!(opened.len(), given.len(), "each string was opened");
    let wrong: Vec<String> = opened
        .iter()
        .zip(&meant)
        .filter(|(rows, (user, password))| {
            let name = vec![vec![json!(user)]];
            // A reader that does not log in tells what it would have sent.
            let both = vec![vec![json!(user), json!(password)]];
            !matches!(rows, Ok(rows) if *rows == name || *rows == both)
        })
        .map(|(rows, (_, password))| format!("{password:?}: {rows:?}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "`{}` must carry a legal password whole or refuse it; seed {seed}: {} of {} did not arrive at {}:\n{}",
        way.format,
        wrong.len(),
        given.len(),
        way.client,
        wrong.join("\n")
    );
    came.arrived = given.len();
    Some(came)
}

/// One line of the page.
fn line(way: &Way, came: &Came) -> String {
    let refused = match came.refused {
        0 => "none".to_owned(),
        n => format!("{n}: {}", came.reasons.join("; ")),
    };
    format!(
        "| `{}` | {} {} | {} of {} | {refused} |",
        way.format,
        way.client,
        (way.version)(),
        came.arrived,
        came.arrived + came.refused,
    )
}

fn ways(format: &str) -> Vec<&'static Way> {
    let ways: Vec<&Way> = WAYS.iter().filter(|w| w.format == format).collect();
    assert!(!ways.is_empty(), "`{format}` has a client");
    ways
}

fn proven(format: &str) {
    for way in ways(format) {
        let Some(came) = prove(way, SEED) else {
            continue;
        };
        let line = line(way, &came);
        if page::writing() {
            page::keep(&line);
        } else {
            assert!(
                page::text().lines().any(|l| l == line),
                "`{}` says something else than what came: {line}\n{}",
                page::NAME,
                page::HOW
            );
        }
    }
}

fn soaked(format: &str) {
    let start = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |d| d.as_secs());
    for way in ways(format) {
        for round in 0..SOAK {
            let seed = start.wrapping_mul(1000).wrapping_add(round);
            eprintln!("{format}, {}: seed {seed}", way.client);
            if prove(way, seed).is_none() {
                break;
            }
        }
    }
}

/// For each format with a real client: 200 passwords, and 10,000 others in `make soak`.
macro_rules! every_password_arrives {
    ($($name:ident: $format:literal,)+) => {
        $(
            #[test]
            fn $name() {
                proven($format);
            }
        )+
        mod soak {
            $(
                #[test]
                #[ignore = "soak: 10,000 passwords"]
                fn $name() {
                    super::soaked($format);
                }
            )+
        }
        const PROVEN: &[&str] = &[$($format,)+];
    };
}

every_password_arrives! {
    adonet: "adonet",
    appsettings: "appsettings",
    odbc: "odbc",
    freetds_odbc_driver: "freetds-odbc",
    jdbc: "jdbc",
    spring: "spring",
    jtds: "jtds",
    pyodbc: "pyodbc",
    mssql_python: "mssql-python",
    pymssql: "pymssql",
    sqlalchemy: "sqlalchemy",
    sqlalchemy_over_pymssql: "sqlalchemy-pymssql",
    django: "django",
    dbt: "dbt",
    mssql: "mssql",
    mssql_config: "mssql-config",
    tedious: "tedious",
    prisma: "prisma",
    typeorm: "typeorm",
    knex: "knex",
    sequelize: "sequelize",
    tiberius: "tiberius",
    rails: "rails",
    tsql: "freetds",
}

#[test]
fn every_way_is_taken() {
    for way in WAYS {
        assert!(
            PROVEN.contains(&way.format),
            "`{}` has a client that nobody calls",
            way.format
        );
    }
}

#[test]
fn the_page_is_true() {
    let lines: Vec<String> = if page::writing() {
        page::kept()
    } else {
        let text = page::text();
        let proof = text.lines().skip_while(|line| *line != "## Proof");
        proof.map(str::to_owned).collect()
    };
    let page = page::write(|format| {
        let known = WAYS.iter().filter(|w| w.format == format);
        known
            .map(|way| {
                let start = format!("| `{}` | {} ", way.format, way.client);
                let line = lines.iter().find(|l| l.starts_with(&start)).cloned();
                line.unwrap_or_else(|| panic!("no line starts with {start:?}\n{}", page::HOW))
            })
            .collect()
    });
    if page::writing() {
        std::fs::write(page::path(), &page).expect("the page can be written");
    }
    assert!(
        page == page::text(),
        "`{}` is not what the formats say today\n{}",
        page::NAME,
        page::HOW
    );
}

#[test]
fn a_wrong_password_is_refused() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let passwords = vec!["Aa1bcdef;".to_owned()];
    let port = server(&runtime, folder.path(), &passwords);
    let string = text("tiberius", port, "u0", &Secret::from("Aa1bcdef".to_owned()));
    let refused = drivers::tiberius(&string, "SELECT 1");
    runtime.shutdown_timeout(Duration::from_secs(1));
    let error = refused.expect_err("a server that lets everyone in would prove nothing");
    assert!(error.contains("Login failed"), "{error}");
}
