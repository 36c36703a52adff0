//! `docs/practice.md`: clients that nobody here wrote, pointed at the practice host, and what it says to each. The table is
//! what this run saw; what the page says otherwise fails.
#![allow(
    clippy::items_after_statements,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use berth_tests::rig::{
    Home, PracticeHost, Ran, SecretService,
    drivers::{self, Opened},
    home, programs, wait_for,
};

const SOON: Duration = Duration::from_secs(90);
const HOW: &str =
    "write it anew: `BERTH_WRITE_DOCS=1 tests/suite.sh -p berth-tests --test practice_page`";
const TABLE: &str = "## Client by client\n";

/// What a SQL client is asked, and what it must hear: a value, or a refusal with these words.
const ASKED: &[(&str, &str, Result<&str, &str>)] = &[
    ("signs in and asks", "SELECT 40 + 2", Ok("42")),
    (
        "is told that this is no SQL Server",
        "SELECT CASE WHEN @@VERSION LIKE '%practice%' THEN 'said' ELSE 'hidden' END",
        Ok("said"),
    ),
    (
        "a transaction is undone",
        "SET NOCOUNT ON; CREATE TABLE #t (n int); BEGIN TRANSACTION; INSERT #t VALUES (1); ROLLBACK; SELECT COUNT(*) FROM #t",
        Ok("0"),
    ),
    (
        "text of all the world",
        "SELECT N'Zoë 東京 😀'",
        Ok("Zoë 東京 😀"),
    ),
    (
        "decimals of 38 digits",
        "SELECT CONVERT(varchar(50), CAST('12345678901234567890123456789012345678' AS decimal(38, 0)))",
        Ok("12345678901234567890123456789012345678"),
    ),
    (
        "division by zero (8134)",
        "SELECT 1 / 0",
        Err("Divide by zero error"),
    ),
    (
        "no such table (208)",
        "SELECT * FROM nothing",
        Err("Invalid object name 'nothing'"),
    ),
    (
        "no such column (207)",
        "SELECT nothing FROM sys.databases",
        Err("Invalid column name 'nothing'"),
    ),
    (
        "no such database (911)",
        "USE nothing",
        Err("does not exist"),
    ),
    (
        "broken grammar (102)",
        "SELECT ) FROM",
        Err("Incorrect syntax near"),
    ),
    (
        "full-text search",
        "CREATE FULLTEXT CATALOG c",
        Err("not implemented by the practice host"),
    ),
    (
        "DBCC",
        "DBCC CHECKDB",
        Err("not implemented by the practice host"),
    ),
];

/// One client's row.
struct Row {
    client: &'static str,
    passes: Vec<String>,
    refused: Vec<String>,
}

