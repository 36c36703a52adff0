//! `berth connection --test`: opens strings with the drivers that are installed here.
//!
//! A driver runs in a process of its own: Python and Node from the `PATH`, `sqlcmd`, `tsql`. What it opens goes to
//! its standard input; no argument, file or variable of ours holds a secret, and what it says is searched
//! for the password before it is shown.

use std::{process::Stdio, time::Duration};

use berth_api::{connections, dto, table};
use berth_core::{Code, Error, Result, Secret, connection::Parts, secret::ExposeSecret};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::Instant,
};

use crate::{
    render::{note, out, table as draw},
    session::{Session, interrupted, json as pretty},
};

/// How long one driver may take.
const LIMIT: Duration = Duration::from_secs(45);
/// How much of what it says is read.
const LONGEST: u64 = 64 * 1024;

/// A client that may be installed here.
struct Driver {
    /// As people call it.
    name: &'static str,
    /// The format that it opens.
    format: &'static str,
    /// The program that runs it, and its arguments.
    program: &'static [&'static str],
    way: Way,
}

/// How a string gets to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A script of ours: JSON on its standard input, JSON back.
    Script,
    /// The string is a command line with its own variables: to a shell, on its standard input.
    Shell,
    /// The string is a command line without the password, which goes to its standard input.
    Typed,
}

const PYTHON: &str = include_str!("drivers/open.py");
const NODE: &str = include_str!("drivers/open.cjs");

const DRIVERS: &[Driver] = &[
    Driver {
        name: "pyodbc",
        format: "odbc",
        program: &["python3", "-c", PYTHON, "pyodbc"],
        way: Way::Script,
    },
    Driver {
        name: "mssql-python",
        format: "mssql-python",
        program: &["python3", "-c", PYTHON, "mssql_python"],
        way: Way::Script,
    },
    Driver {
        name: "pymssql",
        format: "pymssql",
        program: &["python3", "-c", PYTHON, "pymssql"],
        way: Way::Script,
    },
    Driver {
        name: "mssql for Node",
        format: "mssql",
        program: &["node", "-e", NODE, "mssql"],
        way: Way::Script,
    },
    Driver {
        name: "tedious",
        format: "tedious",
        program: &["node", "-e", NODE, "tedious"],
        way: Way::Script,
    },
    Driver {
        name: "sqlcmd",
        format: "sqlcmd",
        program: &["sqlcmd"],
        way: Way::Shell,
    },
    Driver {
        name: "tsql",
        format: "freetds",
        program: &["tsql"],
        way: Way::Typed,
    },
];

/// What came of one driver.
#[derive(Debug, Serialize)]
struct Outcome {
    driver: String,
    /// Its version, where it says one.
    version: Option<String>,
    format: String,
    opened: bool,
    milliseconds: u128,
    /// What the server calls itself, or why it was not opened.
    said: String,
}

/// What a script of ours answers.
#[derive(Deserialize)]
struct Answer {
    version: Option<String>,
    server: Option<String>,
    error: Option<String>,
    /// The driver is not installed.
    #[serde(default)]
    missing: bool,
}

/// Opens an instance's strings.
pub(super) async fn instance(
    session: &Session,
    wish: dto::ConnectionShow,
    as_json: bool,
) -> Result<u8> {
    let mut outcomes = Vec::new();
    let asked = wish.format.clone();
    let password = session
        .call::<table::ConnectionShow>(&dto::ConnectionShow {
            format: None,
            password_only: true,
            ..wish.clone()
        })
        .await?;
    let (view, password) = (password.body, whole(password.secret)?);
    let mut parts = Parts::new(view.server, view.port, view.user, password.clone());
    parts.database = view.database;
    for driver in wanted(asked.as_deref()) {
        if let Some(outcome) = open(driver, &parts).await? {
            outcomes.push(outcome);
        }
    }
    if outcomes.is_empty() {
        if let Some(format) = &asked {
            note(format!(
                "note: no driver for `{format}` is installed here, so Berth's own opened the instance's ADO.NET string"
            ));
        } else {
            note(
                "note: no driver is installed here, so Berth's own opened the instance's ADO.NET string",
            );
        }
        outcomes.push(by_berth(session, wish, &password).await);
    }
    show(&outcomes, as_json)
}

