//! The practice SQL engine as a program of its own, with the rules of Microsoft's Linux image:
//! the same environment variables, the same refusals, the error log on standard output.
//!
//! It is what a container image `FROM scratch` runs, so that a Linux engine can be driven without
//! SQL Server. It never claims to be SQL Server: `@@VERSION` says what it is.
#![allow(
    clippy::print_stdout,
    reason = "the error log of a container is its standard output"
)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use berth_core::Secret;
use berth_practice::sql::{Options, SqlServer};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::broadcast::error::RecvError,
};

/// Where Microsoft's image keeps its data.
const DATA: &str = "/var/opt/mssql";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => match runtime.block_on(Box::pin(run())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => {
                println!("{text}");
                ExitCode::FAILURE
            }
        },
        Err(e) => {
            println!("sqlservr: cannot start: {e}");
            ExitCode::FAILURE
        }
    }
}

/// A variable that is set and not empty.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

fn number(name: &str) -> Result<Option<u64>, String> {
    match env(name) {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| format!("sqlservr: The value of {name} is not a number.")),
    }
}

/// Failures that a test asks for, each with the text that SQL Server prints.
fn asked_to_fail() -> Option<String> {
    Some(match env("PRACTICE_FAIL")?.as_str() {
        "eula" => EULA.to_owned(),
        "memory" => "sqlservr: This program requires a machine with at least 2000 megabytes of memory.\n/opt/mssql/bin/sqlservr: This program requires a machine with at least 2000 megabytes of memory.".to_owned(),
        "newer-data" => "Error: 948, Severity: 20, State: 1.\nThe database 'master' cannot be opened because it is version 998. This server supports version 957 and earlier. A downgrade path is not supported.".to_owned(),
        "crash" => "This program has encountered a fatal error and cannot continue running.".to_owned(),
        other => format!("sqlservr: PRACTICE_FAIL={other} is not implemented by the practice host."),
    })
}

const EULA: &str = "The SQL Server End-User License Agreement (EULA) must be accepted before SQL\nServer can start. The license terms for this product can be downloaded from\nhttp://go.microsoft.com/fwlink/?LinkId=746388.\n\nYou can accept the EULA by specifying the --accept-eula command line option,\nsetting the ACCEPT_EULA environment variable, or using the mssql-conf tool.";

async fn run() -> Result<(), String> {
    if let Some(text) = asked_to_fail() {
        return Err(text);
    }
    if !env("ACCEPT_EULA").is_some_and(|v| v.eq_ignore_ascii_case("y")) {
        return Err(EULA.to_owned());
    }
    let dir = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .or_else(|| env("MSSQL_DATA_DIR").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(DATA));
    let version = number("PRACTICE_VERSION")?.unwrap_or(2022);
    let memory = number("MSSQL_MEMORY_LIMIT_MB")?;
    let port = match number("MSSQL_TCP_PORT")? {
        None => 1433,
        Some(n) => u16::try_from(n).map_err(|_| format!("sqlservr: {n} is not a TCP port."))?,
    };
    let options = Options {
        server_name: host_name(),
        version: u16::try_from(version)
            .map_err(|_| format!("sqlservr: {version} is not a version."))?,
        edition: env("MSSQL_PID").unwrap_or_else(|| "Developer".to_owned()),
        collation: env("MSSQL_COLLATION").unwrap_or_default(),
        memory_mb: memory.and_then(|m| u32::try_from(m).ok()),
        disk: None,
    };
    // Deaf to it until here: an early SIGTERM ends the process, which has done nothing yet.
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| format!("sqlservr: {e}"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| format!("sqlservr: {e}"))?;
    if let Some(millis) = number("PRACTICE_START_DELAY_MS")? {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(millis)) => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
    let password = env("MSSQL_SA_PASSWORD")
        .or_else(|| env("SA_PASSWORD"))
        .map(Secret::from);
    let server = tokio::task::spawn_blocking(move || open(dir, options, password))
        .await
        .map_err(|e| format!("sqlservr: {e}"))??;
    let mut lines = server.log_lines();
    let printed = tokio::spawn(async move {
        loop {
            match lines.recv().await {
                Ok(line) => println!("{line}"),
                // What was missed is in the file.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    let address: SocketAddr = ([0, 0, 0, 0], port).into();
    let listener = TcpListener::bind(address).await.map_err(|e| {
        format!("Server TCP provider failed to listen on [ 'any' <ipv4> {port} ]. Error: {e}.")
    })?;
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Small answers go out at once.
                    let _ = stream.set_nodelay(true);
                    let server = Arc::clone(&server);
                    tokio::spawn(async move { server.serve(Box::new(stream)).await });
                }
                // Too many open files, most often: they get fewer.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::select! {
        () = accept => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = server.stopped() => {}
    }
    server.shutdown().await;
    drop(server);
    let _ = tokio::time::timeout(Duration::from_secs(1), printed).await;
    Ok(())
}

/// Opens the data folder; a new one takes the password, an old one keeps its own.
fn open(
    dir: PathBuf,
    options: Options,
    password: Option<Secret>,
) -> Result<Arc<SqlServer>, String> {
    let fresh = !dir.join("master.sqlite").exists();
    if fresh && password.is_none() {
        return Err("ERROR: The system administrator password is not configured. You can set it by\nsetting the MSSQL_SA_PASSWORD environment variable, or using the mssql-conf tool.".to_owned());
    }
    let server = SqlServer::open(&dir, options).map_err(|e| format!("sqlservr: {e}."))?;
    if server.is_new()
        && let Some(password) = password
        && let Err(e) = server.set_sa_password(&password)
    {
        drop(server);
        // The next start is a first start again, with another password.
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(dir.join(format!("master.sqlite{suffix}")));
        }
        return Err(format!(
            "ERROR: Unable to set system administrator password: {}. {}",
            e.causes().join(". "),
            "See the error log for details."
        ));
    }
    Ok(server)
}

/// The container's host name, which `docker run --hostname` sets.
fn host_name() -> String {
    env("HOSTNAME")
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|n| n.trim().to_ascii_uppercase())
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| "PRACTICE".to_owned())
}
