//! The SQL engine behind its door, opened by a driver that was not written here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures,
    reason = "a test fails by panicking; its futures live alone"
)]

use std::{sync::Arc, time::Duration};

use berth_core::Secret;
use berth_practice::sql::{Options, SqlServer};
use proptest::prelude::*;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, numeric::Numeric};
use tokio::{io::DuplexStream, time::timeout};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

type Connection = Client<Compat<DuplexStream>>;

const PASSWORD: &str = "Passw0rd-of-sa";
const LIMIT: Duration = Duration::from_secs(60);

struct Bed {
    _dir: tempfile::TempDir,
    server: Arc<SqlServer>,
}

fn options() -> Options {
    Options {
        server_name: "PRACTICE".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: None,
        disk: None,
    }
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = SqlServer::open(dir.path(), options()).unwrap();
        server.set_sa_password(&Secret::from(PASSWORD)).unwrap();
        Self { _dir: dir, server }
    }

    async fn open_as(
        &self,
        user: &str,
        password: &str,
        database: &str,
        encryption: EncryptionLevel,
    ) -> Result<Connection, tiberius::error::Error> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let server = Arc::clone(&self.server);
        tokio::spawn(async move { server.serve(Box::new(theirs)).await });
        let mut config = Config::new();
        config.host("localhost");
        config.authentication(AuthMethod::sql_server(user, password));
        config.encryption(encryption);
        config.trust_cert();
        if !database.is_empty() {
            config.database(database);
        }
        timeout(LIMIT, Client::connect(config, ours.compat_write()))
            .await
            .expect("a login is answered in time")
    }

    async fn sa(&self) -> Connection {
        self.open_as("sa", PASSWORD, "", EncryptionLevel::Required)
            .await
            .unwrap()
    }
}

/// The rows of a batch's first result as texts.
async fn rows(
    client: &mut Connection,
    sql: &str,
) -> Result<Vec<Vec<String>>, tiberius::error::Error> {
    let found = timeout(LIMIT, async {
        client.simple_query(sql).await?.into_first_result().await
    })
    .await
    .expect("a batch is answered in time")?;
    Ok(found
        .iter()
        .map(|row| row.cells().map(|(_, value)| format!("{value:?}")).collect())
        .collect())
}

async fn number(client: &mut Connection, sql: &str) -> i32 {
    let row = client
        .simple_query(sql)
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    row.get(0).unwrap()
}

fn code(e: &tiberius::error::Error) -> u32 {
    match e {
        tiberius::error::Error::Server(e) => e.code(),
        other => panic!("not an error of the server: {other}"),
    }
}

#[tokio::test]
async fn every_way_of_encryption_opens() {
    let bed = Bed::new();
    for level in [
        EncryptionLevel::Required,
        EncryptionLevel::On,
        EncryptionLevel::Off,
        EncryptionLevel::NotSupported,
    ] {
        let mut client = bed.open_as("sa", PASSWORD, "", level).await.unwrap();
        assert_eq!(number(&mut client, "SELECT 1").await, 1, "{level:?}");
    }
}

#[tokio::test]
async fn typed_parameters_come_back_as_they_went() {
    let bed = Bed::new();
    let mut client = bed.sa().await;
    let text = "caf\u{e9} \u{4e2d} 'quoted'";
    let long = "x".repeat(9000);
    let price = Numeric::new_with_scale(12_345_678, 4);
    let day = chrono::NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    let at = day.and_hms_nano_opt(10, 5, 6, 123_456_700).unwrap();
    let id = uuid::Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    let row = client
        .query(
            "SELECT @P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9, @P10",
            &[
                &7_i32,
                &(1_i64 << 60),
                &true,
                &2.5_f64,
                &text,
                &long,
                &price,
                &day,
                &at,
                &id,
            ],
        )
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<i32, _>(0), Some(7));
    assert_eq!(row.get::<i64, _>(1), Some(1 << 60));
    assert_eq!(row.get::<bool, _>(2), Some(true));
    assert_eq!(row.get::<f64, _>(3), Some(2.5));
    assert_eq!(row.get::<&str, _>(4), Some(text));
    assert_eq!(row.get::<&str, _>(5), Some(long.as_str()));
    assert_eq!(row.get::<Numeric, _>(6), Some(price));
    assert_eq!(row.get::<chrono::NaiveDate, _>(7), Some(day));
    assert_eq!(row.get::<chrono::NaiveDateTime, _>(8), Some(at));
    assert_eq!(row.get::<uuid::Uuid, _>(9), Some(id));
    let done = client
        .execute(
            "CREATE TABLE #t (n int NULL); INSERT #t VALUES (@P1), (NULL), (3)",
            &[&Option::<i32>::None],
        )
        .await
        .unwrap();
    assert_eq!(done.rows_affected().iter().sum::<u64>(), 3);
}