impl Row {
    fn new(client: &'static str) -> Self {
        Self {
            client,
            passes: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Notes a try: what must come, and whether it is a refusal.
    fn note(&mut self, act: &str, wanted: Result<&str, &str>, heard: Result<String, String>) {
        match (wanted, heard) {
            (Ok(wanted), Ok(heard)) if heard.contains(wanted) => self.passes.push(act.to_owned()),
            (Err(words), Err(heard)) if heard.contains(words) => {
                if words.contains("practice host") {
                    self.refused.push(act.to_owned());
                } else {
                    self.passes.push(act.to_owned());
                }
            }
            (wanted, heard) => panic!(
                "{}: {act}: {wanted:?} was due, and it heard {heard:?}",
                self.client
            ),
        }
    }

    fn line(&self) -> String {
        format!(
            "| {} | {} | {} |",
            self.client,
            self.passes.join(", "),
            if self.refused.is_empty() {
                "–".to_owned()
            } else {
                self.refused.join(", ")
            }
        )
    }
}

fn heard(ran: Ran) -> Result<String, String> {
    if ran.code == 0 {
        Ok(ran.stdout + &ran.stderr)
    } else {
        Err(ran.stdout + &ran.stderr)
    }
}

fn sql_row(client: &'static str, ask: impl Fn(&str) -> Option<Opened>) -> Option<Row> {
    let mut row = Row::new(client);
    for (act, sql, wanted) in ASKED {
        let heard = ask(sql)?.map(|rows| match rows.first().and_then(|row| row.first()) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        });
        row.note(act, *wanted, heard);
    }
    Some(row)
}

/// A file for `ssh -F`: the host under the name `win`, and the same machine behind it as `inner`.
fn ssh_config(folder: &Path, host: &PracticeHost) -> String {
    let known = folder.join("known_hosts");
    let key = host.running().host_key();
    fs::write(&known, format!("win {key}\ninner {key}\n")).unwrap();
    let config = folder.join("ssh_config");
    fs::write(
        &config,
        format!(
            "Host win\n  HostName 127.0.0.1\n  Port {}\n  HostKeyAlias win\nHost inner\n  HostName 127.0.0.1\n  Port 22\n  HostKeyAlias inner\nHost *\n  User Administrator\n  IdentityFile {}\n  IdentitiesOnly yes\n  BatchMode yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n",
            host.port(),
            host.client_key().display(),
            known.display()
        ),
    )
    .unwrap();
    config.display().to_string()
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ssh_row(folder: &Path, config: &str) -> Option<Row> {
    let ssh = programs::find("ssh")?;
    let mut row = Row::new("OpenSSH (`ssh`, `scp`, `sftp`)");
    let run = |program: &str, args: &[&str], input: &str| {
        let mut command = Command::new(ssh.with_file_name(program));
        command
            .args(["-F", config])
            .args(args)
            .env_remove("SSH_AUTH_SOCK");
        heard(home::run(&mut command, input, SOON))
    };
    row.note(
        "a command",
        Ok("Windows_NT"),
        run("ssh", &["win", "echo %OS%"], ""),
    );
    row.note(
        "a jump to its own sshd (`-J`)",
        Ok("through"),
        run("ssh", &["-J", "win", "inner", "echo through"], ""),
    );
    let file = folder.join("file");
    fs::write(&file, vec![5; 200_000]).unwrap();
    let (up, down) = (
        file.display().to_string(),
        folder.join("down").display().to_string(),
    );
    row.note(
        "`scp` there",
        Ok(""),
        run("scp", &[&up, "win:/C:/Windows/Temp/file"], ""),
    );
    row.note(
        "`scp` back",
        Ok(""),
        run("scp", &["win:/c:/windows/temp/FILE", &down], ""),
    );
    assert!(fs::read(&down).unwrap() == fs::read(&file).unwrap());
    row.note(
        "`sftp` in Windows' folders",
        Ok("/C:/Users/Administrator"),
        run(
            "sftp",
            &["-b", "-", "win"],
            "pwd\nls -l /C:/Windows/Temp\nrm /C:/Windows/Temp/file\n",
        ),
    );
    row.note(
        "a named pipe is not forwarded, as by Microsoft's sshd",
        Err(""),
        run("ssh", &["-W", "//./pipe/docker_engine:1", "win"], ""),
    );
    row.note(
        "any other command",
        Err("the practice host does not run this"),
        run("ssh", &["win", "format C:"], ""),
    );
    row.note(
        "a shell",
        Err("not implemented by the practice host"),
        run("ssh", &["-T", "win"], ""),
    );
    Some(row)
}

fn docker_row(folder: &Path, config: &str) -> Option<Row> {
    let (ssh, docker) = (programs::find("ssh")?, programs::find("docker")?);
    let socket = folder.join("engine.sock");
    let _tunnel = Running(
        Command::new(ssh)
            .args(["-F", config, "-N", "-L"])
            .arg(format!("{}:127.0.0.1:2375", socket.display()))
            .arg("win")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    wait_for("the tunnel", SOON, || socket.exists().then_some(()));
    let mut row = Row::new("Docker's command, through `ssh -L`");
    let run = |args: &[&str]| {
        let mut command = Command::new(&docker);
        command
            .arg("-H")
            .arg(format!("unix://{}", socket.display()))
            .args(args)
            .env("DOCKER_CONFIG", folder)
            .env("DOCKER_BUILDKIT", "0")
            .env("HOME", folder)
            .env_remove("DOCKER_HOST");
        heard(home::run(&mut command, "", SOON))
    };
    const IMAGE: &str = "berth/sql:2022-express-ltsc2022";
    row.note(
        "`info`",
        Ok("windows"),
        run(&["info", "--format", "{{.OSType}}"]),
    );
    row.note(
        "`run`",
        Ok(""),
        run(&[
            "run",
            "-d",
            "--name",
            "one",
            "-e",
            "ACCEPT_EULA=Y",
            "-v",
            "one:C:\\data",
            IMAGE,
        ]),
    );
    wait_for("SQL Server", SOON, || {
        run(&["logs", "one"])
            .unwrap()
            .contains("berth: ready")
            .then_some(())
    });
    row.note("`logs`", Ok("berth: ready"), run(&["logs", "one"]));
    row.note("`ps`", Ok("one"), run(&["ps"]));
    row.note(
        "`inspect`",
        Ok("running"),
        run(&["inspect", "one", "--format", "{{.State.Status}}"]),
    );
    row.note("`stats`", Ok("MiB"), run(&["stats", "--no-stream"]));
    row.note("`top`", Ok("sqlservr.exe"), run(&["top", "one"]));
    let file = folder.join("file").display().to_string();
    row.note("`cp`", Ok(""), run(&["cp", &file, "one:C:/data/file"]));
    row.note("`volume`", Ok("one"), run(&["volume", "ls"]));
    row.note("`system df`", Ok("Images"), run(&["system", "df"]));
    row.note(
        "`events`",
        Ok("start"),
        run(&["events", "--since", "10m", "--until", "0s"]),
    );
    let build = folder.join("build");
    fs::create_dir_all(&build).unwrap();
    fs::write(
        build.join("Dockerfile"),
        format!("FROM {IMAGE}\nLABEL a=b\n"),
    )
    .unwrap();
    let build = build.display().to_string();
    row.note(
        "`build` of what is no program",
        Ok("Successfully tagged mine:latest"),
        run(&["build", "-t", "mine", &build]),
    );
    fs::write(
        Path::new(&build).join("Dockerfile"),
        format!("FROM {IMAGE}\nRUN dir\n"),
    )
    .unwrap();
    row.note(
        "`RUN` in a build",
        Err("the practice host does not run this"),
        run(&["build", &build]),
    );
    row.note(
        "another program in a container",
        Err("the practice host does not run this"),
        run(&["exec", "one", "whoami"]),
    );
    row.note(
        "publishing a port",
        Err("not implemented by the practice host"),
        run(&["run", "-p", "1433:1433", IMAGE]),
    );
    row.note(
        "new networks",
        Err("not implemented by the practice host"),
        run(&["network", "create", "mine"]),
    );
    row.note("`rm`", Ok("one"), run(&["rm", "-f", "one"]));
    Some(row)
}

#[test]
fn the_page_says_what_clients_see() {
    let Some(secrets) = SecretService::start() else {
        return;
    };
    let host = PracticeHost::start();
    let home = Home::with_secrets(&secrets);
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let config = ssh_config(folder.path(), &host);
    let _ = home
        .berth(&[
            "host",
            "add",
            "win",
            &host.address(),
            "--identity",
            &host.client_key().display().to_string(),
            "--trust-host-key",
            &host.fingerprint(),
        ])
        .ok();
    let _ = home
        .berth_with(&["up", "shop", "--accept-eula"], "", SOON)
        .ok();
    let string = |format: &str| {
        home.berth(&["connection", "shop", "--format", format])
            .ok()
            .line()
            .to_owned()
    };
    let password = home
        .berth(&["connection", "shop", "--password"])
        .ok()
        .line()
        .to_owned();
    let (adonet, odbc, node, rust, tsql, jdbc) = (
        string("adonet"),
        string("odbc"),
        string("tedious"),
        string("tiberius"),
        string("freetds"),
        string("jdbc"),
    );
    let rows = [
        ssh_row(folder.path(), &config),
        docker_row(folder.path(), &config),
        sql_row("Microsoft.Data.SqlClient", |sql| {
            drivers::sqlclient(&adonet, sql)
        }),
        sql_row("Microsoft ODBC Driver 18", |sql| drivers::odbc(&odbc, sql)),
        sql_row("tedious", |sql| drivers::tedious(&node, sql)),
        sql_row("tedious, TDS 8 (`encrypt: \"strict\"`)", |sql| {
            let strict = node.replace("\"encrypt\":true", "\"encrypt\":\"strict\"");
            assert_ne!(
                strict, node,
                "the object no longer says how it is encrypted"
            );
            drivers::tedious(&strict, sql)
        }),
        sql_row("FreeTDS (`tsql`)", |sql| {
            drivers::tsql(&tsql, &password, sql)
        }),
        sql_row("tiberius", |sql| Some(drivers::tiberius(&rust, sql))),
        sql_row("mssql-jdbc", |sql| {
            drivers::java("jdbc", &[(&jdbc, sql)])?.pop()
        }),
    ];
    let path = programs::root().join("docs/practice.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let (head, table) = page.split_once(TABLE).unwrap_or((&page, ""));
    if env::var_os("BERTH_WRITE_DOCS").is_some() {
        let lines: Vec<String> = rows.iter().flatten().map(Row::line).collect();
        let text = format!(
            "{head}{TABLE}\nWritten by the test run (tests/tests/practice_page.rs), from what each client was seen to do.\n\n| client | passes | refused on purpose |\n|---|---|---|\n{}\n",
            lines.join("\n")
        );
        fs::write(&path, text).unwrap();
        return;
    }
    for row in rows.iter().flatten() {
        assert!(
            table.lines().any(|line| line == row.line()),
            "`docs/practice.md` says something else of {}:\n{}\n{HOW}",
            row.client,
            row.line()
        );
    }
}
