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

use berth_practice::{Practice, Settings};
use berth_tests::rig::{
    Home, PracticeHost, Ran, SecretService,
    drivers::{self, Case, Opened},
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
        "BEGIN TRANSACTION; CREATE TABLE undone (n int); ROLLBACK; SELECT CASE WHEN OBJECT_ID('undone') IS NULL THEN 'undone' ELSE 'kept' END",
        Ok("undone"),
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
        "a backup, its header",
        "BACKUP DATABASE model TO DISK = 'CLIENT.bak' WITH INIT, NAME = 'first'; RESTORE HEADERONLY FROM DISK = 'CLIENT.bak'",
        Ok("first"),
    ),
    (
        "a restore under another name",
        "BACKUP DATABASE model TO DISK = 'CLIENT2.bak' WITH INIT; RESTORE DATABASE CLIENT FROM DISK = 'CLIENT2.bak' WITH MOVE 'modeldev' TO 'C:\\data\\user\\CLIENT.mdf', MOVE 'modellog' TO 'C:\\data\\user\\CLIENT.ldf', REPLACE; SELECT state_desc FROM sys.databases WHERE name = 'CLIENT'",
        Ok("ONLINE"),
    ),
    (
        "a backup that is not there (3201)",
        "RESTORE VERIFYONLY FROM DISK = 'C:\\nowhere\\x.bak'",
        Err("Operating system error 3(The system cannot find the path specified.)"),
    ),
    (
        "a transaction log's backup",
        "ALTER DATABASE model SET RECOVERY FULL; BACKUP LOG model TO DISK = 'x.bak'",
        Err("not implemented by the practice host"),
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

fn sql_row(
    client: &'static str,
    connection: &str,
    ask: impl Fn(&[Case<'_>]) -> Option<Vec<Opened>>,
) -> Option<Row> {
    let mut row = Row::new(client);
    // Each client has files and databases of its own.
    let own: String = client.chars().filter(char::is_ascii_alphanumeric).collect();
    let asked: Vec<String> = ASKED
        .iter()
        .map(|(_, sql, _)| {
            // Python's drivers begin a transaction with each statement, and no backup is made in one.
            let sql = sql.replace("CLIENT", &own);
            if ["BACKUP", "RESTORE", "ALTER"].iter().any(|verb| sql.starts_with(verb)) {
                format!("IF @@TRANCOUNT > 0 ROLLBACK; SET IMPLICIT_TRANSACTIONS OFF; SET NOCOUNT ON; {sql}")
            } else {
                sql
            }
        })
        .collect();
    let cases: Vec<Case<'_>> = asked.iter().map(|sql| (connection, sql.as_str())).collect();
    let answers = ask(&cases)?;
    assert_eq!(
        answers.len(),
        ASKED.len(),
        "{client}: every question has an answer"
    );
    for ((act, _, wanted), heard) in ASKED.iter().zip(answers) {
        let heard = heard.map(|rows| match rows.first().and_then(|row| row.first()) {
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

/// How the docker command gets to an engine: its words and its environment.
type Way<'a> = (&'static str, Vec<String>, Vec<(&'static str, String)>);

fn docker_row(folder: &Path, (client, way, environment): Way<'_>) -> Option<Row> {
    let docker = programs::find("docker")?;
    let folder = folder.join(client.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("file"), vec![5; 200_000]).unwrap();
    let mut row = Row::new(client);
    let run = |args: &[&str]| {
        let mut command = Command::new(&docker);
        command
            .args(&way)
            .args(args)
            .env("DOCKER_CONFIG", &folder)
            .env("DOCKER_BUILDKIT", "0")
            .env("HOME", &folder)
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("DOCKER_HOST")
            .envs(environment.iter().map(|(name, value)| (name, value)));
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
    // The command rounds now down to the second: what happened in this one comes with the next.
    let told = wait_for("the events of this second", SOON, || {
        let told = run(&["events", "--since", "10m", "--until", "0s"]);
        told.as_ref()
            .map_or(true, |text| text.contains("start"))
            .then_some(told)
    });
    row.note("`events`", Ok("start"), told);
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

/// The three ways to the engine: a tunnel, docker's own way over SSH, and TLS on both sides.
fn docker_rows(folder: &Path, config: &str) -> Vec<Option<Row>> {
    let (Some(ssh), Some(_)) = (programs::find("ssh"), programs::find("docker")) else {
        return vec![None];
    };
    let socket = folder.join("engine.sock");
    let tunnel = Running(
        Command::new(&ssh)
            .args(["-F", config, "-N", "-L"])
            .arg(format!("{}:127.0.0.1:2375", socket.display()))
            .arg("win")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    wait_for("the tunnel", SOON, || socket.exists().then_some(()));
    let at = |host: String| vec!["-H".to_owned(), host];
    let through = docker_row(
        folder,
        (
            "Docker's command, through `ssh -L`",
            at(format!("unix://{}", socket.display())),
            Vec::new(),
        ),
    );
    drop(tunnel);
    // docker runs the `ssh` that it finds first.
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let script = bin.join("ssh");
    fs::write(
        &script,
        format!("#!/bin/sh\nexec {} -F {config} \"$@\"\n", ssh.display()),
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap_or_default());
    let over = docker_row(
        folder,
        (
            "Docker's command, `-H ssh://`",
            at("ssh://win".to_owned()),
            vec![("PATH", path)],
        ),
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let practice = runtime
        .block_on(Practice::start(Settings {
            dir: folder.join("tls"),
            tls_port: Some(0),
            ..Settings::default()
        }))
        .unwrap();
    let (address, certificates) = practice.tls().unwrap();
    let mut way = at(format!("tcp://{address}"));
    way.push("--tlsverify".to_owned());
    let tls = docker_row(
        folder,
        (
            "Docker's command, mutual TLS",
            way,
            vec![("DOCKER_CERT_PATH", certificates.display().to_string())],
        ),
    );
    runtime.block_on(practice.stop());
    vec![through, over, tls]
}

/// The certificate that the port shows, in a file for the drivers that take one.
fn certificate(folder: &Path, port: &str) -> Option<String> {
    let python = programs::fetched("drivers/bin/python3")?;
    let code = format!("import ssl; print(ssl.get_server_certificate(('127.0.0.1', {port})))");
    let shown = home::run(Command::new(python).args(["-c", &code]), "", SOON)
        .ok()
        .stdout
        .clone();
    let file = folder.join("sql.pem");
    fs::write(&file, shown).unwrap();
    Some(file.display().to_string())
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
    let _ = home.add("win", &host);
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
    let port = adonet
        .split("127.0.0.1,")
        .nth(1)
        .map(|rest| {
            rest.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        })
        .unwrap();
    let mut rows = vec![ssh_row(folder.path(), &config)];
    rows.extend(docker_rows(folder.path(), &config));
    rows.push(sql_row(
        "Microsoft.Data.SqlClient",
        &adonet,
        drivers::sqlclient_all,
    ));
    rows.push(sql_row(
        "Microsoft ODBC Driver 18",
        &odbc,
        drivers::odbc_all,
    ));
    if let Some(file) = certificate(folder.path(), &port) {
        let strictly = |string: &str, file: &str| {
            let kept: Vec<&str> = string
                .split(';')
                .filter(|part| {
                    let name = part.split('=').next().unwrap_or_default().trim();
                    ![
                        "Encrypt",
                        "TrustServerCertificate",
                        "Trust Server Certificate",
                    ]
                    .iter()
                    .any(|other| name.eq_ignore_ascii_case(other))
                })
                .collect();
            format!("{};{file}", kept.join(";").trim_end_matches(';'))
        };
        let sqlclient = strictly(&adonet, &format!("Encrypt=Strict;ServerCertificate={file}"));
        rows.push(sql_row(
            "Microsoft.Data.SqlClient, TDS 8 (`Encrypt=Strict`)",
            &sqlclient,
            drivers::sqlclient_all,
        ));
        let strict = strictly(&odbc, &format!("Encrypt=strict;ServerCertificate={file}"));
        rows.push(sql_row(
            "Microsoft ODBC Driver 18, TDS 8 (`Encrypt=strict`)",
            &strict,
            drivers::odbc_all,
        ));
    }
    rows.push(sql_row("tedious", &node, drivers::tedious_all));
    if let Some(file) = certificate(folder.path(), &port) {
        let trusted = serde_json::json!({ "ca": fs::read_to_string(file).unwrap() });
        let strict = node.replace(
            "\"encrypt\":true",
            &format!("\"encrypt\":\"strict\",\"cryptoCredentialsDetails\":{trusted}"),
        );
        assert_ne!(
            strict, node,
            "the object no longer says how it is encrypted"
        );
        rows.push(sql_row(
            "tedious, TDS 8 (`encrypt: \"strict\"`)",
            &strict,
            drivers::tedious_all,
        ));
    }
    rows.push(sql_row("FreeTDS (`tsql`)", &tsql, |cases| {
        cases
            .iter()
            .map(|(line, sql)| drivers::tsql(line, &password, sql))
            .collect()
    }));
    rows.push(sql_row("tiberius", &rust, |cases| {
        let opened = cases
            .iter()
            .map(|(string, sql)| drivers::tiberius(string, sql));
        Some(opened.collect())
    }));
    rows.push(sql_row("mssql-jdbc", &jdbc, |cases| {
        drivers::java("jdbc", cases)
    }));
    let path = programs::root().join("docs/practice.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let (head, table) = page.split_once(TABLE).unwrap_or((&page, ""));
    if env::var_os("BERTH_WRITE_DOCS").is_some() {
        let lines: Vec<String> = rows.iter().flatten().map(Row::line).collect();
        let text = format!(
            "{}\n\n{TABLE}\nWritten by the test run (tests/tests/practice_page.rs), from what each client was seen to do.\n\n| client | passes | refused on purpose |\n|---|---|---|\n{}\n",
            head.trim_end(),
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
