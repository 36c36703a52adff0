//! What runs inside a container of Berth's Windows image: `start.ps1` and SQL Server's service.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use berth_core::{Error, Result};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast::error::RecvError, watch};

use super::{
    Model, container_folder,
    lifecycle::{Live, Order, Run, Service},
    lock,
    log::Source,
    sql_disk::ContainerDisk,
    state::{Container, make_folder, write_private},
    volume::blocking,
};
use crate::sql::{self, SqlServer, Stage};

/// What a Windows container ends with when it was shut down (`DBG_TERMINATE_PROCESS`).
pub(super) const SHUT_DOWN: u32 = 0x4001_0004;
/// What it ends with when it was killed.
const KILLED: u32 = u32::MAX;
/// The protocol of `start.ps1`.
const NO_EULA: u32 = 64;
const OTHER_DATA: u32 = 66;
const NOT_READY: u32 = 67;
const SERVICE_ENDED: u32 = 70;

/// How long SQL Server may take to close its files.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// Where the data is inside.
const DATA: &str = "C:\\data";

/// How a process ended.
pub(super) enum End {
    /// With this exit code.
    Exited(u32),
    /// The machine went down under it.
    PoweredOff,
}

/// The mark in a data folder.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    major: u16,
}

/// One data folder, held by one SQL Server at a time.
struct Held {
    folder: PathBuf,
    all: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Held {
    fn take(folder: PathBuf, all: &Arc<Mutex<HashSet<PathBuf>>>) -> Option<Self> {
        lock(all).insert(folder.clone()).then(|| Self {
            folder,
            all: Arc::clone(all),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.folder);
    }
}

fn over(order: Order) -> Option<End> {
    match order {
        Order::Run => None,
        Order::Stop => Some(End::Exited(SHUT_DOWN)),
        Order::Kill => Some(End::Exited(KILLED)),
        Order::PowerOff => Some(End::PoweredOff),
    }
}

/// Waits for an order to end and says which.
async fn ordered_to_end(orders: &mut watch::Receiver<Order>) -> Order {
    match orders.wait_for(|order| *order != Order::Run).await {
        Ok(order) => *order,
        Err(_) => Order::PowerOff,
    }
}

/// How long a stopped service waits for its container to be stopped as well. Who stopped the one may be gone before it
/// stopped the other, and a container without its service would look as if it ran for ever.
const UNATTENDED: Duration = Duration::from_secs(30);

/// Waits for `net stop`.
async fn asked(stop_service: &mut watch::Receiver<bool>) {
    if stop_service.wait_for(|asked| *asked).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn say(live: &Live, text: &str) {
    let time = live
        .log()
        .now()
        .to_rfc3339_opts(SecondsFormat::Micros, true);
    live.log()
        .write(Source::Stdout, &format!("{time} berth: {text}"))
        .await;
}

/// Runs the container's process to its end.
pub(super) async fn run(model: &Arc<Model>, id: &str, live: &Arc<Live>, run: &Arc<Run>) -> End {
    loop {
        if let Some(end) = service(model, id, live, run).await {
            return end;
        }
        say(
            live,
            "nobody stopped the container: the service starts again",
        )
        .await;
        run.stop_service.send_replace(false);
    }
}

/// SQL Server's service from its start to its end; `None` where it was stopped inside of a container that goes on.
async fn service(model: &Arc<Model>, id: &str, live: &Arc<Live>, run: &Arc<Run>) -> Option<End> {
    let Ok(container) = model.container(id) else {
        return Some(End::Exited(KILLED));
    };
    let Ok(image) = model.image(&container.image_id) else {
        say(live, "ERROR the image is gone").await;
        return Some(End::Exited(NOT_READY));
    };
    let Some(major) = image.sql_major().filter(|_| image.starts_sql()) else {
        say(
            live,
            "ERROR the practice host runs only images of Berth's recipes",
        )
        .await;
        return Some(End::Exited(1));
    };
    if !accepted(container.config.variable("ACCEPT_EULA")) {
        say(live, "ERROR EULA not accepted: set ACCEPT_EULA=Y").await;
        return Some(End::Exited(NO_EULA));
    }
    let folder = data_folder(model, &container);
    let Some(_held) = Held::take(folder.clone(), &model.open_data) else {
        say(live, "ERROR engine did not become ready").await;
        live.log()
            .write(Source::Stdout, "Error: 17204, Severity: 16, State: 1. FCB::Open failed: Could not open file C:\\data\\MSSQL\\DATA\\master.mdf for file number 1. OS error: 32(The process cannot access the file because it is being used by another process.).")
            .await;
        return Some(End::Exited(NOT_READY));
    };
    match check_mark(&folder, major).await {
        Ok(None) => {}
        Ok(Some(other)) => {
            say(
                live,
                &format!("ERROR data directory belongs to SQL major {other}, image is {major}"),
            )
            .await;
            return Some(End::Exited(OTHER_DATA));
        }
        Err(error) => {
            say(live, &format!("ERROR {error}")).await;
            return Some(End::Exited(NOT_READY));
        }
    }
    let mut orders = run.order.subscribe();
    say(live, "starting MSSQLSERVER").await;
    if let Some(cause) = model.faults().start_fails() {
        let (words, code) = cause.last_words();
        for words in words {
            live.log().write(Source::Stdout, words).await;
        }
        return Some(End::Exited(code));
    }
    tokio::select! {
        () = tokio::time::sleep(model.faults().start_delay()) => {}
        order = ordered_to_end(&mut orders) => return Some(over(order).unwrap_or(End::PoweredOff)),
    }
    let options = sql::Options {
        server_name: container.config.hostname.to_uppercase(),
        version: version_of(major),
        edition: image.sql_edition(),
        // Built in, where the image was built by Berth's recipe.
        collation: (image.config.labels.get(berth_core::image::COLLATION))
            .map(String::as_str)
            .or_else(|| container.config.variable("MSSQL_COLLATION"))
            .unwrap_or("SQL_Latin1_General_CP1_CI_AS")
            .to_owned(),
        memory_mb: container
            .config
            .variable("MSSQL_MEMORY_LIMIT_MB")
            .and_then(|mb| mb.parse().ok()),
        disk: Some(Arc::new(ContainerDisk::new(model, container.clone()))),
    };
    let skew = model.faults().clock_skew();
    let opened = blocking({
        let folder = folder.clone();
        move || sql::clock::with_skew(skew, || open_sql(&folder, options, major))
    })
    .await;
    let server = match opened {
        Ok(server) => server,
        Err(error) => {
            say(live, "ERROR engine did not become ready").await;
            live.log().write(Source::Stdout, &error.to_string()).await;
            return Some(End::Exited(NOT_READY));
        }
    };
    if server.is_new() {
        say(live, "seeding system databases").await;
    }
    let mut errorlog = server.log_lines();
    let stages = [
        (Stage::Upgrading, model.faults().login_delay()),
        (Stage::Recovering, model.faults().databases_delay()),
    ];
    let slow = stages.iter().any(|(_, time)| !time.is_zero());
    if let Some((first, _)) = stages.iter().find(|(_, time)| !time.is_zero()) {
        server.set_stage(*first);
    }
    run.set_sql(Some(Arc::clone(&server)));
    run.service.send_replace(Service::Running);
    for (stage, time) in stages {
        if !time.is_zero() {
            server.set_stage(stage);
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                // Whatever it is in the middle of: the order is taken up below.
                _ = ordered_to_end(&mut orders) => break,
            }
        }
    }
    if slow {
        server.set_stage(Stage::Online);
    }
    say(live, "ready").await;
    let mut stop_service = run.stop_service.subscribe();
    let why = loop {
        tokio::select! {
            order = ordered_to_end(&mut orders) => break Why::Ordered(order),
            () = asked(&mut stop_service) => break Why::NetStop,
            () = server.stopped() => break Why::ByItself,
            line = errorlog.recv() => match line {
                Ok(line) => live.log().write(Source::Stdout, &line).await,
                Err(RecvError::Lagged(missed)) => {
                    say(live, &format!("{missed} lines of the error log are not shown")).await;
                }
                Err(RecvError::Closed) => break Why::Ordered(ordered_to_end(&mut orders).await),
            },
        }
    };
    let announced = matches!(why, Why::Ordered(Order::Stop));
    if announced {
        say(live, "console event 6, stopping MSSQLSERVER").await;
    }
    stop_sql(run, &server).await;
    while let Ok(line) = errorlog.try_recv() {
        live.log().write(Source::Stdout, &line).await;
    }
    match why {
        Why::Ordered(_) => {}
        // The container stays up, so that its restart policy does not bring the service back.
        Why::NetStop => {
            let stopped = tokio::time::timeout(UNATTENDED, ordered_to_end(&mut orders));
            if stopped.await.is_err() {
                return None;
            }
        }
        Why::ByItself => {
            say(live, "ERROR service stopped unexpectedly").await;
            return Some(End::Exited(SERVICE_ENDED));
        }
    }
    if announced {
        say(live, "stopped").await;
    }
    // An order may have grown stronger while the service was stopping.
    let last = *run.order.borrow();
    Some(over(last).unwrap_or(End::PoweredOff))
}

/// Why SQL Server's service ends.
#[derive(Clone, Copy)]
enum Why {
    Ordered(Order),
    NetStop,
    ByItself,
}

/// Takes it off its address first, so that nobody is let in while it closes its files.
async fn stop_sql(run: &Run, server: &Arc<SqlServer>) {
    run.set_sql(None);
    if tokio::time::timeout(SHUTDOWN, server.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("a practice SQL Server did not close its files in time");
    }
    run.service.send_replace(Service::Stopped);
}

fn accepted(value: Option<&str>) -> bool {
    value.is_some_and(|v| {
        ["y", "yes", "1"]
            .iter()
            .any(|yes| v.eq_ignore_ascii_case(yes))
    })
}

fn version_of(major: u16) -> u16 {
    match major {
        ..=12 => 2014,
        13 => 2016,
        14 => 2017,
        15 => 2019,
        16 => 2022,
        _ => 2025,
    }
}

/// Where the data really is: with the volume or folder that is mounted, else with the container.
fn data_folder(model: &Model, container: &Container) -> PathBuf {
    container
        .mounts
        .iter()
        .find(|mount| mount.target.eq_ignore_ascii_case(DATA))
        .and_then(|mount| model.mount_folder(mount))
        .unwrap_or_else(|| container_folder(&model.dir, &container.id).join("data"))
}

const MARK: &str = ".berth.json";

/// The version that the folder belongs to, where it is another one.
async fn check_mark(folder: &Path, major: u16) -> Result<Option<u16>> {
    let path = folder.join(MARK);
    blocking(move || match std::fs::read(&path) {
        Ok(text) => {
            let mark: Mark = serde_json::from_slice(&text).map_err(|e| {
                Error::failed("The data directory's mark cannot be read").because(e.to_string())
            })?;
            Ok((mark.major != major).then_some(mark.major))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::failed("The data directory cannot be read").because(e.to_string())),
    })
    .await
}

fn open_sql(folder: &Path, options: sql::Options, major: u16) -> Result<Arc<SqlServer>> {
    make_folder(folder)?;
    let server = SqlServer::open(folder, options)?;
    let mark = serde_json::to_vec(&Mark { major }).map_err(|e| {
        Error::failed("The data directory's mark cannot be written").because(e.to_string())
    })?;
    write_private(folder, MARK, &mark)?;
    Ok(server)
}