/// Opens the string of parts.
pub(super) async fn parts(parts: &Parts, format: Option<&str>, as_json: bool) -> Result<u8> {
    let mut outcomes = Vec::new();
    for driver in wanted(format) {
        if let Some(outcome) = open(driver, parts).await? {
            outcomes.push(outcome);
        }
    }
    if outcomes.is_empty() {
        return Err(Error::failed(format!(
            "No driver {}is installed here",
            format.map(|f| format!("for `{f}` ")).unwrap_or_default()
        ))
        .hint(format!(
            "These are looked for: {}; Node's packages in the current folder",
            DRIVERS
                .iter()
                .map(|d| d.name)
                .collect::<Vec<_>>()
                .join(", ")
        )));
    }
    show(&outcomes, as_json)
}

fn wanted(format: Option<&str>) -> impl Iterator<Item = &'static Driver> + '_ {
    DRIVERS
        .iter()
        .filter(move |driver| format.is_none_or(|f| driver.format.eq_ignore_ascii_case(f)))
}

/// Opens with tiberius, which Berth carries; the agent does it.
async fn by_berth(session: &Session, wish: dto::ConnectionShow, password: &Secret) -> Outcome {
    let began = Instant::now();
    let work = async {
        let reply = session
            .call::<table::ConnectionShow>(&dto::ConnectionShow {
                format: None,
                ..wish
            })
            .await?;
        let secrets = [("string".to_owned(), whole(reply.secret)?)].into();
        session
            .call_with::<table::ConnectionTry>(&dto::Nothing {}, secrets)
            .await
    };
    let tried: Result<_> = work.await;
    Outcome {
        driver: "tiberius (Berth's own)".to_owned(),
        version: None,
        format: "adonet".to_owned(),
        opened: tried.is_ok(),
        milliseconds: began.elapsed().as_millis(),
        said: match tried {
            Ok(reply) => first_line(&reply.body.version),
            Err(e) => clean(&e.to_string(), &[password]),
        },
    }
}

fn whole(secret: Option<Secret>) -> Result<Secret> {
    secret.ok_or_else(|| Error::failed("Berth's agent gave no connection string"))
}

