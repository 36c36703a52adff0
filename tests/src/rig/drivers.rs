//! The clients that developers have, opening what Berth hands out: each answers the rows or its own error.
//!
//! All take the text as a developer pastes it and the SQL to run. The `…_all` forms open many in one
//! process, because starting a runtime takes longer than opening a connection. `None` means that the
//! driver is not here, which was said with [`skip`].

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use tokio_util::compat::TokioAsyncWriteCompatExt;

use super::{home, programs, skip};

/// Rows of the first result, as JSON values.
pub type Rows = Vec<Vec<Value>>;

/// What a driver said: rows, or its error's text.
pub type Opened = Result<Rows, String>;

/// How long a whole batch may take.
const LIMIT: Duration = Duration::from_secs(110);

/// A text to open and the SQL to run on it.
pub type Case<'a> = (&'a str, &'a str);

/// Microsoft.Data.SqlClient, .NET's driver, with an ADO.NET string.
#[must_use]
pub fn sqlclient(connection: &str, sql: &str) -> Option<Opened> {
    sqlclient_all(&[(connection, sql)])?.pop()
}

/// [`sqlclient`] for many.
#[must_use]
pub fn sqlclient_all(cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    let Some(tools) = programs::tools() else {
        skip(
            "Microsoft.Data.SqlClient is not here: neither `../shared/tools/dotnet` nor BERTH_TOOLS",
        );
        return None;
    };
    let mut command = Command::new(tools.join("sqlclient"));
    command.args(["query", "--lines"]);
    Some(batch(
        &mut command,
        cases
            .iter()
            .map(|(connection, sql)| json!({"connection": connection, "sql": sql})),
    ))
}

/// Microsoft's ODBC driver 18 through unixODBC, with an ODBC string.
#[must_use]
pub fn odbc(connection: &str, sql: &str) -> Option<Opened> {
    odbc_all(&[(connection, sql)])?.pop()
}

/// [`odbc`] for many.
#[must_use]
pub fn odbc_all(cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    python("pyodbc", cases)
}

/// Microsoft's driver for Python, with an ODBC-like string without `Driver`.
#[must_use]
pub fn mssql_python_all(cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    python("mssql_python", cases)
}

/// A driver for Python, by its name in `tests/drivers/open.py`, with what is pasted for it.
#[must_use]
pub fn python(driver: &str, cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    let (Some(program), Some(odbc)) = (
        programs::fetched("drivers/bin/python3"),
        programs::fetched("odbc"),
    ) else {
        skip("Microsoft's ODBC driver was not fetched: `tests/prepare/drivers.sh` does it");
        return None;
    };
    let mut command = Command::new(program);
    command
        .arg(programs::root().join("tests/drivers/open.py"))
        .env("ODBCSYSINI", odbc)
        .env("PYTHONIOENCODING", "utf-8");
    Some(batch(&mut command, lines(driver, cases)))
}

/// tedious, with the text of its configuration object.
#[must_use]
pub fn tedious(connection: &str, sql: &str) -> Option<Opened> {
    tedious_all(&[(connection, sql)])?.pop()
}

/// [`tedious`] for many.
#[must_use]
pub fn tedious_all(cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    node("tedious", cases)
}

/// Node's `mssql`, with a connection string or the text of its configuration object.
#[must_use]
pub fn mssql(connection: &str, sql: &str) -> Option<Opened> {
    mssql_all(&[(connection, sql)])?.pop()
}

/// [`mssql`] for many.
#[must_use]
pub fn mssql_all(cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    node("mssql", cases)
}

/// A driver for Node, by its name in `tests/drivers/node/open.mjs`, with what is pasted for it.
#[must_use]
pub fn node(driver: &str, cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    let (Some(program), Some(packages)) = (programs::find("node"), programs::fetched("node"))
    else {
        skip("Node's drivers were not fetched: `tests/prepare/drivers.sh` does it");
        return None;
    };
    let mut command = Command::new(program);
    command
        .arg(programs::root().join("tests/drivers/node/open.mjs"))
        .env("NODE_DRIVERS", packages);
    Some(batch(&mut command, lines(driver, cases)))
}

/// A driver for Java, by its name in `tests/drivers/java/open.js`, with what is pasted for it.
#[must_use]
pub fn java(driver: &str, cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    let jars = ["js.jar", "jtds.jar"].map(|jar| Path::new("/usr/share/java").join(jar));
    let (Some(program), Some(microsoft), true) = (
        programs::find("java"),
        programs::fetched("jdbc/mssql-jdbc.jar"),
        jars.iter().all(|jar| jar.exists()),
    ) else {
        skip(
            "Java, its script engine Rhino, jTDS or Microsoft's JDBC driver is not here: `tests/prepare/machine.sh` and `drivers.sh` bring them",
        );
        return None;
    };
    let path: Vec<String> = jars
        .iter()
        .chain([&microsoft])
        .map(|jar| jar.display().to_string())
        .collect();
    let mut command = Command::new(program);
    command
        // Without the file of figures that every Java machine keeps under its process id: in namespaces ids are alike.
        .args([
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-cp",
        ])
        .arg(path.join(":"))
        .arg("org.mozilla.javascript.tools.shell.Main")
        .arg(programs::root().join("tests/drivers/java/open.js"));
    Some(batch(&mut command, lines(driver, cases)))
}