#[tokio::test]
async fn refusals_have_sql_servers_numbers() {
    let bed = Bed::new();
    let refused = |user: &'static str, password: &'static str, database: &'static str| {
        let bed = &bed;
        async move {
            code(
                &bed.open_as(user, password, database, EncryptionLevel::Required)
                    .await
                    .err()
                    .unwrap(),
            )
        }
    };
    assert_eq!(refused("sa", "wrong", "").await, 18456);
    assert_eq!(refused("nobody", PASSWORD, "").await, 18456);
    assert_eq!(refused("sa", PASSWORD, "missing").await, 4060);
    let mut client = bed.sa().await;
    for (sql, expected) in [
        ("SELECT * FROM nothing", 208),
        ("SELECT nothing", 207),
        ("SELEC *", 102),
        ("SELECT 1/0", 8134),
        ("SELECT CAST('x' AS int)", 245),
        ("USE nowhere", 911),
        ("CREATE DATABASE master", 1801),
        ("DROP DATABASE nowhere", 3701),
        ("ALTER LOGIN sa WITH PASSWORD = N'weak'", 15116),
        ("BACKUP CERTIFICATE c TO FILE = N'x'", 50000),
    ] {
        assert_eq!(
            code(&rows(&mut client, sql).await.unwrap_err()),
            expected,
            "{sql}"
        );
        assert_eq!(
            number(&mut client, "SELECT 5").await,
            5,
            "the connection is whole after {sql}"
        );
    }
}

#[tokio::test]
async fn many_at_once_and_much_at_once() {
    let bed = Bed::new();
    let mut client = bed.sa().await;
    rows(&mut client, "CREATE DATABASE d").await.unwrap();
    rows(
        &mut client,
        "USE d; CREATE TABLE t (id int IDENTITY PRIMARY KEY, n int, s nvarchar(max))",
    )
    .await
    .unwrap();
    let mut all = Vec::new();
    for n in 0..16 {
        let mut client = bed
            .open_as("sa", PASSWORD, "d", EncryptionLevel::Required)
            .await
            .unwrap();
        all.push(tokio::spawn(async move {
            for i in 0..10_i32 {
                client
                    .execute("INSERT t (n, s) VALUES (@P1, @P2)", &[&(n * 100 + i), &"x"])
                    .await
                    .unwrap();
            }
        }));
    }
    for task in all {
        timeout(LIMIT, task).await.unwrap().unwrap();
    }
    let mut client = bed
        .open_as("sa", PASSWORD, "d", EncryptionLevel::Required)
        .await
        .unwrap();
    assert_eq!(
        number(&mut client, "SELECT COUNT(DISTINCT n) FROM t").await,
        160,
        "nothing is lost between writers"
    );
    let big = client
        .simple_query("SELECT REPLICATE(CAST(N'ab' AS nvarchar(max)), 2000000) AS s")
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(big.get::<&str, _>(0).map(str::len), Some(4_000_000));
    let many = rows(&mut client, "SELECT a.id, b.s FROM t a CROSS JOIN t b")
        .await
        .unwrap();
    assert_eq!(many.len(), 160 * 160);
}

#[tokio::test]
async fn single_user_and_shutdown_end_other_connections() {
    let bed = Bed::new();
    let mut client = bed.sa().await;
    rows(&mut client, "CREATE DATABASE d").await.unwrap();
    let mut other = bed
        .open_as("sa", PASSWORD, "d", EncryptionLevel::Required)
        .await
        .unwrap();
    assert_eq!(
        code(&rows(&mut client, "DROP DATABASE d").await.unwrap_err()),
        3702
    );
    rows(
        &mut client,
        "ALTER DATABASE d SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE d",
    )
    .await
    .unwrap();
    assert!(
        rows(&mut other, "SELECT 1").await.is_err(),
        "its connection was ended"
    );
    let stopped = {
        let server = Arc::clone(&bed.server);
        tokio::spawn(async move { server.stopped().await })
    };
    let _ = rows(&mut client, "SHUTDOWN").await;
    timeout(LIMIT, stopped).await.unwrap().unwrap();
    timeout(LIMIT, bed.server.shutdown()).await.unwrap();
    assert!(rows(&mut client, "SELECT 1").await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// What ALTER LOGIN sets opens, whatever is in it; what the policy refuses changes nothing.
    #[test]
    fn any_password_that_is_set_opens(
        password in "[A-Z][a-z][0-9]([ -~]|[\u{a0}-\u{d7ff}]){5,125}".prop_filter("128 UTF-16 units", |p| p.encode_utf16().count() <= 128)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let bed = Bed::new();
            let mut client = bed.sa().await;
            let sql = format!("ALTER LOGIN [sa] WITH PASSWORD = N'{}'", password.replace('\'', "''"));
            match rows(&mut client, &sql).await {
                Ok(_) => {
                    bed.open_as("sa", &password, "", EncryptionLevel::Required).await.unwrap();
                    let old = bed.open_as("sa", PASSWORD, "", EncryptionLevel::Required).await;
                    assert_eq!(code(&old.err().unwrap()), 18456, "the old password is dead");
                }
                // It may hold the login's name.
                Err(e) => {
                    assert_eq!(code(&e), 15118);
                    bed.open_as("sa", PASSWORD, "", EncryptionLevel::Required).await.unwrap();
                }
            }
        });
    }
}