/// Opens `parts` with one driver; none where it is not installed, or its format cannot say them.
async fn open(driver: &Driver, parts: &Parts) -> Result<Option<Outcome>> {
    let Some(program) = driver.program.first() else {
        return Ok(None);
    };
    if !is_installed(program) {
        return Ok(None);
    }
    let text = match connections::compose(parts, driver.format, None, None) {
        Ok(text) => text,
        Err(e) if e.code() == Code::Usage => return Ok(None),
        Err(e) => {
            return Ok(Some(Outcome {
                driver: driver.name.to_owned(),
                version: None,
                format: driver.format.to_owned(),
                opened: false,
                milliseconds: 0,
                said: e.to_string(),
            }));
        }
    };
    let string = text.reveal();
    let password = parts.password.expose_secret();
    let (mut command, input) = match driver.way {
        Way::Script => {
            let mut command = Command::new(program);
            command.args(driver.program.iter().skip(1));
            let said = json!({
                "connection": string.expose_secret(),
                "server": parts.host,
                "port": parts.port,
                "database": parts.database,
                "user": parts.user,
                "password": password,
            });
            (command, Secret::from(said.to_string()))
        }
        Way::Shell => {
            let mut command = Command::new("/bin/sh");
            command.arg("-s");
            let line = format!(
                "{} -h -1 -W -Q 'SET NOCOUNT ON; SELECT @@VERSION' </dev/null\n",
                string.expose_secret()
            );
            (command, Secret::from(line))
        }
        Way::Typed => {
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", &format!("{} -o fhq", string.expose_secret())])
                .env("LC_ALL", "C.UTF-8");
            (
                command,
                Secret::from(format!("{password}\nSELECT @@VERSION\nGO\n")),
            )
        }
    };
    let began = Instant::now();
    let ran = tokio::select! {
        ran = tokio::time::timeout(LIMIT, run(&mut command, &input)) => ran,
        () = interrupted() => return Err(table::cancelled()),
    };
    let milliseconds = began.elapsed().as_millis();
    let outcome = |opened: bool, version: Option<String>, said: &str| Outcome {
        driver: driver.name.to_owned(),
        version,
        format: driver.format.to_owned(),
        opened,
        milliseconds,
        said: clean(said, &[&parts.password, &string]),
    };
    let (success, stdout, stderr) = match ran {
        Ok(Ok(ran)) => ran,
        Ok(Err(e)) => return Ok(Some(outcome(false, None, &e.to_string()))),
        Err(_) => {
            let said = format!("it did not answer within {} s", LIMIT.as_secs());
            return Ok(Some(outcome(false, None, &said)));
        }
    };
    if driver.way == Way::Script {
        let Ok(answer) = serde_json::from_str::<Answer>(stdout.trim()) else {
            return Ok(Some(outcome(false, None, &last_line(&stderr))));
        };
        if answer.missing {
            return Ok(None);
        }
        return Ok(Some(match answer.error {
            Some(error) => outcome(false, answer.version, &error),
            None => outcome(
                true,
                answer.version,
                &first_line(&answer.server.unwrap_or_default()),
            ),
        }));
    }
    // Both end with 0 after some refusals: an error is what they say on standard error.
    let refused = !success || stderr.contains("Msg ") || stderr.contains("Error ");
    let answer = stdout.trim();
    if refused || answer.is_empty() {
        let said = if stderr.trim().is_empty() {
            &stdout
        } else {
            &stderr
        };
        return Ok(Some(outcome(false, None, said.trim())));
    }
    Ok(Some(outcome(true, None, &first_line(answer))))
}

async fn run(command: &mut Command, input: &Secret) -> std::io::Result<(bool, String, String)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // One that is not there any more has said why.
            let _ = stdin.write_all(input.expose_secret().as_bytes()).await;
            let _ = stdin.shutdown().await;
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ((), stdout, stderr, status) = tokio::join!(write, all(stdout), all(stderr), child.wait());
    Ok((status?.success(), stdout, stderr))
}

/// What a stream says, as far as it is read; the rest is drained so that nobody waits.
async fn all(from: Option<impl AsyncReadExt + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        let _ = (&mut from).take(LONGEST).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a program of that name is in the `PATH`.
fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// What a driver said, without the secrets that it was given.
fn clean(said: &str, secrets: &[&Secret]) -> String {
    let mut said = said.to_owned();
    // Whole strings before the password in them, and all before anything is cut.
    for secret in secrets.iter().rev() {
        let secret = secret.expose_secret();
        if !secret.is_empty() {
            said = said.replace(secret, "••••");
        }
    }
    one_line(&said)
}

/// All that was said, on one line: a client's first line may be no more than an error's number.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

fn first_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect()
}

fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("it said nothing")
        .to_owned()
}

fn show(outcomes: &[Outcome], as_json: bool) -> Result<u8> {
    if as_json {
        out(pretty(&outcomes)?);
    } else {
        out(draw(
            &["DRIVER", "FORMAT", "TOOK", "SAID"],
            outcomes.iter().map(|o| {
                vec![
                    o.version
                        .as_ref()
                        .map_or_else(|| o.driver.clone(), |v| format!("{} {v}", o.driver)),
                    o.format.clone(),
                    format!("{} ms", o.milliseconds),
                    if o.opened {
                        o.said.clone()
                    } else {
                        format!("not opened: {}", o.said)
                    },
                ]
            }),
        ));
    }
    Ok(u8::from(!outcomes.iter().all(|o| o.opened)))
}