/// Rails' `database.yml` as Rails reads it, by Ruby's ERB and YAML, opened by FreeTDS' DB-Library, which is below tiny_tds as
/// it is below pymssql.
#[must_use]
pub fn rails(cases: &[Case<'_>]) -> Option<Vec<Opened>> {
    let Some(program) = programs::find("ruby") else {
        skip("Ruby is not installed: `tests/prepare/machine.sh` brings it");
        return None;
    };
    let mut command = Command::new(program);
    command
        .arg(programs::root().join("tests/drivers/database_yml.rb"))
        .env("LC_ALL", "C.UTF-8");
    let read: Vec<String> = batch(&mut command, lines("rails", cases))
        .into_iter()
        .map(|settings| match settings {
            Ok(rows) => rows[0][0].to_string(),
            Err(e) => panic!("Ruby does not read the file: {e}"),
        })
        .collect();
    let settings: Vec<Case<'_>> = read
        .iter()
        .zip(cases)
        .map(|(settings, (_, sql))| (settings.as_str(), *sql))
        .collect();
    python("dblib", &settings)
}

fn lines<'a>(driver: &'a str, cases: &'a [Case<'a>]) -> impl Iterator<Item = Value> + 'a {
    cases.iter().map(
        move |(connection, sql)| json!({"driver": driver, "connection": connection, "sql": sql}),
    )
}

/// One line in, one line out, in the same order.
fn batch(command: &mut Command, cases: impl Iterator<Item = Value>) -> Vec<Opened> {
    let input: String = cases.map(|case| format!("{case}\n")).collect();
    let ran = home::run(command, &input, LIMIT);
    let answers: Vec<Opened> = ran
        .stdout
        .lines()
        .map(|line| {
            let answer: Value = serde_json::from_str(line)
                .unwrap_or_else(|e| panic!("the driver printed no JSON ({e}): {line}"));
            match answer.get("error") {
                Some(Value::String(text)) => Err(text.clone()),
                Some(error) => Err(error["message"]
                    .as_str()
                    .map_or_else(|| error.to_string(), str::to_owned)),
                None => Ok(rows(&answer)),
            }
        })
        .collect();
    assert_eq!(
        answers.len(),
        input.lines().count(),
        "each text gets one answer\n{}",
        ran.stderr
    );
    answers
}

/// The first result's rows.
fn rows(answer: &Value) -> Rows {
    let rows = answer
        .pointer("/results/0/rows")
        .or_else(|| answer.get("rows"));
    rows.and_then(Value::as_array)
        .map(|rows| {
            rows.iter()
                .map(|row| match row {
                    Value::Array(values) => values.clone(),
                    Value::Object(columns) => columns.values().cloned().collect(),
                    other => vec![other.clone()],
                })
                .collect()
        })
        .unwrap_or_default()
}

/// FreeTDS's `tsql`, with the command line that Berth prints, run by a shell as a terminal would. The
/// password goes to its standard input.
#[must_use]
pub fn tsql(line: &str, password: &str, sql: &str) -> Option<Opened> {
    let Some(program) = programs::find("tsql") else {
        skip("FreeTDS's `tsql` is not installed");
        return None;
    };
    let folder = program
        .parent()
        .unwrap_or(Path::new("/usr/bin"))
        .display()
        .to_string();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{line} -o fhq")])
        .env("PATH", format!("{folder}:/usr/bin:/bin"))
        .env("LC_ALL", "C.UTF-8");
    let ran = home::run(
        &mut command,
        &format!("{password}\n{sql}\nGO\n"),
        Duration::from_secs(30),
    );
    // It ends with 0 after a refused batch too: an error is what it says on standard error.
    let refused = ran.stderr.lines().any(|line| {
        line.contains("Error ") || line.contains("Msg ") && !line.contains("(severity 0,")
    });
    if ran.code != 0 || refused {
        return Some(Err(format!("{}{}", ran.stderr, ran.stdout)));
    }
    let rows = ran
        .stdout
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            line.split('\t')
                .map(|value| Value::String(value.to_owned()))
                .collect()
        })
        .collect();
    Some(Ok(rows))
}

/// tiberius, with its ADO.NET-like string.
///
/// # Errors
/// What tiberius says.
pub fn tiberius(connection: &str, sql: &str) -> Opened {
    let work = Box::pin(async {
        let config = tiberius::Config::from_ado_string(connection).map_err(|e| e.to_string())?;
        let stream = tokio::net::TcpStream::connect(config.get_addr())
            .await
            .map_err(|e| e.to_string())?;
        let mut client = Box::pin(tiberius::Client::connect(config, stream.compat_write()))
            .await
            .map_err(|e| e.to_string())?;
        let stream = client.simple_query(sql).await.map_err(|e| e.to_string())?;
        let rows = stream
            .into_first_result()
            .await
            .map_err(|e| e.to_string())?;
        Ok(rows
            .into_iter()
            .map(|row| row.into_iter().map(value).collect())
            .collect())
    });
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    };
    // On a thread of its own: the caller may be inside a runtime already.
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                runtime()
                    .map_err(|e| e.to_string())?
                    .block_on(async { tokio::time::timeout(Duration::from_secs(30), work).await })
                    .map_err(|_| "tiberius took longer than 30 s".to_owned())?
            })
            .join()
            .unwrap_or_else(|_| Err("tiberius panicked".to_owned()))
    })
}

fn value(data: tiberius::ColumnData<'static>) -> Value {
    use tiberius::ColumnData as C;
    match data {
        C::U8(v) => json!(v),
        C::I16(v) => json!(v),
        C::I32(v) => json!(v),
        C::I64(v) => json!(v),
        C::F32(v) => json!(v),
        C::F64(v) => json!(v),
        C::Bit(v) => json!(v),
        C::String(v) => json!(v.as_deref()),
        C::Numeric(v) => json!(v.map(|v| v.to_string())),
        C::Guid(v) => json!(v.map(|v| v.to_string())),
        C::Binary(Some(v)) => json!(
            v.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        ),
        other => json!(format!("{other:?}")),
    }
}
